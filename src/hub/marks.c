/* SPDX-License-Identifier: PostgreSQL
 *
 * A mark is a notification of our own: its payload is the number of the worker that made it and a
 * number that nobody can guess.
 */
#include "config.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "hub_priv.h"

/* One that has not come by then will not come. */
enum { PATIENCE_US = 10 * 1000 * 1000 };

static uint64_t hash_token(const struct pw_station *station, uint64_t token)
{
	return pw_hash(&station->hubs->pools->hash_key, &token, sizeof(token));
}

static bool has_token(const struct pw_map_node *node, const void *token)
{
	return PW_CONTAINER(node, const struct pw_mark, node)->token == *(const uint64_t *)token;
}

void pw_mark_end(struct pw_mark *mark)
{
	if (!mark->is_awaited)
		return;
	mark->is_awaited = false;
	pw_list_remove(&mark->age_node);
	pw_map_remove(&mark->subscriber->station->marks, &mark->node);
}

/* Without memory it is as one that does not come. */
static void make(struct pw_mark *mark, struct pw_strbuf *sql)
{
	struct pw_station *station = mark->subscriber->station;
	struct pw_hubs *hubs = station->hubs;

	pw_mark_end(mark);
	pw_rng_secret(&mark->token, sizeof(mark->token));
	/* As NOTIFY each would be a statement of its own in pg_stat_statements. */
	pw_strbuf_printf(sql, "SELECT pg_catalog.pg_notify('%s', '%u.%016" PRIx64 "');",
			 hubs->channel, hubs->pools->index, mark->token);
	if (pw_map_insert(&station->marks, &mark->node, hash_token(station, mark->token)) !=
	    PW_OK) {
		pw_mark_give_up(mark);
		return;
	}
	mark->since_us = hubs->pools->loop->now_us;
	mark->is_awaited = true;
	pw_list_append(&station->marks_by_age, &mark->age_node);
}

static uint64_t read_token(const char *payload)
{
	const char *dot = strchr(payload, '.');

	return dot ? strtoull(dot + 1, NULL, 16) : 0;
}

bool pw_mark_is(const struct pw_mark *mark, const char *payload)
{
	return mark->token != 0 && read_token(payload) == mark->token;
}

static void reach(struct pw_mark *mark)
{
	struct pw_subscriber *s = mark->subscriber;

	pw_mark_end(mark);
	s->is_on = mark == &s->from;
}

void pw_mark_give_up(struct pw_mark *mark)
{
	struct pw_subscriber *s = mark->subscriber;

	reach(mark);
	s->has_missed = true;
	s->is_on &= s->station && s->station->attached != 0;
}

void pw_subscriber_set_away(struct pw_subscriber *s, bool is_away)
{
	if (s->is_away == is_away)
		return;
	s->is_away = is_away;
	if (is_away)
		atomic_fetch_sub(&s->station->db->n_hearing, 1);
	else
		atomic_fetch_add(&s->station->db->n_hearing, 1);
}

void pw_subscriber_stop_at(struct pw_subscriber *s, struct pw_strbuf *sql)
{
	pw_subscriber_set_away(s, true);
	if (s->is_on || s->from.is_awaited)
		make(&s->until, sql);
	else
		s->until.token = 0;
}

void pw_subscriber_go_on_at(struct pw_subscriber *s, struct pw_strbuf *sql)
{
	pw_subscriber_set_away(s, false);
	make(&s->from, sql);
}

/* What came with the hub's notifications. */
struct pw_mark *pw_mark_take(struct pw_station *station, const char *payload)
{
	uint64_t token = read_token(payload);
	struct pw_map_node *node =
	    pw_map_find(&station->marks, hash_token(station, token), has_token, &token);
	struct pw_mark *mark = node ? PW_CONTAINER(node, struct pw_mark, node) : NULL;

	if (mark)
		reach(mark);
	return mark;
}

bool pw_mark_is_late(const struct pw_station *station)
{
	struct pw_list *node = pw_list_first(&station->marks_by_age);
	uint64_t now = station->hubs->pools->loop->now_us;

	while (node && node != &station->marks_by_age) {
		const struct pw_mark *mark = PW_CONTAINER(node, const struct pw_mark, age_node);

		/* The other kind waits for a client's own link, which may be slow. */
		if (mark == &mark->subscriber->until)
			return now - mark->since_us > PATIENCE_US;
		node = node->next;
	}
	return false;
}

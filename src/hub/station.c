/* SPDX-License-Identifier: PostgreSQL
 *
 * The subscribers of one worker and database: what they want is asked of the hub, once for all, and
 * what comes from it is given to each whose turn it is.
 *
 * A request carries a number, and the answer to it answers all before it too. What the mails say
 * can also be seen by looking, and is looked for from time to time: one that could not be sent
 * costs time only.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hub_priv.h"
#include "pgweir/base/assert.h"
#include "pgweir/proto/reader.h"

/* ---- finding ---- */

static struct pw_station *station_of_db(struct pw_hubs *hubs, const char *name)
{
	PW_LIST_FOREACH (node, &hubs->stations) {
		struct pw_station *station = PW_CONTAINER(node, struct pw_station, node);

		if (strcmp(station->db->name, name) == 0)
			return station;
	}
	return NULL;
}

struct pw_station *pw_station_of_hub(struct pw_hubs *hubs, uint64_t id)
{
	PW_LIST_FOREACH (node, &hubs->stations) {
		struct pw_station *station = PW_CONTAINER(node, struct pw_station, node);

		if (station->hub.id == id)
			return station;
	}
	return NULL;
}

static struct pw_station *attached_station(struct pw_hubs *hubs, uint64_t id)
{
	PW_LIST_FOREACH (node, &hubs->stations) {
		struct pw_station *station = PW_CONTAINER(node, struct pw_station, node);

		if (station->attached == id)
			return station;
	}
	return NULL;
}

/* ---- telling ---- */

/* Whoever is told may leave, and others with it. */
static void tell_all(struct pw_station *station)
{
	struct pw_list told, *node;

	pw_list_init(&told);
	while ((node = pw_list_first(&station->subscribers))) {
		pw_list_remove(node);
		pw_list_append(&told, node);
	}
	while ((node = pw_list_first(&told))) {
		struct pw_subscriber *s = PW_CONTAINER(node, struct pw_subscriber, node);

		pw_list_remove(node);
		pw_list_append(&station->subscribers, node);
		station->hubs->ops->on_change(s);
	}
}

static void tell_waiting(struct pw_station *station)
{
	struct pw_list told, *node;

	pw_list_init(&told);
	PW_LIST_FOREACH_SAFE (waiting, &station->waiting) {
		struct pw_subscriber *s = PW_CONTAINER(waiting, struct pw_subscriber, wait_node);

		if (s->ticket > station->done_ticket)
			continue;
		pw_list_remove(waiting);
		pw_list_append(&told, waiting);
	}
	while ((node = pw_list_first(&told))) {
		pw_list_remove(node);
		station->hubs->ops->on_change(PW_CONTAINER(node, struct pw_subscriber, wait_node));
	}
}

/* ---- the hub comes and goes ---- */

static void lose_hub(struct pw_station *station)
{
	station->attached = 0;
	PW_LIST_FOREACH (node, &station->subscribers) {
		struct pw_subscriber *s = PW_CONTAINER(node, struct pw_subscriber, node);

		pw_list_remove(&s->wait_node);
		s->has_missed |= s->is_on || s->from.is_awaited || s->until.is_awaited;
		s->is_on = false;
		pw_mark_end(&s->from);
		pw_mark_end(&s->until);
	}
}

/* Takes the contents of `names` over. */
static bool post_want(struct pw_station *station, struct pw_strbuf *names)
{
	bool is_posted =
	    pw_hub_post(station->hubs, pw_hub_worker(station->attached), PW_HUB_MAIL_WANT,
			station->attached, ++station->last_ticket, names);

	pw_strbuf_fini(names);
	if (!is_posted)
		lose_hub(station);
	return is_posted;
}

/* True where there is a hub. */
static bool attach(struct pw_station *station)
{
	uint64_t id = atomic_load(&station->db->hub);
	struct pw_strbuf names = PW_STRBUF_INIT;

	if (id <= PW_HUB_IN_THE_MAKING)
		return false;
	pw_hub_stop_seeking(&station->hub);
	station->attached = id;
	pw_subscriptions_ask_all(station, &names);
	return post_want(station, &names);
}

void pw_station_hub_came(struct pw_hubs *hubs, const struct pw_hub_mail *m)
{
	struct pw_station *station = station_of_db(hubs, m->text.data ? m->text.data : "");

	if (!station || station->attached == m->hub)
		return;
	if (station->attached != 0)
		lose_hub(station);
	(void)attach(station);
}

/* Somebody has to look for another one. */
static void seek(struct pw_station *station)
{
	PW_LIST_FOREACH (node, &station->subscribers) {
		struct pw_subscriber *s = PW_CONTAINER(node, struct pw_subscriber, node);

		if (pw_list_is_empty(&s->subscriptions) || s->is_away || !pw_hub_may_be_of(s->pool))
			continue;
		pw_hub_seek(&station->hub, s->pool, station->encoding);
		return;
	}
}

void pw_station_hub_gone(struct pw_hubs *hubs, const struct pw_hub_mail *m)
{
	struct pw_station *station = attached_station(hubs, m->hub);

	if (!station)
		return;
	lose_hub(station);
	tell_all(station);
	if (station->attached == 0)
		seek(station);
}

static bool is_of_hub(const struct pw_station *station, const char *encoding)
{
	return atomic_load(&station->db->hub_encoding) ==
	       pw_hub_encoding_id(station->hubs, encoding);
}

void pw_station_listens(struct pw_hubs *hubs, const struct pw_hub_mail *m)
{
	struct pw_station *station = attached_station(hubs, m->hub);
	bool is_first, is_ours;

	if (!station || m->ticket <= station->done_ticket)
		return;
	is_first = station->done_ticket < station->first_ticket;
	station->done_ticket = m->ticket;
	if (!is_first) {
		tell_waiting(station);
		return;
	}
	/* Another worker's hub may be of another encoding, if it thought that nobody heard any
	 * more. */
	is_ours = is_of_hub(station, station->encoding);
	PW_LIST_FOREACH (node, &station->subscribers) {
		struct pw_subscriber *s = PW_CONTAINER(node, struct pw_subscriber, node);

		pw_list_remove(&s->wait_node);
		s->is_on |= is_ours && !s->is_away && !s->from.is_awaited;
	}
	tell_all(station);
}

/* ---- what comes ---- */

static void take_mark(struct pw_station *station, const char *payload)
{
	struct pw_mark *mark = pw_mark_take(station, payload);

	if (mark && mark == &mark->subscriber->until)
		station->hubs->ops->on_change(mark->subscriber);
}

void pw_station_heard(struct pw_hubs *hubs, const struct pw_hub_mail *m)
{
	struct pw_station *station = attached_station(hubs, m->hub);
	const uint8_t *data = (const uint8_t *)m->text.data;

	for (size_t at = 0, len; station && at < m->text.len; at += len) {
		struct pw_notification n;

		len = 1 + pw_load_u32(data + at + 1);
		if (!pw_notification_read(data + at, len, &n))
			return;
		if (strcmp(n.channel, hubs->channel) == 0)
			take_mark(station, n.payload);
		else
			pw_subscriptions_give(station, &n, data + at, len);
	}
}

/* ---- wanting ---- */

static void post_drop(struct pw_station *station, struct pw_strbuf *dropped)
{
	/* Without memory the hub hears what nobody wants. */
	if (station->attached != 0 && dropped->len > 0)
		(void)pw_hub_post(station->hubs, pw_hub_worker(station->attached), PW_HUB_MAIL_DROP,
				  station->attached, 0, dropped);
	pw_strbuf_fini(dropped);
}

/* Its subscriptions are to these channels, and to no others. */
static bool set_channels(struct pw_subscriber *s, const struct pw_channels *channels)
{
	struct pw_strbuf dropped = PW_STRBUF_INIT;
	bool ok = pw_subscriptions_set(s, channels, &dropped);

	post_drop(s->station, &dropped);
	return ok;
}

/* Asks for what was not asked for yet. */
static bool ask(struct pw_subscriber *s)
{
	struct pw_strbuf names = PW_STRBUF_INIT;

	pw_subscriptions_ask(s, &names);
	return (names.len == 0 && !names.has_failed) || post_want(s->station, &names);
}

static void set_encoding(struct pw_station *station, const char *encoding)
{
	snprintf(station->encoding, sizeof(station->encoding), "%s", encoding);
}

static void wait(struct pw_subscriber *s)
{
	pw_list_remove(&s->wait_node);
	pw_list_append(&s->station->waiting, &s->wait_node);
}

enum pw_hub_answer pw_subscriber_want(struct pw_subscriber *s, const struct pw_channels *channels,
				      const char *encoding)
{
	struct pw_station *station = s->station;

	if (!set_channels(s, channels))
		return PW_HUB_NONE;
	if (station->attached == 0 && !attach(station)) {
		if (atomic_load(&station->db->hub) == 0)
			return PW_HUB_NONE;
		wait(s);
		return PW_HUB_AWAITED;
	}
	if (!is_of_hub(station, encoding) || !ask(s))
		return PW_HUB_NONE;
	set_encoding(station, encoding);
#ifndef PW_MUTANT_HUB_NOT_AWAITED
	if (s->ticket > station->done_ticket) {
		wait(s);
		return PW_HUB_AWAITED;
	}
#endif
	return PW_HUB_LISTENS;
}

bool pw_subscriber_found(struct pw_subscriber *s, const struct pw_channels *channels,
			 const char *encoding, struct pw_loan *loan, bool is_kept)
{
	struct pw_station *station = s->station;
	struct pw_strbuf names = PW_STRBUF_INIT;

	if (station->attached != 0 || !pw_hub_may_be_of(loan->pool) || !set_channels(s, channels) ||
	    !pw_hub_take(&station->hub, loan, encoding, is_kept))
		return false;
	set_encoding(station, encoding);
	pw_subscriber_set_away(s, false);
	s->has_missed |= station->hub.state != PW_HUB_HERE;
	if (station->hub.state != PW_HUB_HERE)
		return true;
	/* Before anything is heard on it. The answer comes as to anybody else. */
	station->attached = station->hub.id;
	pw_subscriptions_ask_all(station, &names);
	pw_hub_want(&station->hub, station->hubs->pools->index, &names, ++station->last_ticket);
	pw_strbuf_fini(&names);
	s->is_on = station->attached != 0;
	return true;
}

bool pw_subscriber_is_settled(const struct pw_subscriber *s)
{
	const struct pw_station *station = s->station;

	return !station || station->attached == 0 || station->done_ticket >= station->first_ticket;
}

static void doubt(const struct pw_station *station)
{
	if (station->attached != 0)
		(void)pw_hub_post(station->hubs, pw_hub_worker(station->attached),
				  PW_HUB_MAIL_DOUBT, station->attached, 0, NULL);
}

void pw_subscriber_doubt(struct pw_subscriber *s)
{
	if (s->station)
		doubt(s->station);
}

/* ---- life ---- */

static struct pw_station *create_station(struct pw_hubs *hubs, const char *name)
{
	struct pw_station *station = calloc(1, sizeof(*station));

	if (!station)
		return NULL;
	station->hubs = hubs;
	pw_list_init(&station->subscribers);
	pw_list_init(&station->waiting);
	pw_list_init(&station->marks_by_age);
	pw_map_init(&station->channels);
	pw_map_init(&station->marks);
	station->db = pw_registry_db(hubs->pools->registry, name);
	if (station->db && pw_hub_init(&station->hub, hubs, station->db) == PW_OK) {
		pw_list_append(&hubs->stations, &station->node);
		return station;
	}
	if (station->db)
		pw_registry_put_db(hubs->pools->registry, station->db);
	free(station);
	return NULL;
}

void pw_station_destroy(struct pw_station *station)
{
	pw_assert(pw_list_is_empty(&station->subscribers));
	pw_hub_stop_seeking(&station->hub);
	pw_hub_give_up(&station->hub, "pgweir stops");
	pw_hub_fini(&station->hub);
	pw_list_remove(&station->node);
	pw_map_fini(&station->channels);
	pw_map_fini(&station->marks);
	pw_registry_put_db(station->hubs->pools->registry, station->db);
	free(station);
}

void pw_subscriber_init(struct pw_subscriber *s)
{
	memset(s, 0, sizeof(*s));
	pw_list_init(&s->node);
	pw_list_init(&s->wait_node);
	pw_list_init(&s->subscriptions);
	pw_list_init(&s->from.age_node);
	pw_list_init(&s->until.age_node);
	s->from.subscriber = s;
	s->until.subscriber = s;
	s->is_away = true;
}

enum pw_status pw_subscriber_join(struct pw_subscriber *s, struct pw_hubs *hubs,
				  struct pw_pool *pool)
{
	const char *name = pool->shared->db->name;
	struct pw_station *station = s->station ? s->station : station_of_db(hubs, name);

	if (!station)
		station = create_station(hubs, name);
	if (!station)
		return PW_ENOMEM;
	if (!s->station)
		pw_list_append(&station->subscribers, &s->node);
	s->station = station;
	s->pool = pool;
	return PW_OK;
}

void pw_subscriber_leave(struct pw_subscriber *s)
{
	static const struct pw_channels none = PW_CHANNELS_INIT;

	if (!s->station)
		return;
	(void)set_channels(s, &none);
	pw_mark_end(&s->from);
	pw_mark_end(&s->until);
	pw_subscriber_set_away(s, true);
	pw_list_remove(&s->node);
	pw_list_remove(&s->wait_node);
	pw_subscriber_init(s);
}

/* ---- from time to time ---- */

bool pw_station_tend(struct pw_station *station)
{
	pw_hub_tend(&station->hub);
	if (station->attached != 0 && atomic_load(&station->db->hub) != station->attached) {
		lose_hub(station);
		tell_all(station);
	}
	if (station->attached == 0 && !pw_list_is_empty(&station->subscribers) && !attach(station))
		seek(station);
	if (pw_mark_is_late(station))
		doubt(station);
	if (!pw_list_is_empty(&station->subscribers) || station->hub.state != PW_HUB_AWAY)
		return true;
	pw_station_destroy(station);
	return false;
}

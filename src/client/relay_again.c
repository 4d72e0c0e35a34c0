/* SPDX-License-Identifier: PostgreSQL
 *
 * A request that a replica was sent is kept until the first row of the answer (of several
 * statements until the end, if that is not long), and what comes before that is kept back: if the
 * replica refuses it, since it is a standby, or is lost, the request is fed again as if it had just
 * come, and runs on the primary. And what a client has seen by then, or done, is noted.
 */
#include "config.h"

#include <string.h>

#include "code_priv.h"
#include "names_priv.h"
#include "pgweir/base/sqlstate.h"
#include "pgweir/proto/writer.h"
#include "plan_priv.h"
#include "route_priv.h"

enum { KEPT_MAX = 512 };

/* It may hold parameters. What is small is of use again. */
static void empty(struct pw_strbuf *kept)
{
	if (kept->cap > KEPT_MAX) {
		pw_strbuf_wipe(kept);
		return;
	}
	if (kept->data)
		explicit_bzero(kept->data, kept->len);
	pw_strbuf_reset(kept);
}

static void end_repeat(struct pw_client *c)
{
	struct pw_client_route *route = c->route;

	if (!route->may_repeat)
		return;
	route->may_repeat = false;
	if (route->answer.len > 0)
		pw_batch_copy(pw_relay_to_client(c), route->answer.data, route->answer.len);
	empty(&route->answer);
	empty(&route->sent);
}

/* Is the message about the unnamed statement? */
static bool is_unnamed(const struct pw_piece *piece)
{
	struct pw_cursor body = pw_piece_body(piece);

	if (pw_frontend_messages.rows[piece->type].role == PW_ROLE_BIND)
		(void)pw_cursor_string(&body); /* its portal */
	return pw_cursor_string(&body)[0] == '\0';
}

/* Sent again, it would find another statement than it did, or none. */
static bool changes_what_was_used(struct pw_client_route *route, const struct pw_piece *piece)
{
	switch (pw_frontend_messages.rows[piece->type].role) {
	case PW_ROLE_BIND:
		route->has_bound = true;
		route->has_bound_earlier |= !route->has_parsed && is_unnamed(piece);
		return false;
	case PW_ROLE_PARSE:
		if (!is_unnamed(piece))
			return false;
		route->has_parsed = true;
		return route->has_bound_earlier;
	case PW_ROLE_CLOSE:
		return route->has_bound && piece->data[PW_HEADER_SIZE] == 'S';
	default:
		return false;
	}
}

void pw_route_keep(struct pw_client *c, const struct pw_piece *piece)
{
	struct pw_client_route *route = c->route;

	if (!route || !route->may_repeat || !pw_route_is_apart(c))
		return;
	if (route->sent.len + piece->len > pw_relay_held_max(c) ||
	    (piece->is_first && changes_what_was_used(route, piece))) {
		end_repeat(c);
		return;
	}
	pw_strbuf_add(&route->sent, piece->data, piece->len);
	if (route->sent.has_failed)
		end_repeat(c);
}

bool pw_route_keep_answer(struct pw_client *c, const void *data, size_t len)
{
	struct pw_client_route *route = c->route;

	if (!route || !pw_route_is_apart(c) || (!route->may_repeat && !route->is_repeating))
		return false;
	if (route->is_repeating)
		return true;
	if (route->answer.len + len > pw_relay_held_max(c)) {
		end_repeat(c);
		return false;
	}
	pw_strbuf_add(&route->answer, data, len);
	if (!route->answer.has_failed)
		return true;
	pw_client_fail(c, PW_SQLSTATE_OUT_OF_MEMORY, "out of memory");
	return true;
}

/* It comes before what the request itself brings. */
static bool is_ahead_of_rows(uint8_t type)
{
	switch (type) {
	case '1':
	case '2':
	case '3':
	case 't':
	case 'n':
	case 'T':
	case 'N':
	case 'S':
		return true;
	default:
		return false;
	}
}

static bool is_kept_back(const struct pw_client_route *route, uint8_t type)
{
	return is_ahead_of_rows(type) || (route->keeps_rows && type && strchr("DCIs", type));
}

/* Would the primary do it? Also what has nothing to do with standbys, in doubt: a read can be
 * done again. READ: no. */
static enum pw_route why_elsewhere(const struct pw_error_fields *fields)
{
	static const struct {
		const char *code;
		enum pw_route route;
	} rows[] = {
	    {PW_SQLSTATE_READ_ONLY_TRANSACTION, PW_ROUTE_REFUSED},
	    {PW_SQLSTATE_FEATURE_NOT_SUPPORTED, PW_ROUTE_REFUSED},
	    {PW_SQLSTATE_OBJECT_NOT_IN_STATE, PW_ROUTE_REFUSED},
	    {PW_SQLSTATE_SERIALIZATION_FAILURE, PW_ROUTE_LOST},
	    {PW_SQLSTATE_DEADLOCK_DETECTED, PW_ROUTE_LOST},
	};

	for (size_t i = 0; i < PW_COUNTOF(rows); i++) {
		if (strcmp(fields->sqlstate, rows[i].code) == 0)
			return rows[i].route;
	}
	return strcmp(fields->severity, "FATAL") == 0 || strcmp(fields->severity, "PANIC") == 0
		   ? PW_ROUTE_LOST
		   : PW_ROUTE_READ;
}

/* Half a message went to the server: the rest cannot go elsewhere. */
static bool is_in_midst(const struct pw_client *c)
{
	return c->reader.left > 0 && !c->reader.part && !c->is_dropping;
}

static bool is_under_way(const struct pw_client *c)
{
	return c->state == PW_CLIENT_RELAYING || c->state == PW_CLIENT_SETTLING ||
	       c->state == PW_CLIENT_PREPARING;
}

/* It may be the read that ends whoever runs it. Where the primary is not to run it, two replicas
 * have a try. */
static bool is_enough(const struct pw_client *c, enum pw_route because)
{
	bool is_never = c->loan.pool->conf.reading.primary_reads == PW_PRIMARY_READS_NEVER;

	return because == PW_ROUTE_LOST && c->route->n_lost >= (is_never ? 2U : 1U);
}

static void begin_repeat(struct pw_client *c, enum pw_route because)
{
	struct pw_client_route *route = c->route;

	route->n_lost += because == PW_ROUTE_LOST;
	route->is_repeating = true;
	route->because = because;
	pw_strbuf_fini(&route->answer);
	pw_plan_forget_repeat(c);
	if (c->state != PW_CLIENT_PREPARING)
		pw_client_goto(c, PW_CLIENT_PREPARING);
	/* The client's Sync may be held. */
	if (c->loan.link && c->loan.link->is_batch_open)
		(void)pw_plan_end_batch(c);
}

/* The primary has done what a replica would not. */
static void note_proof(struct pw_client *c, uint8_t type)
{
	if (is_ahead_of_rows(type))
		return;
	if (type != 'E')
		pw_route_remember(c, c->route->shape);
	c->route->is_proving = false;
}

/* What the client knows of its node is that it is a primary. */
static bool is_of_role(const struct pw_piece *piece)
{
	static const char name[] = "in_hot_standby";

	return piece->type == 'S' && piece->is_first &&
	       piece->len > PW_HEADER_SIZE + sizeof(name) &&
	       memcmp(piece->data + PW_HEADER_SIZE, name, sizeof(name)) == 0;
}

bool pw_route_hear(struct pw_client *c, const struct pw_piece *piece)
{
	struct pw_client_route *route = c->route;
	struct pw_error_fields fields;
	enum pw_route because;

	if (!route)
		return false;
	if (is_of_role(piece))
		return true;
	if (!pw_route_is_apart(c)) {
		if (route->is_proving)
			note_proof(c, piece->type);
		return false;
	}
	if (route->is_repeating)
		return true;
	if (!route->may_repeat)
		return false;
	if (is_kept_back(route, piece->type))
		return pw_route_keep_answer(c, piece->data, piece->len);
	if (piece->type == 'E' && piece->is_first && is_under_way(c)) {
		pw_parse_error_fields(piece->data + PW_HEADER_SIZE, piece->len - PW_HEADER_SIZE,
				      &fields);
		because = why_elsewhere(&fields);
		if (because != PW_ROUTE_READ && !is_in_midst(c) && !is_enough(c, because)) {
			begin_repeat(c, because);
			return true;
		}
	}
	end_repeat(c);
	return false;
}

/* Names that the request has made are not there when it is read again. */
static void unlist_made(struct pw_client *c, const struct pw_strbuf *sent)
{
	size_t at = 0;

	/* The last one may be no more than a part. */
	while (at + PW_HEADER_SIZE < sent->len) {
		const uint8_t *data = (const uint8_t *)sent->data + at;
		struct pw_cursor body =
		    pw_cursor(data + PW_HEADER_SIZE, sent->len - at - PW_HEADER_SIZE);
		struct pw_prepared_name *listed;

		if (pw_frontend_messages.rows[data[0]].role == PW_ROLE_PARSE) {
			listed = pw_prepared_find(c->prepared, pw_cursor_string(&body));
			if (listed && listed->made_in == c->route->serial)
				pw_prepared_unlist(listed);
		}
		at += pw_route_length(data);
	}
}

/* Has no link. The request, and what came behind it, is held as if it had just come. False: the
 * client is closed. */
static bool hold_again(struct pw_client *c)
{
	struct pw_client_route *route = c->route;
	struct pw_strbuf sent = route->sent;
	bool ok;

	route->sent = (struct pw_strbuf)PW_STRBUF_INIT;
	route->is_repeating = route->may_repeat = false;
	route->avoids_replicas = true;
	route->is_proving = route->because == PW_ROUTE_REFUSED && route->has_shape;
	unlist_made(c, &sent);
	pw_names_forget(c);
	pw_session_forget_effects(c);
	pw_prepared_forget_portals(c->prepared);
	pw_reader_give_back(&c->reader, &sent);
	if (c->held)
		pw_strbuf_add(&sent, c->held->data, c->held->len);
	pw_relay_drop_held(c);
	ok = !sent.has_failed && pw_relay_hold(c, sent.data, sent.len);
	pw_strbuf_wipe(&sent);
	if (ok)
		pw_client_goto(c, PW_CLIENT_ROUTING);
	return ok || pw_relay_out_of_memory(c);
}

/* Where only what was read counts, a write by itself is not to be seen. What is not noted is
 * missing if more is asked for later. */
static void note_seen(struct pw_client *c)
{
	enum pw_consistency wanted = c->loan.pool->conf.reading.consistency;
	struct pw_client_route *route = c->route;
	bool is_written = route->is_written && c->loan.link->transaction == 'I';

	route->is_written = false;
	/* Nor has one that went to a replica without a token been held to what it must see. */
	if (wanted == PW_CONSISTENCY_EVENTUAL || !pw_route_is_split(c) ||
	    (pw_route_is_apart(c) && !c->loan.token)) {
		route->noted_for = PW_CONSISTENCY_EVENTUAL;
		return;
	}
	if (wanted == PW_CONSISTENCY_MONOTONIC && is_written) {
		if (route->noted_for > PW_CONSISTENCY_MONOTONIC)
			route->noted_for = PW_CONSISTENCY_MONOTONIC;
		return;
	}
	pw_loan_note_seen(&c->loan, &route->token);
}

bool pw_route_ready(struct pw_client *c, bool was_swallowed)
{
	struct pw_client_route *route = c->route;
	struct pw_link *link = c->loan.link;

	if (!route)
		return false;
	if (route->is_beginning && was_swallowed && link->has_own_error) {
		struct pw_error err;

		pw_error_set(&err, link->own_sqlstate, "%s", link->own_error);
		pw_error_detail(&err, "The transaction could not be begun.");
		pw_link_close(link, PW_LINK_END_CLEAN, err.message, &err);
		return true;
	}
	route->is_beginning &= was_swallowed;
	if (!was_swallowed) {
		note_seen(c);
		route->lost_since_us = route->n_lost = route->n_refused = 0;
	}
	if (!route->is_repeating || link->expects.n > 0)
		return route->is_repeating;
	pw_clients_flush(c->clients);
	/* It has failed, so it has left nothing; but names with a dot may be there, and those of
	 * statements. */
	link->facts.must_close |= c->session->effects.flags != 0;
	link->must_reset |= pw_names_are_there(c);
	pw_pool_return(&c->loan, false, false);
	pw_route_leave(c);
	if (c->state != PW_CLIENT_CLOSED && hold_again(c))
		pw_route_feed(c);
	return true;
}

bool pw_route_is_repeating(const struct pw_client *c)
{
	return c->route && c->route->is_repeating;
}

/* Not so if it was we who had enough of it. */
static bool is_lost(const struct pw_error *err)
{
	return !err || strcmp(err->sqlstate, PW_SQLSTATE_ADMIN_SHUTDOWN) == 0 ||
	       strncmp(err->message, "server conn", 11) == 0;
}

bool pw_route_lost(struct pw_client *c, const struct pw_error *err)
{
	struct pw_client_route *route = c->route;

	if (!route || !pw_route_is_apart(c) || !is_lost(err))
		return false;
	if (c->state == PW_CLIENT_SYNCING) {
		pw_route_go_elsewhere(c);
		return true;
	}
	if ((!route->may_repeat && !route->is_repeating) || !is_under_way(c) || is_in_midst(c))
		return false;
	if (!route->is_repeating && is_enough(c, PW_ROUTE_LOST))
		return false;
	if (!route->is_repeating)
		begin_repeat(c, PW_ROUTE_LOST);
	pw_route_leave(c);
	/* Not within a call of the pool's. */
	if (c->state != PW_CLIENT_CLOSED && hold_again(c))
		pw_task_post(c->clients->loop, &route->again);
	return true;
}

/* SPDX-License-Identifier: PostgreSQL
 *
 * How a request comes to its node. It is gathered (ROUTING) and looked at (route.c); then the loan
 * moves to the pool of the replicas or to that of the primary, and everything goes on as without
 * routing. A BEGIN is told to be done at once: what follows it says where it is to be sent.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "pgweir/base/sqlstate.h"
#include "pgweir/pool/catalog.h"
#include "pgweir/proto/writer.h"
#include "plan_priv.h"
#include "route_priv.h"

enum { BEGUN_MAX = 1024 };

/* ---- its life ---- */

void pw_route_feed(struct pw_client *c)
{
	pw_client_goto(c, PW_CLIENT_READY);
	pw_relay_release(c);
}

static void run_again(struct pw_task *task)
{
	struct pw_client *c = PW_CONTAINER(task, struct pw_client_route, again)->client;

	if (c->state == PW_CLIENT_ROUTING)
		pw_route_feed(c);
}

static struct pw_client_route *route_of(struct pw_client *c)
{
	return pw_route_get(c, run_again);
}

/* ---- what the session is like ---- */

static bool is_set(const struct pw_client *c, const char *name, const char *to)
{
	const char *value = c->settings->n > 0 ? pw_state_find(c->settings, name) : NULL;

	return value && strcmp(value, to) == 0;
}

/* Of a setting that may be among the tracked ones. */
static bool is_param(const struct pw_client *c, int index, const char *name, const char *to)
{
	if (index < 0)
		return is_set(c, name, to);
	return c->params->values[index] && strcmp(c->params->values[index], to) == 0;
}

/* It stays where it has what cannot be carried, or what a standby cannot do. */
static bool stays(const struct pw_client *c)
{
	return c->session->pins != 0 || c->session->listening ||
	       is_param(c, c->clients->isolation, "default_transaction_isolation", "serializable");
}

/* ---- beginning ---- */

static bool may_be_told(const struct pw_client *c, const struct pw_request *request)
{
	const unsigned deeds = PW_SQL_TRANSACTION_BEGINS | PW_SQL_TRANSACTION_ENDS |
			       PW_SQL_TRANSACTION_MARKS | PW_SQL_TRANSACTION_SETS;
	unsigned wanted =
	    pw_route_has_begun(c) ? PW_SQL_TRANSACTION_SETS : PW_SQL_TRANSACTION_BEGINS;

	return request->route == PW_ROUTE_READ && request->n_statements == 1 &&
	       request->kinds == 1u << PW_SQL_READ_TRANSACTION &&
	       (request->transaction & deeds) == wanted;
}

static void tell(struct pw_client *c, const char *tag)
{
	struct pw_strbuf out = PW_STRBUF_INIT;

	pw_write_message(&out, 'C', tag, strlen(tag) + 1);
	pw_write_ready(&out, 'T');
	if (out.has_failed) {
		pw_relay_out_of_memory(c);
	} else {
		c->loan.pool->stats.now.sent += out.len;
		pw_batch_copy(pw_relay_to_client(c), out.data, out.len);
	}
	pw_strbuf_fini(&out);
}

/* Most texts do not, and are looked at later. */
static bool may_begin(struct pw_cursor *body)
{
	const char *text;

	if (!pw_route_may_begin_with(body, "beg") && !pw_route_may_begin_with(body, "sta") &&
	    !pw_route_may_begin_with(body, "set"))
		return false;
	text = pw_route_skip(pw_cursor_string(body), true);
	return pw_route_begins_with(text, "begin") || pw_route_begins_with(text, "start") ||
	       pw_route_begins_with(text, "set");
}

static const char *tag_of(const struct pw_request *request)
{
	if (request->transaction & PW_SQL_TRANSACTION_SETS)
		return "SET";
	return request->firsts & PW_SQL_BIT(START) ? "START TRANSACTION" : "BEGIN";
}

bool pw_route_begins(struct pw_client *c, const struct pw_piece *piece)
{
	struct pw_cursor body = pw_piece_body(piece);
	struct pw_client_route *route;
	struct pw_request request;
	const char *text;

	if (!piece->is_last || piece->len > BEGUN_MAX || !pw_route_is_split(c) ||
	    !may_begin(&body) || body.has_failed || stays(c) ||
	    c->loan.mode != PW_MODE_TRANSACTION || c->clients->is_draining ||
	    c->clients->pools->snapshot->conf->disable_pqexec)
		return false;
	text = (const char *)pw_piece_body(piece).at;
	request = pw_route_request(c);
	pw_route_look_at_text(c, text, strlen(text), &request);
	if (!may_be_told(c, &request) || !(route = route_of(c)) ||
	    route->begun.len + piece->len > BEGUN_MAX)
		return false;
	pw_strbuf_add(&route->begun, piece->data, piece->len);
	if (route->begun.has_failed)
		return false;
	route->n_begun++;
	route->begun_as |= request.transaction;
	route->told_us = c->clients->loop->now_us;
	pw_unnamed_forget(c);
	tell(c, tag_of(&request));
	return true;
}

/* ---- choosing ---- */

static bool is_read_only(const struct pw_client *c, unsigned transaction)
{
	return !(transaction & PW_SQL_TRANSACTION_READ_WRITE) &&
	       (transaction & PW_SQL_TRANSACTION_READ_ONLY ||
		is_param(c, c->clients->read_only, "default_transaction_read_only", "on"));
}

/* It may end in another transaction than it began, or in one that may write after all. */
static bool goes_on_otherwise(unsigned transaction)
{
	const unsigned undone = PW_SQL_TRANSACTION_SETS | PW_SQL_TRANSACTION_MARKS;

	return transaction & PW_SQL_TRANSACTION_BEGINS_AGAIN || (transaction & undone) == undone;
}

/* In a transaction that may not write; or a read alone. */
static bool may_be_apart(const struct pw_client *c, const struct pw_request *request)
{
	const unsigned in_transaction = 1u << PW_SQL_READ_TRANSACTION | 1u << PW_SQL_READ_CURSOR;
	unsigned transaction = request->transaction;
	bool begins = (transaction & PW_SQL_TRANSACTION_BEGINS) != 0;

	if (pw_route_has_begun(c)) {
		transaction |= c->route->begun_as;
		begins = true;
	}
	if (transaction & PW_SQL_TRANSACTION_SERIALIZABLE || request->begins_again ||
	    goes_on_otherwise(request->transaction))
		return false;
	/* Alone it says nothing of what will follow. */
	if (request->kinds == 1u << PW_SQL_READ_TRANSACTION &&
	    request->transaction & PW_SQL_TRANSACTION_BEGINS)
		return false;
	if (pw_route_has_begun(c) && request->has_ended)
		return false;
	return begins ? is_read_only(c, transaction) : !(request->kinds & in_transaction);
}

/* NULL = it need see nothing in particular. */
static struct pw_token *token_of(struct pw_client *c)
{
	return c->loan.pool->conf.reading.consistency == PW_CONSISTENCY_EVENTUAL ? NULL
										 : &c->route->token;
}

static enum pw_reading may_read(struct pw_client *c, struct pw_pool *replicas)
{
	/* What others have done until now is what it is to see. */
	if (replicas->conf.reading.consistency == PW_CONSISTENCY_GLOBAL &&
	    c->route->waits_since_us == 0)
		pw_pool_note_now(replicas, &c->route->token);
	return pw_pool_may_read(replicas, token_of(c));
}

/* What was not noted, as nobody asked for it then, is all that there is by now. */
static void catch_up(struct pw_client *c)
{
	enum pw_consistency wanted = c->loan.pool->conf.reading.consistency;

	if (wanted > PW_CONSISTENCY_SESSION)
		wanted = PW_CONSISTENCY_SESSION;
	if (c->route->noted_for >= wanted)
		return;
	pw_pool_note_now(c->loan.pool, &c->route->token);
	c->route->noted_for = PW_CONSISTENCY_SESSION;
}

static bool may_fall_back(const struct pw_pool *pool)
{
	return pool->conf.reading.primary_reads != PW_PRIMARY_READS_NEVER;
}

/* It has been to replicas. Where one is left that might have run it as well, the primary does it
 * all the same, if it may; where none is, it is one of many. Has it got no link to it in the place
 * of replicas, and need not be counted, its own pool may have one. */
static bool is_for_primary(struct pw_client *c)
{
	struct pw_pool *replicas;

	if (c->route->because != PW_ROUTE_LOST)
		return true;
	replicas = pw_pools_get_replicas(c->loan.pool);
	return may_fall_back(c->loan.pool) &&
	       (!replicas || pw_pool_has_replicas(replicas) ||
		(c->route->n_refused > 0 && c->loan.pool->cluster_conf.primary_overflow_max <= 0));
}

static enum pw_route decide_read(struct pw_client *c)
{
	static const enum pw_route routes[] = {
	    [PW_READING_GOES] = PW_ROUTE_READ,        [PW_READING_OVERFLOWS] = PW_ROUTE_OVERFLOW,
	    [PW_READING_IS_BEHIND] = PW_ROUTE_UNSEEN, [PW_READING_WAITS] = PW_ROUTE_NOWHERE,
	    [PW_READING_FAILS] = PW_ROUTE_NOWHERE,
	};
	struct pw_pool *replicas = pw_pools_get_replicas(c->loan.pool);
	enum pw_reading reading = replicas ? may_read(c, replicas) : PW_READING_IS_BEHIND;

	c->route->must_fail = reading == PW_READING_FAILS;
	return routes[reading];
}

static enum pw_route decide(struct pw_client *c, struct pw_request *request, enum pw_extent extent,
			    const struct pw_piece *piece, const struct pw_slice *rest)
{
	/* Wherever it runs: the next one may be given another. */
	pw_route_import(c);
	if (c->route->avoids_replicas) {
		c->route->avoids_replicas = false;
		if (is_for_primary(c))
			return c->route->because;
		c->route->must_fail = false;
		if (!may_fall_back(c->loan.pool))
			return PW_ROUTE_NOWHERE;
	}
	if (stays(c))
		return PW_ROUTE_SESSION;
	if (is_set(c, "pgweir.route", "primary"))
		return PW_ROUTE_HINT;
	request->is_trusted = is_set(c, "pgweir.route", "replica");
	catch_up(c);
	if (extent == PW_EXTENT_OPEN)
		return PW_ROUTE_UNREAD;
	pw_route_look(c, piece, rest, request);
	if (request->route != PW_ROUTE_READ)
		return request->route;
	if (!may_be_apart(c, request))
		return PW_ROUTE_TRANSACTION;
	return decide_read(c);
}

static void count(struct pw_client *c, unsigned i)
{
	struct pw_pool *home = pw_route_home(c);

	if (home)
		home->routed[i]++;
}

static void go_to_replicas(struct pw_client *c, const struct pw_request *request)
{
	struct pw_client_route *route = c->route;

	pw_loan_move(&c->loan, pw_pools_get_replicas(c->loan.pool));
	c->loan.token = token_of(c);
	route->shape = request->shape;
	route->has_shape = request->n_texts == 1;
	route->serial++;
	/* What has begun was told to be done. */
	route->may_repeat =
	    route->n_begun == 0 && !(request->transaction & PW_SQL_TRANSACTION_BEGINS);
	route->reads_by_name = route->may_repeat && !request->has_trusted &&
			       request->kinds & 1u << PW_SQL_READ_EXECUTE;
	route->has_bound = route->has_parsed = route->has_bound_earlier = false;
	route->keeps_rows = request->n_runs > 1;
}

static unsigned version_of(const struct pw_pool *pool)
{
	return pool->cluster ? atomic_load(&pool->cluster->version) : 0;
}

/* What is at hand is held first. */
static void wait_for_replica(struct pw_client *c)
{
	uint64_t limit = pw_route_patience_for_replica(c);

	if (!pw_route_is_lost_for_long(c, limit) && pw_route_waits(c, limit))
		return;
	c->route->has_failed = true;
	pw_client_goto(c, PW_CLIENT_ROUTING);
	pw_loop_arm(c->clients->loop, &c->timer, 1);
}

static void fail_for_replica(struct pw_client *c)
{
	const struct pw_pool *pool = c->loan.pool;
	struct pw_error err;

	c->route->has_failed = false;
	c->route->waits_since_us = c->route->lost_since_us = c->route->n_lost = 0;
	count(c, PW_ROUTE_NOWHERE);
	pw_error_set(&err, PW_SQLSTATE_CANNOT_CONNECT_NOW, "no replica can run this read");
	pw_error_detail(&err,
			"No replica of cluster \"%.63s\" is fresh enough and has all that the "
			"session must see, and the primary is not to run it (%s).",
			pool->cluster ? pool->cluster->name : "",
			may_fall_back(pool) ? "all_lagging = error" : "primary_reads = never");
	pw_error_hint(&err, "SHOW NODES on the console says why. With /* pgweir: primary */ at its "
			    "beginning it runs on the primary.");
	if (!pw_route_refuse_held(c, &err))
		pw_client_close(c, err.message, &err);
}

/* To wait for a replica is part of it, as to wait for a link is. */
static bool is_past_query_timeout(const struct pw_client *c)
{
	uint64_t limit = c->loan.pool->conf.query_timeout;
	uint64_t since_us = c->route->waits_since_us;

	return limit > 0 && since_us > 0 &&
	       pw_clock_since(since_us, c->clients->loop->now_us) >= limit;
}

/* What is held is not read again for nothing. */
static bool has_news(const struct pw_client *c)
{
	const struct pw_client_route *route = c->route;

	return version_of(c->loan.pool) != route->looked_at ||
	       (route->waits_until_us > 0 && c->clients->loop->now_us >= route->waits_until_us);
}

bool pw_route_on_timeout(struct pw_client *c)
{
	if (!c->route || (c->route->waits_since_us == 0 && !c->route->has_failed))
		return false;
	if (is_past_query_timeout(c))
		pw_client_fail(c, PW_SQLSTATE_PROTOCOL_VIOLATION, "query_timeout");
	else if (c->route->has_failed)
		fail_for_replica(c);
	else if (has_news(c))
		pw_route_feed(c);
	else
		pw_loop_arm(c->clients->loop, &c->timer, PW_ROUTE_LOOK_AGAIN_US);
	return true;
}

bool pw_route_choose(struct pw_client *c, const struct pw_piece *piece, const struct pw_slice *rest)
{
	struct pw_request request;
	enum pw_extent extent;
	enum pw_route route;

	if (!pw_route_is_split(c))
		return true;
	if (!route_of(c))
		return pw_relay_out_of_memory(c);
	extent = pw_route_measure(c, piece, rest);
	if (extent == PW_EXTENT_PART) {
		pw_client_goto(c, PW_CLIENT_ROUTING);
		return false;
	}
	/* What was decided before more came does not hold for what is decided now. */
	c->route->has_failed = false;
	c->route->looked_at = version_of(c->loan.pool);
	request = pw_route_request(c);
	route = decide(c, &request, extent, piece, rest);
	if (route == PW_ROUTE_UNSEEN && pw_route_waits(c, pw_route_patience(c)))
		return false;
	if (route == PW_ROUTE_NOWHERE) {
		wait_for_replica(c);
		return false;
	}
	pw_route_note_tie(c, route);
	/* A read may have to wait on: see pw_route_suits(). */
	if (route != PW_ROUTE_READ)
		c->route->waits_since_us = 0;
	c->route->is_written =
	    route == PW_ROUTE_WRITE && request.n_texts == 1 && request.is_plain_write;
	c->route->is_unseen = route == PW_ROUTE_UNSEEN;
	if (route == PW_ROUTE_READ || route == PW_ROUTE_OVERFLOW) {
		c->route->goes_as = route;
		go_to_replicas(c, &request);
		return true;
	}
	count(c, route == PW_ROUTE_DOUBT ? PW_ROUTE_N + request.doubt : route);
	return true;
}

void pw_route_go_on(struct pw_client *c)
{
	if (pw_route_measure_held(c) != PW_EXTENT_PART)
		pw_route_feed(c);
}

/* ---- the link ---- */

bool pw_route_send_begun(struct pw_client *c,
			 bool (*send)(struct pw_client *c, const struct pw_piece *piece))
{
	struct pw_client_route *route = c->route;
	struct pw_strbuf begun = route->begun;
	struct pw_piece piece = {
	    .type = 'Q', .is_first = true, .is_last = true, .is_transient = true};
	bool ok = true;

	route->begun = (struct pw_strbuf)PW_STRBUF_INIT;
	route->n_begun = route->begun_as = 0;
	route->is_beginning = route->is_sending = true;
	if (!c->loan.link->is_syncing)
		c->loan.link->has_own_error = false;
	for (size_t at = 0; ok && at < begun.len; at += piece.len) {
		piece.data = (const uint8_t *)begun.data + at;
		piece.total = pw_route_length(piece.data);
		piece.len = piece.total;
		ok = send(c, &piece);
	}
	pw_strbuf_wipe(&begun);
	/* A client that is closed has no route any more. */
	if (ok)
		route->is_sending = false;
	return ok;
}

/* What a node had shown it, links that were opened since do not show. Where no replica is fresh
 * enough it is one of many then, and counted. */
static bool shows_no_more(struct pw_client *c)
{
	struct pw_token *token = &c->route->token;
	bool had_shown = token->has_shown;

	if (pw_pool_has_replicas(c->loan.pool))
		return false;
	token->has_shown = false;
	return had_shown;
}

/* The link may not be one on which the client may read after all: if it was opened for it, what is
 * known of its server is of before that. The next round tells more. */
bool pw_route_suits(struct pw_client *c)
{
	if (!pw_route_is_apart(c) || pw_loan_reads_right(&c->loan)) {
		if (pw_route_is_apart(c))
			count(c, c->route->goes_as);
		if (c->route)
			c->route->waits_since_us = c->route->queued_since_us = 0;
		return true;
	}
	if (c->state != PW_CLIENT_QUEUED)
		pw_client_goto(c, PW_CLIENT_QUEUED);
	pw_pool_return(&c->loan, false, false);
	if (!may_fall_back(c->loan.pool) || shows_no_more(c)) {
		pw_route_go_elsewhere(c);
		return false;
	}
	pw_route_leave(c);
	if (c->state == PW_CLIENT_CLOSED || pw_route_waits(c, pw_route_patience_for_link(c)))
		return false;
	c->route->waits_since_us = 0;
	c->route->is_unseen = true;
	count(c, PW_ROUTE_UNSEEN);
	if (!pw_pool_borrow(&c->loan))
		return false;
	c->route->queued_since_us = 0;
	return true;
}

void pw_route_follow(struct pw_client *c, const struct pw_cluster *cluster)
{
	struct pw_pool *pool = c->loan.pool;

	if (!c->route || !c->route->is_unseen || c->state != PW_CLIENT_QUEUED ||
	    pw_route_is_apart(c) || pool->cluster != cluster || !pw_pool_primary_is_lost(pool))
		return;
	if (c->route->queued_since_us == 0)
		c->route->queued_since_us = c->state_since_us;
	/* Its timer has the next word, and not before the news that come one after the other. */
	if (pw_client_queue_limit(c) == 1)
		return;
	pw_pool_withdraw(&c->loan);
	pw_client_goto(c, PW_CLIENT_ROUTING);
	pw_task_post(c->clients->loop, &c->route->again);
}

unsigned pw_route_flags(const struct pw_client *c)
{
	return c->route && c->route->is_sending ? PW_EXPECT_SWALLOW : 0;
}

/* What is held is routed once more, and to the primary. Not within a call of the pool's. */
void pw_route_go_elsewhere(struct pw_client *c)
{
	pw_route_leave(c);
	if (c->state == PW_CLIENT_CLOSED)
		return;
	c->route->avoids_replicas = true;
	c->route->because = PW_ROUTE_LOST;
	pw_client_goto(c, PW_CLIENT_ROUTING);
	pw_task_post(c->clients->loop, &c->route->again);
}

/* ---- refusing ---- */

bool pw_route_refuse_held(struct pw_client *c, struct pw_error *err)
{
	struct pw_strbuf out = PW_STRBUF_INIT;
	size_t len = c->held ? pw_route_first_held(c->held) : 0;
	bool is_queued = c->state == PW_CLIENT_QUEUED;
	bool is_free = is_queued || c->state == PW_CLIENT_ROUTING;

	/* A transaction that has begun, and of which no server knows, would go on. */
	if (len == 0 || pw_route_has_begun(c))
		return false;
	err->severity = PW_SEVERITY_ERROR;
	pw_write_error(&out, err);
	pw_write_ready(&out, 'I');
	pw_strbuf_consume(c->held, len);
	c->request_us = 0;
	if (c->route)
		c->route->waits_since_us = c->route->lost_since_us = c->route->queued_since_us =
		    c->route->n_lost = c->route->n_refused = 0;
	if (is_queued)
		pw_pool_withdraw(&c->loan);
	if (is_free) {
		pw_client_goto(c, PW_CLIENT_READY);
		pw_route_leave(c);
	}
	pw_client_send(c, out.data, out.len);
	pw_strbuf_fini(&out);
	if (is_free && c->state != PW_CLIENT_CLOSED)
		pw_relay_release(c);
	return true;
}

static bool may_not_read_elsewhere(const struct pw_pool *replicas)
{
	return replicas->conf.reading.all_lagging == PW_ALL_LAGGING_ERROR;
}

bool pw_route_refused(struct pw_client *c, const struct pw_error *err)
{
	struct pw_error own = *err;

	if (!pw_route_is_apart(c) || c->state != PW_CLIENT_QUEUED)
		return false;
	/* Else who is refused by a primary that lets nobody in would ask it for ever. */
	c->route->n_refused += may_fall_back(c->loan.pool);
	if (may_not_read_elsewhere(c->loan.pool) || c->route->n_refused > 1)
		return pw_route_refuse_held(c, &own);
	pw_route_go_elsewhere(c);
	return true;
}

bool pw_route_must_wait(const struct pw_client *c)
{
	const struct pw_link *link = c->loan.link;

	return pw_route_is_apart(c) && !link->is_batch_open && link->expects.n > 0 &&
	       !pw_link_owes_only_ahead(link) && !pw_link_awaits_borrower(link);
}

void pw_route_leave(struct pw_client *c)
{
	struct pw_pool *home;

	if (!pw_route_is_apart(c))
		return;
	c->loan.token = NULL;
	c->route->may_repeat = false;
	home = pw_route_home(c);
	if (home)
		pw_loan_move(&c->loan, home);
	else
		pw_client_fail(c, PW_SQLSTATE_PROTOCOL_VIOLATION, "database removed");
}

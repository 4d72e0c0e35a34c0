/* SPDX-License-Identifier: PostgreSQL
 *
 * The relay: client messages to the link, server messages to the client.
 *
 * A client gets a link when its first message needs one and keeps it until the server has said
 * that nothing is owed and no transaction is open (pool modes transaction and statement), or until
 * it leaves (session). While it waits, its bytes are held as they came. One chunk of input leaves
 * in one write; a full destination stops the source.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "client_priv.h"
#include "code_priv.h"
#include "listening_priv.h"
#include "names_priv.h"
#include "pgweir/base/assert.h"
#include "pgweir/pool/known.h"
#include "pgweir/proto/writer.h"
#include "pgweir/session/sync.h"
#include "plan_priv.h"
#include "route_priv.h"

enum { OWED_MAX = 64 * 1024 };

static struct pw_link *link_of(const struct pw_client *c)
{
	return c->loan.link;
}

/* ---- getting and leaving a link ---- */

static void on_link(struct pw_loan *loan)
{
	struct pw_client *c = PW_CONTAINER(loan, struct pw_client, loan);

	PW_CHECK_MAGIC(c, PW_CLIENT_MAGIC);
	if (c->state == PW_CLIENT_LOOKUP) {
		pw_lookup_on_link(c);
		return;
	}
	if (c->state == PW_CLIENT_LINKING) {
		pw_login_finish(c);
		return;
	}
	if (!pw_route_suits(c))
		return;
	pw_relay_begin(c);
	if (c->state == PW_CLIENT_RELAYING)
		pw_relay_release(c);
}

static void on_welcome(struct pw_loan *loan)
{
	pw_login_finish(PW_CONTAINER(loan, struct pw_client, loan));
}

static void on_refused(struct pw_loan *loan, const struct pw_error *err)
{
	struct pw_client *c = PW_CONTAINER(loan, struct pw_client, loan);

	if (c->state == PW_CLIENT_LOOKUP)
		pw_lookup_on_refused(c, err);
	else if (c->state != PW_CLIENT_CLOSED && !pw_route_refused(c, err))
		pw_client_close(c, err->message, err);
}

static void on_lost(struct pw_loan *loan, const struct pw_error *err)
{
	struct pw_client *c = PW_CONTAINER(loan, struct pw_client, loan);
	struct pw_error own;

	if (c->state == PW_CLIENT_CLOSED)
		return;
	/* What was meant for the lost link has no taker. */
	c->clients->to_server.n = 0;
	c->clients->to_server.stream = NULL;
	if (pw_route_lost(c, err))
		return;
	if (c->state == PW_CLIENT_LOOKUP) {
		pw_error_set(&own, PW_SQLSTATE_PROTOCOL_VIOLATION, "bouncer config error");
		err = &own;
	}
	pw_client_close(c, err ? err->message : "server closed the connection", err);
}

/* ---- client to server ---- */

/* Nobody owes an answer to these: what they belong to, if anything, has begun already. */
static bool is_unanswered(uint8_t type)
{
	const unsigned roles = 1u << PW_ROLE_FLUSH | 1u << PW_ROLE_COPY_DATA |
			       1u << PW_ROLE_COPY_END | 1u << PW_ROLE_TERMINATE;

	return roles >> pw_frontend_messages.rows[type].role & 1;
}

static void note_request(struct pw_client *c, uint8_t type)
{
	struct pw_link *link = link_of(c);
	struct pw_pool *pool = c->loan.pool;
	uint64_t now = c->clients->loop->now_us;

	if (is_unanswered(type) && link && link->expects.n == 0)
		return;
	if (pw_client_pinned_us(c) > 0)
		pw_timer_disarm(&c->timer); /* pin_timeout */
	if (c->request_us == 0) {
		c->request_us = c->last_request_us = now;
		pool->stats.now.query_count++;
	}
	if (!link)
		return;
	if (link->request_us == 0 || !pw_link_has_request(link))
		link->request_us = now;
	if (link->transaction_us == 0) {
		link->transaction_us = now;
		pool->stats.now.xact_count++;
	}
}

/* It has done something, though no server heard of it. */
static void restart_idle_timer(struct pw_client *c)
{
	uint64_t limit = pw_client_idle_limit(c);

	if (c->state == PW_CLIENT_READY && limit > 0)
		pw_loop_arm(c->clients->loop, &c->timer, limit);
}

/* Without a Sync the server might keep the answers that are waited for to itself. */
static void begin_settling(struct pw_client *c)
{
	static const uint8_t flush[] = {'H', 0, 0, 0, 4};

	pw_batch_copy(pw_relay_to_server(c), flush, sizeof(flush));
	pw_client_goto(c, PW_CLIENT_SETTLING);
}

static void end_settling(struct pw_client *c)
{
	pw_client_goto(c, PW_CLIENT_RELAYING);
	/* What waits may be for another node. */
	if (pw_route_is_apart(c))
		pw_relay_leave_if_free(c);
	if (c->state == PW_CLIENT_RELAYING || c->state == PW_CLIENT_READY)
		pw_relay_release(c);
}

/* Has the client a link that can take the message now? Else it waits, or is closed. */
static bool is_ready_for(struct pw_client *c, const struct pw_piece *piece,
			 const struct pw_slice *rest)
{
	if (!link_of(c) && c->state == PW_CLIENT_READY) {
		if (!pw_route_choose(c, piece, rest))
			return false;
		c->loan.wants = !pw_route_is_apart(c) && pw_session_asks_elsewhere(c, piece)
				    ? c->loan.drawn_on
				    : 0;
		return pw_relay_acquire(c);
	}
	if (!link_of(c) || (!pw_route_must_wait(c) && !pw_relay_must_wait(c, piece)))
		return true;
	begin_settling(c);
	return false;
}

static bool hold_rest(struct pw_client *c, struct pw_slice *in)
{
	if (!pw_relay_hold(c, in->data, in->len))
		return pw_relay_out_of_memory(c);
	in->len = 0;
	return true;
}

/* The message waits, and all that follows it. */
static bool hold_from(struct pw_client *c, const struct pw_piece *piece, struct pw_slice *in)
{
	pw_reader_unread(&c->reader);
	if (!pw_relay_hold(c, piece->data, piece->len))
		return pw_relay_out_of_memory(c);
	return hold_rest(c, in);
}

/* Goes through what can be done now; what is left of `in` must be held. False = closed. */
static bool take_piece(struct pw_client *c, const struct pw_piece *piece, struct pw_slice *in)
{
	if (!piece->is_first) {
		if (!c->is_dropping && link_of(c))
			pw_relay_pass_on(c, piece);
	} else if (link_of(c) || pw_relay_begin_unlinked(c, piece) == PW_UNLINKED_NEEDS_LINK) {
		if (!is_ready_for(c, piece, in))
			return c->state != PW_CLIENT_CLOSED && hold_from(c, piece, in);
		note_request(c, piece->type);
		if (pw_route_has_begun(c) && !pw_route_send_begun(c, pw_relay_begin_message))
			return false;
		if (!pw_relay_begin_message(c, piece))
			return false;
		if (c->state == PW_CLIENT_PREPARING)
			return hold_from(c, piece, in);
	} else if (c->state == PW_CLIENT_CLOSED) {
		return false;
	} else {
		restart_idle_timer(c);
	}
	c->loan.pool->stats.now.received += piece->len;
	if (c->is_tracking)
		pw_plan_keep(c, piece);
	pw_route_keep(c, piece);
	if (piece->is_last) {
		c->is_dropping = false;
		if (link_of(c))
			pw_relay_leave_if_free(c);
	}
	if (c->state == PW_CLIENT_ASKING || c->state == PW_CLIENT_UNLISTENING)
		return hold_rest(c, in);
	return c->state != PW_CLIENT_CLOSED;
}

static void refuse_input(struct pw_client *c, enum pw_status status, const struct pw_piece *piece)
{
	struct pw_error err;

	if (status == PW_ENOMEM) {
		pw_relay_out_of_memory(c);
		return;
	}
	pw_error_set(&err, PW_SQLSTATE_PROTOCOL_VIOLATION, "unknown pkt");
	if (status == PW_ELIMIT)
		pw_error_detail(&err, "A message of %u bytes is longer than max_packet_size.",
				(unsigned)piece->total);
	else
		pw_error_detail(&err, "Message type 0x%02x, length %u.", piece->type,
				(unsigned)piece->total);
	pw_client_close(c, err.message, &err);
}

/* More answers outstanding than anybody needs who reads them. Not while the server waits for the
 * client and answers nothing before: in a COPY, or up to the Sync behind an error. */
static bool owes_too_much(const struct pw_link *link)
{
	return link->expects.n > OWED_MAX && !link->is_skipping && !link->is_copy_in &&
	       !link->is_copy_both;
}

/* A destination that takes no more, or answers no more, stops the source. */
static void throttle(struct pw_client *c)
{
	struct pw_link *link = link_of(c);

	/* Not behind half a message: what is sent then would be taken for the rest of it. */
	if (link && owes_too_much(link) && c->stream.is_reading && c->reader.left == 0) {
		static const uint8_t flush[] = {'H', 0, 0, 0, 4};

		/* Without a Sync it might keep its answers to itself. */
		pw_stream_set_reading(&c->stream, false);
		pw_stream_send(&link->stream, flush, sizeof(flush));
	}
	if ((link && pw_stream_is_full(&link->stream)) || pw_stream_is_full(&c->stream))
		pw_stream_set_reading(&c->stream, false);
}

void pw_relay_on_client_data(struct pw_client *c, const uint8_t *data, size_t len)
{
	struct pw_clients *clients = c->clients;
	struct pw_slice in = {data, len};
	struct pw_piece piece;
	enum pw_status status;

	if (c->state != PW_CLIENT_READY && c->state != PW_CLIENT_RELAYING) {
		if (!pw_relay_hold(c, data, len))
			pw_relay_out_of_memory(c);
		else if (c->state == PW_CLIENT_ROUTING)
			pw_route_go_on(c);
		return;
	}
	/* Once more when nothing is left, or else the reader would keep a gathered text. */
	while ((status = pw_reader_next(&c->reader, &in, &piece)) != PW_AGAIN) {
		if (status != PW_OK) {
			refuse_input(c, status, &piece);
			return;
		}
		bool goes_on = take_piece(c, &piece, &in);

		/* What is known of its text is known no longer than that lies there. */
		pw_shape_cache_let_go(&clients->shapes);
		if (!goes_on)
			return;
	}
	pw_clients_flush(clients);
	throttle(c);
}

/* ---- server to client ---- */

/* Belongs to no answer (PostgreSQL 15 docs 55.2.7). */
static bool is_asynchronous(uint8_t type)
{
	return type == 'N' || type == 'A' || type == 'S';
}

static void take_server_piece(struct pw_client *c, const struct pw_piece *piece,
			      const struct pw_expect *about)
{
	if (c->state == PW_CLIENT_LOOKUP) {
		pw_lookup_on_piece(c, piece);
		return;
	}
	if (c->state == PW_CLIENT_CLOSED)
		return;
	if (piece->type == 'A' && pw_hearing_take(c, piece))
		return;
	if (pw_plan_is_repeating(c) && !is_asynchronous(piece->type))
		return;
	/* Notices too: a client that wants to see debugging sees its own. */
	if (c->state == PW_CLIENT_ASKING && piece->type != 'A' && piece->type != 'S') {
		pw_session_take_answer(c, piece);
		return;
	}
	if (c->route && pw_route_hear(c, piece))
		return;
	if (c->session && c->session->lone.flags)
		pw_failed_note_answer(c, piece->type);
	c->is_answering = !piece->is_last;
	c->loan.pool->stats.now.sent += piece->len;
	if (piece->type == 'E' && pw_resets_word_error(c, piece, about))
		return;
	if (c->is_tracking && piece->type == 'E' && piece->is_first) {
		pw_relay_error(c, piece, about);
		return;
	}
	if (piece->type == 'E')
		pw_session_note_error(c, about);
	if (c->is_tracking && pw_plan_answer(c, piece))
		return;
	if (c->is_tracking && piece->type == 'C')
		pw_relay_command_complete(c, piece, about);
	pw_relay_add(pw_relay_to_client(c), piece);
}

static void on_piece(struct pw_loan *loan, const struct pw_piece *piece,
		     const struct pw_expect *about)
{
	struct pw_client *c = PW_CONTAINER(loan, struct pw_client, loan);
	struct pw_strbuf text = PW_STRBUF_INIT;
	struct pw_piece worded;

	if (piece->type != 'E' || !c->route) {
		take_server_piece(c, piece, about);
		return;
	}
	worded = pw_route_word(c, piece, &text);
	take_server_piece(c, &worded, about);
	pw_strbuf_fini(&text);
}

static void on_settled(struct pw_loan *loan, const struct pw_expect *entry, bool is_done)
{
	struct pw_client *c = PW_CONTAINER(loan, struct pw_client, loan);

	if (c->state != PW_CLIENT_LOOKUP)
		pw_relay_settled(c, entry, is_done);
}

static void on_parameter(struct pw_loan *loan, const char *name, const char *value)
{
	struct pw_client *c = PW_CONTAINER(loan, struct pw_client, loan);
	struct pw_params_table *table = &c->clients->pools->params;
	int index = pw_tracked_find(c->clients->tracked, name);
	struct pw_params *changed;

	if (c->state == PW_CLIENT_LOOKUP || index < 0)
		return;
	pw_session_note_param(c);
	changed = pw_params_with(table, c->params, (size_t)index, value);
	if (!changed) {
		loan->link->facts.must_close = true;
		return;
	}
	pw_params_unref(table, c->params);
	c->params = changed;
	loan->params = changed;
}

static void on_ready(struct pw_loan *loan, bool was_swallowed)
{
	struct pw_client *c = PW_CONTAINER(loan, struct pw_client, loan);
	struct pw_link *link = loan->link;

	if (was_swallowed ? !pw_relay_own_passed(c) : !pw_relay_restored(c))
		return;
	if (c->route && pw_route_ready(c, was_swallowed))
		return;
	switch (c->state) {
	case PW_CLIENT_LOOKUP:
		pw_lookup_on_ready(c);
		return;
	case PW_CLIENT_SYNCING:
		pw_relay_synced(c);
		return;
	case PW_CLIENT_PREPARING:
		if (pw_plan_is_repeating(c))
			pw_plan_repeat_now(c);
		return;
	case PW_CLIENT_ASKING:
		pw_relay_answered(c);
		return;
	case PW_CLIENT_UNLISTENING:
		pw_relay_unlistened(c);
		return;
	case PW_CLIENT_SETTLING:
	case PW_CLIENT_RELAYING:
		break;
	default:
		return;
	}
	if (!was_swallowed) {
		pw_names_forget_error(c);
		if (c->session)
			c->session->lone.flags = 0;
	}
	pw_relay_note_ready(c);
	if (loan->mode == PW_MODE_STATEMENT && link->transaction != 'I') {
		link->facts.must_close = true;
		pw_client_fail(c, PW_SQLSTATE_PROTOCOL_VIOLATION,
			       "transaction blocks not allowed in statement pooling mode");
		return;
	}
	if (c->state == PW_CLIENT_RELAYING)
		pw_relay_leave_if_free(c);
}

/* For bytes that have to be held. */
static bool has_room(const struct pw_client *c)
{
	return !c->held || c->held->len < pw_relay_held_max(c);
}

/* Reads the client again if nothing is left that it was stopped for. */
static void resume(struct pw_client *c)
{
	const struct pw_link *link = link_of(c);

	if ((!link || (!pw_stream_is_full(&link->stream) && !owes_too_much(link))) && has_room(c))
		pw_stream_set_reading(&c->stream, true);
}

static void on_chunk_end(struct pw_loan *loan)
{
	struct pw_client *c = PW_CONTAINER(loan, struct pw_client, loan);

	pw_clients_flush(c->clients);
	if (c->state == PW_CLIENT_PREPARING && !pw_route_is_repeating(c))
		pw_plan_resume(c);
	else if (c->state == PW_CLIENT_SETTLING && pw_relay_has_settled(c))
		end_settling(c);
	if (pw_stream_is_full(&c->stream)) {
		/* What we ask a link ourselves it must be able to answer. */
		if (loan->link && c->state != PW_CLIENT_ASKING && c->state != PW_CLIENT_UNLISTENING)
			pw_stream_set_reading(&loan->link->stream, false);
	} else if (!c->stream.is_reading) {
		resume(c);
	}
}

static void on_link_drained(struct pw_loan *loan)
{
	resume(PW_CONTAINER(loan, struct pw_client, loan));
}

void pw_relay_on_client_drained(struct pw_client *c)
{
	struct pw_link *link = link_of(c);

	if (link)
		pw_stream_set_reading(&link->stream, true);
	/* It may have been stopped for not reading our own answers. */
	resume(c);
}

const struct pw_client *pw_client_of_loan(const struct pw_loan *loan)
{
	return loan->ops == &pw_relay_ops ? PW_CONTAINER(loan, const struct pw_client, loan) : NULL;
}

static void free_object(void *object)
{
	pw_prepared_name_unref(object);
}

const struct pw_borrower_ops pw_relay_ops = {
    .on_link = on_link,
    .on_welcome = on_welcome,
    .on_refused = on_refused,
    .on_piece = on_piece,
    .on_settled = on_settled,
    .on_ready = on_ready,
    .on_chunk_end = on_chunk_end,
    .on_drained = on_link_drained,
    .on_parameter = on_parameter,
    .on_lost = on_lost,
    .free_object = free_object,
};

/* SPDX-License-Identifier: PostgreSQL
 *
 * How a client comes by a link and leaves it: the link takes over what the client has set, the
 * client's messages run, the server is asked what they have left, the link goes back.
 */
#include "config.h"

#include <stdatomic.h>
#include <string.h>

#include "client_priv.h"
#include "code_priv.h"
#include "listening_priv.h"
#include "pgweir/base/status.h"
#include "pgweir/proto/writer.h"
#include "pgweir/session/sync.h"
#include "plan_priv.h"
#include "route_priv.h"

/* So often are values discarded where nobody has asked for any yet. */
enum { WATCHED_MAX = 1000 };

static struct pw_link *link_of(const struct pw_client *c)
{
	return c->loan.link;
}

/* ---- sequences ---- */

static atomic_bool *reads_sequences(const struct pw_client *c)
{
	return &c->loan.pool->shared->db->reads_sequences;
}

static bool are_asked_for(const struct pw_client *c)
{
	return atomic_load_explicit(reads_sequences(c), memory_order_relaxed);
}

/* Until it is known that nobody asks for them, which is assumed after a while. */
static bool matter_sequences(const struct pw_client *c)
{
	struct pw_shared_db *db = c->loan.pool->shared->db;

	return are_asked_for(c) ||
	       atomic_load_explicit(&db->n_watched, memory_order_relaxed) < WATCHED_MAX;
}

static void note_watched(const struct pw_client *c)
{
	struct pw_shared_db *db = c->loan.pool->shared->db;

	if (!are_asked_for(c))
		atomic_fetch_add_explicit(&db->n_watched, 1, memory_order_relaxed);
}

/* Of an own batch that nobody waits for: its end is noted in pw_relay_own_passed(). */
static bool send_ahead(struct pw_client *c, const char *sql)
{
	const struct pw_expect entry = {.role = PW_ROLE_QUERY, .flags = PW_EXPECT_SWALLOW};
	struct pw_link *link = link_of(c);
	struct pw_strbuf out = PW_STRBUF_INIT;
	bool ok;

	link->is_syncing = true;
	link->has_own_error = false;
	pw_write_query(&out, sql);
	ok = !out.has_failed && pw_link_expect(link, &entry) == PW_OK;
	if (ok)
		pw_batch_copy(pw_relay_to_server(c), out.data, out.len);
	pw_strbuf_wipe(&out);
	return ok || pw_relay_out_of_memory(c);
}

static const char discard[] = "DISCARD SEQUENCES";

static bool send_discard(struct pw_client *c, bool is_needed)
{
	unsigned flags = PW_EXPECT_SWALLOW | PW_EXPECT_DISCARD | (is_needed ? PW_EXPECT_NEEDED : 0);
	struct pw_strbuf out = PW_STRBUF_INIT;

	pw_write_query(&out, discard);
	if (pw_plan_expect(c, PW_ROLE_QUERY, flags, NULL, NULL))
		return pw_plan_send(c, &out);
	pw_strbuf_fini(&out);
	return false;
}

/* As a part of the client's batch, which a query of its own would end. One that was broken off may
 * have left its statement. */
static bool discard_in_batch(struct pw_client *c)
{
	static const char name[] = "pgweir_discard";
	static const char bind[] = "pgweir_discard\0pgweir_discard\0\0\0\0\0\0";
	static const char execute[] = "pgweir_discard\0\0\0\0";
	static const char statement[] = "Spgweir_discard", portal[] = "Ppgweir_discard";
	static const enum pw_message_role roles[] = {PW_ROLE_CLOSE,   PW_ROLE_PARSE, PW_ROLE_BIND,
						     PW_ROLE_EXECUTE, PW_ROLE_CLOSE, PW_ROLE_CLOSE};
	struct pw_strbuf out = PW_STRBUF_INIT;
	size_t begin;

	pw_write_message(&out, 'C', statement, sizeof(statement));
	begin = pw_writer_begin(&out, 'P');
	pw_strbuf_add(&out, name, sizeof(name));
	pw_strbuf_add(&out, discard, sizeof(discard));
	pw_strbuf_add(&out, "\0", 2); /* no types */
	pw_writer_end(&out, begin);
	pw_write_message(&out, 'B', bind, sizeof(bind));
	pw_write_message(&out, 'E', execute, sizeof(execute));
	pw_write_message(&out, 'C', portal, sizeof(portal));
	pw_write_message(&out, 'C', statement, sizeof(statement));
	for (size_t i = 0; i < PW_COUNTOF(roles); i++) {
		if (!pw_plan_expect(c, roles[i], PW_EXPECT_SWALLOW, NULL, NULL)) {
			pw_strbuf_fini(&out);
			return false;
		}
	}
	link_of(c)->is_discarding = true;
	return pw_plan_send(c, &out);
}

/* Behind what the client has sent already: if that fails, this may not happen, and what others have
 * drawn is there until the server says so. */
static bool discard_within(struct pw_client *c, unsigned use)
{
	struct pw_link *link = link_of(c);

	if (pw_link_skips_next(link))
		return true;
	/* The server would take it for the end of the data, and run what comes behind. */
	if (link->is_copy_both || (link->is_copy_in && link->expects.n_copy_ends == 0)) {
		pw_client_fail(c, PW_SQLSTATE_PROTOCOL_VIOLATION, "query within a COPY");
		return false;
	}
	pw_link_forget_draws(link, PW_DRAWER_UNKNOWN);
	return link->is_batch_open ? discard_in_batch(c) : send_discard(c, use & PW_VALUES_BEHIND);
}

static bool discard_ahead(struct pw_client *c)
{
	pw_link_forget_draws(link_of(c), 0);
	return send_discard(c, false);
}

bool pw_relay_own_sequences(struct pw_client *c, unsigned use)
{
	const unsigned asked = PW_VALUES_ASKED | PW_VALUES_UNREAD;
	struct pw_link *link = link_of(c);
	bool is_first = link->transaction == 'I' && pw_link_owes_only_ahead(link);

	if (!c->session || use == 0)
		return true;
	if (use & PW_VALUES_ASKED)
		atomic_store_explicit(reads_sequences(c), true, memory_order_relaxed);
	if (!pw_link_has_foreign_draws(link) || link->is_discarding)
		return true;
	if (is_first && (use & asked || matter_sequences(c))) {
		note_watched(c);
		return discard_ahead(c);
	}
	if (!is_first && (use & asked || (use & PW_VALUES_DRAWN && are_asked_for(c)))) {
		note_watched(c);
		return discard_within(c, use);
	}
	return true;
}

/* ---- the loan ---- */

/* A server has each of the client's values. */
static void note_accepted(struct pw_client *c)
{
	if (c->session)
		c->session->is_accepted = true;
}

/* What brings the link to where the client left its last one. True: the client has to wait for its
 * end. */
static bool build_sync(struct pw_client *c, struct pw_strbuf *sql)
{
	struct pw_sync_side wanted = {c->params, c->settings};
	struct pw_link *link = link_of(c);
	const struct pw_sync_side have = {link->params, link->settings};
	bool is_guarding = false;

	if (pw_sync_fits(link, &wanted)) {
		note_accepted(c);
	} else {
		/* It may have learned of values from another server. */
		if (c->session && !pw_session_part_params(c, link->params))
			sql->has_failed = true;
		wanted = (struct pw_sync_side){c->params, c->settings};
		pw_sync_build(c->clients->tracked, &have, &wanted, sql);
		is_guarding = !c->session || !c->session->is_accepted ||
			      !pw_sync_is_harmless(c->clients->tracked, &have, &wanted);
	}
	return is_guarding || pw_listening_must_follow(c);
}

static void begin_waiting(struct pw_client *c, const char *sql)
{
	struct pw_link *link = link_of(c);

	pw_client_goto(c, PW_CLIENT_SYNCING);
	link->is_syncing = true;
	link->has_own_error = false;
	link->request_us = c->clients->loop->now_us; /* query_timeout covers it */
	if (pw_listening_must_follow(c))
		pw_loop_arm(c->clients->loop, &c->timer, PW_HUB_PATIENCE_US);
	if ((sql[0] && pw_link_query(link, sql) != PW_OK) ||
	    (pw_listening_must_follow(c) && !pw_listening_follow(c)))
		pw_link_close(link, PW_LINK_END_CLEAN, "out of memory", NULL);
#ifdef PW_MUTANT_SYNC_NOT_AWAITED
	else
		pw_client_goto(c, PW_CLIENT_RELAYING);
#endif
}

void pw_relay_begin(struct pw_client *c)
{
	struct pw_strbuf sql = PW_STRBUF_INIT; /* it may hold secrets */
	bool is_guarding = build_sync(c, &sql);

	if (sql.has_failed) {
		pw_link_close(link_of(c), PW_LINK_END_CLEAN, "out of memory", NULL);
	} else if (is_guarding) {
		begin_waiting(c, sql.data ? sql.data : "");
	} else {
		pw_client_goto(c, PW_CLIENT_RELAYING);
		if (sql.len > 0)
			(void)send_ahead(c, sql.data);
	}
	pw_strbuf_wipe(&sql);
}

/* True: the client has a link that fits, now. */
bool pw_relay_acquire(struct pw_client *c)
{
	if (c->clients->is_draining) {
		pw_client_fail(c, PW_SQLSTATE_PROTOCOL_VIOLATION, "server shutting down");
		return false;
	}
	pw_client_load_limits(c);
	if (!pw_pool_borrow(&c->loan))
		pw_client_goto(c, PW_CLIENT_QUEUED);
	else if (pw_route_suits(c))
		pw_relay_begin(c);
	return c->state == PW_CLIENT_RELAYING;
}

void pw_relay_note_ready(struct pw_client *c)
{
	struct pw_link *link = link_of(c);
	struct pw_counters *stats = &c->loan.pool->stats.now;
	uint64_t now = c->clients->loop->now_us;

	if (link->expects.n > 0 || c->request_us == 0)
		return;
	stats->query_time += now - c->request_us;
	c->request_us = 0;
}

static void unpin(struct pw_client *c)
{
	if (c->session && c->session->pins != 0)
		(void)pw_session_pin(c, 0);
}

/* True: its link is not needed. */
static bool leave_listening(struct pw_client *c)
{
	switch (pw_listening_leave(c)) {
	case PW_LISTENING_LEFT:
		unpin(c);
		return true;
	case PW_LISTENING_GIVEN:
		unpin(c);
		pw_client_goto(c, PW_CLIENT_UNLISTENING);
		return false;
	case PW_LISTENING_WAITS:
		pw_client_goto(c, PW_CLIENT_UNLISTENING);
		pw_stream_set_reading(&link_of(c)->stream, true);
		return false;
	case PW_LISTENING_STAYS:
		(void)pw_session_keep(c);
		return false;
	case PW_LISTENING_CLOSED:
		break;
	}
	return false;
}

/* The link goes back to its pool if nothing is owed. */
void pw_relay_leave_if_free(struct pw_client *c)
{
	bool is_inside = c->reader.left > 0 && !c->is_dropping;
	bool is_free = pw_link_seems_free(link_of(c));

#ifdef PW_MUTANT_TRANSACTION_SHARED
	is_free = link_of(c)->expects.n == 0;
#endif
	if (c->loan.mode == PW_MODE_SESSION || is_inside || !is_free)
		return;
	if (pw_route_reads_by_name(c))
		pw_session_forget_unread(c);
	pw_session_tell_tables(c); /* before the client is told that it was done */
	pw_clients_flush(c->clients);
	if (link_of(c)->is_unsure) {
		pw_link_find_out(link_of(c));
		return;
	}
	/* What we answered ourselves has no ReadyForQuery to end it. */
	pw_relay_note_ready(c);
	c->portal_forgets = false;
	pw_prepared_forget_portals(c->prepared);
	if (!pw_session_settle(c) || !leave_listening(c))
		return;
	/* Only a client that may be read again is one that can be let go. */
	pw_stream_set_reading(&c->stream, true);
	pw_client_goto(c, PW_CLIENT_READY);
	pw_pool_return(&c->loan, false, false);
	pw_route_leave(c);
}

/* From now on the client has the server's spelling of its values, and knows it. */
static void take_spelling(struct pw_client *c, struct pw_params *params)
{
	const struct pw_tracked *tracked = c->clients->tracked;
	struct pw_strbuf out = PW_STRBUF_INIT;

	for (size_t i = 0; params && i < params->n; i++) {
		const char *before = c->params->values[i], *value = params->values[i];

		if (before && value && strcmp(before, value) != 0)
			pw_write_parameter_status(&out, tracked->names[i], value);
	}
	if (out.has_failed)
		link_of(c)->facts.must_close = true;
	else if (out.len > 0)
		pw_batch_copy(pw_relay_to_client(c), out.data, out.len);
	pw_strbuf_fini(&out);
	pw_params_unref(&c->clients->pools->params, c->params);
	c->params = pw_params_ref(params);
	c->loan.params = c->params;
}

static void adopt(struct pw_client *c)
{
	struct pw_link *link = link_of(c);

	take_spelling(c, link->params);
	pw_state_unref(link->settings);
	link->settings = pw_state_ref(c->settings);
	c->loan.needs_new = false;
	note_accepted(c);
}

static void find_dotted(const char *name, const char *value PW_UNUSED, void *has_dotted)
{
	if (strchr(name, '.'))
		*(bool *)has_dotted = true;
}

/* All that went before the error was undone with it, but for names with a dot, which stay. */
static bool is_as_before(struct pw_client *c)
{
	bool has_dotted = false;

	pw_state_diff(link_of(c)->settings, c->settings, find_dotted, &has_dotted);
	return !has_dotted && !pw_listening_must_follow(c);
}

/* There is no such setting: no server of this database has it. */
static bool is_unknown_setting(const struct pw_link *link)
{
	return strcmp(link->own_sqlstate, PW_SQLSTATE_UNDEFINED_OBJECT) == 0;
}

/* Of those settings PgBouncer knows, and has its own text for a server that refuses one. */
static bool is_about_tracked(const struct pw_client *c, const char *message)
{
	const struct pw_tracked *tracked = c->clients->tracked;

	for (size_t i = 0; i < tracked->n; i++) {
		if (strcasestr(message, tracked->names[i]))
			return true;
	}
	return false;
}

/* Of what a server has had before, something has changed since: a role that is gone, or a right. */
static void word_refusal(const struct pw_client *c, struct pw_error *err)
{
	const char *said = link_of(c)->own_error;

	if (c->session && c->session->is_accepted) {
		pw_error_set(err, PW_SQLSTATE_CONNECTION_FAILURE,
			     "session state cannot be carried to another server connection");
		pw_error_detail(err,
				"A setting or role that the session had set on its last connection "
				"was refused by the next one: %s.",
				said);
		return;
	}
	if (c->session && !is_about_tracked(c, said)) {
		/* As PostgreSQL would have said at the login. */
		pw_error_set(err, link_of(c)->own_sqlstate, "%s", said);
		pw_error_detail(err,
				"The server refused a setting of the client's start-up packet.");
		return;
	}
	pw_error_set(err, PW_SQLSTATE_PROTOCOL_VIOLATION, "invalid server parameter");
	pw_error_detail(err, "The server refused a setting of the client's start-up packet: %s.",
			said);
}

static void refuse_sync(struct pw_client *c, bool may_keep)
{
	struct pw_link *link = link_of(c);
	struct pw_error err;

	word_refusal(c, &err);
	if (may_keep && is_unknown_setting(link) && is_as_before(c))
		pw_client_close(c, err.message, &err);
	else
		pw_link_close(link, PW_LINK_END_CLEAN, err.message, &err);
}

/* It may be the connection's past that stands in the way (temporary tables and temp_buffers, a
 * library's idea of a value): one that has none is tried before the client has to go. */
static void sync_elsewhere(struct pw_client *c)
{
	c->loan.needs_new = !pw_route_is_apart(c);
	link_of(c)->facts.must_close = true;
	pw_client_goto(c, PW_CLIENT_QUEUED);
	pw_pool_return(&c->loan, false, false);
	/* The replica may not know yet what the primary does: a role, say. */
	if (pw_route_is_apart(c)) {
		pw_route_go_elsewhere(c);
		return;
	}
	if (!pw_pool_borrow(&c->loan))
		return;
	pw_relay_begin(c);
	if (c->state == PW_CLIENT_RELAYING)
		pw_relay_release(c);
}

/* The link has taken over the client's parameters, or refused to. */
void pw_relay_synced(struct pw_client *c)
{
	struct pw_link *link = link_of(c);

	if (link->expects.n > 0 || (!link->has_own_error && !pw_listening_has_followed(c)))
		return;
	link->is_syncing = false;
	if (link->has_own_error && c->session &&
	    (pw_route_is_apart(c) ||
	     (!c->loan.needs_new && c->session->pins == 0 && !is_unknown_setting(link)))) {
		sync_elsewhere(c);
		return;
	}
	if (link->has_own_error) {
		refuse_sync(c, true);
		return;
	}
	adopt(c);
	pw_listening_followed(c);
	pw_hearing_go_on(c);
	pw_client_goto(c, PW_CLIENT_RELAYING);
	pw_relay_release(c);
	if (c->state == PW_CLIENT_RELAYING && link_of(c))
		pw_relay_leave_if_free(c);
}

static bool settings_passed(struct pw_client *c)
{
	struct pw_link *link = link_of(c);

	link->is_syncing = false;
	if (!link->has_own_error) {
		adopt(c);
		return true;
	}
	refuse_sync(c, false);
	return false;
}

/* By code, too, where there is some that asks. */
static bool may_have_asked(const struct pw_client *c)
{
	return c->session->effects.flags & (PW_EFFECT_SEQUENCES | PW_EFFECT_UNSEEN) ||
	       (are_asked_for(c) && pw_session_has_drawn(c));
}

/* What was to be discarded may be there. False: the client may have asked for it, and is closed. */
static bool bear_discard(struct pw_client *c)
{
	struct pw_link *link = link_of(c);
	struct pw_error err;

	if (!link->has_discard_error)
		return true;
	link->has_discard_error = false;
	if (!may_have_asked(c))
		return true;
	pw_error_set(&err, link->own_sqlstate, "%s", link->own_error);
	pw_error_detail(&err, "Values that another client has drawn could not be discarded.");
	pw_link_close(link, PW_LINK_END_CLEAN, err.message, &err);
	return false;
}

bool pw_relay_restored(struct pw_client *c)
{
	struct pw_link *link = link_of(c);
	struct pw_error err;

	if (!link->has_restore_error)
		return true;
	link->has_restore_error = false;
	pw_error_set(&err, PW_SQLSTATE_CONNECTION_FAILURE, "session state was lost");
	pw_error_detail(&err,
			"What the start-up packet asked for could not be put back behind a RESET: "
			"%s.",
			link->own_error);
	pw_link_close(link, PW_LINK_END_CLEAN, err.message, &err);
	return false;
}

/* Is what the ReadyForQuery ends a batch that nobody waits for? */
static bool has_ahead(const struct pw_client *c)
{
	return link_of(c)->is_syncing && c->state != PW_CLIENT_SYNCING &&
	       c->state != PW_CLIENT_LOOKUP;
}

bool pw_relay_own_passed(struct pw_client *c)
{
	if ((has_ahead(c) && !settings_passed(c)) || !bear_discard(c))
		return false;
	if (c->is_cancel_due && !pw_link_runs_ahead(link_of(c)))
		pw_client_cancel_now(c);
	return true;
}

static void read_on(struct pw_client *c)
{
	if (c->held)
		pw_relay_release(c);
	else if (link_of(c))
		pw_stream_set_reading(&c->stream, true);
}

/* The link may go; what came meanwhile has its turn now. */
static void go_on(struct pw_client *c)
{
	pw_client_goto(c, PW_CLIENT_RELAYING);
	pw_relay_leave_if_free(c);
	if (c->state != PW_CLIENT_UNLISTENING && c->state != PW_CLIENT_CLOSED)
		read_on(c);
}

/* Code has put back to the server's default what the start-up packet had asked for, and the client
 * stays on the link. */
static bool must_catch_up(const struct pw_client *c)
{
	return c->session->pins & ~(unsigned)PW_EFFECT_LISTENS &&
	       !pw_id_equal(link_of(c)->settings->id, c->settings->id);
}

/* The server has said what has become of the session. */
void pw_relay_answered(struct pw_client *c)
{
	if (!pw_session_answered(c))
		return;
	link_of(c)->request_us = 0;
	if (!must_catch_up(c)) {
		go_on(c);
		return;
	}
	pw_relay_begin(c);
	if (c->state == PW_CLIENT_RELAYING)
		read_on(c);
}

void pw_relay_on_learning_timeout(struct pw_client *c)
{
	if (pw_session_goes_on_learning(c))
		return;
	pw_relay_answered(c);
	pw_clients_flush(c->clients);
}

/* The link has become the hub. */
static void go_on_without_link(struct pw_client *c)
{
	pw_client_goto(c, PW_CLIENT_READY);
	pw_hearing_go_on(c);
	if (c->held)
		pw_relay_release(c);
	else
		pw_stream_set_reading(&c->stream, true);
}

void pw_relay_unlistened(struct pw_client *c)
{
	struct pw_link *link = link_of(c);

	if (!link) {
		go_on_without_link(c);
		return;
	}
	if (link->expects.n > 0)
		return;
	if (!pw_listening_needs_hub(c)) {
		pw_listening_left(c);
		pw_hearing_go_on(c);
	}
	go_on(c);
}

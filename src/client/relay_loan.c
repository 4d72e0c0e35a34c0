/* SPDX-License-Identifier: PostgreSQL
 *
 * How a client comes by a link and leaves it: the link takes over what the client has set, the
 * client's messages run, the server is asked what they have left, the link goes back.
 */
#include "config.h"

#include <stdatomic.h>
#include <string.h>

#include "client_priv.h"
#include "pgweir/proto/writer.h"
#include "pgweir/session/sync.h"

static struct pw_link *link_of(const struct pw_client *c)
{
	return c->loan.link;
}

/* ---- sequences ---- */

static atomic_bool *reads_sequences(const struct pw_client *c)
{
	return &c->loan.pool->shared->db->reads_sequences;
}

/* The client's bytes follow without waiting: it cannot fail but with its connection. */
static bool discard_sequences(struct pw_client *c)
{
	const struct pw_expect entry = {.role = PW_ROLE_QUERY, .flags = PW_EXPECT_SWALLOW};
	struct pw_link *link = link_of(c);
	struct pw_strbuf out = PW_STRBUF_INIT;
	bool ok;

	link->facts.has_foreign_sequences = false;
	pw_write_query(&out, "DISCARD SEQUENCES");
	ok = !out.has_failed && pw_link_expect(link, &entry) == PW_OK;
	if (ok)
		pw_batch_copy(pw_relay_to_server(c), out.data, out.len);
	pw_strbuf_fini(&out);
	return ok || pw_relay_out_of_memory(c);
}

bool pw_relay_own_sequences(struct pw_client *c, const struct pw_effects *effects)
{
	const struct pw_link *link = link_of(c);

	if (!c->session || !effects || !(effects->flags & PW_EFFECT_SEQUENCES))
		return true;
	atomic_store_explicit(reads_sequences(c), true, memory_order_relaxed);
	if (!link->facts.has_foreign_sequences || link->transaction != 'I' ||
	    pw_link_has_request(link))
		return true;
	return discard_sequences(c);
}

/* ---- the loan ---- */

/* The link is as the client left its last one. */
static void enter(struct pw_client *c)
{
	pw_client_goto(c, PW_CLIENT_RELAYING);
	if (c->session && link_of(c)->facts.has_foreign_sequences &&
	    atomic_load_explicit(reads_sequences(c), memory_order_relaxed))
		(void)discard_sequences(c);
}

void pw_relay_begin(struct pw_client *c)
{
	struct pw_link *link = link_of(c);
	const struct pw_sync_side wanted = {c->params, c->settings};

	if (pw_sync_fits(link, &wanted)) {
		enter(c);
		return;
	}
	pw_client_goto(c, PW_CLIENT_SYNCING);
	link->is_syncing = true;
	link->request_us = c->clients->loop->now_us; /* query_timeout covers it */
	if (pw_sync_send(link, c->clients->tracked, &wanted) != PW_OK)
		pw_link_close(link, PW_LINK_END_CLEAN, "out of memory", NULL);
#ifdef PW_MUTANT_SYNC_NOT_AWAITED
	else
		pw_client_goto(c, PW_CLIENT_RELAYING);
#endif
}

/* True: the client has a link that fits, now. */
bool pw_relay_acquire(struct pw_client *c)
{
	if (c->clients->is_draining) {
		pw_client_fail(c, PW_SQLSTATE_PROTOCOL_VIOLATION, "server shutting down");
		return false;
	}
	pw_client_load_limits(c);
	if (pw_pool_borrow(&c->loan))
		pw_relay_begin(c);
	else
		pw_client_goto(c, PW_CLIENT_QUEUED);
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
	pw_clients_flush(c->clients);
	if (link_of(c)->is_unsure) {
		pw_link_find_out(link_of(c));
		return;
	}
	/* What we answered ourselves has no ReadyForQuery to end it. */
	pw_relay_note_ready(c);
	c->portal_forgets = false;
	pw_prepared_forget_portals(c->prepared);
	if (!pw_session_settle(c))
		return;
	/* Only a client that may be read again is one that can be let go. */
	pw_stream_set_reading(&c->stream, true);
	pw_client_goto(c, PW_CLIENT_READY);
	pw_pool_return(&c->loan, false, false);
}

/* The link has taken over the client's parameters, or refused to. */
void pw_relay_synced(struct pw_client *c)
{
	struct pw_params_table *table = &c->clients->pools->params;
	struct pw_link *link = link_of(c);
	struct pw_error err;

	link->is_syncing = false;
	if (link->has_own_error) {
		pw_error_set(&err, PW_SQLSTATE_PROTOCOL_VIOLATION, "invalid server parameter");
		pw_error_detail(
		    &err,
		    "The server refused a setting of the client's start-up packet, or one "
		    "that it had set on another connection: %s.",
		    link->own_error);
		pw_link_close(link, PW_LINK_END_CLEAN, "invalid server parameter", &err);
		return;
	}
	/* From now on the client has the server's spelling of its values. */
	pw_params_unref(table, c->params);
	c->params = pw_params_ref(link->params);
	c->loan.params = c->params;
	pw_state_unref(link->settings);
	link->settings = pw_state_ref(c->settings);
	enter(c);
	if (c->state != PW_CLIENT_RELAYING)
		return;
	if (c->held)
		pw_relay_release(c);
	else
		pw_relay_leave_if_free(c);
}

/* The server has said what has become of the session. */
void pw_relay_answered(struct pw_client *c)
{
	if (!pw_session_answered(c))
		return;
	link_of(c)->request_us = 0;
	pw_client_goto(c, PW_CLIENT_RELAYING);
	pw_relay_leave_if_free(c);
	if (c->held)
		pw_relay_release(c);
	else if (link_of(c))
		pw_stream_set_reading(&c->stream, true);
}

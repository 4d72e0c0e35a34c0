/* SPDX-License-Identifier: PostgreSQL
 *
 * What each message of a client means, with a link and without one: what it does to the session is
 * noted, and what must go ahead of it is sent.
 */
#include "config.h"

#include "client_priv.h"
#include "code_priv.h"
#include "names_priv.h"
#include "plan_priv.h"
#include "route_priv.h"

static struct pw_link *link_of(const struct pw_client *c)
{
	return c->loan.link;
}

static bool forward_as(struct pw_client *c, const struct pw_piece *piece, unsigned flags)
{
	const struct pw_expect entry = {.role = pw_frontend_messages.rows[piece->type].role,
					.flags = flags | pw_route_flags(c)};

	return pw_relay_forward(c, piece, &entry);
}

static bool forward_role(struct pw_client *c, const struct pw_piece *piece)
{
	return forward_as(c, piece, 0);
}

static bool forward_copy_end(struct pw_client *c, const struct pw_piece *piece)
{
	/* With nothing owed no COPY can be going on: the server would ignore it. */
	if (link_of(c)->expects.n == 0 && !link_of(c)->is_copy_both) {
		c->is_dropping = true;
		return true;
	}
	return forward_role(c, piece);
}

static bool bring_names(struct pw_client *c)
{
	if (!c->session)
		return true;
	pw_names_note_drops(c);
	return pw_relay_own_sequences(c, c->session->values_use | c->session->named.values_use) &&
	       pw_names_bring(c, true);
}

/* And behind it, if it goes back to what the session began with, what makes that true. */
static bool forward_sync_point(struct pw_client *c, const struct pw_piece *piece, unsigned flags,
			       bool must_restore)
{
	if (!must_restore)
		return forward_as(c, piece, flags);
	return forward_as(c, piece, flags | PW_EXPECT_GOES_ON) && pw_session_restore(c);
}

static bool forward_query(struct pw_client *c, const struct pw_piece *piece)
{
	enum pw_going_back back = pw_names_note_query(c, piece);
	unsigned flags = c->is_tracking ? pw_relay_note_query(c, piece) : 0;

	if (c->clients->pools->snapshot->conf->disable_pqexec) {
		pw_client_fail(c, PW_SQLSTATE_PROTOCOL_VIOLATION, "PQexec disallowed");
		return false;
	}
	if (back != PW_BACK_REFUSED && !bring_names(c))
		return false;
	if (pw_unnamed_drop(c, &flags) != PW_OK)
		return pw_relay_out_of_memory(c);
	if (back == PW_BACK_REFUSED)
		return pw_resets_fail_query(c, piece, flags & PW_EXPECT_UNNAMED);
	return forward_sync_point(c, piece, flags, back == PW_BACK_BEHIND);
}

static bool own_sequences_of_unnamed(struct pw_client *c)
{
	return pw_relay_own_sequences(c, pw_session_values_use(c, pw_session_effects_of(c, NULL)));
}

/* Names are the server's: what they stand for is known of the unnamed one alone. */
static bool forward_parse(struct pw_client *c, const struct pw_piece *piece)
{
	struct pw_cursor body = pw_piece_body(piece);
	unsigned flags = 0;

	if (pw_cursor_string(&body)[0] != '\0')
		return pw_relay_own_sequences(c, PW_VALUES_UNREAD) && forward_role(c, piece);
	if (pw_session_note_unnamed(c, piece, &body, &flags) != PW_OK)
		return pw_relay_out_of_memory(c);
	return own_sequences_of_unnamed(c) && forward_as(c, piece, flags);
}

static bool forward_bind(struct pw_client *c, const struct pw_piece *piece)
{
	if (!pw_unnamed_is_meant(piece)) {
		pw_session_note_unknown(c);
		return pw_relay_own_sequences(c, PW_VALUES_UNREAD) && forward_role(c, piece);
	}
	pw_session_read_unnamed(c);
	if (!own_sequences_of_unnamed(c) || !pw_plan_bring_unnamed(c))
		return false;
	pw_session_note_bind(c, NULL);
	return forward_role(c, piece);
}

static bool forward_describe(struct pw_client *c, const struct pw_piece *piece)
{
	return (!pw_unnamed_is_meant(piece) || pw_plan_bring_unnamed(c)) && forward_role(c, piece);
}

static bool forward_close(struct pw_client *c, const struct pw_piece *piece)
{
	unsigned flags = 0;

	if (pw_unnamed_is_meant(piece) && pw_unnamed_drop(c, &flags) != PW_OK)
		return pw_relay_out_of_memory(c);
	return forward_as(c, piece, flags);
}

static bool forward_function(struct pw_client *c, const struct pw_piece *piece)
{
	bool is_known = pw_session_note_function(c, piece);

	return pw_relay_own_sequences(c, is_known ? 0 : PW_VALUES_UNREAD) && forward_role(c, piece);
}

static bool begin_message(struct pw_client *c, const struct pw_piece *piece)
{
	enum pw_message_role role = pw_frontend_messages.rows[piece->type].role;

	if (pw_resets_refuse(c, role))
		return pw_resets_fail_batch(c, piece);
	switch (role) {
	case PW_ROLE_QUERY:
		return forward_query(c, piece);
	case PW_ROLE_PARSE:
		return c->is_tracking ? pw_relay_parse(c, piece) : forward_parse(c, piece);
	case PW_ROLE_BIND:
		return c->is_tracking ? pw_relay_bind(c, piece) : forward_bind(c, piece);
	case PW_ROLE_DESCRIBE:
		return c->is_tracking ? pw_relay_describe(c, piece) : forward_describe(c, piece);
	case PW_ROLE_CLOSE:
		return c->is_tracking ? pw_relay_close(c, piece) : forward_close(c, piece);
	case PW_ROLE_EXECUTE:
		return c->portal_forgets ? pw_relay_execute(c, piece) : forward_role(c, piece);
	case PW_ROLE_FUNCTION:
		return forward_function(c, piece);
	case PW_ROLE_SYNC:
		return forward_sync_point(c, piece, 0, pw_session_note_sync(c));
	case PW_ROLE_COPY_END:
		return forward_copy_end(c, piece);
	case PW_ROLE_FLUSH:
	case PW_ROLE_COPY_DATA:
		pw_relay_pass_on(c, piece);
		return true;
	case PW_ROLE_TERMINATE:
		pw_client_close(c, "client close request", NULL);
		return false;
	case PW_ROLE_PASSWORD:
	case PW_ROLE_NONE:
		break;
	}
	pw_client_fail(c, PW_SQLSTATE_PROTOCOL_VIOLATION, "unknown pkt");
	return false;
}

bool pw_relay_begin_message(struct pw_client *c, const struct pw_piece *piece)
{
	struct pw_strbuf text = PW_STRBUF_INIT;
	struct pw_piece sent;
	bool ok;

	if (!c->route || !pw_route_may_ask(piece))
		return begin_message(c, piece);
	sent = pw_route_translate(c, piece, &text);
	/* It may lie where a text lay that was looked at. */
	if (text.len > 0)
		pw_shape_cache_let_go(&c->clients->shapes);
	ok = text.has_failed ? pw_relay_out_of_memory(c) : begin_message(c, &sent);
	pw_strbuf_fini(&text);
	return ok;
}

static void answer_sync(struct pw_client *c)
{
	const uint8_t ready[] = {'Z', 0, 0, 0, 5, pw_route_has_begun(c) ? 'T' : 'I'};

	pw_batch_copy(pw_relay_to_client(c), ready, sizeof(ready));
}

enum pw_unlinked pw_relay_begin_unlinked(struct pw_client *c, const struct pw_piece *piece)
{
	switch (pw_frontend_messages.rows[piece->type].role) {
	case PW_ROLE_SYNC: /* nothing was asked since the last one */
		answer_sync(c);
		return PW_UNLINKED_ANSWERED;
	case PW_ROLE_QUERY:
		return pw_route_begins(c, piece) ? PW_UNLINKED_ANSWERED : PW_UNLINKED_NEEDS_LINK;
	case PW_ROLE_PARSE:
		return c->is_tracking ? pw_relay_parse_unlinked(c, piece) : PW_UNLINKED_NEEDS_LINK;
	case PW_ROLE_CLOSE:
		return c->is_tracking ? pw_relay_close_unlinked(c, piece) : PW_UNLINKED_NEEDS_LINK;
	case PW_ROLE_FLUSH:
	case PW_ROLE_COPY_DATA: /* behind a COPY that has failed: PostgreSQL drops it too */
	case PW_ROLE_COPY_END:
		c->is_dropping = true;
		return PW_UNLINKED_ANSWERED;
	case PW_ROLE_TERMINATE:
		pw_client_close(c, "client close request", NULL);
		return PW_UNLINKED_GONE;
	case PW_ROLE_PASSWORD:
	case PW_ROLE_NONE:
		pw_client_fail(c, PW_SQLSTATE_PROTOCOL_VIOLATION, "unknown pkt");
		return PW_UNLINKED_GONE;
	default:
		return PW_UNLINKED_NEEDS_LINK;
	}
}

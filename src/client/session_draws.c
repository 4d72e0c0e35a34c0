/* SPDX-License-Identifier: PostgreSQL
 *
 * Values of sequences: which messages may draw them, and which ask for what was drawn in an earlier
 * transaction, so that the client is brought back to the link where that is.
 */
#include "config.h"

#include <stdatomic.h>

#include "client_priv.h"
#include "code_priv.h"
#include "pgweir/pool/code.h"

static const struct pw_verdict *verdict_of(const struct pw_client *c)
{
	struct pw_pool *pool = c->loan.pool;
	struct pw_shared_db *db = pool->shared->db;

	return pw_code_look(&db->code, &pool->code,
			    atomic_load_explicit(&db->code_epoch, memory_order_relaxed));
}

/* A command like LOCK or VACUUM: another may go ahead of it between transactions, but neither
 * within one, whose snapshot that would take, nor within a batch. */
static bool is_command(const struct pw_effects *effects)
{
	const unsigned calls = PW_EFFECT_CALLS | PW_EFFECT_CALLS_ANY | PW_EFFECT_CODE;

	return effects->flags & PW_EFFECT_COMMANDS && !effects->draws && !(effects->flags & calls);
}

unsigned pw_session_values_use(const struct pw_client *c, const struct pw_effects *effects)
{
	unsigned use = 0;

	if (!effects)
		return 0;
	if (effects->flags & PW_EFFECT_SEQUENCES)
		use |= effects->ends ? PW_VALUES_ASKED | PW_VALUES_BEHIND : PW_VALUES_ASKED;
	if (effects->flags & PW_EFFECT_UNSEEN)
		use |= PW_VALUES_UNREAD;
	if (effects->begins)
		use |= PW_VALUES_LATER;
	if (pw_effects_draw(effects, verdict_of(c)))
		use |= is_command(effects) ? PW_VALUES_LATER : PW_VALUES_DRAWN;
	return use;
}

bool pw_session_has_drawn(const struct pw_client *c)
{
	return c->session && c->session->effects.flags != 0 &&
	       pw_effects_draw(&c->session->effects, verdict_of(c));
}

/* ---- asking ---- */

static bool asks_by_name(const struct pw_client *c, const struct pw_piece *piece)
{
	struct pw_cursor body = pw_piece_body(piece);
	const struct pw_prepared_name *listed;
	const char *name;

	(void)pw_cursor_string(&body); /* the portal */
	name = pw_cursor_string(&body);
	if (body.has_failed)
		return false;
	if (name[0] == '\0')
		return c->session->unnamed.now &&
		       c->session->unnamed.now->effects.flags & PW_EFFECT_SEQUENCES;
	listed = c->prepared ? pw_prepared_find(c->prepared, name) : NULL;
	return listed && listed->statement->may_ask;
}

/* One that does not ask after all comes to the link as well. */
bool pw_session_asks_elsewhere(const struct pw_client *c, const struct pw_piece *piece)
{
	enum pw_message_role role = pw_frontend_messages.rows[piece->type].role;

	if (!c->session || c->loan.drawn_on == 0)
		return false;
	if (role == PW_ROLE_QUERY || role == PW_ROLE_PARSE)
		return pw_statement_may_ask((const char *)piece->data, piece->len);
	return role == PW_ROLE_BIND && asks_by_name(c, piece);
}

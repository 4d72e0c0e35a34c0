/* SPDX-License-Identifier: PostgreSQL
 *
 * What the effects of a transaction come to, by what is known of the database's code. Each message
 * is judged when it is sent and all of them once more at the end: what it calls may be made another
 * meanwhile, by somebody else.
 */
#include "config.h"

#include <stdatomic.h>

#include "client_priv.h"
#include "code_priv.h"
#include "pgweir/pool/code.h"

static bool is_failing(const struct pw_client *c)
{
	return pw_code_is_failing(&c->loan.pool->shared->db->code, c->clients->loop->now_us);
}

static unsigned ask_code(const struct pw_client *c, bool *is_known)
{
	struct pw_pool *pool = c->loan.pool;
	struct pw_shared_db *db = pool->shared->db;
	const struct pw_verdict *verdict;
	unsigned epoch;

	epoch = atomic_load_explicit(&db->code_epoch, memory_order_relaxed);
	if (c->session->learning != PW_LEARNING_NOT)
		epoch = c->session->learning_epoch;
	verdict = pw_code_look(&db->code, &pool->code, epoch);
	*is_known = verdict != NULL;
#ifdef PW_MUTANT_CODE_NOT_ASKED
	return 0;
#endif
	if (verdict)
		return c->session->called | pw_effects_by_code(&c->session->effects, verdict);
	/* The worst of what was known before the server could say no more. */
	if (is_failing(c) && pool->code.verdict)
		return PW_CODE_DOUBTFUL |
		       pw_effects_by_code(&c->session->effects, pool->code.verdict);
	return PW_CODE_DOUBTFUL | c->session->called;
}

void pw_session_note_calls(struct pw_client *c, const struct pw_effects *effects)
{
	struct pw_pool *pool = c->loan.pool;
	struct pw_shared_db *db = pool->shared->db;
	unsigned epoch = atomic_load_explicit(&db->code_epoch, memory_order_relaxed);
	const struct pw_verdict *verdict;

	if (!(effects->flags & PW_EFFECTS_BY_CODE))
		return;
	verdict = pw_code_look(&db->code, &pool->code, epoch);
	c->session->is_called_unknown |= !verdict && !is_failing(c);
	/* What was known before a change may still run. */
	if (pool->code.verdict)
		c->session->called |= pw_effects_by_code(effects, pool->code.verdict);
}

/* By their own words, or by code that they call. */
static bool may_make_tables(const struct pw_client *c)
{
	const struct pw_effects *effects = &c->session->effects;
	bool is_known;
	unsigned what;

	if (effects->makes_tables || !(effects->flags & (PW_EFFECT_CALLS | PW_EFFECT_CALLS_ANY)))
		return effects->makes_tables;
	what = ask_code(c, &is_known);
	return what & PW_CODE_TABLES || (!is_known && !is_failing(c));
}

void pw_session_tell_tables(struct pw_client *c)
{
	atomic_uint *epoch = &c->loan.pool->shared->db->ddl_epoch;

	if (c->session && may_make_tables(c))
		atomic_fetch_add(epoch, 1);
	/* What was parsed before nobody else could have parsed so. */
	if (c->prepared)
		pw_prepared_settle(c->prepared, atomic_load(epoch));
}

/* What the effects come to, by what is known of the database's code. */
unsigned pw_session_flags(const struct pw_client *c, bool *is_known)
{
	unsigned flags = c->session->effects.flags, what = 0;
	struct pw_shared_db *db = c->loan.pool->shared->db;
	bool may_set_made;

	*is_known = true;
	if (flags & PW_EFFECTS_BY_CODE)
		what = ask_code(c, is_known);
	/* Not where all functions are doubtful for want of an answer: it would pin everybody. */
	may_set_made =
	    flags & PW_EFFECT_CODE || (what & PW_CODE_DOUBTFUL && (*is_known || !is_failing(c)));
	if (what & PW_CODE_DOUBTFUL || c->session->is_called_unknown)
		flags |= PW_EFFECTS_UNKNOWN;
	if (what & PW_CODE_OPAQUE)
		flags |= PW_EFFECT_UNSEEN;
	if (what & PW_CODE_MAKES)
		flags |= PW_EFFECT_DDL;
	if (may_set_made && flags & PW_EFFECT_MADE)
		flags |= PW_EFFECT_OPAQUE;
	/* Code with more names than are remembered: some of what was set may not be asked for. */
	if (flags & PW_EFFECT_SETTINGS && atomic_load(&db->code.dotted.is_full))
		flags |= PW_EFFECT_UNSEEN;
	return flags & ~(unsigned)(PW_EFFECTS_BY_CODE | PW_EFFECT_MADE | PW_EFFECT_COPY |
				   PW_EFFECT_PARSES | PW_EFFECT_RESET_LOCAL);
}

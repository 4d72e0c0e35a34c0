/* SPDX-License-Identifier: PostgreSQL
 *
 * What the database's code may have left where that has changed since anybody looked: one client
 * asks on its own link, for all; the others keep theirs until the answer is there. The question
 * costs a server far more than most transactions do.
 *
 * The answer may come to another worker, which tells nobody: it is looked for every few
 * milliseconds.
 */
#include "config.h"

#include <stdatomic.h>

#include "client_priv.h"
#include "code_priv.h"
#include "pgweir/base/clock.h"
#include "pgweir/pool/code.h"

/* Longer than a server may think about it, so whoever asks has got stuck. */
enum { LOOK_AGAIN_US = 2000, PATIENCE_US = PW_CODE_TIMEOUT_US + PW_SECOND_US };

static struct pw_code *code_of(const struct pw_client *c)
{
	return &c->loan.pool->shared->db->code;
}

static bool is_known(const struct pw_client *c)
{
	return pw_code_look(code_of(c), &c->loan.pool->code, c->session->learning_epoch) != NULL;
}

static void ask_or_wait(struct pw_client *c)
{
	struct pw_link *link = c->loan.link;

	link->request_us = c->clients->loop->now_us; /* query_timeout covers it */
	c->session->learning = PW_LEARNING_ASKS;
	if (pw_link_learn_lent(link))
		return;
	c->session->learning = PW_LEARNING_WAITS;
	pw_loop_arm(c->clients->loop, &c->timer, LOOK_AGAIN_US);
}

bool pw_session_learn(struct pw_client *c)
{
	struct pw_client_session *s = c->session;

	if (s->learning == PW_LEARNING_OVER ||
	    pw_code_is_failing(code_of(c), c->clients->loop->now_us))
		return false;
	s->learning_epoch = atomic_load(&c->loan.pool->shared->db->code_epoch);
	pw_client_goto(c, PW_CLIENT_ASKING);
	pw_stream_set_reading(&c->loan.link->stream, true);
	ask_or_wait(c);
	return true;
}

bool pw_session_goes_on_learning(struct pw_client *c)
{
	uint64_t now = c->clients->loop->now_us;

	if (is_known(c) || pw_code_is_failing(code_of(c), now) ||
	    pw_client_waited(c) >= PATIENCE_US)
		return false;
	ask_or_wait(c);
	return true;
}

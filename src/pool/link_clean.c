/* SPDX-License-Identifier: PostgreSQL
 *
 * What happens to a link when its loan ends: given on as it is, cleaned (rolled back, reset),
 * drained of answers that its client no longer waits for, or closed.
 */
#include "config.h"

#include <string.h>
#include <strings.h>

#include "link_priv.h"
#include "pgweir/base/assert.h"
#include "pgweir/pool/cancel.h"
#include "pgweir/pool/objects.h"

static void free_objects(struct pw_link *link, const struct pw_borrower_ops *ops)
{
	for (uint32_t i = 0; i < link->expects.n; i++) {
		struct pw_expect *entry = pw_expect_at(&link->expects, i);

		if (entry->object)
			ops->free_object(entry->object);
		entry->object = NULL;
	}
}

/* The server has not answered everything yet. */
static void leave_behind(struct pw_link *link, bool may_finish)
{
	if (link->is_copy_in || link->is_copy_both || link->is_unsure || link->is_batch_open) {
		pw_link_close(link, PW_LINK_END_CLEAN,
			      "client disconnect while server was not ready", NULL);
		return;
	}
	pw_link_goto(link, PW_LINK_DRAINING);
	if (may_finish)
		return;
	link->clean_todo |= PW_CLEAN_ROLLBACK | PW_CLEAN_RESET;
	if (pw_cancel_link(link) != PW_OK)
		pw_link_close(link, PW_LINK_END_CLEAN, "cannot cancel an abandoned query", NULL);
}

void pw_link_end_loan(struct pw_link *link, bool has_left, bool may_finish)
{
	const struct pw_conf *conf = link->pool->pools->snapshot->conf;
	struct pw_loan *loan = link->loan;

	/* Nobody is there to hand the answer in. */
	if (link->learning)
		pw_link_end_learning(link);
	link->loan = NULL;
	link->is_swallowing = true; /* the rest of a message that is cut by the end of the input */
	loan->link = NULL;
	loan->state = PW_LOAN_NONE;
	link->facts.last_used_us = link->pool->pools->loop->now_us;
	link->clean_todo = 0;
	link->facts.must_close |= link->is_syncing;
	/* A client that logged in under another session_state leaves nothing to those of now. */
	link->facts.is_untracked |= loan->is_untracked;
	link->must_reset |= loan->is_untracked && conf->session_state == PW_SESSION_TRACK;
	link->must_reset |= loan->is_strict && conf->session_state == PW_SESSION_OFF;
	if (link->must_reset || conf->server_reset_query_always ||
	    (has_left && loan->mode == PW_MODE_SESSION))
		link->clean_todo |= PW_CLEAN_RESET;
	free_objects(link, loan->ops);
#ifndef PW_MUTANT_OWN_LINK_KEPT
	if (link->replication != PW_REPLICATION_NONE) {
		pw_link_close(link, PW_LINK_END_CLEAN, "replication client was closed", NULL);
		return;
	}
#endif
	pw_stream_set_reading(&link->stream, true);
	if (link->expects.n > 0 || link->is_copy_both || link->is_unsure || link->is_batch_open) {
		leave_behind(link, may_finish);
		return;
	}
#ifndef PW_MUTANT_NOT_ROLLED_BACK
	if (link->transaction != 'I')
		link->clean_todo |= PW_CLEAN_ROLLBACK | PW_CLEAN_RESET;
#endif
	if (link->is_reading_input)
		pw_link_goto(link, PW_LINK_RETURNING);
	else
		pw_link_clean_next(link);
}

static const char idle_timeout[] = "idle_session_timeout";

static void run_query(struct pw_link *link, enum pw_link_state state, const char *sql)
{
	link->has_own_error = false;
	if (link->state != state)
		pw_link_goto(link, state);
	if (pw_link_query(link, sql) != PW_OK)
		pw_link_close(link, PW_LINK_END_CLEAN, "out of memory", NULL);
}

/* Would the server end it for being idle, which its client alone has asked for? */
static bool ends_when_idle(const struct pw_link *link)
{
	const char *value = pw_state_find(link->settings, idle_timeout);

	return value && strcmp(value, "0") != 0;
}

static void reset_idle_timeout(struct pw_link *link)
{
	struct pw_state *rest = pw_state_with(link->settings, idle_timeout, NULL);

	if (!rest) {
		pw_link_close(link, PW_LINK_END_CLEAN, "out of memory", NULL);
		return;
	}
	pw_state_unref(link->settings);
	link->settings = rest;
	run_query(link, PW_LINK_CLEANING, "RESET idle_session_timeout");
}

void pw_link_clean_next(struct pw_link *link)
{
	const struct pw_conf *conf = link->pool->pools->snapshot->conf;
	const char *reset;
	bool wants_reset;

#ifndef PW_MUTANT_CANCEL_NOT_AWAITED
	if (!pw_list_is_empty(&link->cancels)) {
		if (link->state != PW_LINK_CANCELED)
			pw_link_goto(link, PW_LINK_CANCELED);
		return;
	}
#endif
	if (link->facts.must_close) {
		pw_link_close(link, PW_LINK_END_CLEAN, "close_needed", NULL);
		return;
	}
	reset = link->must_reset ? "DISCARD ALL" : conf->server_reset_query;
	wants_reset = link->clean_todo & PW_CLEAN_RESET && reset && reset[0] != '\0';
	if (link->clean_todo & PW_CLEAN_ROLLBACK && link->transaction != 'I') {
		link->clean_todo &= ~(unsigned)PW_CLEAN_ROLLBACK;
		run_query(link, PW_LINK_CLEANING, "ROLLBACK");
	} else if (wants_reset) {
		link->clean_todo = 0;
		link->must_reset = false;
		if (strcasecmp(reset, "DISCARD ALL") == 0)
			link->facts.is_untracked = false;
		/* What another query makes of settings is not known. */
		if (link->settings->n > 0 && strcasecmp(reset, "DISCARD ALL") != 0)
			link->facts.must_close = true;
		run_query(link, PW_LINK_CLEANING, reset);
	} else if (ends_when_idle(link)) {
		reset_idle_timeout(link);
	} else if (!pw_link_learn(link)) {
		link->clean_todo = 0;
		pw_expect_trim(&link->expects);
		link->pool->pools->link_ops->on_usable(link);
	}
}

void pw_link_check(struct pw_link *link)
{
	const char *query = link->pool->pools->snapshot->conf->server_check_query;

	run_query(link, PW_LINK_CHECKING, strcmp(query, "<empty>") == 0 ? "" : query);
}

void pw_link_clean_ready(struct pw_link *link)
{
	if (link->expects.n > 0)
		return;
	switch (link->state) {
	case PW_LINK_SETUP:
		if (link->has_own_error)
			pw_log_error(&link->log, "error while executing connect_query");
		link->has_own_error = false;
		break;
	case PW_LINK_CLEANING:
		/* A session that could not be reset is not given to somebody else. */
		if (link->has_own_error)
			link->facts.must_close = true;
		break;
	case PW_LINK_LEARNING:
		pw_link_learned(link);
		break;
	case PW_LINK_CHECKING: /* any answer shows that the server lives */
	case PW_LINK_DRAINING:
	case PW_LINK_CANCELED:
		break;
	default:
		pw_link_close(link, PW_LINK_END_BROKEN, "idle server got dirty", NULL);
		return;
	}
	/* Whatever is not idle now needs a ROLLBACK; twice is once too often. */
	if (link->transaction != 'I') {
		if (link->state == PW_LINK_CLEANING)
			link->facts.must_close = true;
		link->clean_todo |= PW_CLEAN_ROLLBACK | PW_CLEAN_RESET;
	}
	/* It goes on when the rest of the input has been looked at. */
	pw_link_goto(link, PW_LINK_RETURNING);
}

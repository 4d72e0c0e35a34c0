/* SPDX-License-Identifier: PostgreSQL
 *
 * The end of a loan: what is given on as it is, rolled back, reset, drained, cancelled or closed.
 * The one rule: the next borrower never meets anything of the last one.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../lib/fake_pool.h"
#include "pgweir/pool/cancel.h"

struct fixture {
	struct fake_env env;
	struct fake_server server;
	struct fake_borrower first, next; /* next waits from the beginning */
};

static struct fixture *begin(const char *settings, const char *db)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct pw_pool *pool;

	fake_env_init(&f->env, settings, db, 1);
	pool = fake_pool_of(&f->env, 0, "bob");
	fake_borrower_init(&f->first, pool);
	fake_borrower_init(&f->next, pool);
	assert_false(fake_borrow(&f->first));
	assert_false(fake_borrow(&f->next));
	fake_accept_login(&f->env, &f->server);
	fake_assert_heard(&f->first, "link");
	fake_assert_heard(&f->next, "");
	return f;
}

static void end(struct fixture *f)
{
	fake_borrower_fini(&f->first);
	fake_borrower_fini(&f->next);
	fake_server_close(&f->server);
	fake_env_fini(&f->env);
	free(f);
}

static int setup(void **state)
{
	*state = begin("default_pool_size = 1", "");
	return 0;
}

static int setup_session(void **state)
{
	*state = begin("default_pool_size = 1\npool_mode = session\n"
		       "server_reset_query = RESET ALL",
		       "");
	return 0;
}

static int setup_always(void **state)
{
	*state = begin("default_pool_size = 1\nserver_reset_query_always = 1", "");
	return 0;
}

static int setup_no_reset(void **state)
{
	*state = begin("default_pool_size = 1\nserver_reset_query =", "");
	return 0;
}

static int teardown(void **state)
{
	end(*state);
	return 0;
}

static void leave(struct fixture *f, bool may_finish)
{
	pw_pool_return(&f->first.loan, true, may_finish);
	assert_int_equal(f->first.loan.state, PW_LOAN_NONE);
	fake_turn(&f->env);
}

static enum pw_link_state state_of_only_link(struct fixture *f)
{
	static const enum pw_link_state states[] = {PW_LINK_IDLE, PW_LINK_LENT, PW_LINK_CLEANING,
						    PW_LINK_CANCELED};
	struct pw_pool *pool = f->first.loan.pool;

	for (size_t i = 0; i < PW_COUNTOF(states); i++) {
		struct pw_list *node = pw_list_first(pw_pool_home(pool, states[i]));

		if (node)
			return PW_CONTAINER(node, struct pw_link, pool_node)->state;
	}
	return PW_LINK_CLOSED;
}

/* The waiter has the same connection now. */
static void assert_given_on(struct fixture *f)
{
	fake_turn(&f->env);
	fake_assert_heard(&f->next, "link");
	assert_true(pw_link_is_free(f->next.loan.link));
	fake_must_be_silent(&f->server);
	fake_expect_all(&f->next, "Q");
	fake_answer(&f->server, "C=SELECT+1 Z=I");
	fake_assert_heard(&f->next, "C Z ready");
}

/* The waiter gets another connection. */
static void assert_closed(struct fixture *f)
{
	struct fake_server other;

	assert_true(fake_is_closed(&f->server));
	fake_assert_heard(&f->next, "");
	fake_accept_login(&f->env, &other);
	fake_assert_heard(&f->next, "link");
	fake_borrower_fini(&f->next);
	fake_borrower_init(&f->next, f->first.loan.pool);
	fake_server_close(&other);
}

/* ---- in good order ---- */

static void test_returned_free(void **state)
{
	struct fixture *f = *state;

	pw_pool_return(&f->first.loan, false, false);
	assert_given_on(f);
}

static void test_returned_from_within(void **state)
{
	struct fixture *f = *state;

	f->first.returns_when_free = true;
	fake_expect_all(&f->first, "Q");
	fake_answer(&f->server, "C=SELECT+1 Z=I");
	fake_assert_heard(&f->first, "C Z ready");
	assert_int_equal(f->first.loan.state, PW_LOAN_NONE);
	assert_given_on(f);
}

/* What comes in the same read behind the last ReadyForQuery is nobody's answer: the next borrower
 * must not have it, and the link is of no use. */
static void test_more_behind_the_last_answer(void **state)
{
	struct fixture *f = *state;

	f->first.returns_when_free = true;
	fake_expect_all(&f->first, "Q");
	fake_answer(&f->server, "C=SELECT+1 Z=I D");
	fake_assert_heard(&f->first, "C Z ready");
	assert_closed(f);
}

/* But parameters and notices are welcome at any time. */
static void test_parameter_behind_the_last_answer(void **state)
{
	struct fixture *f = *state;

	f->first.returns_when_free = true;
	fake_expect_all(&f->first, "Q");
	fake_answer(&f->server, "C=SET Z=I S=TimeZone:CET N A");
	fake_assert_heard(&f->first, "C Z ready");
	fake_assert_heard(&f->next, "link");
	assert_string_equal(f->next.loan.link->params->values[2], "CET");
}

static void test_client_left_with_a_free_link(void **state)
{
	struct fixture *f = *state;

	leave(f, false);
	assert_given_on(f);
}

static void test_session_is_reset(void **state)
{
	struct fixture *f = *state;

	leave(f, true);
	assert_int_equal(state_of_only_link(f), PW_LINK_CLEANING);
	fake_must_receive_query(&f->server, "RESET ALL");
	fake_assert_heard(&f->next, "");
	fake_answer(&f->server, "C=RESET Z=I");
	assert_given_on(f);
}

static void test_reset_in_every_mode(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(pw_known_add(&f->first.loan.link->facts.known, fake_statement(1)), PW_OK);
	pw_pool_return(&f->first.loan, false, false);
	fake_must_receive_query(&f->server, "DISCARD ALL");
	fake_answer(&f->server, "C=DISCARD+ALL Z=I");
	assert_given_on(f);
	assert_int_equal(pw_known_count(&f->next.loan.link->facts.known), 0);
}

static void test_failed_reset_closes(void **state)
{
	struct fixture *f = *state;

	leave(f, true);
	fake_must_receive_query(&f->server, "RESET ALL");
	fake_answer(&f->server, "E=42501 Z=I");
	assert_closed(f);
}

static void test_reset_takes_too_long(void **state)
{
	struct fixture *f = *state;

	leave(f, true);
	fake_must_receive_query(&f->server, "RESET ALL");
	fake_pass(&f->env, 29 * PW_SECOND_US);
	assert_int_equal(state_of_only_link(f), PW_LINK_CLEANING);
	fake_pass(&f->env, 2 * PW_SECOND_US);
	assert_closed(f);
}

/* ---- transactions ---- */

static void open_transaction(struct fixture *f)
{
	fake_expect_all(&f->first, "Q");
	fake_answer(&f->server, "C=BEGIN Z=T");
	fake_assert_heard(&f->first, "C Z ready");
}

static void test_open_transaction(void **state)
{
	struct fixture *f = *state;

	open_transaction(f);
	leave(f, true);
	fake_must_receive_query(&f->server, "ROLLBACK");
	fake_must_be_silent(&f->server);
	fake_assert_heard(&f->next, "");
	fake_answer(&f->server, "C=ROLLBACK Z=I");
	fake_must_receive_query(&f->server, "DISCARD ALL");
	fake_assert_heard(&f->next, "");
	fake_answer(&f->server, "C=DISCARD+ALL Z=I");
	assert_given_on(f);
}

static void test_open_transaction_without_reset_query(void **state)
{
	struct fixture *f = *state;

	open_transaction(f);
	leave(f, true);
	fake_must_receive_query(&f->server, "ROLLBACK");
	fake_answer(&f->server, "C=ROLLBACK Z=I");
	assert_given_on(f);
}

static void test_rollback_does_not_help(void **state)
{
	struct fixture *f = *state;

	open_transaction(f);
	leave(f, true);
	fake_must_receive_query(&f->server, "ROLLBACK");
	fake_answer(&f->server, "C=ROLLBACK Z=T");
	assert_closed(f);
}

/* ---- answers outstanding ---- */

/* After Terminate what was asked for runs to its end, without a cancel request. */
static void test_terminated_with_answers_to_come(void **state)
{
	struct fixture *f = *state;
	struct fake_server none;

	(void)fake_expect(&f->first, PW_ROLE_PARSE, 0, 1);
	(void)fake_expect(&f->first, PW_ROLE_PARSE, 0, 2);
	fake_expect_all(&f->first, "S");
	leave(f, true);
	fake_assert_heard(&f->first, "freed:1 freed:2");
	assert_false(fake_accept(&f->env, &none));
	fake_assert_heard(&f->next, "");
	fake_answer(&f->server, "1 E=42601");
	fake_assert_heard(&f->next, "");
	fake_answer(&f->server, "Z=I");
	assert_given_on(f);
	/* The account goes on without the borrower: what was skipped is not known. */
	assert_true(pw_known_use(&f->next.loan.link->facts.known, fake_statement(1)));
	assert_false(pw_known_use(&f->next.loan.link->facts.known, fake_statement(2)));
	fake_assert_heard(&f->first, "");
}

/* Drained, it turns out to be in a transaction. */
static void test_terminated_in_a_transaction(void **state)
{
	struct fixture *f = *state;

	fake_expect_all(&f->first, "Q");
	leave(f, true);
	fake_answer(&f->server, "C=BEGIN Z=T");
	fake_must_receive_query(&f->server, "ROLLBACK");
	fake_answer(&f->server, "C=ROLLBACK Z=I");
	fake_must_receive_query(&f->server, "DISCARD ALL");
	fake_answer(&f->server, "C=DISCARD+ALL Z=I");
	assert_given_on(f);
}

static void abandon_query(struct fixture *f, struct fake_server *cancel)
{
	(void)fake_expect(&f->first, PW_ROLE_PARSE, 0, 1);
	fake_expect_all(&f->first, "S");
	leave(f, false);
	fake_assert_heard(&f->first, "freed:1");
	fake_accept_cancel(&f->env, cancel);
	assert_int_equal(atomic_load(&f->first.loan.pool->shared->seats[0].idle), 0);
}

static void assert_reset_and_given_on(struct fixture *f)
{
	fake_must_receive_query(&f->server, "DISCARD ALL");
	fake_assert_heard(&f->next, "");
	fake_answer(&f->server, "C=DISCARD+ALL Z=I");
	assert_given_on(f);
}

static void test_abandoned_answer_first(void **state)
{
	struct fixture *f = *state;
	struct fake_server cancel;

	abandon_query(f, &cancel);
	fake_answer(&f->server, "E=57014 Z=I");
	/* The request may still strike whoever has the link next. */
	assert_int_equal(state_of_only_link(f), PW_LINK_CANCELED);
	fake_must_be_silent(&f->server);
	fake_assert_heard(&f->next, "");
	fake_server_close(&cancel);
	assert_reset_and_given_on(f);
}

static void test_abandoned_cancel_first(void **state)
{
	struct fixture *f = *state;
	struct fake_server cancel;

	abandon_query(f, &cancel);
	fake_server_close(&cancel);
	fake_must_be_silent(&f->server);
	fake_assert_heard(&f->next, "");
	fake_answer(&f->server, "E=57014 Z=I");
	assert_reset_and_given_on(f);
}

static void test_abandoned_in_a_transaction(void **state)
{
	struct fixture *f = *state;
	struct fake_server cancel;

	open_transaction(f);
	abandon_query(f, &cancel);
	fake_answer(&f->server, "E=57014 Z=E");
	fake_server_close(&cancel);
	fake_must_receive_query(&f->server, "ROLLBACK");
	fake_answer(&f->server, "C=ROLLBACK Z=I");
	assert_reset_and_given_on(f);
}

static void test_abandoned_and_never_answered(void **state)
{
	struct fixture *f = *state;
	struct fake_server cancel;

	abandon_query(f, &cancel);
	fake_server_close(&cancel);
	fake_pass(&f->env, 29 * PW_SECOND_US);
	assert_false(fake_is_closed(&f->server));
	fake_pass(&f->env, 2 * PW_SECOND_US);
	assert_closed(f);
}

/* The cancel request hangs: nobody knows whether it will still strike. */
static void test_cancel_never_ends(void **state)
{
	struct fixture *f = *state;
	struct fake_server cancel;

	abandon_query(f, &cancel);
	fake_answer(&f->server, "E=57014 Z=I");
	fake_pass(&f->env, 9 * PW_SECOND_US);
	assert_int_equal(state_of_only_link(f), PW_LINK_CANCELED);
	fake_pass(&f->env, 2 * PW_SECOND_US);
	assert_true(fake_is_closed(&cancel));
	assert_closed(f);
	fake_server_close(&cancel);
}

static void test_server_unreachable_for_cancel(void **state)
{
	struct fixture *f = *state;

	fake_expect_all(&f->first, "Q");
	fake_listen(&f->env, false);
	leave(f, false);
	assert_true(fake_is_closed(&f->server));
	assert_int_equal(state_of_only_link(f), PW_LINK_CLOSED);
	fake_listen(&f->env, true);
}

/* The link dies with its cancel request under way: the request goes on alone. */
static void test_link_dies_before_its_cancel(void **state)
{
	struct fixture *f = *state;
	struct fake_server cancel, other;

	abandon_query(f, &cancel);
	fake_answer(&f->server, "X=57P01");
	fake_server_close(&f->server);
	assert_int_equal(state_of_only_link(f), PW_LINK_CLOSED);
	fake_accept_login(&f->env, &other);
	fake_assert_heard(&f->next, "link");
	assert_true(pw_list_is_empty(&f->next.loan.link->cancels));
	fake_server_close(&cancel);
	assert_int_equal(f->next.loan.state, PW_LOAN_HOLDING);
	fake_borrower_fini(&f->next);
	fake_borrower_init(&f->next, f->first.loan.pool);
	fake_server_close(&other);
}

/* Somebody cancels by hand while the link is returned and waited for. */
static void test_returned_under_a_cancel_request(void **state)
{
	struct fixture *f = *state;
	struct fake_server cancel;

	assert_int_equal(pw_cancel_link(f->first.loan.link), PW_OK);
	fake_accept_cancel(&f->env, &cancel);
	pw_pool_return(&f->first.loan, false, false);
	fake_turn(&f->env);
	assert_int_equal(state_of_only_link(f), PW_LINK_CANCELED);
	fake_assert_heard(&f->next, "");
	fake_server_close(&cancel);
	assert_given_on(f);
}

/* ---- where nothing helps ---- */

static void test_left_with_an_open_batch(void **state)
{
	struct fixture *f = *state;

	fake_expect_all(&f->first, "P");
	fake_answer(&f->server, "1");
	leave(f, true);
	assert_closed(f);
}

static void test_left_in_copy_in(void **state)
{
	struct fixture *f = *state;

	fake_expect_all(&f->first, "Q");
	fake_answer(&f->server, "G");
	leave(f, true);
	assert_closed(f);
}

/* The server has only begun to wait for data when nobody is left to send it. */
static void test_left_before_copy_in_began(void **state)
{
	struct fixture *f = *state;

	fake_expect_all(&f->first, "Q");
	leave(f, true);
	fake_assert_heard(&f->next, "");
	fake_answer(&f->server, "G");
	assert_closed(f);
}

static void test_abandoned_before_copy_in_began(void **state)
{
	struct fixture *f = *state;
	struct fake_server cancel;

	fake_expect_all(&f->first, "Q");
	leave(f, false);
	fake_accept_cancel(&f->env, &cancel);
	fake_server_close(&cancel);
	fake_answer(&f->server, "G");
	assert_closed(f);
}

static void test_left_before_copy_both_began(void **state)
{
	struct fixture *f = *state;

	fake_expect_all(&f->first, "Q");
	leave(f, true);
	fake_answer(&f->server, "W");
	assert_closed(f);
}

/* All of the data had been sent: the server needs nothing more. */
static void test_left_behind_a_whole_copy_in(void **state)
{
	struct fixture *f = *state;

	fake_expect_all(&f->first, "Qc");
	leave(f, true);
	fake_answer(&f->server, "G");
	fake_assert_heard(&f->next, "");
	fake_answer(&f->server, "C=COPY+3 Z=I");
	assert_given_on(f);
}

static void test_left_in_copy_both(void **state)
{
	struct fixture *f = *state;

	fake_expect_all(&f->first, "Q");
	fake_answer(&f->server, "W");
	leave(f, true);
	assert_closed(f);
}

static void test_left_before_the_marker_was_seen(void **state)
{
	struct fixture *f = *state;

	fake_expect_all(&f->first, "ES");
	fake_answer(&f->server, "G");
	fake_expect_all(&f->first, "cS");
	fake_answer(&f->server, "E=22P04 Z=I");
	leave(f, true);
	assert_closed(f);
}

/* ---- an idle link ---- */

static void test_idle_link_that_speaks(void **state)
{
	struct fixture *f = *state;

	pw_pool_withdraw(&f->next.loan);
	pw_pool_return(&f->first.loan, false, false);
	fake_turn(&f->env);
	assert_int_equal(state_of_only_link(f), PW_LINK_IDLE);
	assert_int_equal(atomic_load(&f->first.loan.pool->shared->seats[0].idle), 1);
	fake_answer(&f->server, "S=TimeZone:CET N A");
	assert_int_equal(state_of_only_link(f), PW_LINK_IDLE);
	fake_answer(&f->server, "Z=I");
	assert_true(fake_is_closed(&f->server));
	assert_int_equal(atomic_load(&f->first.loan.pool->shared->seats[0].idle), 0);
	assert_int_equal(pw_limit_used(&f->first.loan.pool->shared->links), 0);
}

static void test_idle_link_is_told_goodbye(void **state)
{
	struct fixture *f = *state;

	pw_pool_withdraw(&f->next.loan);
	pw_pool_return(&f->first.loan, false, false);
	fake_turn(&f->env);
	pw_pools_close_idle(&f->env.workers[0].pools, "other", "test");
	assert_int_equal(state_of_only_link(f), PW_LINK_IDLE);
	pw_pools_close_idle(&f->env.workers[0].pools, "app", "test");
	fake_must_receive(&f->server, "X\0\0\0\4", 5);
	assert_true(fake_is_closed(&f->server));
}

#define IN_TRANSACTION_MODE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    IN_TRANSACTION_MODE(test_returned_free),
	    IN_TRANSACTION_MODE(test_returned_from_within),
	    IN_TRANSACTION_MODE(test_more_behind_the_last_answer),
	    IN_TRANSACTION_MODE(test_parameter_behind_the_last_answer),
	    IN_TRANSACTION_MODE(test_client_left_with_a_free_link),
	    cmocka_unit_test_setup_teardown(test_session_is_reset, setup_session, teardown),
	    cmocka_unit_test_setup_teardown(test_reset_in_every_mode, setup_always, teardown),
	    cmocka_unit_test_setup_teardown(test_failed_reset_closes, setup_session, teardown),
	    cmocka_unit_test_setup_teardown(test_reset_takes_too_long, setup_session, teardown),
	    IN_TRANSACTION_MODE(test_open_transaction),
	    cmocka_unit_test_setup_teardown(test_open_transaction_without_reset_query,
					    setup_no_reset, teardown),
	    IN_TRANSACTION_MODE(test_rollback_does_not_help),
	    IN_TRANSACTION_MODE(test_terminated_with_answers_to_come),
	    IN_TRANSACTION_MODE(test_terminated_in_a_transaction),
	    IN_TRANSACTION_MODE(test_abandoned_answer_first),
	    IN_TRANSACTION_MODE(test_abandoned_cancel_first),
	    IN_TRANSACTION_MODE(test_abandoned_in_a_transaction),
	    IN_TRANSACTION_MODE(test_abandoned_and_never_answered),
	    IN_TRANSACTION_MODE(test_cancel_never_ends),
	    IN_TRANSACTION_MODE(test_server_unreachable_for_cancel),
	    IN_TRANSACTION_MODE(test_link_dies_before_its_cancel),
	    IN_TRANSACTION_MODE(test_returned_under_a_cancel_request),
	    IN_TRANSACTION_MODE(test_left_with_an_open_batch),
	    IN_TRANSACTION_MODE(test_left_in_copy_in),
	    IN_TRANSACTION_MODE(test_left_before_copy_in_began),
	    IN_TRANSACTION_MODE(test_abandoned_before_copy_in_began),
	    IN_TRANSACTION_MODE(test_left_before_copy_both_began),
	    IN_TRANSACTION_MODE(test_left_behind_a_whole_copy_in),
	    IN_TRANSACTION_MODE(test_left_in_copy_both),
	    IN_TRANSACTION_MODE(test_left_before_the_marker_was_seen),
	    IN_TRANSACTION_MODE(test_idle_link_that_speaks),
	    IN_TRANSACTION_MODE(test_idle_link_is_told_goodbye),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

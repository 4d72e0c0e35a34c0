/* SPDX-License-Identifier: PostgreSQL
 *
 * What operators and time do to a pool: pauses, reloads, ages, checks, time limits.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "queue_fixture.h"

/* ---- what the operator does ---- */

static void test_pause(void **state)
{
	struct fixture *f = begin("default_pool_size = 2", "");

	(void)state;
	lend_to(f, 1);
	atomic_store(&f->pool->shared->db->is_paused, true);
	assert_false(fake_borrow(&f->b[1]));
	fake_pass(&f->env, 5 * PW_SECOND_US);
	fake_assert_heard(&f->b[1], "");
	assert_int_equal(f->pool->n_opening, 0);
	/* Released, the link closes. */
	give_back(f, &f->b[0]);
	assert_true(fake_is_closed(&f->s[0]));
	assert_int_equal(used(f), 0);
	fake_assert_heard(&f->b[1], "");
	atomic_store(&f->pool->shared->db->is_paused, false);
	pw_pools_serve_all(&f->env.workers[0].pools);
	assert_int_equal(log_all_in(f), 1);
	fake_assert_heard(&f->b[1], "link");
	end(f);
}

static void test_reconnect(void **state)
{
	struct fixture *f = begin("default_pool_size = 2", "");

	(void)state;
	lend_to(f, 2);
	give_back(f, &f->b[1]);
	atomic_fetch_add(&f->pool->shared->epoch, 1);
	pw_pools_reconnect(&f->env.workers[0].pools, "app");
	fake_turn(&f->env);
	/* The idle one at once, the busy one when it is given back. */
	assert_int_equal(used(f), 1);
	assert_int_equal(f->b[0].loan.state, PW_LOAN_HOLDING);
	give_back(f, &f->b[0]);
	assert_int_equal(used(f), 0);
	end(f);
}

static void test_reload_with_another_definition(void **state)
{
	struct fixture *f = begin("default_pool_size = 2", "");

	(void)state;
	lend_to(f, 2);
	give_back(f, &f->b[1]);
	fake_reload(&f->env, "default_pool_size = 3", "");
	assert_int_equal(used(f), 2);
	assert_int_equal(f->pool->conf.pool_size, 3);
	fake_reload(&f->env, "default_pool_size = 3", "connect_query='select 1'");
	assert_int_equal(used(f), 1);
	give_back(f, &f->b[0]);
	assert_int_equal(used(f), 0);
	end(f);
}

static void test_smaller_pool_after_reload(void **state)
{
	struct fixture *f = begin("default_pool_size = 4", "");

	(void)state;
	lend_to(f, 4);
	fake_reload(&f->env, "default_pool_size = 2", "");
	for (int i = 0; i < 4; i++)
		give_back(f, &f->b[i]);
	assert_int_equal(used(f), 2);
	end(f);
}

/* ---- upkeep ---- */

static void test_idle_timeout(void **state)
{
	struct fixture *f = begin("default_pool_size = 4\nserver_idle_timeout = 10", "");

	(void)state;
	lend_to(f, 2);
	give_back(f, &f->b[0]);
	fake_pass(&f->env, 9 * PW_SECOND_US);
	assert_int_equal(used(f), 2);
	fake_pass(&f->env, 2 * PW_SECOND_US);
	assert_int_equal(used(f), 1);
	assert_int_equal(f->b[1].loan.state, PW_LOAN_HOLDING);
	end(f);
}

/* Links opened together do not all go together when they are too old. */
static void test_lifetime(void **state)
{
	struct fixture *f = begin("default_pool_size = 4\nserver_lifetime = 100", "");

	(void)state;
	lend_to(f, 4);
	for (int i = 0; i < 4; i++)
		give_back(f, &f->b[i]);
	fake_pass(&f->env, 99 * PW_SECOND_US);
	assert_int_equal(used(f), 4);
	fake_pass(&f->env, 2 * PW_SECOND_US);
	assert_int_equal(used(f), 3);
	fake_pass(&f->env, 20 * PW_SECOND_US);
	assert_int_equal(used(f), 3);
	fake_pass(&f->env, 6 * PW_SECOND_US);
	assert_int_equal(used(f), 2);
	end(f);
}

/* Opened by a worker whose clock is ahead. */
static void test_link_from_the_future_is_not_old(void **state)
{
	struct fixture *f =
	    begin("default_pool_size = 1\nserver_lifetime = 100\nserver_idle_timeout = 100", "");
	struct pw_link *link;

	(void)state;
	lend_to(f, 1);
	link = f->b[0].loan.link;
	link->facts.connect_us = f->env.clock.now_us + PW_SECOND_US;
	give_back(f, &f->b[0]);
	assert_int_equal(used(f), 1);
	link->facts.last_used_us = link->facts.connect_us;
	fake_pass(&f->env, PW_SECOND_US / 2);
	assert_int_equal(used(f), 1);
	end(f);
}

static void test_check_of_a_long_idle_link(void **state)
{
	struct fixture *f = begin("default_pool_size = 1\nserver_check_delay = 10\n"
				  "server_check_query = select 1",
				  "");

	(void)state;
	lend_to(f, 1);
	give_back(f, &f->b[0]);
	fake_pass(&f->env, 11 * PW_SECOND_US);
	assert_int_equal(pw_list_length(&f->pool->stale), 1);
	assert_false(fake_borrow(&f->b[1]));
	fake_must_receive_query(&f->s[0], "select 1");
	fake_assert_heard(&f->b[1], "");
	fake_answer(&f->s[0], "T D C=SELECT+1 Z=I");
	fake_assert_heard(&f->b[1], "link");
	/* The next one does not answer any more. */
	give_back(f, &f->b[1]);
	fake_pass(&f->env, 11 * PW_SECOND_US);
	assert_false(fake_borrow(&f->b[1]));
	fake_must_receive_query(&f->s[0], "select 1");
	fake_server_close(&f->s[0]);
	fake_pass(&f->env, PW_SECOND_US);
	assert_int_equal(log_all_in(f), 1);
	fake_assert_heard(&f->b[1], "link");
	end(f);
}

static void test_query_timeout(void **state)
{
	struct fixture *f = begin("query_timeout = 5", "");

	(void)state;
	lend_to(f, 1);
	fake_expect_all(&f->b[0], "Q");
	f->b[0].loan.link->request_us = f->env.workers[0].loop.now_us;
	fake_pass(&f->env, 4 * PW_SECOND_US);
	fake_assert_heard(&f->b[0], "link");
	fake_pass(&f->env, 2 * PW_SECOND_US);
	fake_assert_heard(&f->b[0], "lost:08P01");
	assert_string_equal(f->b[0].last_error.message, "query timeout");
	assert_true(fake_is_closed(&f->s[0]));
	end(f);
}

static void test_idle_transaction_timeout(void **state)
{
	struct fixture *f = begin("idle_transaction_timeout = 5", "");

	(void)state;
	lend_to(f, 1);
	fake_expect_all(&f->b[0], "Q");
	fake_answer(&f->s[0], "C=BEGIN Z=T");
	fake_pass(&f->env, 4 * PW_SECOND_US);
	fake_assert_heard(&f->b[0], "link C Z ready");
	fake_pass(&f->env, 2 * PW_SECOND_US);
	fake_assert_heard(&f->b[0], "lost:08P01");
	assert_string_equal(f->b[0].last_error.message, "idle transaction timeout");
	end(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_pause),
	    cmocka_unit_test(test_reconnect),
	    cmocka_unit_test(test_reload_with_another_definition),
	    cmocka_unit_test(test_smaller_pool_after_reload),
	    cmocka_unit_test(test_idle_timeout),
	    cmocka_unit_test(test_lifetime),
	    cmocka_unit_test(test_link_from_the_future_is_not_old),
	    cmocka_unit_test(test_check_of_a_long_idle_link),
	    cmocka_unit_test(test_query_timeout),
	    cmocka_unit_test(test_idle_transaction_timeout),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

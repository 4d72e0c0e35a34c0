/* SPDX-License-Identifier: PostgreSQL
 *
 * One worker's queue: first in, first out, under all the limits at once, and through logins that
 * fail.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pgweir/proto/startup.h"
#include "queue_fixture.h"

/* ---- the queue ---- */

static void test_first_in_first_out(void **state)
{
	struct fixture *f = begin("default_pool_size = 1", "");

	(void)state;
	for (int i = 0; i < BORROWERS; i++)
		assert_false(fake_borrow(&f->b[i]));
	assert_int_equal(f->pool->n_waiting, BORROWERS);
	assert_int_equal(log_all_in(f), 1);
	/* One has gone meanwhile. */
	pw_pool_withdraw(&f->b[3].loan);
	pw_pool_withdraw(&f->b[3].loan);
	for (int i = 0; i < BORROWERS; i++) {
		if (i == 3)
			continue;
		for (int k = 0; k < BORROWERS; k++)
			fake_assert_heard(&f->b[k], k == i ? "link" : "");
		give_back(f, &f->b[i]);
	}
	assert_int_equal(f->pool->n_waiting, 0);
	assert_int_equal(used(f), 1);
	assert_int_equal(f->pool->stats.now.server_assignment_count, BORROWERS - 1);
	/* An idle link is lent at once. */
	assert_true(fake_borrow(&f->b[5]));
	end(f);
}

/* Nobody jumps the queue while somebody waits in it. */
static void test_idle_link_goes_to_the_queue(void **state)
{
	struct fixture *f = begin("default_pool_size = 1", "");

	(void)state;
	lend_to(f, 1);
	assert_false(fake_borrow(&f->b[1]));
	pw_pool_return(&f->b[0].loan, false, false);
	/* Given back, and asked for again before the loop turns. */
	assert_false(fake_borrow(&f->b[0]));
	fake_turn(&f->env);
	fake_assert_heard(&f->b[0], "link");
	fake_assert_heard(&f->b[1], "link");
	assert_int_equal(f->b[0].loan.state, PW_LOAN_WAITING);
	end(f);
}

static void test_waiting_time_is_counted(void **state)
{
	struct fixture *f = begin("default_pool_size = 1", "");

	(void)state;
	assert_false(fake_borrow(&f->b[0]));
	fake_pass(&f->env, 3 * PW_SECOND_US);
	log_all_in(f);
	assert_int_equal(f->pool->stats.now.wait_time, 3 * PW_SECOND_US);
	assert_true(atomic_load(&f->pool->shared->mean_wait_us) > 0);
	end(f);
}

/* A link with the wanted parameters is preferred; else the one used last. */
static void test_fitting_link_is_preferred(void **state)
{
	struct fixture *f = begin("default_pool_size = 3", "");
	struct pw_link *links[3];

	(void)state;
	lend_to(f, 3);
	fake_expect_all(&f->b[0], "Q");
	links[0] = f->b[0].loan.link;
	for (unsigned i = 0; i < 3; i++)
		links[i] = f->b[i].loan.link;
	for (unsigned i = 0; i < f->n_servers; i++)
		fake_answer(&f->s[i], "S=TimeZone:CET"); /* as if by reload */
	fake_answer(&f->s[0], "C=SET Z=I");
	fake_answer(&f->s[0], "S=TimeZone:UTC");
	for (int i = 0; i < 3; i++)
		give_back(f, &f->b[i]);
	f->b[4].loan.params = links[0]->params;
	assert_true(fake_borrow(&f->b[4]));
	assert_ptr_equal(f->b[4].loan.link, links[0]);
	assert_true(fake_borrow(&f->b[5]));
	assert_ptr_equal(f->b[5].loan.link, links[2]);
	f->b[4].loan.params = NULL;
	end(f);
}

/* ---- limits ---- */

static void test_pool_size(void **state)
{
	struct fixture *f = begin("default_pool_size = 2", "");

	(void)state;
	assert_int_equal(lend_to(f, 5), 2);
	fake_assert_heard(&f->b[0], "link");
	fake_assert_heard(&f->b[1], "link");
	fake_assert_heard(&f->b[2], "");
	fake_pass(&f->env, 20 * PW_SECOND_US);
	assert_int_equal(log_all_in(f), 0);
	assert_int_equal(used(f), 2);
	/* A lost link gives its place to the next. */
	fake_server_close(&f->s[0]);
	fake_assert_heard(&f->b[0], "lost:08P01");
	assert_int_equal(log_all_in(f), 1);
	fake_assert_heard(&f->b[2], "link");
	end(f);
}

/* Until one login has succeeded there is one at a time; then some at once. */
static void test_logins_at_once(void **state)
{
	struct fixture *f = begin("default_pool_size = 8\nmax_server_logins = 3", "");

	(void)state;
	for (int i = 0; i < 6; i++)
		assert_false(fake_borrow(&f->b[i]));
	fake_turn(&f->env);
	assert_int_equal(f->pool->n_opening, 1);
	fake_accept_login(&f->env, &f->s[f->n_servers++]);
	assert_int_equal(f->pool->n_opening, 3);
	assert_int_equal(log_all_in(f), 5);
	for (int i = 0; i < 6; i++)
		fake_assert_heard(&f->b[i], "link");
	end(f);
}

/* No more links are opened than somebody waits for. */
static void test_no_link_for_nobody(void **state)
{
	struct fixture *f = begin("default_pool_size = 8", "");

	(void)state;
	assert_false(fake_borrow(&f->b[0]));
	assert_int_equal(log_all_in(f), 1);
	fake_pass(&f->env, 5 * PW_SECOND_US);
	assert_int_equal(log_all_in(f), 0);
	assert_int_equal(used(f), 1);
	end(f);
}

static void test_reserve_pool(void **state)
{
	struct fixture *f =
	    begin("default_pool_size = 1\nreserve_pool_size = 1\nreserve_pool_timeout = 5", "");

	(void)state;
	assert_int_equal(lend_to(f, 3), 1);
	fake_pass(&f->env, 4 * PW_SECOND_US);
	assert_int_equal(log_all_in(f), 0);
	fake_pass(&f->env, 2 * PW_SECOND_US);
	assert_int_equal(log_all_in(f), 1);
	fake_assert_heard(&f->b[1], "link");
	fake_pass(&f->env, 20 * PW_SECOND_US);
	assert_int_equal(log_all_in(f), 0);
	assert_int_equal(used(f), 2);
	end(f);
}

/* The reserve has room, but what is shared with other pools has none: it waits, and no more. */
static void test_reserve_pool_under_a_full_limit(void **state)
{
	static const char *const limits[][2] = {
	    {"", "max_db_connections=1"},
	    {"[users]\nbob = max_user_connections=1", ""},
	};

	(void)state;
	for (size_t i = 0; i < PW_COUNTOF(limits); i++) {
		char settings[256];
		struct fixture *f;

		snprintf(settings, sizeof(settings),
			 "default_pool_size = 1\nreserve_pool_size = 1\n"
			 "reserve_pool_timeout = 1\n%s",
			 limits[i][0]);
		f = begin(settings, limits[i][1]);
		assert_int_equal(lend_to(f, 2), 1);
		fake_pass(&f->env, 5 * PW_SECOND_US);
		assert_int_equal(log_all_in(f), 0);
		assert_int_equal(used(f), 1);
		give_back(f, &f->b[0]);
		fake_assert_heard(&f->b[1], "link");
		end(f);
	}
}

/* Without a pool size there is nothing to be in reserve for. */
static void test_reserve_of_an_unlimited_pool(void **state)
{
	struct fixture *f =
	    begin("default_pool_size = 0\nreserve_pool_size = 1\nreserve_pool_timeout = 1\n"
		  "max_server_logins = 1",
		  "");

	(void)state;
	assert_int_equal(lend_to(f, 2), 2);
	assert_false(fake_borrow(&f->b[2]));
	assert_false(fake_borrow(&f->b[3]));
	fake_pass(&f->env, 5 * PW_SECOND_US);
	assert_int_equal(log_all_in(f), 2);
	assert_int_equal(used(f), 4);
	end(f);
}

static void test_min_pool_size(void **state)
{
	struct fixture *f = begin("default_pool_size = 5\nmin_pool_size = 3", "");

	(void)state;
	fake_pass(&f->env, PW_SECOND_US);
	for (int i = 0; i < 4; i++) {
		(void)log_all_in(f);
		fake_pass(&f->env, PW_SECOND_US);
	}
	assert_int_equal(f->n_servers, 3);
	assert_int_equal(pw_list_length(&f->pool->idle), 3);
	end(f);
}

/* An idle link of another user makes room in the database's limit. */
static void test_eviction(void **state)
{
	struct fixture *f = begin("default_pool_size = 5", "max_db_connections=2");
	struct pw_pool *other = fake_pool_of(&f->env, 0, "ann");
	struct fake_borrower a[3];

	(void)state;
	lend_to(f, 2);
	for (int i = 0; i < 3; i++)
		fake_borrower_init(&a[i], other);
	assert_false(fake_borrow(&a[0]));
	fake_pass(&f->env, PW_SECOND_US);
	assert_int_equal(other->n_opening, 0);
	assert_int_equal(pw_limit_used(&other->shared->db->links), 2);
	/* Both are busy; the moment one is idle, it has to go. */
	give_back(f, &f->b[0]);
	assert_int_equal(other->n_opening, 1);
	assert_int_equal(used(f), 1);
	fake_accept_login(&f->env, &f->s[f->n_servers++]);
	fake_assert_heard(&a[0], "link");
	assert_int_equal(pw_limit_used(&other->shared->db->links), 2);
	for (int i = 0; i < 3; i++)
		fake_borrower_fini(&a[i]);
	end(f);
}

static void test_max_user_connections(void **state)
{
	struct fixture *f =
	    begin("default_pool_size = 5\n[users]\nbob = max_user_connections=2", "");

	(void)state;
	assert_int_equal(lend_to(f, 4), 2);
	assert_int_equal(pw_limit_used(&f->pool->shared->user->links), 2);
	fake_server_close(&f->s[0]);
	assert_int_equal(log_all_in(f), 1);
	assert_int_equal(pw_limit_used(&f->pool->shared->user->links), 2);
	end(f);
}

/* ---- logins that fail ---- */

static void test_refused_login_refuses_all(void **state)
{
	struct fixture *f = begin("default_pool_size = 5\nserver_login_retry = 10", "");

	(void)state;
	assert_false(fake_borrow(&f->b[0]));
	assert_false(fake_borrow(&f->b[1]));
	pw_pool_await_welcome(&f->b[2].loan);
	fake_accept_startup(&f->env, &f->s[0], PW_PROTOCOL(3, 2));
	fake_answer(&f->s[0], "X=28P01");
	for (int i = 0; i < 3; i++) {
		fake_assert_heard(&f->b[i], "refused:28P01");
		assert_string_equal(f->b[i].last_error.message, "the server says 28P01");
	}
	assert_int_equal(used(f), 0);
	assert_true(fake_is_closed(&f->s[0]));
	fake_server_close(&f->s[0]);
	/* Who comes during the pause is told at once, and nobody bothers the server. */
	assert_false(fake_borrow(&f->b[0]));
	assert_false(fake_accept(&f->env, &f->s[0]));
	fake_assert_heard(&f->b[0], "refused:08P01");
	assert_non_null(strstr(f->b[0].last_error.message, "the server says 28P01"));
	fake_pass(&f->env, 9 * PW_SECOND_US);
	assert_false(fake_accept(&f->env, &f->s[0]));
	/* After it a new attempt is made, and this time it works. */
	fake_pass(&f->env, 2 * PW_SECOND_US);
	assert_false(fake_borrow(&f->b[1]));
	fake_accept_login(&f->env, &f->s[f->n_servers++]);
	fake_assert_heard(&f->b[1], "refused:08P01");
	assert_false(atomic_load(&f->pool->shared->has_failed));
	assert_true(fake_borrow(&f->b[1]));
	end(f);
}

/* A server that cannot be reached, or is starting up, is waited for. */
static void check_waited_for(const char *error)
{
	struct fixture *f = begin("default_pool_size = 5\nserver_login_retry = 10", "");

	assert_false(fake_borrow(&f->b[0]));
	if (error) {
		fake_accept_startup(&f->env, &f->s[0], PW_PROTOCOL(3, 2));
		fake_answer(&f->s[0], error);
		fake_server_close(&f->s[0]);
	} else {
		fake_listen(&f->env, false);
		fake_turn(&f->env);
		fake_listen(&f->env, true);
	}
	fake_assert_heard(&f->b[0], "");
	assert_int_equal(f->b[0].loan.state, PW_LOAN_WAITING);
	assert_int_equal(used(f), 0);
	fake_pass(&f->env, 9 * PW_SECOND_US);
	assert_false(fake_accept(&f->env, &f->s[0]));
	fake_pass(&f->env, 2 * PW_SECOND_US);
	assert_int_equal(log_all_in(f), 1);
	fake_assert_heard(&f->b[0], "link");
	end(f);
}

static void test_server_is_waited_for(void **state)
{
	(void)state;
	check_waited_for(NULL);
	check_waited_for("X=57P03");
	check_waited_for(""); /* it hangs up without a word */
	check_waited_for("Z=I");
	check_waited_for("T");
	check_waited_for("P K");
}

/* While other links stand, a refused login is not everybody's end. */
static void test_refused_login_with_links_standing(void **state)
{
	struct fixture *f = begin("default_pool_size = 5", "");

	(void)state;
	lend_to(f, 1);
	assert_false(fake_borrow(&f->b[1]));
	fake_accept_startup(&f->env, &f->s[1], PW_PROTOCOL(3, 2));
	f->n_servers = 2;
	fake_answer(&f->s[1], "X=53300");
	fake_assert_heard(&f->b[1], "");
	assert_int_equal(f->b[1].loan.state, PW_LOAN_WAITING);
	fake_assert_heard(&f->b[0], "link");
	give_back(f, &f->b[0]);
	fake_assert_heard(&f->b[1], "link");
	end(f);
}

/* Who is asked for a password must not be told that of another server. */
static void test_reload_ends_logins_of_before(void **state)
{
	struct fixture *f = begin("default_pool_size = 5", "user=bob password=old");

	(void)state;
	assert_false(fake_borrow(&f->b[0]));
	fake_accept_startup(&f->env, &f->s[f->n_servers++], PW_PROTOCOL(3, 2));
	/* What makes no other server of it leaves it alone. */
	fake_reload(&f->env, "default_pool_size = 4", "user=bob password=old");
	assert_false(fake_is_closed(&f->s[0]));
	fake_reload(&f->env, "default_pool_size = 5",
		    "user=bob password=new load_balance_hosts=disable");
	assert_true(fake_is_closed(&f->s[0]));
	assert_int_equal(log_all_in(f), 1);
	fake_assert_heard(&f->b[0], "link");
	assert_int_equal(used(f), 1);
	end(f);
}

/* That the server of before refuses us says nothing about the one of now. */
static void test_reload_forgets_failures(void **state)
{
	struct fixture *f = begin("server_login_retry = 60", "");

	(void)state;
	assert_false(fake_borrow(&f->b[0]));
	fake_accept_startup(&f->env, &f->s[f->n_servers++], PW_PROTOCOL(3, 2));
	fake_answer(&f->s[0], "X=28P01");
	fake_assert_heard(&f->b[0], "refused:28P01");
	fake_reload(&f->env, "server_login_retry = 50", "");
	assert_false(fake_borrow(&f->b[1]));
	assert_int_equal(log_all_in(f), 0);
	fake_assert_heard(&f->b[1], "refused:08P01");
	fake_reload(&f->env, "server_login_retry = 50", "load_balance_hosts=disable");
	assert_false(fake_borrow(&f->b[2]));
	assert_int_equal(log_all_in(f), 1);
	fake_assert_heard(&f->b[2], "link");
	end(f);
}

/* A server that knows protocol 3.0 only is asked again at once. */
static void test_old_server(void **state)
{
	struct fixture *f = begin("default_pool_size = 5", "");

	(void)state;
	assert_false(fake_borrow(&f->b[0]));
	fake_accept_startup(&f->env, &f->s[0], PW_PROTOCOL(3, 2));
	fake_answer(&f->s[0], "X=0A000");
	fake_server_close(&f->s[0]);
	fake_accept_startup(&f->env, &f->s[0], PW_PROTOCOL(3, 0));
	f->n_servers = 1;
	fake_answer(&f->s[0], "P K Z=I");
	fake_assert_heard(&f->b[0], "link");
	end(f);
}

static void test_login_takes_too_long(void **state)
{
	struct fixture *f = begin("server_connect_timeout = 5\nserver_login_retry = 1", "");

	(void)state;
	assert_false(fake_borrow(&f->b[0]));
	fake_accept_startup(&f->env, &f->s[0], PW_PROTOCOL(3, 2));
	fake_answer(&f->s[0], "P");
	fake_pass(&f->env, 4 * PW_SECOND_US);
	assert_false(fake_is_closed(&f->s[0]));
	fake_pass(&f->env, 2 * PW_SECOND_US);
	assert_true(fake_is_closed(&f->s[0]));
	fake_server_close(&f->s[0]);
	assert_int_equal(log_all_in(f), 1);
	fake_assert_heard(&f->b[0], "link");
	end(f);
}

static void test_welcome(void **state)
{
	struct fixture *f = begin("default_pool_size = 5", "");
	struct pw_strbuf out = PW_STRBUF_INIT;

	(void)state;
	assert_false(pw_pool_welcome(f->pool, &out));
	assert_int_equal(out.len, 0);
	pw_pool_await_welcome(&f->b[0].loan);
	pw_pool_await_welcome(&f->b[1].loan);
	assert_int_equal(log_all_in(f), 1);
	fake_assert_heard(&f->b[0], "welcome");
	fake_assert_heard(&f->b[1], "welcome");
	/* The link that brought it is idle now. */
	assert_true(fake_borrow(&f->b[0]));
	pw_pool_await_welcome(&f->b[2].loan);
	fake_assert_heard(&f->b[2], "");
	fake_turn(&f->env);
	fake_assert_heard(&f->b[2], "welcome");
	end(f);
}

/* ---- connect_query ---- */

static void test_connect_query(void **state)
{
	struct fixture *f = begin("default_pool_size = 1", "connect_query='set x = 1'");

	(void)state;
	assert_false(fake_borrow(&f->b[0]));
	fake_accept_login(&f->env, &f->s[f->n_servers++]);
	fake_must_receive_query(&f->s[0], "set x = 1");
	fake_assert_heard(&f->b[0], "");
	fake_answer(&f->s[0], "E=42601 Z=I");
	/* Its failure is logged and no more. */
	fake_assert_heard(&f->b[0], "link");
	end(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_first_in_first_out),
	    cmocka_unit_test(test_idle_link_goes_to_the_queue),
	    cmocka_unit_test(test_waiting_time_is_counted),
	    cmocka_unit_test(test_fitting_link_is_preferred),
	    cmocka_unit_test(test_pool_size),
	    cmocka_unit_test(test_logins_at_once),
	    cmocka_unit_test(test_no_link_for_nobody),
	    cmocka_unit_test(test_reserve_pool),
	    cmocka_unit_test(test_reserve_pool_under_a_full_limit),
	    cmocka_unit_test(test_reserve_of_an_unlimited_pool),
	    cmocka_unit_test(test_min_pool_size),
	    cmocka_unit_test(test_eviction),
	    cmocka_unit_test(test_max_user_connections),
	    cmocka_unit_test(test_refused_login_refuses_all),
	    cmocka_unit_test(test_server_is_waited_for),
	    cmocka_unit_test(test_refused_login_with_links_standing),
	    cmocka_unit_test(test_reload_ends_logins_of_before),
	    cmocka_unit_test(test_reload_forgets_failures),
	    cmocka_unit_test(test_old_server),
	    cmocka_unit_test(test_login_takes_too_long),
	    cmocka_unit_test(test_welcome),
	    cmocka_unit_test(test_connect_query),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: PostgreSQL
 *
 * max_connections of nodes: exact over all pools of all workers, idle links make room, nobody waits
 * for ever, and every place is given back.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "nodes_fixture.h"

enum { MS = 1000 };

static int links_of(struct nodes *n, int i)
{
	return pw_limit_used(&n->cluster->loads[n->places[i].slot].links.taken);
}

static void limit_node(struct nodes *n, int i, int max)
{
	n->places[i].max_connections = max;
	publish(n);
}

static void put_other(struct nodes *n, struct fake_borrower *other, unsigned worker,
		      const char *user)
{
	struct pw_pool *pool = fake_pool_of(&n->f->env, worker, user);

	pool->cluster = n->cluster;
	pool->routing = pool_of(n->f, 0)->routing;
	fake_borrower_init(other, pool);
}

static void return_other(struct nodes *n, struct fake_borrower *other)
{
	pw_pool_return(&other->loan, false, false);
	fake_turn(&n->f->env);
}

static void test_limit(void **state PW_UNUSED)
{
	struct nodes *n = begin_nodes("default_pool_size = 4", 2);
	struct fixture *f = n->f;
	struct fake_borrower ann;

	put_on_cluster(n, PW_ROUTING_PRIMARY);
	limit_node(n, 0, 3);
	put_other(n, &ann, 1, "ann");
	assert_false(fake_borrow(&f->b[0][0]));
	assert_int_equal(log_all_in(f), 1);
	for (int i = 1; i < 3; i++)
		assert_false(fake_borrow(&f->b[0][i]));
	assert_int_equal(log_all_in(f), 2);
	assert_false(fake_borrow(&f->b[1][0]));
	fake_pass(&f->env, 5 * MS);
	assert_false(fake_borrow(&ann));
	fake_pass(&f->env, 2 * PW_SECOND_US);
	assert_int_equal(log_all_in(f), 0);
	assert_int_equal(links_of(n, 0), 3);
	fake_assert_heard(&ann, "");
	assert_non_null(strstr(pw_pool_why_waiting(ann.loan.pool), "max_connections"));
	/* The one that is lost gives its place to who has waited longest. */
	fake_server_close(&f->s[0]);
	assert_int_equal(log_all_in(f), 1);
	fake_assert_heard(&f->b[1][0], "link");
	assert_int_equal(links_of(n, 0), 3);
	/* One that comes back to where nobody waits goes. */
	assert_false(atomic_load(&n->cluster->is_evicting));
	give_back(f, &f->b[0][1]);
	assert_int_equal(log_all_in(f), 1);
	fake_assert_heard(&ann, "link");
	assert_int_equal(links_of(n, 0), 3);
	fake_borrower_fini(&ann);
	end_nodes(n);
}

/* No server is to be reached: a place that is taken for a login is given back as well. */
static void test_logins_that_fail(void **state PW_UNUSED)
{
	struct nodes *n = begin_nodes("default_pool_size = 4\nserver_login_retry = 1", 1);
	struct fixture *f = n->f;

	put_on_cluster(n, PW_ROUTING_PRIMARY);
	limit_node(n, 0, 1);
	fake_listen(&f->env, false);
	assert_false(fake_borrow(&f->b[0][0]));
	for (int i = 0; i < 5; i++) {
		fake_pass(&f->env, PW_SECOND_US + MS);
		assert_in_range(links_of(n, 0), 0, 1);
	}
	fake_listen(&f->env, true);
	fake_pass(&f->env, 2 * PW_SECOND_US);
	assert_int_equal(log_all_in(f), 1);
	fake_assert_heard(&f->b[0][0], "link");
	assert_int_equal(links_of(n, 0), 1);
	end_nodes(n);
}

/* A link that crosses keeps its place, and gives back that one. */
static void test_crossing(void **state PW_UNUSED)
{
	struct nodes *n = begin_nodes("default_pool_size = 4", 2);
	struct fixture *f = n->f;

	put_on_cluster(n, PW_ROUTING_PRIMARY);
	limit_node(n, 0, 1);
	assert_false(fake_borrow(&f->b[0][0]));
	assert_int_equal(log_all_in(f), 1);
	assert_false(fake_borrow(&f->b[1][0]));
	fake_turn(&f->env);
	give_back(f, &f->b[0][0]);
	fake_assert_heard(&f->b[1][0], "link");
	assert_int_equal(log_all_in(f), 0);
	assert_int_equal(links_of(n, 0), 1);
	fake_server_close(&f->s[0]);
	fake_turn(&f->env);
	assert_int_equal(links_of(n, 0), 0);
	end_nodes(n);
}

/* A full replica gets no more links, and no link of another is closed to be opened there. */
static void test_full_replica(void **state PW_UNUSED)
{
	struct nodes *n = begin_nodes("default_pool_size = 6", 1);
	struct fixture *f = n->f;

	put_on_cluster(n, PW_ROUTING_REPLICA);
	limit_node(n, 0, 1);
	for (int i = 0; i < 4; i++) {
		assert_false(fake_borrow(&f->b[0][i]));
		fake_turn(&f->env);
		(void)log_all_in(f);
	}
	assert_int_equal(links_of(n, 0), 1);
	assert_int_equal(links_of(n, 1), 3);
	for (int i = 0; i < 4; i++)
		give_back(f, &f->b[0][i]);
	for (int i = 0; i < 20; i++) {
		fake_pass(&f->env, 400 * MS);
		assert_int_equal(log_all_in(f), 0);
	}
	assert_int_equal(links_of(n, 0) + links_of(n, 1), 4);
	end_nodes(n);
}

/* Somebody always waits in one pool: it gives a place up to the other one all the same, but not for
 * every link that comes back. */
static void test_busy_pool_yields(void **state PW_UNUSED)
{
	struct nodes *n = begin_nodes("default_pool_size = 4", 2);
	struct fixture *f = n->f;
	struct fake_borrower ann;
	int turns = 0;

	put_on_cluster(n, PW_ROUTING_PRIMARY);
	limit_node(n, 0, 1);
	put_other(n, &ann, 1, "ann");
	assert_false(fake_borrow(&f->b[0][0]));
	assert_int_equal(log_all_in(f), 1);
	fake_assert_heard(&f->b[0][0], "link");
	assert_false(fake_borrow(&f->b[0][1]));
	fake_pass(&f->env, 10 * MS);
	assert_false(fake_borrow(&ann));
	/* The two take turns, so that one of them waits at any time. */
	for (int now = 0; ann.loan.state != PW_LOAN_HOLDING && turns < 100; turns++) {
		fake_pass(&f->env, 10 * MS);
		if (f->b[0][now].loan.state == PW_LOAN_HOLDING) {
			give_back(f, &f->b[0][now]);
			assert_false(fake_borrow(&f->b[0][now]));
			now = !now;
		}
		(void)log_all_in(f);
	}
	assert_in_range(turns, 30, 60);
	assert_int_equal(links_of(n, 0), 1);
	return_other(n, &ann);
	(void)log_all_in(f);
	assert_int_equal(links_of(n, 0), 1);
	assert_true(f->b[0][0].loan.state == PW_LOAN_HOLDING ||
		    f->b[0][1].loan.state == PW_LOAN_HOLDING);
	fake_borrower_fini(&ann);
	end_nodes(n);
}

/* A client that logs in waits for no link, but for a first one of its pool. */
static void test_welcome_has_its_turn(void **state PW_UNUSED)
{
	struct nodes *n = begin_nodes("default_pool_size = 4", 1);
	struct fixture *f = n->f;
	struct fake_borrower ann;

	put_on_cluster(n, PW_ROUTING_PRIMARY);
	limit_node(n, 0, 1);
	put_other(n, &ann, 0, "ann");
	assert_false(fake_borrow(&f->b[0][0]));
	assert_int_equal(log_all_in(f), 1);
	pw_pool_await_welcome(&ann.loan);
	fake_pass(&f->env, 5 * MS);
	assert_false(fake_borrow(&f->b[0][1]));
	fake_pass(&f->env, 500 * MS);
	assert_false(fake_borrow(&f->b[0][2]));
	give_back(f, &f->b[0][0]);
	(void)log_all_in(f);
	fake_assert_heard(&ann, "welcome");
	(void)log_all_in(f);
	assert_int_equal(links_of(n, 0), 1);
	/* It goes on: the link that was made for the welcome is idle, and makes room. */
	assert_int_equal(f->b[0][1].loan.state, PW_LOAN_HOLDING);
	fake_borrower_fini(&ann);
	end_nodes(n);
}

static void test_lower_limit(void **state PW_UNUSED)
{
	struct nodes *n = begin_nodes("default_pool_size = 4", 1);
	struct fixture *f = n->f;

	put_on_cluster(n, PW_ROUTING_PRIMARY);
	for (int i = 0; i < 4; i++)
		assert_false(fake_borrow(&f->b[0][i]));
	for (int i = 0; i < 4; i++)
		(void)log_all_in(f);
	assert_int_equal(links_of(n, 0), 4);
	limit_node(n, 0, 2);
	for (int i = 0; i < 4; i++) {
		give_back(f, &f->b[0][i]);
		assert_int_equal(links_of(n, 0), i == 0 ? 3 : 2);
	}
	end_nodes(n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_limit),
	    cmocka_unit_test(test_logins_that_fail),
	    cmocka_unit_test(test_crossing),
	    cmocka_unit_test(test_full_replica),
	    cmocka_unit_test(test_busy_pool_yields),
	    cmocka_unit_test(test_welcome_has_its_turn),
	    cmocka_unit_test(test_lower_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

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
	assert_false(atomic_load(&n->cluster->loads[0].is_evicting));
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
	fake_pass(&f->env, 100 * MS);
	(void)log_all_in(f);
	assert_int_equal(links_of(n, 0), 1);
	assert_true(f->b[0][0].loan.state == PW_LOAN_HOLDING ||
		    f->b[0][1].loan.state == PW_LOAN_HOLDING);
	fake_borrower_fini(&ann);
	end_nodes(n);
}

/* Nobody waits in one pool, as its only client is quick to ask again: it gives its place up as
 * well. */
static void test_quick_client_yields(void **state PW_UNUSED)
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
	assert_false(fake_borrow(&ann));
	for (; ann.loan.state != PW_LOAN_HOLDING && turns < 100; turns++) {
		fake_pass(&f->env, 10 * MS);
		if (f->b[0][0].loan.state == PW_LOAN_HOLDING) {
			pw_pool_return(&f->b[0][0].loan, false, false);
			(void)fake_borrow(&f->b[0][0]);
		}
		(void)log_all_in(f);
	}
	assert_in_range(turns, 30, 60);
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

static unsigned count_connects(struct fixture *f)
{
	unsigned n = 0;

	while (fake_accept(&f->env, &f->s[f->n_servers])) {
		f->n_servers++;
		n++;
	}
	return n;
}

/* What is used again and again is not closed between two transactions, unless somebody has waited;
 * what is idle is closed at once. */
static void test_link_that_was_just_used(void **state PW_UNUSED)
{
	struct nodes *n = begin_nodes("default_pool_size = 4", 2);
	struct fixture *f = n->f;
	struct fake_borrower ann;

	put_on_cluster(n, PW_ROUTING_PRIMARY);
	limit_node(n, 0, 1);
	put_other(n, &ann, 1, "ann");
	assert_false(fake_borrow(&f->b[0][0]));
	assert_int_equal(log_all_in(f), 1);
	assert_false(fake_borrow(&ann));
	for (int i = 0; i < 8; i++) {
		fake_pass(&f->env, 10 * MS);
		give_back(f, &f->b[0][0]);
		assert_int_equal(count_connects(f), 0);
		assert_true(fake_borrow(&f->b[0][0]));
	}
	fake_pass(&f->env, 30 * MS);
	give_back(f, &f->b[0][0]);
	assert_int_equal(log_all_in(f), 1);
	fake_assert_heard(&ann, "link");
	fake_pass(&f->env, 5 * MS);
	return_other(n, &ann);
	fake_pass(&f->env, 30 * MS);
	assert_false(fake_borrow(&f->b[0][0]));
	assert_int_equal(log_all_in(f), 1);
	assert_int_equal(links_of(n, 0), 1);
	fake_borrower_fini(&ann);
	end_nodes(n);
}

/* Two ask at once where all is idle: each takes one place, whoever's turn it is, and no more links
 * are closed than that. */
static void test_no_more_is_evicted_than_needed(void **state PW_UNUSED)
{
	struct nodes *n = begin_nodes("default_pool_size = 6", 2);
	struct fixture *f = n->f;
	struct fake_borrower ann, carl;

	put_on_cluster(n, PW_ROUTING_PRIMARY);
	limit_node(n, 0, 4);
	put_other(n, &ann, 1, "ann");
	put_other(n, &carl, 0, "carl");
	for (int i = 0; i < 4; i++)
		assert_false(fake_borrow(&f->b[0][i]));
	for (int i = 0; i < 4; i++)
		(void)log_all_in(f);
	for (int i = 0; i < 4; i++)
		give_back(f, &f->b[0][i]);
	fake_pass(&f->env, PW_SECOND_US);
	assert_false(fake_borrow(&ann));
	fake_turn_worker(&f->env, 1);
	f->env.clock.now_us += 3 * MS;
	pw_loop_refresh_time(&f->env.workers[0].loop);
	assert_false(fake_borrow(&carl));
	fake_turn_worker(&f->env, 0);
	fake_pass(&f->env, 200 * MS);
	(void)log_all_in(f);
	fake_assert_heard(&ann, "link");
	fake_assert_heard(&carl, "link");
	assert_int_equal(pw_limit_used(&shared_of(f)->links), 2);
	fake_borrower_fini(&ann);
	fake_borrower_fini(&carl);
	end_nodes(n);
}

/* Who waited for either of two nodes and has a place at one leaves the other to the next. */
static void test_waiting_for_either(void **state PW_UNUSED)
{
	struct nodes *n = begin_nodes("default_pool_size = 6", 1);
	struct fixture *f = n->f;
	struct fake_borrower ann, carl;

	put_on_cluster(n, PW_ROUTING_REPLICA);
	limit_node(n, 0, 1);
	limit_node(n, 1, 1);
	put_other(n, &ann, 0, "ann");
	put_other(n, &carl, 0, "carl");
	for (int i = 0; i < 2; i++) {
		assert_false(fake_borrow(&f->b[0][i]));
		fake_turn(&f->env);
		(void)log_all_in(f);
	}
	assert_false(fake_borrow(&ann));
	fake_pass(&f->env, 10 * MS);
	assert_false(fake_borrow(&carl));
	fake_turn(&f->env);
	fake_server_close(&f->s[0]);
	fake_turn(&f->env);
	assert_int_equal(count_connects(f), 1);
	/* Hers is still logging in. */
	fake_server_close(&f->s[1]);
	fake_turn(&f->env);
	assert_int_equal(count_connects(f), 1);
	fake_borrower_fini(&ann);
	fake_borrower_fini(&carl);
	end_nodes(n);
}

/* Those who came later to a pool do not go first because another one of it has waited for long. */
static void test_each_by_its_own_wait(void **state PW_UNUSED)
{
	struct nodes *n = begin_nodes("default_pool_size = 8", 1);
	struct fixture *f = n->f;
	struct fake_borrower ann[3], carl;

	put_on_cluster(n, PW_ROUTING_PRIMARY);
	limit_node(n, 0, 3);
	put_other(n, &carl, 0, "carl");
	for (int i = 0; i < 3; i++)
		put_other(n, &ann[i], 0, "ann");
	for (int i = 0; i < 2; i++)
		assert_false(fake_borrow(&f->b[0][i]));
	for (int i = 0; i < 2; i++)
		(void)log_all_in(f);
	assert_false(fake_borrow(&ann[0]));
	(void)log_all_in(f);
	assert_false(fake_borrow(&ann[1]));
	fake_pass(&f->env, 10 * MS);
	assert_false(fake_borrow(&carl));
	fake_pass(&f->env, 200 * MS);
	assert_false(fake_borrow(&ann[2]));
	fake_turn(&f->env);
	for (int i = 0; i < 2; i++) {
		fake_server_close(&f->s[i]);
		fake_turn(&f->env);
		assert_int_equal(count_connects(f), 1);
	}
	assert_int_equal(pw_limit_used(&ann[0].loan.pool->shared->links), 2);
	assert_int_equal(pw_limit_used(&carl.loan.pool->shared->links), 1);
	for (int i = 0; i < 3; i++)
		fake_borrower_fini(&ann[i]);
	fake_borrower_fini(&carl);
	end_nodes(n);
}

/* A place that is free is not kept for one who does not ask for it any more. */
static void test_who_is_paused(void **state PW_UNUSED)
{
	struct nodes *n = begin_nodes("default_pool_size = 2", 1);
	struct fixture *f = n->f;
	struct pw_fair_limit *links;
	uint64_t now;

	put_on_cluster(n, PW_ROUTING_PRIMARY);
	limit_node(n, 0, 2);
	assert_false(fake_borrow(&f->b[0][0]));
	assert_int_equal(log_all_in(f), 1);
	links = &n->cluster->loads[n->places[0].slot].links;
	now = f->env.workers[0].loop.now_us;
	(void)pw_fair_limit_has_room(links, 1, now - 400 * MS, now);
	assert_false(fake_borrow(&f->b[0][1]));
	fake_turn(&f->env);
	/* Nor does anybody give one up for it while there is room. */
	give_back(f, &f->b[0][0]);
	fake_assert_heard(&f->b[0][1], "link");
	assert_false(fake_borrow(&f->b[0][0]));
	fake_pass(&f->env, 300 * MS);
	assert_int_equal(log_all_in(f), 1);
	assert_int_equal(links_of(n, 0), 2);
	end_nodes(n);
}

/* A full node in the own zone is waited for, not the far one connected to for nothing. */
static void test_full_node_of_the_zone(void **state PW_UNUSED)
{
	struct nodes *n = begin_nodes("default_pool_size = 4", 1);
	struct fixture *f = n->f;

	put_on_cluster(n, PW_ROUTING_REPLICA);
	n->places[1].is_far = true;
	limit_node(n, 0, 1);
	assert_false(fake_borrow(&f->b[0][0]));
	assert_int_equal(log_all_in(f), 1);
	assert_false(fake_borrow(&f->b[0][1]));
	for (int i = 0; i < 10; i++) {
		fake_pass(&f->env, 100 * MS);
		assert_int_equal(count_connects(f), 0);
	}
	give_back(f, &f->b[0][0]);
	fake_assert_heard(&f->b[0][1], "link");
	assert_int_equal(links_of(n, 1), 0);
	end_nodes(n);
}

/* Who wants a link of its own, and has not the next turn at the node, keeps the pool's links from
 * nobody: neither from those behind it nor from those who go first. */
static void test_own_link_holds_up_nobody(void **state PW_UNUSED)
{
	struct nodes *n = begin_nodes("default_pool_size = 4", 1);
	struct fixture *f = n->f;
	struct fake_borrower ann;

	put_on_cluster(n, PW_ROUTING_PRIMARY);
	limit_node(n, 0, 2);
	put_other(n, &ann, 0, "ann");
	for (int i = 0; i < 2; i++)
		assert_false(fake_borrow(&f->b[0][i]));
	assert_int_equal(log_all_in(f), 2);
	assert_false(fake_borrow(&ann));
	fake_pass(&f->env, 10 * MS);
	f->b[0][2].loan.replication = PW_REPLICATION_PHYSICAL;
	assert_false(fake_borrow(&f->b[0][2]));
	assert_false(fake_borrow(&f->b[0][3]));
	fake_turn(&f->env);
	give_back(f, &f->b[0][0]);
	fake_assert_heard(&f->b[0][3], "link");
	give_back(f, &f->b[0][1]);
	fake_pass(&f->env, 150 * MS);
	assert_int_equal(log_all_in(f), 1);
	fake_assert_heard(&ann, "link");
	/* Now it is its turn. */
	give_back(f, &f->b[0][3]);
	assert_int_equal(log_all_in(f), 1);
	fake_assert_heard(&f->b[0][2], "link");
	assert_int_equal(links_of(n, 0), 2);
	fake_borrower_fini(&ann);
	end_nodes(n);
}

static uint64_t awaited_at(struct nodes *n, int i)
{
	return pw_fair_limit_awaited(&n->cluster->loads[n->places[i].slot].links,
				     n->f->env.workers[0].loop.now_us);
}

/* Who wants a link of its own waits for none of those that are logging in for others. */
static void test_own_link_beside_a_login(void **state PW_UNUSED)
{
	struct nodes *n = begin_nodes("default_pool_size = 4", 1);
	struct fixture *f = n->f;
	struct fake_borrower ann;

	put_on_cluster(n, PW_ROUTING_PRIMARY);
	limit_node(n, 0, 3);
	put_other(n, &ann, 0, "ann");
	assert_false(fake_borrow(&ann));
	assert_false(fake_borrow(&f->b[0][0]));
	assert_int_equal(log_all_in(f), 2);
	return_other(n, &ann);
	fake_pass(&f->env, 100 * MS);
	assert_false(fake_borrow(&f->b[0][1]));
	fake_turn(&f->env);
	pw_pool_withdraw(&f->b[0][1].loan);
	f->b[0][2].loan.replication = PW_REPLICATION_PHYSICAL;
	assert_false(fake_borrow(&f->b[0][2]));
	fake_turn(&f->env);
	/* The one that nobody waits for any more, and its own, for which hers has gone. */
	assert_int_equal(count_connects(f), 2);
	assert_int_equal(pw_limit_used(&ann.loan.pool->shared->links), 0);
	assert_int_equal(links_of(n, 0), 3);
	fake_borrower_fini(&ann);
	end_nodes(n);
}

/* Nothing is closed for a limit of the database while others go first at the node. */
static void test_no_eviction_out_of_turn(void **state PW_UNUSED)
{
	struct nodes *n = begin_nodes("default_pool_size = 4", 1);
	struct fixture *f = n->f;
	struct fake_borrower ann, carl, dora;

	put_on_cluster(n, PW_ROUTING_PRIMARY);
	limit_node(n, 0, 1);
	put_other(n, &ann, 0, "ann");
	put_other(n, &carl, 0, "carl");
	put_other(n, &dora, 0, "dora");
	ann.loan.pool->routing = PW_ROUTING_REPLICA;
	pool_of(f, 0)->conf.max_db_connections = 2;
	assert_false(fake_borrow(&ann));
	assert_false(fake_borrow(&dora));
	assert_int_equal(log_all_in(f), 2);
	return_other(n, &ann);
	assert_false(fake_borrow(&carl));
	fake_pass(&f->env, 10 * MS);
	assert_false(fake_borrow(&f->b[0][0]));
	fake_pass(&f->env, 100 * MS);
	assert_int_equal(pw_limit_used(&ann.loan.pool->shared->links), 1);
	pw_pool_withdraw(&carl.loan);
	fake_pass(&f->env, 100 * MS);
	assert_int_equal(pw_limit_used(&ann.loan.pool->shared->links), 0);
	return_other(n, &dora);
	assert_int_equal(log_all_in(f), 1);
	fake_assert_heard(&f->b[0][0], "link");
	fake_borrower_fini(&ann);
	fake_borrower_fini(&carl);
	fake_borrower_fini(&dora);
	end_nodes(n);
}

/* A pool that a reload takes to another cluster leaves the queues of the one before. */
static void test_reload_to_another_cluster(void **state PW_UNUSED)
{
	struct nodes *n = begin_nodes("default_pool_size = 4", 1);
	struct fixture *f = n->f;
	struct pw_fair_limit *overflow = &n->cluster->overflow;
	struct fake_borrower ann;

	put_on_cluster(n, PW_ROUTING_PRIMARY);
	limit_node(n, 0, 2);
	put_other(n, &ann, 0, "ann");
	ann.loan.pool->routing = PW_ROUTING_REPLICA;
	ann.loan.pool->cluster_conf.primary_overflow_max = 1;
	n->health.nodes[1].state = PW_NODE_DOWN;
	publish(n);
	assert_true(pw_fair_limit_take(overflow, 1, 1, 1));
	for (int i = 0; i < 3; i++)
		assert_false(fake_borrow(&f->b[0][i]));
	assert_false(fake_borrow(&ann));
	assert_int_equal(log_all_in(f), 2);
	assert_int_equal(awaited_at(n, 0), f->b[0][2].loan.since_us);
	assert_int_equal(pw_fair_limit_awaited(overflow, ann.loan.since_us), ann.loan.since_us);
	fake_reload(&f->env, "default_pool_size = 4", "");
	assert_null(pool_of(f, 0)->cluster);
	assert_int_equal(awaited_at(n, 0), 0);
	assert_int_equal(pw_fair_limit_awaited(overflow, f->env.clock.now_us), 0);
	fake_borrower_fini(&ann);
	end_nodes(n);
}

/* A pool that may have no more links has no turn at a node: others would give way for nothing. */
static void test_pool_that_is_full_is_not_first(void **state PW_UNUSED)
{
	struct nodes *n = begin_nodes("default_pool_size = 1", 1);
	struct fixture *f = n->f;
	struct fake_borrower ann;

	put_on_cluster(n, PW_ROUTING_REPLICA);
	limit_node(n, 0, 1);
	limit_node(n, 1, 1);
	put_other(n, &ann, 0, "ann");
	assert_false(fake_borrow(&f->b[0][0]));
	assert_int_equal(log_all_in(f), 1);
	assert_false(fake_borrow(&ann));
	assert_int_equal(log_all_in(f), 1);
	for (int i = 1; i < 3; i++) {
		if (i == 2)
			f->b[0][i].loan.replication = PW_REPLICATION_PHYSICAL;
		assert_false(fake_borrow(&f->b[0][i]));
		fake_pass(&f->env, 400 * MS);
		assert_int_equal(awaited_at(n, 0), 0);
		assert_int_equal(awaited_at(n, 1), 0);
		assert_non_null(strstr(pw_pool_why_waiting(pool_of(f, 0)), "pool_size"));
		pw_pool_withdraw(&f->b[0][i].loan);
	}
	fake_borrower_fini(&ann);
	end_nodes(n);
}

/* Links to the primary that the readers of a pool have but may not use, as it runs no more reads
 * for want of replicas, make room for who writes. */
static void test_overflow_holds_no_places(void **state PW_UNUSED)
{
	struct nodes *n = begin_nodes("default_pool_size = 4", 2);
	struct fixture *f = n->f;
	struct fake_borrower ann;

	put_on_cluster(n, PW_ROUTING_PRIMARY);
	put_other(n, &ann, 1, "ann");
	pool_of(f, 0)->routing = PW_ROUTING_REPLICA;
	pool_of(f, 0)->cluster_conf.primary_overflow_max = 2;
	n->health.nodes[1].state = PW_NODE_DOWN;
	limit_node(n, 0, 2);
	for (int i = 0; i < 2; i++)
		assert_false(fake_borrow(&f->b[0][i]));
	assert_int_equal(log_all_in(f), 2);
	pool_of(f, 0)->cluster_conf.primary_overflow_max = 1;
	assert_false(fake_borrow(&f->b[0][2]));
	fake_pass(&f->env, 10 * MS);
	assert_false(fake_borrow(&ann));
	fake_turn(&f->env);
	give_back(f, &f->b[0][0]);
	assert_int_equal(log_all_in(f), 0);
	fake_pass(&f->env, 150 * MS);
	assert_int_equal(log_all_in(f), 1);
	fake_assert_heard(&ann, "link");
	/* Nor is one opened that nobody could use. */
	return_other(n, &ann);
	fake_pass(&f->env, 200 * MS);
	assert_int_equal(log_all_in(f), 0);
	give_back(f, &f->b[0][1]);
	fake_assert_heard(&f->b[0][2], "link");
	fake_borrower_fini(&ann);
	end_nodes(n);
}

/* Nor do those that are too far for who waits in their pool. */
static void test_far_links_hold_no_places(void **state PW_UNUSED)
{
	struct nodes *n = begin_nodes("default_pool_size = 4", 1);
	struct fixture *f = n->f;
	struct fake_borrower ann, dora;

	put_on_cluster(n, PW_ROUTING_REPLICA);
	put_other(n, &ann, 0, "ann");
	put_other(n, &dora, 0, "dora");
	ann.loan.pool->routing = PW_ROUTING_PRIMARY;
	pool_of(f, 0)->conf.reading.primary_reads = PW_PRIMARY_READS_ALWAYS;
	n->health.primary = 1;
	n->health.nodes[1].state = PW_NODE_PRIMARY;
	n->health.nodes[0].state = PW_NODE_DOWN;
	n->places[1].is_far = true;
	limit_node(n, 0, 1);
	limit_node(n, 1, 1);
	assert_false(fake_borrow(&f->b[0][0]));
	assert_int_equal(log_all_in(f), 1);
	give_back(f, &f->b[0][0]);
	n->health.nodes[0].state = PW_NODE_READY;
	publish(n);
	assert_false(fake_borrow(&dora));
	assert_int_equal(log_all_in(f), 1);
	assert_false(fake_borrow(&f->b[0][1]));
	fake_pass(&f->env, 100 * MS);
	assert_int_equal(links_of(n, 1), 1);
	assert_false(fake_borrow(&ann));
	assert_int_equal(log_all_in(f), 1);
	fake_assert_heard(&ann, "link");
	fake_assert_heard(&f->b[0][1], "");
	fake_borrower_fini(&ann);
	fake_borrower_fini(&dora);
	end_nodes(n);
}

/* Who asks for a link to one node to be evicted is in nobody's way who asks for one to another. */
static void test_evictions_at_two_nodes(void **state PW_UNUSED)
{
	struct nodes *n = begin_nodes("default_pool_size = 4", 2);
	struct fixture *f = n->f;
	struct fake_borrower ann, carl, dora;

	put_on_cluster(n, PW_ROUTING_PRIMARY);
	limit_node(n, 0, 1);
	limit_node(n, 1, 1);
	put_other(n, &ann, 1, "ann");
	put_other(n, &carl, 0, "carl");
	put_other(n, &dora, 0, "dora");
	ann.loan.pool->routing = PW_ROUTING_REPLICA;
	dora.loan.pool->routing = PW_ROUTING_REPLICA;
	assert_false(fake_borrow(&f->b[0][0]));
	assert_false(fake_borrow(&ann));
	assert_int_equal(log_all_in(f), 2);
	return_other(n, &ann);
	fake_pass(&f->env, 100 * MS);
	assert_false(fake_borrow(&carl));
	fake_turn_worker(&f->env, 0);
	assert_false(fake_borrow(&dora));
	fake_turn_worker(&f->env, 0);
	assert_int_equal(log_all_in(f), 1);
	fake_assert_heard(&dora, "link");
	for (int i = 0; i < 2; i++)
		assert_false(atomic_load(&n->cluster->loads[i].is_evicting));
	fake_borrower_fini(&ann);
	fake_borrower_fini(&carl);
	fake_borrower_fini(&dora);
	end_nodes(n);
}

/* Those whose turn would be next are not woken by each transaction, to find the node full as it
 * was. */
static void test_nobody_is_woken_in_vain(void **state PW_UNUSED)
{
	struct nodes *n = begin_nodes("default_pool_size = 4", 1);
	struct fixture *f = n->f;
	struct fake_borrower ann;

	put_on_cluster(n, PW_ROUTING_PRIMARY);
	limit_node(n, 0, 1);
	put_other(n, &ann, 0, "ann");
	assert_false(fake_borrow(&f->b[0][0]));
	assert_int_equal(log_all_in(f), 1);
	assert_false(fake_borrow(&f->b[0][1]));
	fake_pass(&f->env, 5 * MS);
	assert_false(fake_borrow(&ann));
	fake_turn(&f->env);
	assert_int_equal(awaited_at(n, 0), f->b[0][1].loan.since_us);
	give_back(f, &f->b[0][0]);
	fake_assert_heard(&f->b[0][1], "link");
	assert_int_equal(awaited_at(n, 0), 0);
	fake_pass(&f->env, 100 * MS);
	assert_int_equal(awaited_at(n, 0), ann.loan.since_us);
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
	    cmocka_unit_test(test_quick_client_yields),
	    cmocka_unit_test(test_welcome_has_its_turn),
	    cmocka_unit_test(test_link_that_was_just_used),
	    cmocka_unit_test(test_no_more_is_evicted_than_needed),
	    cmocka_unit_test(test_waiting_for_either),
	    cmocka_unit_test(test_each_by_its_own_wait),
	    cmocka_unit_test(test_who_is_paused),
	    cmocka_unit_test(test_full_node_of_the_zone),
	    cmocka_unit_test(test_own_link_holds_up_nobody),
	    cmocka_unit_test(test_own_link_beside_a_login),
	    cmocka_unit_test(test_no_eviction_out_of_turn),
	    cmocka_unit_test(test_reload_to_another_cluster),
	    cmocka_unit_test(test_pool_that_is_full_is_not_first),
	    cmocka_unit_test(test_overflow_holds_no_places),
	    cmocka_unit_test(test_far_links_hold_no_places),
	    cmocka_unit_test(test_evictions_at_two_nodes),
	    cmocka_unit_test(test_nobody_is_woken_in_vain),
	    cmocka_unit_test(test_lower_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

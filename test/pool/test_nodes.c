/* SPDX-License-Identifier: PostgreSQL
 *
 * Pools of a database that is on a cluster's nodes: here all of them are one fake server, and what
 * the monitor would know of them is made up.
 */
#include "config.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "nodes_fixture.h"

enum { LOOKS = 20000 };

static unsigned links_at(struct nodes *n, unsigned worker)
{
	unsigned sum = 0;

	for (int slot = 0; slot < PW_SLOTS_MAX; slot++)
		sum += pool_of(n->f, worker)->node_links[slot];
	return sum;
}

static void test_links_count_where_they_are(void **state PW_UNUSED)
{
	struct nodes *n = begin_nodes("default_pool_size = 1", 2);
	struct fixture *f = n->f;

	put_on_cluster(n, PW_ROUTING_REPLICA);
	assert_false(fake_borrow(&f->b[0][0]));
	assert_int_equal(log_all_in(f), 1);
	fake_assert_heard(&f->b[0][0], "link");
	assert_int_equal(links_at(n, 0), 1);
	assert_false(fake_borrow(&f->b[1][0]));
	fake_turn(&f->env);
	give_back(f, &f->b[0][0]);
	fake_assert_heard(&f->b[1][0], "link");
	assert_int_equal(links_at(n, 0), 0);
	assert_int_equal(links_at(n, 1), 1);
	give_back(f, &f->b[1][0]);
	fake_server_close(&f->s[0]);
	fake_turn(&f->env);
	assert_int_equal(links_at(n, 0), 0);
	assert_int_equal(links_at(n, 1), 0);
	end_nodes(n);
}

/* Before it is known which nodes there are, nobody is told that there is none. */
static void test_beginning(void **state PW_UNUSED)
{
	struct nodes *n = begin_nodes("default_pool_size = 1", 1);
	struct fixture *f = n->f;
	struct pw_pool *pool = pool_of(f, 0);

	pool->cluster = n->cluster;
	pool->routing = PW_ROUTING_REPLICA;
	assert_false(fake_borrow(&f->b[0][0]));
	fake_pass(&f->env, PW_SECOND_US);
	fake_assert_heard(&f->b[0][0], "");
	n->health.nodes[0].state = PW_NODE_DOWN;
	publish(n);
	fake_pass(&f->env, PW_SECOND_US);
	fake_assert_heard(&f->b[0][0], "");
	n->health.nodes[1].state = PW_NODE_DOWN;
	publish(n);
	pw_pools_follow(&f->env.workers[0].pools, n->cluster);
	/* A promotion may come. */
	fake_pass(&f->env, 20 * PW_SECOND_US);
	fake_assert_heard(&f->b[0][0], "");
	fake_pass(&f->env, 15 * PW_SECOND_US);
	fake_assert_heard(&f->b[0][0], "refused:57P03");
	end_nodes(n);
}

struct publisher {
	struct nodes *nodes;
	atomic_bool is_over;
};

static void *go_on_publishing(void *arg)
{
	struct publisher *publisher = arg;
	struct nodes *n = publisher->nodes;

	while (!atomic_load(&publisher->is_over)) {
		if (pw_cluster_publish(n->cluster, &n->health, n->places, 1) != PW_OK)
			break;
	}
	return NULL;
}

/* What is published while somebody looks says the same as before. */
static void test_views_come_at_any_time(void **state PW_UNUSED)
{
	struct nodes *n = begin_nodes("default_pool_size = 1", 1);
	struct fixture *f = n->f;
	struct publisher publisher = {.nodes = n};
	pthread_t monitor;

	put_on_cluster(n, PW_ROUTING_PRIMARY);
	assert_false(fake_borrow(&f->b[0][0]));
	assert_int_equal(log_all_in(f), 1);
	fake_assert_heard(&f->b[0][0], "link");
	assert_false(fake_borrow(&f->b[0][1]));
	assert_int_equal(pthread_create(&monitor, NULL, go_on_publishing, &publisher), 0);
	for (int i = 0; i < LOOKS; i++) {
		pw_pools_follow(&f->env.workers[0].pools, n->cluster);
		if (i % 16 == 0)
			fake_turn(&f->env);
	}
	atomic_store(&publisher.is_over, true);
	assert_int_equal(pthread_join(monitor, NULL), 0);
	fake_assert_heard(&f->b[0][0], "");
	give_back(f, &f->b[0][0]);
	fake_assert_heard(&f->b[0][1], "link");
	end_nodes(n);
}

/* Whoever began before the database was on a cluster may end in peace. */
static void test_links_of_before(void **state PW_UNUSED)
{
	struct nodes *n = begin_nodes("default_pool_size = 1", 1);
	struct fixture *f = n->f;

	assert_false(fake_borrow(&f->b[0][0]));
	assert_int_equal(log_all_in(f), 1);
	fake_assert_heard(&f->b[0][0], "link");
	put_on_cluster(n, PW_ROUTING_PRIMARY);
	pw_pools_follow(&f->env.workers[0].pools, n->cluster);
	fake_turn(&f->env);
	fake_assert_heard(&f->b[0][0], "");
	end_nodes(n);
}

/* ---- what operators say ---- */

static void hold(struct nodes *n, size_t node, enum pw_hold_kind kind)
{
	pw_health_hold(&n->health, node, kind, "admin", 1);
	publish(n);
	for (unsigned w = 0; w < n->f->env.n_workers; w++)
		pw_pools_follow(&n->f->env.workers[w].pools, n->cluster);
	fake_turn(&n->f->env);
}

static int slot_of(struct fixture *f, unsigned worker, int borrower)
{
	return f->b[worker][borrower].loan.link->facts.slot;
}

/* Each of worker 0's borrowers has a link, two at either node. */
static struct nodes *begin_busy(void)
{
	struct nodes *n = begin_nodes("default_pool_size = 4", 1);
	struct fixture *f = n->f;

	put_on_cluster(n, PW_ROUTING_REPLICA);
	for (int i = 0; i < BORROWERS; i++) {
		assert_false(fake_borrow(&f->b[0][i]));
		assert_int_equal(log_all_in(f), 1);
		fake_assert_heard(&f->b[0][i], "link");
	}
	assert_int_equal(pool_of(f, 0)->node_links[0], 2);
	assert_int_equal(pool_of(f, 0)->node_links[1], 2);
	return n;
}

static int first_at(struct fixture *f, int slot)
{
	int i = 0;

	while (slot_of(f, 0, i) != slot)
		i++;
	return i;
}

static void test_drained_node(void **state PW_UNUSED)
{
	struct nodes *n = begin_busy();
	struct fixture *f = n->f;
	struct pw_pool *pool = pool_of(f, 0);
	int idle = first_at(f, 0), busy;

	give_back(f, &f->b[0][idle]);
	assert_int_equal(pool->node_links[0], 2);
	hold(n, 0, PW_HOLD_DRAINED);
	/* The idle one has gone, the other one goes when its client gives it back. */
	assert_int_equal(pool->node_links[0], 1);
	for (int i = 0; i < BORROWERS; i++)
		fake_assert_heard(&f->b[0][i], "");
	assert_false(fake_borrow(&f->b[0][idle]));
	assert_int_equal(log_all_in(f), 1);
	fake_assert_heard(&f->b[0][idle], "link");
	assert_int_equal(slot_of(f, 0, idle), 1);
	busy = first_at(f, 0);
	give_back(f, &f->b[0][busy]);
	assert_int_equal(pool->node_links[0], 0);
	assert_int_equal(pool->node_links[1], 3);
	hold(n, 0, PW_HOLD_NONE);
	assert_false(fake_borrow(&f->b[0][busy]));
	assert_int_equal(log_all_in(f), 1);
	fake_assert_heard(&f->b[0][busy], "link");
	assert_int_equal(slot_of(f, 0, busy), 0);
	end_nodes(n);
}

static void test_banned_node(void **state PW_UNUSED)
{
	struct nodes *n = begin_busy();
	struct fixture *f = n->f;
	struct pw_pool *pool = pool_of(f, 0);
	bool is_there[BORROWERS];

	for (int i = 0; i < BORROWERS; i++)
		is_there[i] = slot_of(f, 0, i) == 1;
	hold(n, 1, PW_HOLD_BANNED);
	assert_int_equal(pool->node_links[1], 0);
	for (int i = 0; i < BORROWERS; i++) {
		fake_assert_heard(&f->b[0][i], is_there[i] ? "lost:57P01" : "");
		if (is_there[i])
			assert_string_equal(f->b[0][i].last_error.message,
					    "terminating connection because its node was banned");
	}
	end_nodes(n);
}

/* Also where nobody is left to take their place. */
static void test_all_are_drained(void **state PW_UNUSED)
{
	struct nodes *n = begin_busy();
	struct fixture *f = n->f;

	for (int i = 0; i < BORROWERS; i++)
		give_back(f, &f->b[0][i]);
	assert_int_equal(links_at(n, 0), 4);
	/* Nobody knows anything; that by itself is no reason. */
	n->health.nodes[0].state = n->health.nodes[1].state = PW_NODE_LAGGING;
	hold(n, 0, PW_HOLD_NONE);
	assert_int_equal(links_at(n, 0), 4);
	hold(n, 0, PW_HOLD_DRAINED);
	assert_int_equal(links_at(n, 0), 2);
	hold(n, 1, PW_HOLD_DRAINED);
	assert_int_equal(links_at(n, 0), 0);
	pool_of(f, 0)->conf.reading.all_lagging = PW_ALL_LAGGING_ERROR;
	assert_false(fake_borrow(&f->b[0][0]));
	fake_turn(&f->env);
	fake_assert_heard(&f->b[0][0], "refused:57P03");
	assert_non_null(strstr(f->b[0][0].last_error.detail, "neither drained nor banned"));
	end_nodes(n);
}

static void test_least_lagging_is_not_one_that_is_drained(void **state PW_UNUSED)
{
	struct nodes *n = begin_nodes("default_pool_size = 1", 1);
	struct fixture *f = n->f;

	put_on_cluster(n, PW_ROUTING_REPLICA);
	pool_of(f, 0)->conf.reading.all_lagging = PW_ALL_LAGGING_LEAST;
	n->health.nodes[0].state = n->health.nodes[1].state = PW_NODE_LAGGING;
	n->health.nodes[1].lag_bytes = 100;
	hold(n, 0, PW_HOLD_DRAINED);
	assert_false(fake_borrow(&f->b[0][0]));
	assert_int_equal(log_all_in(f), 1);
	fake_assert_heard(&f->b[0][0], "link");
	assert_int_equal(slot_of(f, 0, 0), 1);
	end_nodes(n);
}

/* Its clients wait: somebody may be promoted, or the ban be taken back. */
static void test_banned_primary(void **state PW_UNUSED)
{
	struct nodes *n = begin_nodes("default_pool_size = 1", 1);
	struct fixture *f = n->f;

	put_on_cluster(n, PW_ROUTING_PRIMARY);
	pool_of(f, 0)->conf.reading.no_primary_wait = 5 * PW_SECOND_US;
	assert_false(fake_borrow(&f->b[0][0]));
	assert_int_equal(log_all_in(f), 1);
	fake_assert_heard(&f->b[0][0], "link");
	hold(n, 0, PW_HOLD_BANNED);
	fake_assert_heard(&f->b[0][0], "lost:57P01");
	assert_string_equal(f->b[0][0].last_error.message,
			    "terminating connection because its node was banned");
	assert_false(fake_borrow(&f->b[0][1]));
	fake_pass(&f->env, 3 * PW_SECOND_US);
	fake_assert_heard(&f->b[0][1], "");
	hold(n, 0, PW_HOLD_NONE);
	assert_int_equal(log_all_in(f), 1);
	fake_assert_heard(&f->b[0][1], "link");
	hold(n, 0, PW_HOLD_BANNED);
	fake_assert_heard(&f->b[0][1], "lost:57P01");
	assert_false(fake_borrow(&f->b[0][2]));
	fake_pass(&f->env, 6 * PW_SECOND_US);
	fake_assert_heard(&f->b[0][2], "refused:57P03");
	assert_string_equal(f->b[0][2].last_error.message, "the primary is banned");
	end_nodes(n);
}

static void test_weights_that_are_published(void **state PW_UNUSED)
{
	struct nodes *n = begin_nodes("default_pool_size = 4", 1);
	struct fixture *f = n->f;

	n->places[1].weight = 3;
	put_on_cluster(n, PW_ROUTING_REPLICA);
	for (int i = 0; i < BORROWERS; i++) {
		assert_false(fake_borrow(&f->b[0][i]));
		assert_int_equal(log_all_in(f), 1);
	}
	assert_int_equal(pool_of(f, 0)->node_links[0], 1);
	assert_int_equal(pool_of(f, 0)->node_links[1], 3);
	/* What nobody uses moves, little by little. */
	for (int i = 0; i < BORROWERS; i++)
		give_back(f, &f->b[0][i]);
	n->places[0].weight = 3;
	n->places[1].weight = 1;
	publish(n);
	for (int i = 0; i < 10; i++) {
		fake_pass(&f->env, PW_SECOND_US);
		(void)log_all_in(f);
	}
	assert_int_equal(pool_of(f, 0)->node_links[0], 3);
	assert_int_equal(pool_of(f, 0)->node_links[1], 1);
	end_nodes(n);
}

/* One that is back gets links also where clients always wait. */
static void test_links_move_under_load(void **state PW_UNUSED)
{
	struct nodes *n = begin_nodes("default_pool_size = 3", 1);
	struct fixture *f = n->f;
	struct pw_pool *pool = pool_of(f, 0);

	put_on_cluster(n, PW_ROUTING_REPLICA);
	n->health.nodes[1].state = PW_NODE_DOWN;
	publish(n);
	for (int i = 0; i < 3; i++) {
		assert_false(fake_borrow(&f->b[0][i]));
		assert_int_equal(log_all_in(f), 1);
		fake_assert_heard(&f->b[0][i], "link");
	}
	assert_false(fake_borrow(&f->b[0][3]));
	assert_int_equal(pool->node_links[0], 3);
	n->health.nodes[1].state = PW_NODE_READY;
	publish(n);
	fake_pass(&f->env, PW_SECOND_US);
	give_back(f, &f->b[0][0]);
	assert_int_equal(log_all_in(f), 1);
	fake_assert_heard(&f->b[0][3], "link");
	assert_int_equal(slot_of(f, 0, 3), 1);
	/* Two and one are as it should be. */
	fake_pass(&f->env, PW_SECOND_US);
	assert_false(fake_borrow(&f->b[0][0]));
	give_back(f, &f->b[0][1]);
	assert_int_equal(log_all_in(f), 0);
	fake_assert_heard(&f->b[0][0], "link");
	assert_int_equal(pool->node_links[0], 2);
	end_nodes(n);
}

/* A primary, and a replica that has all that the primary had a second ago. */
static void put_with_late_replica(struct nodes *n, uint64_t max_lag_us)
{
	struct pw_pool *pool = pool_of(n->f, 0);

	put_on_cluster(n, PW_ROUTING_REPLICA);
	n->health.primary = 0;
	n->health.nodes[0].state = PW_NODE_PRIMARY;
	pw_track_fork(&n->health.track, 1, 0);
	pw_track_add(&n->health.track,
		     &(struct pw_position){1, pool->pools->loop->now_us - PW_SECOND_US, 5, 5});
	n->health.nodes[1].has_followed = true;
	n->health.nodes[1].sample =
	    (struct pw_sample){1, 1, {.is_standby = true, .timeline = 1, .replay = 5}};
	n->health.max_lag_us = max_lag_us;
	publish(n);
}

/* A pool's own limit is narrower or wider than what is published. */
static void test_own_max_lag(void **state PW_UNUSED)
{
	struct nodes *n = begin_nodes("default_pool_size = 1", 1);
	struct pw_pool *pool = pool_of(n->f, 0);
	int64_t *own = &pool->conf.reading.max_lag;

	put_with_late_replica(n, 10 * PW_SECOND_US);
	assert_true(pw_pool_has_replicas(pool));
	*own = PW_SECOND_US / 2;
	assert_false(pw_pool_has_replicas(pool));
	n->health.nodes[1].state = PW_NODE_LAGGING;
	n->health.nodes[1].lag_bytes = 100;
	n->health.max_lag_us = PW_SECOND_US / 2;
	publish(n);
	*own = 2 * PW_SECOND_US;
	assert_true(pw_pool_has_replicas(pool));
	*own = -1;
	assert_false(pw_pool_has_replicas(pool));
	*own = 0;
	assert_true(pw_pool_has_replicas(pool));
	/* How many bytes holds all the same, and what is no replica of this primary never is. */
	n->health.max_lag_bytes = 99;
	publish(n);
	assert_false(pw_pool_has_replicas(pool));
	n->health.max_lag_bytes = 0;
	n->health.nodes[1].state = PW_NODE_DIVERGED;
	publish(n);
	assert_false(pw_pool_has_replicas(pool));
	end_nodes(n);
}

/* The limit is what was published, whatever the configuration says. */
static void test_lag_that_is_published(void **state PW_UNUSED)
{
	struct nodes *n = begin_nodes("default_pool_size = 1", 1);
	struct fixture *f = n->f;

	put_with_late_replica(n, 10 * PW_SECOND_US);
	assert_false(fake_borrow(&f->b[0][0]));
	assert_int_equal(log_all_in(f), 1);
	assert_int_equal(slot_of(f, 0, 0), 1);
	n->health.max_lag_us = 1;
	publish(n);
	give_back(f, &f->b[0][0]);
	assert_false(fake_borrow(&f->b[0][1]));
	assert_int_equal(log_all_in(f), 1);
	assert_int_equal(slot_of(f, 0, 1), 0);
	end_nodes(n);
}

/* ---- what the primary runs of reads ---- */

/* Node 0 is the primary, node 1 a replica. */
static void put_with_primary(struct nodes *n, enum pw_node_state replica,
			     enum pw_primary_reads primary_reads)
{
	for (unsigned w = 0; w < n->f->env.n_workers; w++)
		pool_of(n->f, w)->conf.reading.primary_reads = primary_reads;
	put_on_cluster(n, PW_ROUTING_REPLICA);
	n->health.primary = 0;
	n->health.nodes[0].state = PW_NODE_PRIMARY;
	n->health.nodes[1].state = replica;
	publish(n);
}

static void test_primary_has_its_share(void **state PW_UNUSED)
{
	struct nodes *n = begin_nodes("default_pool_size = 4", 1);
	struct fixture *f = n->f;

	n->places[0].weight = 3;
	put_with_primary(n, PW_NODE_READY, PW_PRIMARY_READS_ALWAYS);
	for (int i = 0; i < BORROWERS; i++) {
		assert_false(fake_borrow(&f->b[0][i]));
		assert_int_equal(log_all_in(f), 1);
		fake_assert_heard(&f->b[0][i], "link");
	}
	assert_int_equal(pool_of(f, 0)->node_links[0], 3);
	assert_int_equal(pool_of(f, 0)->node_links[1], 1);
	assert_int_equal(atomic_load(&n->cluster->loads[0].busy), 3);
	/* That is its own, not what overflows. */
	assert_int_equal(n->cluster->overflow.total, 0);
	for (int i = 0; i < BORROWERS; i++)
		give_back(f, &f->b[0][i]);
	assert_int_equal(atomic_load(&n->cluster->loads[0].busy), 0);
	end_nodes(n);
}

static void test_primary_that_never_reads(void **state PW_UNUSED)
{
	struct nodes *n = begin_nodes("default_pool_size = 4", 1);
	struct fixture *f = n->f;

	pool_of(f, 0)->conf.reading.no_primary_wait = 5 * PW_SECOND_US;
	put_with_primary(n, PW_NODE_LAGGING, PW_PRIMARY_READS_NEVER);
	assert_false(fake_borrow(&f->b[0][0]));
	fake_pass(&f->env, 3 * PW_SECOND_US);
	fake_assert_heard(&f->b[0][0], "");
	fake_pass(&f->env, 3 * PW_SECOND_US);
	fake_assert_heard(&f->b[0][0], "refused:57P03");
	assert_non_null(strstr(f->b[0][0].last_error.detail, "primary_reads is never"));
	n->health.nodes[1].state = PW_NODE_READY;
	publish(n);
	assert_false(fake_borrow(&f->b[0][1]));
	assert_int_equal(log_all_in(f), 1);
	assert_int_equal(slot_of(f, 0, 1), 1);
	end_nodes(n);
}

/* By one worker or another, one at a time. */
static void test_overflow(void **state PW_UNUSED)
{
	struct nodes *n = begin_nodes("default_pool_size = 4", 2);
	struct fixture *f = n->f;
	struct pw_fair_limit *overflow = &n->cluster->overflow;

	for (unsigned w = 0; w < 2; w++)
		pool_of(f, w)->cluster_conf.primary_overflow_max = 1;
	put_with_primary(n, PW_NODE_LAGGING, PW_PRIMARY_READS_FALLBACK);
	assert_false(fake_borrow(&f->b[0][0]));
	assert_int_equal(log_all_in(f), 1);
	fake_assert_heard(&f->b[0][0], "link");
	assert_int_equal(pw_limit_used(&overflow->taken), 1);
	fake_pass(&f->env, 5000);
	assert_false(fake_borrow(&f->b[1][0]));
	fake_pass(&f->env, 5000);
	assert_false(fake_borrow(&f->b[0][1]));
	fake_pass(&f->env, PW_SECOND_US);
	/* Nor are links opened that nobody could use. */
	assert_int_equal(log_all_in(f), 0);
	fake_assert_heard(&f->b[1][0], "");
	fake_assert_heard(&f->b[0][1], "");
	give_back(f, &f->b[0][0]);
	(void)log_all_in(f);
	fake_assert_heard(&f->b[1][0], "link");
	fake_assert_heard(&f->b[0][1], "");
	assert_int_equal(pw_limit_used(&overflow->taken), 1);
	give_back(f, &f->b[1][0]);
	(void)log_all_in(f);
	fake_assert_heard(&f->b[0][1], "link");
	assert_int_equal(pw_limit_used(&overflow->taken), 1);
	/* A replica is back: nobody is held up any more. */
	assert_false(fake_borrow(&f->b[1][1]));
	fake_turn(&f->env);
	fake_assert_heard(&f->b[1][1], "");
	n->health.nodes[1].state = PW_NODE_READY;
	publish(n);
	for (unsigned w = 0; w < 2; w++)
		pw_pools_follow(&f->env.workers[w].pools, n->cluster);
	(void)log_all_in(f);
	fake_assert_heard(&f->b[1][1], "link");
	assert_int_equal(slot_of(f, 1, 1), 1);
	give_back(f, &f->b[0][1]);
	assert_int_equal(pw_limit_used(&overflow->taken), 0);
	assert_int_equal(overflow->total, 3);
	end_nodes(n);
}

/* Who waits and goes leaves its turn to the next one. */
static void test_overflow_of_who_leaves(void **state PW_UNUSED)
{
	struct nodes *n = begin_nodes("default_pool_size = 4", 2);
	struct fixture *f = n->f;

	for (unsigned w = 0; w < 2; w++)
		pool_of(f, w)->cluster_conf.primary_overflow_max = 1;
	put_with_primary(n, PW_NODE_DOWN, PW_PRIMARY_READS_FALLBACK);
	assert_false(fake_borrow(&f->b[0][0]));
	assert_int_equal(log_all_in(f), 1);
	assert_false(fake_borrow(&f->b[0][1]));
	fake_pass(&f->env, 5000);
	assert_false(fake_borrow(&f->b[1][0]));
	fake_pass(&f->env, 5000);
	pw_pool_withdraw(&f->b[0][1].loan);
	fake_turn(&f->env);
	fake_server_close(&f->s[0]);
	(void)log_all_in(f);
	fake_assert_heard(&f->b[1][0], "link");
	assert_int_equal(pw_limit_used(&n->cluster->overflow.taken), 1);
	end_nodes(n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_links_count_where_they_are),
	    cmocka_unit_test(test_beginning),
	    cmocka_unit_test(test_views_come_at_any_time),
	    cmocka_unit_test(test_links_of_before),
	    cmocka_unit_test(test_drained_node),
	    cmocka_unit_test(test_banned_node),
	    cmocka_unit_test(test_all_are_drained),
	    cmocka_unit_test(test_least_lagging_is_not_one_that_is_drained),
	    cmocka_unit_test(test_banned_primary),
	    cmocka_unit_test(test_weights_that_are_published),
	    cmocka_unit_test(test_links_move_under_load),
	    cmocka_unit_test(test_own_max_lag),
	    cmocka_unit_test(test_lag_that_is_published),
	    cmocka_unit_test(test_primary_has_its_share),
	    cmocka_unit_test(test_primary_that_never_reads),
	    cmocka_unit_test(test_overflow),
	    cmocka_unit_test(test_overflow_of_who_leaves),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

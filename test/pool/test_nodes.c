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

#include "workers_fixture.h"

enum { NODES = 2, LOOKS = 20000 };

struct nodes {
	struct fixture *f;
	struct pw_clusters clusters;
	struct pw_cluster *cluster;
	struct pw_node_place places[NODES];
	struct pw_health health;
	atomic_bool is_over;
};

static void publish(struct nodes *n)
{
	assert_int_equal(pw_cluster_publish(n->cluster, &n->health, n->places, 1), PW_OK);
}

static struct nodes *begin_nodes(const char *settings, unsigned n_workers)
{
	static const char *const names[NODES] = {"a:5432", "b:5432"};
	struct nodes *n = calloc(1, sizeof(*n));

	n->f = begin(settings, "", n_workers);
	pw_clusters_init(&n->clusters);
	n->cluster = pw_clusters_get(&n->clusters, "shop");
	pw_health_init(&n->health, NODES, 1);
	for (int i = 0; i < NODES; i++) {
		int slot = pw_cluster_slot(n->cluster, names[i]);

		n->places[i] = (struct pw_node_place){names[i], n->f->env.dir, FAKE_PORT, 1, slot};
	}
	return n;
}

static void put_on_cluster(struct nodes *n, enum pw_routing routing)
{
	bool is_primary = routing == PW_ROUTING_PRIMARY;

	for (unsigned w = 0; w < n->f->env.n_workers; w++) {
		pool_of(n->f, w)->cluster = n->cluster;
		pool_of(n->f, w)->routing = routing;
	}
	n->health.primary = is_primary ? 0 : PW_NO_NODE;
	n->health.nodes[0].state = is_primary ? PW_NODE_PRIMARY : PW_NODE_READY;
	n->health.nodes[1].state = PW_NODE_READY;
	publish(n);
}

static void end_nodes(struct nodes *n)
{
	end(n->f);
	pw_clusters_fini(&n->clusters);
	free(n);
}

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
	fake_turn(&f->env);
	fake_assert_heard(&f->b[0][0], "refused:57P03");
	end_nodes(n);
}

static void *go_on_publishing(void *arg)
{
	struct nodes *n = arg;

	while (!atomic_load(&n->is_over)) {
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
	pthread_t monitor;

	put_on_cluster(n, PW_ROUTING_PRIMARY);
	assert_false(fake_borrow(&f->b[0][0]));
	assert_int_equal(log_all_in(f), 1);
	fake_assert_heard(&f->b[0][0], "link");
	assert_false(fake_borrow(&f->b[0][1]));
	assert_int_equal(pthread_create(&monitor, NULL, go_on_publishing, n), 0);
	for (int i = 0; i < LOOKS; i++) {
		pw_pools_follow(&f->env.workers[0].pools, n->cluster);
		if (i % 16 == 0)
			fake_turn(&f->env);
	}
	atomic_store(&n->is_over, true);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_links_count_where_they_are),
	    cmocka_unit_test(test_beginning),
	    cmocka_unit_test(test_views_come_at_any_time),
	    cmocka_unit_test(test_links_of_before),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

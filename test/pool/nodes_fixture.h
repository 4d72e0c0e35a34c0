/* SPDX-License-Identifier: PostgreSQL
 *
 * Workers whose pools are on the nodes of a cluster: all of these are one fake server, and what the
 * monitor would know of them is made up. To be included once in a program.
 */
#ifndef PGWEIR_TEST_POOL_NODES_FIXTURE_H
#define PGWEIR_TEST_POOL_NODES_FIXTURE_H

#include "workers_fixture.h"

enum { NODES = 2 };

struct nodes {
	struct fixture *f;
	struct pw_clusters clusters;
	struct pw_cluster *cluster;
	struct pw_node_place places[NODES];
	struct pw_health health;
};

static inline void publish(struct nodes *n)
{
	assert_int_equal(pw_cluster_publish(n->cluster, &n->health, n->places, 1), PW_OK);
}

static inline struct nodes *begin_nodes(const char *settings, unsigned n_workers)
{
	static const char *const names[NODES] = {"a:5432", "b:5432"};
	struct nodes *n = calloc(1, sizeof(*n));

	n->f = begin(settings, "", n_workers);
	pw_clusters_init(&n->clusters);
	n->cluster = pw_clusters_get(&n->clusters, "shop");
	pw_health_init(&n->health, NODES, 1);
	for (int i = 0; i < NODES; i++) {
		int slot = pw_cluster_slot(n->cluster, names[i]);

		n->places[i] = (struct pw_node_place){names[i], n->f->env.dir, FAKE_PORT,
						      .weight = 1, .slot = slot};
	}
	return n;
}

static inline void put_on_cluster(struct nodes *n, enum pw_routing routing)
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

static inline void end_nodes(struct nodes *n)
{
	end(n->f);
	pw_clusters_fini(&n->clusters);
	free(n);
}

#endif

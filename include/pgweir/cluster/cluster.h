/* SPDX-License-Identifier: PostgreSQL
 *
 * A cluster as its users see it: the monitor's thread publishes what it knows as a whole that does
 * not change any more, after each round; every worker looks at the latest one.
 */
#ifndef PGWEIR_CLUSTER_CLUSTER_H
#define PGWEIR_CLUSTER_CLUSTER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pgweir/base/fair_limit.h"
#include "pgweir/base/list.h"
#include "pgweir/base/refcount.h"
#include "pgweir/base/status.h"
#include "pgweir/cluster/health.h"

/* Nodes that a cluster may have had since the process began, and their number in it for good. */
enum { PW_SLOTS_MAX = 64, PW_NO_SLOT = -1 };

/* Where a node is. */
struct pw_node_place {
	const char *name; /* "host:port": what it is called everywhere */
	const char *host; /* a name, an address, or the directory of a socket */
	int port;
	int weight;
	int max_connections; /* 0 = no limit */
	int slot;
	bool is_far; /* in another zone than pgweir */
};

/* What runs on a node, for all clients of the process: raised and lowered with each loan of a link
 * to it. A cache line's size apart from the next one's. */
struct pw_node_load {
	atomic_uint busy;
	atomic_bool is_shrinking; /* a worker counts and closes links beyond max_connections */
	atomic_bool is_evicting;  /* a request to evict an idle one is going round */
	/* Loans since the process began: by pools of replicas, and by others. */
	_Atomic uint64_t reads, others;
	struct pw_fair_limit links; /* server connections to it, against max_connections */
};

_Static_assert(sizeof(struct pw_node_load) == 64, "a cache line");

struct pw_cluster_view {
	struct pw_refcount refs;
	uint64_t published_us;
	uint64_t rounds; /* that have begun */
	struct pw_health health;
	struct pw_node_place places[PW_NODES_MAX]; /* as many as health.n; strings behind */
};

/* One for each cluster of the process; any thread. */
struct pw_cluster {
	struct pw_list node;
	/* The round that began last (cluster/token.h): written by the monitor's thread, before it
	 * hands any probe of the round to the kernel; sequentially consistent. */
	_Atomic uint64_t probe;
	atomic_uint version;          /* raised with each view */
	pthread_mutex_t lock;         /* guards what follows */
	struct pw_cluster_view *view; /* a reference; NULL = none has been published */
	char *slots[PW_SLOTS_MAX];    /* names of nodes, in the order of their first coming */
	struct pw_node_load loads[PW_SLOTS_MAX];
	struct pw_fair_limit overflow;
	char name[];
};

/* One thread's; all zeros at the beginning. */
struct pw_cluster_eye {
	unsigned version;
	struct pw_cluster_view *view; /* a reference */
};

/* All clusters that have been named since the process began: one that a reload takes away keeps
 * what sessions have noted of it, in case that it comes back. */
struct pw_clusters {
	pthread_mutex_t lock;
	struct pw_list all;
};

void pw_clusters_init(struct pw_clusters *clusters);
/* Nobody may hold one any more. */
void pw_clusters_fini(struct pw_clusters *clusters);
/* Lives as long as `clusters`; NULL without memory. Any thread. */
struct pw_cluster *pw_clusters_get(struct pw_clusters *clusters, const char *name);

/* The number of the node in the cluster; PW_NO_SLOT: there have been too many, or no memory. */
int pw_cluster_slot(struct pw_cluster *cluster, const char *node);

/* A copy of all that is given; without memory the last one stays. PW_ENOMEM. Monitor's thread. */
PW_MUSTCHECK enum pw_status pw_cluster_publish(struct pw_cluster *cluster,
					       const struct pw_health *health,
					       const struct pw_node_place *places, uint64_t now_us);

/* The latest; NULL = there is none yet. Valid until the eye's next use. */
const struct pw_cluster_view *pw_cluster_look(struct pw_cluster *cluster,
					      struct pw_cluster_eye *eye);
void pw_cluster_eye_fini(struct pw_cluster_eye *eye);

#endif

/* SPDX-License-Identifier: PostgreSQL
 *
 * Watches the nodes of all clusters: asks each of them in every round, works out what follows
 * (cluster/health.h), publishes it (cluster/cluster.h) and says in the log what has changed.
 *
 * Belongs to the thread of its loop.
 */
#ifndef PGWEIR_CLUSTER_MONITOR_H
#define PGWEIR_CLUSTER_MONITOR_H

#include "pgweir/auth/userdb.h"
#include "pgweir/base/error.h"
#include "pgweir/base/list.h"
#include "pgweir/base/log.h"
#include "pgweir/cluster/cluster.h"
#include "pgweir/cluster/order.h"
#include "pgweir/conf/conf.h"
#include "pgweir/net/loop.h"
#include "pgweir/net/mailbox.h"
#include "pgweir/net/resolver.h"

enum {
	/* A node that has not answered after so many rounds, and no sooner than this, is down until
	 * it does. */
	PW_MONITOR_LATE_ROUNDS = 3,
	PW_MONITOR_LATE_US = 300 * 1000,
};

struct pw_monitor {
	/* A node's state, or the primary, is another one now, or an operator wants something else.
	 */
	void (*on_change)(void *arg, struct pw_cluster *cluster);
	void *arg;
	struct pw_loop *loop;
	struct pw_resolver *resolver;
	struct pw_mailbox *mailbox; /* the loop's */
	struct pw_clusters *clusters;
	struct pw_logctx log;
	struct pw_list watched;
};

/* What is given lives longer than the monitor. `on_change` and `arg` are the caller's to set. */
void pw_monitor_init(struct pw_monitor *monitor, struct pw_loop *loop, struct pw_resolver *resolver,
		     struct pw_mailbox *mailbox, struct pw_clusters *clusters,
		     const struct pw_logctx *log);
void pw_monitor_fini(struct pw_monitor *monitor);

/* From now on the clusters of that configuration; takes references. A cluster whose nodes are the
 * same, and reached in the same way, is watched on without a break. Without memory one that is new
 * is not watched, which is logged. */
void pw_monitor_set(struct pw_monitor *monitor, const struct pw_conf *conf,
		    const struct pw_userdb *users);

/* Does what an operator orders: it is published when this returns. False with `err` set: why not.
 */
bool pw_monitor_obey(struct pw_monitor *monitor, const struct pw_order *order,
		     struct pw_error *err);

#endif

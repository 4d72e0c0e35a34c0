/* SPDX-License-Identifier: PostgreSQL
 *
 * What operators order of nodes and clusters while pgweir runs. An order is checked against what is
 * known and configured, and noted in what its owner, the monitor, then judges and publishes.
 *
 * Whom it holds back (struct pw_hold) it holds until it is taken back, the node becomes the primary
 * (DRAIN alone), the node leaves the configuration, or the process ends. Weights and max_lag are
 * the configuration's again with the next reload. A choice (PROMOTE) is made once.
 *
 * Pure. The monitor's thread.
 */
#ifndef PGWEIR_CLUSTER_ORDER_H
#define PGWEIR_CLUSTER_ORDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pgweir/base/error.h"
#include "pgweir/cluster/cluster.h"
#include "pgweir/cluster/health.h"
#include "pgweir/conf/conf.h"

enum pw_order_kind {
	PW_ORDER_DRAIN,
	PW_ORDER_BAN,       /* not the primary */
	PW_ORDER_BAN_FORCE, /* that as well */
	PW_ORDER_UNBAN,     /* the end of both */
	PW_ORDER_WEIGHT,
	PW_ORDER_PROMOTE,
	PW_ORDER_MAX_LAG, /* of a cluster; all others are of a node */
	PW_ORDER_KINDS,
};

/* Borrowed strings. */
struct pw_order {
	enum pw_order_kind kind;
	/* A node as "host:port" or "host", "cluster/" before it where others have such a node too;
	 * or a cluster. */
	const char *target;
	const char *value; /* WEIGHT, MAX_LAG: as in the configuration, or "DEFAULT" */
	const char *by;    /* who orders it */
};

/* What it is of, as the owner has it. */
struct pw_order_object {
	const char *cluster;
	const struct pw_conf_cluster *settings; /* as configured, its nodes in the same order */
	struct pw_health *health;
	struct pw_node_place *places;
	size_t node; /* not of MAX_LAG */
	uint64_t now_us;
};

bool pw_order_is_of_cluster(const struct pw_order *order);
/* Is that what it is of? */
bool pw_order_means(const struct pw_order *order, const struct pw_order_object *object);
/* False with `err` set (severity ERROR): it cannot be, and nothing has changed. */
bool pw_order_obey(const struct pw_order *order, const struct pw_order_object *object,
		   struct pw_error *err);
/* The console's word for it. */
const char *pw_order_word(enum pw_order_kind kind);

#endif

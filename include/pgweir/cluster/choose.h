/* SPDX-License-Identifier: PostgreSQL
 *
 * Which of the nodes that may run a read gets it: each by its weight, and by how long it has been
 * back; those of pgweir's own zone before others; and of these, by what the setting `balance` says.
 *
 * Pure: what is known of the nodes, chance and time are given. A node that is busy is not passed
 * over for another zone: its clients wait.
 */
#ifndef PGWEIR_CLUSTER_CHOOSE_H
#define PGWEIR_CLUSTER_CHOOSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pgweir/base/rng.h"
#include "pgweir/cluster/cluster.h"
#include "pgweir/conf/conf.h"

enum {
	PW_SHARE_WHOLE = 1000,
	PW_SHARE_LEAST = 10,
	/* What takes so much longer than the shortest way is no longer as near. */
	PW_TRIP_PERCENT = 125,
	PW_TRIP_MARGIN_US = 500,
};

/* One that may run the read. */
struct pw_option {
	int slot;
	int weight;
	unsigned share;   /* of its weight, in thousandths, LEAST to WHOLE */
	unsigned busy;    /* what runs on it */
	uint64_t trip_us; /* there and back; 0 = not known */
	bool is_far;      /* in another zone */
};

/* Whose turn it is (round_robin), by slot: one thread's, all zeros at the beginning. */
struct pw_turns {
	int64_t due[PW_SLOTS_MAX];
};

/* How much of its weight a node has that was ready again at `back_us` (0 = always was). */
unsigned pw_share(uint64_t back_us, uint64_t slow_start_us, uint64_t now_us);

/* What each may get in proportion, into `parts`: 0 for those that are too far while others are not.
 * Their sum: 0 only where n is. While all near ones are starting slowly, the far ones count too. */
uint64_t pw_options_weigh(enum pw_balance_by by, const struct pw_option *options, size_t n,
			  uint64_t *parts);

/* The index of the one that gets the next read; n is 1 to PW_NODES_MAX. `turns` is for round_robin
 * alone. */
size_t pw_choose(enum pw_balance_by by, const struct pw_option *options, size_t n,
		 struct pw_rng *rng, struct pw_turns *turns);

#endif

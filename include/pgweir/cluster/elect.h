/* SPDX-License-Identifier: PostgreSQL
 *
 * Which node is the primary: by timelines alone. A node that is promoted begins a higher one; how
 * far a node has written says nothing of which history is the right one.
 *
 * Pure. Any thread.
 */
#ifndef PGWEIR_CLUSTER_ELECT_H
#define PGWEIR_CLUSTER_ELECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PW_NO_NODE = -1 };

struct pw_candidate {
	bool is_writable;  /* it answers, and is not in recovery */
	bool is_standby;   /* it answers, and is in recovery */
	uint32_t timeline; /* the last that it told */
};

struct pw_election {
	int primary;         /* PW_NO_NODE: an operator must say which */
	bool is_torn;        /* two are writable on the highest timeline: an alarm */
	unsigned contenders; /* a bit for each of those that are */
};

/* `incumbent`, the primary so far, stays until a writable node has a strictly higher timeline, also
 * while it does not answer; not if it has become a standby. Nobody is elected on a timeline lower
 * than `seen`, the highest that there has been: that is a history which others have left behind.
 * `chosen` is whom an operator has named, or PW_NO_NODE: it counts for a tie, and where nobody
 * answers that takes writes on such a timeline, if none does on a higher one than it. All writable
 * nodes but the primary are to be fenced. */
struct pw_election pw_elect(const struct pw_candidate *nodes, size_t n, uint32_t seen,
			    int incumbent, int chosen);

#endif

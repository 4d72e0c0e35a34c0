/* SPDX-License-Identifier: PostgreSQL
 *
 * What is known of the nodes of one cluster, and what follows from it: which one is the primary,
 * which replicas are fresh enough to read from, and why the others are not.
 *
 * Plain data without pointers: the monitor's thread fills one, copies of it may be read by any.
 */
#ifndef PGWEIR_CLUSTER_HEALTH_H
#define PGWEIR_CLUSTER_HEALTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pgweir/cluster/elect.h"
#include "pgweir/cluster/probe.h"
#include "pgweir/cluster/track.h"

enum {
	PW_NODES_MAX = 16,
	PW_NODE_REASON_SIZE = 160,
	PW_HOLD_BY_SIZE = 64,
	/* Nobody is elected before all nodes have answered or failed, but no later than this. */
	PW_HEALTH_FIRST_US = 2 * 1000 * 1000,
	/* A lagging node is ready again after so many samples in a row below this share. */
	PW_HEALTH_GOOD_SAMPLES = 3,
	PW_HEALTH_GOOD_PERCENT = 80,
};

/* A lag that cannot be told. */
#define PW_LAG_UNKNOWN UINT64_MAX

enum pw_node_state {
	PW_NODE_NEW,      /* has not answered yet */
	PW_NODE_DOWN,     /* does not answer */
	PW_NODE_FOREIGN,  /* is of another system */
	PW_NODE_PRIMARY,  /* takes writes */
	PW_NODE_FENCED,   /* would take writes, but is not the primary: gets nothing */
	PW_NODE_DIVERGED, /* a standby that is not known to follow the primary's timeline */
	PW_NODE_LAGGING,  /* a replica that is too far behind, or was until lately */
	PW_NODE_READY,    /* a replica that is fresh enough */
	PW_NODE_STATES,
};

/* What an operator has said of a node, whatever its state (cluster/order.h). */
enum pw_hold_kind {
	PW_HOLD_NONE,
	PW_HOLD_DRAINED, /* gets nothing new; never the primary */
	PW_HOLD_BANNED,  /* gets nothing, and has lost what it had */
	PW_HOLDS,
};

struct pw_hold {
	enum pw_hold_kind kind;
	uint64_t since_us;
	char by[PW_HOLD_BY_SIZE]; /* the operator, cut to that size */
};

/* A node's last answer. */
struct pw_sample {
	uint64_t probe; /* the number of its round; 0 = there is none in this life of the node */
	uint64_t sent_us;
	struct pw_probe_answer answer;
	uint64_t took_us; /* from the question to the answer; 0 = nobody has looked */
};

struct pw_node {
	bool is_replica_only; /* whatever it says, it is not followed as a primary */
	bool has_failed;      /* since its last answer, or it has not answered at all */
	bool has_told;        /* it has answered or failed */
	uint64_t system;      /* that it last said; 0 = it has said none */
	uint64_t asked_by_us; /* when the connection to it was made; 0 = there is none */
	unsigned version;
	struct pw_sample sample;
	bool has_followed;     /* the primary's timeline, in this life */
	uint64_t followed;     /* how far it had replayed when it last did */
	bool has_waited;       /* replay, for more to be received, as of its last two answers */
	uint64_t whole;        /* no record ends between what it had replayed and this */
	unsigned good_samples; /* of different rounds, in a row */
	uint64_t good_probe;   /* the latest of them */
	enum pw_node_state state;
	uint64_t since_us; /* of the state */
	bool is_unheard;   /* LAGGING for nothing but the silence of the primary */
	uint64_t lag_bytes;
	char reason[PW_NODE_REASON_SIZE]; /* why it is in that state; "" where that says it all */
	struct pw_hold hold;
	uint64_t trip_us; /* what an answer takes, smoothed; 0 = not known */
	uint64_t back_us; /* when it was ready again after it was not; 0 = it always was */
	bool is_newcomer; /* the cluster was at work before it came: what it has read before is not
			     known */
};

struct pw_health {
	uint64_t began_us;
	/* 0 = no limit */
	uint64_t max_lag_us, max_lag_bytes;
	uint64_t no_primary_reads_us; /* for so long does the last word of the primary count */
	uint64_t system;              /* the cluster's; 0 = not known yet */
	uint32_t told;                /* by nodes: a timeline, before there was a primary */
	int primary;                  /* PW_NO_NODE; it may be down */
	int chosen;                   /* by an operator, until the next judgement; PW_NO_NODE */
	bool is_torn;
	unsigned contenders; /* a bit for each node that takes writes on the highest timeline */
	struct pw_track track;
	size_t n;
	struct pw_node nodes[PW_NODES_MAX];
};

const char *pw_node_state_name(enum pw_node_state state);
const char *pw_hold_name(enum pw_hold_kind kind); /* NULL for NONE */

void pw_health_init(struct pw_health *health, size_t n, uint64_t now_us);
/* A connection to the node was made, by now. */
void pw_health_identified(struct pw_health *health, size_t node,
			  const struct pw_probe_identity *identity, uint64_t now_us);
/* It has answered. */
void pw_health_answered(struct pw_health *health, size_t node, const struct pw_sample *sample);
/* Its connection was lost, or could not be made: the next answer is one of another life. */
void pw_health_lost(struct pw_health *health, size_t node, const char *why);
/* It has not answered in time, though it may yet. */
void pw_health_is_late(struct pw_health *health, size_t node, const char *why);
/* An operator says which of those that take writes on the highest timeline is the primary, or,
 * where none answers on that, which on a lower one: it is from then on, and stays it as any other
 * does. False: it is not of them, or there is no other. */
bool pw_health_choose(struct pw_health *health, size_t node);
/* The only writer of a node's hold, but that a primary is not drained. `by` is cut. */
void pw_health_hold(struct pw_health *health, size_t node, enum pw_hold_kind kind, const char *by,
		    uint64_t now_us);
/* What follows; whenever something has come in. */
void pw_health_judge(struct pw_health *health, uint64_t now_us);

/* How old what one reads there may be, in us, by what is known; PW_LAG_UNKNOWN. While the primary
 * does not answer it is as of the primary's last answer. */
uint64_t pw_health_lag(const struct pw_health *health, size_t node, uint64_t now_us);
/* When the primary last answered, if it does not now; 0 = it does, or never has. */
uint64_t pw_health_frozen_at(const struct pw_health *health);

#endif

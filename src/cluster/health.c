/* SPDX-License-Identifier: PostgreSQL
 *
 * Answers are only noted as they come; all that follows from them is worked out anew each time,
 * but for what has to be remembered: who the primary was, which nodes have followed it, and how
 * long a node has been well.
 */
#include "config.h"

#include "pgweir/cluster/health.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "pgweir/base/clock.h"
#include "pgweir/base/status.h"
#include "pgweir/base/utf8.h"

/* Of PostgreSQL's write-ahead log, as it is built unless somebody says otherwise. */
enum { WAL_PAGE = 8192, WAL_HEADER_MAX = 40 };

static const char *const state_names[PW_NODE_STATES] = {
    [PW_NODE_NEW] = "new",         [PW_NODE_DOWN] = "down",     [PW_NODE_FOREIGN] = "foreign",
    [PW_NODE_PRIMARY] = "primary", [PW_NODE_FENCED] = "fenced", [PW_NODE_DIVERGED] = "diverged",
    [PW_NODE_LAGGING] = "lagging", [PW_NODE_READY] = "ready",
};

static const char *const hold_names[PW_HOLDS] = {
    [PW_HOLD_NONE] = NULL,
    [PW_HOLD_DRAINED] = "drained",
    [PW_HOLD_BANNED] = "banned",
};

const char *pw_hold_name(enum pw_hold_kind kind)
{
	return hold_names[kind];
}

const char *pw_node_state_name(enum pw_node_state state)
{
	return state_names[state];
}

void pw_health_init(struct pw_health *health, size_t n, uint64_t now_us)
{
	memset(health, 0, sizeof(*health));
	health->began_us = now_us;
	health->primary = health->chosen = PW_NO_NODE;
	health->n = n;
	for (size_t i = 0; i < n; i++)
		health->nodes[i].since_us = now_us;
}

static bool is_foreign(const struct pw_health *health, const struct pw_node *node)
{
	return node->system != 0 && health->system != 0 && node->system != health->system;
}

/* ---- what comes in ---- */

static void note_failure(struct pw_node *node, const char *why)
{
	node->has_failed = true;
	node->has_told = true;
	snprintf(node->reason, sizeof(node->reason), "%s", why);
}

void pw_health_identified(struct pw_health *health, size_t node,
			  const struct pw_probe_identity *identity, uint64_t now_us)
{
	health->nodes[node].asked_by_us = now_us;
	health->nodes[node].system = identity->system;
	health->nodes[node].version = identity->version;
}

/* One answer alone may come between what is received and replay's being woken. */
static bool has_waited(const struct pw_sample *before, const struct pw_sample *sample)
{
	const struct pw_probe_answer *a = &before->answer, *b = &sample->answer;

	return before->probe > 0 && a->is_waiting && b->is_waiting && a->receive == b->receive &&
	       a->replay == b->replay;
}

/* An eighth of what is new: one answer that was late by chance is no news of the way. */
static uint64_t smooth(uint64_t before, uint64_t now)
{
	return before == 0 ? now : before - before / 8 + now / 8;
}

void pw_health_answered(struct pw_health *health, size_t node, const struct pw_sample *sample)
{
	struct pw_node *n = &health->nodes[node];

	n->has_waited = has_waited(&n->sample, sample);
	n->sample = *sample;
	n->trip_us = smooth(n->trip_us, sample->took_us);
	n->has_failed = false;
	n->has_told = true;
	n->reason[0] = '\0';
}

void pw_health_lost(struct pw_health *health, size_t node, const char *why)
{
	struct pw_node *n = &health->nodes[node];

	note_failure(n, why);
	/* It is of the system that it was of until it says otherwise: what answered in the
	 * primary's place is not taken for that. */
	if (is_foreign(health, n))
		n->sample.answer = (struct pw_probe_answer){0};
	n->sample.probe = 0;
	n->has_followed = false;
	n->whole = 0;
	n->asked_by_us = 0;
	n->trip_us = 0;
}

void pw_health_is_late(struct pw_health *health, size_t node, const char *why)
{
	note_failure(&health->nodes[node], why);
}

/* ---- of which system ---- */

static unsigned count_system(const struct pw_health *health, uint64_t system)
{
	unsigned count = 0;

	for (size_t i = 0; i < health->n; i++)
		count += health->nodes[i].system == system;
	return count;
}

/* Once there has been a primary its system is the cluster's. Before that, that of most nodes, and
 * nothing counts that was seen of another. */
static void choose_system(struct pw_health *health)
{
	unsigned most = health->system ? count_system(health, health->system) : 0;
	uint64_t chosen = health->system;

	if (health->track.timeline != 0)
		return;
	for (size_t i = 0; i < health->n; i++) {
		uint64_t system = health->nodes[i].system;
		unsigned count = system ? count_system(health, system) : 0;

		if (count > most) {
			most = count;
			chosen = system;
		}
	}
	if (chosen != health->system)
		health->told = 0;
	health->system = chosen;
}

/* ---- who is the primary ---- */

static bool have_all_told(const struct pw_health *health, uint64_t now_us)
{
	if (now_us >= health->began_us + PW_HEALTH_FIRST_US)
		return true;
	for (size_t i = 0; i < health->n; i++) {
		if (!health->nodes[i].has_told)
			return false;
	}
	return true;
}

static bool has_answered(const struct pw_health *health, const struct pw_node *node)
{
	return !node->has_failed && node->sample.probe > 0 && !is_foreign(health, node);
}

/* A primary that has not answered yet, since it is watched anew, or in whose place another system
 * answers, is where it was. */
static uint32_t timeline_of(const struct pw_health *health, size_t i)
{
	const struct pw_node *node = &health->nodes[i];
	uint32_t timeline = is_foreign(health, node) ? 0 : node->sample.answer.timeline;

	return timeline == 0 && (int)i == health->primary ? health->track.timeline : timeline;
}

static void nominate(const struct pw_health *health, struct pw_candidate *candidates)
{
	for (size_t i = 0; i < health->n; i++) {
		const struct pw_node *node = &health->nodes[i];
		bool answers = has_answered(health, node);

		candidates[i] = (struct pw_candidate){
		    .is_writable =
			answers && !node->sample.answer.is_standby && !node->is_replica_only,
		    .is_standby = answers && node->sample.answer.is_standby,
		    .timeline = timeline_of(health, i),
		};
	}
}

/* The highest timeline that a primary has had. Before there has been any, what nodes tell counts:
 * one that takes writes may be out of reach when it comes to the choice, and a standby receives
 * from one that is. */
static uint32_t highest_seen(const struct pw_health *health)
{
	return health->track.timeline > health->told ? health->track.timeline : health->told;
}

/* Once is enough: it may be late with its next answer, or lose its primary. */
static void note_told(struct pw_health *health)
{
	for (size_t i = 0; health->track.timeline == 0 && i < health->n; i++) {
		const struct pw_node *node = &health->nodes[i];

		if (has_answered(health, node) && !node->is_replica_only &&
		    node->sample.answer.timeline > health->told)
			health->told = node->sample.answer.timeline;
	}
}

/* Where the histories part nobody says, but what a standby had replayed is part of both when it is
 * promoted. */
static void change_timeline(struct pw_health *health, const struct pw_node *primary)
{
	uint64_t fork = primary->has_followed ? primary->followed : 0;

	pw_track_fork(&health->track, primary->sample.answer.timeline, fork);
	for (size_t i = 0; i < health->n; i++) {
		health->nodes[i].has_followed = false;
		health->nodes[i].whole = 0;
	}
}

static void add_position(struct pw_health *health, const struct pw_sample *sample)
{
	struct pw_track *track = &health->track;

	track->async_us = sample->answer.async_us;
	if (track->n > 0 && sample->probe <= track->at[track->n - 1].probe)
		return;
	pw_track_add(track, &(struct pw_position){sample->probe, sample->sent_us,
						  sample->answer.insert, sample->answer.flush});
}

/* A reload may say that it is not to be followed any more. */
static int incumbent_of(const struct pw_health *health)
{
	int primary = health->primary;

	return primary != PW_NO_NODE && health->nodes[primary].is_replica_only ? PW_NO_NODE
									       : primary;
}

static void elect(struct pw_health *health, uint64_t now_us)
{
	struct pw_candidate candidates[PW_NODES_MAX];
	const struct pw_node *primary;
	struct pw_election election;
	int before = health->primary;

	note_told(health);
	if (before == PW_NO_NODE && !have_all_told(health, now_us))
		return;
	nominate(health, candidates);
	election = pw_elect(candidates, health->n, highest_seen(health), incumbent_of(health),
			    health->chosen);
	health->chosen = PW_NO_NODE;
	health->primary = election.primary;
	health->is_torn = election.is_torn;
	health->contenders = election.contenders;
	if (election.primary == PW_NO_NODE || !candidates[election.primary].is_writable)
		return;
	primary = &health->nodes[election.primary];
	/* Two timelines of one number are two histories, where there are two nodes. */
	if (primary->sample.answer.timeline != health->track.timeline || election.primary != before)
		change_timeline(health, primary);
	health->told = 0;
	health->system = primary->system;
	add_position(health, &primary->sample);
}

bool pw_health_choose(struct pw_health *health, size_t node)
{
	struct pw_candidate candidates[PW_NODES_MAX];
	struct pw_election election;

	nominate(health, candidates);
	election =
	    pw_elect(candidates, health->n, highest_seen(health), incumbent_of(health), (int)node);
	if (election.primary != (int)node || (!election.is_torn && health->primary == (int)node))
		return false;
	health->chosen = (int)node;
	return true;
}

/* ---- what operators say ---- */

void pw_health_hold(struct pw_health *health, size_t node, enum pw_hold_kind kind, const char *by,
		    uint64_t now_us)
{
	struct pw_hold *hold = &health->nodes[node].hold;

	if (hold->kind != PW_HOLD_NONE && kind == PW_HOLD_NONE)
		health->nodes[node].back_us = now_us;
	*hold = (struct pw_hold){.kind = kind, .since_us = now_us};
	memcpy(hold->by, by, pw_utf8_fit(by, sizeof(hold->by) - 1));
}

/* A failover must not end in nobody's being served. A ban holds all the same: that is what it is
 * for. */
static void release_primary(struct pw_health *health)
{
	struct pw_node *primary =
	    health->primary == PW_NO_NODE ? NULL : &health->nodes[health->primary];

	if (primary && primary->hold.kind == PW_HOLD_DRAINED)
		primary->hold = (struct pw_hold){.kind = PW_HOLD_NONE};
}

/* ---- how fresh the replicas are ---- */

uint64_t pw_health_frozen_at(const struct pw_health *health)
{
	const struct pw_track *track = &health->track;
	const struct pw_node *primary =
	    health->primary == PW_NO_NODE ? NULL : &health->nodes[health->primary];

	if (track->n == 0 || (primary && !primary->has_failed && !is_foreign(health, primary)))
		return 0;
	return track->at[track->n - 1].sent_us;
}

/* Of a transaction that goes on, whole pages are flushed: what is flushed then ends within a
 * record. Where nothing ends there, what is inserted is at most a page's header further. */
static bool ends_within_record(const struct pw_position *position)
{
	return position->flush % WAL_PAGE == 0 &&
	       position->insert > position->flush + WAL_HEADER_MAX;
}

/* The rest of a record that is not all there can be replayed by nobody, and is missed by nobody. */
static void note_whole(const struct pw_health *health, struct pw_node *node)
{
	const struct pw_track *track = &health->track;
	const struct pw_position *last = track->n > 0 ? &track->at[track->n - 1] : NULL;

#ifdef PW_MUTANT_HALF_RECORD_LAGS
	return;
#endif
	if (last && node->has_waited && ends_within_record(last) &&
	    node->sample.answer.receive >= last->flush)
		node->whole = last->flush;
}

/* What it may yet have to replay is behind this. */
static uint64_t replayed_by(const struct pw_node *node)
{
	uint64_t replay = node->sample.answer.replay;

	return replay > node->whole ? replay : node->whole;
}

uint64_t pw_health_lag(const struct pw_health *health, size_t node, uint64_t now_us)
{
	const struct pw_node *n = &health->nodes[node];
	uint64_t frozen_us = pw_health_frozen_at(health), has_us;

	if ((int)node == health->primary)
		return 0;
	if (n->sample.probe == 0 || !n->sample.answer.is_standby || !n->has_followed)
		return PW_LAG_UNKNOWN;
	has_us = pw_track_time(&health->track, replayed_by(n));
	if (has_us == 0)
		return PW_LAG_UNKNOWN;
	if (frozen_us > 0 && frozen_us < now_us)
		now_us = frozen_us;
#ifdef PW_MUTANT_LAG_IGNORED
	now_us = has_us;
#endif
	return now_us > has_us ? now_us - has_us : 0;
}

static uint64_t lag_bytes(const struct pw_health *health, const struct pw_node *node)
{
	const struct pw_track *track = &health->track;
	uint64_t flushed = track->n > 0 ? track->at[track->n - 1].flush : 0;
	uint64_t replayed = replayed_by(node);

	return flushed > replayed ? flushed - replayed : 0;
}

static bool is_within(uint64_t value, uint64_t max, bool is_well)
{
	if (max == 0)
		return value != PW_LAG_UNKNOWN;
	return value <= (is_well ? max : max / 100 * PW_HEALTH_GOOD_PERCENT);
}

PW_PRINTF(2, 3) static void give_reason(struct pw_node *node, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(node->reason, sizeof(node->reason), fmt, args);
	va_end(args);
}

static void say_why_it_lags(struct pw_node *node, uint64_t lag_us)
{
	const struct pw_probe_answer *answer = &node->sample.answer;
	const char *cause = answer->is_paused       ? ", replay is paused"
			    : !answer->is_receiving ? ", nothing is received"
						    : "";

	if (lag_us == PW_LAG_UNKNOWN)
		give_reason(node, "further behind than is remembered%s", cause);
	else
		give_reason(node, "%" PRIu64 " ms, %" PRIu64 " bytes behind%s", lag_us / 1000,
			    node->lag_bytes, cause);
}

static void say_what_it_follows(const struct pw_health *health, struct pw_node *node)
{
	uint32_t own = node->sample.answer.timeline, wanted = health->track.timeline;

	if (wanted == 0)
		give_reason(node, "there is no primary yet");
	else if (own == wanted)
		give_reason(node, "there are two nodes on timeline %" PRIu32 " that it may follow",
			    wanted);
	else if (node->sample.answer.is_hidden)
		give_reason(node, "monitor_user may not see what it receives: it needs pg_monitor");
	else if (own == 0)
		give_reason(node, "it has received nothing of timeline %" PRIu32 " yet", wanted);
	else
		give_reason(node, "it follows timeline %" PRIu32 ", not %" PRIu32, own, wanted);
}

/* Nobody knows any more how far behind it is. */
static bool is_unheard_for_long(const struct pw_health *health, uint64_t now_us)
{
	uint64_t frozen_us = pw_health_frozen_at(health);

	return frozen_us > 0 && health->no_primary_reads_us > 0 &&
	       pw_clock_since(frozen_us, now_us) > health->no_primary_reads_us;
}

/* A standby says which timeline it receives, but not from whom. */
static enum pw_node_state judge_replica(struct pw_health *health, size_t i, uint64_t now_us)
{
	struct pw_node *node = &health->nodes[i];
	bool was_ready = node->state == PW_NODE_READY || node->is_unheard;
	uint64_t lag_us;

	if (!health->is_torn && health->track.timeline != 0 &&
	    node->sample.answer.timeline == health->track.timeline)
		node->has_followed = true;
	if (!node->has_followed) {
		say_what_it_follows(health, node);
		return PW_NODE_DIVERGED;
	}
	node->followed = node->sample.answer.replay;
	note_whole(health, node);
	node->lag_bytes = lag_bytes(health, node);
	lag_us = pw_health_lag(health, i, now_us);
	if (!is_within(lag_us, health->max_lag_us, was_ready) ||
	    !is_within(node->lag_bytes, health->max_lag_bytes, was_ready)) {
		node->good_samples = 0;
		node->is_unheard = false;
		say_why_it_lags(node, lag_us);
		return PW_NODE_LAGGING;
	}
	node->good_samples += node->good_probe != node->sample.probe;
	node->good_probe = node->sample.probe;
	if (!was_ready && node->state == PW_NODE_LAGGING &&
	    node->good_samples < PW_HEALTH_GOOD_SAMPLES)
		return PW_NODE_LAGGING;
	node->is_unheard = is_unheard_for_long(health, now_us);
	if (node->is_unheard) {
		give_reason(node, "the primary has not answered for no_primary_reads (%g s)",
			    (double)health->no_primary_reads_us / PW_SECOND_US);
		return PW_NODE_LAGGING;
	}
	node->reason[0] = '\0';
	return PW_NODE_READY;
}

static void say_why_it_is_fenced(const struct pw_health *health, struct pw_node *node)
{
	const char *why = node->is_replica_only           ? "but is to be a replica"
			  : health->primary == PW_NO_NODE ? "and so is another node"
							  : "but is not the primary";
	uint32_t seen = highest_seen(health);

	if (health->primary == PW_NO_NODE && node->sample.answer.timeline < seen) {
		give_reason(node,
			    "it is writable on timeline %" PRIu32 ", but timeline %" PRIu32
			    " has been seen",
			    node->sample.answer.timeline, seen);
		return;
	}
	give_reason(node, "it is writable on timeline %" PRIu32 ", %s",
		    node->sample.answer.timeline, why);
}

static enum pw_node_state judge_node(struct pw_health *health, size_t i, uint64_t now_us)
{
	struct pw_node *node = &health->nodes[i];

	if (is_foreign(health, node)) {
		give_reason(node, "its system identifier %s %" PRIu64 ", not %" PRIu64,
			    node->asked_by_us == 0 ? "was" : "is", node->system, health->system);
		return PW_NODE_FOREIGN;
	}
	if (!node->has_told)
		return PW_NODE_NEW;
	if (node->has_failed)
		return PW_NODE_DOWN;
	if ((int)i == health->primary) {
		node->reason[0] = '\0';
		return PW_NODE_PRIMARY;
	}
	if (health->primary == PW_NO_NODE && !have_all_told(health, now_us)) {
		give_reason(node, "other nodes have not answered yet");
		return PW_NODE_NEW;
	}
	if (node->sample.answer.is_standby)
		return judge_replica(health, i, now_us);
	say_why_it_is_fenced(health, node);
	return PW_NODE_FENCED;
}

void pw_health_judge(struct pw_health *health, uint64_t now_us)
{
	choose_system(health);
	elect(health, now_us);
	release_primary(health);
	for (size_t i = 0; i < health->n; i++) {
		struct pw_node *node = &health->nodes[i];
		bool was_unheard = node->is_unheard;
		enum pw_node_state state = judge_node(health, i, now_us);

		node->is_unheard &= state == PW_NODE_LAGGING;
		if (state == node->state)
			continue;
		/* One that was ready when it was first asked has been at work before, unless it was
		 * not there. */
		if (state == PW_NODE_READY) {
			if (node->is_newcomer || (node->state != PW_NODE_NEW && !was_unheard))
				node->back_us = now_us;
			node->is_newcomer = false;
		}
		node->state = state;
		node->since_us = now_us;
	}
}

/* SPDX-License-Identifier: PostgreSQL
 *
 * Where the primary of a cluster was, and when: what the lag of a replica is measured by, without a
 * table of heartbeats and by one clock, and what tells which position covers a write.
 *
 * A probe is numbered, and its time taken, before it is sent. What had been flushed by then is at
 * or below the flush position that it brings back; what had been acknowledged, at or below the
 * insert position.
 *
 * Plain data: one thread fills it, copies of it may be read by any.
 */
#ifndef PGWEIR_CLUSTER_TRACK_H
#define PGWEIR_CLUSTER_TRACK_H

#include <stddef.h>
#include <stdint.h>

enum { PW_TRACK_MAX = 600 };

/* What one probe saw, or several in a row that saw the same: then number and time are the last
 * one's. */
struct pw_position {
	uint64_t probe;
	uint64_t sent_us;
	uint64_t insert, flush;
};

struct pw_track {
	uint32_t timeline; /* of the primary; 0 = none has been seen */
	uint32_t parent;   /* the one before it; 0 = not known */
	uint64_t fork;     /* up to here both are the same, at least */
	uint64_t async_us; /* after so long a write is flushed whether its commit waited or not */
	size_t n;
	struct pw_position at[PW_TRACK_MAX]; /* oldest first; of this timeline, or below the fork */
};

/* A probe of the primary on that timeline, later than all before it. Where the track is full, every
 * other position of its older half is forgotten: what lags that far is measured less finely. */
void pw_track_add(struct pw_track *track, const struct pw_position *position);
/* Another timeline begins. `fork` is a position that is surely common to both, 0 where none is
 * known: whatever is beyond it is forgotten. */
void pw_track_fork(struct pw_track *track, uint32_t timeline, uint64_t fork);

/* The latest moment of which a replica that has replayed so far has everything; 0 = it is further
 * behind than can be told. */
uint64_t pw_track_time(const struct pw_track *track, uint64_t replay);
/* The first position that a probe later than `probe`, sent no earlier than `since_us`, brought.
 * NULL: there is none yet. */
const struct pw_position *pw_track_after(const struct pw_track *track, uint64_t probe,
					 uint64_t since_us);

#endif

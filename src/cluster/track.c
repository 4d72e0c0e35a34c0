/* SPDX-License-Identifier: PostgreSQL
 *
 * Numbers, times and positions all grow from one entry to the next, so each question is a search by
 * halving.
 */
#include "config.h"

#include "pgweir/cluster/track.h"

#include <string.h>

#include "pgweir/base/assert.h"

static void thin_out(struct pw_track *track)
{
	size_t n = 0;

	for (size_t i = 0; i < track->n; i++) {
		if (i >= track->n / 2 || i % 2 == 0)
			track->at[n++] = track->at[i];
	}
	track->n = n;
}

void pw_track_add(struct pw_track *track, const struct pw_position *position)
{
	struct pw_position *last = track->n > 0 ? &track->at[track->n - 1] : NULL;

	pw_assert(!last || position->probe > last->probe);
	if (last && last->insert == position->insert && last->flush == position->flush) {
		*last = *position;
		return;
	}
	if (track->n == PW_TRACK_MAX)
		thin_out(track);
	track->at[track->n++] = *position;
}

void pw_track_fork(struct pw_track *track, uint32_t timeline, uint64_t fork)
{
	track->parent = track->timeline;
	track->timeline = timeline;
	track->fork = fork;
	while (track->n > 0 && track->at[track->n - 1].flush > fork)
		track->n--;
}

/* How many entries are at or below it. */
static size_t count_flushed(const struct pw_track *track, uint64_t replay)
{
	size_t low = 0, high = track->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		uint64_t position = track->at[middle].flush;

#ifdef PW_MUTANT_LAG_BY_INSERT
		position = track->at[middle].insert;
#endif
		if (position <= replay)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

uint64_t pw_track_time(const struct pw_track *track, uint64_t replay)
{
	size_t n = count_flushed(track, replay);

	return n > 0 ? track->at[n - 1].sent_us : 0;
}

const struct pw_position *pw_track_after(const struct pw_track *track, uint64_t probe,
					 uint64_t since_us)
{
	size_t low = 0, high = track->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct pw_position *at = &track->at[middle];

		if (at->probe > probe && at->sent_us >= since_us)
			high = middle;
		else
			low = middle + 1;
	}
	return low < track->n ? &track->at[low] : NULL;
}

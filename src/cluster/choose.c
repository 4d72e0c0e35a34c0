/* SPDX-License-Identifier: PostgreSQL
 *
 * Least busy is the one that is drawn by weight, unless it has clearly more to do than its share;
 * then the better of it and another one that is drawn. Not the best of all: several workers, or
 * several pgweir, that see the same would all run to the same node. And not the better one always:
 * where little runs, weights would count for little.
 */
#include "config.h"

#include "pgweir/cluster/choose.h"

#include "pgweir/base/assert.h"

unsigned pw_share(uint64_t back_us, uint64_t slow_start_us, uint64_t now_us)
{
	uint64_t since_us = now_us > back_us ? now_us - back_us : 0;
	unsigned share;

	if (back_us == 0 || since_us >= slow_start_us)
		return PW_SHARE_WHOLE;
	share = (unsigned)(since_us * PW_SHARE_WHOLE / slow_start_us);
	return share > PW_SHARE_LEAST ? share : PW_SHARE_LEAST;
}

/* ---- who may get any ---- */

/* The largest share of those in the zone; 0 = there is none. */
static unsigned near_share(const struct pw_option *options, size_t n)
{
	unsigned most = 0;

	for (size_t i = 0; i < n; i++) {
		if (!options[i].is_far && options[i].share > most)
			most = options[i].share;
	}
	return most;
}

/* One whose way is not known is not the fastest. */
static uint64_t longest_trip(const struct pw_option *options, size_t n, bool with_far)
{
	uint64_t least = 0;

	for (size_t i = 0; i < n; i++) {
		uint64_t trip = options[i].trip_us;

		if (trip > 0 && (with_far || !options[i].is_far) && (least == 0 || trip < least))
			least = trip;
	}
	return least == 0 ? UINT64_MAX : least / 100 * PW_TRIP_PERCENT + PW_TRIP_MARGIN_US;
}

static uint64_t part_of(const struct pw_option *option)
{
	return (uint64_t)option->weight * option->share;
}

static uint64_t weigh_all(const struct pw_option *options, size_t n, uint64_t *parts,
			  uint64_t max_trip_us, bool with_far)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < n; i++) {
		uint64_t trip = options[i].trip_us;
		bool is_slow = max_trip_us < UINT64_MAX && (trip == 0 || trip > max_trip_us);

		parts[i] = is_slow || (options[i].is_far && !with_far) ? 0 : part_of(&options[i]);
		sum += parts[i];
	}
	return sum;
}

uint64_t pw_options_weigh(enum pw_balance_by by, const struct pw_option *options, size_t n,
			  uint64_t *parts)
{
	bool with_far = near_share(options, n) < PW_SHARE_WHOLE;
	uint64_t max_trip_us =
	    by == PW_BY_LATENCY ? longest_trip(options, n, with_far) : UINT64_MAX;

	return weigh_all(options, n, parts, max_trip_us, with_far);
}

/* While all of the zone are starting slowly, others do the rest: it is the zone that has so much of
 * the whole, and each node in it what its own share is of the zone's. */
static uint64_t draw_zone(const struct pw_option *options, size_t n, uint64_t *parts, uint64_t sum,
			  struct pw_rng *rng)
{
	unsigned share = near_share(options, n);
	uint64_t near = 0;
	bool is_near;

	for (size_t i = 0; i < n; i++)
		near += options[i].is_far ? 0 : parts[i];
	if (near == 0 || near == sum)
		return sum;
	is_near = pw_rng_next(rng) % PW_SHARE_WHOLE < share;
	for (size_t i = 0; i < n; i++) {
		if (options[i].is_far == is_near)
			parts[i] = 0;
	}
	return is_near ? near : sum - near;
}

/* ---- who gets it ---- */

static size_t draw(const uint64_t *parts, uint64_t sum, struct pw_rng *rng)
{
	uint64_t at = pw_rng_next(rng) % sum;
	size_t i = 0;

	while (at >= parts[i])
		at -= parts[i++];
	return i;
}

/* As nginx does it: each is due what it may get, and whoever is due most pays for all. */
static size_t take_turn(const struct pw_option *options, size_t n, const uint64_t *parts,
			uint64_t sum, struct pw_turns *turns)
{
	size_t best = n;

	for (size_t i = 0; i < n; i++) {
		int64_t *due = &turns->due[options[i].slot];

		if (parts[i] == 0)
			continue;
		*due += (int64_t)parts[i];
		if (best == n || *due > turns->due[options[best].slot])
			best = i;
	}
	turns->due[options[best].slot] -= (int64_t)sum;
	return best;
}

/* Has it more than one beyond its share of all that runs? */
static bool is_crowded(const struct pw_option *options, size_t n, const uint64_t *parts,
		       uint64_t sum, size_t i)
{
	uint64_t all = 0;

	for (size_t k = 0; k < n; k++)
		all += parts[k] > 0 ? options[k].busy : 0;
	return options[i].busy * sum > all * parts[i] + sum;
}

static size_t take_less_busy(const struct pw_option *options, size_t n, uint64_t *parts,
			     uint64_t sum, struct pw_rng *rng)
{
	size_t first = draw(parts, sum, rng), second;
	uint64_t part = parts[first];

	if (sum == part || !is_crowded(options, n, parts, sum, first))
		return first;
	parts[first] = 0;
	second = draw(parts, sum - part, rng);
	return options[first].busy * parts[second] > options[second].busy * part ? second : first;
}

size_t pw_choose(enum pw_balance_by by, const struct pw_option *options, size_t n,
		 struct pw_rng *rng, struct pw_turns *turns)
{
	uint64_t parts[PW_NODES_MAX];
	uint64_t sum;

	pw_assert(n > 0 && n <= PW_NODES_MAX);
	if (n == 1)
		return 0;
	sum = draw_zone(options, n, parts, pw_options_weigh(by, options, n, parts), rng);
	switch (by) {
	case PW_BY_ROUND_ROBIN:
		return take_turn(options, n, parts, sum, turns);
	case PW_BY_RANDOM:
		return draw(parts, sum, rng);
	default:
		return take_less_busy(options, n, parts, sum, rng);
	}
}

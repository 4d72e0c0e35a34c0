/* SPDX-License-Identifier: PostgreSQL
 *
 * Which of the nodes that may get a client does (cluster/choose.h): for a loan, where there are
 * idle links; for a link that is to be opened; for links that nobody uses, of which one after the
 * other moves to where there are too few.
 */
#include "config.h"

#include "pool_priv.h"

/* Those of the given slots, as they are now. */
static size_t gather(const struct pw_pool *pool, const struct pw_cluster_view *view, uint64_t slots,
		     struct pw_option *options)
{
	uint64_t slow_start = (uint64_t)pool->cluster_conf.slow_start;
	size_t n = 0;

	for (size_t i = 0; slots != 0 && i < view->health.n; i++) {
		const struct pw_node_place *place = &view->places[i];
		const struct pw_node *node = &view->health.nodes[i];

		if (!(slots & pw_nodes_bit(view, i)))
			continue;
		options[n++] = (struct pw_option){
		    .slot = place->slot,
		    .weight = place->weight,
		    .share = pw_share(node->back_us, slow_start, pool->pools->loop->now_us),
		    .busy = atomic_load_explicit(&pool->cluster->loads[place->slot].busy,
						 memory_order_relaxed),
		    .trip_us = node->trip_us,
		    .is_far = place->is_far,
		};
	}
	return n;
}

static enum pw_balance_by by_of(const struct pw_pool *pool)
{
	return (enum pw_balance_by)pool->conf.reading.balance;
}

static uint64_t not_too_far(const struct pw_pool *pool, const struct pw_option *options, size_t n)
{
	uint64_t parts[PW_NODES_MAX], slots = 0;

	(void)pw_options_weigh(by_of(pool), options, n, parts);
	for (size_t i = 0; i < n; i++)
		slots |= parts[i] > 0 ? UINT64_C(1) << options[i].slot : 0;
	return slots;
}

static const struct pw_token *token_of(const struct pw_loan *loan)
{
	return loan ? loan->token : NULL;
}

static uint64_t near_of(const struct pw_pool *pool, const struct pw_cluster_view *view,
			const struct pw_token *token)
{
	struct pw_option options[PW_NODES_MAX];
	size_t n = gather(pool, view, pw_nodes_showing(pool, view, token), options);

	return not_too_far(pool, options, n);
}

uint64_t pw_nodes_near(struct pw_pool *pool, const struct pw_loan *loan)
{
	const struct pw_cluster_view *view = pw_nodes_look(pool);
	const struct pw_token *token = token_of(loan);

	return near_of(pool, view, NULL) | (token ? near_of(pool, view, token) : 0);
}

struct pw_pick pw_nodes_pick(struct pw_pool *pool, const struct pw_loan *loan)
{
	const struct pw_cluster_view *view = pw_nodes_look(pool);
	struct pw_option options[PW_NODES_MAX];
	struct pw_pick pick = {0, PW_NO_SLOT};
	size_t n = gather(pool, view, pw_nodes_showing(pool, view, token_of(loan)), options);

	if (n == 0)
		return pick;
	pick.slots = not_too_far(pool, options, n);
	pick.slot =
	    options[pw_choose(by_of(pool), options, n, &pool->pools->rng, &pool->turns)].slot;
	return pick;
}

/* ---- links ---- */

static const struct pw_node_place *place_of(const struct pw_cluster_view *view, int slot)
{
	for (size_t i = 0; i < view->health.n; i++) {
		if (view->places[i].slot == slot)
			return &view->places[i];
	}
	return NULL;
}

/* The one with the fewest links for what it may get; among several, any. */
static int fewest_links(struct pw_pool *pool, const struct pw_option *options, size_t n)
{
	uint64_t parts[PW_NODES_MAX];
	size_t best = n, first;

	if (pw_options_weigh(by_of(pool), options, n, parts) == 0)
		return PW_NO_SLOT;
	first = pw_rng_next(&pool->pools->rng) % n;
	for (size_t k = 0; k < n; k++) {
		size_t i = (first + k) % n;

		if (parts[i] > 0 &&
		    (best == n || (pool->node_links[options[i].slot] + 1U) * parts[best] <
				      (pool->node_links[options[best].slot] + 1U) * parts[i]))
			best = i;
	}
	return options[best].slot;
}

/* Those on which who waits may read, if there are any. A full one is waited for, as one is whose
 * links are all in use: what is too far would not be lent. */
uint64_t pw_nodes_wanted(const struct pw_pool *pool, const struct pw_cluster_view *view)
{
	uint64_t showing = near_of(pool, view, token_of(pw_pool_head(pool)));
	uint64_t usable = showing ? showing : near_of(pool, view, NULL);
	uint64_t missing = pool->missing > 0 ? UINT64_C(1) << (pool->missing - 1) : 0;

	return usable & missing ? missing : usable;
}

const struct pw_node_place *pw_nodes_choose(struct pw_pool *pool)
{
	const struct pw_cluster_view *view = pw_nodes_look(pool);
	uint64_t free = pw_places_free(pool, view, pw_nodes_wanted(pool, view));
	struct pw_option options[PW_NODES_MAX];
	size_t n;

	if (free == 0)
		return NULL;
	n = gather(pool, view, free, options);
	return place_of(view, fewest_links(pool, options, n));
}

/* What it has beyond what it may get, times the sum of all parts, so that there are no fractions.
 */
static int64_t excess_of(const struct pw_pool *pool, int slot, uint64_t part, uint64_t sum,
			 uint64_t links)
{
	return (int64_t)(pool->node_links[slot] * sum) - (int64_t)(links * part);
}

int pw_nodes_crowded(struct pw_pool *pool)
{
	const struct pw_cluster_view *view = pw_nodes_look(pool);
	struct pw_option options[PW_NODES_MAX];
	uint64_t parts[PW_NODES_MAX], sum, links = 0, slots = 0, spare;
	size_t n = gather(pool, view, pw_nodes_showing(pool, view, NULL), options);
	int worst = PW_NO_SLOT;
	int64_t most = 0;
	bool has_room = false;

	for (size_t i = 0; i < n; i++)
		slots |= UINT64_C(1) << options[i].slot;
	spare = pw_places_spare(pool, view, slots);
	sum = pw_options_weigh(by_of(pool), options, n, parts);
	for (size_t i = 0; i < n; i++)
		links += pool->node_links[options[i].slot];
	for (size_t i = 0; i < n; i++) {
		int64_t excess = excess_of(pool, options[i].slot, parts[i], sum, links);

		has_room |= excess <= -(int64_t)sum && spare >> options[i].slot & 1;
		if (excess >= (int64_t)sum && excess > most) {
			most = excess;
			worst = options[i].slot;
		}
	}
	return has_room ? worst : PW_NO_SLOT;
}

/* SPDX-License-Identifier: PostgreSQL
 *
 * How many links a node may have (max_connections of [nodes]), counted over all pools of all
 * workers (struct pw_node_load). Who waits longest goes first; idle links of other pools make room,
 * but not those that are about to be used again; and so that pools which are always busy keep
 * nobody waiting for ever, one of them gives a link up now and then.
 */
#include "config.h"

#include "pool_priv.h"

enum {
	/* A link that somebody has just given back is left to its pool: to log in anew for each
	 * transaction would cost everybody more than to wait ... */
	REST_US = 20 * 1000,
	/* ... for as long as this. */
	SLICE_US = 100 * 1000,
	/* For so long does somebody wait before a pool that is always busy gives a place up; as
	 * often does it do so. */
	YIELD_US = 333 * 1000,
};

/* Since when the one waits whom the next link is for; 0 = it would only be there in case. Who wants
 * one of its own waits for none of those that are logging in. */
static uint64_t waiting_since(const struct pw_pool *pool)
{
	const struct pw_loan *loan = pw_pool_head(pool);

	if (!loan || loan->replication == PW_REPLICATION_NONE)
		loan = pw_pool_waiter(pool, pool->n_opening);
	return loan ? loan->since_us : pool->welcoming_since_us;
}

static struct pw_fair_limit *links_of(const struct pw_pool *pool, const struct pw_node_place *place)
{
	return &pool->cluster->loads[place->slot].links;
}

static bool is_full(const struct pw_pool *pool, const struct pw_node_place *place)
{
	int max = place->max_connections;

	return max > 0 && pw_limit_used(&links_of(pool, place)->taken) >= max;
}

/* ---- to open one ---- */

/* The limit has noted it: it asks again before long, and says so when it waits no longer. */
static bool await_place(struct pw_pool *pool, const struct pw_node_place *place)
{
	pool->places_awaited |= UINT64_C(1) << place->slot;
	pw_pools_try_again(pool->pools);
	return false;
}

static bool has_place(struct pw_pool *pool, const struct pw_node_place *place, uint64_t since_us)
{
	uint64_t now_us = pool->pools->loop->now_us;

#ifdef PW_MUTANT_PLACES_WITHOUT_END
	return true;
#endif
	if (since_us == 0)
		return pw_fair_limit_has_spare(links_of(pool, place), place->max_connections,
					       now_us);
	return pw_fair_limit_has_room(links_of(pool, place), place->max_connections, since_us,
				      now_us) ||
	       await_place(pool, place);
}

static uint64_t places_of(struct pw_pool *pool, const struct pw_cluster_view *view, uint64_t slots,
			  uint64_t since_us)
{
	uint64_t found = 0;

	for (size_t i = 0; slots != 0 && i < view->health.n; i++) {
		uint64_t bit = slots & pw_nodes_bit(view, i);

		if (bit && has_place(pool, &view->places[i], since_us))
			found |= bit;
	}
	return found;
}

uint64_t pw_places_free(struct pw_pool *pool, const struct pw_cluster_view *view, uint64_t slots)
{
	return places_of(pool, view, slots, waiting_since(pool));
}

uint64_t pw_places_spare(struct pw_pool *pool, const struct pw_cluster_view *view, uint64_t slots)
{
	return places_of(pool, view, slots, 0);
}

bool pw_places_take(struct pw_pool *pool, const struct pw_node_place *place)
{
	uint64_t now_us = pool->pools->loop->now_us;
	uint64_t since_us = waiting_since(pool);
	int max = place->max_connections;

#ifdef PW_MUTANT_PLACES_WITHOUT_END
	max = 0;
#endif
	if (since_us == 0)
		return pw_limit_take(&links_of(pool, place)->taken, max);
	/* Somebody may have got ahead since it was chosen. */
	if (!pw_fair_limit_take(links_of(pool, place), max, since_us, now_us))
		return await_place(pool, place);
	/* For the link it waits on, but for no place any more, at this node or another. */
	pw_pool_leave_places(pool, since_us, true);
	return true;
}

/* ---- in whose way links are ---- */

bool pw_places_give_way(struct pw_pool *pool, const struct pw_cluster_view *view, uint64_t slots)
{
	uint64_t now_us = pool->pools->loop->now_us;
	uint64_t since_us = waiting_since(pool);
	bool gives_way = false;

	for (size_t i = 0; slots != 0 && i < view->health.n; i++) {
		const struct pw_node_place *place = &view->places[i];

		if (!(slots & pw_nodes_bit(view, i)))
			continue;
		if (place->max_connections == 0 ||
		    pw_fair_limit_is_first(links_of(pool, place), since_us, now_us))
			return false;
		gives_way = true;
	}
	return gives_way;
}

/* Not where others go first: it would be closed for nothing. */
bool pw_places_evict(struct pw_pool *pool, const struct pw_cluster_view *view, uint64_t slots,
		     struct pw_eviction *eviction)
{
	uint64_t now_us = pool->pools->loop->now_us;
	uint64_t since_us = waiting_since(pool);

	*eviction = (struct pw_eviction){.cluster = pool->cluster};
	for (size_t i = 0; since_us > 0 && i < view->health.n; i++) {
		const struct pw_node_place *place = &view->places[i];
		uint64_t bit = slots & pw_nodes_bit(view, i);

		if (bit && is_full(pool, place) &&
		    pw_fair_limit_is_first(links_of(pool, place), since_us, now_us))
			eviction->slots |= bit;
	}
	if (pw_clock_since(since_us, now_us) < SLICE_US)
		eviction->idle_since_us = now_us - REST_US;
	return eviction->slots != 0;
}

bool pw_places_are_pressing(const struct pw_link *link)
{
	struct pw_fair_limit *links;
	uint64_t now_us = link->pool->pools->loop->now_us, awaited;

	if (!link->facts.cluster)
		return false;
	links = &link->facts.cluster->loads[link->facts.slot].links;
	awaited = pw_fair_limit_awaited(links, now_us);
	return awaited > 0 && pw_clock_since(awaited, now_us) >= SLICE_US;
}

static const struct pw_node_place *place_of(const struct pw_link *link)
{
	const struct pw_cluster_view *view;

	if (!link->facts.cluster || link->facts.cluster != link->pool->cluster)
		return NULL;
	view = pw_nodes_look(link->pool);
	for (size_t i = 0; view && i < view->health.n; i++) {
		if (view->places[i].slot == link->facts.slot)
			return &view->places[i];
	}
	return NULL;
}

/* One worker at a time counts and closes, or two would both close the last one too many. */
bool pw_places_close_surplus(struct pw_link *link)
{
	const struct pw_node_place *place = place_of(link);
	struct pw_node_load *load;
	bool is_surplus;

	if (!place || place->max_connections == 0)
		return false;
	load = &link->facts.cluster->loads[place->slot];
	if (pw_limit_used(&load->links.taken) <= place->max_connections ||
	    atomic_exchange(&load->is_shrinking, true))
		return false;
	is_surplus = pw_limit_used(&load->links.taken) > place->max_connections;
	if (is_surplus)
		pw_link_close(link, PW_LINK_END_CLEAN, "too many servers at the node", NULL);
	atomic_store(&load->is_shrinking, false);
	return is_surplus;
}

/* Has its node a limit that pgweir keeps, so that the server is hardly ever full for long? */
bool pw_places_are_limited(const struct pw_link *link)
{
	const struct pw_node_place *place = place_of(link);

	return place && place->max_connections > 0;
}

/* The oldest of those who wait for a link of the pool, in whichever worker; 0 = nobody does. */
static uint64_t oldest_of(const struct pw_pool *pool)
{
	const struct pw_loan *own = pw_pool_head(pool);
	uint64_t oldest = own ? own->since_us : 0;

	for (unsigned i = 0; i < pool->pools->n_peers; i++) {
		uint64_t since = atomic_load(&pool->shared->seats[i].head_since_us);

		if (since > 0 && (oldest == 0 || since < oldest))
			oldest = since;
	}
	return oldest;
}

/* Where nobody waits in the pool, the link would go idle, and whoever wants its place may have it;
 * but from another worker that takes longer than a quick client's next request. */
bool pw_places_yield(struct pw_link *link)
{
	struct pw_pool *pool = link->pool;
	const struct pw_node_place *place;
	uint64_t now = pool->pools->loop->now_us, awaited, oldest;

	if (!link->facts.cluster || now < pool->may_yield_us)
		return false;
	awaited = pw_fair_limit_awaited(&link->facts.cluster->loads[link->facts.slot].links, now);
	if (awaited == 0 || pw_clock_since(awaited, now) < YIELD_US)
		return false;
	place = place_of(link);
	oldest = oldest_of(pool);
#ifdef PW_MUTANT_NOBODY_YIELDS
	oldest = awaited;
#endif
	if (!place || !is_full(pool, place) || (oldest > 0 && oldest <= awaited))
		return false;
	pool->may_yield_us = now + YIELD_US;
	pw_link_close(link, PW_LINK_END_CLEAN, "another pool waits for its place", NULL);
	return true;
}

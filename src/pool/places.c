/* SPDX-License-Identifier: PostgreSQL
 *
 * How many links a node may have (max_connections of [nodes]), counted over all pools of all
 * workers (struct pw_node_load). Who waits longest goes first; and so that pools which are always
 * busy keep nobody waiting for ever, one of them gives a link up now and then.
 */
#include "config.h"

#include "pool_priv.h"

/* For so long does somebody wait before a busy pool gives a place up; as often does it do so. */
enum { YIELD_US = 333 * 1000 };

/* Since when somebody waits for a link; 0 = it would only be there in case. */
static uint64_t waiting_since(const struct pw_pool *pool)
{
	const struct pw_loan *head = pw_pool_head(pool);

	return head ? head->since_us : pool->welcoming_since_us;
}

static bool has_place(struct pw_pool *pool, const struct pw_node_place *place, uint64_t since_us)
{
	struct pw_fair_limit *links = &pool->cluster->loads[place->slot].links;
	uint64_t now_us = pool->pools->loop->now_us;

#ifdef PW_MUTANT_PLACES_WITHOUT_END
	return true;
#endif
	if (since_us == 0)
		return pw_fair_limit_has_spare(links, place->max_connections, now_us);
	if (pw_fair_limit_has_room(links, place->max_connections, since_us, now_us))
		return true;
	pool->places_awaited |= UINT64_C(1) << place->slot;
	return false;
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
	struct pw_fair_limit *links = &pool->cluster->loads[place->slot].links;
	uint64_t now_us = pool->pools->loop->now_us;
	uint64_t since_us = waiting_since(pool);

#ifdef PW_MUTANT_PLACES_WITHOUT_END
	return pw_fair_limit_take(links, 0, now_us, now_us);
#endif
	if (!pw_fair_limit_take(links, place->max_connections, since_us ? since_us : now_us,
				now_us))
		return false;
	/* For the link it waits on, but for no place any more. */
	if (pw_fair_limit_leave(links, since_us))
		pool->pools->link_ops->on_place_free(pool->pools);
	return true;
}

static int max_of(const struct pw_cluster_view *view, int slot)
{
	for (size_t i = 0; view && i < view->health.n; i++) {
		if (view->places[i].slot == slot)
			return view->places[i].max_connections;
	}
	return 0;
}

/* Two workers may both close the last one too many: another one is opened then. */
bool pw_places_close_surplus(struct pw_link *link)
{
	int slot = link->facts.slot, max;

	if (slot == PW_NO_SLOT || link->facts.cluster != link->pool->cluster)
		return false;
	max = max_of(pw_nodes_look(link->pool), slot);
	if (max == 0 || pw_limit_used(&link->facts.cluster->loads[slot].links.taken) <= max)
		return false;
	pw_link_close(link, PW_LINK_END_CLEAN, "too many servers at the node", NULL);
	return true;
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

/* Where nobody waits in the pool, the link goes idle and whoever wants its place may have it. */
bool pw_places_yield(struct pw_link *link)
{
	struct pw_pool *pool = link->pool;
	struct pw_fair_limit *links;
	uint64_t now = pool->pools->loop->now_us, awaited, oldest;

	if (!link->facts.cluster || now < pool->may_yield_us)
		return false;
	links = &link->facts.cluster->loads[link->facts.slot].links;
	awaited = pw_fair_limit_awaited(links, now);
	oldest = awaited > 0 && pw_clock_since(awaited, now) >= YIELD_US ? oldest_of(pool) : 0;
#ifdef PW_MUTANT_NOBODY_YIELDS
	oldest = 0;
#endif
	if (oldest <= awaited)
		return false;
	pool->may_yield_us = now + YIELD_US;
	pw_link_close(link, PW_LINK_END_CLEAN, "another pool waits for its place", NULL);
	return true;
}

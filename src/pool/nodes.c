/* SPDX-License-Identifier: PostgreSQL
 *
 * Where a cluster's database is now: which nodes may get clients, and which one the next link is
 * opened to.
 *
 * Each function looks once: the next look may find another view, and free this one.
 */
#include "config.h"

#include "pool_priv.h"

#define ANY_SLOT UINT64_MAX

/* NULL = nothing is known yet. */
static const struct pw_cluster_view *look(struct pw_pool *pool)
{
	return pw_cluster_look(pool->cluster, &pool->eye);
}

static uint64_t bit_of(const struct pw_cluster_view *view, size_t i)
{
	int slot = view->places[i].slot;

	return slot == PW_NO_SLOT ? 0 : UINT64_C(1) << slot;
}

static bool is_held(const struct pw_health *health, size_t i)
{
	return health->nodes[i].hold.kind != PW_HOLD_NONE;
}

/* The monitor's word is a round old; how old what is read there would be is worked out now. */
static bool is_fresh(const struct pw_pool *pool, const struct pw_health *health, size_t i)
{
	uint64_t max_lag = health->max_lag_us;

	return health->nodes[i].state == PW_NODE_READY && !is_held(health, i) &&
	       (max_lag == 0 || pw_health_lag(health, i, pool->pools->loop->now_us) <= max_lag);
}

/* Nobody knows any more how far behind they are. */
static bool is_unknown_since_long(const struct pw_pool *pool, const struct pw_health *health)
{
	uint64_t frozen_us = pw_health_frozen_at(health);
	uint64_t limit = (uint64_t)pool->cluster_conf.no_primary_reads;

	return frozen_us > 0 && limit > 0 &&
	       pw_clock_since(frozen_us, pool->pools->loop->now_us) > limit;
}

/* Also while it does not answer the monitor: whoever is wrong, nobody else takes writes. */
static uint64_t primary_bit(const struct pw_cluster_view *view)
{
	int primary = view->health.primary;

	if (primary == PW_NO_NODE || is_held(&view->health, (size_t)primary))
		return 0;
	return bit_of(view, (size_t)primary);
}

static uint64_t least_lagging(const struct pw_cluster_view *view)
{
	const struct pw_health *health = &view->health;
	size_t best = health->n;

	for (size_t i = 0; i < health->n; i++) {
		enum pw_node_state state = health->nodes[i].state;

		if ((state == PW_NODE_LAGGING || state == PW_NODE_READY) && !is_held(health, i) &&
		    (best == health->n ||
		     health->nodes[i].lag_bytes < health->nodes[best].lag_bytes))
			best = i;
	}
	return best < health->n ? bit_of(view, best) : 0;
}

static uint64_t instead_of_replicas(const struct pw_pool *pool, const struct pw_cluster_view *view)
{
	switch (pool->cluster_conf.all_lagging) {
	case PW_ALL_LAGGING_PRIMARY:
		return primary_bit(view);
	case PW_ALL_LAGGING_LEAST:
		return least_lagging(view);
	default:
		return 0;
	}
}

static uint64_t usable_of(const struct pw_pool *pool, const struct pw_cluster_view *view)
{
	uint64_t usable = 0;

	if (!view)
		return 0;
	if (pool->routing == PW_ROUTING_PRIMARY)
		return primary_bit(view);
	for (size_t i = 0; i < view->health.n; i++) {
		if (is_fresh(pool, &view->health, i) && !is_unknown_since_long(pool, &view->health))
			usable |= bit_of(view, i);
	}
	return usable ? usable : instead_of_replicas(pool, view);
}

uint64_t pw_nodes_usable(struct pw_pool *pool)
{
	return pool->cluster ? usable_of(pool, look(pool)) : ANY_SLOT;
}

bool pw_nodes_admit(const struct pw_link *link, uint64_t slots)
{
	return slots == ANY_SLOT ||
	       (link->facts.slot != PW_NO_SLOT && slots >> link->facts.slot & 1);
}

/* ---- reading what must be seen ---- */

/* The primary shows everything. login_us 0: by a link that is to be opened. */
static bool shows(const struct pw_cluster_view *view, size_t i, const struct pw_token *token,
		  uint64_t login_us)
{
	const struct pw_sample *sample = &view->health.nodes[i].sample;
	const struct pw_replay replay = {(unsigned)view->places[i].slot, sample->sent_us,
					 sample->answer.replay, login_us};

	return view->health.primary == (int)i ||
	       pw_token_admits(token, &view->health.track, &replay);
}

/* Of the usable ones. */
static uint64_t showing(const struct pw_pool *pool, const struct pw_cluster_view *view,
			const struct pw_token *token)
{
	uint64_t usable = usable_of(pool, view), found = 0;

	if (!token)
		return usable;
	for (size_t i = 0; view && i < view->health.n; i++) {
		if (usable & bit_of(view, i) && shows(view, i, token, 0))
			found |= bit_of(view, i);
	}
	return found;
}

bool pw_pool_may_read(struct pw_pool *pool, struct pw_token *token)
{
	const struct pw_cluster_view *view = pool->cluster ? look(pool) : NULL;

	if (!view)
		return false;
	if (token)
		pw_token_follow(token, &view->health.track, atomic_load(&pool->cluster->probe),
				pw_clock_now_us());
	return showing(pool, view, token) != 0;
}

void pw_pool_import(struct pw_pool *pool, struct pw_token *token, uint32_t timeline, uint64_t lsn)
{
	if (pool->cluster)
		pw_token_import(token, timeline, lsn, atomic_load(&pool->cluster->probe),
				pw_clock_now_us());
}

void pw_pool_note_now(struct pw_pool *pool, struct pw_token *token)
{
	if (pool->cluster)
		pw_token_saw_primary(token, atomic_load(&pool->cluster->probe), pw_clock_now_us());
}

/* In this order: what was received came before the number that is read now. */
void pw_loan_note_seen(const struct pw_loan *loan, struct pw_token *token)
{
	struct pw_pool *pool = loan->pool;
	const struct pw_cluster_view *view = pool->cluster ? look(pool) : NULL;
	uint64_t probe = pool->cluster ? atomic_load(&pool->cluster->probe) : 0;
	int slot = loan->link->facts.slot;

#ifdef PW_MUTANT_PROBE_OF_BEFORE
	probe -= probe > 0;
#endif
	if (slot == PW_NO_SLOT || (view && primary_bit(view) >> slot & 1))
		pw_token_saw_primary(token, probe, pw_clock_now_us());
	else if (pool->routing == PW_ROUTING_PRIMARY)
		pw_token_saw_primary(token, probe, pw_clock_now_us());
	else
		pw_token_saw_replica(token, probe, pw_clock_now_us(), (unsigned)slot);
}

bool pw_nodes_show(const struct pw_link *link, const struct pw_loan *loan)
{
	const struct pw_cluster_view *view;

	if (!loan || !loan->token)
		return true;
	view = look(link->pool);
	for (size_t i = 0; view && i < view->health.n; i++) {
		if (view->places[i].slot == link->facts.slot)
			return shows(view, i, loan->token, link->facts.login_us);
	}
	return false;
}

bool pw_loan_reads_right(const struct pw_loan *loan)
{
	return pw_nodes_show(loan->link, loan);
}

bool pw_nodes_is_of_primary(const struct pw_link *link)
{
	const struct pw_cluster_view *view = link->pool->cluster ? look(link->pool) : NULL;

	return view && pw_nodes_admit(link, primary_bit(view));
}

/* What it runs would write where the primary is no longer, or read what is not the cluster's. */
static bool may_go_on(const struct pw_pool *pool, const struct pw_cluster_view *view, size_t i)
{
	enum pw_node_state state = view->health.nodes[i].state;
	int primary = view->health.primary;

	if (state == PW_NODE_FENCED || state == PW_NODE_FOREIGN)
		return false;
	return pool->routing != PW_ROUTING_PRIMARY || primary == PW_NO_NODE || primary == (int)i;
}

uint64_t pw_nodes_bearable(struct pw_pool *pool)
{
	const struct pw_cluster_view *view = look(pool);
	uint64_t bearable = 0;

	for (size_t i = 0; view && i < view->health.n; i++)
		bearable |= may_go_on(pool, view, i) ? bit_of(view, i) : 0;
	return bearable;
}

uint64_t pw_nodes_held(struct pw_pool *pool, enum pw_hold_kind least)
{
	const struct pw_cluster_view *view = look(pool);
	uint64_t held = 0;

	for (size_t i = 0; view && i < view->health.n; i++)
		held |= view->health.nodes[i].hold.kind >= least ? bit_of(view, i) : 0;
	return held;
}

bool pw_nodes_primary_is_banned(struct pw_pool *pool)
{
	const struct pw_cluster_view *view = look(pool);

	return view && view->health.primary != PW_NO_NODE && primary_bit(view) == 0;
}

bool pw_nodes_are_known(struct pw_pool *pool)
{
	const struct pw_cluster_view *view = look(pool);

	for (size_t i = 0; view && i < view->health.n; i++) {
		if (view->health.nodes[i].state == PW_NODE_NEW)
			return false;
	}
	return view != NULL;
}

bool pw_nodes_may_serve(struct pw_pool *pool)
{
	const struct pw_cluster_view *view = look(pool);

	if (usable_of(pool, view) == 0)
		return false;
	return pool->routing != PW_ROUTING_PRIMARY ||
	       view->health.nodes[view->health.primary].state == PW_NODE_PRIMARY ||
	       atomic_load(&pool->shared->standing) > 0;
}

/* The node that has the fewest links for its weight; among several, any. One on which who waits may
 * read, if there is one. */
const struct pw_node_place *pw_nodes_choose(struct pw_pool *pool)
{
	const struct pw_cluster_view *view = look(pool);
	const struct pw_loan *head = pw_pool_head(pool);
	uint64_t wanted = showing(pool, view, head ? head->token : NULL);
	uint64_t usable = wanted ? wanted : usable_of(pool, view);
	const struct pw_node_place *best = NULL;
	size_t n = view ? view->health.n : 0;
	size_t first = n ? pw_rng_next(&pool->pools->rng) % n : 0;

	for (size_t k = 0; k < n; k++) {
		const struct pw_node_place *place = &view->places[(first + k) % n];

		if (!(usable & bit_of(view, (first + k) % n)))
			continue;
		if (!best || (pool->node_links[place->slot] + 1) * best->weight <
				 (pool->node_links[best->slot] + 1) * place->weight)
			best = place;
	}
	return best;
}

/* ---- balance ---- */

static int weight_of(const struct pw_cluster_view *view, int slot)
{
	for (size_t i = 0; view && i < view->health.n; i++) {
		if (view->places[i].slot == slot)
			return view->places[i].weight;
	}
	return 1;
}

bool pw_nodes_is_freer(struct pw_pool *pool, const struct pw_link *a, const struct pw_link *b)
{
	const struct pw_cluster_view *view;
	int slot = a->facts.slot, other = b->facts.slot;

	if (slot == other || slot == PW_NO_SLOT || other == PW_NO_SLOT)
		return false;
	view = look(pool);
	return (pool->node_lent[slot] + 1) * weight_of(view, other) <
	       (pool->node_lent[other] + 1) * weight_of(view, slot);
}

int pw_nodes_crowded(struct pw_pool *pool)
{
	const struct pw_cluster_view *view = look(pool);
	uint64_t usable = usable_of(pool, view);
	int weights = 0, links = 0, worst = PW_NO_SLOT, most = 0;
	bool has_room = false;

	for (size_t i = 0; view && i < view->health.n; i++) {
		bool is_usable = (usable & bit_of(view, i)) != 0;

		weights += is_usable ? view->places[i].weight : 0;
		links += is_usable ? pool->node_links[view->places[i].slot] : 0;
	}
	for (size_t i = 0; weights > 0 && i < view->health.n; i++) {
		int slot = view->places[i].slot, excess;

		if (!(usable & bit_of(view, i)))
			continue;
		/* Times the sum of the weights, so that there are no fractions. */
		excess = pool->node_links[slot] * weights - links * view->places[i].weight;
		has_room |= excess <= -weights;
		if (excess >= weights && excess > most) {
			most = excess;
			worst = slot;
		}
	}
	return has_room ? worst : PW_NO_SLOT;
}

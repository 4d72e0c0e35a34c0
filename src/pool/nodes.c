/* SPDX-License-Identifier: PostgreSQL
 *
 * Where a cluster's database is now: which nodes may get clients. Which of them does: balance.c.
 *
 * Each function looks once: the next look may find another view, and free this one.
 */
#include "config.h"

#include "pool_priv.h"

#define ANY_SLOT UINT64_MAX

const struct pw_cluster_view *pw_nodes_look(struct pw_pool *pool)
{
	return pw_cluster_look(pool->cluster, &pool->eye);
}

uint64_t pw_nodes_bit(const struct pw_cluster_view *view, size_t i)
{
	int slot = view->places[i].slot;

	return slot == PW_NO_SLOT ? 0 : UINT64_C(1) << slot;
}

static bool is_held(const struct pw_health *health, size_t i)
{
	return health->nodes[i].hold.kind != PW_HOLD_NONE;
}

/* The pool has a limit of its own, which may be wider than the cluster's. */
static bool is_near_enough(const struct pw_health *health, const struct pw_node *node)
{
	return node->state == PW_NODE_READY ||
	       (node->state == PW_NODE_LAGGING &&
		(health->max_lag_bytes == 0 || node->lag_bytes <= health->max_lag_bytes));
}

/* The monitor's word is a round old; how old what is read there would be is worked out now. */
static bool is_fresh(const struct pw_pool *pool, const struct pw_health *health, size_t i)
{
	const struct pw_node *node = &health->nodes[i];
	int64_t own = pool->conf.reading.max_lag;
	uint64_t max_lag = own >= 0 ? (uint64_t)own : health->max_lag_us;
	uint64_t lag;

	/* For how long the primary may be silent is a matter of the pool, too. */
	if (is_held(health, i) || !(own >= 0 ? is_near_enough(health, node)
					     : node->state == PW_NODE_READY || node->is_unheard))
		return false;
	lag = pw_health_lag(health, i, pool->pools->loop->now_us);
	if (max_lag == 0)
		return own < 0 || lag != PW_LAG_UNKNOWN;
	return lag <= max_lag;
}

/* Nobody knows any more how far behind they are. */
static bool is_unknown_since_long(const struct pw_pool *pool, const struct pw_health *health)
{
	uint64_t frozen_us = pw_health_frozen_at(health);
	uint64_t limit = (uint64_t)pool->conf.reading.no_primary_reads;

	return frozen_us > 0 && limit > 0 &&
	       pw_clock_since(frozen_us, pool->pools->loop->now_us) > limit;
}

/* Also while it does not answer the monitor: whoever is wrong, nobody else takes writes. Not where
 * another system answers in its place. */
static uint64_t primary_bit(const struct pw_cluster_view *view)
{
	int primary = view->health.primary;

	if (primary == PW_NO_NODE || is_held(&view->health, (size_t)primary) ||
	    view->health.nodes[primary].state == PW_NODE_FOREIGN)
		return 0;
	return pw_nodes_bit(view, (size_t)primary);
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
	return best < health->n ? pw_nodes_bit(view, best) : 0;
}

/* Replicas that are fresh enough. */
static uint64_t fresh_of(const struct pw_pool *pool, const struct pw_cluster_view *view)
{
	uint64_t fresh = 0;

	if (!view || is_unknown_since_long(pool, &view->health))
		return 0;
	for (size_t i = 0; i < view->health.n; i++)
		fresh |= is_fresh(pool, &view->health, i) ? pw_nodes_bit(view, i) : 0;
	return fresh;
}

/* The primary, if it may run what no replica can. */
static uint64_t fallback_of(const struct pw_pool *pool, const struct pw_cluster_view *view)
{
	return pool->conf.reading.primary_reads == PW_PRIMARY_READS_NEVER ? 0 : primary_bit(view);
}

/* The primary, if it has its share of all reads. */
static uint64_t sharing_of(const struct pw_pool *pool, const struct pw_cluster_view *view)
{
	return pool->conf.reading.primary_reads == PW_PRIMARY_READS_ALWAYS ? primary_bit(view) : 0;
}

/* What the session must see the one that lags least may not have. */
static uint64_t instead_of_replicas(const struct pw_pool *pool, const struct pw_cluster_view *view)
{
	switch (pool->conf.reading.all_lagging) {
	case PW_ALL_LAGGING_PRIMARY:
		return fallback_of(pool, view);
	case PW_ALL_LAGGING_LEAST:
		return least_lagging(view) | (pool->is_split ? fallback_of(pool, view) : 0);
	default:
		return 0;
	}
}

uint64_t pw_nodes_usable_of(const struct pw_pool *pool, const struct pw_cluster_view *view)
{
	uint64_t usable;

	if (!view)
		return 0;
	if (pool->routing == PW_ROUTING_PRIMARY)
		return primary_bit(view);
	usable = fresh_of(pool, view) | sharing_of(pool, view);
	return usable ? usable : instead_of_replicas(pool, view);
}

uint64_t pw_nodes_usable(struct pw_pool *pool)
{
	return pool->cluster ? pw_nodes_usable_of(pool, pw_nodes_look(pool)) : ANY_SLOT;
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
					 sample->answer.replay, login_us,
					 view->health.nodes[i].asked_by_us};

	return view->health.primary == (int)i ||
	       pw_token_admits(token, &view->health.track, &replay);
}

uint64_t pw_nodes_showing(const struct pw_pool *pool, const struct pw_cluster_view *view,
			  const struct pw_token *token)
{
	uint64_t usable = pw_nodes_usable_of(pool, view), primary, found = 0;

	for (size_t i = 0; view && i < view->health.n; i++) {
		if (usable & pw_nodes_bit(view, i) && (!token || shows(view, i, token, 0)))
			found |= pw_nodes_bit(view, i);
	}
	if (found == 0 || pool->routing == PW_ROUTING_PRIMARY || sharing_of(pool, view))
		return found;
	/* It has no share: it is there only for what nobody else can run. */
	primary = primary_bit(view);
	return found & ~primary ? found & ~primary : found;
}

static bool are_known(const struct pw_cluster_view *view)
{
	for (size_t i = 0; view && i < view->health.n; i++) {
		if (view->health.nodes[i].state == PW_NODE_NEW)
			return false;
	}
	return view != NULL;
}

static void follow(const struct pw_pool *pool, const struct pw_cluster_view *view,
		   struct pw_token *token)
{
	pw_token_follow(token, &view->health.track, atomic_load(&pool->cluster->probe),
			pw_clock_now_us());
}

void pw_pool_follow(struct pw_pool *pool, struct pw_token *token)
{
	const struct pw_cluster_view *view = pool->cluster ? pw_nodes_look(pool) : NULL;

	if (view)
		follow(pool, view, token);
}

enum pw_reading pw_pool_may_read(struct pw_pool *pool, struct pw_token *token)
{
	const struct pw_cluster_view *view = pool->cluster ? pw_nodes_look(pool) : NULL;
	bool may_fall_back = pool->conf.reading.primary_reads != PW_PRIMARY_READS_NEVER;
	uint64_t showing;

	if (view && token)
		follow(pool, view, token);
	showing = pw_nodes_showing(pool, view, token);
	if (view && fresh_of(pool, view) == 0) {
		if (showing != 0)
			return showing == primary_bit(view) ? PW_READING_OVERFLOWS
							    : PW_READING_GOES;
		if (pool->conf.reading.all_lagging == PW_ALL_LAGGING_ERROR && are_known(view))
			return PW_READING_FAILS;
	}
	if (showing != 0)
		return PW_READING_GOES;
	return may_fall_back ? PW_READING_IS_BEHIND : PW_READING_WAITS;
}

bool pw_nodes_overflow(struct pw_pool *pool, const struct pw_loan *loan)
{
	const struct pw_cluster_view *view = pw_nodes_look(pool);
	uint64_t primary = view && fresh_of(pool, view) == 0 ? primary_bit(view) : 0;

	return primary != 0 && pw_nodes_showing(pool, view, loan->token) == primary;
}

bool pw_pool_has_replicas(struct pw_pool *pool)
{
	return pool->cluster && fresh_of(pool, pw_nodes_look(pool)) != 0;
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
	const struct pw_cluster_view *view = pool->cluster ? pw_nodes_look(pool) : NULL;
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
		pw_token_saw_replica(token, probe, pw_clock_now_us(), (unsigned)slot,
				     loan->link->facts.login_us);
}

bool pw_nodes_show(const struct pw_link *link, const struct pw_loan *loan)
{
	const struct pw_cluster_view *view;

	if (!loan || !loan->token)
		return true;
	view = pw_nodes_look(link->pool);
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
	const struct pw_cluster_view *view = link->pool->cluster ? pw_nodes_look(link->pool) : NULL;

	return view && pw_nodes_admit(link, primary_bit(view));
}

bool pw_nodes_is_of_standby(const struct pw_link *link)
{
	const struct pw_cluster_view *view = link->pool->cluster ? pw_nodes_look(link->pool) : NULL;
	uint64_t standbys = 0;

	for (size_t i = 0; view && i < view->health.n; i++) {
		enum pw_node_state state = view->health.nodes[i].state;

		if (state == PW_NODE_DIVERGED || state == PW_NODE_LAGGING || state == PW_NODE_READY)
			standbys |= pw_nodes_bit(view, i);
	}
	return pw_nodes_admit(link, standbys);
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
	const struct pw_cluster_view *view = pw_nodes_look(pool);
	uint64_t bearable = 0;

	for (size_t i = 0; view && i < view->health.n; i++)
		bearable |= may_go_on(pool, view, i) ? pw_nodes_bit(view, i) : 0;
	return bearable;
}

uint64_t pw_nodes_held(struct pw_pool *pool, enum pw_hold_kind least)
{
	const struct pw_cluster_view *view = pw_nodes_look(pool);
	uint64_t held = 0;

	for (size_t i = 0; view && i < view->health.n; i++)
		held |= view->health.nodes[i].hold.kind >= least ? pw_nodes_bit(view, i) : 0;
	return held;
}

bool pw_nodes_primary_is_banned(struct pw_pool *pool)
{
	const struct pw_cluster_view *view = pw_nodes_look(pool);

	return view && view->health.primary != PW_NO_NODE &&
	       is_held(&view->health, (size_t)view->health.primary);
}

bool pw_nodes_are_known(struct pw_pool *pool)
{
	return are_known(pw_nodes_look(pool));
}

bool pw_nodes_may_serve(struct pw_pool *pool)
{
	const struct pw_cluster_view *view = pw_nodes_look(pool);
	uint64_t usable = pw_nodes_usable_of(pool, view);

	if (usable == 0)
		return false;
	return (usable & ~primary_bit(view)) != 0 ||
	       view->health.nodes[view->health.primary].state == PW_NODE_PRIMARY ||
	       atomic_load(&pool->shared->standing) > 0;
}

bool pw_nodes_have_primary(struct pw_pool *pool)
{
	const struct pw_cluster_view *view = pw_nodes_look(pool);

	return view && view->health.primary != PW_NO_NODE &&
	       view->health.nodes[view->health.primary].state == PW_NODE_PRIMARY;
}

uint64_t pw_pool_primary_heard(struct pw_pool *pool)
{
	const struct pw_cluster_view *view = pool->cluster ? pw_nodes_look(pool) : NULL;

	return view ? pw_health_frozen_at(&view->health) : 0;
}

bool pw_pool_primary_is_lost(struct pw_pool *pool)
{
	return pw_list_is_empty(&pool->idle) && pw_list_is_empty(&pool->busy) &&
	       pw_pool_primary_heard(pool) > 0;
}

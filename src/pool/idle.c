/* SPDX-License-Identifier: PostgreSQL
 *
 * The links of a pool that nobody uses: which may still be lent, which is lent next, which must
 * go because it is too old, one too many, or in the way of another pool.
 */
#include "config.h"

#include "pool_priv.h"

#include <string.h>

enum { FIT_SEARCH_MAX = 16 };

bool pw_pool_is_paused(const struct pw_pool *pool)
{
	return atomic_load_explicit(&pool->pools->registry->is_paused, memory_order_relaxed) ||
	       atomic_load_explicit(&pool->shared->db->is_paused, memory_order_relaxed);
}

static bool is_overflow_full(struct pw_pool *pool)
{
	int max = pool->cluster_conf.primary_overflow_max;

	return pw_pool_is_of_replicas(pool) && max > 0 && !pw_pool_has_replicas(pool) &&
	       pw_limit_used(&pool->cluster->overflow.taken) >= max;
}

static bool is_node_full(struct pw_pool *pool)
{
	const struct pw_cluster_view *view = pool->cluster ? pw_nodes_look(pool) : NULL;
	uint64_t wanted = view ? pool->places_awaited & pw_nodes_usable_of(pool, view) : 0;

	return wanted != 0 && pw_places_spare(pool, view, wanted) == 0;
}

const char *pw_pool_why_waiting(struct pw_pool *pool)
{
	if (pw_pool_is_paused(pool))
		return "The database is paused, see PAUSE and KILL on the console; the setting is "
		       "query_wait_timeout.";
	if (is_overflow_full(pool))
		return "No replica is fresh enough, and the primary runs no more reads in their "
		       "place, see SHOW CLUSTERS and SHOW NODES; the settings are "
		       "primary_overflow_max and query_wait_timeout.";
	if (is_node_full(pool))
		return "The node has as many connections as it may, for all databases and users "
		       "together, see SHOW NODES; the settings are max_connections in [nodes] and "
		       "query_wait_timeout.";
	if (atomic_load(&pool->shared->standing) == 0)
		return "No connection to the server could be made, the log says why; the settings "
		       "are server_login_retry and query_wait_timeout.";
	return "All connections of the pool are in use, see SHOW POOLS; the settings are "
	       "pool_size and query_wait_timeout.";
}

static const char *lifetime_reason(struct pw_pool *pool, const struct pw_link *link)
{
	uint64_t now = pool->pools->loop->now_us;
	uint64_t lifetime = pool->conf.server_lifetime;
	uint64_t last, gap;

	if (lifetime == 0) /* use once */
		return link->facts.last_used_us > 0 ? "server lifetime over" : NULL;
	if (pw_clock_since(link->facts.connect_us, now) < lifetime)
		return NULL;
	/* Links that were opened together do not go together: one per lifetime / pool_size. */
	gap = pool->conf.pool_size > 0 ? lifetime / (uint64_t)pool->conf.pool_size : 0;
	last = atomic_load(&pool->shared->lifetime_close_us);
	if (last > 0 && now < last + gap)
		return NULL;
	return atomic_compare_exchange_strong(&pool->shared->lifetime_close_us, &last, now)
		   ? "server lifetime over"
		   : NULL;
}

/* Would another one be opened now? */
static const char *outdated_reason(const struct pw_pool *pool, const struct pw_link *link)
{
	/* It was under way when the reload came. */
	if (!pool->db)
		return "database removed";
	if (link->facts.epoch != atomic_load(&pool->shared->epoch))
		return "obsolete connection";
	if (link->facts.definition != pool->definition)
		return "database configuration changed";
	return NULL;
}

const char *pw_pool_obsolete_reason(const struct pw_pool *pool, const struct pw_link *link)
{
	const char *reason = outdated_reason(pool, link);

	if (!reason &&
	    link->facts.code_generation != atomic_load(&pool->shared->db->code.generation))
		reason = "code of the database changed";
	return reason;
}

const char *pw_pool_recall_reason(const struct pw_loan *loan)
{
	return pw_pool_is_paused(loan->pool) ? "pause mode"
					     : outdated_reason(loan->pool, loan->link);
}

const char *pw_pool_unfit_reason(struct pw_pool *pool, const struct pw_link *link)
{
	const char *reason = pw_pool_obsolete_reason(pool, link);

	if (reason)
		return reason;
	if (pw_pool_is_paused(pool))
		return "pause mode";
	if (!pw_nodes_admit(link, pw_nodes_usable(pool)))
		return "its node gets no clients";
	return lifetime_reason(pool, link);
}

bool pw_pool_close_surplus(struct pw_pool *pool, struct pw_link *link)
{
	struct pw_shared_pool *shared = pool->shared;
	int size = pool->conf.pool_size;
	int allowed = size + pool->conf.reserve_pool_size;
	bool is_surplus;

	/* One worker at a time counts and closes, or two would both close the last one too many. */
	if (size <= 0 || pw_limit_used(&shared->links) <= allowed ||
	    atomic_exchange(&shared->is_shrinking, true))
		return false;
	is_surplus = pw_limit_used(&shared->links) > allowed;
	if (is_surplus)
		pw_link_close(link, PW_LINK_END_CLEAN, "too many servers in the pool", NULL);
	atomic_store(&shared->is_shrinking, false);
	return is_surplus;
}

static bool needs_check(const struct pw_pool *pool, const struct pw_link *link)
{
	const struct pw_conf *conf = pool->pools->snapshot->conf;

	return conf->server_check_query && conf->server_check_query[0] &&
	       pool->pools->loop->now_us - link->state_since_us >= conf->server_check_delay;
}

static void find_alien(const char *name, const char *value, void *arg)
{
	if (!value && strchr(name, '.'))
		*(bool *)arg = true;
}

bool pw_pool_mixes(const struct pw_link *link, const struct pw_loan *loan)
{
	return loan->is_strict ? link->facts.is_untracked
			       : loan->is_untracked && link->settings->n > 0;
}

bool pw_pool_suits(const struct pw_link *link, const struct pw_loan *loan)
{
	bool is_alien = false;

	if (!loan->settings)
		return link->settings->n == 0; /* a look-up */
	if (pw_pool_mixes(link, loan))
		return false;
	if (loan->needs_new)
		return link->facts.last_owner == 0;
	if (!loan->is_strict || link->settings->n == 0 ||
	    pw_id_equal(link->settings->id, loan->settings->id))
		return true;
	pw_state_diff(link->settings, loan->settings, find_alien, &is_alien);
	return !is_alien;
}

static bool fits(const struct pw_link *link, const struct pw_loan *loan)
{
	return !loan || ((!loan->params || pw_params_are_equal(link->params, loan->params)) &&
			 (!loan->settings || pw_id_equal(link->settings->id, loan->settings->id)));
}

void pw_pool_check_age(struct pw_link *link)
{
	if (link->state == PW_LINK_IDLE && needs_check(link->pool, link))
		pw_link_goto(link, PW_LINK_STALE);
}

static bool reads_sequences(const struct pw_pool *pool)
{
	return atomic_load_explicit(&pool->shared->db->reads_sequences, memory_order_relaxed);
}

/* Rather not to be taken: it has the values of somebody who may yet ask for them. */
static bool is_kept_back(const struct pw_link *link, const struct pw_loan *loan)
{
	uint64_t drawer = link->facts.drawer;

	return drawer != 0 && drawer != PW_DRAWER_UNKNOWN && (!loan || drawer != loan->owner_id) &&
	       reads_sequences(link->pool);
}

/* Does somebody get it before the loan (NULL = anybody else) who wants that one alone? */
static bool is_for_others(const struct pw_link *link, const struct pw_loan *loan)
{
	const struct pw_pool *pool = link->pool;
	const struct pw_loan *wanting = pw_pool_who_wants(pool, link->facts.id);
	uint64_t since = loan ? loan->since_us : 0;

	return pw_pool_goes_first(pool, link->sought_since_us, since) ||
	       (wanting && pw_pool_goes_first(pool, wanting->since_us, since));
}

static bool is_at_hand(const struct pw_link *link, const struct pw_loan *loan)
{
	return link && link->state == PW_LINK_IDLE && link->pool == loan->pool &&
	       pw_nodes_admit(link, pw_nodes_usable(link->pool)) && pw_nodes_show(link, loan) &&
	       !needs_check(link->pool, link) && pw_pool_suits(link, loan) &&
	       !is_for_others(link, loan);
}

/* A session finds there what no server can be asked to bring: values of its sequences. */
static struct pw_link *last_of(const struct pw_loan *loan)
{
	struct pw_link *drawn_on;

	if (!loan || !loan->is_strict)
		return NULL;
	if (loan->drawn_on != 0 && reads_sequences(loan->pool)) {
		drawn_on = pw_pool_idle_link(loan->pool, loan->drawn_on);
		if (is_at_hand(drawn_on, loan) && pw_link_has_draws_of(drawn_on, loan))
			return drawn_on;
	}
	return is_at_hand(loan->last, loan) ? loan->last : NULL;
}

/* ---- of replicas ---- */

/* The links that are at hand, by how well they would do. */
struct hand {
	const struct pw_loan *loan;
	struct pw_pick pick;
	struct pw_link *best;  /* to the node that is to get it; the one that fits best */
	struct pw_link *other; /* to another that may */
	int looked;
	bool is_fifo; /* the first one will do: it has been idle for longest */
};

/* True: it is not looked any further. */
static bool weigh(struct hand *hand, struct pw_link *link)
{
	bool is_there = link->facts.slot == hand->pick.slot;

	/* Of others one is enough. */
	if (!pw_nodes_admit(link, hand->pick.slots) || (!is_there && hand->other))
		return false;
	if (needs_check(link->pool, link)) {
		pw_link_goto(link, PW_LINK_STALE);
		return false;
	}
	if (is_for_others(link, hand->loan) || !pw_nodes_show(link, hand->loan) ||
	    (hand->loan && !pw_pool_suits(link, hand->loan)))
		return is_there && ++hand->looked == FIT_SEARCH_MAX;
	if (!is_there) {
		hand->other = link;
		return false;
	}
	if (!hand->best || fits(link, hand->loan))
		hand->best = link;
	return hand->is_fifo || fits(link, hand->loan) || ++hand->looked == FIT_SEARCH_MAX;
}

/* A link to another node is better than to wait for a login; but where there is none at all to the
 * one that was to get it, one is opened for the next time. */
static void note_missing(struct pw_pool *pool, int slot)
{
	int size = pool->conf.pool_size;

	if (pool->node_links[slot] > 0 || pool->missing > 0 ||
	    !pw_places_spare(pool, pw_nodes_look(pool), UINT64_C(1) << slot) ||
	    (size > 0 && pw_limit_used(&pool->shared->links) >= size))
		return;
	pool->missing = slot + 1;
	pw_task_post(pool->pools->loop, &pool->serve_task);
}

static struct pw_link *take_of_replicas(struct pw_pool *pool, const struct pw_loan *loan,
					bool is_fifo)
{
	struct hand hand = {.loan = loan, .is_fifo = is_fifo};

	if (pw_list_is_empty(&pool->idle))
		return NULL;
	hand.pick = pw_nodes_pick(pool, loan);
	if (hand.pick.slots == 0)
		return NULL;
	if (loan && !is_fifo && loan->last && loan->last->facts.slot == hand.pick.slot &&
	    is_at_hand(loan->last, loan))
		return loan->last;
	for (struct pw_list *node = is_fifo ? pool->idle.prev : pool->idle.next, *next;
	     node != &pool->idle; node = next) {
		next = is_fifo ? node->prev : node->next;
		if (weigh(&hand, PW_CONTAINER(node, struct pw_link, pool_node)))
			break;
	}
	if (!hand.best && loan)
		note_missing(pool, hand.pick.slot);
	return hand.best ? hand.best : hand.other;
}

struct pw_link *pw_pool_far_idle(struct pw_pool *pool)
{
	const struct pw_loan *head = pw_pool_head(pool);
	uint64_t slots = pw_nodes_near(pool, head);

	PW_LIST_FOREACH (node, &pool->idle) {
		struct pw_link *link = PW_CONTAINER(node, struct pw_link, pool_node);

		if (!pw_nodes_admit(link, slots))
			return link;
	}
	return NULL;
}

/* ---- of all pools ---- */

struct pw_link *pw_pool_take_idle(struct pw_pool *pool, const struct pw_loan *loan)
{
	bool is_fifo = pool->pools->snapshot->conf->server_round_robin;
	uint64_t usable;
	struct pw_link *best, *kept_back = NULL;
	int looked = 0;

	if (pw_pool_is_of_replicas(pool))
		return take_of_replicas(pool, loan, is_fifo);
	usable = pw_nodes_usable(pool);
	best = is_fifo ? NULL : last_of(loan);
	if (best)
		return best;
	for (struct pw_list *node = is_fifo ? pool->idle.prev : pool->idle.next, *next;
	     node != &pool->idle && looked < FIT_SEARCH_MAX; node = next, looked++) {
		struct pw_link *link = PW_CONTAINER(node, struct pw_link, pool_node);

		next = is_fifo ? node->prev : node->next;
		if (needs_check(pool, link)) {
			pw_link_goto(link, PW_LINK_STALE);
			continue;
		}
		if (is_for_others(link, loan) || !pw_nodes_admit(link, usable) ||
		    !pw_nodes_show(link, loan) || (loan && !pw_pool_suits(link, loan)))
			continue;
		if (!is_fifo && is_kept_back(link, loan)) {
			kept_back = link;
			continue;
		}
		best = best ? best : link;
		if (is_fifo || fits(link, loan))
			return link;
	}
	return best ? best : kept_back;
}

struct hunt {
	const struct pw_eviction *eviction; /* of which a link will do; NULL = any of the pool */
	uint64_t kept; /* slots of nodes from which none is taken: the pool's head waits for one */
	struct pw_link *oldest;
};

static bool is_at(const struct pw_link *link, const struct pw_eviction *e)
{
	return link->facts.cluster == e->cluster && pw_nodes_admit(link, e->slots) &&
	       (e->idle_since_us == 0 || link->state_since_us <= e->idle_since_us);
}

static bool is_wanted_by(const struct pw_link *link, const struct pw_eviction *e)
{
	return !e ||
	       ((!e->db || link->shared->db == e->db) &&
		(!e->user || link->shared->user == e->user) && (!e->cluster || is_at(link, e)));
}

static void look_for_oldest(struct hunt *hunt, const struct pw_list *links)
{
	PW_LIST_FOREACH (node, links) {
		struct pw_link *link = PW_CONTAINER(node, struct pw_link, pool_node);

		if (is_wanted_by(link, hunt->eviction) && !pw_nodes_admit(link, hunt->kept) &&
		    (!hunt->oldest || link->facts.last_used_us < hunt->oldest->facts.last_used_us))
			hunt->oldest = link;
	}
}

static void look_in_pool(struct pw_pool *pool, struct hunt *hunt)
{
	look_for_oldest(hunt, &pool->idle);
	look_for_oldest(hunt, &pool->stale);
}

/* To which nodes links of the pool may be lent to who waits in it; all bits: to any. */
static uint64_t slots_for_head(struct pw_pool *pool)
{
	const struct pw_loan *head = pw_pool_head(pool);

	if (!head || is_overflow_full(pool))
		return 0;
	return pw_pool_is_of_replicas(pool) ? pw_nodes_near(pool, head) : UINT64_MAX;
}

static void look_where_nobody_waits(struct pw_pool *pool, void *arg)
{
	struct hunt *hunt = arg;

	hunt->kept = slots_for_head(pool);
	look_in_pool(pool, hunt);
}

static bool evict(const struct hunt *hunt)
{
	if (hunt->oldest)
		pw_link_close(hunt->oldest, PW_LINK_END_CLEAN, "evicted", NULL);
	return hunt->oldest != NULL;
}

bool pw_pool_evict(struct pw_pool *pool)
{
	struct hunt hunt = {.eviction = NULL};

	look_in_pool(pool, &hunt);
	return evict(&hunt);
}

bool pw_pools_evict(struct pw_pools *pools, const struct pw_eviction *eviction)
{
	struct hunt hunt = {.eviction = eviction};

	pw_pools_each(pools, look_where_nobody_waits, &hunt);
	return evict(&hunt);
}

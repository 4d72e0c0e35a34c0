/* SPDX-License-Identifier: PostgreSQL
 *
 * May another server connection be opened? All the limits that count, taken in one order
 * (database, user, pool, logins) and given back in full when one of them refuses.
 */
#include "config.h"

#include "pool_priv.h"

static uint64_t head_wait(const struct pw_pool *pool)
{
	const struct pw_loan *head = pw_pool_head(pool);

	return head ? pool->pools->loop->now_us - head->since_us : 0;
}

/* Until a server has let us in once, one login at a time: a wrong password must not be tried by
 * everybody at once. */
static int login_limit(const struct pw_pool *pool)
{
	struct pw_shared_pool *shared = pool->shared;
	bool is_proven = atomic_load(&shared->standing) > 0 && !atomic_load(&shared->has_failed);

	return is_proven ? pool->pools->snapshot->conf->max_server_logins : 1;
}

bool pw_pool_may_log_in(struct pw_pool *pool)
{
	return pool->pools->loop->now_us >= atomic_load(&pool->shared->retry_at_us) &&
	       pw_nodes_usable(pool) != 0 &&
	       pw_limit_has_room(&pool->shared->logins, login_limit(pool));
}

/* How many links the pool may have now: who has waited long enough may have one of the reserve. */
static int pool_limit(const struct pw_pool *pool)
{
	uint64_t timeout = pool->pools->snapshot->conf->reserve_pool_timeout;
	int size = pool->conf.pool_size;

	if (size <= 0 || pool->conf.reserve_pool_size <= 0 || timeout == 0 ||
	    head_wait(pool) < timeout)
		return size;
	return size + pool->conf.reserve_pool_size;
}

static bool has_room(struct pw_pool *pool, const struct pw_eviction *of)
{
	return of->db ? pw_limit_has_room(&of->db->links, pool->conf.max_db_connections)
		      : pw_limit_has_room(&of->user->links, pool->conf.max_user_connections);
}

/* Is there room in a limit that pools share? An idle link of another pool may have to go for it. */
static bool make_room(struct pw_pool *pool, const struct pw_eviction *of, bool may_evict)
{
	if (has_room(pool, of))
		return true;
	if (!may_evict)
		return false;
	/* It would be closed for nothing. */
	if (pw_pool_gives_way(pool)) {
		pw_pools_try_again(pool->pools);
		return false;
	}
	if (pw_pools_evict(pool->pools, of) && has_room(pool, of))
		return true;
	pw_mail_evict(pool->pools, of);
	return false;
}

bool pw_pool_has_place(struct pw_pool *pool)
{
	const struct pw_cluster_view *view = pool->cluster ? pw_nodes_look(pool) : NULL;

	return !pool->cluster ||
	       (view && pw_places_free(pool, view, pw_nodes_wanted(pool, view)) != 0);
}

bool pw_pool_gives_way(struct pw_pool *pool)
{
	const struct pw_cluster_view *view = pool->cluster ? pw_nodes_look(pool) : NULL;

	return view && pw_places_give_way(pool, view, pw_nodes_wanted(pool, view));
}

/* Would an idle link of others make one? */
static bool find_eviction(struct pw_pool *pool, struct pw_eviction *eviction)
{
	const struct pw_cluster_view *view = pw_nodes_look(pool);

	return view && pw_places_evict(pool, view, pw_nodes_wanted(pool, view), eviction);
}

static bool make_place(struct pw_pool *pool, bool may_evict)
{
	struct pw_eviction eviction;

	if (pw_pool_has_place(pool))
		return true;
	if (!may_evict || !find_eviction(pool, &eviction))
		return false;
	if (pw_pools_evict(pool->pools, &eviction))
		return pw_pool_has_place(pool);
	pw_mail_evict(pool->pools, &eviction);
	return false;
}

static bool make_all_room(struct pw_pool *pool, bool may_evict)
{
	const struct pw_eviction of_db = {.db = pool->shared->db};
	const struct pw_eviction of_user = {.user = pool->shared->user};

	return make_room(pool, &of_db, may_evict) && make_room(pool, &of_user, may_evict) &&
	       make_place(pool, may_evict);
}

/* Where the link goes: pool->place, until the next look at the nodes. */
static bool take_place(struct pw_pool *pool)
{
	if (!pool->cluster)
		return true;
	pool->place = pw_nodes_choose(pool);
	if (pool->place && !pw_places_take(pool, pool->place))
		pool->place = NULL;
	return pool->place != NULL;
}

static bool take_each(struct pw_pool *pool, int max, int max_logins)
{
	struct pw_shared_pool *shared = pool->shared;
	const struct {
		struct pw_limit *limit;
		int max;
	} all[] = {
	    {&shared->db->links, pool->conf.max_db_connections},
	    {&shared->user->links, pool->conf.max_user_connections},
	    {&shared->links, max},
	    {&shared->logins, max_logins},
	};
	size_t n = 0;

	while (n < PW_COUNTOF(all) && pw_limit_take(all[n].limit, all[n].max))
		n++;
	if (n == PW_COUNTOF(all) && take_place(pool))
		return true;
	while (n-- > 0)
		pw_pool_give_back(pool, all[n].limit);
	return false;
}

/* First it looks whether all have room. Taking one to find another full, and giving it back, would
 * wake whoever else wants it, who might do just the same, and so on for as long as that lasts. As
 * it is, something is given back only where another worker has got ahead. */
static bool take_limits(struct pw_pool *pool, int max, int max_logins, bool may_evict)
{
	struct pw_limit *links = &pool->shared->links;
	int size = pool->conf.pool_size;

	if (!pw_limit_has_room(links, max) || !make_all_room(pool, may_evict) ||
	    !take_each(pool, max, max_logins))
		return false;
	if (size > 0 && pw_limit_used(links) > size)
		pw_log_warning(&pool->pools->log, "%s/%s: taking connection from reserve_pool",
			       pool->shared->db->name, pool->shared->user->name);
	return true;
}

static struct pw_link *open_taken(struct pw_pool *pool, struct pw_loan *own)
{
	struct pw_link_facts facts = {.cluster = pool->cluster,
				      .slot = pool->place ? pool->place->slot : PW_NO_SLOT};
	struct pw_link *link = pw_link_open(pool, own);

	pool->place = NULL;
	if (!link) {
		pw_pool_give_back(pool, &pool->shared->logins);
		pw_pool_limits_given(pool->pools, pool->shared, &facts);
	}
	return link;
}

static bool open_common(struct pw_pool *pool)
{
	struct pw_link *link = open_taken(pool, NULL);

	/* It may have failed already. */
	return link && link->state != PW_LINK_CLOSED;
}

bool pw_pool_open_link(struct pw_pool *pool)
{
	return pool->db && pw_pool_may_log_in(pool) &&
	       take_limits(pool, pool_limit(pool), login_limit(pool), true) && open_common(pool);
}

/* It waits for its turn to log in, but not for what others' logins have shown. */
static bool take_own_place(struct pw_pool *pool)
{
	int max_logins = pool->pools->snapshot->conf->max_server_logins;

	if (!pool->db || pw_nodes_usable(pool) == 0 ||
	    !pw_limit_has_room(&pool->shared->logins, max_logins))
		return false;
	if (take_limits(pool, pool_limit(pool), max_logins, false))
		return true;
	/* Where others go first at the node, that helps nobody. */
	if (pw_pool_gives_way(pool))
		return false;
	(void)pw_pool_evict(pool);
	return take_limits(pool, pool_limit(pool), max_logins, true);
}

bool pw_pool_open_own(struct pw_loan *loan)
{
	struct pw_pool *pool = loan->pool;
	struct pw_error err;

	if (!take_own_place(pool))
		return false;
	pw_loan_end_wait(loan);
	loan->state = PW_LOAN_OPENING;
	if (open_taken(pool, loan))
		return true;
	loan->state = PW_LOAN_NONE;
	pw_error_set(&err, PW_SQLSTATE_OUT_OF_MEMORY, "out of memory");
	loan->ops->on_refused(loan, &err);
	return true;
}

void pw_pool_open_missing(struct pw_pool *pool)
{
	if (pool->missing == 0)
		return;
	if (pool->db && !pw_pool_is_paused(pool) && pw_pool_may_log_in(pool) &&
	    take_limits(pool, pool->conf.pool_size, login_limit(pool), false))
		(void)open_common(pool);
	pool->missing = 0;
}

bool pw_pool_open_minimum(struct pw_pool *pool)
{
	int size = pool->conf.pool_size;
	int wanted = pool->conf.min_pool_size;

	if (size > 0 && wanted > size)
		wanted = size;
	return wanted > 0 && pw_limit_used(&pool->shared->links) < wanted &&
	       pw_pool_may_log_in(pool) && take_limits(pool, wanted, login_limit(pool), false) &&
	       open_common(pool);
}

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

/* Is there room in a limit that pools share? An idle link of another pool may have to go for it. */
static bool make_room(struct pw_pool *pool, bool of_user, bool may_evict)
{
	struct pw_shared_db *db = of_user ? NULL : pool->shared->db;
	struct pw_shared_user *user = of_user ? pool->shared->user : NULL;
	struct pw_limit *limit = of_user ? &user->links : &db->links;
	int max = of_user ? pool->conf.max_user_connections : pool->conf.max_db_connections;

	if (pw_limit_has_room(limit, max))
		return true;
	if (!may_evict)
		return false;
	if (pw_pools_evict(pool->pools, db, user) && pw_limit_has_room(limit, max))
		return true;
	pw_mail_evict(pool->pools, db, user);
	return false;
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

	for (size_t i = 0; i < PW_COUNTOF(all); i++) {
		if (pw_limit_take(all[i].limit, all[i].max))
			continue;
		while (i-- > 0)
			pw_pool_give_back(pool, all[i].limit);
		return false;
	}
	return true;
}

/* First it looks whether all have room. Taking one to find another full, and giving it back, would
 * wake whoever else wants it, who might do just the same, and so on for as long as that lasts. As
 * it is, something is given back only where another worker has got ahead. */
static bool take_limits(struct pw_pool *pool, int max, int max_logins, bool may_evict)
{
	struct pw_limit *links = &pool->shared->links;
	int size = pool->conf.pool_size;

	if (!pw_limit_has_room(links, max) || !make_room(pool, false, may_evict) ||
	    !make_room(pool, true, may_evict) || !take_each(pool, max, max_logins))
		return false;
	if (size > 0 && pw_limit_used(links) > size)
		pw_log_warning(&pool->pools->log, "%s/%s: taking connection from reserve_pool",
			       pool->shared->db->name, pool->shared->user->name);
	return true;
}

static void give_all_back(struct pw_pool *pool)
{
	pw_pool_give_back(pool, &pool->shared->logins);
	pw_pool_limits_given(pool->pools, pool->shared);
}

static struct pw_link *open_somewhere(struct pw_pool *pool, struct pw_loan *loan)
{
	struct pw_link *link;

	pool->place = pool->cluster ? pw_nodes_choose(pool) : NULL;
	link = !pool->cluster || pool->place ? pw_link_open(pool, loan) : NULL;
	pool->place = NULL;
	return link;
}

static bool open_taken(struct pw_pool *pool)
{
	struct pw_link *link = open_somewhere(pool, NULL);

	if (!link)
		give_all_back(pool);
	/* It may have failed already. */
	return link && link->state != PW_LINK_CLOSED;
}

bool pw_pool_open_link(struct pw_pool *pool)
{
	return pool->db && pw_pool_may_log_in(pool) &&
	       take_limits(pool, pool_limit(pool), login_limit(pool), true) && open_taken(pool);
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
	if (open_somewhere(pool, loan))
		return true;
	give_all_back(pool);
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
		(void)open_taken(pool);
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
	       open_taken(pool);
}

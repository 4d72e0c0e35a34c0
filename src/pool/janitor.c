/* SPDX-License-Identifier: PostgreSQL
 *
 * Upkeep, three times a second as PgBouncer does it: ages, idle times, the time limits of queries
 * and transactions, min_pool_size, averages, and serving every queue again, so that a wake-up that
 * could not be sent is not missed for long.
 */
#include "config.h"

#include <inttypes.h>

#include "pgweir/base/assert.h"
#include "pool_priv.h"

/* How long one link is waited for, which somebody may keep for longer. */
enum { PERIOD_US = 333 * 1000, WANTING_US = 1000 * 1000 };

static bool is_past(uint64_t now, uint64_t since, uint64_t limit)
{
	return since > 0 && limit > 0 && pw_clock_since(since, now) >= limit;
}

/* ---- idle links ---- */

static void tend_idle_link(struct pw_pool *pool, struct pw_link *link, bool may_shrink)
{
	const struct pw_conf *conf = pool->pools->snapshot->conf;
	uint64_t now = pool->pools->loop->now_us;
	uint64_t idle_since =
	    link->facts.last_used_us ? link->facts.last_used_us : link->facts.connect_us;
	const char *reason = pw_pool_unfit_reason(pool, link);

	if (reason)
		pw_link_close(link, PW_LINK_END_CLEAN, reason, NULL);
	else if (pw_pool_close_surplus(pool, link) || pw_places_close_surplus(link))
		return;
	else if (may_shrink && is_past(now, idle_since, conf->server_idle_timeout))
		pw_link_close(link, PW_LINK_END_CLEAN, "server idle timeout", NULL);
	else if (link->state == PW_LINK_IDLE && conf->server_check_query &&
		 conf->server_check_query[0] &&
		 now - link->state_since_us >= conf->server_check_delay)
		pw_link_goto(link, PW_LINK_STALE);
}

static void tend_idle_list(struct pw_pool *pool, struct pw_list *list)
{
	PW_LIST_FOREACH_SAFE (node, list) {
		bool may_shrink = pw_limit_used(&pool->shared->links) > pool->conf.min_pool_size;

		tend_idle_link(pool, PW_CONTAINER(node, struct pw_link, pool_node), may_shrink);
	}
}

/* ---- busy links ---- */

static void end_in_error(struct pw_link *link, const char *text, const char *sqlstate,
			 const char *setting, uint64_t limit)
{
	struct pw_error err;

	pw_error_set(&err, sqlstate, "%s", text);
	pw_error_detail(&err, "pgweir closed the connection because the setting %s is %g s.",
			setting, (double)limit / PW_SECOND_US);
	link->facts.must_close = true;
	pw_link_close(link, PW_LINK_END_CLEAN, text, &err);
}

static void tend_busy_link(struct pw_pool *pool, struct pw_link *link)
{
	const struct pw_pool_conf *conf = &pool->conf;
	uint64_t now = pool->pools->loop->now_us;

	/* A replication stream is no query: it runs until one of its ends has had enough. */
	if (link->state != PW_LINK_LENT || link->is_copy_both)
		return;
	if (pw_link_has_request(link) && is_past(now, link->request_us, conf->query_timeout))
		end_in_error(link, "query timeout", PW_SQLSTATE_PROTOCOL_VIOLATION, "query_timeout",
			     conf->query_timeout);
	else if (is_past(now, link->transaction_us, conf->transaction_timeout))
		end_in_error(link, "transaction timeout", PW_SQLSTATE_PROTOCOL_VIOLATION,
			     "transaction_timeout", conf->transaction_timeout);
	else if (!pw_link_has_request(link) && link->transaction != 'I' &&
		 is_past(now, link->idle_in_transaction_us, conf->idle_transaction_timeout))
		end_in_error(link, "idle transaction timeout", PW_SQLSTATE_PROTOCOL_VIOLATION,
			     "idle_transaction_timeout", conf->idle_transaction_timeout);
}

/* ---- waiters ---- */

static void tend_waiters(struct pw_pool *pool)
{
	PW_LIST_FOREACH (node, &pool->waiting) {
		struct pw_loan *loan = PW_CONTAINER(node, struct pw_loan, node);

		if (is_past(pool->pools->loop->now_us, loan->since_us, WANTING_US))
			pw_loan_want_no_more(loan);
	}
}

/* ---- pools ---- */

static void keep_minimum(struct pw_pool *pool)
{
	if (pool->n_guests > 0 || pool->is_forced_user)
		(void)pw_pool_open_minimum(pool);
}

static bool is_empty(const struct pw_pool *pool)
{
	/* Whoever is with the replicas comes back. */
	return pool->n_guests == 0 && (!pool->replicas || pool->replicas->n_guests == 0) &&
	       pool->asked == 0 && pw_list_is_empty(&pool->opening) &&
	       pw_list_is_empty(&pool->idle) && pw_list_is_empty(&pool->stale) &&
	       pw_list_is_empty(&pool->checking) && pw_list_is_empty(&pool->busy) &&
	       pw_list_is_empty(&pool->canceled);
}

/* Anybody can name a database, even before a login. Where no server has ever let us in, all that
 * such a pool holds is when the next attempt may be made. */
static bool has_never_served(const struct pw_pool *pool)
{
	const struct pw_shared_pool *shared = pool->shared;

	return pool->is_auto && atomic_load(&shared->welcome_version) == 0 &&
	       pool->pools->loop->now_us >= atomic_load(&shared->retry_at_us);
}

static bool is_idle_for_long(const struct pw_pool *pool)
{
	const struct pw_conf *conf = pool->pools->snapshot->conf;
	uint64_t limit = pool->is_auto ? conf->autodb_idle_timeout : conf->pool_idle_timeout;

	return is_past(pool->pools->loop->now_us, pool->empty_since_us, limit) &&
	       !(pool->is_forced_user && pool->conf.min_pool_size > 0);
}

/* Frees a pool that nobody has used for as long as the settings say; false = still there. */
static bool retire(struct pw_pool *pool)
{
	uint64_t now = pool->pools->loop->now_us;
	bool is_unproven;

	if (!is_empty(pool)) {
		pool->empty_since_us = 0;
		return false;
	}
	if (pool->empty_since_us == 0)
		pool->empty_since_us = now;
	if (!pool->db) {
		pw_pools_free_pool(pool);
		return true;
	}
	is_unproven = has_never_served(pool);
	if (!is_unproven && !is_idle_for_long(pool))
		return false;
	pw_log_info(&pool->pools->log,
		    "cleaning up idle pool for user %s on db %s because: %s (age=%" PRIu64 "s)",
		    pool->shared->user->name, pool->shared->db->name,
		    is_unproven ? "no server has let us in" : "pool idle timeout",
		    (now - pool->empty_since_us) / PW_SECOND_US);
	pw_pools_free_pool(pool);
	return true;
}

static void tend_pool(struct pw_pool *pool, void *arg PW_UNUSED)
{
	if (retire(pool))
		return;
	tend_idle_list(pool, &pool->idle);
	tend_idle_list(pool, &pool->stale);
	PW_LIST_FOREACH_SAFE (node, &pool->busy) {
		tend_busy_link(pool, PW_CONTAINER(node, struct pw_link, pool_node));
	}
	if (!pool->db || pw_pool_is_paused(pool))
		return;
	keep_minimum(pool);
	pw_nodes_balance(pool);
	tend_waiters(pool);
	pw_pool_serve(pool);
}

static void turn_history(struct pw_pool *pool, void *arg PW_UNUSED)
{
	pw_counter_history_turn(&pool->stats, pool->pools->loop->now_us);
}

static void on_janitor(struct pw_timer *timer)
{
	struct pw_pools *pools = PW_CONTAINER(timer, struct pw_pools, janitor);
	const struct pw_conf *conf = pools->snapshot->conf;

	pw_loop_arm(pools->loop, &pools->janitor, PERIOD_US);
	if (conf->stats_period > 0 && pools->loop->now_us >= pools->next_average_us) {
		pools->next_average_us =
		    pools->loop->now_us + (uint64_t)conf->stats_period * PW_SECOND_US;
		pw_pools_each(pools, turn_history, NULL);
	}
	pw_pools_each(pools, tend_pool, NULL);
}

void pw_pools_start_janitor(struct pw_pools *pools)
{
	pools->next_average_us =
	    pools->loop->now_us + (uint64_t)pools->snapshot->conf->stats_period * PW_SECOND_US;
	pw_timer_init(&pools->janitor, on_janitor);
	pw_loop_arm(pools->loop, &pools->janitor, PERIOD_US);
}

/* SPDX-License-Identifier: PostgreSQL
 *
 * What becomes of links and waiters when the nodes of a cluster are not what they were.
 */
#include "config.h"

#include "pool_priv.h"

enum { MOVE_US = 333 * 1000 };

/* One that was opened before the database was on a cluster ends when its transaction does. */
static void end_list(struct pw_list *links, uint64_t bearable, const struct pw_error *err)
{
	PW_LIST_FOREACH_SAFE (node, links) {
		struct pw_link *link = PW_CONTAINER(node, struct pw_link, pool_node);

		if (link->facts.slot != PW_NO_SLOT && !pw_nodes_admit(link, bearable))
			pw_link_close(link, PW_LINK_END_CLEAN, err->message, err);
	}
}

static void end_busy(struct pw_pool *pool, uint64_t bearable, const char *why)
{
	struct pw_error err;

	pw_error_set(&err, PW_SQLSTATE_ADMIN_SHUTDOWN, "terminating connection because %s", why);
	end_list(&pool->busy, bearable, &err);
	end_list(&pool->canceled, bearable, &err);
	end_list(&pool->checking, bearable, &err);
}

static void end_unused(struct pw_list *links, uint64_t usable)
{
	PW_LIST_FOREACH_SAFE (node, links) {
		struct pw_link *link = PW_CONTAINER(node, struct pw_link, pool_node);

		if (!pw_nodes_admit(link, usable))
			pw_link_close(link, PW_LINK_END_CLEAN, "its node gets no clients", NULL);
	}
}

/* Those that nobody uses would only take the places of others. While nobody knows where the primary
 * is, they may be of use again, but for those that an operator wants to go. */
static void follow(struct pw_pool *pool, void *arg)
{
	uint64_t usable;

	if (!pool->cluster || pool->cluster != arg)
		return;
	usable = pw_nodes_usable(pool);
#ifdef PW_MUTANT_DRAIN_IS_A_BAN
	end_busy(pool, ~pw_nodes_held(pool, PW_HOLD_DRAINED), "its node was banned");
#endif
	end_busy(pool, ~pw_nodes_held(pool, PW_HOLD_BANNED), "its node was banned");
	end_busy(pool, pw_nodes_bearable(pool),
		 pool->routing == PW_ROUTING_PRIMARY ? "the primary has changed"
						     : "the replica left the cluster");
	if (usable != 0)
		atomic_store(&pool->shared->retry_at_us, 0);
	else
		usable = ~pw_nodes_held(pool, PW_HOLD_DRAINED);
	end_unused(&pool->idle, usable);
	end_unused(&pool->stale, usable);
	end_unused(&pool->opening, usable);
	pw_task_post(pool->pools->loop, &pool->serve_task);
}

void pw_pools_follow(struct pw_pools *pools, struct pw_cluster *cluster)
{
	pw_pools_each(pools, follow, cluster);
}

/* ---- while there is none ---- */

static bool is_kept_from_primary(const struct pw_pool *pool)
{
	return pool->conf.reading.primary_reads == PW_PRIMARY_READS_NEVER;
}

static void word_refusal(struct pw_pool *pool, struct pw_error *err)
{
	if (pool->routing == PW_ROUTING_PRIMARY && pw_nodes_primary_is_banned(pool)) {
		pw_error_set(err, PW_SQLSTATE_CANNOT_CONNECT_NOW, "the primary is banned");
		pw_error_detail(err,
				"An operator keeps clients from the primary of cluster \"%.63s\".",
				pool->cluster->name);
	} else if (pool->routing == PW_ROUTING_PRIMARY) {
		pw_error_set(err, PW_SQLSTATE_CANNOT_CONNECT_NOW, "there is no primary");
		pw_error_detail(err,
				"No node of cluster \"%.63s\" has taken writes for no_primary_wait "
				"(%g s).",
				pool->cluster->name,
				(double)pool->conf.reading.no_primary_wait / PW_SECOND_US);
	} else {
		pw_error_set(err, PW_SQLSTATE_CANNOT_CONNECT_NOW, "no replica is fresh enough");
		pw_error_detail(err,
				"No replica of cluster \"%.63s\" is within max_lag and "
				"max_lag_bytes%s, and neither drained nor banned%s%s.",
				pool->cluster->name,
				pool->conf.reading.max_lag >= 0
				    ? " (which the database or user has of its own)"
				    : "",
				is_kept_from_primary(pool) ? "; primary_reads is never" : "",
				pw_nodes_have_primary(pool)
				    ? ""
				    : "; the primary does not answer, see no_primary_reads");
	}
	pw_error_hint(err, "SHOW NODES on the console says why.");
}

/* A promotion may come, and with it fresh replicas; or the first news of the nodes; or a replica,
 * in the primary's place. */
static bool may_hope(struct pw_pool *pool)
{
	uint64_t limit = (uint64_t)pool->conf.reading.no_primary_wait;
	bool is_patient = pool->conf.reading.all_lagging != PW_ALL_LAGGING_ERROR;
	bool waits_for_replica =
	    is_patient && (is_kept_from_primary(pool) || !pw_nodes_have_primary(pool));

	return (pool->routing == PW_ROUTING_PRIMARY || waits_for_replica ||
		!pw_nodes_are_known(pool)) &&
	       (limit == 0 ||
		pw_clock_since(pool->no_node_since_us, pool->pools->loop->now_us) < limit);
}

void pw_nodes_tend(struct pw_pool *pool)
{
	struct pw_error err;

	if (!pool->cluster)
		return;
	if (pw_nodes_may_serve(pool)) {
		pool->no_node_since_us = 0;
		return;
	}
	if (pool->no_node_since_us == 0)
		pool->no_node_since_us = pool->pools->loop->now_us;
	if (may_hope(pool))
		return;
	word_refusal(pool, &err);
	pw_pool_refuse_all(pool, &err, true);
}

static bool close_one(struct pw_list *links, int slot)
{
	PW_LIST_FOREACH (node, links) {
		struct pw_link *link = PW_CONTAINER(node, struct pw_link, pool_node);

		if (link->facts.slot != slot)
			continue;
		pw_link_close(link, PW_LINK_END_CLEAN, "another node has fewer", NULL);
		return true;
	}
	return false;
}

void pw_nodes_balance(struct pw_pool *pool)
{
	int slot;

	if (!pool->cluster || pool->routing != PW_ROUTING_REPLICA || pw_pool_head(pool))
		return;
	slot = pw_nodes_crowded(pool);
	if (slot != PW_NO_SLOT && close_one(&pool->idle, slot))
		(void)pw_pool_open_link(pool);
}

bool pw_nodes_move(struct pw_link *link)
{
	struct pw_pool *pool = link->pool;
	uint64_t now = pool->pools->loop->now_us;

	/* Where nobody is let in, each that is closed would be one less. */
	if (!pw_pool_is_of_replicas(pool) || !pw_pool_head(pool) || now < pool->may_move_us ||
	    atomic_load(&pool->shared->has_failed))
		return false;
	pool->may_move_us = now + MOVE_US;
	if (pw_nodes_crowded(pool) != link->facts.slot)
		return false;
	pw_link_close(link, PW_LINK_END_CLEAN, "another node has fewer", NULL);
	return true;
}

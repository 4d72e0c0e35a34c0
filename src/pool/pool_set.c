/* SPDX-License-Identifier: PostgreSQL
 *
 * The set of one worker's pools: finding them, closing their links, taking them out.
 */
#include "config.h"

#include <stdlib.h>

#include "pgweir/base/assert.h"
#include "pool_priv.h"

void pw_pools_each(struct pw_pools *pools, void (*visit)(struct pw_pool *pool, void *arg),
		   void *arg)
{
	struct pw_map_node *node = pw_map_next(&pools->map, NULL);

	while (node) {
		struct pw_map_node *next = pw_map_next(&pools->map, node);

		visit(PW_CONTAINER(node, struct pw_pool, node), arg);
		node = next;
	}
}

static bool has_pool_id(const struct pw_map_node *node, const void *key)
{
	return PW_CONTAINER(node, const struct pw_pool, id_node)->shared->id ==
	       *(const uint64_t *)key;
}

struct pw_pool *pw_pools_find_by_id(struct pw_pools *pools, uint64_t id)
{
	struct pw_map_node *node = pw_map_find(
	    &pools->by_id, pw_hash(&pools->hash_key, &id, sizeof(id)), has_pool_id, &id);

	return node ? PW_CONTAINER(node, struct pw_pool, id_node) : NULL;
}

void pw_links_close(struct pw_list *list, const char *reason)
{
	struct pw_list *node;

	while ((node = pw_list_first(list)))
		pw_link_close(PW_CONTAINER(node, struct pw_link, pool_node), PW_LINK_END_CLEAN,
			      reason, NULL);
}

void pw_pool_close_links(struct pw_pool *pool, const char *reason, bool with_busy)
{
	pw_links_close(&pool->idle, reason);
	pw_links_close(&pool->stale, reason);
	if (!with_busy)
		return;
	pw_links_close(&pool->opening, reason);
	pw_links_close(&pool->checking, reason);
	pw_links_close(&pool->canceled, reason);
	pw_links_close(&pool->busy, reason);
}

void pw_pools_free_pool(struct pw_pool *pool)
{
	struct pw_pools *pools = pool->pools;

	pw_assert(pool->n_guests == 0);
	pw_pool_close_links(pool, "pool removed", true);
	pw_counters_add(&pools->retired, &pool->stats.now);
	pw_task_cancel(&pool->serve_task);
	if (pool->home)
		pool->home->replicas = NULL;
	if (pool->replicas)
		pool->replicas->home = NULL;
	pw_map_remove(&pools->map, &pool->node);
	pw_map_remove(&pools->by_id, &pool->id_node);
	pw_params_unref(&pools->params, pool->welcome_params);
	pw_strbuf_fini(&pool->welcome_text);
	pw_code_view_fini(&pool->code);
	pw_readable_view_fini(&pool->readable);
	pw_cluster_eye_fini(&pool->eye);
	pw_registry_put_pool(pools->registry, pool->shared);
	free(pool);
}

static void post_serve(struct pw_pool *pool, void *arg PW_UNUSED)
{
	if (pool->n_waiting > 0 || !pw_list_is_empty(&pool->welcoming))
		pw_task_post(pool->pools->loop, &pool->serve_task);
}

void pw_pools_serve_all(struct pw_pools *pools)
{
	pw_pools_each(pools, post_serve, NULL);
}

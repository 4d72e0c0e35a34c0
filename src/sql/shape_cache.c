/* SPDX-License-Identifier: PostgreSQL
 *
 * A map and a list through the same entries. What was analysed last stays whatever it takes, so
 * that the caller has it until the next call.
 */
#include "config.h"

#include "pgweir/sql/shape_cache.h"

#include <stdlib.h>

struct entry {
	struct pw_map_node node;
	struct pw_list recent;
	struct pw_id shape;
	struct pw_analysis *analysis;
	struct pw_shape_memo memo;
};

void pw_shape_cache_init(struct pw_shape_cache *cache, size_t max_bytes)
{
	pw_map_init(&cache->map);
	pw_list_init(&cache->recent);
	cache->bytes = 0;
	cache->max_bytes = max_bytes;
	cache->hits = cache->misses = 0;
	cache->last_text = NULL;
}

static size_t cost(const struct entry *e)
{
	return sizeof(*e) + e->analysis->bytes;
}

static void forget(struct pw_shape_cache *cache, struct entry *e)
{
	cache->bytes -= cost(e);
	pw_map_remove(&cache->map, &e->node);
	pw_list_remove(&e->recent);
	pw_analysis_destroy(e->analysis);
	free(e);
}

void pw_shape_cache_fini(struct pw_shape_cache *cache)
{
	struct pw_list *node;

	while ((node = pw_list_first(&cache->recent)))
		forget(cache, PW_CONTAINER(node, struct entry, recent));
	pw_map_fini(&cache->map);
}

static bool has_shape(const struct pw_map_node *node, const void *key)
{
	return pw_id_equal(PW_CONTAINER(node, const struct entry, node)->shape,
			   *(const struct pw_id *)key);
}

static struct entry *add(struct pw_shape_cache *cache, const char *text,
			 const struct pw_shape *shape)
{
	struct entry *e = calloc(1, sizeof(*e));

	if (!e)
		return NULL;
	e->shape = shape->id;
	e->analysis = pw_analysis_create(text, shape);
	if (!e->analysis || pw_map_insert(&cache->map, &e->node, shape->id.lo) != PW_OK) {
		pw_analysis_destroy(e->analysis);
		free(e);
		return NULL;
	}
	pw_list_prepend(&cache->recent, &e->recent);
	cache->bytes += cost(e);
	return e;
}

/* All but the one that was used last. */
static void make_room(struct pw_shape_cache *cache)
{
	while (cache->bytes > cache->max_bytes && cache->map.count > 1)
		forget(cache, PW_CONTAINER(pw_list_last(&cache->recent), struct entry, recent));
}

const struct pw_analysis *pw_shape_cache_get(struct pw_shape_cache *cache, const char *text,
					     const struct pw_shape *shape)
{
	static const struct pw_analysis unknown = {.is_parsed = false};
	struct pw_map_node *node;
	struct entry *e;

	/* Its id is that of its whole part, which may well be a statement. */
	if (shape->is_broken)
		return &unknown;
	node = pw_map_find(&cache->map, shape->id.lo, has_shape, &shape->id);
	if (node) {
		e = PW_CONTAINER(node, struct entry, node);
		cache->hits++;
		pw_list_remove(&e->recent);
		pw_list_prepend(&cache->recent, &e->recent);
		return e->analysis;
	}
	cache->misses++;
	e = add(cache, text, shape);
	if (!e)
		return NULL;
	make_room(cache);
	return e->analysis;
}

const struct pw_shape *pw_shape_cache_take(struct pw_shape_cache *cache,
					   const struct pw_shape_key *key, const char *text,
					   size_t len)
{
	if (cache->last_text != text || cache->last_len != len) {
		pw_shape_take(&cache->last, key, text, len);
		cache->last_text = text;
		cache->last_len = len;
	}
	return &cache->last;
}

void pw_shape_cache_let_go(struct pw_shape_cache *cache)
{
	cache->last_text = NULL;
}

struct pw_shape_memo *pw_shape_cache_memo(struct pw_shape_cache *cache,
					  const struct pw_shape *shape)
{
	struct pw_list *node = pw_list_first(&cache->recent);
	struct entry *e = node ? PW_CONTAINER(node, struct entry, recent) : NULL;

	return e && !shape->is_broken && pw_id_equal(e->shape, shape->id) ? &e->memo : NULL;
}

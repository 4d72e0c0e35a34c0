/* SPDX-License-Identifier: PostgreSQL
 *
 * Buckets are a power of two and double when there are as many nodes; they never shrink. A map that
 * cannot grow goes on, with longer chains.
 */
#include "config.h"

#include "pgweir/base/map.h"

#include <stdlib.h>
#include <string.h>

#include "pgweir/base/assert.h"

enum { FIRST_BITS = 3 };

static size_t bucket_of(const struct pw_map *map, uint64_t hash)
{
	return (size_t)(hash & ((UINT64_C(1) << map->bits) - 1));
}

static void link_node(struct pw_map *map, struct pw_map_node *node)
{
	struct pw_map_node **bucket = &map->buckets[bucket_of(map, node->hash)];

	node->next = *bucket;
	*bucket = node;
}

static bool grow(struct pw_map *map)
{
	struct pw_map bigger = {.bits = map->buckets ? map->bits + 1 : FIRST_BITS};
	struct pw_map_node **old = map->buckets;
	size_t old_size = old ? (size_t)1 << map->bits : 0;

	bigger.buckets = calloc((size_t)1 << bigger.bits, sizeof(*bigger.buckets));
	if (!bigger.buckets)
		return false;
	for (size_t i = 0; i < old_size; i++) {
		for (struct pw_map_node *node = old[i], *next; node; node = next) {
			next = node->next;
			link_node(&bigger, node);
		}
	}
	free(old);
	map->buckets = bigger.buckets;
	map->bits = bigger.bits;
	return true;
}

void pw_map_init(struct pw_map *map)
{
	memset(map, 0, sizeof(*map));
}

void pw_map_fini(struct pw_map *map)
{
	free(map->buckets);
	pw_map_init(map);
}

enum pw_status pw_map_insert(struct pw_map *map, struct pw_map_node *node, uint64_t hash)
{
	bool is_full = !map->buckets || map->count >= (size_t)1 << map->bits;

	/* A full map that cannot grow still works, only slower. */
	if (is_full && !grow(map) && !map->buckets)
		return PW_ENOMEM;
	node->hash = hash;
	link_node(map, node);
	map->count++;
	return PW_OK;
}

struct pw_map_node *pw_map_find(const struct pw_map *map, uint64_t hash, pw_map_equal *is_equal,
				const void *key)
{
	if (!map->buckets)
		return NULL;
	for (struct pw_map_node *node = map->buckets[bucket_of(map, hash)]; node;
	     node = node->next) {
		if (node->hash == hash && is_equal(node, key))
			return node;
	}
	return NULL;
}

void pw_map_remove(struct pw_map *map, struct pw_map_node *node)
{
	struct pw_map_node **at = &map->buckets[bucket_of(map, node->hash)];

	while (*at != node) {
		pw_assert(*at != NULL);
		at = &(*at)->next;
	}
	*at = node->next;
	node->next = NULL;
	map->count--;
}

struct pw_map_node *pw_map_next(const struct pw_map *map, const struct pw_map_node *node)
{
	size_t i;

	if (!map->buckets)
		return NULL;
	if (node && node->next)
		return node->next;
	i = node ? bucket_of(map, node->hash) + 1 : 0;
	for (; i < (size_t)1 << map->bits; i++) {
		if (map->buckets[i])
			return map->buckets[i];
	}
	return NULL;
}

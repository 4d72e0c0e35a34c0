/* SPDX-License-Identifier: PostgreSQL
 *
 * Intrusive chained hash map. The node lies inside the caller's object and the map owns no object,
 * only its bucket array (none until the first insertion). The caller hashes (base/hash.h) and
 * compares. One thread.
 */
#ifndef PGWEIR_BASE_MAP_H
#define PGWEIR_BASE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pgweir/base/list.h"
#include "pgweir/base/status.h"

struct pw_map_node {
	struct pw_map_node *next;
	uint64_t hash;
};

struct pw_map {
	struct pw_map_node **buckets; /* 2^bits of them, NULL while empty */
	size_t count;
	uint8_t bits;
};

typedef bool pw_map_equal(const struct pw_map_node *node, const void *key);

void pw_map_init(struct pw_map *map);
/* The nodes must have been freed, or forgotten, by the caller. */
void pw_map_fini(struct pw_map *map);

/* PW_ENOMEM where the bucket array cannot be made. The key must not be in the map yet. */
PW_MUSTCHECK enum pw_status pw_map_insert(struct pw_map *map, struct pw_map_node *node,
					  uint64_t hash);
struct pw_map_node *pw_map_find(const struct pw_map *map, uint64_t hash, pw_map_equal *is_equal,
				const void *key);
void pw_map_remove(struct pw_map *map, struct pw_map_node *node);

/* Walks in no order; pass NULL to begin, ends with NULL. Removing the returned node before asking
 * for the next one is not allowed: take the next one first. */
struct pw_map_node *pw_map_next(const struct pw_map *map, const struct pw_map_node *node);

#endif

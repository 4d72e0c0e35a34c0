/* SPDX-License-Identifier: PostgreSQL
 *
 * Analyses by shape, the least recently used forgotten first, bounded in bytes. A text whose shape
 * is known costs a look-up; another one costs what libpg_query costs.
 *
 * One worker's: one thread.
 */
#ifndef PGWEIR_SQL_SHAPE_CACHE_H
#define PGWEIR_SQL_SHAPE_CACHE_H

#include "pgweir/base/list.h"
#include "pgweir/base/map.h"
#include "pgweir/sql/analysis.h"

/* What somebody has made of an analysis, and as of when; the cache knows nothing of it. */
struct pw_shape_memo {
	uint64_t whose; /* some number, never used twice */
	uint64_t as_of; /* 0 = nothing yet */
	unsigned value;
};

struct pw_shape_cache {
	struct pw_map map;
	struct pw_list recent; /* most recently used first */
	size_t bytes, max_bytes;
	uint64_t hits, misses;
	/* Of the text that was last taken; NULL = none. */
	const char *last_text;
	size_t last_len;
	struct pw_shape last;
};

void pw_shape_cache_init(struct pw_shape_cache *cache, size_t max_bytes);
void pw_shape_cache_fini(struct pw_shape_cache *cache);
/* The shape of a text, which is gone through once where two ask for it in turn. Borrowed until the
 * next call. */
const struct pw_shape *pw_shape_cache_take(struct pw_shape_cache *cache,
					   const struct pw_shape_key *key, const char *text,
					   size_t len);
/* Before what lies where the text did may be another one. */
void pw_shape_cache_let_go(struct pw_shape_cache *cache);
/* The analysis of the text, whose shape this must be. Borrowed until the next call; NULL without
 * memory. */
const struct pw_analysis *pw_shape_cache_get(struct pw_shape_cache *cache, const char *text,
					     const struct pw_shape *shape);
/* Beside the analysis that was got last, which must be of that shape; NULL = there is none. Valid
 * as long as that. */
struct pw_shape_memo *pw_shape_cache_memo(struct pw_shape_cache *cache,
					  const struct pw_shape *shape);

#endif

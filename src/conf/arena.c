/* SPDX-License-Identifier: PostgreSQL
 *
 * The memory of a configuration. It holds passwords, so every chunk is wiped before it is freed.
 * Reference counted because a configuration made by pw_conf_set() shares its origin's arena. Only
 * the loading thread allocates; whoever drops the last reference frees.
 */
#include "config.h"

#include "conf_priv.h"

#include <stdlib.h>
#include <string.h>

#include "pgweir/base/refcount.h"

enum {
	CHUNK_BYTES = 8192,
	ALIGNMENT = 16,
};

struct chunk {
	struct chunk *next;
	size_t used;
	size_t size;
	_Alignas(ALIGNMENT) char bytes[];
};

struct pw_conf_arena {
	struct pw_refcount refs;
	struct chunk *chunks;
	bool has_failed;
};

struct pw_conf_arena *pw_conf_arena_create(void)
{
	struct pw_conf_arena *arena = calloc(1, sizeof(*arena));

	if (arena)
		pw_refcount_init(&arena->refs);
	return arena;
}

struct pw_conf_arena *pw_conf_arena_ref(struct pw_conf_arena *arena)
{
	pw_refcount_ref(&arena->refs);
	return arena;
}

void pw_conf_arena_unref(struct pw_conf_arena *arena)
{
	struct chunk *chunk;

	if (!arena || !pw_refcount_unref(&arena->refs))
		return;
	while ((chunk = arena->chunks) != NULL) {
		arena->chunks = chunk->next;
		explicit_bzero(chunk->bytes, chunk->used);
		free(chunk);
	}
	free(arena);
}

static struct chunk *add_chunk(struct pw_conf_arena *arena, size_t size)
{
	struct chunk *chunk;

	if (size < CHUNK_BYTES)
		size = CHUNK_BYTES;
	chunk = calloc(1, sizeof(*chunk) + size);
	if (!chunk) {
		arena->has_failed = true;
		return NULL;
	}
	chunk->size = size;
	chunk->next = arena->chunks;
	arena->chunks = chunk;
	return chunk;
}

void *pw_conf_arena_alloc(struct pw_conf_arena *arena, size_t size)
{
	struct chunk *chunk = arena->chunks;
	void *place;

	if (size > SIZE_MAX / 2) {
		arena->has_failed = true;
		return NULL;
	}
	size = (size + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
	if (!chunk || chunk->size - chunk->used < size)
		chunk = add_chunk(arena, size);
	if (!chunk)
		return NULL;
	place = chunk->bytes + chunk->used;
	chunk->used += size;
	return place;
}

const char *pw_conf_arena_copy(struct pw_conf_arena *arena, const char *text)
{
	size_t size;
	char *copy;

	if (!text || text[0] == '\0')
		return text ? "" : NULL;
	size = strlen(text) + 1;
	copy = pw_conf_arena_alloc(arena, size);
	if (!copy)
		return "";
	memcpy(copy, text, size);
	return copy;
}

bool pw_conf_arena_has_failed(const struct pw_conf_arena *arena)
{
	return arena->has_failed;
}

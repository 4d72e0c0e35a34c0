/* SPDX-License-Identifier: PostgreSQL
 *
 * The rows of a section while a file is read: as many as there are, each with its place. In the
 * end they become one array, sorted by name, with the last one of each name. On the loading thread.
 */
#include "config.h"

#include "conf_priv.h"

#include <stdlib.h>
#include <string.h>

enum pw_status pw_conf_entries_add(struct pw_conf_entries *to, const char *name,
				   const struct pw_ini_pos *pos, const void *row)
{
	struct pw_conf_entry *items = to->items;
	void *copy = malloc(to->row_size);

	if (copy && to->n == to->capacity) {
		size_t capacity = to->capacity ? to->capacity * 2 : 16;

		items = reallocarray(to->items, capacity, sizeof(*items));
		if (items) {
			to->items = items;
			to->capacity = capacity;
		}
	}
	if (!copy || !items) {
		free(copy);
		return PW_ENOMEM;
	}
	memcpy(copy, row, to->row_size);
	items[to->n] = (struct pw_conf_entry){name, *pos, to->n, copy};
	to->n++;
	return PW_OK;
}

static int compare_entries(const void *a, const void *b)
{
	const struct pw_conf_entry *x = a, *y = b;
	int order = strcmp(x->name, y->name);

	if (order != 0)
		return order;
	return x->seq < y->seq ? -1 : 1;
}

enum pw_status pw_conf_entries_freeze(struct pw_conf_entries *from, struct pw_conf_arena *arena,
				      struct pw_conf_problems *warnings, struct pw_conf_frozen *out)
{
	struct pw_ini_pos *places = NULL;
	char *rows = NULL;

	*out = (struct pw_conf_frozen){NULL, NULL, 0};
	if (from->n == 0)
		return PW_OK;
	qsort(from->items, from->n, sizeof(*from->items), compare_entries);
	if (from->n < SIZE_MAX / from->row_size && from->n < SIZE_MAX / sizeof(*places)) {
		rows = pw_conf_arena_alloc(arena, from->n * from->row_size);
		places = pw_conf_arena_alloc(arena, from->n * sizeof(*places));
	}
	if (!rows || !places)
		return PW_ENOMEM;
	for (size_t i = 0; i < from->n; i++) {
		const struct pw_conf_entry *item = &from->items[i], *next = item + 1;

		if (i + 1 < from->n && strcmp(item->name, next->name) == 0) {
			pw_conf_problem(warnings, &next->pos,
					"%s \"%s\" is defined again, the earlier definition does "
					"not count",
					from->noun, item->name);
			continue;
		}
		memcpy(rows + out->n * from->row_size, item->row, from->row_size);
		places[out->n++] = item->pos;
	}
	out->rows = rows;
	out->places = places;
	return PW_OK;
}

void pw_conf_entries_fini(struct pw_conf_entries *entries)
{
	for (size_t i = 0; i < entries->n; i++)
		free(entries->items[i].row);
	free(entries->items);
}

/* SPDX-License-Identifier: PostgreSQL
 *
 * The channels that the hub listens to, each with the workers that want it.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "hub_priv.h"

struct pw_board_entry {
	struct pw_map_node node;
	uint64_t workers[PW_WORKERS_MAX / 64];
	char name[];
};

void pw_board_init(struct pw_board *board, const struct pw_hash_key *key)
{
	pw_map_init(&board->map);
	board->key = key;
}

void pw_board_clear(struct pw_board *board)
{
	struct pw_map_node *node = pw_map_next(&board->map, NULL);

	while (node) {
		struct pw_map_node *next = pw_map_next(&board->map, node);

		free(PW_CONTAINER(node, struct pw_board_entry, node));
		node = next;
	}
	pw_map_fini(&board->map);
	pw_map_init(&board->map);
}

static bool has_name(const struct pw_map_node *node, const void *name)
{
	return strcmp(PW_CONTAINER(node, const struct pw_board_entry, node)->name, name) == 0;
}

static struct pw_board_entry *find(const struct pw_board *board, const char *name)
{
	struct pw_map_node *node =
	    pw_map_find(&board->map, pw_hash(board->key, name, strlen(name)), has_name, name);

	return node ? PW_CONTAINER(node, struct pw_board_entry, node) : NULL;
}

const struct pw_board_entry *pw_board_find(const struct pw_board *board, const char *name)
{
	return find(board, name);
}

bool pw_board_is_wanted_by(const struct pw_board_entry *entry, unsigned worker)
{
	return entry->workers[worker / 64] >> worker % 64 & 1;
}

static struct pw_board_entry *add(struct pw_board *board, const char *name)
{
	size_t len = strlen(name);
	struct pw_board_entry *entry = calloc(1, sizeof(*entry) + len + 1);

	if (!entry)
		return NULL;
	memcpy(entry->name, name, len + 1);
	if (pw_map_insert(&board->map, &entry->node, pw_hash(board->key, name, len)) == PW_OK)
		return entry;
	free(entry);
	return NULL;
}

enum pw_status pw_board_want(struct pw_board *board, const char *name, unsigned worker,
			     struct pw_strbuf *sql)
{
	struct pw_board_entry *entry = find(board, name);

	if (!entry) {
		entry = add(board, name);
		if (!entry)
			return PW_ENOMEM;
		pw_channels_write(sql, "LISTEN", name);
	}
	entry->workers[worker / 64] |= UINT64_C(1) << worker % 64;
	return PW_OK;
}

static bool is_wanted(const struct pw_board_entry *entry)
{
	for (size_t i = 0; i < PW_COUNTOF(entry->workers); i++) {
		if (entry->workers[i])
			return true;
	}
	return false;
}

void pw_board_drop(struct pw_board *board, const char *name, unsigned worker, struct pw_strbuf *sql)
{
	struct pw_board_entry *entry = find(board, name);

	if (!entry)
		return;
	entry->workers[worker / 64] &= ~(UINT64_C(1) << worker % 64);
	if (is_wanted(entry))
		return;
	pw_channels_write(sql, "UNLISTEN", name);
	pw_map_remove(&board->map, &entry->node);
	free(entry);
}

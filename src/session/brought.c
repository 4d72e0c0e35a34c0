/* SPDX-License-Identifier: PostgreSQL
 *
 * A map by name. It keeps no buckets while it is empty.
 */
#include "config.h"

#include "pgweir/session/brought.h"

#include <stdlib.h>
#include <string.h>

static uint64_t hash_of(const struct pw_brought *brought, const char *name)
{
	return pw_hash(&brought->key, name, strlen(name));
}

static bool has_name(const struct pw_map_node *node, const void *key)
{
	return strcmp(PW_CONTAINER(node, const struct pw_brought_name, node)->name, key) == 0;
}

static struct pw_brought_name *name_of(struct pw_map_node *node)
{
	return node ? PW_CONTAINER(node, struct pw_brought_name, node) : NULL;
}

void pw_brought_init(struct pw_brought *brought, const struct pw_hash_key *key)
{
	pw_map_init(&brought->map);
	brought->key = *key;
}

void pw_brought_clear(struct pw_brought *brought)
{
	struct pw_map_node *node = pw_map_next(&brought->map, NULL);

	while (node) {
		struct pw_map_node *next = pw_map_next(&brought->map, node);

		pw_brought_remove(brought, name_of(node));
		node = next;
	}
	pw_map_fini(&brought->map);
	pw_map_init(&brought->map);
}

struct pw_brought_name *pw_brought_find(const struct pw_brought *brought, const char *name)
{
	if (brought->map.count == 0)
		return NULL;
	return name_of(pw_map_find(&brought->map, hash_of(brought, name), has_name, name));
}

struct pw_brought_name *pw_brought_add(struct pw_brought *brought, const char *name, unsigned form)
{
	size_t size = strlen(name) + 1;
	struct pw_brought_name *added = malloc(sizeof(*added) + size);

	if (!added)
		return NULL;
	added->form = form;
	memcpy(added->name, name, size);
	if (pw_map_insert(&brought->map, &added->node, hash_of(brought, name)) == PW_OK)
		return added;
	free(added);
	return NULL;
}

void pw_brought_remove(struct pw_brought *brought, struct pw_brought_name *name)
{
	if (!name)
		return;
	pw_map_remove(&brought->map, &name->node);
	free(name);
}

struct pw_brought_name *pw_brought_next(const struct pw_brought *brought,
					struct pw_brought_name *name)
{
	return name_of(pw_map_next(&brought->map, name ? &name->node : NULL));
}

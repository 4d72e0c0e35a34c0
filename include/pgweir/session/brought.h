/* SPDX-License-Identifier: PostgreSQL
 *
 * What a link has of one client's prepared statements under the client's own names: a set of names,
 * each with what its owner (client/relay_names.c) notes of it. One thread.
 */
#ifndef PGWEIR_SESSION_BROUGHT_H
#define PGWEIR_SESSION_BROUGHT_H

#include <stddef.h>

#include "pgweir/base/hash.h"
#include "pgweir/base/map.h"

struct pw_brought_name {
	struct pw_map_node node;
	unsigned form; /* the owner's */
	char name[];
};

struct pw_brought {
	struct pw_map map;
	struct pw_hash_key key;
};

void pw_brought_init(struct pw_brought *brought, const struct pw_hash_key *key);
/* Empty afterwards, and may be used on. */
void pw_brought_clear(struct pw_brought *brought);
/* NULL = it is not there. Borrowed until it is removed. */
struct pw_brought_name *pw_brought_find(const struct pw_brought *brought, const char *name);
/* One that is not there yet; NULL without memory. */
struct pw_brought_name *pw_brought_add(struct pw_brought *brought, const char *name, unsigned form);
/* NULL is fine. */
void pw_brought_remove(struct pw_brought *brought, struct pw_brought_name *name);
/* In no order; begins with NULL and ends with it. None may be removed meanwhile. */
struct pw_brought_name *pw_brought_next(const struct pw_brought *brought,
					struct pw_brought_name *name);

static inline size_t pw_brought_count(const struct pw_brought *brought)
{
	return brought->map.count;
}

#endif

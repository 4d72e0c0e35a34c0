/* SPDX-License-Identifier: PostgreSQL
 *
 * Sets of tracked parameter values (DateStyle, client_encoding, TimeZone,
 * standard_conforming_strings, application_name and track_extra_parameters), as a server has
 * reported them or a client wants them.
 *
 * A set is immutable and interned: equal sets have the same content id everywhere in the process,
 * so "does this link fit?" is one comparison, and thousands of clients share one set. A table and
 * its sets belong to one worker; across threads goes a loose copy (export, import).
 */
#ifndef PGWEIR_POOL_PARAMS_H
#define PGWEIR_POOL_PARAMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pgweir/base/hash.h"
#include "pgweir/base/map.h"
#include "pgweir/base/status.h"
#include "pgweir/base/strbuf.h"

enum { PW_TRACKED_MAX = 32, PW_PARAM_VALUE_MAX = 8192 };

/* The names, fixed for the life of the process. */
struct pw_tracked {
	size_t n;
	const char *names[PW_TRACKED_MAX];
	char *storage; /* owned: the extra names */
};

PW_MUSTCHECK enum pw_status pw_tracked_init(struct pw_tracked *tracked, const char *extra);
void pw_tracked_fini(struct pw_tracked *tracked);
/* Index of a name, whatever its case; -1 = not tracked. */
int pw_tracked_find(const struct pw_tracked *tracked, const char *name);
/* Parts what a server has reported (name, value, name, value ...): tracked values by their index,
 * pointers into it, the others as ParameterStatus messages. */
void pw_tracked_part(const struct pw_tracked *tracked, const struct pw_strbuf *reported,
		     const char *values[PW_TRACKED_MAX], struct pw_strbuf *others);

struct pw_params {
	struct pw_map_node node;
	unsigned refs;
	struct pw_id id;
	struct pw_id parse_id; /* of the values that a server bakes into what it parses */
	uint16_t n;
	const char *values[]; /* NULL = not set; in one allocation with the set */
};

/* The same where a server that has reported `params` (NULL = nothing) reports this one by itself.
 * PostgreSQL reports all that it ever will when it logs somebody in: any other tracked name is a
 * setting like those that are not tracked. */
int pw_params_find_reported(const struct pw_tracked *tracked, const struct pw_params *params,
			    const char *name);

struct pw_params_table {
	struct pw_map map;
	struct pw_hash_key key;
	const struct pw_tracked *tracked; /* borrowed, outlives the table */
};

void pw_params_table_init(struct pw_params_table *table, const struct pw_tracked *tracked,
			  const struct pw_hash_key *key);
void pw_params_table_fini(struct pw_params_table *table);

/* The set with these values (tracked->n of them, NULL = not set); a new reference, NULL without
 * memory. */
struct pw_params *pw_params_intern(struct pw_params_table *table, const char *const *values);
/* The same set but for one value. */
struct pw_params *pw_params_with(struct pw_params_table *table, const struct pw_params *base,
				 size_t index, const char *value);
/* `over`, with the gaps filled from `base`. */
struct pw_params *pw_params_overlay(struct pw_params_table *table, const struct pw_params *base,
				    const struct pw_params *over);
struct pw_params *pw_params_ref(struct pw_params *params);
/* May be given NULL. */
void pw_params_unref(struct pw_params_table *table, struct pw_params *params);
/* A copy in no table, for another worker; NULL stays NULL, *ok tells whether there was memory. */
struct pw_params *pw_params_export(const struct pw_params *params, bool *ok);
/* The exported set as this table's own (a new reference); frees the copy. */
struct pw_params *pw_params_import(struct pw_params_table *table, struct pw_params *copy);

/* The settings that are in force where a statement is parsed; `params` may be NULL. */
static inline struct pw_id pw_params_parse_id(const struct pw_params *params)
{
	return params ? params->parse_id : (struct pw_id){0, 0};
}

static inline bool pw_params_are_equal(const struct pw_params *a, const struct pw_params *b)
{
	return a == b || (a && b && pw_id_equal(a->id, b->id));
}

#endif

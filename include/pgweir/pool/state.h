/* SPDX-License-Identifier: PostgreSQL
 *
 * What a session has set, beyond what its server began with: names and values, immutable. Equal
 * states are one object within a worker and have one id in the whole process, so "does this link
 * fit this client?" is one comparison.
 *
 * The id is a sum over the pairs: a change of one value needs the hash of that pair alone, and the
 * order in which things were set does not matter. It is keyed by a secret of the process.
 *
 * A state is counted, and belongs to one worker; another one gets a copy of its text. One thread.
 */
#ifndef PGWEIR_POOL_STATE_H
#define PGWEIR_POOL_STATE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pgweir/base/hash.h"
#include "pgweir/base/map.h"
#include "pgweir/base/strbuf.h"

/* In the order of strcmp() of their names, which are the caller's to spell: in small letters, as
 * the server calls them. */
struct pw_setting {
	const char *name, *value;
};

struct pw_state {
	struct pw_map_node node;
	struct pw_states *states;
	struct pw_id id;
	struct pw_id parse_id; /* of those that decide what a text means to a server */
	unsigned refs;
	unsigned n;
	size_t bytes;                 /* that it takes */
	struct pw_setting settings[]; /* and their text */
};

/* All states of a worker. */
struct pw_states {
	struct pw_map map;
	struct pw_hash_key key;
	_Atomic uint64_t *total_bytes; /* of all workers; borrowed; NULL = nobody counts */
};

void pw_states_init(struct pw_states *states, const struct pw_hash_key *key);
/* No state may be left. */
void pw_states_fini(struct pw_states *states);

/* Nothing is set. These give a reference, NULL without memory. */
struct pw_state *pw_state_empty(struct pw_states *states);
/* The same but for one value; NULL takes the name out. */
struct pw_state *pw_state_with(struct pw_state *state, const char *name, const char *value);
/* What RESET ALL leaves of it: names with a dot, whose values are empty then. */
struct pw_state *pw_state_reset(struct pw_state *state);
struct pw_state *pw_state_ref(struct pw_state *state);
void pw_state_unref(struct pw_state *state);

/* Does a server keep the setting's value in what it parses, and never look at it again? */
bool pw_setting_is_baked(const char *name);
/* Does a text mean something else under another value of it? Of those that a server does not
 * report. In whatever letters. */
bool pw_setting_is_parsed_under(const char *name);
/* NULL: not set. */
const char *pw_state_find(const struct pw_state *state, const char *name);
/* What must be set (value) or reset (NULL) on what has `from`, that it has `to`; in the order of
 * the names. */
void pw_state_diff(const struct pw_state *from, const struct pw_state *to,
		   void (*visit)(const char *name, const char *value, void *arg), void *arg);

/* For another worker: the text alone, and what that worker makes of it; NULL where memory is short
 * or the text is none. */
void pw_state_export(const struct pw_state *state, struct pw_strbuf *out);
struct pw_state *pw_state_import(struct pw_states *states, const struct pw_strbuf *text);

#endif

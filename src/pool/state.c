/* SPDX-License-Identifier: PostgreSQL
 *
 * A state is made as a list of settings that borrow their text, looked up by its id, and copied
 * into one block of memory if it is new.
 */
#include "config.h"

#include "pgweir/pool/state.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "pgweir/base/assert.h"
#include "pgweir/base/status.h"

void pw_states_init(struct pw_states *states, const struct pw_hash_key *key)
{
	pw_map_init(&states->map);
	states->key = *key;
	states->total_bytes = NULL;
}

void pw_states_fini(struct pw_states *states)
{
	pw_assert(states->map.count == 0);
	pw_map_fini(&states->map);
}

/* ---- ids ---- */

static bool add_to_id(const struct pw_states *states, struct pw_id *id,
		      const struct pw_setting *setting)
{
	struct pw_strbuf text = PW_STRBUF_INIT;
	struct pw_id one;

	/* With their zeros, so that no two pairs read alike. */
	pw_strbuf_add(&text, setting->name, strlen(setting->name) + 1);
	pw_strbuf_add(&text, setting->value, strlen(setting->value) + 1);
	if (text.has_failed)
		return false;
	one = pw_hash_id(&states->key, text.data, text.len);
	id->lo += one.lo;
	id->hi += one.hi;
	pw_strbuf_fini(&text);
	return true;
}

static bool has_id(const struct pw_map_node *node, const void *key)
{
	return pw_id_equal(PW_CONTAINER(node, const struct pw_state, node)->id,
			   *(const struct pw_id *)key);
}

/* ---- what a text means ---- */

/* Read by the parser or by the input functions of constants (guc.c of PostgreSQL 15); those that a
 * server reports are in pool/params.h. */
bool pw_setting_is_baked(const char *name)
{
	static const char *const names[] = {
	    "array_nulls", "backslash_quote",        "lc_monetary", "lc_numeric",
	    "lc_time",     "timezone_abbreviations", "xmloption",   "transform_null_equals"};

	for (size_t i = 0; i < PW_COUNTOF(names); i++) {
		if (strcasecmp(names[i], name) == 0)
			return true;
	}
	return false;
}

/* These as well: a server looks at them again when it runs the statement, and makes a new plan
 * where they differ. */
bool pw_setting_is_parsed_under(const char *name)
{
	return pw_setting_is_baked(name) || strcasecmp(name, "search_path") == 0 ||
	       strcasecmp(name, "role") == 0 || strcasecmp(name, "session_authorization") == 0;
}

static bool identify_parsing(struct pw_state *state)
{
	state->parse_id = (struct pw_id){0, 0};
	for (unsigned i = 0; i < state->n; i++) {
		if (pw_setting_is_parsed_under(state->settings[i].name) &&
		    !add_to_id(state->states, &state->parse_id, &state->settings[i]))
			return false;
	}
	return true;
}

/* ---- making one ---- */

static size_t text_size(const struct pw_setting *settings, unsigned n)
{
	size_t size = 0;

	for (unsigned i = 0; i < n; i++)
		size += strlen(settings[i].name) + strlen(settings[i].value) + 2;
	return size;
}

static const char *put(char **at, const char *text)
{
	char *begin = *at;
	size_t size = strlen(text) + 1;

	memcpy(begin, text, size);
	*at += size;
	return begin;
}

static struct pw_state *create(struct pw_states *states, const struct pw_setting *settings,
			       unsigned n, struct pw_id id)
{
	size_t bytes = sizeof(struct pw_state) + n * sizeof(*settings) + text_size(settings, n);
	struct pw_state *state = malloc(bytes);
	char *at;

	if (!state)
		return NULL;
	at = (char *)&state->settings[n];
	for (unsigned i = 0; i < n; i++) {
		state->settings[i].name = put(&at, settings[i].name);
		state->settings[i].value = put(&at, settings[i].value);
	}
	state->states = states;
	state->id = id;
	state->refs = 0;
	state->n = n;
	state->bytes = bytes;
	if (!identify_parsing(state) || pw_map_insert(&states->map, &state->node, id.lo) != PW_OK) {
		free(state);
		return NULL;
	}
	if (states->total_bytes)
		atomic_fetch_add_explicit(states->total_bytes, bytes, memory_order_relaxed);
	return state;
}

/* A reference to the one state with these settings. */
static struct pw_state *intern(struct pw_states *states, const struct pw_setting *settings,
			       unsigned n)
{
	struct pw_id id = {0, 0};
	struct pw_map_node *node;
	struct pw_state *state;

#ifdef PW_MUTANT_STATE_ID_OFF_BY_ONE
	for (unsigned i = 1; i < n; i++) {
#else
	for (unsigned i = 0; i < n; i++) {
#endif
		if (!add_to_id(states, &id, &settings[i]))
			return NULL;
	}
	node = pw_map_find(&states->map, id.lo, has_id, &id);
	state = node ? PW_CONTAINER(node, struct pw_state, node) : create(states, settings, n, id);
	return state ? pw_state_ref(state) : NULL;
}

struct pw_state *pw_state_empty(struct pw_states *states)
{
	return intern(states, NULL, 0);
}

/* The place of the name, or the one where it would be. */
static unsigned find_place(const struct pw_state *state, const char *name, bool *is_there)
{
	unsigned from = 0, to = state->n;

	*is_there = false;
	while (from < to) {
		unsigned middle = from + (to - from) / 2;
		int order = strcmp(name, state->settings[middle].name);

		if (order == 0) {
			*is_there = true;
			return middle;
		}
		if (order < 0)
			to = middle;
		else
			from = middle + 1;
	}
	return from;
}

struct pw_state *pw_state_with(struct pw_state *state, const char *name, const char *value)
{
	bool is_there;
	unsigned place = find_place(state, name, &is_there), n = 0;
	struct pw_setting *settings;
	struct pw_state *result;

	if (!value && !is_there)
		return pw_state_ref(state);
	settings = malloc((state->n + 1) * sizeof(*settings));
	if (!settings)
		return NULL;
	for (unsigned i = 0; i < place; i++)
		settings[n++] = state->settings[i];
	if (value)
		settings[n++] = (struct pw_setting){name, value};
	for (unsigned i = place + is_there; i < state->n; i++)
		settings[n++] = state->settings[i];
	result = intern(state->states, settings, n);
	free(settings);
	return result;
}

struct pw_state *pw_state_reset(struct pw_state *state)
{
	struct pw_setting *settings = malloc((state->n + 1) * sizeof(*settings));
	struct pw_state *result;
	unsigned n = 0;

	if (!settings)
		return NULL;
	for (unsigned i = 0; i < state->n; i++) {
		if (strchr(state->settings[i].name, '.'))
			settings[n++] = (struct pw_setting){state->settings[i].name, ""};
	}
	result = intern(state->states, settings, n);
	free(settings);
	return result;
}

struct pw_state *pw_state_ref(struct pw_state *state)
{
	state->refs++;
	return state;
}

void pw_state_unref(struct pw_state *state)
{
	if (!state || --state->refs > 0)
		return;
	pw_map_remove(&state->states->map, &state->node);
	if (state->states->total_bytes)
		atomic_fetch_sub_explicit(state->states->total_bytes, state->bytes,
					  memory_order_relaxed);
	free(state);
}

/* ---- questions ---- */

const char *pw_state_find(const struct pw_state *state, const char *name)
{
	bool is_there;
	unsigned place = find_place(state, name, &is_there);

	return is_there ? state->settings[place].value : NULL;
}

void pw_state_diff(const struct pw_state *from, const struct pw_state *to,
		   void (*visit)(const char *name, const char *value, void *arg), void *arg)
{
	unsigned i = 0, k = 0;

	while (i < from->n || k < to->n) {
		const struct pw_setting *old = i < from->n ? &from->settings[i] : NULL;
		const struct pw_setting *new = k < to->n ? &to->settings[k] : NULL;
		int order = !old ? 1 : !new ? -1 : strcmp(old->name, new->name);

		if (order < 0)
			visit(old->name, NULL, arg);
		else if (order > 0 || strcmp(old->value, new->value) != 0)
			visit(new->name, new->value, arg);
		i += order <= 0;
		k += order >= 0;
	}
}

/* ---- to another worker ---- */

void pw_state_export(const struct pw_state *state, struct pw_strbuf *out)
{
	for (unsigned i = 0; i < state->n; i++) {
		pw_strbuf_add(out, state->settings[i].name, strlen(state->settings[i].name) + 1);
		pw_strbuf_add(out, state->settings[i].value, strlen(state->settings[i].value) + 1);
	}
}

static size_t count_zeros(const struct pw_strbuf *text)
{
	size_t n = 0;

	for (size_t i = 0; i < text->len; i++)
		n += text->data[i] == '\0';
	return n;
}

struct pw_state *pw_state_import(struct pw_states *states, const struct pw_strbuf *text)
{
	size_t n = count_zeros(text) / 2;
	struct pw_setting *settings;
	struct pw_state *state;
	const char *at = text->data;

	if (text->has_failed)
		return NULL;
	if (n == 0)
		return pw_state_empty(states);
	settings = malloc(n * sizeof(*settings));
	if (!settings)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		settings[i].name = at;
		at += strlen(at) + 1;
		settings[i].value = at;
		at += strlen(at) + 1;
	}
	state = intern(states, settings, (unsigned)n);
	free(settings);
	return state;
}

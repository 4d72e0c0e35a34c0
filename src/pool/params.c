/* SPDX-License-Identifier: PostgreSQL
 *
 * The table holds no reference: a set leaves the table with its last one.
 */
#include "config.h"

#include "pgweir/pool/params.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "pgweir/base/strbuf.h"
#include "pgweir/proto/writer.h"

/* A label, and none of what a server bakes into a statement. */
enum { APPLICATION_NAME = 4 };

static const char *const always_tracked[] = {
    "DateStyle",
    "client_encoding",
    "TimeZone",
    "standard_conforming_strings",
    [APPLICATION_NAME] = "application_name",
};

enum pw_status pw_tracked_init(struct pw_tracked *tracked, const char *extra)
{
	char *save = NULL;

	memset(tracked, 0, sizeof(*tracked));
	for (size_t i = 0; i < PW_COUNTOF(always_tracked); i++)
		tracked->names[tracked->n++] = always_tracked[i];
	tracked->storage = strdup(extra ? extra : "");
	if (!tracked->storage)
		return PW_ENOMEM;
	for (char *name = strtok_r(tracked->storage, ", \t", &save); name;
	     name = strtok_r(NULL, ", \t", &save)) {
		if (pw_tracked_find(tracked, name) >= 0)
			continue;
		if (tracked->n == PW_TRACKED_MAX)
			return PW_ELIMIT;
		tracked->names[tracked->n++] = name;
	}
	return PW_OK;
}

void pw_tracked_fini(struct pw_tracked *tracked)
{
	free(tracked->storage);
	memset(tracked, 0, sizeof(*tracked));
}

int pw_tracked_find(const struct pw_tracked *tracked, const char *name)
{
	for (size_t i = 0; i < tracked->n; i++) {
		if (strcasecmp(tracked->names[i], name) == 0)
			return (int)i;
	}
	return -1;
}

int pw_params_find_reported(const struct pw_tracked *tracked, const struct pw_params *params,
			    const char *name)
{
	int index = pw_tracked_find(tracked, name);
	bool is_always = index >= 0 && index < (int)PW_COUNTOF(always_tracked);

	return is_always || (index >= 0 && params && params->values[index]) ? index : -1;
}

void pw_tracked_part(const struct pw_tracked *tracked, const struct pw_strbuf *reported,
		     const char *values[PW_TRACKED_MAX], struct pw_strbuf *others)
{
	for (size_t at = 0; at < reported->len;) {
		const char *name = reported->data + at;
		const char *value = name + strlen(name) + 1;
		int index = pw_tracked_find(tracked, name);

		at += strlen(name) + strlen(value) + 2;
		if (index >= 0)
			values[index] = value;
		else
			pw_write_parameter_status(others, name, value);
	}
}

void pw_params_table_init(struct pw_params_table *table, const struct pw_tracked *tracked,
			  const struct pw_hash_key *key)
{
	pw_map_init(&table->map);
	table->tracked = tracked;
	table->key = *key;
}

void pw_params_table_fini(struct pw_params_table *table)
{
	pw_map_fini(&table->map);
}

static bool has_id(const struct pw_map_node *node, const void *key)
{
	const struct pw_params *params = PW_CONTAINER(node, const struct pw_params, node);

	return pw_id_equal(params->id, *(const struct pw_id *)key);
}

/* Serialises the values unambiguously: set or not, then the text with its zero byte. */
static bool identify(const struct pw_params_table *table, const char *const *values,
		     bool is_parse_only, struct pw_id *id)
{
	struct pw_strbuf text = PW_STRBUF_INIT;
	bool ok;

	for (size_t i = 0; i < table->tracked->n; i++) {
		const char *value = is_parse_only && i == APPLICATION_NAME ? NULL : values[i];

		pw_strbuf_add_char(&text, value ? 1 : 0);
		if (value)
			pw_strbuf_add(&text, value, strlen(value) + 1);
	}
	ok = !text.has_failed;
	if (ok)
		*id = pw_hash_id(&table->key, text.data, text.len);
	pw_strbuf_fini(&text);
	return ok;
}

static size_t text_length(const char *const *values, size_t n)
{
	size_t len = 0;

	for (size_t i = 0; i < n; i++)
		len += values[i] ? strlen(values[i]) + 1 : 0;
	return len;
}

static struct pw_params *allocate(const char *const *values, size_t n, struct pw_id id)
{
	struct pw_params *params =
	    malloc(sizeof(*params) + n * sizeof(char *) + text_length(values, n));
	char *at;

	if (!params)
		return NULL;
	at = (char *)(params->values + n);
	params->refs = 1;
	params->id = params->parse_id = id;
	params->n = (uint16_t)n;
	for (size_t i = 0; i < n; i++) {
		size_t len = values[i] ? strlen(values[i]) + 1 : 0;

		params->values[i] = values[i] ? at : NULL;
		if (len > 0)
			memcpy(at, values[i], len);
		at += len;
	}
	return params;
}

static struct pw_params *create(struct pw_params_table *table, const char *const *values,
				struct pw_id id)
{
	struct pw_params *params = allocate(values, table->tracked->n, id);

	if (params && (!identify(table, values, true, &params->parse_id) ||
		       pw_map_insert(&table->map, &params->node, id.lo) != PW_OK)) {
		free(params);
		return NULL;
	}
	return params;
}

struct pw_params *pw_params_intern(struct pw_params_table *table, const char *const *values)
{
	struct pw_id id;
	struct pw_map_node *node;

	if (!identify(table, values, false, &id))
		return NULL;
	node = pw_map_find(&table->map, id.lo, has_id, &id);
	return node ? pw_params_ref(PW_CONTAINER(node, struct pw_params, node))
		    : create(table, values, id);
}

struct pw_params *pw_params_with(struct pw_params_table *table, const struct pw_params *base,
				 size_t index, const char *value)
{
	const char *values[PW_TRACKED_MAX] = {NULL};

	for (size_t i = 0; base && i < base->n; i++)
		values[i] = base->values[i];
	values[index] = value;
	return pw_params_intern(table, values);
}

struct pw_params *pw_params_overlay(struct pw_params_table *table, const struct pw_params *base,
				    const struct pw_params *over)
{
	const char *values[PW_TRACKED_MAX] = {NULL};

	for (size_t i = 0; i < table->tracked->n; i++) {
		values[i] = over ? over->values[i] : NULL;
		if (!values[i] && base)
			values[i] = base->values[i];
	}
	return pw_params_intern(table, values);
}

struct pw_params *pw_params_ref(struct pw_params *params)
{
	params->refs++;
	return params;
}

void pw_params_unref(struct pw_params_table *table, struct pw_params *params)
{
	if (!params || --params->refs > 0)
		return;
	pw_map_remove(&table->map, &params->node);
	free(params);
}

struct pw_params *pw_params_export(const struct pw_params *params, bool *ok)
{
	struct pw_params *copy = params ? allocate(params->values, params->n, params->id) : NULL;

	*ok = copy || !params;
	return copy;
}

struct pw_params *pw_params_import(struct pw_params_table *table, struct pw_params *copy)
{
	struct pw_params *own = copy ? pw_params_intern(table, copy->values) : NULL;

	free(copy);
	return own;
}

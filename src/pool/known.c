/* SPDX-License-Identifier: PostgreSQL
 *
 * A map by content id, through which a list runs in order of use.
 */
#include "config.h"

#include "pgweir/pool/known.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

struct known_statement {
	struct pw_map_node node;
	struct pw_list lru_node;
	struct pw_id id;
	unsigned epoch;
	uint32_t parse; /* the last one, counted among all of the link */
	struct pw_description description;
	bool is_aside;
};

void pw_statement_name(struct pw_id id, char out[PW_STATEMENT_NAME_SIZE])
{
	static const char hex[] = "0123456789abcdef";
	char *at = out;

	memcpy(at, "pgweir_", 7);
	at += 7;
	for (int shift = 60; shift >= 0; shift -= 4)
		*at++ = hex[id.hi >> shift & 15];
	for (int shift = 60; shift >= 0; shift -= 4)
		*at++ = hex[id.lo >> shift & 15];
	*at = '\0';
}

void pw_known_init(struct pw_known *known)
{
	pw_map_init(&known->map);
	pw_list_init(&known->lru);
	known->parses_sent = 0;
	known->parses_settled = 0;
}

void pw_known_fini(struct pw_known *known)
{
	pw_known_clear(known);
	pw_map_fini(&known->map);
}

size_t pw_known_count(const struct pw_known *known)
{
	return known->map.count;
}

static bool has_id(const struct pw_map_node *node, const void *key)
{
	const struct known_statement *s = PW_CONTAINER(node, const struct known_statement, node);

	return pw_id_equal(s->id, *(const struct pw_id *)key);
}

static struct known_statement *find(const struct pw_known *known, struct pw_id id)
{
	struct pw_map_node *node = pw_map_find(&known->map, id.lo, has_id, &id);

	return node ? PW_CONTAINER(node, struct known_statement, node) : NULL;
}

bool pw_known_use(struct pw_known *known, struct pw_id id)
{
	struct known_statement *s = find(known, id);

	if (!s)
		return false;
	pw_list_remove(&s->lru_node);
	pw_list_append(&known->lru, &s->lru_node);
	return true;
}

void pw_known_set_epoch(struct pw_known *known, struct pw_id id, unsigned epoch)
{
	struct known_statement *s = find(known, id);

	if (s)
		s->epoch = epoch;
}

unsigned pw_known_epoch(const struct pw_known *known, struct pw_id id)
{
	const struct known_statement *s = find(known, id);

	return s ? s->epoch : 0;
}

void pw_known_set_aside(struct pw_known *known, struct pw_id id, bool is_aside)
{
	struct known_statement *s = find(known, id);

	if (s)
		s->is_aside = is_aside;
}

bool pw_known_is_aside(const struct pw_known *known, struct pw_id id)
{
	const struct known_statement *s = find(known, id);

	return s && s->is_aside;
}

/* What is answered now is about an earlier one. */
static bool is_parse_due(const struct pw_known *known, const struct known_statement *s)
{
	return (int32_t)(s->parse - known->parses_settled) > 0;
}

void pw_known_doubt(struct pw_known *known, struct pw_id id)
{
	struct known_statement *s = find(known, id);

	if (s && !is_parse_due(known, s)) {
		s->epoch = 0;
		s->description = (struct pw_description){0, 0};
	}
}

void pw_known_describe(struct pw_known *known, struct pw_id id, struct pw_description said)
{
	struct known_statement *s = find(known, id);

	if (!s || is_parse_due(known, s))
		return;
	if (s->description.rows == 0)
		s->description.rows = said.rows;
	if (s->description.parameters == 0)
		s->description.parameters = said.parameters;
}

struct pw_description pw_known_description(const struct pw_known *known, struct pw_id id)
{
	const struct known_statement *s = find(known, id);

	return s && !is_parse_due(known, s) ? s->description : (struct pw_description){0, 0};
}

void pw_known_parse_sent(struct pw_known *known, struct pw_id id)
{
	struct known_statement *s = find(known, id);

	known->parses_sent++;
	if (s)
		s->parse = known->parses_sent;
}

void pw_known_parse_settled(struct pw_known *known)
{
	known->parses_settled++;
}

enum pw_status pw_known_add(struct pw_known *known, struct pw_id id)
{
	struct known_statement *s;

	if (pw_known_use(known, id))
		return PW_OK;
	s = calloc(1, sizeof(*s));
	if (!s || pw_map_insert(&known->map, &s->node, id.lo) != PW_OK) {
		free(s);
		return PW_ENOMEM;
	}
	s->id = id;
	s->parse = known->parses_settled;
	pw_list_append(&known->lru, &s->lru_node);
	return PW_OK;
}

static void drop(struct pw_known *known, struct known_statement *s)
{
	pw_map_remove(&known->map, &s->node);
	pw_list_remove(&s->lru_node);
	free(s);
}

void pw_known_remove(struct pw_known *known, struct pw_id id)
{
	struct known_statement *s = find(known, id);

	if (s)
		drop(known, s);
}

void pw_known_clear(struct pw_known *known)
{
	struct pw_list *node;

	while ((node = pw_list_first(&known->lru)))
		drop(known, PW_CONTAINER(node, struct known_statement, lru_node));
}

bool pw_known_oldest(const struct pw_known *known, struct pw_id *id)
{
	struct pw_list *node = pw_list_first(&known->lru);

	if (node)
		*id = PW_CONTAINER(node, struct known_statement, lru_node)->id;
	return node != NULL;
}

void pw_known_move(struct pw_known *known, struct pw_known *to)
{
	struct pw_list *node;

	to->map = known->map;
	to->parses_sent = known->parses_sent;
	to->parses_settled = known->parses_settled;
	pw_list_init(&to->lru);
	while ((node = pw_list_first(&known->lru))) {
		pw_list_remove(node);
		pw_list_append(&to->lru, node);
	}
	pw_known_init(known);
}

/* SPDX-License-Identifier: PostgreSQL
 *
 * Ident maps: which system user (or certificate) may log in as which database user. A list of
 * maps owned by the struct pw_hba they were read with, frozen after reading.
 */
#include "config.h"

#include "auth_priv.h"

#include <stdlib.h>
#include <string.h>

#include "pgweir/auth/password.h"

struct ident_row {
	char *system_user;
	char *pg_user; /* NULL = all */
};

struct pw_ident_map {
	struct pw_ident_map *next;
	char *name;
	struct ident_row *rows;
	size_t count;
	size_t cap;
};

static void destroy_map(struct pw_ident_map *map)
{
	for (size_t i = 0; i < map->count; i++) {
		free(map->rows[i].system_user);
		free(map->rows[i].pg_user);
	}
	free(map->rows);
	free(map->name);
	free(map);
}

void pw_ident_destroy_all(struct pw_ident_map *list)
{
	for (struct pw_ident_map *next; list; list = next) {
		next = list->next;
		destroy_map(list);
	}
}

const struct pw_ident_map *pw_ident_find(const struct pw_ident_map *list, const char *name)
{
	while (list && strcmp(list->name, name) != 0)
		list = list->next;
	return list;
}

const char *pw_ident_name(const struct pw_ident_map *map)
{
	return map->name;
}

/* The map of that name, made at the list's end if it is new. */
static struct pw_ident_map *obtain_map(struct pw_ident_map **list, const char *name)
{
	struct pw_ident_map *map;

	while (*list && strcmp((*list)->name, name) != 0)
		list = &(*list)->next;
	if (*list)
		return *list;
	map = calloc(1, sizeof(*map));
	if (!map)
		return NULL;
	map->name = strdup(name);
	if (!map->name) {
		free(map);
		return NULL;
	}
	*list = map;
	return map;
}

/* pg_user NULL = all. */
static enum pw_status add_row(struct pw_ident_map *map, const char *system_user,
			      const char *pg_user)
{
	struct ident_row *rows = pw_auth_grow(map->rows, map->count, &map->cap, sizeof(*rows));
	struct ident_row *row;

	if (!rows)
		return PW_ENOMEM;
	map->rows = rows;
	row = &rows[map->count++];
	row->system_user = strdup(system_user);
	row->pg_user = pg_user ? strdup(pg_user) : NULL;
	return !row->system_user || (pg_user && !row->pg_user) ? PW_ENOMEM : PW_OK;
}

/* PostgreSQL's patterns and groups: to take them for names could let the wrong one in. */
static bool is_pattern(const struct pw_auth_token *token)
{
	return !token->is_quoted && (token->text[0] == '/' || token->text[0] == '+');
}

/* What is wrong with the line, or NULL. */
static const char *find_fault(const struct pw_auth_line *line)
{
	if (line->count < 3)
		return "an ident line has a map, a system user and a database user";
	for (size_t i = 1; i < line->count; i++) {
		if (line->tokens[i].is_joined)
			return "a column of an ident line takes one value";
	}
	if (line->count > 3)
		return "unsupported parameters";
	if (line->tokens[0].is_quoted)
		return "the name of an ident map is not quoted";
	if (is_pattern(&line->tokens[1]) || is_pattern(&line->tokens[2]))
		return "\"/pattern\" and \"+group\" are not supported";
	return NULL;
}

static enum pw_status use_ident_line(void *arg, const struct pw_auth_place *place,
				     const struct pw_auth_line *line)
{
	struct pw_ident_map **list = arg, *map;
	const char *fault = find_fault(line);

	if (fault) {
		pw_auth_warn(place, "%s; line skipped", fault);
		return PW_EINVAL;
	}
	map = obtain_map(list, line->tokens[0].text);
	if (!map)
		return PW_ENOMEM;
	return add_row(map, line->tokens[1].text,
		       pw_auth_token_is(&line->tokens[2], "all") ? NULL : line->tokens[2].text);
}

enum pw_status pw_ident_parse(struct pw_ident_map **list, const char *text, size_t len,
			      const char *path, struct pw_strbuf *warnings)
{
	struct pw_auth_place place = {.path = path, .warnings = warnings};

	return pw_auth_each_line(&place, text, len, use_ident_line, list);
}

typedef bool is_same_user(const char *from_peer, const char *from_file);

static bool equals_exactly(const char *from_peer, const char *from_file)
{
	return strcmp(from_peer, from_file) == 0;
}

static bool allows(const struct pw_ident_map *map, const char *system_user, const char *pg_user,
		   is_same_user *is_same)
{
	if (!map)
		return is_same(system_user, pg_user);
	for (size_t i = 0; i < map->count; i++) {
		const struct ident_row *row = &map->rows[i];

		if (is_same(system_user, row->system_user) &&
		    (!row->pg_user || strcmp(row->pg_user, pg_user) == 0))
			return true;
	}
	return false;
}

bool pw_ident_allows(const struct pw_ident_map *map, const char *system_user, const char *pg_user)
{
	return allows(map, system_user, pg_user, equals_exactly);
}

bool pw_ident_allows_cert(const struct pw_ident_map *map, const char *cert_name,
			  const char *pg_user)
{
	return allows(map, cert_name, pg_user, pw_cert_name_matches);
}

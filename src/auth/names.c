/* SPDX-License-Identifier: PostgreSQL
 *
 * The database and user columns of HBA rules: names, keywords, and "@file" lists, which lie next
 * to the file that names them and may name others, to a bounded depth.
 */
#include "config.h"

#include "auth_priv.h"

#include <stdlib.h>
#include <string.h>

enum { INCLUDE_DEPTH_MAX = 10 };

struct keyword {
	const char *word;
	unsigned bit; /* 0 = PostgreSQL has it, pgweir does not */
};

static const struct keyword database_keywords[] = {
    {"all", PW_NAMES_ALL},
    {"sameuser", PW_NAMES_SAMEUSER},
    {"replication", PW_NAMES_REPLICATION},
    {"samerole", 0},
    {"samegroup", 0},
    {NULL, 0},
};

static const struct keyword user_keywords[] = {
    {"all", PW_NAMES_ALL},
    {NULL, 0},
};

static enum pw_status add_name(struct pw_auth_names *names, const char *name)
{
	char **grown = pw_auth_grow(names->names, names->count, &names->cap, sizeof(*grown));

	if (!grown)
		return PW_ENOMEM;
	names->names = grown;
	grown[names->count] = strdup(name);
	if (!grown[names->count])
		return PW_ENOMEM;
	names->count++;
	return PW_OK;
}

struct include {
	struct pw_auth_names *names;
	int depth;
	bool has_refused; /* one refused name spoils the rule that includes it */
};

/* Ends at the first refused name: a file that includes itself twice would else be read 2^10 times.
 */
static enum pw_status use_include_line(void *arg, const struct pw_auth_place *place,
				       const struct pw_auth_line *line)
{
	struct include *include = arg;

	for (size_t i = 0; i < line->count && !include->has_refused; i++) {
		enum pw_status status =
		    pw_auth_names_add(include->names, place, &line->tokens[i], include->depth);

		if (status == PW_ENOMEM)
			return status;
		include->has_refused = status != PW_OK;
	}
	return PW_OK;
}

/* Relative to the folder of the file that includes. */
static char *make_include_path(const char *including, const char *name)
{
	struct pw_strbuf path = PW_STRBUF_INIT;
	const char *slash = strrchr(including, '/');

	if (name[0] != '/' && slash)
		pw_strbuf_add(&path, including, (size_t)(slash - including) + 1);
	pw_strbuf_add_string(&path, name);
	return pw_strbuf_steal(&path);
}

static enum pw_status read_include(struct include *include, const struct pw_auth_place *place,
				   const char *path)
{
	struct pw_auth_place inside = {
	    .path = path, .warnings = place->warnings, .unreadable = place->unreadable};
	struct pw_strbuf text = PW_STRBUF_INIT;
	enum pw_status status = pw_auth_read_file(path, &text);

	if (status == PW_EIO) {
		pw_unreadable_add(place->unreadable, "name file", path);
		include->names->is_unknown = true;
		status = PW_OK;
	} else if (status == PW_OK) {
		status = pw_auth_each_line(&inside, text.data, text.len, use_include_line, include);
	}
	pw_strbuf_fini(&text);
	if (status == PW_OK && include->has_refused)
		status = PW_EINVAL;
	return status;
}

static enum pw_status add_include(struct pw_auth_names *names, const struct pw_auth_place *place,
				  const char *name, int depth)
{
	struct include include = {.names = names, .depth = depth + 1};
	char *path;
	enum pw_status status;

	if (depth >= INCLUDE_DEPTH_MAX) {
		pw_auth_warn(place, "@%s: files include each other too deeply", name);
		return PW_EINVAL;
	}
	path = make_include_path(place->path, name);
	if (!path)
		return PW_ENOMEM;
	status = read_include(&include, place, path);
	free(path);
	return status;
}

enum pw_status pw_auth_names_add(struct pw_auth_names *names, const struct pw_auth_place *place,
				 const struct pw_auth_token *token, int depth)
{
	const struct keyword *row = names->is_database ? database_keywords : user_keywords;

	if (token->is_quoted)
		return add_name(names, token->text);
	if (token->text[0] == '@' && token->text[1] != '\0')
		return add_include(names, place, token->text + 1, depth);
	while (row->word && strcmp(row->word, token->text) != 0)
		row++;
	if (row->word && row->bit) {
		names->keywords |= row->bit;
		return PW_OK;
	}
	if (row->word || token->text[0] == '/' || token->text[0] == '+') {
		pw_auth_warn(place,
			     "\"%s\" is not supported: list the names, or \"all\" (quote it if it "
			     "is a name)",
			     token->text);
		return PW_EINVAL;
	}
	return add_name(names, token->text);
}

bool pw_auth_names_have(const struct pw_auth_names *names, const char *name)
{
	for (size_t i = 0; i < names->count; i++) {
		if (strcmp(names->names[i], name) == 0)
			return true;
	}
	return false;
}

void pw_auth_names_fini(struct pw_auth_names *names)
{
	for (size_t i = 0; i < names->count; i++)
		free(names->names[i]);
	free(names->names);
	memset(names, 0, sizeof(*names));
}

/* SPDX-License-Identifier: PostgreSQL
 *
 * Values come from start-up packets, so they are hostile text. Quotes are doubled; a value with a
 * backslash is written as E'...', which means the same whatever standard_conforming_strings says.
 * In SJIS, BIG5 and the like the second byte of a character can be a backslash: such a value (a
 * backslash together with bytes above 127) has those bytes replaced, so that no byte of it can
 * pair with one of ours.
 */
#include "config.h"

#include "pgweir/session/sync.h"

#include <string.h>
#include <strings.h>

static bool values_equal(const char *have, const char *wanted)
{
	return have && strcmp(have, wanted) == 0;
}

bool pw_sync_fits(const struct pw_link *link, const struct pw_params *wanted)
{
#ifdef PW_MUTANT_FIT_ALWAYS
	return true;
#endif
	if (!wanted || pw_params_are_equal(link->params, wanted))
		return true;
	for (size_t i = 0; i < wanted->n; i++) {
		if (wanted->values[i] &&
		    !values_equal(link->params ? link->params->values[i] : NULL, wanted->values[i]))
			return false;
	}
	return true;
}

static void add_quoted(struct pw_strbuf *sql, const char *value)
{
	bool has_backslash = strchr(value, '\\') != NULL;

	pw_strbuf_add_string(sql, has_backslash ? "E'" : "'");
	for (; *value; value++) {
		char c = *value;

		if (has_backslash && (c & 0x80))
			c = '?';
		if (c == '\'' || c == '\\')
			pw_strbuf_add_char(sql, c);
		pw_strbuf_add_char(sql, c);
	}
	pw_strbuf_add_char(sql, '\'');
}

/* set_config() takes the value of a list such as search_path as a start-up packet does; SET would
 * want each element quoted by itself. */
static void add_setting(struct pw_strbuf *sql, const char *name, const char *value)
{
	bool is_list = strcasecmp(name, "search_path") == 0;

	if (is_list) {
		pw_strbuf_printf(sql, "SELECT pg_catalog.set_config('%s', ", name);
		add_quoted(sql, value);
		pw_strbuf_add_string(sql, ", false);");
	} else {
		pw_strbuf_printf(sql, "SET %s=", name);
		add_quoted(sql, value);
		pw_strbuf_add_char(sql, ';');
	}
}

void pw_sync_build(const struct pw_tracked *tracked, const struct pw_params *have,
		   const struct pw_params *wanted, struct pw_strbuf *sql)
{
	for (size_t i = 0; i < wanted->n; i++) {
		if (wanted->values[i] &&
		    !values_equal(have ? have->values[i] : NULL, wanted->values[i]))
			add_setting(sql, tracked->names[i], wanted->values[i]);
	}
}

enum pw_status pw_sync_send(struct pw_link *link, const struct pw_tracked *tracked,
			    const struct pw_params *wanted)
{
	struct pw_strbuf sql = PW_STRBUF_INIT;
	enum pw_status status = PW_ENOMEM;

	pw_sync_build(tracked, link->params, wanted, &sql);
	link->has_own_error = false;
	if (!sql.has_failed && sql.len > 0)
		status = pw_link_query(link, sql.data);
	pw_strbuf_fini(&sql);
	return status;
}

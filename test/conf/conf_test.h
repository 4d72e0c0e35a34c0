/* SPDX-License-Identifier: PostgreSQL
 *
 * Helpers of the conf tests: load a text, and what was said about it. For one translation unit
 * each.
 */
#ifndef PGWEIR_TEST_CONF_TEST_H
#define PGWEIR_TEST_CONF_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "conf/conf_priv.h"

/* What is added where a comment seems to stand behind a value. */
#define COMMENT_HINT                                                                               \
	"; what looks like a comment belongs to the value, comments stand on lines of their own"

struct said {
	struct pw_strbuf why;
	struct pw_strbuf warnings;
};

static inline void said_reset(struct said *said)
{
	pw_strbuf_fini(&said->why);
	pw_strbuf_fini(&said->warnings);
	/* An empty text, not NULL, to look things up in. */
	pw_strbuf_add_string(&said->why, "");
	pw_strbuf_add_string(&said->warnings, "");
}

static inline void said_fini(struct said *said)
{
	pw_strbuf_fini(&said->why);
	pw_strbuf_fini(&said->warnings);
}

static inline struct pw_conf *parse(const char *text, const struct pw_conf *previous,
				    struct said *said)
{
	const struct pw_ini_input input = {"t.ini", text, strlen(text)};

	said_reset(said);
	return pw_conf_parse(&input, previous, &said->why, &said->warnings);
}

/* The text must load without a problem. */
static inline struct pw_conf *must_parse(const char *text, const struct pw_conf *previous)
{
	struct said said = {PW_STRBUF_INIT, PW_STRBUF_INIT};
	struct pw_conf *conf = parse(text, previous, &said);

	if (!conf)
		print_error("%s\n", said.why.data);
	assert_non_null(conf);
	assert_string_equal(said.why.data, "");
	said_fini(&said);
	return conf;
}

/* The text must be refused with exactly these lines. */
static inline void must_fail(const char *text, const char *why)
{
	struct said said = {PW_STRBUF_INIT, PW_STRBUF_INIT};

	assert_null(parse(text, NULL, &said));
	assert_string_equal(said.why.data, why);
	said_fini(&said);
}

/* The value as SHOW CONFIG prints it; "(null)" where there is none. The caller frees. */
static inline char *show(const struct pw_conf *conf, const char *name)
{
	struct pw_strbuf out = PW_STRBUF_INIT;
	struct pw_setting_row row;

	for (size_t i = 0; i < pw_conf_setting_count(); i++) {
		pw_conf_setting_row(i, &row);
		if (strcmp(row.name, name) != 0)
			continue;
		pw_strbuf_add_string(&out, "");
		if (!pw_conf_setting_value(conf, i, &out))
			pw_strbuf_add_string(&out, "(null)");
		return pw_strbuf_steal(&out);
	}
	fail_msg("no setting %s", name);
	return NULL;
}

static inline void assert_shows(const struct pw_conf *conf, const char *name, const char *value)
{
	char *shown = show(conf, name);

	assert_string_equal(shown, value);
	free(shown);
}

#endif

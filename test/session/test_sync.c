/* SPDX-License-Identifier: PostgreSQL
 *
 * Which parameters a link lacks, and the statements that bring it to them: whatever a start-up
 * packet holds stays inside its quotes.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../lib/params_fixture.h"
#include "pgweir/base/rng.h"
#include "pgweir/pool/link.h"
#include "pgweir/session/sync.h"

static struct pw_state no_settings;

/* With the same settings beyond these, none. */
static void build(struct fixture *f, const struct pw_params *have, const struct pw_params *wanted,
		  struct pw_strbuf *out)
{
	const struct pw_sync_side from = {have, &no_settings}, to = {wanted, &no_settings};

	pw_sync_build(&f->tracked, &from, &to, out);
}

static bool fits(const struct pw_link *link, const struct pw_params *wanted)
{
	const struct pw_sync_side side = {wanted, link->settings};

	return pw_sync_fits(link, &side);
}

/* The statements that set parameter `index` to a value on a link that has nothing. */
static void assert_set(struct fixture *f, size_t index, const char *value, const char *sql)
{
	struct pw_params *wanted = pw_params_with(&f->table, NULL, index, value);
	struct pw_strbuf out = PW_STRBUF_INIT;

	build(f, NULL, wanted, &out);
	assert_false(out.has_failed);
	assert_string_equal(out.data, sql);
	pw_strbuf_fini(&out);
	pw_params_unref(&f->table, wanted);
}

static void test_quoting(void **state)
{
	struct fixture *f = *state;

	assert_set(f, DATESTYLE, "ISO, MDY",
		   "SELECT pg_catalog.set_config('DateStyle', 'ISO, MDY', false);");
	assert_set(f, NAME, "", "SELECT pg_catalog.set_config('application_name', '', false);");
	assert_set(f, NAME, "it's",
		   "SELECT pg_catalog.set_config('application_name', 'it''s', false);");
	assert_set(
	    f, NAME, "';drop table x;--",
	    "SELECT pg_catalog.set_config('application_name', ''';drop table x;--', false);");
	assert_set(f, NAME, "''",
		   "SELECT pg_catalog.set_config('application_name', '''''', false);");
	assert_set(f, NAME, "$$;x",
		   "SELECT pg_catalog.set_config('application_name', '$$;x', false);");
	assert_set(f, NAME, "a\nb",
		   "SELECT pg_catalog.set_config('application_name', 'a\nb', false);");
	assert_set(f, NAME, "\xc3\xa9t\xc3\xa9",
		   "SELECT pg_catalog.set_config('application_name', '\xc3\xa9t\xc3\xa9', false);");
}

/* With a backslash the value means the same whatever standard_conforming_strings is. */
static void test_backslashes(void **state)
{
	struct fixture *f = *state;

	assert_set(f, NAME, "\\",
		   "SELECT pg_catalog.set_config('application_name', E'\\\\', false);");
	assert_set(f, NAME, "a\\'; x",
		   "SELECT pg_catalog.set_config('application_name', E'a\\\\''; x', false);");
	assert_set(f, NAME, "\\\\",
		   "SELECT pg_catalog.set_config('application_name', E'\\\\\\\\', false);");
	/* The second byte of a character in SJIS can be a backslash, which then is none. */
	assert_set(f, NAME, "\x83\\'; x",
		   "SELECT pg_catalog.set_config('application_name', E'?\\\\''; x', false);");
	assert_set(f, NAME, "\\\xc3\xa9",
		   "SELECT pg_catalog.set_config('application_name', E'\\\\?"
		   "?', false);");
}

/* Read as PostgreSQL reads it, under both meanings of a backslash, every value comes back and
 * nothing is left outside. */
static const char *read_literal(const char *sql, char *out)
{
	bool is_escaped = *sql == 'E';

	sql += is_escaped;
	assert_int_equal(*sql++, '\'');
	for (; *sql; sql++) {
		if (*sql == '\'' && sql[1] != '\'')
			break;
		/* In a plain literal a backslash would mean different things. */
		assert_true(*sql != '\\' || is_escaped);
		if (*sql == '\'' || *sql == '\\') {
			assert_int_equal(sql[1], *sql);
			sql++;
		}
		*out++ = *sql;
	}
	*out = '\0';
	assert_int_equal(*sql, '\'');
	return sql + 1;
}

static void test_random_values_stay_inside(void **state)
{
	static const char alphabet[] = "a'\\;-\"$\n e\x81\xff";
	static const size_t indexes[] = {NAME, SEARCH_PATH};
	struct fixture *f = *state;
	struct pw_rng rng;

	pw_rng_seed(&rng, 99);
	for (int round = 0; round < 3000; round++) {
		size_t len = pw_rng_next(&rng) % 12, index = indexes[round % 2];
		struct pw_strbuf out = PW_STRBUF_INIT;
		struct pw_params *wanted;
		char value[16], back[16];
		const char *rest;

		for (size_t i = 0; i < len; i++)
			value[i] = alphabet[pw_rng_next(&rng) % (sizeof(alphabet) - 1)];
		value[len] = '\0';
		wanted = pw_params_with(&f->table, NULL, index, value);
		build(f, NULL, wanted, &out);
		rest = out.data + (index == NAME
				       ? strlen("SELECT pg_catalog.set_config('application_name', ")
				       : strlen("SELECT pg_catalog.set_config('search_path', "));
		rest = read_literal(rest, back);
		assert_string_equal(rest, ", false);");
		for (size_t i = 0; strchr(value, '\\') && value[i]; i++)
			value[i] = (char)(value[i] & 0x80 ? '?' : value[i]);
		assert_string_equal(back, value);
		pw_strbuf_fini(&out);
		pw_params_unref(&f->table, wanted);
	}
}

static void test_search_path_is_a_list(void **state)
{
	struct fixture *f = *state;

	assert_set(f, SEARCH_PATH, "a, \"B c\"",
		   "SELECT pg_catalog.set_config('search_path', 'a, \"B c\"', false);");
	assert_set(f, SEARCH_PATH, "it's",
		   "SELECT pg_catalog.set_config('search_path', 'it''s', false);");
	assert_set(f, SEARCH_PATH, "a\\b",
		   "SELECT pg_catalog.set_config('search_path', E'a\\\\b', false);");
}

static void test_only_the_difference(void **state)
{
	struct fixture *f = *state;
	const char *has[N] = {"ISO, MDY", "UTF8", "UTC", "on", "psql"};
	const char *wants[N] = {"ISO, MDY", "LATIN1", NULL, "on", NULL};
	struct pw_params *have = pw_params_intern(&f->table, has);
	struct pw_params *wanted = pw_params_intern(&f->table, wants);
	struct pw_params *more = pw_params_with(&f->table, wanted, SEARCH_PATH, "x");
	struct pw_strbuf out = PW_STRBUF_INIT;

	build(f, have, wanted, &out);
	assert_string_equal(out.data,
			    "SELECT pg_catalog.set_config('client_encoding', 'LATIN1', false);");
	pw_strbuf_reset(&out);
	build(f, have, more, &out);
	assert_string_equal(out.data,
			    "SELECT pg_catalog.set_config('client_encoding', 'LATIN1', false);"
			    "SELECT pg_catalog.set_config('search_path', 'x', false);");
	pw_strbuf_reset(&out);
	build(f, have, have, &out);
	assert_int_equal(out.len, 0);
	pw_strbuf_fini(&out);
	pw_params_unref(&f->table, have);
	pw_params_unref(&f->table, wanted);
	pw_params_unref(&f->table, more);
}

static void test_fits(void **state)
{
	struct fixture *f = *state;
	const char *has[N] = {"ISO, MDY", "UTF8", "UTC", "on", "psql"};
	struct pw_link *link = calloc(1, sizeof(*link));
	struct pw_params *name, *set;

	link->settings = &no_settings;
	assert_true(fits(link, NULL));
	name = pw_params_with(&f->table, NULL, NAME, "psql");
	assert_false(fits(link, name));
	link->params = pw_params_intern(&f->table, has);
	assert_true(fits(link, NULL));
	assert_true(fits(link, link->params));
	/* What the client does not care for does not count. */
	assert_true(fits(link, name));
	set = pw_params_with(&f->table, name, ENCODING, "UTF8");
	assert_true(fits(link, set));
	pw_params_unref(&f->table, set);
	/* A name may differ from another by case alone. */
	set = pw_params_with(&f->table, NULL, NAME, "PSQL");
	assert_false(fits(link, set));
	pw_params_unref(&f->table, set);
	set = pw_params_with(&f->table, name, TIMEZONE, "CET");
	assert_false(fits(link, set));
	pw_params_unref(&f->table, set);
	set = pw_params_with(&f->table, name, SEARCH_PATH, "x");
	assert_false(fits(link, set));
	pw_params_unref(&f->table, set);
	set = pw_params_with(&f->table, name, NAME, "");
	assert_false(fits(link, set));
	pw_params_unref(&f->table, set);
	pw_params_unref(&f->table, name);
	pw_params_unref(&f->table, link->params);
	free(link);
}

/* ---- settings that no server reports ---- */

/* "name=value name=value" */
static struct pw_state *state_of(struct pw_states *states, const char *text)
{
	struct pw_state *state = pw_state_empty(states), *next;
	char copy[256], *save = NULL;

	snprintf(copy, sizeof(copy), "%s", text);
	for (char *pair = strtok_r(copy, "|", &save); pair; pair = strtok_r(NULL, "|", &save)) {
		char *value = strchr(pair, '=');

		*value = '\0';
		next = pw_state_with(state, pair, value + 1);
		pw_state_unref(state);
		state = next;
	}
	return state;
}

static void assert_sync_between(struct fixture *f, const char *encoding, const char *has,
				const char *wants, const char *sql)
{
	struct pw_params *old = pw_params_with(&f->table, NULL, ENCODING, encoding);
	struct pw_states states;
	struct pw_strbuf out = PW_STRBUF_INIT;
	struct pw_params *utf8 = pw_params_with(&f->table, NULL, ENCODING, "UTF8");
	struct pw_sync_side from = {old, NULL}, to = {utf8, NULL};
	struct pw_state *have, *wanted;

	pw_states_init(&states, &f->table.key);
	from.settings = have = state_of(&states, has);
	to.settings = wanted = state_of(&states, wants);
	pw_sync_build(&f->tracked, &from, &to, &out);
	assert_string_equal(out.data ? out.data : "", sql);
	pw_strbuf_fini(&out);
	pw_state_unref(have);
	pw_state_unref(wanted);
	pw_states_fini(&states);
	pw_params_unref(&f->table, utf8);
	pw_params_unref(&f->table, old);
}

static void assert_sync(struct fixture *f, const char *has, const char *wants, const char *sql)
{
	assert_sync_between(f, "UTF8", has, wants, sql);
}

static void test_settings(void **state)
{
	struct fixture *f = *state;

	assert_sync(f, "", "", "");
	assert_sync(f, "work_mem=4MB", "work_mem=4MB", "");
	assert_sync(f, "", "work_mem=4MB",
		    "SELECT pg_catalog.set_config('work_mem', '4MB', false);");
	assert_sync(f, "work_mem=4MB", "", "RESET \"work_mem\";");
	assert_sync(f, "work_mem=4MB|a=1", "work_mem=5MB|b=2",
		    "RESET \"a\";SELECT pg_catalog.set_config('b', '2', false);SELECT "
		    "pg_catalog.set_config('work_mem', '5MB', false);");
	/* What RESET leaves is made by RESET. */
	assert_sync(f, "", "app.x=", "RESET \"app\".\"x\";");
	assert_sync(f, "", "a=", "SELECT pg_catalog.set_config('a', '', false);");
	/* Parts of a name may be key words. */
	assert_sync(f, "", "app.user=x", "SELECT pg_catalog.set_config('app.user', 'x', false);");
	assert_sync(f, "", "a\"b.c=x", "SELECT pg_catalog.set_config('a\"b.c', 'x', false);");
	assert_sync(f, "", "app.x=it's \\ \xc3\xa9",
		    "SELECT pg_catalog.set_config('app.x', E'it''s \\\\ \xc3\xa9', false);");
	/* A list is set as it is shown. */
	assert_sync(f, "", "search_path=\"$user\", public",
		    "SELECT pg_catalog.set_config('search_path', '\"$user\", public', false);");
	assert_sync_between(f, "LATIN1", "", "search_path=\xc3\xa9",
			    "SELECT pg_catalog.set_config('client_encoding', 'UTF8', false);SELECT "
			    "pg_catalog.set_config('search_path', "
			    "pg_catalog.convert_from(pg_catalog.decode('c3a9', 'hex'), 'UTF8'), "
			    "false);");
	assert_sync(f, "search_path=x", "", "RESET \"search_path\";");
	/* The same bytes mean something else. */
	assert_sync_between(f, "LATIN1", "app.x=\xc3\xa9|app.y=a", "app.x=\xc3\xa9|app.y=a",
			    "SELECT pg_catalog.set_config('client_encoding', 'UTF8', false);SELECT "
			    "pg_catalog.set_config('app.x', "
			    "pg_catalog.convert_from(pg_catalog.decode('c3a9', 'hex'), 'UTF8'), "
			    "false);");
}

/* What one may set hangs on who one is. */
static void test_identity(void **state)
{
	struct fixture *f = *state;

	assert_sync(f, "", "role=bob", "SET role='bob';");
	assert_sync(f, "role=bob", "", "RESET session_authorization;RESET role;");
	assert_sync(f, "role=bob", "role=bob", "");
	assert_sync(f, "role=bob|work_mem=1MB", "role=bob",
		    "RESET session_authorization;RESET role;RESET \"work_mem\";SET role='bob';");
	assert_sync(f, "role=bob", "role=it's|session_authorization=alice|work_mem=1MB",
		    "RESET session_authorization;RESET role;SELECT "
		    "pg_catalog.set_config('work_mem', '1MB', false);"
		    "SET session_authorization='alice';SET role='it''s';");
}

static bool is_harmless(struct fixture *f, size_t index, const char *has, const char *wants)
{
	struct pw_params *old = pw_params_with(&f->table, NULL, ENCODING, "UTF8");
	struct pw_params *new = pw_params_with(&f->table, old, index, "x");
	struct pw_states states;
	struct pw_sync_side from = {old, NULL}, to = {new, NULL};
	struct pw_state *have, *wanted;
	bool result;

	pw_states_init(&states, &f->table.key);
	from.settings = have = state_of(&states, has);
	to.settings = wanted = state_of(&states, wants);
	result = pw_sync_is_harmless(&f->tracked, &from, &to);
	pw_state_unref(have);
	pw_state_unref(wanted);
	pw_states_fini(&states);
	pw_params_unref(&f->table, new);
	pw_params_unref(&f->table, old);
	return result;
}

static void test_harmless(void **state)
{
	static const char *const guards[] = {"role=bob",
					     "session_authorization=bob",
					     "row_security=off",
					     "search_path=",
					     "default_transaction_read_only=on",
					     "app.x=1",
					     "jit.x=1",
					     "synchronous_commit=off",
					     "check_function_bodies=off",
					     "geqo.x=1",
					     "enable_x.y=1",
					     "session_replication_role=replica"};
	struct fixture *f = *state;

	assert_true(is_harmless(f, TIMEZONE, "", ""));
	assert_true(is_harmless(f, DATESTYLE, "work_mem=1MB|enable_seqscan=off", "jit=off"));
	assert_true(is_harmless(f, NAME, "app.x=1|role=bob", "app.x=1|role=bob"));
	assert_true(
	    is_harmless(f, NAME, "pgweir.lsn=1:0/1", "pgweir.lsn=1:0/2|pgweir.route=primary"));
	assert_false(is_harmless(f, NAME, "", "jit.x=1"));
	assert_false(is_harmless(f, ENCODING, "", ""));
	assert_false(is_harmless(f, SEARCH_PATH, "", ""));
	for (size_t i = 0; i < PW_COUNTOF(guards); i++) {
		assert_false(is_harmless(f, NAME, "", guards[i]));
		assert_false(is_harmless(f, NAME, guards[i], "work_mem=1MB"));
	}
	assert_false(is_harmless(f, NAME, "role=bob", "role=bob|work_mem=1MB"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_quoting, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_backslashes, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_random_values_stay_inside, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_search_path_is_a_list, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_only_the_difference, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_fits, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_settings, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_identity, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_harmless, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: PostgreSQL
 *
 * What is found in texts that nobody can parse. Too much may be found, but never too little.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "pgweir/base/status.h"
#include "pgweir/base/strbuf.h"
#include "pgweir/sql/builtin.h"
#include "pgweir/sql/scan.h"

static void add_name(const char *name, size_t len, void *out)
{
	pw_strbuf_printf(out, " =%.*s", (int)len, name);
}

static void assert_found(const char *text, const char *wanted)
{
	struct pw_strbuf got = PW_STRBUF_INIT;
	struct pw_scan scan = {.on_name = add_name, .arg = &got};
	const char *found;

	pw_scan(&scan, text, strlen(text));
	pw_strbuf_add_string(&got, scan.makes_names || scan.hides_names ? " made" : "");
	pw_strbuf_add_string(&got, scan.runs_made ? " runs" : "");
	pw_strbuf_add_string(&got, scan.has_do ? " do" : "");
	pw_strbuf_add_string(&got, scan.has_backslash ? " backslash" : "");
	pw_strbuf_add_string(&got, scan.has_load ? " load" : "");
	pw_strbuf_add_string(&got, scan.classes & 1u << PW_BUILTIN_SEED ? " seed" : "");
	pw_strbuf_add_string(&got, scan.goes_back ? " back" : "");
	found = got.data ? got.data : "";
	if (strcmp(found, wanted) != 0)
		fail_msg("%s\n got:%s\nwant:%s\n", text, found, wanted);
	pw_strbuf_fini(&got);
}

static void test_nothing(void **state PW_UNUSED)
{
	assert_found("", "");
	assert_found("SELECT a.b, 'c', \"d\" FROM s.t /* x.y */ -- z", "");
	assert_found("UPDATE t SET a = 1", "");
	assert_found("SET", "");
	assert_found("SET work_mem = '1MB'", "");
	assert_found("SELECT 'x", "");
	assert_found("offset.set_x setx do_ executed", "");
	assert_found("/* /*", "");
	assert_found("SET /*", "");
	assert_found("SET --", "");
}

static void test_names_behind_set(void **state PW_UNUSED)
{
	assert_found("SET app.x = 1; set LOCAL b.c TO 2; SET SESSION d.e.f = 3",
		     " =app.x =b.c =d.e.f");
	assert_found("SET/* /* */ */app /* */ . -- \n x = 1", " =app.x");
	assert_found("SET \"app\" . \"x\" = 1; SET \"a b.c\".d = 1", " =app.x =a b.c.d");
	assert_found("SET app. = 1", " made");
	assert_found("'SET app.' || x", " made");
	assert_found("'SET app.n' || x", " =app.n made");
	assert_found("SET \"app\"\"x\".y", " made");
	assert_found("SET U&\"app\\002ex\" = 1", " made backslash");
	assert_found("SET \"app\\", " made backslash");
	assert_found("SET \"app", " made");
	assert_found("SET \"", " made");
	assert_found("SET app.caf\xe9 = 1", " made");
	assert_found("f('caf\xe9.x'); set_config('caf\xe9.x', 1)", " made");
}

static void test_names_in_quotes(void **state PW_UNUSED)
{
	assert_found("f('app.x', ''app.y'', \"app.z\")", " =app.x =app.y =app.z");
	assert_found("f('app.' || x)", " made");
	assert_found("f('app.x'/* */|| x)", " =app.x made");
	assert_found("format('app.%s', x)", " made");
	assert_found("f('.x', '1.5', 'a b.c')", "");
}

static void test_set_config(void **state PW_UNUSED)
{
	assert_found("set_config('app.x', y, false)", " =app.x");
	assert_found("''set_config(''app.x'', y)''", " =app.x");
	assert_found("pg_catalog . \"Set_Config\" /* */ ( 'work_mem' /* */ , x)", "");
	assert_found("set_config(x, y)", " made");
	assert_found("set_config('app'||'.x', y)", " made");
	assert_found("set_config('app\\056x', y)", " made backslash");
	assert_found("set_config(E'app', y)", " made");
	assert_found("set_config($$app$$, y)", " made");
	assert_found("set_config('app", " made");
	assert_found("set_config('app'", " made");
	assert_found("set_config(", " made");
	assert_found("set_config", "");
	assert_found("u&\"set_config\"", " made");
}

static void test_texts_that_run(void **state PW_UNUSED)
{
	assert_found("EXECUTE 'SELECT 1'; EXECUTE 'SELECT 2' INTO x;", "");
	assert_found("EXECUTE 'it''s'; DO", " do");
	assert_found("EXECUTE x", " runs");
	assert_found("EXECUTE '' || x; PERFORM ''; ", " runs");
	assert_found("''EXECUTE SELECT 1;''", " runs");
	assert_found("EXECUTE 'SELECT ' || x", " runs");
	assert_found("EXECUTE 'SET app'\n'.x = 1';", " runs");
	assert_found("EXECUTE E'\\x53';", " runs backslash");
	assert_found("EXECUTE format('SELECT 1')", " runs");
	assert_found("EXECUTE", " runs");
	assert_found("query_to_xml('SELECT 1', true)", "");
	assert_found("ts_stat('SELECT ''a''')", "");
	assert_found("query_to_xml(x)", " runs");
	assert_found("query_to_xml('a' || b)", " runs");
	assert_found("query_to_xml('", " runs");
	assert_found("LOAD 'x'; \"load\"; loaded", " load");
	assert_found("PERFORM setseed(0.5)", " seed");
}

static void test_seed(void **state PW_UNUSED)
{
	assert_found("SET seed TO 0.5", " seed");
	assert_found("-- it\nset session \"seed\" = 0.5", " seed");
	assert_found("BEGIN SET LOCAL seed = 0.5; END", " seed");
	assert_found("UPDATE t SET seed = 1", "");
	assert_found("SELECT 1 FOR UPDATE; SET seed = 1", " seed");
	assert_found("UPDATE t SET a = 1; SET seed = 1", " seed");
	assert_found("SET seeds = 1; SET see = 1; SET app.seed = 1", " =app.seed");
}

static void test_going_back(void **state PW_UNUSED)
{
	assert_found("RESET ALL", " back");
	assert_found("'DISCARD ALL'", " back");
	assert_found("SET role TO DEFAULT", " back");
	assert_found("set_config('app.x', NULL, false)", " =app.x back");
	assert_found("f(NULL)", "");
	assert_found("set_config('app.x', '', false)", " =app.x");
	assert_found("presets, discarded", "");
}

/* However a text is written, it is read about once. */
static void test_long_gaps(void **state PW_UNUSED)
{
	static const char *const links[] = {"set_config/*", "set--",  "execute ",
					    "ts_stat('",    "set a.", "'a.b'--",
					    "a/*",          "set \"", "do u&"};

	for (size_t i = 0; i < PW_COUNTOF(links); i++) {
		struct pw_strbuf text = PW_STRBUF_INIT, got = PW_STRBUF_INIT;
		struct pw_scan scan = {.on_name = add_name, .arg = &got};

		while (text.len < 250000)
			pw_strbuf_add_string(&text, links[i]);
		pw_scan(&scan, text.data, text.len);
		pw_strbuf_fini(&text);
		pw_strbuf_fini(&got);
	}
	assert_found("set_config/* x */('app.x', 1)", " =app.x");
}

/* Each word would be looked behind up to where its comment ends. */
static void test_gaps_in_gaps(void **state PW_UNUSED)
{
	struct pw_strbuf text = PW_STRBUF_INIT;

	while (text.len < 100000) {
		for (int i = 0; i < 30; i++)
			pw_strbuf_add_string(&text, "set/*");
		for (int i = 0; i < 30; i++)
			pw_strbuf_add_string(&text, "*/");
		pw_strbuf_add_string(&text, "x = 1;");
	}
	assert_found(text.data, " made runs");
	/* However many there are beside each other, all are looked behind. */
	pw_strbuf_reset(&text);
	while (text.len < 100000) {
		pw_strbuf_add_string(&text, "set /* the work_mem");
		for (int i = 0; i < 30; i++)
			pw_strbuf_add_string(&text, " to what it was");
		pw_strbuf_add_string(&text, " */ work_mem = 1; -- and so on\n");
	}
	assert_found(text.data, "");
	pw_strbuf_fini(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_nothing),
	    cmocka_unit_test(test_names_behind_set),
	    cmocka_unit_test(test_names_in_quotes),
	    cmocka_unit_test(test_set_config),
	    cmocka_unit_test(test_texts_that_run),
	    cmocka_unit_test(test_long_gaps),
	    cmocka_unit_test(test_seed),
	    cmocka_unit_test(test_going_back),
	    cmocka_unit_test(test_gaps_in_gaps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: PostgreSQL
 *
 * What is found in statements of every kind that matters to a session, and that nothing within the
 * bounds overflows a stack.
 */
#include "config.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pgweir/base/status.h"
#include "pgweir/base/strbuf.h"
#include "pgweir/sql/analysis.h"

static const char *const kinds[PW_SQL_ITEM_N_KINDS] = {
    [PW_SQL_ITEM_SET] = "set",
    [PW_SQL_ITEM_RESET] = "reset",
    [PW_SQL_ITEM_SET_LOCAL] = "set-local",
    [PW_SQL_ITEM_RESET_ALL] = "reset-all",
    [PW_SQL_ITEM_DISCARD] = "discard",
    [PW_SQL_ITEM_TRANSACTION] = "transaction",
    [PW_SQL_ITEM_PREPARE] = "prepare",
    [PW_SQL_ITEM_EXECUTE] = "execute",
    [PW_SQL_ITEM_DEALLOCATE] = "deallocate",
    [PW_SQL_ITEM_LISTEN] = "listen",
    [PW_SQL_ITEM_UNLISTEN] = "unlisten",
    [PW_SQL_ITEM_NOTIFY] = "notify",
    [PW_SQL_ITEM_TEMPORARY] = "temporary",
    [PW_SQL_ITEM_HOLD] = "hold",
    [PW_SQL_ITEM_LOAD] = "load",
    [PW_SQL_ITEM_CALL] = "call",
    [PW_SQL_ITEM_BODY] = "body",
    [PW_SQL_ITEM_PG_SETTINGS] = "pg-settings",
    [PW_SQL_ITEM_OTHER] = "other",
};

static struct pw_shape shape_of(const char *text)
{
	const struct pw_hash_key secret = {1, 2};
	struct pw_shape_key key;
	struct pw_shape shape;

	pw_shape_key_init(&key, &secret);
	pw_shape_take(&shape, &key, text, strlen(text));
	return shape;
}

static struct pw_analysis *analyse(const char *text)
{
	struct pw_shape shape = shape_of(text);
	struct pw_analysis *analysis = pw_analysis_create(text, &shape);

	assert_non_null(analysis);
	return analysis;
}

/* "0 set:timezone, 1 call:set_config(0)" */
static void describe(const struct pw_analysis *a, struct pw_strbuf *out)
{
	for (unsigned i = 0; i < a->n_items; i++) {
		const struct pw_sql_item *item = &a->items[i];

		pw_strbuf_printf(out, "%s%u %s:%s", i > 0 ? ", " : "", item->statement,
				 kinds[item->kind], item->name);
		if (item->argument >= 0)
			pw_strbuf_printf(out, "(%d)", item->argument);
		assert_true(a->kinds & UINT32_C(1) << item->kind);
	}
}

static void assert_items(const char *text, const char *wanted)
{
	struct pw_analysis *a = analyse(text);
	struct pw_strbuf got = PW_STRBUF_INIT;

	assert_true(a->is_parsed);
	describe(a, &got);
	if (strcmp(got.data ? got.data : "", wanted) != 0)
		fail_msg("%s\n got: %s\nwant: %s\n", text, got.data ? got.data : "", wanted);
	pw_strbuf_fini(&got);
	pw_analysis_destroy(a);
}

static void test_settings(void **state PW_UNUSED)
{
	assert_items("SET work_mem = '4MB'", "0 set:work_mem");
	assert_items("SET SESSION Work_Mem TO DEFAULT", "0 reset:work_mem");
	assert_items("SET LOCAL app.tenant = 'a'", "0 set-local:app.tenant");
	assert_items("RESET app.tenant", "0 reset:app.tenant");
	assert_items("RESET ALL", "0 reset-all:");
	assert_items("SET ROLE bob", "0 set:role");
	assert_items("SET SESSION AUTHORIZATION bob", "0 set:session_authorization");
	assert_items("RESET SESSION AUTHORIZATION", "0 reset:session_authorization");
	assert_items("SET TIME ZONE 'UTC'", "0 set:timezone");
	assert_items("SET NAMES 'utf8'", "0 set:client_encoding");
	assert_items("SET SCHEMA 'a'", "0 set:search_path");
	assert_items("SET TRANSACTION READ ONLY", "0 set-local:TRANSACTION");
	assert_items("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
		     "0 set:SESSION CHARACTERISTICS");
	assert_items("SET XML OPTION DOCUMENT", "0 set:xmloption");
	assert_items("SHOW work_mem", "0 other:variable_show_stmt");
	assert_items("DISCARD ALL; DISCARD TEMP; DISCARD PLANS; DISCARD SEQUENCES",
		     "0 discard:all, 1 discard:temp, 2 discard:plans, 3 discard:sequences");
}

static void test_transactions(void **state PW_UNUSED)
{
	assert_items("BEGIN; COMMIT; START TRANSACTION; END; ABORT",
		     "0 transaction:begin, 1 transaction:commit, 2 transaction:begin, "
		     "3 transaction:commit, 4 transaction:rollback");
	assert_items("SAVEPOINT a; RELEASE a; ROLLBACK TO a",
		     "0 transaction:savepoint, 1 transaction:release, 2 transaction:rollback to");
	assert_items("PREPARE TRANSACTION 'a'; COMMIT PREPARED 'a'; ROLLBACK PREPARED 'a'",
		     "0 transaction:prepare transaction, 1 transaction:commit prepared, "
		     "2 transaction:rollback prepared");
}

static void test_statements(void **state PW_UNUSED)
{
	assert_items("PREPARE \"A\" (int) AS SELECT $1", "0 prepare:A");
	assert_items("EXECUTE a(1)", "0 execute:a");
	assert_items("EXPLAIN ANALYZE EXECUTE a", "0 execute:a");
	assert_items("CREATE TEMP TABLE t AS EXECUTE a", "0 execute:a, 0 temporary:t");
	assert_items("DEALLOCATE a; DEALLOCATE PREPARE b; DEALLOCATE ALL",
		     "0 deallocate:a, 1 deallocate:b, 2 deallocate:");
}

static void test_notifications(void **state PW_UNUSED)
{
	assert_items("LISTEN a; UNLISTEN a; UNLISTEN *; NOTIFY a, 'b'",
		     "0 listen:a, 1 unlisten:a, 2 unlisten:, 3 notify:a");
}

static void test_what_stays_in_a_session(void **state PW_UNUSED)
{
	assert_items("CREATE TEMPORARY TABLE t (a int)", "0 temporary:t");
	assert_items("CREATE TEMP SEQUENCE s", "0 temporary:s");
	assert_items("CREATE TEMP VIEW v AS SELECT 1", "0 temporary:v");
	assert_items("SELECT 1 INTO TEMP t", "0 temporary:t");
	assert_items("CREATE TABLE pg_temp.t (a int)", "0 temporary:t");
	assert_items("CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
		     "0 temporary:f");
	assert_items("CREATE TYPE pg_temp.e AS ENUM ('a')", "0 other:create_enum_stmt");
	assert_items("DECLARE c CURSOR FOR SELECT 1", "0 other:declare_cursor_stmt");
	assert_items("DECLARE c CURSOR WITH HOLD FOR SELECT 1", "0 hold:c");
	assert_items("LOAD 'auto_explain'", "0 load:auto_explain");
	assert_items("DO $$ BEGIN END $$", "0 body:");
	assert_items("CREATE TABLE t (a int)", "0 other:create_stmt");
}

/* PostgreSQL calls f(x) for (x).f, too. */
static void test_functional_notation(void **state PW_UNUSED)
{
	assert_items("SELECT (42::bigint).pg_advisory_lock", "0 call:pg_advisory_lock");
	assert_items("SELECT ($1).f, $1.g, a[1].h, (SELECT 1).i, (t.x).j.k",
		     "0 call:f, 0 call:g, 0 call:h, 0 call:i, 0 call:j, 0 call:k");
	assert_items("SELECT (t).*, (a)[1], t.a, s.t.a FROM t", "");
	assert_items("SELECT x.f, y FROM unnest(ARRAY['a']) x", "0 call:unnest, 0 call:f");
	assert_items("SELECT x.f; SELECT 1 FROM g()", "1 call:g");
	assert_items("SELECT x.f FROM t, current_date AS x", "0 call:f");
}

static void test_calls(void **state PW_UNUSED)
{
	assert_items("SELECT 1", "");
	assert_items("SELECT set_config('a', 'b', false), F(1)",
		     "0 call:set_config(0), 0 call:f(2)");
	assert_items("SELECT set_config($1, 'b', false)", "0 call:set_config");
	assert_items("SELECT set_config('a' || 'b', 'c', false)", "0 call:set_config");
	assert_items("SELECT pg_catalog.set_config('a'::text, 'b', false)",
		     "0 call:pg_catalog.set_config");
	assert_items("SELECT a FROM t WHERE b = (SELECT max(c) FROM g(1) h) ORDER BY i(d)",
		     "0 call:max, 0 call:g(0), 0 call:i");
	assert_items("INSERT INTO t VALUES (f(1)) RETURNING g()", "0 call:f(0), 0 call:g");
	assert_items("WITH x AS (UPDATE t SET a = f() RETURNING 1) SELECT * FROM x", "0 call:f");
	assert_items("CALL p(1)", "0 call:p");
	assert_items("EXPLAIN SELECT f('x')", "0 call:f");
	assert_items("COPY (SELECT f()) TO STDOUT", "0 call:f");
}

static void assert_not_parsed(const char *text)
{
	struct pw_analysis *a = analyse(text);

	assert_false(a->is_parsed);
	assert_int_equal(a->n_items, 0);
	pw_analysis_destroy(a);
}

static void test_not_parsed(void **state PW_UNUSED)
{
	assert_not_parsed("SELECT 'a");
	assert_not_parsed("SELEC 1");
	assert_not_parsed("SELECT (1");
}

/* ---- chains ---- */

struct chain {
	const char *head, *link, *tail;
	size_t tokens_each; /* of a link */
};

/* As deep as the bounds let it be: on a thread with half the stack that it asks for. */
static void *analyse_chains(void *arg)
{
	static const struct chain chains[] = {
	    {"SELECT 1", "+1", "", 2},        {"SELECT 1", " AND 1", "", 2},
	    {"SELECT 1", " OR 1", "", 2},     {"SELECT ", "NOT ", "true", 1},
	    {"SELECT ", "- ", "1", 1},        {"SELECT 1", " UNION SELECT 1", "", 3},
	    {"SELECT 1", "::int", "", 2},     {"SELECT a", "[1]", "", 3},
	    {"SELECT 'a'", "||'a'", "", 2},   {"SELECT * FROM t", " JOIN t USING (a)", "", 6},
	    {"SELECT 1", ";SELECT 1", "", 3}, {"SELECT 1 IN (1", ",1", ")", 2},
	};
	size_t *parsed = arg;

	for (size_t i = 0; i < PW_COUNTOF(chains); i++) {
		size_t links = (PW_ANALYSIS_TOKENS_MAX - 6) / chains[i].tokens_each;
		struct pw_strbuf text = PW_STRBUF_INIT;
		struct pw_analysis *a;

		pw_strbuf_add_string(&text, chains[i].head);
		for (size_t k = 0; k < links; k++)
			pw_strbuf_add_string(&text, chains[i].link);
		pw_strbuf_add_string(&text, chains[i].tail);
		a = analyse(text.data);
		*parsed += a->is_parsed;
		pw_analysis_destroy(a);
		/* Far beyond, nobody asks the grammar. */
		for (size_t k = 0; k < 100000; k++)
			pw_strbuf_add_string(&text, chains[i].link);
		a = analyse(text.data);
		assert_false(a->is_parsed);
		pw_analysis_destroy(a);
		pw_strbuf_fini(&text);
	}
	return NULL;
}

static void *analyse_brackets(void *arg)
{
	static const char *const open[] = {"(", "f(", "(SELECT ", "ARRAY["}, *const close[] = {
										 ")", ")", ")",
										 "]"};
	size_t *parsed = arg;

	for (size_t i = 0; i < PW_COUNTOF(open); i++) {
		for (size_t depth = PW_ANALYSIS_DEPTH_MAX; depth <= 100000; depth += 99800) {
			struct pw_strbuf text = PW_STRBUF_INIT;
			struct pw_analysis *a;

			pw_strbuf_add_string(&text, "SELECT ");
			for (size_t k = 0; k < depth; k++)
				pw_strbuf_add_string(&text, open[i]);
			pw_strbuf_add_string(&text, "1");
			for (size_t k = 0; k < depth; k++)
				pw_strbuf_add_string(&text, close[i]);
			a = analyse(text.data);
			if (depth == PW_ANALYSIS_DEPTH_MAX)
				*parsed += a->is_parsed;
			else
				assert_false(a->is_parsed);
			pw_analysis_destroy(a);
			pw_strbuf_fini(&text);
		}
	}
	return NULL;
}

static size_t run_with_half_a_stack(void *(*run)(void *))
{
	pthread_attr_t attr;
	pthread_t thread;
	size_t parsed = 0;

	assert_int_equal(pthread_attr_init(&attr), 0);
	assert_int_equal(pthread_attr_setstacksize(&attr, PW_ANALYSIS_STACK_BYTES / 2), 0);
	assert_int_equal(pthread_create(&thread, &attr, run, &parsed), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	pthread_attr_destroy(&attr);
	return parsed;
}

static void test_chains(void **state PW_UNUSED)
{
	assert_int_equal(run_with_half_a_stack(analyse_chains), 12);
}

static void test_brackets(void **state PW_UNUSED)
{
	assert_int_equal(run_with_half_a_stack(analyse_brackets), 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_settings),
	    cmocka_unit_test(test_transactions),
	    cmocka_unit_test(test_statements),
	    cmocka_unit_test(test_notifications),
	    cmocka_unit_test(test_what_stays_in_a_session),
	    cmocka_unit_test(test_functional_notation),
	    cmocka_unit_test(test_calls),
	    cmocka_unit_test(test_not_parsed),
	    cmocka_unit_test(test_chains),
	    cmocka_unit_test(test_brackets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

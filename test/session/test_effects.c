/* SPDX-License-Identifier: PostgreSQL
 *
 * What texts may leave in a session, and that nothing is judged too mildly.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "pgweir/base/status.h"
#include "pgweir/session/effects.h"

static const struct pw_hash_key secret = {1, 2};

static const struct {
	unsigned flag;
	const char *name;
} flags[] = {
    {PW_EFFECT_RESET, "reset"},         {PW_EFFECT_SETTINGS, "settings"},
    {PW_EFFECT_TEMP, "temp"},           {PW_EFFECT_HOLD, "hold"},
    {PW_EFFECT_LOCKS, "locks"},         {PW_EFFECT_PREPARED, "prepared"},
    {PW_EFFECT_LISTENS, "listens"},     {PW_EFFECT_LOAD, "load"},
    {PW_EFFECT_SEED, "seed"},           {PW_EFFECT_ORIGIN, "origin"},
    {PW_EFFECT_SLOT, "slot"},           {PW_EFFECT_BACKUP, "backup"},
    {PW_EFFECT_SEQUENCES, "sequences"}, {PW_EFFECT_DROPS, "drops"},
    {PW_EFFECT_OPAQUE, "opaque"},       {PW_EFFECT_CODE, "code"},
    {PW_EFFECT_RESET_ALL, "reset-all"}, {PW_EFFECT_COPY, "copy"},
    {PW_EFFECT_CALLS_ANY, "any"},       {PW_EFFECT_MADE, "made"},
    {PW_EFFECT_UNSEEN, "unseen"},       {PW_EFFECTS_OF_TABLES, NULL},
    {PW_EFFECT_PARSES, "parses"},       {PW_EFFECT_DBLINK, "dblink"},
};

/* Each use holds those before it. */
static const char *use_of(unsigned of_tables)
{
	switch (of_tables) {
	case 0:
		return "";
	case PW_EFFECT_QUERIES:
		return " queries";
	case PW_EFFECT_QUERIES | PW_EFFECT_WRITES:
		return " writes";
	case PW_EFFECTS_OF_TABLES:
		return " commands";
	default:
		return " a use that cannot be";
	}
}

static void describe(const struct pw_effects *effects, struct pw_strbuf *out)
{
	for (size_t i = 0; i < PW_COUNTOF(flags); i++) {
		if (effects->flags & flags[i].flag && !flags[i].name)
			pw_strbuf_printf(out, "%s", use_of(effects->flags & flags[i].flag));
		else if (effects->flags & flags[i].flag)
			pw_strbuf_printf(out, " %s", flags[i].name);
	}
	for (size_t at = 0; at < effects->names.len; at += strlen(effects->names.data + at) + 1)
		pw_strbuf_printf(out, " =%s", effects->names.data + at);
	for (size_t at = 0; at < effects->calls.len; at += strlen(effects->calls.data + at) + 1)
		pw_strbuf_printf(out, " %s()", effects->calls.data + at);
	for (size_t at = 0; at < effects->statements.len;
	     at += strlen(effects->statements.data + at) + 1)
		pw_strbuf_printf(out, " %c:%s", effects->statements.data[at],
				 effects->statements.data + at + 1);
}

static void assert_described(const struct pw_effects *effects, const char *text, const char *wanted)
{
	struct pw_strbuf got = PW_STRBUF_INIT;

	describe(effects, &got);
	if (strcmp(got.data ? got.data : "", wanted) != 0)
		fail_msg("%s\n got:%s\nwant:%s\n", text, got.data ? got.data : "", wanted);
	pw_strbuf_fini(&got);
}

static void assert_effects(const char *text, const char *wanted)
{
	struct pw_effects effects = PW_EFFECTS_INIT;
	struct pw_shape_cache cache;
	struct pw_shape_key key;

	pw_shape_cache_init(&cache, 100000);
	pw_shape_key_init(&key, &secret);
	pw_effects_judge(&effects, &cache, &key, text, strlen(text));
	assert_described(&effects, text, wanted);
	pw_effects_fini(&effects);
	pw_shape_cache_fini(&cache);
}

static const char unknown[] = " reset settings temp hold locks prepared listens code any commands";

static const char unknown_of_p[] =
    " reset settings temp hold locks prepared listens code any commands u:p";

static void test_nothing(void **state PW_UNUSED)
{
	assert_effects("", "");
	assert_effects("BEGIN", "");
	assert_effects("START TRANSACTION ISOLATION LEVEL SERIALIZABLE", "");
	assert_effects("COMMIT; ROLLBACK; SAVEPOINT a; RELEASE a; ROLLBACK TO a", "");
	assert_effects("SELECT 1", " queries");
	assert_effects("SELECT abs(1), count(*), pg_catalog.now() FROM t", " queries");
	assert_effects("INSERT INTO t (a) VALUES (lower('x'))", " writes");
	assert_effects("SELECT 'SET x', \"set\" /* set */ FROM t -- set x", " queries");
	assert_effects("SET LOCAL work_mem = '1MB'", "");
	assert_effects("SET LOCAL search_path = a", " parses");
	assert_effects("SET LOCAL ROLE bob", " parses");
	assert_effects("SET LOCAL \"Transform_Null_Equals\" = on",
		       " parses =transform_null_equals");
	assert_effects("SELECT set_config('Role', 'bob', true)", " reset queries parses =role");
	assert_effects("SELECT set_config('rol', 'bob', true)", " reset queries =rol");
	assert_effects("SET TRANSACTION READ ONLY", "");
	assert_effects("NOTIFY a, 'b'", "");
	assert_effects("DISCARD PLANS", "");
	assert_effects("SELECT pg_advisory_xact_lock(1)", " queries");
}

static void test_settings(void **state PW_UNUSED)
{
	assert_effects("SET work_mem = '1MB'", " =work_mem");
	assert_effects("set \"Work_Mem\" to '1MB'; SET work_mem = 2", " =work_mem");
	assert_effects("SET TIME ZONE 'UTC'", " =timezone");
	assert_effects("SET ROLE bob; SET SESSION AUTHORIZATION bob",
		       " parses =role =session_authorization");
	assert_effects("RESET SESSION AUTHORIZATION", " reset parses =session_authorization =role");
	assert_effects("UPDATE pg_settings SET setting = 'a'", " reset settings writes");
	assert_effects("WITH x AS (UPDATE pg_settings SET setting = 'a' RETURNING 1) SELECT 1",
		       " reset settings writes");
	assert_effects("UPDATE t SET a = 1", " writes");
	assert_effects("SELECT U&\"set!005fconfig\" UESCAPE '!' ('a', 'b', false)",
		       " reset queries =a a:");
	assert_effects("RESET work_mem", " reset =work_mem");
	assert_effects("SET work_mem TO DEFAULT", " reset =work_mem");
	assert_effects("RESET ALL", " reset-all");
	assert_effects("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
		       " =default_transaction_isolation =default_transaction_read_only "
		       "=default_transaction_deferrable");
	assert_effects("SET LOCAL app.x = 'a'", " =app.x");
	assert_effects("SELECT set_config('session_authorization', 'bob', false)",
		       " reset queries parses =session_authorization =role");
	assert_effects("SELECT set_config('App.X', 'y', false)", " reset queries =app.x");
	assert_effects("SELECT pg_catalog.set_config('a', $1, true)", " reset queries =a");
	assert_effects("SET SEED TO 0.5", " seed");
}

/* A name that is not written out may be any, and nobody can ask for it afterwards. */
static void test_names_that_are_made(void **state PW_UNUSED)
{
	assert_effects("SELECT set_config($1, 'x', false)", " reset settings opaque queries");
	assert_effects("SELECT set_config('a' || 'b', 'x', false)",
		       " reset settings opaque queries");
	assert_effects("SELECT set_config($1, 'x', TRUE)", " reset settings queries parses");
	assert_effects("SELECT set_config('a' || 'b', 'x', true)",
		       " reset settings queries parses");
	assert_effects("SELECT set_config('a' || 'b', 'x', not false)",
		       " reset settings opaque queries");
	assert_effects("SELECT set_config('a' || 'b', 'x', 't')", " reset settings opaque queries");
	assert_effects("SELECT set_config('a' || 'b', 'x', 't'::bool)",
		       " reset settings opaque queries");
	assert_effects("SELECT set_config('a' || 'b', is_local => true, new_value => 'x')",
		       " reset settings opaque queries");
	assert_effects("SET app.caf\xc3\xa9 = 1", " settings opaque");
	assert_effects("SELECT set_config(E'a', 'x', false)", " reset settings opaque queries");
	assert_effects("SELECT set_config('a''b', 'x', false)", " reset settings opaque queries");
	assert_effects("SELECT set_config(name, 'x', false) FROM t",
		       " reset settings opaque queries");
}

static void test_objects(void **state PW_UNUSED)
{
	assert_effects("CREATE TABLE t (a int)", " temp drops commands");
	assert_effects("CREATE TABLE t (a int DEFAULT f())", " temp drops commands f()");
	assert_effects("DROP FUNCTION f()", " drops commands");
	assert_effects("CREATE TEMP TABLE t (a int)", " temp commands");
	assert_effects("CREATE TEMP TABLE t (a int DEFAULT f())", " temp commands f()");
	assert_effects("CREATE TEMPORARY VIEW v AS SELECT 1", " temp commands");
	assert_effects("SELECT 1 INTO TEMP t", " temp commands");
	assert_effects("SELECT 1 INTO pg_temp.t", " temp commands");
	assert_effects("INSERT INTO a VALUES (1); SELECT 1 INTO TEMP t", " temp commands");
	assert_effects("DISCARD TEMP", " temp");
	assert_effects("DECLARE c CURSOR WITH HOLD FOR SELECT 1", " hold queries");
	assert_effects("DECLARE c CURSOR FOR SELECT 1", " drops queries");
	assert_effects("CLOSE c", " drops queries");
	assert_effects("DROP TABLE t", " drops commands");
	assert_effects("SELECT pg_advisory_lock(1)", " locks queries");
	assert_effects("SELECT pg_advisory_unlock_all()", " locks queries");
	assert_effects("PREPARE p AS SELECT 1", " prepared commands m:p");
	assert_effects("DEALLOCATE p; DEALLOCATE PREPARE \"Q\"", " drops d:p d:Q");
	assert_effects("DEALLOCATE ALL", " drops");
	assert_effects("SELECT * FROM pg_prepared_statements", " queries a:");
	assert_effects("SELECT * FROM PG_Prepared_Statements", " queries a:");
	assert_effects("SELECT * FROM \"pg_prepared_statements\"", " queries a:");
	assert_effects("TABLE pg_prepared_statements", " queries a:");
	assert_effects("SELECT 'pg_prepared_statements'", " queries");
	assert_effects("SELECT * FROM PG_PREPARED_STATEMENT()", " queries a:");
	assert_effects("SELECT * FROM Pg_Catalog . Pg_Prepared_Statement ( )", " queries a:");
	assert_effects("SELECT * FROM U&\"pg!005fprepared_statement\" UESCAPE '!' ()",
		       " queries a:");
	assert_effects("SELECT * FROM u&\"pg\\005fprepared_statements\"", " queries a:");
	assert_effects("LISTEN a", " listens");
	assert_effects("UNLISTEN *", " listens");
	assert_effects("LOAD 'x'", " load commands");
	assert_effects("SELECT setseed(0.1)", " seed queries");
	assert_effects("SELECT dblink_connect('a')", " queries dblink dblink_connect()");
	assert_effects("SELECT x.Dblink_Connect_U('a', 'b')", " queries dblink dblink_connect_u()");
	assert_effects("SELECT dblink('a', 'b')", " queries dblink()");
	assert_effects("SELECT currval('s')", " sequences queries");
	assert_effects("DISCARD ALL", " listens drops reset-all");
	assert_effects("COPY t FROM STDIN", " drops copy writes");
}

static bool changes_code(const char *text)
{
	struct pw_effects effects = PW_EFFECTS_INIT;
	struct pw_shape_cache cache;
	struct pw_shape_key key;
	bool result;

	pw_shape_cache_init(&cache, 100000);
	pw_shape_key_init(&key, &secret);
	pw_effects_judge(&effects, &cache, &key, text, strlen(text));
	result = effects.flags & PW_EFFECT_DDL;
	pw_effects_fini(&effects);
	pw_shape_cache_fini(&cache);
	return result;
}

static void test_changes_of_code(void **state PW_UNUSED)
{
	assert_true(changes_code("CREATE TABLE t (a int DEFAULT f())"));
	assert_true(changes_code("create temp table t (a int, check (f(a)))"));
	assert_true(changes_code("CREATE TABLE t (LIKE u)"));
	assert_true(changes_code("DO 'BEGIN EXECUTE x; END'"));
	assert_false(changes_code("CREATE TABLE t (a int, b text)"));
	assert_false(changes_code("CREATE TEMP TABLE t (a numeric(10, 2)) ON COMMIT DROP"));
	assert_false(changes_code("SELECT f()"));
}

static bool makes_tables(const char *text)
{
	struct pw_effects effects = PW_EFFECTS_INIT, all_of_it = PW_EFFECTS_INIT;
	struct pw_shape_cache cache;
	struct pw_shape_key key;
	bool result;

	pw_shape_cache_init(&cache, 100000);
	pw_shape_key_init(&key, &secret);
	pw_effects_judge(&effects, &cache, &key, text, strlen(text));
	pw_effects_merge(&all_of_it, &effects);
	result = all_of_it.makes_tables;
	pw_effects_clear(&all_of_it);
	assert_false(all_of_it.makes_tables);
	pw_effects_fini(&effects);
	pw_effects_fini(&all_of_it);
	pw_shape_cache_fini(&cache);
	return result;
}

static void test_new_tables(void **state PW_UNUSED)
{
	assert_true(makes_tables("CREATE TABLE t AS SELECT 1"));
	assert_true(makes_tables("create materialized view v as select 1"));
	assert_true(makes_tables("SELECT 1; CREATE TABLE t AS SELECT 1"));
	assert_true(makes_tables("EXPLAIN ANALYZE CREATE TABLE t AS SELECT 1"));
	assert_true(makes_tables("SELECT 1 INTO t"));
	assert_true(makes_tables("WITH w AS (SELECT 1) SELECT * INTO t FROM w"));
	assert_true(makes_tables("INSERT INTO a VALUES (1); SELECT 1 InTo t"));
	assert_true(makes_tables("WITH w AS (INSERT INTO a VALUES (1)) SELECT 1 INTO t"));
	assert_false(makes_tables("INSERT INTO a SELECT 1"));
	assert_false(makes_tables("insert into a values (1); select 1"));
	assert_false(makes_tables("WITH w AS (INSERT INTO a VALUES (1) RETURNING 1) SELECT 1"));
	assert_false(makes_tables("WITH w AS (SELECT 1) INSERT /* so */ INTO a SELECT 1"));
	assert_false(makes_tables("MERGE INTO a USING b ON true WHEN MATCHED THEN DO NOTHING"));
	assert_false(makes_tables("SELECT 'into'"));
	assert_false(makes_tables("EXPLAIN ANALYZE SELECT 1"));
	assert_false(makes_tables("UPDATE a SET b = 1"));
}

static void assert_described_with(const char *flags_wanted, const char *names, const char *text)
{
	char wanted[256];

	snprintf(wanted, sizeof(wanted), "%s%s", flags_wanted, names);
	assert_effects(text, wanted);
}

static void test_code(void **state PW_UNUSED)
{
	assert_effects("SELECT f(1)", " queries f()");
	assert_effects("SELECT public.abs(1)", " queries abs()");
	assert_effects("CALL p()", " commands p()");
	assert_effects("DO $$ BEGIN END $$", unknown);
	assert_described_with(unknown, " =app.x",
			      "DO $$ BEGIN SET app.x = 'y'; PERFORM a.b; END $$");
	assert_effects("SELECT f($$ 'app.x' $$)", " queries =app.x f()");
	assert_effects("EXPLAIN ANALYZE EXECUTE p", unknown_of_p);
	assert_effects("EXECUTE p", unknown_of_p);
	assert_effects("SELECT query_to_xml('SET x', true, true, '')", unknown);
}

/* Whatever way it is written. */
static void test_calls(void **state PW_UNUSED)
{
	static const char long_name[] =
	    "a123456789b123456789c123456789d123456789e123456789f123456789g12345";
	char text[200], wanted[200];

	assert_effects("SELECT F(1), \"F\"(2), s.f(3), \"S\".\"f\"(4)", " queries f()");
	assert_effects("SELECT U&\"\\0066\"(1)", " queries f() a:");
	assert_effects("SELECT x.f FROM CURRENT_USER x", " queries f()");
	assert_effects("SELECT x.f FROM t, LocalTime AS x", " queries f()");
	assert_effects("SELECT x.f FROM t CROSS JOIN USER x", " queries f()");
	assert_effects("SELECT current_user, t.f FROM t", " queries");
	assert_effects("SELECT \"a.b\"(1)", " queries =a.b b()");
	assert_effects("SELECT g /* x */ (1), f -- y\n (2)", " queries g() f()");
	assert_effects(
	    "SELECT agg(DISTINCT a ORDER BY b) FILTER (WHERE c) OVER (PARTITION BY h(d))",
	    " queries agg() h()");
	assert_effects("SELECT * FROM t JOIN LATERAL rows(t.a) ON true, ROWS FROM (a(), b()) x",
		       " queries rows() a() b()");
	assert_effects("INSERT INTO t VALUES (f()) ON CONFLICT DO UPDATE SET a = g() RETURNING h()",
		       " writes f() g() h()");
	assert_effects("DELETE FROM t WHERE a = (SELECT f(b) FROM u)", " writes f()");
	assert_effects("COPY (SELECT f()) TO STDOUT", " copy writes f()");
	assert_effects("EXPLAIN ANALYZE SELECT f()", " commands f()");
	assert_effects("CREATE INDEX ON t (f(a))", " commands f()");
	assert_effects("DECLARE c CURSOR FOR SELECT f()", " queries f()");
	assert_effects("PREPARE p AS SELECT f()", " prepared commands f() m:p");
	assert_effects("MERGE INTO t USING u ON f(a) WHEN MATCHED THEN DELETE", " writes f()");
	/* Its name hangs on the encoding. */
	assert_effects("SELECT \"f\xc3\xa4\"(1)", " any queries");
	snprintf(text, sizeof(text), "SELECT %s(1)", long_name);
	snprintf(wanted, sizeof(wanted), " queries %.63s()", long_name);
	assert_effects(text, wanted);
}

/* What is run by its name where EXECUTE is not PL/pgSQL's own, and it may be either. */
static void test_statements_in_code(void **state PW_UNUSED)
{
	static const char opaque[] =
	    " reset settings temp hold locks prepared listens code any unseen commands";
	char wanted[256];

	snprintf(wanted, sizeof(wanted), "%s r:a f:b", opaque);
	assert_effects("DO $$ BEGIN EXECUTE 'EXECUTE A(1)'; DEALLOCATE PREPARE b; END $$", wanted);
	snprintf(wanted, sizeof(wanted), "%s r:A b", opaque);
	assert_effects("DO $$ BEGIN EXECUTE 'EXECUTE \"A b\"'; END $$", wanted);
	/* The link has those of others. */
	snprintf(wanted, sizeof(wanted), "%s f:b", unknown);
	assert_effects("DO $$ BEGIN DEALLOCATE b; END $$", wanted);
	snprintf(wanted, sizeof(wanted), "%s f:all", opaque);
	assert_effects("DO $$ BEGIN DEALLOCATE PREPARE ALL; END $$", wanted);
	assert_effects("DO $$ BEGIN EXECUTE 'DEALLOCATE ' || x; END $$", opaque);
	snprintf(wanted, sizeof(wanted), "%s r:x", opaque);
	assert_effects("DO $$ BEGIN EXECUTE x; END $$", wanted);
	snprintf(wanted, sizeof(wanted), "%s r:format", opaque);
	assert_effects("DO $$ BEGIN EXECUTE format('SET LOCAL %I = 1', x); END $$", wanted);
}

/* Code within a text that may set what the text does not name. */
static void test_code_in_texts(void **state PW_UNUSED)
{
	static const char *const made[] = {
	    "DO $$ BEGIN PERFORM set_config('a' || 'b', 'c', false); END $$",
	    "DO $$ BEGIN PERFORM set_config('a'::text || 'b', 'c', false); END $$",
	    "DO $$ BEGIN PERFORM \"set_config\" (x, 'c', false); END $$",
	};
	static const char *const run[] = {
	    "DO $$ BEGIN EXECUTE 'SET ' || x || ' = 1'; END $$",
	    "DO $$ BEGIN EXECUTE (format('SET LOCAL %I = 1', x)); END $$",
	};
	static const char *const clear[] = {
	    "DO $$ BEGIN UPDATE t SET \"a\" = 1; END $$",
	    "DO $$ BEGIN SET \"a\" = 1; END $$",
	    "DO $$ BEGIN PERFORM set_config ( 'a' , 'c', false); SET a = 1; END $$",
	};

	for (size_t i = 0; i < PW_COUNTOF(made); i++)
		assert_effects(made[i], " reset settings temp hold locks prepared listens code any "
					"made commands");
	for (size_t i = 0; i < PW_COUNTOF(run); i++)
		assert_effects(run[i], " reset settings temp hold locks prepared listens code any "
				       "unseen commands");
	for (size_t i = 0; i < PW_COUNTOF(clear); i++)
		assert_effects(clear[i], unknown);
	assert_effects("CREATE FUNCTION f(n text) RETURNS text LANGUAGE sql AS "
		       "'SELECT set_config(n, ''x'', false)'",
		       " temp drops made unseen commands");
	assert_effects("CREATE FUNCTION f(n text DEFAULT g()) RETURNS text LANGUAGE sql AS "
		       "$$ SELECT set_config(n, 'app.x', false) $$",
		       " temp drops made unseen commands =app.x g()");
}

/* What it runs is merged, as one that is bound is. */
static void test_known_executed(void **state PW_UNUSED)
{
	static const struct {
		const char *texts[2]; /* the EXECUTE, and what it runs */
		unsigned left;
	} rows[] = {
	    {{"EXECUTE s", "VALUES (1)"}, PW_EFFECT_QUERIES},
	    {{"EXPLAIN EXECUTE s(1)", "SELECT 1"}, PW_EFFECT_QUERIES},
	    {{"EXECUTE s", "SELECT f()"}, PW_EFFECT_QUERIES | PW_EFFECT_CALLS},
	    {{"EXECUTE s(f())", "SELECT 1"}, PW_EFFECT_QUERIES | PW_EFFECT_CALLS},
	    {{"EXECUTE s", "SELECT gr\xc3\xb6\xc3\x9f"
			   "e()"},
	     PW_EFFECT_QUERIES | PW_EFFECT_CALLS | PW_EFFECT_CALLS_ANY},
	    {{"EXECUTE s", "SELECT setseed(0)"}, PW_EFFECT_QUERIES | PW_EFFECT_SEED},
	};
	struct pw_shape_cache cache;
	struct pw_shape_key key;

	pw_shape_cache_init(&cache, 100000);
	pw_shape_key_init(&key, &secret);
	for (size_t i = 0; i < PW_COUNTOF(rows); i++) {
		struct pw_effects all = PW_EFFECTS_INIT, runs = PW_EFFECTS_INIT;

		pw_effects_judge(&all, &cache, &key, rows[i].texts[0], strlen(rows[i].texts[0]));
		assert_int_equal(all.flags & PW_EFFECTS_UNREAD, PW_EFFECTS_UNREAD);
		pw_effects_judge(&runs, &cache, &key, rows[i].texts[1], strlen(rows[i].texts[1]));
		pw_effects_merge(&all, &runs);
		pw_effects_know_executed(&all);
		assert_int_equal(all.flags, rows[i].left);
		pw_effects_fini(&all);
		pw_effects_fini(&runs);
	}
	pw_shape_cache_fini(&cache);
}

static void test_many_calls(void **state PW_UNUSED)
{
	struct pw_effects effects = PW_EFFECTS_INIT, more = PW_EFFECTS_INIT;
	char name[32];

	for (int i = 0; i < PW_EFFECTS_NAMES_MAX; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		pw_effects_add_call(&effects, name, strlen(name));
		pw_effects_add_call(&effects, name, strlen(name));
	}
	assert_int_equal(effects.flags, PW_EFFECT_CALLS);
	assert_false(pw_effects_call(&effects, "g"));
	pw_effects_add_call(&more, "G", 1);
	pw_effects_merge(&effects, &more);
	assert_int_equal(effects.flags, PW_EFFECT_CALLS | PW_EFFECT_CALLS_ANY);
	assert_true(pw_effects_call(&effects, "whatever"));
	pw_effects_clear(&effects);
	pw_effects_merge(&effects, &more);
	assert_described(&effects, "merged", " g()");
	assert_true(pw_effects_call(&effects, "s.G"));
	assert_false(pw_effects_call(&effects, "abs"));
	effects.flags |= PW_EFFECT_QUERIES;
	assert_true(pw_effects_call(&effects, "abs"));
	pw_effects_fini(&effects);
	pw_effects_fini(&more);
}

static unsigned by_code(unsigned more, const char *call, const struct pw_verdict *verdict)
{
	struct pw_effects effects = PW_EFFECTS_INIT;
	unsigned what;

	if (call)
		pw_effects_add_call(&effects, call, strlen(call));
	effects.flags |= more;
	what = pw_effects_by_code(&effects, verdict);
	pw_effects_fini(&effects);
	return what;
}

static void test_by_code(void **state PW_UNUSED)
{
	struct pw_verdict *verdict = pw_verdict_create(1);

	pw_verdict_add(verdict, PW_CODE_DOUBTFUL, "f", 1);
	pw_verdict_add(verdict, PW_CODE_OPAQUE, "g", 1);
	pw_verdict_finish(verdict);
	assert_int_equal(by_code(PW_EFFECT_QUERIES, NULL, verdict), 0);
	assert_int_equal(by_code(PW_EFFECT_QUERIES, "h", verdict), 0);
	assert_int_equal(by_code(0, "a.F", verdict), PW_CODE_DOUBTFUL);
	assert_int_equal(by_code(0, "g", verdict), PW_CODE_OPAQUE);
	assert_int_equal(by_code(PW_EFFECT_CALLS_ANY, NULL, verdict),
			 PW_CODE_DOUBTFUL | PW_CODE_OPAQUE);
	pw_verdict_add_use(verdict, PW_USE_READ, PW_CODE_DOUBTFUL);
	assert_int_equal(by_code(PW_EFFECT_QUERIES, "h", verdict), PW_CODE_DOUBTFUL);
	assert_int_equal(by_code(0, "h", verdict), 0);
	pw_verdict_add_use(verdict, PW_USE_WRITE, PW_CODE_OPAQUE);
	assert_int_equal(by_code(PW_EFFECT_QUERIES, NULL, verdict), PW_CODE_DOUBTFUL);
	assert_int_equal(by_code(PW_EFFECT_QUERIES | PW_EFFECT_WRITES, NULL, verdict),
			 PW_CODE_DOUBTFUL | PW_CODE_OPAQUE);
	assert_int_equal(by_code(PW_EFFECT_COMMANDS, NULL, verdict), 0);
	verdict->all = PW_CODE_OPAQUE;
	assert_int_equal(by_code(0, "h", verdict), PW_CODE_OPAQUE);
	assert_int_equal(by_code(0, NULL, verdict), 0);
	pw_verdict_unref(verdict);
}

static bool draws(const char *text, const struct pw_verdict *verdict)
{
	struct pw_effects effects = PW_EFFECTS_INIT;
	struct pw_shape_cache cache;
	struct pw_shape_key key;
	bool result;

	pw_shape_cache_init(&cache, 100000);
	pw_shape_key_init(&key, &secret);
	pw_effects_judge(&effects, &cache, &key, text, strlen(text));
	result = pw_effects_draw(&effects, verdict);
	pw_effects_fini(&effects);
	pw_shape_cache_fini(&cache);
	return result;
}

static void test_values_of_sequences(void **state PW_UNUSED)
{
	static const char *const drawing[] = {
	    "SELECT nextval('s')",
	    "SELECT setval('s', 1)",
	    "INSERT INTO t VALUES (1)",
	    "UPDATE t SET a = 1",
	    "DELETE FROM t",
	    "WITH n AS (INSERT INTO t VALUES (1) RETURNING a) SELECT a FROM n",
	    "COPY t FROM STDIN",
	    "SELECT f()",
	    "CALL p()",
	    "DO $$ BEGIN END $$",
	    "EXECUTE p",
	    "CREATE TABLE t AS SELECT 1",
	    "EXPLAIN ANALYZE SELECT 1",
	    "SELECT 1; TRUNCATE t",
	    "SELECT 'x"};
	static const char *const others[] = {"BEGIN",
					     "COMMIT",
					     "SELECT lower(a), now() FROM t WHERE b = 'nextval'",
					     "SELECT currval('s')",
					     "SET work_mem = '5MB'",
					     "SHOW work_mem",
					     "LISTEN c",
					     "WITH n AS (SELECT 1) SELECT * FROM n",
					     "VALUES (1)",
					     ""};
	struct pw_verdict *verdict = pw_verdict_create(1);

	assert_non_null(verdict);
	for (size_t i = 0; i < PW_COUNTOF(drawing); i++) {
		if (!draws(drawing[i], verdict))
			fail_msg("%s", drawing[i]);
	}
	for (size_t i = 0; i < PW_COUNTOF(others); i++) {
		if (draws(others[i], verdict))
			fail_msg("%s", others[i]);
	}
	assert_true(draws("SELECT 1", NULL));
	assert_false(draws("BEGIN", NULL));
	verdict->reading_draws = true;
	assert_true(draws("SELECT 1", verdict));
	assert_false(draws("COMMIT", verdict));
	pw_verdict_unref(verdict);
}

static void test_not_understood(void **state PW_UNUSED)
{
	char text[20000] = "SELECT 1";

	assert_effects("SELEC 1", unknown);
	assert_effects("SELECT 'x", unknown);
	assert_effects("SELECT 1; SET", unknown);
	for (size_t i = strlen(text); i < 15000; i += 2)
		memcpy(text + i, "+1", 2);
	/* Long, but plainly a query; with a call in it, it would have to be parsed. */
	assert_effects(text, " queries");
	memcpy(text + strlen("SELECT "), "f(1)+", 5);
	assert_effects(text, unknown);
}

/* Over and over the same ones, more than the bound has room for, and then another. */
static void test_names_again(void **state PW_UNUSED)
{
	struct pw_effects effects = PW_EFFECTS_INIT;
	struct pw_strbuf text = PW_STRBUF_INIT;

	for (int i = 0; i < 1000; i++)
		pw_strbuf_printf(&text, "'a.%c%d' ", i % 3 ? 'b' : 'B',
				 i % (PW_EFFECTS_NAMES_MAX - 1));
	pw_strbuf_add_string(&text, "'a.ends'");
	pw_effects_scan(&effects, text.data, text.len);
	assert_int_equal(effects.n_names, PW_EFFECTS_NAMES_MAX);
	assert_int_equal(effects.flags, 0);
	assert_true(pw_effects_name(&effects, "a.b0"));
	assert_true(pw_effects_name(&effects, "a.ends"));
	pw_strbuf_add_string(&text, "'a.x' 'a.b1' 'a.y'");
	pw_effects_clear(&effects);
	pw_effects_scan(&effects, text.data, text.len);
	assert_int_equal(effects.n_names, PW_EFFECTS_NAMES_MAX);
	assert_int_equal(effects.flags, PW_EFFECT_SETTINGS | PW_EFFECT_OPAQUE);
	pw_strbuf_fini(&text);
	pw_effects_fini(&effects);
}

static void test_many_names(void **state PW_UNUSED)
{
	struct pw_effects effects = PW_EFFECTS_INIT, more = PW_EFFECTS_INIT;
	char name[400];

	for (int i = 0; i < PW_EFFECTS_NAMES_MAX; i++) {
		snprintf(name, sizeof(name), "a%d", i);
		pw_effects_add_name(&effects, name, strlen(name));
		pw_effects_add_name(&effects, name, strlen(name));
	}
	assert_int_equal(effects.n_names, PW_EFFECTS_NAMES_MAX);
	assert_int_equal(effects.flags, PW_EFFECT_NAMED);
	pw_effects_add_name(&effects, "one more", 8);
	assert_true(effects.flags & PW_EFFECT_SETTINGS);
	pw_effects_clear(&effects);
	assert_int_equal(effects.flags | effects.n_names | effects.names.len, 0);
	memset(name, 'x', sizeof(name));
	pw_effects_add_name(&effects, name, sizeof(name));
	assert_int_equal(effects.flags, PW_EFFECT_NAMED | PW_EFFECT_SETTINGS | PW_EFFECT_OPAQUE);
	pw_effects_clear(&effects);
	pw_effects_add_name(&effects, "a", 1);
	pw_effects_add_name(&more, "A", 1);
	pw_effects_add_name(&more, "b", 1);
	more.flags |= PW_EFFECT_TEMP;
	pw_effects_merge(&effects, &more);
	assert_described(&effects, "merged", " temp =a =b");
	pw_effects_fini(&effects);
	pw_effects_fini(&more);
}

/* What one text was is not true of the next. */
static void test_used_again(void **state PW_UNUSED)
{
	struct pw_effects effects = PW_EFFECTS_INIT;
	struct pw_shape_cache cache;
	struct pw_shape_key key;

	pw_shape_cache_init(&cache, 100000);
	pw_shape_key_init(&key, &secret);
	pw_effects_judge(&effects, &cache, &key, "BEGIN", 5);
	assert_true(effects.begins);
	pw_effects_clear(&effects);
	assert_false(effects.begins);
	pw_effects_judge(&effects, &cache, &key, "COMMIT", 6);
	assert_true(effects.ends);
	pw_effects_clear(&effects);
	pw_effects_judge_unread(&effects, "SELECT 1", 8);
	assert_false(effects.begins || effects.ends);
	pw_effects_fini(&effects);
	pw_shape_cache_fini(&cache);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_nothing),
	    cmocka_unit_test(test_settings),
	    cmocka_unit_test(test_names_that_are_made),
	    cmocka_unit_test(test_objects),
	    cmocka_unit_test(test_changes_of_code),
	    cmocka_unit_test(test_new_tables),
	    cmocka_unit_test(test_code),
	    cmocka_unit_test(test_calls),
	    cmocka_unit_test(test_code_in_texts),
	    cmocka_unit_test(test_statements_in_code),
	    cmocka_unit_test(test_known_executed),
	    cmocka_unit_test(test_many_calls),
	    cmocka_unit_test(test_by_code),
	    cmocka_unit_test(test_values_of_sequences),
	    cmocka_unit_test(test_not_understood),
	    cmocka_unit_test(test_many_names),
	    cmocka_unit_test(test_names_again),
	    cmocka_unit_test(test_used_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

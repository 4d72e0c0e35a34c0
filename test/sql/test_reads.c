/* SPDX-License-Identifier: PostgreSQL
 *
 * Which texts only read, and what they name.
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
#include "pgweir/base/strbuf.h"
#include "pgweir/sql/analysis.h"

static const char *const kinds[PW_SQL_READ_N_KINDS] = {
    [PW_SQL_READ_NEVER] = "never",     [PW_SQL_READ_TRANSACTION] = "transaction",
    [PW_SQL_READ_BY_NAMES] = "names",  [PW_SQL_READ_CURSOR] = "cursor",
    [PW_SQL_READ_EXECUTE] = "execute",
};

static struct pw_analysis *analyse(const char *text)
{
	const struct pw_hash_key secret = {1, 2};
	struct pw_shape_key key;
	struct pw_shape shape;
	struct pw_analysis *analysis;

	pw_shape_key_init(&key, &secret);
	pw_shape_take(&shape, &key, text, strlen(text));
	analysis = pw_analysis_create(text, &shape);
	assert_non_null(analysis);
	return analysis;
}

/* ---- an analysis in words ---- */

static void assert_within(const struct pw_analysis *a, const void *at)
{
	assert_true((const char *)at >= (const char *)a);
	assert_true((const char *)at < (const char *)a + a->bytes);
}

static void add_names(struct pw_strbuf *out, const struct pw_analysis *a, const char *head,
		      const struct pw_sql_name *names, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		assert_within(a, names[i].schema);
		assert_within(a, names[i].name);
		pw_strbuf_printf(out, "%s%s%s%s", i == 0 ? head : " ", names[i].schema,
				 names[i].schema[0] ? "." : "", names[i].name);
	}
}

static void add_words(struct pw_strbuf *out, const struct pw_analysis *a)
{
	static const char *const words[] = {"begins",    "ends",       "chains",       "marks",
					    "read-only", "read-write", "serializable", "isolation",
					    "sets",      "again"};

	for (unsigned i = 0; i < PW_COUNTOF(words); i++) {
		if (a->transaction & 1U << i)
			pw_strbuf_printf(out, " %s", words[i]);
	}
}

/* "names t s.u; calls f; by = <; as pg_catalog.int4"; a text of several kinds of statements:
 * "names+transaction begins" */
static void describe(struct pw_strbuf *out, const struct pw_analysis *a)
{
	pw_strbuf_add_string(out, kinds[a->read]);
	for (unsigned kind = 0; kind < PW_SQL_READ_N_KINDS; kind++) {
		if (a->read_kinds & 1U << kind && kind != a->read)
			pw_strbuf_printf(out, "+%s", kinds[kind]);
	}
	add_words(out, a);
	add_names(out, a, " ", a->relations, a->n_relations);
	for (unsigned i = 0; i < a->n_functions; i++) {
		assert_within(a, a->functions[i].name);
		pw_strbuf_printf(out, "%s%s", i == 0 ? "; calls " : " ", a->functions[i].name);
	}
	add_names(out, a, "; by ", a->operators, a->n_operators);
	add_names(out, a, "; as ", a->types, a->n_types);
}

struct row {
	const char *text, *wanted;
};

static void assert_row(const struct row *row)
{
	struct pw_analysis *a = analyse(row->text);
	struct pw_strbuf got = PW_STRBUF_INIT;

	describe(&got, a);
	if (!a->is_parsed || strcmp(got.data, row->wanted) != 0)
		fail_msg("%s\n got: %s%s\nwant: %s\n", row->text, got.data,
			 a->is_parsed ? "" : " (not parsed)", row->wanted);
	pw_strbuf_fini(&got);
	pw_analysis_destroy(a);
}

#define ASSERT_ROWS(rows)                                                                          \
	do {                                                                                       \
		for (size_t i = 0; i < PW_COUNTOF(rows); i++)                                      \
			assert_row(&(rows)[i]);                                                    \
	} while (0)

/* ---- queries ---- */

static void test_queries(void **state PW_UNUSED)
{
	static const struct row rows[] = {
	    {"", "names"},
	    {" ; -- nothing", "names"},
	    {"SELECT", "names"},
	    {"SELECT 1, 'a', 1.5, NULL, true, B'1', -1", "names"},
	    {"SELECT $1", "names"},
	    {"SELECT a, t.*, t FROM t", "names t"},
	    {"SELECT * FROM t, s.t, \"T\" AS x (a, b), ONLY u, d.s.v *", "names t s.t T u s.v"},
	    {"SELECT * FROM t a, t b, s.t c, s.t d", "names t s.t"},
	    {"TABLE t", "names t"},
	    {"VALUES (1, 2), (3, f(4))", "names; calls f"},
	    {"VALUES ((SELECT a FROM t)), ((TABLE u))", "names t u"},
	    {"(((SELECT a FROM t)))", "names t"},
	    {"SELECT a FROM t WHERE EXISTS (SELECT FROM u WHERE v IS NOT NULL)", "names t u"},
	    {"SELECT (SELECT a FROM t), ARRAY(SELECT b FROM u)", "names t u"},
	    {"SELECT * FROM (SELECT * FROM (VALUES (1)) v, t) x", "names t"},
	    {"SELECT 1 FROM t LIMIT (SELECT a FROM u) OFFSET f()", "names t u; calls f"},
	    {"SELECT a FROM t FETCH FIRST 3 ROWS ONLY", "names t"},
	    {"SELECT * FROM t, LATERAL (SELECT * FROM u WHERE f(t.a)) x", "names t u; calls f"},
	    {"SELECT * FROM t LEFT JOIN u ON f(t.a, u.a) CROSS JOIN v", "names t u v; calls f"},
	    {"SELECT a FROM t UNION ALL SELECT b FROM u", "names t u"},
	    {"SELECT a FROM t UNION (SELECT b FROM u EXCEPT TABLE v)", "names t u v; by = <"},
	    {"SELECT a INTERSECT ALL SELECT 2", "names; by = <"},
	    {"SELECT true AND NOT a OR b IS TRUE OR c IS UNKNOWN", "names"},
	    {"SELECT (a, b), ROW(c), ROW(t.*), (x).y FROM t", "names t; calls y"},
	    {"SELECT ARRAY[1, f()], a[1], a[1:2], a[:] FROM t", "names t; calls f"},
	    {"SELECT COALESCE(a, f()), CASE WHEN b THEN g() ELSE h() END", "names; calls f g h"},
	    {"SELECT a COLLATE \"C\", b COLLATE s.c FROM t", "names t"},
	    {"SELECT current_user, current_timestamp(3), localtime, current_schema", "names"},
	    {"SELECT GROUPING(a), 1 FROM t GROUP BY GROUPING SETS ((a), (b, f(c)), ()), ROLLUP "
	     "(d), "
	     "CUBE (e)",
	     "names t; calls f; by = <"},
	    {"SELECT DISTINCT a FROM t", "names t; by = <"},
	    {"SELECT DISTINCT ON (a) b FROM t", "names t; by = <"},
	    {"SELECT a FROM t GROUP BY DISTINCT a HAVING f(a)", "names t; calls f; by = <"},
	};

	ASSERT_ROWS(rows);
}

static void test_calls(void **state PW_UNUSED)
{
	static const struct row rows[] = {
	    {"SELECT f(), s.f(), \"F\"(1), d.s.f(), f(2)", "names; calls f s.f F d.s.f f"},
	    {"SELECT f(a => g(), b := h())", "names; calls f g h"},
	    {"SELECT f(VARIADIC g())", "names; calls f g"},
	    {"SELECT count(*), sum(DISTINCT a), max(b) FILTER (WHERE f(c)) FROM t",
	     "names t; calls count sum max f; by = <"},
	    {"SELECT array_agg(a ORDER BY f(b), c DESC) FROM t",
	     "names t; calls array_agg f; by = < >"},
	    {"SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY a) FROM t",
	     "names t; calls percentile_cont; by = <"},
	    {"SELECT rank() OVER (PARTITION BY f(a) ORDER BY g(b) ROWS h() PRECEDING), "
	     "sum(c) OVER w FROM t WINDOW w AS (ORDER BY i(d))",
	     "names t; calls rank f g h sum i; by = <"},
	    {"SELECT rank() OVER () FROM t", "names t; calls rank"},
	    {"SELECT * FROM f(1) AS x", "names; calls f"},
	    {"SELECT * FROM t, f(t.a) WITH ORDINALITY", "names t; calls f a"},
	    {"SELECT * FROM f() AS (a int, b s.u[] COLLATE \"C\")",
	     "names; calls f; as pg_catalog.int4 s.u"},
	    {"SELECT x.g, x FROM f() x", "names; calls f g"},
	    {"SELECT x.g FROM t x", "names t"},
	    {"SELECT ($1).f, (t.a).g.h, (t).* FROM t", "names t; calls f g h"},
	    {"SELECT * FROM ROWS FROM (f(), g() AS (a u), h(i())) WITH ORDINALITY AS x",
	     "names; calls f g h i; as u"},
	    {"SELECT * FROM t TABLESAMPLE system (f())", "names t; calls system f"},
	    {"SELECT * FROM t x TABLESAMPLE s.mine (1) REPEATABLE (2)", "names t; calls s.mine"},
	    {"SELECT extract(year FROM a), substring(b FROM 1 FOR 2), trim(c), "
	     "position(d IN e), overlay(f PLACING g FROM 1), d AT TIME ZONE 'UTC', "
	     "(a, b) OVERLAPS (c, d), normalize(a), a IS NORMALIZED",
	     "names; calls pg_catalog.extract pg_catalog.substring pg_catalog.btrim "
	     "pg_catalog.position pg_catalog.overlay pg_catalog.timezone pg_catalog.overlaps "
	     "pg_catalog.normalize pg_catalog.is_normalized"},
	    {"SELECT COLLATION FOR (a)", "names; calls pg_catalog.pg_collation_for"},
	    {"SELECT nextval('s'), pg_notify('a', 'b')", "names; calls nextval pg_notify"},
	    {"SELECT current_setting('in_hot_standby')", "names; calls current_setting"},
	    {"SELECT xmlelement(NAME a, xmlattributes(f() AS b), g()), xmlforest(h()), "
	     "xmlparse(DOCUMENT i()), xmlserialize(CONTENT j() AS s.t), xmlpi(NAME c), "
	     "xmlroot(a, VERSION k()), xmlconcat(a, b), a IS DOCUMENT, xmlexists(l() PASSING m())",
	     "names; calls f g h i j k pg_catalog.xmlexists l m; as s.t"},
	    {"SELECT * FROM t, XMLTABLE(XMLNAMESPACES(f() AS x), g() PASSING h() COLUMNS a u PATH "
	     "i() DEFAULT j(), n FOR ORDINALITY) x",
	     "names t; calls h g f i j; as u"},
	};

	ASSERT_ROWS(rows);
}

/* "f/1 g/0"; "*" = not known how many. */
static void test_arguments(void **state PW_UNUSED)
{
	static const struct row rows[] = {
	    {"SELECT f(), f(1), f(1, g(2)), f(3)", "f/0 f/1 f/2 g/1"},
	    {"SELECT s.f(a => 1, b := 2)", "s.f/2"},
	    {"SELECT f(1, VARIADIC '{2}')", "f/*"},
	    {"SELECT f(*), f(DISTINCT a), f(a, b ORDER BY c) FROM t", "f/0 f/1 f/2"},
	    {"SELECT f(1) WITHIN GROUP (ORDER BY a, b) FROM t", "f/3"},
	    {"SELECT f(1) OVER (ORDER BY a) FROM t", "f/1"},
	    {"SELECT (t).f FROM t", "f/*"},
	    {"SELECT x.f FROM g(1) x", "g/1 f/*"},
	    {"SELECT * FROM t TABLESAMPLE f (1)", "f/*"},
	    {"SELECT extract(year FROM a)", "pg_catalog.extract/2"},
	};

	for (size_t i = 0; i < PW_COUNTOF(rows); i++) {
		struct pw_analysis *a = analyse(rows[i].text);
		struct pw_strbuf got = PW_STRBUF_INIT;

		for (unsigned k = 0; k < a->n_functions; k++) {
			const struct pw_sql_call *call = &a->functions[k];

			pw_strbuf_printf(&got, "%s%s/", k > 0 ? " " : "", call->name);
			if (call->n_args == PW_SQL_ARGS_ANY)
				pw_strbuf_add_string(&got, "*");
			else
				pw_strbuf_printf(&got, "%u", call->n_args);
		}
		assert_string_equal(got.data, rows[i].wanted);
		pw_strbuf_fini(&got);
		pw_analysis_destroy(a);
	}
}

static void test_operators(void **state PW_UNUSED)
{
	static const struct row rows[] = {
	    {"SELECT 1 + 2, a - b, - c, @ d", "names; by + - @"},
	    {"SELECT a OPERATOR(pg_catalog.+) b", "names"},
	    {"SELECT a OPERATOR(s.+) b, a OPERATOR(+) c", "names; by s.+ +"},
	    {"SELECT a IN (1, 2), b NOT IN (3)", "names; by = <>"},
	    {"SELECT a IN (SELECT b FROM t)", "names t; by ="},
	    {"SELECT a NOT IN (TABLE t)", "names t; by ="},
	    {"SELECT a BETWEEN 1 AND f()", "names; calls f; by >= <="},
	    {"SELECT a BETWEEN SYMMETRIC 1 AND 2", "names; by >= <="},
	    {"SELECT a NOT BETWEEN 1 AND 2", "names; by < >"},
	    {"SELECT a NOT BETWEEN SYMMETRIC 1 AND 2", "names; by < >"},
	    {"SELECT a LIKE 'b', a NOT LIKE 'b', a ILIKE 'c', a NOT ILIKE 'c'",
	     "names; by ~~ !~~ ~~* !~~*"},
	    {"SELECT a LIKE 'b' ESCAPE 'c'", "names; calls pg_catalog.like_escape; by ~~"},
	    {"SELECT a SIMILAR TO 'b'", "names; calls pg_catalog.similar_to_escape; by ~"},
	    {"SELECT a IS DISTINCT FROM b", "names; by ="},
	    {"SELECT a IS NOT DISTINCT FROM b", "names; by ="},
	    {"SELECT NULLIF(a, b)", "names; by ="},
	    {"SELECT GREATEST(a, b)", "names; by >"},
	    {"SELECT LEAST(a, f())", "names; calls f; by <"},
	    {"SELECT CASE a WHEN 1 THEN 2 END", "names; by ="},
	    {"SELECT a < ANY (b), a <= ALL (ARRAY[1]), a % SOME (c)", "names; by < <= %"},
	    {"SELECT a < ANY (SELECT b FROM t), a >= ALL (TABLE u)", "names t u; by < >="},
	    {"SELECT a OPERATOR(s.<) ANY (TABLE t)", "names t; by s.<"},
	    {"SELECT a OPERATOR(pg_catalog.=) ANY (TABLE t)", "names t"},
	    {"SELECT a LIKE ANY (b), a NOT ILIKE ALL (TABLE t)", "names t; by ~~ !~~*"},
	    {"SELECT (a, b) < (c, d), (a, b) = (SELECT c, d FROM t)", "names t; by < ="},
	    {"SELECT * FROM t JOIN u USING (a)", "names t u; by ="},
	    {"SELECT * FROM t NATURAL JOIN u", "names t u; by ="},
	    {"SELECT * FROM t JOIN u USING (a) AS x", "names t u; by ="},
	    {"SELECT a FROM t ORDER BY b, c ASC", "names t; by = <"},
	    {"SELECT a FROM t ORDER BY b DESC NULLS LAST", "names t; by = < >"},
	    {"SELECT a FROM t ORDER BY b USING <#, c USING OPERATOR(s.>), "
	     "d USING OPERATOR(pg_catalog.<)",
	     "names t; by <# = < s.>"},
	    {"SELECT a -> 'b' ->> 'c' #> 'd'", "names; by #> ->> ->"},
	};

	ASSERT_ROWS(rows);
}

static void test_types(void **state PW_UNUSED)
{
	static const struct row rows[] = {
	    {"SELECT a::t, CAST(b AS s.t), t 'c', a::t", "names; as t s.t"},
	    {"SELECT 1::int, int '1', a::text, a::\"char\", a::char",
	     "names; as pg_catalog.int4 text char pg_catalog.bpchar"},
	    {"SELECT ARRAY[1]::t[], a::s.t ARRAY[3]", "names; as t s.t"},
	    {"SELECT '1'::numeric(1, 2), interval '1' day, a::t(1, b)",
	     "names; as pg_catalog.numeric pg_catalog.interval t"},
	    {"SELECT a::d.s.t", "names; as s.t"},
	    {"SELECT ROW(1, 2)::t, (a::t).f", "names; calls f; as t"},
	    {"SELECT 'u'::regclass, f('u'::regclass)", "names; calls f; as regclass"},
	    {"SELECT a::t::u::v", "names; as t u v"},
	    {"SELECT t(a), t 'b'", "names; calls t; as t"},
	};

	ASSERT_ROWS(rows);
}

/* ---- WITH ---- */

static void test_with(void **state PW_UNUSED)
{
	static const struct row rows[] = {
	    {"WITH x AS (SELECT * FROM t) SELECT * FROM x", "names t"},
	    {"WITH x AS MATERIALIZED (TABLE t) SELECT * FROM x, s.x", "names t s.x"},
	    {"WITH t AS (SELECT * FROM t) SELECT * FROM t", "names t"},
	    {"WITH RECURSIVE t AS (SELECT 1 UNION ALL SELECT * FROM t) TABLE t", "names"},
	    {"WITH x AS (TABLE y), y AS (TABLE x) TABLE y", "names y"},
	    {"WITH RECURSIVE x AS (TABLE y), y AS (TABLE z) TABLE x", "names z"},
	    {"WITH x AS (SELECT 1) SELECT (SELECT a FROM x), b FROM (TABLE x) y", "names"},
	    {"SELECT * FROM (WITH x AS (SELECT 1) TABLE x) y, x", "names x"},
	    {"(WITH x AS (SELECT 1) TABLE x) UNION ALL TABLE x", "names x"},
	    {"WITH x AS (SELECT 1) (TABLE x) UNION ALL (TABLE x) ORDER BY f()",
	     "names; calls f; by = <"},
	    {"WITH x AS (WITH y AS (SELECT 1) TABLE y) SELECT * FROM x, y", "names y"},
	    {"WITH x AS (SELECT 1) SELECT * FROM (WITH y AS (TABLE x) SELECT * FROM x, y) z",
	     "names"},
	    {"WITH x AS (SELECT 1) SELECT * FROM (WITH x AS (TABLE x) TABLE x) y", "names"},
	    {"WITH x AS (SELECT 1) SELECT * FROM \"X\"", "names X"},
	    {"WITH x AS (VALUES ((SELECT a FROM t))) VALUES ((SELECT b FROM x))", "names t"},
	    {"WITH x AS (SELECT 1) TABLE x; TABLE x", "names x"},
	    {"WITH x AS (SELECT 1) SELECT * FROM t, LATERAL (SELECT * FROM x, y) z", "names t y"},
	    {"WITH RECURSIVE x (a) AS (SELECT 1 UNION SELECT a + 1 FROM x) SEARCH DEPTH FIRST BY a "
	     "SET b CYCLE a SET c USING d SELECT * FROM x",
	     "names; by = < + <>"},
	    {"WITH x AS (DELETE FROM t) SELECT 1", "never"},
	    {"WITH x AS (DELETE FROM t RETURNING *) SELECT * FROM x", "never"},
	    {"WITH x AS (INSERT INTO t VALUES (1) RETURNING 1) TABLE x", "never"},
	    {"WITH x AS (UPDATE t SET a = 1 RETURNING 1) VALUES (1)", "never"},
	    {"WITH x AS (SELECT 1), y AS (DELETE FROM t) TABLE x", "never"},
	    {"SELECT (WITH x AS (DELETE FROM t RETURNING a) TABLE x)", "never"},
	    {"SELECT 1 FROM t WHERE a IN (WITH x AS (INSERT INTO u VALUES (1) RETURNING 1) TABLE "
	     "x)",
	     "never"},
	    {"SELECT 1 UNION ALL (WITH x AS (DELETE FROM t RETURNING 1) TABLE x)", "never"},
	    {"WITH x AS (WITH y AS (DELETE FROM t RETURNING 1) TABLE y) TABLE x", "never"},
	};

	ASSERT_ROWS(rows);
}

static void test_no_reads(void **state PW_UNUSED)
{
	static const struct row rows[] = {
	    {"SELECT 1 INTO t", "never"},
	    {"SELECT * INTO TEMP t FROM u", "never"},
	    {"SELECT * INTO UNLOGGED t FROM u", "never"},
	    {"SELECT * FROM (SELECT 1 INTO t) x", "never"},
	    {"SELECT (SELECT 1 INTO t)", "never"},
	    {"WITH x AS (SELECT 1 INTO t) TABLE x", "never"},
	    {"SELECT 1 INTO t UNION SELECT 2", "never"},
	    {"SELECT * FROM t FOR UPDATE", "never"},
	    {"SELECT * FROM t FOR NO KEY UPDATE", "never"},
	    {"SELECT * FROM t FOR SHARE OF t NOWAIT", "never"},
	    {"SELECT * FROM t FOR KEY SHARE SKIP LOCKED", "never"},
	    {"SELECT * FROM (SELECT * FROM t FOR UPDATE) v", "never"},
	    {"SELECT * FROM u WHERE EXISTS (SELECT FROM t FOR SHARE)", "never"},
	    {"SELECT ARRAY(SELECT a FROM t FOR UPDATE)", "never"},
	    {"WITH x AS (SELECT * FROM t FOR UPDATE) TABLE x", "never"},
	    {"SELECT f((SELECT 1 FROM t FOR UPDATE))", "never"},
	    {"TABLE t FOR UPDATE", "never"},
	    {"(SELECT 1 FROM t FOR UPDATE) UNION ALL SELECT 2", "never"},
	    {"SELECT * FROM pg_temp.t", "never"},
	    {"SELECT * FROM pg_temp_3.t", "never"},
	    {"SELECT pg_temp.f()", "never"},
	    {"SELECT 'a'::pg_temp.t", "never"},
	    {"SELECT pg_temp_names(), a::pg_temps", "names; calls pg_temp_names; as pg_temps"},
	    {"INSERT INTO t VALUES (1)", "never"},
	    {"INSERT INTO t SELECT * FROM u", "never"},
	    {"UPDATE t SET a = 1", "never"},
	    {"DELETE FROM t", "never"},
	    {"MERGE INTO t USING u ON a = b WHEN MATCHED THEN DELETE", "never"},
	    {"WITH x AS (SELECT 1) INSERT INTO t TABLE x", "never"},
	};

	ASSERT_ROWS(rows);
}

/* ---- other statements that may be reads ---- */

static void test_explain(void **state PW_UNUSED)
{
	static const struct row rows[] = {
	    {"EXPLAIN SELECT f(a) FROM t", "names t; calls f"},
	    {"EXPLAIN (COSTS off, FORMAT json) TABLE t", "names t"},
	    {"EXPLAIN ANALYZE VERBOSE SELECT a FROM t", "names t"},
	    {"EXPLAIN (ANALYZE, BUFFERS) WITH x AS (TABLE t) TABLE x", "names t"},
	    {"EXPLAIN VALUES (f())", "names; calls f"},
	    {"EXPLAIN SELECT * FROM (WITH x AS (DELETE FROM t RETURNING 1) TABLE x) y", "never"},
	    {"EXPLAIN SELECT * FROM (WITH x AS (TABLE t) SELECT * FROM x, u) y", "names t u"},
	    {"EXPLAIN WITH x AS (DELETE FROM t) SELECT 1", "never"},
	    {"EXPLAIN SELECT * FROM t FOR UPDATE", "never"},
	    {"EXPLAIN INSERT INTO t VALUES (f(), DEFAULT) RETURNING g()", "names t; calls f g"},
	    {"EXPLAIN INSERT INTO t (a, b[1].c) TABLE u", "names t u"},
	    {"EXPLAIN INSERT INTO t SELECT 1 ON CONFLICT (a, f(b)) WHERE g(c) DO UPDATE SET d = "
	     "h(excluded.d) WHERE i(t.e)",
	     "names t; calls f g h i"},
	    {"EXPLAIN UPDATE s.t SET (a, b) = (SELECT c, d FROM u), e = 1 + f FROM v WHERE g(h)",
	     "names s.t u v; calls g; by +"},
	    {"EXPLAIN DELETE FROM t USING u WHERE t.a = u.a RETURNING *", "names t u; by ="},
	    {"EXPLAIN WITH t AS (TABLE u) INSERT INTO t TABLE t", "names t u"},
	    {"EXPLAIN WITH x AS (TABLE u) UPDATE t SET a = 1 FROM x", "names t u"},
	    {"EXPLAIN WITH x AS (TABLE u) DELETE FROM t USING x", "names t u"},
	    {"EXPLAIN WITH x AS (DELETE FROM u RETURNING 1) INSERT INTO t TABLE x", "never"},
	    {"EXPLAIN INSERT INTO t WITH x AS (DELETE FROM u RETURNING 1) TABLE x", "never"},
	    {"EXPLAIN INSERT INTO pg_temp.t VALUES (1)", "never"},
	    {"EXPLAIN DELETE FROM t WHERE CURRENT OF c", "never"},
	    {"EXPLAIN MERGE INTO t USING u ON true WHEN MATCHED THEN DELETE", "never"},
	    {"EXPLAIN ANALYZE INSERT INTO t VALUES (1)", "never"},
	    {"EXPLAIN (ANALYZE) UPDATE t SET a = 1", "never"},
	    {"EXPLAIN (VERBOSE, ANALYZE true) DELETE FROM t", "never"},
	    {"EXPLAIN (ANALYZE 1) DELETE FROM t", "never"},
	    {"EXPLAIN (ANALYZE on) DELETE FROM t", "never"},
	    {"EXPLAIN (ANALYZE 2) DELETE FROM t", "never"},
	    {"EXPLAIN (ANALYZE 0.0) DELETE FROM t", "never"},
	    {"EXPLAIN (ANALYZE 'no') DELETE FROM t", "never"},
	    {"EXPLAIN (\"analyze\") DELETE FROM t", "never"},
	    {"EXPLAIN (ANALYSE) DELETE FROM t", "never"},
	    {"EXPLAIN (ANALYZE false, ANALYZE true) DELETE FROM t", "never"},
	    {"EXPLAIN (ANALYZE true, ANALYZE false) DELETE FROM t", "never"},
	    {"EXPLAIN (ANALYZE false) DELETE FROM t", "names t"},
	    {"EXPLAIN (ANALYZE off) DELETE FROM t", "names t"},
	    {"EXPLAIN (ANALYZE 0) DELETE FROM t", "names t"},
	    {"EXPLAIN (ANALYZE 'FALSE', VERBOSE) DELETE FROM t", "names t"},
	    {"EXPLAIN (ANALYZE \"Off\") DELETE FROM t", "names t"},
	    {"EXPLAIN EXECUTE p(f(1))", "execute; calls f"},
	    {"EXPLAIN ANALYZE EXECUTE p", "execute"},
	    {"EXPLAIN CREATE TABLE t AS SELECT 1", "never"},
	    {"EXPLAIN CREATE TABLE t AS EXECUTE p", "never"},
	    {"EXPLAIN DECLARE c CURSOR FOR SELECT 1", "never"},
	    {"EXPLAIN REFRESH MATERIALIZED VIEW v", "never"},
	    {"EXPLAIN SELECT 1 INTO t", "never"},
	};

	ASSERT_ROWS(rows);
}

static void test_show_and_copy(void **state PW_UNUSED)
{
	static const struct row rows[] = {
	    {"SHOW work_mem", "names"},
	    {"SHOW app.tenant", "names"},
	    {"SHOW TIME ZONE", "names"},
	    {"SHOW TRANSACTION ISOLATION LEVEL", "names"},
	    {"SHOW SESSION AUTHORIZATION", "names"},
	    {"SHOW ALL", "never"},
	    {"SHOW \"All\"", "never"},
	    {"SHOW in_hot_standby", "never"},
	    {"SHOW \"In_Hot_Standby\"", "never"},
	    {"SHOW transaction_read_only", "never"},
	    {"SHOW Default_Transaction_Read_Only", "never"},
	    {"SHOW port", "never"},
	    {"SHOW \"Data_Directory\"", "never"},
	    {"SHOW pgweir.position", "never"},
	    {"SHOW \"PgWeir\".x", "never"},
	    {"COPY t TO STDOUT", "names t"},
	    {"COPY s.t (a, b) TO STDOUT WITH (FORMAT csv, FORCE_QUOTE *)", "names s.t"},
	    {"COPY (SELECT f(a) FROM t) TO STDOUT", "names t; calls f"},
	    {"COPY (WITH x AS (TABLE t) TABLE x) TO STDOUT CSV", "names t"},
	    {"COPY pg_temp.t TO STDOUT", "never"},
	    {"COPY (DELETE FROM t RETURNING *) TO STDOUT", "never"},
	    {"COPY (INSERT INTO t VALUES (1) RETURNING *) TO STDOUT", "never"},
	    {"COPY (UPDATE t SET a = 1 RETURNING *) TO STDOUT", "never"},
	    {"COPY (SELECT 1 FROM t FOR UPDATE) TO STDOUT", "never"},
	    {"COPY (WITH x AS (DELETE FROM t) SELECT 1) TO STDOUT", "never"},
	    {"COPY (SELECT 1 INTO t) TO STDOUT", "never"},
	    {"COPY t TO '/a'", "never"},
	    {"COPY (TABLE t) TO '/a'", "never"},
	    {"COPY t TO PROGRAM 'a'", "never"},
	    {"COPY t FROM STDIN", "never"},
	    {"COPY t FROM '/a'", "never"},
	    {"COPY t FROM PROGRAM 'a'", "never"},
	};

	ASSERT_ROWS(rows);
}

static void test_cursors_and_names(void **state PW_UNUSED)
{
	static const struct row rows[] = {
	    {"DECLARE c CURSOR FOR SELECT f(a) FROM t", "cursor t; calls f"},
	    {"DECLARE c BINARY SCROLL CURSOR WITHOUT HOLD FOR TABLE t", "cursor t"},
	    {"DECLARE c CURSOR WITH HOLD FOR TABLE t", "never"},
	    {"DECLARE c CURSOR FOR SELECT * FROM t FOR UPDATE", "never"},
	    {"DECLARE c CURSOR FOR WITH x AS (DELETE FROM t RETURNING 1) TABLE x", "never"},
	    {"FETCH c", "cursor"},
	    {"FETCH BACKWARD ALL FROM c", "cursor"},
	    {"MOVE 3 IN c", "cursor"},
	    {"CLOSE c", "cursor"},
	    {"CLOSE ALL", "cursor"},
	    {"EXECUTE p", "execute"},
	    {"EXECUTE p(f(1), 2 + 3, 'a'::t)", "execute; calls f; by +; as t"},
	    {"EXECUTE p((SELECT 1 FROM t FOR UPDATE))", "never"},
	    {"PREPARE p AS SELECT 1", "never"},
	    {"DEALLOCATE p", "never"},
	};

	ASSERT_ROWS(rows);
}

static void test_transactions(void **state PW_UNUSED)
{
	static const struct row rows[] = {
	    {"BEGIN", "transaction begins"},
	    {"BEGIN WORK", "transaction begins"},
	    {"START TRANSACTION", "transaction begins"},
	    {"BEGIN READ ONLY", "transaction begins read-only"},
	    {"START TRANSACTION READ WRITE", "transaction begins read-write"},
	    {"BEGIN READ ONLY, READ WRITE", "transaction begins read-only read-write"},
	    {"BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY DEFERRABLE",
	     "transaction begins read-only serializable"},
	    {"BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ, NOT DEFERRABLE",
	     "transaction begins isolation"},
	    {"BEGIN ISOLATION LEVEL READ UNCOMMITTED", "transaction begins isolation"},
	    {"COMMIT", "transaction ends"},
	    {"END", "transaction ends"},
	    {"ROLLBACK", "transaction ends"},
	    {"ABORT", "transaction ends"},
	    {"COMMIT AND NO CHAIN", "transaction ends"},
	    {"COMMIT AND CHAIN", "transaction ends chains"},
	    {"ROLLBACK AND CHAIN", "transaction ends chains"},
	    {"SAVEPOINT a", "transaction marks"},
	    {"RELEASE a", "transaction marks"},
	    {"ROLLBACK TO a", "transaction marks"},
	    {"PREPARE TRANSACTION 'a'", "never"},
	    {"COMMIT PREPARED 'a'", "never"},
	    {"ROLLBACK PREPARED 'a'", "never"},
	    {"SET TRANSACTION READ ONLY", "transaction read-only sets"},
	    {"SET TRANSACTION READ WRITE, NOT DEFERRABLE", "transaction read-write sets"},
	    {"SET TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ ONLY",
	     "transaction read-only serializable sets"},
	    {"SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", "transaction isolation sets"},
	    {"BEGIN; SET TRANSACTION READ ONLY", "transaction begins read-only sets"},
	    {"SET TRANSACTION SNAPSHOT '1-1'", "never"},
	    {"SET LOCAL TRANSACTION READ ONLY", "transaction read-only sets"},
	    {"SET transaction_read_only = on", "never"},
	    {"SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY", "never"},
	};

	ASSERT_ROWS(rows);
}

static void test_several(void **state PW_UNUSED)
{
	static const struct row rows[] = {
	    {"SELECT * FROM t; SELECT f(a) FROM u", "names t u; calls f"},
	    {"SELECT 1; INSERT INTO t VALUES (1)", "never"},
	    {"INSERT INTO t VALUES (1); SELECT 1", "never"},
	    {"SELECT 1;; SHOW work_mem;", "names"},
	    {"BEGIN READ ONLY; TABLE t; COMMIT", "names+transaction begins ends read-only t"},
	    {"BEGIN; DECLARE c CURSOR FOR TABLE t; FETCH c; COMMIT",
	     "cursor+transaction begins ends t"},
	    {"BEGIN; EXECUTE p; FETCH c; SELECT 1", "execute+transaction+names+cursor begins"},
	    {"BEGIN; COMMIT", "transaction begins ends"},
	    {"BEGIN READ ONLY; COMMIT; BEGIN", "transaction begins ends read-only again"},
	    {"ROLLBACK; START TRANSACTION", "transaction begins ends again"},
	    {"SAVEPOINT a; TABLE t; RELEASE a", "names+transaction marks t"},
	    {"BEGIN; SET LOCAL work_mem = '4MB'; TABLE t; COMMIT", "never"},
	    {"SELECT 1; SELECT 2 INTO t; SELECT 3", "never"},
	};

	ASSERT_ROWS(rows);
}

/* ---- all else ---- */

static void test_utility_statements(void **state PW_UNUSED)
{
	static const char *const texts[] = {
	    "ALTER AGGREGATE a(int) RENAME TO b",
	    "ALTER COLLATION c REFRESH VERSION",
	    "ALTER CONVERSION c OWNER TO a",
	    "ALTER DATABASE d SET work_mem = 1",
	    "ALTER DATABASE d CONNECTION LIMIT 1",
	    "ALTER DATABASE d REFRESH COLLATION VERSION",
	    "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO a",
	    "ALTER DOMAIN d ADD CHECK (f(VALUE))",
	    "ALTER EVENT TRIGGER e DISABLE",
	    "ALTER EXTENSION e UPDATE",
	    "ALTER EXTENSION e ADD TABLE t",
	    "ALTER FOREIGN DATA WRAPPER f NO HANDLER",
	    "ALTER FUNCTION f() STABLE",
	    "ALTER FUNCTION f() DEPENDS ON EXTENSION e",
	    "ALTER GROUP g ADD USER a",
	    "ALTER INDEX i RENAME TO j",
	    "ALTER LARGE OBJECT 1 OWNER TO a",
	    "ALTER MATERIALIZED VIEW v SET SCHEMA s",
	    "ALTER OPERATOR +(int, int) SET (RESTRICT = NONE)",
	    "ALTER OPERATOR FAMILY f USING btree ADD OPERATOR 1 <(int, int)",
	    "ALTER POLICY p ON t USING (true)",
	    "ALTER PUBLICATION p ADD TABLE t",
	    "ALTER ROLE a LOGIN",
	    "ALTER ROLE a SET work_mem = 1",
	    "ALTER SEQUENCE s RESTART",
	    "ALTER SERVER s VERSION '1'",
	    "ALTER STATISTICS s SET STATISTICS 1",
	    "ALTER SUBSCRIPTION s ENABLE",
	    "ALTER SYSTEM SET work_mem = 1",
	    "ALTER TABLE t ADD a int DEFAULT 1::int",
	    "ALTER TABLE ALL IN TABLESPACE a SET TABLESPACE b",
	    "ALTER TABLE t REPLICA IDENTITY FULL",
	    "ALTER TABLESPACE t SET (seq_page_cost = 1)",
	    "ALTER TEXT SEARCH CONFIGURATION c ADD MAPPING FOR a WITH b",
	    "ALTER TEXT SEARCH DICTIONARY d (a = b)",
	    "ALTER TYPE t ADD VALUE 'a'",
	    "ALTER TYPE t SET (STORAGE = plain)",
	    "ALTER USER MAPPING FOR a SERVER s OPTIONS (SET b 'c')",
	    "ANALYZE t",
	    "CALL p(1)",
	    "CHECKPOINT",
	    "CLUSTER t",
	    "COMMENT ON TABLE t IS 'a'",
	    "CREATE ACCESS METHOD a TYPE INDEX HANDLER h",
	    "CREATE AGGREGATE a(int) (SFUNC = f, STYPE = int)",
	    "CREATE CAST (a AS b) WITHOUT FUNCTION",
	    "CREATE COLLATION c FROM \"C\"",
	    "CREATE CONVERSION c FOR 'a' TO 'b' FROM f",
	    "CREATE DATABASE d",
	    "CREATE DOMAIN d AS int DEFAULT f()::int",
	    "CREATE EVENT TRIGGER e ON sql_drop EXECUTE FUNCTION f()",
	    "CREATE EXTENSION e",
	    "CREATE FOREIGN DATA WRAPPER f",
	    "CREATE FOREIGN TABLE t (a int) SERVER s",
	    "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
	    "CREATE FUNCTION f() RETURNS int RETURN 1",
	    "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; END",
	    "CREATE GROUP g",
	    "CREATE INDEX ON t (a)",
	    "CREATE LANGUAGE l HANDLER h",
	    "CREATE MATERIALIZED VIEW v AS SELECT 1",
	    "CREATE OPERATOR + (FUNCTION = f)",
	    "CREATE OPERATOR CLASS c FOR TYPE int USING btree AS OPERATOR 1 <",
	    "CREATE OPERATOR FAMILY f USING btree",
	    "CREATE POLICY p ON t",
	    "CREATE PROCEDURE p() LANGUAGE sql AS 'SELECT 1'",
	    "CREATE PUBLICATION p FOR ALL TABLES",
	    "CREATE ROLE a",
	    "CREATE RULE r AS ON SELECT TO t DO INSTEAD SELECT 1",
	    "CREATE SCHEMA s CREATE TABLE t (a int)",
	    "CREATE SEQUENCE s",
	    "CREATE SERVER s FOREIGN DATA WRAPPER f",
	    "CREATE STATISTICS s ON a, b FROM t",
	    "CREATE SUBSCRIPTION s CONNECTION 'a' PUBLICATION p",
	    "CREATE TABLE t (a int DEFAULT 1::s.u)",
	    "CREATE TABLE t AS SELECT 1",
	    "CREATE TABLE t AS EXECUTE p",
	    "CREATE TABLESPACE t LOCATION '/a'",
	    "CREATE TEXT SEARCH PARSER p (START = f)",
	    "CREATE TRANSFORM FOR int LANGUAGE l (FROM SQL WITH FUNCTION f(int))",
	    "CREATE TRIGGER t AFTER INSERT ON u EXECUTE FUNCTION f()",
	    "CREATE TYPE t AS (a int)",
	    "CREATE TYPE t AS ENUM ('a')",
	    "CREATE TYPE t AS RANGE (SUBTYPE = int)",
	    "CREATE TYPE t",
	    "CREATE USER a",
	    "CREATE USER MAPPING FOR a SERVER s",
	    "CREATE VIEW v AS SELECT 1",
	    "DEALLOCATE ALL",
	    "DELETE FROM t WHERE CURRENT OF c",
	    "DISCARD ALL",
	    "DISCARD PLANS",
	    "DO $$ BEGIN END $$",
	    "DROP TABLE t",
	    "DROP DATABASE d",
	    "DROP FUNCTION f()",
	    "DROP OWNED BY a",
	    "DROP ROLE a",
	    "DROP SUBSCRIPTION s",
	    "DROP TABLESPACE t",
	    "DROP USER MAPPING FOR a SERVER s",
	    "GRANT SELECT ON t TO a",
	    "GRANT a TO b",
	    "IMPORT FOREIGN SCHEMA s FROM SERVER a INTO b",
	    "LISTEN a",
	    "LOAD 'a'",
	    "LOCK t",
	    "LOCK TABLE t IN ACCESS SHARE MODE",
	    "NOTIFY a",
	    "REASSIGN OWNED BY a TO b",
	    "REFRESH MATERIALIZED VIEW v",
	    "REINDEX TABLE t",
	    "RESET ALL",
	    "RESET work_mem",
	    "REVOKE a FROM b",
	    "SECURITY LABEL ON TABLE t IS 'a'",
	    "SET work_mem = 1",
	    "SET LOCAL work_mem = 1",
	    "SET CONSTRAINTS ALL DEFERRED",
	    "SET ROLE a",
	    "TRUNCATE t",
	    "UNLISTEN *",
	    "VACUUM t",
	    "VACUUM (ANALYZE false) t",
	};

	for (size_t i = 0; i < PW_COUNTOF(texts); i++)
		assert_row(&(struct row){texts[i], "never"});
}

static void assert_never(const char *text)
{
	struct pw_analysis *a = analyse(text);

	assert_false(a->is_parsed);
	assert_int_equal(a->read, PW_SQL_READ_NEVER);
	assert_int_equal(a->read_kinds, 0);
	pw_analysis_destroy(a);
}

static void test_not_parsed(void **state PW_UNUSED)
{
	assert_never("SELECT 'a");
	assert_never("SELEC 1");
	assert_never("SELECT 1; SELEC");
	assert_never("SELECT (1");
}

/* ---- bounds ---- */

static struct pw_analysis *analyse_many(unsigned tables, unsigned repeats)
{
	struct pw_strbuf text = PW_STRBUF_INIT;
	struct pw_analysis *a;

	pw_strbuf_add_string(&text, "SELECT f() FROM t0");
	for (unsigned i = 1; i < tables; i++)
		pw_strbuf_printf(&text, ", t%u", i);
	for (unsigned i = 0; i < repeats; i++)
		pw_strbuf_add_string(&text, ", t0");
	a = analyse(text.data);
	pw_strbuf_fini(&text);
	return a;
}

static void test_bound(void **state PW_UNUSED)
{
	struct pw_analysis *a = analyse_many(PW_SQL_NAMES_MAX - 1, 200);

	assert_int_equal(a->read, PW_SQL_READ_BY_NAMES);
	assert_int_equal(a->n_relations, PW_SQL_NAMES_MAX - 1);
	assert_int_equal(a->n_functions, 1);
	assert_string_equal(a->relations[PW_SQL_NAMES_MAX - 2].name, "t254");
	assert_string_equal(a->functions[0].name, "f");
	assert_int_equal(a->functions[0].n_args, 0);
	pw_analysis_destroy(a);
	a = analyse_many(PW_SQL_NAMES_MAX, 0);
	assert_true(a->is_parsed);
	assert_int_equal(a->read, PW_SQL_READ_NEVER);
	assert_int_equal(a->n_relations, 0);
	assert_int_equal(a->n_items, 1);
	pw_analysis_destroy(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_queries),
	    cmocka_unit_test(test_calls),
	    cmocka_unit_test(test_arguments),
	    cmocka_unit_test(test_operators),
	    cmocka_unit_test(test_types),
	    cmocka_unit_test(test_with),
	    cmocka_unit_test(test_no_reads),
	    cmocka_unit_test(test_explain),
	    cmocka_unit_test(test_show_and_copy),
	    cmocka_unit_test(test_cursors_and_names),
	    cmocka_unit_test(test_transactions),
	    cmocka_unit_test(test_several),
	    cmocka_unit_test(test_utility_statements),
	    cmocka_unit_test(test_not_parsed),
	    cmocka_unit_test(test_bound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

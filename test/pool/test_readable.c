/* SPDX-License-Identifier: PostgreSQL
 *
 * What may be read elsewhere, by what is known of a database's names; and what is made of answers
 * that are not whole.
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
#include "pgweir/pool/readable.h"

/* ---- what a test knows ---- */

/* Rows, one a word; how many they are comes by itself. */
static struct pw_readable *know(const char *rows)
{
	struct pw_readable *readable = pw_readable_create(1);
	char all[512], count[16], *rest = all;
	unsigned n = 0;

	assert_non_null(readable);
	snprintf(all, sizeof(all), "%s", rows);
	for (char *row = strtok_r(all, " ", &rest); row; row = strtok_r(NULL, " ", &rest), n++)
		pw_readable_take_row(readable, row, strlen(row));
	snprintf(count, sizeof(count), "k%u", n);
	pw_readable_take_row(readable, count, strlen(count));
	assert_true(pw_readable_finish(readable));
	return readable;
}

static enum pw_doubt judge(const struct pw_readable *readable, const char *text)
{
	const struct pw_hash_key secret = {1, 2};
	struct pw_shape_key key;
	struct pw_shape shape;
	struct pw_analysis *analysis;
	enum pw_doubt doubt;

	pw_shape_key_init(&key, &secret);
	pw_shape_take(&shape, &key, text, strlen(text));
	analysis = pw_analysis_create(text, &shape);
	assert_non_null(analysis);
	doubt = pw_readable_judge(readable, analysis, &shape, text, strlen(text));
	pw_analysis_destroy(analysis);
	return doubt;
}

struct row {
	const char *text;
	enum pw_doubt wanted;
};

static void assert_row(const struct pw_readable *readable, const struct row *row)
{
	enum pw_doubt got = judge(readable, row->text);

	if (got != row->wanted)
		fail_msg("%s\n got: %s\nwant: %s\n", row->text, pw_doubt_name(got),
			 pw_doubt_name(row->wanted));
}

#define ASSERT_ROWS(known, rows)                                                                   \
	do {                                                                                       \
		struct pw_readable *readable_ = know(known);                                       \
		for (size_t i = 0; i < PW_COUNTOF(rows); i++)                                      \
			assert_row(readable_, &(rows)[i]);                                         \
		pw_readable_unref(readable_);                                                      \
	} while (0)

/* ---- names ---- */

static void test_statements(void **state PW_UNUSED)
{
	static const struct row rows[] = {
	    {"SELECT 1", PW_DOUBT_NONE},
	    {"", PW_DOUBT_NONE},
	    {"INSERT INTO t VALUES (1)", PW_DOUBT_STATEMENT},
	    {"SELECT nonsense FROM", PW_DOUBT_STATEMENT},
	    {"BEGIN; COMMIT", PW_DOUBT_NONE},
	    {"BEGIN; SELECT vol()", PW_DOUBT_FUNCTION},
	    {"DECLARE c CURSOR FOR SELECT vol()", PW_DOUBT_FUNCTION},
	    {"FETCH c", PW_DOUBT_NONE},
	    {"EXECUTE p(vol())", PW_DOUBT_FUNCTION},
	};

	ASSERT_ROWS("g0,255,vol", rows);
}

static void test_functions(void **state PW_UNUSED)
{
	static const struct row rows[] = {
	    {"SELECT mine(), s.mine()", PW_DOUBT_NONE},
	    {"SELECT Mine()", PW_DOUBT_NONE},
	    {"SELECT \"Mine\"()", PW_DOUBT_UNKNOWN_FUNCTION},
	    {"SELECT vol()", PW_DOUBT_FUNCTION},
	    {"SELECT mine(s.vol())", PW_DOUBT_FUNCTION},
	    {"SELECT other()", PW_DOUBT_UNKNOWN_FUNCTION},
	    {"SELECT abs(1), pg_catalog.abs(1)", PW_DOUBT_NONE},
	    {"SELECT s.abs(1)", PW_DOUBT_UNKNOWN_FUNCTION},
	    {"SELECT nextval('s')", PW_DOUBT_FUNCTION},
	    /* One of users' by the name of PostgreSQL's own. */
	    {"SELECT upper('a'), s.upper('a')", PW_DOUBT_NONE},
	    {"SELECT version()", PW_DOUBT_FUNCTION},
	    {"SELECT s.version()", PW_DOUBT_NONE},
	    {"SELECT lower('A')", PW_DOUBT_FUNCTION},
	    {"SELECT pg_catalog.lower('A')", PW_DOUBT_NONE},
	    {"SELECT there()", PW_DOUBT_FUNCTION},
	    {"SELECT pg_catalog.there()", PW_DOUBT_FUNCTION},
	    {"SELECT pg_catalog.upper('a')", PW_DOUBT_NONE},
	    {"SELECT pg_catalog.trim('a')", PW_DOUBT_FUNCTION},
	    /* name(value) may be a cast. */
	    {"SELECT kind(1)", PW_DOUBT_TYPE},
	};

	ASSERT_ROWS("fmine g0,255,vol fupper fversion g0,255,lower g0,255,there G0,255,there tkind",
		    rows);
}

/* Those of one name are told apart by how many arguments they take. */
static void test_arguments(void **state PW_UNUSED)
{
	static const struct row rows[] = {
	    {"SELECT vol(), s.vol()", PW_DOUBT_NONE},
	    {"SELECT lone(1)", PW_DOUBT_FUNCTION},
	    /* One that was made since. */
	    {"SELECT lone(1, 2)", PW_DOUBT_UNKNOWN_FUNCTION},
	    {"SELECT vol(1)", PW_DOUBT_FUNCTION},
	    {"SELECT vol(1, 2)", PW_DOUBT_FUNCTION},
	    {"SELECT s.vol(1, b => 2)", PW_DOUBT_FUNCTION},
	    {"SELECT vol(1, 2, 3)", PW_DOUBT_FUNCTION},
	    {"SELECT vol(1, 2, 3, 4)", PW_DOUBT_NONE},
	    {"SELECT vol(), vol(1)", PW_DOUBT_FUNCTION},
	    {"SELECT vol(1), vol()", PW_DOUBT_FUNCTION},
	    {"SELECT vol(VARIADIC '{1,2,3,4}')", PW_DOUBT_FUNCTION},
	    {"SELECT vol() WITHIN GROUP (ORDER BY a) FROM t", PW_DOUBT_FUNCTION},
	    {"SELECT vol(1, 2, 3) WITHIN GROUP (ORDER BY a) FROM t", PW_DOUBT_NONE},
	    {"SELECT vol(1, 2, 3, 4 ORDER BY a) FROM t", PW_DOUBT_NONE},
	    {"SELECT (a).vol FROM t", PW_DOUBT_FUNCTION},
	    {"SELECT open()", PW_DOUBT_NONE},
	    {"SELECT open(1, 2, 3, 4, 5, 6, 7, 8, 9)", PW_DOUBT_FUNCTION},
	    /* PostgreSQL's own is another one. */
	    {"SELECT upper('a')", PW_DOUBT_NONE},
	    {"SELECT upper('a', 'b')", PW_DOUBT_FUNCTION},
	    {"SELECT nextval('s')", PW_DOUBT_FUNCTION},
	};

	ASSERT_ROWS("fvol g1,1,vol G3,3,vol fopen g1,255,open g2,2,upper g2,2,nextval g1,1,lone",
		    rows);
}

/* Schema and name are not told apart where one of these has a dot in it. */
static void test_dots(void **state PW_UNUSED)
{
	static const struct row rows[] = {
	    {"SELECT \"a.b\"()", PW_DOUBT_FUNCTION},
	    {"SELECT x.b()", PW_DOUBT_FUNCTION},
	    {"SELECT \"pg_catalog.abs\"(1)", PW_DOUBT_FUNCTION},
	    {"SELECT abs(1)", PW_DOUBT_NONE},
	};
	static const struct row harmless[] = {
	    {"SELECT \"a.b\"()", PW_DOUBT_NONE},
	    {"SELECT pg_catalog.abs(1)", PW_DOUBT_NONE},
	};

	ASSERT_ROWS("g0,0,a.b", rows);
	ASSERT_ROWS("fa.b", harmless);
}

static void test_relations(void **state PW_UNUSED)
{
	static const struct row rows[] = {
	    {"SELECT * FROM t, s.t", PW_DOUBT_NONE},
	    {"SELECT * FROM v", PW_DOUBT_RELATION},
	    {"SELECT * FROM s.v", PW_DOUBT_RELATION},
	    {"SELECT * FROM V", PW_DOUBT_RELATION},
	    {"SELECT * FROM \"V\"", PW_DOUBT_NONE},
	    {"SELECT * FROM pg_catalog.v", PW_DOUBT_NONE},
	    {"SELECT * FROM pg_locks", PW_DOUBT_RELATION},
	    {"SELECT * FROM pg_catalog.pg_locks", PW_DOUBT_RELATION},
	    {"SELECT * FROM s.pg_locks", PW_DOUBT_NONE},
	    {"WITH v AS (SELECT 1) SELECT * FROM v", PW_DOUBT_NONE},
	    {"SELECT (SELECT max(a) FROM v)", PW_DOUBT_RELATION},
	    /* A function of that name is none of that kind. */
	    {"SELECT v()", PW_DOUBT_UNKNOWN_FUNCTION},
	};

	ASSERT_ROWS("rv Rpg_locks", rows);
}

static void test_operators_and_types(void **state PW_UNUSED)
{
	static const struct row rows[] = {
	    {"SELECT a = b, a <> b FROM t", PW_DOUBT_NONE},
	    {"SELECT a === b FROM t", PW_DOUBT_OPERATOR},
	    {"SELECT a OPERATOR(s.===) b FROM t", PW_DOUBT_OPERATOR},
	    {"SELECT a FROM t ORDER BY a USING ===", PW_DOUBT_OPERATOR},
	    {"SELECT 1::int, '{}'::text[]", PW_DOUBT_NONE},
	    {"SELECT 1::kind", PW_DOUBT_TYPE},
	    {"SELECT 1::s.kind", PW_DOUBT_TYPE},
	    {"SELECT '{}'::kind[]", PW_DOUBT_TYPE},
	    {"SELECT 1::pg_catalog.kind", PW_DOUBT_NONE},
	    {"SELECT x::date, x::timestamp FROM t", PW_DOUBT_TYPE},
	    {"SELECT x::pg_catalog.date FROM t", PW_DOUBT_TYPE},
	    {"SELECT x::s.date FROM t", PW_DOUBT_NONE},
	    {"SELECT * FROM kind", PW_DOUBT_NONE},
	};

	ASSERT_ROWS("o=== tkind Tdate", rows);
}

/* Cast to what the statement takes, which no text says. */
static void test_arguments_of_execute(void **state PW_UNUSED)
{
	static const struct row in_doubt[] = {
	    {"EXECUTE s", PW_DOUBT_TYPE},
	    {"EXPLAIN EXECUTE s(1)", PW_DOUBT_TYPE},
	    {"SELECT 1; EXECUTE s(1)", PW_DOUBT_TYPE},
	    {"EXECUTE s(f())", PW_DOUBT_FUNCTION},
	    {"SELECT 1", PW_DOUBT_NONE},
	};
	static const struct row fine[] = {
	    {"EXECUTE s(1)", PW_DOUBT_NONE},
	    {"EXECUTE s(f())", PW_DOUBT_FUNCTION},
	};

	ASSERT_ROWS("e g0,0,f", in_doubt);
	ASSERT_ROWS("g0,0,f", fine);
}

/* Which of them it is nobody here can tell. */
static void test_names_beyond_ascii(void **state PW_UNUSED)
{
	static const struct row rows[] = {
	    {"SELECT * FROM \"\xc3\xb6\"", PW_DOUBT_RELATION},
	    {"SELECT * FROM \xe4gypten", PW_DOUBT_RELATION},
	    {"SELECT \xc3\xbc()", PW_DOUBT_NONE},
	    {"SELECT 1::\xc3\xbc", PW_DOUBT_NONE},
	};

	ASSERT_ROWS("r\xc3\xa4 f\xc3\xa4", rows);
}

/* x.f calls f, if x has no such column. */
static void test_functions_of_rows(void **state PW_UNUSED)
{
	static const struct row rows[] = {
	    {"SELECT full_name FROM t", PW_DOUBT_NONE},
	    {"SELECT t.other, full_name.a FROM t", PW_DOUBT_NONE},
	    {"SELECT t.full_name FROM t", PW_DOUBT_FUNCTION},
	    {"SELECT t . /* x */ FULL_NAME FROM t", PW_DOUBT_FUNCTION},
	    {"SELECT (t).\"full_name\" FROM t", PW_DOUBT_FUNCTION},
	    {"SELECT t.\"Full_Name\" FROM t", PW_DOUBT_NONE},
	    {"SELECT (t).other FROM t", PW_DOUBT_UNKNOWN_FUNCTION},
	    {"SELECT (t).U&\"full\\005fname\" FROM t", PW_DOUBT_FUNCTION},
	    {"SELECT t.*, 't.full_name' FROM t", PW_DOUBT_NONE},
	};
	static const struct row harmless[] = {{"SELECT t.full_name FROM t", PW_DOUBT_NONE}};

	ASSERT_ROWS("cfull_name g1,1,full_name", rows);
	ASSERT_ROWS("g1,1,full_name", harmless);
}

static void test_settings(void **state PW_UNUSED)
{
	static const struct row rows[] = {
	    {"SELECT current_setting('app.x')", PW_DOUBT_NONE},
	    {"SELECT current_setting('app.x', true), 'in_hot_standby'", PW_DOUBT_NONE},
	    {"SELECT pg_catalog.current_setting('search_path')", PW_DOUBT_NONE},
	    {"SELECT current_setting('in_hot_standby')", PW_DOUBT_SETTING},
	    {"SELECT pg_catalog.current_setting('IN_HOT_STANDBY')", PW_DOUBT_SETTING},
	    {"SELECT \"current_setting\"('transaction_read_only')", PW_DOUBT_SETTING},
	    {"SELECT current_setting('default_transaction_read_only')", PW_DOUBT_SETTING},
	    {"SELECT current_setting('pgweir.position')", PW_DOUBT_SETTING},
	    {"SELECT current_setting(E'app.x')", PW_DOUBT_SETTING},
	    {"SELECT current_setting('a''b')", PW_DOUBT_SETTING},
	    {"SELECT current_setting(a) FROM t", PW_DOUBT_SETTING},
	    {"SELECT current_setting($1)", PW_DOUBT_SETTING},
	    {"SELECT current_setting('app.x'), current_setting('port')", PW_DOUBT_SETTING},
	    /* There the literal is none that the shape has lost. */
	    {"EXPLAIN SELECT current_setting('app.x')", PW_DOUBT_SETTING},
	};

	ASSERT_ROWS("", rows);
}

/* ---- answers ---- */

static void test_nothing_is_known(void **state PW_UNUSED)
{
	assert_int_equal(judge(NULL, "SELECT 1"), PW_DOUBT_CATALOG);
	assert_int_equal(judge(NULL, "BEGIN"), PW_DOUBT_NONE);
	assert_int_equal(judge(NULL, "DELETE FROM t"), PW_DOUBT_STATEMENT);
}

static void test_everything_is_in_doubt(void **state PW_UNUSED)
{
	struct pw_readable *readable = know("ff a g0,1,g");

	assert_int_equal(judge(readable, "SELECT 1"), PW_DOUBT_DATABASE);
	assert_int_equal(judge(readable, "BEGIN"), PW_DOUBT_NONE);
	pw_readable_unref(readable);
}

static bool is_whole(const char *const *rows, size_t n)
{
	struct pw_readable *readable = pw_readable_create(1);
	bool result;

	for (size_t i = 0; i < n; i++)
		pw_readable_take_row(readable, rows[i], strlen(rows[i]));
	result = pw_readable_finish(readable);
	pw_readable_unref(readable);
	return result;
}

static void test_answers_that_are_not_whole(void **state PW_UNUSED)
{
	static const struct {
		const char *rows[3];
		size_t n;
		bool wanted;
	} answers[] = {
	    {{"k0"}, 1, true},
	    {{"k1", "fx"}, 2, true},
	    {{"fx", "k1"}, 2, true},
	    {{"k2", "fx", "fx"}, 3, true},
	    {{"k1", "a"}, 2, true},
	    {{"k1", "e"}, 2, true},
	    {{"k1", "ex"}, 2, false},
	    {{"k99999"}, 1, true},
	    {{NULL}, 0, false},
	    {{"fx"}, 1, false},
	    {{"k1"}, 1, false},
	    {{"k0", "fx"}, 2, false},
	    {{"k2", "fx"}, 2, false},
	    {{"k1", "fx", "k1"}, 3, false},
	    {{"k"}, 1, false},
	    {{"k1x", "fx"}, 2, false},
	    {{"k-1"}, 1, false},
	    {{"k18446744073709551617", "fx"}, 2, false},
	    {{"k1", ""}, 2, false},
	    {{"k1", "f"}, 2, false},
	    {{"k1", "g0,1,x"}, 2, true},
	    {{"k1", "g255,255,x,"}, 2, true},
	    {{"k1", "g0,1,"}, 2, false},
	    {{"k1", "g0,1"}, 2, false},
	    {{"k1", "g0,"}, 2, false},
	    {{"k1", "g"}, 2, false},
	    {{"k1", "gx"}, 2, false},
	    {{"k1", "g,1,x"}, 2, false},
	    {{"k1", "g0,256,x"}, 2, false},
	    {{"k1", "g-1,2,x"}, 2, false},
	    {{"k1", "g4294967296,2,x"}, 2, false},
	    {{"k1", "ab"}, 2, false},
	    {{"k1", "xy"}, 2, false},
	    {{"k99999", "fx"}, 2, false},
	};
	struct pw_readable *readable = pw_readable_create(1);

	for (size_t i = 0; i < PW_COUNTOF(answers); i++)
		assert_int_equal(is_whole(answers[i].rows, answers[i].n), answers[i].wanted);
	pw_readable_take_row(readable, "k1", 2);
	pw_readable_take_row(readable, "fx\0y", 4);
	assert_false(pw_readable_finish(readable));
	pw_readable_unref(readable);
}

/* So many names, each so long. */
static bool is_too_much(unsigned n, int len)
{
	struct pw_readable *readable = pw_readable_create(1);
	char row[80];
	bool result;

	snprintf(row, sizeof(row), "k%u", n);
	pw_readable_take_row(readable, row, strlen(row));
	for (unsigned i = 0; i < n; i++) {
		snprintf(row, sizeof(row), "r%0*u", len, i);
		pw_readable_take_row(readable, row, strlen(row));
	}
	assert_true(pw_readable_finish(readable));
	result = judge(readable, "SELECT 1") == PW_DOUBT_DATABASE;
	if (!result) {
		snprintf(row, sizeof(row), "SELECT * FROM \"%0*u\"", len, n - 1);
		assert_int_equal(judge(readable, row), PW_DOUBT_RELATION);
		assert_int_equal(judge(readable, "SELECT * FROM t"), PW_DOUBT_NONE);
	}
	pw_readable_unref(readable);
	return result;
}

static void test_bounds(void **state PW_UNUSED)
{
	struct pw_readable *readable = pw_readable_create(1);

	assert_false(is_too_much(PW_READABLE_NAMES_MAX, 20));
	assert_true(is_too_much(PW_READABLE_NAMES_MAX + 1, 20));
	assert_true(is_too_much(PW_READABLE_NAMES_MAX, 63));
	pw_readable_take_row(readable, "k20001", 6);
	assert_true(pw_readable_finish(readable));
	assert_int_equal(judge(readable, "SELECT 1"), PW_DOUBT_DATABASE);
	pw_readable_unref(readable);
}

/* A server cuts names off, and so does who writes them. */
static void test_long_names(void **state PW_UNUSED)
{
	char name[80], row[84], text[128];
	struct pw_readable *readable;

	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	snprintf(row, sizeof(row), "r%.63s", name);
	readable = know(row);
	snprintf(text, sizeof(text), "SELECT * FROM %s", name);
	assert_int_equal(judge(readable, text), PW_DOUBT_RELATION);
	snprintf(text, sizeof(text), "SELECT * FROM %.62s", name);
	assert_int_equal(judge(readable, text), PW_DOUBT_NONE);
	pw_readable_unref(readable);
}

static void test_doubts_have_names(void **state PW_UNUSED)
{
	for (unsigned i = 0; i < PW_DOUBT_N; i++)
		assert_non_null(pw_doubt_name((enum pw_doubt)i));
}

/* What a server of another version does not have is not asked for. */
static void test_question_by_version(void **state PW_UNUSED)
{
	static const struct {
		const char *part;
		unsigned since;
	} parts[] = {
	    {"prosqlbody", 14}, {"pg_get_function_sqlbody(oid)", 14}, {"a.attgenerated", 18}};

	for (unsigned version = 12; version <= 18; version++) {
		struct pw_strbuf sql = PW_STRBUF_INIT;

		pw_readable_add_question(&sql, version);
		assert_false(sql.has_failed);
		for (size_t i = 0; i < PW_COUNTOF(parts); i++)
			assert_int_equal(strstr(sql.data, parts[i].part) != NULL,
					 version >= parts[i].since);
		pw_strbuf_fini(&sql);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_statements),
	    cmocka_unit_test(test_functions),
	    cmocka_unit_test(test_arguments),
	    cmocka_unit_test(test_dots),
	    cmocka_unit_test(test_relations),
	    cmocka_unit_test(test_operators_and_types),
	    cmocka_unit_test(test_arguments_of_execute),
	    cmocka_unit_test(test_names_beyond_ascii),
	    cmocka_unit_test(test_functions_of_rows),
	    cmocka_unit_test(test_settings),
	    cmocka_unit_test(test_nothing_is_known),
	    cmocka_unit_test(test_everything_is_in_doubt),
	    cmocka_unit_test(test_answers_that_are_not_whole),
	    cmocka_unit_test(test_bounds),
	    cmocka_unit_test(test_long_names),
	    cmocka_unit_test(test_doubts_have_names),
	    cmocka_unit_test(test_question_by_version),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: PostgreSQL
 *
 * Which texts have one shape, and what is told of a text besides.
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

#include "pgweir/base/status.h"
#include "pgweir/base/strbuf.h"
#include "pgweir/sql/shape.h"

static const struct pw_hash_key secret = {UINT64_C(0x0123456789abcdef),
					  UINT64_C(0xfedcba9876543210)};

static struct pw_shape take(const char *text)
{
	struct pw_shape_key key;
	struct pw_shape shape;
	size_t len = strlen(text);
	char *copy = malloc(len + 1);

	memcpy(copy, text, len + 1);
	pw_shape_key_init(&key, &secret);
	pw_shape_take(&shape, &key, copy, len);
	free(copy);
	return shape;
}

static bool is_same(const char *a, const char *b)
{
	struct pw_shape left = take(a), right = take(b);

	return pw_id_equal(left.id, right.id);
}

static void test_one_shape(void **state PW_UNUSED)
{
	assert_true(is_same("SELECT 1", "select  2 -- c"));
	assert_true(is_same("SELECT/**/a FROM T WHERE b='x'", "select A from t where B = $$y$$"));
	assert_true(is_same("INSERT INTO t VALUES (1.5, E'a')", "insert into t values(2e5,'b')"));
	assert_true(is_same("WITH a AS (SELECT 1) SELECT 2", "with a as (select 3) select 4"));
	assert_true(is_same("(SELECT 1)", "( SELECT 2 )"));
	assert_true(is_same("SELECT 1; SELECT 'a'", "SELECT 2;SELECT 'b'"));
	assert_true(
	    is_same("SELECT An_Identifier_Of_Some_Length", "SELECT an_identifier_of_SOME_length"));
}

static void test_other_shapes(void **state PW_UNUSED)
{
	/* In what is no query a literal may decide. */
	assert_false(
	    is_same("EXPLAIN (ANALYZE 0) DELETE FROM t", "EXPLAIN (ANALYZE 1) DELETE FROM t"));
	assert_false(is_same("SET a = 1", "SET a = 2"));
	assert_false(is_same("SELECT 1; SET a = 1", "SELECT 1; SET a = 2"));
	assert_false(is_same("LISTEN a", "LISTEN b"));
	/* But of a query behind it the literals go. */
	assert_true(is_same("SET a = 1; SELECT 1", "SET a = 1; SELECT 2"));
	/* Kinds of literals are kinds of expressions. */
	assert_false(is_same("SELECT 1", "SELECT '1'"));
	assert_false(is_same("SELECT 1", "SELECT 1.5"));
	assert_false(is_same("SELECT 1", "SELECT $1"));
	assert_false(is_same("SELECT $1", "SELECT $2"));
	assert_false(is_same("SELECT '1'", "SELECT B'1'"));
	/* Case counts in quotes, and quotes count. */
	assert_false(is_same("SELECT \"a\"", "SELECT \"A\""));
	assert_false(is_same("SELECT \"a\"", "SELECT a"));
	/* Bytes beyond ASCII are not folded. */
	assert_false(is_same("SELECT \xc3\xa4", "SELECT \xe3\xa4"));
	assert_false(is_same("SELECT a\xc3\xa4", "SELECT A\xc3\xa4"));
	/* Tokens do not run into each other. */
	assert_false(is_same("SELECT a b", "SELECT ab"));
	assert_false(is_same("SELECT a < = b", "SELECT a <= b"));
	assert_false(is_same("SELECT abcdefgh ijk", "SELECT abcdefghijk"));
	assert_false(is_same("SELECT 1", "SELECT 1;"));
	assert_false(is_same("SELECT a_", "SELECT a"));
	assert_false(is_same("SELECT \"12345678\" \"9\"", "SELECT \"12345678\"\"9\""));
}

/* Wherever in a text a token stands, also where it ends. */
static void test_place_does_not_matter(void **state PW_UNUSED)
{
	static const char *const texts[] = {
	    "SELECT a",
	    "select b.some_longer_name, f(x)",
	    "DEALLOCATE ALL",
	    "SELECT \"Name\" , 'x'",
	    "SELECT \xc3\xa4, $1",
	};
	char moved[256];

	for (size_t i = 0; i < PW_COUNTOF(texts); i++) {
		for (int blanks = 0; blanks < 100; blanks++) {
			struct pw_shape a = take(texts[i]), b;

			snprintf(moved, sizeof(moved), "%*s%s", blanks, "", texts[i]);
			b = take(moved);
			assert_true(pw_id_equal(a.id, b.id));
			assert_int_equal(a.words, b.words);
			snprintf(moved, sizeof(moved), "%s%*s", texts[i], blanks, "");
			assert_true(pw_id_equal(a.id, take(moved).id));
		}
	}
}

/* No two of many short texts that differ in one thing. */
static void test_no_collisions(void **state PW_UNUSED)
{
	enum { N = 3000 };
	static struct pw_id ids[N];
	char text[64];

	for (int i = 0; i < N; i++) {
		snprintf(text, sizeof(text), "SELECT c%d_%.*s", i / 17, i % 17,
			 "abcdefghijklmnopq");
		ids[i] = take(text).id;
	}
	for (int i = 0; i < N; i++) {
		for (int k = 0; k < i; k++) {
			assert_int_not_equal(ids[i].lo, ids[k].lo);
			assert_int_not_equal(ids[i].hi, ids[k].hi);
		}
	}
}

static void test_secret(void **state PW_UNUSED)
{
	const struct pw_hash_key other = {secret.k0, secret.k1 + 1};
	struct pw_shape_key keys[2];
	struct pw_shape shapes[2];

	pw_shape_key_init(&keys[0], &secret);
	pw_shape_key_init(&keys[1], &other);
	for (int i = 0; i < 2; i++)
		pw_shape_take(&shapes[i], &keys[i], "SELECT 1", 8);
	assert_false(pw_id_equal(shapes[0].id, shapes[1].id));
}

static void test_words(void **state PW_UNUSED)
{
	struct pw_shape s = take("Explain ANALYZE execute x; 'lit'; create TEMPORARY table y();;");

	assert_int_equal(s.words, PW_SQL_BIT(EXPLAIN) | PW_SQL_BIT(ANALYZE) | PW_SQL_BIT(EXECUTE) |
				      PW_SQL_BIT(CREATE) | PW_SQL_BIT(TEMPORARY) |
				      PW_SQL_BIT(TABLE));
	assert_int_equal(s.firsts, PW_SQL_BIT(EXPLAIN) | PW_SQL_BIT(CREATE));
	assert_int_equal(s.statements, 3);
	assert_true(s.has_other);
	assert_true(s.has_call); /* to be judged by who knows more */
	s = take("SELECT 'set', \"set\", $$set$$ -- set");
	assert_int_equal(s.words, PW_SQL_BIT(SELECT));
	assert_false(s.has_other);
	assert_false(s.has_call);
	assert_true(take("SELECT (1).f").has_call);
	assert_true(take("SELECT $1 . f").has_call);
	assert_true(take("SELECT a[1].f").has_call);
	assert_false(take("SELECT a.f, (1), $1, a[1] FROM s.t").has_call);
	s = take("deallocate savepoint Deallocat deallocatee t");
	assert_int_equal(s.words, PW_SQL_BIT(DEALLOCATE) | PW_SQL_BIT(SAVEPOINT));
	s = take("vacuum");
	assert_true(s.has_other);
	assert_int_equal(s.words, 0);
	s = take("CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SET a = 1)");
	assert_int_equal(s.statements, 1);
	s = take(" ; ; ");
	assert_int_equal(s.statements, 0);
	assert_false(s.has_other);
}

/* Each word of the table is found, in small and large letters, and nothing that is nearly one. */
static void test_every_word(void **state PW_UNUSED)
{
	static const char all[] =
	    "abort alter analyze begin call close commit copy create deallocate declare delete "
	    "discard do drop end execute explain fetch for hold insert into listen load lock merge "
	    "move notify prepare release reset rollback savepoint select set show start table temp "
	    "temporary unlisten update values with pg_prepared_statements user ";
	static const char *const beginnings[] = {"current_", "session_", "localtim"};
	uint64_t seen = 0;
	char word[32];

	for (const char *at = all; *at; at = strchr(at, ' ') + 1) {
		size_t len = (size_t)(strchr(at, ' ') - at);
		uint64_t bits;

		snprintf(word, sizeof(word), "x %.*s", (int)len, at);
		bits = take(word).words;
		assert_int_equal(__builtin_popcountll(bits), 1);
		assert_int_equal(seen & bits, 0);
		seen |= bits;
		for (size_t i = 2; word[i]; i++)
			word[i] &= ~0x20;
		assert_int_equal(take(word).words, bits);
		word[len + 1] = '_';
		assert_int_equal(take(word).words, 0);
	}
	for (size_t i = 0; i < PW_COUNTOF(beginnings); i++) {
		uint64_t bits;

		snprintf(word, sizeof(word), "x %s", beginnings[i]);
		bits = take(word).words;
		assert_int_equal(__builtin_popcountll(bits), 1);
		seen |= bits;
		snprintf(word, sizeof(word), "x %sUser", beginnings[i]);
		assert_int_equal(take(word).words, bits);
		snprintf(word, sizeof(word), "x %.7s", beginnings[i]);
		assert_int_equal(take(word).words, 0);
	}
	assert_int_equal(seen, (UINT64_C(1) << PW_SQL_N_WORDS) - 1);
}

static void test_literals(void **state PW_UNUSED)
{
	static const char text[] = "SELECT 1, 'a''b' FROM t WHERE x = X'0f'; SET a = 'b'";
	struct pw_shape s = take(text);

	assert_int_equal(s.n_literals, 3);
	assert_memory_equal(text + s.literals[0].begin, "1", 1);
	assert_int_equal(s.literals[1].end - s.literals[1].begin, 6);
	assert_memory_equal(text + s.literals[2].begin, "X'0f'", 5);
}

static void test_more_literals_than_have_room(void **state PW_UNUSED)
{
	struct pw_strbuf text = PW_STRBUF_INIT;
	struct pw_shape s;

	pw_strbuf_add_string(&text, "SELECT 0");
	for (int i = 0; i < PW_SHAPE_LITERALS; i++)
		pw_strbuf_add_string(&text, ",1");
	s = take(text.data);
	pw_strbuf_fini(&text);
	assert_int_equal(s.n_literals, PW_SHAPE_LITERALS + 1);
	assert_int_equal(s.literals[PW_SHAPE_LITERALS - 1].begin, 7 + 2 * (PW_SHAPE_LITERALS - 1));
}

static void test_size_of_the_tree(void **state PW_UNUSED)
{
	struct pw_shape s = take("SELECT f(a[((1))]), (2)");

	assert_int_equal(s.tokens, 16);
	assert_int_equal(s.depth, 4);
	assert_true(s.has_call);
	assert_int_equal(take(")))(").depth, 1);
}

static void test_broken(void **state PW_UNUSED)
{
	assert_true(take("SELECT 'a").is_broken);
	assert_true(take("SELECT 1a").is_broken);
	assert_false(take("SELECT )").is_broken);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_one_shape),
	    cmocka_unit_test(test_other_shapes),
	    cmocka_unit_test(test_place_does_not_matter),
	    cmocka_unit_test(test_no_collisions),
	    cmocka_unit_test(test_secret),
	    cmocka_unit_test(test_words),
	    cmocka_unit_test(test_every_word),
	    cmocka_unit_test(test_literals),
	    cmocka_unit_test(test_more_literals_than_have_room),
	    cmocka_unit_test(test_size_of_the_tree),
	    cmocka_unit_test(test_broken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

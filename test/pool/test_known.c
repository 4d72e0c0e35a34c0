/* SPDX-License-Identifier: PostgreSQL
 *
 * The set of statements that a server connection has: least recently used first, epochs,
 * moving to another worker.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "pgweir/pool/known.h"

static struct pw_id id_of(uint64_t n)
{
	return (struct pw_id){n, n * 3};
}

static void add(struct pw_known *known, uint64_t n)
{
	assert_int_equal(pw_known_add(known, id_of(n)), PW_OK);
}

static void assert_oldest(const struct pw_known *known, uint64_t n)
{
	struct pw_id id;

	assert_true(pw_known_oldest(known, &id));
	assert_true(pw_id_equal(id, id_of(n)));
}

static void test_name_of_a_statement(void **state)
{
	char name[PW_STATEMENT_NAME_SIZE];

	(void)state;
	pw_statement_name(
	    (struct pw_id){UINT64_C(0x0123456789abcdef), UINT64_C(0xfedcba9876543210)}, name);
	assert_string_equal(name, "pgweir_fedcba98765432100123456789abcdef");
	pw_statement_name((struct pw_id){0, 0}, name);
	assert_string_equal(name, "pgweir_00000000000000000000000000000000");
}

static void test_least_recently_used(void **state)
{
	struct pw_known known;
	struct pw_id id;

	(void)state;
	pw_known_init(&known);
	assert_false(pw_known_oldest(&known, &id));
	for (uint64_t i = 0; i < 100; i++)
		add(&known, i);
	assert_int_equal(pw_known_count(&known), 100);
	assert_oldest(&known, 0);
	assert_true(pw_known_use(&known, id_of(0)));
	assert_oldest(&known, 1);
	/* Adding again is using. */
	add(&known, 1);
	assert_int_equal(pw_known_count(&known), 100);
	assert_oldest(&known, 2);
	assert_false(pw_known_use(&known, id_of(100)));
	pw_known_remove(&known, id_of(100));
	pw_known_remove(&known, id_of(2));
	assert_oldest(&known, 3);
	for (uint64_t i = 3; i < 100; i++) {
		assert_oldest(&known, i);
		pw_known_remove(&known, id_of(i));
	}
	assert_oldest(&known, 0);
	assert_int_equal(pw_known_count(&known), 2);
	pw_known_fini(&known);
}

/* Ids that agree in one half are two ids. */
static void test_ids_of_128_bits(void **state)
{
	struct pw_known known;

	(void)state;
	pw_known_init(&known);
	assert_int_equal(pw_known_add(&known, (struct pw_id){1, 1}), PW_OK);
	assert_false(pw_known_use(&known, (struct pw_id){1, 2}));
	assert_false(pw_known_use(&known, (struct pw_id){2, 1}));
	assert_int_equal(pw_known_add(&known, (struct pw_id){1, 2}), PW_OK);
	assert_int_equal(pw_known_count(&known), 2);
	pw_known_remove(&known, (struct pw_id){1, 1});
	assert_true(pw_known_use(&known, (struct pw_id){1, 2}));
	pw_known_fini(&known);
}

static void test_epoch(void **state)
{
	struct pw_known known;

	(void)state;
	pw_known_init(&known);
	pw_known_set_epoch(&known, id_of(1), 9);
	assert_int_equal(pw_known_epoch(&known, id_of(1)), 0);
	add(&known, 1);
	add(&known, 2);
	assert_int_equal(pw_known_epoch(&known, id_of(1)), 0);
	pw_known_set_epoch(&known, id_of(1), 9);
	assert_int_equal(pw_known_epoch(&known, id_of(1)), 9);
	assert_int_equal(pw_known_epoch(&known, id_of(2)), 0);
	assert_true(pw_known_use(&known, id_of(1)));
	/* Prepared anew, it is fresh. */
	pw_known_remove(&known, id_of(1));
	assert_int_equal(pw_known_epoch(&known, id_of(1)), 0);
	add(&known, 1);
	assert_int_equal(pw_known_epoch(&known, id_of(1)), 0);
	pw_known_fini(&known);
}

static void describe(struct pw_known *known, struct pw_id id, uint64_t rows)
{
	pw_known_describe(known, id, (struct pw_description){.rows = rows});
}

static uint64_t rows_of(const struct pw_known *known, struct pw_id id)
{
	return pw_known_description(known, id).rows;
}

/* A portal's description says nothing of parameters, and comes before or after the statement's. */
static void test_description_in_parts(void **state)
{
	struct pw_known known;

	(void)state;
	pw_known_init(&known);
	add(&known, 1);
	describe(&known, id_of(1), 6);
	assert_int_equal(pw_known_description(&known, id_of(1)).parameters, 0);
	pw_known_describe(&known, id_of(1), (struct pw_description){7, 8});
	assert_int_equal(rows_of(&known, id_of(1)), 6);
	assert_int_equal(pw_known_description(&known, id_of(1)).parameters, 8);
	describe(&known, id_of(1), 6);
	assert_int_equal(pw_known_description(&known, id_of(1)).parameters, 8);
	pw_known_doubt(&known, id_of(1));
	assert_int_equal(pw_known_description(&known, id_of(1)).parameters, 0);
	pw_known_fini(&known);
}

/* What is described while a Parse is under way was parsed before. */
static void test_description(void **state)
{
	struct pw_known known;

	(void)state;
	pw_known_init(&known);
	describe(&known, id_of(1), 5);
	assert_int_equal(rows_of(&known, id_of(1)), 0);
	add(&known, 1);
	pw_known_parse_sent(&known, id_of(1));
	describe(&known, id_of(1), 5);
	assert_int_equal(rows_of(&known, id_of(1)), 0);
	pw_known_parse_settled(&known);
	assert_int_equal(rows_of(&known, id_of(1)), 0);
	describe(&known, id_of(1), 6);
	assert_int_equal(rows_of(&known, id_of(1)), 6);
	pw_known_remove(&known, id_of(1));
	add(&known, 1);
	assert_int_equal(rows_of(&known, id_of(1)), 0);
	pw_known_fini(&known);
}

/* Parsed, closed and parsed again before the first answer: that one is about the first. */
static void test_parse_behind_parse(void **state)
{
	struct pw_known known;

	(void)state;
	pw_known_init(&known);
	add(&known, 1);
	pw_known_parse_sent(&known, id_of(1));
	pw_known_remove(&known, id_of(1));
	add(&known, 1);
	pw_known_parse_sent(&known, id_of(1));
	pw_known_set_epoch(&known, id_of(1), 9);
	add(&known, 2);
	describe(&known, id_of(2), 7); /* there without a Parse of ours */
	assert_int_equal(rows_of(&known, id_of(2)), 7);
	pw_known_parse_settled(&known);
	describe(&known, id_of(1), 5);
	pw_known_doubt(&known, id_of(1));
	assert_int_equal(rows_of(&known, id_of(1)), 0);
	assert_int_equal(pw_known_epoch(&known, id_of(1)), 9);
	pw_known_parse_settled(&known);
	describe(&known, id_of(1), 6);
	assert_int_equal(rows_of(&known, id_of(1)), 6);
	pw_known_doubt(&known, id_of(1));
	pw_known_doubt(&known, id_of(3));
	assert_int_equal(pw_known_epoch(&known, id_of(1)), 0);
	pw_known_fini(&known);
}

static void test_move(void **state)
{
	struct pw_known from, to;
	struct pw_id id;

	(void)state;
	pw_known_init(&from);
	for (uint64_t i = 0; i < 20; i++)
		add(&from, i);
	pw_known_set_epoch(&from, id_of(7), 9);
	assert_true(pw_known_use(&from, id_of(0)));
	memset(&to, 0x55, sizeof(to));
	pw_known_move(&from, &to);
	assert_int_equal(pw_known_count(&from), 0);
	assert_false(pw_known_oldest(&from, &id));
	assert_int_equal(pw_known_count(&to), 20);
	assert_int_equal(pw_known_epoch(&to, id_of(7)), 9);
	for (uint64_t i = 1; i < 20; i++) {
		assert_oldest(&to, i);
		pw_known_remove(&to, id_of(i));
	}
	assert_oldest(&to, 0);
	/* The emptied set is a set still. */
	add(&from, 5);
	assert_oldest(&from, 5);
	pw_known_fini(&from);
	pw_known_fini(&to);
}

static void test_clear(void **state)
{
	struct pw_known known;

	(void)state;
	pw_known_init(&known);
	for (uint64_t i = 0; i < 20; i++)
		add(&known, i);
	pw_known_clear(&known);
	assert_int_equal(pw_known_count(&known), 0);
	assert_false(pw_known_use(&known, id_of(3)));
	add(&known, 3);
	assert_oldest(&known, 3);
	pw_known_fini(&known);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_name_of_a_statement),
	    cmocka_unit_test(test_least_recently_used),
	    cmocka_unit_test(test_ids_of_128_bits),
	    cmocka_unit_test(test_epoch),
	    cmocka_unit_test(test_description),
	    cmocka_unit_test(test_description_in_parts),
	    cmocka_unit_test(test_parse_behind_parse),
	    cmocka_unit_test(test_move),
	    cmocka_unit_test(test_clear),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: PostgreSQL
 *
 * Row sets: merging by key, each way to merge a cell, order, and what happens without memory.
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

#include "pgweir/stat/view.h"

enum { NAME, NUMBER, HOST, SUM, MAX };

static void collect_nothing(struct pw_rows *rows, const void *source)
{
	(void)rows;
	(void)source;
}

static void count_up(struct pw_rows *rows)
{
	for (size_t i = 0; i < rows->n_rows; i++)
		pw_cell_set_number(&pw_rows_at(rows, i)[MAX], (int64_t)i);
}

static const struct pw_view keyed = {
    .name = "KEYED",
    .columns = (const struct pw_column[]){{"name", PW_COL_TEXT, PW_MERGE_KEY, ""},
					  {"number", PW_COL_INT4, PW_MERGE_KEY, ""},
					  {"host", PW_COL_TEXT, PW_MERGE_FIRST, ""},
					  {"sum", PW_COL_INT8, PW_MERGE_SUM, ""},
					  {"max", PW_COL_HIDDEN, PW_MERGE_MAX, ""},
					  {.name = NULL}},
    .collect = collect_nothing,
    .finish = count_up,
};

static const struct pw_view plain = {
    .name = "PLAIN",
    .columns =
	(const struct pw_column[]){{"name", PW_COL_TEXT, PW_MERGE_FIRST, ""}, {.name = NULL}},
    .collect = collect_nothing,
};

static void add(struct pw_rows *rows, const char *name, int64_t number, const char *host,
		int64_t value)
{
	struct pw_cell *row = pw_rows_add(rows);

	assert_non_null(row);
	pw_cell_set_text(rows, &row[NAME], name);
	pw_cell_set_number(&row[NUMBER], number);
	pw_cell_set_text(rows, &row[HOST], host);
	pw_cell_set_number(&row[SUM], value);
	pw_cell_set_number(&row[MAX], value);
}

static void assert_row(const struct pw_rows *rows, size_t i, const char *name, int64_t number)
{
	const struct pw_cell *row = pw_rows_at(rows, i);

	assert_string_equal(row[NAME].text, name);
	assert_int_equal(row[NUMBER].number, number);
}

static void test_new_rows_are_null(void **state)
{
	struct pw_rows rows;
	struct pw_cell *row;

	(void)state;
	pw_rows_init(&rows, &keyed);
	assert_int_equal(pw_view_column_count(&keyed), 5);
	row = pw_rows_add(&rows);
	for (size_t i = 0; i < 5; i++)
		assert_true(row[i].is_null);
	pw_cell_set_text(&rows, &row[NAME], "a");
	assert_false(row[NAME].is_null);
	pw_cell_set_text(&rows, &row[NAME], NULL);
	assert_true(row[NAME].is_null);
	assert_false(rows.has_failed);
	pw_rows_fini(&rows);
	assert_int_equal(rows.n_rows, 0);
	pw_rows_fini(&rows); /* harmless */
}

static void test_merge_by_key(void **state)
{
	struct pw_rows into, from;
	const struct pw_cell *row;

	(void)state;
	pw_rows_init(&into, &keyed);
	pw_rows_init(&from, &keyed);
	add(&into, "zeta", 1, NULL, 5);
	add(&into, "alpha", 1, "h1", 1);
	add(&from, "alpha", 2, "h2", 100);
	add(&from, "zeta", 1, "h3", 7);
	add(&from, "alpha", 1, "h4", 1000);
	pw_rows_merge(&into, &from);
	assert_int_equal(from.n_rows, 0);
	assert_null(from.cells);
	/* the order of the first appearance stays */
	assert_int_equal(into.n_rows, 3);
	assert_row(&into, 0, "zeta", 1);
	assert_row(&into, 1, "alpha", 1);
	assert_row(&into, 2, "alpha", 2);
	row = pw_rows_at(&into, 0);
	assert_string_equal(row[HOST].text, "h3"); /* the first that is there */
	assert_int_equal(row[SUM].number, 12);
	assert_int_equal(row[MAX].number, 7);
	row = pw_rows_at(&into, 1);
	assert_string_equal(row[HOST].text, "h1");
	assert_int_equal(row[SUM].number, 1001);
	assert_int_equal(row[MAX].number, 1000);
	pw_rows_fini(&into);
}

/* A worker may add several rows for one key. */
static void test_fold_within_one_set(void **state)
{
	struct pw_rows into, from;

	(void)state;
	pw_rows_init(&into, &keyed);
	pw_rows_init(&from, &keyed);
	for (int64_t i = 0; i < 1000; i++)
		add(&from, i % 2 ? "odd" : "even", i % 10, NULL, 1);
	pw_rows_merge(&into, &from);
	assert_int_equal(into.n_rows, 10);
	for (size_t i = 0; i < 10; i++) {
		assert_row(&into, i, i % 2 ? "odd" : "even", (int64_t)i);
		assert_int_equal(pw_rows_at(&into, i)[SUM].number, 100);
	}
	pw_rows_fini(&into);
}

static void test_null_does_not_count(void **state)
{
	struct pw_rows rows;

	(void)state;
	pw_rows_init(&rows, &keyed);
	add(&rows, "a", 1, NULL, -3);
	add(&rows, "a", 1, NULL, 0);
	pw_rows_at(&rows, 1)[SUM].is_null = true;
	pw_rows_at(&rows, 1)[MAX].is_null = true;
	pw_rows_fold(&rows);
	assert_int_equal(rows.n_rows, 1);
	assert_int_equal(pw_rows_at(&rows, 0)[SUM].number, -3);
	assert_int_equal(pw_rows_at(&rows, 0)[MAX].number, -3);
	pw_rows_fini(&rows);
}

static void test_without_keys_all_stay(void **state)
{
	struct pw_rows into, from;

	(void)state;
	pw_rows_init(&into, &plain);
	for (int i = 0; i < 3; i++) {
		pw_rows_init(&from, &plain);
		for (int k = 0; k < 20; k++)
			pw_cell_set_text(&from, pw_rows_add(&from), "same");
		pw_rows_merge(&into, &from);
	}
	assert_int_equal(into.n_rows, 60);
	pw_rows_sort(&into); /* by nothing */
	assert_int_equal(into.n_rows, 60);
	pw_rows_finish(&into);
	assert_int_equal(into.n_rows, 60);
	pw_rows_fini(&into);
}

static void test_sort(void **state)
{
	static const size_t by_sum[] = {SUM};
	struct pw_rows rows;

	(void)state;
	pw_rows_init(&rows, &keyed);
	add(&rows, "b", 10, NULL, 1);
	add(&rows, "b", 9, NULL, 2);
	add(&rows, NULL, 0, NULL, 3);
	add(&rows, "a", 11, NULL, -4);
	pw_rows_sort(&rows);
	assert_row(&rows, 0, "a", 11);
	assert_row(&rows, 1, "b", 9); /* as numbers, not as text */
	assert_row(&rows, 2, "b", 10);
	assert_true(pw_rows_at(&rows, 3)[NAME].is_null);
	pw_rows_sort_by(&rows, by_sum, 1);
	assert_row(&rows, 0, "a", 11);
	assert_row(&rows, 1, "b", 10);
	assert_row(&rows, 2, "b", 9);
	pw_rows_fini(&rows);
}

static void test_finish_folds_first(void **state)
{
	struct pw_rows rows;

	(void)state;
	pw_rows_init(&rows, &keyed);
	add(&rows, "a", 1, NULL, 50);
	add(&rows, "b", 1, NULL, 50);
	add(&rows, "a", 1, NULL, 50);
	pw_rows_finish(&rows);
	assert_int_equal(rows.n_rows, 2);
	assert_int_equal(pw_rows_at(&rows, 0)[MAX].number, 0);
	assert_int_equal(pw_rows_at(&rows, 1)[MAX].number, 1);
	pw_rows_fini(&rows);
}

static void test_failure_is_passed_on(void **state)
{
	struct pw_rows into, from;

	(void)state;
	pw_rows_init(&into, &keyed);
	pw_rows_init(&from, &keyed);
	from.has_failed = true;
	pw_rows_merge(&into, &from);
	assert_true(into.has_failed);
	pw_rows_init(&from, &keyed);
	pw_rows_merge(&into, &from); /* and stays */
	assert_true(into.has_failed);
	pw_rows_fini(&into);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_new_rows_are_null),
	    cmocka_unit_test(test_merge_by_key),
	    cmocka_unit_test(test_fold_within_one_set),
	    cmocka_unit_test(test_null_does_not_count),
	    cmocka_unit_test(test_without_keys_all_stay),
	    cmocka_unit_test(test_sort),
	    cmocka_unit_test(test_finish_folds_first),
	    cmocka_unit_test(test_failure_is_passed_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: PostgreSQL
 *
 * Interned sets of parameter values: equal values, one set; changes make other sets; loose copies
 * cross from table to table.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../lib/params_fixture.h"
#include "pgweir/base/strbuf.h"

/* ---- the list of names ---- */

static void test_tracked_list(void **state)
{
	struct pw_tracked t;

	(void)state;
	assert_int_equal(pw_tracked_init(&t, NULL), PW_OK);
	assert_int_equal(t.n, 5);
	assert_int_equal(pw_tracked_find(&t, "DATESTYLE"), 0);
	assert_int_equal(pw_tracked_find(&t, "client_encoding"), 1);
	assert_int_equal(pw_tracked_find(&t, "timezone"), 2);
	assert_int_equal(pw_tracked_find(&t, "standard_conforming_strings"), 3);
	assert_int_equal(pw_tracked_find(&t, "application_name"), 4);
	assert_int_equal(pw_tracked_find(&t, "search_path"), -1);
	assert_int_equal(pw_tracked_find(&t, ""), -1);
	pw_tracked_fini(&t);
	/* Separators of any kind; what is there already is not there twice. */
	assert_int_equal(pw_tracked_init(&t, " ,a, b\tTIMEZONE ,,A,c"), PW_OK);
	assert_int_equal(t.n, 8);
	assert_int_equal(pw_tracked_find(&t, "B"), 6);
	assert_int_equal(pw_tracked_find(&t, "c"), 7);
	pw_tracked_fini(&t);
}

static void test_tracked_list_is_bounded(void **state)
{
	struct pw_strbuf names = PW_STRBUF_INIT;
	struct pw_tracked t;

	(void)state;
	for (int i = 5; i < PW_TRACKED_MAX; i++)
		pw_strbuf_printf(&names, "x%d,", i);
	assert_int_equal(pw_tracked_init(&t, names.data), PW_OK);
	assert_int_equal(t.n, PW_TRACKED_MAX);
	pw_tracked_fini(&t);
	pw_strbuf_add_string(&names, "x5,y");
	assert_int_equal(pw_tracked_init(&t, names.data), PW_ELIMIT);
	pw_tracked_fini(&t);
	pw_strbuf_fini(&names);
}

/* ---- sets ---- */

static void test_equal_values_are_one_set(void **state)
{
	struct fixture *f = *state;
	const char *values[N] = {"ISO, MDY", "UTF8", NULL, "on"};
	char copy[] = "UTF8";
	struct pw_params *a = pw_params_intern(&f->table, values), *b, *c;

	values[ENCODING] = copy;
	b = pw_params_intern(&f->table, values);
	assert_ptr_equal(a, b);
	assert_int_equal(f->table.map.count, 1);
	/* The set does not borrow its values. */
	copy[0] = 'X';
	assert_string_equal(a->values[ENCODING], "UTF8");
	c = pw_params_intern(&f->table, values);
	assert_ptr_not_equal(a, c);
	assert_false(pw_params_are_equal(a, c));
	assert_true(pw_params_are_equal(a, b));
	assert_false(pw_params_are_equal(a, NULL));
	assert_false(pw_params_are_equal(NULL, a));
	assert_true(pw_params_are_equal(NULL, NULL));
	pw_params_unref(&f->table, a);
	assert_string_equal(b->values[DATESTYLE], "ISO, MDY");
	pw_params_unref(&f->table, b);
	pw_params_unref(&f->table, c);
	pw_params_unref(&f->table, NULL);
}

/* application_name is a label; all else is in force where a server parses. */
static void test_parse_id(void **state)
{
	struct fixture *f = *state;
	const char *values[N] = {"ISO, MDY", "UTF8", "UTC", "on", "one"};
	struct pw_params *a = pw_params_intern(&f->table, values), *b, *c;
	const int label = pw_tracked_find(f->table.tracked, "application_name");

	b = pw_params_with(&f->table, a, (size_t)label, "two");
	assert_false(pw_params_are_equal(a, b));
	assert_true(pw_id_equal(a->parse_id, b->parse_id));
	for (size_t i = 0; i < f->table.tracked->n; i++) {
		if ((int)i == label)
			continue;
		c = pw_params_with(&f->table, a, i, "another");
		assert_false(pw_id_equal(a->parse_id, c->parse_id));
		pw_params_unref(&f->table, c);
	}
	pw_params_unref(&f->table, a);
	pw_params_unref(&f->table, b);
}

/* Not set, empty, and the same text in another place are different sets. */
static void test_sets_do_not_collide(void **state)
{
	struct fixture *f = *state;
	const char *rows[][N] = {
	    {NULL},     {""},   {NULL, ""}, {"", ""}, {"a"},        {NULL, "a"}, {"a", "a"},
	    {"a", "b"}, {"ab"}, {"b", "a"}, {"\1"},   {"\1", "\1"}, {"", "\1"},
	};
	struct pw_params *sets[PW_COUNTOF(rows)];

	for (size_t i = 0; i < PW_COUNTOF(rows); i++) {
		sets[i] = pw_params_intern(&f->table, rows[i]);
		assert_non_null(sets[i]);
		for (size_t k = 0; k < i; k++)
			assert_false(pw_params_are_equal(sets[i], sets[k]));
	}
	assert_int_equal(f->table.map.count, PW_COUNTOF(rows));
	for (size_t i = 0; i < PW_COUNTOF(rows); i++)
		pw_params_unref(&f->table, sets[i]);
}

static void test_with(void **state)
{
	struct fixture *f = *state;
	struct pw_params *a = pw_params_with(&f->table, NULL, ENCODING, "UTF8");
	struct pw_params *b = pw_params_with(&f->table, a, SEARCH_PATH, "x, y");
	struct pw_params *c = pw_params_with(&f->table, b, SEARCH_PATH, NULL);
	struct pw_params *same = pw_params_with(&f->table, a, ENCODING, "UTF8");

	assert_null(a->values[SEARCH_PATH]);
	assert_string_equal(b->values[ENCODING], "UTF8");
	assert_string_equal(b->values[SEARCH_PATH], "x, y");
	assert_ptr_equal(c, a);
	assert_ptr_equal(same, a);
	for (int i = 0; i < 3; i++)
		pw_params_unref(&f->table, a);
	pw_params_unref(&f->table, b);
}

static void test_overlay(void **state)
{
	struct fixture *f = *state;
	const char *base_values[N] = {"ISO", "UTF8", NULL, "on"};
	const char *over_values[N] = {NULL, "LATIN1", "UTC"};
	struct pw_params *base = pw_params_intern(&f->table, base_values);
	struct pw_params *over = pw_params_intern(&f->table, over_values);
	struct pw_params *both = pw_params_overlay(&f->table, base, over);
	struct pw_params *only_base = pw_params_overlay(&f->table, base, NULL);
	struct pw_params *only_over = pw_params_overlay(&f->table, NULL, over);
	struct pw_params *none = pw_params_overlay(&f->table, NULL, NULL);

	assert_string_equal(both->values[0], "ISO");
	assert_string_equal(both->values[1], "LATIN1");
	assert_string_equal(both->values[2], "UTC");
	assert_string_equal(both->values[3], "on");
	assert_null(both->values[4]);
	assert_ptr_equal(only_base, base);
	assert_ptr_equal(only_over, over);
	for (int i = 0; i < N; i++)
		assert_null(none->values[i]);
	pw_params_unref(&f->table, none);
	pw_params_unref(&f->table, both);
	for (int i = 0; i < 2; i++) {
		pw_params_unref(&f->table, base);
		pw_params_unref(&f->table, over);
	}
}

static void test_export_and_import(void **state)
{
	struct fixture *f = *state;
	struct pw_params_table other;
	const char *values[N] = {"ISO", "", NULL, "on"};
	struct pw_params *a = pw_params_intern(&f->table, values), *copy, *b;
	bool ok = false;

	pw_params_table_init(&other, &f->tracked, &f->table.key);
	copy = pw_params_export(a, &ok);
	assert_true(ok);
	assert_ptr_not_equal(copy, a);
	assert_int_equal(f->table.map.count, 1);
	pw_params_unref(&f->table, a);
	b = pw_params_import(&other, copy);
	assert_int_equal(other.map.count, 1);
	assert_string_equal(b->values[0], "ISO");
	assert_string_equal(b->values[1], "");
	assert_null(b->values[2]);
	/* The same set has the same id in every table of the process. */
	a = pw_params_intern(&f->table, values);
	assert_true(pw_params_are_equal(a, b));
	/* What the receiver has already is not made again. */
	copy = pw_params_export(a, &ok);
	assert_ptr_equal(pw_params_import(&other, copy), b);
	assert_int_equal(b->refs, 2);
	assert_null(pw_params_export(NULL, &ok));
	assert_true(ok);
	assert_null(pw_params_import(&other, NULL));
	pw_params_unref(&f->table, a);
	pw_params_unref(&other, b);
	pw_params_unref(&other, b);
	assert_int_equal(other.map.count, 0);
	pw_params_table_fini(&other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_tracked_list),
	    cmocka_unit_test(test_tracked_list_is_bounded),
	    cmocka_unit_test_setup_teardown(test_equal_values_are_one_set, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_sets_do_not_collide, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_parse_id, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_with, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_overlay, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_export_and_import, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: PostgreSQL
 *
 * The counters as rows of a table: names, sums, and averages of each kind.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "pgweir/base/clock.h"
#include "pgweir/stat/counters.h"

static size_t row_of(const char *field)
{
	for (size_t i = 0; i < pw_counter_count; i++) {
		if (strcmp(pw_counter_rows[i].field, field) == 0)
			return i;
	}
	fail_msg("no counter %s", field);
	return 0;
}

/* Every field has its row, and no two rows share a field or a name. */
static void test_rows(void **state)
{
	(void)state;
	assert_int_equal(pw_counter_count * sizeof(uint64_t), sizeof(struct pw_counters));
	for (size_t i = 0; i < pw_counter_count; i++) {
		const struct pw_counter_row *row = &pw_counter_rows[i];

		assert_int_equal(row->offset, i * sizeof(uint64_t));
		assert_true(row->help[0] != '\0');
		for (size_t k = 0; k < i; k++) {
			assert_string_not_equal(row->field, pw_counter_rows[k].field);
			assert_string_not_equal(row->total, pw_counter_rows[k].total);
			assert_string_not_equal(row->overall, pw_counter_rows[k].overall);
		}
	}
}

static void test_add(void **state)
{
	struct pw_counters sum, part;
	uint64_t value = 1;

	(void)state;
	memset(&sum, 0, sizeof(sum));
	memset(&part, 0, sizeof(part));
	for (size_t i = 0; i < pw_counter_count; i++, value *= 3)
		memcpy((char *)&part + pw_counter_rows[i].offset, &value, sizeof(value));
	pw_counters_add(&sum, &part);
	pw_counters_add(&sum, &part);
	value = 1;
	for (size_t i = 0; i < pw_counter_count; i++, value *= 3) {
		assert_true(pw_counters_get(&part, i) == value);
		assert_true(pw_counters_get(&sum, i) == 2 * value);
	}
}

static void test_averages(void **state)
{
	struct pw_counters then = {.xact_count = 100, .query_count = 1000, .received = 5};
	struct pw_counters now = then;
	const uint64_t elapsed = 10 * PW_SECOND_US;

	(void)state;
	now.xact_count += 20;
	now.xact_time += 20 * 300;
	now.query_count += 50;
	now.query_time += 50 * 70 + 49; /* rounded down */
	now.server_assignment_count += 4;
	now.wait_time += 4 * 9;
	now.received += 10 * 123;
	assert_int_equal(pw_counters_average(&now, &then, elapsed, row_of("xact_count")), 2);
	assert_int_equal(pw_counters_average(&now, &then, elapsed, row_of("received")), 123);
	assert_int_equal(pw_counters_average(&now, &then, elapsed, row_of("xact_time")), 300);
	assert_int_equal(pw_counters_average(&now, &then, elapsed, row_of("query_time")), 70);
	assert_int_equal(pw_counters_average(&now, &then, elapsed, row_of("wait_time")), 9);
	/* Where nothing happened, or no time has passed, there is no average. */
	for (size_t i = 0; i < pw_counter_count; i++) {
		assert_int_equal(pw_counters_average(&then, &then, elapsed, i), 0);
		assert_int_equal(pw_counters_average(&then, &then, 0, i), 0);
	}
	assert_int_equal(pw_counters_average(&now, &then, 0, row_of("xact_count")), 0);
}

static void test_history(void **state)
{
	struct pw_counter_history h;

	(void)state;
	memset(&h, 0, sizeof(h));
	h.last_us = h.before_last_us = 5;
	h.now.xact_count = 10;
	pw_counter_history_turn(&h, 100);
	h.now.xact_count = 30;
	pw_counter_history_turn(&h, 200);
	h.now.xact_count = 31;
	assert_int_equal(h.last.xact_count, 30);
	assert_int_equal(h.before_last.xact_count, 10);
	assert_int_equal(h.last_us, 200);
	assert_int_equal(h.before_last_us, 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_rows),
	    cmocka_unit_test(test_add),
	    cmocka_unit_test(test_averages),
	    cmocka_unit_test(test_history),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

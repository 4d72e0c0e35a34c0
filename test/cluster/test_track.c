/* SPDX-License-Identifier: PostgreSQL
 *
 * Lag by the primary's positions.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pgweir/base/status.h"
#include "pgweir/cluster/track.h"

static void add(struct pw_track *track, uint64_t probe, uint64_t sent_us, uint64_t insert,
		uint64_t flush)
{
	const struct pw_position position = {probe, sent_us, insert, flush};

	pw_track_add(track, &position);
}

static void test_time(void **state PW_UNUSED)
{
	struct pw_track track = {.timeline = 1};

	assert_int_equal(pw_track_time(&track, 100), 0);
	add(&track, 1, 1000, 100, 100);
	add(&track, 2, 2000, 200, 200);
	add(&track, 3, 3000, 300, 300);
	assert_int_equal(pw_track_time(&track, 99), 0);
	assert_int_equal(pw_track_time(&track, 100), 1000);
	assert_int_equal(pw_track_time(&track, 299), 2000);
	assert_int_equal(pw_track_time(&track, 300), 3000);
	assert_int_equal(pw_track_time(&track, 999), 3000);
}

/* Nothing is written: whoever has it all is up to date, for hours. */
static void test_idle_primary(void **state PW_UNUSED)
{
	struct pw_track track = {.timeline = 1};

	add(&track, 1, 1000, 100, 100);
	for (uint64_t i = 2; i < 100000; i++)
		add(&track, i, i * 1000, 200, 150);
	assert_int_equal(track.n, 2);
	assert_int_equal(pw_track_time(&track, 149), 1000);
	assert_int_equal(pw_track_time(&track, 150), 99999000);
}

/* What is inserted and not flushed cannot have been sent to anybody. */
static void test_unflushed_insert_is_no_lag(void **state PW_UNUSED)
{
	struct pw_track track = {.timeline = 1};

	for (uint64_t i = 1; i < 100; i++)
		add(&track, i, i * 1000, 100 + i, 100);
	assert_int_equal(pw_track_time(&track, 100), 99000);
}

static void test_after(void **state PW_UNUSED)
{
	struct pw_track track = {.timeline = 1};

	assert_null(pw_track_after(&track, 0, 0));
	add(&track, 1, 1000, 100, 100);
	add(&track, 2, 2000, 200, 200);
	add(&track, 3, 3000, 200, 200);
	add(&track, 5, 5000, 300, 300);
	assert_int_equal(pw_track_after(&track, 0, 0)->insert, 100);
	assert_int_equal(pw_track_after(&track, 1, 0)->insert, 200);
	/* The third saw what the second had seen. */
	assert_int_equal(pw_track_after(&track, 2, 0)->insert, 200);
	assert_int_equal(pw_track_after(&track, 3, 0)->insert, 300);
	assert_int_equal(pw_track_after(&track, 1, 3001)->insert, 300);
	assert_int_equal(pw_track_after(&track, 1, 3000)->insert, 200);
	assert_null(pw_track_after(&track, 5, 0));
	assert_null(pw_track_after(&track, 0, 5001));
}

/* Further back it is known less finely, and never too kindly. */
static void test_long_history(void **state PW_UNUSED)
{
	static struct pw_track track;
	const uint64_t last = 100000;

	track.timeline = 1;
	for (uint64_t i = 1; i <= last; i++)
		add(&track, i, i * 1000, i * 10, i * 10);
	assert_true(track.n <= PW_TRACK_MAX && track.n > PW_TRACK_MAX / 2);
	assert_int_equal(pw_track_time(&track, last * 10), last * 1000);
	assert_int_equal(pw_track_time(&track, 10), 1000);
	for (uint64_t i = 1; i <= last; i += 7) {
		uint64_t time = pw_track_time(&track, i * 10);

		assert_true(time > 0 && time <= i * 1000);
		assert_true(pw_track_after(&track, i - 1, 0)->insert >= i * 10);
	}
}

static void test_fork(void **state PW_UNUSED)
{
	struct pw_track track = {.timeline = 1};

	for (uint64_t i = 1; i <= 10; i++)
		add(&track, i, i * 1000, i * 10 + 5, i * 10);
	pw_track_fork(&track, 2, 55);
	assert_int_equal(track.timeline, 2);
	assert_int_equal(track.parent, 1);
	assert_int_equal(track.n, 5);
	assert_int_equal(pw_track_time(&track, 100), 5000);
	add(&track, 20, 20000, 60, 60);
	assert_int_equal(pw_track_time(&track, 60), 20000);
	assert_int_equal(pw_track_time(&track, 59), 5000);
	pw_track_fork(&track, 3, 0);
	assert_int_equal(track.n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_time),
	    cmocka_unit_test(test_idle_primary),
	    cmocka_unit_test(test_unflushed_insert_is_no_lag),
	    cmocka_unit_test(test_after),
	    cmocka_unit_test(test_long_history),
	    cmocka_unit_test(test_fork),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

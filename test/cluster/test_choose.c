/* SPDX-License-Identifier: PostgreSQL
 *
 * Which node gets the next read: how often each does by weight, alone and among many, and what
 * zone, a slow start and a long way change. Chance is seeded, so that each run is like the one
 * before.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "pgweir/base/clock.h"
#include "pgweir/cluster/choose.h"

enum { DRAWS = 20000 };

struct race {
	struct pw_option options[3];
	size_t n;
	struct pw_rng rng;
	struct pw_turns turns;
	unsigned got[3];
};

static struct race begin_race(size_t n, const int *weights)
{
	struct race race = {.n = n};

	pw_rng_seed(&race.rng, 7);
	for (size_t i = 0; i < n; i++)
		race.options[i] = (struct pw_option){
		    .slot = (int)(2 * i + 1), .weight = weights[i], .share = PW_SHARE_WHOLE};
	return race;
}

/* So many at a time, each of which ends when the next one comes. */
static void run(struct race *race, enum pw_balance_by by, size_t at_a_time)
{
	size_t runs[64] = {0};

	memset(race->got, 0, sizeof(race->got));
	for (size_t i = 0; i < DRAWS; i++) {
		size_t *place = &runs[i % at_a_time], chosen;

		if (i >= at_a_time)
			race->options[*place].busy--;
		chosen = pw_choose(by, race->options, race->n, &race->rng, &race->turns);
		*place = chosen;
		race->options[chosen].busy++;
		race->got[chosen]++;
	}
	for (size_t i = 0; i < race->n; i++)
		race->options[i].busy = 0;
}

/* In percent of all. */
static void assert_got(const struct race *race, size_t i, unsigned percent, unsigned margin)
{
	unsigned got = race->got[i] * 100 / DRAWS;

	if (got + margin < percent || got > percent + margin)
		fail_msg("node %zu has got %u %%, not %u", i, got, percent);
}

static void test_weights(void **state PW_UNUSED)
{
	static const size_t at_a_time[] = {1, 2, 3, 8, 60};
	struct race race = begin_race(3, (const int[]){1, 3, 6});

	for (enum pw_balance_by by = PW_BY_LEAST_BUSY; by <= PW_BY_LATENCY; by++) {
		for (size_t i = 0; i < 5; i++) {
			run(&race, by, at_a_time[i]);
			assert_got(&race, 0, 10, 2);
			assert_got(&race, 1, 30, 3);
			assert_got(&race, 2, 60, 3);
		}
	}
}

static void test_one_after_the_other(void **state PW_UNUSED)
{
	struct race race = begin_race(3, (const int[]){1, 1, 2});
	unsigned got[3] = {0};

	for (int i = 0; i < 8; i++)
		got[pw_choose(PW_BY_ROUND_ROBIN, race.options, 3, &race.rng, &race.turns)]++;
	assert_int_equal(got[0], 2);
	assert_int_equal(got[1], 2);
	assert_int_equal(got[2], 4);
}

/* One that gets stuck is not given more; by turns it is. */
static void test_less_to_a_node_that_is_slow(void **state PW_UNUSED)
{
	struct race race = begin_race(2, (const int[]){1, 1});
	unsigned got = 0;

	race.options[1].busy = 20;
	for (int i = 0; i < 100; i++)
		got += pw_choose(PW_BY_LEAST_BUSY, race.options, 2, &race.rng, &race.turns) == 1;
	assert_int_equal(got, 0);
	for (int i = 0; i < 100; i++)
		got += pw_choose(PW_BY_ROUND_ROBIN, race.options, 2, &race.rng, &race.turns) == 1;
	assert_int_equal(got, 50);
}

static void test_zone_first(void **state PW_UNUSED)
{
	struct race race = begin_race(3, (const int[]){1, 1000, 1});

	race.options[1].is_far = true;
	/* Busy is not sick. */
	race.options[0].busy = race.options[2].busy = 1000;
	for (enum pw_balance_by by = PW_BY_LEAST_BUSY; by <= PW_BY_LATENCY; by++) {
		for (int i = 0; i < 1000; i++)
			assert_int_not_equal(pw_choose(by, race.options, 3, &race.rng, &race.turns),
					     1);
	}
	race.options[0].is_far = race.options[2].is_far = true;
	run(&race, PW_BY_RANDOM, 1);
	assert_got(&race, 1, 99, 1);
}

static void test_slow_start(void **state PW_UNUSED)
{
	const uint64_t back = 5 * PW_SECOND_US, all = 10 * PW_SECOND_US;
	struct race race = begin_race(2, (const int[]){1, 1});

	assert_int_equal(pw_share(0, all, back), PW_SHARE_WHOLE);
	assert_int_equal(pw_share(back, 0, back), PW_SHARE_WHOLE);
	assert_int_equal(pw_share(back, all, back - 1), PW_SHARE_LEAST);
	assert_int_equal(pw_share(back, all, back), PW_SHARE_LEAST);
	assert_int_equal(pw_share(back, all, back + all / 2), PW_SHARE_WHOLE / 2);
	assert_int_equal(pw_share(back, all, back + all - 1), PW_SHARE_WHOLE - 1);
	assert_int_equal(pw_share(back, all, back + all), PW_SHARE_WHOLE);
	for (enum pw_balance_by by = PW_BY_LEAST_BUSY; by <= PW_BY_LATENCY; by++) {
		race.options[1].share = pw_share(back, all, back + PW_SECOND_US);
		run(&race, by, 1);
		assert_got(&race, 1, 9, 1);
		run(&race, by, 30);
		assert_got(&race, 1, 9, 2);
		race.options[1].share = pw_share(back, all, back + all);
		run(&race, by, 30);
		assert_got(&race, 1, 50, 2);
	}
}

/* Others help out while the only one of the zone is starting. */
static void test_slow_start_of_a_zone(void **state PW_UNUSED)
{
	struct race race = begin_race(3, (const int[]){1, 5, 5});
	uint64_t parts[3];

	race.options[1].is_far = race.options[2].is_far = true;
	race.options[0].share = PW_SHARE_WHOLE / 5;
	for (enum pw_balance_by by = PW_BY_LEAST_BUSY; by <= PW_BY_LATENCY; by++) {
		run(&race, by, 10);
		assert_got(&race, 0, 20, 1);
		assert_got(&race, 1, 40, 1);
	}
	assert_true(pw_options_weigh(PW_BY_RANDOM, race.options, 3, parts) > parts[0]);
	race.options[0].share = PW_SHARE_WHOLE;
	assert_int_equal(pw_options_weigh(PW_BY_RANDOM, race.options, 3, parts), PW_SHARE_WHOLE);
	run(&race, PW_BY_RANDOM, 10);
	assert_got(&race, 0, 100, 0);
}

static void test_latency(void **state PW_UNUSED)
{
	struct race race = begin_race(3, (const int[]){1, 1, 2});

	/* About as near is as near. */
	race.options[0].trip_us = 10000;
	race.options[1].trip_us = 4000;
	race.options[2].trip_us = 4900;
	run(&race, PW_BY_LATENCY, 10);
	assert_got(&race, 0, 0, 0);
	assert_got(&race, 1, 33, 3);
	assert_got(&race, 2, 67, 3);
	race.options[2].trip_us = 0;
	run(&race, PW_BY_LATENCY, 10);
	assert_got(&race, 1, 100, 0);
	/* The zone comes first. */
	race.options[1].is_far = true;
	race.options[2].trip_us = 20000;
	run(&race, PW_BY_LATENCY, 10);
	assert_got(&race, 1, 0, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_weights),
	    cmocka_unit_test(test_one_after_the_other),
	    cmocka_unit_test(test_less_to_a_node_that_is_slow),
	    cmocka_unit_test(test_zone_first),
	    cmocka_unit_test(test_slow_start),
	    cmocka_unit_test(test_slow_start_of_a_zone),
	    cmocka_unit_test(test_latency),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: PostgreSQL
 *
 * Timers fire once, never early, and not more than two ticks late, at any distance and whatever
 * callbacks do to them.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pgweir/base/clock.h"
#include "pgweir/base/rng.h"
#include "pgweir/base/status.h"
#include "pgweir/base/wheel.h"

#define TICK_US (UINT64_C(1) << PW_WHEEL_TICK_BITS)

struct bench {
	struct pw_wheel wheel;
	uint64_t now_us;
};

struct noted_timer {
	struct pw_timer timer;
	struct bench *bench;
	uint64_t due_us;
	unsigned fires;
	uint64_t rearm_us;           /* 0 = no */
	struct noted_timer *disarms; /* another one */
};

static void on_fire(struct pw_timer *timer)
{
	struct noted_timer *t = PW_CONTAINER(timer, struct noted_timer, timer);

	assert_false(pw_timer_is_armed(timer));
	assert_true(t->bench->now_us >= t->due_us);
	t->fires++;
	if (t->rearm_us > 0) {
		t->due_us = t->bench->now_us + t->rearm_us;
		pw_timer_arm(&t->bench->wheel, timer, t->bench->now_us, t->rearm_us);
	}
	if (t->disarms)
		pw_timer_disarm(&t->disarms->timer);
}

static void init(struct noted_timer *t, struct bench *bench)
{
	memset(t, 0, sizeof(*t));
	pw_timer_init(&t->timer, on_fire);
	t->bench = bench;
}

static void arm(struct noted_timer *t, uint64_t after_us)
{
	t->due_us = t->bench->now_us + after_us;
	pw_timer_arm(&t->bench->wheel, &t->timer, t->bench->now_us, after_us);
	assert_true(pw_timer_is_armed(&t->timer));
}

static void advance_to(struct bench *bench, uint64_t now_us)
{
	bench->now_us = now_us;
	pw_wheel_advance(&bench->wheel, now_us);
}

static void bench_init(struct bench *bench, uint64_t now_us)
{
	bench->now_us = now_us;
	pw_wheel_init(&bench->wheel, now_us);
}

/* ---- one timer ---- */

/* At every distance around the borders of the levels, from several places on the wheel. */
static void test_never_early_at_any_distance(void **state)
{
	static const uint64_t starts[] = {1, 12345, 63 * TICK_US + 7, 64 * 64 * TICK_US - 1};
	struct bench bench;
	struct noted_timer t;

	(void)state;
	for (size_t s = 0; s < PW_COUNTOF(starts); s++) {
		for (unsigned bits = 0; bits < 34; bits++) {
			for (int delta = -1; delta <= 1; delta++) {
				uint64_t after = (UINT64_C(1) << bits) + (uint64_t)delta;

				bench_init(&bench, starts[s]);
				init(&t, &bench);
				arm(&t, after);
				advance_to(&bench, t.due_us > 0 ? t.due_us - 1 : 0);
				assert_int_equal(t.fires, 0);
				advance_to(&bench, t.due_us + 2 * TICK_US);
				assert_int_equal(t.fires, 1);
				advance_to(&bench, bench.now_us + 1000 * TICK_US);
				assert_int_equal(t.fires, 1);
			}
		}
	}
}

/* A jump over a long time, as after the machine slept, fires what has become due. */
static void test_long_jump(void **state)
{
	const uint64_t week = UINT64_C(7) * 24 * 3600 * PW_SECOND_US;
	struct bench bench;
	struct noted_timer t;

	(void)state;
	bench_init(&bench, 1000);
	init(&t, &bench);
	arm(&t, week);
	advance_to(&bench, week);
	assert_int_equal(t.fires, 0);
	advance_to(&bench, 2 * week);
	assert_int_equal(t.fires, 1);
}

/* Beyond what the wheel can hold it is cut, not lost and not at once. */
static void test_beyond_the_wheel(void **state)
{
	struct bench bench;
	struct noted_timer t;

	(void)state;
	bench_init(&bench, 1000);
	init(&t, &bench);
	arm(&t, UINT64_MAX / 4);
	advance_to(&bench, UINT64_C(24) * 3600 * PW_SECOND_US);
	assert_int_equal(t.fires, 0);
	assert_true(pw_timer_is_armed(&t.timer));
	pw_timer_disarm(&t.timer);
}

static void test_time_that_stands_still(void **state)
{
	struct bench bench;
	struct noted_timer t;

	(void)state;
	bench_init(&bench, 5 * TICK_US);
	init(&t, &bench);
	arm(&t, 0);
	advance_to(&bench, 5 * TICK_US);
	assert_int_equal(t.fires, 0);
	advance_to(&bench, 4 * TICK_US); /* a clock that goes back does no harm */
	assert_int_equal(t.fires, 0);
	advance_to(&bench, 7 * TICK_US);
	assert_int_equal(t.fires, 1);
}

static void test_disarm_and_rearm(void **state)
{
	struct bench bench;
	struct noted_timer t;

	(void)state;
	bench_init(&bench, 0);
	init(&t, &bench);
	pw_timer_disarm(&t.timer);
	arm(&t, PW_SECOND_US);
	pw_timer_disarm(&t.timer);
	assert_false(pw_timer_is_armed(&t.timer));
	pw_timer_disarm(&t.timer);
	advance_to(&bench, 2 * PW_SECOND_US);
	assert_int_equal(t.fires, 0);
	arm(&t, PW_SECOND_US);
	arm(&t, 100 * PW_SECOND_US); /* later */
	advance_to(&bench, 90 * PW_SECOND_US);
	assert_int_equal(t.fires, 0);
	arm(&t, PW_SECOND_US); /* sooner */
	advance_to(&bench, 92 * PW_SECOND_US);
	assert_int_equal(t.fires, 1);
	advance_to(&bench, 300 * PW_SECOND_US);
	assert_int_equal(t.fires, 1);
}

/* ---- callbacks ---- */

static void test_rearm_in_callback(void **state)
{
	struct bench bench;
	struct noted_timer t;

	(void)state;
	bench_init(&bench, 0);
	init(&t, &bench);
	t.rearm_us = 1; /* as soon as possible: must not fire twice in one tick for ever */
	arm(&t, 1);
	for (uint64_t tick = 1; tick <= 100; tick++)
		advance_to(&bench, tick * TICK_US);
	assert_in_range(t.fires, 50, 100);
	t.rearm_us = PW_SECOND_US;
	t.fires = 0;
	advance_to(&bench, bench.now_us + 2 * TICK_US);
	assert_int_equal(t.fires, 1);
	for (int i = 0; i < 100; i++)
		advance_to(&bench, bench.now_us + PW_SECOND_US / 10);
	assert_in_range(t.fires, 9, 11);
	pw_timer_disarm(&t.timer);
}

static void test_disarm_another_in_callback(void **state)
{
	struct bench bench;
	struct noted_timer a, b;

	(void)state;
	bench_init(&bench, 0);
	init(&a, &bench);
	init(&b, &bench);
	a.disarms = &b;
	arm(&a, PW_SECOND_US);
	arm(&b, PW_SECOND_US); /* the same tick, behind a */
	advance_to(&bench, 2 * PW_SECOND_US);
	assert_int_equal(a.fires, 1);
	assert_int_equal(b.fires, 0);
}

/* ---- many timers ---- */

static void test_many_timers(void **state)
{
	enum { TIMERS = 500, STEPS = 4000 };
	struct noted_timer *timers = calloc(TIMERS, sizeof(*timers));
	uint64_t n_fires = 0;
	struct bench bench;
	struct pw_rng rng;

	(void)state;
	pw_rng_seed(&rng, 1);
	bench_init(&bench, 77777);
	for (int i = 0; i < TIMERS; i++)
		init(&timers[i], &bench);
	for (int step = 0; step < STEPS; step++) {
		struct noted_timer *t = &timers[pw_rng_next(&rng) % TIMERS];
		unsigned fires = t->fires;

		switch (pw_rng_next(&rng) % 4) {
		case 0:
			pw_timer_disarm(&t->timer);
			break;
		case 1:
			advance_to(&bench, bench.now_us + pw_rng_next(&rng) % (40 * TICK_US));
			break;
		default:
			arm(t, pw_rng_next(&rng) % (UINT64_C(1) << (10 + step % 22)));
			assert_int_equal(t->fires, fires);
		}
		/* Whatever is armed is not overdue. */
		for (int i = 0; i < TIMERS; i++) {
			if (pw_timer_is_armed(&timers[i].timer))
				assert_true(bench.now_us < timers[i].due_us + 2 * TICK_US);
			n_fires += timers[i].fires;
		}
	}
	assert_true(n_fires > 0);
	for (int i = 0; i < TIMERS; i++)
		pw_timer_disarm(&timers[i].timer);
	free(timers);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_never_early_at_any_distance),
	    cmocka_unit_test(test_long_jump),
	    cmocka_unit_test(test_beyond_the_wheel),
	    cmocka_unit_test(test_time_that_stands_still),
	    cmocka_unit_test(test_disarm_and_rearm),
	    cmocka_unit_test(test_rearm_in_callback),
	    cmocka_unit_test(test_disarm_another_in_callback),
	    cmocka_unit_test(test_many_timers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: PostgreSQL
 *
 * A limit that is given out in the order of waiting: never more than it says, the one that has
 * waited longest first, and nobody is left waiting while there is room.
 */
#include "config.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "pgweir/base/fair_limit.h"
#include "pgweir/base/status.h"

enum { NOW = 1000 * 1000, MS = 1000 };

static void test_limit(void **state PW_UNUSED)
{
	struct pw_fair_limit o = {.total = 0};

	for (int i = 0; i < 5; i++)
		assert_true(pw_fair_limit_take(&o, 0, NOW, NOW));
	assert_int_equal(pw_limit_used(&o.taken), 5);
	assert_false(pw_fair_limit_take(&o, 5, NOW, NOW));
	assert_false(pw_fair_limit_has_room(&o, 5, NOW, NOW));
	/* The first to be given back wakes who was refused, the next one nobody. */
	assert_true(pw_fair_limit_give(&o));
	assert_false(pw_fair_limit_give(&o));
	assert_true(pw_fair_limit_has_room(&o, 5, NOW, NOW));
	assert_true(pw_fair_limit_take(&o, 5, NOW, NOW));
	assert_int_equal(o.total, 6);
}

static void test_longest_wait_first(void **state PW_UNUSED)
{
	struct pw_fair_limit o = {.total = 0};
	uint64_t old = NOW, young = NOW + 10 * MS, now = NOW + 20 * MS;

	assert_true(pw_fair_limit_take(&o, 1, NOW, NOW));
	assert_false(pw_fair_limit_take(&o, 1, young, now));
	assert_false(pw_fair_limit_take(&o, 1, old, now));
	assert_true(pw_fair_limit_give(&o));
	/* There is room, but not for who came later, be it just now. */
	assert_false(pw_fair_limit_take(&o, 1, young, now));
	assert_false(pw_fair_limit_has_room(&o, 1, now, now));
	assert_true(pw_fair_limit_take(&o, 1, old, now));
	assert_true(pw_fair_limit_leave(&o, old));
	assert_false(pw_fair_limit_leave(&o, old));
	assert_false(pw_fair_limit_take(&o, 1, young, now));
	assert_true(pw_fair_limit_give(&o));
	assert_true(pw_fair_limit_take(&o, 1, young, now));
}

static void test_who_has_gone(void **state PW_UNUSED)
{
	struct pw_fair_limit o = {.total = 0};
	uint64_t old = NOW, young = NOW + 10 * MS, now = NOW + 20 * MS;

	assert_true(pw_fair_limit_take(&o, 1, NOW, NOW));
	assert_false(pw_fair_limit_take(&o, 1, old, now));
	(void)pw_fair_limit_give(&o);
	assert_false(pw_fair_limit_take(&o, 1, young, now));
	/* It says so: others are woken. */
	assert_true(pw_fair_limit_leave(&o, old));
	assert_true(pw_fair_limit_take(&o, 1, young, now));
	(void)pw_fair_limit_leave(&o, young);
	/* Or it waits for something else and does not try any more. */
	assert_false(pw_fair_limit_take(&o, 1, old, now));
	(void)pw_fair_limit_give(&o);
	assert_false(pw_fair_limit_take(&o, 1, young, now + PW_FAIR_STALE_US));
	assert_true(pw_fair_limit_take(&o, 1, young, now + PW_FAIR_STALE_US + 1));
}

/* Who leaves without a place need not wake those who would be refused, but no free one may go
 * unnoticed. */
static void test_leaving_without(void **state PW_UNUSED)
{
	struct pw_fair_limit o = {.total = 0};
	uint64_t old = NOW, young = NOW + 10 * MS, now = NOW + 20 * MS;

	assert_true(pw_fair_limit_take(&o, 2, NOW, NOW));
	assert_true(pw_fair_limit_take(&o, 2, NOW, NOW));
	assert_false(pw_fair_limit_take(&o, 2, old, now));
	assert_false(pw_fair_limit_take(&o, 2, young, now));
	assert_false(pw_fair_limit_leave_full(&o, old));
	assert_int_equal(pw_fair_limit_awaited(&o, now), 0);
	/* The next to come free is noticed all the same. */
	assert_true(pw_fair_limit_give(&o));
	assert_true(pw_fair_limit_take(&o, 2, young, now));
	/* One that came free while another one had to go first, who leaves without it. */
	assert_false(pw_fair_limit_take(&o, 2, old, now));
	assert_true(pw_fair_limit_give(&o));
	assert_false(pw_fair_limit_take(&o, 2, young, now));
	assert_true(pw_fair_limit_leave_full(&o, old));
	assert_true(pw_fair_limit_take(&o, 2, young, now));
}

/* ---- many at once ---- */

enum { THREADS = 4, ROUNDS = 20000, MAX = 2, WAKE_S = 20 };

struct crowd {
	struct pw_fair_limit limit;
	atomic_int running, most, gave_up;
	_Atomic uint64_t now;
	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t is_woken;
	unsigned wakes;
};

static void note_most(struct crowd *crowd, int n)
{
	int most = atomic_load(&crowd->most);

	while (n > most && !atomic_compare_exchange_weak(&crowd->most, &most, n))
		;
}

static void wake(struct crowd *crowd, bool wakes)
{
	if (!wakes)
		return;
	pthread_mutex_lock(&crowd->lock);
	crowd->wakes++;
	pthread_cond_broadcast(&crowd->is_woken);
	pthread_mutex_unlock(&crowd->lock);
}

static unsigned count_wakes(struct crowd *crowd)
{
	unsigned wakes;

	pthread_mutex_lock(&crowd->lock);
	wakes = crowd->wakes;
	pthread_mutex_unlock(&crowd->lock);
	return wakes;
}

/* Nobody tries again who is not woken: a wake that gets lost is waited for in vain. */
static void wait_for_more(struct crowd *crowd, unsigned wakes)
{
	struct timespec end;

	assert_int_equal(clock_gettime(CLOCK_REALTIME, &end), 0);
	end.tv_sec += WAKE_S;
	pthread_mutex_lock(&crowd->lock);
	while (crowd->wakes == wakes) {
		if (pthread_cond_timedwait(&crowd->is_woken, &crowd->lock, &end) != 0)
			abort();
	}
	pthread_mutex_unlock(&crowd->lock);
}

/* False: it has been refused, and gives up. */
static bool take(struct crowd *crowd, uint64_t since, bool is_patient)
{
	for (;;) {
		unsigned wakes = count_wakes(crowd);

		if (pw_fair_limit_take(&crowd->limit, MAX, since, atomic_load(&crowd->now)))
			return true;
		if (!is_patient)
			return false;
		wait_for_more(crowd, wakes);
	}
}

static void *run(void *arg)
{
	struct crowd *crowd = arg;

	for (int i = 0; i < ROUNDS; i++) {
		uint64_t since = atomic_fetch_add(&crowd->now, 1) + 1;

		if (!take(crowd, since, i % 5 > 0)) {
			wake(crowd, pw_fair_limit_leave_full(&crowd->limit, since));
			atomic_fetch_add(&crowd->gave_up, 1);
			continue;
		}
		wake(crowd, pw_fair_limit_leave(&crowd->limit, since));
		note_most(crowd, atomic_fetch_add(&crowd->running, 1) + 1);
		sched_yield();
		atomic_fetch_sub(&crowd->running, 1);
		wake(crowd, pw_fair_limit_give(&crowd->limit));
	}
	return NULL;
}

static void test_many_at_once(void **state PW_UNUSED)
{
	static struct crowd crowd = {.lock = PTHREAD_MUTEX_INITIALIZER,
				     .is_woken = PTHREAD_COND_INITIALIZER};
	pthread_t threads[THREADS];

	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, run, &crowd), 0);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_in_range(atomic_load(&crowd.most), 1, MAX);
	assert_int_equal(pw_limit_used(&crowd.limit.taken), 0);
	assert_int_equal(crowd.limit.total, THREADS * ROUNDS - atomic_load(&crowd.gave_up));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_limit),        cmocka_unit_test(test_longest_wait_first),
	    cmocka_unit_test(test_who_has_gone), cmocka_unit_test(test_leaving_without),
	    cmocka_unit_test(test_many_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

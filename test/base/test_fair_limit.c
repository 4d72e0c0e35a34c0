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
#include <string.h>

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

enum { THREADS = 4, ROUNDS = 20000, MAX = 2 };

struct crowd {
	struct pw_fair_limit limit;
	atomic_int running, most;
	_Atomic uint64_t now;
};

static void note_most(struct crowd *crowd, int n)
{
	int most = atomic_load(&crowd->most);

	while (n > most && !atomic_compare_exchange_weak(&crowd->most, &most, n))
		;
}

static void *run(void *arg)
{
	struct crowd *crowd = arg;

	for (int i = 0; i < ROUNDS; i++) {
		uint64_t since = atomic_fetch_add(&crowd->now, 1) + 1;

		while (!pw_fair_limit_take(&crowd->limit, MAX, since, atomic_load(&crowd->now)))
			sched_yield();
		(void)pw_fair_limit_leave(&crowd->limit, since);
		note_most(crowd, atomic_fetch_add(&crowd->running, 1) + 1);
		atomic_fetch_sub(&crowd->running, 1);
		(void)pw_fair_limit_give(&crowd->limit);
	}
	return NULL;
}

static void test_many_at_once(void **state PW_UNUSED)
{
	static struct crowd crowd;
	pthread_t threads[THREADS];

	memset(&crowd, 0, sizeof(crowd));
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, run, &crowd), 0);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_in_range(atomic_load(&crowd.most), 1, MAX);
	assert_int_equal(pw_limit_used(&crowd.limit.taken), 0);
	assert_int_equal(crowd.limit.total, THREADS * ROUNDS);
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

/* SPDX-License-Identifier: PostgreSQL
 *
 * Tasks at the end of a turn, and the loop's cached time.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pgweir/net/loop.h"

struct fake_clock {
	struct pw_clock clock;
	uint64_t now_us;
};

static uint64_t fake_now(const struct pw_clock *clock)
{
	return PW_CONTAINER(clock, const struct fake_clock, clock)->now_us;
}

struct noted_task {
	struct pw_task task;
	struct pw_loop *loop;
	struct noted_task *posts; /* another one, when run */
	struct noted_task *cancels;
	char name;
	char *note;
};

static void run_noted(struct pw_task *task)
{
	struct noted_task *t = PW_CONTAINER(task, struct noted_task, task);

	t->note[strlen(t->note)] = t->name;
	if (t->posts)
		pw_task_post(t->loop, &t->posts->task);
	if (t->cancels)
		pw_task_cancel(&t->cancels->task);
}

struct fixture {
	struct fake_clock clock;
	struct pw_loop loop;
	struct noted_task tasks[3];
	char note[64];
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->clock = (struct fake_clock){{fake_now}, 500};
	if (pw_loop_init(&f->loop, &f->clock.clock) != PW_OK)
		return -1;
	for (int i = 0; i < 3; i++) {
		f->tasks[i] =
		    (struct noted_task){.loop = &f->loop, .name = (char)('a' + i), .note = f->note};
		pw_task_init(&f->tasks[i].task, run_noted);
	}
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	pw_loop_fini(&f->loop);
	free(f);
	return 0;
}

static void post(struct fixture *f, int i)
{
	pw_task_post(&f->loop, &f->tasks[i].task);
}

static void test_order(void **state)
{
	struct fixture *f = *state;

	post(f, 1);
	post(f, 0);
	post(f, 1); /* posted already */
	assert_string_equal(f->note, "");
	pw_loop_turn(&f->loop, true); /* does not sleep over tasks */
	assert_string_equal(f->note, "ba");
	pw_loop_turn(&f->loop, false);
	assert_string_equal(f->note, "ba");
	post(f, 1);
	pw_loop_turn(&f->loop, false);
	assert_string_equal(f->note, "bab");
}

static void test_task_posted_by_a_task_waits(void **state)
{
	struct fixture *f = *state;

	f->tasks[0].posts = &f->tasks[0]; /* itself, again and again */
	f->tasks[1].posts = &f->tasks[2];
	post(f, 0);
	post(f, 1);
	pw_loop_turn(&f->loop, false);
	assert_string_equal(f->note, "ab");
	pw_loop_turn(&f->loop, false);
	assert_string_equal(f->note, "abac");
	f->tasks[0].posts = NULL;
	pw_loop_turn(&f->loop, false);
	pw_loop_turn(&f->loop, false);
	assert_string_equal(f->note, "abaca");
}

static void test_cancel(void **state)
{
	struct fixture *f = *state;

	f->tasks[0].cancels = &f->tasks[1];
	post(f, 0);
	post(f, 1);
	post(f, 2);
	pw_task_cancel(&f->tasks[2].task);
	pw_task_cancel(&f->tasks[2].task);
	pw_loop_turn(&f->loop, false);
	assert_string_equal(f->note, "a");
}

/* What still waits at the end is run: it may be the freeing of something. */
static void test_end_runs_tasks(void **state)
{
	struct fixture *f = *state;

	f->tasks[0].posts = &f->tasks[1];
	post(f, 0);
	pw_loop_fini(&f->loop);
	assert_string_equal(f->note, "ab");
	assert_int_equal(pw_loop_init(&f->loop, &f->clock.clock), PW_OK);
}

static void test_time_is_cached(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(f->loop.now_us, 500);
	f->clock.now_us = 900;
	assert_int_equal(f->loop.now_us, 500);
	pw_loop_turn(&f->loop, false);
	assert_int_equal(f->loop.now_us, 900);
	f->clock.now_us = 901;
	pw_loop_refresh_time(&f->loop);
	assert_int_equal(f->loop.now_us, 901);
}

/* Not by each callback; but however long a turn is, it is never far behind. */
static void test_clock_is_read_again_in_a_long_turn(void **state)
{
	struct fixture *f = *state;

	pw_loop_turn(&f->loop, false);
	f->clock.now_us = 1000;
	f->loop.callbacks_left = 0;
	for (int i = 0; i < PW_CLOCK_CALLBACKS; i++) {
		pw_loop_begin_callback(&f->loop);
		assert_int_equal(f->loop.now_us, 1000);
		f->clock.now_us++;
	}
	pw_loop_begin_callback(&f->loop);
	assert_int_equal(f->loop.now_us, 1000 + PW_CLOCK_CALLBACKS);
}

static void test_stop(void **state)
{
	struct fixture *f = *state;

	pw_loop_stop(&f->loop);
	pw_loop_run(&f->loop);
	assert_true(f->loop.is_stopping);
}

static void test_description(void **state)
{
	struct fixture *f = *state;
	char text[100];

	pw_loop_describe(&f->loop, text, sizeof(text));
	assert_int_equal(strncmp(text, "libevent 2.", 11), 0);
	assert_non_null(strstr(text, pw_loop_library_version()));
	pw_loop_describe(&f->loop, text, 5);
	assert_string_equal(text, "libe");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_order, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_task_posted_by_a_task_waits, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_cancel, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_end_runs_tasks, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_time_is_cached, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_clock_is_read_again_in_a_long_turn, setup,
					    teardown),
	    cmocka_unit_test_setup_teardown(test_stop, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_description, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

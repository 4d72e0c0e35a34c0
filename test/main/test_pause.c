/* SPDX-License-Identifier: PostgreSQL
 *
 * Who waits for a PAUSE to take hold, and is told so when, and only when, it has. Rounds and
 * answers are this program's own: a round ends when the test says so.
 */
#include "config.h"

#include "main/pause.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "main/round.h"

enum { ROUNDS = 16, CONSOLES = 4 };

/* ---- rounds and answers ---- */

static struct pw_round *rounds[ROUNDS];
static unsigned n_rounds;
static unsigned allocations_left; /* of rounds */
static char heard[CONSOLES][256];

struct pw_round *pw_round_create(struct pw_process *process, const struct pw_asker *asker,
				 enum pw_round_kind kind, const char *db,
				 void (*done)(struct pw_round *round))
{
	struct pw_round *round;

	if (allocations_left == 0) {
		if (asker)
			pw_asker_refuse(process, asker, "%s", "out of memory");
		return NULL;
	}
	allocations_left--;
	round = calloc(1, sizeof(*round));
	assert_non_null(round);
	round->process = process;
	round->kind = kind;
	round->db = db ? strdup(db) : NULL;
	round->done = done;
	return round;
}

void pw_round_start(struct pw_round *round, uint64_t limit_us)
{
	assert_int_equal(limit_us, 0);
	assert_true(n_rounds < ROUNDS);
	rounds[n_rounds++] = round;
}

void pw_round_say_nothing(struct pw_round *round)
{
	(void)round;
}

void pw_asker_tell(struct pw_process *process, const struct pw_asker *asker,
		   const struct pw_error *err)
{
	(void)process;
	if (asker->id == 0)
		return;
	assert_in_range(asker->id, 1, CONSOLES - 1);
	/* Once. */
	assert_string_equal(heard[asker->id], "");
	snprintf(heard[asker->id], sizeof(heard[0]), "%s", err ? err->message : "done");
}

void pw_asker_notify(struct pw_process *process, const struct pw_asker *asker,
		     const struct pw_error *notice)
{
	(void)process;
	(void)asker;
	(void)notice;
	fail();
}

void pw_asker_refuse(struct pw_process *process, const struct pw_asker *asker, const char *fmt,
		     const char *name)
{
	struct pw_error err;

	pw_error_set(&err, PW_SQLSTATE_PROTOCOL_VIOLATION, fmt, name);
	pw_asker_tell(process, asker, &err);
}

static void answer(unsigned index, unsigned n_busy)
{
	struct pw_round *round = rounds[index];

	round->n_busy = n_busy;
	round->done(round);
	free(round->db);
	free(round);
	rounds[index] = NULL;
}

static void assert_heard(unsigned console, const char *what)
{
	assert_string_equal(heard[console], what);
	heard[console][0] = '\0';
}

/* ---- the main thread ---- */

struct fixture {
	struct pw_process process;
	struct pw_log log;
	atomic_bool is_paused;
	struct pw_clock clock;
	uint64_t now_us;
};

static uint64_t now(const struct pw_clock *clock)
{
	return PW_CONTAINER(clock, const struct fixture, clock)->now_us;
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	f->clock.now_us = now;
	f->now_us = PW_SECOND_US;
	n_rounds = 0;
	allocations_left = ROUNDS;
	memset(heard, 0, sizeof(heard));
	assert_int_equal(pw_loop_init(&f->process.loop, &f->clock), PW_OK);
	pw_log_init(&f->log);
	atomic_store(&f->log.stderr_fd, -1);
	f->process.logctx.log = &f->log;
	pw_pause_init(&f->process);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	for (unsigned i = 0; i < n_rounds; i++) {
		if (rounds[i])
			answer(i, 0);
	}
	pw_pause_fini(&f->process);
	pw_loop_fini(&f->process.loop);
	pw_log_fini(&f->log);
	free(f);
	return 0;
}

/* Long enough for the next look at who waits. */
static void pass(struct fixture *f)
{
	f->now_us += 200 * PW_MILLISECOND_US;
	pw_loop_refresh_time(&f->process.loop);
	pw_wheel_advance(&f->process.loop.wheel, f->process.loop.now_us);
}

static void begin(struct fixture *f, unsigned console, const char *db)
{
	const struct pw_asker asker = {.id = console, .command = PW_COMMAND_PAUSE};

	atomic_store(&f->is_paused, false);
	pw_pause_begin(&f->process, &asker, db, &f->is_paused);
}

/* ---- tests ---- */

static void test_told_when_the_last_is_free(void **state)
{
	struct fixture *f = *state;

	begin(f, 1, "app");
	assert_int_equal(n_rounds, 1);
	assert_int_equal(rounds[0]->kind, PW_ROUND_CLOSE_IDLE);
	assert_string_equal(rounds[0]->db, "app");
	answer(0, 0);
	pass(f);
	assert_int_equal(n_rounds, 2);
	assert_int_equal(rounds[1]->kind, PW_ROUND_COUNT);
	assert_string_equal(rounds[1]->db, "app");
	answer(1, 1);
	assert_heard(1, "");
	pass(f);
	answer(2, 0);
	assert_heard(1, "done");
	/* Nobody waits, nobody is counted. */
	pass(f);
	pass(f);
	assert_int_equal(n_rounds, 3);
}

/* A worker that is slow to answer is not asked again meanwhile. */
static void test_one_count_at_a_time(void **state)
{
	struct fixture *f = *state;

	begin(f, 1, NULL);
	for (int i = 0; i < 5; i++)
		pass(f);
	assert_int_equal(n_rounds, 2);
	answer(1, 1);
	pass(f);
	assert_int_equal(n_rounds, 3);
}

/* PAUSE, RESUME, PAUSE: what was counted for the first says nothing about the second. */
static void check_count_of_an_earlier_pause(struct fixture *f, const char *db)
{
	unsigned first = n_rounds;

	begin(f, 1, db);
	pass(f);
	pw_pause_end(&f->process, db);
	assert_heard(1, "PAUSE was ended by RESUME");
	begin(f, 1, db);
	answer(first + 1, 0);
	assert_heard(1, "");
	pass(f);
	assert_int_equal(n_rounds, first + 4);
	answer(first + 3, 0);
	assert_heard(1, "done");
}

static void test_count_of_an_earlier_pause(void **state)
{
	check_count_of_an_earlier_pause(*state, NULL);
	check_count_of_an_earlier_pause(*state, "app");
}

static void test_log_says_who_is_missing(void **state)
{
	static const char line[] = "PAUSE of app waits: servers in use: 3, pinned clients: 0";
	struct fixture *f = *state;
	char text[1024] = "";
	int ends[2];

	assert_int_equal(pipe2(ends, O_NONBLOCK), 0);
	atomic_store(&f->log.stderr_fd, ends[1]);
	begin(f, 1, "app");
	f->now_us += 9 * PW_SECOND_US;
	pass(f);
	answer(1, 3);
	assert_int_equal(read(ends[0], text, sizeof(text) - 1), -1);
	f->now_us += PW_SECOND_US;
	pass(f);
	answer(2, 3);
	pass(f);
	answer(3, 3);
	assert_true(read(ends[0], text, sizeof(text) - 1) > 0);
	assert_non_null(strstr(text, line));
	assert_null(strstr(strstr(text, line) + 1, line));
	close(ends[0]);
	close(ends[1]);
}

static void test_end_of_one_kind(void **state)
{
	struct fixture *f = *state;

	begin(f, 1, NULL);
	begin(f, 2, "app");
	begin(f, 3, "other");
	pw_pause_end(&f->process, "app");
	assert_heard(1, "");
	assert_heard(2, "PAUSE was ended by RESUME");
	assert_heard(3, "");
	pw_pause_end(&f->process, NULL);
	assert_heard(1, "PAUSE was ended by RESUME");
	assert_heard(3, "");
}

static void test_signal_waits_for_nothing(void **state)
{
	struct fixture *f = *state;

	begin(f, 0, NULL);
	assert_int_equal(n_rounds, 1);
	pass(f);
	assert_int_equal(n_rounds, 1);
}

/* Refused, and that is all: nothing is paused, nobody waits. */
static void test_no_memory_to_begin(void **state)
{
	struct fixture *f = *state;

	allocations_left = 0;
	begin(f, 1, "app");
	assert_heard(1, "out of memory");
	assert_false(atomic_load(&f->is_paused));
	allocations_left = ROUNDS;
	pass(f);
	assert_int_equal(n_rounds, 0);
	begin(f, 1, "app");
	assert_true(atomic_load(&f->is_paused));
}

/* Without memory for a count the next look tries again. */
static void test_no_memory_for_a_count(void **state)
{
	struct fixture *f = *state;

	begin(f, 1, NULL);
	allocations_left = 0;
	pass(f);
	assert_int_equal(n_rounds, 1);
	allocations_left = 1;
	pass(f);
	answer(1, 0);
	assert_heard(1, "done");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_told_when_the_last_is_free),
	    TEST(test_one_count_at_a_time),
	    TEST(test_count_of_an_earlier_pause),
	    TEST(test_log_says_who_is_missing),
	    TEST(test_end_of_one_kind),
	    TEST(test_signal_waits_for_nothing),
	    TEST(test_no_memory_to_begin),
	    TEST(test_no_memory_for_a_count),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: PostgreSQL
 *
 * Mail from other threads: each delivered once, each sender's in order; what is left at the end is
 * discarded.
 */
#include "config.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "pgweir/base/clock.h"
#include "pgweir/base/list.h"
#include "pgweir/net/mailbox.h"

enum { SENDERS = 4, MAILS = 20000 };

struct office {
	struct pw_loop loop;
	struct pw_mailbox box;
	unsigned next[SENDERS]; /* number expected of each sender */
	unsigned n_delivered, n_disordered;
	unsigned stop_after;
};

struct numbered_mail {
	struct pw_mail mail;
	struct office *office;
	unsigned sender, number;
	unsigned *discarded;
};

static void deliver(struct pw_mail *mail, void *receiver)
{
	struct numbered_mail *m = PW_CONTAINER(mail, struct numbered_mail, mail);
	struct office *o = receiver;

	o->n_disordered += m->number != o->next[m->sender] || m->office != o;
	o->next[m->sender]++;
	if (++o->n_delivered == o->stop_after)
		pw_loop_stop(&o->loop);
	free(m);
}

static void discard(struct pw_mail *mail)
{
	struct numbered_mail *m = PW_CONTAINER(mail, struct numbered_mail, mail);

	if (m->discarded)
		++*m->discarded;
	free(m);
}

static void post(struct office *o, unsigned sender, unsigned number, unsigned *discarded)
{
	struct numbered_mail *m = malloc(sizeof(*m));

	if (!m)
		abort();
	*m = (struct numbered_mail){
	    .mail = {.deliver = deliver, .discard = discard},
	    .office = o,
	    .sender = sender,
	    .number = number,
	    .discarded = discarded,
	};
	pw_mailbox_post(&o->box, &m->mail);
}

static int setup(void **state)
{
	struct office *o = calloc(1, sizeof(*o));

	if (!o || pw_loop_init(&o->loop, &pw_clock_system) != PW_OK ||
	    pw_mailbox_init(&o->box, &o->loop, o) != PW_OK)
		return -1;
	*state = o;
	return 0;
}

static int teardown(void **state)
{
	struct office *o = *state;

	pw_mailbox_fini(&o->box);
	pw_loop_fini(&o->loop);
	free(o);
	return 0;
}

static void test_order_of_posting(void **state)
{
	struct office *o = *state;

	for (unsigned i = 0; i < 100; i++)
		post(o, 0, i, NULL);
	/* Never from within the post. */
	assert_int_equal(o->n_delivered, 0);
	pw_loop_turn(&o->loop, false);
	assert_int_equal(o->n_delivered, 100);
	assert_int_equal(o->n_disordered, 0);
	pw_loop_turn(&o->loop, false);
	assert_int_equal(o->n_delivered, 100);
}

/* One post wakes a loop that sleeps. */
static void *post_one(void *arg)
{
	post(arg, 1, 0, NULL);
	return NULL;
}

static void test_wakes_a_sleeping_loop(void **state)
{
	struct office *o = *state;
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, post_one, o), 0);
	while (o->n_delivered == 0)
		pw_loop_turn(&o->loop, true);
	pthread_join(thread, NULL);
	assert_int_equal(o->n_disordered, 0);
}

struct sender {
	struct office *office;
	unsigned index;
};

static void *post_many(void *arg)
{
	struct sender *s = arg;

	for (unsigned i = 0; i < MAILS; i++)
		post(s->office, s->index, i, NULL);
	return NULL;
}

static void test_four_senders(void **state)
{
	struct office *o = *state;
	struct sender senders[SENDERS];
	pthread_t threads[SENDERS];

	o->stop_after = SENDERS * MAILS;
	for (unsigned i = 0; i < SENDERS; i++) {
		senders[i] = (struct sender){o, i};
		assert_int_equal(pthread_create(&threads[i], NULL, post_many, &senders[i]), 0);
	}
	pw_loop_run(&o->loop);
	for (unsigned i = 0; i < SENDERS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(o->n_delivered, SENDERS * MAILS);
	assert_int_equal(o->n_disordered, 0);
	for (unsigned i = 0; i < SENDERS; i++)
		assert_int_equal(o->next[i], MAILS);
}

/* A mail that is delivered may post another: it comes in a later turn. */
static void deliver_again(struct pw_mail *mail, void *receiver)
{
	struct office *o = receiver;

	discard(mail);
	post(o, 2, 0, NULL);
}

static void test_post_from_within_a_delivery(void **state)
{
	struct office *o = *state;
	struct numbered_mail *m = calloc(1, sizeof(*m));

	assert_non_null(m);
	m->mail.deliver = deliver_again;
	pw_mailbox_post(&o->box, &m->mail);
	for (int i = 0; i < 3; i++)
		pw_loop_turn(&o->loop, false);
	assert_int_equal(o->n_delivered, 1);
	assert_int_equal(o->n_disordered, 0);
}

/* ---- times ---- */

struct moving_clock {
	struct pw_clock clock;
	uint64_t now_us;
};

static uint64_t moving_now(const struct pw_clock *clock)
{
	return PW_CONTAINER(clock, const struct moving_clock, clock)->now_us;
}

struct timed_mail {
	struct pw_mail mail;
	struct pw_loop *loop;
	struct moving_clock *clock;
	bool *is_in_time;
};

/* Time goes on behind the loop's back. */
static void deliver_timed(struct pw_mail *mail, void *receiver)
{
	struct timed_mail *m = PW_CONTAINER(mail, struct timed_mail, mail);

	(void)receiver;
	*m->is_in_time = m->loop->now_us == m->clock->now_us;
	m->clock->now_us += PW_SECOND_US;
}

/* A mail speaks of times of its sender's clock, and no such time may lie ahead of its receiver's.
 */
static void test_mail_finds_the_clock_read(void **state)
{
	struct moving_clock clock = {{moving_now}, PW_SECOND_US};
	struct pw_loop loop;
	struct pw_mailbox boxes[2];
	struct timed_mail mails[2];
	bool is_in_time[2] = {false, false};

	(void)state;
	assert_int_equal(pw_loop_init(&loop, &clock.clock), PW_OK);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(pw_mailbox_init(&boxes[i], &loop, NULL), PW_OK);
		mails[i] =
		    (struct timed_mail){{.deliver = deliver_timed}, &loop, &clock, &is_in_time[i]};
		pw_mailbox_post(&boxes[i], &mails[i].mail);
	}
	pw_loop_turn(&loop, false);
	assert_true(is_in_time[0]);
	assert_true(is_in_time[1]);
	for (int i = 0; i < 2; i++)
		pw_mailbox_fini(&boxes[i]);
	pw_loop_fini(&loop);
}

static void test_the_rest_is_discarded(void **state)
{
	unsigned discarded = 0;

	assert_int_equal(setup(state), 0);
	for (unsigned i = 0; i < 10; i++)
		post(*state, 0, i, &discarded);
	assert_int_equal(teardown(state), 0);
	assert_int_equal(discarded, 10);
}

/* One that was never made has no descriptor, not number 0. */
static void test_never_made(void **state)
{
	struct pw_mailbox box = {0};
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	(void)state;
	assert_true(fd >= 0);
	assert_true(fd == STDIN_FILENO || dup2(fd, STDIN_FILENO) == STDIN_FILENO);
	pw_mailbox_fini(&box);
	assert_true(fcntl(STDIN_FILENO, F_GETFD) >= 0);
	if (fd != STDIN_FILENO)
		close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_order_of_posting, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_wakes_a_sleeping_loop, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_four_senders, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_post_from_within_a_delivery, setup, teardown),
	    cmocka_unit_test(test_mail_finds_the_clock_read),
	    cmocka_unit_test(test_the_rest_is_discarded),
	    cmocka_unit_test(test_never_made),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

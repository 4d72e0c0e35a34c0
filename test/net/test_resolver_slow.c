/* SPDX-License-Identifier: PostgreSQL
 *
 * Name servers that do not answer: getaddrinfo() and freeaddrinfo() are this program's own, and a
 * name that begins with "slow" hangs in it until the test lets it go.
 */
#include "config.h"

#include <netdb.h>
#include <netinet/in.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "pgweir/base/clock.h"
#include "pgweir/net/resolver.h"

enum { GIVE_UP_S = 30 };

/* ---- the name service ---- */

static sem_t let_go;
static atomic_int n_hanging, n_calls, n_freed;

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
		struct addrinfo **result)
{
	struct addrinfo *ai = calloc(1, sizeof(*ai) + sizeof(struct sockaddr_in));
	struct sockaddr_in *in = (struct sockaddr_in *)(ai + 1);

	(void)service;
	(void)hints;
	atomic_fetch_add(&n_calls, 1);
	if (strncmp(name, "slow", 4) == 0) {
		atomic_fetch_add(&n_hanging, 1);
		while (sem_wait(&let_go) < 0)
			;
		atomic_fetch_sub(&n_hanging, 1);
	}
	in->sin_family = AF_INET;
	in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	ai->ai_family = AF_INET;
	ai->ai_addrlen = sizeof(*in);
	ai->ai_addr = (struct sockaddr *)in;
	*result = ai;
	return 0;
}

void freeaddrinfo(struct addrinfo *ai)
{
	free(ai);
	atomic_fetch_add(&n_freed, 1);
}

/* ---- asking ---- */

struct fixture {
	struct pw_loop loop;
	struct pw_mailbox box;
	struct pw_resolver *resolver;
	int n_fast, n_slow;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	/* What hangs is a failure, not the end of all tests. */
	alarm(GIVE_UP_S);
	atomic_store(&n_calls, 0);
	atomic_store(&n_freed, 0);
	if (sem_init(&let_go, 0, 0) < 0 || pw_loop_init(&f->loop, &pw_clock_system) != PW_OK ||
	    pw_mailbox_init(&f->box, &f->loop, f) != PW_OK)
		return -1;
	f->resolver = pw_resolver_create(60 * PW_SECOND_US, 60 * PW_SECOND_US);
	*state = f;
	return f->resolver ? 0 : -1;
}

/* Every look-up that was begun is over: nothing runs on into the next test. */
static void let_all_go(void)
{
	while (atomic_load(&n_freed) < atomic_load(&n_calls)) {
		if (atomic_load(&n_hanging) > 0)
			sem_post(&let_go);
		usleep(1000);
	}
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	pw_resolver_destroy(f->resolver);
	let_all_go();
	pw_mailbox_fini(&f->box);
	pw_loop_fini(&f->loop);
	sem_destroy(&let_go);
	free(f);
	return 0;
}

static void on_fast(void *arg, const struct pw_resolve_answer *answer)
{
	struct fixture *f = arg;

	assert_int_equal(answer->n, 1);
	f->n_fast++;
}

static void on_slow(void *arg, const struct pw_resolve_answer *answer)
{
	struct fixture *f = arg;

	assert_int_equal(answer->n, 1);
	f->n_slow++;
}

static void ask(struct fixture *f, const char *name)
{
	assert_non_null(
	    pw_resolver_ask(f->resolver, name, &f->box, name[0] == 's' ? on_slow : on_fast, f));
}

static void wait_for_fast(struct fixture *f, int n)
{
	while (f->n_fast < n)
		pw_loop_turn(&f->loop, true);
}

/* Of the names that were asked for, these are in a look-up or wait for one. */
static void wait_until_slow(struct fixture *f, size_t n)
{
	size_t names, waiting = 0;

	do {
		usleep(1000);
		pw_resolver_counts(f->resolver, &names, &waiting);
	} while (waiting + (size_t)atomic_load(&n_hanging) != n);
	assert_true(atomic_load(&n_hanging) > 0);
}

/* ---- tests ---- */

/* However often it is asked for. */
static void test_one_slow_name_holds_nobody_up(void **state)
{
	struct fixture *f = *state;

	ask(f, "fast.cached");
	wait_for_fast(f, 1);
	for (int i = 0; i < 20; i++)
		ask(f, "slow");
	ask(f, "fast.cached");
	ask(f, "fast.new");
	wait_for_fast(f, 3);
	assert_int_equal(f->n_slow, 0);
	while (atomic_load(&n_hanging) == 0)
		usleep(1000);
	assert_int_equal(atomic_load(&n_hanging), 1);
	/* One look-up is enough for all who asked. */
	sem_post(&let_go);
	while (f->n_slow < 20)
		pw_loop_turn(&f->loop, true);
	assert_int_equal(atomic_load(&n_calls), 3);
}

/* What was looked up before is at hand whatever else is going on. */
static void test_cached_names_need_no_look_up(void **state)
{
	static const char *const slow[] = {"slow.1", "slow.2", "slow.3", "slow.4",
					   "slow.5", "slow.6", "slow.7", "slow.8"};
	struct fixture *f = *state;

	ask(f, "fast.cached");
	wait_for_fast(f, 1);
	for (size_t i = 0; i < PW_COUNTOF(slow); i++)
		ask(f, slow[i]);
	wait_until_slow(f, PW_COUNTOF(slow));
	ask(f, "fast.cached");
	wait_for_fast(f, 2);
	assert_int_equal(f->n_slow, 0);
}

/* The process ends at once, whatever its name servers do. */
static void test_end_does_not_wait(void **state)
{
	struct fixture *f = *state;

	ask(f, "slow.1");
	ask(f, "slow.2");
	wait_until_slow(f, 2);
	ask(f, "slow.1");
	pw_resolver_destroy(f->resolver);
	f->resolver = NULL;
	assert_true(atomic_load(&n_hanging) > 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_one_slow_name_holds_nobody_up),
	    TEST(test_cached_names_need_no_look_up),
	    TEST(test_end_does_not_wait),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

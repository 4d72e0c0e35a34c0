/* SPDX-License-Identifier: PostgreSQL
 *
 * Names to addresses by way of the helper threads and the asker's mailbox. No network: "localhost"
 * comes from the hosts file, and a name with a space in it from nowhere.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pgweir/base/clock.h"
#include "pgweir/net/resolver.h"

struct fixture {
	struct pw_loop loop;
	struct pw_mailbox box;
	struct pw_resolver *resolver;
	unsigned n_answers;
	struct pw_resolve_answer answer;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	if (pw_loop_init(&f->loop, &pw_clock_system) != PW_OK ||
	    pw_mailbox_init(&f->box, &f->loop, f) != PW_OK)
		return -1;
	f->resolver = pw_resolver_create(60 * PW_SECOND_US, 60 * PW_SECOND_US);
	*state = f;
	return f->resolver ? 0 : -1;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	pw_resolver_destroy(f->resolver);
	pw_mailbox_fini(&f->box);
	pw_loop_fini(&f->loop);
	free(f);
	return 0;
}

static void on_answer(void *arg, const struct pw_resolve_answer *answer)
{
	struct fixture *f = arg;

	f->n_answers++;
	f->answer = *answer;
}

static struct pw_resolve *ask(struct fixture *f, const char *name)
{
	struct pw_resolve *q = pw_resolver_ask(f->resolver, name, &f->box, on_answer, f);

	assert_non_null(q);
	return q;
}

static void wait_for(struct fixture *f, unsigned n_answers)
{
	while (f->n_answers < n_answers)
		pw_loop_turn(&f->loop, true);
}

static void test_localhost(void **state)
{
	struct fixture *f = *state;
	size_t names, queries;

	(void)ask(f, "localhost");
	assert_int_equal(f->n_answers, 0);
	wait_for(f, 1);
	assert_in_range(f->answer.n, 1, PW_RESOLVE_ADDRS_MAX);
	for (size_t i = 0; i < f->answer.n; i++) {
		assert_true(f->answer.addrs[i].family == AF_INET ||
			    f->answer.addrs[i].family == AF_INET6);
		assert_int_equal(f->answer.addrs[i].port, 0);
	}
	pw_resolver_counts(f->resolver, &names, &queries);
	assert_int_equal(names, 1);
	assert_int_equal(queries, 0);
	/* From the cache, through the mailbox all the same. */
	(void)ask(f, "localhost");
	assert_int_equal(f->n_answers, 1);
	wait_for(f, 2);
	assert_true(f->answer.n > 0);
	pw_resolver_counts(f->resolver, &names, &queries);
	assert_int_equal(names, 1);
}

static void test_failure(void **state)
{
	struct fixture *f = *state;

	(void)ask(f, "no such name");
	wait_for(f, 1);
	assert_int_equal(f->answer.n, 0);
	assert_true(strlen(f->answer.why) > 0);
	/* Failures are remembered, too. */
	(void)ask(f, "no such name");
	wait_for(f, 2);
	assert_int_equal(f->answer.n, 0);
	assert_true(strlen(f->answer.why) > 0);
}

static void test_nothing_is_kept_without_a_ttl(void **state)
{
	struct fixture *f = *state;

	pw_resolver_set_ttl(f->resolver, 0, 0);
	(void)ask(f, "localhost");
	(void)ask(f, "localhost");
	wait_for(f, 2);
	(void)ask(f, "127.0.0.1");
	wait_for(f, 3);
	assert_int_equal(f->answer.n, 1);
	assert_int_equal(f->answer.addrs[0].family, AF_INET);
}

static void test_asker_no_longer_cares(void **state)
{
	struct fixture *f = *state;
	struct pw_resolve *q;

	(void)ask(f, "127.0.0.1");
	wait_for(f, 1);
	/* From the cache: these two come in the order of the questions. */
	q = ask(f, "127.0.0.1");
	q->arg = NULL;
	(void)ask(f, "127.0.0.1");
	wait_for(f, 2);
	assert_int_equal(f->n_answers, 2);
}

/* ---- the end ---- */

static unsigned n_discarded;
static void (*discard)(struct pw_mail *mail); /* the resolver's own */

static void discard_counted(struct pw_mail *mail)
{
	n_discarded++;
	discard(mail);
}

static void on_late_answer(void *arg, const struct pw_resolve_answer *answer)
{
	(void)answer;
	fail_msg("an answer for %p after the end", arg);
}

/* Answers under way at the end belong to nobody: each is freed, none is given. */
static void test_end_with_answers(void **state)
{
	struct fixture *f;

	assert_int_equal(setup(state), 0);
	f = *state;
	(void)ask(f, "127.0.0.1");
	wait_for(f, 1);
	n_discarded = 0;
	for (int i = 0; i < 20; i++) {
		struct pw_resolve *q = ask(f, "127.0.0.1");

		discard = q->mail.discard;
		q->mail.discard = discard_counted;
		q->done = on_late_answer;
	}
	assert_int_equal(teardown(state), 0);
	assert_int_equal(n_discarded, 20);
}

/* So do questions; that they are freed is for the sanitizers to see. */
static void test_end_with_questions(void **state)
{
	struct fixture *f;
	char name[32];

	assert_int_equal(setup(state), 0);
	f = *state;
	for (int i = 0; i < 20; i++) {
		snprintf(name, sizeof(name), "127.0.0.%d", i + 1);
		assert_non_null(pw_resolver_ask(f->resolver, name, &f->box, on_late_answer, f));
	}
	assert_int_equal(teardown(state), 0);
	pw_resolver_destroy(NULL);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_localhost),
	    TEST(test_failure),
	    TEST(test_nothing_is_kept_without_a_ttl),
	    TEST(test_asker_no_longer_cares),
	    cmocka_unit_test(test_end_with_answers),
	    cmocka_unit_test(test_end_with_questions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

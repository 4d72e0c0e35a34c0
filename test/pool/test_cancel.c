/* SPDX-License-Identifier: PostgreSQL
 *
 * Cancel requests of clients for one link: however many come, few go to its server.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "link_fixture.h"
#include "pgweir/pool/cancel.h"

static void count_done(void *arg)
{
	unsigned *n_done = arg;

	++*n_done;
}

static void ask(struct fixture *f, unsigned *n_done, int times)
{
	for (int i = 0; i < times; i++)
		assert_int_equal(pw_cancel_link_for(link_of(f), count_done, n_done), PW_OK);
}

/* One that is not sent yet is enough for all who ask. */
static void test_many_at_once(void **state)
{
	struct fixture *f = *state;
	struct fake_server cancel, other;
	unsigned n_done = 0;

	fake_expect_all(&f->b, "Q");
	ask(f, &n_done, 100);
	assert_int_equal(n_done, 99);
	fake_turn(&f->env);
	fake_accept_cancel(&f->env, &cancel);
	assert_false(fake_accept(&f->env, &other));
	fake_server_close(&cancel);
	fake_turn(&f->env);
	assert_int_equal(n_done, 100);
	answer(f, "E=57014 Z=I", "E Z ready");
}

/* What was sent may have been meant for the statement before, so there may be one more. */
static void test_one_after_the_other(void **state)
{
	struct fixture *f = *state;
	struct fake_server cancels[2], other;
	unsigned n_done = 0;

	fake_expect_all(&f->b, "Q");
	for (int i = 0; i < 2; i++) {
		ask(f, &n_done, 1);
		fake_turn(&f->env);
		fake_accept_cancel(&f->env, &cancels[i]);
	}
	assert_int_equal(n_done, 0);
	ask(f, &n_done, 100);
	assert_int_equal(n_done, 100);
	fake_turn(&f->env);
	assert_false(fake_accept(&f->env, &other));
	/* The first is over: there is room again. */
	fake_server_close(&cancels[0]);
	fake_turn(&f->env);
	assert_int_equal(n_done, 101);
	ask(f, &n_done, 1);
	fake_turn(&f->env);
	fake_accept_cancel(&f->env, &cancels[0]);
	for (int i = 0; i < 2; i++)
		fake_server_close(&cancels[i]);
	fake_turn(&f->env);
	assert_int_equal(n_done, 103);
	answer(f, "E=57014 Z=I", "E Z ready");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    WHOLE(test_many_at_once),
	    WHOLE(test_one_after_the_other),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: PostgreSQL
 *
 * Logins to servers that fail: how much a server may say before that, and what is said about it.
 */
#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <cmocka.h>

#include "queue_fixture.h"

static const struct pw_error *last_error(struct fixture *f)
{
	return &f->pool->shared->last_error;
}

/* What a server reports is kept until the login is done, and it may not report for ever. */
static void test_parameters_without_end(void **state)
{
	enum { VALUE = 4000, BODY = 2 + VALUE, FEW = 10, TOO_MANY = 20 };
	struct fixture *f = begin("default_pool_size = 1", "");
	struct fake_server *s = &f->s[f->n_servers++];
	uint8_t parameter[PW_HEADER_SIZE + BODY] = {'S', 0, 0, (BODY + 4) >> 8, (BODY + 4) & 0xff};

	(void)state;
	memset(parameter + PW_HEADER_SIZE, 'x', BODY);
	parameter[PW_HEADER_SIZE] = parameter[PW_HEADER_SIZE + BODY - 1] = 0;
	assert_false(fake_borrow(&f->b[0]));
	fake_turn(&f->env);
	fake_accept_startup(&f->env, s, PW_PROTOCOL(3, 2));
	fake_answer(s, "P");
	for (int i = 0; i < FEW; i++)
		fake_send(s, parameter, sizeof(parameter));
	assert_int_equal(f->pool->n_opening, 1);
	for (int i = FEW; i < TOO_MANY; i++)
		fake_send(s, parameter, sizeof(parameter));
	assert_int_equal(f->pool->n_opening, 0);
	assert_true(fake_is_closed(s));
	assert_string_equal(last_error(f)->message, "server reports too many parameters");
	end(f);
}

/* There is no socket to be had. */
static void test_why_nothing_was_tried(void **state)
{
	static const char *const hosts[] = {"host=127.0.0.1", "host=/tmp"};

	(void)state;
	for (size_t i = 0; i < PW_COUNTOF(hosts); i++) {
		struct fixture *f = begin("default_pool_size = 1", hosts[i]);
		struct rlimit limit, none;

		assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
		none = (struct rlimit){.rlim_cur = 0, .rlim_max = limit.rlim_max};
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
		assert_false(fake_borrow(&f->b[0]));
		fake_turn(&f->env);
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
		assert_non_null(strstr(last_error(f)->message, "connect failed: "));
		assert_non_null(strstr(last_error(f)->message, strerror(EMFILE)));
		end(f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_parameters_without_end),
	    cmocka_unit_test(test_why_nothing_was_tried),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

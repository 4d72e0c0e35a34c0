/* SPDX-License-Identifier: PostgreSQL
 *
 * Files that could not be read: what is told, and what counts as new.
 */
#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pgweir/auth/unreadable.h"

static void add(struct pw_unreadable *unreadable, const char *what, const char *path, int reason)
{
	errno = reason;
	pw_unreadable_add(unreadable, what, path);
}

static void test_lines(void **state)
{
	struct pw_unreadable it = {PW_STRBUF_INIT, PW_STRBUF_INIT};

	(void)state;
	add(&it, "auth_file", "/a b", ENOENT);
	add(&it, "hba file", "c", EACCES);
	assert_false(pw_unreadable_has_failed(&it));
	assert_string_equal(it.lines.data, "could not open auth_file /a b: No such file or "
					   "directory\ncould not open hba file c: Permission "
					   "denied\n");
	pw_unreadable_fini(&it);
}

static void test_new(void **state)
{
	struct pw_unreadable now = {PW_STRBUF_INIT, PW_STRBUF_INIT};
	struct pw_unreadable before = {PW_STRBUF_INIT, PW_STRBUF_INIT};

	(void)state;
	assert_false(pw_unreadable_has_new(&now, &before));
	add(&before, "hba file", "/x", ENOENT);
	add(&before, "auth_file", "/a", ENOENT);
	assert_false(pw_unreadable_has_new(&now, &before));
	add(&now, "auth_file", "/a", EACCES);
	assert_false(pw_unreadable_has_new(&now, &before));
	add(&now, "auth_file", "/x", ENOENT);
	assert_true(pw_unreadable_has_new(&now, &before));
	pw_unreadable_fini(&now);
	pw_unreadable_fini(&before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_lines),
	    cmocka_unit_test(test_new),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

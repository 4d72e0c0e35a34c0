/* SPDX-License-Identifier: PostgreSQL
 *
 * Names of accounts whose entries are long. The C library's question is answered here.
 */
#include "config.h"

#include <errno.h>
#include <pwd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pgweir/base/account.h"
#include "pgweir/base/status.h"

/* An account's number is the length of its entry; 0 = there is none, 1 = it cannot be asked. */
int getpwuid_r(uid_t uid, struct passwd *entry, char *buf, size_t size, struct passwd **found)
{
	*found = NULL;
	if (uid == 0)
		return 0;
	if (uid == 1)
		return EIO;
	if (size < uid)
		return ERANGE;
	memset(entry, 0, sizeof(*entry));
	memset(buf, 'x', size);
	snprintf(buf, size, "a%u", (unsigned)uid);
	entry->pw_name = buf;
	*found = entry;
	return 0;
}

static void assert_name(uid_t uid, const char *expected)
{
	char *name = pw_account_name(uid);

	if (expected)
		assert_string_equal(name, expected);
	else
		assert_null(name);
	free(name);
}

static void test_long_entries(void **state)
{
	(void)state;
	assert_name(100, "a100");
	assert_name(1024, "a1024");
	assert_name(1025, "a1025");
	assert_name(60000, "a60000");
	assert_name(1024 * 1024, "a1048576");
}

static void test_no_name(void **state)
{
	(void)state;
	assert_name(0, NULL);
	assert_name(1, NULL);
	assert_name(1024 * 1024 + 1, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_long_entries),
	    cmocka_unit_test(test_no_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

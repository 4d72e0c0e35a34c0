/* SPDX-License-Identifier: PostgreSQL
 *
 * Positions as text.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "pgweir/base/status.h"
#include "pgweir/cluster/lsn.h"

static void assert_round(const char *text, uint64_t wanted, const char *again)
{
	char out[PW_LSN_SIZE];
	uint64_t lsn = 1;

	assert_true(pw_lsn_parse(text, strlen(text), &lsn));
	assert_int_equal(lsn, wanted);
	pw_lsn_format(out, lsn);
	assert_string_equal(out, again);
}

static void test_round_trip(void **state PW_UNUSED)
{
	assert_round("0/0", 0, "0/0");
	assert_round("16/B374D848", UINT64_C(0x16B374D848), "16/B374D848");
	assert_round("1/a", UINT64_C(0x10000000A), "1/A");
	assert_round("FFFFFFFF/FFFFFFFF", UINT64_MAX, "FFFFFFFF/FFFFFFFF");
	assert_round("00000001/00000002", UINT64_C(0x100000002), "1/2");
}

static void test_refused(void **state PW_UNUSED)
{
	static const char *const texts[] = {"",     "/",    "1",    "1/",    "/1",          "1/1/1",
					    " 1/1", "1/1 ", "-1/1", "0x1/1", "123456789/1", "1/g"};

	for (size_t i = 0; i < PW_COUNTOF(texts); i++) {
		uint64_t lsn;

		assert_false(pw_lsn_parse(texts[i], strlen(texts[i]), &lsn));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_round_trip),
	    cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

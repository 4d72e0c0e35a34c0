/* SPDX-License-Identifier: PostgreSQL
 *
 * What servers have parsed: told apart by pool and by the change of the database, and bounded.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pgweir/pool/parsed.h"

static struct pw_id id_of(uint64_t n)
{
	return (struct pw_id){n * UINT64_C(0x9e3779b97f4a7c15), n};
}

static void test_is_of_its_pool_and_epoch(void **state)
{
	struct pw_parsed parsed;

	(void)state;
	pw_parsed_init(&parsed);
	assert_false(pw_parsed_is_current(&parsed, 1, id_of(1), 5));
	pw_parsed_note(&parsed, 1, id_of(1), 5);
	assert_true(pw_parsed_is_current(&parsed, 1, id_of(1), 5));
	assert_false(pw_parsed_is_current(&parsed, 1, id_of(1), 6));
	assert_false(pw_parsed_is_current(&parsed, 2, id_of(1), 5));
	assert_false(pw_parsed_is_current(&parsed, 1, id_of(2), 5));
	pw_parsed_note(&parsed, 1, id_of(1), 6);
	assert_true(pw_parsed_is_current(&parsed, 1, id_of(1), 6));
	assert_int_equal(parsed.n, 1);
	pw_parsed_fini(&parsed);
}

static void test_grows_and_keeps(void **state)
{
	struct pw_parsed parsed;
	unsigned kept = 0;

	(void)state;
	pw_parsed_init(&parsed);
	for (uint64_t i = 1; i <= 1000; i++)
		pw_parsed_note(&parsed, 7, id_of(i), 1);
	for (uint64_t i = 1; i <= 1000; i++)
		kept += pw_parsed_is_current(&parsed, 7, id_of(i), 1);
	assert_in_range(kept, 900, 1000);
	pw_parsed_fini(&parsed);
}

static void test_is_bounded(void **state)
{
	struct pw_parsed parsed;

	(void)state;
	pw_parsed_init(&parsed);
	for (uint64_t i = 1; i <= 10 * PW_PARSED_MAX; i++) {
		pw_parsed_note(&parsed, 7, id_of(i), 1);
		assert_true(pw_parsed_is_current(&parsed, 7, id_of(i), 1));
	}
	assert_int_equal(parsed.size, PW_PARSED_MAX);
	assert_in_range(parsed.n, PW_PARSED_MAX / 2, PW_PARSED_MAX);
	pw_parsed_fini(&parsed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_is_of_its_pool_and_epoch),
	    cmocka_unit_test(test_grows_and_keeps),
	    cmocka_unit_test(test_is_bounded),
	};

	return cmocka_run_group_tests_name("pool/parsed", tests, NULL, NULL);
}

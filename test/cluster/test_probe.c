/* SPDX-License-Identifier: PostgreSQL
 *
 * Rows of probes: whole ones of both kinds of nodes, and broken ones.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "pgweir/base/status.h"
#include "pgweir/cluster/probe.h"

static const char *const primary[PW_PROBE_COLUMNS] = {
    "f", "1/2000028", "1/2000000", "0000000A", NULL, NULL, NULL, NULL, NULL, "200000", NULL, "f"};
static const char *const standby[PW_PROBE_COLUMNS] = {
    "t", NULL, NULL, NULL, "0/3000148", "0/4000000", "f", "t", "10", "10000", "t", "f"};

static void test_primary(void **state PW_UNUSED)
{
	struct pw_probe_answer a;

	assert_true(pw_probe_read(primary, &a));
	assert_false(a.is_standby);
	assert_int_equal(a.timeline, 10);
	assert_int_equal(a.insert, UINT64_C(0x102000028));
	assert_int_equal(a.flush, UINT64_C(0x102000000));
	assert_int_equal(a.replay, 0);
	assert_int_equal(a.async_us, 600000);
}

static void test_standby(void **state PW_UNUSED)
{
	struct pw_probe_answer a;

	assert_true(pw_probe_read(standby, &a));
	assert_true(a.is_standby);
	assert_int_equal(a.timeline, 10);
	assert_int_equal(a.replay, 0x3000148);
	assert_int_equal(a.receive, 0x4000000);
	assert_true(a.is_receiving);
	assert_true(a.is_waiting);
	assert_false(a.is_paused);
	assert_int_equal(a.async_us, 30000);
}

/* Nothing replayed yet, no receiver, paused. */
static void test_standby_that_knows_little(void **state PW_UNUSED)
{
	static const char *const row[PW_PROBE_COLUMNS] = {"t", NULL, NULL, NULL,     NULL, NULL,
							  "t", NULL, NULL, "200000", NULL};
	struct pw_probe_answer a;

	assert_true(pw_probe_read(row, &a));
	assert_int_equal(a.timeline, 0);
	assert_int_equal(a.replay, 0);
	assert_false(a.is_receiving);
	assert_false(a.is_waiting);
	assert_true(a.is_paused);
}

/* Without pg_monitor a standby's receiver is there, and no more is said of it. */
static void test_receiver_that_is_hidden(void **state PW_UNUSED)
{
	static const char *const row[PW_PROBE_COLUMNS] = {
	    "t", NULL, NULL, NULL, "0/3000148", "0/4000000", "f", NULL, NULL, "10000", NULL, "t"};
	struct pw_probe_answer a;

	assert_true(pw_probe_read(row, &a));
	assert_true(a.is_hidden);
	assert_int_equal(a.timeline, 0);
	assert_true(pw_probe_read(standby, &a));
	assert_false(a.is_hidden);
}

static void assert_broken(const char *const row[PW_PROBE_COLUMNS], size_t column,
			  const char *instead)
{
	const char *broken[PW_PROBE_COLUMNS];
	struct pw_probe_answer a;

	memcpy(broken, row, sizeof(broken));
	broken[column] = instead;
	assert_false(pw_probe_read(broken, &a));
}

static void test_broken_rows(void **state PW_UNUSED)
{
	assert_broken(primary, 0, NULL);
	assert_broken(primary, 1, NULL);
	assert_broken(primary, 2, "");
	assert_broken(primary, 2, "1/2000000 ");
	assert_broken(primary, 3, NULL);
	assert_broken(primary, 3, "0000000G");
	assert_broken(primary, 3, "00000000");
	assert_broken(primary, 3, "100000000");
	assert_broken(primary, 9, NULL);
	assert_broken(standby, 4, "0-3000148");
	assert_broken(standby, 5, "x");
	assert_broken(standby, 8, "-1");
}

static void test_identity(void **state PW_UNUSED)
{
	static const char *const good[] = {"7300000000000000001", "150004"};
	static const char *const late[] = {"-9223372036854775807", "150004"};
	static const char *const lacking[] = {NULL, "150004"};
	static const char *const wrong[] = {"1", "15.4"};
	struct pw_probe_identity id;

	assert_true(pw_probe_read_identity(good, &id));
	assert_int_equal(id.system, UINT64_C(7300000000000000001));
	assert_int_equal(id.version, 150004);
	assert_true(pw_probe_read_identity(late, &id));
	assert_false(pw_probe_read_identity(lacking, &id));
	assert_false(pw_probe_read_identity(wrong, &id));
}

static void test_query_follows_the_version(void **state PW_UNUSED)
{
	assert_non_null(strstr(pw_probe_query(150004), "pg_get_wal_replay_pause_state"));
	assert_null(strstr(pw_probe_query(130000), "pg_get_wal_replay_pause_state"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_primary),
	    cmocka_unit_test(test_standby),
	    cmocka_unit_test(test_standby_that_knows_little),
	    cmocka_unit_test(test_receiver_that_is_hidden),
	    cmocka_unit_test(test_broken_rows),
	    cmocka_unit_test(test_identity),
	    cmocka_unit_test(test_query_follows_the_version),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

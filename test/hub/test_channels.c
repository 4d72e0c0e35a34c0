/* SPDX-License-Identifier: PostgreSQL
 *
 * Sets of channels, what is said about them in SQL, notifications, and who wants what.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "hub/hub_priv.h"

static void fill(struct pw_channels *channels, const char *const *names)
{
	for (; *names; names++)
		pw_channels_add(channels, *names);
}

static void test_sets(void **state PW_UNUSED)
{
	static const char *const some[] = {"a", "b", "a b", NULL},
				 *const turned[] = {"a b", "b", "a", NULL},
				 *const others[] = {"a", "b", "c", NULL},
				 *const fewer[] = {"a", "b", NULL};
	struct pw_channels sets[4] = {PW_CHANNELS_INIT, PW_CHANNELS_INIT, PW_CHANNELS_INIT,
				      PW_CHANNELS_INIT};

	fill(&sets[0], some);
	fill(&sets[1], turned);
	fill(&sets[2], others);
	fill(&sets[3], fewer);
	assert_true(pw_channels_are_equal(&sets[0], &sets[1]));
	assert_false(pw_channels_are_equal(&sets[0], &sets[2]));
	assert_false(pw_channels_are_equal(&sets[0], &sets[3]));
	assert_true(pw_channels_have(&sets[0], "a b"));
	assert_false(pw_channels_have(&sets[0], "c"));
	for (size_t i = 0; i < 4; i++)
		pw_channels_fini(&sets[i]);
}

static void test_no_more_than_a_bound(void **state PW_UNUSED)
{
	struct pw_channels channels = PW_CHANNELS_INIT;
	char name[16];

	for (int i = 0; i < PW_CHANNELS_MAX; i++) {
		snprintf(name, sizeof(name), "c%d", i);
		pw_channels_add(&channels, name);
	}
	assert_false(channels.has_failed);
	pw_channels_add(&channels, "one more");
	assert_true(channels.has_failed);
	pw_channels_fini(&channels);
}

static void test_names_are_quoted(void **state PW_UNUSED)
{
	static const char *const names[] = {"a", "with \"quotes\"", "back\\slash';", NULL};
	struct pw_channels channels = PW_CHANNELS_INIT;
	struct pw_strbuf sql = PW_STRBUF_INIT;

	fill(&channels, names);
	pw_channels_write_all(&sql, &channels);
	assert_string_equal(sql.data, "LISTEN \"a\";LISTEN \"with \"\"quotes\"\"\";"
				      "LISTEN \"back\\slash';\";");
	pw_strbuf_fini(&sql);
	pw_channels_fini(&channels);
}

static void test_notifications(void **state PW_UNUSED)
{
	static const uint8_t good[] = {'A', 0, 0, 0, 13, 0, 0, 1, 2, 'c', 'h', 0, 'x', 0};
	struct pw_notification n;
	uint8_t bad[sizeof(good)];

	assert_true(pw_notification_read(good, sizeof(good), &n));
	assert_int_equal(n.pid, 258);
	assert_string_equal(n.channel, "ch");
	assert_string_equal(n.payload, "x");
	for (size_t len = 0; len < sizeof(good); len++)
		assert_false(pw_notification_read(good, len, &n));
	memcpy(bad, good, sizeof(good));
	bad[sizeof(bad) - 1] = 'y';
	assert_false(pw_notification_read(bad, sizeof(bad), &n));
	memcpy(bad, good, sizeof(good));
	bad[0] = 'N';
	assert_false(pw_notification_read(bad, sizeof(bad), &n));
}

static void assert_sql(struct pw_strbuf *sql, const char *wanted)
{
	assert_string_equal(sql->data ? sql->data : "", wanted);
	pw_strbuf_fini(sql);
}

/* The server is asked when the first one comes, and when the last one goes. */
static void test_board(void **state PW_UNUSED)
{
	const struct pw_hash_key key = {1, 2};
	struct pw_strbuf sql = PW_STRBUF_INIT;
	struct pw_board board;

	pw_board_init(&board, &key);
	assert_int_equal(pw_board_want(&board, "a", 0, &sql), PW_OK);
	assert_sql(&sql, "LISTEN \"a\";");
	assert_int_equal(pw_board_want(&board, "a", 200, &sql), PW_OK);
	assert_int_equal(pw_board_want(&board, "a", 200, &sql), PW_OK);
	assert_sql(&sql, "");
	assert_true(pw_board_is_wanted_by(pw_board_find(&board, "a"), 200));
	assert_false(pw_board_is_wanted_by(pw_board_find(&board, "a"), 1));
	assert_null(pw_board_find(&board, "b"));
	pw_board_drop(&board, "b", 0, &sql);
	pw_board_drop(&board, "a", 0, &sql);
	pw_board_drop(&board, "a", 0, &sql);
	assert_sql(&sql, "");
	pw_board_drop(&board, "a", 200, &sql);
	assert_sql(&sql, "UNLISTEN \"a\";");
	assert_null(pw_board_find(&board, "a"));
	assert_int_equal(pw_board_want(&board, "c", 3, &sql), PW_OK);
	pw_board_clear(&board);
	assert_null(pw_board_find(&board, "c"));
	pw_strbuf_fini(&sql);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_sets),
	    cmocka_unit_test(test_no_more_than_a_bound),
	    cmocka_unit_test(test_names_are_quoted),
	    cmocka_unit_test(test_notifications),
	    cmocka_unit_test(test_board),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

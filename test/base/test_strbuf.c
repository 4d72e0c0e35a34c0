/* SPDX-License-Identifier: PostgreSQL
 *
 * The growing buffer and its sticky failure; secrets that lie in such memory.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pgweir/base/secret.h"
#include "pgweir/base/strbuf.h"

static void test_append(void **state)
{
	struct pw_strbuf sb = PW_STRBUF_INIT;

	(void)state;
	assert_null(sb.data);
	pw_strbuf_add(&sb, NULL, 0);
	assert_string_equal(sb.data, "");
	pw_strbuf_add_string(&sb, "one");
	pw_strbuf_add_char(&sb, ' ');
	pw_strbuf_printf(&sb, "%d-%s", 2, "three");
	assert_string_equal(sb.data, "one 2-three");
	assert_int_equal(sb.len, 11);
	pw_strbuf_reset(&sb);
	assert_string_equal(sb.data, "");
	pw_strbuf_add(&sb, "a\0b", 3);
	pw_strbuf_add_u16(&sb, 0x0102);
	pw_strbuf_add_u32(&sb, 0x03040506);
	assert_int_equal(sb.len, 9);
	assert_memory_equal(sb.data, "a\0b\1\2\3\4\5\6", 10);
	assert_false(sb.has_failed);
	pw_strbuf_fini(&sb);
	assert_null(sb.data);
	assert_int_equal(sb.cap, 0);
	pw_strbuf_fini(&sb);
}

/* Through many growths, always with its zero byte behind. */
static void test_growth(void **state)
{
	struct pw_strbuf sb = PW_STRBUF_INIT;

	(void)state;
	for (size_t i = 0; i < 10000; i++) {
		pw_strbuf_add_char(&sb, (char)('a' + i % 26));
		assert_int_equal(sb.len, i + 1);
		assert_true(sb.cap > sb.len);
		assert_int_equal(sb.data[sb.len], 0);
	}
	for (size_t i = 0; i < 10000; i++)
		assert_int_equal(sb.data[i], 'a' + i % 26);
	pw_strbuf_fini(&sb);
}

static void test_printf_of_any_length(void **state)
{
	char text[300];

	(void)state;
	for (size_t len = 0; len < sizeof(text); len++) {
		struct pw_strbuf sb = PW_STRBUF_INIT;

		memset(text, 'x', len);
		text[len] = '\0';
		pw_strbuf_add_char(&sb, '<');
		pw_strbuf_printf(&sb, "%s%%", text);
		assert_int_equal(sb.len, len + 2);
		assert_memory_equal(sb.data + 1, text, len);
		assert_string_equal(sb.data + 1 + len, "%");
		pw_strbuf_fini(&sb);
	}
}

static void test_consume(void **state)
{
	struct pw_strbuf sb = PW_STRBUF_INIT;

	(void)state;
	pw_strbuf_consume(&sb, 0);
	pw_strbuf_add_string(&sb, "abcdef");
	pw_strbuf_consume(&sb, 0);
	pw_strbuf_consume(&sb, 2);
	assert_string_equal(sb.data, "cdef");
	pw_strbuf_consume(&sb, 4);
	assert_string_equal(sb.data, "");
	assert_int_equal(sb.len, 0);
	pw_strbuf_fini(&sb);
}

static void test_reserve(void **state)
{
	struct pw_strbuf sb = PW_STRBUF_INIT;
	const char *data;

	(void)state;
	assert_true(pw_strbuf_reserve(&sb, 1000));
	data = sb.data;
	for (int i = 0; i < 1000; i++)
		pw_strbuf_add_char(&sb, 'x');
	assert_ptr_equal(sb.data, data);
	assert_false(pw_strbuf_reserve_exact(&sb, 10)); /* only for an empty one */
	pw_strbuf_fini(&sb);
	assert_true(pw_strbuf_reserve_exact(&sb, 100));
	assert_int_equal(sb.cap, 101);
	data = sb.data;
	for (int i = 0; i < 100; i++)
		pw_strbuf_add_char(&sb, 'x');
	assert_ptr_equal(sb.data, data);
	pw_strbuf_add_char(&sb, 'x');
	assert_int_equal(sb.len, 101);
	pw_strbuf_fini(&sb);
}

/* An impossible size fails instead of wrapping round, and everything after it fails as well. */
static void test_failure_sticks(void **state)
{
	struct pw_strbuf sb = PW_STRBUF_INIT;

	(void)state;
	pw_strbuf_add_string(&sb, "kept");
	assert_false(pw_strbuf_reserve(&sb, SIZE_MAX));
	assert_false(pw_strbuf_reserve(&sb, SIZE_MAX - 4));
	pw_strbuf_add(&sb, "x", SIZE_MAX / 2);
	assert_true(sb.has_failed);
	pw_strbuf_add_string(&sb, "more");
	pw_strbuf_printf(&sb, "%d", 1);
	assert_string_equal(sb.data, "kept");
	assert_null(pw_strbuf_steal(&sb));
	/* Stealing leaves a buffer like new. */
	assert_false(sb.has_failed);
	assert_null(sb.data);
	sb.has_failed = true;
	pw_strbuf_reset(&sb);
	assert_false(sb.has_failed);
	assert_false(pw_strbuf_reserve_exact(&sb, SIZE_MAX));
	pw_strbuf_fini(&sb);
}

static void test_steal(void **state)
{
	struct pw_strbuf sb = PW_STRBUF_INIT;
	char *text = pw_strbuf_steal(&sb);

	(void)state;
	assert_string_equal(text, "");
	free(text);
	pw_strbuf_add_string(&sb, "mine");
	text = pw_strbuf_steal(&sb);
	assert_string_equal(text, "mine");
	assert_null(sb.data);
	assert_int_equal(sb.len, 0);
	free(text);
}

static void test_wipe(void **state)
{
	struct pw_strbuf sb = PW_STRBUF_INIT;

	(void)state;
	pw_strbuf_wipe(&sb);
	pw_strbuf_add_string(&sb, "secret");
	pw_strbuf_wipe(&sb);
	assert_null(sb.data);
	assert_int_equal(sb.len, 0);
}

static void test_secret(void **state)
{
	struct pw_secret secret = {NULL, 0};
	char text[] = "pass\0word";

	(void)state;
	assert_int_equal(pw_secret_set(&secret, text, 9), PW_OK);
	assert_ptr_not_equal(secret.data, text);
	assert_int_equal(secret.len, 9);
	assert_memory_equal(secret.data, "pass\0word", 10);
	/* Also from itself. */
	assert_int_equal(pw_secret_set(&secret, secret.data + 5, 4), PW_OK);
	assert_string_equal(secret.data, "word");
	assert_int_equal(pw_secret_set(&secret, NULL, 0), PW_OK);
	assert_string_equal(secret.data, "");
	pw_secret_fini(&secret);
	assert_null(secret.data);
	pw_secret_fini(&secret);
	assert_true(pw_secret_equal("abc", "abd", 2));
	assert_false(pw_secret_equal("abc", "abd", 3));
	assert_false(pw_secret_equal("abc", "xbc", 3));
	assert_true(pw_secret_equal("a", "b", 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_append),
	    cmocka_unit_test(test_growth),
	    cmocka_unit_test(test_printf_of_any_length),
	    cmocka_unit_test(test_consume),
	    cmocka_unit_test(test_reserve),
	    cmocka_unit_test(test_failure_sticks),
	    cmocka_unit_test(test_steal),
	    cmocka_unit_test(test_wipe),
	    cmocka_unit_test(test_secret),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

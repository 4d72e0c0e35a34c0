/* SPDX-License-Identifier: PostgreSQL
 *
 * Base64: RFC 4648's vectors, every length both ways, and what a lenient decoder would take.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "auth/auth_priv.h"

static void test_vectors(void **state)
{
	static const char *const vectors[][2] = {
	    {"f", "Zg=="},        {"fo", "Zm8="},        {"foo", "Zm9v"},
	    {"foob", "Zm9vYg=="}, {"fooba", "Zm9vYmE="}, {"foobar", "Zm9vYmFy"},
	};

	(void)state;
	for (size_t i = 0; i < PW_COUNTOF(vectors); i++) {
		struct pw_strbuf out = PW_STRBUF_INIT;
		uint8_t raw[8];
		size_t len;

		pw_base64_add(&out, vectors[i][0], strlen(vectors[i][0]));
		assert_string_equal(out.data, vectors[i][1]);
		assert_true(pw_base64_decode(out.data, out.len, raw, sizeof(raw), &len));
		assert_int_equal(len, strlen(vectors[i][0]));
		assert_memory_equal(raw, vectors[i][0], len);
		pw_strbuf_fini(&out);
	}
}

static void test_every_length(void **state)
{
	uint8_t raw[500], back[500];
	size_t len;

	(void)state;
	for (size_t i = 0; i < sizeof(raw); i++)
		raw[i] = (uint8_t)(i * 37 + 11);
	for (size_t n = 0; n <= sizeof(raw); n++) {
		struct pw_strbuf out = PW_STRBUF_INIT;

		pw_strbuf_add(&out, "", 0);
		pw_base64_add(&out, raw, n);
		assert_int_equal(out.len, (n + 2) / 3 * 4);
		assert_true(pw_base64_decode(out.data, out.len, back, n, &len));
		assert_int_equal(len, n);
		assert_memory_equal(back, raw, n);
		if (n > 0)
			assert_false(pw_base64_decode(out.data, out.len, back, n - 1, &len));
		pw_strbuf_fini(&out);
	}
}

static void test_faults(void **state)
{
	static const char *const faults[] = {
	    "Z",    "Zg",    "Zg=",      "Zg===",  "Zg==Zg==", "=Zg=",         "====",
	    "Z===", " Zg==", "Zg== ",    "Zg==\n", "Z g=",     "Zm9v\n\n\n\n", "\tZm9",
	    "Zm9-", "Zm9_",  "Zm9v-===", "Zh==",   "Zm9=",     "Zm\x80v",      "Zm9vZm=v",
	};
	uint8_t raw[16];
	size_t len;

	(void)state;
	for (size_t i = 0; i < PW_COUNTOF(faults); i++) {
		if (pw_base64_decode(faults[i], strlen(faults[i]), raw, sizeof(raw), &len))
			fail_msg("taken: \"%s\"", faults[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_vectors),
	    cmocka_unit_test(test_every_length),
	    cmocka_unit_test(test_faults),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

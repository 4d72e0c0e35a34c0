/* SPDX-License-Identifier: PostgreSQL
 *
 * The small plain values: addresses, errors, times, random numbers.
 */
#include "config.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "pgweir/base/addr.h"
#include "pgweir/base/clock.h"
#include "pgweir/base/error.h"
#include "pgweir/base/rng.h"
#include "pgweir/base/utf8.h"

/* ---- addresses ---- */

static void assert_format(const struct pw_addr *addr, const char *text, const char *with_port)
{
	char out[PW_ADDR_TEXT_SIZE], out_port[PW_ADDR_TEXT_SIZE + 8];

	pw_addr_format(addr, out, sizeof(out));
	assert_string_equal(out, text);
	pw_addr_format_port(addr, out_port, sizeof(out_port));
	assert_string_equal(out_port, with_port);
}

static void test_addr_formats(void **state)
{
	struct pw_addr addr;
	uint32_t pid = 4711;

	(void)state;
	assert_true(pw_addr_parse("10.1.2.3", 5432, &addr));
	assert_format(&addr, "10.1.2.3", "10.1.2.3:5432");
	assert_true(pw_addr_parse("fe80::1", 1, &addr));
	assert_format(&addr, "fe80::1", "[fe80::1]:1");
	assert_true(pw_addr_parse("ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255", 65535, &addr));
	assert_format(&addr, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
		      "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535");
	memset(&addr, 0, sizeof(addr));
	assert_format(&addr, "(none)", "(none):0");
	addr.family = AF_UNIX;
	addr.port = 6432;
	memcpy(addr.bytes, &pid, sizeof(pid));
	assert_format(&addr, "unix", "unix(4711):6432");
}

static void test_addr_literals_only(void **state)
{
	static const char *const names[] = {"",          "localhost", "1.2.3",  "1.2.3.4.5",
					    "256.1.1.1", "1.2.3.4 ",  ":::",    "fe80::1%lo",
					    "[::1]",     "1.2.3.4:5", "::1::2", "db.example"};
	struct pw_addr addr;

	(void)state;
	for (size_t i = 0; i < PW_COUNTOF(names); i++)
		assert_false(pw_addr_parse(names[i], 1, &addr));
}

static void test_addr_through_sockaddr(void **state)
{
	static const char *const texts[] = {"1.2.3.4", "::1", "2001:db8::42"};
	struct sockaddr_storage ss;
	struct pw_addr a, b;

	(void)state;
	for (size_t i = 0; i < PW_COUNTOF(texts); i++) {
		socklen_t len;

		assert_true(pw_addr_parse(texts[i], 5432, &a));
		len = pw_addr_to_sockaddr(&a, &ss);
		assert_int_equal(len,
				 i == 0 ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6));
		b = pw_addr_from_sockaddr((const struct sockaddr *)&ss);
		assert_true(pw_addr_equal(&a, &b));
		b.port++;
		assert_false(pw_addr_equal(&a, &b));
		b = a;
		b.bytes[15] ^= 1;
		assert_false(pw_addr_equal(&a, &b));
		b = a;
		b.family = 0;
		assert_false(pw_addr_equal(&a, &b));
	}
	assert_true(pw_addr_parse("1.2.3.4", 5432, &a));
	(void)pw_addr_to_sockaddr(&a, &ss);
	assert_int_equal(((struct sockaddr_in *)&ss)->sin_port, htons(5432));
	assert_int_equal(((struct sockaddr_in *)&ss)->sin_addr.s_addr, htonl(0x01020304));
	a.family = AF_UNIX;
	assert_int_equal(pw_addr_to_sockaddr(&a, &ss), 0);
	memset(&ss, 0, sizeof(ss));
	ss.ss_family = AF_UNIX;
	a = pw_addr_from_sockaddr((const struct sockaddr *)&ss);
	assert_int_equal(a.family, AF_UNIX);
	assert_int_equal(a.port, 0);
}

/* ---- errors ---- */

static void test_error(void **state)
{
	struct pw_error err;
	char text[600];

	(void)state;
	memset(&err, 0x55, sizeof(err));
	pw_error_set(&err, PW_SQLSTATE_QUERY_CANCELED, "%s %d", "number", 5);
	assert_string_equal(err.sqlstate, "57014");
	assert_string_equal(err.message, "number 5");
	assert_string_equal(err.detail, "");
	assert_string_equal(err.hint, "");
	assert_int_equal(err.severity, PW_SEVERITY_FATAL);
	pw_error_detail(&err, "d%d", 1);
	pw_error_hint(&err, "h%d", 2);
	assert_string_equal(err.detail, "d1");
	assert_string_equal(err.hint, "h2");
	assert_string_equal(err.message, "number 5");
	/* Afresh. */
	pw_error_set(&err, PW_SQLSTATE_INTERNAL_ERROR, "x");
	assert_string_equal(err.detail, "");
	memset(text, 'y', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	pw_error_set(&err, PW_SQLSTATE_INTERNAL_ERROR, "%s", text);
	pw_error_detail(&err, "%s", text);
	pw_error_hint(&err, "%s", text);
	assert_int_equal(strlen(err.message), sizeof(err.message) - 1);
	assert_int_equal(strlen(err.detail), sizeof(err.detail) - 1);
	assert_int_equal(strlen(err.hint), sizeof(err.hint) - 1);
}

static void test_severities(void **state)
{
	(void)state;
	assert_string_equal(pw_severity_name(PW_SEVERITY_FATAL), "FATAL");
	assert_string_equal(pw_severity_name(PW_SEVERITY_ERROR), "ERROR");
	assert_string_equal(pw_severity_name(PW_SEVERITY_WARNING), "WARNING");
	assert_string_equal(pw_severity_name(PW_SEVERITY_NOTICE), "NOTICE");
}

/* ---- time ---- */

static void test_clock(void **state)
{
	uint64_t a = pw_clock_now_us(), b = pw_clock_system.now_us(&pw_clock_system);
	char out[64];

	(void)state;
	assert_true(a > 0);
	assert_true(b >= a);
	assert_true(pw_clock_wall_us() > UINT64_C(1600000000) * PW_SECOND_US);
	assert_int_equal(setenv("TZ", "UTC", 1), 0);
	tzset();
	pw_clock_format(UINT64_C(1769903999999999), out, sizeof(out));
	assert_string_equal(out, "2026-01-31 23:59:59 UTC");
	pw_clock_format(0, out, 5); /* too small: nothing rather than half of it */
	assert_string_equal(out, "");
}

/* ---- random numbers ---- */

static void test_rng(void **state)
{
	struct pw_rng a, b;
	uint8_t x[64] = {0}, y[64] = {0};

	(void)state;
	/* The published sequence of SplitMix64 for the seed 1234567. */
	pw_rng_seed(&a, 1234567);
	assert_true(pw_rng_next(&a) == UINT64_C(6457827717110365317));
	assert_true(pw_rng_next(&a) == UINT64_C(3203168211198807973));
	assert_true(pw_rng_next(&a) == UINT64_C(9817491932198370423));
	pw_rng_seed(&b, 1234568);
	assert_true(pw_rng_next(&b) != UINT64_C(6457827717110365317));
	pw_rng_secret(x, sizeof(x));
	pw_rng_secret(y, sizeof(y));
	assert_memory_not_equal(x, y, sizeof(x));
	pw_rng_secret(x, 0);
}

/* ---- text ---- */

static void test_utf8_fit(void **state)
{
	static const struct {
		const char *text;
		size_t max, fit;
	} cases[] = {
	    {"", 0, 0},
	    {"", 5, 0},
	    {"abc", 0, 0},
	    {"abc", 2, 2},
	    {"abc", 3, 3},
	    {"abc", 4, 3},
	    {"a\xc3\xa9z", 1, 1},
	    {"a\xc3\xa9z", 2, 1},
	    {"a\xc3\xa9z", 3, 3},
	    {"\xc3\xa9", 1, 0},
	    {"a\xe2\x82\xac", 3, 1},
	    {"\xf0\x9f\x98\x80", 1, 0},
	    {"\xf0\x9f\x98\x80", 3, 0},
	    {"\xf0\x9f\x98\x80", 4, 4},
	    {"\xa9\xa9\xa9\xa9\xa9\xa9", 5, 5}, /* not UTF-8 */
	    {"\xa9\xa9", 1, 1},
	};

	(void)state;
	for (size_t i = 0; i < PW_COUNTOF(cases); i++) {
		if (pw_utf8_fit(cases[i].text, cases[i].max) != cases[i].fit)
			fail_msg("case %zu: %zu", i, pw_utf8_fit(cases[i].text, cases[i].max));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_addr_formats),
	    cmocka_unit_test(test_addr_literals_only),
	    cmocka_unit_test(test_addr_through_sockaddr),
	    cmocka_unit_test(test_error),
	    cmocka_unit_test(test_severities),
	    cmocka_unit_test(test_clock),
	    cmocka_unit_test(test_rng),
	    cmocka_unit_test(test_utf8_fit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

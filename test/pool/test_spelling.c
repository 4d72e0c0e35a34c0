/* SPDX-License-Identifier: PostgreSQL
 *
 * How a server spells what a start-up packet asks for.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pgweir/base/status.h"
#include "pgweir/pool/spelling.h"

static void assert_spelled(const char *name, const char *const (*cases)[2], size_t n,
			   const char *base)
{
	for (size_t i = 0; i < n; i++)
		assert_string_equal(pw_spelling(name, cases[i][0], base), cases[i][1]);
}

static void test_date_style(void **state)
{
	static const char *const full[][2] = {
	    {"ISO", "ISO, DMY"},           {"iso,mdy", "ISO, MDY"},
	    {" ymd ,\tSQL ", "SQL, YMD"},  {"German", "German, DMY"},
	    {"German, US", "German, MDY"}, {"PostgreSQL", "Postgres, DMY"},
	    {"NonEuropean", "ISO, MDY"},   {"EURO", "ISO, DMY"},
	    {"default", "ISO, DMY"},       {"sql, default", "SQL, DMY"},
	    {"iso, ISO", "ISO, DMY"},
	};
	static const char *const left[][2] = {
	    {"", ""},
	    {",", ","},
	    {"ISO,", "ISO,"},
	    {"ISO MDY", "ISO MDY"},
	    {"ISO, SQL", "ISO, SQL"},
	    {"DMY, US", "DMY, US"},
	    {"isos", "isos"},
	    {"eur", "eur"},
	    {"\"ISO\"", "\"ISO\""},
	};

	(void)state;
	assert_spelled("datestyle", full, PW_COUNTOF(full), "ISO, DMY");
	assert_spelled("DateStyle", left, PW_COUNTOF(left), "ISO, DMY");
	/* What the rest would be is not known. */
	assert_string_equal(pw_spelling("DateStyle", "ISO", NULL), "ISO");
	assert_string_equal(pw_spelling("DateStyle", "ISO", "strange"), "ISO");
	assert_string_equal(pw_spelling("DateStyle", "ISO", "SQL"), "ISO");
}

static void test_client_encoding(void **state)
{
	static const char *const cases[][2] = {
	    {"utf8", "UTF8"},
	    {"'utf-8'", "UTF8"},
	    {"Latin-1", "LATIN1"},
	    {"ISO_8859-5", "ISO_8859_5"},
	    {"utf9", "utf9"},
	    {"", ""},
	    {"a name that is longer than that of any encoding",
	     "a name that is longer than that of any encoding"},
	};

	(void)state;
	assert_spelled("client_encoding", cases, PW_COUNTOF(cases), "UTF8");
}

static void test_boolean(void **state)
{
	static const char *const cases[][2] = {
	    {"on", "on"}, {"ON", "on"},    {"of", "off"}, {"o", "o"},         {"t", "on"},
	    {"Y", "on"},  {"fals", "off"}, {"0", "off"},  {"10", "10"},       {"", ""},
	    {"n", "off"}, {"onn", "onn"},  {"1", "on"},   {"true ", "true "},
	};

	(void)state;
	assert_spelled("standard_conforming_strings", cases, PW_COUNTOF(cases), "on");
}

static void test_others_are_left(void **state)
{
	(void)state;
	assert_string_equal(pw_spelling("TimeZone", "utc", "UTC"), "utc");
	assert_string_equal(pw_spelling("application_name", "on", NULL), "on");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_date_style),
	    cmocka_unit_test(test_client_encoding),
	    cmocka_unit_test(test_boolean),
	    cmocka_unit_test(test_others_are_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

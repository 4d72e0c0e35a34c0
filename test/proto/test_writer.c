/* SPDX-License-Identifier: PostgreSQL
 *
 * Messages to the byte, and the parser of error fields, which must bear whatever a server sends.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pgweir/base/strbuf.h"
#include "pgweir/proto/reader.h"
#include "pgweir/proto/startup.h"
#include "pgweir/proto/writer.h"

#define ASSERT_WRITTEN(out, literal)                                                               \
	do {                                                                                       \
		assert_false((out).has_failed);                                                    \
		assert_int_equal((out).len, sizeof(literal) - 1);                                  \
		assert_memory_equal((out).data, literal, (out).len);                               \
		pw_strbuf_fini(&(out));                                                            \
	} while (0)

/* ---- messages ---- */

static void test_plain_messages(void **state)
{
	struct pw_strbuf out = PW_STRBUF_INIT;

	(void)state;
	pw_write_message(&out, 'S', NULL, 0);
	ASSERT_WRITTEN(out, "S\0\0\0\4");
	pw_write_query(&out, "");
	ASSERT_WRITTEN(out, "Q\0\0\0\5\0");
	pw_write_query(&out, "select 1");
	ASSERT_WRITTEN(out, "Q\0\0\0\15select 1\0");
	pw_write_ready(&out, 'T');
	ASSERT_WRITTEN(out, "Z\0\0\0\5T");
	pw_write_command_complete(&out, "SET");
	ASSERT_WRITTEN(out, "C\0\0\0\10SET\0");
	pw_write_parameter_status(&out, "a", "bc");
	ASSERT_WRITTEN(out, "S\0\0\0\11a\0bc\0");
	pw_write_auth(&out, PW_AUTH_REQ_OK, NULL, 0);
	ASSERT_WRITTEN(out, "R\0\0\0\10\0\0\0\0");
	pw_write_auth(&out, PW_AUTH_REQ_MD5, "salt", 4);
	ASSERT_WRITTEN(out, "R\0\0\0\14\0\0\0\5salt");
	pw_write_negotiate(&out, 2, "_pq_.a\0_pq_.b\0", 14, 2);
	ASSERT_WRITTEN(out, "v\0\0\0\32\0\0\0\2\0\0\0\2_pq_.a\0_pq_.b\0");
	pw_write_negotiate(&out, 0, NULL, 0, 0);
	ASSERT_WRITTEN(out, "v\0\0\0\14\0\0\0\0\0\0\0\0");
}

static void test_several_in_one_buffer(void **state)
{
	struct pw_strbuf out = PW_STRBUF_INIT;
	size_t begin;

	(void)state;
	pw_write_ready(&out, 'I');
	begin = pw_writer_begin(&out, 0);
	pw_strbuf_add_u32(&out, PW_PROTOCOL(3, 0));
	pw_writer_end(&out, begin);
	begin = pw_writer_begin(&out, 'd');
	pw_writer_end(&out, begin);
	ASSERT_WRITTEN(out, "Z\0\0\0\5I\0\0\0\10\0\3\0\0d\0\0\0\4");
}

/* A buffer that has failed stays failed, and nothing is written through it. */
static void test_failed_buffer(void **state)
{
	struct pw_strbuf out = {.has_failed = true};

	(void)state;
	pw_writer_end(&out, pw_writer_begin(&out, 'Q'));
	pw_write_query(&out, "select 1");
	assert_true(out.has_failed);
	assert_null(out.data);
}

static void test_error_message(void **state)
{
	struct pw_strbuf out = PW_STRBUF_INIT;
	struct pw_error err;

	(void)state;
	pw_error_set(&err, PW_SQLSTATE_PROTOCOL_VIOLATION, "no %s", "good");
	pw_write_error(&out, &err);
	ASSERT_WRITTEN(out, "E\0\0\0\43SFATAL\0VFATAL\0C08P01\0Mno good\0\0");
	pw_error_detail(&err, "d");
	pw_error_hint(&err, "h");
	err.severity = PW_SEVERITY_NOTICE;
	pw_write_error(&out, &err);
	ASSERT_WRITTEN(out, "N\0\0\0\53SNOTICE\0VNOTICE\0C08P01\0Mno good\0Dd\0Hh\0\0");
	err.severity = PW_SEVERITY_ERROR;
	pw_write_error(&out, &err);
	assert_int_equal(out.data[0], 'E');
	pw_strbuf_reset(&out);
	err.severity = PW_SEVERITY_WARNING;
	pw_write_error(&out, &err);
	assert_int_equal(out.data[0], 'N');
	pw_strbuf_fini(&out);
}

/* ---- error fields ---- */

/* From memory of exactly the body's size. */
static void check_fields(const void *body, size_t len, const struct pw_error_fields *wanted)
{
	uint8_t *copy = malloc(len ? len : 1);
	struct pw_error_fields got;

	if (len > 0)
		memcpy(copy, body, len);
	pw_parse_error_fields(copy, len, &got);
	assert_string_equal(got.severity, wanted->severity);
	assert_string_equal(got.sqlstate, wanted->sqlstate);
	assert_string_equal(got.message, wanted->message);
	assert_string_equal(got.detail, wanted->detail);
	assert_string_equal(got.hint, wanted->hint);
	assert_string_equal(got.routine, wanted->routine);
	assert_string_equal(got.position, wanted->position);
	free(copy);
}

static const char *const texts[] = {"FATAL",  "08P01",          "a message", "",
				    "a hint", "ProcessStartup", "17"};
static const char codes[] = "SCMDHRP";

/* Any subset of the fields, among others that nobody asks for; with and without the end. */
static void test_any_subset_of_fields(void **state)
{
	(void)state;
	for (unsigned set = 0; set < 1u << PW_COUNTOF(texts); set++) {
		struct pw_strbuf body = PW_STRBUF_INIT;
		const char *got[PW_COUNTOF(texts)];
		struct pw_error_fields wanted;

		for (size_t i = 0; i < PW_COUNTOF(texts); i++) {
			got[i] = set & 1u << i ? texts[i] : "";
			pw_strbuf_add(&body, "Fpostgres.c", sizeof("Fpostgres.c"));
			if (!(set & 1u << i))
				continue;
			pw_strbuf_add_char(&body, codes[i]);
			pw_strbuf_add(&body, texts[i], strlen(texts[i]) + 1);
		}
		wanted = (struct pw_error_fields){got[0], got[1], got[2], got[3],
						  got[4], got[5], got[6]};
		check_fields(body.data, body.len, &wanted);
		pw_strbuf_add_char(&body, '\0');
		check_fields(body.data, body.len, &wanted);
		pw_strbuf_fini(&body);
	}
}

/* Cut anywhere: a field without its zero byte is as good as none. */
static void test_fields_cut_anywhere(void **state)
{
	static const char body[] = "SERROR\0C42601\0Moops\0Rscan\0";

	(void)state;
	for (size_t len = 0; len <= sizeof(body); len++) {
		const struct pw_error_fields wanted = {
		    .severity = len >= 7 ? "ERROR" : "",
		    .sqlstate = len >= 14 ? "42601" : "",
		    .message = len >= 20 ? "oops" : "",
		    .detail = "",
		    .hint = "",
		    .routine = len >= 26 ? "scan" : "",
		    .position = "",
		};

		check_fields(body, len, &wanted);
	}
}

/* Whatever the language, and in whatever order. */
static void test_severity(void **state)
{
	const struct pw_error_fields fatal = {"FATAL", "", "", "", "", "", ""};
	const struct pw_error_fields error = {"ERROR", "", "", "", "", "", ""};

	(void)state;
	check_fields("SWICHTIG\0VFATAL\0", 17, &fatal);
	check_fields("VFATAL\0SWICHTIG\0", 17, &fatal);
	check_fields("SFATAL\0VERROR\0", 15, &error);
	check_fields("SFATAL\0", 8, &fatal);
	check_fields("SFATAL\0V\0", 10, &fatal);
}

static void test_odd_fields(void **state)
{
	const struct pw_error_fields none = {"", "", "", "", "", "", ""};
	const struct pw_error_fields last = {"", "", "second", "", "", "", ""};

	(void)state;
	check_fields(NULL, 0, &none);
	check_fields("\0", 1, &none);
	/* What follows the end is not looked at. */
	check_fields("\0Mhidden\0\0", 10, &none);
	check_fields("M", 1, &none);
	check_fields("Mno end", 7, &none);
	check_fields("\xff\xff\xff", 3, &none);
	check_fields("Mfirst\0Msecond\0\0", 16, &last);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_plain_messages),
	    cmocka_unit_test(test_several_in_one_buffer),
	    cmocka_unit_test(test_failed_buffer),
	    cmocka_unit_test(test_error_message),
	    cmocka_unit_test(test_any_subset_of_fields),
	    cmocka_unit_test(test_fields_cut_anywhere),
	    cmocka_unit_test(test_severity),
	    cmocka_unit_test(test_odd_fields),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: PostgreSQL
 *
 * Rows on the wire, in text and in binary.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "admin/admin_priv.h"
#include "pgweir/proto/reader.h"

static const struct pw_view one_of_each = {
    .columns = (const struct pw_column[]){{"t", PW_COL_TEXT, PW_MERGE_FIRST, ""},
					  {"i", PW_COL_INT4, PW_MERGE_FIRST, ""},
					  {"l", PW_COL_INT8, PW_MERGE_FIRST, ""},
					  {"n", PW_COL_NUMERIC, PW_MERGE_FIRST, ""},
					  {"h", PW_COL_HIDDEN, PW_MERGE_MAX, ""},
					  {.name = NULL}},
};

static const struct pw_view one_numeric = {
    .columns = (const struct pw_column[]){{"n", PW_COL_NUMERIC, PW_MERGE_SUM, ""}, {.name = NULL}},
};

static void test_binary(void **state)
{
	static const uint8_t expected[] = {
	    0,    4,                                                    /* four columns */
	    0,    0,    0,    4,    't',  'e',  'x',  't',              /* text */
	    0,    0,    0,    4,    0xff, 0xff, 0xff, 0xfe,             /* int4 -2 */
	    0,    0,    0,    8,    0,    0,    0,    1,    0, 0, 0, 0, /* int8 2^32 */
	    0xff, 0xff, 0xff, 0xff,                                     /* NULL */
	};
	struct pw_strbuf out = PW_STRBUF_INIT;
	struct pw_rows rows;
	struct pw_cell *row;

	(void)state;
	pw_rows_init(&rows, &one_of_each);
	row = pw_rows_add(&rows);
	pw_cell_set_text(&rows, &row[0], "text");
	pw_cell_set_number(&row[1], -2);
	pw_cell_set_number(&row[2], INT64_C(1) << 32);
	pw_answer_row(&out, &rows, 0, UINT64_MAX);
	assert_int_equal(out.len, 5 + sizeof(expected));
	assert_memory_equal(out.data + 5, expected, sizeof(expected));
	pw_strbuf_reset(&out);
	pw_answer_row(&out, &rows, 0, 0);
	assert_non_null(memmem(out.data, out.len, "\0\0\0\2-2", 6));
	assert_non_null(memmem(out.data, out.len, "\0\0\0\n4294967296", 14));
	pw_strbuf_fini(&out);
	pw_rows_fini(&rows);
}

/* Against what numeric_send() of PostgreSQL 15 gives for SELECT n::numeric. */
static void test_binary_numeric(void **state)
{
	static const struct {
		int64_t number;
		const char *hex;
	} cases[] = {
	    {0, "0000000000000000"},
	    {1, "00010000000000000001"},
	    {-1, "00010000400000000001"},
	    {9999, "0001000000000000270f"},
	    {10000, "00010001000000000001"},
	    {10001, "000200010000000000010001"},
	    {1230000, "0001000100000000007b"},
	    {100000000, "00010002000000000001"},
	    {INT64_MAX, "0005000400000000039a0d2c0170156516af"},
	    {INT64_MIN, "0005000440000000039a0d2c0170156516b0"},
	};

	(void)state;
	for (size_t i = 0; i < PW_COUNTOF(cases); i++) {
		struct pw_strbuf out = PW_STRBUF_INIT;
		struct pw_rows rows;
		char hex[64] = "";

		pw_rows_init(&rows, &one_numeric);
		pw_cell_set_number(pw_rows_add(&rows), cases[i].number);
		pw_answer_row(&out, &rows, 0, 1);
		for (size_t k = 5 + 2 + 4; k < out.len; k++)
			snprintf(hex + strlen(hex), sizeof(hex) - strlen(hex), "%02x",
				 (unsigned char)out.data[k]);
		assert_int_equal(pw_load_u32((const uint8_t *)out.data + 7), strlen(hex) / 2);
		assert_string_equal(hex, cases[i].hex);
		pw_rows_fini(&rows);
		pw_strbuf_fini(&out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_binary),
	    cmocka_unit_test(test_binary_numeric),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

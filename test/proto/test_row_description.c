/* SPDX-License-Identifier: PostgreSQL
 *
 * Two descriptions have one hash exactly when a client may take one for the other.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "pgweir/base/status.h"
#include "pgweir/proto/row_description.h"

static const struct pw_hash_key key = {3, 4};

static uint64_t hash_of(char type, const void *body, size_t len)
{
	uint8_t message[512] = {(uint8_t)type};
	struct pw_piece piece = {
	    .type = (uint8_t)type,
	    .data = message,
	    .len = PW_HEADER_SIZE + len,
	    .is_first = true,
	    .is_last = true,
	};

	memcpy(message + PW_HEADER_SIZE, body, len);
	return pw_row_description_hash(&key, &piece);
}

#define HASH(body) hash_of('T', body, sizeof(body) - 1)

/* table, column number | type, length, modifier | format */
#define TAIL   "\0\0\1\1\0\1\0\0\0\x17\0\4\xff\xff\xff\xff\0\0"
#define ONE    "\0\1v\0" TAIL
#define TWO    "\0\2v\0" TAIL "w\0" TAIL
#define MOVED  "\0\2w\0" TAIL "v\0" TAIL
#define OTHER  "\0\1v\0\0\0\7\2\0\2\0\0\0\x17\0\4\xff\xff\xff\xff\0\1"
#define TYPE   "\0\1v\0\0\0\1\1\0\1\0\0\0\x14\0\x8\xff\xff\xff\xff\0\0"
#define LENGTH "\0\1v\0\0\0\1\1\0\1\0\0\4\x13\xff\xff\0\0\0\x14\0\0"
#define LONGER "\0\1v\0\0\0\1\1\0\1\0\0\4\x13\xff\xff\0\0\0\x24\0\0"

static void test_same_shape(void **state)
{
	(void)state;
	assert_true(HASH(ONE) == HASH(ONE));
	assert_true(HASH(ONE) == HASH(OTHER)); /* another table, another format */
}

static void test_other_shapes(void **state)
{
	const uint64_t all[] = {
	    HASH(ONE),    HASH(TWO),    HASH(MOVED),  HASH("\0\1w\0" TAIL), HASH(TYPE),
	    HASH(LENGTH), HASH(LONGER), HASH("\0\0"), hash_of('n', "", 0),
	};

	(void)state;
	for (size_t i = 0; i < PW_COUNTOF(all); i++) {
		assert_true(all[i] != 0);
		for (size_t j = 0; j < i; j++)
			assert_true(all[i] != all[j]);
	}
}

static void test_malformed(void **state)
{
	struct pw_piece part = {.type = 'T', .data = (const uint8_t *)"T\0\0\0\7\0\0", .len = 7};

	(void)state;
	assert_int_equal(HASH(""), 0);
	assert_int_equal(HASH("\0"), 0);
	assert_int_equal(HASH("\0\1"), 0);
	assert_int_equal(HASH("\0\1v"), 0);
	assert_int_equal(HASH(ONE "x"), 0);
	assert_int_equal(HASH("\xff\xffv\0" TAIL), 0);
	for (size_t len = 0; len < sizeof(TWO) - 1; len++)
		assert_int_equal(hash_of('T', TWO, len), 0);
	part.is_first = true;
	assert_int_equal(pw_row_description_hash(&key, &part), 0);
	part.is_last = true;
	assert_true(pw_row_description_hash(&key, &part) != 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_same_shape),
	    cmocka_unit_test(test_other_shapes),
	    cmocka_unit_test(test_malformed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: PostgreSQL
 *
 * One analysis for all texts of a shape, and no more bytes than allowed.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "pgweir/sql/shape_cache.h"

static const struct pw_analysis *get(struct pw_shape_cache *cache, const char *text)
{
	const struct pw_hash_key secret = {1, 2};
	const struct pw_analysis *analysis;
	struct pw_shape_key key;
	struct pw_shape shape;

	pw_shape_key_init(&key, &secret);
	pw_shape_take(&shape, &key, text, strlen(text));
	analysis = pw_shape_cache_get(cache, text, &shape);
	assert_non_null(analysis);
	return analysis;
}

static void test_one_for_all(void **state)
{
	const struct pw_analysis *first;
	struct pw_shape_cache cache;

	(void)state;
	pw_shape_cache_init(&cache, 100000);
	first = get(&cache, "SELECT f(1)");
	assert_ptr_equal(get(&cache, "select F( 2 ) -- c"), first);
	assert_ptr_not_equal(get(&cache, "SELECT f('1')"), first);
	assert_ptr_equal(get(&cache, "SELECT f(3)"), first);
	assert_int_equal(cache.hits, 2);
	assert_int_equal(cache.misses, 2);
	/* What cannot be parsed is remembered as such. */
	assert_false(get(&cache, "SELEC 1")->is_parsed);
	assert_false(get(&cache, "SELEC 2")->is_parsed);
	assert_int_equal(cache.misses, 4);
	pw_shape_cache_fini(&cache);
}

/* The whole part of a broken text may be a statement: it is not taken for that. */
static void test_broken_is_nothing_else(void **state)
{
	struct pw_shape_cache cache;

	(void)state;
	pw_shape_cache_init(&cache, 100000);
	assert_true(get(&cache, "SELECT 1")->is_parsed);
	assert_false(get(&cache, "SELECT 1 'a")->is_parsed);
	assert_int_equal(cache.map.count, 1);
	pw_shape_cache_fini(&cache);
}

static void test_bounded(void **state)
{
	struct pw_shape_cache cache;
	char text[64];

	(void)state;
	pw_shape_cache_init(&cache, 4000);
	for (int i = 0; i < 1000; i++) {
		snprintf(text, sizeof(text), "SELECT f(a%d)", i);
		assert_string_equal(get(&cache, text)->items[0].name, "f");
		assert_true(cache.bytes <= 4000);
		/* One that is used stays. */
		(void)get(&cache, "SELECT kept()");
	}
	assert_true(cache.map.count > 3);
	assert_int_equal(cache.misses, 1001);
	pw_shape_cache_fini(&cache);
	/* Even one that is too large is there until the next. */
	pw_shape_cache_init(&cache, 1);
	assert_true(get(&cache, "SELECT f(1)")->is_parsed);
	assert_true(get(&cache, "SELECT g(1)")->is_parsed);
	assert_int_equal(cache.map.count, 1);
	pw_shape_cache_fini(&cache);
}

/* A shape is that of a text for as long as that lies where it did. */
static void test_last_shape(void **state)
{
	const struct pw_hash_key secret = {1, 2};
	char text[] = "SELECT 1";
	struct pw_shape_cache cache;
	struct pw_shape_key key;
	struct pw_id first, second;

	(void)state;
	pw_shape_key_init(&key, &secret);
	pw_shape_cache_init(&cache, 100000);
	first = pw_shape_cache_take(&cache, &key, text, 8)->id;
	assert_true(pw_id_equal(pw_shape_cache_take(&cache, &key, text, 8)->id, first));
	/* Another part of it is another text. */
	assert_false(pw_id_equal(pw_shape_cache_take(&cache, &key, text, 6)->id, first));
	memcpy(text, "DELETE 1", 8);
	pw_shape_cache_let_go(&cache);
	second = pw_shape_cache_take(&cache, &key, text, 8)->id;
	assert_false(pw_id_equal(first, second));
	pw_shape_cache_fini(&cache);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_one_for_all),
	    cmocka_unit_test(test_broken_is_nothing_else),
	    cmocka_unit_test(test_bounded),
	    cmocka_unit_test(test_last_shape),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

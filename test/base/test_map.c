/* SPDX-License-Identifier: PostgreSQL
 *
 * The intrusive map, against a plain array and with hashes that collide; the intrusive list.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pgweir/base/list.h"
#include "pgweir/base/map.h"
#include "pgweir/base/rng.h"

/* ---- the map ---- */

enum { ITEMS = 300 };

struct item {
	struct pw_map_node node;
	unsigned number;
	bool is_in, was_seen;
};

static bool has_number(const struct pw_map_node *node, const void *key)
{
	return PW_CONTAINER(node, const struct item, node)->number == *(const unsigned *)key;
}

static struct item *find(const struct pw_map *map, unsigned number, uint64_t hash)
{
	struct pw_map_node *node = pw_map_find(map, hash, has_number, &number);

	return node ? PW_CONTAINER(node, struct item, node) : NULL;
}

static void check_walk(const struct pw_map *map, struct item *items)
{
	size_t n = 0;

	for (unsigned i = 0; i < ITEMS; i++)
		items[i].was_seen = false;
	for (struct pw_map_node *node = pw_map_next(map, NULL); node;
	     node = pw_map_next(map, node)) {
		struct item *item = PW_CONTAINER(node, struct item, node);

		assert_true(item->is_in);
		assert_false(item->was_seen);
		item->was_seen = true;
		n++;
	}
	assert_int_equal(n, map->count);
}

/* `mask` makes hashes collide: 0 = all of them. */
static void check_against_array(uint64_t mask)
{
	struct item *items = calloc(ITEMS, sizeof(*items));
	struct pw_map map;
	struct pw_rng rng;
	size_t count = 0;

	pw_rng_seed(&rng, mask);
	pw_map_init(&map);
	for (int step = 0; step < 5000; step++) {
		unsigned k = (unsigned)(pw_rng_next(&rng) % ITEMS);
		struct item *item = &items[k];
		uint64_t hash = (k * UINT64_C(0x9e3779b97f4a7c15)) & mask;

		item->number = k;
		assert_ptr_equal(find(&map, k, hash), item->is_in ? item : NULL);
		if (item->is_in)
			pw_map_remove(&map, &item->node);
		else
			assert_int_equal(pw_map_insert(&map, &item->node, hash), PW_OK);
		item->is_in = !item->is_in;
		count += item->is_in ? 1 : (size_t)-1;
		assert_int_equal(map.count, count);
		if (step % 50 == 0)
			check_walk(&map, items);
	}
	pw_map_fini(&map);
	free(items);
}

static void test_map_against_array(void **state)
{
	(void)state;
	check_against_array(UINT64_MAX);
	check_against_array(0xff);
	check_against_array(3);
	check_against_array(0);
}

static void test_empty_map(void **state)
{
	struct pw_map map;

	(void)state;
	pw_map_init(&map);
	assert_null(find(&map, 1, 1));
	assert_null(pw_map_next(&map, NULL));
	assert_null(map.buckets);
	pw_map_fini(&map);
}

/* Equal hashes are not equal keys, and the key alone is not looked at. */
static void test_hash_and_key(void **state)
{
	struct item a = {.number = 1}, b = {.number = 2};
	struct pw_map map;

	(void)state;
	pw_map_init(&map);
	assert_int_equal(pw_map_insert(&map, &a.node, 7), PW_OK);
	assert_int_equal(pw_map_insert(&map, &b.node, 7), PW_OK);
	assert_ptr_equal(find(&map, 1, 7), &a);
	assert_ptr_equal(find(&map, 2, 7), &b);
	assert_null(find(&map, 3, 7));
	assert_null(find(&map, 1, 7 + (UINT64_C(1) << 60)));
	pw_map_remove(&map, &b.node);
	assert_null(find(&map, 2, 7));
	assert_ptr_equal(find(&map, 1, 7), &a);
	pw_map_fini(&map);
}

/* ---- the list ---- */

struct member {
	struct pw_list node;
	char name;
};

static void assert_list(const struct pw_list *list, const char *names)
{
	size_t n = 0;

	PW_LIST_FOREACH (node, list) {
		assert_int_equal(PW_CONTAINER(node, const struct member, node)->name, names[n]);
		assert_ptr_equal(node->next->prev, node);
		n++;
	}
	assert_int_equal(n, strlen(names));
	assert_int_equal(pw_list_length(list), n);
	assert_int_equal(pw_list_is_empty(list), n == 0);
	assert_int_equal(pw_list_first(list) == NULL, n == 0);
	if (n > 0) {
		assert_ptr_equal(pw_list_first(list), list->next);
		assert_ptr_equal(pw_list_last(list), list->prev);
	}
}

static void test_list(void **state)
{
	struct member m[4] = {{.name = 'a'}, {.name = 'b'}, {.name = 'c'}, {.name = 'd'}};
	struct pw_list list;

	(void)state;
	pw_list_init(&list);
	for (int i = 0; i < 4; i++)
		pw_list_init(&m[i].node);
	assert_list(&list, "");
	assert_null(pw_list_last(&list));
	pw_list_append(&list, &m[1].node);
	pw_list_prepend(&list, &m[0].node);
	pw_list_append(&list, &m[3].node);
	pw_list_insert_before(&m[3].node, &m[2].node);
	assert_list(&list, "abcd");
	pw_list_remove(&m[1].node);
	pw_list_remove(&m[1].node); /* in none: harmless */
	assert_list(&list, "acd");
	pw_list_remove(&m[0].node);
	pw_list_remove(&m[3].node);
	assert_list(&list, "c");
	pw_list_remove(&m[2].node);
	assert_list(&list, "");
}

static void test_list_removing_while_walking(void **state)
{
	struct member m[4] = {{.name = 'a'}, {.name = 'b'}, {.name = 'c'}, {.name = 'd'}};
	struct pw_list list;

	(void)state;
	pw_list_init(&list);
	for (int i = 0; i < 4; i++)
		pw_list_append(&list, &m[i].node);
	PW_LIST_FOREACH_SAFE (node, &list) {
		if (PW_CONTAINER(node, struct member, node)->name % 2)
			pw_list_remove(node);
	}
	assert_list(&list, "bd");
	PW_LIST_FOREACH_SAFE (node, &list) {
		pw_list_remove(node);
	}
	assert_list(&list, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_map_against_array),
	    cmocka_unit_test(test_empty_map),
	    cmocka_unit_test(test_hash_and_key),
	    cmocka_unit_test(test_list),
	    cmocka_unit_test(test_list_removing_while_walking),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: PostgreSQL
 *
 * The ring of expected answers against a plain array, through growing and wrapping round.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pgweir/base/rng.h"
#include "pgweir/pool/expect.h"

static struct pw_expect numbered(uint64_t n)
{
	return (struct pw_expect){.role = PW_ROLE_PARSE, .statement = {n, ~n}};
}

static void push(struct pw_expect_queue *queue, uint64_t n)
{
	struct pw_expect entry = numbered(n);

	assert_int_equal(pw_expect_push(queue, &entry), PW_OK);
}

static void assert_is(const struct pw_expect *entry, uint64_t n)
{
	assert_non_null(entry);
	assert_int_equal(entry->statement.lo, n);
	assert_int_equal(entry->statement.hi, ~n);
	assert_int_equal(entry->role, PW_ROLE_PARSE);
}

static bool any(const struct pw_expect *entry)
{
	return entry != NULL;
}

static bool has_object(const struct pw_expect *entry)
{
	return entry->object != NULL;
}

static void cut(struct pw_expect_queue *queue, uint32_t from, uint32_t to)
{
	assert_int_equal(pw_expect_drop(queue, from, to, any), to - from);
}

static void test_empty_queue_has_no_memory(void **state)
{
	struct pw_expect_queue queue;

	(void)state;
	pw_expect_init(&queue);
	assert_null(queue.ring);
	assert_null(pw_expect_at(&queue, 0));
	pw_expect_trim(&queue);
	pw_expect_fini(&queue);
}

static void test_order_through_growth(void **state)
{
	struct pw_expect_queue queue;

	(void)state;
	/* Begin in the middle of the ring, so that growing meets a wrapped one. */
	for (uint64_t skew = 0; skew < 8; skew++) {
		pw_expect_init(&queue);
		for (uint64_t i = 0; i < skew; i++) {
			push(&queue, 1000 + i);
			assert_int_equal(pw_expect_pop(&queue).statement.lo, 1000 + i);
		}
		for (uint64_t i = 0; i < 300; i++) {
			push(&queue, i);
			assert_is(pw_expect_at(&queue, 0), 0);
			assert_is(pw_expect_at(&queue, (uint32_t)i / 2), i / 2);
			assert_is(pw_expect_at(&queue, (uint32_t)i), i);
			assert_null(pw_expect_at(&queue, (uint32_t)i + 1));
		}
		assert_null(pw_expect_at(&queue, UINT32_MAX));
		for (uint64_t i = 0; i < 300; i++)
			assert_int_equal(pw_expect_pop(&queue).statement.lo, i);
		assert_int_equal(queue.n, 0);
		pw_expect_fini(&queue);
	}
}

static void test_against_an_array(void **state)
{
	enum { STEPS = 20000 };
	uint64_t *model = malloc(STEPS * sizeof(*model));
	size_t first = 0, end = 0;
	struct pw_expect_queue queue;
	struct pw_rng rng;

	(void)state;
	pw_rng_seed(&rng, 7);
	pw_expect_init(&queue);
	for (uint64_t i = 0; i < STEPS; i++) {
		uint64_t dice = pw_rng_next(&rng) % 8;

		if (dice < 4 || first == end) {
			model[end++] = i;
			push(&queue, i);
		} else if (dice < 6) {
			assert_int_equal(pw_expect_pop(&queue).statement.lo, model[first++]);
		} else {
			size_t from = first + pw_rng_next(&rng) % (end - first);
			size_t to = from + pw_rng_next(&rng) % (end - from + 1);

			cut(&queue, (uint32_t)(from - first), (uint32_t)(to - first));
			memmove(&model[from], &model[to], (end - to) * sizeof(*model));
			end -= to - from;
		}
		assert_int_equal(queue.n, end - first);
		if (end > first) {
			size_t k = pw_rng_next(&rng) % (end - first);

			assert_is(pw_expect_at(&queue, (uint32_t)k), model[first + k]);
		}
	}
	pw_expect_fini(&queue);
	free(model);
}

static void test_trim(void **state)
{
	struct pw_expect_queue queue;

	(void)state;
	pw_expect_init(&queue);
	for (uint64_t i = 0; i < 100; i++)
		push(&queue, i);
	pw_expect_trim(&queue);
	assert_int_equal(queue.n, 100);
	assert_is(pw_expect_at(&queue, 99), 99);
	while (queue.n > 0)
		(void)pw_expect_pop(&queue);
	pw_expect_trim(&queue);
	assert_null(queue.ring);
	push(&queue, 5);
	assert_is(pw_expect_at(&queue, 0), 5);
	cut(&queue, 0, 1);
	/* A short pipeline's memory is kept for the next one. */
	pw_expect_trim(&queue);
	assert_non_null(queue.ring);
	pw_expect_fini(&queue);
}

/* A client that never waits for answers cannot make the ring grow for ever. */
static void test_bound(void **state)
{
	struct pw_expect entry = numbered(1);
	struct pw_expect_queue queue;
	size_t n = 0;

	(void)state;
	pw_expect_init(&queue);
	while (pw_expect_push(&queue, &entry) == PW_OK && n <= 1u << 20)
		n++;
	assert_int_equal(n, 1u << 20);
	assert_int_equal(pw_expect_push(&queue, &entry), PW_ENOMEM);
	assert_int_equal(queue.n, n);
	(void)pw_expect_pop(&queue);
	assert_int_equal(pw_expect_push(&queue, &entry), PW_OK);
	pw_expect_fini(&queue);
}

static void test_sync_points(void **state)
{
	(void)state;
	for (int role = PW_ROLE_NONE; role <= PW_ROLE_PASSWORD; role++) {
		struct pw_expect entry = {.role = (enum pw_message_role)role};

		assert_int_equal(pw_expect_is_sync_point(&entry), role == PW_ROLE_QUERY ||
								      role == PW_ROLE_FUNCTION ||
								      role == PW_ROLE_SYNC);
	}
}

/* However entries come and go, those of a kind are counted. */
static void test_counts(void **state)
{
	static const enum pw_message_role roles[] = {PW_ROLE_PARSE, PW_ROLE_SYNC, PW_ROLE_EXECUTE,
						     PW_ROLE_QUERY, PW_ROLE_FUNCTION};
	struct pw_expect_queue queue;

	(void)state;
	pw_expect_init(&queue);
	for (uint32_t i = 0; i < 100; i++) {
		struct pw_expect entry = {.role = roles[i % PW_COUNTOF(roles)],
					  .flags = i % 2 ? PW_EXPECT_FORGETS : 0};

		assert_int_equal(pw_expect_push(&queue, &entry), PW_OK);
	}
	assert_int_equal(queue.n_sync_points, 60);
	assert_int_equal(queue.n_syncs, 20);
	assert_int_equal(queue.n_forgets, 50);
	(void)pw_expect_pop(&queue);
	assert_int_equal(queue.n_sync_points, 60);
	(void)pw_expect_pop(&queue);
	assert_int_equal(queue.n_sync_points, 59);
	cut(&queue, 0, 1);
	assert_int_equal(queue.n_sync_points, 59);
	cut(&queue, 0, 2);
	assert_int_equal(queue.n_sync_points, 57);
	cut(&queue, 5, 10);
	assert_int_equal(queue.n_sync_points, 54);
	assert_int_equal(queue.n_syncs, 18);
	assert_int_equal(queue.n_forgets, 46);
	cut(&queue, 0, queue.n);
	assert_int_equal(queue.n, 0);
	assert_int_equal(queue.n_sync_points, 0);
	pw_expect_fini(&queue);
}

static void add(struct pw_expect_queue *queue, enum pw_message_role role, unsigned flags)
{
	const struct pw_expect entry = {.role = role, .flags = flags};

	assert_int_equal(pw_expect_push(queue, &entry), PW_OK);
}

/* An entry that can be undone is in doubt once a sync point is behind it, until it is answered. */
static void test_doubtful_ones(void **state)
{
	struct pw_expect_queue queue;

	(void)state;
	pw_expect_init(&queue);
	add(&queue, PW_ROLE_PARSE, PW_EXPECT_KNOWN);
	add(&queue, PW_ROLE_BIND, 0);
	add(&queue, PW_ROLE_CLOSE, PW_EXPECT_NAMED);
	assert_int_equal(queue.n_undoable, 2);
	assert_int_equal(queue.n_doubtful, 0);
	add(&queue, PW_ROLE_SYNC, 0);
	assert_int_equal(queue.n_doubtful, 2);
	add(&queue, PW_ROLE_PARSE, PW_EXPECT_LOCAL);
	assert_int_equal(queue.n_undoable, 3);
	for (uint32_t doubtful = 1; doubtful < 4; doubtful++) {
		(void)pw_expect_pop(&queue); /* the Parse, the Bind, the Close */
		assert_int_equal(queue.n_doubtful, doubtful < 3 ? 1 : 0);
	}
	(void)pw_expect_pop(&queue);
	assert_int_equal(queue.n_undoable, 1);
	assert_int_equal(queue.n_doubtful, 0);
	add(&queue, PW_ROLE_QUERY, 0);
	assert_int_equal(queue.n_doubtful, 1);
	cut(&queue, 0, 2);
	assert_int_equal(queue.n_undoable + queue.n_doubtful, 0);
	pw_expect_fini(&queue);
}

/* What goes is spread among what stays, at every place in the ring; what is behind both stays where
 * it is in memory, however much it may be. */
static void test_drop_some(void **state)
{
	enum { N = 12, FROM = 2, TO = 9 };
	static const uint64_t left[] = {0, 1, 3, 5, 7, 9, 10, 11};
	struct pw_expect_queue queue;

	(void)state;
	for (uint64_t skew = 0; skew < 16; skew++) {
		const struct pw_expect *behind;

		pw_expect_init(&queue);
		for (uint64_t i = 0; i < N; i++)
			push(&queue, i);
		for (uint64_t i = 0; i < skew; i++) {
			(void)pw_expect_pop(&queue);
			push(&queue, i);
		}
		for (uint32_t i = 0; i < N; i++) {
			pw_expect_at(&queue, i)->statement = (struct pw_id){i, ~(uint64_t)i};
			pw_expect_at(&queue, i)->object = i % 2 ? NULL : &queue;
		}
		behind = pw_expect_at(&queue, TO);
		assert_int_equal(pw_expect_drop(&queue, FROM, TO, has_object), 4);
		assert_int_equal(queue.n, PW_COUNTOF(left));
		for (uint32_t i = 0; i < queue.n; i++)
			assert_is(pw_expect_at(&queue, i), left[i]);
		assert_ptr_equal(pw_expect_at(&queue, TO - 4), behind);
		assert_int_equal(pw_expect_drop(&queue, 3, 3, any), 0);
		assert_int_equal(queue.n, PW_COUNTOF(left));
		pw_expect_fini(&queue);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_empty_queue_has_no_memory),
	    cmocka_unit_test(test_order_through_growth),
	    cmocka_unit_test(test_against_an_array),
	    cmocka_unit_test(test_trim),
	    cmocka_unit_test(test_bound),
	    cmocka_unit_test(test_sync_points),
	    cmocka_unit_test(test_counts),
	    cmocka_unit_test(test_doubtful_ones),
	    cmocka_unit_test(test_drop_some),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

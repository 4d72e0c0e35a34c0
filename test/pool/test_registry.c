/* SPDX-License-Identifier: PostgreSQL
 *
 * Limits are exact whatever the threads do; entries live as long as somebody holds them.
 */
#include "config.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "pgweir/base/clock.h"
#include "pgweir/base/status.h"
#include "pgweir/pool/registry.h"

enum { THREADS = 4, ROUNDS = 20000 };

static const struct pw_hash_key key = {1, 2};

/* ---- limits ---- */

static void test_limit(void **state)
{
	struct pw_limit limit = {0};

	(void)state;
	assert_true(pw_limit_take(&limit, 2));
	assert_true(pw_limit_take(&limit, 2));
	assert_int_equal(pw_limit_used(&limit), 2);
	assert_false(pw_limit_take(&limit, 2));
	assert_int_equal(pw_limit_used(&limit), 2);
	/* The limit may be another one at every call; 0 is none. */
	assert_false(pw_limit_take(&limit, 1));
	assert_true(pw_limit_take(&limit, 3));
	assert_true(pw_limit_take(&limit, 0));
	/* Who was refused is told of once. */
	assert_true(pw_limit_give(&limit));
	assert_false(pw_limit_give(&limit));
	assert_true(pw_limit_take(&limit, 3));
	assert_false(pw_limit_give(&limit));
	assert_false(pw_limit_give(&limit));
	assert_false(pw_limit_give(&limit));
	assert_int_equal(pw_limit_used(&limit), 0);
}

struct hammer {
	struct pw_limit limit;
	int max;
	atomic_int holders; /* counted apart from the limit */
	atomic_int most;
	atomic_int taken, wakes;
};

static void *hammer_limit(void *arg)
{
	struct hammer *h = arg;

	for (int i = 0; i < ROUNDS; i++) {
		int now, most;

		if (!pw_limit_take(&h->limit, h->max)) {
			sched_yield();
			continue;
		}
		now = atomic_fetch_add(&h->holders, 1) + 1;
		most = atomic_load(&h->most);
		while (now > most && !atomic_compare_exchange_weak(&h->most, &most, now))
			;
		atomic_fetch_add(&h->taken, 1);
		if (i % 16 == 0)
			sched_yield(); /* hold it for others to meet */
		atomic_fetch_sub(&h->holders, 1);
		if (pw_limit_give(&h->limit))
			atomic_fetch_add(&h->wakes, 1);
	}
	return NULL;
}

static void run_hammers(struct hammer *h)
{
	pthread_t threads[THREADS];

	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, hammer_limit, h), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
}

static void test_limit_under_threads(void **state)
{
	(void)state;
	for (int max = 0; max <= THREADS; max++) {
		struct hammer h = {.max = max};

		run_hammers(&h);
		assert_int_equal(pw_limit_used(&h.limit), 0);
		assert_true(atomic_load(&h.taken) > 0);
		if (max > 0)
			assert_in_range(atomic_load(&h.most), 1, max);
		if (max == 0 || max == THREADS) {
			assert_int_equal(atomic_load(&h.taken), THREADS * ROUNDS);
			assert_int_equal(atomic_load(&h.wakes), 0);
		}
	}
}

/* Nobody sleeps for ever: after every refusal some give tells of it. */
struct handshake {
	struct pw_limit limit;
	atomic_int given, was_told;
	atomic_bool stop;
};

static void *give_again_and_again(void *arg)
{
	struct handshake *h = arg;

	while (!atomic_load(&h->stop)) {
		if (!pw_limit_take(&h->limit, 1))
			continue;
		atomic_fetch_add(&h->given, 1);
		if (pw_limit_give(&h->limit))
			atomic_fetch_add(&h->was_told, 1);
	}
	return NULL;
}

static bool is_told(struct handshake *h, int before)
{
	uint64_t until = pw_clock_now_us() + 10 * PW_SECOND_US;

	while (atomic_load(&h->was_told) == before && pw_clock_now_us() < until)
		sched_yield();
	return atomic_load(&h->was_told) != before;
}

static void test_no_refusal_is_missed(void **state)
{
	struct handshake h = {.given = 0};
	bool ok = true;
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, give_again_and_again, &h), 0);
	while (atomic_load(&h.given) == 0)
		sched_yield();
	for (int i = 0; i < 5000 && ok; i++) {
		int told = atomic_load(&h.was_told);

		/* Nobody else is refused while this thread waits. */
		if (pw_limit_take(&h.limit, 1))
			(void)pw_limit_give(&h.limit);
		else
			ok = is_told(&h, told);
	}
	atomic_store(&h.stop, true);
	pthread_join(thread, NULL);
	assert_true(ok);
	assert_int_equal(pw_limit_used(&h.limit), 0);
}

/* ---- entries ---- */

static void test_entries_are_shared(void **state)
{
	struct pw_registry r;
	struct pw_shared_pool *a, *b, *c;
	struct pw_shared_db *db;
	struct pw_shared_user *user;
	uint64_t id;

	(void)state;
	assert_int_equal(pw_registry_init(&r, 3, &key), PW_OK);
	assert_null(pw_registry_find_db(&r, "app"));
	a = pw_registry_pool(&r, "app", "bob", false);
	b = pw_registry_pool(&r, "app", "bob", false);
	c = pw_registry_pool(&r, "bob", "app", false);
	assert_ptr_equal(a, b);
	assert_ptr_not_equal(a, c);
	assert_int_not_equal(a->id, c->id);
	db = pw_registry_find_db(&r, "app");
	assert_ptr_equal(db, a->db);
	user = pw_registry_user(&r, "bob");
	assert_ptr_equal(user, a->user);
	id = a->id;
	pw_registry_put_pool(&r, a);
	assert_int_equal(r.pools.count, 2);
	pw_registry_put_pool(&r, b);
	assert_int_equal(r.pools.count, 1);
	/* Held by hand, they outlive the pool; an id is never used twice. */
	assert_int_equal(db->refs, 1);
	assert_int_equal(user->refs, 1);
	a = pw_registry_pool(&r, "app", "bob", false);
	assert_ptr_equal(a->db, db);
	assert_true(a->id > id);
	pw_registry_put_pool(&r, a);
	pw_registry_put_pool(&r, c);
	pw_registry_put_db(&r, db);
	pw_registry_put_user(&r, user);
	pw_registry_put_db(&r, NULL);
	pw_registry_put_user(&r, NULL);
	pw_registry_put_pool(&r, NULL);
	assert_int_equal(r.dbs.count + r.users.count + r.pools.count, 0);
	pw_registry_fini(&r);
}

/* "a" + "bc" and "ab" + "c" are two pools. */
static void test_pool_names_do_not_run_together(void **state)
{
	struct pw_registry r;
	struct pw_shared_pool *a, *b;

	(void)state;
	assert_int_equal(pw_registry_init(&r, 1, &key), PW_OK);
	a = pw_registry_pool(&r, "a", "bc", false);
	b = pw_registry_pool(&r, "ab", "c", false);
	assert_ptr_not_equal(a, b);
	pw_registry_put_pool(&r, a);
	pw_registry_put_pool(&r, b);
	pw_registry_fini(&r);
}

/* PAUSE and DISABLE stay said when the last client has gone. */
static void test_paused_database_is_kept(void **state)
{
	struct pw_registry r;
	struct pw_shared_db *db;

	(void)state;
	assert_int_equal(pw_registry_init(&r, 1, &key), PW_OK);
	db = pw_registry_db(&r, "app");
	atomic_store(&db->is_paused, true);
	pw_registry_put_db(&r, db);
	db = pw_registry_find_db(&r, "app");
	assert_non_null(db);
	assert_true(atomic_load(&db->is_paused));
	atomic_store(&db->is_disabled, true);
	atomic_store(&db->is_paused, false);
	pw_registry_put_db(&r, db);
	db = pw_registry_find_db(&r, "app");
	assert_non_null(db);
	atomic_store(&db->is_disabled, false);
	pw_registry_put_db(&r, db);
	assert_null(pw_registry_find_db(&r, "app"));
	pw_registry_fini(&r);
}

static void test_seats(void **state)
{
	struct pw_registry r;
	struct pw_shared_pool *pool;

	(void)state;
	assert_int_equal(pw_registry_init(&r, PW_WORKERS_MAX, &key), PW_OK);
	pool = pw_registry_pool(&r, "app", "bob", false);
	for (unsigned i = 0; i < PW_WORKERS_MAX; i++) {
		assert_int_equal((uintptr_t)&pool->seats[i] % PW_CACHE_LINE, 0);
		assert_int_equal(atomic_load(&pool->seats[i].head_since_us), 0);
		assert_int_equal(atomic_load(&pool->seats[i].idle), 0);
		assert_int_equal(atomic_load(&pool->seats[i].incoming), 0);
		atomic_store(&pool->seats[i].idle, (int)i);
	}
	for (unsigned i = 0; i < PW_WORKERS_MAX; i++)
		assert_int_equal(atomic_load(&pool->seats[i].idle), i);
	pw_registry_put_pool(&r, pool);
	pw_registry_fini(&r);
}

static void count_pool(struct pw_shared_pool *pool, void *arg)
{
	assert_non_null(pool->db);
	++*(unsigned *)arg;
}

static void count_db(struct pw_shared_db *db, void *arg)
{
	assert_non_null(db->name);
	++*(unsigned *)arg;
}

static void count_user(struct pw_shared_user *user, void *arg)
{
	assert_non_null(user->name);
	++*(unsigned *)arg;
}

static void test_walks(void **state)
{
	struct pw_shared_pool *pools[30];
	struct pw_registry r;
	unsigned n_pools = 0, n_dbs = 0, n_users = 0;

	(void)state;
	assert_int_equal(pw_registry_init(&r, 1, &key), PW_OK);
	for (unsigned i = 0; i < PW_COUNTOF(pools); i++) {
		const char db[] = {(char)('a' + i % 6), '\0'};
		const char user[] = {(char)('a' + i / 6), '\0'};

		pools[i] = pw_registry_pool(&r, db, user, false);
	}
	pw_registry_each_pool(&r, count_pool, &n_pools);
	pw_registry_each_db(&r, count_db, &n_dbs);
	pw_registry_each_user(&r, count_user, &n_users);
	assert_int_equal(n_pools, 30);
	assert_int_equal(n_dbs, 6);
	assert_int_equal(n_users, 5);
	for (unsigned i = 0; i < PW_COUNTOF(pools); i++)
		pw_registry_put_pool(&r, pools[i]);
	pw_registry_fini(&r);
}

static void *take_and_put_entries(void *arg)
{
	struct pw_registry *r = arg;
	uintptr_t faults = 0;

	for (int i = 0; i < ROUNDS / 10; i++) {
		struct pw_shared_pool *pool =
		    pw_registry_pool(r, i % 2 ? "app" : "web", "bob", false);
		struct pw_shared_db *db = pw_registry_find_db(r, i % 2 ? "app" : "web");

		faults += !pool || !db || pool->db != db || strcmp(pool->user->name, "bob") != 0;
		pw_registry_put_pool(r, pool);
		pw_registry_put_db(r, db);
	}
	return (void *)faults;
}

static void test_entries_under_threads(void **state)
{
	struct pw_registry r;
	pthread_t threads[THREADS];

	(void)state;
	assert_int_equal(pw_registry_init(&r, THREADS, &key), PW_OK);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, take_and_put_entries, &r), 0);
	for (int i = 0; i < THREADS; i++) {
		void *faults;

		pthread_join(threads[i], &faults);
		assert_null(faults);
	}
	assert_int_equal(r.dbs.count + r.users.count + r.pools.count, 0);
	pw_registry_fini(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_limit),
	    cmocka_unit_test(test_limit_under_threads),
	    cmocka_unit_test(test_no_refusal_is_missed),
	    cmocka_unit_test(test_entries_are_shared),
	    cmocka_unit_test(test_pool_names_do_not_run_together),
	    cmocka_unit_test(test_paused_database_is_kept),
	    cmocka_unit_test(test_seats),
	    cmocka_unit_test(test_walks),
	    cmocka_unit_test(test_entries_under_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

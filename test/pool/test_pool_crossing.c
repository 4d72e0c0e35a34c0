/* SPDX-License-Identifier: PostgreSQL
 *
 * Links that change workers in the midst of something else: a login, a check, a reload, a shortage
 * of memory. What is counted is right afterwards, and nobody waits for what will not come.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "workers_fixture.h"

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define CAN_REFUSE_MEMORY 1
#endif

#ifdef CAN_REFUSE_MEMORY
static bool is_memory_out;

void *__libc_calloc(size_t n, size_t size);

void *calloc(size_t n, size_t size)
{
	return is_memory_out ? NULL : __libc_calloc(n, size);
}
#endif

/* ---- logins ---- */

/* Worker 0 has opened it, worker 1 gets it: as if it had never been there. */
static void test_link_crosses_straight_from_its_login(void **state)
{
	struct fixture *f = begin("default_pool_size = 1", "", 2);
	struct pw_shared_pool *shared = shared_of(f);

	(void)state;
	assert_false(fake_borrow(&f->b[0][0]));
	fake_turn(&f->env);
	assert_int_equal(pool_of(f, 0)->n_opening, 1);
	assert_false(fake_borrow(&f->b[1][0]));
	fake_turn(&f->env);
	pw_pool_withdraw(&f->b[0][0].loan);
	assert_int_equal(log_all_in(f), 1);
	fake_assert_heard(&f->b[1][0], "link");
	assert_int_equal(pool_of(f, 0)->n_opening, 0);
	assert_int_equal(pw_limit_used(&shared->logins), 0);
	assert_int_equal(atomic_load(&shared->standing), 1);
	/* With the only one lost, the next login may begin at once. */
	fake_server_close(&f->s[0]);
	fake_assert_heard(&f->b[1][0], "lost:08P01");
	assert_int_equal(atomic_load(&shared->standing), 0);
	assert_false(fake_borrow(&f->b[0][1]));
	assert_int_equal(log_all_in(f), 1);
	fake_assert_heard(&f->b[0][1], "link");
	end(f);
}

/* ---- checks ---- */

static struct fixture *begin_with_a_stale_link(void)
{
	struct fixture *f = begin("default_pool_size = 1\nserver_check_delay = 10\n"
				  "server_check_query = select 1",
				  "", 2);

	assert_false(fake_borrow(&f->b[0][0]));
	assert_int_equal(log_all_in(f), 1);
	fake_assert_heard(&f->b[0][0], "link");
	give_back(f, &f->b[0][0]);
	fake_pass(&f->env, 11 * PW_SECOND_US);
	assert_int_equal(pw_list_length(&pool_of(f, 0)->stale), 1);
	return f;
}

/* A stale link is as good as an idle one to whoever is elsewhere: it is checked, and then comes. */
static void test_stale_link_is_asked_for(void **state)
{
	struct fixture *f = begin_with_a_stale_link();

	(void)state;
	assert_int_equal(idle_at(f, 0), 1);
	assert_false(fake_borrow(&f->b[1][0]));
	fake_must_receive_query(&f->s[0], "select 1");
	assert_int_equal(idle_at(f, 0), 0);
	fake_answer(&f->s[0], "T D C=SELECT+1 Z=I");
	fake_assert_heard(&f->b[1][0], "link");
	assert_int_equal(idle_at(f, 0) + idle_at(f, 1), 0);
	end(f);
}

/* Counted upon, and dead when it is checked: a new one is opened at once, not at the next round of
 * the janitor. */
static void test_stale_link_fails_its_check(void **state)
{
	for (unsigned worker = 0; worker < 2; worker++) {
		struct fixture *f = begin_with_a_stale_link();

		assert_false(fake_borrow(&f->b[worker][0]));
		fake_must_receive_query(&f->s[0], "select 1");
		fake_server_close(&f->s[0]);
		assert_int_equal(log_all_in(f), 1);
		fake_assert_heard(&f->b[worker][0], "link");
		end(f);
	}
	(void)state;
}

/* ---- asking in vain ---- */

/* What the other worker has cannot move, and it says so: it is not asked again at once. */
static void test_empty_answer_is_not_asked_for_again(void **state)
{
	struct fixture *f = begin_with_one_link(2);

	(void)state;
	give_back(f, &f->b[0][0]);
	assert_int_equal(send(f->s[0].fd, "N\0\0", 3, 0), 3);
	fake_turn(&f->env);
	assert_int_equal(idle_at(f, 0), 1);
	assert_false(fake_borrow(&f->b[1][0]));
	fake_turn_worker(&f->env, 1);
	assert_int_equal(pool_of(f, 1)->asked, 1);
	fake_turn_worker(&f->env, 0);
	fake_turn_worker(&f->env, 1);
	assert_int_equal(pool_of(f, 1)->asked, 0);
	fake_turn(&f->env);
	assert_int_equal(pool_of(f, 1)->asked, 0);
	fake_assert_heard(&f->b[1][0], "");
	/* Once the rest of that message is there, the link moves. */
	assert_int_equal(send(f->s[0].fd, "\0\5\0", 3, 0), 3);
	fake_pass(&f->env, PW_SECOND_US);
	fake_assert_heard(&f->b[1][0], "link");
	end(f);
}

static void test_answer_needs_no_memory(void **state)
{
	(void)state;
#ifdef CAN_REFUSE_MEMORY
	for (int has_link = 0; has_link < 2; has_link++) {
		struct fixture *f = begin_with_one_link(2);

		give_back(f, &f->b[0][0]);
		assert_false(fake_borrow(&f->b[1][0]));
		fake_turn_worker(&f->env, 1);
		assert_int_equal(pool_of(f, 1)->asked, 1);
		if (!has_link)
			assert_true(fake_borrow(&f->b[0][1]));
		is_memory_out = true;
		fake_turn_worker(&f->env, 0);
		is_memory_out = false;
		fake_turn(&f->env);
		assert_int_equal(pool_of(f, 1)->asked, 0);
		if (!has_link)
			give_back(f, &f->b[0][1]);
		fake_pass(&f->env, PW_SECOND_US);
		fake_assert_heard(&f->b[1][0], "link");
		end(f);
	}
#else
	skip();
#endif
}

/* ---- reloads ---- */

/* Worker 0's first borrower takes a link of ann's that worker 1 has idle; was it the same one? */
static bool link_survives_the_way(struct fixture *f, struct fake_borrower *giver,
				  struct fake_borrower *taker)
{
	uint64_t id = giver->loan.link->facts.id;
	bool is_same;

	give_back(f, giver);
	assert_false(fake_borrow(taker));
	(void)log_all_in(f);
	fake_assert_heard(taker, "link");
	is_same = taker->loan.link->facts.id == id;
	pw_pool_return(&taker->loan, false, false);
	fake_turn(&f->env);
	return is_same;
}

/* A worker whose pool is older than the reload and one whose pool is younger mean the same. */
static void test_pools_made_before_and_after_a_reload(void **state)
{
	static const char *const dbs[] = {"connect_query='select 1'", "",
					  "connect_query='select 2'"};
	struct fixture *f = begin("default_pool_size = 1", "", 2);
	struct fake_borrower older, younger;

	(void)state;
	fake_borrower_init(&older, fake_pool_of(&f->env, 0, "ann"));
	for (size_t i = 0; i < PW_COUNTOF(dbs); i++)
		fake_reload(&f->env, "default_pool_size = 1", dbs[i]);
	fake_reload(&f->env, "default_pool_size = 1", "");
	fake_borrower_init(&younger, fake_pool_of(&f->env, 1, "ann"));
	assert_false(fake_borrow(&older));
	assert_int_equal(log_all_in(f), 1);
	fake_assert_heard(&older, "link");
	assert_true(link_survives_the_way(f, &older, &younger));
	assert_true(fake_borrow(&younger));
	assert_true(link_survives_the_way(f, &younger, &older));
	fake_borrower_fini(&older);
	fake_borrower_fini(&younger);
	end(f);
}

/* A link that is on its way while the database changes is not kept where it arrives, however often
 * either pool has seen a reload. */
static void test_stale_link_arrives_after_a_reload(void **state)
{
	static const char changed[] = "connect_query='select 1'";
	struct fixture *f = begin("default_pool_size = 1", changed, 2);
	struct fake_borrower older, younger;

	(void)state;
	fake_borrower_init(&older, fake_pool_of(&f->env, 0, "ann"));
	fake_reload(&f->env, "default_pool_size = 1", "");
	fake_borrower_init(&younger, fake_pool_of(&f->env, 1, "ann"));
	assert_false(fake_borrow(&older));
	assert_int_equal(log_all_in(f), 1);
	fake_assert_heard(&older, "link");
	assert_false(fake_borrow(&younger));
	fake_turn(&f->env);
	pw_pool_return(&older.loan, false, false);
	fake_turn_worker(&f->env, 0);
	assert_int_equal(atomic_load(&older.loan.pool->shared->seats[1].incoming), 1);
	fake_reload(&f->env, "default_pool_size = 1", "connect_query='select 2'");
	fake_assert_heard(&younger, "");
	assert_true(fake_is_closed(&f->s[0]));
	fake_borrower_fini(&older);
	fake_borrower_fini(&younger);
	end(f);
}

/* Four links on two workers, two of which are one too many: no more than those go. */
static void test_smaller_pool_over_all_workers(void **state)
{
	struct fixture *f = begin("default_pool_size = 4\nmax_server_logins = 8", "", 2);

	(void)state;
	for (unsigned i = 0; i < 4; i++)
		assert_false(fake_borrow(&f->b[i % 2][i / 2]));
	assert_int_equal(log_all_in(f), 4);
	fake_reload(&f->env, "default_pool_size = 2\nmax_server_logins = 8", "");
	for (unsigned i = 0; i < 4; i++)
		pw_pool_return(&f->b[i % 2][i / 2].loan, false, false);
	fake_turn(&f->env);
	assert_int_equal(pw_limit_used(&shared_of(f)->links), 2);
	end(f);
}

/* The pool is made smaller while its links are idle: the janitors of both workers see it. */
static void test_smaller_pool_of_idle_links(void **state)
{
	struct fixture *f = begin("default_pool_size = 4\nmax_server_logins = 8", "", 2);

	(void)state;
	for (unsigned i = 0; i < 4; i++)
		assert_false(fake_borrow(&f->b[i % 2][i / 2]));
	assert_int_equal(log_all_in(f), 4);
	for (unsigned i = 0; i < 4; i++)
		give_back(f, &f->b[i % 2][i / 2]);
	fake_reload(&f->env, "default_pool_size = 2\nmax_server_logins = 8", "");
	fake_pass(&f->env, 5 * PW_SECOND_US);
	assert_int_equal(pw_limit_used(&shared_of(f)->links), 2);
	end(f);
}

/* A loan keeps the mode of its login; one that is bound later has the new one. */
static void test_reload_keeps_the_mode_of_loans(void **state)
{
	struct fixture *f = begin("", "", 1);
	struct fake_borrower late;

	(void)state;
	assert_int_equal(f->b[0][0].loan.mode, PW_MODE_TRANSACTION);
	fake_reload(&f->env, "", "pool_mode=session");
	assert_int_equal(f->b[0][0].loan.mode, PW_MODE_TRANSACTION);
	fake_borrower_init(&late, pool_of(f, 0));
	assert_int_equal(late.loan.mode, PW_MODE_SESSION);
	fake_borrower_fini(&late);
	end(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_link_crosses_straight_from_its_login),
	    cmocka_unit_test(test_stale_link_is_asked_for),
	    cmocka_unit_test(test_stale_link_fails_its_check),
	    cmocka_unit_test(test_empty_answer_is_not_asked_for_again),
	    cmocka_unit_test(test_answer_needs_no_memory),
	    cmocka_unit_test(test_pools_made_before_and_after_a_reload),
	    cmocka_unit_test(test_stale_link_arrives_after_a_reload),
	    cmocka_unit_test(test_smaller_pool_over_all_workers),
	    cmocka_unit_test(test_smaller_pool_of_idle_links),
	    cmocka_unit_test(test_reload_keeps_the_mode_of_loans),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: PostgreSQL
 *
 * Pools of several workers that are one: links cross as values, with all that is known of them;
 * whoever has waited longest gets the next; limits hold over all of them. The loops are turned by
 * hand, so every interleaving here is a chosen one.
 */
#include "config.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "pgweir/proto/startup.h"
#include "workers_fixture.h"

/* ---- crossing ---- */

static void test_value_carries_all(void **state)
{
	struct fixture *f = begin_with_one_link(2);
	struct pw_link *link = f->b[0][0].loan.link;
	struct pw_link_facts before;
	struct pw_id params;

	(void)state;
	fake_expect_all(&f->b[0][0], "Q");
	fake_answer(&f->s[0], "S=TimeZone:CET C=SET Z=I");
	assert_int_equal(pw_known_add(&link->facts.known, fake_statement(1)), PW_OK);
	assert_int_equal(pw_known_add(&link->facts.known, fake_statement(2)), PW_OK);
	pw_known_set_epoch(&link->facts.known, fake_statement(2), 9);
	before = link->facts;
	params = link->params->id;
	assert_false(fake_borrow(&f->b[1][0]));
	fake_turn(&f->env);
	fake_assert_heard(&f->b[1][0], "");
	give_back(f, &f->b[0][0]);
	fake_assert_heard(&f->b[1][0], "link");
	link = f->b[1][0].loan.link;
	assert_ptr_equal(link->pool, pool_of(f, 1));
	assert_true(pw_id_equal(link->params->id, params));
	assert_string_equal(link->params->values[2], "CET");
	assert_true(pw_known_use(&link->facts.known, fake_statement(1)));
	assert_int_equal(pw_known_epoch(&link->facts.known, fake_statement(2)), 9);
	assert_int_equal(pw_known_count(&link->facts.known), 2);
	assert_int_equal(link->facts.id, before.id);
	assert_int_equal(link->facts.connect_us, before.connect_us);
	assert_int_equal(link->facts.cancel_key_len, before.cancel_key_len);
	assert_memory_equal(link->facts.cancel_key, before.cancel_key, before.cancel_key_len);
	assert_string_equal(link->facts.unix_path, before.unix_path);
	/* It is the same connection, and speaks. */
	fake_assert_heard(&f->b[1][0], "");
	fake_expect_all(&f->b[1][0], "Q");
	fake_answer(&f->s[0], "C=SELECT+1 Z=I");
	fake_assert_heard(&f->b[1][0], "C Z ready");
	assert_int_equal(pw_limit_used(&shared_of(f)->links), 1);
	assert_int_equal(atomic_load(&shared_of(f)->standing), 1);
	assert_int_equal(atomic_load(&shared_of(f)->seats[1].incoming), 0);
	end(f);
}

static void test_idle_link_is_asked_for(void **state)
{
	struct fixture *f = begin_with_one_link(3);

	(void)state;
	give_back(f, &f->b[0][0]);
	assert_int_equal(idle_at(f, 0), 1);
	assert_false(fake_borrow(&f->b[2][1]));
	fake_turn(&f->env);
	fake_assert_heard(&f->b[2][1], "link");
	assert_int_equal(idle_at(f, 0), 0);
	assert_int_equal(pool_of(f, 2)->asked, 0);
	/* Given back there, it is idle there. */
	give_back(f, &f->b[2][1]);
	assert_int_equal(idle_at(f, 2), 1);
	end(f);
}

/* Asked for, but lent before the question has arrived: the asker waits on and gets it later. */
static void test_question_comes_too_late(void **state)
{
	struct fixture *f = begin_with_one_link(2);

	(void)state;
	give_back(f, &f->b[0][0]);
	assert_false(fake_borrow(&f->b[1][0]));
	fake_turn_worker(&f->env, 1);
	assert_int_equal(pool_of(f, 1)->asked, 1);
	assert_true(fake_borrow(&f->b[0][1]));
	fake_turn(&f->env);
	fake_assert_heard(&f->b[1][0], "");
	assert_int_equal(pool_of(f, 1)->asked, 0);
	give_back(f, &f->b[0][1]);
	fake_assert_heard(&f->b[1][0], "link");
	end(f);
}

/* The waiter has gone while the link was on its way: it is idle where it arrives. */
static void test_nobody_waits_any_more(void **state)
{
	struct fixture *f = begin_with_one_link(2);

	(void)state;
	assert_false(fake_borrow(&f->b[1][0]));
	fake_turn(&f->env);
	pw_pool_return(&f->b[0][0].loan, false, false);
	fake_turn_worker(&f->env, 0);
	pw_pool_withdraw(&f->b[1][0].loan);
	fake_turn(&f->env);
	assert_int_equal(idle_at(f, 1), 1);
	assert_int_equal(idle_at(f, 0), 0);
	assert_true(fake_borrow(&f->b[1][1]));
	end(f);
}

/* A published waiter and a published idle link never miss each other, whichever comes first. */
static void test_return_and_borrow_at_once(void **state)
{
	(void)state;
	for (int order = 0; order < 2; order++) {
		struct fixture *f = begin_with_one_link(2);

		if (order == 0)
			pw_pool_return(&f->b[0][0].loan, false, false);
		assert_false(fake_borrow(&f->b[1][0]));
		if (order == 1)
			pw_pool_return(&f->b[0][0].loan, false, false);
		fake_turn(&f->env);
		fake_assert_heard(&f->b[1][0], "link");
		end(f);
	}
}

/* A second link is not sent while the first is on its way. It is asked for afterwards, though a
 * login is under way for who still waits: that may take long. */
static void test_second_link_is_not_left_idle(void **state)
{
	struct fixture *f = begin("default_pool_size = 3\nmax_server_logins = 8", "", 2);

	(void)state;
	assert_false(fake_borrow(&f->b[0][0]));
	assert_false(fake_borrow(&f->b[0][1]));
	assert_int_equal(log_all_in(f), 2);
	assert_false(fake_borrow(&f->b[1][0]));
	assert_false(fake_borrow(&f->b[1][1]));
	fake_accept_startup(&f->env, &f->s[f->n_servers++], PW_PROTOCOL(3, 2));
	pw_pool_return(&f->b[0][0].loan, false, false);
	pw_pool_return(&f->b[0][1].loan, false, false);
	assert_int_equal(idle_at(f, 0), 1);
	fake_turn(&f->env);
	fake_assert_heard(&f->b[1][0], "link");
	fake_assert_heard(&f->b[1][1], "link");
	end(f);
}

/* Whoever was asked first has lent its link meanwhile: the next one is asked. */
static void test_the_next_one_is_asked(void **state)
{
	struct fixture *f = begin("default_pool_size = 2", "", 3);

	(void)state;
	assert_false(fake_borrow(&f->b[1][0]));
	assert_false(fake_borrow(&f->b[2][0]));
	assert_int_equal(log_all_in(f), 2);
	give_back(f, &f->b[1][0]);
	give_back(f, &f->b[2][0]);
	assert_false(fake_borrow(&f->b[0][0]));
	fake_turn_worker(&f->env, 0);
	assert_true(fake_borrow(&f->b[1][1]));
	fake_turn(&f->env);
	fake_assert_heard(&f->b[0][0], "link");
	end(f);
}

/* Asked twice for two idle links while only one may be on its way at a time. */
static void test_two_are_asked_for_at_once(void **state)
{
	struct fixture *f = begin("default_pool_size = 2", "", 2);

	(void)state;
	assert_false(fake_borrow(&f->b[1][0]));
	assert_false(fake_borrow(&f->b[1][1]));
	assert_int_equal(log_all_in(f), 2);
	give_back(f, &f->b[1][0]);
	give_back(f, &f->b[1][1]);
	for (int i = 0; i < 2; i++) {
		assert_false(fake_borrow(&f->b[0][i]));
		fake_turn_worker(&f->env, 0);
	}
	assert_int_equal(pool_of(f, 0)->asked, 2);
	fake_turn(&f->env);
	fake_assert_heard(&f->b[0][0], "link");
	fake_assert_heard(&f->b[0][1], "link");
	end(f);
}

/* A link with bytes still to be looked at stays where it is. */
static void test_link_under_cancel_stays(void **state)
{
	struct fixture *f = begin_with_one_link(2);

	(void)state;
	fake_expect_all(&f->b[0][0], "Q");
	assert_false(fake_borrow(&f->b[1][0]));
	fake_turn(&f->env);
	pw_pool_return(&f->b[0][0].loan, true, false);
	fake_accept_cancel(&f->env, &f->s[f->n_servers++]);
	fake_answer(&f->s[0], "E=57014 Z=I");
	fake_assert_heard(&f->b[1][0], "");
	fake_server_close(&f->s[1]);
	fake_must_receive_query(&f->s[0], "DISCARD ALL");
	fake_assert_heard(&f->b[1][0], "");
	fake_answer(&f->s[0], "C=DISCARD+ALL Z=I");
	fake_assert_heard(&f->b[1][0], "link");
	end(f);
}

/* What a server says behind the end of its login is heard before the link goes elsewhere. */
static void test_link_leaves_with_all_it_was_told(void **state)
{
	struct fixture *f = begin("default_pool_size = 1", "", 2);

	(void)state;
	assert_false(fake_borrow(&f->b[0][0]));
	fake_accept_startup(&f->env, &f->s[f->n_servers++], PW_PROTOCOL(3, 2));
	pw_pool_withdraw(&f->b[0][0].loan);
	assert_false(fake_borrow(&f->b[1][0]));
	fake_turn(&f->env);
	fake_answer(&f->s[0], "P S=client_encoding:UTF8 S=TimeZone:UTC K Z=I S=TimeZone:CET");
	fake_assert_heard(&f->b[1][0], "link");
	assert_string_equal(f->b[1][0].loan.link->params->values[2], "CET");
	end(f);
}

/* The waiter has gone, and its pool with it, while the link was on its way. */
static void test_link_that_finds_no_pool(void **state)
{
	struct fixture *f = begin_with_one_link(2);
	struct pw_loop *there = &f->env.workers[1].loop;

	(void)state;
	fake_reload(&f->env, "default_pool_size = 1\npool_idle_timeout = 1", "");
	assert_false(fake_borrow(&f->b[1][0]));
	fake_turn(&f->env);
	pw_pool_return(&f->b[0][0].loan, false, false);
	fake_turn_worker(&f->env, 0);
	for (int i = 0; i < BORROWERS; i++) {
		pw_pool_withdraw(&f->b[1][i].loan);
		pw_loan_unbind(&f->b[1][i].loan);
	}
	/* Upkeep there, twice, before the mail is read. */
	for (int i = 0; i < 2; i++) {
		f->env.clock.now_us += 2 * PW_SECOND_US;
		pw_loop_refresh_time(there);
		pw_wheel_advance(&there->wheel, there->now_us);
	}
	assert_int_equal(f->env.workers[1].pools.map.count, 0);
	fake_turn(&f->env);
	assert_true(fake_is_closed(&f->s[0]));
	assert_int_equal(pw_limit_used(&shared_of(f)->links), 0);
	assert_int_equal(atomic_load(&shared_of(f)->standing), 0);
	end(f);
}

/* The other end has been closed, whatever was said before. */
static void assert_at_end(int fd)
{
	char buf[64];
	ssize_t n;

	while ((n = recv(fd, buf, sizeof(buf), 0)) > 0)
		;
	assert_int_equal(n, 0);
}

/* The process ends with links and questions in the boxes: nothing is lost or freed twice. */
static void test_end_with_mail_under_way(void **state)
{
	(void)state;
	for (int kind = 0; kind < 2; kind++) {
		struct fixture *f = begin_with_one_link(2);

		assert_int_equal(
		    pw_known_add(&f->b[0][0].loan.link->facts.known, fake_statement(1)), PW_OK);
		if (kind == 0) {
			assert_false(fake_borrow(&f->b[1][0]));
			fake_turn(&f->env);
			pw_pool_return(&f->b[0][0].loan, false, false);
			fake_turn_worker(&f->env, 0);
			assert_int_equal(atomic_load(&shared_of(f)->seats[1].incoming), 1);
		} else {
			give_back(f, &f->b[0][0]);
			assert_false(fake_borrow(&f->b[1][0]));
			fake_turn_worker(&f->env, 1);
			assert_int_equal(pool_of(f, 1)->asked, 1);
		}
		for (unsigned w = 0; w < 2; w++) {
			for (int i = 0; i < BORROWERS; i++)
				fake_borrower_fini(&f->b[w][i]);
		}
		fake_env_fini(&f->env);
		assert_at_end(f->s[0].fd);
		close(f->s[0].fd);
		pw_strbuf_fini(&f->s[0].in);
		free(f);
	}
}

/* ---- order ---- */

/* Both wait; the link is on worker 0 all the time. Who gets it? */
static void check_who_is_first(uint64_t other_is_older_by_us, bool other_gets_it)
{
	struct fixture *f = begin_with_one_link(2);

	assert_false(fake_borrow(&f->b[1][0]));
	fake_turn(&f->env);
	f->env.clock.now_us += other_is_older_by_us;
	fake_turn(&f->env);
	assert_false(fake_borrow(&f->b[0][1]));
	fake_turn(&f->env);
	give_back(f, &f->b[0][0]);
	fake_assert_heard(&f->b[1][0], other_gets_it ? "link" : "");
	fake_assert_heard(&f->b[0][1], other_gets_it ? "" : "link");
	/* The other one is next. */
	give_back(f, other_gets_it ? &f->b[1][0] : &f->b[0][1]);
	fake_assert_heard(&f->b[1][0], other_gets_it ? "" : "link");
	fake_assert_heard(&f->b[0][1], other_gets_it ? "link" : "");
	end(f);
}

static void test_oldest_waiter_of_all(void **state)
{
	(void)state;
	/* Within the margin a link is not worth the way. */
	check_who_is_first(0, false);
	check_who_is_first(1000, false);
	check_who_is_first(2000, false);
	check_who_is_first(2001, true);
	check_who_is_first(PW_SECOND_US, true);
}

/* One link, waiters of two workers that come 10 ms apart: served as they came. */
static void test_order_over_both_queues(void **state)
{
	static const unsigned worker[] = {0, 1, 1, 0, 1, 0};
	struct fixture *f = begin_with_one_link(2);
	struct fake_borrower *in_order[PW_COUNTOF(worker)], *holder = &f->b[0][0];
	unsigned used[2] = {1, 0};

	(void)state;
	for (size_t i = 0; i < PW_COUNTOF(worker); i++) {
		in_order[i] = &f->b[worker[i]][used[worker[i]]++];
		assert_false(fake_borrow(in_order[i]));
		fake_pass(&f->env, 10 * PW_MILLISECOND_US);
	}
	atomic_store(&shared_of(f)->mean_wait_us, 0);
	for (size_t i = 0; i < PW_COUNTOF(worker); i++) {
		give_back(f, holder);
		holder = in_order[i];
		fake_assert_heard(holder, "link");
		/* Long waits would widen the margin beyond the distance of these. */
		atomic_store(&shared_of(f)->mean_wait_us, 0);
	}
	assert_int_equal(pw_limit_used(&shared_of(f)->links), 1);
	end(f);
}

/* ---- limits over all workers ---- */

static void test_pool_size_over_all(void **state)
{
	struct fixture *f = begin("default_pool_size = 3\nmax_server_logins = 8", "", 4);
	unsigned n_links = 0;

	(void)state;
	for (unsigned w = 0; w < 4; w++) {
		assert_false(fake_borrow(&f->b[w][0]));
		assert_false(fake_borrow(&f->b[w][1]));
	}
	fake_turn(&f->env);
	/* A pool that no server has let in yet sends one worker to try. */
	assert_int_equal(pw_limit_used(&shared_of(f)->logins), 1);
	assert_int_equal(log_all_in(f), 3);
	fake_pass(&f->env, 5 * PW_SECOND_US);
	assert_int_equal(log_all_in(f), 0);
	for (unsigned w = 0; w < 4; w++) {
		for (int i = 0; i < 2; i++)
			n_links += f->b[w][i].loan.state == PW_LOAN_HOLDING;
	}
	assert_int_equal(n_links, 3);
	assert_int_equal(pw_limit_used(&shared_of(f)->links), 3);
	end(f);
}

struct starter {
	struct pw_loop *loop;
	atomic_int *missing; /* workers that are not at the start yet */
	pthread_t thread;
};

static void *turn_at_once(void *arg)
{
	struct starter *s = arg;

	atomic_fetch_sub(s->missing, 1);
	while (atomic_load(s->missing) > 0)
		;
	pw_loop_turn(s->loop, false);
	return NULL;
}

/* All workers want the one turn to log in at the same time. */
static void test_one_login_whatever_the_threads_do(void **state)
{
	enum { WORKERS = 2, ROUNDS = 500 };

	(void)state;
	for (int round = 0; round < ROUNDS; round++) {
		struct fixture *f = begin("default_pool_size = 9", "", WORKERS);
		struct starter starters[WORKERS];
		atomic_int missing = WORKERS;

		for (unsigned w = 0; w < WORKERS; w++) {
			starters[w] = (struct starter){&f->env.workers[w].loop, &missing, 0};
			assert_false(fake_borrow(&f->b[w][0]));
		}
		for (unsigned w = 0; w < WORKERS; w++)
			assert_int_equal(
			    pthread_create(&starters[w].thread, NULL, turn_at_once, &starters[w]),
			    0);
		for (unsigned w = 0; w < WORKERS; w++)
			pthread_join(starters[w].thread, NULL);
		assert_int_equal(pw_limit_used(&shared_of(f)->logins), 1);
		assert_int_equal(pw_limit_used(&shared_of(f)->links), 1);
		end(f);
	}
}

/* One head may have the reserve, the other not yet, and the database has room for neither: they do
 * not wake each other again and again. */
static void test_reserve_for_one_of_two(void **state)
{
	struct fixture *f =
	    begin("default_pool_size = 1\nreserve_pool_size = 1\nreserve_pool_timeout = 2",
		  "max_db_connections=1", 2);

	(void)state;
	assert_false(fake_borrow(&f->b[0][0]));
	assert_int_equal(log_all_in(f), 1);
	assert_false(fake_borrow(&f->b[0][1]));
	fake_pass(&f->env, PW_SECOND_US + 500 * PW_MILLISECOND_US);
	assert_false(fake_borrow(&f->b[1][0]));
	fake_pass(&f->env, PW_SECOND_US);
	fake_pass(&f->env, 3 * PW_SECOND_US);
	assert_int_equal(log_all_in(f), 0);
	give_back(f, &f->b[0][0]);
	fake_assert_heard(&f->b[0][1], "link");
	end(f);
}

/* When a login is over, others have their turn at once, here and elsewhere. */
static void test_turns_to_log_in(void **state)
{
	struct fixture *f = begin("default_pool_size = 4", "connect_query='select 1'", 2);

	(void)state;
	for (unsigned w = 0; w < 2; w++) {
		assert_false(fake_borrow(&f->b[w][0]));
		assert_false(fake_borrow(&f->b[w][1]));
	}
	assert_true(fake_accept(&f->env, &f->s[0]));
	f->n_servers = 1;
	pw_strbuf_reset(&f->s[0].in);
	fake_answer(&f->s[0], "P S=client_encoding:UTF8 K Z=I");
	assert_int_equal(pw_limit_used(&shared_of(f)->logins), 1);
	fake_answer(&f->s[0], "T D C=SELECT+1 Z=I");
	assert_int_equal(atomic_load(&shared_of(f)->standing), 1);
	assert_int_equal(pw_limit_used(&shared_of(f)->logins), 3);
	assert_int_equal(pool_of(f, 0)->n_opening, 1);
	assert_int_equal(pool_of(f, 1)->n_opening, 2);
	end(f);
}

/* A link that dies on one worker makes room for a waiter of another. */
static void test_place_goes_to_another_worker(void **state)
{
	struct fixture *f = begin_with_one_link(2);

	(void)state;
	assert_false(fake_borrow(&f->b[1][0]));
	fake_turn(&f->env);
	fake_server_close(&f->s[0]);
	fake_assert_heard(&f->b[0][0], "lost:08P01");
	assert_int_equal(log_all_in(f), 1);
	fake_assert_heard(&f->b[1][0], "link");
	end(f);
}

static void test_eviction_goes_round(void **state)
{
	struct fixture *f = begin("default_pool_size = 2", "max_db_connections=1", 3);
	struct fake_borrower ann;

	(void)state;
	assert_false(fake_borrow(&f->b[0][0]));
	assert_int_equal(log_all_in(f), 1);
	give_back(f, &f->b[0][0]);
	fake_borrower_init(&ann, fake_pool_of(&f->env, 1, "ann"));
	assert_false(fake_borrow(&ann));
	assert_int_equal(log_all_in(f), 1);
	fake_assert_heard(&ann, "link");
	assert_int_equal(pw_limit_used(&shared_of(f)->links), 0);
	assert_int_equal(pw_limit_used(&shared_of(f)->db->links), 1);
	assert_false(atomic_load(&shared_of(f)->db->is_evicting));
	/* Busy links are not evicted, and the request ends its round. */
	assert_false(fake_borrow(&f->b[2][0]));
	fake_turn(&f->env);
	fake_assert_heard(&f->b[2][0], "");
	assert_false(atomic_load(&shared_of(f)->db->is_evicting));
	pw_pool_return(&ann.loan, false, false);
	fake_turn(&f->env);
	assert_int_equal(log_all_in(f), 1);
	fake_assert_heard(&f->b[2][0], "link");
	fake_borrower_fini(&ann);
	end(f);
}

/* ---- what one worker learns ---- */

static void test_refused_login_is_told_to_all(void **state)
{
	struct fixture *f = begin("default_pool_size = 2", "", 3);

	(void)state;
	for (unsigned w = 0; w < 3; w++)
		assert_false(fake_borrow(&f->b[w][0]));
	pw_pool_await_welcome(&f->b[2][1].loan);
	fake_accept_startup(&f->env, &f->s[f->n_servers++], PW_PROTOCOL(3, 2));
	fake_answer(&f->s[0], "X=28P01");
	for (unsigned w = 0; w < 3; w++)
		fake_assert_heard(&f->b[w][0], "refused:28P01");
	fake_assert_heard(&f->b[2][1], "refused:28P01");
	end(f);
}

/* The first worker that a reload reaches forgets the failures of before; the others must not forget
 * what has failed since. */
static void test_failure_while_a_reload_goes_round(void **state)
{
	struct fixture *f = begin("server_login_retry = 60", "", 2);

	(void)state;
	fake_load(&f->env, "server_login_retry = 60", "load_balance_hosts=disable");
	pw_pools_swap_snapshot(&f->env.workers[0].pools, f->env.snapshot);
	assert_false(fake_borrow(&f->b[0][0]));
	fake_accept_startup(&f->env, &f->s[f->n_servers++], PW_PROTOCOL(3, 2));
	fake_answer(&f->s[0], "X=28P01");
	fake_assert_heard(&f->b[0][0], "refused:28P01");
	pw_pools_swap_snapshot(&f->env.workers[1].pools, f->env.snapshot);
	assert_false(fake_borrow(&f->b[1][0]));
	assert_int_equal(log_all_in(f), 0);
	fake_assert_heard(&f->b[1][0], "refused:08P01");
	end(f);
}

/* A worker that the reload has yet to reach hears from a server that nobody asks for any more. */
static void test_failure_of_before_comes_late(void **state)
{
	struct fixture *f = begin("server_login_retry = 60", "", 2);

	(void)state;
	assert_false(fake_borrow(&f->b[1][0]));
	fake_accept_startup(&f->env, &f->s[f->n_servers++], PW_PROTOCOL(3, 2));
	fake_load(&f->env, "server_login_retry = 60", "dbname=other");
	pw_pools_swap_snapshot(&f->env.workers[0].pools, f->env.snapshot);
	assert_false(fake_borrow(&f->b[0][0]));
	fake_answer(&f->s[0], "X=28P01");
	fake_assert_heard(&f->b[0][0], "");
	pw_pools_swap_snapshot(&f->env.workers[1].pools, f->env.snapshot);
	fake_pass(&f->env, PW_SECOND_US);
	assert_int_equal(log_all_in(f), 2);
	for (unsigned w = 0; w < 2; w++)
		fake_assert_heard(&f->b[w][0], "link");
	end(f);
}

static void test_welcome_is_told_to_all(void **state)
{
	struct fixture *f = begin("default_pool_size = 1", "", 3);
	struct pw_strbuf out = PW_STRBUF_INIT;

	(void)state;
	for (unsigned w = 0; w < 3; w++)
		pw_pool_await_welcome(&f->b[w][0].loan);
	assert_int_equal(log_all_in(f), 1);
	for (unsigned w = 0; w < 3; w++) {
		fake_assert_heard(&f->b[w][0], "welcome");
		assert_true(pw_pool_welcome(pool_of(f, w), &out));
		assert_string_equal(pool_of(f, w)->welcome_params->values[1], "UTF8");
	}
	pw_strbuf_fini(&out);
	end(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_value_carries_all),
	    cmocka_unit_test(test_idle_link_is_asked_for),
	    cmocka_unit_test(test_question_comes_too_late),
	    cmocka_unit_test(test_nobody_waits_any_more),
	    cmocka_unit_test(test_second_link_is_not_left_idle),
	    cmocka_unit_test(test_return_and_borrow_at_once),
	    cmocka_unit_test(test_the_next_one_is_asked),
	    cmocka_unit_test(test_two_are_asked_for_at_once),
	    cmocka_unit_test(test_link_under_cancel_stays),
	    cmocka_unit_test(test_link_leaves_with_all_it_was_told),
	    cmocka_unit_test(test_link_that_finds_no_pool),
	    cmocka_unit_test(test_end_with_mail_under_way),
	    cmocka_unit_test(test_oldest_waiter_of_all),
	    cmocka_unit_test(test_order_over_both_queues),
	    cmocka_unit_test(test_pool_size_over_all),
	    cmocka_unit_test(test_one_login_whatever_the_threads_do),
	    cmocka_unit_test(test_reserve_for_one_of_two),
	    cmocka_unit_test(test_turns_to_log_in),
	    cmocka_unit_test(test_place_goes_to_another_worker),
	    cmocka_unit_test(test_eviction_goes_round),
	    cmocka_unit_test(test_refused_login_is_told_to_all),
	    cmocka_unit_test(test_failure_while_a_reload_goes_round),
	    cmocka_unit_test(test_failure_of_before_comes_late),
	    cmocka_unit_test(test_welcome_is_told_to_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: PostgreSQL
 *
 * Links of a loan's own: what their servers are told, their turn in the queue and place in the
 * limits, and that they come and go with their loans.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pgweir/proto/startup.h"
#include "pgweir/proto/writer.h"
#include "workers_fixture.h"

static struct fake_borrower *own(struct fixture *f, unsigned worker, int i)
{
	f->b[worker][i].loan.replication = PW_REPLICATION_PHYSICAL;
	return &f->b[worker][i];
}

static int used(struct fixture *f)
{
	return pw_limit_used(&shared_of(f)->links);
}

static void assert_no_trace(struct fixture *f)
{
	struct pw_shared_pool *shared = shared_of(f);

	assert_int_equal(pw_limit_used(&shared->logins), 0);
	assert_int_equal(atomic_load(&shared->standing), 0);
	assert_int_equal(atomic_load(&shared->welcome_version), 0);
	assert_false(atomic_load(&shared->has_failed));
	assert_int_equal(pool_of(f, 0)->n_opening, 0);
}

/* One that has its link. */
static struct fake_borrower *lent(struct fixture *f, unsigned worker, int i)
{
	struct fake_borrower *b = own(f, worker, i);

	assert_false(fake_borrow(b));
	assert_int_equal(log_all_in(f), 1);
	fake_assert_heard(b, "link");
	assert_int_equal(b->loan.link->state, PW_LINK_LENT);
	return b;
}

/* ---- the session ---- */

static void add_pair(struct pw_strbuf *out, const char *name, const char *value)
{
	pw_strbuf_add(out, name, strlen(name) + 1);
	pw_strbuf_add(out, value, strlen(value) + 1);
}

static void test_startup_packet(void **state)
{
	struct fixture *f = begin("", "application_name=pool", 1);
	struct pw_params_table *table = &f->env.workers[0].pools.params;
	const char *values[PW_TRACKED_MAX] = {[0] = "German", [5] = "iso_8601"};
	struct pw_params *params = pw_params_intern(table, values);
	struct fake_borrower *b = own(f, 0, 0);
	struct pw_strbuf packet = PW_STRBUF_INIT;
	size_t begin_at = pw_writer_begin(&packet, 0);

	(void)state;
	b->loan.params = params;
	b->loan.options = "-c a=b";
	b->loan.replication = PW_REPLICATION_LOGICAL;
	pw_strbuf_add_u32(&packet, PW_PROTOCOL(3, 2));
	add_pair(&packet, "user", "bob");
	add_pair(&packet, "database", "app");
	add_pair(&packet, "application_name", "pool");
	add_pair(&packet, "replication", "database");
	add_pair(&packet, f->env.tracked.names[0], "German");
	add_pair(&packet, f->env.tracked.names[5], "iso_8601");
	add_pair(&packet, "options", "-c a=b");
	pw_strbuf_add_char(&packet, '\0');
	pw_writer_end(&packet, begin_at);
	assert_false(fake_borrow(b));
	assert_true(fake_accept(&f->env, &f->s[f->n_servers++]));
	fake_must_receive(&f->s[0], packet.data, packet.len);
	fake_answer(&f->s[0], "P S=server_version:15.4 S=DateStyle:German,+DMY K Z=I");
	fake_assert_heard(b, "link");
	fake_must_be_silent(&f->s[0]);
	assert_string_equal(b->loan.link->params->values[0], "German, DMY");
	b->loan.params = NULL;
	pw_params_unref(table, params);
	pw_strbuf_fini(&packet);
	end(f);
}

/* A server that knows only 3.0 refuses both; each is tried again in its language. */
static void test_older_protocol_for_two_at_once(void **state)
{
	struct fixture *f = begin("", "", 1);
	struct fake_borrower *b[2] = {own(f, 0, 0), own(f, 0, 1)};

	(void)state;
	for (int i = 0; i < 2; i++)
		assert_false(fake_borrow(b[i]));
	for (int i = 0; i < 2; i++)
		fake_accept_startup(&f->env, &f->s[f->n_servers++], PW_PROTOCOL(3, 2));
	for (int i = 0; i < 2; i++)
		fake_answer(&f->s[i], "X=0A000");
	for (int i = 2; i < 4; i++) {
		fake_accept_startup(&f->env, &f->s[f->n_servers++], PW_PROTOCOL(3, 0));
		fake_answer(&f->s[i], "P S=server_version:9.6 K Z=I");
	}
	for (int i = 0; i < 2; i++)
		fake_assert_heard(b[i], "link");
	end(f);
}

static void test_closed_with_its_loan(void **state)
{
	struct fixture *f = begin("server_reset_query = RESET ALL", "", 1);
	struct fake_borrower *b = lent(f, 0, 0);

	(void)state;
	assert_no_trace(f);
	assert_int_equal(used(f), 1);
	fake_expect_all(b, "Q");
	fake_answer(&f->s[0], "W d=wal");
	fake_assert_heard(b, "W d");
	pw_pool_return(&b->loan, true, true);
	assert_int_equal(used(f), 0);
	fake_must_receive(&f->s[0], "X\0\0\0\4", 5);
	assert_true(fake_is_closed(&f->s[0]));
	assert_no_trace(f);
	/* Nor is it kept when it could be. */
	b = lent(f, 0, 0);
	pw_pool_return(&b->loan, true, true);
	assert_int_equal(used(f), 0);
	assert_int_equal(idle_at(f, 0), 0);
	end(f);
}

/* CopyDone from both sides, then the end of the command: the account is even. */
static void test_copy_both(void **state)
{
	struct fixture *f = begin("query_timeout = 2\ntransaction_timeout = 2", "", 1);
	struct fake_borrower *b = lent(f, 0, 0);
	struct pw_link *link = b->loan.link;

	(void)state;
	fake_expect_all(b, "Q");
	link->request_us = link->transaction_us = f->env.workers[0].loop.now_us;
	fake_answer(&f->s[0], "W d=wal");
	assert_true(link->is_copy_both);
	fake_pass(&f->env, 10 * PW_SECOND_US);
	fake_assert_heard(b, "W d");
	fake_expect_all(b, "c");
	fake_answer(&f->s[0], "d=more c C=COPY+0 Z=I");
	fake_assert_heard(b, "d c C Z ready");
	assert_true(pw_link_is_free(link));
	assert_int_equal(link->request_us, 0);
	end(f);
}

/* ---- logins ---- */

static void test_refused_login(void **state)
{
	struct fixture *f = begin("default_pool_size = 5", "", 1);

	(void)state;
	assert_false(fake_borrow(own(f, 0, 0)));
	assert_true(fake_accept(&f->env, &f->s[f->n_servers++]));
	assert_false(fake_borrow(&f->b[0][1]));
	fake_answer(&f->s[0], "X=42501");
	fake_assert_heard(&f->b[0][0], "lost:08P01");
	assert_string_equal(f->b[0][0].last_error.message, "login failed");
	assert_false(atomic_load(&shared_of(f)->has_failed));
	/* Somebody else's login goes on meanwhile. */
	assert_int_equal(log_all_in(f), 1);
	fake_assert_heard(&f->b[0][1], "link");
	assert_int_equal(used(f), 1);
	end(f);
}

static void test_unreachable_server(void **state)
{
	struct fixture *f = begin("", "", 1);

	(void)state;
	fake_listen(&f->env, false);
	assert_false(fake_borrow(own(f, 0, 0)));
	fake_turn(&f->env);
	fake_assert_heard(&f->b[0][0], "lost:08P01");
	assert_int_equal(used(f), 0);
	assert_no_trace(f);
	end(f);
}

/* Failed logins of the pool are none of its business. */
static void test_pool_that_fails(void **state)
{
	struct fixture *f = begin("server_login_retry = 60", "", 1);

	(void)state;
	assert_false(fake_borrow(&f->b[0][0]));
	assert_true(fake_accept(&f->env, &f->s[f->n_servers++]));
	fake_answer(&f->s[0], "X=3D000");
	fake_assert_heard(&f->b[0][0], "refused:3D000");
	(void)lent(f, 0, 1);
	assert_true(atomic_load(&shared_of(f)->has_failed));
	end(f);
}

static void test_gone_while_it_logs_in(void **state)
{
	struct fixture *f = begin("", "", 1);
	struct fake_borrower *b = own(f, 0, 0);

	(void)state;
	assert_false(fake_borrow(b));
	assert_false(fake_borrow(own(f, 0, 1)));
	assert_true(fake_accept(&f->env, &f->s[f->n_servers++]));
	assert_int_equal(b->loan.state, PW_LOAN_OPENING);
	assert_null(b->loan.link);
	pw_pool_withdraw(&b->loan);
	assert_int_equal(b->loan.state, PW_LOAN_NONE);
	assert_true(fake_is_closed(&f->s[0]));
	assert_int_equal(used(f), 1);
	assert_int_equal(log_all_in(f), 1);
	fake_assert_heard(b, "");
	fake_assert_heard(&f->b[0][1], "link");
	end(f);
}

static void test_turn_to_log_in(void **state)
{
	struct fixture *f = begin("max_server_logins = 1", "", 1);

	(void)state;
	assert_false(fake_borrow(own(f, 0, 0)));
	assert_false(fake_borrow(own(f, 0, 1)));
	assert_true(fake_accept(&f->env, &f->s[0]));
	assert_false(fake_accept(&f->env, &f->s[1]));
	fake_answer(&f->s[0], "P K Z=I");
	fake_assert_heard(&f->b[0][0], "link");
	f->n_servers = 1;
	assert_int_equal(log_all_in(f), 1);
	fake_assert_heard(&f->b[0][1], "link");
	end(f);
}

/* Who waits for a turn to log in is in nobody's way who needs none. */
static void test_waiting_for_a_turn_blocks_nobody(void **state)
{
	struct fixture *f = begin("default_pool_size = 3\nmax_server_logins = 1", "", 1);

	(void)state;
	assert_false(fake_borrow(&f->b[0][0]));
	assert_int_equal(log_all_in(f), 1);
	fake_assert_heard(&f->b[0][0], "link");
	assert_false(fake_borrow(own(f, 0, 1)));
	fake_accept_startup(&f->env, &f->s[f->n_servers++], PW_PROTOCOL(3, 2));
	assert_false(fake_borrow(own(f, 0, 2)));
	assert_false(fake_borrow(&f->b[0][3]));
	fake_turn(&f->env);
	give_back(f, &f->b[0][0]);
	fake_assert_heard(&f->b[0][3], "link");
	assert_false(fake_borrow(&f->b[0][0]));
	give_back(f, &f->b[0][3]);
	fake_assert_heard(&f->b[0][0], "link");
	give_back(f, &f->b[0][0]);
	assert_int_equal(idle_at(f, 0), 1);
	/* It has its turn as soon as there is one. */
	fake_answer(&f->s[1], "P K Z=I");
	fake_assert_heard(&f->b[0][1], "link");
	fake_assert_heard(&f->b[0][2], "");
	assert_int_equal(log_all_in(f), 1);
	fake_assert_heard(&f->b[0][2], "link");
	end(f);
}

/* Nor in the way of another worker's, which does not send links there in vain. */
static void test_waiting_for_a_turn_on_another_worker(void **state)
{
	struct fixture *f = begin("default_pool_size = 3\nmax_server_logins = 1", "", 2);

	(void)state;
	assert_false(fake_borrow(&f->b[0][0]));
	assert_int_equal(log_all_in(f), 1);
	fake_assert_heard(&f->b[0][0], "link");
	assert_false(fake_borrow(own(f, 0, 1)));
	fake_accept_startup(&f->env, &f->s[f->n_servers++], PW_PROTOCOL(3, 2));
	assert_false(fake_borrow(own(f, 1, 0)));
	fake_pass(&f->env, PW_SECOND_US);
	assert_false(fake_borrow(&f->b[0][3]));
	give_back(f, &f->b[0][0]);
	fake_assert_heard(&f->b[0][3], "link");
	give_back(f, &f->b[0][3]);
	assert_int_equal(idle_at(f, 0), 1);
	/* An idle link may be fetched from where nobody but such a one waits. */
	assert_false(fake_borrow(&f->b[1][1]));
	fake_turn(&f->env);
	fake_assert_heard(&f->b[1][1], "link");
	give_back(f, &f->b[1][1]);
	assert_int_equal(idle_at(f, 1), 1);
	assert_false(fake_borrow(&f->b[0][3]));
	fake_turn(&f->env);
	fake_assert_heard(&f->b[0][3], "link");
	/* The end of the login is heard of over there. */
	fake_answer(&f->s[1], "P K Z=I");
	assert_int_equal(log_all_in(f), 1);
	fake_assert_heard(&f->b[1][0], "link");
	end(f);
}

static void test_old_server(void **state)
{
	struct fixture *f = begin("", "", 1);

	(void)state;
	assert_false(fake_borrow(own(f, 0, 0)));
	fake_accept_startup(&f->env, &f->s[0], PW_PROTOCOL(3, 2));
	fake_answer(&f->s[0], "X=0A000");
	fake_server_close(&f->s[0]);
	fake_accept_startup(&f->env, &f->s[0], PW_PROTOCOL(3, 0));
	f->n_servers = 1;
	fake_answer(&f->s[0], "P K Z=I");
	fake_assert_heard(&f->b[0][0], "link");
	end(f);
}

/* ---- what an operator does meanwhile ---- */

static void test_pause(void **state)
{
	struct fixture *f = begin("", "", 1);
	struct fake_borrower *b = own(f, 0, 0);

	(void)state;
	assert_false(fake_borrow(b));
	assert_true(fake_accept(&f->env, &f->s[f->n_servers++]));
	atomic_store(&f->env.registry.is_paused, true);
	pw_pools_close_idle(&f->env.workers[0].pools, NULL, "pause mode");
	assert_true(fake_is_closed(&f->s[0]));
	assert_int_equal(b->loan.state, PW_LOAN_WAITING);
	assert_int_equal(log_all_in(f), 0);
	atomic_store(&f->env.registry.is_paused, false);
	pw_pools_serve_all(&f->env.workers[0].pools);
	assert_int_equal(log_all_in(f), 1);
	fake_assert_heard(b, "link");
	end(f);
}

static void test_reconnect(void **state)
{
	struct fixture *f = begin("", "", 1);
	struct fake_borrower *b = lent(f, 0, 0);

	(void)state;
	/* Not obsolete: nothing happens to it. */
	pw_pools_reconnect(&f->env.workers[0].pools, NULL);
	fake_assert_heard(b, "");
	assert_false(fake_borrow(own(f, 0, 1)));
	assert_true(fake_accept(&f->env, &f->s[f->n_servers++]));
	atomic_fetch_add(&shared_of(f)->epoch, 1);
	pw_pools_reconnect(&f->env.workers[0].pools, NULL);
	fake_assert_heard(b, "lost:08P01");
	assert_string_equal(b->last_error.message, "database configuration changed");
	assert_true(fake_is_closed(&f->s[0]));
	/* The one that was logging in begins anew. */
	assert_true(fake_is_closed(&f->s[1]));
	assert_int_equal(log_all_in(f), 1);
	fake_assert_heard(&f->b[0][1], "link");
	end(f);
}

static void test_reload(void **state)
{
	struct fixture *f = begin("", "", 1);
	struct fake_borrower *b = lent(f, 0, 0);

	(void)state;
	assert_false(fake_borrow(own(f, 0, 1)));
	assert_true(fake_accept(&f->env, &f->s[f->n_servers++]));
	fake_reload(&f->env, "query_wait_notify = 7", "");
	fake_assert_heard(b, "");
	fake_reload(&f->env, "", "dbname=other");
	fake_assert_heard(b, "lost:08P01");
	/* Logging in to what is no longer asked for: it begins anew. */
	assert_true(fake_is_closed(&f->s[1]));
	fake_assert_heard(&f->b[0][1], "");
	assert_int_equal(log_all_in(f), 1);
	fake_assert_heard(&f->b[0][1], "link");
	assert_int_equal(used(f), 1);
	end(f);
}

/* ---- the queue and the limits ---- */

static void test_idle_link_makes_room(void **state)
{
	struct fixture *f = begin("default_pool_size = 2", "", 1);

	(void)state;
	for (int i = 0; i < 2; i++)
		assert_false(fake_borrow(&f->b[0][i]));
	assert_int_equal(log_all_in(f), 2);
	give_back(f, &f->b[0][0]);
	(void)lent(f, 0, 2);
	assert_int_equal(used(f), 2);
	assert_int_equal(idle_at(f, 0), 0);
	assert_int_not_equal(fake_is_closed(&f->s[0]), fake_is_closed(&f->s[1]));
	/* The other one is lent: there is no room for more. */
	assert_false(fake_borrow(own(f, 0, 3)));
	assert_int_equal(log_all_in(f), 0);
	end(f);
}

static void test_place_of_the_pool_itself_first(void **state)
{
	struct fixture *f = begin("default_pool_size = 5", "max_db_connections=2", 1);
	struct fake_borrower ann;

	(void)state;
	fake_borrower_init(&ann, fake_pool_of(&f->env, 0, "ann"));
	assert_false(fake_borrow(&ann));
	assert_int_equal(log_all_in(f), 1);
	give_back(f, &ann);
	assert_false(fake_borrow(&f->b[0][0]));
	assert_int_equal(log_all_in(f), 1);
	give_back(f, &f->b[0][0]);
	(void)lent(f, 0, 1);
	assert_false(fake_is_closed(&f->s[0]));
	assert_true(fake_is_closed(&f->s[1]));
	/* Then that of another. */
	(void)lent(f, 0, 2);
	assert_true(fake_is_closed(&f->s[0]));
	assert_int_equal(pw_limit_used(&shared_of(f)->db->links), 2);
	fake_borrower_fini(&ann);
	end(f);
}

static void test_reserve_under_a_full_limit(void **state)
{
	struct fixture *f =
	    begin("default_pool_size = 1\nreserve_pool_size = 1\nreserve_pool_timeout = 1",
		  "max_db_connections=1", 1);

	(void)state;
	(void)lent(f, 0, 0);
	assert_false(fake_borrow(own(f, 0, 1)));
	fake_pass(&f->env, 5 * PW_SECOND_US);
	assert_int_equal(log_all_in(f), 0);
	assert_int_equal(used(f), 1);
	pw_pool_return(&f->b[0][0].loan, true, true);
	assert_int_equal(log_all_in(f), 1);
	fake_assert_heard(&f->b[0][1], "link");
	end(f);
}

static void test_first_in_first_out(void **state)
{
	struct fixture *f = begin_with_one_link(1);

	(void)state;
	assert_false(fake_borrow(&f->b[0][1]));
	assert_false(fake_borrow(own(f, 0, 2)));
	assert_false(fake_borrow(&f->b[0][3]));
	give_back(f, &f->b[0][0]);
	fake_assert_heard(&f->b[0][1], "link");
	give_back(f, &f->b[0][1]);
	assert_true(fake_is_closed(&f->s[0]));
	fake_assert_heard(&f->b[0][3], "");
	assert_int_equal(log_all_in(f), 1);
	fake_assert_heard(&f->b[0][2], "link");
	assert_int_equal(used(f), 1);
	pw_pool_return(&f->b[0][2].loan, true, true);
	assert_int_equal(log_all_in(f), 1);
	fake_assert_heard(&f->b[0][3], "link");
	end(f);
}

static void test_idle_link_of_another_worker(void **state)
{
	struct fixture *f = begin_with_one_link(3);

	(void)state;
	give_back(f, &f->b[0][0]);
	assert_int_equal(idle_at(f, 0), 1);
	(void)lent(f, 2, 0);
	assert_true(fake_is_closed(&f->s[0]));
	assert_int_equal(used(f), 1);
	end(f);
}

static void test_link_given_back_on_another_worker(void **state)
{
	struct fixture *f = begin_with_one_link(2);

	(void)state;
	assert_false(fake_borrow(own(f, 1, 0)));
	fake_pass(&f->env, PW_SECOND_US);
	assert_false(fake_borrow(&f->b[0][1]));
	give_back(f, &f->b[0][0]);
	assert_int_equal(log_all_in(f), 1);
	fake_assert_heard(&f->b[1][0], "link");
	fake_assert_heard(&f->b[0][1], "");
	assert_int_equal(used(f), 1);
	end(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_startup_packet),
	    cmocka_unit_test(test_older_protocol_for_two_at_once),
	    cmocka_unit_test(test_closed_with_its_loan),
	    cmocka_unit_test(test_copy_both),
	    cmocka_unit_test(test_refused_login),
	    cmocka_unit_test(test_unreachable_server),
	    cmocka_unit_test(test_pool_that_fails),
	    cmocka_unit_test(test_gone_while_it_logs_in),
	    cmocka_unit_test(test_turn_to_log_in),
	    cmocka_unit_test(test_waiting_for_a_turn_blocks_nobody),
	    cmocka_unit_test(test_waiting_for_a_turn_on_another_worker),
	    cmocka_unit_test(test_old_server),
	    cmocka_unit_test(test_pause),
	    cmocka_unit_test(test_reconnect),
	    cmocka_unit_test(test_reload),
	    cmocka_unit_test(test_idle_link_makes_room),
	    cmocka_unit_test(test_place_of_the_pool_itself_first),
	    cmocka_unit_test(test_reserve_under_a_full_limit),
	    cmocka_unit_test(test_first_in_first_out),
	    cmocka_unit_test(test_idle_link_of_another_worker),
	    cmocka_unit_test(test_link_given_back_on_another_worker),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

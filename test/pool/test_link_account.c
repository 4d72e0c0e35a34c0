/* SPDX-License-Identifier: PostgreSQL
 *
 * The account of answers, with the test as the server: what is passed on, what is swallowed, what
 * is undone after an error, what a server must not say.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "link_fixture.h"
#include "pgweir/proto/writer.h"

/* ---- in order ---- */

static void test_login(void **state)
{
	struct fixture *f = *state;
	struct pw_strbuf welcome = PW_STRBUF_INIT;
	struct pw_pool *pool = f->b.loan.pool;

	assert_free(f);
	assert_string_equal(link_of(f)->params->values[1], "UTF8");
	assert_string_equal(link_of(f)->params->values[4], "");
	assert_null(link_of(f)->params->values[5]);
	assert_true(pw_pool_welcome(pool, &welcome));
	assert_int_equal(welcome.len, 5 + sizeof("server_version") + sizeof("15.4"));
	assert_memory_equal(welcome.data + 5, "server_version\00015.4", 20);
	assert_ptr_equal(pool->welcome_params, link_of(f)->params);
	assert_int_equal(atomic_load(&pool->shared->standing), 1);
	assert_int_equal(pw_limit_used(&pool->shared->logins), 0);
	assert_int_equal(pool->stats.now.server_assignment_count, 1);
	pw_strbuf_fini(&welcome);
}

static void test_simple_query(void **state)
{
	struct fixture *f = *state;

	fake_expect_all(&f->b, "Q");
	assert_false(pw_link_is_free(link_of(f)));
	answer(f, "T D D C=SELECT+2 Z=I", "T D D C Z ready");
	assert_free(f);
	/* Several statements in one, a notice, a notification. */
	fake_expect_all(&f->b, "Q");
	answer(f, "C=INSERT+0+1 N T C=SELECT+0 I A Z=I", "C N T C I A Z ready");
	assert_free(f);
	fake_expect_all(&f->b, "F");
	answer(f, "V Z=I", "V Z ready");
	assert_free(f);
}

/* Not one byte is lost or doubled on the way. */
static void test_bytes_are_untouched(void **state)
{
	struct fixture *f = *state;
	struct pw_strbuf wanted = PW_STRBUF_INIT;

	fake_expect_all(&f->b, "QQ");
	answer(f, "d=some+copy+data d=more E=42601 Z=I S=TimeZone:CET C=SET Z=I",
	       "d d E Z ready TimeZone=CET S C Z ready");
	pw_write_message(&wanted, 'd', "some copy data", 14);
	pw_write_message(&wanted, 'd', "more", 4);
	assert_true(f->b.bytes.len > wanted.len);
	assert_memory_equal(f->b.bytes.data, wanted.data, wanted.len);
	pw_strbuf_reset(&wanted);
	pw_write_ready(&wanted, 'I');
	pw_write_parameter_status(&wanted, "TimeZone", "CET");
	pw_write_command_complete(&wanted, "SET");
	pw_write_ready(&wanted, 'I');
	assert_memory_equal(f->b.bytes.data + f->b.bytes.len - wanted.len, wanted.data, wanted.len);
	pw_strbuf_fini(&wanted);
}

static void test_transaction_status(void **state)
{
	struct fixture *f = *state;

	fake_expect_all(&f->b, "Q");
	answer(f, "C=BEGIN Z=T", "C Z ready");
	assert_false(pw_link_is_free(link_of(f)));
	fake_expect_all(&f->b, "Q");
	answer(f, "E=42601 Z=E", "E Z ready");
	assert_false(pw_link_is_free(link_of(f)));
	fake_expect_all(&f->b, "Q");
	answer(f, "C=ROLLBACK Z=I", "C Z ready");
	assert_free(f);
}

static void test_pipeline(void **state)
{
	struct fixture *f = *state;

	(void)fake_expect(&f->b, PW_ROLE_PARSE, 0, 1);
	fake_expect_all(&f->b, "BDE");
	assert_false(pw_link_is_free(link_of(f)));
	(void)fake_expect(&f->b, PW_ROLE_CLOSE, 0, 2);
	fake_expect_all(&f->b, "S");
	(void)fake_expect(&f->b, PW_ROLE_BIND, 0, 1);
	fake_expect_all(&f->b, "ES");
	answer(f, "1 2 T D C=SELECT+1 3 Z=I", "1 done:1 2 T D C 3 done:2 Z ready");
	assert_false(pw_link_is_free(link_of(f)));
	answer(f, "2 D s Z=I", "2 done:3 D s Z ready");
	assert_free(f);
	assert_true(knows(f, 1));
	assert_false(knows(f, 2));
}

/* Sent, and no Sync behind it: the server may still say anything. */
static void test_open_batch_is_not_free(void **state)
{
	struct fixture *f = *state;

	fake_expect_all(&f->b, "P");
	answer(f, "1", "1");
	assert_int_equal(link_of(f)->expects.n, 0);
	assert_false(pw_link_is_free(link_of(f)));
	fake_expect_all(&f->b, "S");
	answer(f, "Z=I", "Z ready");
	assert_free(f);
}

static void test_descriptions(void **state)
{
	struct fixture *f = *state;

	(void)fake_expect(&f->b, PW_ROLE_DESCRIBE, 0, 1);
	(void)fake_expect(&f->b, PW_ROLE_DESCRIBE, 0, 1);
	(void)fake_expect(&f->b, PW_ROLE_DESCRIBE, 0, 2);
	fake_expect_all(&f->b, "S");
	answer(f, "t T t n T Z=I", "t T done:1 t n done:2 T done:3 Z ready");
	assert_free(f);
}

/* ---- ours ---- */

static void test_swallowed_answers(void **state)
{
	struct fixture *f = *state;

	/* A Parse of ours before the borrower's Bind, a Close of ours behind its Execute. */
	(void)fake_expect(&f->b, PW_ROLE_PARSE, PW_EXPECT_SWALLOW, 1);
	fake_expect_all(&f->b, "BE");
	(void)fake_expect(&f->b, PW_ROLE_CLOSE, PW_EXPECT_SWALLOW, 9);
	fake_expect_all(&f->b, "S");
	answer(f, "1 2 N D C=SELECT+1 N 3 Z=I", "done:1 2 N D C done:2 Z ready");
	assert_free(f);
	assert_true(knows(f, 1));
}

static void test_query_of_our_own(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(pw_link_query(link_of(f), "SET a=1;SET b=2"), PW_OK);
	fake_expect_all(&f->b, "Q");
	fake_must_receive_query(&f->server, "SET a=1;SET b=2");
	answer(f, "C=SET S=TimeZone:CET S=other:x N C=SET Z=I", "ready-own");
	assert_string_equal(link_of(f)->params->values[2], "CET");
	assert_false(link_of(f)->has_own_error);
	answer(f, "T D C=SELECT+1 Z=I", "T D C Z ready");
	assert_int_equal(pw_link_query(link_of(f), "SET a=oops"), PW_OK);
	answer(f, "E=22023 Z=I", "ready-own");
	assert_true(link_of(f)->has_own_error);
	assert_free(f);
}

static void test_local_answers_in_their_place(void **state)
{
	struct fixture *f = *state;

	(void)fake_expect(&f->b, PW_ROLE_PARSE, PW_EXPECT_LOCAL, 0);
	(void)fake_expect(&f->b, PW_ROLE_PARSE, PW_EXPECT_LOCAL, 0);
	pw_link_settle_local(link_of(f));
	fake_assert_heard(&f->b, "done:1 done:2");
	/* Nothing was sent, nothing is owed. */
	assert_free(f);
	fake_expect_all(&f->b, "B");
	(void)fake_expect(&f->b, PW_ROLE_CLOSE, PW_EXPECT_LOCAL, 0);
	fake_expect_all(&f->b, "E");
	(void)fake_expect(&f->b, PW_ROLE_PARSE, PW_EXPECT_LOCAL, 0);
	fake_expect_all(&f->b, "S");
	pw_link_settle_local(link_of(f));
	fake_assert_heard(&f->b, "");
	answer(f, "2", "2 done:3");
	answer(f, "D C=SELECT+1", "D C done:4");
	answer(f, "Z=I", "Z ready");
	assert_free(f);
}

/* ---- errors ---- */

static void test_error_in_a_pipeline(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(pw_known_add(&link_of(f)->facts.known, fake_statement(3)), PW_OK);
	(void)fake_expect(&f->b, PW_ROLE_PARSE, 0, 1);
	(void)fake_expect(&f->b, PW_ROLE_PARSE, 0, 2);
	fake_expect_all(&f->b, "BE");
	(void)fake_expect(&f->b, PW_ROLE_CLOSE, 0, 3);
	(void)fake_expect(&f->b, PW_ROLE_PARSE, PW_EXPECT_LOCAL, 0);
	(void)fake_expect(&f->b, PW_ROLE_PARSE, PW_EXPECT_SWALLOW, 4);
	fake_expect_all(&f->b, "S");
	/* A second batch is none of it. */
	(void)fake_expect(&f->b, PW_ROLE_PARSE, 0, 5);
	fake_expect_all(&f->b, "S");
	assert_true(knows(f, 2));
	assert_false(knows(f, 3));
	answer(f, "1 E=42601", "1 done:1 E");
	assert_false(pw_link_is_free(link_of(f)));
	/* Nothing is settled before it is sure what was skipped. */
	pw_link_settle_local(link_of(f));
	answer(f, "Z=I", "Z skipped:5 skipped:4 skipped:3 skipped:2 ready");
	assert_true(knows(f, 1));
	assert_false(knows(f, 2));
	assert_true(knows(f, 3));
	assert_false(knows(f, 4));
	answer(f, "1 Z=I", "1 done:6 Z ready");
	assert_true(knows(f, 5));
	assert_free(f);
}

/* Parsed, closed and parsed again in one pipeline that fails at its beginning: undone from its
 * end, the set is what it was. */
static void test_undoing_goes_backwards(void **state)
{
	struct fixture *f = *state;

	fake_expect_all(&f->b, "B");
	(void)fake_expect(&f->b, PW_ROLE_PARSE, 0, 1);
	(void)fake_expect(&f->b, PW_ROLE_CLOSE, 0, 1);
	(void)fake_expect(&f->b, PW_ROLE_PARSE, 0, 1);
	fake_expect_all(&f->b, "S");
	answer(f, "E=26000 Z=I", "E Z skipped:3 skipped:2 skipped:1 ready");
	assert_false(knows(f, 1));
	assert_int_equal(pw_known_add(&link_of(f)->facts.known, fake_statement(1)), PW_OK);
	fake_expect_all(&f->b, "B");
	(void)fake_expect(&f->b, PW_ROLE_CLOSE, 0, 1);
	(void)fake_expect(&f->b, PW_ROLE_PARSE, 0, 1);
	(void)fake_expect(&f->b, PW_ROLE_CLOSE, 0, 1);
	fake_expect_all(&f->b, "S");
	answer(f, "E=26000 Z=I", "E Z skipped:6 skipped:5 skipped:4 ready");
	assert_true(knows(f, 1));
	assert_free(f);
}

/* The server skips a Query, too, until the Sync. */
static void test_query_in_a_skipped_part(void **state)
{
	struct fixture *f = *state;

	fake_expect_all(&f->b, "PQFBS");
	answer(f, "E=42601 Z=I", "E Z ready");
	assert_free(f);
	/* But a Query that fails itself is answered as always. */
	fake_expect_all(&f->b, "QS");
	answer(f, "E=42601 Z=I", "E Z ready");
	assert_int_equal(link_of(f)->expects.n, 1);
	answer(f, "Z=I", "Z ready");
	assert_free(f);
}

/* An error at a Parse of ours is the answer to the Bind that needed it. */
static void test_error_at_our_parse(void **state)
{
	struct fixture *f = *state;

	(void)fake_expect(&f->b, PW_ROLE_PARSE, PW_EXPECT_SWALLOW, 1);
	fake_expect_all(&f->b, "BES");
	answer(f, "E=42601 Z=I", "E Z skipped:1 ready");
	assert_false(knows(f, 1));
	assert_free(f);
}

static void test_error_at_sync(void **state)
{
	struct fixture *f = *state;

	/* A deferred constraint fails when Sync commits. */
	fake_expect_all(&f->b, "PBES");
	answer(f, "1 2 C=INSERT+0+1 E=23505 Z=I", "1 2 C E Z ready");
	assert_free(f);
}

static void test_server_gives_up(void **state)
{
	struct fixture *f = *state;

	(void)fake_expect(&f->b, PW_ROLE_PARSE, 0, 1);
	(void)fake_expect(&f->b, PW_ROLE_BIND, 0, 1);
	fake_expect_all(&f->b, "ES");
	answer(f, "X=57P01", "E");
	/* The server has said why: the borrower is told nothing more. */
	fake_server_close(&f->server);
	fake_assert_heard(&f->b, "skipped:2 skipped:1 lost");
	assert_int_equal(f->b.loan.state, PW_LOAN_NONE);
}

static void test_server_crashes(void **state)
{
	struct fixture *f = *state;

	(void)fake_expect(&f->b, PW_ROLE_PARSE, 0, 1);
	(void)fake_expect(&f->b, PW_ROLE_PARSE, PW_EXPECT_LOCAL, 0);
	fake_expect_all(&f->b, "S");
	fake_server_close(&f->server);
	fake_assert_heard(&f->b, "skipped:2 skipped:1 lost:08P01");
	assert_string_equal(f->b.last_error.message, "server conn crashed?");
	assert_int_equal(pw_limit_used(&f->b.loan.pool->shared->links), 0);
}

/* ---- what a server must not say ---- */

static void assert_breaks(struct fixture *f, const char *words, const char *heard)
{
	answer(f, words, heard);
	assert_int_equal(f->b.loan.state, PW_LOAN_NONE);
	assert_true(fake_is_closed(&f->server));
	assert_int_equal(pw_limit_used(&f->b.loan.pool->shared->links), 0);
}

static void test_ready_without_request(void **state)
{
	assert_breaks(*state, "Z=I", "lost:08P01");
}

static void test_answer_without_request(void **state)
{
	assert_breaks(*state, "1", "lost:08P01");
}

static void test_two_answers_to_one_request(void **state)
{
	struct fixture *f = *state;

	fake_expect_all(&f->b, "Q");
	assert_breaks(f, "C=SELECT+1 Z=I Z=I", "C Z ready lost:08P01");
}

static void test_unknown_status(void **state)
{
	struct fixture *f = *state;

	fake_expect_all(&f->b, "Q");
	assert_breaks(f, "C=SELECT+1 Z=X", "C lost:08P01");
}

static void test_login_message_after_login(void **state)
{
	struct fixture *f = *state;

	fake_expect_all(&f->b, "Q");
	assert_breaks(f, "P", "lost:08P01");
}

static void test_broken_parameter(void **state)
{
	struct fixture *f = *state;
	static const char parameter[] = {'S', 0, 0, 0, 6, 'a', 'b'};

	fake_expect_all(&f->b, "Q");
	assert_int_equal(write(f->server.fd, parameter, sizeof(parameter)), sizeof(parameter));
	assert_breaks(f, "Z=I", "lost:08P01");
}

/* Its last bytes come by themselves, too few to be a message. */
static void assert_too_long_breaks(struct fixture *f, uint8_t type, uint8_t fill, size_t body)
{
	const size_t tail = 2;
	uint8_t message[1024];

	memset(message, fill, sizeof(message));
	message[0] = type;
	message[1] = message[2] = 0;
	message[3] = (uint8_t)((body + 4) >> 8);
	message[4] = (uint8_t)(body + 4);
	fake_expect_all(&f->b, "Q");
	fake_send(&f->server, message, PW_HEADER_SIZE + body - tail);
	fake_send(&f->server, message + PW_HEADER_SIZE + body - tail, tail);
	fake_assert_heard(&f->b, "lost:08P01");
	assert_int_equal(f->b.loan.state, PW_LOAN_NONE);
	assert_true(fake_is_closed(&f->server));
}

static void test_command_tag_too_long(void **state)
{
	assert_too_long_breaks(*state, 'C', 'x', 300);
}

static void test_ready_too_long(void **state)
{
	assert_too_long_breaks(*state, 'Z', 'I', 70);
}

/* ---- parameters and known statements ---- */

static void test_parameters_are_tracked(void **state)
{
	struct fixture *f = *state;

	fake_expect_all(&f->b, "Q");
	answer(f, "S=timezone:CET S=nonsense:1 C=SET Z=I", "timezone=CET S nonsense=1 S C Z ready");
	assert_string_equal(link_of(f)->params->values[2], "CET");
	assert_string_equal(link_of(f)->params->values[1], "UTF8");
	/* Also unasked: the server's settings were reloaded. */
	answer(f, "S=TimeZone:UTC", "TimeZone=UTC S");
	assert_ptr_equal(link_of(f)->params, f->b.loan.pool->welcome_params);
}

static void test_discard_all_forgets_statements(void **state)
{
	static const char *const commands[] = {"C=DISCARD+ALL Z=I", "C=DEALLOCATE+ALL Z=I"};
	struct fixture *f = *state;

	for (size_t i = 0; i < PW_COUNTOF(commands); i++) {
		assert_int_equal(pw_known_add(&link_of(f)->facts.known, fake_statement(1)), PW_OK);
		fake_expect_all(&f->b, "Q");
		answer(f, "C=DEALLOCATE Z=I", "C Z ready");
		assert_true(knows(f, 1));
		fake_expect_all(&f->b, "Q");
		answer(f, commands[i], "C Z ready");
		assert_false(knows(f, 1));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    IN_ANY_CUTS(test_login),
	    IN_ANY_CUTS(test_simple_query),
	    IN_ANY_CUTS(test_bytes_are_untouched),
	    IN_ANY_CUTS(test_transaction_status),
	    IN_ANY_CUTS(test_pipeline),
	    IN_ANY_CUTS(test_open_batch_is_not_free),
	    IN_ANY_CUTS(test_descriptions),
	    IN_ANY_CUTS(test_swallowed_answers),
	    IN_ANY_CUTS(test_query_of_our_own),
	    IN_ANY_CUTS(test_local_answers_in_their_place),
	    IN_ANY_CUTS(test_error_in_a_pipeline),
	    IN_ANY_CUTS(test_undoing_goes_backwards),
	    IN_ANY_CUTS(test_query_in_a_skipped_part),
	    IN_ANY_CUTS(test_error_at_our_parse),
	    IN_ANY_CUTS(test_error_at_sync),
	    IN_ANY_CUTS(test_server_gives_up),
	    IN_ANY_CUTS(test_server_crashes),
	    IN_ANY_CUTS(test_ready_without_request),
	    IN_ANY_CUTS(test_answer_without_request),
	    IN_ANY_CUTS(test_two_answers_to_one_request),
	    IN_ANY_CUTS(test_unknown_status),
	    IN_ANY_CUTS(test_login_message_after_login),
	    IN_ANY_CUTS(test_broken_parameter),
	    IN_ANY_CUTS(test_command_tag_too_long),
	    IN_ANY_CUTS(test_ready_too_long),
	    IN_ANY_CUTS(test_parameters_are_tracked),
	    IN_ANY_CUTS(test_discard_all_forgets_statements),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

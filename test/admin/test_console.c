/* SPDX-License-Identifier: PostgreSQL
 *
 * The console's simple protocol, and what main's answers do.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include <event2/buffer.h>

#include "admin/admin_priv.h"
#include "console_fixture.h"

static int setup(void **state)
{
	struct fixture *f = malloc(sizeof(*f));

	*state = f;
	return f && fixture_init(f, PW_RIGHT_ADMIN) ? 0 : -1;
}

static int teardown(void **state)
{
	fixture_fini(*state);
	free(*state);
	return 0;
}

/* The types of what was sent since the last call, as a text. */
static const char *sent_types(struct fixture *f)
{
	static char types[256];
	size_t n = 0;

	for (size_t at = 0; at + 5 <= f->sent.len && n + 1 < sizeof(types);) {
		types[n++] = f->sent.data[at];
		at += 1 + pw_load_u32((const uint8_t *)f->sent.data + at + 1);
	}
	types[n] = '\0';
	pw_strbuf_reset(&f->sent);
	return types;
}

static void query(struct fixture *f, const char *text)
{
	struct pw_strbuf message = PW_STRBUF_INIT;

	pw_write_query(&message, text);
	feed(f, message.data, message.len);
	pw_strbuf_fini(&message);
}

static bool has_sent(const struct fixture *f, const char *text)
{
	return f->sent.len > 0 && memmem(f->sent.data, f->sent.len, text, strlen(text)) != NULL;
}

static void assert_error(struct fixture *f, const char *text, const char *message)
{
	query(f, text);
	assert_true(has_sent(f, message));
	assert_true(has_sent(f, "SERROR"));
	assert_true(has_sent(f, "C08P01"));
	assert_string_equal(sent_types(f), "EZ");
}

static void test_begin_is_silent(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(f->sent.len, 0);
	assert_int_equal(f->clients.console_stats.now.client_login_count, 1);
	assert_int_equal(f->clients.console_stats.now.query_count, 0);
}

static void test_answers_without_main(void **state)
{
	struct fixture *f = *state;

	query(f, "");
	assert_string_equal(sent_types(f), "IZ");
	query(f, "show client_encoding");
	assert_true(has_sent(f, "UTF-8"));
	assert_true(has_sent(f, "SHOW"));
	assert_string_equal(sent_types(f), "TDCZ");
	query(f, "show default_transaction_isolation");
	assert_true(has_sent(f, "read committed"));
	assert_string_equal(sent_types(f), "TDCZ");
	query(f, "set datestyle to 'ISO'");
	assert_true(has_sent(f, "SET ignored"));
	assert_true(has_sent(f, "C00000"));
	assert_string_equal(sent_types(f), "NCZ");
	query(f, "begin");
	assert_true(has_sent(f, "BEGIN"));
	assert_true(f->sent.data[f->sent.len - 1] == 'I');
	assert_string_equal(sent_types(f), "CZ");
	assert_error(f, "what", "invalid command 'what', use SHOW HELP;");
	assert_int_equal(f->n_runs + f->n_collects, 0);
	/* what was understood counts */
	assert_int_equal(f->clients.console_stats.now.query_count, 5);
	assert_int_equal(f->clients.console_stats.now.xact_count, 5);
}

static void test_help(void **state)
{
	struct fixture *f = *state;

	query(f, "show help");
	assert_true(has_sent(f, "MConsole usage"));
	assert_true(has_sent(f, "D\n\tSHOW HELP|CLIENTS|SERVERS|"));
	assert_true(has_sent(f, "\n\tPAUSE [<db>]"));
	assert_true(has_sent(f, "\n\tSHUTDOWN WAIT_FOR_CLIENTS"));
	assert_false(has_sent(f, "SUSPEND"));
	assert_false(has_sent(f, "BEGIN"));
	assert_string_equal(sent_types(f), "NCZ");
}

static void test_show_waits_for_main(void **state)
{
	struct fixture *f = *state;

	query(f, "show pools");
	assert_ptr_equal(f->view, &pw_view_pools);
	assert_string_equal(sent_types(f), "");
	answer_rows(f, 3, NULL);
	assert_string_equal(sent_types(f), "TDDDCZ");
	answer_rows(f, 3, NULL); /* nobody waits any more */
	assert_string_equal(sent_types(f), "");
	query(f, "show config");
	answer_rows(f, 0, NULL);
	assert_string_equal(sent_types(f), "TCZ");
}

static void test_failed_view(void **state)
{
	struct fixture *f = *state;
	struct pw_error err;
	struct pw_rows rows;

	pw_error_set(&err, PW_SQLSTATE_INTERNAL_ERROR, "worker 3 does not answer");
	query(f, "show pools");
	answer_rows(f, 1, &err);
	assert_true(has_sent(f, "Mworker 3 does not answer"));
	assert_true(has_sent(f, "SERROR")); /* not FATAL: the session goes on */
	assert_string_equal(sent_types(f), "EZ");
	query(f, "show pools");
	pw_rows_init(&rows, f->view);
	rows.has_failed = true;
	pw_console_rows(&f->clients, f->client.id, &rows, NULL);
	assert_true(has_sent(f, "C53200"));
	assert_string_equal(sent_types(f), "EZ");
}

static void test_command_and_its_answer(void **state)
{
	struct fixture *f = *state;

	query(f, "pause app");
	assert_int_equal(f->command, PW_COMMAND_PAUSE);
	assert_string_equal(f->name, "app");
	assert_string_equal(sent_types(f), "");
	pw_console_done(&f->clients, 18, PW_COMMAND_PAUSE, NULL);            /* for somebody else */
	pw_console_done(&f->clients, f->client.id, PW_COMMAND_RESUME, NULL); /* to nothing asked */
	assert_string_equal(sent_types(f), "");
	pw_console_done(&f->clients, f->client.id, PW_COMMAND_PAUSE, NULL);
	assert_true(has_sent(f, "PAUSE"));
	assert_string_equal(sent_types(f), "CZ");
	query(f, "shutdown wait_for_clients");
	assert_int_equal(f->command, PW_COMMAND_SHUTDOWN_WAIT_FOR_CLIENTS);
	assert_false(f->has_name);
	pw_console_done(&f->clients, f->client.id, f->command, NULL);
	assert_true(has_sent(f, "SHUTDOWN"));
	assert_false(has_sent(f, "SHUTDOWN WAIT"));
	assert_string_equal(sent_types(f), "CZ");
}

static void test_command_about_a_node(void **state)
{
	struct fixture *f = *state;

	query(f, "weight shop/db2:5432 3");
	assert_int_equal(f->command, PW_COMMAND_WEIGHT);
	assert_string_equal(f->name, "shop/db2:5432");
	assert_string_equal(f->value, "3");
	assert_string_equal(f->user, "boss");
	pw_console_done(&f->clients, f->client.id, PW_COMMAND_WEIGHT, NULL);
	assert_true(has_sent(f, "WEIGHT"));
	assert_string_equal(sent_types(f), "CZ");
	query(f, "drain db2:5432");
	assert_int_equal(f->command, PW_COMMAND_DRAIN);
	assert_false(f->has_value);
}

static void test_command_fails(void **state)
{
	struct fixture *f = *state;
	struct pw_error err;

	query(f, "kill_client 5");
	assert_string_equal(f->name, "5");
	pw_error_set(&err, PW_SQLSTATE_PROTOCOL_VIOLATION, "client not found");
	pw_console_done(&f->clients, f->client.id, f->command, &err);
	assert_true(has_sent(f, "Mclient not found"));
	assert_true(has_sent(f, "SERROR"));
	assert_string_equal(sent_types(f), "EZ");
	query(f, "reload");
	pw_error_set(&err, PW_SQLSTATE_PROTOCOL_VIOLATION, "line 3 is wrong");
	pw_console_done(&f->clients, f->client.id, f->command, &err);
	assert_true(has_sent(f, "CF0000"));
	assert_true(has_sent(f, "MRELOAD failed, see logs for additional details"));
	assert_true(has_sent(f, "Dline 3 is wrong"));
	assert_string_equal(sent_types(f), "EZ");
}

static void test_stats_user_runs_nothing(void **state)
{
	struct fixture *f = *state;

	f->client.right = PW_RIGHT_STATS;
	assert_error(f, "kill_client 5", "admin access needed");
	assert_error(f, "reload", "admin access needed");
	assert_int_equal(f->n_runs, 0);
	query(f, "show clients");
	assert_int_equal(f->n_collects, 1);
	answer_rows(f, 1, NULL);
	assert_string_equal(sent_types(f), "TDCZ");
}

/* ---- one after the other ---- */

static void test_input_waits_its_turn(void **state)
{
	struct fixture *f = *state;
	struct pw_strbuf chunk = PW_STRBUF_INIT;

	pw_write_query(&chunk, "pause");
	pw_write_query(&chunk, "show pools");
	pw_write_query(&chunk, "nonsense");
	pw_write_query(&chunk, "resume");
	feed(f, chunk.data, chunk.len);
	assert_int_equal(f->n_runs, 1);
	assert_int_equal(f->n_collects, 0);
	assert_string_equal(sent_types(f), "");
	pw_console_done(&f->clients, f->client.id, PW_COMMAND_PAUSE, NULL);
	assert_string_equal(sent_types(f), "CZ");
	assert_int_equal(f->n_collects, 1);
	answer_rows(f, 1, NULL);
	assert_string_equal(sent_types(f), "TDCZEZ");
	assert_int_equal(f->command, PW_COMMAND_RESUME);
	pw_console_done(&f->clients, f->client.id, PW_COMMAND_RESUME, NULL);
	assert_string_equal(sent_types(f), "CZ");
	pw_strbuf_fini(&chunk);
}

static void test_byte_by_byte(void **state)
{
	struct fixture *f = *state;
	struct pw_strbuf chunk = PW_STRBUF_INIT;

	pw_write_query(&chunk, "show timezone");
	pw_write_query(&chunk, "show timezone");
	for (size_t i = 0; i < chunk.len; i++)
		feed(f, chunk.data + i, 1);
	assert_string_equal(sent_types(f), "TDCZTDCZ");
	pw_strbuf_fini(&chunk);
}

static void test_answer_within_the_call(void **state)
{
	struct fixture *f = *state;
	struct pw_strbuf chunk = PW_STRBUF_INIT;

	f->answers_at_once = true;
	pw_write_query(&chunk, "pause");
	pw_write_query(&chunk, "show pools");
	pw_write_query(&chunk, "resume");
	feed(f, chunk.data, chunk.len);
	assert_string_equal(sent_types(f), "CZTDDCZCZ");
	assert_int_equal(f->n_runs, 2);
	pw_strbuf_fini(&chunk);
}

/* KILL_CLIENT of oneself, or the process going down. */
static void test_closed_within_the_call(void **state)
{
	struct fixture *f = *state;
	struct pw_strbuf chunk = PW_STRBUF_INIT;

	f->closes_at_once = f->answers_at_once = true;
	pw_write_query(&chunk, "kill_client 17");
	pw_write_query(&chunk, "show pools");
	feed(f, chunk.data, chunk.len);
	assert_true(f->is_closed);
	assert_null(f->client.console);
	assert_int_equal(f->n_collects, 0);
	pw_strbuf_fini(&chunk);
}

static void test_answer_to_the_departed(void **state)
{
	struct fixture *f = *state;

	query(f, "show pools");
	pw_client_close(&f->client, "gone", NULL);
	answer_rows(f, 3, NULL);
	pw_console_done(&f->clients, f->client.id, PW_COMMAND_PAUSE, NULL);
	assert_int_equal(f->sent.len, 0);
}

/* A client that does not take what it is sent gets no more. */
static void test_full_backlog_stops_the_work(void **state)
{
	struct fixture *f = *state;
	static char bytes[PW_STREAM_HIGH_WATER];

	f->client.stream.backlog = evbuffer_new();
	assert_int_equal(evbuffer_add(f->client.stream.backlog, bytes, sizeof(bytes)), 0);
	query(f, "show pools");
	query(f, "show timezone");
	assert_int_equal(f->n_collects, 0);
	evbuffer_free(f->client.stream.backlog);
	f->client.stream.backlog = NULL;
	pw_console_ops.on_drained(&f->client);
	assert_int_equal(f->n_collects, 1);
	answer_rows(f, 1, NULL);
	assert_string_equal(sent_types(f), "TDCZTDCZ");
}

static void test_reading_is_off_while_waiting(void **state)
{
	static const struct pw_stream_ops no_ops;
	struct fixture *f = *state;
	struct pw_loop loop;
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	assert_int_equal(pw_loop_init(&loop, &pw_clock_system), PW_OK);
	pw_stream_init(&f->client.stream, &loop, &no_ops);
	assert_int_equal(pw_stream_attach(&f->client.stream, fds[0], false), PW_OK);
	assert_true(f->client.stream.is_reading);
	query(f, "pause");
	assert_false(f->client.stream.is_reading);
	pw_console_done(&f->clients, f->client.id, PW_COMMAND_PAUSE, NULL);
	assert_true(f->client.stream.is_reading);
	pw_stream_close(&f->client.stream);
	pw_loop_fini(&loop);
	close(fds[1]);
}

/* ---- bounds ---- */

static void assert_closed_with(struct fixture *f, const char *message)
{
	assert_true(f->is_closed);
	assert_true(f->has_close_error);
	assert_int_equal(f->close_error.severity, PW_SEVERITY_FATAL);
	assert_string_equal(f->close_error.message, message);
}

static void test_message_too_long(void **state)
{
	struct fixture *f = *state;
	static char text[PW_CONSOLE_MESSAGE_MAX];

	memset(text, 'x', sizeof(text) - 1);
	query(f, text);
	assert_closed_with(f, "message too long for admin console");
}

static void test_longest_message(void **state)
{
	struct fixture *f = *state;
	static char text[PW_CONSOLE_MESSAGE_MAX];

	memset(text, ' ', sizeof(text) - 1);
	text[PW_CONSOLE_MESSAGE_MAX - 6] = '\0'; /* five bytes of header, one at the end */
	query(f, text);
	assert_false(f->is_closed);
	assert_string_equal(sent_types(f), "IZ");
}

static void test_endless_input_while_waiting(void **state)
{
	struct fixture *f = *state;

	query(f, "pause");
	for (int i = 0; i < PW_CONSOLE_INPUT_MAX / 10 && !f->is_closed; i++)
		query(f, "show pools");
	assert_closed_with(f, "message too long for admin console");
}

static void test_other_messages(void **state)
{
	static const uint8_t copy_done[] = {'c', 0, 0, 0, 4};
	struct fixture *f = *state;

	feed(f, copy_done, sizeof(copy_done));
	assert_closed_with(f, "unsupported packet type for admin console: 99");
}

static void test_terminate(void **state)
{
	static const uint8_t terminate[] = {'X', 0, 0, 0, 4};
	struct fixture *f = *state;

	feed(f, terminate, sizeof(terminate));
	assert_true(f->is_closed);
	assert_false(f->has_close_error);
}

static void test_query_with_a_zero_byte_inside(void **state)
{
	struct fixture *f = *state;
	struct pw_strbuf message = PW_STRBUF_INIT;

	pw_write_message(&message, 'Q', "reload\0x", 9);
	pw_write_message(&message, 'Q', "reload", 6); /* and one without its end */
	feed(f, message.data, message.len);
	assert_int_equal(f->n_runs, 0);
	assert_string_equal(sent_types(f), "EZEZ");
	pw_strbuf_fini(&message);
}

static void test_describe_page(void **state)
{
	struct pw_strbuf page = PW_STRBUF_INIT;

	(void)state;
	pw_console_describe(&page);
	assert_false(page.has_failed);
	assert_non_null(strstr(page.data, "\n## SHOW POOLS\n"));
	assert_non_null(strstr(page.data, "| `maxwait_us` | int4 | "));
	assert_non_null(strstr(page.data, "| `avg_recv` | numeric | Per second: "));
	assert_non_null(strstr(page.data, "| `KILL_CLIENT <id>` | "));
	assert_non_null(strstr(page.data, "| `advisory locks` | "));
	for (size_t i = 0; i < PW_PIN_REASONS; i++)
		assert_non_null(strstr(page.data, pw_client_pin_reason(i)->what));
	assert_null(strstr(page.data, "longest_wait_us")); /* hidden */
	assert_null(strstr(page.data, "(null)"));
	pw_strbuf_fini(&page);
}

#define SESSION(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_describe_page),
	    SESSION(test_begin_is_silent),
	    SESSION(test_answers_without_main),
	    SESSION(test_help),
	    SESSION(test_show_waits_for_main),
	    SESSION(test_failed_view),
	    SESSION(test_command_and_its_answer),
	    SESSION(test_command_about_a_node),
	    SESSION(test_command_fails),
	    SESSION(test_stats_user_runs_nothing),
	    SESSION(test_input_waits_its_turn),
	    SESSION(test_byte_by_byte),
	    SESSION(test_answer_within_the_call),
	    SESSION(test_closed_within_the_call),
	    SESSION(test_answer_to_the_departed),
	    SESSION(test_full_backlog_stops_the_work),
	    SESSION(test_reading_is_off_while_waiting),
	    SESSION(test_message_too_long),
	    SESSION(test_longest_message),
	    SESSION(test_endless_input_while_waiting),
	    SESSION(test_other_messages),
	    SESSION(test_terminate),
	    SESSION(test_query_with_a_zero_byte_inside),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

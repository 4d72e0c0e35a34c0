/* SPDX-License-Identifier: PostgreSQL
 *
 * The extended protocol on the console: statements, portals, row limits, formats, errors.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "admin/admin_priv.h"
#include "console_fixture.h"

/* A session, and the messages that are to be fed next. */
struct session {
	struct fixture f;
	struct pw_strbuf out;
};

static int setup(void **state)
{
	struct session *s = calloc(1, sizeof(*s));

	*state = s;
	return s && fixture_init(&s->f, PW_RIGHT_ADMIN) ? 0 : -1;
}

static int teardown(void **state)
{
	struct session *s = *state;

	fixture_fini(&s->f);
	pw_strbuf_fini(&s->out);
	free(s);
	return 0;
}

static void add_name(struct session *s, const char *name)
{
	pw_strbuf_add(&s->out, name, strlen(name) + 1);
}

static void parse(struct session *s, const char *name, const char *text)
{
	size_t begin = pw_writer_begin(&s->out, 'P');

	add_name(s, name);
	add_name(s, text);
	pw_strbuf_add_u16(&s->out, 0);
	pw_writer_end(&s->out, begin);
}

/* format -1 = none given */
static void bind_format(struct session *s, const char *portal, const char *name, int format)
{
	size_t begin = pw_writer_begin(&s->out, 'B');

	add_name(s, portal);
	add_name(s, name);
	pw_strbuf_add_u16(&s->out, 0);
	pw_strbuf_add_u16(&s->out, 0);
	pw_strbuf_add_u16(&s->out, format >= 0);
	if (format >= 0)
		pw_strbuf_add_u16(&s->out, (uint16_t)format);
	pw_writer_end(&s->out, begin);
}

static void named(struct session *s, char type, char kind, const char *name)
{
	size_t begin = pw_writer_begin(&s->out, type);

	pw_strbuf_add_char(&s->out, kind);
	add_name(s, name);
	pw_writer_end(&s->out, begin);
}

static void execute(struct session *s, const char *portal, uint32_t limit)
{
	size_t begin = pw_writer_begin(&s->out, 'E');

	add_name(s, portal);
	pw_strbuf_add_u32(&s->out, limit);
	pw_writer_end(&s->out, begin);
}

static void sync_now(struct session *s)
{
	pw_write_message(&s->out, 'S', "", 0);
	feed(&s->f, s->out.data, s->out.len);
	pw_strbuf_reset(&s->out);
}

static void flush_now(struct session *s)
{
	pw_write_message(&s->out, 'H', "", 0);
	feed(&s->f, s->out.data, s->out.len);
	pw_strbuf_reset(&s->out);
}

static bool has_sent(const struct session *s, const char *text)
{
	return s->f.sent.len > 0 &&
	       memmem(s->f.sent.data, s->f.sent.len, text, strlen(text)) != NULL;
}

/* Body of the first message of that type. */
static const uint8_t *sent_body(const struct session *s, char type)
{
	for (size_t at = 0; at + 5 <= s->f.sent.len;) {
		const uint8_t *message = (const uint8_t *)s->f.sent.data + at;

		if (message[0] == (uint8_t)type)
			return message + 5;
		at += 1 + pw_load_u32(message + 1);
	}
	fail_msg("no message %c", type);
	return NULL;
}

static void assert_sent(struct session *s, const char *expected)
{
	char types[256];
	size_t n = 0;

	for (size_t at = 0; at + 5 <= s->f.sent.len && n + 1 < sizeof(types);) {
		types[n++] = s->f.sent.data[at];
		at += 1 + pw_load_u32((const uint8_t *)s->f.sent.data + at + 1);
	}
	types[n] = '\0';
	assert_string_equal(types, expected);
	pw_strbuf_reset(&s->f.sent);
}

static void assert_fails(struct session *s, const char *before, const char *sqlstate)
{
	char expected[32], code[8];

	/* what follows is skipped */
	parse(s, "skipped", "show pools");
	sync_now(s);
	snprintf(expected, sizeof(expected), "%sEZ", before);
	snprintf(code, sizeof(code), "C%s", sqlstate);
	assert_true(has_sent(s, code));
	assert_true(has_sent(s, "SERROR"));
	assert_sent(s, expected);
}

/* ---- as drivers do it ---- */

static void test_libpq_exec_params(void **state)
{
	struct session *s = *state;

	parse(s, "", "SHOW POOLS");
	bind_format(s, "", "", 0);
	named(s, 'D', 'P', "");
	execute(s, "", 0);
	sync_now(s);
	assert_sent(s, "12T");
	answer_rows(&s->f, 2, NULL);
	assert_true(has_sent(s, "SHOW"));
	assert_sent(s, "DDCZ");
	assert_int_equal(s->f.clients.console_stats.now.query_count, 1);
}

static void test_prepared_and_flushed(void **state)
{
	struct session *s = *state;

	parse(s, "__asyncpg_stmt_1__", "show lists");
	named(s, 'D', 'S', "__asyncpg_stmt_1__");
	flush_now(s);
	assert_sent(s, "1tT");
	for (int i = 0; i < 3; i++) {
		bind_format(s, "", "__asyncpg_stmt_1__", 1);
		execute(s, "", 0);
		sync_now(s);
		assert_sent(s, "2");
		answer_rows(&s->f, 1, NULL);
		assert_sent(s, "DCZ");
	}
	named(s, 'C', 'S', "__asyncpg_stmt_1__");
	sync_now(s);
	assert_sent(s, "3Z");
	bind_format(s, "", "__asyncpg_stmt_1__", 1);
	assert_fails(s, "", "26000");
}

static void test_command(void **state)
{
	struct session *s = *state;

	parse(s, "", "PAUSE app");
	named(s, 'D', 'S', "");
	bind_format(s, "", "", -1);
	named(s, 'D', 'P', "");
	execute(s, "", 0);
	sync_now(s);
	assert_sent(s, "1tn2n");
	assert_string_equal(s->f.name, "app");
	pw_console_done(&s->f.clients, s->f.client.id, PW_COMMAND_PAUSE, NULL);
	assert_true(has_sent(s, "PAUSE"));
	assert_sent(s, "CZ");
}

static void test_what_needs_no_main(void **state)
{
	static const struct {
		const char *text, *types;
	} cases[] = {
	    {"", "12nIZ"},
	    {"show timezone", "12TDCZ"},
	    {"set timezone to 'GMT'", "12nNCZ"},
	    {"show help", "12nNCZ"},
	    {"BEGIN", "12nCZ"},
	    {"COMMIT", "12nCZ"},
	};
	struct session *s = *state;

	for (size_t i = 0; i < PW_COUNTOF(cases); i++) {
		parse(s, "", cases[i].text);
		bind_format(s, "", "", 0);
		named(s, 'D', 'P', "");
		execute(s, "", 0);
		sync_now(s);
		assert_sent(s, cases[i].types);
	}
}

static void test_byte_by_byte(void **state)
{
	struct session *s = *state;

	parse(s, "", "show timezone");
	bind_format(s, "p", "", 0);
	named(s, 'D', 'P', "p");
	execute(s, "p", 0);
	pw_write_message(&s->out, 'S', "", 0);
	for (size_t i = 0; i < s->out.len; i++)
		feed(&s->f, s->out.data + i, 1);
	pw_strbuf_reset(&s->out);
	assert_sent(s, "12TDCZ");
}

/* ---- row limits ---- */

static void test_row_limit(void **state)
{
	struct session *s = *state;

	parse(s, "", "show pools");
	bind_format(s, "c", "", 0);
	execute(s, "c", 2);
	execute(s, "c", 2);
	execute(s, "c", 2);
	execute(s, "c", 2);
	sync_now(s);
	assert_sent(s, "12");
	answer_rows(&s->f, 4, NULL);
	/* four rows in twos: the third time tells that there are no more */
	assert_sent(s, "DDsDDsCCZ");
	assert_int_equal(s->f.n_collects, 1);
	execute(s, "c", 0); /* went with the Sync */
	assert_fails(s, "", "08P01");
}

static void test_cursor_within_a_block(void **state)
{
	struct session *s = *state;

	parse(s, "", "begin");
	bind_format(s, "", "", 0);
	execute(s, "", 0);
	parse(s, "s", "show pools");
	bind_format(s, "c", "s", 0);
	execute(s, "c", 3);
	sync_now(s);
	assert_sent(s, "12C12");
	answer_rows(&s->f, 5, NULL);
	assert_sent(s, "DDDsZ");
	execute(s, "c", 3);
	sync_now(s);
	assert_true(has_sent(s, "row4"));
	assert_sent(s, "DDCZ");
	parse(s, "", "commit");
	bind_format(s, "", "", 0);
	execute(s, "", 0);
	sync_now(s);
	assert_sent(s, "12CZ");
	execute(s, "c", 0);
	assert_fails(s, "", "08P01");
}

static void test_command_runs_once(void **state)
{
	struct session *s = *state;

	s->f.answers_at_once = true;
	parse(s, "", "reload");
	bind_format(s, "", "", 0);
	execute(s, "", 0);
	execute(s, "", 0);
	assert_fails(s, "12C", "55000");
	assert_int_equal(s->f.n_runs, 1);
}

/* ---- formats ---- */

static void bind_lists(struct session *s, unsigned n_results)
{
	size_t begin = pw_writer_begin(&s->out, 'B');

	add_name(s, "");
	add_name(s, "");
	pw_strbuf_add_u16(&s->out, 0);
	pw_strbuf_add_u16(&s->out, 0);
	pw_strbuf_add_u16(&s->out, (uint16_t)n_results);
	for (unsigned i = 0; i < n_results; i++)
		pw_strbuf_add_u16(&s->out, i & 1);
	pw_writer_end(&s->out, begin);
}

static void test_format_of_each_column(void **state)
{
	struct session *s = *state;
	const uint8_t *columns;

	parse(s, "", "show lists"); /* two columns */
	bind_lists(s, 2);
	named(s, 'D', 'P', "");
	sync_now(s);
	columns = sent_body(s, 'T');
	assert_int_equal(pw_load_u16(columns), 2);
	columns += 2 + sizeof("list");
	assert_int_equal(pw_load_u32(columns + 6), 25);
	assert_int_equal(pw_load_u16(columns + 10), 0xffff);
	assert_int_equal(pw_load_u16(columns + 16), 0);
	columns += 18 + sizeof("items");
	assert_int_equal(pw_load_u32(columns + 6), 23);
	assert_int_equal(pw_load_u16(columns + 10), 4);
	assert_int_equal(pw_load_u16(columns + 16), 1);
	assert_sent(s, "12TZ");
	bind_lists(s, 3);
	assert_fails(s, "", "08P01");
}

/* ---- what is refused ---- */

static void test_parameters(void **state)
{
	static const uint8_t with_value[] = {0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 'x', 0, 0};
	static const uint8_t with_type[] = {0,   's', 'h', 'o', 'w', ' ', 'p', 'o', 'o',
					    'l', 's', 0,   0,   1,   0,   0,   0,   23};
	struct session *s = *state;

	pw_write_message(&s->out, 'P', with_type, sizeof(with_type));
	assert_fails(s, "", "08P01");
	parse(s, "", "show pools");
	pw_write_message(&s->out, 'B', with_value, sizeof(with_value));
	assert_fails(s, "1", "08P01");
}

static void test_errors_skip_to_sync(void **state)
{
	struct session *s = *state;

	parse(s, "", "nonsense");
	bind_format(s, "", "", 0);
	named(s, 'D', 'P', "");
	execute(s, "", 0);
	pw_write_query(&s->out, "reload"); /* also skipped */
	sync_now(s);
	assert_true(has_sent(s, "invalid command 'nonsense', use SHOW HELP;"));
	assert_sent(s, "EZ");
	assert_int_equal(s->f.n_runs, 0);
	parse(s, "", "show timezone");
	sync_now(s);
	assert_sent(s, "1Z");
}

static void test_error_of_main_skips_to_sync(void **state)
{
	struct session *s = *state;
	struct pw_error err;

	parse(s, "", "kill_client 9");
	bind_format(s, "", "", 0);
	execute(s, "", 0);
	execute(s, "", 0);
	parse(s, "x", "show pools");
	sync_now(s);
	pw_error_set(&err, PW_SQLSTATE_PROTOCOL_VIOLATION, "client not found");
	pw_console_done(&s->f.clients, s->f.client.id, PW_COMMAND_KILL_CLIENT, &err);
	assert_sent(s, "12EZ");
	bind_format(s, "", "x", 0);
	assert_fails(s, "", "26000");
}

static void test_failed_portal_gives_nothing(void **state)
{
	struct session *s = *state;
	struct pw_error err;

	s->f.answers_at_once = true;
	parse(s, "", "begin"); /* so that the portal stays */
	bind_format(s, "", "", 0);
	execute(s, "", 0);
	sync_now(s);
	s->f.answers_at_once = false;
	parse(s, "", "show pools");
	bind_format(s, "c", "", 0);
	execute(s, "c", 0);
	sync_now(s);
	pw_error_set(&err, PW_SQLSTATE_INTERNAL_ERROR, "worker 1 does not answer");
	answer_rows(&s->f, 0, &err);
	assert_sent(s, "12CZ12EZ");
	execute(s, "c", 0);
	assert_fails(s, "", "55000");
}

static void test_names(void **state)
{
	struct session *s = *state;
	char name[80];

	parse(s, "a", "show pools");
	parse(s, "a", "show pools");
	assert_fails(s, "1", "42P05");
	parse(s, "", "show pools");
	parse(s, "", "show lists"); /* the unnamed one is replaced */
	bind_format(s, "p", "a", 0);
	bind_format(s, "p", "a", 0);
	assert_fails(s, "112", "08P01");
	memset(name, 'n', sizeof(name));
	name[PW_CONSOLE_NAME_MAX + 1] = '\0';
	parse(s, name, "show pools");
	assert_fails(s, "", "08P01");
	name[PW_CONSOLE_NAME_MAX] = '\0';
	parse(s, name, "show pools");
	bind_format(s, name, name, 0);
	named(s, 'D', 'P', name);
	named(s, 'C', 'P', name);
	named(s, 'C', 'P', name);
	sync_now(s);
	assert_sent(s, "12T33Z");
	named(s, 'D', 'S', "unknown");
	assert_fails(s, "", "26000");
	named(s, 'D', 'P', "unknown");
	assert_fails(s, "", "08P01");
}

static void test_simple_query_drops_the_unnamed(void **state)
{
	struct session *s = *state;

	parse(s, "", "show pools");
	sync_now(s);
	pw_write_query(&s->out, "show timezone");
	bind_format(s, "", "", 0);
	assert_fails(s, "1ZTDCZ", "26000");
}

static void test_bounds(void **state)
{
	struct session *s = *state;
	char name[16];

	for (int i = 0; i < PW_CONSOLE_STATEMENTS_MAX; i++) {
		snprintf(name, sizeof(name), "s%d", i);
		parse(s, name, "show pools");
	}
	sync_now(s);
	pw_strbuf_reset(&s->f.sent);
	parse(s, "one_more", "show pools");
	assert_fails(s, "", "54000");
	for (int i = 0; i < PW_CONSOLE_PORTALS_MAX; i++) {
		snprintf(name, sizeof(name), "p%d", i);
		bind_format(s, name, "s1", 0);
	}
	bind_format(s, "one_more", "s1", 0);
	assert_fails(s, "2222222222222222", "54000");
}

static void test_rights_hold_here_too(void **state)
{
	struct session *s = *state;

	s->f.client.right = PW_RIGHT_STATS;
	parse(s, "", "kill_client 3");
	bind_format(s, "", "", 0);
	execute(s, "", 0);
	sync_now(s);
	assert_true(has_sent(s, "admin access needed"));
	assert_sent(s, "EZ");
	assert_int_equal(s->f.n_runs, 0);
}

/* Every message, cut short at every place, with the length made to fit. */
static void test_broken_messages(void **state)
{
	struct session *s = *state;
	struct pw_strbuf cut = PW_STRBUF_INIT;

	parse(s, "", "show pools");
	bind_format(s, "", "", 1);
	named(s, 'D', 'S', "");
	execute(s, "", 7);
	for (size_t at = 0, n = 0; at < s->out.len; at += n) {
		const uint8_t *message = (const uint8_t *)s->out.data + at;

		n = 1 + pw_load_u32(message + 1);
		for (size_t len = 1; len < n - 5; len++) {
			struct fixture *f = &s->f;

			pw_strbuf_reset(&cut);
			pw_write_message(&cut, (char)message[0], message + 5, len);
			pw_write_message(&cut, 'S', "", 0);
			feed(f, cut.data, cut.len);
			if (f->is_closed) { /* the reader has refused it */
				fixture_fini(f);
				assert_true(fixture_init(f, PW_RIGHT_ADMIN));
				continue;
			}
			assert_sent(s, "EZ");
		}
		pw_strbuf_reset(&cut);
		pw_write_message(&cut, 'P', "\0show pools\0\0", 14);
		feed(&s->f, cut.data, cut.len); /* for Bind to find */
		pw_strbuf_reset(&s->f.sent);
	}
	pw_strbuf_fini(&cut);
}

#define SESSION(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    SESSION(test_libpq_exec_params),
	    SESSION(test_prepared_and_flushed),
	    SESSION(test_command),
	    SESSION(test_what_needs_no_main),
	    SESSION(test_byte_by_byte),
	    SESSION(test_row_limit),
	    SESSION(test_cursor_within_a_block),
	    SESSION(test_command_runs_once),
	    SESSION(test_format_of_each_column),
	    SESSION(test_parameters),
	    SESSION(test_errors_skip_to_sync),
	    SESSION(test_error_of_main_skips_to_sync),
	    SESSION(test_failed_portal_gives_nothing),
	    SESSION(test_names),
	    SESSION(test_simple_query_drops_the_unnamed),
	    SESSION(test_bounds),
	    SESSION(test_rights_hold_here_too),
	    SESSION(test_broken_messages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

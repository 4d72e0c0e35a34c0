/* SPDX-License-Identifier: PostgreSQL
 *
 * A link that nobody has asks what code its database holds: who asks, how often, and what is made
 * of the answer.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "../lib/fake_pool.h"
#include "pgweir/pool/code.h"
#include "pgweir/proto/writer.h"

enum { SECOND = 1000 * 1000 };

struct fixture {
	struct fake_env env;
	struct fake_server server;
	struct fake_borrower b;
};

static struct pw_code *code_of(struct fixture *f)
{
	return &fake_pool_of(&f->env, 0, "bob")->shared->db->code;
}

static void add_row(struct pw_strbuf *out, const char *text)
{
	size_t begin = pw_writer_begin(out, 'D');

	pw_strbuf_add_u16(out, 1);
	pw_strbuf_add_u32(out, (uint32_t)strlen(text));
	pw_strbuf_add(out, text, strlen(text));
	pw_writer_end(out, begin);
}

static void must_receive_question(struct fixture *f)
{
	struct pw_strbuf question = PW_STRBUF_INIT;

	pw_code_add_question(&question);
	fake_must_receive_query(&f->server, question.data);
	pw_strbuf_fini(&question);
}

static void answer(struct fixture *f, const char *letters, const char *name)
{
	struct pw_strbuf out = PW_STRBUF_INIT;

	add_row(&out, letters);
	if (name)
		add_row(&out, name);
	fake_send(&f->server, out.data, out.len);
	fake_answer(&f->server, "C=SELECT+1 Z=I");
	pw_strbuf_fini(&out);
}

static void begin(struct fixture *f, const char *settings)
{
	memset(f, 0, sizeof(*f));
	fake_env_init(&f->env, settings, "", 1);
	fake_borrower_init(&f->b, fake_pool_of(&f->env, 0, "bob"));
	assert_false(fake_borrow(&f->b));
	fake_accept_login(&f->env, &f->server);
}

static void end(struct fixture *f)
{
	fake_borrower_fini(&f->b);
	fake_server_close(&f->server);
	fake_env_fini(&f->env);
}

static void test_first_link_asks(void **state PW_UNUSED)
{
	struct pw_strbuf names = PW_STRBUF_INIT;
	struct fixture f;
	unsigned what;

	begin(&f, "session_state = track");
	assert_false(pw_code_is_known(code_of(&f), 1, &what));
	assert_int_equal(what, PW_CODE_UNKNOWN);
	must_receive_question(&f);
	fake_assert_heard(&f.b, "");
	answer(&f, "fo", "app.x");
	fake_assert_heard(&f.b, "link");
	assert_true(pw_code_is_known(code_of(&f), 1, &what));
	assert_int_equal(what, PW_CODE_FUNCTIONS | PW_CODE_OPAQUE);
	pw_code_dotted(code_of(&f), &names);
	assert_string_equal(names.data, "app.x");
	pw_strbuf_fini(&names);
	fake_must_be_silent(&f.server);
	end(&f);
}

static void test_nobody_asks_where_sessions_are_not_tracked(void **state PW_UNUSED)
{
	struct fixture f;

	begin(&f, "session_state = off");
	fake_must_be_silent(&f.server);
	fake_assert_heard(&f.b, "link");
	end(&f);
	begin(&f, "session_state = track\npool_mode = session");
	fake_must_be_silent(&f.server);
	fake_assert_heard(&f.b, "link");
	end(&f);
}

/* The link serves all the same, and the code stays under suspicion. */
static void test_no_answer(void **state PW_UNUSED)
{
	struct fixture f;
	unsigned what;

	begin(&f, "session_state = track");
	must_receive_question(&f);
	fake_answer(&f.server, "E=42501 Z=I");
	fake_assert_heard(&f.b, "link");
	assert_false(pw_code_is_known(code_of(&f), 1, &what));
	assert_false(atomic_load(&code_of(&f)->is_asked));
	end(&f);
	begin(&f, "session_state = track");
	must_receive_question(&f);
	fake_answer(&f.server, "D C=SELECT+1 Z=I");
	fake_assert_heard(&f.b, "link");
	assert_false(pw_code_is_known(code_of(&f), 1, &what));
	end(&f);
}

static void test_link_is_lost_while_it_asks(void **state PW_UNUSED)
{
	struct fixture f;

	begin(&f, "session_state = track");
	must_receive_question(&f);
	assert_true(atomic_load(&code_of(&f)->is_asked));
	fake_server_close(&f.server);
	fake_turn(&f.env);
	assert_false(atomic_load(&code_of(&f)->is_asked));
	end(&f);
}

/* How often, by the clock alone. */
static void test_when(void **state PW_UNUSED)
{
	const unsigned clean = 0, tables = PW_CODE_TABLES;
	struct pw_code code;
	uint64_t now = 1000 * (uint64_t)SECOND;
	unsigned what;

	pw_code_init(&code);
	assert_true(pw_code_begin(&code, 1, now, true));
	assert_false(pw_code_begin(&code, 1, now, true)); /* somebody does already */
	pw_code_end(&code, &clean, 1, now);
	assert_true(pw_code_is_known(&code, 1, &what));
	assert_int_equal(what, 0);
	assert_false(pw_code_begin(&code, 1, now + PW_CODE_AGE_US, false));
	assert_false(pw_code_begin(&code, 1, now + PW_CODE_AGE_US + 1, true));
	assert_true(pw_code_begin(&code, 1, now + PW_CODE_AGE_US + 1, false));
	pw_code_end(&code, NULL, 1, now);
	assert_true(pw_code_begin(&code, 1, now + PW_CODE_AGE_MAX_US + 1, true));
	pw_code_end(&code, NULL, 1, now);
	/* A change was seen. */
	assert_false(pw_code_is_known(&code, 2, &what));
	assert_int_equal(what, PW_CODE_UNKNOWN);
	assert_false(pw_code_begin(&code, 2, now + PW_CODE_PAUSE_US, true));
	assert_true(pw_code_begin(&code, 2, now + PW_CODE_PAUSE_US + 1, true));
	pw_code_end(&code, &tables, 2, now);
	assert_int_equal(atomic_load(&code.generation), 0);
	/* One was not seen: what links have had since is not known. */
	pw_code_end(&code, &clean, 2, now);
	pw_code_end(&code, &tables, 2, now);
	assert_int_equal(atomic_load(&code.generation), 1);
	pw_code_fini(&code);
}

static void test_names(void **state PW_UNUSED)
{
	struct pw_strbuf names = PW_STRBUF_INIT;
	struct pw_code code;
	char name[32];

	pw_code_init(&code);
	pw_code_add_dotted(&code, "a.b");
	pw_code_add_dotted(&code, "a.b");
	pw_code_dotted(&code, &names);
	assert_int_equal(names.len, 4);
	for (int i = 1; i < PW_CODE_NAMES_MAX; i++) {
		snprintf(name, sizeof(name), "n.%d", i);
		pw_code_add_dotted(&code, name);
	}
	assert_false(atomic_load(&code.is_full));
	pw_code_add_dotted(&code, "one.more");
	assert_true(atomic_load(&code.is_full));
	pw_strbuf_fini(&names);
	pw_code_fini(&code);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_first_link_asks),
	    cmocka_unit_test(test_nobody_asks_where_sessions_are_not_tracked),
	    cmocka_unit_test(test_no_answer),
	    cmocka_unit_test(test_link_is_lost_while_it_asks),
	    cmocka_unit_test(test_when),
	    cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

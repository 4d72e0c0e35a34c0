/* SPDX-License-Identifier: PostgreSQL
 *
 * A link that nobody has asks what code its database holds: who asks, how often, and what is made
 * of the answer.
 */
#include "config.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
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

	pw_code_add_question(&question, 15);
	fake_must_receive_query(&f->server, question.data);
	pw_strbuf_fini(&question);
}

/* Rows, one a word. */
static void answer(struct fixture *f, const char *rows)
{
	struct pw_strbuf out = PW_STRBUF_INIT;
	char all[200], *rest;

	snprintf(all, sizeof(all), "%s", rows);
	for (char *row = strtok_r(all, " ", &rest); row; row = strtok_r(NULL, " ", &rest))
		add_row(&out, row);
	fake_answer(&f->server, "C=SELECT+0");
	fake_send(&f->server, out.data, out.len);
	fake_answer(&f->server, "C=SELECT+1 Z=I");
	pw_strbuf_fini(&out);
}

static bool is_known(struct pw_code *code, unsigned epoch)
{
	struct pw_code_view view = {0, NULL};
	bool result = pw_code_look(code, &view, epoch) != NULL;

	pw_code_view_fini(&view);
	return result;
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

static struct pw_verdict *verdict_of(unsigned epoch, unsigned tables, unsigned what,
				     const char *name)
{
	struct pw_verdict *verdict = pw_verdict_create(epoch);

	assert_non_null(verdict);
	pw_verdict_add_use(verdict, PW_USE_READ, tables);
	if (name)
		pw_verdict_add(verdict, what, name, strlen(name));
	pw_verdict_finish(verdict);
	return verdict;
}

static void test_first_link_asks(void **state PW_UNUSED)
{
	struct pw_strbuf names = PW_STRBUF_INIT;
	struct pw_code_view view = {0, NULL};
	const struct pw_verdict *verdict;
	struct fixture f;

	begin(&f, "session_state = track");
	assert_null(pw_code_look(code_of(&f), &view, 1));
	must_receive_question(&f);
	fake_assert_heard(&f.b, "");
	assert_false(atomic_load(&fake_pool_of(&f.env, 0, "bob")->shared->db->reads_sequences));
	answer(&f, "t trd twdo tc qra sapp.x dDoubt olost dlost ntables");
	fake_assert_heard(&f.b, "link");
	verdict = pw_code_look(code_of(&f), &view, 1);
	assert_non_null(verdict);
	assert_int_equal(verdict->uses[PW_USE_READ], PW_CODE_DOUBTFUL);
	assert_int_equal(verdict->uses[PW_USE_WRITE], PW_CODE_DOUBTFUL | PW_CODE_OPAQUE);
	assert_int_equal(verdict->uses[PW_USE_COMMAND], 0);
	assert_true(verdict->reading_draws);
	assert_true(atomic_load(&fake_pool_of(&f.env, 0, "bob")->shared->db->reads_sequences));
	assert_int_equal(verdict->any, PW_CODE_DOUBTFUL | PW_CODE_OPAQUE | PW_CODE_TABLES);
	assert_int_equal(pw_verdict_of(verdict, "tables"), PW_CODE_DOUBTFUL | PW_CODE_TABLES);
	assert_int_equal(pw_verdict_of(verdict, "doubt"), PW_CODE_DOUBTFUL);
	assert_int_equal(pw_verdict_of(verdict, "lost"), PW_CODE_DOUBTFUL | PW_CODE_OPAQUE);
	assert_int_equal(pw_verdict_of(verdict, "other"), 0);
	pw_code_copy_names(code_of(&f), &code_of(&f)->dotted, &names);
	assert_string_equal(names.data, "app.x");
	pw_strbuf_fini(&names);
	fake_must_be_silent(&f.server);
	/* What was looked at outlives the database. */
	end(&f);
	assert_int_equal(pw_verdict_of(verdict, "doubt"), PW_CODE_DOUBTFUL);
	pw_code_view_fini(&view);
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
	static const char *const answers[] = {"E=42501 Z=I", "D C=SELECT+1 Z=I", "C=SELECT+0 Z=I"};

	for (size_t i = 0; i < PW_COUNTOF(answers); i++) {
		struct fixture f;

		begin(&f, "session_state = track");
		must_receive_question(&f);
		fake_answer(&f.server, answers[i]);
		fake_assert_heard(&f.b, "link");
		assert_false(is_known(code_of(&f), 1));
		assert_false(atomic_load(&code_of(&f)->is_asked));
		assert_true(pw_code_is_failing(
		    code_of(&f), fake_pool_of(&f.env, 0, "bob")->pools->loop->now_us));
		end(&f);
	}
}

static void must_differ_by_version(void (*add)(struct pw_strbuf *, unsigned))
{
	static const char *const new_names[] = {"pg_get_function_sqlbody", "prosqlbody",
						"stxexprs"};
	struct pw_strbuf of_13 = PW_STRBUF_INIT, of_14 = PW_STRBUF_INIT;

	add(&of_13, 13);
	add(&of_14, 14);
	for (size_t i = 0; i < PW_COUNTOF(new_names); i++) {
		assert_null(strstr(of_13.data, new_names[i]));
		assert_non_null(strstr(of_14.data, new_names[i]));
	}
	pw_strbuf_fini(&of_13);
	pw_strbuf_fini(&of_14);
}

/* What PostgreSQL 14 brought is not looked for in older servers. */
static void test_versions(void **state PW_UNUSED)
{
	must_differ_by_version(pw_code_add_question);
	must_differ_by_version(pw_code_add_settings);
}

/* Nobody asks again for a while, whatever has changed. */
static void test_pause_after_failure(void **state PW_UNUSED)
{
	struct fixture f;
	struct pw_code *code;
	uint64_t now;

	begin(&f, "session_state = track");
	code = code_of(&f);
	must_receive_question(&f);
	fake_answer(&f.server, "E=42501 Z=I");
	fake_assert_heard(&f.b, "link");
	now = atomic_load(&code->failed_us);
	assert_true(now > 0);
	assert_false(pw_code_begin(code, 2, now + 59 * SECOND, false));
	assert_true(pw_code_begin(code, 2, now + 61 * SECOND, false));
	pw_code_end(code, verdict_of(2, 0, PW_CODE_DOUBTFUL, "f"), now + 61 * SECOND);
	assert_int_equal(atomic_load(&code->failed_us), 0);
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

/* One that has a link and needs the answer. */
static void test_borrower_asks(void **state PW_UNUSED)
{
	struct fixture f;

	begin(&f, "session_state = track");
	must_receive_question(&f);
	answer(&f, "t");
	fake_assert_heard(&f.b, "link");
	assert_true(is_known(code_of(&f), 1));
	atomic_fetch_add(&fake_pool_of(&f.env, 0, "bob")->shared->db->code_epoch, 1);
	assert_false(is_known(code_of(&f), 2));
	assert_true(pw_link_learn_lent(f.b.loan.link));
	must_receive_question(&f);
	assert_false(
	    pw_code_begin_now(code_of(&f), fake_pool_of(&f.env, 0, "bob")->pools->loop->now_us));
	pw_pool_return(&f.b.loan, true, true);
	assert_false(atomic_load(&code_of(&f)->is_asked));
	end(&f);
}

/* How often, by the clock alone. */
static void test_when(void **state PW_UNUSED)
{
	struct pw_code code;
	uint64_t now = 1000 * (uint64_t)SECOND;

	pw_code_init(&code);
	assert_true(pw_code_begin(&code, 1, now, true));
	assert_false(pw_code_begin(&code, 1, now, true)); /* somebody does already */
	pw_code_end(&code, verdict_of(1, 0, 0, NULL), now);
	assert_true(is_known(&code, 1));
	assert_false(pw_code_begin(&code, 1, now + PW_CODE_AGE_US, false));
	assert_false(pw_code_begin(&code, 1, now + PW_CODE_AGE_US + 1, true));
	assert_true(pw_code_begin(&code, 1, now + PW_CODE_AGE_US + 1, false));
	pw_code_end(&code, NULL, now);
	assert_true(pw_code_begin(&code, 1, now + PW_CODE_AGE_MAX_US + 1, true));
	pw_code_end(&code, NULL, now);
	/* A change was seen. */
	assert_false(is_known(&code, 2));
	assert_false(pw_code_begin(&code, 2, now + PW_CODE_PAUSE_US, true));
	assert_true(pw_code_begin(&code, 2, now + PW_CODE_PAUSE_US + 1, true));
	pw_code_end(&code, verdict_of(2, 0, 0, NULL), now);
	assert_true(is_known(&code, 2));
	pw_code_fini(&code);
}

/* What links have had since is not known where a verdict was too mild. */
static void test_change_of_which_nobody_told(void **state PW_UNUSED)
{
	struct pw_code code;

	pw_code_init(&code);
	pw_code_end(&code, verdict_of(1, 0, PW_CODE_DOUBTFUL, "f"), 1);
	pw_code_end(&code, verdict_of(2, PW_CODE_DOUBTFUL, PW_CODE_DOUBTFUL, "g"), 1);
	assert_int_equal(atomic_load(&code.generation), 0);
	pw_code_end(&code, verdict_of(2, 0, 0, NULL), 1);
	assert_int_equal(atomic_load(&code.generation), 0);
	pw_code_end(&code, verdict_of(2, PW_CODE_DOUBTFUL, 0, NULL), 1);
	assert_int_equal(atomic_load(&code.generation), 1);
	pw_code_end(&code, verdict_of(2, PW_CODE_DOUBTFUL, PW_CODE_DOUBTFUL, "f"), 1);
	assert_int_equal(atomic_load(&code.generation), 2);
	pw_code_end(&code, verdict_of(2, PW_CODE_DOUBTFUL, PW_CODE_OPAQUE, "f"), 1);
	assert_int_equal(atomic_load(&code.generation), 3);
	pw_code_fini(&code);
}

static void test_views(void **state PW_UNUSED)
{
	struct pw_code_view one = {0, NULL}, two = {0, NULL};
	const struct pw_verdict *first, *second;
	struct pw_code code;

	pw_code_init(&code);
	assert_null(pw_code_look(&code, &one, 1));
	pw_code_end(&code, verdict_of(1, 0, PW_CODE_DOUBTFUL, "f"), 1);
	first = pw_code_look(&code, &one, 1);
	assert_ptr_equal(first, pw_code_look(&code, &two, 1));
	pw_code_end(&code, verdict_of(1, 0, PW_CODE_DOUBTFUL, "g"), 1);
	second = pw_code_look(&code, &two, 1);
	assert_int_equal(pw_verdict_of(second, "g"), PW_CODE_DOUBTFUL);
	assert_int_equal(pw_verdict_of(first, "f"), PW_CODE_DOUBTFUL);
	pw_code_fini(&code);
	assert_int_equal(pw_verdict_of(first, "f"), PW_CODE_DOUBTFUL);
	pw_code_view_fini(&one);
	pw_code_view_fini(&two);
}

static void *look_again_and_again(void *arg)
{
	struct pw_code *code = arg;
	struct pw_code_view view = {0, NULL};
	const struct pw_verdict *verdict = NULL;

	do {
		verdict = pw_code_look(code, &view, 1);
		assert_true(!verdict || pw_verdict_of(verdict, "f") == PW_CODE_DOUBTFUL);
	} while (!verdict || verdict->uses[PW_USE_READ] == 0);
	pw_code_view_fini(&view);
	return NULL;
}

static void test_workers(void **state PW_UNUSED)
{
	pthread_t threads[3];
	struct pw_code code;

	pw_code_init(&code);
	for (size_t i = 0; i < PW_COUNTOF(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, look_again_and_again, &code), 0);
	for (int i = 0; i < 2000; i++)
		pw_code_end(&code, verdict_of(1, 0, PW_CODE_DOUBTFUL, "f"), 1);
	pw_code_end(&code, verdict_of(1, PW_CODE_OPAQUE, PW_CODE_DOUBTFUL, "f"), 1);
	for (size_t i = 0; i < PW_COUNTOF(threads); i++)
		pthread_join(threads[i], NULL);
	pw_code_fini(&code);
}

static void test_names(void **state PW_UNUSED)
{
	struct pw_strbuf names = PW_STRBUF_INIT;
	struct pw_code code;
	char name[32];

	pw_code_init(&code);
	pw_code_add_name(&code, &code.dotted, "a.b");
	pw_code_add_name(&code, &code.dotted, "a.b");
	pw_code_copy_names(&code, &code.dotted, &names);
	assert_int_equal(names.len, 4);
	for (int i = 1; i < PW_CODE_NAMES_MAX; i++) {
		snprintf(name, sizeof(name), "n.%d", i);
		pw_code_add_name(&code, &code.dotted, name);
	}
	assert_false(atomic_load(&code.dotted.is_full));
	pw_code_add_name(&code, &code.dotted, "one.more");
	assert_true(atomic_load(&code.dotted.is_full));
	/* The other list is a list of its own. */
	assert_false(atomic_load(&code.of_sessions.is_full));
	pw_strbuf_fini(&names);
	pw_code_fini(&code);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_first_link_asks),
	    cmocka_unit_test(test_nobody_asks_where_sessions_are_not_tracked),
	    cmocka_unit_test(test_no_answer),
	    cmocka_unit_test(test_versions),
	    cmocka_unit_test(test_pause_after_failure),
	    cmocka_unit_test(test_link_is_lost_while_it_asks),
	    cmocka_unit_test(test_borrower_asks),
	    cmocka_unit_test(test_when),
	    cmocka_unit_test(test_change_of_which_nobody_told),
	    cmocka_unit_test(test_views),
	    cmocka_unit_test(test_workers),
	    cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

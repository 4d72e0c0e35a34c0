/* SPDX-License-Identifier: PostgreSQL
 *
 * How much is asked for after which effects, and what is made of the answer.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "../lib/params_fixture.h"
#include "pgweir/base/status.h"
#include "pgweir/proto/writer.h"
#include "pgweir/session/residue.h"

/* A session that has these settings. */
struct session {
	struct pw_states states;
	struct pw_state *settings;
	struct pw_effects effects;
	struct pw_residue residue;
	struct pw_residue_context context;
	struct pw_strbuf sql;
};

static void set(struct session *s, const char *name, const char *value)
{
	struct pw_state *changed = pw_state_with(s->settings, name, value);

	pw_state_unref(s->settings);
	s->settings = changed;
	s->context.settings = changed;
}

static void begin(struct session *s, const struct fixture *f)
{
	memset(s, 0, sizeof(*s));
	pw_states_init(&s->states, &f->table.key);
	s->settings = pw_state_empty(&s->states);
	s->context = (struct pw_residue_context){
	    .tracked = &f->tracked, .settings = s->settings, .effects = &s->effects, .user = "bob"};
}

static void end(struct session *s)
{
	pw_residue_fini(&s->residue);
	pw_effects_fini(&s->effects);
	pw_strbuf_fini(&s->sql);
	pw_state_unref(s->settings);
	pw_states_fini(&s->states);
}

static bool ask(struct session *s, unsigned flags, const char *name)
{
	pw_effects_clear(&s->effects);
	pw_strbuf_reset(&s->sql);
	pw_residue_fini(&s->residue);
	s->effects.flags = flags;
	if (name)
		pw_effects_add_name(&s->effects, name, strlen(name));
	return pw_residue_ask(&s->residue, &s->effects, false, &s->context, &s->sql);
}

static void test_nothing_to_ask(void **state)
{
	struct session s;

	begin(&s, *state);
	assert_false(ask(&s, 0, NULL));
	assert_false(ask(&s, PW_EFFECT_RESET | PW_EFFECT_SEQUENCES | PW_EFFECT_DROPS, NULL));
	/* The server reports it by itself. */
	assert_false(ask(&s, 0, "TimeZone"));
	assert_false(ask(&s, PW_EFFECT_RESET, "timezone"));
	/* It ends with the transaction. */
	assert_false(ask(&s, 0, "transaction_isolation"));
	end(&s);
}

/* What is tracked is asked for all the same where the server does not report it. */
static void test_tracked_but_not_reported(void **state)
{
	const char *values[PW_TRACKED_MAX] = {[TIMEZONE] = "UTC", [SEARCH_PATH] = "public"};
	struct fixture *f = *state;
	struct pw_params *reported;
	struct session s;

	begin(&s, *state);
	assert_true(ask(&s, 0, "search_path"));
	assert_int_equal(s.residue.scope, PW_RESIDUE_ALL);
	reported = pw_params_intern(&f->table, values);
	s.context.reported = reported;
	assert_false(ask(&s, 0, "search_path"));
	assert_false(ask(&s, PW_EFFECT_RESET, "Search_Path"));
	assert_true(ask(&s, 0, "intervalstyle"));
	end(&s);
	pw_params_unref(&f->table, reported);
}

static void test_scope(void **state)
{
	struct session s;

	begin(&s, *state);
	/* Its value alone does not tell whether it is set at all. */
	assert_true(ask(&s, 0, "work_mem"));
	assert_int_equal(s.residue.scope, PW_RESIDUE_ALL);
	set(&s, "work_mem", "1MB");
	assert_true(ask(&s, 0, "work_mem"));
	assert_int_equal(s.residue.scope, PW_RESIDUE_NAMED);
	assert_string_equal(s.sql.data, "SELECT 's'::pg_catalog.text, 'work_mem'::pg_catalog.text, "
					"pg_catalog.current_setting('work_mem', true)");
	assert_true(ask(&s, PW_EFFECT_RESET, "work_mem"));
	assert_int_equal(s.residue.scope, PW_RESIDUE_ALL);
	assert_true(ask(&s, PW_EFFECT_RESET, "app.x"));
	assert_int_equal(s.residue.scope, PW_RESIDUE_NAMED);
	assert_true(ask(&s, PW_EFFECT_RESET, "role"));
	assert_int_equal(s.residue.scope, PW_RESIDUE_NAMED);
	assert_true(ask(&s, 0, "it's.x"));
	assert_non_null(strstr(s.sql.data, "current_setting('it''s.x', true)"));
	assert_true(ask(&s, PW_EFFECT_RESET_ALL, NULL));
	assert_int_equal(s.residue.scope, PW_RESIDUE_ALL);
	assert_non_null(strstr(s.sql.data, "current_setting('role', true)"));
	assert_null(strstr(s.sql.data, "pg_tablespace"));
	end(&s);
}

/* Names with a dot are listed nowhere: whoever may have set one is asked for each that is known. */
static void test_all_names_with_a_dot(void **state)
{
	struct pw_strbuf dotted = PW_STRBUF_INIT;
	struct session s;

	begin(&s, *state);
	set(&s, "app.had", "1");
	pw_strbuf_add(&dotted, "app.known", 10);
	s.context.dotted = &dotted;
	assert_true(ask(&s, PW_EFFECT_SETTINGS, "app.named"));
	assert_non_null(strstr(s.sql.data, "'app.had'"));
	assert_non_null(strstr(s.sql.data, "'app.known'"));
	assert_non_null(strstr(s.sql.data, "'app.named'"));
	pw_strbuf_fini(&dotted);
	end(&s);
}

/* Tables are read behind all else, and only where somebody may have set it. */
static void test_tablespaces(void **state)
{
	struct session s;

	begin(&s, *state);
	assert_true(ask(&s, 0, "temp_tablespaces"));
	assert_non_null(strstr(s.sql.data, "pg_tablespace"));
	assert_true(ask(&s, PW_EFFECT_SETTINGS, NULL));
	assert_non_null(strstr(s.sql.data, "pg_tablespace"));
	assert_true(strstr(s.sql.data, ";SELECT FROM") < strstr(s.sql.data, "pg_tablespace"));
	set(&s, "temp_tablespaces", "x");
	assert_true(ask(&s, PW_EFFECT_RESET, "work_mem"));
	assert_non_null(strstr(s.sql.data, "pg_tablespace"));
	end(&s);
}

static void test_objects(void **state)
{
	struct session s;

	begin(&s, *state);
	assert_true(ask(&s, PW_EFFECT_TEMP, NULL));
	assert_int_equal(s.residue.scope, PW_RESIDUE_NO_SETTINGS);
	assert_int_equal(s.residue.objects, PW_EFFECT_TEMP);
	assert_non_null(strstr(s.sql.data, "pg_my_temp_schema()"));
	assert_null(strstr(s.sql.data, "pg_cursors"));
	assert_true(ask(&s, PW_EFFECTS_OF_OBJECTS, NULL));
	assert_non_null(strstr(s.sql.data, "pg_listening_channels"));
	end(&s);
}

/* ---- answers ---- */

static void add_column(struct pw_strbuf *out, const char *text)
{
	pw_strbuf_add_u32(out, text ? (uint32_t)strlen(text) : UINT32_MAX);
	if (text)
		pw_strbuf_add(out, text, strlen(text));
}

static void hear(struct session *s, const char *kind, const char *name, const char *value)
{
	struct pw_strbuf out = PW_STRBUF_INIT;
	size_t begin = pw_writer_begin(&out, 'D');

	pw_strbuf_add_u16(&out, 3);
	add_column(&out, kind);
	add_column(&out, name);
	add_column(&out, value);
	pw_writer_end(&out, begin);
	/* In two pieces. */
	pw_residue_take(&s->residue, out.data, 7);
	pw_residue_take(&s->residue, out.data + 7, out.len - 7);
	pw_strbuf_fini(&out);
}

/* "name=value name=value" */
static void assert_found(struct session *s, const char *settings, unsigned objects)
{
	struct pw_residue_found found;
	struct pw_strbuf got = PW_STRBUF_INIT;

	assert_int_equal(pw_residue_find(&s->residue, &s->context, &found), PW_OK);
	for (unsigned i = 0; i < found.settings->n; i++)
		pw_strbuf_printf(&got, "%s%s=%s", i > 0 ? " " : "",
				 found.settings->settings[i].name,
				 found.settings->settings[i].value);
	assert_string_equal(got.data ? got.data : "", settings);
	assert_int_equal(found.objects, objects);
	pw_strbuf_fini(&got);
	pw_state_unref(found.settings);
}

/* Channels come with their names. */
static void test_channels(void **state)
{
	struct pw_residue_found found;
	struct session s;

	begin(&s, *state);
	assert_true(ask(&s, PW_EFFECT_LISTENS, NULL));
	hear(&s, "l", "Mixed Name", NULL);
	hear(&s, "l", "b", NULL);
	assert_int_equal(pw_residue_find(&s.residue, &s.context, &found), PW_OK);
	assert_int_equal(found.objects, PW_EFFECT_LISTENS);
	assert_int_equal(found.channels.n, 2);
	assert_true(pw_channels_have(&found.channels, "Mixed Name"));
	pw_channels_fini(&found.channels);
	pw_state_unref(found.settings);
	assert_true(ask(&s, PW_EFFECT_LISTENS, NULL));
	assert_found(&s, "", 0);
	end(&s);
}

static void test_named_settings(void **state)
{
	struct session s;

	begin(&s, *state);
	set(&s, "work_mem", "1MB");
	set(&s, "app.x", "1");
	assert_true(ask(&s, 0, "work_mem"));
	hear(&s, "s", "work_mem", "2MB");
	assert_found(&s, "app.x=1 work_mem=2MB", 0);
	/* Rolled back on a server where it never was: but this session has it. */
	assert_true(ask(&s, 0, "app.x"));
	hear(&s, "s", "app.x", NULL);
	assert_found(&s, "app.x= work_mem=1MB", 0);
	assert_true(ask(&s, 0, "app.y"));
	hear(&s, "s", "app.y", NULL);
	assert_found(&s, "app.x=1 work_mem=1MB", 0);
	end(&s);
}

static void test_all_settings(void **state)
{
	struct session s;

	begin(&s, *state);
	set(&s, "work_mem", "1MB");
	set(&s, "app.x", "1");
	assert_true(ask(&s, PW_EFFECT_SETTINGS, NULL));
	hear(&s, "s", "timezone", "UTC");
	hear(&s, "s", "transaction_isolation", "serializable");
	hear(&s, "s", "lock_timeout", "3s");
	hear(&s, "s", "app.x", "");
	hear(&s, "s", "app.others", "");
	assert_found(&s, "app.x= lock_timeout=3s", 0);
	end(&s);
}

static void test_identity(void **state)
{
	struct session s;

	begin(&s, *state);
	assert_true(ask(&s, 0, "role"));
	hear(&s, "s", "role", "alice");
	hear(&s, "s", "session_authorization", "carol");
	assert_found(&s, "role=alice session_authorization=carol", 0);
	assert_true(ask(&s, 0, "role"));
	set(&s, "role", "alice");
	hear(&s, "s", "role", "none");
	hear(&s, "s", "session_authorization", "bob");
	assert_found(&s, "", 0);
	end(&s);
}

static void test_objects_that_are_there(void **state)
{
	struct session s;

	begin(&s, *state);
	assert_true(ask(&s, PW_EFFECTS_OF_OBJECTS, NULL));
	assert_found(&s, "", 0);
	hear(&s, "o", "temp", NULL);
	hear(&s, "o", "locks", NULL);
	assert_found(&s, "", PW_EFFECT_TEMP | PW_EFFECT_LOCKS);
	end(&s);
}

static void test_broken_answers(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
	} broken[] = {
	    {"X\0\0\0\4", 5},
	    {"D\0\0\0\3", 5},
	    {"D\0\0\0\6\0\3", 7},
	    {"D\0\0\0\6\0\2", 7},
	    {"D\377\377\377\377\0\3", 7},
	    {"D\0\0\0\x12\0\3\377\377\377\377\377\377\377\377\377\377\377\377", 19},
	    {"D\0\0\0\x13\0\3\0\0\0\5a\377\377\377\377\377\377\377\377", 20},
	};
	struct pw_residue_found found;
	struct session s;

	begin(&s, *state);
	for (size_t i = 0; i < PW_COUNTOF(broken); i++) {
		assert_true(ask(&s, PW_EFFECT_TEMP, NULL));
		pw_residue_take(&s.residue, broken[i].bytes, broken[i].len);
		assert_int_equal(pw_residue_find(&s.residue, &s.context, &found), PW_EPROTO);
	}
	assert_true(ask(&s, PW_EFFECT_TEMP, NULL));
	s.residue.has_failed = true;
	assert_int_equal(pw_residue_find(&s.residue, &s.context, &found), PW_EPROTO);
	end(&s);
}

/* Such a setting is known, and that no other server would take it. */
static void test_rights(void **state)
{
	struct session s;

	begin(&s, *state);
	s.context.server_version = 15;
	assert_true(ask(&s, PW_EFFECT_RESET_ALL, NULL));
	assert_non_null(strstr(s.sql.data, "has_parameter_privilege"));
	hear(&s, "p", "log_statement", "all");
	assert_found(&s, "log_statement=all", PW_EFFECT_RIGHTS);
	s.context.server_version = 14;
	assert_true(ask(&s, PW_EFFECT_RESET_ALL, NULL));
	assert_null(strstr(s.sql.data, "has_parameter_privilege"));
	assert_non_null(strstr(s.sql.data, "rolsuper"));
	end(&s);
}

/* A name with a dot, where it may have been set by another. */
static void test_when_rights_are_asked_about(void **state)
{
	struct session s;

	begin(&s, *state);
	assert_true(ask(&s, 0, "app.x"));
	assert_int_equal(s.residue.scope, PW_RESIDUE_NAMED);
	assert_int_equal(s.residue.objects, 0);
	assert_true(ask(&s, PW_EFFECT_PARSES, "app.x"));
	assert_int_equal(s.residue.scope, PW_RESIDUE_ALL);
	assert_int_equal(s.residue.objects, PW_EFFECT_RIGHTS);
	set(&s, "role", "alice");
	assert_true(ask(&s, 0, "app.x"));
	assert_int_equal(s.residue.scope, PW_RESIDUE_ALL);
	set(&s, "app.x", "1");
	assert_true(ask(&s, 0, "app.x"));
	assert_int_equal(s.residue.scope, PW_RESIDUE_NAMED);
	s.context.has_foreign = true;
	assert_true(ask(&s, 0, "app.x"));
	assert_int_equal(s.residue.scope, PW_RESIDUE_ALL);
	end(&s);
}

/* A server does not list it for everybody. */
static void test_hidden_setting(void **state)
{
	struct session s;

	begin(&s, *state);
	assert_true(ask(&s, 0, "dynamic_library_path"));
	assert_false(pw_residue_may_hide(&s.effects, &s.context));
	pw_effects_add_name(&s.effects, "role", 4);
	assert_true(pw_residue_may_hide(&s.effects, &s.context));
	end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_nothing_to_ask, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_tracked_but_not_reported, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_scope, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_channels, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_all_names_with_a_dot, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_tablespaces, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_objects, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_named_settings, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_all_settings, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_identity, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_objects_that_are_there, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_broken_answers, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_rights, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_when_rights_are_asked_about, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_hidden_setting, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

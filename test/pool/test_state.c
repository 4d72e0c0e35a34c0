/* SPDX-License-Identifier: PostgreSQL
 *
 * States of sessions: equal ones are one, whatever way they came about; the difference of two makes
 * the one the other.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pgweir/base/status.h"
#include "pgweir/pool/state.h"

static const struct pw_hash_key key = {11, 12};

static int setup(void **state)
{
	struct pw_states *states = calloc(1, sizeof(*states));

	pw_states_init(states, &key);
	*state = states;
	return 0;
}

static int teardown(void **state)
{
	pw_states_fini(*state); /* asserts that every state has gone */
	free(*state);
	return 0;
}

/* Sets, or takes out, one name; the reference to the old state is given up. */
static void change(struct pw_state **state, const char *name, const char *value)
{
	struct pw_state *changed = pw_state_with(*state, name, value);

	assert_non_null(changed);
	pw_state_unref(*state);
	*state = changed;
}

/* "a=1 b=2" */
static struct pw_state *make(struct pw_states *states, const char *text)
{
	struct pw_state *state = pw_state_empty(states);
	char *copy = strdup(text), *rest = copy, *word;

	while ((word = strsep(&rest, " "))) {
		char *value = strchr(word, '=');

		if (!value)
			continue;
		*value = '\0';
		change(&state, word, value + 1);
	}
	free(copy);
	return state;
}

static void test_equal_states_are_one(void **state)
{
	struct pw_state *a = make(*state, "role=bob timezone=UTC app.tenant=1");
	struct pw_state *b = make(*state, "app.tenant=2 timezone=UTC role=bob app.tenant=1");
	struct pw_state *empty = pw_state_empty(*state);

	assert_ptr_equal(a, b);
	assert_int_equal(a->n, 3);
	assert_string_equal(pw_state_find(a, "timezone"), "UTC");
	assert_null(pw_state_find(a, "search_path"));
	assert_null(pw_state_find(empty, "role"));
	change(&b, "app.tenant", "2");
	assert_ptr_not_equal(a, b);
	assert_false(pw_id_equal(a->id, b->id));
	change(&b, "app.tenant", NULL);
	change(&b, "timezone", NULL);
	change(&b, "role", NULL);
	change(&b, "never.set", NULL);
	assert_ptr_equal(b, empty);
	pw_state_unref(a);
	pw_state_unref(b);
	pw_state_unref(empty);
}

/* What is told apart: name and value, and where the one ends. */
static void test_other_states_are_others(void **state)
{
	static const char *const texts[] = {"",        "a=",      "a=b",     "ab=",     "a=B",
					    "a=b b=a", "a=a b=b", "a=b c=d", "a=bc d=", "a=d c=b"};
	struct pw_state *all[PW_COUNTOF(texts)];

	for (size_t i = 0; i < PW_COUNTOF(texts); i++) {
		all[i] = make(*state, texts[i]);
		for (size_t k = 0; k < i; k++)
			assert_false(pw_id_equal(all[i]->id, all[k]->id));
	}
	for (size_t i = 0; i < PW_COUNTOF(texts); i++)
		pw_state_unref(all[i]);
}

static void apply(const char *name, const char *value, void *arg)
{
	change(arg, name, value);
}

static void note(const char *name, const char *value, void *arg)
{
	pw_strbuf_printf(arg, "%s%s%s;", name, value ? "=" : "", value ? value : "");
}

static void assert_diff(struct pw_states *states, const char *from, const char *to,
			const char *wanted)
{
	struct pw_state *a = make(states, from), *b = make(states, to);
	struct pw_strbuf said = PW_STRBUF_INIT;

	pw_state_diff(a, b, note, &said);
	assert_string_equal(said.data ? said.data : "", wanted);
	pw_strbuf_fini(&said);
	/* And it does what it says. */
	pw_state_ref(a);
	pw_state_diff(a, b, apply, &a);
	assert_ptr_equal(a, b);
	pw_state_unref(a);
	pw_state_unref(b);
	a = make(states, from);
	pw_state_unref(a);
	pw_state_unref(a);
}

static void test_difference(void **state)
{
	assert_diff(*state, "", "", "");
	assert_diff(*state, "a=1", "a=1", "");
	assert_diff(*state, "", "a=1 b=2", "a=1;b=2;");
	assert_diff(*state, "a=1 b=2", "", "a;b;");
	assert_diff(*state, "a=1 b=2 d=4", "b=3 c=5 d=4 e=", "a;b=3;c=5;e=;");
}

/* Another worker has the same secret, and so the same ids. */
static void test_export(void **state)
{
	static const char *const texts[] = {"", "a=1", "a= b=2 c.d=3"};
	struct pw_states other;

	pw_states_init(&other, &key);
	for (size_t i = 0; i < PW_COUNTOF(texts); i++) {
		struct pw_state *a = make(*state, texts[i]), *b;
		struct pw_strbuf text = PW_STRBUF_INIT;

		pw_state_export(a, &text);
		b = pw_state_import(&other, &text);
		assert_non_null(b);
		assert_true(pw_id_equal(a->id, b->id));
		assert_int_equal(a->n, b->n);
		assert_ptr_equal(b->states, &other);
		pw_strbuf_fini(&text);
		pw_state_unref(a);
		pw_state_unref(b);
	}
	pw_states_fini(&other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_equal_states_are_one, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_other_states_are_others, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_difference, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_export, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

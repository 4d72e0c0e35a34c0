/* SPDX-License-Identifier: PostgreSQL
 *
 * What functions may leave, by their names.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "pgweir/base/status.h"
#include "pgweir/pool/verdict.h"

enum { BOTH = PW_CODE_DOUBTFUL | PW_CODE_OPAQUE };

static void add(struct pw_verdict *verdict, unsigned what, const char *name)
{
	pw_verdict_add(verdict, what, name, strlen(name));
}

static void assert_named(const char *name, const char *wanted)
{
	char got[PW_FUNCTION_NAME_SIZE];

	pw_function_name(got, name, strlen(name));
	assert_string_equal(got, wanted);
}

static void test_names(void **state PW_UNUSED)
{
	char name[200], wanted[PW_FUNCTION_NAME_SIZE];

	assert_named("f", "f");
	assert_named("App.Set_Ctx", "set_ctx");
	assert_named("db.app.f", "f");
	assert_named("", "");
	assert_named("f.", "");
	assert_named("\xc3\x84X", "\xc3\x84x");
	memset(name, 'X', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	memset(wanted, 'x', sizeof(wanted));
	wanted[sizeof(wanted) - 1] = '\0';
	assert_named(name, wanted);
}

static void test_look_up(void **state PW_UNUSED)
{
	struct pw_verdict *verdict = pw_verdict_create(7);

	assert_int_equal(verdict->epoch, 7);
	pw_verdict_finish(verdict);
	assert_int_equal(pw_verdict_of(verdict, "f"), 0);
	add(verdict, PW_CODE_DOUBTFUL, "f");
	add(verdict, BOTH, "E");
	add(verdict, PW_CODE_OPAQUE, "f");
	add(verdict, PW_CODE_DOUBTFUL, "a");
	add(verdict, PW_CODE_DOUBTFUL, "");
	pw_verdict_finish(verdict);
	assert_int_equal(verdict->n, 4);
	assert_int_equal(pw_verdict_of(verdict, "f"), BOTH);
	assert_int_equal(pw_verdict_of(verdict, "e"), BOTH);
	assert_int_equal(pw_verdict_of(verdict, "a"), PW_CODE_DOUBTFUL);
	assert_int_equal(pw_verdict_of(verdict, ""), PW_CODE_DOUBTFUL);
	assert_int_equal(pw_verdict_of(verdict, "b"), 0);
	assert_int_equal(verdict->any, BOTH);
	assert_int_equal(verdict->uses[PW_USE_READ] | verdict->all, 0);
	pw_verdict_unref(pw_verdict_ref(verdict));
	pw_verdict_unref(verdict);
	pw_verdict_unref(NULL);
}

/* A text that names it is taken to mean PostgreSQL's. */
static void test_names_of_builtins(void **state PW_UNUSED)
{
	struct pw_verdict *verdict = pw_verdict_create(1);

	add(verdict, PW_CODE_DOUBTFUL, "Abs");
	assert_int_equal(verdict->uses[PW_USE_READ], PW_CODE_DOUBTFUL);
	add(verdict, PW_CODE_OPAQUE, "lower");
	assert_int_equal(verdict->uses[PW_USE_READ], BOTH);
	pw_verdict_unref(verdict);
}

static void test_too_many(void **state PW_UNUSED)
{
	struct pw_verdict *verdict = pw_verdict_create(1);
	char name[32];

	for (int i = 0; i < PW_CODE_FUNCTIONS_MAX; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		add(verdict, PW_CODE_DOUBTFUL, name);
	}
	assert_int_equal(verdict->all, 0);
	add(verdict, BOTH, "one_more");
	pw_verdict_finish(verdict);
	assert_int_equal(verdict->all, BOTH);
	assert_int_equal(pw_verdict_of(verdict, "any"), BOTH);
	pw_verdict_unref(verdict);
}

static void test_more_than_before(void **state PW_UNUSED)
{
	struct pw_verdict *one = pw_verdict_create(1), *two = pw_verdict_create(1);

	assert_false(pw_verdict_exceeds(one, two));
	add(one, PW_CODE_DOUBTFUL, "f");
	pw_verdict_finish(one);
	assert_true(pw_verdict_exceeds(one, two));
	assert_false(pw_verdict_exceeds(two, one));
	add(two, BOTH, "f");
	pw_verdict_finish(two);
	assert_false(pw_verdict_exceeds(one, two));
	assert_true(pw_verdict_exceeds(two, one));
	pw_verdict_add_use(one, PW_USE_READ, PW_CODE_OPAQUE);
	assert_true(pw_verdict_exceeds(one, two));
	pw_verdict_unref(one);
	pw_verdict_unref(two);
}

static void test_reading_draws(void **state PW_UNUSED)
{
	struct pw_verdict *one = pw_verdict_create(1), *two = pw_verdict_create(1);

	one->reading_draws = true;
	assert_true(pw_verdict_exceeds(one, two));
	assert_false(pw_verdict_exceeds(two, one));
	two->reading_draws = true;
	assert_false(pw_verdict_exceeds(one, two));
	pw_verdict_unref(one);
	pw_verdict_unref(two);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_names),
	    cmocka_unit_test(test_look_up),
	    cmocka_unit_test(test_names_of_builtins),
	    cmocka_unit_test(test_too_many),
	    cmocka_unit_test(test_more_than_before),
	    cmocka_unit_test(test_reading_draws),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

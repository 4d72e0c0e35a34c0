/* SPDX-License-Identifier: PostgreSQL
 *
 * Settings with a dot that a text sets to a literal, and where that stands.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "pgweir/base/status.h"
#include "pgweir/base/strbuf.h"
#include "pgweir/sql/sets.h"

static void add_span(struct pw_strbuf *out, const char *text, struct pw_span span)
{
	pw_strbuf_printf(out, "<%.*s>", (int)(span.end - span.begin), text + span.begin);
}

/* `wanted`: of each its name and value, where these stand, and what stands in its quotes. */
static void assert_sets(const char *text, const char *wanted)
{
	struct pw_strbuf got = PW_STRBUF_INIT;
	struct pw_sets sets;
	struct pw_set set;
	const char *found;

	pw_sets_init(&sets, text, strlen(text));
	while (pw_sets_next(&sets, &set)) {
		if (set.is_shown) {
			pw_strbuf_printf(&got, " %s? ", set.name);
			add_span(&got, text, set.all);
			continue;
		}
		pw_strbuf_printf(&got, " %s=%s%s ", set.name, set.value, set.is_default ? "!" : "");
		assert_int_equal(set.all.end, set.stands.end);
		add_span(&got, text, set.at);
		add_span(&got, text, set.stands);
		if (set.is_quoted)
			add_span(&got, text, set.inside);
	}
	found = got.data ? got.data : "";
	if (strcmp(found, wanted) != 0)
		fail_msg("%s\n got:%s\nwant:%s\n", text, found, wanted);
	pw_strbuf_fini(&got);
}

static void test_found(void **state PW_UNUSED)
{
	assert_sets("SET a.b = 'x'", " a.b=x <a.b><'x'><x>");
	assert_sets("set  session A.b TO /* c */ Word;", " a.b=word <A.b><Word>");
	assert_sets("SET LOCAL a . b='X'''", " a.b=X'' <a . b><'X'''><X''>");
	assert_sets("SET \"A\".\"b\" = E'x'", " a.b=x <\"A\".\"b\"><E'x'><x>");
	assert_sets("SET \"a.b\" = \"X\"", " a.b=X <\"a.b\"><\"X\"><X>");
	assert_sets("SET a.b.c = $t$x$t$", " a.b.c=x <a.b.c><$t$x$t$><x>");
	assert_sets("SET a.b = $$$$", " a.b= <a.b><$$$$><>");
	assert_sets("SET a.b = ''", " a.b= <a.b><''><>");
	assert_sets("SET a.b = U&'x'", " a.b=x <a.b><U&'x'><x>");
	assert_sets("SET a.b = -1.5", " a.b=-1.5 <a.b><-1.5>");
	assert_sets("SET a.b = DEFAULT", " a.b=default! <a.b><DEFAULT>");
	assert_sets("SET a.b = 'default'", " a.b=default <a.b><'default'><default>");
	assert_sets(";; SELECT ';'; SET a.b = 1; SET c = 2; SET d.e = 3",
		    " a.b=1 <a.b><1> d.e=3 <d.e><3>");
}

static void test_shown(void **state PW_UNUSED)
{
	assert_sets("SHOW a.b", " a.b? <SHOW a.b>");
	assert_sets("-- c\n; show /* c /* d */ */ \"A\" . \"b\" ; -- e",
		    " a.b? <show /* c /* d */ */ \"A\" . \"b\">");
	assert_sets("COMMIT; SHOW a.b;; SET c.d = 1; SHOW all; SHOW e.f",
		    " a.b? <SHOW a.b> c.d=1 <c.d><1> e.f? <SHOW e.f>");
	assert_sets(
	    "SELECT ';SHOW a.b'; EXPLAIN SHOW a.b; SHOW a; SHOW a.b c; SHOW a. ; SHOW 'a.b'", "");
}

static void test_passed_over(void **state PW_UNUSED)
{
	static const char *const texts[] = {
	    "",
	    "SET",
	    "SET a",
	    "SET a.",
	    "SET a.b",
	    "SET a.b =",
	    "SET a.b = 'x",
	    "SET a.b = 'x' 'y'",
	    "SET a.b = x, y",
	    "SET a.b = B'1'",
	    "SET a.b = $1",
	    "SET a.b = - x",
	    "SET a.b = U&'x' UESCAPE '!'",
	    "SET a.b = E'x\\/y'",
	    "SET a.b = U&'\\0078'",
	    "SET a.b = 'x'\n'y'",
	    "SET a.b = 'x\ny'",
	    "SET a = 'x'",
	    "SET \"a\"\"b.c\" = x",
	    "SET TIME ZONE 'x'",
	    "SET a.b FROM CURRENT",
	    "RESET a.b",
	    "SELECT set_config('a.b', 'x', false)",
	    "ALTER ROLE r SET a.b = 'x'",
	    "DO $$ SET a.b = 'x' $$",
	    "SET a2345678901234567890123456789012345678901234567890123456789012.b = 1",
	    "SET a23456789012345678901234567890123456789012345678901234567890123.b = 1",
	};

	for (size_t i = 0; i < PW_COUNTOF(texts); i++)
		assert_sets(texts[i], "");
}

static void test_long_value(void **state PW_UNUSED)
{
	const char *text = "SET a.b = '"
			   "1234567890123456789012345678901234567890123456789012345678901234567'";
	struct pw_sets sets;
	struct pw_set set;

	pw_sets_init(&sets, text, strlen(text));
	assert_true(pw_sets_next(&sets, &set));
	assert_int_equal(strlen(set.value), PW_SET_TEXT_SIZE - 1);
	assert_int_equal(set.inside.end - set.inside.begin, 67);
	assert_false(pw_sets_next(&sets, &set));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_found),
	    cmocka_unit_test(test_shown),
	    cmocka_unit_test(test_passed_over),
	    cmocka_unit_test(test_long_value),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

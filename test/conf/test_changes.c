/* SPDX-License-Identifier: PostgreSQL
 *
 * What is said to have changed between two files.
 */
#include <stdio.h>

#include "conf_test.h"

/* A file needs a main section. */
static struct pw_conf *parse_file(const char *text, const struct pw_conf *previous)
{
	char file[512];

	snprintf(file, sizeof(file), "%s%s", text, strstr(text, "[pgweir]") ? "" : "[pgweir]\n");
	return must_parse(file, previous);
}

static void check(const char *before, const char *after, const char *expected)
{
	struct pw_strbuf out = PW_STRBUF_INIT;
	struct pw_conf *old = parse_file(before, NULL);
	struct pw_conf *new = parse_file(after, old);

	pw_strbuf_add_string(&out, "");
	pw_conf_changes(old, new, &out);
	assert_string_equal(out.data, expected);
	pw_strbuf_fini(&out);
	pw_conf_unref(old);
	pw_conf_unref(new);
}

static void test_nothing(void **state)
{
	static const char text[] = "[databases]\na = host=x\n[users]\nu = pool_size=1\n"
				   "[pgweir]\npool_mode = transaction\n";

	(void)state;
	check(text, text, "");
	/* Written otherwise, it is the same. */
	check(text,
	      "[databases]\na = host = 'x'\n[users]\nu = pool_size=1\n"
	      "[pgweir]\npool_mode=transaction\nmin_pool_size = 0\n",
	      "");
}

static void test_settings_by_name(void **state)
{
	(void)state;
	check("[pgweir]\npool_mode = session\n",
	      "[pgweir]\npool_mode = transaction\nquery_timeout = 5\n",
	      "settings changed: pool_mode, query_timeout");
	/* It keeps its value until the next start. */
	check("[pgweir]\nlisten_port = 1000\n", "[pgweir]\nlisten_port = 1001\n", "");
}

static void test_entries_by_number(void **state)
{
	(void)state;
	check("[databases]\na = host=x\nb = host=x\nd = host=x\n",
	      "[databases]\n* = host=x\nb = host=y password=secret\nc = host=x\nd = host=x\n",
	      "databases: 2 added, 1 removed, 1 changed");
	check("", "[users]\nu = pool_size=1\n", "users: 1 added, 0 removed, 0 changed");
	check("[databases]\na = host=x\n[users]\nu = pool_size=1\n[pgweir]\nverbose = 0\n",
	      "[users]\nu = pool_size=2\n[pgweir]\nverbose = 1\n",
	      "settings changed: verbose; databases: 0 added, 1 removed, 0 changed; "
	      "users: 0 added, 0 removed, 1 changed");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_nothing),
	    cmocka_unit_test(test_settings_by_name),
	    cmocka_unit_test(test_entries_by_number),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

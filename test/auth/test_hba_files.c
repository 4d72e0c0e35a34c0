/* SPDX-License-Identifier: PostgreSQL
 *
 * What HBA rules take from files: "@" name lists, loading and failing to, ident maps.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "hba_fixture.h"
#include "pgweir/auth/hba.h"

/* ---- files ---- */

static void write_file(const char *dir, const char *name, const char *text)
{
	char path[256];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	file = fopen(path, "w");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static void remove_file(const char *dir, const char *name)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	assert_int_equal(unlink(path), 0);
}

static void load(struct fixture *fixture, const char *dir, const char *ident)
{
	char path[256], ident_path[256];

	snprintf(path, sizeof(path), "%s/hba.conf", dir);
	snprintf(ident_path, sizeof(ident_path), "%s/%s", dir, ident ? ident : "");
	memset(fixture, 0, sizeof(*fixture));
	pw_strbuf_add(&fixture->warnings, "", 0);
	fixture->hba = pw_hba_load(path, ident && ident[0] ? ident_path : ident,
				   &fixture->unreadable, &fixture->warnings);
	assert_non_null(fixture->hba);
}

static void test_name_files(void **state)
{
	char dir[] = "/tmp/pgweir-test-hba-XXXXXX";
	struct fixture fixture;

	(void)state;
	assert_non_null(mkdtemp(dir));
	write_file(dir, "hba.conf",
		   "local @dbs @users md5\nlocal @bad bob md5\nlocal x,@loop bob md5\n"
		   "local last @everybody md5\n");
	write_file(dir, "dbs", "db1 db2,db3\n# db4\n\"all\" \"@users\"\n@more\n");
	write_file(dir, "more", "db5\n");
	write_file(dir, "users", "bob\n\nalice # eve\n");
	write_file(dir, "bad", "db6\nsamerole\n");
	write_file(dir, "loop", "@loop @loop @loop\n@loop @loop @loop @loop\n");
	write_file(dir, "everybody", "all\n");
	load(&fixture, dir, NULL);
	assert_int_equal(line_for(&fixture, NULL, 0, "db1", "bob"), 1);
	assert_int_equal(line_for(&fixture, NULL, 0, "db3", "alice"), 1);
	assert_int_equal(line_for(&fixture, NULL, 0, "db5", "bob"), 1);
	assert_int_equal(line_for(&fixture, NULL, 0, "all", "bob"), 1);
	assert_int_equal(line_for(&fixture, NULL, 0, "@users", "bob"), 1);
	assert_int_equal(line_for(&fixture, NULL, 0, "db4", "bob"), 0);
	assert_int_equal(line_for(&fixture, NULL, 0, "db1", "eve"), 0);
	assert_int_equal(line_for(&fixture, NULL, 0, "db6", "bob"), 0);
	assert_int_equal(line_for(&fixture, NULL, 0, "x", "bob"), 0);
	assert_int_equal(line_for(&fixture, NULL, 0, "last", "eve"), 4);
	assert_non_null(strstr(fixture.warnings.data, "/bad:2: \"samerole\" is not supported"));
	assert_non_null(strstr(fixture.warnings.data, "include each other too deeply"));
	assert_non_null(strstr(fixture.warnings.data, "/hba.conf:3: cannot use the database"));
	drop(&fixture);
	for (const char *const *name = (const char *const[]){"hba.conf", "dbs", "more", "users",
							     "bad", "loop", "everybody", NULL};
	     *name; name++)
		remove_file(dir, *name);
	assert_int_equal(rmdir(dir), 0);
}

static void test_load(void **state)
{
	char dir[] = "/tmp/pgweir-test-hba-XXXXXX";
	struct fixture fixture;
	struct pw_hba_match match;

	(void)state;
	assert_non_null(mkdtemp(dir));
	load(&fixture, dir, NULL);
	assert_non_null(strstr(fixture.unreadable.lines.data, "could not open hba file "));
	assert_int_equal(line_for(&fixture, NULL, 0, "db", "bob"), 0);
	drop(&fixture);
	write_file(dir, "hba.conf", "local all alice peer\n");
	load(&fixture, dir, "");
	assert_int_equal(fixture.unreadable.files.len, 0);
	drop(&fixture);
	write_file(dir, "hba.conf", "local all bob peer map=m\nlocal all alice peer\n");
	load(&fixture, dir, "ident.conf");
	assert_non_null(strstr(fixture.unreadable.lines.data, "could not open ident map file "));
	assert_non_null(strstr(fixture.warnings.data, "hba.conf:1: nobody passes: the ident file"));
	assert_int_equal(ask(fixture.hba, NULL, 0, "db", "bob", &match), 1);
	assert_int_equal(match.method, PW_AUTH_REJECT);
	assert_int_equal(line_for(&fixture, NULL, 0, "db", "alice"), 2);
	drop(&fixture);
	write_file(dir, "ident.conf", "m root bob\n");
	load(&fixture, dir, "ident.conf");
	assert_string_equal(fixture.warnings.data, "");
	assert_int_equal(line_for(&fixture, NULL, 0, "db", "bob"), 1);
	drop(&fixture);
	remove_file(dir, "hba.conf");
	remove_file(dir, "ident.conf");
	assert_int_equal(rmdir(dir), 0);
}

/* ---- ident maps ---- */

static void test_ident_without_map(void **state)
{
	(void)state;
	assert_true(pw_ident_allows(NULL, "bob", "bob"));
	assert_false(pw_ident_allows(NULL, "Bob", "bob"));
	assert_false(pw_ident_allows(NULL, "root", "bob"));
	assert_true(pw_ident_allows_cert(NULL, "Bob", "bob"));
	assert_true(pw_ident_allows_cert(NULL, "*.example.org", "db.example.org"));
	assert_false(pw_ident_allows_cert(NULL, "*", "bob"));
}

static void test_ident_maps(void **state)
{
	struct fixture fixture;
	struct pw_hba_match match;

	(void)state;
	parse(&fixture, "local all all peer map=m\nlocal replication all peer map=\"other map\"\n",
	      "# maps\n"
	      "m root bob\n"
	      "n root eve\n"
	      "m root alice # more\n"
	      "m \"joe doe\" \"all\"\n"
	      "m admin all\n"
	      "m db.example.org web\n");
	assert_non_null(strstr(fixture.warnings.data, "hba.conf:2: ident map \"other map\""));
	assert_int_equal(ask(fixture.hba, NULL, 0, "db", "bob", &match), 1);
	assert_string_equal(match.map_name, "m");
	assert_true(pw_ident_allows(match.map, "root", "bob"));
	assert_true(pw_ident_allows(match.map, "root", "alice"));
	assert_false(pw_ident_allows(match.map, "root", "eve"));
	assert_false(pw_ident_allows(match.map, "root", "root"));
	assert_false(pw_ident_allows(match.map, "bob", "bob"));
	assert_true(pw_ident_allows(match.map, "admin", "whoever"));
	assert_true(pw_ident_allows(match.map, "joe doe", "all"));
	assert_false(pw_ident_allows(match.map, "joe doe", "bob"));
	assert_false(pw_ident_allows(match.map, "Root", "bob"));
	assert_true(pw_ident_allows_cert(match.map, "Root", "bob"));
	assert_true(pw_ident_allows_cert(match.map, "*.example.org", "web"));
	assert_false(pw_ident_allows_cert(match.map, "*.example.org", "bob"));
	drop(&fixture);
}

static void test_ident_faults(void **state)
{
	static const char *const faults[] = {
	    "m",       "m a",     "m a b c", "m a,b c", "m a b,c", "\"m\" a b",
	    "m /^a b", "m a /^b", "m a +b",  "m a \"b", "m,x a b",
	};

	(void)state;
	for (size_t i = 0; i < PW_COUNTOF(faults); i++) {
		struct fixture fixture;

		parse(&fixture, "local all all peer map=m\n", faults[i]);
		if (strncmp(fixture.warnings.data, "ident.conf:1: ", 14) != 0)
			fail_msg("%s: said \"%s\"", faults[i], fixture.warnings.data);
		/* the map does not exist, so the rule is gone */
		assert_int_equal(line_for(&fixture, NULL, 0, "db", "bob"), 0);
		drop(&fixture);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_name_files),        cmocka_unit_test(test_load),
	    cmocka_unit_test(test_ident_without_map), cmocka_unit_test(test_ident_maps),
	    cmocka_unit_test(test_ident_faults),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: PostgreSQL
 *
 * The syntax of the file: lines, keys, sections, includes, places in messages.
 */
#include "conf_test.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static void test_values(void **state)
{
	struct pw_conf *conf = must_parse("\t; comment\n  # another\n\n \t\n"
					  "   [pgbouncer]  \r\n"
					  "\t  pool_mode\t =  transaction \t\r\n"
					  "admin_users=a;b ; c # d\n"
					  "server_reset_query =\n"
					  "    stats_users = x:y = [z]\n"
					  "'logfile' = \"quoted\"\n"
					  "auth_user = last",
					  NULL);

	(void)state;
	assert_int_equal(conf->pool_mode, PW_MODE_TRANSACTION);
	assert_string_equal(conf->admin_users, "a;b ; c # d");
	assert_string_equal(conf->server_reset_query, "");
	assert_string_equal(conf->stats_users, "x:y = [z]");
	assert_string_equal(conf->logfile, "\"quoted\"");
	assert_string_equal(conf->auth_user, "last");
	pw_conf_unref(conf);
}

static void test_indented_line_is_no_continuation(void **state)
{
	struct pw_conf *conf =
	    must_parse("[pgbouncer]\nadmin_users = a\n    stats_users = b\n", NULL);

	(void)state;
	assert_string_equal(conf->admin_users, "a");
	assert_string_equal(conf->stats_users, "b");
	pw_conf_unref(conf);
}

static void test_long_lines(void **state)
{
	enum { LEN = 100000 };
	struct pw_strbuf text = PW_STRBUF_INIT;
	struct pw_conf *conf;

	(void)state;
	pw_strbuf_add_string(&text, "[pgbouncer]\nadmin_users = ");
	for (int i = 0; i < LEN; i++)
		pw_strbuf_add_char(&text, i % 2 ? ';' : ' ' + 1);
	pw_strbuf_add_string(&text, "\nauth_query = x\n");
	conf = must_parse(text.data, NULL);
	assert_int_equal(strlen(conf->admin_users), LEN);
	assert_memory_equal(conf->admin_users, text.data + 26, LEN);
	assert_string_equal(conf->auth_query, "x");
	pw_conf_unref(conf);
	pw_strbuf_fini(&text);
}

static void test_names_with_other_characters(void **state)
{
	struct pw_conf *conf = must_parse("[databases]\n"
					  "'b c' = port=1\n"
					  "'k:y=[z];#' = port=2\n"
					  "a.b_c-D*9 = port=3\n"
					  "'\"' = port=4\n"
					  "[pgbouncer]\n",
					  NULL);

	(void)state;
	assert_int_equal(conf->n_databases, 4);
	assert_int_equal(pw_conf_find_db(conf, "b c")->port, 1);
	assert_int_equal(pw_conf_find_db(conf, "k:y=[z];#")->port, 2);
	assert_int_equal(pw_conf_find_db(conf, "a.b_c-D*9")->port, 3);
	assert_int_equal(pw_conf_find_db(conf, "\"")->port, 4);
	pw_conf_unref(conf);
}

static void test_comment_behind_a_section(void **state)
{
	struct pw_conf *conf =
	    must_parse("[databases]   ; these\na = port=1\n[pgbouncer] # and this\n", NULL);

	(void)state;
	assert_int_equal(pw_conf_find_db(conf, "a")->port, 1);
	pw_conf_unref(conf);
}

static void test_syntax_errors(void **state)
{
	(void)state;
	must_fail("[pgbouncer]\n\"a\" = 1\n",
		  "t.ini:2: syntax error: \"key = value\" is expected; names are quoted with "
		  "single quotes");
	must_fail("[pgbouncer]\npool_mode : session\n",
		  "t.ini:2: syntax error: \"=\" is expected after \"pool_mode\"");
	must_fail("[pgbouncer]\npool_mode\n",
		  "t.ini:2: syntax error: \"=\" is expected after \"pool_mode\"");
	must_fail("[pgbouncer]\npool mode = session\n",
		  "t.ini:2: syntax error: \"=\" is expected after \"pool\"; a name with other "
		  "characters than letters, digits and _.-* needs single quotes");
	must_fail("[pgbouncer]\n= session\n", "t.ini:2: syntax error: \"key = value\" is expected");
	must_fail("[pgbouncer]\n'pool_mode = session\n",
		  "t.ini:2: syntax error: the quote is not closed");
	must_fail("[pgbouncer\n", "t.ini:1: syntax error: \"[section]\" is expected");
	must_fail("[pgbouncer] x ; y\n", "t.ini:1: syntax error: \"[section]\" is expected");
	must_fail("[pgbouncer] x\n", "t.ini:1: syntax error: \"[section]\" is expected");
	must_fail("[pgbouncer]\n%includefoo\n",
		  "t.ini:2: syntax error: only \"%include FILE\" may begin with %");
	must_fail("[pgbouncer]\n%include x \n",
		  "t.ini:2: error processing include file \"x\": not allowed here");
}

static void test_zero_byte(void **state)
{
	static const char text[] = "[pgbouncer]\nuser = a\0b\n";
	const struct pw_ini_input input = {"t.ini", text, sizeof(text) - 1};
	struct said said = {PW_STRBUF_INIT, PW_STRBUF_INIT};

	(void)state;
	assert_null(pw_conf_parse(&input, NULL, &said.why, &said.warnings));
	assert_string_equal(said.why.data, "t.ini:2: syntax error: zero byte in line");
	said_fini(&said);
}

static void test_sections(void **state)
{
	(void)state;
	must_fail("pool_mode = session\n[pgbouncer]\n",
		  "t.ini:1: value without section: pool_mode; [pgbouncer] is expected above this "
		  "line");
	must_fail("nonsense = 1\npool_mode = session\n",
		  "t.ini:1: value without section: nonsense");
	must_fail("[pgbouncer]\n[database]\nx = y\n",
		  "t.ini:2: invalid section \"database\" in configuration; did you mean "
		  "\"databases\"?");
	must_fail("[PgBouncer]\n[pgbouncer]\n",
		  "t.ini:1: invalid section \"PgBouncer\" in configuration; did you mean "
		  "\"pgbouncer\"?");
	must_fail("[pgbouncer]\n[]\n", "t.ini:2: invalid section \"\" in configuration");
	must_fail("[pgbouncer]\n[-]\nx=y\n", "t.ini:2: invalid section \"-\" in configuration");
	must_fail("[pgbouncer]\n[a b]\nx=y\n", "t.ini:2: invalid section \"a b\" in configuration");
	must_fail("[pgbouncer]\n"
		  "[aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa]\n",
		  "t.ini:2: invalid section "
		  "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\" in "
		  "configuration");
	must_fail("", "t.ini: main section missing from config file");
	must_fail("[databases]\na =\n", "t.ini: main section missing from config file");
}

/* What became of its lines under the section above them is no news. */
static void test_header_of_main_section_is_lost(void **state)
{
	static const char lost[] = "main section missing from config file: [pgbouncer] is expected "
				   "above this line";
	struct pw_strbuf text = PW_STRBUF_INIT, why = PW_STRBUF_INIT;

	(void)state;
	pw_strbuf_add_string(&text, "[databases]\na =\nb = port=0\n");
	for (int i = 0; i < 30; i++)
		pw_strbuf_add_string(&text, "logfile = /var/log/x\npool_mode = session\n");
	pw_strbuf_add_string(&text, "[users]\nu = pool_size=x\n");
	pw_strbuf_printf(
	    &why,
	    "t.ini:4: %s\n"
	    "t.ini:3: database \"b\": invalid value \"0\" for port: a whole number from "
	    "1 to 65535 is expected\n"
	    "t.ini:65: user \"u\": invalid value \"x\" for pool_size: a whole number from "
	    "-1 to 2147483647 is expected",
	    lost);
	must_fail(text.data, why.data);
	/* Entries may well be called as settings are. */
	must_fail("[databases]\nuser = port=0\nverbose =\n[pgbouncer]\nlisten_port = x\n",
		  "t.ini:5: invalid value \"x\" for listen_port: a whole number from 1 to 65535 is "
		  "expected\n"
		  "t.ini:2: database \"user\": invalid value \"0\" for port: a whole number from 1 "
		  "to 65535 is expected");
	pw_strbuf_fini(&text);
	pw_strbuf_fini(&why);
}

static void test_first_problem_is_beyond_the_limit(void **state)
{
	struct pw_strbuf text = PW_STRBUF_INIT;
	struct said said = {PW_STRBUF_INIT, PW_STRBUF_INIT};

	(void)state;
	pw_strbuf_add_string(&text, "[databases]\n");
	for (int i = 0; i < 25; i++)
		pw_strbuf_add_string(&text, "a = port=0\n");
	pw_strbuf_add_string(&text, "logfile = x\n");
	assert_null(parse(text.data, NULL, &said));
	assert_memory_equal(said.why.data, "t.ini:27: main section missing", 30);
	assert_non_null(strstr(said.why.data, "t.ini:20: "));
	assert_null(strstr(said.why.data, "t.ini:21: "));
	assert_non_null(strstr(said.why.data, "\nand 6 more"));
	pw_strbuf_fini(&text);
	said_fini(&said);
}

/* ---- files ---- */

struct dir {
	char path[64];
	char names[16][96];
	int n;
};

static int make_dir(void **state)
{
	struct dir *dir = calloc(1, sizeof(*dir));

	if (!dir)
		return -1;
	snprintf(dir->path, sizeof(dir->path), "/tmp/pgweir-test-XXXXXX");
	if (!mkdtemp(dir->path))
		return -1;
	*state = dir;
	return 0;
}

static int remove_dir(void **state)
{
	struct dir *dir = *state;

	for (int i = 0; i < dir->n; i++)
		unlink(dir->names[i]);
	rmdir(dir->path);
	free(dir);
	return 0;
}

static const char *write_file(struct dir *dir, const char *name, const char *text)
{
	char *path = dir->names[dir->n++];
	FILE *f;

	assert_true(strlen(dir->path) + strlen(name) + 2 <= sizeof(dir->names[0]));
	memcpy(path, dir->path, strlen(dir->path) + 1);
	path[strlen(path) + 1] = '\0';
	path[strlen(path)] = '/';
	memcpy(path + strlen(path), name, strlen(name) + 1);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
	return path;
}

static struct pw_conf *load(const char *path, struct said *said)
{
	said_reset(said);
	return pw_conf_load(path, NULL, &said->why, &said->warnings);
}

static void test_include(void **state)
{
	struct said said = {PW_STRBUF_INIT, PW_STRBUF_INIT};
	struct dir *dir = *state;
	char text[256];
	const char *inner, *main_file;
	struct pw_conf *conf;

	inner = write_file(dir, "inner.ini", "admin_users = in\n[users]\nu1 = pool_size=1");
	snprintf(text, sizeof(text), "[pgbouncer]\n  %%include \t %s  \nu2 = pool_size=2\n", inner);
	main_file = write_file(dir, "main.ini", text);
	conf = load(main_file, &said);
	assert_non_null(conf);
	/* The section goes into the included file, and the one opened there comes out of it. */
	assert_string_equal(conf->admin_users, "in");
	assert_int_equal(pw_conf_find_user(conf, "u1")->pool_size, 1);
	assert_int_equal(pw_conf_find_user(conf, "u2")->pool_size, 2);
	assert_string_equal(conf->conffile, main_file);
	pw_conf_unref(conf);
	said_fini(&said);
}

static void test_include_problems_name_the_file(void **state)
{
	struct said said = {PW_STRBUF_INIT, PW_STRBUF_INIT};
	struct dir *dir = *state;
	char text[512], expected[1024];
	const char *inner, *main_file;

	inner = write_file(dir, "inner.ini", "\nnonsense = 1\n");
	snprintf(text, sizeof(text),
		 "[pgbouncer]\n%%include %s\n%%include %s/none\n%%include %s\nrubbish = 1\n", inner,
		 dir->path, dir->path);
	main_file = write_file(dir, "main.ini", text);
	assert_null(load(main_file, &said));
	snprintf(expected, sizeof(expected),
		 "%s:2: unknown parameter \"nonsense\" in section [pgbouncer]\n"
		 "%s:3: error processing include file \"%s/none\": No such file or directory\n"
		 "%s:4: error processing include file \"%s\": Is a directory\n"
		 "%s:5: unknown parameter \"rubbish\" in section [pgbouncer]",
		 inner, main_file, dir->path, main_file, dir->path, main_file);
	assert_string_equal(said.why.data, expected);
	said_fini(&said);
}

/* A chain of `depth` files behind the main one, the last with a setting. */
static const char *write_chain(struct dir *dir, int depth)
{
	char name[32], text[256];
	const char *path = write_file(dir, "last.ini", "admin_users = deep\n");

	for (int i = depth - 1; i >= 0; i--) {
		snprintf(name, sizeof(name), "chain%d.ini", i);
		snprintf(text, sizeof(text), "%s%%include %s\n", i == 0 ? "[pgbouncer]\n" : "",
			 path);
		path = write_file(dir, name, text);
	}
	return path;
}

static void test_ten_includes_deep(void **state)
{
	struct said said = {PW_STRBUF_INIT, PW_STRBUF_INIT};
	struct pw_conf *conf = load(write_chain(*state, 10), &said);

	assert_non_null(conf);
	assert_string_equal(conf->admin_users, "deep");
	pw_conf_unref(conf);
	said_fini(&said);
}

static void test_eleven_includes_deep(void **state)
{
	struct said said = {PW_STRBUF_INIT, PW_STRBUF_INIT};

	assert_null(load(write_chain(*state, 11), &said));
	assert_non_null(strstr(said.why.data, "includes are nested more than 10 deep"));
	assert_non_null(strstr(said.why.data, "chain10.ini:1: "));
	said_fini(&said);
}

static void test_unreadable_file(void **state)
{
	struct said said = {PW_STRBUF_INIT, PW_STRBUF_INIT};

	(void)state;
	assert_null(load("/nonexistent/pgweir.ini", &said));
	assert_string_equal(said.why.data, "/nonexistent/pgweir.ini: could not read file: "
					   "No such file or directory");
	said_fini(&said);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_values),
	    cmocka_unit_test(test_indented_line_is_no_continuation),
	    cmocka_unit_test(test_long_lines),
	    cmocka_unit_test(test_names_with_other_characters),
	    cmocka_unit_test(test_syntax_errors),
	    cmocka_unit_test(test_comment_behind_a_section),
	    cmocka_unit_test(test_zero_byte),
	    cmocka_unit_test(test_sections),
	    cmocka_unit_test(test_header_of_main_section_is_lost),
	    cmocka_unit_test(test_first_problem_is_beyond_the_limit),
	    cmocka_unit_test_setup_teardown(test_include, make_dir, remove_dir),
	    cmocka_unit_test_setup_teardown(test_include_problems_name_the_file, make_dir,
					    remove_dir),
	    cmocka_unit_test_setup_teardown(test_ten_includes_deep, make_dir, remove_dir),
	    cmocka_unit_test_setup_teardown(test_eleven_includes_deep, make_dir, remove_dir),
	    cmocka_unit_test(test_unreadable_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

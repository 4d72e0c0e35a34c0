/* SPDX-License-Identifier: PostgreSQL
 *
 * The command line: what each option means, what is printed where, which exit status.
 */
#include "config.h"

#include "main/options.h"

#include "main_test.h"
#include "pgweir/auth/password.h"
#include "pgweir/cluster/inquirer.h"
#include "pgweir/conf/conf.h"
#include "pgweir/net/loop.h"
#include "pgweir/sql/analysis.h"
#include "pgweir/tls/tls.h"

enum { ARGS_MAX = 8 };

struct ran {
	struct pw_options options;
	char out[TEXT_SIZE];
	char err[TEXT_SIZE];
};

/* Sends a descriptor to a file; returns a copy of what it was. */
static int divert(int fd, const char *path)
{
	int copy = dup(fd), file = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);

	assert_true(copy >= 0 && file >= 0);
	assert_int_equal(dup2(file, fd), fd);
	close(file);
	return copy;
}

static void restore(int fd, int copy)
{
	dup2(copy, fd);
	close(copy);
}

/* words: the command line without the program's name, separated by single blanks. */
static void run(struct fixture *f, const char *words, struct ran *ran)
{
	char out_path[PATH_SIZE], err_path[PATH_SIZE], *argv[ARGS_MAX + 2] = {0}, *rest, *word;
	static const char program[] = "./pgweir";
	char *copy = strdup(words);
	int argc = 0, out, err;

	argv[argc++] = strdup(program);
	for (word = strtok_r(copy, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
		assert_true(argc <= ARGS_MAX);
		argv[argc++] = word;
	}
	fflush(stdout);
	out = divert(STDOUT_FILENO, path_of(f, "out", out_path));
	err = divert(STDERR_FILENO, path_of(f, "err", err_path));
	pw_options_parse(argc, argv, &ran->options);
	fflush(stdout);
	restore(STDOUT_FILENO, out);
	restore(STDERR_FILENO, err);
	snprintf(ran->out, sizeof(ran->out), "%s", read_text(f, out_path));
	snprintf(ran->err, sizeof(ran->err), "%s", read_text(f, err_path));
	/* What the options point to lives on only as text in the copy. */
	if (ran->options.config_path)
		ran->options.config_path = words + (ran->options.config_path - copy);
	if (ran->options.user)
		ran->options.user = words + (ran->options.user - copy);
	free(argv[0]);
	free(copy);
}

/* The text up to the next blank. */
static void assert_word(const char *text, const char *word)
{
	assert_non_null(text);
	assert_int_equal(strncmp(text, word, strlen(word)), 0);
	assert_true(strchr(" ", text[strlen(word)]) != NULL);
}

static void assert_silent(const struct ran *ran)
{
	assert_string_equal(ran->out, "");
	assert_string_equal(ran->err, "");
}

static void test_defaults(void **state)
{
	struct ran ran;

	run(*state, "a.ini", &ran);
	assert_int_equal(ran.options.todo, PW_TODO_RUN);
	assert_word(ran.options.config_path, "a.ini");
	assert_null(ran.options.user);
	assert_int_equal(ran.options.verbose, 0);
	assert_false(ran.options.is_daemon);
	assert_false(ran.options.is_quiet);
	assert_silent(&ran);
}

static void test_all_options(void **state)
{
	static const char *const lines[] = {
	    "-d -q -v -v -u bob a.ini",
	    "-dqvv -ubob a.ini",
	    "--daemon --quiet --verbose --verbose --user=bob a.ini",
	    "a.ini --daemon --quiet -vv --user bob",
	};
	struct ran ran;

	for (size_t i = 0; i < PW_COUNTOF(lines); i++) {
		run(*state, lines[i], &ran);
		assert_int_equal(ran.options.todo, PW_TODO_RUN);
		assert_word(ran.options.config_path, "a.ini");
		assert_word(ran.options.user, "bob");
		assert_int_equal(ran.options.verbose, 2);
		assert_true(ran.options.is_daemon);
		assert_true(ran.options.is_quiet);
		assert_silent(&ran);
	}
}

static void test_version(void **state)
{
	static const char *const lines[] = {"-V", "--version", "-d -V a.ini", "-V --nonsense"};
	char expected[TEXT_SIZE];
	char pq[32];
	struct ran ran;

	pw_inquirer_library_version(pq, sizeof(pq));
	assert_true(strtod(pq, NULL) >= 9);
	snprintf(expected, sizeof(expected),
		 "pgweir %s\nlibevent %s\ntls: %s\nlibpq %s\nlibpg_query of PostgreSQL %s\ninih "
		 "%s\nlibidn %s\n%s",
		 PACKAGE_VERSION, pw_loop_library_version(), pw_tls_library_version(), pq,
		 pw_analysis_library_version(), pw_conf_library_version(),
		 pw_saslprep_library_version(),
#ifdef HAVE_SYSTEMD
		 "systemd: yes\n"
#else
		 ""
#endif
	);
	for (size_t i = 0; i < PW_COUNTOF(lines); i++) {
		run(*state, lines[i], &ran);
		assert_int_equal(ran.options.todo, PW_TODO_EXIT);
		assert_int_equal(ran.options.exit_status, 0);
		assert_string_equal(ran.out, expected);
		assert_string_equal(ran.err, "");
	}
}

static void test_help(void **state)
{
	static const char *const lines[] = {"-h", "--help"};
	static const char *const words[] = {"./pgweir",  "--daemon",  "--quiet", "--user",
					    "--verbose", "--version", "--help",  "--describe"};
	struct ran ran;

	for (size_t i = 0; i < PW_COUNTOF(lines); i++) {
		run(*state, lines[i], &ran);
		assert_int_equal(ran.options.todo, PW_TODO_EXIT);
		assert_int_equal(ran.options.exit_status, 0);
		for (size_t k = 0; k < PW_COUNTOF(words); k++)
			assert_non_null(strstr(ran.out, words[k]));
		assert_string_equal(ran.err, "");
	}
}

static void test_describe(void **state)
{
	static const struct {
		const char *line;
		enum pw_options_todo todo;
	} cases[] = {
	    {"--describe=ini", PW_TODO_DESCRIBE_INI},
	    {"--describe=config", PW_TODO_DESCRIBE_CONFIG},
	    {"--describe console", PW_TODO_DESCRIBE_CONSOLE},
	};
	struct ran ran;

	for (size_t i = 0; i < PW_COUNTOF(cases); i++) {
		run(*state, cases[i].line, &ran);
		assert_int_equal(ran.options.todo, cases[i].todo);
		assert_silent(&ran);
	}
}

static void test_mistakes(void **state)
{
	static const struct {
		const char *line, *said;
	} cases[] = {
	    {"", "./pgweir: no configuration file specified\n"},
	    {"-d", "./pgweir: no configuration file specified\n"},
	    {"a.ini b.ini", "./pgweir: more than one configuration file specified\n"},
	    {"--nonsense a.ini", "./pgweir: unrecognized option '--nonsense'\n"},
	    {"-x a.ini", "./pgweir: invalid option -- 'x'\n"},
	    {"a.ini -u", "./pgweir: option requires an argument -- 'u'\n"},
	    {"--describe", "./pgweir: option '--describe' requires an argument\n"},
	    {"--describe=all", "./pgweir: --describe takes ini, config or console, not \"all\"\n"},
	    {"-R a.ini", "(-R) is not supported"},
	    {"--reboot a.ini", "(-R) is not supported"},
	};
	static const char hint[] = "Try \"./pgweir --help\" for more information.\n";
	struct ran ran;

	for (size_t i = 0; i < PW_COUNTOF(cases); i++) {
		run(*state, cases[i].line, &ran);
		assert_int_equal(ran.options.todo, PW_TODO_EXIT);
		assert_int_equal(ran.options.exit_status, 1);
		assert_non_null(strstr(ran.err, cases[i].said));
		assert_string_equal(ran.err + strlen(ran.err) - strlen(hint), hint);
		assert_string_equal(ran.out, "");
	}
}

/* Help that nobody could read was not given. */
static int help_to_full_disk(struct fixture *f, const void *arg)
{
	char program[] = "pgweir", option[] = "--help", *argv[] = {program, option, NULL};
	struct pw_options options;
	int fd = open("/dev/full", O_WRONLY);

	(void)f;
	(void)arg;
	if (fd < 0 || dup2(fd, STDOUT_FILENO) < 0)
		return 99;
	pw_options_parse(2, argv, &options);
	return options.exit_status;
}

static void test_unwritable_help(void **state)
{
	fflush(stdout);
	assert_int_equal(run_child(help_to_full_disk, *state, NULL), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_defaults),        TEST(test_all_options),
	    TEST(test_version),         TEST(test_help),
	    TEST(test_describe),        TEST(test_mistakes),
	    TEST(test_unwritable_help),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

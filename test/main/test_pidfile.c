/* SPDX-License-Identifier: PostgreSQL
 *
 * Pidfiles: made, respected, found stale, never taken for something else.
 */
#include "config.h"

#include "main/pidfile.h"

#include <signal.h>

#include "main_test.h"

static void test_no_file_wanted(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(pw_pidfile_check(NULL, &f->ctx), PW_OK);
	assert_int_equal(pw_pidfile_check("", &f->ctx), PW_OK);
	assert_int_equal(pw_pidfile_create("", &f->ctx), PW_OK);
	pw_pidfile_remove(NULL);
	pw_pidfile_remove("");
	assert_string_equal(read_text(f, f->log_path), "");
}

static void test_life(void **state)
{
	struct fixture *f = *state;
	char path[PATH_SIZE], expected[32];
	struct stat st;

	path_of(f, "pid", path);
	assert_int_equal(pw_pidfile_check(path, &f->ctx), PW_OK);
	assert_false(exists(path));
	assert_int_equal(pw_pidfile_create(path, &f->ctx), PW_OK);
	snprintf(expected, sizeof(expected), "%d\n", (int)getpid());
	assert_string_equal(read_text(f, path), expected);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0133, 0);
	pw_pidfile_remove(path);
	assert_false(exists(path));
	pw_pidfile_remove(path);
	assert_string_equal(read_text(f, f->log_path), "");
}

static void test_live_holder(void **state)
{
	struct fixture *f = *state;
	char path[PATH_SIZE], text[64], said[PATH_SIZE + 64];
	pid_t pid = start_sleeper();

	path_of(f, "pid", path);
	snprintf(text, sizeof(text), "%d\n/var/lib\n1700000000\n", (int)pid);
	write_text(path, text);
	assert_int_equal(pw_pidfile_check(path, &f->ctx), PW_EDENIED);
	assert_int_equal(pw_pidfile_create(path, &f->ctx), PW_EDENIED);
	pw_pidfile_remove(path);
	assert_string_equal(read_text(f, path), text);
	snprintf(said, sizeof(said), "FATAL pidfile '%s' exists, another instance running?", path);
	assert_logged(f, said);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(wait_child(pid), 256 + SIGKILL);
	assert_int_equal(pw_pidfile_check(path, &f->ctx), PW_OK);
	assert_false(exists(path));
}

static void test_stale(void **state)
{
	struct fixture *f = *state;
	char path[PATH_SIZE], texts[5][32];

	path_of(f, "pid", path);
	snprintf(texts[0], sizeof(texts[0]), "%d\n", (int)dead_pid());
	snprintf(texts[1], sizeof(texts[1]), "-%d\n", (int)dead_pid());
	snprintf(texts[2], sizeof(texts[2]), "%d", (int)dead_pid());
	snprintf(texts[3], sizeof(texts[3]), "%d\n", (int)getpid());
	snprintf(texts[4], sizeof(texts[4]), "%s", "");
	for (size_t i = 0; i < PW_COUNTOF(texts); i++) {
		write_text(path, texts[i]);
		assert_int_equal(pw_pidfile_check(path, &f->ctx), PW_OK);
		assert_false(exists(path));
		assert_logged(f, "LOG removed stale pidfile '");
		write_text(f->log_path, "");
		write_text(path, texts[i]);
		assert_int_equal(pw_pidfile_create(path, &f->ctx), PW_OK);
		pw_pidfile_remove(path);
		assert_false(exists(path));
		write_text(f->log_path, "");
	}
}

static void test_not_a_pidfile(void **state)
{
	static const char *const texts[] = {
	    "[pgbouncer]\n",          "\n",           " 1\n", "12x\n", "0\n", "-\n", "--1\n",
	    "99999999999999999999\n", "4294967297\n",
	};
	struct fixture *f = *state;
	char path[PATH_SIZE];

	path_of(f, "pid", path);
	for (size_t i = 0; i < PW_COUNTOF(texts); i++) {
		write_text(path, texts[i]);
		assert_int_equal(pw_pidfile_check(path, &f->ctx), PW_EINVAL);
		assert_int_equal(pw_pidfile_create(path, &f->ctx), PW_EINVAL);
		pw_pidfile_remove(path);
		assert_string_equal(read_text(f, path), texts[i]);
		assert_logged(f, "does not hold a process id");
		write_text(f->log_path, "");
	}
}

static void test_not_a_file(void **state)
{
	struct fixture *f = *state;
	char path[PATH_SIZE];

	assert_int_equal(pw_pidfile_check(f->dir, &f->ctx), PW_EINVAL);
	assert_true(exists(f->dir));
	/* Must not wait for somebody to write into it. */
	path_of(f, "fifo", path);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(pw_pidfile_check(path, &f->ctx), PW_EINVAL);
	assert_true(exists(path));
}

static void test_no_directory(void **state)
{
	struct fixture *f = *state;
	char path[PATH_SIZE];

	path_of(f, "none/pid", path);
	assert_int_equal(pw_pidfile_check(path, &f->ctx), PW_OK);
	assert_int_equal(pw_pidfile_create(path, &f->ctx), PW_EIO);
	assert_logged(f, "could not create pidfile '");
	assert_logged(f, "No such file or directory");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_no_file_wanted), TEST(test_life),          TEST(test_live_holder),
	    TEST(test_stale),          TEST(test_not_a_pidfile), TEST(test_not_a_file),
	    TEST(test_no_directory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

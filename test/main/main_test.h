/* SPDX-License-Identifier: PostgreSQL
 *
 * What the tests of main share: a directory of its own for each test, a log that can be read, a
 * configuration from a text, and running something in a child process. For one translation unit
 * each.
 */
#ifndef PGWEIR_TEST_MAIN_TEST_H
#define PGWEIR_TEST_MAIN_TEST_H

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "pgweir/base/log.h"
#include "pgweir/conf/conf.h"

enum { PATH_SIZE = 128, TEXT_SIZE = 8192 };

struct fixture {
	char dir[PATH_SIZE];
	char log_path[PATH_SIZE];
	char text[TEXT_SIZE]; /* what was read last */
	struct pw_log log;
	struct pw_logctx ctx;
};

static inline const char *path_of(const struct fixture *f, const char *name, char out[PATH_SIZE])
{
	assert_true(snprintf(out, PATH_SIZE, "%s/%s", f->dir, name) < PATH_SIZE);
	return out;
}

static inline int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	snprintf(f->dir, sizeof(f->dir), "/tmp/pgweir-main-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	path_of(f, "log", f->log_path);
	pw_log_init(&f->log);
	atomic_store(&f->log.stderr_fd, -1);
	assert_int_equal(pw_log_open_file(&f->log, f->log_path), PW_OK);
	f->ctx.log = &f->log;
	*state = f;
	return 0;
}

static inline int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static inline int tear_down(void **state)
{
	struct fixture *f = *state;

	pw_log_fini(&f->log);
	assert_int_equal(nftw(f->dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS), 0);
	free(f);
	return 0;
}

static inline const char *read_text(struct fixture *f, const char *path)
{
	int fd = open(path, O_RDONLY);
	ssize_t n;

	assert_true(fd >= 0);
	n = read(fd, f->text, sizeof(f->text) - 1);
	assert_true(n >= 0);
	f->text[n] = '\0';
	close(fd);
	return f->text;
}

static inline void write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static inline bool exists(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

static inline bool log_has(struct fixture *f, const char *text)
{
	return strstr(read_text(f, f->log_path), text) != NULL;
}

static inline void assert_logged(struct fixture *f, const char *text)
{
	if (!log_has(f, text))
		fail_msg("not in the log: %s\n%s", text, f->text);
}

/* Of the settings in `main_section` and the [databases] before it. */
static inline struct pw_conf *load_conf(struct fixture *f, const char *databases,
					const char *main_section)
{
	struct pw_strbuf why = PW_STRBUF_INIT, warnings = PW_STRBUF_INIT;
	char path[PATH_SIZE], text[2048];
	struct pw_conf *conf;

	assert_true((size_t)snprintf(text, sizeof(text), "[databases]\n%s\n[pgweir]\n%s\n",
				     databases, main_section) < sizeof(text));
	write_text(path_of(f, "t.ini", path), text);
	conf = pw_conf_load(path, NULL, &why, &warnings);
	if (!conf)
		print_error("%s\n", why.data ? why.data : "no reason");
	assert_non_null(conf);
	pw_strbuf_fini(&why);
	pw_strbuf_fini(&warnings);
	return conf;
}

/* The status that a child ends with, or 256 + the signal. */
static inline int wait_child(pid_t pid)
{
	int status;

	assert_true(pid > 0);
	while (waitpid(pid, &status, 0) < 0)
		assert_int_equal(errno, EINTR);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 256 + WTERMSIG(status);
}

/* Runs `act` in a child of its own; its result is the child's exit status. */
static inline int run_child(int (*act)(struct fixture *f, const void *arg), struct fixture *f,
			    const void *arg)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(act(f, arg));
	return wait_child(pid);
}

/* The id of a process that is certainly gone. */
static inline pid_t dead_pid(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	assert_int_equal(wait_child(pid), 0);
	return pid;
}

/* A process that lives until it is killed, or until no test can need it any more. */
static inline pid_t start_sleeper(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		alarm(60);
		pause();
		_exit(0);
	}
	return pid;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif

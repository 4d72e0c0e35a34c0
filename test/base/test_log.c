/* SPDX-License-Identifier: PostgreSQL
 *
 * The log file: one line for one call whatever a peer's text holds; levels; reopening behind a
 * writer; the limit of a call site.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "pgweir/base/clock.h"
#include "pgweir/base/log.h"
#include "pgweir/base/strbuf.h"

struct fixture {
	struct pw_log log;
	struct pw_logctx ctx;
	char path[64], other_path[80];
};

static size_t prefix(const struct pw_logctx *ctx, char *out, size_t size)
{
	(void)ctx;
	return (size_t)snprintf(out, size, "C-1: ");
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	int fd;

	snprintf(f->path, sizeof(f->path), "/tmp/pgweir-test-log-XXXXXX");
	fd = mkstemp(f->path);
	if (fd < 0)
		return -1;
	close(fd);
	snprintf(f->other_path, sizeof(f->other_path), "%s.old", f->path);
	pw_log_init(&f->log);
	atomic_store(&f->log.stderr_fd, -1);
	f->ctx = (struct pw_logctx){&f->log, prefix};
	*state = f;
	return pw_log_open_file(&f->log, f->path) == PW_OK ? 0 : -1;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	pw_log_fini(&f->log);
	(void)unlink(f->path);
	(void)unlink(f->other_path);
	free(f);
	return 0;
}

static char *contents(const char *path)
{
	struct pw_strbuf sb = PW_STRBUF_INIT;
	FILE *file = fopen(path, "rb");
	char buf[4096];
	size_t n;

	assert_non_null(file);
	while ((n = fread(buf, 1, sizeof(buf), file)) > 0)
		pw_strbuf_add(&sb, buf, n);
	fclose(file);
	return pw_strbuf_steal(&sb);
}

static size_t count_char(const char *text, char c)
{
	size_t n = 0;

	for (; *text; text++)
		n += *text == c;
	return n;
}

/* The text behind "[PID] " of what the file holds; emptied for the next. */
static void assert_logged(struct fixture *f, const char *wanted)
{
	char *all = contents(f->path);
	char pid[32];
	const char *at;

	snprintf(pid, sizeof(pid), " [%d] ", (int)getpid());
	at = strstr(all, pid);
	if (wanted[0] == '\0') {
		assert_string_equal(all, "");
	} else {
		assert_non_null(at);
		assert_string_equal(at + strlen(pid), wanted);
	}
	free(all);
	assert_int_equal(truncate(f->path, 0), 0);
}

static void test_line(void **state)
{
	struct fixture *f = *state;
	unsigned year, month, day, hour, minute, second, milli;
	char zone[16], *all;

	pw_log_info(&f->ctx, "hello %s", "world");
	all = contents(f->path);
	assert_int_equal(sscanf(all, "%4u-%2u-%2u %2u:%2u:%2u.%3u %15s [", &year, &month, &day,
				&hour, &minute, &second, &milli, zone),
			 8);
	assert_in_range(year, 2000, 9999);
	free(all);
	assert_logged(f, "LOG C-1: hello world\n");
	f->ctx.prefix = NULL;
	pw_log_error(&f->ctx, "no prefix");
	assert_logged(f, "ERROR no prefix\n");
}

/* Each with a head of its own; an empty line is one, the end of the last is none. */
static void test_lines(void **state)
{
	struct fixture *f = *state;
	char *all;

	pw_log_lines(&f->ctx, PW_LOG_WARNING, NULL);
	pw_log_lines(&f->ctx, PW_LOG_WARNING, "");
	assert_logged(f, "");
	pw_log_lines(&f->ctx, PW_LOG_WARNING, "one\n\nthree\n");
	all = contents(f->path);
	assert_int_equal(count_char(all, '\n'), 3);
	assert_int_equal(count_char(all, '['), 3);
	assert_non_null(strstr(all, "WARNING C-1: one\n"));
	assert_non_null(strstr(all, "WARNING C-1: \n"));
	assert_non_null(strstr(all, "WARNING C-1: three\n"));
	free(all);
}

static void test_no_peer_can_forge_a_line(void **state)
{
	struct fixture *f = *state;

	pw_log_warning(&f->ctx, "a\nb\r\x1b[31mc\x01\td\x7f\xc3\xa9");
	assert_logged(f, "WARNING C-1: a\n\tb\\x0d\\x1b[31mc\\x01\td\x7f\xc3\xa9\n");
	pw_log_warning(&f->ctx, "\n\n");
	assert_logged(f, "WARNING C-1: \n\t\n\t\n");
	pw_log_info(&f->ctx, "user=%s", "x\n2026-01-01 00:00:00.000 UTC [1] LOG forged");
	assert_logged(f, "LOG C-1: user=x\n\t2026-01-01 00:00:00.000 UTC [1] LOG forged\n");
}

static void test_long_text_is_cut(void **state)
{
	struct fixture *f = *state;
	char *text = malloc(10001), *all;

	for (int kind = 0; kind < 2; kind++) {
		memset(text, kind ? '\n' : 'x', 10000);
		text[10000] = '\0';
		pw_log_info(&f->ctx, "%s", text);
		all = contents(f->path);
		assert_in_range(strlen(all), 1000, 3000);
		assert_int_equal(all[strlen(all) - 1], '\n');
		free(all);
		assert_int_equal(truncate(f->path, 0), 0);
	}
	free(text);
}

static void test_levels(void **state)
{
	static const struct {
		int verbose;
		enum pw_log_level highest;
	} rows[] = {{-1, PW_LOG_LOG},
		    {0, PW_LOG_LOG},
		    {1, PW_LOG_DEBUG},
		    {2, PW_LOG_NOISE},
		    {9, PW_LOG_NOISE}};
	struct fixture *f = *state;

	for (size_t i = 0; i < PW_COUNTOF(rows); i++) {
		pw_log_set_verbosity(&f->log, rows[i].verbose);
		for (int level = PW_LOG_FATAL; level <= PW_LOG_NOISE; level++)
			assert_int_equal(pw_log_is_on(&f->log, (enum pw_log_level)level),
					 level <= (int)rows[i].highest);
	}
	pw_log_set_verbosity(&f->log, 0);
	pw_log_debug(&f->ctx, "not seen");
	assert_logged(f, "");
	pw_log_set_verbosity(&f->log, 1);
	pw_log_debug(&f->ctx, "seen");
	pw_log_noise(&f->ctx, "not seen");
	assert_logged(f, "DEBUG C-1: seen\n");
}

static void test_errno_is_kept(void **state)
{
	struct fixture *f = *state;

	errno = EXDEV;
	pw_log_info(&f->ctx, "%m is %s", "x");
	assert_int_equal(errno, EXDEV);
}

/* ---- files ---- */

static void test_reopening(void **state)
{
	struct fixture *f = *state;
	char *old;
	int fd = atomic_load(&f->log.file_fd);

	pw_log_info(&f->ctx, "before");
	assert_int_equal(rename(f->path, f->other_path), 0);
	pw_log_info(&f->ctx, "still");
	assert_int_equal(pw_log_open_file(&f->log, f->path), PW_OK);
	assert_int_equal(atomic_load(&f->log.file_fd), fd);
	pw_log_info(&f->ctx, "after");
	assert_logged(f, "LOG C-1: after\n");
	old = contents(f->other_path);
	assert_int_equal(count_char(old, '\n'), 2);
	free(old);
	/* What cannot be opened leaves the old one. */
	assert_int_equal(pw_log_open_file(&f->log, "/nonexistent/log"), PW_EIO);
	assert_int_equal(errno, ENOENT);
	pw_log_info(&f->ctx, "here");
	assert_logged(f, "LOG C-1: here\n");
	assert_int_equal(pw_log_open_file(&f->log, ""), PW_OK);
	pw_log_info(&f->ctx, "nowhere");
	assert_logged(f, "");
	assert_int_equal(pw_log_open_file(&f->log, NULL), PW_OK);
	/* A writer may hold the number: nobody else's connection gets it. */
	assert_true(fcntl(fd, F_GETFD) >= 0);
	assert_int_equal(pw_log_open_file(&f->log, f->path), PW_OK);
	pw_log_info(&f->ctx, "again");
	assert_logged(f, "LOG C-1: again\n");
}

enum { THREADS = 4, LINES = 500 };

static void *write_lines(void *arg)
{
	struct fixture *f = arg;

	for (int i = 0; i < LINES; i++)
		pw_log_info(&f->ctx, "line %d of some length, so that a torn one would show", i);
	return NULL;
}

/* Lines are whole, and none is lost, while the file is reopened behind the writers. */
static void test_threads_and_reopening(void **state)
{
	struct fixture *f = *state;
	pthread_t threads[THREADS];
	char *all;

	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, write_lines, f), 0);
	for (int i = 0; i < 50; i++)
		assert_int_equal(pw_log_open_file(&f->log, f->path), PW_OK);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	all = contents(f->path);
	assert_int_equal(count_char(all, '\n'), THREADS * LINES);
	for (char *line = all, *next; *line; line = next) {
		next = strchr(line, '\n') + 1;
		assert_true(next - line > 30);
		assert_memory_equal(next - 6, " show\n", 6);
	}
	free(all);
}

static void test_stderr(void **state)
{
	struct fixture *f = *state;
	char buf[200];
	int fds[2];
	ssize_t n;

	assert_int_equal(pipe(fds), 0);
	atomic_store(&f->log.stderr_fd, fds[1]);
	pw_log_info(&f->ctx, "both");
	n = read(fds[0], buf, sizeof(buf) - 1);
	assert_true(n > 0);
	buf[n] = '\0';
	assert_non_null(strstr(buf, "LOG C-1: both\n"));
	assert_logged(f, "LOG C-1: both\n");
	atomic_store(&f->log.stderr_fd, -1);
	close(fds[0]);
	close(fds[1]);
}

static void test_limit(void **state)
{
	struct pw_log_limit limit = {.window_s = 0};
	unsigned passed = 0;

	(void)state;
	for (int i = 0; i < 100; i++)
		passed += pw_log_limit_passes(&limit, 5);
	/* A new second may have begun meanwhile. */
	assert_in_range(passed, 5, 10);
	assert_int_equal(limit.dropped, 100 - passed);
	assert_false(pw_log_limit_passes(&limit, 0));
	limit.window_s--;
	assert_true(pw_log_limit_passes(&limit, 5));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_line, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_lines, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_no_peer_can_forge_a_line, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_long_text_is_cut, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_levels, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_errno_is_kept, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_reopening, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_threads_and_reopening, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_stderr, setup, teardown),
	    cmocka_unit_test(test_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

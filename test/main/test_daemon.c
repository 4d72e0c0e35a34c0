/* SPDX-License-Identifier: PostgreSQL
 *
 * Going to the background, and giving up root. Each case runs in a child process; what needs root
 * is tested as far as the user that runs the test allows.
 */
#include "config.h"

#include "main/daemon.h"

#include <pwd.h>
#include <signal.h>
#include <sys/socket.h>

#include "main_test.h"

/* ---- the background ---- */

/* What a daemon tells the test about itself. */
struct report {
	pid_t pid, sid;
	int is_null[3]; /* stdio leads to /dev/null */
};

struct plan {
	int report_fd;
	bool is_ready; /* else it ends without having been ready */
};

static int is_dev_null(int fd)
{
	struct stat st, null;

	return fstat(fd, &st) == 0 && stat("/dev/null", &null) == 0 && S_ISCHR(st.st_mode) &&
	       st.st_rdev == null.st_rdev;
}

static int be_daemon(struct fixture *f, const void *arg)
{
	const struct plan *plan = arg;
	struct pw_daemon daemon;
	struct report report;

	pw_daemon_init(&daemon);
	if (pw_daemon_detach(&daemon, "some.pid", &f->ctx) != PW_OK)
		return 98;
	/* From here on this is the daemon: the test sees another process end. */
	if (plan->is_ready)
		pw_daemon_ready(&daemon, &f->ctx);
	report.pid = getpid();
	report.sid = getsid(0);
	for (int i = 0; i < 3; i++)
		report.is_null[i] = is_dev_null(i);
	if (write(plan->report_fd, &report, sizeof(report)) != sizeof(report))
		return 97;
	return 0;
}

/* Returns the exit status that whoever started the daemon sees. */
static int run_daemon(struct fixture *f, bool is_ready, struct report *report)
{
	struct plan plan = {.is_ready = is_ready};
	int fds[2], status;

	assert_int_equal(pipe(fds), 0);
	plan.report_fd = fds[1];
	status = run_child(be_daemon, f, &plan);
	close(fds[1]);
	assert_int_equal(read(fds[0], report, sizeof(*report)), sizeof(*report));
	close(fds[0]);
	return status;
}

static void test_detach(void **state)
{
	struct report report;

	assert_int_equal(run_daemon(*state, true, &report), 0);
	assert_int_not_equal(report.pid, getpid());
	assert_int_not_equal(report.sid, getsid(0));
	/* Not the leader of its session: it cannot get a terminal. */
	assert_int_not_equal(report.sid, report.pid);
	for (int i = 0; i < 3; i++)
		assert_true(report.is_null[i]);
}

static void test_failed_start(void **state)
{
	struct report report;

	assert_int_equal(run_daemon(*state, false, &report), 1);
	/* Until start-up has worked, errors can be seen. */
	assert_true(report.is_null[2] == is_dev_null(STDERR_FILENO));
	assert_true(report.is_null[1] == is_dev_null(STDOUT_FILENO));
}

static void test_needs_pidfile(void **state)
{
	struct fixture *f = *state;
	struct pw_daemon daemon;

	pw_daemon_init(&daemon);
	assert_int_equal(pw_daemon_detach(&daemon, "", &f->ctx), PW_EINVAL);
	assert_int_equal(pw_daemon_detach(&daemon, NULL, &f->ctx), PW_EINVAL);
	assert_logged(f, "FATAL daemon needs pidfile configured");
}

/* The process that waited was killed meanwhile. */
static int be_ready_alone(struct fixture *f, const void *arg)
{
	struct pw_daemon daemon;
	int fds[2];

	(void)arg;
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) < 0)
		return 99;
	close(fds[0]);
	daemon.start_fd = fds[1];
	pw_daemon_ready(&daemon, &f->ctx);
	return daemon.start_fd == -1 ? 0 : 1;
}

static void test_ready_without_parent(void **state)
{
	assert_int_equal(run_child(be_ready_alone, *state, NULL), 0);
}

static int be_ready_in_foreground(struct fixture *f, const void *arg)
{
	int fd = open(f->log_path, O_RDWR);
	struct pw_daemon daemon;

	(void)arg;
	if (fd < 0 || dup2(fd, STDERR_FILENO) < 0)
		return 99;
	pw_daemon_init(&daemon);
	pw_daemon_ready(&daemon, &f->ctx);
	return is_dev_null(STDERR_FILENO) ? 1 : 0;
}

static void test_ready_in_foreground(void **state)
{
	assert_int_equal(run_child(be_ready_in_foreground, *state, NULL), 0);
}

static int guard_closed_stdio(struct fixture *f, const void *arg)
{
	int fd;

	(void)arg;
	close(STDIN_FILENO);
	close(STDERR_FILENO);
	pw_daemon_guard_stdio();
	if (!is_dev_null(STDIN_FILENO) || !is_dev_null(STDERR_FILENO))
		return 1;
	fd = open(f->log_path, O_RDONLY);
	return fd > STDERR_FILENO ? 0 : 2;
}

static int guard_open_stdio(struct fixture *f, const void *arg)
{
	int before = open(f->log_path, O_RDONLY), after;

	(void)arg;
	if (before < 0 || dup2(before, STDIN_FILENO) < 0)
		return 99;
	close(before);
	pw_daemon_guard_stdio();
	after = open(f->log_path, O_RDONLY);
	/* Neither stdio nor the set of open descriptors has changed. */
	return after == before && !is_dev_null(STDIN_FILENO) ? 0 : 1;
}

static void test_guard_stdio(void **state)
{
	assert_int_equal(run_child(guard_closed_stdio, *state, NULL), 0);
	assert_int_equal(run_child(guard_open_stdio, *state, NULL), 0);
}

/* ---- the user ---- */

static int become(struct fixture *f, const void *user)
{
	return (int)pw_daemon_become(user, &f->ctx);
}

static int become_nobody(struct fixture *f, const void *arg)
{
	const struct passwd *pw;
	uid_t real, effective, saved;

	(void)arg;
	if (pw_daemon_become("nobody", &f->ctx) != PW_OK)
		return 1;
	pw = getpwnam("nobody");
	if (!pw || getresuid(&real, &effective, &saved) < 0)
		return 2;
	if (real != pw->pw_uid || effective != pw->pw_uid || saved != pw->pw_uid)
		return 3;
	if (getgid() != pw->pw_gid || getegid() != pw->pw_gid)
		return 4;
	/* Asking for what one is already is no failure. */
	if (pw_daemon_become("nobody", &f->ctx) != PW_OK ||
	    pw_daemon_become(NULL, &f->ctx) != PW_OK)
		return 5;
	if (pw_daemon_become("root", &f->ctx) != PW_EDENIED)
		return 6;
	return 0;
}

static void test_unknown_user(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(run_child(become, f, "no-such-user-here"), PW_EDENIED);
	assert_logged(f, "FATAL could not become user 'no-such-user-here': no such user");
}

static void test_root_is_refused(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(run_child(become, f, "root"), PW_EDENIED);
	assert_logged(f, "FATAL pgweir should not run as root");
	assert_logged(f, "start it with -u USER, or set user = USER in the configuration file");
}

static void test_staying_root_is_refused(void **state)
{
	struct fixture *f = *state;

	if (geteuid() != 0)
		skip();
	assert_int_equal(run_child(become, f, NULL), PW_EDENIED);
	assert_int_equal(run_child(become, f, ""), PW_EDENIED);
	assert_logged(f, "FATAL pgweir should not run as root");
}

static void test_root_becomes_nobody(void **state)
{
	if (geteuid() != 0)
		skip();
	assert_int_equal(run_child(become_nobody, *state, NULL), 0);
}

/* Somebody who is neither root nor we. */
static void find_other_user(char *out, size_t size)
{
	const struct passwd *pw;

	setpwent();
	do {
		pw = getpwent();
		assert_non_null(pw);
	} while (pw->pw_uid == 0 || pw->pw_uid == geteuid());
	snprintf(out, size, "%s", pw->pw_name);
	endpwent();
}

static void test_not_root(void **state)
{
	struct fixture *f = *state;
	char user[64];

	if (geteuid() == 0)
		skip();
	find_other_user(user, sizeof(user));
	assert_int_equal(run_child(become, f, NULL), PW_OK);
	assert_int_equal(run_child(become, f, user), PW_EDENIED);
	assert_logged(f, "only root can change its user");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_detach),
	    TEST(test_failed_start),
	    TEST(test_needs_pidfile),
	    TEST(test_ready_without_parent),
	    TEST(test_ready_in_foreground),
	    TEST(test_guard_stdio),
	    TEST(test_unknown_user),
	    TEST(test_root_is_refused),
	    TEST(test_staying_root_is_refused),
	    TEST(test_root_becomes_nobody),
	    TEST(test_not_root),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

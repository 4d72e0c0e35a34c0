/* SPDX-License-Identifier: PostgreSQL
 *
 * Going to the background and giving up root. Runs before any thread is made: fork copies only the
 * calling one.
 *
 * Two forks: the first child leads a new session, so that no terminal can signal us, and the second
 * leads none, so that it can never get a terminal by opening one. The started process waits at a
 * socket pair; its end in the daemon closes by itself when the daemon dies.
 */
#include "config.h"

#include "daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

void pw_daemon_guard_stdio(void)
{
	int fd;

	/* open(2) gives the lowest free number. */
	do {
		fd = open("/dev/null", O_RDWR);
	} while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

void pw_daemon_init(struct pw_daemon *daemon)
{
	daemon->start_fd = -1;
}

/* The started process: ends as the daemon's start-up did. */
static PW_NORETURN void await_start(int fd, pid_t child)
{
	char byte;
	ssize_t n;

	while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
		;
	do {
		n = read(fd, &byte, 1);
	} while (n < 0 && errno == EINTR);
	/* Not exit(): buffers and handlers belong to the daemon now. */
	_exit(n == 1 ? EXIT_SUCCESS : EXIT_FAILURE);
}

static enum pw_status fail(const struct pw_logctx *ctx, const char *what)
{
	pw_log_fatal(ctx, "could not go to the background: %s: %s", what, strerror(errno));
	return PW_EIO;
}

enum pw_status pw_daemon_detach(struct pw_daemon *daemon, const char *pidfile,
				const struct pw_logctx *ctx)
{
	int fds[2];
	pid_t pid;

	if (!pidfile || pidfile[0] == '\0') {
		pw_log_fatal(ctx, "daemon needs pidfile configured");
		return PW_EINVAL;
	}
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
		return fail(ctx, "socketpair");
	pid = fork();
	if (pid < 0) {
		enum pw_status status = fail(ctx, "fork");

		close(fds[0]);
		close(fds[1]);
		return status;
	}
	if (pid > 0) {
		close(fds[1]);
		await_start(fds[0], pid);
	}
	close(fds[0]);
	(void)setsid();
	pid = fork();
	if (pid < 0)
		(void)fail(ctx, "fork");
	if (pid != 0)
		_exit(pid > 0 ? EXIT_SUCCESS : EXIT_FAILURE);
	daemon->start_fd = fds[1];
	return PW_OK;
}

static bool leave_stdio(void)
{
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	bool is_ok = fd >= 0;

	for (int i = STDIN_FILENO; is_ok && i <= STDERR_FILENO; i++)
		is_ok = dup2(fd, i) >= 0;
	if (fd >= 0)
		close(fd);
	return is_ok;
}

void pw_daemon_ready(struct pw_daemon *daemon, const struct pw_logctx *ctx)
{
	if (daemon->start_fd < 0)
		return;
	if (!leave_stdio())
		pw_log_warning(ctx, "could not redirect stdio to /dev/null: %s", strerror(errno));
	/* Nobody may be there any more to be told. */
	(void)send(daemon->start_fd, "", 1, MSG_NOSIGNAL);
	close(daemon->start_fd);
	daemon->start_fd = -1;
}

static enum pw_status refuse_user(const struct pw_logctx *ctx, const char *user, const char *why)
{
	pw_log_fatal(ctx, "could not become user '%s': %s", user, why);
	return PW_EDENIED;
}

static enum pw_status refuse_root(const struct pw_logctx *ctx)
{
	pw_log_fatal(ctx, "pgweir should not run as root");
	pw_log_info(ctx, "start it with -u USER, or set user = USER in the configuration file");
	return PW_EDENIED;
}

static enum pw_status drop_root(const struct passwd *pw, const struct pw_logctx *ctx)
{
	/* Groups first: without root it is too late for them. */
	if (initgroups(pw->pw_name, pw->pw_gid) < 0 ||
	    setresgid(pw->pw_gid, pw->pw_gid, pw->pw_gid) < 0 ||
	    setresuid(pw->pw_uid, pw->pw_uid, pw->pw_uid) < 0)
		return refuse_user(ctx, pw->pw_name, strerror(errno));
	if (setuid(0) == 0)
		return refuse_user(ctx, pw->pw_name, "the way back to root stayed open");
	return PW_OK;
}

enum pw_status pw_daemon_become(const char *user, const struct pw_logctx *ctx)
{
	const struct passwd *pw;

	if (!user || user[0] == '\0')
		return geteuid() == 0 ? refuse_root(ctx) : PW_OK;
	errno = 0;
	pw = getpwnam(user);
	if (!pw)
		return refuse_user(ctx, user, errno == 0 ? "no such user" : strerror(errno));
	if (pw->pw_uid == 0)
		return refuse_root(ctx);
	if (geteuid() == 0)
		return drop_root(pw, ctx);
	if (geteuid() != pw->pw_uid)
		return refuse_user(ctx, user, "only root can change its user");
	return PW_OK;
}

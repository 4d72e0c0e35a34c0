/* SPDX-License-Identifier: PostgreSQL
 *
 * Files that hold a process id: first line the number, further lines (as PostgreSQL writes them
 * into the locks of its sockets) are ignored.
 *
 * Whether the holder lives is asked of the kernel. A number that meanwhile belongs to another
 * program looks alive: refusing to start is then the safe answer. Our own number and our parent's
 * are certainly left over: in a container a restarted process often gets the same one.
 */
#include "config.h"

#include "pidfile.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PID_TEXT_SIZE = 24 };

static bool is_given(const char *path)
{
	return path && path[0] != '\0';
}

static bool parse_pid(const char *text, pid_t *pid)
{
	char *end;
	long value;

	/* PostgreSQL writes the id of a single-user backend as a negative number. */
	if (*text == '-')
		text++;
	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	value = strtol(text, &end, 10);
	if (errno != 0 || value <= 0 || value > INT_MAX || (*end != '\0' && *end != '\n'))
		return false;
	*pid = (pid_t)value;
	return true;
}

/* *pid = 0: the file is empty. PW_CLOSED: there is none. PW_EINVAL: no process id in it. */
static enum pw_status read_pid(const char *path, pid_t *pid)
{
	/* O_NONBLOCK: something that is not a file must not make us wait. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	char text[PID_TEXT_SIZE];
	struct stat st;
	ssize_t n;

	*pid = 0;
	if (fd < 0)
		return errno == ENOENT ? PW_CLOSED : PW_EIO;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		close(fd);
		return PW_EINVAL;
	}
	do {
		n = read(fd, text, sizeof(text) - 1);
	} while (n < 0 && errno == EINTR);
	close(fd);
	if (n < 0)
		return PW_EIO;
	text[n] = '\0';
	return n == 0 || parse_pid(text, pid) ? PW_OK : PW_EINVAL;
}

static bool is_alive(pid_t pid)
{
	if (pid == 0 || pid == getpid() || pid == getppid())
		return false;
	return kill(pid, 0) == 0 || errno != ESRCH;
}

static enum pw_status remove_stale(const char *path, pid_t pid, const struct pw_logctx *ctx)
{
	if (unlink(path) < 0 && errno != ENOENT) {
		pw_log_error(ctx, "could not remove stale pidfile '%s': %s", path, strerror(errno));
		return PW_EIO;
	}
	if (pid == 0)
		pw_log_info(ctx, "removed stale pidfile '%s', it was empty", path);
	else
		pw_log_info(ctx, "removed stale pidfile '%s', process %d is gone", path, (int)pid);
	return PW_OK;
}

enum pw_status pw_pidfile_check(const char *path, const struct pw_logctx *ctx)
{
	enum pw_status status;
	pid_t pid;

	if (!is_given(path))
		return PW_OK;
	status = read_pid(path, &pid);
	if (status == PW_CLOSED)
		return PW_OK;
	if (status == PW_EIO) {
		pw_log_error(ctx, "could not read pidfile '%s': %s", path, strerror(errno));
		return PW_EIO;
	}
	if (status == PW_EINVAL) {
		pw_log_error(ctx, "pidfile '%s' exists and does not hold a process id: not touched",
			     path);
		return PW_EINVAL;
	}
	if (is_alive(pid)) {
		pw_log_fatal(ctx, "pidfile '%s' exists, another instance running? (process %d)",
			     path, (int)pid);
		return PW_EDENIED;
	}
	return remove_stale(path, pid, ctx);
}

enum pw_status pw_pidfile_create(const char *path, const struct pw_logctx *ctx)
{
	enum pw_status status = pw_pidfile_check(path, ctx);
	char text[PID_TEXT_SIZE];
	int fd, len;

	if (status != PW_OK || !is_given(path))
		return status;
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0) {
		pw_log_error(ctx, "could not create pidfile '%s': %s", path, strerror(errno));
		return PW_EIO;
	}
	len = snprintf(text, sizeof(text), "%d\n", (int)getpid());
	if (write(fd, text, (size_t)len) != len) {
		pw_log_error(ctx, "could not write pidfile '%s': %s", path, strerror(errno));
		(void)unlink(path);
		status = PW_EIO;
	}
	close(fd);
	return status;
}

void pw_pidfile_remove(const char *path)
{
	pid_t pid;

	if (is_given(path) && read_pid(path, &pid) == PW_OK && pid == getpid())
		(void)unlink(path);
}

/* SPDX-License-Identifier: PostgreSQL
 *
 * A line is put together on the stack and written whole; errno comes out as it went in.
 */
#include "config.h"

#include "pgweir/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "pgweir/base/clock.h"

enum { LINE_SIZE = 2048 };

static const struct {
	const char *name;
	int syslog_priority;
} levels[] = {
    [PW_LOG_FATAL] = {"FATAL", LOG_CRIT},        [PW_LOG_ERROR] = {"ERROR", LOG_ERR},
    [PW_LOG_WARNING] = {"WARNING", LOG_WARNING}, [PW_LOG_LOG] = {"LOG", LOG_INFO},
    [PW_LOG_DEBUG] = {"DEBUG", LOG_DEBUG},       [PW_LOG_NOISE] = {"NOISE", LOG_DEBUG},
};

static const struct {
	const char *name;
	int facility;
} facilities[] = {
    {"auth", LOG_AUTH},     {"authpriv", LOG_AUTHPRIV}, {"daemon", LOG_DAEMON},
    {"user", LOG_USER},     {"local0", LOG_LOCAL0},     {"local1", LOG_LOCAL1},
    {"local2", LOG_LOCAL2}, {"local3", LOG_LOCAL3},     {"local4", LOG_LOCAL4},
    {"local5", LOG_LOCAL5}, {"local6", LOG_LOCAL6},     {"local7", LOG_LOCAL7},
};

void pw_log_init(struct pw_log *log)
{
	memset(log, 0, sizeof(*log));
	atomic_init(&log->level, PW_LOG_LOG);
	atomic_init(&log->file_fd, -1);
	atomic_init(&log->stderr_fd, STDERR_FILENO);
	atomic_init(&log->has_syslog, false);
}

void pw_log_fini(struct pw_log *log)
{
	int fd = atomic_exchange(&log->file_fd, -1);

	if (fd >= 0)
		close(fd);
	if (atomic_exchange(&log->has_syslog, false))
		closelog();
}

enum pw_status pw_log_open_file(struct pw_log *log, const char *path)
{
	int old = atomic_load(&log->file_fd);
	int fd;

	if (!path || path[0] == '\0') {
		if (old < 0)
			return PW_OK;
		path = "/dev/null";
	}
	fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0)
		return PW_EIO;
	if (old < 0) {
		atomic_store(&log->file_fd, fd);
		return PW_OK;
	}
	/* Same descriptor number: a thread in the middle of a write never sees a closed one, nor
	 * one that has become somebody's connection. So without a file it stays, too. */
	if (dup3(fd, old, O_CLOEXEC) < 0) {
		int saved = errno;

		close(fd);
		errno = saved;
		return PW_EIO;
	}
	close(fd);
	return PW_OK;
}

void pw_log_open_syslog(struct pw_log *log, bool is_on, const char *ident, const char *facility)
{
	int value = LOG_DAEMON;

	if (atomic_exchange(&log->has_syslog, false))
		closelog();
	if (!is_on)
		return;
	for (size_t i = 0; i < PW_COUNTOF(facilities); i++) {
		if (strcmp(facilities[i].name, facility) == 0)
			value = facilities[i].facility;
	}
	snprintf(log->syslog_ident, sizeof(log->syslog_ident), "%s", ident);
	openlog(log->syslog_ident, LOG_PID | LOG_NDELAY, value);
	atomic_store(&log->has_syslog, true);
}

void pw_log_set_verbosity(struct pw_log *log, int verbose)
{
	int level = PW_LOG_LOG + (verbose < 0 ? 0 : verbose);

	atomic_store(&log->level, level > PW_LOG_NOISE ? PW_LOG_NOISE : level);
}

bool pw_log_is_on(const struct pw_log *log, enum pw_log_level level)
{
	return (int)level <= atomic_load_explicit(&log->level, memory_order_relaxed);
}

static size_t format_head(char *out, size_t size, enum pw_log_level level)
{
	uint64_t wall = pw_clock_wall_us();
	time_t seconds = (time_t)(wall / PW_SECOND_US);
	struct tm tm;
	char stamp[32], zone[16];

	localtime_r(&seconds, &tm);
	strftime(stamp, sizeof(stamp), "%Y-%m-%d %H:%M:%S", &tm);
	strftime(zone, sizeof(zone), "%Z", &tm);
	return (size_t)snprintf(out, size, "%s.%03u %s [%d] %s ", stamp,
				(unsigned)(wall % PW_SECOND_US / 1000), zone, (int)getpid(),
				levels[level].name);
}

/* Copies text into the line; a newline becomes newline + tab, any other control byte \xNN. */
static size_t append_text(char *line, size_t at, size_t size, const char *text)
{
	static const char hex[] = "0123456789abcdef";

	for (; *text && at + 6 < size; text++) {
		unsigned char c = (unsigned char)*text;

		if (c == '\n') {
			line[at++] = '\n';
			line[at++] = '\t';
		} else if (c < 0x20 && c != '\t') {
			line[at++] = '\\';
			line[at++] = 'x';
			line[at++] = hex[c >> 4];
			line[at++] = hex[c & 15];
		} else {
			line[at++] = (char)c;
		}
	}
	return at;
}

static void write_all(int fd, const char *line, size_t len)
{
	ssize_t n;

	do {
		n = write(fd, line, len);
	} while (n < 0 && errno == EINTR);
}

void pw_log_write(const struct pw_logctx *ctx, enum pw_log_level level, const char *fmt, ...)
{
	char text[LINE_SIZE], line[LINE_SIZE + 256];
	size_t head, at, prefix = 0;
	int saved_errno = errno, fd;
	va_list ap;

	if (ctx->prefix)
		prefix = ctx->prefix(ctx, text, sizeof(text) / 2);
	va_start(ap, fmt);
	vsnprintf(text + prefix, sizeof(text) - prefix, fmt, ap);
	va_end(ap);
	head = format_head(line, sizeof(line), level);
	at = append_text(line, head, sizeof(line), text);
	line[at] = '\0';
	if (atomic_load(&ctx->log->has_syslog) && level <= PW_LOG_LOG)
		syslog(levels[level].syslog_priority, "%s", line + head);
	line[at++] = '\n';
	if ((fd = atomic_load(&ctx->log->file_fd)) >= 0)
		write_all(fd, line, at);
	if ((fd = atomic_load(&ctx->log->stderr_fd)) >= 0)
		write_all(fd, line, at);
	errno = saved_errno;
}

void pw_log_lines(const struct pw_logctx *ctx, enum pw_log_level level, const char *text)
{
	while (text && *text) {
		size_t len = strcspn(text, "\n");

		pw_log_at(ctx, level, "%.*s", (int)len, text);
		text += len + (text[len] == '\n');
	}
}

bool pw_log_limit_passes(struct pw_log_limit *limit, unsigned burst)
{
	uint64_t second = pw_clock_now_us() / PW_SECOND_US;

	if (second != limit->window_s) {
		limit->window_s = second;
		limit->passed = 0;
	}
	if (limit->passed >= burst) {
		limit->dropped++;
		return false;
	}
	limit->passed++;
	return true;
}

/* SPDX-License-Identifier: PostgreSQL
 *
 * The log: one write(2) per line to the log file, stderr and syslog, as configured.
 *
 * A line is "2026-01-31 23:59:59.123 CET [PID] LEVEL prefix text"; newlines in the text become
 * newline + tab, other control bytes "\xNN", so that no peer can forge a line. A context
 * (struct pw_logctx) is embedded in whatever speaks (client, link, worker) and gives the prefix.
 *
 * struct pw_log is made and configured by the main thread; any thread may log. Reopening replaces
 * the file behind the same descriptor (dup3), so writers need no lock.
 */
#ifndef PGWEIR_BASE_LOG_H
#define PGWEIR_BASE_LOG_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pgweir/base/status.h"

enum pw_log_level {
	PW_LOG_FATAL,
	PW_LOG_ERROR,
	PW_LOG_WARNING,
	PW_LOG_LOG,
	PW_LOG_DEBUG, /* -v */
	PW_LOG_NOISE, /* -v -v */
};

struct pw_log {
	atomic_int level;     /* the highest enum pw_log_level that is written */
	atomic_int file_fd;   /* -1 = no log file */
	atomic_int stderr_fd; /* -1 = quiet */
	atomic_bool has_syslog;
	char syslog_ident[64]; /* openlog keeps the pointer */
};

struct pw_logctx {
	struct pw_log *log;
	/* Writes "C-0x..: db/user@host:port " or the like; returns its length, less than size. */
	size_t (*prefix)(const struct pw_logctx *ctx, char *out, size_t size);
};

/* At most `burst` lines a second from one call site; the next line that passes says how many were
 * dropped. Lies in the object whose thread logs. */
struct pw_log_limit {
	uint64_t window_s;
	unsigned passed;
	unsigned dropped;
};

void pw_log_init(struct pw_log *log);
void pw_log_fini(struct pw_log *log);
/* NULL or "" = no file. On PW_EIO errno tells why and the old file stays. Main thread. */
PW_MUSTCHECK enum pw_status pw_log_open_file(struct pw_log *log, const char *path);
/* facility: one of syslog's names (auth, daemon, local0...); an unknown one means daemon. */
void pw_log_open_syslog(struct pw_log *log, bool is_on, const char *ident, const char *facility);
void pw_log_set_verbosity(struct pw_log *log, int verbose);

bool pw_log_is_on(const struct pw_log *log, enum pw_log_level level);
void pw_log_write(const struct pw_logctx *ctx, enum pw_log_level level, const char *fmt, ...)
    PW_PRINTF(3, 4);
/* Each line of the text as one of the log's; NULL = none. */
void pw_log_lines(const struct pw_logctx *ctx, enum pw_log_level level, const char *text);
bool pw_log_limit_passes(struct pw_log_limit *limit, unsigned burst);

#define pw_log_at(ctx, level, ...)                                                                 \
	do {                                                                                       \
		if (pw_log_is_on((ctx)->log, (level)))                                             \
			pw_log_write((ctx), (level), __VA_ARGS__);                                 \
	} while (0)
#define pw_log_fatal(ctx, ...)   pw_log_at(ctx, PW_LOG_FATAL, __VA_ARGS__)
#define pw_log_error(ctx, ...)   pw_log_at(ctx, PW_LOG_ERROR, __VA_ARGS__)
#define pw_log_warning(ctx, ...) pw_log_at(ctx, PW_LOG_WARNING, __VA_ARGS__)
#define pw_log_info(ctx, ...)    pw_log_at(ctx, PW_LOG_LOG, __VA_ARGS__)
#define pw_log_debug(ctx, ...)   pw_log_at(ctx, PW_LOG_DEBUG, __VA_ARGS__)
#define pw_log_noise(ctx, ...)   pw_log_at(ctx, PW_LOG_NOISE, __VA_ARGS__)

#endif

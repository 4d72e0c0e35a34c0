/* SPDX-License-Identifier: PostgreSQL
 *
 * Becoming a service process: going to the background and giving up root. Before any thread is
 * made.
 */
#ifndef PGWEIR_MAIN_DAEMON_H
#define PGWEIR_MAIN_DAEMON_H

#include "pgweir/base/log.h"
#include "pgweir/base/status.h"

struct pw_daemon {
	int start_fd; /* to the waiting parent; -1 = we are in the foreground, or it was told */
};

/* The first act of main: descriptors 0 to 2 that were closed at start lead to /dev/null, so that
 * no socket or log file ever gets such a number. */
void pw_daemon_guard_stdio(void);

void pw_daemon_init(struct pw_daemon *daemon);
/*
 * Goes to the background; returns in the new process only, or here with a logged failure (no
 * pidfile configured: PW_EINVAL). The process that was started stays until the new one has called
 * pw_daemon_ready() and then exits with 0, or with 1 when that one ends before. Until then stdio
 * stays, so that what goes wrong is seen. The working directory stays, too.
 */
PW_MUSTCHECK enum pw_status pw_daemon_detach(struct pw_daemon *daemon, const char *pidfile,
					     const struct pw_logctx *ctx);
/* Start-up has worked. Does nothing in the foreground. */
void pw_daemon_ready(struct pw_daemon *daemon, const struct pw_logctx *ctx);

/* Becomes `user` (NULL or "" = none was asked for) for good. Staying root is refused. Failures
 * are logged. */
PW_MUSTCHECK enum pw_status pw_daemon_become(const char *user, const struct pw_logctx *ctx);

#endif

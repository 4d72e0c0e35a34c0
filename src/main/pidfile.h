/* SPDX-License-Identifier: PostgreSQL
 *
 * Files that hold the id of the process that runs: the pidfile, and the lock beside a unix socket.
 *
 * A file of a live process is respected, one of a dead process is removed, and one that holds
 * anything else is never touched. A path that is NULL or empty means no file: nothing is done.
 * Main thread.
 */
#ifndef PGWEIR_MAIN_PIDFILE_H
#define PGWEIR_MAIN_PIDFILE_H

#include "pgweir/base/log.h"
#include "pgweir/base/status.h"

/* PW_EDENIED where a live process holds it, PW_EINVAL where it is no such file, PW_EIO where it
 * cannot be read or removed; each logged, the first as fatal. A stale one is gone afterwards. */
PW_MUSTCHECK enum pw_status pw_pidfile_check(const char *path, const struct pw_logctx *ctx);
/* Checks, then creates it with our process id, or fails as the check does. */
PW_MUSTCHECK enum pw_status pw_pidfile_create(const char *path, const struct pw_logctx *ctx);
/* Does nothing where it does not hold our process id. */
void pw_pidfile_remove(const char *path);

#endif

/* SPDX-License-Identifier: PostgreSQL
 *
 * The listening sockets: those that the settings name, or those that the service manager passed.
 *
 * struct pw_listen owns the descriptors, the file of the unix socket and the lock beside it.
 * Whoever watches a descriptor stops doing so before it is closed here. An item keeps its index
 * as long as the struct lives. The main thread opens; from then on all is worker 0's.
 */
#ifndef PGWEIR_MAIN_LISTEN_H
#define PGWEIR_MAIN_LISTEN_H

#include <stdbool.h>
#include <stddef.h>

#include "pgweir/base/addr.h"
#include "pgweir/base/log.h"
#include "pgweir/base/status.h"
#include "pgweir/conf/conf.h"

enum { PW_LISTEN_TEXT_SIZE = 128, PW_LISTEN_PATH_SIZE = 128 };

struct pw_listener {
	int fd;                         /* non-blocking; -1 = closed */
	struct pw_addr addr;            /* family AF_UNIX: nothing else in it */
	char text[PW_LISTEN_TEXT_SIZE]; /* "127.0.0.1:6432", "unix:/tmp/.s.PGSQL.6432" */
};

struct pw_listen {
	struct pw_listener *items;
	size_t n;
	/* The unix socket's file and its lock, to be removed; "" = none, or not ours. */
	char socket_path[PW_LISTEN_PATH_SIZE];
	char lock_path[PW_LISTEN_PATH_SIZE];
};

/* Does another process have our unix socket? Logs and returns PW_EDENIED then. For the time
 * before going to the background. */
PW_MUSTCHECK enum pw_status pw_listen_check(const struct pw_conf *conf,
					    const struct pw_logctx *ctx);
/*
 * Fills `out` (also when it fails: there is nothing in it then). An address that cannot be bound
 * is a warning; it is a failure (logged) when none of listen_addr could be, when there is nothing
 * at all to listen on, or when another process has our unix socket. Asks the system's resolver,
 * which may wait.
 */
PW_MUSTCHECK enum pw_status pw_listen_open(struct pw_listen *out, const struct pw_conf *conf,
					   const struct pw_logctx *ctx);
/* Applies what a reload may have changed: the tcp_* settings, which accepted sockets inherit. */
void pw_listen_tune(const struct pw_listen *listen, const struct pw_conf *conf);
/* Leaves the unix socket: the console can be reached until the end. */
void pw_listen_close_tcp(struct pw_listen *listen);
/* Closes what is open, removes the files. Closing twice is harmless. */
void pw_listen_close(struct pw_listen *listen);

#endif

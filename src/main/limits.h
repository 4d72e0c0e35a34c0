/* SPDX-License-Identifier: PostgreSQL
 *
 * How many file descriptors the settings ask for, and getting them from the kernel. Main thread,
 * at start and after a reload.
 */
#ifndef PGWEIR_MAIN_LIMITS_H
#define PGWEIR_MAIN_LIMITS_H

#include <stddef.h>
#include <stdint.h>

#include "pgweir/base/log.h"
#include "pgweir/conf/conf.h"

struct pw_limits {
	uint64_t clients; /* max_client_conn */
	uint64_t links;   /* server connections when every pool is full */
	uint64_t own;     /* threads, listeners, files */
	uint64_t total;
};

/*
 * n_users: users that may log in, as far as known; each makes a pool in every database that does
 * not force a user. 0 counts as 1. Where a pool has no size, and for databases made through the *
 * entry, max_client_conn is taken: a client uses one server connection at a time.
 */
void pw_limits_need(const struct pw_conf *conf, size_t n_users, size_t n_workers,
		    struct pw_limits *out);
/* Raises the soft limit to what is needed, as far as the hard limit lets us; logs what holds, and a
 * warning where it is too little. */
void pw_limits_raise(const struct pw_limits *need, const struct pw_logctx *ctx);

#endif

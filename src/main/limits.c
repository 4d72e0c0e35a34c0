/* SPDX-License-Identifier: PostgreSQL
 *
 * RLIMIT_NOFILE. The soft limit of 1024 that most systems start with is too little for a pooler and
 * is there only for programs that use select(2); the hard limit is the administrator's word, and is
 * not touched. Main thread.
 */
#include "config.h"

#include "limits.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

enum {
	FDS_PER_WORKER = 4, /* its epoll set, its mailbox, and reserve for what libraries open */
	/* stdio, log, syslog, listeners, main's own loop, the resolver's sockets, files of a
	 * reload, connections that are being refused */
	FDS_SLACK = 64,
	LIMIT_TEXT_SIZE = 24,
};

static uint64_t count_links(const struct pw_conf *conf, const struct pw_conf_db *db, size_t n_users)
{
	uint64_t unlimited = (uint64_t)conf->max_client_conn;
	uint64_t links;
	struct pw_pool_conf pool;

	if (strcmp(db->name, "*") == 0)
		return unlimited;
	pw_conf_resolve_pool(conf, db, db->user ? db->user : "", &pool);
	if (pool.pool_size > 0)
		links = (uint64_t)pool.pool_size + (uint64_t)pool.reserve_pool_size;
	else
		links = unlimited;
	if (!db->user && pool.pool_size > 0)
		links *= n_users > 0 ? n_users : 1;
	if (pool.max_db_connections > 0 && (uint64_t)pool.max_db_connections < links)
		links = (uint64_t)pool.max_db_connections;
	return links;
}

void pw_limits_need(const struct pw_conf *conf, size_t n_users, size_t n_workers,
		    struct pw_limits *out)
{
	out->clients = (uint64_t)conf->max_client_conn;
	out->links = 0;
	for (size_t i = 0; i < conf->n_databases; i++)
		out->links += count_links(conf, &conf->databases[i], n_users);
	out->own = (uint64_t)n_workers * FDS_PER_WORKER + FDS_SLACK;
	out->total = out->clients + out->links + out->own;
}

static void format_limit(rlim_t limit, char out[LIMIT_TEXT_SIZE])
{
	if (limit == RLIM_INFINITY)
		snprintf(out, LIMIT_TEXT_SIZE, "unlimited");
	else
		snprintf(out, LIMIT_TEXT_SIZE, "%ju", (uintmax_t)limit);
}

static void warn_too_few(const struct pw_limits *need, const struct rlimit *limit,
			 const struct pw_logctx *ctx)
{
	pw_log_warning(
	    ctx,
	    "up to %" PRIu64 " file descriptors may be needed (%" PRIu64 " clients, %" PRIu64
	    " server connections, %" PRIu64 " others), but only %ju are allowed: when they "
	    "run out, new connections fail; raise the limit (LimitNOFILE= of the service, "
	    "ulimit -n), or lower max_client_conn or the pool sizes",
	    need->total, need->clients, need->links, need->own, (uintmax_t)limit->rlim_cur);
}

/* The soft limit that we want. RLIM_INFINITY is the largest value there is. */
static rlim_t choose_soft(const struct pw_limits *need, const struct rlimit *limit)
{
	if (limit->rlim_cur >= need->total)
		return limit->rlim_cur;
	return limit->rlim_max < need->total ? limit->rlim_max : (rlim_t)need->total;
}

void pw_limits_raise(const struct pw_limits *need, const struct pw_logctx *ctx)
{
	char soft[LIMIT_TEXT_SIZE], hard[LIMIT_TEXT_SIZE];
	struct rlimit limit, wanted;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0) {
		pw_log_warning(ctx, "could not ask for the file descriptor limit: %s",
			       strerror(errno));
		return;
	}
	wanted = limit;
	wanted.rlim_cur = choose_soft(need, &limit);
	if (wanted.rlim_cur != limit.rlim_cur) {
		if (setrlimit(RLIMIT_NOFILE, &wanted) == 0)
			limit = wanted;
		else
			pw_log_warning(ctx, "could not raise the file descriptor limit: %s",
				       strerror(errno));
	}
	format_limit(limit.rlim_cur, soft);
	format_limit(limit.rlim_max, hard);
	pw_log_info(ctx,
		    "kernel file descriptor limit: %s (hard: %s); max_client_conn: %" PRIu64
		    ", max expected fd use: %" PRIu64,
		    soft, hard, need->clients, need->total);
	if (limit.rlim_cur < need->total)
		warn_too_few(need, &limit, ctx);
}

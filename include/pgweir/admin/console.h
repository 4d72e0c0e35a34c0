/* SPDX-License-Identifier: PostgreSQL
 *
 * The console: what an operator sees who connects to the database "pgweir" (or "pgbouncer").
 *
 * Its grammar and its tables are here; what a command does to the process is done by main, through
 * struct pw_console_actions, and the answer comes back to the worker of the asking client. A
 * console that waits for an answer reads nothing more from its client. All on the worker's thread.
 */
#ifndef PGWEIR_ADMIN_CONSOLE_H
#define PGWEIR_ADMIN_CONSOLE_H

#include <stdbool.h>
#include <stdint.h>

#include "pgweir/base/error.h"
#include "pgweir/client/client.h"
#include "pgweir/stat/view.h"

enum pw_command {
	PW_COMMAND_RELOAD,
	PW_COMMAND_PAUSE,
	PW_COMMAND_RESUME,
	PW_COMMAND_KILL,
	PW_COMMAND_KILL_CLIENT,
	PW_COMMAND_RECONNECT,
	PW_COMMAND_SHUTDOWN,
	PW_COMMAND_SHUTDOWN_WAIT_FOR_SERVERS,
	PW_COMMAND_SHUTDOWN_WAIT_FOR_CLIENTS,
	PW_COMMAND_DRAIN,
	PW_COMMAND_BAN,
	PW_COMMAND_BAN_FORCE,
	PW_COMMAND_UNBAN,
	PW_COMMAND_WEIGHT,
	PW_COMMAND_PROMOTE,
	PW_COMMAND_MAX_LAG,
};

/* A command as it was given; borrowed strings. */
struct pw_commanded {
	enum pw_command command;
	const char *name;  /* its argument, NULL = none */
	const char *value; /* what stands behind that, NULL = nothing */
	const char *user;  /* whose console it is */
};

/* What a view's collect function gets as its source. */
struct pw_worker_view {
	struct pw_pools *pools;
	struct pw_clients *clients;
	struct pw_registry *registry;
	struct pw_resolver *resolver;
	const char *version_line; /* "pgweir 0.1.0" */
	unsigned worker;
};

/* Implemented by main. Both answer later, by pw_console_done() or pw_console_rows(), on the
 * asking worker; `asker` is the asking client's id, which may be gone by then. */
struct pw_console_actions {
	void (*run)(void *arg, uint64_t asker, const struct pw_commanded *what);
	void (*collect)(void *arg, uint64_t asker, const struct pw_view *view);
	void *arg;
};

/* Given to struct pw_clients; its console_arg is a struct pw_console_actions. */
extern const struct pw_console_ops pw_console_ops;

/* The answer to a command: NULL = done. */
void pw_console_done(struct pw_clients *clients, uint64_t asker, enum pw_command command,
		     const struct pw_error *err);
/* What should be known before that answer, as severity says. */
void pw_console_notice(struct pw_clients *clients, uint64_t asker, enum pw_command command,
		       const struct pw_error *notice);
/* The rows of a view from all workers, put together with pw_rows_merge() (emptied; their
 * pw_rows_finish() is called here). `err` NULL, or which worker did not answer in time. */
void pw_console_rows(struct pw_clients *clients, uint64_t asker, struct pw_rows *rows,
		     const struct pw_error *err);

/* Markdown for docs/console.md: commands and tables with their columns. */
void pw_console_describe(struct pw_strbuf *out);

#endif

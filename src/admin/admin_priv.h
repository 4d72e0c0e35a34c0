/* SPDX-License-Identifier: PostgreSQL
 *
 * Between the files of the console: its life and the simple protocol (console.c), the extended
 * protocol (extended.c), what runs (request.c), statements and portals (portal.c), grammar
 * (grammar.c), what goes out (answer.c, help.c), the tables (view_*.c, listed in views.c). All on
 * the worker's thread.
 */
#ifndef PGWEIR_ADMIN_ADMIN_PRIV_H
#define PGWEIR_ADMIN_ADMIN_PRIV_H

#include "pgweir/admin/console.h"
#include "pgweir/base/list.h"
#include "pgweir/base/strbuf.h"

#define PW_CONSOLE_NAME "pgbouncer" /* its row in the tables */

enum {
	PW_CONSOLE_MESSAGE_MAX = 64 * 1024,
	PW_CONSOLE_INPUT_MAX = 256 * 1024, /* while an answer is awaited */
	PW_CONSOLE_WORD_MAX = 15,
	PW_CONSOLE_ARGUMENT_MAX = 63,
	PW_CONSOLE_VALUE_MAX = 255,
	PW_CONSOLE_NODE_MAX = 327, /* a cluster, "/", a host name, ":", a port */
	PW_CONSOLE_NAME_MAX = 63,  /* of prepared statements and portals */
	PW_CONSOLE_STATEMENTS_MAX = 128,
	PW_CONSOLE_PORTALS_MAX = 16,
};

/* ---- grammar.c ---- */

enum pw_console_argument {
	PW_ARGUMENT_NONE,
	PW_ARGUMENT_DATABASE, /* or none */
	PW_ARGUMENT_CLIENT,
	PW_ARGUMENT_MODE, /* the row's own word */
	/* What stands behind is the row's own word, or nothing where it has none; */
	PW_ARGUMENT_NODE,
	PW_ARGUMENT_CLUSTER,
	/* or anything, which the row calls so. */
	PW_ARGUMENT_NODE_VALUE,
	PW_ARGUMENT_CLUSTER_VALUE,
};

struct pw_console_verb {
	const char *word; /* also the tag of its answer */
	enum pw_console_argument argument;
	const char *mode;
	enum pw_command command;
	bool spares_console; /* may not name the console's own database */
	const char *help;
};

extern const struct pw_console_verb pw_console_verbs[]; /* ended by word NULL */

enum pw_request_kind {
	PW_REQUEST_EMPTY,
	PW_REQUEST_HELP,
	PW_REQUEST_SHOW,
	PW_REQUEST_SHOW_PARAMETER, /* a fixed value, for drivers */
	PW_REQUEST_SET_PARAMETER,  /* taken and ignored, for drivers */
	PW_REQUEST_TRANSACTION,    /* the same: BEGIN and the like */
	PW_REQUEST_COMMAND,
};

/* What somebody asked for, parsed and allowed. A plain value. */
struct pw_request {
	enum pw_request_kind kind;
	const struct pw_view *view;         /* SHOW, SHOW_PARAMETER: what it gives; else NULL */
	const struct pw_console_verb *verb; /* COMMAND */
	const char *tag;
	bool begins_block; /* TRANSACTION */
	bool has_argument; /* COMMAND */
	bool has_value;    /* COMMAND about nodes */
	char argument[PW_CONSOLE_NODE_MAX + 1];
	char value[PW_CONSOLE_ARGUMENT_MAX + 1];
};

/* False with `err` set (severity ERROR) where it is no command, or not allowed. */
PW_MUSTCHECK bool pw_request_parse(const char *text, enum pw_console_right right,
				   struct pw_request *out, struct pw_error *err);
/* How it is written: WEIGHT <node> <weight>. */
void pw_console_usage(struct pw_strbuf *out, const struct pw_console_verb *verb);

/* ---- answer.c ---- */

/* Bit i of `binary` set: column i goes out in binary. */
void pw_answer_columns(struct pw_strbuf *out, const struct pw_view *view, uint64_t binary);
void pw_answer_row(struct pw_strbuf *out, const struct pw_rows *rows, size_t row, uint64_t binary);
size_t pw_answer_column_count(const struct pw_view *view);

/* ---- help.c ---- */

/* The NoticeResponse of SHOW HELP. */
void pw_console_help(struct pw_strbuf *out);

/* ---- views.c ---- */

extern const struct pw_view pw_view_clusters, pw_view_nodes, pw_view_routes, pw_view_clients,
    pw_view_servers, pw_view_pins, pw_view_pools, pw_view_databases, pw_view_users, pw_view_stats,
    pw_view_stats_totals, pw_view_stats_averages, pw_view_pin_counts, pw_view_totals, pw_view_lists,
    pw_view_config, pw_view_state, pw_view_version;
extern const struct pw_view *const pw_console_views[]; /* all, ended by NULL */
/* One row, one column; collect() needs no source. NULL = no such parameter. */
const struct pw_view *pw_console_find_parameter(const char *name);

/* ---- view_common.c ---- */

const char *pw_console_mode_name(int pool_mode);       /* NULL for -1 */
const char *pw_console_balance_name(int load_balance); /* NULL for -1 */
const char *pw_console_routing_name(int routing);
const char *pw_console_consistency_name(int consistency);
/* The console's own counters, with their averaging periods kept up. */
struct pw_counter_history *pw_console_stats(struct pw_clients *clients);

/* ---- the session, made by console.c ---- */

struct pw_console_portal;

struct pw_console {
	struct pw_client *client;
	struct pw_strbuf input; /* whole messages, and the beginning of one */
	size_t input_at;        /* what lies before has been worked through */
	struct pw_strbuf output;
	struct pw_list statements, portals; /* portal.c */
	unsigned n_statements, n_portals;
	struct pw_request request;        /* is_waiting: what main was asked */
	struct pw_console_portal *portal; /* that `request` runs for, in the extended protocol */
	bool is_extended;                 /* the message at hand is of that protocol */
	bool is_waiting;
	bool is_working;  /* on its input, further up the stack */
	bool is_skipping; /* an error of the extended protocol: until Sync */
	bool is_in_block; /* between BEGIN and its end */
};

/* ---- portal.c ---- */

struct pw_console_statement {
	struct pw_list node;
	struct pw_request request;
	char name[PW_CONSOLE_NAME_MAX + 1];
};

enum pw_portal_state {
	PW_PORTAL_NEW,
	PW_PORTAL_RUN,  /* was run, and gave no rows (yet) */
	PW_PORTAL_OPEN, /* has rows to give */
	PW_PORTAL_DONE, /* has given them all */
};

struct pw_console_portal {
	struct pw_list node;
	struct pw_request request;
	enum pw_portal_state state;
	struct pw_rows rows; /* OPEN */
	size_t next_row;
	uint64_t binary; /* bit per column */
	uint32_t limit;  /* of the Execute at hand; 0 = none */
	char name[PW_CONSOLE_NAME_MAX + 1];
};

/* NULL = none of this name. */
struct pw_console_statement *pw_console_statement_find(const struct pw_console *con,
						       const char *name);
struct pw_console_portal *pw_console_portal_find(const struct pw_console *con, const char *name);
/* `name` has at most PW_CONSOLE_NAME_MAX bytes and is free. NULL = too many, or no memory. */
struct pw_console_statement *pw_console_statement_add(struct pw_console *con, const char *name,
						      const struct pw_request *request);
struct pw_console_portal *pw_console_portal_add(struct pw_console *con, const char *name,
						const struct pw_request *request);
/* NULL is none. */
void pw_console_statement_drop(struct pw_console *con, struct pw_console_statement *s);
void pw_console_portal_drop(struct pw_console *con, struct pw_console_portal *p);
/* A simple query ends the unnamed statement and portal. */
void pw_console_portals_drop_unnamed(struct pw_console *con);
void pw_console_portals_drop(struct pw_console *con);
/* Statements too. */
void pw_console_portals_fini(struct pw_console *con);
/* What the request of con->portal gave (emptied), as many as its Execute wants. */
void pw_console_portal_take_rows(struct pw_console *con, struct pw_rows *rows);
void pw_console_portal_send_rows(struct pw_console *con, struct pw_console_portal *p);

/* ---- request.c ---- */

/* Runs con->request. False: the console is gone. */
PW_MUSTCHECK bool pw_console_run(struct pw_console *con);
/* Each of these ends the request at hand: it is done, here are its rows (emptied), or an error. */
void pw_console_complete(struct pw_console *con, const char *tag);
void pw_console_give_rows(struct pw_console *con, struct pw_rows *rows);
void pw_console_fail(struct pw_console *con, const struct pw_error *err);
void pw_console_fail_with(struct pw_console *con, const char *sqlstate, const char *fmt, ...)
    PW_PRINTF(3, 4);

/* ---- extended.c ---- */

/* Parse, Bind, Describe, Execute, Close, Sync. False: the console is gone. */
PW_MUSTCHECK bool pw_extended_message(struct pw_console *con, const struct pw_piece *message);
bool pw_extended_has(uint8_t type);

#endif

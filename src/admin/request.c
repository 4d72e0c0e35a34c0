/* SPDX-License-Identifier: PostgreSQL
 *
 * Runs what somebody asked for, in either protocol, and says how it ended. What only the main
 * thread can tell or do is asked of it; the session then waits (con->is_waiting).
 */
#include "config.h"

#include <stdarg.h>

#include "admin_priv.h"
#include "pgweir/proto/writer.h"

/* ---- how one ends ---- */

static void end_request(struct pw_console *con)
{
	con->portal = NULL;
	if (!con->is_extended)
		pw_write_ready(&con->output, 'I');
}

void pw_console_complete(struct pw_console *con, const char *tag)
{
	pw_write_command_complete(&con->output, tag);
	end_request(con);
}

void pw_console_fail(struct pw_console *con, const struct pw_error *err)
{
	struct pw_error told = *err;

	told.severity = PW_SEVERITY_ERROR;
	if (con->client->clients->pools->snapshot->conf->log_pooler_errors)
		pw_log_warning(&con->client->log, "pooler error: %s", told.message);
	pw_write_error(&con->output, &told);
	con->is_skipping = con->is_extended;
	end_request(con);
}

void pw_console_fail_with(struct pw_console *con, const char *sqlstate, const char *fmt, ...)
{
	struct pw_error err;
	va_list ap;

	va_start(ap, fmt);
	pw_error_vset(&err, sqlstate, fmt, ap);
	va_end(ap);
	pw_console_fail(con, &err);
}

void pw_console_give_rows(struct pw_console *con, struct pw_rows *rows)
{
	if (rows->has_failed) {
		pw_console_fail_with(con, PW_SQLSTATE_OUT_OF_MEMORY, "out of memory");
		return;
	}
	if (con->is_extended) {
		pw_console_portal_take_rows(con, rows);
		return;
	}
	pw_answer_columns(&con->output, rows->view, 0);
	for (size_t i = 0; i < rows->n_rows; i++)
		pw_answer_row(&con->output, rows, i, 0);
	pw_console_complete(con, con->request.tag);
}

/* ---- running ---- */

static void count_request(struct pw_clients *clients)
{
	struct pw_counters *now = &pw_console_stats(clients)->now;

	now->xact_count++;
	now->query_count++;
}

static void show_parameter(struct pw_console *con)
{
	struct pw_rows rows;

	pw_rows_init(&rows, con->request.view);
	rows.view->collect(&rows, NULL);
	pw_console_give_rows(con, &rows);
	pw_rows_fini(&rows);
}

static void ignore_set(struct pw_console *con)
{
	struct pw_error notice;

	pw_error_set(&notice, PW_SQLSTATE_SUCCESS, "SET ignored");
	notice.severity = PW_SEVERITY_NOTICE;
	pw_write_error(&con->output, &notice);
	pw_console_complete(con, con->request.tag);
}

/* Both leave the answer to main. */
static bool ask_for_rows(struct pw_console *con)
{
	struct pw_client *c = con->client;
	const struct pw_console_actions *actions = c->clients->console_arg;

	con->is_waiting = true;
	actions->collect(actions->arg, c->id, con->request.view);
	return c->console == con;
}

static void log_command(struct pw_console *con, const struct pw_commanded *what)
{
	bool is_named = what->name && con->request.verb->argument != PW_ARGUMENT_CLIENT;

	pw_log_info(&con->client->log, "%s%s%s%s%s%s command issued", con->request.tag,
		    is_named ? " '" : "", is_named ? what->name : "", is_named ? "'" : "",
		    what->value ? " " : "", what->value ? what->value : "");
}

static bool ask_for_command(struct pw_console *con)
{
	struct pw_client *c = con->client;
	const struct pw_console_actions *actions = c->clients->console_arg;
	const struct pw_request *request = &con->request;
	bool is_named = request->has_argument && request->verb->argument != PW_ARGUMENT_MODE;
	const struct pw_commanded what = {
	    .command = request->verb->command,
	    .name = is_named ? request->argument : NULL,
	    .value = request->has_value ? request->value : NULL,
	    .user = pw_client_user(c),
	};

	log_command(con, &what);
	con->is_waiting = true;
	actions->run(actions->arg, c->id, &what);
	return c->console == con;
}

bool pw_console_run(struct pw_console *con)
{
	count_request(con->client->clients);
	switch (con->request.kind) {
	case PW_REQUEST_EMPTY:
		pw_write_message(&con->output, 'I', "", 0);
		end_request(con);
		return true;
	case PW_REQUEST_HELP:
		pw_console_help(&con->output);
		pw_console_complete(con, con->request.tag);
		return true;
	case PW_REQUEST_SHOW_PARAMETER:
		show_parameter(con);
		return true;
	case PW_REQUEST_SET_PARAMETER:
		ignore_set(con);
		return true;
	case PW_REQUEST_TRANSACTION:
		con->is_in_block = con->request.begins_block;
		pw_console_complete(con, con->request.tag);
		return true;
	case PW_REQUEST_SHOW:
		return ask_for_rows(con);
	case PW_REQUEST_COMMAND:
		return ask_for_command(con);
	}
	return true;
}

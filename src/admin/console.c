/* SPDX-License-Identifier: PostgreSQL
 *
 * Life of a console session: its input, the simple protocol, and what main answers.
 *
 * Whatever a client sends is kept in con->input until its turn comes; one message is worked through
 * after the other, and none while an answer of main is awaited or the client does not take what it
 * was sent. Reading is off for that time, so that the input stays bounded.
 *
 * Everything that may close the client ends in `return` of something that says so: the session is
 * freed by then, and c->console is NULL. All on the worker's thread.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin_priv.h"
#include "pgweir/base/clock.h"
#include "pgweir/proto/writer.h"

enum { OUTPUT_STEP = 64 * 1024 };

/* ---- output ---- */

static void close_with(struct pw_client *c, const char *sqlstate, const char *text)
{
	struct pw_error err;

	pw_error_set(&err, sqlstate, "%s", text);
	pw_client_close(c, text, &err);
}

/* False: there was no memory, and the session is gone. */
static bool flush_output(struct pw_console *con)
{
	struct pw_client *c = con->client;

	if (con->output.has_failed) {
		close_with(c, PW_SQLSTATE_OUT_OF_MEMORY, "out of memory");
		return false;
	}
	if (con->output.len > 0) {
		pw_client_send(c, con->output.data, con->output.len);
		/* A large table must not stay for the rest of the session. */
		if (con->output.cap > OUTPUT_STEP)
			pw_strbuf_fini(&con->output);
		else
			pw_strbuf_reset(&con->output);
	}
	return c->console == con;
}

static bool close_session(struct pw_console *con, const char *sqlstate, const char *text)
{
	struct pw_client *c = con->client;

	if (flush_output(con))
		close_with(c, sqlstate, text);
	return false;
}

/* ---- input ---- */

static bool on_query(struct pw_console *con, const struct pw_piece *message)
{
	struct pw_cursor body = pw_piece_body(message);
	const char *text = pw_cursor_string(&body);
	struct pw_error err;

	pw_console_portals_drop_unnamed(con);
	if (body.has_failed || pw_cursor_left(&body) > 0) {
		pw_console_fail_with(con, PW_SQLSTATE_PROTOCOL_VIOLATION, "broken Query packet");
		return true;
	}
	if (!pw_request_parse(text, con->client->right, &con->request, &err)) {
		pw_console_fail(con, &err);
		return true;
	}
	return pw_console_run(con);
}

/* False: the session is gone. */
static bool handle(struct pw_console *con, const struct pw_piece *message)
{
	char text[64];

	if (message->type == 'X') {
		if (flush_output(con))
			pw_client_close(con->client, "client close request", NULL);
		return false;
	}
	con->is_extended = pw_extended_has(message->type);
	if (con->is_extended)
		return pw_extended_message(con, message);
	if (message->type == 'Q')
		return con->is_skipping || on_query(con, message);
	snprintf(text, sizeof(text), "unsupported packet type for admin console: %u",
		 message->type);
	return close_session(con, PW_SQLSTATE_PROTOCOL_VIOLATION, text);
}

static bool next_message(const struct pw_console *con, struct pw_piece *message)
{
	size_t left = con->input.len - con->input_at;
	const uint8_t *at;
	size_t total;

	if (left < PW_HEADER_SIZE)
		return false;
	at = (const uint8_t *)con->input.data + con->input_at;
	total = (size_t)pw_load_u32(at + 1) + 1;
	if (left < total)
		return false;
	*message = (struct pw_piece){.data = at,
				     .len = total,
				     .total = (uint32_t)total,
				     .type = at[0],
				     .is_first = true,
				     .is_last = true};
	return true;
}

static bool may_work(const struct pw_console *con)
{
	return !con->is_waiting && !pw_stream_is_full(&con->client->stream);
}

static void drop_worked(struct pw_console *con)
{
	if (con->input_at == con->input.len)
		pw_strbuf_fini(&con->input);
	else
		pw_strbuf_consume(&con->input, con->input_at);
	con->input_at = 0;
}

/* Works off what has come in, as far as that is possible now. */
static void work(struct pw_client *c)
{
	struct pw_console *con = c->console;
	struct pw_piece message;

	if (con->is_working)
		return;
	con->is_working = true;
	while (may_work(con) && next_message(con, &message)) {
		con->input_at += message.len;
		if (!handle(con, &message))
			return;
		if (con->output.len >= OUTPUT_STEP && !flush_output(con))
			return;
	}
	con->is_working = false;
	drop_worked(con);
	if (flush_output(con))
		pw_stream_set_reading(&c->stream, may_work(con));
}

static void on_piece(struct pw_client *c, const struct pw_piece *piece)
{
	struct pw_console *con = c->console;

	if (piece->total > PW_CONSOLE_MESSAGE_MAX ||
	    con->input.len + piece->len > PW_CONSOLE_INPUT_MAX) {
		(void)close_session(con, PW_SQLSTATE_PROTOCOL_VIOLATION,
				    "message too long for admin console");
		return;
	}
	pw_strbuf_add(&con->input, piece->data, piece->len);
	if (con->input.has_failed)
		(void)close_session(con, PW_SQLSTATE_OUT_OF_MEMORY, "out of memory");
	else if (piece->is_last)
		work(c);
}

static void on_drained(struct pw_client *c)
{
	if (c->console)
		work(c);
}

/* ---- life ---- */

static bool begin(struct pw_client *c)
{
	struct pw_console *con = calloc(1, sizeof(*con));

	if (!con)
		return false;
	con->client = c;
	pw_list_init(&con->statements);
	pw_list_init(&con->portals);
	c->console = con;
	/* Messages are brought together here, where their length is bounded. */
	c->reader.gather_for &= (uint8_t)~PW_FOR_CONSOLE;
	pw_console_stats(c->clients)->now.client_login_count++;
	return true;
}

static void end(struct pw_client *c)
{
	struct pw_console *con = c->console;

	c->console = NULL;
	if (!con)
		return;
	pw_console_portals_fini(con);
	pw_strbuf_fini(&con->input);
	pw_strbuf_fini(&con->output);
	free(con);
}

/* ^C while PAUSE waits for the last server: nobody wants the pause any more. The answer to PAUSE
 * itself comes from main, as the pause has ended. */
static void on_cancel(struct pw_client *c)
{
	const struct pw_console_actions *actions = c->clients->console_arg;
	const struct pw_console *con = c->console;
	const struct pw_commanded resume = {
	    .command = PW_COMMAND_RESUME,
	    .name = con->request.argument[0] ? con->request.argument : NULL,
	    .user = pw_client_user(c),
	};

	if (con->is_waiting && con->request.kind == PW_REQUEST_COMMAND &&
	    con->request.verb->command == PW_COMMAND_PAUSE)
		actions->run(actions->arg, 0, &resume);
}

const struct pw_console_ops pw_console_ops = {
    .cancel = on_cancel,
    .begin = begin,
    .on_piece = on_piece,
    .on_drained = on_drained,
    .end = end,
};

/* ---- main's answers ---- */

/* The session that waits for this, or NULL: it is gone, or has long had another answer. */
static struct pw_console *find_asker(struct pw_clients *clients, uint64_t asker,
				     enum pw_request_kind kind)
{
	struct pw_client *c = pw_clients_find_id(clients, asker);
	struct pw_console *con = c ? c->console : NULL;

	return con && con->is_waiting && con->request.kind == kind ? con : NULL;
}

static struct pw_console *find_commander(struct pw_clients *clients, uint64_t asker,
					 enum pw_command command)
{
	struct pw_console *con = find_asker(clients, asker, PW_REQUEST_COMMAND);

	return con && con->request.verb->command == command ? con : NULL;
}

void pw_console_notice(struct pw_clients *clients, uint64_t asker, enum pw_command command,
		       const struct pw_error *notice)
{
	struct pw_console *con = find_commander(clients, asker, command);

	if (!con)
		return;
	pw_write_error(&con->output, notice);
	(void)flush_output(con);
}

/* Why a file was refused is in the log, and too long for a message. */
static void fail_reload(struct pw_console *con, const struct pw_error *err)
{
	static const char text[] = "RELOAD failed, see logs for additional details";
	struct pw_error told = *err;

	pw_error_set(&told, PW_SQLSTATE_CONFIG_FILE_ERROR, "%s", text);
	if (err->detail[0])
		pw_error_detail(&told, "%s", err->detail);
	else if (strcmp(err->message, text) != 0)
		pw_error_detail(&told, "%s", err->message);
	pw_console_fail(con, &told);
}

void pw_console_done(struct pw_clients *clients, uint64_t asker, enum pw_command command,
		     const struct pw_error *err)
{
	struct pw_console *con = find_commander(clients, asker, command);

	if (!con)
		return;
	con->is_waiting = false;
	if (!err)
		pw_console_complete(con, con->request.tag);
	else if (command == PW_COMMAND_RELOAD)
		fail_reload(con, err);
	else
		pw_console_fail(con, err);
	work(con->client);
}

void pw_console_rows(struct pw_clients *clients, uint64_t asker, struct pw_rows *rows,
		     const struct pw_error *err)
{
	struct pw_console *con = find_asker(clients, asker, PW_REQUEST_SHOW);

	if (con && con->request.view == rows->view) {
		con->is_waiting = false;
		pw_rows_finish(rows);
		if (err)
			pw_console_fail(con, err);
		else
			pw_console_give_rows(con, rows);
		work(con->client);
	}
	pw_rows_fini(rows);
}

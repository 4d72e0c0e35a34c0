/* SPDX-License-Identifier: PostgreSQL
 *
 * The extended protocol on the console: a few fixed requests that have no parameters (PostgreSQL
 * 15 docs 55.2.3).
 *
 * A portal that was suspended keeps the rows that are still to be sent. Portals end at Sync, since
 * no transaction is open then, except between BEGIN and COMMIT, where drivers count on them.
 */
#include "config.h"

#include <string.h>

#include "admin_priv.h"
#include "pgweir/proto/writer.h"

/* ---- errors ---- */

/* Everything up to the next Sync is skipped. */
static void fail(struct pw_console *con, const char *sqlstate, const char *text, const char *name)
{
	struct pw_error err;

	pw_error_set(&err, sqlstate, text, name);
	pw_console_fail(con, &err);
}

static void fail_broken(struct pw_console *con, const char *message)
{
	fail(con, PW_SQLSTATE_PROTOCOL_VIOLATION, "broken %s packet", message);
}

static bool is_whole(const struct pw_cursor *body)
{
	return !body->has_failed && pw_cursor_left(body) == 0;
}

/* ---- Parse ---- */

static bool add_statement(struct pw_console *con, const char *name,
			  const struct pw_request *request)
{
	if (name[0] == '\0')
		pw_console_statement_drop(con, pw_console_statement_find(con, ""));
	if (strlen(name) > PW_CONSOLE_NAME_MAX) {
		fail(con, PW_SQLSTATE_PROTOCOL_VIOLATION, "prepared statement name too long: %.80s",
		     name);
		return false;
	}
	if (pw_console_statement_find(con, name)) {
		fail(con, PW_SQLSTATE_DUPLICATE_STATEMENT,
		     "prepared statement \"%s\" already exists", name);
		return false;
	}
	if (!pw_console_statement_add(con, name, request)) {
		fail(con, PW_SQLSTATE_PROGRAM_LIMIT_EXCEEDED,
		     "too many prepared statements on the console: \"%s\"", name);
		return false;
	}
	return true;
}

static void on_parse(struct pw_console *con, struct pw_cursor *body)
{
	const char *name = pw_cursor_string(body);
	const char *text = pw_cursor_string(body);
	uint16_t n_types = pw_cursor_u16(body);
	struct pw_request request;
	struct pw_error err;

	(void)pw_cursor_bytes(body, (size_t)n_types * 4);
	if (!is_whole(body)) {
		fail_broken(con, "Parse");
		return;
	}
	if (n_types > 0) {
		fail(con, PW_SQLSTATE_PROTOCOL_VIOLATION, "%s has no parameters", "admin console");
		return;
	}
	if (!pw_request_parse(text, con->client->right, &request, &err)) {
		pw_console_fail(con, &err);
		return;
	}
	if (add_statement(con, name, &request))
		pw_write_message(&con->output, '1', "", 0);
}

/* ---- Bind ---- */

/* The list of result formats: none, one for all, or one for each column. */
static bool read_formats(struct pw_cursor *body, size_t n_columns, uint64_t *binary)
{
	uint16_t n = pw_cursor_u16(body);

	*binary = 0;
	if (body->has_failed || (n > 1 && n != n_columns))
		return false;
	for (size_t i = 0; i < n; i++) {
		uint16_t format = pw_cursor_u16(body);

		if (format > 1)
			return false;
		if (format == 1)
			*binary |= n == 1 ? UINT64_MAX : UINT64_C(1) << i;
	}
	return true;
}

static bool skip_parameter_formats(struct pw_cursor *body)
{
	uint16_t n = pw_cursor_u16(body);

	return pw_cursor_bytes(body, (size_t)n * 2) != NULL;
}

static void add_portal(struct pw_console *con, const char *name, const struct pw_request *request,
		       uint64_t binary)
{
	struct pw_console_portal *p;

	if (name[0] == '\0')
		pw_console_portal_drop(con, pw_console_portal_find(con, ""));
	if (strlen(name) > PW_CONSOLE_NAME_MAX) {
		fail(con, PW_SQLSTATE_PROTOCOL_VIOLATION, "portal name too long: %.80s", name);
		return;
	}
	if (pw_console_portal_find(con, name)) {
		fail(con, PW_SQLSTATE_PROTOCOL_VIOLATION, "portal \"%s\" already exists", name);
		return;
	}
	p = pw_console_portal_add(con, name, request);
	if (!p) {
		fail(con, PW_SQLSTATE_PROGRAM_LIMIT_EXCEEDED,
		     "too many portals on the console: \"%s\"", name);
		return;
	}
	p->binary = binary;
	pw_write_message(&con->output, '2', "", 0);
}

static void on_bind(struct pw_console *con, struct pw_cursor *body)
{
	const char *portal_name = pw_cursor_string(body);
	const char *name = pw_cursor_string(body);
	const struct pw_console_statement *s;
	const struct pw_view *view;
	uint64_t binary;

	if (!skip_parameter_formats(body)) {
		fail_broken(con, "Bind");
		return;
	}
	s = pw_console_statement_find(con, name);
	if (!s) {
		fail(con, PW_SQLSTATE_INVALID_STATEMENT_NAME,
		     "prepared statement \"%.80s\" does not exist", name);
		return;
	}
	if (pw_cursor_u16(body) > 0) {
		fail(con, PW_SQLSTATE_PROTOCOL_VIOLATION, "%s has no parameters", "admin console");
		return;
	}
	view = s->request.view;
	if (!read_formats(body, view ? pw_answer_column_count(view) : 0, &binary) ||
	    !is_whole(body)) {
		fail_broken(con, "Bind");
		return;
	}
	add_portal(con, portal_name, &s->request, binary);
}

/* ---- Describe, Close ---- */

static void describe(struct pw_console *con, const struct pw_request *request, uint64_t binary)
{
	if (request->view)
		pw_answer_columns(&con->output, request->view, binary);
	else
		pw_write_message(&con->output, 'n', "", 0);
}

static void describe_statement(struct pw_console *con, const char *name)
{
	static const uint8_t no_parameters[2] = {0, 0};
	const struct pw_console_statement *s = pw_console_statement_find(con, name);

	if (!s) {
		fail(con, PW_SQLSTATE_INVALID_STATEMENT_NAME,
		     "prepared statement \"%.80s\" does not exist", name);
		return;
	}
	pw_write_message(&con->output, 't', no_parameters, sizeof(no_parameters));
	describe(con, &s->request, 0);
}

static void fail_no_portal(struct pw_console *con, const char *name)
{
	fail(con, PW_SQLSTATE_PROTOCOL_VIOLATION, "portal \"%.80s\" does not exist", name);
}

static void on_describe(struct pw_console *con, struct pw_cursor *body)
{
	uint8_t kind = pw_cursor_u8(body);
	const char *name = pw_cursor_string(body);
	const struct pw_console_portal *p;

	if (!is_whole(body) || (kind != 'S' && kind != 'P')) {
		fail_broken(con, "Describe");
		return;
	}
	if (kind == 'S') {
		describe_statement(con, name);
		return;
	}
	p = pw_console_portal_find(con, name);
	if (p)
		describe(con, &p->request, p->binary);
	else
		fail_no_portal(con, name);
}

static void on_close(struct pw_console *con, struct pw_cursor *body)
{
	uint8_t kind = pw_cursor_u8(body);
	const char *name = pw_cursor_string(body);

	if (!is_whole(body) || (kind != 'S' && kind != 'P')) {
		fail_broken(con, "Close");
		return;
	}
	if (kind == 'S')
		pw_console_statement_drop(con, pw_console_statement_find(con, name));
	else
		pw_console_portal_drop(con, pw_console_portal_find(con, name));
	pw_write_message(&con->output, '3', "", 0);
}

/* ---- Execute ---- */

static bool on_execute(struct pw_console *con, struct pw_cursor *body)
{
	const char *name = pw_cursor_string(body);
	int32_t limit = (int32_t)pw_cursor_u32(body);
	struct pw_console_portal *p;

	if (!is_whole(body)) {
		fail_broken(con, "Execute");
		return true;
	}
	p = pw_console_portal_find(con, name);
	if (!p) {
		fail_no_portal(con, name);
		return true;
	}
	p->limit = limit > 0 ? (uint32_t)limit : 0;
	if (p->state == PW_PORTAL_OPEN) {
		pw_console_portal_send_rows(con, p);
		return true;
	}
	if (p->state == PW_PORTAL_DONE) {
		pw_write_command_complete(&con->output, p->request.tag);
		return true;
	}
	if (p->state == PW_PORTAL_RUN) {
		fail(con, PW_SQLSTATE_OBJECT_NOT_IN_STATE, "portal \"%s\" cannot be run", name);
		return true;
	}
	p->state = PW_PORTAL_RUN;
	con->portal = p;
	con->request = p->request;
	return pw_console_run(con);
}

/* ---- all ---- */

static void on_sync(struct pw_console *con)
{
	con->is_skipping = false;
	if (!con->is_in_block)
		pw_console_portals_drop(con);
	pw_write_ready(&con->output, 'I');
}

bool pw_extended_has(uint8_t type)
{
	return type != '\0' && strchr("PBDECHS", type) != NULL;
}

bool pw_extended_message(struct pw_console *con, const struct pw_piece *message)
{
	struct pw_cursor body = pw_piece_body(message);

	if (con->is_skipping && message->type != 'S')
		return true;
	switch (message->type) {
	case 'P':
		on_parse(con, &body);
		break;
	case 'B':
		on_bind(con, &body);
		break;
	case 'D':
		on_describe(con, &body);
		break;
	case 'C':
		on_close(con, &body);
		break;
	case 'E':
		return on_execute(con, &body);
	case 'S':
		on_sync(con);
		break;
	default: /* Flush: output does not wait */
		break;
	}
	return true;
}

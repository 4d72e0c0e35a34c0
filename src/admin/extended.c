/* SPDX-License-Identifier: PostgreSQL
 *
 * The extended protocol on the console: prepared statements and portals of a few fixed requests
 * that have no parameters (PostgreSQL 15 docs 55.2.3).
 *
 * A portal that was suspended keeps the rows that are still to be sent. Portals end at Sync, since
 * no transaction is open then, except between BEGIN and COMMIT, where drivers count on them.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "admin_priv.h"
#include "pgweir/proto/writer.h"

enum portal_state {
	PORTAL_NEW,
	PORTAL_RUN,  /* was run, and gave no rows (yet) */
	PORTAL_OPEN, /* has rows to give */
	PORTAL_DONE, /* has given them all */
};

struct statement {
	struct pw_list node;
	struct pw_request request;
	char name[PW_CONSOLE_NAME_MAX + 1];
};

struct pw_console_portal {
	struct pw_list node;
	struct pw_request request;
	enum portal_state state;
	struct pw_rows rows; /* OPEN */
	size_t next_row;
	uint64_t binary; /* bit per column */
	uint32_t limit;  /* of the Execute at hand; 0 = none */
	char name[PW_CONSOLE_NAME_MAX + 1];
};

/* ---- statements and portals ---- */

static struct statement *find_statement(const struct pw_console *con, const char *name)
{
	PW_LIST_FOREACH (node, &con->statements) {
		struct statement *s = PW_CONTAINER(node, struct statement, node);

		if (strcmp(s->name, name) == 0)
			return s;
	}
	return NULL;
}

static void drop_statement(struct pw_console *con, struct statement *s)
{
	if (!s)
		return;
	pw_list_remove(&s->node);
	con->n_statements--;
	free(s);
}

static struct pw_console_portal *find_portal(const struct pw_console *con, const char *name)
{
	PW_LIST_FOREACH (node, &con->portals) {
		struct pw_console_portal *p = PW_CONTAINER(node, struct pw_console_portal, node);

		if (strcmp(p->name, name) == 0)
			return p;
	}
	return NULL;
}

static void close_rows(struct pw_console_portal *p)
{
	if (p->state == PORTAL_OPEN)
		pw_rows_fini(&p->rows);
}

static void drop_portal(struct pw_console *con, struct pw_console_portal *p)
{
	if (!p)
		return;
	if (con->portal == p)
		con->portal = NULL;
	close_rows(p);
	pw_list_remove(&p->node);
	con->n_portals--;
	free(p);
}

static void drop_portals(struct pw_console *con)
{
	struct pw_list *node;

	while ((node = pw_list_first(&con->portals)))
		drop_portal(con, PW_CONTAINER(node, struct pw_console_portal, node));
}

void pw_extended_drop_unnamed(struct pw_console *con)
{
	drop_statement(con, find_statement(con, ""));
	drop_portal(con, find_portal(con, ""));
}

void pw_extended_fini(struct pw_console *con)
{
	struct pw_list *node;

	drop_portals(con);
	while ((node = pw_list_first(&con->statements)))
		drop_statement(con, PW_CONTAINER(node, struct statement, node));
}

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
	struct statement *s;

	if (name[0] == '\0')
		drop_statement(con, find_statement(con, ""));
	if (strlen(name) > PW_CONSOLE_NAME_MAX) {
		fail(con, PW_SQLSTATE_PROTOCOL_VIOLATION, "prepared statement name too long: %.80s",
		     name);
		return false;
	}
	if (find_statement(con, name)) {
		fail(con, PW_SQLSTATE_DUPLICATE_STATEMENT,
		     "prepared statement \"%s\" already exists", name);
		return false;
	}
	s = con->n_statements < PW_CONSOLE_STATEMENTS_MAX ? calloc(1, sizeof(*s)) : NULL;
	if (!s) {
		fail(con, PW_SQLSTATE_PROGRAM_LIMIT_EXCEEDED,
		     "too many prepared statements on the console: \"%s\"", name);
		return false;
	}
	s->request = *request;
	memcpy(s->name, name, strlen(name) + 1);
	pw_list_append(&con->statements, &s->node);
	con->n_statements++;
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
		drop_portal(con, find_portal(con, ""));
	if (strlen(name) > PW_CONSOLE_NAME_MAX) {
		fail(con, PW_SQLSTATE_PROTOCOL_VIOLATION, "portal name too long: %.80s", name);
		return;
	}
	if (find_portal(con, name)) {
		fail(con, PW_SQLSTATE_PROTOCOL_VIOLATION, "portal \"%s\" already exists", name);
		return;
	}
	p = con->n_portals < PW_CONSOLE_PORTALS_MAX ? calloc(1, sizeof(*p)) : NULL;
	if (!p) {
		fail(con, PW_SQLSTATE_PROGRAM_LIMIT_EXCEEDED,
		     "too many portals on the console: \"%s\"", name);
		return;
	}
	p->request = *request;
	p->binary = binary;
	memcpy(p->name, name, strlen(name) + 1);
	pw_list_append(&con->portals, &p->node);
	con->n_portals++;
	pw_write_message(&con->output, '2', "", 0);
}

static void on_bind(struct pw_console *con, struct pw_cursor *body)
{
	const char *portal_name = pw_cursor_string(body);
	const char *name = pw_cursor_string(body);
	const struct statement *s;
	const struct pw_view *view;
	uint64_t binary;

	if (!skip_parameter_formats(body)) {
		fail_broken(con, "Bind");
		return;
	}
	s = find_statement(con, name);
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
	const struct statement *s = find_statement(con, name);

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
	p = find_portal(con, name);
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
		drop_statement(con, find_statement(con, name));
	else
		drop_portal(con, find_portal(con, name));
	pw_write_message(&con->output, '3', "", 0);
}

/* ---- Execute ---- */

static void send_rows(struct pw_console *con, struct pw_console_portal *p)
{
	size_t left = p->rows.n_rows - p->next_row;
	size_t n = p->limit > 0 && p->limit < left ? p->limit : left;

	for (size_t i = 0; i < n; i++)
		pw_answer_row(&con->output, &p->rows, p->next_row++, p->binary);
	/* As PostgreSQL: whoever gets as many as were asked for has to ask again. */
	if (p->limit > 0 && n == p->limit) {
		pw_write_message(&con->output, 's', "", 0);
		return;
	}
	close_rows(p);
	p->state = PORTAL_DONE;
	pw_write_command_complete(&con->output, p->request.tag);
}

void pw_extended_rows(struct pw_console *con, struct pw_rows *rows)
{
	struct pw_console_portal *p = con->portal;

	con->portal = NULL;
	p->rows = *rows;
	p->state = PORTAL_OPEN;
	pw_rows_init(rows, rows->view);
	send_rows(con, p);
}

static bool on_execute(struct pw_console *con, struct pw_cursor *body)
{
	const char *name = pw_cursor_string(body);
	int32_t limit = (int32_t)pw_cursor_u32(body);
	struct pw_console_portal *p;

	if (!is_whole(body)) {
		fail_broken(con, "Execute");
		return true;
	}
	p = find_portal(con, name);
	if (!p) {
		fail_no_portal(con, name);
		return true;
	}
	p->limit = limit > 0 ? (uint32_t)limit : 0;
	if (p->state == PORTAL_OPEN) {
		send_rows(con, p);
		return true;
	}
	if (p->state == PORTAL_DONE) {
		pw_write_command_complete(&con->output, p->request.tag);
		return true;
	}
	if (p->state == PORTAL_RUN) {
		fail(con, PW_SQLSTATE_OBJECT_NOT_IN_STATE, "portal \"%s\" cannot be run", name);
		return true;
	}
	p->state = PORTAL_RUN;
	con->portal = p;
	con->request = p->request;
	return pw_console_run(con);
}

/* ---- all ---- */

static void on_sync(struct pw_console *con)
{
	con->is_skipping = false;
	if (!con->is_in_block)
		drop_portals(con);
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

/* SPDX-License-Identifier: PostgreSQL
 *
 * The prepared statements and portals of a console: kept, found, dropped, and the rows that a
 * portal has still to give.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "admin_priv.h"
#include "pgweir/proto/writer.h"

/* ---- statements ---- */

struct pw_console_statement *pw_console_statement_find(const struct pw_console *con,
						       const char *name)
{
	PW_LIST_FOREACH (node, &con->statements) {
		struct pw_console_statement *s =
		    PW_CONTAINER(node, struct pw_console_statement, node);

		if (strcmp(s->name, name) == 0)
			return s;
	}
	return NULL;
}

void pw_console_statement_drop(struct pw_console *con, struct pw_console_statement *s)
{
	if (!s)
		return;
	pw_list_remove(&s->node);
	con->n_statements--;
	free(s);
}

struct pw_console_statement *pw_console_statement_add(struct pw_console *con, const char *name,
						      const struct pw_request *request)
{
	struct pw_console_statement *s;

	s = con->n_statements < PW_CONSOLE_STATEMENTS_MAX ? calloc(1, sizeof(*s)) : NULL;
	if (!s)
		return NULL;
	s->request = *request;
	memcpy(s->name, name, strlen(name) + 1);
	pw_list_append(&con->statements, &s->node);
	con->n_statements++;
	return s;
}

/* ---- portals ---- */

struct pw_console_portal *pw_console_portal_find(const struct pw_console *con, const char *name)
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
	if (p->state == PW_PORTAL_OPEN)
		pw_rows_fini(&p->rows);
}

void pw_console_portal_drop(struct pw_console *con, struct pw_console_portal *p)
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

void pw_console_portals_drop(struct pw_console *con)
{
	struct pw_list *node;

	while ((node = pw_list_first(&con->portals)))
		pw_console_portal_drop(con, PW_CONTAINER(node, struct pw_console_portal, node));
}

struct pw_console_portal *pw_console_portal_add(struct pw_console *con, const char *name,
						const struct pw_request *request)
{
	struct pw_console_portal *p;

	p = con->n_portals < PW_CONSOLE_PORTALS_MAX ? calloc(1, sizeof(*p)) : NULL;
	if (!p)
		return NULL;
	p->request = *request;
	memcpy(p->name, name, strlen(name) + 1);
	pw_list_append(&con->portals, &p->node);
	con->n_portals++;
	return p;
}

/* ---- rows ---- */

void pw_console_portal_send_rows(struct pw_console *con, struct pw_console_portal *p)
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
	p->state = PW_PORTAL_DONE;
	pw_write_command_complete(&con->output, p->request.tag);
}

void pw_console_portal_take_rows(struct pw_console *con, struct pw_rows *rows)
{
	struct pw_console_portal *p = con->portal;

	con->portal = NULL;
	p->rows = *rows;
	p->state = PW_PORTAL_OPEN;
	pw_rows_init(rows, rows->view);
	pw_console_portal_send_rows(con, p);
}

/* ---- all ---- */

void pw_console_portals_drop_unnamed(struct pw_console *con)
{
	pw_console_statement_drop(con, pw_console_statement_find(con, ""));
	pw_console_portal_drop(con, pw_console_portal_find(con, ""));
}

void pw_console_portals_fini(struct pw_console *con)
{
	struct pw_list *node;

	pw_console_portals_drop(con);
	while ((node = pw_list_first(&con->statements)))
		pw_console_statement_drop(con,
					  PW_CONTAINER(node, struct pw_console_statement, node));
}

/* SPDX-License-Identifier: PostgreSQL
 *
 * SHOW PINS: clients that keep their server connection between transactions, and why.
 */
#include "config.h"

#include <stdio.h>

#include "admin_priv.h"
#include "pgweir/base/clock.h"

enum column { DATABASE, USER, CLIENT, SERVER, REASONS, SECONDS, ID };

/* clang-format off */
static const struct pw_column columns[] = {
    [DATABASE] = {"database", PW_COL_TEXT, PW_MERGE_FIRST, "The database as clients call it."},
    [USER] = {"user", PW_COL_TEXT, PW_MERGE_FIRST, "The user that logged in."},
    [CLIENT] = {"client", PW_COL_TEXT, PW_MERGE_FIRST, "The client's ptr in SHOW CLIENTS."},
    [SERVER] = {"server", PW_COL_TEXT, PW_MERGE_FIRST, "The connection's ptr in SHOW SERVERS."},
    [REASONS] = {"reasons", PW_COL_TEXT, PW_MERGE_FIRST,
                 "What it has in its session that cannot be carried to another connection."},
    [SECONDS] = {"seconds", PW_COL_INT4, PW_MERGE_FIRST, "For how long."},
    [ID] = {"id", PW_COL_INT4, PW_MERGE_FIRST, "The client's id in SHOW CLIENTS."},
    {.name = NULL},
};
/* clang-format on */

static void set_pointer(struct pw_rows *rows, struct pw_cell *cell, const void *pointer)
{
	char text[32];

	snprintf(text, sizeof(text), "%p", pointer);
	pw_cell_set_text(rows, cell, text);
}

static void collect_client(struct pw_rows *rows, const struct pw_client *c)
{
	uint64_t now = c->clients->loop->now_us, since = pw_client_pinned_us(c);
	struct pw_cell *row = pw_rows_add(rows);
	char reasons[256];

	if (!row)
		return;
	pw_client_pins(c, reasons, sizeof(reasons));
	pw_cell_set_text(rows, &row[DATABASE], pw_client_database(c));
	pw_cell_set_text(rows, &row[USER], pw_client_user(c));
	set_pointer(rows, &row[CLIENT], c);
	set_pointer(rows, &row[SERVER], c->loan.link);
	pw_cell_set_text(rows, &row[REASONS], reasons);
	pw_cell_set_number(&row[SECONDS], (int64_t)((now - since) / PW_SECOND_US));
	pw_cell_set_number(&row[ID], (int64_t)c->id);
}

static void collect(struct pw_rows *rows, const void *source)
{
	const struct pw_worker_view *worker = source;

	PW_LIST_FOREACH (node, &worker->clients->all) {
		const struct pw_client *c = PW_CONTAINER(node, const struct pw_client, node);

		if (pw_client_pinned_us(c) > 0)
			collect_client(rows, c);
	}
}

static void finish(struct pw_rows *rows)
{
	static const size_t order[] = {DATABASE, USER, ID};

	pw_rows_sort_by(rows, order, PW_COUNTOF(order));
}

const struct pw_view pw_view_pins = {
    .name = "PINS",
    .help = "One row per client that keeps its server connection between transactions.",
    .columns = columns,
    .is_per_worker = true,
    .collect = collect,
    .finish = finish,
};

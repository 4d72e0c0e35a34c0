/* SPDX-License-Identifier: PostgreSQL
 *
 * SHOW PINS: clients that keep their server connection between transactions, and why; SHOW
 * PIN_COUNTS: how many, and how often, by reason.
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

static void describe_reasons(struct pw_strbuf *out)
{
	pw_strbuf_add_string(
	    out,
	    "\nThe reasons, and what ends each:\n\n| reason | what | until |\n|---|---|---|\n");
	for (size_t i = 0; i < PW_PIN_REASONS; i++) {
		const struct pw_pin_reason *reason = pw_client_pin_reason(i);

		pw_strbuf_printf(out, "| `%s` | %s | %s |\n", reason->name, reason->what,
				 reason->end ? reason->end : "the client leaves");
	}
	pw_strbuf_add_string(
	    out, "\n`max_pinned_share` bounds how many of a pool's server connections may be kept "
		 "so, `pin_timeout` for how long a pinned client may idle.\n");
}

const struct pw_view pw_view_pins = {
    .name = "PINS",
    .help = "One row per client that keeps its server connection between transactions.",
    .columns = columns,
    .is_per_worker = true,
    .collect = collect,
    .finish = finish,
    .describe = describe_reasons,
};

/* ---- PIN_COUNTS ---- */

enum count_column { COUNT_DATABASE, COUNT_REASON, COUNT_CLIENTS, COUNT_TOTAL };

/* clang-format off */
static const struct pw_column count_columns[] = {
    [COUNT_DATABASE] = {"database", PW_COL_TEXT, PW_MERGE_KEY, "The database as clients call it."},
    [COUNT_REASON] = {"reason", PW_COL_TEXT, PW_MERGE_KEY, "As in SHOW PINS."},
    [COUNT_CLIENTS] = {"clients", PW_COL_INT4, PW_MERGE_SUM,
                       "Clients that keep their server connection for it at present."},
    [COUNT_TOTAL] = {"total", PW_COL_NUMERIC, PW_MERGE_SUM, "How often one began to."},
    {.name = NULL},
};
/* clang-format on */

static void visit_database(struct pw_shared_db *db, void *arg)
{
	struct pw_rows *rows = arg;

	for (size_t i = 0; i < PW_PIN_REASONS; i++) {
		uint64_t total = atomic_load_explicit(&db->pins[i].total, memory_order_relaxed);
		struct pw_cell *row = total > 0 ? pw_rows_add(rows) : NULL;

		if (!row)
			continue;
		pw_cell_set_text(rows, &row[COUNT_DATABASE], db->name);
		pw_cell_set_text(rows, &row[COUNT_REASON], pw_client_pin_reason(i)->name);
		pw_cell_set_number(&row[COUNT_CLIENTS], atomic_load(&db->pins[i].now));
		pw_cell_set_number(&row[COUNT_TOTAL], (int64_t)total);
	}
}

static void collect_counts(struct pw_rows *rows, const void *source)
{
	const struct pw_worker_view *worker = source;

	pw_registry_each_db(worker->registry, visit_database, rows);
}

static void finish_counts(struct pw_rows *rows)
{
	static const size_t order[] = {COUNT_DATABASE, COUNT_REASON};

	pw_rows_sort_by(rows, order, PW_COUNTOF(order));
}

const struct pw_view pw_view_pin_counts = {
    .name = "PIN_COUNTS",
    .help = "For each database and reason, how many clients keep their server connection between "
	    "transactions; only of reasons that there were since it was first used.",
    .columns = count_columns,
    .collect = collect_counts,
    .finish = finish_counts,
};

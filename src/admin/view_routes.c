/* SPDX-License-Identifier: PostgreSQL
 *
 * SHOW ROUTES: where requests went to whose reads are split off, and why.
 */
#include "config.h"

#include "admin_priv.h"
#include "pgweir/client/client.h"

enum column { DATABASE, NODE, REASON, REQUESTS, WHAT };

/* clang-format off */
static const struct pw_column columns[] = {
    [DATABASE] = {"database", PW_COL_TEXT, PW_MERGE_KEY, "One with routing = split."},
    [NODE] = {"node", PW_COL_TEXT, PW_MERGE_KEY, "primary, or replica; none = nowhere."},
    [REASON] = {"reason", PW_COL_TEXT, PW_MERGE_KEY, "Why they went there."},
    [REQUESTS] = {"requests", PW_COL_NUMERIC, PW_MERGE_SUM, "How many, since the start."},
    [WHAT] = {"what", PW_COL_TEXT, PW_MERGE_FIRST, "What the reason means."},
    {.name = NULL},
};
/* clang-format on */

static void add_row(struct pw_rows *rows, const struct pw_pool *pool, size_t i)
{
	const struct pw_route_reason *reason = pw_client_route_reason(i);
	struct pw_cell *row = reason ? pw_rows_add(rows) : NULL;

	if (!row)
		return;
	pw_cell_set_text(rows, &row[DATABASE], pool->shared->db->name);
	pw_cell_set_text(rows, &row[NODE], reason->node);
	pw_cell_set_text(rows, &row[REASON], reason->name);
	pw_cell_set_number(&row[REQUESTS], (int64_t)pool->routed[i]);
	pw_cell_set_text(rows, &row[WHAT], reason->what);
}

static void visit_pool(struct pw_pool *pool, void *arg)
{
	for (size_t i = 0; pool->is_split && !pool->shared->of_replicas && i < PW_ROUTES_MAX; i++)
		add_row(arg, pool, i);
}

static void collect(struct pw_rows *rows, const void *source)
{
	const struct pw_worker_view *worker = source;

	pw_pools_each(worker->pools, visit_pool, rows);
}

const struct pw_view pw_view_routes = {
    .name = "ROUTES",
    .help = "Where requests have run that are split between the primary and replicas, and why.",
    .columns = columns,
    .is_per_worker = true,
    .collect = collect,
};

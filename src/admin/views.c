/* SPDX-License-Identifier: PostgreSQL
 *
 * The list of all tables, and the fixed parameters that drivers ask for: views as well, of one row
 * that is always the same.
 */
#include "config.h"

#include <strings.h>

#include "admin_priv.h"

const struct pw_view *const pw_console_views[] = {
    &pw_view_clients,
    &pw_view_servers,
    &pw_view_pools,
    &pw_view_databases,
    &pw_view_users,
    &pw_view_stats,
    &pw_view_stats_totals,
    &pw_view_stats_averages,
    &pw_view_totals,
    &pw_view_lists,
    &pw_view_config,
    &pw_view_version,
    &pw_view_state,
    &pw_view_pins,
    &pw_view_pin_counts,
    &pw_view_clusters,
    &pw_view_nodes,
    &pw_view_routes,
    NULL,
};

static void collect_parameter(struct pw_rows *rows, const void *source PW_UNUSED);

#define PARAMETER(word)                                                                            \
	{                                                                                          \
		.name = word,                                                                      \
		.columns = (const struct pw_column[]){{word, PW_COL_TEXT, PW_MERGE_FIRST, ""},     \
						      {.name = NULL}},                             \
		.collect = collect_parameter,                                                      \
	}

static const struct pw_view parameters[] = {
    PARAMETER("client_encoding"),
    PARAMETER("default_transaction_isolation"),
    PARAMETER("standard_conforming_strings"),
    PARAMETER("datestyle"),
    PARAMETER("timezone"),
};

static void collect_parameter(struct pw_rows *rows, const void *source PW_UNUSED)
{
	static const char *const values[PW_COUNTOF(parameters)] = {"UTF-8", "read committed", "on",
								   "ISO", "GMT"};
	struct pw_cell *row = pw_rows_add(rows);

	if (row)
		pw_cell_set_text(rows, row, values[rows->view - parameters]);
}

const struct pw_view *pw_console_find_parameter(const char *name)
{
	for (size_t i = 0; i < PW_COUNTOF(parameters); i++) {
		if (strcasecmp(parameters[i].name, name) == 0)
			return &parameters[i];
	}
	return NULL;
}

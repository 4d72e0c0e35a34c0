/* SPDX-License-Identifier: PostgreSQL
 *
 * The list of all tables, small things that several of them need, and the fixed parameters that
 * drivers ask for: views as well, of one row that is always the same.
 */
#include "config.h"

#include <string.h>
#include <strings.h>

#include "admin_priv.h"

const struct pw_view *const pw_console_views[] = {
    &pw_view_clients,      &pw_view_servers,
    &pw_view_pools,        &pw_view_databases,
    &pw_view_users,        &pw_view_stats,
    &pw_view_stats_totals, &pw_view_stats_averages,
    &pw_view_totals,       &pw_view_lists,
    &pw_view_config,       &pw_view_version,
    &pw_view_state,        NULL,
};

bool pw_console_has_name(const char *database)
{
	return strcmp(database, PW_CONSOLE_NAME) == 0 || strcmp(database, "pgweir") == 0;
}

const char *pw_console_mode_name(int pool_mode)
{
	static const char *const names[] = {
	    [PW_MODE_SESSION] = "session",
	    [PW_MODE_TRANSACTION] = "transaction",
	    [PW_MODE_STATEMENT] = "statement",
	};

	return pool_mode >= 0 ? names[pool_mode] : NULL;
}

const char *pw_console_balance_name(int load_balance)
{
	static const char *const names[] = {
	    [PW_BALANCE_ROUND_ROBIN] = "round-robin",
	    [PW_BALANCE_DISABLE] = "disable",
	};

	return load_balance >= 0 ? names[load_balance] : NULL;
}

struct pw_counter_history *pw_console_stats(struct pw_clients *clients)
{
	struct pw_counter_history *stats = &clients->console_stats;
	const struct pw_conf *conf = clients->pools->snapshot->conf;
	uint64_t now = clients->loop->now_us;

	if (stats->last_us == 0)
		stats->last_us = stats->before_last_us = now;
	if (now - stats->last_us >= (uint64_t)conf->stats_period * PW_SECOND_US)
		pw_counter_history_turn(stats, now);
	return stats;
}

/* ---- parameters ---- */

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

/* SPDX-License-Identifier: PostgreSQL
 *
 * SHOW STATS, STATS_TOTALS, STATS_AVERAGES, TOTALS: the counters of all pools, from counters.def.
 *
 * Averages cannot be added up, so workers report what was counted during the averaging period and
 * how long that was (in a hidden column); finish() divides the sums.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "admin_priv.h"
#include "pgweir/stat/counters.h"

#define SUM PW_COL_NUMERIC, PW_MERGE_SUM

/* The names of averages are "avg_FIELD" but for these, which PgBouncer has given once and for all:
 * NAME_OR() picks the second word of an exception, if there is one, else the fallback. */
#define SECOND(first, second, ...)       second
#define NAME_OR(exception, fallback)     SECOND(exception, fallback, )
#define STATS_received                   x, "avg_recv"
#define AVERAGES_server_assignment_count x, "server_assignment_count"
#define AVERAGES_xact_count              x, "xact_count"
#define AVERAGES_query_count             x, "query_count"
#define AVERAGES_received                x, "bytes_received"
#define AVERAGES_sent                    x, "bytes_sent"
#define AVERAGES_xact_time               x, "xact_time"
#define AVERAGES_query_time              x, "query_time"
#define AVERAGES_wait_time               x, "wait_time"

#define DATABASE_COLUMN                                                                            \
	{                                                                                          \
		"database", PW_COL_TEXT, PW_MERGE_KEY, "The database as clients call it."          \
	}
#define ELAPSED_COLUMN                                                                             \
	{                                                                                          \
		"elapsed_us", PW_COL_HIDDEN, PW_MERGE_MAX, ""                                      \
	}

/* clang-format off */
static const struct pw_column stats_columns[] = {
    DATABASE_COLUMN,
#define PW_COUNTER(field, total, overall, average, help) {"total_" #field, SUM, help},
#include "pgweir/stat/counters.def"
#undef PW_COUNTER
#define PW_COUNTER(field, total, overall, average, help)                                           \
	{NAME_OR(STATS_##field, "avg_" #field), SUM, average##_TEXT help},
#define PW_PER_SECOND_TEXT     "Per second: "
#define PW_PER_XACT_TEXT       "Per transaction: "
#define PW_PER_QUERY_TEXT      "Per query: "
#define PW_PER_ASSIGNMENT_TEXT "Per assignment: "
#include "pgweir/stat/counters.def"
#undef PW_COUNTER
    ELAPSED_COLUMN,
    {.name = NULL},
};

static const struct pw_column totals_columns[] = {
    DATABASE_COLUMN,
#define PW_COUNTER(field, total, overall, average, help) {total, SUM, help},
#include "pgweir/stat/counters.def"
#undef PW_COUNTER
    {.name = NULL},
};

static const struct pw_column averages_columns[] = {
    DATABASE_COLUMN,
#define PW_COUNTER(field, total, overall, average, help)                                           \
	{NAME_OR(AVERAGES_##field, "avg_" #field), SUM, average##_TEXT help},
#include "pgweir/stat/counters.def"
#undef PW_COUNTER
    ELAPSED_COLUMN,
    {.name = NULL},
};

enum overall_column { NAME, VALUE, ELAPSED };

static const struct pw_column overall_columns[] = {
    [NAME] = {"name", PW_COL_TEXT, PW_MERGE_KEY, "A counter, total_ or avg_, of all databases."},
    [VALUE] = {"value", PW_COL_NUMERIC, PW_MERGE_SUM, "Its value."},
    [ELAPSED] = ELAPSED_COLUMN,
    {.name = NULL},
};
/* clang-format on */

/* ---- what all begin with ---- */

struct sample {
	const struct pw_counters *now;
	struct pw_counters recent; /* counted in the averaging period */
	uint64_t elapsed_us;
};

static void take_sample(const struct pw_counter_history *history, uint64_t now_us,
			struct sample *out)
{
	out->now = &history->now;
	out->elapsed_us = now_us - history->before_last_us;
#define PW_COUNTER(field, total, overall, average, help)                                           \
	out->recent.field = history->now.field - history->before_last.field;
#include "pgweir/stat/counters.def"
#undef PW_COUNTER
}

/* Fills one cell for each counter. */
static void set_counters(struct pw_cell *cells, const struct pw_counters *counters)
{
	for (size_t i = 0; i < pw_counter_count; i++)
		pw_cell_set_number(&cells[i], (int64_t)pw_counters_get(counters, i));
}

/* The cells hold what was counted; they are to hold averages. */
static void divide(struct pw_cell *cells, size_t step, uint64_t elapsed_us)
{
	const struct pw_counters none = {0};
	struct pw_counters recent;
	size_t i = 0;

#define PW_COUNTER(field, total, overall, average, help)                                           \
	recent.field = (uint64_t)cells[i++ * step].number;
#include "pgweir/stat/counters.def"
#undef PW_COUNTER
	for (i = 0; i < pw_counter_count; i++)
		pw_cell_set_number(&cells[i * step],
				   (int64_t)pw_counters_average(&recent, &none, elapsed_us, i));
}

/* ---- rows by database ---- */

struct visit {
	struct pw_rows *rows;
	uint64_t now_us;
	void (*add)(struct pw_rows *rows, const char *database, const struct sample *sample);
};

static void visit_history(const struct visit *visit, const char *database,
			  const struct pw_counter_history *history)
{
	struct sample sample;

	take_sample(history, visit->now_us, &sample);
	visit->add(visit->rows, database, &sample);
}

static void visit_pool(struct pw_pool *pool, void *arg)
{
	visit_history(arg, pool->shared->db->name, &pool->stats);
}

static void collect_all(struct pw_rows *rows, const void *source,
			void (*add)(struct pw_rows *rows, const char *database,
				    const struct sample *sample))
{
	const struct pw_worker_view *worker = source;
	struct visit visit = {rows, worker->pools->loop->now_us, add};

	visit_history(&visit, PW_CONSOLE_NAME, pw_console_stats(worker->clients));
	pw_pools_each(worker->pools, visit_pool, &visit);
}

static struct pw_cell *add_row(struct pw_rows *rows, const char *name)
{
	struct pw_cell *row = pw_rows_add(rows);

	if (row)
		pw_cell_set_text(rows, &row[0], name);
	return row;
}

static void add_stats(struct pw_rows *rows, const char *database, const struct sample *sample)
{
	struct pw_cell *row = add_row(rows, database);

	if (!row)
		return;
	set_counters(row + 1, sample->now);
	set_counters(row + 1 + pw_counter_count, &sample->recent);
	pw_cell_set_number(&row[1 + 2 * pw_counter_count], (int64_t)sample->elapsed_us);
}

static void add_totals(struct pw_rows *rows, const char *database, const struct sample *sample)
{
	struct pw_cell *row = add_row(rows, database);

	if (row)
		set_counters(row + 1, sample->now);
}

static void add_averages(struct pw_rows *rows, const char *database, const struct sample *sample)
{
	struct pw_cell *row = add_row(rows, database);

	if (!row)
		return;
	set_counters(row + 1, &sample->recent);
	pw_cell_set_number(&row[1 + pw_counter_count], (int64_t)sample->elapsed_us);
}

static void collect_stats(struct pw_rows *rows, const void *source)
{
	collect_all(rows, source, add_stats);
}

static void collect_totals(struct pw_rows *rows, const void *source)
{
	collect_all(rows, source, add_totals);
}

static void collect_averages(struct pw_rows *rows, const void *source)
{
	collect_all(rows, source, add_averages);
}

/* Averages stand in the last columns, before the time. */
static void finish_averages(struct pw_rows *rows)
{
	size_t elapsed = pw_view_column_count(rows->view) - 1;

	for (size_t i = 0; i < rows->n_rows; i++) {
		struct pw_cell *row = pw_rows_at(rows, i);

		divide(row + elapsed - pw_counter_count, 1, (uint64_t)row[elapsed].number);
	}
	pw_rows_sort(rows);
}

/* ---- TOTALS: a row for each counter ---- */

static void add_overall_half(struct pw_rows *rows, const char *prefix,
			     const struct pw_counters *counters, uint64_t elapsed_us)
{
	char name[64];

	for (size_t i = 0; i < pw_counter_count; i++) {
		struct pw_cell *row;

		snprintf(name, sizeof(name), "%s_%s", prefix, pw_counter_rows[i].overall);
		row = add_row(rows, name);
		if (!row)
			return;
		pw_cell_set_number(&row[VALUE], (int64_t)pw_counters_get(counters, i));
		pw_cell_set_number(&row[ELAPSED], (int64_t)elapsed_us);
	}
}

static void sum_pool(struct pw_pool *pool, void *arg)
{
	struct sample *sum = arg, sample;

	take_sample(&pool->stats, pool->pools->loop->now_us, &sample);
	pw_counters_add(&sum->recent, &sample.recent);
	if (sample.elapsed_us > sum->elapsed_us)
		sum->elapsed_us = sample.elapsed_us;
}

static void sum_pool_totals(struct pw_pool *pool, void *arg)
{
	pw_counters_add(arg, &pool->stats.now);
}

static void collect_overall(struct pw_rows *rows, const void *source)
{
	const struct pw_worker_view *worker = source;
	const struct pw_counter_history *console = pw_console_stats(worker->clients);
	struct pw_counters totals = console->now;
	struct sample sum;

	take_sample(console, worker->pools->loop->now_us, &sum);
	pw_pools_each(worker->pools, sum_pool, &sum);
	pw_pools_each(worker->pools, sum_pool_totals, &totals);
	add_overall_half(rows, "total", &totals, sum.elapsed_us);
	add_overall_half(rows, "avg", &sum.recent, sum.elapsed_us);
}

static void finish_overall(struct pw_rows *rows)
{
	struct pw_cell *averages;

	if (rows->n_rows != 2 * pw_counter_count)
		return;
	averages = pw_rows_at(rows, pw_counter_count);
	divide(averages + VALUE, PW_COUNTOF(overall_columns) - 1,
	       (uint64_t)averages[ELAPSED].number);
}

#define AVERAGING                                                                                  \
	" Averages cover the time since the last but one end of a period of stats_period, so one " \
	"to two periods."

const struct pw_view pw_view_stats = {
    .name = "STATS",
    .help = "What was counted for each database." AVERAGING,
    .columns = stats_columns,
    .is_per_worker = true,
    .collect = collect_stats,
    .finish = finish_averages,
};

const struct pw_view pw_view_stats_totals = {
    .name = "STATS_TOTALS",
    .help = "The totals of SHOW STATS.",
    .columns = totals_columns,
    .is_per_worker = true,
    .collect = collect_totals,
    .finish = pw_rows_sort,
};

const struct pw_view pw_view_stats_averages = {
    .name = "STATS_AVERAGES",
    .help = "The averages of SHOW STATS.",
    .columns = averages_columns,
    .is_per_worker = true,
    .collect = collect_averages,
    .finish = finish_averages,
};

const struct pw_view pw_view_totals = {
    .name = "TOTALS",
    .help = "Totals and averages of all databases together.",
    .columns = overall_columns,
    .is_per_worker = true,
    .collect = collect_overall,
    .finish = finish_overall,
};

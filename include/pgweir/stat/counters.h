/* SPDX-License-Identifier: PostgreSQL
 *
 * Counters of one pool in one worker: plain integers that only their worker writes. SHOW asks
 * each worker for its copy and adds them up. Pure functions but for the worker's own history.
 */
#ifndef PGWEIR_STAT_COUNTERS_H
#define PGWEIR_STAT_COUNTERS_H

#include <stddef.h>
#include <stdint.h>

enum pw_average { PW_PER_SECOND, PW_PER_XACT, PW_PER_QUERY, PW_PER_ASSIGNMENT };

struct pw_counters {
#define PW_COUNTER(field, total, overall, average, help) uint64_t field;
#include "pgweir/stat/counters.def"
#undef PW_COUNTER
};

struct pw_counter_row {
	const char *field;   /* total_FIELD, avg_FIELD in SHOW STATS */
	const char *total;   /* SHOW STATS_TOTALS and STATS_AVERAGES */
	const char *overall; /* SHOW TOTALS */
	enum pw_average average;
	const char *help;
	size_t offset;
};

extern const struct pw_counter_row pw_counter_rows[];
extern const size_t pw_counter_count;

/* The counters now, and as they stood one and two averaging periods ago. */
struct pw_counter_history {
	struct pw_counters now, last, before_last;
	uint64_t last_us, before_last_us;
};

void pw_counters_add(struct pw_counters *sum, const struct pw_counters *part);
uint64_t pw_counters_get(const struct pw_counters *counters, size_t row);
/* Ends an averaging period. */
void pw_counter_history_turn(struct pw_counter_history *history, uint64_t now_us);
/* The average of one row between two states that lie `elapsed_us` apart. */
uint64_t pw_counters_average(const struct pw_counters *now, const struct pw_counters *then,
			     uint64_t elapsed_us, size_t row);

#endif

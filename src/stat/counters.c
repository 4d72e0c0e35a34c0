/* SPDX-License-Identifier: PostgreSQL
 *
 * The rows of counters.def, and sums and averages over them by offset.
 */
#include "config.h"

#include "pgweir/stat/counters.h"

#include <string.h>

#include "pgweir/base/clock.h"
#include "pgweir/base/status.h"

const struct pw_counter_row pw_counter_rows[] = {
#define PW_COUNTER(field, total, overall, average, help)                                           \
	{#field, total, overall, average, help, offsetof(struct pw_counters, field)},
#include "pgweir/stat/counters.def"
#undef PW_COUNTER
};

const size_t pw_counter_count = PW_COUNTOF(pw_counter_rows);

uint64_t pw_counters_get(const struct pw_counters *counters, size_t row)
{
	uint64_t value;

	memcpy(&value, (const char *)counters + pw_counter_rows[row].offset, sizeof(value));
	return value;
}

void pw_counters_add(struct pw_counters *sum, const struct pw_counters *part)
{
#define PW_COUNTER(field, total, overall, average, help) sum->field += part->field;
#include "pgweir/stat/counters.def"
#undef PW_COUNTER
}

void pw_counter_history_turn(struct pw_counter_history *history, uint64_t now_us)
{
	history->before_last = history->last;
	history->before_last_us = history->last_us;
	history->last = history->now;
	history->last_us = now_us;
}

uint64_t pw_counters_average(const struct pw_counters *now, const struct pw_counters *then,
			     uint64_t elapsed_us, size_t row)
{
	uint64_t value = pw_counters_get(now, row) - pw_counters_get(then, row);
	uint64_t per = 0;

	switch (pw_counter_rows[row].average) {
	case PW_PER_SECOND:
		return elapsed_us > 0 ? value * PW_SECOND_US / elapsed_us : 0;
	case PW_PER_XACT:
		per = now->xact_count - then->xact_count;
		break;
	case PW_PER_QUERY:
		per = now->query_count - then->query_count;
		break;
	case PW_PER_ASSIGNMENT:
		per = now->server_assignment_count - then->server_assignment_count;
		break;
	}
	return per > 0 ? value / per : 0;
}

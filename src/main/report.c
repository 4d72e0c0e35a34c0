/* SPDX-License-Identifier: PostgreSQL
 *
 * What pgweir says of itself unasked: the line of statistics in the log, the status line and the
 * watchdog of the service manager. The watchdog is fed only when every worker has answered, so a
 * worker that no longer turns is noticed.
 */
#include "config.h"

#include "report.h"

#include <string.h>

#include "notify.h"
#include "round.h"

/* Rates of one period, as PgBouncer's log line has them. */
static void say(struct pw_process *p, const struct pw_counters *sum, uint64_t elapsed_us)
{
	struct pw_counters rate; /* each counter's average in its own place */
	char line[512];

	for (size_t i = 0; i < pw_counter_count; i++) {
		uint64_t value = pw_counters_average(sum, &p->reported, elapsed_us, i);

		memcpy((char *)&rate + pw_counter_rows[i].offset, &value, sizeof(value));
	}
	snprintf(line, sizeof(line),
		 "stats: %llu xacts/s, %llu queries/s, %llu client parses/s, %llu server parses/s, "
		 "%llu binds/s, %llu client logins/s, in %llu B/s, out %llu B/s, xact %llu us, "
		 "query %llu us, wait %llu us",
		 (unsigned long long)rate.xact_count, (unsigned long long)rate.query_count,
		 (unsigned long long)rate.client_parse_count,
		 (unsigned long long)rate.server_parse_count, (unsigned long long)rate.bind_count,
		 (unsigned long long)rate.client_login_count, (unsigned long long)rate.received,
		 (unsigned long long)rate.sent, (unsigned long long)rate.xact_time,
		 (unsigned long long)rate.query_time, (unsigned long long)rate.wait_time);
	if (p->snapshot->conf->log_stats)
		pw_log_info(&p->logctx, "%s", line);
	pw_notify_status("%s", line);
}

static void after_count(struct pw_round *round)
{
	struct pw_process *p = round->process;
	uint64_t now = p->loop.now_us;

	if (round->missing > 0)
		return;
	say(p, &round->counters, now - p->reported_us);
	p->reported = round->counters;
	p->reported_us = now;
}

static void on_report(struct pw_timer *timer)
{
	struct pw_process *p = PW_CONTAINER(timer, struct pw_process, report);

	pw_round_run(p, NULL, PW_ROUND_COUNT, NULL, after_count);
	pw_loop_arm(&p->loop, &p->report, (uint64_t)p->snapshot->conf->stats_period * PW_SECOND_US);
}

static void feed_watchdog(struct pw_round *round)
{
	if (round->missing == 0)
		pw_notify_watchdog();
	else
		pw_log_warning(&round->process->logctx,
			       "a worker does not answer: the watchdog is not fed");
}

static void on_watchdog(struct pw_timer *timer)
{
	struct pw_process *p = PW_CONTAINER(timer, struct pw_process, watchdog);
	struct pw_round *round = pw_round_create(p, NULL, PW_ROUND_COUNT, NULL, feed_watchdog);
	uint64_t half = pw_notify_watchdog_interval_us() / 2;

	pw_loop_arm(&p->loop, &p->watchdog, half);
	if (round)
		pw_round_start(round, half);
}

void pw_report_start(struct pw_process *p)
{
	pw_timer_init(&p->report, on_report);
	pw_timer_init(&p->watchdog, on_watchdog);
	p->reported_us = p->loop.now_us;
	if (p->snapshot->conf->stats_period > 0)
		pw_loop_arm(&p->loop, &p->report,
			    (uint64_t)p->snapshot->conf->stats_period * PW_SECOND_US);
	if (pw_notify_watchdog_interval_us() > 0)
		pw_loop_arm(&p->loop, &p->watchdog, pw_notify_watchdog_interval_us() / 2);
}

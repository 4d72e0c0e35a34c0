/* SPDX-License-Identifier: PostgreSQL
 *
 * Small things that several of the tables need.
 */
#include "config.h"

#include "admin_priv.h"
#include "pgweir/base/clock.h"

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

const char *pw_console_routing_name(int routing)
{
	static const char *const names[] = {
	    [PW_ROUTING_PRIMARY] = "primary",
	    [PW_ROUTING_REPLICA] = "replica",
	    [PW_ROUTING_SPLIT] = "split",
	    [PW_ROUTING_AUTO] = "auto",
	};

	return names[routing];
}

const char *pw_console_consistency_name(int consistency)
{
	static const char *const names[] = {
	    [PW_CONSISTENCY_EVENTUAL] = "eventual",
	    [PW_CONSISTENCY_MONOTONIC] = "monotonic",
	    [PW_CONSISTENCY_SESSION] = "session",
	    [PW_CONSISTENCY_GLOBAL] = "global",
	};

	return names[consistency];
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

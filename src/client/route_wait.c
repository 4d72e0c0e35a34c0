/* SPDX-License-Identifier: PostgreSQL
 *
 * How long a request waits for a replica that may run it. It is looked at again with each round of
 * the monitor.
 */
#include "config.h"

#include "route_priv.h"

/* A pause is made by who has been tied for so long, and not again before PAUSED_AGAIN_US. */
enum {
	LOST_ROUNDS = 5,
	TIED_US = PW_SECOND_US,
	PAUSED_AGAIN_US = 10 * PW_SECOND_US,
	PAUSE_ROUNDS = 4,
	PAUSE_MAX_US = PW_SECOND_US / 2,
};

bool pw_route_waits(struct pw_client *c, uint64_t limit)
{
	struct pw_client_route *route = c->route;
	uint64_t now = c->clients->loop->now_us;

	if (limit == 0)
		return false;
	if (route->waits_since_us == 0)
		route->waits_since_us = now;
	if (pw_clock_since(route->waits_since_us, now) >= limit)
		return false;
	route->waits_until_us =
	    limit > UINT64_MAX - route->waits_since_us ? 0 : route->waits_since_us + limit;
	pw_client_goto(c, PW_CLIENT_ROUTING);
	pw_loop_arm(c->clients->loop, &c->timer, PW_ROUTE_LOOK_AGAIN_US);
	return true;
}

uint64_t pw_route_patience_for_replica(struct pw_client *c)
{
	uint64_t limit = (uint64_t)c->loan.pool->conf.reading.no_primary_wait;

	if (c->route->must_fail)
		return 0;
	if (limit > 0)
		return limit;
	pw_client_load_limits(c);
	return c->query_wait_timeout > 0 ? c->query_wait_timeout : UINT64_MAX;
}

/* Some rounds, where these are so close to each other that nobody minds. */
static uint64_t some_rounds(const struct pw_client *c)
{
	uint64_t limit = PAUSE_ROUNDS * (uint64_t)c->loan.pool->cluster_conf.monitor_interval;

	return limit <= PAUSE_MAX_US ? limit : 0;
}

/* What reads on the primary without a pause has always read since the last round, and no replica is
 * known to have that: it would stay there for as long as it does so. One pause lets it go, and from
 * then on it reads on a replica as it did there. Who also writes is back before long: so that such
 * a pause costs it little, there are few. */
static bool is_to_pause(const struct pw_client *c)
{
	const struct pw_client_route *route = c->route;
	/* Once it waits, that is as it was when it began to. */
	uint64_t as_of =
	    route->waits_since_us > 0 ? route->waits_since_us : c->clients->loop->now_us;

#ifdef PW_MUTANT_NEVER_PAUSES
	return false;
#endif
	if (route->tied_since_us == 0 || pw_clock_since(route->tied_since_us, as_of) < TIED_US)
		return false;
	return route->paused_us == 0 || pw_clock_since(route->paused_us, as_of) >= PAUSED_AGAIN_US;
}

void pw_route_note_tie(struct pw_client *c, enum pw_route route)
{
	struct pw_client_route *r = c->route;
	uint64_t now = c->clients->loop->now_us;

	if (r->waits_since_us > 0 && is_to_pause(c))
		r->paused_us = now;
	if (route != PW_ROUTE_UNSEEN)
		r->tied_since_us = 0;
	else if (r->tied_since_us == 0)
		r->tied_since_us = now;
}

/* For the next round of the monitor, or for a replica to come so far. Where the primary is lost one
 * would wait long in its queue; a link to the replica that has shown it all does so again once that
 * was heard of (pw_token_admits()). */
uint64_t pw_route_patience(const struct pw_client *c)
{
	struct pw_pool *pool = c->loan.pool;
	uint64_t wait = (uint64_t)pool->conf.reading.ryw_wait, rounds = 0;

	if (pw_pool_primary_is_lost(pool))
		rounds = LOST_ROUNDS;
	else if (pool->conf.reading.consistency == PW_CONSISTENCY_GLOBAL)
		rounds = 2;
	rounds *= (uint64_t)pool->cluster_conf.monitor_interval;
	wait = wait < rounds ? rounds : wait;
	rounds = is_to_pause(c) ? some_rounds(c) : 0;
	return wait < rounds ? rounds : wait;
}

uint64_t pw_route_patience_for_link(const struct pw_client *c)
{
	uint64_t wait = pw_route_patience(c), rounds = some_rounds(c);

	return wait < rounds ? rounds : wait;
}

bool pw_route_is_lost_for_long(struct pw_client *c, uint64_t limit)
{
	uint64_t now = c->clients->loop->now_us, *since_us = &c->route->lost_since_us;

	if (c->route->because != PW_ROUTE_LOST)
		return false;
	if (*since_us == 0)
		*since_us = now;
	return pw_clock_since(*since_us, now) >= limit;
}

/* SPDX-License-Identifier: PostgreSQL
 *
 * What the primary runs of reads for want of replicas (base/fair_limit.h): a link to it that is
 * lent for that has a place, from then on until nothing of its client's runs there any more.
 */
#include "config.h"

#include "pool_priv.h"

static uint64_t since_of(const struct pw_loan *loan)
{
	return loan->since_us > 0 ? loan->since_us : loan->pool->pools->loop->now_us;
}

static bool take_place(struct pw_link *link, const struct pw_loan *loan)
{
	struct pw_pool *pool = link->pool;

#ifdef PW_MUTANT_OVERFLOW_NOT_COUNTED
	return true;
#endif
	if (!pw_fair_limit_take(&pool->cluster->overflow, pool->cluster_conf.primary_overflow_max,
				since_of(loan), pool->pools->loop->now_us)) {
		pw_pools_try_again(pool->pools);
		return false;
	}
	link->overflow = &pool->cluster->overflow;
	return true;
}

/* Who waits for the primary and got a link on which it must not read would go to the primary's own
 * pool, where nobody counts. Who waits for a replica gets it, to find that it shows no longer what
 * the one before did.
 */
bool pw_overflow_admits(struct pw_link *link, const struct pw_loan *loan)
{
	struct pw_pool *pool = link->pool;
	bool is_of_primary;

	/* From one client to the next it is a place anew. */
	pw_link_end_overflow(link);
	if (!pw_pool_is_of_replicas(pool))
		return true;
	is_of_primary = pw_nodes_is_of_primary(link);
	if ((!is_of_primary && !loan->token) || pw_pool_has_replicas(pool))
		return true;
	if (is_of_primary)
		return take_place(link, loan);
	return pw_nodes_show(link, loan) || !pw_nodes_overflow(pool, loan);
}

bool pw_overflow_is_full(struct pw_pool *pool, const struct pw_loan *loan)
{
	int max = pool->cluster_conf.primary_overflow_max;

	if (max <= 0 || !pw_pool_is_of_replicas(pool) || !pw_nodes_overflow(pool, loan) ||
	    pw_fair_limit_has_room(&pool->cluster->overflow, max, since_of(loan),
				   pool->pools->loop->now_us))
		return false;
	pw_pools_try_again(pool->pools);
	return true;
}

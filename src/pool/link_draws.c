/* SPDX-License-Identifier: PostgreSQL
 *
 * Whose values of sequences a link has: what currval() and lastval() tell there is one loan's, or
 * nobody's. That loan finds its way back to the link as long as no other has drawn on it, whoever
 * else has read there meanwhile. What it has on any link but the last one that it has drawn on is
 * out of date, and counts as another's.
 */
#include "config.h"

#include "link_priv.h"
#include "pgweir/base/assert.h"
#include "pgweir/pool/objects.h"
#include "pool_priv.h"

bool pw_link_has_draws_of(const struct pw_link *link, const struct pw_loan *loan)
{
	return link->facts.drawer == loan->owner_id && link->facts.id == loan->drawn_on;
}

bool pw_link_has_foreign_draws(const struct pw_link *link)
{
	pw_assert(link->loan);
	return link->facts.drawer != 0 && !pw_link_has_draws_of(link, link->loan);
}

void pw_link_forget_draws(struct pw_link *link, uint64_t drawer)
{
	link->facts.drawer = drawer;
	link->pool->pools->link_ops->on_values_lost(link);
}

void pw_link_settle_draws(struct pw_link *link, bool has_drawn)
{
	/* A standby draws none. */
	if (!has_drawn || pw_nodes_is_of_standby(link))
		return;
	if (pw_link_has_foreign_draws(link)) {
		pw_link_forget_draws(link, PW_DRAWER_UNKNOWN);
		return;
	}
	link->facts.drawer = link->loan->owner_id;
	link->loan->drawn_on = link->facts.id;
}

/* SPDX-License-Identifier: PostgreSQL
 *
 * By compare-and-swap. Whoever is refused says so before it looks for the last time, and whoever
 * gives back looks afterwards: one of the two sees the other.
 */
#include "config.h"

#include "pgweir/base/limit.h"

#include "pgweir/base/assert.h"

static bool is_below(int used, int max)
{
#ifdef PW_MUTANT_SHARED_LIMIT_OFF_BY_ONE
	max += max > 0;
#endif
	return max <= 0 || used < max;
}

bool pw_limit_has_room(struct pw_limit *limit, int max)
{
	if (is_below(atomic_load(&limit->used), max))
		return true;
	/* Say so first, then look again: one given back in between is not missed. */
	if (!atomic_load(&limit->has_refused))
		atomic_store(&limit->has_refused, true);
	return is_below(atomic_load(&limit->used), max);
}

bool pw_limit_take(struct pw_limit *limit, int max)
{
	do {
		int used = atomic_load(&limit->used);

		while (is_below(used, max)) {
			if (atomic_compare_exchange_weak(&limit->used, &used, used + 1))
				return true;
		}
	} while (pw_limit_has_room(limit, max));
	return false;
}

bool pw_limit_give(struct pw_limit *limit)
{
	int before = atomic_fetch_sub(&limit->used, 1);

	pw_assert(before > 0);
	return atomic_exchange(&limit->has_refused, false);
}

int pw_limit_used(struct pw_limit *limit)
{
	return atomic_load(&limit->used);
}

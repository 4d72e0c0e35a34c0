/* SPDX-License-Identifier: PostgreSQL
 *
 * Who is refused says so first and then looks once more; who gives back, or leaves, looks whether
 * anybody was refused. So one of the two sees the other, as in base/limit.c.
 */
#include "config.h"

#include "pgweir/base/fair_limit.h"

static bool goes_first(struct pw_fair_limit *limit, uint64_t since_us, uint64_t now_us)
{
	uint64_t head_us = atomic_load(&limit->head_since_us);

	return head_us == 0 || since_us <= head_us + PW_FAIR_MARGIN_US ||
	       now_us > atomic_load(&limit->head_seen_us) + PW_FAIR_STALE_US;
}

static void note_head(struct pw_fair_limit *limit, int max, uint64_t since_us, uint64_t now_us)
{
	uint64_t head_us = atomic_load(&limit->head_since_us);

	while (head_us == 0 || since_us <= head_us ||
	       now_us > atomic_load(&limit->head_seen_us) + PW_FAIR_STALE_US) {
		if (!atomic_compare_exchange_weak(&limit->head_since_us, &head_us, since_us))
			continue;
		atomic_store(&limit->head_seen_us, now_us);
		atomic_store(&limit->head_max, max);
		return;
	}
}

static bool may_try(struct pw_fair_limit *limit, uint64_t since_us, uint64_t now_us)
{
	if (goes_first(limit, since_us, now_us))
		return true;
	atomic_store(&limit->taken.has_refused, true);
	return goes_first(limit, since_us, now_us);
}

bool pw_fair_limit_has_room(struct pw_fair_limit *limit, int max, uint64_t since_us,
			    uint64_t now_us)
{
	if (max <= 0)
		return true;
	if (!may_try(limit, since_us, now_us))
		return false;
	if (pw_limit_has_room(&limit->taken, max))
		return true;
	note_head(limit, max, since_us, now_us);
	return false;
}

bool pw_fair_limit_is_first(struct pw_fair_limit *limit, uint64_t since_us, uint64_t now_us)
{
	return goes_first(limit, since_us, now_us);
}

bool pw_fair_limit_has_spare(struct pw_fair_limit *limit, int max, uint64_t now_us)
{
	return max <= 0 ||
	       (goes_first(limit, now_us, now_us) && pw_limit_used(&limit->taken) < max);
}

uint64_t pw_fair_limit_awaited(struct pw_fair_limit *limit, uint64_t now_us)
{
	uint64_t head_us = atomic_load_explicit(&limit->head_since_us, memory_order_relaxed);

	return head_us > 0 && now_us <= atomic_load(&limit->head_seen_us) + PW_FAIR_STALE_US
		   ? head_us
		   : 0;
}

bool pw_fair_limit_take(struct pw_fair_limit *limit, int max, uint64_t since_us, uint64_t now_us)
{
	if (max > 0 && !may_try(limit, since_us, now_us))
		return false;
	if (!pw_limit_take(&limit->taken, max)) {
		note_head(limit, max, since_us, now_us);
		return false;
	}
	atomic_fetch_add_explicit(&limit->total, 1, memory_order_relaxed);
	return true;
}

bool pw_fair_limit_give(struct pw_fair_limit *limit)
{
	return pw_limit_give(&limit->taken);
}

/* False: it was not the head. */
static bool clear_head(struct pw_fair_limit *limit, uint64_t since_us)
{
	return since_us > 0 &&
	       atomic_load_explicit(&limit->head_since_us, memory_order_relaxed) == since_us &&
	       atomic_compare_exchange_strong(&limit->head_since_us, &since_us, 0);
}

bool pw_fair_limit_leave(struct pw_fair_limit *limit, uint64_t since_us)
{
	return clear_head(limit, since_us) && atomic_exchange(&limit->taken.has_refused, false);
}

bool pw_fair_limit_leave_full(struct pw_fair_limit *limit, uint64_t since_us)
{
	return clear_head(limit, since_us) &&
	       pw_limit_used(&limit->taken) < atomic_load(&limit->head_max) &&
	       atomic_exchange(&limit->taken.has_refused, false);
}

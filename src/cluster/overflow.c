/* SPDX-License-Identifier: PostgreSQL
 *
 * Who is refused says so first and then looks once more; who gives back, or leaves, looks whether
 * anybody was refused. So one of the two sees the other, as in base/limit.c.
 */
#include "config.h"

#include "pgweir/cluster/overflow.h"

static bool goes_first(struct pw_overflow *overflow, uint64_t since_us, uint64_t now_us)
{
	uint64_t head_us = atomic_load(&overflow->head_since_us);

	return head_us == 0 || since_us <= head_us + PW_OVERFLOW_MARGIN_US ||
	       now_us > atomic_load(&overflow->head_seen_us) + PW_OVERFLOW_STALE_US;
}

static void note_head(struct pw_overflow *overflow, uint64_t since_us, uint64_t now_us)
{
	uint64_t head_us = atomic_load(&overflow->head_since_us);
	uint64_t seen_us = atomic_load(&overflow->head_seen_us);

	while (head_us == 0 || since_us <= head_us || now_us > seen_us + PW_OVERFLOW_STALE_US) {
		if (!atomic_compare_exchange_weak(&overflow->head_since_us, &head_us, since_us))
			continue;
		atomic_store(&overflow->head_seen_us, now_us);
		return;
	}
}

static bool may_try(struct pw_overflow *overflow, uint64_t since_us, uint64_t now_us)
{
	if (goes_first(overflow, since_us, now_us))
		return true;
	atomic_store(&overflow->running.has_refused, true);
	return goes_first(overflow, since_us, now_us);
}

bool pw_overflow_has_room(struct pw_overflow *overflow, int max, uint64_t since_us, uint64_t now_us)
{
	if (max <= 0)
		return true;
	if (!may_try(overflow, since_us, now_us))
		return false;
	if (pw_limit_has_room(&overflow->running, max))
		return true;
	note_head(overflow, since_us, now_us);
	return false;
}

bool pw_overflow_take(struct pw_overflow *overflow, int max, uint64_t since_us, uint64_t now_us)
{
	if (max > 0 && !may_try(overflow, since_us, now_us))
		return false;
	if (!pw_limit_take(&overflow->running, max)) {
		note_head(overflow, since_us, now_us);
		return false;
	}
	atomic_fetch_add_explicit(&overflow->total, 1, memory_order_relaxed);
	return true;
}

bool pw_overflow_give(struct pw_overflow *overflow)
{
	return pw_limit_give(&overflow->running);
}

bool pw_overflow_leave(struct pw_overflow *overflow, uint64_t since_us)
{
	if (atomic_load_explicit(&overflow->head_since_us, memory_order_relaxed) != since_us ||
	    since_us == 0 ||
	    !atomic_compare_exchange_strong(&overflow->head_since_us, &since_us, 0))
		return false;
	return atomic_exchange(&overflow->running.has_refused, false);
}

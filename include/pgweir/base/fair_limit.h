/* SPDX-License-Identifier: PostgreSQL
 *
 * An exact count against a limit (base/limit.h) that is given out in the order of waiting, by all
 * threads together.
 *
 * Whoever is refused waits in a queue of its own and tries again when it is woken. Of several
 * queues the one whose first waiter has waited longest goes first: that one is noted here, for as
 * long as it goes on trying. Without a lock; any thread. All zeros at the beginning.
 */
#ifndef PGWEIR_BASE_FAIR_LIMIT_H
#define PGWEIR_BASE_FAIR_LIMIT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "pgweir/base/limit.h"

enum {
	/* Who has waited longer by less than this does not go first. */
	PW_FAIR_MARGIN_US = 2000,
	/* So often does whoever waits try at least ... */
	PW_FAIR_RETRY_US = 50 * 1000,
	/* ... and who has not for so long is not waited for: it may wait for something else by now.
	 */
	PW_FAIR_STALE_US = 200 * 1000,
};

struct pw_fair_limit {
	struct pw_limit taken;
	_Atomic uint64_t total; /* that have ever been taken */
	/* Of those that were refused, the one that waits longest: since when, and when it last
	 * tried; 0 = there is none. */
	_Atomic uint64_t head_since_us, head_seen_us;
	atomic_int head_max; /* which it was refused by */
};

/* Takes a place for who waits since then (`now_us`: has just come). False: it waits on. max 0 = no
 * limit, but it is counted. */
bool pw_fair_limit_take(struct pw_fair_limit *limit, int max, uint64_t since_us, uint64_t now_us);
/* Would there be one? No is a refusal too. */
bool pw_fair_limit_has_room(struct pw_fair_limit *limit, int max, uint64_t since_us,
			    uint64_t now_us);
/* Is it the turn of who waits since then, if there is one? No is not remembered. */
bool pw_fair_limit_is_first(struct pw_fair_limit *limit, uint64_t since_us, uint64_t now_us);
/* Is there one that nobody waits for? No is not remembered. */
bool pw_fair_limit_has_spare(struct pw_fair_limit *limit, int max, uint64_t now_us);
/* Since when the one waits that has waited longest of all that were refused; 0 = nobody does. */
uint64_t pw_fair_limit_awaited(struct pw_fair_limit *limit, uint64_t now_us);
/* True: wake all that wait. */
bool pw_fair_limit_give(struct pw_fair_limit *limit);
/* Who waited since then does so no longer, be it that it was given a place. True: as above. */
bool pw_fair_limit_leave(struct pw_fair_limit *limit, uint64_t since_us);
/* The same of who has taken none, and often leaves while there is none: true only if there is one.
 * Otherwise the next in turn is noted when it tries again by itself. */
bool pw_fair_limit_leave_full(struct pw_fair_limit *limit, uint64_t since_us);

#endif

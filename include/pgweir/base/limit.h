/* SPDX-License-Identifier: PostgreSQL
 *
 * An exact count against a limit, by all threads together, without a lock. Whoever is refused waits
 * in a queue of its own; whoever gives back learns that somebody does, and wakes all of them.
 *
 * Lies in its owner's object, all zeros at the beginning. Any thread.
 */
#ifndef PGWEIR_BASE_LIMIT_H
#define PGWEIR_BASE_LIMIT_H

#include <stdatomic.h>
#include <stdbool.h>

struct pw_limit {
	atomic_int used;
	atomic_bool has_refused; /* somebody waits for one to be given back */
};

/* max 0 = no limit. A refusal is remembered until the next pw_limit_give(). */
bool pw_limit_take(struct pw_limit *limit, int max);
/* Would it be given now? No is a refusal too. */
bool pw_limit_has_room(struct pw_limit *limit, int max);
/* True where somebody was refused since: wake them. */
bool pw_limit_give(struct pw_limit *limit);
int pw_limit_used(struct pw_limit *limit);

#endif

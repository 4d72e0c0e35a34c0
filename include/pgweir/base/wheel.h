/* SPDX-License-Identifier: PostgreSQL
 *
 * Hierarchical timer wheel: arming and disarming cost a few stores, so that every connection can
 * have its one timer. Resolution 1 << PW_WHEEL_TICK_BITS us (16 ms); a timer never fires early.
 * A timer lies inside its owner's object. One thread.
 */
#ifndef PGWEIR_BASE_WHEEL_H
#define PGWEIR_BASE_WHEEL_H

#include <stdbool.h>
#include <stdint.h>

#include "pgweir/base/list.h"

enum {
	PW_WHEEL_TICK_BITS = 14,
	PW_WHEEL_SLOT_BITS = 6,
	PW_WHEEL_SLOTS = 1 << PW_WHEEL_SLOT_BITS,
	PW_WHEEL_LEVELS = 6,
};

struct pw_timer;
typedef void pw_timer_fire(struct pw_timer *timer);

struct pw_timer {
	struct pw_list node; /* in a slot while armed */
	uint64_t due_tick;
	pw_timer_fire *fire;
};

struct pw_wheel {
	struct pw_list slots[PW_WHEEL_LEVELS][PW_WHEEL_SLOTS];
	uint64_t tick; /* the last tick that was run */
};

void pw_wheel_init(struct pw_wheel *wheel, uint64_t now_us);
void pw_timer_init(struct pw_timer *timer, pw_timer_fire *fire);
bool pw_timer_is_armed(const struct pw_timer *timer);
/* (Re-)arms: fires once `after_us` from `now_us` have passed. */
void pw_timer_arm(struct pw_wheel *wheel, struct pw_timer *timer, uint64_t now_us,
		  uint64_t after_us);
void pw_timer_disarm(struct pw_timer *timer);
/* Fires all that is due. A callback may arm and disarm any timer. */
void pw_wheel_advance(struct pw_wheel *wheel, uint64_t now_us);

#endif

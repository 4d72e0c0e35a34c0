/* SPDX-License-Identifier: PostgreSQL
 *
 * Level 0 has one slot per tick; each level above is PW_WHEEL_SLOTS times coarser. When level 0
 * wraps, the next slot of level 1 is spread over it, and so on upwards.
 */
#include "config.h"

#include "pgweir/base/wheel.h"

static uint64_t tick_of(uint64_t us)
{
	return us >> PW_WHEEL_TICK_BITS;
}

void pw_wheel_init(struct pw_wheel *wheel, uint64_t now_us)
{
	for (int level = 0; level < PW_WHEEL_LEVELS; level++) {
		for (int slot = 0; slot < PW_WHEEL_SLOTS; slot++)
			pw_list_init(&wheel->slots[level][slot]);
	}
	wheel->tick = tick_of(now_us);
}

void pw_timer_init(struct pw_timer *timer, pw_timer_fire *fire)
{
	pw_list_init(&timer->node);
	timer->due_tick = 0;
	timer->fire = fire;
}

bool pw_timer_is_armed(const struct pw_timer *timer)
{
	return !pw_list_is_empty(&timer->node);
}

static void place_timer(struct pw_wheel *wheel, struct pw_timer *timer)
{
	uint64_t distance = timer->due_tick - wheel->tick;
	int level = 0;
	uint64_t slot;

	while (level < PW_WHEEL_LEVELS - 1 && distance >= UINT64_C(1)
							      << (PW_WHEEL_SLOT_BITS * (level + 1)))
		level++;
	slot = (timer->due_tick >> (PW_WHEEL_SLOT_BITS * level)) & (PW_WHEEL_SLOTS - 1);
	pw_list_append(&wheel->slots[level][slot], &timer->node);
}

void pw_timer_arm(struct pw_wheel *wheel, struct pw_timer *timer, uint64_t now_us,
		  uint64_t after_us)
{
	const uint64_t far_tick = (UINT64_C(1) << (PW_WHEEL_SLOT_BITS * PW_WHEEL_LEVELS)) - 1;

	pw_list_remove(&timer->node);
	timer->due_tick = tick_of(now_us + after_us) + 1;
	if (timer->due_tick <= wheel->tick)
		timer->due_tick = wheel->tick + 1;
	if (timer->due_tick - wheel->tick > far_tick)
		timer->due_tick = wheel->tick + far_tick;
	place_timer(wheel, timer);
}

void pw_timer_disarm(struct pw_timer *timer)
{
	pw_list_remove(&timer->node);
}

/* Moves the timers of the slot that `tick` has reached one level down. */
static void cascade(struct pw_wheel *wheel, int level, uint64_t tick)
{
	uint64_t slot = (tick >> (PW_WHEEL_SLOT_BITS * level)) & (PW_WHEEL_SLOTS - 1);
	struct pw_list *head = &wheel->slots[level][slot], *node;
	struct pw_list moved;

	pw_list_init(&moved);
	while ((node = pw_list_first(head))) {
		pw_list_remove(node);
		pw_list_append(&moved, node);
	}
	while ((node = pw_list_first(&moved))) {
		pw_list_remove(node);
		place_timer(wheel, PW_CONTAINER(node, struct pw_timer, node));
	}
}

static void run_tick(struct pw_wheel *wheel)
{
	struct pw_list *head, *node;

	for (int level = 1; level < PW_WHEEL_LEVELS; level++) {
		uint64_t below = (UINT64_C(1) << (PW_WHEEL_SLOT_BITS * level)) - 1;

		if ((wheel->tick & below) != 0)
			break;
		cascade(wheel, level, wheel->tick);
	}
	head = &wheel->slots[0][wheel->tick & (PW_WHEEL_SLOTS - 1)];
	while ((node = pw_list_first(head))) {
		struct pw_timer *timer = PW_CONTAINER(node, struct pw_timer, node);

		pw_list_remove(node);
		timer->fire(timer);
	}
}

void pw_wheel_advance(struct pw_wheel *wheel, uint64_t now_us)
{
	uint64_t until = tick_of(now_us);

	while (wheel->tick < until) {
		wheel->tick++;
		run_tick(wheel);
	}
}

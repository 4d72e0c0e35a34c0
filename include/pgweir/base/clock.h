/* SPDX-License-Identifier: PostgreSQL
 *
 * Time. Monotonic microseconds for every duration; wall time only to show it. Any thread.
 */
#ifndef PGWEIR_BASE_CLOCK_H
#define PGWEIR_BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

#define PW_SECOND_US      UINT64_C(1000000)
#define PW_MILLISECOND_US UINT64_C(1000)

/* Where time enters: tests put a clock of their own in its place. */
struct pw_clock {
	uint64_t (*now_us)(const struct pw_clock *clock);
};

extern const struct pw_clock pw_clock_system;

/* CLOCK_MONOTONIC in microseconds; never 0. */
uint64_t pw_clock_now_us(void);
/* How long ago `then` was; 0 where it lies ahead. A worker's clock is read once in a while, so what
 * another worker has noted may be later than its own now. */
static inline uint64_t pw_clock_since(uint64_t then, uint64_t now_us)
{
	return now_us > then ? now_us - then : 0;
}

/* CLOCK_REALTIME in microseconds since 1970. */
uint64_t pw_clock_wall_us(void);

/* "2026-01-31 23:59:59 CET", local time, whole seconds: what SHOW prints. */
void pw_clock_format(uint64_t wall_us, char *out, size_t size);

#endif

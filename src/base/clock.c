/* SPDX-License-Identifier: PostgreSQL
 *
 * Both clocks by clock_gettime(2), and local time for people.
 */
#include "config.h"

#include "pgweir/base/clock.h"

#include <time.h>

#include "pgweir/base/status.h"

static uint64_t read_clock(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * PW_SECOND_US + (uint64_t)ts.tv_nsec / 1000;
}

static uint64_t system_now_us(const struct pw_clock *clock PW_UNUSED)
{
	return pw_clock_now_us();
}

const struct pw_clock pw_clock_system = {.now_us = system_now_us};

uint64_t pw_clock_now_us(void)
{
	return read_clock(CLOCK_MONOTONIC) + 1;
}

uint64_t pw_clock_wall_us(void)
{
	return read_clock(CLOCK_REALTIME);
}

void pw_clock_format(uint64_t wall_us, char *out, size_t size)
{
	time_t seconds = (time_t)(wall_us / PW_SECOND_US);
	struct tm tm;

	localtime_r(&seconds, &tm);
	if (strftime(out, size, "%Y-%m-%d %H:%M:%S %Z", &tm) == 0 && size > 0)
		out[0] = '\0';
}

/* SPDX-License-Identifier: PostgreSQL
 *
 * The service manager's notifications by libsystemd, which finds the socket in NOTIFY_SOCKET. That
 * a message is lost is no reason to do anything else: results are ignored.
 */
#include "config.h"

#include "notify.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#ifdef HAVE_SYSTEMD
#include <systemd/sd-daemon.h>
#endif

#include "pgweir/base/clock.h"

enum { STATUS_SIZE = 512 };

static void tell(const char *state)
{
#ifdef HAVE_SYSTEMD
	(void)sd_notify(0, state);
#else
	(void)state;
#endif
}

void pw_notify_ready(void)
{
	tell("READY=1");
}

void pw_notify_reloading(void)
{
	char state[64];

	/* The time tells the manager which of two crossing messages is the newer one. */
	snprintf(state, sizeof(state), "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, pw_clock_now_us());
	tell(state);
}

void pw_notify_stopping(void)
{
	tell("STOPPING=1");
}

void pw_notify_status(const char *fmt, ...)
{
	char state[STATUS_SIZE] = "STATUS=";
	size_t head = sizeof("STATUS=") - 1;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(state + head, sizeof(state) - head, fmt, ap);
	va_end(ap);
	/* A further line would be a further message. */
	for (char *c = state; *c; c++) {
		if ((unsigned char)*c < ' ')
			*c = ' ';
	}
	tell(state);
}

void pw_notify_watchdog(void)
{
	tell("WATCHDOG=1");
}

uint64_t pw_notify_watchdog_interval_us(void)
{
#ifdef HAVE_SYSTEMD
	uint64_t interval_us = 0;

	return sd_watchdog_enabled(0, &interval_us) > 0 ? interval_us : 0;
#else
	return 0;
#endif
}

/* SPDX-License-Identifier: PostgreSQL
 *
 * What the service manager is told (sd_notify(3)). Nothing happens where it does not listen, or
 * where pgweir is built without systemd. Any thread.
 */
#ifndef PGWEIR_MAIN_NOTIFY_H
#define PGWEIR_MAIN_NOTIFY_H

#include <stdint.h>

#include "pgweir/base/status.h"

/* Start-up, or a reload, is done. */
void pw_notify_ready(void);
/* A reload begins; pw_notify_ready() must follow, also when it fails. */
void pw_notify_reloading(void);
/* A shutdown begins. */
void pw_notify_stopping(void);
/* One line for `systemctl status`. */
void pw_notify_status(const char *fmt, ...) PW_PRINTF(1, 2);
/* We are alive: to be said at least twice in the interval. */
void pw_notify_watchdog(void);
/* In which time pw_notify_watchdog() is expected; 0 = not at all. */
uint64_t pw_notify_watchdog_interval_us(void);

#endif

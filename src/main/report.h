/* SPDX-License-Identifier: PostgreSQL
 *
 * What pgweir says of itself unasked, at intervals: statistics, status, watchdog. Main thread.
 */
#ifndef PGWEIR_MAIN_REPORT_H
#define PGWEIR_MAIN_REPORT_H

#include "process.h"

/* Goes on until the loop ends. */
void pw_report_start(struct pw_process *process);

#endif

/* SPDX-License-Identifier: PostgreSQL
 *
 * The signals that pgweir obeys, taken in by the main thread's loop.
 */
#ifndef PGWEIR_MAIN_SIGNALS_H
#define PGWEIR_MAIN_SIGNALS_H

#include "process.h"

/* Before any other thread is there: all of them inherit that the signals are blocked. On failure
 * pw_signals_stop() cleans up. */
PW_MUSTCHECK enum pw_status pw_signals_start(struct pw_process *process);
void pw_signals_stop(struct pw_process *process);

#endif

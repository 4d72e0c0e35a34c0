/* SPDX-License-Identifier: PostgreSQL
 *
 * The end of the process: at once, or when the last client or server connection is gone. Main
 * thread.
 */
#ifndef PGWEIR_MAIN_SHUTDOWN_H
#define PGWEIR_MAIN_SHUTDOWN_H

#include "asker.h"

void pw_shutdown_init(struct pw_process *process);
/* `life` says what is waited for; PW_LIFE_OVER = nothing. No login is let in from now on. The asker
 * hears that it has begun. */
void pw_shutdown_begin(struct pw_process *process, const struct pw_asker *asker, enum pw_life life);
/* The loop ends with this turn. */
void pw_shutdown_now(struct pw_process *process);

#endif

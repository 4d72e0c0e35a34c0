/* SPDX-License-Identifier: PostgreSQL
 *
 * Reading the configuration again, while the process runs. Main thread.
 */
#ifndef PGWEIR_MAIN_RELOAD_H
#define PGWEIR_MAIN_RELOAD_H

#include "asker.h"

/* Puts a new snapshot in force and has every worker swap; the asker hears when all have, or that
 * it failed (why is in the log). The log file is opened anew in any case. */
void pw_reload_run(struct pw_process *process, const struct pw_asker *asker);

#endif

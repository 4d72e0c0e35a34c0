/* SPDX-License-Identifier: PostgreSQL
 *
 * What operators command. The asker hears of the end, or why not. Main thread.
 */
#ifndef PGWEIR_MAIN_CONTROL_H
#define PGWEIR_MAIN_CONTROL_H

#include "asker.h"

void pw_control_run(struct pw_process *process, const struct pw_asker *asker,
		    const struct pw_commanded *what);
/* The rows of all workers, as far as they answer within a second. */
void pw_control_show(struct pw_process *process, const struct pw_asker *asker,
		     const struct pw_view *view);

#endif

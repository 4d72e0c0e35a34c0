/* SPDX-License-Identifier: PostgreSQL
 *
 * Clients that keep their server connections between transactions, where a command has to wait for
 * them, or cannot reach what they keep: the operator is told. Main thread.
 */
#ifndef PGWEIR_MAIN_PINNED_H
#define PGWEIR_MAIN_PINNED_H

#include "asker.h"

/* How many there are in the database (NULL = in all). */
unsigned pw_pinned_count(struct pw_process *process, const char *db);
/* If there are any, the log and a notice on the console that asks say so: `what` and their number.
 */
void pw_pinned_tell(struct pw_process *process, const struct pw_asker *asker, const char *db,
		    const char *what);

#endif

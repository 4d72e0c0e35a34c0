/* SPDX-License-Identifier: PostgreSQL
 *
 * Consoles that PAUSE keeps waiting until the last server is released. Main thread.
 */
#ifndef PGWEIR_MAIN_PAUSE_H
#define PGWEIR_MAIN_PAUSE_H

#include "asker.h"

void pw_pause_init(struct pw_process *process);
/* Idle servers of the database (NULL = all; copied) are closed, which must not be lent any more;
 * the asker hears of it when the last one in use is free. */
void pw_pause_begin(struct pw_process *process, const struct pw_asker *asker, const char *db);
/* Whoever waits for a PAUSE of the database (NULL = of all; those of single ones stand beside it)
 * to take hold is refused: servers may still be in use. */
void pw_pause_end(struct pw_process *process, const char *db);
/* Forgets who waits. Harmless without pw_pause_init(). */
void pw_pause_fini(struct pw_process *process);

#endif

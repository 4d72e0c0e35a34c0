/* SPDX-License-Identifier: PostgreSQL
 *
 * Consoles that PAUSE keeps waiting until the last server is released. Main thread.
 */
#ifndef PGWEIR_MAIN_PAUSE_H
#define PGWEIR_MAIN_PAUSE_H

#include "asker.h"

void pw_pause_init(struct pw_process *process);
/* Servers of the database (NULL = all; copied) are not lent any more, for which `is_paused` is set,
 * and idle ones are closed; the asker hears of it when the last one in use is free. Without memory
 * the asker is refused and nothing is paused. */
void pw_pause_begin(struct pw_process *process, const struct pw_asker *asker, const char *db,
		    atomic_bool *is_paused);
/* Whoever waits for a PAUSE of the database (NULL = of all; those of single ones stand beside it)
 * to take hold is refused: servers may still be in use. */
void pw_pause_end(struct pw_process *process, const char *db);
/* Forgets who waits. Harmless without pw_pause_init(). */
void pw_pause_fini(struct pw_process *process);

#endif

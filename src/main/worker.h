/* SPDX-License-Identifier: PostgreSQL
 *
 * The workers' threads. A worker is made and ended by the main thread; what runs in between is
 * its own thread's, and is asked for by mail.
 */
#ifndef PGWEIR_MAIN_WORKER_H
#define PGWEIR_MAIN_WORKER_H

#include "process.h"

/* Ready to get mail; PW_ENOMEM leaves nothing behind that the end of the process would miss. */
PW_MUSTCHECK enum pw_status pw_worker_init(struct pw_worker *worker, struct pw_process *process,
					   unsigned index);
/* PW_EIO: the system gives no thread. */
PW_MUSTCHECK enum pw_status pw_worker_start(struct pw_worker *worker);
/* Asks it to stop and waits for its thread; one that never ran is left as it is. */
void pw_worker_stop(struct pw_worker *worker);
/* When all threads have ended. */
void pw_worker_fini(struct pw_worker *worker);

#endif

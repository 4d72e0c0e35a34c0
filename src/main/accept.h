/* SPDX-License-Identifier: PostgreSQL
 *
 * Accepting connections and dealing them out to the workers. All on worker 0's thread while that
 * runs, else on the main thread.
 */
#ifndef PGWEIR_MAIN_ACCEPT_H
#define PGWEIR_MAIN_ACCEPT_H

#include "process.h"

/* Watches what process->listen has open. PW_ENOMEM: pw_accept_stop() cleans up. */
PW_MUSTCHECK enum pw_status pw_accept_start(struct pw_process *process);
/* Leaves the unix socket: the console can be reached until the end. */
void pw_accept_stop_tcp(struct pw_process *process);
/* Closes all of process->listen. Twice is harmless. */
void pw_accept_stop(struct pw_process *process);

#endif

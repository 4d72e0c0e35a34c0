/* SPDX-License-Identifier: PostgreSQL
 *
 * The monitor's thread (cluster/monitor.h), which is there once a configuration has clusters.
 */
#ifndef PGWEIR_MAIN_WATCH_H
#define PGWEIR_MAIN_WATCH_H

#include "asker.h"
#include "pgweir/cluster/order.h"
#include "process.h"

/* Watches the clusters of the snapshot from now on; starts the thread if there is none and it is
 * needed. PW_ENOMEM, PW_EIO: then nothing new is watched. Main thread. */
PW_MUSTCHECK enum pw_status pw_watch_clusters(struct pw_process *process,
					      struct pw_snapshot *snapshot);
/* The monitor does it, or says why not. The asker hears of it when all workers go by it: where a
 * node was banned none has a connection to it any more. Main thread. */
void pw_watch_order(struct pw_process *process, const struct pw_asker *asker,
		    const struct pw_order *order);
/* Waits for the thread's end. Before the workers are freed, to which it posts. */
void pw_watch_stop(struct pw_process *process);

#endif

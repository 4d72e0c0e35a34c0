/* SPDX-License-Identifier: PostgreSQL
 *
 * The process: what all threads share, what the main thread has, and the workers. Types only; what
 * is done with them is in the files that the fields name.
 *
 * struct pw_process is made by main() before any thread and outlives all of them. Fields without
 * another word are set before the workers start and do not change.
 */
#ifndef PGWEIR_MAIN_PROCESS_H
#define PGWEIR_MAIN_PROCESS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "daemon.h"
#include "listen.h"
#include "options.h"
#include "pgweir/admin/console.h"
#include "pgweir/client/client.h"
#include "pgweir/net/loop.h"
#include "pgweir/net/mailbox.h"
#include "pgweir/net/resolver.h"
#include "pgweir/pool/pool.h"

struct pw_process;
struct pw_watcher;

/* worker.c; but for the thread and the mailbox, the worker's own thread's. */
struct pw_worker {
	struct pw_process *process;
	unsigned index; /* in process->workers */
	pthread_t thread;
	bool has_thread;
	struct pw_loop loop;
	struct pw_mailbox mailbox;
	struct pw_mail stop;  /* stopping needs no memory: nobody may run on without it */
	atomic_uint n_coming; /* sockets that are on their way to it by mail */
	struct pw_pools pools;
	struct pw_clients clients;
	struct pw_console_actions actions;
	struct pw_client_peers peers;
};

enum pw_life { PW_LIFE_RUNNING, PW_LIFE_WAIT_FOR_CLIENTS, PW_LIFE_WAIT_FOR_SERVERS, PW_LIFE_OVER };

struct pw_process {
	struct pw_options options;
	struct pw_log log;
	struct pw_logctx logctx;
	struct pw_hash_key hash_key;
	uint8_t mock_secret[32];
	struct pw_tracked tracked;
	struct pw_registry registry;
	struct pw_resolver *resolver;
	struct pw_clusters clusters;
	struct pw_worker *workers;
	struct pw_pools **peers;
	struct pw_hubs **hubs;
	unsigned n_workers;
	char version_line[64];

	/* worker 0's while it runs: accept.c */
	struct pw_listen listen;
	struct event **listen_events; /* one per listener, NULL = closed */
	struct pw_timer accept_pause;

	/* the main thread's */
	struct pw_loop loop;
	struct pw_mailbox mailbox;
	struct pw_snapshot *snapshot;
	struct pw_daemon daemon;
	/* signals.c */
	int signal_fd; /* a signalfd, while there is the event */
	struct event *signal_event;
	struct pw_watcher *watcher; /* watch.c; NULL = no configuration has had clusters */
	/* shutdown.c */
	enum pw_life life;
	struct pw_timer end_poll; /* is the last one gone? */
	bool is_counting;         /* such a round is under way */
	/* pause.c */
	struct pw_timer pause_poll;
	struct pw_list pauses; /* consoles that PAUSE keeps waiting */
	uint64_t last_waiter_id;
	/* report.c */
	struct pw_timer report, watchdog;
	struct pw_counters reported; /* as of the last line of statistics */
	uint64_t reported_us;
};

#endif

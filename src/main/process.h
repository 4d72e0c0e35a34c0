/* SPDX-License-Identifier: PostgreSQL
 *
 * The process: what all threads share, the main thread's loop, and the workers.
 *
 * struct pw_process is made by main() before any thread and outlives all of them. Fields without
 * another word are set before the workers start and do not change; the rest belongs to the main
 * thread.
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
struct pw_round;

struct pw_worker {
	struct pw_process *process;
	unsigned index;
	pthread_t thread;
	bool has_thread;
	struct pw_loop loop;
	struct pw_mailbox mailbox;
	struct pw_pools pools;
	struct pw_clients clients;
	struct pw_console_actions actions;
	struct pw_client_peers peers;
};

enum pw_life { PW_LIFE_RUNNING, PW_LIFE_WAIT_FOR_CLIENTS, PW_LIFE_WAIT_FOR_SERVERS, PW_LIFE_OVER };

/* A console that PAUSE keeps waiting until the last server is released. */
struct pw_pause_waiter {
	struct pw_list node;
	unsigned worker;
	uint64_t asker;
	char *db; /* NULL = all */
};

struct pw_process {
	struct pw_options options;
	struct pw_log log;
	struct pw_logctx logctx;
	struct pw_hash_key hash_key;
	uint8_t mock_secret[32];
	struct pw_tracked tracked;
	struct pw_registry registry;
	struct pw_resolver *resolver;
	struct pw_worker *workers;
	struct pw_pools **peers;
	unsigned n_workers;
	char version_line[64];

	/* the main thread's */
	struct pw_loop loop;
	struct pw_mailbox mailbox;
	struct pw_snapshot *snapshot;
	struct pw_listen listen;
	struct pw_daemon daemon;
	struct event **listen_events; /* one per listener, NULL = closed */
	struct event *signal_events[8];
	unsigned next_worker;
	enum pw_life life;
	struct pw_timer poll; /* is a shutdown or a PAUSE done? */
	struct pw_timer accept_pause;
	struct pw_list pauses; /* struct pw_pause_waiter */
	bool is_polling;       /* a round of counting is under way */
	struct pw_timer report, watchdog;
	struct pw_counters reported; /* as of the last line of statistics */
	uint64_t reported_us;
};

/* ---- worker.c ---- */
PW_MUSTCHECK enum pw_status pw_worker_init(struct pw_worker *worker, struct pw_process *process,
					   unsigned index);
PW_MUSTCHECK enum pw_status pw_worker_start(struct pw_worker *worker);
/* Asks it to stop and waits for its thread. */
void pw_worker_stop(struct pw_worker *worker);
void pw_worker_fini(struct pw_worker *worker);
/* Main thread: an accepted socket for the worker. False: no memory, the socket is closed. */
bool pw_worker_give_socket(struct pw_worker *worker, int fd, const struct pw_addr *addr);

/* ---- round.c: one question to all workers ---- */
enum pw_round_kind {
	PW_ROUND_SWAP,       /* take over process->snapshot */
	PW_ROUND_CLOSE_IDLE, /* PAUSE */
	PW_ROUND_SERVE,      /* RESUME */
	PW_ROUND_DROP,       /* KILL */
	PW_ROUND_RECONNECT,
	PW_ROUND_KILL_CLIENT,
	PW_ROUND_COUNT,
	PW_ROUND_SHUT, /* no new logins; with is_draining also no new queries */
	PW_ROUND_COLLECT,
};

/* The main thread's; each worker fills its own answer. */
struct pw_round {
	enum pw_round_kind kind;
	struct pw_process *process;
	unsigned missing;   /* answers that are still to come */
	bool *has_answered; /* per worker */
	bool is_over;       /* done was called: late answers are dropped */
	struct pw_timer timer;
	void (*done)(struct pw_round *round);

	/* the question */
	char *db;
	uint64_t client_id;
	bool is_draining;
	struct pw_snapshot *snapshot; /* a reference */
	const struct pw_view *view;
	/* the sum of the answers */
	unsigned n_clients, n_links, n_busy;
	bool was_found;
	struct pw_counters counters;
	struct pw_rows rows;
	/* who is to be told */
	unsigned worker;
	uint64_t asker;
	enum pw_command command;
};

/* NULL without memory. */
struct pw_round *pw_round_create(struct pw_process *process, enum pw_round_kind kind,
				 void (*done)(struct pw_round *round));
/* Posts it to all workers (or, for views that one gathers for all, to the first); `done` is called
 * once, when all have answered or limit_us (0 = none) have passed. The round is then freed. */
void pw_round_start(struct pw_round *round, uint64_t limit_us);

/* ---- control.c: what commands and signals do; main thread ---- */
void pw_control_init(struct pw_process *process);
void pw_control_run(struct pw_process *process, unsigned worker, uint64_t asker,
		    enum pw_command command, const char *name);
void pw_control_collect(struct pw_process *process, unsigned worker, uint64_t asker,
			const struct pw_view *view);
/* PW_OK, or why it failed is in the log. */
PW_MUSTCHECK enum pw_status pw_control_reload(struct pw_process *process);
void pw_control_on_signal(struct pw_process *process, int signal);

/* ---- report.c ---- */
void pw_report_start(struct pw_process *process);

/* ---- accept.c ---- */
PW_MUSTCHECK enum pw_status pw_accept_start(struct pw_process *process);
void pw_accept_stop_tcp(struct pw_process *process);
void pw_accept_stop(struct pw_process *process);

#endif

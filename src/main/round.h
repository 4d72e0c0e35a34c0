/* SPDX-License-Identifier: PostgreSQL
 *
 * A round: one question of the main thread to all workers. Main thread, but that each worker
 * reads the question and fills its own answer.
 */
#ifndef PGWEIR_MAIN_ROUND_H
#define PGWEIR_MAIN_ROUND_H

#include "asker.h"
#include "process.h"

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

struct pw_round_mail;

/* The main thread's; each worker fills its own answer. */
struct pw_round {
	enum pw_round_kind kind;
	struct pw_process *process;
	unsigned missing;            /* answers that are still to come */
	struct pw_round_mail *mails; /* per worker */
	bool *has_answered;          /* per worker */
	bool is_over;                /* done was called: late answers are dropped */
	struct pw_timer timer;
	void (*done)(struct pw_round *round);

	/* the question */
	char *db;
	uint64_t client_id;
	uint64_t waiter_id; /* pause.c: for whom it counts */
	bool is_draining;
	struct pw_snapshot *snapshot; /* a reference */
	const struct pw_view *view;
	/* the sum of the answers */
	unsigned n_clients, n_links, n_busy;
	bool was_found;
	struct pw_counters counters;
	struct pw_rows rows;
	struct pw_asker asker; /* whom it is on behalf of */
};

/* On behalf of `asker`, who is refused where there is no memory (then NULL); NULL = nobody's. `db`
 * (copied) is what PW_ROUND_CLOSE_IDLE, _SERVE, _DROP, _RECONNECT and _COUNT are limited to, NULL =
 * all. Other parts of the question are filled in by the caller. */
struct pw_round *pw_round_create(struct pw_process *process, const struct pw_asker *asker,
				 enum pw_round_kind kind, const char *db,
				 void (*done)(struct pw_round *round));
/* Posts it to all workers (or, for views that one gathers for all, to the first); `done` is called
 * once, when all have answered or limit_us (0 = none) have passed. The round is then freed. */
void pw_round_start(struct pw_round *round, uint64_t limit_us);
/* Both at once, for a round that waits for all workers and asks nothing more. */
void pw_round_run(struct pw_process *process, const struct pw_asker *asker, enum pw_round_kind kind,
		  const char *db, void (*done)(struct pw_round *round));

/* Two `done` functions: the asker hears that it is done; or there is nothing to be said. */
void pw_round_tell_done(struct pw_round *round);
void pw_round_say_nothing(struct pw_round *round);

#endif

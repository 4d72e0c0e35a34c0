/* SPDX-License-Identifier: PostgreSQL
 *
 * Waiting for a PAUSE to take hold: as long as somebody waits, servers in use are counted.
 */
#include "config.h"

#include "pause.h"

#include <stdlib.h>
#include <string.h>

#include "pinned.h"
#include "round.h"

enum { POLL_US = 100 * 1000, SAY_US = 10 * 1000 * 1000 };

struct waiter {
	struct pw_list node;
	struct pw_asker asker;
	char *db; /* NULL = all */
	/* A count that was begun for an earlier PAUSE says nothing about this one. */
	uint64_t id;
	bool is_counting;   /* such a round is under way */
	uint64_t silent_us; /* since when the log has said nothing of it */
};

static void free_waiter(struct waiter *w)
{
	pw_list_remove(&w->node);
	free(w->db);
	free(w);
}

static void arm_poll(struct pw_process *process)
{
	if (!pw_timer_is_armed(&process->pause_poll))
		pw_loop_arm(&process->loop, &process->pause_poll, POLL_US);
}

/* NULL = it waits no more. */
static struct waiter *find_waiter(struct pw_process *process, uint64_t id)
{
	PW_LIST_FOREACH (node, &process->pauses) {
		struct waiter *w = PW_CONTAINER(node, struct waiter, node);

		if (w->id == id)
			return w;
	}
	return NULL;
}

/* Somebody waits, and cannot see for whom. */
static void say_who_is_missing(struct pw_process *process, struct waiter *w, unsigned n_busy)
{
	if (pw_clock_since(w->silent_us, process->loop.now_us) < SAY_US)
		return;
	w->silent_us = process->loop.now_us;
	pw_log_info(&process->logctx,
		    "PAUSE%s%s waits: servers in use: %u, pinned clients: %u (SHOW SERVERS and "
		    "SHOW PINS list them)",
		    w->db ? " of " : "", w->db ? w->db : "", n_busy,
		    pw_pinned_count(process, w->db));
}

static void after_count(struct pw_round *round)
{
	struct waiter *w = find_waiter(round->process, round->waiter_id);

	if (!w)
		return;
	w->is_counting = false;
	if (round->n_busy > 0) {
		say_who_is_missing(round->process, w, round->n_busy);
		return;
	}
	pw_asker_tell(round->process, &w->asker, NULL);
	free_waiter(w);
}

static void count_for(struct pw_process *process, struct waiter *w)
{
	struct pw_round *round = pw_round_create(process, NULL, PW_ROUND_COUNT, w->db, after_count);

	/* Without memory the next poll tries again. */
	if (!round)
		return;
	round->waiter_id = w->id;
	w->is_counting = true;
	pw_round_start(round, 0);
}

static void on_poll(struct pw_timer *timer)
{
	struct pw_process *process = PW_CONTAINER(timer, struct pw_process, pause_poll);

	PW_LIST_FOREACH (node, &process->pauses) {
		struct waiter *w = PW_CONTAINER(node, struct waiter, node);

		if (!w->is_counting)
			count_for(process, w);
	}
	if (!pw_list_is_empty(&process->pauses))
		arm_poll(process);
}

static struct waiter *create_waiter(struct pw_process *process, const struct pw_asker *asker,
				    const char *db)
{
	struct waiter *w = calloc(1, sizeof(*w));

	if (w && db)
		w->db = strdup(db);
	if (!w || (db && !w->db)) {
		free(w);
		return NULL;
	}
	w->asker = *asker;
	w->id = ++process->last_waiter_id;
	w->silent_us = process->loop.now_us;
	pw_list_init(&w->node);
	return w;
}

void pw_pause_begin(struct pw_process *process, const struct pw_asker *asker, const char *db,
		    atomic_bool *is_paused)
{
	struct waiter *w = asker->id != 0 ? create_waiter(process, asker, db) : NULL;
	struct pw_round *round;

	if (asker->id != 0 && !w) {
		pw_asker_refuse(process, asker, "%s", "out of memory");
		return;
	}
	round = pw_round_create(process, asker, PW_ROUND_CLOSE_IDLE, db, pw_round_say_nothing);
	if (!round) {
		if (w)
			free_waiter(w);
		return;
	}
	atomic_store(is_paused, true);
	pw_round_start(round, 0);
	if (!w)
		return;
	pw_list_append(&process->pauses, &w->node);
	arm_poll(process);
}

void pw_pause_end(struct pw_process *process, const char *db)
{
	PW_LIST_FOREACH_SAFE (node, &process->pauses) {
		struct waiter *w = PW_CONTAINER(node, struct waiter, node);
		bool is_same = db && w->db ? strcmp(db, w->db) == 0 : db == w->db;

		if (!is_same)
			continue;
		pw_asker_refuse(process, &w->asker, "%s was ended by RESUME", "PAUSE");
		free_waiter(w);
	}
}

void pw_pause_init(struct pw_process *process)
{
	pw_list_init(&process->pauses);
	pw_timer_init(&process->pause_poll, on_poll);
}

void pw_pause_fini(struct pw_process *process)
{
	while (process->pauses.next && !pw_list_is_empty(&process->pauses))
		free_waiter(PW_CONTAINER(pw_list_first(&process->pauses), struct waiter, node));
}

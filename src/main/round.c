/* SPDX-License-Identifier: PostgreSQL
 *
 * A round: the main thread asks every worker the same and adds up the answers. A worker that does
 * not answer in time is named; its late answer finds the round over, and the last answer frees it.
 */
#include "config.h"

#include "round.h"

#include <stdlib.h>
#include <string.h>

#include "accept.h"

/* One for each worker, in the round, so that none can be missing when the round begins. */
struct pw_round_mail {
	struct pw_mail mail;
	struct pw_round *round; /* only the main thread looks into it, but for the question */
	struct pw_worker *worker;
	unsigned n_clients, n_links, n_busy;
	bool was_found;
	struct pw_counters counters;
	struct pw_rows rows;
};

/* ---- on the main thread ---- */

static void free_round(struct pw_round *round)
{
	pw_timer_disarm(&round->timer);
	if (round->view)
		pw_rows_fini(&round->rows);
	pw_snapshot_unref(round->snapshot);
	free(round->mails);
	free(round->has_answered);
	free(round->db);
	free(round);
}

static void finish(struct pw_round *round)
{
	if (round->is_over)
		return;
	round->is_over = true;
	round->done(round);
}

static void on_limit(struct pw_timer *timer)
{
	finish(PW_CONTAINER(timer, struct pw_round, timer));
}

static void take_answer(struct pw_mail *mail, void *receiver PW_UNUSED)
{
	struct pw_round_mail *m = PW_CONTAINER(mail, struct pw_round_mail, mail);
	struct pw_round *round = m->round;

	round->n_clients += m->n_clients;
	round->n_links += m->n_links;
	round->n_busy += m->n_busy;
	round->was_found |= m->was_found;
	pw_counters_add(&round->counters, &m->counters);
	round->has_answered[m->worker->index] = true;
	if (round->view) {
		if (!round->is_over)
			pw_rows_merge(&round->rows, &m->rows);
		pw_rows_fini(&m->rows);
	}
	if (--round->missing > 0)
		return;
	finish(round);
	free_round(round);
}

/* ---- on a worker's thread ---- */

static void swap_snapshot(struct pw_worker *w, struct pw_round *round)
{
	pw_pools_swap_snapshot(&w->pools, round->snapshot);
	pw_clients_forget_secrets(&w->clients);
	pw_clients_take_limits(&w->clients);
	if (w->index == 0)
		pw_listen_tune(&w->process->listen, round->snapshot->conf);
}

static void kill_client(struct pw_worker *w, const struct pw_round *round, struct pw_round_mail *m)
{
	struct pw_client *c = pw_clients_find_id(&w->clients, round->client_id);
	struct pw_error err;

	if (!c)
		return;
	m->was_found = true;
	pw_error_set(&err, PW_SQLSTATE_PROTOCOL_VIOLATION, "admin forced disconnect");
	pw_client_close(c, "admin forced disconnect", &err);
}

static void shut(struct pw_worker *w, const struct pw_round *round)
{
	w->clients.is_shutting_down = true;
	if (w->index == 0)
		pw_accept_stop_tcp(w->process);
	if (!round->is_draining)
		return;
	w->clients.is_draining = true;
	pw_pools_close_idle(&w->pools, NULL, "server shutting down");
	pw_clients_refuse_waiting(&w->clients);
}

static void collect(struct pw_worker *w, const struct pw_round *round, struct pw_round_mail *m)
{
	const struct pw_worker_view source = {
	    .pools = &w->pools,
	    .clients = &w->clients,
	    .registry = &w->process->registry,
	    .resolver = w->process->resolver,
	    .version_line = w->process->version_line,
	    .worker = w->index,
	};

	round->view->collect(&m->rows, &source);
}

static void add_counters(struct pw_pool *pool, void *arg)
{
	pw_counters_add(arg, &pool->stats.now);
}

static void answer(struct pw_mail *mail, void *receiver PW_UNUSED)
{
	struct pw_round_mail *m = PW_CONTAINER(mail, struct pw_round_mail, mail);
	struct pw_round *round = m->round;
	struct pw_worker *w = m->worker;

	switch (round->kind) {
	case PW_ROUND_SWAP:
		swap_snapshot(w, round);
		break;
	case PW_ROUND_CLOSE_IDLE:
		pw_pools_close_idle(&w->pools, round->db, "pause mode");
		break;
	case PW_ROUND_SERVE:
		pw_pools_serve_all(&w->pools);
		break;
	case PW_ROUND_DROP:
		pw_pools_drop(&w->pools, round->db);
		break;
	case PW_ROUND_RECONNECT:
		pw_pools_reconnect(&w->pools, round->db);
		break;
	case PW_ROUND_KILL_CLIENT:
		kill_client(w, round, m);
		break;
	case PW_ROUND_COUNT:
		break;
	case PW_ROUND_SHUT:
		shut(w, round);
		break;
	case PW_ROUND_COLLECT:
		collect(w, round, m);
		break;
	}
	m->n_clients = (unsigned)pw_clients_count(&w->clients);
	m->n_links = pw_pools_count_links(&w->pools, round->db, false);
	m->n_busy = pw_pools_count_links(&w->pools, round->db, true);
	m->counters = w->pools.retired;
	pw_pools_each(&w->pools, add_counters, &m->counters);
	m->mail.deliver = take_answer;
	pw_mailbox_post(&w->process->mailbox, &m->mail);
}

/* ---- making ---- */

static void discard(struct pw_mail *mail)
{
	struct pw_round_mail *m = PW_CONTAINER(mail, struct pw_round_mail, mail);
	struct pw_round *round = m->round;

	/* Mail is discarded when all threads have ended: the round can only be freed. */
	if (round->view)
		pw_rows_fini(&m->rows);
	if (--round->missing == 0)
		free_round(round);
}

struct pw_round *pw_round_create(struct pw_process *process, const struct pw_asker *asker,
				 enum pw_round_kind kind, const char *db,
				 void (*done)(struct pw_round *round))
{
	struct pw_round *round = calloc(1, sizeof(*round));

	if (round) {
		pw_timer_init(&round->timer, on_limit);
		round->mails = calloc(process->n_workers, sizeof(*round->mails));
		round->has_answered = calloc(process->n_workers, sizeof(*round->has_answered));
		round->db = db ? strdup(db) : NULL;
	}
	if (!round || !round->mails || !round->has_answered || (db && !round->db)) {
		if (round)
			free_round(round);
		if (asker)
			pw_asker_refuse(process, asker, "%s", "out of memory");
		return NULL;
	}
	round->kind = kind;
	round->process = process;
	round->done = done;
	if (asker)
		round->asker = *asker;
	return round;
}

static void post_to(struct pw_round *round, unsigned index)
{
	struct pw_worker *worker = &round->process->workers[index];
	struct pw_round_mail *m = &round->mails[index];

	m->mail.deliver = answer;
	m->mail.discard = discard;
	m->round = round;
	m->worker = worker;
	if (round->view)
		pw_rows_init(&m->rows, round->view);
	pw_mailbox_post(&worker->mailbox, &m->mail);
}

void pw_round_start(struct pw_round *round, uint64_t limit_us)
{
	unsigned n = round->view && !round->view->is_per_worker ? 1 : round->process->n_workers;

	if (round->view)
		pw_rows_init(&round->rows, round->view);
	round->missing = n;
	if (limit_us > 0)
		pw_loop_arm(&round->process->loop, &round->timer, limit_us);
	for (unsigned i = 0; i < n; i++)
		post_to(round, i);
}

void pw_round_run(struct pw_process *process, const struct pw_asker *asker, enum pw_round_kind kind,
		  const char *db, void (*done)(struct pw_round *round))
{
	struct pw_round *round = pw_round_create(process, asker, kind, db, done);

	if (round)
		pw_round_start(round, 0);
}

void pw_round_tell_done(struct pw_round *round)
{
	pw_asker_tell(round->process, &round->asker, NULL);
}

void pw_round_say_nothing(struct pw_round *round PW_UNUSED)
{
}

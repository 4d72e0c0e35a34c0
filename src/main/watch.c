/* SPDX-License-Identifier: PostgreSQL
 *
 * One thread for all clusters: their probes are few, but must not wait for anything else.
 */
#include "config.h"

#include "watch.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "pgweir/cluster/monitor.h"
#include "round.h"

struct pw_watcher {
	struct pw_process *process;
	pthread_t thread;
	struct pw_loop loop;
	struct pw_mailbox mailbox;
	struct pw_mail stop;
	struct pw_monitor monitor;
};

/* ---- to the workers ---- */

struct follow_mail {
	struct pw_mail mail;
	struct pw_cluster *cluster;
};

static void discard_follow(struct pw_mail *mail)
{
	free(PW_CONTAINER(mail, struct follow_mail, mail));
}

static void deliver_follow(struct pw_mail *mail, void *receiver)
{
	struct follow_mail *m = PW_CONTAINER(mail, struct follow_mail, mail);
	struct pw_worker *worker = receiver;

	pw_pools_follow(&worker->pools, m->cluster);
	pw_clients_follow(&worker->clients, m->cluster);
	free(m);
}

/* Without memory a worker finds out by itself, when it next looks at its pools. */
static void tell_workers(void *arg, struct pw_cluster *cluster)
{
	struct pw_process *process = arg;

	for (unsigned i = 0; i < process->n_workers; i++) {
		struct follow_mail *m = calloc(1, sizeof(*m));

		if (!m)
			return;
		m->mail.deliver = deliver_follow;
		m->mail.discard = discard_follow;
		m->cluster = cluster;
		pw_mailbox_post(&process->workers[i].mailbox, &m->mail);
	}
}

/* ---- from the main thread ---- */

struct set_mail {
	struct pw_mail mail;
	struct pw_snapshot *snapshot; /* a reference */
};

static void discard_set(struct pw_mail *mail)
{
	struct set_mail *m = PW_CONTAINER(mail, struct set_mail, mail);

	pw_snapshot_unref(m->snapshot);
	free(m);
}

static void deliver_set(struct pw_mail *mail, void *receiver)
{
	struct set_mail *m = PW_CONTAINER(mail, struct set_mail, mail);
	struct pw_watcher *watcher = receiver;

	pw_monitor_set(&watcher->monitor, m->snapshot->conf, m->snapshot->users);
	discard_set(mail);
}

/* ---- there and back ---- */

struct order_mail {
	struct pw_mail mail;
	struct pw_process *process;
	struct pw_asker asker;
	struct pw_order order; /* its strings are behind */
	bool is_done;
	struct pw_error err; /* why it is not done */
	char texts[];
};

static void discard_order(struct pw_mail *mail)
{
	free(PW_CONTAINER(mail, struct order_mail, mail));
}

/* On the main thread. The workers have been posted what has changed before this came, so what they
 * are asked now they answer behind it. */
static void deliver_outcome(struct pw_mail *mail, void *receiver PW_UNUSED)
{
	struct order_mail *m = PW_CONTAINER(mail, struct order_mail, mail);

	if (m->is_done)
		pw_round_run(m->process, &m->asker, PW_ROUND_COUNT, NULL, pw_round_tell_done);
	else
		pw_asker_tell(m->process, &m->asker, &m->err);
	free(m);
}

static void deliver_order(struct pw_mail *mail, void *receiver)
{
	struct order_mail *m = PW_CONTAINER(mail, struct order_mail, mail);
	struct pw_watcher *watcher = receiver;

	m->is_done = pw_monitor_obey(&watcher->monitor, &m->order, &m->err);
	m->mail.deliver = deliver_outcome;
	pw_mailbox_post(&m->process->mailbox, &m->mail);
}

static size_t size_of(const char *text)
{
	return text ? strlen(text) + 1 : 0;
}

static const char *copy_text(char **at, const char *text)
{
	const char *copy = text ? memcpy(*at, text, size_of(text)) : NULL;

	*at += size_of(text);
	return copy;
}

static struct order_mail *create_order(struct pw_process *process, const struct pw_asker *asker,
				       const struct pw_order *order)
{
	size_t size = size_of(order->target) + size_of(order->value) + size_of(order->by);
	struct order_mail *m = calloc(1, sizeof(*m) + size);
	char *at = m ? m->texts : NULL;

	if (!m)
		return NULL;
	m->mail.deliver = deliver_order;
	m->mail.discard = discard_order;
	m->process = process;
	m->asker = *asker;
	m->order.kind = order->kind;
	m->order.target = copy_text(&at, order->target);
	m->order.value = copy_text(&at, order->value);
	m->order.by = copy_text(&at, order->by);
	return m;
}

void pw_watch_order(struct pw_process *process, const struct pw_asker *asker,
		    const struct pw_order *order)
{
	struct order_mail *m = process->watcher ? create_order(process, asker, order) : NULL;

	if (!process->watcher)
		pw_asker_refuse(process, asker, "%s", "there are no clusters");
	else if (!m)
		pw_asker_refuse(process, asker, "%s", "out of memory");
	else
		pw_mailbox_post(&process->watcher->mailbox, &m->mail);
}

/* ---- life ---- */

static void deliver_stop(struct pw_mail *mail PW_UNUSED, void *receiver)
{
	struct pw_watcher *watcher = receiver;

	pw_loop_stop(&watcher->loop);
}

static void discard_stop(struct pw_mail *mail PW_UNUSED)
{
}

static void *run(void *arg)
{
	struct pw_watcher *watcher = arg;

	pw_loop_run(&watcher->loop);
	pw_monitor_fini(&watcher->monitor);
	return NULL;
}

static void free_watcher(struct pw_watcher *watcher)
{
	pw_mailbox_fini(&watcher->mailbox);
	if (watcher->loop.base)
		pw_loop_fini(&watcher->loop);
	free(watcher);
}

static struct pw_watcher *start(struct pw_process *process)
{
	struct pw_watcher *watcher = calloc(1, sizeof(*watcher));

	if (!watcher)
		return NULL;
	watcher->process = process;
	watcher->stop.deliver = deliver_stop;
	watcher->stop.discard = discard_stop;
	if (pw_loop_init(&watcher->loop, &pw_clock_system) != PW_OK ||
	    pw_mailbox_init(&watcher->mailbox, &watcher->loop, watcher) != PW_OK) {
		free_watcher(watcher);
		return NULL;
	}
	pw_monitor_init(&watcher->monitor, &watcher->loop, process->resolver, &watcher->mailbox,
			&process->clusters, &process->logctx);
	watcher->monitor.on_change = tell_workers;
	watcher->monitor.arg = process;
	if (pthread_create(&watcher->thread, NULL, run, watcher) != 0) {
		free_watcher(watcher);
		return NULL;
	}
	(void)pthread_setname_np(watcher->thread, "monitor");
	return watcher;
}

enum pw_status pw_watch_clusters(struct pw_process *process, struct pw_snapshot *snapshot)
{
	struct set_mail *m;

	if (!process->watcher && snapshot->conf->n_clusters == 0)
		return PW_OK;
	if (!process->watcher && !(process->watcher = start(process)))
		return PW_EIO;
	m = calloc(1, sizeof(*m));
	if (!m)
		return PW_ENOMEM;
	m->mail.deliver = deliver_set;
	m->mail.discard = discard_set;
	m->snapshot = pw_snapshot_ref(snapshot);
	pw_mailbox_post(&process->watcher->mailbox, &m->mail);
	return PW_OK;
}

void pw_watch_stop(struct pw_process *process)
{
	struct pw_watcher *watcher = process->watcher;

	if (!watcher)
		return;
	pw_mailbox_post(&watcher->mailbox, &watcher->stop);
	(void)pthread_join(watcher->thread, NULL);
	free_watcher(watcher);
	process->watcher = NULL;
}

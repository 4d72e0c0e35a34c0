/* SPDX-License-Identifier: PostgreSQL
 *
 * A worker: one thread with its loop, its clients and its pools. What the main thread or another
 * worker wants of it comes by mail.
 */
#include "config.h"

#include "worker.h"

#include <stdlib.h>
#include <string.h>

#include "accept.h"

/* libpg_query recurses. */
enum { STACK_BYTES = PW_ANALYSIS_STACK_BYTES, SHAPE_CACHE_BYTES = 4 * 1024 * 1024 };

/* ---- cancel requests: round the ring until somebody knows the key ---- */

struct cancel_mail {
	struct pw_mail mail;
	struct pw_worker *at;
	unsigned from;
	uint64_t requester;
	uint8_t key[PW_CANCEL_KEY_MAX];
	size_t key_len;
};

static void discard_cancel(struct pw_mail *mail)
{
	free(PW_CONTAINER(mail, struct cancel_mail, mail));
}

static void deliver_cancel_done(struct pw_mail *mail, void *receiver PW_UNUSED)
{
	struct cancel_mail *m = PW_CONTAINER(mail, struct cancel_mail, mail);
	struct pw_client *requester = pw_clients_find_id(&m->at->clients, m->requester);

	if (requester && requester->state == PW_CLIENT_CANCELING)
		pw_client_cancel_done(requester);
	free(m);
}

static void send_cancel_home(void *arg)
{
	struct cancel_mail *m = arg;

	m->mail.deliver = deliver_cancel_done;
	m->at = &m->at->process->workers[m->from];
	pw_mailbox_post(&m->at->mailbox, &m->mail);
}

static void deliver_cancel(struct pw_mail *mail, void *receiver PW_UNUSED)
{
	struct cancel_mail *m = PW_CONTAINER(mail, struct cancel_mail, mail);
	struct pw_process *process = m->at->process;
	struct pw_client *target = pw_clients_find_key(&m->at->clients, m->key, m->key_len);
	unsigned next = (m->at->index + 1) % process->n_workers;

	if (target) {
		pw_client_cancel(target, send_cancel_home, m);
	} else if (next == m->from) {
		send_cancel_home(m);
	} else {
		m->at = &process->workers[next];
		pw_mailbox_post(&m->at->mailbox, &m->mail);
	}
}

static void begin_cancel(void *peers, struct pw_client *requester)
{
	struct pw_worker *worker = peers;
	struct cancel_mail *m = calloc(1, sizeof(*m));
	const uint8_t *key;

	if (!m) {
		pw_client_cancel_done(requester);
		return;
	}
	m->mail.deliver = deliver_cancel;
	m->mail.discard = discard_cancel;
	m->at = worker;
	m->from = worker->index;
	m->requester = requester->id;
	key = pw_client_cancel_key(requester, &m->key_len);
	memcpy(m->key, key, m->key_len);
	pw_mailbox_post(&worker->mailbox, &m->mail);
}

/* ---- life ---- */

static size_t log_prefix(const struct pw_logctx *ctx PW_UNUSED, char *out PW_UNUSED,
			 size_t size PW_UNUSED)
{
	return 0;
}

static void init_pools(struct pw_worker *w)
{
	struct pw_process *process = w->process;

	w->pools.loop = &w->loop;
	w->pools.registry = &process->registry;
	w->pools.resolver = process->resolver;
	w->pools.clusters = &process->clusters;
	w->pools.mailbox = &w->mailbox;
	w->pools.peers = process->peers;
	w->pools.index = w->index;
	w->pools.n_peers = process->n_workers;
	w->pools.hash_key = process->hash_key;
	w->pools.log = (struct pw_logctx){&process->log, log_prefix};
	w->pools.on_pool_dropped = pw_clients_pool_dropped;
	w->pools.clients_arg = &w->clients;
	pw_params_table_init(&w->pools.params, &process->tracked, &process->hash_key);
	process->peers[w->index] = &w->pools;
}

static void init_clients(struct pw_worker *w)
{
	struct pw_process *process = w->process;

	w->peers = (struct pw_client_peers){begin_cancel, w};
	w->clients.loop = &w->loop;
	w->clients.pools = &w->pools;
	w->clients.registry = &process->registry;
	w->clients.hubs.pools = &w->pools;
	w->clients.hubs.peers = process->hubs;
	process->hubs[w->index] = &w->clients.hubs;
	w->clients.tracked = &process->tracked;
	w->clients.console_ops = &pw_console_ops;
	w->clients.console_arg = &w->actions;
	w->clients.peers = &w->peers;
	w->clients.log = w->pools.log;
	memcpy(w->clients.mock_secret, process->mock_secret, sizeof(process->mock_secret));
	pw_statements_init(&w->clients.statements, &process->hash_key,
			   &process->registry.statement_bytes);
	pw_shape_cache_init(&w->clients.shapes, SHAPE_CACHE_BYTES);
	pw_shape_key_init(&w->clients.shape_key, &process->hash_key);
}

enum pw_status pw_worker_init(struct pw_worker *w, struct pw_process *process, unsigned index)
{
	w->process = process;
	w->index = index;
	if (pw_loop_init(&w->loop, &pw_clock_system) != PW_OK ||
	    pw_mailbox_init(&w->mailbox, &w->loop, w) != PW_OK)
		return PW_ENOMEM;
	init_pools(w);
	init_clients(w);
	if (pw_pools_init(&w->pools, process->snapshot) != PW_OK ||
	    pw_clients_init(&w->clients) != PW_OK || pw_hubs_init(&w->clients.hubs) != PW_OK)
		return PW_ENOMEM;
	return PW_OK;
}

static void *run_worker(void *arg)
{
	struct pw_worker *w = arg;

	pw_loop_run(&w->loop);
	if (w->index == 0)
		pw_accept_stop(w->process);
	pw_clients_fini(&w->clients);
	pw_hubs_fini(&w->clients.hubs);
	pw_pools_fini(&w->pools);
	pw_statements_fini(&w->clients.statements);
	pw_shape_cache_fini(&w->clients.shapes);
	/* Objects that wait for the end of the turn. */
	pw_loop_turn(&w->loop, false);
	pw_loop_turn(&w->loop, false);
	pw_params_table_fini(&w->pools.params);
	return NULL;
}

enum pw_status pw_worker_start(struct pw_worker *w)
{
	pthread_attr_t attr;
	char name[16];

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	w->has_thread = pthread_create(&w->thread, &attr, run_worker, w) == 0;
	pthread_attr_destroy(&attr);
	if (!w->has_thread)
		return PW_EIO;
	snprintf(name, sizeof(name), "worker %u", w->index);
	(void)pthread_setname_np(w->thread, name);
	return PW_OK;
}

static void deliver_stop(struct pw_mail *mail PW_UNUSED, void *receiver)
{
	struct pw_worker *w = receiver;

	pw_loop_stop(&w->loop);
}

static void discard_stop(struct pw_mail *mail PW_UNUSED)
{
}

void pw_worker_stop(struct pw_worker *w)
{
	if (!w->has_thread)
		return;
	w->stop.deliver = deliver_stop;
	w->stop.discard = discard_stop;
	pw_mailbox_post(&w->mailbox, &w->stop);
	pthread_join(w->thread, NULL);
	w->has_thread = false;
}

void pw_worker_fini(struct pw_worker *w)
{
	pw_mailbox_fini(&w->mailbox);
	pw_loop_fini(&w->loop);
}

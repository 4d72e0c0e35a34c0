/* SPDX-License-Identifier: PostgreSQL
 *
 * Mail between the pools of different workers. A link crosses as a value: descriptor, transport
 * and facts are taken out of the sender's object and put into one that the receiver makes. The
 * value carries the link's reference to its shared pool, and its place in the limits.
 *
 * Mail names a pool by the shared pool's id, which is never used twice. Where there is no memory
 * for a mail, nothing is lost but time: the janitor serves every queue again.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "link_priv.h"
#include "pgweir/base/assert.h"
#include "pool_priv.h"

/* ---- small mail ---- */

struct pool_mail {
	struct pw_mail mail;
	struct pw_pools *to;
	uint64_t pool_id;
	unsigned from;
	struct pw_shared_db *db;     /* EVICT: a reference */
	struct pw_shared_user *user; /* EVICT: a reference */
};

static void discard_pool_mail(struct pw_mail *mail)
{
	free(PW_CONTAINER(mail, struct pool_mail, mail));
}

static struct pool_mail *create_mail(struct pw_pools *pools, unsigned to, uint64_t pool_id,
				     void (*deliver)(struct pw_mail *mail, void *receiver))
{
	struct pool_mail *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	m->mail.deliver = deliver;
	m->mail.discard = discard_pool_mail;
	m->to = pools->peers[to];
	m->pool_id = pool_id;
	m->from = pools->index;
	return m;
}

static void post(struct pool_mail *m)
{
	if (m)
		pw_mailbox_post(m->to->mailbox, &m->mail);
}

static void deliver_nudge(struct pw_mail *mail, void *receiver PW_UNUSED)
{
	struct pool_mail *m = PW_CONTAINER(mail, struct pool_mail, mail);
	struct pw_pool *pool = pw_pools_find_by_id(m->to, m->pool_id);

	if (pool)
		pw_pool_serve(pool);
	free(m);
}

void pw_mail_nudge(struct pw_pools *pools, uint64_t pool_id, unsigned to)
{
	post(create_mail(pools, to, pool_id, deliver_nudge));
}

static void deliver_serve_all(struct pw_mail *mail, void *receiver PW_UNUSED)
{
	struct pool_mail *m = PW_CONTAINER(mail, struct pool_mail, mail);

	pw_pools_serve_all(m->to);
	free(m);
}

void pw_mail_serve_all(struct pw_pools *pools)
{
	for (unsigned i = 0; i < pools->n_peers; i++) {
		if (i != pools->index)
			post(create_mail(pools, i, 0, deliver_serve_all));
	}
}

static void deliver_login_failed(struct pw_mail *mail, void *receiver PW_UNUSED)
{
	struct pool_mail *m = PW_CONTAINER(mail, struct pool_mail, mail);
	struct pw_pool *pool = pw_pools_find_by_id(m->to, m->pool_id);
	struct pw_error err;

	if (pool && atomic_load(&pool->shared->has_failed) &&
	    atomic_load(&pool->shared->standing) == 0) {
		pthread_mutex_lock(&pool->shared->lock);
		err = pool->shared->last_error;
		pthread_mutex_unlock(&pool->shared->lock);
		pw_pool_refuse_all(pool, &err, true);
	}
	free(m);
}

void pw_mail_login_failed(struct pw_pools *pools, uint64_t pool_id)
{
	for (unsigned i = 0; i < pools->n_peers; i++) {
		if (i != pools->index)
			post(create_mail(pools, i, pool_id, deliver_login_failed));
	}
}

/* ---- eviction: a request that goes once around ---- */

static void end_eviction(struct pw_pools *pools, struct pool_mail *m)
{
	if (m->db) {
		atomic_store(&m->db->is_evicting, false);
		pw_registry_put_db(pools->registry, m->db);
	}
	if (m->user) {
		atomic_store(&m->user->is_evicting, false);
		pw_registry_put_user(pools->registry, m->user);
	}
	free(m);
}

static void discard_eviction(struct pw_mail *mail)
{
	struct pool_mail *m = PW_CONTAINER(mail, struct pool_mail, mail);

	end_eviction(m->to, m);
}

static void deliver_eviction(struct pw_mail *mail, void *receiver PW_UNUSED)
{
	struct pool_mail *m = PW_CONTAINER(mail, struct pool_mail, mail);
	struct pw_pools *here = m->to;
	unsigned next = (here->index + 1) % here->n_peers;

	/* What is closed here gives its place back, which wakes those who wait for one. */
	if (pw_pools_evict(here, m->db, m->user) || next == m->from) {
		end_eviction(here, m);
		return;
	}
	m->to = here->peers[next];
	post(m);
}

void pw_mail_evict(struct pw_pools *pools, struct pw_shared_db *db, struct pw_shared_user *user)
{
	struct pool_mail *m;

	if (pools->n_peers < 2 || atomic_exchange(db ? &db->is_evicting : &user->is_evicting, true))
		return;
	m = create_mail(pools, (pools->index + 1) % pools->n_peers, 0, deliver_eviction);
	if (m) {
		m->mail.discard = discard_eviction;
		m->db = db ? pw_registry_db(pools->registry, db->name) : NULL;
		m->user = user ? pw_registry_user(pools->registry, user->name) : NULL;
		post(m);
	} else {
		atomic_store(db ? &db->is_evicting : &user->is_evicting, false);
	}
}

/* ---- links ---- */

struct link_mail {
	struct pw_mail mail;
	struct pw_pools *to;
	uint64_t pool_id;
	bool is_answer;                /* to a request: even without a link */
	struct pw_shared_pool *shared; /* NULL = no link in it */
	int fd;
	const struct pw_transport_ops *transport_ops;
	void *transport;
	struct pw_params *params; /* exported copy */
	struct pw_link_facts facts;
};

static void destroy_value(struct link_mail *m)
{
	pw_known_fini(&m->facts.known);
	explicit_bzero(&m->facts, sizeof(m->facts));
	free(m->params);
	free(m);
}

static void close_connection(struct link_mail *m)
{
	if (m->transport)
		m->transport_ops->destroy(m->transport);
	close(m->fd);
}

/* The connection itself is of no use to anybody. */
static void drop_value(struct link_mail *m)
{
	if (m->shared) {
		close_connection(m);
		pw_pool_limits_given(m->to, m->shared);
		pw_registry_put_pool(m->to->registry, m->shared);
	}
	destroy_value(m);
}

static void discard_link(struct pw_mail *mail)
{
	struct link_mail *m = PW_CONTAINER(mail, struct link_mail, mail);

	/* Discarded mail means that the workers are gone: nobody is left to be woken. */
	if (m->shared) {
		close_connection(m);
		(void)pw_limit_give(&m->shared->links);
		(void)pw_limit_give(&m->shared->db->links);
		(void)pw_limit_give(&m->shared->user->links);
		pw_registry_put_pool(m->to->registry, m->shared);
	}
	destroy_value(m);
}

/* Builds this worker's object around the value; takes the value's parts over. */
static struct pw_link *build_link(struct pw_pool *pool, struct link_mail *m)
{
	struct pw_link *link = pw_link_create(pool);

	if (!link)
		return NULL;
	if (pw_stream_adopt(&link->stream, m->fd, m->transport_ops, m->transport) != PW_OK) {
		free(link);
		return NULL;
	}
	link->shared = m->shared;
	pw_known_fini(&link->facts.known);
	link->facts = m->facts;
	pw_known_init(&link->facts.known);
	pw_known_move(&m->facts.known, &link->facts.known);
	link->stream.read_rounds = pool->pools->snapshot->conf->sbuf_loopcnt;
#ifdef PW_MUTANT_HANDOVER_WITHOUT_STATE
	link->params = pool->welcome_params ? pw_params_ref(pool->welcome_params) : NULL;
#else
	link->params = pw_params_import(&pool->pools->params, m->params);
	m->params = NULL;
#endif
	link->state = PW_LINK_RETURNING;
	link->state_since_us = pool->pools->loop->now_us;
	pw_list_prepend(&pool->busy, &link->pool_node);
	m->shared = NULL;
	return link;
}

static void deliver_link(struct pw_mail *mail, void *receiver PW_UNUSED)
{
	struct link_mail *m = PW_CONTAINER(mail, struct link_mail, mail);
	struct pw_pool *pool = pw_pools_find_by_id(m->to, m->pool_id);
	struct pw_link *link = NULL;

	if (m->shared)
		atomic_store(&m->shared->seats[m->to->index].incoming, 0);
	if (pool && m->is_answer && pool->asked > 0)
		pool->asked--;
	if (pool && m->shared) {
		link = build_link(pool, m);
		if (link && !link->params)
			pw_link_close(link, PW_LINK_END_CLEAN, "out of memory", NULL);
		else if (link)
			pw_pool_put(pool, link);
	}
	drop_value(m);
	if (!pool)
		return;
	/* An empty answer is not asked for again at once: the two would do nothing else. */
	pool->must_not_ask = !link;
	pw_pool_serve(pool);
	pool->must_not_ask = false;
}

static struct link_mail *create_link_mail(struct pw_pools *to, uint64_t pool_id, bool is_answer)
{
	struct link_mail *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	m->mail.deliver = deliver_link;
	m->mail.discard = discard_link;
	m->to = to;
	m->pool_id = pool_id;
	m->is_answer = is_answer;
	m->fd = -1;
	pw_known_init(&m->facts.known);
	return m;
}

static bool is_movable(const struct pw_link *link)
{
	return link->cancels == 0 && link->expects.n == 0 && link->transaction == 'I' &&
	       !link->is_skipping && !link->is_unsure && pw_stream_is_quiet(&link->stream) &&
	       !pw_reader_is_inside(&link->reader);
}

/* Empties the link's object into the value; the object is freed at the end of the turn. */
static void take_apart(struct pw_link *link, struct link_mail *m)
{
	struct pw_pools *pools = link->pool->pools;

	if (link->state == PW_LINK_IDLE)
		atomic_fetch_sub(&link->shared->seats[pools->index].idle, 1);
	m->shared = link->shared;
	m->facts = link->facts;
	pw_known_init(&m->facts.known);
	pw_known_move(&link->facts.known, &m->facts.known);
	m->fd = pw_stream_detach(&link->stream, &m->transport_ops, &m->transport);
	pw_list_remove(&link->pool_node);
	pw_timer_disarm(&link->timer);
	pw_reader_fini(&link->reader);
	pw_expect_fini(&link->expects);
	pw_params_unref(&pools->params, link->params);
	link->params = NULL;
	explicit_bzero(&link->facts, sizeof(link->facts));
	link->state = PW_LINK_CLOSED;
	pw_task_post(pools->loop, &link->free_task);
}

bool pw_mail_hand_over(struct pw_link *link, unsigned to, bool is_answer)
{
	struct pw_pools *pools = link->pool->pools;
	struct pw_seat *seat = &link->shared->seats[to];
	struct link_mail *m;
	int none = 0;
	bool ok;

	/* One at a time to a worker: its head is not known anew before it has got this one. */
	pw_assert(link->state >= PW_LINK_IDLE);
	if (!is_movable(link) || !atomic_compare_exchange_strong(&seat->incoming, &none, 1))
		return false;
	m = create_link_mail(pools->peers[to], link->shared->id, is_answer);
	if (m)
		m->params = pw_params_export(link->params, &ok);
	if (!m || !m->params) {
		free(m);
		atomic_store(&seat->incoming, 0);
		return false;
	}
	take_apart(link, m);
	pw_mailbox_post(m->to->mailbox, &m->mail);
	return true;
}

static void deliver_request(struct pw_mail *mail, void *receiver PW_UNUSED)
{
	struct pool_mail *m = PW_CONTAINER(mail, struct pool_mail, mail);
	struct pw_pools *here = m->to;
	struct pw_pool *pool = pw_pools_find_by_id(here, m->pool_id);
	struct pw_link *link = pool && pool->n_waiting == 0 ? pw_pool_take_idle(pool, NULL) : NULL;
	struct link_mail *answer;

	/* Once it is checked, it goes to whoever has waited longest. */
	if (!link && pool && pool->n_waiting == 0 && !pw_list_is_empty(&pool->stale))
		pw_link_check(PW_CONTAINER(pw_list_first(&pool->stale), struct pw_link, pool_node));
	if (!link || !pw_mail_hand_over(link, m->from, true)) {
		answer = create_link_mail(here->peers[m->from], m->pool_id, true);
		if (answer)
			pw_mailbox_post(answer->to->mailbox, &answer->mail);
	}
	free(m);
}

bool pw_mail_ask_for_link(struct pw_pool *pool, unsigned to)
{
	struct pool_mail *m = create_mail(pool->pools, to, pool->shared->id, deliver_request);

	if (!m)
		return false;
	pool->asked++;
	post(m);
	return true;
}

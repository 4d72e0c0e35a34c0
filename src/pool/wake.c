/* SPDX-License-Identifier: PostgreSQL
 *
 * Telling pools, here and in other workers, that there is something for them: room in a limit, a
 * welcome, a failed login, an idle link in somebody's way.
 *
 * Mail names a pool by the shared pool's id, which is never used twice. Where there is no memory
 * for a mail, nothing is lost but time: the janitor serves every queue again.
 */
#include "config.h"

#include <stdlib.h>

#include "pool_priv.h"

struct pool_mail {
	struct pw_mail mail;
	struct pw_pools *to;
	uint64_t pool_id;
	unsigned from;
	struct pw_eviction eviction; /* with references */
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
		pw_task_post(m->to->loop, &pool->serve_task);
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

void pw_pools_wake(struct pw_pools *pools)
{
	pw_pools_serve_all(pools);
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

/* One at a time for each database, user and node: those for which none is on its way. False: that
 * is so of nobody. */
static bool begin_eviction(struct pw_eviction *e)
{
	if (!e->cluster)
		return !atomic_exchange(e->db ? &e->db->is_evicting : &e->user->is_evicting, true);
	for (uint64_t left = e->slots; left != 0; left &= left - 1) {
		if (atomic_exchange(&e->cluster->loads[__builtin_ctzll(left)].is_evicting, true))
			e->slots &= ~(left & -left);
	}
	return e->slots != 0;
}

static void mark_as_over(const struct pw_eviction *e)
{
	if (!e->cluster)
		atomic_store(e->db ? &e->db->is_evicting : &e->user->is_evicting, false);
	for (uint64_t left = e->cluster ? e->slots : 0; left != 0; left &= left - 1)
		atomic_store(&e->cluster->loads[__builtin_ctzll(left)].is_evicting, false);
}

static void end_eviction(struct pw_pools *pools, struct pool_mail *m)
{
	mark_as_over(&m->eviction);
	if (m->eviction.db)
		pw_registry_put_db(pools->registry, m->eviction.db);
	if (m->eviction.user)
		pw_registry_put_user(pools->registry, m->eviction.user);
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
	if (pw_pools_evict(here, &m->eviction) || next == m->from) {
		end_eviction(here, m);
		return;
	}
	m->to = here->peers[next];
	post(m);
}

/* False: it names nobody, for want of memory, and would evict anybody's link. */
static bool take_references(struct pw_pools *pools, struct pw_eviction *to,
			    const struct pw_eviction *from)
{
	*to = *from;
	to->db = from->db ? pw_registry_db(pools->registry, from->db->name) : NULL;
	to->user = from->user ? pw_registry_user(pools->registry, from->user->name) : NULL;
	return to->db || to->user || to->cluster;
}

void pw_mail_evict(struct pw_pools *pools, const struct pw_eviction *eviction)
{
	struct pw_eviction missing = *eviction;
	struct pool_mail *m;

	if (pools->n_peers < 2 || !begin_eviction(&missing))
		return;
	m = create_mail(pools, (pools->index + 1) % pools->n_peers, 0, deliver_eviction);
	if (m && take_references(pools, &m->eviction, &missing)) {
		m->mail.discard = discard_eviction;
		post(m);
		return;
	}
	free(m);
	mark_as_over(&missing);
}

/* What was taken on the way to a refusal may have been refused to somebody else meanwhile. */
void pw_pool_give_back(struct pw_pool *pool, struct pw_limit *limit)
{
	if (pw_limit_give(limit))
		pw_pools_wake(pool->pools);
}

void pw_pool_limits_given(struct pw_pools *pools, struct pw_shared_pool *shared,
			  const struct pw_link_facts *facts)
{
	struct pw_cluster *cluster = facts->cluster;
	bool wakes_pool = pw_limit_give(&shared->links);
	bool wakes_all = pw_limit_give(&shared->db->links);

	wakes_all |= pw_limit_give(&shared->user->links);
#ifdef PW_MUTANT_PLACE_NOT_GIVEN_BACK
	cluster = NULL;
#endif
	wakes_all |= cluster && pw_fair_limit_give(&cluster->loads[facts->slot].links);
	if (wakes_all) {
		pw_pools_wake(pools);
	} else if (wakes_pool) {
		struct pw_pool *own = pw_pools_find_by_id(pools, shared->id);

		if (own)
			pw_task_post(pools->loop, &own->serve_task);
		for (unsigned i = 0; i < pools->n_peers; i++) {
			if (i != pools->index && atomic_load(&shared->seats[i].head_since_us) > 0)
				pw_mail_nudge(pools, shared->id, i);
		}
	}
}

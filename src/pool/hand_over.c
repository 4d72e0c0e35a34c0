/* SPDX-License-Identifier: PostgreSQL
 *
 * Hand-over of links between workers. A link crosses as a value: descriptor, transport and facts
 * are taken out of the sender's object and put into one that the receiver makes. The value carries
 * the link's reference to its shared pool, its place in the limits and among those that stand.
 *
 * A worker that asks for a link sends the mail in which it is to come: so that an answer, even an
 * empty one, never fails for want of memory.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "link_priv.h"
#include "pgweir/base/assert.h"
#include "pool_priv.h"

struct link_mail {
	struct pw_mail mail;
	struct pw_pools *to;
	uint64_t pool_id;
	unsigned from;                 /* who asked for it */
	unsigned by;                   /* who answers */
	bool is_answer;                /* to a request: even without a link */
	bool is_later;                 /* there is one, but another is on its way there */
	struct pw_shared_pool *shared; /* NULL = no link in it */
	int fd;
	const struct pw_transport_ops *transport_ops;
	void *transport;
	struct pw_params *params;  /* exported copy */
	struct pw_strbuf settings; /* as text; empty where there are none */
	struct pw_link_facts facts;
};

static void destroy_value(struct link_mail *m)
{
	pw_known_fini(&m->facts.known);
	explicit_bzero(&m->facts, sizeof(m->facts));
	free(m->params);
	pw_strbuf_wipe(&m->settings);
	free(m);
}

static void close_connection(struct link_mail *m)
{
	atomic_fetch_sub(&m->shared->standing, 1);
	if (m->transport)
		m->transport_ops->destroy(m->transport);
	close(m->fd);
}

/* The connection itself is of no use to anybody. */
static void drop_value(struct link_mail *m)
{
	if (m->shared) {
		close_connection(m);
		m->to->link_ops->on_gone(m->to, m->shared, &m->facts);
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
		if (m->facts.cluster)
			(void)pw_fair_limit_give(&m->facts.cluster->loads[m->facts.slot].links);
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
		pw_link_destroy(link);
		return NULL;
	}
	link->shared = m->shared;
	pw_known_fini(&link->facts.known);
	link->facts = m->facts;
	pw_known_init(&link->facts.known);
	pw_known_move(&m->facts.known, &link->facts.known);
	pw_link_count(link, 1);
	link->stream.read_rounds = pool->pools->snapshot->conf->sbuf_loopcnt;
#ifdef PW_MUTANT_HANDOVER_WITHOUT_STATE
	link->params = pool->welcome_params ? pw_params_ref(pool->welcome_params) : NULL;
#else
	link->params = pw_params_import(&pool->pools->params, m->params);
	m->params = NULL;
#endif
	if (m->settings.len > 0) {
		pw_state_unref(link->settings);
		link->settings = pw_state_import(&pool->pools->states, &m->settings);
	}
	link->state = PW_LINK_RETURNING;
	link->state_since_us = pool->pools->loop->now_us;
	pw_list_prepend(&pool->busy, &link->pool_node);
	m->shared = NULL;
	return link;
}

/* Whoever had none is not asked again at once: the two would do nothing else. */
static void note_answer(struct pw_pool *pool, const struct link_mail *m, bool has_link)
{
	if (has_link)
		pool->next_peer = 0;
	else if (m->is_later && m->by < pool->next_peer)
		pool->next_peer = m->by;
	pool->goes_on_asking |= !has_link;
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
		if (link && (!link->params || !link->settings))
			pw_link_close(link, PW_LINK_END_CLEAN, "out of memory", NULL);
		else if (link)
			pool->pools->link_ops->on_usable(link);
	}
	if (!pool) {
		drop_value(m);
		return;
	}
	note_answer(pool, m, link != NULL);
	drop_value(m);
	pw_task_post(pool->pools->loop, &pool->serve_task);
}

static struct link_mail *create_mail(struct pw_pools *to, uint64_t pool_id,
				     void (*deliver)(struct pw_mail *mail, void *receiver))
{
	struct link_mail *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	m->mail.deliver = deliver;
	m->mail.discard = discard_link;
	m->to = to;
	m->pool_id = pool_id;
	m->fd = -1;
	pw_known_init(&m->facts.known);
	return m;
}

static bool is_movable(const struct pw_link *link)
{
	return pw_list_is_empty(&link->cancels) && link->expects.n == 0 &&
	       link->transaction == 'I' && !link->is_skipping && !link->is_unsure &&
	       pw_stream_is_quiet(&link->stream) && !pw_reader_is_inside(&link->reader);
}

/* Empties the link's object into the value; the object is freed at the end of the turn. */
static void take_apart(struct pw_link *link, struct link_mail *m)
{
	struct pw_pools *pools = link->pool->pools;

	if (link->state == PW_LINK_IDLE)
		atomic_fetch_sub(&link->shared->seats[pools->index].idle, 1);
	pw_link_forget_last(link);
	pw_link_rest(link);
	pw_link_count(link, -1);
	m->shared = link->shared;
	m->facts = link->facts;
	pw_known_init(&m->facts.known);
	pw_known_move(&link->facts.known, &m->facts.known);
	m->fd = pw_stream_detach(&link->stream, &m->transport_ops, &m->transport);
	pw_list_remove(&link->pool_node);
	pw_timer_disarm(&link->timer);
	pw_task_cancel(&link->go_on_task);
	pw_reader_fini(&link->reader);
	pw_expect_fini(&link->expects);
	pw_params_unref(&pools->params, link->params);
	link->params = NULL;
	pw_state_unref(link->settings);
	link->settings = NULL;
	explicit_bzero(&link->facts, sizeof(link->facts));
	link->state = PW_LINK_CLOSED;
	pw_task_post(pools->loop, &link->free_task);
}

/* Puts the link into the mail, which is then to be posted; false where that cannot be now. */
static bool put_in(struct link_mail *m, struct pw_link *link, unsigned to)
{
	struct pw_seat *seat = &link->shared->seats[to];
	int none = 0;
	bool ok;

	/* One at a time to a worker: its head is not known anew before it has got this one. */
	pw_assert(link->state >= PW_LINK_IDLE);
	if (!is_movable(link))
		return false;
	m->is_later = !atomic_compare_exchange_strong(&seat->incoming, &none, 1);
	if (m->is_later)
		return false;
	m->params = pw_params_export(link->params, &ok);
	if (link->settings->n > 0)
		pw_state_export(link->settings, &m->settings);
	if (!m->params || m->settings.has_failed) {
		free(m->params);
		m->params = NULL;
		pw_strbuf_fini(&m->settings);
		atomic_store(&seat->incoming, 0);
		return false;
	}
	pw_log_debug(&link->log, "moves to worker %u", to);
	take_apart(link, m);
	return true;
}

bool pw_link_hand_over(struct pw_link *link, unsigned to)
{
	struct pw_pools *peer = link->pool->pools->peers[to];
	struct link_mail *m = create_mail(peer, link->shared->id, deliver_link);

	if (!m)
		return false;
	if (!put_in(m, link, to)) {
		free(m);
		return false;
	}
	pw_mailbox_post(peer->mailbox, &m->mail);
	return true;
}

/* ---- asking for one ---- */

/* Sends the mail back, with a link in it or without. */
static void deliver_request(struct pw_mail *mail, void *receiver PW_UNUSED)
{
	struct link_mail *m = PW_CONTAINER(mail, struct link_mail, mail);
	struct pw_pool *pool = pw_pools_find_by_id(m->to, m->pool_id);
	bool is_spare = pool && !pw_pool_head(pool);
	struct pw_link *link = is_spare ? pw_pool_take_idle(pool, NULL) : NULL;

	/* One to where nobody is to read now takes up the room of one that would do, here as there.
	 */
	if (!link && is_spare && pw_pool_is_of_replicas(pool))
		link = pw_pool_far_idle(pool);
	/* Once it is checked, it goes to whoever has waited longest. */
	if (!link && is_spare && !pw_list_is_empty(&pool->stale))
		pw_link_check(PW_CONTAINER(pw_list_first(&pool->stale), struct pw_link, pool_node));
	if (link)
		(void)put_in(m, link, m->from);
	m->by = m->to->index;
	m->to = m->to->peers[m->from];
	m->mail.deliver = deliver_link;
	m->is_answer = true;
	pw_mailbox_post(m->to->mailbox, &m->mail);
}

bool pw_link_ask_for(struct pw_pool *pool, unsigned to)
{
	struct link_mail *m =
	    create_mail(pool->pools->peers[to], pool->shared->id, deliver_request);

	if (!m)
		return false;
	m->from = pool->pools->index;
	pool->asked++;
	pw_mailbox_post(m->to->mailbox, &m->mail);
	return true;
}

/* SPDX-License-Identifier: PostgreSQL
 *
 * Who gets which link: serving the queue of one pool in one worker, where a returned link goes,
 * what a login to a server brings for those who wait. Two invariants: while anybody waits whom it
 * would serve no idle link is left (see the order of publication in pool/registry.h), and borrowers
 * are called back one at a time, never from inside a call of theirs.
 */
#include "config.h"

#include "pool_priv.h"

#include <limits.h>
#include <string.h>

#include "pgweir/base/assert.h"

/* ---- lending ---- */

static void lend(struct pw_pool *pool, struct pw_link *link, struct pw_loan *loan)
{
	pw_link_lend(link, loan);
	pool->pools->is_lending = true;
	loan->ops->on_link(loan);
	pool->pools->is_lending = false;
}

static void lend_to_waiter(struct pw_pool *pool, struct pw_link *link, struct pw_loan *loan)
{
	pw_loan_end_wait(loan);
	lend(pool, link, loan);
}

static struct pw_link *choose_idle(const struct pw_loan *loan)
{
	struct pw_pool *pool = loan->pool;

	if (loan->wants != 0)
		return pw_pool_idle_link(pool, loan->wants);
	return pw_pool_head(pool) ? NULL : pw_pool_take_idle(pool, loan);
}

bool pw_pool_borrow(struct pw_loan *loan)
{
	struct pw_pool *pool = loan->pool;
	bool may_share = loan->replication == PW_REPLICATION_NONE && !pw_pool_is_paused(pool);
	struct pw_link *link;

	pw_assert(loan->state == PW_LOAN_NONE);
	pw_pool_reach_for_wanted(loan);
	if (may_share && (link = choose_idle(loan)) && pw_overflow_admits(link, loan)) {
		pw_link_lend(link, loan);
		return true;
	}
	loan->state = PW_LOAN_WAITING;
	pool->n_wanting += loan->wants != 0;
	/* Where a cluster is concerned, another node may be the one before long. */
	if (may_share && !pool->cluster && atomic_load(&pool->shared->has_failed) &&
	    atomic_load(&pool->shared->standing) == 0) {
		pw_list_append(&pool->failing, &loan->node);
	} else {
		loan->since_us = pool->pools->loop->now_us;
		pool->n_waiting++;
		/* Of who was asked before, one may have an idle link by now. */
		pool->next_peer = 0;
#ifdef PW_MUTANT_LAST_COMES_FIRST
		pw_list_prepend(&pool->waiting, &loan->node);
#else
		pw_list_append(&pool->waiting, &loan->node);
#endif
		pw_pool_publish_head(pool);
	}
	pw_task_post(pool->pools->loop, &pool->serve_task);
	return false;
}

void pw_pool_await_welcome(struct pw_loan *loan)
{
	struct pw_pool *pool = loan->pool;

	loan->state = PW_LOAN_WAITING;
	if (pw_list_is_empty(&pool->welcoming))
		pool->welcoming_since_us = pool->pools->loop->now_us;
	pw_list_append(&pool->welcoming, &loan->node);
	pw_task_post(pool->pools->loop, &pool->serve_task);
}

void pw_pool_return(struct pw_loan *loan, bool has_left, bool may_finish)
{
	pw_assert(loan->state == PW_LOAN_HOLDING);
	pw_link_end_loan(loan->link, has_left, may_finish);
}

void pw_pool_pass_on(struct pw_loan *from, struct pw_loan *to)
{
	struct pw_link *link = from->link;

	pw_assert(from->state == PW_LOAN_HOLDING && to->state == PW_LOAN_NONE &&
		  from->pool == to->pool && pw_link_is_free(link));
	from->state = PW_LOAN_NONE;
	from->link = NULL;
	to->state = PW_LOAN_HOLDING;
	to->link = link;
	link->loan = to;
	link->request_us = 0;
	link->transaction_us = 0;
	pw_stream_set_reading(&link->stream, true);
}

/* ---- keeping ---- */

static bool may_keep_all(const struct pw_pool *pool)
{
	int share = pool->pools->snapshot->conf->max_pinned_share;

	return share == 0 || share == 100 || pool->conf.pool_size <= 0;
}

int pw_pool_keepable(const struct pw_pool *pool, bool has_hub)
{
	int size = pool->conf.pool_size;
	int allowed = (int)((int64_t)size * pool->pools->snapshot->conf->max_pinned_share / 100);

	if (may_keep_all(pool))
		return INT_MAX;
	if (has_hub && allowed > size - 2)
		return size - 2;
	return allowed > 0 ? allowed : 1;
}

bool pw_pool_has_room_for_hub(const struct pw_pool *pool, int n_ending)
{
	return may_keep_all(pool) ||
	       atomic_load(&pool->shared->pinned) - n_ending <= pool->conf.pool_size - 2;
}

/* ---- refusing ---- */

static void refuse_failing(struct pw_pool *pool)
{
	struct pw_error err, cached;

	if (pw_list_is_empty(&pool->failing))
		return;
	pthread_mutex_lock(&pool->shared->lock);
	cached = pool->shared->last_error;
	pthread_mutex_unlock(&pool->shared->lock);
	pw_error_set(&err, PW_SQLSTATE_PROTOCOL_VIOLATION,
		     "server login has been failing, cached error: %.99s (server_login_retry)",
		     cached.message);
	pw_error_detail(&err, "%s", cached.detail);
	pw_error_hint(&err, "A new attempt is made every server_login_retry (%g s).",
		      (double)pool->pools->snapshot->conf->server_login_retry / PW_SECOND_US);
	pw_loans_refuse(&pool->failing, &err);
	(void)pw_pool_open_link(pool);
}

/* ---- serving ---- */

/* A link that does not suit has to be brought round, which a look-up would not do. */
static bool may_serve(const struct pw_link *link, const struct pw_loan *loan)
{
	return pw_pool_suits(link, loan) ||
	       (loan->settings && !loan->needs_new && !pw_pool_mixes(link, loan));
}

/* Another worker that has an idle link and was not asked in this round. */
static bool ask_another_worker(struct pw_pool *pool)
{
	struct pw_pools *pools = pool->pools;

	while (pool->next_peer < pools->n_peers) {
		unsigned peer = pool->next_peer++;

		if (peer != pools->index && atomic_load(&pool->shared->seats[peer].idle) > 0 &&
		    pw_link_ask_for(pool, peer))
			return true;
	}
	return false;
}

static bool check_a_stale_link(struct pw_pool *pool)
{
	struct pw_list *node = pw_list_first(&pool->stale);

	if (node)
		pw_link_check(PW_CONTAINER(node, struct pw_link, pool_node));
	return node != NULL;
}

static unsigned links_to_come(const struct pw_pool *pool)
{
	const struct pw_shared_db *db = pool->shared->db;
	bool is_quick =
	    atomic_load_explicit(&db->code.took_us, memory_order_relaxed) <= PW_CODE_QUICK_US &&
	    atomic_load_explicit(&db->readables.took_us, memory_order_relaxed) <= PW_CODE_QUICK_US;

	return pool->asked + pool->n_opening + (unsigned)pw_list_length(&pool->checking) +
	       (is_quick ? pool->n_learning : 0);
}

/* Those who wait for a link. */
static unsigned n_served(const struct pw_pool *pool)
{
	return pool->n_waiting - pool->n_held_up;
}

static void serve_welcome(struct pw_pool *pool)
{
	if (pw_list_is_empty(&pool->welcoming))
		return;
	if (atomic_load(&pool->shared->welcome_version) > 0)
		pw_pool_welcome_all(pool);
	else if (!pw_pool_is_paused(pool))
		(void)pw_pool_open_link(pool);
}

/* It does not suit, but there is no other. False: that helps nobody. */
static bool take_for_want(struct pw_pool *pool, struct pw_link *link, struct pw_loan *head)
{
	if (!may_serve(link, head)) {
		pw_link_close(link, PW_LINK_END_CLEAN, "another client's settings", NULL);
	} else if (pw_overflow_admits(link, head)) {
		lend_to_waiter(pool, link, head);
	} else {
		/* One to a replica takes up the room of one to the primary. */
		if (pw_nodes_is_of_primary(link) || !pw_pool_may_log_in(pool))
			return false;
		pw_link_close(link, PW_LINK_END_CLEAN, "who waits may not read there", NULL);
	}
	return true;
}

/* Where the replica that lags least serves, others in the queue may have there all that they must
 * see. False: all wait for the same. */
static bool pass_over(struct pw_pool *pool, struct pw_loan *head)
{
	if (!pool->is_split || pool->conf.reading.all_lagging != PW_ALL_LAGGING_LEAST)
		return false;
	pw_loan_hold_up(head);
	return true;
}

/* True: on to the next one. False: all wait for it. */
static bool serve_own(struct pw_pool *pool, struct pw_loan *head)
{
	if (pw_pool_open_own(head))
		return true;
	/* Who waits in other pools would wait for this one's idle links, and it for their turn. */
	if (pw_pool_gives_way(pool)) {
		pw_loan_hold_up(head);
		pw_pools_try_again(pool->pools);
		return true;
	}
	/* Another worker's idle link would make room. */
	if (pool->asked == 0)
		(void)ask_another_worker(pool);
	return false;
}

static void serve_each(struct pw_pool *pool)
{
	struct pw_loan *head;

	while (!pw_pool_is_paused(pool) && (head = pw_pool_head(pool))) {
		struct pw_link *link;

		if (head->replication != PW_REPLICATION_NONE) {
			if (serve_own(pool, head))
				continue;
			return;
		}
		link = NULL;
		if (pw_overflow_is_full(pool, head) ||
		    ((link = pw_pool_take_idle(pool, head)) && !pw_overflow_admits(link, head))) {
			if (pass_over(pool, head))
				continue;
			return;
		}
		if (link) {
			lend_to_waiter(pool, link, head);
			continue;
		}
		/* However many logins are under way: they may take long. */
		if (pool->asked < n_served(pool) && ask_another_worker(pool))
			continue;
		if (links_to_come(pool) >= n_served(pool))
			return;
		if (check_a_stale_link(pool) || pw_pool_open_link(pool))
			continue;
		/* What is too far for it is in the way, unless the near ones are full. */
		if (pw_pool_is_of_replicas(pool) && pw_pool_may_log_in(pool) &&
		    (link = pw_pool_far_idle(pool)) && pw_pool_has_place(pool)) {
			pw_link_close(link, PW_LINK_END_CLEAN, "a nearer node serves", NULL);
			continue;
		}
		/* Better one that does not suit than none, unless nobody would bring it round. */
		link = pw_pool_take_idle(pool, NULL);
		if (!link || !take_for_want(pool, link, head))
			return;
	}
}

static void serve_queue(struct pw_pool *pool)
{
	pw_pool_let_go_on(pool);
	/* It is another one than before if a turn to log in has come or gone. */
	pw_pool_publish_head(pool);
	serve_each(pool);
	if (pool->n_held_up > 0)
		pw_pool_publish_head(pool);
}

/* Those who have to wait no longer for the one link that they want. */
static void serve_wanting(struct pw_pool *pool, bool in_turn)
{
	struct pw_link *link;
	struct pw_loan *loan;

	while (!pw_pool_is_paused(pool) && (loan = pw_pool_fulfilled(pool, in_turn, &link)) &&
	       pw_overflow_admits(link, loan))
		lend_to_waiter(pool, link, loan);
}

void pw_pool_serve(struct pw_pool *pool)
{
	if (!pool->goes_on_asking)
		pool->next_peer = 0;
	pool->goes_on_asking = false;
	refuse_failing(pool);
	pw_nodes_tend(pool);
	serve_welcome(pool);
	serve_wanting(pool, true);
	pw_pool_open_missing(pool);
	serve_queue(pool);
	/* Links that nobody else could take. */
	serve_wanting(pool, false);
}

/* ---- where a returned link goes ---- */

/* The worker whose head has waited longest; -1 = nobody waits anywhere else. */
static int oldest_other_head(const struct pw_pool *pool, uint64_t *since)
{
	int best = -1;

	for (unsigned i = 0; i < pool->pools->n_peers; i++) {
		uint64_t head;

		if (i == pool->pools->index)
			continue;
		head = atomic_load(&pool->shared->seats[i].head_since_us);
		if (head > 0 && (best < 0 || head < *since)) {
			best = (int)i;
			*since = head;
		}
	}
	return best;
}

static bool is_too_far(const struct pw_link *link, const struct pw_loan *loan)
{
	return pw_pool_is_of_replicas(link->pool) &&
	       !pw_nodes_admit(link, pw_nodes_near(link->pool, loan));
}

/* Gives the link to whoever has waited longest in the process, or who waits for that one; false =
 * nobody waits. */
static bool give_to_a_waiter(struct pw_pool *pool, struct pw_link *link)
{
	struct pw_loan *wanting = pw_pool_who_wants(pool, link->facts.id);
	struct pw_loan *head = pw_pool_head(pool);
	uint64_t own = head ? head->since_us : 0;
	uint64_t theirs = 0;
	int other = oldest_other_head(pool, &theirs);
	uint64_t oldest = own == 0 || (other >= 0 && theirs < own) ? theirs : own;

	if (wanting && pw_pool_goes_first(pool, wanting->since_us, oldest)) {
		head = wanting;
		other = -1;
	} else if (pw_pool_goes_first(pool, link->sought_since_us, oldest) &&
		   pw_pool_give_to_seeker(link)) {
		return true;
	}
	if (other >= 0 && (own == 0 || theirs + pw_pool_fair_margin(pool) < own) &&
	    pw_pool_hand_over_sought(link, wanting, (unsigned)other))
		return true;
	if (!head || head->replication != PW_REPLICATION_NONE || pool->pools->is_lending ||
	    !may_serve(link, head) || is_too_far(link, head) || !pw_overflow_admits(link, head))
		return false;
	lend_to_waiter(pool, link, head);
	return true;
}

static bool was_refused(struct pw_limit *limit)
{
	return atomic_load(&limit->has_refused) && atomic_exchange(&limit->has_refused, false);
}

/* Somebody may be waiting for a place in a limit that this idle link takes up. */
static void wake_the_refused(const struct pw_link *link)
{
	struct pw_shared_pool *shared = link->shared;
	bool wakes = was_refused(&shared->db->links);

	wakes |= was_refused(&shared->user->links);
	wakes |= pw_places_are_pressing(link) &&
		 was_refused(&link->facts.cluster->loads[link->facts.slot].links.taken);
	if (wakes)
		pw_pools_wake(link->pool->pools);
}

static void on_usable(struct pw_link *link)
{
	struct pw_pool *pool = link->pool;
	const char *reason = pw_pool_unfit_reason(pool, link);

	if (reason) {
		pw_link_close(link, PW_LINK_END_CLEAN, reason, NULL);
		return;
	}
	if (pw_pool_close_surplus(pool, link) || pw_places_close_surplus(link) ||
	    pw_places_yield(link) || pw_nodes_move(link) || give_to_a_waiter(pool, link))
		return;
	pw_link_goto(link, PW_LINK_IDLE);
	if (pw_pool_head(pool) || pool->n_wanting > 0)
		pw_task_post(pool->pools->loop, &pool->serve_task);
	else if (!give_to_a_waiter(pool, link))
		wake_the_refused(link);
}

/* ---- what logins bring ---- */

static void nudge_others(struct pw_pool *pool, bool even_without_queue)
{
	struct pw_shared_pool *shared = pool->shared;

	for (unsigned i = 0; i < pool->pools->n_peers; i++) {
		if (i != pool->pools->index &&
		    (even_without_queue || atomic_load(&shared->seats[i].head_since_us) > 0))
			pw_mail_nudge(pool->pools, shared->id, i);
	}
}

static void on_turn_over(struct pw_pool *pool, bool was_awaited)
{
	pw_task_post(pool->pools->loop, &pool->serve_task);
	nudge_others(pool, was_awaited);
}

static void on_own_logged_in(struct pw_pool *pool, struct pw_link *link)
{
	const char *reason = pw_pool_unfit_reason(pool, link);

	if (reason)
		pw_link_close(link, PW_LINK_END_CLEAN, reason, NULL);
	else
		lend(pool, link, link->loan);
}

static void on_logged_in(struct pw_link *link, struct pw_strbuf *welcome)
{
	struct pw_pool *pool = link->pool;
	struct pw_shared_pool *shared = pool->shared;
	struct pw_strbuf old;
	bool is_first;

	if (link->replication != PW_REPLICATION_NONE) {
		on_own_logged_in(pool, link);
		return;
	}
	pthread_mutex_lock(&shared->lock);
	old = shared->welcome;
	shared->welcome = *welcome;
	*welcome = old;
	is_first = atomic_fetch_add(&shared->welcome_version, 1) == 0;
	pthread_mutex_unlock(&shared->lock);
	pw_params_unref(&pool->pools->params, pool->welcome_params);
	pool->welcome_params = link->params ? pw_params_ref(link->params) : NULL;
	pool->welcome_version = atomic_load(&shared->welcome_version);
	pool->has_welcome = false;
	atomic_store(&shared->has_failed, false);
	atomic_store(&shared->retry_at_us, 0);
	/* Also those who wait for nothing but the welcome. */
	if (is_first) {
		pw_task_post(pool->pools->loop, &pool->serve_task);
		nudge_others(pool, true);
	}
}

/* A node that is down is the monitor's concern, and the next attempt may be to another one. */
static uint64_t login_retry(const struct pw_pool *pool)
{
	uint64_t retry = pool->pools->snapshot->conf->server_login_retry;
	uint64_t round = (uint64_t)pool->cluster_conf.monitor_interval;

	return pool->cluster && round < retry ? round : retry;
}

/* The next attempt may do better. Where we keep the connections to a node below a limit, and it has
 * none left, it takes a moment to let go of one that was closed. */
static bool is_passing(const struct pw_link *link, const struct pw_error *err)
{
	if (strcmp(err->sqlstate, PW_SQLSTATE_TOO_MANY_CONNECTIONS) == 0)
		return pw_places_are_limited(link);
	return strncmp(err->sqlstate, PW_SQLSTATE_CANNOT_CONNECT_NOW,
		       link->pool->cluster ? 3 : 5) == 0;
}

static void on_login_failed(struct pw_link *link, const struct pw_error *err, bool is_server_error)
{
	struct pw_pool *pool = link->pool;
	struct pw_shared_pool *shared = pool->shared;
	uint64_t retry = login_retry(pool);
	bool is_news;

	/* A user who may not replicate, say, is no news about anybody else's logins. */
	if (link->replication != PW_REPLICATION_NONE)
		return;
	pthread_mutex_lock(&shared->lock);
	is_news = pool->pools->snapshot_serial >= shared->defined_by;
	if (is_news) {
		shared->last_error = *err;
		atomic_store(&shared->has_failed, true);
		atomic_store(&shared->retry_at_us, link->facts.connect_us + retry);
	}
	pthread_mutex_unlock(&shared->lock);
	if (!is_news || !is_server_error || is_passing(link, err) ||
	    atomic_load(&shared->standing) > 0)
		return;
	pw_pool_refuse_all(pool, err, true);
	pw_mail_login_failed(pool->pools, shared->id);
}

static void on_own_given_up(struct pw_loan *loan)
{
	(void)pw_pool_borrow(loan);
}

const struct pw_link_ops pw_pool_link_ops = {
    .on_usable = on_usable,
    .on_logged_in = on_logged_in,
    .on_login_failed = on_login_failed,
    .on_turn_over = on_turn_over,
    .on_own_given_up = on_own_given_up,
    .on_gone = pw_pool_limits_given,
    .on_values_lost = pw_pool_on_values_lost,
    .on_place_free = pw_pools_wake,
};

/* ---- what logins of clients bring ---- */

void pw_pool_learn_secret(struct pw_pool *pool, const char *secret)
{
	struct pw_credentials *c = &pool->shared->credentials;

	pthread_mutex_lock(&pool->shared->lock);
	/* Without memory the server login will fail and say so. */
	if ((!c->secret.data || strcmp(c->secret.data, secret) != 0) &&
	    pw_secret_set(&c->secret, secret, strlen(secret)) != PW_OK)
		pw_secret_fini(&c->secret);
	pthread_mutex_unlock(&pool->shared->lock);
}

void pw_pool_learn_keys(struct pw_pool *pool, const struct pw_scram_keys *keys)
{
	pthread_mutex_lock(&pool->shared->lock);
	pool->shared->credentials.keys = *keys;
	pthread_mutex_unlock(&pool->shared->lock);
}

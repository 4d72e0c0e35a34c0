/* SPDX-License-Identifier: PostgreSQL
 *
 * The loans of one pool in one worker: who waits, for what, since when; and how the wait ends
 * without a link. Whoever changes the queue publishes its head for the other workers.
 */
#include "config.h"

#include "pool_priv.h"

#include <string.h>

#include "pgweir/base/assert.h"

enum { FAIR_MARGIN_US = 2000 };

void pw_loan_init(struct pw_loan *loan, const struct pw_borrower_ops *ops)
{
	memset(loan, 0, sizeof(*loan));
	pw_list_init(&loan->node);
	loan->ops = ops;
}

void pw_loan_bind(struct pw_loan *loan, struct pw_pool *pool)
{
	pw_assert(!loan->pool);
	loan->pool = pool;
	loan->mode = pool->conf.mode;
	pool->n_guests++;
	pool->empty_since_us = 0;
}

void pw_loan_unbind(struct pw_loan *loan)
{
	if (!loan->pool)
		return;
	pw_assert(loan->state == PW_LOAN_NONE);
	if (loan->last)
		pw_link_forget_last(loan->last);
	loan->pool->n_guests--;
	loan->pool = NULL;
}

void pw_loan_move(struct pw_loan *loan, struct pw_pool *pool)
{
	pw_assert(loan->state == PW_LOAN_NONE);
	loan->pool->n_guests--;
	loan->pool = pool;
	pool->n_guests++;
	pool->empty_since_us = 0;
}

/* Who was lent a link, as happens with each transaction, or goes, leaves the node as full as it
 * was: to wake everybody for that would cost more than that the next one is noted a moment later.
 */
void pw_pool_leave_places(struct pw_pool *pool, uint64_t since_us, bool has_one)
{
	bool wakes = false;

	for (uint64_t left = pool->places_awaited; left != 0; left &= left - 1) {
		struct pw_fair_limit *links = &pool->cluster->loads[__builtin_ctzll(left)].links;

		wakes |= has_one ? pw_fair_limit_leave(links, since_us)
				 : pw_fair_limit_leave_full(links, since_us);
	}
	if (wakes)
		pool->pools->link_ops->on_place_free(pool->pools);
}

static void leave_fair_limits(struct pw_pool *pool, uint64_t since_us)
{
	if (pool->cluster && pw_fair_limit_leave(&pool->cluster->overflow, since_us))
		pool->pools->link_ops->on_place_free(pool->pools);
	pw_pool_leave_places(pool, since_us, false);
}

void pw_pool_leave_cluster(struct pw_pool *pool)
{
	PW_LIST_FOREACH (node, &pool->waiting) {
		leave_fair_limits(pool, PW_CONTAINER(node, struct pw_loan, node)->since_us);
	}
	pw_pool_leave_places(pool, pool->welcoming_since_us, false);
	pool->places_awaited = 0;
}

static void leave_queue(struct pw_loan *loan)
{
	struct pw_pool *pool = loan->pool;

	leave_fair_limits(pool, loan->since_us);
	pool->n_waiting--;
	loan->since_us = 0;
	if (pool->n_waiting == 0 && pool->welcoming_since_us == 0)
		pool->places_awaited = 0;
	pw_pool_publish_head(pool);
}

static void leave_welcoming(struct pw_pool *pool)
{
	if (pool->welcoming_since_us == 0 || !pw_list_is_empty(&pool->welcoming))
		return;
	pw_pool_leave_places(pool, pool->welcoming_since_us, false);
	pool->welcoming_since_us = 0;
}

/* Leaves whatever list it is in. */
void pw_loan_dequeue(struct pw_loan *loan)
{
	struct pw_pool *pool = loan->pool;

	pw_list_remove(&loan->node);
	pool->n_held_up -= loan->is_held_up;
	loan->is_held_up = false;
	if (loan->since_us > 0)
		leave_queue(loan);
	leave_welcoming(pool);
	pool->n_wanting -= loan->wants != 0;
	loan->wants = 0;
	loan->state = PW_LOAN_NONE;
}

void pw_loan_hold_up(struct pw_loan *loan)
{
	loan->is_held_up = true;
	loan->pool->n_held_up++;
}

void pw_pool_let_go_on(struct pw_pool *pool)
{
	if (pool->n_held_up == 0)
		return;
	PW_LIST_FOREACH (node, &pool->waiting) {
		PW_CONTAINER(node, struct pw_loan, node)->is_held_up = false;
	}
	pool->n_held_up = 0;
}

void pw_loan_want_no_more(struct pw_loan *loan)
{
	pw_assert(loan->state == PW_LOAN_WAITING);
	if (loan->wants == 0)
		return;
	loan->wants = 0;
	loan->pool->n_wanting--;
	pw_task_post(loan->pool->pools->loop, &loan->pool->serve_task);
}

struct pw_loan *pw_pool_who_wants(const struct pw_pool *pool, uint64_t link_id)
{
	if (pool->n_wanting == 0)
		return NULL;
	PW_LIST_FOREACH (node, &pool->waiting) {
		struct pw_loan *loan = PW_CONTAINER(node, struct pw_loan, node);

		if (loan->wants == link_id)
			return loan;
	}
	return NULL;
}

struct pw_link *pw_pool_idle_link(const struct pw_pool *pool, uint64_t link_id)
{
	PW_LIST_FOREACH (node, &pool->idle) {
		struct pw_link *link = PW_CONTAINER(node, struct pw_link, pool_node);

		if (link->facts.id == link_id)
			return link;
	}
	return NULL;
}

/* A link of its own needs a turn to log in, and a server may keep it from that for long. */
static bool can_be_served(const struct pw_loan *loan)
{
	const struct pw_pool *pool = loan->pool;

	if (loan->wants != 0 || loan->is_held_up)
		return false;
	return loan->replication == PW_REPLICATION_NONE ||
	       pw_limit_has_room(&pool->shared->logins,
				 pool->pools->snapshot->conf->max_server_logins);
}

struct pw_loan *pw_pool_waiter(const struct pw_pool *pool, unsigned n)
{
	PW_LIST_FOREACH (node, &pool->waiting) {
		struct pw_loan *loan = PW_CONTAINER(node, struct pw_loan, node);

		if (can_be_served(loan) && n-- == 0)
			return loan;
	}
	return NULL;
}

struct pw_loan *pw_pool_head(const struct pw_pool *pool)
{
	return pw_pool_waiter(pool, 0);
}

void pw_pools_try_again(struct pw_pools *pools)
{
	if (!pw_timer_is_armed(&pools->retry))
		pw_loop_arm(pools->loop, &pools->retry, PW_FAIR_RETRY_US);
}

static void note_wait(struct pw_pool *pool, uint64_t waited_us)
{
	unsigned mean = atomic_load_explicit(&pool->shared->mean_wait_us, memory_order_relaxed);
	unsigned wait = waited_us > UINT32_MAX ? UINT32_MAX : (unsigned)waited_us;

	pool->stats.now.wait_time += waited_us;
	atomic_store_explicit(&pool->shared->mean_wait_us, mean - mean / 8 + wait / 8,
			      memory_order_relaxed);
}

uint64_t pw_pool_fair_margin(const struct pw_pool *pool)
{
	uint64_t quarter =
	    atomic_load_explicit(&pool->shared->mean_wait_us, memory_order_relaxed) / 4;

	return quarter > FAIR_MARGIN_US ? quarter : FAIR_MARGIN_US;
}

bool pw_pool_goes_first(const struct pw_pool *pool, uint64_t since, uint64_t than)
{
	return since > 0 && (than == 0 || since <= than + pw_pool_fair_margin(pool));
}

void pw_loan_end_wait(struct pw_loan *loan)
{
	note_wait(loan->pool, loan->pool->pools->loop->now_us - loan->since_us);
	pw_loan_dequeue(loan);
}

/* The link that is being opened for the loan has no more use. */
static void abandon_own(struct pw_loan *loan)
{
	loan->state = PW_LOAN_NONE;
	PW_LIST_FOREACH (node, &loan->pool->opening) {
		struct pw_link *link = PW_CONTAINER(node, struct pw_link, pool_node);

		if (link->loan != loan)
			continue;
		link->loan = NULL;
		pw_link_close(link, PW_LINK_END_CLEAN, "replication client was closed", NULL);
		return;
	}
}

void pw_pool_withdraw(struct pw_loan *loan)
{
	if (loan->state == PW_LOAN_WAITING)
		pw_loan_dequeue(loan);
	else if (loan->state == PW_LOAN_OPENING)
		abandon_own(loan);
}

void pw_pool_publish_head(struct pw_pool *pool)
{
	struct pw_seat *seat = &pool->shared->seats[pool->pools->index];
	const struct pw_loan *head = pw_pool_head(pool);
	uint64_t since = head ? head->since_us : 0;

	if (pool->pools->n_peers > 1 &&
	    atomic_load_explicit(&seat->head_since_us, memory_order_relaxed) != since)
		atomic_store(&seat->head_since_us, since);
}

void pw_loans_refuse(struct pw_list *list, const struct pw_error *err)
{
	struct pw_list *node;

	while ((node = pw_list_first(list))) {
		struct pw_loan *loan = PW_CONTAINER(node, struct pw_loan, node);

		pw_loan_dequeue(loan);
		loan->ops->on_refused(loan, err);
	}
}

void pw_pool_refuse_all(struct pw_pool *pool, const struct pw_error *err, bool with_queue)
{
	pw_loans_refuse(&pool->welcoming, err);
	if (with_queue)
		pw_loans_refuse(&pool->waiting, err);
}

void pw_pool_welcome_all(struct pw_pool *pool)
{
	struct pw_list *node;

	while ((node = pw_list_first(&pool->welcoming))) {
		struct pw_loan *loan = PW_CONTAINER(node, struct pw_loan, node);

		pw_loan_dequeue(loan);
		loan->ops->on_welcome(loan);
	}
}

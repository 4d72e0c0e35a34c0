/* SPDX-License-Identifier: PostgreSQL
 *
 * Loans that want one link and no other, for the values that its sequences have. Where another
 * worker has it, a mail goes from one to the next until it is found; it stays with the link until
 * that is free and goes to whoever seeks it, or until the values are lost, and then goes home.
 */
#include "config.h"

#include <stdlib.h>

#include "pgweir/base/assert.h"
#include "pool_priv.h"

struct pw_seek {
	struct pw_mail mail;
	struct pw_pools *to;
	uint64_t pool_id, link_id, owner_id;
	uint64_t since_us;
	unsigned from;
};

static void discard_seek(struct pw_mail *mail)
{
	free(PW_CONTAINER(mail, struct pw_seek, mail));
}

/* The link is not to be had. */
static void deliver_failure(struct pw_mail *mail, void *receiver PW_UNUSED)
{
	struct pw_seek *seek = PW_CONTAINER(mail, struct pw_seek, mail);
	struct pw_pool *pool = pw_pools_find_by_id(seek->to, seek->pool_id);
	struct pw_loan *loan = pool ? pw_pool_who_wants(pool, seek->link_id) : NULL;

	if (loan && loan->owner_id == seek->owner_id)
		pw_loan_want_no_more(loan);
	free(seek);
}

static void post(struct pw_seek *seek, struct pw_pools *to)
{
	seek->to = to;
	pw_mailbox_post(to->mailbox, &seek->mail);
}

static void go_home(struct pw_seek *seek, const struct pw_pools *here)
{
	seek->mail.deliver = deliver_failure;
	post(seek, here->peers[seek->from]);
}

static struct pw_link *find(const struct pw_list *list, uint64_t id)
{
	PW_LIST_FOREACH (node, list) {
		struct pw_link *link = PW_CONTAINER(node, struct pw_link, pool_node);

		if (link->facts.id == id)
			return link;
	}
	return NULL;
}

static struct pw_link *find_in_pool(const struct pw_pool *pool, uint64_t id)
{
	const struct pw_list *const lists[] = {&pool->idle, &pool->stale, &pool->checking,
					       &pool->busy, &pool->canceled};
	struct pw_link *link = NULL;

	for (size_t i = 0; i < PW_COUNTOF(lists) && !link; i++)
		link = find(lists[i], id);
	return link;
}

struct pw_loan *pw_pool_fulfilled(const struct pw_pool *pool, bool in_turn, struct pw_link **link)
{
	const struct pw_loan *head = in_turn ? pw_pool_head(pool) : NULL;

	if (pool->n_wanting == 0)
		return NULL;
	PW_LIST_FOREACH (node, &pool->idle) {
		struct pw_loan *loan;

		*link = PW_CONTAINER(node, struct pw_link, pool_node);
		loan = pw_pool_who_wants(pool, (*link)->facts.id);
		if (loan && pw_pool_goes_first(pool, loan->since_us, head ? head->since_us : 0))
			return loan;
	}
	return NULL;
}

static void set_seek(struct pw_link *link, struct pw_seek *seek)
{
	link->seek = seek;
	link->sought_since_us = seek ? seek->since_us : 0;
}

bool pw_pool_give_to_seeker(struct pw_link *link)
{
	struct pw_seek *seek = link->seek;

	if (!seek)
		return false;
	set_seek(link, NULL);
	if (pw_link_hand_over(link, seek->from)) {
		free(seek);
		return true;
	}
	go_home(seek, link->pool->pools);
	return false;
}

static void look_at_age(struct pw_link *link)
{
	pw_pool_check_age(link);
	if (link->state == PW_LINK_STALE)
		pw_link_check(link);
}

static void deliver_seek(struct pw_mail *mail, void *receiver PW_UNUSED)
{
	struct pw_seek *seek = PW_CONTAINER(mail, struct pw_seek, mail);
	struct pw_pools *here = seek->to;
	struct pw_pool *pool = pw_pools_find_by_id(here, seek->pool_id);
	struct pw_link *link = pool ? find_in_pool(pool, seek->link_id) : NULL;
	unsigned next = (here->index + 1) % here->n_peers;

	if (!link && next != seek->from) {
		post(seek, here->peers[next]);
		return;
	}
	if (!link || link->facts.drawer != seek->owner_id || link->seek) {
		go_home(seek, here);
		return;
	}
	set_seek(link, seek);
	look_at_age(link);
	if (link->state == PW_LINK_IDLE)
		(void)pw_pool_give_to_seeker(link);
}

/* From worker `at` on; false: it cannot be asked for. */
static bool seek_elsewhere(const struct pw_loan *loan, unsigned at)
{
	struct pw_pools *pools = loan->pool->pools;
	struct pw_seek *seek = pools->n_peers > 1 ? calloc(1, sizeof(*seek)) : NULL;

	if (!seek)
		return false;
	seek->mail.deliver = deliver_seek;
	seek->mail.discard = discard_seek;
	seek->pool_id = loan->pool->shared->id;
	seek->link_id = loan->wants;
	seek->owner_id = loan->owner_id;
	seek->since_us = loan->since_us > 0 ? loan->since_us : pools->loop->now_us;
	seek->from = pools->index;
	post(seek, pools->peers[at]);
	return true;
}

bool pw_pool_hand_over_sought(struct pw_link *link, struct pw_loan *wanting, unsigned to)
{
	struct pw_pools *pools = link->pool->pools;
	struct pw_seek *seek = link->seek;

	set_seek(link, NULL);
	if (!pw_link_hand_over(link, to)) {
		set_seek(link, seek);
		return false;
	}
	if (seek)
		post(seek, pools->peers[to]);
	if (wanting && !seek_elsewhere(wanting, to))
		pw_loan_want_no_more(wanting);
	return true;
}

void pw_pool_reach_for_wanted(struct pw_loan *loan)
{
	const struct pw_pools *pools = loan->pool->pools;
	struct pw_link *link;

	if (loan->wants == 0)
		return;
	link = find_in_pool(loan->pool, loan->wants);
	if (loan->needs_new || (link && !pw_link_has_draws_of(link, loan)) ||
	    (!link && !seek_elsewhere(loan, (pools->index + 1) % pools->n_peers)))
		loan->wants = 0;
	else if (link)
		look_at_age(link);
}

void pw_pool_on_values_lost(struct pw_link *link)
{
	struct pw_loan *loan = pw_pool_who_wants(link->pool, link->facts.id);

	if (loan)
		pw_loan_want_no_more(loan);
	if (link->seek)
		go_home(link->seek, link->pool->pools);
	set_seek(link, NULL);
}

/* SPDX-License-Identifier: PostgreSQL
 *
 * The states of a link, each a row: its name in SHOW SERVERS, what may follow it, its list in the
 * pool, its time limit. And what changes with them: what is expected, who has the link, its end.
 */
#include "config.h"

#include "pgweir/pool/link.h"

#include <stdlib.h>
#include <string.h>

#include "link_priv.h"
#include "pgweir/base/assert.h"
#include "pgweir/pool/objects.h"
#include "pgweir/proto/writer.h"

#define BIT(state) (1u << PW_LINK_##state)

struct link_step {
	const char *name;
	unsigned may_follow;
	size_t home;       /* offset of the list in struct pw_pool */
	size_t time_limit; /* offset of a TIME setting, or NO_LIMIT */
	const char *timeout_reason;
};

#define HOME(list)  offsetof(struct pw_pool, list)
#define LIMIT(name) offsetof(struct pw_conf, name)
#define NO_LIMIT    SIZE_MAX
#define OPENING     HOME(opening), LIMIT(server_connect_timeout)
/* Something of a client's may run there. */
#define AT_WORK       (BIT(LENT) | BIT(DRAINING) | BIT(CANCELED))
#define AFTER_RELEASE (BIT(IDLE) | BIT(LENT) | BIT(CLEANING) | BIT(LEARNING) | BIT(CLOSED))

static const struct link_step steps[PW_LINK_N_STATES] = {
    [PW_LINK_RESOLVING] = {"new", BIT(CONNECTING) | BIT(CLOSED), OPENING, "connect timeout"},
    [PW_LINK_CONNECTING] = {"new", BIT(TLS_REQUEST) | BIT(LOGIN) | BIT(CLOSED), OPENING,
			    "connect failed"},
    [PW_LINK_TLS_REQUEST] = {"new", BIT(TLS_HANDSHAKE) | BIT(LOGIN) | BIT(CLOSED), OPENING,
			     "connect timeout"},
    [PW_LINK_TLS_HANDSHAKE] = {"new", BIT(LOGIN) | BIT(CLOSED), OPENING, "connect timeout"},
    [PW_LINK_LOGIN] = {"new", BIT(SETUP) | BIT(RETURNING) | BIT(LENT) | BIT(CLOSED), OPENING,
		       "connect timeout"},
    [PW_LINK_SETUP] = {"new", BIT(RETURNING) | BIT(CLOSED), OPENING, "connect timeout"},
    [PW_LINK_IDLE] = {"idle", BIT(LENT) | BIT(STALE) | BIT(CHECKING) | BIT(CLOSED), HOME(idle),
		      NO_LIMIT, NULL},
    [PW_LINK_STALE] = {"used", BIT(CHECKING) | BIT(CLOSED), HOME(stale), NO_LIMIT, NULL},
    [PW_LINK_CHECKING] = {"tested", BIT(RETURNING) | BIT(CLOSED), HOME(checking),
			  LIMIT(server_connect_timeout), "server check timed out"},
    [PW_LINK_LENT] = {"active", BIT(RETURNING) | BIT(DRAINING) | BIT(CANCELED) | AFTER_RELEASE,
		      HOME(busy), NO_LIMIT, NULL},
    [PW_LINK_RETURNING] = {"active", BIT(CANCELED) | AFTER_RELEASE, HOME(busy), NO_LIMIT, NULL},
    [PW_LINK_DRAINING] = {"active", BIT(RETURNING) | BIT(CLOSED), HOME(busy),
			  LIMIT(abandoned_query_timeout), "abandoned query timeout"},
    [PW_LINK_CANCELED] = {"being_canceled", BIT(RETURNING) | AFTER_RELEASE, HOME(canceled),
			  LIMIT(cancel_wait_timeout), "cancel timed out"},
    [PW_LINK_CLEANING] = {"tested", BIT(RETURNING) | BIT(CLOSED), HOME(checking),
			  LIMIT(abandoned_query_timeout), "reset timed out"},
    [PW_LINK_LEARNING] = {"tested", BIT(RETURNING) | BIT(CLOSED), HOME(busy),
			  LIMIT(abandoned_query_timeout), "code check timed out"},
    [PW_LINK_CLOSED] = {"closed", 0, HOME(busy), NO_LIMIT, NULL},
};

const char *pw_link_timeout_reason(enum pw_link_state state)
{
	return steps[state].timeout_reason;
}

const char *pw_link_state_name(enum pw_link_state state)
{
	return steps[state].name;
}

struct pw_list *pw_pool_home(struct pw_pool *pool, enum pw_link_state state)
{
	return (struct pw_list *)((char *)pool + steps[state].home);
}

static uint64_t time_limit(const struct pw_link *link)
{
	const struct pw_conf *conf = link->pool->pools->snapshot->conf;
	uint64_t limit = 0;

	if (steps[link->state].time_limit != NO_LIMIT)
		memcpy(&limit, (const char *)conf + steps[link->state].time_limit, sizeof(limit));
	return limit;
}

/* Other workers may ask for it: a stale one is checked first. */
static bool is_unused(enum pw_link_state state)
{
	return state == PW_LINK_IDLE || state == PW_LINK_STALE;
}

/* What the pool makes of its logins; a loan's own link takes but its turn to log in. */
static void count_login(struct pw_link *link, bool was_opening)
{
	struct pw_shared_pool *shared = link->shared;
	bool is_common = link->replication == PW_REPLICATION_NONE;
	bool is_closed = link->state == PW_LINK_CLOSED;
	bool was_awaited;

	if (was_opening && !pw_link_is_opening(link->state)) {
		was_awaited = pw_limit_give(&shared->logins);
		link->pool->n_opening -= is_common;
		atomic_fetch_add(&shared->standing, is_common && !is_closed);
		if (!is_common || !is_closed)
			link->pool->pools->link_ops->on_turn_over(link->pool, was_awaited);
	} else if (!was_opening && is_closed) {
		atomic_fetch_sub(&shared->standing, is_common);
	}
}

void pw_link_count(const struct pw_link *link, int change)
{
	uint16_t *links = link->pool->node_links;
	int slot = link->facts.slot;

	if (slot != PW_NO_SLOT)
		links[slot] = (uint16_t)(links[slot] + change);
}

void pw_link_end_overflow(struct pw_link *link)
{
	struct pw_fair_limit *overflow = link->overflow;

	link->overflow = NULL;
#ifdef PW_MUTANT_OVERFLOW_NOT_GIVEN_BACK
	overflow = NULL;
#endif
	if (overflow && pw_fair_limit_give(overflow))
		link->pool->pools->link_ops->on_place_free(link->pool->pools);
}

void pw_link_rest(struct pw_link *link)
{
	pw_link_end_overflow(link);
	if (link->load)
		atomic_fetch_sub_explicit(&link->load->busy, 1, memory_order_relaxed);
	link->load = NULL;
}

/* How much the nodes of a cluster have to do. */
static void count_node(struct pw_link *link, enum pw_link_state next)
{
	if (!(AT_WORK & 1u << next)) {
		pw_link_rest(link);
	} else if (!link->load && link->facts.slot != PW_NO_SLOT) {
		link->load = &link->facts.cluster->loads[link->facts.slot];
		atomic_fetch_add_explicit(&link->load->busy, 1, memory_order_relaxed);
		atomic_fetch_add_explicit(link->pool->routing == PW_ROUTING_REPLICA
					      ? &link->load->reads
					      : &link->load->others,
					  1, memory_order_relaxed);
	}
	if (next == PW_LINK_CLOSED)
		pw_link_count(link, -1);
}

void pw_link_goto(struct pw_link *link, enum pw_link_state state)
{
	struct pw_loop *loop = link->pool->pools->loop;
	uint64_t limit;
	bool was_opening = pw_link_is_opening(link->state);

	pw_assert(steps[link->state].may_follow & 1u << state);
	if (is_unused(link->state) != is_unused(state)) {
		struct pw_seat *seat = &link->shared->seats[link->pool->pools->index];

		atomic_fetch_add(&seat->idle, is_unused(state) ? 1 : -1);
	}
	count_node(link, state);
	link->state = state;
	link->state_since_us = loop->now_us;
	pw_list_remove(&link->pool_node);
	if (state != PW_LINK_CLOSED)
		pw_list_prepend(pw_pool_home(link->pool, state), &link->pool_node);
	count_login(link, was_opening);
	/* The steps of a login share one limit, counted from its beginning. */
	if (was_opening && pw_link_is_opening(state))
		return;
	pw_timer_disarm(&link->timer);
	limit = time_limit(link);
	if (limit > 0)
		pw_loop_arm(loop, &link->timer, limit);
}

/* ---- what is expected ---- */

/* Any Query drops the unnamed statement; where its borrower knows nothing of that, it still has
 * one. */
static void note_unnamed(struct pw_link *link, const struct pw_expect *entry)
{
	if (entry->flags & PW_EXPECT_UNNAMED) {
		link->has_unnamed |= !pw_link_skips_next(link);
	} else if (entry->role == PW_ROLE_QUERY) {
		link->has_unnamed = false;
		link->is_unnamed_sure = false;
	}
}

enum pw_status pw_link_expect(struct pw_link *link, const struct pw_expect *entry)
{
	enum pw_status status = pw_expect_push(&link->expects, entry);

	if (status != PW_OK)
		return status;
	note_unnamed(link, entry);
	if (pw_expect_is_sync_point(entry)) {
		link->is_batch_open = false;
		link->is_discarding = false;
	} else if (!(entry->flags & PW_EXPECT_LOCAL) && entry->role != PW_ROLE_COPY_END) {
		link->is_batch_open = true;
	}
	return PW_OK;
}

void pw_link_settle(struct pw_link *link, const struct pw_expect *entry, bool is_done)
{
#ifdef PW_MUTANT_NOTHING_UNDONE
	is_done = true;
#endif
	if (entry->flags & PW_EXPECT_KNOWN && entry->role == PW_ROLE_PARSE)
		pw_known_parse_settled(&link->facts.known);
	if (entry->flags & PW_EXPECT_KNOWN && !is_done) {
		if (entry->role == PW_ROLE_PARSE)
			pw_known_remove(&link->facts.known, entry->statement);
		else if (pw_known_add(&link->facts.known, entry->statement) != PW_OK)
			link->facts.must_close = true;
	}
	if (entry->flags & PW_EXPECT_UNNAMED && !is_done)
		link->has_unnamed &= link->is_unnamed_sure;
	if ((entry->flags & (PW_EXPECT_LOCAL | PW_EXPECT_UNNAMED) || entry->object) && link->loan)
		link->loan->ops->on_settled(link->loan, entry, is_done);
}

void pw_link_settle_local(struct pw_link *link)
{
	const struct pw_expect *head;

	while (!link->is_skipping && (head = pw_expect_at(&link->expects, 0)) &&
	       (head->flags & PW_EXPECT_LOCAL || head->role == PW_ROLE_COPY_END)) {
		/* A CopyDone that reaches the head had no COPY: the server ignores it. */
		struct pw_expect entry = pw_expect_pop(&link->expects);

		pw_link_settle(link, &entry, true);
	}
}

/* Drops the first n entries, undoing from the last of them. */
void pw_link_undo_first(struct pw_link *link, uint32_t n)
{
	for (uint32_t i = n; i > 0; i--)
		pw_link_settle(link, pw_expect_at(&link->expects, i - 1), false);
	for (uint32_t i = 0; i < n; i++)
		(void)pw_expect_pop(&link->expects);
}

enum pw_status pw_link_query(struct pw_link *link, const char *sql)
{
	const struct pw_expect entry = {.role = PW_ROLE_QUERY, .flags = PW_EXPECT_SWALLOW};
	struct pw_strbuf out = PW_STRBUF_INIT;
	enum pw_status status = PW_ENOMEM;

	pw_write_query(&out, sql);
	if (!out.has_failed)
		status = pw_link_expect(link, &entry);
	if (status == PW_OK)
		pw_stream_send(&link->stream, out.data, out.len);
	pw_strbuf_fini(&out);
	return status;
}

/* ---- who has it ---- */

void pw_link_forget_last(struct pw_link *link)
{
	if (link->last)
		link->last->last = NULL;
	link->last = NULL;
}

static void note_owner(struct pw_link *link, struct pw_loan *loan)
{
	struct pw_link_facts *facts = &link->facts;

	facts->last_owner = loan->owner_id;
	/* Nobody looks at what it does. */
	if (!loan->is_strict)
		pw_link_forget_draws(link, PW_DRAWER_UNKNOWN);
	if (link->last == loan)
		return;
	pw_link_forget_last(link);
	if (loan->last)
		pw_link_forget_last(loan->last);
	link->last = loan;
	loan->last = link;
}

void pw_link_lend(struct pw_link *link, struct pw_loan *loan)
{
	pw_link_goto(link, PW_LINK_LENT);
	note_owner(link, loan);
	link->loan = loan;
	link->has_discard_error = false;
	link->has_restore_error = false;
	link->has_unnamed = false;
	link->is_unnamed_sure = false;
	link->facts.last_used_us = link->pool->pools->loop->now_us;
	link->request_us = 0;
	link->transaction_us = 0;
	loan->link = link;
	loan->wants = 0;
	loan->state = PW_LOAN_HOLDING;
	loan->pool->stats.now.server_assignment_count++;
}

void pw_link_cancel_began(struct pw_link *link, struct pw_link_cancel *cancel)
{
	cancel->link = link;
	pw_list_append(&link->cancels, &cancel->node);
}

void pw_link_cancel_ended(struct pw_link_cancel *cancel, bool was_sent)
{
	struct pw_link *link = cancel->link;

	pw_list_remove(&cancel->node);
	cancel->link = NULL;
	if (!link)
		return;
	/* Was it sent or not? Then it may still strike: the link is not for anybody else. */
	if (!was_sent)
		link->facts.must_close = true;
	pw_task_post(link->pool->pools->loop, &link->go_on_task);
}

/* Its requests go on without it. */
static void forget_cancels(struct pw_link *link)
{
	struct pw_list *node;

	while ((node = pw_list_first(&link->cancels))) {
		PW_CONTAINER(node, struct pw_link_cancel, node)->link = NULL;
		pw_list_remove(node);
	}
}

/* ---- its end ---- */

static void tell_borrower(struct pw_loan *loan, const struct pw_error *err, bool is_told)
{
	struct pw_error crashed;

	if (!err && !is_told) {
		pw_error_set(&crashed, PW_SQLSTATE_PROTOCOL_VIOLATION, "server conn crashed?");
		pw_error_detail(&crashed, "The connection to the PostgreSQL server was lost while "
					  "this client was using it.");
		err = &crashed;
	}
	loan->state = PW_LOAN_NONE;
	loan->link = NULL;
	loan->ops->on_lost(loan, err);
}

void pw_link_end_learning(struct pw_link *link)
{
	struct pw_link_learning *learning = link->learning;
	struct pw_shared_db *db = link->shared->db;
	uint64_t now = link->pool->pools->loop->now_us;
	uint64_t took = pw_clock_since(learning->since_us, now);

	if (learning->is_of_readable) {
		pw_readables_end(&db->readables, learning->readable, now);
		atomic_store(&db->readables.took_us, took);
	} else {
		pw_code_end(&db->code, learning->verdict, now);
		atomic_store(&db->code.took_us, took);
	}
	if (link->state == PW_LINK_LEARNING)
		link->pool->n_learning--;
	pw_strbuf_fini(&learning->rows);
	free(learning);
	link->learning = NULL;
}

void pw_link_close(struct pw_link *link, enum pw_link_end end, const char *reason,
		   const struct pw_error *err)
{
	struct pw_pools *pools = link->pool->pools;
	struct pw_shared_pool *shared = link->shared;
	struct pw_loan *loan = link->loan;
	bool was_opening = pw_link_is_opening(link->state);
	uint64_t age_s = pw_clock_since(link->facts.connect_us, pools->loop->now_us) / PW_SECOND_US;

	if (link->state == PW_LINK_CLOSED)
		return;
	if (pools->snapshot->conf->log_disconnections || end != PW_LINK_END_CLEAN)
		pw_log_info(&link->log, "closing because: %s (age=%llus)", reason,
			    (unsigned long long)age_s);
	/* A borrower may be in the middle of a message, and these bytes would be taken for the rest
	 * of it. */
	if (end == PW_LINK_END_CLEAN && link->state >= PW_LINK_SETUP && !loan &&
	    !link->stream.backlog)
		pw_stream_send(&link->stream, "X\0\0\0\4", 5);
	/* A waiter may have counted on it. */
	if (link->state == PW_LINK_CHECKING || link->state == PW_LINK_LEARNING)
		pw_task_post(pools->loop, &link->pool->serve_task);
	pw_link_undo_first(link, link->expects.n);
	forget_cancels(link);
	pw_link_forget_last(link);
	pw_link_forget_draws(link, 0);
	if (link->learning)
		pw_link_end_learning(link);
	pw_link_goto(link, PW_LINK_CLOSED);
	pw_timer_disarm(&link->timer);
	pw_task_cancel(&link->go_on_task);
	pw_stream_close(&link->stream);
	pw_reader_fini(&link->reader);
	pw_expect_fini(&link->expects);
	pw_known_fini(&link->facts.known);
	pw_strbuf_fini(&link->types);
	pw_params_unref(&pools->params, link->params);
	link->params = NULL;
	pw_state_unref(link->settings);
	link->settings = NULL;
	link->loan = NULL;
	explicit_bzero(link->facts.cancel_key, sizeof(link->facts.cancel_key));
	/* Whoever waits may have the place before the borrower hears of its loss. */
	pools->link_ops->on_gone(pools, shared, &link->facts);
	pw_registry_put_pool(pools->registry, shared);
	pw_task_post(pools->loop, &link->free_task);
	if (loan && was_opening && end == PW_LINK_END_CLEAN) {
		loan->state = PW_LOAN_NONE;
		pools->link_ops->on_own_given_up(loan);
	} else if (loan) {
		tell_borrower(loan, err, link->has_told_fatal);
	}
}

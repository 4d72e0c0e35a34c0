/* SPDX-License-Identifier: PostgreSQL
 *
 * Life of a link. Each state is a row: its name in SHOW SERVERS, its list in the pool, what its
 * time limit is, what bytes from the server mean in it.
 */
#include "config.h"

#include "pgweir/pool/link.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "link_priv.h"
#include "pgweir/base/assert.h"
#include "pgweir/pool/cancel.h"
#include "pgweir/pool/pool.h"
#include "pgweir/proto/writer.h"

#define BIT(state) (1u << PW_LINK_##state)

struct link_step {
	const char *name;
	unsigned may_follow;
	size_t home;       /* offset of the list in struct pw_pool */
	size_t time_limit; /* offset of a TIME setting, or NO_LIMIT */
	const char *timeout_reason;
	void (*on_data)(struct pw_link *link, const uint8_t *data, size_t len);
};

#define HOME(list)    offsetof(struct pw_pool, list)
#define LIMIT(name)   offsetof(struct pw_conf, name)
#define NO_LIMIT      SIZE_MAX
#define OPENING       HOME(opening), LIMIT(server_connect_timeout)
#define AFTER_RELEASE (BIT(IDLE) | BIT(LENT) | BIT(CLEANING) | BIT(CLOSED))

static const struct link_step steps[PW_LINK_N_STATES] = {
    [PW_LINK_RESOLVING] = {"new", BIT(CONNECTING) | BIT(CLOSED), OPENING, "connect timeout", NULL},
    [PW_LINK_CONNECTING] = {"new", BIT(TLS_REQUEST) | BIT(LOGIN) | BIT(CLOSED), OPENING,
			    "connect failed", NULL},
    [PW_LINK_TLS_REQUEST] = {"new", BIT(TLS_HANDSHAKE) | BIT(LOGIN) | BIT(CLOSED), OPENING,
			     "connect timeout", pw_link_login_data},
    [PW_LINK_TLS_HANDSHAKE] = {"new", BIT(LOGIN) | BIT(CLOSED), OPENING, "connect timeout", NULL},
    [PW_LINK_LOGIN] = {"new", BIT(SETUP) | BIT(RETURNING) | BIT(CLOSED), OPENING, "connect timeout",
		       pw_link_login_data},
    [PW_LINK_SETUP] = {"new", BIT(RETURNING) | BIT(CLOSED), OPENING, "connect timeout",
		       pw_link_account_data},
    [PW_LINK_IDLE] = {"idle", BIT(LENT) | BIT(STALE) | BIT(CHECKING) | BIT(CLOSED), HOME(idle),
		      NO_LIMIT, NULL, pw_link_account_data},
    [PW_LINK_STALE] = {"used", BIT(CHECKING) | BIT(CLOSED), HOME(stale), NO_LIMIT, NULL,
		       pw_link_account_data},
    [PW_LINK_CHECKING] = {"tested", BIT(RETURNING) | BIT(CLOSED), HOME(checking),
			  LIMIT(server_connect_timeout), "server check timed out",
			  pw_link_account_data},
    [PW_LINK_LENT] = {"active", BIT(RETURNING) | BIT(DRAINING) | BIT(CANCELED) | AFTER_RELEASE,
		      HOME(busy), NO_LIMIT, NULL, pw_link_account_data},
    [PW_LINK_RETURNING] = {"active", BIT(CANCELED) | AFTER_RELEASE, HOME(busy), NO_LIMIT, NULL,
			   pw_link_account_data},
    [PW_LINK_DRAINING] = {"active", BIT(RETURNING) | BIT(CLOSED), HOME(busy),
			  LIMIT(abandoned_query_timeout), "abandoned query timeout",
			  pw_link_account_data},
    [PW_LINK_CANCELED] = {"being_canceled", BIT(RETURNING) | AFTER_RELEASE, HOME(canceled),
			  LIMIT(cancel_wait_timeout), "cancel timed out", pw_link_account_data},
    [PW_LINK_CLEANING] = {"tested", BIT(RETURNING) | BIT(CLOSED), HOME(checking),
			  LIMIT(abandoned_query_timeout), "reset timed out", pw_link_account_data},
    [PW_LINK_CLOSED] = {"closed", 0, HOME(busy), NO_LIMIT, NULL, NULL},
};

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

static bool is_opening(enum pw_link_state state)
{
	return state <= PW_LINK_SETUP;
}

/* Other workers may ask for it: a stale one is checked first. */
static bool is_unused(enum pw_link_state state)
{
	return state == PW_LINK_IDLE || state == PW_LINK_STALE;
}

void pw_link_goto(struct pw_link *link, enum pw_link_state state)
{
	struct pw_loop *loop = link->pool->pools->loop;
	uint64_t limit;
	bool was_opening = is_opening(link->state);

	pw_assert(steps[link->state].may_follow & 1u << state);
	if (is_unused(link->state) != is_unused(state)) {
		struct pw_seat *seat = &link->shared->seats[link->pool->pools->index];

		atomic_fetch_add(&seat->idle, is_unused(state) ? 1 : -1);
	}
	link->state = state;
	link->state_since_us = loop->now_us;
	pw_list_remove(&link->pool_node);
	if (state != PW_LINK_CLOSED)
		pw_list_prepend(pw_pool_home(link->pool, state), &link->pool_node);
	if (was_opening && !is_opening(state)) {
		link->pool->n_opening--;
		atomic_fetch_sub(&link->shared->logins, 1);
		if (state != PW_LINK_CLOSED)
			atomic_fetch_add(&link->shared->standing, 1);
	} else if (!was_opening && state == PW_LINK_CLOSED) {
		atomic_fetch_sub(&link->shared->standing, 1);
	}
	/* The steps of a login share one limit, counted from its beginning. */
	if (was_opening && is_opening(state))
		return;
	pw_timer_disarm(&link->timer);
	limit = time_limit(link);
	if (limit > 0)
		pw_loop_arm(loop, &link->timer, limit);
}

static void on_timer(struct pw_timer *timer)
{
	struct pw_link *link = PW_CONTAINER(timer, struct pw_link, timer);
	struct pw_error err;
	const char *reason = steps[link->state].timeout_reason;

	PW_CHECK_MAGIC(link, PW_LINK_MAGIC);
	pw_loop_refresh_time(link->pool->pools->loop);
	if (is_opening(link->state)) {
		pw_error_set(&err, PW_SQLSTATE_PROTOCOL_VIOLATION, "%s", reason);
		pw_link_login_fail(link, &err, false);
		return;
	}
	pw_link_close(link, PW_LINK_END_BROKEN, reason, NULL);
}

/* ---- upcalls of the stream ---- */

static struct pw_link *link_of(struct pw_stream *stream)
{
	struct pw_link *link = PW_CONTAINER(stream, struct pw_link, stream);

	PW_CHECK_MAGIC(link, PW_LINK_MAGIC);
	return link;
}

static void on_stream_open(struct pw_stream *stream)
{
	pw_link_login_opened(link_of(stream));
}

static void on_stream_data(struct pw_stream *stream, const uint8_t *data, size_t len)
{
	struct pw_link *link = link_of(stream);

	if (steps[link->state].on_data)
		steps[link->state].on_data(link, data, len);
	else
		pw_link_close(link, PW_LINK_END_BROKEN, "unexpected data from server", NULL);
}

static void on_stream_drained(struct pw_stream *stream)
{
	struct pw_link *link = link_of(stream);

	if (link->loan)
		link->loan->ops->on_drained(link->loan);
}

static void on_stream_end(struct pw_stream *stream, enum pw_status status, const char *why)
{
	struct pw_link *link = link_of(stream);
	struct pw_error err;

	if (is_opening(link->state)) {
		if (link->state == PW_LINK_CONNECTING)
			pw_error_set(&err, PW_SQLSTATE_PROTOCOL_VIOLATION, "connect failed");
		else if (link->state == PW_LINK_TLS_HANDSHAKE)
			pw_error_set(&err, PW_SQLSTATE_PROTOCOL_VIOLATION, "TLS handshake failed");
		else
			pw_error_set(&err, PW_SQLSTATE_PROTOCOL_VIOLATION, "server conn crashed?");
		pw_error_detail(&err, "%s", why);
		pw_link_login_fail(link, &err, false);
		return;
	}
	pw_link_close(link, PW_LINK_END_BROKEN,
		      status == PW_CLOSED ? "server connection closed" : why, NULL);
}

static const struct pw_stream_ops stream_ops = {
    .on_open = on_stream_open,
    .on_data = on_stream_data,
    .on_drained = on_stream_drained,
    .on_end = on_stream_end,
};

/* ---- making and closing ---- */

static size_t log_prefix(const struct pw_logctx *ctx, char *out, size_t size)
{
	const struct pw_link *link = PW_CONTAINER(ctx, const struct pw_link, log);
	char addr[PW_ADDR_TEXT_SIZE + 8];

	pw_addr_format_port(&link->facts.addr, addr, sizeof(addr));
	return (size_t)snprintf(out, size, "S-%p: %s/%s@%s ", (const void *)link,
				link->shared->db->name, link->shared->user->name, addr);
}

static void free_link(struct pw_task *task)
{
	struct pw_link *link = PW_CONTAINER(task, struct pw_link, free_task);

	link->magic = 0;
	free(link);
}

struct pw_link *pw_link_create(struct pw_pool *pool)
{
	struct pw_link *link = calloc(1, sizeof(*link));

	if (!link)
		return NULL;
	link->magic = PW_LINK_MAGIC;
	link->pool = pool;
	link->log.log = pool->pools->log.log;
	link->log.prefix = log_prefix;
	link->transaction = 'I';
	pw_list_init(&link->pool_node);
	pw_stream_init(&link->stream, pool->pools->loop, &stream_ops);
	pw_reader_init(&link->reader, &pw_backend_messages, 0);
	pw_expect_init(&link->expects);
	pw_known_init(&link->facts.known);
	pw_timer_init(&link->timer, on_timer);
	pw_task_init(&link->free_task, free_link);
	return link;
}

struct pw_link *pw_link_open(struct pw_pool *pool)
{
	struct pw_link *link = pw_link_create(pool);
	struct pw_error err;

	if (!link)
		return NULL;
	link->shared = pw_registry_pool(pool->pools->registry, pool->shared->db->name,
					pool->shared->user->name);
	if (!link->shared) {
		free(link);
		return NULL;
	}
	link->facts.id = atomic_fetch_add(&pool->pools->registry->next_id, 1);
	link->facts.connect_us = pool->pools->loop->now_us;
	link->facts.connect_wall_us = pw_clock_wall_us();
	link->facts.epoch = atomic_load(&pool->shared->epoch);
	link->facts.definition = pool->definition;
	link->state = PW_LINK_RESOLVING;
	pw_list_prepend(&pool->opening, &link->pool_node);
	pool->n_opening++;
	atomic_fetch_add(&link->shared->logins, 1);
	if (pool->pools->snapshot->conf->server_connect_timeout > 0)
		pw_loop_arm(pool->pools->loop, &link->timer,
			    pool->pools->snapshot->conf->server_connect_timeout);
	if (pw_link_login_begin(link) != PW_OK) {
		pw_error_set(&err, PW_SQLSTATE_OUT_OF_MEMORY, "out of memory");
		pw_link_login_fail(link, &err, false);
	}
	return link;
}

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

void pw_link_close(struct pw_link *link, enum pw_link_end end, const char *reason,
		   const struct pw_error *err)
{
	struct pw_pools *pools = link->pool->pools;
	struct pw_shared_pool *shared = link->shared;
	struct pw_loan *loan = link->loan;
	uint64_t age_s = (pools->loop->now_us - link->facts.connect_us) / PW_SECOND_US;

	if (link->state == PW_LINK_CLOSED)
		return;
	if (pools->snapshot->conf->log_disconnections || end != PW_LINK_END_CLEAN)
		pw_log_info(&link->log, "closing because: %s (age=%llus)", reason,
			    (unsigned long long)age_s);
	if (end == PW_LINK_END_CLEAN && link->state >= PW_LINK_SETUP && !link->stream.backlog)
		pw_stream_send(&link->stream, "X\0\0\0\4", 5);
	/* A waiter may have counted on it. */
	if (link->state == PW_LINK_CHECKING)
		pw_task_post(pools->loop, &link->pool->serve_task);
	pw_link_account_drop(link);
	pw_cancel_forget_link(pools, link);
	pw_link_goto(link, PW_LINK_CLOSED);
	pw_timer_disarm(&link->timer);
	pw_link_login_free(link);
	pw_stream_close(&link->stream);
	pw_reader_fini(&link->reader);
	pw_expect_fini(&link->expects);
	pw_known_fini(&link->facts.known);
	pw_params_unref(&pools->params, link->params);
	link->params = NULL;
	link->loan = NULL;
	explicit_bzero(link->facts.cancel_key, sizeof(link->facts.cancel_key));
	/* Whoever waits may have the place before the borrower hears of its loss. */
	pw_pool_limits_given(pools, shared);
	pw_registry_put_pool(pools->registry, shared);
	pw_task_post(pools->loop, &link->free_task);
	if (loan)
		tell_borrower(loan, err, link->has_told_fatal);
}

/* ---- lending ---- */

enum pw_status pw_link_expect(struct pw_link *link, const struct pw_expect *entry)
{
	enum pw_status status = pw_expect_push(&link->expects, entry);

	if (status != PW_OK)
		return status;
	if (pw_expect_is_sync_point(entry))
		link->is_batch_open = false;
	else if (!(entry->flags & PW_EXPECT_LOCAL) && entry->role != PW_ROLE_COPY_END)
		link->is_batch_open = true;
	return PW_OK;
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

void pw_link_lend(struct pw_link *link, struct pw_loan *loan)
{
	pw_link_goto(link, PW_LINK_LENT);
	link->loan = loan;
	link->facts.last_used_us = link->pool->pools->loop->now_us;
	link->request_us = 0;
	link->transaction_us = 0;
	loan->link = link;
	loan->state = PW_LOAN_HOLDING;
	loan->pool->stats.now.server_assignment_count++;
}

void pw_link_cancel_began(struct pw_link *link)
{
	link->cancels++;
}

void pw_link_cancel_ended(struct pw_link *link, bool was_sent)
{
	pw_assert(link->cancels > 0);
	link->cancels--;
	/* Was it sent or not? Then it may still strike: the link is not for anybody else. */
	if (!was_sent)
		link->facts.must_close = true;
	if (link->state == PW_LINK_CANCELED && link->cancels == 0)
		pw_link_clean_next(link);
}

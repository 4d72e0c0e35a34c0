/* SPDX-License-Identifier: PostgreSQL
 *
 * What reaches a link from outside, by the state it is in: bytes, the end of the connection, its
 * time limit. Here links are made and freed.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>

#include "link_priv.h"
#include "pgweir/base/assert.h"
#include "pgweir/pool/objects.h"

typedef void link_reader(struct pw_link *link, const uint8_t *data, size_t len);

/* What bytes mean in each state; NULL: none may come. */
static link_reader *const readers[PW_LINK_N_STATES] = {
    [PW_LINK_TLS_REQUEST] = pw_link_login_data, [PW_LINK_LOGIN] = pw_link_login_data,
    [PW_LINK_SETUP] = pw_link_account_data,     [PW_LINK_IDLE] = pw_link_account_data,
    [PW_LINK_STALE] = pw_link_account_data,     [PW_LINK_CHECKING] = pw_link_account_data,
    [PW_LINK_LENT] = pw_link_account_data,      [PW_LINK_RETURNING] = pw_link_account_data,
    [PW_LINK_DRAINING] = pw_link_account_data,  [PW_LINK_CANCELED] = pw_link_account_data,
    [PW_LINK_CLEANING] = pw_link_account_data,  [PW_LINK_LEARNING] = pw_link_account_data,
};

static void on_timer(struct pw_timer *timer)
{
	struct pw_link *link = PW_CONTAINER(timer, struct pw_link, timer);
	struct pw_error err;
	const char *reason = pw_link_timeout_reason(link->state);

	PW_CHECK_MAGIC(link, PW_LINK_MAGIC);
	pw_loop_begin_callback(link->pool->pools->loop);
	if (pw_link_is_opening(link->state)) {
		pw_error_set(&err, PW_SQLSTATE_PROTOCOL_VIOLATION, "%s", reason);
		pw_link_login_fail(link, &err, false);
		return;
	}
	pw_link_close(link, PW_LINK_END_BROKEN, reason, NULL);
}

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

	if (readers[link->state])
		readers[link->state](link, data, len);
	else
		pw_link_close(link, PW_LINK_END_BROKEN, "unexpected data from server", NULL);
}

static void on_stream_drained(struct pw_stream *stream)
{
	struct pw_link *link = link_of(stream);

	if (link->loan && !pw_link_is_opening(link->state))
		link->loan->ops->on_drained(link->loan);
}

static void on_stream_end(struct pw_stream *stream, enum pw_status status, const char *why)
{
	struct pw_link *link = link_of(stream);
	struct pw_error err;

	if (link->state == PW_LINK_CONNECTING && pw_link_login_elsewhere(link))
		return;
	if (pw_link_is_opening(link->state)) {
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

	pw_link_login_free(link);
	link->magic = 0;
	free(link);
}

/* The last cancel request is over. */
static void go_on(struct pw_task *task)
{
	struct pw_link *link = PW_CONTAINER(task, struct pw_link, go_on_task);

	PW_CHECK_MAGIC(link, PW_LINK_MAGIC);
	if (link->state == PW_LINK_CANCELED && pw_list_is_empty(&link->cancels))
		pw_link_clean_next(link);
}

/* ---- making ---- */

void pw_link_destroy(struct pw_link *link)
{
	pw_state_unref(link->settings);
	free(link);
}

struct pw_link *pw_link_create(struct pw_pool *pool)
{
	struct pw_link *link = calloc(1, sizeof(*link));

	if (!link)
		return NULL;
	link->settings = pw_state_empty(&pool->pools->states);
	if (!link->settings) {
		free(link);
		return NULL;
	}
	link->magic = PW_LINK_MAGIC;
	link->pool = pool;
	link->log.log = pool->pools->log.log;
	link->log.prefix = log_prefix;
	link->transaction = 'I';
	pw_list_init(&link->pool_node);
	pw_list_init(&link->cancels);
	pw_stream_init(&link->stream, pool->pools->loop, &stream_ops);
	pw_reader_init(&link->reader, &pw_backend_messages, 0);
	pw_expect_init(&link->expects);
	pw_known_init(&link->facts.known);
	pw_timer_init(&link->timer, on_timer);
	pw_task_init(&link->go_on_task, go_on);
	pw_task_init(&link->free_task, free_link);
	return link;
}

/* At the node where a place was taken for it; NULL = it is of no cluster. */
static void settle(struct pw_link *link, const struct pw_node_place *place)
{
	link->facts.cluster = place ? link->pool->cluster : NULL;
	link->facts.slot = place ? place->slot : PW_NO_SLOT;
	pw_link_count(link, 1);
}

struct pw_link *pw_link_open(struct pw_pool *pool, struct pw_loan *own)
{
	struct pw_link *link = pw_link_create(pool);
	struct pw_error err;

	if (!link)
		return NULL;
	link->shared = pw_registry_pool(pool->pools->registry, pool->shared->db->name,
					pool->shared->user->name, pool->shared->of_replicas);
	if (!link->shared) {
		pw_link_destroy(link);
		return NULL;
	}
	link->facts.id = atomic_fetch_add(&pool->pools->registry->next_id, 1);
	link->facts.connect_us = pool->pools->loop->now_us;
	link->facts.connect_wall_us = pw_clock_wall_us();
	link->facts.epoch = atomic_load(&pool->shared->epoch);
	link->facts.code_generation = atomic_load(&pool->shared->db->code.generation);
	link->facts.definition = pool->definition;
	settle(link, pool->place);
	link->loan = own;
	link->replication = own ? own->replication : PW_REPLICATION_NONE;
	link->state = PW_LINK_RESOLVING;
	pw_list_prepend(&pool->opening, &link->pool_node);
	pool->n_opening += !own;
	if (pool->pools->snapshot->conf->server_connect_timeout > 0)
		pw_loop_arm(pool->pools->loop, &link->timer,
			    pool->pools->snapshot->conf->server_connect_timeout);
	if (pw_link_login_begin(link) != PW_OK) {
		pw_error_set(&err, PW_SQLSTATE_OUT_OF_MEMORY, "out of memory");
		pw_link_login_fail(link, &err, false);
	}
	return link;
}

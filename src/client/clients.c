/* SPDX-License-Identifier: PostgreSQL
 *
 * The clients of one worker: what reaches them from outside, by the state they are in (bytes, the
 * end of the connection, a time limit), and how they come and go together.
 */
#include "config.h"

#include "client_priv.h"
#include "code_priv.h"
#include "listening_priv.h"
#include "route_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pgweir/base/assert.h"
#include "pgweir/net/socket.h"
#include "pgweir/proto/writer.h"

static void on_login_timeout(struct pw_client *c)
{
	pw_client_fail(c, PW_SQLSTATE_PROTOCOL_VIOLATION, "%s",
		       c->state == PW_CLIENT_WELCOMING ? "client_login_timeout (server down)"
						       : "client_login_timeout");
}

/* Has begun a transaction of which no server has heard: as the pool says it where one has. */
static void on_idle_in_transaction(struct pw_client *c)
{
	struct pw_error err;

	pw_error_set(&err, PW_SQLSTATE_PROTOCOL_VIOLATION, "idle transaction timeout");
	pw_error_detail(
	    &err,
	    "pgweir closed the connection because the setting idle_transaction_timeout is %g s.",
	    (double)pw_client_held_limit(c) / PW_SECOND_US);
	pw_client_close(c, "idle transaction timeout", &err);
}

/* A reload may have given it more time, or all. */
static bool has_time_left(struct pw_client *c)
{
	uint64_t limit = pw_client_idle_limit(c), idle = pw_client_idle(c);

	if (limit > 0 && idle >= limit)
		return false;
	if (limit > 0)
		pw_loop_arm(c->clients->loop, &c->timer, limit - idle);
	return true;
}

static void on_idle_timeout(struct pw_client *c)
{
	struct pw_error err;

	if (has_time_left(c))
		return;
	if (pw_client_held_limit(c) > 0) {
		on_idle_in_transaction(c);
		return;
	}
	pw_error_set(&err, PW_SQLSTATE_PROTOCOL_VIOLATION, "client_idle_timeout");
	pw_error_detail(&err, "The client asked nothing for %g s.",
			(double)c->client_idle_timeout / PW_SECOND_US);
	pw_client_close(c, "client_idle_timeout", &err);
}

static void on_routing_timeout(struct pw_client *c)
{
	if (!pw_route_on_timeout(c))
		on_idle_timeout(c);
}

static void on_pin_timeout(struct pw_client *c)
{
	struct pw_error err;
	char why[256];

	pw_client_pins(c, why, sizeof(why));
	pw_error_set(&err, PW_SQLSTATE_PROTOCOL_VIOLATION, "pin_timeout");
	pw_error_detail(&err, "The client was idle and kept its server connection, because of: %s.",
			why);
	pw_client_close(c, "pin_timeout", &err);
}

static void send_wait_notice(struct pw_client *c)
{
	struct pw_strbuf out = PW_STRBUF_INIT;
	struct pw_error notice;

	c->was_notified = true;
	pw_error_set(&notice, PW_SQLSTATE_SUCCESS,
		     "No server connection available in postgres backend, client being queued");
	notice.severity = PW_SEVERITY_NOTICE;
	pw_write_error(&out, &notice);
	pw_client_send(c, out.data, out.len);
	pw_strbuf_fini(&out);
}

static void on_queue_timeout(struct pw_client *c)
{
	uint64_t query_timeout = c->loan.pool->conf.query_timeout;
	struct pw_error err;

	if (c->query_wait_timeout > 0 && pw_client_waited(c) >= c->query_wait_timeout) {
		pw_error_set(&err, PW_SQLSTATE_PROTOCOL_VIOLATION, "query_wait_timeout");
		pw_error_detail(&err, "No server connection became free within %g s.",
				(double)c->query_wait_timeout / PW_SECOND_US);
		pw_error_hint(&err, "%s", pw_pool_why_waiting(c->loan.pool));
		pw_client_close(c, "query_wait_timeout", &err);
		return;
	}
	if (query_timeout > 0 && pw_client_waited(c) >= query_timeout) {
		pw_client_fail(c, PW_SQLSTATE_PROTOCOL_VIOLATION, "query_timeout");
		return;
	}
	if (!c->was_notified)
		send_wait_notice(c);
	if (pw_client_queue_limit(c) > 0)
		pw_loop_arm(c->clients->loop, &c->timer, pw_client_queue_limit(c));
}

static void on_cancel_timeout(struct pw_client *c)
{
	pw_client_close(c, "cancel_wait_timeout", NULL);
}

static void ignore_data(struct pw_client *c PW_UNUSED, const uint8_t *data PW_UNUSED,
			size_t len PW_UNUSED)
{
}

static void on_early_data(struct pw_client *c, const uint8_t *data, size_t len)
{
	/* Pipelined behind the login: for later, within bounds. Whoever has not shown a password
	 * yet is not listened to beyond the first chunk. */
#ifndef PW_MUTANT_EARLY_DATA_UNBOUNDED
	if (c->state == PW_CLIENT_LOOKUP)
		pw_stream_set_reading(&c->stream, false);
#endif
	if (!pw_relay_hold(c, data, len))
		pw_client_fail(c, PW_SQLSTATE_OUT_OF_MEMORY, "out of memory");
}

static void on_console_data(struct pw_client *c, const uint8_t *data, size_t len)
{
	struct pw_slice in = {data, len};
	struct pw_piece piece;
	enum pw_status status;

	while (c->state == PW_CLIENT_CONSOLE &&
	       (status = pw_reader_next(&c->reader, &in, &piece)) != PW_AGAIN) {
		if (status == PW_OK)
			c->clients->console_ops->on_piece(c, &piece);
		else
			pw_client_fail(c, PW_SQLSTATE_PROTOCOL_VIOLATION, "bad packet");
	}
}

/* What a state makes of its time limit, and of bytes; NULL: none may come. */
struct client_events {
	void (*on_timeout)(struct pw_client *c);
	void (*on_data)(struct pw_client *c, const uint8_t *data, size_t len);
};

static const struct client_events events[PW_CLIENT_N_STATES] = {
    [PW_CLIENT_STARTUP] = {on_login_timeout, pw_login_on_startup_data},
    [PW_CLIENT_TLS_HANDSHAKE] = {on_login_timeout, ignore_data},
    [PW_CLIENT_AUTH] = {on_login_timeout, pw_login_on_auth_data},
    [PW_CLIENT_LOOKUP] = {on_login_timeout, on_early_data},
    [PW_CLIENT_WELCOMING] = {on_login_timeout, on_early_data},
    [PW_CLIENT_LINKING] = {on_queue_timeout, on_early_data},
    [PW_CLIENT_READY] = {on_idle_timeout, pw_relay_on_client_data},
    [PW_CLIENT_ROUTING] = {on_routing_timeout, pw_relay_on_client_data},
    [PW_CLIENT_QUEUED] = {on_queue_timeout, pw_relay_on_client_data},
    [PW_CLIENT_SYNCING] = {pw_relay_on_hub_timeout, pw_relay_on_client_data},
    [PW_CLIENT_RELAYING] = {on_pin_timeout, pw_relay_on_client_data},
    [PW_CLIENT_SETTLING] = {NULL, pw_relay_on_client_data},
    [PW_CLIENT_PREPARING] = {NULL, pw_relay_on_client_data},
    [PW_CLIENT_ASKING] = {pw_relay_on_learning_timeout, pw_relay_on_client_data},
    [PW_CLIENT_UNLISTENING] = {pw_relay_on_hub_timeout, pw_relay_on_client_data},
    [PW_CLIENT_CONSOLE] = {NULL, on_console_data},
    [PW_CLIENT_CANCELING] = {on_cancel_timeout, ignore_data},
    [PW_CLIENT_CLOSED] = {NULL, NULL},
};

static void on_timer(struct pw_timer *timer)
{
	struct pw_client *c = PW_CONTAINER(timer, struct pw_client, timer);

	PW_CHECK_MAGIC(c, PW_CLIENT_MAGIC);
	events[c->state].on_timeout(c);
}

static struct pw_client *client_of(struct pw_stream *stream)
{
	struct pw_client *c = PW_CONTAINER(stream, struct pw_client, stream);

	PW_CHECK_MAGIC(c, PW_CLIENT_MAGIC);
	return c;
}

static void on_stream_open(struct pw_stream *stream)
{
	pw_login_on_tls_open(client_of(stream));
}

static void on_stream_data(struct pw_stream *stream, const uint8_t *data, size_t len)
{
	struct pw_client *c = client_of(stream);

	if (events[c->state].on_data)
		events[c->state].on_data(c, data, len);
}

static void on_stream_drained(struct pw_stream *stream)
{
	struct pw_client *c = client_of(stream);

	if (c->console)
		c->clients->console_ops->on_drained(c);
	else
		pw_relay_on_client_drained(c);
}

/* A client that said Terminate while it was queued wants its requests to be done all the same. */
static bool has_said_goodbye(const struct pw_client *c)
{
	static const char goodbye[] = {'X', 0, 0, 0, 4};

	return (c->state == PW_CLIENT_ROUTING || c->state == PW_CLIENT_QUEUED ||
		c->state == PW_CLIENT_SYNCING || c->state == PW_CLIENT_SETTLING ||
		c->state == PW_CLIENT_PREPARING || c->state == PW_CLIENT_ASKING ||
		c->state == PW_CLIENT_UNLISTENING) &&
	       c->held && c->held->len >= sizeof(goodbye) &&
	       memcmp(c->held->data + c->held->len - sizeof(goodbye), goodbye, sizeof(goodbye)) ==
		   0;
}

static void on_stream_end(struct pw_stream *stream, enum pw_status status, const char *why)
{
	struct pw_client *c = client_of(stream);

	if (has_said_goodbye(c))
		return;
	if (c->state == PW_CLIENT_TLS_HANDSHAKE)
		pw_log_warning(&c->log, "TLS handshake failed: %s", why);
	pw_client_close(c, status == PW_CLOSED ? "client unexpected eof" : why, NULL);
}

static const struct pw_stream_ops stream_ops = {
    .on_open = on_stream_open,
    .on_data = on_stream_data,
    .on_drained = on_stream_drained,
    .on_end = on_stream_end,
};

static size_t log_prefix(const struct pw_logctx *ctx, char *out, size_t size)
{
	const struct pw_client *c = PW_CONTAINER(ctx, const struct pw_client, log);
	char addr[PW_ADDR_TEXT_SIZE + 8];
	int n;

	pw_addr_format_port(&c->addr, addr, sizeof(addr));
	n = snprintf(out, size, "C-%p: %s/%s@%s ", (const void *)c, pw_client_database(c),
		     pw_client_user(c), addr);
	return n < 0 ? 0 : (size_t)n < size ? (size_t)n : size - 1;
}

static void free_client(struct pw_task *task)
{
	struct pw_client *c = PW_CONTAINER(task, struct pw_client, free_task);

	c->magic = 0;
#ifndef PW_MUTANT_CLIENT_LEAKED
	free(c);
#endif
}

void pw_clients_accept(struct pw_clients *clients, int fd, const struct pw_addr *addr)
{
	const struct pw_conf *conf = clients->pools->snapshot->conf;
	/* With tcp_defer_accept nothing is accepted before it has sent something. */
	bool has_data = conf->tcp_defer_accept && addr->family != AF_UNIX;
	struct pw_client *c = calloc(1, sizeof(*c));

	if (!c || !(c->login = calloc(1, sizeof(*c->login)))) {
		free(c);
		close(fd);
		return;
	}
	c->magic = PW_CLIENT_MAGIC;
	c->clients = clients;
	c->id = atomic_fetch_add(&clients->registry->next_id, 1);
	c->addr = *addr;
	c->log.log = clients->log.log;
	c->log.prefix = log_prefix;
	c->connect_us = clients->loop->now_us;
	c->connect_wall_us = pw_clock_wall_us();
	pw_loan_init(&c->loan, &pw_relay_ops);
	c->loan.owner_id = c->id;
	pw_timer_init(&c->timer, on_timer);
	pw_task_init(&c->free_task, free_client);
	pw_list_append(&clients->all, &c->node);
	atomic_fetch_add(&clients->n_open, 1);
	pw_reader_init(&c->reader, &pw_frontend_messages, PW_FOR_LOGIN);
	pw_stream_init(&c->stream, clients->loop, &stream_ops);
	c->stream.read_rounds = conf->sbuf_loopcnt;
	pw_socket_tune_accepted(fd, conf);
	pw_login_begin(c);
	if (pw_stream_attach(&c->stream, fd, has_data) != PW_OK) {
		close(fd);
		pw_client_close(c, "out of memory", NULL);
	}
}

enum pw_status pw_clients_init(struct pw_clients *clients)
{
	pw_list_init(&clients->all);
	pw_map_init(&clients->keys);
	pw_map_init(&clients->verifiers);
	clients->hubs.ops = &pw_relay_hub_ops;
	clients->isolation = pw_tracked_find(clients->tracked, "default_transaction_isolation");
	clients->read_only = pw_tracked_find(clients->tracked, "default_transaction_read_only");
	return PW_OK;
}

void pw_clients_fini(struct pw_clients *clients)
{
	struct pw_list *node;

	while ((node = pw_list_first(&clients->all)))
		pw_client_close(PW_CONTAINER(node, struct pw_client, node), "pgweir stops", NULL);
	pw_login_forget_verifiers(clients);
	pw_map_fini(&clients->keys);
	pw_map_fini(&clients->verifiers);
}

size_t pw_clients_count(struct pw_clients *clients)
{
	return atomic_load(&clients->n_open);
}

struct pw_client *pw_clients_find_id(struct pw_clients *clients, uint64_t id)
{
	PW_LIST_FOREACH (node, &clients->all) {
		struct pw_client *c = PW_CONTAINER(node, struct pw_client, node);

		if (c->id == id)
			return c;
	}
	return NULL;
}

void pw_clients_pool_dropped(struct pw_pools *pools, struct pw_pool *pool, const char *why)
{
	struct pw_clients *clients = pools->clients_arg;
	struct pw_list *node = clients->all.next;

	pw_hubs_leave_pool(&clients->hubs, pool);
	/* Closing one may let another run, and end, too: begin again after each. */
	while (node != &clients->all) {
		struct pw_client *c = PW_CONTAINER(node, struct pw_client, node);

		node = node->next;
		if (c->loan.pool != pool)
			continue;
		pw_client_fail(c, PW_SQLSTATE_PROTOCOL_VIOLATION, "%s", why);
		node = clients->all.next;
	}
}

void pw_clients_refuse_waiting(struct pw_clients *clients)
{
	PW_LIST_FOREACH_SAFE (node, &clients->all) {
		struct pw_client *c = PW_CONTAINER(node, struct pw_client, node);

		if (c->state == PW_CLIENT_QUEUED || c->state == PW_CLIENT_WELCOMING ||
		    c->state == PW_CLIENT_LINKING)
			pw_client_fail(c, PW_SQLSTATE_PROTOCOL_VIOLATION, "server shutting down");
	}
}

void pw_clients_forget_secrets(struct pw_clients *clients)
{
	pw_login_forget_verifiers(clients);
}

void pw_clients_follow(struct pw_clients *clients, const struct pw_cluster *cluster)
{
	PW_LIST_FOREACH (node, &clients->all)
		pw_route_follow(PW_CONTAINER(node, struct pw_client, node), cluster);
}

/* Where a server has heard of the transaction, its pool looks at the limit of now. */
void pw_clients_take_limits(struct pw_clients *clients)
{
	PW_LIST_FOREACH (node, &clients->all) {
		struct pw_client *c = PW_CONTAINER(node, struct pw_client, node);
		uint64_t limit = c->state == PW_CLIENT_READY ? pw_client_held_limit(c) : 0;
		uint64_t idle = limit > 0 ? pw_client_idle(c) : 0;

		if (limit > 0)
			pw_loop_arm(clients->loop, &c->timer, limit > idle ? limit - idle : 1);
	}
}

struct key_wanted {
	const uint8_t *key;
	size_t len;
};

static bool has_key(const struct pw_map_node *node, const void *key)
{
	const struct pw_client *c = PW_CONTAINER(node, const struct pw_client, key_node);
	const struct key_wanted *wanted = key;

	return c->key_len == wanted->len && pw_secret_equal(c->key, wanted->key, wanted->len);
}

struct pw_client *pw_clients_find_key(struct pw_clients *clients, const uint8_t *key, size_t len)
{
	const struct key_wanted wanted = {key, len};
	struct pw_map_node *node = pw_map_find(
	    &clients->keys, pw_hash(&clients->pools->hash_key, key, len), has_key, &wanted);

	return node ? PW_CONTAINER(node, struct pw_client, key_node) : NULL;
}

/* SPDX-License-Identifier: PostgreSQL
 *
 * Life of a client. Each state is a row: its name, what may follow, its time limit and what that
 * says, and what received bytes mean in it.
 */
#include "config.h"

#include "client_priv.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pgweir/base/assert.h"
#include "pgweir/net/socket.h"
#include "pgweir/pool/cancel.h"
#include "pgweir/proto/writer.h"

#define BIT(state) (1u << PW_CLIENT_##state)

struct client_step {
	const char *name; /* SHOW CLIENTS */
	unsigned may_follow;
	uint64_t (*time_limit)(const struct pw_client *c); /* NULL = none */
	void (*on_timeout)(struct pw_client *c);
	void (*on_data)(struct pw_client *c, const uint8_t *data, size_t len);
};

static const struct pw_conf *conf_of(const struct pw_client *c)
{
	return c->clients->pools->snapshot->conf;
}

/* ---- time limits ---- */

static uint64_t login_limit(const struct pw_client *c)
{
	uint64_t limit = conf_of(c)->client_login_timeout;
	uint64_t spent = c->clients->loop->now_us - c->connect_us;

	if (limit == 0)
		return 0;
	return spent < limit ? limit - spent : 1;
}

static void on_login_timeout(struct pw_client *c)
{
	pw_client_fail(c, PW_SQLSTATE_PROTOCOL_VIOLATION, "%s",
		       c->state == PW_CLIENT_WELCOMING ? "client_login_timeout (server down)"
						       : "client_login_timeout");
}

static uint64_t idle_limit(const struct pw_client *c)
{
	return c->client_idle_timeout;
}

static void on_idle_timeout(struct pw_client *c)
{
	struct pw_error err;

	pw_error_set(&err, PW_SQLSTATE_PROTOCOL_VIOLATION, "client_idle_timeout");
	pw_error_detail(&err, "The client asked nothing for %g s.",
			(double)c->client_idle_timeout / PW_SECOND_US);
	pw_client_close(c, "client_idle_timeout", &err);
}

static uint64_t waited(const struct pw_client *c)
{
	return c->clients->loop->now_us - c->state_since_us;
}

static uint64_t notify_after(const struct pw_client *c)
{
	return (uint64_t)conf_of(c)->query_wait_notify * PW_SECOND_US;
}

/* The nearest of: the notice, query_wait_timeout, query_timeout. */
static uint64_t queue_limit(const struct pw_client *c)
{
	uint64_t limits[3] = {c->was_notified ? 0 : notify_after(c), c->query_wait_timeout,
			      c->loan.pool->conf.query_timeout};
	uint64_t nearest = 0;

	for (size_t i = 0; i < PW_COUNTOF(limits); i++) {
		if (limits[i] > 0 && (nearest == 0 || limits[i] < nearest))
			nearest = limits[i];
	}
	if (nearest == 0)
		return 0;
	return nearest > waited(c) ? nearest - waited(c) : 1;
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

	if (c->query_wait_timeout > 0 && waited(c) >= c->query_wait_timeout) {
		pw_error_set(&err, PW_SQLSTATE_PROTOCOL_VIOLATION, "query_wait_timeout");
		pw_error_detail(&err, "No server connection became free within %g s.",
				(double)c->query_wait_timeout / PW_SECOND_US);
		pw_error_hint(&err, "All connections of the pool are in use, see SHOW POOLS; the "
				    "settings are pool_size and query_wait_timeout.");
		pw_client_close(c, "query_wait_timeout", &err);
		return;
	}
	if (query_timeout > 0 && waited(c) >= query_timeout) {
		pw_client_fail(c, PW_SQLSTATE_PROTOCOL_VIOLATION, "query_timeout");
		return;
	}
	if (!c->was_notified)
		send_wait_notice(c);
	if (queue_limit(c) > 0)
		pw_loop_arm(c->clients->loop, &c->timer, queue_limit(c));
}

static uint64_t cancel_limit(const struct pw_client *c)
{
	return conf_of(c)->cancel_wait_timeout;
}

static void on_cancel_timeout(struct pw_client *c)
{
	pw_client_close(c, "cancel_wait_timeout", NULL);
}

/* ---- states ---- */

static void ignore_data(struct pw_client *c PW_UNUSED, const uint8_t *data PW_UNUSED,
			size_t len PW_UNUSED)
{
}

static void on_early_data(struct pw_client *c, const uint8_t *data, size_t len)
{
	/* Pipelined behind the login: for later, within bounds. */
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

#define LOGIN login_limit, on_login_timeout

static const struct client_step steps[PW_CLIENT_N_STATES] = {
    [PW_CLIENT_STARTUP] = {"login", ~0u, LOGIN, pw_login_on_startup_data},
    [PW_CLIENT_TLS_HANDSHAKE] = {"login", BIT(STARTUP) | BIT(CLOSED), LOGIN, ignore_data},
    [PW_CLIENT_AUTH] = {"login",
			BIT(LOOKUP) | BIT(WELCOMING) | BIT(READY) | BIT(CONSOLE) | BIT(CLOSED),
			LOGIN, pw_login_on_auth_data},
    [PW_CLIENT_LOOKUP] = {"login",
			  BIT(AUTH) | BIT(WELCOMING) | BIT(READY) | BIT(CONSOLE) | BIT(CLOSED),
			  LOGIN, on_early_data},
    [PW_CLIENT_WELCOMING] = {"waiting", BIT(READY) | BIT(CLOSED), LOGIN, on_early_data},
    [PW_CLIENT_READY] = {"idle", BIT(QUEUED) | BIT(SYNCING) | BIT(RELAYING) | BIT(CLOSED),
			 idle_limit, on_idle_timeout, pw_relay_on_client_data},
    [PW_CLIENT_QUEUED] = {"waiting", BIT(READY) | BIT(SYNCING) | BIT(RELAYING) | BIT(CLOSED),
			  queue_limit, on_queue_timeout, pw_relay_on_client_data},
    [PW_CLIENT_SYNCING] = {"active", BIT(RELAYING) | BIT(CLOSED), NULL, NULL,
			   pw_relay_on_client_data},
    [PW_CLIENT_RELAYING] = {"active", BIT(READY) | BIT(CLOSED), NULL, NULL,
			    pw_relay_on_client_data},
    [PW_CLIENT_CONSOLE] = {"active", BIT(CLOSED), NULL, NULL, on_console_data},
    [PW_CLIENT_CANCELING] = {"active_cancel_req", BIT(CLOSED), cancel_limit, on_cancel_timeout,
			     ignore_data},
    [PW_CLIENT_CLOSED] = {"closed", 0, NULL, NULL, NULL},
};

const char *pw_client_state_name(const struct pw_client *c)
{
	return steps[c->state].name;
}

void pw_client_goto(struct pw_client *c, enum pw_client_state state)
{
	uint64_t limit;

	pw_assert(steps[c->state].may_follow & 1u << state);
	c->state = state;
	c->state_since_us = c->clients->loop->now_us;
	if (state == PW_CLIENT_QUEUED)
		c->was_notified = false;
	limit = steps[state].time_limit ? steps[state].time_limit(c) : 0;
	if (limit > 0)
		pw_loop_arm(c->clients->loop, &c->timer, limit);
	else
		pw_timer_disarm(&c->timer);
}

static void on_timer(struct pw_timer *timer)
{
	struct pw_client *c = PW_CONTAINER(timer, struct pw_client, timer);

	PW_CHECK_MAGIC(c, PW_CLIENT_MAGIC);
	steps[c->state].on_timeout(c);
}

/* ---- upcalls of the stream ---- */

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

void pw_client_feed(struct pw_client *c, const uint8_t *data, size_t len)
{
	if (steps[c->state].on_data)
		steps[c->state].on_data(c, data, len);
}

static void on_stream_data(struct pw_stream *stream, const uint8_t *data, size_t len)
{
	pw_client_feed(client_of(stream), data, len);
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

	return (c->state == PW_CLIENT_QUEUED || c->state == PW_CLIENT_SYNCING) && c->held &&
	       c->held->len >= sizeof(goodbye) &&
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

/* ---- making ---- */

const char *pw_client_database(const struct pw_client *c)
{
	if (c->console)
		return "pgbouncer";
	if (c->loan.pool && !c->login)
		return c->loan.pool->shared->db->name;
	return c->login && c->login->database[0] ? c->login->database : "(nodb)";
}

const char *pw_client_user(const struct pw_client *c)
{
	if (c->shared_user)
		return c->shared_user->name;
	return c->login && c->login->user[0] ? c->login->user : "(nouser)";
}

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
	free(c);
}

void pw_clients_accept(struct pw_clients *clients, int fd, const struct pw_addr *addr,
		       const struct pw_addr *local)
{
	const struct pw_conf *conf = clients->pools->snapshot->conf;
	const struct pw_socket_options options = {
	    .has_keepalive = conf->tcp_keepalive,
	    .keepcnt = conf->tcp_keepcnt,
	    .keepidle_s = conf->tcp_keepidle,
	    .keepintvl_s = conf->tcp_keepintvl,
	    .buffer_bytes = conf->tcp_socket_buffer,
	    .user_timeout_ms = conf->tcp_user_timeout,
	};
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
	c->local = *local;
	c->log.log = clients->log.log;
	c->log.prefix = log_prefix;
	c->connect_us = clients->loop->now_us;
	c->connect_wall_us = pw_clock_wall_us();
	pw_loan_init(&c->loan, &pw_relay_ops);
	pw_timer_init(&c->timer, on_timer);
	pw_task_init(&c->free_task, free_client);
	pw_list_append(&clients->all, &c->node);
	pw_reader_init(&c->reader, &pw_frontend_messages, PW_FOR_LOGIN);
	pw_stream_init(&c->stream, clients->loop, &stream_ops);
	c->stream.read_rounds = conf->sbuf_loopcnt;
	pw_socket_tune(fd, addr, &options);
	if (pw_stream_attach(&c->stream, fd) != PW_OK) {
		close(fd);
		pw_client_close(c, "out of memory", NULL);
		return;
	}
	pw_login_begin(c);
}

/* ---- closing ---- */

void pw_client_login_free(struct pw_client *c)
{
	struct pw_client_login *login = c->login;

	if (!login)
		return;
	pw_strbuf_fini(&login->packet);
	pw_strbuf_wipe(&login->row);
	pw_secret_fini(&login->secret);
	pw_secret_fini(&login->password);
	if (login->scram)
		pw_scram_server_destroy(login->scram);
	pw_snapshot_unref(login->snapshot);
	explicit_bzero(login, sizeof(*login));
	free(login);
	c->login = NULL;
}

static void leave_shared(struct pw_client *c)
{
	struct pw_registry *registry = c->clients->registry;

	if (c->shared_db) {
		(void)pw_limit_give(&c->shared_db->clients);
		pw_registry_put_db(registry, c->shared_db);
	}
	if (c->shared_user) {
		(void)pw_limit_give(&c->shared_user->clients);
		pw_registry_put_user(registry, c->shared_user);
	}
	if (c->is_counted)
		atomic_fetch_sub(&registry->clients, 1);
	c->shared_db = NULL;
	c->shared_user = NULL;
	c->is_counted = false;
}

static void leave_pool(struct pw_client *c, bool may_finish)
{
	/* The server waits for the rest of a message that will never come. */
	bool is_half_sent = c->reader.left > 0 && !c->is_dropping;

	if (c->loan.state == PW_LOAN_HOLDING && is_half_sent)
		c->loan.link->facts.must_close = true;
	if (c->loan.state == PW_LOAN_HOLDING && is_half_sent)
		pw_link_close(c->loan.link, PW_LINK_END_CLEAN,
			      "client disconnect in the middle of a message", NULL);
	else if (c->loan.state == PW_LOAN_HOLDING)
		pw_pool_return(&c->loan, true, may_finish);
	else
		pw_pool_withdraw(&c->loan);
	pw_loan_unbind(&c->loan);
}

static void log_closing(struct pw_client *c, const char *reason, const struct pw_error *err)
{
	uint64_t age_s = (c->clients->loop->now_us - c->connect_us) / PW_SECOND_US;

	/* A port check that connects and goes is nothing to write home about. */
	if (c->state == PW_CLIENT_STARTUP && !err && c->login && c->login->packet.len == 0)
		return;
	if (err && conf_of(c)->log_pooler_errors)
		pw_log_warning(&c->log, "pooler error: %s", err->message);
	if (conf_of(c)->log_disconnections)
		pw_log_info(&c->log, "closing because: %s (age=%llus)", reason,
			    (unsigned long long)age_s);
}

void pw_client_close(struct pw_client *c, const char *reason, const struct pw_error *err)
{
	struct pw_clients *clients = c->clients;
	struct pw_strbuf out = PW_STRBUF_INIT;
	bool may_finish = !err && strcmp(reason, "client close request") == 0;

	if (c->state == PW_CLIENT_CLOSED)
		return;
	log_closing(c, reason, err);
	pw_relay_flush(clients);
	if (err && !c->stream.has_ended) {
		pw_write_error(&out, err);
		pw_stream_send(&c->stream, out.data, out.len);
		pw_strbuf_fini(&out);
	}
	pw_client_goto(c, PW_CLIENT_CLOSED);
	if (c->console)
		clients->console_ops->end(c);
	pw_stream_close(&c->stream);
	if (c->key_len > 0)
		pw_map_remove(&clients->keys, &c->key_node);
	c->key_len = 0;
	leave_pool(c, may_finish);
	pw_prepared_destroy(c->prepared);
	c->prepared = NULL;
	pw_client_login_free(c);
	leave_shared(c);
	pw_reader_fini(&c->reader);
	pw_params_unref(&clients->pools->params, c->params);
	c->params = NULL;
	if (c->held)
		pw_strbuf_fini(c->held);
	free(c->held);
	c->held = NULL;
	pw_list_remove(&c->node);
	pw_task_post(clients->loop, &c->free_task);
}

void pw_client_fail(struct pw_client *c, const char *sqlstate, const char *fmt, ...)
{
	struct pw_error err;
	char text[sizeof(err.message)];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	pw_error_set(&err, sqlstate, "%s", text);
	pw_client_close(c, text, &err);
}

void pw_client_send(struct pw_client *c, const void *data, size_t len)
{
	pw_stream_send(&c->stream, data, len);
}

/* ---- the set ---- */

enum pw_status pw_clients_init(struct pw_clients *clients)
{
	pw_list_init(&clients->all);
	pw_map_init(&clients->keys);
	pw_map_init(&clients->verifiers);
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
	return pw_list_length(&clients->all);
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

size_t pw_client_statement_count(const struct pw_client *c)
{
	return pw_prepared_count(c->prepared);
}

void pw_client_load_limits(struct pw_client *c)
{
	struct pw_pools *pools = c->clients->pools;
	struct pw_client_conf limits;

	if (c->limits_of == pools->snapshot_serial || !c->loan.pool || !c->loan.pool->db)
		return;
	pw_conf_resolve_client(pools->snapshot->conf, c->loan.pool->db, pw_client_user(c), &limits);
	c->query_wait_timeout = limits.query_wait_timeout;
	c->client_idle_timeout = limits.client_idle_timeout;
	c->limits_of = pools->snapshot_serial;
}

/* ---- those of a pool ---- */

void pw_clients_pool_dropped(struct pw_pools *pools, struct pw_pool *pool, const char *why)
{
	struct pw_clients *clients = pools->clients_arg;
	struct pw_list *node = clients->all.next;

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

		if (c->state == PW_CLIENT_QUEUED || c->state == PW_CLIENT_WELCOMING)
			pw_client_fail(c, PW_SQLSTATE_PROTOCOL_VIOLATION, "server shutting down");
	}
}

void pw_clients_forget_secrets(struct pw_clients *clients)
{
	pw_login_forget_verifiers(clients);
}

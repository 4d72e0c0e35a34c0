/* SPDX-License-Identifier: PostgreSQL
 *
 * The states of a client, each a row: its name, what may follow it, its time limit. And its end.
 */
#include "config.h"

#include "client_priv.h"
#include "listening_priv.h"
#include "route_priv.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "pgweir/base/assert.h"
#include "pgweir/proto/writer.h"

#define BIT(state) (1u << PW_CLIENT_##state)

struct client_step {
	const char *name; /* SHOW CLIENTS */
	unsigned may_follow;
	uint64_t (*time_limit)(const struct pw_client *c); /* NULL = none */
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

uint64_t pw_client_held_limit(const struct pw_client *c)
{
	return pw_route_has_begun(c) ? c->loan.pool->conf.idle_transaction_timeout : 0;
}

uint64_t pw_client_idle_limit(const struct pw_client *c)
{
	uint64_t held = pw_client_held_limit(c);

	return held > 0 ? held : c->client_idle_timeout;
}

uint64_t pw_client_waited(const struct pw_client *c)
{
	uint64_t since = c->state_since_us;

	if (c->state == PW_CLIENT_QUEUED && c->route && c->route->queued_since_us > 0)
		since = c->route->queued_since_us;
	return c->clients->loop->now_us - since;
}

uint64_t pw_client_idle(const struct pw_client *c)
{
	uint64_t since = c->state_since_us;

	if (c->route && c->route->told_us > since)
		since = c->route->told_us;
	return c->clients->loop->now_us - since;
}

static uint64_t notify_after(const struct pw_client *c)
{
	return (uint64_t)conf_of(c)->query_wait_notify * PW_SECOND_US;
}

/* The nearest of: the notice, query_wait_timeout, query_timeout. */
uint64_t pw_client_queue_limit(const struct pw_client *c)
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
	return nearest > pw_client_waited(c) ? nearest - pw_client_waited(c) : 1;
}

static uint64_t hub_limit(const struct pw_client *c PW_UNUSED)
{
	return PW_HUB_PATIENCE_US;
}

static uint64_t cancel_limit(const struct pw_client *c)
{
	return conf_of(c)->cancel_wait_timeout;
}

/* ---- states ---- */

static const struct client_step steps[PW_CLIENT_N_STATES] = {
    [PW_CLIENT_STARTUP] = {"login", ~0u, login_limit},
    [PW_CLIENT_TLS_HANDSHAKE] = {"login", BIT(STARTUP) | BIT(CLOSED), login_limit},
    [PW_CLIENT_AUTH] = {"login",
			BIT(LOOKUP) | BIT(WELCOMING) | BIT(LINKING) | BIT(READY) | BIT(CONSOLE) |
			    BIT(CLOSED),
			login_limit},
    [PW_CLIENT_LOOKUP] = {"login",
			  BIT(AUTH) | BIT(WELCOMING) | BIT(LINKING) | BIT(READY) | BIT(CONSOLE) |
			      BIT(CLOSED),
			  login_limit},
    [PW_CLIENT_WELCOMING] = {"waiting", BIT(READY) | BIT(CLOSED), login_limit},
    [PW_CLIENT_LINKING] = {"waiting", BIT(RELAYING) | BIT(CLOSED), pw_client_queue_limit},
    [PW_CLIENT_READY] = {"idle",
			 BIT(ROUTING) | BIT(QUEUED) | BIT(SYNCING) | BIT(RELAYING) | BIT(CLOSED),
			 pw_client_idle_limit},
    [PW_CLIENT_ROUTING] = {"active", BIT(READY) | BIT(CLOSED), pw_client_idle_limit},
    [PW_CLIENT_QUEUED] = {"waiting",
			  BIT(READY) | BIT(ROUTING) | BIT(SYNCING) | BIT(RELAYING) | BIT(CLOSED),
			  pw_client_queue_limit},
    [PW_CLIENT_SYNCING] = {"active", BIT(QUEUED) | BIT(ROUTING) | BIT(RELAYING) | BIT(CLOSED),
			   NULL},
    [PW_CLIENT_RELAYING] = {"active",
			    BIT(READY) | BIT(SETTLING) | BIT(PREPARING) | BIT(ASKING) |
				BIT(UNLISTENING) | BIT(CLOSED),
			    NULL},
    [PW_CLIENT_SETTLING] = {"active", BIT(RELAYING) | BIT(PREPARING) | BIT(ROUTING) | BIT(CLOSED),
			    NULL},
    [PW_CLIENT_PREPARING] = {"active", BIT(RELAYING) | BIT(ROUTING) | BIT(CLOSED), NULL},
    [PW_CLIENT_ASKING] = {"active", BIT(SYNCING) | BIT(RELAYING) | BIT(ASKING) | BIT(CLOSED), NULL},
    [PW_CLIENT_UNLISTENING] = {"active", BIT(READY) | BIT(RELAYING) | BIT(CLOSED), hub_limit},
    [PW_CLIENT_CONSOLE] = {"active", BIT(CLOSED), NULL},
    [PW_CLIENT_CANCELING] = {"active_cancel_req", BIT(CLOSED), cancel_limit},
    [PW_CLIENT_CLOSED] = {"closed", 0, NULL},
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
	/* No client understands a notice in the middle of its login. */
	if (state == PW_CLIENT_QUEUED || state == PW_CLIENT_LINKING)
		c->was_notified = state == PW_CLIENT_LINKING ||
				  (c->was_notified && c->route && c->route->queued_since_us > 0);
	limit = steps[state].time_limit ? steps[state].time_limit(c) : 0;
	if (limit > 0)
		pw_loop_arm(c->clients->loop, &c->timer, limit);
	else
		pw_timer_disarm(&c->timer);
}

const char *pw_client_database(const struct pw_client *c)
{
	/* Whichever of its names was asked for. */
	if (c->console || (c->login && c->login->is_console))
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
	c->loan.options = NULL;
	free(login->options);
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

#ifdef PW_MUTANT_HALF_MESSAGE_FORGOTTEN
	is_half_sent = false;
#endif
	pw_session_leave(c);
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
	/* Those of the login say as much to the log as to strangers. */
	if (err && conf_of(c)->log_pooler_errors)
		pw_log_warning(&c->log, "pooler error: %s%s%s", err->message,
			       err->detail[0] && !c->login ? " DETAIL: " : "",
			       c->login ? "" : err->detail);
	if (conf_of(c)->log_disconnections)
		pw_log_info(&c->log, "closing because: %s (age=%llus)", reason,
			    (unsigned long long)age_s);
}

void pw_client_close(struct pw_client *c, const char *reason, const struct pw_error *err)
{
	struct pw_clients *clients = c->clients;
	struct pw_strbuf out = PW_STRBUF_INIT;
	/* A look-up of its secret is our own query, and short: to cancel and to clean up after it
	 * would cost the server more, and any stranger could make it do so. */
	bool may_finish =
	    c->state == PW_CLIENT_LOOKUP || (!err && strcmp(reason, "client close request") == 0);

	if (c->state == PW_CLIENT_CLOSED)
		return;
	log_closing(c, reason, err);
	pw_clients_flush(clients);
	/* Behind half a message it would be taken for the rest of that. */
	if (err && !c->stream.has_ended && !c->is_answering) {
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
	pw_route_end(c);
	pw_prepared_destroy(c->prepared);
	c->prepared = NULL;
	pw_session_end(c);
	pw_client_login_free(c);
	leave_shared(c);
	pw_reader_fini(&c->reader);
	pw_params_unref(&clients->pools->params, c->params);
	c->params = NULL;
	pw_state_unref(c->settings);
	c->settings = NULL;
	if (c->held)
		pw_strbuf_wipe(c->held); /* it may hold a password */
	free(c->held);
	c->held = NULL;
	atomic_fetch_sub_explicit(&clients->pools->registry->text_bytes, c->held_counted,
				  memory_order_relaxed);
	c->held_counted = 0;
	pw_list_remove(&c->node);
	atomic_fetch_sub(&c->clients->n_open, 1);
	pw_task_post(clients->loop, &c->free_task);
}

void pw_client_fail(struct pw_client *c, const char *sqlstate, const char *fmt, ...)
{
	struct pw_error err;
	va_list ap;

	va_start(ap, fmt);
	pw_error_vset(&err, sqlstate, fmt, ap);
	va_end(ap);
	pw_client_close(c, err.message, &err);
}

void pw_client_feed(struct pw_client *c, const uint8_t *data, size_t len)
{
	c->stream.ops->on_data(&c->stream, data, len);
}

void pw_client_send(struct pw_client *c, const void *data, size_t len)
{
	pw_stream_send(&c->stream, data, len);
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

void pw_clients_flush(struct pw_clients *clients)
{
	pw_batch_flush(&clients->to_server);
	pw_batch_flush(&clients->to_client);
	clients->to_server.stream = NULL;
	clients->to_client.stream = NULL;
}

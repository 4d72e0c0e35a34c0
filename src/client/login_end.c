/* SPDX-License-Identifier: PostgreSQL
 *
 * The end of a login, once the client has shown who it is: its places in the limits, its pool and
 * the welcome, or the console.
 */
#include "config.h"

#include <string.h>

#include "client_priv.h"
#include "pgweir/base/assert.h"
#include "pgweir/base/rng.h"
#include "pgweir/pool/spelling.h"
#include "pgweir/proto/startup.h"
#include "pgweir/proto/writer.h"
#include "route_priv.h"

enum { USUAL_WELCOME = 1000 };

#define FAIL(c, ...) pw_client_fail(c, PW_SQLSTATE_PROTOCOL_VIOLATION, __VA_ARGS__)

static const struct pw_conf *conf_of(const struct pw_client *c)
{
	return c->login->snapshot->conf;
}

/* Takes the client's place in the limits of its database and user, as far as it has none yet. */
bool pw_login_join_shared(struct pw_client *c)
{
	struct pw_client_login *login = c->login;
	struct pw_registry *registry = c->clients->registry;
	struct pw_client_conf limits;
	bool is_admin = login->is_console && pw_conf_list_has(conf_of(c)->admin_users, login->user);

	memset(&limits, 0, sizeof(limits));
	pw_conf_resolve_client(conf_of(c), login->db, login->user, &limits);
	if (!c->shared_db) {
		c->shared_db =
		    pw_registry_db(registry, login->is_console ? "pgbouncer" : login->database);
		if (c->shared_db &&
		    !pw_limit_take(&c->shared_db->clients,
				   is_admin ? 0 : limits.max_db_client_connections)) {
			pw_registry_put_db(registry, c->shared_db);
			c->shared_db = NULL;
			FAIL(c, "client connections exceeded (max_db_client_connections)");
			return false;
		}
	}
	if (!c->shared_user) {
		c->shared_user = pw_registry_user(registry, login->user);
		if (c->shared_user &&
		    !pw_limit_take(&c->shared_user->clients,
				   is_admin ? 0 : limits.max_user_client_connections)) {
			pw_registry_put_user(registry, c->shared_user);
			c->shared_user = NULL;
			FAIL(c, "client connections exceeded (max_user_client_connections)");
			return false;
		}
	}
	if (!c->shared_db || !c->shared_user)
		pw_client_fail(c, PW_SQLSTATE_OUT_OF_MEMORY, "out of memory");
	return c->shared_db && c->shared_user;
}

static bool make_key(struct pw_client *c)
{
	c->key_len = c->login->version >= PW_PROTOCOL(3, 2) ? PW_CLIENT_KEY_MAX : PW_KEY_30_LEN;
	pw_rng_secret(c->key, c->key_len);
	c->key[0] &= 0x7f; /* some clients show it as a process id */
	if (pw_map_insert(&c->clients->keys, &c->key_node,
			  pw_hash(&c->clients->pools->hash_key, c->key, c->key_len)) == PW_OK)
		return true;
	c->key_len = 0;
	pw_client_fail(c, PW_SQLSTATE_OUT_OF_MEMORY, "out of memory");
	return false;
}

static void write_tracked(struct pw_client *c, struct pw_strbuf *out)
{
	const struct pw_tracked *tracked = c->clients->tracked;

	for (size_t i = 0; i < tracked->n; i++) {
		if (c->params->values[i])
			pw_write_parameter_status(out, tracked->names[i], c->params->values[i]);
	}
}

static void write_tail(struct pw_client *c, struct pw_strbuf *out)
{
	const char *message = c->clients->pools->snapshot->conf->login_notify_message;
	struct pw_error notice;

	pw_write_message(out, 'K', c->key, c->key_len);
	if (message && message[0]) {
		pw_error_set(&notice, PW_SQLSTATE_SUCCESS, "%s", message);
		notice.severity = PW_SEVERITY_NOTICE;
		pw_write_error(out, &notice);
	}
	pw_write_ready(out, 'I');
}

/* A console has no server: these are its own, and behind them what the client sent. */
static void write_console_parameters(struct pw_client *c, struct pw_strbuf *out)
{
	static const char *const fixed[][2] = {
	    {"client_encoding", "UTF8"},
	    {"server_encoding", "UTF8"},
	    {"DateStyle", "ISO"},
	    {"TimeZone", "GMT"},
	    {"standard_conforming_strings", "on"},
	    {"is_superuser", "on"},
	};

	/* Drivers read the number at its beginning. */
	pw_write_parameter_status(out, "server_version", PACKAGE_VERSION "/pgweir");
	for (size_t i = 0; i < PW_COUNTOF(fixed); i++)
		pw_write_parameter_status(out, fixed[i][0], fixed[i][1]);
	write_tracked(c, out);
}

static void enter_console(struct pw_client *c)
{
	struct pw_strbuf out = PW_STRBUF_INIT;

	if (!make_key(c))
		return;
	pw_reader_fini(&c->reader);
	pw_reader_init(&c->reader, &pw_frontend_messages, PW_FOR_CONSOLE);
	if (!c->clients->console_ops->begin(c)) {
		pw_client_fail(c, PW_SQLSTATE_OUT_OF_MEMORY, "out of memory");
		return;
	}
	pw_write_auth(&out, PW_AUTH_REQ_OK, NULL, 0);
	write_console_parameters(c, &out);
	write_tail(c, &out);
	pw_client_login_free(c);
	pw_client_goto(c, PW_CLIENT_CONSOLE);
	pw_batch_copy(pw_relay_to_client(c), out.data, out.len);
	pw_clients_flush(c->clients);
	pw_strbuf_fini(&out);
}

static enum pw_console_right console_right(const struct pw_client *c)
{
	const struct pw_conf *conf = conf_of(c);

	if (pw_conf_list_has(conf->admin_users, c->login->user))
		return PW_RIGHT_ADMIN;
	if (pw_conf_list_has(conf->stats_users, c->login->user) || conf->auth_type == PW_AUTH_ANY)
		return PW_RIGHT_STATS;
	return PW_RIGHT_NONE;
}

bool pw_login_enter_console(struct pw_client *c)
{
	struct pw_error err;

	c->right = console_right(c);
	if (c->right != PW_RIGHT_NONE)
		return true;
	pw_error_set(&err, PW_SQLSTATE_PROTOCOL_VIOLATION, "not allowed");
	pw_error_hint(&err, "The console is for the users in admin_users and stats_users.");
	pw_client_close(c, err.message, &err);
	return false;
}

static bool join_pool(struct pw_client *c)
{
	struct pw_client_login *login = c->login;
	struct pw_pools *pools = c->clients->pools;
	const struct pw_conf_db *db = pw_conf_find_db(pools->snapshot->conf, login->database);
	struct pw_pool *pool;

	if (!db && login->db)
		db = pw_conf_find_db(pools->snapshot->conf, "*");
	if (!db) {
		FAIL(c, "no such database: %s", login->database);
		return false;
	}
	login->db = db;
	if (!pw_login_join_shared(c))
		return false;
	if (atomic_load(&c->shared_db->is_disabled)) {
		FAIL(c, "database \"%s\" is disabled", login->database);
		return false;
	}
	pool = pw_pools_get(pools, db, login->database, login->user);
	if (!pool) {
		pw_client_fail(c, PW_SQLSTATE_OUT_OF_MEMORY, "out of memory");
		return false;
	}
	pw_loan_bind(&c->loan, pool);
	c->loan.replication = login->replication;
	c->loan.options = login->options;
	if (login->replication != PW_REPLICATION_NONE)
		c->loan.mode = PW_MODE_SESSION;
	/* What the client has shown is good for its own user's pool only. */
	if (!db->user && login->keys.is_set && login->has_stored_verifier)
		pw_pool_learn_keys(pool, &login->keys);
	if (!db->user && login->password.data)
		pw_pool_learn_secret(pool, login->password.data);
	else if (!db->user && login->is_dynamic && login->secret.data)
		pw_pool_learn_secret(pool, login->secret.data);
	return true;
}

static void await_own_link(struct pw_client *c)
{
	if (c->clients->is_draining) {
		FAIL(c, "server shutting down");
		return;
	}
	pw_client_goto(c, PW_CLIENT_LINKING);
	(void)pw_pool_borrow(&c->loan);
}

void pw_login_authenticated(struct pw_client *c)
{
	struct pw_client_login *login = c->login;

	if (login->is_console) {
		if (c->right == PW_RIGHT_NONE && !pw_login_enter_console(c))
			return;
		if (pw_login_join_shared(c))
			enter_console(c);
		return;
	}
	if (!join_pool(c))
		return;
	pw_client_load_limits(c);
	c->loan.params = c->params;
	if (login->replication != PW_REPLICATION_NONE) {
		await_own_link(c);
		return;
	}
	if (atomic_load(&c->loan.pool->shared->welcome_version) > 0) {
		pw_login_finish(c);
		return;
	}
	pw_client_goto(c, PW_CLIENT_WELCOMING);
	pw_pool_await_welcome(&c->loan);
}

static void replace_params(struct pw_client *c, struct pw_params *params)
{
	pw_params_unref(&c->clients->pools->params, c->params);
	c->params = params;
	c->loan.params = params;
}

/* What the client has asked for as a server would report it, who began with `base`. */
static struct pw_params *spell_params(struct pw_client *c, const struct pw_params *base)
{
	const char *values[PW_TRACKED_MAX] = {NULL};

	for (size_t i = 0; i < c->params->n; i++) {
		if (c->params->values[i])
			values[i] = pw_spelling(c->clients->tracked->names[i], c->params->values[i],
						base->values[i]);
	}
	return pw_params_intern(&c->clients->pools->params, values);
}

/* Writes what the client's own server, or else one of the pool, has reported at login; the client's
 * own parameters are then spelled as there. False without memory. */
static bool write_welcome(struct pw_client *c, struct pw_strbuf *out)
{
	struct pw_pool *pool = c->loan.pool;
	struct pw_params *spelled;

	if (c->loan.link) {
		pw_link_welcome(c->loan.link, out);
		return true;
	}
	spelled = pw_pool_welcome(pool, out) ? spell_params(c, pool->welcome_params) : NULL;
	if (spelled)
		replace_params(c, spelled);
	return spelled;
}

/* What the client has not asked for is as on its server, or as where the pool began. */
static bool fill_params(struct pw_client *c)
{
	struct pw_pool *pool = c->loan.pool;
	const struct pw_link *link = c->loan.link;
	struct pw_params *all;

	if (link)
		all = pw_params_ref(link->params ? link->params : c->params);
	else
		all = pw_params_overlay(&pool->pools->params, pool->welcome_params, c->params);
	if (all)
		replace_params(c, all);
	return all;
}

static void begin_reading(struct pw_client *c)
{
	const struct pw_conf *conf = c->clients->pools->snapshot->conf;
	uint32_t largest = (uint32_t)conf->prepared_statement_bytes_client;

	pw_reader_fini(&c->reader);
	pw_reader_init(&c->reader, &pw_frontend_messages,
		       (c->is_tracking ? PW_FOR_PREPARED : 0u) |
			   (c->session ? PW_FOR_SESSION : 0u));
	c->reader.texts_held = &c->clients->pools->registry->text_bytes;
	if (conf->max_packet_size < PW_MESSAGE_MAX)
		c->reader.max_total = conf->max_packet_size;
	/* A statement that will not be kept is not waited for to its end. */
	if (largest > 0 && largest < c->reader.max_parse)
		c->reader.max_parse = largest;
}

/* What of the session is virtual hangs on the settings at login: a reload does not change it. */
static bool begin_session(struct pw_client *c)
{
	const struct pw_conf *conf = c->clients->pools->snapshot->conf;
	const struct pw_conf_db *db = c->loan.pool->db;
	bool is_shared = c->loan.mode != PW_MODE_SESSION;
	/* What a connect_query has set cannot be told from what clients set. */
	bool is_tracked = is_shared && conf->session_state == PW_SESSION_TRACK &&
			  !(db && db->connect_query && db->connect_query[0]);

	c->is_tracking = is_shared && conf->max_prepared_statements > 0;
	c->loan.settings = c->settings;
	c->loan.is_untracked = is_shared && conf->session_state == PW_SESSION_OFF;
	c->loan.is_strict = is_tracked;
	if (!is_tracked)
		return true;
	return pw_session_part_params(c, c->loan.pool->welcome_params) &&
	       pw_session_begin(c, c->params);
}

static bool takes_settings(struct pw_client *c)
{
	struct pw_error err;
	bool is_refused = pw_route_refuses_settings(c, &err);

	if (is_refused)
		pw_client_close(c, err.message, &err);
	return !is_refused;
}

void pw_login_finish(struct pw_client *c)
{
	struct pw_pool *pool = c->loan.pool;
	struct pw_strbuf out = PW_STRBUF_INIT;

	(void)!pw_strbuf_reserve(&out, USUAL_WELCOME); /* or it grows step by step */
	pw_write_auth(&out, PW_AUTH_REQ_OK, NULL, 0);
	if (!write_welcome(c, &out) || !begin_session(c) || !fill_params(c)) {
		pw_strbuf_fini(&out);
		pw_client_fail(c, PW_SQLSTATE_OUT_OF_MEMORY, "out of memory");
		return;
	}
	if (!takes_settings(c) || !make_key(c)) {
		pw_strbuf_fini(&out);
		return;
	}
	write_tracked(c, &out);
	write_tail(c, &out);
	pool->stats.now.client_login_count++;
	pw_client_login_free(c);
	begin_reading(c);
	pw_client_goto(c, c->loan.link ? PW_CLIENT_RELAYING : PW_CLIENT_READY);
	if (out.has_failed)
		pw_client_fail(c, PW_SQLSTATE_OUT_OF_MEMORY, "out of memory");
	else
		pw_batch_copy(pw_relay_to_client(c), out.data, out.len);
	pw_clients_flush(c->clients);
	pw_strbuf_fini(&out);
	if (c->state != PW_CLIENT_CLOSED && c->held)
		pw_relay_release(c);
}

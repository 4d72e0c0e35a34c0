/* SPDX-License-Identifier: PostgreSQL
 *
 * From the first byte to the first ReadyForQuery: encryption requests, the start-up packet, limits,
 * then authentication (login_auth.c). Source: PostgreSQL 15
 * docs 55.2.1 and 55.2.10; order and texts of refusals are PgBouncer's.
 *
 * Nobody has logged in yet, so whatever is kept is bounded: a start-up packet of 10 000 bytes, a
 * password of 65 535, never both.
 */
#include "config.h"

#include <ctype.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client_priv.h"
#include "pgweir/base/assert.h"
#include "pgweir/base/rng.h"
#include "pgweir/base/utf8.h"
#include "pgweir/net/socket.h"
#include "pgweir/proto/startup.h"
#include "pgweir/proto/writer.h"

/* An operator gets in when applications have taken every place; strangers who call themselves the
 * console cannot take many more. */
enum { CONSOLE_RESERVE = 3 };

enum { TLS_FIRST_BYTE = 0x16, KEPT_VALUES_MAX = 2048, APP_NAME_MAX = 128 };

#define FAIL(c, ...) pw_client_fail(c, PW_SQLSTATE_PROTOCOL_VIOLATION, __VA_ARGS__)

static const struct pw_conf *conf_of(const struct pw_client *c)
{
	return c->login->snapshot->conf;
}

/* ---- encryption ---- */

static bool accepts_tls(const struct pw_client *c)
{
	return conf_of(c)->client_tls_sslmode != PW_SSL_DISABLE && c->addr.family != AF_UNIX &&
	       !c->is_tls;
}

/* `data`: what has come of the handshake; NULL = it was asked for, and may now begin. */
static void start_tls(struct pw_client *c, const uint8_t *data, size_t len)
{
	struct pw_tls *tls =
	    pw_tls_accept(c->login->snapshot->accept_tls, c->stream.fd, data != NULL);

	if (tls && (c->stream.backlog || (data && pw_tls_put_back(tls, data, len) != PW_OK))) {
		pw_tls_transport_ops.destroy(tls);
		tls = NULL;
	}
	pw_client_goto(c, PW_CLIENT_TLS_HANDSHAKE);
	if (!tls || pw_stream_start(&c->stream, &pw_tls_transport_ops, tls) != PW_OK)
		pw_client_close(c, "failed to accept SSL", NULL);
}

/* Only as the very first thing, as in PostgreSQL 17. */
static bool begins_with_tls(const struct pw_client *c, const uint8_t *data)
{
	const struct pw_client_login *login = c->login;

	return data[0] == TLS_FIRST_BYTE && login->packet.len == 0 && !login->is_ssl_asked &&
	       !login->is_gss_asked && accepts_tls(c);
}

void pw_login_on_tls_open(struct pw_client *c)
{
	c->is_tls = true;
	pw_client_goto(c, PW_CLIENT_STARTUP);
}

void pw_login_begin(struct pw_client *c)
{
	c->login->snapshot = pw_snapshot_ref(c->clients->pools->snapshot);
	c->state = PW_CLIENT_STARTUP;
	pw_client_goto(c, PW_CLIENT_STARTUP);
}

static void answer_encryption_request(struct pw_client *c, enum pw_startup_kind kind,
				      size_t bytes_behind)
{
	bool is_ssl = kind == PW_STARTUP_SSL;
	bool is_accepted = is_ssl && accepts_tls(c);

	if (is_ssl ? c->login->is_ssl_asked : c->login->is_gss_asked) {
		pw_client_close(c, "encryption was asked for twice", NULL);
		return;
	}
	c->login->is_ssl_asked |= is_ssl;
	c->login->is_gss_asked |= !is_ssl;
#ifndef PW_MUTANT_PLAINTEXT_BEHIND_SSLREQUEST
	if (bytes_behind > 0) {
		FAIL(c, "received unencrypted data after %s request",
		     is_ssl ? "SSL" : "GSSAPI encryption");
		return;
	}
#endif
	pw_client_send(c, is_accepted ? "S" : "N", 1);
	if (is_accepted)
		start_tls(c, NULL, 0);
}

/* ---- parameters ---- */

struct wanted {
	struct pw_client *c;
	const char *values[PW_TRACKED_MAX];
	char *storage[PW_TRACKED_MAX]; /* values that came out of `options` */
	size_t bytes;
	bool keeps_settings; /* also those that no server reports */
};

/* Will there be a session that is carried from link to link? */
static bool keeps_settings(const struct pw_client *c)
{
	const struct pw_client_login *login = c->login;
	struct pw_pool_conf pool;

	if (conf_of(c)->session_state != PW_SESSION_TRACK || !login->db || login->is_console ||
	    login->replication != PW_REPLICATION_NONE)
		return false;
	pw_conf_resolve_pool(conf_of(c), login->db, login->user, &pool);
	return pool.mode != PW_MODE_SESSION;
}

/* All that is kept of the packet until the login is over counts. */
static enum pw_status count_kept(struct wanted *w, const char *value, struct pw_error *err)
{
	w->bytes += strlen(value);
	if (w->bytes <= KEPT_VALUES_MAX)
		return PW_OK;
	pw_error_set(err, PW_SQLSTATE_PROTOCOL_VIOLATION, "startup parameters too long");
	pw_error_detail(err, "pgweir keeps at most %d bytes of them.", KEPT_VALUES_MAX);
	return PW_ELIMIT;
}

static enum pw_status keep_setting(struct wanted *w, const char *name, const char *value,
				   struct pw_error *err)
{
	struct pw_state *changed;
	char folded[256];
	size_t len = strlen(name);

	if (len >= sizeof(folded)) {
		pw_error_set(err, PW_SQLSTATE_PROTOCOL_VIOLATION, "startup parameters too long");
		return PW_ELIMIT;
	}
	for (size_t i = 0; i <= len; i++)
		folded[i] = (char)tolower((unsigned char)name[i]);
	changed = pw_state_with(w->c->settings, folded, value);
	if (!changed)
		return PW_ENOMEM;
	pw_state_unref(w->c->settings);
	w->c->settings = changed;
	w->bytes += len;
	return count_kept(w, value, err);
}

static enum pw_status take_option(const char *name, const char *value, void *arg,
				  struct pw_error *err)
{
	struct wanted *w = arg;
	const char *ignored = conf_of(w->c)->ignore_startup_parameters;
	int index = pw_tracked_find(w->c->clients->tracked, name);

	if (index >= 0) {
		free(w->storage[index]);
		w->values[index] = w->storage[index] = strdup(value);
		return w->storage[index] ? count_kept(w, value, err) : PW_ENOMEM;
	}
	if (pw_conf_list_has(ignored, name) || pw_conf_list_has(ignored, "options"))
		return PW_OK;
	if (w->keeps_settings)
		return keep_setting(w, name, value, err);
	pw_error_set(err, PW_SQLSTATE_PROTOCOL_VIOLATION,
		     "unsupported startup parameter in options: %s", name);
	pw_error_hint(err, "Add it to ignore_startup_parameters if it may be dropped.");
	return PW_EPROTO;
}

static bool is_consumed(const char *name)
{
	return strcmp(name, "user") == 0 || strcmp(name, "database") == 0 ||
	       strcmp(name, "replication") == 0 || strncmp(name, "_pq_.", 5) == 0;
}

/* A replication client's server is its own, and reads them itself. */
static enum pw_status keep_options(struct wanted *w, const char *options, struct pw_error *err)
{
	struct pw_client_login *login = w->c->login;

	free(login->options);
	login->options = strdup(options);
	return login->options ? count_kept(w, options, err) : PW_ENOMEM;
}

static enum pw_status take_options(struct wanted *w, const char *options, struct pw_error *err)
{
	enum pw_status status = pw_startup_walk_options(options, take_option, w, err);

	/* `options` in the list: whatever cannot be understood in it is dropped. */
	return status == PW_EPROTO &&
		       pw_conf_list_has(conf_of(w->c)->ignore_startup_parameters, "options")
		   ? PW_OK
		   : status;
}

static enum pw_status take_parameter(struct wanted *w, const struct pw_startup_param *param,
				     struct pw_error *err)
{
	const char *ignored = conf_of(w->c)->ignore_startup_parameters;
	int index;

	if (is_consumed(param->name))
		return PW_OK;
	if (strcmp(param->name, "options") == 0)
		return w->c->login->replication != PW_REPLICATION_NONE
			   ? keep_options(w, param->value, err)
			   : take_options(w, param->value, err);
	index = pw_tracked_find(w->c->clients->tracked, param->name);
	if (index >= 0) {
		w->values[index] = param->value;
		return count_kept(w, param->value, err);
	}
	if (pw_conf_list_has(ignored, param->name))
		return PW_OK;
	if (w->keeps_settings)
		return keep_setting(w, param->name, param->value, err);
	pw_error_set(err, PW_SQLSTATE_PROTOCOL_VIOLATION, "unsupported startup parameter: %s",
		     param->name);
	pw_error_hint(err, "Add it to ignore_startup_parameters if it may be dropped.");
	pw_log_warning(&w->c->log, "unsupported startup parameter: %s=%s", param->name,
		       param->value);
	return PW_EPROTO;
}

/* "APP - 10.0.0.1:4321" in place of the client's own name. */
static bool add_host(struct wanted *w)
{
	int index = pw_tracked_find(w->c->clients->tracked, "application_name");
	const char *name = w->values[index] ? w->values[index] : "app";
	char addr[PW_ADDR_TEXT_SIZE + 8], text[256];

	pw_addr_format_port(&w->c->addr, addr, sizeof(addr));
	snprintf(text, sizeof(text), "%.*s - %s", (int)pw_utf8_fit(name, APP_NAME_MAX), name, addr);
	free(w->storage[index]);
	w->storage[index] = strdup(text);
	w->values[index] = w->storage[index];
	return w->storage[index] != NULL;
}

static bool take_parameters(struct pw_client *c, const struct pw_startup *startup)
{
	struct wanted w = {.c = c, .keeps_settings = keeps_settings(c)};
	struct pw_error err;
	enum pw_status status = PW_OK;

	c->settings = pw_state_empty(&c->clients->pools->states);
	if (!c->settings)
		status = PW_ENOMEM;

	for (size_t i = 0; i < startup->n_params && status == PW_OK; i++)
		status = take_parameter(&w, &startup->params[i], &err);
	if (status == PW_OK && conf_of(c)->application_name_add_host && !add_host(&w))
		status = PW_ENOMEM;
	if (status == PW_OK)
		c->params = pw_params_intern(&c->clients->pools->params, w.values);
	for (size_t i = 0; i < PW_TRACKED_MAX; i++)
		free(w.storage[i]);
	if (status != PW_OK && status != PW_ENOMEM)
		pw_client_close(c, err.message, &err);
	else if (!c->params)
		pw_client_fail(c, PW_SQLSTATE_OUT_OF_MEMORY, "out of memory");
	return status == PW_OK && c->params;
}

/* ---- version ---- */

/* 3.0 and 3.2 are spoken; 3.1 was never used and means 3.0, anything newer means 3.2. */
static uint32_t choose_version(uint32_t asked)
{
	if (asked <= PW_PROTOCOL(3, 1))
		return PW_PROTOCOL(3, 0);
	return PW_PROTOCOL(3, 2);
}

static bool negotiate(struct pw_client *c, const struct pw_startup *startup)
{
	struct pw_strbuf names = PW_STRBUF_INIT, out = PW_STRBUF_INIT;
	uint32_t n = 0;
	bool ok;

	c->login->version = choose_version(startup->version);
	for (size_t i = 0; i < startup->n_params; i++) {
		const char *name = startup->params[i].name;

		if (strncmp(name, "_pq_.", 5) == 0) {
			pw_strbuf_add(&names, name, strlen(name) + 1);
			n++;
		}
	}
	if (n > 0 || c->login->version != startup->version) {
		pw_write_negotiate(&out, c->login->version, names.data, names.len, n);
		pw_client_send(c, out.data, out.len);
	}
	ok = !names.has_failed && !out.has_failed;
	pw_strbuf_fini(&names);
	pw_strbuf_fini(&out);
	if (!ok)
		pw_client_fail(c, PW_SQLSTATE_OUT_OF_MEMORY, "out of memory");
	return ok;
}

/* ---- who and where ---- */

/* Cuts what is too long. */
static void copy_text(char *out, size_t size, const char *text)
{
	size_t len = strnlen(text, size - 1);

	memcpy(out, text, len);
	out[len] = '\0';
}

static bool take_names(struct pw_client *c, const struct pw_startup *startup)
{
	struct pw_client_login *login = c->login;
	const char *user = pw_startup_get(startup, "user");
	const char *database = pw_startup_get(startup, "database");

	if (!user || user[0] == '\0') {
		FAIL(c, "no username supplied");
		return false;
	}
	if (strlen(user) > PW_USERNAME_MAX) {
		FAIL(c, "username too long");
		return false;
	}
	if (!database || database[0] == '\0')
		database = user;
	copy_text(login->user, sizeof(login->user), user);
	/* A longer name than PostgreSQL can have: there is no such database. */
	copy_text(login->database, sizeof(login->database), database);
	login->is_console = pw_conf_is_console(login->database);
	if (!login->is_console && strlen(database) < sizeof(login->database)) {
		login->db = pw_conf_find_db(conf_of(c), database);
		if (!login->db)
			login->db = pw_conf_find_db(conf_of(c), "*");
	}
	return true;
}

static bool check_process_limits(struct pw_client *c)
{
	struct pw_client_login *login = c->login;
	struct pw_registry *registry = c->clients->registry;
	int max = conf_of(c)->max_client_conn;
	struct pw_error err;

	if (c->clients->is_shutting_down && !(login->is_console && c->addr.family == AF_UNIX)) {
		FAIL(c, "pooler is shutting down");
		return false;
	}
	if (conf_of(c)->client_tls_sslmode >= PW_SSL_REQUIRE && !c->is_tls &&
	    c->addr.family != AF_UNIX) {
		FAIL(c, "SSL required");
		return false;
	}
	c->is_counted = true;
	if (login->is_console)
		max = max < INT_MAX - CONSOLE_RESERVE ? max + CONSOLE_RESERVE : max;
	if (atomic_fetch_add(&registry->clients, 1) < max)
		return true;
	pw_error_set(&err, PW_SQLSTATE_PROTOCOL_VIOLATION,
		     "no more connections allowed (max_client_conn)");
	pw_error_detail(&err, "%d client connections are open.", max);
	pw_client_close(c, err.message, &err);
	return false;
}

/* The user is in a file of ours: no stranger can fill our tables with made-up names. */
static bool is_configured(const struct pw_client *c)
{
	const struct pw_client_login *login = c->login;

	return pw_userdb_find(login->snapshot->users, login->user) ||
	       pw_conf_find_user(conf_of(c), login->user);
}

static void log_attempt(struct pw_client *c)
{
	char tls[128] = "no";

	if (!conf_of(c)->log_connections)
		return;
	if (c->is_tls)
		pw_tls_describe(c->stream.transport, tls, sizeof(tls));
	pw_log_info(&c->log, "login attempt: db=%s user=%s tls=%s replication=%s",
		    c->login->database, c->login->user, tls,
		    pw_replication_value(c->login->replication));
}

static bool take_replication(struct pw_client *c, const struct pw_startup *startup)
{
	const char *value = pw_startup_get(startup, "replication");
	struct pw_error err;

	if (value && !pw_parse_replication(value, &c->login->replication)) {
		pw_error_set(&err, PW_SQLSTATE_INVALID_PARAMETER,
			     "invalid value for parameter \"replication\": \"%.64s\"", value);
		pw_error_hint(&err, "Valid values are: \"false\", 0, \"true\", 1, \"database\".");
		pw_client_close(c, err.message, &err);
		return false;
	}
	/* Nor is a rule of the HBA file about replication one that lets anybody in there. */
	if (c->login->replication != PW_REPLICATION_NONE && c->login->is_console) {
		pw_client_fail(c, PW_SQLSTATE_FEATURE_NOT_SUPPORTED,
			       "the console has nothing to replicate");
		return false;
	}
	return true;
}

static void take_startup(struct pw_client *c, const struct pw_startup *startup)
{
	if (!take_names(c, startup) || !check_process_limits(c) || !take_replication(c, startup))
		return;
	if (!negotiate(c, startup) || !take_parameters(c, startup))
		return;
	pw_strbuf_fini(&c->login->packet);
	log_attempt(c);
	if (is_configured(c) && (c->login->db || c->login->is_console) && !pw_login_join_shared(c))
		return;
	pw_login_authenticate(c);
}

static void read_packet(struct pw_client *c, const uint8_t *packet, size_t len, size_t bytes_behind)
{
	struct pw_startup *startup = malloc(sizeof(*startup));
	struct pw_error err;

	if (!startup) {
		pw_client_fail(c, PW_SQLSTATE_OUT_OF_MEMORY, "out of memory");
		return;
	}
	if (pw_startup_parse(packet, len, startup, &err) != PW_OK) {
		pw_client_close(c, err.message, &err);
	} else if (startup->kind == PW_STARTUP_CANCEL) {
		pw_login_take_cancel(c, startup->cancel_key, startup->cancel_key_len);
	} else if (startup->kind != PW_STARTUP_MESSAGE) {
		/* The packet's memory is needed for the next one. */
		enum pw_startup_kind kind = startup->kind;

		pw_strbuf_fini(&c->login->packet);
		answer_encryption_request(c, kind, bytes_behind);
	} else {
		take_startup(c, startup);
	}
	free(startup);
}

void pw_login_on_startup_data(struct pw_client *c, const uint8_t *data, size_t len)
{
	struct pw_strbuf *packet = &c->login->packet;
	size_t total = 0, step;

	if (begins_with_tls(c, data)) {
		start_tls(c, data, len);
		return;
	}
	/* The length word first, then as much as it says: never more than the bound. */
	while (len > 0 && packet->len < 4) {
		pw_strbuf_add(packet, data++, 1);
		len--;
	}
	if (packet->len >= 4)
		total = pw_startup_length((const uint8_t *)packet->data);
	if (packet->len >= 4 && total == 0) {
		FAIL(c, "invalid length of startup packet");
		return;
	}
	if (packet->len < 4)
		return;
	step = total - packet->len < len ? total - packet->len : len;
	pw_strbuf_add(packet, data, step);
	if (packet->has_failed) {
		pw_client_fail(c, PW_SQLSTATE_OUT_OF_MEMORY, "out of memory");
		return;
	}
	if (packet->len < total)
		return;
	read_packet(c, (const uint8_t *)packet->data, total, len - step);
	/* Bytes behind a start-up message: the password, sent without waiting. */
	if (c->state == PW_CLIENT_AUTH && len > step)
		pw_login_on_auth_data(c, data + step, len - step);
	else if (c->state != PW_CLIENT_CLOSED && c->state != PW_CLIENT_STARTUP && len > step &&
		 c->state != PW_CLIENT_TLS_HANDSHAKE && c->state != PW_CLIENT_CANCELING)
		pw_client_feed(c, data + step, len - step);
}

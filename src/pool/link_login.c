/* SPDX-License-Identifier: PostgreSQL
 *
 * Logging in to a server: resolve, connect, TLS, start-up packet, authentication, up to the first
 * ReadyForQuery (PostgreSQL 15 docs 55.2.1, 55.3). Everything in here exists only meanwhile.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "link_priv.h"
#include "pgweir/auth/scram.h"
#include "pgweir/base/assert.h"
#include "pgweir/net/socket.h"
#include "pgweir/pool/objects.h"
#include "pgweir/proto/startup.h"
#include "pgweir/proto/writer.h"
#include "pgweir/tls/tls.h"

/* PostgreSQL reports less than a kilobyte. */
enum { WELCOME_MAX = 64 * 1024 };

struct pw_link_login {
	struct pw_resolve *question; /* under way; NULL otherwise */
	struct pw_resolve_answer answer;
	size_t tried;       /* addresses of the answer */
	unsigned host_turn; /* of all hosts: which one it is */
	int port;
	unsigned turn; /* of its host: where round robin over the addresses begins */
	struct pw_scram_client *scram;
	struct pw_strbuf welcome; /* name, value, ... */
	bool is_protocol_30;      /* what the server was asked for */
	bool is_authenticated;
};

static void fail(struct pw_link *link, const char *fmt, ...) PW_PRINTF(2, 3);

/* The server could not be reached or understood: those who wait go on waiting. */
static void fail(struct pw_link *link, const char *fmt, ...)
{
	struct pw_error err;
	va_list ap;

	va_start(ap, fmt);
	pw_error_vset(&err, PW_SQLSTATE_PROTOCOL_VIOLATION, fmt, ap);
	va_end(ap);
	pw_link_login_fail(link, &err, false);
}

/* We and the server do not agree on who we are: waiting would not help. */
static void fail_for_good(struct pw_link *link, const char *why)
{
	struct pw_error err;

	pw_error_set(&err, PW_SQLSTATE_PROTOCOL_VIOLATION, "server login failed: %s", why);
	pw_link_login_fail(link, &err, true);
}

/* "disable" stays on one host until it fails. Several logins that fail there are one step. */
static void leave_host(struct pw_link *link)
{
	struct pw_link_login *login = link->login;

	if (login && link->pool->db->load_balance_hosts == PW_BALANCE_DISABLE)
		(void)atomic_compare_exchange_strong(&link->shared->next_host, &login->host_turn,
						     login->host_turn + 1);
}

void pw_link_login_fail(struct pw_link *link, const struct pw_error *err, bool is_server_error)
{
	char reason[sizeof(err->message) + sizeof(err->detail) + 4];
	struct pw_error told;

	if (is_server_error && strncmp(err->message, "server login failed", 19) != 0)
		pw_log_warning(&link->log, "server login failed: %s %s",
			       pw_severity_name(err->severity), err->message);
	snprintf(reason, sizeof(reason), err->detail[0] && !is_server_error ? "%s: %s" : "%s",
		 err->message, err->detail);
	leave_host(link);
	link->pool->pools->link_ops->on_login_failed(link, err, is_server_error);
	/* For the loan whose own it is; nobody else hears of it. */
	pw_error_set(&told, PW_SQLSTATE_PROTOCOL_VIOLATION, "login failed");
	pw_error_hint(&told, "The log of pgweir says why.");
	pw_link_close(link, PW_LINK_END_LOGIN, reason, &told);
}

void pw_link_login_free(struct pw_link *link)
{
	struct pw_link_login *login = link->login;

	if (!login)
		return;
	if (login->question)
		login->question->arg = NULL;
	if (login->scram)
		pw_scram_client_destroy(login->scram);
	pw_strbuf_fini(&login->welcome);
	free(login);
	link->login = NULL;
}

/* ---- reaching it ---- */

static enum pw_status connect_socket(struct pw_link *link, const struct sockaddr_storage *ss,
				     socklen_t len)
{
	if (link->state == PW_LINK_RESOLVING)
		pw_link_goto(link, PW_LINK_CONNECTING);
	return pw_stream_connect(&link->stream, (const struct sockaddr *)ss, len);
}

static void connect_next(struct pw_link *link)
{
	struct pw_link_login *login = link->login;
	struct sockaddr_storage ss;
	socklen_t len;
	int why = 0;

	while (login->tried < login->answer.n) {
		size_t i = (login->turn + login->tried++) % login->answer.n;

		link->facts.addr = login->answer.addrs[i];
		link->facts.addr.port = (uint16_t)login->port;
		len = pw_addr_to_sockaddr(&link->facts.addr, &ss);
		if (connect_socket(link, &ss, len) == PW_OK)
			return;
		why = errno;
	}
	fail(link, "connect failed: %s", strerror(why));
}

bool pw_link_login_elsewhere(struct pw_link *link)
{
	if (link->login->tried >= link->login->answer.n)
		return false;
	pw_stream_close(&link->stream);
	connect_next(link);
	return true;
}

static enum pw_status connect_unix(struct pw_link *link, const char *dir)
{
	struct sockaddr_storage ss;
	socklen_t len;
	int n;

	link->facts.addr.family = AF_UNIX;
	link->facts.addr.port = (uint16_t)link->login->port;
	n = snprintf(link->facts.unix_path, sizeof(link->facts.unix_path), "%s/.s.PGSQL.%d", dir,
		     link->login->port);
	len = n > 0 && (size_t)n < sizeof(link->facts.unix_path)
		  ? pw_socket_unix_address(link->facts.unix_path, &ss)
		  : 0;
	if (len == 0 || connect_socket(link, &ss, len) != PW_OK)
		fail(link, "connect failed: %s: %s", dir,
		     len == 0 ? "path too long" : strerror(errno));
	return PW_OK;
}

static void on_resolved(void *arg, const struct pw_resolve_answer *answer)
{
	struct pw_link *link = arg;

	link->login->question = NULL;
	if (link->state == PW_LINK_CLOSED)
		return;
	link->login->answer = *answer;
	if (answer->n == 0) {
		fail(link, "server DNS lookup failed: %s", answer->why);
		return;
	}
	connect_next(link);
}

static const char *choose_host(struct pw_link *link)
{
	const struct pw_conf_db *db = link->pool->db;
	struct pw_shared_pool *shared = link->shared;
	unsigned turn;
	size_t n = 0;

	link->login->port = db->port;
	while (db->hosts && db->hosts[n])
		n++;
	if (n == 0)
		return link->pool->pools->snapshot->conf->unix_socket_dir;
	turn = db->load_balance_hosts == PW_BALANCE_DISABLE
		   ? atomic_load(&shared->next_host)
		   : atomic_fetch_add(&shared->next_host, 1);
	link->login->host_turn = turn;
	/* Each host's addresses go round by themselves, or some would never have their turn. */
	link->login->turn = turn / (unsigned)n;
	return db->hosts[turn % n];
}

enum pw_status pw_link_login_begin(struct pw_link *link)
{
	const struct pw_node_place *place = link->pool->place;
	const char *host;
	struct pw_link_login *login = link->login = calloc(1, sizeof(*login));

	if (!login)
		return PW_ENOMEM;
	link->reader.gather_for |= PW_FOR_LOGIN;
	if (place)
		login->port = place->port;
	host = place ? place->host : choose_host(link);
	if (!host || host[0] == '\0' || host[0] == '/' || host[0] == '@')
		return connect_unix(link, host && host[0] ? host : "/tmp");
	snprintf(link->facts.host, sizeof(link->facts.host), "%s", host);
	if (pw_addr_parse(host, 0, &login->answer.addrs[0])) {
		login->answer.n = 1;
		connect_next(link);
		return PW_OK;
	}
	login->question = pw_resolver_ask(link->pool->pools->resolver, host,
					  link->pool->pools->mailbox, on_resolved, link);
	return login->question ? PW_OK : PW_ENOMEM;
}

/* ---- start-up ---- */

static void add_pair(struct pw_strbuf *out, const char *name, const char *value)
{
	if (!value)
		return;
	pw_strbuf_add(out, name, strlen(name) + 1);
	pw_strbuf_add(out, value, strlen(value) + 1);
}

/* A replication session may know no SET: it begins with what its client wants. */
static void add_own_wishes(struct pw_link *link, struct pw_strbuf *out)
{
	const struct pw_tracked *tracked = link->pool->pools->params.tracked;
	const struct pw_loan *loan = link->loan;

	if (!loan)
		return;
	add_pair(out, "replication", pw_replication_value(link->replication));
	for (size_t i = 0; i < tracked->n; i++)
		add_pair(out, tracked->names[i], loan->params ? loan->params->values[i] : NULL);
	add_pair(out, "options", loan->options);
}

static void send_startup(struct pw_link *link)
{
	const struct pw_conf_db *db = link->pool->db;
	struct pw_strbuf out = PW_STRBUF_INIT;
	size_t begin = pw_writer_begin(&out, 0);

	link->login->is_protocol_30 = atomic_load(&link->shared->is_protocol_30);
	pw_strbuf_add_u32(&out, PW_PROTOCOL(3, link->login->is_protocol_30 ? 0 : 2));
	add_pair(&out, "user", link->shared->user->name);
	add_pair(&out, "database", link->pool->dbname);
	add_pair(&out, "client_encoding", db->client_encoding);
	add_pair(&out, "datestyle", db->datestyle);
	add_pair(&out, "timezone", db->timezone);
	add_pair(&out, "application_name", db->application_name);
	add_own_wishes(link, &out);
	pw_strbuf_add_char(&out, '\0');
	pw_writer_end(&out, begin);
	pw_link_goto(link, PW_LINK_LOGIN);
	if (out.has_failed)
		fail(link, "out of memory");
	else
		pw_stream_send(&link->stream, out.data, out.len);
	pw_strbuf_fini(&out);
}

static void log_connected(struct pw_link *link)
{
	char local[PW_ADDR_TEXT_SIZE + 8], tls[128] = "";

	if (!link->pool->pools->snapshot->conf->log_connections)
		return;
	pw_addr_format_port(&link->facts.local, local, sizeof(local));
	if (link->facts.addr.family == AF_UNIX)
		pw_log_info(&link->log, "new connection to server");
	else
		pw_log_info(&link->log, "new connection to server (from %s)", local);
	if (link->stream.transport) {
		pw_tls_describe(link->stream.transport, tls, sizeof(tls));
		pw_log_info(&link->log, "SSL established: %s", tls);
	}
}

static void tune_socket(struct pw_link *link, const struct pw_conf *conf)
{
	pw_socket_tune(link->stream.fd, &link->facts.addr, conf);
	link->facts.local = pw_socket_local(link->stream.fd);
	link->stream.read_rounds = conf->sbuf_loopcnt;
}

void pw_link_login_opened(struct pw_link *link)
{
	static const uint8_t ssl_request[] = {0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f};
	const struct pw_conf *conf = link->pool->pools->snapshot->conf;

	if (link->state == PW_LINK_TLS_HANDSHAKE) {
		link->facts.is_tls = true;
		send_startup(link);
		return;
	}
	tune_socket(link, conf);
	if (conf->server_tls_sslmode == PW_SSL_DISABLE || link->facts.addr.family == AF_UNIX) {
		send_startup(link);
		return;
	}
	pw_link_goto(link, PW_LINK_TLS_REQUEST);
	pw_stream_send(&link->stream, ssl_request, sizeof(ssl_request));
}

static void read_tls_answer(struct pw_link *link, const uint8_t *data, size_t len)
{
	struct pw_pools *pools = link->pool->pools;
	struct pw_tls *tls;

	if (len != 1) {
		fail(link, "received unencrypted data after SSL response");
	} else if (data[0] == 'N') {
		if (pools->snapshot->conf->server_tls_sslmode >= PW_SSL_REQUIRE)
			fail(link, "server refused SSL");
		else
			send_startup(link);
	} else if (data[0] == 'S') {
		pw_link_goto(link, PW_LINK_TLS_HANDSHAKE);
		tls =
		    pw_tls_connect(pools->snapshot->connect_tls, link->stream.fd, link->facts.host);
		if (!tls || pw_stream_start(&link->stream, &pw_tls_transport_ops, tls) != PW_OK)
			fail(link, "out of memory");
	} else {
		fail(link, "unexpected answer to SSLRequest");
	}
}

/* ---- authentication ---- */

static void read_auth(struct pw_link *link, const struct pw_piece *piece)
{
	struct pw_link_auth answer = pw_link_auth_answer(link, &link->login->scram, piece);

	if (answer.outcome == PW_LINK_AUTH_DONE)
		link->login->is_authenticated = true;
	else if (answer.outcome == PW_LINK_AUTH_BROKEN)
		fail(link, "%s", answer.why);
	else if (answer.outcome == PW_LINK_AUTH_REFUSED)
		fail_for_good(link, answer.why);
}

/* ---- after authentication ---- */

static void read_error(struct pw_link *link, const struct pw_piece *piece)
{
	struct pw_error_fields fields;
	struct pw_error err;
	const char *sqlstate;

	pw_parse_error_fields(piece->data + PW_HEADER_SIZE, piece->len - PW_HEADER_SIZE, &fields);
	sqlstate = strlen(fields.sqlstate) == 5 ? fields.sqlstate : PW_SQLSTATE_PROTOCOL_VIOLATION;
	/* A server that knows 3.0 only is asked again at once, in its language. */
	if (!link->login->is_authenticated && !link->login->is_protocol_30 &&
	    strcmp(sqlstate, PW_SQLSTATE_FEATURE_NOT_SUPPORTED) == 0) {
		atomic_store(&link->shared->is_protocol_30, true);
		pw_task_post(link->pool->pools->loop, &link->pool->serve_task);
		pw_link_close(link, PW_LINK_END_CLEAN, "the server speaks protocol 3.0 only", NULL);
		return;
	}
	pw_error_set(&err, sqlstate, "%s", fields.message);
	pw_error_detail(&err, "%s", fields.detail);
	pw_error_hint(&err, "%s", fields.hint);
	pw_link_login_fail(link, &err, true);
}

static void read_key(struct pw_link *link, const struct pw_piece *piece)
{
	size_t len = piece->len - PW_HEADER_SIZE;

	if (len < 8 || len > PW_CANCEL_KEY_MAX) {
		fail(link, "broken message from server");
		return;
	}
	memcpy(link->facts.cancel_key, piece->data + PW_HEADER_SIZE, len);
	link->facts.cancel_key_len = (uint16_t)len;
}

static void read_parameter(struct pw_link *link, const struct pw_piece *piece)
{
	struct pw_params_table *table = &link->pool->pools->params;
	struct pw_cursor body = pw_piece_body(piece);
	const char *name = pw_cursor_string(&body);
	const char *value = pw_cursor_string(&body);
	int index = pw_tracked_find(table->tracked, name);
	struct pw_params *changed;

	if (body.has_failed) {
		fail(link, "broken message from server");
		return;
	}
	pw_strbuf_add(&link->login->welcome, name, strlen(name) + 1);
	pw_strbuf_add(&link->login->welcome, value, strlen(value) + 1);
	if (link->login->welcome.len > WELCOME_MAX) {
		fail(link, "server reports too many parameters");
		return;
	}
	if (strcmp(name, "server_version") == 0)
		link->facts.server_version = (unsigned)strtoul(value, NULL, 10);
	if (index < 0)
		return;
	changed = pw_params_with(table, link->params, (size_t)index, value);
	if (!changed) {
		fail(link, "out of memory");
		return;
	}
	pw_params_unref(table, link->params);
	link->params = changed;
}

void pw_link_welcome(const struct pw_link *link, struct pw_strbuf *out)
{
	const char *tracked[PW_TRACKED_MAX];

	pw_tracked_part(link->pool->pools->params.tracked, &link->login->welcome, tracked, out);
}

static void finish_login(struct pw_link *link)
{
	const char *connect_query = link->pool->db->connect_query;

	if (!link->login->is_authenticated || link->login->welcome.has_failed) {
		fail(link, "broken message from server");
		return;
	}
	log_connected(link);
	link->reader.gather_for &= (uint8_t)~PW_FOR_LOGIN;
	link->facts.login_us = link->pool->pools->loop->now_us;
	link->pool->pools->link_ops->on_logged_in(link, &link->login->welcome);
	pw_link_login_free(link);
	if (link->replication != PW_REPLICATION_NONE)
		return;
	if (connect_query && connect_query[0]) {
		pw_link_goto(link, PW_LINK_SETUP);
		if (pw_link_query(link, connect_query) != PW_OK)
			pw_link_close(link, PW_LINK_END_CLEAN, "out of memory", NULL);
		return;
	}
	/* It goes on when the rest of the input has been looked at. */
	pw_link_goto(link, PW_LINK_RETURNING);
}

static void read_message(struct pw_link *link, const struct pw_piece *piece)
{
	if (!piece->is_first || !piece->is_last) {
		/* Notices are of no interest here; nothing else is ever in parts. */
		if (piece->type != 'N')
			fail(link, "broken message from server");
		return;
	}
	switch (piece->type) {
	case 'R':
		read_auth(link, piece);
		break;
	case 'E':
		read_error(link, piece);
		break;
	case 'S':
		read_parameter(link, piece);
		break;
	case 'K':
		read_key(link, piece);
		break;
	case 'Z':
		finish_login(link);
		break;
	case 'N':
	case 'v': /* the server settles for an older minor version */
		break;
	default:
		fail(link, "unknown pkt");
		break;
	}
}

void pw_link_login_data(struct pw_link *link, const uint8_t *data, size_t len)
{
	struct pw_slice in = {data, len};
	struct pw_piece piece;
	enum pw_status status;

	if (link->state == PW_LINK_TLS_REQUEST) {
		read_tls_answer(link, data, len);
		return;
	}
	while (link->state == PW_LINK_LOGIN &&
	       (status = pw_reader_next(&link->reader, &in, &piece)) != PW_AGAIN) {
		if (status == PW_OK)
			read_message(link, &piece);
		else
			fail(link, "broken message from server");
	}
	/* What follows the ReadyForQuery: mostly nothing, but a server may report a setting that
	 * has just changed. */
	if (link->state != PW_LINK_LOGIN && link->state != PW_LINK_CLOSED)
		pw_link_account_data(link, in.data, in.len);
}

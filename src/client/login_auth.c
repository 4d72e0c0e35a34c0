/* SPDX-License-Identifier: PostgreSQL
 *
 * Authentication of a client. Each method is a row: what it asks, and what it does with the answer.
 * For users that do not exist the whole exchange is played with a secret that nothing matches, so
 * that a stranger learns nothing from what is said. The time it takes may tell: a password in clear
 * is worked through only against a SCRAM secret that exists (PostgreSQL does the same), and a
 * verifier is derived from a password in clear at the first login after a reload.
 */
#include "config.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client_priv.h"
#include "pgweir/auth/password.h"
#include "pgweir/base/account.h"
#include "pgweir/base/assert.h"
#include "pgweir/base/rng.h"
#include "pgweir/net/socket.h"
#include "pgweir/proto/writer.h"

enum { VERIFIERS_MAX = 4096 };

#define FAIL(c, ...) pw_client_fail(c, PW_SQLSTATE_PROTOCOL_VIOLATION, __VA_ARGS__)

struct auth_method {
	const char *failure; /* what the client is told */
	/* Asks the client, or decides at once. */
	void (*begin)(struct pw_client *c);
	/* One PasswordMessage; NULL = none is expected. */
	void (*on_message)(struct pw_client *c, struct pw_cursor body);
};

static const struct auth_method methods[];

static const struct pw_conf *conf_of(const struct pw_client *c)
{
	return c->login->snapshot->conf;
}

static void refuse(struct pw_client *c)
{
	struct pw_client_login *login = c->login;
	struct pw_error err;

	if (!login->is_known)
		pw_log_info(&c->log, "no such user: %s", login->user);
	if (conf_of(c)->log_connections)
		pw_log_info(&c->log, "login failed: db=%s user=%s", login->database, login->user);
	pw_error_set(&err, PW_SQLSTATE_PROTOCOL_VIOLATION, "%s", methods[login->method].failure);
	pw_client_close(c, err.message, &err);
}

static void ask(struct pw_client *c, uint32_t code, const void *data, size_t len)
{
	struct pw_strbuf out = PW_STRBUF_INIT;

	pw_write_auth(&out, code, data, len);
	if (c->state != PW_CLIENT_AUTH)
		pw_client_goto(c, PW_CLIENT_AUTH);
	if (out.has_failed)
		pw_client_fail(c, PW_SQLSTATE_OUT_OF_MEMORY, "out of memory");
	else
		pw_client_send(c, out.data, out.len);
	pw_strbuf_fini(&out);
}

/* What needs no answer goes out with what comes next: the welcome, or why there is none. */
static bool announce(struct pw_client *c, uint32_t code, const void *data, size_t len)
{
	struct pw_strbuf out = PW_STRBUF_INIT;
	bool ok;

	pw_write_auth(&out, code, data, len);
	ok = !out.has_failed;
	if (ok)
		pw_batch_copy(pw_relay_to_client(c), out.data, out.len);
	pw_strbuf_fini(&out);
	return ok || pw_relay_out_of_memory(c);
}

/* The stored secret; an empty one where there is none, which matches nothing. */
static const char *stored_text(const struct pw_client *c)
{
	const char *text = c->login->secret.data ? c->login->secret.data : c->login->stored;

	return text ? text : "";
}

static struct pw_user_secret stored_secret(const struct pw_client *c)
{
	const char *text = stored_text(c);

	return (struct pw_user_secret){c->login->user, text, pw_secret_classify(text)};
}

/* ---- trust and any ---- */

static void begin_any(struct pw_client *c)
{
	if (!c->login->is_console && (!c->login->db || !c->login->db->user)) {
		pw_log_error(&c->log, "auth_type=any requires forced user");
		FAIL(c, "bouncer config error");
		return;
	}
	pw_login_authenticated(c);
}

static void begin_trust(struct pw_client *c)
{
	if (c->login->is_known)
		pw_login_authenticated(c);
	else
		refuse(c);
}

/* ---- cleartext ---- */

static void begin_plain(struct pw_client *c)
{
	ask(c, PW_AUTH_REQ_CLEARTEXT, NULL, 0);
}

/* The right password would not help either, so the operator is told. */
static void warn_of_costly(const struct pw_client *c)
{
	struct pw_scram_verifier verifier;

	if (pw_scram_verifier_parse(stored_text(c), &verifier) &&
	    verifier.iterations > PW_SCRAM_CHECK_MAX)
		pw_log_warning(&c->log,
			       "SCRAM secret of %" PRIu32 " iterations for user %s: a password in "
			       "clear is checked with at most %d",
			       verifier.iterations, c->login->user, PW_SCRAM_CHECK_MAX);
	explicit_bzero(&verifier, sizeof(verifier));
}

static void on_plain(struct pw_client *c, struct pw_cursor body)
{
	struct pw_user_secret stored = stored_secret(c);
	const char *password = pw_cursor_string(&body);

	if (body.has_failed || pw_cursor_left(&body) != 0) {
		FAIL(c, "bad packet");
		return;
	}
	if (password[0] == '\0') {
		FAIL(c, "empty password returned by client");
		return;
	}
	if (!c->login->is_known || !pw_password_matches(&stored, password)) {
		warn_of_costly(c);
		refuse(c);
		return;
	}
	/* In clear it is good for any method of the server. */
	if (stored.kind != PW_SECRET_PLAIN &&
	    pw_secret_set(&c->login->password, password, strlen(password)) != PW_OK) {
		pw_client_fail(c, PW_SQLSTATE_OUT_OF_MEMORY, "out of memory");
		return;
	}
	pw_login_authenticated(c);
}

/* ---- md5 ---- */

static void begin_md5(struct pw_client *c)
{
	if (stored_secret(c).kind == PW_SECRET_SCRAM) {
		c->login->method = PW_AUTH_SCRAM;
		methods[PW_AUTH_SCRAM].begin(c);
		return;
	}
	pw_rng_secret(c->login->md5_salt, sizeof(c->login->md5_salt));
	ask(c, PW_AUTH_REQ_MD5, c->login->md5_salt, sizeof(c->login->md5_salt));
}

static void on_md5(struct pw_client *c, struct pw_cursor body)
{
	struct pw_user_secret stored = stored_secret(c);
	const char *response = pw_cursor_string(&body);

	if (body.has_failed || pw_cursor_left(&body) != 0) {
		FAIL(c, "bad packet");
		return;
	}
	if (c->login->is_known && pw_md5_matches(&stored, c->login->md5_salt, response))
		pw_login_authenticated(c);
	else
		refuse(c);
}

/* ---- SCRAM ---- */

/* Verifiers derived from plain passwords: a derivation costs milliseconds, a login should not. */
struct kept_verifier {
	struct pw_map_node node;
	struct pw_id id; /* of user and secret */
	struct pw_scram_verifier verifier;
};

static bool has_verifier_id(const struct pw_map_node *node, const void *key)
{
	return pw_id_equal(PW_CONTAINER(node, const struct kept_verifier, node)->id,
			   *(const struct pw_id *)key);
}

void pw_login_forget_verifiers(struct pw_clients *clients)
{
	struct pw_map_node *node = pw_map_next(&clients->verifiers, NULL), *next;

	for (; node; node = next) {
		struct kept_verifier *kept = PW_CONTAINER(node, struct kept_verifier, node);

		next = pw_map_next(&clients->verifiers, node);
		pw_map_remove(&clients->verifiers, node);
		explicit_bzero(kept, sizeof(*kept));
		free(kept);
	}
}

static bool identify_secret(const struct pw_client *c, struct pw_id *id)
{
	struct pw_strbuf text = PW_STRBUF_INIT;
	uint32_t iterations = (uint32_t)conf_of(c)->scram_iterations;
	bool ok;

	pw_strbuf_add(&text, &iterations, sizeof(iterations));
	pw_strbuf_add(&text, c->login->user, strlen(c->login->user) + 1);
	pw_strbuf_add_string(&text, stored_secret(c).secret);
	ok = !text.has_failed;
	if (ok)
		*id = pw_hash_id(&c->clients->pools->hash_key, text.data, text.len);
	pw_strbuf_wipe(&text);
	return ok;
}

static const struct pw_scram_verifier *derive_verifier(struct pw_client *c)
{
	struct pw_clients *clients = c->clients;
	struct pw_id id;
	struct pw_map_node *node;
	struct kept_verifier *kept;
	uint8_t salt[PW_SCRAM_SALT_LEN];

	if (!identify_secret(c, &id))
		return NULL;
	node = pw_map_find(&clients->verifiers, id.lo, has_verifier_id, &id);
	if (node)
		return &PW_CONTAINER(node, struct kept_verifier, node)->verifier;
	if (clients->verifiers.count >= VERIFIERS_MAX)
		pw_login_forget_verifiers(clients);
	kept = calloc(1, sizeof(*kept));
	pw_scram_salt(c->login->user, clients->mock_secret, salt);
	if (!kept ||
	    !pw_scram_verifier_derive(stored_secret(c).secret, salt, sizeof(salt),
				      (uint32_t)conf_of(c)->scram_iterations, &kept->verifier) ||
	    pw_map_insert(&clients->verifiers, &kept->node, id.lo) != PW_OK) {
		free(kept);
		return NULL;
	}
	kept->id = id;
	return &kept->verifier;
}

static void offer_mechanisms(struct pw_client *c, bool with_plus)
{
	struct pw_strbuf list = PW_STRBUF_INIT;

	if (with_plus)
		pw_strbuf_add(&list, PW_SCRAM_MECHANISM_PLUS, sizeof(PW_SCRAM_MECHANISM_PLUS));
	pw_strbuf_add(&list, PW_SCRAM_MECHANISM, sizeof(PW_SCRAM_MECHANISM));
	pw_strbuf_add_char(&list, '\0');
	if (list.has_failed)
		pw_client_fail(c, PW_SQLSTATE_OUT_OF_MEMORY, "out of memory");
	else
		ask(c, PW_AUTH_REQ_SASL, list.data, list.len);
	pw_strbuf_fini(&list);
}

/* Nobody who cannot log in learns why; who reads the log does. */
static void mock_verifier(struct pw_client *c, struct pw_scram_verifier *out)
{
	if (c->login->is_known)
		pw_log_warning(&c->log, "user %s cannot log in with SCRAM: what is stored is %s",
			       c->login->user,
			       stored_secret(c).kind == PW_SECRET_MD5 ? "an MD5 hash"
								      : "no secret");
	pw_scram_verifier_mock(c->login->user, c->clients->mock_secret,
			       (uint32_t)conf_of(c)->scram_iterations, out);
}

static void begin_scram(struct pw_client *c)
{
	struct pw_client_login *login = c->login;
	const char *stored = stored_text(c);
	struct pw_scram_verifier own;
	const struct pw_scram_verifier *verifier = &own;
	uint8_t binding[64];
	size_t binding_len = 0;
	bool has_binding;

	if (login->is_known && pw_scram_verifier_parse(stored, &own))
		login->has_stored_verifier = true;
	else if (login->is_known && pw_secret_classify(stored) == PW_SECRET_PLAIN)
		verifier = derive_verifier(c);
	else
		mock_verifier(c, &own);
	has_binding = c->is_tls &&
		      pw_tls_channel_binding(c->stream.transport, binding, &binding_len) == PW_OK;
	if (verifier)
		login->scram =
		    pw_scram_server_create(verifier, has_binding ? binding : NULL, binding_len);
	explicit_bzero(&own, sizeof(own));
	if (!login->scram)
		pw_client_fail(c, PW_SQLSTATE_OUT_OF_MEMORY, "out of memory");
	else
		offer_mechanisms(c, has_binding);
}

static void on_scram_first(struct pw_client *c, struct pw_cursor body)
{
	struct pw_strbuf out = PW_STRBUF_INIT;
	const char *mechanism = pw_cursor_string(&body);
	uint32_t len = pw_cursor_u32(&body);
	bool is_known = strcmp(mechanism, PW_SCRAM_MECHANISM) == 0 ||
			(c->is_tls && strcmp(mechanism, PW_SCRAM_MECHANISM_PLUS) == 0);

	if (body.has_failed || len != pw_cursor_left(&body)) {
		refuse(c);
	} else if (!is_known) {
		FAIL(c, "client selected an invalid SASL authentication mechanism");
	} else if (pw_scram_server_first(c->login->scram, mechanism, body.at, len, &out) != PW_OK) {
		refuse(c);
	} else {
		c->login->is_scram_started = true;
		ask(c, PW_AUTH_REQ_SASL_CONTINUE, out.data, out.len);
	}
	pw_strbuf_wipe(&out);
}

static void on_scram(struct pw_client *c, struct pw_cursor body)
{
	struct pw_strbuf out = PW_STRBUF_INIT;

	if (!c->login->is_scram_started) {
		on_scram_first(c, body);
		return;
	}
	if (pw_scram_server_final(c->login->scram, body.at, pw_cursor_left(&body), &out,
				  &c->login->keys) != PW_OK ||
	    !c->login->is_known) {
		refuse(c);
	} else if (announce(c, PW_AUTH_REQ_SASL_FINAL, out.data, out.len)) {
		pw_login_authenticated(c);
		pw_clients_flush(c->clients);
	}
	pw_strbuf_wipe(&out);
}

/* ---- cert ---- */

struct wanted_name {
	const struct pw_ident_map *map;
	const char *user;
};

static bool cert_name_fits(const char *cert_name, const void *arg)
{
	const struct wanted_name *wanted = arg;

	return wanted->map ? pw_ident_allows_cert(wanted->map, cert_name, wanted->user)
			   : pw_cert_name_matches(cert_name, wanted->user);
}

static void begin_cert(struct pw_client *c)
{
	const struct wanted_name wanted = {c->login->map, c->login->user};

	if (!c->login->is_known || !c->is_tls ||
	    !pw_tls_has_peer_certificate(c->stream.transport)) {
		refuse(c);
	} else if (!pw_tls_peer_name_matches(c->stream.transport, cert_name_fits, &wanted)) {
		if (c->login->map)
			pw_log_info(&c->log, "ident map: %s does not have a match",
				    c->login->map_name);
		else
			pw_log_info(&c->log, "TLS certificate name mismatch");
		refuse(c);
	} else {
		pw_login_authenticated(c);
	}
}

/* ---- peer ---- */

static void begin_peer(struct pw_client *c)
{
	bool is_allowed = false;
	char *account = NULL;
	pid_t pid;
	uid_t uid;

	if (c->addr.family == AF_UNIX && pw_socket_peer_ids(c->stream.fd, &pid, &uid))
		account = pw_account_name(uid);
	if (account && c->login->is_known)
		is_allowed = pw_ident_allows(c->login->map, account, c->login->user);
	free(account);
	if (is_allowed) {
		pw_login_authenticated(c);
		return;
	}
	if (c->login->map)
		pw_log_info(&c->log, "ident map %s cannot be matched", c->login->map_name);
	refuse(c);
}

/* ---- reject ---- */

static void begin_reject(struct pw_client *c)
{
	refuse(c);
}

static const struct auth_method methods[] = {
    [PW_AUTH_ANY] = {"bouncer config error", begin_any, NULL},
    [PW_AUTH_TRUST] = {"\"trust\" authentication failed", begin_trust, NULL},
    [PW_AUTH_PLAIN] = {"password authentication failed", begin_plain, on_plain},
    [PW_AUTH_MD5] = {"password authentication failed", begin_md5, on_md5},
    [PW_AUTH_CERT] = {"certificate authentication failed", begin_cert, NULL},
    [PW_AUTH_HBA] = {"no authentication method is found", begin_reject, NULL},
    [PW_AUTH_SCRAM] = {"SASL authentication failed", begin_scram, on_scram},
    [PW_AUTH_PEER] = {"unix socket login rejected", begin_peer, NULL},
    [PW_AUTH_REJECT] = {"login rejected", begin_reject, NULL},
};

/* ---- which method ---- */

static void choose_method(struct pw_client *c)
{
	struct pw_client_login *login = c->login;
	struct pw_hba_request request = {
	    .addr = &c->addr,
	    .is_tls = c->is_tls,
	    .is_physical_replication = login->replication == PW_REPLICATION_PHYSICAL,
	    .database = login->database,
	    .other_name = login->is_console ? pw_conf_other_console(login->database) : NULL,
	    .user = login->user,
	};
	struct pw_hba_match match;

	login->method = (enum pw_auth_type)conf_of(c)->auth_type;
	if (login->method != PW_AUTH_HBA)
		return;
	if (login->snapshot->hba && pw_hba_find(login->snapshot->hba, &request, &match)) {
		login->method = match.method;
		login->map = match.map;
		login->map_name = match.map_name;
	}
}

/* The console over the unix socket of a process that runs as ourselves: whoever can be us need not
 * prove anything. */
static bool is_ourselves(const struct pw_client *c)
{
	const struct pw_client_login *login = c->login;
	pid_t pid;
	uid_t uid;

	return login->is_console && c->addr.family == AF_UNIX && pw_conf_is_console(login->user) &&
	       pw_socket_peer_ids(c->stream.fd, &pid, &uid) && uid == geteuid();
}

static void find_stored(struct pw_client *c)
{
	struct pw_client_login *login = c->login;
	const struct pw_user_secret *stored = pw_userdb_find(login->snapshot->users, login->user);

	login->is_known = stored || pw_conf_find_user(conf_of(c), login->user) ||
			  conf_of(c)->auth_type == PW_AUTH_ANY;
	login->stored = stored ? stored->secret : NULL;
}

static void begin_method(struct pw_client *c)
{
	methods[c->login->method].begin(c);
}

/* No file knows the user's secret, and the method needs one. */
static bool should_look_up(const struct pw_client *c)
{
	const struct pw_client_login *login = c->login;

	return (!login->stored || !login->stored[0]) && login->method != PW_AUTH_ANY &&
	       login->method != PW_AUTH_REJECT && login->method != PW_AUTH_HBA &&
	       (login->db || login->is_console);
}

void pw_login_authenticate(struct pw_client *c)
{
	struct pw_client_login *login = c->login;

	if (is_ourselves(c)) {
		c->right = PW_RIGHT_ADMIN;
		if (conf_of(c)->log_connections)
			pw_log_info(&c->log, "pgbouncer access from unix socket");
		pw_login_authenticated(c);
		return;
	}
	find_stored(c);
	choose_method(c);
	if (login->is_known && login->is_console && !pw_login_enter_console(c))
		return;
	if (!should_look_up(c) || !pw_login_look_up(c, begin_method))
		begin_method(c);
}

static void on_password(struct pw_client *c, const struct pw_piece *piece)
{
	const struct auth_method *method = &methods[c->login->method];

	if (piece->type == 'X') {
		pw_client_close(c, "client close request", NULL);
		return;
	}
	if (piece->type != 'p' || !method->on_message) {
		FAIL(c, "bad packet");
		return;
	}
	if (!piece->is_last || !piece->is_first) {
		FAIL(c, "password too long");
		return;
	}
	method->on_message(c, pw_piece_body(piece));
}

void pw_login_on_auth_data(struct pw_client *c, const uint8_t *data, size_t len)
{
	struct pw_slice in = {data, len};
	struct pw_piece piece;
	enum pw_status status;

	while (c->state == PW_CLIENT_AUTH &&
	       (status = pw_reader_next(&c->reader, &in, &piece)) != PW_AGAIN) {
		if (status == PW_OK)
			on_password(c, &piece);
		else if (status == PW_ENOMEM)
			pw_client_fail(c, PW_SQLSTATE_OUT_OF_MEMORY, "out of memory");
		else
			FAIL(c, status == PW_ELIMIT ? "password too long" : "bad packet");
	}
	if (c->state != PW_CLIENT_AUTH && c->state != PW_CLIENT_CLOSED && in.len > 0)
		pw_client_feed(c, in.data, in.len);
}

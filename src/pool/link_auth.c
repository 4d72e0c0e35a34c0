/* SPDX-License-Identifier: PostgreSQL
 *
 * The server asks who we are (PostgreSQL 15 docs 55.2.1 and 55.3): which secret, and what to
 * answer.
 */
#include "config.h"

#include <string.h>

#include "link_priv.h"
#include "pgweir/auth/password.h"
#include "pgweir/auth/scram.h"
#include "pgweir/pool/objects.h"
#include "pgweir/proto/writer.h"
#include "pgweir/tls/tls.h"

static const struct pw_link_auth go_on = {PW_LINK_AUTH_GO_ON, NULL};

static struct pw_link_auth broken(const char *why)
{
	return (struct pw_link_auth){PW_LINK_AUTH_BROKEN, why};
}

static struct pw_link_auth refused(const char *why)
{
	return (struct pw_link_auth){PW_LINK_AUTH_REFUSED, why};
}

struct known_secret {
	const char *text; /* "" = none */
	enum pw_secret_kind kind;
	struct pw_scram_keys keys;
};

/* A password in clear serves whatever the server asks for, a hash does not. One that is older than
 * an md5 secret of the file is seen at once; older than a SCRAM secret it is until the next client
 * logs in, for to find out costs as much as a login. */
static bool is_better(const char *learned, const struct pw_user_secret *stored)
{
	if (!learned || pw_secret_classify(learned) != PW_SECRET_PLAIN)
		return false;
	return stored->kind == PW_SECRET_SCRAM ||
	       (stored->kind == PW_SECRET_MD5 && pw_password_matches(stored, learned));
}

/* auth_file, and what a client's login has brought. */
static const char *choose_secret(const struct pw_user_secret *stored, const char *learned)
{
	if (!stored || !stored->secret[0] || is_better(learned, stored))
		return learned;
	return stored->secret;
}

/* The entry's password goes first. Under the shared pool's lock because of what was learned. */
static void find_secret(struct pw_link *link, struct known_secret *out, struct pw_secret *copy)
{
	struct pw_shared_pool *shared = link->shared->home ? link->shared->home : link->shared;
	const struct pw_user_secret *stored =
	    pw_userdb_find(link->pool->pools->snapshot->users, shared->user->name);
	const char *text = link->pool->db->password;

	pthread_mutex_lock(&shared->lock);
	out->keys = shared->credentials.keys;
	if (!text || text[0] == '\0')
		text = choose_secret(stored, shared->credentials.secret.data);
	/* Without memory it is as if there were none, and the login says so. */
	if (text && pw_secret_set(copy, text, strlen(text)) != PW_OK)
		pw_secret_fini(copy);
	pthread_mutex_unlock(&shared->lock);
	out->text = copy->data ? copy->data : "";
	out->kind = pw_secret_classify(out->text);
}

/* Sends what is in `out`, and wipes it. */
static struct pw_link_auth send_and_wipe(struct pw_link *link, struct pw_strbuf *out)
{
	bool is_whole = out->len > 0 && !out->has_failed;

	if (is_whole)
		pw_stream_send(&link->stream, out->data, out->len);
	pw_strbuf_wipe(out);
	return is_whole ? go_on : broken("out of memory");
}

static struct pw_link_auth send_password(struct pw_link *link, const char *text)
{
	struct pw_strbuf out = PW_STRBUF_INIT;

	pw_write_message(&out, 'p', text, strlen(text) + 1);
	return send_and_wipe(link, &out);
}

/* The client's error is PgBouncer's; what the operator has to mend is in the log. */
static struct pw_link_auth wrong_type(struct pw_link *link, const struct known_secret *secret,
				      const char *wanted)
{
	const char *known = "no password";

	if (secret->kind == PW_SECRET_MD5)
		known = "only an MD5 hash";
	else if (secret->kind == PW_SECRET_SCRAM)
		known = "only a SCRAM secret";
	pw_log_warning(&link->log,
		       "the server asks for %s, and %s of user \"%s\" is known: put the password "
		       "into auth_file, or into password= of the database",
		       wanted, known, link->shared->user->name);
	return refused("wrong password type");
}

static struct pw_link_auth answer_cleartext(struct pw_link *link, const struct known_secret *secret)
{
	if (secret->kind != PW_SECRET_PLAIN)
		return wrong_type(link, secret, "the password in clear");
	return send_password(link, secret->text);
}

static struct pw_link_auth answer_md5(struct pw_link *link, const struct known_secret *secret,
				      struct pw_cursor *body)
{
	const uint8_t *salt = pw_cursor_bytes(body, 4);
	struct pw_link_auth result;
	char text[PW_MD5_TEXT_SIZE];
	bool ok = false;

	if (salt && secret->kind == PW_SECRET_PLAIN)
		ok = pw_md5_response(secret->text, link->shared->user->name, salt, text);
	else if (salt && secret->kind == PW_SECRET_MD5)
		ok = pw_md5_response_stored(secret->text, salt, text);
	result = ok ? send_password(link, text) : wrong_type(link, secret, "MD5");
	explicit_bzero(text, sizeof(text));
	return result;
}

static struct pw_link_auth begin_scram(struct pw_link *link, struct pw_scram_client **scram,
				       const struct known_secret *secret, struct pw_cursor *body)
{
	struct pw_strbuf first = PW_STRBUF_INIT, out = PW_STRBUF_INIT;
	bool has_plain = false, has_plus = false;
	uint8_t binding[64];
	size_t binding_len = 0, begin;
	const char *mechanism;

	if (*scram)
		return broken("broken message from server");
	while (!body->has_failed && pw_cursor_left(body) > 1) {
		mechanism = pw_cursor_string(body);
		has_plain |= strcmp(mechanism, PW_SCRAM_MECHANISM) == 0;
		has_plus |= strcmp(mechanism, PW_SCRAM_MECHANISM_PLUS) == 0;
	}
	has_plus = has_plus && link->stream.transport &&
		   pw_tls_channel_binding(link->stream.transport, binding, &binding_len) == PW_OK;
	if (secret->kind == PW_SECRET_PLAIN ||
	    (secret->kind == PW_SECRET_SCRAM && secret->keys.is_set))
		*scram = pw_scram_client_create(
		    secret->kind == PW_SECRET_PLAIN ? secret->text : NULL,
		    secret->kind == PW_SECRET_PLAIN ? NULL : &secret->keys,
		    has_plus ? binding : NULL, binding_len, link->stream.transport != NULL);
	if (!*scram || !(has_plain || has_plus))
		return *scram ? refused("unknown SASL mechanism")
			      : wrong_type(link, secret, "SCRAM");
	mechanism = has_plus ? PW_SCRAM_MECHANISM_PLUS : PW_SCRAM_MECHANISM;
	if (pw_scram_client_first(*scram, &first) == PW_OK) {
		begin = pw_writer_begin(&out, 'p');
		pw_strbuf_add(&out, mechanism, strlen(mechanism) + 1);
		pw_strbuf_add_u32(&out, (uint32_t)first.len);
		pw_strbuf_add(&out, first.data, first.len);
		pw_writer_end(&out, begin);
	}
	pw_strbuf_wipe(&first);
	return send_and_wipe(link, &out);
}

static struct pw_link_auth continue_scram(struct pw_link *link, struct pw_scram_client *scram,
					  const struct pw_cursor *body)
{
	struct pw_strbuf final = PW_STRBUF_INIT, out = PW_STRBUF_INIT;
	enum pw_status status = PW_EPROTO;

	if (scram)
		status = pw_scram_client_final(scram, body->at, pw_cursor_left(body), &final);
	if (status == PW_OK)
		pw_write_message(&out, 'p', final.data, final.len);
	pw_strbuf_wipe(&final);
	if (status == PW_ELIMIT)
		return refused("the server asks for more SCRAM iterations than are allowed");
	return status == PW_OK ? send_and_wipe(link, &out) : refused("malformed SCRAM message");
}

static struct pw_link_auth finish_scram(struct pw_scram_client *scram, const struct pw_cursor *body)
{
	if (!scram || pw_scram_client_verify(scram, body->at, pw_cursor_left(body)) != PW_OK)
		return refused("invalid server signature");
	return go_on;
}

static struct pw_link_auth answer(struct pw_link *link, struct pw_scram_client **scram,
				  const struct known_secret *secret, const struct pw_piece *piece)
{
	struct pw_cursor body = pw_piece_body(piece);

	switch (pw_cursor_u32(&body)) {
	case PW_AUTH_REQ_OK:
		/* A server that skips its half of SCRAM has not shown that it knows the secret. */
		if (*scram && !pw_scram_client_is_verified(*scram))
			return refused("failed to verify server signature");
		return (struct pw_link_auth){PW_LINK_AUTH_DONE, NULL};
	case PW_AUTH_REQ_CLEARTEXT:
		return answer_cleartext(link, secret);
	case PW_AUTH_REQ_MD5:
		return answer_md5(link, secret, &body);
	case PW_AUTH_REQ_SASL:
		return begin_scram(link, scram, secret, &body);
	case PW_AUTH_REQ_SASL_CONTINUE:
		return continue_scram(link, *scram, &body);
	case PW_AUTH_REQ_SASL_FINAL:
		return finish_scram(*scram, &body);
	default:
		return broken("server asks for an authentication method that pgweir does not know");
	}
}

struct pw_link_auth pw_link_auth_answer(struct pw_link *link, struct pw_scram_client **scram,
					const struct pw_piece *piece)
{
	struct pw_secret copy = {NULL, 0};
	struct known_secret secret;
	struct pw_link_auth result;

	find_secret(link, &secret, &copy);
	result = answer(link, scram, &secret, piece);
	explicit_bzero(&secret, sizeof(secret));
	pw_secret_fini(&copy);
	return result;
}

/* SPDX-License-Identifier: PostgreSQL
 *
 * SCRAM, the client's side: pgweir logs in to a server, with a password or with keys remembered
 * from the login of its own client.
 *
 * One object per login, on the thread of its connection: create, first, final, verify, destroy.
 * The server is a stranger until verify has answered PW_OK: its nonce, salt and iterations are
 * bounded, and a message out of turn or after a failure is PW_EPROTO.
 */
#include "config.h"

#include "pgweir/auth/scram.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "pgweir/base/assert.h"
#include "pgweir/base/secret.h"

#include "auth_priv.h"

enum phase { PHASE_FIRST, PHASE_FINAL, PHASE_VERIFY, PHASE_VERIFIED, PHASE_FAILED };

struct pw_scram_client {
	enum phase phase;
	struct pw_secret password; /* data NULL = the keys are known already */
	struct pw_scram_keys keys;
	struct pw_strbuf binding_input; /* what c= carries: GS2 header, then the binding */
	size_t header_len;              /* of the GS2 header in it */
	struct pw_strbuf nonce;
	struct pw_strbuf auth_message; /* begins as client-first-message-bare, then grows */
	uint8_t server_signature[PW_SCRAM_KEY_LEN];
};

static enum pw_status start_messages(struct pw_scram_client *scram, const char *user,
				     const char *nonce)
{
	pw_strbuf_reset(&scram->nonce);
	pw_strbuf_add_string(&scram->nonce, nonce);
	pw_strbuf_reset(&scram->auth_message);
	pw_strbuf_printf(&scram->auth_message, "n=%s,r=%s", user, nonce);
	return scram->nonce.has_failed || scram->auth_message.has_failed ? PW_ENOMEM : PW_OK;
}

static enum pw_status fill_client(struct pw_scram_client *scram, const char *password,
				  const struct pw_scram_keys *keys)
{
	char nonce[PW_SCRAM_NONCE_SIZE];

	if (keys)
		scram->keys = *keys;
	else if (pw_secret_set(&scram->password, password, strlen(password)) != PW_OK)
		return PW_ENOMEM;
	pw_scram_make_nonce(nonce);
	/* The name stays empty: a PostgreSQL server takes it from the start-up packet. */
	return start_messages(scram, "", nonce);
}

struct pw_scram_client *pw_scram_client_create(const char *password,
					       const struct pw_scram_keys *keys,
					       const uint8_t *binding, size_t binding_len,
					       bool is_tls)
{
	struct pw_scram_client *scram = calloc(1, sizeof(*scram));
	const char *header = binding ? PW_SCRAM_GS2_PLUS : is_tls ? "y,," : "n,,";

	pw_assert((password == NULL) != (keys == NULL));
	if (!scram)
		return NULL;
	scram->header_len = strlen(header);
	pw_strbuf_add(&scram->binding_input, header, scram->header_len);
	if (binding)
		pw_strbuf_add(&scram->binding_input, binding, binding_len);
	if (scram->binding_input.has_failed || fill_client(scram, password, keys) != PW_OK) {
		pw_scram_client_destroy(scram);
		return NULL;
	}
	return scram;
}

void pw_scram_client_destroy(struct pw_scram_client *scram)
{
	if (!scram)
		return;
	pw_secret_fini(&scram->password);
	pw_strbuf_wipe(&scram->binding_input);
	pw_strbuf_wipe(&scram->nonce);
	pw_strbuf_wipe(&scram->auth_message);
	OPENSSL_cleanse(scram, sizeof(*scram));
	free(scram);
}

enum pw_status pw_scram_client_fix(struct pw_scram_client *scram, const char *user,
				   const char *nonce)
{
	return start_messages(scram, user, nonce);
}

bool pw_scram_client_is_verified(const struct pw_scram_client *scram)
{
	return scram->phase == PHASE_VERIFIED;
}

enum pw_status pw_scram_client_first(struct pw_scram_client *scram, struct pw_strbuf *out)
{
	if (scram->phase != PHASE_FIRST) {
		scram->phase = PHASE_FAILED;
		return PW_EPROTO;
	}
	scram->phase = PHASE_FINAL;
	pw_strbuf_add(out, scram->binding_input.data, scram->header_len);
	pw_strbuf_add(out, scram->auth_message.data, scram->auth_message.len);
	return out->has_failed ? PW_ENOMEM : PW_OK;
}

struct server_first {
	struct pw_scram_text nonce;
	uint8_t salt[PW_SCRAM_SALT_MAX];
	size_t salt_len;
	uint32_t iterations;
};

/* A nonce that does not begin with ours, or adds nothing to it, is a replay. */
static bool extends_own_nonce(const struct pw_scram_client *scram, struct pw_scram_text nonce)
{
	return pw_scram_text_is_nonce(nonce) && nonce.len > scram->nonce.len &&
	       memcmp(nonce.data, scram->nonce.data, scram->nonce.len) == 0;
}

static bool read_server_first(const struct pw_scram_client *scram, const uint8_t *msg, size_t len,
			      struct server_first *out)
{
	struct pw_scram_reader reader;
	struct pw_scram_text salt, iterations;

	return pw_scram_reader_init(&reader, msg, len) &&
	       pw_scram_read_attribute(&reader, 'r', &out->nonce) &&
	       extends_own_nonce(scram, out->nonce) &&
	       pw_scram_read_attribute(&reader, 's', &salt) &&
	       pw_base64_decode(salt.data, salt.len, out->salt, sizeof(out->salt),
				&out->salt_len) &&
	       out->salt_len > 0 && pw_scram_read_attribute(&reader, 'i', &iterations) &&
	       pw_scram_text_to_count(iterations, PW_SCRAM_ITERATIONS_MAX, &out->iterations) &&
	       pw_scram_read_extensions(&reader);
}

/* Our proof, and the signature that the server will have to show for the same messages. */
static bool sign_messages(struct pw_scram_client *scram, uint8_t proof[PW_SCRAM_KEY_LEN])
{
	const struct pw_strbuf *message = &scram->auth_message;
	uint8_t stored_key[PW_SCRAM_KEY_LEN];
	bool is_done;

	is_done = pw_scram_hash_key(scram->keys.client_key, stored_key) &&
		  pw_scram_hmac(stored_key, message->data, message->len, proof) &&
		  pw_scram_hmac(scram->keys.server_key, message->data, message->len,
				scram->server_signature);
	OPENSSL_cleanse(stored_key, sizeof(stored_key));
	if (!is_done)
		return false;
	for (size_t i = 0; i < PW_SCRAM_KEY_LEN; i++)
		proof[i] ^= scram->keys.client_key[i];
	return true;
}

static enum pw_status write_final(struct pw_scram_client *scram, struct pw_scram_text nonce,
				  struct pw_strbuf *out)
{
	struct pw_strbuf unproven = PW_STRBUF_INIT;
	uint8_t proof[PW_SCRAM_KEY_LEN];
	enum pw_status status = PW_ENOMEM;

	pw_strbuf_add_string(&unproven, "c=");
	pw_base64_add(&unproven, scram->binding_input.data, scram->binding_input.len);
	pw_strbuf_add_string(&unproven, ",r=");
	pw_strbuf_add(&unproven, nonce.data, nonce.len);
	pw_strbuf_add_char(&scram->auth_message, ',');
	pw_strbuf_add(&scram->auth_message, unproven.data, unproven.len);
	if (unproven.has_failed || scram->auth_message.has_failed || !sign_messages(scram, proof))
		goto out;
	pw_strbuf_add(out, unproven.data, unproven.len);
	pw_strbuf_add_string(out, ",p=");
	pw_base64_add(out, proof, sizeof(proof));
	status = out->has_failed ? PW_ENOMEM : PW_OK;
out:
	pw_strbuf_fini(&unproven);
	return status;
}

enum pw_status pw_scram_client_final(struct pw_scram_client *scram, const uint8_t *msg, size_t len,
				     struct pw_strbuf *out)
{
	struct server_first first;
	enum phase phase = scram->phase;
	enum pw_status status;

	scram->phase = PHASE_FAILED;
	if (phase != PHASE_FINAL || !read_server_first(scram, msg, len, &first))
		return PW_EPROTO;
	if (scram->password.data && first.iterations > PW_SCRAM_CLIENT_ITERATIONS_MAX)
		return PW_ELIMIT;
	pw_strbuf_add_char(&scram->auth_message, ',');
	pw_strbuf_add(&scram->auth_message, msg, len);
	if (scram->password.data &&
	    !pw_scram_keys_derive(scram->password.data, first.salt, first.salt_len,
				  first.iterations, &scram->keys))
		return PW_ENOMEM;
	status = write_final(scram, first.nonce, out);
	if (status == PW_OK)
		scram->phase = PHASE_VERIFY;
	return status;
}

static enum pw_status read_server_final(const struct pw_scram_client *scram,
					struct pw_scram_reader *reader)
{
	struct pw_scram_text value;
	uint8_t signature[PW_SCRAM_KEY_LEN];
	char name;

	if (!pw_scram_read_any(reader, &name, &value))
		return PW_EPROTO;
	if (name == 'e')
		return PW_EDENIED;
	if (name != 'v' || !pw_scram_text_to_key(value, signature) ||
	    !pw_scram_read_extensions(reader))
		return PW_EPROTO;
	return pw_secret_equal(signature, scram->server_signature, sizeof(signature)) ? PW_OK
										      : PW_EDENIED;
}

enum pw_status pw_scram_client_verify(struct pw_scram_client *scram, const uint8_t *msg, size_t len)
{
	struct pw_scram_reader reader;
	enum phase phase = scram->phase;
	enum pw_status status;

	scram->phase = PHASE_FAILED;
	if (phase != PHASE_VERIFY || !pw_scram_reader_init(&reader, msg, len))
		return PW_EPROTO;
	status = read_server_final(scram, &reader);
	if (status == PW_OK)
		scram->phase = PHASE_VERIFIED;
	return status;
}

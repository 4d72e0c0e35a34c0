/* SPDX-License-Identifier: PostgreSQL
 *
 * SCRAM, the server's side: a client proves that it knows the password.
 *
 * One object per login, on the thread of its connection: create, first, final, destroy. A message
 * out of turn and every message after a failure is PW_EPROTO, so a peer has one try per object.
 * The user name in the message is ignored; as in PostgreSQL the start-up packet has named the user.
 */
#include "config.h"

#include "pgweir/auth/scram.h"

#include <inttypes.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "pgweir/base/assert.h"
#include "pgweir/base/secret.h"

#include "auth_priv.h"

enum phase { PHASE_FIRST, PHASE_FINAL, PHASE_OVER };

struct pw_scram_server {
	enum phase phase;
	struct pw_scram_verifier verifier;
	bool has_offered_plus;
	struct pw_strbuf binding;
	char own_nonce[PW_SCRAM_NONCE_SIZE];
	struct pw_strbuf nonce;        /* the client's and ours, once known */
	struct pw_strbuf expected_c;   /* what c= must say, in base64 */
	struct pw_strbuf auth_message; /* grows with every message */
};

struct pw_scram_server *pw_scram_server_create(const struct pw_scram_verifier *verifier,
					       const uint8_t *binding, size_t binding_len)
{
	struct pw_scram_server *scram = calloc(1, sizeof(*scram));

	if (!scram)
		return NULL;
	scram->verifier = *verifier;
	scram->has_offered_plus = binding != NULL;
	if (binding)
		pw_strbuf_add(&scram->binding, binding, binding_len);
	pw_scram_make_nonce(scram->own_nonce);
	if (scram->binding.has_failed) {
		pw_scram_server_destroy(scram);
		return NULL;
	}
	return scram;
}

void pw_scram_server_destroy(struct pw_scram_server *scram)
{
	if (!scram)
		return;
	pw_strbuf_wipe(&scram->binding);
	pw_strbuf_wipe(&scram->nonce);
	pw_strbuf_wipe(&scram->expected_c);
	pw_strbuf_wipe(&scram->auth_message);
	OPENSSL_cleanse(scram, sizeof(*scram));
	free(scram);
}

void pw_scram_server_fix(struct pw_scram_server *scram, const char *nonce)
{
	size_t size = strlen(nonce) + 1;

	pw_assert(size <= sizeof(scram->own_nonce));
	memcpy(scram->own_nonce, nonce, size);
}

static bool skip_text(struct pw_scram_reader *reader, const char *text)
{
	size_t len = strlen(text);

	if ((size_t)(reader->end - reader->at) < len || memcmp(reader->at, text, len) != 0)
		return false;
	reader->at += len;
	return true;
}

/* The GS2 header: what the client says of channel binding, and an authorization identity, which
 * nobody may have. A client that would bind but believes that we cannot ("y") was lied to when we
 * did offer it. */
static bool read_gs2_header(struct pw_scram_reader *reader, bool has_offered_plus, bool is_plus)
{
	if (is_plus)
		return has_offered_plus && skip_text(reader, PW_SCRAM_GS2_PLUS);
	return skip_text(reader, "n,,") || (!has_offered_plus && skip_text(reader, "y,,"));
}

/* c= repeats the header as we read it, followed by the binding as we see it. */
static void expect_binding(struct pw_scram_server *scram, const char *header, size_t len,
			   bool is_plus)
{
	struct pw_strbuf raw = PW_STRBUF_INIT;

	pw_strbuf_add(&raw, header, len);
	if (is_plus)
		pw_strbuf_add(&raw, scram->binding.data, scram->binding.len);
	if (raw.has_failed)
		scram->expected_c.has_failed = true;
	else
		pw_base64_add(&scram->expected_c, raw.data, raw.len);
	pw_strbuf_fini(&raw);
}

static enum pw_status write_first(struct pw_scram_server *scram, struct pw_scram_text bare,
				  struct pw_scram_text client_nonce, struct pw_strbuf *out)
{
	struct pw_strbuf answer = PW_STRBUF_INIT;
	bool has_failed;

	pw_strbuf_add(&scram->nonce, client_nonce.data, client_nonce.len);
	pw_strbuf_add_string(&scram->nonce, scram->own_nonce);
	pw_strbuf_add_string(&answer, "r=");
	pw_strbuf_add(&answer, scram->nonce.data, scram->nonce.len);
	pw_strbuf_add_string(&answer, ",s=");
	pw_base64_add(&answer, scram->verifier.salt, scram->verifier.salt_len);
	pw_strbuf_printf(&answer, ",i=%" PRIu32, scram->verifier.iterations);

	pw_strbuf_add(&scram->auth_message, bare.data, bare.len);
	pw_strbuf_add_char(&scram->auth_message, ',');
	pw_strbuf_add(&scram->auth_message, answer.data, answer.len);
	has_failed = answer.has_failed || scram->nonce.has_failed || scram->expected_c.has_failed ||
		     scram->auth_message.has_failed;
	if (!has_failed)
		pw_strbuf_add(out, answer.data, answer.len);
	pw_strbuf_fini(&answer);
	return has_failed || out->has_failed ? PW_ENOMEM : PW_OK;
}

enum pw_status pw_scram_server_first(struct pw_scram_server *scram, const char *mechanism,
				     const uint8_t *msg, size_t len, struct pw_strbuf *out)
{
	struct pw_scram_reader reader;
	struct pw_scram_text bare, user, nonce;
	bool is_plus = strcmp(mechanism, PW_SCRAM_MECHANISM_PLUS) == 0;
	enum phase phase = scram->phase;
	enum pw_status status;

	scram->phase = PHASE_OVER;
	if (phase != PHASE_FIRST || (!is_plus && strcmp(mechanism, PW_SCRAM_MECHANISM) != 0))
		return PW_EPROTO;
	if (!pw_scram_reader_init(&reader, msg, len) ||
	    !read_gs2_header(&reader, scram->has_offered_plus, is_plus))
		return PW_EPROTO;
	expect_binding(scram, (const char *)msg, (size_t)(reader.at - (const char *)msg), is_plus);
	bare.data = reader.at;
	bare.len = (size_t)(reader.end - reader.at);
	if (!pw_scram_read_attribute(&reader, 'n', &user) ||
	    !pw_scram_read_attribute(&reader, 'r', &nonce) || !pw_scram_text_is_nonce(nonce) ||
	    !pw_scram_read_extensions(&reader))
		return PW_EPROTO;
	status = write_first(scram, bare, nonce, out);
	if (status == PW_OK)
		scram->phase = PHASE_FINAL;
	return status;
}

/* c=, r=, extensions, and p= as the last. `unproven` gets the message up to the comma before p=. */
static bool read_final(const struct pw_scram_server *scram, struct pw_scram_reader *reader,
		       struct pw_scram_text *unproven, uint8_t proof[PW_SCRAM_KEY_LEN])
{
	struct pw_scram_text value;
	char name;

	unproven->data = reader->at;
	if (!pw_scram_read_attribute(reader, 'c', &value) ||
	    !pw_scram_text_equal(value, scram->expected_c.data, scram->expected_c.len))
		return false;
	if (!pw_scram_read_attribute(reader, 'r', &value) ||
	    !pw_scram_text_equal(value, scram->nonce.data, scram->nonce.len))
		return false;
	do {
		if (pw_scram_reader_is_at_end(reader))
			return false;
		unproven->len = (size_t)(reader->at - unproven->data) - 1;
		if (!pw_scram_read_any(reader, &name, &value) || name == 'm')
			return false;
	} while (name != 'p');
	return pw_scram_reader_is_at_end(reader) && pw_scram_text_to_key(value, proof);
}

/* ClientKey = proof XOR HMAC(StoredKey, AuthMessage), and it is the right one when its hash is
 * StoredKey. */
static enum pw_status check_proof(const struct pw_scram_server *scram,
				  const uint8_t proof[PW_SCRAM_KEY_LEN],
				  uint8_t client_key[PW_SCRAM_KEY_LEN])
{
	uint8_t hashed[PW_SCRAM_KEY_LEN];
	enum pw_status status = PW_EDENIED;

	if (!pw_scram_hmac(scram->verifier.stored_key, scram->auth_message.data,
			   scram->auth_message.len, client_key))
		return PW_ENOMEM;
	for (size_t i = 0; i < PW_SCRAM_KEY_LEN; i++)
		client_key[i] ^= proof[i];
	if (!pw_scram_hash_key(client_key, hashed))
		status = PW_ENOMEM;
	else if (pw_secret_equal(hashed, scram->verifier.stored_key, sizeof(hashed)))
		status = PW_OK;
	return status;
}

static enum pw_status write_final(const struct pw_scram_server *scram, struct pw_strbuf *out)
{
	uint8_t signature[PW_SCRAM_KEY_LEN];

	if (!pw_scram_hmac(scram->verifier.server_key, scram->auth_message.data,
			   scram->auth_message.len, signature))
		return PW_ENOMEM;
	pw_strbuf_add_string(out, "v=");
	pw_base64_add(out, signature, sizeof(signature));
	return out->has_failed ? PW_ENOMEM : PW_OK;
}

enum pw_status pw_scram_server_final(struct pw_scram_server *scram, const uint8_t *msg, size_t len,
				     struct pw_strbuf *out, struct pw_scram_keys *keys)
{
	struct pw_scram_reader reader;
	struct pw_scram_text unproven;
	uint8_t proof[PW_SCRAM_KEY_LEN], client_key[PW_SCRAM_KEY_LEN];
	enum phase phase = scram->phase;
	enum pw_status status;

	scram->phase = PHASE_OVER;
	if (phase != PHASE_FINAL || !pw_scram_reader_init(&reader, msg, len) ||
	    !read_final(scram, &reader, &unproven, proof))
		return PW_EPROTO;
	pw_strbuf_add_char(&scram->auth_message, ',');
	pw_strbuf_add(&scram->auth_message, unproven.data, unproven.len);
	if (scram->auth_message.has_failed)
		return PW_ENOMEM;
	status = check_proof(scram, proof, client_key);
	if (status == PW_OK)
		status = write_final(scram, out);
	if (status == PW_OK && keys) {
		memcpy(keys->client_key, client_key, sizeof(keys->client_key));
		memcpy(keys->server_key, scram->verifier.server_key, sizeof(keys->server_key));
		keys->is_set = true;
	}
	OPENSSL_cleanse(client_key, sizeof(client_key));
	return status;
}

/* SPDX-License-Identifier: PostgreSQL
 *
 * Stored SCRAM secrets: text to value and back, from a password, and the fake one that keeps the
 * exchange of an unknown user in step with that of a known one.
 */
#include "config.h"

#include "pgweir/auth/scram.h"

#include <inttypes.h>
#include <limits.h>
#include <openssl/crypto.h>
#include <string.h>

#include "pgweir/base/rng.h"
#include "pgweir/base/secret.h"

#include "auth_priv.h"

static const char verifier_prefix[] = PW_SCRAM_MECHANISM "$";

/* The text up to `delimiter`, which is skipped; false where there is none. */
static bool take_part(const char **at, char delimiter, struct pw_scram_text *out)
{
	const char *end = strchr(*at, delimiter);

	if (!end)
		return false;
	out->data = *at;
	out->len = (size_t)(end - *at);
	*at = end + 1;
	return true;
}

bool pw_scram_verifier_parse(const char *text, struct pw_scram_verifier *out)
{
	struct pw_scram_text iterations, salt, stored, server;
	const char *at = text + sizeof(verifier_prefix) - 1;

	if (strncmp(text, verifier_prefix, sizeof(verifier_prefix) - 1) != 0)
		return false;
	if (!take_part(&at, ':', &iterations) || !take_part(&at, '$', &salt) ||
	    !take_part(&at, ':', &stored))
		return false;
	server.data = at;
	server.len = strlen(at);
	/* No limit of ours on the iterations: the client does that work, and what PostgreSQL took
	 * as a verifier must not become a plain password here. */
	return pw_scram_text_to_count(iterations, INT_MAX, &out->iterations) &&
	       pw_base64_decode(salt.data, salt.len, out->salt, sizeof(out->salt),
				&out->salt_len) &&
	       out->salt_len > 0 && pw_scram_text_to_key(stored, out->stored_key) &&
	       pw_scram_text_to_key(server, out->server_key);
}

void pw_scram_verifier_format(const struct pw_scram_verifier *verifier, struct pw_strbuf *out)
{
	pw_strbuf_printf(out, "%s%" PRIu32 ":", verifier_prefix, verifier->iterations);
	pw_base64_add(out, verifier->salt, verifier->salt_len);
	pw_strbuf_add_char(out, '$');
	pw_base64_add(out, verifier->stored_key, sizeof(verifier->stored_key));
	pw_strbuf_add_char(out, ':');
	pw_base64_add(out, verifier->server_key, sizeof(verifier->server_key));
}

bool pw_scram_verifier_derive(const char *password, const uint8_t *salt, size_t salt_len,
			      uint32_t iterations, struct pw_scram_verifier *out)
{
	struct pw_scram_keys keys;
	bool is_done;

	if (salt_len == 0 || salt_len > sizeof(out->salt))
		return false;
	is_done = pw_scram_keys_derive(password, salt, salt_len, iterations, &keys) &&
		  pw_scram_hash_key(keys.client_key, out->stored_key);
	if (is_done) {
		memcpy(out->server_key, keys.server_key, sizeof(out->server_key));
		memmove(out->salt, salt, salt_len);
		out->salt_len = salt_len;
		out->iterations = iterations;
	}
	OPENSSL_cleanse(&keys, sizeof(keys));
	return is_done;
}

void pw_scram_salt(const char *user, const uint8_t secret[32], uint8_t out[PW_SCRAM_SALT_LEN])
{
	uint8_t mac[PW_SCRAM_KEY_LEN];

	/* Without memory an inconstant salt is better than one that says "no such user". */
	if (!pw_scram_hmac(secret, user, strlen(user), mac))
		pw_rng_secret(mac, sizeof(mac));
	memcpy(out, mac, PW_SCRAM_SALT_LEN);
}

void pw_scram_verifier_mock(const char *user, const uint8_t secret[32], uint32_t iterations,
			    struct pw_scram_verifier *out)
{
	memset(out, 0, sizeof(*out));
	out->iterations = iterations;
	pw_scram_salt(user, secret, out->salt);
	out->salt_len = PW_SCRAM_SALT_LEN;
	/* Random keys belong to no password, and nobody can have a proof for them. */
	pw_rng_secret(out->stored_key, sizeof(out->stored_key));
	pw_rng_secret(out->server_key, sizeof(out->server_key));
}

bool pw_scram_verifier_matches(const struct pw_scram_verifier *verifier, const char *password)
{
	struct pw_scram_verifier derived;
	bool is_match;

	/* Here the work is ours, on a thread that serves others, and a database user may store any
	 * verifier. */
	if (verifier->iterations > PW_SCRAM_CHECK_MAX)
		return false;
	is_match =
	    pw_scram_verifier_derive(password, verifier->salt, verifier->salt_len,
				     verifier->iterations, &derived) &&
	    pw_secret_equal(derived.stored_key, verifier->stored_key, sizeof(derived.stored_key));
	OPENSSL_cleanse(&derived, sizeof(derived));
	return is_match;
}

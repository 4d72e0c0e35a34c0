/* SPDX-License-Identifier: PostgreSQL
 *
 * The arithmetic of SCRAM-SHA-256 (RFC 5802 section 3): a password becomes a client and a server
 * key, a key becomes a signature. Nothing here is kept; scratch values are wiped.
 */
#include "config.h"

#include "auth_priv.h"

#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>

#include "pgweir/auth/password.h"
#include "pgweir/base/rng.h"

enum { BLOCK_LEN = 64 }; /* of SHA-256 */

/* out = SHA-256(key XOR mark, data): one of the two layers of an HMAC. */
static bool hash_layer(EVP_MD_CTX *md, const uint8_t key[PW_SCRAM_KEY_LEN], uint8_t mark,
		       const void *data, size_t len, uint8_t out[PW_SCRAM_KEY_LEN])
{
	uint8_t pad[BLOCK_LEN];
	bool is_done;

	memset(pad, mark, sizeof(pad));
	for (size_t i = 0; i < PW_SCRAM_KEY_LEN; i++)
		pad[i] ^= key[i];
	is_done = EVP_DigestUpdate(md, pad, sizeof(pad)) == 1 &&
		  EVP_DigestUpdate(md, data, len) == 1 && EVP_DigestFinal_ex(md, out, NULL) == 1;
	OPENSSL_cleanse(pad, sizeof(pad));
	return is_done;
}

/* RFC 2104, over OpenSSL's hash: its own HMAC() finds and copies the hash so often that two of
 * them took as long as all else that a login computes. */
bool pw_scram_hmac(const uint8_t key[PW_SCRAM_KEY_LEN], const void *data, size_t len,
		   uint8_t out[PW_SCRAM_KEY_LEN])
{
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	uint8_t inner[PW_SCRAM_KEY_LEN];
	bool is_done;

	is_done = md && EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1 &&
		  hash_layer(md, key, 0x36, data, len, inner) &&
		  EVP_DigestInit_ex(md, NULL, NULL) == 1 &&
		  hash_layer(md, key, 0x5c, inner, sizeof(inner), out);
	EVP_MD_CTX_free(md);
	OPENSSL_cleanse(inner, sizeof(inner));
	return is_done;
}

bool pw_scram_hash_key(const uint8_t key[PW_SCRAM_KEY_LEN], uint8_t out[PW_SCRAM_KEY_LEN])
{
	unsigned n = 0;

	return EVP_Digest(key, PW_SCRAM_KEY_LEN, out, &n, EVP_sha256(), NULL) == 1 &&
	       n == PW_SCRAM_KEY_LEN;
}

static bool derive_salted(const char *password, const uint8_t *salt, size_t salt_len,
			  uint32_t iterations, uint8_t out[PW_SCRAM_KEY_LEN])
{
	struct pw_strbuf prepared = PW_STRBUF_INIT;
	bool is_done;

	if (iterations == 0 || iterations > INT_MAX || salt_len > INT_MAX)
		return false;
	is_done = pw_saslprep(password, &prepared) == PW_OK && prepared.len <= INT_MAX &&
		  PKCS5_PBKDF2_HMAC(prepared.data, (int)prepared.len, salt, (int)salt_len,
				    (int)iterations, EVP_sha256(), PW_SCRAM_KEY_LEN, out) == 1;
	pw_strbuf_wipe(&prepared);
	return is_done;
}

bool pw_scram_keys_derive(const char *password, const uint8_t *salt, size_t salt_len,
			  uint32_t iterations, struct pw_scram_keys *out)
{
	static const char client_label[] = "Client Key";
	static const char server_label[] = "Server Key";
	uint8_t salted[PW_SCRAM_KEY_LEN];

	out->is_set =
	    derive_salted(password, salt, salt_len, iterations, salted) &&
	    pw_scram_hmac(salted, client_label, sizeof(client_label) - 1, out->client_key) &&
	    pw_scram_hmac(salted, server_label, sizeof(server_label) - 1, out->server_key);
	OPENSSL_cleanse(salted, sizeof(salted));
	return out->is_set;
}

void pw_scram_make_nonce(char out[PW_SCRAM_NONCE_SIZE])
{
	uint8_t raw[PW_SCRAM_NONCE_BYTES];

	pw_rng_secret(raw, sizeof(raw));
	EVP_EncodeBlock((uint8_t *)out, raw, sizeof(raw));
}

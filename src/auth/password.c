/* SPDX-License-Identifier: PostgreSQL
 *
 * Cleartext and MD5 passwords. What is compared is compared in constant time; hashes of a
 * password are as good as the password for MD5, so they are wiped too. Where OpenSSL runs in FIPS
 * mode there is no MD5, and every function that needs it says false.
 */
#include "config.h"

#include "pgweir/auth/password.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>

#include "pgweir/auth/scram.h"
#include "pgweir/base/secret.h"

enum { MD5_LEN = 16, MD5_HEX_LEN = 2 * MD5_LEN, MD5_PREFIX_LEN = 3 };

_Static_assert(MD5_PREFIX_LEN + MD5_HEX_LEN + 1 == PW_MD5_TEXT_SIZE, "size of an md5 text");

static bool digest_pair(const void *a, size_t a_len, const void *b, size_t b_len,
			uint8_t out[MD5_LEN])
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool is_done;

	is_done = ctx && EVP_DigestInit_ex(ctx, EVP_md5(), NULL) == 1 &&
		  EVP_DigestUpdate(ctx, a, a_len) == 1 && EVP_DigestUpdate(ctx, b, b_len) == 1 &&
		  EVP_DigestFinal_ex(ctx, out, NULL) == 1;
	EVP_MD_CTX_free(ctx);
	return is_done;
}

/* "md5" + hex(md5(a || b)): both the stored form and the answer on the wire. */
static bool make_text(const void *a, size_t a_len, const void *b, size_t b_len,
		      char out[PW_MD5_TEXT_SIZE])
{
	static const char digits[] = "0123456789abcdef";
	uint8_t raw[MD5_LEN];
	char *at = out + MD5_PREFIX_LEN;

	if (!digest_pair(a, a_len, b, b_len, raw))
		return false;
	memcpy(out, "md5", MD5_PREFIX_LEN);
	for (size_t i = 0; i < MD5_LEN; i++) {
		*at++ = digits[raw[i] >> 4];
		*at++ = digits[raw[i] & 0xf];
	}
	*at = '\0';
	OPENSSL_cleanse(raw, sizeof(raw));
	return true;
}

static bool make_stored(const char *password, const char *user, char out[PW_MD5_TEXT_SIZE])
{
	return make_text(password, strlen(password), user, strlen(user), out);
}

bool pw_md5_response_stored(const char *stored, const uint8_t salt[4], char out[PW_MD5_TEXT_SIZE])
{
	if (pw_secret_classify(stored) != PW_SECRET_MD5)
		return false;
	return make_text(stored + MD5_PREFIX_LEN, MD5_HEX_LEN, salt, 4, out);
}

bool pw_md5_response(const char *password, const char *user, const uint8_t salt[4],
		     char out[PW_MD5_TEXT_SIZE])
{
	char stored[PW_MD5_TEXT_SIZE];
	bool is_done =
	    make_stored(password, user, stored) && pw_md5_response_stored(stored, salt, out);

	OPENSSL_cleanse(stored, sizeof(stored));
	return is_done;
}

/* Works for as long as `given` is, whatever `secret` says: its length does not show either. */
static bool is_same_text(const char *secret, const char *given)
{
	size_t len = strlen(given);
	bool has_same_len = strlen(secret) == len;

	return pw_secret_equal(has_same_len ? secret : given, given, len) && has_same_len;
}

static bool matches_md5(const struct pw_user_secret *stored, const char *password)
{
	char text[PW_MD5_TEXT_SIZE];
	bool is_match =
	    make_stored(password, stored->name, text) && is_same_text(stored->secret, text);

	OPENSSL_cleanse(text, sizeof(text));
	return is_match;
}

static bool matches_scram(const struct pw_user_secret *stored, const char *password)
{
	struct pw_scram_verifier verifier;
	bool is_match = pw_scram_verifier_parse(stored->secret, &verifier) &&
			pw_scram_verifier_matches(&verifier, password);

	OPENSSL_cleanse(&verifier, sizeof(verifier));
	return is_match;
}

bool pw_password_matches(const struct pw_user_secret *stored, const char *password)
{
	/* PostgreSQL lets nobody in without a password, even where a hash of "" is stored. */
	if (password[0] == '\0')
		return false;
	switch (stored->kind) {
	case PW_SECRET_NONE:
		return false;
	case PW_SECRET_PLAIN:
		return is_same_text(stored->secret, password);
	case PW_SECRET_MD5:
		return matches_md5(stored, password);
	case PW_SECRET_SCRAM:
		return matches_scram(stored, password);
	}
	return false;
}

bool pw_md5_matches(const struct pw_user_secret *stored, const uint8_t salt[4],
		    const char *response)
{
	char expected[PW_MD5_TEXT_SIZE];
	bool is_match = false;

	if (stored->kind == PW_SECRET_PLAIN)
		is_match = pw_md5_response(stored->secret, stored->name, salt, expected);
	else if (stored->kind == PW_SECRET_MD5)
		is_match = pw_md5_response_stored(stored->secret, salt, expected);
	is_match = is_match && is_same_text(expected, response);
	OPENSSL_cleanse(expected, sizeof(expected));
	return is_match;
}

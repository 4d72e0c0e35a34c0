/* SPDX-License-Identifier: PostgreSQL
 *
 * SCRAM-SHA-256 of the load generator; see the header for what it leaves out and why.
 */
#include "scram.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEY_LEN 32

static void hmac(const unsigned char *key, const char *text, unsigned char *out)
{
	HMAC(EVP_sha256(), key, KEY_LEN, (const unsigned char *)text, strlen(text), out, NULL);
}

int scram_first(struct scram *s, char *out, size_t size)
{
	unsigned char raw[18];

	if (RAND_bytes(raw, sizeof(raw)) != 1)
		return -1;
	EVP_EncodeBlock((unsigned char *)s->nonce, raw, sizeof(raw));
	return snprintf(out, size, "n,,n=,r=%s", s->nonce);
}

/* server_first: r=nonce,s=salt,i=iterations. Nonces begin with our own, so one of another login is
 * refused. */
static int parse_server_first(const struct scram *s, const char *text, char *nonce, char *salt,
			      long *iterations)
{
	if (sscanf(text, "r=%127[^,],s=%127[^,],i=%ld", nonce, salt, iterations) != 3)
		return -1;
	if (strncmp(nonce, s->nonce, strlen(s->nonce)) != 0 || *iterations < 1)
		return -1;
	return 0;
}

static int make_salted(struct scram_cache *cache, const char *password, const char *salt,
		       long iterations)
{
	unsigned char raw[sizeof(cache->salt)];
	size_t text_len = strlen(salt);
	int len;

	if (cache->iterations == iterations && strcmp(cache->salt, salt) == 0)
		return 0;
	len = EVP_DecodeBlock(raw, (const unsigned char *)salt, (int)text_len);
	if (len < 0)
		return -1;
	/* OpenSSL counts the padding as bytes. */
	for (; text_len > 0 && salt[text_len - 1] == '='; text_len--)
		len--;
	if (PKCS5_PBKDF2_HMAC(password, (int)strlen(password), raw, len, (int)iterations,
			      EVP_sha256(), KEY_LEN, cache->salted) != 1)
		return -1;
	snprintf(cache->salt, sizeof(cache->salt), "%s", salt);
	cache->iterations = iterations;
	return 0;
}

int scram_final(const struct scram *s, struct scram_cache *cache, const char *password,
		const char *server_first, char *out, size_t size)
{
	char nonce[128], salt[128], message[512], proof_text[64];
	unsigned char client_key[KEY_LEN], stored_key[KEY_LEN], signature[KEY_LEN];
	long iterations;
	int len;

	if (parse_server_first(s, server_first, nonce, salt, &iterations) != 0 ||
	    make_salted(cache, password, salt, iterations) != 0)
		return -1;
	len = snprintf(message, sizeof(message), "n=,r=%s,%s,c=biws,r=%s", s->nonce, server_first,
		       nonce);
	if (len < 0 || (size_t)len >= sizeof(message))
		return -1;
	hmac(cache->salted, "Client Key", client_key);
	SHA256(client_key, KEY_LEN, stored_key);
	hmac(stored_key, message, signature);
	for (int i = 0; i < KEY_LEN; i++)
		client_key[i] ^= signature[i];
	EVP_EncodeBlock((unsigned char *)proof_text, client_key, KEY_LEN);
	len = snprintf(out, size, "c=biws,r=%s,p=%s", nonce, proof_text);
	return len < 0 || (size_t)len >= size ? -1 : len;
}

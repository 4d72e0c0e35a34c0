/* SPDX-License-Identifier: PostgreSQL
 *
 * Base64 over OpenSSL's block functions. The decoder of OpenSSL skips blanks and takes padding
 * where it should not stand, so the result is encoded again and compared: what differs was not
 * written by an encoder.
 */
#include "config.h"

#include "auth_priv.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>

enum { RAW_GROUP = 3, TEXT_GROUP = 4, CHUNK = 48 * RAW_GROUP, TEXT_CHUNK = 48 * TEXT_GROUP };

void pw_base64_add(struct pw_strbuf *out, const void *data, size_t len)
{
	const uint8_t *from = data;
	uint8_t text[TEXT_CHUNK + 1];

	while (len > 0) {
		size_t part = len < CHUNK ? len : CHUNK;
		int n = EVP_EncodeBlock(text, from, (int)part);

		pw_strbuf_add(out, text, (size_t)n);
		from += part;
		len -= part;
	}
	OPENSSL_cleanse(text, sizeof(text));
}

/* Whole groups, at most CHUNK bytes of them. */
static bool decode_chunk(const char *text, size_t len, size_t raw_len, uint8_t raw[CHUNK])
{
	uint8_t again[TEXT_CHUNK + 1];
	int n = EVP_DecodeBlock(raw, (const uint8_t *)text, (int)len);

	return n == (int)(len / TEXT_GROUP * RAW_GROUP) &&
	       EVP_EncodeBlock(again, raw, (int)raw_len) == (int)len &&
	       memcmp(again, text, len) == 0;
}

bool pw_base64_decode(const char *text, size_t len, uint8_t *out, size_t out_size, size_t *out_len)
{
	uint8_t raw[CHUNK];
	size_t done = 0;
	bool is_good = len % TEXT_GROUP == 0;

	for (size_t i = 0; i < len && is_good; i += TEXT_CHUNK) {
		size_t part = len - i < TEXT_CHUNK ? len - i : TEXT_CHUNK;
		size_t raw_len = part / TEXT_GROUP * RAW_GROUP;

		if (i + part == len && text[len - 1] == '=')
			raw_len -= text[len - 2] == '=' ? 2 : 1;
		is_good = out_size - done >= raw_len && decode_chunk(text + i, part, raw_len, raw);
		if (is_good)
			memcpy(out + done, raw, raw_len);
		done += raw_len;
	}
	OPENSSL_cleanse(raw, sizeof(raw));
	*out_len = done;
	return is_good;
}

/* SPDX-License-Identifier: PostgreSQL
 *
 * Base64 over OpenSSL's block functions. The decoder of OpenSSL skips blanks and takes padding
 * where it should not stand, so every group of four is encoded again and compared: what differs
 * was not written by an encoder.
 */
#include "config.h"

#include "auth_priv.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>

enum { RAW_GROUP = 3, TEXT_GROUP = 4, CHUNK = 48 * RAW_GROUP };

void pw_base64_add(struct pw_strbuf *out, const void *data, size_t len)
{
	const uint8_t *from = data;
	uint8_t text[CHUNK / RAW_GROUP * TEXT_GROUP + 1];

	while (len > 0) {
		size_t part = len < CHUNK ? len : CHUNK;
		int n = EVP_EncodeBlock(text, from, (int)part);

		pw_strbuf_add(out, text, (size_t)n);
		from += part;
		len -= part;
	}
	OPENSSL_cleanse(text, sizeof(text));
}

static bool decode_group(const char *text, size_t raw_len, uint8_t out[RAW_GROUP])
{
	uint8_t again[TEXT_GROUP + 1];

	if (EVP_DecodeBlock(out, (const uint8_t *)text, TEXT_GROUP) != RAW_GROUP)
		return false;
	EVP_EncodeBlock(again, out, (int)raw_len);
	return memcmp(again, text, TEXT_GROUP) == 0;
}

bool pw_base64_decode(const char *text, size_t len, uint8_t *out, size_t out_size, size_t *out_len)
{
	size_t done = 0;

	if (len % TEXT_GROUP != 0)
		return false;
	for (size_t i = 0; i < len; i += TEXT_GROUP) {
		const char *group = text + i;
		bool is_last = i + TEXT_GROUP == len;
		size_t raw_len = RAW_GROUP;
		uint8_t raw[RAW_GROUP];

		if (is_last && group[3] == '=')
			raw_len = group[2] == '=' ? 1 : 2;
		if (out_size - done < raw_len || !decode_group(group, raw_len, raw))
			return false;
		memcpy(out + done, raw, raw_len);
		done += raw_len;
	}
	*out_len = done;
	return true;
}

/* SPDX-License-Identifier: PostgreSQL
 *
 * Reading SCRAM messages (RFC 5802 section 7): a list of "x=value" with commas between. The
 * reader holds two pointers into the peer's bytes and never passes the second; every number and
 * every base64 text is checked in full before it is used.
 */
#include "config.h"

#include "auth_priv.h"

#include <string.h>

bool pw_scram_reader_init(struct pw_scram_reader *reader, const uint8_t *msg, size_t len)
{
	if (len == 0 || len > PW_SCRAM_MESSAGE_MAX || memchr(msg, '\0', len) != NULL)
		return false;
	reader->at = (const char *)msg;
	reader->end = reader->at + len;
	return true;
}

bool pw_scram_reader_is_at_end(const struct pw_scram_reader *reader)
{
	return reader->at == reader->end;
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool pw_scram_read_any(struct pw_scram_reader *reader, char *name, struct pw_scram_text *value)
{
	const char *comma;

	if (reader->end - reader->at < 2 || !is_letter(reader->at[0]) || reader->at[1] != '=')
		return false;
	*name = reader->at[0];
	value->data = reader->at + 2;
	comma = memchr(value->data, ',', (size_t)(reader->end - value->data));
	if (!comma) {
		value->len = (size_t)(reader->end - value->data);
		reader->at = reader->end;
		return true;
	}
	value->len = (size_t)(comma - value->data);
	reader->at = comma + 1;
	return reader->at != reader->end;
}

bool pw_scram_read_attribute(struct pw_scram_reader *reader, char name, struct pw_scram_text *value)
{
	char found;

	return pw_scram_read_any(reader, &found, value) && found == name;
}

bool pw_scram_read_extensions(struct pw_scram_reader *reader)
{
	struct pw_scram_text value;
	char name;

	while (!pw_scram_reader_is_at_end(reader)) {
		if (!pw_scram_read_any(reader, &name, &value) || name == 'm')
			return false;
	}
	return true;
}

bool pw_scram_text_equal(struct pw_scram_text text, const char *data, size_t len)
{
	return text.len == len && memcmp(text.data, data, len) == 0;
}

bool pw_scram_text_is_nonce(struct pw_scram_text text)
{
	if (text.len == 0 || text.len > PW_SCRAM_NONCE_MAX)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		if (text.data[i] < 0x21 || text.data[i] > 0x7e || text.data[i] == ',')
			return false;
	}
	return true;
}

bool pw_scram_text_to_count(struct pw_scram_text text, uint32_t max, uint32_t *out)
{
	uint64_t n = 0;

	if (text.len == 0 || text.len > 10)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		if (text.data[i] < '0' || text.data[i] > '9')
			return false;
		n = n * 10 + (uint64_t)(text.data[i] - '0');
	}
	*out = (uint32_t)n;
	return n >= 1 && n <= max;
}

bool pw_scram_text_to_key(struct pw_scram_text text, uint8_t out[PW_SCRAM_KEY_LEN])
{
	size_t len;

	return pw_base64_decode(text.data, text.len, out, PW_SCRAM_KEY_LEN, &len) &&
	       len == PW_SCRAM_KEY_LEN;
}

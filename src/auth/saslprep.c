/* SPDX-License-Identifier: PostgreSQL
 *
 * SASLprep as PostgreSQL does it, on libidn's tables, so that a password gives the same keys on
 * both sides. PostgreSQL's way differs from the RFC's: an ASCII text is never touched, the checks
 * look at the text before it is normalised, unassigned code points are refused, and a text that is
 * refused (or not UTF-8, or left empty) stands for itself, byte by byte. So does, here alone, one
 * of over 8 kB: ordering combining marks takes quadratic time, and a stranger may send 64 kB.
 */
#include "config.h"

#include "pgweir/auth/password.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <stringprep.h>

enum { PROFILE_ROWS_MAX = 32, PREPARED_MAX = 8192 };

static bool is_ascii(const char *text)
{
	for (; *text; text++) {
		if ((unsigned char)*text >= 0x80)
			return false;
	}
	return true;
}

/* The rows of libidn's profile that check, not those that change. */
static bool make_check_profile(Stringprep_profile out[PROFILE_ROWS_MAX])
{
	size_t n = 0;

	memset(out, 0, PROFILE_ROWS_MAX * sizeof(*out));
	for (const Stringprep_profile *row = stringprep_saslprep; row->operation; row++) {
		if (row->operation == STRINGPREP_NFKC || row->operation == STRINGPREP_MAP_TABLE)
			continue;
		if (n == PROFILE_ROWS_MAX - 1)
			return false;
		out[n++] = *row;
	}
	return true;
}

static bool is_in_table(uint32_t code, const Stringprep_table_element *row)
{
	for (; row->start; row++) {
		if (code >= row->start && code <= (row->end ? row->end : row->start))
			return true;
	}
	return false;
}

/* Spaces to U+0020, "commonly mapped to nothing" away. In one pass: libidn begins again after
 * each change, which on a long password takes seconds. */
static size_t map_text(uint32_t *text, size_t len)
{
	size_t kept = 0;

	for (size_t i = 0; i < len; i++) {
		if (is_in_table(text[i], stringprep_saslprep_space_map))
			text[kept++] = ' ';
		else if (!is_in_table(text[i], stringprep_rfc3454_B_1))
			text[kept++] = text[i];
	}
	return kept;
}

static void free_wiped(void *data, size_t size)
{
	if (data)
		OPENSSL_cleanse(data, size);
	free(data);
}

/* NULL = the raw bytes stand. Hands out malloc()ed UTF-8. */
static char *prepare_text(const char *password, size_t *out_len)
{
	Stringprep_profile profile[PROFILE_ROWS_MAX];
	size_t len = 0, size, normal_len;
	uint32_t *text, *normal = NULL;
	char *result = NULL;

	text = stringprep_utf8_to_ucs4(password, -1, &len);
	if (!text)
		return NULL;
	size = len * sizeof(*text);
	len = map_text(text, len);
	if (len > 0 && make_check_profile(profile) &&
	    stringprep_4i(text, &len, len, STRINGPREP_NO_UNASSIGNED, profile) == STRINGPREP_OK)
		normal = stringprep_ucs4_nfkc_normalize(text, (ssize_t)len);
	if (normal) {
		for (normal_len = 0; normal[normal_len]; normal_len++)
			;
		result = stringprep_ucs4_to_utf8(normal, (ssize_t)normal_len, NULL, out_len);
		free_wiped(normal, normal_len * sizeof(*normal));
	}
	free_wiped(text, size);
	return result;
}

enum pw_status pw_saslprep(const char *password, struct pw_strbuf *out)
{
	size_t len = 0;
	char *prepared = NULL;

	if (!is_ascii(password) && strlen(password) <= PREPARED_MAX)
		prepared = prepare_text(password, &len);
	if (prepared)
		pw_strbuf_add(out, prepared, len);
	else
		pw_strbuf_add_string(out, password);
	free_wiped(prepared, len);
	return out->has_failed ? PW_ENOMEM : PW_OK;
}

const char *pw_saslprep_library_version(void)
{
	return stringprep_check_version(NULL);
}

/* SPDX-License-Identifier: PostgreSQL
 *
 * A character of UTF-8 has at most three bytes behind its first one; more of them in a row are some
 * other encoding, or none.
 */
#include "config.h"

#include "pgweir/base/utf8.h"

#include <stdbool.h>
#include <string.h>

enum { BEHIND_MAX = 3 };

static bool is_behind(char c)
{
	return ((unsigned char)c & 0xc0) == 0x80;
}

size_t pw_utf8_fit(const char *text, size_t max)
{
	size_t len = strnlen(text, max), fit = len;

	if (len < max)
		return len;
	while (fit > 0 && len - fit < BEHIND_MAX && is_behind(text[fit]))
		fit--;
	return is_behind(text[fit]) ? len : fit;
}

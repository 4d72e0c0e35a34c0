/* SPDX-License-Identifier: PostgreSQL
 *
 * Digit by digit: strtoul() would take signs, spaces and a prefix.
 */
#include "config.h"

#include "pgweir/cluster/lsn.h"

#include <inttypes.h>
#include <stdio.h>

static int digit_of(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

static bool parse_half(const char *text, size_t len, uint64_t *half)
{
	*half = 0;
	if (len < 1 || len > 8)
		return false;
	for (size_t i = 0; i < len; i++) {
		int digit = digit_of(text[i]);

		if (digit < 0)
			return false;
		*half = *half << 4 | (unsigned)digit;
	}
	return true;
}

bool pw_lsn_parse(const char *text, size_t len, uint64_t *lsn)
{
	uint64_t high, low;
	size_t slash = 0;

	while (slash < len && text[slash] != '/')
		slash++;
	if (slash == len || !parse_half(text, slash, &high) ||
	    !parse_half(text + slash + 1, len - slash - 1, &low))
		return false;
	*lsn = high << 32 | low;
	return true;
}

void pw_lsn_format(char out[PW_LSN_SIZE], uint64_t lsn)
{
	snprintf(out, PW_LSN_SIZE, "%" PRIX32 "/%" PRIX32, (uint32_t)(lsn >> 32), (uint32_t)lsn);
}

/* SPDX-License-Identifier: PostgreSQL
 *
 * Cutting text that may be UTF-8. Any thread.
 */
#ifndef PGWEIR_BASE_UTF8_H
#define PGWEIR_BASE_UTF8_H

#include <stddef.h>

/* How many of the first `max` bytes of the string are to be kept so that none of its characters is
 * cut in two: drivers, and servers, do not read half a one. */
size_t pw_utf8_fit(const char *text, size_t max);

#endif

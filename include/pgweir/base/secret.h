/* SPDX-License-Identifier: PostgreSQL
 *
 * A secret in memory: a password, a key. Owned by its holder, wiped on fini, never logged. A
 * plain value, any thread.
 */
#ifndef PGWEIR_BASE_SECRET_H
#define PGWEIR_BASE_SECRET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pgweir/base/status.h"

struct pw_secret {
	char *data; /* zero-terminated copy; NULL = none */
	size_t len;
};

/* Replaces what was held (and wipes it). */
PW_MUSTCHECK enum pw_status pw_secret_set(struct pw_secret *secret, const void *data, size_t len);
void pw_secret_fini(struct pw_secret *secret);
/* Takes as long for a wrong first byte as for a wrong last one. */
bool pw_secret_equal(const void *a, const void *b, size_t len);

#endif

/* SPDX-License-Identifier: PostgreSQL
 *
 * SipHash-2-4 (Aumasson and Bernstein, 2012) with 64 and 128 bits of output, keyed by a secret of
 * the process so that nobody outside can make collisions. Pure functions, any thread.
 *
 * A 128-bit content id stands for the content itself: two workers that never met give the same
 * content the same id.
 */
#ifndef PGWEIR_BASE_HASH_H
#define PGWEIR_BASE_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct pw_hash_key {
	uint64_t k0, k1;
};

struct pw_id {
	uint64_t lo, hi;
};

uint64_t pw_hash(const struct pw_hash_key *key, const void *data, size_t len);
struct pw_id pw_hash_id(const struct pw_hash_key *key, const void *data, size_t len);

static inline bool pw_id_equal(struct pw_id a, struct pw_id b)
{
	return a.lo == b.lo && a.hi == b.hi;
}

#endif

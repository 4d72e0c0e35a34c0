/* SPDX-License-Identifier: PostgreSQL
 *
 * Randomness. pw_rng_secret() is fit for keys and nonces; pw_rng_next() only for choices (its
 * state is one thread's). Tests seed the latter.
 */
#ifndef PGWEIR_BASE_RNG_H
#define PGWEIR_BASE_RNG_H

#include <stddef.h>
#include <stdint.h>

struct pw_rng {
	uint64_t state;
};

/* Fills from the kernel's generator; aborts where that is impossible. Any thread. */
void pw_rng_secret(void *out, size_t len);

void pw_rng_seed(struct pw_rng *rng, uint64_t seed);
uint64_t pw_rng_next(struct pw_rng *rng);

#endif

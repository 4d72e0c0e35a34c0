/* SPDX-License-Identifier: PostgreSQL
 *
 * Secrets by getrandom(2); choices by a generator of 64 bits of state, for speed.
 */
#include "config.h"

#include "pgweir/base/rng.h"

#include <errno.h>
#include <sys/random.h>

#include "pgweir/base/assert.h"

void pw_rng_secret(void *out, size_t len)
{
	uint8_t *p = out;

	while (len > 0) {
		ssize_t n = getrandom(p, len, 0);

		pw_assert(n > 0 || errno == EINTR);
		if (n > 0) {
			p += n;
			len -= (size_t)n;
		}
	}
}

void pw_rng_seed(struct pw_rng *rng, uint64_t seed)
{
	rng->state = seed;
}

/* SplitMix64 (Steele, Lea, Flood 2014). */
uint64_t pw_rng_next(struct pw_rng *rng)
{
	uint64_t z = (rng->state += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

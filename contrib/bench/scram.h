/* SPDX-License-Identifier: PostgreSQL
 *
 * The client's half of SCRAM-SHA-256 (RFC 5802, RFC 7677) for the load generator. The salted
 * password is kept between logins, so that the generator does not spend 4096 rounds of HMAC on
 * each: what is measured is the server's half. The server's signature is not checked.
 */
#ifndef BENCH_SCRAM_H
#define BENCH_SCRAM_H

#include <stddef.h>

/* Of one password; valid for the salt and iterations that it was made with. */
struct scram_cache {
	char salt[128];
	long iterations;
	unsigned char salted[32];
};

/* Of one login. */
struct scram {
	char nonce[25];
};

/* Both write text with a NUL and return its length, -1 when the peer's message makes no sense. */
int scram_first(struct scram *s, char *out, size_t size);
int scram_final(const struct scram *s, struct scram_cache *cache, const char *password,
		const char *server_first, char *out, size_t size);

#endif

/* SPDX-License-Identifier: PostgreSQL
 *
 * SipHash-2-4. Both widths share the absorbing rounds and differ in constants and in the finish.
 */
#include "config.h"

#include "pgweir/base/hash.h"

#include <endian.h>

struct sip {
	uint64_t v0, v1, v2, v3;
};

static inline uint64_t rotl(uint64_t x, int n)
{
	return (x << n) | (x >> (64 - n));
}

static inline void round_sip(struct sip *s)
{
	s->v0 += s->v1;
	s->v2 += s->v3;
	s->v1 = rotl(s->v1, 13) ^ s->v0;
	s->v3 = rotl(s->v3, 16) ^ s->v2;
	s->v0 = rotl(s->v0, 32) + s->v3;
	s->v2 += s->v1;
	s->v3 = rotl(s->v3, 21) ^ s->v0;
	s->v1 = rotl(s->v1, 17) ^ s->v2;
	s->v2 = rotl(s->v2, 32);
}

static inline void absorb_word(struct sip *s, uint64_t word)
{
	s->v3 ^= word;
	round_sip(s);
	round_sip(s);
	s->v0 ^= word;
}

static void absorb_all(struct sip *s, const struct pw_hash_key *key, const uint8_t *p, size_t len)
{
	uint64_t last = (uint64_t)len << 56;
	uint64_t word;

	s->v0 = key->k0 ^ UINT64_C(0x736f6d6570736575);
	s->v1 ^= key->k1 ^ UINT64_C(0x646f72616e646f6d);
	s->v2 = key->k0 ^ UINT64_C(0x6c7967656e657261);
	s->v3 = key->k1 ^ UINT64_C(0x7465646279746573);
	for (; len >= 8; p += 8, len -= 8) {
		memcpy(&word, p, 8);
		absorb_word(s, le64toh(word));
	}
	for (size_t i = 0; i < len; i++)
		last |= (uint64_t)p[i] << (8 * i);
	absorb_word(s, last);
}

static uint64_t finish_half(struct sip *s)
{
	for (int i = 0; i < 4; i++)
		round_sip(s);
	return s->v0 ^ s->v1 ^ s->v2 ^ s->v3;
}

uint64_t pw_hash(const struct pw_hash_key *key, const void *data, size_t len)
{
	struct sip s = {.v1 = 0};

	absorb_all(&s, key, data, len);
	s.v2 ^= 0xff;
	return finish_half(&s);
}

struct pw_id pw_hash_id(const struct pw_hash_key *key, const void *data, size_t len)
{
	struct sip s = {.v1 = 0xee}; /* the 128-bit variant marks v1 */
	struct pw_id id;

	absorb_all(&s, key, data, len);
	s.v2 ^= 0xee;
	id.lo = finish_half(&s);
	s.v1 ^= 0xdd;
	id.hi = finish_half(&s);
	return id;
}

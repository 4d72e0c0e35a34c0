/* SPDX-License-Identifier: PostgreSQL
 *
 * What the files of this folder share.
 */
#ifndef PGWEIR_SQL_SQL_PRIV_H
#define PGWEIR_SQL_SQL_PRIV_H

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "pgweir/sql/shape.h"

enum { PW_SQL_WORD_MAX = 22 };

struct pw_sql_word_row {
	char text[PW_SQL_WORD_MAX]; /* in small letters, 7f for _, zeros behind */
	uint8_t len;                /* 0: any word that begins so */
};

/* Behind the last one is one that no word is like. */
extern const struct pw_sql_word_row pw_sql_words[PW_SQL_N_WORDS + 1];

/* Finds places for all words. */
void pw_sql_words_place(struct pw_shape_key *key);

/* The first eight bytes of the word, zeros behind. */
static inline uint64_t pw_sql_word_begin(unsigned word)
{
	uint64_t begin;

	memcpy(&begin, pw_sql_words[word].text, sizeof(begin));
	return le64toh(begin);
}

static inline unsigned pw_sql_word_place(const struct pw_shape_key *key, uint64_t begin)
{
	return (unsigned)(begin * key->word_factor >> (64 - PW_SHAPE_PLACE_BITS));
}

/* The bit of a word that is one of them, else none; `begin` is its first eight bytes as above, in
 * small letters. */
static inline uint64_t pw_sql_word_find(const struct pw_shape_key *key, const uint8_t *word,
					size_t len, uint64_t begin)
{
	unsigned found = key->words[pw_sql_word_place(key, begin)];

	if (pw_sql_word_begin(found) != begin)
		return 0;
	if (pw_sql_words[found].len == 0)
		return UINT64_C(1) << found;
	if (pw_sql_words[found].len != len)
		return 0;
	for (size_t i = sizeof(begin); i < len; i++) {
		if ((word[i] | 0x20) != pw_sql_words[found].text[i])
			return 0;
	}
	return UINT64_C(1) << found;
}

#endif

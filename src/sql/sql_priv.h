/* SPDX-License-Identifier: PostgreSQL
 *
 * What the files of this folder share.
 */
#ifndef PGWEIR_SQL_SQL_PRIV_H
#define PGWEIR_SQL_SQL_PRIV_H

#include <stddef.h>
#include <stdint.h>

#include "pgweir/sql/shape.h"

/* PW_SQL_N_WORDS where it is none of them. The word in any case; what pw_sql_fold() makes of its
 * first eight bytes. */
enum pw_sql_word pw_sql_word_find(const uint8_t *word, size_t len, uint64_t folded);

/* Bytes of a word, all below 0x80: large letters become small ones, and no two other bytes that a
 * word may have become the same. */
static inline uint64_t pw_sql_fold(uint64_t bytes)
{
	return bytes | UINT64_C(0x2020202020202020);
}

#endif

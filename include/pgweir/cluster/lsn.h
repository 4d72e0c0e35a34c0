/* SPDX-License-Identifier: PostgreSQL
 *
 * Positions in the write-ahead log, as PostgreSQL writes them: two hexadecimal numbers of up to
 * eight digits with a slash between them (PostgreSQL docs, "pg_lsn Type"). 0 is no position.
 *
 * Any thread.
 */
#ifndef PGWEIR_CLUSTER_LSN_H
#define PGWEIR_CLUSTER_LSN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PW_LSN_SIZE = 18 }; /* with its zero byte */

/* The whole of `text` must be one. */
bool pw_lsn_parse(const char *text, size_t len, uint64_t *lsn);
void pw_lsn_format(char out[PW_LSN_SIZE], uint64_t lsn);

#endif

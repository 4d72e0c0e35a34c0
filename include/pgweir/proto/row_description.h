/* SPDX-License-Identifier: PostgreSQL
 *
 * The shape of a statement's rows as one number, to tell whether two connections would answer it
 * in the same shape. Pure function, any thread. Source: PostgreSQL 15 docs 55.7, RowDescription.
 */
#ifndef PGWEIR_PROTO_ROW_DESCRIPTION_H
#define PGWEIR_PROTO_ROW_DESCRIPTION_H

#include <stdint.h>

#include "pgweir/base/hash.h"
#include "pgweir/proto/reader.h"

/* Of a whole RowDescription or NoData: names, types and type modifiers of the columns. Formats
 * belong to a portal, and the tables' OIDs may change without PostgreSQL minding. 0 = the message
 * is in parts or malformed. */
uint64_t pw_row_description_hash(const struct pw_hash_key *key, const struct pw_piece *piece);

#endif

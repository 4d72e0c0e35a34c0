/* SPDX-License-Identifier: PostgreSQL
 *
 * The shape of a statement's rows, and the types of its parameters, as one number each, to tell
 * whether two connections would take it for the same. Pure functions, any thread. Source:
 * PostgreSQL 15 docs 55.7, RowDescription and ParameterDescription.
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

/* Of a whole ParameterDescription; its body reads like the end of a Parse. 0 = likewise. */
uint64_t pw_parameter_description_hash(const struct pw_hash_key *key, const struct pw_piece *piece);

#endif

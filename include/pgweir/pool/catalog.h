/* SPDX-License-Identifier: PostgreSQL
 *
 * How queries of our own name what is PostgreSQL's: so that no search_path of a client, and nothing
 * that users have made, can put something else in its place. IN, LIKE and BETWEEN look for
 * operators by the search_path, and so are not used.
 */
#ifndef PGWEIR_POOL_CATALOG_H
#define PGWEIR_POOL_CATALOG_H

#define PW_OP(operator)    " OPERATOR(pg_catalog." operator") "
#define PW_IS_ONE_OF(list) PW_OP("=") "ANY ('{" list "}'::pg_catalog.text[])"
#define PW_CLASS(name)     "'pg_catalog." name "'::pg_catalog.regclass"
/* Of an oid: not PostgreSQL's own (transam.h, FirstNormalObjectId). */
#define PW_IS_USERS PW_OP(">=") "16384::pg_catalog.oid"

#endif

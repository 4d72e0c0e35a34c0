/* SPDX-License-Identifier: PostgreSQL
 *
 * PostgreSQL's own functions, and what a call of one leaves behind in its session. Nearly all leave
 * nothing; the others are listed one by one, from pg_proc and the descriptions in PostgreSQL 15's
 * docs, chapter 9. A name that is not here may be anybody's function and do anything.
 *
 * A name alone is no proof: users may have a function of the same name for other types of
 * arguments, or put a schema before pg_catalog. Who needs one asks the catalogue as well.
 *
 * Const, any thread.
 */
#ifndef PGWEIR_SQL_BUILTIN_H
#define PGWEIR_SQL_BUILTIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pgweir/base/strbuf.h"

enum pw_builtin {
	PW_BUILTIN_UNKNOWN,  /* not one of PostgreSQL's */
	PW_BUILTIN_HARMLESS, /* leaves nothing that outlives its transaction */
	PW_BUILTIN_SETS,     /* a setting, until the session or the transaction ends */
	PW_BUILTIN_LOCKS,    /* takes or frees advisory locks of the session */
	PW_BUILTIN_SEQUENCE, /* changes or reads what currval() and lastval() give */
	PW_BUILTIN_SEED,     /* of random() */
	PW_BUILTIN_NOTIFIES, /* a channel */
	PW_BUILTIN_ORIGIN,   /* of replication, of the session */
	PW_BUILTIN_SLOT,     /* may make a replication slot that lives as long as the session */
	PW_BUILTIN_BACKUP,   /* begins or ends one, within one session */
	PW_BUILTIN_QUERIES,  /* runs a query that is given to it as a text */
	PW_BUILTIN_INNER,    /* for PostgreSQL's own use: may do anything */
	PW_BUILTIN_N_CLASSES,
};

/* `name` as in a PW_SQL_ITEM_CALL: alone, or behind "pg_catalog."; behind another schema it is
 * UNKNOWN. */
enum pw_builtin pw_builtin_find(const char *name);
/* The same of a name alone, for less: one that is HARMLESS may be UNKNOWN. */
enum pw_builtin pw_builtin_find_special(const char *name);

/* Gives a call of it the same answer on each node of a system, up to what the node has replayed,
 * and changes nothing? So none that writes, nor one that tells something of the server or the
 * session that runs it. The name as above. */
bool pw_builtin_reads(const char *name);

/* What pw_builtin_reads() goes by, for who asks a server the same about its own functions. */
enum pw_builtin_list {
	PW_BUILTIN_LIST_HARMLESS,    /* volatile, and read all the same; no other volatile does */
	PW_BUILTIN_LIST_LOCAL,       /* not volatile, and do not read */
	PW_BUILTIN_LIST_OF_DATABASE, /* begin with pg_, and read; no other one that does */
	PW_BUILTIN_N_LISTS,
};

/* The names, with commas between. */
void pw_builtin_add_list(struct pw_strbuf *out, enum pw_builtin_list list);

/* Does the setting tell of the node, or is it for us to answer? The name in any case. */
bool pw_setting_is_local(const char *name, size_t len);
/* The names of those, with | between. */
void pw_setting_add_local(struct pw_strbuf *out);

/* Is it one of those that read and write large objects? What they open is closed when the
 * transaction ends. */
bool pw_builtin_is_of_large_objects(uint32_t oid);

#endif

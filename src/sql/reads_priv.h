/* SPDX-License-Identifier: PostgreSQL
 *
 * Finds out whether statements only read, and what they name (pgweir/sql/analysis.h). One for each
 * text: it is shown its statements one by one and then put into the text's analysis. It owns what
 * it has gathered, and holds on to no tree. One thread.
 */
#ifndef PGWEIR_SQL_READS_PRIV_H
#define PGWEIR_SQL_READS_PRIV_H

#include <stdbool.h>
#include <stddef.h>

#include <pg_query/pg_query.pb-c.h>

#include "pgweir/base/strbuf.h"
#include "pgweir/sql/analysis.h"

enum pw_reads_list {
	PW_READS_RELATIONS,
	PW_READS_FUNCTIONS,
	PW_READS_OPERATORS,
	PW_READS_TYPES,
	PW_READS_N_LISTS,
};

struct pw_reads_name {
	enum pw_reads_list list;
	size_t schema, name; /* offsets in `text` */
	unsigned n_args;     /* of a function; or 0 */
};

struct pw_reads_scope;

struct pw_reads {
	bool is_never;               /* whatever else comes */
	unsigned kinds, transaction; /* as in struct pw_analysis */
	unsigned n_names;
	unsigned n_of[PW_READS_N_LISTS];
	struct pw_reads_name names[PW_SQL_NAMES_MAX];
	struct pw_strbuf text;              /* each with its zero */
	const struct pw_reads_scope *scope; /* while a statement is gone through */
};

/* It begins as zeros. */
void pw_reads_fini(struct pw_reads *reads);

void pw_reads_add_statement(struct pw_reads *reads, const PgQuery__Node *node);

void pw_reads_add_name(struct pw_reads *reads, enum pw_reads_list list, const char *schema,
		       const char *name);
/* A name of several parts: its last one, and the schema before it. */
void pw_reads_add_parts(struct pw_reads *reads, enum pw_reads_list list,
			PgQuery__Node *const *parts, size_t n);
/* A name as in a PW_SQL_ITEM_CALL. */
void pw_reads_add_function(struct pw_reads *reads, const char *name, unsigned n_args);

/* What it takes in the analysis' memory, where pointers may lie; false without memory. */
PW_MUSTCHECK bool pw_reads_measure(const struct pw_reads *reads, size_t *bytes);
void pw_reads_put(const struct pw_reads *reads, struct pw_analysis *analysis, char *room);

#endif

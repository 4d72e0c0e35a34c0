/* SPDX-License-Identifier: PostgreSQL
 *
 * What a text of statements may do to the session that runs it, by PostgreSQL's own grammar
 * (libpg_query): which settings it sets, which statements it prepares, which functions it calls,
 * and so on, in the order of the text. Nothing is guessed: what could not be parsed says so, and
 * may do anything.
 *
 * Beside that, whether a text only reads, so that a standby can run it. The grammar tells half of
 * it: the other half is what the relations, functions, operators and types are that it names, which
 * are listed here for those who know the catalogue.
 *
 * libpg_query recurses: long chains and deep brackets would overflow a stack. What has more tokens
 * or is deeper than the bounds below is not parsed; a test shows that what is within them needs
 * less than half of the stack that a thread must have which calls this.
 *
 * An analysis is immutable and belongs to whoever made it. Any thread; libpg_query keeps its memory
 * for each thread.
 */
#ifndef PGWEIR_SQL_ANALYSIS_H
#define PGWEIR_SQL_ANALYSIS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pgweir/sql/shape.h"

enum {
	PW_ANALYSIS_TOKENS_MAX = 2000,
	PW_ANALYSIS_DEPTH_MAX = 200,
	PW_ANALYSIS_STACK_BYTES = 16 * 1024 * 1024,
};

enum pw_sql_item_kind {
	PW_SQL_ITEM_SET,         /* of the setting `name` */
	PW_SQL_ITEM_RESET,       /* the same, to its default */
	PW_SQL_ITEM_SET_LOCAL,   /* the same until the transaction ends */
	PW_SQL_ITEM_RESET_ALL,   /* RESET ALL */
	PW_SQL_ITEM_DISCARD,     /* `name`: all, plans, sequences, temp */
	PW_SQL_ITEM_TRANSACTION, /* `name`: begin, commit, rollback, savepoint, prepare, ... */
	PW_SQL_ITEM_PREPARE,     /* of the statement `name` */
	PW_SQL_ITEM_EXECUTE,     /* also within EXPLAIN and CREATE TABLE AS */
	PW_SQL_ITEM_DEALLOCATE,  /* "" = all of them */
	PW_SQL_ITEM_LISTEN,      /* to the channel `name` */
	PW_SQL_ITEM_UNLISTEN,    /* "" = all of them */
	PW_SQL_ITEM_NOTIFY,
	PW_SQL_ITEM_TEMPORARY, /* a temporary object is made: `name` */
	PW_SQL_ITEM_HOLD,      /* DECLARE `name` ... WITH HOLD */
	PW_SQL_ITEM_LOAD,      /* of the library `name` */
	PW_SQL_ITEM_CALL,      /* of the function `name`, with its schema where the text has one */
	PW_SQL_ITEM_BODY,      /* DO: code that nobody here reads */
	PW_SQL_ITEM_PG_SETTINGS, /* the view is named, through which settings can be updated */
	PW_SQL_ITEM_OTHER, /* a utility statement that is none of these; `name` is the node's */
	PW_SQL_ITEM_N_KINDS,
};

enum { PW_SQL_NO_LITERAL = -1 };

/* For how long a setting may go back to what it began as. */
enum { PW_SQL_BACK_SESSION = 1, PW_SQL_BACK_LOCAL = 2 };

/* It holds for every text of the shape. */
struct pw_sql_item {
	enum pw_sql_item_kind kind;
	unsigned statement; /* which of the text, from 0 */
	const char *name;   /* never NULL; in small letters where the text has no quotes */
	/* CALL: which literal of the shape its first argument is; or else PW_SQL_NO_LITERAL: a
	 * parameter, an expression, or a literal of a statement that keeps them. */
	int argument;
	bool is_third_true; /* CALL: its third argument is the word true */
	/* PW_SQL_BACK_*: RESET and its kin, and set_config() where the value is or may be a NULL
	 * that is no parameter; 0 for all else. */
	unsigned back;
};

/* What a statement is to a standby. A text of several is what stands last here of what they are;
 * but it is NEVER if one of them is. One of none is BY_NAMES. */
enum pw_sql_read {
	/* It may write, lock rows or change its session, it tells of the node that runs it, or
	 * nobody here knows. */
	PW_SQL_READ_NEVER,
	/* Begins, ends or marks a transaction, or says what it may do, and does nothing else:
	 * PW_SQL_TRANSACTION_*. */
	PW_SQL_READ_TRANSACTION,
	/* It reads, if all that it names is harmless. */
	PW_SQL_READ_BY_NAMES,
	/* The same, of a cursor that ends with its transaction: DECLARE, FETCH, MOVE, CLOSE.
	 * Whoever takes one of these elsewhere takes them all. */
	PW_SQL_READ_CURSOR,
	/* EXECUTE, also within EXPLAIN: it reads if the prepared statement does, and if all that is
	 * named by its arguments is harmless. */
	PW_SQL_READ_EXECUTE,
	PW_SQL_READ_N_KINDS,
};

enum {
	PW_SQL_TRANSACTION_BEGINS = 1,
	PW_SQL_TRANSACTION_ENDS = 2,   /* COMMIT, ROLLBACK */
	PW_SQL_TRANSACTION_CHAINS = 4, /* the same AND CHAIN, beside ENDS */
	PW_SQL_TRANSACTION_MARKS = 8,  /* SAVEPOINT, RELEASE, ROLLBACK TO */
	/* What BEGIN, or SET TRANSACTION, says; both where it says both. */
	PW_SQL_TRANSACTION_READ_ONLY = 16,
	PW_SQL_TRANSACTION_READ_WRITE = 32,
	PW_SQL_TRANSACTION_SERIALIZABLE = 64,  /* which a standby refuses */
	PW_SQL_TRANSACTION_ISOLATION = 128,    /* another level */
	PW_SQL_TRANSACTION_SETS = 256,         /* SET TRANSACTION, which may say the same */
	PW_SQL_TRANSACTION_BEGINS_AGAIN = 512, /* BEGINS behind ENDS */
};

/* Of all lists of a text together; one that names more is NEVER. */
enum { PW_SQL_NAMES_MAX = 256 };

struct pw_sql_name {
	const char *schema; /* "" where the text has none */
	const char *name;   /* in small letters where the text has no quotes */
};

/* So many arguments or more, or the text does not say how many. */
enum { PW_SQL_ARGS_ANY = 255 };

struct pw_sql_call {
	const char *name; /* as in a CALL item */
	unsigned n_args;
};

struct pw_analysis {
	bool is_parsed; /* false: it may do anything */
	unsigned statements;
	unsigned last_use; /* from 1: the last one whose outcome settings may change; 0 = none */
	unsigned n_items;
	uint32_t kinds; /* bit set of the items' kinds */
	size_t bytes;   /* of memory, all told */

	enum pw_sql_read read;
	unsigned read_kinds;  /* bit set of what its statements are; 0 where it is NEVER */
	unsigned transaction; /* bit set of PW_SQL_TRANSACTION_*, of all statements; likewise */
	/* What it names, each once, in no order; nothing where it is NEVER. */
	unsigned n_relations, n_functions, n_operators, n_types;
	/* Tables, views and all else that rows come from, but not the queries that WITH gives a
	 * name where that name means them; and what EXPLAIN explains writing to. */
	const struct pw_sql_name *relations;
	/* What all CALL items call, so also what may be a column or, as in name(value), a type; and
	 * methods of TABLESAMPLE. Each name once for each number of arguments. Where x is no
	 * function, x.f is not among them, though it may call a function of a row. */
	const struct pw_sql_call *functions;
	/* As PostgreSQL looks them up by name: = for IN, NULLIF, CASE x WHEN, USING; >= and <= for
	 * BETWEEN ... Not those that are written with pg_catalog. What goes by the operator class
	 * of a type gives the names that such operators have for PostgreSQL's own types: = and <
	 * where rows are sorted or told apart (ORDER BY, GROUP BY, DISTINCT, UNION, PARTITION BY),
	 * > as well for DESC; < for LEAST, > for GREATEST. */
	const struct pw_sql_name *operators;
	/* Of casts, and of columns that are defined by a query; of an array, that of its elements.
	 * Those that the grammar has words for are pg_catalog's: int is pg_catalog.int4. */
	const struct pw_sql_name *types;

	struct pw_sql_item items[];
};

/* NULL without memory. The shape must be the text's. */
struct pw_analysis *pw_analysis_create(const char *text, const struct pw_shape *shape);
void pw_analysis_destroy(struct pw_analysis *analysis);

/* Version of the PostgreSQL whose parser libpg_query is. */
const char *pw_analysis_library_version(void);

#endif

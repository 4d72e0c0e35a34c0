/* SPDX-License-Identifier: PostgreSQL
 *
 * What a text of statements may do to the session that runs it, by PostgreSQL's own grammar
 * (libpg_query): which settings it sets, which statements it prepares, which functions it calls,
 * and so on, in the order of the text. Nothing is guessed: what could not be parsed says so, and
 * may do anything.
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

struct pw_analysis {
	bool is_parsed; /* false: it may do anything */
	unsigned statements;
	unsigned last_use; /* from 1: the last one whose outcome settings may change; 0 = none */
	unsigned n_items;
	uint32_t kinds; /* bit set of the items' kinds */
	size_t bytes;   /* of memory, all told */
	struct pw_sql_item items[];
};

/* NULL without memory. The shape must be the text's. */
struct pw_analysis *pw_analysis_create(const char *text, const struct pw_shape *shape);
void pw_analysis_destroy(struct pw_analysis *analysis);

#endif

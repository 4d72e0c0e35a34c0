/* SPDX-License-Identifier: PostgreSQL
 *
 * Which names of a database are in doubt when a standby is to run a statement: functions that may
 * write or that tell of the node, relations that are not the same on each node, and what uses them
 * without saying so; one answer to the question below. With the analysis of a text (sql/analysis.h)
 * that is enough to say whether the text only reads.
 *
 * Names are compared without their schemas, so what is in doubt in one of these is in all; but what
 * a text calls pg_catalog's is that. Names beyond ASCII are all one, as nobody here knows in which
 * encoding each of them is written.
 *
 * Filled by one thread, then finished, and from then on immutable and shared by reference, any
 * thread.
 */
#ifndef PGWEIR_POOL_READABLE_H
#define PGWEIR_POOL_READABLE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pgweir/base/strbuf.h"
#include "pgweir/sql/analysis.h"

enum {
	/* Beyond these everything is in doubt. */
	PW_READABLE_NAMES_MAX = 20000,
	PW_READABLE_BYTES_MAX = 1024 * 1024,
};

/* Why a text is not given to a standby. */
enum pw_doubt {
	PW_DOUBT_NONE,
	PW_DOUBT_STATEMENT, /* it is no read, whatever it names */
	PW_DOUBT_CATALOG,   /* what it names is not known, or no longer */
	PW_DOUBT_DATABASE,  /* any statement may run what is in doubt, or that is too much */
	PW_DOUBT_FUNCTION,
	PW_DOUBT_UNKNOWN_FUNCTION,
	PW_DOUBT_RELATION,
	PW_DOUBT_OPERATOR,
	PW_DOUBT_TYPE,
	PW_DOUBT_SETTING, /* current_setting() of one of the node's, or of any */
	PW_DOUBT_N
};

struct pw_readable_name;

struct pw_readable {
	atomic_uint refs;
	unsigned epoch; /* of the database's code when it was asked for */
	bool is_all_in_doubt;
	bool has_row_functions; /* in doubt, and can be called like columns */
	bool has_dots;          /* a function in doubt has a dot in its name */
	bool has_assignments;   /* casts by assignment are in doubt */
	bool has_count;
	bool is_broken;
	uint64_t promised; /* rows, while it is filled */
	uint64_t rows;
	size_t n, capacity;
	struct pw_readable_name *names; /* in the order of their texts once finished */
	struct pw_strbuf text;
};

/* With one reference; NULL without memory. */
struct pw_readable *pw_readable_create(unsigned epoch);
/* A row of the answer: a letter, and what follows it. */
void pw_readable_take_row(struct pw_readable *readable, const char *row, size_t len);
/* Instead of rows: there are too many. */
void pw_readable_doubt_all(struct pw_readable *readable);
/* False: the rows are not a whole answer, and nothing may be made of them. */
bool pw_readable_finish(struct pw_readable *readable);

struct pw_readable *pw_readable_ref(struct pw_readable *readable);
/* NULL is fine. */
void pw_readable_unref(struct pw_readable *readable);

/* The analysis and the shape must be the text's, which a zero byte follows. `readable` NULL =
 * nothing is known. Of a text with an EXECUTE this says nothing about the statement that it runs.
 */
enum pw_doubt pw_readable_judge(const struct pw_readable *readable,
				const struct pw_analysis *analysis, const struct pw_shape *shape,
				const char *text, size_t len);
/* In a word or two: for SHOW. */
const char *pw_doubt_name(enum pw_doubt doubt);

/* A query of one column, of which the first letter says what follows: k how many rows there are
 * beside this one, or were too many; a nothing, and everything is in doubt; e nothing, and casts by
 * assignment, as of an EXECUTE's arguments, are; f a function that users have made and that is not
 * in doubt; g one in doubt, G in pg_catalog: how many arguments those of the name take at least,
 * and at most, with a comma behind each, and the name; c one in doubt that is also called without a
 * bracket, behind a row; o an operator in doubt; r a relation, R in pg_catalog; t a type, T in
 * pg_catalog. Statements without rows come before it. */
void pw_readable_add_question(struct pw_strbuf *sql, unsigned server_version);

#endif

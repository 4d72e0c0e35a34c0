/* SPDX-License-Identifier: PostgreSQL
 *
 * The statements of a text that are SET name = value, of a name with a dot and one literal, or SHOW
 * of such a name: which one it is, what it is set to, and where that stands in the text. By tokens:
 * all others are passed over, as is what PostgreSQL would refuse, and a literal whose value differs
 * from what stands in its quotes, but for quotes.
 *
 * For texts that the lexer is right for (sql/lexer.h), which must stay. Any thread.
 */
#ifndef PGWEIR_SQL_SETS_H
#define PGWEIR_SQL_SETS_H

#include <stdbool.h>
#include <stddef.h>

#include "pgweir/sql/lexer.h"
#include "pgweir/sql/shape.h"

enum { PW_SET_TEXT_SIZE = 64 };

struct pw_set {
	char name[PW_SET_TEXT_SIZE]; /* in small letters */
	/* As it stands in its quotes, escapes and all; in small letters where it has none. What is
	 * longer is cut. */
	char value[PW_SET_TEXT_SIZE];
	bool is_shown;   /* SHOW: nothing is set, there is no value */
	bool is_default; /* DEFAULT: there is no value */
	bool is_quoted;
	struct pw_span all;    /* the statement */
	struct pw_span at;     /* the name in the text */
	struct pw_span stands; /* the value, with its quotes */
	struct pw_span inside; /* ... without them */
};

struct pw_sets {
	const char *text;
	struct pw_lexer lexer;
	struct pw_lexeme token;
};

void pw_sets_init(struct pw_sets *sets, const char *text, size_t len);
/* The next one, in the order of the text; false: there is none. */
bool pw_sets_next(struct pw_sets *sets, struct pw_set *set);

#endif

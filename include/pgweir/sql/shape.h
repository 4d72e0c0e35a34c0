/* SPDX-License-Identifier: PostgreSQL
 *
 * The shape of a text of statements: what is left of it when white space, comments, the case of
 * words and the literals of queries are gone. Texts of one shape have one analysis, so that the
 * grammar is asked once for each and the lexer alone for each text.
 *
 * Only statements that begin with SELECT, INSERT, UPDATE, DELETE, MERGE, VALUES, WITH or a bracket
 * lose their literals. In all others a literal may decide what the statement does:
 * EXPLAIN (ANALYZE 0) is not EXPLAIN (ANALYZE 1).
 *
 * The id is keyed by a secret of the process and never leaves it: nobody outside can make two
 * shapes collide, nor find out whether two do. Allocates nothing, one pass. Any thread.
 */
#ifndef PGWEIR_SQL_SHAPE_H
#define PGWEIR_SQL_SHAPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pgweir/base/hash.h"

/* Words that say what kind of statement there is or may be. */
enum pw_sql_word {
	PW_SQL_ABORT,
	PW_SQL_ALTER,
	PW_SQL_ANALYZE,
	PW_SQL_BEGIN,
	PW_SQL_CALL,
	PW_SQL_CLOSE,
	PW_SQL_COMMIT,
	PW_SQL_COPY,
	PW_SQL_CREATE,
	PW_SQL_DEALLOCATE,
	PW_SQL_DECLARE,
	PW_SQL_DELETE,
	PW_SQL_DISCARD,
	PW_SQL_DO,
	PW_SQL_DROP,
	PW_SQL_END,
	PW_SQL_EXECUTE,
	PW_SQL_EXPLAIN,
	PW_SQL_FETCH,
	PW_SQL_FOR,
	PW_SQL_HOLD,
	PW_SQL_INSERT,
	PW_SQL_INTO,
	PW_SQL_LISTEN,
	PW_SQL_LOAD,
	PW_SQL_LOCK,
	PW_SQL_MERGE,
	PW_SQL_MOVE,
	PW_SQL_NOTIFY,
	PW_SQL_PREPARE,
	PW_SQL_RELEASE,
	PW_SQL_RESET,
	PW_SQL_ROLLBACK,
	PW_SQL_SAVEPOINT,
	PW_SQL_SELECT,
	PW_SQL_SET,
	PW_SQL_SHOW,
	PW_SQL_START,
	PW_SQL_TABLE,
	PW_SQL_TEMP,
	PW_SQL_TEMPORARY,
	PW_SQL_UNLISTEN,
	PW_SQL_UPDATE,
	PW_SQL_VALUES,
	PW_SQL_WITH,
	PW_SQL_PG_PREPARED_STATEMENTS, /* the view */
	/* Functions that are called without a bracket: USER, and all words that begin so. */
	PW_SQL_USER,
	PW_SQL_CURRENT,
	PW_SQL_LOCALTIME,
	PW_SQL_SESSION,
	PW_SQL_N_WORDS,
};

#define PW_SQL_BIT(word) (UINT64_C(1) << PW_SQL_##word)

struct pw_span {
	size_t begin, end;
};

/* Quotes and all: names that matter are longer. */
enum { PW_SHAPE_QUOTED_MAX = 22 };

enum { PW_SHAPE_LITERALS = 64, PW_SHAPE_ROLES = 5, PW_SHAPE_PLACE_BITS = 8 };

/* The secret of the ids: odd factors, two for each role that bytes can have in a shape. */
struct pw_shape_key {
	uint64_t factors[PW_SHAPE_ROLES][2];
	/* No secret: where to find each of enum pw_sql_word. */
	uint64_t word_factor;
	uint8_t words[1 << PW_SHAPE_PLACE_BITS];
};

struct pw_shape {
	struct pw_id id;
	uint64_t words;    /* bit set of enum pw_sql_word: seen anywhere outside of quotes */
	uint64_t firsts;   /* of these, those with which a statement begins */
	bool has_other;    /* a statement begins with another word, or with none */
	bool has_call;     /* a name stands before a bracket, or may be called as (value).name */
	bool has_quoted;   /* a name in quotes, longer than that or with escapes */
	bool is_broken;    /* PostgreSQL's scanner would refuse it; the id means nothing */
	size_t statements; /* that are not empty */
	size_t tokens;
	size_t depth;      /* of brackets, at the deepest place */
	size_t n_literals; /* that the shape has lost; the first PW_SHAPE_LITERALS of them: */
	struct pw_span literals[PW_SHAPE_LITERALS];
};

void pw_shape_key_init(struct pw_shape_key *shape_key, const struct pw_hash_key *key);
/* For texts that the lexer is right for (sql/lexer.h); a zero byte follows. */
void pw_shape_take(struct pw_shape *shape, const struct pw_shape_key *key, const void *text,
		   size_t len);

#endif

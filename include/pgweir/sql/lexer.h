/* SPDX-License-Identifier: PostgreSQL
 *
 * PostgreSQL's lexical rules (15 docs 4.1; src/backend/parser/scan.l): cuts a statement into tokens
 * with the boundaries that PostgreSQL's own scanner gives, for everything that this one accepts. It
 * looks at bytes only and allocates nothing; of what PostgreSQL refuses some is accepted here
 * (escapes that make no character, for one).
 *
 * It is right only under standard_conforming_strings = on, and in a client_encoding in which no
 * byte of a longer character is below 0x80: everywhere but in SJIS, BIG5, GBK, UHC, GB18030, JOHAB
 * and SHIFT_JIS_2004. The caller sees to both.
 *
 * The text must stay while its lexer is in use, and a zero byte must follow it, as the protocol has
 * it; nothing behind that is read. Any thread.
 */
#ifndef PGWEIR_SQL_LEXER_H
#define PGWEIR_SQL_LEXER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum pw_lexeme_kind {
	PW_TOKEN_END,
	PW_TOKEN_WORD,        /* a key word or a name without quotes */
	PW_TOKEN_QUOTED_NAME, /* "..." or U&"..." */
	PW_TOKEN_STRING, /* '...', E'...', U&'...', $$...$$, with what continues it on other lines
			  */
	PW_TOKEN_BITS,   /* B'...' or X'...' */
	PW_TOKEN_INTEGER,
	PW_TOKEN_DECIMAL, /* any other number */
	PW_TOKEN_PARAM,   /* $1 */
	PW_TOKEN_SYMBOL,  /* an operator or punctuation */
	PW_TOKEN_BROKEN,  /* PostgreSQL would refuse it too; the last token */
};

struct pw_lexeme {
	enum pw_lexeme_kind kind;
	size_t begin, end; /* offsets of its first byte and of the one behind it */
};

enum { PW_LEXER_BLOCK = 16, PW_LEXER_SHORT = 64 };

/* Looks at whole blocks, so a text that is shorter than some is copied: a lexer stays where it is.
 */
struct pw_lexer {
	const uint8_t *text;
	size_t len, at;
	size_t last_block; /* can begin here, before the end of what may be read */
	uint8_t copy[PW_LEXER_SHORT + PW_LEXER_BLOCK];
};

/* Is the lexer right for texts in this client_encoding? Names as PostgreSQL takes them (15 docs
 * 24.3.1), with their case, hyphens and underscores; not for one that is unknown. */
bool pw_lexer_reads(const char *client_encoding);

void pw_lexer_init(struct pw_lexer *lexer, const void *text, size_t len);
/* After END or BROKEN comes the same again. Comments and white space are skipped. */
void pw_lexer_next(struct pw_lexer *lexer, struct pw_lexeme *token);

#endif

/* SPDX-License-Identifier: PostgreSQL
 *
 * All the rules: one function for each kind of beginning, chosen by a table of characters. Where
 * PostgreSQL's scanner takes the longest of several matches, the comment at the function says which
 * ones.
 */
#include "config.h"

#include "pgweir/sql/lexer.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#include "lexer_priv.h"

/* PostgreSQL refuses operators of NAMEDATALEN bytes. */
enum { MAX_OPERATOR = 63 };

#define SPACE    (PW_LEX_SPACE | PW_LEX_MAY_CONTINUE)
#define NEWLINE  (SPACE | PW_LEX_NEWLINE)
#define LETTER   (PW_LEX_WORD_START | PW_LEX_WORD_REST)
#define FIGURE   (PW_LEX_DIGIT | PW_LEX_WORD_REST)
#define PLAIN_OP PW_LEX_OPERATOR
#define ODD_OP   (PW_LEX_OPERATOR | PW_LEX_BEYOND_SQL)

const uint8_t pw_lexer_traits[256] = {
    ['\t'] = SPACE,
    ['\n'] = NEWLINE,
    ['\f'] = SPACE,
    ['\r'] = NEWLINE,
    [' '] = SPACE,
    ['\''] = PW_LEX_MAY_CONTINUE,
    ['$'] = PW_LEX_WORD_REST,
    ['0' ... '9'] = FIGURE,
    ['A' ... 'Z'] = LETTER,
    ['a' ... 'z'] = LETTER,
    ['_'] = LETTER,
    [0x80 ... 0xff] = LETTER,
    ['+'] = PLAIN_OP,
    ['-'] = PLAIN_OP | PW_LEX_MAY_CONTINUE,
    ['*'] = PLAIN_OP,
    ['/'] = PLAIN_OP,
    ['<'] = PLAIN_OP,
    ['>'] = PLAIN_OP,
    ['='] = PLAIN_OP,
    ['~'] = ODD_OP,
    ['!'] = ODD_OP,
    ['@'] = ODD_OP,
    ['#'] = ODD_OP,
    ['%'] = ODD_OP,
    ['^'] = ODD_OP,
    ['&'] = ODD_OP,
    ['|'] = ODD_OP,
    ['`'] = ODD_OP,
    ['?'] = ODD_OP,
};

const uint8_t pw_lexer_starts[256] = {
    ['\t'] = PW_LEX_IS_SPACE,         ['\n'] = PW_LEX_IS_SPACE,
    ['\f'] = PW_LEX_IS_SPACE,         ['\r'] = PW_LEX_IS_SPACE,
    [' '] = PW_LEX_IS_SPACE,          ['A' ... 'Z'] = PW_LEX_IS_WORD,
    ['a' ... 'z'] = PW_LEX_IS_WORD,   ['_'] = PW_LEX_IS_WORD,
    [0x80 ... 0xff] = PW_LEX_IS_WORD, ['0' ... '9'] = PW_LEX_IS_INTEGER,
    ['"'] = PW_LEX_IS_NAME,           ['\''] = PW_LEX_IS_STRING,
    ['$'] = PW_LEX_IS_PARAM,          ['('] = PW_LEX_IS_MARK,
    [')'] = PW_LEX_IS_MARK,           ['['] = PW_LEX_IS_MARK,
    [']'] = PW_LEX_IS_MARK,           [','] = PW_LEX_IS_MARK,
    [';'] = PW_LEX_IS_MARK,           ['.'] = PW_LEX_IS_DOT,
    ['+'] = PW_LEX_IS_OPERATOR,       ['-'] = PW_LEX_IS_OPERATOR,
    ['*'] = PW_LEX_IS_OPERATOR,       ['/'] = PW_LEX_IS_OPERATOR,
    ['<'] = PW_LEX_IS_OPERATOR,       ['>'] = PW_LEX_IS_OPERATOR,
    ['='] = PW_LEX_IS_OPERATOR,
};

static inline bool is(const struct pw_lexer *l, size_t at, unsigned trait)
{
	return pw_lexer_is(l, at, trait);
}

static size_t find_byte(const struct pw_lexer *l, size_t at, char byte)
{
	const uint8_t *found = at < l->len ? memchr(l->text + at, byte, l->len - at) : NULL;

	return found ? (size_t)(found - l->text) : l->len;
}

static inline size_t skip(const struct pw_lexer *l, size_t at, unsigned trait)
{
	while (is(l, at, trait))
		at++;
	return at;
}

size_t pw_lexer_find_slowly(const struct pw_lexer *l, size_t at, enum pw_lexer_look look)
{
	switch (look) {
	case PW_LEX_WORD_END:
		return skip(l, at, PW_LEX_WORD_REST);
	case PW_LEX_DIGITS_END:
		return skip(l, at, PW_LEX_DIGIT);
	case PW_LEX_QUOTE:
		return find_byte(l, at, '\'');
	case PW_LEX_DOUBLE_QUOTE:
		return find_byte(l, at, '"');
	}
	return l->len;
}

size_t pw_lexer_skip_spaces(const struct pw_lexer *l, size_t at)
{
	return skip(l, at, PW_LEX_SPACE);
}

/* ---- white space and comments ---- */

static size_t skip_line(const struct pw_lexer *l, size_t at)
{
	while (l->text[at] != '\0' && !(pw_lexer_traits[l->text[at]] & PW_LEX_NEWLINE))
		at++;
	return at;
}

/* Comments nest. False: it does not end. */
static bool skip_comment(const struct pw_lexer *l, size_t *at)
{
	size_t depth = 1, i = *at + 2;

	while (depth > 0 && i + 1 < l->len) {
		if (l->text[i] == '*' && l->text[i + 1] == '/') {
			depth--;
			i += 2;
		} else if (l->text[i] == '/' && l->text[i + 1] == '*') {
			depth++;
			i += 2;
		} else {
			i++;
		}
	}
	if (depth == 0)
		*at = i;
	return depth == 0;
}

static bool skip_gap(const struct pw_lexer *l, size_t *at)
{
	for (;;) {
		*at = skip(l, *at, PW_LEX_SPACE);
		if (l->text[*at] == '-' && l->text[*at + 1] == '-')
			*at = skip_line(l, *at);
		else if (l->text[*at] != '/' || l->text[*at + 1] != '*')
			return true;
		else if (!skip_comment(l, at))
			return false;
	}
}

/* ---- quotes ---- */

/* A string goes on in the next quotes if there is nothing but white space with a line's end in it
 * between (4.1.2.1), and comments of the kind that ends with a line. */
static bool find_continuation(const struct pw_lexer *l, size_t *at)
{
	size_t i = *at;
	bool has_newline = false;

	for (;;) {
		if (is(l, i, PW_LEX_NEWLINE))
			has_newline = true;
		if (is(l, i, PW_LEX_SPACE))
			i++;
		else if (l->text[i] == '-' && l->text[i + 1] == '-')
			i = skip_line(l, i);
		else
			break;
	}
	if (!has_newline || l->text[i] != '\'')
		return false;
	*at = i + 1;
	return true;
}

/* How a quote may stand between its like. */
enum escapes { BY_NOTHING, BY_DOUBLING, BY_BACKSLASH_TOO };

/* `at` is behind the opening quote; behind the closing one, or 0 = there is none. */
static size_t end_of_quotes(const struct pw_lexer *l, size_t at, char quote, enum escapes escapes)
{
	for (;;) {
		at = find_byte(l, at, quote);
		if (at >= l->len)
			return 0;
		if (l->text[at + 1] != quote || escapes == BY_NOTHING)
			return at + 1;
		at += 2;
	}
}

static size_t end_of_escapes(const struct pw_lexer *l, size_t at)
{
	for (; at < l->len; at++) {
		if (l->text[at] == '\\' || (l->text[at] == '\'' && l->text[at + 1] == '\''))
			at++;
		else if (l->text[at] == '\'')
			return at + 1;
	}
	return 0;
}

/* `at` is behind the opening quote. */
static enum pw_lexeme_kind take_string(struct pw_lexer *l, size_t at, enum escapes escapes,
				       enum pw_lexeme_kind kind)
{
	do {
		at = escapes == BY_BACKSLASH_TOO ? end_of_escapes(l, at)
						 : end_of_quotes(l, at, '\'', escapes);
		if (at == 0)
			return PW_TOKEN_BROKEN;
		l->at = at;
	} while (find_continuation(l, &at));
	return kind;
}

static enum pw_lexeme_kind take_name(struct pw_lexer *l, size_t at)
{
	size_t end = end_of_quotes(l, at, '"', BY_DOUBLING);

	/* "" is no name. */
	if (end == 0 || end == at + 1)
		return PW_TOKEN_BROKEN;
	l->at = end;
	return PW_TOKEN_QUOTED_NAME;
}

/* ---- words ---- */

static enum pw_lexeme_kind take_word(struct pw_lexer *l)
{
	uint8_t next = l->text[l->at + 1];

	if (next == '\'') {
		switch (l->text[l->at] | 0x20) {
		case 'e':
			return take_string(l, l->at + 2, BY_BACKSLASH_TOO, PW_TOKEN_STRING);
		case 'b':
		case 'x':
			return take_string(l, l->at + 2, BY_NOTHING, PW_TOKEN_BITS);
		default:
			/* Of N'...' only the N: the rest is an ordinary string. */
			break;
		}
	} else if (next == '&' && (l->text[l->at] | 0x20) == 'u') {
		if (l->text[l->at + 2] == '\'')
			return take_string(l, l->at + 3, BY_DOUBLING, PW_TOKEN_STRING);
		if (l->text[l->at + 2] == '"')
			return take_name(l, l->at + 3);
	}
	l->at = skip(l, l->at + 1, PW_LEX_WORD_REST);
	return PW_TOKEN_WORD;
}

/* ---- dollars ---- */

/* $tag$ ... $tag$; the tag is a word without a dollar, or nothing. */
static enum pw_lexeme_kind take_dollar_quote(struct pw_lexer *l, size_t tag_len)
{
	const uint8_t *tag = l->text + l->at;
	size_t at = l->at + tag_len;
	const uint8_t *end = memmem(l->text + at, l->len - at, tag, tag_len);

	if (!end)
		return PW_TOKEN_BROKEN;
	l->at = (size_t)(end - l->text) + tag_len;
	return PW_TOKEN_STRING;
}

static enum pw_lexeme_kind take_dollar(struct pw_lexer *l)
{
	size_t at = l->at + 1;

	if (is(l, at, PW_LEX_DIGIT)) {
		l->at = skip(l, at, PW_LEX_DIGIT);
		return is(l, l->at, PW_LEX_WORD_START) ? PW_TOKEN_BROKEN : PW_TOKEN_PARAM;
	}
	if (is(l, at, PW_LEX_WORD_START)) {
		while (at < l->len && l->text[at] != '$' &&
		       pw_lexer_traits[l->text[at]] & PW_LEX_WORD_REST)
			at++;
	}
	if (l->text[at] == '$')
		return take_dollar_quote(l, at + 1 - l->at);
	l->at++;
	return PW_TOKEN_SYMBOL;
}

/* ---- numbers ---- */

/* Behind the exponent if there is one at `at`. */
static size_t skip_exponent(const struct pw_lexer *l, size_t at)
{
	size_t i = at + 1;

	if ((l->text[at] | 0x20) != 'e')
		return at;
	if (l->text[i] == '+' || l->text[i] == '-')
		i++;
	return is(l, i, PW_LEX_DIGIT) ? skip(l, i, PW_LEX_DIGIT) : at;
}

/* 12, 1.5, 1., .5, each with an exponent; but of 1..2 only the 1. */
static enum pw_lexeme_kind take_number(struct pw_lexer *l)
{
	size_t begin = l->at, mantissa;
	size_t at = skip(l, begin, PW_LEX_DIGIT);
	bool is_integer = true;

	if (l->text[at] == '.' && (at == begin || l->text[at + 1] != '.')) {
		at = skip(l, at + 1, PW_LEX_DIGIT);
		is_integer = false;
	}
	mantissa = at;
	at = skip_exponent(l, mantissa);
	l->at = at;
	if (is(l, at, PW_LEX_WORD_START))
		return PW_TOKEN_BROKEN;
	return is_integer && at == mantissa ? PW_TOKEN_INTEGER : PW_TOKEN_DECIMAL;
}

/* ---- operators and punctuation ---- */

/* Before a comment in it, and without trailing + and - in what has only SQL's own characters. */
static size_t end_of_operator(const struct pw_lexer *l, size_t begin)
{
	size_t at = begin;
	bool is_beyond = false;

	for (; is(l, at, PW_LEX_OPERATOR); at++) {
		uint8_t c = l->text[at], next = l->text[at + 1];

		if ((c == '-' && next == '-') || (c == '/' && next == '*'))
			break;
	}
	if (at <= begin + 1)
		return at;
	for (size_t i = begin; i < at && !is_beyond; i++)
		is_beyond = pw_lexer_traits[l->text[i]] & PW_LEX_BEYOND_SQL;
	/* The last one does not count for itself, but it is + or - then. */
	while (!is_beyond && at > begin + 1 && (l->text[at - 1] == '+' || l->text[at - 1] == '-'))
		at--;
	return at;
}

static enum pw_lexeme_kind take_symbol(struct pw_lexer *l)
{
	uint8_t c = l->text[l->at], next = l->text[l->at + 1];
	size_t begin = l->at;

	if (pw_lexer_traits[c] & PW_LEX_OPERATOR) {
		l->at = end_of_operator(l, begin);
		return l->at - begin > MAX_OPERATOR ? PW_TOKEN_BROKEN : PW_TOKEN_SYMBOL;
	}
	l->at++;
	if ((c == ':' && (next == ':' || next == '=')) || (c == '.' && next == '.'))
		l->at++;
	return PW_TOKEN_SYMBOL;
}

/* ---- all of them ---- */

static enum pw_lexeme_kind take_any(struct pw_lexer *l)
{
	uint8_t c = l->text[l->at];

	if (pw_lexer_traits[c] & PW_LEX_WORD_START)
		return take_word(l);
	if (pw_lexer_traits[c] & PW_LEX_DIGIT)
		return take_number(l);
	switch (c) {
	case '\'':
		return take_string(l, l->at + 1, BY_DOUBLING, PW_TOKEN_STRING);
	case '"':
		return take_name(l, l->at + 1);
	case '$':
		return take_dollar(l);
	case '.':
		return is(l, l->at + 1, PW_LEX_DIGIT) ? take_number(l) : take_symbol(l);
	case '\0':
		/* No statement has one: the protocol ends texts with it. */
		return PW_TOKEN_BROKEN;
	default:
		return take_symbol(l);
	}
}

bool pw_lexer_reads(const char *client_encoding)
{
	static const char *const names[] = {
	    "utf8",       "unicode",      "sqlascii", "latin1",  "latin2",  "latin3",   "latin4",
	    "latin5",     "latin6",       "latin7",   "latin8",  "latin9",  "latin10",  "win866",
	    "win874",     "win1250",      "win1251",  "win1252", "win1253", "win1254",  "win1255",
	    "win1256",    "win1257",      "win1258",  "koi8r",   "koi8u",   "iso88591", "iso88595",
	    "iso88596",   "iso88597",     "iso88598", "eucjp",   "euccn",   "euckr",    "euctw",
	    "eucjis2004", "muleinternal",
	};
	char bare[32];
	size_t len = 0;

	for (const char *at = client_encoding; *at; at++) {
		if (!isalnum((unsigned char)*at))
			continue;
		if (len + 1 == sizeof(bare))
			return false;
		bare[len++] = (char)tolower((unsigned char)*at);
	}
	bare[len] = '\0';
	for (size_t i = 0; i < PW_COUNTOF(names); i++) {
		if (strcmp(bare, names[i]) == 0)
			return true;
	}
	return false;
}

enum pw_lexeme_kind pw_lexer_take_rare(struct pw_lexer *lexer, size_t *begin)
{
	bool is_whole = skip_gap(lexer, &lexer->at);
	enum pw_lexeme_kind kind = PW_TOKEN_BROKEN;

	*begin = lexer->at;
	if (is_whole && lexer->at >= lexer->len)
		return PW_TOKEN_END;
	if (is_whole)
		kind = take_any(lexer);
	/* Where it stops it stops for good. */
	if (kind == PW_TOKEN_BROKEN)
		lexer->at = *begin;
	return kind;
}

void pw_lexer_init(struct pw_lexer *lexer, const void *text, size_t len)
{
	lexer->text = text;
	lexer->len = len;
	lexer->at = 0;
	if (len >= PW_LEXER_SHORT) {
		lexer->last_block = len + 1 - PW_LEXER_BLOCK;
		return;
	}
	memset(lexer->copy, 0, sizeof(lexer->copy));
	if (len > 0)
		memcpy(lexer->copy, text, len);
	lexer->text = lexer->copy;
	lexer->last_block = PW_LEXER_SHORT;
}

void pw_lexer_next(struct pw_lexer *lexer, struct pw_lexeme *token)
{
	token->end = lexer->at;
	pw_lexer_take(lexer, token);
	lexer->at = token->end;
}

/* SPDX-License-Identifier: PostgreSQL
 *
 * One function for each kind of beginning, chosen by a table of characters. Where PostgreSQL's
 * scanner takes the longest of several matches, the comment at the function says which ones.
 */
#include "config.h"

#include "pgweir/sql/lexer.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "pgweir/base/status.h"

/* PostgreSQL refuses operators of NAMEDATALEN bytes. */
enum { MAX_OPERATOR = 63 };

enum trait {
	SPACE = 1,
	WORD_START = 2,
	WORD_REST = 4,
	DIGIT = 8,
	OPERATOR = 16,
	NEWLINE = 32,
	/* An operator with one of these may end in + or -. */
	BEYOND_SQL = 64,
	MAY_COMMENT = 128
};

#define LETTER   (WORD_START | WORD_REST)
#define FIGURE   (DIGIT | WORD_REST)
#define PLAIN_OP OPERATOR
#define ODD_OP   (OPERATOR | BEYOND_SQL)

static const uint8_t traits[256] = {
    ['\t'] = SPACE,
    ['\n'] = SPACE | NEWLINE,
    ['\f'] = SPACE,
    ['\r'] = SPACE | NEWLINE,
    [' '] = SPACE,
    ['$'] = WORD_REST,
    ['0' ... '9'] = FIGURE,
    ['A' ... 'Z'] = LETTER,
    ['a' ... 'z'] = LETTER,
    ['_'] = LETTER,
    [0x80 ... 0xff] = LETTER,
    ['+'] = PLAIN_OP,
    ['-'] = PLAIN_OP | MAY_COMMENT,
    ['*'] = PLAIN_OP,
    ['/'] = PLAIN_OP | MAY_COMMENT,
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

/* Zero, which ends every text, has no trait: a look at the byte that follows one with a trait, or
 * one that is not zero, stays within. */
static inline bool is(const struct pw_lexer *l, size_t at, unsigned trait)
{
	return traits[l->text[at]] & trait;
}

static inline size_t skip(const struct pw_lexer *l, size_t at, unsigned trait)
{
	while (traits[l->text[at]] & trait)
		at++;
	return at;
}

#ifdef __SSE2__
/* A bit for each of sixteen bytes that ends a word. */
static inline unsigned ends_of_word(const uint8_t *at)
{
	const __m128i bytes = _mm_loadu_si128((const __m128i *)at);
	const __m128i letter =
	    _mm_sub_epi8(_mm_or_si128(bytes, _mm_set1_epi8(0x20)), _mm_set1_epi8('a'));
	const __m128i digit = _mm_sub_epi8(bytes, _mm_set1_epi8('0'));
	__m128i is_word =
	    _mm_or_si128(_mm_cmpeq_epi8(_mm_min_epu8(letter, _mm_set1_epi8(25)), letter),
			 _mm_cmpeq_epi8(_mm_min_epu8(digit, _mm_set1_epi8(9)), digit));

	is_word = _mm_or_si128(is_word, _mm_cmpeq_epi8(bytes, _mm_set1_epi8('_')));
	is_word = _mm_or_si128(is_word, _mm_cmpeq_epi8(bytes, _mm_set1_epi8('$')));
	/* The sign of a byte is that of a letter beyond ASCII. */
	return ~(unsigned)_mm_movemask_epi8(_mm_or_si128(is_word, bytes)) & 0xffff;
}
#endif

/* Most words end within sixteen bytes, at a length that no processor foresees. */
static inline size_t skip_word(const struct pw_lexer *l, size_t at)
{
#ifdef __SSE2__
	for (; at + 16 <= l->len + 1; at += 16) {
		unsigned ends = ends_of_word(l->text + at);

		if (ends != 0)
			return at + (size_t)__builtin_ctz(ends);
	}
#endif
	return skip(l, at, WORD_REST);
}

/* ---- white space and comments ---- */

static size_t skip_line(const struct pw_lexer *l, size_t at)
{
	while (l->text[at] != '\0' && !(traits[l->text[at]] & NEWLINE))
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
		*at = skip(l, *at, SPACE);
		if (!is(l, *at, MAY_COMMENT))
			return true;
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
		if (is(l, i, NEWLINE))
			has_newline = true;
		if (is(l, i, SPACE))
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

/* Behind the closing quote; 0 = there is none. */
static size_t end_of_quotes(const struct pw_lexer *l, size_t at, uint8_t quote,
			    enum escapes escapes)
{
	while (at < l->len) {
		uint8_t c = l->text[at];

		if (c == '\\' && escapes == BY_BACKSLASH_TOO)
			at += 2;
		else if (c != quote)
			at++;
		else if (l->text[at + 1] == quote && escapes != BY_NOTHING)
			at += 2;
		else
			return at + 1;
	}
	return 0;
}

/* `at` is behind the opening quote. */
static enum pw_token_kind take_string(struct pw_lexer *l, size_t at, enum escapes escapes,
				      enum pw_token_kind kind)
{
	do {
		at = end_of_quotes(l, at, '\'', escapes);
		if (at == 0)
			return PW_TOKEN_BROKEN;
		l->at = at;
	} while (find_continuation(l, &at));
	return kind;
}

static enum pw_token_kind take_name(struct pw_lexer *l, size_t at)
{
	size_t end = end_of_quotes(l, at, '"', BY_DOUBLING);

	/* "" is no name. */
	if (end == 0 || end == at + 1)
		return PW_TOKEN_BROKEN;
	l->at = end;
	return PW_TOKEN_QUOTED_NAME;
}

/* ---- words ---- */

static enum pw_token_kind take_word(struct pw_lexer *l)
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
	l->at = skip_word(l, l->at + 1);
	return PW_TOKEN_WORD;
}

/* ---- dollars ---- */

/* $tag$ ... $tag$; the tag is a word without a dollar, or nothing. */
static enum pw_token_kind take_dollar_quote(struct pw_lexer *l, size_t tag_len)
{
	const uint8_t *tag = l->text + l->at;
	size_t at = l->at + tag_len;
	const uint8_t *end = memmem(l->text + at, l->len - at, tag, tag_len);

	if (!end)
		return PW_TOKEN_BROKEN;
	l->at = (size_t)(end - l->text) + tag_len;
	return PW_TOKEN_STRING;
}

static enum pw_token_kind take_dollar(struct pw_lexer *l)
{
	size_t at = l->at + 1;

	if (is(l, at, DIGIT)) {
		l->at = skip(l, at, DIGIT);
		return is(l, l->at, WORD_START) ? PW_TOKEN_BROKEN : PW_TOKEN_PARAM;
	}
	if (is(l, at, WORD_START)) {
		while (at < l->len && l->text[at] != '$' && traits[l->text[at]] & WORD_REST)
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
	return is(l, i, DIGIT) ? skip(l, i, DIGIT) : at;
}

/* 12, 1.5, 1., .5, each with an exponent; but of 1..2 only the 1. */
static enum pw_token_kind take_number(struct pw_lexer *l)
{
	size_t begin = l->at, mantissa;
	size_t at = skip(l, begin, DIGIT);
	bool is_integer = true;

	if (l->text[at] == '.' && (at == begin || l->text[at + 1] != '.')) {
		at = skip(l, at + 1, DIGIT);
		is_integer = false;
	}
	mantissa = at;
	at = skip_exponent(l, mantissa);
	l->at = at;
	if (is(l, at, WORD_START))
		return PW_TOKEN_BROKEN;
	return is_integer && at == mantissa ? PW_TOKEN_INTEGER : PW_TOKEN_DECIMAL;
}

/* ---- operators and punctuation ---- */

/* Before a comment in it, and without trailing + and - in what has only SQL's own characters. */
static size_t end_of_operator(const struct pw_lexer *l, size_t begin)
{
	size_t at = begin;
	bool is_beyond = false;

	for (; is(l, at, OPERATOR); at++) {
		uint8_t c = l->text[at], next = l->text[at + 1];

		if ((c == '-' && next == '-') || (c == '/' && next == '*'))
			break;
	}
	if (at <= begin + 1)
		return at;
	for (size_t i = begin; i < at && !is_beyond; i++)
		is_beyond = traits[l->text[i]] & BEYOND_SQL;
	/* The last one does not count for itself, but it is + or - then. */
	while (!is_beyond && at > begin + 1 && (l->text[at - 1] == '+' || l->text[at - 1] == '-'))
		at--;
	return at;
}

static enum pw_token_kind take_symbol(struct pw_lexer *l)
{
	uint8_t c = l->text[l->at], next = l->text[l->at + 1];
	size_t begin = l->at;

	if (traits[c] & OPERATOR) {
		l->at = end_of_operator(l, begin);
		return l->at - begin > MAX_OPERATOR ? PW_TOKEN_BROKEN : PW_TOKEN_SYMBOL;
	}
	l->at++;
	if ((c == ':' && (next == ':' || next == '=')) || (c == '.' && next == '.'))
		l->at++;
	return PW_TOKEN_SYMBOL;
}

/* ---- all of them ---- */

static enum pw_token_kind take_token(struct pw_lexer *l)
{
	uint8_t c = l->text[l->at];

	if (traits[c] & WORD_START)
		return take_word(l);
	if (traits[c] & DIGIT)
		return take_number(l);
	switch (c) {
	case '\'':
		return take_string(l, l->at + 1, BY_DOUBLING, PW_TOKEN_STRING);
	case '"':
		return take_name(l, l->at + 1);
	case '$':
		return take_dollar(l);
	case '.':
		return is(l, l->at + 1, DIGIT) ? take_number(l) : take_symbol(l);
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

void pw_lexer_init(struct pw_lexer *lexer, const void *text, size_t len)
{
	lexer->text = text;
	lexer->len = len;
	lexer->at = 0;
}

void pw_lexer_next(struct pw_lexer *lexer, struct pw_token *token)
{
	bool is_whole = skip_gap(lexer, &lexer->at);

	token->begin = lexer->at;
	if (!is_whole)
		token->kind = PW_TOKEN_BROKEN;
	else if (lexer->at >= lexer->len)
		token->kind = PW_TOKEN_END;
	else
		token->kind = take_token(lexer);
	/* Where it stops it stops for good. */
	if (token->kind == PW_TOKEN_BROKEN)
		lexer->at = token->begin;
	token->end = lexer->at;
}

/* SPDX-License-Identifier: PostgreSQL
 *
 * The lexer's common tokens, inlined where tokens are taken one after another: words, names in
 * quotes, integers, strings that nothing continues, punctuation and operators of one character.
 * Whatever else a text holds is pw_lexer_take_rare()'s, which knows all the rules.
 *
 * Sixty-four bytes are looked at together: a bit for each says whether it may belong to a word, is
 * a quote and so on. Where a token ends is then the next bit, found without a step for each byte
 * and without a branch for each length, which no processor foresees.
 */
#ifndef PGWEIR_SQL_LEXER_PRIV_H
#define PGWEIR_SQL_LEXER_PRIV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "pgweir/base/status.h"
#include "pgweir/sql/lexer.h"

enum pw_lexer_trait {
	PW_LEX_SPACE = 1,
	PW_LEX_WORD_START = 2,
	PW_LEX_WORD_REST = 4,
	PW_LEX_DIGIT = 8,
	PW_LEX_OPERATOR = 16,
	PW_LEX_NEWLINE = 32,
	/* An operator with one of these may end in + or -. */
	PW_LEX_BEYOND_SQL = 64,
	/* Behind a string, or behind one blank there: the string may go on. */
	PW_LEX_MAY_CONTINUE = 128,
};

/* How a token begins, for all that are common. */
enum pw_lexer_start {
	PW_LEX_IS_RARE,
	PW_LEX_IS_SPACE,
	PW_LEX_IS_WORD,
	PW_LEX_IS_INTEGER,
	PW_LEX_IS_NAME,
	PW_LEX_IS_STRING,
	PW_LEX_IS_PARAM,
	PW_LEX_IS_OPERATOR,
	PW_LEX_IS_DOT,
	PW_LEX_IS_MARK, /* punctuation that is always alone */
};

/* Zero, which ends every text, has no trait: a look at the byte that follows one with a trait, or
 * one that is not zero, stays within. */
extern const uint8_t pw_lexer_traits[256];
extern const uint8_t pw_lexer_starts[256];

/* What may be looked for: the first byte that is no part of a word, or no digit; a quote. */
enum pw_lexer_look {
	PW_LEX_WORD_END,
	PW_LEX_DIGITS_END,
	PW_LEX_QUOTE,
	PW_LEX_DOUBLE_QUOTE,
};

/* From `at` on; the end of the text where there is none. */
size_t pw_lexer_find_slowly(const struct pw_lexer *lexer, size_t at, enum pw_lexer_look look);
size_t pw_lexer_skip_spaces(const struct pw_lexer *lexer, size_t at);
/* As pw_lexer_take(), for every token; lexer->at is where to begin, and then where it ends. */
enum pw_lexeme_kind pw_lexer_take_rare(struct pw_lexer *lexer, size_t *begin);

static inline bool pw_lexer_is(const struct pw_lexer *l, size_t at, unsigned trait)
{
	return pw_lexer_traits[l->text[at]] & trait;
}

/* ---- sixteen bytes ---- */

#ifdef __SSE2__
/* Signed bytes in a range below 0x80: moved so that its end is the greatest of all. */
static inline __m128i pw_block_within(__m128i bytes, char from, char to)
{
	return _mm_cmpgt_epi8(_mm_add_epi8(bytes, _mm_set1_epi8((char)(127 - to))),
			      _mm_set1_epi8((char)(126 - to + from)));
}

static inline __m128i pw_block_is(__m128i bytes, char byte)
{
	return _mm_cmpeq_epi8(bytes, _mm_set1_epi8(byte));
}

static inline __m128i pw_block_is_word(__m128i bytes)
{
	const __m128i small = _mm_or_si128(bytes, _mm_set1_epi8(0x20));
	const __m128i figures = pw_block_within(bytes, '0', '9');
	const __m128i others = _mm_or_si128(pw_block_is(bytes, '_'), pw_block_is(bytes, '$'));

	/* The sign of a byte is that of a letter beyond ASCII. */
	return _mm_or_si128(_mm_or_si128(pw_block_within(small, 'a', 'z'), figures),
			    _mm_or_si128(others, bytes));
}

/* A bit for each byte that is looked for. */
static inline PW_ALWAYS_INLINE unsigned pw_block_look(const uint8_t *at, enum pw_lexer_look look)
{
	const __m128i bytes = _mm_loadu_si128((const __m128i *)at);

	switch (look) {
	case PW_LEX_WORD_END:
		return (unsigned)_mm_movemask_epi8(pw_block_is_word(bytes)) ^ 0xffff;
	case PW_LEX_DIGITS_END:
		return (unsigned)_mm_movemask_epi8(pw_block_within(bytes, '0', '9')) ^ 0xffff;
	case PW_LEX_QUOTE:
		return (unsigned)_mm_movemask_epi8(pw_block_is(bytes, '\''));
	case PW_LEX_DOUBLE_QUOTE:
		return (unsigned)_mm_movemask_epi8(pw_block_is(bytes, '"'));
	}
	return 0;
}
#endif

static inline PW_ALWAYS_INLINE size_t pw_lexer_find(const struct pw_lexer *l, size_t at,
						    enum pw_lexer_look look)
{
#ifdef __SSE2__
	if (at <= l->last_block) {
		unsigned bits = pw_block_look(l->text + at, look);

		if (bits != 0)
			return at + (size_t)__builtin_ctz(bits);
		at += PW_LEXER_BLOCK;
	}
#endif
	return pw_lexer_find_slowly(l, at, look);
}

/* ---- where tokens end, or 0 where more must be known ---- */

/* E'...' and the like, U&"..." begin as words do. */
static inline PW_ALWAYS_INLINE size_t pw_lexer_end_of_word(const struct pw_lexer *l, size_t at)
{
	size_t end = pw_lexer_find(l, at, PW_LEX_WORD_END);

	return l->text[end] == '\'' || l->text[end] == '&' ? 0 : end;
}

static inline PW_ALWAYS_INLINE size_t pw_lexer_end_of_integer(const struct pw_lexer *l, size_t at)
{
	size_t end = pw_lexer_find(l, at + 1, PW_LEX_DIGITS_END);

	return l->text[end] == '.' || pw_lexer_is(l, end, PW_LEX_WORD_START) ? 0 : end;
}

static inline PW_ALWAYS_INLINE size_t pw_lexer_end_of_name(const struct pw_lexer *l, size_t at)
{
	size_t end = pw_lexer_find(l, at + 1, PW_LEX_DOUBLE_QUOTE);

	return end >= l->len || end == at + 1 || l->text[end + 1] == '"' ? 0 : end + 1;
}

static inline PW_ALWAYS_INLINE size_t pw_lexer_end_of_string(const struct pw_lexer *l, size_t at)
{
	size_t end = pw_lexer_find(l, at + 1, PW_LEX_QUOTE) + 1;

	if (end > l->len || pw_lexer_is(l, end + (l->text[end] == ' '), PW_LEX_MAY_CONTINUE))
		return 0;
	return end;
}

static inline PW_ALWAYS_INLINE size_t pw_lexer_end_of_param(const struct pw_lexer *l, size_t at)
{
	size_t end = pw_lexer_find(l, at + 1, PW_LEX_DIGITS_END);

	return end == at + 1 || pw_lexer_is(l, end, PW_LEX_WORD_START) ? 0 : end;
}

/* The next token behind where `token` ends. */
static inline PW_ALWAYS_INLINE void pw_lexer_take(struct pw_lexer *l, struct pw_lexeme *token)
{
	size_t at = token->end, end = 0, begin;

	/* One blank is the most common gap by far. */
	at += l->text[at] == ' ';
again:
	switch ((enum pw_lexer_start)pw_lexer_starts[l->text[at]]) {
	case PW_LEX_IS_SPACE:
		at = pw_lexer_skip_spaces(l, at);
		goto again;
	case PW_LEX_IS_WORD:
		token->kind = PW_TOKEN_WORD;
		end = pw_lexer_end_of_word(l, at);
		break;
	case PW_LEX_IS_NAME:
		token->kind = PW_TOKEN_QUOTED_NAME;
		end = pw_lexer_end_of_name(l, at);
		break;
	case PW_LEX_IS_STRING:
		token->kind = PW_TOKEN_STRING;
		end = pw_lexer_end_of_string(l, at);
		break;
	case PW_LEX_IS_INTEGER:
		token->kind = PW_TOKEN_INTEGER;
		end = pw_lexer_end_of_integer(l, at);
		break;
	case PW_LEX_IS_PARAM:
		token->kind = PW_TOKEN_PARAM;
		end = pw_lexer_end_of_param(l, at);
		break;
	case PW_LEX_IS_MARK:
		token->kind = PW_TOKEN_SYMBOL;
		end = at + 1;
		break;
	case PW_LEX_IS_DOT:
		token->kind = PW_TOKEN_SYMBOL;
		end = pw_lexer_is(l, at + 1, PW_LEX_DIGIT) || l->text[at + 1] == '.' ? 0 : at + 1;
		break;
	case PW_LEX_IS_OPERATOR:
		token->kind = PW_TOKEN_SYMBOL;
		end = pw_lexer_is(l, at + 1, PW_LEX_OPERATOR) ? 0 : at + 1;
		break;
	case PW_LEX_IS_RARE:
		break;
	}
	if (end == 0) {
		l->at = at;
		token->kind = pw_lexer_take_rare(l, &begin);
		at = begin;
		end = l->at;
	}
	token->begin = at;
	token->end = end;
}

#endif

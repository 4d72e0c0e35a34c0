/* SPDX-License-Identifier: PostgreSQL
 *
 * Every token is mixed into two lanes, eight bytes at a time: the lane and the bytes are multiplied
 * by a secret factor, and the halves of the product make the lane. Which factor tells what the
 * bytes are: a word or something else, the last of their token or not, or the mark of a literal.
 * Two texts whose lanes meet by chance are one in 2^128; who wants to make it happen would have to
 * know the factors, or to see ids.
 */
#include "config.h"

#include "pgweir/sql/shape.h"

#include <endian.h>
#include <string.h>

#include "lexer_priv.h"
#include "sql_priv.h"

enum role { WORD_MORE, WORD_LAST, OTHER_MORE, OTHER_LAST, MARK };

/* With these a statement begins that is the same for all values of its literals. */
static const uint64_t queries = PW_SQL_BIT(SELECT) | PW_SQL_BIT(INSERT) | PW_SQL_BIT(UPDATE) |
				PW_SQL_BIT(DELETE) | PW_SQL_BIT(MERGE) | PW_SQL_BIT(VALUES) |
				PW_SQL_BIT(WITH);

struct walk {
	struct pw_shape *shape;
	const struct pw_shape_key *key;
	const struct pw_lexer *lexer;
	uint64_t lanes[2];
	size_t tokens, depth;
	bool is_at_start;    /* of a statement */
	bool keeps_literals; /* this statement does */
	bool was_name;       /* the token before was */
	bool was_value;      /* it was a parameter, or ends a bracket */
};

/* All that is done for each token is inlined in one loop, where the walk lies in registers. */
#define STEP static inline PW_ALWAYS_INLINE

void pw_shape_key_init(struct pw_shape_key *shape_key, const struct pw_hash_key *key)
{
	for (uint8_t role = 0; role < PW_SHAPE_ROLES; role++) {
		for (uint8_t lane = 0; lane < 2; lane++) {
			const uint8_t what[] = {'s', 'h', 'a', 'p', 'e', role, lane};

			shape_key->factors[role][lane] = pw_hash(key, what, sizeof(what)) | 1;
		}
	}
	pw_sql_words_place(shape_key);
}

/* ---- mixing ---- */

STEP uint64_t multiply(uint64_t a, uint64_t b)
{
	unsigned __int128 product = (unsigned __int128)a * b;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

STEP void mix(struct walk *w, uint64_t bytes, enum role role)
{
	const uint64_t *factors = w->key->factors[role];

	/* Not the same in both: then one lane would tell all of the other. */
	w->lanes[0] = multiply(w->lanes[0] ^ bytes, factors[0]);
	w->lanes[1] = multiply(w->lanes[1] + bytes, factors[1]);
}

/* The first n <= 8 bytes, zeros behind; reading goes no further than the text may be read. */
STEP uint64_t load(const struct walk *w, size_t at, size_t n)
{
	const uint8_t *from = w->lexer->text + at;
	uint64_t bytes = 0;

	if (at <= w->lexer->last_block) {
		memcpy(&bytes, from, sizeof(bytes));
		return le64toh(bytes) & ~UINT64_C(0) >> (64 - 8 * n);
	}
	for (size_t i = 0; i < n; i++)
		bytes |= (uint64_t)from[i] << 8 * i;
	return bytes;
}

/* Names beyond ASCII are taken as they are written: then two spellings are two shapes. */
STEP uint64_t fold(uint64_t bytes)
{
	/* No two other bytes that a word may have become the same; zeros stay. */
	uint64_t folded = bytes | (bytes >> 1 & UINT64_C(0x2020202020202020));

	return bytes & UINT64_C(0x8080808080808080) ? bytes : folded;
}

STEP void mix_text(struct walk *w, size_t at, size_t len)
{
	for (; len > 8; at += 8, len -= 8)
		mix(w, load(w, at, 8), OTHER_MORE);
	mix(w, load(w, at, len), OTHER_LAST);
}

/* ---- tokens ---- */

STEP void begin_statement(struct walk *w, uint64_t first)
{
	w->is_at_start = false;
	w->keeps_literals = !(first & queries);
	w->shape->statements++;
	w->shape->firsts |= first;
	w->shape->has_other |= first == 0;
}

STEP void take_word(struct walk *w, size_t at, size_t len)
{
	uint64_t bytes = fold(load(w, at, len < 8 ? len : 8));
	uint64_t bit = pw_sql_word_find(w->key, w->lexer->text + at, len, bytes);

	w->shape->words |= bit;
	if (w->is_at_start)
		begin_statement(w, bit);
	for (; len > 8; bytes = fold(load(w, at, len < 8 ? len : 8))) {
		mix(w, bytes, WORD_MORE);
		at += 8;
		len -= 8;
	}
	mix(w, bytes, WORD_LAST);
}

STEP void take_text(struct walk *w, size_t at, size_t len)
{
	if (w->is_at_start)
		begin_statement(w, 0);
	mix_text(w, at, len);
}

STEP void take_literal(struct walk *w, const struct pw_lexeme *token)
{
	struct pw_shape *shape = w->shape;

	if (w->is_at_start)
		begin_statement(w, 0);
	if (w->keeps_literals) {
		mix_text(w, token->begin, token->end - token->begin);
		return;
	}
	if (shape->n_literals < PW_SHAPE_LITERALS)
		shape->literals[shape->n_literals] = (struct pw_span){token->begin, token->end};
	shape->n_literals++;
	mix(w, token->kind, MARK);
}

STEP void note_bracket(struct walk *w, uint8_t c)
{
	struct pw_shape *shape = w->shape;

	if (c == '(' || c == '[') {
		shape->has_call |= c == '(' && w->was_name;
		if (++w->depth > shape->depth)
			shape->depth = w->depth;
	} else if (c == ')' || c == ']') {
		w->depth -= w->depth > 0;
		w->was_value = true;
	}
}

STEP void take_symbol(struct walk *w, size_t at, size_t len)
{
	uint8_t c = w->lexer->text[at];
	bool was_value = w->was_value;

	w->was_value = false;
	/* The most common ones are no brackets. */
	if (c != ',' && c != '.')
		note_bracket(w, c);
	/* (value).function */
	else if (c == '.')
		w->shape->has_call |= was_value;
	/* A bracket may be the first of a query; anything else is an error in any case. */
	/* Within brackets it belongs to a rule. */
	if (c == ';')
		w->is_at_start |= w->depth == 0;
	else if (w->is_at_start && c != '(')
		begin_statement(w, 0);
	if (len == 1)
		mix(w, c, OTHER_LAST);
	else
		mix_text(w, at, len);
}

STEP void take(struct walk *w, const struct pw_lexeme *token)
{
	size_t at = token->begin, len = token->end - token->begin;

	switch (token->kind) {
	case PW_TOKEN_WORD:
		take_word(w, at, len);
		w->was_name = true;
		w->was_value = false;
		break;
	case PW_TOKEN_QUOTED_NAME:
		take_text(w, at, len);
		w->shape->has_quoted |= len > PW_SHAPE_QUOTED_MAX || w->lexer->text[at] != '"';
		w->was_name = true;
		break;
	case PW_TOKEN_STRING:
		take_literal(w, token);
		/* U&"name" UESCAPE '!' ends in a string. */
		w->was_name = true;
		break;
	case PW_TOKEN_BITS:
	case PW_TOKEN_INTEGER:
	case PW_TOKEN_DECIMAL:
		take_literal(w, token);
		w->was_name = false;
		break;
	case PW_TOKEN_SYMBOL:
		take_symbol(w, at, len);
		w->was_name = false;
		break;
	case PW_TOKEN_PARAM:
		take_text(w, at, len);
		w->was_name = false;
		w->was_value = true;
		break;
	case PW_TOKEN_END:
	case PW_TOKEN_BROKEN:
		break;
	}
	w->tokens++;
}

void pw_shape_take(struct pw_shape *shape, const struct pw_shape_key *key, const void *text,
		   size_t len)
{
	struct pw_lexer lexer;
	struct pw_lexeme token = {.end = 0};
	struct walk w = {.shape = shape, .key = key, .lexer = &lexer, .is_at_start = true};

	memset(shape, 0, offsetof(struct pw_shape, literals));
	pw_lexer_init(&lexer, text, len);
	for (;;) {
		pw_lexer_take(&lexer, &token);
		if (token.kind == PW_TOKEN_END || token.kind == PW_TOKEN_BROKEN)
			break;
		take(&w, &token);
	}
	shape->tokens = w.tokens;
	shape->is_broken = token.kind == PW_TOKEN_BROKEN;
	/* A lane ends as a product by an odd factor: turned once more, so that all bits tell. */
	mix(&w, w.tokens, MARK);
	shape->id = (struct pw_id){w.lanes[0], w.lanes[1]};
}

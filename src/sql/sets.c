/* SPDX-License-Identifier: PostgreSQL
 *
 * Only what stands where a statement begins is a SET or SHOW: those of CREATE FUNCTION and ALTER
 * ROLE are set later.
 */
#include "config.h"

#include "pgweir/sql/sets.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

/* ---- tokens ---- */

static void advance(struct pw_sets *sets)
{
	pw_lexer_next(&sets->lexer, &sets->token);
}

static const char *token_text(const struct pw_sets *sets)
{
	return sets->text + sets->token.begin;
}

static size_t token_len(const struct pw_sets *sets)
{
	return sets->token.end - sets->token.begin;
}

static bool is_word(const struct pw_sets *sets, const char *word)
{
	return sets->token.kind == PW_TOKEN_WORD && token_len(sets) == strlen(word) &&
	       strncasecmp(token_text(sets), word, token_len(sets)) == 0;
}

static bool is_symbol(const struct pw_sets *sets, char symbol)
{
	return sets->token.kind == PW_TOKEN_SYMBOL && token_len(sets) == 1 &&
	       *token_text(sets) == symbol;
}

static bool is_over(const struct pw_sets *sets)
{
	return sets->token.kind == PW_TOKEN_END || sets->token.kind == PW_TOKEN_BROKEN;
}

static bool is_number(const struct pw_sets *sets)
{
	return sets->token.kind == PW_TOKEN_INTEGER || sets->token.kind == PW_TOKEN_DECIMAL;
}

/* ---- names ---- */

static void copy(char *out, size_t size, const char *text, size_t len, bool is_folded)
{
	if (len >= size)
		len = size - 1;
	for (size_t i = 0; i < len; i++)
		out[i] = is_folded ? (char)tolower((unsigned char)text[i]) : text[i];
	out[len] = '\0';
}

/* One part of a name, behind the `have` bytes that are there. Returns how many there are then; 0:
 * it is none, or none of a setting that matters. */
static size_t take_part(struct pw_sets *sets, struct pw_set *set, size_t have)
{
	const char *text = token_text(sets);
	size_t len = token_len(sets);

	if (sets->token.kind == PW_TOKEN_QUOTED_NAME && *text == '"') {
		text++;
		len -= 2;
	} else if (sets->token.kind != PW_TOKEN_WORD) {
		return 0;
	}
	if (have + len >= PW_SET_TEXT_SIZE || memchr(text, '"', len))
		return 0;
	copy(set->name + have, PW_SET_TEXT_SIZE - have, text, len, true);
	set->at.end = sets->token.end;
	advance(sets);
	return have + len;
}

static bool take_name(struct pw_sets *sets, struct pw_set *set)
{
	size_t have = 0;

	set->at.begin = sets->token.begin;
	while ((have = take_part(sets, set, have)) > 0) {
		if (!is_symbol(sets, '.'))
			return strchr(set->name, '.') != NULL;
		if (have + 1 >= PW_SET_TEXT_SIZE)
			return false;
		set->name[have++] = '.';
		advance(sets);
	}
	return false;
}

/* ---- values ---- */

/* What its quotes hold: "..." and '...', with what may stand before them, and $tag$...$tag$. */
static struct pw_span inside_of(const char *text, struct pw_span span)
{
	size_t quote = span.begin + strcspn(text + span.begin, "'\"$");
	size_t len = text[quote] == '$' ? 2 + strcspn(text + quote + 1, "$") : 1;

	return (struct pw_span){quote + len, span.end - len};
}

/* E'...' and U&'...' may have escapes, and any may go on in another line. */
static bool is_as_it_stands(const char *text, const struct pw_set *set)
{
	size_t len = set->inside.end - set->inside.begin;
	const char *inside = text + set->inside.begin;
	bool has_prefix = strchr("eEuU", text[set->stands.begin]) != NULL;

	return !memchr(inside, '\n', len) && !memchr(inside, '\r', len) &&
	       !(has_prefix && memchr(inside, '\\', len));
}

static bool take_value(struct pw_sets *sets, struct pw_set *set)
{
	const unsigned literals = 1u << PW_TOKEN_STRING | 1u << PW_TOKEN_QUOTED_NAME |
				  1u << PW_TOKEN_WORD | 1u << PW_TOKEN_INTEGER |
				  1u << PW_TOKEN_DECIMAL;
	bool has_sign = is_symbol(sets, '-') || is_symbol(sets, '+');
	const char *text = sets->text;

	set->is_default = is_word(sets, "default");
	set->is_quoted =
	    sets->token.kind == PW_TOKEN_STRING || sets->token.kind == PW_TOKEN_QUOTED_NAME;
	set->stands.begin = sets->token.begin;
	if (has_sign)
		advance(sets);
	if (has_sign ? !is_number(sets) : !(literals >> sets->token.kind & 1))
		return false;
	set->stands.end = sets->token.end;
	set->inside = set->is_quoted ? inside_of(text, set->stands) : set->stands;
	copy(set->value, sizeof(set->value), text + set->inside.begin,
	     set->inside.end - set->inside.begin, !set->is_quoted);
	set->all.end = sets->token.end;
	advance(sets);
	return !set->is_quoted || is_as_it_stands(text, set);
}

/* ---- statements ---- */

static bool take_set(struct pw_sets *sets, struct pw_set *set)
{
	if (is_word(sets, "session") || is_word(sets, "local"))
		advance(sets);
	if (!take_name(sets, set) || (!is_symbol(sets, '=') && !is_word(sets, "to")))
		return false;
	advance(sets);
	return take_value(sets, set);
}

static bool take_show(struct pw_sets *sets, struct pw_set *set)
{
	if (!take_name(sets, set))
		return false;
	set->all.end = set->at.end;
	return true;
}

static bool take_statement(struct pw_sets *sets, struct pw_set *set)
{
	bool is_taken;

	*set = (struct pw_set){.is_shown = is_word(sets, "show"), .all.begin = sets->token.begin};
	if (!set->is_shown && !is_word(sets, "set"))
		return false;
	advance(sets);
	is_taken = set->is_shown ? take_show(sets, set) : take_set(sets, set);
	return is_taken &&
	       (is_over(sets) ? sets->token.kind == PW_TOKEN_END : is_symbol(sets, ';'));
}

void pw_sets_init(struct pw_sets *sets, const char *text, size_t len)
{
	sets->text = text;
	pw_lexer_init(&sets->lexer, text, len);
	advance(sets);
}

bool pw_sets_next(struct pw_sets *sets, struct pw_set *set)
{
	while (!is_over(sets)) {
		if (take_statement(sets, set))
			return true;
		while (!is_over(sets) && !is_symbol(sets, ';'))
			advance(sets);
		if (!is_over(sets))
			advance(sets);
	}
	return false;
}

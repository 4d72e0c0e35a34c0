/* SPDX-License-Identifier: PostgreSQL
 *
 * The lexer beside PostgreSQL's own scanner (libpg_query's), on statements put together by chance
 * from everything that means something to either: whatever that one accepts must have the same
 * tokens here.
 */
#include "config.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <pg_query.h>
#include <pg_query/pg_query.pb-c.h>

#include "pgweir/base/rng.h"
#include "pgweir/base/strbuf.h"
#include "pgweir/sql/lexer.h"

/* PW_LEXER_ROUNDS asks for more. */
enum { ROUNDS = 60000 };

static const char *const fragments[] = {
    /* words, and what looks like the beginning of something else */
    "SELECT",
    "select",
    "e",
    "E",
    "b",
    "B",
    "x",
    "X",
    "n",
    "N",
    "u",
    "U",
    "u&",
    "U&",
    "U&'",
    "_x1",
    "a$b",
    "a$1$",
    "\xc3\xa4",
    "FROM t",
    "nchar",
    "uescape '!'",
    "UESCAPE",
    /* quotes of all kinds, whole and not */
    "'",
    "''",
    "'a'",
    "'it''s'",
    "'\\'",
    "e'\\''",
    "E'a\\'b'",
    "e'\\\\'",
    "E'\\x41'",
    "E'\\101'",
    "E'\\u0041'",
    "b'01'",
    "X'fF'",
    "n'a'",
    "N'a'",
    "U&'\\0041'",
    "u&'d!0061t' uescape '!'",
    "\"",
    "\"\"",
    "\"a\"",
    "\"a\"\"b\"",
    "U&\"a\"",
    "u&\"\\0061\"",
    "'a\n'",
    "'a'\n'b'",
    "'a' \t\n 'b'",
    "'a' -- c\n 'b'",
    "'a' -- c\n -- d\n'b'",
    "'a' /* c */\n'b'",
    "'a'\r'b'",
    "'a'\f'b'",
    "'a' 'b'",
    "E'a'\n'\\''",
    "'a'\n-",
    "'a'\n--",
    "'a'\n--c",
    "'a'--c\n'b'",
    /* dollars */
    "$",
    "$$",
    "$$a$$",
    "$a$",
    "$a$b$a$",
    "$a$ $b$ $a$",
    "$A$x$a$y$A$",
    "$1",
    "$12",
    "$1a",
    "$1$",
    "$_1$x$_1$",
    "$\xc3\xa4$x$\xc3\xa4$",
    "$a b$",
    "a$$b$$",
    "$$ ' \" -- /* $$",
    "$$$$",
    /* numbers */
    "0",
    "1",
    "12",
    "1.",
    ".5",
    "1.5",
    "1e5",
    "1E+5",
    "1.e-5",
    ".5e1",
    "1e",
    "1e+",
    "1..2",
    "1...2",
    "1.5.2",
    "1a",
    "1.a",
    "0x1F",
    "1_000",
    ".",
    "..",
    "...",
    /* operators */
    "+",
    "-",
    "*",
    "/",
    "<",
    ">",
    "=",
    "~",
    "!",
    "@",
    "#",
    "%",
    "^",
    "&",
    "|",
    "`",
    "?",
    "<=",
    ">=",
    "<>",
    "!=",
    "=>",
    "->",
    "->>",
    "#>>",
    "@>",
    "||",
    "||/",
    "|/",
    "~~*",
    "!~~*",
    "+-",
    "@-",
    "*-",
    "*+-+",
    "<->",
    "=-",
    "=-1",
    ">=-",
    "&&&-",
    "**",
    "<<=",
    "!!=-",
    "=+=",
    "-=",
    "+*+",
    /* punctuation */
    "(",
    ")",
    "[",
    "]",
    ",",
    ";",
    ":",
    "::",
    ":=",
    ":::",
    "::=",
    ".*",
    /* comments and space */
    "--",
    "-- c",
    "-- c\n",
    "--\n",
    "---",
    "/*",
    "*/",
    "/**/",
    "/* c */",
    "/* a /* b */ c */",
    "/*/",
    "/*/*/",
    "/***/",
    "/* -- */",
    "-- /*\n",
    "*/*",
    "+/*c*/",
    "+--\n",
    "-/**/-",
    " ",
    "\t",
    "\n",
    "\r",
    "\f",
    "\v",
    "  \n ",
    "\\",
    "{",
    "}",
};

static uint64_t next_random(uint64_t *state)
{
	/* xorshift64*: repeatable, unlike the process's own. */
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * UINT64_C(0x2545f4914f6cdd1d);
}

static void put_together(struct pw_strbuf *out, uint64_t *random)
{
	unsigned n = 1 + (unsigned)(next_random(random) % 12);

	pw_strbuf_reset(out);
	for (unsigned i = 0; i < n; i++) {
		pw_strbuf_add_string(out, fragments[next_random(random) % PW_COUNTOF(fragments)]);
		if (next_random(random) % 3 == 0)
			pw_strbuf_add_char(out, ' ');
	}
}

static void fail_at(const char *text, size_t i, const struct pw_lexeme *ours, int begin, int end)
{
	fail_msg("token %zu: ours is %zu..%zu (kind %d), PostgreSQL's %d..%d in:\n%s\n", i,
		 ours->begin, ours->end, ours->kind, begin, end, text);
}

static bool is_any_string(PgQuery__Token token)
{
	return token == PG_QUERY__TOKEN__SCONST || token == PG_QUERY__TOKEN__USCONST ||
	       token == PG_QUERY__TOKEN__BCONST || token == PG_QUERY__TOKEN__XCONST;
}

/* libpg_query takes comments out before it looks for a string that goes on in another line;
 * PostgreSQL (scan.l, horiz_whitespace) does not. */
static bool is_continued_behind_comment(const struct pw_lexeme *ours,
					const PgQuery__ScanResult *theirs, size_t i)
{
	bool is_string = ours->kind == PW_TOKEN_STRING || ours->kind == PW_TOKEN_BITS;

	if (i + 1 >= theirs->n_tokens ||
	    theirs->tokens[i + 1]->token != PG_QUERY__TOKEN__SQL_COMMENT)
		return false;
	return is_string ? ours->end > (size_t)theirs->tokens[i + 1]->end
			 : ours->kind == PW_TOKEN_BROKEN && is_any_string(theirs->tokens[i]->token);
}

/* Of U&"..." and U&'...' it says the beginning only; the next token's tells the rest. */
static bool has_false_end(const PgQuery__ScanToken *token)
{
	return token->token == PG_QUERY__TOKEN__UIDENT || token->token == PG_QUERY__TOKEN__USCONST;
}

static void compare(const char *text, const PgQuery__ScanResult *theirs)
{
	struct pw_lexer lexer;
	struct pw_lexeme ours;

	pw_lexer_init(&lexer, text, strlen(text));
	for (size_t i = 0; i < theirs->n_tokens; i++) {
		const PgQuery__ScanToken *token = theirs->tokens[i];

		if (token->token == PG_QUERY__TOKEN__SQL_COMMENT ||
		    token->token == PG_QUERY__TOKEN__C_COMMENT)
			continue;
		pw_lexer_next(&lexer, &ours);
		if (is_continued_behind_comment(&ours, theirs, i))
			return;
		if (ours.kind == PW_TOKEN_BROKEN || ours.kind == PW_TOKEN_END ||
		    ours.begin != (size_t)token->start ||
		    (ours.end != (size_t)token->end && !has_false_end(token)))
			fail_at(text, i, &ours, token->start, token->end);
	}
	pw_lexer_next(&lexer, &ours);
	if (ours.kind != PW_TOKEN_END)
		fail_at(text, theirs->n_tokens, &ours, -1, -1);
}

/* Returns whether PostgreSQL's scanner accepts it. */
static bool check(const char *text)
{
	PgQueryScanResult result = pg_query_scan(text);
	bool is_accepted = !result.error;

	if (is_accepted) {
		PgQuery__ScanResult *tokens = pg_query__scan_result__unpack(
		    NULL, result.pbuf.len, (const uint8_t *)result.pbuf.data);

		assert_non_null(tokens);
		compare(text, tokens);
		pg_query__scan_result__free_unpacked(tokens, NULL);
	}
	pg_query_free_scan_result(result);
	return is_accepted;
}

static void test_fragments_by_chance(void **state PW_UNUSED)
{
	const char *wanted = getenv("PW_LEXER_ROUNDS");
	long rounds = wanted ? strtol(wanted, NULL, 10) : ROUNDS, accepted = 0;
	uint64_t random = UINT64_C(0x9e3779b97f4a7c15);
	struct pw_strbuf text = PW_STRBUF_INIT;

	for (long i = 0; i < rounds; i++) {
		put_together(&text, &random);
		accepted += check(text.data);
	}
	pw_strbuf_fini(&text);
	print_message("%ld of %ld were accepted\n", accepted, rounds);
	assert_true(accepted > rounds / 5);
}

static void test_each_pair(void **state PW_UNUSED)
{
	char text[64];

	for (size_t i = 0; i < PW_COUNTOF(fragments); i++) {
		for (size_t k = 0; k < PW_COUNTOF(fragments); k++) {
			snprintf(text, sizeof(text), "%s%s", fragments[i], fragments[k]);
			(void)check(text);
		}
	}
}

/* The same tokens behind so many blanks, in memory that ends with the text. */
static void check_behind_blanks(const char *text, size_t len, size_t blanks)
{
	char *copy = malloc(blanks + len + 1);
	struct pw_lexer here, there;
	struct pw_lexeme token, moved;

	assert_non_null(copy);
	memset(copy, ' ', blanks);
	memcpy(copy + blanks, text, len + 1);
	pw_lexer_init(&here, text, len);
	pw_lexer_init(&there, copy, blanks + len);
	do {
		pw_lexer_next(&here, &token);
		pw_lexer_next(&there, &moved);
		if (token.kind != moved.kind || token.begin + blanks != moved.begin ||
		    token.end + blanks != moved.end)
			fail_msg(
			    "%zu..%zu (kind %d) is %zu..%zu (kind %d) behind %zu blanks in:\n%s\n",
			    token.begin, token.end, token.kind, moved.begin, moved.end, moved.kind,
			    blanks, text);
	} while (token.kind != PW_TOKEN_END && token.kind != PW_TOKEN_BROKEN);
	free(copy);
}

/* The lexer looks at several bytes at a time, and otherwise where a text ends. */
static void test_fragments_anywhere(void **state PW_UNUSED)
{
	uint64_t random = UINT64_C(0xd1b54a32d192ed03);
	struct pw_strbuf text = PW_STRBUF_INIT;

	for (int i = 0; i < ROUNDS / 4; i++) {
		put_together(&text, &random);
		check_behind_blanks(text.data, text.len, next_random(&random) % 96);
		check_behind_blanks(text.data, text.len, PW_LEXER_SHORT);
	}
	pw_strbuf_fini(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_fragments_anywhere),
	    cmocka_unit_test(test_each_pair),
	    cmocka_unit_test(test_fragments_by_chance),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: PostgreSQL
 *
 * What the lexer makes of each kind of token, of what is broken, and of what libpg_query's scanner
 * sees otherwise than PostgreSQL's.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pgweir/base/strbuf.h"
#include "pgweir/sql/lexer.h"

/* One letter for each kind, in the order of enum pw_lexeme_kind. */
static const char letters[] = ".wqsbidps!";

/* "w:SELECT i:1 ." */
static void describe(struct pw_strbuf *out, const char *text, size_t len)
{
	struct pw_lexer lexer;
	struct pw_lexeme token;

	pw_strbuf_reset(out);
	pw_lexer_init(&lexer, text, len);
	do {
		pw_lexer_next(&lexer, &token);
		assert_true(token.begin <= token.end && token.end <= len);
		pw_strbuf_add_char(out, token.kind == PW_TOKEN_SYMBOL ? 'o' : letters[token.kind]);
		if (token.kind == PW_TOKEN_END || token.kind == PW_TOKEN_BROKEN)
			break;
		pw_strbuf_add_char(out, ':');
		pw_strbuf_add(out, text + token.begin, token.end - token.begin);
		pw_strbuf_add_char(out, ' ');
	} while (true);
	/* Where it has stopped it stays. */
	pw_lexer_next(&lexer, &token);
	assert_true(token.kind == PW_TOKEN_END || token.kind == PW_TOKEN_BROKEN);
}

static void assert_tokens(const char *text, const char *wanted)
{
	struct pw_strbuf got = PW_STRBUF_INIT;
	char *copy = malloc(strlen(text) + 1);

	/* Memory of its own: a sanitizer sees a step beyond. */
	memcpy(copy, text, strlen(text) + 1);
	describe(&got, copy, strlen(text));
	assert_string_equal(got.data, wanted);
	free(copy);
	pw_strbuf_fini(&got);
}

static void test_words_and_names(void **state PW_UNUSED)
{
	assert_tokens("", ".");
	assert_tokens(" \t\r\n\f", ".");
	assert_tokens("SELECT a_1$ \xc3\xa4", "w:SELECT w:a_1$ w:\xc3\xa4 .");
	assert_tokens("\"a\"\"b\"U&\"\\0041\"", "q:\"a\"\"b\" q:U&\"\\0041\" .");
	assert_tokens("\"\"", "!");
	assert_tokens("a \"b", "w:a !");
	assert_tokens("u&b", "w:u o:& w:b .");
	assert_tokens("a_word_of_more_than_sixteen_bytes_and_then_some$",
		      "w:a_word_of_more_than_sixteen_bytes_and_then_some$ .");
}

static void test_strings(void **state PW_UNUSED)
{
	assert_tokens("'it''s' 'x\\'", "s:'it''s' s:'x\\' .");
	assert_tokens("E'it\\'s' e'\\\\'", "s:E'it\\'s' s:e'\\\\' .");
	assert_tokens("U&'\\0041' u&'a\\'", "s:U&'\\0041' s:u&'a\\' .");
	assert_tokens("n'a'", "w:n s:'a' .");
	assert_tokens("B'01' x'Ff'", "b:B'01' b:x'Ff' .");
	/* Quotes are not doubled in these. */
	assert_tokens("b'0''1'", "b:b'0' s:'1' .");
	assert_tokens("'a'\n  'b' 'c'", "s:'a'\n  'b' s:'c' .");
	assert_tokens("E'a'\n'\\''", "s:E'a'\n'\\'' .");
	assert_tokens("'open", "!");
	assert_tokens("E'open\\'", "!");
	assert_tokens("'a'\n'open", "!");
	assert_tokens("E'\\", "!");
}

/* scan.l: horiz_whitespace has comments in it. libpg_query has taken them out before. */
static void test_string_goes_on_behind_a_comment(void **state PW_UNUSED)
{
	assert_tokens("'a' -- b\n'c'", "s:'a' -- b\n'c' .");
	assert_tokens("'a' -- b\n -- c\n 'd'", "s:'a' -- b\n -- c\n 'd' .");
	assert_tokens("'a' -- 'b'", "s:'a' .");
	assert_tokens("'a' /* b */\n'c'", "s:'a' s:'c' .");
}

static void test_dollars(void **state PW_UNUSED)
{
	assert_tokens("$$a'b$$ $t$ $$ $t$", "s:$$a'b$$ s:$t$ $$ $t$ .");
	assert_tokens("$1 $23", "p:$1 p:$23 .");
	assert_tokens("a$$b$$", "w:a$$b$$ .");
	assert_tokens("$a b", "o:$ w:a w:b .");
	assert_tokens("$1$", "p:$1 o:$ .");
	assert_tokens("$1a", "!");
	assert_tokens("$$a$", "!");
	assert_tokens("$t$a$T$", "!");
}

static void test_numbers(void **state PW_UNUSED)
{
	assert_tokens("0 12 1. .5 1.5 1e5 1.E-5", "i:0 i:12 d:1. d:.5 d:1.5 d:1e5 d:1.E-5 .");
	assert_tokens("1..10", "i:1 o:.. i:10 .");
	assert_tokens("t.1", "w:t d:.1 .");
	assert_tokens("1.5.2", "d:1.5 d:.2 .");
	assert_tokens("1a", "!");
	assert_tokens("1e+", "!");
	assert_tokens("0x1F", "!");
}

static void test_symbols(void **state PW_UNUSED)
{
	char longest[70];

	assert_tokens("a::b:=c..d", "w:a o::: w:b o::= w:c o:.. w:d .");
	assert_tokens("<=-1", "o:<= o:- i:1 .");
	assert_tokens("@-1", "o:@- i:1 .");
	assert_tokens("*+-+", "o:* o:+ o:- o:+ .");
	assert_tokens("*+-+x", "o:* o:+ o:- o:+ w:x .");
	assert_tokens("+--c\n1", "o:+ i:1 .");
	assert_tokens("*/*c*/1", "o:* i:1 .");
	memset(longest, '@', sizeof(longest));
	longest[63] = '\0';
	assert_tokens(longest,
		      "o:@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@ .");
	longest[63] = '@';
	longest[64] = '\0';
	assert_tokens(longest, "!");
}

static void test_comments(void **state PW_UNUSED)
{
	assert_tokens("/* a /* b */ c */1", "i:1 .");
	assert_tokens("-- a\r1", "i:1 .");
	assert_tokens("-- a", ".");
	assert_tokens("1 /* a", "i:1 !");
	assert_tokens("/*/ */1", "i:1 .");
	assert_tokens("/* /* */", "!");
	assert_tokens("/*", "!");
}

/* Tokens of all lengths, and nothing that is read behind the text. */
static void test_long_tokens(void **state PW_UNUSED)
{
	static const char *const pairs[][3] = {
	    {"", "x", " "}, {"'", "x", "' "}, {"\"", "x", "\" "}, {"", "7", " "}, {"'", "''", "' "},
	};
	struct pw_strbuf text = PW_STRBUF_INIT, wanted = PW_STRBUF_INIT;

	for (size_t i = 0; i < PW_COUNTOF(pairs); i++) {
		for (int len = 1; len < 100; len++) {
			pw_strbuf_reset(&text);
			pw_strbuf_reset(&wanted);
			pw_strbuf_add_string(&text, pairs[i][0]);
			for (int k = 0; k < len; k++)
				pw_strbuf_add_string(&text, pairs[i][1]);
			pw_strbuf_add_string(&text, pairs[i][2]);
			pw_strbuf_add_char(&wanted, "wsqis"[i]);
			pw_strbuf_add_char(&wanted, ':');
			pw_strbuf_add_string(&wanted, text.data);
			pw_strbuf_add_char(&wanted, '.');
			assert_tokens(text.data, wanted.data);
			/* Without its last blank, at the very end. */
			text.data[text.len - 1] = '\0';
			assert_tokens(text.data, wanted.data);
		}
	}
	pw_strbuf_fini(&text);
	pw_strbuf_fini(&wanted);
}

static void test_zero_byte_is_no_end(void **state PW_UNUSED)
{
	static const char text[] = "a\0b";
	struct pw_strbuf got = PW_STRBUF_INIT;

	describe(&got, text, 3);
	assert_string_equal(got.data, "w:a !");
	pw_strbuf_fini(&got);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_words_and_names),
	    cmocka_unit_test(test_strings),
	    cmocka_unit_test(test_string_goes_on_behind_a_comment),
	    cmocka_unit_test(test_dollars),
	    cmocka_unit_test(test_numbers),
	    cmocka_unit_test(test_symbols),
	    cmocka_unit_test(test_comments),
	    cmocka_unit_test(test_long_tokens),
	    cmocka_unit_test(test_zero_byte_is_no_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

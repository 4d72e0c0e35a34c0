/* SPDX-License-Identifier: PostgreSQL
 *
 * Cleartext and MD5 answers against every kind of stored secret, SASLprep as PostgreSQL does it,
 * and certificate names.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pgweir/auth/password.h"
#include "pgweir/auth/scram.h"

/* md5("secret" || "bob"), and the answer for the salt below. */
#define BOB_STORED   "md521f3163f8f86fa10bdefbfbd502a8f06"
#define BOB_RESPONSE "md5302ca694934ca57d88a826d0f68cf37c"

static const uint8_t salt[4] = {0x01, 0x02, 0x00, 0xff};

static struct pw_user_secret secret_of(const char *text)
{
	return (struct pw_user_secret){
	    .name = "bob", .secret = text, .kind = pw_secret_classify(text)};
}

static void test_md5_vectors(void **state)
{
	char out[PW_MD5_TEXT_SIZE];

	(void)state;
	assert_true(pw_md5_response("secret", "bob", salt, out));
	assert_string_equal(out, BOB_RESPONSE);
	assert_true(pw_md5_response_stored(BOB_STORED, salt, out));
	assert_string_equal(out, BOB_RESPONSE);
	assert_false(pw_md5_response_stored("secret", salt, out));
	assert_false(pw_md5_response_stored("md5", salt, out));
	assert_false(pw_md5_response_stored(BOB_STORED "0", salt, out));
}

static void test_md5_matches(void **state)
{
	struct pw_user_secret plain = secret_of("secret"), md5 = secret_of(BOB_STORED);
	struct pw_user_secret none = secret_of("");
	char wrong[] = BOB_RESPONSE;
	uint8_t other_salt[4] = {0x01, 0x02, 0x00, 0xfe};

	(void)state;
	assert_true(pw_md5_matches(&plain, salt, BOB_RESPONSE));
	assert_true(pw_md5_matches(&md5, salt, BOB_RESPONSE));
	assert_false(pw_md5_matches(&none, salt, BOB_RESPONSE));
	assert_false(pw_md5_matches(&plain, other_salt, BOB_RESPONSE));
	assert_false(pw_md5_matches(&plain, salt, ""));
	assert_false(pw_md5_matches(&plain, salt, BOB_RESPONSE "0"));
	assert_false(pw_md5_matches(&plain, salt, "secret"));
	/* the stored secret is not an answer */
	assert_false(pw_md5_matches(&md5, salt, BOB_STORED));
	for (size_t i = 0; i < strlen(wrong); i++) {
		wrong[i] ^= 1;
		assert_false(pw_md5_matches(&md5, salt, wrong));
		wrong[i] ^= 1;
	}
}

/* The answer for an empty password must not open an account without one. */
static void test_md5_of_nothing(void **state)
{
	struct pw_user_secret none = secret_of("");
	char out[PW_MD5_TEXT_SIZE];

	(void)state;
	assert_true(pw_md5_response("", "bob", salt, out));
	assert_false(pw_md5_matches(&none, salt, out));
}

static void test_md5_matches_no_scram(void **state)
{
	struct pw_scram_verifier verifier;
	struct pw_strbuf text = PW_STRBUF_INIT;
	struct pw_user_secret stored;
	char out[PW_MD5_TEXT_SIZE];

	(void)state;
	assert_true(pw_scram_verifier_derive("secret", salt, sizeof(salt), 16, &verifier));
	pw_scram_verifier_format(&verifier, &text);
	stored = secret_of(text.data);
	assert_int_equal(stored.kind, PW_SECRET_SCRAM);
	assert_false(pw_md5_matches(&stored, salt, BOB_RESPONSE));
	/* nor is its text a password */
	assert_true(pw_md5_response(text.data, "bob", salt, out));
	assert_false(pw_md5_matches(&stored, salt, out));
	assert_true(pw_password_matches(&stored, "secret"));
	assert_false(pw_password_matches(&stored, "secre"));
	assert_false(pw_password_matches(&stored, text.data));
	pw_strbuf_fini(&text);
}

static void test_password_matches(void **state)
{
	struct pw_user_secret plain = secret_of("secret"), md5 = secret_of(BOB_STORED);
	struct pw_user_secret none = secret_of("");

	(void)state;
	assert_true(pw_password_matches(&plain, "secret"));
	assert_true(pw_password_matches(&md5, "secret"));
	assert_false(pw_password_matches(&plain, "secre"));
	assert_false(pw_password_matches(&plain, "secret1"));
	assert_false(pw_password_matches(&plain, "Secret"));
	assert_false(pw_password_matches(&plain, ""));
	assert_false(pw_password_matches(&none, ""));
	assert_false(pw_password_matches(&none, "secret"));
	assert_false(pw_password_matches(&md5, "Secret"));
	assert_false(pw_password_matches(&md5, BOB_STORED));
	md5.name = "eve";
	assert_false(pw_password_matches(&md5, "secret"));
}

/* PostgreSQL refuses an empty password even where its hash is stored. */
static void test_empty_password_has_a_hash(void **state)
{
	struct pw_user_secret md5 = secret_of("md59f9d51bc70ef21ca5c14f307980a29d8");

	(void)state;
	assert_int_equal(md5.kind, PW_SECRET_MD5);
	assert_false(pw_password_matches(&md5, ""));
}

static void test_longest_password(void **state)
{
	struct pw_user_secret stored = {.name = "bob", .kind = PW_SECRET_PLAIN};
	struct pw_scram_verifier verifier;
	char *text = malloc(PW_SECRET_MAX + 1);

	(void)state;
	assert_non_null(text);
	memset(text, 'x', PW_SECRET_MAX);
	text[PW_SECRET_MAX] = '\0';
	stored.secret = text;
	assert_true(pw_password_matches(&stored, text));
	assert_true(pw_scram_verifier_derive(text, salt, sizeof(salt), 2, &verifier));
	assert_true(pw_scram_verifier_matches(&verifier, text));
	text[PW_SECRET_MAX - 1] = 'y';
	assert_false(pw_scram_verifier_matches(&verifier, text));
	text[PW_SECRET_MAX - 1] = 'x';
	text[0] = '\xc3'; /* not ASCII any more, not UTF-8 either */
	assert_true(pw_scram_verifier_derive(text, salt, sizeof(salt), 2, &verifier));
	assert_true(pw_scram_verifier_matches(&verifier, text));
	free(text);
}

/* ---- SASLprep ---- */

static void test_saslprep(void **state)
{
	static const char *const cases[][2] = {
	    {"", ""},
	    {"user", "user"},
	    {"USER", "USER"},
	    {"I\xc2\xadX", "IX"},   /* U+00AD to nothing */
	    {"\xc2\xaa", "a"},      /* U+00AA by NFKC */
	    {"\xe2\x85\xa8", "IX"}, /* U+2168 */
	    {"a\xc2\xa0"
	     "b",
	     "a b"}, /* no-break space to space */
	    {"a\xe2\x80\x8b"
	     "b",
	     "a b"},                   /* U+200B counts as a space, not as nothing */
	    {"e\xcc\x81", "\xc3\xa9"}, /* composed */
	    {"\xef\xac\x81", "fi"},    /* ligature */
	    {"\xed\x95\x9c", "\xed\x95\x9c"},
	    {"\xe1\x84\x92\xe1\x85\xa1\xe1\x86\xab", "\xed\x95\x9c"}, /* hangul, composed */
	    {"\xd8\xa7"
	     "1"
	     "\xd8\xa8",
	     "\xd8\xa7"
	     "1"
	     "\xd8\xa8"}, /* right to left, ends so */
	};

	(void)state;
	for (size_t i = 0; i < PW_COUNTOF(cases); i++) {
		struct pw_strbuf out = PW_STRBUF_INIT;

		assert_int_equal(pw_saslprep(cases[i][0], &out), PW_OK);
		if (strcmp(out.data, cases[i][1]) != 0)
			fail_msg("case %zu gives %s", i, out.data);
		pw_strbuf_fini(&out);
	}
}

/* Each of these stands for itself. */
static void test_saslprep_raw(void **state)
{
	static const char *const cases[] = {
	    "\x07", /* ASCII is left alone, control characters too */
	    "foo\x7f",
	    "\xc2\xaa\x07",             /* C.2.1 in a text that is not ASCII */
	    "\xc2\xaa\xc2\x80",         /* C.2.2 */
	    "\xc2\xaa\xef\xbf\xbd",     /* U+FFFD, C.6 */
	    "\xc2\xaa\xee\x80\x80",     /* private use */
	    "\xc2\xaa\xcd\x80",         /* U+0340: prohibited, though it normalises to U+0300 */
	    "\xc2\xaa\xc8\xa1",         /* U+0221: unassigned in Unicode 3.2 */
	    "\xc2\xaa\xf0\x9f\x98\x80", /* a face, younger than 3.2 */
	    "\xd8\xa7"
	    "1", /* right to left, ends otherwise */
	    "\xd8\xa7"
	    "a"
	    "\xd8\xa8", /* both directions */
	    "\xc2\xad", /* nothing would be left */
	    "\xc2\xad\xc2\xad",
	    "\xc2\xaa\xff", /* not UTF-8 */
	    "\xc2",
	    "\xc0\x80",
	    "\xc2\xaa\xed\xa0\x80",     /* a surrogate */
	    "\xc2\xaa\xf4\x90\x80\x80", /* past U+10FFFF */
	};

	(void)state;
	for (size_t i = 0; i < PW_COUNTOF(cases); i++) {
		struct pw_strbuf out = PW_STRBUF_INIT;

		assert_int_equal(pw_saslprep(cases[i], &out), PW_OK);
		if (strcmp(out.data, cases[i]) != 0)
			fail_msg("case %zu was changed", i);
		pw_strbuf_fini(&out);
	}
}

/* U+FDFA is one character and becomes eighteen. */
static void test_saslprep_grows(void **state)
{
	struct pw_strbuf in = PW_STRBUF_INIT, out = PW_STRBUF_INIT;

	(void)state;
	for (int i = 0; i < 500; i++)
		pw_strbuf_add_string(&in, "\xef\xb7\xba");
	assert_int_equal(pw_saslprep(in.data, &out), PW_OK);
	/* 15 letters of two bytes and 3 spaces each */
	assert_int_equal(out.len, 500 * 33);
	pw_strbuf_reset(&out);
	out.has_failed = true;
	assert_int_equal(pw_saslprep("x", &out), PW_ENOMEM);
	pw_strbuf_fini(&in);
	pw_strbuf_fini(&out);
}

/* ---- certificate names ---- */

static void test_cert_names(void **state)
{
	struct {
		const char *cert;
		const char *name;
		bool expected;
	} cases[] = {
	    {"bob", "bob", true},
	    {"Bob", "bOB", true},
	    {"bob", "bobby", false},
	    {"bobby", "bob", false},
	    {"", "", false},
	    {"", "bob", false},
	    {"*", "bob", false},
	    {"*", "a.b", false},
	    {"*.example.org", "db.example.org", true},
	    {"*.EXAMPLE.org", "db.example.ORG", true},
	    {"*.example.org", "example.org", false},
	    {"*.example.org", ".example.org", false},
	    {"*.example.org", "a.db.example.org", false},
	    {"*.example.org", "db.example.org.evil", false},
	    {"*.example.org", "db.example.com", false},
	    {"*.org", "example.org", false},
	    {"*.org.", "example.org.", false},
	    {"*..org", "a..org", false},
	    {"*example.org", "dbexample.org", false},
	    {"d*.example.org", "db.example.org", false},
	    {"*.*.org", "a.b.org", false},
	    {"*.0.0.1", "127.0.0.1", false},
	    {"127.0.0.1", "127.0.0.1", true},
	};

	(void)state;
	for (size_t i = 0; i < PW_COUNTOF(cases); i++) {
		if (pw_cert_name_matches(cases[i].cert, cases[i].name) != cases[i].expected)
			fail_msg("\"%s\" and \"%s\"", cases[i].cert, cases[i].name);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_md5_vectors),
	    cmocka_unit_test(test_md5_matches),
	    cmocka_unit_test(test_md5_of_nothing),
	    cmocka_unit_test(test_md5_matches_no_scram),
	    cmocka_unit_test(test_password_matches),
	    cmocka_unit_test(test_empty_password_has_a_hash),
	    cmocka_unit_test(test_longest_password),
	    cmocka_unit_test(test_saslprep),
	    cmocka_unit_test(test_saslprep_raw),
	    cmocka_unit_test(test_saslprep_grows),
	    cmocka_unit_test(test_cert_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

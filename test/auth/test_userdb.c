/* SPDX-License-Identifier: PostgreSQL
 *
 * auth_file: the format with its oddities, limits, faults, duplicates, and life of the table.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "pgweir/auth/userdb.h"
#include "pgweir/base/rng.h"

#define SCRAM_SECRET                                                                               \
	"SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$"                                             \
	"WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"                                            \
	"wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
#define MD5_SECRET "md50123456789abcdef0123456789abcdef"

#define REST "; this line and all below it do not count\n"

static const struct pw_hash_key key = {1, 2};

struct fixture {
	struct pw_userdb *db;
	struct pw_strbuf warnings;
};

static void parse(struct fixture *fixture, const char *text, size_t len)
{
	/* A block of exactly that size: reading past it is seen. */
	char *copy = malloc(len ? len : 1);

	assert_non_null(copy);
	memcpy(copy, text, len);
	memset(fixture, 0, sizeof(*fixture));
	pw_strbuf_add(&fixture->warnings, "", 0);
	fixture->db = pw_userdb_parse(copy, len, "users.txt", &key, &fixture->warnings);
	free(copy);
	assert_non_null(fixture->db);
}

static void drop(struct fixture *fixture)
{
	pw_userdb_unref(fixture->db);
	pw_strbuf_fini(&fixture->warnings);
}

static void expect_user(const struct pw_userdb *db, const char *name, const char *secret,
			enum pw_secret_kind kind)
{
	const struct pw_user_secret *user = pw_userdb_find(db, name);

	if (!user)
		fail_msg("no user %s", name);
	assert_string_equal(user->name, name);
	assert_string_equal(user->secret, secret);
	assert_int_equal(user->kind, kind);
}

static void test_format(void **state)
{
	static const char text[] = "\"alice\" \"pw\"\n"
				   "\n"
				   "  ; \"eve\" \"no\"\n"
				   ";\"eve\" \"no\"\r\n"
				   "\t\"bob\"\t\"" MD5_SECRET "\" and \"what\" follows\r\n"
				   "\"carol\"\"s\" \"a\"\"b\" ; more\n"
				   "\"dave\" \"\"\n"
				   "\"frank\", \"comma\"\n"
				   "\"grace\"\"\" \"" SCRAM_SECRET "\"";
	struct fixture fixture;

	(void)state;
	parse(&fixture, text, sizeof(text) - 1);
	assert_string_equal(fixture.warnings.data, "");
	assert_int_equal(pw_userdb_count(fixture.db), 6);
	expect_user(fixture.db, "alice", "pw", PW_SECRET_PLAIN);
	expect_user(fixture.db, "bob", MD5_SECRET, PW_SECRET_MD5);
	expect_user(fixture.db, "carol\"s", "a\"b", PW_SECRET_PLAIN);
	expect_user(fixture.db, "dave", "", PW_SECRET_NONE);
	expect_user(fixture.db, "frank", "comma", PW_SECRET_PLAIN);
	expect_user(fixture.db, "grace\"", SCRAM_SECRET, PW_SECRET_SCRAM);
	assert_null(pw_userdb_find(fixture.db, "eve"));
	assert_null(pw_userdb_find(fixture.db, "Alice"));
	assert_null(pw_userdb_find(fixture.db, ""));
	assert_string_equal(pw_userdb_at(fixture.db, 0)->name, "alice");
	assert_string_equal(pw_userdb_at(fixture.db, 5)->name, "grace\"");
	assert_null(pw_userdb_at(fixture.db, 6));
	drop(&fixture);
}

static void test_empty_texts(void **state)
{
	static const char *const texts[] = {"", "\n\n", ";", "; only a comment", " \t\r\n"};

	(void)state;
	for (size_t i = 0; i < PW_COUNTOF(texts); i++) {
		struct fixture fixture;

		parse(&fixture, texts[i], strlen(texts[i]));
		assert_int_equal(pw_userdb_count(fixture.db), 0);
		assert_string_equal(fixture.warnings.data, "");
		assert_null(pw_userdb_find(fixture.db, "bob"));
		drop(&fixture);
	}
}

static void test_faults_end_the_reading(void **state)
{
	static const char expected[] = "\"name\" \"secret\" is expected, both in double quotes";
	static const char not_closed[] = "a double quote is not closed";
	static const struct {
		const char *line, *why;
	} rows[] = {
	    {"# no comment", "\"name\" \"secret\" is expected, both in double quotes; a comment "
			     "begins with ;"},
	    {"bob \"pw\"", expected},
	    {"\"bob", not_closed},
	    {"\"bob\"", expected},
	    {"\"bob\" pw", expected},
	    {"\"bob\" \"pw", not_closed},
	    {"\"bob\" \"pw\"\"", not_closed},
	    /* the next line's name must not become a secret */
	    {"\"bob\"\n\"next\" \"pw\"", expected},
	};

	(void)state;
	for (size_t i = 0; i < PW_COUNTOF(rows); i++) {
		struct fixture fixture;
		char text[200], why[200];

		snprintf(text, sizeof(text), "\"alice\" \"pw\"\n\n%s\n", rows[i].line);
		snprintf(why, sizeof(why), "users.txt:3: broken auth file: %s" REST, rows[i].why);
		parse(&fixture, text, strlen(text));
		assert_string_equal(fixture.warnings.data, why);
		assert_int_equal(pw_userdb_count(fixture.db), 1);
		expect_user(fixture.db, "alice", "pw", PW_SECRET_PLAIN);
		drop(&fixture);
	}
}

static void test_zero_bytes(void **state)
{
	static const char in_name[] = "\"a\" \"1\"\n\"b\0c\" \"2\"\n\"d\" \"3\"\n";
	static const char in_secret[] = "\"a\" \"1\"\n\"b\" \"2\0x\"\n\"d\" \"3\"\n";
	struct fixture fixture;

	(void)state;
	parse(&fixture, in_name, sizeof(in_name) - 1);
	assert_int_equal(pw_userdb_count(fixture.db), 1);
	assert_null(pw_userdb_find(fixture.db, "b"));
	assert_non_null(strstr(fixture.warnings.data, "there is a zero byte"));
	drop(&fixture);
	parse(&fixture, in_secret, sizeof(in_secret) - 1);
	assert_int_equal(pw_userdb_count(fixture.db), 1);
	assert_null(pw_userdb_find(fixture.db, "b"));
	drop(&fixture);
}

static void parse_sized(struct fixture *fixture, size_t name_len, size_t secret_len)
{
	struct pw_strbuf text = PW_STRBUF_INIT;

	pw_strbuf_add_char(&text, '"');
	for (size_t i = 0; i < name_len; i++)
		pw_strbuf_add_char(&text, 'n');
	pw_strbuf_add_string(&text, "\" \"");
	for (size_t i = 0; i < secret_len; i++)
		pw_strbuf_add_char(&text, 's');
	pw_strbuf_add_string(&text, "\"\n\"bob\" \"pw\"\n");
	parse(fixture, text.data, text.len);
	pw_strbuf_fini(&text);
}

static void test_limits(void **state)
{
	struct fixture fixture;

	(void)state;
	parse_sized(&fixture, PW_USERNAME_MAX, PW_SECRET_MAX);
	assert_int_equal(pw_userdb_count(fixture.db), 2);
	assert_int_equal(strlen(pw_userdb_at(fixture.db, 0)->name), PW_USERNAME_MAX);
	assert_int_equal(strlen(pw_userdb_at(fixture.db, 0)->secret), PW_SECRET_MAX);
	drop(&fixture);
	parse_sized(&fixture, PW_USERNAME_MAX + 1, 1);
	assert_int_equal(pw_userdb_count(fixture.db), 0);
	assert_string_equal(fixture.warnings.data,
			    "users.txt:1: username too long in auth file" REST);
	drop(&fixture);
	parse_sized(&fixture, 1, PW_SECRET_MAX + 1);
	assert_int_equal(pw_userdb_count(fixture.db), 0);
	assert_string_equal(fixture.warnings.data,
			    "users.txt:1: password too long in auth file" REST);
	drop(&fixture);
}

/* A secret never shows in a message. */
static void test_warnings_tell_no_secret(void **state)
{
	static const char text[] = "\"bob\" \"hush-hush\"\n\"eve\" \"hush-hush";
	struct fixture fixture;

	(void)state;
	parse(&fixture, text, sizeof(text) - 1);
	assert_int_equal(pw_userdb_count(fixture.db), 1);
	assert_non_null(strstr(fixture.warnings.data, "broken auth file"));
	assert_null(strstr(fixture.warnings.data, "hush"));
	drop(&fixture);
}

static void test_last_duplicate_wins(void **state)
{
	static const char text[] = "\"bob\" \"first\"\n\"eve\" \"x\"\n\"bob\" \"" MD5_SECRET "\"\n";
	struct fixture fixture;

	(void)state;
	parse(&fixture, text, sizeof(text) - 1);
	assert_int_equal(pw_userdb_count(fixture.db), 2);
	expect_user(fixture.db, "bob", MD5_SECRET, PW_SECRET_MD5);
	expect_user(fixture.db, "eve", "x", PW_SECRET_PLAIN);
	drop(&fixture);
}

static void test_many_users(void **state)
{
	struct pw_strbuf text = PW_STRBUF_INIT;
	struct fixture fixture;

	(void)state;
	for (int i = 0; i < 20000; i++)
		pw_strbuf_printf(&text, "\"user%d\" \"secret%d\"\n", i, i);
	parse(&fixture, text.data, text.len);
	assert_int_equal(pw_userdb_count(fixture.db), 20000);
	for (int i = 0; i < 20000; i += 7) {
		char name[32], secret[32];

		snprintf(name, sizeof(name), "user%d", i);
		snprintf(secret, sizeof(secret), "secret%d", i);
		expect_user(fixture.db, name, secret, PW_SECRET_PLAIN);
	}
	assert_null(pw_userdb_find(fixture.db, "user20000"));
	drop(&fixture);
	pw_strbuf_fini(&text);
}

static void test_references(void **state)
{
	struct fixture fixture;
	const struct pw_userdb *second;

	(void)state;
	parse(&fixture, "\"bob\" \"pw\"", 10);
	second = pw_userdb_ref(fixture.db);
	drop(&fixture);
	expect_user(second, "bob", "pw", PW_SECRET_PLAIN);
	pw_userdb_unref(second);
	pw_userdb_unref(NULL);
}

static void test_load(void **state)
{
	char path[] = "/tmp/pgweir-test-userdb-XXXXXX";
	int fd = mkstemp(path);
	struct pw_strbuf warnings = PW_STRBUF_INIT;
	struct pw_unreadable unreadable = {PW_STRBUF_INIT, PW_STRBUF_INIT};
	struct pw_userdb *db;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "\"bob\" \"pw\"\n", 11), 11);
	close(fd);
	db = pw_userdb_load(path, &key, &unreadable, &warnings);
	assert_non_null(db);
	assert_int_equal(warnings.len, 0);
	expect_user(db, "bob", "pw", PW_SECRET_PLAIN);
	pw_userdb_unref(db);
	unlink(path);
	db = pw_userdb_load(path, &key, &unreadable, &warnings);
	assert_non_null(db);
	assert_int_equal(pw_userdb_count(db), 0);
	assert_non_null(
	    strstr(unreadable.lines.data, "could not open auth_file /tmp/pgweir-test-userdb"));
	assert_non_null(strstr(unreadable.lines.data, "No such file or directory\n"));
	pw_userdb_unref(db);
	assert_int_equal(warnings.len, 0);
	db = pw_userdb_load("/", &key, &unreadable, &warnings);
	assert_non_null(db);
	assert_int_equal(pw_userdb_count(db), 0);
	assert_non_null(strstr(unreadable.lines.data, "could not open auth_file /: "));
	pw_userdb_unref(db);
	pw_strbuf_fini(&warnings);
	pw_unreadable_fini(&unreadable);
}

static void test_classify(void **state)
{
	(void)state;
	assert_int_equal(pw_secret_classify(""), PW_SECRET_NONE);
	assert_int_equal(pw_secret_classify(MD5_SECRET), PW_SECRET_MD5);
	assert_int_equal(pw_secret_classify(MD5_SECRET "0"), PW_SECRET_PLAIN);
	assert_int_equal(pw_secret_classify("md50123456789abcdef0123456789abcde"), PW_SECRET_PLAIN);
	assert_int_equal(pw_secret_classify("md50123456789ABCDEF0123456789abcdef"),
			 PW_SECRET_PLAIN);
	assert_int_equal(pw_secret_classify("md50123456789abcdef0123456789abcdeg"),
			 PW_SECRET_PLAIN);
	assert_int_equal(pw_secret_classify(SCRAM_SECRET), PW_SECRET_SCRAM);
	assert_int_equal(pw_secret_classify("SCRAM-SHA-256$4096:x"), PW_SECRET_PLAIN);
	assert_int_equal(pw_secret_classify("trustno1"), PW_SECRET_PLAIN);
}

/* Whatever the bytes, there is a table, and what it lists it finds. */
static void test_random_bytes(void **state)
{
	static const char alphabet[] = "\"\"\"\"\n ;ab\0md5";
	struct pw_rng rng;

	(void)state;
	pw_rng_seed(&rng, 7);
	for (int round = 0; round < 5000; round++) {
		char text[64];
		size_t len = (size_t)(pw_rng_next(&rng) % sizeof(text));
		struct fixture fixture;

		for (size_t i = 0; i < len; i++)
			text[i] = alphabet[pw_rng_next(&rng) % sizeof(alphabet)];
		parse(&fixture, text, len);
		for (size_t i = 0; i < pw_userdb_count(fixture.db); i++) {
			const struct pw_user_secret *user = pw_userdb_at(fixture.db, i);

			assert_ptr_equal(pw_userdb_find(fixture.db, user->name), user);
		}
		drop(&fixture);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_format),
	    cmocka_unit_test(test_empty_texts),
	    cmocka_unit_test(test_faults_end_the_reading),
	    cmocka_unit_test(test_zero_bytes),
	    cmocka_unit_test(test_limits),
	    cmocka_unit_test(test_warnings_tell_no_secret),
	    cmocka_unit_test(test_last_duplicate_wins),
	    cmocka_unit_test(test_many_users),
	    cmocka_unit_test(test_references),
	    cmocka_unit_test(test_load),
	    cmocka_unit_test(test_classify),
	    cmocka_unit_test(test_random_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

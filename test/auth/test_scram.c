/* SPDX-License-Identifier: PostgreSQL
 *
 * SCRAM between good peers: published vectors, both sides against each other, remembered keys,
 * channel binding, verifiers. Hostile peers are in test_scram_hostile.c.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "auth/auth_priv.h"
#include "pgweir/auth/scram.h"

/* RFC 7677 section 3. */
#define RFC_CLIENT_NONCE "rOprNGfwEbeRWgbNEkqO"
#define RFC_SERVER_NONCE "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
#define RFC_SALT         "W22ZaJ0SNY7soEsUEjb6gQ=="
#define RFC_CLIENT_FIRST "n,,n=user,r=" RFC_CLIENT_NONCE
#define RFC_SERVER_FIRST "r=" RFC_CLIENT_NONCE RFC_SERVER_NONCE ",s=" RFC_SALT ",i=4096"
#define RFC_CLIENT_FINAL                                                                           \
	"c=biws,r=" RFC_CLIENT_NONCE RFC_SERVER_NONCE                                              \
	",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
#define RFC_SERVER_FINAL "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
#define RFC_VERIFIER                                                                               \
	"SCRAM-SHA-256$4096:" RFC_SALT "$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"            \
	"wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="

static const uint8_t binding[] = "certificate hash";

static const uint8_t *bytes(const char *text)
{
	return (const uint8_t *)text;
}

static void test_server_follows_rfc(void **state)
{
	struct pw_scram_verifier verifier;
	struct pw_scram_keys keys = {.is_set = false};
	struct pw_scram_server *scram;
	struct pw_strbuf out = PW_STRBUF_INIT;

	(void)state;
	assert_true(pw_scram_verifier_parse(RFC_VERIFIER, &verifier));
	scram = pw_scram_server_create(&verifier, NULL, 0);
	assert_non_null(scram);
	pw_scram_server_fix(scram, RFC_SERVER_NONCE);
	assert_int_equal(pw_scram_server_first(scram, "SCRAM-SHA-256", bytes(RFC_CLIENT_FIRST),
					       strlen(RFC_CLIENT_FIRST), &out),
			 PW_OK);
	assert_string_equal(out.data, RFC_SERVER_FIRST);
	pw_strbuf_reset(&out);
	assert_int_equal(pw_scram_server_final(scram, bytes(RFC_CLIENT_FINAL),
					       strlen(RFC_CLIENT_FINAL), &out, &keys),
			 PW_OK);
	assert_string_equal(out.data, RFC_SERVER_FINAL);
	assert_true(keys.is_set);
	assert_memory_equal(keys.server_key, verifier.server_key, PW_SCRAM_KEY_LEN);
	pw_strbuf_fini(&out);
	pw_scram_server_destroy(scram);
}

static void test_client_follows_rfc(void **state)
{
	struct pw_scram_client *scram = pw_scram_client_create("pencil", NULL, NULL, 0, false);
	struct pw_strbuf out = PW_STRBUF_INIT;

	(void)state;
	assert_non_null(scram);
	assert_int_equal(pw_scram_client_fix(scram, "user", RFC_CLIENT_NONCE), PW_OK);
	assert_int_equal(pw_scram_client_first(scram, &out), PW_OK);
	assert_string_equal(out.data, RFC_CLIENT_FIRST);
	pw_strbuf_reset(&out);
	assert_int_equal(
	    pw_scram_client_final(scram, bytes(RFC_SERVER_FIRST), strlen(RFC_SERVER_FIRST), &out),
	    PW_OK);
	assert_string_equal(out.data, RFC_CLIENT_FINAL);
	assert_false(pw_scram_client_is_verified(scram));
	assert_int_equal(
	    pw_scram_client_verify(scram, bytes(RFC_SERVER_FINAL), strlen(RFC_SERVER_FINAL)),
	    PW_OK);
	assert_true(pw_scram_client_is_verified(scram));
	pw_strbuf_fini(&out);
	pw_scram_client_destroy(scram);
}

/* Plays a whole login; the first status that is not PW_OK ends it. */
static enum pw_status play(struct pw_scram_server *server, struct pw_scram_client *client,
			   const char *mechanism, struct pw_scram_keys *keys)
{
	struct pw_strbuf from_client = PW_STRBUF_INIT, from_server = PW_STRBUF_INIT;
	enum pw_status status;

	assert_non_null(server);
	assert_non_null(client);
	status = pw_scram_client_first(client, &from_client);
	if (status == PW_OK)
		status = pw_scram_server_first(server, mechanism, bytes(from_client.data),
					       from_client.len, &from_server);
	pw_strbuf_reset(&from_client);
	if (status == PW_OK)
		status = pw_scram_client_final(client, bytes(from_server.data), from_server.len,
					       &from_client);
	pw_strbuf_reset(&from_server);
	if (status == PW_OK)
		status = pw_scram_server_final(server, bytes(from_client.data), from_client.len,
					       &from_server, keys);
	if (status == PW_OK)
		status = pw_scram_client_verify(client, bytes(from_server.data), from_server.len);
	pw_strbuf_fini(&from_client);
	pw_strbuf_fini(&from_server);
	pw_scram_server_destroy(server);
	pw_scram_client_destroy(client);
	return status;
}

static struct pw_scram_verifier verifier_of(const char *password)
{
	struct pw_scram_verifier verifier;

	assert_true(
	    pw_scram_verifier_derive(password, bytes("sixteen bytes ok"), 16, 64, &verifier));
	return verifier;
}

static void test_password_login(void **state)
{
	struct pw_scram_verifier verifier = verifier_of("s3cret, with commas = and more");

	(void)state;
	assert_int_equal(
	    play(pw_scram_server_create(&verifier, NULL, 0),
		 pw_scram_client_create("s3cret, with commas = and more", NULL, NULL, 0, false),
		 PW_SCRAM_MECHANISM, NULL),
	    PW_OK);
	assert_int_equal(play(pw_scram_server_create(&verifier, NULL, 0),
			      pw_scram_client_create("S3cret", NULL, NULL, 0, false),
			      PW_SCRAM_MECHANISM, NULL),
			 PW_EDENIED);
	assert_int_equal(play(pw_scram_server_create(&verifier, NULL, 0),
			      pw_scram_client_create("", NULL, NULL, 0, false), PW_SCRAM_MECHANISM,
			      NULL),
			 PW_EDENIED);
}

/* What a client showed opens a server with the same verifier, and no other. */
static void test_keys_pass_through(void **state)
{
	struct pw_scram_verifier verifier = verifier_of("pw"), other;
	struct pw_scram_keys keys = {.is_set = false};

	(void)state;
	assert_int_equal(play(pw_scram_server_create(&verifier, NULL, 0),
			      pw_scram_client_create("pw", NULL, NULL, 0, false),
			      PW_SCRAM_MECHANISM, &keys),
			 PW_OK);
	assert_true(keys.is_set);
	assert_int_equal(play(pw_scram_server_create(&verifier, NULL, 0),
			      pw_scram_client_create(NULL, &keys, NULL, 0, true),
			      PW_SCRAM_MECHANISM, NULL),
			 PW_OK);
	assert_true(pw_scram_verifier_derive("pw", bytes("another salt"), 12, 64, &other));
	assert_int_equal(play(pw_scram_server_create(&other, NULL, 0),
			      pw_scram_client_create(NULL, &keys, NULL, 0, false),
			      PW_SCRAM_MECHANISM, NULL),
			 PW_EDENIED);
}

static void test_keys_not_given_out_on_failure(void **state)
{
	struct pw_scram_verifier verifier = verifier_of("pw");
	struct pw_scram_keys keys = {.is_set = false}, untouched = {.is_set = false};

	(void)state;
	assert_int_equal(play(pw_scram_server_create(&verifier, NULL, 0),
			      pw_scram_client_create("other", NULL, NULL, 0, false),
			      PW_SCRAM_MECHANISM, &keys),
			 PW_EDENIED);
	assert_memory_equal(&keys, &untouched, sizeof(keys));
}

struct binding_case {
	const char *mechanism;
	const char *client_binding;
	const char *server_binding;
	bool is_client_tls;
	enum pw_status expected;
};

static void test_channel_binding(void **state)
{
	static const struct binding_case cases[] = {
	    {PW_SCRAM_MECHANISM_PLUS, "hash", "hash", true, PW_OK},
	    {PW_SCRAM_MECHANISM_PLUS, "hash", "hasH", true, PW_EPROTO},
	    {PW_SCRAM_MECHANISM_PLUS, "hash", "has", true, PW_EPROTO},
	    {PW_SCRAM_MECHANISM_PLUS, "hash", NULL, true, PW_EPROTO},
	    {PW_SCRAM_MECHANISM_PLUS, NULL, "hash", false, PW_EPROTO},
	    {PW_SCRAM_MECHANISM_PLUS, NULL, "hash", true, PW_EPROTO},
	    {PW_SCRAM_MECHANISM, "hash", "hash", true, PW_EPROTO},
	    {PW_SCRAM_MECHANISM, NULL, "hash", false, PW_OK},    /* n: does not bind */
	    {PW_SCRAM_MECHANISM, NULL, "hash", true, PW_EPROTO}, /* y: somebody hid PLUS */
	    {PW_SCRAM_MECHANISM, NULL, NULL, true, PW_OK},
	    {"SCRAM-SHA-1", NULL, NULL, false, PW_EPROTO},
	};
	struct pw_scram_verifier verifier = verifier_of("pw");

	(void)state;
	for (size_t i = 0; i < PW_COUNTOF(cases); i++) {
		const char *mine = cases[i].client_binding, *theirs = cases[i].server_binding;
		enum pw_status status;

		status =
		    play(pw_scram_server_create(&verifier, theirs ? bytes(theirs) : NULL,
						theirs ? strlen(theirs) : 0),
			 pw_scram_client_create("pw", NULL, mine ? bytes(mine) : NULL,
						mine ? strlen(mine) : 0, cases[i].is_client_tls),
			 cases[i].mechanism, NULL);
		if (status != cases[i].expected)
			fail_msg("case %zu: status %d", i, (int)status);
	}
}

static void test_client_first_headers(void **state)
{
	struct {
		const uint8_t *binding;
		bool is_tls;
		const char *expected;
	} cases[] = {
	    {NULL, false, "n,,n=,r="},
	    {NULL, true, "y,,n=,r="},
	    {binding, true, "p=tls-server-end-point,,n=,r="},
	};

	(void)state;
	for (size_t i = 0; i < PW_COUNTOF(cases); i++) {
		struct pw_strbuf out = PW_STRBUF_INIT;
		struct pw_scram_client *scram =
		    pw_scram_client_create("pw", NULL, cases[i].binding,
					   cases[i].binding ? sizeof(binding) : 0, cases[i].is_tls);

		assert_non_null(scram);
		assert_int_equal(pw_scram_client_first(scram, &out), PW_OK);
		assert_memory_equal(out.data, cases[i].expected, strlen(cases[i].expected));
		/* 18 random bytes in base64 */
		assert_int_equal(out.len, strlen(cases[i].expected) + 24);
		pw_strbuf_fini(&out);
		pw_scram_client_destroy(scram);
	}
}

static void test_nonces_differ(void **state)
{
	char first[PW_SCRAM_NONCE_SIZE], second[PW_SCRAM_NONCE_SIZE];

	(void)state;
	pw_scram_make_nonce(first);
	pw_scram_make_nonce(second);
	assert_int_equal(strlen(first), 24);
	assert_string_not_equal(first, second);
}

/* One object, one try. */
static void test_out_of_turn(void **state)
{
	struct pw_scram_verifier verifier = verifier_of("pw");
	struct pw_scram_server *server = pw_scram_server_create(&verifier, NULL, 0);
	struct pw_scram_client *client = pw_scram_client_create("pw", NULL, NULL, 0, false);
	struct pw_strbuf out = PW_STRBUF_INIT;
	const char *first = "n,,n=,r=abc";

	(void)state;
	assert_int_equal(pw_scram_server_final(server, bytes("c=biws"), 6, &out, NULL), PW_EPROTO);
	assert_int_equal(
	    pw_scram_server_first(server, PW_SCRAM_MECHANISM, bytes(first), strlen(first), &out),
	    PW_EPROTO);
	pw_scram_server_destroy(server);
	server = pw_scram_server_create(&verifier, NULL, 0);
	assert_int_equal(
	    pw_scram_server_first(server, PW_SCRAM_MECHANISM, bytes(first), strlen(first), &out),
	    PW_OK);
	assert_int_equal(
	    pw_scram_server_first(server, PW_SCRAM_MECHANISM, bytes(first), strlen(first), &out),
	    PW_EPROTO);
	assert_int_equal(pw_scram_client_verify(client, bytes("v="), 2), PW_EPROTO);
	assert_int_equal(pw_scram_client_first(client, &out), PW_EPROTO);
	pw_scram_server_destroy(server);
	pw_scram_client_destroy(client);
	pw_strbuf_fini(&out);
}

static void test_without_memory(void **state)
{
	struct pw_scram_verifier verifier = verifier_of("pw");
	struct pw_scram_server *server = pw_scram_server_create(&verifier, NULL, 0);
	struct pw_scram_client *client = pw_scram_client_create("pw", NULL, NULL, 0, false);
	struct pw_strbuf out = {.has_failed = true};
	const char *first = "n,,n=,r=abc";

	(void)state;
	assert_int_equal(
	    pw_scram_server_first(server, PW_SCRAM_MECHANISM, bytes(first), strlen(first), &out),
	    PW_ENOMEM);
	assert_int_equal(pw_scram_client_first(client, &out), PW_ENOMEM);
	pw_scram_server_destroy(server);
	pw_scram_client_destroy(client);
	pw_scram_server_destroy(NULL);
	pw_scram_client_destroy(NULL);
}

/* ---- verifiers ---- */

static void test_verifier_text(void **state)
{
	struct pw_scram_verifier verifier;
	struct pw_strbuf out = PW_STRBUF_INIT;

	(void)state;
	assert_true(pw_scram_verifier_parse(RFC_VERIFIER, &verifier));
	assert_int_equal(verifier.iterations, 4096);
	assert_int_equal(verifier.salt_len, 16);
	pw_scram_verifier_format(&verifier, &out);
	assert_string_equal(out.data, RFC_VERIFIER);
	assert_true(pw_scram_verifier_matches(&verifier, "pencil"));
	assert_false(pw_scram_verifier_matches(&verifier, "Pencil"));
	assert_false(pw_scram_verifier_matches(&verifier, ""));
	pw_strbuf_fini(&out);
}

#define KEY "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY="

static void test_verifier_faults(void **state)
{
	static const char *const faults[] = {
	    "",
	    "SCRAM-SHA-256",
	    "SCRAM-SHA-256$",
	    "SCRAM-SHA-256$4096",
	    "SCRAM-SHA-256$4096:QQ==",
	    "SCRAM-SHA-256$4096:QQ==$" KEY,
	    "SCRAM-SHA-256$4096:QQ==$" KEY ":",
	    "SCRAM-SHA-256$4096:$" KEY ":" KEY,
	    "SCRAM-SHA-256$4096:QQ$" KEY ":" KEY,
	    "SCRAM-SHA-256$4096:Q Q=$" KEY ":" KEY,
	    "SCRAM-SHA-256$0:QQ==$" KEY ":" KEY,
	    "SCRAM-SHA-256$-1:QQ==$" KEY ":" KEY,
	    "SCRAM-SHA-256$:QQ==$" KEY ":" KEY,
	    "SCRAM-SHA-256$2147483648:QQ==$" KEY ":" KEY,
	    "SCRAM-SHA-256$4294967297:QQ==$" KEY ":" KEY,
	    "SCRAM-SHA-256$4096:QQ==$QQ==:" KEY,
	    "SCRAM-SHA-256$4096:QQ==$" KEY ":QQ==",
	    "SCRAM-SHA-256$4096:QQ==$" KEY ":" KEY " ",
	    "SCRAM-SHA-256$4096:QQ==$" KEY ":" KEY ":",
	    "SCRAM-SHA-1$4096:QQ==$" KEY ":" KEY,
	    "scram-sha-256$4096:QQ==$" KEY ":" KEY,
	};
	struct pw_scram_verifier verifier;

	(void)state;
	assert_true(pw_scram_verifier_parse("SCRAM-SHA-256$1:QQ==$" KEY ":" KEY, &verifier));
	for (size_t i = 0; i < PW_COUNTOF(faults); i++) {
		if (pw_scram_verifier_parse(faults[i], &verifier))
			fail_msg("taken: %s", faults[i]);
	}
}

static void test_verifier_salt_bounds(void **state)
{
	struct pw_scram_verifier verifier = verifier_of("pw"), again;
	struct pw_strbuf text = PW_STRBUF_INIT;
	uint8_t salt[PW_SCRAM_SALT_MAX + 1] = {1};

	(void)state;
	verifier.salt_len = PW_SCRAM_SALT_MAX;
	pw_scram_verifier_format(&verifier, &text);
	assert_true(pw_scram_verifier_parse(text.data, &again));
	assert_int_equal(again.salt_len, PW_SCRAM_SALT_MAX);
	pw_strbuf_reset(&text);
	pw_strbuf_add_string(&text, "SCRAM-SHA-256$1:");
	pw_base64_add(&text, salt, sizeof(salt));
	pw_strbuf_add_string(&text, "$" KEY ":" KEY);
	assert_false(pw_scram_verifier_parse(text.data, &again));
	assert_false(pw_scram_verifier_derive("pw", salt, sizeof(salt), 1, &again));
	assert_false(pw_scram_verifier_derive("pw", salt, 0, 1, &again));
	assert_false(pw_scram_verifier_derive("pw", salt, 16, 0, &again));
	pw_strbuf_fini(&text);
}

/* A database user may store what would keep a thread busy for hours. */
static void test_verifier_too_costly(void **state)
{
	static const uint8_t salt[] = "salt";
	struct pw_scram_verifier verifier;

	(void)state;
	assert_true(pw_scram_verifier_derive("pw", salt, 4, PW_SCRAM_CHECK_MAX, &verifier));
	assert_true(pw_scram_verifier_matches(&verifier, "pw"));
	assert_true(pw_scram_verifier_derive("pw", salt, 4, PW_SCRAM_CHECK_MAX + 1, &verifier));
	assert_false(pw_scram_verifier_matches(&verifier, "pw"));
	assert_true(
	    pw_scram_verifier_parse("SCRAM-SHA-256$2147483647:QQ==$" KEY ":" KEY, &verifier));
	assert_false(pw_scram_verifier_matches(&verifier, "pencil"));
}

static void test_mock_verifier(void **state)
{
	static const uint8_t secret[32] = "secret of this process", other_secret[32] = "x";
	struct pw_scram_verifier a, again, b, c;
	uint8_t salt[PW_SCRAM_SALT_LEN];

	(void)state;
	pw_scram_verifier_mock("nobody", secret, 4096, &a);
	pw_scram_verifier_mock("nobody", secret, 4096, &again);
	pw_scram_verifier_mock("nobodY", secret, 4096, &b);
	pw_scram_verifier_mock("nobody", other_secret, 4096, &c);
	assert_int_equal(a.salt_len, 16);
	assert_int_equal(a.iterations, 4096);
	assert_memory_equal(a.salt, again.salt, 16);
	assert_memory_not_equal(a.salt, b.salt, 16);
	assert_memory_not_equal(a.salt, c.salt, 16);
	pw_scram_salt("nobody", secret, salt);
	assert_memory_equal(a.salt, salt, sizeof(salt));
	/* Two keys drawn apart: what was right for one exchange would be wrong in the next. */
	assert_memory_not_equal(a.stored_key, again.stored_key, PW_SCRAM_KEY_LEN);
	assert_false(pw_scram_verifier_matches(&a, ""));
	assert_false(pw_scram_verifier_matches(&a, "nobody"));
	assert_int_equal(play(pw_scram_server_create(&a, NULL, 0),
			      pw_scram_client_create("nobody", NULL, NULL, 0, false),
			      PW_SCRAM_MECHANISM, NULL),
			 PW_EDENIED);
}

/* A password that SASLprep changes gives the keys of its prepared form. */
static void test_password_is_prepared(void **state)
{
	struct pw_scram_verifier verifier = verifier_of("I\xc2\xadX");

	(void)state;
	assert_true(pw_scram_verifier_matches(&verifier, "IX"));
	assert_true(pw_scram_verifier_matches(&verifier, "\xe2\x85\xa8"));
	assert_int_equal(play(pw_scram_server_create(&verifier, NULL, 0),
			      pw_scram_client_create("\xe2\x85\xa8", NULL, NULL, 0, false),
			      PW_SCRAM_MECHANISM, NULL),
			 PW_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_server_follows_rfc),
	    cmocka_unit_test(test_client_follows_rfc),
	    cmocka_unit_test(test_password_login),
	    cmocka_unit_test(test_keys_pass_through),
	    cmocka_unit_test(test_keys_not_given_out_on_failure),
	    cmocka_unit_test(test_channel_binding),
	    cmocka_unit_test(test_client_first_headers),
	    cmocka_unit_test(test_nonces_differ),
	    cmocka_unit_test(test_out_of_turn),
	    cmocka_unit_test(test_without_memory),
	    cmocka_unit_test(test_verifier_text),
	    cmocka_unit_test(test_verifier_faults),
	    cmocka_unit_test(test_verifier_salt_bounds),
	    cmocka_unit_test(test_verifier_too_costly),
	    cmocka_unit_test(test_mock_verifier),
	    cmocka_unit_test(test_password_is_prepared),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

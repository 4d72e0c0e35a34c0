/* SPDX-License-Identifier: PostgreSQL
 *
 * SCRAM against peers that mean harm: the recorded exchanges of the fuzz corpora, valid ones cut
 * at every byte and mutated, and lengths that once overflowed other poolers. Messages lie in
 * blocks of their exact size, so that an address sanitizer sees the first byte too many.
 */
#include "config.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "auth/auth_priv.h"
#include "pgweir/base/rng.h"
#include "scram_replay.h"

enum { MUTATIONS = 3000 };

/* One side of the exchange: how its corpus is played, and where it lies. */
struct side {
	const char *folder;
	enum pw_status (*play)(struct replay_part parts[3]);
};

static enum pw_status play_server(struct replay_part parts[3])
{
	struct pw_scram_keys keys;

	return replay_server_parts(parts, &keys);
}

static const struct side server_side = {"scram_server", play_server};
static const struct side client_side = {"scram_client", replay_client_parts};

/* automake runs tests with the source folder in $srcdir. */
static void make_path(const struct side *side, const char *name, char *out, size_t size)
{
	const char *top = getenv("srcdir");

	snprintf(out, size, "%s/test/fuzz/corpus/%s/%s", top ? top : ".", side->folder, name);
}

static void read_parts(const struct side *side, const char *name, struct replay_part parts[3])
{
	struct pw_strbuf text = PW_STRBUF_INIT;
	char path[512];

	make_path(side, name, path, sizeof(path));
	assert_int_equal(pw_auth_read_file(path, &text), PW_OK);
	assert_true(text.len > 0);
	replay_split((const uint8_t *)text.data, text.len, parts);
	pw_strbuf_fini(&text);
}

/* Files named valid-* are let in, broken-* are not; nothing else lies there. */
static size_t play_corpus(const struct side *side)
{
	char path[512];
	DIR *dir;
	struct dirent *file;
	size_t broken = 0;

	make_path(side, "", path, sizeof(path));
	dir = opendir(path);
	assert_non_null(dir);
	while ((file = readdir(dir)) != NULL) {
		bool is_valid = strncmp(file->d_name, "valid-", 6) == 0;
		struct replay_part parts[3];
		enum pw_status status;

		if (file->d_name[0] == '.')
			continue;
		read_parts(side, file->d_name, parts);
		status = side->play(parts);
		replay_free(parts);
		if (is_valid != (status == PW_OK))
			fail_msg("%s/%s: status %d", side->folder, file->d_name, (int)status);
		if (status != PW_OK && status != PW_EPROTO && status != PW_EDENIED)
			fail_msg("%s/%s: odd status %d", side->folder, file->d_name, (int)status);
		broken += is_valid ? 0 : 1;
	}
	closedir(dir);
	return broken;
}

static void test_recorded_exchanges(void **state)
{
	(void)state;
	assert_true(play_corpus(&server_side) >= 60);
	assert_true(play_corpus(&client_side) >= 40);
}

/* A wrong proof or signature is a refusal, not a fault of the protocol. */
static void test_refusals_are_told_apart(void **state)
{
	struct {
		const struct side *side;
		const char *name;
		enum pw_status expected;
	} cases[] = {
	    {&server_side, "broken-proof-wrong", PW_EDENIED},
	    {&server_side, "broken-proof-all-zero", PW_EDENIED},
	    {&server_side, "broken-proof-short", PW_EPROTO},
	    {&server_side, "broken-downgrade-y-though-plus-offered", PW_EPROTO},
	    {&client_side, "broken-signature-wrong", PW_EDENIED},
	    {&client_side, "broken-final-error", PW_EDENIED},
	    {&client_side, "broken-signature-short", PW_EPROTO},
	    {&client_side, "broken-iterations-over-limit", PW_EPROTO},
	};

	(void)state;
	for (size_t i = 0; i < PW_COUNTOF(cases); i++) {
		struct replay_part parts[3];

		read_parts(cases[i].side, cases[i].name, parts);
		if (cases[i].side->play(parts) != cases[i].expected)
			fail_msg("%s", cases[i].name);
		replay_free(parts);
	}
}

static void cut_everywhere(const struct side *side, const char *name)
{
	struct replay_part parts[3];

	read_parts(side, name, parts);
	for (int which = 1; which < 3; which++) {
		struct replay_part whole = parts[which];

		for (size_t len = 0; len < whole.len; len++) {
			parts[which] = replay_copy(whole.data, len);
			if (side->play(parts) == PW_OK)
				fail_msg("%s: message %d cut to %zu", name, which, len);
			free(parts[which].data);
		}
		parts[which] = whole;
	}
	assert_int_equal(side->play(parts), PW_OK);
	replay_free(parts);
}

static void test_cut_at_every_byte(void **state)
{
	(void)state;
	cut_everywhere(&server_side, "valid-plain");
	cut_everywhere(&server_side, "valid-plus");
	cut_everywhere(&server_side, "valid-extension-in-final");
	cut_everywhere(&client_side, "valid-n");
	cut_everywhere(&client_side, "valid-plus");
	cut_everywhere(&client_side, "valid-extension-in-first");
}

/* Changes one to three bytes to other ones, often to a delimiter. */
static struct replay_part mutate(struct replay_part whole, struct pw_rng *rng)
{
	static const char delimiters[] = ",=rpcvnmei+/A\0 ";
	struct replay_part part = replay_copy(whole.data, whole.len);
	uint64_t changes = 1 + pw_rng_next(rng) % 3;

	for (uint64_t i = 0; i < changes; i++) {
		uint64_t r = pw_rng_next(rng);
		size_t at = (size_t)(r % part.len);

		part.data[at] = r >> 63 ? (uint8_t)delimiters[(r >> 32) % sizeof(delimiters)]
					: (uint8_t)(r >> 40);
	}
	if (memcmp(part.data, whole.data, whole.len) == 0)
		part.data[0] ^= 1;
	return part;
}

/* Both messages are signed, so that no change of either may go through. */
static void mutate_often(const struct side *side, const char *name, uint64_t seed)
{
	struct replay_part parts[3];
	struct pw_rng rng;

	pw_rng_seed(&rng, seed);
	read_parts(side, name, parts);
	for (int i = 0; i < MUTATIONS; i++) {
		int which = 1 + i % 2;
		struct replay_part whole = parts[which];

		parts[which] = mutate(whole, &rng);
		if (side->play(parts) == PW_OK)
			fail_msg("%s: message %d changed to %.*s", name, which,
				 (int)parts[which].len, (const char *)parts[which].data);
		free(parts[which].data);
		parts[which] = whole;
	}
	replay_free(parts);
}

static void test_random_mutations(void **state)
{
	(void)state;
	mutate_often(&server_side, "valid-plain", 1);
	mutate_often(&server_side, "valid-plus", 2);
	mutate_often(&client_side, "valid-n", 3);
	mutate_often(&client_side, "valid-plus", 4);
}

/* The sizes of a malformed message must not be trusted before they are checked: a length that no
 * buffer has is refused without a look at the buffer. */
static void test_impossible_lengths(void **state)
{
	static const size_t lengths[] = {
	    0, PW_SCRAM_MESSAGE_MAX + 1, INT32_MAX, UINT32_MAX, SIZE_MAX / 2, SIZE_MAX};
	struct pw_scram_verifier verifier;
	struct pw_scram_keys keys = {.is_set = true};
	struct pw_strbuf out = PW_STRBUF_INIT;

	(void)state;
	assert_true(pw_scram_verifier_parse(REPLAY_VERIFIER, &verifier));
	for (size_t i = 0; i < PW_COUNTOF(lengths); i++) {
		struct replay_part small = replay_copy((const uint8_t *)"n,,n=,r=a", 9);
		struct pw_scram_server *server = pw_scram_server_create(&verifier, NULL, 0);
		struct pw_scram_client *client =
		    pw_scram_client_create(NULL, &keys, NULL, 0, false);

		assert_int_equal(
		    pw_scram_server_first(server, PW_SCRAM_MECHANISM, small.data, lengths[i], &out),
		    PW_EPROTO);
		pw_scram_server_destroy(server);
		server = pw_scram_server_create(&verifier, NULL, 0);
		assert_int_equal(
		    pw_scram_server_first(server, PW_SCRAM_MECHANISM, small.data, 9, &out), PW_OK);
		assert_int_equal(pw_scram_server_final(server, small.data, lengths[i], &out, NULL),
				 PW_EPROTO);
		assert_int_equal(pw_scram_client_first(client, &out), PW_OK);
		assert_int_equal(pw_scram_client_final(client, small.data, lengths[i], &out),
				 PW_EPROTO);
		pw_scram_server_destroy(server);
		pw_scram_client_destroy(client);
		free(small.data);
	}
	pw_strbuf_fini(&out);
}

static enum pw_status answer_nonce(size_t len, size_t *answer_len)
{
	struct pw_scram_keys keys = {.is_set = true};
	struct pw_scram_client *scram = pw_scram_client_create(NULL, &keys, NULL, 0, false);
	struct pw_strbuf out = PW_STRBUF_INIT, first = PW_STRBUF_INIT;
	enum pw_status status;

	assert_int_equal(pw_scram_client_fix(scram, "", REPLAY_NONCE), PW_OK);
	assert_int_equal(pw_scram_client_first(scram, &out), PW_OK);
	pw_strbuf_reset(&out);
	pw_strbuf_add_string(&first, "r=" REPLAY_NONCE);
	while (first.len < len + 2)
		pw_strbuf_add_char(&first, 'S');
	pw_strbuf_add_string(&first, ",s=QQ==,i=1");
	status = pw_scram_client_final(scram, (const uint8_t *)first.data, first.len, &out);
	*answer_len = out.len;
	pw_strbuf_fini(&first);
	pw_strbuf_fini(&out);
	pw_scram_client_destroy(scram);
	return status;
}

/* The client-final-message repeats the server's nonce, however long that is. */
static void test_long_server_nonce(void **state)
{
	size_t len;

	(void)state;
	assert_int_equal(answer_nonce(PW_SCRAM_NONCE_MAX, &len), PW_OK);
	assert_int_equal(len, strlen("c=biws,r=,p=") + PW_SCRAM_NONCE_MAX + 44);
	for (size_t n = PW_SCRAM_NONCE_MAX + 1; n < 70000; n = n * 3 / 2) {
		assert_int_equal(answer_nonce(n, &len), PW_EPROTO);
		assert_int_equal(len, 0);
	}
}

static enum pw_status answer_iterations(const char *password, const char *iterations)
{
	struct pw_scram_keys keys = {.is_set = true};
	struct pw_scram_client *scram =
	    pw_scram_client_create(password, password ? NULL : &keys, NULL, 0, false);
	struct pw_strbuf out = PW_STRBUF_INIT;
	char first[128];
	enum pw_status status;

	snprintf(first, sizeof(first), "r=" REPLAY_NONCE "S,s=QQ==,i=%s", iterations);
	assert_int_equal(pw_scram_client_fix(scram, "", REPLAY_NONCE), PW_OK);
	assert_int_equal(pw_scram_client_first(scram, &out), PW_OK);
	pw_strbuf_reset(&out);
	status = pw_scram_client_final(scram, (const uint8_t *)first, strlen(first), &out);
	assert_int_equal(out.len > 0, status == PW_OK);
	pw_strbuf_fini(&out);
	pw_scram_client_destroy(scram);
	return status;
}

/* With a password the work is the server's to choose, within the limit; with keys there is none. */
static void test_iterations_limit(void **state)
{
	(void)state;
	assert_int_equal(answer_iterations("pw", "4096"), PW_OK);
	assert_int_equal(answer_iterations("pw", "1000001"), PW_ELIMIT);
	assert_int_equal(answer_iterations("pw", "10000000"), PW_ELIMIT);
	assert_int_equal(answer_iterations("pw", "4294967295"), PW_EPROTO);
	assert_int_equal(answer_iterations(NULL, "10000000"), PW_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_recorded_exchanges),
	    cmocka_unit_test(test_refusals_are_told_apart),
	    cmocka_unit_test(test_cut_at_every_byte),
	    cmocka_unit_test(test_random_mutations),
	    cmocka_unit_test(test_impossible_lengths),
	    cmocka_unit_test(test_long_server_nonce),
	    cmocka_unit_test(test_iterations_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: PostgreSQL
 *
 * What makes a context and what is refused, with which words.
 */
#include "config.h"

#include "tls_fixture.h"

#include <openssl/pem.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

typedef struct pw_tls_context *create_context(const struct pw_conf *conf, struct pw_strbuf *why);

static void assert_refused(create_context *create, const struct pw_conf *conf, const char *text)
{
	struct pw_strbuf why = PW_STRBUF_INIT;
	struct pw_tls_context *context = create(conf, &why);

	assert_null(context);
	assert_non_null(why.data);
	if (strncmp(why.data, "TLS setup failed: ", 18) != 0 || !strstr(why.data, text))
		fail_msg("\"%s\" lacks \"%s\"", why.data, text);
	pw_strbuf_fini(&why);
}

static void write_file(struct pki *pki, const char *name, const char *text)
{
	FILE *f = fopen(pki_path(pki, name), "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	fclose(f);
}

static void append_file(struct pki *pki, const char *from, const char *to)
{
	FILE *in = fopen(pki_path(pki, from), "r"), *out = fopen(pki_path(pki, to), "a");
	int c;

	assert_true(in && out);
	while ((c = getc(in)) != EOF)
		putc(c, out);
	fclose(in);
	fclose(out);
}

static void test_disable_reads_nothing(void **state)
{
	struct pw_conf conf = {
	    .client_tls_cert_file = "/nonexistent",
	    .client_tls_key_file = "/nonexistent",
	    .server_tls_ca_file = "/nonexistent",
	};
	struct pw_tls_context *accept = make_accept(&conf), *connect = make_connect(&conf);

	(void)state;
	assert_null(pw_tls_accept(accept, 0, false));
	assert_null(pw_tls_connect(connect, 0, "localhost"));
	pw_tls_context_unref(accept);
	pw_tls_context_unref(connect);
}

static void test_files(void **state)
{
	struct pki *pki = *state;
	struct pw_conf conf = conf_plain(pki);

	conf.client_tls_key_file = pki_path(pki, "none.key");
	assert_refused(pw_tls_context_create_accept, &conf, "none.key: No such file or directory");
	conf = conf_plain(pki);
	conf.client_tls_cert_file = pki_path(pki, "none.crt");
	assert_refused(pw_tls_context_create_accept, &conf, "none.crt: No such file or directory");
	conf = conf_plain(pki);
	conf.client_tls_ca_file = pki->dir;
	assert_refused(pw_tls_context_create_accept, &conf, "Is a directory");
	conf = conf_plain(pki);
	conf.server_tls_ca_file = pki_path(pki, "none.crt");
	assert_refused(pw_tls_context_create_connect, &conf, "none.crt: No such file or directory");
}

static void test_file_contents(void **state)
{
	struct pki *pki = *state;
	struct pw_conf conf = conf_plain(pki);

	write_file(pki, "empty", "");
	write_file(pki, "damaged",
		   "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n");
	conf.client_tls_cert_file = pki_path(pki, "empty");
	assert_refused(pw_tls_context_create_accept, &conf, "empty: no usable certificate");
	conf = conf_plain(pki);
	conf.client_tls_key_file = pki_path(pki, "empty");
	assert_refused(pw_tls_context_create_accept, &conf, "empty: no usable private key");
	conf = conf_plain(pki);
	conf.client_tls_ca_file = pki_path(pki, "empty");
	assert_refused(pw_tls_context_create_accept, &conf, "empty: no usable CA certificate");
	conf.client_tls_ca_file = pki_path(pki, "damaged");
	assert_refused(pw_tls_context_create_accept, &conf, "damaged: no usable CA certificate");
	conf = conf_plain(pki);
	conf.client_tls_key_file = pki_path(pki, "client.key");
	assert_refused(pw_tls_context_create_accept, &conf, "client.key: not the key of");
	/* A chain whose second certificate is damaged. */
	append_file(pki, "server.crt", "chain.crt");
	append_file(pki, "damaged", "chain.crt");
	conf = conf_plain(pki);
	conf.client_tls_cert_file = pki_path(pki, "chain.crt");
	assert_refused(pw_tls_context_create_accept, &conf, "chain.crt: no usable certificate");
}

static void test_encrypted_key_is_refused(void **state)
{
	static const unsigned char phrase[] = "open sesame";
	struct pki *pki = *state;
	struct pw_conf conf = conf_plain(pki);
	EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
	FILE *f = fopen(pki_path(pki, "locked.key"), "w");

	assert_true(key && f);
	assert_int_equal(
	    PEM_write_PrivateKey(f, key, EVP_aes_256_cbc(), phrase, sizeof(phrase) - 1, NULL, NULL),
	    1);
	fclose(f);
	EVP_PKEY_free(key);
	conf.client_tls_key_file = pki_path(pki, "locked.key");
	assert_refused(pw_tls_context_create_accept, &conf, "locked.key: no usable private key");
}

static void test_missing_settings(void **state)
{
	struct pki *pki = *state;
	struct pw_conf conf = conf_plain(pki);

	conf.client_tls_key_file = "";
	assert_refused(pw_tls_context_create_accept, &conf, "client_tls_key_file");
	conf = conf_plain(pki);
	conf.client_tls_cert_file = NULL;
	assert_refused(pw_tls_context_create_accept, &conf, "client_tls_cert_file");
	conf = conf_plain(pki);
	conf.client_tls_sslmode = PW_SSL_VERIFY_CA;
	assert_refused(pw_tls_context_create_accept, &conf, "client_tls_ca_file");
	conf = conf_plain(pki);
	conf.server_tls_cert_file = pki_path(pki, "client.crt");
	assert_refused(pw_tls_context_create_connect, &conf, "server_tls_key_file");
}

static void test_ciphers(void **state)
{
	struct pki *pki = *state;
	struct pw_conf conf = conf_plain(pki);
	struct pw_tls_context *context;

	conf.client_tls_ciphers = "NO-SUCH-CIPHER";
	assert_refused(pw_tls_context_create_accept, &conf, "failed to set the ciphers");
	conf.client_tls_ciphers = "default";
	conf.client_tls13_ciphers = "NO-SUCH-SUITE";
	assert_refused(pw_tls_context_create_accept, &conf,
		       "failed to set the TLSv1.3 cipher suites");
	conf.server_tls13_ciphers = "wrong:bad";
	assert_refused(pw_tls_context_create_connect, &conf,
		       "failed to set the TLSv1.3 cipher suites");
	conf = conf_plain(pki);
	for (size_t i = 0; i < 4; i++) {
		static const char *const words[] = {"secure", "FAST", "normal", ""};

		conf.client_tls_ciphers = words[i];
		conf.client_tls13_ciphers = "";
		context = make_accept(&conf);
		pw_tls_context_unref(context);
	}
}

static void test_chosen_suite_is_used(void **state)
{
	struct pki *pki = *state;
	struct pw_conf conf = conf_plain(pki);
	struct pw_tls_context *connect = make_connect(&conf), *accept;
	struct pair pair;
	char text[64];

	conf.client_tls13_ciphers = "TLS_CHACHA20_POLY1305_SHA256";
	accept = make_accept(&conf);
	pair_open(&pair, accept, connect, "localhost");
	pw_tls_describe(pair.server, text, sizeof(text));
	assert_string_equal(text, "TLSv1.3/TLS_CHACHA20_POLY1305_SHA256");
	pair_close(&pair);
	pw_tls_context_unref(accept);
	conf.client_tls_protocols = "tlsv1.2";
	conf.client_tls_ciphers = "ECDHE-ECDSA-AES128-GCM-SHA256";
	accept = make_accept(&conf);
	pair_open(&pair, accept, connect, "localhost");
	pw_tls_describe(pair.client, text, sizeof(text));
	assert_string_equal(text, "TLSv1.2/ECDHE-ECDSA-AES128-GCM-SHA256");
	pair_close(&pair);
	pw_tls_context_unref(accept);
	pw_tls_context_unref(connect);
}

/* The version two sides agree on, "" if none. */
static void agree(struct pki *pki, const char *accepted, const char *offered, char *out,
		  size_t size)
{
	struct pw_conf conf = conf_plain(pki);
	struct pw_tls_context *accept, *connect;
	struct pair pair;

	conf.client_tls_protocols = accepted;
	conf.server_tls_protocols = offered;
	accept = make_accept(&conf);
	connect = make_connect(&conf);
	pair_open(&pair, accept, connect, "localhost");
	out[0] = '\0';
	if (pair.server_io == PW_IO_OK && pair.client_io == PW_IO_OK)
		pw_tls_describe(pair.server, out, size);
	if (strchr(out, '/'))
		*strchr(out, '/') = '\0';
	pair_close(&pair);
	pw_tls_context_unref(accept);
	pw_tls_context_unref(connect);
}

static void test_protocols(void **state)
{
	static const struct {
		const char *accepted, *offered, *agreed;
	} rows[] = {
	    {"secure", "all", "TLSv1.3"},
	    {"", "secure", "TLSv1.3"},
	    {NULL, "default", "TLSv1.3"},
	    {"tlsv1.2", "secure", "TLSv1.2"},
	    {"TLSv1.2", "tlsv1", "TLSv1.2"},
	    {"secure,!tlsv1.3", "all", "TLSv1.2"},
	    {"!tlsv1.3", "all", "TLSv1.2"},
	    {" tlsv1.1 : tlsv1.2 ", "all", "TLSv1.2"},
	    {"all", "tlsv1.2,tlsv1.1", "TLSv1.2"},
	    {"tlsv1.2", "tlsv1.3", ""},
	    {"tlsv1.0,tlsv1.3", "tlsv1.2", ""},
	    {"all,!tlsv1.2,!tlsv1.3,tlsv1.3", "tlsv1.2:tlsv1.3", "TLSv1.3"},
	};

	for (size_t i = 0; i < PW_COUNTOF(rows); i++) {
		char text[64];

		agree(*state, rows[i].accepted, rows[i].offered, text, sizeof(text));
		if (strcmp(text, rows[i].agreed) != 0)
			fail_msg("row %zu: \"%s\"", i, text);
	}
}

static void test_wrong_protocols(void **state)
{
	static const char *const lists[] = {
	    "legacy", "tlsv1.4", "secure,",     ",",         "!",           "tlsv1.2 tlsv1.3",
	    "!all",   " ",       "secure,,all", "!!tlsv1.2", "tlsv1.2;all", "sslv3"};
	struct pw_conf conf = conf_plain(*state);

	for (size_t i = 0; i < PW_COUNTOF(lists); i++) {
		char text[64];

		snprintf(text, sizeof(text), "invalid client_tls_protocols: %s", lists[i]);
		conf.client_tls_protocols = lists[i];
		assert_refused(pw_tls_context_create_accept, &conf, text);
		snprintf(text, sizeof(text), "invalid server_tls_protocols: %s", lists[i]);
		conf.server_tls_protocols = lists[i];
		assert_refused(pw_tls_context_create_connect, &conf, text);
	}
}

static void test_key_exchange(void **state)
{
	static const char *const curves[] = {"auto",   "none",      "prime256v1",
					     "X25519", "secp384r1", ""};
	struct pw_conf conf = conf_plain(*state);

	conf.client_tls_dheparams = "legacy";
	assert_refused(pw_tls_context_create_accept, &conf, "invalid client_tls_dheparams: legacy");
	conf.client_tls_dheparams = "none";
	conf.client_tls_ecdhcurve = "no-curve";
	assert_refused(pw_tls_context_create_accept, &conf,
		       "invalid client_tls_ecdhcurve: no-curve");
	for (size_t i = 0; i < PW_COUNTOF(curves); i++) {
		conf.client_tls_ecdhcurve = curves[i];
		pw_tls_context_unref(make_accept(&conf));
	}
}

static bool is_same(const struct pw_tls_context *a, const struct pw_tls_context *b)
{
	return memcmp(pw_tls_context_digest(a), pw_tls_context_digest(b), PW_TLS_DIGEST_SIZE) == 0;
}

static bool is_same_accept(const struct pw_conf *a, const struct pw_conf *b)
{
	struct pw_tls_context *one = make_accept(a), *two = make_accept(b);
	bool result = is_same(one, two);

	pw_tls_context_unref(one);
	pw_tls_context_unref(two);
	return result;
}

static bool is_same_connect(const struct pw_conf *a, const struct pw_conf *b)
{
	struct pw_tls_context *one = make_connect(a), *two = make_connect(b);
	bool result = is_same(one, two);

	pw_tls_context_unref(one);
	pw_tls_context_unref(two);
	return result;
}

static void test_is_same(void **state)
{
	struct pki *pki = *state;
	struct pw_conf a = conf_plain(pki), b = conf_plain(pki);

	assert_true(is_same_accept(&a, &b));
	assert_true(is_same_connect(&a, &b));
	b.client_tls_ciphers = "HIGH";
	assert_false(is_same_accept(&a, &b));
	assert_true(is_same_connect(&a, &b));
	b.server_tls_protocols = "tlsv1.3";
	assert_false(is_same_connect(&a, &b));
	b = a;
	b.server_tls_sslmode = PW_SSL_PREFER;
	assert_false(is_same_connect(&a, &b));
	/* A value must not slip into the next field. */
	b = a;
	a.client_tls_ca_file = pki_path(pki, "ca.crt");
	assert_false(is_same_accept(&a, &b));
	/* Switched off, nothing else counts. */
	a.server_tls_sslmode = b.server_tls_sslmode = PW_SSL_DISABLE;
	b.server_tls_ca_file = "/nonexistent";
	assert_true(is_same_connect(&a, &b));
}

static void test_is_same_sees_contents(void **state)
{
	static const struct cert_spec renewed = {.file = "renewed", .cn = "localhost"};
	struct pki *pki = *state;
	struct pw_conf conf = conf_plain(pki);
	struct pw_tls_context *before, *after;

	pki_issue(pki, &renewed);
	conf.client_tls_cert_file = pki_path(pki, "renewed.crt");
	conf.client_tls_key_file = pki_path(pki, "renewed.key");
	before = make_accept(&conf);
	pki_issue(pki, &renewed);
	after = make_accept(&conf);
	assert_false(is_same(before, after));
	assert_true(is_same(after, after));
	pw_tls_context_unref(before);
	pw_tls_context_unref(after);
}

static void test_library_version(void **state)
{
	(void)state;
	assert_non_null(strstr(pw_tls_library_version(), "OpenSSL 3"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_disable_reads_nothing),
	    cmocka_unit_test(test_files),
	    cmocka_unit_test(test_file_contents),
	    cmocka_unit_test(test_encrypted_key_is_refused),
	    cmocka_unit_test(test_missing_settings),
	    cmocka_unit_test(test_ciphers),
	    cmocka_unit_test(test_chosen_suite_is_used),
	    cmocka_unit_test(test_protocols),
	    cmocka_unit_test(test_wrong_protocols),
	    cmocka_unit_test(test_key_exchange),
	    cmocka_unit_test(test_is_same),
	    cmocka_unit_test(test_is_same_sees_contents),
	    cmocka_unit_test(test_library_version),
	};

	return cmocka_run_group_tests(tests, pki_setup, pki_teardown);
}

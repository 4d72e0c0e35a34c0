/* SPDX-License-Identifier: PostgreSQL
 *
 * Who is let in under which sslmode, the names in certificates, channel binding. Both ends of a
 * socket pair are driven by hand through the transport's operations.
 */
#include "config.h"

#include "tls_fixture.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct pw_transport_ops *const ops = &pw_tls_transport_ops;

static void assert_text(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("\"%s\" lacks \"%s\"", text, part);
}

/* ---- which servers are trusted ---- */

struct server_case {
	int sslmode;
	const char *ca;   /* NULL = none */
	const char *cert; /* the server's */
	const char *host;
	const char *error; /* NULL = connected */
};

static const char wrong_name[] = "certificate verify failed: hostname mismatch";
static const char wrong_ip[] = "certificate verify failed: IP address mismatch";
static const char no_issuer[] = "certificate verify failed: unable to get local issuer certificate";
static const char expired[] = "certificate verify failed: certificate has expired";

static const struct server_case server_cases[] = {
    {PW_SSL_ALLOW, NULL, "stranger", "nobody", NULL},
    {PW_SSL_PREFER, "ca.crt", "stranger", "nobody", NULL},
    {PW_SSL_REQUIRE, NULL, "expired", "nobody", NULL},
    {PW_SSL_REQUIRE, "ca.crt", "server", "nobody", NULL},
    {PW_SSL_REQUIRE, "ca.crt", "stranger", "localhost", no_issuer},
    {PW_SSL_VERIFY_CA, "ca.crt", "server", "nobody", NULL},
    {PW_SSL_VERIFY_CA, "ca.crt", "stranger", "localhost", no_issuer},
    {PW_SSL_VERIFY_CA, "ca.crt", "expired", "localhost", expired},
    {PW_SSL_VERIFY_CA, NULL, "server", "localhost", "certificate verify failed"},
    {PW_SSL_VERIFY_FULL, "ca.crt", "server", "localhost", NULL},
    {PW_SSL_VERIFY_FULL, "ca.crt", "server", "LOCALHOST", NULL},
    {PW_SSL_VERIFY_FULL, "ca.crt", "server", "db.example.org", NULL},
    {PW_SSL_VERIFY_FULL, "ca.crt", "server", "127.0.0.1", NULL},
    {PW_SSL_VERIFY_FULL, "ca.crt", "server", "::1", NULL},
    {PW_SSL_VERIFY_FULL, "ca.crt", "server", "127.0.0.2", wrong_ip},
    {PW_SSL_VERIFY_FULL, "ca.crt", "server", "::2", wrong_ip},
    {PW_SSL_VERIFY_FULL, "ca.crt", "server", "nobody", wrong_name},
    {PW_SSL_VERIFY_FULL, "ca.crt", "server", "a.b.example.org", wrong_name},
    {PW_SSL_VERIFY_FULL, "ca.crt", "server", "example.org", wrong_name},
    /* The common name does not count beside a SAN. */
    {PW_SSL_VERIFY_FULL, "ca.crt", "server", "ignored", wrong_name},
    {PW_SSL_VERIFY_FULL, "ca.crt", "server", "fe80::1%lo", wrong_name},
    {PW_SSL_VERIFY_FULL, "ca.crt", "server", "", "no host name to check"},
    {PW_SSL_VERIFY_FULL, "ca.crt", "server", NULL, "no host name to check"},
    {PW_SSL_VERIFY_FULL, "ca.crt", "stranger", "localhost", no_issuer},
    {PW_SSL_VERIFY_FULL, "ca.crt", "expired", "localhost", expired},
};

static void use_server_cert(struct pki *pki, struct pw_conf *conf, const char *name)
{
	char file[64];

	snprintf(file, sizeof(file), "%s.crt", name);
	conf->client_tls_cert_file = pki_path(pki, file);
	snprintf(file, sizeof(file), "%s.key", name);
	conf->client_tls_key_file = pki_path(pki, file);
}

static void run_server_case(struct pki *pki, const struct server_case *test)
{
	struct pw_conf conf = conf_plain(pki);
	struct pw_tls_context *accept, *connect;
	struct pair pair;

	conf.server_tls_sslmode = test->sslmode;
	conf.server_tls_ca_file = test->ca ? pki_path(pki, test->ca) : NULL;
	use_server_cert(pki, &conf, test->cert);
	accept = make_accept(&conf);
	connect = make_connect(&conf);
	pair_open(&pair, accept, connect, test->host);
	if (test->error) {
		assert_int_equal(pair.client_io, PW_IO_ERROR);
		assert_text(ops->error(pair.client), test->error);
		assert_int_not_equal(pair.server_io, PW_IO_OK);
	} else {
		assert_int_equal(pair.client_io, PW_IO_OK);
		assert_int_equal(pair.server_io, PW_IO_OK);
		assert_true(pw_tls_has_peer_certificate(pair.client));
		assert_delivered(pair.client, pair.server, "question", 8);
		assert_delivered(pair.server, pair.client, "answer", 6);
	}
	pair_close(&pair);
	pw_tls_context_unref(accept);
	pw_tls_context_unref(connect);
}

static void test_servers(void **state)
{
	for (size_t i = 0; i < PW_COUNTOF(server_cases); i++)
		run_server_case(*state, &server_cases[i]);
}

/* A name that an authority signed for "localhost<0>.evil.example" is not localhost. */
static void test_zero_byte_in_server_name(void **state)
{
	static const struct cert_spec specs[] = {
	    {.file = "nul_san",
	     .cn = "x",
	     .raw_dns = "localhost\0.evil.example",
	     .raw_dns_len = 23,
	     .issuer = "ca"},
	    {.file = "nul_cn", .cn = "localhost\0.evil.example", .cn_len = 23, .issuer = "ca"},
	};
	struct server_case test = {PW_SSL_VERIFY_FULL, "ca.crt", NULL, "localhost", wrong_name};

	for (size_t i = 0; i < PW_COUNTOF(specs); i++) {
		pki_issue(*state, &specs[i]);
		test.cert = specs[i].file;
		run_server_case(*state, &test);
	}
}

static void test_common_name_without_san(void **state)
{
	static const struct cert_spec spec = {.file = "cn_only", .cn = "db1", .issuer = "ca"};
	const struct server_case good = {PW_SSL_VERIFY_FULL, "ca.crt", "cn_only", "db1", NULL};
	const struct server_case bad = {PW_SSL_VERIFY_FULL, "ca.crt", "cn_only", "db2", wrong_name};

	pki_issue(*state, &spec);
	run_server_case(*state, &good);
	run_server_case(*state, &bad);
}

static void test_chain_is_sent(void **state)
{
	static const struct cert_spec middle = {
	    .file = "middle", .cn = "middle CA", .issuer = "ca", .is_ca = true};
	static const struct cert_spec leaf = {
	    .file = "leaf", .cn = "leaf", .san = "DNS:localhost", .issuer = "middle"};
	struct server_case test = {PW_SSL_VERIFY_FULL, "ca.crt", "leaf", "localhost", no_issuer};
	struct pki *pki = *state;
	FILE *in, *out;
	int c;

	pki_issue(pki, &middle);
	pki_issue(pki, &leaf);
	run_server_case(pki, &test);
	in = fopen(pki_path(pki, "middle.crt"), "r");
	out = fopen(pki_path(pki, "leaf.crt"), "a");
	assert_true(in && out);
	while ((c = getc(in)) != EOF)
		putc(c, out);
	fclose(in);
	fclose(out);
	test.error = NULL;
	run_server_case(pki, &test);
}

/* ---- which clients are let in ---- */

struct client_case {
	int sslmode;
	const char *ca;
	const char *cert;  /* the client's, NULL = none */
	const char *error; /* at the server, NULL = let in */
	bool has_cert;
};

static const struct client_case client_cases[] = {
    {PW_SSL_ALLOW, NULL, NULL, NULL, false},
    {PW_SSL_REQUIRE, NULL, "client", NULL, false}, /* not asked for */
    {PW_SSL_PREFER, "ca.crt", NULL, NULL, false},
    {PW_SSL_REQUIRE, "ca.crt", "client", NULL, true},
    {PW_SSL_PREFER, "ca.crt", "foreign_client", "certificate verify failed", false},
    {PW_SSL_REQUIRE, "ca.crt", "expired", expired, false},
    {PW_SSL_VERIFY_CA, "ca.crt", NULL, "peer did not return a certificate", false},
    {PW_SSL_VERIFY_FULL, "ca.crt", NULL, "peer did not return a certificate", false},
    {PW_SSL_VERIFY_CA, "ca.crt", "client", NULL, true},
    {PW_SSL_VERIFY_FULL, "ca.crt", "client", NULL, true},
    {PW_SSL_VERIFY_FULL, "ca.crt", "foreign_client", "certificate verify failed", false},
    {PW_SSL_VERIFY_FULL, "ca.crt", "expired", expired, false},
};

static void use_client_cert(struct pki *pki, struct pw_conf *conf, const char *name)
{
	char file[64];

	snprintf(file, sizeof(file), "%s.crt", name);
	conf->server_tls_cert_file = pki_path(pki, file);
	snprintf(file, sizeof(file), "%s.key", name);
	conf->server_tls_key_file = pki_path(pki, file);
}

static void run_client_case(struct pki *pki, const struct client_case *test, const char *protocol)
{
	struct pw_conf conf = conf_plain(pki);
	struct pw_tls_context *accept, *connect;
	struct pair pair;

	conf.client_tls_sslmode = test->sslmode;
	conf.client_tls_ca_file = test->ca ? pki_path(pki, test->ca) : "";
	conf.client_tls_protocols = protocol;
	if (test->cert)
		use_client_cert(pki, &conf, test->cert);
	accept = make_accept(&conf);
	connect = make_connect(&conf);
	pair_open(&pair, accept, connect, "localhost");
	if (test->error) {
		uint8_t byte;
		size_t n;

		assert_int_equal(pair.server_io, PW_IO_ERROR);
		assert_text(ops->error(pair.server), test->error);
		/* In TLS 1.3 the client learns of it with its first read. */
		if (pair.client_io == PW_IO_OK)
			pair.client_io = ops->recv(pair.client, -1, &byte, 1, &n);
		assert_int_equal(pair.client_io, PW_IO_ERROR);
		assert_text(ops->error(pair.client), "alert");
	} else {
		assert_int_equal(pair.client_io, PW_IO_OK);
		assert_int_equal(pair.server_io, PW_IO_OK);
		assert_true(pw_tls_has_peer_certificate(pair.server) == test->has_cert);
		assert_delivered(pair.client, pair.server, "question", 8);
		assert_delivered(pair.server, pair.client, "answer", 6);
	}
	pair_close(&pair);
	pw_tls_context_unref(accept);
	pw_tls_context_unref(connect);
}

static void test_clients(void **state)
{
	for (size_t i = 0; i < PW_COUNTOF(client_cases); i++) {
		run_client_case(*state, &client_cases[i], "tlsv1.3");
		run_client_case(*state, &client_cases[i], "tlsv1.2");
	}
}

/* ---- names of a client ---- */

static bool count_names(const char *cert_name PW_UNUSED, const void *arg)
{
	int *n;

	memcpy(&n, arg, sizeof(n));
	(*n)++;
	return false;
}

static void check_names(struct pki *pki, const struct cert_spec *spec, const char *name,
			bool is_match, int n_names)
{
	struct pw_conf conf = conf_plain(pki);
	struct pw_tls_context *accept, *connect;
	struct pair pair;
	int n = 0, *counter = &n;

	pki_issue(pki, spec);
	conf.client_tls_ca_file = pki_path(pki, "ca.crt");
	use_client_cert(pki, &conf, spec->file);
	accept = make_accept(&conf);
	connect = make_connect(&conf);
	pair_open(&pair, accept, connect, "localhost");
	assert_int_equal(pair.server_io, PW_IO_OK);
	assert_true(pw_tls_peer_name_matches(pair.server, pw_tls_name_equal, name) == is_match);
	assert_false(pw_tls_peer_name_matches(pair.server, count_names, &counter));
	assert_int_equal(n, n_names);
	pair_close(&pair);
	pw_tls_context_unref(accept);
	pw_tls_context_unref(connect);
}

static void test_client_names(void **state)
{
	const struct cert_spec cn = {.file = "n", .cn = "bob", .issuer = "ca"};
	const struct cert_spec san = {
	    .file = "n", .cn = "bob", .san = "DNS:alice,DNS:carol,IP:10.0.0.1", .issuer = "ca"};
	const struct cert_spec ip = {
	    .file = "n", .cn = "bob", .san = "IP:10.0.0.1", .issuer = "ca"};
	const struct cert_spec nul_cn = {.file = "n", .cn = "bob\0x", .cn_len = 5, .issuer = "ca"};
	const struct cert_spec nul_san = {
	    .file = "n", .cn = "bob", .raw_dns = "bob\0x", .raw_dns_len = 5, .issuer = "ca"};
	const struct cert_spec utf8 = {.file = "n", .cn = "j\xc3\xbcrgen", .issuer = "ca"};

	check_names(*state, &cn, "BOB", true, 1);
	check_names(*state, &cn, "bo", false, 1);
	check_names(*state, &san, "carol", true, 2);
	check_names(*state, &san, "bob", false, 2);
	check_names(*state, &ip, "bob", true, 1);
	check_names(*state, &ip, "10.0.0.1", false, 1);
	check_names(*state, &nul_cn, "bob", false, 0);
	check_names(*state, &nul_san, "bob", false, 0);
	check_names(*state, &utf8, "j\xc3\xbcrgen", true, 1);
}

/* Else its common name would stand in for names that nobody can read. */
static void test_unreadable_names_are_refused(void **state)
{
	const struct cert_spec spec = {
	    .file = "broken", .cn = "bob", .broken_san = true, .issuer = "ca"};
	const struct client_case test = {PW_SSL_PREFER, "ca.crt", "broken",
					 "certificate verify failed", false};

	pki_issue(*state, &spec);
	run_client_case(*state, &test, "secure");
}

static void test_no_certificate_has_no_name(void **state)
{
	struct pw_conf conf = conf_plain(*state);
	struct pw_tls_context *accept = make_accept(&conf), *connect = make_connect(&conf);
	struct pair pair;

	pair_open(&pair, accept, connect, "localhost");
	assert_false(pw_tls_has_peer_certificate(pair.server));
	assert_false(pw_tls_peer_name_matches(pair.server, pw_tls_name_equal, ""));
	pair_close(&pair);
	pw_tls_context_unref(accept);
	pw_tls_context_unref(connect);
}

static void test_name_equal(void **state)
{
	static const struct {
		const char *cert_name, *name;
		bool is_equal;
	} rows[] = {
	    {"bob", "bob", true},
	    {"Bob", "bOB", true},
	    {"bob", "bobby", false},
	    {"*.example.org", "db.example.org", true},
	    {"*.Example.org", "db.eXample.org", true},
	    {"*.example.org", "a.db.example.org", false},
	    {"*.example.org", "example.org", false},
	    {"*.example.org", ".example.org", false},
	    {"*.org", "example.org", false},
	    {"*", "bob", false},
	    {"*.", "bob.", false},
	    {"*..org", "bob..org", false},
	    {"*.a..org", "bob.a..org", false},
	    {"*.a.", "bob.a.", false},
	    {"*bob", "abob", false},
	    {"a.*.org", "a.b.org", false},
	    {"*.example.org", "*.example.org", true},
	    {"", "bob", false},
	    {"bob", "", false},
	};

	(void)state;
	for (size_t i = 0; i < PW_COUNTOF(rows); i++)
		assert_true(pw_tls_name_equal(rows[i].cert_name, rows[i].name) == rows[i].is_equal);
}

/* ---- channel binding ---- */

static void hash_file(struct pki *pki, const char *name, const EVP_MD *md, uint8_t *out)
{
	FILE *f = fopen(pki_path(pki, name), "r");
	X509 *cert;

	assert_non_null(f);
	cert = PEM_read_X509(f, NULL, NULL, NULL);
	fclose(f);
	assert_int_equal(X509_digest(cert, md, out, NULL), 1);
	X509_free(cert);
}

static void check_binding(struct pki *pki, const struct cert_spec *spec, const EVP_MD *md)
{
	struct pw_conf conf = conf_plain(pki);
	struct pw_tls_context *accept, *connect;
	struct pair pair;
	uint8_t ours[64], theirs[64], wanted[EVP_MAX_MD_SIZE];
	size_t n_ours = 0, n_theirs = 0;

	pki_issue(pki, spec);
	use_server_cert(pki, &conf, spec->file);
	accept = make_accept(&conf);
	connect = make_connect(&conf);
	pair_open(&pair, accept, connect, "localhost");
	assert_int_equal(pair.server_io, PW_IO_OK);
	if (md) {
		assert_int_equal(pw_tls_channel_binding(pair.server, ours, &n_ours), PW_OK);
		assert_int_equal(pw_tls_channel_binding(pair.client, theirs, &n_theirs), PW_OK);
		hash_file(pki, "bound.crt", md, wanted);
		assert_int_equal(n_ours, EVP_MD_get_size(md));
		assert_int_equal(n_theirs, n_ours);
		assert_memory_equal(ours, wanted, n_ours);
		assert_memory_equal(theirs, wanted, n_ours);
	} else {
		assert_int_equal(pw_tls_channel_binding(pair.server, ours, &n_ours), PW_EINVAL);
		assert_int_equal(pw_tls_channel_binding(pair.client, ours, &n_ours), PW_EINVAL);
	}
	pair_close(&pair);
	pw_tls_context_unref(accept);
	pw_tls_context_unref(connect);
}

static void test_channel_binding(void **state)
{
	const struct cert_spec sha256 = {.file = "bound", .cn = "b"};
	const struct cert_spec sha384 = {.file = "bound", .cn = "b", .md = EVP_sha384()};
	const struct cert_spec sha512 = {.file = "bound", .cn = "b", .md = EVP_sha512()};
	const struct cert_spec sha1 = {.file = "bound", .cn = "b", .md = EVP_sha1()};
	const struct cert_spec ed25519 = {.file = "bound", .cn = "b", .key_type = "ED25519"};

	check_binding(*state, &sha256, EVP_sha256());
	check_binding(*state, &sha384, EVP_sha384());
	check_binding(*state, &sha512, EVP_sha512());
	check_binding(*state, &sha1, EVP_sha256());
	check_binding(*state, &ed25519, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_servers),
	    cmocka_unit_test(test_zero_byte_in_server_name),
	    cmocka_unit_test(test_common_name_without_san),
	    cmocka_unit_test(test_chain_is_sent),
	    cmocka_unit_test(test_clients),
	    cmocka_unit_test(test_client_names),
	    cmocka_unit_test(test_unreadable_names_are_refused),
	    cmocka_unit_test(test_no_certificate_has_no_name),
	    cmocka_unit_test(test_name_equal),
	    cmocka_unit_test(test_channel_binding),
	};

	return cmocka_run_group_tests(tests, pki_setup, pki_teardown);
}

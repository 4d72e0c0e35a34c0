/* SPDX-License-Identifier: PostgreSQL
 *
 * Certificates and keys by OpenSSL, and transports at the ends of a socket pair.
 */
#include "config.h"

#include "tls_fixture.h"

#include <dirent.h>
#include <fcntl.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "pgweir/base/rng.h"

enum { DAY_S = 24 * 60 * 60 };

/* ---- certificates ---- */

static FILE *open_in(const struct pki *pki, const char *file, const char *suffix, const char *mode)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s%s", pki->dir, file, suffix);
	f = fopen(path, mode);
	assert_non_null(f);
	return f;
}

static void add_extension(X509 *cert, int nid, const char *value)
{
	X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

	assert_non_null(ext);
	assert_int_equal(X509_add_ext(cert, ext, -1), 1);
	X509_EXTENSION_free(ext);
}

/* The text form of a SAN cannot hold a zero byte. */
static void add_raw_dns(X509 *cert, const char *name, size_t len)
{
	GENERAL_NAMES *names = GENERAL_NAMES_new();
	GENERAL_NAME *general = GENERAL_NAME_new();
	ASN1_IA5STRING *string = ASN1_IA5STRING_new();

	assert_int_equal(ASN1_STRING_set(string, name, (int)len), 1);
	GENERAL_NAME_set0_value(general, GEN_DNS, string);
	sk_GENERAL_NAME_push(names, general);
	assert_int_equal(X509_add1_ext_i2d(cert, NID_subject_alt_name, names, 0, 0), 1);
	GENERAL_NAMES_free(names);
}

static void add_broken_san(X509 *cert)
{
	ASN1_OBJECT *object = OBJ_nid2obj(NID_subject_alt_name);
	ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();
	X509_EXTENSION *ext;

	assert_int_equal(ASN1_OCTET_STRING_set(value, (const unsigned char *)"\x30\x7f", 2), 1);
	ext = X509_EXTENSION_create_by_OBJ(NULL, object, 0, value);
	assert_int_equal(X509_add_ext(cert, ext, -1), 1);
	X509_EXTENSION_free(ext);
	ASN1_OCTET_STRING_free(value);
}

static EVP_PKEY *make_key(const char *type)
{
	EVP_PKEY *key = type ? EVP_PKEY_Q_keygen(NULL, NULL, type)
			     : EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");

	assert_non_null(key);
	return key;
}

static X509 *make_unsigned(const struct cert_spec *spec, EVP_PKEY *key)
{
	X509 *cert = X509_new();
	X509_NAME *subject = X509_get_subject_name(cert);
	int cn_len = spec->cn_len ? (int)spec->cn_len : -1;

	X509_set_version(cert, X509_VERSION_3);
	ASN1_INTEGER_set_uint64(X509_get_serialNumber(cert), (uint64_t)rand() + 1);
	X509_gmtime_adj(X509_getm_notBefore(cert), -10L * DAY_S);
	X509_gmtime_adj(X509_getm_notAfter(cert), (spec->is_expired ? -1L : 10L) * DAY_S);
	assert_int_equal(X509_NAME_add_entry_by_NID(subject, NID_commonName, MBSTRING_UTF8,
						    (const unsigned char *)spec->cn, cn_len, -1, 0),
			 1);
	X509_set_pubkey(cert, key);
	if (spec->is_ca)
		add_extension(cert, NID_basic_constraints, "critical,CA:TRUE");
	if (spec->san)
		add_extension(cert, NID_subject_alt_name, spec->san);
	if (spec->raw_dns)
		add_raw_dns(cert, spec->raw_dns, spec->raw_dns_len);
	if (spec->broken_san)
		add_broken_san(cert);
	return cert;
}

static void sign(const struct pki *pki, const struct cert_spec *spec, X509 *cert, EVP_PKEY *key)
{
	const EVP_MD *md = spec->key_type ? NULL : spec->md ? spec->md : EVP_sha256();
	FILE *f;
	X509 *ca;
	EVP_PKEY *ca_key;

	if (!spec->issuer) {
		X509_set_issuer_name(cert, X509_get_subject_name(cert));
		assert_true(X509_sign(cert, key, md) > 0);
		return;
	}
	f = open_in(pki, spec->issuer, ".crt", "r");
	ca = PEM_read_X509(f, NULL, NULL, NULL);
	fclose(f);
	f = open_in(pki, spec->issuer, ".key", "r");
	ca_key = PEM_read_PrivateKey(f, NULL, NULL, NULL);
	fclose(f);
	assert_true(ca && ca_key);
	X509_set_issuer_name(cert, X509_get_subject_name(ca));
	assert_true(X509_sign(cert, ca_key, md) > 0);
	EVP_PKEY_free(ca_key);
	X509_free(ca);
}

void pki_issue(const struct pki *pki, const struct cert_spec *spec)
{
	EVP_PKEY *key = make_key(spec->key_type);
	X509 *cert = make_unsigned(spec, key);
	FILE *f;

	sign(pki, spec, cert, key);
	f = open_in(pki, spec->file, ".crt", "w");
	assert_int_equal(PEM_write_X509(f, cert), 1);
	fclose(f);
	f = open_in(pki, spec->file, ".key", "w");
	assert_int_equal(PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL), 1);
	fclose(f);
	X509_free(cert);
	EVP_PKEY_free(key);
}

void pki_create(struct pki *pki)
{
	static const char names[] = "DNS:localhost,DNS:*.example.org,"
				    "IP:127.0.0.1,IP:::1";
	static const struct cert_spec specs[] = {
	    {.file = "ca", .cn = "pgweir test CA", .is_ca = true},
	    {.file = "other_ca", .cn = "some other CA", .is_ca = true},
	    {.file = "server", .cn = "ignored", .san = names, .issuer = "ca"},
	    {.file = "expired", .cn = "old", .san = names, .issuer = "ca", .is_expired = true},
	    {.file = "stranger", .cn = "stranger", .san = names, .issuer = "other_ca"},
	    {.file = "client", .cn = "bob", .issuer = "ca"},
	    {.file = "foreign_client", .cn = "bob", .issuer = "other_ca"},
	};

	memset(pki, 0, sizeof(*pki));
	snprintf(pki->dir, sizeof(pki->dir), "/tmp/pgweir-test-tls-XXXXXX");
	assert_non_null(mkdtemp(pki->dir));
	for (size_t i = 0; i < PW_COUNTOF(specs); i++)
		pki_issue(pki, &specs[i]);
}

void pki_destroy(struct pki *pki)
{
	DIR *dir = opendir(pki->dir);
	struct dirent *entry;

	while (dir && (entry = readdir(dir)) != NULL)
		unlinkat(dirfd(dir), entry->d_name, 0);
	if (dir)
		closedir(dir);
	rmdir(pki->dir);
	for (size_t i = 0; i < PW_COUNTOF(pki->paths); i++)
		free(pki->paths[i]);
}

int pki_setup(void **state)
{
	struct pki *pki = malloc(sizeof(*pki));

	assert_non_null(pki);
	signal(SIGPIPE, SIG_IGN);
	pki_create(pki);
	*state = pki;
	return 0;
}

int pki_teardown(void **state)
{
	pki_destroy(*state);
	free(*state);
	return 0;
}

const char *pki_path(struct pki *pki, const char *name)
{
	char **path = &pki->paths[pki->n_paths++ % PW_COUNTOF(pki->paths)];

	free(*path);
	assert_true(asprintf(path, "%s/%s", pki->dir, name) > 0);
	return *path;
}

/* ---- configurations ---- */

struct pw_conf conf_plain(struct pki *pki)
{
	const struct pw_conf conf = {
	    .client_tls_sslmode = PW_SSL_REQUIRE,
	    .client_tls_cert_file = pki_path(pki, "server.crt"),
	    .client_tls_key_file = pki_path(pki, "server.key"),
	    .client_tls_protocols = "secure",
	    .client_tls_ciphers = "default",
	    .client_tls_dheparams = "auto",
	    .client_tls_ecdhcurve = "auto",
	    .server_tls_sslmode = PW_SSL_REQUIRE,
	    .server_tls_ciphers = "default",
	    .server_tls_protocols = "secure",
	};

	return conf;
}

static struct pw_tls_context *made(struct pw_tls_context *context, struct pw_strbuf *why)
{
	if (!context)
		fail_msg("%s", why->data);
	pw_strbuf_fini(why);
	return context;
}

struct pw_tls_context *make_accept(const struct pw_conf *conf)
{
	struct pw_strbuf why = PW_STRBUF_INIT;

	return made(pw_tls_context_create_accept(conf, &why), &why);
}

struct pw_tls_context *make_connect(const struct pw_conf *conf)
{
	struct pw_strbuf why = PW_STRBUF_INIT;

	return made(pw_tls_context_create_connect(conf, &why), &why);
}

int sides_setup(void **state)
{
	struct sides *sides = malloc(sizeof(*sides));
	struct pw_conf conf;

	assert_non_null(sides);
	signal(SIGPIPE, SIG_IGN);
	pki_create(&sides->pki);
	conf = conf_plain(&sides->pki);
	sides->accept = make_accept(&conf);
	sides->connect = make_connect(&conf);
	*state = sides;
	return 0;
}

int sides_teardown(void **state)
{
	struct sides *sides = *state;

	pw_tls_context_unref(sides->accept);
	pw_tls_context_unref(sides->connect);
	pki_destroy(&sides->pki);
	free(sides);
	return 0;
}

/* ---- pairs ---- */

void make_socketpair(int fds[2])
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds),
			 0);
}

void pair_open(struct pair *pair, struct pw_tls_context *accept, struct pw_tls_context *connect,
	       const char *host)
{
	int fds[2];

	make_socketpair(fds);
	memset(pair, 0, sizeof(*pair));
	pair->server_fd = fds[0];
	pair->client_fd = fds[1];
	pair->server = pw_tls_accept(accept, fds[0], false);
	pair->client = pw_tls_connect(connect, fds[1], host);
	assert_true(pair->server && pair->client);
	pair_shake(pair);
}

static bool is_waiting(enum pw_io io)
{
	return io == PW_IO_WANT_READ || io == PW_IO_WANT_WRITE;
}

void pair_shake(struct pair *pair)
{
	pair->server_io = pair->client_io = PW_IO_WANT_READ;
	for (int i = 0; i < 20; i++) {
		if (is_waiting(pair->client_io))
			pair->client_io = pw_tls_transport_ops.handshake(pair->client);
		if (is_waiting(pair->server_io))
			pair->server_io = pw_tls_transport_ops.handshake(pair->server);
	}
}

void pair_close(struct pair *pair)
{
	if (pair->server)
		pw_tls_transport_ops.destroy(pair->server);
	if (pair->client)
		pw_tls_transport_ops.destroy(pair->client);
	close(pair->server_fd);
	close(pair->client_fd);
}

uint8_t *make_noise(size_t len)
{
	struct pw_rng rng;
	uint8_t *noise = malloc(len);

	assert_non_null(noise);
	pw_rng_seed(&rng, len);
	for (size_t i = 0; i < len; i++)
		noise[i] = (uint8_t)pw_rng_next(&rng);
	return noise;
}

void assert_delivered(struct pw_tls *from, struct pw_tls *to, const void *data, size_t len)
{
	struct iovec iov = {.iov_base = (void *)(uintptr_t)data, .iov_len = len};
	uint8_t *got = malloc(len + 1);
	size_t n = 0, n_got = 0;

	assert_int_equal(pw_tls_transport_ops.send(from, -1, &iov, 1, &n), PW_IO_OK);
	assert_int_equal(n, len);
	while (n_got < len) {
		assert_int_equal(
		    pw_tls_transport_ops.recv(to, -1, got + n_got, len + 1 - n_got, &n), PW_IO_OK);
		n_got += n;
	}
	assert_int_equal(n_got, len);
	assert_memory_equal(got, data, len);
	free(got);
}

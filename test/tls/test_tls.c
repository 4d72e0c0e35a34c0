/* SPDX-License-Identifier: PostgreSQL
 *
 * Handshakes with a peer of another make, OpenSSL used directly: ALPN, SNI, resumption,
 * renegotiation; and threads that share contexts.
 */
#include "config.h"

#include "tls_fixture.h"

#include <openssl/err.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const struct pw_transport_ops *const ops = &pw_tls_transport_ops;

static void assert_text(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("\"%s\" lacks \"%s\"", text, part);
}

/* ---- a client of another make: ALPN, SNI, resumption ---- */

struct raw_client {
	SSL_CTX *ctx;
	SSL *ssl;
	SSL_SESSION *session; /* the last one that the server gave */
	int fds[2];
	struct pw_tls *server;
	bool is_connected;
};

static int keep_session(SSL *ssl, SSL_SESSION *session)
{
	struct raw_client *client = SSL_get_app_data(ssl);

	SSL_SESSION_free(client->session);
	client->session = session;
	return 1;
}

static void raw_init(struct raw_client *client)
{
	memset(client, 0, sizeof(*client));
	client->ctx = SSL_CTX_new(TLS_client_method());
	assert_non_null(client->ctx);
	SSL_CTX_set_session_cache_mode(client->ctx,
				       SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(client->ctx, keep_session);
}

static void raw_fini(struct raw_client *client)
{
	SSL_SESSION_free(client->session);
	SSL_CTX_free(client->ctx);
}

static void raw_open(struct raw_client *client, struct pw_tls_context *accept, bool is_direct)
{
	enum pw_io io = PW_IO_WANT_READ;
	int rc = 0;

	make_socketpair(client->fds);
	client->server = pw_tls_accept(accept, client->fds[0], is_direct);
	client->ssl = SSL_new(client->ctx);
	assert_true(client->server && client->ssl);
	SSL_set_app_data(client->ssl, client);
	SSL_set_fd(client->ssl, client->fds[1]);
	SSL_set_connect_state(client->ssl);
	if (client->session)
		assert_int_equal(SSL_set_session(client->ssl, client->session), 1);
	for (int i = 0; i < 10; i++) {
		if (rc != 1)
			rc = SSL_do_handshake(client->ssl);
		if (io != PW_IO_OK && io != PW_IO_ERROR)
			io = ops->handshake(client->server);
	}
	client->is_connected = rc == 1 && io == PW_IO_OK;
	if (client->is_connected) {
		char byte;
		size_t n;

		/* Takes in the tickets. */
		assert_int_equal(SSL_read_ex(client->ssl, &byte, 1, &n), 0);
	}
}

static void raw_close(struct raw_client *client)
{
	if (client->is_connected)
		SSL_shutdown(client->ssl);
	SSL_free(client->ssl);
	ops->destroy(client->server);
	close(client->fds[0]);
	close(client->fds[1]);
}

static void test_alpn(void **state)
{
	static const struct {
		const char *offer; /* NULL = none */
		bool is_direct, is_connected, is_chosen;
	} rows[] = {
	    {NULL, true, true, false},
	    {NULL, false, true, false},
	    {"\x0apostgresql", true, true, true},
	    {"\x0apostgresql", false, true, true},
	    {"\x02h2\x0apostgresql", true, true, true},
	    {"\x02h2", true, false, false},
	    {"\x02h2\x08http/1.1", true, false, false},
	    {"\x02h2", false, true, false},
	};
	struct pw_conf conf = conf_plain(*state);
	struct pw_tls_context *accept = make_accept(&conf);

	for (size_t i = 0; i < PW_COUNTOF(rows); i++) {
		struct raw_client client;
		const unsigned char *chosen;
		unsigned len;

		raw_init(&client);
		if (rows[i].offer)
			SSL_CTX_set_alpn_protos(client.ctx, (const unsigned char *)rows[i].offer,
						(unsigned)strlen(rows[i].offer));
		raw_open(&client, accept, rows[i].is_direct);
		assert_true(client.is_connected == rows[i].is_connected);
		SSL_get0_alpn_selected(client.ssl, &chosen, &len);
		assert_int_equal(len, rows[i].is_chosen ? 10 : 0);
		if (len > 0)
			assert_memory_equal(chosen, "postgresql", 10);
		if (!client.is_connected)
			assert_text(ops->error(client.server), "no application protocol");
		raw_close(&client);
		raw_fini(&client);
	}
	pw_tls_context_unref(accept);
}

/* However much of the client's hello was read before anybody knew that it was one. */
static void test_put_back(void **state)
{
	static const size_t sizes[] = {1, 5, 6, 100, 4096};
	struct pw_conf conf = conf_plain(*state);
	struct pw_tls_context *accept = make_accept(&conf);
	uint8_t bytes[SSL3_RT_MAX_PLAIN_LENGTH + 1] = {0};

	for (size_t i = 0; i < PW_COUNTOF(sizes); i++) {
		struct raw_client client;
		ssize_t n;

		raw_init(&client);
		make_socketpair(client.fds);
		client.server = pw_tls_accept(accept, client.fds[0], true);
		client.ssl = SSL_new(client.ctx);
		assert_true(client.server && client.ssl);
		SSL_set_fd(client.ssl, client.fds[1]);
		assert_int_equal(SSL_connect(client.ssl), -1);
		n = read(client.fds[0], bytes, sizes[i]);
		assert_true(n > 0);
		assert_int_equal(pw_tls_put_back(client.server, bytes, (size_t)n), PW_OK);
		assert_int_equal(ops->handshake(client.server), PW_IO_WANT_READ);
		assert_int_equal(SSL_connect(client.ssl), 1);
		assert_int_equal(ops->handshake(client.server), PW_IO_OK);
		assert_int_equal(
		    pw_tls_put_back(client.server, bytes, SSL3_RT_MAX_PLAIN_LENGTH + 1), PW_ELIMIT);
		raw_close(&client);
		raw_fini(&client);
	}
	pw_tls_context_unref(accept);
}

static void check_resumption(struct pki *pki, const char *protocol)
{
	struct pw_conf conf = conf_plain(pki);
	struct pw_tls_context *accept;
	struct raw_client client;

	conf.client_tls_protocols = protocol;
	conf.client_tls_sslmode = PW_SSL_VERIFY_FULL;
	conf.client_tls_ca_file = pki_path(pki, "ca.crt");
	raw_init(&client);
	SSL_CTX_use_certificate_file(client.ctx, pki_path(pki, "client.crt"), SSL_FILETYPE_PEM);
	SSL_CTX_use_PrivateKey_file(client.ctx, pki_path(pki, "client.key"), SSL_FILETYPE_PEM);
	accept = make_accept(&conf);
	for (int i = 0; i < 6; i++) {
		if (i == 3) { /* a reload: old tickets open nothing, new ones do */
			pw_tls_context_unref(accept);
			accept = make_accept(&conf);
		}
		raw_open(&client, accept, false);
		assert_true(client.is_connected);
		assert_int_equal(SSL_session_reused(client.ssl), i != 0 && i != 3);
		/* Who the client is comes with the session. */
		assert_true(pw_tls_has_peer_certificate(client.server));
		assert_true(pw_tls_peer_name_matches(client.server, pw_tls_name_equal, "bob"));
		raw_close(&client);
	}
	pw_tls_context_unref(accept);
	raw_fini(&client);
}

static void test_resumption(void **state)
{
	check_resumption(*state, "tlsv1.3");
	check_resumption(*state, "tlsv1.2");
}

/* A server may not make us shake hands anew either. */
static void test_renegotiation_is_refused(void **state)
{
	struct pw_conf conf = conf_plain(*state);
	struct pw_tls_context *connect = make_connect(&conf);
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	SSL *ssl;
	struct pw_tls *tls;
	uint8_t byte;
	size_t n;
	int fds[2], rc = 0;

	make_socketpair(fds);
	SSL_CTX_set_max_proto_version(ctx, TLS1_2_VERSION);
	SSL_CTX_use_certificate_file(ctx, conf.client_tls_cert_file, SSL_FILETYPE_PEM);
	SSL_CTX_use_PrivateKey_file(ctx, conf.client_tls_key_file, SSL_FILETYPE_PEM);
	ssl = SSL_new(ctx);
	SSL_set_fd(ssl, fds[1]);
	tls = pw_tls_connect(connect, fds[0], "localhost");
	for (int i = 0; i < 5; i++) {
		ops->handshake(tls);
		rc = SSL_accept(ssl);
	}
	assert_int_equal(rc, 1);
	assert_int_equal(SSL_renegotiate(ssl), 1);
	assert_int_equal(SSL_do_handshake(ssl), 1); /* has asked for it */
	assert_int_equal(ops->recv(tls, -1, &byte, 1, &n), PW_IO_WANT_READ);
	ERR_clear_error();
	assert_int_equal(SSL_read_ex(ssl, &byte, 1, &n), 0);
	assert_int_equal(ERR_GET_REASON(ERR_peek_error()), SSL_R_NO_RENEGOTIATION);
	ops->destroy(tls);
	SSL_free(ssl);
	SSL_CTX_free(ctx);
	close(fds[0]);
	close(fds[1]);
	pw_tls_context_unref(connect);
}

/* The peer wants new keys while half a record of ours waits for the socket. */
static void test_key_update_during_a_write(void **state)
{
	enum { TOTAL = 1000000 };
	struct pw_conf conf = conf_plain(*state);
	struct pw_tls_context *accept = make_accept(&conf);
	struct raw_client client;
	uint8_t *data = malloc(TOTAL), *got = malloc(TOTAL), byte;
	size_t sent = 0, n_got = 0, n;

	for (size_t i = 0; i < TOTAL; i++)
		data[i] = (uint8_t)(i * 7 + i / 251);
	raw_init(&client);
	raw_open(&client, accept, false);
	while (n_got < TOTAL) {
		struct iovec iov = {data + sent, TOTAL - sent};

		assert_int_not_equal(ops->send(client.server, -1, &iov, 1, &n), PW_IO_ERROR);
		sent += n;
		if (n_got == 0) {
			assert_true(sent < TOTAL);
			assert_int_equal(SSL_key_update(client.ssl, SSL_KEY_UPDATE_REQUESTED), 1);
			assert_int_equal(SSL_write(client.ssl, "x", 1), 1);
			assert_int_equal(ops->recv(client.server, -1, &byte, 1, &n), PW_IO_OK);
			assert_int_equal(byte, 'x');
		}
		assert_int_equal(SSL_read_ex(client.ssl, got + n_got, TOTAL - n_got, &n), 1);
		n_got += n;
	}
	assert_memory_equal(got, data, TOTAL);
	raw_close(&client);
	raw_fini(&client);
	pw_tls_context_unref(accept);
	free(data);
	free(got);
}

static int remember_sni(SSL *ssl, int *alert PW_UNUSED, void *arg)
{
	const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);

	snprintf(arg, 64, "%s", name ? name : "(none)");
	return SSL_TLSEXT_ERR_OK;
}

static void test_sni_is_for_names_only(void **state)
{
	static const struct {
		const char *host, *sni;
	} rows[] = {{"db.example.org", "db.example.org"},
		    {"127.0.0.1", "(none)"},
		    {"::1", "(none)"},
		    {"fe80::1%lo", "(none)"},
		    {NULL, "(none)"}};
	struct pw_conf conf = conf_plain(*state);
	struct pw_tls_context *connect = make_connect(&conf);
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	char sni[64];

	SSL_CTX_set_tlsext_servername_callback(ctx, remember_sni);
	SSL_CTX_set_tlsext_servername_arg(ctx, sni);
	for (size_t i = 0; i < PW_COUNTOF(rows); i++) {
		int fds[2];
		struct pw_tls *tls;
		SSL *ssl = SSL_new(ctx);

		make_socketpair(fds);
		tls = pw_tls_connect(connect, fds[0], rows[i].host);
		SSL_set_fd(ssl, fds[1]);
		assert_int_equal(ops->handshake(tls), PW_IO_WANT_READ);
		snprintf(sni, sizeof(sni), "unseen");
		SSL_accept(ssl); /* fails for want of a certificate, but later */
		assert_string_equal(sni, rows[i].sni);
		ops->destroy(tls);
		SSL_free(ssl);
		close(fds[0]);
		close(fds[1]);
	}
	SSL_CTX_free(ctx);
	pw_tls_context_unref(connect);
}

/* ---- threads share contexts ---- */

struct shaker {
	struct pw_tls_context *accept, *connect;
	int n_good;
};

static void *shake_often(void *arg)
{
	struct shaker *shaker = arg;

	for (int i = 0; i < 20; i++) {
		struct pair pair;

		pair_open(&pair, shaker->accept, shaker->connect, "localhost");
		shaker->n_good += pair.server_io == PW_IO_OK && pair.client_io == PW_IO_OK;
		pair_close(&pair);
	}
	return NULL;
}

static void test_threads(void **state)
{
	struct pw_conf conf = conf_plain(*state);
	struct shaker shakers[2];
	pthread_t threads[2];

	conf.server_tls_sslmode = PW_SSL_VERIFY_FULL;
	conf.server_tls_ca_file = pki_path(*state, "ca.crt");
	shakers[0] = (struct shaker){make_accept(&conf), make_connect(&conf), 0};
	shakers[1] = shakers[0];
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, shake_often, &shakers[i]), 0);
	for (int i = 0; i < 2; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(shakers[i].n_good, 20);
	}
	pw_tls_context_unref(shakers[0].accept);
	pw_tls_context_unref(shakers[0].connect);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_alpn),
	    cmocka_unit_test(test_put_back),
	    cmocka_unit_test(test_resumption),
	    cmocka_unit_test(test_renegotiation_is_refused),
	    cmocka_unit_test(test_key_update_during_a_write),
	    cmocka_unit_test(test_sni_is_for_names_only),
	    cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests(tests, pki_setup, pki_teardown);
}

/* SPDX-License-Identifier: PostgreSQL
 *
 * A ClientHello that says it is longer than any real one: refused before OpenSSL makes room.
 */
#include "config.h"

#include "tls_fixture.h"

#include <openssl/err.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { LONGEST = 16384, RECORD_MAX = 16384 };

static const struct pw_transport_ops *const ops = &pw_tls_transport_ops;

/* A ClientHello of that length, of which `sent` bytes come, in records of at most `size`. */
static size_t write_hello(uint8_t *out, uint32_t length, size_t sent, size_t size)
{
	const uint8_t head[] = {
	    1, (uint8_t)(length >> 16), (uint8_t)(length >> 8), (uint8_t)length, 3, 3};
	size_t n = 0;

	for (size_t at = 0; at < sent;) {
		size_t part = sent - at < size ? sent - at : size;

		out[n++] = 22;
		out[n++] = 3;
		out[n++] = 1;
		out[n++] = (uint8_t)(part >> 8);
		out[n++] = (uint8_t)part;
		for (; part > 0; part--, at++)
			out[n++] = at < sizeof(head) ? head[at] : 'r';
	}
	return n;
}

static bool is_refused(struct pw_tls *server)
{
	return ops->handshake(server) == PW_IO_ERROR &&
	       strcmp(ops->error(server), "ClientHello too long") == 0;
}

/* `step` bytes at a time go through the socket. */
static void check_first(struct pw_tls_context *accept, uint32_t length, size_t size, size_t step,
			bool must_refuse)
{
	uint8_t data[2048];
	size_t len = write_hello(data, length, 200, size);
	struct pw_tls *server;
	bool refused = false;
	int fds[2];

	make_socketpair(fds);
	server = pw_tls_accept(accept, fds[0], false);
	assert_non_null(server);
	for (size_t at = 0; at < len && !refused; at += step) {
		size_t n = len - at < step ? len - at : step;

		assert_int_equal(write(fds[1], data + at, n), n);
		refused = is_refused(server);
	}
	assert_int_equal(refused, must_refuse);
	ops->destroy(server);
	close(fds[0]);
	close(fds[1]);
}

static void test_first(void **state)
{
	static const size_t sizes[] = {1, 3, 4, 5, 100, RECORD_MAX};
	static const size_t steps[] = {1, 7, 2048};
	struct pw_conf conf = conf_plain(*state);
	struct pw_tls_context *accept = make_accept(&conf);

	for (size_t i = 0; i < PW_COUNTOF(sizes); i++) {
		for (size_t j = 0; j < PW_COUNTOF(steps); j++) {
			check_first(accept, LONGEST, sizes[i], steps[j], false);
			check_first(accept, LONGEST + 1, sizes[i], steps[j], true);
			check_first(accept, 131000, sizes[i], steps[j], true);
		}
	}
	pw_tls_context_unref(accept);
}

/* However much of it was read before it was known to be TLS. */
static void test_put_back(void **state)
{
	static const size_t sizes[] = {1, 4, 9, 10, 205};
	struct pw_conf conf = conf_plain(*state);
	struct pw_tls_context *accept = make_accept(&conf);
	uint8_t data[2048];
	size_t len = write_hello(data, 131000, 200, RECORD_MAX);

	for (size_t i = 0; i < PW_COUNTOF(sizes); i++) {
		struct pw_tls *server;
		int fds[2];

		make_socketpair(fds);
		server = pw_tls_accept(accept, fds[0], true);
		assert_int_equal(pw_tls_put_back(server, data, sizes[i]), PW_OK);
		assert_int_equal(write(fds[1], data + sizes[i], len - sizes[i]), len - sizes[i]);
		assert_true(is_refused(server));
		ops->destroy(server);
		close(fds[0]);
		close(fds[1]);
	}
	pw_tls_context_unref(accept);
}

/* The server wants another group: the client may send a second ClientHello. */
static void test_second(void **state)
{
	struct pw_conf conf = conf_plain(*state);
	struct pw_tls_context *accept;
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	SSL *ssl;
	struct pw_tls *server;
	uint8_t data[2048];
	size_t len = write_hello(data, 131000, 200, RECORD_MAX);
	int fds[2];

	conf.client_tls_ecdhcurve = "prime256v1";
	accept = make_accept(&conf);
	make_socketpair(fds);
	server = pw_tls_accept(accept, fds[0], false);
	assert_int_equal(SSL_CTX_set1_groups_list(ctx, "X25519:P-256"), 1);
	ssl = SSL_new(ctx);
	SSL_set_fd(ssl, fds[1]);
	SSL_set_connect_state(ssl);
	assert_int_equal(SSL_do_handshake(ssl), -1);
	assert_int_equal(ops->handshake(server), PW_IO_WANT_READ);
	assert_int_equal(write(fds[1], data, len), len);
	assert_true(is_refused(server));
	ops->destroy(server);
	SSL_free(ssl);
	SSL_CTX_free(ctx);
	ERR_clear_error();
	close(fds[0]);
	close(fds[1]);
	pw_tls_context_unref(accept);
}

/* What older versions encrypt is not taken for a hello, however often one tries. */
static void test_older_versions(void **state)
{
	struct pw_conf conf = conf_plain(*state);
	struct pw_tls_context *accept, *connect;

	conf.client_tls_protocols = conf.server_tls_protocols = "tlsv1.2";
	accept = make_accept(&conf);
	connect = make_connect(&conf);
	for (int i = 0; i < 600; i++) {
		struct pair pair;

		pair_open(&pair, accept, connect, "localhost");
		assert_int_equal(pair.server_io, PW_IO_OK);
		assert_int_equal(pair.client_io, PW_IO_OK);
		pair_close(&pair);
	}
	pw_tls_context_unref(accept);
	pw_tls_context_unref(connect);
}

static int set_up(void **state)
{
	static struct pki pki;

	pki_create(&pki);
	*state = &pki;
	return 0;
}

static int tear_down(void **state)
{
	pki_destroy(*state);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_first),
	    cmocka_unit_test(test_put_back),
	    cmocka_unit_test(test_second),
	    cmocka_unit_test(test_older_versions),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}

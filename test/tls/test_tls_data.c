/* SPDX-License-Identifier: PostgreSQL
 *
 * What the transport promises to a stream about pieces, full sockets and ends; driven by hand.
 */
#include "config.h"

#include "tls_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "pgweir/base/rng.h"

enum { RECORD = 16384 };

static const struct pw_transport_ops *const ops = &pw_tls_transport_ops;

static void open_pair(struct sides *sides, struct pair *pair)
{
	pair_open(pair, sides->accept, sides->connect, "localhost");
	assert_int_equal(pair->server_io, PW_IO_OK);
	assert_int_equal(pair->client_io, PW_IO_OK);
}

static enum pw_io send_bytes(struct pw_tls *tls, const void *data, size_t len, size_t *n)
{
	struct iovec iov = {.iov_len = len};

	memcpy(&iov.iov_base, &data, sizeof(data));
	return ops->send(tls, -1, &iov, 1, n);
}

static void test_one_byte_reads(void **state)
{
	struct pair pair;
	size_t n;
	uint8_t byte;

	open_pair(*state, &pair);
	assert_int_equal(send_bytes(pair.client, "hello", 5, &n), PW_IO_OK);
	assert_int_equal(send_bytes(pair.client, "world", 5, &n), PW_IO_OK);
	assert_false(ops->has_pending(pair.server));
	for (int i = 0; i < 10; i++) {
		assert_int_equal(ops->recv(pair.server, -1, &byte, 1, &n), PW_IO_OK);
		assert_int_equal(n, 1);
		assert_int_equal(byte, "helloworld"[i]);
		assert_true(ops->has_pending(pair.server) == (i < 9));
	}
	assert_int_equal(ops->recv(pair.server, -1, &byte, 1, &n), PW_IO_WANT_READ);
	assert_int_equal(n, 0);
	pair_close(&pair);
}

/* No event would tell of records that lie in OpenSSL's buffer. */
static void test_recv_leaves_no_whole_record(void **state)
{
	struct pair pair;
	uint8_t buf[1024];
	size_t n;

	open_pair(*state, &pair);
	for (int i = 0; i < 40; i++)
		assert_int_equal(send_bytes(pair.client, "0123456789", 10, &n), PW_IO_OK);
	assert_int_equal(ops->recv(pair.server, -1, buf, sizeof(buf), &n), PW_IO_OK);
	assert_int_equal(n, 400);
	assert_false(ops->has_pending(pair.server));
	pair_close(&pair);
}

static void test_bytes_behind_the_handshake_are_told(void **state)
{
	struct sides *sides = *state;
	struct pair pair = {.client_io = PW_IO_WANT_READ};
	int fds[2];
	uint8_t byte;
	size_t n;

	make_socketpair(fds);
	pair.server_fd = fds[0];
	pair.client_fd = fds[1];
	pair.server = pw_tls_accept(sides->accept, fds[0], true);
	pair.client = pw_tls_connect(sides->connect, fds[1], "localhost");
	assert_int_equal(ops->handshake(pair.client), PW_IO_WANT_READ);
	assert_int_equal(ops->handshake(pair.server), PW_IO_WANT_READ);
	assert_int_equal(ops->handshake(pair.client), PW_IO_OK);
	assert_int_equal(send_bytes(pair.client, "x", 1, &n), PW_IO_OK);
	assert_int_equal(ops->handshake(pair.server), PW_IO_OK);
	assert_true(ops->has_pending(pair.server));
	assert_int_equal(ops->recv(pair.server, -1, &byte, 1, &n), PW_IO_OK);
	assert_false(ops->has_pending(pair.server));
	assert_int_equal(byte, 'x');
	pair_close(&pair);
}

/* Counts records by their outer form: type, version, length. */
static size_t count_records(int fd)
{
	uint8_t header[5], *body = malloc(2 * RECORD);
	size_t n = 0;

	while (recv(fd, header, 5, 0) == 5) {
		size_t len = (size_t)header[3] << 8 | header[4];

		assert_int_equal(recv(fd, body, len, MSG_WAITALL), len);
		n++;
	}
	free(body);
	return n;
}

static void test_small_pieces_become_one_record(void **state)
{
	struct pair pair;
	struct iovec iov[200];
	size_t n, total = 0;
	uint8_t *noise = make_noise(100000);

	open_pair(*state, &pair);
	for (size_t i = 0; i < PW_COUNTOF(iov); i++) {
		iov[i].iov_base = noise + total;
		iov[i].iov_len = i % 7;
		total += iov[i].iov_len;
	}
	assert_int_equal(ops->send(pair.server, -1, iov, (int)PW_COUNTOF(iov), &n), PW_IO_OK);
	assert_int_equal(n, total);
	/* The first record of all holds the ticket. */
	assert_int_equal(count_records(pair.client_fd), 2);
	/* A small head before a large body. */
	iov[0] = (struct iovec){noise, 5};
	iov[1] = (struct iovec){noise + 5, 3 * RECORD - 5};
	assert_int_equal(ops->send(pair.server, -1, iov, 2, &n), PW_IO_OK);
	assert_int_equal(n, 3 * RECORD);
	assert_int_equal(count_records(pair.client_fd), 3);
	/* Nothing at all. */
	iov[0].iov_len = 0;
	assert_int_equal(ops->send(pair.server, -1, iov, 1, &n), PW_IO_OK);
	assert_int_equal(ops->send(pair.server, -1, iov, 0, &n), PW_IO_OK);
	assert_int_equal(count_records(pair.client_fd), 0);
	free(noise);
	pair_close(&pair);
}

static void test_gathered_pieces_arrive_in_order(void **state)
{
	struct pair pair;
	uint8_t *noise = make_noise(120000), *got = malloc(120000);
	struct pw_rng rng;

	pw_rng_seed(&rng, 7);
	open_pair(*state, &pair);
	for (int round = 0; round < 30; round++) {
		struct iovec iov[8];
		size_t total = 0, n, n_got = 0;

		for (size_t i = 0; i < PW_COUNTOF(iov); i++) {
			iov[i].iov_base = noise + total;
			iov[i].iov_len = pw_rng_next(&rng) % (i == 3 ? 40000 : 6000);
			total += iov[i].iov_len;
		}
		assert_int_equal(ops->send(pair.client, -1, iov, 8, &n), PW_IO_OK);
		assert_int_equal(n, total);
		while (n_got < total) {
			assert_int_equal(
			    ops->recv(pair.server, -1, got + n_got, 120000 - n_got, &n), PW_IO_OK);
			n_got += n;
		}
		assert_memory_equal(got, noise, total);
	}
	free(noise);
	free(got);
	pair_close(&pair);
}

/*
 * The socket is small and the reader slow. Whatever was not taken is offered again from the same
 * place: from another address, cut into other pieces, and with more behind it than before.
 */
static void test_full_socket(void **state)
{
	enum { TOTAL = 600000 };
	struct pair pair;
	struct pw_rng rng;
	uint8_t *noise = make_noise(TOTAL), *got = malloc(TOTAL);
	size_t sent = 0, n_got = 0, shown = 0, n;
	int small = 4096, n_full = 0;

	pw_rng_seed(&rng, 3);
	open_pair(*state, &pair);
	setsockopt(pair.client_fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	while (n_got < TOTAL) {
		size_t more = shown + pw_rng_next(&rng) % 30000;
		uint8_t *copy;
		struct iovec iov[2];
		enum pw_io io;

		shown = more < TOTAL ? more : TOTAL;
		copy = malloc(shown - sent + 1);
		memcpy(copy, noise + sent, shown - sent);
		iov[0].iov_base = copy;
		iov[0].iov_len = pw_rng_next(&rng) % (shown - sent + 1);
		iov[1].iov_base = copy + iov[0].iov_len;
		iov[1].iov_len = shown - sent - iov[0].iov_len;
		io = ops->send(pair.client, -1, iov, 2, &n);
		free(copy);
		assert_true(io == PW_IO_OK || (io == PW_IO_WANT_WRITE && n == 0));
		sent += n;
		n_full += sent < shown;
		io = ops->recv(pair.server, -1, got + n_got, 1 + pw_rng_next(&rng) % 9000, &n);
		assert_true(io == PW_IO_OK || io == PW_IO_WANT_READ);
		n_got += n;
		assert_true(n_got <= sent + RECORD);
	}
	assert_true(n_full > 10);
	assert_memory_equal(got, noise, TOTAL);
	free(noise);
	free(got);
	pair_close(&pair);
}

static void test_orderly_end(void **state)
{
	struct pair pair;
	uint8_t buf[16];
	size_t n;

	open_pair(*state, &pair);
	assert_int_equal(send_bytes(pair.client, "bye", 3, &n), PW_IO_OK);
	ops->destroy(pair.client);
	pair.client = NULL;
	/* First what was said, then the end; the socket still stands, so no event tells of it. */
	assert_int_equal(ops->recv(pair.server, -1, buf, sizeof(buf), &n), PW_IO_OK);
	assert_int_equal(n, 3);
	assert_true(ops->has_pending(pair.server));
	assert_int_equal(ops->recv(pair.server, -1, buf, sizeof(buf), &n), PW_IO_EOF);
	assert_int_equal(ops->recv(pair.server, -1, buf, sizeof(buf), &n), PW_IO_EOF);
	assert_int_equal(n, 0);
	pair_close(&pair);
}

static void test_end_without_goodbye(void **state)
{
	struct pair pair;
	uint8_t buf[16];
	size_t n;

	open_pair(*state, &pair);
	assert_int_equal(send_bytes(pair.client, "bye", 3, &n), PW_IO_OK);
	shutdown(pair.client_fd, SHUT_RDWR);
	assert_int_equal(ops->recv(pair.server, -1, buf, sizeof(buf), &n), PW_IO_OK);
	assert_int_equal(n, 3);
	assert_int_equal(ops->recv(pair.server, -1, buf, sizeof(buf), &n), PW_IO_EOF);
	pair_close(&pair);
}

static void test_reset(void **state)
{
	struct pair pair;
	uint8_t buf[16];
	size_t n;

	open_pair(*state, &pair);
	assert_int_equal(send_bytes(pair.server, "unread", 6, &n), PW_IO_OK);
	ops->destroy(pair.client);
	pair.client = NULL;
	close(pair.client_fd);
	pair.client_fd = dup(pair.server_fd);
	assert_int_equal(send_bytes(pair.server, "more", 4, &n), PW_IO_ERROR);
	assert_string_equal(ops->error(pair.server), "Broken pipe");
	pair_close(&pair);

	open_pair(*state, &pair);
	assert_int_equal(send_bytes(pair.server, "unread", 6, &n), PW_IO_OK);
	close(pair.client_fd);
	pair.client_fd = dup(pair.server_fd);
	assert_int_equal(ops->recv(pair.server, -1, buf, sizeof(buf), &n), PW_IO_ERROR);
	assert_string_equal(ops->error(pair.server), "Connection reset by peer");
	pair_close(&pair);
}

static void test_garbage_after_data(void **state)
{
	struct pair pair;
	uint8_t buf[16];
	size_t n;

	open_pair(*state, &pair);
	assert_int_equal(send_bytes(pair.client, "good", 4, &n), PW_IO_OK);
	assert_int_equal(send(pair.client_fd, "\x17\x03\x03\x00\x18 not a record of TLS at", 29, 0),
			 29);
	assert_int_equal(ops->recv(pair.server, -1, buf, sizeof(buf), &n), PW_IO_OK);
	assert_int_equal(n, 4);
	assert_true(ops->has_pending(pair.server));
	assert_int_equal(ops->recv(pair.server, -1, buf, sizeof(buf), &n), PW_IO_ERROR);
	assert_string_equal(ops->error(pair.server), "decryption failed or bad record mac");
	assert_int_equal(ops->recv(pair.server, -1, buf, sizeof(buf), &n), PW_IO_ERROR);
	assert_int_equal(send_bytes(pair.server, "no", 2, &n), PW_IO_ERROR);
	assert_string_equal(ops->error(pair.server), "decryption failed or bad record mac");
	pair_close(&pair);
}

/* What greets a listener: other protocols, noise, a hello cut short, silence. */
static void test_garbage_for_a_handshake(void **state)
{
	static const struct {
		const char *text;
		size_t len;
		enum pw_io io;
		const char *error;
	} rows[] = {
	    {"GET / HTTP/1.0\r\n\r\n", 18, PW_IO_ERROR, "http request"},
	    {"\0\0\0\x08\x04\xd2\x16\x2f", 8, PW_IO_ERROR, "wrong version number"},
	    {"\x16\x03\x01\xff\xff\x01\0\0\0", 9, PW_IO_ERROR, "packet length too long"},
	    {"\x16\x03\x01\0\x05\x0e\0\0\x01\0", 10, PW_IO_ERROR, "unexpected message"},
	    {"\x15\x03\x01\0\x02\x02\x28", 7, PW_IO_ERROR, "unexpected message"},
	    {"\x16\x03\x01\x02\0\x01", 6, PW_IO_EOF, NULL},
	    {"", 0, PW_IO_EOF, NULL},
	};
	struct sides *sides = *state;

	for (size_t i = 0; i < PW_COUNTOF(rows); i++) {
		int fds[2];
		struct pw_tls *tls;

		make_socketpair(fds);
		tls = pw_tls_accept(sides->accept, fds[0], true);
		assert_int_equal(ops->handshake(tls), PW_IO_WANT_READ);
		assert_int_equal(send(fds[1], rows[i].text, rows[i].len, 0), rows[i].len);
		shutdown(fds[1], SHUT_WR);
		assert_int_equal(ops->handshake(tls), rows[i].io);
		if (rows[i].error)
			assert_string_equal(ops->error(tls), rows[i].error);
		assert_int_not_equal(ops->handshake(tls), PW_IO_OK);
		ops->destroy(tls);
		close(fds[0]);
		close(fds[1]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_one_byte_reads),
	    cmocka_unit_test(test_recv_leaves_no_whole_record),
	    cmocka_unit_test(test_bytes_behind_the_handshake_are_told),
	    cmocka_unit_test(test_small_pieces_become_one_record),
	    cmocka_unit_test(test_gathered_pieces_arrive_in_order),
	    cmocka_unit_test(test_full_socket),
	    cmocka_unit_test(test_orderly_end),
	    cmocka_unit_test(test_end_without_goodbye),
	    cmocka_unit_test(test_reset),
	    cmocka_unit_test(test_garbage_after_data),
	    cmocka_unit_test(test_garbage_for_a_handshake),
	};

	return cmocka_run_group_tests(tests, sides_setup, sides_teardown);
}

/* SPDX-License-Identifier: PostgreSQL
 *
 * TLS through real streams on an event loop.
 */
#include "config.h"

#include "tls_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const struct pw_transport_ops *const ops = &pw_tls_transport_ops;

struct end {
	struct pw_stream stream;
	const uint8_t *data; /* what this end says */
	size_t len, sent;
	uint8_t *heard;
	size_t n_heard, max_heard;
	unsigned n_upcalls;
	bool is_open, has_ended;
	enum pw_status status;
	char why[128];
};

static struct end *end_of(struct pw_stream *stream)
{
	return PW_CONTAINER(stream, struct end, stream);
}

static void feed(struct end *end)
{
	while (end->sent < end->len && !pw_stream_is_full(&end->stream)) {
		size_t rest = end->len - end->sent;
		size_t chunk = 1 + (end->sent * 31) % 40000;
		struct iovec iov[2];

		if (chunk > rest)
			chunk = rest;
		iov[0].iov_len = chunk / 3;
		iov[1].iov_len = chunk - chunk / 3;
		iov[0].iov_base = (void *)(uintptr_t)(end->data + end->sent);
		iov[1].iov_base = (uint8_t *)iov[0].iov_base + iov[0].iov_len;
		end->sent += chunk;
		pw_stream_sendv(&end->stream, iov, 2);
	}
}

static void on_open(struct pw_stream *stream)
{
	end_of(stream)->is_open = true;
	feed(end_of(stream));
}

static void on_data(struct pw_stream *stream, const uint8_t *data, size_t len)
{
	struct end *end = end_of(stream);

	assert_true(end->n_heard + len <= end->max_heard);
	memcpy(end->heard + end->n_heard, data, len);
	end->n_heard += len;
	end->n_upcalls++;
}

static void on_drained(struct pw_stream *stream)
{
	feed(end_of(stream));
}

static void on_end(struct pw_stream *stream, enum pw_status status, const char *why)
{
	struct end *end = end_of(stream);

	end->has_ended = true;
	end->status = status;
	snprintf(end->why, sizeof(end->why), "%s", why);
}

static const struct pw_stream_ops end_ops = {
    .on_open = on_open,
    .on_data = on_data,
    .on_drained = on_drained,
    .on_end = on_end,
};

static void end_init(struct end *end, struct pw_loop *loop, const uint8_t *data, size_t len,
		     size_t max_heard)
{
	memset(end, 0, sizeof(*end));
	end->data = data;
	end->len = len;
	end->max_heard = max_heard;
	end->heard = malloc(max_heard + 1);
	assert_non_null(end->heard);
	pw_stream_init(&end->stream, loop, &end_ops);
}

static void end_fini(struct end *end)
{
	pw_stream_close(&end->stream);
	free(end->heard);
}

static void start_tls(struct end *end, int fd, struct pw_tls *tls)
{
	assert_non_null(tls);
	assert_int_equal(pw_stream_attach(&end->stream, fd, false), PW_OK);
	assert_int_equal(pw_stream_start(&end->stream, ops, tls), PW_OK);
}

static void start_both(struct sides *sides, struct end *server, struct end *client)
{
	int fds[2];

	make_socketpair(fds);
	start_tls(server, fds[0], pw_tls_accept(sides->accept, fds[0], false));
	start_tls(client, fds[1], pw_tls_connect(sides->connect, fds[1], "localhost"));
}

/* Turns until *n is `wanted`; far more turns than are needed fail the test. */
static void turn_until(struct pw_loop *loop, const size_t *n, size_t wanted)
{
	for (int i = 0; *n != wanted; i++) {
		assert_true(i < 100000);
		pw_loop_turn(loop, true);
	}
}

static void turn_few(struct pw_loop *loop)
{
	for (int i = 0; i < 20; i++)
		pw_loop_turn(loop, false);
}

/* Two ends with nothing to say of themselves, on one loop. */
struct talk {
	struct pw_loop loop;
	struct end server, client;
};

static void talk_begin(struct talk *t, struct sides *sides)
{
	assert_int_equal(pw_loop_init(&t->loop, &pw_clock_system), PW_OK);
	end_init(&t->server, &t->loop, NULL, 0, 100);
	end_init(&t->client, &t->loop, NULL, 0, 100);
	start_both(sides, &t->server, &t->client);
}

static void talk_open(struct talk *t)
{
	while (!t->server.is_open || !t->client.is_open)
		pw_loop_turn(&t->loop, true);
}

static void talk_end(struct talk *t)
{
	end_fini(&t->server);
	end_fini(&t->client);
	pw_loop_fini(&t->loop);
}

static void test_both_ways_at_once(void **state)
{
	enum { TOTAL = 10 * 1024 * 1024 };
	struct pw_loop loop;
	struct end server, client;
	uint8_t *noise = make_noise(2 * TOTAL);

	assert_int_equal(pw_loop_init(&loop, &pw_clock_system), PW_OK);
	end_init(&server, &loop, noise, TOTAL, TOTAL);
	end_init(&client, &loop, noise + TOTAL, TOTAL, TOTAL);
	start_both(*state, &server, &client);
	turn_until(&loop, &server.n_heard, TOTAL);
	turn_until(&loop, &client.n_heard, TOTAL);
	assert_memory_equal(client.heard, noise, TOTAL);
	assert_memory_equal(server.heard, noise + TOTAL, TOTAL);
	turn_few(&loop);
	assert_true(pw_stream_is_quiet(&server.stream) && pw_stream_is_quiet(&client.stream));
	end_fini(&server);
	turn_few(&loop);
	assert_true(client.has_ended && client.status == PW_CLOSED);
	end_fini(&client);
	pw_loop_fini(&loop);
	free(noise);
}

/* Given before the handshake was done, and nothing later to push it out. */
static void test_sent_before_open(void **state)
{
	struct talk t;

	talk_begin(&t, *state);
	pw_stream_send(&t.client.stream, "early", 5);
	turn_until(&t.loop, &t.server.n_heard, 5);
	assert_memory_equal(t.server.heard, "early", 5);
	talk_end(&t);
}

static void test_pausing(void **state)
{
	struct pw_loop loop;
	struct end server, client;
	uint8_t *noise = make_noise(300000);

	assert_int_equal(pw_loop_init(&loop, &pw_clock_system), PW_OK);
	end_init(&server, &loop, NULL, 0, 300000);
	end_init(&client, &loop, NULL, 0, 0);
	server.stream.read_rounds = 1;
	start_both(*state, &server, &client);
	while (!server.is_open || !client.is_open)
		pw_loop_turn(&loop, true);
	pw_stream_send(&client.stream, noise, 300000);
	while (server.n_heard < 300000) {
		size_t before = server.n_heard;

		pw_stream_set_reading(&server.stream, false);
		turn_few(&loop);
		assert_int_equal(server.n_heard, before);
		pw_stream_set_reading(&server.stream, true);
		while (server.n_heard == before)
			pw_loop_turn(&loop, true);
	}
	assert_memory_equal(server.heard, noise, 300000);
	end_fini(&server);
	end_fini(&client);
	pw_loop_fini(&loop);
	free(noise);
}

/* A quiet connection moves to another loop, as between threads. */
static void test_hand_over(void **state)
{
	struct pw_loop loops[2];
	struct end server, client, heir;
	const struct pw_transport_ops *moved_ops;
	void *moved;
	int fd;

	for (int i = 0; i < 2; i++)
		assert_int_equal(pw_loop_init(&loops[i], &pw_clock_system), PW_OK);
	end_init(&server, &loops[0], NULL, 0, 100);
	end_init(&heir, &loops[1], NULL, 0, 100);
	end_init(&client, &loops[0], (const uint8_t *)"one", 3, 100);
	start_both(*state, &server, &client);
	turn_until(&loops[0], &server.n_heard, 3);
	turn_few(&loops[0]);
	assert_true(pw_stream_is_quiet(&server.stream));
	fd = pw_stream_detach(&server.stream, &moved_ops, &moved);
	assert_true(fd >= 0 && moved && moved_ops == ops);
	assert_int_equal(pw_stream_adopt(&heir.stream, fd, moved_ops, moved), PW_OK);
	pw_stream_send(&client.stream, "two", 3);
	turn_until(&loops[1], &heir.n_heard, 3);
	pw_stream_send(&heir.stream, "three", 5);
	turn_until(&loops[0], &client.n_heard, 5);
	assert_memory_equal(client.heard, "three", 5);
	end_fini(&heir);
	end_fini(&server);
	end_fini(&client);
	pw_loop_fini(&loops[1]);
	pw_loop_fini(&loops[0]);
}

static void test_failed_handshake_is_told(void **state)
{
	struct sides *sides = *state;
	struct pw_conf conf = conf_plain(&sides->pki);
	struct pw_tls_context *strict;
	struct pw_loop loop;
	struct end server, client;
	int fds[2];

	conf.server_tls_sslmode = PW_SSL_VERIFY_CA;
	conf.server_tls_ca_file = pki_path(&sides->pki, "other_ca.crt");
	strict = make_connect(&conf);
	assert_int_equal(pw_loop_init(&loop, &pw_clock_system), PW_OK);
	end_init(&server, &loop, NULL, 0, 0);
	end_init(&client, &loop, NULL, 0, 0);
	make_socketpair(fds);
	start_tls(&server, fds[0], pw_tls_accept(sides->accept, fds[0], false));
	start_tls(&client, fds[1], pw_tls_connect(strict, fds[1], "localhost"));
	turn_few(&loop);
	assert_true(client.has_ended && client.status == PW_EIO && !client.is_open);
	assert_non_null(strstr(client.why, "certificate verify failed"));
	assert_true(server.has_ended && server.status == PW_EIO && !server.is_open);
	assert_string_equal(server.why, "tlsv1 alert unknown ca");
	end_fini(&server);
	end_fini(&client);
	pw_loop_fini(&loop);
	pw_tls_context_unref(strict);
}

/* Last words and the goodbye in one go: both are told, in that order. */
static void test_last_words(void **state)
{
	struct talk t;

	talk_begin(&t, *state);
	talk_open(&t);
	pw_stream_send(&t.server.stream, "FATAL", 5);
	pw_stream_close(&t.server.stream);
	turn_few(&t.loop);
	assert_int_equal(t.client.n_heard, 5);
	assert_true(t.client.has_ended && t.client.status == PW_CLOSED);
	talk_end(&t);
}

/* The same, but the socket stays: no event tells of a goodbye that was read with the words. */
static void test_goodbye_without_close(void **state)
{
	const struct pw_transport_ops *moved_ops;
	struct talk t;
	void *moved;
	int fd;

	talk_begin(&t, *state);
	talk_open(&t);
	turn_few(&t.loop);
	pw_stream_send(&t.server.stream, "FATAL", 5);
	fd = pw_stream_detach(&t.server.stream, &moved_ops, &moved);
	moved_ops->destroy(moved);
	turn_few(&t.loop);
	assert_int_equal(t.client.n_heard, 5);
	assert_true(t.client.has_ended && t.client.status == PW_CLOSED);
	close(fd);
	talk_end(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_both_ways_at_once),
	    cmocka_unit_test(test_sent_before_open),
	    cmocka_unit_test(test_pausing),
	    cmocka_unit_test(test_hand_over),
	    cmocka_unit_test(test_failed_handshake_is_told),
	    cmocka_unit_test(test_last_words),
	    cmocka_unit_test(test_goodbye_without_close),
	};

	return cmocka_run_group_tests(tests, sides_setup, sides_teardown);
}

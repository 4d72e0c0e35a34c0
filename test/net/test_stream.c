/* SPDX-License-Identifier: PostgreSQL
 *
 * Plain streams over socket pairs: what is sent arrives once and in order, however slow the peer;
 * the backlog stops and starts its source; an end is told once, after all that came before it.
 */
#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "pgweir/base/clock.h"
#include "pgweir/base/strbuf.h"
#include "pgweir/net/batch.h"
#include "pgweir/net/socket.h"
#include "pgweir/net/stream.h"

struct end {
	struct pw_stream stream;
	struct pw_strbuf got;
	unsigned n_reads, n_opens, n_drains, n_ends;
	enum pw_status status;
	bool closes_on_data, stops_on_data;
	void (*says)(struct end *end); /* within on_data */
	int peer;
};

struct fixture {
	struct pw_loop loop;
	struct end end;
	int peer;
};

static struct end *end_of(struct pw_stream *stream)
{
	return PW_CONTAINER(stream, struct end, stream);
}

static void on_open(struct pw_stream *stream)
{
	end_of(stream)->n_opens++;
}

static void on_data(struct pw_stream *stream, const uint8_t *data, size_t len)
{
	struct end *e = end_of(stream);

	assert_true(len > 0);
	assert_int_equal(e->n_ends, 0);
	e->n_reads++;
	pw_strbuf_add(&e->got, data, len);
	if (e->says)
		e->says(e);
	if (e->closes_on_data)
		pw_stream_close(stream);
	if (e->stops_on_data)
		pw_stream_set_reading(stream, false);
}

static void on_drained(struct pw_stream *stream)
{
	end_of(stream)->n_drains++;
}

static void on_end(struct pw_stream *stream, enum pw_status status, const char *why)
{
	struct end *e = end_of(stream);

	assert_non_null(why);
	e->n_ends++;
	e->status = status;
}

static const struct pw_stream_ops ops = {on_open, on_data, on_drained, on_end};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	int fds[2];

	if (pw_loop_init(&f->loop, &pw_clock_system) != PW_OK ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) < 0)
		return -1;
	pw_stream_init(&f->end.stream, &f->loop, &ops);
	if (pw_stream_attach(&f->end.stream, fds[0], false) != PW_OK)
		return -1;
	f->peer = f->end.peer = fds[1];
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	pw_stream_close(&f->end.stream);
	pw_stream_close(&f->end.stream);
	pw_strbuf_fini(&f->end.got);
	if (f->peer >= 0)
		close(f->peer);
	pw_loop_fini(&f->loop);
	free(f);
	return 0;
}

static void turn(struct fixture *f)
{
	for (int i = 0; i < 5; i++)
		pw_loop_turn(&f->loop, false);
}

static void peer_says(struct fixture *f, const char *text)
{
	assert_int_equal(write(f->peer, text, strlen(text)), strlen(text));
}

static void assert_got(struct fixture *f, const char *text)
{
	assert_string_equal(f->end.got.data ? f->end.got.data : "", text);
}

/* Reads up to `max` bytes that the peer has now. */
static size_t peer_reads(struct fixture *f, struct pw_strbuf *out, size_t max)
{
	char buf[8192];
	size_t total = 0;
	ssize_t n;

	while (total < max && (n = recv(f->peer, buf, sizeof(buf), 0)) > 0) {
		pw_strbuf_add(out, buf, (size_t)n);
		total += (size_t)n;
	}
	return total;
}

/* ---- reading ---- */

static void test_data_and_end(void **state)
{
	struct fixture *f = *state;

	assert_true(pw_stream_is_quiet(&f->end.stream));
	peer_says(f, "one");
	turn(f);
	assert_got(f, "one");
	peer_says(f, " two");
	shutdown(f->peer, SHUT_WR);
	turn(f);
	assert_got(f, "one two");
	assert_int_equal(f->end.n_ends, 1);
	assert_int_equal(f->end.status, PW_CLOSED);
	assert_int_equal(f->end.n_opens, 0);
	/* It stays for its owner to be closed. */
	assert_false(pw_stream_is_closed(&f->end.stream));
	assert_false(pw_stream_is_quiet(&f->end.stream));
	pw_stream_set_reading(&f->end.stream, true);
	turn(f);
	assert_int_equal(f->end.n_ends, 1);
}

static void test_data_at_once(void **state)
{
	struct fixture *f = *state;
	int fds[2];

	pw_stream_close(&f->end.stream);
	close(f->peer);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	f->peer = fds[1];
	peer_says(f, "one");
	assert_int_equal(pw_stream_attach(&f->end.stream, fds[0], true), PW_OK);
	assert_got(f, "one");
	peer_says(f, " two");
	turn(f);
	assert_got(f, "one two");
}

static void test_reading_off_and_on(void **state)
{
	struct fixture *f = *state;

	pw_stream_set_reading(&f->end.stream, false);
	peer_says(f, "wait");
	turn(f);
	assert_got(f, "");
	pw_stream_set_reading(&f->end.stream, true);
	turn(f);
	assert_got(f, "wait");
	f->end.stops_on_data = true;
	peer_says(f, "!");
	turn(f);
	peer_says(f, "?");
	close(f->peer);
	f->peer = -1;
	turn(f);
	assert_got(f, "wait!");
	assert_int_equal(f->end.n_ends, 0);
	f->end.stops_on_data = false;
	pw_stream_set_reading(&f->end.stream, true);
	turn(f);
	assert_got(f, "wait!?");
	assert_int_equal(f->end.n_ends, 1);
}

/* One chatty peer does not starve the others: so many reads a turn and no more. */
static void test_rounds(void **state)
{
	struct fixture *f = *state;
	size_t len = 4 * PW_SCRATCH_SIZE, sent = 0;
	char *much = calloc(1, len);
	int size = 1 << 20;
	ssize_t n;

	setsockopt(f->peer, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	f->end.stream.read_rounds = 1;
	while (sent < len && (n = send(f->peer, much + sent, len - sent, 0)) > 0)
		sent += (size_t)n;
	assert_true(sent > PW_SCRATCH_SIZE);
	pw_loop_turn(&f->loop, false);
	assert_int_equal(f->end.n_reads, 1);
	assert_in_range(f->end.got.len, 1, PW_SCRATCH_SIZE);
	for (int i = 0; i < 200 && f->end.got.len < sent; i++)
		pw_loop_turn(&f->loop, false);
	assert_int_equal(f->end.got.len, sent);
	free(much);
}

static void test_closed_in_upcall(void **state)
{
	struct fixture *f = *state;

	f->end.closes_on_data = true;
	peer_says(f, "bye");
	shutdown(f->peer, SHUT_WR);
	turn(f);
	assert_got(f, "bye");
	assert_true(pw_stream_is_closed(&f->end.stream));
	assert_int_equal(f->end.n_ends, 0);
	/* Nothing can be done to it any more, and nothing happens. */
	pw_stream_send(&f->end.stream, "x", 1);
	pw_stream_set_reading(&f->end.stream, true);
	turn(f);
	assert_int_equal(f->end.n_reads, 1);
}

/* ---- writing ---- */

static void test_send(void **state)
{
	struct fixture *f = *state;
	struct iovec iov[3];
	char a[] = "one ", b[] = "two ", c[] = "three";
	struct pw_strbuf out = PW_STRBUF_INIT;

	iov[0] = (struct iovec){a, 4};
	iov[1] = (struct iovec){b, 4};
	iov[2] = (struct iovec){c, 5};
	pw_stream_sendv(&f->end.stream, iov, 3);
	pw_stream_send(&f->end.stream, "", 0);
	pw_stream_sendv(&f->end.stream, iov, 0);
	assert_int_equal(pw_stream_backlog(&f->end.stream), 0);
	assert_int_equal(peer_reads(f, &out, 100), 13);
	assert_string_equal(out.data, "one two three");
	pw_strbuf_fini(&out);
}

/* Sends numbered words until the backlog is above the high water. */
static size_t fill(struct fixture *f, struct pw_strbuf *sent)
{
	size_t n = 0;

	for (; !pw_stream_is_full(&f->end.stream); n++) {
		char word[32];
		int len = snprintf(word, sizeof(word), "%zu word of some length;", n);

		assert_true(n < 1000000);
		pw_stream_send(&f->end.stream, word, (size_t)len);
		pw_strbuf_add(sent, word, (size_t)len);
	}
	return n;
}

static void test_backlog_drains_in_order(void **state)
{
	struct fixture *f = *state;
	struct pw_strbuf sent = PW_STRBUF_INIT, got = PW_STRBUF_INIT;

	(void)fill(f, &sent);
	assert_true(pw_stream_backlog(&f->end.stream) >= PW_STREAM_HIGH_WATER);
	assert_false(pw_stream_is_quiet(&f->end.stream));
	turn(f);
	assert_int_equal(f->end.n_drains, 0);
	while (got.len < sent.len) {
		size_t backlog = pw_stream_backlog(&f->end.stream);

		assert_int_equal(f->end.n_drains, backlog < PW_STREAM_LOW_WATER ? 1 : 0);
		assert_true(peer_reads(f, &got, 20000) > 0);
		pw_loop_turn(&f->loop, false);
	}
	turn(f);
	assert_memory_equal(got.data, sent.data, sent.len);
	assert_int_equal(f->end.n_drains, 1);
	/* An idle stream holds no buffer and no event. */
	assert_null(f->end.stream.backlog);
	assert_null(f->end.stream.write_event);
	assert_true(pw_stream_is_quiet(&f->end.stream));
	pw_strbuf_fini(&sent);
	pw_strbuf_fini(&got);
}

/* Below the high water nobody has been stopped, so nobody is told to go on. */
static void test_small_backlog_is_not_told(void **state)
{
	struct fixture *f = *state;
	struct pw_strbuf got = PW_STRBUF_INIT;
	static const char word[1000];
	size_t sent = 0;

	while (pw_stream_backlog(&f->end.stream) == 0) {
		pw_stream_send(&f->end.stream, word, sizeof(word));
		sent += sizeof(word);
	}
	while (got.len < sent) {
		(void)peer_reads(f, &got, 100000);
		turn(f);
	}
	assert_int_equal(got.len, sent);
	assert_int_equal(f->end.n_drains, 0);
	pw_strbuf_fini(&got);
}

/* The peer has said its last words and gone; our write fails. The words come first. */
static void test_last_words_before_a_failed_write(void **state)
{
	struct fixture *f = *state;

	peer_says(f, "FATAL: terminating");
	close(f->peer);
	f->peer = -1;
	pw_stream_send(&f->end.stream, "query", 5);
	assert_true(f->end.stream.has_failed);
	/* Never from within the send. */
	assert_int_equal(f->end.n_ends, 0);
	turn(f);
	assert_got(f, "FATAL: terminating");
	assert_int_equal(f->end.n_ends, 1);
	pw_stream_send(&f->end.stream, "more", 4);
	turn(f);
	assert_int_equal(f->end.n_ends, 1);
}

/* Also where reading was off, and with a backlog. */
static void test_failed_write_while_not_reading(void **state)
{
	struct fixture *f = *state;
	struct pw_strbuf sent = PW_STRBUF_INIT;

	pw_stream_set_reading(&f->end.stream, false);
	(void)fill(f, &sent);
	peer_says(f, "words");
	close(f->peer);
	f->peer = -1;
	turn(f);
	assert_got(f, "words");
	assert_int_equal(f->end.n_ends, 1);
	assert_int_equal(f->end.n_drains, 0);
	assert_null(f->end.stream.backlog);
	pw_strbuf_fini(&sent);
}

/* The kernel watches no more descriptors for us (here: this one never). Silence would be for ever.
 */
static void test_socket_that_cannot_be_watched(void **state)
{
	struct fixture *f = *state;
	FILE *file = tmpfile();

	pw_stream_set_reading(&f->end.stream, false);
	assert_non_null(file);
	assert_true(dup2(fileno(file), f->end.stream.fd) >= 0);
	fclose(file);
	pw_stream_set_reading(&f->end.stream, true);
	assert_int_equal(f->end.n_ends, 0);
	turn(f);
	assert_int_equal(f->end.n_ends, 1);
	assert_int_equal(f->end.status, PW_EIO);
}

/* ---- hand-over ---- */

static void test_detach_and_adopt(void **state)
{
	struct fixture *f = *state;
	const struct pw_transport_ops *transport_ops;
	struct pw_loop other_loop;
	struct end other;
	void *transport;
	char buf[8];
	int fd;

	assert_int_equal(pw_loop_init(&other_loop, &pw_clock_system), PW_OK);
	memset(&other, 0, sizeof(other));
	pw_stream_init(&other.stream, &other_loop, &ops);
	fd = pw_stream_detach(&f->end.stream, &transport_ops, &transport);
	assert_true(pw_stream_is_closed(&f->end.stream));
	assert_null(transport);
	peer_says(f, "hello");
	turn(f);
	assert_got(f, "");
	assert_int_equal(pw_stream_adopt(&other.stream, fd, transport_ops, transport), PW_OK);
	pw_loop_turn(&other_loop, false);
	assert_string_equal(other.got.data, "hello");
	pw_stream_send(&other.stream, "you", 3);
	assert_int_equal(recv(f->peer, buf, sizeof(buf), 0), 3);
	assert_memory_equal(buf, "you", 3);
	pw_stream_close(&other.stream);
	assert_int_equal(recv(f->peer, buf, sizeof(buf), 0), 0);
	pw_strbuf_fini(&other.got);
	pw_loop_fini(&other_loop);
}

/* ---- connecting ---- */

static void test_connect(void **state)
{
	struct fixture *f = *state;
	struct sockaddr_storage ss;
	char name[64], buf[16];
	struct end client;
	socklen_t len;
	int listener, fd;

	snprintf(name, sizeof(name), "@pgweir-test-stream-%d", (int)getpid());
	listener = pw_socket_listen_unix(name, 4, -1, (gid_t)-1);
	assert_true(listener >= 0);
	len = pw_socket_unix_address(name, &ss);
	memset(&client, 0, sizeof(client));
	pw_stream_init(&client.stream, &f->loop, &ops);
	assert_int_equal(pw_stream_connect(&client.stream, (struct sockaddr *)&ss, len), PW_OK);
	assert_int_equal(client.n_opens, 0);
	/* What is said before it stands waits for it. */
	pw_stream_send(&client.stream, "early", 5);
	turn(f);
	assert_int_equal(client.n_opens, 1);
	assert_int_equal(client.n_ends, 0);
	fd = accept(listener, NULL, NULL);
	assert_true(fd >= 0);
	assert_int_equal(recv(fd, buf, sizeof(buf), 0), 5);
	assert_int_equal(write(fd, "ok", 2), 2);
	turn(f);
	assert_string_equal(client.got.data, "ok");
	close(fd);
	close(listener);
	pw_stream_close(&client.stream);
	pw_strbuf_fini(&client.got);
	/* Nobody listens any more: told at once, or by an upcall, and nothing is left open. */
	if (pw_stream_connect(&client.stream, (struct sockaddr *)&ss, len) == PW_OK) {
		turn(f);
		assert_int_equal(client.n_ends, 1);
	} else {
		assert_int_equal(errno, ECONNREFUSED);
	}
	pw_stream_close(&client.stream);
	assert_true(pw_stream_is_closed(&client.stream));
}

static void test_connect_over_tcp_is_refused(void **state)
{
	struct fixture *f = *state;
	struct sockaddr_storage ss;
	struct pw_addr addr;
	struct end client;
	int listener;

	/* A port that was ours a moment ago. */
	assert_true(pw_addr_parse("127.0.0.1", 0, &addr));
	listener = pw_socket_listen(&addr, 1, false);
	assert_true(listener >= 0);
	addr = pw_socket_local(listener);
	close(listener);
	memset(&client, 0, sizeof(client));
	pw_stream_init(&client.stream, &f->loop, &ops);
	if (pw_stream_connect(&client.stream, (struct sockaddr *)&ss,
			      pw_addr_to_sockaddr(&addr, &ss)) == PW_OK) {
		for (int i = 0; i < 100 && client.n_ends == 0; i++)
			pw_loop_turn(&f->loop, true);
		assert_int_equal(client.n_ends, 1);
		assert_int_equal(client.status, PW_EIO);
	} else {
		assert_int_equal(errno, ECONNREFUSED);
	}
	assert_int_equal(client.n_opens, 0);
	pw_stream_close(&client.stream);
}

/* ---- batches ---- */

static void test_batch_merges(void **state)
{
	static const char text[] = "abcdefghij";
	struct fixture *f = *state;
	struct pw_strbuf out = PW_STRBUF_INIT;
	struct pw_batch batch;

	pw_batch_begin(&batch, &f->end.stream);
	pw_batch_flush(&batch); /* empty: nothing is sent */
	pw_batch_add(&batch, text, 3);
	pw_batch_add(&batch, text + 3, 2);
	pw_batch_add(&batch, text, 0);
	assert_int_equal(batch.n, 1);
	pw_batch_add(&batch, text + 6, 1); /* a gap */
	assert_int_equal(batch.n, 2);
	pw_batch_copy(&batch, "12", 2);
	pw_batch_copy(&batch, "34", 2); /* next to it in the arena */
	assert_int_equal(batch.n, 3);
	pw_batch_add(&batch, text + 7, 3);
	assert_int_equal(batch.n, 4);
	assert_int_equal(batch.total, 13);
	assert_int_equal(peer_reads(f, &out, 100), 0);
	pw_batch_flush(&batch);
	assert_int_equal(peer_reads(f, &out, 100), 13);
	assert_string_equal(out.data, "abcdeg1234hij");
	pw_strbuf_fini(&out);
}

/* More spans and more bytes than a batch has room for: still all of it, in order. */
static void test_batch_overflows(void **state)
{
	struct fixture *f = *state;
	struct pw_strbuf wanted = PW_STRBUF_INIT, got = PW_STRBUF_INIT;
	static const char text[] = "0123456789abcdefghijklmnopqrstuvwxyz";
	char *large = malloc(PW_BATCH_ARENA + 1);
	struct pw_batch batch;

	memset(large, 'L', PW_BATCH_ARENA + 1);
	pw_batch_begin(&batch, &f->end.stream);
	for (size_t i = 0; i < 300; i++) {
		const char *span = text + i * 7 % 30;

		if (i % 3 == 0) {
			char small[100];

			memset(small, 'a' + (int)(i % 26), sizeof(small));
			pw_batch_copy(&batch, small, sizeof(small));
			pw_strbuf_add(&wanted, small, sizeof(small));
		} else if (i % 50 == 1) {
			pw_batch_copy(&batch, large, PW_BATCH_ARENA + 1);
			pw_strbuf_add(&wanted, large, PW_BATCH_ARENA + 1);
		} else {
			pw_batch_add(&batch, span, 3);
			pw_strbuf_add(&wanted, span, 3);
		}
		assert_int_equal(batch.total, wanted.len);
	}
	pw_batch_copy(&batch, large, PW_BATCH_ARENA);
	pw_strbuf_add(&wanted, large, PW_BATCH_ARENA);
	pw_batch_flush(&batch);
	while (got.len < wanted.len) {
		(void)peer_reads(f, &got, 1 << 20);
		pw_loop_turn(&f->loop, false);
	}
	assert_memory_equal(got.data, wanted.data, wanted.len);
	pw_strbuf_fini(&wanted);
	pw_strbuf_fini(&got);
	free(large);
}

/* ---- the outbox ---- */

static bool peer_has_nothing(const struct end *e)
{
	char byte;

	return recv(e->peer, &byte, 1, MSG_PEEK) < 0 && errno == EAGAIN;
}

static void say_little(struct end *e)
{
	pw_stream_send(&e->stream, "one ", 4);
	pw_stream_send(&e->stream, "two", 3);
	assert_true(peer_has_nothing(e));
	assert_false(pw_stream_is_quiet(&e->stream));
}

static void assert_peer_gets(struct fixture *f, const char *text)
{
	struct pw_strbuf got = PW_STRBUF_INIT;

	(void)peer_reads(f, &got, 1 << 20);
	assert_string_equal(got.data ? got.data : "", text);
	pw_strbuf_fini(&got);
}

/* What is small waits for the end of the turn, and no longer. */
static void test_small_sends_leave_together(void **state)
{
	struct fixture *f = *state;

	f->end.says = say_little;
	peer_says(f, "?");
	pw_loop_turn(&f->loop, false);
	assert_peer_gets(f, "one two");
	assert_true(pw_stream_is_quiet(&f->end.stream));
	/* Nothing of it is left: it may have been a password. */
	for (size_t i = 0; i < PW_OUTBOX_BYTES; i++)
		assert_int_equal(f->loop.outbox->bytes[i], 0);
}

static void say_and_close(struct end *e)
{
	say_little(e);
	pw_stream_close(&e->stream);
}

static void test_close_sends_what_waits(void **state)
{
	struct fixture *f = *state;

	f->end.says = say_and_close;
	peer_says(f, "?");
	pw_loop_turn(&f->loop, false);
	assert_peer_gets(f, "one two");
}

/* Small, large, small, more of the small ones than have room, and one that a task sends. */
static void say_much(struct end *e)
{
	char word[32], large[4000];

	memset(large, '.', sizeof(large));
	for (int i = 0; i < 3 * PW_OUTBOX_RECORDS * 16; i++) {
		int len = snprintf(word, sizeof(word), "%d;", i);

		pw_stream_send(&e->stream, word, (size_t)len);
		if (i % 100 == 50)
			pw_stream_send(&e->stream, large, sizeof(large));
	}
}

static void test_nothing_overtakes(void **state)
{
	struct fixture *f = *state;
	struct pw_strbuf got = PW_STRBUF_INIT;
	const char *at;
	int expected = 0;

	f->end.says = say_much;
	peer_says(f, "?");
	pw_loop_turn(&f->loop, false);
	f->end.says = NULL;
	pw_stream_send(&f->end.stream, "end", 4);
	for (int i = 0; i < 100; i++) {
		(void)peer_reads(f, &got, 1 << 20);
		turn(f);
	}
	for (at = got.data; *at && strcmp(at, "end") != 0; expected++) {
		char *stop;

		at += strspn(at, ".");
		assert_int_equal(strtol(at, &stop, 10), expected);
		assert_int_equal(*stop, ';');
		at = stop + 1;
	}
	assert_int_equal(expected, 3 * PW_OUTBOX_RECORDS * 16);
	assert_string_equal(at, "end");
	pw_strbuf_fini(&got);
}

/* More streams than have room in one outbox, all of one loop, each speaking several times in a turn
 * and in turns; one is closed in the midst of it, one has lost its peer. */
enum { MANY = PW_OUTBOX_RECORDS + PW_OUTBOX_RECORDS / 2, SAYINGS = 3, CLOSED = 7, LOST = 9 };

struct crowd {
	struct end ends[MANY];
	int peers[MANY];
};

static struct crowd *crowd_of(struct end *first)
{
	return PW_CONTAINER(first, struct crowd, ends[0]);
}

static void say_all(struct end *first)
{
	struct crowd *crowd = crowd_of(first);
	char word[32];

	for (int round = 0; round < SAYINGS; round++) {
		for (int i = 0; i < MANY; i++) {
			int len = snprintf(word, sizeof(word), "%d of %d;", round, i);

			pw_stream_send(&crowd->ends[i].stream, word, (size_t)len);
			if (i == CLOSED && round == 1)
				pw_stream_close(&crowd->ends[i].stream);
		}
	}
}

static void assert_was_told(struct crowd *crowd, int i, int rounds)
{
	struct pw_strbuf wanted = PW_STRBUF_INIT;
	char got[256];
	ssize_t n = recv(crowd->peers[i], got, sizeof(got), 0);

	for (int round = 0; round < rounds; round++)
		pw_strbuf_printf(&wanted, "%d of %d;", round, i);
	assert_int_equal(n, wanted.len);
	assert_memory_equal(got, wanted.data, wanted.len);
	pw_strbuf_fini(&wanted);
}

static void test_many_streams(void **state)
{
	struct fixture *f = *state;
	struct crowd *crowd = calloc(1, sizeof(*crowd));
	int fds[2];

	for (int i = 0; i < MANY; i++) {
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
		pw_stream_init(&crowd->ends[i].stream, &f->loop, &ops);
		assert_int_equal(pw_stream_attach(&crowd->ends[i].stream, fds[0], false), PW_OK);
		crowd->peers[i] = fds[1];
	}
	close(crowd->peers[LOST]);
	pw_stream_set_reading(&crowd->ends[LOST].stream, false);
	crowd->ends[0].says = say_all;
	assert_int_equal(write(crowd->peers[0], "?", 1), 1);
	pw_loop_turn(&f->loop, false);
	for (int i = 0; i < MANY; i++) {
		if (i != LOST)
			assert_was_told(crowd, i, i == CLOSED ? 2 : SAYINGS);
	}
	turn(f);
	assert_int_equal(crowd->ends[LOST].n_ends, 1);
	for (int i = 0; i < MANY; i++) {
		pw_stream_close(&crowd->ends[i].stream);
		pw_strbuf_fini(&crowd->ends[i].got);
		if (i != LOST)
			close(crowd->peers[i]);
	}
	free(crowd);
}

/* A peer that sends no more may still read: what waits for it when its end is read is sent. */
static void test_end_in_the_same_turn(void **state)
{
	struct fixture *f = *state;

	f->loop.is_in_events = true; /* as within another stream's callback */
	pw_stream_send(&f->end.stream, "one", 3);
	shutdown(f->peer, SHUT_WR);
	pw_loop_turn(&f->loop, false);
	assert_int_equal(f->end.n_ends, 1);
	assert_peer_gets(f, "one");
}

struct sender {
	struct pw_task task;
	struct end *end;
};

static void send_from_task(struct pw_task *task)
{
	struct end *e = PW_CONTAINER(task, struct sender, task)->end;

	pw_stream_send(&e->stream, "task", 4);
	/* After the callbacks nothing waits any more. */
	assert_false(peer_has_nothing(e));
}

static void test_task_behind_an_event(void **state)
{
	struct fixture *f = *state;
	struct sender sender = {.end = &f->end};

	pw_task_init(&sender.task, send_from_task);
	/* Before the outbox's own. */
	pw_task_post(&f->loop, &sender.task);
	f->end.says = say_little;
	peer_says(f, "?");
	pw_loop_turn(&f->loop, false);
	assert_peer_gets(f, "one twotask");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_data_and_end),
	    TEST(test_data_at_once),
	    TEST(test_reading_off_and_on),
	    TEST(test_rounds),
	    TEST(test_closed_in_upcall),
	    TEST(test_send),
	    TEST(test_backlog_drains_in_order),
	    TEST(test_small_backlog_is_not_told),
	    TEST(test_last_words_before_a_failed_write),
	    TEST(test_failed_write_while_not_reading),
	    TEST(test_socket_that_cannot_be_watched),
	    TEST(test_detach_and_adopt),
	    TEST(test_connect),
	    TEST(test_connect_over_tcp_is_refused),
	    TEST(test_small_sends_leave_together),
	    TEST(test_close_sends_what_waits),
	    TEST(test_nothing_overtakes),
	    TEST(test_task_behind_an_event),
	    TEST(test_many_streams),
	    TEST(test_end_in_the_same_turn),
	    TEST(test_batch_merges),
	    TEST(test_batch_overflows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

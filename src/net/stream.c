/* SPDX-License-Identifier: PostgreSQL
 *
 * The read event stays registered while reading is on; the write event exists only while
 * something waits. Small sends are collected in the loop's outbox until the turn's events have been
 * handled: each of them wakes a peer, and a peer that finds several messages at once sleeps and
 * wakes less often, as do we (measured: 5 % of the CPU of a transaction). A failed write is told by
 * the read side, after all that the peer had still sent was handed up: a server's last words are
 * worth more than our EPIPE.
 */
#include "config.h"

#include "pgweir/net/stream.h"

#include <errno.h>
#include <event2/buffer.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "net_priv.h"
#include "pgweir/base/assert.h"

enum { STREAM_MAGIC = 0x53747265, DEFAULT_READ_ROUNDS = 5, FLUSH_IOV = 16, SMALL_SEND = 1024 };

static void on_readable(evutil_socket_t fd, short what, void *arg);
static void on_writable(evutil_socket_t fd, short what, void *arg);
static void flush_outbox(struct pw_loop *loop);

/* ---- life ---- */

void pw_stream_init(struct pw_stream *stream, struct pw_loop *loop, const struct pw_stream_ops *ops)
{
	memset(stream, 0, sizeof(*stream));
	stream->magic = STREAM_MAGIC;
	stream->fd = -1;
	stream->loop = loop;
	stream->ops = ops;
	stream->transport_ops = &pw_plain_transport;
	stream->state = PW_STREAM_CLOSED;
	stream->read_rounds = DEFAULT_READ_ROUNDS;
}

static enum pw_status watch_fd(struct pw_stream *stream, int fd, enum pw_stream_state state)
{
	if (event_assign(&stream->read_event, stream->loop->base, fd, EV_READ | EV_PERSIST,
			 on_readable, stream) < 0)
		return PW_EIO;
	stream->fd = fd;
	stream->state = state;
	return PW_OK;
}

static enum pw_status want_write(struct pw_stream *stream)
{
	if (stream->write_event)
		return PW_OK;
	stream->write_event =
	    event_new(stream->loop->base, stream->fd, EV_WRITE | EV_PERSIST, on_writable, stream);
	if (!stream->write_event || event_add(stream->write_event, NULL) < 0)
		return PW_ENOMEM;
	return PW_OK;
}

static void unwant_write(struct pw_stream *stream)
{
	if (stream->write_event)
		event_free(stream->write_event);
	stream->write_event = NULL;
}

enum pw_status pw_stream_adopt(struct pw_stream *stream, int fd, const struct pw_transport_ops *ops,
			       void *transport)
{
	stream->has_failed = false;
	stream->has_ended = false;
	stream->transport_ops = ops;
	stream->transport = transport;
	if (watch_fd(stream, fd, PW_STREAM_OPEN) != PW_OK)
		return PW_EIO;
	pw_stream_set_reading(stream, true);
	return PW_OK;
}

enum pw_status pw_stream_attach(struct pw_stream *stream, int fd, bool has_data)
{
	enum pw_status status = pw_stream_adopt(stream, fd, &pw_plain_transport, NULL);

	if (status == PW_OK && has_data)
		on_readable(fd, EV_READ, stream);
	return status;
}

enum pw_status pw_stream_connect(struct pw_stream *stream, const struct sockaddr *sa, socklen_t len)
{
	int fd = socket(sa->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return PW_EIO;
	stream->has_failed = false;
	stream->has_ended = false;
	if ((connect(fd, sa, len) < 0 && errno != EINPROGRESS) ||
	    watch_fd(stream, fd, PW_STREAM_CONNECTING) != PW_OK || want_write(stream) != PW_OK) {
		int saved_errno = errno;

		unwant_write(stream);
		stream->fd = -1;
		stream->state = PW_STREAM_CLOSED;
		close(fd);
		errno = saved_errno;
		return PW_EIO;
	}
	return PW_OK;
}

enum pw_status pw_stream_start(struct pw_stream *stream, const struct pw_transport_ops *ops,
			       void *transport)
{
	if (stream->is_in_outbox)
		flush_outbox(stream->loop);
	pw_assert(stream->state == PW_STREAM_OPEN && !stream->transport && !stream->backlog);
	stream->transport_ops = ops;
	stream->transport = transport;
	stream->state = PW_STREAM_HANDSHAKE;
	pw_stream_set_reading(stream, true);
	/* The side that speaks first must not wait for the peer. */
	event_active(&stream->read_event, EV_READ, 0);
	return PW_OK;
}

static void forget_fd(struct pw_stream *stream)
{
	pw_assert(!stream->is_in_outbox);
	unwant_write(stream);
	if (stream->fd >= 0)
		event_del(&stream->read_event);
	stream->fd = -1;
	stream->is_reading = false;
	stream->was_full = false;
	stream->state = PW_STREAM_CLOSED;
	if (stream->backlog)
		evbuffer_free(stream->backlog);
	stream->backlog = NULL;
	stream->transport = NULL;
	stream->transport_ops = &pw_plain_transport;
}

int pw_stream_detach(struct pw_stream *stream, const struct pw_transport_ops **ops,
		     void **transport)
{
	int fd = stream->fd;

	*ops = stream->transport_ops;
	*transport = stream->transport;
	forget_fd(stream);
	return fd;
}

void pw_stream_close(struct pw_stream *stream)
{
	int fd = stream->fd;

	if (fd < 0)
		return;
	if (stream->is_in_outbox)
		flush_outbox(stream->loop);
	if (stream->transport)
		stream->transport_ops->destroy(stream->transport);
	forget_fd(stream);
#ifdef PW_MUTANT_DESCRIPTOR_LEAKED
	if (stream->has_ended)
		return;
#endif
	close(fd);
}

static void end(struct pw_stream *stream, enum pw_status status, const char *why)
{
	if (stream->has_ended)
		return;
	/* Only its other direction may have ended. */
	if (stream->is_in_outbox)
		flush_outbox(stream->loop);
	stream->has_ended = true;
	pw_stream_set_reading(stream, false);
	unwant_write(stream);
	stream->ops->on_end(stream, status, why);
}

static void fail_write(struct pw_stream *stream)
{
	stream->has_failed = true;
	unwant_write(stream);
	if (stream->backlog)
		evbuffer_free(stream->backlog);
	stream->backlog = NULL;
	/* Let the read side tell it, from the loop and not from inside a send. */
	if (!stream->is_reading)
		pw_stream_set_reading(stream, true);
	event_active(&stream->read_event, EV_READ, 0);
}

/* On opening: what was given to send before now waits for the socket. */
static void watch_backlog(struct pw_stream *stream)
{
	if (!stream->backlog)
		unwant_write(stream);
	else if (want_write(stream) != PW_OK)
		fail_write(stream);
}

/* ---- reading ---- */

/* No event tells of what the transport has taken from the socket already. */
static void read_pending(struct pw_stream *stream)
{
	if (stream->is_reading && stream->transport && stream->state == PW_STREAM_OPEN &&
	    stream->transport_ops->has_pending(stream->transport))
		event_active(&stream->read_event, EV_READ, 0);
}

static void shake_hands(struct pw_stream *stream)
{
	enum pw_io io = stream->transport_ops->handshake
			    ? stream->transport_ops->handshake(stream->transport)
			    : PW_IO_OK;

	switch (io) {
	case PW_IO_OK:
		stream->state = PW_STREAM_OPEN;
		watch_backlog(stream);
		stream->ops->on_open(stream);
		read_pending(stream);
		break;
	case PW_IO_WANT_READ:
		unwant_write(stream);
		break;
	case PW_IO_WANT_WRITE:
		if (want_write(stream) != PW_OK)
			end(stream, PW_EIO, "out of memory");
		break;
	case PW_IO_EOF:
		end(stream, PW_CLOSED, "connection closed during the TLS handshake");
		break;
	case PW_IO_ERROR:
		end(stream, PW_EIO, stream->transport_ops->error(stream->transport));
		break;
	}
}

/* A read that did not fill the buffer has emptied the socket, or its next event will tell; but no
 * event tells of what the transport holds, nor of a failed write. */
static bool may_have_more(const struct pw_stream *stream, size_t n)
{
	return n == PW_SCRATCH_SIZE || stream->has_failed ||
	       stream->transport_ops->has_pending(stream->transport);
}

static bool read_once(struct pw_stream *stream)
{
	size_t n = 0;
	enum pw_io io = stream->transport_ops->recv(stream->transport, stream->fd,
						    stream->loop->scratch, PW_SCRATCH_SIZE, &n);

	switch (io) {
	case PW_IO_OK:
		stream->ops->on_data(stream, stream->loop->scratch, n);
		return stream->state == PW_STREAM_OPEN && stream->is_reading &&
		       may_have_more(stream, n);
	case PW_IO_EOF:
		end(stream, PW_CLOSED, "end of file");
		return false;
	case PW_IO_ERROR:
		end(stream, PW_EIO, stream->transport_ops->error(stream->transport));
		return false;
	case PW_IO_WANT_WRITE:
		/* TLS 1.2 renegotiation only; the peer will read some day. */
	case PW_IO_WANT_READ:
		if (stream->has_failed)
			end(stream, PW_EIO, "write failed");
		return false;
	}
	return false;
}

static void on_readable(evutil_socket_t fd PW_UNUSED, short what PW_UNUSED, void *arg)
{
	struct pw_stream *stream = arg;
	int rounds = 0;

	pw_assert(stream->magic == STREAM_MAGIC);
	pw_loop_begin_callback(stream->loop);
	if (stream->state == PW_STREAM_HANDSHAKE) {
		shake_hands(stream);
		return;
	}
	if (stream->state != PW_STREAM_OPEN || !stream->is_reading)
		return;
	while (read_once(stream)) {
		if (stream->read_rounds > 0 && ++rounds >= stream->read_rounds) {
			/* Others get their turn; come back for what the transport holds. */
			if (stream->transport || stream->has_failed)
				event_active(&stream->read_event, EV_READ, 0);
			return;
		}
	}
}

void pw_stream_set_reading(struct pw_stream *stream, bool is_on)
{
	if (stream->is_reading == is_on || stream->fd < 0 || (is_on && stream->has_ended))
		return;
	stream->is_reading = is_on;
	if (!is_on) {
		event_del(&stream->read_event);
		return;
	}
	if (event_add(&stream->read_event, NULL) < 0) {
		/* No event will ever come of it: the failure is told from the loop all the same. */
		stream->has_failed = true;
		event_active(&stream->read_event, EV_READ, 0);
		return;
	}
	read_pending(stream);
}

/* ---- writing ---- */

size_t pw_stream_backlog(const struct pw_stream *stream)
{
	return stream->backlog ? evbuffer_get_length(stream->backlog) : 0;
}

static void keep_rest(struct pw_stream *stream, const struct iovec *iov, int n_iov, size_t skip)
{
	if (!stream->backlog)
		stream->backlog = evbuffer_new();
	if (!stream->backlog || want_write(stream) != PW_OK) {
		fail_write(stream);
		return;
	}
	for (int i = 0; i < n_iov; i++) {
		size_t cut = skip < iov[i].iov_len ? skip : iov[i].iov_len;

		skip -= cut;
		if (cut < iov[i].iov_len &&
		    evbuffer_add(stream->backlog, (const uint8_t *)iov[i].iov_base + cut,
				 iov[i].iov_len - cut) < 0) {
			fail_write(stream);
			return;
		}
	}
	if (evbuffer_get_length(stream->backlog) >= PW_STREAM_HIGH_WATER)
		stream->was_full = true;
}

static void send_now(struct pw_stream *stream, const struct iovec *iov, int n_iov, size_t total)
{
	size_t n = 0;

	if (stream->fd < 0 || stream->has_failed || stream->has_ended)
		return;
	if (!stream->backlog && stream->state == PW_STREAM_OPEN) {
		if (stream->transport_ops->send(stream->transport, stream->fd, iov, n_iov, &n) ==
		    PW_IO_ERROR) {
			fail_write(stream);
			return;
		}
		if (n == total)
			return;
	}
	keep_rest(stream, iov, n_iov, n);
}

/* ---- the outbox ---- */

static void flush_outbox(struct pw_loop *loop)
{
	struct pw_outbox *outbox = loop->outbox;
	unsigned n = outbox->n;

	/* No upcall comes of a send: what fails is told later, so nothing is added meanwhile. */
	for (unsigned i = 0; i < n; i++) {
		struct pw_stream *stream = outbox->records[i].stream;
		struct iovec iov = {outbox->bytes + outbox->records[i].offset,
				    outbox->records[i].len};

		stream->is_in_outbox = false;
		send_now(stream, &iov, 1, iov.iov_len);
	}
	explicit_bzero(outbox->bytes, outbox->used); /* it may have been a login */
	outbox->n = 0;
	outbox->used = 0;
	pw_task_cancel(&outbox->task);
}

static void run_outbox(struct pw_task *task)
{
	struct pw_outbox *outbox = PW_CONTAINER(task, struct pw_outbox, task);

	if (outbox->n > 0)
		flush_outbox(outbox->records[0].stream->loop);
}

/* May it leave with the others of this turn? */
static bool may_wait(const struct pw_stream *stream, size_t len)
{
	return len <= SMALL_SEND && stream->loop->is_in_events && !stream->backlog &&
	       stream->state == PW_STREAM_OPEN;
}

static bool has_room(const struct pw_outbox *outbox, size_t len)
{
	return outbox->n < PW_OUTBOX_RECORDS && outbox->used + len <= PW_OUTBOX_BYTES;
}

static void add_record(struct pw_outbox *outbox, struct pw_stream *stream)
{
	if (outbox->n == 0) {
		pw_task_init(&outbox->task, run_outbox);
		pw_task_post(stream->loop, &outbox->task);
	}
	outbox->records[outbox->n].stream = stream;
	outbox->records[outbox->n].offset = outbox->used;
	outbox->records[outbox->n].len = 0;
	outbox->n++;
	stream->is_in_outbox = true;
}

static void add_to_outbox(struct pw_stream *stream, const struct iovec *iov, int n_iov)
{
	struct pw_outbox *outbox = stream->loop->outbox;

#ifdef PW_MUTANT_OUTBOX_MIXES_STREAMS
	if (outbox->n == 0)
#else
	if (outbox->n == 0 || outbox->records[outbox->n - 1].stream != stream)
#endif
		add_record(outbox, stream);
	for (int i = 0; i < n_iov; i++) {
		memcpy(outbox->bytes + outbox->used, iov[i].iov_base, iov[i].iov_len);
		outbox->used += (unsigned)iov[i].iov_len;
		outbox->records[outbox->n - 1].len += (unsigned)iov[i].iov_len;
	}
}

void pw_stream_sendv(struct pw_stream *stream, const struct iovec *iov, int n_iov)
{
	const struct pw_outbox *outbox = stream->loop->outbox;
	size_t total = 0;

	if (stream->fd < 0 || stream->has_failed || stream->has_ended)
		return;
	for (int i = 0; i < n_iov; i++)
		total += iov[i].iov_len;
	if (total == 0)
		return;
	/* What is small does not wait for bulk, and bytes of a stream do not overtake each other.
	 */
	if (outbox->n > 0 && (!has_room(outbox, total) || !may_wait(stream, total)))
		flush_outbox(stream->loop);
	if (may_wait(stream, total))
		add_to_outbox(stream, iov, n_iov);
	else
		send_now(stream, iov, n_iov, total);
}

void pw_stream_send(struct pw_stream *stream, const void *data, size_t len)
{
	struct iovec iov = {.iov_len = len};

	memcpy(&iov.iov_base, &data, sizeof(data)); /* never written through */
	pw_stream_sendv(stream, &iov, 1);
}

static void finish_connect(struct pw_stream *stream)
{
	int error = 0;
	socklen_t len = sizeof(error);

	if (getsockopt(stream->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		error = errno;
	if (error != 0) {
		end(stream, PW_EIO, strerror(error));
		return;
	}
	stream->state = PW_STREAM_OPEN;
	pw_stream_set_reading(stream, true);
	watch_backlog(stream);
	stream->ops->on_open(stream);
}

static void flush_backlog(struct pw_stream *stream)
{
	struct evbuffer_iovec iov[FLUSH_IOV];
	size_t n = 0;
	int n_iov;

	n_iov = evbuffer_peek(stream->backlog, -1, NULL, iov, FLUSH_IOV);
	if (n_iov > FLUSH_IOV)
		n_iov = FLUSH_IOV;
	if (stream->transport_ops->send(stream->transport, stream->fd, (struct iovec *)iov, n_iov,
					&n) == PW_IO_ERROR) {
		fail_write(stream);
		return;
	}
	evbuffer_drain(stream->backlog, n);
	if (evbuffer_get_length(stream->backlog) == 0) {
		evbuffer_free(stream->backlog);
		stream->backlog = NULL;
		unwant_write(stream);
	}
	if (stream->was_full && pw_stream_backlog(stream) < PW_STREAM_LOW_WATER) {
		stream->was_full = false;
		stream->ops->on_drained(stream);
	}
}

static void on_writable(evutil_socket_t fd PW_UNUSED, short what PW_UNUSED, void *arg)
{
	struct pw_stream *stream = arg;

	pw_assert(stream->magic == STREAM_MAGIC);
	pw_loop_begin_callback(stream->loop);
	if (stream->state == PW_STREAM_CONNECTING)
		finish_connect(stream);
	else if (stream->state == PW_STREAM_HANDSHAKE)
		shake_hands(stream);
	else if (stream->backlog)
		flush_backlog(stream);
	else
		unwant_write(stream);
}

/* ---- questions ---- */

bool pw_stream_is_quiet(const struct pw_stream *stream)
{
	return stream->state == PW_STREAM_OPEN && !stream->backlog && !stream->is_in_outbox &&
	       !stream->has_failed && !stream->has_ended &&
	       (!stream->transport || !stream->transport_ops->has_pending(stream->transport));
}

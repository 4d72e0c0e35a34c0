/* SPDX-License-Identifier: PostgreSQL
 *
 * A connected byte stream, plain or TLS, that pushes: it hands received bytes up and takes bytes
 * to send. Nothing above this layer calls recv, send or OpenSSL.
 *
 * Life: embedded in its owner (a client, a link). pw_stream_init(), then attach or connect; the
 * upcalls follow; pw_stream_close() ends it at once and is allowed in any upcall: none follows it.
 * The owner's memory must stay until the end of the loop's turn (free it in a task).
 *
 * Buffers: received bytes lie in the loop's scratch buffer and are valid during the upcall only;
 * the owner consumes or copies all of them. Bytes given to send are taken in full: what the peer
 * does not accept is copied to the backlog. The owner watches the backlog and stops its source
 * with pw_stream_set_reading(); on_drained tells when to go on. An idle stream holds no buffer.
 * What is small and is given in the callback of an event leaves behind all events of the turn.
 *
 * All on the loop's thread.
 */
#ifndef PGWEIR_NET_STREAM_H
#define PGWEIR_NET_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <event2/event.h>
#include <event2/event_struct.h>

#include "pgweir/base/status.h"
#include "pgweir/net/loop.h"

struct evbuffer;
struct pw_stream;

enum pw_io { PW_IO_OK, PW_IO_WANT_READ, PW_IO_WANT_WRITE, PW_IO_EOF, PW_IO_ERROR };

/* What carries the bytes: plain sockets here, TLS in the tls layer. */
struct pw_transport_ops {
	/* NULL = nothing to agree on before data. */
	enum pw_io (*handshake)(void *transport);
	enum pw_io (*recv)(void *transport, int fd, uint8_t *buf, size_t size, size_t *n);
	enum pw_io (*send)(void *transport, int fd, const struct iovec *iov, int n_iov, size_t *n);
	/* Bytes, or an end, received from the kernel and not yet handed up? */
	bool (*has_pending)(void *transport);
	/* Says goodbye if that needs no waiting, and frees. */
	void (*destroy)(void *transport);
	/* Why the last call failed; never NULL. */
	const char *(*error)(void *transport);
};

struct pw_stream_ops {
	/* The connection stands (and the handshake is done). */
	void (*on_open)(struct pw_stream *stream);
	void (*on_data)(struct pw_stream *stream, const uint8_t *data, size_t len);
	/* The backlog has fallen below PW_STREAM_LOW_WATER after having been above. */
	void (*on_drained)(struct pw_stream *stream);
	/* PW_CLOSED: the peer closed; PW_EIO: it failed, `why` says how. Still to be closed. */
	void (*on_end)(struct pw_stream *stream, enum pw_status status, const char *why);
};

enum pw_stream_state {
	PW_STREAM_CLOSED,
	PW_STREAM_CONNECTING,
	PW_STREAM_HANDSHAKE,
	PW_STREAM_OPEN
};

enum { PW_STREAM_HIGH_WATER = 128 * 1024, PW_STREAM_LOW_WATER = 32 * 1024 };

struct pw_stream {
	unsigned magic;
	int fd;
	struct pw_loop *loop;
	const struct pw_stream_ops *ops;
	const struct pw_transport_ops *transport_ops;
	void *transport;           /* owned; NULL = plain */
	struct evbuffer *backlog;  /* NULL = empty */
	struct event *write_event; /* only while something waits to be written */
	struct event read_event;
	enum pw_stream_state state;
	int read_rounds; /* recv calls per turn, 0 = no bound */
	bool is_reading;
	bool is_in_outbox; /* the loop's: bytes of this turn */
	bool was_full;     /* backlog went above the high water */
	bool has_failed;   /* a write failed; the next read tells */
	bool has_ended;    /* on_end was called */
};

void pw_stream_init(struct pw_stream *stream, struct pw_loop *loop,
		    const struct pw_stream_ops *ops);
/* Takes a connected, non-blocking socket. No on_open. Reading is on; with has_data it begins within
 * this call. On failure the socket is still the caller's. */
PW_MUSTCHECK enum pw_status pw_stream_attach(struct pw_stream *stream, int fd, bool has_data);
/* Begins a non-blocking connect; on_open or on_end follows, never within this call. */
PW_MUSTCHECK enum pw_status pw_stream_connect(struct pw_stream *stream, const struct sockaddr *sa,
					      socklen_t len);
/* Puts a transport (taken over, also on failure) between: on_open follows when it has shaken
 * hands. Nothing may wait to be sent except what was already written. */
PW_MUSTCHECK enum pw_status pw_stream_start(struct pw_stream *stream,
					    const struct pw_transport_ops *ops, void *transport);
/* Takes socket and transport out of an open, quiet stream (a hand-over between threads): the
 * stream is closed afterwards and the caller owns both. */
int pw_stream_detach(struct pw_stream *stream, const struct pw_transport_ops **ops,
		     void **transport);
/* Attaches what pw_stream_detach() gave. */
PW_MUSTCHECK enum pw_status pw_stream_adopt(struct pw_stream *stream, int fd,
					    const struct pw_transport_ops *ops, void *transport);
void pw_stream_close(struct pw_stream *stream);

void pw_stream_send(struct pw_stream *stream, const void *data, size_t len);
void pw_stream_sendv(struct pw_stream *stream, const struct iovec *iov, int n_iov);
/* Turning it on again also delivers what the transport has kept meanwhile. */
void pw_stream_set_reading(struct pw_stream *stream, bool is_on);
size_t pw_stream_backlog(const struct pw_stream *stream);

static inline bool pw_stream_is_full(const struct pw_stream *stream)
{
	return stream->backlog && pw_stream_backlog(stream) >= PW_STREAM_HIGH_WATER;
}

static inline bool pw_stream_is_closed(const struct pw_stream *stream)
{
	return stream->state == PW_STREAM_CLOSED;
}

/* Anything in our or the transport's buffers, either way? (No hand-over then.) */
bool pw_stream_is_quiet(const struct pw_stream *stream);

#endif

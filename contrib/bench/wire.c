/* SPDX-License-Identifier: PostgreSQL
 *
 * The connections of the load generator; the header has the contract.
 */
#include "wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PROTOCOL_3      196608
#define SSL_REQUEST     80877103
#define MAX_COMPLAINTS  5
#define SOURCES         64
#define AUTH_OK         0
#define AUTH_SASL       10
#define AUTH_SASL_GO_ON 11
#define AUTH_SASL_FINAL 12

uint64_t wire_now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void drop(struct wire *w)
{
	SSL_free(w->ssl);
	w->ssl = NULL;
	if (w->fd >= 0)
		close(w->fd);
	w->fd = -1;
	w->state = WIRE_CLOSED;
}

static __attribute__((format(printf, 2, 3))) bool fail(struct wire *w, const char *fmt, ...)
{
	va_list ap;

	if (w->target->complaints++ < MAX_COMPLAINTS) {
		va_start(ap, fmt);
		fputs("load: ", stderr);
		vfprintf(stderr, fmt, ap);
		fputs("\n", stderr);
		va_end(ap);
	}
	drop(w);
	return false;
}

static uint32_t get32(const unsigned char *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void put32(unsigned char *p, uint32_t v)
{
	p[0] = (unsigned char)(v >> 24);
	p[1] = (unsigned char)(v >> 16);
	p[2] = (unsigned char)(v >> 8);
	p[3] = (unsigned char)v;
}

/* Everything that is sent fits an empty socket buffer: a short write means that the peer is stuck.
 */
static bool send_bytes(struct wire *w, const void *data, size_t len)
{
	ssize_t n;

	if (w->ssl)
		n = SSL_write(w->ssl, data, (int)len);
	else
		n = send(w->fd, data, len, MSG_NOSIGNAL);
	return n == (ssize_t)len || fail(w, "short write: %s", strerror(errno));
}

/* A message of type and body; the body is at most a few hundred bytes. */
static bool send_message(struct wire *w, char type, const void *body, size_t len)
{
	unsigned char m[1024];

	if (len > sizeof(m) - 5)
		return fail(w, "message of %zu bytes is too long", len);
	m[0] = (unsigned char)type;
	put32(m + 1, (uint32_t)len + 4);
	memcpy(m + 5, body, len);
	return send_bytes(w, m, len + 5);
}

static bool want(struct wire *w, uint32_t events, int op)
{
	struct epoll_event ev = {.events = events, .data.ptr = w};

	return epoll_ctl(w->target->epoll_fd, op, w->fd, &ev) == 0 ||
	       fail(w, "epoll: %s", strerror(errno));
}

/* Many source addresses: closed connections keep their port busy for a minute. */
static bool bind_source(struct wire *w)
{
	struct sockaddr_in from = {.sin_family = AF_INET};
	int on = 1;

	from.sin_addr.s_addr = htonl(0x7f010001 + w->target->opened++ % SOURCES);
	setsockopt(w->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
	return bind(w->fd, (struct sockaddr *)&from, sizeof(from)) == 0;
}

bool wire_open(struct wire *w, struct wire_target *target)
{
	int on = 1;

	w->target = target;
	w->have = 0;
	w->ssl = NULL;
	w->has_asked = false;
	w->since_us = wire_now_us();
	w->state = WIRE_CONNECTING;
	w->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (w->fd < 0 || !bind_source(w))
		return fail(w, "socket: %s", strerror(errno));
	setsockopt(w->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (connect(w->fd, (struct sockaddr *)&target->addr, sizeof(target->addr)) != 0 &&
	    errno != EINPROGRESS)
		return fail(w, "connect: %s", strerror(errno));
	return want(w, EPOLLOUT, EPOLL_CTL_ADD);
}

bool wire_ask(struct wire *w, const char *query)
{
	w->since_us = wire_now_us();
	w->state = WIRE_BUSY;
	w->has_asked = true;
	return send_message(w, 'Q', query, strlen(query) + 1);
}

bool wire_query(struct wire *w)
{
	return wire_ask(w, w->target->query);
}

void wire_close(struct wire *w)
{
	if (w->state == WIRE_IDLE && !send_message(w, 'X', "", 0))
		return;
	if (w->ssl && w->state == WIRE_IDLE)
		SSL_shutdown(w->ssl);
	drop(w);
}

static bool send_startup(struct wire *w)
{
	unsigned char m[512];
	int len;

	w->state = WIRE_LOGIN;
	len = snprintf((char *)m + 8, sizeof(m) - 8, "user%c%s%cdatabase%c%s%c", 0, w->target->user,
		       0, 0, w->target->database, 0);
	if (len < 0 || (size_t)len + 9 > sizeof(m))
		return fail(w, "the names are too long");
	m[8 + len] = 0;
	put32(m, (uint32_t)len + 9);
	put32(m + 4, PROTOCOL_3);
	return send_bytes(w, m, (size_t)len + 9);
}

static bool finish_connect(struct wire *w)
{
	unsigned char request[8];
	int error = 0;
	socklen_t len = sizeof(error);

	if (getsockopt(w->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0 || error != 0)
		return fail(w, "connect: %s", strerror(error));
	if (!want(w, EPOLLIN, EPOLL_CTL_MOD))
		return false;
	if (!w->target->tls)
		return send_startup(w);
	w->state = WIRE_TLS_ASKED;
	put32(request, sizeof(request));
	put32(request + 4, SSL_REQUEST);
	return send_bytes(w, request, sizeof(request));
}

static bool go_on_with_tls(struct wire *w)
{
	int n, error;

	n = SSL_connect(w->ssl);
	if (n == 1)
		return want(w, EPOLLIN, EPOLL_CTL_MOD) && send_startup(w);
	error = SSL_get_error(w->ssl, n);
	if (error == SSL_ERROR_WANT_READ)
		return want(w, EPOLLIN, EPOLL_CTL_MOD);
	if (error == SSL_ERROR_WANT_WRITE)
		return want(w, EPOLLOUT, EPOLL_CTL_MOD);
	return fail(w, "TLS: %s", ERR_reason_error_string(ERR_peek_last_error()));
}

static bool start_tls(struct wire *w)
{
	char answer;
	ssize_t n = recv(w->fd, &answer, 1, 0);

	if (n < 0 && errno == EAGAIN)
		return true;
	if (n != 1 || answer != 'S')
		return fail(w, "the server refuses TLS");
	w->ssl = SSL_new(w->target->tls);
	if (!w->ssl || SSL_set_fd(w->ssl, w->fd) != 1)
		return fail(w, "out of memory for TLS");
	w->state = WIRE_TLS_HANDSHAKE;
	return go_on_with_tls(w);
}

static bool begin_scram(struct wire *w)
{
	char m[256];
	const size_t head = sizeof("SCRAM-SHA-256") + 4;
	int len;

	memcpy(m, "SCRAM-SHA-256", sizeof("SCRAM-SHA-256"));
	len = scram_first(&w->scram, m + head, sizeof(m) - head);
	if (len < 0)
		return fail(w, "no random numbers");
	put32((unsigned char *)m + head - 4, (uint32_t)len);
	return send_message(w, 'p', m, head + (size_t)len);
}

static bool go_on_with_scram(struct wire *w, const unsigned char *text, size_t len)
{
	char server_first[256], m[512];
	int n;

	if (len >= sizeof(server_first))
		return fail(w, "SCRAM message too long");
	memcpy(server_first, text, len);
	server_first[len] = '\0';
	n = scram_final(&w->scram, &w->target->cache, w->target->password, server_first, m,
			sizeof(m));
	if (n < 0)
		return fail(w, "SCRAM message not understood");
	return send_message(w, 'p', m, (size_t)n);
}

static bool on_authentication(struct wire *w, const unsigned char *body, size_t len)
{
	uint32_t kind = len < 4 ? UINT32_MAX : get32(body);

	switch (kind) {
	case AUTH_OK:
	case AUTH_SASL_FINAL:
		return true;
	case AUTH_SASL:
		return begin_scram(w);
	case AUTH_SASL_GO_ON:
		return go_on_with_scram(w, body + 4, len - 4);
	default:
		return fail(w, "the server wants authentication %u", kind);
	}
}

/* Fields are a letter and a text each; M is the message. */
static bool on_error(struct wire *w, const unsigned char *body, size_t len)
{
	const unsigned char *end = body + len, *p = body;

	while (p < end && *p != 'M' && *p != 0) {
		p = memchr(p, 0, (size_t)(end - p));
		if (!p)
			break;
		p++;
	}
	if (!p || p >= end || *p != 'M')
		return fail(w, "the server sent an error");
	return fail(w, "the server says: %.*s", (int)(end - p - 1), p + 1);
}

/* Handles the whole messages in the buffer. */
static enum wire_result handle_messages(struct wire *w)
{
	enum wire_result result = WIRE_NOTHING;
	size_t at = 0, len;
	bool ok = true;

	while (w->have - at >= 5 && ok) {
		len = (size_t)get32(w->in + at + 1) + 1;
		if (len < 5 || len > sizeof(w->in))
			ok = fail(w, "a message of %zu bytes", len);
		else if (w->have - at < len)
			break;
		else if (w->in[at] == 'E')
			ok = on_error(w, w->in + at + 5, len - 5);
		else if (w->in[at] == 'R')
			ok = on_authentication(w, w->in + at + 5, len - 5);
		else if (w->in[at] == 'Z')
			result = WIRE_READY;
		at += len;
	}
	if (!ok)
		return WIRE_FAILED;
	memmove(w->in, w->in + at, w->have - at);
	w->have -= at;
	if (result == WIRE_READY)
		w->state = WIRE_IDLE;
	return result;
}

/* Bytes read, 0 = none now, -1 = the connection is gone. */
static ssize_t receive(struct wire *w)
{
	size_t room = sizeof(w->in) - w->have;
	ssize_t n;

	if (w->ssl) {
		n = SSL_read(w->ssl, w->in + w->have, (int)room);
		if (n > 0)
			return n;
		return SSL_get_error(w->ssl, (int)n) == SSL_ERROR_WANT_READ ? 0 : -1;
	}
	n = recv(w->fd, w->in + w->have, room, 0);
	if (n > 0)
		return n;
	return n < 0 && errno == EAGAIN ? 0 : -1;
}

static enum wire_result read_messages(struct wire *w)
{
	enum wire_result result = WIRE_NOTHING, r;
	ssize_t n;

	do {
		n = receive(w);
		if (n < 0) {
			fail(w, "the server closed the connection");
			return WIRE_FAILED;
		}
		w->have += (size_t)n;
		r = handle_messages(w);
		if (r == WIRE_FAILED)
			return r;
		if (r == WIRE_READY)
			result = r;
		/* epoll does not know what OpenSSL has already taken from the socket. */
	} while (w->ssl && n > 0);
	return result;
}

enum wire_result wire_run(struct wire *w)
{
	bool ok = true;

	switch (w->state) {
	case WIRE_CLOSED:
		return WIRE_NOTHING;
	case WIRE_CONNECTING:
		ok = finish_connect(w);
		break;
	case WIRE_TLS_ASKED:
		ok = start_tls(w);
		break;
	case WIRE_TLS_HANDSHAKE:
		ok = go_on_with_tls(w);
		break;
	case WIRE_LOGIN:
	case WIRE_IDLE:
	case WIRE_BUSY:
		return read_messages(w);
	}
	return ok ? WIRE_NOTHING : WIRE_FAILED;
}

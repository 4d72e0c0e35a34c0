/* SPDX-License-Identifier: PostgreSQL
 *
 * A scripted PostgreSQL that costs next to nothing: takes every login and answers every query at
 * once with one row of one column. It stands behind poolers when their threads are compared,
 * because a real server would take the processors that they need.
 *
 *   answer PORT THREADS
 *
 * The main thread accepts and deals connections to the threads in turn; a connection stays with its
 * thread. One read, one write for all the messages that came together.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define PROTOCOL_3     196608
#define SSL_REQUEST    80877103
#define GSSENC_REQUEST 80877104
#define MAX_THREADS    64
#define EVENTS         64

struct peer {
	int fd;
	bool is_started;
	size_t have, ready;
	unsigned char in[16384];
	unsigned char out[65536];
};

static const char row_description[] =
    "T\0\0\0\x21\0\x01?column?\0\0\0\0\0\0\0\0\0\0\x17\0\x04\xff\xff\xff\xff\0\0";
static const char data_row[] = "D\0\0\0\x0b\0\x01\0\0\0\x01"
			       "1";

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "answer: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint32_t get32(const unsigned char *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* False when the answers would not fit: a client that pipelines so much is cut off. */
static bool put_bytes(struct peer *p, const void *data, size_t len)
{
	if (sizeof(p->out) - p->ready < len)
		return false;
	memcpy(p->out + p->ready, data, len);
	p->ready += len;
	return true;
}

static bool put_message(struct peer *p, char type, const void *body, size_t len)
{
	uint32_t n = htonl((uint32_t)len + 4);

	return put_bytes(p, &type, 1) && put_bytes(p, &n, 4) && put_bytes(p, body, len);
}

static bool put_parameter(struct peer *p, const char *name, const char *value)
{
	char body[128];
	int len = snprintf(body, sizeof(body), "%s%c%s", name, 0, value);

	return put_message(p, 'S', body, (size_t)len + 1);
}

static bool welcome(struct peer *p)
{
	static const char *const parameters[][2] = {
	    {"server_version", "15.0"},
	    {"server_encoding", "UTF8"},
	    {"client_encoding", "UTF8"},
	    {"application_name", ""},
	    {"DateStyle", "ISO, MDY"},
	    {"IntervalStyle", "postgres"},
	    {"TimeZone", "Etc/UTC"},
	    {"integer_datetimes", "on"},
	    {"standard_conforming_strings", "on"},
	    {"is_superuser", "off"},
	    {"session_authorization", "bench"},
	    {"in_hot_standby", "off"},
	    {"default_transaction_read_only", "off"},
	};
	bool ok = put_message(p, 'R', "\0\0\0\0", 4);

	for (size_t i = 0; ok && i < sizeof(parameters) / sizeof(*parameters); i++)
		ok = put_parameter(p, parameters[i][0], parameters[i][1]);
	p->is_started = true;
	return ok && put_message(p, 'K', "\0\0\0\x01\0\0\0\x02", 8) && put_message(p, 'Z', "I", 1);
}

static bool on_startup(struct peer *p, const unsigned char *m)
{
	uint32_t code = get32(m + 4);

	if (code == SSL_REQUEST || code == GSSENC_REQUEST)
		return put_bytes(p, "N", 1);
	if (code >> 16 != 3)
		return false;
	/* As PostgreSQL 15 does: no minor version beyond 3.0, and no options unknown. */
	if (code != PROTOCOL_3 && !put_message(p, 'v', "\0\0\0\0\0\0\0\0", 8))
		return false;
	return welcome(p);
}

/* The tag of a statement other than SELECT is its first word, which is near enough for SET and the
 * like. */
static bool on_query(struct peer *p, const char *text, size_t len)
{
	char tag[32];
	size_t n = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");

	if (len > 0 && n == 0)
		return put_message(p, 'I', "", 0) && put_message(p, 'Z', "I", 1);
	if (strncasecmp(text, "select", 6) == 0)
		return put_bytes(p, row_description, sizeof(row_description) - 1) &&
		       put_bytes(p, data_row, sizeof(data_row) - 1) &&
		       put_message(p, 'C', "SELECT 1", 9) && put_message(p, 'Z', "I", 1);
	n = n < sizeof(tag) ? n : sizeof(tag) - 1;
	memcpy(tag, text, n);
	tag[n] = '\0';
	return put_message(p, 'C', tag, n + 1) && put_message(p, 'Z', "I", 1);
}

static bool on_message(struct peer *p, const unsigned char *m, size_t len)
{
	switch (m[0]) {
	case 'Q':
		return m[len - 1] == 0 && on_query(p, (const char *)m + 5, len - 5);
	case 'P':
		return put_message(p, '1', "", 0);
	case 'B':
		return put_message(p, '2', "", 0);
	case 'C':
		return put_message(p, '3', "", 0);
	case 'D':
		return (len < 6 || m[5] != 'S' || put_message(p, 't', "\0\0", 2)) &&
		       put_bytes(p, row_description, sizeof(row_description) - 1);
	case 'E':
		return put_bytes(p, data_row, sizeof(data_row) - 1) &&
		       put_message(p, 'C', "SELECT 1", 9);
	case 'S':
		return put_message(p, 'Z', "I", 1);
	case 'H':
		return true;
	default:
		return false;
	}
}

/* Answers the whole messages in the buffer; false = close. */
static bool answer_messages(struct peer *p)
{
	size_t at = 0, head, len;
	bool ok = true;

	while (ok) {
		head = p->is_started ? 5 : 4;
		if (p->have - at < head)
			break;
		len = (size_t)get32(p->in + at + head - 4) + head - 4;
		if (len < (p->is_started ? 5 : 8) || len > sizeof(p->in))
			return false;
		if (p->have - at < len)
			break;
		ok = p->is_started ? on_message(p, p->in + at, len) : on_startup(p, p->in + at);
		at += len;
	}
	memmove(p->in, p->in + at, p->have - at);
	p->have -= at;
	return ok;
}

static bool serve(struct peer *p)
{
	ssize_t n = recv(p->fd, p->in + p->have, sizeof(p->in) - p->have, 0);

	if (n < 0 && errno == EAGAIN)
		return true;
	if (n <= 0)
		return false;
	p->have += (size_t)n;
	p->ready = 0;
	if (!answer_messages(p))
		return false;
	return p->ready == 0 || send(p->fd, p->out, p->ready, MSG_NOSIGNAL) == (ssize_t)p->ready;
}

static void *run_thread(void *arg)
{
	const int *epoll_fd = arg;
	struct epoll_event events[EVENTS];

	for (;;) {
		int n = epoll_wait(*epoll_fd, events, EVENTS, -1);

		for (int i = 0; i < n; i++) {
			struct peer *p = events[i].data.ptr;

			if (!serve(p)) {
				close(p->fd);
				free(p);
			}
		}
	}
	return NULL;
}

static int listen_on(uint16_t port)
{
	struct sockaddr_in addr = {.sin_family = AF_INET,
				   .sin_port = htons(port),
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
	    bind(fd, (struct sockaddr *)&addr, sizeof(addr)) != 0 || listen(fd, 1024) != 0)
		die("cannot listen");
	return fd;
}

static void deal(int fd, int epoll_fd)
{
	struct peer *p = calloc(1, sizeof(*p));
	struct epoll_event ev = {.events = EPOLLIN, .data.ptr = p};
	int on = 1;

	if (!p)
		die("out of memory");
	p->fd = fd;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &ev) != 0)
		die("epoll");
}

int main(int argc, char **argv)
{
	int epoll_fds[MAX_THREADS], listener, fd;
	long port, threads;
	pthread_t thread;

	port = argc == 3 ? strtol(argv[1], NULL, 10) : 0;
	threads = argc == 3 ? strtol(argv[2], NULL, 10) : 0;
	if (port < 1 || port > 65535 || threads < 1) {
		fputs("usage: answer PORT THREADS\n", stderr);
		return 2;
	}
	threads = threads < MAX_THREADS ? threads : MAX_THREADS;
	listener = listen_on((uint16_t)port);
	for (long i = 0; i < threads; i++) {
		epoll_fds[i] = epoll_create1(EPOLL_CLOEXEC);
		if (epoll_fds[i] < 0 ||
		    pthread_create(&thread, NULL, run_thread, &epoll_fds[i]) != 0)
			die("cannot start a thread");
	}
	for (long i = 0;; i = (i + 1) % threads) {
		fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0)
			deal(fd, epoll_fds[i]);
		else if (errno != EINTR && errno != ECONNABORTED)
			die("accept");
	}
}

/* SPDX-License-Identifier: PostgreSQL
 *
 * One client connection of the load generator: connect, TLS, login (trust or SCRAM) and simple
 * queries, all non-blocking on one epoll descriptor. A wire says when the server is ready for a
 * query; what is done then is the caller's business. Messages that do not fit the small buffer are
 * failures: the queries of the generator have short answers.
 */
#ifndef BENCH_WIRE_H
#define BENCH_WIRE_H

#include <netinet/in.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>

#include "scram.h"

/* Shared by all wires of a run. */
struct wire_target {
	struct sockaddr_in addr;
	const char *user, *database, *password, *query;
	SSL_CTX *tls; /* NULL = without TLS */
	int epoll_fd;
	struct scram_cache cache;
	unsigned opened;          /* counts on: spreads the source addresses */
	unsigned long complaints; /* failures so far; the first few are printed */
};

enum wire_state {
	WIRE_CLOSED,
	WIRE_CONNECTING,
	WIRE_TLS_ASKED,
	WIRE_TLS_HANDSHAKE,
	WIRE_LOGIN,
	WIRE_IDLE,
	WIRE_BUSY,
};

enum wire_result {
	WIRE_NOTHING, /* wait for the next event */
	WIRE_READY,   /* the server is ready for a query */
	WIRE_FAILED,  /* the wire is closed, the reason was printed */
};

struct wire {
	struct wire_target *target;
	int fd;
	enum wire_state state;
	SSL *ssl;
	uint64_t since_us; /* when the login or the query began */
	bool has_asked;    /* for the caller: a query was sent on this connection */
	struct scram scram;
	size_t have;
	unsigned char in[2048];
};

uint64_t wire_now_us(void);
/* False: failed, printed, closed. */
bool wire_open(struct wire *w, struct wire_target *target);
bool wire_query(struct wire *w);
bool wire_ask(struct wire *w, const char *query); /* the same with another query */
/* What to do when epoll reports the wire. */
enum wire_result wire_run(struct wire *w);
/* Says goodbye when the login was done. */
void wire_close(struct wire *w);

#endif

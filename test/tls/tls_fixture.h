/* SPDX-License-Identifier: PostgreSQL
 *
 * For the tests of the tls layer: certificates made on the spot in a directory of their own, and
 * two transports at the ends of a socket pair, driven by hand. Failures fail the running test.
 */
#ifndef PGWEIR_TEST_TLS_FIXTURE_H
#define PGWEIR_TEST_TLS_FIXTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/ssl.h>

#include "pgweir/conf/conf.h"
#include "pgweir/net/stream.h"
#include "pgweir/tls/tls.h"

struct cert_spec {
	const char *file; /* FILE.crt and FILE.key are written */
	const char *cn;
	size_t cn_len;       /* 0 = all of it; else it may hold a zero byte */
	const char *san;     /* "DNS:localhost,IP:127.0.0.1" */
	const char *raw_dns; /* one further DNS name, which may hold a zero byte */
	size_t raw_dns_len;
	const char *issuer;   /* FILE of the CA; NULL = signed by itself */
	const EVP_MD *md;     /* NULL = SHA-256 */
	const char *key_type; /* NULL = EC */
	bool is_ca;
	bool is_expired;
	bool broken_san; /* the extension holds no list of names */
};

struct pki {
	char dir[64];
	char *paths[16]; /* what pki_path() gave; owned */
	unsigned n_paths;
};

/*
 * ca, other_ca: authorities. server: localhost, *.example.org, 127.0.0.1, ::1. expired: as server.
 * stranger: as server, by other_ca. client: CN bob. foreign_client: CN bob, by other_ca.
 */
void pki_create(struct pki *pki);
void pki_destroy(struct pki *pki);
/* Of a group of tests whose state is a struct pki *. SIGPIPE is ignored from then on. */
int pki_setup(void **state);
int pki_teardown(void **state);
void pki_issue(const struct pki *pki, const struct cert_spec *spec);
/* "DIR/NAME"; valid until the 16th call after it. */
const char *pki_path(struct pki *pki, const char *name);

/* A configuration: verifies nothing, shows the server certificate. */
struct pw_conf conf_plain(struct pki *pki);
struct pw_tls_context *make_accept(const struct pw_conf *conf);
struct pw_tls_context *make_connect(const struct pw_conf *conf);

/* What conf_plain() makes of both sides, and its certificates. */
struct sides {
	struct pki pki;
	struct pw_tls_context *accept, *connect;
};

/* Of a group of tests whose state is a struct sides *. */
int sides_setup(void **state);
int sides_teardown(void **state);

struct pair {
	int server_fd, client_fd;
	struct pw_tls *server, *client;
	enum pw_io server_io, client_io; /* how the handshake ended; WANT_*: it did not */
};

void make_socketpair(int fds[2]);
/* References are taken by the transports. Shakes hands until both have an end or nothing moves. */
void pair_open(struct pair *pair, struct pw_tls_context *accept, struct pw_tls_context *connect,
	       const char *host);
void pair_shake(struct pair *pair);
void pair_close(struct pair *pair);
/* Bytes that do not compress and do not repeat, always the same for a length; to be freed. */
uint8_t *make_noise(size_t len);
/* Exactly `len` bytes of `data` arrive at the other end. */
void assert_delivered(struct pw_tls *from, struct pw_tls *to, const void *data, size_t len);

#endif

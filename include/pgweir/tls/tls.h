/* SPDX-License-Identifier: PostgreSQL
 *
 * TLS both ways; the only user of OpenSSL's SSL_* names.
 *
 * A context is built from a configuration, immutable and reference counted, shared by all
 * threads; connections keep the one they began with when a reload replaces it. A transport
 * (struct pw_tls) belongs to one stream, which destroys it; all its calls come from the thread of
 * that stream, and it may move to another thread together with it.
 *
 * OpenSSL writes without MSG_NOSIGNAL: the process must ignore SIGPIPE.
 *
 * Sources: PostgreSQL 15 docs 19.9 (server), 34.19 (sslmode); RFC 5929 (tls-server-end-point).
 */
#ifndef PGWEIR_TLS_TLS_H
#define PGWEIR_TLS_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pgweir/base/status.h"
#include "pgweir/base/strbuf.h"
#include "pgweir/conf/conf.h"
#include "pgweir/net/stream.h"

struct pw_tls_context;
struct pw_tls;

extern const struct pw_transport_ops pw_tls_transport_ops;

/*
 * For accepting clients (client_tls_* settings) and for connecting to servers (server_tls_*).
 * NULL with *why filled ("TLS setup failed: server.key: No such file or directory") on failure;
 * also called with sslmode disable: gives a context that is never used.
 *
 * Accepting: with a CA file certificates are asked for and a presented one must be good; verify-ca
 * and verify-full both insist on one. Clients may resume their sessions as long as the context
 * lives: keep the old one where a reload changes nothing (pw_tls_context_digest()).
 * Connecting: verify-ca and verify-full trust the CA file, or the system's authorities where none
 * is named; require verifies as verify-ca if a CA file is named (as libpq does; PgBouncer does
 * not); allow and prefer verify nothing.
 */
struct pw_tls_context *pw_tls_context_create_accept(const struct pw_conf *conf,
						    struct pw_strbuf *why);
struct pw_tls_context *pw_tls_context_create_connect(const struct pw_conf *conf,
						     struct pw_strbuf *why);
struct pw_tls_context *pw_tls_context_ref(struct pw_tls_context *context);
void pw_tls_context_unref(struct pw_tls_context *context);
enum { PW_TLS_DIGEST_SIZE = 32 };
/* Of the settings and file contents that it was made from. (Other ones: links are recycled.) */
const uint8_t *pw_tls_context_digest(const struct pw_tls_context *context);

/* NULL without memory, or of a context made with sslmode disable. The socket stays the caller's and
 * is non-blocking. `is_direct`: the client began with TLS; it must agree on ALPN "postgresql"
 * if it offers any (PostgreSQL 17 requires it; here a missing one is tolerated). */
struct pw_tls *pw_tls_accept(struct pw_tls_context *context, int fd, bool is_direct);
/* Before the handshake: what was already read from the socket, which comes first. More than a
 * client can have to say before it is answered is PW_ELIMIT. */
PW_MUSTCHECK enum pw_status pw_tls_put_back(struct pw_tls *tls, const uint8_t *data, size_t len);
/* `host` is checked in verify-full and sent as SNI when it is a name (never for an address);
 * in verify-full a connection without it fails. */
struct pw_tls *pw_tls_connect(struct pw_tls_context *context, int fd, const char *host);

/* "TLSv1.3/TLS_AES_256_GCM_SHA384". */
void pw_tls_describe(const struct pw_tls *tls, char *out, size_t size);
/* Did the peer present a certificate (it has been verified then)? */
bool pw_tls_has_peer_certificate(const struct pw_tls *tls);
/* Is `name` one of the certificate's names: DNS names of the SAN, else the CN (as PgBouncer's
 * cert authentication: ignoring case, wildcards allowed)? `matches` compares one of them. */
bool pw_tls_peer_name_matches(const struct pw_tls *tls,
			      bool (*matches)(const char *cert_name, const void *arg),
			      const void *arg);
/* The comparison of cert authentication, to be given as `matches` with the wanted name as `arg`. */
bool pw_tls_name_equal(const char *cert_name, const void *name);
/* tls-server-end-point channel binding: the hash of the server's certificate (ours when
 * accepting, the peer's when connecting). PW_EINVAL where the certificate's signature algorithm
 * gives none. */
PW_MUSTCHECK enum pw_status pw_tls_channel_binding(const struct pw_tls *tls, uint8_t out[64],
						   size_t *len);

/* OpenSSL's version line for -V. */
const char *pw_tls_library_version(void);

#endif

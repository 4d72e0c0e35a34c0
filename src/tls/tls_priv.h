/* SPDX-License-Identifier: PostgreSQL
 *
 * What the files of the tls layer share: the context, the transport, and the parts a context is
 * built from. Never included from outside the folder.
 */
#ifndef PGWEIR_TLS_TLS_PRIV_H
#define PGWEIR_TLS_TLS_PRIV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/ssl.h>

#include "pgweir/base/refcount.h"
#include "pgweir/base/status.h"
#include "pgweir/base/strbuf.h"
#include "pgweir/net/stream.h"
#include "pgweir/tls/tls.h"

struct pw_tls_context {
	struct pw_refcount refs;
	SSL_CTX *ssl_ctx; /* NULL = sslmode disable */
	bool is_accept;
	bool must_verify; /* no connection without a good certificate of the peer */
	bool must_match_host;
	uint8_t digest[PW_TLS_DIGEST_SIZE]; /* of settings and file contents */
};

/* Where in a client's first records the next byte lies. */
struct pw_tls_hello {
	uint8_t record[5], message[4]; /* the headers, as far as they have come */
	uint8_t n_record, n_message;
	uint16_t record_left;
	uint32_t message_left;
	bool is_too_long;
};

struct pw_tls {
	SSL *ssl;
	struct pw_tls_context *context; /* a reference */
	char *error;                    /* owned; NULL = none, or no memory for it */
	size_t offered; /* length of the write that OpenSSL wants repeated, 0 = none */
	enum pw_io end; /* PW_IO_EOF or PW_IO_ERROR once reading is over */
	struct pw_tls_hello hello;
	bool is_direct;
	bool has_put_back; /* OpenSSL reads what was put back, not yet the socket */
	bool is_broken;    /* OpenSSL allows no further call but SSL_free() */
};

/* The settings of one side. "" and NULL both mean unset. */
struct pw_tls_settings {
	const char *side; /* how their names begin: "client", "server" */
	int sslmode;
	const char *ca_file, *cert_file, *key_file;
	const char *ciphers, *tls13_ciphers, *protocols;
	const char *dheparams, *ecdhcurve; /* accepting only */
};

/* What the files held, read once, so that the digest is of what is in use. */
struct pw_tls_files {
	struct pw_strbuf ca, cert, key;
};

struct pw_tls_build {
	const struct pw_tls_settings *settings;
	struct pw_tls_files files;
	struct pw_tls_context *context;
	struct pw_strbuf *why;
};

static inline bool pw_tls_is_set(const char *value)
{
	return value && *value;
}

/* For OpenSSL's macros that take text without const, and only read it. */
static inline char *pw_tls_unconst(const char *text)
{
	return (char *)(uintptr_t)text;
}

/* error.c */
/* Fills build->why, "TLS setup failed: " before it; gives PW_EINVAL. */
PW_MUSTCHECK enum pw_status pw_tls_build_fail(struct pw_tls_build *build, const char *fmt, ...)
    PW_PRINTF(2, 3);
/* OpenSSL's words for the oldest error of this thread; clears the rest. Never NULL. */
const char *pw_tls_reason(void);

/* files.c */
PW_MUSTCHECK enum pw_status pw_tls_files_read(struct pw_tls_build *build);
void pw_tls_files_fini(struct pw_tls_files *files);
PW_MUSTCHECK enum pw_status pw_tls_apply_certificate(struct pw_tls_build *build);
PW_MUSTCHECK enum pw_status pw_tls_apply_key(struct pw_tls_build *build);
PW_MUSTCHECK enum pw_status pw_tls_apply_ca(struct pw_tls_build *build);

/* options.c */
PW_MUSTCHECK enum pw_status pw_tls_apply_protocols(struct pw_tls_build *build);
PW_MUSTCHECK enum pw_status pw_tls_apply_ciphers(struct pw_tls_build *build);
PW_MUSTCHECK enum pw_status pw_tls_apply_dheparams(struct pw_tls_build *build);
PW_MUSTCHECK enum pw_status pw_tls_apply_ecdhcurve(struct pw_tls_build *build);

/* hello.c: ends a handshake whose ClientHello is absurdly long, see hello.is_too_long. From the
 * beginning of the handshake to its end, accepting side only. */
void pw_tls_hello_watch(struct pw_tls *tls);
void pw_tls_hello_done(struct pw_tls *tls);

#endif

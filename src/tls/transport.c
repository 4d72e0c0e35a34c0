/* SPDX-License-Identifier: PostgreSQL
 *
 * One connection's TLS, as the transport of a stream. All on the thread of the stream; a quiet
 * one may move to another thread, since OpenSSL binds nothing but the error queue to a thread,
 * and that is empty between our calls.
 *
 * OpenSSL keeps a record that the socket did not take and wants the same bytes offered again:
 * `offered` remembers how many. What it had and what the caller still has begin at the same place,
 * because such bytes are never reported as taken.
 *
 * OpenSSL reads ahead: one system call brings all records that have come, at the price that bytes
 * may wait here and not in the socket, where no event tells of them. So recv() leaves none but a
 * part of a record, unless the caller's buffer is full, and has_pending() tells; also of what came
 * right behind the handshake.
 */
#include "config.h"

#include "tls_priv.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pgweir/base/addr.h"

enum { RECORD_BYTES = SSL3_RT_MAX_PLAIN_LENGTH };

/* ---- errors ---- */

static enum pw_io fail(struct pw_tls *tls, const char *fmt, ...) PW_PRINTF(2, 3);

static enum pw_io fail(struct pw_tls *tls, const char *fmt, ...)
{
	va_list ap;

	free(tls->error);
	va_start(ap, fmt);
	if (vasprintf(&tls->error, fmt, ap) < 0)
		tls->error = NULL;
	va_end(ap);
	tls->is_broken = true;
	return PW_IO_ERROR;
}

static const char *tls_error(void *transport)
{
	const struct pw_tls *tls = transport;

	return tls->error ? tls->error : "TLS failed, and no memory to say why";
}

/* The oldest error tells most, but of a certificate only the newest says what it was for. */
static enum pw_io fail_library(struct pw_tls *tls)
{
	unsigned long error = ERR_peek_last_error();
	long verify = SSL_get_verify_result(tls->ssl);

	if (ERR_GET_LIB(error) == ERR_LIB_SSL &&
	    ERR_GET_REASON(error) == SSL_R_CERTIFICATE_VERIFY_FAILED)
		return fail(tls, "certificate verify failed: %s",
			    X509_verify_cert_error_string(verify));
	return fail(tls, "%s", pw_tls_reason());
}

/* What a call that did not succeed means. */
static enum pw_io classify(struct pw_tls *tls, int rc)
{
	int saved_errno = errno;

	switch (SSL_get_error(tls->ssl, rc)) {
	case SSL_ERROR_WANT_READ:
		return PW_IO_WANT_READ;
	case SSL_ERROR_WANT_WRITE:
		return PW_IO_WANT_WRITE;
	case SSL_ERROR_ZERO_RETURN:
		return PW_IO_EOF;
	case SSL_ERROR_SYSCALL:
		return fail(tls, "%s", saved_errno ? strerror(saved_errno) : "connection lost");
	default:
		return fail_library(tls);
	}
}

/* SSL_get_error() looks at both, so neither may be an older call's. */
static void forget_errors(void)
{
	ERR_clear_error();
	errno = 0;
}

/* ---- handshake ---- */

/* The library has refused what is wrong already; this must not hang on its defaults. */
static enum pw_io check_peer(struct pw_tls *tls)
{
	const struct pw_tls_context *context = tls->context;
	bool has_cert = SSL_get0_peer_certificate(tls->ssl) != NULL;
	long verify = SSL_get_verify_result(tls->ssl);

	if (context->must_verify && !has_cert)
		return fail(tls, "certificate verify failed: peer did not return a certificate");
	if ((context->must_verify || (context->is_accept && has_cert)) && verify != X509_V_OK)
		return fail(tls, "certificate verify failed: %s",
			    X509_verify_cert_error_string(verify));
	return PW_IO_OK;
}

/* What was put back is used up. */
static bool goes_on_with_socket(struct pw_tls *tls, int rc)
{
	if (!tls->has_put_back || SSL_get_error(tls->ssl, rc) != SSL_ERROR_WANT_READ)
		return false;
	tls->has_put_back = false;
	return SSL_set_rfd(tls->ssl, SSL_get_wfd(tls->ssl)) == 1;
}

static enum pw_io tls_handshake(void *transport)
{
	struct pw_tls *tls = transport;
	int rc;

	if (tls->is_broken)
		return PW_IO_ERROR;
	do {
		forget_errors();
		rc = SSL_do_handshake(tls->ssl);
	} while (rc != 1 && !tls->hello.is_too_long && goes_on_with_socket(tls, rc));
	if (tls->hello.is_too_long)
		return fail(tls, "ClientHello too long");
	if (rc != 1)
		return classify(tls, rc);
	pw_tls_hello_done(tls);
	return check_peer(tls);
}

/* ---- data ---- */

static enum pw_io tls_recv(void *transport, int fd PW_UNUSED, uint8_t *buf, size_t size, size_t *n)
{
	struct pw_tls *tls = transport;
	enum pw_io io = PW_IO_OK;
	size_t got = 0;

	*n = 0;
	if (tls->end != PW_IO_OK)
		return tls->end;
	/* A record of full length is hardly the last. */
	while (*n < size && (*n == 0 || got == RECORD_BYTES || SSL_has_pending(tls->ssl))) {
		int rc;

		forget_errors();
		rc = SSL_read_ex(tls->ssl, buf + *n, size - *n, &got);
		if (rc != 1) {
			io = classify(tls, rc);
			break;
		}
		*n += got;
	}
	if (io == PW_IO_EOF || io == PW_IO_ERROR)
		tls->end = io;
	return *n > 0 ? PW_IO_OK : io;
}

/* Where in a list of iovecs the next byte to send lies. */
struct cursor {
	const struct iovec *iov;
	int n_iov;
	size_t offset;
};

static void advance_cursor(struct cursor *at, size_t len)
{
	at->offset += len;
	while (at->n_iov > 0 && at->offset >= at->iov->iov_len) {
		at->offset -= at->iov->iov_len;
		at->iov++;
		at->n_iov--;
	}
}

/* The next bytes in one piece, at most `want`: in place where one iovec has them, else gathered,
 * because every piece becomes a record and a system call of its own. */
static size_t take_piece(struct cursor at, size_t want, uint8_t *gather, const uint8_t **piece)
{
	size_t len = 0;

	*piece = gather;
	while (at.n_iov > 0 && len < want) {
		const uint8_t *data = (const uint8_t *)at.iov->iov_base + at.offset;
		size_t rest = at.iov->iov_len - at.offset;

		if (rest > want - len)
			rest = want - len;
		if (len == 0 && (rest == want || at.n_iov == 1)) {
			*piece = data;
			return rest;
		}
		memcpy(gather + len, data, rest);
		len += rest;
		advance_cursor(&at, rest);
	}
	return len;
}

static enum pw_io write_piece(struct pw_tls *tls, const uint8_t *piece, size_t len, size_t *taken)
{
	enum pw_io io;
	int rc;

	forget_errors();
	rc = SSL_write_ex(tls->ssl, piece, len, taken);
	if (rc == 1) {
		tls->offered = 0;
		return PW_IO_OK;
	}
	*taken = 0;
	io = classify(tls, rc);
	if (io == PW_IO_EOF)
		return fail(tls, "connection closed by the peer");
	tls->offered = len;
	return io;
}

static enum pw_io tls_send(void *transport, int fd PW_UNUSED, const struct iovec *iov, int n_iov,
			   size_t *n)
{
	struct pw_tls *tls = transport;
	struct cursor at = {.iov = iov, .n_iov = n_iov};
	uint8_t gather[RECORD_BYTES];

	*n = 0;
	advance_cursor(&at, 0);
	while (at.n_iov > 0) {
		const uint8_t *piece;
		size_t want = tls->offered ? tls->offered : RECORD_BYTES, taken;
		size_t len = take_piece(at, want, gather, &piece);
		enum pw_io io = tls->is_broken ? PW_IO_ERROR : write_piece(tls, piece, len, &taken);

		if (io != PW_IO_OK)
			return *n > 0 && io != PW_IO_ERROR ? PW_IO_OK : io;
		*n += taken;
		advance_cursor(&at, taken);
	}
	return PW_IO_OK;
}

static bool tls_has_pending(void *transport)
{
	const struct pw_tls *tls = transport;

	return tls->end != PW_IO_OK || SSL_has_pending(tls->ssl);
}

/* ---- life ---- */

static void tls_destroy(void *transport)
{
	struct pw_tls *tls = transport;

	forget_errors();
	if (SSL_is_init_finished(tls->ssl) && !tls->is_broken && tls->offered == 0)
		(void)SSL_shutdown(tls->ssl);
	ERR_clear_error();
	SSL_free(tls->ssl);
	pw_tls_context_unref(tls->context);
	free(tls->error);
	free(tls);
}

static struct pw_tls *create_tls(struct pw_tls_context *context, int fd)
{
	struct pw_tls *tls = calloc(1, sizeof(*tls));

	if (!tls)
		return NULL;
	tls->end = PW_IO_OK;
	tls->context = pw_tls_context_ref(context);
	if (context->ssl_ctx)
		tls->ssl = SSL_new(context->ssl_ctx);
	if (!tls->ssl || SSL_set_fd(tls->ssl, fd) != 1 || SSL_set_app_data(tls->ssl, tls) != 1) {
		ERR_clear_error();
		SSL_free(tls->ssl);
		pw_tls_context_unref(tls->context);
		free(tls);
		return NULL;
	}
	SSL_set_read_ahead(tls->ssl, 1);
	return tls;
}

struct pw_tls *pw_tls_accept(struct pw_tls_context *context, int fd, bool is_direct)
{
	struct pw_tls *tls = create_tls(context, fd);

	if (!tls)
		return NULL;
	tls->is_direct = is_direct;
	SSL_set_accept_state(tls->ssl);
	pw_tls_hello_watch(tls);
	return tls;
}

enum pw_status pw_tls_put_back(struct pw_tls *tls, const uint8_t *data, size_t len)
{
	BIO *bio;

	if (len > SSL3_RT_MAX_PLAIN_LENGTH)
		return PW_ELIMIT;
	bio = BIO_new(BIO_s_mem());
	if (!bio || BIO_write(bio, data, (int)len) != (int)len) {
		BIO_free(bio);
		ERR_clear_error();
		return PW_ENOMEM;
	}
	/* Its end is not the end of the connection. */
	BIO_set_mem_eof_return(bio, -1);
	SSL_set0_rbio(tls->ssl, bio);
	pw_tls_hello_watch(tls);
	tls->has_put_back = true;
	return PW_OK;
}

static bool require_host(struct pw_tls *tls, const char *host, bool is_address)
{
	X509_VERIFY_PARAM *param = SSL_get0_param(tls->ssl);

	if (!host || !*host) {
		/* Found by the handshake: without a name nothing can be verified in full. */
		fail(tls, "certificate verify failed: no host name to check");
		return true;
	}
	X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	return (is_address ? X509_VERIFY_PARAM_set1_ip_asc(param, host)
			   : X509_VERIFY_PARAM_set1_host(param, host, 0)) == 1;
}

static bool prepare_connect(struct pw_tls *tls, const char *host)
{
	struct pw_addr addr;
	bool is_address = host && pw_addr_parse(host, 0, &addr);

	if (tls->context->must_match_host && !require_host(tls, host, is_address))
		return false;
	/* A colon: an IPv6 address with a zone, which is no name either. */
	if (!host || !*host || is_address || strchr(host, ':'))
		return true;
	/* Some names that resolve cannot be sent, for example ones over 255 bytes. */
	if (SSL_set_tlsext_host_name(tls->ssl, pw_tls_unconst(host)) != 1)
		ERR_clear_error();
	return true;
}

struct pw_tls *pw_tls_connect(struct pw_tls_context *context, int fd, const char *host)
{
	struct pw_tls *tls = create_tls(context, fd);

	if (!tls)
		return NULL;
	SSL_set_connect_state(tls->ssl);
	if (!prepare_connect(tls, host)) {
		tls_destroy(tls);
		return NULL;
	}
	return tls;
}

void pw_tls_describe(const struct pw_tls *tls, char *out, size_t size)
{
	snprintf(out, size, "%s/%s", SSL_get_version(tls->ssl), SSL_get_cipher_name(tls->ssl));
}

const struct pw_transport_ops pw_tls_transport_ops = {
    .handshake = tls_handshake,
    .recv = tls_recv,
    .send = tls_send,
    .has_pending = tls_has_pending,
    .destroy = tls_destroy,
    .error = tls_error,
};

/* SPDX-License-Identifier: PostgreSQL
 *
 * Certificates and keys: reads each file once into memory and puts what it holds into the SSL_CTX
 * that is being built. The memory is wiped afterwards.
 *
 * A key that wants a passphrase is refused: nobody sits at the terminal of a daemon.
 */
#include "config.h"

#include "tls_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <string.h>
#include <unistd.h>

/* A system's whole CA bundle has about 250 kB. */
enum { MAX_FILE_BYTES = 16 * 1024 * 1024, CHUNK_BYTES = 8192 };

static int read_all(int fd, struct pw_strbuf *out)
{
	for (;;) {
		ssize_t got;

		if (out->len > MAX_FILE_BYTES)
			return EFBIG;
		if (!pw_strbuf_reserve(out, CHUNK_BYTES))
			return ENOMEM;
		got = read(fd, out->data + out->len, CHUNK_BYTES);
		if (got == 0)
			return 0;
		if (got > 0)
			out->len += (size_t)got;
		else if (errno != EINTR)
			return errno;
	}
}

static enum pw_status read_file(struct pw_tls_build *build, const char *path, struct pw_strbuf *out)
{
	int fd, error;

	if (!pw_tls_is_set(path))
		return PW_OK;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	error = fd < 0 ? errno : read_all(fd, out);
	if (fd >= 0)
		close(fd);
	if (error != 0)
		return pw_tls_build_fail(build, "%s: %s", path, strerror(error));
	return PW_OK;
}

enum pw_status pw_tls_files_read(struct pw_tls_build *build)
{
	const struct pw_tls_settings *set = build->settings;
	enum pw_status status = read_file(build, set->ca_file, &build->files.ca);

	if (status == PW_OK)
		status = read_file(build, set->cert_file, &build->files.cert);
	if (status == PW_OK)
		status = read_file(build, set->key_file, &build->files.key);
	return status;
}

void pw_tls_files_fini(struct pw_tls_files *files)
{
	pw_strbuf_fini(&files->ca);
	pw_strbuf_fini(&files->cert);
	pw_strbuf_wipe(&files->key);
}

static BIO *open_memory(const struct pw_strbuf *file)
{
	ERR_clear_error();
	return BIO_new_mem_buf(file->data, (int)file->len);
}

static int refuse_passphrase(char *buf PW_UNUSED, int size PW_UNUSED, int is_writing PW_UNUSED,
			     void *arg PW_UNUSED)
{
	return -1;
}

/* NULL at the end (then *is_good) or where a certificate is damaged. */
static X509 *read_certificate(BIO *bio, bool *is_good)
{
	X509 *cert = PEM_read_bio_X509(bio, NULL, refuse_passphrase, NULL);
	unsigned long error = ERR_peek_last_error();

	*is_good = cert || (ERR_GET_LIB(error) == ERR_LIB_PEM &&
			    ERR_GET_REASON(error) == PEM_R_NO_START_LINE);
	return cert;
}

/* The first certificate is ours, those after it lead to the root. */
static bool use_chain(SSL_CTX *ctx, BIO *bio)
{
	bool is_good;
	X509 *cert = read_certificate(bio, &is_good);
	int rc;

	if (!cert)
		return false;
	rc = SSL_CTX_use_certificate(ctx, cert);
	X509_free(cert);
	if (rc != 1)
		return false;
	while ((cert = read_certificate(bio, &is_good)) != NULL) {
		if (SSL_CTX_add0_chain_cert(ctx, cert) != 1) {
			X509_free(cert);
			return false;
		}
	}
	return is_good;
}

enum pw_status pw_tls_apply_certificate(struct pw_tls_build *build)
{
	const char *path = build->settings->cert_file;
	enum pw_status status = PW_OK;
	BIO *bio;

	if (!pw_tls_is_set(path))
		return PW_OK;
	bio = open_memory(&build->files.cert);
	if (!bio || !use_chain(build->context->ssl_ctx, bio))
		status = pw_tls_build_fail(build, "%s: no usable certificate: %s", path,
					   pw_tls_reason());
	BIO_free(bio);
	ERR_clear_error();
	return status;
}

enum pw_status pw_tls_apply_key(struct pw_tls_build *build)
{
	const char *path = build->settings->key_file;
	enum pw_status status = PW_OK;
	EVP_PKEY *key = NULL;
	BIO *bio;

	if (!pw_tls_is_set(path))
		return PW_OK;
	bio = open_memory(&build->files.key);
	if (bio)
		key = PEM_read_bio_PrivateKey(bio, NULL, refuse_passphrase, NULL);
	if (!key)
		status = pw_tls_build_fail(build, "%s: no usable private key: %s", path,
					   pw_tls_reason());
	else if (SSL_CTX_use_PrivateKey(build->context->ssl_ctx, key) != 1 ||
		 SSL_CTX_check_private_key(build->context->ssl_ctx) != 1)
		status = pw_tls_build_fail(build, "%s: not the key of %s: %s", path,
					   build->settings->cert_file, pw_tls_reason());
	EVP_PKEY_free(key);
	BIO_free(bio);
	ERR_clear_error();
	return status;
}

/* Trusts every certificate found; clients are also told the names, to choose theirs by. */
static bool trust_all(SSL_CTX *ctx, BIO *bio, bool is_accept)
{
	X509_STORE *store = SSL_CTX_get_cert_store(ctx);
	size_t n = 0;
	bool is_good;
	X509 *cert;

	while ((cert = read_certificate(bio, &is_good)) != NULL) {
		bool is_added = X509_STORE_add_cert(store, cert) == 1 &&
				(!is_accept || SSL_CTX_add_client_CA(ctx, cert) == 1);

		X509_free(cert);
		if (!is_added)
			return false;
		n++;
	}
	return is_good && n > 0;
}

enum pw_status pw_tls_apply_ca(struct pw_tls_build *build)
{
	struct pw_tls_context *context = build->context;
	const char *path = build->settings->ca_file;
	enum pw_status status = PW_OK;
	BIO *bio;

	if (!pw_tls_is_set(path)) {
		/* Servers with certificates of a public authority. */
		if (context->must_verify && SSL_CTX_set_default_verify_paths(context->ssl_ctx) != 1)
			status = pw_tls_build_fail(build, "%s", pw_tls_reason());
		return status;
	}
	bio = open_memory(&build->files.ca);
	if (!bio || !trust_all(context->ssl_ctx, bio, context->is_accept))
		status = pw_tls_build_fail(build, "%s: no usable CA certificate: %s", path,
					   pw_tls_reason());
	BIO_free(bio);
	ERR_clear_error();
	return status;
}

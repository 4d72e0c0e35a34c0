/* SPDX-License-Identifier: PostgreSQL
 *
 * Builds contexts. A finished one is never changed again: SSL_CTX counts its own references and
 * all that connections do with it is read.
 *
 * Resumption: clients get a ticket that holds their whole session, sealed with a key that lives
 * as long as the context, so nothing is kept here and any thread can resume. After a reload old
 * tickets open nothing and those clients shake hands in full, so that a certificate which the
 * new settings would not accept does not live on. Towards servers nothing is resumed: PostgreSQL
 * keeps no sessions and gives no tickets, so it would only weaken what is checked.
 */
#include "config.h"

#include "tls_priv.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

/* ---- digest ---- */

/* Each field goes with its length, so that no two sets of fields give the same bytes. */
static bool digest_field(EVP_MD_CTX *md, const void *data, size_t len)
{
	uint64_t len64 = len;

	return EVP_DigestUpdate(md, &len64, sizeof(len64)) == 1 &&
	       EVP_DigestUpdate(md, len > 0 ? data : "", len) == 1;
}

static bool digest_text(EVP_MD_CTX *md, const char *text)
{
	return digest_field(md, text, text ? strlen(text) : 0);
}

static bool digest_all(EVP_MD_CTX *md, const struct pw_tls_build *build)
{
	const struct pw_tls_settings *set = build->settings;
	const struct pw_tls_files *files = &build->files;
	const char *const texts[] = {
	    set->side,          set->ca_file,   set->cert_file, set->key_file,  set->ciphers,
	    set->tls13_ciphers, set->protocols, set->dheparams, set->ecdhcurve,
	};

	if (EVP_DigestInit_ex(md, EVP_sha256(), NULL) != 1 ||
	    !digest_field(md, &set->sslmode, sizeof(set->sslmode)))
		return false;
	for (size_t i = 0; set->sslmode != PW_SSL_DISABLE && i < PW_COUNTOF(texts); i++) {
		if (!digest_text(md, texts[i]))
			return false;
	}
	return digest_field(md, files->ca.data, files->ca.len) &&
	       digest_field(md, files->cert.data, files->cert.len) &&
	       digest_field(md, files->key.data, files->key.len) &&
	       EVP_DigestFinal_ex(md, build->context->digest, NULL) == 1;
}

static enum pw_status make_digest(struct pw_tls_build *build)
{
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	bool is_done = md && digest_all(md, build);

	EVP_MD_CTX_free(md);
	return is_done ? PW_OK : pw_tls_build_fail(build, "%s", pw_tls_reason());
}

/* ---- building ---- */

static enum pw_status check_accept(struct pw_tls_build *build)
{
	const struct pw_tls_settings *set = build->settings;

	if (!pw_tls_is_set(set->key_file) || !pw_tls_is_set(set->cert_file))
		return pw_tls_build_fail(build, "client_tls_sslmode is on, so client_tls_key_file "
						"and client_tls_cert_file must be set");
	if (build->context->must_verify && !pw_tls_is_set(set->ca_file))
		return pw_tls_build_fail(build, "client_tls_sslmode wants certificates of clients, "
						"so client_tls_ca_file must be set");
	return PW_OK;
}

static enum pw_status check_connect(struct pw_tls_build *build)
{
	const struct pw_tls_settings *set = build->settings;

	if (pw_tls_is_set(set->key_file) != pw_tls_is_set(set->cert_file))
		return pw_tls_build_fail(build, "server_tls_key_file and server_tls_cert_file must "
						"be set together");
	return PW_OK;
}

/* A client's certificates are kept before anybody knows who it is; OpenSSL would take 100 kB. */
enum { CLIENT_CERTIFICATES_MAX = 32 * 1024 };

/* Memory: buffers go back between records; with two of 17 kB each, idle connections would hold
 * little else. */
static void set_common(SSL_CTX *ctx)
{
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
				  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
				     SSL_OP_IGNORE_UNEXPECTED_EOF);
	/* No table of sessions in the process; tickets need none. */
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
}

/* The one protocol, or none; direct TLS must have named it (see pw_tls_accept()). */
static int select_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
		       const unsigned char *in, unsigned in_len, void *arg PW_UNUSED)
{
	static const unsigned char protocol[] = "\x0apostgresql";
	const struct pw_tls *tls = SSL_get_app_data(ssl);
	unsigned char *choice;

	if (SSL_select_next_proto(&choice, out_len, protocol, sizeof(protocol) - 1, in, in_len) ==
	    OPENSSL_NPN_NEGOTIATED) {
		*out = choice;
		return SSL_TLSEXT_ERR_OK;
	}
	return tls->is_direct ? SSL_TLSEXT_ERR_ALERT_FATAL : SSL_TLSEXT_ERR_NOACK;
}

static enum pw_status apply_accept(struct pw_tls_build *build)
{
	const struct pw_tls_context *context = build->context;
	SSL_CTX *ctx = context->ssl_ctx;
	int verify = SSL_VERIFY_NONE;

	SSL_CTX_set_options(ctx, SSL_OP_CIPHER_SERVER_PREFERENCE);
	SSL_CTX_set_alpn_select_cb(ctx, select_alpn, NULL);
	if (pw_tls_is_set(build->settings->ca_file))
		verify = SSL_VERIFY_PEER;
	if (context->must_verify)
		verify |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
	SSL_CTX_set_verify(ctx, verify, NULL);
	SSL_CTX_set_max_cert_list(ctx, CLIENT_CERTIFICATES_MAX);
	if (SSL_CTX_set_num_tickets(ctx, 1) != 1 ||
	    SSL_CTX_set_session_id_context(ctx, context->digest, sizeof(context->digest)) != 1)
		return pw_tls_build_fail(build, "%s", pw_tls_reason());
	return PW_OK;
}

static enum pw_status apply_connect(struct pw_tls_build *build)
{
	SSL_CTX *ctx = build->context->ssl_ctx;

	SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
	SSL_CTX_set_verify(ctx, build->context->must_verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE,
			   NULL);
	return PW_OK;
}

typedef enum pw_status build_step(struct pw_tls_build *build);

static build_step *const accept_steps[] = {
    check_accept,
    pw_tls_files_read,
    make_digest,
    pw_tls_apply_protocols,
    pw_tls_apply_ciphers,
    pw_tls_apply_dheparams,
    pw_tls_apply_ecdhcurve,
    pw_tls_apply_certificate,
    pw_tls_apply_key,
    pw_tls_apply_ca,
    apply_accept,
    NULL,
};
static build_step *const connect_steps[] = {
    check_connect,        pw_tls_files_read,
    make_digest,          pw_tls_apply_protocols,
    pw_tls_apply_ciphers, pw_tls_apply_certificate,
    pw_tls_apply_key,     pw_tls_apply_ca,
    apply_connect,        NULL,
};
static build_step *const disable_steps[] = {make_digest, NULL};

static enum pw_status run_steps(struct pw_tls_build *build)
{
	struct pw_tls_context *context = build->context;
	build_step *const *steps = context->is_accept ? accept_steps : connect_steps;
	enum pw_status status = PW_OK;

	if (build->settings->sslmode == PW_SSL_DISABLE) {
		steps = disable_steps;
	} else {
		context->ssl_ctx =
		    SSL_CTX_new(context->is_accept ? TLS_server_method() : TLS_client_method());
		if (!context->ssl_ctx)
			return pw_tls_build_fail(build, "%s", pw_tls_reason());
		set_common(context->ssl_ctx);
	}
	while (status == PW_OK && *steps)
		status = (*steps++)(build);
	return status;
}

static struct pw_tls_context *create_context(const struct pw_tls_settings *settings, bool is_accept,
					     struct pw_strbuf *why)
{
	struct pw_tls_build build = {.settings = settings, .why = why};
	struct pw_tls_context *context = calloc(1, sizeof(*context));
	enum pw_status status;

	build.context = context;
	if (!context) {
		(void)!pw_tls_build_fail(&build, "out of memory");
		return NULL;
	}
	pw_refcount_init(&context->refs);
	context->is_accept = is_accept;
	context->must_verify = settings->sslmode >= PW_SSL_VERIFY_CA;
	context->must_match_host = !is_accept && settings->sslmode == PW_SSL_VERIFY_FULL;
	/* As libpq: whoever names a CA wants it to count. */
	if (!is_accept && settings->sslmode == PW_SSL_REQUIRE && pw_tls_is_set(settings->ca_file))
		context->must_verify = true;
	status = run_steps(&build);
	pw_tls_files_fini(&build.files);
	if (status == PW_OK)
		return context;
	pw_tls_context_unref(context);
	return NULL;
}

struct pw_tls_context *pw_tls_context_create_accept(const struct pw_conf *conf,
						    struct pw_strbuf *why)
{
	const struct pw_tls_settings settings = {
	    .side = "client",
	    .sslmode = conf->client_tls_sslmode,
	    .ca_file = conf->client_tls_ca_file,
	    .cert_file = conf->client_tls_cert_file,
	    .key_file = conf->client_tls_key_file,
	    .ciphers = conf->client_tls_ciphers,
	    .tls13_ciphers = conf->client_tls13_ciphers,
	    .protocols = conf->client_tls_protocols,
	    .dheparams = conf->client_tls_dheparams,
	    .ecdhcurve = conf->client_tls_ecdhcurve,
	};

	return create_context(&settings, true, why);
}

struct pw_tls_context *pw_tls_context_create_connect(const struct pw_conf *conf,
						     struct pw_strbuf *why)
{
	const struct pw_tls_settings settings = {
	    .side = "server",
	    .sslmode = conf->server_tls_sslmode,
	    .ca_file = conf->server_tls_ca_file,
	    .cert_file = conf->server_tls_cert_file,
	    .key_file = conf->server_tls_key_file,
	    .ciphers = conf->server_tls_ciphers,
	    .tls13_ciphers = conf->server_tls13_ciphers,
	    .protocols = conf->server_tls_protocols,
	};

	return create_context(&settings, false, why);
}

struct pw_tls_context *pw_tls_context_ref(struct pw_tls_context *context)
{
	pw_refcount_ref(&context->refs);
	return context;
}

void pw_tls_context_unref(struct pw_tls_context *context)
{
	if (!context || !pw_refcount_unref(&context->refs))
		return;
	SSL_CTX_free(context->ssl_ctx);
	free(context);
}

const uint8_t *pw_tls_context_digest(const struct pw_tls_context *context)
{
	return context->digest;
}

const char *pw_tls_library_version(void)
{
	return OpenSSL_version(OPENSSL_VERSION);
}

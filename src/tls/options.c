/* SPDX-License-Identifier: PostgreSQL
 *
 * The settings that choose algorithms: protocol versions, ciphers, key exchange. Each function
 * reads one of them, writes it into the SSL_CTX that is being built, or says why not.
 *
 * The words are PgBouncer's. Two that its manual names and its code refuses ("legacy" for
 * protocols and for dheparams) are refused here too.
 */
#include "config.h"

#include "tls_priv.h"

#include <openssl/err.h>
#include <string.h>
#include <strings.h>

enum {
	TLS_1_0 = 1 << 0,
	TLS_1_1 = 1 << 1,
	TLS_1_2 = 1 << 2,
	TLS_1_3 = 1 << 3,
	TLS_SECURE = TLS_1_2 | TLS_1_3,
	TLS_ALL = TLS_1_0 | TLS_1_1 | TLS_SECURE,
};

static const struct {
	const char *word;
	unsigned versions;
} protocol_words[] = {
    {"all", TLS_ALL},     {"secure", TLS_SECURE}, {"default", TLS_SECURE}, {"tlsv1", TLS_ALL},
    {"tlsv1.0", TLS_1_0}, {"tlsv1.1", TLS_1_1},   {"tlsv1.2", TLS_1_2},    {"tlsv1.3", TLS_1_3},
};

static const struct {
	unsigned version;
	uint64_t off;
} protocol_switches[] = {
    {TLS_1_0, SSL_OP_NO_TLSv1},
    {TLS_1_1, SSL_OP_NO_TLSv1_1},
    {TLS_1_2, SSL_OP_NO_TLSv1_2},
    {TLS_1_3, SSL_OP_NO_TLSv1_3},
};

/* 0 where the word is unknown. */
static unsigned find_protocol(const char *word, size_t len)
{
	for (size_t i = 0; i < PW_COUNTOF(protocol_words); i++) {
		if (strlen(protocol_words[i].word) == len &&
		    strncasecmp(protocol_words[i].word, word, len) == 0)
			return protocol_words[i].versions;
	}
	return 0;
}

/* 0 where the list is wrong or leaves nothing. */
static unsigned parse_protocols(const char *list)
{
	unsigned chosen = 0;

	for (;;) {
		size_t len = strcspn(list, ",:"), skip = strspn(list, " \t");
		size_t word_len = len > skip ? len - skip : 0;
		bool is_off = word_len > 0 && list[skip] == '!';
		unsigned versions;

		while (word_len > 0 && strchr(" \t", list[skip + word_len - 1]))
			word_len--;
		versions = find_protocol(list + skip + is_off, word_len - is_off);
		if (versions == 0)
			return 0;
		if (!is_off)
			chosen |= versions;
		else /* a list that begins by removing removes from all */
			chosen = (chosen ? chosen : TLS_ALL) & ~versions;
		if (list[len] == '\0')
			return chosen;
		list += len + 1;
	}
}

enum pw_status pw_tls_apply_protocols(struct pw_tls_build *build)
{
	const struct pw_tls_settings *set = build->settings;
	SSL_CTX *ctx = build->context->ssl_ctx;
	unsigned chosen = TLS_SECURE;

	if (pw_tls_is_set(set->protocols))
		chosen = parse_protocols(set->protocols);
	if (chosen == 0)
		return pw_tls_build_fail(build, "invalid %s_tls_protocols: %s", set->side,
					 set->protocols);
	/* The list alone decides, whatever bounds openssl.cnf has set. */
	if (SSL_CTX_set_min_proto_version(ctx, TLS1_VERSION) != 1 ||
	    SSL_CTX_set_max_proto_version(ctx, 0) != 1)
		return pw_tls_build_fail(build, "%s", pw_tls_reason());
	for (size_t i = 0; i < PW_COUNTOF(protocol_switches); i++) {
		if (chosen & protocol_switches[i].version)
			SSL_CTX_clear_options(ctx, protocol_switches[i].off);
		else
			SSL_CTX_set_options(ctx, protocol_switches[i].off);
	}
	return PW_OK;
}

/* PgBouncer's words for "what the library thinks good". */
static bool is_default_cipher_word(const char *ciphers)
{
	return strcasecmp(ciphers, "default") == 0 || strcasecmp(ciphers, "secure") == 0 ||
	       strcasecmp(ciphers, "normal") == 0 || strcasecmp(ciphers, "fast") == 0;
}

enum pw_status pw_tls_apply_ciphers(struct pw_tls_build *build)
{
	const struct pw_tls_settings *set = build->settings;
	SSL_CTX *ctx = build->context->ssl_ctx;

	ERR_clear_error();
	if (pw_tls_is_set(set->ciphers) && !is_default_cipher_word(set->ciphers) &&
	    SSL_CTX_set_cipher_list(ctx, set->ciphers) != 1)
		return pw_tls_build_fail(build, "failed to set the ciphers: %s_tls_ciphers: %s",
					 set->side, pw_tls_reason());
	if (pw_tls_is_set(set->tls13_ciphers) &&
	    SSL_CTX_set_ciphersuites(ctx, set->tls13_ciphers) != 1)
		return pw_tls_build_fail(
		    build, "failed to set the TLSv1.3 cipher suites: %s_tls13_ciphers: %s",
		    set->side, pw_tls_reason());
	return PW_OK;
}

enum pw_status pw_tls_apply_dheparams(struct pw_tls_build *build)
{
	const char *value = build->settings->dheparams;
	bool is_none = pw_tls_is_set(value) && strcasecmp(value, "none") == 0;

	if (pw_tls_is_set(value) && !is_none && strcasecmp(value, "auto") != 0)
		return pw_tls_build_fail(build, "invalid %s_tls_dheparams: %s",
					 build->settings->side, value);
	if (SSL_CTX_set_dh_auto(build->context->ssl_ctx, is_none ? 0 : 1) != 1)
		return pw_tls_build_fail(build, "%s", pw_tls_reason());
	return PW_OK;
}

enum pw_status pw_tls_apply_ecdhcurve(struct pw_tls_build *build)
{
	const char *value = build->settings->ecdhcurve;

	/* "none" once meant no ECDHE; TLS 1.3 has nothing else, so it is the library's choice. */
	if (!pw_tls_is_set(value) || strcasecmp(value, "auto") == 0 ||
	    strcasecmp(value, "none") == 0)
		return PW_OK;
	ERR_clear_error();
	if (SSL_CTX_set1_groups_list(build->context->ssl_ctx, pw_tls_unconst(value)) != 1) {
		ERR_clear_error();
		return pw_tls_build_fail(build, "invalid %s_tls_ecdhcurve: %s",
					 build->settings->side, value);
	}
	return PW_OK;
}

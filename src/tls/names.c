/* SPDX-License-Identifier: PostgreSQL
 *
 * What the certificates say: names of the peer, and the hash that binds a SCRAM exchange to this
 * very connection (RFC 5929, section 4). Pure questions to a connection that stands.
 */
#include "config.h"

#include "tls_priv.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <strings.h>

struct question {
	bool (*matches)(const char *cert_name, const void *arg);
	const void *arg;
};

bool pw_tls_has_peer_certificate(const struct pw_tls *tls)
{
	return SSL_get0_peer_certificate(tls->ssl) != NULL;
}

/* A zero byte in a name would hide from `matches` what the authority has signed behind it. */
static bool string_matches(const ASN1_STRING *string, const struct question *question)
{
	unsigned char *text = NULL;
	int len = ASN1_STRING_to_UTF8(&text, string);
	bool is_match;

	if (len < 0) {
		ERR_clear_error();
		return false;
	}
	is_match = len > 0 && strlen((const char *)text) == (size_t)len &&
		   question->matches((const char *)text, question->arg);
	OPENSSL_free(text);
	return is_match;
}

static bool alt_name_matches(const GENERAL_NAMES *names, const struct question *question,
			     bool *has_dns)
{
	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);

		if (name->type != GEN_DNS)
			continue;
		*has_dns = true;
		if (string_matches(name->d.dNSName, question))
			return true;
	}
	return false;
}

static bool common_name_matches(const X509 *cert, const struct question *question)
{
	X509_NAME *subject = X509_get_subject_name(cert);
	int i = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);

	return i >= 0 &&
	       string_matches(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, i)), question);
}

bool pw_tls_peer_name_matches(const struct pw_tls *tls,
			      bool (*matches)(const char *cert_name, const void *arg),
			      const void *arg)
{
	const struct question question = {.matches = matches, .arg = arg};
	const X509 *cert = SSL_get0_peer_certificate(tls->ssl);
	GENERAL_NAMES *names;
	bool has_dns = false, is_match;
	int critical;

	if (!cert)
		return false;
	names = X509_get_ext_d2i(cert, NID_subject_alt_name, &critical, NULL);
	/* One that is there and cannot be read (-1 = there is none): the CN must not stand in. */
	if (!names && critical != -1) {
		ERR_clear_error();
		return false;
	}
	is_match = alt_name_matches(names, &question, &has_dns);
	GENERAL_NAMES_free(names);
	return is_match || (!has_dns && common_name_matches(cert, &question));
}

bool pw_tls_name_equal(const char *cert_name, const void *name)
{
	const char *domain, *wanted = name;

	if (strcasecmp(cert_name, wanted) == 0)
		return true;
	/* "*.example.org" stands for one label; "*" and "*.org" stand for too much. */
	if (strncmp(cert_name, "*.", 2) != 0 || cert_name[2] == '.' || wanted[0] == '.')
		return false;
	domain = strchr(cert_name + 2, '.');
	if (!domain || domain[1] == '.' || domain[1] == '\0')
		return false;
	wanted = strchr(wanted, '.');
	return wanted && strcasecmp(cert_name + 1, wanted) == 0;
}

enum pw_status pw_tls_channel_binding(const struct pw_tls *tls, uint8_t out[64], size_t *len)
{
	X509 *cert = tls->context->is_accept ? SSL_get_certificate(tls->ssl)
					     : SSL_get0_peer_certificate(tls->ssl);
	int digest_nid = NID_undef;
	unsigned n = 0;
	const EVP_MD *md;

	_Static_assert(EVP_MAX_MD_SIZE <= 64, "the caller's buffer holds any digest");
	ERR_clear_error();
	if (!cert || X509_get_signature_info(cert, &digest_nid, NULL, NULL, NULL) != 1 ||
	    digest_nid == NID_undef) {
		ERR_clear_error();
		return PW_EINVAL;
	}
	if (digest_nid == NID_md5 || digest_nid == NID_sha1)
		digest_nid = NID_sha256;
	md = EVP_get_digestbynid(digest_nid);
	if (!md || X509_digest(cert, md, out, &n) != 1) {
		ERR_clear_error();
		return PW_EINVAL;
	}
	*len = n;
	return PW_OK;
}

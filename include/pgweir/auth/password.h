/* SPDX-License-Identifier: PostgreSQL
 *
 * Cleartext and MD5 passwords (PostgreSQL 15 docs 55.2.1 and 21.5), and SASLprep (RFC 4013, by
 * libidn). Pure functions, any thread.
 */
#ifndef PGWEIR_AUTH_PASSWORD_H
#define PGWEIR_AUTH_PASSWORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pgweir/auth/userdb.h"
#include "pgweir/base/status.h"
#include "pgweir/base/strbuf.h"

enum { PW_MD5_TEXT_SIZE = 36 }; /* "md5" + 32 hex + zero byte */

/* "md5" + hex(md5(hex(md5(password || user)) || salt)): what goes over the wire. */
PW_MUSTCHECK bool pw_md5_response(const char *password, const char *user, const uint8_t salt[4],
				  char out[PW_MD5_TEXT_SIZE]);
/* The same from a stored "md5..." secret. */
PW_MUSTCHECK bool pw_md5_response_stored(const char *stored, const uint8_t salt[4],
					 char out[PW_MD5_TEXT_SIZE]);

/* Does a cleartext password match a stored secret of any kind? Takes as long for wrong ones. */
bool pw_password_matches(const struct pw_user_secret *stored, const char *password);
/* Does the answer to an MD5 request match a stored plain or md5 secret? */
bool pw_md5_matches(const struct pw_user_secret *stored, const uint8_t salt[4],
		    const char *response);

/* SASLprep for stored strings; where the text is not valid UTF-8 or has prohibited characters,
 * the raw bytes, as PostgreSQL does. */
PW_MUSTCHECK enum pw_status pw_saslprep(const char *password, struct pw_strbuf *out);

/* Does `name` equal a certificate name ("*.example.org" covers one label), ignoring case? */
bool pw_cert_name_matches(const char *cert_name, const char *name);

/* Version of libidn. */
const char *pw_saslprep_library_version(void);

#endif

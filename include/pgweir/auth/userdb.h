/* SPDX-License-Identifier: PostgreSQL
 *
 * Users and their secrets as read from auth_file (format: "name" "secret" per line, as
 * PgBouncer's). Immutable after load and reference counted: any thread may look up.
 */
#ifndef PGWEIR_AUTH_USERDB_H
#define PGWEIR_AUTH_USERDB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pgweir/auth/unreadable.h"
#include "pgweir/base/hash.h"
#include "pgweir/base/status.h"
#include "pgweir/base/strbuf.h"

enum pw_secret_kind {
	PW_SECRET_NONE, /* empty: never matches a password method */
	PW_SECRET_PLAIN,
	PW_SECRET_MD5,   /* "md5" + 32 lower-case hex digits */
	PW_SECRET_SCRAM, /* SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey */
};

enum { PW_SECRET_MAX = 65530, PW_USERNAME_MAX = 127 };

struct pw_user_secret {
	const char *name;
	const char *secret; /* zero-terminated, never NULL */
	enum pw_secret_kind kind;
};

struct pw_userdb;

/* A file that cannot be read: an empty table, and noted in `unreadable`. A malformed line ends the
 * reading there with a warning (what came before stays), as the contract has it. Of two lines with
 * the same name the last counts. NULL only without memory. */
struct pw_userdb *pw_userdb_load(const char *path, const struct pw_hash_key *key,
				 struct pw_unreadable *unreadable, struct pw_strbuf *warnings);
struct pw_userdb *pw_userdb_parse(const char *text, size_t len, const char *path,
				  const struct pw_hash_key *key, struct pw_strbuf *warnings);
const struct pw_userdb *pw_userdb_ref(const struct pw_userdb *db);
void pw_userdb_unref(const struct pw_userdb *db); /* wipes secrets */

/* NULL = not in the file. Borrowed while a reference is held. */
const struct pw_user_secret *pw_userdb_find(const struct pw_userdb *db, const char *name);
size_t pw_userdb_count(const struct pw_userdb *db);
const struct pw_user_secret *pw_userdb_at(const struct pw_userdb *db, size_t i);

enum pw_secret_kind pw_secret_classify(const char *secret);

#endif

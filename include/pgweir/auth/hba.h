/* SPDX-License-Identifier: PostgreSQL
 *
 * Host-based authentication rules and ident maps, PostgreSQL's pg_hba.conf and pg_ident.conf
 * formats as far as the drop-in contract goes. Immutable after load, reference counted:
 * loaded by the main thread, read by any.
 */
#ifndef PGWEIR_AUTH_HBA_H
#define PGWEIR_AUTH_HBA_H

#include <stdbool.h>
#include <stddef.h>

#include "pgweir/auth/unreadable.h"
#include "pgweir/base/addr.h"
#include "pgweir/base/status.h"
#include "pgweir/base/strbuf.h"
#include "pgweir/conf/conf.h"

struct pw_hba;
struct pw_ident_map;

struct pw_hba_request {
	const struct pw_addr *addr; /* AF_UNIX = a "local" connection */
	bool is_tls;
	bool is_physical_replication;
	const char *database;
	const char *other_name; /* of the same database; NULL = it has none */
	const char *user;
};

struct pw_hba_match {
	enum pw_auth_type method;       /* never ANY or HBA */
	const struct pw_ident_map *map; /* NULL = no map= option */
	const char *map_name;
	int line;
};

struct pw_hba_text {
	const char *path; /* for messages, and where "@file" is looked for; NULL = there is none */
	const char *text; /* NULL = could not be read */
	size_t len;
};

/* A bad line warns and is skipped. A rule that needs an ident map or a file of names that could
 * not be read stays, for everybody that they might have named, and rejects. A file that cannot be
 * read goes to `unreadable` and counts as empty: without rules nobody logs in. `ident_path` may be
 * NULL or empty. NULL only without memory. */
struct pw_hba *pw_hba_load(const char *path, const char *ident_path,
			   struct pw_unreadable *unreadable, struct pw_strbuf *warnings);
/* The same from memory. */
struct pw_hba *pw_hba_parse(const struct pw_hba_text *rules, const struct pw_hba_text *ident,
			    struct pw_unreadable *unreadable, struct pw_strbuf *warnings);
const struct pw_hba *pw_hba_ref(const struct pw_hba *hba);
void pw_hba_unref(const struct pw_hba *hba);

/* First matching rule; false = none. The method may be one that cannot work on this connection
 * (PEER over TCP, CERT without TLS): the caller must then refuse the login. */
bool pw_hba_find(const struct pw_hba *hba, const struct pw_hba_request *req,
		 struct pw_hba_match *out);
/* May the system user log in as pg_user? Without a map (NULL): equal names. */
bool pw_ident_allows(const struct pw_ident_map *map, const char *system_user, const char *pg_user);
/* The same for a name from a certificate: ignoring case, wildcards cover (pw_cert_name_matches).
 * Ask for each name of the certificate. */
bool pw_ident_allows_cert(const struct pw_ident_map *map, const char *cert_name,
			  const char *pg_user);

#endif

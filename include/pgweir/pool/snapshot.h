/* SPDX-License-Identifier: PostgreSQL
 *
 * Everything that a reload replaces as one: settings, users, rules, TLS contexts. Immutable and
 * reference counted: loaded by the main thread; each worker holds one and swaps it between events.
 */
#ifndef PGWEIR_POOL_SNAPSHOT_H
#define PGWEIR_POOL_SNAPSHOT_H

#include <stdbool.h>

#include "pgweir/auth/hba.h"
#include "pgweir/auth/unreadable.h"
#include "pgweir/auth/userdb.h"
#include "pgweir/base/hash.h"
#include "pgweir/base/refcount.h"
#include "pgweir/base/strbuf.h"
#include "pgweir/conf/conf.h"
#include "pgweir/tls/tls.h"

struct pw_snapshot {
	struct pw_refcount refs;
	const struct pw_conf *conf;
	const struct pw_userdb *users;
	const struct pw_hba *hba;        /* NULL unless auth_type = hba */
	struct pw_unreadable unreadable; /* files of users and rules; they count as empty */
	struct pw_tls_context *accept_tls;
	struct pw_tls_context *connect_tls;
};

/* NULL with `why` filled where the file, or a TLS file it names, cannot be used. The same for a
 * file of users or rules that cannot be read, unless it is in `previous->unreadable` already, or
 * `previous` is NULL. `warnings` gets what does not stop the load. */
struct pw_snapshot *pw_snapshot_load(const char *path, const struct pw_snapshot *previous,
				     const struct pw_hash_key *key, struct pw_strbuf *why,
				     struct pw_strbuf *warnings);
struct pw_snapshot *pw_snapshot_ref(struct pw_snapshot *snapshot);
void pw_snapshot_unref(struct pw_snapshot *snapshot);

#endif

/* SPDX-License-Identifier: PostgreSQL
 *
 * Bringing a link to a client's settings before the client's first message goes out: one simple
 * Query of SETs, whose answers nobody sees. The client's message waits for its end where it must
 * never run under somebody else's settings. Pure functions.
 */
#ifndef PGWEIR_SESSION_SYNC_H
#define PGWEIR_SESSION_SYNC_H

#include <stdbool.h>

#include "pgweir/base/status.h"
#include "pgweir/base/strbuf.h"
#include "pgweir/pool/link.h"
#include "pgweir/pool/params.h"
#include "pgweir/pool/state.h"

/* Where a session has that, its read-only serializable transactions wait for others to end. A query
 * of our own need not: that goes ahead of what takes its snapshot. */
#define PW_SYNC_DEFERRABLE "default_transaction_deferrable"
#define PW_SYNC_UNDEFERRED "SET LOCAL transaction_isolation = 'read committed';"

/* A literal that reads the same under every setting. */
void pw_sync_add_quoted(struct pw_strbuf *sql, const char *value);

/* What a session has, or is to have; all borrowed. */
struct pw_sync_side {
	const struct pw_params *params;  /* NULL = nothing is known or wanted */
	const struct pw_state *settings; /* never NULL */
};

/* Does the link have every value that the client wants, and no other setting? Tracked values are
 * compared to the letter: a name may differ from another by case alone. A value that only the
 * server spells otherwise costs one SET, after which the client has the server's spelling. */
bool pw_sync_fits(const struct pw_link *link, const struct pw_sync_side *wanted);
/* The statements that make up the difference. */
void pw_sync_build(const struct pw_tracked *tracked, const struct pw_sync_side *have,
		   const struct pw_sync_side *wanted, struct pw_strbuf *sql);
/* Do they guard nothing, and cannot fail with values that a server has accepted before? Then the
 * client's messages may follow without waiting. */
bool pw_sync_is_harmless(const struct pw_tracked *tracked, const struct pw_sync_side *have,
			 const struct pw_sync_side *wanted);

#endif

/* SPDX-License-Identifier: PostgreSQL
 *
 * A rule set with what was said while it was read, and short ways to ask it. Shared by the tests
 * of HBA rules and of HBA files.
 */
#ifndef PGWEIR_TEST_AUTH_HBA_FIXTURE_H
#define PGWEIR_TEST_AUTH_HBA_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pgweir/auth/hba.h"

struct fixture {
	struct pw_hba *hba;
	struct pw_strbuf warnings;
	struct pw_unreadable unreadable;
};

static inline void parse_sized(struct fixture *fixture, const char *text, size_t len,
			       const char *ident)
{
	/* A block of exactly that size: reading past it is seen. */
	char *copy = malloc(len ? len : 1);

	assert_non_null(copy);
	memcpy(copy, text, len);
	memset(fixture, 0, sizeof(*fixture));
	pw_strbuf_add(&fixture->warnings, "", 0);
	fixture->hba = pw_hba_parse(
	    &(struct pw_hba_text){"hba.conf", copy, len},
	    &(struct pw_hba_text){"ident.conf", ident ? ident : "", ident ? strlen(ident) : 0},
	    &fixture->unreadable, &fixture->warnings);
	free(copy);
	assert_non_null(fixture->hba);
}

static inline void parse(struct fixture *fixture, const char *text, const char *ident)
{
	parse_sized(fixture, text, strlen(text), ident);
}

static inline void drop(struct fixture *fixture)
{
	pw_hba_unref(fixture->hba);
	pw_strbuf_fini(&fixture->warnings);
	pw_unreadable_fini(&fixture->unreadable);
}

enum { TLS = 1, REPLICATION = 2 };

/* The line of the rule that decides, 0 = none. `peer` NULL = unix socket. */
static inline int ask(const struct pw_hba *hba, const char *peer, int flags, const char *database,
		      const char *user, struct pw_hba_match *match)
{
	struct pw_addr addr = {.family = AF_UNIX};
	struct pw_hba_request req = {
	    .addr = &addr,
	    .is_tls = flags & TLS,
	    .is_physical_replication = flags & REPLICATION,
	    .database = database,
	    .user = user,
	};

	if (peer)
		assert_true(pw_addr_parse(peer, 5432, &addr));
	memset(match, 0, sizeof(*match));
	return pw_hba_find(hba, &req, match) ? match->line : 0;
}

static inline int line_for(const struct fixture *fixture, const char *peer, int flags,
			   const char *database, const char *user)
{
	struct pw_hba_match match;

	return ask(fixture->hba, peer, flags, database, user, &match);
}

#endif

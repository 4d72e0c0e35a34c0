/* SPDX-License-Identifier: PostgreSQL
 *
 * Between the files of a link, lowest first: states and end (link.c), cleaning (link_clean.c),
 * account of answers (link_account.c), authentication (link_auth.c), login (link_login.c), events
 * and making (link_steps.c). Same thread as the link.
 */
#ifndef PGWEIR_POOL_LINK_PRIV_H
#define PGWEIR_POOL_LINK_PRIV_H

#include "pgweir/pool/link.h"
#include "pgweir/pool/verdict.h"

enum { PW_LINK_MAGIC = 0x4c696e6b };

/* ---- link.c ---- */
/* An expected answer came (is_done), or the server skipped its message and what was noted for it
 * is undone. */
void pw_link_settle(struct pw_link *link, const struct pw_expect *entry, bool is_done);
/* Drops the first n entries, undoing from the last of them. */
void pw_link_undo_first(struct pw_link *link, uint32_t n);
/* Among its pool's links at its node: +1 when it comes to the pool, -1 when it goes. */
void pw_link_count(const struct pw_link *link, int change);
/* Nobody has it any more: its node has one less to do. */
void pw_link_rest(struct pw_link *link);

/* ---- link_account.c ---- */
/* Works through server bytes; used once the link has logged in. */
void pw_link_account_data(struct pw_link *link, const uint8_t *data, size_t len);

/* ---- link_auth.c ---- */
struct pw_scram_client;

struct pw_link_auth {
	enum {
		PW_LINK_AUTH_GO_ON, /* answered, or nothing to answer */
		PW_LINK_AUTH_DONE,
		PW_LINK_AUTH_BROKEN, /* not understood: another try may do better */
		PW_LINK_AUTH_REFUSED /* we and the server do not agree on who we are */
	} outcome;
	const char *why; /* of the last two */
};

/* Answers an authentication request. `scram` lasts as long as the login, the caller's to destroy.
 */
PW_MUSTCHECK struct pw_link_auth pw_link_auth_answer(struct pw_link *link,
						     struct pw_scram_client **scram,
						     const struct pw_piece *piece);

/* ---- link_login.c ---- */
/* Begins with resolving or connecting. */
PW_MUSTCHECK enum pw_status pw_link_login_begin(struct pw_link *link);
/* A connect has failed: goes on to the next address of the same host; false = there is none. */
PW_MUSTCHECK bool pw_link_login_elsewhere(struct pw_link *link);
void pw_link_login_opened(struct pw_link *link);
void pw_link_login_data(struct pw_link *link, const uint8_t *data, size_t len);
void pw_link_login_free(struct pw_link *link);
void pw_link_login_fail(struct pw_link *link, const struct pw_error *err, bool is_server_error);

/* ---- link_clean.c ---- */
/* Runs the next of what clean_todo asks; gives the link to its pool when all is done. */
void pw_link_clean_next(struct pw_link *link);
/* A ReadyForQuery came while no client has the link. */
void pw_link_clean_ready(struct pw_link *link);

enum { PW_CLEAN_ROLLBACK = 1 << 0, PW_CLEAN_RESET = 1 << 1, PW_CLEAN_CHECK = 1 << 2 };

/* ---- link_code.c ---- */
struct pw_link_learning {
	uint64_t since_us;
	unsigned epoch;      /* the code_epoch when it was asked */
	bool is_of_readable; /* what a standby may read, not the code */
	bool has_failed;
	bool is_too_long;
	bool is_canceled;
	char error[128]; /* the server's */
	struct pw_strbuf rows;
	/* What has come of it, in the end; a reference, NULL = nothing. */
	struct pw_verdict *verdict;
	struct pw_readable *readable;
};
/* In link.c; hands in what has come of it. */
void pw_link_end_learning(struct pw_link *link);
/* True: it is time to ask, and the link does so now; pw_link_clean_ready() follows. */
bool pw_link_learn(struct pw_link *link);

/* ---- link_steps.c ---- */
/* An object, new and closed, bound to its pool; counts no limits. */
struct pw_link *pw_link_create(struct pw_pool *pool);
/* One that never came into any list. */
void pw_link_destroy(struct pw_link *link);

#endif

/* SPDX-License-Identifier: PostgreSQL
 *
 * A client's unnamed statement, which outlives its link (session_unnamed.c).
 *
 * Belongs to the client's session. One thread.
 */
#ifndef PGWEIR_CLIENT_UNNAMED_PRIV_H
#define PGWEIR_CLIENT_UNNAMED_PRIV_H

#include <stdbool.h>

#include "pgweir/base/list.h"
#include "pgweir/pool/expect.h"
#include "pgweir/proto/reader.h"
#include "pgweir/session/effects.h"

struct pw_client;

struct pw_unnamed {
	struct pw_list node;
	struct pw_effects effects;
	struct pw_strbuf parse; /* its Parse; empty where that was too long to be kept */
	bool is_made;           /* false: there is no such statement */
	bool was_readable;      /* the effects are those of a text that could be read */
};

/* Each message that makes another of it, or none, leaves the one before, until the server has
 * answered. */
struct pw_client_unnamed {
	struct pw_unnamed *now;   /* if the server takes all that was sent; NULL = none */
	struct pw_list before;    /* the oldest first, one for each message that is not answered */
	unsigned n_before;        /* as many */
	bool must_drain;          /* too many: what comes waits for all answers */
	struct pw_unnamed *spare; /* for the next */
	bool is_fresh;            /* no Sync was sent behind the latest of these messages */
};

/* ---- session_unnamed.c ---- */
void pw_unnamed_init(struct pw_client_unnamed *unnamed);
void pw_unnamed_fini(struct pw_client_unnamed *unnamed);
/* A Parse is about to be sent, which is not skipped for certain, and expected with
 * PW_EXPECT_UNNAMED: another statement, of which nothing is known yet. NULL without memory. */
struct pw_unnamed *pw_unnamed_begin(struct pw_client *c);
/* A Query or a Close is about to be sent, and drops it: adds to the flags with which that is to be
 * expected. PW_ENOMEM: nothing is to be sent. */
PW_MUSTCHECK enum pw_status pw_unnamed_drop(struct pw_client *c, unsigned *flags);
/* The same without a link. */
void pw_unnamed_forget(struct pw_client *c);
/* The server has done what a message with PW_EXPECT_UNNAMED says, or has not. */
void pw_unnamed_settled(struct pw_client *c, const struct pw_expect *entry, bool is_done);
/* An error about this message: a Parse that fails leaves none. */
void pw_unnamed_note_error(struct pw_client *c, const struct pw_expect *about);
/* A Sync is sent. */
void pw_unnamed_note_sync(struct pw_client *c);
/* Is that the statement which a Bind, Describe or Close means? */
bool pw_unnamed_is_meant(const struct pw_piece *piece);
/* May the server yet say which one it is that the next message means? */
bool pw_unnamed_is_unsure(const struct pw_client *c);
/* Must any message wait until those before it are answered? */
bool pw_unnamed_must_drain(struct pw_client *c);
/* Has the link the client's, or is that on its way? */
bool pw_unnamed_is_there(struct pw_client *c);

#endif

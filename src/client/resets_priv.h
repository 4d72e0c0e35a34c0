/* SPDX-License-Identifier: PostgreSQL
 *
 * RESET and its kin of clients whose start-up packet asked for settings: where the server's
 * defaults are others.
 *
 * All belongs to the client's session. One thread.
 */
#ifndef PGWEIR_CLIENT_RESETS_PRIV_H
#define PGWEIR_CLIENT_RESETS_PRIV_H

#include <stdbool.h>

#include "pgweir/pool/expect.h"
#include "pgweir/proto/reader.h"
#include "pgweir/session/effects.h"

struct pw_client;

/* What a text that goes back to the server's defaults means to a client that asked for others. */
enum pw_going_back {
	PW_BACK_NOT,
	PW_BACK_BEHIND, /* pw_session_restore() makes it true */
	PW_BACK_REFUSED,
};

/* In the batch at hand, up to its Sync. */
enum pw_batch_back { PW_BATCH_BACK_NOT, PW_BATCH_BACK_BOUND, PW_BATCH_BACK_DONE };

/* How pw_session_restore() is to make it true, and what the batch has done. */
struct pw_client_resets {
	bool are_local;          /* until the transaction ends */
	bool of_role, of_dotted; /* too: these show by their values alone that they went back */
	enum pw_batch_back back;
};

/* ---- session_resets.c ---- */
/* Notes too how pw_session_restore() is to make it true. */
enum pw_going_back pw_resets_judge(struct pw_client *c, const struct pw_effects *effects);
void pw_resets_note_bound(struct pw_client *c, const struct pw_effects *effects);
/* Is the message not to be run, because one before it in its batch has gone back? */
bool pw_resets_refuse(struct pw_client *c, enum pw_message_role role);
/* ---- relay_resets.c ---- */
/* These send, in place of a message, what the server fails. False = the client is closed. */
bool pw_resets_fail_query(struct pw_client *c, const struct pw_piece *piece, unsigned flags);
bool pw_resets_fail_batch(struct pw_client *c, const struct pw_piece *piece);
/* The server's error to these in words of our own; false: it is another error. */
bool pw_resets_word_error(struct pw_client *c, const struct pw_piece *piece,
			  const struct pw_expect *about);

/* Behind a message that may have set something back to the server's own default: what the start-up
 * packet asked for is set again where the server's default is in force. False: it is closed. */
bool pw_session_restore(struct pw_client *c);

#endif

/* SPDX-License-Identifier: PostgreSQL
 *
 * What the database's code makes of a client's transactions, beside what session.c says: whether
 * it is known at all (session_code.c, relay_code.c), and whether values of sequences are drawn
 * (session_draws.c).
 */
#ifndef PGWEIR_CLIENT_CODE_PRIV_H
#define PGWEIR_CLIENT_CODE_PRIV_H

#include <stdbool.h>

#include "client_priv.h"

/* ---- session.c ---- */
/* Was a setting changed since the link's state was last known that a server keeps in what it
 * parses? */
bool pw_session_may_parse_otherwise(const struct pw_client *c);
/* The same, or may names stand for something else than they do elsewhere, by such a setting, by
 * temporary tables or by tables that are made or gone in the present transaction? */
bool pw_session_parses_aside(const struct pw_client *c);
/* Does the link, as far as it goes, stand for nothing but what is known of the session? */
bool pw_session_is_clean(const struct pw_client *c);

/* ---- session_code.c ---- */
/* These are about to be sent. */
void pw_session_note_calls(struct pw_client *c, const struct pw_effects *effects);
/* A transaction is over: others learn of it if it may have made tables, and statements that the
 * client has parsed in it are not to be taken from links that have parsed them before. */
void pw_session_tell_tables(struct pw_client *c);
/* PW_EFFECT_*: what all since the link's state was last known come to; is the code known? */
unsigned pw_session_flags(const struct pw_client *c, bool *is_known);

/* ---- relay_code.c ---- */
/* It is not known what the code may have left that the transaction has called. False: nor can it be
 * had in this way; else the client waits for it (ASKING), and then it settles again. */
bool pw_session_learn(struct pw_client *c);
/* It waits, and looks: false = no longer. */
bool pw_session_goes_on_learning(struct pw_client *c);

/* ---- session_draws.c ---- */
/* What a text has to do with values of sequences. */
enum pw_values_use {
	PW_VALUES_ASKED = 1 << 0,  /* it asks for those that were drawn */
	PW_VALUES_UNREAD = 1 << 1, /* it may: it was not to be read */
	PW_VALUES_DRAWN = 1 << 2,  /* it may draw some, or ask by code */
	PW_VALUES_LATER = 1 << 3,  /* what comes behind it in its transaction may */
	PW_VALUES_BEHIND = 1 << 4, /* ASKED, and maybe behind the end of a transaction */
};
/* PW_VALUES_*: by what is known of the database's code. */
unsigned pw_session_values_use(const struct pw_client *c, const struct pw_effects *effects);
/* May the transaction have drawn values so far? */
bool pw_session_has_drawn(const struct pw_client *c);
/* Is the message one that asks for values of sequences which another link has? */
bool pw_session_asks_elsewhere(const struct pw_client *c, const struct pw_piece *piece);

/* ---- relay_loan.c ---- */
/* Ahead of a message with this use (PW_VALUES_*): what another has drawn on the link is discarded
 * where the client might be told it, and at the beginning of a transaction where it might come
 * among the client's own. False: the client is closed. */
bool pw_relay_own_sequences(struct pw_client *c, unsigned use);
/* ASKING: is it known by now what the code may have left? */
void pw_relay_on_learning_timeout(struct pw_client *c);

#endif

/* SPDX-License-Identifier: PostgreSQL
 *
 * SQL that speaks of a client's statements by their names, for the relay.
 */
#ifndef PGWEIR_CLIENT_NAMES_PRIV_H
#define PGWEIR_CLIENT_NAMES_PRIV_H

#include "client_priv.h"

/* ---- session_names.c ---- */
/* What a text with these effects (NULL = none) speaks of, from now on session->named. */
void pw_names_read(struct pw_client *c, const struct pw_effects *effects);
/* It is about to be sent: so are the effects of what it runs. Does that go back to what the session
 * began with? What is bound is seen to at its Sync. */
enum pw_going_back pw_names_note_runs(struct pw_client *c, bool is_bound);
/* A Query: what pw_session_note_query() does, and both of these. */
enum pw_going_back pw_names_note_query(struct pw_client *c, const struct pw_piece *piece);
/* Of a text that is bound, which is but one command: what it is to DEALLOCATE; NULL = nothing that
 * the client has. Borrowed. */
struct pw_prepared_name *pw_names_dropped(const struct pw_client *c);

/* ---- relay_names.c ---- */
/* Ahead of the text that was read last: the link has the client's statements by the names that it
 * uses. False: it is closed. */
bool pw_names_bring(struct pw_client *c, bool is_query);
/* Of a message about no statement with a name: does it bring, or run, a text that may speak of
 * statements by theirs? */
bool pw_names_may_matter(const struct pw_client *c, const struct pw_piece *piece);
/* A Query is the text that was read last: its DEALLOCATEs are expected, in their order. Not while
 * others are. */
void pw_names_note_drops(struct pw_client *c);
/* A DEALLOCATE was done, by what is answered. */
void pw_names_deallocated(struct pw_client *c, const struct pw_expect *about);
/* What was sent with PW_EXPECT_NAMED is answered, or was skipped. */
void pw_names_settled(struct pw_client *c, const struct pw_expect *entry, bool is_done);
/* What was brought could not be parsed: that is what the client's own message is about. */
void pw_names_take_error(struct pw_client *c, const struct pw_piece *piece);
/* A message of the client's is answered: it was not about that. */
void pw_names_forget_error(struct pw_client *c);
/* The client's message has failed for want of it. True: it was told why. */
bool pw_names_give_error(struct pw_client *c, const struct pw_piece *piece);
/* ... or DEALLOCATE ALL, or DISCARD ALL. */
void pw_names_deallocated_all(struct pw_client *c);
/* The client closes the statement: nor is it to be there by its name. False: it is closed. */
bool pw_names_close(struct pw_client *c, struct pw_prepared_name *name);
/* Ahead of the Parse that has listed it: the same, under its own name, which fails as it should if
 * SQL's PREPARE has made a statement of that name. */
bool pw_names_probe(struct pw_client *c, const struct pw_prepared_name *name);
/* Is the link free but for them? Then it is to be asked to close them (ASKING). */
bool pw_names_are_there(const struct pw_client *c);
void pw_names_take_back(struct pw_client *c);
/* The link that has them is not the client's any more: nobody closes them. */
void pw_names_forget(struct pw_client *c);

#endif

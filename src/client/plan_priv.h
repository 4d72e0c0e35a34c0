/* SPDX-License-Identifier: PostgreSQL
 *
 * Prepared statements of the protocol: what a link has of them, and what clients were told.
 */
#ifndef PGWEIR_CLIENT_PLAN_PRIV_H
#define PGWEIR_CLIENT_PLAN_PRIV_H

#include "client_priv.h"

/* ---- relay_plan.c ---- */
/* Sends messages built here, behind what is gathered; false = the client is closed. */
bool pw_plan_send(struct pw_client *c, struct pw_strbuf *out);
bool pw_plan_expect(struct pw_client *c, enum pw_message_role role, unsigned flags,
		    const struct pw_statement *statement, struct pw_prepared_name *name);
/* The count of changes seen in the database: a plan is as old as it was then. */
unsigned pw_plan_epoch(const struct pw_client *c);
/* Close of a statement that the link has; its answer is not for the client. */
bool pw_plan_drop(struct pw_client *c, struct pw_id id, unsigned flags);
/* The link parses the statement now; `flags` and `name` say whose answer it will be. */
bool pw_plan_parse(struct pw_client *c, struct pw_statement *statement, unsigned flags,
		   struct pw_prepared_name *name);
/* The link has the statement, from now on; false = the client is closed. */
bool pw_plan_have(struct pw_client *c, struct pw_prepared_name *name);

/* The unnamed statement is the client's too, on whatever link, and whether names are virtual or
 * not; false = the client is closed. */
bool pw_plan_bring_unnamed(struct pw_client *c);

/* Would the link have to parse it anew, or for the first time? */
bool pw_plan_is_stale(const struct pw_client *c, const struct pw_prepared_name *name);

enum pw_plan {
	PW_PLAN_READY,
	PW_PLAN_ASKED,   /* the client waits in PREPARING: its message is to be held */
	PW_PLAN_CHANGED, /* rows would have another shape than the client was told */
	PW_PLAN_FAILED,  /* it is closed */
};
/* The same for a Bind, which must not bring rows of another shape than the client was told, nor
 * have its values read by other types. `needs_types`: no server has said those yet. */
enum pw_plan pw_plan_use(struct pw_client *c, struct pw_prepared_name *name, bool needs_types);
/* What the link has is of the types that the client was told; false = the client is closed. */
bool pw_plan_have_types(struct pw_client *c, struct pw_prepared_name *name);
/* In place of a Bind: fails the batch with PostgreSQL's error. */
bool pw_plan_refuse(struct pw_client *c, struct pw_prepared_name *name,
		    const struct pw_piece *piece);
void pw_plan_write_changed(struct pw_strbuf *out);
/* A Describe was answered: the client's own, or (is_ours) the one it waits for. */
void pw_plan_told(struct pw_client *c, struct pw_prepared_name *name, bool is_ours);
/* PREPARING: goes on if the answer, or an error before it, is there. */
void pw_plan_resume(struct pw_client *c);

/* Under which settings does the client's link parse? */
struct pw_parse_state pw_plan_parse_state(const struct pw_client *c);

/* What a batch sends, kept in case it must be sent once more. */
void pw_plan_keep(struct pw_client *c, const struct pw_piece *piece);
/* An answer to it ends that. True: kept back, since an error may still follow. */
bool pw_plan_answer(struct pw_client *c, const struct pw_piece *piece);
/* An error about a statement of its own: true = swallowed, the batch will be sent once more at
 * ReadyForQuery. */
bool pw_plan_repeat(struct pw_client *c, const struct pw_piece *piece,
		    const struct pw_expect *about);
/* Sends a Sync of our own. False: the client is closed. */
bool pw_plan_end_batch(struct pw_client *c);
/* It will not be sent in this way. */
void pw_plan_forget_repeat(struct pw_client *c);
bool pw_plan_is_repeating(const struct pw_client *c);
void pw_plan_repeat_now(struct pw_client *c);

/* ---- relay_prepared.c ---- */
/* Must the message wait until it is certain what names and statements there are? */
bool pw_relay_must_wait(struct pw_client *c, const struct pw_piece *piece);
/* SETTLING: is it certain now? */
bool pw_relay_has_settled(struct pw_client *c);
/* Of a Query that was read (pw_names_read()): may it make the server forget all statements? */
bool pw_relay_forgets(const struct pw_client *c, const struct pw_piece *piece);
/* Such a Query comes: portals that it may end are nobody's. PW_EXPECT_* for it. */
unsigned pw_relay_note_query(struct pw_client *c, const struct pw_piece *piece);
/* Each sends one message (or its own answer) with virtual names; false = the client is closed. */
bool pw_relay_parse(struct pw_client *c, const struct pw_piece *piece);
bool pw_relay_bind(struct pw_client *c, const struct pw_piece *piece);
/* Of a portal that may make the server forget statements. */
bool pw_relay_execute(struct pw_client *c, const struct pw_piece *piece);
bool pw_relay_describe(struct pw_client *c, const struct pw_piece *piece);
bool pw_relay_close(struct pw_client *c, const struct pw_piece *piece);
/* The same without a link. */
enum pw_unlinked {
	PW_UNLINKED_NEEDS_LINK,
	PW_UNLINKED_ANSWERED,
	PW_UNLINKED_GONE, /* the client is closed */
};
enum pw_unlinked pw_relay_parse_unlinked(struct pw_client *c, const struct pw_piece *piece);
enum pw_unlinked pw_relay_close_unlinked(struct pw_client *c, const struct pw_piece *piece);
/* ---- relay_message.c ---- */
/* What a first piece with a link at hand means; false = the client is closed. */
bool pw_relay_begin_message(struct pw_client *c, const struct pw_piece *piece);
/* What it means while the client has no link. */
enum pw_unlinked pw_relay_begin_unlinked(struct pw_client *c, const struct pw_piece *piece);

/* ---- relay_prepared.c ---- */
void pw_relay_settled(struct pw_client *c, const struct pw_expect *entry, bool is_done);
void pw_relay_command_complete(struct pw_client *c, const struct pw_piece *piece,
			       const struct pw_expect *about);

/* ---- relay_errors.c ---- */
/* An ErrorResponse about a statement: with the client's own names in it. */
void pw_relay_error(struct pw_client *c, const struct pw_piece *piece,
		    const struct pw_expect *about);

#endif

/* SPDX-License-Identifier: PostgreSQL
 *
 * What a transaction has left in the session that ran it, as the server itself says: one query of
 * our own, sent when the transaction is over, asks for as much as its effects (session/effects.h)
 * make necessary. So rollbacks, savepoints, failed statements and functions need no model of ours.
 *
 * All that the query names is qualified, operators too: it runs under the client's search_path.
 * Names with a dot are not listed anywhere by a server and must be asked for one by one
 * (PostgreSQL 15: src/backend/utils/misc/guc.c, GUC_CUSTOM_PLACEHOLDER is not shown).
 *
 * One thread.
 */
#ifndef PGWEIR_SESSION_RESIDUE_H
#define PGWEIR_SESSION_RESIDUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pgweir/base/status.h"
#include "pgweir/base/strbuf.h"
#include "pgweir/hub/channels.h"
#include "pgweir/pool/params.h"
#include "pgweir/pool/state.h"
#include "pgweir/session/effects.h"

enum { PW_RESIDUE_BYTES_MAX = 4 * 1024 * 1024 };

enum pw_residue_scope {
	PW_RESIDUE_NO_SETTINGS,
	PW_RESIDUE_NAMED, /* those that the effects name */
	PW_RESIDUE_ALL,
};

/* A question, and its answer as it arrives. */
struct pw_residue {
	enum pw_residue_scope scope;
	unsigned objects;      /* PW_EFFECTS_OF_OBJECTS, PW_EFFECT_RIGHTS: asked about */
	bool has_failed;       /* an error was met, or a bound */
	struct pw_strbuf rows; /* DataRows as they came */
};

/* What is known beforehand; all borrowed. */
struct pw_residue_context {
	const struct pw_tracked *tracked;
	const struct pw_params *reported; /* of these, what the server reports by itself */
	const struct pw_state *settings;  /* the session's, before */
	const struct pw_strbuf
	    *dotted; /* all names with a dot that are known, each with its zero */
	const struct pw_effects *effects; /* of what was done; NULL = of nothing */
	const char *user;                 /* whom the link logged in as */
	unsigned server_version;          /* its first number; 0 = not told */
	const struct pw_state *initial;   /* what the session began with; NULL = nothing */
	bool has_foreign;                 /* it had PW_EFFECT_RIGHTS */
};

/* True where something is to be asked; the question is then in `sql`, to be sent as a Query.
 * `with_code`: also settings with a dot that the database's code speaks of (pool/code.h). */
bool pw_residue_ask(struct pw_residue *residue, const struct pw_effects *effects, bool with_code,
		    const struct pw_residue_context *context, struct pw_strbuf *sql);
/* Do the effects name what the server then lists for superusers alone, by somebody who may be none
 * any more? */
bool pw_residue_may_hide(const struct pw_effects *effects,
			 const struct pw_residue_context *context);
/* Bytes of DataRow messages. */
void pw_residue_take(struct pw_residue *residue, const void *data, size_t len);

struct pw_residue_found {
	struct pw_state *settings; /* as they are now: a reference */
	bool is_opaque;            /* code was asked about, and settings may have any name there */
	unsigned objects;          /* those that are there, of the ones that were asked about */
	/* Bit set, of the reported ones that are tracked: they are set for the session. Where all
	 * settings were asked for. */
	uint32_t reported;
	struct pw_channels channels; /* that are listened to: with PW_EFFECT_LISTENS. Wherever
				      * pw_residue_find() succeeds, the caller's to end */
};
/* The answer is complete. PW_EPROTO where it is none, PW_ENOMEM. */
PW_MUSTCHECK enum pw_status pw_residue_find(const struct pw_residue *residue,
					    const struct pw_residue_context *context,
					    struct pw_residue_found *found);
void pw_residue_fini(struct pw_residue *residue);

#endif

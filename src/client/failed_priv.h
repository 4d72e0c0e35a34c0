/* SPDX-License-Identifier: PostgreSQL
 *
 * Messages that failed before they did anything (session_failed.c).
 */
#ifndef PGWEIR_CLIENT_FAILED_PRIV_H
#define PGWEIR_CLIENT_FAILED_PRIV_H

#include <stdbool.h>
#include <stdint.h>

#include "pgweir/pool/expect.h"
#include "pgweir/proto/reader.h"
#include "pgweir/session/effects.h"

struct pw_client;

/* What cannot be asked about, of a message that had nothing before it in its link. */
struct pw_client_lone {
	unsigned flags;  /* PW_EFFECT_*; 0 = none, or it is certain that something was done */
	bool is_aborted; /* the server runs nothing in a transaction that has failed */
	bool is_of_load; /* of LOAD, and no code that may have it */
	bool is_of_seed; /* it does nothing but set the seed */
};

/* Before the effects are added to the session's. `text` NULL: not at hand; `is_bound`: it was
 * parsed before. */
void pw_failed_note_sent(struct pw_client *c, const struct pw_effects *effects, const char *text,
			 bool is_bound);
/* While there are lone effects: an answer of that type came. */
void pw_failed_note_answer(struct pw_client *c, uint8_t type);
/* An error that the client is told: what it shows not to have been done is none of the session's
 * effects. */
void pw_failed_note_error(struct pw_client *c, const struct pw_piece *piece,
			  const struct pw_expect *about);

#endif

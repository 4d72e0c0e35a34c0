/* SPDX-License-Identifier: PostgreSQL
 *
 * The shared prepared statements that a server connection has, least recently used first. A
 * statement is known by its content id alone: its name on the server is derived from the id, so
 * a link can change workers without any table changing with it. Belongs to one link.
 */
#ifndef PGWEIR_POOL_KNOWN_H
#define PGWEIR_POOL_KNOWN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pgweir/base/hash.h"
#include "pgweir/base/list.h"
#include "pgweir/base/map.h"
#include "pgweir/base/status.h"

enum { PW_STATEMENT_NAME_SIZE = 7 + 32 + 1 };

/* Writes "pgweir_" and 32 hex digits. */
void pw_statement_name(struct pw_id id, char out[PW_STATEMENT_NAME_SIZE]);

/* As proto/row_description.h gives them; 0 = not asked yet. */
struct pw_description {
	uint64_t rows;
	uint64_t parameters;
};

struct pw_known {
	struct pw_map map;
	struct pw_list lru; /* oldest first */
	uint32_t parses_sent;
	uint32_t parses_settled; /* answered or skipped, in the order in which they were sent */
};

void pw_known_init(struct pw_known *known);
void pw_known_fini(struct pw_known *known);
size_t pw_known_count(const struct pw_known *known);
/* Is it there? A yes makes it the most recently used. */
bool pw_known_use(struct pw_known *known, struct pw_id id);
/* Which ddl_epoch of the database the link parsed it in; 0 where it is not there. */
void pw_known_set_epoch(struct pw_known *known, struct pw_id id, unsigned epoch);
unsigned pw_known_epoch(const struct pw_known *known, struct pw_id id);
/* It was parsed where names may have stood for something else: a server sees to that when it is
 * run, but a Parse of it may be refused elsewhere. */
void pw_known_set_aside(struct pw_known *known, struct pw_id id, bool is_aside);
bool pw_known_is_aside(const struct pw_known *known, struct pw_id id);
/* An answer casts doubt on what the link has: it is not to be used again, unless it is being
 * parsed anew already, and the answer is to what came before. */
void pw_known_doubt(struct pw_known *known, struct pw_id id);
/* What the server says of it: the same as long as the link has the statement, so what is known
 * already stays. All is 0 while its Parse is not answered. */
void pw_known_describe(struct pw_known *known, struct pw_id id, struct pw_description said);
struct pw_description pw_known_description(const struct pw_known *known, struct pw_id id);

/* Adding what is there changes nothing. */
PW_MUSTCHECK enum pw_status pw_known_add(struct pw_known *known, struct pw_id id);
/* A Parse of it was sent. The oldest one that was sent and not settled was answered or skipped. */
void pw_known_parse_sent(struct pw_known *known, struct pw_id id);
void pw_known_parse_settled(struct pw_known *known);
void pw_known_remove(struct pw_known *known, struct pw_id id);
void pw_known_clear(struct pw_known *known);
/* The least recently used one; false = none. */
bool pw_known_oldest(const struct pw_known *known, struct pw_id *id);
/* Moves the contents into an uninitialised set and leaves this one empty. */
void pw_known_move(struct pw_known *known, struct pw_known *to);

#endif

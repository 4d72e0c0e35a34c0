/* SPDX-License-Identifier: PostgreSQL
 *
 * Prepared statements of the extended protocol, as a client sees them: names of its own, on
 * whatever link it happens to run.
 *
 * A statement's identity is the struct below (text, parameter types, parse state); its content id
 * names it on every server, so all clients and links of the process agree without sharing a table.
 * Where the text means what its session makes of it, each Parse makes a statement of its own.
 * Each worker keeps one copy of a text for all its clients. Bytes are counted per client and per
 * process. One thread per worker; only the process's byte count is shared.
 */
#ifndef PGWEIR_SESSION_PREPARED_H
#define PGWEIR_SESSION_PREPARED_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pgweir/base/hash.h"
#include "pgweir/base/map.h"
#include "pgweir/base/status.h"
#include "pgweir/base/strbuf.h"
#include "pgweir/pool/known.h"
#include "pgweir/session/effects.h"

/* The settings that a server bakes into a statement when it parses it: '01/02/2020'::date has
 * become a day by then. */
struct pw_parse_state {
	struct pw_id params;   /* pw_params_parse_id() at the Parse */
	struct pw_id settings; /* parse_id of the client's other settings */
};

static inline bool pw_parse_states_equal(const struct pw_parse_state *a,
					 const struct pw_parse_state *b)
{
	return pw_id_equal(a->params, b->params) && pw_id_equal(a->settings, b->settings);
}

struct pw_statement_key {
	const char *text; /* zero-terminated */
	size_t text_len;
	const uint8_t *types; /* count and OIDs as in the Parse message */
	size_t types_len;
	struct pw_parse_state parse_state;
	/* Which Parse it is of, where what the text means hangs on that; else zero. */
	struct pw_id own;
};

/* Where it may run, for whoever routes it (in its own words). */
struct pw_statement_route {
	uint64_t whose;     /* id of the pool */
	uint64_t as_of;     /* 0 = nobody has looked */
	uint64_t looked_in; /* which request: the same one does not look again */
	bool has_trusted;   /* it is not all proof */
	struct pw_id shape;
	uint8_t route, doubt;
	unsigned kinds, transaction;
};

/* One text that clients of this worker have prepared. */
struct pw_statement {
	struct pw_map_node node;
	struct pw_id id;
	char name[PW_STATEMENT_NAME_SIZE]; /* on servers */
	unsigned refs;
	size_t text_len, types_len;
	struct pw_parse_state parse_state;
	struct pw_id own;
	bool may_forget; /* pw_statement_may_forget() of its text */
	bool may_ask;    /* pw_statement_may_ask() of it */
	bool may_unbind; /* pw_statement_may_unbind() of it */
	bool is_open;    /* a server is to find out the type of a parameter */
	bool is_judged;  /* ... and what it may leave in a session is known: */
	struct pw_effects effects;
	struct pw_statement_route routes[2]; /* the second one for those who are trusted */
	uint8_t body[]; /* text with its zero byte, then types: the tail of a Parse */
};

struct pw_statements {
	struct pw_map map;
	struct pw_hash_key key;
	_Atomic uint64_t *total_bytes; /* of the process; borrowed */
};

/* One name of one client. Counted: the link's queue of expected answers holds references, so that
 * a skipped Parse or Close can be undone. */
struct pw_prepared_name {
	struct pw_map_node node;
	unsigned refs;
	struct pw_prepared *owner; /* outlives every reference: its client leaves its link first */
	struct pw_statement *statement;
	bool is_listed;       /* in the owner's map */
	uint64_t made_in;     /* the request of a routed client that has made it; 0 = of none */
	unsigned epoch;       /* ddl_epoch of the database when the client parsed it */
	uint64_t description; /* of its rows, as the client was last told; 0 = never */
	/* Those of its parameters, as in a Parse, as a server found them for the client when it
	 * first said, and as pw_parameter_description_hash() has them; NULL = not known yet. */
	uint8_t *types;
	size_t types_len;
	uint64_t parameters;
	bool is_types_told;    /* the client has asked for them itself */
	bool is_types_awaited; /* we have */
	bool is_provisional;   /* parsed in a transaction where names may stand for other tables */
	unsigned n_untold;     /* descriptions that were asked for and have not come */
	uint64_t read_in;      /* the last text that runs it by its name (session_names.c) */
	char name[];
};

/* So many open portals of shared statements are told apart. */
enum { PW_PREPARED_PORTALS = 8 };

struct pw_prepared {
	struct pw_map map; /* by name */
	struct pw_statements *statements;
	size_t bytes; /* of all names that are listed or referenced */
	/* What portals belong to; each holds references. The oldest gives way. */
	struct pw_prepared_portal {
		uint64_t id;
		struct pw_prepared_name *name; /* NULL = none that is shared */
		/* What it runs is to DEALLOCATE this; NULL = nothing. Without both: no portal. */
		struct pw_prepared_name *dropped;
	} portals[PW_PREPARED_PORTALS];
	unsigned next_portal;
	uint64_t n_added;               /* names, ever */
	bool has_provisional;           /* some name may be */
	bool must_drain;                /* all that was sent must be answered first */
	struct pw_prepared_name *asked; /* its description was asked for; an address, no more */
	bool is_told;                   /* ... and the answer came */
	struct pw_strbuf repeat;        /* what was sent since; may be sent once more */
	struct pw_strbuf answer;        /* kept back meanwhile */
	bool may_repeat;                /* while nothing of it was answered */
	bool is_repeat_whole;           /* up to its Sync or Flush */
	bool lacks_sync;                /* it ends with a Flush */
	bool is_repeating;              /* until the ReadyForQuery of the first attempt */
};

/* May a command that reads like this be (or end with) DISCARD ALL or DEALLOCATE ALL, which make the
 * server forget every statement? Never wrong when it says no. */
bool pw_statement_may_forget(const char *text, size_t len);

/* May it speak of statements by their names: PREPARE, EXECUTE, DEALLOCATE, or the list of them? In
 * whatever encoding; never wrong when it says no. */
bool pw_statement_may_name(const char *text, size_t len);

/* May it ask for the values that sequences have given, by currval() or lastval()? In whatever
 * encoding; never wrong when it says no. */
bool pw_statement_may_ask(const char *text, size_t len);

/* May it end portals, so that their names are free for others: with their transaction, or by CLOSE?
 * In whatever encoding; code that it calls may do so unseen. */
bool pw_statement_may_unbind(const char *text, size_t len);

/* Does it give the rows of something that belongs to a session: FETCH of a cursor, EXECUTE of a
 * statement? A server describes these as they are when it parses, and runs them as they are then.
 */
bool pw_statement_is_of_session(const char *text, size_t len);
static inline bool pw_statement_is_own(const struct pw_statement *statement)
{
	return !pw_id_equal(statement->own, (struct pw_id){0, 0});
}

/* The content id that stands for the key; false without memory. */
bool pw_statement_identify(const struct pw_statements *statements,
			   const struct pw_statement_key *key, struct pw_id *id);
void pw_statements_init(struct pw_statements *statements, const struct pw_hash_key *key,
			_Atomic uint64_t *total_bytes);
void pw_statements_fini(struct pw_statements *statements);

struct pw_prepared *pw_prepared_create(struct pw_statements *statements);
void pw_prepared_destroy(struct pw_prepared *prepared);
size_t pw_prepared_count(const struct pw_prepared *prepared);
/* NULL = the client has no such name. Borrowed. */
struct pw_prepared_name *pw_prepared_find(const struct pw_prepared *prepared, const char *name);
/* Lists a new name, which must not be listed yet. PW_ELIMIT: the client or the process would hold
 * more bytes than allowed (0 = no bound). *out is borrowed. */
PW_MUSTCHECK enum pw_status pw_prepared_add(struct pw_prepared *prepared, const char *name,
					    const struct pw_statement_key *key,
					    uint64_t max_client_bytes, uint64_t max_total_bytes,
					    struct pw_prepared_name **out);
/* From now on the name is for the same text as it reads in another parse state. PW_ENOMEM: it stays
 * what it was. */
PW_MUSTCHECK enum pw_status pw_prepared_move(struct pw_prepared_name *name,
					     struct pw_parse_state parse_state);
/* A server has found these types; those that it found before stay. */
void pw_prepared_tell_types(struct pw_prepared_name *name, const void *types, size_t len,
			    uint64_t parameters);
/* They were a guess that has failed. */
void pw_prepared_forget_types(struct pw_prepared_name *name);
/* From now on the name is for the same text with these types. PW_ENOMEM: it stays what it was. */
PW_MUSTCHECK enum pw_status pw_prepared_close_types(struct pw_prepared_name *name);
/* Takes a name out of the list; whoever holds references may list it again. */
void pw_prepared_unlist(struct pw_prepared_name *name);
/* The opposite, unless the name was taken meanwhile. */
void pw_prepared_relist(struct pw_prepared_name *name);
/* Which statement does the portal belong to, as far as the last Binds say, and which is it to drop?
 * NULL = none that is shared; none that is known. */
void pw_prepared_note_bind(struct pw_prepared *prepared, const char *portal,
			   struct pw_prepared_name *name, struct pw_prepared_name *dropped);
struct pw_prepared_name *pw_prepared_bound(struct pw_prepared *prepared, const char *portal);
bool pw_prepared_has_bound(const struct pw_prepared *prepared);
struct pw_prepared_name *pw_prepared_dropped(struct pw_prepared *prepared, const char *portal);
/* The portal is gone, and its name may become another's, or no one's. */
void pw_prepared_unbind(struct pw_prepared *prepared, const char *portal);
/* The same of any, perhaps; whoever is to drop something may still do so. */
void pw_prepared_unbind_all(struct pw_prepared *prepared);
/* They are gone with their transaction. */
void pw_prepared_forget_portals(struct pw_prepared *prepared);
void pw_prepared_set_provisional(struct pw_prepared_name *name);
/* Its transaction is over: what was parsed in it is of this epoch. */
void pw_prepared_settle(struct pw_prepared *prepared, unsigned epoch);
/* DEALLOCATE ALL, DISCARD ALL. */
void pw_prepared_clear(struct pw_prepared *prepared);

struct pw_prepared_name *pw_prepared_name_ref(struct pw_prepared_name *name);
void pw_prepared_name_unref(struct pw_prepared_name *name);

#endif

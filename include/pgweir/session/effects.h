/* SPDX-License-Identifier: PostgreSQL
 *
 * What statements may leave behind in the session that runs them, gathered over a transaction: so
 * that afterwards the server is asked about that, and about nothing where there was nothing. A
 * judgement is never too mild: what could not be parsed, and code that is not known to be
 * harmless, may do anything.
 *
 * Effects belong to whoever holds them. One thread.
 */
#ifndef PGWEIR_SESSION_EFFECTS_H
#define PGWEIR_SESSION_EFFECTS_H

#include <stdbool.h>
#include <stddef.h>

#include "pgweir/base/strbuf.h"
#include "pgweir/pool/verdict.h"
#include "pgweir/sql/shape_cache.h"

enum pw_effect {
	PW_EFFECT_NAMED = 1 << 0, /* the settings that are named */
	PW_EFFECT_RESET = 1 << 1, /* some of them, or of all, may go back to what they began as */
	PW_EFFECT_SETTINGS = 1 << 2, /* any setting */
	/* Of what is there: settings that who logged in may not set. */
	PW_EFFECT_RIGHTS = PW_EFFECT_SETTINGS,
	PW_EFFECT_TEMP = 1 << 3,     /* temporary objects come or go */
	PW_EFFECT_HOLD = 1 << 4,     /* cursors WITH HOLD */
	PW_EFFECT_LOCKS = 1 << 5,    /* advisory locks of the session */
	PW_EFFECT_PREPARED = 1 << 6, /* statements of SQL's PREPARE */
	PW_EFFECT_LISTENS = 1 << 7,  /* channels that are listened to */
	PW_EFFECT_LOAD = 1 << 8, /* a library is loaded; this and the next cannot be asked about */
	PW_EFFECT_SEED = 1 << 9, /* of random() */
	PW_EFFECT_ORIGIN = 1 << 10,    /* of replication */
	PW_EFFECT_SLOT = 1 << 11,      /* a temporary replication slot */
	PW_EFFECT_BACKUP = 1 << 12,    /* a backup that the session must end */
	PW_EFFECT_SEQUENCES = 1 << 13, /* asks for a value that an earlier nextval() left */
	PW_EFFECT_DROPS = 1 << 15,     /* may end what is there of the objects above */
	PW_EFFECT_OPAQUE = 1 << 18,    /* settings whose names nobody can know */
	PW_EFFECT_CODE = 1 << 19,      /* of code that nobody here has read */
	PW_EFFECT_MADE = 1 << 24,   /* a name is put together in it: code that runs may set any */
	PW_EFFECT_UNSEEN = 1 << 23, /* of a text too long to be looked at */
	PW_EFFECT_DDL = 1 << 22,    /* none: but the database's code may be another afterwards */
	PW_EFFECT_COPY = 1 << 21,   /* none: but bytes behind it may be data */
	/* None: but what is parsed before it is over may mean something else than elsewhere. */
	PW_EFFECT_PARSES = 1 << 26,
	PW_EFFECT_UNTOLD = 1 << 27, /* none: but the server could not say just now what is there */
	PW_EFFECT_DBLINK = 1 << 28, /* connections of the library's own; cannot be asked about */
	/* None: but a setting may go back to what it began as until the transaction ends. */
	PW_EFFECT_RESET_LOCAL = 1 << 29,
	PW_EFFECT_RESET_ALL = 1 << 20, /* all settings go back to what they began as */
	/* What these mean hangs on the code that the database holds: */
	PW_EFFECT_CALLS = 1 << 16,     /* functions are called that are not PostgreSQL's own */
	PW_EFFECT_CALLS_ANY = 1 << 25, /* ... and which is not known */
	PW_EFFECT_QUERIES = 1 << 17,   /* tables are read: views, policies, operators */
	PW_EFFECT_WRITES = 1 << 30,    /* ... and written: triggers, defaults */
	PW_EFFECT_COMMANDS = 1 << 14,  /* ... and made: event triggers */
};

enum {
	/* What a server can be asked about afterwards, beside settings. */
	PW_EFFECTS_OF_OBJECTS = PW_EFFECT_TEMP | PW_EFFECT_HOLD | PW_EFFECT_LOCKS |
				PW_EFFECT_PREPARED | PW_EFFECT_LISTENS,
	/* What it cannot be asked about: it stays until the session ends. */
	PW_EFFECTS_FOR_EVER = PW_EFFECT_LOAD | PW_EFFECT_SEED | PW_EFFECT_ORIGIN | PW_EFFECT_SLOT |
			      PW_EFFECT_BACKUP | PW_EFFECT_OPAQUE | PW_EFFECT_DBLINK,
	/* Code that nobody here has read, or a text that could not be parsed. */
	PW_EFFECTS_UNKNOWN =
	    PW_EFFECT_SETTINGS | PW_EFFECT_RESET | PW_EFFECTS_OF_OBJECTS | PW_EFFECT_CODE,
	/* ... which may call any function, and use any table. */
	PW_EFFECTS_OF_TABLES = PW_EFFECT_QUERIES | PW_EFFECT_WRITES | PW_EFFECT_COMMANDS,
	PW_EFFECTS_UNREAD = PW_EFFECTS_UNKNOWN | PW_EFFECT_CALLS_ANY | PW_EFFECTS_OF_TABLES,
	PW_EFFECTS_BY_CODE = PW_EFFECT_CALLS | PW_EFFECT_CALLS_ANY | PW_EFFECTS_OF_TABLES,
	PW_EFFECTS_NAMES_MAX = 64,
};

/* What a text does with a prepared statement that it names. */
enum pw_statement_use {
	PW_STATEMENT_USED = 'u',    /* EXECUTE */
	PW_STATEMENT_MADE = 'm',    /* PREPARE */
	PW_STATEMENT_DROPPED = 'd', /* DEALLOCATE */
	PW_STATEMENT_ALL = 'a',     /* the text may look at all there are */
	/* The first and the third, by code that is in the text. */
	PW_STATEMENT_RUN_BY_CODE = 'r',
	PW_STATEMENT_DROPPED_BY_CODE = 'f',
};

/* How a text puts a setting back to what it began as. */
enum pw_reset_use {
	PW_RESET_ENDS = 'e',  /* nothing behind it hangs on settings */
	PW_RESET_AHEAD = 'a', /* something may */
};

struct pw_effects {
	unsigned flags;
	unsigned n_names;
	unsigned n_calls;
	struct pw_strbuf names; /* in small letters, each with its zero byte, each once */
	struct pw_strbuf calls; /* CALLS: of functions (pw_function_name()), likewise */
	/* A pw_statement_use, a name and its zero byte, in their order; of one text: merging does
	 * not bring them. */
	struct pw_strbuf statements;
	/* A pw_reset_use, the name of a setting ("" = all of them) and its zero byte; likewise. */
	struct pw_strbuf resets;
	bool calls_others; /* CALLS: also of functions whose names are not among these */
	bool draws;        /* nextval(), setval() */
	/* Names may stand for other tables afterwards, and no server says so: CREATE ... AS and
	 * SELECT INTO are answered like a query. */
	bool makes_tables;
	/* Settings may go back to what the session began with, in ways that resets does not tell.
	 */
	bool may_go_back;
	bool begins; /* of one text: a transaction, and does not end it */
	bool ends;   /* of one text: a transaction, or goes back in it */
};

#define PW_EFFECTS_INIT                                                                            \
	{                                                                                          \
		0, 0, 0, PW_STRBUF_INIT, PW_STRBUF_INIT, PW_STRBUF_INIT, PW_STRBUF_INIT, false,    \
		    false, false, false, false, false                                              \
	}

void pw_effects_fini(struct pw_effects *effects);
void pw_effects_clear(struct pw_effects *effects);
/* Names are folded to small letters. Without memory, or beyond the bounds, any setting is meant. */
void pw_effects_add_name(struct pw_effects *effects, const char *name, size_t len);
/* The same for one that matters only where any setting may have been set: it is not to be forgotten
 * then. */
void pw_effects_mention(struct pw_effects *effects, const char *name, size_t len);
/* Is it one of those? */
bool pw_effects_name(const struct pw_effects *effects, const char *name);
/* A function is called. Without memory, or beyond the bounds, any one may be. */
void pw_effects_add_call(struct pw_effects *effects, const char *name, size_t len);
/* May they call it? By its name alone; one of PostgreSQL's own names may be called anywhere. */
bool pw_effects_call(const struct pw_effects *effects, const char *name);
/* May they use tables so? */
bool pw_effects_use(const struct pw_effects *effects, enum pw_code_use use);
/* What the database's code makes of it: PW_CODE_*. */
unsigned pw_effects_by_code(const struct pw_effects *effects, const struct pw_verdict *verdict);
/* May they draw a value of a sequence, or set one? `verdict` NULL = the code is not known. */
bool pw_effects_draw(const struct pw_effects *effects, const struct pw_verdict *verdict);
/* The statements that an EXECUTE runs are known, and among these effects: it is not to count as one
 * that may run any. What is known must be proved to read: then it sets nothing but by code. */
void pw_effects_know_executed(struct pw_effects *effects);
void pw_effects_merge(struct pw_effects *effects, const struct pw_effects *more);
/* Mentions names with a dot that may be settings: in quotes or behind SET, for code that is in a
 * text, and for texts that nobody can read. One that is put together there may be any. */
void pw_effects_scan(struct pw_effects *effects, const char *text, size_t len);
/* Adds those of a text that nobody can read: all that it may have. */
void pw_effects_judge_unread(struct pw_effects *effects, const char *text, size_t len);
/* Adds those of a text, which must be one that the lexer is right for (sql/lexer.h), followed by a
 * zero byte. */
void pw_effects_judge(struct pw_effects *effects, struct pw_shape_cache *cache,
		      const struct pw_shape_key *key, const char *text, size_t len);

#endif

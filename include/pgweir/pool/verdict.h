/* SPDX-License-Identifier: PostgreSQL
 *
 * What a database's functions may leave in a session, by name: one answer to the question of
 * pool/code.h. Names are without schema and in small letters; functions of one name are one.
 *
 * A verdict is filled by one thread, then finished, and from then on immutable and shared by
 * reference, any thread.
 */
#ifndef PGWEIR_POOL_VERDICT_H
#define PGWEIR_POOL_VERDICT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

enum {
	PW_CODE_DOUBTFUL = 1 << 0, /* may leave something that a server can be asked about */
	PW_CODE_OPAQUE = 1 << 1,   /* ... and settings whose names nobody can know, or worse */
	PW_CODE_MAKES = 1 << 2,    /* changes the code of the database: of functions alone */
	PW_CODE_TABLES = 1 << 3,   /* ... or what names stand for: likewise */
	PW_CODE_FUNCTIONS_MAX = 2000,
	PW_FUNCTION_NAME_SIZE = 64, /* with its zero byte */
};

/* How a statement uses tables, each beside those before it. */
enum pw_code_use {
	PW_USE_READ,    /* views, policies, operators, casts */
	PW_USE_WRITE,   /* triggers, defaults, rules, checks */
	PW_USE_COMMAND, /* event triggers */
	PW_USE_N
};

struct pw_judged_function {
	char name[PW_FUNCTION_NAME_SIZE];
	unsigned what;
};

struct pw_verdict {
	atomic_uint refs;
	unsigned epoch;          /* of the database's changes when it was asked for */
	unsigned uses[PW_USE_N]; /* what is called without being named */
	unsigned any;            /* what is there at all */
	unsigned all;            /* what each function is taken for: there were too many */
	bool reading_draws;      /* to read tables may draw values of sequences, or ask for them */
	size_t n, capacity;
	struct pw_judged_function *functions; /* in the order of strcmp() once finished */
};

/* As names are compared: without schema, in small letters (of ASCII), no longer than
 * PostgreSQL's. */
void pw_function_name(char out[PW_FUNCTION_NAME_SIZE], const char *name, size_t len);

/* With one reference; NULL without memory. */
struct pw_verdict *pw_verdict_create(unsigned epoch);
void pw_verdict_add_use(struct pw_verdict *verdict, enum pw_code_use use, unsigned what);
/* Beyond the bound, or without memory, all functions are taken for that. One that bears the name of
 * PostgreSQL's own counts among what any statement calls: texts do not tell which is meant. */
void pw_verdict_add(struct pw_verdict *verdict, unsigned what, const char *name, size_t len);
void pw_verdict_finish(struct pw_verdict *verdict);

struct pw_verdict *pw_verdict_ref(struct pw_verdict *verdict);
/* NULL is fine. */
void pw_verdict_unref(struct pw_verdict *verdict);

/* PW_CODE_*: of a name that pw_function_name() gave. */
unsigned pw_verdict_of(const struct pw_verdict *verdict, const char *name);
/* Does it say more of anything that may be left than the earlier one? */
bool pw_verdict_exceeds(const struct pw_verdict *verdict, const struct pw_verdict *earlier);

#endif

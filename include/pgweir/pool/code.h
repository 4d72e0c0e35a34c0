/* SPDX-License-Identifier: PostgreSQL
 *
 * What is known of the code that a database holds (functions, and the triggers, views, policies
 * and defaults that call them): whether a query may leave something in a session without naming
 * it. A server is asked for it by a link that nobody has (pool/link_code.c): the first one of a
 * database, again after each change of the database that was seen, and from time to time.
 *
 * One for each database of the process; any thread.
 */
#ifndef PGWEIR_POOL_CODE_H
#define PGWEIR_POOL_CODE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pgweir/base/strbuf.h"

enum {
	PW_CODE_FUNCTIONS = 1 << 0, /* some function may leave something behind */
	PW_CODE_TABLES = 1 << 1,    /* ... and is called where a table is used, or by an operator */
	PW_CODE_OPAQUE = 1 << 2,    /* ... settings whose names nobody can know */
	PW_CODE_UNKNOWN = PW_CODE_FUNCTIONS | PW_CODE_TABLES,
	PW_CODE_NAMES_MAX = 500,
	/* Asked again after this time if nobody waits for the link, after the longer one anyhow,
	 * and after a change that was seen not before the pause is over. */
	PW_CODE_AGE_US = 10 * 1000 * 1000,
	PW_CODE_AGE_MAX_US = 60 * 1000 * 1000,
	PW_CODE_PAUSE_US = 1000 * 1000,
};

struct pw_code {
	atomic_uint verdict;
	atomic_uint epoch; /* of the database's changes when it was given; 0 = never */
	_Atomic uint64_t given_us;
	atomic_uint generation;  /* raised when it was too mild: what links had since is unknown */
	atomic_bool is_asked;    /* by one link at a time */
	atomic_bool is_full;     /* not all names are remembered */
	pthread_mutex_t lock;    /* rank 3; guards what follows */
	struct pw_strbuf dotted; /* names of settings with a dot, each with its zero byte */
	size_t n_dotted;
};

void pw_code_init(struct pw_code *code);
void pw_code_fini(struct pw_code *code);
/* False: not as of that epoch, and *what is PW_CODE_UNKNOWN. */
bool pw_code_is_known(struct pw_code *code, unsigned ddl_epoch, unsigned *what);

/* Is it time to ask, and the caller the one to do it? Then pw_code_end() must follow; without
 * `what` where there was no answer. */
bool pw_code_begin(struct pw_code *code, unsigned ddl_epoch, uint64_t now_us, bool is_waited_for);
void pw_code_end(struct pw_code *code, const unsigned *what, unsigned ddl_epoch, uint64_t now_us);
/* A query of one column: letters (f functions, t tables, o opaque), then names with a dot. */
void pw_code_add_question(struct pw_strbuf *sql);
/* A SELECT of 'c', the letters, NULL, and of 's', name, value: settings of which the code speaks.
 */
void pw_code_add_settings(struct pw_strbuf *sql);

/* Names with a dot that a session has had or code speaks of. Each once, and not endlessly many:
 * then there are names that nobody knows. */
void pw_code_add_dotted(struct pw_code *code, const char *name);
/* A copy of all of them. */
void pw_code_dotted(struct pw_code *code, struct pw_strbuf *out);

#endif

/* SPDX-License-Identifier: PostgreSQL
 *
 * What is known of the code that a database holds (functions, and the triggers, views, policies
 * and defaults that call them): what a call of a function, or a query that names none, may leave in
 * a session. A server is asked for it by a link that nobody has (pool/link_code.c): the first one
 * of a database, again after each change of the database that was seen, and from time to time.
 *
 * One for each database of the process; any thread. Each worker looks at it through views of its
 * own, which take the lock only where the verdict has changed since.
 */
#ifndef PGWEIR_POOL_CODE_H
#define PGWEIR_POOL_CODE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pgweir/base/log.h"
#include "pgweir/base/strbuf.h"
#include "pgweir/pool/verdict.h"

enum {
	PW_CODE_NAMES_MAX = 500,
	/* Asked again after this time if nobody waits for the link, after the longer one anyhow,
	 * and after a change that was seen not before the pause is over. */
	PW_CODE_AGE_US = 10 * 1000 * 1000,
	PW_CODE_AGE_MAX_US = 60 * 1000 * 1000,
	PW_CODE_PAUSE_US = 1000 * 1000,
	/* A server that could not say is asked again after this time, whatever has changed. */
	PW_CODE_RETRY_US = 60 * 1000 * 1000,
	/* How long a server may think about it. */
	PW_CODE_TIMEOUT_US = 5 * 1000 * 1000,
	/* An answer that takes no longer is waited for; else another link is opened. */
	PW_CODE_QUICK_US = 100 * 1000,
};

/* Of settings with a dot, each once and with its zero byte; not endlessly many. */
struct pw_code_names {
	struct pw_strbuf text;
	size_t n;
	atomic_bool is_full; /* not all are remembered */
};

struct pw_code {
	atomic_uint version; /* raised with each verdict; 0 = there is none yet */
	atomic_uint epoch;   /* the verdict's; 0 = never */
	_Atomic uint64_t given_us;
	_Atomic uint64_t took_us;   /* the last answer */
	_Atomic uint64_t failed_us; /* the last question, when it was last asked; 0 = it did not */
	atomic_uint generation; /* raised when it was too mild: what links had since is unknown */
	atomic_bool is_asked;   /* by one link at a time */
	pthread_mutex_t lock;   /* rank 4; guards what follows */
	struct pw_verdict *verdict;  /* a reference */
	struct pw_code_names dotted; /* that the code speaks of */
	/* ... that sessions have had: of use while nobody knows what the code speaks of. */
	struct pw_code_names of_sessions;
};

/* One thread's; all zeros at the beginning. */
struct pw_code_view {
	unsigned version;
	struct pw_verdict *verdict; /* a reference */
};

void pw_code_init(struct pw_code *code);
void pw_code_fini(struct pw_code *code);
/* The verdict as of that epoch or a later one, valid until the view's next use; NULL: it is not
 * known. */
const struct pw_verdict *pw_code_look(struct pw_code *code, struct pw_code_view *view,
				      unsigned code_epoch);
void pw_code_view_fini(struct pw_code_view *view);

/* By that age alone: is it time to ask anew what was given then, as of that epoch? */
bool pw_code_is_due(unsigned epoch, uint64_t given_us, unsigned code_epoch, uint64_t now_us,
		    bool is_waited_for);
/* Is it time to ask, and the caller the one to do it? Then pw_code_end() must follow: with a
 * finished verdict, whose reference it takes over, or NULL where there was no answer. */
bool pw_code_begin(struct pw_code *code, unsigned code_epoch, uint64_t now_us, bool is_waited_for);
/* The same whenever nobody else does it: what nobody knows is in somebody's way. */
bool pw_code_begin_now(struct pw_code *code, uint64_t now_us);
void pw_code_end(struct pw_code *code, struct pw_verdict *verdict, uint64_t now_us);

/* The server could not say, for the reason that it gives: until it is asked again functions count
 * as doubtful, and none as worse. Logged where it is news. */
void pw_code_failed(const struct pw_logctx *log, struct pw_code *code, const char *error,
		    uint64_t now_us);
/* Has it failed so lately that nobody is to ask? */
bool pw_code_is_failing(const struct pw_code *code, uint64_t now_us);

/* A query of one column, of which the first letter says what follows: t a use (r read, w write, c
 * command) and letters of what it may leave (d doubtful, o opaque), or nothing, in one row at
 * least; q letters of sequences (r to read tables may draw values or ask for them, a there is code
 * that asks); s a setting with a dot; d or o a function that is that, m one that changes code. A
 * statement without rows comes before it. */
void pw_code_add_question(struct pw_strbuf *sql, unsigned server_version);
/* The use of such a letter; -1: there is none. */
int pw_code_use_of(char letter);
/* A SELECT of three columns: 'c', such a use, NULL; 'f', an opaque function, NULL; 's', name,
 * value: settings of which the code speaks. A statement without rows comes before it, too, which
 * changes settings for what follows: not ahead of a question about these. */
void pw_code_add_settings(struct pw_strbuf *sql, unsigned server_version);

/* A statement without rows. Until the transaction ends the server then compiles nothing, waits for
 * no lock and thinks for PW_CODE_TIMEOUT_US at most. */
void pw_code_add_peace(struct pw_strbuf *sql);

/* To one of the code's lists of names. */
void pw_code_add_name(struct pw_code *code, struct pw_code_names *names, const char *name);
/* A copy of all of them is added. */
void pw_code_copy_names(struct pw_code *code, const struct pw_code_names *names,
			struct pw_strbuf *out);

#endif

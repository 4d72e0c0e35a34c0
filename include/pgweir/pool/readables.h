/* SPDX-License-Identifier: PostgreSQL
 *
 * What a standby may read of a database, as it was last told (pool/readable.h). A primary is asked
 * for it by a link that nobody has (pool/link_code.c), where the database's statements go to where
 * they can run: the first one, again after each change of the database that was seen, and from time
 * to time. After such a change nothing is known until the answer has come.
 *
 * One for each database of the process; any thread. Each worker looks at it through views of its
 * own, which take the lock only where there is something new.
 */
#ifndef PGWEIR_POOL_READABLES_H
#define PGWEIR_POOL_READABLES_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "pgweir/base/log.h"
#include "pgweir/pool/readable.h"

struct pw_readables {
	atomic_uint version; /* raised with each answer; 0 = there is none yet */
	atomic_uint epoch;   /* the answer's; 0 = never */
	_Atomic uint64_t given_us;
	_Atomic uint64_t took_us;
	_Atomic uint64_t failed_us; /* the last question, when it was asked; 0 = it did not */
	atomic_bool is_asked;       /* by one link at a time */
	pthread_mutex_t lock;       /* rank 4; guards what follows */
	struct pw_readable *latest; /* a reference */
};

/* One thread's; all zeros at the beginning. */
struct pw_readable_view {
	unsigned version;
	struct pw_readable *readable; /* a reference */
};

void pw_readables_init(struct pw_readables *readables);
void pw_readables_fini(struct pw_readables *readables);
/* As of that epoch of the database's code or a later one, valid until the view's next use; NULL: it
 * is not known, and everything is in doubt. */
const struct pw_readable *pw_readable_look(struct pw_readables *readables,
					   struct pw_readable_view *view, unsigned code_epoch);
void pw_readable_view_fini(struct pw_readable_view *view);

/* Is it time to ask, and the caller the one to do it? Then pw_readables_end() must follow: with
 * what is finished, whose reference it takes over, or NULL where there was no answer. */
bool pw_readables_begin(struct pw_readables *readables, unsigned code_epoch, uint64_t now_us,
			bool is_waited_for);
void pw_readables_end(struct pw_readables *readables, struct pw_readable *readable,
		      uint64_t now_us);
/* The server could not say, for the reason that it gives: for a while nobody asks. */
void pw_readables_failed(const struct pw_logctx *log, struct pw_readables *readables,
			 const char *error, uint64_t now_us);

#endif

/* SPDX-License-Identifier: PostgreSQL
 *
 * Which statements servers have parsed, for whom, and as of which change of the database: a Parse
 * of one of them would be answered by any server with ParseComplete. What is forgotten is asked of
 * a server.
 *
 * One for each database of the process; any thread.
 */
#ifndef PGWEIR_POOL_PARSED_H
#define PGWEIR_POOL_PARSED_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pgweir/base/hash.h"

enum { PW_PARSED_MAX = 16 * 1024 }; /* 24 bytes each */

struct pw_parsed {
	pthread_mutex_t lock; /* rank 3; guards what follows */
	struct pw_parsed_entry *entries;
	size_t size, n; /* size: a power of two, 0 before the first */
};

void pw_parsed_init(struct pw_parsed *parsed);
void pw_parsed_fini(struct pw_parsed *parsed);
/* `pool` tells users apart: they need not see the same tables. `epoch`: of the database when the
 * server was asked. */
void pw_parsed_note(struct pw_parsed *parsed, uint64_t pool, struct pw_id statement,
		    unsigned epoch);
bool pw_parsed_is_current(struct pw_parsed *parsed, uint64_t pool, struct pw_id statement,
			  unsigned epoch);

#endif

/* SPDX-License-Identifier: PostgreSQL
 *
 * A table of parameter sets, with two names more than those that are always tracked: the state of
 * tests of pool/params.h and of what is built on it. To be included once in a program.
 */
#ifndef PGWEIR_TEST_PARAMS_FIXTURE_H
#define PGWEIR_TEST_PARAMS_FIXTURE_H

#include <stddef.h>
#include <stdlib.h>

#include "pgweir/pool/params.h"

enum { DATESTYLE = 0, ENCODING = 1, TIMEZONE = 2, NAME = 4, SEARCH_PATH = 5, N = 7 };

struct fixture {
	struct pw_tracked tracked;
	struct pw_params_table table;
};

static inline int setup(void **state)
{
	static const struct pw_hash_key key = {11, 22};
	struct fixture *f = calloc(1, sizeof(*f));

	if (!f || pw_tracked_init(&f->tracked, "search_path, IntervalStyle") != PW_OK)
		return -1;
	pw_params_table_init(&f->table, &f->tracked, &key);
	*state = f;
	return 0;
}

/* Every set must have left with its last reference. */
static inline int teardown(void **state)
{
	struct fixture *f = *state;
	size_t left = f->table.map.count;

	pw_params_table_fini(&f->table);
	pw_tracked_fini(&f->tracked);
	free(f);
	return left == 0 ? 0 : -1;
}

#endif

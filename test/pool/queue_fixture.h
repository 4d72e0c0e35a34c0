/* SPDX-License-Identifier: PostgreSQL
 *
 * One worker's pool with some borrowers, and the servers that it has connected to. To be included
 * once in a program.
 */
#ifndef PGWEIR_TEST_POOL_QUEUE_FIXTURE_H
#define PGWEIR_TEST_POOL_QUEUE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../lib/fake_pool.h"

enum { BORROWERS = 8, SERVERS = 8 };

struct fixture {
	struct fake_env env;
	struct pw_pool *pool;
	struct fake_borrower b[BORROWERS];
	struct fake_server s[SERVERS];
	unsigned n_servers;
};

static inline struct fixture *begin(const char *settings, const char *db)
{
	struct fixture *f = calloc(1, sizeof(*f));

	fake_env_init(&f->env, settings, db, 1);
	f->pool = fake_pool_of(&f->env, 0, "bob");
	for (int i = 0; i < BORROWERS; i++)
		fake_borrower_init(&f->b[i], f->pool);
	return f;
}

static inline void end(struct fixture *f)
{
	for (int i = 0; i < BORROWERS; i++)
		fake_borrower_fini(&f->b[i]);
	for (unsigned i = 0; i < f->n_servers; i++)
		fake_server_close(&f->s[i]);
	fake_env_fini(&f->env);
	free(f);
}

/* Answers every login that the pool asks for now; returns how many. */
static inline unsigned log_all_in(struct fixture *f)
{
	unsigned n = 0;

	for (fake_turn(&f->env); f->pool->n_opening > 0; n++)
		fake_accept_login(&f->env, &f->s[f->n_servers++]);
	return n;
}

/* The first n borrowers ask, and who is opened for them is let in; returns how many that were. */
static inline unsigned lend_to(struct fixture *f, int n)
{
	for (int i = 0; i < n; i++)
		assert_false(fake_borrow(&f->b[i]));
	return log_all_in(f);
}

static inline void give_back(struct fixture *f, struct fake_borrower *b)
{
	pw_pool_return(&b->loan, false, false);
	fake_turn(&f->env);
}

static inline int used(struct fixture *f)
{
	return pw_limit_used(&f->pool->shared->links);
}

#endif

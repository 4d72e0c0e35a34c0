/* SPDX-License-Identifier: PostgreSQL
 *
 * The pools of several workers, each with some borrowers, and the servers that they have connected
 * to. To be included once in a program.
 */
#ifndef PGWEIR_TEST_POOL_WORKERS_FIXTURE_H
#define PGWEIR_TEST_POOL_WORKERS_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../lib/fake_pool.h"

enum { BORROWERS = 4, SERVERS = 8 };

struct fixture {
	struct fake_env env;
	struct fake_borrower b[FAKE_WORKERS_MAX][BORROWERS];
	struct fake_server s[SERVERS];
	unsigned n_servers;
};

static inline struct pw_pool *pool_of(struct fixture *f, unsigned worker)
{
	return fake_pool_of(&f->env, worker, "bob");
}

static inline struct fixture *begin(const char *settings, const char *db, unsigned n_workers)
{
	struct fixture *f = calloc(1, sizeof(*f));

	fake_env_init(&f->env, settings, db, n_workers);
	for (unsigned w = 0; w < n_workers; w++) {
		for (int i = 0; i < BORROWERS; i++)
			fake_borrower_init(&f->b[w][i], pool_of(f, w));
	}
	return f;
}

static inline void end(struct fixture *f)
{
	for (unsigned w = 0; w < f->env.n_workers; w++) {
		for (int i = 0; i < BORROWERS; i++)
			fake_borrower_fini(&f->b[w][i]);
	}
	for (unsigned i = 0; i < f->n_servers; i++)
		fake_server_close(&f->s[i]);
	fake_env_fini(&f->env);
	free(f);
}

static inline unsigned log_all_in(struct fixture *f)
{
	unsigned n = 0;

	while (fake_accept(&f->env, &f->s[f->n_servers])) {
		struct fake_server *s = &f->s[f->n_servers++];

		assert_false(fake_is_closed(s));
		pw_strbuf_reset(&s->in); /* its StartupMessage */
		fake_answer(s, "P S=client_encoding:UTF8 S=TimeZone:UTC K Z=I");
		n++;
	}
	return n;
}

static inline struct pw_shared_pool *shared_of(struct fixture *f)
{
	return f->b[0][0].loan.pool->shared;
}

static inline int idle_at(struct fixture *f, unsigned worker)
{
	return atomic_load(&shared_of(f)->seats[worker].idle);
}

static inline void give_back(struct fixture *f, struct fake_borrower *b)
{
	pw_pool_return(&b->loan, false, false);
	fake_turn(&f->env);
}

/* Worker 0's first borrower has the pool's only link. */
static inline struct fixture *begin_with_one_link(unsigned n_workers)
{
	struct fixture *f = begin("default_pool_size = 1", "", n_workers);

	assert_false(fake_borrow(&f->b[0][0]));
	assert_int_equal(log_all_in(f), 1);
	fake_assert_heard(&f->b[0][0], "link");
	return f;
}

#endif

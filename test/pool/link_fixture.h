/* SPDX-License-Identifier: PostgreSQL
 *
 * A borrower that holds a link, and the test as its server: for tests of the account of answers,
 * each of which runs with answers that arrive whole, byte by byte and in random cuts. To be
 * included once in a program.
 */
#ifndef PGWEIR_TEST_POOL_LINK_FIXTURE_H
#define PGWEIR_TEST_POOL_LINK_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../lib/fake_pool.h"

struct fixture {
	struct fake_env env;
	struct fake_server server;
	struct fake_borrower b;
};

static const size_t whole = 0, one_byte = 1, random_cuts = FAKE_RANDOM_CUTS; /* initial states */

/* A borrower with a link; *state holds the size of the cuts. */
static inline int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	const size_t *cut = *state;

	fake_env_init(&f->env, "default_pool_size = 1", "", 1);
	fake_borrower_init(&f->b, fake_pool_of(&f->env, 0, "bob"));
	assert_false(fake_borrow(&f->b));
	fake_accept_login(&f->env, &f->server);
	fake_assert_heard(&f->b, "link");
	f->env.cut = *cut;
	*state = f;
	return 0;
}

static inline int teardown(void **state)
{
	struct fixture *f = *state;

	fake_borrower_fini(&f->b);
	fake_server_close(&f->server);
	fake_env_fini(&f->env);
	free(f);
	return 0;
}

static inline struct pw_link *link_of(struct fixture *f)
{
	return f->b.loan.link;
}

static inline bool knows(struct fixture *f, uint64_t statement)
{
	return pw_known_use(&link_of(f)->facts.known, fake_statement(statement));
}

static inline void answer(struct fixture *f, const char *words, const char *heard)
{
	fake_answer(&f->server, words);
	fake_assert_heard(&f->b, heard);
}

static inline void assert_free(struct fixture *f)
{
	assert_non_null(link_of(f));
	assert_int_equal(link_of(f)->expects.n, 0);
	assert_true(pw_link_is_free(link_of(f)));
}

#define WHOLE(f)                                                                                   \
	{                                                                                          \
#f, f, setup, teardown, (void *)(uintptr_t)&whole                                  \
	}

#define IN_ANY_CUTS(f)                                                                             \
	{#f " whole", f, setup, teardown, (void *)(uintptr_t)&whole},                              \
	    {#f " byte by byte", f, setup, teardown, (void *)(uintptr_t)&one_byte},                \
	{                                                                                          \
#f " in random cuts", f, setup, teardown, (void *)(uintptr_t)&random_cuts          \
	}

#endif

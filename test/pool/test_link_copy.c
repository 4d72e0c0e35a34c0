/* SPDX-License-Identifier: PostgreSQL
 *
 * COPY in the account of answers: Syncs that it eats, or may have eaten when it failed, and the
 * marker by which a link finds out where it stands.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "link_fixture.h"

static void test_copy_in_by_simple_query(void **state)
{
	struct fixture *f = *state;

	fake_expect_all(&f->b, "Q");
	answer(f, "G", "G");
	assert_true(link_of(f)->is_copy_in);
	fake_expect_all(&f->b, "c");
	answer(f, "C=COPY+3 Z=I", "C Z ready");
	assert_free(f);
	assert_false(link_of(f)->is_copy_in);
	/* It fails; CopyDone was on its way. */
	fake_expect_all(&f->b, "Q");
	answer(f, "G", "G");
	fake_expect_all(&f->b, "c");
	answer(f, "E=22P04 Z=I", "E Z ready");
	assert_free(f);
}

static void test_copy_out(void **state)
{
	struct fixture *f = *state;

	fake_expect_all(&f->b, "Q");
	answer(f, "H d=1 d=2 c C=COPY+2 Z=I", "H d d c C Z ready");
	assert_free(f);
	fake_expect_all(&f->b, "PBES");
	answer(f, "1 2 H d=1 c C=COPY+1 Z=I", "1 2 H d c C Z ready");
	assert_free(f);
}

static void test_copy_in_by_execute(void **state)
{
	struct fixture *f = *state;

	fake_expect_all(&f->b, "PBE");
	answer(f, "1 2 G", "1 2 G");
	fake_expect_all(&f->b, "cS");
	answer(f, "C=COPY+1 Z=I", "C Z ready");
	assert_free(f);
}

/* A Sync sent behind the Execute is eaten by the COPY: one ReadyForQuery only. */
static void test_copy_in_eats_early_sync(void **state)
{
	struct fixture *f = *state;

	fake_expect_all(&f->b, "PBES");
	answer(f, "1 2 G", "1 2 G");
	fake_expect_all(&f->b, "cS");
	answer(f, "C=COPY+1 Z=I", "C Z ready");
	assert_free(f);
	fake_must_be_silent(&f->server);
}

/* It fails after it has read the early Sync, which is gone; the marker shows that nothing comes. */
static void test_failed_copy_has_eaten_sync(void **state)
{
	struct fixture *f = *state;

	fake_expect_all(&f->b, "PBES");
	answer(f, "1 2 G", "1 2 G");
	fake_expect_all(&f->b, "cS");
	answer(f, "E=22P04", "E");
	fake_must_be_silent(&f->server);
	answer(f, "Z=I", "Z ready");
	assert_false(pw_link_is_free(link_of(f)));
	fake_must_receive_query(&f->server, "");
	answer(f, "I Z=I", "ready-own");
	assert_free(f);
	fake_must_be_silent(&f->server);
}

/* It fails before it has read the early Sync: both are answered, the second before the marker. */
static void test_failed_copy_has_not_eaten_sync(void **state)
{
	struct fixture *f = *state;

	fake_expect_all(&f->b, "PBES");
	answer(f, "1 2 G", "1 2 G");
	fake_expect_all(&f->b, "cS");
	answer(f, "E=22P04 Z=I", "E Z ready");
	fake_must_receive_query(&f->server, "");
	answer(f, "Z=I", "Z");
	assert_false(pw_link_is_free(link_of(f)));
	answer(f, "I Z=I", "ready-own");
	assert_free(f);
}

/* Both answers had arrived before the marker went out. */
static void test_both_syncs_answered_at_once(void **state)
{
	struct fixture *f = *state;

	fake_expect_all(&f->b, "PBES");
	answer(f, "1 2 G", "1 2 G");
	fake_expect_all(&f->b, "cS");
	answer(f, "E=22P04 Z=I Z=I", "E Z ready Z");
	fake_must_receive_query(&f->server, "");
	answer(f, "I Z=I", "ready-own");
	assert_free(f);
}

/* The next request, sent behind the marker, is answered to the borrower as always. */
static void test_request_behind_the_marker(void **state)
{
	struct fixture *f = *state;

	fake_expect_all(&f->b, "PBES");
	answer(f, "1 2 G", "1 2 G");
	fake_expect_all(&f->b, "cS");
	answer(f, "E=22P04 Z=I", "E Z ready");
	fake_expect_all(&f->b, "Q");
	answer(f, "Z=I I Z=I T D C=SELECT+1 Z=I", "Z ready-own T D C Z ready");
	assert_free(f);
}

/* The next request was sent before the failure was known: it is answered to the borrower, too, and
 * only then can a marker find out. */
static void test_request_behind_a_failed_copy(void **state)
{
	struct fixture *f = *state;

	fake_expect_all(&f->b, "PBES");
	answer(f, "1 2 G", "1 2 G");
	fake_expect_all(&f->b, "cSQ");
	answer(f, "E=22P04 Z=I", "E Z ready");
	answer(f, "Z=I T D C=SELECT+1", "Z T D C");
	assert_false(pw_link_is_free(link_of(f)));
	answer(f, "Z=I I Z=I", "Z ready ready-own");
	assert_free(f);
}

/* The same with a batch: the second ReadyForQuery comes before any answer to it, and undoes nothing
 * of it. An empty query of the borrower's is not taken for the marker. */
static void test_batch_behind_a_failed_copy(void **state)
{
	struct fixture *f = *state;

	fake_expect_all(&f->b, "PBES");
	answer(f, "1 2 G", "1 2 G");
	fake_expect_all(&f->b, "cS");
	(void)fake_expect(&f->b, PW_ROLE_PARSE, 0, 7);
	fake_expect_all(&f->b, "BES");
	answer(f, "E=22P04 Z=I Z=I", "E Z ready Z");
	assert_true(knows(f, 7));
	answer(f, "1 2 I", "1 done:1 2 I");
	fake_must_be_silent(&f->server);
	answer(f, "Z=I", "Z ready");
	fake_must_receive_query(&f->server, "");
	answer(f, "I Z=I", "ready-own");
	assert_true(knows(f, 7));
	assert_free(f);
}

/* COPY by a simple query, and a Sync among its data, which nobody needs: eaten or not. */
static void test_failed_simple_copy_with_sync(void **state)
{
	struct fixture *f = *state;

	for (int is_eaten = 0; is_eaten < 2; is_eaten++) {
		fake_expect_all(&f->b, "Q");
		answer(f, "G", "G");
		fake_expect_all(&f->b, "Sc");
		answer(f, "E=22P04 Z=I", "E Z ready");
		fake_must_receive_query(&f->server, "");
		if (!is_eaten)
			answer(f, "Z=I", "Z");
		answer(f, "I Z=I", "ready-own");
		assert_free(f);
	}
}

/* Whatever was made of it, nobody else gets that link. */
static void test_link_that_was_unsure_is_closed(void **state)
{
	struct fixture *f = *state;

	fake_expect_all(&f->b, "PBES");
	answer(f, "1 2 G", "1 2 G");
	assert_false(link_of(f)->facts.must_close);
	fake_expect_all(&f->b, "cS");
	answer(f, "E=22P04 Z=I I Z=I", "E Z ready ready-own");
	assert_true(link_of(f)->facts.must_close);
}

/* An error of the Parse, before any COPY: the Sync is an ordinary one. */
static void test_failure_before_copy(void **state)
{
	struct fixture *f = *state;

	fake_expect_all(&f->b, "PBES");
	answer(f, "E=42601 Z=I", "E Z ready");
	assert_free(f);
	fake_must_be_silent(&f->server);
}

static void test_copy_both(void **state)
{
	struct fixture *f = *state;

	fake_expect_all(&f->b, "Q");
	answer(f, "W d=wal", "W d");
	assert_false(pw_link_is_free(link_of(f)));
	fake_expect_all(&f->b, "c");
	answer(f, "c C=START+STREAMING Z=I", "c C Z ready");
	assert_free(f);
}

/* So many Syncs that a walk for each would keep everybody else waiting for a minute. */
enum { MANY = 300 * 1000, SECONDS = 5 };

static void expect_copy_with_many_syncs(struct fixture *f)
{
	char *letters = malloc(MANY + 3);

	assert_non_null(letters);
	fake_expect_all(&f->b, "PBE");
	answer(f, "1 2 G", "1 2 G");
	memset(letters, 'S', MANY);
	memcpy(letters + MANY, "cS", 3);
	fake_expect_all(&f->b, letters);
	free(letters);
}

static void test_copy_in_eats_many_syncs(void **state)
{
	struct fixture *f = *state;
	clock_t begin;

	expect_copy_with_many_syncs(f);
	begin = clock();
	answer(f, "C=COPY+1 Z=I", "C Z ready");
	assert_true(clock() - begin < (clock_t)SECONDS * CLOCKS_PER_SEC);
	assert_free(f);
}

static void test_failed_copy_may_have_eaten_many_syncs(void **state)
{
	struct fixture *f = *state;
	clock_t begin;

	expect_copy_with_many_syncs(f);
	begin = clock();
	answer(f, "E=22P04 Z=I", "E Z ready");
	assert_true(clock() - begin < (clock_t)SECONDS * CLOCKS_PER_SEC);
	fake_must_receive_query(&f->server, "");
	answer(f, "I Z=I", "ready-own");
	assert_free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    IN_ANY_CUTS(test_copy_in_by_simple_query),
	    IN_ANY_CUTS(test_copy_out),
	    IN_ANY_CUTS(test_copy_in_by_execute),
	    IN_ANY_CUTS(test_copy_in_eats_early_sync),
	    IN_ANY_CUTS(test_failed_copy_has_eaten_sync),
	    IN_ANY_CUTS(test_failed_copy_has_not_eaten_sync),
	    IN_ANY_CUTS(test_both_syncs_answered_at_once),
	    IN_ANY_CUTS(test_request_behind_the_marker),
	    IN_ANY_CUTS(test_request_behind_a_failed_copy),
	    IN_ANY_CUTS(test_batch_behind_a_failed_copy),
	    IN_ANY_CUTS(test_failed_simple_copy_with_sync),
	    IN_ANY_CUTS(test_link_that_was_unsure_is_closed),
	    IN_ANY_CUTS(test_failure_before_copy),
	    IN_ANY_CUTS(test_copy_both),
	    WHOLE(test_copy_in_eats_many_syncs),
	    WHOLE(test_failed_copy_may_have_eaten_many_syncs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: PostgreSQL
 *
 * A link that nobody has asks what a standby may read: who asks, when, and who can see the answer.
 */
#include "config.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../lib/fake_pool.h"
#include "pgweir/pool/code.h"
#include "pgweir/proto/writer.h"

enum { SECOND = 1000 * 1000, NODES = 2 };

struct fixture {
	struct fake_env env;
	struct fake_server server;
	struct fake_borrower b;
	struct pw_clusters clusters;
	struct pw_cluster *cluster;
	struct pw_node_place places[NODES];
	struct pw_health health;
	struct pw_pool *pool;
};

static struct pw_shared_db *db_of(struct fixture *f)
{
	return f->pool->shared->db;
}

/* The first node is the primary. The only one that takes clients is that, or the other one. */
static void put_on_cluster(struct fixture *f, bool is_primary)
{
	static const char *const names[NODES] = {"a:5432", "b:5432"};

	pw_clusters_init(&f->clusters);
	f->cluster = pw_clusters_get(&f->clusters, "shop");
	pw_health_init(&f->health, NODES, 1);
	for (int i = 0; i < NODES; i++)
		f->places[i] =
		    (struct pw_node_place){names[i], f->env.dir, FAKE_PORT, .weight = 1,
					   .slot = pw_cluster_slot(f->cluster, names[i])};
	f->health.primary = 0;
	f->health.nodes[0].state = PW_NODE_PRIMARY;
	f->health.nodes[1].state = is_primary ? PW_NODE_DOWN : PW_NODE_READY;
	assert_int_equal(pw_cluster_publish(f->cluster, &f->health, f->places, 1), PW_OK);
	f->pool->cluster = f->cluster;
}

static struct fixture *begin(enum pw_routing routing, bool is_primary)
{
	struct fixture *f = calloc(1, sizeof(*f));

	fake_env_init(&f->env, "session_state = track", "", 1);
	f->pool = fake_pool_of(&f->env, 0, "bob");
	put_on_cluster(f, is_primary);
	f->pool->is_split = routing == PW_ROUTING_SPLIT;
	f->pool->routing = is_primary ? PW_ROUTING_PRIMARY : PW_ROUTING_REPLICA;
	fake_borrower_init(&f->b, f->pool);
	assert_false(fake_borrow(&f->b));
	fake_accept_login(&f->env, &f->server);
	return f;
}

static void end(struct fixture *f)
{
	fake_borrower_fini(&f->b);
	fake_server_close(&f->server);
	fake_env_fini(&f->env);
	pw_clusters_fini(&f->clusters);
	free(f);
}

static void add_row(struct pw_strbuf *out, const char *text)
{
	size_t begin = pw_writer_begin(out, 'D');

	pw_strbuf_add_u16(out, 1);
	pw_strbuf_add_u32(out, (uint32_t)strlen(text));
	pw_strbuf_add(out, text, strlen(text));
	pw_writer_end(out, begin);
}

/* Rows, one a word. */
static void answer(struct fixture *f, const char *rows)
{
	struct pw_strbuf out = PW_STRBUF_INIT;
	char all[200], *rest = all;

	snprintf(all, sizeof(all), "%s", rows);
	for (char *row = strtok_r(all, " ", &rest); row; row = strtok_r(NULL, " ", &rest))
		add_row(&out, row);
	fake_answer(&f->server, "C=SET C=SELECT+0");
	fake_send(&f->server, out.data, out.len);
	fake_answer(&f->server, "C=SELECT+1 Z=I");
	pw_strbuf_fini(&out);
}

static void must_receive(struct fixture *f, void (*add)(struct pw_strbuf *, unsigned))
{
	struct pw_strbuf question = PW_STRBUF_INIT;

	add(&question, 15);
	fake_must_receive_query(&f->server, question.data);
	pw_strbuf_fini(&question);
}

/* The question about the code comes first, and is answered. */
static void go_on_to_question(struct fixture *f)
{
	must_receive(f, pw_code_add_question);
	answer(f, "t");
	must_receive(f, pw_readable_add_question);
}

static bool is_known(struct pw_readables *readables, unsigned epoch)
{
	struct pw_readable_view view = {0, NULL};
	bool result = pw_readable_look(readables, &view, epoch) != NULL;

	pw_readable_view_fini(&view);
	return result;
}

static void test_link_to_primary_asks(void **state PW_UNUSED)
{
	struct fixture *f = begin(PW_ROUTING_SPLIT, true);
	struct pw_readable_view view = {0, NULL};
	const struct pw_readable *readable;

	go_on_to_question(f);
	assert_true(atomic_load(&db_of(f)->readables.is_asked));
	assert_false(is_known(&db_of(f)->readables, 1));
	fake_assert_heard(&f->b, "");
	answer(f, "g0,255,vol k3 ffine rv");
	fake_assert_heard(&f->b, "link");
	fake_must_be_silent(&f->server);
	readable = pw_readable_look(&db_of(f)->readables, &view, 1);
	assert_non_null(readable);
	assert_int_equal(readable->n, 3);
	assert_false(readable->is_all_in_doubt);
	/* After a change that was seen nothing is known. */
	assert_null(pw_readable_look(&db_of(f)->readables, &view, 2));
	/* What was looked at outlives the database. */
	assert_ptr_equal(pw_readable_look(&db_of(f)->readables, &view, 1), readable);
	end(f);
	assert_int_equal(readable->n, 3);
	pw_readable_view_fini(&view);
}

static void test_links_that_do_not_ask(void **state PW_UNUSED)
{
	static const struct {
		enum pw_routing routing;
		bool is_primary;
	} links[] = {
	    {PW_ROUTING_SPLIT, false}, {PW_ROUTING_PRIMARY, true}, {PW_ROUTING_REPLICA, false}};

	for (size_t i = 0; i < PW_COUNTOF(links); i++) {
		struct fixture *f = begin(links[i].routing, links[i].is_primary);

		must_receive(f, pw_code_add_question);
		answer(f, "t");
		fake_assert_heard(&f->b, "link");
		fake_must_be_silent(&f->server);
		assert_false(atomic_load(&db_of(f)->readables.is_asked));
		end(f);
	}
}

/* The link serves all the same, and what is known of the code stays. */
static void test_no_answer(void **state PW_UNUSED)
{
	static const char *const answers[] = {"E=42501 Z=I", "D C=SELECT+1 Z=I", "C=SELECT+0 Z=I"};

	for (size_t i = 0; i < PW_COUNTOF(answers); i++) {
		struct fixture *f = begin(PW_ROUTING_SPLIT, true);
		struct pw_readables *readables = &db_of(f)->readables;
		struct pw_code_view view = {0, NULL};

		go_on_to_question(f);
		fake_answer(&f->server, answers[i]);
		fake_assert_heard(&f->b, "link");
		assert_false(is_known(readables, 1));
		assert_false(atomic_load(&readables->is_asked));
		assert_false(
		    pw_readables_begin(readables, 2, f->env.clock.now_us + 59 * SECOND, false));
		assert_true(
		    pw_readables_begin(readables, 2, f->env.clock.now_us + 61 * SECOND, false));
		assert_non_null(pw_code_look(&db_of(f)->code, &view, 1));
		pw_code_view_fini(&view);
		end(f);
	}
}

static void test_part_of_an_answer(void **state PW_UNUSED)
{
	struct fixture *f = begin(PW_ROUTING_SPLIT, true);

	go_on_to_question(f);
	answer(f, "k3 ffine rv");
	fake_assert_heard(&f->b, "link");
	assert_false(is_known(&db_of(f)->readables, 1));
	end(f);
}

/* Nobody would remember all that. */
static void test_long_answer(void **state PW_UNUSED)
{
	struct fixture *f = begin(PW_ROUTING_SPLIT, true);
	struct pw_readable_view view = {0, NULL};
	static char name[60 * 1000];
	const struct pw_readable *readable;

	memset(name, 'f', sizeof(name) - 1);
	go_on_to_question(f);
	for (int i = 0; i < 20; i++) {
		struct pw_strbuf out = PW_STRBUF_INIT;

		add_row(&out, name);
		fake_send(&f->server, out.data, out.len);
		pw_strbuf_fini(&out);
	}
	answer(f, "k20");
	fake_assert_heard(&f->b, "link");
	readable = pw_readable_look(&db_of(f)->readables, &view, 1);
	assert_non_null(readable);
	assert_true(readable->is_all_in_doubt);
	pw_readable_view_fini(&view);
	end(f);
}

static void test_link_is_lost_while_it_asks(void **state PW_UNUSED)
{
	struct fixture *f = begin(PW_ROUTING_SPLIT, true);

	go_on_to_question(f);
	fake_server_close(&f->server);
	fake_turn(&f->env);
	assert_false(atomic_load(&db_of(f)->readables.is_asked));
	assert_false(atomic_load(&db_of(f)->code.is_asked));
	assert_int_equal(f->pool->n_learning, 0);
	end(f);
}

/* The client's own change is followed by both questions, once the link is given back. */
static void test_change(void **state PW_UNUSED)
{
	struct fixture *f = begin(PW_ROUTING_SPLIT, true);

	go_on_to_question(f);
	answer(f, "k0");
	fake_assert_heard(&f->b, "link");
	atomic_fetch_add(&db_of(f)->code_epoch, 1);
	fake_pass(&f->env, 2 * SECOND);
	pw_pool_return(&f->b.loan, true, true);
	go_on_to_question(f);
	assert_false(is_known(&db_of(f)->readables, 2));
	answer(f, "k1 g0,255,vol");
	assert_true(is_known(&db_of(f)->readables, 2));
	fake_must_be_silent(&f->server);
	end(f);
}

/* ---- without a link ---- */

static struct pw_readable *readable_of(unsigned epoch, const char *row)
{
	struct pw_readable *readable = pw_readable_create(epoch);

	assert_non_null(readable);
	pw_readable_take_row(readable, "k1", 2);
	pw_readable_take_row(readable, row, strlen(row));
	assert_true(pw_readable_finish(readable));
	return readable;
}

static void test_when(void **state PW_UNUSED)
{
	struct pw_readables readables;
	uint64_t now = 1000 * (uint64_t)SECOND;

	pw_readables_init(&readables);
	assert_true(pw_readables_begin(&readables, 1, now, true));
	assert_false(pw_readables_begin(&readables, 1, now, true)); /* somebody does already */
	pw_readables_end(&readables, readable_of(1, "ff"), now);
	assert_true(is_known(&readables, 1));
	assert_false(pw_readables_begin(&readables, 1, now + PW_CODE_AGE_US, false));
	assert_false(pw_readables_begin(&readables, 1, now + PW_CODE_AGE_US + 1, true));
	assert_true(pw_readables_begin(&readables, 1, now + PW_CODE_AGE_US + 1, false));
	pw_readables_end(&readables, NULL, now);
	assert_true(is_known(&readables, 1));
	assert_false(is_known(&readables, 2));
	assert_false(pw_readables_begin(&readables, 2, now + PW_CODE_PAUSE_US, true));
	assert_true(pw_readables_begin(&readables, 2, now + PW_CODE_PAUSE_US + 1, true));
	pw_readables_end(&readables, readable_of(3, "ff"), now);
	/* A later one will do. */
	assert_true(is_known(&readables, 2));
	pw_readables_fini(&readables);
}

static void *look_again_and_again(void *arg)
{
	struct pw_readables *readables = arg;
	struct pw_readable_view view = {0, NULL};
	const struct pw_readable *readable;

	do {
		readable = pw_readable_look(readables, &view, 1);
		assert_true(!readable || readable->n == 1);
	} while (!readable || readable->epoch == 1);
	pw_readable_view_fini(&view);
	return NULL;
}

static void test_workers(void **state PW_UNUSED)
{
	struct pw_readables readables;
	pthread_t threads[3];

	pw_readables_init(&readables);
	for (size_t i = 0; i < PW_COUNTOF(threads); i++)
		assert_int_equal(
		    pthread_create(&threads[i], NULL, look_again_and_again, &readables), 0);
	for (int i = 0; i < 2000; i++)
		pw_readables_end(&readables, readable_of(1, "ff"), 1);
	pw_readables_end(&readables, readable_of(2, "ff"), 1);
	for (size_t i = 0; i < PW_COUNTOF(threads); i++)
		pthread_join(threads[i], NULL);
	pw_readables_fini(&readables);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_link_to_primary_asks),
	    cmocka_unit_test(test_links_that_do_not_ask),
	    cmocka_unit_test(test_no_answer),
	    cmocka_unit_test(test_part_of_an_answer),
	    cmocka_unit_test(test_long_answer),
	    cmocka_unit_test(test_link_is_lost_while_it_asks),
	    cmocka_unit_test(test_change),
	    cmocka_unit_test(test_when),
	    cmocka_unit_test(test_workers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

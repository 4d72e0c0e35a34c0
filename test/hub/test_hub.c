/* SPDX-License-Identifier: PostgreSQL
 *
 * The hub and its stations without clients: two workers, subscribers that write down what they are
 * given, and a server that says what the test tells it to. What crosses between the workers is in
 * the order of real mail.
 */
#include "config.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "../lib/fake_pool.h"
#include "pgweir/hub/hub.h"
#include "pgweir/proto/writer.h"

enum { WORKERS = 2, SECOND_US = 1000 * 1000 };

struct hearer {
	struct pw_subscriber subscriber;
	struct pw_strbuf heard; /* payloads, each with a blank behind it */
	unsigned n_changes;
};

struct fixture {
	struct fake_env env;
	struct pw_hubs hubs[WORKERS];
	struct pw_hubs *peers[WORKERS];
	struct fake_borrower b;
	struct fake_server server;
	struct hearer hearers[3]; /* the last is another worker's */
};

static void on_message(struct pw_subscriber *s, const uint8_t *data, size_t len)
{
	struct hearer *h = PW_CONTAINER(s, struct hearer, subscriber);
	struct pw_notification n;

	assert_true(pw_notification_read(data, len, &n));
	pw_strbuf_printf(&h->heard, "%s ", n.payload);
}

static void on_change(struct pw_subscriber *s)
{
	PW_CONTAINER(s, struct hearer, subscriber)->n_changes++;
}

static const struct pw_subscriber_ops ops = {on_message, on_change};

static void begin(struct fixture *f, const char *settings)
{
	memset(f, 0, sizeof(*f));
	fake_env_init(&f->env, settings, "", WORKERS);
	for (unsigned i = 0; i < WORKERS; i++) {
		f->peers[i] = &f->hubs[i];
		f->hubs[i].pools = &f->env.workers[i].pools;
		f->hubs[i].peers = f->peers;
		f->hubs[i].ops = &ops;
		assert_int_equal(pw_hubs_init(&f->hubs[i]), PW_OK);
	}
	fake_borrower_init(&f->b, fake_pool_of(&f->env, 0, "alice"));
	assert_false(fake_borrow(&f->b));
	fake_accept_login(&f->env, &f->server);
	fake_assert_heard(&f->b, "link");
	for (unsigned i = 0; i < PW_COUNTOF(f->hearers); i++) {
		unsigned worker = i == 2;

		pw_subscriber_init(&f->hearers[i].subscriber);
		assert_int_equal(pw_subscriber_join(&f->hearers[i].subscriber, &f->hubs[worker],
						    fake_pool_of(&f->env, worker, "alice")),
				 PW_OK);
	}
}

static void end(struct fixture *f)
{
	for (unsigned i = 0; i < PW_COUNTOF(f->hearers); i++) {
		pw_subscriber_leave(&f->hearers[i].subscriber);
		pw_strbuf_fini(&f->hearers[i].heard);
	}
	for (unsigned i = 0; i < WORKERS; i++)
		pw_hubs_fini(&f->hubs[i]);
	fake_turn(&f->env);
	fake_borrower_fini(&f->b);
	fake_server_close(&f->server);
	fake_env_fini(&f->env);
}

/* All that the pooler has asked. */
static void assert_asked(struct fixture *f, const char *sql)
{
	struct pw_strbuf wanted = PW_STRBUF_INIT;

	pw_write_query(&wanted, sql);
	fake_turn(&f->env);
	fake_must_receive(&f->server, wanted.data, wanted.len);
	fake_must_be_silent(&f->server);
	pw_strbuf_fini(&wanted);
}

static void notify(struct fixture *f, const char *channel, const char *payload)
{
	struct pw_strbuf out = PW_STRBUF_INIT;
	size_t begin = pw_writer_begin(&out, 'A');

	pw_strbuf_add_u32(&out, 4711);
	pw_strbuf_add(&out, channel, strlen(channel) + 1);
	pw_strbuf_add(&out, payload, strlen(payload) + 1);
	pw_writer_end(&out, begin);
	fake_send(&f->server, out.data, out.len);
	pw_strbuf_fini(&out);
	fake_turn(&f->env);
}

/* The payload of the mark that `sql` makes. */
static void notify_mark(struct fixture *f, const struct pw_strbuf *sql)
{
	char payload[64];
	const char *at = strstr(sql->data, "', '");

	/* Of which pg_stat_statements keeps one. */
	assert_non_null(strstr(sql->data, "SELECT pg_catalog.pg_notify('"));
	assert_non_null(at);
	assert_int_equal(sscanf(at, "', '%63[^']'", payload), 1);
	notify(f, f->hubs[0].channel, payload);
}

static void assert_heard(struct hearer *h, const char *payloads)
{
	assert_string_equal(h->heard.data ? h->heard.data : "", payloads);
	pw_strbuf_fini(&h->heard);
}

static enum pw_hub_answer want(struct hearer *h, const char *names)
{
	struct pw_channels channels = PW_CHANNELS_INIT;
	enum pw_hub_answer answer;
	char name[2] = "";

	for (; *names; names++) {
		name[0] = *names;
		pw_channels_add(&channels, name);
	}
	answer = pw_subscriber_want(&h->subscriber, &channels, "UTF8");
	pw_channels_fini(&channels);
	return answer;
}

static bool found(struct fixture *f, struct hearer *h, const char *encoding)
{
	struct pw_channels channels = PW_CHANNELS_INIT;
	bool is_hub;

	pw_channels_add(&channels, "a");
	is_hub = pw_subscriber_found(&h->subscriber, &channels, encoding, &f->b.loan, false);
	pw_channels_fini(&channels);
	return is_hub;
}

/* The first subscriber's link, which listens to "a", becomes the hub, and has begun. */
static void begin_hub(struct fixture *f, const char *settings)
{
	struct pw_strbuf in = PW_STRBUF_INIT;

	begin(f, settings);
	assert_int_equal(want(&f->hearers[0], "a"), PW_HUB_NONE);
	assert_true(found(f, &f->hearers[0], "UTF8"));
	assert_null(f->b.loan.link);
	assert_false(pw_subscriber_is_settled(&f->hearers[0].subscriber));
	fake_turn(&f->env);
	fake_must_receive(&f->server, "Q", 1);
	assert_false(fake_is_closed(&f->server));
	assert_non_null(strstr(f->server.in.data + 4, f->hubs[0].channel));
	pw_strbuf_fini(&f->server.in);
	f->server.in = in;
	fake_answer(&f->server, "Z=I");
	assert_asked(f, "LISTEN \"a\";");
	fake_answer(&f->server, "Z=I");
	fake_turn(&f->env);
	assert_true(pw_subscriber_is_settled(&f->hearers[0].subscriber));
}

static void go_on(struct fixture *f, struct hearer *h)
{
	struct pw_strbuf sql = PW_STRBUF_INIT;

	pw_subscriber_go_on_at(&h->subscriber, &sql);
	notify_mark(f, &sql);
	pw_strbuf_fini(&sql);
}

static void test_a_link_becomes_the_hub(void **state PW_UNUSED)
{
	struct fixture f;

	begin_hub(&f, "");
	notify(&f, "a", "1");
	notify(&f, "b", "no");
	assert_heard(&f.hearers[0], "1 ");
	assert_heard(&f.hearers[1], "");
	assert_false(f.hearers[0].subscriber.has_missed);
	end(&f);
}

/* What was said before the server listened is not waited for in vain. */
static void test_others_wait_until_it_listens(void **state PW_UNUSED)
{
	struct fixture f;

	begin_hub(&f, "");
	assert_int_equal(want(&f.hearers[1], "a"), PW_HUB_LISTENS);
	assert_int_equal(want(&f.hearers[1], "ab"), PW_HUB_AWAITED);
	assert_int_equal(want(&f.hearers[2], "bc"), PW_HUB_AWAITED);
	fake_turn(&f.env);
	assert_asked(&f, "LISTEN \"b\";");
	assert_int_equal(f.hearers[1].n_changes, 1); /* from the beginning of the hub */
	fake_answer(&f.server, "Z=I");
	fake_turn(&f.env);
	assert_int_equal(f.hearers[1].n_changes, 2);
	assert_asked(&f, "LISTEN \"c\";");
	fake_answer(&f.server, "Z=I");
	fake_turn(&f.env);
	assert_int_equal(want(&f.hearers[2], "bc"), PW_HUB_LISTENS);
	go_on(&f, &f.hearers[1]);
	go_on(&f, &f.hearers[2]);
	notify(&f, "b", "both");
	notify(&f, "c", "third");
	notify(&f, "a", "first");
	assert_heard(&f.hearers[0], "first ");
	assert_heard(&f.hearers[1], "both first ");
	assert_heard(&f.hearers[2], "both third ");
	/* Whoever wants one no more is not given it, and the last one's end is the server's. */
	assert_int_equal(want(&f.hearers[1], "a"), PW_HUB_LISTENS);
	notify(&f, "b", "one");
	assert_heard(&f.hearers[1], "");
	assert_heard(&f.hearers[2], "one ");
	pw_subscriber_leave(&f.hearers[2].subscriber);
	assert_asked(&f, "UNLISTEN \"b\";UNLISTEN \"c\";");
	end(&f);
}

static void test_marks_cut(void **state PW_UNUSED)
{
	struct pw_strbuf stop = PW_STRBUF_INIT, on = PW_STRBUF_INIT;
	struct fixture f;
	struct pw_subscriber *s = &f.hearers[0].subscriber;

	begin_hub(&f, "");
	pw_subscriber_stop_at(s, &stop);
	notify(&f, "a", "1");
	assert_true(s->until.is_awaited);
	notify_mark(&f, &stop);
	assert_false(s->until.is_awaited);
	notify(&f, "a", "2");
	pw_subscriber_go_on_at(s, &on);
	notify(&f, "a", "3");
	notify_mark(&f, &stop); /* an old one means nothing */
	notify(&f, "a", "4");
	notify_mark(&f, &on);
	notify(&f, "a", "5");
	assert_heard(&f.hearers[0], "1 5 ");
	notify(&f, f.hubs[0].channel, "0.0000000000000000");
	notify(&f, f.hubs[0].channel, "99.1");
	notify(&f, f.hubs[0].channel, "");
	assert_false(s->has_missed);
	pw_strbuf_fini(&stop);
	pw_strbuf_fini(&on);
	end(&f);
}

static void begin_again(struct fixture *f)
{
	fake_server_close(&f->server);
	fake_pass(&f->env, 3 * SECOND_US);
	fake_accept_login(&f->env, &f->server);
	fake_turn(&f->env);
	(void)fake_is_closed(&f->server);
	pw_strbuf_fini(&f->server.in);
	fake_answer(&f->server, "Z=I");
	fake_turn(&f->env);
	fake_answer(&f->server, "Z=I");
	fake_turn(&f->env);
}

static void test_loss(void **state PW_UNUSED)
{
	struct fixture f;

	begin_hub(&f, "");
	assert_int_equal(want(&f.hearers[2], "a"), PW_HUB_AWAITED);
	fake_turn(&f.env);
	assert_int_equal(want(&f.hearers[2], "a"), PW_HUB_LISTENS);
	begin_again(&f);
	/* The one heard it all on a link of its own, the other has missed something. */
	assert_true(f.hearers[0].subscriber.has_missed);
	assert_true(f.hearers[0].subscriber.is_on);
	assert_false(f.hearers[2].subscriber.has_missed);
	assert_false(f.hearers[2].subscriber.is_on);
	notify(&f, "a", "again");
	assert_heard(&f.hearers[0], "again ");
	assert_heard(&f.hearers[2], "");
	end(&f);
}

static void test_no_other_encoding(void **state PW_UNUSED)
{
	struct pw_channels channels = PW_CHANNELS_INIT;
	struct fixture f;

	begin_hub(&f, "");
	pw_channels_add(&channels, "a");
	assert_int_equal(pw_subscriber_want(&f.hearers[1].subscriber, &channels, "LATIN1"),
			 PW_HUB_NONE);
	pw_channels_fini(&channels);
	end(&f);
}

/* Who waits for the hub of before waits for one like it; when nobody does, it may be any. */
static void test_another_encoding_after_a_loss(void **state PW_UNUSED)
{
	struct fixture f;

	begin_hub(&f, "");
	fake_server_close(&f.server);
	fake_turn(&f.env);
	assert_false(fake_borrow(&f.b));
	fake_accept_login(&f.env, &f.server);
	fake_assert_heard(&f.b, "link");
	assert_false(found(&f, &f.hearers[1], "LATIN1"));
	pw_subscriber_leave(&f.hearers[0].subscriber);
	assert_true(found(&f, &f.hearers[1], "LATIN1"));
	end(&f);
}

static void test_no_hub_where_none_would_be_left(void **state PW_UNUSED)
{
	struct fixture f;

	begin(&f, "default_pool_size = 1\n");
	assert_int_equal(want(&f.hearers[0], "a"), PW_HUB_NONE);
	assert_false(found(&f, &f.hearers[0], "UTF8"));
	assert_non_null(f.b.loan.link);
	end(&f);
}

/* A hub would take the node's only place, for good. */
static void test_no_hub_at_a_node_for_one(void **state PW_UNUSED)
{
	struct pw_conf_node nodes[2] = {{.max_connections = 2}, {.max_connections = 1}};
	struct fixture f;
	struct pw_pool *pool;

	begin(&f, "");
	pool = f.b.loan.pool;
	pool->cluster_conf.nodes = nodes;
	pool->cluster_conf.n_nodes = 2;
	assert_false(found(&f, &f.hearers[0], "UTF8"));
	pool->cluster_conf.n_nodes = 1;
	assert_true(found(&f, &f.hearers[0], "UTF8"));
	end(&f);
}

/* Somebody is pinned between the search for a link and its arrival. */
static void test_no_hub_beside_a_pin_in_a_pool_of_two(void **state PW_UNUSED)
{
	struct pw_shared_pool *shared;
	struct fixture f;

	begin_hub(&f, "default_pool_size = 2\n");
	shared = fake_pool_of(&f.env, 0, "alice")->shared;
	assert_int_not_equal(atomic_load(&shared->db->hub_pool), 0);
	fake_server_close(&f.server);
	fake_pass(&f.env, 3 * SECOND_US);
	atomic_fetch_add(&shared->pinned, 1);
	fake_accept_login(&f.env, &f.server);
	fake_turn(&f.env);
	assert_int_equal(atomic_load(&shared->db->hub_pool), 0);
	assert_int_equal(atomic_load(&shared->db->hub), 0);
	atomic_fetch_sub(&shared->pinned, 1);
	end(&f);
}

/* Nobody listens: it closes after a while. */
static void test_unused(void **state PW_UNUSED)
{
	struct fixture f;

	begin_hub(&f, "");
	for (unsigned i = 0; i < PW_COUNTOF(f.hearers); i++)
		pw_subscriber_leave(&f.hearers[i].subscriber);
	assert_asked(&f, "UNLISTEN \"a\";");
	fake_answer(&f.server, "Z=I");
	fake_pass(&f.env, 8 * SECOND_US);
	assert_false(fake_is_closed(&f.server));
	fake_pass(&f.env, 5 * SECOND_US);
	assert_true(fake_is_closed(&f.server));
	end(&f);
}

/* A mark that does not come through: the hub is given up, and nobody waits for ever. */
static void test_a_server_that_swallows_marks(void **state PW_UNUSED)
{
	struct pw_strbuf sql = PW_STRBUF_INIT;
	struct fixture f;

	begin_hub(&f, "");
	pw_subscriber_stop_at(&f.hearers[0].subscriber, &sql);
	fake_pass(&f.env, 12 * SECOND_US);
	assert_false(f.hearers[0].subscriber.until.is_awaited);
	assert_true(f.hearers[0].subscriber.has_missed);
	assert_true(fake_is_closed(&f.server));
	pw_strbuf_fini(&sql);
	end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_a_link_becomes_the_hub),
	    cmocka_unit_test(test_others_wait_until_it_listens),
	    cmocka_unit_test(test_marks_cut),
	    cmocka_unit_test(test_loss),
	    cmocka_unit_test(test_no_other_encoding),
	    cmocka_unit_test(test_another_encoding_after_a_loss),
	    cmocka_unit_test(test_no_hub_where_none_would_be_left),
	    cmocka_unit_test(test_no_hub_at_a_node_for_one),
	    cmocka_unit_test(test_no_hub_beside_a_pin_in_a_pool_of_two),
	    cmocka_unit_test(test_unused),
	    cmocka_unit_test(test_a_server_that_swallows_marks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: PostgreSQL
 *
 * Where links connect to: names and their addresses. getaddrinfo() and freeaddrinfo() are this
 * program's own; every name has the addresses 127.0.0.1 and 127.0.0.2.
 */
#include "config.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "pgweir/net/socket.h"
#include "queue_fixture.h"

/* ---- the name service ---- */

enum { ADDRESSES = 2 };

struct answer {
	struct addrinfo list[ADDRESSES];
	struct sockaddr_in in[ADDRESSES];
};

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
		struct addrinfo **result)
{
	struct answer *answer = calloc(1, sizeof(*answer));

	(void)name;
	(void)service;
	(void)hints;
	for (int i = 0; i < ADDRESSES; i++) {
		answer->in[i].sin_family = AF_INET;
		answer->in[i].sin_addr.s_addr = htonl(INADDR_LOOPBACK + (unsigned)i);
		answer->list[i].ai_family = AF_INET;
		answer->list[i].ai_addr = (struct sockaddr *)&answer->in[i];
		answer->list[i].ai_next = i + 1 < ADDRESSES ? &answer->list[i + 1] : NULL;
	}
	*result = answer->list;
	return 0;
}

void freeaddrinfo(struct addrinfo *list)
{
	free(list);
}

/* ---- a pool that finds its servers by name ---- */

static struct pw_resolver *begin_by_name_at(struct fixture **f, const char *hosts, int listener)
{
	struct pw_resolver *resolver = pw_resolver_create(60 * PW_SECOND_US, 60 * PW_SECOND_US);
	char db[512];

	assert_non_null(resolver);
	snprintf(db, sizeof(db), "host=%s port=%u", hosts,
		 (unsigned)pw_socket_local(listener).port);
	*f = begin("default_pool_size = 8", db);
	(*f)->env.workers[0].pools.resolver = resolver;
	return resolver;
}

static struct pw_resolver *begin_by_name(struct fixture **f, const char *hosts, int *listener)
{
	const struct pw_addr any = {.family = AF_INET};

	*listener = pw_socket_listen(&any, 64, false);
	assert_true(*listener >= 0);
	return begin_by_name_at(f, hosts, *listener);
}

static void end_by_name(struct fixture *f, struct pw_resolver *resolver, int listener)
{
	end(f);
	pw_resolver_destroy(resolver);
	close(listener);
}

/* Opens a link and stops it when it knows its address. */
static struct pw_link_facts connect_once(struct fixture *f, struct fake_borrower *b)
{
	struct pw_link_facts facts;
	struct pw_link *link;

	assert_false(fake_borrow(b));
	fake_turn(&f->env);
	assert_int_equal(pw_list_length(&f->pool->opening), 1);
	link = PW_CONTAINER(pw_list_first(&f->pool->opening), struct pw_link, pool_node);
	while (link->state == PW_LINK_RESOLVING)
		pw_loop_turn(&f->env.workers[0].loop, true);
	facts = link->facts;
	pw_pool_withdraw(&b->loan);
	pw_pools_close_idle(&f->env.workers[0].pools, NULL, "enough");
	fake_turn(&f->env);
	return facts;
}

/* A certificate is checked against the whole name. */
static void test_long_name(void **state)
{
	static const char name[] = "a-rather-long-name-of-an-instance.cluster-ro-abcdefghijkl."
				   "eu-central-1.databases.example.com";
	struct fixture *f;
	int listener;
	struct pw_resolver *resolver = begin_by_name(&f, name, &listener);
	struct pw_link_facts facts = connect_once(f, &f->b[0]);

	(void)state;
	assert_string_equal(facts.host, name);
	end_by_name(f, resolver, listener);
}

/* Turns go round all hosts and all their addresses: none is left out. */
static void test_every_address_has_its_turn(void **state)
{
	struct fixture *f;
	int listener;
	struct pw_resolver *resolver = begin_by_name(&f, "one,two", &listener);
	unsigned seen = 0;

	(void)state;
	for (int i = 0; i < 4; i++) {
		struct pw_link_facts facts = connect_once(f, &f->b[i]);

		seen |= 1u << (2 * (strcmp(facts.host, "two") == 0) + facts.addr.bytes[3] - 1);
	}
	assert_int_equal(seen, 0xf);
	end_by_name(f, resolver, listener);
}

/* Listens on the second address only. The port of the first is taken, so that nobody else answers
 * there. */
static int listen_on_second(int *first)
{
	struct sockaddr_in in = {.sin_family = AF_INET};
	struct pw_addr second = {.family = AF_INET, .bytes = {127, 0, 0, 2}};
	int listener;

	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	*first = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(*first, (struct sockaddr *)&in, sizeof(in)), 0);
	second.port = pw_socket_local(*first).port;
	listener = pw_socket_listen(&second, 64, false);
	assert_true(listener >= 0);
	return listener;
}

/* A refusal that comes when the connect is under way leads to the name's next address at once. */
static void test_refused_address(void **state)
{
	static const char *const orders[] = {"one", "one,two"};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct fixture *f;
		struct fake_server s;
		int first, listener = listen_on_second(&first);
		struct pw_resolver *resolver = begin_by_name_at(&f, orders[i], listener);

		assert_false(fake_borrow(&f->b[0]));
		fake_turn(&f->env);
		s = (struct fake_server){.env = &f->env};
		while ((s.fd = accept(listener, NULL, NULL)) < 0) {
			assert_int_equal(f->pool->n_opening, 1);
			pw_loop_turn(&f->env.workers[0].loop, true);
		}
		fake_server_close(&s);
		pw_pool_withdraw(&f->b[0].loan);
		end_by_name(f, resolver, listener);
		close(first);
	}
}

/* Refused by all of them: the login has failed. */
static void test_no_address_answers(void **state)
{
	int first, listener = listen_on_second(&first);
	struct fixture *f;
	struct pw_resolver *resolver = begin_by_name_at(&f, "one", listener);

	(void)state;
	close(listener);
	f->b[0].loan.replication = PW_REPLICATION_LOGICAL;
	assert_false(fake_borrow(&f->b[0]));
	while (f->b[0].loan.state != PW_LOAN_NONE)
		pw_loop_turn(&f->env.workers[0].loop, true);
	fake_assert_heard(&f->b[0], "lost:08P01");
	end_by_name(f, resolver, -1);
	close(first);
}

/* Two that were on their way to a host when it failed are one reason to go on to the next. */
static void test_two_failures_are_one_step(void **state)
{
	struct fixture *f;
	struct fake_server s[2];
	int listener;
	struct pw_resolver *resolver =
	    begin_by_name(&f, "one,two load_balance_hosts=disable", &listener);
	unsigned before = atomic_load(&f->pool->shared->next_host);

	(void)state;
	for (int i = 0; i < 2; i++) {
		f->b[i].loan.replication = PW_REPLICATION_LOGICAL;
		assert_false(fake_borrow(&f->b[i]));
	}
	for (int i = 0; i < 2; i++) {
		s[i] = (struct fake_server){.env = &f->env};
		while ((s[i].fd = accept(listener, NULL, NULL)) < 0)
			pw_loop_turn(&f->env.workers[0].loop, false);
	}
	fake_turn(&f->env);
	for (int i = 0; i < 2; i++) {
		fake_server_close(&s[i]);
		while (f->b[i].loan.state != PW_LOAN_NONE)
			pw_loop_turn(&f->env.workers[0].loop, false);
		fake_assert_heard(&f->b[i], "lost:08P01");
	}
	assert_int_equal(atomic_load(&f->pool->shared->next_host), before + 1);
	end_by_name(f, resolver, listener);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_long_name),
	    cmocka_unit_test(test_every_address_has_its_turn),
	    cmocka_unit_test(test_refused_address),
	    cmocka_unit_test(test_no_address_answers),
	    cmocka_unit_test(test_two_failures_are_one_step),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

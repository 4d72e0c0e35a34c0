/* SPDX-License-Identifier: PostgreSQL
 *
 * File descriptors: how many the settings ask for, and what is said when they are not to be had.
 */
#include "config.h"

#include "main/limits.h"

#include <sys/resource.h>

#include "main_test.h"

/* ---- the sum ---- */

static uint64_t links_of(struct fixture *f, const char *databases, const char *settings,
			 size_t n_users)
{
	struct pw_conf *conf = load_conf(f, databases, settings);
	struct pw_limits need;

	pw_limits_need(conf, n_users, 2, &need);
	assert_int_equal(need.clients, conf->max_client_conn);
	assert_int_equal(need.total, need.clients + need.links + need.own);
	pw_conf_unref(conf);
	return need.links;
}

static void test_links(void **state)
{
	static const struct {
		const char *databases, *settings;
		size_t n_users;
		uint64_t links;
	} cases[] = {
	    {"", "", 5, 0},
	    {"a = host=x", "", 1, 20},
	    {"a = host=x", "", 0, 20},
	    {"a = host=x", "", 3, 60},
	    {"a = host=x user=bob", "", 3, 20},
	    {"a = host=x\nb = host=x user=bob pool_size=7", "", 3, 67},
	    {"a = host=x reserve_pool_size=2", "default_pool_size=10", 3, 36},
	    {"a = host=x", "max_db_connections=25", 3, 25},
	    {"a = host=x max_db_connections=30", "max_db_connections=25", 3, 30},
	    {"a = host=x pool_size=0", "max_client_conn=400", 3, 400},
	    {"a = host=x pool_size=0 max_db_connections=9", "max_client_conn=400", 3, 9},
	    {"* = host=x", "max_client_conn=400", 3, 400},
	    {"a = host=x", "default_pool_size=2147483647", 1000, UINT64_C(2147483647000)},
	};

	for (size_t i = 0; i < PW_COUNTOF(cases); i++)
		assert_int_equal(
		    links_of(*state, cases[i].databases, cases[i].settings, cases[i].n_users),
		    cases[i].links);
}

static void test_own_share_grows_with_workers(void **state)
{
	struct pw_conf *conf = load_conf(*state, "", "");
	struct pw_limits one, eight;

	pw_limits_need(conf, 1, 1, &one);
	pw_limits_need(conf, 1, 8, &eight);
	assert_true(one.own > 10);
	assert_true(eight.own >= one.own + 7 * 2);
	pw_conf_unref(conf);
}

/* ---- the kernel's limit ---- */

struct plan {
	rlim_t soft, hard;
	uint64_t need;
	rlim_t expected;
};

static int raise_limits(struct fixture *f, const void *arg)
{
	const struct plan *plan = arg;
	const struct pw_limits need = {
	    .clients = 100, .links = plan->need - 110, .own = 10, .total = plan->need};
	struct rlimit limit = {plan->soft, plan->hard};

	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		return 99;
	pw_limits_raise(&need, &f->ctx);
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_max != plan->hard)
		return 98;
	return limit.rlim_cur == plan->expected ? 0 : 1;
}

static void test_raised(void **state)
{
	const struct plan plan = {64, 512, 300, 300};
	struct fixture *f = *state;

	assert_int_equal(run_child(raise_limits, f, &plan), 0);
	assert_logged(f, "LOG kernel file descriptor limit: 300 (hard: 512); max_client_conn: 100, "
			 "max expected fd use: 300\n");
	assert_false(log_has(f, "WARNING"));
}

static void test_enough_stays(void **state)
{
	const struct plan plan = {400, 512, 300, 400};
	struct fixture *f = *state;

	assert_int_equal(run_child(raise_limits, f, &plan), 0);
	assert_logged(f, "kernel file descriptor limit: 400 (hard: 512)");
	assert_false(log_has(f, "WARNING"));
}

static void test_hard_limit_is_too_low(void **state)
{
	const struct plan plan = {64, 256, 300, 256};
	struct fixture *f = *state;

	assert_int_equal(run_child(raise_limits, f, &plan), 0);
	assert_logged(f, "kernel file descriptor limit: 256 (hard: 256); max_client_conn: 100, "
			 "max expected fd use: 300\n");
	assert_logged(f, "WARNING up to 300 file descriptors may be needed (100 clients, 190 "
			 "server connections, 10 others), but only 256 are allowed");
	assert_logged(f, "LimitNOFILE=");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_links),        TEST(test_own_share_grows_with_workers), TEST(test_raised),
	    TEST(test_enough_stays), TEST(test_hard_limit_is_too_low),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

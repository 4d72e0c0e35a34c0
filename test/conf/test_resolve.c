/* SPDX-License-Identifier: PostgreSQL
 *
 * Inheritance from the global settings to the database to the user, and the small lookups.
 */
#include "conf_test.h"

static const char text[] =
    "[pgbouncer]\n"
    "pool_mode = session\ndefault_pool_size = 20\nmin_pool_size = 1\nreserve_pool_size = 2\n"
    "max_db_connections = 30\nmax_user_connections = 40\nserver_lifetime = 3600\n"
    "query_timeout = 10\nidle_transaction_timeout = 11\ntransaction_timeout = 12\n"
    "max_db_client_connections = 50\nmax_user_client_connections = 60\n"
    "query_wait_timeout = 13\nclient_idle_timeout = 14\n"
    "[databases]\n"
    "bare =\n"
    "full = pool_mode=transaction pool_size=21 min_pool_size=0 reserve_pool_size=0 "
    "max_db_connections=31 server_lifetime=100 max_db_client_connections=51 "
    "query_wait_timeout=0\n"
    "zero = pool_size=0 max_db_connections=0 server_lifetime=0 max_db_client_connections=0 "
    "query_wait_timeout=-1 min_pool_size=-1\n"
    "[users]\n"
    "bare =\n"
    "full = pool_mode=statement pool_size=22 reserve_pool_size=3 max_user_connections=41 "
    "max_user_client_connections=61 query_timeout=20 query_wait_timeout=23 "
    "idle_transaction_timeout=21 transaction_timeout=22 client_idle_timeout=24\n"
    "zero = pool_size=0 max_user_connections=0 max_user_client_connections=0 query_timeout=0 "
    "query_wait_timeout=0 idle_transaction_timeout=0 transaction_timeout=0 "
    "client_idle_timeout=0\n";

static int make_conf(void **state)
{
	*state = must_parse(text, NULL);
	return 0;
}

static int drop_conf(void **state)
{
	pw_conf_unref(*state);
	return 0;
}

static void resolve_pool(void **state, const char *db, const char *user, struct pw_pool_conf *out)
{
	const struct pw_conf *conf = *state;

	memset(out, 0x55, sizeof(*out));
	pw_conf_resolve_pool(conf, db ? pw_conf_find_db(conf, db) : NULL, user, out);
}

static void resolve_client(void **state, const char *db, const char *user,
			   struct pw_client_conf *out)
{
	const struct pw_conf *conf = *state;

	memset(out, 0x55, sizeof(*out));
	pw_conf_resolve_client(conf, db ? pw_conf_find_db(conf, db) : NULL, user, out);
}

static void assert_pool_is_global(const struct pw_pool_conf *pool)
{
	assert_int_equal(pool->mode, PW_MODE_SESSION);
	assert_int_equal(pool->pool_size, 20);
	assert_int_equal(pool->min_pool_size, 1);
	assert_int_equal(pool->reserve_pool_size, 2);
	assert_int_equal(pool->max_db_connections, 30);
	assert_int_equal(pool->max_user_connections, 40);
	assert_int_equal(pool->server_lifetime, 3600000000);
	assert_int_equal(pool->query_timeout, 10000000);
	assert_int_equal(pool->idle_transaction_timeout, 11000000);
	assert_int_equal(pool->transaction_timeout, 12000000);
}

static void test_pool_from_global(void **state)
{
	struct pw_pool_conf pool;

	resolve_pool(state, NULL, NULL, &pool);
	assert_pool_is_global(&pool);
	resolve_pool(state, "bare", "unlisted", &pool);
	assert_pool_is_global(&pool);
	resolve_pool(state, "bare", "bare", &pool);
	assert_pool_is_global(&pool);
}

static void test_pool_from_database(void **state)
{
	struct pw_pool_conf pool;

	resolve_pool(state, "full", "bare", &pool);
	assert_int_equal(pool.mode, PW_MODE_TRANSACTION);
	assert_int_equal(pool.pool_size, 21);
	assert_int_equal(pool.min_pool_size, 0);
	assert_int_equal(pool.reserve_pool_size, 0);
	assert_int_equal(pool.max_db_connections, 31);
	assert_int_equal(pool.max_user_connections, 40);
	assert_int_equal(pool.server_lifetime, 100000000);
	assert_int_equal(pool.query_timeout, 10000000);
}

static void test_pool_from_user(void **state)
{
	struct pw_pool_conf pool;

	resolve_pool(state, "full", "full", &pool);
	assert_int_equal(pool.mode, PW_MODE_STATEMENT);
	assert_int_equal(pool.pool_size, 22);
	assert_int_equal(pool.min_pool_size, 0);
	assert_int_equal(pool.reserve_pool_size, 3);
	assert_int_equal(pool.max_db_connections, 31);
	assert_int_equal(pool.max_user_connections, 41);
	assert_int_equal(pool.query_timeout, 20000000);
	assert_int_equal(pool.idle_transaction_timeout, 21000000);
	assert_int_equal(pool.transaction_timeout, 22000000);
}

/* 0 is a value for pool sizes and inherits for limits and times. */
static void test_pool_zeros(void **state)
{
	struct pw_pool_conf pool;

	resolve_pool(state, "zero", "bare", &pool);
	assert_int_equal(pool.pool_size, 0);
	assert_int_equal(pool.min_pool_size, 1);
	assert_int_equal(pool.max_db_connections, 30);
	assert_int_equal(pool.server_lifetime, 3600000000);
	resolve_pool(state, "full", "zero", &pool);
	assert_int_equal(pool.pool_size, 0);
	assert_int_equal(pool.max_user_connections, 40);
	assert_int_equal(pool.query_timeout, 10000000);
	assert_int_equal(pool.idle_transaction_timeout, 11000000);
	assert_int_equal(pool.transaction_timeout, 12000000);
}

static void test_client(void **state)
{
	struct pw_client_conf client;

	resolve_client(state, NULL, NULL, &client);
	assert_int_equal(client.max_db_client_connections, 50);
	assert_int_equal(client.max_user_client_connections, 60);
	assert_int_equal(client.query_wait_timeout, 13000000);
	assert_int_equal(client.client_idle_timeout, 14000000);
	resolve_client(state, "full", "bare", &client);
	assert_int_equal(client.max_db_client_connections, 51);
	assert_int_equal(client.query_wait_timeout, 0);
	resolve_client(state, "full", "full", &client);
	assert_int_equal(client.max_user_client_connections, 61);
	assert_int_equal(client.query_wait_timeout, 23000000);
	assert_int_equal(client.client_idle_timeout, 24000000);
	resolve_client(state, "zero", "bare", &client);
	assert_int_equal(client.max_db_client_connections, 50);
	assert_int_equal(client.query_wait_timeout, 13000000);
	resolve_client(state, "bare", "zero", &client);
	assert_int_equal(client.max_user_client_connections, 60);
	assert_int_equal(client.query_wait_timeout, 0);
	assert_int_equal(client.client_idle_timeout, 14000000);
}

static bool needs_reconnect(const char *a, const char *b)
{
	static const struct pw_hash_key key = {3, 4};
	struct pw_strbuf ini = PW_STRBUF_INIT;
	struct pw_conf *conf;
	bool result;

	pw_strbuf_printf(&ini, "[pgbouncer]\n[databases]\na = %s\nb = %s\n", a, b);
	conf = must_parse(ini.data, NULL);
	pw_strbuf_fini(&ini);
	result = pw_conf_db_server_id(pw_conf_find_db(conf, "a"), &key) !=
		 pw_conf_db_server_id(pw_conf_find_db(conf, "b"), &key);
	pw_conf_unref(conf);
	return result;
}

static void test_needs_reconnect(void **state)
{
	(void)state;
	assert_false(needs_reconnect("", ""));
	assert_false(needs_reconnect("host=x port=5432", "port=5432 host='x'"));
	assert_true(needs_reconnect("", "dbname=x"));
	assert_true(needs_reconnect("host=a", "host=a,b"));
	assert_true(needs_reconnect("port=1", "port=2"));
	/* A value must not slip into the next key. */
	assert_true(needs_reconnect("connect_query=a", "auth_query=a"));
	assert_true(needs_reconnect("user=a", ""));
	assert_true(needs_reconnect("connect_query=a", "connect_query=b"));
	assert_true(needs_reconnect("auth_dbname=a", "auth_dbname=b"));
	assert_true(needs_reconnect("auth_query=a", ""));
	assert_true(needs_reconnect("load_balance_hosts=disable", ""));
	assert_false(needs_reconnect("password=a", "password=b"));
	assert_false(needs_reconnect("pool_size=1 pool_mode=session timezone=x auth_user=u",
				     "max_db_connections=3 application_name=y"));
}

static void test_list_has(void **state)
{
	(void)state;
	assert_true(pw_conf_list_has("a", "a"));
	assert_true(pw_conf_list_has(" a ,\tbc\t, d", "bc"));
	assert_true(pw_conf_list_has("a,b,", "b"));
	assert_true(pw_conf_list_has("a,,b c", "b c"));
	assert_false(pw_conf_list_has("ab,c", "a"));
	assert_false(pw_conf_list_has("a", "ab"));
	assert_false(pw_conf_list_has("A", "a"));
	assert_false(pw_conf_list_has("a,,b", ""));
	assert_false(pw_conf_list_has("", "a"));
	assert_false(pw_conf_list_has(NULL, "a"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_pool_from_global, make_conf, drop_conf),
	    cmocka_unit_test_setup_teardown(test_pool_from_database, make_conf, drop_conf),
	    cmocka_unit_test_setup_teardown(test_pool_from_user, make_conf, drop_conf),
	    cmocka_unit_test_setup_teardown(test_pool_zeros, make_conf, drop_conf),
	    cmocka_unit_test_setup_teardown(test_client, make_conf, drop_conf),
	    cmocka_unit_test(test_needs_reconnect),
	    cmocka_unit_test(test_list_has),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

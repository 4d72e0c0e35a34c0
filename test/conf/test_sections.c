/* SPDX-License-Identifier: PostgreSQL
 *
 * The sections of connection strings: every key of [databases], [users] and [peers], every
 * message, names, duplicates.
 */
#include "conf_test.h"

#include <stdio.h>

#define MAIN "[pgbouncer]\n"

static void test_database(void **state)
{
	struct pw_conf *conf = must_parse(
	    "[databases]\n"
	    "* = host=/tmp\n"
	    "plain =\n"
	    "app = dbname='my db' host='a, ::1,/run/x,@abs' port = 1 user=u password="
	    "'it''s' auth_user=au auth_query='select 1' auth_dbname=ad pool_size=0 "
	    "min_pool_size=2 reserve_pool=3 max_db_connections=4 "
	    "max_db_client_connections=5 server_lifetime=6 query_wait_timeout=0 "
	    "pool_mode=Transaction load_balance_hosts=disable connect_query='set a=''b'''"
	    " client_encoding=UTF8 datestyle=iso timezone=a\tb application_name=x;y\n" MAIN,
	    NULL);
	const struct pw_conf_db *db = pw_conf_find_db(conf, "app");

	(void)state;
	assert_non_null(db);
	assert_string_equal(db->name, "app");
	assert_string_equal(db->dbname, "my db");
	assert_string_equal(db->host_text, "a, ::1,/run/x,@abs");
	assert_string_equal(db->hosts[0], "a");
	assert_string_equal(db->hosts[1], "::1");
	assert_string_equal(db->hosts[2], "/run/x");
	assert_string_equal(db->hosts[3], "@abs");
	assert_null(db->hosts[4]);
	assert_int_equal(db->port, 1);
	assert_string_equal(db->user, "u");
	assert_string_equal(db->password, "it's");
	assert_string_equal(db->auth_user, "au");
	assert_string_equal(db->auth_query, "select 1");
	assert_string_equal(db->auth_dbname, "ad");
	assert_int_equal(db->pool_size, 0);
	assert_int_equal(db->min_pool_size, 2);
	assert_int_equal(db->reserve_pool_size, 3);
	assert_int_equal(db->max_db_connections, 4);
	assert_int_equal(db->max_db_client_connections, 5);
	assert_int_equal(db->server_lifetime, 6000000);
	assert_int_equal(db->query_wait_timeout, 0);
	assert_int_equal(db->pool_mode, PW_MODE_TRANSACTION);
	assert_int_equal(db->load_balance_hosts, PW_BALANCE_DISABLE);
	assert_string_equal(db->connect_query, "set a='b'");
	assert_string_equal(db->client_encoding, "UTF8");
	assert_string_equal(db->datestyle, "iso");
	assert_string_equal(db->timezone, "a\tb");
	assert_string_equal(db->application_name, "x;y");
	assert_memory_equal(db->definition, "dbname='my db' host='a, ", 24);
	pw_conf_unref(conf);
}

static void test_database_not_set(void **state)
{
	struct pw_conf *conf = must_parse("[databases]\nplain =\n" MAIN, NULL);
	const struct pw_conf_db *db = pw_conf_find_db(conf, "plain");

	(void)state;
	assert_non_null(db);
	assert_null(db->dbname);
	assert_null(db->host_text);
	assert_null(db->hosts[0]);
	assert_null(db->user);
	assert_null(db->password);
	assert_int_equal(db->port, 5432);
	assert_int_equal(db->pool_size, -1);
	assert_int_equal(db->min_pool_size, -1);
	assert_int_equal(db->reserve_pool_size, -1);
	assert_int_equal(db->max_db_connections, -1);
	assert_int_equal(db->max_db_client_connections, -1);
	assert_int_equal(db->server_lifetime, -1);
	assert_int_equal(db->query_wait_timeout, -1);
	assert_int_equal(db->pool_mode, -1);
	assert_int_equal(db->load_balance_hosts, -1);
	assert_string_equal(db->definition, "");
	assert_null(pw_conf_find_db(conf, "other"));
	pw_conf_unref(conf);
}

#define SYNTAX                                                                                     \
	"syntax error in connection string: key=value pairs with spaces between them are "         \
	"expected, no value may be empty, one with spaces needs single quotes"

static void test_database_errors(void **state)
{
	static const struct {
		const char *line;
		const char *why;
	} cases[] = {
	    {"a = x=1", "database \"a\": unrecognized connection parameter: x"},
	    {"a = pool_sise=1", "database \"a\": unrecognized connection parameter: pool_sise; "
				"did you mean \"pool_size\"?"},
	    {"a = host=x ; note", "database \"a\": " SYNTAX COMMENT_HINT},
	    {"a = host=x      # note", "database \"a\": " SYNTAX COMMENT_HINT},
	    {"a = ; note", "database \"a\": " SYNTAX COMMENT_HINT},
	    {"a = host=x note ; more", "database \"a\": " SYNTAX COMMENT_HINT},
	    {"a = database=x", "database \"a\": unrecognized connection parameter: database; did "
			       "you mean \"dbname\"?"},
	    {"a = hostaddr=::1", "database \"a\": unrecognized connection parameter: hostaddr; did "
				 "you mean \"host\"?"},
	    {"a = UserName=x", "database \"a\": unrecognized connection parameter: UserName; did "
			       "you mean \"user\"?"},
	    {"a = host=x note;more", "database \"a\": " SYNTAX},
	    {"a = host=x ;pool_size=3",
	     "database \"a\": unrecognized connection parameter: ;pool_size" COMMENT_HINT},
	    {"a = host=", "database \"a\": " SYNTAX},
	    {"a = host=''", "database \"a\": " SYNTAX},
	    {"a = host='x", "database \"a\": " SYNTAX},
	    {"a = host='x'y", "database \"a\": " SYNTAX},
	    {"a = host", "database \"a\": " SYNTAX},
	    {"a = =x", "database \"a\": " SYNTAX},
	    {"a = host=x,,y", "database \"a\": empty name in the list of hosts"},
	    {"a = host=x,", "database \"a\": empty name in the list of hosts"},
	    {"a = port=5432x", "database \"a\": invalid value \"5432x\" for port: a whole number "
			       "from 1 to 65535 is expected"},
	    {"a = port=0x10", "database \"a\": invalid value \"0x10\" for port: a whole number "
			      "from 1 to 65535 is expected"},
	    {"a = port=0", "database \"a\": invalid value \"0\" for port: a whole number from 1 "
			   "to 65535 is expected"},
	    {"a = port=' 1'", "database \"a\": invalid value \" 1\" for port: a whole number "
			      "from 1 to 65535 is expected"},
	    {"a = pool_size=-2", "database \"a\": invalid value \"-2\" for pool_size: a whole "
				 "number from -1 to 2147483647 is expected"},
	    {"a = server_lifetime=1.5",
	     "database \"a\": invalid value \"1.5\" for "
	     "server_lifetime: a whole number of seconds from -1 to 2147483647 is expected"},
	    {"a = pool_mode=x", "database \"a\": invalid value \"x\" for pool_mode: one of "
				"session, transaction, statement is expected"},
	    {"a = load_balance_hosts=x", "database \"a\": invalid value \"x\" for "
					 "load_balance_hosts: one of round-robin, disable is "
					 "expected"},
	    {"pgbouncer = host=x", "database name \"pgbouncer\" is reserved"},
	    {"'' = host=x", "database name \"\" has 0 bytes, 1 to 63 are allowed"},
	    {"aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffff1234 =",
	     "database name \"aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffff1234\" "
	     "has 64 bytes, 1 to 63 are allowed"},
	};
	char text[512], why[512];

	(void)state;
	for (size_t i = 0; i < PW_COUNTOF(cases); i++) {
		snprintf(text, sizeof(text), MAIN "[databases]\n%s\n", cases[i].line);
		snprintf(why, sizeof(why), "t.ini:3: %s", cases[i].why);
		must_fail(text, why);
	}
}

static void test_several_errors_in_one_entry(void **state)
{
	(void)state;
	must_fail(MAIN "[databases]\na = port=x foo_bar=1 pool_mode=y\n",
		  "t.ini:3: database \"a\": invalid value \"x\" for port: a whole number from 1 to "
		  "65535 is expected\n"
		  "t.ini:3: database \"a\": unrecognized connection parameter: foo_bar\n"
		  "t.ini:3: database \"a\": invalid value \"y\" for pool_mode: one of session, "
		  "transaction, statement is expected");
}

static void test_passwords_are_not_told(void **state)
{
	struct said said = {PW_STRBUF_INIT, PW_STRBUF_INIT};

	(void)state;
	assert_null(parse(MAIN "[databases]\na = password=hidden port=x\n"
			       "b = password='hidden\nc = password=hidden word\n",
			  NULL, &said));
	assert_null(strstr(said.why.data, "hidden"));
	assert_null(strstr(said.warnings.data, "hidden"));
	said_fini(&said);
}

static void test_duplicates(void **state)
{
	struct said said = {PW_STRBUF_INIT, PW_STRBUF_INIT};
	struct pw_conf *conf = parse("[databases]\na = port=1 pool_size=3\nb = port=2\na = port=3\n"
				     "[peers]\n1 = host=x\n" MAIN "pool_idle_timeout = 1\n"
				     "[databases]\nc = port=4\n[peers]\n01 = host=y\n"
				     "10 = host=v\n9 = host=w\n",
				     NULL, &said);

	(void)state;
	assert_non_null(conf);
	assert_int_equal(conf->n_databases, 3);
	assert_int_equal(pw_conf_find_db(conf, "a")->port, 3);
	assert_int_equal(pw_conf_find_db(conf, "a")->pool_size, -1);
	assert_int_equal(conf->n_peers, 3);
	assert_string_equal(conf->peers[0].host, "y");
	assert_int_equal(conf->peers[1].id, 9);
	assert_int_equal(conf->peers[2].id, 10);
	assert_string_equal(said.warnings.data,
			    "t.ini:6: [peers] has no effect: cancel requests are not forwarded\n"
			    "t.ini:4: database \"a\" is defined again, the earlier definition "
			    "does not count\n"
			    "t.ini:12: peer \"00001\" is defined again, the earlier definition "
			    "does not count");
	pw_conf_unref(conf);
	said_fini(&said);
}

/* A PgBouncer's file may have it, and the rest of it is good. */
static void test_database_behind_the_console(void **state)
{
	struct said said = {PW_STRBUF_INIT, PW_STRBUF_INIT};
	struct pw_conf *conf =
	    parse(MAIN "[databases]\na = port=1\npgweir = port=2\n", NULL, &said);

	(void)state;
	assert_non_null(conf);
	assert_string_equal(said.warnings.data,
			    "t.ini:4: database \"pgweir\" cannot be reached: under that name "
			    "clients get the console; give it another one, with dbname=pgweir");
	pw_conf_unref(conf);
	said_fini(&said);
}

static void test_users(void **state)
{
	struct pw_conf *conf =
	    must_parse(MAIN "[users]\n"
			    "u = pool_mode=statement pool_size=1 reserve_pool_size=2 "
			    "max_user_connections=3 max_user_client_connections=4 query_timeout=5 "
			    "query_wait_timeout=6 idle_transaction_timeout=7 transaction_timeout=8 "
			    "client_idle_timeout=9\n"
			    "'a user' =\n",
		       NULL);
	const struct pw_conf_user *u = pw_conf_find_user(conf, "u");

	(void)state;
	assert_int_equal(u->pool_mode, PW_MODE_STATEMENT);
	assert_int_equal(u->pool_size, 1);
	assert_int_equal(u->reserve_pool_size, 2);
	assert_int_equal(u->max_user_connections, 3);
	assert_int_equal(u->max_user_client_connections, 4);
	assert_int_equal(u->query_timeout, 5000000);
	assert_int_equal(u->query_wait_timeout, 6000000);
	assert_int_equal(u->idle_transaction_timeout, 7000000);
	assert_int_equal(u->transaction_timeout, 8000000);
	assert_int_equal(u->client_idle_timeout, 9000000);
	u = pw_conf_find_user(conf, "a user");
	assert_int_equal(u->pool_mode, -1);
	assert_int_equal(u->query_wait_timeout, -1);
	assert_null(pw_conf_find_user(conf, "nobody"));
	pw_conf_unref(conf);
	must_fail(MAIN "[users]\nu = host=x\n",
		  "t.ini:3: user \"u\": unrecognized user parameter: host");
	must_fail(MAIN "[users]\nu = server=x\n",
		  "t.ini:3: user \"u\": unrecognized user parameter: server");
}

static void test_user_name_length(void **state)
{
	char text[256], name[129];
	struct said said = {PW_STRBUF_INIT, PW_STRBUF_INIT};
	struct pw_conf *conf;

	(void)state;
	memset(name, 'u', sizeof(name));
	name[128] = '\0';
	snprintf(text, sizeof(text), MAIN "[users]\n%s =\n", name);
	assert_null(parse(text, NULL, &said));
	assert_non_null(strstr(said.why.data, "has 128 bytes, 1 to 127 are allowed"));
	said_fini(&said);
	name[127] = '\0';
	snprintf(text, sizeof(text), MAIN "[users]\n%s =\n", name);
	conf = must_parse(text, NULL);
	assert_non_null(pw_conf_find_user(conf, name));
	pw_conf_unref(conf);
}

static void test_peers(void **state)
{
	struct pw_conf *conf =
	    must_parse(MAIN "[peers]\n65535 = host=/tmp port=1 pool_size=2\n", NULL);

	(void)state;
	assert_int_equal(conf->n_peers, 1);
	assert_int_equal(conf->peers[0].id, 65535);
	assert_string_equal(conf->peers[0].host, "/tmp");
	assert_int_equal(conf->peers[0].port, 1);
	assert_int_equal(conf->peers[0].pool_size, 2);
	pw_conf_unref(conf);
	must_fail(MAIN "[peers]\n7 = port=1\n", "t.ini:3: host was not provided for peer 7");
	must_fail(MAIN "[peers]\n0 = host=x\n65536 = host=x\nabc = host=x\n'' = host=x\n",
		  "t.ini:3: peer \"0\": ids of peers must be a number larger than 0 and at most "
		  "65535\n"
		  "t.ini:4: peer \"65536\": ids of peers must be a number larger than 0 and at "
		  "most 65535\n"
		  "t.ini:5: peer \"abc\": ids of peers must be a number larger than 0 and at most "
		  "65535\n"
		  "t.ini:6: peer \"\": ids of peers must be a number larger than 0 and at most "
		  "65535");
}

static void test_many_databases(void **state)
{
	enum { N = 2000 };
	struct pw_strbuf text = PW_STRBUF_INIT;
	struct pw_conf *conf;
	char name[16];

	(void)state;
	pw_strbuf_add_string(&text, MAIN "[databases]\n");
	for (int i = 0; i < N; i++)
		pw_strbuf_printf(&text, "db%d = host=h%d port=%d\n", (i * 7919) % N, i,
				 (i * 7919) % N + 1);
	conf = must_parse(text.data, NULL);
	assert_int_equal(conf->n_databases, N);
	for (int i = 0; i < N; i++) {
		snprintf(name, sizeof(name), "db%d", i);
		assert_non_null(pw_conf_find_db(conf, name));
		assert_int_equal(pw_conf_find_db(conf, name)->port, i + 1);
	}
	pw_conf_unref(conf);
	pw_strbuf_fini(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_database),
	    cmocka_unit_test(test_database_not_set),
	    cmocka_unit_test(test_database_errors),
	    cmocka_unit_test(test_several_errors_in_one_entry),
	    cmocka_unit_test(test_passwords_are_not_told),
	    cmocka_unit_test(test_duplicates),
	    cmocka_unit_test(test_database_behind_the_console),
	    cmocka_unit_test(test_users),
	    cmocka_unit_test(test_user_name_length),
	    cmocka_unit_test(test_peers),
	    cmocka_unit_test(test_many_databases),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

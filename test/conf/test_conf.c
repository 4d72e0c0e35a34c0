/* SPDX-License-Identifier: PostgreSQL
 *
 * The main section: defaults, every kind of value, messages, rules across settings, what a reload
 * keeps, SET.
 */
#include "conf_test.h"

#include <stdio.h>

#define MAIN "[pgbouncer]\n"

static void test_defaults(void **state)
{
	struct pw_conf *conf = must_parse(MAIN, NULL);
	char *shown;

	(void)state;
	for (size_t i = 0; i < pw_conf_setting_count(); i++) {
		struct pw_setting_row row;

		pw_conf_setting_row(i, &row);
		shown = show(conf, row.name);
		if (strcmp(row.name, "conffile") == 0)
			assert_string_equal(shown, "t.ini");
		else if (strcmp(row.name, "verbose") == 0)
			assert_string_equal(shown, "0");
		else if (strcmp(row.name, "unix_socket_mode") == 0)
			assert_string_equal(shown, "511");
		else
			assert_string_equal(shown, row.default_text ? row.default_text : "(null)");
		free(shown);
	}
	assert_int_equal(conf->query_wait_timeout, 120 * 1000000);
	assert_int_equal(conf->auth_type, PW_AUTH_MD5);
	assert_int_equal(conf->server_tls_sslmode, PW_SSL_PREFER);
	assert_true(conf->tcp_keepalive);
	assert_int_equal(conf->max_packet_size, 2147483647);
	assert_null(conf->auth_file);
	assert_int_equal(conf->n_databases + conf->n_users + conf->n_peers, 0);
	pw_conf_unref(conf);
}

/* SHOW CONFIG of PgBouncer has 100 rows on Linux; ours follow. */
static void test_order_of_rows(void **state)
{
	struct pw_setting_row row;

	(void)state;
	assert_int_equal(pw_conf_setting_count(), 127);
	pw_conf_setting_row(0, &row);
	assert_string_equal(row.name, "admin_users");
	assert_true(row.is_reloadable);
	pw_conf_setting_row(99, &row);
	assert_string_equal(row.name, "verbose");
	assert_null(row.default_text);
	pw_conf_setting_row(100, &row);
	assert_string_equal(row.name, "worker_threads");
	assert_false(row.is_reloadable);
}

static void test_values_of_each_kind(void **state)
{
	struct pw_conf *conf = must_parse(MAIN "listen_port = 0x10\n"
					       "unix_socket_mode = 0640\n"
					       "default_pool_size = 2147483647\n"
					       "max_packet_size = 4294967295\n"
					       "log_stats = 0\n"
					       "syslog = 7\n"
					       "query_timeout = 1.5\n"
					       "server_lifetime = .000001\n"
					       "server_idle_timeout = 1234567\n"
					       "client_idle_timeout = 3.\n"
					       "pool_mode = StateMent\n"
					       "auth_type = SCRAM-SHA-256\n"
					       "client_tls_sslmode = DISABLE\n",
					  NULL);

	(void)state;
	assert_int_equal(conf->listen_port, 16);
	assert_int_equal(conf->unix_socket_mode, 0640);
	assert_int_equal(conf->default_pool_size, 2147483647);
	assert_int_equal(conf->max_packet_size, 4294967295);
	assert_shows(conf, "max_packet_size", "4294967295");
	assert_false(conf->log_stats);
	assert_true(conf->syslog);
	assert_int_equal(conf->query_timeout, 1500000);
	assert_int_equal(conf->server_lifetime, 1);
	assert_shows(conf, "query_timeout", "1.5");
	assert_shows(conf, "server_idle_timeout", "1.23457e+06");
	assert_int_equal(conf->client_idle_timeout, 3000000);
	assert_int_equal(conf->pool_mode, PW_MODE_STATEMENT);
	assert_shows(conf, "pool_mode", "statement");
	assert_int_equal(conf->auth_type, PW_AUTH_SCRAM);
	assert_shows(conf, "auth_type", "scram-sha-256");
	pw_conf_unref(conf);
}

static void test_invalid_values(void **state)
{
	static const struct {
		const char *line;
		const char *why;
	} cases[] = {
	    {"max_client_conn = abc", "\"abc\" for max_client_conn: a whole number from 0 to "
				      "2147483647 is expected"},
	    {"max_client_conn =", "\"\" for max_client_conn: a whole number from 0 to 2147483647 "
				  "is expected"},
	    {"max_client_conn = -1", "\"-1\" for max_client_conn: a whole number from 0 to "
				     "2147483647 is expected"},
	    {"max_client_conn = 2147483648", "\"2147483648\" for max_client_conn: a whole number "
					     "from 0 to 2147483647 is expected"},
	    {"max_client_conn = 99999999999999999999",
	     "\"99999999999999999999\" for max_client_conn: a whole number from 0 to 2147483647 "
	     "is expected"},
	    {"max_client_conn = 089", "\"089\" for max_client_conn: a whole number from 0 to "
				      "2147483647 is expected"},
	    {"listen_port = 5432 ; x",
	     "\"5432 ; x\" for listen_port: a whole number from 1 to 65535 is "
	     "expected" COMMENT_HINT},
	    {"pool_mode = session\t# x", "\"session\t# x\" for pool_mode: one of session, "
					 "transaction, statement is expected" COMMENT_HINT},
	    {"query_timeout = ; none", "\"; none\" for query_timeout: a number of seconds from 0 "
				       "to 2147483647 is expected" COMMENT_HINT},
	    {"listen_port = 65536",
	     "\"65536\" for listen_port: a whole number from 1 to 65535 is expected"},
	    {"max_packet_size = -1", "\"-1\" for max_packet_size: a whole number from 64 to "
				     "4294967295 is expected"},
	    {"unix_socket_mode = 01000",
	     "\"01000\" for unix_socket_mode: a whole number from 0 to 0777 is expected"},
	    {"unix_socket_mode = 777",
	     "\"777\" for unix_socket_mode: a whole number from 0 to 0777 "
	     "is expected; octal numbers begin with a 0: 0777"},
	    {"unix_socket_mode = 999",
	     "\"999\" for unix_socket_mode: a whole number from 0 to 0777 is expected"},
	    {"log_stats = on", "\"on\" for log_stats: 0 (off) or 1 (on) is expected"},
	    {"query_timeout = 1min",
	     "\"1min\" for query_timeout: a number of seconds from 0 to 2147483647 is expected"},
	    {"query_timeout = -1",
	     "\"-1\" for query_timeout: a number of seconds from 0 to 2147483647 is expected"},
	    {"query_timeout = .",
	     "\".\" for query_timeout: a number of seconds from 0 to 2147483647 is expected"},
	    {"query_timeout = nan",
	     "\"nan\" for query_timeout: a number of seconds from 0 to 2147483647 is expected"},
	    {"query_timeout = 2147483648", "\"2147483648\" for query_timeout: a number of seconds "
					   "from 0 to 2147483647 is expected"},
	    {"query_timeout = 99999999999999999999999999",
	     "\"99999999999999999999999999\" for query_timeout: a number of seconds from 0 to "
	     "2147483647 is expected"},
	    {"pool_mode = sess", "\"sess\" for pool_mode: one of session, transaction, statement "
				 "is expected"},
	    {"auth_type = ldap",
	     "\"ldap\" for auth_type: one of any, trust, plain, md5, cert, hba, scram-sha-256 is "
	     "expected (ldap is not supported)"},
	    {"auth_type = pam",
	     "\"pam\" for auth_type: one of any, trust, plain, md5, cert, hba, scram-sha-256 is "
	     "expected (pam is not supported)"},
	    {"auth_type = peer", "\"peer\" for auth_type: one of any, trust, plain, md5, cert, "
				 "hba, scram-sha-256 is expected"},
	};
	char text[256], why[512];

	(void)state;
	for (size_t i = 0; i < PW_COUNTOF(cases); i++) {
		snprintf(text, sizeof(text), MAIN "%s\n", cases[i].line);
		snprintf(why, sizeof(why), "t.ini:2: invalid value %s", cases[i].why);
		must_fail(text, why);
	}
}

static void test_unknown_settings(void **state)
{
	(void)state;
	must_fail(MAIN "max_client_con = 1\n",
		  "t.ini:2: unknown parameter \"max_client_con\" in section [pgbouncer]; did you "
		  "mean \"max_client_conn\"?");
	must_fail(MAIN "unlike_anything_there_is = 1\n",
		  "t.ini:2: unknown parameter \"unlike_anything_there_is\" in section [pgbouncer]");
	must_fail(MAIN "service_name = x\n'' = 1\n",
		  "t.ini:2: unknown parameter \"service_name\" in section [pgbouncer]\n"
		  "t.ini:3: unknown parameter \"\" in section [pgbouncer]");
	must_fail(MAIN "auth_dbname = pgbouncer\n",
		  "t.ini:2: cannot use the reserved \"pgbouncer\" database as an auth_dbname");
}

static void test_all_problems_are_told(void **state)
{
	struct pw_strbuf text = PW_STRBUF_INIT;
	struct said said = {PW_STRBUF_INIT, PW_STRBUF_INIT};
	size_t lines = 1;

	(void)state;
	pw_strbuf_add_string(&text, MAIN);
	for (int i = 0; i < 25; i++)
		pw_strbuf_add_string(&text, "listen_port = x\n");
	assert_null(parse(text.data, NULL, &said));
	for (const char *p = said.why.data; *p; p++)
		lines += *p == '\n';
	assert_int_equal(lines, 21);
	assert_non_null(strstr(said.why.data, "t.ini:21: "));
	assert_null(strstr(said.why.data, "t.ini:22: "));
	assert_non_null(strstr(said.why.data, "\nand 5 more"));
	pw_strbuf_fini(&text);
	said_fini(&said);
}

static void test_main_section_again(void **state)
{
	struct pw_conf *conf = must_parse(MAIN "default_pool_size = 5\n"
					       "listen_port = 7000\n"
					       "auth_user = me\n"
					       "[pgweir]\n"
					       "max_client_conn = 7\n",
					  NULL);

	(void)state;
	assert_int_equal(conf->default_pool_size, 20);
	assert_int_equal(conf->listen_port, 7000);
	assert_string_equal(conf->auth_user, "me");
	assert_int_equal(conf->max_client_conn, 7);
	pw_conf_unref(conf);
}

static void test_rules_across_settings(void **state)
{
	(void)state;
	must_fail(MAIN "unix_socket_dir =\n",
		  "t.ini:2: nowhere to listen on: both listen_addr and unix_socket_dir are empty");
	must_fail(MAIN "client_tls_sslmode = allow\nclient_tls_key_file = k\n",
		  "t.ini:2: client_tls_sslmode other than disable needs client_tls_key_file and "
		  "client_tls_cert_file");
	must_fail(MAIN "client_tls_key_file = k\nclient_tls_cert_file = c\n"
		       "client_tls_sslmode = verify-full\n",
		  "t.ini:4: client_tls_sslmode=verify-full needs client_tls_ca_file");
	must_fail(MAIN "auth_type = cert\n",
		  "t.ini:2: auth_type=cert needs client_tls_sslmode=verify-full\n"
		  "t.ini:2: auth_type=cert needs client_tls_ca_file");
	must_fail(MAIN "auth_type = hba\n", "t.ini:2: auth_type=hba needs auth_hba_file");
	must_fail(MAIN "server_tls_key_file = k\n",
		  "t.ini:2: server_tls_key_file needs server_tls_cert_file");
	must_fail(MAIN "server_tls_cert_file = k\n",
		  "t.ini:2: server_tls_cert_file needs server_tls_key_file");
	must_fail(MAIN "server_tls_protocols = secure,legacy\n",
		  "t.ini:2: invalid value \"legacy\" in server_tls_protocols: a list of all, "
		  "secure, default, tlsv1.0, tlsv1.1, tlsv1.2, tlsv1.3 is expected");
	must_fail(
	    MAIN "client_tls_key_file = k\nclient_tls_cert_file = c\n"
		 "client_tls_sslmode = require\nclient_tls_dheparams = legacy\n",
	    "t.ini:5: invalid value \"legacy\" for client_tls_dheparams: one of auto, none is "
	    "expected");
	/* Set in the part that the second header took back: not the place to blame. */
	must_fail("[databases]\n" MAIN "auth_type = cert\n" MAIN "client_tls_sslmode = require\n",
		  "t.ini:5: client_tls_sslmode other than disable needs client_tls_key_file and "
		  "client_tls_cert_file");
}

static void test_rules_that_hold(void **state)
{
	(void)state;
	pw_conf_unref(must_parse(MAIN "unix_socket_dir =\nlisten_addr = *\n", NULL));
	pw_conf_unref(must_parse(MAIN "auth_type = cert\nclient_tls_sslmode = verify-full\n"
				      "client_tls_key_file = k\nclient_tls_cert_file = c\n"
				      "client_tls_ca_file = a\n"
				      "client_tls_protocols = all:!tlsv1.0, !TLSv1.1\n",
				 NULL));
	pw_conf_unref(must_parse(MAIN "server_tls_protocols =\n", NULL));
	pw_conf_unref(must_parse(MAIN "client_tls_protocols = legacy\n", NULL));
}

static void test_connect_query_and_tracking(void **state)
{
	static const char databases[] = "[databases]\na = connect_query='x'\n"
					"b = connect_query='x' pool_mode=session\nc =\n" MAIN;
	static const char *const modes[] = {"pool_mode = transaction\n", "",
					    "pool_mode = transaction\nsession_state = off\n"};

	(void)state;
	for (size_t i = 0; i < PW_COUNTOF(modes); i++) {
		struct said said = {PW_STRBUF_INIT, PW_STRBUF_INIT};
		char text[512];
		struct pw_conf *conf;

		snprintf(text, sizeof(text), "%s%s", databases, modes[i]);
		conf = parse(text, NULL, &said);
		assert_non_null(conf);
		if (i == 0)
			assert_string_equal(said.warnings.data,
					    "t.ini:2: database \"a\" has a connect_query: what its "
					    "clients set stays on "
					    "the server connection, as with session_state = off");
		else
			assert_int_equal(said.warnings.len, 0);
		pw_conf_unref(conf);
		said_fini(&said);
	}
}

static void test_reading_without_cluster(void **state)
{
	struct said said = {PW_STRBUF_INIT, PW_STRBUF_INIT};
	struct pw_conf *conf = parse("[databases]\na = host=x routing=replica\nb = host=x\n"
				     "c = ryw_wait=0\n" MAIN,
				     NULL, &said);

	(void)state;
	assert_non_null(conf);
	assert_string_equal(
	    said.warnings.data,
	    "t.ini:2: database \"a\" is of no cluster: routing, consistency, max_lag "
	    "and their like mean nothing there\n"
	    "t.ini:4: database \"c\" is of no cluster: routing, consistency, max_lag "
	    "and their like mean nothing there");
	pw_conf_unref(conf);
	said_fini(&said);
}

static void test_warnings(void **state)
{
	struct said said = {PW_STRBUF_INIT, PW_STRBUF_INIT};
	struct pw_conf *conf =
	    parse(MAIN "suspend_timeout = 1\nsyslog_facility = loud\n", NULL, &said);

	(void)state;
	assert_non_null(conf);
	assert_string_equal(said.warnings.data,
			    "t.ini:2: suspend_timeout is accepted but has no effect\n"
			    "t.ini:3: unknown syslog_facility \"loud\", daemon is used");
	pw_conf_unref(conf);
	said_fini(&said);
}

/* Where any text will do it is taken, but hardly meant. */
static void test_comments_behind_texts(void **state)
{
	struct said said = {PW_STRBUF_INIT, PW_STRBUF_INIT};
	struct pw_conf *conf = parse(MAIN "monitor_user = watcher   ; CREATE ROLE watcher\n"
					  "admin_users = # nobody\n"
					  "stats_users = a;b, c#d\n"
					  "monitor_password = secret ; word\n"
					  "server_reset_query = SELECT 1 ; SELECT 2\n"
					  "login_notify_message = we are #1 # yes\n",
				     NULL, &said);

	(void)state;
	assert_non_null(conf);
	assert_string_equal(conf->monitor_user, "watcher   ; CREATE ROLE watcher");
	assert_string_equal(said.warnings.data,
			    "t.ini:2: what looks like a comment belongs to the value of "
			    "monitor_user, comments stand on lines of their own\n"
			    "t.ini:3: what looks like a comment belongs to the value of "
			    "admin_users, comments stand on lines of their own");
	pw_conf_unref(conf);
	said_fini(&said);
}

static void test_reload(void **state)
{
	struct said said = {PW_STRBUF_INIT, PW_STRBUF_INIT};
	struct pw_conf *first =
	    must_parse(MAIN "listen_port = 7000\n"
			    "listen_addr = *\n"
			    "default_pool_size = 5\n"
			    "auth_user = me\n"
			    "verbose = 2\n"
			    "user = nobody\n"
			    "[databases]\na = port=1\n[users]\nu = pool_size=1\n",
		       NULL);
	struct pw_conf *second = parse(MAIN "listen_port = 8000\nlisten_addr = *\n"
					    "max_client_conn = 7\n",
				       first, &said);

	(void)state;
	assert_non_null(second);
	/* Every string must be the new one's own. */
	pw_conf_unref(first);
	assert_int_equal(second->listen_port, 7000);
	assert_string_equal(second->listen_addr, "*");
	assert_int_equal(second->default_pool_size, 20);
	assert_int_equal(second->max_client_conn, 7);
	assert_string_equal(second->auth_user, "me");
	assert_string_equal(second->user, "nobody");
	assert_int_equal(second->verbose, 2);
	assert_int_equal(second->n_databases, 0);
	assert_int_equal(second->n_users, 0);
	assert_string_equal(said.warnings.data,
			    "t.ini:2: listen_port cannot change while running, the value in force "
			    "is kept");
	pw_conf_unref(second);
	said_fini(&said);
}

static void test_failed_reload_changes_nothing(void **state)
{
	struct said said = {PW_STRBUF_INIT, PW_STRBUF_INIT};
	struct pw_conf *first = must_parse(MAIN "default_pool_size = 5\n", NULL);

	(void)state;
	assert_null(parse(MAIN "default_pool_size = 6\nlisten_port = x\n", first, &said));
	assert_non_null(strstr(said.why.data, "t.ini:3: invalid value \"x\" for listen_port"));
	assert_int_equal(first->default_pool_size, 5);
	pw_conf_unref(first);
	said_fini(&said);
}

static void test_set(void **state)
{
	struct pw_strbuf why = PW_STRBUF_INIT;
	const struct pw_conf *first = must_parse(MAIN "[databases]\na = port=1\n", NULL);
	const struct pw_conf *second = pw_conf_set(first, "admin_users", "x,y", &why);
	const struct pw_conf *third;

	(void)state;
	assert_non_null(second);
	assert_string_equal(first->admin_users, "");
	pw_conf_unref(first);
	assert_string_equal(second->admin_users, "x,y");
	assert_int_equal(pw_conf_find_db(second, "a")->port, 1);
	/* Start-up only: accepted and ignored. */
	third = pw_conf_set(second, "listen_port", "rubbish", &why);
	assert_ptr_equal(third, second);
	pw_conf_unref(third);
	assert_int_equal(why.len, 0);
	assert_null(pw_conf_set(second, "default_pool_size", "x", &why));
	assert_string_equal(why.data, "invalid value \"x\" for default_pool_size: a whole number "
				      "from 0 to 2147483647 is expected");
	pw_strbuf_reset(&why);
	assert_null(pw_conf_set(second, "defualt_pool_size", "x", &why));
	assert_string_equal(why.data, "unknown parameter \"defualt_pool_size\"; did you mean "
				      "\"default_pool_size\"?");
	pw_strbuf_reset(&why);
	assert_null(pw_conf_set(second, "auth_dbname", "pgbouncer", &why));
	pw_conf_unref(second);
	pw_strbuf_fini(&why);
}

static void test_references(void **state)
{
	struct pw_conf *conf = must_parse(MAIN, NULL);

	(void)state;
	assert_ptr_equal(pw_conf_ref(conf), conf);
	pw_conf_unref(conf);
	assert_int_equal(conf->default_pool_size, 20);
	pw_conf_unref(conf);
	pw_conf_unref(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_defaults),
	    cmocka_unit_test(test_order_of_rows),
	    cmocka_unit_test(test_values_of_each_kind),
	    cmocka_unit_test(test_invalid_values),
	    cmocka_unit_test(test_unknown_settings),
	    cmocka_unit_test(test_all_problems_are_told),
	    cmocka_unit_test(test_main_section_again),
	    cmocka_unit_test(test_rules_across_settings),
	    cmocka_unit_test(test_rules_that_hold),
	    cmocka_unit_test(test_connect_query_and_tracking),
	    cmocka_unit_test(test_reading_without_cluster),
	    cmocka_unit_test(test_warnings),
	    cmocka_unit_test(test_comments_behind_texts),
	    cmocka_unit_test(test_reload),
	    cmocka_unit_test(test_failed_reload_changes_nothing),
	    cmocka_unit_test(test_set),
	    cmocka_unit_test(test_references),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

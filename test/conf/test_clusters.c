/* SPDX-License-Identifier: PostgreSQL
 *
 * [clusters] and [nodes]: names of nodes, times and amounts with units, what is inherited.
 */
#include "conf_test.h"

#define MAIN "[pgweir]\nmonitor_user = watcher\n"

static void test_cluster(void **state)
{
	struct pw_conf *conf = must_parse(
	    "[clusters]\n"
	    "shop = nodes='db1 db2:5433, [::1]:1 /run/x:2' max_lag=500ms max_lag_bytes=16MB "
	    "all_lagging=least monitor_interval=0.05s no_primary_wait=2min balance=latency "
	    "primary_overflow_max=8\n"
	    "[nodes]\n"
	    "db2:5433 = weight=3 role=replica zone=b max_connections=50\n"
	    "'db1:5432' = weight=2\n"
	    "[databases]\n"
	    "shop = cluster=shop\n"
	    "shop_ro = cluster=shop routing=replica balance=random primary_reads=always\n" MAIN
	    "max_lag = 2s\nno_primary_reads = 1min\nzone = a\nslow_start = 5s\nprimary_reads = "
	    "never\n",
	    NULL);
	const struct pw_conf_cluster *cluster = pw_conf_find_cluster(conf, "shop");
	struct pw_conf_cluster all;

	(void)state;
	assert_non_null(cluster);
	assert_null(pw_conf_find_cluster(conf, "other"));
	assert_int_equal(cluster->n_nodes, 4);
	assert_string_equal(cluster->nodes[0].name, "db1:5432");
	assert_string_equal(cluster->nodes[0].host, "db1");
	assert_int_equal(cluster->nodes[0].weight, 2);
	assert_int_equal(cluster->nodes[0].role, PW_NODE_ANY_ROLE);
	assert_string_equal(cluster->nodes[1].name, "db2:5433");
	assert_int_equal(cluster->nodes[1].port, 5433);
	assert_int_equal(cluster->nodes[1].weight, 3);
	assert_int_equal(cluster->nodes[1].max_connections, 50);
	assert_int_equal(cluster->nodes[1].role, PW_NODE_REPLICA_ONLY);
	assert_string_equal(cluster->nodes[1].zone, "b");
	assert_null(cluster->nodes[0].zone);
	assert_string_equal(cluster->nodes[2].name, "[::1]:1");
	assert_string_equal(cluster->nodes[2].host, "::1");
	assert_string_equal(cluster->nodes[3].name, "/run/x:2");
	assert_int_equal(cluster->nodes[3].weight, 1);
	assert_int_equal(cluster->nodes[3].max_connections, 0);
	pw_conf_resolve_cluster(conf, cluster, &all);
	assert_int_equal(all.reading.max_lag, 500000);
	assert_int_equal(all.max_lag_bytes, 16 * 1024 * 1024);
	assert_int_equal(all.monitor_interval, 50000);
	assert_int_equal(all.reading.no_primary_wait, 120000000);
	assert_int_equal(all.reading.no_primary_reads, 60000000);
	assert_int_equal(all.reading.all_lagging, PW_ALL_LAGGING_LEAST);
	assert_int_equal(all.reading.balance, PW_BY_LATENCY);
	assert_string_equal(all.zone, "a");
	assert_int_equal(all.slow_start, 5000000);
	assert_int_equal(all.primary_overflow_max, 8);
	assert_int_equal(all.reading.primary_reads, PW_PRIMARY_READS_NEVER);
	assert_int_equal(pw_conf_find_db(conf, "shop")->reading.primary_reads, -1);
	assert_int_equal(pw_conf_find_db(conf, "shop_ro")->reading.primary_reads,
			 PW_PRIMARY_READS_ALWAYS);
	assert_int_equal(pw_conf_find_db(conf, "shop")->reading.balance, -1);
	assert_int_equal(pw_conf_find_db(conf, "shop_ro")->reading.balance, PW_BY_RANDOM);
	assert_string_equal(all.monitor_user, "watcher");
	assert_string_equal(all.monitor_dbname, "postgres");
	assert_string_equal(pw_conf_find_db(conf, "shop")->cluster, "shop");
	assert_int_equal(pw_conf_find_db(conf, "shop")->reading.routing, -1);
	assert_int_equal(pw_conf_find_db(conf, "shop_ro")->reading.routing, PW_ROUTING_REPLICA);
	pw_conf_unref(conf);
}

static struct pw_pool_conf resolved(const struct pw_conf *conf, const char *db, const char *user)
{
	struct pw_pool_conf out;

	pw_conf_resolve_pool(conf, pw_conf_find_db(conf, db), user, &out);
	return out;
}

/* The user's, the database's, the cluster's, the global one: the first that is set. */
static void test_routing(void **state)
{
	struct pw_conf *conf =
	    must_parse("[clusters]\n"
		       "a = nodes=a\n"
		       "b = nodes=b routing=replica consistency=eventual\n"
		       "[databases]\n"
		       "alone = host=a\n"
		       "auto = cluster=a\n"
		       "session = cluster=a pool_mode=session\n"
		       "query = cluster=a connect_query='SELECT 1'\n"
		       "of_b = cluster=b\n"
		       "own = cluster=b routing=primary consistency=global\n"
		       "[users]\n"
		       "u = routing=split consistency=monotonic\n"
		       "s = pool_mode=session\n" MAIN "pool_mode = transaction\n",
		       NULL);
	static const struct {
		const char *db, *user;
		enum pw_routing routing;
		enum pw_consistency consistency;
	} rows[] = {
	    {"alone", "u", PW_ROUTING_PRIMARY, PW_CONSISTENCY_SESSION},
	    {"auto", "x", PW_ROUTING_SPLIT, PW_CONSISTENCY_SESSION},
	    {"auto", "s", PW_ROUTING_PRIMARY, PW_CONSISTENCY_SESSION},
	    {"session", "x", PW_ROUTING_PRIMARY, PW_CONSISTENCY_SESSION},
	    {"query", "x", PW_ROUTING_PRIMARY, PW_CONSISTENCY_SESSION},
	    {"of_b", "x", PW_ROUTING_REPLICA, PW_CONSISTENCY_EVENTUAL},
	    {"own", "x", PW_ROUTING_PRIMARY, PW_CONSISTENCY_GLOBAL},
	    {"own", "u", PW_ROUTING_SPLIT, PW_CONSISTENCY_MONOTONIC},
	};

	(void)state;
	for (size_t i = 0; i < PW_COUNTOF(rows); i++) {
		struct pw_pool_conf out = resolved(conf, rows[i].db, rows[i].user);

		assert_int_equal(out.reading.routing, rows[i].routing);
		assert_int_equal(out.reading.consistency, rows[i].consistency);
	}
	pw_conf_unref(conf);
}

/* Each of what holds for reading may be said of all, a cluster, a database, a user. */
static void test_reading(void **state)
{
	struct pw_conf *conf = must_parse(
	    "[clusters]\n"
	    "a = nodes=a all_lagging=least balance=random ryw_wait=1s no_primary_wait=1s "
	    "no_primary_reads=1s max_lag=1s primary_reads=always\n"
	    "b = nodes=b\n"
	    "[databases]\n"
	    "of_a = cluster=a\n"
	    "of_b = cluster=b\n"
	    "own = cluster=a all_lagging=error balance=latency ryw_wait=2s no_primary_wait=2s "
	    "no_primary_reads=2s max_lag=2s primary_reads=never\n"
	    "[users]\n"
	    "u = all_lagging=primary balance=round_robin ryw_wait=3s no_primary_wait=3s "
	    "no_primary_reads=3s max_lag=0 primary_reads=fallback\n" MAIN
	    "all_lagging = error\nbalance = round_robin\nryw_wait = 4s\nno_primary_wait = 4s\n"
	    "no_primary_reads = 4s\nmax_lag = 4s\nprimary_reads = never\n",
	    NULL);
	static const struct {
		const char *db, *user;
		int all_lagging, balance, primary_reads;
		int64_t seconds, max_lag;
	} rows[] = {
	    {"of_b", "x", PW_ALL_LAGGING_ERROR, PW_BY_ROUND_ROBIN, PW_PRIMARY_READS_NEVER, 4, -1},
	    {"of_a", "x", PW_ALL_LAGGING_LEAST, PW_BY_RANDOM, PW_PRIMARY_READS_ALWAYS, 1, -1},
	    {"own", "x", PW_ALL_LAGGING_ERROR, PW_BY_LATENCY, PW_PRIMARY_READS_NEVER, 2, 2000000},
	    {"own", "u", PW_ALL_LAGGING_PRIMARY, PW_BY_ROUND_ROBIN, PW_PRIMARY_READS_FALLBACK, 3,
	     0},
	    {"of_b", "u", PW_ALL_LAGGING_PRIMARY, PW_BY_ROUND_ROBIN, PW_PRIMARY_READS_FALLBACK, 3,
	     0},
	};

	(void)state;
	for (size_t i = 0; i < PW_COUNTOF(rows); i++) {
		struct pw_conf_reading out = resolved(conf, rows[i].db, rows[i].user).reading;

		assert_int_equal(out.all_lagging, rows[i].all_lagging);
		assert_int_equal(out.balance, rows[i].balance);
		assert_int_equal(out.primary_reads, rows[i].primary_reads);
		assert_int_equal(out.ryw_wait, rows[i].seconds * 1000000);
		assert_int_equal(out.no_primary_wait, rows[i].seconds * 1000000);
		assert_int_equal(out.no_primary_reads, rows[i].seconds * 1000000);
		assert_int_equal(out.max_lag, rows[i].max_lag);
	}
	pw_conf_unref(conf);
}

/* By itself nobody's sessions are tracked less, or refused, for a cluster. */
static void test_routing_untracked(void **state)
{
	struct pw_conf *conf =
	    must_parse("[clusters]\na = nodes=a\n[databases]\nauto = cluster=a\n" MAIN
		       "pool_mode = transaction\nsession_state = off\n",
		       NULL);

	(void)state;
	assert_int_equal(resolved(conf, "auto", "x").reading.routing, PW_ROUTING_PRIMARY);
	pw_conf_unref(conf);
}

struct error_row {
	const char *text, *why;
};

static void test_errors(void **state)
{
	static const struct error_row rows[] = {
	    {"[clusters]\nc =\n" MAIN, "nodes='host:port host:port' is required"},
	    {"[clusters]\nc = nodes='a:0'\n" MAIN, "node \"a:0\": host:port"},
	    {"[clusters]\nc = nodes='a:65536'\n" MAIN, "node \"a:65536\""},
	    {"[clusters]\nc = nodes='a:5432x'\n" MAIN, "node \"a:5432x\""},
	    {"[clusters]\nc = nodes='a:'\n" MAIN, "node \"a:\""},
	    {"[clusters]\nc = nodes=':5432'\n" MAIN, "node \":5432\""},
	    {"[clusters]\nc = nodes='::1'\n" MAIN, "node \"::1\""},
	    {"[clusters]\nc = nodes='[::1'\n" MAIN, "node \"[::1\""},
	    {"[clusters]\nc = nodes='[::1]5'\n" MAIN, "node \"[::1]5\""},
	    {"[clusters]\nc = nodes='a ; b'\n" MAIN,
	     "node \";\": host:port, [address]:port or /socket/directory:port is "
	     "expected" COMMENT_HINT},
	    {"[clusters]\nc = nodes='a #b'\n" MAIN, "node \"#b\""},
	    {"[clusters]\nc = nodes=a ; b\n" MAIN, COMMENT_HINT},
	    {"[nodes]\na = weight=2   ; it is large\n" MAIN, COMMENT_HINT},
	    {"[clusters]\nc = nodes='a b a:5432'\n" MAIN,
	     "t.ini:2: cluster \"c\" has node \"a:5432\" twice"},
	    {"[clusters]\nc = nodes='a b c d e f g h i j k l m n o p q'\n" MAIN,
	     "more than 16 nodes"},
	    {"[clusters]\nc = nodes=a max_lag=500\n" MAIN, "a time from 0 to 1d"},
	    {"[clusters]\nc = nodes=a max_lag=2days\n" MAIN, "invalid value \"2days\""},
	    {"[clusters]\nc = nodes=a max_lag=2d\n" MAIN, "invalid value \"2d\""},
	    {"[clusters]\nc = nodes=a max_lag=-1s\n" MAIN, "invalid value \"-1s\""},
	    {"[clusters]\nc = nodes=a max_lag=99999999999999999999s\n" MAIN, "invalid value"},
	    {"[clusters]\nc = nodes=a monitor_interval=0\n" MAIN, "from 20ms to 1min"},
	    {"[clusters]\nc = nodes=a max_lag_bytes=1mb\n" MAIN, "an amount from 0 to 1TB"},
	    {"[clusters]\nc = nodes=a max_leg=1s\n" MAIN, "did you mean \"max_lag\"?"},
	    {"[nodes]\n'[::1' = weight=1\n" MAIN, "node \"[::1\""},
	    {"[nodes]\na = weight=0\n" MAIN, "from 1 to 1000"},
	    {"[nodes]\na = max_connections=-1\n" MAIN, "max_connections"},
	    {"[databases]\na =\nd = cluster=c\nd = cluster=c\n" MAIN,
	     "t.ini:4: database \"d\": there is no cluster \"c\""},
	    {"[clusters]\nc = nodes=a\n[databases]\nd = cluster=c host=b\n" MAIN,
	     "t.ini:4: database \"d\" has both cluster and host"},
	    {"[clusters]\nc = nodes=a\n[pgweir]\nmonitor_user =\n",
	     "t.ini:2: cluster \"c\" needs a monitor_user"},
	    {"[clusters]\nc = nodes=a\n" MAIN "server_tls_sslmode = verify-ca\n",
	     "needs server_tls_ca_file"},
	};
	struct said said = {PW_STRBUF_INIT, PW_STRBUF_INIT};

	(void)state;
	for (size_t i = 0; i < PW_COUNTOF(rows); i++) {
		struct pw_conf *conf = parse(rows[i].text, NULL, &said);

		if (conf || !strstr(said.why.data, rows[i].why))
			print_error("%s: %s\n", rows[i].text, said.why.data);
		assert_null(conf);
		assert_non_null(strstr(said.why.data, rows[i].why));
	}
	said_fini(&said);
}

#define MEANS_NOTHING "is of no cluster: what is said of it means nothing"
#define IS_SHORT(cluster)                                                                          \
	"max_lag is below three times the monitor_interval of cluster \"" cluster                  \
	"\": replicas that keep up may be taken to lag"

static void test_warnings(void **state)
{
	static const struct {
		const char *text, *warnings;
	} rows[] = {
	    {"[clusters]\nc = nodes='db1:5433 db2'\n"
	     "[nodes]\ndb1:5433 = weight=2\ndb2 = weight=2\n" MAIN,
	     ""},
	    {"[clusters]\nc = nodes='db1:5433 db2'\n"
	     "[nodes]\ndb2:5432 = weight=2\ndb1 = weight=2\nreplica7 = weight=2\n" MAIN,
	     "t.ini:5: node \"db1:5432\" " MEANS_NOTHING "; did you mean \"db1:5433\"?\n"
	     "t.ini:6: node \"replica7:5432\" " MEANS_NOTHING},
	    {"[nodes]\ndb1 = weight=2\n" MAIN, "t.ini:2: node \"db1:5432\" " MEANS_NOTHING},
	    /* Three rounds, and no limit, are good. */
	    {"[clusters]\nc = nodes=a max_lag=600ms monitor_interval=200ms\n"
	     "[databases]\nd = cluster=c max_lag=0\n[users]\nu = max_lag=600ms\n" MAIN,
	     ""},
	    {"[clusters]\nc = nodes=a max_lag=599ms monitor_interval=200ms\n"
	     "[databases]\nd = cluster=c max_lag=1ms\ne = cluster=c\n"
	     "[users]\nu = max_lag=599ms\n" MAIN,
	     "t.ini:2: cluster \"c\": " IS_SHORT("c") "\n"
						      "t.ini:4: database \"d\": " IS_SHORT(
							  "c") "\n"
							       "t.ini:7: user \"u\": " IS_SHORT(
								   "c")},
	    {"[clusters]\nb = nodes=b monitor_interval=1s\nc = nodes=a\n"
	     "[databases]\nd = cluster=c max_lag=1s\n" MAIN "max_lag = 2s\n",
	     "t.ini:2: cluster \"b\": " IS_SHORT("b")},
	    /* Where nobody is asked, a user's means nothing. */
	    {"[users]\nu = max_lag=1ms\n" MAIN, ""},
	};
	struct said said = {PW_STRBUF_INIT, PW_STRBUF_INIT};

	(void)state;
	for (size_t i = 0; i < PW_COUNTOF(rows); i++) {
		struct pw_conf *conf = parse(rows[i].text, NULL, &said);

		assert_string_equal(said.why.data, "");
		assert_string_equal(said.warnings.data, rows[i].warnings);
		pw_conf_unref(conf);
	}
	said_fini(&said);
}

static void assert_shown(const char *written, const char *shown)
{
	struct pw_strbuf text = PW_STRBUF_INIT, out = PW_STRBUF_INIT;
	struct pw_setting_row row;
	struct pw_conf *conf;

	pw_strbuf_printf(&text, MAIN "monitor_password = secret\nmax_lag = %s\n", written);
	conf = must_parse(text.data, NULL);
	for (size_t i = 0; i < pw_conf_setting_count(); i++) {
		pw_conf_setting_row(i, &row);
		if (strcmp(row.name, "max_lag") == 0)
			assert_true(pw_conf_setting_value(conf, i, &out));
	}
	assert_string_equal(out.data, shown);
	pw_strbuf_fini(&out);
	for (size_t i = 0; i < pw_conf_setting_count(); i++)
		(void)pw_conf_setting_value(conf, i, &out);
	assert_null(strstr(out.data, "secret"));
	pw_strbuf_fini(&out);
	pw_strbuf_fini(&text);
	pw_conf_unref(conf);
}

static void test_shown(void **state)
{
	(void)state;
	assert_shown("500ms", "500ms");
	assert_shown("0.5s", "500ms");
	assert_shown("1500ms", "1500ms");
	assert_shown("120 s", "2min");
	assert_shown("24h", "1d");
	assert_shown("0", "0");
}

static void test_single_values(void **state)
{
	struct pw_strbuf why = PW_STRBUF_INIT;
	int64_t us = 7;
	int weight = 7;

	(void)state;
	assert_true(pw_conf_read_max_lag("1.5s", &us, &why));
	assert_int_equal(us, 1500000);
	assert_true(pw_conf_read_max_lag("0", &us, &why));
	assert_int_equal(us, 0);
	assert_true(pw_conf_read_weight("1000", &weight, &why));
	assert_int_equal(weight, 1000);
	assert_int_equal(why.len, 0);
	assert_false(pw_conf_read_max_lag("2", &us, &why));
	assert_string_equal(why.data, "invalid value \"2\" for max_lag: a time from 0 to 1d, as "
				      "500ms, 2s, 1min, 1h is expected");
	pw_strbuf_reset(&why);
	assert_false(pw_conf_read_weight("0", &weight, &why));
	assert_string_equal(why.data, "invalid value \"0\" for weight: a whole number from 1 to "
				      "1000 is expected");
	assert_int_equal(us, 0);
	assert_int_equal(weight, 1000);
	pw_strbuf_fini(&why);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_routing),
	    cmocka_unit_test(test_reading),
	    cmocka_unit_test(test_routing_untracked),
	    cmocka_unit_test(test_cluster),
	    cmocka_unit_test(test_errors),
	    cmocka_unit_test(test_warnings),
	    cmocka_unit_test(test_shown),
	    cmocka_unit_test(test_single_values),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

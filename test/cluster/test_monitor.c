/* SPDX-License-Identifier: PostgreSQL
 *
 * What the monitor makes of configurations. Nobody answers at its nodes: their sockets' directory
 * is not there.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "../conf/conf_test.h"
#include "pgweir/cluster/monitor.h"

#define HOST     "/nonexistent/pgweir"
#define NOWHERE  HOST ":"
#define TWO      "nodes = '" NOWHERE "1 " NOWHERE "2'"
#define SETTINGS "[databases]\n[pgweir]\nmonitor_user = m\n[clusters]\n"

struct world {
	struct pw_loop loop;
	struct pw_mailbox mailbox;
	struct pw_log log;
	struct pw_logctx logctx;
	struct pw_clusters clusters;
	struct pw_monitor monitor;
	struct pw_userdb *users;
	struct pw_cluster_eye eye;
	unsigned n_changes;
};

static void count_change(void *arg, struct pw_cluster *cluster PW_UNUSED)
{
	struct world *w = arg;

	w->n_changes++;
}

static void set(struct world *w, const char *clusters)
{
	char text[1024];
	struct pw_conf *conf;

	snprintf(text, sizeof(text), SETTINGS "%s", clusters);
	conf = must_parse(text, NULL);
	pw_monitor_set(&w->monitor, conf, w->users);
	pw_conf_unref(conf);
}

static const struct pw_cluster_view *look(struct world *w, const char *cluster)
{
	/* It may have been another cluster's. */
	pw_cluster_eye_fini(&w->eye);
	return pw_cluster_look(pw_clusters_get(&w->clusters, cluster), &w->eye);
}

static bool have_all_told(const struct pw_cluster_view *view)
{
	for (size_t i = 0; view && i < view->health.n; i++) {
		if (!view->health.nodes[i].has_told)
			return false;
	}
	return view != NULL;
}

static void begin(struct world *w, const char *clusters)
{
	const struct pw_hash_key key = {1, 2};
	struct pw_strbuf warnings = PW_STRBUF_INIT;

	memset(w, 0, sizeof(*w));
	pw_log_init(&w->log);
	atomic_store(&w->log.stderr_fd, -1);
	w->logctx.log = &w->log;
	assert_int_equal(pw_loop_init(&w->loop, &pw_clock_system), PW_OK);
	assert_int_equal(pw_mailbox_init(&w->mailbox, &w->loop, w), PW_OK);
	pw_clusters_init(&w->clusters);
	w->users = pw_userdb_parse("", 0, "none", &key, &warnings);
	pw_strbuf_fini(&warnings);
	pw_monitor_init(&w->monitor, &w->loop, NULL, &w->mailbox, &w->clusters, &w->logctx);
	w->monitor.on_change = count_change;
	w->monitor.arg = w;
	set(w, clusters);
	while (!have_all_told(look(w, "shop")))
		pw_loop_turn(&w->loop, true);
}

static void end(struct world *w)
{
	pw_cluster_eye_fini(&w->eye);
	pw_monitor_fini(&w->monitor);
	pw_userdb_unref(w->users);
	pw_clusters_fini(&w->clusters);
	pw_mailbox_fini(&w->mailbox);
	pw_loop_fini(&w->loop);
	pw_log_fini(&w->log);
}

/* Those of the nodes too, though their connections stay. */
static void test_reload_of_numbers(void **state PW_UNUSED)
{
	struct world w;
	const struct pw_cluster_view *view;

	begin(&w, "shop = max_lag=1s zone=x " TWO "\n[nodes]\n'" NOWHERE "2' = weight=3 zone=x\n");
	view = look(&w, "shop");
	assert_int_equal(view->health.max_lag_us, 1000 * 1000);
	assert_int_equal(view->places[0].weight, 1);
	assert_int_equal(view->places[1].weight, 3);
	assert_false(view->health.nodes[1].is_replica_only);
	assert_true(view->places[0].is_far);
	assert_false(view->places[1].is_far);
	set(&w, "shop = max_lag=2s " TWO "\n[nodes]\n'" NOWHERE "2' = weight=5 role=replica\n");
	view = look(&w, "shop");
	assert_int_equal(view->health.max_lag_us, 2 * 1000 * 1000);
	assert_int_equal(view->places[0].weight, 1);
	assert_int_equal(view->places[1].weight, 5);
	assert_true(view->health.nodes[1].is_replica_only);
	assert_false(view->places[0].is_far);
	assert_false(view->places[1].is_far);
	assert_int_equal(view->health.nodes[1].state, PW_NODE_DOWN);
	end(&w);
}

static bool obeys(struct world *w, enum pw_order_kind kind, const char *target, const char *value,
		  struct pw_error *err)
{
	const struct pw_order order = {kind, target, value, "admin"};

	return pw_monitor_obey(&w->monitor, &order, err);
}

static enum pw_hold_kind held(struct world *w, const char *cluster, size_t node)
{
	return look(w, cluster)->health.nodes[node].hold.kind;
}

static void test_orders(void **state PW_UNUSED)
{
	struct world w;
	struct pw_error err;
	unsigned n_changes;

	begin(&w, "shop = max_lag=1s " TWO "\n");
	n_changes = w.n_changes;
	assert_true(obeys(&w, PW_ORDER_DRAIN, NOWHERE "1", NULL, &err));
	assert_int_equal(held(&w, "shop", 0), PW_HOLD_DRAINED);
	assert_int_equal(w.n_changes, n_changes + 1);
	assert_true(obeys(&w, PW_ORDER_WEIGHT, NOWHERE "1", "9", &err));
	assert_int_equal(look(&w, "shop")->places[0].weight, 9);
	assert_int_equal(w.n_changes, n_changes + 2);
	assert_true(obeys(&w, PW_ORDER_MAX_LAG, "shop", "3s", &err));
	assert_int_equal(look(&w, "shop")->health.max_lag_us, 3 * 1000 * 1000);
	assert_int_equal(w.n_changes, n_changes + 3);
	assert_false(obeys(&w, PW_ORDER_BAN, NOWHERE "3", NULL, &err));
	assert_string_equal(err.message, "no such node: " NOWHERE "3");
	assert_false(obeys(&w, PW_ORDER_MAX_LAG, "stop", "3s", &err));
	assert_string_equal(err.message, "no such cluster: stop");
	assert_false(obeys(&w, PW_ORDER_DRAIN, NOWHERE "1", NULL, &err));
	assert_int_equal(w.n_changes, n_changes + 3);
	end(&w);
}

static void test_node_of_two_clusters(void **state PW_UNUSED)
{
	struct world w;
	struct pw_error err;

	begin(&w, "shop = " TWO "\nstore = nodes = '" NOWHERE "2'\n");
	assert_false(obeys(&w, PW_ORDER_BAN, NOWHERE "2", NULL, &err));
	assert_string_equal(err.message, NOWHERE "2 may be more than one node");
	assert_string_equal(err.hint, "Say which: shop/" NOWHERE "2, store/" NOWHERE "2.");
	assert_true(obeys(&w, PW_ORDER_BAN, "store/" NOWHERE "2", NULL, &err));
	while (!have_all_told(look(&w, "store")))
		pw_loop_turn(&w.loop, true);
	assert_int_equal(held(&w, "store", 0), PW_HOLD_BANNED);
	assert_int_equal(held(&w, "shop", 1), PW_HOLD_NONE);
	/* Two nodes have that host. */
	assert_false(obeys(&w, PW_ORDER_BAN, "shop/" HOST, NULL, &err));
	assert_string_equal(err.hint, "Say which: shop/" NOWHERE "1, shop/" NOWHERE "2.");
	end(&w);
}

/* What was said of a node stays as long as it does; numbers are the configuration's again. */
static void test_orders_and_reloads(void **state PW_UNUSED)
{
	struct world w;
	struct pw_error err;

	begin(&w, "shop = max_lag=1s " TWO "\n");
	assert_true(obeys(&w, PW_ORDER_BAN, NOWHERE "2", NULL, &err));
	assert_true(obeys(&w, PW_ORDER_WEIGHT, NOWHERE "2", "9", &err));
	assert_true(obeys(&w, PW_ORDER_MAX_LAG, "shop", "3s", &err));
	set(&w, "shop = max_lag=1s " TWO "\n");
	assert_int_equal(held(&w, "shop", 1), PW_HOLD_BANNED);
	assert_int_equal(look(&w, "shop")->places[1].weight, 1);
	assert_int_equal(look(&w, "shop")->health.max_lag_us, 1000 * 1000);
	/* Other nodes, and so other connections. */
	set(&w, "shop = nodes = '" NOWHERE "3 " NOWHERE "2'\n");
	while (strcmp(look(&w, "shop")->places[0].name, NOWHERE "3") != 0)
		pw_loop_turn(&w.loop, true);
	assert_int_equal(held(&w, "shop", 0), PW_HOLD_NONE);
	assert_int_equal(held(&w, "shop", 1), PW_HOLD_BANNED);
	/* It went, and is another one now. */
	set(&w, "shop = nodes = '" NOWHERE "3'\n");
	set(&w, "shop = nodes = '" NOWHERE "3 " NOWHERE "2'\n");
	while (look(&w, "shop")->health.n != 2 || held(&w, "shop", 1) != PW_HOLD_NONE)
		pw_loop_turn(&w.loop, true);
	end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_reload_of_numbers),
	    cmocka_unit_test(test_orders),
	    cmocka_unit_test(test_node_of_two_clusters),
	    cmocka_unit_test(test_orders_and_reloads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

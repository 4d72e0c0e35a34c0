/* SPDX-License-Identifier: PostgreSQL
 *
 * What operators may order, and when.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "pgweir/cluster/order.h"

enum { NODES = 3 };

/* A primary and two replicas. */
struct world {
	struct pw_conf_node configured[NODES];
	struct pw_conf_cluster settings;
	struct pw_health health;
	struct pw_node_place places[NODES];
	struct pw_error err;
};

static void begin(struct world *w)
{
	static const char *const names[NODES] = {"a:5432", "b:5432", "/run/c:5432"};
	static const char *const hosts[NODES] = {"a", "b", "/run/c"};

	memset(w, 0, sizeof(*w));
	pw_health_init(&w->health, NODES, 1);
	for (size_t i = 0; i < NODES; i++) {
		w->configured[i].weight = 2;
		w->places[i] =
		    (struct pw_node_place){names[i], hosts[i], 5432, .weight = 2, .slot = (int)i};
		w->health.nodes[i].state = i == 0 ? PW_NODE_PRIMARY : PW_NODE_READY;
	}
	w->settings.nodes = w->configured;
	w->settings.n_nodes = NODES;
	w->settings.reading.max_lag = 1000;
	w->health.max_lag_us = 1000;
	w->health.primary = 0;
}

static struct pw_order_object object_of(struct world *w, size_t node)
{
	return (struct pw_order_object){"shop", &w->settings, &w->health, w->places, node, 9};
}

static bool order(struct world *w, enum pw_order_kind kind, size_t node, const char *value)
{
	const struct pw_order order = {kind, "x", value, "admin"};
	const struct pw_order_object object = object_of(w, node);

	memset(&w->err, 0, sizeof(w->err));
	return pw_order_obey(&order, &object, &w->err);
}

static void assert_refused(struct world *w, enum pw_order_kind kind, size_t node, const char *value,
			   const char *message)
{
	const struct world before = *w;

	assert_false(order(w, kind, node, value));
	assert_string_equal(w->err.message, message);
	assert_int_equal(w->err.severity, PW_SEVERITY_ERROR);
	assert_memory_equal(&w->health, &before.health, sizeof(w->health));
	assert_memory_equal(w->places, before.places, sizeof(w->places));
}

static enum pw_hold_kind held(const struct world *w, size_t node)
{
	return w->health.nodes[node].hold.kind;
}

static void test_names(void **state PW_UNUSED)
{
	static const struct {
		const char *text;
		int node; /* -1 = none */
	} rows[] = {
	    {"b:5432", 1},      {"b", 1},         {"shop/b:5432", 1}, {"shop/b", 1},  {"/run/c", 2},
	    {"shop//run/c", 2}, {"b:5433", -1},   {"B", -1},          {"sho/b", -1},  {"", -1},
	    {"other/b", -1},    {"shop/", -1},    {"shop", -1},       {"shopb", -1},  {"5432", -1},
	    {"a:5432", 0},      {"/run/c:5", -1}, {"/b", -1},         {"shop/B", -1}, {"b:", -1},
	};
	struct world w;

	begin(&w);
	for (size_t i = 0; i < PW_COUNTOF(rows); i++) {
		const struct pw_order order = {PW_ORDER_DRAIN, rows[i].text, NULL, "admin"};

		for (size_t node = 0; node < NODES; node++) {
			const struct pw_order_object object = object_of(&w, node);

			assert_int_equal(pw_order_means(&order, &object),
					 rows[i].node == (int)node);
		}
	}
}

static void test_drain(void **state PW_UNUSED)
{
	struct world w;

	begin(&w);
	assert_true(order(&w, PW_ORDER_DRAIN, 1, NULL));
	assert_int_equal(held(&w, 1), PW_HOLD_DRAINED);
	assert_int_equal(w.health.nodes[1].hold.since_us, 9);
	assert_string_equal(w.health.nodes[1].hold.by, "admin");
	assert_refused(&w, PW_ORDER_DRAIN, 1, NULL, "node b:5432 is already drained");
	assert_true(order(&w, PW_ORDER_UNBAN, 1, NULL));
	assert_int_equal(held(&w, 1), PW_HOLD_NONE);
	assert_refused(&w, PW_ORDER_UNBAN, 1, NULL, "node b:5432 is neither drained nor banned");
	assert_refused(&w, PW_ORDER_DRAIN, 0, NULL,
		       "cannot drain node a:5432: it is the primary of cluster shop");
	assert_string_equal(w.err.sqlstate, PW_SQLSTATE_OBJECT_NOT_IN_STATE);
	assert_string_equal(w.err.detail, "All writes would stop.");
	assert_non_null(strstr(w.err.hint, "PAUSE"));
	/* Nor while it does not answer. */
	w.health.nodes[0].state = PW_NODE_DOWN;
	assert_refused(&w, PW_ORDER_DRAIN, 0, NULL,
		       "cannot drain node a:5432: it is the primary of cluster shop");
}

static void test_ban(void **state PW_UNUSED)
{
	struct world w;

	begin(&w);
	assert_true(order(&w, PW_ORDER_BAN, 1, NULL));
	assert_int_equal(held(&w, 1), PW_HOLD_BANNED);
	assert_refused(&w, PW_ORDER_BAN, 1, NULL, "node b:5432 is already banned");
	assert_refused(&w, PW_ORDER_DRAIN, 1, NULL, "node b:5432 is already banned");
	assert_true(order(&w, PW_ORDER_UNBAN, 1, NULL));
	/* More of the same. */
	assert_true(order(&w, PW_ORDER_DRAIN, 1, NULL));
	assert_true(order(&w, PW_ORDER_BAN, 1, NULL));
	assert_int_equal(held(&w, 1), PW_HOLD_BANNED);
	assert_refused(&w, PW_ORDER_BAN, 0, NULL,
		       "cannot ban node a:5432: it is the primary of cluster shop");
	assert_string_equal(w.err.hint, "BAN x FORCE does it nevertheless.");
	assert_true(order(&w, PW_ORDER_BAN_FORCE, 0, NULL));
	assert_int_equal(held(&w, 0), PW_HOLD_BANNED);
	assert_true(order(&w, PW_ORDER_BAN_FORCE, 2, NULL));
}

static void test_weight(void **state PW_UNUSED)
{
	struct world w;

	begin(&w);
	assert_true(order(&w, PW_ORDER_WEIGHT, 1, "7"));
	assert_int_equal(w.places[1].weight, 7);
	assert_int_equal(w.places[2].weight, 2);
	assert_true(order(&w, PW_ORDER_WEIGHT, 1, "default"));
	assert_int_equal(w.places[1].weight, 2);
	assert_refused(&w, PW_ORDER_WEIGHT, 1, "0",
		       "invalid value \"0\" for weight: a whole number from 1 to 1000 is expected");
	assert_string_equal(w.err.sqlstate, PW_SQLSTATE_INVALID_PARAMETER);
	assert_string_equal(w.err.hint, "DRAIN and BAN keep clients from a node.");
}

static void test_max_lag(void **state PW_UNUSED)
{
	struct world w;

	begin(&w);
	assert_true(order(&w, PW_ORDER_MAX_LAG, 0, "2s"));
	assert_int_equal(w.health.max_lag_us, 2000000);
	assert_true(order(&w, PW_ORDER_MAX_LAG, 0, "0"));
	assert_int_equal(w.health.max_lag_us, 0);
	assert_true(order(&w, PW_ORDER_MAX_LAG, 0, "DEFAULT"));
	assert_int_equal(w.health.max_lag_us, 1000);
	assert_refused(&w, PW_ORDER_MAX_LAG, 0, "2",
		       "invalid value \"2\" for max_lag: a time from 0 to 1d, as 500ms, 2s, 1min, "
		       "1h is expected");
}

/* It takes writes, and answers. */
static void make_writable(struct world *w, size_t i, uint32_t timeline)
{
	struct pw_node *node = &w->health.nodes[i];

	node->has_told = true;
	node->sample.probe = 1;
	node->sample.answer.timeline = timeline;
	node->sample.answer.flush = node->sample.answer.insert = 100;
}

static void test_promote(void **state PW_UNUSED)
{
	struct world w;

	begin(&w);
	assert_refused(&w, PW_ORDER_PROMOTE, 1, NULL,
		       "cannot follow node b:5432: it is ready, and takes no writes");
	assert_refused(&w, PW_ORDER_PROMOTE, 0, NULL,
		       "there is nothing to decide in cluster shop: the primary is a:5432");
	w.health.primary = PW_NO_NODE;
	make_writable(&w, 0, 1);
	make_writable(&w, 1, 2);
	make_writable(&w, 2, 2);
	pw_health_judge(&w.health, 1);
	assert_int_equal(w.health.primary, PW_NO_NODE);
	assert_refused(
	    &w, PW_ORDER_PROMOTE, 0, NULL,
	    "cannot follow node a:5432: another one takes writes on a higher timeline than 1");
	assert_true(order(&w, PW_ORDER_BAN, 1, NULL));
	assert_refused(&w, PW_ORDER_PROMOTE, 1, NULL, "cannot follow node b:5432: it is banned");
	assert_true(order(&w, PW_ORDER_UNBAN, 1, NULL));
	w.health.nodes[1].is_replica_only = true;
	assert_refused(&w, PW_ORDER_PROMOTE, 1, NULL,
		       "cannot follow node b:5432: it has role=replica in the configuration");
	w.health.nodes[1].is_replica_only = false;
	assert_true(order(&w, PW_ORDER_PROMOTE, 1, NULL));
	pw_health_judge(&w.health, 1);
	assert_int_equal(w.health.primary, 1);
	/* The other one after all. */
	assert_true(order(&w, PW_ORDER_PROMOTE, 2, NULL));
	pw_health_judge(&w.health, 1);
	assert_int_equal(w.health.primary, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_names),   cmocka_unit_test(test_drain),
	    cmocka_unit_test(test_ban),     cmocka_unit_test(test_weight),
	    cmocka_unit_test(test_max_lag), cmocka_unit_test(test_promote),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

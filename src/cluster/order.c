/* SPDX-License-Identifier: PostgreSQL
 *
 * The rules of orders: one function each, in one table.
 */
#include "config.h"

#include "pgweir/cluster/order.h"

#include <stdarg.h>
#include <string.h>
#include <strings.h>

#include "pgweir/base/strbuf.h"

/* ---- what is meant ---- */

bool pw_order_is_of_cluster(const struct pw_order *order)
{
	return order->kind == PW_ORDER_MAX_LAG;
}

static bool names_node(const char *text, const struct pw_node_place *place)
{
	return strcmp(text, place->name) == 0 || strcmp(text, place->host) == 0;
}

bool pw_order_means(const struct pw_order *order, const struct pw_order_object *object)
{
	const struct pw_node_place *place = &object->places[object->node];
	size_t len = strlen(object->cluster);

	if (pw_order_is_of_cluster(order))
		return strcmp(order->target, object->cluster) == 0;
	if (names_node(order->target, place))
		return true;
	return strncmp(order->target, object->cluster, len) == 0 && order->target[len] == '/' &&
	       names_node(order->target + len + 1, place);
}

/* ---- refusing ---- */

static const char *name_of(const struct pw_order_object *object)
{
	return object->places[object->node].name;
}

static const struct pw_node *node_of(const struct pw_order_object *object)
{
	return &object->health->nodes[object->node];
}

static bool is_primary(const struct pw_order_object *object)
{
	return object->health->primary == (int)object->node;
}

PW_PRINTF(3, 4)
static bool refuse(struct pw_error *err, const char *sqlstate, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	pw_error_vset(err, sqlstate, fmt, args);
	va_end(args);
	err->severity = PW_SEVERITY_ERROR;
	return false;
}

static bool refuse_value(struct pw_error *err, struct pw_strbuf *why)
{
	(void)refuse(err, PW_SQLSTATE_INVALID_PARAMETER, "%s", why->data ? why->data : "");
	pw_strbuf_fini(why);
	return false;
}

static bool refuse_held(const struct pw_order_object *object, struct pw_error *err)
{
	return refuse(err, PW_SQLSTATE_OBJECT_NOT_IN_STATE, "node %s is already %s",
		      name_of(object), pw_hold_name(node_of(object)->hold.kind));
}

static bool refuse_primary(const struct pw_order_object *object, const char *word,
			   struct pw_error *err)
{
	(void)refuse(err, PW_SQLSTATE_OBJECT_NOT_IN_STATE,
		     "cannot %s node %s: it is the primary of cluster %s", word, name_of(object),
		     object->cluster);
	pw_error_detail(err, "All writes would stop.");
	return false;
}

/* ---- clients, or none ---- */

static void hold(const struct pw_order *order, const struct pw_order_object *object,
		 enum pw_hold_kind kind)
{
	pw_health_hold(object->health, object->node, kind, order->by, object->now_us);
}

static bool drain(const struct pw_order *order, const struct pw_order_object *object,
		  struct pw_error *err)
{
	if (is_primary(object)) {
		(void)refuse_primary(object, "drain", err);
		pw_error_hint(err, "Promote another node, which pgweir then follows; or PAUSE the "
				   "databases.");
		return false;
	}
	if (node_of(object)->hold.kind != PW_HOLD_NONE)
		return refuse_held(object, err);
	hold(order, object, PW_HOLD_DRAINED);
	return true;
}

static bool ban(const struct pw_order *order, const struct pw_order_object *object,
		struct pw_error *err)
{
	if (is_primary(object) && order->kind != PW_ORDER_BAN_FORCE) {
		(void)refuse_primary(object, "ban", err);
		pw_error_hint(err, "BAN %.120s FORCE does it nevertheless.", order->target);
		return false;
	}
	if (node_of(object)->hold.kind == PW_HOLD_BANNED)
		return refuse_held(object, err);
	hold(order, object, PW_HOLD_BANNED);
	return true;
}

static bool unban(const struct pw_order *order, const struct pw_order_object *object,
		  struct pw_error *err)
{
	if (node_of(object)->hold.kind == PW_HOLD_NONE)
		return refuse(err, PW_SQLSTATE_OBJECT_NOT_IN_STATE,
			      "node %s is neither drained nor banned", name_of(object));
	hold(order, object, PW_HOLD_NONE);
	return true;
}

/* ---- numbers ---- */

static bool is_default(const struct pw_order *order)
{
	return strcasecmp(order->value, "DEFAULT") == 0;
}

static bool set_weight(const struct pw_order *order, const struct pw_order_object *object,
		       struct pw_error *err)
{
	int weight = object->settings->nodes[object->node].weight;
	struct pw_strbuf why = PW_STRBUF_INIT;

	if (!is_default(order) && !pw_conf_read_weight(order->value, &weight, &why)) {
		(void)refuse_value(err, &why);
		pw_error_hint(err, "DRAIN and BAN keep clients from a node.");
		return false;
	}
	object->places[object->node].weight = weight;
	return true;
}

static bool set_max_lag(const struct pw_order *order, const struct pw_order_object *object,
			struct pw_error *err)
{
	int64_t max_lag = object->settings->reading.max_lag;
	struct pw_strbuf why = PW_STRBUF_INIT;

	if (!is_default(order) && !pw_conf_read_max_lag(order->value, &max_lag, &why))
		return refuse_value(err, &why);
	object->health->max_lag_us = (uint64_t)max_lag;
	return true;
}

/* ---- whom to follow ---- */

static bool writes_above(const struct pw_health *health, const struct pw_node *node)
{
	for (size_t i = 0; i < health->n; i++) {
		const struct pw_node *other = &health->nodes[i];

		if ((other->state == PW_NODE_PRIMARY || other->state == PW_NODE_FENCED) &&
		    other->sample.answer.timeline > node->sample.answer.timeline)
			return true;
	}
	return false;
}

static bool refuse_choice(const struct pw_order_object *object, struct pw_error *err)
{
	const struct pw_health *health = object->health;

	if (health->is_torn || writes_above(health, node_of(object)))
		return refuse(err, PW_SQLSTATE_OBJECT_NOT_IN_STATE,
			      "cannot follow node %s: another one takes writes on a higher "
			      "timeline than %u",
			      name_of(object), (unsigned)node_of(object)->sample.answer.timeline);
	(void)refuse(
	    err, PW_SQLSTATE_OBJECT_NOT_IN_STATE, "there is nothing to decide in cluster %s: %s %s",
	    object->cluster, health->primary == PW_NO_NODE ? "it has" : "the primary is",
	    health->primary == PW_NO_NODE ? "no primary" : object->places[health->primary].name);
	pw_error_hint(err, "PROMOTE chooses between nodes that were promoted apart, as SHOW "
			   "CLUSTERS tells in the column torn, or one on a lower timeline where "
			   "none answers on the highest.");
	return false;
}

static bool promote(const struct pw_order *order PW_UNUSED, const struct pw_order_object *object,
		    struct pw_error *err)
{
	const struct pw_node *node = node_of(object);

	if (node->is_replica_only)
		return refuse(err, PW_SQLSTATE_OBJECT_NOT_IN_STATE,
			      "cannot follow node %s: it has role=replica in the configuration",
			      name_of(object));
	if (node->state != PW_NODE_PRIMARY && node->state != PW_NODE_FENCED) {
		(void)refuse(err, PW_SQLSTATE_OBJECT_NOT_IN_STATE,
			     "cannot follow node %s: it is %s, and takes no writes",
			     name_of(object), pw_node_state_name(node->state));
		pw_error_hint(err, "pgweir promotes nobody, but follows at once who was promoted "
				   "by pg_promote() or pg_ctl promote.");
		return false;
	}
	if (node->hold.kind == PW_HOLD_BANNED) {
		(void)refuse(err, PW_SQLSTATE_OBJECT_NOT_IN_STATE,
			     "cannot follow node %s: it is banned", name_of(object));
		pw_error_hint(err, "UNBAN comes first.");
		return false;
	}
	return pw_health_choose(object->health, object->node) || refuse_choice(object, err);
}

/* ---- all ---- */

static const struct {
	const char *word;
	bool (*obey)(const struct pw_order *order, const struct pw_order_object *object,
		     struct pw_error *err);
} orders[PW_ORDER_KINDS] = {
    [PW_ORDER_DRAIN] = {"DRAIN", drain},           [PW_ORDER_BAN] = {"BAN", ban},
    [PW_ORDER_BAN_FORCE] = {"BAN", ban},           [PW_ORDER_UNBAN] = {"UNBAN", unban},
    [PW_ORDER_WEIGHT] = {"WEIGHT", set_weight},    [PW_ORDER_PROMOTE] = {"PROMOTE", promote},
    [PW_ORDER_MAX_LAG] = {"MAX_LAG", set_max_lag},
};

bool pw_order_obey(const struct pw_order *order, const struct pw_order_object *object,
		   struct pw_error *err)
{
	return orders[order->kind].obey(order, object, err);
}

const char *pw_order_word(enum pw_order_kind kind)
{
	return orders[kind].word;
}

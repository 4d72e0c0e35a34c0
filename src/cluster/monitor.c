/* SPDX-License-Identifier: PostgreSQL
 *
 * Each event is worked through to its end, so that a promotion is known as soon as the node has
 * answered, not at the end of the round.
 */
#include "config.h"

#include "pgweir/cluster/monitor.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "pgweir/base/strbuf.h"
#include "pgweir/base/utf8.h"
#include "pgweir/cluster/inquirer.h"

enum { SHOWN_MAX = 120, FIRST_ROUND_US = 10 * 1000 };

struct watched;

struct watched_node {
	struct watched *watched;
	size_t index;
	struct pw_inquirer inquirer;
	struct pw_inquirer_target target;
	/* What the answer that is waited for will be about. */
	uint64_t probe, sent_us;
	bool is_late;
	enum pw_node_state logged;
	enum pw_hold_kind logged_hold;
};

struct watched {
	struct pw_list node;
	struct pw_monitor *monitor;
	struct pw_cluster *cluster;
	const struct pw_conf *conf;                      /* a reference */
	const struct pw_userdb *users;                   /* a reference */
	struct pw_conf_cluster settings;                 /* with all that is inherited */
	struct pw_conf_node as_configured[PW_NODES_MAX]; /* what `settings` calls its nodes */
	struct pw_health health;
	struct pw_timer round;
	int logged_primary;
	bool logged_torn;
	bool logged_stopped; /* the primary is banned */
	bool is_named;       /* while a new configuration is looked through */
	struct pw_node_place places[PW_NODES_MAX];
	struct watched_node nodes[PW_NODES_MAX];
};

_Static_assert(PW_NODES_MAX == (int)PW_CONF_NODES_MAX, "all nodes of a cluster are watched");

/* ---- telling ---- */

static const char *name_of(const struct watched *w, int node)
{
	return node == PW_NO_NODE ? "none" : w->places[node].name;
}

static enum pw_log_level level_of(enum pw_node_state state)
{
	switch (state) {
	case PW_NODE_NEW:
	case PW_NODE_PRIMARY:
	case PW_NODE_READY:
		return PW_LOG_LOG;
	default:
		return PW_LOG_WARNING;
	}
}

static bool log_node(struct watched *w, size_t i)
{
	const struct pw_node *node = &w->health.nodes[i];
	struct watched_node *own = &w->nodes[i];

	if (node->state == own->logged)
		return false;
	own->logged = node->state;
	pw_log_at(&w->monitor->log, level_of(node->state), "cluster %s: node %s is %s%s%s",
		  w->cluster->name, w->places[i].name, pw_node_state_name(node->state),
		  node->reason[0] ? ": " : "", node->reason);
	return true;
}

static bool log_hold(struct watched *w, size_t i)
{
	const struct pw_hold *hold = &w->health.nodes[i].hold;
	struct watched_node *own = &w->nodes[i];
	const char *before = pw_hold_name(own->logged_hold);

	if (hold->kind == own->logged_hold)
		return false;
	own->logged_hold = hold->kind;
	if (hold->kind != PW_HOLD_NONE)
		pw_log_warning(&w->monitor->log, "cluster %s: node %s is %s by %s",
			       w->cluster->name, w->places[i].name, pw_hold_name(hold->kind),
			       hold->by);
	else
		pw_log_info(&w->monitor->log, "cluster %s: node %s is not %s any more%s",
			    w->cluster->name, w->places[i].name, before,
			    (int)i == w->health.primary ? ": it is the primary" : "");
	return true;
}

static void log_stopped(struct watched *w)
{
	int primary = w->health.primary;
	bool is_stopped =
	    primary != PW_NO_NODE && w->health.nodes[primary].hold.kind == PW_HOLD_BANNED;

	if (is_stopped && !w->logged_stopped)
		pw_log_error(&w->monitor->log,
			     "cluster %s: the primary, %s, is banned: nobody can write",
			     w->cluster->name, name_of(w, primary));
	w->logged_stopped = is_stopped;
}

/* Where none is followed the track is still that of the primary before. */
static void log_torn(struct watched *w)
{
	const struct pw_health *health = &w->health;
	struct pw_strbuf names = PW_STRBUF_INIT;
	uint32_t timeline = health->track.timeline;

	for (size_t i = 0; i < health->n; i++) {
		if (!(health->contenders & (1u << i)))
			continue;
		pw_strbuf_printf(&names, "%s%s", names.len > 0 ? ", " : "", w->places[i].name);
		if (health->primary == PW_NO_NODE)
			timeline = health->nodes[i].sample.answer.timeline;
	}
	pw_log_error(&w->monitor->log,
		     "cluster %s: more than one node takes writes on timeline %" PRIu32
		     ": %s; %s is followed, PROMOTE on the console chooses %s",
		     w->cluster->name, timeline, names.data ? names.data : "",
		     name_of(w, health->primary),
		     health->primary == PW_NO_NODE ? "one" : "another");
	pw_strbuf_fini(&names);
}

static bool log_primary(struct watched *w)
{
	const struct pw_health *health = &w->health;
	bool is_news = health->primary != w->logged_primary;

	if (health->primary != w->logged_primary)
		pw_log_warning(&w->monitor->log,
			       "cluster %s: the primary is %s (timeline %" PRIu32 "), it was %s",
			       w->cluster->name, name_of(w, health->primary),
			       health->track.timeline, name_of(w, w->logged_primary));
	if (health->is_torn && !w->logged_torn)
		log_torn(w);
	w->logged_primary = health->primary;
	w->logged_torn = health->is_torn;
	return is_news;
}

static void conclude_with(struct watched *w, bool is_news)
{
	struct pw_monitor *monitor = w->monitor;
	uint64_t now_us = monitor->loop->now_us;

	pw_health_judge(&w->health, now_us);
	if (pw_cluster_publish(w->cluster, &w->health, w->places, now_us) != PW_OK)
		pw_log_error(&monitor->log, "out of memory");
	is_news |= log_primary(w);
	for (size_t i = 0; i < w->health.n; i++) {
		is_news |= log_node(w, i);
		is_news |= log_hold(w, i);
	}
	log_stopped(w);
	if (is_news && monitor->on_change)
		monitor->on_change(monitor->arg, w->cluster);
}

static void conclude(struct watched *w)
{
	conclude_with(w, false);
}

/* ---- hearing ---- */

static struct watched_node *node_of(struct pw_inquirer *inquirer)
{
	return PW_CONTAINER(inquirer, struct watched_node, inquirer);
}

static void on_identity(struct pw_inquirer *inquirer, const struct pw_probe_identity *identity)
{
	struct watched_node *node = node_of(inquirer);
	struct watched *w = node->watched;

	pw_health_identified(&w->health, node->index, identity, w->monitor->loop->now_us);
	/* What it does is asked soon, with others that come at the same time. */
	if ((uint64_t)w->settings.monitor_interval > FIRST_ROUND_US)
		pw_loop_arm(w->monitor->loop, &w->round, FIRST_ROUND_US);
}

static void on_answer(struct pw_inquirer *inquirer, const struct pw_probe_answer *answer)
{
	struct watched_node *node = node_of(inquirer);
	uint64_t took_us = pw_clock_since(node->sent_us, node->watched->monitor->loop->now_us);
	const struct pw_sample sample = {node->probe, node->sent_us, *answer, took_us};

	node->is_late = false;
	pw_health_answered(&node->watched->health, node->index, &sample);
	conclude(node->watched);
}

static void on_refused(struct pw_inquirer *inquirer, const char *why)
{
	struct watched_node *node = node_of(inquirer);

	pw_health_is_late(&node->watched->health, node->index, why);
	conclude(node->watched);
}

static void on_lost(struct pw_inquirer *inquirer, const char *why)
{
	struct watched_node *node = node_of(inquirer);

	pw_health_lost(&node->watched->health, node->index, why);
	conclude(node->watched);
}

static const struct pw_inquirer_ops inquirer_ops = {on_identity, on_answer, on_refused, on_lost};

/* ---- asking ---- */

static uint64_t late_after(const struct watched *w)
{
	uint64_t rounds = PW_MONITOR_LATE_ROUNDS * (uint64_t)w->settings.monitor_interval;

	return rounds > PW_MONITOR_LATE_US ? rounds : PW_MONITOR_LATE_US;
}

static bool note_late(struct watched *w)
{
	uint64_t now_us = w->monitor->loop->now_us;
	bool is_news = false;

	for (size_t i = 0; i < w->health.n; i++) {
		struct watched_node *node = &w->nodes[i];

		if (node->is_late || node->inquirer.state != PW_INQUIRER_ASKING ||
		    now_us < node->sent_us + late_after(w))
			continue;
		pw_health_is_late(&w->health, i, "it does not answer");
		node->is_late = is_news = true;
	}
	return is_news;
}

/* The number first, then the time, then the question: whatever a position covers was done before
 * its question was sent. */
static void begin_round(struct watched *w)
{
	uint64_t probe = atomic_fetch_add(&w->cluster->probe, 1) + 1;

	pw_loop_refresh_time(w->monitor->loop);
	for (size_t i = 0; i < w->health.n; i++) {
		struct watched_node *node = &w->nodes[i];

		if (node->inquirer.state != PW_INQUIRER_READY)
			continue;
		node->probe = probe;
		node->sent_us = w->monitor->loop->now_us;
		(void)pw_inquirer_ask(&node->inquirer);
	}
}

static void on_round(struct pw_timer *timer)
{
	struct watched *w = PW_CONTAINER(timer, struct watched, round);

	pw_loop_arm(w->monitor->loop, &w->round, (uint64_t)w->settings.monitor_interval);
	if (note_late(w))
		conclude(w);
	begin_round(w);
}

/* ---- what is watched ---- */

static void end_watch(struct watched *w)
{
	pw_timer_disarm(&w->round);
	for (size_t i = 0; i < w->health.n; i++)
		pw_inquirer_fini(&w->nodes[i].inquirer);
	pw_list_remove(&w->node);
	pw_conf_unref(w->conf);
	pw_userdb_unref(w->users);
	explicit_bzero(w, sizeof(*w));
	free(w);
}

static const char *sslmode_of(const struct pw_conf *conf)
{
	static const char *const names[] = {
	    [PW_SSL_DISABLE] = "disable",     [PW_SSL_ALLOW] = "allow",
	    [PW_SSL_PREFER] = "prefer",       [PW_SSL_REQUIRE] = "require",
	    [PW_SSL_VERIFY_CA] = "verify-ca", [PW_SSL_VERIFY_FULL] = "verify-full",
	};

	return names[conf->server_tls_sslmode];
}

static const char *password_of(const struct watched *w)
{
	const struct pw_user_secret *found;

	if (w->settings.monitor_password)
		return w->settings.monitor_password;
	found = pw_userdb_find(w->users, w->settings.monitor_user);
	return found && found->kind == PW_SECRET_PLAIN ? found->secret : NULL;
}

static void begin_node(struct watched *w, size_t i)
{
	const struct pw_conf_node *from = &w->settings.nodes[i];
	struct watched_node *node = &w->nodes[i];

	w->places[i] = (struct pw_node_place){.name = from->name,
					      .host = from->host,
					      .port = from->port,
					      .slot = pw_cluster_slot(w->cluster, from->name)};
	node->watched = w;
	node->index = i;
	node->target = (struct pw_inquirer_target){
	    .host = from->host,
	    .port = from->port,
	    .user = w->settings.monitor_user,
	    .password = password_of(w),
	    .dbname = w->settings.monitor_dbname,
	    .sslmode = sslmode_of(w->conf),
	    .sslrootcert = w->conf->server_tls_ca_file,
	    .sslcert = w->conf->server_tls_cert_file,
	    .sslkey = w->conf->server_tls_key_file,
	};
	pw_inquirer_init(&node->inquirer, w->monitor->loop, w->monitor->resolver,
			 w->monitor->mailbox, &node->target, &inquirer_ops);
}

/* One of which nobody has said where it is is not in the same zone. */
static bool is_far(const char *from, const char *zone)
{
	return from && from[0] != '\0' && (!zone || strcmp(from, zone) != 0);
}

/* What may change while the connections stay. */
static void take_settings(struct watched *w, const struct pw_conf_cluster *settings)
{
	w->settings.reading.max_lag = settings->reading.max_lag;
	w->settings.max_lag_bytes = settings->max_lag_bytes;
	w->settings.monitor_interval = settings->monitor_interval;
	w->settings.reading.no_primary_reads = settings->reading.no_primary_reads;
	w->health.max_lag_us = (uint64_t)settings->reading.max_lag;
	w->health.no_primary_reads_us = (uint64_t)settings->reading.no_primary_reads;
	w->health.max_lag_bytes = (uint64_t)settings->max_lag_bytes;
	for (size_t i = 0; i < w->health.n; i++) {
		const struct pw_conf_node *node = &settings->nodes[i];

		w->as_configured[i].weight = w->places[i].weight = node->weight;
		w->places[i].max_connections = node->max_connections;
		w->as_configured[i].role = node->role;
		w->places[i].is_far = is_far(settings->zone, node->zone);
		w->health.nodes[i].is_replica_only = node->role == PW_NODE_REPLICA_ONLY;
	}
}

static struct watched *find_watched(const struct pw_monitor *monitor, const char *name)
{
	PW_LIST_FOREACH (node, &monitor->watched) {
		struct watched *w = PW_CONTAINER(node, struct watched, node);

		if (strcmp(w->cluster->name, name) == 0)
			return w;
	}
	return NULL;
}

static void inherit_node(struct watched *w, size_t i, const struct watched *before, size_t j)
{
	w->health.nodes[i].is_newcomer = before->health.nodes[j].is_newcomer;
	w->health.nodes[i].hold = before->health.nodes[j].hold;
	w->health.nodes[i].back_us = before->health.nodes[j].back_us;
	w->nodes[i].logged_hold = before->nodes[j].logged_hold;
	w->health.nodes[i].system = before->health.nodes[j].system;
	if (before->health.primary == (int)j)
		w->health.primary = w->logged_primary = (int)i;
}

/* What was known of the cluster goes on: where its primary was, and when, and what operators have
 * said of nodes that stay. */
static void inherit(struct watched *w, const struct watched *before)
{
	w->health.track = before->health.track;
	w->health.told = before->health.told;
	w->health.system = before->health.system;
	w->logged_torn = before->logged_torn;
	w->logged_stopped = before->logged_stopped;
	for (size_t i = 0; i < w->health.n; i++) {
		w->health.nodes[i].is_newcomer = true;
		for (size_t j = 0; j < before->health.n; j++) {
			if (strcmp(w->places[i].name, before->places[j].name) == 0)
				inherit_node(w, i, before, j);
		}
	}
}

static struct watched *begin_watch(struct pw_monitor *monitor, const struct pw_conf *conf,
				   const struct pw_userdb *users,
				   const struct pw_conf_cluster *settings)
{
	struct pw_cluster *cluster = pw_clusters_get(monitor->clusters, settings->name);
	struct watched *w = cluster ? calloc(1, sizeof(*w)) : NULL;

	if (!w) {
		pw_log_error(&monitor->log, "cluster %s is not watched: out of memory",
			     settings->name);
		return NULL;
	}
	w->monitor = monitor;
	w->cluster = cluster;
	w->conf = pw_conf_ref(conf);
	w->users = pw_userdb_ref(users);
	w->settings = *settings;
	memcpy(w->as_configured, settings->nodes, settings->n_nodes * sizeof(*settings->nodes));
	w->settings.nodes = w->as_configured;
	w->logged_primary = PW_NO_NODE;
	pw_health_init(&w->health, settings->n_nodes, monitor->loop->now_us);
	pw_timer_init(&w->round, on_round);
	for (size_t i = 0; i < settings->n_nodes; i++)
		begin_node(w, i);
	take_settings(w, settings);
	pw_list_append(&monitor->watched, &w->node);
	pw_loop_arm(monitor->loop, &w->round, 0);
	return w;
}

static bool are_equal(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

/* Does the next configuration reach the same nodes in the same way? */
static bool is_reached_alike(const struct watched *before, const struct watched *after)
{
	if (before->health.n != after->health.n)
		return false;
	for (size_t i = 0; i < before->health.n; i++) {
		const struct pw_inquirer_target *a = &before->nodes[i].target;
		const struct pw_inquirer_target *b = &after->nodes[i].target;

		if (a->port != b->port || !are_equal(a->host, b->host) ||
		    !are_equal(a->user, b->user) || !are_equal(a->password, b->password) ||
		    !are_equal(a->dbname, b->dbname) || !are_equal(a->sslmode, b->sslmode) ||
		    !are_equal(a->sslrootcert, b->sslrootcert) ||
		    !are_equal(a->sslcert, b->sslcert) || !are_equal(a->sslkey, b->sslkey))
			return false;
	}
	return true;
}

/* Its strings are of the configuration before: as long as the connections last. */
static void go_on(struct watched *w, const struct pw_conf_cluster *settings)
{
	w->is_named = true;
	take_settings(w, settings);
	conclude(w);
}

static void watch(struct pw_monitor *monitor, const struct pw_conf *conf,
		  const struct pw_userdb *users, const struct pw_conf_cluster *cluster)
{
	struct watched *before = find_watched(monitor, cluster->name), *after;
	struct pw_conf_cluster settings;

	pw_conf_resolve_cluster(conf, cluster, &settings);
	after = begin_watch(monitor, conf, users, &settings);
	if (after)
		after->is_named = true;
	if (!after) {
		if (before)
			before->is_named = true;
	} else if (!before) {
		/* What was published when it was last watched is of long ago. */
		conclude(after);
	} else if (is_reached_alike(before, after)) {
		go_on(before, &settings);
		end_watch(after);
	} else {
		inherit(after, before);
		end_watch(before);
	}
}

void pw_monitor_set(struct pw_monitor *monitor, const struct pw_conf *conf,
		    const struct pw_userdb *users)
{
	PW_LIST_FOREACH (node, &monitor->watched)
		PW_CONTAINER(node, struct watched, node)->is_named = false;
	for (size_t i = 0; i < conf->n_clusters; i++)
		watch(monitor, conf, users, &conf->clusters[i]);
	PW_LIST_FOREACH_SAFE (node, &monitor->watched) {
		struct watched *w = PW_CONTAINER(node, struct watched, node);

		if (!w->is_named)
			end_watch(w);
	}
}

/* ---- what operators order ---- */

static struct pw_order_object object_of(struct watched *w, size_t node)
{
	return (struct pw_order_object){.cluster = w->cluster->name,
					.settings = &w->settings,
					.health = &w->health,
					.places = w->places,
					.node = node,
					.now_us = w->monitor->loop->now_us};
}

struct search {
	const struct pw_order *order;
	struct watched *found; /* the last one */
	size_t node;
	unsigned n_found;
	struct pw_strbuf all;
};

static void look_at(struct search *search, struct watched *w, size_t node)
{
	const struct pw_order_object object = object_of(w, node);

	if (!pw_order_means(search->order, &object))
		return;
	search->found = w;
	search->node = node;
	pw_strbuf_printf(&search->all, "%s%s/%s", search->n_found++ > 0 ? ", " : "",
			 w->cluster->name, w->places[node].name);
}

static void look_for_object(const struct pw_monitor *monitor, struct search *search)
{
	PW_LIST_FOREACH (item, &monitor->watched) {
		struct watched *w = PW_CONTAINER(item, struct watched, node);
		size_t n = pw_order_is_of_cluster(search->order) ? 1 : w->health.n;

		for (size_t i = 0; i < n; i++)
			look_at(search, w, i);
	}
}

static bool refuse_search(const struct search *search, struct pw_error *err)
{
	const char *target = search->order->target;
	bool is_of_cluster = pw_order_is_of_cluster(search->order);
	int len = (int)pw_utf8_fit(target, SHOWN_MAX);

	pw_error_set(err, PW_SQLSTATE_UNDEFINED_OBJECT, "no such %s: %.*s",
		     is_of_cluster ? "cluster" : "node", len, target);
	pw_error_hint(err, "SHOW %s lists them.", is_of_cluster ? "CLUSTERS" : "NODES");
	if (search->n_found > 1) {
		pw_error_set(err, PW_SQLSTATE_INVALID_PARAMETER, "%.*s may be more than one node",
			     len, target);
		pw_error_hint(err, "Say which: %.*s.",
			      (int)pw_utf8_fit(search->all.data ? search->all.data : "", SHOWN_MAX),
			      search->all.data ? search->all.data : "");
	}
	err->severity = PW_SEVERITY_ERROR;
	return false;
}

static bool obey(const struct search *search, struct pw_error *err)
{
	const struct pw_order *order = search->order;
	struct watched *w = search->found;
	const struct pw_order_object object = object_of(w, search->node);

	if (!pw_order_obey(order, &object, err))
		return false;
	pw_log_info(&w->monitor->log, "cluster %s: %s%s%s%s%s by %s", w->cluster->name,
		    pw_order_word(order->kind), pw_order_is_of_cluster(order) ? "" : " ",
		    pw_order_is_of_cluster(order) ? "" : w->places[search->node].name,
		    order->value ? " " : "", order->value ? order->value : "", order->by);
	conclude_with(w, true);
	return true;
}

bool pw_monitor_obey(struct pw_monitor *monitor, const struct pw_order *order, struct pw_error *err)
{
	struct search search = {.order = order, .all = PW_STRBUF_INIT};
	bool is_done;

	look_for_object(monitor, &search);
	is_done = search.n_found == 1 ? obey(&search, err) : refuse_search(&search, err);
	pw_strbuf_fini(&search.all);
	return is_done;
}

void pw_monitor_init(struct pw_monitor *monitor, struct pw_loop *loop, struct pw_resolver *resolver,
		     struct pw_mailbox *mailbox, struct pw_clusters *clusters,
		     const struct pw_logctx *log)
{
	monitor->loop = loop;
	monitor->resolver = resolver;
	monitor->mailbox = mailbox;
	monitor->clusters = clusters;
	monitor->log = *log;
	pw_list_init(&monitor->watched);
}

void pw_monitor_fini(struct pw_monitor *monitor)
{
	struct pw_list *node;

	while ((node = pw_list_first(&monitor->watched)))
		end_watch(PW_CONTAINER(node, struct watched, node));
}

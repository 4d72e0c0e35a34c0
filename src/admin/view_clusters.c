/* SPDX-License-Identifier: PostgreSQL
 *
 * SHOW CLUSTERS, SHOW NODES: what the monitor has last published (cluster/cluster.h). Only what
 * connections there are each worker says for itself.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "admin_priv.h"
#include "pgweir/base/clock.h"
#include "pgweir/cluster/lsn.h"

struct visit {
	struct pw_rows *rows;
	struct pw_pools *pools; /* the worker's */
	const struct pw_conf *conf;
	uint64_t now_us;
	struct pw_cluster *cluster; /* that is visited */
};

static struct visit visit_of(struct pw_rows *rows, const void *source)
{
	struct pw_pools *pools = ((const struct pw_worker_view *)source)->pools;

	return (struct visit){rows, pools, pools->snapshot->conf, pools->loop->now_us, NULL};
}

static int64_t seconds_since(const struct visit *v, uint64_t then_us)
{
	return (int64_t)(pw_clock_since(then_us, v->now_us) / PW_SECOND_US);
}

/* One that the configuration no longer has is of no interest to anybody. */
static void visit_clusters(struct visit *v,
			   void (*visit)(struct visit *v, const struct pw_conf_cluster *conf,
					 const struct pw_cluster_view *view))
{
	for (size_t i = 0; i < v->conf->n_clusters; i++) {
		const struct pw_conf_cluster *conf = &v->conf->clusters[i];
		struct pw_cluster_eye eye = {0, NULL};
		struct pw_conf_cluster settings;

		v->cluster = pw_clusters_get(v->pools->clusters, conf->name);
		pw_conf_resolve_cluster(v->conf, conf, &settings);
		if (v->cluster && pw_cluster_look(v->cluster, &eye))
			visit(v, &settings, eye.view);
		pw_cluster_eye_fini(&eye);
	}
}

static void set_lsn(struct pw_rows *rows, struct pw_cell *cell, uint64_t lsn)
{
	char text[PW_LSN_SIZE];

	if (lsn == 0)
		return;
	pw_lsn_format(text, lsn);
	pw_cell_set_text(rows, cell, text);
}

/* ---- CLUSTERS ---- */

enum cluster_column {
	C_CLUSTER,
	C_PRIMARY,
	C_TIMELINE,
	C_SYSTEM,
	C_NODES,
	C_READY,
	C_TORN,
	C_SILENT,
	C_MAX_LAG_MS,
	C_CONF_MAX_LAG_MS,
	C_MAX_LAG_BYTES,
	C_OVERFLOW,
	C_OVERFLOW_MAX,
	C_OVERFLOW_TOTAL,
	C_PROBES,
};

/* clang-format off */
static const struct pw_column cluster_columns[] = {
    [C_CLUSTER] = {"cluster", PW_COL_TEXT, PW_MERGE_KEY, "As in [clusters]."},
    [C_PRIMARY] = {"primary", PW_COL_TEXT, PW_MERGE_FIRST, "The node that is followed; NULL = none."},
    [C_TIMELINE] = {"timeline", PW_COL_INT4, PW_MERGE_FIRST, "Of the primary."},
    [C_SYSTEM] = {"system_identifier", PW_COL_TEXT, PW_MERGE_FIRST, "Of all nodes that count."},
    [C_NODES] = {"nodes", PW_COL_INT4, PW_MERGE_FIRST, "How many are configured."},
    [C_READY] = {"ready", PW_COL_INT4, PW_MERGE_FIRST,
                 "Replicas that are fresh enough, and neither drained nor banned."},
    [C_TORN] = {"torn", PW_COL_INT4, PW_MERGE_FIRST,
                "1 = two nodes take writes on the highest timeline: an operator must look; PROMOTE chooses."},
    [C_SILENT] = {"silent_s", PW_COL_INT4, PW_MERGE_FIRST,
                  "Seconds since the primary last answered; 0 = it does. The lag of replicas is as of then."},
    [C_MAX_LAG_MS] = {"max_lag_ms", PW_COL_INT4, PW_MERGE_FIRST,
                      "In force, as configured or by MAX_LAG; 0 = no limit."},
    [C_CONF_MAX_LAG_MS] = {"conf_max_lag_ms", PW_COL_INT4, PW_MERGE_FIRST, "As configured."},
    [C_MAX_LAG_BYTES] = {"max_lag_bytes", PW_COL_NUMERIC, PW_MERGE_FIRST, "0 = no limit."},
    [C_OVERFLOW] = {"overflow", PW_COL_INT4, PW_MERGE_FIRST,
                    "Reads that run on the primary now because no replica was fresh enough."},
    [C_OVERFLOW_MAX] = {"overflow_max", PW_COL_INT4, PW_MERGE_FIRST,
                        "primary_overflow_max: more of them wait; 0 = no limit."},
    [C_OVERFLOW_TOTAL] = {"overflow_total", PW_COL_NUMERIC, PW_MERGE_FIRST,
                          "How many of them there have been since the start."},
    [C_PROBES] = {"rounds", PW_COL_NUMERIC, PW_MERGE_FIRST, "How often the nodes have been asked."},
    {.name = NULL},
};
/* clang-format on */

static int64_t count_ready(const struct pw_health *health)
{
	int64_t n = 0;

	for (size_t i = 0; i < health->n; i++)
		n += health->nodes[i].state == PW_NODE_READY &&
		     health->nodes[i].hold.kind == PW_HOLD_NONE;
	return n;
}

static void set_overflow(struct pw_cell *row, const struct pw_conf_cluster *conf,
			 struct pw_fair_limit *overflow)
{
	pw_cell_set_number(&row[C_OVERFLOW], pw_limit_used(&overflow->taken));
	pw_cell_set_number(&row[C_OVERFLOW_MAX], conf->primary_overflow_max);
	pw_cell_set_number(&row[C_OVERFLOW_TOTAL], (int64_t)atomic_load(&overflow->total));
}

static void visit_cluster(struct visit *v, const struct pw_conf_cluster *conf,
			  const struct pw_cluster_view *view)
{
	const struct pw_health *health = &view->health;
	struct pw_cell *row = pw_rows_add(v->rows);
	uint64_t frozen_us = pw_health_frozen_at(health);
	char text[32];

	if (!row)
		return;
	pw_cell_set_text(v->rows, &row[C_CLUSTER], conf->name);
	if (health->primary != PW_NO_NODE)
		pw_cell_set_text(v->rows, &row[C_PRIMARY], view->places[health->primary].name);
	pw_cell_set_number(&row[C_TIMELINE], health->track.timeline);
	snprintf(text, sizeof(text), "%llu", (unsigned long long)health->system);
	pw_cell_set_text(v->rows, &row[C_SYSTEM], text);
	pw_cell_set_number(&row[C_NODES], (int64_t)health->n);
	pw_cell_set_number(&row[C_READY], count_ready(health));
	pw_cell_set_number(&row[C_TORN], health->is_torn);
	pw_cell_set_number(&row[C_SILENT], frozen_us ? seconds_since(v, frozen_us) : 0);
	pw_cell_set_number(&row[C_MAX_LAG_MS], (int64_t)(health->max_lag_us / 1000));
	pw_cell_set_number(&row[C_CONF_MAX_LAG_MS], conf->reading.max_lag / 1000);
	pw_cell_set_number(&row[C_MAX_LAG_BYTES], conf->max_lag_bytes);
	set_overflow(row, conf, &v->cluster->overflow);
	pw_cell_set_number(&row[C_PROBES], (int64_t)view->rounds);
}

static void collect_clusters(struct pw_rows *rows, const void *source)
{
	struct visit v = visit_of(rows, source);

	visit_clusters(&v, visit_cluster);
}

const struct pw_view pw_view_clusters = {
    .name = "CLUSTERS",
    .help = "One row per cluster.",
    .columns = cluster_columns,
    .collect = collect_clusters,
};

/* ---- NODES ---- */

enum node_column {
	N_CLUSTER,
	N_NODE,
	N_STATE,
	N_SINCE,
	N_REASON,
	N_HELD,
	N_HELD_S,
	N_HELD_BY,
	N_LINKS,
	N_MAX_LINKS,
	N_BUSY,
	N_READS,
	N_OTHERS,
	N_LAG_MS,
	N_LAG_BYTES,
	N_TIMELINE,
	N_POSITION,
	N_RECEIVED,
	N_PAUSED,
	N_WEIGHT,
	N_CONF_WEIGHT,
	N_SHARE,
	N_ZONE,
	N_TRIP,
	N_VERSION,
	N_SAMPLE_MS,
};

/* clang-format off */
static const struct pw_column node_columns[] = {
    [N_CLUSTER] = {"cluster", PW_COL_TEXT, PW_MERGE_KEY, "As in [clusters]."},
    [N_NODE] = {"node", PW_COL_TEXT, PW_MERGE_KEY, "Host and port."},
    [N_STATE] = {"state", PW_COL_TEXT, PW_MERGE_FIRST, "See below."},
    [N_SINCE] = {"since_s", PW_COL_INT4, PW_MERGE_FIRST, "For how many seconds."},
    [N_REASON] = {"reason", PW_COL_TEXT, PW_MERGE_FIRST, "Why it is in that state."},
    [N_HELD] = {"held", PW_COL_TEXT, PW_MERGE_FIRST,
                "drained or banned: what an operator has said of it, whatever its state; NULL = nothing."},
    [N_HELD_S] = {"held_s", PW_COL_INT4, PW_MERGE_FIRST, "For how many seconds; NULL = it is not."},
    [N_HELD_BY] = {"held_by", PW_COL_TEXT, PW_MERGE_FIRST, "The user of the console that said so."},
    [N_LINKS] = {"links", PW_COL_INT4, PW_MERGE_FIRST, "Server connections to it, in use or not."},
    [N_MAX_LINKS] = {"max_connections", PW_COL_INT4, PW_MERGE_FIRST,
                     "More than so many are not opened; NULL = no limit."},
    [N_BUSY] = {"busy", PW_COL_INT4, PW_MERGE_FIRST, "Those that are in use: by it balance goes."},
    [N_READS] = {"reads", PW_COL_NUMERIC, PW_MERGE_FIRST,
                 "Transactions that it was given of what is for replicas, since pgweir began."},
    [N_OTHERS] = {"others", PW_COL_NUMERIC, PW_MERGE_FIRST, "The same of all else."},
    [N_LAG_MS] = {"lag_ms", PW_COL_INT4, PW_MERGE_FIRST,
                  "How old what one reads there may be; NULL = that cannot be told."},
    [N_LAG_BYTES] = {"lag_bytes", PW_COL_NUMERIC, PW_MERGE_FIRST,
                     "What the primary has flushed and it has not replayed."},
    [N_TIMELINE] = {"timeline", PW_COL_INT4, PW_MERGE_FIRST,
                    "A standby's is that of what it receives; NULL = nothing."},
    [N_POSITION] = {"position", PW_COL_TEXT, PW_MERGE_FIRST,
                    "Of a primary the flush position, of a standby how far it has replayed."},
    [N_RECEIVED] = {"received", PW_COL_TEXT, PW_MERGE_FIRST, "How far a standby has received."},
    [N_PAUSED] = {"paused", PW_COL_INT4, PW_MERGE_FIRST, "1 = replay is paused."},
    [N_WEIGHT] = {"weight", PW_COL_INT4, PW_MERGE_FIRST, "In force, as configured or by WEIGHT."},
    [N_CONF_WEIGHT] = {"conf_weight", PW_COL_INT4, PW_MERGE_FIRST, "As in [nodes]."},
    [N_SHARE] = {"share", PW_COL_INT4, PW_MERGE_FIRST,
                 "Percent of its weight that it has: less than 100 during slow_start."},
    [N_ZONE] = {"zone", PW_COL_TEXT, PW_MERGE_FIRST, "As in [nodes]; NULL = not said."},
    [N_TRIP] = {"trip_us", PW_COL_INT4, PW_MERGE_FIRST,
                "Microseconds that an answer to the monitor takes, smoothed; NULL = not known."},
    [N_VERSION] = {"version", PW_COL_INT4, PW_MERGE_FIRST, "server_version_num."},
    [N_SAMPLE_MS] = {"sample_ms", PW_COL_INT4, PW_MERGE_FIRST,
                     "Milliseconds since it was asked what it has last answered."},
    {.name = NULL},
};
/* clang-format on */

static void set_sample(struct visit *v, struct pw_cell *row, const struct pw_sample *sample)
{
	const struct pw_probe_answer *answer = &sample->answer;

	if (sample->probe == 0)
		return;
	if (answer->timeline > 0)
		pw_cell_set_number(&row[N_TIMELINE], answer->timeline);
	set_lsn(v->rows, &row[N_POSITION], answer->is_standby ? answer->replay : answer->flush);
	set_lsn(v->rows, &row[N_RECEIVED], answer->receive);
	pw_cell_set_number(&row[N_PAUSED], answer->is_paused);
	pw_cell_set_number(&row[N_SAMPLE_MS],
			   (int64_t)(pw_clock_since(sample->sent_us, v->now_us) / 1000));
}

static void set_hold(struct visit *v, struct pw_cell *row, const struct pw_hold *hold)
{
	if (hold->kind == PW_HOLD_NONE)
		return;
	pw_cell_set_text(v->rows, &row[N_HELD], pw_hold_name(hold->kind));
	pw_cell_set_number(&row[N_HELD_S], seconds_since(v, hold->since_us));
	pw_cell_set_text(v->rows, &row[N_HELD_BY], hold->by);
}

static void set_load(struct pw_cell *row, struct pw_node_load *load)
{
	pw_cell_set_number(&row[N_LINKS], pw_limit_used(&load->links.taken));
	pw_cell_set_number(&row[N_BUSY], atomic_load(&load->busy));
	pw_cell_set_number(&row[N_READS], (int64_t)atomic_load(&load->reads));
	pw_cell_set_number(&row[N_OTHERS], (int64_t)atomic_load(&load->others));
}

/* A reload may have taken it away that the monitor has not seen yet. */
static void set_conf(struct visit *v, struct pw_cell *row, const struct pw_conf_cluster *conf,
		     const char *name)
{
	for (size_t i = 0; i < conf->n_nodes; i++) {
		const struct pw_conf_node *node = &conf->nodes[i];

		if (strcmp(node->name, name) != 0)
			continue;
		pw_cell_set_number(&row[N_CONF_WEIGHT], node->weight);
		if (node->zone && node->zone[0])
			pw_cell_set_text(v->rows, &row[N_ZONE], node->zone);
	}
}

static void set_balance(struct visit *v, struct pw_cell *row, const struct pw_conf_cluster *conf,
			const struct pw_node *node)
{
	unsigned share = pw_share(node->back_us, (uint64_t)conf->slow_start, v->now_us);

	pw_cell_set_number(&row[N_SHARE], share * 100 / PW_SHARE_WHOLE);
	if (node->trip_us > 0)
		pw_cell_set_number(&row[N_TRIP], (int64_t)node->trip_us);
}

static void visit_node(struct visit *v, const struct pw_conf_cluster *conf,
		       const struct pw_cluster_view *view, size_t i)
{
	const struct pw_node *node = &view->health.nodes[i];
	uint64_t lag_us = pw_health_lag(&view->health, i, v->now_us);
	struct pw_cell *row = pw_rows_add(v->rows);

	if (!row)
		return;
	pw_cell_set_text(v->rows, &row[N_CLUSTER], conf->name);
	pw_cell_set_text(v->rows, &row[N_NODE], view->places[i].name);
	pw_cell_set_text(v->rows, &row[N_STATE], pw_node_state_name(node->state));
	pw_cell_set_number(&row[N_SINCE], seconds_since(v, node->since_us));
	pw_cell_set_text(v->rows, &row[N_REASON], node->reason);
	set_hold(v, row, &node->hold);
	if (view->places[i].slot != PW_NO_SLOT)
		set_load(row, &v->cluster->loads[view->places[i].slot]);
	if (lag_us != PW_LAG_UNKNOWN && !node->is_unheard) {
		pw_cell_set_number(&row[N_LAG_MS], (int64_t)(lag_us / 1000));
		pw_cell_set_number(&row[N_LAG_BYTES], (int64_t)node->lag_bytes);
	}
	set_sample(v, row, &node->sample);
	if (view->places[i].max_connections > 0)
		pw_cell_set_number(&row[N_MAX_LINKS], view->places[i].max_connections);
	pw_cell_set_number(&row[N_WEIGHT], view->places[i].weight);
	set_conf(v, row, conf, view->places[i].name);
	set_balance(v, row, conf, node);
	if (node->version > 0)
		pw_cell_set_number(&row[N_VERSION], node->version);
}

static void visit_nodes(struct visit *v, const struct pw_conf_cluster *conf,
			const struct pw_cluster_view *view)
{
	for (size_t i = 0; i < view->health.n; i++)
		visit_node(v, conf, view, i);
}

static void collect_nodes(struct pw_rows *rows, const void *source)
{
	struct visit v = visit_of(rows, source);

	visit_clusters(&v, visit_nodes);
}

static void describe_states(struct pw_strbuf *out)
{
	static const char *const texts[PW_NODE_STATES] = {
	    [PW_NODE_NEW] = "has not answered yet",
	    [PW_NODE_DOWN] = "does not answer",
	    [PW_NODE_FOREIGN] = "is of another PostgreSQL system",
	    [PW_NODE_PRIMARY] = "takes writes",
	    [PW_NODE_FENCED] = "would take writes, but is not the primary: it gets nothing",
	    [PW_NODE_DIVERGED] =
		"a standby that has not been seen to receive the primary's timeline",
	    [PW_NODE_LAGGING] = "a replica that is too far behind, or was until lately",
	    [PW_NODE_READY] = "a replica that is fresh enough",
	};

	pw_strbuf_add_string(out, "\nThe states:\n\n| state | what |\n|---|---|\n");
	for (size_t i = 0; i < PW_NODE_STATES; i++)
		pw_strbuf_printf(out, "| `%s` | %s |\n", pw_node_state_name((enum pw_node_state)i),
				 texts[i]);
}

const struct pw_view pw_view_nodes = {
    .name = "NODES",
    .help = "One row per node of each cluster.",
    .columns = node_columns,
    .is_per_worker = true,
    .collect = collect_nodes,
    .describe = describe_states,
};

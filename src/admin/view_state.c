/* SPDX-License-Identifier: PostgreSQL
 *
 * SHOW LISTS, STATE, VERSION. What the whole process has once is counted by the first worker alone,
 * so that adding up the workers' rows counts it once.
 */
#include "config.h"

#include "admin_priv.h"

/* ---- LISTS ---- */

enum list {
	DATABASES,
	USERS,
	PEERS,
	POOLS,
	PEER_POOLS,
	FREE_CLIENTS,
	USED_CLIENTS,
	LOGIN_CLIENTS,
	FREE_SERVERS,
	USED_SERVERS,
	DNS_NAMES,
	DNS_ZONES,
	DNS_QUERIES,
	DNS_PENDING,
	N_LISTS,
};

static const char *const list_names[N_LISTS] = {
    [DATABASES] = "databases",
    [USERS] = "users",
    [PEERS] = "peers",
    [POOLS] = "pools",
    [PEER_POOLS] = "peer_pools",
    [FREE_CLIENTS] = "free_clients",
    [USED_CLIENTS] = "used_clients",
    [LOGIN_CLIENTS] = "login_clients",
    [FREE_SERVERS] = "free_servers",
    [USED_SERVERS] = "used_servers",
    [DNS_NAMES] = "dns_names",
    [DNS_ZONES] = "dns_zones",
    [DNS_QUERIES] = "dns_queries",
    [DNS_PENDING] = "dns_pending",
};

static const struct pw_column list_columns[] = {
    {"list", PW_COL_TEXT, PW_MERGE_KEY,
     "What is counted. PgBouncer's caches of free objects, peer pools, DNS zones and pending DNS "
     "queries do not exist here: 0."},
    {"items", PW_COL_INT4, PW_MERGE_SUM, "How many there are."},
    {.name = NULL},
};

static size_t count_rows(const struct pw_view *view, const struct pw_worker_view *worker,
			 bool *has_failed)
{
	struct pw_rows rows;
	size_t n;

	pw_rows_init(&rows, view);
	view->collect(&rows, worker);
	pw_rows_fold(&rows);
	n = rows.n_rows;
	*has_failed |= rows.has_failed;
	pw_rows_fini(&rows);
	return n;
}

static void count_pool(struct pw_shared_pool *pool PW_UNUSED, void *arg)
{
	++*(size_t *)arg;
}

static void count_process(struct pw_rows *rows, const struct pw_worker_view *worker,
			  size_t counts[N_LISTS])
{
	counts[DATABASES] = count_rows(&pw_view_databases, worker, &rows->has_failed);
	counts[USERS] = count_rows(&pw_view_users, worker, &rows->has_failed);
	counts[PEERS] = worker->pools->snapshot->conf->n_peers;
	counts[POOLS] = 1; /* the console's */
	pw_registry_each_pool(worker->registry, count_pool, &counts[POOLS]);
	if (worker->resolver)
		pw_resolver_counts(worker->resolver, &counts[DNS_NAMES], &counts[DNS_QUERIES]);
}

static void count_clients(const struct pw_clients *clients, size_t counts[N_LISTS])
{
	PW_LIST_FOREACH (node, &clients->all) {
		const struct pw_client *c = PW_CONTAINER(node, const struct pw_client, node);

		counts[USED_CLIENTS]++;
		if (c->state < PW_CLIENT_WELCOMING)
			counts[LOGIN_CLIENTS]++;
	}
}

static void collect_lists(struct pw_rows *rows, const void *source)
{
	const struct pw_worker_view *worker = source;
	size_t counts[N_LISTS] = {0};

	if (worker->pools->index == 0)
		count_process(rows, worker, counts);
	count_clients(worker->clients, counts);
	counts[USED_SERVERS] = pw_pools_count_links(worker->pools, NULL, false);
	for (size_t i = 0; i < N_LISTS; i++) {
		struct pw_cell *row = pw_rows_add(rows);

		if (!row)
			return;
		pw_cell_set_text(rows, &row[0], list_names[i]);
		pw_cell_set_number(&row[1], (int64_t)counts[i]);
	}
}

/* ---- STATE ---- */

static const struct pw_column state_columns[] = {
    {"key", PW_COL_TEXT, PW_MERGE_FIRST, "active, paused or suspended."},
    {"value", PW_COL_TEXT, PW_MERGE_FIRST,
     "yes or no. PAUSE of single databases does not show here, see SHOW DATABASES."},
    {.name = NULL},
};

static void add_state(struct pw_rows *rows, const char *key, bool value)
{
	struct pw_cell *row = pw_rows_add(rows);

	if (!row)
		return;
	pw_cell_set_text(rows, &row[0], key);
	pw_cell_set_text(rows, &row[1], value ? "yes" : "no");
}

static void collect_state(struct pw_rows *rows, const void *source)
{
	const struct pw_worker_view *worker = source;
	bool is_paused = atomic_load(&worker->registry->is_paused);

	add_state(rows, "active", !is_paused);
	add_state(rows, "paused", is_paused);
	add_state(rows, "suspended", false);
}

/* ---- VERSION ---- */

static const struct pw_column version_columns[] = {
    {"version", PW_COL_TEXT, PW_MERGE_FIRST, "The first line of `pgweir --version`."},
    {.name = NULL},
};

static void collect_version(struct pw_rows *rows, const void *source)
{
	const struct pw_worker_view *worker = source;
	struct pw_cell *row = pw_rows_add(rows);

	if (row)
		pw_cell_set_text(rows, row, worker->version_line);
}

const struct pw_view pw_view_lists = {
    .name = "LISTS",
    .help = "How many there are of what.",
    .columns = list_columns,
    .is_per_worker = true,
    .collect = collect_lists,
};

const struct pw_view pw_view_state = {
    .name = "STATE",
    .help = "Whether the pooler is paused.",
    .columns = state_columns,
    .collect = collect_state,
};

const struct pw_view pw_view_version = {
    .name = "VERSION",
    .help = "The version that runs.",
    .columns = version_columns,
    .collect = collect_version,
};

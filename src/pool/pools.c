/* SPDX-License-Identifier: PostgreSQL
 *
 * The set of one worker's pools: finding, making, re-resolving after a reload, dropping.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "pgweir/base/assert.h"
#include "pgweir/pool/cancel.h"
#include "pgweir/proto/writer.h"
#include "pool_priv.h"

struct pool_name {
	const char *db, *user;
	bool of_replicas;
};

static bool has_name(const struct pw_map_node *node, const void *key)
{
	const struct pw_pool *pool = PW_CONTAINER(node, const struct pw_pool, node);
	const struct pool_name *name = key;

	return pool->shared->of_replicas == name->of_replicas &&
	       strcmp(pool->shared->db->name, name->db) == 0 &&
	       strcmp(pool->shared->user->name, name->user) == 0;
}

static uint64_t hash_name(const struct pw_pools *pools, const struct pool_name *name)
{
	return pw_hash(&pools->hash_key, name->db, strlen(name->db)) * 31 +
	       pw_hash(&pools->hash_key, name->user, strlen(name->user)) + name->of_replicas;
}

/* Means the same in every worker, and after every reload. */
static uint64_t define(const struct pw_pools *pools, const struct pw_conf_db *db)
{
	const uint8_t *tls = pw_tls_context_digest(pools->snapshot->connect_tls);
	uint64_t parts[2] = {pw_conf_db_server_id(db, &pools->hash_key),
			     pw_hash(&pools->hash_key, tls, PW_TLS_DIGEST_SIZE)};

	return pw_hash(&pools->hash_key, parts, sizeof(parts));
}

/* Where reads are split off, the one pool is the primary's, and the other the replicas'. */
static enum pw_routing routing_of(struct pw_pool *pool)
{
	pool->is_split = pool->conf.reading.routing == PW_ROUTING_SPLIT;
	if (pool->shared->of_replicas)
		return PW_ROUTING_REPLICA;
	return pool->is_split ? PW_ROUTING_PRIMARY : (enum pw_routing)pool->conf.reading.routing;
}

static void resolve_cluster(struct pw_pool *pool, const struct pw_conf_db *db)
{
	const struct pw_conf *conf = pool->pools->snapshot->conf;
	const struct pw_conf_cluster *own =
	    db->cluster ? pw_conf_find_cluster(conf, db->cluster) : NULL;
	struct pw_cluster *cluster =
	    own ? pw_clusters_get(pool->pools->clusters, db->cluster) : NULL;

	if (pool->cluster != cluster) {
		pw_pool_leave_cluster(pool);
		pw_cluster_eye_fini(&pool->eye);
		pool->cluster = cluster;
	}
	pool->routing = routing_of(pool);
	memset(&pool->cluster_conf, 0, sizeof(pool->cluster_conf));
	if (own)
		pw_conf_resolve_cluster(conf, own, &pool->cluster_conf);
}

/* What depends on the snapshot. */
static void resolve(struct pw_pool *pool, const struct pw_conf_db *db)
{
	pool->db = db;
	pool->is_auto = strcmp(db->name, "*") == 0;
	pool->is_forced_user = db->user != NULL;
	pool->dbname = db->dbname ? db->dbname : pool->shared->db->name;
	pool->definition = define(pool->pools, db);
	pw_conf_resolve_pool(pool->pools->snapshot->conf, db, pool->shared->user->name,
			     &pool->conf);
	resolve_cluster(pool, db);
#ifdef PW_MUTANT_LIMIT_OFF_BY_ONE
	pool->conf.pool_size += pool->conf.pool_size > 0;
#endif
}

static void run_serve(struct pw_task *task)
{
	pw_pool_serve(PW_CONTAINER(task, struct pw_pool, serve_task));
}

static enum pw_status list_pool(struct pw_pools *pools, struct pw_pool *pool, uint64_t hash)
{
	uint64_t id = pool->shared->id;

	if (pw_map_insert(&pools->map, &pool->node, hash) != PW_OK)
		return PW_ENOMEM;
	if (pw_map_insert(&pools->by_id, &pool->id_node,
			  pw_hash(&pools->hash_key, &id, sizeof(id))) == PW_OK)
		return PW_OK;
	pw_map_remove(&pools->map, &pool->node);
	return PW_ENOMEM;
}

static struct pw_pool *create_pool(struct pw_pools *pools, const struct pw_conf_db *db,
				   const struct pool_name *name)
{
	struct pw_pool *pool = calloc(1, sizeof(*pool));

	if (!pool)
		return NULL;
	pool->pools = pools;
	pool->shared = pw_registry_pool(pools->registry, name->db, name->user, name->of_replicas);
	if (!pool->shared || list_pool(pools, pool, hash_name(pools, name)) != PW_OK) {
		pw_registry_put_pool(pools->registry, pool->shared);
		free(pool);
		return NULL;
	}
	pw_list_init(&pool->waiting);
	pw_list_init(&pool->welcoming);
	pw_list_init(&pool->failing);
	pw_list_init(&pool->opening);
	pw_list_init(&pool->idle);
	pw_list_init(&pool->stale);
	pw_list_init(&pool->checking);
	pw_list_init(&pool->busy);
	pw_list_init(&pool->canceled);
	pw_task_init(&pool->serve_task, run_serve);
	pool->stats.last_us = pool->stats.before_last_us = pools->loop->now_us;
	resolve(pool, db);
	return pool;
}

static struct pw_pool *get_pool(struct pw_pools *pools, const struct pw_conf_db *db,
				const struct pool_name *name)
{
	struct pw_map_node *node = pw_map_find(&pools->map, hash_name(pools, name), has_name, name);
	struct pw_pool *pool;

	if (!node)
		return create_pool(pools, db, name);
	pool = PW_CONTAINER(node, struct pw_pool, node);
	/* The entry had been taken out of the configuration, and is back. */
	if (!pool->db)
		resolve(pool, db);
	return pool;
}

struct pw_pool *pw_pools_get(struct pw_pools *pools, const struct pw_conf_db *db, const char *name,
			     const char *user)
{
	const struct pool_name key = {name, db->user ? db->user : user, false};

	return get_pool(pools, db, &key);
}

struct pw_pool *pw_pools_get_replicas(struct pw_pool *home)
{
	const struct pool_name key = {home->shared->db->name, home->shared->user->name, true};

	if (home->replicas && home->replicas->db)
		return home->replicas;
	home->replicas = home->db ? get_pool(home->pools, home->db, &key) : NULL;
	if (home->replicas)
		home->replicas->home = home;
	return home->replicas;
}

/* Where one user logs in for all clients, min_pool_size holds before the first of them comes. One
 * worker sees to it; without memory that first one does. */
static void make_forced_pools(struct pw_pools *pools)
{
	const struct pw_conf *conf = pools->snapshot->conf;
	struct pw_pool_conf pool_conf;

	for (size_t i = 0; pools->index == 0 && i < conf->n_databases; i++) {
		const struct pw_conf_db *db = &conf->databases[i];

		if (!db->user || strcmp(db->name, "*") == 0)
			continue;
		pw_conf_resolve_pool(conf, db, db->user, &pool_conf);
		if (pool_conf.min_pool_size > 0)
			(void)pw_pools_get(pools, db, db->name, db->user);
	}
}

static void on_retry(struct pw_timer *timer)
{
	pw_pools_serve_all(PW_CONTAINER(timer, struct pw_pools, retry));
}

enum pw_status pw_pools_init(struct pw_pools *pools, struct pw_snapshot *snapshot)
{
	uint64_t seed;

	pools->snapshot = pw_snapshot_ref(snapshot);
	pools->snapshot_serial = 1;
	pools->link_ops = &pw_pool_link_ops;
	pw_map_init(&pools->map);
	pw_map_init(&pools->by_id);
	pw_list_init(&pools->cancels);
	pw_rng_secret(&seed, sizeof(seed));
	pw_rng_seed(&pools->rng, seed);
	pw_states_init(&pools->states, &pools->hash_key);
	pools->states.total_bytes = &pools->registry->state_bytes;
	pw_pools_start_janitor(pools);
	pw_timer_init(&pools->retry, on_retry);
	make_forced_pools(pools);
	return PW_OK;
}

static void drop_pool(struct pw_pool *pool, const char *why)
{
	struct pw_pools *pools = pool->pools;

	if (pools->on_pool_dropped)
		pools->on_pool_dropped(pools, pool, why);
	pw_pool_close_links(pool, why, true);
}

static void fini_pool(struct pw_pool *pool, void *arg PW_UNUSED)
{
	pw_pools_free_pool(pool);
}

void pw_pools_fini(struct pw_pools *pools)
{
	pw_cancel_close_all(pools);
	pw_pools_each(pools, fini_pool, NULL);
	pw_timer_disarm(&pools->janitor);
	pw_timer_disarm(&pools->retry);
	pw_map_fini(&pools->map);
	pw_map_fini(&pools->by_id);
	pw_states_fini(&pools->states);
	pw_snapshot_unref(pools->snapshot);
	pools->snapshot = NULL;
}

/* ---- reload ---- */

/* The first worker to get here does it; the others may already hear from the server of now. */
static void forget_failure(struct pw_pool *pool)
{
	struct pw_shared_pool *shared = pool->shared;

	pthread_mutex_lock(&shared->lock);
	if (shared->defined_by < pool->pools->snapshot_serial) {
		shared->defined_by = pool->pools->snapshot_serial;
		atomic_store(&shared->has_failed, false);
		atomic_store(&shared->retry_at_us, 0);
	}
	pthread_mutex_unlock(&shared->lock);
}

static void swap_pool(struct pw_pool *pool, void *arg PW_UNUSED)
{
	const struct pw_conf *conf = pool->pools->snapshot->conf;
	const char *name = pool->shared->db->name;
	const struct pw_conf_db *db = pw_conf_find_db(conf, name);
	const char *user = pool->shared->user->name;
	uint64_t definition = pool->definition;

	if (!db && pool->is_auto)
		db = pw_conf_find_db(conf, "*");
	/* An entry that now forces another user has another pool. */
	if (!db || (pool->shared->of_replicas && !db->cluster) ||
	    (db->user && strcmp(db->user, user) != 0) || (!db->user && pool->is_forced_user)) {
		pool->db = NULL;
		return;
	}
	resolve(pool, db);
	if (pool->definition != definition)
		forget_failure(pool);
}

static struct pw_link *find_obsolete_own(const struct pw_pool *pool)
{
	PW_LIST_FOREACH (node, &pool->busy) {
		struct pw_link *link = PW_CONTAINER(node, struct pw_link, pool_node);

		if (link->replication != PW_REPLICATION_NONE && pw_pool_obsolete_reason(pool, link))
			return link;
	}
	return NULL;
}

/* They would not be given back for as long as their clients stay, which may be for ever. */
static void close_obsolete_own(struct pw_pool *pool)
{
	struct pw_link *link;
	struct pw_error err;

	pw_error_set(&err, PW_SQLSTATE_PROTOCOL_VIOLATION, "database configuration changed");
	while ((link = find_obsolete_own(pool)))
		pw_link_close(link, PW_LINK_END_CLEAN, pw_pool_obsolete_reason(pool, link), &err);
}

static void close_redefined(struct pw_pool *pool, struct pw_list *links, const char *reason)
{
	PW_LIST_FOREACH_SAFE (node, links) {
		struct pw_link *link = PW_CONTAINER(node, struct pw_link, pool_node);

		if (link->facts.definition != pool->definition)
			pw_link_close(link, PW_LINK_END_CLEAN, reason, NULL);
	}
}

static void settle_pool(struct pw_pool *pool, void *arg PW_UNUSED)
{
	if (!pool->db) {
		drop_pool(pool, "database removed");
		return;
	}
	close_redefined(pool, &pool->idle, "database configuration changed");
	/* Those half logged in would go on with the new entry's user and password, at the old
	 * entry's server. */
	close_redefined(pool, &pool->opening, "connect string changed");
	close_obsolete_own(pool);
	pw_task_post(pool->pools->loop, &pool->serve_task);
}

static void free_if_dead(struct pw_pool *pool, void *arg PW_UNUSED)
{
	if (!pool->db && pool->n_guests == 0 && pool->asked == 0)
		pw_pools_free_pool(pool);
}

void pw_pools_swap_snapshot(struct pw_pools *pools, struct pw_snapshot *snapshot)
{
	struct pw_snapshot *before = pools->snapshot;

	pools->snapshot = pw_snapshot_ref(snapshot);
	pools->snapshot_serial++;
	pw_pools_each(pools, swap_pool, NULL);
	pw_pools_each(pools, settle_pool, NULL);
	pw_pools_each(pools, free_if_dead, NULL);
	make_forced_pools(pools);
	pw_snapshot_unref(before);
}

/* ---- the console's commands ---- */

struct command {
	const char *db; /* NULL = all */
	const char *reason;
	unsigned count;
	bool busy_only;
};

static bool concerns(const struct command *command, const struct pw_pool *pool)
{
	return !command->db || strcmp(command->db, pool->shared->db->name) == 0;
}

static void close_idle(struct pw_pool *pool, void *arg)
{
	const struct command *command = arg;

	if (!concerns(command, pool))
		return;
	pw_pool_close_links(pool, command->reason, false);
	pw_links_close(&pool->opening, command->reason);
}

void pw_pools_close_idle(struct pw_pools *pools, const char *db, const char *reason)
{
	struct command command = {.db = db, .reason = reason};

	pw_pools_each(pools, close_idle, &command);
}

static void reconnect(struct pw_pool *pool, void *arg)
{
	if (!concerns(arg, pool))
		return;
	pw_pool_close_links(pool, "obsolete connection", false);
	close_obsolete_own(pool);
	pw_links_close(&pool->opening, "connect string changed");
	pw_task_post(pool->pools->loop, &pool->serve_task);
}

void pw_pools_reconnect(struct pw_pools *pools, const char *db)
{
	struct command command = {.db = db};

	pw_pools_each(pools, reconnect, &command);
}

static void drop_concerned(struct pw_pool *pool, void *arg)
{
	if (concerns(arg, pool))
		drop_pool(pool, "database removed");
}

void pw_pools_drop(struct pw_pools *pools, const char *db)
{
	struct command command = {.db = db};

	pw_pools_each(pools, drop_concerned, &command);
}

static void count_links(struct pw_pool *pool, void *arg)
{
	struct command *command = arg;

	if (!concerns(command, pool))
		return;
	command->count += (unsigned)(pw_list_length(&pool->busy) + pw_list_length(&pool->checking) +
				     pw_list_length(&pool->canceled));
	if (!command->busy_only)
		command->count +=
		    (unsigned)(pw_list_length(&pool->idle) + pw_list_length(&pool->stale) +
			       pw_list_length(&pool->opening));
}

unsigned pw_pools_count_links(struct pw_pools *pools, const char *db, bool busy_only)
{
	struct command command = {.db = db, .busy_only = busy_only};

	pw_pools_each(pools, count_links, &command);
	return command.count;
}

/* The shared welcome, taken apart: what is tracked, and the rest as messages. */
static void take_welcome(struct pw_pool *pool)
{
	struct pw_shared_pool *shared = pool->shared;
	struct pw_params_table *table = &pool->pools->params;
	const char *values[PW_TRACKED_MAX] = {NULL};

	pw_strbuf_fini(&pool->welcome_text);
	pthread_mutex_lock(&shared->lock);
	pw_tracked_part(table->tracked, &shared->welcome, values, &pool->welcome_text);
	pw_params_unref(table, pool->welcome_params);
	pool->welcome_params = pw_params_intern(table, values);
	pool->welcome_version = atomic_load(&shared->welcome_version);
	pthread_mutex_unlock(&shared->lock);
	pool->has_welcome = pool->welcome_params && !pool->welcome_text.has_failed;
}

bool pw_pool_welcome(struct pw_pool *pool, struct pw_strbuf *out)
{
	uint64_t version = atomic_load(&pool->shared->welcome_version);

	if (version > 0 && (!pool->has_welcome || pool->welcome_version != version))
		take_welcome(pool);
	if (!pool->has_welcome)
		return false;
	pw_strbuf_add(out, pool->welcome_text.data, pool->welcome_text.len);
	return true;
}

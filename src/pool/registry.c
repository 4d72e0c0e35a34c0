/* SPDX-License-Identifier: PostgreSQL
 *
 * Entries by name in three maps under one mutex, freed by whoever drops the last reference.
 */
#include "config.h"

#include "pgweir/pool/registry.h"

#include <stdlib.h>
#include <string.h>

#include "pgweir/base/list.h"

/* ---- life ---- */

enum pw_status pw_registry_init(struct pw_registry *registry, unsigned n_workers,
				const struct pw_hash_key *key)
{
	memset(registry, 0, sizeof(*registry));
	pw_map_init(&registry->dbs);
	pw_map_init(&registry->users);
	pw_map_init(&registry->pools);
	registry->key = *key;
	registry->n_workers = n_workers;
	atomic_store(&registry->next_id, 1);
	return pthread_mutex_init(&registry->lock, NULL) == 0 ? PW_OK : PW_EIO;
}

static void free_db(struct pw_shared_db *db)
{
	pw_code_fini(&db->code);
	pw_readables_fini(&db->readables);
	pw_parsed_fini(&db->parsed);
	free(db->name);
	free(db);
}

void pw_registry_fini(struct pw_registry *registry)
{
	struct pw_map_node *node;

	/* What an operator had said about databases without clients. */
	while ((node = pw_map_next(&registry->dbs, NULL))) {
		struct pw_shared_db *db = PW_CONTAINER(node, struct pw_shared_db, node);

		pw_map_remove(&registry->dbs, node);
		free_db(db);
	}
	pw_map_fini(&registry->dbs);
	pw_map_fini(&registry->users);
	pw_map_fini(&registry->pools);
	pthread_mutex_destroy(&registry->lock);
}

/* ---- databases ---- */

static bool has_db_name(const struct pw_map_node *node, const void *key)
{
	return strcmp(PW_CONTAINER(node, const struct pw_shared_db, node)->name, key) == 0;
}

static struct pw_shared_db *find_db(struct pw_registry *r, const char *name, uint64_t hash)
{
	struct pw_map_node *node = pw_map_find(&r->dbs, hash, has_db_name, name);

	return node ? PW_CONTAINER(node, struct pw_shared_db, node) : NULL;
}

static struct pw_shared_db *create_db(struct pw_registry *r, const char *name, uint64_t hash)
{
	struct pw_shared_db *db = calloc(1, sizeof(*db));

	if (!db)
		return NULL;
	atomic_init(&db->ddl_epoch, 1); /* 0 is older than anything */
	db->name = strdup(name);
	if (!db->name || pw_map_insert(&r->dbs, &db->node, hash) != PW_OK) {
		free(db->name);
		free(db);
		return NULL;
	}
	pw_code_init(&db->code);
	pw_readables_init(&db->readables);
	pw_parsed_init(&db->parsed);
	atomic_init(&db->code_epoch, 1);
	atomic_init(&db->hub, 0);
	atomic_init(&db->hub_encoding, 0);
	atomic_init(&db->hub_pool, 0);
	atomic_init(&db->n_hearing, 0);
	for (size_t i = 0; i < PW_PIN_REASONS; i++) {
		atomic_init(&db->pins[i].now, 0);
		atomic_init(&db->pins[i].total, 0);
	}
	return db;
}

static struct pw_shared_db *get_db(struct pw_registry *r, const char *name, bool may_create)
{
	uint64_t hash = pw_hash(&r->key, name, strlen(name));
	struct pw_shared_db *db = find_db(r, name, hash);

	if (!db && may_create)
		db = create_db(r, name, hash);
	if (db)
		db->refs++;
	return db;
}

struct pw_shared_db *pw_registry_db(struct pw_registry *r, const char *name)
{
	struct pw_shared_db *db;

	pthread_mutex_lock(&r->lock);
	db = get_db(r, name, true);
	pthread_mutex_unlock(&r->lock);
	return db;
}

struct pw_shared_db *pw_registry_find_db(struct pw_registry *r, const char *name)
{
	struct pw_shared_db *db;

	pthread_mutex_lock(&r->lock);
	db = get_db(r, name, false);
	pthread_mutex_unlock(&r->lock);
	return db;
}

static void put_db(struct pw_registry *r, struct pw_shared_db *db)
{
	/* What an operator said about a database outlives its last client. */
	if (--db->refs > 0 || atomic_load(&db->is_paused) || atomic_load(&db->is_disabled))
		return;
	pw_map_remove(&r->dbs, &db->node);
	free_db(db);
}

void pw_registry_put_db(struct pw_registry *r, struct pw_shared_db *db)
{
	if (!db)
		return;
	pthread_mutex_lock(&r->lock);
	put_db(r, db);
	pthread_mutex_unlock(&r->lock);
}

/* ---- users ---- */

static bool has_user_name(const struct pw_map_node *node, const void *key)
{
	return strcmp(PW_CONTAINER(node, const struct pw_shared_user, node)->name, key) == 0;
}

static struct pw_shared_user *get_user(struct pw_registry *r, const char *name)
{
	uint64_t hash = pw_hash(&r->key, name, strlen(name));
	struct pw_map_node *node = pw_map_find(&r->users, hash, has_user_name, name);
	struct pw_shared_user *user;

	if (node) {
		user = PW_CONTAINER(node, struct pw_shared_user, node);
		user->refs++;
		return user;
	}
	user = calloc(1, sizeof(*user));
	if (!user)
		return NULL;
	user->refs = 1;
	user->name = strdup(name);
	if (!user->name || pw_map_insert(&r->users, &user->node, hash) != PW_OK) {
		free(user->name);
		free(user);
		return NULL;
	}
	return user;
}

struct pw_shared_user *pw_registry_user(struct pw_registry *r, const char *name)
{
	struct pw_shared_user *user;

	pthread_mutex_lock(&r->lock);
	user = get_user(r, name);
	pthread_mutex_unlock(&r->lock);
	return user;
}

static void put_user(struct pw_registry *r, struct pw_shared_user *user)
{
	if (--user->refs > 0)
		return;
	pw_map_remove(&r->users, &user->node);
	free(user->name);
	free(user);
}

void pw_registry_put_user(struct pw_registry *r, struct pw_shared_user *user)
{
	if (!user)
		return;
	pthread_mutex_lock(&r->lock);
	put_user(r, user);
	pthread_mutex_unlock(&r->lock);
}

/* ---- pools ---- */

struct pool_key {
	const char *db, *user;
	bool of_replicas;
};

static bool has_pool_key(const struct pw_map_node *node, const void *key)
{
	const struct pw_shared_pool *pool = PW_CONTAINER(node, const struct pw_shared_pool, node);
	const struct pool_key *wanted = key;

	return pool->of_replicas == wanted->of_replicas &&
	       strcmp(pool->db->name, wanted->db) == 0 &&
	       strcmp(pool->user->name, wanted->user) == 0;
}

static uint64_t hash_pool(const struct pw_registry *r, const struct pool_key *key)
{
	uint64_t all[3] = {pw_hash(&r->key, key->db, strlen(key->db)),
			   pw_hash(&r->key, key->user, strlen(key->user)), key->of_replicas};

	return pw_hash(&r->key, all, sizeof(all));
}

static void put_pool(struct pw_registry *r, struct pw_shared_pool *pool);

static void free_pool(struct pw_registry *r, struct pw_shared_pool *pool)
{
	if (pool->home)
		put_pool(r, pool->home);
	if (pool->db)
		put_db(r, pool->db);
	if (pool->user)
		put_user(r, pool->user);
	pthread_mutex_destroy(&pool->lock);
	pw_strbuf_fini(&pool->welcome);
	pw_secret_fini(&pool->credentials.secret);
	explicit_bzero(&pool->credentials.keys, sizeof(pool->credentials.keys));
	free(pool->seats);
	free(pool);
}

static struct pw_shared_pool *create_pool(struct pw_registry *r, const struct pool_key *key,
					  uint64_t hash)
{
	struct pw_shared_pool *pool = calloc(1, sizeof(*pool));

	if (!pool)
		return NULL;
	pthread_mutex_init(&pool->lock, NULL);
	pool->seats = aligned_alloc(PW_CACHE_LINE, r->n_workers * sizeof(*pool->seats));
	pool->db = get_db(r, key->db, true);
	pool->user = get_user(r, key->user);
	if (!pool->seats || !pool->db || !pool->user ||
	    pw_map_insert(&r->pools, &pool->node, hash) != PW_OK) {
		free_pool(r, pool);
		return NULL;
	}
	memset(pool->seats, 0, r->n_workers * sizeof(*pool->seats));
	pool->of_replicas = key->of_replicas;
	pool->id = ++r->next_pool_id;
	return pool;
}

static struct pw_shared_pool *get_pool(struct pw_registry *r, const struct pool_key *key)
{
	uint64_t hash = hash_pool(r, key);
	struct pw_map_node *node = pw_map_find(&r->pools, hash, has_pool_key, key);
	struct pw_shared_pool *pool =
	    node ? PW_CONTAINER(node, struct pw_shared_pool, node) : create_pool(r, key, hash);

	if (pool)
		pool->refs++;
	return pool;
}

struct pw_shared_pool *pw_registry_pool(struct pw_registry *r, const char *db, const char *user,
					bool of_replicas)
{
	const struct pool_key key = {db, user, of_replicas}, home = {db, user, false};
	struct pw_shared_pool *pool;

	pthread_mutex_lock(&r->lock);
	pool = get_pool(r, &key);
	if (pool && of_replicas && !pool->home && !(pool->home = get_pool(r, &home))) {
		put_pool(r, pool);
		pool = NULL;
	}
	pthread_mutex_unlock(&r->lock);
	return pool;
}

static void put_pool(struct pw_registry *r, struct pw_shared_pool *pool)
{
	if (--pool->refs > 0)
		return;
	pw_map_remove(&r->pools, &pool->node);
	free_pool(r, pool);
}

void pw_registry_put_pool(struct pw_registry *r, struct pw_shared_pool *pool)
{
	if (!pool)
		return;
	pthread_mutex_lock(&r->lock);
	put_pool(r, pool);
	pthread_mutex_unlock(&r->lock);
}

/* ---- walks ---- */

void pw_registry_each_db(struct pw_registry *r, void (*visit)(struct pw_shared_db *db, void *arg),
			 void *arg)
{
	pthread_mutex_lock(&r->lock);
	for (struct pw_map_node *n = pw_map_next(&r->dbs, NULL); n; n = pw_map_next(&r->dbs, n))
		visit(PW_CONTAINER(n, struct pw_shared_db, node), arg);
	pthread_mutex_unlock(&r->lock);
}

void pw_registry_each_user(struct pw_registry *r,
			   void (*visit)(struct pw_shared_user *user, void *arg), void *arg)
{
	pthread_mutex_lock(&r->lock);
	for (struct pw_map_node *n = pw_map_next(&r->users, NULL); n; n = pw_map_next(&r->users, n))
		visit(PW_CONTAINER(n, struct pw_shared_user, node), arg);
	pthread_mutex_unlock(&r->lock);
}

void pw_registry_each_pool(struct pw_registry *r,
			   void (*visit)(struct pw_shared_pool *pool, void *arg), void *arg)
{
	pthread_mutex_lock(&r->lock);
	for (struct pw_map_node *n = pw_map_next(&r->pools, NULL); n; n = pw_map_next(&r->pools, n))
		visit(PW_CONTAINER(n, struct pw_shared_pool, node), arg);
	pthread_mutex_unlock(&r->lock);
}

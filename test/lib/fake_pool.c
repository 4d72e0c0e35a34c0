/* SPDX-License-Identifier: PostgreSQL
 *
 * The workers and the clock of pool/fake_pool.h.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "fake_pool.h"
#include "pgweir/net/socket.h"

enum { TURNS = 8 };

static uint64_t fake_now(const struct pw_clock *clock)
{
	return PW_CONTAINER(clock, const struct fake_clock, clock)->now_us;
}

static void file_name(const struct fake_env *env, const char *name, char *out, size_t size)
{
	snprintf(out, size, "%s/%s", env->dir, name);
}

static struct pw_snapshot *load(struct fake_env *env, const char *settings, const char *db)
{
	struct pw_strbuf why = PW_STRBUF_INIT, warnings = PW_STRBUF_INIT;
	struct pw_snapshot *snapshot;
	char path[128];
	FILE *file;

	file_name(env, "pgweir.ini", path, sizeof(path));
	file = fopen(path, "w");
	assert_non_null(file);
	fprintf(file,
		"[databases]\napp = host=%s port=%d %s\n"
		"[pgweir]\nauth_type = trust\npool_mode = transaction\nlisten_addr = 127.0.0.1\n"
		"log_connections = 0\nlog_disconnections = 0\nsession_state = off\n%s\n",
		env->dir, FAKE_PORT, db, settings);
	assert_int_equal(fclose(file), 0);
	snapshot = pw_snapshot_load(path, env->snapshot, &env->key, &why, &warnings);
	if (!snapshot)
		fail_msg("%s", why.data);
	pw_strbuf_fini(&why);
	pw_strbuf_fini(&warnings);
	return snapshot;
}

void fake_listen(struct fake_env *env, bool is_on)
{
	char path[128], name[32];

	snprintf(name, sizeof(name), ".s.PGSQL.%d", FAKE_PORT);
	file_name(env, name, path, sizeof(path));
	if (env->listen_fd >= 0)
		close(env->listen_fd);
	(void)unlink(path);
	env->listen_fd = is_on ? pw_socket_listen_unix(path, 64, -1, (gid_t)-1) : -1;
	assert_int_equal(env->listen_fd >= 0, is_on);
}

static void init_worker(struct fake_env *env, unsigned index)
{
	struct fake_worker *w = &env->workers[index];
	struct pw_pools *pools = &w->pools;

	assert_int_equal(pw_loop_init(&w->loop, &env->clock.clock), PW_OK);
	assert_int_equal(pw_mailbox_init(&w->mailbox, &w->loop, w), PW_OK);
	memset(pools, 0, sizeof(*pools));
	pools->loop = &w->loop;
	pools->registry = &env->registry;
	pools->mailbox = &w->mailbox;
	pools->peers = env->peers;
	pools->index = index;
	pools->n_peers = env->n_workers;
	pools->hash_key = env->key;
	pools->log = (struct pw_logctx){&env->log, NULL};
	pw_params_table_init(&pools->params, &env->tracked, &env->key);
	env->peers[index] = pools;
	assert_int_equal(pw_pools_init(pools, env->snapshot), PW_OK);
}

void fake_env_init(struct fake_env *env, const char *settings, const char *db, unsigned n_workers)
{
	memset(env, 0, sizeof(*env));
	pw_rng_seed(&env->rng, 1);
	env->clock = (struct fake_clock){{fake_now}, 1000 * PW_SECOND_US};
	env->key = (struct pw_hash_key){5, 6};
	env->n_workers = n_workers;
	env->listen_fd = -1;
	snprintf(env->dir, sizeof(env->dir), "/tmp/pgweir-test-pool-XXXXXX");
	assert_non_null(mkdtemp(env->dir));
	pw_log_init(&env->log);
	atomic_store(&env->log.stderr_fd, -1);
	fake_listen(env, true);
	assert_int_equal(pw_tracked_init(&env->tracked, "IntervalStyle"), PW_OK);
	assert_int_equal(pw_registry_init(&env->registry, n_workers, &env->key), PW_OK);
	env->snapshot = load(env, settings, db);
	for (unsigned i = 0; i < n_workers; i++)
		init_worker(env, i);
}

static void remove_files(struct fake_env *env)
{
	char path[128];

	fake_listen(env, false);
	file_name(env, "pgweir.ini", path, sizeof(path));
	(void)unlink(path);
	assert_int_equal(rmdir(env->dir), 0);
}

void fake_env_fini(struct fake_env *env)
{
	for (unsigned i = 0; i < env->n_workers; i++)
		pw_pools_fini(&env->workers[i].pools);
	for (unsigned i = 0; i < env->n_workers; i++)
		pw_mailbox_fini(&env->workers[i].mailbox);
	for (unsigned i = 0; i < env->n_workers; i++) {
		struct fake_worker *w = &env->workers[i];

		pw_loop_fini(&w->loop);
		/* Every reference to a set has been given back. */
		assert_int_equal(w->pools.params.map.count, 0);
		pw_params_table_fini(&w->pools.params);
	}
	/* So have all references to what the workers share. */
	assert_int_equal(env->registry.pools.count, 0);
	assert_int_equal(env->registry.dbs.count, 0);
	assert_int_equal(env->registry.users.count, 0);
	pw_registry_fini(&env->registry);
	pw_snapshot_unref(env->snapshot);
	pw_tracked_fini(&env->tracked);
	pw_log_fini(&env->log);
	remove_files(env);
}

void fake_turn_worker(struct fake_env *env, unsigned worker)
{
	for (int i = 0; i < TURNS; i++)
		pw_loop_turn(&env->workers[worker].loop, false);
}

void fake_turn(struct fake_env *env)
{
	for (int i = 0; i < TURNS; i++) {
		for (unsigned w = 0; w < env->n_workers; w++)
			pw_loop_turn(&env->workers[w].loop, false);
	}
	/* What still has something to do by now would have it for ever. */
	for (unsigned w = 0; w < env->n_workers; w++)
		assert_true(pw_list_is_empty(&env->workers[w].loop.tasks));
}

void fake_pass(struct fake_env *env, uint64_t us)
{
	const uint64_t step = 50 * PW_MILLISECOND_US;

	while (us > 0) {
		uint64_t now = us < step ? us : step;

		us -= now;
		env->clock.now_us += now;
		for (unsigned i = 0; i < env->n_workers; i++) {
			struct pw_loop *loop = &env->workers[i].loop;

			pw_loop_refresh_time(loop);
			pw_wheel_advance(&loop->wheel, loop->now_us);
			pw_loop_turn(loop, false);
		}
	}
	fake_turn(env);
}

struct pw_pool *fake_pool_of(struct fake_env *env, unsigned worker, const char *user)
{
	struct pw_pools *pools = &env->workers[worker].pools;
	const struct pw_conf_db *db = pw_conf_find_db(pools->snapshot->conf, "app");
	struct pw_pool *pool;

	assert_non_null(db);
	pool = pw_pools_get(pools, db, "app", user);
	assert_non_null(pool);
	return pool;
}

void fake_load(struct fake_env *env, const char *settings, const char *db)
{
	struct pw_snapshot *old = env->snapshot;

	env->snapshot = load(env, settings, db);
	pw_snapshot_unref(old);
}

void fake_reload(struct fake_env *env, const char *settings, const char *db)
{
	fake_load(env, settings, db);
	for (unsigned i = 0; i < env->n_workers; i++)
		pw_pools_swap_snapshot(&env->workers[i].pools, env->snapshot);
	fake_turn(env);
}

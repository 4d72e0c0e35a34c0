/* SPDX-License-Identifier: PostgreSQL
 *
 * A process of two workers for the tests of the tables: a configuration, pools without links,
 * clients put together by hand. To be included once in a program.
 */
#ifndef PGWEIR_TEST_ADMIN_PROCESS_FIXTURE_H
#define PGWEIR_TEST_ADMIN_PROCESS_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "admin/admin_priv.h"
#include "console_fixture.h"

static const char config_text[] =
    "[databases]\n"
    "app = host=10.0.0.1 port=5433 dbname=prod pool_size=7 pool_mode=transaction\n"
    "many = host=h1,h2 user=robot load_balance_hosts=disable\n"
    "* = host=10.0.0.9\n"
    "[users]\n"
    "alice = pool_size=3 max_user_connections=9 pool_mode=session\n"
    "[pgbouncer]\n"
    "listen_port = 6543\n"
    "max_db_connections = 50\n"
    "max_user_client_connections = 60\n"
    "default_pool_size = 11\n"
    "auth_type = plain\n"
    "server_lifetime = 1800\n";

/* What is one process in the end: two workers. */
struct process {
	struct fixture workers[2];
	struct pw_snapshot *snapshot;
	struct pw_registry registry;
	struct pw_tracked tracked;
	struct pw_hash_key key;
	struct pw_worker_view views[2];
};

static inline bool load_snapshot(struct process *p)
{
	char path[] = "/tmp/test_console_views.XXXXXX";
	struct pw_strbuf why = PW_STRBUF_INIT;
	int fd = mkstemp(path);
	bool is_written =
	    fd >= 0 && write(fd, config_text, sizeof(config_text) - 1) == sizeof(config_text) - 1;

	if (is_written)
		p->snapshot = pw_snapshot_load(path, NULL, &p->key, &why, &why);
	if (why.len > 0)
		print_error("%s", why.data);
	pw_strbuf_fini(&why);
	close(fd);
	unlink(path);
	return p->snapshot != NULL;
}

static inline bool init_worker(struct process *p, unsigned index)
{
	struct fixture *f = &p->workers[index];

	if (!fixture_init(f, PW_RIGHT_ADMIN) || pw_loop_init(&f->loop, &pw_clock_system) != PW_OK)
		return false;
	f->pools.loop = f->clients.loop = &f->loop;
	f->pools.registry = f->clients.registry = &p->registry;
	f->pools.index = index;
	f->pools.log.log = &f->log;
	pw_params_table_init(&f->pools.params, &p->tracked, &p->key);
	pw_list_append(&f->clients.all, &f->client.node);
	p->views[index] = (struct pw_worker_view){.pools = &f->pools,
						  .clients = &f->clients,
						  .registry = &p->registry,
						  .version_line = "pgweir 1.2.3",
						  .worker = index};
	return pw_pools_init(&f->pools, p->snapshot) == PW_OK;
}

static inline int setup(void **state)
{
	static const char auth_file[] = "\"bob\" \"secret\"\n\"alice\" \"secret\"\n";
	struct process *p = calloc(1, sizeof(*p));

	*state = p;
	if (!p || !load_snapshot(p) || pw_registry_init(&p->registry, 2, &p->key) != PW_OK ||
	    pw_tracked_init(&p->tracked, "") != PW_OK)
		return -1;
	pw_userdb_unref(p->snapshot->users);
	p->snapshot->users = pw_userdb_parse(auth_file, sizeof(auth_file) - 1, "", &p->key, NULL);
	return p->snapshot->users && init_worker(p, 0) && init_worker(p, 1) ? 0 : -1;
}

static inline int teardown(void **state)
{
	struct process *p = *state;

	for (unsigned i = 0; i < 2; i++) {
		struct fixture *f = &p->workers[i];

		fixture_fini(f);
		pw_pools_fini(&f->pools);
		pw_params_table_fini(&f->pools.params);
		pw_loop_fini(&f->loop);
	}
	pw_registry_fini(&p->registry);
	pw_tracked_fini(&p->tracked);
	pw_snapshot_unref(p->snapshot);
	free(p);
	return 0;
}

static inline struct pw_pool *get_pool(struct process *p, unsigned worker, const char *db,
				       const char *user)
{
	const struct pw_conf *conf = p->snapshot->conf;
	const struct pw_conf_db *entry = pw_conf_find_db(conf, db);
	struct pw_pool *pool = pw_pools_get(&p->workers[worker].pools,
					    entry ? entry : pw_conf_find_db(conf, "*"), db, user);

	assert_non_null(pool);
	return pool;
}

/* As main does it. */
static inline struct pw_rows collect(struct process *p, const struct pw_view *view)
{
	struct pw_rows all;

	pw_rows_init(&all, view);
	for (unsigned i = 0; i < (view->is_per_worker ? 2 : 1); i++) {
		struct pw_rows part;

		pw_rows_init(&part, view);
		view->collect(&part, &p->views[i]);
		pw_rows_merge(&all, &part);
	}
	pw_rows_finish(&all);
	assert_false(all.has_failed);
	return all;
}

static inline size_t column_of(const struct pw_view *view, const char *name)
{
	for (size_t i = 0; view->columns[i].name; i++) {
		if (strcmp(view->columns[i].name, name) == 0)
			return i;
	}
	fail_msg("no column %s", name);
	return 0;
}

/* The row whose first column is that text. */
static inline size_t row_of(const struct pw_rows *rows, const char *text)
{
	for (size_t i = 0; i < rows->n_rows; i++) {
		if (strcmp(pw_rows_at(rows, i)[0].text, text) == 0)
			return i;
	}
	fail_msg("no row %s", text);
	return 0;
}

static inline bool has_row(const struct pw_rows *rows, const char *text)
{
	for (size_t i = 0; i < rows->n_rows; i++) {
		if (strcmp(pw_rows_at(rows, i)[0].text, text) == 0)
			return true;
	}
	return false;
}

static inline int64_t number_at(const struct pw_rows *rows, size_t row, const char *column)
{
	const struct pw_cell *cell = &pw_rows_at(rows, row)[column_of(rows->view, column)];

	assert_false(cell->is_null);
	return cell->number;
}

static const char *text_at(const struct pw_rows *rows, size_t row, const char *column)
{
	const struct pw_cell *cell = &pw_rows_at(rows, row)[column_of(rows->view, column)];

	return cell->is_null ? "(null)" : cell->text;
}

static inline void add_client(struct process *p, unsigned worker, struct pw_client *c,
			      struct pw_pool *pool, enum pw_client_state client_state)
{
	memset(c, 0, sizeof(*c));
	c->clients = &p->workers[worker].clients;
	c->state = client_state;
	c->loan.pool = pool;
	c->id = 100 + worker;
	pw_list_append(&p->workers[worker].clients.all, &c->node);
}

#define PROCESS(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

#endif

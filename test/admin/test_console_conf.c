/* SPDX-License-Identifier: PostgreSQL
 *
 * The tables of what is configured, and of the process as a whole.
 */
#include "config.h"

#include "process_fixture.h"

/* ---- DATABASES, USERS, CONFIG ---- */

static void test_databases(void **state)
{
	struct process *p = *state;
	struct pw_shared_db *app = pw_registry_db(&p->registry, "app");
	struct pw_shared_db *automatic = pw_registry_db(&p->registry, "zoo");
	struct pw_shared_db *console = pw_registry_db(&p->registry, "pgbouncer");
	struct pw_rows rows;
	size_t row;

	assert_true(pw_limit_take(&app->links, 0) && pw_limit_take(&app->clients, 0) &&
		    pw_limit_take(&app->clients, 0) && pw_limit_take(&console->clients, 0));
	atomic_store(&automatic->is_paused, true);
	rows = collect(p, &pw_view_databases);
	assert_int_equal(rows.n_rows, 4);
	assert_false(has_row(&rows, "*"));
	row = row_of(&rows, "app");
	assert_int_equal(row, 0);
	assert_string_equal(text_at(&rows, row, "host"), "10.0.0.1");
	assert_int_equal(number_at(&rows, row, "port"), 5433);
	assert_string_equal(text_at(&rows, row, "database"), "prod");
	assert_string_equal(text_at(&rows, row, "force_user"), "(null)");
	assert_int_equal(number_at(&rows, row, "pool_size"), 7);
	assert_int_equal(number_at(&rows, row, "server_lifetime"), 1800);
	assert_string_equal(text_at(&rows, row, "pool_mode"), "transaction");
	assert_int_equal(number_at(&rows, row, "max_connections"), 50);
	assert_int_equal(number_at(&rows, row, "current_connections"), 1);
	assert_int_equal(number_at(&rows, row, "current_client_connections"), 2);
	assert_int_equal(number_at(&rows, row, "paused"), 0);
	row = row_of(&rows, "many");
	assert_string_equal(text_at(&rows, row, "host"), "h1,h2");
	assert_string_equal(text_at(&rows, row, "database"), "many");
	assert_string_equal(text_at(&rows, row, "force_user"), "robot");
	assert_string_equal(text_at(&rows, row, "pool_mode"), "(null)");
	assert_string_equal(text_at(&rows, row, "load_balance_hosts"), "disable");
	assert_int_equal(number_at(&rows, row, "pool_size"), 11);
	row = row_of(&rows, "zoo"); /* made through * */
	assert_string_equal(text_at(&rows, row, "host"), "10.0.0.9");
	assert_string_equal(text_at(&rows, row, "database"), "zoo");
	assert_int_equal(number_at(&rows, row, "paused"), 1);
	row = row_of(&rows, "pgbouncer");
	assert_string_equal(text_at(&rows, row, "host"), "(null)");
	assert_int_equal(number_at(&rows, row, "port"), 6543);
	assert_string_equal(text_at(&rows, row, "force_user"), "pgbouncer");
	assert_int_equal(number_at(&rows, row, "pool_size"), 2);
	assert_string_equal(text_at(&rows, row, "pool_mode"), "statement");
	assert_int_equal(number_at(&rows, row, "current_client_connections"), 1);
	pw_rows_fini(&rows);

	atomic_store(&automatic->is_paused, false);
	pw_registry_put_db(&p->registry, app);
	pw_registry_put_db(&p->registry, automatic);
	pw_registry_put_db(&p->registry, console);
}

static void test_users(void **state)
{
	struct process *p = *state;
	struct pw_shared_user *bob = pw_registry_user(&p->registry, "bob");
	struct pw_shared_user *dynamic = pw_registry_user(&p->registry, "zed");
	struct pw_rows rows;
	size_t row;

	assert_true(pw_limit_take(&bob->links, 0) && pw_limit_take(&dynamic->clients, 0));
	rows = collect(p, &pw_view_users);
	assert_int_equal(rows.n_rows, 4);
	row = row_of(&rows, "alice"); /* in the file and in [users]: one row */
	assert_string_equal(text_at(&rows, row, "pool_size"), "        3");
	assert_string_equal(text_at(&rows, row, "reserve_pool_size"), "");
	assert_string_equal(text_at(&rows, row, "pool_mode"), "session");
	assert_int_equal(number_at(&rows, row, "max_user_connections"), 9);
	assert_int_equal(number_at(&rows, row, "max_user_client_connections"), 60);
	row = row_of(&rows, "bob");
	assert_string_equal(text_at(&rows, row, "pool_size"), "");
	assert_string_equal(text_at(&rows, row, "pool_mode"), "(null)");
	assert_int_equal(number_at(&rows, row, "current_connections"), 1);
	row = row_of(&rows, "zed");
	assert_int_equal(number_at(&rows, row, "current_client_connections"), 1);
	assert_true(has_row(&rows, "pgbouncer"));
	pw_rows_fini(&rows);
	pw_registry_put_user(&p->registry, bob);
	pw_registry_put_user(&p->registry, dynamic);
}

static void test_config(void **state)
{
	struct process *p = *state;
	struct pw_rows rows = collect(p, &pw_view_config);
	size_t row = row_of(&rows, "listen_port");

	assert_int_equal(rows.n_rows, pw_conf_setting_count());
	assert_string_equal(text_at(&rows, row, "value"), "6543");
	assert_string_equal(text_at(&rows, row, "default"), "6432");
	assert_string_equal(text_at(&rows, row, "changeable"), "no");
	row = row_of(&rows, "default_pool_size");
	assert_string_equal(text_at(&rows, row, "value"), "11");
	assert_string_equal(text_at(&rows, row, "changeable"), "yes");
	assert_string_equal(text_at(&rows, row_of(&rows, "auth_dbname"), "default"), "(null)");
	pw_rows_fini(&rows);
}

/* ---- LISTS, STATE, VERSION ---- */

static void test_lists(void **state)
{
	static const char *const names[] = {
	    "databases",    "users",        "peers",         "pools",        "peer_pools",
	    "free_clients", "used_clients", "login_clients", "free_servers", "used_servers",
	    "dns_names",    "dns_zones",    "dns_queries",   "dns_pending"};
	struct process *p = *state;
	struct pw_pool *pool = get_pool(p, 1, "app", "bob");
	struct pw_client logging_in;
	struct pw_link link = {.magic = 0};
	struct pw_rows rows;

	add_client(p, 0, &logging_in, NULL, PW_CLIENT_AUTH);
	pw_list_append(&pool->idle, &link.pool_node);
	rows = collect(p, &pw_view_lists);
	assert_int_equal(rows.n_rows, PW_COUNTOF(names));
	for (size_t i = 0; i < rows.n_rows; i++)
		assert_string_equal(pw_rows_at(&rows, i)[0].text, names[i]);
	assert_int_equal(number_at(&rows, row_of(&rows, "databases"), "items"), 3);
	assert_int_equal(number_at(&rows, row_of(&rows, "users"), "items"), 3);
	assert_int_equal(number_at(&rows, row_of(&rows, "pools"), "items"), 2);
	assert_int_equal(number_at(&rows, row_of(&rows, "used_clients"), "items"), 3);
	assert_int_equal(number_at(&rows, row_of(&rows, "login_clients"), "items"), 1);
	assert_int_equal(number_at(&rows, row_of(&rows, "used_servers"), "items"), 1);
	pw_rows_fini(&rows);
	pw_list_remove(&link.pool_node);
}

static void test_state_and_version(void **state)
{
	struct process *p = *state;
	struct pw_rows rows = collect(p, &pw_view_state);

	assert_int_equal(rows.n_rows, 3);
	assert_string_equal(text_at(&rows, 0, "key"), "active");
	assert_string_equal(text_at(&rows, 0, "value"), "yes");
	assert_string_equal(text_at(&rows, 1, "value"), "no");
	pw_rows_fini(&rows);
	atomic_store(&p->registry.is_paused, true);
	rows = collect(p, &pw_view_state);
	assert_string_equal(text_at(&rows, 0, "value"), "no");
	assert_string_equal(text_at(&rows, 1, "value"), "yes");
	assert_string_equal(text_at(&rows, 2, "key"), "suspended");
	assert_string_equal(text_at(&rows, 2, "value"), "no");
	pw_rows_fini(&rows);
	rows = collect(p, &pw_view_version);
	assert_int_equal(rows.n_rows, 1);
	assert_string_equal(text_at(&rows, 0, "version"), "pgweir 1.2.3");
	pw_rows_fini(&rows);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    PROCESS(test_databases),
	    PROCESS(test_users),
	    PROCESS(test_config),
	    PROCESS(test_lists),
	    PROCESS(test_state_and_version),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

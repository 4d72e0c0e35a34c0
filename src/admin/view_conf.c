/* SPDX-License-Identifier: PostgreSQL
 *
 * SHOW DATABASES, USERS, CONFIG: what is configured, and how much of it is in use. One worker
 * gathers for all, since limits are kept for the whole process in the registry: each source adds
 * rows of its own (the configuration, the file of users, the registry), and rows of the same name
 * become one.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "admin_priv.h"
#include "pgweir/base/clock.h"

enum { CONSOLE_POOL_SIZE = 2 };

struct visit {
	struct pw_rows *rows;
	const struct pw_snapshot *snapshot;
};

static const struct pw_snapshot *snapshot_of(const void *source)
{
	return ((const struct pw_worker_view *)source)->pools->snapshot;
}

/* ---- DATABASES ---- */

enum database_column {
	DB_NAME,
	DB_HOST,
	DB_PORT,
	DB_DATABASE,
	DB_FORCE_USER,
	DB_POOL_SIZE,
	DB_MIN_POOL_SIZE,
	DB_RESERVE_POOL_SIZE,
	DB_SERVER_LIFETIME,
	DB_POOL_MODE,
	DB_LOAD_BALANCE_HOSTS,
	DB_MAX_CONNECTIONS,
	DB_CURRENT_CONNECTIONS,
	DB_MAX_CLIENT_CONNECTIONS,
	DB_CURRENT_CLIENT_CONNECTIONS,
	DB_PAUSED,
	DB_DISABLED,
	DB_CLUSTER,
	DB_ROUTING,
	DB_CONSISTENCY,
	DB_MAX_LAG_MS,
};

#define FIRST PW_MERGE_FIRST
#define SUM   PW_MERGE_SUM

/* clang-format off */
static const struct pw_column database_columns[] = {
    [DB_NAME] = {"name", PW_COL_TEXT, PW_MERGE_KEY, "As clients call it."},
    [DB_HOST] = {"host", PW_COL_TEXT, FIRST, "As configured; NULL = unix socket, or that of the cluster's node."},
    [DB_PORT] = {"port", PW_COL_INT4, FIRST, "Port of the server."},
    [DB_DATABASE] = {"database", PW_COL_TEXT, FIRST, "As the server calls it."},
    [DB_FORCE_USER] = {"force_user", PW_COL_TEXT, FIRST,
                       "User that logs in to the server for every client; NULL = the client's."},
    [DB_POOL_SIZE] = {"pool_size", PW_COL_INT4, FIRST, "Server connections for each user."},
    [DB_MIN_POOL_SIZE] = {"min_pool_size", PW_COL_INT4, FIRST, "Server connections kept open."},
    [DB_RESERVE_POOL_SIZE] = {"reserve_pool_size", PW_COL_INT4, FIRST,
                              "Further server connections when clients wait."},
    [DB_SERVER_LIFETIME] = {"server_lifetime", PW_COL_INT4, FIRST,
                            "Seconds after which an unused server connection is replaced."},
    [DB_POOL_MODE] = {"pool_mode", PW_COL_TEXT, FIRST, "NULL = the general setting."},
    [DB_LOAD_BALANCE_HOSTS] = {"load_balance_hosts", PW_COL_TEXT, FIRST, "NULL = not set."},
    [DB_MAX_CONNECTIONS] = {"max_connections", PW_COL_INT4, FIRST,
                            "Server connections at most; 0 = no limit."},
    [DB_CURRENT_CONNECTIONS] = {"current_connections", PW_COL_INT4, SUM,
                                "Server connections at present."},
    [DB_MAX_CLIENT_CONNECTIONS] = {"max_client_connections", PW_COL_INT4, FIRST,
                                   "Clients at most; 0 = no limit."},
    [DB_CURRENT_CLIENT_CONNECTIONS] = {"current_client_connections", PW_COL_INT4, SUM,
                                       "Clients at present."},
    [DB_PAUSED] = {"paused", PW_COL_INT4, PW_MERGE_MAX, "1 = by PAUSE or KILL of this database."},
    [DB_DISABLED] = {"disabled", PW_COL_INT4, PW_MERGE_MAX, "1 = takes no new clients."},
    [DB_CLUSTER] = {"cluster", PW_COL_TEXT, FIRST, "As in [clusters]; NULL = it is of none, nor has it what follows."},
    [DB_ROUTING] = {"routing", PW_COL_TEXT, FIRST,
                    "primary, replica or split: what is in force, for users that have none of their own."},
    [DB_CONSISTENCY] = {"consistency", PW_COL_TEXT, FIRST, "The same of consistency."},
    [DB_MAX_LAG_MS] = {"max_lag_ms", PW_COL_INT4, FIRST,
                       "The database's own; 0 = no limit, NULL = that of the cluster, see SHOW CLUSTERS."},
    {.name = NULL},
};
/* clang-format on */

static void set_reading(struct pw_rows *rows, struct pw_cell *row, const struct pw_conf_db *db,
			const struct pw_conf_reading *reading)
{
	if (!db->cluster)
		return;
	pw_cell_set_text(rows, &row[DB_CLUSTER], db->cluster);
	pw_cell_set_text(rows, &row[DB_ROUTING], pw_console_routing_name(reading->routing));
	pw_cell_set_text(rows, &row[DB_CONSISTENCY],
			 pw_console_consistency_name(reading->consistency));
	if (reading->max_lag >= 0)
		pw_cell_set_number(&row[DB_MAX_LAG_MS], reading->max_lag / 1000);
}

static void set_database(struct pw_rows *rows, struct pw_cell *row, const struct pw_conf *conf,
			 const struct pw_conf_db *db)
{
	struct pw_pool_conf pool;
	struct pw_client_conf client;

	pw_conf_resolve_pool(conf, db, NULL, &pool);
	pw_conf_resolve_client(conf, db, NULL, &client);
	pw_cell_set_text(rows, &row[DB_HOST], db->host_text);
	pw_cell_set_number(&row[DB_PORT], db->port);
	pw_cell_set_text(rows, &row[DB_DATABASE], db->dbname ? db->dbname : row[DB_NAME].text);
	pw_cell_set_text(rows, &row[DB_FORCE_USER], db->user);
	pw_cell_set_number(&row[DB_POOL_SIZE], pool.pool_size);
	pw_cell_set_number(&row[DB_MIN_POOL_SIZE], pool.min_pool_size);
	pw_cell_set_number(&row[DB_RESERVE_POOL_SIZE], pool.reserve_pool_size);
	pw_cell_set_number(&row[DB_SERVER_LIFETIME],
			   (int64_t)(pool.server_lifetime / PW_SECOND_US));
	pw_cell_set_text(rows, &row[DB_POOL_MODE], pw_console_mode_name(db->pool_mode));
	pw_cell_set_text(rows, &row[DB_LOAD_BALANCE_HOSTS],
			 pw_console_balance_name(db->load_balance_hosts));
	pw_cell_set_number(&row[DB_MAX_CONNECTIONS], pool.max_db_connections);
	pw_cell_set_number(&row[DB_MAX_CLIENT_CONNECTIONS], client.max_db_client_connections);
	set_reading(rows, row, db, &pool.reading);
}

static struct pw_cell *add_database(struct pw_rows *rows, const char *name)
{
	struct pw_cell *row = pw_rows_add(rows);

	if (!row)
		return NULL;
	pw_cell_set_text(rows, &row[DB_NAME], name);
	pw_cell_set_number(&row[DB_CURRENT_CONNECTIONS], 0);
	pw_cell_set_number(&row[DB_CURRENT_CLIENT_CONNECTIONS], 0);
	pw_cell_set_number(&row[DB_PAUSED], 0);
	pw_cell_set_number(&row[DB_DISABLED], 0);
	return row;
}

static void add_console(struct pw_rows *rows, const struct pw_conf *conf)
{
	const struct pw_conf_db console = {
	    .name = PW_CONSOLE_NAME,
	    .port = conf->listen_port,
	    .user = PW_CONSOLE_NAME,
	    .pool_size = CONSOLE_POOL_SIZE,
	    .server_lifetime = -1,
	    .pool_mode = PW_MODE_STATEMENT,
	    .load_balance_hosts = -1,
	};
	struct pw_cell *row = add_database(rows, PW_CONSOLE_NAME);

	if (!row)
		return;
	set_database(rows, row, conf, &console);
	pw_cell_set_number(&row[DB_MAX_CONNECTIONS], 0);
}

/* What the registry has of it; a name that only "*" stands for gets its whole row from here. */
static void visit_database(struct pw_shared_db *shared, void *arg)
{
	const struct visit *visit = arg;
	const struct pw_conf *conf = visit->snapshot->conf;
	const struct pw_conf_db *entry = pw_conf_find_db(conf, shared->name);
	bool is_console = !entry && pw_conf_is_console(shared->name);
	const struct pw_conf_db *template = pw_conf_find_db(conf, "*");
	struct pw_cell *row;

	if (!entry && !is_console && !template)
		return; /* removed from the file; its last clients are leaving */
	row = add_database(visit->rows, is_console ? PW_CONSOLE_NAME : shared->name);
	if (!row)
		return;
	if (!entry && !is_console)
		set_database(visit->rows, row, conf, template);
	pw_cell_set_number(&row[DB_CURRENT_CONNECTIONS], pw_limit_used(&shared->links));
	pw_cell_set_number(&row[DB_CURRENT_CLIENT_CONNECTIONS], pw_limit_used(&shared->clients));
	pw_cell_set_number(&row[DB_PAUSED], atomic_load(&shared->is_paused));
	pw_cell_set_number(&row[DB_DISABLED], atomic_load(&shared->is_disabled));
}

static void collect_databases(struct pw_rows *rows, const void *source)
{
	const struct pw_worker_view *worker = source;
	struct visit visit = {rows, snapshot_of(source)};
	const struct pw_conf *conf = visit.snapshot->conf;

	for (size_t i = 0; i < conf->n_databases; i++) {
		const struct pw_conf_db *db = &conf->databases[i];
		struct pw_cell *row;

		if (strcmp(db->name, "*") == 0)
			continue;
		row = add_database(rows, db->name);
		if (row)
			set_database(rows, row, conf, db);
	}
	add_console(rows, conf);
	pw_registry_each_db(worker->registry, visit_database, &visit);
}

/* ---- USERS ---- */

enum user_column {
	USER_NAME,
	USER_POOL_SIZE,
	USER_RESERVE_POOL_SIZE,
	USER_POOL_MODE,
	USER_MAX_CONNECTIONS,
	USER_CURRENT_CONNECTIONS,
	USER_MAX_CLIENT_CONNECTIONS,
	USER_CURRENT_CLIENT_CONNECTIONS,
};

/* clang-format off */
static const struct pw_column user_columns[] = {
    [USER_NAME] = {"name", PW_COL_TEXT, PW_MERGE_KEY, "The user."},
    [USER_POOL_SIZE] = {"pool_size", PW_COL_TEXT, FIRST, "Empty = not set for this user."},
    [USER_RESERVE_POOL_SIZE] = {"reserve_pool_size", PW_COL_TEXT, FIRST,
                                "Empty = not set for this user."},
    [USER_POOL_MODE] = {"pool_mode", PW_COL_TEXT, FIRST, "NULL = not set for this user."},
    [USER_MAX_CONNECTIONS] = {"max_user_connections", PW_COL_INT4, FIRST,
                              "Server connections at most; 0 = no limit."},
    [USER_CURRENT_CONNECTIONS] = {"current_connections", PW_COL_INT4, SUM,
                                  "Server connections at present."},
    [USER_MAX_CLIENT_CONNECTIONS] = {"max_user_client_connections", PW_COL_INT4, FIRST,
                                     "Clients at most; 0 = no limit."},
    [USER_CURRENT_CLIENT_CONNECTIONS] = {"current_client_connections", PW_COL_INT4, SUM,
                                         "Clients at present."},
    {.name = NULL},
};
/* clang-format on */

static void set_padded(struct pw_rows *rows, struct pw_cell *cell, int number)
{
	char text[16] = "";

	if (number >= 0)
		snprintf(text, sizeof(text), "%9d", number);
	pw_cell_set_text(rows, cell, text);
}

static struct pw_cell *add_user(struct pw_rows *rows, const struct pw_conf *conf, const char *name)
{
	const struct pw_conf_user *user = pw_conf_find_user(conf, name);
	struct pw_cell *row = pw_rows_add(rows);
	struct pw_pool_conf pool;
	struct pw_client_conf client;

	if (!row)
		return NULL;
	pw_conf_resolve_pool(conf, NULL, name, &pool);
	pw_conf_resolve_client(conf, NULL, name, &client);
	pw_cell_set_text(rows, &row[USER_NAME], name);
	set_padded(rows, &row[USER_POOL_SIZE], user ? user->pool_size : -1);
	set_padded(rows, &row[USER_RESERVE_POOL_SIZE], user ? user->reserve_pool_size : -1);
	pw_cell_set_text(rows, &row[USER_POOL_MODE],
			 pw_console_mode_name(user ? user->pool_mode : -1));
	pw_cell_set_number(&row[USER_MAX_CONNECTIONS], pool.max_user_connections);
	pw_cell_set_number(&row[USER_CURRENT_CONNECTIONS], 0);
	pw_cell_set_number(&row[USER_MAX_CLIENT_CONNECTIONS], client.max_user_client_connections);
	pw_cell_set_number(&row[USER_CURRENT_CLIENT_CONNECTIONS], 0);
	return row;
}

static void visit_user(struct pw_shared_user *shared, void *arg)
{
	const struct visit *visit = arg;
	struct pw_cell *row = add_user(visit->rows, visit->snapshot->conf, shared->name);

	if (!row)
		return;
	pw_cell_set_number(&row[USER_CURRENT_CONNECTIONS], pw_limit_used(&shared->links));
	pw_cell_set_number(&row[USER_CURRENT_CLIENT_CONNECTIONS], pw_limit_used(&shared->clients));
}

static void collect_users(struct pw_rows *rows, const void *source)
{
	const struct pw_worker_view *worker = source;
	struct visit visit = {rows, snapshot_of(source)};
	const struct pw_conf *conf = visit.snapshot->conf;
	const struct pw_userdb *file = visit.snapshot->users;

	for (size_t i = 0; i < pw_userdb_count(file); i++)
		(void)add_user(rows, conf, pw_userdb_at(file, i)->name);
	for (size_t i = 0; i < conf->n_users; i++)
		(void)add_user(rows, conf, conf->users[i].name);
	(void)add_user(rows, conf, PW_CONSOLE_NAME);
	pw_registry_each_user(worker->registry, visit_user, &visit);
}

/* ---- CONFIG ---- */

enum config_column { KEY, VALUE, DEFAULT, CHANGEABLE };

static const struct pw_column config_columns[] = {
    [KEY] = {"key", PW_COL_TEXT, FIRST, "Name of the setting."},
    [VALUE] = {"value", PW_COL_TEXT, FIRST, "Value in force."},
    [DEFAULT] = {"default", PW_COL_TEXT, FIRST, "Value that holds where nothing is set."},
    [CHANGEABLE] = {"changeable", PW_COL_TEXT, FIRST, "Does a reload change it? yes or no."},
    {.name = NULL},
};

static void collect_config(struct pw_rows *rows, const void *source)
{
	const struct pw_conf *conf = snapshot_of(source)->conf;
	struct pw_strbuf value = PW_STRBUF_INIT;

	for (size_t i = 0; i < pw_conf_setting_count(); i++) {
		struct pw_setting_row setting;
		struct pw_cell *row = pw_rows_add(rows);

		if (!row)
			break;
		pw_conf_setting_row(i, &setting);
		pw_strbuf_reset(&value);
		pw_cell_set_text(rows, &row[KEY], setting.name);
		if (pw_conf_setting_value(conf, i, &value))
			pw_cell_set_text(rows, &row[VALUE], value.data ? value.data : "");
		pw_cell_set_text(rows, &row[DEFAULT], setting.default_text);
		pw_cell_set_text(rows, &row[CHANGEABLE], setting.is_reloadable ? "yes" : "no");
		rows->has_failed |= value.has_failed;
	}
	pw_strbuf_fini(&value);
}

const struct pw_view pw_view_databases = {
    .name = "DATABASES",
    .help = "One row per database that is configured or, made through `*`, in use. Numbers are "
	    "those in force, inherited ones filled in.",
    .columns = database_columns,
    .collect = collect_databases,
    .finish = pw_rows_sort,
};

const struct pw_view pw_view_users = {
    .name = "USERS",
    .help = "One row per user in `auth_file`, in `[users]`, or in use.",
    .columns = user_columns,
    .collect = collect_users,
    .finish = pw_rows_sort,
};

const struct pw_view pw_view_config = {
    .name = "CONFIG",
    .help = "The settings of the main section.",
    .columns = config_columns,
    .collect = collect_config,
};

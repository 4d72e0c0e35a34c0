/* SPDX-License-Identifier: PostgreSQL
 *
 * The configuration: an immutable value built from an ini file, shared by all threads.
 *
 * Life: pw_conf_load() builds and validates a whole new one, or says what is wrong and changes
 * nothing; holders take references; the last pw_conf_unref() frees it with every string in it.
 * Pointers found in it are borrowed for as long as a reference is held.
 *
 * Every TIME field is in microseconds. An unset string is NULL.
 */
#ifndef PGWEIR_CONF_CONF_H
#define PGWEIR_CONF_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pgweir/base/hash.h"
#include "pgweir/base/refcount.h"
#include "pgweir/base/strbuf.h"

/* Words of CHOICE settings; the value is the index into the row's words. */
enum pw_pool_mode { PW_MODE_SESSION, PW_MODE_TRANSACTION, PW_MODE_STATEMENT };
enum pw_auth_type {
	PW_AUTH_ANY,
	PW_AUTH_TRUST,
	PW_AUTH_PLAIN,
	PW_AUTH_MD5,
	PW_AUTH_CERT,
	PW_AUTH_HBA,
	PW_AUTH_SCRAM,
	/* only from an HBA file */
	PW_AUTH_PEER,
	PW_AUTH_REJECT,
};
enum pw_sslmode {
	PW_SSL_DISABLE,
	PW_SSL_ALLOW,
	PW_SSL_PREFER,
	PW_SSL_REQUIRE,
	PW_SSL_VERIFY_CA,
	PW_SSL_VERIFY_FULL,
};
enum pw_session_state { PW_SESSION_OFF, PW_SESSION_TRACK };
enum pw_balance { PW_BALANCE_ROUND_ROBIN, PW_BALANCE_DISABLE };
enum pw_routing { PW_ROUTING_PRIMARY, PW_ROUTING_REPLICA, PW_ROUTING_SPLIT, PW_ROUTING_AUTO };
enum pw_consistency {
	PW_CONSISTENCY_EVENTUAL,
	PW_CONSISTENCY_MONOTONIC,
	PW_CONSISTENCY_SESSION,
	PW_CONSISTENCY_GLOBAL,
};
enum pw_node_limit { PW_NODE_ANY_ROLE, PW_NODE_REPLICA_ONLY };
enum pw_balance_by {
	PW_BY_LEAST_BUSY,
	PW_BY_ROUND_ROBIN,
	PW_BY_RANDOM,
	PW_BY_LATENCY,
};
enum pw_primary_reads {
	PW_PRIMARY_READS_FALLBACK,
	PW_PRIMARY_READS_NEVER,
	PW_PRIMARY_READS_ALWAYS,
};
enum pw_all_lagging { PW_ALL_LAGGING_PRIMARY, PW_ALL_LAGGING_LEAST, PW_ALL_LAGGING_ERROR };

/* What holds where a cluster is read. A user's counts before a database's, that before a cluster's,
 * that before the main section's; -1 = not set there. */
struct pw_conf_reading {
	int routing;       /* enum pw_routing */
	int consistency;   /* enum pw_consistency */
	int primary_reads; /* enum pw_primary_reads */
	int all_lagging;   /* enum pw_all_lagging */
	int balance;       /* enum pw_balance_by */
	int64_t max_lag;   /* us, as all that follow; 0 = no limit */
	int64_t ryw_wait;
	int64_t no_primary_wait;
	int64_t no_primary_reads;
};

/* One [databases] row. Numbers: -1 = not set here, inherit. */
struct pw_conf_db {
	const char *name;   /* "*" = template for every other name */
	const char *dbname; /* asked for on the server; NULL = the entry's (or the client's) name */
	const char *const *hosts; /* NULL-terminated: names, addresses, "/dir", "@abstract"; empty =
				     unix socket in unix_socket_dir */
	const char *host_text;    /* as written, NULL when not set */
	int port;
	const char *user;     /* forced server user */
	const char *password; /* secret: never log */
	const char *auth_user;
	const char *auth_query;
	const char *auth_dbname;
	int pool_size;
	int min_pool_size;
	int reserve_pool_size;
	int max_db_connections;
	int max_db_client_connections;
	int64_t server_lifetime;    /* us; -1 inherit */
	int64_t query_wait_timeout; /* us; -1 inherit, 0 none */
	int pool_mode;              /* -1 inherit */
	int load_balance_hosts;     /* enum pw_balance; -1 not set */
	const char *connect_query;
	const char *client_encoding;
	const char *datestyle;
	const char *timezone;
	const char *application_name;
	const char *cluster; /* NULL = the hosts above */
	struct pw_conf_reading reading;
	const char *definition; /* the right-hand side as written: has it changed? */
};

/* One [users] row. -1 = not set. */
struct pw_conf_user {
	const char *name;
	int pool_mode;
	int pool_size;
	int reserve_pool_size;
	int max_user_connections;
	int max_user_client_connections;
	int64_t query_timeout;
	int64_t query_wait_timeout;
	int64_t idle_transaction_timeout;
	int64_t transaction_timeout;
	int64_t client_idle_timeout;
	struct pw_conf_reading reading;
};

struct pw_conf_peer {
	int id;
	const char *host;
	int port;
	int pool_size; /* -1 inherit */
};

enum { PW_CONF_NODES_MAX = 16 };

/* One of the nodes of a cluster; what [nodes] says of it is the same in all clusters. */
struct pw_conf_node {
	const char *name; /* "host:port", "[address]:port", "/directory:port" */
	const char *host;
	int port;
	int weight;          /* 1 to 1000 */
	int max_connections; /* 0 = no limit */
	int role;            /* enum pw_node_limit */
	const char *zone;    /* NULL or empty = not said */
};

/* One [clusters] row. -1 or NULL = not set here, inherit. */
struct pw_conf_cluster {
	const char *name;
	const char *node_text; /* as written */
	struct pw_conf_node *nodes;
	size_t n_nodes;
	int64_t max_lag_bytes; /* 0 = no limit */
	int64_t monitor_interval;
	const char *monitor_user;
	const char *monitor_password; /* secret: never log */
	const char *monitor_dbname;
	struct pw_conf_reading reading;
	const char *zone; /* pgweir's own; empty = it is in none */
	int64_t slow_start;
	int primary_overflow_max;
};

struct pw_conf {
	struct pw_refcount refs;

/* One field per setting, named as the setting. */
#define PW_FIELD_INT(name)          int name;
#define PW_FIELD_UINT(name)         unsigned name;
#define PW_FIELD_BOOL(name)         bool name;
#define PW_FIELD_TIME(name)         uint64_t name;
#define PW_FIELD_STRING(name)       const char *name;
#define PW_FIELD_CHOICE(name)       int name;
#define PW_FIELD_DURATION(name)     int64_t name; /* us */
#define PW_FIELD_BYTES(name)        int64_t name;
#define PW_SETTING(kind, name, ...) PW_FIELD_##kind(name)
#include "pgweir/conf/settings.def"
#undef PW_SETTING

	/* Sorted by name. */
	const struct pw_conf_db *databases;
	size_t n_databases;
	const struct pw_conf_user *users;
	size_t n_users;
	const struct pw_conf_peer *peers;
	size_t n_peers;
	const struct pw_conf_cluster *clusters;
	size_t n_clusters;

	struct pw_conf_arena *arena; /* owns every string and array */
};

/* What holds for one (database, user) pool, all inheritance done: [users] entry of the pool's
 * user, then [databases], then global. */
struct pw_pool_conf {
	enum pw_pool_mode mode;
	int pool_size; /* 0 = unlimited */
	int min_pool_size;
	int reserve_pool_size;
	int max_db_connections;   /* 0 = unlimited */
	int max_user_connections; /* 0 = unlimited */
	uint64_t server_lifetime;
	uint64_t query_timeout;
	uint64_t idle_transaction_timeout;
	uint64_t transaction_timeout;
	/* Of a database of a cluster. Not AUTO; and SPLIT need not have what it needs where the
	 * configuration says so of a user. max_lag: -1 = that of the cluster, which operators may
	 * change while it runs. */
	struct pw_conf_reading reading;
};

/* What holds for one client: database entry and login user. */
struct pw_client_conf {
	int max_db_client_connections;   /* 0 = unlimited */
	int max_user_client_connections; /* 0 = unlimited */
	uint64_t query_wait_timeout;     /* 0 = none */
	uint64_t client_idle_timeout;    /* 0 = none */
};

/*
 * Reads `path`. `previous` (may be NULL) gives the values that a reload keeps: settings that
 * cannot change while running, and those without a built-in default whose line was removed.
 * On failure returns NULL and `why` holds one line per problem ("FILE:LINE: ..., allowed ...,
 * did you mean ..."), separated by newlines. `warnings` gets lines that do not stop the load, in
 * the same form. Neither holds passwords.
 */
struct pw_conf *pw_conf_load(const char *path, const struct pw_conf *previous,
			     struct pw_strbuf *why, struct pw_strbuf *warnings);
const struct pw_conf *pw_conf_ref(const struct pw_conf *conf);
void pw_conf_unref(const struct pw_conf *conf);

/*
 * A copy with one setting changed, or NULL and `why`. A setting that cannot change while running
 * gives `conf` itself with one more reference. Rules that span settings are not checked, and
 * memory of replaced values is kept until the next load: this is for the console's SET. On the
 * thread that loads.
 */
const struct pw_conf *pw_conf_set(const struct pw_conf *conf, const char *name, const char *value,
				  struct pw_strbuf *why);

/* Is it the console's, as a database or a user: "pgweir", or PgBouncer's "pgbouncer"? */
bool pw_conf_is_console(const char *name);
/* The other one of its two names. */
const char *pw_conf_other_console(const char *name);

/* NULL where there is none; "*" is not followed. */
const struct pw_conf_db *pw_conf_find_db(const struct pw_conf *conf, const char *name);
const struct pw_conf_user *pw_conf_find_user(const struct pw_conf *conf, const char *name);

const struct pw_conf_cluster *pw_conf_find_cluster(const struct pw_conf *conf, const char *name);
/* The cluster with all that it inherits. */
void pw_conf_resolve_cluster(const struct pw_conf *conf, const struct pw_conf_cluster *cluster,
			     struct pw_conf_cluster *out);
/* A value as it may stand in the configuration. False: `why` says what is expected. */
bool pw_conf_read_max_lag(const char *text, int64_t *us, struct pw_strbuf *why);
bool pw_conf_read_weight(const char *text, int *weight, struct pw_strbuf *why);

void pw_conf_resolve_pool(const struct pw_conf *conf, const struct pw_conf_db *db, const char *user,
			  struct pw_pool_conf *out);
void pw_conf_resolve_client(const struct pw_conf *conf, const struct pw_conf_db *db,
			    const char *user, struct pw_client_conf *out);

/* A hash of what servers opened under the entry depend on: where it differs they must not serve
 * (dbname, host, port, user, connect_query, auth_dbname, auth_query, load_balance_hosts). */
uint64_t pw_conf_db_server_id(const struct pw_conf_db *db, const struct pw_hash_key *hash_key);

/* Is `name` a member of a comma-separated list such as admin_users? */
bool pw_conf_list_has(const char *list, const char *name);

/* What is another in `after`, in one line without values ("settings changed: a, b; databases: 1
 * added, 0 removed, 2 changed"); nothing if it is all the same. */
void pw_conf_changes(const struct pw_conf *before, const struct pw_conf *after,
		     struct pw_strbuf *out);

/* For SHOW CONFIG: the rows of the settings table in order. */
struct pw_setting_row {
	const char *name;
	const char *default_text; /* NULL = no built-in default */
	bool is_reloadable;
};
size_t pw_conf_setting_count(void);
void pw_conf_setting_row(size_t i, struct pw_setting_row *out);
/* The value as SHOW CONFIG prints it; false = NULL. */
bool pw_conf_setting_value(const struct pw_conf *conf, size_t i, struct pw_strbuf *out);

/* What `pgweir --describe` prints: the sample ini and the settings reference (Markdown). */
void pw_conf_describe_ini(struct pw_strbuf *out);
void pw_conf_describe_docs(struct pw_strbuf *out);

/* Version of inih. */
const char *pw_conf_library_version(void);

#endif

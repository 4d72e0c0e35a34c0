/* SPDX-License-Identifier: PostgreSQL
 *
 * The keys of the entries of all sections but the main one; one row is the whole definition. The
 * rows drive parsing, the nearest-name hints, the reload comparison and the reference.
 */
#include "config.h"

#include "conf_priv.h"

#define INT_MAX_TEXT       "2147483647"
#define USER_NAME_MAX_TEXT "127"

#define DB_KEY(kind_, name_, field_)                                                               \
	.name = name_, .kind = PW_KIND_##kind_, .offset = offsetof(struct pw_conf_db, field_)
#define USER_KEY(kind_, name_)                                                                     \
	.name = #name_, .kind = PW_KIND_##kind_, .offset = offsetof(struct pw_conf_user, name_)
#define PEER_KEY(kind_, name_)                                                                     \
	.name = #name_, .kind = PW_KIND_##kind_, .offset = offsetof(struct pw_conf_peer, name_)
#define CLUSTER_KEY(kind_, name_, field_)                                                          \
	.name = name_, .kind = PW_KIND_##kind_, .offset = offsetof(struct pw_conf_cluster, field_)
#define NODE_KEY(kind_, name_)                                                                     \
	.name = #name_, .kind = PW_KIND_##kind_, .offset = offsetof(struct pw_conf_node, name_)
#define OPTIONAL_NUMBER .min = "-1", .max = INT_MAX_TEXT
#define PORT_NUMBER     .min = "1", .max = "65535"

/* clang-format off */
#define READING_KEY(row_, kind_, name_)                                                            \
	.name = #name_, .kind = PW_KIND_##kind_, .offset = offsetof(struct row_, reading.name_)
/* What may be said of a cluster, a database and a user alike. */
#define READING_ROWS(row_, whose_, flags_)                                                                   \
	{READING_KEY(row_, CHOICE, routing), .flags = flags_, .min = "primary|replica|split|auto",                   \
	 .inherits = whose_,                                                                                         \
	 .help = "On the primary of clusters, on fresh replicas, or (split, where it can be) there only for reads."}, \
	{READING_KEY(row_, CHOICE, consistency), .min = "eventual|monotonic|session|global",                         \
	 .inherits = whose_,                                                                                         \
	 .help = "What a client must see that reads on replicas, with routing = split."},                            \
	{READING_KEY(row_, DURATION, max_lag), .min = "0", .max = "1d", .inherits = whose_,                          \
	 .help = "How old what a replica gives may be; 0 = no limit."},                                              \
	{READING_KEY(row_, DURATION, ryw_wait), .min = "0", .max = "1min", .inherits = whose_,                       \
	 .help = "How long a read may wait for a replica that has what the client must see."},                       \
	{READING_KEY(row_, CHOICE, all_lagging), .min = "primary|least|error", .inherits = whose_,                   \
	 .help = "What reads get while no replica is fresh enough."},                                                \
	{READING_KEY(row_, CHOICE, primary_reads), .min = "fallback|never|always", .inherits = whose_,               \
	 .help = "Whether the primary runs what replicas may."},                                                     \
	{READING_KEY(row_, CHOICE, balance), .min = "least_busy|round_robin|random|latency",                         \
	 .inherits = whose_,                                                                                         \
	 .help = "Which of the replicas that may run a read gets it."},                                              \
	{READING_KEY(row_, DURATION, no_primary_wait), .min = "0", .max = "1h", .inherits = whose_,                  \
	 .help = "How long clients wait while there is no primary."},                                                \
	{READING_KEY(row_, DURATION, no_primary_reads), .min = "0", .max = "1d", .inherits = whose_,                 \
	 .help = "How long replicas serve while the primary does not answer."}

static const struct pw_conf_key db_rows[] = {
	{DB_KEY(STRING, "dbname", dbname), .flags = PW_KEY_RECONNECT,
	 .inherits = "the entry's name",
	 .help = "Database to ask for on the server."},
	{DB_KEY(STRING, "host", host_text), .flags = PW_KEY_RECONNECT,
	 .inherits = "unix socket in unix_socket_dir",
	 .help = "Host names, addresses, /socket/directories or @abstract sockets, separated by commas."},
	{DB_KEY(NUMBER, "port", port), .flags = PW_KEY_RECONNECT, .default_text = "5432", PORT_NUMBER,
	 .help = "Port of all the hosts."},
	{DB_KEY(STRING, "user", user), .flags = PW_KEY_RECONNECT, .max = USER_NAME_MAX_TEXT,
	 .inherits = "the client's user",
	 .help = "Log in to the server as this user, whoever the client is; gives a single pool."},
	{DB_KEY(STRING, "password", password),
	 .inherits = "looked up in auth_file",
	 .help = "Password of that user."},
	{DB_KEY(STRING, "auth_user", auth_user), .max = USER_NAME_MAX_TEXT, .inherits = "auth_user",
	 .help = "User that runs auth_query."},
	{DB_KEY(STRING, "auth_query", auth_query), .flags = PW_KEY_RECONNECT, .inherits = "auth_query",
	 .help = "Query that finds a user's password."},
	{DB_KEY(STRING, "auth_dbname", auth_dbname), .flags = PW_KEY_RECONNECT, .inherits = "auth_dbname",
	 .help = "The [databases] entry on which auth_query runs."},
	{DB_KEY(NUMBER, "pool_size", pool_size), OPTIONAL_NUMBER, .inherits = "default_pool_size",
	 .help = "Server connections per user; 0 = unlimited, -1 = not set."},
	{DB_KEY(NUMBER, "min_pool_size", min_pool_size), OPTIONAL_NUMBER, .inherits = "min_pool_size",
	 .help = "Server connections to keep open; -1 = not set."},
	{DB_KEY(NUMBER, "reserve_pool_size", reserve_pool_size), OPTIONAL_NUMBER,
	 .inherits = "reserve_pool_size",
	 .help = "Further server connections when clients have to wait; -1 = not set."},
	{DB_KEY(NUMBER, "reserve_pool", reserve_pool_size), OPTIONAL_NUMBER,
	 .inherits = "reserve_pool_size",
	 .help = "Older name of reserve_pool_size."},
	{DB_KEY(NUMBER, "max_db_connections", max_db_connections), OPTIONAL_NUMBER,
	 .inherits = "max_db_connections",
	 .help = "Server connections at most, all users together; 0 or -1 = not set."},
	{DB_KEY(NUMBER, "max_db_client_connections", max_db_client_connections), OPTIONAL_NUMBER,
	 .inherits = "max_db_client_connections",
	 .help = "Client connections at most; 0 or -1 = not set."},
	{DB_KEY(SECONDS, "server_lifetime", server_lifetime), OPTIONAL_NUMBER,
	 .inherits = "server_lifetime",
	 .help = "Close unused server connections older than this; 0 or -1 = not set."},
	{DB_KEY(SECONDS, "query_wait_timeout", query_wait_timeout), OPTIONAL_NUMBER,
	 .inherits = "query_wait_timeout",
	 .help = "Longest wait for a server connection; 0 = no limit, -1 = not set."},
	{DB_KEY(CHOICE, "pool_mode", pool_mode), .min = "session|transaction|statement",
	 .inherits = "pool_mode",
	 .help = "When a server connection goes back to its pool."},
	{DB_KEY(CHOICE, "load_balance_hosts", load_balance_hosts), .flags = PW_KEY_RECONNECT,
	 .min = "round-robin|disable", .inherits = "round-robin",
	 .help = "Use the hosts in turn, or the first one until it fails."},
	{DB_KEY(STRING, "connect_query", connect_query), .flags = PW_KEY_RECONNECT,
	 .inherits = "none",
	 .help = "Query to run once on each new server connection; sessions are not tracked then."},
	{DB_KEY(STRING, "client_encoding", client_encoding), .inherits = "the server's",
	 .help = "client_encoding at the start of a server connection."},
	{DB_KEY(STRING, "datestyle", datestyle), .inherits = "the server's",
	 .help = "DateStyle at the start of a server connection."},
	{DB_KEY(STRING, "timezone", timezone), .inherits = "the server's",
	 .help = "TimeZone at the start of a server connection."},
	{DB_KEY(STRING, "application_name", application_name), .inherits = "the server's",
	 .help = "application_name at the start of a server connection."},
	{DB_KEY(STRING, "cluster", cluster), .flags = PW_KEY_RECONNECT, .inherits = "none",
	 .help = "Entry of [clusters] whose nodes serve it, in place of host and port."},
	READING_ROWS(pw_conf_db, "that of the cluster", PW_KEY_RECONNECT),
};

static const struct pw_conf_key cluster_rows[] = {
	{CLUSTER_KEY(STRING, "nodes", node_text),
	 .help = "The servers, with spaces between them: host:port, [address]:port, /directory:port; required."},
	READING_ROWS(pw_conf_cluster, "that of the main section", 0),
	{CLUSTER_KEY(BYTES, "max_lag_bytes", max_lag_bytes), .min = "0", .max = "1TB",
	 .inherits = "max_lag_bytes",
	 .help = "How many bytes a replica may have to replay; 0 = no limit."},
	{CLUSTER_KEY(NUMBER, "primary_overflow_max", primary_overflow_max), OPTIONAL_NUMBER,
	 .inherits = "primary_overflow_max",
	 .help = "How many reads at a time its primary may run for want of replicas; 0 = no limit, -1 = not set."},
	{CLUSTER_KEY(STRING, "zone", zone), .inherits = "zone",
	 .help = "Where this pgweir is: replicas of the same zone are used first."},
	{CLUSTER_KEY(DURATION, "slow_start", slow_start), .min = "0", .max = "1h", .inherits = "slow_start",
	 .help = "How long the share of a replica grows that is ready again; 0 = not at all."},
	{CLUSTER_KEY(DURATION, "monitor_interval", monitor_interval), .min = "20ms", .max = "1min",
	 .inherits = "monitor_interval",
	 .help = "How often each node is asked for its role and its position."},
	{CLUSTER_KEY(STRING, "monitor_user", monitor_user), .max = USER_NAME_MAX_TEXT,
	 .inherits = "monitor_user",
	 .help = "User that asks."},
	{CLUSTER_KEY(STRING, "monitor_password", monitor_password), .inherits = "monitor_password",
	 .help = "Password of that user."},
	{CLUSTER_KEY(STRING, "monitor_dbname", monitor_dbname), .inherits = "monitor_dbname",
	 .help = "Database to which that user connects."},
};

static const struct pw_conf_key node_rows[] = {
	{NODE_KEY(NUMBER, weight), .default_text = "1", .min = "1", .max = "1000",
	 .help = "Its share of reads and of server connections, in proportion to that of the others."},
	{NODE_KEY(NUMBER, max_connections), .default_text = "0", .min = "0", .max = INT_MAX_TEXT,
	 .help = "Server connections to it at most, all databases and users of the cluster together; 0 = no limit."},
	{NODE_KEY(CHOICE, role), .default_text = "any", .min = "any|replica",
	 .help = "replica: it is never followed as a primary."},
	{NODE_KEY(STRING, zone), .inherits = "none",
	 .help = "Where it is: a pgweir of the same zone uses it first."},
};

static const struct pw_conf_key user_rows[] = {
	{USER_KEY(CHOICE, pool_mode), .min = "session|transaction|statement",
	 .inherits = "the database's",
	 .help = "When a server connection goes back to its pool."},
	{USER_KEY(NUMBER, pool_size), OPTIONAL_NUMBER, .inherits = "the database's",
	 .help = "Server connections per database; 0 = unlimited, -1 = not set."},
	{USER_KEY(NUMBER, reserve_pool_size), OPTIONAL_NUMBER, .inherits = "the database's",
	 .help = "Further server connections when clients have to wait; -1 = not set."},
	{USER_KEY(NUMBER, max_user_connections), OPTIONAL_NUMBER, .inherits = "max_user_connections",
	 .help = "Server connections at most, all databases together; 0 or -1 = not set."},
	{USER_KEY(NUMBER, max_user_client_connections), OPTIONAL_NUMBER,
	 .inherits = "max_user_client_connections",
	 .help = "Client connections at most; 0 or -1 = not set."},
	{USER_KEY(SECONDS, query_timeout), OPTIONAL_NUMBER, .inherits = "query_timeout",
	 .help = "Longest query; 0 or -1 = not set."},
	{USER_KEY(SECONDS, query_wait_timeout), OPTIONAL_NUMBER, .inherits = "the database's",
	 .help = "Longest wait for a server connection; 0 = no limit, -1 = not set."},
	{USER_KEY(SECONDS, idle_transaction_timeout), OPTIONAL_NUMBER,
	 .inherits = "idle_transaction_timeout",
	 .help = "Longest time idle in a transaction; 0 or -1 = not set."},
	{USER_KEY(SECONDS, transaction_timeout), OPTIONAL_NUMBER, .inherits = "transaction_timeout",
	 .help = "Longest transaction; 0 or -1 = not set."},
	{USER_KEY(SECONDS, client_idle_timeout), OPTIONAL_NUMBER, .inherits = "client_idle_timeout",
	 .help = "Longest time that a client may do nothing; 0 or -1 = not set."},
	READING_ROWS(pw_conf_user, "that of the database", 0),
};

static const struct pw_conf_key peer_rows[] = {
	{PEER_KEY(STRING, host),
	 .help = "Host name, address, /socket/directory or @abstract socket of the peer; required."},
	{PEER_KEY(NUMBER, port), .default_text = "6432", PORT_NUMBER,
	 .help = "Port of the peer."},
	{PEER_KEY(NUMBER, pool_size), OPTIONAL_NUMBER, .inherits = "default_pool_size",
	 .help = "Cancel requests that are forwarded to the peer at the same time."},
};
/* clang-format on */

const struct pw_conf_keys pw_conf_db_keys = {db_rows, PW_COUNTOF(db_rows)};
const struct pw_conf_keys pw_conf_user_keys = {user_rows, PW_COUNTOF(user_rows)};
const struct pw_conf_keys pw_conf_peer_keys = {peer_rows, PW_COUNTOF(peer_rows)};
const struct pw_conf_keys pw_conf_cluster_keys = {cluster_rows, PW_COUNTOF(cluster_rows)};
const struct pw_conf_keys pw_conf_node_keys = {node_rows, PW_COUNTOF(node_rows)};

/* SPDX-License-Identifier: PostgreSQL
 *
 * What holds in one place: lookups in a frozen configuration and inheritance from the global
 * settings to the database to the user. Pure functions on immutable data, any thread.
 */
#include "config.h"

#include "conf_priv.h"

#include <stdlib.h>
#include <string.h>

static const char own_console[] = "pgweir";

static int compare_db(const void *name, const void *db)
{
	return strcmp(name, ((const struct pw_conf_db *)db)->name);
}

static int compare_user(const void *name, const void *user)
{
	return strcmp(name, ((const struct pw_conf_user *)user)->name);
}

bool pw_conf_is_console(const char *name)
{
	return strcmp(name, PW_CONF_CONSOLE_DB) == 0 || strcmp(name, own_console) == 0;
}

const char *pw_conf_other_console(const char *name)
{
	return strcmp(name, own_console) == 0 ? PW_CONF_CONSOLE_DB : own_console;
}

const struct pw_conf_db *pw_conf_find_db(const struct pw_conf *conf, const char *name)
{
	if (conf->n_databases == 0)
		return NULL;
	return bsearch(name, conf->databases, conf->n_databases, sizeof(*conf->databases),
		       compare_db);
}

const struct pw_conf_user *pw_conf_find_user(const struct pw_conf *conf, const char *name)
{
	if (conf->n_users == 0)
		return NULL;
	return bsearch(name, conf->users, conf->n_users, sizeof(*conf->users), compare_user);
}

static int compare_cluster(const void *name, const void *cluster)
{
	return strcmp(name, ((const struct pw_conf_cluster *)cluster)->name);
}

const struct pw_conf_cluster *pw_conf_find_cluster(const struct pw_conf *conf, const char *name)
{
	if (conf->n_clusters == 0)
		return NULL;
	return bsearch(name, conf->clusters, conf->n_clusters, sizeof(*conf->clusters),
		       compare_cluster);
}

/* Where 0 has a meaning of its own, -1 alone passes the question on. */
static int first_set(int user, int db, int global)
{
	if (user >= 0)
		return user;
	return db >= 0 ? db : global;
}

/* Where 0 means "as elsewhere". */
static int positive_or(int own, int global)
{
	return own > 0 ? own : global;
}

static uint64_t positive_time_or(int64_t own, uint64_t global)
{
	return own > 0 ? (uint64_t)own : global;
}

static const struct pw_conf_user *find_user_or_null(const struct pw_conf *conf, const char *name)
{
	return name ? pw_conf_find_user(conf, name) : NULL;
}

/* Is there all that splitting reads off needs? */
static bool may_split(const struct pw_conf *conf, const struct pw_conf_db *db,
		      enum pw_pool_mode mode)
{
	return mode != PW_MODE_SESSION && conf->session_state == PW_SESSION_TRACK &&
	       !(db->connect_query && db->connect_query[0]);
}

static int64_t measure_or(int64_t own, int64_t global)
{
	return own >= 0 ? own : global;
}

static struct pw_conf_reading reading_of_all(const struct pw_conf *conf)
{
	return (struct pw_conf_reading){
	    .routing = conf->routing,
	    .consistency = conf->consistency,
	    .primary_reads = conf->primary_reads,
	    .all_lagging = conf->all_lagging,
	    .balance = conf->balance,
	    .max_lag = conf->max_lag,
	    .ryw_wait = conf->ryw_wait,
	    .no_primary_wait = conf->no_primary_wait,
	    .no_primary_reads = conf->no_primary_reads,
	};
}

/* What is said there counts more. */
static void narrow(struct pw_conf_reading *reading, const struct pw_conf_reading *by)
{
	reading->routing = first_set(-1, by->routing, reading->routing);
	reading->consistency = first_set(-1, by->consistency, reading->consistency);
	reading->primary_reads = first_set(-1, by->primary_reads, reading->primary_reads);
	reading->all_lagging = first_set(-1, by->all_lagging, reading->all_lagging);
	reading->balance = first_set(-1, by->balance, reading->balance);
	reading->max_lag = measure_or(by->max_lag, reading->max_lag);
	reading->ryw_wait = measure_or(by->ryw_wait, reading->ryw_wait);
	reading->no_primary_wait = measure_or(by->no_primary_wait, reading->no_primary_wait);
	reading->no_primary_reads = measure_or(by->no_primary_reads, reading->no_primary_reads);
}

static void resolve_reading(const struct pw_conf *conf, const struct pw_conf_db *db,
			    const struct pw_conf_user *u, struct pw_pool_conf *out)
{
	const struct pw_conf_cluster *cluster =
	    db && db->cluster ? pw_conf_find_cluster(conf, db->cluster) : NULL;

	out->reading = reading_of_all(conf);
	if (cluster)
		narrow(&out->reading, &cluster->reading);
	out->reading.max_lag = -1;
	if (!cluster) {
		out->reading.routing = PW_ROUTING_PRIMARY;
		out->reading.consistency = PW_CONSISTENCY_SESSION;
		return;
	}
	narrow(&out->reading, &db->reading);
	if (u)
		narrow(&out->reading, &u->reading);
	if (out->reading.routing == PW_ROUTING_AUTO)
		out->reading.routing =
		    may_split(conf, db, out->mode) ? PW_ROUTING_SPLIT : PW_ROUTING_PRIMARY;
}

void pw_conf_resolve_pool(const struct pw_conf *conf, const struct pw_conf_db *db, const char *user,
			  struct pw_pool_conf *out)
{
	const struct pw_conf_user *u = find_user_or_null(conf, user);

	out->mode = (enum pw_pool_mode)first_set(u ? u->pool_mode : -1, db ? db->pool_mode : -1,
						 conf->pool_mode);
	out->pool_size =
	    first_set(u ? u->pool_size : -1, db ? db->pool_size : -1, conf->default_pool_size);
	out->min_pool_size = first_set(-1, db ? db->min_pool_size : -1, conf->min_pool_size);
	out->reserve_pool_size =
	    first_set(u ? u->reserve_pool_size : -1, db ? db->reserve_pool_size : -1,
		      conf->reserve_pool_size);
	out->max_db_connections =
	    positive_or(db ? db->max_db_connections : -1, conf->max_db_connections);
	out->max_user_connections =
	    positive_or(u ? u->max_user_connections : -1, conf->max_user_connections);
	out->server_lifetime =
	    positive_time_or(db ? db->server_lifetime : -1, conf->server_lifetime);
	out->query_timeout = positive_time_or(u ? u->query_timeout : -1, conf->query_timeout);
	out->idle_transaction_timeout =
	    positive_time_or(u ? u->idle_transaction_timeout : -1, conf->idle_transaction_timeout);
	out->transaction_timeout =
	    positive_time_or(u ? u->transaction_timeout : -1, conf->transaction_timeout);
	resolve_reading(conf, db, u, out);
}

void pw_conf_resolve_cluster(const struct pw_conf *conf, const struct pw_conf_cluster *cluster,
			     struct pw_conf_cluster *out)
{
	*out = *cluster;
	out->reading = reading_of_all(conf);
	narrow(&out->reading, &cluster->reading);
	out->max_lag_bytes = measure_or(cluster->max_lag_bytes, conf->max_lag_bytes);
	out->monitor_interval = measure_or(cluster->monitor_interval, conf->monitor_interval);
	out->primary_overflow_max =
	    first_set(-1, cluster->primary_overflow_max, conf->primary_overflow_max);
	out->slow_start = measure_or(cluster->slow_start, conf->slow_start);
	if (!cluster->zone)
		out->zone = conf->zone;
	if (!cluster->monitor_user)
		out->monitor_user = conf->monitor_user;
	if (!cluster->monitor_password)
		out->monitor_password = conf->monitor_password;
	if (!cluster->monitor_dbname)
		out->monitor_dbname = conf->monitor_dbname;
}

void pw_conf_resolve_client(const struct pw_conf *conf, const struct pw_conf_db *db,
			    const char *user, struct pw_client_conf *out)
{
	const struct pw_conf_user *u = find_user_or_null(conf, user);

	out->max_db_client_connections =
	    positive_or(db ? db->max_db_client_connections : -1, conf->max_db_client_connections);
	out->max_user_client_connections =
	    positive_or(u ? u->max_user_client_connections : -1, conf->max_user_client_connections);
	out->client_idle_timeout =
	    positive_time_or(u ? u->client_idle_timeout : -1, conf->client_idle_timeout);
	if (u && u->query_wait_timeout >= 0)
		out->query_wait_timeout = (uint64_t)u->query_wait_timeout;
	else if (db && db->query_wait_timeout >= 0)
		out->query_wait_timeout = (uint64_t)db->query_wait_timeout;
	else
		out->query_wait_timeout = conf->query_wait_timeout;
}

uint64_t pw_conf_db_server_id(const struct pw_conf_db *db, const struct pw_hash_key *hash_key)
{
	uint64_t chain[2] = {0, 0}; /* of the values before, of this one */

	for (size_t i = 0; i < pw_conf_db_keys.n; i++) {
		const struct pw_conf_key *key = &pw_conf_db_keys.rows[i];

		if (!(key->flags & PW_KEY_RECONNECT))
			continue;
		chain[1] = pw_conf_key_hash(key, db, hash_key);
		chain[0] = pw_hash(hash_key, chain, sizeof(chain));
	}
	return chain[0];
}

bool pw_conf_list_has(const char *list, const char *name)
{
	static const char blanks[] = " \t";
	size_t name_len = strlen(name);

	while (list && *list != '\0') {
		const char *start = list + strspn(list, blanks);
		size_t field = strcspn(start, ",");
		size_t len = field;

		while (len > 0 && strchr(blanks, start[len - 1]))
			len--;
		if (len > 0 && len == name_len && memcmp(start, name, len) == 0)
			return true;
		list = start + field;
		list += *list == ',';
	}
	return false;
}

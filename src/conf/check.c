/* SPDX-License-Identifier: PostgreSQL
 *
 * Rules that no single row of the settings table can say. They hold for a whole configuration and
 * are checked when a file is loaded; SET changes one setting at a time and does not run them. Each
 * problem is reported at the line that asked for what is missing. Pure functions.
 */
#include "config.h"

#include "conf_priv.h"

#include <string.h>
#include <strings.h>

struct check {
	const struct pw_conf *conf;
	const struct pw_conf_places *places;
	struct pw_conf_problems *problems;
	struct pw_conf_problems *warnings;
};

static bool is_set(const char *text)
{
	return text && text[0] != '\0';
}

/* Where the setting was set; where it was not, the file. */
static struct pw_ini_pos find_place(const struct check *c, const char *name)
{
	const struct pw_conf_key *key = pw_conf_key_find(&pw_conf_settings, name);

	if (!key || !c->places->settings[key - pw_conf_settings.rows].path)
		return c->places->file;
	return c->places->settings[key - pw_conf_settings.rows];
}

static void report(const struct check *c, const char *name, const char *text)
{
	struct pw_ini_pos pos = find_place(c, name);

	pw_conf_problem(c->problems, &pos, "%s", text);
}

static bool is_one_of(const char *text, size_t len, const char *const *words)
{
	for (; *words; words++) {
		if (strlen(*words) == len && strncasecmp(*words, text, len) == 0)
			return true;
	}
	return false;
}

static void check_protocols(const struct check *c, const char *name, const char *value)
{
	static const char *const words[] = {"all",     "secure",  "default", "tlsv1", "tlsv1.0",
					    "tlsv1.1", "tlsv1.2", "tlsv1.3", NULL};
	struct pw_ini_pos pos = find_place(c, name);

	while (is_set(value)) {
		size_t len;

		value += strspn(value, " \t");
		value += *value == '!';
		len = strcspn(value, ",: \t");
		if (!is_one_of(value, len, words)) {
			pw_conf_problem(c->problems, &pos,
					"invalid value \"%.*s\" in %s: a list of all, secure, "
					"default, tlsv1.0, tlsv1.1, tlsv1.2, tlsv1.3 is expected",
					len < 64 ? (int)len : 64, value, name);
			return;
		}
		value += len;
		value += strspn(value, " \t");
		value += *value == ',' || *value == ':';
	}
}

static void check_client_tls(const struct check *c)
{
	static const char *const dhe[] = {"auto", "none", NULL};
	const struct pw_conf *conf = c->conf;
	struct pw_ini_pos pos = find_place(c, "client_tls_dheparams");

	if (conf->client_tls_sslmode == PW_SSL_DISABLE)
		return;
	if (!is_set(conf->client_tls_key_file) || !is_set(conf->client_tls_cert_file))
		report(c, "client_tls_sslmode",
		       "client_tls_sslmode other than disable needs client_tls_key_file and "
		       "client_tls_cert_file");
	if (conf->client_tls_sslmode == PW_SSL_VERIFY_FULL && !is_set(conf->client_tls_ca_file))
		report(c, "client_tls_sslmode",
		       "client_tls_sslmode=verify-full needs client_tls_ca_file");
	check_protocols(c, "client_tls_protocols", conf->client_tls_protocols);
	if (!is_one_of(conf->client_tls_dheparams, strlen(conf->client_tls_dheparams), dhe))
		pw_conf_problem(c->problems, &pos,
				"invalid value \"%.64s\" for client_tls_dheparams: one of auto, "
				"none is expected",
				conf->client_tls_dheparams);
}

static void check_server_tls(const struct check *c)
{
	const struct pw_conf *conf = c->conf;

	if (conf->server_tls_sslmode == PW_SSL_DISABLE)
		return;
	if (is_set(conf->server_tls_key_file) && !is_set(conf->server_tls_cert_file))
		report(c, "server_tls_key_file", "server_tls_key_file needs server_tls_cert_file");
	if (is_set(conf->server_tls_cert_file) && !is_set(conf->server_tls_key_file))
		report(c, "server_tls_cert_file", "server_tls_cert_file needs server_tls_key_file");
	check_protocols(c, "server_tls_protocols", conf->server_tls_protocols);
}

static void check_auth(const struct check *c)
{
	const struct pw_conf *conf = c->conf;

	if (conf->auth_type == PW_AUTH_HBA && !is_set(conf->auth_hba_file))
		report(c, "auth_type", "auth_type=hba needs auth_hba_file");
	if (conf->auth_type != PW_AUTH_CERT)
		return;
	if (conf->client_tls_sslmode != PW_SSL_VERIFY_FULL)
		report(c, "auth_type", "auth_type=cert needs client_tls_sslmode=verify-full");
	if (!is_set(conf->client_tls_ca_file))
		report(c, "auth_type", "auth_type=cert needs client_tls_ca_file");
}

static void check_listen(const struct check *c)
{
	if (!is_set(c->conf->listen_addr) && !is_set(c->conf->unix_socket_dir))
		report(c, "unix_socket_dir",
		       "nowhere to listen on: both listen_addr and unix_socket_dir are empty");
}

static void check_syslog(const struct check *c)
{
	static const char *const facilities[] = {"auth",   "authpriv", "daemon", "user",   "local0",
						 "local1", "local2",   "local3", "local4", "local5",
						 "local6", "local7",   NULL};
	const char *facility = c->conf->syslog_facility;
	struct pw_ini_pos pos = find_place(c, "syslog_facility");

	if (!is_one_of(facility, strlen(facility), facilities))
		pw_conf_problem(c->warnings, &pos,
				"unknown syslog_facility \"%.64s\", daemon is used", facility);
}

/* What a connect_query sets cannot be told from what clients set. */
static void check_tracking(const struct check *c)
{
	const struct pw_conf *conf = c->conf;

	if (conf->session_state != PW_SESSION_TRACK)
		return;
	for (size_t i = 0; i < conf->n_databases; i++) {
		const struct pw_conf_db *db = &conf->databases[i];
		int mode = db->pool_mode >= 0 ? db->pool_mode : conf->pool_mode;

		if (is_set(db->connect_query) && mode != PW_MODE_SESSION)
			pw_conf_problem(
			    c->warnings, &c->places->databases[i],
			    "database \"%.64s\" has a connect_query: what its clients set "
			    "stays on the server connection, as with session_state = off",
			    db->name);
	}
}

static void check_split(const struct check *c, size_t i)
{
	const struct pw_conf *conf = c->conf;
	const struct pw_conf_db *db = &conf->databases[i];
	const struct pw_conf_cluster *cluster = pw_conf_find_cluster(conf, db->cluster);
	int above =
	    cluster && cluster->reading.routing >= 0 ? cluster->reading.routing : conf->routing;
	int routing = db->reading.routing >= 0 ? db->reading.routing : above;
	int mode = db->pool_mode >= 0 ? db->pool_mode : conf->pool_mode;

	if (routing == PW_ROUTING_SPLIT &&
	    (mode == PW_MODE_SESSION || conf->session_state != PW_SESSION_TRACK ||
	     is_set(db->connect_query)))
		pw_conf_problem(c->problems, &c->places->databases[i],
				"database \"%.64s\": routing=split needs pool_mode=transaction or "
				"statement, session_state=track and no connect_query",
				db->name);
}

static void check_database_of_cluster(const struct check *c, size_t i)
{
	const struct pw_conf_db *db = &c->conf->databases[i];
	const struct pw_ini_pos *pos = &c->places->databases[i];

	if (!pw_conf_find_cluster(c->conf, db->cluster))
		pw_conf_problem(c->problems, pos,
				"database \"%.64s\": there is no cluster \"%.64s\" in [clusters]",
				db->name, db->cluster);
	if (db->host_text)
		pw_conf_problem(c->problems, pos,
				"database \"%.64s\" has both cluster and host: one of them says "
				"where it is",
				db->name);
}

/* libpq, which asks the nodes, takes no directory of authorities, as the system has one. */
static void check_node_tls(const struct check *c)
{
	int mode = c->conf->server_tls_sslmode;

	if (c->conf->n_clusters > 0 && (mode == PW_SSL_VERIFY_CA || mode == PW_SSL_VERIFY_FULL) &&
	    !is_set(c->conf->server_tls_ca_file))
		report(c, "server_tls_sslmode",
		       "server_tls_sslmode=verify-ca or verify-full needs server_tls_ca_file where "
		       "there are clusters");
}

static bool says_anything(const struct pw_conf_reading *r)
{
	return r->routing >= 0 || r->consistency >= 0 || r->primary_reads >= 0 ||
	       r->all_lagging >= 0 || r->balance >= 0 || r->max_lag >= 0 || r->ryw_wait >= 0 ||
	       r->no_primary_wait >= 0 || r->no_primary_reads >= 0;
}

static void check_database_of_hosts(const struct check *c, size_t i)
{
	const struct pw_conf_db *db = &c->conf->databases[i];

	if (says_anything(&db->reading))
		pw_conf_problem(
		    c->warnings, &c->places->databases[i],
		    "database \"%.64s\" is of no cluster: routing, consistency, max_lag "
		    "and their like mean nothing there",
		    db->name);
}

static void check_databases(const struct check *c)
{
	for (size_t i = 0; i < c->conf->n_databases; i++) {
		if (!c->conf->databases[i].cluster) {
			check_database_of_hosts(c, i);
			continue;
		}
		check_database_of_cluster(c, i);
		check_split(c, i);
	}
}

static bool has_node(const struct pw_conf_node *nodes, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++) {
		if (strcmp(nodes[i].name, name) == 0)
			return true;
	}
	return false;
}

static void check_cluster(const struct check *c, size_t i)
{
	const struct pw_conf_cluster *cluster = &c->conf->clusters[i];
	const struct pw_ini_pos *pos = &c->places->clusters[i];

	if (!is_set(cluster->monitor_user) && !is_set(c->conf->monitor_user))
		pw_conf_problem(c->problems, pos,
				"cluster \"%.64s\" needs a monitor_user, one with LOGIN "
				"and pg_monitor",
				cluster->name);
	for (size_t j = 1; j < cluster->n_nodes; j++) {
		if (has_node(cluster->nodes, j, cluster->nodes[j].name))
			pw_conf_problem(c->problems, pos,
					"cluster \"%.64s\" has node \"%.64s\" twice", cluster->name,
					cluster->nodes[j].name);
	}
}

/* A typo, or the port is missing: one without is that of 5432. */
static void check_node(const struct check *c, size_t i)
{
	const struct pw_conf_node *node = (const struct pw_conf_node *)c->places->nodes.rows + i;
	struct pw_strbuf hint = PW_STRBUF_INIT;
	struct pw_nearest nearest;

	pw_nearest_init(&nearest, node->name);
	for (size_t k = 0; k < c->conf->n_clusters; k++) {
		const struct pw_conf_cluster *cluster = &c->conf->clusters[k];

		if (has_node(cluster->nodes, cluster->n_nodes, node->name))
			return;
		for (size_t j = 0; j < cluster->n_nodes; j++)
			pw_nearest_offer(&nearest, cluster->nodes[j].name);
	}
	pw_nearest_hint(&nearest, &hint);
	pw_conf_problem(c->warnings, &c->places->nodes.places[i],
			"node \"%.64s\" is of no cluster: what is said of it means nothing%s",
			node->name, hint.data ? hint.data : "");
	pw_strbuf_fini(&hint);
}

/* As the age of what a replica has shown grows between two rounds, and one of them may come late.
 */
static bool is_short(int64_t max_lag, const struct pw_conf_cluster *cluster)
{
	return max_lag > 0 && max_lag < 3 * cluster->monitor_interval;
}

static void warn_of_lag(const struct check *c, const struct pw_ini_pos *pos, const char *noun,
			const char *name, const char *cluster)
{
	pw_conf_problem(
	    c->warnings, pos,
	    "%s \"%.64s\": max_lag is below three times the monitor_interval of cluster "
	    "\"%.64s\": replicas that keep up may be taken to lag",
	    noun, name, cluster);
}

/* Whoever sets it is told, not who inherits it. */
static void check_lag(const struct check *c, size_t i)
{
	const struct pw_conf *conf = c->conf;
	const char *name = conf->clusters[i].name;
	struct pw_conf_cluster cluster;

	pw_conf_resolve_cluster(conf, &conf->clusters[i], &cluster);
	if (is_short(cluster.reading.max_lag, &cluster))
		warn_of_lag(c, &c->places->clusters[i], "cluster", name, name);
	for (size_t k = 0; k < conf->n_databases; k++) {
		const struct pw_conf_db *db = &conf->databases[k];

		if (db->cluster && strcmp(db->cluster, name) == 0 &&
		    is_short(db->reading.max_lag, &cluster))
			warn_of_lag(c, &c->places->databases[k], "database", db->name, name);
	}
	for (size_t k = 0; k < conf->n_users; k++) {
		if (is_short(conf->users[k].reading.max_lag, &cluster))
			warn_of_lag(c, &c->places->users[k], "user", conf->users[k].name, name);
	}
}

static void check_clusters(const struct check *c)
{
	check_databases(c);
	for (size_t i = 0; i < c->conf->n_clusters; i++) {
		check_cluster(c, i);
		check_lag(c, i);
	}
	for (size_t i = 0; i < c->places->nodes.n; i++)
		check_node(c, i);
}

void pw_conf_check(const struct pw_conf *conf, const struct pw_conf_places *places,
		   struct pw_conf_problems *problems, struct pw_conf_problems *warnings)
{
	const struct check c = {conf, places, problems, warnings};

	check_listen(&c);
	check_client_tls(&c);
	check_server_tls(&c);
	check_auth(&c);
	check_syslog(&c);
	check_tracking(&c);
	check_clusters(&c);
	check_node_tls(&c);
}

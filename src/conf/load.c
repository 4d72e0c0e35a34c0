/* SPDX-License-Identifier: PostgreSQL
 *
 * Builds a configuration: dispatches what ini_source reads to the sections, keeps what a reload
 * must keep, and freezes the result. On the loading thread; nothing of a half-built configuration
 * is seen by anyone.
 *
 * What happens to a setting whose line is missing or changed:
 *   reloadable, with default    each [pgbouncer] header sets it back to the default
 *   without default             keeps the previous configuration's value
 *   startup only                always keeps it; a changed line only warns
 */
#include "config.h"

#include "conf_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct builder {
	struct pw_conf *conf;
	const struct pw_conf *previous;
	struct pw_conf *scratch; /* takes values that are not to be used */
	struct pw_conf_problems problems;
	struct pw_conf_problems warnings;
	struct pw_conf_problems
	    misplaced; /* of entries outside the main section named as settings */
	struct pw_strbuf misplaced_text;
	struct pw_ini_pos misplaced_at; /* the first one, wrong or not */
	struct pw_ini_pos *set_at;      /* one per setting */
	struct pw_conf_entries databases;
	struct pw_conf_entries users;
	struct pw_conf_entries peers;
	struct pw_conf_entries clusters;
	struct pw_conf_entries nodes;
	struct pw_strbuf text; /* a connection string being cut up */
	struct pw_strbuf message;
	bool has_main;
	bool is_without_section; /* has been told of a value in front of all headers */
	bool has_failed;         /* no memory */
};

struct section {
	const char *name;
	void (*header)(struct builder *b);
	void (*entry)(struct builder *b, const struct pw_ini_entry *entry);
};

static struct pw_conf_arena *arena_of(const struct builder *b)
{
	return b->conf->arena;
}

/* ---- the main section ---- */

static bool has_fixed_value(const struct builder *b, const struct pw_conf_key *key)
{
	return b->previous && !(key->flags & PW_KEY_RELOAD);
}

static void start_main(struct builder *b)
{
	b->has_main = true;
	for (size_t i = 0; i < pw_conf_settings.n; i++) {
		const struct pw_conf_key *key = &pw_conf_settings.rows[i];

		if (!(key->flags & PW_KEY_RELOAD) || !key->default_text)
			continue;
		pw_conf_key_reset(key, arena_of(b), b->conf);
		b->set_at[i] = (struct pw_ini_pos){NULL, 0};
	}
}

static void init_settings(struct builder *b, const char *path)
{
	for (size_t i = 0; i < pw_conf_settings.n; i++) {
		const struct pw_conf_key *key = &pw_conf_settings.rows[i];

		if (has_fixed_value(b, key) || (b->previous && !key->default_text))
			pw_conf_key_copy(key, arena_of(b), b->conf, b->previous);
		else
			pw_conf_key_reset(key, arena_of(b), b->conf);
	}
	b->conf->conffile = pw_conf_arena_copy(arena_of(b), path);
}

static void report_message(struct builder *b, const struct pw_ini_pos *pos)
{
	pw_conf_problem(&b->problems, pos, "%s", b->message.data ? b->message.data : "no memory");
	pw_strbuf_reset(&b->message);
}

static void warn_of_comment(struct builder *b, const struct pw_conf_key *key,
			    const struct pw_ini_entry *entry)
{
	const unsigned may_have = PW_KEY_SECRET | PW_KEY_PROSE | PW_KEY_NO_EFFECT;

	if (key->kind == PW_KIND_STRING && !(key->flags & may_have) &&
	    pw_conf_has_comment(entry->value))
		pw_conf_problem(&b->warnings, &entry->pos,
				"what looks like a comment belongs to the value of %s, comments "
				"stand on lines of their own",
				key->name);
}

static void warn_if_ignored(struct builder *b, const struct pw_conf_key *key,
			    const struct pw_ini_pos *pos)
{
	if (key->flags & PW_KEY_NO_EFFECT)
		pw_conf_problem(&b->warnings, pos, "%s is accepted but has no effect", key->name);
	else if (has_fixed_value(b, key) && !pw_conf_key_equal(key, b->scratch, b->conf))
		pw_conf_problem(&b->warnings, pos,
				"%s cannot change while running, the value in force is kept",
				key->name);
}

static void set_main(struct builder *b, const struct pw_ini_entry *entry)
{
	const struct pw_conf_key *key = pw_conf_key_find(&pw_conf_settings, entry->key);
	struct pw_conf *target = b->conf;

	if (!key) {
		pw_strbuf_printf(&b->message, "unknown parameter \"%.64s\" in section [pgbouncer]",
				 entry->key);
		pw_conf_key_hint(&pw_conf_settings, entry->key, &b->message);
		report_message(b, &entry->pos);
		return;
	}
	if (has_fixed_value(b, key))
		target = b->scratch;
	if (!pw_conf_setting_parse(key, entry->value, target, &b->message)) {
		report_message(b, &entry->pos);
		return;
	}
	b->set_at[key - pw_conf_settings.rows] = entry->pos;
	warn_of_comment(b, key, entry);
	warn_if_ignored(b, key, &entry->pos);
}

/* ---- sections of connection strings ---- */

static void add_entry(struct builder *b, struct pw_conf_entries *to, const char *name,
		      const struct pw_ini_pos *pos, const void *row)
{
	if (pw_conf_entries_add(to, name, pos, row) != PW_OK)
		b->has_failed = true;
}

/* Reads the pairs of an entry into the row. False = something was reported. */
static bool read_pairs(struct builder *b, const struct pw_ini_entry *entry, const char *noun,
		       const struct pw_conf_keys *keys, void *row)
{
	const char *name, *value;
	char *cursor;
	unsigned reported = b->problems.count;
	enum pw_status status;

	for (size_t i = 0; i < keys->n; i++)
		pw_conf_key_reset(&keys->rows[i], arena_of(b), row);
	pw_strbuf_reset(&b->text);
	pw_strbuf_add_string(&b->text, entry->value);
	if (b->text.has_failed) {
		b->has_failed = true;
		return false;
	}
	cursor = b->text.data;
	while ((status = pw_connstr_next(&cursor, &name, &value)) == PW_OK) {
		const struct pw_conf_key *key = pw_conf_key_find(keys, name);

		pw_strbuf_printf(&b->message, "%s \"%.64s\": ", noun, entry->key);
		if (!key) {
			pw_strbuf_printf(&b->message, "unrecognized %s parameter: %.64s",
					 keys == &pw_conf_user_keys ? "user" : "connection", name);
			if (pw_conf_has_comment(name))
				pw_conf_comment_hint(name, &b->message);
			else
				pw_conf_key_hint(keys, name, &b->message);
			report_message(b, &entry->pos);
		} else if (!pw_conf_key_parse(key, value, arena_of(b), row, &b->message)) {
			report_message(b, &entry->pos);
		}
		pw_strbuf_reset(&b->message);
	}
	if (status == PW_EINVAL) {
		pw_strbuf_printf(
		    &b->message,
		    "%s \"%.64s\": syntax error in connection string: key=value pairs with spaces "
		    "between them are expected, no value may be empty, one with spaces needs "
		    "single quotes",
		    noun, entry->key);
		/* At the pair that is none. */
		pw_conf_comment_hint(cursor, &b->message);
		report_message(b, &entry->pos);
	}
	return b->problems.count == reported;
}

static bool is_name_legal(struct builder *b, const struct pw_ini_entry *entry, const char *noun,
			  size_t max)
{
	size_t len = strlen(entry->key);

	if (len > 0 && len <= max)
		return true;
	pw_conf_problem(&b->problems, &entry->pos,
			"%s name \"%.64s%s\" has %zu bytes, 1 to %zu are "
			"allowed",
			noun, entry->key, len > 64 ? "..." : "", len, max);
	return false;
}

static void set_database(struct builder *b, const struct pw_ini_entry *entry)
{
	struct pw_conf_db db = {0};

	if (!is_name_legal(b, entry, "database", PW_CONF_DB_NAME_MAX))
		return;
	if (strcmp(entry->key, PW_CONF_CONSOLE_DB) == 0) {
		pw_conf_problem(&b->problems, &entry->pos, "database name \"%s\" is reserved",
				entry->key);
		return;
	}
	/* Our name for the console, which a file that works with PgBouncer need not know. */
	if (pw_conf_is_console(entry->key))
		pw_conf_problem(&b->warnings, &entry->pos,
				"database \"%s\" cannot be reached: under that name clients get "
				"the console; give it another one, with dbname=%s",
				entry->key, entry->key);
	if (!read_pairs(b, entry, "database", &pw_conf_db_keys, &db))
		return;
	db.name = pw_conf_arena_copy(arena_of(b), entry->key);
	db.definition = pw_conf_arena_copy(arena_of(b), entry->value);
	db.hosts = pw_conf_split_hosts(db.host_text, arena_of(b));
	if (!db.hosts && !pw_conf_arena_has_failed(arena_of(b))) {
		pw_conf_problem(&b->problems, &entry->pos,
				"database \"%s\": empty name in the list of hosts", entry->key);
		return;
	}
	add_entry(b, &b->databases, db.name, &entry->pos, &db);
}

static void set_user(struct builder *b, const struct pw_ini_entry *entry)
{
	struct pw_conf_user user = {0};

	if (!is_name_legal(b, entry, "user", PW_CONF_USER_NAME_MAX) ||
	    !read_pairs(b, entry, "user", &pw_conf_user_keys, &user))
		return;
	user.name = pw_conf_arena_copy(arena_of(b), entry->key);
	add_entry(b, &b->users, user.name, &entry->pos, &user);
}

static void set_peer(struct builder *b, const struct pw_ini_entry *entry)
{
	struct pw_conf_peer peer = {0};
	char *end, digits[8];
	long id;

	errno = 0;
	id = strtol(entry->key, &end, 10);
	if (errno != 0 || *end != '\0' || id < 1 || id > 65535) {
		pw_conf_problem(
		    &b->problems, &entry->pos,
		    "peer \"%.64s\": ids of peers must be a number larger than 0 and at "
		    "most 65535",
		    entry->key);
		return;
	}
	if (!read_pairs(b, entry, "peer", &pw_conf_peer_keys, &peer))
		return;
	if (!peer.host) {
		pw_conf_problem(&b->problems, &entry->pos, "host was not provided for peer %ld",
				id);
		return;
	}
	if (b->peers.n == 0)
		pw_conf_problem(&b->warnings, &entry->pos,
				"[peers] has no effect: cancel requests are not forwarded");
	peer.id = (int)id;
	/* Names sort as text; the zeros make that the order of the numbers. */
	snprintf(digits, sizeof(digits), "%05d", peer.id);
	add_entry(b, &b->peers, pw_conf_arena_copy(arena_of(b), digits), &entry->pos, &peer);
}

static void set_node(struct builder *b, const struct pw_ini_entry *entry)
{
	struct pw_conf_node node = {0};

	if (!pw_conf_read_node(entry->key, strlen(entry->key), arena_of(b), &node)) {
		pw_conf_problem(&b->problems, &entry->pos,
				"node \"%.64s\": host:port, [address]:port or "
				"/socket/directory:port is expected",
				entry->key);
		return;
	}
	if (read_pairs(b, entry, "node", &pw_conf_node_keys, &node))
		add_entry(b, &b->nodes, node.name, &entry->pos, &node);
}

/* Adds the nodes that the text names, with what holds where [nodes] says nothing. */
static bool split_nodes(struct builder *b, const struct pw_ini_entry *entry,
			struct pw_conf_cluster *cluster)
{
	static const char blanks[] = " ,\t";
	struct pw_conf_node *nodes =
	    pw_conf_arena_alloc(arena_of(b), PW_CONF_NODES_MAX * sizeof(*nodes));
	const char *p = cluster->node_text ? cluster->node_text : "";

	cluster->nodes = nodes;
	for (p += strspn(p, blanks); nodes && *p != '\0'; p += strspn(p, blanks)) {
		size_t len = strcspn(p, blanks);
		struct pw_conf_node *node = &nodes[cluster->n_nodes];

		if (cluster->n_nodes == PW_CONF_NODES_MAX) {
			pw_conf_problem(&b->problems, &entry->pos,
					"cluster \"%.64s\": more than %d nodes", entry->key,
					PW_CONF_NODES_MAX);
			return false;
		}
		for (size_t i = 0; i < pw_conf_node_keys.n; i++)
			pw_conf_key_reset(&pw_conf_node_keys.rows[i], arena_of(b), node);
		if (!pw_conf_read_node(p, len, arena_of(b), node)) {
			pw_strbuf_printf(&b->message,
					 "cluster \"%.64s\": node \"%.*s\": host:port, "
					 "[address]:port or /socket/directory:port is expected",
					 entry->key, len < 64 ? (int)len : 64, p);
			pw_conf_comment_hint(p, &b->message);
			report_message(b, &entry->pos);
			return false;
		}
		cluster->n_nodes++;
		p += len;
	}
	return true;
}

static void set_cluster(struct builder *b, const struct pw_ini_entry *entry)
{
	struct pw_conf_cluster cluster = {0};

	if (!is_name_legal(b, entry, "cluster", PW_CONF_DB_NAME_MAX) ||
	    !read_pairs(b, entry, "cluster", &pw_conf_cluster_keys, &cluster) ||
	    !split_nodes(b, entry, &cluster))
		return;
	if (cluster.n_nodes == 0 && !pw_conf_arena_has_failed(arena_of(b))) {
		pw_conf_problem(&b->problems, &entry->pos,
				"cluster \"%.64s\": nodes='host:port host:port' is required",
				entry->key);
		return;
	}
	cluster.name = pw_conf_arena_copy(arena_of(b), entry->key);
	add_entry(b, &b->clusters, cluster.name, &entry->pos, &cluster);
}

/* ---- dispatch ---- */

static const struct section sections[] = {
    {"pgbouncer", start_main, set_main}, /* the first one is named in messages */
    {"pgweir", start_main, set_main},    {"databases", NULL, set_database},
    {"users", NULL, set_user},           {"peers", NULL, set_peer},
    {"clusters", NULL, set_cluster},     {"nodes", NULL, set_node},
};

static const struct section *find_section(const char *name)
{
	for (size_t i = 0; i < PW_COUNTOF(sections); i++) {
		if (strcmp(sections[i].name, name) == 0)
			return &sections[i];
	}
	return NULL;
}

static void take_section(void *ctx, const char *name, const struct pw_ini_pos *pos)
{
	struct builder *b = ctx;
	const struct section *section = find_section(name);
	struct pw_nearest nearest;

	if (section && section->header)
		section->header(b);
	if (section)
		return;
	pw_nearest_init(&nearest, name);
	for (size_t i = 0; i < PW_COUNTOF(sections); i++)
		pw_nearest_offer(&nearest, sections[i].name);
	pw_strbuf_printf(&b->message, "invalid section \"%s\" in configuration", name);
	pw_nearest_hint(&nearest, &b->message);
	report_message(b, pos);
}

static void swap_problems(struct builder *b)
{
	struct pw_conf_problems other = b->problems;

	b->problems = b->misplaced;
	b->misplaced = other;
}

/* Whether such lines are what is wrong, or that the header above them is missing, shows at the end.
 */
static void take_misplaced(struct builder *b, const struct section *section,
			   const struct pw_ini_entry *entry)
{
	if (!b->misplaced_at.path)
		b->misplaced_at = entry->pos;
	swap_problems(b);
	section->entry(b, entry);
	swap_problems(b);
}

static void report_without_section(struct builder *b, const struct pw_ini_entry *entry,
				   bool is_setting)
{
	if (!b->is_without_section)
		pw_conf_problem(&b->problems, &entry->pos, "value without section: %.64s%s",
				entry->key,
				is_setting ? "; [pgbouncer] is expected above this line" : "");
	b->is_without_section = true;
}

static void take_entry(void *ctx, const char *name, const struct pw_ini_entry *entry)
{
	struct builder *b = ctx;
	const struct section *section = find_section(name);
	bool is_setting = pw_conf_key_find(&pw_conf_settings, entry->key) != NULL;

	/* Under a header that was refused, or is missing, one message is enough. */
	if (section && is_setting && !b->has_main)
		take_misplaced(b, section, entry);
	else if (section)
		section->entry(b, entry);
	else if (name[0] == '\0')
		report_without_section(b, entry, is_setting);
}

/* ---- life ---- */

static void fini_builder(struct builder *b)
{
	pw_conf_entries_fini(&b->databases);
	pw_conf_entries_fini(&b->users);
	pw_conf_entries_fini(&b->peers);
	pw_conf_entries_fini(&b->clusters);
	pw_conf_entries_fini(&b->nodes);
	pw_strbuf_wipe(&b->text);
	pw_strbuf_fini(&b->message);
	pw_strbuf_fini(&b->misplaced_text);
	free(b->scratch);
	free(b->set_at);
}

static bool init_builder(struct builder *b)
{
	b->databases =
	    (struct pw_conf_entries){.row_size = sizeof(struct pw_conf_db), .noun = "database"};
	b->users =
	    (struct pw_conf_entries){.row_size = sizeof(struct pw_conf_user), .noun = "user"};
	b->peers =
	    (struct pw_conf_entries){.row_size = sizeof(struct pw_conf_peer), .noun = "peer"};
	b->clusters =
	    (struct pw_conf_entries){.row_size = sizeof(struct pw_conf_cluster), .noun = "cluster"};
	b->nodes =
	    (struct pw_conf_entries){.row_size = sizeof(struct pw_conf_node), .noun = "node"};
	b->misplaced.out = &b->misplaced_text;
	b->conf = calloc(1, sizeof(*b->conf));
	if (!b->conf)
		return false;
	pw_refcount_init(&b->conf->refs);
	b->scratch = calloc(1, sizeof(*b->scratch));
	b->set_at = calloc(pw_conf_settings.n, sizeof(*b->set_at));
	if (!b->scratch || !b->set_at)
		return false;
	b->conf->arena = pw_conf_arena_create();
	b->scratch->arena = b->conf->arena;
	return b->conf->arena != NULL;
}

static int compare_node(const void *name, const void *node)
{
	return strcmp(name, ((const struct pw_conf_node *)node)->name);
}

/* What [nodes] says of a node holds wherever the node is. */
static void describe_nodes(struct builder *b, const struct pw_conf_node *known, size_t n)
{
	for (size_t i = 0; i < b->clusters.n; i++) {
		const struct pw_conf_cluster *cluster = b->clusters.items[i].row;

		for (size_t j = 0; n > 0 && j < cluster->n_nodes; j++) {
			struct pw_conf_node *node = &cluster->nodes[j];
			const struct pw_conf_node *found =
			    bsearch(node->name, known, n, sizeof(*known), compare_node);

			if (found)
				*node = *found;
		}
	}
}

static struct pw_conf_frozen freeze(struct builder *b, struct pw_conf_entries *from)
{
	struct pw_conf_frozen frozen;

	if (pw_conf_entries_freeze(from, arena_of(b), &b->warnings, &frozen) != PW_OK)
		b->has_failed = true;
	return frozen;
}

static void freeze_sections(struct builder *b, struct pw_conf_places *places)
{
	struct pw_conf *conf = b->conf;
	struct pw_conf_frozen nodes = freeze(b, &b->nodes), clusters, databases, users, peers;

	describe_nodes(b, nodes.rows, nodes.n);
	clusters = freeze(b, &b->clusters);
	databases = freeze(b, &b->databases);
	users = freeze(b, &b->users);
	peers = freeze(b, &b->peers);
	conf->clusters = clusters.rows;
	conf->n_clusters = clusters.n;
	conf->databases = databases.rows;
	conf->n_databases = databases.n;
	conf->users = users.rows;
	conf->n_users = users.n;
	conf->peers = peers.rows;
	conf->n_peers = peers.n;
	places->clusters = clusters.places;
	places->databases = databases.places;
	places->users = users.places;
	places->nodes = nodes;
}

static void build(struct builder *b, const struct pw_ini_input *input)
{
	const struct pw_ini_sink sink = {b, &b->problems, take_section, take_entry};
	const struct pw_ini_pos pos = {input->path, 0};
	struct pw_conf_places places = {.file = pos, .settings = b->set_at};
	enum pw_status status;

	init_settings(b, input->path);
	status = pw_ini_read(input, arena_of(b), &sink);
	if (status == PW_ENOMEM)
		b->has_failed = true;
	else if (status != PW_OK)
		pw_conf_problem(&b->problems, &pos, "the ini library did not hand a line through");
	else if (b->has_main)
		pw_conf_problems_move(&b->problems, &b->misplaced);
	else if (b->misplaced_at.path)
		pw_conf_problem_first(&b->problems, &b->misplaced_at,
				      "main section missing from config file: [pgbouncer] is "
				      "expected above this line");
	else if (b->problems.count == 0)
		pw_conf_problem(&b->problems, &pos, "main section missing from config file");
	freeze_sections(b, &places);
	/* A value that was refused would only give false alarms here. */
	if (b->problems.count == 0)
		pw_conf_check(b->conf, &places, &b->problems, &b->warnings);
	if (b->has_failed || pw_conf_arena_has_failed(arena_of(b)))
		pw_conf_problem(&b->problems, &pos, "out of memory");
	pw_conf_problems_end(&b->problems);
	pw_conf_problems_end(&b->warnings);
}

struct pw_conf *pw_conf_parse(const struct pw_ini_input *input, const struct pw_conf *previous,
			      struct pw_strbuf *why, struct pw_strbuf *warnings)
{
	struct builder b = {.previous = previous, .problems = {why, 0}, .warnings = {warnings, 0}};
	struct pw_conf *conf;

	if (init_builder(&b))
		build(&b, input);
	else
		pw_conf_problem(&b.problems, NULL, "out of memory");
	conf = b.conf;
	fini_builder(&b);
	if (b.problems.count == 0)
		return conf;
	pw_conf_unref(conf);
	return NULL;
}

struct pw_conf *pw_conf_load(const char *path, const struct pw_conf *previous,
			     struct pw_strbuf *why, struct pw_strbuf *warnings)
{
	const struct pw_ini_input input = {.path = path};

	return pw_conf_parse(&input, previous, why, warnings);
}

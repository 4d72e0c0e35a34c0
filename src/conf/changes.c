/* SPDX-License-Identifier: PostgreSQL
 *
 * What a reload has changed, for the log: settings by name, entries by number. No values, which may
 * be secret.
 */
#include "config.h"

#include <string.h>

#include "conf_priv.h"

static void add_part(struct pw_strbuf *out, const char *head)
{
	pw_strbuf_printf(out, "%s%s: ", out->len > 0 ? "; " : "", head);
}

static void add_settings(const struct pw_conf *before, const struct pw_conf *after,
			 struct pw_strbuf *out)
{
	bool is_first = true;

	for (size_t i = 0; i < pw_conf_settings.n; i++) {
		const struct pw_conf_key *key = &pw_conf_settings.rows[i];

		if (pw_conf_key_equal(key, before, after))
			continue;
		if (is_first)
			add_part(out, "settings changed");
		else
			pw_strbuf_add_string(out, ", ");
		pw_strbuf_add_string(out, key->name);
		is_first = false;
	}
}

/* ---- sections: both lists are sorted by name ---- */

struct entries {
	const void *first;
	size_t n, size;
	bool (*are_equal)(const void *a, const void *b);
};

static const void *entry_at(const struct entries *entries, size_t i)
{
	return (const char *)entries->first + i * entries->size;
}

/* Every entry begins with its name. */
static const char *name_at(const struct entries *entries, size_t i)
{
	return *(const char *const *)entry_at(entries, i);
}

static int compare_at(const struct entries *before, size_t i, const struct entries *after, size_t j)
{
	if (i == before->n)
		return 1;
	if (j == after->n)
		return -1;
	return strcmp(name_at(before, i), name_at(after, j));
}

static void add_section(const char *head, const struct entries *before, const struct entries *after,
			struct pw_strbuf *out)
{
	size_t i = 0, j = 0, added = 0, removed = 0, changed = 0;

	while (i < before->n || j < after->n) {
		int order = compare_at(before, i, after, j);

		added += order > 0;
		removed += order < 0;
		changed +=
		    order == 0 && !before->are_equal(entry_at(before, i), entry_at(after, j));
		i += order <= 0;
		j += order >= 0;
	}
	if (added + removed + changed == 0)
		return;
	add_part(out, head);
	pw_strbuf_printf(out, "%zu added, %zu removed, %zu changed", added, removed, changed);
}

static bool are_equal_dbs(const void *a, const void *b)
{
	for (size_t i = 0; i < pw_conf_db_keys.n; i++) {
		if (!pw_conf_key_equal(&pw_conf_db_keys.rows[i], a, b))
			return false;
	}
	return true;
}

static bool are_equal_users(const void *a, const void *b)
{
	for (size_t i = 0; i < pw_conf_user_keys.n; i++) {
		if (!pw_conf_key_equal(&pw_conf_user_keys.rows[i], a, b))
			return false;
	}
	return true;
}

static bool are_equal_clusters(const void *a, const void *b)
{
	const struct pw_conf_cluster *x = a, *y = b;

	for (size_t i = 0; i < pw_conf_cluster_keys.n; i++) {
		if (!pw_conf_key_equal(&pw_conf_cluster_keys.rows[i], a, b))
			return false;
	}
	/* The same text means the same nodes; what [nodes] says of them may be another. */
	for (size_t i = 0; i < x->n_nodes; i++) {
		for (size_t j = 0; j < pw_conf_node_keys.n; j++) {
			if (!pw_conf_key_equal(&pw_conf_node_keys.rows[j], &x->nodes[i],
					       &y->nodes[i]))
				return false;
		}
	}
	return true;
}

static struct entries dbs_of(const struct pw_conf *conf)
{
	_Static_assert(offsetof(struct pw_conf_db, name) == 0, "name_at()");
	return (struct entries){conf->databases, conf->n_databases, sizeof(struct pw_conf_db),
				are_equal_dbs};
}

static struct entries users_of(const struct pw_conf *conf)
{
	_Static_assert(offsetof(struct pw_conf_user, name) == 0, "name_at()");
	return (struct entries){conf->users, conf->n_users, sizeof(struct pw_conf_user),
				are_equal_users};
}

static struct entries clusters_of(const struct pw_conf *conf)
{
	_Static_assert(offsetof(struct pw_conf_cluster, name) == 0, "name_at()");
	return (struct entries){conf->clusters, conf->n_clusters, sizeof(struct pw_conf_cluster),
				are_equal_clusters};
}

void pw_conf_changes(const struct pw_conf *before, const struct pw_conf *after,
		     struct pw_strbuf *out)
{
	struct entries old_dbs = dbs_of(before), new_dbs = dbs_of(after);
	struct entries old_users = users_of(before), new_users = users_of(after);
	struct entries old_clusters = clusters_of(before), new_clusters = clusters_of(after);

	add_settings(before, after, out);
	add_section("databases", &old_dbs, &new_dbs, out);
	add_section("users", &old_users, &new_users, out);
	add_section("clusters", &old_clusters, &new_clusters, out);
}

/* SPDX-License-Identifier: PostgreSQL
 *
 * Loads the parts in the order in which they need each other; one that fails takes all back.
 */
#include "config.h"

#include "pgweir/pool/snapshot.h"

#include <stdlib.h>

/* Out of memory is the one failure; files that cannot be read are noted. */
static bool load_users(struct pw_snapshot *s, const struct pw_hash_key *key,
		       struct pw_strbuf *warnings)
{
	const struct pw_conf *conf = s->conf;
	struct pw_unreadable *unreadable = &s->unreadable;

	if (conf->auth_file && conf->auth_file[0] && conf->auth_type != PW_AUTH_ANY)
		s->users = pw_userdb_load(conf->auth_file, key, unreadable, warnings);
	else
		s->users = pw_userdb_parse("", 0, "", key, warnings);
	if (conf->auth_type == PW_AUTH_HBA)
		s->hba =
		    pw_hba_load(conf->auth_hba_file, conf->auth_ident_file, unreadable, warnings);
	return s->users && (s->hba || conf->auth_type != PW_AUTH_HBA) &&
	       !pw_unreadable_has_failed(unreadable);
}

/* Whoever starts without a file is told, and runs, as the contract has it. One that was there and
 * is gone must not lock out those who could log in before, whatever else is missing. */
static bool load_parts(struct pw_snapshot *s, const struct pw_snapshot *previous,
		       const struct pw_hash_key *key, struct pw_strbuf *why,
		       struct pw_strbuf *warnings)
{
	bool is_loaded, is_bad;

	/* What is said of the configuration ends without a line's end. */
	if (warnings->len > 0 && warnings->data[warnings->len - 1] != '\n')
		pw_strbuf_add_char(warnings, '\n');
	is_loaded = load_users(s, key, warnings);
	is_bad = previous && pw_unreadable_has_new(&s->unreadable, &previous->unreadable);

	pw_strbuf_add(is_bad ? why : warnings, s->unreadable.lines.data, s->unreadable.lines.len);
	s->accept_tls = pw_tls_context_create_accept(s->conf, why);
	if (s->accept_tls)
		s->connect_tls = pw_tls_context_create_connect(s->conf, why);
	if (!is_loaded)
		pw_strbuf_add_string(why, "out of memory\n");
	return is_loaded && !is_bad && s->connect_tls;
}

struct pw_snapshot *pw_snapshot_load(const char *path, const struct pw_snapshot *previous,
				     const struct pw_hash_key *key, struct pw_strbuf *why,
				     struct pw_strbuf *warnings)
{
	struct pw_snapshot *s = calloc(1, sizeof(*s));

	if (!s) {
		pw_strbuf_add_string(why, "out of memory\n");
		return NULL;
	}
	pw_refcount_init(&s->refs);
	s->conf = pw_conf_load(path, previous ? previous->conf : NULL, why, warnings);
	if (!s->conf || !load_parts(s, previous, key, why, warnings)) {
		pw_snapshot_unref(s);
		return NULL;
	}
	return s;
}

struct pw_snapshot *pw_snapshot_ref(struct pw_snapshot *snapshot)
{
	pw_refcount_ref(&snapshot->refs);
	return snapshot;
}

void pw_snapshot_unref(struct pw_snapshot *snapshot)
{
	if (!snapshot || !pw_refcount_unref(&snapshot->refs))
		return;
	if (snapshot->conf)
		pw_conf_unref(snapshot->conf);
	if (snapshot->users)
		pw_userdb_unref(snapshot->users);
	if (snapshot->hba)
		pw_hba_unref(snapshot->hba);
	pw_unreadable_fini(&snapshot->unreadable);
	if (snapshot->accept_tls)
		pw_tls_context_unref(snapshot->accept_tls);
	if (snapshot->connect_tls)
		pw_tls_context_unref(snapshot->connect_tls);
	free(snapshot);
}

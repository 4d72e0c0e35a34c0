/* SPDX-License-Identifier: PostgreSQL
 *
 * Loads the parts in the order in which they need each other; one that fails takes all back.
 */
#include "config.h"

#include "pgweir/pool/snapshot.h"

#include <stdlib.h>

static bool load_parts(struct pw_snapshot *s, const struct pw_hash_key *key, struct pw_strbuf *why,
		       struct pw_strbuf *warnings)
{
	const struct pw_conf *conf = s->conf;

	if (conf->auth_file && conf->auth_file[0] && conf->auth_type != PW_AUTH_ANY)
		s->users = pw_userdb_load(conf->auth_file, key, warnings);
	else
		s->users = pw_userdb_parse("", 0, "", key, warnings);
	if (conf->auth_type == PW_AUTH_HBA)
		s->hba = pw_hba_load(conf->auth_hba_file, conf->auth_ident_file, warnings);
	s->accept_tls = pw_tls_context_create_accept(conf, why);
	if (s->accept_tls)
		s->connect_tls = pw_tls_context_create_connect(conf, why);
	if (!s->users || (conf->auth_type == PW_AUTH_HBA && !s->hba)) {
		pw_strbuf_add_string(why, "out of memory\n");
		return false;
	}
	return s->connect_tls != NULL;
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
	if (!s->conf || !load_parts(s, key, why, warnings)) {
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
	if (snapshot->accept_tls)
		pw_tls_context_unref(snapshot->accept_tls);
	if (snapshot->connect_tls)
		pw_tls_context_unref(snapshot->connect_tls);
	free(snapshot);
}

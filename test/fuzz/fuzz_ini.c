/* SPDX-License-Identifier: PostgreSQL
 *
 * Any bytes as a configuration file: loaded, loaded again over itself, shown and resolved. The
 * text comes from memory, where %include is refused, so no file is touched.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "conf/conf_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use_conf(const struct pw_conf *conf)
{
	static const struct pw_hash_key hash_key = {1, 2};
	struct pw_pool_conf pool;
	struct pw_client_conf client;
	struct pw_strbuf out = PW_STRBUF_INIT;

	for (size_t i = 0; i < pw_conf_setting_count(); i++)
		(void)pw_conf_setting_value(conf, i, &out);
	for (size_t i = 0; i < conf->n_databases; i++) {
		const struct pw_conf_db *db = &conf->databases[i];

		if (pw_conf_find_db(conf, db->name) != db ||
		    pw_conf_db_server_id(db, &hash_key) != pw_conf_db_server_id(db, &hash_key))
			abort();
		for (const char *const *host = db->hosts; *host; host++)
			pw_strbuf_add_string(&out, *host);
		pw_conf_resolve_pool(conf, db, db->user, &pool);
		pw_conf_resolve_client(conf, db, db->user, &client);
	}
	for (size_t i = 0; i < conf->n_users; i++) {
		if (pw_conf_find_user(conf, conf->users[i].name) != &conf->users[i])
			abort();
		(void)pw_conf_list_has(conf->admin_users, conf->users[i].name);
	}
	pw_strbuf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct pw_ini_input input = {"fuzz.ini", size > 0 ? (const char *)data : "", size};
	struct pw_strbuf why = PW_STRBUF_INIT, warnings = PW_STRBUF_INIT;
	struct pw_conf *first, *second;

	first = pw_conf_parse(&input, NULL, &why, &warnings);
	/* Either a configuration or a reason. */
	if ((first == NULL) != (why.len > 0))
		abort();
	if (first) {
		use_conf(first);
		second = pw_conf_parse(&input, first, &why, &warnings);
		if (!second)
			abort();
		pw_conf_unref(first);
		use_conf(second);
		pw_conf_unref(second);
	}
	pw_strbuf_fini(&why);
	pw_strbuf_fini(&warnings);
	return 0;
}

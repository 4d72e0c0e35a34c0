/* SPDX-License-Identifier: PostgreSQL
 *
 * The settings of the main section as a table, from settings.def, and what SHOW CONFIG and SET
 * need of it. The table is const; the functions are pure but for pw_conf_set(), which allocates
 * in its origin's arena and therefore belongs to the loading thread.
 */
#include "config.h"

#include "conf_priv.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
	STARTUP = 0,
	RELOAD = PW_KEY_RELOAD,
	NO_EFFECT = PW_KEY_NO_EFFECT,
	SECRET = PW_KEY_SECRET,
	PROSE = PW_KEY_PROSE,
};

static const struct pw_conf_key rows[] = {
#define PW_SETTING(kind_, name_, default_, min_, max_, flags_, help_)                              \
	{.name = #name_,                                                                           \
	 .kind = PW_KIND_##kind_,                                                                  \
	 .flags = flags_,                                                                          \
	 .offset = offsetof(struct pw_conf, name_),                                                \
	 .default_text = default_,                                                                 \
	 .min = min_,                                                                              \
	 .max = max_,                                                                              \
	 .help = help_},
#include "pgweir/conf/settings.def"
#undef PW_SETTING
};

const struct pw_conf_keys pw_conf_settings = {rows, PW_COUNTOF(rows)};

const struct pw_conf_key *pw_conf_key_find(const struct pw_conf_keys *keys, const char *name)
{
	for (size_t i = 0; i < keys->n; i++) {
		if (strcmp(keys->rows[i].name, name) == 0)
			return &keys->rows[i];
	}
	return NULL;
}

/* Words of other connection strings, which few letters would lead to ours. */
static const struct {
	const char *word;
	const char *ours;
} synonyms[] = {
    {"database", "dbname"}, {"db", "dbname"},     {"hostname", "host"}, {"hostaddr", "host"},
    {"server", "host"},     {"username", "user"}, {"pass", "password"}, {"pwd", "password"},
};

static const char *find_synonym(const struct pw_conf_keys *keys, const char *name)
{
	for (size_t i = 0; i < PW_COUNTOF(synonyms); i++) {
		if (strcasecmp(synonyms[i].word, name) == 0 &&
		    pw_conf_key_find(keys, synonyms[i].ours))
			return synonyms[i].ours;
	}
	return NULL;
}

void pw_conf_key_hint(const struct pw_conf_keys *keys, const char *name, struct pw_strbuf *out)
{
	struct pw_nearest nearest;

	pw_nearest_init(&nearest, name);
	for (size_t i = 0; i < keys->n; i++)
		pw_nearest_offer(&nearest, keys->rows[i].name);
	if (find_synonym(keys, name))
		nearest.found = find_synonym(keys, name);
	pw_nearest_hint(&nearest, out);
}

/* "777", meant as chmod takes it. */
static void hint_octal(const char *text, struct pw_strbuf *why)
{
	size_t len = strlen(text);

	if (len == 3 && text[0] != '0' && strspn(text, "01234567") == len)
		pw_strbuf_printf(why, "; octal numbers begin with a 0: 0%s", text);
}

bool pw_conf_setting_parse(const struct pw_conf_key *key, const char *text, struct pw_conf *conf,
			   struct pw_strbuf *why)
{
	if (strcmp(key->name, "auth_dbname") == 0 && strcmp(text, PW_CONF_CONSOLE_DB) == 0) {
		pw_strbuf_add_string(why, "cannot use the reserved \"" PW_CONF_CONSOLE_DB
					  "\" database as an auth_dbname");
		return false;
	}
	if (pw_conf_key_parse(key, text, conf->arena, conf, why))
		return true;
	if (strcmp(key->name, "auth_type") == 0 &&
	    (strcasecmp(text, "pam") == 0 || strcasecmp(text, "ldap") == 0))
		pw_strbuf_printf(why, " (%s is not supported)", text);
	if (strcmp(key->name, "unix_socket_mode") == 0)
		hint_octal(text, why);
	return false;
}

const struct pw_conf *pw_conf_set(const struct pw_conf *conf, const char *name, const char *value,
				  struct pw_strbuf *why)
{
	const struct pw_conf_key *key = pw_conf_key_find(&pw_conf_settings, name);
	struct pw_conf *changed;
	bool is_valid;

	if (!key) {
		pw_strbuf_printf(why, "unknown parameter \"%.64s\"", name);
		pw_conf_key_hint(&pw_conf_settings, name, why);
		return NULL;
	}
	if (!(key->flags & PW_KEY_RELOAD))
		return pw_conf_ref(conf);
	changed = malloc(sizeof(*changed));
	if (!changed) {
		pw_strbuf_add_string(why, "out of memory");
		return NULL;
	}
	memcpy(changed, conf, sizeof(*changed));
	pw_refcount_init(&changed->refs);
	pw_conf_arena_ref(changed->arena);
	is_valid = pw_conf_setting_parse(key, value, changed, why);
	if (is_valid && pw_conf_arena_has_failed(changed->arena)) {
		pw_strbuf_add_string(why, "out of memory");
		is_valid = false;
	}
	if (!is_valid) {
		pw_conf_unref(changed);
		return NULL;
	}
	return changed;
}

size_t pw_conf_setting_count(void)
{
	return PW_COUNTOF(rows);
}

void pw_conf_setting_row(size_t i, struct pw_setting_row *out)
{
	out->name = rows[i].name;
	out->default_text = rows[i].default_text;
	out->is_reloadable = (rows[i].flags & PW_KEY_RELOAD) != 0;
}

bool pw_conf_setting_value(const struct pw_conf *conf, size_t i, struct pw_strbuf *out)
{
	struct pw_strbuf secret = PW_STRBUF_INIT;
	bool is_set;

	if (!(rows[i].flags & SECRET))
		return pw_conf_key_show(&rows[i], conf, out);
	is_set = pw_conf_key_show(&rows[i], conf, &secret);
	pw_strbuf_wipe(&secret);
	if (is_set)
		pw_strbuf_add_string(out, "********");
	return is_set;
}

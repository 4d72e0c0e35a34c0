/* SPDX-License-Identifier: PostgreSQL
 *
 * The sample file and the reference, printed from the tables that also drive parsing, so that
 * neither can say something else than what holds. Pure functions.
 */
#include "config.h"

#include "conf_priv.h"

#include <string.h>

enum { WRAP_COLUMN = 88 };

#define NO_EFFECT_TEXT "Accepted for compatibility; has no effect in pgweir."

/* Adds the text as comment lines of bounded length. */
static void add_comment(struct pw_strbuf *out, const char *text)
{
	while (*text != '\0') {
		size_t len = strlen(text);

		if (len > WRAP_COLUMN) {
			len = WRAP_COLUMN;
			while (len > 0 && text[len] != ' ')
				len--;
			if (len == 0)
				len = strcspn(text, " ");
		}
		pw_strbuf_add_string(out, ";; ");
		pw_strbuf_add(out, text, len);
		pw_strbuf_add_char(out, '\n');
		text += len;
		text += strspn(text, " ");
	}
}

static void add_ini_setting(const struct pw_conf_key *key, struct pw_strbuf *out)
{
	struct pw_strbuf text = PW_STRBUF_INIT;

	pw_strbuf_printf(&text, "%s%s", key->help,
			 key->flags & PW_KEY_NO_EFFECT ? " " NO_EFFECT_TEXT : "");
	if (key->kind != PW_KIND_STRING) {
		pw_strbuf_add_string(&text, " Takes ");
		pw_conf_key_expects(key, &text);
		pw_strbuf_add_char(&text, '.');
	}
	if (!(key->flags & PW_KEY_RELOAD))
		pw_strbuf_add_string(&text, " Changes need a restart.");
	pw_strbuf_add_char(out, '\n');
	if (text.has_failed)
		out->has_failed = true;
	else
		add_comment(out, text.data);
	pw_strbuf_fini(&text);
	pw_strbuf_printf(out, ";%s =", key->name);
	if (key->default_text && key->default_text[0] != '\0')
		pw_strbuf_printf(out, " %s", key->default_text);
	else if (key->kind != PW_KIND_STRING)
		pw_strbuf_add_string(out, " 0");
	pw_strbuf_add_char(out, '\n');
}

static void add_ini_keys(const char *title, const struct pw_conf_keys *keys, struct pw_strbuf *out)
{
	pw_strbuf_printf(out, ";; %s\n", title);
	for (size_t i = 0; i < keys->n; i++)
		pw_strbuf_printf(out, ";;   %-28s %s\n", keys->rows[i].name, keys->rows[i].help);
}

void pw_conf_describe_ini(struct pw_strbuf *out)
{
	pw_strbuf_add_string(
	    out, ";; Sample configuration of pgweir with every setting. Printed by pgweir\n"
		 ";; --describe=ini; what is commented out shows the default.\n"
		 ";;\n"
		 ";; A line that begins with ; or # is a comment; there are no comments behind a\n"
		 ";; value. \"%include FILE\" reads another file in its place. Times are seconds.\n"
		 "\n"
		 ";; Databases that clients may ask for: NAME = key=value key='value with space'\n"
		 ";; The name * stands for every database that has no entry of its own.\n");
	add_ini_keys("Keys:", &pw_conf_db_keys, out);
	pw_strbuf_add_string(
	    out, "[databases]\n"
		 ";app = host=127.0.0.1 port=5432 dbname=app\n"
		 ";reports = host=replica1,replica2 user=reporting pool_size=5 pool_mode=session\n"
		 ";shop = cluster=shop pool_mode=transaction\n"
		 ";shop_rw = cluster=shop routing=primary dbname=shop\n"
		 ";shop_ro = cluster=shop routing=replica dbname=shop\n"
		 ";* = host=127.0.0.1\n"
		 "\n"
		 ";; Limits of single users: NAME = key=value ...\n");
	add_ini_keys("Keys:", &pw_conf_user_keys, out);
	pw_strbuf_add_string(out, "[users]\n"
				  ";batch = pool_mode=session max_user_connections=10\n"
				  "\n"
				  ";; Other processes of the same group: ID = key=value ...\n");
	add_ini_keys("Keys:", &pw_conf_peer_keys, out);
	pw_strbuf_add_string(
	    out, "[peers]\n"
		 ";1 = host=/run/pgweir/1\n"
		 "\n"
		 ";; A primary and its standbys, whichever of them is which: NAME = key=value\n"
		 ";; ... What is not set here is as in the main section.\n");
	add_ini_keys("Keys:", &pw_conf_cluster_keys, out);
	pw_strbuf_add_string(out, "[clusters]\n"
				  ";shop = nodes='db1:5432 db2:5432 db3:5432' max_lag=500ms\n"
				  "\n"
				  ";; Single nodes, where they need more than their address.\n");
	add_ini_keys("Keys:", &pw_conf_node_keys, out);
	pw_strbuf_add_string(out, "[nodes]\n"
				  ";db3:5432 = weight=2\n"
				  "\n"
				  ";; The settings themselves. The name [pgbouncer] is as good.\n"
				  "[pgweir]\n");
	for (size_t i = 0; i < pw_conf_settings.n; i++)
		add_ini_setting(&pw_conf_settings.rows[i], out);
}

/* A bar would end the cell. */
static void add_cell(struct pw_strbuf *out, const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text == '|')
			pw_strbuf_add_char(out, '\\');
		pw_strbuf_add_char(out, *text);
	}
}

static void add_default(const struct pw_conf_key *key, struct pw_strbuf *out)
{
	if (!key->default_text) {
		pw_strbuf_add_string(out, key->inherits ? key->inherits : "none");
	} else if (key->default_text[0] == '\0') {
		pw_strbuf_add_string(out, "empty");
	} else {
		pw_strbuf_add_char(out, '`');
		add_cell(out, key->default_text);
		pw_strbuf_add_char(out, '`');
	}
}

static void add_setting_rows(struct pw_strbuf *out)
{
	pw_strbuf_add_string(out, "| setting | default | takes | change | meaning |\n"
				  "|---|---|---|---|---|\n");
	for (size_t i = 0; i < pw_conf_settings.n; i++) {
		const struct pw_conf_key *key = &pw_conf_settings.rows[i];

		pw_strbuf_printf(out, "| `%s` | ", key->name);
		add_default(key, out);
		pw_strbuf_add_string(out, " | ");
		pw_conf_key_expects(key, out);
		pw_strbuf_printf(out, " | %s | ",
				 key->flags & PW_KEY_RELOAD ? "reload" : "restart");
		add_cell(out, key->help);
		if (key->flags & PW_KEY_NO_EFFECT)
			pw_strbuf_add_string(out, " " NO_EFFECT_TEXT);
		pw_strbuf_add_string(out, " |\n");
	}
}

static void add_key_rows(const struct pw_conf_keys *keys, struct pw_strbuf *out)
{
	pw_strbuf_add_string(out, "| key | where not set | takes | meaning |\n|---|---|---|---|\n");
	for (size_t i = 0; i < keys->n; i++) {
		const struct pw_conf_key *key = &keys->rows[i];

		pw_strbuf_printf(out, "| `%s` | ", key->name);
		add_default(key, out);
		pw_strbuf_add_string(out, " | ");
		pw_conf_key_expects(key, out);
		pw_strbuf_add_string(out, " | ");
		add_cell(out, key->help);
		pw_strbuf_add_string(out, " |\n");
	}
}

static void add_files_of_users(struct pw_strbuf *out)
{
	pw_strbuf_add_string(
	    out,
	    "\n## The files of users and rules\n"
	    "\n"
	    "They are read at the start and at each reload. A line that is not understood is "
	    "reported in the log with its number, and does not keep the rest of the "
	    "configuration from being used: look there after a change. At the start, a file that "
	    "cannot be read is a warning and counts as empty; a reload fails instead, and changes "
	    "nothing, unless the file was missing before. The same holds for an `@file` of names; "
	    "while one is missing, lines with it reject everybody it might name, and while the "
	    "ident file is missing, lines with `map=` reject whom they match.\n"
	    "\n"
	    "- `auth_file`: `\"name\" \"secret\"`, one user to a line; a quote inside is written "
	    "twice. A line that begins with `;` is a comment, and so is what stands behind the "
	    "secret. The secret is the password, `md5` and 32 digits, or `SCRAM-SHA-256$...`, as "
	    "in "
	    "`pg_authid.rolpassword`. Reading ends at the first broken line; the users before it "
	    "count.\n"
	    "- `auth_hba_file`: as PostgreSQL's `pg_hba.conf`. Types are `local`, `host`, "
	    "`hostssl` and `hostnossl`; databases and users are names, lists, `@file`, `all`, for "
	    "databases also `sameuser` and `replication`; addresses are `all`, `address/bits`, or "
	    "address and mask; methods are `trust`, `reject`, `md5`, `password`, `scram-sha-256`, "
	    "`peer` and `cert`; the one option is `map=`. No host names, no groups, no patterns. "
	    "A line that is not understood is skipped, one that says `reject` too. One that says "
	    "`ldap` rejects whom it matches.\n"
	    "- `auth_ident_file`: as PostgreSQL's `pg_ident.conf`, without patterns and groups.\n");
}

void pw_conf_describe_docs(struct pw_strbuf *out)
{
	pw_strbuf_add_string(
	    out,
	    "# Configuration\n"
	    "\n"
	    "This page is printed by `pgweir --describe=config`; change the tables in the source, "
	    "not "
	    "the page.\n"
	    "\n"
	    "## The file\n"
	    "\n"
	    "- The sections are `[pgweir]` (or `[pgbouncer]`, the same), `[databases]`, "
	    "`[users]`, `[peers]`, `[clusters]` and `[nodes]`. The first one must be there. A "
	    "section may be opened "
	    "again; opening the main section again sets it back to the defaults first.\n"
	    "- `key = value`, one to a line. The value is the rest of the line without the "
	    "blanks around it. A key with other characters than letters, digits and `_.-*` "
	    "(and a port behind them, `db1:5432`) stands in single quotes.\n"
	    "- A line that begins with `;` or `#` is a comment. There are none behind a "
	    "value.\n"
	    "- `%include FILE` reads another file in its place, at most 10 deep; a relative "
	    "path starts at the working directory.\n"
	    "- Whole numbers may be written as C writes them (`0777`, `0x10`). Times are "
	    "seconds; in the main section they may have a fraction (`0.5`). Where a unit is "
	    "asked for, it must be there: `us`, `ms`, `s`, `min`, `h`, `d`; `B`, `kB`, `MB`, "
	    "`GB`, `TB`.\n"
	    "- All that is wrong with the file is reported at once, and then nothing of it is "
	    "used. Certificates and keys that it names count as part of it; the files of users "
	    "and rules do not, see below.\n"
	    "\n"
	    "A reload reads the file again. Settings marked *restart* keep their value until "
	    "then. A setting whose default is *none* keeps its value when its line is "
	    "removed.\n"
	    "\n"
	    "## Settings\n"
	    "\n");
	add_setting_rows(out);
	pw_strbuf_add_string(
	    out, "\n## [databases]\n"
		 "\n"
		 "`NAME = key=value key='value with space'`; two single quotes inside quotes are "
		 "one, and only spaces separate pairs. The name `*` stands for every database that "
		 "has no entry. Names have at most 63 bytes; `pgbouncer` is the console.\n"
		 "\n");
	add_key_rows(&pw_conf_db_keys, out);
	pw_strbuf_add_string(out,
			     "\n## [users]\n"
			     "\n"
			     "`NAME = key=value ...`; names have at most 127 bytes. What is set "
			     "here goes before the database's and the general setting.\n"
			     "\n");
	add_key_rows(&pw_conf_user_keys, out);
	pw_strbuf_add_string(
	    out, "\n## [peers]\n"
		 "\n"
		 "`ID = key=value ...`; ids are numbers from 1 to 65535. Entries are read and "
		 "checked; this version does not forward cancel requests to them.\n"
		 "\n");
	add_key_rows(&pw_conf_peer_keys, out);
	pw_strbuf_add_string(
	    out,
	    "\n## [clusters]\n"
	    "\n"
	    "`NAME = nodes='host:port host:port' key=value ...`: the servers of one PostgreSQL "
	    "system, at most 16. Which of them is the primary is found out (REPLICAS.md).\n"
	    "\n");
	add_key_rows(&pw_conf_cluster_keys, out);
	pw_strbuf_add_string(
	    out, "\n## [nodes]\n"
		 "\n"
		 "`host:port = key=value ...`: holds wherever a cluster names the node.\n"
		 "\n");
	add_key_rows(&pw_conf_node_keys, out);
	add_files_of_users(out);
}

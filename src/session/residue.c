/* SPDX-License-Identifier: PostgreSQL
 *
 * The query is a chain of SELECTs with three columns of text: what a row is about ('s' a setting,
 * 'p' one that who logged in may not set, 'o' an object, 'l' a channel, 'c' what the code makes of
 * a use of tables, 'f' a function of it that is opaque), a name, a value.
 */
#include "config.h"

#include "pgweir/session/residue.h"

#include <string.h>

#include "pgweir/base/status.h"
#include "pgweir/pool/catalog.h"
#include "pgweir/pool/code.h"
#include "pgweir/proto/reader.h"
#include "pgweir/session/sync.h"

/* ---- objects ---- */

struct object_row {
	unsigned effect;
	const char *name; /* in the answer */
	const char *condition;
};

static const struct object_row objects[] = {
    /* Toast tables and the like go with what they belong to. */
    {PW_EFFECT_TEMP, "temp",
     "EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.refclassid" PW_OP("=")
	 PW_CLASS("pg_namespace") " AND d.refobjid" PW_OP("=") "pg_catalog.pg_my_temp_schema())"},
    {PW_EFFECT_HOLD, "hold", "EXISTS (SELECT FROM pg_catalog.pg_cursors WHERE is_holdable)"},
    {PW_EFFECT_LOCKS, "locks",
     "EXISTS (SELECT FROM pg_catalog.pg_locks WHERE locktype" PW_OP("=") "'advisory' AND pid" PW_OP(
	 "=") "pg_catalog.pg_backend_pid())"},
    {PW_EFFECT_PREPARED, "prepared",
     "EXISTS (SELECT FROM pg_catalog.pg_prepared_statements WHERE from_sql)"},
};

static const char channels[] =
    "SELECT 'l'::pg_catalog.text, c, NULL FROM pg_catalog.pg_listening_channels() AS c";

/* ---- asking ---- */

static bool is_dotted(const char *name)
{
	return strchr(name, '.') != NULL;
}

/* Not among pg_settings, nor do they go back with RESET ALL. */
static bool is_identity(const char *name)
{
	return strcmp(name, "role") == 0 || strcmp(name, "session_authorization") == 0;
}

static bool is_reported(const struct pw_residue_context *context, const char *name)
{
	return pw_params_find_reported(context->tracked, context->reported, name) >= 0;
}

/* A setting of the transaction at hand is nobody's state. */
static bool is_of_transaction(const char *name)
{
	return strncmp(name, "transaction_", 12) == 0;
}

/* Has it been somebody else, be it for the transaction alone? */
static bool may_be_another(const struct pw_effects *effects,
			   const struct pw_residue_context *context)
{
	static const char *const identity[] = {"role", "session_authorization"};

	for (size_t i = 0; i < PW_COUNTOF(identity); i++) {
		if (pw_effects_name(effects, identity[i]) ||
		    pw_state_find(context->settings, identity[i]))
			return true;
	}
	return effects->flags & PW_EFFECT_PARSES;
}

/* Some names with a dot are of libraries, which let superusers alone set them. */
static bool may_need_rights(const struct pw_effects *effects,
			    const struct pw_residue_context *context, const char *name)
{
	bool is_new = is_dotted(name) && !pw_state_find(context->settings, name);

	return (is_new || strcmp(name, "temp_tablespaces") == 0) &&
	       may_be_another(effects, context);
}

/* GUC_SUPERUSER_ONLY, of those that can be set in a session (guc_tables.c of PostgreSQL 15 to 18).
 */
bool pw_residue_may_hide(const struct pw_effects *effects, const struct pw_residue_context *context)
{
	static const char *const hidden[] = {"dynamic_library_path", "extension_control_path",
					     "session_preload_libraries"};
	bool result = false;

	for (size_t i = 0; i < PW_COUNTOF(hidden); i++)
		result |= pw_effects_name(effects, hidden[i]);
	return result && may_be_another(effects, context);
}

/* Can it be asked for by itself? Else the value alone does not tell whether it is set at all. */
static bool is_simple(const struct pw_residue_context *context, const char *name, bool may_reset)
{
	return is_dotted(name) || is_identity(name) || is_reported(context, name) ||
	       is_of_transaction(name) || (!may_reset && pw_state_find(context->settings, name));
}

static enum pw_residue_scope choose_scope(const struct pw_effects *effects,
					  const struct pw_residue_context *context)
{
	const struct pw_strbuf *names = &effects->names;
	enum pw_residue_scope scope = PW_RESIDUE_NO_SETTINGS;

	if (effects->flags & (PW_EFFECT_SETTINGS | PW_EFFECT_RESET_ALL))
		return PW_RESIDUE_ALL;
	if (!(effects->flags & PW_EFFECT_NAMED))
		return PW_RESIDUE_NO_SETTINGS;
	if (context->has_foreign)
		return PW_RESIDUE_ALL;
	for (size_t at = 0; at < names->len; at += strlen(names->data + at) + 1) {
		const char *name = names->data + at;

		if (!is_simple(context, name, effects->flags & PW_EFFECT_RESET) ||
		    may_need_rights(effects, context, name))
			return PW_RESIDUE_ALL;
		if (!is_reported(context, name) && !is_of_transaction(name))
			scope = PW_RESIDUE_NAMED;
	}
	return scope;
}

static void begin_select(struct pw_strbuf *sql, bool *is_first)
{
	pw_strbuf_add_string(sql, *is_first ? "" : " UNION ALL ");
	*is_first = false;
}

static void ask_setting(struct pw_strbuf *sql, const char *name, bool *is_first)
{
	begin_select(sql, is_first);
	pw_strbuf_add_string(sql, "SELECT 's'::pg_catalog.text, ");
	pw_sync_add_quoted(sql, name);
	pw_strbuf_add_string(sql, "::pg_catalog.text, pg_catalog.current_setting(");
	pw_sync_add_quoted(sql, name);
	pw_strbuf_add_string(sql, ", true)");
}

static void ask_names(struct pw_strbuf *sql, const struct pw_strbuf *names,
		      const struct pw_residue_context *context, bool *is_first)
{
	for (size_t at = 0; at < names->len; at += strlen(names->data + at) + 1) {
		const char *name = names->data + at;

		if (!is_reported(context, name) && !is_of_transaction(name))
			ask_setting(sql, name, is_first);
	}
}

/* The next connection is brought to all settings by who logged in there. */
#define WHO_LOGGED_IN                                                                              \
	"(SELECT usesysid FROM pg_catalog.pg_stat_get_activity(pg_catalog.pg_backend_pid()))"
#define MAY_SET "pg_catalog.has_parameter_privilege(" WHO_LOGGED_IN ", name, 'SET')"
#define MAY_SET_EVER                                                                               \
	"EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.rolsuper AND r.oid" PW_OP("=")          \
	    WHO_LOGGED_IN ")"
/* clang-format off */
static const char of_tablespaces[] =
    "SELECT 'p'::pg_catalog.text, name, setting FROM pg_catalog.pg_settings"
    " WHERE name" PW_OP("=") "'temp_tablespaces' AND source" PW_OP("=") "'session'"
    " AND EXISTS (SELECT FROM pg_catalog.pg_tablespace t"
    " WHERE pg_catalog.strpos(setting, t.spcname::pg_catalog.text)" PW_OP(">") "0"
    " AND NOT pg_catalog.has_tablespace_privilege(" WHO_LOGGED_IN ", t.oid, 'CREATE')"
    " AND t.oid" PW_OP("<>") "(SELECT b.dattablespace FROM pg_catalog.pg_database b"
    " WHERE b.datname" PW_OP("=") "pg_catalog.current_database()))";
/* clang-format on */

/* The cost of reading a table may be infinite under the session's settings (enable_seqscan = off),
 * which would make the server compile the query: half a second, each time. So it comes behind what
 * every question holds, after a statement that forbids it. */
static void ask_tablespaces(struct pw_strbuf *sql)
{
	pw_strbuf_add_char(sql, ';');
	pw_code_add_peace(sql);
	pw_strbuf_add_string(sql, of_tablespaces);
}

static bool may_set_tablespaces(const struct pw_effects *effects,
				const struct pw_residue_context *context)
{
	static const char name[] = "temp_tablespaces";

	return effects->flags & PW_EFFECT_SETTINGS || context->has_foreign ||
	       pw_effects_name(effects, name) || pw_state_find(context->settings, name);
}

static void ask_all_settings(struct pw_strbuf *sql, const struct pw_effects *effects,
			     const struct pw_residue_context *context, bool *is_first)
{
	begin_select(sql, is_first);
	pw_strbuf_printf(sql,
			 "SELECT CASE WHEN context" PW_OP(
			     "=") "'superuser' AND NOT %s "
				  "THEN 'p'::pg_catalog.text ELSE 's' END, pg_catalog.lower(name), "
				  "pg_catalog.current_setting(name, true) "
				  "FROM pg_catalog.pg_settings WHERE source" PW_OP("=") "'session'",
			 context->server_version >= 15 ? MAY_SET : MAY_SET_EVER);
	ask_setting(sql, "role", is_first);
	ask_setting(sql, "session_authorization", is_first);
	for (unsigned i = 0; i < context->settings->n; i++) {
		if (is_dotted(context->settings->settings[i].name))
			ask_setting(sql, context->settings->settings[i].name, is_first);
	}
	if (context->dotted)
		ask_names(sql, context->dotted, context, is_first);
	for (size_t at = 0; at < effects->names.len; at += strlen(effects->names.data + at) + 1) {
		if (is_dotted(effects->names.data + at))
			ask_setting(sql, effects->names.data + at, is_first);
	}
}

static bool may_be_deferred(const struct pw_effects *effects,
			    const struct pw_residue_context *context)
{
	return effects->flags & PW_EFFECT_SETTINGS ||
	       pw_effects_name(effects, PW_SYNC_DEFERRABLE) ||
	       pw_state_find(context->settings, PW_SYNC_DEFERRABLE);
}

bool pw_residue_ask(struct pw_residue *residue, const struct pw_effects *effects, bool with_code,
		    const struct pw_residue_context *context, struct pw_strbuf *sql)
{
	bool is_first = true;

	memset(residue, 0, sizeof(*residue));
	residue->scope = choose_scope(effects, context);
	residue->objects = effects->flags & PW_EFFECTS_OF_OBJECTS;
	if (residue->scope == PW_RESIDUE_ALL)
		residue->objects |= PW_EFFECT_RIGHTS;
	if (residue->scope == PW_RESIDUE_NO_SETTINGS && residue->objects == 0 && !with_code)
		return false;
	if (may_be_deferred(effects, context))
		pw_strbuf_add_string(sql, PW_SYNC_UNDEFERRED);
	if (residue->scope == PW_RESIDUE_ALL)
		ask_all_settings(sql, effects, context, &is_first);
	else if (residue->scope == PW_RESIDUE_NAMED)
		ask_names(sql, &effects->names, context, &is_first);
	for (size_t i = 0; i < PW_COUNTOF(objects); i++) {
		if (!(residue->objects & objects[i].effect))
			continue;
		begin_select(sql, &is_first);
		pw_strbuf_printf(sql, "SELECT 'o'::pg_catalog.text, '%s', NULL WHERE %s",
				 objects[i].name, objects[i].condition);
	}
	if (residue->objects & PW_EFFECT_LISTENS) {
		begin_select(sql, &is_first);
		pw_strbuf_add_string(sql, channels);
	}
	/* Behind the settings: it changes one for itself. */
	if (with_code) {
		pw_strbuf_add_string(sql, is_first ? "" : ";");
		pw_code_add_settings(sql, context->server_version);
	}
	if (residue->scope == PW_RESIDUE_ALL && may_set_tablespaces(effects, context))
		ask_tablespaces(sql);
	return true;
}

/* ---- hearing ---- */

void pw_residue_take(struct pw_residue *residue, const void *data, size_t len)
{
	if (residue->rows.len + len > PW_RESIDUE_BYTES_MAX)
		residue->has_failed = true;
	else
		pw_strbuf_add(&residue->rows, data, len);
}

void pw_residue_fini(struct pw_residue *residue)
{
	pw_strbuf_wipe(&residue->rows); /* settings may hold secrets */
}

/* The three columns; NULL for none. They end where the next length begins, so they are copied. */
struct row {
	struct pw_strbuf text;
	const char *kind, *name, *value;
};

static bool read_row(struct pw_cursor *body, struct row *row)
{
	const char **columns[] = {&row->kind, &row->name, &row->value};
	size_t offsets[3];
	bool is_null[3];

	pw_strbuf_reset(&row->text);
	if (pw_cursor_u16(body) != 3)
		return false;
	for (size_t i = 0; i < 3; i++) {
		uint32_t len = pw_cursor_u32(body);
		const uint8_t *data;

		is_null[i] = len == UINT32_MAX;
		offsets[i] = row->text.len;
		if (is_null[i])
			continue;
		data = pw_cursor_bytes(body, len);
		if (!data)
			return false;
		pw_strbuf_add(&row->text, data, len);
		pw_strbuf_add_char(&row->text, '\0');
	}
	for (size_t i = 0; i < 3; i++)
		*columns[i] = is_null[i] ? NULL : row->text.data + offsets[i];
	return !body->has_failed && !row->text.has_failed && row->kind && row->name;
}

static bool replace_settings(struct pw_residue_found *found, const char *name, const char *value)
{
	struct pw_state *changed = pw_state_with(found->settings, name, value);

	if (!changed)
		return false;
	pw_state_unref(found->settings);
	found->settings = changed;
	return true;
}

/* Has the session had it, or does what it did name it? */
static bool is_own(const struct pw_residue_context *context, const char *name)
{
	return pw_state_find(context->settings, name) ||
	       (context->effects && pw_effects_name(context->effects, name));
}

static bool take_setting(const struct pw_residue_context *context, struct pw_residue_found *found,
			 const struct row *row)
{
	const char *value = row->value;
	int index = pw_params_find_reported(context->tracked, context->reported, row->name);

	if (index >= 0)
		found->reported |= 1u << index;
	if (index >= 0 || is_of_transaction(row->name))
		return true;
	if (!value)
		return !is_dotted(row->name) || pw_state_find(found->settings, row->name) == NULL ||
		       replace_settings(found, row->name, "");
	/* Empty: somebody else's, who had this server before. */
	if (value[0] == '\0' && is_dotted(row->name) && !is_own(context, row->name))
		return true;
	/* Unless it began with one: without a role is something that it was set to, then. */
	if (strcmp(row->name, "role") == 0 && strcmp(value, "none") == 0 &&
	    !(context->initial && pw_state_find(context->initial, "role")))
		value = NULL;
	if (strcmp(row->name, "session_authorization") == 0 && strcmp(value, context->user) == 0)
		value = NULL;
	return replace_settings(found, row->name, value);
}

/* A use, and what it may leave. */
static bool is_opaque_use(const struct pw_residue_context *context, const char *letters)
{
	int use = pw_code_use_of(letters[0]);

	return use >= 0 && strchr(letters + 1, 'o') && context->effects &&
	       pw_effects_use(context->effects, (enum pw_code_use)use);
}

static bool may_call(const struct pw_residue_context *context, const char *name)
{
	return context->effects && pw_effects_call(context->effects, name);
}

static bool take_row(const struct pw_residue_context *context, struct pw_residue_found *found,
		     const struct row *row)
{
	switch (row->kind[0]) {
	case 'p':
		found->objects |= PW_EFFECT_RIGHTS;
		return take_setting(context, found, row);
	case 's':
		return take_setting(context, found, row);
	case 'c':
		found->is_opaque |= is_opaque_use(context, row->name);
		return true;
	case 'f':
		found->is_opaque |= may_call(context, row->name);
		return true;
	case 'l':
		found->objects |= PW_EFFECT_LISTENS;
		pw_channels_add(&found->channels, row->name);
		return true;
	case 'o':
		for (size_t i = 0; i < PW_COUNTOF(objects); i++) {
			if (strcmp(row->name, objects[i].name) == 0)
				found->objects |= objects[i].effect;
		}
		return true;
	default:
		return false;
	}
}

/* What the answer does not speak of: where all were asked for, only names with a dot stay. */
static struct pw_state *settings_to_begin_with(const struct pw_residue *residue,
					       const struct pw_residue_context *context)
{
	const struct pw_state *before = context->settings;
	struct pw_residue_found kept = {.settings = pw_state_empty(before->states)};
	bool ok = kept.settings != NULL;

	for (unsigned i = 0; ok && i < before->n; i++) {
		const struct pw_setting *setting = &before->settings[i];

		if (residue->scope != PW_RESIDUE_ALL || is_dotted(setting->name))
			ok = replace_settings(&kept, setting->name, setting->value);
	}
	if (ok)
		return kept.settings;
	pw_state_unref(kept.settings);
	return NULL;
}

static enum pw_status read_rows(const struct pw_residue *residue,
				const struct pw_residue_context *context,
				struct pw_residue_found *found)
{
	struct pw_cursor all = pw_cursor(residue->rows.data, residue->rows.len);
	struct row row = {.text = PW_STRBUF_INIT};
	enum pw_status status = PW_OK;

	while (pw_cursor_left(&all) > 0 && status == PW_OK) {
		uint8_t type = pw_cursor_u8(&all);
		uint32_t len = pw_cursor_u32(&all);
		const uint8_t *data = len >= 4 ? pw_cursor_bytes(&all, len - 4) : NULL;
		struct pw_cursor body = pw_cursor(data, data ? len - 4 : 0);

		if (type != 'D' || !data || !read_row(&body, &row))
			status = PW_EPROTO;
		else if (!take_row(context, found, &row))
			status = PW_ENOMEM;
	}
	pw_strbuf_wipe(&row.text);
	return status;
}

enum pw_status pw_residue_find(const struct pw_residue *residue,
			       const struct pw_residue_context *context,
			       struct pw_residue_found *found)
{
	enum pw_status status;

	memset(found, 0, sizeof(*found));
	if (residue->has_failed || residue->rows.has_failed)
		return PW_EPROTO;
	found->settings = settings_to_begin_with(residue, context);
	if (!found->settings)
		return PW_ENOMEM;
	status = read_rows(residue, context, found);
	if (status == PW_OK)
		return PW_OK;
	pw_state_unref(found->settings);
	pw_channels_fini(&found->channels);
	return status;
}

/* SPDX-License-Identifier: PostgreSQL
 *
 * A client whose start-up packet asked for settings goes back to these with RESET, while its server
 * goes back to its own defaults. What makes it true is sent behind the message, or behind the Sync.
 * So what comes between would run under the wrong settings: that is refused.
 */
#include "config.h"

#include <string.h>

#include "client_priv.h"
#include "names_priv.h"
#include "pgweir/pool/catalog.h"
#include "pgweir/proto/writer.h"
#include "pgweir/session/sync.h"
#include "plan_priv.h"

/* ---- refusing ---- */

/* The server fails the message, and with it the transaction; the error is worded here. */
static bool send_failing(struct pw_client *c, const struct pw_piece *piece,
			 const struct pw_expect *entry, struct pw_strbuf *out)
{
	c->is_dropping = !piece->is_last;
	if (pw_plan_expect(c, entry->role, entry->flags | PW_EXPECT_REFUSED, NULL, NULL))
		return pw_plan_send(c, out);
	pw_strbuf_fini(out);
	return false;
}

bool pw_resets_fail_query(struct pw_client *c, const struct pw_piece *piece, unsigned flags)
{
	const struct pw_expect entry = {.role = PW_ROLE_QUERY, .flags = flags};
	struct pw_strbuf out = PW_STRBUF_INIT;

	/* No SQL: what a server's log has of it. */
	pw_write_query(&out, "pgweir refuses a RESET ahead of other statements");
	return send_failing(c, piece, &entry, &out);
}

bool pw_resets_fail_batch(struct pw_client *c, const struct pw_piece *piece)
{
	const struct pw_expect entry = {.role = PW_ROLE_BIND};
	static const char body[] = "\0pgweir_reset_ahead_of_others\0\0\0\0\0\0"; /* and its zero */
	struct pw_strbuf out = PW_STRBUF_INIT;

	pw_write_message(&out, 'B', body, sizeof(body));
	return send_failing(c, piece, &entry, &out);
}

static const char refusal[] =
    "SERROR\0VERROR\0C" PW_SQLSTATE_FEATURE_NOT_SUPPORTED
    "\0MRESET must be the last statement of its message or pipeline\0"
    "DThe start-up packet asked for settings. What follows a RESET, SET TO DEFAULT, DISCARD ALL or "
    "set_config() to NULL in the same message or pipeline would run under the server's defaults.\0"
    "HSend it as a message of its own, or set session_state to off.\0";

bool pw_resets_word_error(struct pw_client *c, const struct pw_piece *piece,
			  const struct pw_expect *about)
{
	struct pw_strbuf out = PW_STRBUF_INIT;
	struct pw_error_fields fields;

	if (!about || !(about->flags & PW_EXPECT_REFUSED) || about->object || !piece->is_first ||
	    !piece->is_last)
		return false;
	pw_parse_error_fields(piece->data + PW_HEADER_SIZE, piece->len - PW_HEADER_SIZE, &fields);
	if (strcmp(fields.sqlstate, PW_SQLSTATE_SYNTAX_ERROR) != 0 &&
	    strcmp(fields.sqlstate, PW_SQLSTATE_INVALID_STATEMENT_NAME) != 0)
		return false;
	pw_write_message(&out, 'E', refusal, sizeof(refusal));
	if (!out.has_failed)
		pw_batch_copy(pw_relay_to_client(c), out.data, out.len);
	pw_strbuf_fini(&out);
	return true;
}

/* ---- restoring ---- */

/* One row of a name and a value. */
static void add_initial(struct pw_strbuf *sql, const char *name, const char *value, bool *is_first)
{
	pw_strbuf_add_string(sql, *is_first ? "SELECT " : " UNION ALL SELECT ");
	*is_first = false;
	pw_sync_add_quoted(sql, name);
	pw_strbuf_add_string(sql, "::pg_catalog.text, ");
	pw_sync_add_quoted(sql, value);
	pw_strbuf_add_string(sql, "::pg_catalog.text");
}

/* Names with a dot are listed nowhere, and empty after a RESET. */
static void add_initial_dotted(struct pw_strbuf *sql, const struct pw_state *initial,
			       const char *is_local)
{
	for (unsigned i = 0; i < initial->n; i++) {
		const struct pw_setting *setting = &initial->settings[i];

		if (!strchr(setting->name, '.'))
			continue;
		pw_strbuf_add_string(sql, ";SELECT pg_catalog.set_config(");
		pw_sync_add_quoted(sql, setting->name);
		pw_strbuf_add_string(sql, ", ");
		pw_sync_add_quoted(sql, setting->value);
		pw_strbuf_printf(sql, ", %s) WHERE pg_catalog.current_setting(", is_local);
		pw_sync_add_quoted(sql, setting->name);
		pw_strbuf_add_string(sql, ", true)" PW_OP("=") "''");
	}
}

/* Nor is the role listed, which goes back by its own name alone. */
static void add_initial_role(struct pw_strbuf *sql, const struct pw_state *initial,
			     const char *is_local)
{
	const char *role = pw_state_find(initial, "role");

	if (!role)
		return;
	pw_strbuf_add_string(sql, ";SELECT pg_catalog.set_config('role', ");
	pw_sync_add_quoted(sql, role);
	pw_strbuf_printf(sql, ", %s) WHERE pg_catalog.current_setting('role')" PW_OP("=") "'none'",
			 is_local);
}

static void build_restoring(const struct pw_client *c, struct pw_strbuf *sql)
{
	const struct pw_client_session *s = c->session;
	const char *is_local = s->resets.are_local ? "true" : "false";
	bool is_first = true;

	pw_strbuf_printf(sql, "SELECT pg_catalog.set_config(i.name, i.value, %s) FROM (", is_local);
	for (unsigned i = 0; s->initial_params && i < s->initial_params->n; i++) {
		if (s->initial_params->values[i])
			add_initial(sql, c->clients->tracked->names[i],
				    s->initial_params->values[i], &is_first);
	}
	for (unsigned i = 0; i < s->initial->n; i++)
		add_initial(sql, s->initial->settings[i].name, s->initial->settings[i].value,
			    &is_first);
	pw_strbuf_add_string(
	    sql, ") AS i(name, value), pg_catalog.pg_settings s WHERE "
		 "pg_catalog.lower(s.name)" PW_OP("=") "pg_catalog.lower(i.name)"
						       " AND s.source" PW_OP("<>") "'session'");
	if (s->resets.of_dotted)
		add_initial_dotted(sql, s->initial, is_local);
	if (s->resets.of_role)
		add_initial_role(sql, s->initial, is_local);
}

/* The client learns of its end: a driver must know what it has before it goes on. */
bool pw_session_restore(struct pw_client *c)
{
	const struct pw_expect entry = {.role = PW_ROLE_QUERY,
					.flags = PW_EXPECT_SWALLOW | PW_EXPECT_ENDS};
	struct pw_strbuf sql = PW_STRBUF_INIT, out = PW_STRBUF_INIT;

	build_restoring(c, &sql);
	pw_write_query(&out, sql.data ? sql.data : "");
	out.has_failed |= sql.has_failed;
	pw_strbuf_wipe(&sql);
	if (!out.has_failed && pw_link_expect(c->loan.link, &entry) == PW_OK)
		return pw_plan_send(c, &out);
	pw_strbuf_fini(&out);
	return pw_relay_out_of_memory(c);
}

/* SPDX-License-Identifier: PostgreSQL
 *
 * The settings that are pgweir's own where reads are split off: a value that nobody here
 * understands is refused. A server knows nothing of them, and would take anything. So it is sent a
 * setting of its own in their place, with a value that this one can never have: then it is the
 * server that refuses, in its words, and all that follows from an error is its doing. Its error is
 * given the right names on its way to the client. What a standby refuses as such gets a hint.
 */
#include "config.h"

#include <string.h>

#include "pgweir/base/sqlstate.h"
#include "pgweir/cluster/token.h"
#include "pgweir/proto/writer.h"
#include "route_priv.h"

/* ---- what there is ---- */

static bool is_token(const char *value)
{
	uint32_t timeline;
	uint64_t lsn;

	return pw_token_parse(value, &timeline, &lsn);
}

static bool is_route(const char *value)
{
	return strcmp(value, "primary") == 0 || strcmp(value, "replica") == 0;
}

static const struct own_setting {
	const char *name;
	const char *mark; /* ahead of a value that a server is to refuse */
	bool (*accepts)(const char *value);
	const char *hint;
} own[] = {
    {"pgweir.lsn", "pgweir.lsn: ", is_token,
     "It is a timeline and a position, as SHOW pgweir.lsn gives them: 1:0/16B3748."},
    {"pgweir.route", "pgweir.route: ", is_route, "Available values: primary, replica."},
};

/* An enumeration that anybody may set, and that no statement is parsed under. */
static const char stand_in[] = "bytea_output";

/* NULL: the setting is none of these, or is taken so; empty is as if it were not set. */
static const struct own_setting *refused(const char *name, const char *value)
{
	for (size_t i = 0; i < PW_COUNTOF(own); i++) {
		if (strcmp(name, own[i].name) == 0)
			return value[0] == '\0' || own[i].accepts(value) ? NULL : &own[i];
	}
	return NULL;
}

/* ---- statements ---- */

size_t pw_route_refuse(struct pw_strbuf *out, const char *text, size_t from,
		       const struct pw_set *set)
{
	const struct own_setting *setting = set->is_default ? NULL : refused(set->name, set->value);
	const char *quote = set->is_quoted ? "" : "'";

	if (!setting)
		return from;
	pw_strbuf_add(out, text + from, set->at.begin - from);
	pw_strbuf_add_string(out, stand_in);
	pw_strbuf_add(out, text + set->at.end, set->inside.begin - set->at.end);
	pw_strbuf_add_string(out, quote);
	pw_strbuf_add_string(out, setting->mark);
	pw_strbuf_add(out, text + set->inside.begin, set->stands.end - set->inside.begin);
	pw_strbuf_add_string(out, quote);
	return set->stands.end;
}

/* ---- errors ---- */

/* Is the error about that? */
static const struct own_setting *spoken_of(const struct pw_error_fields *fields)
{
	const char *at = strstr(fields->message, stand_in);

	if (!at || strcmp(fields->sqlstate, PW_SQLSTATE_INVALID_PARAMETER) != 0)
		return NULL;
	for (size_t i = 0; i < PW_COUNTOF(own); i++) {
		if (strstr(at, own[i].mark))
			return &own[i];
	}
	return NULL;
}

static void add_message(struct pw_strbuf *out, const char *message,
			const struct own_setting *setting)
{
	const char *name = strstr(message, stand_in);
	const char *mark = name ? strstr(name, setting->mark) : NULL;

	if (!mark) {
		pw_strbuf_add(out, message, strlen(message) + 1);
		return;
	}
	pw_strbuf_add(out, message, (size_t)(name - message));
	pw_strbuf_add_string(out, setting->name);
	name += strlen(stand_in);
	pw_strbuf_add(out, name, (size_t)(mark - name));
	pw_strbuf_add_string(out, mark + strlen(setting->mark));
	pw_strbuf_add_char(out, '\0');
}

/* The fields of an error, of which `hint` is the last, in place of any that there is. */
static void add_worded(struct pw_strbuf *out, const struct pw_piece *piece,
		       const struct own_setting *setting, const char *hint)
{
	struct pw_cursor body = pw_piece_body(piece);
	size_t begin = pw_writer_begin(out, 'E');
	uint8_t code;

	while ((code = pw_cursor_u8(&body)) != 0 && !body.has_failed) {
		const char *value = pw_cursor_string(&body);

		if (code == 'H')
			continue;
		pw_strbuf_add_char(out, (char)code);
		if (code == 'M' && setting)
			add_message(out, value, setting);
		else
			pw_strbuf_add(out, value, strlen(value) + 1);
	}
	pw_strbuf_add_char(out, 'H');
	pw_strbuf_add(out, hint, strlen(hint) + 1);
	pw_strbuf_add_char(out, '\0');
	pw_writer_end(out, begin);
}

/* Would the primary have done it? In English, or there is no hint. */
static bool is_for_standby(const struct pw_client *c, const struct pw_error_fields *fields)
{
	const char *code = fields->sqlstate;

	return pw_route_is_apart(c) &&
	       (strcmp(code, PW_SQLSTATE_READ_ONLY_TRANSACTION) == 0 ||
		strcmp(code, PW_SQLSTATE_FEATURE_NOT_SUPPORTED) == 0 ||
		strcmp(code, PW_SQLSTATE_OBJECT_NOT_IN_STATE) == 0) &&
	       (strstr(fields->message, "during recovery") ||
		strstr(fields->message, "recovery is in progress") ||
		strstr(fields->message, "hot standby"));
}

struct pw_piece pw_route_word(const struct pw_client *c, const struct pw_piece *piece,
			      struct pw_strbuf *out)
{
	struct pw_piece result = *piece;
	const struct own_setting *setting;
	struct pw_error_fields fields;

	if (!piece->is_first || !piece->is_last)
		return result;
	pw_parse_error_fields(piece->data + PW_HEADER_SIZE, piece->len - PW_HEADER_SIZE, &fields);
	setting = spoken_of(&fields);
	if (setting)
		add_worded(out, piece, setting, setting->hint);
	else if (is_for_standby(c, &fields))
		add_worded(out, piece, NULL,
			   "The transaction runs on a replica. Begun with /* pgweir: primary */ "
			   "ahead of BEGIN it runs on the primary.");
	else
		return result;
	return out->has_failed ? result : pw_route_piece_of(piece->type, out);
}

/* ---- the start-up packet ---- */

bool pw_route_refuses_settings(const struct pw_client *c, struct pw_error *err)
{
	if (!pw_route_is_split(c))
		return false;
	for (unsigned i = 0; i < c->settings->n; i++) {
		const struct pw_setting *given = &c->settings->settings[i];
		const struct own_setting *setting = refused(given->name, given->value);

		if (!setting)
			continue;
		pw_error_set(err, PW_SQLSTATE_INVALID_PARAMETER,
			     "invalid value for parameter \"%s\": \"%s\"", given->name,
			     given->value);
		pw_error_hint(err, "%s", setting->hint);
		return true;
	}
	return false;
}

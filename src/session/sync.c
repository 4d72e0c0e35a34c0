/* SPDX-License-Identifier: PostgreSQL
 *
 * Values come from start-up packets, so they are hostile text. Quotes are doubled; a value with a
 * backslash is written as E'...', which means the same whatever standard_conforming_strings says.
 * In SJIS, BIG5 and the like the second byte of a character can be a backslash: such a value (a
 * backslash together with bytes above 127) has those bytes replaced, so that no byte of it can
 * pair with one of ours.
 */
#include "config.h"

#include "pgweir/session/sync.h"

#include <string.h>
#include <strings.h>

#include "pgweir/base/status.h"
#include "pgweir/sql/lexer.h"

static bool values_equal(const char *have, const char *wanted)
{
	return have && strcmp(have, wanted) == 0;
}

/* `is_clear`: no byte above 127 can pair with one of ours. */
static void add_quoted(struct pw_strbuf *sql, const char *value, bool is_clear)
{
	bool has_backslash = strchr(value, '\\') != NULL;

	pw_strbuf_add_string(sql, has_backslash ? "E'" : "'");
	for (; *value; value++) {
		char c = *value;

		if (has_backslash && !is_clear && (c & 0x80))
			c = '?';
		if (c == '\'' || c == '\\')
			pw_strbuf_add_char(sql, c);
		pw_strbuf_add_char(sql, c);
	}
	pw_strbuf_add_char(sql, '\'');
}

void pw_sync_add_quoted(struct pw_strbuf *sql, const char *value)
{
	add_quoted(sql, value, false);
}

/* As SET each value would be a statement of its own in pg_stat_statements. And set_config() takes
 * the value of a list of names as a server shows it; SET would want each element quoted by itself
 * (guc.c, GUC_LIST_QUOTE). */
static void add_setting(struct pw_strbuf *sql, const char *name, const char *value, bool is_clear)
{
	pw_strbuf_add_string(sql, "SELECT pg_catalog.set_config(");
	add_quoted(sql, name, false);
	pw_strbuf_add_string(sql, ", ");
	add_quoted(sql, value, is_clear);
	pw_strbuf_add_string(sql, ", false);");
}

/* ---- settings that the server does not report ---- */

/* "app"."tenant": a part may be a key word, or anything between quotes. */
static void add_name(struct pw_strbuf *sql, const char *name)
{
	pw_strbuf_add_char(sql, '"');
	for (const char *at = name; *at; at++) {
		if (*at == '.')
			pw_strbuf_add_string(sql, "\".\"");
		else if (*at == '"')
			pw_strbuf_add_string(sql, "\"\"");
		else
			pw_strbuf_add_char(sql, *at);
	}
	pw_strbuf_add_char(sql, '"');
}

/* Who one is decides what one may set: it goes back first and is set last, and of the two the
 * session's user comes before the role, which it takes back. */
static const char *const identity[] = {"session_authorization", "role"};

static bool is_identity(const char *name)
{
	return strcmp(name, identity[0]) == 0 || strcmp(name, identity[1]) == 0;
}

struct difference {
	struct pw_strbuf *sql;
	bool is_clear;
	const char *encoding; /* of the values; NULL = not known */
};

static bool is_ascii(const char *value)
{
	for (; *value; value++) {
		if (*value & 0x80)
			return false;
	}
	return true;
}

static bool must_be_hex(const struct difference *d, const char *value)
{
	return !d->is_clear && d->encoding && !is_ascii(value);
}

/* No byte of the value can be taken for another. */
static void add_as_hex(struct pw_strbuf *sql, const char *name, const char *value,
		       const char *encoding)
{
	pw_strbuf_add_string(sql, "SELECT pg_catalog.set_config(");
	add_quoted(sql, name, false);
	pw_strbuf_add_string(sql, ", pg_catalog.convert_from(pg_catalog.decode('");
	for (; *value; value++)
		pw_strbuf_printf(sql, "%02x", (unsigned char)*value);
	pw_strbuf_add_string(sql, "', 'hex'), ");
	add_quoted(sql, encoding, false);
	pw_strbuf_add_string(sql, "), false);");
}

static void add_difference(const char *name, const char *value, void *arg)
{
	const struct difference *d = arg;
	struct pw_strbuf *sql = d->sql;

	if (is_identity(name))
		return;
	if (value && must_be_hex(d, value)) {
		add_as_hex(sql, name, value, d->encoding);
		return;
	}
	/* An empty one is what RESET leaves; a library that knows the name may know better. */
	if (value && !(value[0] == '\0' && strchr(name, '.'))) {
		add_setting(sql, name, value, d->is_clear);
		return;
	}
	pw_strbuf_add_string(sql, "RESET ");
	add_name(sql, name);
	pw_strbuf_add_char(sql, ';');
}

static void add_identity(const struct difference *d, const struct pw_state *wanted)
{
	struct pw_strbuf *sql = d->sql;

	for (size_t i = 0; i < PW_COUNTOF(identity); i++) {
		const char *value = pw_state_find(wanted, identity[i]);

		if (!value)
			continue;
		if (must_be_hex(d, value)) {
			add_as_hex(sql, identity[i], value, d->encoding);
			continue;
		}
		pw_strbuf_printf(sql, "SET %s=", identity[i]);
		add_quoted(sql, value, d->is_clear);
		pw_strbuf_add_char(sql, ';');
	}
}

static bool has_identity(const struct pw_state *settings)
{
	return pw_state_find(settings, identity[0]) || pw_state_find(settings, identity[1]);
}

/* ---- both ---- */

static bool params_fit(const struct pw_params *have, const struct pw_params *wanted)
{
	if (!wanted || pw_params_are_equal(have, wanted))
		return true;
	for (size_t i = 0; i < wanted->n; i++) {
		if (wanted->values[i] &&
		    !values_equal(have ? have->values[i] : NULL, wanted->values[i]))
			return false;
	}
	return true;
}

bool pw_sync_fits(const struct pw_link *link, const struct pw_sync_side *wanted)
{
#ifdef PW_MUTANT_FIT_ALWAYS
	return true;
#endif
	return pw_id_equal(link->settings->id, wanted->settings->id) &&
	       params_fit(link->params, wanted->params);
}

static void add_params(const struct pw_tracked *tracked, const struct pw_params *have,
		       const struct pw_params *wanted, struct pw_strbuf *sql)
{
	for (size_t i = 0; wanted && i < wanted->n; i++) {
		if (wanted->values[i] &&
		    !values_equal(have ? have->values[i] : NULL, wanted->values[i]))
			add_setting(sql, tracked->names[i], wanted->values[i], false);
	}
}

static const char *encoding_of(const struct pw_tracked *tracked, const struct pw_params *params)
{
	int index = pw_tracked_find(tracked, "client_encoding");

	return params && index >= 0 ? params->values[index] : NULL;
}

/* The same bytes are another text in another encoding. */
static void add_equal_bytes(const struct pw_state *have, const struct pw_state *wanted,
			    struct difference *d)
{
	for (unsigned i = 0; i < wanted->n; i++) {
		const struct pw_setting *setting = &wanted->settings[i];
		const char *value = pw_state_find(have, setting->name);

		if (value && strcmp(value, setting->value) == 0 && !is_ascii(value))
			add_difference(setting->name, value, d);
	}
}

/* The batch is read in the encoding of before; what it sets is in that of the client. */
void pw_sync_build(const struct pw_tracked *tracked, const struct pw_sync_side *have,
		   const struct pw_sync_side *wanted, struct pw_strbuf *sql)
{
	bool differs = !pw_id_equal(have->settings->id, wanted->settings->id);
	const char *from = encoding_of(tracked, have->params);
	const char *to = encoding_of(tracked, wanted->params);
	bool is_same = from && to && strcmp(from, to) == 0;
	struct difference d = {sql, is_same && pw_lexer_reads(to), to};

	if (pw_state_find(have->settings, PW_SYNC_DEFERRABLE))
		pw_strbuf_add_string(sql, PW_SYNC_UNDEFERRED);
	if (differs && has_identity(have->settings))
		pw_strbuf_add_string(sql, "RESET session_authorization;RESET role;");
	add_params(tracked, have->params, wanted->params, sql);
	pw_state_diff(have->settings, wanted->settings, add_difference, &d);
	if (from && to && !is_same)
		add_equal_bytes(have->settings, wanted->settings, &d);
	if (differs)
		add_identity(&d, wanted->settings);
}

/* ---- what need not be waited for ---- */

/* How values look, how long something may take, how a plan is made. Not what decides who may do
 * what, which tables and texts are meant, what is durable or read-only. */
static bool is_harmless(const char *name)
{
	static const char *const names[] = {"application_name",
					    "bytea_output",
					    "client_min_messages",
					    "constraint_exclusion",
					    "cpu_index_tuple_cost",
					    "cpu_operator_cost",
					    "cpu_tuple_cost",
					    "cursor_tuple_fraction",
					    "datestyle",
					    "default_statistics_target",
					    "effective_cache_size",
					    "effective_io_concurrency",
					    "extra_float_digits",
					    "from_collapse_limit",
					    "hash_mem_multiplier",
					    "idle_in_transaction_session_timeout",
					    "intervalstyle",
					    "join_collapse_limit",
					    "lock_timeout",
					    "maintenance_work_mem",
					    "max_parallel_workers",
					    "max_parallel_workers_per_gather",
					    "parallel_setup_cost",
					    "parallel_tuple_cost",
					    "pgweir.lsn",
					    "pgweir.route",
					    "plan_cache_mode",
					    "random_page_cost",
					    "seq_page_cost",
					    "statement_timeout",
					    "timezone",
					    "work_mem"};

	/* With a dot they are anybody's, who may decide anything by them, but for pgweir's own. */
	if (!strchr(name, '.') &&
	    (strncasecmp(name, "enable_", 7) == 0 || strncasecmp(name, "geqo", 4) == 0 ||
	     strncasecmp(name, "jit", 3) == 0))
		return true;
	for (size_t i = 0; i < PW_COUNTOF(names); i++) {
		if (strcasecmp(names[i], name) == 0)
			return true;
	}
	return false;
}

static void note_harm(const char *name, const char *value PW_UNUSED, void *arg)
{
	*(bool *)arg &= is_harmless(name);
}

bool pw_sync_is_harmless(const struct pw_tracked *tracked, const struct pw_sync_side *have,
			 const struct pw_sync_side *wanted)
{
	/* A short one strikes the batch itself. */
	bool result = !pw_state_find(have->settings, "statement_timeout") &&
		      !pw_state_find(have->settings, "transaction_timeout");

	for (size_t i = 0; wanted->params && i < wanted->params->n; i++) {
		const char *value = wanted->params->values[i];

		if (value && !values_equal(have->params ? have->params->values[i] : NULL, value))
			result &= is_harmless(tracked->names[i]);
	}
	/* Who one is, is taken back and set anew with any difference. */
	if (!pw_id_equal(have->settings->id, wanted->settings->id))
		result &= !has_identity(have->settings) && !has_identity(wanted->settings);
	pw_state_diff(have->settings, wanted->settings, note_harm, &result);
	return result;
}

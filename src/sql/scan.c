/* SPDX-License-Identifier: PostgreSQL
 *
 * Word by word. Those behind which something matters have a row: what stands there must be written
 * out, or else it may be anything.
 */
#include "config.h"

#include "pgweir/sql/scan.h"

#include <ctype.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "pgweir/base/status.h"
#include "pgweir/sql/builtin.h"

/* Of a setting; PostgreSQL's own functions have shorter ones. */
enum { NAME_MAX_BYTES = 255 };

enum { STATEMENT_NAME_MAX = 63 };

/* So much is looked behind at a time, and so often, on an average, at each byte of the text. */
enum { GAP_MAX = 1000, GAPS_PER_BYTE = 4 };

static bool begins_name(char c)
{
	return isalpha((unsigned char)c) || c == '_' || (c & 0x80);
}

static bool continues_name(char c)
{
	return begins_name(c) || isdigit((unsigned char)c) || c == '$';
}

static bool is_ascii(const char *name, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (name[i] & 0x80)
			return false;
	}
	return true;
}

static const char *skip_name(const char *at)
{
	while (continues_name(*at))
		at++;
	return at;
}

static const char *skip_line(const char *at, const char *limit)
{
	while (at < limit && *at && *at != '\n' && *at != '\r')
		at++;
	return at;
}

static const char *skip_comment(const char *at, const char *limit)
{
	size_t depth = 0;

	do {
		bool begins = at[0] == '/' && at[1] == '*';
		bool ends = at[0] == '*' && at[1] == '/';

		depth += begins;
		depth -= ends;
		at += begins || ends ? 2 : 1;
	} while (at < limit && *at && depth > 0);
	return at;
}

/* `at` where there is neither white space nor a comment. */
static const char *skip_blank(const char *at, const char *limit)
{
	if (isspace((unsigned char)*at))
		return at + 1;
	if (at[0] == '-' && at[1] == '-')
		return skip_line(at, limit);
	return at[0] == '/' && at[1] == '*' ? skip_comment(at, limit) : at;
}

/* White space and comments. One that is longer may hide anything; and so may all, where they are
 * more than a text has whose gaps are not within each other: or else a text of nothing but
 * beginnings of comments would be read as often as it has words. */
static const char *skip_gap(struct pw_scan *scan, const char *at)
{
	size_t most = scan->gaps_left < GAP_MAX ? scan->gaps_left : GAP_MAX, skipped;
	const char *begin = at, *limit = at + most, *next;

	while (at < limit && (next = skip_blank(at, limit)) > at)
		at = next;
	skipped = (size_t)(at - begin);
	scan->gaps_left -= skipped < scan->gaps_left ? skipped : scan->gaps_left;
	if (at < limit)
		return at;
	scan->makes_names = scan->runs_made = true;
	return "";
}

/* `word` is in small letters. Most differ in the first. */
static bool is_word(const char *at, const char *end, const char *word)
{
	size_t len = (size_t)(end - at);

	return (*at | 0x20) == *word && strncasecmp(at, word, len) == 0 && word[len] == '\0';
}

/* Behind a string in which no byte can mean another, and that no other string goes on; NULL where
 * there is none. */
static const char *skip_literal(struct pw_scan *scan, const char *at)
{
	if (at[0] != '\'' || at[1] == '\'')
		return NULL;
	do {
		at++;
		at += strcspn(at, "'\\");
		if (at[0] == '\'' && at[1] == '\'')
			at++;
		else if (at[0] == '\'')
			return skip_gap(scan, at + 1);
	} while (*at == '\'');
	return NULL;
}

static bool continues_ascii_name(char c)
{
	return continues_name(c) && !(c & 0x80);
}

/* The same for one that holds a name; in a string within a string the quotes are doubled. */
static const char *skip_quoted_name(struct pw_scan *scan, const char *at)
{
	size_t quotes = strspn(at, "'");

	at += quotes;
	while (continues_ascii_name(*at) || *at == '.')
		at++;
	return quotes > 0 && strspn(at, "'") == quotes ? skip_gap(scan, at + quotes) : NULL;
}

/* ---- SET ---- */

/* One part of a name, in quotes or not; NULL where it is not written out. */
static const char *add_part(const char *at, char *name, size_t *len)
{
	bool is_quoted = *at == '"';
	const char *end = is_quoted ? at + 1 + strcspn(at + 1, "\"\\") : skip_name(at);

	at += is_quoted;
	if (end == at || *len + (size_t)(end - at) > NAME_MAX_BYTES || (is_quoted && *end != '"') ||
	    (is_quoted && end[1] == '"'))
		return NULL;
	memcpy(name + *len, at, (size_t)(end - at));
	*len += (size_t)(end - at);
	return end + is_quoted;
}

/* The first SET behind UPDATE goes on with it, where no statement ends between them. */
static bool is_of_update(struct pw_scan *scan)
{
	const char *update = scan->update;

	scan->update = NULL;
	return update && !memchr(update, ';', (size_t)(scan->word - update));
}

/* It is the only one without a dot that no server can be asked about. */
static void take_plain_name(struct pw_scan *scan, const char *name, size_t len, bool is_of_table)
{
	if (!is_of_table && len == strlen("seed") && strncasecmp(name, "seed", len) == 0)
		scan->classes |= 1u << PW_BUILTIN_SEED;
}

static void take_set(struct pw_scan *scan, const char *at)
{
	char name[NAME_MAX_BYTES + 2];
	size_t len = 0;
	bool has_dot = false, is_of_table = is_of_update(scan);

	at = skip_gap(scan, at);
	if (is_word(at, skip_name(at), "session") || is_word(at, skip_name(at), "local"))
		at = skip_gap(scan, skip_name(at));
	for (;;) {
		const char *end = add_part(at, name, &len);

		if (!end) {
			scan->makes_names |= has_dot || *at == '"';
			return;
		}
		at = skip_gap(scan, end);
		if (*at != '.')
			break;
		has_dot = true;
		name[len++] = '.';
		at = skip_gap(scan, at + 1);
	}
	/* It goes on behind the end of a string, or in which encoding it is only the server knows.
	 */
	scan->makes_names |= has_dot && (strchr("'%\\", *at) || !is_ascii(name, len));
	if (has_dot && is_ascii(name, len))
		scan->on_name(name, len, scan->arg);
	if (!has_dot)
		take_plain_name(scan, name, len, is_of_table);
}

/* ---- calls ---- */

/* `at` is behind the bracket. */
static void take_set_config(struct pw_scan *scan, const char *at)
{
	const char *end = skip_quoted_name(scan, skip_gap(scan, at));

	scan->makes_names |= !end || *end != ',';
}

static void take_query(struct pw_scan *scan, const char *at)
{
	const char *end = skip_literal(scan, skip_gap(scan, at));

	scan->runs_made |= !end || (*end != ',' && *end != ')');
}

/* Is there a bracket behind the name, or what may be between them? */
static bool may_be_called(const char *end)
{
	end += *end == '"';
	while (isspace((unsigned char)*end))
		end++;
	return *end == '(' || *end == '-' || *end == '/';
}

static void take_call(struct pw_scan *scan, const char *word, const char *end)
{
	char name[NAME_MAX_BYTES + 1];
	size_t len = (size_t)(end - word);
	enum pw_builtin class;

	if (len > NAME_MAX_BYTES || !may_be_called(end))
		return;
	for (size_t i = 0; i < len; i++)
		name[i] = (char)tolower((unsigned char)word[i]);
	name[len] = '\0';
	class = pw_builtin_find_special(name);
	if (class == PW_BUILTIN_UNKNOWN || class == PW_BUILTIN_HARMLESS)
		return;
	end = skip_gap(scan, *end == '"' ? end + 1 : end);
	if (*end != '(')
		return;
	scan->classes |= 1u << class;
	if (class == PW_BUILTIN_SETS)
		take_set_config(scan, end + 1);
	else if (class == PW_BUILTIN_QUERIES)
		take_query(scan, end + 1);
}

/* ---- words ---- */

/* `at` is where the name of a prepared statement would stand. */
static void take_statement(struct pw_scan *scan, const char *at, bool is_dropped)
{
	char name[NAME_MAX_BYTES + 1];
	size_t len = 0;
	bool is_quoted = *at == '"';
	bool is_named = (is_quoted || begins_name(*at)) && add_part(at, name, &len);

	for (size_t i = 0; i < len && !is_quoted; i++)
		name[i] = (char)tolower((unsigned char)name[i]);
	name[len < STATEMENT_NAME_MAX ? len : STATEMENT_NAME_MAX] = '\0';
	scan->drops_any |= is_dropped && (!is_named || (!is_quoted && strcmp(name, "all") == 0));
	if (is_named && scan->on_statement)
		scan->on_statement(name, is_dropped, scan->arg);
}

static void take_deallocate(struct pw_scan *scan, const char *at)
{
	at = skip_gap(scan, at);
	if (is_word(at, skip_name(at), "prepare"))
		at = skip_gap(scan, skip_name(at));
	take_statement(scan, at, true);
}

static void take_execute(struct pw_scan *scan, const char *at)
{
	const char *end = skip_literal(scan, skip_gap(scan, at));

	take_statement(scan, skip_gap(scan, at), false);
	/* INTO, USING and LOOP may follow. */
	scan->runs_made |= !end || !(*end == ';' || isalpha((unsigned char)*end));
}

static void take_do(struct pw_scan *scan, const char *at PW_UNUSED)
{
	scan->has_do = true;
}

static void take_load(struct pw_scan *scan, const char *at)
{
	scan->has_load |= *skip_gap(scan, at) == '\'';
}

/* U&"..." and U&'...' hide what is in them. */
static void take_u(struct pw_scan *scan, const char *at)
{
	scan->hides_names |= at[0] == '&' && (at[1] == '\'' || at[1] == '"');
}

static void take_reset(struct pw_scan *scan, const char *at PW_UNUSED)
{
	scan->goes_back = true;
}

static void take_update(struct pw_scan *scan, const char *at)
{
	scan->update = at;
}

static void take_null(struct pw_scan *scan, const char *at PW_UNUSED)
{
	scan->has_null = true;
}

static const struct {
	const char *word;
	void (*take)(struct pw_scan *scan, const char *at); /* behind it */
} rows[] = {
    {"set", take_set},     {"execute", take_execute}, {"deallocate", take_deallocate},
    {"do", take_do},       {"load", take_load},       {"u", take_u},
    {"reset", take_reset}, {"discard", take_reset},   {"default", take_reset},
    {"null", take_null},   {"update", take_update},
};

static void take_word(struct pw_scan *scan, const char *word, const char *end)
{
	scan->word = word;
	for (size_t i = 0; i < PW_COUNTOF(rows); i++) {
		if (is_word(word, end, rows[i].word))
			rows[i].take(scan, end);
	}
	take_call(scan, word, end);
}

/* ---- names in quotes ---- */

/* Goes on behind it: 'app.' || x, 'app.n' || x, format('app.%s', x). */
static bool is_put_together(struct pw_scan *scan, const char *end)
{
	if (*end == '%')
		return true;
	if (*end != '\'')
		return false;
	end = skip_gap(scan, end + 1);
	return end[0] == '|' && end[1] == '|';
}

static void take_quoted(struct pw_scan *scan, const char *name)
{
	const char *at = name, *dot = NULL;

	for (; continues_name(*at) || (*at == '.' && at > name); at++)
		dot = *at == '.' ? at : dot;
	if (!dot)
		return;
	scan->makes_names |= is_put_together(scan, at);
	if (dot + 1 < at && is_ascii(name, (size_t)(at - name)))
		scan->on_name(name, (size_t)(at - name), scan->arg);
}

void pw_scan(struct pw_scan *scan, const char *text, size_t len)
{
	const char *at = text;

	scan->gaps_left = GAPS_PER_BYTE * len + GAP_MAX;
	scan->has_backslash |= memchr(text, '\\', len) != NULL;
	while (at < text + len) {
		const char *end;

		if (!begins_name(*at)) {
			at++;
			continue;
		}
		if (at > text && (at[-1] == '\'' || at[-1] == '"'))
			take_quoted(scan, at);
		end = skip_name(at);
		take_word(scan, at, end);
		at = end;
	}
	/* set_config(name, NULL, ...) */
	scan->goes_back |= scan->has_null && scan->classes & 1u << PW_BUILTIN_SETS;
}

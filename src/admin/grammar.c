/* SPDX-License-Identifier: PostgreSQL
 *
 * The console's language: WORD [ARGUMENT] [;], WORD NODE [VALUE] [;], and SET KEY = VALUE. A pure
 * function from text and right to a request; nothing runs that did not come through here, so this
 * is also the one place where rights are looked at.
 */
#include "config.h"

#include "admin_priv.h"

#include <string.h>
#include <strings.h>

#include "pgweir/base/utf8.h"

#define BLANKS       " \t\r\n"
#define LETTERS      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"
#define NODE_LETTERS LETTERS ".:-/[]@%"

/* clang-format off */
const struct pw_console_verb pw_console_verbs[] = {
    {"RELOAD", PW_ARGUMENT_NONE, NULL, PW_COMMAND_RELOAD, false,
     "Reads the configuration again."},
    {"PAUSE", PW_ARGUMENT_DATABASE, NULL, PW_COMMAND_PAUSE, true,
     "Gives no server connections to clients any more; answers when all have come back. "
     "An error if RESUME ends it before."},
    {"RESUME", PW_ARGUMENT_DATABASE, NULL, PW_COMMAND_RESUME, false,
     "Goes on after PAUSE; with a database also after KILL."},
    {"KILL", PW_ARGUMENT_DATABASE, NULL, PW_COMMAND_KILL, true,
     "Closes all clients and server connections at once and pauses their databases."},
    {"KILL_CLIENT", PW_ARGUMENT_CLIENT, NULL, PW_COMMAND_KILL_CLIENT, false,
     "Closes one client; its number is in the column id of SHOW CLIENTS."},
    {"RECONNECT", PW_ARGUMENT_DATABASE, NULL, PW_COMMAND_RECONNECT, true,
     "Closes each server connection as soon as it comes back, so that new ones are made."},
    {"SHUTDOWN", PW_ARGUMENT_NONE, NULL, PW_COMMAND_SHUTDOWN, false,
     "Stops the process at once; there is no answer."},
    {"SHUTDOWN", PW_ARGUMENT_MODE, "WAIT_FOR_SERVERS", PW_COMMAND_SHUTDOWN_WAIT_FOR_SERVERS, false,
     "Gives out no server connections any more and stops when all have come back."},
    {"SHUTDOWN", PW_ARGUMENT_MODE, "WAIT_FOR_CLIENTS", PW_COMMAND_SHUTDOWN_WAIT_FOR_CLIENTS, false,
     "Takes no new clients and stops when the last one has left."},
    {"DRAIN", PW_ARGUMENT_NODE, NULL, PW_COMMAND_DRAIN, false,
     "The node of a cluster gets nothing new: transactions under way end in peace, idle server connections are "
     "closed. Not of the primary."},
    {"BAN", PW_ARGUMENT_NODE, NULL, PW_COMMAND_BAN, false,
     "The node gets nothing, and its server connections are closed at once, also in a transaction (57P01). Not "
     "of the primary."},
    {"BAN", PW_ARGUMENT_NODE, "FORCE", PW_COMMAND_BAN_FORCE, false,
     "The same, of the primary as well: nobody can write then until UNBAN, or until another node is promoted."},
    {"UNBAN", PW_ARGUMENT_NODE, NULL, PW_COMMAND_UNBAN, false,
     "Goes on after DRAIN and BAN."},
    {"WEIGHT", PW_ARGUMENT_NODE, "DEFAULT", PW_COMMAND_WEIGHT, false,
     "The node has the weight that is configured."},
    {"WEIGHT", PW_ARGUMENT_NODE_VALUE, "<weight>", PW_COMMAND_WEIGHT, false,
     "The node has that weight, until the next RELOAD."},
    {"PROMOTE", PW_ARGUMENT_NODE, NULL, PW_COMMAND_PROMOTE, false,
     "Chooses whom to follow where two nodes were promoted apart (column torn of SHOW CLUSTERS), or only an older timeline is left. Promotes nobody."},
    {"MAX_LAG", PW_ARGUMENT_CLUSTER, "DEFAULT", PW_COMMAND_MAX_LAG, false,
     "The cluster has the max_lag that is configured."},
    {"MAX_LAG", PW_ARGUMENT_CLUSTER_VALUE, "<time>", PW_COMMAND_MAX_LAG, false,
     "The cluster has that max_lag, as 500ms or 2s, where databases and users have none of their own, until the next RELOAD."},
    {NULL, PW_ARGUMENT_NONE, NULL, PW_COMMAND_RELOAD, false, NULL},
};
/* clang-format on */

/* ---- forms ---- */

void pw_console_usage(struct pw_strbuf *out, const struct pw_console_verb *verb)
{
	pw_strbuf_add_string(out, verb->word);
	switch (verb->argument) {
	case PW_ARGUMENT_NONE:
		break;
	case PW_ARGUMENT_DATABASE:
		pw_strbuf_add_string(out, " [<db>]");
		break;
	case PW_ARGUMENT_CLIENT:
		pw_strbuf_add_string(out, " <id>");
		break;
	case PW_ARGUMENT_MODE:
		break;
	case PW_ARGUMENT_NODE:
	case PW_ARGUMENT_NODE_VALUE:
		pw_strbuf_add_string(out, " <node>");
		break;
	case PW_ARGUMENT_CLUSTER:
	case PW_ARGUMENT_CLUSTER_VALUE:
		pw_strbuf_add_string(out, " <cluster>");
		break;
	}
	if (verb->mode)
		pw_strbuf_printf(out, " %s", verb->mode);
}

/* ---- words ---- */

enum scan { SCAN_FOUND, SCAN_NONE, SCAN_TOO_LONG };

static const char *skip_blanks(const char *at)
{
	return at + strspn(at, BLANKS);
}

/* Copies a text in quotes; a doubled quote stands for one. */
static enum scan scan_quoted(const char **at, char quote, char *out, size_t max)
{
	const char *from = *at + 1;
	size_t len = 0;
	bool is_too_long = false;

	for (;; from++) {
		if (*from == '\0')
			return SCAN_NONE;
		if (*from == quote && *++from != quote)
			break;
		if (len < max)
			out[len++] = *from;
		else
			is_too_long = true;
	}
	out[len] = '\0';
	*at = from;
	return is_too_long ? SCAN_TOO_LONG : SCAN_FOUND;
}

static enum scan scan_bare(const char **at, const char *letters, char *out, size_t max)
{
	size_t len = strspn(*at, letters);

	if (len == 0)
		return SCAN_NONE;
	if (len <= max) {
		memcpy(out, *at, len);
		out[len] = '\0';
	}
	*at += len;
	return len <= max ? SCAN_FOUND : SCAN_TOO_LONG;
}

static enum scan scan_word(const char **at, char *out, size_t max)
{
	return **at == '"' ? scan_quoted(at, '"', out, max) : scan_bare(at, LETTERS, out, max);
}

static enum scan scan_node(const char **at, char *out, size_t max)
{
	return **at == '"' ? scan_quoted(at, '"', out, max) : scan_bare(at, NODE_LETTERS, out, max);
}

static enum scan scan_value(const char **at, char *out, size_t max)
{
	return **at == '\'' ? scan_quoted(at, '\'', out, max)
			    : scan_bare(at, LETTERS ".", out, max);
}

static bool is_at_end(const char *at)
{
	at = skip_blanks(at);
	if (*at == ';')
		at = skip_blanks(at + 1);
	return *at == '\0';
}

/* ---- errors ---- */

static bool refuse(struct pw_error *err, const char *text)
{
	pw_error_set(err, PW_SQLSTATE_PROTOCOL_VIOLATION, "%s", text);
	err->severity = PW_SEVERITY_ERROR;
	return false;
}

static bool refuse_command(struct pw_error *err, const char *text)
{
	enum { SHOWN_MAX = 200 };
	size_t len = pw_utf8_fit(text, SHOWN_MAX);

	pw_error_set(err, PW_SQLSTATE_PROTOCOL_VIOLATION, "invalid command '%.*s', use SHOW HELP;",
		     (int)len, text);
	err->severity = PW_SEVERITY_ERROR;
	return false;
}

/* What PgBouncer has, and pgweir does not (docs/MIGRATION.md): no typo. */
struct absent {
	const char *word;
	const char *instead; /* NULL = nothing comes near */
};

static const struct absent absent_commands[] = {
    {"SET", "Change the configuration file, then RELOAD."},
    {"SUSPEND", "pgweir(1) tells how to change the binary without a gap."},
    {"WAIT_CLOSE", "SHOW SERVERS tells which connections are still to be closed (close_needed)."},
    {"DISABLE", NULL},
    {"ENABLE", NULL},
    {NULL, NULL},
};

static const struct absent absent_views[] = {
    {"FDS", NULL},
    {"SOCKETS", "See SHOW CLIENTS and SHOW SERVERS."},
    {"ACTIVE_SOCKETS", "See SHOW CLIENTS and SHOW SERVERS."},
    {"MEM", NULL},
    {"DNS_HOSTS", NULL},
    {"DNS_ZONES", NULL},
    {"PEERS", NULL},
    {"PEER_POOLS", NULL},
    {NULL, NULL},
};

static bool refuse_word(struct pw_error *err, const char *text, const struct absent *absent,
			const char *verb, const char *word)
{
	(void)refuse_command(err, text);
	while (absent->word && strcasecmp(absent->word, word) != 0)
		absent++;
	if (!absent->word)
		return false;
	pw_error_detail(err, "PgBouncer has %s%s, it is not supported by pgweir.", verb,
			absent->word);
	if (absent->instead)
		pw_error_hint(err, "%s", absent->instead);
	return false;
}

static bool refuse_scan(struct pw_error *err, const char *text, enum scan scan)
{
	return scan == SCAN_TOO_LONG ? refuse(err, "bad arguments") : refuse_command(err, text);
}

/* ---- requests ---- */

static bool find_show(const char *word, struct pw_request *out)
{
	out->tag = "SHOW";
	if (strcasecmp(word, "HELP") == 0) {
		out->kind = PW_REQUEST_HELP;
		return true;
	}
	out->kind = PW_REQUEST_SHOW;
	for (const struct pw_view *const *view = pw_console_views; *view; view++) {
		if (strcasecmp((*view)->name, word) == 0)
			out->view = *view;
	}
	if (out->view)
		return true;
	out->kind = PW_REQUEST_SHOW_PARAMETER;
	out->view = pw_console_find_parameter(word);
	return out->view != NULL;
}

/* Drivers open transactions without being asked. */
static bool find_transaction(const char *word, const char *argument, struct pw_request *out)
{
	static const char *const words[] = {"BEGIN", "COMMIT", "ROLLBACK"};

	if (argument && strcasecmp(argument, "TRANSACTION") != 0 &&
	    strcasecmp(argument, "WORK") != 0)
		return false;
	for (size_t i = 0; i < PW_COUNTOF(words); i++) {
		if (strcasecmp(words[i], word) == 0) {
			out->kind = PW_REQUEST_TRANSACTION;
			out->tag = words[i];
			out->begins_block = i == 0;
			return true;
		}
	}
	return false;
}

static bool takes_argument(const struct pw_console_verb *verb, const char *argument)
{
	switch (verb->argument) {
	case PW_ARGUMENT_NONE:
		return !argument;
	case PW_ARGUMENT_MODE:
		return argument && strcasecmp(argument, verb->mode) == 0;
	case PW_ARGUMENT_DATABASE:
	case PW_ARGUMENT_CLIENT:
		return true;
	case PW_ARGUMENT_NODE:
	case PW_ARGUMENT_CLUSTER:
	case PW_ARGUMENT_NODE_VALUE:
	case PW_ARGUMENT_CLUSTER_VALUE:
		break;
	}
	return false; /* see takes_value() */
}

static const struct pw_console_verb *find_verb(const char *word, const char *argument,
					       bool *is_known)
{
	for (const struct pw_console_verb *verb = pw_console_verbs; verb->word; verb++) {
		if (strcasecmp(verb->word, word) != 0)
			continue;
		*is_known = true;
		if (takes_argument(verb, argument))
			return verb;
	}
	return NULL;
}

/* "pause" for "PAUSE", as it stands in a sentence. */
static void lower(char *text)
{
	for (; *text; text++) {
		if (*text >= 'A' && *text <= 'Z')
			*text = (char)(*text - 'A' + 'a');
	}
}

static bool check_argument(const struct pw_console_verb *verb, const char *argument,
			   struct pw_error *err)
{
	char text[PW_CONSOLE_WORD_MAX + PW_CONSOLE_ARGUMENT_MAX + 32];
	char word[PW_CONSOLE_WORD_MAX + 1];

	if (verb->argument == PW_ARGUMENT_CLIENT &&
	    (!argument || argument[0] == '\0' || argument[strspn(argument, "0123456789")] != '\0' ||
	     strlen(argument) > 19))
		return refuse(err, "invalid client pointer supplied");
	if (!verb->spares_console || !argument || !pw_conf_is_console(argument))
		return true;
	snprintf(word, sizeof(word), "%s", verb->word);
	lower(word);
	snprintf(text, sizeof(text), "cannot %s admin db: %.*s", word, PW_CONSOLE_ARGUMENT_MAX,
		 argument);
	return refuse(err, text);
}

static bool parse_command(const char *text, const char *word, enum pw_console_right right,
			  struct pw_request *out, struct pw_error *err)
{
	const char *argument = out->has_argument ? out->argument : NULL;
	bool is_known = false;

	out->kind = PW_REQUEST_COMMAND;
	out->verb = find_verb(word, argument, &is_known);
	if (is_known && right != PW_RIGHT_ADMIN)
		return refuse(err, "admin access needed");
	if (!out->verb)
		return refuse_word(err, text, absent_commands, "", word);
	out->tag = out->verb->word;
	return check_argument(out->verb, argument, err);
}

/* ---- what is said of nodes ---- */

static bool is_about_nodes(const char *word)
{
	for (const struct pw_console_verb *verb = pw_console_verbs; verb->word; verb++) {
		if (strcasecmp(verb->word, word) == 0)
			return verb->argument >= PW_ARGUMENT_NODE;
	}
	return false;
}

static bool takes_value(const struct pw_console_verb *verb, const char *value)
{
	if (verb->argument == PW_ARGUMENT_NODE_VALUE || verb->argument == PW_ARGUMENT_CLUSTER_VALUE)
		return value != NULL;
	return verb->mode ? value && strcasecmp(value, verb->mode) == 0 : !value;
}

static const struct pw_console_verb *find_verb_of_nodes(const char *word, const char *value)
{
	for (const struct pw_console_verb *verb = pw_console_verbs; verb->word; verb++) {
		if (strcasecmp(verb->word, word) == 0 && takes_value(verb, value))
			return verb;
	}
	return NULL;
}

/* PgBouncer's message, and how the command is written. */
static bool refuse_form(struct pw_error *err, const char *text, const char *word)
{
	struct pw_strbuf forms = PW_STRBUF_INIT;

	for (const struct pw_console_verb *verb = pw_console_verbs; verb->word; verb++) {
		if (strcasecmp(verb->word, word) != 0)
			continue;
		pw_strbuf_add_string(&forms, forms.len > 0 ? ", or " : "");
		pw_console_usage(&forms, verb);
	}
	(void)refuse_command(err, text);
	if (!forms.has_failed)
		pw_error_hint(err, "Write %s.", forms.data);
	pw_strbuf_fini(&forms);
	return false;
}

static enum scan scan_about_nodes(const char *at, const char *word, struct pw_request *out)
{
	enum scan scan;

	if (strspn(at, BLANKS) == 0)
		return SCAN_NONE;
	at = skip_blanks(at);
	scan = scan_node(&at, out->argument, PW_CONSOLE_NODE_MAX);
	if (scan != SCAN_FOUND)
		return scan;
	out->has_argument = true;
	if (strspn(at, BLANKS) > 0 && !is_at_end(at)) {
		at = skip_blanks(at);
		scan = scan_value(&at, out->value, PW_CONSOLE_ARGUMENT_MAX);
		if (scan != SCAN_FOUND)
			return scan;
		out->has_value = true;
	}
	out->verb = find_verb_of_nodes(word, out->has_value ? out->value : NULL);
	return out->verb && is_at_end(at) ? SCAN_FOUND : SCAN_NONE;
}

static bool parse_about_nodes(const char *text, const char *at, const char *word,
			      struct pw_request *out, struct pw_error *err)
{
	enum scan scan = scan_about_nodes(at, word, out);

	if (scan == SCAN_NONE)
		return refuse_form(err, text, word);
	if (scan == SCAN_TOO_LONG)
		return refuse_scan(err, text, scan);
	out->kind = PW_REQUEST_COMMAND;
	out->tag = out->verb->word;
	return true;
}

/* ---- SET ---- */

/* "=", or "to" between blanks. */
static bool skip_assignment(const char **at)
{
	const char *word = skip_blanks(*at);

	if (*word == '=') {
		*at = skip_blanks(word + 1);
		return true;
	}
	if (word == *at || strncasecmp(word, "to", 2) != 0 || strspn(word + 2, BLANKS) == 0)
		return false;
	*at = skip_blanks(word + 2);
	return true;
}

static bool parse_set(const char *text, const char *at, struct pw_request *out,
		      struct pw_error *err)
{
	char key[PW_CONSOLE_ARGUMENT_MAX + 1], value[PW_CONSOLE_VALUE_MAX + 1];
	enum scan scan;

	at = skip_blanks(at);
	scan = scan_word(&at, key, PW_CONSOLE_ARGUMENT_MAX);
	if (scan != SCAN_FOUND)
		return refuse_scan(err, text, scan);
	if (!skip_assignment(&at))
		return refuse_command(err, text);
	scan = scan_value(&at, value, PW_CONSOLE_VALUE_MAX);
	if (scan != SCAN_FOUND)
		return refuse_scan(err, text, scan);
	if (!pw_console_find_parameter(key))
		return refuse_word(err, text, absent_commands, "", "SET");
	if (!is_at_end(at))
		return refuse_command(err, text);
	out->kind = PW_REQUEST_SET_PARAMETER;
	out->tag = "SET";
	return true;
}

/* ---- all ---- */

static bool is_show(const char *word)
{
	return strcasecmp(word, "SHOW") == 0 || strcasecmp(word, "SELECT") == 0;
}

static bool parse_show(const char *text, enum pw_console_right right, struct pw_request *out,
		       struct pw_error *err)
{
	if (!out->has_argument || !find_show(out->argument, out))
		return refuse_word(err, text, absent_views, "SHOW ", out->argument);
	return right != PW_RIGHT_NONE || refuse(err, "admin access needed");
}

bool pw_request_parse(const char *text, enum pw_console_right right, struct pw_request *out,
		      struct pw_error *err)
{
	const char *at = skip_blanks(text);
	char word[PW_CONSOLE_WORD_MAX + 1];
	enum scan scan;

	*out = (struct pw_request){.kind = PW_REQUEST_EMPTY};
	if (is_at_end(at))
		return true;
	scan = scan_word(&at, word, PW_CONSOLE_WORD_MAX);
	if (scan != SCAN_FOUND)
		return refuse_scan(err, text, scan);
	if (strcasecmp(word, "SET") == 0 && strspn(at, BLANKS) > 0)
		return parse_set(text, at, out, err);
	if (is_about_nodes(word))
		return right == PW_RIGHT_ADMIN ? parse_about_nodes(text, at, word, out, err)
					       : refuse(err, "admin access needed");
	if (strspn(at, BLANKS) > 0 && !is_at_end(at)) {
		at = skip_blanks(at);
		scan = scan_word(&at, out->argument, PW_CONSOLE_ARGUMENT_MAX);
		if (scan != SCAN_FOUND)
			return refuse_scan(err, text, scan);
		out->has_argument = true;
	}
	if (!is_at_end(at))
		return refuse_command(err, text);
	if (is_show(word))
		return parse_show(text, right, out, err);
	if (find_transaction(word, out->has_argument ? out->argument : NULL, out))
		return true;
	return parse_command(text, word, right, out, err);
}

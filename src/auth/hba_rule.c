/* SPDX-License-Identifier: PostgreSQL
 *
 * One line of an HBA file becomes a rule, or a warning that says what would be allowed there.
 */
#include "config.h"

#include "auth_priv.h"

#include <stdlib.h>
#include <string.h>

struct word {
	const char *word;
	int value;
};

static const struct word types[] = {
    {"local", PW_HBA_LOCAL},
    {"host", PW_HBA_HOST},
    {"hostssl", PW_HBA_HOSTSSL},
    {"hostnossl", PW_HBA_HOSTNOSSL},
    {NULL, 0},
};

enum { METHOD_LDAP = -1 }; /* PgBouncer's, and not among ours */

static const struct word methods[] = {
    {"trust", PW_AUTH_TRUST},         {"reject", PW_AUTH_REJECT}, {"md5", PW_AUTH_MD5},
    {"password", PW_AUTH_PLAIN},      {"peer", PW_AUTH_PEER},     {"cert", PW_AUTH_CERT},
    {"scram-sha-256", PW_AUTH_SCRAM}, {"ldap", METHOD_LDAP},      {NULL, 0},
};

/* A walk along one line. */
struct cursor {
	const struct pw_auth_place *place;
	const struct pw_auth_token *at;
	const struct pw_auth_token *end;
	struct pw_ident_map *const *maps; /* NULL = could not be read */
};

/* One value for one column; NULL (warned) where there is none, or a list. */
static const struct pw_auth_token *take_value(struct cursor *cursor, const char *what)
{
	const struct pw_auth_token *token = cursor->at;

	if (token == cursor->end) {
		pw_auth_warn(cursor->place, "line ends before the %s; line skipped", what);
		return NULL;
	}
	cursor->at++;
	if (cursor->at < cursor->end && cursor->at->is_joined) {
		pw_auth_warn(cursor->place, "only one %s is allowed here; line skipped", what);
		return NULL;
	}
	return token;
}

static enum pw_status take_word(struct cursor *cursor, const char *what, const struct word *words,
				const char *allowed, int *out)
{
	const struct pw_auth_token *token = take_value(cursor, what);

	if (!token)
		return PW_EINVAL;
	while (words->word && !pw_auth_token_is(token, words->word))
		words++;
	if (!words->word) {
		pw_auth_warn(cursor->place, "%s \"%s\" is not supported (%s); line skipped", what,
			     token->text, allowed);
		return PW_EINVAL;
	}
	*out = words->value;
	return PW_OK;
}

static enum pw_status take_names(struct cursor *cursor, const char *what,
				 struct pw_auth_names *names)
{
	if (cursor->at == cursor->end) {
		pw_auth_warn(cursor->place, "line ends before the %s; line skipped", what);
		return PW_EINVAL;
	}
	do {
		enum pw_status status = pw_auth_names_add(names, cursor->place, cursor->at, 0);

		if (status == PW_EINVAL)
			pw_auth_warn(cursor->place, "cannot use the %s column; line skipped", what);
		if (status != PW_OK)
			return status;
		cursor->at++;
	} while (cursor->at < cursor->end && cursor->at->is_joined);
	return PW_OK;
}

/* ---- the address column ---- */

static size_t address_len(const struct pw_addr *addr)
{
	return addr->family == AF_INET ? 4 : 16;
}

static bool make_prefix_mask(struct pw_hba_rule *rule, const char *text)
{
	struct pw_scram_text digits = {text, strlen(text)};
	uint32_t bits = 0;

	if (strcmp(text, "0") != 0 &&
	    !pw_scram_text_to_count(digits, (uint32_t)address_len(&rule->net) * 8, &bits))
		return false;
	memset(rule->mask, 0, sizeof(rule->mask));
	for (uint32_t i = 0; i < bits; i++)
		rule->mask[i / 8] |= (uint8_t)(0x80 >> i % 8);
	return true;
}

/* "address/bits". */
static bool parse_cidr(struct pw_hba_rule *rule, const char *text, const char *slash)
{
	char host[PW_ADDR_TEXT_SIZE];
	size_t len = (size_t)(slash - text);

	if (len >= sizeof(host))
		return false;
	memcpy(host, text, len);
	host[len] = '\0';
	return pw_addr_parse(host, 0, &rule->net) && make_prefix_mask(rule, slash + 1);
}

static enum pw_status take_mask(struct cursor *cursor, struct pw_hba_rule *rule)
{
	const struct pw_auth_token *token = take_value(cursor, "mask");
	struct pw_addr mask;

	if (!token)
		return PW_EINVAL;
	if (!pw_addr_parse(token->text, 0, &mask) || mask.family != rule->net.family) {
		pw_auth_warn(cursor->place,
			     "\"%s\" is not a mask of the address before it; line skipped",
			     token->text);
		return PW_EINVAL;
	}
	memcpy(rule->mask, mask.bytes, sizeof(rule->mask));
	return PW_OK;
}

static void warn_host_bits(const struct cursor *cursor, const struct pw_hba_rule *rule)
{
	for (size_t i = 0; i < address_len(&rule->net); i++) {
		if (rule->net.bytes[i] & ~rule->mask[i]) {
			pw_auth_warn(cursor->place,
				     "address has bits outside its mask: the rule never matches");
			return;
		}
	}
}

static enum pw_status take_address(struct cursor *cursor, struct pw_hba_rule *rule)
{
	const struct pw_auth_token *token = take_value(cursor, "address");
	const char *slash;
	enum pw_status status = PW_OK;
	bool is_known;

	if (!token)
		return PW_EINVAL;
	rule->is_any_address = pw_auth_token_is(token, "all");
	if (rule->is_any_address)
		return PW_OK;
	slash = strchr(token->text, '/');
	is_known = slash ? parse_cidr(rule, token->text, slash)
			 : pw_addr_parse(token->text, 0, &rule->net);
	if (!is_known) {
		pw_auth_warn(cursor->place,
			     "address \"%s\" is not supported (all, address/bits, or address and "
			     "mask); line skipped",
			     token->text);
		return PW_EINVAL;
	}
	if (!slash)
		status = take_mask(cursor, rule);
	if (status == PW_OK)
		warn_host_bits(cursor, rule);
	return status;
}

/* ---- method and options ---- */

static enum pw_status take_options(struct cursor *cursor, struct pw_hba_rule *rule)
{
	static const char map_option[] = "map=";

	for (; cursor->at < cursor->end; cursor->at++) {
		const char *name = cursor->at->text + sizeof(map_option) - 1;

		if (rule->map || strncmp(cursor->at->text, map_option, sizeof(map_option) - 1)) {
			pw_auth_warn(cursor->place,
				     "unsupported parameters: \"%s\" (one map=NAME); line skipped",
				     cursor->at->text);
			return PW_EINVAL;
		}
		if (!cursor->maps) {
			pw_auth_warn(cursor->place, "nobody passes: the ident file is missing, the "
						    "line rejects");
			rule->method = PW_AUTH_REJECT;
			return PW_OK;
		}
		rule->map = pw_ident_find(*cursor->maps, name);
		if (!rule->map) {
			pw_auth_warn(cursor->place, "ident map \"%s\" is not known; line skipped",
				     name);
			return PW_EINVAL;
		}
	}
	return PW_OK;
}

/* To drop the line would leave whom it asks for a password to the next line, which may be laxer. */
static enum pw_status take_ldap(struct cursor *cursor, struct pw_hba_rule *rule)
{
	pw_auth_warn(cursor->place, "nobody passes: ldap is not supported, the line rejects");
	rule->method = PW_AUTH_REJECT;
	cursor->at = cursor->end; /* the rest is options of ldap */
	return PW_OK;
}

static enum pw_status take_method(struct cursor *cursor, struct pw_hba_rule *rule)
{
	int method = 0;
	enum pw_status status =
	    take_word(cursor, "method", methods,
		      "trust, reject, md5, password, peer, cert, scram-sha-256", &method);

	if (status != PW_OK)
		return status;
	if (method == METHOD_LDAP)
		return take_ldap(cursor, rule);
	rule->method = (enum pw_auth_type)method;
	return take_options(cursor, rule);
}

/* The rule stays: it stops the search, and at login nobody passes it. */
static void warn_impossible(const struct cursor *cursor, const struct pw_hba_rule *rule)
{
	if (rule->method == PW_AUTH_PEER && rule->type != PW_HBA_LOCAL)
		pw_auth_warn(cursor->place, "nobody passes: peer works on local lines only");
	else if (rule->method == PW_AUTH_CERT &&
		 (rule->type == PW_HBA_LOCAL || rule->type == PW_HBA_HOSTNOSSL))
		pw_auth_warn(cursor->place, "nobody passes: cert needs TLS");
}

/* Whom the missing file names is not known: the rule could be the one that keeps them out. */
static void reject_all(const struct cursor *cursor, struct pw_hba_rule *rule)
{
	if (rule->databases.is_unknown)
		rule->databases.keywords |= PW_NAMES_ALL | PW_NAMES_REPLICATION;
	if (rule->users.is_unknown)
		rule->users.keywords |= PW_NAMES_ALL;
	rule->method = PW_AUTH_REJECT;
	pw_auth_warn(cursor->place,
		     "a file of names is missing: the line rejects everybody it might name");
}

static enum pw_status take_rule(struct cursor *cursor, struct pw_hba_rule *rule)
{
	int type = 0;
	enum pw_status status;

	status = take_word(cursor, "type", types, "local, host, hostssl, hostnossl", &type);
	rule->type = (enum pw_hba_type)type;
	if (status == PW_OK)
		status = take_names(cursor, "database", &rule->databases);
	if (status == PW_OK)
		status = take_names(cursor, "user", &rule->users);
	if (status == PW_OK && rule->type != PW_HBA_LOCAL)
		status = take_address(cursor, rule);
	if (status == PW_OK)
		status = take_method(cursor, rule);
	if (status == PW_OK && (rule->databases.is_unknown || rule->users.is_unknown))
		reject_all(cursor, rule);
	else if (status == PW_OK)
		warn_impossible(cursor, rule);
	return status;
}

enum pw_status pw_hba_rule_parse(struct pw_hba_rule *rule, const struct pw_auth_place *place,
				 const struct pw_auth_line *line, struct pw_ident_map *const *maps)
{
	struct cursor cursor = {place, line->tokens, line->tokens + line->count, maps};
	enum pw_status status;

	memset(rule, 0, sizeof(*rule));
	rule->databases.is_database = true;
	rule->line = place->line;
	status = take_rule(&cursor, rule);
	if (status != PW_OK)
		pw_hba_rule_fini(rule);
	return status;
}

void pw_hba_rule_fini(struct pw_hba_rule *rule)
{
	pw_auth_names_fini(&rule->databases);
	pw_auth_names_fini(&rule->users);
}

/* SPDX-License-Identifier: PostgreSQL
 *
 * The set itself: what is in it, and what it comes to by the database's code.
 */
#include "config.h"

#include "pgweir/session/effects.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "pgweir/pool/state.h"
#include "pgweir/sql/builtin.h"

enum { NAME_BYTES_MAX = 4096 };

void pw_effects_clear(struct pw_effects *effects)
{
	pw_strbuf_reset(&effects->names);
	pw_strbuf_reset(&effects->statements);
	pw_strbuf_reset(&effects->resets);
	pw_strbuf_reset(&effects->calls);
	effects->flags = 0;
	effects->calls_others = false;
	effects->draws = false;
	effects->makes_tables = false;
	effects->may_go_back = false;
	effects->begins = false;
	effects->ends = false;
	effects->n_names = 0;
	effects->n_calls = 0;
}

void pw_effects_fini(struct pw_effects *effects)
{
	pw_strbuf_fini(&effects->names);
	pw_strbuf_fini(&effects->calls);
	pw_strbuf_fini(&effects->statements);
	pw_strbuf_fini(&effects->resets);
	pw_effects_clear(effects);
}

/* ---- names ---- */

static bool holds(const struct pw_strbuf *names, const char *name)
{
	for (size_t at = 0; at < names->len; at += strlen(names->data + at) + 1) {
		if (strcmp(names->data + at, name) == 0)
			return true;
	}
	return false;
}

bool pw_effects_name(const struct pw_effects *effects, const char *name)
{
	return holds(&effects->names, name);
}

void pw_effects_mention(struct pw_effects *effects, const char *name, size_t len)
{
	char folded[256];

	/* Beyond the bounds no more is remembered, and nothing need be looked for. */
	if (len >= sizeof(folded) || effects->names.has_failed) {
		effects->flags |= PW_EFFECT_SETTINGS | PW_EFFECT_OPAQUE;
		return;
	}
	for (size_t i = 0; i < len; i++)
		folded[i] = (char)tolower((unsigned char)name[i]);
	folded[len] = '\0';
	if (pw_effects_name(effects, folded))
		return;
	if (effects->n_names < PW_EFFECTS_NAMES_MAX && effects->names.len + len < NAME_BYTES_MAX)
		pw_strbuf_add(&effects->names, folded, len + 1);
	else
		effects->names.has_failed = true;
	if (effects->names.has_failed) {
		effects->flags |= PW_EFFECT_SETTINGS | PW_EFFECT_OPAQUE;
		return;
	}
	effects->n_names++;
}

static bool is_ascii(const char *name, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (name[i] & 0x80)
			return false;
	}
	return true;
}

void pw_effects_add_name(struct pw_effects *effects, const char *name, size_t len)
{
	static const char session_user[] = "session_authorization";

	/* On another link, and for another client, its bytes might mean something else. */
	if (!is_ascii(name, len)) {
		effects->flags |= PW_EFFECT_SETTINGS | PW_EFFECT_OPAQUE;
		return;
	}
	effects->flags |= PW_EFFECT_NAMED;
	pw_effects_mention(effects, name, len);
	/* Whoever becomes somebody else has no role any more. */
	if (len == strlen(session_user) && strncasecmp(name, session_user, len) == 0)
		pw_effects_mention(effects, "role", strlen("role"));
}

/* Beyond ASCII, what a name is hangs on who says it: in which encoding, with which small letters.
 */
void pw_effects_add_call(struct pw_effects *effects, const char *name, size_t len)
{
	char function[PW_FUNCTION_NAME_SIZE];

	pw_function_name(function, name, len);
	effects->flags |= PW_EFFECT_CALLS;
	if (holds(&effects->calls, function))
		return;
	if (effects->n_calls < PW_EFFECTS_NAMES_MAX && is_ascii(name, len))
		pw_strbuf_add(&effects->calls, function, strlen(function) + 1);
	else
		effects->calls_others = true;
	effects->calls_others |= effects->calls.has_failed;
	if (effects->calls_others)
		effects->flags |= PW_EFFECT_CALLS_ANY;
	effects->n_calls++;
}

bool pw_effects_call(const struct pw_effects *effects, const char *name)
{
	char function[PW_FUNCTION_NAME_SIZE];

	pw_function_name(function, name, strlen(name));
	if (effects->flags & PW_EFFECT_QUERIES && pw_builtin_find(function) != PW_BUILTIN_UNKNOWN)
		return true;
	return effects->flags & PW_EFFECT_CALLS_ANY || holds(&effects->calls, function);
}

bool pw_effects_use(const struct pw_effects *effects, enum pw_code_use use)
{
	static const unsigned flags[PW_USE_N] = {
	    [PW_USE_READ] = PW_EFFECT_QUERIES,
	    [PW_USE_WRITE] = PW_EFFECT_WRITES,
	    [PW_USE_COMMAND] = PW_EFFECT_COMMANDS,
	};

	return effects->flags & flags[use];
}

unsigned pw_effects_by_code(const struct pw_effects *effects, const struct pw_verdict *verdict)
{
	const struct pw_strbuf *calls = &effects->calls;
	unsigned what = 0;

	for (unsigned use = 0; use < PW_USE_N; use++) {
		if (pw_effects_use(effects, use))
			what |= verdict->uses[use];
	}
	if (effects->flags & PW_EFFECT_CALLS_ANY)
		what |= verdict->any;
	if (effects->flags & PW_EFFECT_CALLS)
		what |= verdict->all;
	for (size_t at = 0; at < calls->len; at += strlen(calls->data + at) + 1)
		what |= pw_verdict_of(verdict, calls->data + at);
	return what;
}

bool pw_effects_draw(const struct pw_effects *effects, const struct pw_verdict *verdict)
{
	const unsigned drawing = PW_EFFECT_CALLS | PW_EFFECT_CALLS_ANY | PW_EFFECT_CODE |
				 PW_EFFECT_WRITES | PW_EFFECT_COMMANDS;

	if (effects->draws || effects->flags & drawing)
		return true;
	return effects->flags & PW_EFFECT_QUERIES && (!verdict || verdict->reading_draws);
}

void pw_effects_know_executed(struct pw_effects *effects)
{
	unsigned kept = PW_EFFECT_QUERIES | (effects->calls_others ? PW_EFFECT_CALLS_ANY : 0);

	effects->flags &= ~(unsigned)PW_EFFECTS_UNREAD | kept;
}

void pw_effects_merge(struct pw_effects *effects, const struct pw_effects *more)
{
	const struct pw_strbuf *names = &more->names, *calls = &more->calls;

	effects->flags |= more->flags;
	effects->calls_others |= more->calls_others;
	effects->draws |= more->draws;
	effects->makes_tables |= more->makes_tables;
	effects->may_go_back |= more->may_go_back;
	for (size_t at = 0; at < names->len; at += strlen(names->data + at) + 1)
		pw_effects_mention(effects, names->data + at, strlen(names->data + at));
	for (size_t at = 0; at < calls->len; at += strlen(calls->data + at) + 1)
		pw_effects_add_call(effects, calls->data + at, strlen(calls->data + at));
}

/* SPDX-License-Identifier: PostgreSQL
 *
 * What no server can be asked about (PW_EFFECTS_FOR_EVER) is taken for done when its message is
 * sent. It is not where the message fails before it has done anything. A rollback proves nothing: a
 * library stays loaded and a seed stays set. So what is looked for here is an error that can only
 * come before, of a message that has nothing before it in its link and was answered by nothing
 * else.
 *
 * Sources, of PostgreSQL 15: dfmgr.c (LOAD), float.c (setseed()), postgres.c.
 */
#include "config.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "client_priv.h"
#include "pgweir/proto/writer.h"

/* ---- a text that sets the seed, and nothing else ---- */

static const char *skip_spaces(const char *text)
{
	while (isspace((unsigned char)*text))
		text++;
	return text;
}

/* NULL where it does not begin so. */
static const char *skip_word(const char *text, const char *word)
{
	size_t len = strlen(word);

	return text && strncasecmp(text, word, len) == 0 ? skip_spaces(text + len) : NULL;
}

static bool is_end(const char *text)
{
	text = skip_spaces(text);
	if (*text == ';')
		text = skip_spaces(text + 1);
	return *text == '\0';
}

/* SELECT setseed(...), of one row, or SET seed. The value is looked at before it is taken. */
static bool sets_seed_alone(const char *text)
{
	const char *call = skip_word(skip_spaces(text), "SELECT "), *set, *end;

	if (call && skip_word(call, "pg_catalog."))
		call = skip_word(call, "pg_catalog.");
	call = skip_word(call, "setseed");
	if (call && *call == '(') {
		end = call + 1 + strcspn(call + 1, "();");
		return *end == ')' && is_end(end + 1);
	}
	set = skip_word(skip_word(skip_spaces(text), "SET "), "seed");
	return set && is_end(set + strcspn(set, ";"));
}

/* ---- sending ---- */

/* Nothing that does anything is owed. */
static bool is_alone(const struct pw_link *link, bool is_bound)
{
	for (uint32_t i = 0; i < link->expects.n; i++) {
		const struct pw_expect *entry = pw_expect_at(&link->expects, i);
		bool is_parse = entry->role == PW_ROLE_PARSE || entry->role == PW_ROLE_DESCRIBE;

		if (!(is_bound && is_parse) && !pw_link_is_ahead(link, i))
			return false;
	}
	return is_bound || !link->is_batch_open;
}

void pw_failed_note_sent(struct pw_client *c, const struct pw_effects *effects, const char *text,
			 bool is_bound)
{
	struct pw_client_session *s = c->session;
	struct pw_client_lone *lone = &s->lone;
	unsigned lasting = effects->flags & PW_EFFECTS_FOR_EVER;

	if (lasting == 0)
		return;
	lone->flags &= ~lasting;
	if (!is_alone(c->loan.link, is_bound))
		return;
	lone->flags = lasting & ~s->effects.flags;
	lone->is_aborted = c->loan.link->transaction == 'E';
	lone->is_of_load = lasting == PW_EFFECT_LOAD && !(effects->flags & PW_EFFECT_CODE);
	lone->is_of_seed = lasting == PW_EFFECT_SEED && text && sets_seed_alone(text);
}

/* ---- hearing ---- */

/* Rows, the end of a command: something was done. */
void pw_failed_note_answer(struct pw_client *c, uint8_t type)
{
	if (!strchr("ENSAT123nt", type))
		c->session->lone.flags = 0;
}

/* The file is not there, or is not for this user; no library has begun to load. */
static bool is_of_load(const char *sqlstate)
{
	return strcmp(sqlstate, PW_SQLSTATE_UNDEFINED_FILE) == 0 ||
	       strcmp(sqlstate, PW_SQLSTATE_INSUFFICIENT_PRIVILEGE) == 0;
}

/* Data exceptions, and what the analysis of a statement says. */
static bool is_of_value(const char *sqlstate)
{
	return strncmp(sqlstate, "22", 2) == 0 || strncmp(sqlstate, "42", 2) == 0;
}

static bool comes_before(const struct pw_client_lone *lone, const struct pw_error_fields *fields,
			 const struct pw_expect *about)
{
	if (about->role == PW_ROLE_PARSE || about->role == PW_ROLE_BIND || lone->is_aborted)
		return true;
	/* A server gives a place in the text where it could not make sense of it; for what code
	 * runs that is a place in the code's own. */
	if (about->role == PW_ROLE_QUERY && fields->position[0])
		return true;
	return (lone->is_of_load && is_of_load(fields->sqlstate)) ||
	       (lone->is_of_seed && is_of_value(fields->sqlstate));
}

void pw_failed_note_error(struct pw_client *c, const struct pw_piece *piece,
			  const struct pw_expect *about)
{
	struct pw_client_session *s = c->session;
	struct pw_error_fields fields;

	if (!s || s->lone.flags == 0)
		return;
	pw_parse_error_fields(piece->data + PW_HEADER_SIZE, piece->len - PW_HEADER_SIZE, &fields);
	if (piece->is_last && about && comes_before(&s->lone, &fields, about))
		s->effects.flags &= ~s->lone.flags;
	s->lone.flags = 0;
}

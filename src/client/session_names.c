/* SPDX-License-Identifier: PostgreSQL
 *
 * What a text runs by the names of statements that the client has prepared by the protocol, and
 * what these run in turn: that they are there is seen to by relay_names.c, what they may leave in
 * the session is noted here, as it is where they are bound.
 */
#include "config.h"

#include <string.h>

#include "client_priv.h"
#include "code_priv.h"
#include "names_priv.h"

/* A text that runs one that runs another ... is not followed any deeper. */
enum { DEPTH_MAX = 50 };

static void read_list(struct pw_client *c, const struct pw_strbuf *list, bool is_code,
		      unsigned depth);

static bool is_run(char use)
{
	return use == PW_STATEMENT_USED || use == PW_STATEMENT_RUN_BY_CODE;
}

/* Once for each text, so that statements which run each other come to an end. */
static void read_statement(struct pw_client *c, struct pw_prepared_name *name, bool is_code,
			   unsigned depth)
{
	struct pw_client_named *named = &c->session->named;
	const struct pw_effects *effects;

	if (name->read_in == named->serial)
		return;
	name->read_in = named->serial;
	named->may_forget |= name->statement->may_forget;
	effects = pw_session_effects_of(c, name->statement);
	named->values_use |=
	    effects == &c->session->effects ? PW_VALUES_UNREAD : pw_session_values_use(c, effects);
	if (effects->statements.len > 0 && depth == DEPTH_MAX)
		named->is_too_deep = true;
	else
		read_list(c, &effects->statements, is_code, depth + 1);
}

/* What is done by code is not told of by a command's tag. */
static char use_by(char use, bool is_code)
{
	if (is_code && use == PW_STATEMENT_USED)
		return PW_STATEMENT_RUN_BY_CODE;
	return is_code && use == PW_STATEMENT_DROPPED ? PW_STATEMENT_DROPPED_BY_CODE : use;
}

/* What a statement speaks of comes before it: a server that parses it looks for these. */
static void read_list(struct pw_client *c, const struct pw_strbuf *list, bool is_code,
		      unsigned depth)
{
	struct pw_strbuf *out = &c->session->named.list, copy = PW_STRBUF_INIT;

	/* That of a statement which cannot be read as yet is gone with the next one. */
	pw_strbuf_add(&copy, list->data, list->len);
	for (size_t at = 0; at < copy.len; at += strlen(copy.data + at) + 1) {
		char use = copy.data[at];
		const char *name = copy.data + at + 1;
		struct pw_prepared_name *listed =
		    is_run(use) ? pw_prepared_find(c->prepared, name) : NULL;

		if (listed)
			read_statement(c, listed, is_code || use == PW_STATEMENT_RUN_BY_CODE,
				       depth);
		pw_strbuf_add_char(out, use_by(use, is_code));
		pw_strbuf_add(out, name, strlen(name) + 1);
	}
	out->has_failed |= copy.has_failed;
	pw_strbuf_fini(&copy);
}

void pw_names_read(struct pw_client *c, const struct pw_effects *effects)
{
	struct pw_client_named *named = c->session ? &c->session->named : NULL;

	if (!named)
		return;
	pw_strbuf_reset(&named->list);
	named->may_forget = named->is_too_deep = false;
	named->values_use = 0;
	named->serial++;
	if (effects && effects->statements.len > 0)
		read_list(c, &effects->statements, false, 0);
	/* Then the server does not find them, and says so. */
	if (named->list.has_failed)
		pw_strbuf_reset(&named->list);
}

enum pw_going_back pw_names_note_runs(struct pw_client *c, bool is_bound)
{
	struct pw_client_named *named = c->session ? &c->session->named : NULL;
	enum pw_going_back result = PW_BACK_NOT, back;

	if (!named)
		return PW_BACK_NOT;
	for (size_t at = 0; at < named->list.len; at += strlen(named->list.data + at) + 1) {
		char use = named->list.data[at];
		struct pw_prepared_name *listed =
		    is_run(use) ? pw_prepared_find(c->prepared, named->list.data + at + 1) : NULL;

		if (!listed)
			continue;
		back = pw_session_note_run(c, listed->statement, is_bound,
					   use == PW_STATEMENT_RUN_BY_CODE);
		result = back > result ? back : result;
	}
	if (named->is_too_deep)
		c->session->effects.flags |= PW_EFFECTS_UNKNOWN | PW_EFFECT_UNSEEN;
	return result;
}

enum pw_going_back pw_names_note_query(struct pw_client *c, const struct pw_piece *piece)
{
	enum pw_going_back back = pw_session_note_query(c, piece), of_runs;

	if (!c->session)
		return back;
	pw_names_read(c, &c->session->effects);
	of_runs = pw_names_note_runs(c, false);
	return of_runs > back ? of_runs : back;
}

struct pw_prepared_name *pw_names_dropped(const struct pw_client *c)
{
	const struct pw_strbuf *list = c->session ? &c->session->named.list : NULL;

	for (size_t at = 0; list && at < list->len; at += strlen(list->data + at) + 1) {
		if (list->data[at] == PW_STATEMENT_DROPPED)
			return pw_prepared_find(c->prepared, list->data + at + 1);
	}
	return NULL;
}

/* SPDX-License-Identifier: PostgreSQL
 *
 * What a client's statements may leave behind in its link, noted as they go by, and what it means
 * when the client leaves.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client_priv.h"
#include "code_priv.h"
#include "listening_priv.h"
#include "pgweir/pool/code.h"
#include "pgweir/proto/writer.h"
#include "pgweir/sql/builtin.h"
#include "pgweir/sql/lexer.h"

enum { UNNAMED_MAX = 16 * 1024 };

bool pw_session_begin(struct pw_client *c, struct pw_params *wanted)
{
	bool has_params = false;

	c->session = calloc(1, sizeof(*c->session));
	if (!c->session)
		return false;
	for (unsigned i = 0; i < wanted->n; i++)
		has_params |= wanted->values[i] != NULL;
	pw_unnamed_init(&c->session->unnamed);
	pw_brought_init(&c->session->brought, &c->clients->statements.key);
	c->session->initial = pw_state_ref(c->settings);
	c->session->initial_params = has_params ? pw_params_ref(wanted) : NULL;
	return true;
}

void pw_session_end(struct pw_client *c)
{
	if (!c->session)
		return;
	pw_effects_fini(&c->session->effects);
	pw_unnamed_fini(&c->session->unnamed);
	pw_strbuf_fini(&c->session->said);
	pw_brought_clear(&c->session->brought);
	pw_strbuf_fini(&c->session->named.list);
	pw_strbuf_fini(&c->session->dropping);
	pw_strbuf_fini(&c->session->ahead_error);
	pw_residue_fini(&c->session->residue);
	pw_strbuf_fini(&c->session->code_error);
	pw_listening_end(c);
	pw_state_unref(c->session->initial);
	pw_params_unref(&c->clients->pools->params, c->session->initial_params);
	pw_params_unref(&c->clients->pools->params, c->session->params_before);
	free(c->session);
	c->session = NULL;
}

/* ---- pins ---- */

/* clang-format off */
static const struct {
	unsigned effect;
	struct pw_pin_reason is;
} reasons[PW_PIN_REASONS] = {
    {PW_EFFECT_TEMP, {"temporary objects",
                      "Temporary tables, views, sequences, functions or types.",
                      "the last one is dropped; DISCARD TEMP"}},
    {PW_EFFECT_HOLD, {"cursors with hold", "DECLARE ... WITH HOLD, once committed.", "CLOSE"}},
    {PW_EFFECT_LOCKS, {"advisory locks", "pg_advisory_lock() and its kin.",
                       "they are unlocked"}},
    {PW_EFFECT_PREPARED, {"prepared statements", "SQL's PREPARE; not those of the protocol.",
                          "DEALLOCATE"}},
    {PW_EFFECT_LISTENS, {"listen", "LISTEN, where no connection listens for all clients "
                                   "(docs/SESSIONS.md says where).", "UNLISTEN"}},
    {PW_EFFECT_LOAD, {"load", "LOAD of a library.", NULL}},
    {PW_EFFECT_SEED, {"setseed", "setseed() or SET SEED.", NULL}},
    {PW_EFFECT_ORIGIN, {"replication origin", "pg_replication_origin_session_setup().", NULL}},
    {PW_EFFECT_SLOT, {"temporary slot", "A temporary replication slot.", NULL}},
    {PW_EFFECT_BACKUP, {"backup", "pg_backup_start().", NULL}},
    {PW_EFFECT_OPAQUE, {"settings of unknown names",
                        "A setting whose name is put together when the statement runs, or has "
                        "other characters than those of ASCII; more than 500 names with a dot.",
                        NULL}},
    {PW_EFFECT_UNTOLD, {"no answer yet",
                        "The server could not say, or may not, what is in the session.",
                        "it can say, asked again after the next transaction"}},
    {PW_EFFECT_DBLINK, {"dblink", "dblink_connect() or dblink_connect_u().", NULL}},
    {PW_EFFECT_RIGHTS, {"settings of another role",
                        "A setting that the user may not set by itself, made under another role.",
                        "it is taken back"}},
};
/* clang-format on */

void pw_client_pins(const struct pw_client *c, char *out, size_t size)
{
	size_t len = 0;

	out[0] = '\0';
	for (size_t i = 0; c->session && i < PW_COUNTOF(reasons); i++) {
		if (c->session->pins & reasons[i].effect && len < size)
			len += (size_t)snprintf(out + len, size - len, "%s%s", len > 0 ? ", " : "",
						reasons[i].is.name);
	}
}

const struct pw_pin_reason *pw_client_pin_reason(size_t i)
{
	return &reasons[i].is;
}

static void count_pins(struct pw_pin_count *counts, unsigned before, unsigned pins)
{
	for (size_t i = 0; i < PW_COUNTOF(reasons); i++) {
		if (before & ~pins & reasons[i].effect)
			atomic_fetch_sub_explicit(&counts[i].now, 1, memory_order_relaxed);
		if (~before & pins & reasons[i].effect) {
			atomic_fetch_add_explicit(&counts[i].now, 1, memory_order_relaxed);
			atomic_fetch_add_explicit(&counts[i].total, 1, memory_order_relaxed);
		}
	}
}

uint64_t pw_client_pinned_us(const struct pw_client *c)
{
	return c->session ? c->session->pinned_us : 0;
}

bool pw_session_pin(struct pw_client *c, unsigned pins)
{
	struct pw_client_session *s = c->session;
	struct pw_shared_pool *shared = c->loan.pool->shared;
	bool is_new = pins != 0 && s->pins == 0;
	int before;

	if (pins == 0 && s->pins != 0)
		atomic_fetch_sub(&shared->pinned, 1);
	if (pins == 0)
		s->pinned_us = 0;
	if (is_new)
		s->pinned_us = c->clients->loop->now_us;
	if (pins != s->pins)
		count_pins(shared->db->pins, s->pins, pins);
	s->pins = pins;
	if (!is_new)
		return true;
	/* In this order (hub.c). */
	before = atomic_fetch_add(&shared->pinned, 1);
	return before <
	       pw_pool_keepable(c->loan.pool, atomic_load(&shared->db->hub_pool) == shared->id);
}

/* ---- what goes by ---- */

static const char *tracked_value(const struct pw_client *c, const struct pw_params *params,
				 const char *name)
{
	int index = pw_tracked_find(c->clients->tracked, name);

	return index >= 0 && params ? params->values[index] : NULL;
}

/* Is the lexer right for texts under these settings? */
static bool are_readable(const struct pw_client *c, const struct pw_params *params)
{
	const char *strings = tracked_value(c, params, "standard_conforming_strings");
	const char *encoding = tracked_value(c, params, "client_encoding");

	return strings && strcmp(strings, "on") == 0 && encoding && pw_lexer_reads(encoding);
}

static bool may_set_by_code(const struct pw_client *c)
{
	bool is_known;
	unsigned flags = pw_session_flags(c, &is_known);

	return !is_known || flags & PW_EFFECT_SETTINGS;
}

/* May what was sent change how later texts are to be read? */
static bool may_change_reading(const struct pw_client *c)
{
	const struct pw_effects *effects = &c->session->effects;
	const struct pw_strbuf *names = &effects->names;

	/* What the database's code may have set is told by the time that nothing is owed. */
	if (effects->flags & PW_EFFECT_SETTINGS ||
	    (pw_link_has_request(c->loan.link) && may_set_by_code(c)))
		return true;
	if (effects->flags & PW_EFFECT_RESET_ALL && !are_readable(c, c->loan.pool->welcome_params))
		return true;
	for (size_t at = 0; at < names->len; at += strlen(names->data + at) + 1) {
		if (strcmp(names->data + at, "standard_conforming_strings") == 0 ||
		    strcmp(names->data + at, "client_encoding") == 0)
			return true;
	}
	return false;
}

bool pw_session_is_readable(struct pw_client *c)
{
	struct pw_client_session *s = c->session;

	if (!pw_id_equal(s->read_under, c->params->id)) {
		s->read_under = c->params->id;
		s->is_readable = are_readable(c, c->params);
	}
	return s->is_readable;
}

static bool is_readable(struct pw_client *c)
{
	return pw_session_is_readable(c) && !may_change_reading(c);
}

/* Read wrongly, at worst, the server does not find a statement, or has one for nothing. */
static void guess_statements(struct pw_client *c, struct pw_effects *effects, const char *text,
			     size_t len)
{
	struct pw_effects guess = PW_EFFECTS_INIT;

	if (pw_prepared_count(c->prepared) == 0 && pw_brought_count(&c->session->brought) == 0)
		return;
	pw_effects_judge(&guess, &c->clients->shapes, &c->clients->shape_key, text, len);
	pw_strbuf_add(&effects->statements, guess.statements.data, guess.statements.len);
	pw_effects_fini(&guess);
}

static void judge_as(struct pw_client *c, bool is_readable, struct pw_effects *effects,
		     const char *text, size_t len)
{
	struct pw_clients *clients = c->clients;

	if (is_readable)
		pw_effects_judge(effects, &clients->shapes, &clients->shape_key, text, len);
	else {
		pw_effects_judge_unread(effects, text, len);
		guess_statements(c, effects, text, len);
	}
}

bool pw_session_reads_now(struct pw_client *c)
{
	return c->loan.link ? is_readable(c) : pw_session_is_readable(c);
}

static void judge(struct pw_client *c, struct pw_effects *effects, const char *text, size_t len)
{
	judge_as(c, is_readable(c), effects, text, len);
}

/* A text that is the next string of a message. */
static void judge_rest(struct pw_client *c, bool is_readable, struct pw_effects *effects,
		       const struct pw_piece *piece, struct pw_cursor *body)
{
	const char *text;

	text = piece->is_last ? pw_cursor_string(body) : "";
	if (piece->is_last && !body->has_failed)
		judge_as(c, is_readable, effects, text, strlen(text));
	else
		effects->flags |= PW_EFFECTS_UNKNOWN | PW_EFFECT_UNSEEN;
}

void pw_session_note_error(struct pw_client *c, const struct pw_expect *about)
{
	if (!c->session)
		return;
	c->loan.link->has_unnamed &= c->loan.link->is_unnamed_sure;
	pw_unnamed_note_error(c, about);
}

enum pw_going_back pw_session_note_query(struct pw_client *c, const struct pw_piece *piece)
{
	struct pw_cursor body = pw_piece_body(piece);
	struct pw_client_session *s = c->session;
	struct pw_effects effects = PW_EFFECTS_INIT; /* of this text alone */
	enum pw_going_back result;

	if (!s)
		return PW_BACK_NOT;
	judge_rest(c, is_readable(c), &effects, piece, &body);
	s->values_use = pw_session_values_use(c, &effects);
	pw_failed_note_sent(
	    c, &effects, piece->is_last ? (const char *)piece->data + PW_HEADER_SIZE : NULL, false);
	result =
	    s->resets.back == PW_BATCH_BACK_NOT ? pw_resets_judge(c, &effects) : PW_BACK_REFUSED;
	pw_effects_merge(&s->effects, &effects);
	pw_session_note_calls(c, &effects);
	pw_strbuf_fini(&s->effects.statements);
	s->effects.statements = effects.statements;
	effects.statements = (struct pw_strbuf)PW_STRBUF_INIT;
	pw_effects_fini(&effects);
	return result;
}

bool pw_session_note_sync(struct pw_client *c)
{
	struct pw_client_session *s = c->session;
	bool result = s && s->must_restore && !s->may_copy;

	if (s) {
		s->effects.may_go_back |= s->must_restore && s->may_copy;
		s->must_restore = false;
		s->resets.back = PW_BATCH_BACK_NOT;
		s->may_copy = false;
		pw_unnamed_note_sync(c);
	}
	return result;
}

/* A text that is bound, with these effects. The Sync behind a COPY FROM STDIN is not its end, and
 * what is sent behind that would be taken for data: what was set back is seen when the transaction
 * is over. */
static void note_bound(struct pw_client *c, const struct pw_effects *effects)
{
	struct pw_client_session *s = c->session;
	enum pw_going_back back = pw_resets_judge(c, effects);

	s->must_restore |= back == PW_BACK_BEHIND;
	s->may_copy |= (effects->flags & (PW_EFFECT_COPY | PW_EFFECT_CODE)) != 0;
	if (s->initial->n > 0 || s->initial_params)
		pw_resets_note_bound(c, effects);
}

/* ---- statements ---- */

/* One that is too long is not there for the next link, as it is with other poolers. */
enum pw_status pw_session_note_unnamed(struct pw_client *c, const struct pw_piece *piece,
				       struct pw_cursor *body, unsigned *flags)
{
	struct pw_unnamed *u;

	if (!c->session || pw_link_skips_next(c->loan.link))
		return PW_OK;
	u = pw_unnamed_begin(c);
	if (!u)
		return PW_ENOMEM;
	*flags |= PW_EXPECT_UNNAMED;
	if (piece->is_last && piece->len <= UNNAMED_MAX)
		pw_strbuf_add(&u->parse, piece->data, piece->len);
	u->was_readable = is_readable(c);
	judge_rest(c, u->was_readable, &u->effects, piece, body);
	return PW_OK;
}

/* NULL: none, or it was too long to be kept. */
static const char *unnamed_text(const struct pw_unnamed *u)
{
	return u && u->parse.len > 0 && !u->parse.has_failed ? u->parse.data + PW_HEADER_SIZE + 1
							     : NULL;
}

void pw_session_read_unnamed(struct pw_client *c)
{
	struct pw_unnamed *u = c->session ? c->session->unnamed.now : NULL;
	const char *text = unnamed_text(u);

	if (!text || pw_unnamed_is_there(c) || u->was_readable == is_readable(c))
		return;
	u->was_readable = !u->was_readable;
	pw_effects_clear(&u->effects);
	judge_as(c, u->was_readable, &u->effects, text, strlen(text));
}

/* A statement is judged once, when it is first used; false: it cannot be read as yet. */
static bool judge_statement(struct pw_client *c, struct pw_statement *statement)
{
	if (!statement->is_judged && !is_readable(c))
		return false;
	if (!statement->is_judged)
		judge(c, &statement->effects, (const char *)statement->body, statement->text_len);
	statement->is_judged = true;
	return true;
}

static void add_unread(struct pw_client *c, const struct pw_statement *statement)
{
	struct pw_effects *effects = &c->session->effects;

	pw_strbuf_reset(&effects->statements);
	pw_strbuf_reset(&effects->resets);
	judge(c, effects, (const char *)statement->body, statement->text_len);
	pw_session_note_calls(c, effects);
}

static void add_effects_of(struct pw_client *c, struct pw_statement *statement)
{
	if (!judge_statement(c, statement)) {
		c->session->may_copy = true;
		add_unread(c, statement);
		return;
	}
	note_bound(c, &statement->effects);
	pw_failed_note_sent(c, &statement->effects, (const char *)statement->body, true);
	pw_effects_merge(&c->session->effects, &statement->effects);
	pw_session_note_calls(c, &statement->effects);
}

static void add_effects_by_code(struct pw_client *c, const struct pw_statement *statement)
{
	struct pw_effects *effects = &c->session->effects;

	pw_effects_merge(effects, &statement->effects);
	pw_session_note_calls(c, &statement->effects);
	effects->may_go_back |= statement->effects.resets.len > 0;
}

enum pw_going_back pw_session_note_run(struct pw_client *c, struct pw_statement *statement,
				       bool is_bound, bool is_code)
{
	const struct pw_effects *effects = &statement->effects;

	if (is_bound && !is_code) {
		add_effects_of(c, statement);
		return PW_BACK_NOT;
	}
	if (!judge_statement(c, statement)) {
		add_unread(c, statement);
		return PW_BACK_NOT;
	}
	/* What is sent behind a COPY would be taken for data. */
	if (is_code || c->session->effects.flags & PW_EFFECT_COPY) {
		add_effects_by_code(c, statement);
		return PW_BACK_NOT;
	}
	pw_failed_note_sent(c, effects, (const char *)statement->body, false);
	pw_effects_merge(&c->session->effects, effects);
	pw_session_note_calls(c, effects);
	return pw_resets_judge(c, effects);
}

const struct pw_effects *pw_session_effects_of(struct pw_client *c, struct pw_statement *statement)
{
	if (!c->session)
		return NULL;
	if (!statement)
		return c->session->unnamed.now ? &c->session->unnamed.now->effects : NULL;
	if (judge_statement(c, statement))
		return &statement->effects;
	pw_strbuf_reset(&c->session->effects.statements);
	guess_statements(c, &c->session->effects, (const char *)statement->body,
			 statement->text_len);
	return &c->session->effects;
}

static void note_unnamed_bound(struct pw_client *c, const struct pw_unnamed *u)
{
	note_bound(c, &u->effects);
	pw_failed_note_sent(c, &u->effects, unnamed_text(u), true);
	pw_effects_merge(&c->session->effects, &u->effects);
	pw_session_note_calls(c, &u->effects);
}

void pw_session_note_bind(struct pw_client *c, struct pw_statement *statement)
{
	struct pw_client_session *s = c->session;

	if (!s)
		return;
	if (statement)
		add_effects_of(c, statement);
	else if (s->unnamed.now)
		note_unnamed_bound(c, s->unnamed.now);
}

/* One that SQL's PREPARE made: what it speaks of was noted then. */
void pw_session_note_foreign(struct pw_client *c)
{
	struct pw_client_session *s = c->session;

	if (!s || !((s->pins | s->effects.flags) & PW_EFFECT_PREPARED))
		return;
	s->effects.flags |= PW_EFFECTS_UNREAD;
	pw_session_note_calls(c, &s->effects);
}

void pw_session_note_unknown(struct pw_client *c)
{
	if (!c->session)
		return;
	c->session->may_copy = true;
	c->session->effects.flags |= PW_EFFECTS_UNKNOWN | PW_EFFECT_UNSEEN;
}

/* libpq calls those of large objects in this way. A number in two pieces counts as any. */
bool pw_session_note_function(struct pw_client *c, const struct pw_piece *piece)
{
	struct pw_cursor body = pw_piece_body(piece);
	uint32_t oid = pw_cursor_u32(&body);
	bool is_known = !body.has_failed && pw_builtin_is_of_large_objects(oid);

	if (!is_known)
		pw_session_note_unknown(c);
	return is_known;
}

bool pw_session_may_parse_otherwise(const struct pw_client *c)
{
	const struct pw_effects *effects = c->session ? &c->session->effects : NULL;
	bool is_known;

	if (!effects)
		return false;
	/* Code may set what its transaction ends. */
	if ((effects->flags | pw_session_flags(c, &is_known)) &
	    (PW_EFFECT_SETTINGS | PW_EFFECT_RESET_ALL))
		return true;
	for (size_t at = 0; at < effects->names.len; at += strlen(effects->names.data + at) + 1) {
		if (pw_setting_is_baked(effects->names.data + at))
			return true;
	}
	return false;
}

bool pw_session_parses_aside(const struct pw_client *c)
{
	const struct pw_client_session *s = c->session;

	if (c->loan.link && c->loan.link->has_seen_ddl)
		return true;
	return s &&
	       (s->effects.flags & PW_EFFECT_PARSES || s->effects.makes_tables ||
		(s->pins | s->effects.flags) & PW_EFFECT_TEMP || pw_session_may_parse_otherwise(c));
}

bool pw_session_is_clean(const struct pw_client *c)
{
	const unsigned harmless =
	    PW_EFFECTS_OF_TABLES | PW_EFFECT_SEQUENCES | PW_EFFECT_COPY | PW_EFFECT_RESET_LOCAL;

	return c->session && c->session->pins == 0 && !c->session->effects.makes_tables &&
	       !(c->session->effects.flags & ~harmless);
}

/* ---- what it comes to ---- */

/* Names with a dot stay, with an empty value, whatever becomes of the rest. */
static bool note_dotted(struct pw_client *c)
{
	const struct pw_strbuf *names = &c->session->effects.names;
	struct pw_link *link = c->loan.link;

	for (size_t at = 0; at < names->len; at += strlen(names->data + at) + 1) {
		struct pw_state *changed;

		if (!strchr(names->data + at, '.'))
			continue;
		changed = pw_state_with(link->settings, names->data + at, "");
		if (!changed)
			return false;
		pw_state_unref(link->settings);
		link->settings = changed;
	}
	return true;
}

void pw_session_leave(struct pw_client *c)
{
	struct pw_link *link = c->loan.link;
	unsigned flags;
	bool is_known, has_rights;

	if (!c->session || !c->loan.pool)
		return;
	has_rights = c->session->pins & PW_EFFECT_RIGHTS;
	flags = pw_session_flags(c, &is_known) | c->session->pins;
	(void)pw_session_pin(c, 0);
	if (c->loan.state != PW_LOAN_HOLDING)
		return;
	pw_link_settle_draws(link, pw_session_has_drawn(c));
	link->has_seen_ddl |= c->session->effects.makes_tables;
	/* DISCARD ALL does not take these back, or not all of them. */
	link->must_reset |= c->session->listening != NULL;
	if (flags & (PW_EFFECTS_FOR_EVER | PW_EFFECT_CODE | PW_EFFECT_UNTOLD) || has_rights ||
	    !note_dotted(c))
		link->facts.must_close = true;
	else if (flags & ~(unsigned)(PW_EFFECT_DROPS | PW_EFFECT_SEQUENCES) ||
		 pw_brought_count(&c->session->brought) > 0)
		link->must_reset = true;
}

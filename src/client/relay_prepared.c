/* SPDX-License-Identifier: PostgreSQL
 *
 * Named statements of the extended protocol on changing links. The client's names never reach a
 * server: a statement is called by its content id there, parsed on a link when it is first used on
 * it, and forgotten there least recently used first.
 *
 * What a message changes is noted when it is sent and undone when the server turns out to have
 * skipped it (pool/expect.h), so that after any error names stand as PostgreSQL would have them.
 * Where that does not do, because the outcome of what was sent before decides what the message at
 * hand means, it waits, and all that follows it: behind a DISCARD ALL, or behind a Sync that may
 * save it from an error by which an earlier Parse or Close was skipped. So does a text that speaks
 * of statements by their names (relay_names.c). Errors are PostgreSQL's own: a name that the client
 * does not have goes to the server as it is; one that it has already is parsed again under the name
 * that exists, which the server refuses.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "client_priv.h"
#include "code_priv.h"
#include "names_priv.h"
#include "pgweir/pool/known.h"
#include "pgweir/proto/writer.h"
#include "plan_priv.h"
#include "route_priv.h"

static bool broken(struct pw_client *c, const struct pw_piece *piece)
{
	pw_client_fail(c, PW_SQLSTATE_PROTOCOL_VIOLATION, "broken %s packet",
		       pw_frontend_messages.rows[piece->type].name);
	return false;
}

static void answer(struct pw_client *c, char type)
{
	const uint8_t message[] = {(uint8_t)type, 0, 0, 0, 4};

	if (pw_route_keep_answer(c, message, sizeof(message)))
		return;
	c->loan.pool->stats.now.sent += sizeof(message);
	pw_batch_copy(pw_relay_to_client(c), message, sizeof(message));
}

/* ---- what must wait ---- */

/* The statement that a message is about; "" = none, or not to be seen. */
static const char *statement_name(const struct pw_piece *piece)
{
	struct pw_cursor body = pw_piece_body(piece);

	switch (pw_frontend_messages.rows[piece->type].role) {
	case PW_ROLE_BIND:
		(void)pw_cursor_string(&body); /* its portal */
		return pw_cursor_string(&body);
	case PW_ROLE_PARSE:
		return pw_cursor_string(&body);
	case PW_ROLE_DESCRIBE:
	case PW_ROLE_CLOSE:
		return pw_cursor_u8(&body) == 'S' ? pw_cursor_string(&body) : "";
	default:
		return "";
	}
}

/* Is there something that the server is going to answer without more? */
static bool may_drain(const struct pw_link *link)
{
	return link->expects.n_sync_points > 0 && !pw_link_awaits_borrower(link);
}

/* A description that was asked for in an earlier batch may be of what the link has now, and the
 * table change before the link has parsed it anew for this one. */
static bool must_be_told(struct pw_client *c, const struct pw_piece *piece)
{
	const struct pw_prepared_name *name;

	if (!c->prepared || pw_frontend_messages.rows[piece->type].role != PW_ROLE_BIND ||
	    !may_drain(c->loan.link))
		return false;
	name = pw_prepared_find(c->prepared, statement_name(piece));
	c->prepared->must_drain = name && name->n_untold > 0 && pw_plan_is_stale(c, name);
	return c->prepared->must_drain;
}

bool pw_relay_has_settled(struct pw_client *c)
{
	const struct pw_link *link = c->loan.link;

	if (pw_route_must_wait(c) || !pw_link_is_settled(link) || pw_unnamed_is_unsure(c) ||
	    pw_unnamed_must_drain(c) || (c->prepared && c->prepared->must_drain && may_drain(link)))
		return false;
	if (c->prepared)
		c->prepared->must_drain = false;
	return true;
}

static bool text_may_forget(const struct pw_piece *piece, const struct pw_cursor *text)
{
	return !piece->is_last ||
	       pw_statement_may_forget((const char *)text->at, pw_cursor_left(text));
}

static bool query_may_forget(const struct pw_piece *piece)
{
	struct pw_cursor body = pw_piece_body(piece);

	return text_may_forget(piece, &body);
}

bool pw_relay_must_wait(struct pw_client *c, const struct pw_piece *piece)
{
	enum pw_message_role role = pw_frontend_messages.rows[piece->type].role;

	if (pw_unnamed_must_drain(c) || (pw_unnamed_is_unsure(c) && pw_unnamed_is_meant(piece)))
		return true;
	if (!c->is_tracking)
		return false;
	if (pw_link_is_settled(c->loan.link))
		return must_be_told(c, piece);
	/* What a Query drops by name is known by the order of the answers. */
	if ((role == PW_ROLE_QUERY &&
	     (c->loan.link->expects.n_forgets > 0 || query_may_forget(piece))) ||
	    (role == PW_ROLE_BIND && c->unnamed_forgets))
		return true;
	return statement_name(piece)[0] != '\0' || pw_names_may_matter(c, piece);
}

bool pw_relay_forgets(const struct pw_client *c, const struct pw_piece *piece)
{
	return (c->session && c->session->named.may_forget) || query_may_forget(piece);
}

/* ---- Parse ---- */

/* An answer without the server is right only where the server would have given it: not in a failed
 * transaction, and not while earlier requests may still fail one. Nor where the text may mean
 * something else than it does elsewhere. */
static bool may_answer_parse(const struct pw_client *c)
{
	const struct pw_link *link = c->loan.link;

	return !pw_session_parses_aside(c) && link->transaction != 'E' && !link->is_skipping &&
	       link->expects.n_sync_points == 0;
}

static bool parse_new(struct pw_client *c, struct pw_prepared_name *name)
{
	struct pw_statement *statement = name->statement;
	struct pw_link *link = c->loan.link;

	if (pw_known_use(&link->facts.known, statement->id)) {
		if (may_answer_parse(c) && !pw_known_is_aside(&link->facts.known, statement->id) &&
		    pw_known_epoch(&link->facts.known, statement->id) == name->epoch) {
			if (!pw_plan_expect(c, PW_ROLE_PARSE, PW_EXPECT_LOCAL, statement, name))
				return false;
			pw_link_settle_local(link);
			return true;
		}
		/* In doubt the server says it: parsed once more under the same name. */
		if (!pw_plan_drop(c, statement->id, 0))
			return false;
	}
	return pw_plan_parse(c, statement, 0, name);
}

/* NULL = the unnamed one. */
static bool bring_for(struct pw_client *c, struct pw_statement *statement)
{
	const struct pw_effects *effects = pw_session_effects_of(c, statement);
	unsigned use = pw_session_values_use(c, effects);

	pw_names_read(c, effects);
	use |= c->session ? c->session->named.values_use : 0;
	return pw_relay_own_sequences(c, use) && pw_names_bring(c, false);
}

static bool refuse_size(struct pw_client *c, size_t len)
{
	const struct pw_conf *conf = c->clients->pools->snapshot->conf;
	struct pw_error err;

	pw_error_set(&err, PW_SQLSTATE_PROGRAM_LIMIT_EXCEEDED,
		     "too much memory used for prepared statements");
	pw_error_detail(
	    &err,
	    "This client holds %zu statements; the one of %zu bytes would exceed "
	    "prepared_statement_bytes_client (%d) or prepared_statement_bytes_total (%d).",
	    pw_prepared_count(c->prepared), len, conf->prepared_statement_bytes_client,
	    conf->prepared_statement_bytes_total);
	pw_error_hint(&err, "Close statements that are no longer used, or raise the limit.");
	pw_client_close(c, err.message, &err);
	return false;
}

/* The name exists: the server says so itself when it is parsed again under the name that it has. */
static bool parse_duplicate(struct pw_client *c, struct pw_prepared_name *name,
			    const struct pw_statement_key *key)
{
	struct pw_strbuf out = PW_STRBUF_INIT;
	size_t begin;

	if (!pw_plan_have(c, name) || !pw_plan_expect(c, PW_ROLE_PARSE, 0, name->statement, name))
		return false;
	begin = pw_writer_begin(&out, 'P');
	pw_strbuf_add(&out, name->statement->name, PW_STATEMENT_NAME_SIZE);
	pw_strbuf_add(&out, key->text, key->text_len + 1);
	pw_strbuf_add(&out, key->types, key->types_len);
	pw_writer_end(&out, begin);
	return pw_plan_send(c, &out);
}

/* No two Parses that make a name have the same. */
static struct pw_id own_of(const struct pw_client *c, const struct pw_statement_key *key)
{
	if (!pw_statement_is_of_session(key->text, key->text_len))
		return (struct pw_id){0, 0};
	return (struct pw_id){c->id, c->prepared ? c->prepared->n_added : 0};
}

/* Of a whole Parse, behind its name. */
static bool read_key(const struct pw_client *c, struct pw_cursor *body,
		     struct pw_statement_key *key)
{
	key->text = pw_cursor_string(body);
	key->text_len = strlen(key->text);
	key->types = body->at;
	key->types_len = pw_cursor_left(body);
	key->parse_state = pw_plan_parse_state(c);
	key->own = own_of(c, key);
	return !body->has_failed && key->types_len >= 2 &&
	       key->types_len == 2 + 4 * (size_t)pw_load_u16(key->types);
}

/* The client has a new name; NULL = it is closed. */
static struct pw_prepared_name *add_name(struct pw_client *c, const char *name,
					 const struct pw_statement_key *key)
{
	const struct pw_conf *conf = c->clients->pools->snapshot->conf;
	struct pw_prepared_name *listed = NULL;
	enum pw_status status = PW_ENOMEM;

	if (!c->prepared)
		c->prepared = pw_prepared_create(&c->clients->statements);
	if (c->prepared)
		status = pw_prepared_add(c->prepared, name, key,
					 (uint64_t)conf->prepared_statement_bytes_client,
					 (uint64_t)conf->prepared_statement_bytes_total, &listed);
	if (status == PW_ELIMIT)
		refuse_size(c, key->text_len);
	else if (status != PW_OK)
		pw_relay_out_of_memory(c);
	if (status != PW_OK)
		return NULL;
	listed->epoch = pw_plan_epoch(c);
	listed->made_in = pw_route_is_apart(c) ? c->route->serial : 0;
	return listed;
}

bool pw_relay_parse(struct pw_client *c, const struct pw_piece *piece)
{
	struct pw_expect unnamed = {.role = PW_ROLE_PARSE};
	struct pw_cursor body = pw_piece_body(piece);
	const char *name = pw_cursor_string(&body);
	struct pw_statement_key key = {.text = NULL};
	struct pw_prepared_name *listed;

	if (body.has_failed)
		return broken(c, piece);
	if (name[0] == '\0') {
		c->unnamed_forgets = text_may_forget(piece, &body);
		if (pw_session_note_unnamed(c, piece, &body, &unnamed.flags) != PW_OK)
			return pw_relay_out_of_memory(c);
		return bring_for(c, NULL) && pw_relay_forward(c, piece, &unnamed);
	}
	if (!piece->is_last)
		return refuse_size(c, piece->total);
	if (!read_key(c, &body, &key))
		return broken(c, piece);
	c->loan.pool->stats.now.client_parse_count++;
	listed = pw_prepared_find(c->prepared, name);
	if (listed)
		return parse_duplicate(c, listed, &key);
	listed = add_name(c, name, &key);
	if (listed && pw_session_parses_aside(c))
		pw_prepared_set_provisional(listed);
	return listed && pw_names_probe(c, listed) && bring_for(c, listed->statement) &&
	       parse_new(c, listed);
}

/* Has a server parsed the same, and did nothing change since? Only of a client whose session is
 * followed: else it depends on what others have set. */
static bool is_known_good(const struct pw_client *c, const struct pw_statement_key *key)
{
	const struct pw_shared_pool *shared = c->loan.pool->shared;
	struct pw_id id;

	return c->session && pw_statement_identify(&c->clients->statements, key, &id) &&
	       pw_parsed_is_current(&shared->db->parsed, shared->id, id, pw_plan_epoch(c));
}

enum pw_unlinked pw_relay_parse_unlinked(struct pw_client *c, const struct pw_piece *piece)
{
	struct pw_cursor body = pw_piece_body(piece);
	const char *name = pw_cursor_string(&body);
	struct pw_statement_key key = {.text = NULL};

	/* What is wrong with it a server says. */
	if (body.has_failed || name[0] == '\0' || !piece->is_last ||
	    pw_prepared_find(c->prepared, name) || !read_key(c, &body, &key) ||
	    !is_known_good(c, &key))
		return PW_UNLINKED_NEEDS_LINK;
	c->loan.pool->stats.now.client_parse_count++;
	if (!add_name(c, name, &key))
		return PW_UNLINKED_GONE;
	answer(c, '1');
	return PW_UNLINKED_ANSWERED;
}

/* A server has parsed the client's statement. Not to be relied on by others while the link may have
 * what they have not. */
static void note_parsed(const struct pw_client *c, const struct pw_expect *entry)
{
	const struct pw_link *link = c->loan.link;
	const struct pw_shared_pool *shared = link->shared;

	if (!link->has_seen_ddl && pw_session_is_clean(c))
		pw_parsed_note(&shared->db->parsed, shared->id, entry->statement,
			       pw_known_epoch(&link->facts.known, entry->statement));
}

/* ---- Bind ---- */

/* Of what bring_for() was last called for: it is bound. */
static void note_bind(struct pw_client *c, struct pw_statement *statement)
{
	pw_session_note_bind(c, statement);
	(void)pw_names_note_runs(c, true);
	c->portal_forgets |= c->session && c->session->named.may_forget;
}

/* Does the Bind, of which `rest` is what stands behind its names, hang on types that nobody has
 * asked for? As text, values are what they are. */
static bool needs_types(const struct pw_prepared_name *name, struct pw_cursor rest)
{
	uint16_t n;

	if (!name->statement->is_open || name->types || name->is_types_awaited)
		return false;
	n = pw_cursor_u16(&rest);
	for (uint16_t i = 0; i < n && !rest.has_failed; i++) {
		if (pw_cursor_u16(&rest) != 0)
			return true;
	}
	return rest.has_failed; /* the rest is to come */
}

static bool bring_with_names(struct pw_client *c)
{
	pw_session_read_unnamed(c);
	return bring_for(c, NULL) && pw_plan_bring_unnamed(c);
}

/* The text that is bound may end portals when it is run. */
static void note_ends(struct pw_client *c, const struct pw_prepared_name *name)
{
	const struct pw_effects *effects = name ? NULL : pw_session_effects_of(c, NULL);

	if (name ? name->statement->may_unbind : effects && effects->ends)
		pw_prepared_unbind_all(c->prepared);
}

unsigned pw_relay_note_query(struct pw_client *c, const struct pw_piece *piece)
{
	struct pw_cursor body = pw_piece_body(piece);

	if (pw_prepared_has_bound(c->prepared) &&
	    (!piece->is_last ||
	     pw_statement_may_unbind((const char *)body.at, pw_cursor_left(&body))))
		pw_prepared_unbind_all(c->prepared);
	return pw_relay_forgets(c, piece) ? PW_EXPECT_FORGETS : 0;
}

bool pw_relay_bind(struct pw_client *c, const struct pw_piece *piece)
{
	const struct pw_expect plain = {.role = PW_ROLE_BIND};
	struct pw_cursor body = pw_piece_body(piece);
	const char *portal = pw_cursor_string(&body);
	const char *name = pw_cursor_string(&body);
	struct pw_prepared_name *listed, *dropped;
	uint8_t head[PW_HEADER_SIZE] = {'B'};
	uint32_t length;

	if (body.has_failed)
		return broken(c, piece);
	listed = name[0] ? pw_prepared_find(c->prepared, name) : NULL;
	c->portal_forgets |= listed ? listed->statement->may_forget : c->unnamed_forgets;
	if (!listed) {
		if (name[0] == '\0' && !bring_with_names(c))
			return false;
		if (name[0] == '\0')
			note_bind(c, NULL);
		else
			pw_session_note_foreign(c);
		dropped = name[0] ? NULL : pw_names_dropped(c);
		note_ends(c, NULL);
		if (c->prepared)
			pw_prepared_note_bind(c->prepared, portal, NULL, dropped);
		return pw_relay_forward(c, piece, &plain);
	}
	/* What it speaks of came ahead of the question, if there was one, and is there. */
	if (c->prepared->asked != listed && !bring_for(c, listed->statement))
		return false;
	switch (pw_plan_use(c, listed, needs_types(listed, body))) {
	case PW_PLAN_READY:
		break;
	case PW_PLAN_ASKED:
		return true;
	case PW_PLAN_CHANGED:
		return pw_plan_refuse(c, listed, piece);
	case PW_PLAN_FAILED:
		return false;
	}
	note_bind(c, listed->statement); /* as it is read on this link */
	dropped = pw_names_dropped(c);
	c->loan.pool->stats.now.bind_count++;
	if (!pw_plan_expect(c, PW_ROLE_BIND, 0, listed->statement, listed))
		return false;
	note_ends(c, listed);
	pw_prepared_note_bind(c->prepared, portal, listed, dropped);
	length = (uint32_t)(piece->total - 1 - strlen(name) + PW_STATEMENT_NAME_SIZE - 1);
	for (int i = 0; i < 4; i++)
		head[1 + i] = (uint8_t)(length >> (24 - 8 * i));
	pw_batch_copy(pw_relay_to_server(c), head, sizeof(head));
	pw_batch_copy(pw_relay_to_server(c), portal, strlen(portal) + 1);
	pw_batch_copy(pw_relay_to_server(c), listed->statement->name, PW_STATEMENT_NAME_SIZE);
	if (piece->is_transient)
		pw_batch_copy(pw_relay_to_server(c), body.at, pw_cursor_left(&body));
	else
		pw_batch_add(pw_relay_to_server(c), body.at, pw_cursor_left(&body));
	return true;
}

bool pw_relay_execute(struct pw_client *c, const struct pw_piece *piece)
{
	struct pw_cursor body = pw_piece_body(piece);

	if (!pw_plan_expect(c, PW_ROLE_EXECUTE, PW_EXPECT_FORGETS, NULL,
			    pw_prepared_dropped(c->prepared, pw_cursor_string(&body))))
		return false;
	pw_relay_pass_on(c, piece);
	return true;
}

/* ---- Describe and Close ---- */

/* The kind byte and the name of a Describe or Close. */
static bool read_target(const struct pw_piece *piece, char *kind, const char **name)
{
	struct pw_cursor body = pw_piece_body(piece);

	*kind = (char)pw_cursor_u8(&body);
	*name = pw_cursor_string(&body);
	return !body.has_failed && pw_cursor_left(&body) == 0 && piece->is_last &&
	       (*kind == 'S' || *kind == 'P');
}

static bool pass_on(struct pw_client *c, const struct pw_piece *piece)
{
	pw_relay_pass_on(c, piece);
	return true;
}

static bool expect_description(struct pw_client *c, struct pw_prepared_name *name)
{
	if (!pw_plan_expect(c, PW_ROLE_DESCRIBE, 0, name->statement, name))
		return false;
	name->n_untold++;
	return true;
}

bool pw_relay_describe(struct pw_client *c, const struct pw_piece *piece)
{
	const struct pw_expect plain = {.role = PW_ROLE_DESCRIBE};
	struct pw_strbuf out = PW_STRBUF_INIT;
	struct pw_prepared_name *listed = NULL;
	const char *name;
	char kind, target[1 + PW_STATEMENT_NAME_SIZE] = "S";

	if (!read_target(piece, &kind, &name))
		return broken(c, piece);
	if (kind == 'P' && (listed = pw_prepared_bound(c->prepared, name)))
		return expect_description(c, listed) && pass_on(c, piece);
	if (kind == 'S' && name[0])
		listed = pw_prepared_find(c->prepared, name);
	if (listed && kind == 'S' && !bring_for(c, listed->statement))
		return false;
	if (!listed && kind == 'S' && name[0] == '\0' && !bring_with_names(c))
		return false;
	if (!listed)
		return pw_relay_forward(c, piece, &plain);
	if (!pw_plan_have(c, listed) || !pw_plan_have_types(c, listed) ||
	    !expect_description(c, listed))
		return false;
	memcpy(target + 1, listed->statement->name, PW_STATEMENT_NAME_SIZE);
	pw_write_message(&out, 'D', target, sizeof(target));
	return pw_plan_send(c, &out);
}

/* One that nobody else can use. */
static bool drop_own(struct pw_client *c, const struct pw_statement *statement)
{
	return !pw_statement_is_own(statement) ||
	       !pw_known_use(&c->loan.link->facts.known, statement->id) ||
	       pw_plan_drop(c, statement->id, 0);
}

bool pw_relay_close(struct pw_client *c, const struct pw_piece *piece)
{
	struct pw_expect plain = {.role = PW_ROLE_CLOSE};
	struct pw_prepared_name *listed = NULL;
	const char *name;
	char kind;

	if (!read_target(piece, &kind, &name))
		return broken(c, piece);
	if (kind == 'S' && name[0])
		listed = pw_prepared_find(c->prepared, name);
	else if (kind == 'P' && !pw_link_skips_next(c->loan.link))
		pw_prepared_unbind(c->prepared, name);
	if (pw_unnamed_is_meant(piece) && pw_unnamed_drop(c, &plain.flags) != PW_OK)
		return pw_relay_out_of_memory(c);
	if (!listed)
		return pw_relay_forward(c, piece, &plain);
	/* Other clients may use what the link has: only the client's name goes. */
	if (!pw_names_close(c, listed) || !drop_own(c, listed->statement))
		return false;
	if (!pw_plan_expect(c, PW_ROLE_CLOSE, PW_EXPECT_LOCAL, listed->statement, listed))
		return false;
	pw_prepared_unlist(listed);
	pw_link_settle_local(c->loan.link);
	return true;
}

enum pw_unlinked pw_relay_close_unlinked(struct pw_client *c, const struct pw_piece *piece)
{
	struct pw_prepared_name *listed = NULL;
	const char *name;
	char kind;

	if (!read_target(piece, &kind, &name)) {
		(void)broken(c, piece);
		return PW_UNLINKED_GONE;
	}
	if (kind == 'S' && name[0])
		listed = pw_prepared_find(c->prepared, name);
	if (listed)
		pw_prepared_unlist(listed);
	else if (kind == 'S' && !name[0])
		pw_unnamed_forget(c);
	answer(c, '3');
	return PW_UNLINKED_ANSWERED;
}

/* ---- answers ---- */

void pw_relay_settled(struct pw_client *c, const struct pw_expect *entry, bool is_done)
{
	struct pw_prepared_name *name = entry->object;

	if (entry->flags & PW_EXPECT_UNNAMED) {
		pw_unnamed_settled(c, entry, is_done);
		return;
	}
	if (is_done && entry->flags & PW_EXPECT_LOCAL && c->state != PW_CLIENT_CLOSED)
		answer(c, entry->role == PW_ROLE_PARSE ? '1' : '3');
	if (is_done && entry->role == PW_ROLE_PARSE && entry->flags & PW_EXPECT_KNOWN)
		note_parsed(c, entry);
	if (name && entry->role == PW_ROLE_DESCRIBE && entry->flags & PW_EXPECT_SWALLOW)
		name->is_types_awaited = false;
	else if (name && entry->role == PW_ROLE_DESCRIBE)
		name->n_untold--;
	if (name && is_done && entry->role == PW_ROLE_DESCRIBE)
		pw_plan_told(c, name, entry->flags & PW_EXPECT_SWALLOW);
	if (name && entry->flags & PW_EXPECT_NAMED)
		pw_names_settled(c, entry, is_done);
	/* Skipped: a name that was not made, one that was not closed. Statements that were parsed
	 * on our own account concern no name. */
	if (name && !is_done && !(entry->flags & PW_EXPECT_SWALLOW)) {
		if (entry->role == PW_ROLE_PARSE &&
		    entry->flags & (PW_EXPECT_KNOWN | PW_EXPECT_LOCAL))
			pw_prepared_unlist(name);
		else if (entry->role == PW_ROLE_CLOSE)
			pw_prepared_relist(name);
	}
	if (name)
		pw_prepared_name_unref(name);
}

static void forget_all(struct pw_client *c)
{
	pw_prepared_clear(c->prepared);
	pw_names_deallocated_all(c);
}

void pw_relay_command_complete(struct pw_client *c, const struct pw_piece *piece,
			       const struct pw_expect *about)
{
	const char *tag = (const char *)piece->data + PW_HEADER_SIZE;

	if (!piece->is_first || !piece->is_last || piece->data[piece->len - 1] != '\0')
		return;
	if (strcmp(tag, "DISCARD ALL") == 0 || strcmp(tag, "DEALLOCATE ALL") == 0)
		forget_all(c);
	else if (strcmp(tag, "DEALLOCATE") == 0)
		pw_names_deallocated(c, about);
}

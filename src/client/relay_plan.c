/* SPDX-License-Identifier: PostgreSQL
 *
 * What a link has of the statements that its clients share, and whether it is what the client at
 * hand was told. PostgreSQL refuses to run a statement whose rows have another shape than when it
 * was parsed ("cached plan must not change result type"), because the client may hold the older
 * description. Here a client's statement is parsed anew on other links, so the same is seen to
 * here: a client that was told a description gets rows of that shape or PostgreSQL's error. One
 * that was never told any does not see the error where its request can simply be sent again.
 *
 * Types that a server has found for parameters stay what they are in PostgreSQL, whatever becomes
 * of the tables, and values in binary are read by them. So where another link has found others, the
 * statement is parsed there with those that the client's name has from the link that first said.
 */
#include "config.h"

#include <string.h>

#include "client_priv.h"
#include "code_priv.h"
#include "pgweir/base/assert.h"
#include "pgweir/pool/known.h"
#include "pgweir/proto/writer.h"
#include "plan_priv.h"

enum { REPEAT_MAX = 16 * 1024 };

/* No statement has it: content names end in hex digits. */
static const char nobody[] = "pgweir_changed_result";

bool pw_plan_expect(struct pw_client *c, enum pw_message_role role, unsigned flags,
		    const struct pw_statement *statement, struct pw_prepared_name *name)
{
	struct pw_expect entry = {.role = role, .flags = flags};

	if (statement)
		entry.statement = statement->id;
	entry.object = name ? pw_prepared_name_ref(name) : NULL;
	if (pw_link_expect(c->loan.link, &entry) == PW_OK)
		return true;
	if (name)
		pw_prepared_name_unref(name);
	return pw_relay_out_of_memory(c);
}

bool pw_plan_send(struct pw_client *c, struct pw_strbuf *out)
{
	bool ok = !out->has_failed;

	if (ok)
		pw_batch_copy(pw_relay_to_server(c), out->data, out->len);
	pw_strbuf_fini(out);
	return ok || pw_relay_out_of_memory(c);
}

/* ---- what the link has ---- */

/* Close of a statement that the link has; its answer is not for the client. */
bool pw_plan_drop(struct pw_client *c, struct pw_id id, unsigned flags)
{
	struct pw_strbuf out = PW_STRBUF_INIT;
	struct pw_expect entry = {.role = PW_ROLE_CLOSE,
				  .flags = PW_EXPECT_SWALLOW | PW_EXPECT_KNOWN | flags,
				  .statement = id};
	char body[1 + PW_STATEMENT_NAME_SIZE] = "S";

	pw_statement_name(id, body + 1);
	pw_write_message(&out, 'C', body, strlen(body) + 1);
	if (pw_link_expect(c->loan.link, &entry) != PW_OK) {
		pw_strbuf_fini(&out);
		return pw_relay_out_of_memory(c);
	}
	pw_known_remove(&c->loan.link->facts.known, id);
	return pw_plan_send(c, &out);
}

/* Room for one more among those that the link knows. */
static bool make_room(struct pw_client *c)
{
	struct pw_known *known = &c->loan.link->facts.known;
	int max = c->clients->pools->snapshot->conf->max_prepared_statements;
	struct pw_id oldest;

	/* 0 is for clients to come; whoever logged in under another setting goes on as before. */
	if (max < 1)
		max = 1;
	while (pw_known_count(known) >= (size_t)max && pw_known_oldest(known, &oldest)) {
		if (!pw_plan_drop(c, oldest, 0))
			return false;
	}
	return true;
}

static bool send_parse(struct pw_client *c, const struct pw_statement *statement)
{
	struct pw_strbuf out = PW_STRBUF_INIT;
	size_t begin = pw_writer_begin(&out, 'P');

	pw_strbuf_add(&out, statement->name, PW_STATEMENT_NAME_SIZE);
	pw_strbuf_add(&out, statement->body, statement->text_len + 1 + statement->types_len);
	pw_writer_end(&out, begin);
	c->loan.pool->stats.now.server_parse_count++;
	return pw_plan_send(c, &out);
}

unsigned pw_plan_epoch(const struct pw_client *c)
{
	return atomic_load_explicit(&c->loan.pool->shared->db->ddl_epoch, memory_order_relaxed);
}

struct pw_parse_state pw_plan_parse_state(const struct pw_client *c)
{
	const struct pw_link *link = c->loan.link;
	/* What went ahead has not been told yet. */
	const struct pw_params *params = link && !link->is_syncing ? link->params : c->params;

	return (struct pw_parse_state){pw_params_parse_id(params), c->settings->parse_id};
}

/* The link would parse it under the settings that the client has by now. */
static bool renew(struct pw_client *c, struct pw_prepared_name *name)
{
	struct pw_parse_state now = pw_plan_parse_state(c);

	return pw_parse_states_equal(&name->statement->parse_state, &now) ||
	       pw_prepared_move(name, now) == PW_OK || pw_relay_out_of_memory(c);
}

/* The link parses the statement now; `flags` and `name` say whose answer it will be. */
bool pw_plan_parse(struct pw_client *c, struct pw_statement *statement, unsigned flags,
		   struct pw_prepared_name *name)
{
	struct pw_link *link = c->loan.link;
	struct pw_known *known = &link->facts.known;
	/* What comes before it may change the settings, and nobody has told yet. */
	bool is_unsure = link->expects.n > 0 || link->is_batch_open;

	if (!make_room(c))
		return false;
	link->is_parse_unsure |= is_unsure;
	if (!pw_plan_expect(c, PW_ROLE_PARSE, flags | PW_EXPECT_KNOWN, statement, name))
		return false;
	if (pw_known_add(known, statement->id) != PW_OK) {
		link->facts.must_close = true;
		return pw_relay_out_of_memory(c);
	}
	pw_known_parse_sent(known, statement->id);
	pw_known_set_epoch(known, statement->id,
			   pw_session_may_parse_otherwise(c) ? 0 : pw_plan_epoch(c));
	pw_known_set_aside(known, statement->id, pw_session_parses_aside(c));
	return send_parse(c, statement);
}

bool pw_plan_bring_unnamed(struct pw_client *c)
{
	static const char drop[] = {'C', 0, 0, 0, 6, 'S', 0};
	const unsigned flags = PW_EXPECT_SWALLOW | PW_EXPECT_UNNAMED;
	const struct pw_unnamed *u = c->session ? c->session->unnamed.now : NULL;
	bool is_kept = u && u->parse.len > 0 && !u->parse.has_failed;

	if (!c->session || pw_unnamed_is_there(c))
		return true;
	pw_session_read_unnamed(c);
	if (!pw_plan_expect(c, is_kept ? PW_ROLE_PARSE : PW_ROLE_CLOSE, flags, NULL, NULL))
		return false;
	c->session->unnamed.is_fresh = true;
	/* Where it has none, it may not find another client's either. */
	if (is_kept)
		pw_batch_copy(pw_relay_to_server(c), u->parse.data, u->parse.len);
	else
		pw_batch_copy(pw_relay_to_server(c), drop, sizeof(drop));
	return true;
}

/* ---- sending once more ---- */

static void forget_repeat(struct pw_client *c)
{
	c->prepared->may_repeat = false;
	pw_strbuf_wipe(&c->prepared->repeat); /* it may hold parameters */
	pw_strbuf_fini(&c->prepared->answer);
}

void pw_plan_forget_repeat(struct pw_client *c)
{
	if (!c->prepared)
		return;
	forget_repeat(c);
	c->prepared->asked = NULL;
}

/* What was kept back is for the client after all. */
static void end_repeat(struct pw_client *c)
{
	const struct pw_strbuf *answer = &c->prepared->answer;

	if (answer->len > 0)
		pw_batch_copy(pw_relay_to_client(c), answer->data, answer->len);
	forget_repeat(c);
}

/* A batch that begins with this statement, outside a transaction, has done nothing yet when the
 * statement turns out to be stale. */
static void begin_repeat(struct pw_client *c, const struct pw_prepared_name *name)
{
	const struct pw_link *link = c->loan.link;

	if (name->description > 0 || link->transaction != 'I' || !pw_link_owes_only_ahead(link) ||
	    c->prepared->may_repeat)
		return;
	c->prepared->may_repeat = true;
	c->prepared->is_repeat_whole = false;
}

void pw_plan_keep(struct pw_client *c, const struct pw_piece *piece)
{
	struct pw_prepared *prepared = c->prepared;
	enum pw_message_role role = pw_frontend_messages.rows[piece->type].role;

	if (!prepared || !prepared->may_repeat)
		return;
	if (!prepared->is_repeat_whole && prepared->repeat.len + piece->len <= REPEAT_MAX)
		pw_strbuf_add(&prepared->repeat, piece->data, piece->len);
	else
		end_repeat(c);
	if (prepared->repeat.has_failed)
		end_repeat(c);
	prepared->is_repeat_whole =
	    (role == PW_ROLE_SYNC || role == PW_ROLE_FLUSH) && piece->is_last;
	prepared->lacks_sync = role == PW_ROLE_FLUSH;
}

/* ParameterDescription comes even if the description of the rows then fails. */
bool pw_plan_answer(struct pw_client *c, const struct pw_piece *piece)
{
	struct pw_prepared *prepared = c->prepared;

	if (!prepared || !prepared->may_repeat)
		return false;
	if (piece->type == 't' && prepared->answer.len + piece->len <= REPEAT_MAX) {
		pw_strbuf_add(&prepared->answer, piece->data, piece->len);
		if (!prepared->answer.has_failed)
			return true;
	}
	end_repeat(c);
	return false;
}

bool pw_plan_is_repeating(const struct pw_client *c)
{
	return c->prepared && c->prepared->is_repeating;
}

/* "cached plan must not change result type", in whatever language. */
static bool is_changed_result(const struct pw_piece *piece)
{
	struct pw_error_fields fields;

	pw_parse_error_fields(piece->data + PW_HEADER_SIZE, piece->len - PW_HEADER_SIZE, &fields);
	return strcmp(fields.sqlstate, PW_SQLSTATE_FEATURE_NOT_SUPPORTED) == 0 &&
	       strcmp(fields.routine, "RevalidateCachedQuery") == 0;
}

/* The server skips everything up to a Sync, and the client has sent none yet. */
bool pw_plan_end_batch(struct pw_client *c)
{
	static const uint8_t sync[] = {'S', 0, 0, 0, 4};

	if (!pw_plan_expect(c, PW_ROLE_SYNC, PW_EXPECT_SWALLOW, NULL, NULL))
		return false;
	pw_batch_copy(pw_relay_to_server(c), sync, sizeof(sync));
	return true;
}

bool pw_plan_repeat(struct pw_client *c, const struct pw_piece *piece,
		    const struct pw_expect *about)
{
	const struct pw_prepared_name *name = about->object;
	struct pw_prepared *prepared = c->prepared;

	if (!is_changed_result(piece))
		return false;
	/* What this link has is of no use to anybody; what others have may not be either. */
	pw_known_doubt(&c->loan.link->facts.known, about->statement);
	atomic_fetch_add(&c->loan.pool->shared->db->ddl_epoch, 1);
	if (!prepared || !prepared->may_repeat || !prepared->is_repeat_whole ||
	    name->description > 0 || c->held || pw_reader_is_inside(&c->reader) ||
	    c->state != PW_CLIENT_RELAYING ||
	    !pw_relay_hold(c, prepared->repeat.data, prepared->repeat.len))
		return false;
	if (prepared->lacks_sync && !pw_plan_end_batch(c))
		return true;
	forget_repeat(c);
	prepared->is_repeating = true;
	pw_client_goto(c, PW_CLIENT_PREPARING);
	return true;
}

/* ---- what the client was told ---- */

/* What the link has may be older than the client's own Parse, with tables changed in between: the
 * client has a right to a plan that is no older than it asked for. A client that is older itself
 * gets PostgreSQL's error where the result has changed: it may hold the older description. */
bool pw_plan_have(struct pw_client *c, struct pw_prepared_name *name)
{
	struct pw_known *known = &c->loan.link->facts.known;
	struct pw_id id;

#ifdef PW_MUTANT_STATEMENT_ALWAYS_KNOWN
	return true;
#endif
	if (!renew(c, name))
		return false;
	id = name->statement->id;
	if (pw_known_use(known, id)) {
		if (pw_known_epoch(known, id) >= name->epoch) {
			begin_repeat(c, name);
			return true;
		}
		if (!pw_plan_drop(c, id, 0))
			return false;
	}
	return pw_plan_parse(c, name->statement, PW_EXPECT_SWALLOW, name);
}

bool pw_plan_is_stale(const struct pw_client *c, const struct pw_prepared_name *name)
{
	const struct pw_parse_state now = pw_plan_parse_state(c);

	return !pw_parse_states_equal(&name->statement->parse_state, &now) ||
	       pw_known_epoch(&c->loan.link->facts.known, name->statement->id) < name->epoch;
}

static struct pw_description said_of(const struct pw_client *c, const struct pw_prepared_name *name)
{
	return pw_known_description(&c->loan.link->facts.known, name->statement->id);
}

static bool send_describe(struct pw_client *c, struct pw_prepared_name *name)
{
	struct pw_strbuf out = PW_STRBUF_INIT;
	char target[1 + PW_STATEMENT_NAME_SIZE] = "S";

	if (!pw_plan_expect(c, PW_ROLE_DESCRIBE, PW_EXPECT_SWALLOW, name->statement, name))
		return false;
	memcpy(target + 1, name->statement->name, PW_STATEMENT_NAME_SIZE);
	pw_write_message(&out, 'D', target, sizeof(target));
	return pw_plan_send(c, &out);
}

/* Asks the link for the description; the client waits, with all that it sends. */
static bool ask(struct pw_client *c, struct pw_prepared_name *name)
{
	static const uint8_t flush[] = {'H', 0, 0, 0, 4};

	if (!send_describe(c, name))
		return false;
	pw_batch_copy(pw_relay_to_server(c), flush, sizeof(flush));
	c->prepared->asked = name;
	c->prepared->is_told = false;
	pw_client_goto(c, PW_CLIENT_PREPARING);
	return true;
}

/* The client has waited since for what the link has now: nothing is more recent. */
static bool is_as_asked(const struct pw_client *c, const struct pw_prepared_name *name)
{
	const struct pw_parse_state now = pw_plan_parse_state(c);

	return said_of(c, name).rows > 0 &&
	       pw_parse_states_equal(&name->statement->parse_state, &now);
}

/* Has the link found the types that the name has? */
static bool has_types(const struct pw_prepared_name *name, const struct pw_description *said)
{
	return !name->types || !name->statement->is_open || said->parameters == name->parameters;
}

/* The name is for a statement of these types from now on, which the link has. */
static bool close_types(struct pw_client *c, struct pw_prepared_name *name)
{
	if (pw_prepared_close_types(name) != PW_OK)
		return pw_relay_out_of_memory(c);
	return pw_plan_have(c, name);
}

bool pw_plan_have_types(struct pw_client *c, struct pw_prepared_name *name)
{
	const struct pw_description said = said_of(c, name);

	return has_types(name, &said) || close_types(c, name);
}

/* The client's values are on their way as it thinks that they are to be read. Nobody waits. */
static bool find_types(struct pw_client *c, struct pw_prepared_name *name)
{
	name->is_types_awaited = true;
	return send_describe(c, name);
}

/* The link has the statement; is it the one that the client was told of? `was_asked`: the link has
 * been asked just now. */
static enum pw_plan compare(struct pw_client *c, struct pw_prepared_name *name, bool was_asked)
{
	struct pw_description said = said_of(c, name);
	bool has_shape = name->description == 0 || said.rows == name->description;

	if (pw_link_skips_next(c->loan.link) || (has_shape && has_types(name, &said)))
		return PW_PLAN_READY;
	if (said.parameters > 0 && !has_types(name, &said))
		return close_types(c, name) ? compare(c, name, false) : PW_PLAN_FAILED;
	/* Unknown after asking: it has become another statement, or a doubtful one, meanwhile. */
	if (was_asked && said.rows > 0)
		return has_shape ? PW_PLAN_READY : PW_PLAN_CHANGED;
	/* The link's may be the older one of the two. */
	if (said.rows > 0 && !has_shape &&
	    (!pw_plan_drop(c, name->statement->id, 0) ||
	     !pw_plan_parse(c, name->statement, PW_EXPECT_SWALLOW, name)))
		return PW_PLAN_FAILED;
	return ask(c, name) ? PW_PLAN_ASKED : PW_PLAN_FAILED;
}

enum pw_plan pw_plan_use(struct pw_client *c, struct pw_prepared_name *name, bool needs_types)
{
	bool was_asked = c->prepared->asked == name;
	enum pw_plan plan;

	c->prepared->asked = NULL;
	if (!(was_asked && is_as_asked(c, name)) && !pw_plan_have(c, name))
		return PW_PLAN_FAILED;
	plan = compare(c, name, was_asked);
	if (plan == PW_PLAN_READY && needs_types && !pw_link_skips_next(c->loan.link) &&
	    !find_types(c, name))
		return PW_PLAN_FAILED;
	return plan;
}

void pw_plan_told(struct pw_client *c, struct pw_prepared_name *name, bool is_ours)
{
	const struct pw_link *link = c->loan.link;

	pw_prepared_tell_types(name, link->types.data, link->types.len,
			       link->description.parameters);
	name->is_types_told |= !is_ours && link->types.len > 0;
	if (is_ours)
		c->prepared->is_told |= c->prepared->asked == name;
	else if (!pw_statement_is_own(name->statement)) /* the server does not mind another shape */
		name->description = link->description.rows;
}

void pw_plan_resume(struct pw_client *c)
{
	if (pw_plan_is_repeating(c) || !(c->prepared->is_told || pw_link_skips_next(c->loan.link)))
		return;
	pw_client_goto(c, PW_CLIENT_RELAYING);
	pw_relay_release(c);
}

void pw_plan_repeat_now(struct pw_client *c)
{
	c->prepared->is_repeating = false;
	pw_client_goto(c, PW_CLIENT_RELAYING);
	pw_relay_release(c);
}

/* The server fails the batch, and the transaction, as it would have for the true reason. */
bool pw_plan_refuse(struct pw_client *c, struct pw_prepared_name *name,
		    const struct pw_piece *piece)
{
	struct pw_strbuf out = PW_STRBUF_INIT;
	size_t begin = pw_writer_begin(&out, 'B');

	pw_strbuf_add(&out, "", 1);
	pw_strbuf_add(&out, nobody, sizeof(nobody));
	pw_strbuf_add(&out, "\0\0\0\0\0\0", 6); /* no formats, no parameters */
	pw_writer_end(&out, begin);
	atomic_fetch_add(&c->loan.pool->shared->db->ddl_epoch, 1);
	c->is_dropping = !piece->is_last;
	if (pw_plan_expect(c, PW_ROLE_BIND, PW_EXPECT_REFUSED, name->statement, name))
		return pw_plan_send(c, &out);
	pw_strbuf_fini(&out);
	return false;
}

void pw_plan_write_changed(struct pw_strbuf *out)
{
	/* PostgreSQL's own; drivers look at the routine. */
	static const char fields[] = "SERROR\0VERROR\0C" PW_SQLSTATE_FEATURE_NOT_SUPPORTED
				     "\0Mcached plan must not change result type\0"
				     "RRevalidateCachedQuery\0";

	pw_write_message(out, 'E', fields, sizeof(fields));
}

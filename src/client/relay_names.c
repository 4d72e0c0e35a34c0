/* SPDX-License-Identifier: PostgreSQL
 *
 * SQL that speaks of statements by name: PREPARE, EXECUTE, DEALLOCATE, pg_prepared_statements. What
 * a client has prepared by the protocol bears another name on its link (relay_prepared.c), so ahead
 * of such a text it is parsed once more, under its own, and the server does the rest. Before the
 * link goes to anybody else, these are closed.
 */
#include "config.h"

#include <string.h>

#include "client_priv.h"
#include "names_priv.h"
#include "pgweir/pool/known.h"
#include "pgweir/pool/parsed.h"
#include "pgweir/proto/writer.h"
#include "plan_priv.h"

/* How the link has a name: parsed as the client's statement reads, or as nothing, which is enough
 * for a DEALLOCATE, or in whatever way, if at all. */
enum form {
	FORM_WHOLE = 1 << 0,
	FORM_EMPTY = 1 << 1,
	FORM_UNSURE = 1 << 2,
	FORM_NEW = 1 << 3, /* and if the server skips what was sent, not at all */
};

/* ---- messages ---- */

/* `whose`: for pw_names_settled(); NULL = it is not to hear of it. */
static bool send_close(struct pw_client *c, const char *name, unsigned flags,
		       struct pw_prepared_name *whose)
{
	struct pw_strbuf out = PW_STRBUF_INIT;
	size_t begin = pw_writer_begin(&out, 'C');

	pw_strbuf_add_char(&out, 'S');
	pw_strbuf_add(&out, name, strlen(name) + 1);
	pw_writer_end(&out, begin);
	flags |= PW_EXPECT_SWALLOW | (whose ? PW_EXPECT_NAMED : 0);
	if (pw_plan_expect(c, PW_ROLE_CLOSE, flags, NULL, whose))
		return pw_plan_send(c, &out);
	pw_strbuf_fini(&out);
	return false;
}

/* `statement` NULL: of no text. */
static bool send_parse(struct pw_client *c, const char *name, const struct pw_statement *statement,
		       unsigned flags, struct pw_prepared_name *whose)
{
	static const char nothing[] = "\0\0"; /* no text, no types */
	struct pw_strbuf out = PW_STRBUF_INIT;
	size_t begin = pw_writer_begin(&out, 'P');

	pw_strbuf_add(&out, name, strlen(name) + 1);
	if (statement)
		pw_strbuf_add(&out, statement->body,
			      statement->text_len + 1 + statement->types_len);
	else
		pw_strbuf_add(&out, nothing, sizeof(nothing));
	pw_writer_end(&out, begin);
	flags |= PW_EXPECT_SWALLOW | (whose ? PW_EXPECT_NAMED : 0);
	if (pw_plan_expect(c, PW_ROLE_PARSE, flags, NULL, whose))
		return pw_plan_send(c, &out);
	pw_strbuf_fini(&out);
	return false;
}

static bool send_sync(struct pw_client *c, unsigned flags)
{
	static const uint8_t sync[] = {'S', 0, 0, 0, 4};

	if (!pw_plan_expect(c, PW_ROLE_SYNC, PW_EXPECT_SWALLOW | flags, NULL, NULL))
		return false;
	pw_batch_copy(pw_relay_to_server(c), sync, sizeof(sync));
	return true;
}

static bool send_query(struct pw_client *c, const char *sql, unsigned flags)
{
	struct pw_strbuf out = PW_STRBUF_INIT;

	pw_write_query(&out, sql);
	if (pw_plan_expect(c, PW_ROLE_QUERY, PW_EXPECT_SWALLOW | flags, NULL, NULL))
		return pw_plan_send(c, &out);
	pw_strbuf_fini(&out);
	return false;
}

/* ---- bringing ---- */

static bool is_brought(const struct pw_client *c, const struct pw_prepared_name *name,
		       enum form form)
{
	const struct pw_brought_name *there = pw_brought_find(&c->session->brought, name->name);

	return there && there->form & (FORM_WHOLE | (unsigned)form);
}

/* Once for each name: a pipeline that calls one a thousand times sends its text once. */
static bool bring(struct pw_client *c, struct pw_prepared_name *name, enum form form,
		  unsigned flags)
{
	struct pw_brought *brought = &c->session->brought;
	struct pw_brought_name *there = pw_brought_find(brought, name->name);

	if (is_brought(c, name, form))
		return true;
	if (there)
		there->form = (unsigned)form | (there->form & FORM_NEW);
	else if (!pw_brought_add(brought, name->name, (unsigned)form | FORM_NEW))
		return pw_relay_out_of_memory(c);
	return send_close(c, name->name, flags, NULL) &&
	       send_parse(c, name->name, form == FORM_EMPTY ? NULL : name->statement, flags, name);
}

/* Where an error would cost the client its transaction, only what a server has parsed since the
 * last change of the database. */
static bool is_certain(const struct pw_client *c, const struct pw_prepared_name *name)
{
	const struct pw_shared_pool *shared = c->loan.pool->shared;

	return pw_parsed_is_current(&shared->db->parsed, shared->id, name->statement->id,
				    pw_plan_epoch(c));
}

/* Within a transaction, which it leaves as it was if it fails. */
static bool bring_aside(struct pw_client *c, struct pw_prepared_name *name, unsigned flags)
{
	static const char before[] = "SAVEPOINT pgweir_ahead";
	static const char after[] = "ROLLBACK TO pgweir_ahead; RELEASE pgweir_ahead";

	return send_query(c, before, flags) && bring(c, name, FORM_WHOLE, flags) &&
	       send_sync(c, flags) && send_query(c, after, flags);
}

/* One that fails is not to take the others along. `transaction` is the link's, or 0 where that is
 * not known. */
static bool bring_listed(struct pw_client *c, struct pw_prepared_name *name, char transaction,
			 unsigned flags)
{
	if (transaction == 'I')
		return bring(c, name, FORM_WHOLE, flags) && send_sync(c, flags);
	if (is_certain(c, name))
		return bring(c, name, FORM_WHOLE, flags);
	return transaction != 'T' || bring_aside(c, name, flags);
}

/* The link has the client's statements and no others. */
static bool bring_all(struct pw_client *c, unsigned flags)
{
	struct pw_known *known = &c->loan.link->facts.known;
	const struct pw_map *names = c->prepared ? &c->prepared->map : NULL;
	struct pw_map_node *node = names ? pw_map_next(names, NULL) : NULL;
	char transaction = flags && c->loan.link->expects.n == 0 ? c->loan.link->transaction : 0;
	struct pw_id id;

	while (pw_known_oldest(known, &id)) {
		if (!pw_plan_drop(c, id, flags))
			return false;
	}
	for (; node; node = pw_map_next(names, node)) {
		struct pw_prepared_name *name = PW_CONTAINER(node, struct pw_prepared_name, node);

		if (!is_brought(c, name, FORM_WHOLE) && !bring_listed(c, name, transaction, flags))
			return false;
	}
	return true;
}

static bool bring_named(struct pw_client *c, char use, const char *name, unsigned flags)
{
	struct pw_prepared_name *listed = pw_prepared_find(c->prepared, name);
	/* To be dropped, or in the way, it need not be one that can be parsed still. */
	bool is_whole = use == PW_STATEMENT_USED || use == PW_STATEMENT_RUN_BY_CODE;

	return !listed || bring(c, listed, is_whole ? FORM_WHOLE : FORM_EMPTY, flags);
}

/* Ahead of a batch whose first message wants to see all, they come in batches of their own, so that
 * one which cannot be parsed any more takes neither the others nor the batch along. */
static bool may_lead_batch(const struct pw_link *link, const struct pw_strbuf *list)
{
	return pw_link_seems_free(link) && list->data[0] == PW_STATEMENT_ALL &&
	       strlen(list->data) + 1 == list->len;
}

bool pw_names_bring(struct pw_client *c, bool is_query)
{
	const struct pw_strbuf *list = c->session ? &c->session->named.list : NULL;
	const struct pw_link *link = c->loan.link;
	uint32_t before = link->expects.n;
	unsigned flags;
	size_t at = 0;

	/* The server skips to a Sync of the client's, which must be the first it sees. */
	if (!list || list->len == 0 || (is_query && link->is_batch_open) ||
	    pw_link_skips_next(link))
		return true;
	flags = is_query || may_lead_batch(link, list) ? PW_EXPECT_AHEAD : 0;
	while (at < list->len) {
		const char *entry = list->data + at;

		at += strlen(entry) + 1;
		if (entry[0] == PW_STATEMENT_ALL ? !bring_all(c, flags)
						 : !bring_named(c, entry[0], entry + 1, flags))
			return false;
	}
	return !flags || link->expects.n == before || send_sync(c, flags);
}

bool pw_names_may_matter(const struct pw_client *c, const struct pw_piece *piece)
{
	enum pw_message_role role = pw_frontend_messages.rows[piece->type].role;
	struct pw_cursor body = pw_piece_body(piece);

	/* Nobody looks into a text that is too long. */
	if (!c->session || !piece->is_last)
		return false;
	if (role == PW_ROLE_BIND || (role == PW_ROLE_DESCRIBE && pw_cursor_u8(&body) == 'S'))
		return c->session->unnamed.now &&
		       c->session->unnamed.now->effects.statements.len > 0;
	if (role == PW_ROLE_PARSE)
		(void)pw_cursor_string(&body); /* no name */
	else if (role != PW_ROLE_QUERY)
		return false;
	return pw_statement_may_name((const char *)body.at, pw_cursor_left(&body));
}

/* ---- what becomes of them ---- */

void pw_names_note_drops(struct pw_client *c)
{
	const struct pw_strbuf *list = c->session ? &c->session->named.list : NULL;
	struct pw_strbuf *dropping = c->session ? &c->session->dropping : NULL;

	if (!list || (list->len == 0 && dropping->len == 0))
		return;
	pw_strbuf_reset(dropping); /* a Query waits until what may drop one has been answered */
	for (size_t at = 0; at < list->len; at += strlen(list->data + at) + 1) {
		const char *name = list->data + at + 1;

		if (list->data[at] == PW_STATEMENT_DROPPED)
			pw_strbuf_add(dropping, name, strlen(name) + 1);
	}
	if (dropping->has_failed)
		c->loan.link->facts.must_close = true;
}

static void forget_name(struct pw_client *c, const char *name)
{
	struct pw_prepared_name *listed = pw_prepared_find(c->prepared, name);

	pw_brought_remove(&c->session->brought, pw_brought_find(&c->session->brought, name));
	if (listed)
		pw_prepared_unlist(listed);
}

void pw_names_deallocated(struct pw_client *c, const struct pw_expect *about)
{
	struct pw_strbuf *dropping = c->session ? &c->session->dropping : NULL;

	if (!dropping || !about)
		return;
	if (about->role == PW_ROLE_EXECUTE) {
		if (about->object)
			forget_name(c, ((const struct pw_prepared_name *)about->object)->name);
	} else if (dropping->len > 0) {
		forget_name(c, dropping->data);
		pw_strbuf_consume(dropping, strlen(dropping->data) + 1);
	}
}

void pw_names_settled(struct pw_client *c, const struct pw_expect *entry, bool is_done)
{
	const char *name = ((const struct pw_prepared_name *)entry->object)->name;
	struct pw_brought *brought = c->session ? &c->session->brought : NULL;
	struct pw_brought_name *there = brought ? pw_brought_find(brought, name) : NULL;
	bool is_there = is_done && entry->role == PW_ROLE_PARSE;

	if (!brought)
		return;
	/* Closed behind it, and before as well. */
	if (is_there && !there && !pw_brought_add(brought, name, FORM_UNSURE))
		c->loan.link->facts.must_close = true;
	if (!there)
		return;
	if (is_there)
		there->form &= ~(unsigned)FORM_NEW;
	else if (there->form & (is_done ? FORM_UNSURE : FORM_NEW))
		pw_brought_remove(brought, there);
	else /* brought again behind the Close; or else what was before */
		there->form = is_done ? there->form | FORM_NEW : FORM_UNSURE;
}

void pw_names_take_error(struct pw_client *c, const struct pw_piece *piece)
{
	struct pw_strbuf *error = &c->session->ahead_error;

	pw_strbuf_reset(error);
	if (piece->is_first && piece->is_last)
		pw_strbuf_add(error, piece->data, piece->len);
}

void pw_names_forget_error(struct pw_client *c)
{
	if (c->session && c->session->ahead_error.len > 0)
		pw_strbuf_fini(&c->session->ahead_error);
}

bool pw_names_give_error(struct pw_client *c, const struct pw_piece *piece)
{
	struct pw_strbuf *error = c->session ? &c->session->ahead_error : NULL;
	struct pw_error_fields fields;
	bool is_told;

	if (!error || error->len == 0)
		return false;
	pw_parse_error_fields(piece->data + PW_HEADER_SIZE, piece->len - PW_HEADER_SIZE, &fields);
	is_told = !error->has_failed && piece->is_last &&
		  (strcmp(fields.sqlstate, PW_SQLSTATE_INVALID_STATEMENT_NAME) == 0 ||
		   strcmp(fields.sqlstate, PW_SQLSTATE_IN_FAILED_TRANSACTION) == 0);
	if (is_told)
		pw_batch_copy(pw_relay_to_client(c), error->data, error->len);
	pw_strbuf_fini(error);
	return is_told;
}

void pw_names_deallocated_all(struct pw_client *c)
{
	if (c->session)
		pw_brought_clear(&c->session->brought);
}

bool pw_names_close(struct pw_client *c, struct pw_prepared_name *name)
{
	struct pw_brought_name *there =
	    c->session ? pw_brought_find(&c->session->brought, name->name) : NULL;

	if (!there)
		return true;
	/* The server may skip the message: whatever is there by then is to be closed. */
	there->form = FORM_UNSURE | (there->form & FORM_NEW);
	return send_close(c, name->name, 0, name);
}

bool pw_names_probe(struct pw_client *c, const struct pw_prepared_name *name)
{
	const struct pw_client_session *s = c->session;

	if (!s || !((s->pins | s->effects.flags) & PW_EFFECT_PREPARED))
		return true;
	return send_parse(c, name->name, name->statement, 0, NULL) &&
	       send_close(c, name->name, 0, NULL);
}

bool pw_names_are_there(const struct pw_client *c)
{
	return c->session && pw_brought_count(&c->session->brought) > 0;
}

void pw_names_forget(struct pw_client *c)
{
#ifdef PW_MUTANT_NAMES_KEPT
	return;
#endif
	pw_brought_clear(&c->session->brought);
	pw_strbuf_reset(&c->session->dropping);
	pw_names_forget_error(c);
}

void pw_names_take_back(struct pw_client *c)
{
	struct pw_brought names = c->session->brought;
	struct pw_brought_name *name = pw_brought_next(&names, NULL);

	pw_brought_init(&c->session->brought, &names.key);
	pw_client_goto(c, PW_CLIENT_ASKING);
	c->loan.link->request_us = c->clients->loop->now_us; /* query_timeout covers it */
	while (name && send_close(c, name->name, 0, NULL))
		name = pw_brought_next(&names, name);
	if (!name && send_sync(c, 0))
		pw_clients_flush(c->clients);
	pw_brought_clear(&names);
}

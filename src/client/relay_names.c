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
#include "pgweir/pool/known.h"
#include "pgweir/proto/writer.h"

/* ---- lists of names ---- */

/* Each with its zero; where it stands, or len. */
static size_t find_name(const struct pw_strbuf *names, const char *name)
{
	size_t at = 0;

	while (at < names->len && strcmp(names->data + at, name) != 0)
		at += strlen(names->data + at) + 1;
	return at;
}

static void remove_name(struct pw_strbuf *names, const char *name)
{
	size_t at = find_name(names, name), end = at + strlen(name) + 1;

	if (at == names->len)
		return;
	memmove(names->data + at, names->data + end, names->len - end);
	names->len -= end - at;
}

/* ---- messages ---- */

static bool send_close(struct pw_client *c, const char *name)
{
	struct pw_strbuf out = PW_STRBUF_INIT;
	size_t begin = pw_writer_begin(&out, 'C');

	pw_strbuf_add_char(&out, 'S');
	pw_strbuf_add(&out, name, strlen(name) + 1);
	pw_writer_end(&out, begin);
	if (pw_plan_expect(c, PW_ROLE_CLOSE, PW_EXPECT_SWALLOW, NULL, NULL))
		return pw_plan_send(c, &out);
	pw_strbuf_fini(&out);
	return false;
}

/* Whatever it stands for, if `statement` is NULL. */
static bool send_parse(struct pw_client *c, const char *name, const struct pw_statement *statement)
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
	if (pw_plan_expect(c, PW_ROLE_PARSE, PW_EXPECT_SWALLOW, NULL, NULL))
		return pw_plan_send(c, &out);
	pw_strbuf_fini(&out);
	return false;
}

static bool send_sync(struct pw_client *c)
{
	static const uint8_t sync[] = {'S', 0, 0, 0, 4};

	if (!pw_plan_expect(c, PW_ROLE_SYNC, PW_EXPECT_SWALLOW, NULL, NULL))
		return false;
	pw_batch_copy(pw_relay_to_server(c), sync, sizeof(sync));
	return true;
}

/* ---- bringing ---- */

/* A text that only drops it needs no more than that it is there: its tables may be gone. */
static bool bring(struct pw_client *c, struct pw_prepared_name *name, bool is_dropped)
{
	struct pw_strbuf *brought = &c->session->brought;

	if (find_name(brought, name->name) == brought->len)
		pw_strbuf_add(brought, name->name, strlen(name->name) + 1);
	if (brought->has_failed)
		return pw_relay_out_of_memory(c);
	return send_close(c, name->name) &&
	       send_parse(c, name->name, is_dropped ? NULL : name->statement);
}

/* The link has the client's statements and no others. */
static bool bring_all(struct pw_client *c)
{
	struct pw_known *known = &c->loan.link->facts.known;
	const struct pw_map *names = c->prepared ? &c->prepared->map : NULL;
	struct pw_map_node *node = names ? pw_map_next(names, NULL) : NULL;
	struct pw_id id;

	while (pw_known_oldest(known, &id)) {
		if (!pw_plan_drop(c, id))
			return false;
	}
	for (; node; node = pw_map_next(names, node)) {
		if (!bring(c, PW_CONTAINER(node, struct pw_prepared_name, node), false))
			return false;
	}
	return true;
}

static bool bring_named(struct pw_client *c, char use, const char *name)
{
	struct pw_prepared_name *listed = pw_prepared_find(c->prepared, name);

	return !listed || bring(c, listed, use == PW_STATEMENT_DROPPED);
}

bool pw_names_bring(struct pw_client *c, const struct pw_effects *effects, bool is_query)
{
	const struct pw_strbuf *list = effects ? &effects->statements : NULL;
	const struct pw_link *link = c->loan.link;
	uint32_t before = link->expects.n;
	bool is_ok = true;

	/* The server skips to a Sync of the client's, which must be the first it sees. */
	if (!c->session || !list || list->len == 0 || (is_query && link->is_batch_open) ||
	    pw_link_skips_next(link))
		return true;
	for (size_t at = 0; is_ok && at < list->len; at += strlen(list->data + at) + 1) {
		char use = list->data[at];

		is_ok = use == PW_STATEMENT_ALL ? bring_all(c)
						: bring_named(c, use, list->data + at + 1);
	}
	return is_ok && (!is_query || link->expects.n == before || send_sync(c));
}

/* ---- what becomes of them ---- */

void pw_names_note_drops(struct pw_client *c, const struct pw_effects *effects)
{
	const struct pw_strbuf *list = effects ? &effects->statements : NULL;
	struct pw_strbuf *dropping = c->session ? &c->session->dropping : NULL;

	if (!list || !dropping || (list->len == 0 && dropping->len == 0))
		return;
	pw_strbuf_reset(dropping); /* whatever was to drop one has been answered */
	for (size_t at = 0; at < list->len; at += strlen(list->data + at) + 1) {
		const char *name = list->data + at + 1;

		if (list->data[at] == PW_STATEMENT_DROPPED)
			pw_strbuf_add(dropping, name, strlen(name) + 1);
	}
	if (dropping->has_failed)
		c->loan.link->facts.must_close = true;
}

void pw_names_deallocated(struct pw_client *c)
{
	struct pw_strbuf *dropping = c->session ? &c->session->dropping : NULL;
	struct pw_prepared_name *listed;

	if (!dropping || dropping->len == 0)
		return;
	remove_name(&c->session->brought, dropping->data);
	listed = pw_prepared_find(c->prepared, dropping->data);
	if (listed)
		pw_prepared_unlist(listed);
	pw_strbuf_consume(dropping, strlen(dropping->data) + 1);
}

bool pw_names_close(struct pw_client *c, const char *name)
{
	struct pw_strbuf *brought = c->session ? &c->session->brought : NULL;

	if (!brought || find_name(brought, name) == brought->len)
		return true;
	return send_close(c, name);
}

bool pw_names_probe(struct pw_client *c, const char *name)
{
	const struct pw_client_session *s = c->session;

	if (!s || !((s->pins | s->effects.flags) & PW_EFFECT_PREPARED))
		return true;
	return send_parse(c, name, NULL) && send_close(c, name);
}

bool pw_names_take_back(struct pw_client *c)
{
	struct pw_strbuf *brought = c->session ? &c->session->brought : NULL;
	size_t at = 0;

	if (!brought || brought->len == 0)
		return false;
	pw_client_goto(c, PW_CLIENT_ASKING);
	while (at < brought->len && send_close(c, brought->data + at))
		at += strlen(brought->data + at) + 1;
	if (at < brought->len || !send_sync(c))
		return true;
	pw_strbuf_reset(brought);
	pw_clients_flush(c->clients);
	return true;
}

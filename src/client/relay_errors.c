/* SPDX-License-Identifier: PostgreSQL
 *
 * Errors about a client's statements, for the relay: with the client's own names in them, and what
 * they show of the statement on its link.
 */
#include "config.h"

#include <string.h>

#include "client_priv.h"
#include "code_priv.h"
#include "names_priv.h"
#include "pgweir/pool/known.h"
#include "pgweir/proto/writer.h"
#include "plan_priv.h"

static void pass_error(struct pw_client *c, const struct pw_piece *piece)
{
	pw_relay_add(pw_relay_to_client(c), piece);
}

/* Copies text with every `from` in it replaced. */
static void add_replaced(struct pw_strbuf *out, const uint8_t *data, size_t len, const char *from,
			 const char *to)
{
	const uint8_t *end = data + len, *hit;

	while ((hit = memmem(data, (size_t)(end - data), from, strlen(from)))) {
		pw_strbuf_add(out, data, (size_t)(hit - data));
		pw_strbuf_add_string(out, to);
		data = hit + strlen(from);
	}
	pw_strbuf_add(out, data, (size_t)(end - data));
}

/* The server does not have a statement that it should, or has one that it should not (somebody
 * used DEALLOCATE ALL where we do not look): what we know of the link is wrong. */
static bool is_lost_statement(const struct pw_piece *piece, const struct pw_expect *about)
{
	bool is_duplicate_by_intent =
	    about->role == PW_ROLE_PARSE && !(about->flags & PW_EXPECT_KNOWN);
	struct pw_error_fields fields;

	pw_parse_error_fields(piece->data + PW_HEADER_SIZE, piece->len - PW_HEADER_SIZE, &fields);
	if (strcmp(fields.sqlstate, PW_SQLSTATE_INVALID_STATEMENT_NAME) == 0)
		return true;
	return strcmp(fields.sqlstate, PW_SQLSTATE_DUPLICATE_STATEMENT) == 0 &&
	       !is_duplicate_by_intent;
}

/* A value was not what the server took it for: the type that the server had found was none that
 * the client counts on, or the value is none at all. */
static bool is_bad_value(const struct pw_piece *piece, const struct pw_expect *about)
{
	struct pw_error_fields fields;

	if (about->role != PW_ROLE_BIND)
		return false;
	pw_parse_error_fields(piece->data + PW_HEADER_SIZE, piece->len - PW_HEADER_SIZE, &fields);
	return strncmp(fields.sqlstate, PW_SQLSTATE_CLASS_DATA, 2) == 0 ||
	       strcmp(fields.sqlstate, PW_SQLSTATE_PROTOCOL_VIOLATION) == 0;
}

static bool is_unknown_name(const struct pw_piece *piece)
{
	struct pw_error_fields fields;

	pw_parse_error_fields(piece->data + PW_HEADER_SIZE, piece->len - PW_HEADER_SIZE, &fields);
	return strcmp(fields.sqlstate, PW_SQLSTATE_INVALID_STATEMENT_NAME) == 0;
}

/* An error as built in `out`; the server's own where memory is short. */
static void send_to_client(struct pw_client *c, struct pw_strbuf *out, const struct pw_piece *piece)
{
	if (out->has_failed)
		pass_error(c, piece);
	else
		pw_batch_copy(pw_relay_to_client(c), out->data, out->len);
	pw_strbuf_fini(out);
}

/* Whose statement is called otherwise on the server; NULL = nobody's. */
static struct pw_prepared_name *name_of(const struct pw_expect *about)
{
	return about && about->role != PW_ROLE_EXECUTE && !(about->flags & PW_EXPECT_NAMED)
		   ? about->object
		   : NULL;
}

void pw_relay_error(struct pw_client *c, const struct pw_piece *piece,
		    const struct pw_expect *about)
{
	struct pw_prepared_name *name = name_of(about);
	struct pw_strbuf out = PW_STRBUF_INIT;
	char sent_as[PW_STATEMENT_NAME_SIZE];
	size_t begin;

	pw_session_note_error(c, about);
	if (about && about->flags & PW_EXPECT_AHEAD) {
		pw_names_take_error(c, piece);
		return;
	}
	if (pw_names_give_error(c, piece) ||
	    (name && piece->is_last && pw_plan_repeat(c, piece, about)))
		return;
	pw_failed_note_error(c, piece, about);
	(void)pw_plan_answer(c, piece);
	if (!name || !piece->is_last) {
		pass_error(c, piece);
		return;
	}
	if (about->flags & PW_EXPECT_REFUSED && is_unknown_name(piece)) {
		pw_plan_write_changed(&out);
		send_to_client(c, &out, piece);
		return;
	}
	if (is_lost_statement(piece, about))
		c->loan.link->facts.must_close = true;
	/* Tables that were changed past us leave it with arguments of other types than theirs: it
	 * is parsed anew for whoever prepares it next. */
	pw_known_doubt(&c->loan.link->facts.known, about->statement);
	if (!name->is_types_told && is_bad_value(piece, about))
		pw_prepared_forget_types(name);
	/* The client's name may stand for one that is parsed under other settings by now. */
	pw_statement_name(about->statement, sent_as);
	begin = pw_writer_begin(&out, 'E');
	add_replaced(&out, piece->data + PW_HEADER_SIZE, piece->len - PW_HEADER_SIZE, sent_as,
		     name->name);
	pw_writer_end(&out, begin);
	send_to_client(c, &out, piece);
}

/* SPDX-License-Identifier: PostgreSQL
 *
 * A borrower that writes down what it hears, see lib/fake_pool.h.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "fake_pool.h"

static struct fake_borrower *borrower_of(struct pw_loan *loan)
{
	struct fake_borrower *b = PW_CONTAINER(loan, struct fake_borrower, loan);

	assert_false(b->is_inside_call);
	return b;
}

static void hear(struct fake_borrower *b, const char *word)
{
	if (b->heard.len > 0)
		pw_strbuf_add_char(&b->heard, ' ');
	pw_strbuf_add_string(&b->heard, word);
}

static void hear_number(struct fake_borrower *b, const char *word, unsigned number)
{
	hear(b, word);
	pw_strbuf_printf(&b->heard, ":%u", number);
}

static void hear_error(struct fake_borrower *b, const char *word, const struct pw_error *err)
{
	hear(b, word);
	if (!err)
		return;
	b->last_error = *err;
	pw_strbuf_printf(&b->heard, ":%s", err->sqlstate);
}

/* ---- upcalls ---- */

static void on_link(struct pw_loan *loan)
{
	assert_int_equal(loan->state, PW_LOAN_HOLDING);
	assert_ptr_equal(loan->link->loan, loan);
	hear(borrower_of(loan), "link");
}

static void on_welcome(struct pw_loan *loan)
{
	assert_int_equal(loan->state, PW_LOAN_NONE);
	hear(borrower_of(loan), "welcome");
}

static void on_refused(struct pw_loan *loan, const struct pw_error *err)
{
	assert_int_equal(loan->state, PW_LOAN_NONE);
	hear_error(borrower_of(loan), "refused", err);
}

static void on_piece(struct pw_loan *loan, const struct pw_piece *piece,
		     const struct pw_expect *about)
{
	struct fake_borrower *b = borrower_of(loan);
	const char type[] = {(char)piece->type, '\0'};

	assert_ptr_equal(about, pw_expect_at(&loan->link->expects, 0));
	/* Of several messages in one piece each is heard. */
	for (size_t at = 0; piece->is_first && at < piece->len;
	     at += pw_load_u32(piece->data + at + 1) + 1)
		hear(b, type);
	pw_strbuf_add(&b->bytes, piece->data, piece->len);
}

static void on_settled(struct pw_loan *loan, const struct pw_expect *entry, bool is_done)
{
	struct fake_borrower *b = borrower_of(loan);
	struct fake_object *object = entry->object;

	assert_true(object || entry->flags & PW_EXPECT_LOCAL);
	if (!object) {
		hear(b, is_done ? "done:-" : "skipped:-");
		return;
	}
	assert_ptr_equal(object->owner, b);
	assert_int_equal(object->ends++, 0);
	hear_number(b, is_done ? "done" : "skipped", object->number);
}

static void on_ready(struct pw_loan *loan, bool was_swallowed)
{
	struct fake_borrower *b = borrower_of(loan);

	hear(b, was_swallowed ? "ready-own" : "ready");
	pw_link_find_out(loan->link);
	if (b->returns_when_free && pw_link_is_free(loan->link))
		pw_pool_return(loan, false, false);
}

static void on_chunk_end(struct pw_loan *loan)
{
	borrower_of(loan)->n_chunks++;
}

static void on_drained(struct pw_loan *loan)
{
	hear(borrower_of(loan), "drained");
}

static void on_parameter(struct pw_loan *loan, const char *name, const char *value)
{
	struct fake_borrower *b = borrower_of(loan);

	hear(b, name);
	pw_strbuf_printf(&b->heard, "=%s", value);
}

static void on_lost(struct pw_loan *loan, const struct pw_error *err)
{
	assert_int_equal(loan->state, PW_LOAN_NONE);
	assert_null(loan->link);
	hear_error(borrower_of(loan), "lost", err);
}

static void free_object(void *arg)
{
	struct fake_object *object = arg;

	assert_int_equal(object->ends++, 0);
	hear_number(object->owner, "freed", object->number);
}

static const struct pw_borrower_ops borrower_ops = {
    .on_link = on_link,
    .on_welcome = on_welcome,
    .on_refused = on_refused,
    .on_piece = on_piece,
    .on_settled = on_settled,
    .on_ready = on_ready,
    .on_chunk_end = on_chunk_end,
    .on_drained = on_drained,
    .on_parameter = on_parameter,
    .on_lost = on_lost,
    .free_object = free_object,
};

/* ---- what a borrower does ---- */

void fake_borrower_init(struct fake_borrower *b, struct pw_pool *pool)
{
	memset(b, 0, sizeof(*b));
	pw_loan_init(&b->loan, &borrower_ops);
	if (pool)
		pw_loan_bind(&b->loan, pool);
}

void fake_borrower_fini(struct fake_borrower *b)
{
	pw_pool_withdraw(&b->loan);
	if (b->loan.state == PW_LOAN_HOLDING)
		pw_pool_return(&b->loan, true, false);
	for (unsigned i = 0; i < b->n_objects; i++)
		assert_int_equal(b->objects[i].ends, 1);
	pw_loan_unbind(&b->loan);
	pw_strbuf_fini(&b->heard);
	pw_strbuf_fini(&b->bytes);
}

bool fake_borrow(struct fake_borrower *b)
{
	bool has_link;

	b->is_inside_call = true;
	has_link = pw_pool_borrow(&b->loan);
	b->is_inside_call = false;
	return has_link;
}

struct pw_id fake_statement(uint64_t n)
{
	return (struct pw_id){n, n + 1000};
}

unsigned fake_expect(struct fake_borrower *b, enum pw_message_role role, unsigned flags,
		     uint64_t statement)
{
	struct pw_expect entry = {.role = role, .flags = flags};
	struct pw_known *known = &b->loan.link->facts.known;

	if (statement > 0) {
		entry.statement = fake_statement(statement);
		entry.flags |= role == PW_ROLE_PARSE || role == PW_ROLE_CLOSE ? PW_EXPECT_KNOWN : 0;
	}
	if (entry.flags & PW_EXPECT_KNOWN && role == PW_ROLE_PARSE)
		assert_int_equal(pw_known_add(known, entry.statement), PW_OK);
	else if (entry.flags & PW_EXPECT_KNOWN)
		pw_known_remove(known, entry.statement);
	if (statement > 0 || flags & PW_EXPECT_LOCAL) {
		struct fake_object *object = &b->objects[b->n_objects++];

		assert_true(b->n_objects <= FAKE_OBJECTS_MAX);
		*object = (struct fake_object){.owner = b, .number = b->n_objects};
		entry.object = object;
	}
	assert_int_equal(pw_link_expect(b->loan.link, &entry), PW_OK);
	return entry.object ? b->n_objects : 0;
}

void fake_expect_all(struct fake_borrower *b, const char *letters)
{
	for (; *letters; letters++) {
		uint8_t type = (uint8_t)*letters;

		assert_int_not_equal(pw_frontend_messages.rows[type].role, PW_ROLE_NONE);
		(void)fake_expect(b, pw_frontend_messages.rows[type].role, 0, 0);
	}
}

void fake_say(struct fake_borrower *b, const void *data, size_t len)
{
	pw_stream_send(&b->loan.link->stream, data, len);
}

void fake_assert_heard(struct fake_borrower *b, const char *words)
{
	assert_string_equal(b->heard.data ? b->heard.data : "", words);
	pw_strbuf_reset(&b->heard);
}

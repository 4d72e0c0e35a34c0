/* SPDX-License-Identifier: PostgreSQL
 *
 * A message is in one of three states: its header is cut by the end of the input (`have`), it is
 * being brought together (`part`), or it passes through (`left`). Lengths are checked before use.
 */
#include "config.h"

#include "pgweir/proto/reader.h"

#include <stdlib.h>
#include <string.h>

#include "pgweir/base/strbuf.h"

void pw_reader_init(struct pw_reader *reader, const struct pw_message_table *table,
		    unsigned gather_for)
{
	memset(reader, 0, sizeof(*reader));
	reader->table = table;
	reader->gather_for = (uint8_t)(gather_for | PW_FOR_ALWAYS);
	reader->max_total = PW_MESSAGE_MAX;
	reader->max_parse = PW_PARSE_GATHER_CAP;
	reader->max_text =
	    gather_for & PW_FOR_SESSION ? PW_TEXT_GATHER_CAP : PW_PLAIN_TEXT_GATHER_CAP;
}

static void give_back(struct pw_reader *reader)
{
	if (reader->counted > 0)
		atomic_fetch_sub_explicit(reader->texts_held, reader->counted,
					  memory_order_relaxed);
	reader->counted = 0;
}

static void drop_part(struct pw_reader *reader)
{
	give_back(reader);
	if (!reader->part)
		return;
	if (reader->type == 'p')
		pw_strbuf_wipe(reader->part);
	else
		pw_strbuf_fini(reader->part);
	free(reader->part);
	reader->part = NULL;
	reader->is_done = false;
}

void pw_reader_fini(struct pw_reader *reader)
{
	drop_part(reader);
	reader->left = 0;
	reader->have = 0;
}

static size_t min_size(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* A text that would not be whole in the end is not waited for. */
static size_t text_cap(const struct pw_reader *reader)
{
	bool is_whole = reader->total - PW_HEADER_SIZE <= reader->max_text && !reader->is_too_much;

	return is_whole ? reader->max_text : PW_PLAIN_TEXT_GATHER_CAP;
}

/* A text that nobody keeps. `data` is the message's beginning. */
static bool is_text(const struct pw_reader *reader, const uint8_t *data, size_t len)
{
	enum pw_gather gather = reader->table->rows[reader->type].gather;
	bool has_no_name = len > PW_HEADER_SIZE && data[PW_HEADER_SIZE] == '\0';

	return gather == PW_GATHER_TEXT || (gather == PW_GATHER_PARSE && has_no_name);
}

/* How many bytes of a message's body are gathered at most? */
static size_t gather_cap(const struct pw_reader *reader, const uint8_t *data, size_t len)
{
	const struct pw_message_row *row = &reader->table->rows[reader->type];

	if (is_text(reader, data, len))
		return text_cap(reader);
	return row->gather == PW_GATHER_PARSE ? reader->max_parse : row->gather_cap;
}

/* Counts what is held of a text. No: of all together it is too much, and the text is to be handed
 * up as it comes. */
static bool may_hold(struct pw_reader *reader, const uint8_t *data, size_t len)
{
	size_t uncounted = PW_PLAIN_TEXT_GATHER_CAP + PW_HEADER_SIZE;
	uint32_t more;

	if (!reader->texts_held || len <= uncounted + reader->counted ||
	    !is_text(reader, data, len))
		return true;
	more = (uint32_t)(len - uncounted) - reader->counted;
	if (atomic_fetch_add_explicit(reader->texts_held, more, memory_order_relaxed) + more >
	    PW_TEXTS_HELD_MAX) {
		atomic_fetch_sub_explicit(reader->texts_held, more, memory_order_relaxed);
		reader->is_too_much = true;
		return false;
	}
	reader->counted += more;
	return true;
}

/* How many bytes of the message (header included) are needed beyond `len`, which has been seen?
 * 0 = enough. Never asks for more than the message holds. */
static size_t still_needed(const struct pw_reader *reader, const uint8_t *data, size_t len)
{
	const struct pw_message_row *row = &reader->table->rows[reader->type];
	size_t want = min_size(reader->total, gather_cap(reader, data, len) + PW_HEADER_SIZE);
	size_t skip = PW_HEADER_SIZE + (row->gather == PW_GATHER_KIND_NAME ? 1 : 0);
	int names = row->gather == PW_GATHER_NAMES_2 ? 2 : 1;

	if (len >= want)
		return 0;
	/* Whether a Parse has a name tells its first byte. */
	if (row->gather == PW_GATHER_PARSE && len <= PW_HEADER_SIZE)
		return 1;
	if (row->gather == PW_GATHER_ALL || row->gather == PW_GATHER_TEXT ||
	    row->gather == PW_GATHER_PARSE)
		return want - len;
	for (const uint8_t *at = data + min_size(skip, len), *end = data + len; names > 0;
	     names--) {
		at = memchr(at, 0, (size_t)(end - at));
		if (!at)
			return 1;
		at++;
	}
	return 0;
}

static bool is_gathered(const struct pw_reader *reader)
{
	const struct pw_message_row *row = &reader->table->rows[reader->type];

	return row->gather != PW_GATHER_NOTHING && (row->gather_for & reader->gather_for) != 0;
}

static enum pw_status check_header(struct pw_reader *reader, const uint8_t *head,
				   struct pw_piece *piece)
{
	uint32_t length = pw_load_u32(head + 1);
	const struct pw_message_row *row = &reader->table->rows[head[0]];

	reader->type = piece->type = head[0];
	reader->is_too_much = false;
	piece->total = length;
	if (!row->name || length < 4 || length >= PW_MESSAGE_MAX || length - 4 < row->min_body)
		return PW_EPROTO;
	reader->total = piece->total = length + 1;
	return reader->total > reader->max_total ? PW_ELIMIT : PW_OK;
}

/* Hands `len` bytes of the input up as a piece. */
static void take_piece(struct pw_reader *reader, struct pw_slice *in, size_t len,
		       struct pw_piece *piece)
{
	piece->data = in->data;
	piece->len = len;
	piece->type = reader->type;
	piece->total = reader->total;
	piece->is_transient = false;
	in->data += len;
	in->len -= len;
}

static void hand_up_part(struct pw_reader *reader, struct pw_piece *piece)
{
	piece->data = (const uint8_t *)reader->part->data;
	piece->len = reader->part->len;
	piece->type = reader->type;
	piece->total = reader->total;
	piece->is_first = true;
	piece->is_transient = true;
	reader->left = reader->total - (uint32_t)piece->len;
	piece->is_last = reader->left == 0;
	reader->is_done = true;
}

static enum pw_status begin_part(struct pw_reader *reader, const void *data, size_t len)
{
	size_t cap = (size_t)reader->table->rows[reader->type].gather_cap + PW_HEADER_SIZE;

	reader->part = calloc(1, sizeof(*reader->part));
	if (!reader->part)
		return PW_ENOMEM;
	reader->is_done = false;
	/* A password is gathered where nobody has logged in yet: no byte more than it needs. */
	if (reader->type == 'p' &&
	    !pw_strbuf_reserve_exact(reader->part, min_size(reader->total, cap)))
		return PW_ENOMEM;
	pw_strbuf_add(reader->part, data, len);
	return reader->part->has_failed ? PW_ENOMEM : PW_OK;
}

/* Goes on with a gathered message that earlier reads have begun. The names of a Bind may end
 * anywhere in the input, so it is fed in steps no larger than what is certainly needed. */
static enum pw_status continue_part(struct pw_reader *reader, struct pw_slice *in,
				    struct pw_piece *piece)
{
	struct pw_strbuf *part = reader->part;
	size_t need;

	while ((need = still_needed(reader, (const uint8_t *)part->data, part->len)) > 0) {
		size_t room = min_size(reader->total - part->len, in->len);
		size_t step = min_size(need > 1 ? need : 256, room);

		if (step == 0)
			return PW_AGAIN;
		if (!may_hold(reader, (const uint8_t *)part->data, part->len + step))
			continue; /* less is needed now */
		pw_strbuf_add(part, in->data, step);
		if (part->has_failed)
			return PW_ENOMEM;
		in->data += step;
		in->len -= step;
	}
	hand_up_part(reader, piece);
	return PW_OK;
}

/* The header's bytes were cut by the end of an earlier read. */
static enum pw_status finish_cut_header(struct pw_reader *reader, struct pw_slice *in,
					struct pw_piece *piece)
{
	size_t step = min_size(PW_HEADER_SIZE - reader->have, in->len);
	enum pw_status status;

	memcpy(reader->head + reader->have, in->data, step);
#ifndef PW_MUTANT_CUT_HEADER_FORGOTTEN
	reader->have += (uint8_t)step;
#endif
	in->data += step;
	in->len -= step;
	if (reader->have < PW_HEADER_SIZE)
		return PW_AGAIN;
	reader->have = 0;
	status = check_header(reader, reader->head, piece);
	if (status != PW_OK)
		return status;
	if (is_gathered(reader)) {
		status = begin_part(reader, reader->head, PW_HEADER_SIZE);
		return status == PW_OK ? continue_part(reader, in, piece) : status;
	}
	piece->data = reader->head;
	piece->len = PW_HEADER_SIZE;
	piece->is_first = true;
	piece->is_transient = true;
	reader->left = reader->total - PW_HEADER_SIZE;
	piece->is_last = reader->left == 0;
	return PW_OK;
}

/* Rows and COPY data come by the thousand, and nobody looks into them: how far do whole messages
 * like the one that ends at `end` go on? What is wrong with the next one is found at its turn. */
static size_t end_of_run(const struct pw_reader *reader, const struct pw_slice *in, size_t end)
{
	uint8_t type = in->data[0];
	uint32_t min_length = 4 + reader->table->rows[type].min_body, length;

	while (in->len - end >= PW_HEADER_SIZE && in->data[end] == type) {
		length = pw_load_u32(in->data + end + 1);
		if (length < min_length || length >= reader->max_total || length >= in->len - end)
			break;
		end += length + 1;
	}
	return end;
}

/* Nearly all are whole when they come: there is nothing to bring together. False = not this one. */
static bool take_whole(struct pw_reader *reader, struct pw_slice *in, struct pw_piece *piece)
{
	const struct pw_message_row *row;
	uint32_t length;
	size_t len;

	if (in->len < PW_HEADER_SIZE)
		return false;
	row = &reader->table->rows[in->data[0]];
	length = pw_load_u32(in->data + 1);
	if (!row->name || length < 4 + row->min_body || length >= reader->max_total ||
	    length >= in->len)
		return false;
	len = row->is_bulk ? end_of_run(reader, in, length + 1) : length + 1;
	*piece = (struct pw_piece){.data = in->data,
				   .len = len,
				   .total = length + 1,
				   .type = in->data[0],
				   .is_first = true,
				   .is_last = true};
	in->data += len;
	in->len -= len;
	return true;
}

/* One that is cut, or broken. */
static enum pw_status begin_message(struct pw_reader *reader, struct pw_slice *in,
				    struct pw_piece *piece)
{
	enum pw_status status = check_header(reader, in->data, piece);
	size_t here = in->len;

	if (status != PW_OK)
		return status;
	if (is_gathered(reader) && still_needed(reader, in->data, here) > 0 &&
	    may_hold(reader, in->data, here)) {
		status = begin_part(reader, in->data, here);
		in->data += here;
		in->len -= here;
		return status == PW_OK ? PW_AGAIN : status;
	}
	take_piece(reader, in, here, piece);
	piece->is_first = true;
	piece->is_last = false;
	reader->left = reader->total - (uint32_t)here;
	return PW_OK;
}

static enum pw_status begin_header(struct pw_reader *reader, struct pw_slice *in,
				   struct pw_piece *piece)
{
	/* An unknown type is refused at its first byte, not when the header is whole. */
	piece->type = in->data[0];
	piece->total = 0;
	if (!reader->table->rows[in->data[0]].name)
		return PW_EPROTO;
	memcpy(reader->head, in->data, in->len);
	reader->have = (uint8_t)in->len;
	in->data += in->len;
	in->len = 0;
	return PW_AGAIN;
}

static enum pw_status continue_message(struct pw_reader *reader, struct pw_slice *in,
				       struct pw_piece *piece)
{
	if (reader->part)
		return continue_part(reader, in, piece);
	if (reader->have > 0)
		return finish_cut_header(reader, in, piece);
	take_piece(reader, in, min_size(reader->left, in->len), piece);
	piece->is_first = false;
	reader->left -= (uint32_t)piece->len;
	piece->is_last = reader->left == 0;
	return PW_OK;
}

enum pw_status pw_reader_next(struct pw_reader *reader, struct pw_slice *in, struct pw_piece *piece)
{
	if (reader->is_done)
		drop_part(reader);
	if (in->len == 0)
		return PW_AGAIN;
	if (reader->part || reader->left > 0 || reader->have > 0)
		return continue_message(reader, in, piece);
	if (take_whole(reader, in, piece))
		return PW_OK;
	return in->len < PW_HEADER_SIZE ? begin_header(reader, in, piece)
					: begin_message(reader, in, piece);
}

void pw_reader_give_back(struct pw_reader *reader, struct pw_strbuf *out)
{
	if (reader->part && !reader->is_done)
		pw_strbuf_add(out, reader->part->data, reader->part->len);
	else if (reader->have > 0)
		pw_strbuf_add(out, reader->head, reader->have);
	drop_part(reader);
	reader->have = 0;
	reader->left = 0;
}

void pw_reader_unread(struct pw_reader *reader)
{
	reader->left = 0;
}

uint8_t pw_cursor_u8(struct pw_cursor *c)
{
	const uint8_t *p = pw_cursor_bytes(c, 1);

	return p ? p[0] : 0;
}

uint16_t pw_cursor_u16(struct pw_cursor *c)
{
	const uint8_t *p = pw_cursor_bytes(c, 2);

	return p ? pw_load_u16(p) : 0;
}

uint32_t pw_cursor_u32(struct pw_cursor *c)
{
	const uint8_t *p = pw_cursor_bytes(c, 4);

	return p ? pw_load_u32(p) : 0;
}

const char *pw_cursor_string(struct pw_cursor *c)
{
	const uint8_t *start = c->at;
	const uint8_t *zero = c->has_failed ? NULL : memchr(c->at, 0, pw_cursor_left(c));

	if (!zero) {
		c->has_failed = true;
		return "";
	}
	c->at = zero + 1;
	return (const char *)start;
}

const uint8_t *pw_cursor_bytes(struct pw_cursor *c, size_t n)
{
	const uint8_t *p = c->at;

	if (c->has_failed || pw_cursor_left(c) < n) {
		c->has_failed = true;
		return NULL;
	}
	c->at += n;
	return p;
}

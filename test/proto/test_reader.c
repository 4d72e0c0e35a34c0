/* SPDX-License-Identifier: PostgreSQL
 *
 * The reader gives the same messages whatever the boundaries of the reads: every type of both
 * tables, whole, byte by byte and in random cuts, for every set of purposes. Each chunk lies in
 * memory of its own size, freed behind the reader's back, so that a piece that outlives its chunk
 * is seen by AddressSanitizer.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pgweir/base/rng.h"
#include "pgweir/base/strbuf.h"
#include "pgweir/proto/reader.h"

enum { RANDOM_CUTS = 40, ALL_PURPOSES = PW_FOR_LOGIN | PW_FOR_PREPARED | PW_FOR_CONSOLE };

/* ---- building ---- */

static void add_message(struct pw_strbuf *out, uint8_t type, const void *body, size_t len)
{
	pw_strbuf_add_char(out, (char)type);
	pw_strbuf_add_u32(out, (uint32_t)len + 4);
	pw_strbuf_add(out, body, len);
}

/* Bodies with few zeros, so that names in them have some length. */
static void add_random_message(struct pw_strbuf *out, uint8_t type, size_t len, struct pw_rng *rng)
{
	pw_strbuf_add_char(out, (char)type);
	pw_strbuf_add_u32(out, (uint32_t)len + 4);
	for (size_t i = 0; i < len; i++)
		pw_strbuf_add_char(out, (char)(pw_rng_next(rng) % 16));
}

static struct pw_strbuf every_message(const struct pw_message_table *table, struct pw_rng *rng)
{
	static const size_t more[] = {0, 1, 2, 30, 600};
	struct pw_strbuf out = PW_STRBUF_INIT;

	for (size_t k = 0; k < PW_COUNTOF(more); k++) {
		for (unsigned type = 0; type < 256; type++) {
			if (table->rows[type].name)
				add_random_message(&out, (uint8_t)type,
						   table->rows[type].min_body + more[k], rng);
		}
	}
	assert_false(out.has_failed);
	return out;
}

/* ---- reading in cuts ---- */

/* What was handed up, put together again. */
struct collected {
	struct pw_reader reader;
	struct pw_strbuf bytes;
	struct pw_piece last;
	size_t n_messages;
	size_t max_first; /* longest first piece that was gathered */
	bool is_inside;
};

static void collected_init(struct collected *c, const struct pw_message_table *table,
			   unsigned purposes)
{
	memset(c, 0, sizeof(*c));
	pw_reader_init(&c->reader, table, purposes);
}

static void collected_fini(struct collected *c)
{
	pw_reader_fini(&c->reader);
	pw_strbuf_fini(&c->bytes);
}

static size_t count_zeros(const uint8_t *data, size_t len)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++)
		n += data[i] == 0;
	return n;
}

static size_t text_cap(const struct collected *c, const struct pw_piece *piece)
{
	bool is_whole =
	    piece->total - PW_HEADER_SIZE <= c->reader.max_text && !c->reader.is_too_much;

	return is_whole ? c->reader.max_text : PW_PLAIN_TEXT_GATHER_CAP;
}

static size_t cap_of(const struct collected *c, const struct pw_piece *piece)
{
	const struct pw_message_row *row = &c->reader.table->rows[piece->type];

	if (row->gather == PW_GATHER_TEXT)
		return text_cap(c, piece);
	if (row->gather != PW_GATHER_PARSE)
		return row->gather_cap;
	return piece->len > PW_HEADER_SIZE && piece->data[PW_HEADER_SIZE] == 0
		   ? text_cap(c, piece)
		   : c->reader.max_parse;
}

/* Is all there that the table promises for a first piece? */
static void check_gathered(const struct collected *c, const struct pw_piece *piece)
{
	const struct pw_message_row *row = &c->reader.table->rows[piece->type];
	size_t cap = cap_of(c, piece) + PW_HEADER_SIZE;
	size_t bound = piece->total < cap ? piece->total : cap;
	size_t skip = PW_HEADER_SIZE + (row->gather == PW_GATHER_KIND_NAME);
	size_t names = row->gather == PW_GATHER_NAMES_2 ? 2 : 1;

	if (!(row->gather_for & c->reader.gather_for) || row->gather == PW_GATHER_NOTHING ||
	    piece->len >= bound)
		return;
	assert_int_not_equal(row->gather, PW_GATHER_ALL);
	assert_int_not_equal(row->gather, PW_GATHER_TEXT);
	assert_int_not_equal(row->gather, PW_GATHER_PARSE);
	assert_true(piece->len > skip);
	assert_true(count_zeros(piece->data + skip, piece->len - skip) >= names);
}

/* Whole messages of one bulk type, all within the bounds. */
static void check_run(struct collected *c, const struct pw_piece *piece)
{
	const struct pw_message_row *row = &c->reader.table->rows[piece->type];
	size_t at = 0;

	assert_true(row->is_bulk);
	assert_true(piece->is_last);
	while (at < piece->len) {
		uint32_t length = pw_load_u32(piece->data + at + 1);

		assert_int_equal(piece->data[at], piece->type);
		assert_true(length >= 4 + row->min_body);
		assert_true(length < c->reader.max_total);
		at += length + 1;
		c->n_messages += at < piece->len;
	}
	assert_int_equal(at, piece->len);
}

static void check_piece(struct collected *c, const struct pw_piece *piece, const uint8_t *chunk,
			size_t len)
{
	assert_true(piece->len > 0);
	assert_int_equal(piece->is_first, !c->is_inside);
	if (!piece->is_transient)
		assert_true(piece->data >= chunk && piece->data + piece->len <= chunk + len);
	if (piece->is_first) {
		assert_true(piece->len >= PW_HEADER_SIZE);
		assert_int_equal(piece->data[0], piece->type);
		assert_int_equal(pw_load_u32(piece->data + 1) + 1, piece->total);
		check_gathered(c, piece);
		if (piece->is_transient && piece->len > c->max_first)
			c->max_first = piece->len;
	} else {
		assert_int_equal(piece->type, c->last.type);
		assert_int_equal(piece->total, c->last.total);
	}
	if (piece->is_first && piece->len > piece->total)
		check_run(c, piece);
	c->is_inside = !piece->is_last;
	c->n_messages += piece->is_last;
	c->last = *piece;
}

/* Feeds one chunk; PW_AGAIN when it is used up. */
static enum pw_status feed(struct collected *c, const void *data, size_t len)
{
	uint8_t *chunk = malloc(len ? len : 1);
	struct pw_slice in = {chunk, len};
	struct pw_piece piece;
	enum pw_status status;

	memcpy(chunk, data, len);
	while ((status = pw_reader_next(&c->reader, &in, &piece)) == PW_OK) {
		check_piece(c, &piece, chunk, len);
		pw_strbuf_add(&c->bytes, piece.data, piece.len);
	}
	if (status == PW_AGAIN)
		assert_int_equal(in.len, 0);
	else
		c->last = piece;
	free(chunk);
	return status;
}

/* max_cut 0 = all at once. */
static void feed_in_cuts(struct collected *c, const struct pw_strbuf *stream, size_t max_cut,
			 struct pw_rng *rng)
{
	for (size_t at = 0; at < stream->len;) {
		size_t len = max_cut ? 1 + pw_rng_next(rng) % max_cut : stream->len;

		if (len > stream->len - at)
			len = stream->len - at;
		assert_int_equal(feed(c, stream->data + at, len), PW_AGAIN);
		at += len;
	}
}

static void check_same(const struct pw_message_table *table, const struct pw_strbuf *stream,
		       size_t max_cut, unsigned purposes, struct pw_rng *rng)
{
	struct collected c;

	collected_init(&c, table, purposes);
	feed_in_cuts(&c, stream, max_cut, rng);
	assert_int_equal(c.bytes.len, stream->len);
	assert_memory_equal(c.bytes.data, stream->data, stream->len);
	assert_false(c.is_inside);
	assert_false(pw_reader_is_inside(&c.reader));
	collected_fini(&c);
}

static void check_table(const struct pw_message_table *table)
{
	static const size_t cuts[] = {2, 3, 5, 7, 17, 100, 1000};
	struct pw_rng rng;
	struct pw_strbuf stream;

	pw_rng_seed(&rng, 20260131);
	stream = every_message(table, &rng);
	for (unsigned purposes = 0; purposes <= ALL_PURPOSES; purposes += PW_FOR_LOGIN) {
		check_same(table, &stream, 0, purposes, &rng);
		check_same(table, &stream, 1, purposes, &rng);
		for (int i = 0; i < RANDOM_CUTS; i++)
			check_same(table, &stream, cuts[(size_t)i % PW_COUNTOF(cuts)], purposes,
				   &rng);
	}
	pw_strbuf_fini(&stream);
}

static void test_frontend_in_any_cuts(void **state)
{
	(void)state;
	check_table(&pw_frontend_messages);
}

static void test_backend_in_any_cuts(void **state)
{
	(void)state;
	check_table(&pw_backend_messages);
}

/* ---- bulk ---- */

static void add_rows(struct pw_strbuf *out, size_t n, struct pw_rng *rng)
{
	for (size_t i = 0; i < n; i++)
		add_random_message(out, 'D', 2 + pw_rng_next(rng) % 40, rng);
}

static void test_rows_come_as_one(void **state)
{
	struct pw_strbuf stream = PW_STRBUF_INIT;
	struct collected c;
	struct pw_rng rng;

	(void)state;
	pw_rng_seed(&rng, 7);
	add_rows(&stream, 1000, &rng);
	collected_init(&c, &pw_backend_messages, 0);
	assert_int_equal(feed(&c, stream.data, stream.len), PW_AGAIN);
	assert_int_equal(c.last.len, stream.len);
	assert_int_equal(c.n_messages, 1000);
	collected_fini(&c);
	pw_strbuf_fini(&stream);
}

static void test_rows_in_any_cuts(void **state)
{
	struct pw_strbuf stream = PW_STRBUF_INIT;
	struct pw_rng rng;

	(void)state;
	pw_rng_seed(&rng, 8);
	add_rows(&stream, 20, &rng);
	add_message(&stream, 'C', "SELECT 20", 10);
	add_rows(&stream, 3, &rng);
	add_message(&stream, 'd', "", 0);
	add_message(&stream, 'd', "x", 1);
	add_rows(&stream, 1, &rng);
	for (size_t max_cut = 1; max_cut < 300; max_cut += 1 + max_cut / 8) {
		struct collected c;

		collected_init(&c, &pw_backend_messages, 0);
		feed_in_cuts(&c, &stream, max_cut, &rng);
		assert_int_equal(c.n_messages, 27);
		assert_int_equal(c.bytes.len, stream.len);
		assert_memory_equal(c.bytes.data, stream.data, stream.len);
		collected_fini(&c);
	}
	pw_strbuf_fini(&stream);
}

/* What is wrong behind good rows is found, and the rows before it count. */
static void test_rows_before_a_bad_one(void **state)
{
	static const struct {
		uint32_t length;
		enum pw_status status;
	} bad[] = {{0, PW_EPROTO},          {3, PW_EPROTO},          {5, PW_EPROTO},
		   {0x7fffffff, PW_EPROTO}, {0xffffffff, PW_EPROTO}, {100, PW_ELIMIT}};

	(void)state;
	for (size_t i = 0; i < PW_COUNTOF(bad); i++) {
		struct pw_strbuf stream = PW_STRBUF_INIT;
		struct collected c;
		struct pw_rng rng;
		size_t good;

		pw_rng_seed(&rng, i);
		add_rows(&stream, 5, &rng);
		good = stream.len;
		pw_strbuf_add_char(&stream, 'D');
		pw_strbuf_add_u32(&stream, bad[i].length);
		for (int k = 0; k < 200; k++)
			pw_strbuf_add_char(&stream, 'D');
		collected_init(&c, &pw_backend_messages, 0);
		c.reader.max_total = 100;
		assert_int_equal(feed(&c, stream.data, stream.len), bad[i].status);
		assert_int_equal(c.bytes.len, good);
		assert_int_equal(c.n_messages, 5);
		collected_fini(&c);
		pw_strbuf_fini(&stream);
	}
}

/* ---- gathering ---- */

static void test_bind_names_at_every_cut(void **state)
{
	static const char body[] = "portal\0statement\0\0\0\0\0\0\0";
	const size_t names = sizeof("portal\0statement");
	struct pw_strbuf stream = PW_STRBUF_INIT;

	(void)state;
	add_message(&stream, 'B', body, sizeof(body));
	for (size_t a = 1; a < stream.len; a++) {
		for (size_t b = a; b < stream.len; b++) {
			struct collected c;

			collected_init(&c, &pw_frontend_messages, PW_FOR_PREPARED);
			assert_int_equal(feed(&c, stream.data, a), PW_AGAIN);
			assert_int_equal(c.bytes.len > 0, a >= PW_HEADER_SIZE + names);
			assert_int_equal(feed(&c, stream.data + a, b - a), PW_AGAIN);
			assert_int_equal(c.bytes.len > 0, b >= PW_HEADER_SIZE + names);
			assert_int_equal(feed(&c, stream.data + b, stream.len - b), PW_AGAIN);
			assert_memory_equal(c.bytes.data, stream.data, stream.len);
			assert_int_equal(c.n_messages, 1);
			collected_fini(&c);
		}
	}
	pw_strbuf_fini(&stream);
}

/* The kind byte may be a zero and is no end of a name. */
static void test_kind_byte_is_no_name(void **state)
{
	struct pw_strbuf stream = PW_STRBUF_INIT;
	struct collected c;

	(void)state;
	add_message(&stream, 'D', "\0name", 6);
	collected_init(&c, &pw_frontend_messages, PW_FOR_PREPARED);
	assert_int_equal(feed(&c, stream.data, stream.len - 1), PW_AGAIN);
	assert_int_equal(c.bytes.len, 0);
	assert_true(pw_reader_is_inside(&c.reader));
	assert_int_equal(feed(&c, stream.data + stream.len - 1, 1), PW_AGAIN);
	assert_int_equal(c.bytes.len, stream.len);
	collected_fini(&c);
	pw_strbuf_fini(&stream);
}

/* A message beyond its cap is handed up as far as the cap; what is kept stays bounded. */
static void check_cap(const struct pw_message_table *table, uint8_t type, unsigned purposes)
{
	bool is_text = table->rows[type].gather == PW_GATHER_TEXT;
	size_t cap = is_text ? PW_PLAIN_TEXT_GATHER_CAP : table->rows[type].gather_cap;
	size_t len = cap * 3;
	struct pw_strbuf stream = PW_STRBUF_INIT;
	uint8_t *body = malloc(len);
	struct collected c;
	struct pw_rng rng;

	pw_rng_seed(&rng, type);
	memset(body, 'x', len);
	add_message(&stream, type, body, len);
	collected_init(&c, table, purposes);
	feed_in_cuts(&c, &stream, 100, &rng);
	assert_int_equal(c.bytes.len, stream.len);
	assert_memory_equal(c.bytes.data, stream.data, stream.len);
	assert_true(c.max_first >= cap + PW_HEADER_SIZE);
	assert_true(c.max_first <= cap + PW_HEADER_SIZE + 256);
	collected_fini(&c);
	pw_strbuf_fini(&stream);
	free(body);
}

static void test_gather_caps(void **state)
{
	(void)state;
	check_cap(&pw_frontend_messages, 'Q', PW_FOR_CONSOLE);
	check_cap(&pw_frontend_messages, 'B', PW_FOR_PREPARED);
	check_cap(&pw_frontend_messages, 'D', PW_FOR_PREPARED);
	check_cap(&pw_frontend_messages, 'C', PW_FOR_PREPARED);
	check_cap(&pw_backend_messages, 'C', 0);
	check_cap(&pw_backend_messages, 'E', 0);
	check_cap(&pw_backend_messages, 'K', 0);
	check_cap(&pw_backend_messages, 'S', 0);
}

/* Of a Parse as much as can be of use: the owner's bound with a name, little without, unless the
 * text will be whole. */
static void check_parse_cap(const char *name, size_t len, size_t cap)
{
	struct pw_strbuf stream = PW_STRBUF_INIT;
	uint8_t *body = malloc(len);
	struct collected c;
	struct pw_rng rng;

	pw_rng_seed(&rng, cap);
	memset(body, 'x', len);
	memcpy(body, name, strlen(name) + 1);
	add_message(&stream, 'P', body, len);
	collected_init(&c, &pw_frontend_messages, PW_FOR_PREPARED);
	c.reader.max_parse = c.reader.max_text = 2 * PW_PLAIN_TEXT_GATHER_CAP;
	feed_in_cuts(&c, &stream, 100, &rng);
	assert_int_equal(c.bytes.len, stream.len);
	assert_memory_equal(c.bytes.data, stream.data, stream.len);
	assert_true(c.max_first >= cap + PW_HEADER_SIZE);
	assert_true(c.max_first <= cap + PW_HEADER_SIZE + 256);
	collected_fini(&c);
	pw_strbuf_fini(&stream);
	free(body);
}

static void test_parse_caps(void **state)
{
	struct pw_reader reader;

	(void)state;
	pw_reader_init(&reader, &pw_frontend_messages, PW_FOR_SESSION);
	assert_int_equal(reader.max_text, PW_TEXT_GATHER_CAP);
	pw_reader_fini(&reader);
	check_parse_cap("", 3 * PW_PLAIN_TEXT_GATHER_CAP, PW_PLAIN_TEXT_GATHER_CAP);
	check_parse_cap("", 2 * PW_PLAIN_TEXT_GATHER_CAP, 2 * PW_PLAIN_TEXT_GATHER_CAP);
	check_parse_cap("s", 3 * PW_PLAIN_TEXT_GATHER_CAP, 2 * PW_PLAIN_TEXT_GATHER_CAP);
}

/* ---- what all readers hold of texts ---- */

enum {
	TEXT_LEN = 4 * PW_PLAIN_TEXT_GATHER_CAP,
	UNCOUNTED = PW_PLAIN_TEXT_GATHER_CAP + PW_HEADER_SIZE
};

static struct pw_strbuf long_text(uint8_t type, const char *name)
{
	struct pw_strbuf stream = PW_STRBUF_INIT;
	uint8_t *body = malloc(TEXT_LEN);

	memset(body, 'x', TEXT_LEN);
	memcpy(body, name, strlen(name) + 1);
	add_message(&stream, type, body, TEXT_LEN);
	free(body);
	return stream;
}

static void counted_init(struct collected *c, _Atomic uint64_t *held)
{
	collected_init(c, &pw_frontend_messages, PW_FOR_PREPARED | PW_FOR_SESSION);
	c->reader.texts_held = held;
}

static void feed_from(struct collected *c, const struct pw_strbuf *stream, size_t begin, size_t end,
		      size_t step)
{
	for (size_t at = begin; at < end; at += step)
		assert_int_equal(feed(c, stream->data + at, step < end - at ? step : end - at),
				 PW_AGAIN);
}

/* A text that comes in steps is counted while it is held, and no longer. */
static void check_counted(uint8_t type, size_t step)
{
	struct pw_strbuf stream = long_text(type, "");
	_Atomic uint64_t held = 7;
	struct collected c;

	counted_init(&c, &held);
	feed_from(&c, &stream, 0, UNCOUNTED, step);
	assert_int_equal(held, 7);
	feed_from(&c, &stream, UNCOUNTED, stream.len - 1, step);
	assert_int_equal(held, 7 + stream.len - 1 - UNCOUNTED);
	feed_from(&c, &stream, stream.len - 1, stream.len, 1);
	assert_int_equal(held, 7);
	assert_int_equal(c.max_first, stream.len);
	feed_from(&c, &stream, 0, stream.len - 1, step);
	assert_int_not_equal(held, 7);
	collected_fini(&c);
	assert_int_equal(held, 7);
	pw_strbuf_fini(&stream);
}

/* Where all together hold too much, it goes on as it comes, from the old bound on. */
static void check_refused(uint8_t type, size_t step, uint64_t room)
{
	struct pw_strbuf stream = long_text(type, "");
	_Atomic uint64_t held = PW_TEXTS_HELD_MAX - room;
	struct collected c;

	counted_init(&c, &held);
	for (int i = 0; i < 2; i++) {
		feed_from(&c, &stream, 0, stream.len, step);
		assert_int_equal(held, PW_TEXTS_HELD_MAX - room);
	}
	assert_int_equal(c.n_messages, 2);
	assert_int_equal(c.bytes.len, 2 * stream.len);
	assert_memory_equal(c.bytes.data, stream.data, stream.len);
	assert_memory_equal(c.bytes.data + stream.len, stream.data, stream.len);
	assert_true(c.max_first <= UNCOUNTED + room);
	/* The next one is waited for again. */
	held = 0;
	feed_from(&c, &stream, 0, stream.len, step);
	assert_int_equal(c.max_first, stream.len);
	collected_fini(&c);
	pw_strbuf_fini(&stream);
}

static void test_texts_are_counted(void **state)
{
	static const size_t steps[] = {1000, 65536, 3 * PW_PLAIN_TEXT_GATHER_CAP};

	(void)state;
	for (size_t i = 0; i < PW_COUNTOF(steps); i++) {
		check_counted('Q', steps[i]);
		check_counted('P', steps[i]);
		check_refused('Q', steps[i], 0);
		check_refused('P', steps[i], 0);
		check_refused('Q', steps[i], 100000);
	}
}

/* It will be kept: other bounds hold for it. */
static void test_statements_are_not_counted(void **state)
{
	struct pw_strbuf stream = long_text('P', "s");
	_Atomic uint64_t held = PW_TEXTS_HELD_MAX;
	struct collected c;

	(void)state;
	counted_init(&c, &held);
	feed_from(&c, &stream, 0, stream.len, 65536);
	assert_int_equal(c.max_first, stream.len);
	assert_int_equal(held, PW_TEXTS_HELD_MAX);
	collected_fini(&c);
	pw_strbuf_fini(&stream);
}

/* What is put back is not held any more; nor is what a reader gives up in the middle. */
static void test_unread_text_is_given_back(void **state)
{
	struct pw_strbuf stream = long_text('Q', "");
	_Atomic uint64_t held = 0;
	struct pw_slice in, none = {NULL, 0};
	struct pw_piece piece;
	struct collected c;

	(void)state;
	counted_init(&c, &held);
	feed_from(&c, &stream, 0, stream.len - 1, 65536);
	in = (struct pw_slice){(const uint8_t *)stream.data + stream.len - 1, 1};
	assert_int_equal(pw_reader_next(&c.reader, &in, &piece), PW_OK);
	pw_reader_unread(&c.reader);
	assert_int_equal(pw_reader_next(&c.reader, &none, &piece), PW_AGAIN);
	assert_int_equal(held, 0);
	collected_fini(&c);
	pw_strbuf_fini(&stream);
}

static void test_no_buffer_when_idle(void **state)
{
	struct pw_strbuf stream = PW_STRBUF_INIT;
	struct pw_piece piece;
	struct pw_slice none = {NULL, 0};
	struct collected c;

	(void)state;
	add_message(&stream, 'P', "s\0select 1\0\0", 13);
	collected_init(&c, &pw_frontend_messages, PW_FOR_PREPARED);
	assert_int_equal(feed(&c, stream.data, 9), PW_AGAIN);
	assert_non_null(c.reader.part);
	assert_int_equal(feed(&c, stream.data + 9, stream.len - 9), PW_AGAIN);
	assert_int_equal(pw_reader_next(&c.reader, &none, &piece), PW_AGAIN);
	assert_null(c.reader.part);
	/* What lies whole in the input is never copied. */
	assert_int_equal(feed(&c, stream.data, stream.len), PW_AGAIN);
	assert_false(c.last.is_transient);
	assert_null(c.reader.part);
	collected_fini(&c);
	pw_strbuf_fini(&stream);
}

static void test_password_buffer_is_exact(void **state)
{
	struct pw_strbuf stream = PW_STRBUF_INIT;
	struct collected c;

	(void)state;
	add_message(&stream, 'p', "a password of some length that is not a power of two", 53);
	collected_init(&c, &pw_frontend_messages, PW_FOR_LOGIN);
	for (size_t i = 0; i < stream.len - 1; i++) {
		assert_int_equal(feed(&c, stream.data + i, 1), PW_AGAIN);
		assert_int_equal(c.bytes.len, 0);
		if (i >= PW_HEADER_SIZE)
			assert_int_equal(c.reader.part->cap, stream.len + 1);
	}
	assert_int_equal(feed(&c, stream.data + stream.len - 1, 1), PW_AGAIN);
	assert_memory_equal(c.bytes.data, stream.data, stream.len);
	assert_true(c.last.is_first && c.last.is_last && c.last.is_transient);
	collected_fini(&c);
	pw_strbuf_fini(&stream);
}

/* The length word alone, from somebody who has not logged in, costs no memory. */
static void test_huge_password_takes_no_memory(void **state)
{
	static const uint8_t head[] = {'p', 0x7f, 0xff, 0xff, 0xf0, 'x'};
	struct collected c;

	(void)state;
	for (size_t cut = 1; cut <= sizeof(head); cut++) {
		collected_init(&c, &pw_frontend_messages, PW_FOR_LOGIN);
		assert_int_equal(feed(&c, head, cut), PW_AGAIN);
		assert_int_equal(feed(&c, head + cut, sizeof(head) - cut), PW_AGAIN);
		assert_in_range(c.reader.part->cap, 1, PW_PASSWORD_GATHER_CAP + PW_HEADER_SIZE + 1);
		collected_fini(&c);
	}
	check_cap(&pw_frontend_messages, 'p', PW_FOR_LOGIN);
}

/* ---- refusals ---- */

static void test_max_total(void **state)
{
	static const char zeros[100];

	(void)state;
	for (size_t cut = 1; cut <= PW_HEADER_SIZE; cut++) {
		for (size_t len = 90; len < 100; len++) {
			struct pw_strbuf stream = PW_STRBUF_INIT;
			bool is_refused = len + PW_HEADER_SIZE > 99;
			struct collected c;

			collected_init(&c, &pw_frontend_messages, PW_FOR_LOGIN);
			c.reader.max_total = 99;
			add_message(&stream, 'p', zeros, len);
			assert_int_equal(feed(&c, stream.data, cut),
					 is_refused && cut == PW_HEADER_SIZE ? PW_ELIMIT
									     : PW_AGAIN);
			if (cut < PW_HEADER_SIZE)
				assert_int_equal(feed(&c, stream.data + cut, stream.len - cut),
						 is_refused ? PW_ELIMIT : PW_AGAIN);
			if (is_refused) {
				assert_int_equal(c.last.type, 'p');
				assert_int_equal(c.last.total, len + PW_HEADER_SIZE);
				assert_null(c.reader.part);
			}
			collected_fini(&c);
			pw_strbuf_fini(&stream);
		}
	}
}

static void check_unknown_types(const struct pw_message_table *table)
{
	for (unsigned type = 0; type < 256; type++) {
		for (size_t len = 1; len <= PW_HEADER_SIZE + 1; len++) {
			const uint8_t data[] = {(uint8_t)type, 0, 0, 0, 5, 0};
			struct collected c;

			collected_init(&c, table, ALL_PURPOSES);
			if (!table->rows[type].name) {
				assert_int_equal(feed(&c, data, len), PW_EPROTO);
				assert_int_equal(c.last.type, type);
				assert_int_equal(c.bytes.len, 0);
			} else if (len < PW_HEADER_SIZE) {
				assert_int_equal(feed(&c, data, len), PW_AGAIN);
			}
			collected_fini(&c);
		}
	}
}

static void test_unknown_types(void **state)
{
	(void)state;
	check_unknown_types(&pw_frontend_messages);
	check_unknown_types(&pw_backend_messages);
}

/* The verdict on a length word, at every cut of the header. */
static void check_length(const struct pw_message_table *table, uint8_t type, uint32_t length,
			 bool is_possible)
{
	const uint8_t head[] = {type, (uint8_t)(length >> 24), (uint8_t)(length >> 16),
				(uint8_t)(length >> 8), (uint8_t)length};

	for (size_t cut = 1; cut <= sizeof(head); cut++) {
		struct collected c;
		enum pw_status status;

		collected_init(&c, table, 0);
		status = feed(&c, head, cut);
		if (cut < sizeof(head)) {
			assert_int_equal(status, PW_AGAIN);
			assert_true(pw_reader_is_inside(&c.reader));
			status = feed(&c, head + cut, sizeof(head) - cut);
		}
		assert_int_equal(status, is_possible ? PW_AGAIN : PW_EPROTO);
		if (!is_possible)
			assert_int_equal(c.last.type, type);
		collected_fini(&c);
	}
}

static void check_lengths(const struct pw_message_table *table)
{
	for (unsigned type = 0; type < 256; type++) {
		uint32_t min = table->rows[type].min_body + 4;

		if (!table->rows[type].name)
			continue;
		for (uint32_t length = 0; length < min; length++)
			check_length(table, (uint8_t)type, length, false);
		check_length(table, (uint8_t)type, min, true);
		check_length(table, (uint8_t)type, PW_MESSAGE_MAX - 1, true);
		check_length(table, (uint8_t)type, PW_MESSAGE_MAX, false);
		check_length(table, (uint8_t)type, 0x80000000u, false);
		check_length(table, (uint8_t)type, 0xffffffffu, false);
	}
}

static void test_impossible_lengths(void **state)
{
	(void)state;
	check_lengths(&pw_frontend_messages);
	check_lengths(&pw_backend_messages);
}

/* ---- unread ---- */

/* Puts the first piece back, however it came, and reads all of it again. */
static void check_unread(uint8_t type, unsigned purposes, size_t cut)
{
	struct pw_strbuf stream = PW_STRBUF_INIT;
	struct pw_slice in;
	struct pw_piece piece;
	struct collected c;

	add_message(&stream, type, "first\0second\0third", 19);
	add_message(&stream, 'S', NULL, 0);
	collected_init(&c, &pw_frontend_messages, purposes);
	in = (struct pw_slice){(const uint8_t *)stream.data, cut};
	if (cut > 0)
		assert_int_equal(pw_reader_next(&c.reader, &in, &piece), PW_AGAIN);
	in = (struct pw_slice){(const uint8_t *)stream.data + cut, stream.len - cut};
	assert_int_equal(pw_reader_next(&c.reader, &in, &piece), PW_OK);
	assert_true(piece.is_first);
	assert_memory_equal(piece.data, stream.data, piece.len);
	pw_reader_unread(&c.reader);
	assert_int_equal(feed(&c, stream.data, stream.len), PW_AGAIN);
	assert_int_equal(c.bytes.len, stream.len);
	assert_memory_equal(c.bytes.data, stream.data, stream.len);
	assert_int_equal(c.n_messages, 2);
	collected_fini(&c);
	pw_strbuf_fini(&stream);
}

static void test_unread(void **state)
{
	(void)state;
	for (size_t cut = 0; cut < PW_HEADER_SIZE; cut++)
		check_unread('d', 0, cut);
	for (size_t cut = 0; cut < 15; cut++)
		check_unread('B', PW_FOR_PREPARED, cut);
	for (size_t cut = 0; cut < 20; cut++)
		check_unread('P', PW_FOR_PREPARED, cut);
}

/* ---- the cursor ---- */

static void test_cursor(void **state)
{
	static const uint8_t body[] = {1, 2, 3, 4, 5, 6, 7, 'a', 'b', 0, 0, 'c'};
	struct pw_cursor c = pw_cursor(body, sizeof(body));

	(void)state;
	assert_int_equal(pw_cursor_u8(&c), 1);
	assert_int_equal(pw_cursor_u16(&c), 0x0203);
	assert_int_equal(pw_cursor_u32(&c), 0x04050607);
	assert_string_equal(pw_cursor_string(&c), "ab");
	assert_string_equal(pw_cursor_string(&c), "");
	assert_false(c.has_failed);
	assert_int_equal(pw_cursor_left(&c), 1);
	assert_string_equal(pw_cursor_string(&c), "");
	assert_true(c.has_failed);
	/* Once failed, nothing is given out any more. */
	assert_null(pw_cursor_bytes(&c, 1));
	assert_int_equal(pw_cursor_u8(&c), 0);
	c = pw_cursor(body, 3);
	assert_null(pw_cursor_bytes(&c, 4));
	assert_int_equal(pw_cursor_u16(&c), 0);
	c = pw_cursor(body, 3);
	assert_int_equal(pw_cursor_u32(&c), 0);
	assert_true(c.has_failed);
	c = pw_cursor(body, 3);
	assert_ptr_equal(pw_cursor_bytes(&c, 3), body);
	assert_null(pw_cursor_bytes(&c, SIZE_MAX));
}

/* ---- the tables ---- */

/* What is gathered names a purpose and a cap, and the cap lets the smallest message in. */
static void check_rows(const struct pw_message_table *table)
{
	for (unsigned type = 0; type < 256; type++) {
		const struct pw_message_row *row = &table->rows[type];

		if (row->gather == PW_GATHER_NOTHING) {
			assert_int_equal(row->gather_for, 0);
			continue;
		}
		assert_non_null(row->name);
		assert_int_not_equal(row->gather_for, 0);
		assert_true(row->gather_cap >= row->min_body);
	}
}

static void test_tables(void **state)
{
	(void)state;
	check_rows(&pw_frontend_messages);
	check_rows(&pw_backend_messages);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_frontend_in_any_cuts),
	    cmocka_unit_test(test_backend_in_any_cuts),
	    cmocka_unit_test(test_rows_come_as_one),
	    cmocka_unit_test(test_rows_in_any_cuts),
	    cmocka_unit_test(test_rows_before_a_bad_one),
	    cmocka_unit_test(test_bind_names_at_every_cut),
	    cmocka_unit_test(test_kind_byte_is_no_name),
	    cmocka_unit_test(test_gather_caps),
	    cmocka_unit_test(test_parse_caps),
	    cmocka_unit_test(test_texts_are_counted),
	    cmocka_unit_test(test_statements_are_not_counted),
	    cmocka_unit_test(test_unread_text_is_given_back),
	    cmocka_unit_test(test_no_buffer_when_idle),
	    cmocka_unit_test(test_password_buffer_is_exact),
	    cmocka_unit_test(test_huge_password_takes_no_memory),
	    cmocka_unit_test(test_max_total),
	    cmocka_unit_test(test_unknown_types),
	    cmocka_unit_test(test_impossible_lengths),
	    cmocka_unit_test(test_unread),
	    cmocka_unit_test(test_cursor),
	    cmocka_unit_test(test_tables),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

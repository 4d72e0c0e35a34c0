/* SPDX-License-Identifier: PostgreSQL
 *
 * Rows of a view as RowDescription and DataRow, in text or in the binary formats of PostgreSQL's
 * types (the send functions of int4, int8, text and numeric). Pure functions.
 */
#include "config.h"

#include "admin_priv.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "pgweir/base/assert.h"
#include "pgweir/proto/writer.h"

struct type_row {
	uint32_t oid;
	uint16_t len; /* 0xffff = varies */
	void (*write_binary)(struct pw_strbuf *out, const struct pw_cell *cell);
};

static void add_u64(struct pw_strbuf *out, uint64_t value)
{
	pw_strbuf_add_u32(out, (uint32_t)(value >> 32));
	pw_strbuf_add_u32(out, (uint32_t)value);
}

static void write_text(struct pw_strbuf *out, const struct pw_cell *cell)
{
	pw_strbuf_add_u32(out, (uint32_t)strlen(cell->text));
	pw_strbuf_add_string(out, cell->text);
}

static int32_t clamp_int4(int64_t number)
{
	if (number > INT32_MAX)
		return INT32_MAX;
	return number < INT32_MIN ? INT32_MIN : (int32_t)number;
}

static void write_int4(struct pw_strbuf *out, const struct pw_cell *cell)
{
	pw_strbuf_add_u32(out, 4);
	pw_strbuf_add_u32(out, (uint32_t)clamp_int4(cell->number));
}

static void write_int8(struct pw_strbuf *out, const struct pw_cell *cell)
{
	pw_strbuf_add_u32(out, 8);
	add_u64(out, (uint64_t)cell->number);
}

/* Digits to base 10000, most significant first, the last ones that are zero left out: count,
 * weight of the first, sign, digits behind the point (none), digits. */
static void write_numeric(struct pw_strbuf *out, const struct pw_cell *cell)
{
	enum { BASE = 10000, DIGITS = 5, NEGATIVE = 0x4000 };
	uint64_t rest = cell->number < 0 ? 0 - (uint64_t)cell->number : (uint64_t)cell->number;
	uint16_t digits[DIGITS];
	unsigned n = 0, zeros = 0;

	for (; rest > 0; rest /= BASE)
		digits[n++] = (uint16_t)(rest % BASE);
	while (zeros < n && digits[zeros] == 0)
		zeros++;
	pw_strbuf_add_u32(out, 8 + 2 * (n - zeros));
	pw_strbuf_add_u16(out, (uint16_t)(n - zeros));
	pw_strbuf_add_u16(out, (uint16_t)(n > 0 ? n - 1 : 0));
	pw_strbuf_add_u16(out, cell->number < 0 ? NEGATIVE : 0);
	pw_strbuf_add_u16(out, 0);
	while (n > zeros)
		pw_strbuf_add_u16(out, digits[--n]);
}

static const struct type_row types[] = {
    [PW_COL_TEXT] = {25, 0xffff, write_text},
    [PW_COL_INT4] = {23, 4, write_int4},
    [PW_COL_INT8] = {20, 8, write_int8},
    [PW_COL_NUMERIC] = {1700, 0xffff, write_numeric},
};

size_t pw_answer_column_count(const struct pw_view *view)
{
	size_t n = pw_view_column_count(view);

	while (n > 0 && view->columns[n - 1].type == PW_COL_HIDDEN)
		n--;
	return n;
}

void pw_answer_columns(struct pw_strbuf *out, const struct pw_view *view, uint64_t binary)
{
	size_t n = pw_answer_column_count(view);
	size_t begin = pw_writer_begin(out, 'T');

	pw_strbuf_add_u16(out, (uint16_t)n);
	for (size_t i = 0; i < n; i++) {
		const struct pw_column *column = &view->columns[i];

		pw_strbuf_add(out, column->name, strlen(column->name) + 1);
		pw_strbuf_add_u32(out, 0); /* of no table */
		pw_strbuf_add_u16(out, 0);
		pw_strbuf_add_u32(out, types[column->type].oid);
		pw_strbuf_add_u16(out, types[column->type].len);
		pw_strbuf_add_u32(out, UINT32_MAX); /* no modifier */
		pw_strbuf_add_u16(out, binary >> i & 1);
	}
	pw_writer_end(out, begin);
}

static void write_number_text(struct pw_strbuf *out, const struct pw_cell *cell,
			      enum pw_column_type type)
{
	int64_t number = type == PW_COL_INT4 ? clamp_int4(cell->number) : cell->number;
	char text[24];
	int len = snprintf(text, sizeof(text), "%" PRId64, number);

	pw_assert(len > 0 && (size_t)len < sizeof(text));
	pw_strbuf_add_u32(out, (uint32_t)len);
	pw_strbuf_add(out, text, (size_t)len);
}

void pw_answer_row(struct pw_strbuf *out, const struct pw_rows *rows, size_t row, uint64_t binary)
{
	const struct pw_cell *cells = pw_rows_at(rows, row);
	size_t n = pw_answer_column_count(rows->view);
	size_t begin = pw_writer_begin(out, 'D');

	pw_strbuf_add_u16(out, (uint16_t)n);
	for (size_t i = 0; i < n; i++) {
		enum pw_column_type type = rows->view->columns[i].type;

		if (cells[i].is_null)
			pw_strbuf_add_u32(out, UINT32_MAX);
		else if (type == PW_COL_TEXT || (binary >> i & 1))
			types[type].write_binary(out, &cells[i]);
		else
			write_number_text(out, &cells[i], type);
	}
	pw_writer_end(out, begin);
}

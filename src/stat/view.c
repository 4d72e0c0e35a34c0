/* SPDX-License-Identifier: PostgreSQL
 *
 * Row sets of views: growing, folding rows of equal keys, sorting. A set's cells are one array,
 * row after row; the texts in it belong to the set. Memory that cannot be had marks the set as
 * failed and leaves it consistent.
 */
#include "config.h"

#include "pgweir/stat/view.h"

#include <stdlib.h>
#include <string.h>

#include "pgweir/base/assert.h"

enum { FIRST_ROWS = 16 };

size_t pw_view_column_count(const struct pw_view *view)
{
	size_t n = 0;

	while (view->columns[n].name)
		n++;
	pw_assert(n > 0 && n <= PW_VIEW_COLUMNS_MAX);
	return n;
}

void pw_rows_init(struct pw_rows *rows, const struct pw_view *view)
{
	*rows = (struct pw_rows){.view = view};
}

static void free_row(struct pw_cell *row, size_t n_columns)
{
	for (size_t i = 0; i < n_columns; i++)
		free(row[i].text);
}

void pw_rows_fini(struct pw_rows *rows)
{
	size_t n_columns = pw_view_column_count(rows->view);

	for (size_t i = 0; i < rows->n_rows; i++)
		free_row(rows->cells + i * n_columns, n_columns);
	free(rows->cells);
	pw_rows_init(rows, rows->view);
}

static bool reserve_rows(struct pw_rows *rows, size_t more)
{
	size_t cap = rows->cap ? rows->cap : FIRST_ROWS;
	size_t row_size = pw_view_column_count(rows->view) * sizeof(*rows->cells);
	struct pw_cell *cells;

	if (more > SIZE_MAX / 4 / row_size - rows->n_rows) {
		rows->has_failed = true;
		return false;
	}
	while (cap < rows->n_rows + more)
		cap *= 2;
	if (cap == rows->cap)
		return true;
	cells = realloc(rows->cells, cap * row_size);
	if (!cells) {
		rows->has_failed = true;
		return false;
	}
	rows->cells = cells;
	rows->cap = cap;
	return true;
}

struct pw_cell *pw_rows_add(struct pw_rows *rows)
{
	size_t n_columns = pw_view_column_count(rows->view);
	struct pw_cell *row;

	if (!reserve_rows(rows, 1))
		return NULL;
	row = rows->cells + rows->n_rows++ * n_columns;
	for (size_t i = 0; i < n_columns; i++)
		row[i] = (struct pw_cell){.is_null = true};
	return row;
}

void pw_cell_set_text(struct pw_rows *rows, struct pw_cell *cell, const char *text)
{
	free(cell->text);
	cell->text = text ? strdup(text) : NULL;
	cell->is_null = !cell->text;
	if (text && !cell->text)
		rows->has_failed = true;
}

void pw_cell_set_number(struct pw_cell *cell, int64_t number)
{
	cell->number = number;
	cell->is_null = false;
}

struct pw_cell *pw_rows_at(const struct pw_rows *rows, size_t row)
{
	pw_assert(row < rows->n_rows);
	return rows->cells + row * pw_view_column_count(rows->view);
}

/* ---- order ---- */

struct order {
	const struct pw_rows *rows;
	size_t n_columns;      /* of the view */
	const size_t *columns; /* what to compare */
	size_t n;
};

/* NULL is greater than everything. */
static int compare_cells(const struct pw_cell *a, const struct pw_cell *b)
{
	if (a->is_null || b->is_null)
		return a->is_null - b->is_null;
	if (a->text && b->text)
		return strcmp(a->text, b->text);
	return (a->number > b->number) - (a->number < b->number);
}

static int compare_keys(const struct order *order, const struct pw_cell *a, const struct pw_cell *b)
{
	int result = 0;

	for (size_t i = 0; i < order->n && result == 0; i++)
		result = compare_cells(a + order->columns[i], b + order->columns[i]);
	return result;
}

static int compare_rows(const void *a, const void *b, void *order)
{
	return compare_keys(order, a, b);
}

static size_t find_keys(const struct pw_view *view, size_t keys[PW_VIEW_COLUMNS_MAX])
{
	size_t n = 0, n_columns = pw_view_column_count(view);

	for (size_t i = 0; i < n_columns; i++) {
		if (view->columns[i].merge == PW_MERGE_KEY)
			keys[n++] = i;
	}
	return n;
}

void pw_rows_sort_by(struct pw_rows *rows, const size_t *columns, size_t n)
{
	struct order order = {rows, pw_view_column_count(rows->view), columns, n};

	if (rows->n_rows > 1)
		qsort_r(rows->cells, rows->n_rows, order.n_columns * sizeof(*rows->cells),
			compare_rows, &order);
}

void pw_rows_sort(struct pw_rows *rows)
{
	size_t keys[PW_VIEW_COLUMNS_MAX];
	size_t n = find_keys(rows->view, keys);

	pw_rows_sort_by(rows, keys, n);
}

/* ---- folding ---- */

struct place {
	size_t row;
	bool is_folded; /* into an earlier one */
};

/* By key, and among equal keys by position. */
static int compare_places(const void *a, const void *b, void *arg)
{
	const struct place *x = a, *y = b;
	const struct order *order = arg;
	const struct pw_cell *cells = order->rows->cells;
	int result = compare_keys(order, cells + x->row * order->n_columns,
				  cells + y->row * order->n_columns);

	return result ? result : (x->row > y->row) - (x->row < y->row);
}

static void fold_cell(struct pw_cell *to, struct pw_cell *from, enum pw_merge merge)
{
	struct pw_cell before = *to;

	if (from->is_null)
		return;
	if (to->is_null) {
		*to = *from;
		*from = before;
	} else if (merge == PW_MERGE_SUM) {
		to->number = (int64_t)((uint64_t)to->number + (uint64_t)from->number);
	} else if (merge == PW_MERGE_MAX && from->number > to->number) {
		to->number = from->number;
	}
}

static void fold_row(const struct order *order, size_t to, size_t from)
{
	const struct pw_rows *rows = order->rows;

	for (size_t i = 0; i < order->n_columns; i++)
		fold_cell(rows->cells + to * order->n_columns + i,
			  rows->cells + from * order->n_columns + i, rows->view->columns[i].merge);
}

/* Folds each run of equal keys into its first place, and leaves places[i].is_folded for row i. */
static void fold_runs(const struct order *order, struct place *places)
{
	const struct pw_rows *rows = order->rows;
	size_t first = 0;

	for (size_t i = 1; i < rows->n_rows; i++) {
		size_t to = places[first].row, from = places[i].row;

		if (compare_keys(order, rows->cells + to * order->n_columns,
				 rows->cells + from * order->n_columns) != 0) {
			first = i;
			continue;
		}
		fold_row(order, to, from);
		places[from].is_folded = true;
	}
}

static void drop_folded(struct pw_rows *rows, size_t n_columns, const struct place *places)
{
	size_t kept = 0;

	for (size_t i = 0; i < rows->n_rows; i++) {
		struct pw_cell *row = rows->cells + i * n_columns;

		if (places[i].is_folded)
			free_row(row, n_columns);
		else
			memmove(rows->cells + kept++ * n_columns, row, n_columns * sizeof(*row));
	}
	rows->n_rows = kept;
}

void pw_rows_fold(struct pw_rows *rows)
{
	size_t keys[PW_VIEW_COLUMNS_MAX];
	struct order order = {rows, pw_view_column_count(rows->view), keys, 0};
	struct place *places;

	order.n = find_keys(rows->view, keys);
	if (order.n == 0 || rows->n_rows < 2)
		return;
	places = calloc(rows->n_rows, sizeof(*places));
	if (!places) {
		rows->has_failed = true;
		return;
	}
	for (size_t i = 0; i < rows->n_rows; i++)
		places[i].row = i;
	qsort_r(places, rows->n_rows, sizeof(*places), compare_places, &order);
	fold_runs(&order, places);
	drop_folded(rows, order.n_columns, places);
	free(places);
}

void pw_rows_merge(struct pw_rows *into, struct pw_rows *from)
{
	size_t n_columns = pw_view_column_count(into->view);

	pw_assert(into->view == from->view);
	into->has_failed |= from->has_failed;
	if (from->n_rows > 0 && reserve_rows(into, from->n_rows)) {
		memcpy(into->cells + into->n_rows * n_columns, from->cells,
		       from->n_rows * n_columns * sizeof(*from->cells));
		into->n_rows += from->n_rows;
		from->n_rows = 0;
	}
	pw_rows_fini(from);
	pw_rows_fold(into);
}

void pw_rows_finish(struct pw_rows *rows)
{
	pw_rows_fold(rows);
	if (rows->view->finish)
		rows->view->finish(rows);
}

/* SPDX-License-Identifier: PostgreSQL
 *
 * Tables that pgweir shows of itself: each is declared once, next to what it shows, and printed by
 * whoever asks (console; JSON and metrics later).
 *
 * Rows are gathered by each worker into its own set; sets are merged by the asker: rows with equal
 * key columns become one, as each column says. A set belongs to one thread at a time.
 */
#ifndef PGWEIR_STAT_VIEW_H
#define PGWEIR_STAT_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pgweir/base/status.h"
#include "pgweir/base/strbuf.h"

enum pw_column_type {
	PW_COL_TEXT,
	PW_COL_INT4,
	PW_COL_INT8,
	PW_COL_NUMERIC,
	PW_COL_HIDDEN, /* a number for finish() alone, never shown; behind all that are */
};

enum { PW_VIEW_COLUMNS_MAX = 64 };

enum pw_merge {
	PW_MERGE_KEY,   /* part of the row's identity */
	PW_MERGE_FIRST, /* the first that is not NULL */
	PW_MERGE_SUM,
	PW_MERGE_MAX,
};

struct pw_column {
	const char *name;
	enum pw_column_type type;
	enum pw_merge merge;
	const char *help;
};

struct pw_cell {
	bool is_null;
	int64_t number; /* all but TEXT */
	char *text;     /* TEXT: owned by the row set */
};

struct pw_rows {
	const struct pw_view *view;
	struct pw_cell *cells; /* n_rows times the view's columns */
	size_t n_rows, cap;
	bool has_failed; /* no memory */
};

struct pw_view {
	const char *name; /* the word after SHOW */
	const char *help;
	const struct pw_column *columns; /* ended by name NULL */
	bool is_per_worker;              /* else one worker gathers for all */
	/* Adds this worker's rows. `source` is what main gives: struct pw_worker_view *. */
	void (*collect)(struct pw_rows *rows, const void *source);
	/* After merging, once, by pw_rows_finish(): sorts, fills in what can only be computed from
	 * sums. May be NULL. */
	void (*finish)(struct pw_rows *rows);
	/* More for the reference, in Markdown, behind the columns. May be NULL. */
	void (*describe)(struct pw_strbuf *out);
};

size_t pw_view_column_count(const struct pw_view *view);
void pw_rows_init(struct pw_rows *rows, const struct pw_view *view);
void pw_rows_fini(struct pw_rows *rows);
/* A new row, all cells NULL; NULL without memory. */
struct pw_cell *pw_rows_add(struct pw_rows *rows);
/* A NULL text makes a NULL cell. */
void pw_cell_set_text(struct pw_rows *rows, struct pw_cell *cell, const char *text);
void pw_cell_set_number(struct pw_cell *cell, int64_t number);
struct pw_cell *pw_rows_at(const struct pw_rows *rows, size_t row);
/* Makes one row of all those with equal keys, in the place of the first (views without key columns
 * stay as they are). */
void pw_rows_fold(struct pw_rows *rows);
/* Moves the rows of `from` behind those of `into` and folds. */
void pw_rows_merge(struct pw_rows *into, struct pw_rows *from);
/* The last step before the rows are shown: folds, then the view's own finish. */
void pw_rows_finish(struct pw_rows *rows);
/* Sorts by the key columns in their order. */
void pw_rows_sort(struct pw_rows *rows);
/* Sorts by the n columns given. */
void pw_rows_sort_by(struct pw_rows *rows, const size_t *columns, size_t n);

#endif

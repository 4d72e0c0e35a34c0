/* SPDX-License-Identifier: PostgreSQL
 *
 * Looks through texts that nobody can parse: code within a text, texts whose quotes and backslashes
 * mean what only the server knows, texts that are too long. Every word counts, in quotes or not;
 * what is found may be there, and what may be there is found.
 *
 * The text is followed by a zero byte. Allocates nothing. Any thread.
 */
#ifndef PGWEIR_SQL_SCAN_H
#define PGWEIR_SQL_SCAN_H

#include <stdbool.h>
#include <stddef.h>

struct pw_scan {
	/* Names with a dot that may be settings: in quotes, or behind SET. */
	void (*on_name)(const char *name, size_t len, void *arg);
	/* A prepared statement is run, or dropped: a name as SQL means it, of at most 63 bytes. May
	 * be NULL. */
	void (*on_statement)(const char *name, bool is_dropped, void *arg);
	void *arg;
	/* Found: */
	bool makes_names; /* a setting whose name is not written out, as far as can be seen */
	bool hides_names; /* U&"..." or U&'...' is there: its escapes may hide one */
	bool runs_made;   /* code runs a text that is not written out */
	bool has_do, has_backslash, has_load;
	bool drops_any; /* DEALLOCATE of all prepared statements, or of one that is not written out
			 */
	bool goes_back; /* settings go back to what the session began with: RESET and its kin */
	unsigned classes; /* bit set of enum pw_builtin, of the names that stand before a bracket,
			   * and of SET seed */
	/* The scan's own: */
	size_t gaps_left;
	const char *word, *update; /* at hand; behind the last UPDATE without its SET */
	bool has_null;
};

void pw_scan(struct pw_scan *scan, const char *text, size_t len);

#endif

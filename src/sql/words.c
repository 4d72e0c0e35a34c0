/* SPDX-License-Identifier: PostgreSQL
 *
 * The table of words that say what a statement is. Most words of a text are none of them, which a
 * look at their first letter and length tells.
 */
#include "config.h"

#include <stdbool.h>
#include <string.h>

#include "pgweir/base/status.h"
#include "sql_priv.h"

enum { LONGEST = 10 };

static const char words[PW_SQL_N_WORDS][LONGEST + 1] = {
    [PW_SQL_ABORT] = "abort",         [PW_SQL_ALTER] = "alter",
    [PW_SQL_ANALYZE] = "analyze",     [PW_SQL_BEGIN] = "begin",
    [PW_SQL_CALL] = "call",           [PW_SQL_CLOSE] = "close",
    [PW_SQL_COMMIT] = "commit",       [PW_SQL_COPY] = "copy",
    [PW_SQL_CREATE] = "create",       [PW_SQL_DEALLOCATE] = "deallocate",
    [PW_SQL_DECLARE] = "declare",     [PW_SQL_DELETE] = "delete",
    [PW_SQL_DISCARD] = "discard",     [PW_SQL_DO] = "do",
    [PW_SQL_DROP] = "drop",           [PW_SQL_END] = "end",
    [PW_SQL_EXECUTE] = "execute",     [PW_SQL_EXPLAIN] = "explain",
    [PW_SQL_FETCH] = "fetch",         [PW_SQL_FOR] = "for",
    [PW_SQL_HOLD] = "hold",           [PW_SQL_INSERT] = "insert",
    [PW_SQL_INTO] = "into",           [PW_SQL_LISTEN] = "listen",
    [PW_SQL_LOAD] = "load",           [PW_SQL_LOCK] = "lock",
    [PW_SQL_MERGE] = "merge",         [PW_SQL_MOVE] = "move",
    [PW_SQL_NOTIFY] = "notify",       [PW_SQL_PREPARE] = "prepare",
    [PW_SQL_RELEASE] = "release",     [PW_SQL_RESET] = "reset",
    [PW_SQL_ROLLBACK] = "rollback",   [PW_SQL_SAVEPOINT] = "savepoint",
    [PW_SQL_SELECT] = "select",       [PW_SQL_SET] = "set",
    [PW_SQL_SHOW] = "show",           [PW_SQL_START] = "start",
    [PW_SQL_TABLE] = "table",         [PW_SQL_TEMP] = "temp",
    [PW_SQL_TEMPORARY] = "temporary", [PW_SQL_UNLISTEN] = "unlisten",
    [PW_SQL_UPDATE] = "update",       [PW_SQL_VALUES] = "values",
    [PW_SQL_WITH] = "with",
};

static bool is_word(const char *wanted, const uint8_t *word, size_t len, uint64_t folded)
{
	uint64_t first;

	memcpy(&first, wanted, sizeof(first));
	/* Zeros behind a short one, which no folded word has. */
	if (pw_sql_fold(first) != folded)
		return false;
	for (size_t i = sizeof(first); i < len; i++) {
		if ((word[i] | 0x20) != wanted[i])
			return false;
	}
	return wanted[len] == '\0';
}

struct letter {
	uint8_t first, end;  /* in the table above, which is in the order of letters */
	uint16_t has_length; /* bit set */
};

#define WORDS(from, past, lengths)                                                                 \
	{                                                                                          \
		PW_SQL_##from, PW_SQL_##past, lengths                                              \
	}
#define L(n) (1u << (n))

static const struct letter letters[26] = {
    ['a' - 'a'] = WORDS(ABORT, BEGIN, L(5) | L(7)),
    ['b' - 'a'] = WORDS(BEGIN, CALL, L(5)),
    ['c' - 'a'] = WORDS(CALL, DEALLOCATE, L(4) | L(5) | L(6)),
    ['d' - 'a'] = WORDS(DEALLOCATE, END, L(10) | L(7) | L(6) | L(2) | L(4)),
    ['e' - 'a'] = WORDS(END, FETCH, L(3) | L(7)),
    ['f' - 'a'] = WORDS(FETCH, HOLD, L(5) | L(3)),
    ['h' - 'a'] = WORDS(HOLD, INSERT, L(4)),
    ['i' - 'a'] = WORDS(INSERT, LISTEN, L(6) | L(4)),
    ['l' - 'a'] = WORDS(LISTEN, MERGE, L(6) | L(4)),
    ['m' - 'a'] = WORDS(MERGE, NOTIFY, L(5) | L(4)),
    ['n' - 'a'] = WORDS(NOTIFY, PREPARE, L(6)),
    ['p' - 'a'] = WORDS(PREPARE, RELEASE, L(7)),
    ['r' - 'a'] = WORDS(RELEASE, SAVEPOINT, L(7) | L(5) | L(8)),
    ['s' - 'a'] = WORDS(SAVEPOINT, TABLE, L(9) | L(6) | L(3) | L(4) | L(5)),
    ['t' - 'a'] = WORDS(TABLE, UNLISTEN, L(5) | L(4) | L(9)),
    ['u' - 'a'] = WORDS(UNLISTEN, VALUES, L(8) | L(6)),
    ['v' - 'a'] = WORDS(VALUES, WITH, L(6)),
    ['w' - 'a'] = WORDS(WITH, N_WORDS, L(4)),
};

enum pw_sql_word pw_sql_word_find(const uint8_t *word, size_t len, uint64_t folded)
{
	uint8_t index = (uint8_t)((word[0] | 0x20) - 'a');
	const struct letter *letter;

	if (index >= PW_COUNTOF(letters) || len > LONGEST)
		return PW_SQL_N_WORDS;
	letter = &letters[index];
	if (!(letter->has_length & L(len)))
		return PW_SQL_N_WORDS;
	for (unsigned i = letter->first; i < letter->end; i++) {
		if (is_word(words[i], word, len, folded))
			return i;
	}
	return PW_SQL_N_WORDS;
}

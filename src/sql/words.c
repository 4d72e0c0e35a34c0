/* SPDX-License-Identifier: PostgreSQL
 *
 * The words that say what a statement is, and the table that finds them: the factor that gives each
 * of them a place of its own is looked for when a key is made, so that a new word is one more line.
 */
#include "config.h"

#include <stdbool.h>
#include <string.h>

#include "sql_priv.h"

#define WORD(name, text) [PW_SQL_##name] = {text, sizeof(text) - 1}
/* All that begin so. */
#define BEGIN(name, text) [PW_SQL_##name] = {text, 0}
/* Letters are made small by bit 5, which makes 7f of _, and of nothing else that a word has. */
#define CURRENT "current\x7f"
#define SESSION "session\x7f"
#define VIEW    "pg\x7fprepared\x7fstatements"

const struct pw_sql_word_row pw_sql_words[PW_SQL_N_WORDS + 1] = {
    WORD(ABORT, "abort"),         WORD(ALTER, "alter"),
    WORD(ANALYZE, "analyze"),     WORD(BEGIN, "begin"),
    WORD(CALL, "call"),           WORD(CLOSE, "close"),
    WORD(COMMIT, "commit"),       WORD(COPY, "copy"),
    WORD(CREATE, "create"),       WORD(DEALLOCATE, "deallocate"),
    WORD(DECLARE, "declare"),     WORD(DELETE, "delete"),
    WORD(DISCARD, "discard"),     WORD(DO, "do"),
    WORD(DROP, "drop"),           WORD(END, "end"),
    WORD(EXECUTE, "execute"),     WORD(EXPLAIN, "explain"),
    WORD(FETCH, "fetch"),         WORD(FOR, "for"),
    WORD(HOLD, "hold"),           WORD(INSERT, "insert"),
    WORD(INTO, "into"),           WORD(LISTEN, "listen"),
    WORD(LOAD, "load"),           WORD(LOCK, "lock"),
    WORD(MERGE, "merge"),         WORD(MOVE, "move"),
    WORD(NOTIFY, "notify"),       WORD(PREPARE, "prepare"),
    WORD(RELEASE, "release"),     WORD(RESET, "reset"),
    WORD(ROLLBACK, "rollback"),   WORD(SAVEPOINT, "savepoint"),
    WORD(SELECT, "select"),       WORD(SET, "set"),
    WORD(SHOW, "show"),           WORD(START, "start"),
    WORD(TABLE, "table"),         WORD(TEMP, "temp"),
    WORD(TEMPORARY, "temporary"), WORD(UNLISTEN, "unlisten"),
    WORD(UPDATE, "update"),       WORD(VALUES, "values"),
    WORD(USER, "user"),           WORD(WITH, "with"),
    BEGIN(CURRENT, CURRENT),      BEGIN(LOCALTIME, "localtim"),
    BEGIN(SESSION, SESSION),      WORD(PG_PREPARED_STATEMENTS, VIEW),
};

/* False: two words would have one place. */
static bool place(struct pw_shape_key *key)
{
	memset(key->words, PW_SQL_N_WORDS, sizeof(key->words));
	for (unsigned i = 0; i < PW_SQL_N_WORDS; i++) {
		uint8_t *at = &key->words[pw_sql_word_place(key, pw_sql_word_begin(i))];

		if (*at != PW_SQL_N_WORDS)
			return false;
		*at = (uint8_t)i;
	}
	return true;
}

void pw_sql_words_place(struct pw_shape_key *key)
{
	key->word_factor = UINT64_C(0x9e3779b97f4a7c15);
	while (!place(key))
		key->word_factor *= UINT64_C(0x9e3779b97f4a7c15);
}

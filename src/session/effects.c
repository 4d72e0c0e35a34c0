/* SPDX-License-Identifier: PostgreSQL
 *
 * Most texts need no more than the words they begin with: a query without a call in a database
 * without doubtful code leaves nothing. All others are judged item by item, each kind of item by
 * its row.
 */
#include "config.h"

#include "pgweir/session/effects.h"

#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "pgweir/base/status.h"
#include "pgweir/pool/state.h"
#include "pgweir/sql/builtin.h"
#include "pgweir/sql/lexer.h"
#include "pgweir/sql/scan.h"

/* The whole text is looked through once, however many items ask for it. */
struct looks {
	bool at_names, at_code;
};

struct judgement {
	struct pw_effects *effects;
	const char *text;
	size_t len;
	const struct pw_shape *shape;
	struct looks *looks;
};

/* ---- texts that nobody can parse ---- */

/* Most texts speak of a few names over and over: each is looked for among all once, or little more
 * often. */
struct mentions {
	struct pw_effects *effects;
	struct {
		uint8_t len; /* 0 = none */
		char name[31];
	} latest[128];
};

static void mention(const char *name, size_t len, void *arg)
{
	struct mentions *m = arg;
	uint32_t hash = 2166136261u; /* FNV-1a */
	size_t slot;

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ (uint8_t)name[i]) * 16777619u;
	slot = hash % PW_COUNTOF(m->latest);
	if (len == m->latest[slot].len && memcmp(name, m->latest[slot].name, len) == 0)
		return;
	pw_effects_mention(m->effects, name, len);
	if (len <= sizeof(m->latest[slot].name)) {
		m->latest[slot].len = (uint8_t)len;
		memcpy(m->latest[slot].name, name, len);
	}
}

/* Without memory the server will not find the statement, and say so. */
static void add_statement(struct pw_effects *effects, enum pw_statement_use use, const char *name)
{
	struct pw_strbuf *list = &effects->statements;

	pw_strbuf_add_char(list, (char)use);
	pw_strbuf_add(list, name, strlen(name) + 1);
	if (list->has_failed)
		pw_strbuf_reset(list);
}

static void speak(const char *name, bool is_dropped, void *arg)
{
	struct mentions *m = arg;

	add_statement(m->effects,
		      is_dropped ? PW_STATEMENT_DROPPED_BY_CODE : PW_STATEMENT_RUN_BY_CODE, name);
}

/* Of code, what it does with statements is noted too. */
static struct pw_scan scan_text(struct pw_effects *effects, const char *text, size_t len,
				bool is_code)
{
	struct mentions mentions = {.effects = effects};
	struct pw_scan scan = {
	    .on_name = mention, .on_statement = is_code ? speak : NULL, .arg = &mentions};

	pw_scan(&scan, text, len);
	scan.arg = NULL;
	if (scan.makes_names)
		effects->flags |= PW_EFFECT_MADE;
	return scan;
}

void pw_effects_scan(struct pw_effects *effects, const char *text, size_t len)
{
	(void)scan_text(effects, text, len, false);
}

/* Functions that leave what no server can be asked about. */
static const unsigned lasting[PW_BUILTIN_N_CLASSES] = {
    [PW_BUILTIN_SEED] = PW_EFFECT_SEED,
    [PW_BUILTIN_ORIGIN] = PW_EFFECT_ORIGIN,
    [PW_BUILTIN_SLOT] = PW_EFFECT_SLOT,
    [PW_BUILTIN_BACKUP] = PW_EFFECT_BACKUP,
};

/* Not looked for where it tells nothing new. */
static void note_word(struct pw_effects *effects, const char *text, const char *word,
		      unsigned effect)
{
	if (!(effects->flags & effect) && strcasestr(text, word))
		effects->flags |= effect;
}

/* The text holds code, or may hold it. */
static struct pw_scan scan_code(struct pw_effects *effects, const char *text, size_t len)
{
	struct pw_scan scan = scan_text(effects, text, len, true);

	effects->flags |= PW_EFFECTS_UNREAD;
	if (scan.hides_names)
		effects->flags |= PW_EFFECT_MADE;
	for (unsigned class = 0; class < PW_BUILTIN_N_CLASSES; class ++) {
		if (scan.classes & 1u << class)
			effects->flags |= lasting[class];
	}
	if (scan.has_load)
		effects->flags |= PW_EFFECT_LOAD;
	effects->may_go_back |= scan.goes_back;
	note_word(effects, text, "dblink_connect", PW_EFFECT_DBLINK);
	note_word(effects, text, "currval", PW_EFFECT_SEQUENCES);
	note_word(effects, text, "lastval", PW_EFFECT_SEQUENCES);
	return scan;
}

void pw_effects_judge_unread(struct pw_effects *effects, const char *text, size_t len)
{
	struct pw_scan scan = scan_code(effects, text, len);

	note_word(effects, text, "create", PW_EFFECT_DDL);
	effects->makes_tables |= strcasestr(text, "select") && strcasestr(text, "into");
	/* EXECUTE may also be that of a prepared statement. */
	if (scan.has_do && (scan.runs_made || scan.drops_any || scan.has_backslash))
		effects->flags |= PW_EFFECT_UNSEEN;
	if (scan.runs_made && scan.classes & 1u << PW_BUILTIN_QUERIES)
		effects->flags |= PW_EFFECT_UNSEEN;
}

/* ---- items ---- */

static void note_parsing(const struct judgement *j, const char *name)
{
	if (pw_setting_is_parsed_under(name))
		j->effects->flags |= PW_EFFECT_PARSES;
}

static void take_name(const struct judgement *j, const char *name)
{
	pw_effects_add_name(j->effects, name, strlen(name));
	note_parsing(j, name);
}

static void take_set(const struct judgement *j, const struct pw_sql_item *item)
{
	static const char *const characteristics[] = {"default_transaction_isolation",
						      "default_transaction_read_only",
						      "default_transaction_deferrable"};

	if (strcmp(item->name, "SESSION CHARACTERISTICS") == 0) {
		for (size_t i = 0; i < PW_COUNTOF(characteristics); i++)
			take_name(j, characteristics[i]);
	} else if (strcmp(item->name, "seed") == 0) {
		j->effects->flags |= PW_EFFECT_SEED;
	} else {
		take_name(j, item->name);
	}
}

static void take_reset(const struct judgement *j, const struct pw_sql_item *item)
{
	j->effects->flags |= PW_EFFECT_RESET;
	take_set(j, item);
}

/* A name with a dot is there afterwards, with an empty value, where it was not there before. What
 * the others do is over with the transaction, but for what is parsed until then. */
static void take_set_local(const struct judgement *j, const struct pw_sql_item *item)
{
	if (strchr(item->name, '.'))
		take_name(j, item->name);
	if (strcmp(item->name, "seed") == 0)
		j->effects->flags |= PW_EFFECT_SEED; /* for good */
	if (pw_setting_is_baked(item->name))
		pw_effects_mention(j->effects, item->name, strlen(item->name));
	note_parsing(j, item->name);
}

/* It makes nothing: what is pinned is asked for. What is listened to elsewhere pins nothing. */
static void take_discard(const struct judgement *j, const struct pw_sql_item *item)
{
	if (strcmp(item->name, "all") == 0)
		j->effects->flags |= PW_EFFECT_RESET_ALL | PW_EFFECT_DROPS | PW_EFFECT_LISTENS;
	else if (strcmp(item->name, "temp") == 0)
		j->effects->flags |= PW_EFFECT_TEMP;
}

static void take_literal(const struct judgement *j, const char *literal, size_t len)
{
	char name[64];

	pw_effects_add_name(j->effects, literal, len);
	/* None that is parsed under is longer. */
	snprintf(name, sizeof(name), "%.*s", (int)len, literal);
	note_parsing(j, name);
}

/* set_config('name', ...), where the name is written out. Where it is not, and all is over with the
 * transaction, a name with a dot may stay that nobody knows of, with an empty value. */
static void take_set_config(const struct judgement *j, const struct pw_sql_item *item)
{
	const struct pw_span *span =
	    item->argument == PW_SQL_NO_LITERAL ? NULL : &j->shape->literals[item->argument];
	size_t len = span ? span->end - span->begin : 0;
	const char *literal = span ? j->text + span->begin : NULL;

	if (len >= 2 && literal[0] == '\'' && literal[len - 1] == '\'' &&
	    !memchr(literal + 1, '\'', len - 2))
		take_literal(j, literal + 1, len - 2);
	else if (item->is_third_true)
		j->effects->flags |= PW_EFFECT_SETTINGS | PW_EFFECT_PARSES;
	else
		j->effects->flags |= PW_EFFECT_SETTINGS | PW_EFFECT_OPAQUE;
	if (item->back != PW_SQL_BACK_LOCAL)
		j->effects->flags |= PW_EFFECT_RESET; /* by a NULL */
}

/* Escapes in the string that holds the code hide its words. */
static bool is_escaped(const struct judgement *j)
{
	struct pw_lexer lexer;
	struct pw_lexeme token;

	pw_lexer_init(&lexer, j->text, j->len);
	do {
		pw_lexer_next(&lexer, &token);
		if (token.kind == PW_TOKEN_STRING && isalpha((unsigned char)j->text[token.begin]))
			return true;
	} while (token.kind != PW_TOKEN_END && token.kind != PW_TOKEN_BROKEN);
	return false;
}

static void take_names(const struct judgement *j)
{
	if (!j->looks->at_names)
		pw_effects_scan(j->effects, j->text, j->len);
	j->looks->at_names = true;
}

/* Code within the text. */
static void take_code(const struct judgement *j)
{
	struct pw_scan scan;

	if (j->looks->at_code)
		return;
	j->looks->at_code = true;
	scan = scan_code(j->effects, j->text, j->len);
	if (scan.runs_made || scan.drops_any || is_escaped(j))
		j->effects->flags |= PW_EFFECT_UNSEEN;
}

/* They are of no server's own, but of an extension that keeps what they open. */
static bool is_of_dblink(const char *name)
{
	const char *dot = strrchr(name, '.');

	if (dot)
		name = dot + 1;
	return strcmp(name, "dblink_connect") == 0 || strcmp(name, "dblink_connect_u") == 0;
}

static void take_call(const struct judgement *j, const struct pw_sql_item *item)
{
	static const unsigned by_class[PW_BUILTIN_N_CLASSES] = {
	    [PW_BUILTIN_LOCKS] = PW_EFFECT_LOCKS,   [PW_BUILTIN_SEED] = PW_EFFECT_SEED,
	    [PW_BUILTIN_ORIGIN] = PW_EFFECT_ORIGIN, [PW_BUILTIN_SLOT] = PW_EFFECT_SLOT,
	    [PW_BUILTIN_BACKUP] = PW_EFFECT_BACKUP, [PW_BUILTIN_SEQUENCE] = PW_EFFECT_SEQUENCES,
	};
	enum pw_builtin class = pw_builtin_find(item->name);
	unsigned before = j->effects->flags;

	if (class == PW_BUILTIN_UNKNOWN)
		pw_effects_add_call(j->effects, item->name, strlen(item->name));
	else if (class == PW_BUILTIN_SETS)
		take_set_config(j, item);
	else
		j->effects->flags |= by_class[class];
	if (class == PW_BUILTIN_UNKNOWN && is_of_dblink(item->name))
		j->effects->flags |= PW_EFFECT_DBLINK;
	/* It may be given more text to run. */
	if (class == PW_BUILTIN_QUERIES || class == PW_BUILTIN_INNER)
		take_code(j);
	else if (class == PW_BUILTIN_UNKNOWN)
		take_names(j);
	/* These leave a value, and tell nobody else's. */
	if (strcmp(item->name, "nextval") == 0 || strcmp(item->name, "setval") == 0) {
		j->effects->flags &= ~(unsigned)PW_EFFECT_SEQUENCES | before;
		j->effects->draws = true;
	}
}

static void take_statement(const struct judgement *j, const struct pw_sql_item *item)
{
	add_statement(j->effects, PW_STATEMENT_USED, item->name);
}

static void take_prepare(const struct judgement *j, const struct pw_sql_item *item)
{
	add_statement(j->effects, PW_STATEMENT_MADE, item->name);
}

static void take_deallocate(const struct judgement *j, const struct pw_sql_item *item)
{
	if (item->name[0])
		add_statement(j->effects, PW_STATEMENT_DROPPED, item->name);
}

static void take_body(const struct judgement *j, const struct pw_sql_item *item PW_UNUSED)
{
	static const char *const words[] = {"create", "alter", "drop", "execute", "call"};

	take_code(j);
	for (size_t i = 0; i < PW_COUNTOF(words); i++)
		note_word(j->effects, j->text, words[i], PW_EFFECT_DDL);
}

/* DROP of a temporary object, CLOSE of a cursor WITH HOLD, the last of what is pinned; CREATE where
 * search_path begins with pg_temp. */
static void take_other(const struct judgement *j, const struct pw_sql_item *item)
{
	bool is_create = strncmp(item->name, "create", 6) == 0;

	j->effects->flags |= is_create ? PW_EFFECT_TEMP | PW_EFFECT_DROPS : PW_EFFECT_DROPS;
}

/* Either a function sees to the item, or its effects are always the same. */
struct item_row {
	void (*take)(const struct judgement *j, const struct pw_sql_item *item);
	unsigned flags;
};

static const struct item_row rows[PW_SQL_ITEM_N_KINDS] = {
    [PW_SQL_ITEM_SET] = {take_set, 0},
    [PW_SQL_ITEM_RESET] = {take_reset, 0},
    [PW_SQL_ITEM_SET_LOCAL] = {take_set_local, 0},
    [PW_SQL_ITEM_RESET_ALL] = {NULL, PW_EFFECT_RESET_ALL},
    [PW_SQL_ITEM_DISCARD] = {take_discard, 0},
    [PW_SQL_ITEM_TRANSACTION] = {NULL, 0},
    [PW_SQL_ITEM_PREPARE] = {take_prepare, PW_EFFECT_PREPARED},
    /* What it runs was prepared under another text. */
    [PW_SQL_ITEM_EXECUTE] = {take_statement, PW_EFFECTS_UNREAD},
    [PW_SQL_ITEM_DEALLOCATE] = {take_deallocate, PW_EFFECT_DROPS},
    [PW_SQL_ITEM_LISTEN] = {NULL, PW_EFFECT_LISTENS},
    [PW_SQL_ITEM_UNLISTEN] = {NULL, PW_EFFECT_LISTENS},
    [PW_SQL_ITEM_NOTIFY] = {NULL, 0},
    [PW_SQL_ITEM_TEMPORARY] = {NULL, PW_EFFECT_TEMP},
    [PW_SQL_ITEM_HOLD] = {NULL, PW_EFFECT_HOLD},
    [PW_SQL_ITEM_LOAD] = {NULL, PW_EFFECT_LOAD},
    [PW_SQL_ITEM_CALL] = {take_call, 0},
    [PW_SQL_ITEM_BODY] = {take_body, 0},
    [PW_SQL_ITEM_PG_SETTINGS] = {NULL, PW_EFFECT_SETTINGS | PW_EFFECT_RESET},
    [PW_SQL_ITEM_OTHER] = {take_other, 0},
};

/* Of set_config() the name that is its first argument; "" where that may be any. */
static void name_reset(const struct judgement *j, const struct pw_sql_item *item,
		       enum pw_reset_use use)
{
	struct pw_strbuf *list = &j->effects->resets;
	const struct pw_span *span =
	    item->argument == PW_SQL_NO_LITERAL ? NULL : &j->shape->literals[item->argument];
	const char *name = item->kind == PW_SQL_ITEM_DISCARD ? "" : item->name;
	size_t len = strlen(name);

	if (item->kind == PW_SQL_ITEM_CALL) {
		name = span ? j->text + span->begin + 1 : "";
		len = span && span->end - span->begin >= 2 ? span->end - span->begin - 2 : 0;
	}
	pw_strbuf_add_char(list, (char)use);
	for (size_t i = 0; i < len; i++)
		pw_strbuf_add_char(list, (char)tolower((unsigned char)name[i]));
	pw_strbuf_add_char(list, '\0');
}

static void take_back(const struct judgement *j, const struct pw_sql_item *item, unsigned last_use)
{
	enum pw_reset_use use;

	if (item->back & PW_SQL_BACK_LOCAL)
		j->effects->flags |= PW_EFFECT_RESET_LOCAL;
	use = item->statement + 1 < last_use ? PW_RESET_AHEAD : PW_RESET_ENDS;
	name_reset(j, item, use);
	/* DISCARD ALL is more than RESET ALL. */
	if (item->kind == PW_SQL_ITEM_DISCARD) {
		pw_strbuf_add_char(&j->effects->resets, (char)use);
		pw_strbuf_add(&j->effects->resets, "session_authorization",
			      sizeof("session_authorization"));
	}
}

static void judge_items(const struct judgement *j, const struct pw_analysis *analysis)
{
	for (unsigned i = 0; i < analysis->n_items; i++) {
		const struct pw_sql_item *item = &analysis->items[i];
		const struct item_row *row = &rows[item->kind];

		j->effects->flags |= row->flags;
		if (row->take)
			row->take(j, item);
		if (item->back)
			take_back(j, item, analysis->last_use);
	}
}

/* ---- texts ---- */

static const uint64_t of_transactions = PW_SQL_BIT(BEGIN) | PW_SQL_BIT(START) | PW_SQL_BIT(COMMIT) |
					PW_SQL_BIT(END) | PW_SQL_BIT(ROLLBACK) | PW_SQL_BIT(ABORT) |
					PW_SQL_BIT(SAVEPOINT) | PW_SQL_BIT(RELEASE);

static void note_bounds(struct pw_effects *effects, const struct pw_shape *shape)
{
	const uint64_t begins = PW_SQL_BIT(BEGIN) | PW_SQL_BIT(START);
	const uint64_t ends =
	    PW_SQL_BIT(COMMIT) | PW_SQL_BIT(END) | PW_SQL_BIT(ROLLBACK) | PW_SQL_BIT(ABORT);

	effects->ends = shape->firsts & ends;
	effects->begins = shape->firsts & begins && !effects->ends;
}

/* SELECT ... INTO, which may be a temporary table. */
static bool has_into(const struct pw_shape *shape)
{
	bool is_insert = shape->statements == 1 && shape->firsts == PW_SQL_BIT(INSERT);

	return shape->words & PW_SQL_BIT(INTO) && !is_insert;
}

/* Is there an INTO that is not of INSERT or MERGE? */
static bool has_into_alone(const char *text, size_t len)
{
	bool is_theirs = false;
	struct pw_lexer lexer;
	struct pw_lexeme token;

	pw_lexer_init(&lexer, text, len);
	for (pw_lexer_next(&lexer, &token);
	     token.kind != PW_TOKEN_END && token.kind != PW_TOKEN_BROKEN;
	     pw_lexer_next(&lexer, &token)) {
		const char *word = text + token.begin;
		size_t n = token.kind == PW_TOKEN_WORD ? token.end - token.begin : 0;

		if (n == 4 && strncasecmp(word, "into", 4) == 0 && !is_theirs)
			return true;
		is_theirs = (n == 6 && strncasecmp(word, "insert", 6) == 0) ||
			    (n == 5 && strncasecmp(word, "merge", 5) == 0);
	}
	return false;
}

static bool makes_tables(const struct pw_shape *shape, const char *text, size_t len)
{
	const uint64_t others = PW_SQL_BIT(INSERT) | PW_SQL_BIT(MERGE);
	const uint64_t queries = PW_SQL_BIT(SELECT) | PW_SQL_BIT(WITH) | PW_SQL_BIT(VALUES) |
				 PW_SQL_BIT(TABLE) | PW_SQL_BIT(EXPLAIN);

	if (shape->firsts & PW_SQL_BIT(CREATE) ||
	    (shape->firsts & PW_SQL_BIT(EXPLAIN) && shape->words & PW_SQL_BIT(CREATE)))
		return true;
	return shape->words & PW_SQL_BIT(INTO) && shape->firsts & queries &&
	       (!(shape->words & others) || has_into_alone(text, len));
}

/* How it uses tables. In doubt in each way; functions that write are known by their names. */
static unsigned uses_of(const struct pw_shape *shape)
{
	const uint64_t none = of_transactions | PW_SQL_BIT(SET) | PW_SQL_BIT(SHOW) |
			      PW_SQL_BIT(RESET) | PW_SQL_BIT(DISCARD) | PW_SQL_BIT(DEALLOCATE) |
			      PW_SQL_BIT(LISTEN) | PW_SQL_BIT(UNLISTEN) | PW_SQL_BIT(NOTIFY);
	const uint64_t reads = PW_SQL_BIT(SELECT) | PW_SQL_BIT(VALUES) | PW_SQL_BIT(TABLE) |
			       PW_SQL_BIT(WITH) | PW_SQL_BIT(DECLARE) | PW_SQL_BIT(FETCH) |
			       PW_SQL_BIT(MOVE) | PW_SQL_BIT(CLOSE);
	const uint64_t writes = PW_SQL_BIT(INSERT) | PW_SQL_BIT(UPDATE) | PW_SQL_BIT(DELETE) |
				PW_SQL_BIT(MERGE) | PW_SQL_BIT(COPY);
	/* With INTO, they may make one. */
	const uint64_t makes =
	    PW_SQL_BIT(SELECT) | PW_SQL_BIT(VALUES) | PW_SQL_BIT(TABLE) | PW_SQL_BIT(WITH);
	bool may_make = shape->words & PW_SQL_BIT(INTO) && shape->firsts & makes;

#ifdef PW_MUTANT_WRITES_COUNT_AS_READS
	return PW_EFFECT_QUERIES;
#endif
	if (shape->is_broken || shape->has_other || shape->firsts & ~(none | reads | writes) ||
	    may_make)
		return PW_EFFECTS_OF_TABLES;
	if (shape->words & writes)
		return PW_EFFECT_QUERIES | PW_EFFECT_WRITES;
	return shape->firsts & ~none ? PW_EFFECT_QUERIES : 0;
}

/* Statements that do nothing to a session, whatever else is in them, but by what they call. */
static bool is_plain(const struct pw_shape *shape)
{
	/* No UPDATE, nor a query that may hold one: pg_settings can be updated. */
	const uint64_t firsts = of_transactions | PW_SQL_BIT(SELECT) | PW_SQL_BIT(INSERT) |
				PW_SQL_BIT(DELETE) | PW_SQL_BIT(VALUES);
	/* x.f of FROM CURRENT_USER x is f(x). */
	const uint64_t calls =
	    PW_SQL_BIT(USER) | PW_SQL_BIT(CURRENT) | PW_SQL_BIT(LOCALTIME) | PW_SQL_BIT(SESSION);

	return !shape->is_broken && !shape->has_other && !shape->has_call && !has_into(shape) &&
	       (shape->firsts & ~firsts) == 0 && (shape->words & calls) == 0;
}

/* U&"...": any name. */
static bool may_be_escaped(const char *text)
{
	return strcasestr(text, "u&\"") != NULL;
}

/* Does it read the list of prepared statements, by the view or its function? */
static bool may_list_statements(const struct pw_shape *shape, const char *text)
{
	static const char function[] = "pg_prepared_statement"; /* the view's name begins so */

	if (shape->words & PW_SQL_BIT(PG_PREPARED_STATEMENTS))
		return true;
	return (shape->has_quoted || !is_plain(shape)) &&
	       (strcasestr(text, function) || (shape->has_quoted && may_be_escaped(text)));
}

/* What the body of a function speaks of, even if it is not there for long. */
static void take_created(const struct judgement *j)
{
	struct pw_scan scan = scan_text(j->effects, j->text, j->len, false);

	if (scan.makes_names || scan.hides_names || scan.runs_made || scan.drops_any)
		j->effects->flags |= PW_EFFECT_UNSEEN;
}

/* A server's answer does not tell whether the use of a new table runs functions. */
static void take_created_table(const struct judgement *j)
{
	static const char *const words[] = {"default",  "generated", "check",    "exclude",
					    "inherits", "like",      "partition"};

	for (size_t i = 0; i < PW_COUNTOF(words); i++)
		note_word(j->effects, j->text, words[i], PW_EFFECT_DDL);
}

void pw_effects_judge(struct pw_effects *effects, struct pw_shape_cache *cache,
		      const struct pw_shape_key *key, const char *text, size_t len)
{
	const struct pw_analysis *analysis;
	struct looks looks = {false, false};
	struct judgement j = {effects, text, len, NULL, &looks};
	const struct pw_shape *shape = pw_shape_cache_take(cache, key, text, len);

	pw_shape_cache_let_go(cache);
	j.shape = shape;
	note_bounds(effects, shape);
	effects->flags |= uses_of(shape);
	if (shape->words & PW_SQL_BIT(COPY))
		effects->flags |= PW_EFFECT_COPY;
	effects->makes_tables |= makes_tables(shape, text, len);
	if (may_list_statements(shape, text))
		add_statement(effects, PW_STATEMENT_ALL, "");
	if (is_plain(shape))
		return;
	analysis = pw_shape_cache_get(cache, text, shape);
	if (analysis && analysis->is_parsed)
		judge_items(&j, analysis);
	else
		pw_effects_judge_unread(effects, text, len);
	if (shape->firsts & PW_SQL_BIT(CREATE))
		take_created(&j);
	if (shape->firsts & PW_SQL_BIT(CREATE) && shape->words & PW_SQL_BIT(TABLE))
		take_created_table(&j);
	if (has_into(shape) && shape->firsts & PW_SQL_BIT(SELECT))
		effects->flags |= PW_EFFECT_TEMP;
}

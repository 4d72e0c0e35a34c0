/* SPDX-License-Identifier: PostgreSQL
 *
 * One sorted array of names of all kinds, each with what is known of it: looked up by halving,
 * whatever names users may choose.
 */
#include "config.h"

#include "pgweir/pool/readable.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "pgweir/base/status.h"
#include "pgweir/pool/verdict.h"
#include "pgweir/sql/builtin.h"
#include "pgweir/sql/lexer.h"

/* What a name is. Something of that name ... */
enum {
	IS_FUNCTION = 1 << 0,         /* ... is a function that users have made, and not in doubt */
	DOUBTFUL_FUNCTION = 1 << 1,   /* ... that is in doubt */
	DOUBTFUL_IN_CATALOG = 1 << 2, /* ... and in pg_catalog */
	DOUBTFUL_OF_ROW = 1 << 3,     /* ... and may be called like a column */
	DOUBTFUL_OPERATOR = 1 << 4,
	DOUBTFUL_RELATION = 1 << 5,
	DOUBTFUL_RELATION_OF_CATALOG = 1 << 6,
	DOUBTFUL_TYPE = 1 << 7,
	DOUBTFUL_TYPE_OF_CATALOG = 1 << 8,
};

/* Of a name's functions that are in doubt, how many arguments they may have: one range for all of
 * them. */
struct range {
	uint8_t least, most;
};

static const struct range none = {PW_SQL_ARGS_ANY, 0};

struct pw_readable_name {
	uint32_t at; /* in the text */
	uint16_t what;
	struct range doubtful;
};

/* Whatever is not written in ASCII. */
static const char foreign[] = "\x80";

/* As names are compared; no longer than PostgreSQL's. */
static void make_key(char out[PW_FUNCTION_NAME_SIZE], const char *name, size_t len)
{
	if (len >= PW_FUNCTION_NAME_SIZE)
		len = PW_FUNCTION_NAME_SIZE - 1;
	for (size_t i = 0; i < len; i++) {
		if (name[i] & 0x80) {
			memcpy(out, foreign, sizeof(foreign));
			return;
		}
		out[i] = name[i];
	}
	out[len] = '\0';
}

/* ---- filling ---- */

struct pw_readable *pw_readable_create(unsigned epoch)
{
	struct pw_readable *readable = calloc(1, sizeof(*readable));

	if (!readable)
		return NULL;
	atomic_init(&readable->refs, 1);
	readable->epoch = epoch;
	pw_strbuf_init(&readable->text);
	return readable;
}

void pw_readable_doubt_all(struct pw_readable *readable)
{
	readable->is_all_in_doubt = true;
	free(readable->names);
	readable->names = NULL;
	readable->n = readable->capacity = 0;
	pw_strbuf_fini(&readable->text);
}

static bool has_room(struct pw_readable *readable, size_t key_size)
{
	size_t more = readable->capacity > 0 ? 2 * readable->capacity : 64;
	struct pw_readable_name *grown;

	if (more > PW_READABLE_NAMES_MAX)
		more = PW_READABLE_NAMES_MAX;
	if (readable->n == PW_READABLE_NAMES_MAX ||
	    readable->text.len + key_size + more * sizeof(*grown) > PW_READABLE_BYTES_MAX)
		return false;
	if (readable->n < readable->capacity)
		return true;
	grown = realloc(readable->names, more * sizeof(*grown));
	if (!grown)
		return false;
	readable->names = grown;
	readable->capacity = more;
	return true;
}

static void add(struct pw_readable *readable, unsigned what, struct range doubtful,
		const char *name, size_t len)
{
	char key[PW_FUNCTION_NAME_SIZE];
	size_t at = readable->text.len;

	if (readable->is_all_in_doubt)
		return;
	make_key(key, name, len);
	if (has_room(readable, strlen(key) + 1))
		pw_strbuf_add(&readable->text, key, strlen(key) + 1);
	if (readable->text.len == at || readable->text.has_failed) {
		pw_readable_doubt_all(readable);
		return;
	}
	readable->names[readable->n++] =
	    (struct pw_readable_name){(uint32_t)at, (uint16_t)what, doubtful};
}

/* Of functions a text gives the schema with a dot, so what is behind the last one counts. */
static void add_function(struct pw_readable *readable, unsigned what, struct range doubtful,
			 const char *name, size_t len)
{
	size_t begin = len;

	while (begin > 0 && name[begin - 1] != '.')
		begin--;
	readable->has_dots |= begin > 0 && what & DOUBTFUL_FUNCTION;
	readable->has_row_functions |= what & DOUBTFUL_OF_ROW;
	add(readable, what, doubtful, name + begin, len - begin);
}

static void take_count(struct pw_readable *readable, const char *digits, size_t len)
{
	uint64_t count = 0;

	readable->is_broken |= readable->has_count || len == 0 || len > 18;
	for (size_t i = 0; i < len && !readable->is_broken; i++) {
		readable->is_broken |= digits[i] < '0' || digits[i] > '9';
		count = 10 * count + (uint64_t)(digits[i] - '0');
	}
	readable->has_count = true;
	readable->promised = count;
}

static const struct {
	char letter;
	bool is_function;
	unsigned what;
} rows[] = {
    {'f', true, IS_FUNCTION},
    {'g', true, DOUBTFUL_FUNCTION},
    {'G', true, DOUBTFUL_FUNCTION | DOUBTFUL_IN_CATALOG},
    {'c', true, DOUBTFUL_OF_ROW},
    {'o', false, DOUBTFUL_OPERATOR},
    {'r', false, DOUBTFUL_RELATION},
    {'R', false, DOUBTFUL_RELATION_OF_CATALOG},
    {'t', false, DOUBTFUL_TYPE},
    {'T', false, DOUBTFUL_TYPE_OF_CATALOG},
};

/* Digits and a comma. */
static bool take_number(const char **at, const char *end, uint8_t *number)
{
	unsigned value = 0;
	const char *begin = *at;

	for (; *at < end && **at >= '0' && **at <= '9' && value <= PW_SQL_ARGS_ANY; ++*at)
		value = 10 * value + (unsigned)(**at - '0');
	if (*at == begin || *at == end || **at != ',' || value > PW_SQL_ARGS_ANY)
		return false;
	++*at;
	*number = (uint8_t)value;
	return true;
}

static bool take_name(struct pw_readable *readable, const char *row, size_t len)
{
	const char *name = row + 1, *end = row + len;
	struct range doubtful = none;

	for (size_t i = 0; i < PW_COUNTOF(rows); i++) {
		if (rows[i].letter != row[0])
			continue;
		if (rows[i].what & DOUBTFUL_FUNCTION &&
		    !(take_number(&name, end, &doubtful.least) &&
		      take_number(&name, end, &doubtful.most)))
			return false;
		if (rows[i].is_function)
			add_function(readable, rows[i].what, doubtful, name, (size_t)(end - name));
		else
			add(readable, rows[i].what, none, name, (size_t)(end - name));
		return name < end;
	}
	return false;
}

void pw_readable_take_row(struct pw_readable *readable, const char *row, size_t len)
{
	if (len > 0 && row[0] == 'k') {
		take_count(readable, row + 1, len - 1);
		return;
	}
	readable->rows++;
	if (len == 1 && row[0] == 'a')
		pw_readable_doubt_all(readable);
	else if (len == 1 && row[0] == 'e')
		readable->has_assignments = true;
	else if (len == 0 || memchr(row, '\0', len) || !take_name(readable, row, len))
		readable->is_broken = true;
}

static int compare(const void *a, const void *b, void *text)
{
	const struct pw_readable_name *first = a, *second = b;

	return strcmp((char *)text + first->at, (char *)text + second->at);
}

static void join(struct pw_readable_name *name, const struct pw_readable_name *other)
{
	name->what |= other->what;
	if (name->doubtful.least > other->doubtful.least)
		name->doubtful.least = other->doubtful.least;
	if (name->doubtful.most < other->doubtful.most)
		name->doubtful.most = other->doubtful.most;
}

bool pw_readable_finish(struct pw_readable *readable)
{
	struct pw_readable_name *names = readable->names;
	size_t n = 0;

	if (readable->promised > PW_READABLE_NAMES_MAX && readable->rows == 0)
		pw_readable_doubt_all(readable);
	else if (readable->promised != readable->rows)
		readable->is_broken = true;
	if (readable->n > 0) {
		qsort_r(names, readable->n, sizeof(*names), compare, readable->text.data);
		for (size_t i = 1; i < readable->n; i++) {
			if (compare(&names[n], &names[i], readable->text.data) == 0)
				join(&names[n], &names[i]);
			else
				names[++n] = names[i];
		}
		readable->n = n + 1;
	}
	return readable->has_count && !readable->is_broken;
}

struct pw_readable *pw_readable_ref(struct pw_readable *readable)
{
	if (readable)
		atomic_fetch_add_explicit(&readable->refs, 1, memory_order_relaxed);
	return readable;
}

void pw_readable_unref(struct pw_readable *readable)
{
	if (!readable || atomic_fetch_sub_explicit(&readable->refs, 1, memory_order_acq_rel) > 1)
		return;
	free(readable->names);
	pw_strbuf_fini(&readable->text);
	free(readable);
}

/* ---- names of a text ---- */

static const struct pw_readable_name *find(const struct pw_readable *readable, const char *name,
					   size_t len)
{
	char key[PW_FUNCTION_NAME_SIZE];
	size_t from = 0, to = readable->n;

	make_key(key, name, len);
	while (from < to) {
		size_t middle = from + (to - from) / 2;
		int order = strcmp(key, readable->text.data + readable->names[middle].at);

		if (order == 0)
			return &readable->names[middle];
		if (order < 0)
			to = middle;
		else
			from = middle + 1;
	}
	return NULL;
}

static unsigned look_up(const struct pw_readable *readable, const char *name, size_t len)
{
	const struct pw_readable_name *found = find(readable, name, len);

	return found ? found->what : 0;
}

/* Does it take so many arguments, if any in doubt does? */
static bool is_call_doubtful(const struct pw_readable_name *name, unsigned n_args)
{
	if (!name || !(name->what & DOUBTFUL_FUNCTION))
		return false;
	return n_args == PW_SQL_ARGS_ANY ||
	       (n_args >= name->doubtful.least && n_args <= name->doubtful.most);
}

static bool is_of_catalog(const char *schema, size_t len)
{
	static const char catalog[] = "pg_catalog";

	return len == sizeof(catalog) - 1 && memcmp(schema, catalog, len) == 0;
}

/* A name alone may be pg_catalog's too. */
static bool is_any_doubtful(const struct pw_readable *readable, const struct pw_sql_name *names,
			    unsigned n, unsigned elsewhere, unsigned of_catalog)
{
	for (unsigned i = 0; i < n; i++) {
		const char *schema = names[i].schema;
		unsigned bits = elsewhere;

		if (schema[0] == '\0')
			bits |= of_catalog;
		else if (is_of_catalog(schema, strlen(schema)))
			bits = of_catalog;
		if (look_up(readable, names[i].name, strlen(names[i].name)) & bits)
			return true;
	}
	return false;
}

static enum pw_doubt judge_own_function(const struct pw_readable *readable, const char *name,
					unsigned what)
{
	if (readable->has_dots || what & DOUBTFUL_IN_CATALOG || !pw_builtin_reads(name))
		return PW_DOUBT_FUNCTION;
	return PW_DOUBT_NONE;
}

/* The name may be that of a type. */
static enum pw_doubt judge_function(const struct pw_readable *readable,
				    const struct pw_sql_call *call)
{
	const char *name = call->name, *dot = strrchr(name, '.');
	const char *alone = dot ? dot + 1 : name;
	const struct pw_readable_name *known = find(readable, alone, strlen(alone));
	unsigned what = known ? known->what : 0;

	if (dot && is_of_catalog(name, (size_t)(dot - name)))
		return judge_own_function(readable, alone, what);
	if (is_call_doubtful(known, call->n_args))
		return PW_DOUBT_FUNCTION;
	if (what & (DOUBTFUL_TYPE | DOUBTFUL_TYPE_OF_CATALOG))
		return PW_DOUBT_TYPE;
	if (!dot && pw_builtin_find(alone) != PW_BUILTIN_UNKNOWN)
		return pw_builtin_reads(alone) ? PW_DOUBT_NONE : PW_DOUBT_FUNCTION;
	return what & IS_FUNCTION ? PW_DOUBT_NONE : PW_DOUBT_UNKNOWN_FUNCTION;
}

static enum pw_doubt judge_functions(const struct pw_readable *readable,
				     const struct pw_analysis *analysis)
{
	enum pw_doubt doubt = PW_DOUBT_NONE;

	for (unsigned i = 0; i < analysis->n_functions && doubt == PW_DOUBT_NONE; i++)
		doubt = judge_function(readable, &analysis->functions[i]);
	return doubt;
}

/* ---- what only the text tells ---- */

struct reading {
	const struct pw_readable *readable;
	const struct pw_analysis *analysis;
	const struct pw_shape *shape;
	const char *text;
	size_t len;
};

static bool calls_current_setting(const struct pw_sql_item *item)
{
	static const char name[] = "current_setting";
	const char *dot = strrchr(item->name, '.');

	return item->kind == PW_SQL_ITEM_CALL && strcmp(dot ? dot + 1 : item->name, name) == 0;
}

/* Is its argument written out, and the name of a setting that goes with the session? */
static bool is_of_session(const struct reading *reading, const struct pw_sql_item *item)
{
	const struct pw_span *span;
	const char *literal;
	size_t len;

	if (item->argument == PW_SQL_NO_LITERAL)
		return false;
	span = &reading->shape->literals[item->argument];
	literal = reading->text + span->begin;
	len = span->end - span->begin;
	return len >= 2 && literal[0] == '\'' && literal[len - 1] == '\'' &&
	       !memchr(literal + 1, '\'', len - 2) && !pw_setting_is_local(literal + 1, len - 2);
}

static bool asks_node(const struct reading *reading)
{
	for (unsigned i = 0; i < reading->analysis->n_items; i++) {
		const struct pw_sql_item *item = &reading->analysis->items[i];

		if (calls_current_setting(item) && !is_of_session(reading, item))
			return true;
	}
	return false;
}

/* As the server folds it; what is in quotes may have another case, and may be written in escapes.
 */
static bool is_row_function(const struct reading *reading, const struct pw_lexeme *token)
{
	const char *name = reading->text + token->begin;
	size_t len = token->end - token->begin;
	char folded[PW_FUNCTION_NAME_SIZE];

	if (token->kind == PW_TOKEN_QUOTED_NAME) {
		if (name[0] != '"' || memchr(name + 1, '"', len - 2))
			return true;
		return look_up(reading->readable, name + 1, len - 2) & DOUBTFUL_OF_ROW;
	}
	if (token->kind != PW_TOKEN_WORD)
		return false;
	if (len >= sizeof(folded))
		len = sizeof(folded) - 1;
	for (size_t i = 0; i < len; i++)
		folded[i] =
		    (char)(name[i] >= 'A' && name[i] <= 'Z' ? name[i] + ('a' - 'A') : name[i]);
	return look_up(reading->readable, folded, len) & DOUBTFUL_OF_ROW;
}

/* x.f calls the function where x is a row, and has no column f. */
static bool calls_of_row(const struct reading *reading)
{
	struct pw_lexer lexer;
	struct pw_lexeme token;
	bool is_behind_dot = false;

	if (!reading->readable->has_row_functions)
		return false;
	pw_lexer_init(&lexer, reading->text, reading->len);
	for (;;) {
		pw_lexer_next(&lexer, &token);
		if (token.kind == PW_TOKEN_END || token.kind == PW_TOKEN_BROKEN)
			return token.kind == PW_TOKEN_BROKEN;
		if (is_behind_dot && is_row_function(reading, &token))
			return true;
		is_behind_dot = reading->text[token.begin] == '.' && token.kind == PW_TOKEN_SYMBOL;
	}
}

/* Makes values of what the columns of a row are, which no text need name. */
static bool fills_rows(const struct pw_analysis *analysis)
{
	for (unsigned i = 0; i < analysis->n_functions; i++) {
		const char *called = analysis->functions[i].name, *dot = strrchr(called, '.');
		const char *name = dot ? dot + 1 : called;

		name += strncmp(name, "jsonb_", 6) == 0 ? 6 : 0;
		name += strncmp(name, "json_", 5) == 0 ? 5 : 0;
		if (strcmp(name, "populate_record") == 0 || strcmp(name, "populate_recordset") == 0)
			return true;
	}
	return false;
}

/* ---- all together ---- */

enum pw_doubt pw_readable_judge(const struct pw_readable *readable,
				const struct pw_analysis *analysis, const struct pw_shape *shape,
				const char *text, size_t len)
{
	const struct reading reading = {readable, analysis, shape, text, len};
	unsigned relations = DOUBTFUL_RELATION;
	enum pw_doubt doubt;

	if (analysis->read == PW_SQL_READ_NEVER)
		return PW_DOUBT_STATEMENT;
	if (analysis->read == PW_SQL_READ_TRANSACTION)
		return PW_DOUBT_NONE;
	if (!readable)
		return PW_DOUBT_CATALOG;
	if (readable->is_all_in_doubt)
		return PW_DOUBT_DATABASE;
	doubt = judge_functions(readable, analysis);
	if (doubt != PW_DOUBT_NONE)
		return doubt;
	if (asks_node(&reading))
		return PW_DOUBT_SETTING;
	if (calls_of_row(&reading))
		return PW_DOUBT_FUNCTION;
	if (fills_rows(analysis))
		relations |= DOUBTFUL_TYPE;
	if (is_any_doubtful(readable, analysis->relations, analysis->n_relations, relations,
			    DOUBTFUL_RELATION_OF_CATALOG))
		return PW_DOUBT_RELATION;
	if (is_any_doubtful(readable, analysis->operators, analysis->n_operators, DOUBTFUL_OPERATOR,
			    0))
		return PW_DOUBT_OPERATOR;
	if (is_any_doubtful(readable, analysis->types, analysis->n_types, DOUBTFUL_TYPE,
			    DOUBTFUL_TYPE_OF_CATALOG))
		return PW_DOUBT_TYPE;
	if (readable->has_assignments && analysis->read_kinds & 1u << PW_SQL_READ_EXECUTE)
		return PW_DOUBT_TYPE;
	return PW_DOUBT_NONE;
}

const char *pw_doubt_name(enum pw_doubt doubt)
{
	static const char *const names[PW_DOUBT_N] = {
	    [PW_DOUBT_NONE] = "none",         [PW_DOUBT_STATEMENT] = "statement",
	    [PW_DOUBT_CATALOG] = "catalogue", [PW_DOUBT_DATABASE] = "database",
	    [PW_DOUBT_FUNCTION] = "function", [PW_DOUBT_UNKNOWN_FUNCTION] = "unknown function",
	    [PW_DOUBT_RELATION] = "relation", [PW_DOUBT_OPERATOR] = "operator",
	    [PW_DOUBT_TYPE] = "type",         [PW_DOUBT_SETTING] = "setting",
	};

	return names[doubt];
}

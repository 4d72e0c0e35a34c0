/* SPDX-License-Identifier: PostgreSQL
 *
 * Whatever node holds other nodes is walked through, whether or not it has a row below.
 */
#include "config.h"

#include "pgweir/sql/analysis.h"

#include <stdlib.h>
#include <string.h>

#include <pg_query.h>
#include <pg_query/pg_query.pb-c.h>

#include "pgweir/base/status.h"
#include "pgweir/base/strbuf.h"
#include "reads_priv.h"
#include "tree_priv.h"

/* PostgreSQL's parsenodes.h. */
enum { CURSOR_OPT_HOLD = 0x20 };

/* ---- gathering ---- */

/* An item while its name's address may still change. */
struct draft {
	enum pw_sql_item_kind kind;
	unsigned statement;
	int argument;
	unsigned back;
	bool is_third_true;
	size_t name;     /* offset in `names` */
	unsigned n_args; /* CALL: PW_SQL_ARGS_ANY where it is not known */
};

struct build {
	const struct pw_shape *shape;
	struct pw_strbuf items; /* of struct draft */
	struct pw_strbuf names; /* each with its zero */
	unsigned statement, last_use;
	struct pw_strbuf columns; /* of tables, in this statement; likewise */
	bool has_function_table;  /* one of these may be a function */
	struct pw_reads reads;
};

static void add_draft(struct build *b, const struct draft *item, const char *name)
{
	pw_strbuf_add(&b->items, item, sizeof(*item));
	pw_strbuf_add(&b->names, name, strlen(name) + 1);
}

static void add_item_back(struct build *b, enum pw_sql_item_kind kind, const char *name,
			  int argument, unsigned back)
{
	const struct draft item = {kind,  b->statement, argument,       back,
				   false, b->names.len, PW_SQL_ARGS_ANY};

	add_draft(b, &item, name);
}

static void add_item(struct build *b, enum pw_sql_item_kind kind, const char *name, int argument)
{
	add_item_back(b, kind, name, argument, 0);
}

/* ---- what single nodes mean ---- */

static void take_variable_set(struct build *b, const ProtobufCMessage *message)
{
	const PgQuery__VariableSetStmt *set = (const PgQuery__VariableSetStmt *)message;

	/* SET TRANSACTION is about the one at hand, whatever else it is. */
	bool is_local = set->is_local || strncmp(set->name, "TRANSACTION", 11) == 0;

	bool is_reset = set->kind == PG_QUERY__VARIABLE_SET_KIND__VAR_RESET ||
			set->kind == PG_QUERY__VARIABLE_SET_KIND__VAR_SET_DEFAULT;

	if (set->kind == PG_QUERY__VARIABLE_SET_KIND__VAR_RESET_ALL)
		add_item_back(b, PW_SQL_ITEM_RESET_ALL, "", PW_SQL_NO_LITERAL, PW_SQL_BACK_SESSION);
	else if (is_local)
		add_item_back(b, PW_SQL_ITEM_SET_LOCAL, set->name, PW_SQL_NO_LITERAL,
			      is_reset ? PW_SQL_BACK_LOCAL : 0);
	else
		add_item_back(b, is_reset ? PW_SQL_ITEM_RESET : PW_SQL_ITEM_SET, set->name,
			      PW_SQL_NO_LITERAL, is_reset ? PW_SQL_BACK_SESSION : 0);
}

static void take_discard(struct build *b, const ProtobufCMessage *message)
{
	static const char *const targets[] = {
	    [PG_QUERY__DISCARD_MODE__DISCARD_ALL] = "all",
	    [PG_QUERY__DISCARD_MODE__DISCARD_PLANS] = "plans",
	    [PG_QUERY__DISCARD_MODE__DISCARD_SEQUENCES] = "sequences",
	    [PG_QUERY__DISCARD_MODE__DISCARD_TEMP] = "temp",
	};
	unsigned target = ((const PgQuery__DiscardStmt *)message)->target;
	const char *name = target < PW_COUNTOF(targets) ? targets[target] : NULL;

	add_item_back(b, PW_SQL_ITEM_DISCARD, name ? name : "all", PW_SQL_NO_LITERAL,
		      target == PG_QUERY__DISCARD_MODE__DISCARD_ALL ? PW_SQL_BACK_SESSION : 0);
}

static void take_transaction(struct build *b, const ProtobufCMessage *message)
{
	static const char *const kinds[] = {
	    [PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_BEGIN] = "begin",
	    [PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_START] = "begin",
	    [PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_COMMIT] = "commit",
	    [PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_ROLLBACK] = "rollback",
	    [PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_SAVEPOINT] = "savepoint",
	    [PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_RELEASE] = "release",
	    [PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_ROLLBACK_TO] = "rollback to",
	    [PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_PREPARE] = "prepare transaction",
	    [PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_COMMIT_PREPARED] = "commit prepared",
	    [PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_ROLLBACK_PREPARED] = "rollback prepared",
	};
	unsigned kind = ((const PgQuery__TransactionStmt *)message)->kind;
	const char *name = kind < PW_COUNTOF(kinds) ? kinds[kind] : NULL;

	add_item(b, PW_SQL_ITEM_TRANSACTION, name ? name : "", PW_SQL_NO_LITERAL);
}

/* Tables, views and sequences, wherever a new one is named; also where an old one is, which says
 * the same: it is in the temporary schema of this session. */
static void take_range_var(struct build *b, const ProtobufCMessage *message)
{
	const PgQuery__RangeVar *range = (const PgQuery__RangeVar *)message;

	if (strcmp(range->relpersistence, "t") == 0 || strcmp(range->schemaname, "pg_temp") == 0)
		add_item(b, PW_SQL_ITEM_TEMPORARY, range->relname, PW_SQL_NO_LITERAL);
	if (strcmp(range->relname, "pg_settings") == 0)
		add_item(b, PW_SQL_ITEM_PG_SETTINGS, range->relname, PW_SQL_NO_LITERAL);
}

/* Functions, types, operators: whatever else is made is named by a list, which may begin with
 * pg_temp. */
static void take_list(struct build *b, const ProtobufCMessage *message)
{
	const PgQuery__List *list = (const PgQuery__List *)message;

	if (list->n_items > 1 && strcmp(pw_tree_string(list->items[0]), "pg_temp") == 0)
		add_item(b, PW_SQL_ITEM_TEMPORARY, pw_tree_string(list->items[1]),
			 PW_SQL_NO_LITERAL);
}

static void take_create_function(struct build *b, const ProtobufCMessage *message)
{
	const PgQuery__CreateFunctionStmt *create = (const PgQuery__CreateFunctionStmt *)message;

	if (create->n_funcname > 1 && strcmp(pw_tree_string(create->funcname[0]), "pg_temp") == 0)
		add_item(b, PW_SQL_ITEM_TEMPORARY, pw_tree_string(create->funcname[1]),
			 PW_SQL_NO_LITERAL);
}

static void take_declare(struct build *b, const ProtobufCMessage *message)
{
	const PgQuery__DeclareCursorStmt *declare = (const PgQuery__DeclareCursorStmt *)message;

	if (declare->options & CURSOR_OPT_HOLD)
		add_item(b, PW_SQL_ITEM_HOLD, declare->portalname, PW_SQL_NO_LITERAL);
}

static void take_do(struct build *b, const ProtobufCMessage *message PW_UNUSED)
{
	add_item(b, PW_SQL_ITEM_BODY, "", PW_SQL_NO_LITERAL);
}

/* Which literal of the shape begins there? */
static int find_literal(const struct pw_shape *shape, int location)
{
	size_t n = shape->n_literals < PW_SHAPE_LITERALS ? shape->n_literals : PW_SHAPE_LITERALS;

	for (size_t i = 0; i < n && location >= 0; i++) {
		if (shape->literals[i].begin == (size_t)location)
			return (int)i;
	}
	return PW_SQL_NO_LITERAL;
}

static int first_argument(const struct build *b, const PgQuery__FuncCall *call)
{
	const PgQuery__Node *node = call->n_args > 0 ? call->args[0] : NULL;

	if (!node || node->node_case != PG_QUERY__NODE__NODE_A_CONST || call->func_variadic)
		return PW_SQL_NO_LITERAL;
	return find_literal(b->shape, node->a_const->location);
}

/* The word is part of the shape, as a literal is not. */
static bool is_third_true(const PgQuery__FuncCall *call)
{
	const PgQuery__Node *node = call->n_args == 3 ? call->args[2] : NULL;

	return node && node->node_case == PG_QUERY__NODE__NODE_A_CONST && !call->func_variadic &&
	       node->a_const->val_case == PG_QUERY__A__CONST__VAL_BOOLVAL &&
	       node->a_const->boolval->boolval;
}

/* Of set_config(name, value, is_local). */
static unsigned goes_back(const PgQuery__FuncCall *call)
{
	const unsigned either = PW_SQL_BACK_SESSION | PW_SQL_BACK_LOCAL;
	const PgQuery__Node *value, *local;
	const PgQuery__AConst *constant;

	if (call->n_funcname == 0 || call->n_args != 3 ||
	    strcmp(pw_tree_string(call->funcname[call->n_funcname - 1]), "set_config") != 0)
		return 0;
	value = call->args[1];
	while (value && value->node_case == PG_QUERY__NODE__NODE_TYPE_CAST)
		value = value->type_cast->arg;
	if (!value || value->node_case == PG_QUERY__NODE__NODE_PARAM_REF ||
	    (value->node_case == PG_QUERY__NODE__NODE_A_CONST && !value->a_const->isnull))
		return 0;
	local = call->args[2];
	constant =
	    local && local->node_case == PG_QUERY__NODE__NODE_A_CONST ? local->a_const : NULL;
	if (!constant || constant->val_case != PG_QUERY__A__CONST__VAL_BOOLVAL)
		return either;
	return constant->boolval->boolval ? PW_SQL_BACK_LOCAL : PW_SQL_BACK_SESSION;
}

/* What an ordered set is ordered by is given to its function as well. */
static unsigned count_arguments(const PgQuery__FuncCall *call)
{
	size_t n = call->n_args + (call->agg_within_group ? call->n_agg_order : 0);

	return call->func_variadic || n > PW_SQL_ARGS_ANY ? PW_SQL_ARGS_ANY : (unsigned)n;
}

static void take_call(struct build *b, const ProtobufCMessage *message)
{
	const PgQuery__FuncCall *call = (const PgQuery__FuncCall *)message;
	struct pw_strbuf name = PW_STRBUF_INIT;

	pw_tree_add_dotted(&name, call->funcname, call->n_funcname);
	if (name.has_failed)
		b->names.has_failed = true;
	else if (name.data)
		add_draft(b,
			  &(struct draft){PW_SQL_ITEM_CALL, b->statement, first_argument(b, call),
					  goes_back(call), is_third_true(call), b->names.len,
					  count_arguments(call)},
			  name.data);
	pw_strbuf_fini(&name);
}

/* (value).function, or a field of the value. */
static void take_indirection(struct build *b, const ProtobufCMessage *message)
{
	const PgQuery__AIndirection *at = (const PgQuery__AIndirection *)message;

	for (size_t i = 0; i < at->n_indirection; i++) {
		const char *name = pw_tree_string(at->indirection[i]);

		if (name[0])
			add_item(b, PW_SQL_ITEM_CALL, name, PW_SQL_NO_LITERAL);
	}
}

static void take_column(struct build *b, const ProtobufCMessage *message)
{
	const PgQuery__ColumnRef *column = (const PgQuery__ColumnRef *)message;
	const char *name = "";

	if (column->n_fields > 1)
		name = pw_tree_string(column->fields[column->n_fields - 1]);
	if (name[0])
		pw_strbuf_add(&b->columns, name, strlen(name) + 1);
}

static void take_range_function(struct build *b, const ProtobufCMessage *message PW_UNUSED)
{
	b->has_function_table = true;
}

/* table.function may stand for function(table). Where a function is the table, its rows may be of
 * any type; where it is not, they are of a type of their own (pool/code_question.c). */
static void take_columns(struct build *b)
{
	const struct pw_strbuf *names = &b->columns;

	for (size_t at = 0; b->has_function_table && at < names->len;
	     at += strlen(names->data + at) + 1)
		add_item(b, PW_SQL_ITEM_CALL, names->data + at, PW_SQL_NO_LITERAL);
	b->names.has_failed |= names->has_failed;
	pw_strbuf_reset(&b->columns);
	b->has_function_table = false;
}

/* Either a function sees to the node, or it is an item whose name is one of its fields. */
struct node_row {
	const ProtobufCMessageDescriptor *node;
	void (*take)(struct build *b, const ProtobufCMessage *message);
	enum pw_sql_item_kind kind;
	size_t name; /* offset of a char * */
};

/* clang-format off */
static const struct node_row rows[] = {
    {&pg_query__func_call__descriptor, take_call, 0, 0},
    {&pg_query__a__indirection__descriptor, take_indirection, 0, 0},
    {&pg_query__column_ref__descriptor, take_column, 0, 0},
    {&pg_query__range_function__descriptor, take_range_function, 0, 0},
    {&pg_query__range_var__descriptor, take_range_var, 0, 0},
    {&pg_query__list__descriptor, take_list, 0, 0},
    {&pg_query__transaction_stmt__descriptor, take_transaction, 0, 0},
    {&pg_query__variable_set_stmt__descriptor, take_variable_set, 0, 0},
    {&pg_query__discard_stmt__descriptor, take_discard, 0, 0},
    {&pg_query__declare_cursor_stmt__descriptor, take_declare, 0, 0},
    {&pg_query__create_function_stmt__descriptor, take_create_function, 0, 0},
    {&pg_query__prepare_stmt__descriptor, NULL, PW_SQL_ITEM_PREPARE,
     offsetof(PgQuery__PrepareStmt, name)},
    {&pg_query__execute_stmt__descriptor, NULL, PW_SQL_ITEM_EXECUTE,
     offsetof(PgQuery__ExecuteStmt, name)},
    {&pg_query__deallocate_stmt__descriptor, NULL, PW_SQL_ITEM_DEALLOCATE,
     offsetof(PgQuery__DeallocateStmt, name)},
    {&pg_query__listen_stmt__descriptor, NULL, PW_SQL_ITEM_LISTEN,
     offsetof(PgQuery__ListenStmt, conditionname)},
    {&pg_query__unlisten_stmt__descriptor, NULL, PW_SQL_ITEM_UNLISTEN,
     offsetof(PgQuery__UnlistenStmt, conditionname)},
    {&pg_query__notify_stmt__descriptor, NULL, PW_SQL_ITEM_NOTIFY,
     offsetof(PgQuery__NotifyStmt, conditionname)},
    {&pg_query__load_stmt__descriptor, NULL, PW_SQL_ITEM_LOAD,
     offsetof(PgQuery__LoadStmt, filename)},
    {&pg_query__do_stmt__descriptor, take_do, 0, 0},
};
/* clang-format on */

/* ---- the walk ---- */

static void take_node(struct build *b, const ProtobufCMessage *message, const struct node_row *row)
{
	const char *name;

	if (row->take) {
		row->take(b, message);
		return;
	}
	memcpy(&name, (const char *)message + row->name, sizeof(name));
	add_item(b, row->kind, name, PW_SQL_NO_LITERAL);
}

static void walk(void *arg, const ProtobufCMessage *message)
{
	struct build *b = arg;

	for (size_t i = 0; i < PW_COUNTOF(rows); i++) {
		if (message->descriptor == rows[i].node)
			take_node(b, message, &rows[i]);
	}
	pw_tree_visit(message, walk, b);
}

/* Is there one since then that tells more of a CREATE than what it calls? */
static bool has_own_item(const struct build *b, size_t since)
{
	for (size_t at = since; at < b->items.len; at += sizeof(struct draft)) {
		struct draft draft;

		memcpy(&draft, b->items.data + at, sizeof(draft));
		if (draft.kind != PW_SQL_ITEM_CALL)
			return true;
	}
	return false;
}

/* SELECT pg_advisory_unlock_all(), as drivers have it among what resets a session. */
static bool is_unlock_all(const PgQuery__SelectStmt *select)
{
	const PgQuery__Node *value = NULL;
	const PgQuery__FuncCall *call;

	if (select->n_target_list == 1 && select->n_from_clause == 0 && !select->where_clause &&
	    !select->into_clause && !select->with_clause &&
	    select->target_list[0]->node_case == PG_QUERY__NODE__NODE_RES_TARGET)
		value = select->target_list[0]->res_target->val;
	if (!value || value->node_case != PG_QUERY__NODE__NODE_FUNC_CALL)
		return false;
	call = value->func_call;
	return call->n_args == 0 && call->n_funcname > 0 &&
	       strcmp(pw_tree_string(call->funcname[call->n_funcname - 1]),
		      "pg_advisory_unlock_all") == 0;
}

/* Who one becomes hangs on who one is. */
static bool is_identity(const char *name)
{
	return strcmp(name, "role") == 0 || strcmp(name, "session_authorization") == 0;
}

/* May it do something else, or answer otherwise, under other settings? */
static bool uses_settings(const PgQuery__Node *node)
{
	switch (node->node_case) {
	case PG_QUERY__NODE__NODE_VARIABLE_SET_STMT:
		return node->variable_set_stmt->kind ==
			   PG_QUERY__VARIABLE_SET_KIND__VAR_SET_VALUE &&
		       is_identity(node->variable_set_stmt->name);
	case PG_QUERY__NODE__NODE_DISCARD_STMT:
	case PG_QUERY__NODE__NODE_CLOSE_PORTAL_STMT:
	case PG_QUERY__NODE__NODE_LISTEN_STMT:
	case PG_QUERY__NODE__NODE_UNLISTEN_STMT:
	case PG_QUERY__NODE__NODE_DEALLOCATE_STMT:
		return false;
	case PG_QUERY__NODE__NODE_SELECT_STMT:
		return !is_unlock_all(node->select_stmt);
	default:
		return true;
	}
}

/* Statements that no row above knows, other than queries. */
static void note_statement(struct build *b, const PgQuery__Node *node)
{
	const ProtobufCFieldDescriptor *field;
	size_t before = b->items.len;

	pw_tree_visit(&node->base, walk, b);
	take_columns(b);
	switch (node->node_case) {
	case PG_QUERY__NODE__NODE_SELECT_STMT:
	case PG_QUERY__NODE__NODE_INSERT_STMT:
	case PG_QUERY__NODE__NODE_UPDATE_STMT:
	case PG_QUERY__NODE__NODE_DELETE_STMT:
	case PG_QUERY__NODE__NODE_MERGE_STMT:
		return;
	default:
		break;
	}
	field = protobuf_c_message_descriptor_get_field(&pg_query__node__descriptor,
							(unsigned)node->node_case);
	if (!field)
		return;
	if (b->items.len == before ||
	    (strncmp(field->name, "create", 6) == 0 && !has_own_item(b, before)))
		add_item(b, PW_SQL_ITEM_OTHER, field->name, PW_SQL_NO_LITERAL);
}

/* ---- what comes of it ---- */

static void put_items(const struct build *b, struct pw_analysis *analysis, const char *names)
{
	for (unsigned i = 0; i < analysis->n_items; i++) {
		struct draft draft;

		memcpy(&draft, b->items.data + i * sizeof(draft), sizeof(draft));
		analysis->items[i] =
		    (struct pw_sql_item){draft.kind,     draft.statement,     names + draft.name,
					 draft.argument, draft.is_third_true, draft.back};
		analysis->kinds |= UINT32_C(1) << draft.kind;
	}
}

/* One block: the items, what is known of reads, the items' names. */
static struct pw_analysis *finish(const struct build *b)
{
	size_t n = b->items.len / sizeof(struct draft), bytes, bytes_of_reads;
	struct pw_analysis *analysis;
	char *room;

	if (!pw_reads_measure(&b->reads, &bytes_of_reads) || b->items.has_failed ||
	    b->names.has_failed)
		return NULL;
	bytes = sizeof(struct pw_analysis) + n * sizeof(struct pw_sql_item) + bytes_of_reads +
		b->names.len;
	analysis = calloc(1, bytes);
	if (!analysis)
		return NULL;
	room = (char *)&analysis->items[n];
	pw_reads_put(&b->reads, analysis, room);
	room += bytes_of_reads;
	if (b->names.len > 0)
		memcpy(room, b->names.data, b->names.len);
	analysis->n_items = (unsigned)n;
	analysis->bytes = bytes;
	put_items(b, analysis, room);
	return analysis;
}

/* All functions that are called by name have an item. */
static void take_reads(struct build *b, bool is_parsed)
{
	b->reads.is_never |= !is_parsed;
	for (size_t at = 0; at < b->items.len && !b->names.has_failed; at += sizeof(struct draft)) {
		struct draft draft;

		memcpy(&draft, b->items.data + at, sizeof(draft));
		if (draft.kind == PW_SQL_ITEM_CALL)
			pw_reads_add_function(&b->reads, b->names.data + draft.name, draft.n_args);
	}
}

static bool parse(struct build *b, const char *text, unsigned *statements)
{
	PgQueryProtobufParseResult result = pg_query_parse_protobuf(text);
	PgQuery__ParseResult *tree = NULL;

	if (!result.error)
		tree = pg_query__parse_result__unpack(NULL, result.parse_tree.len,
						      (const uint8_t *)result.parse_tree.data);
	for (size_t i = 0; tree && i < tree->n_stmts; i++) {
		b->statement = (unsigned)i;
		pw_reads_add_statement(&b->reads, tree->stmts[i]->stmt);
		if (!tree->stmts[i]->stmt)
			continue;
		note_statement(b, tree->stmts[i]->stmt);
		if (uses_settings(tree->stmts[i]->stmt))
			b->last_use = (unsigned)i + 1;
	}
	*statements = tree ? (unsigned)tree->n_stmts : 0;
	if (tree)
		pg_query__parse_result__free_unpacked(tree, NULL);
	pg_query_free_protobuf_parse_result(result);
	return tree != NULL;
}

struct pw_analysis *pw_analysis_create(const char *text, const struct pw_shape *shape)
{
	struct build b = {.shape = shape};
	struct pw_analysis *analysis;
	unsigned statements = 0;
	bool is_parsed = !shape->is_broken && shape->tokens <= PW_ANALYSIS_TOKENS_MAX &&
			 shape->depth <= PW_ANALYSIS_DEPTH_MAX && parse(&b, text, &statements);

	take_reads(&b, is_parsed);
	analysis = finish(&b);
	if (analysis) {
		analysis->is_parsed = is_parsed;
		analysis->statements = statements;
		analysis->last_use = b.last_use;
	}
	pw_strbuf_fini(&b.items);
	pw_strbuf_fini(&b.names);
	pw_strbuf_fini(&b.columns);
	pw_reads_fini(&b.reads);
	return analysis;
}

void pw_analysis_destroy(struct pw_analysis *analysis)
{
	free(analysis);
}

const char *pw_analysis_library_version(void)
{
	return PG_VERSION;
}

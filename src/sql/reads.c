/* SPDX-License-Identifier: PostgreSQL
 *
 * Reading is proved: a statement must have a row in `statements`, and all that is in it one in
 * `nodes`. Anything else, and so whatever a later grammar brings, is no read.
 */
#include "config.h"

#include "reads_priv.h"

#include <string.h>
#include <strings.h>

#include "pgweir/base/status.h"
#include "pgweir/sql/builtin.h"
#include "tree_priv.h"

/* PostgreSQL's parsenodes.h. */
enum { CURSOR_OPT_HOLD = 0x20 };

/* ---- names ---- */

static void add_operator(struct pw_reads *r, const char *name)
{
	pw_reads_add_name(r, PW_READS_OPERATORS, "", name);
}

/* Rows are sorted, or told apart, which may be done by sorting them. */
static void add_order(struct pw_reads *r)
{
	add_operator(r, "=");
	add_operator(r, "<");
}

static void add_operator_parts(struct pw_reads *r, PgQuery__Node *const *parts, size_t n)
{
	if (n < 2 || strcmp(pw_tree_string(parts[n - 2]), "pg_catalog") != 0)
		pw_reads_add_parts(r, PW_READS_OPERATORS, parts, n);
}

static void add_relation(struct pw_reads *r, const PgQuery__RangeVar *range)
{
	if (strcmp(range->relpersistence, "t") == 0)
		r->is_never = true;
	pw_reads_add_name(r, PW_READS_RELATIONS, range->schemaname, range->relname);
}

/* ---- what WITH gives a name ---- */

struct pw_reads_scope {
	const struct pw_reads_scope *outer;
	const PgQuery__WithClause *with;
	size_t visible; /* so many of them, from the first */
};

static bool is_visible(const struct pw_reads *r, const char *name)
{
	for (const struct pw_reads_scope *s = r->scope; s; s = s->outer) {
		for (size_t i = 0; i < s->visible; i++) {
			const PgQuery__Node *node = s->with->ctes[i];

			if (node->node_case == PG_QUERY__NODE__NODE_COMMON_TABLE_EXPR &&
			    strcmp(node->common_table_expr->ctename, name) == 0)
				return true;
		}
	}
	return false;
}

static void walk(void *arg, const ProtobufCMessage *message);

/* A query and what it has in WITH: each of these sees those before it, or all. */
static void walk_query(struct pw_reads *r, const ProtobufCMessage *query,
		       const PgQuery__WithClause *with)
{
	struct pw_reads_scope scope = {r->scope, with, 0};

	if (with) {
		r->scope = &scope;
		for (size_t i = 0; i < with->n_ctes; i++) {
			scope.visible = with->recursive ? with->n_ctes : i;
			pw_tree_visit(&with->ctes[i]->base, walk, r);
		}
		scope.visible = with->n_ctes;
	}
	pw_tree_visit(query, walk, r);
	r->scope = scope.outer;
}

/* ---- what is in a query ---- */

/* All set operations do but UNION ALL. */
static bool compares_rows(const PgQuery__SelectStmt *select)
{
	return select->op != PG_QUERY__SET_OPERATION__SETOP_NONE &&
	       !(select->op == PG_QUERY__SET_OPERATION__SETOP_UNION && select->all);
}

static void take_select(struct pw_reads *r, const ProtobufCMessage *message)
{
	const PgQuery__SelectStmt *select = (const PgQuery__SelectStmt *)message;

	if (select->into_clause || select->n_locking_clause > 0)
		r->is_never = true;
	if (select->n_distinct_clause > 0 || select->n_group_clause > 0 || compares_rows(select))
		add_order(r);
	walk_query(r, message, select->with_clause);
}

static void take_range_var(struct pw_reads *r, const ProtobufCMessage *message)
{
	const PgQuery__RangeVar *range = (const PgQuery__RangeVar *)message;

	if (range->schemaname[0] || !is_visible(r, range->relname))
		add_relation(r, range);
}

static void take_sample(struct pw_reads *r, const ProtobufCMessage *message)
{
	const PgQuery__RangeTableSample *sample = (const PgQuery__RangeTableSample *)message;
	struct pw_strbuf name = PW_STRBUF_INIT;

	pw_tree_add_dotted(&name, sample->method, sample->n_method);
	if (name.data)
		pw_reads_add_function(r, name.data, PW_SQL_ARGS_ANY);
	r->text.has_failed |= name.has_failed;
	pw_strbuf_fini(&name);
}

static void take_join(struct pw_reads *r, const ProtobufCMessage *message)
{
	const PgQuery__JoinExpr *join = (const PgQuery__JoinExpr *)message;

	if (join->is_natural || join->n_using_clause > 0)
		add_operator(r, "=");
}

static void take_expression(struct pw_reads *r, const ProtobufCMessage *message)
{
	const PgQuery__AExpr *expression = (const PgQuery__AExpr *)message;

	switch (expression->kind) {
	case PG_QUERY__A__EXPR__KIND__AEXPR_BETWEEN:
	case PG_QUERY__A__EXPR__KIND__AEXPR_BETWEEN_SYM:
		add_operator(r, ">=");
		add_operator(r, "<=");
		break;
	case PG_QUERY__A__EXPR__KIND__AEXPR_NOT_BETWEEN:
	case PG_QUERY__A__EXPR__KIND__AEXPR_NOT_BETWEEN_SYM:
		add_operator(r, "<");
		add_operator(r, ">");
		break;
	default:
		add_operator_parts(r, expression->name, expression->n_name);
	}
}

static void take_sublink(struct pw_reads *r, const ProtobufCMessage *message)
{
	const PgQuery__SubLink *link = (const PgQuery__SubLink *)message;

	add_operator_parts(r, link->oper_name, link->n_oper_name);
	/* IN */
	if (link->sub_link_type == PG_QUERY__SUB_LINK_TYPE__ANY_SUBLINK && link->n_oper_name == 0)
		add_operator(r, "=");
}

static void take_case(struct pw_reads *r, const ProtobufCMessage *message)
{
	if (((const PgQuery__CaseExpr *)message)->arg)
		add_operator(r, "=");
}

static void take_min_max(struct pw_reads *r, const ProtobufCMessage *message)
{
	bool is_least =
	    ((const PgQuery__MinMaxExpr *)message)->op == PG_QUERY__MIN_MAX_OP__IS_LEAST;

	add_operator(r, is_least ? "<" : ">");
}

static void take_sort(struct pw_reads *r, const ProtobufCMessage *message)
{
	const PgQuery__SortBy *sort = (const PgQuery__SortBy *)message;

	add_operator_parts(r, sort->use_op, sort->n_use_op);
	add_order(r);
	if (sort->sortby_dir == PG_QUERY__SORT_BY_DIR__SORTBY_DESC)
		add_operator(r, ">");
}

static void take_window(struct pw_reads *r, const ProtobufCMessage *message)
{
	if (((const PgQuery__WindowDef *)message)->n_partition_clause > 0)
		add_order(r);
}

/* What it is called has been added with the CALL items. */
static void take_call(struct pw_reads *r, const ProtobufCMessage *message)
{
	if (((const PgQuery__FuncCall *)message)->agg_distinct)
		add_order(r);
}

static void take_cycle(struct pw_reads *r, const ProtobufCMessage *message PW_UNUSED)
{
	add_order(r);
	add_operator(r, "<>");
}

static void take_type(struct pw_reads *r, const ProtobufCMessage *message)
{
	const PgQuery__TypeName *type = (const PgQuery__TypeName *)message;

	pw_reads_add_parts(r, PW_READS_TYPES, type->names, type->n_names);
}

/* All that may be in a read. */
struct node_row {
	const ProtobufCMessageDescriptor *node;
	void (*take)(struct pw_reads *r, const ProtobufCMessage *message); /* NULL: names nothing */
	bool is_whole; /* what is within has been seen to */
};

/* clang-format off */
static const struct node_row nodes[] = {
    {&pg_query__string__descriptor, NULL, true},
    {&pg_query__column_ref__descriptor, NULL, true},
    {&pg_query__a__const__descriptor, NULL, true},
    {&pg_query__res_target__descriptor, NULL, false},
    {&pg_query__func_call__descriptor, take_call, false},
    {&pg_query__a__expr__descriptor, take_expression, false},
    {&pg_query__alias__descriptor, NULL, true},
    {&pg_query__range_var__descriptor, take_range_var, true},
    {&pg_query__type_cast__descriptor, NULL, false},
    {&pg_query__type_name__descriptor, take_type, false},
    {&pg_query__select_stmt__descriptor, take_select, true},
    {&pg_query__param_ref__descriptor, NULL, true},
    {&pg_query__bool_expr__descriptor, NULL, false},
    {&pg_query__null_test__descriptor, NULL, false},
    {&pg_query__list__descriptor, NULL, false},
    {&pg_query__integer__descriptor, NULL, true},
    {&pg_query__sort_by__descriptor, take_sort, false},
    {&pg_query__sub_link__descriptor, take_sublink, false},
    {&pg_query__join_expr__descriptor, take_join, false},
    {&pg_query__range_subselect__descriptor, NULL, false},
    {&pg_query__range_function__descriptor, NULL, false},
    {&pg_query__range_table_func__descriptor, NULL, false},
    {&pg_query__range_table_func_col__descriptor, NULL, false},
    {&pg_query__range_table_sample__descriptor, take_sample, false},
    /* Gone through by walk_query(). */
    {&pg_query__with_clause__descriptor, NULL, true},
    {&pg_query__common_table_expr__descriptor, NULL, false},
    {&pg_query__ctesearch_clause__descriptor, NULL, false},
    {&pg_query__ctecycle_clause__descriptor, take_cycle, false},
    {&pg_query__window_def__descriptor, take_window, false},
    {&pg_query__grouping_set__descriptor, NULL, false},
    {&pg_query__grouping_func__descriptor, NULL, false},
    {&pg_query__case_expr__descriptor, take_case, false},
    {&pg_query__case_when__descriptor, NULL, false},
    {&pg_query__coalesce_expr__descriptor, NULL, false},
    {&pg_query__min_max_expr__descriptor, take_min_max, false},
    {&pg_query__boolean_test__descriptor, NULL, false},
    {&pg_query__sqlvalue_function__descriptor, NULL, true},
    {&pg_query__row_expr__descriptor, NULL, false},
    {&pg_query__a__array_expr__descriptor, NULL, false},
    {&pg_query__a__indices__descriptor, NULL, false},
    {&pg_query__a__indirection__descriptor, NULL, false},
    {&pg_query__a__star__descriptor, NULL, true},
    {&pg_query__named_arg_expr__descriptor, NULL, false},
    {&pg_query__collate_clause__descriptor, NULL, false},
    {&pg_query__column_def__descriptor, NULL, false},
    {&pg_query__xml_expr__descriptor, NULL, false},
    {&pg_query__xml_serialize__descriptor, NULL, false},
    /* These only in what EXPLAIN explains. */
    {&pg_query__set_to_default__descriptor, NULL, true},
    {&pg_query__multi_assign_ref__descriptor, NULL, false},
    {&pg_query__on_conflict_clause__descriptor, NULL, false},
    {&pg_query__infer_clause__descriptor, NULL, false},
    {&pg_query__index_elem__descriptor, NULL, false},
};
/* clang-format on */

static void walk(void *arg, const ProtobufCMessage *message)
{
	struct pw_reads *r = arg;

	for (size_t i = 0; i < PW_COUNTOF(nodes) && !r->is_never; i++) {
		if (message->descriptor != nodes[i].node)
			continue;
		if (nodes[i].take)
			nodes[i].take(r, message);
		if (!nodes[i].is_whole)
			pw_tree_visit(message, walk, r);
		return;
	}
	r->is_never = true;
}

/* ---- statements ---- */

static enum pw_sql_read judge_query(struct pw_reads *r, const PgQuery__Node *node)
{
	if (!node || node->node_case != PG_QUERY__NODE__NODE_SELECT_STMT)
		return PW_SQL_READ_NEVER;
	pw_tree_visit(&node->base, walk, r);
	return PW_SQL_READ_BY_NAMES;
}

static enum pw_sql_read judge_execute(struct pw_reads *r, const PgQuery__Node *node)
{
	pw_tree_visit(&node->execute_stmt->base, walk, r);
	return PW_SQL_READ_EXECUTE;
}

/* As PostgreSQL's defGetBoolean(); what that refuses is not false. */
static bool is_false(const PgQuery__Node *value)
{
	if (!value)
		return false;
	switch (value->node_case) {
	case PG_QUERY__NODE__NODE_INTEGER:
		return value->integer->ival == 0;
	case PG_QUERY__NODE__NODE_BOOLEAN:
		return !value->boolean->boolval;
	case PG_QUERY__NODE__NODE_STRING:
		return strcasecmp(value->string->sval, "false") == 0 ||
		       strcasecmp(value->string->sval, "off") == 0;
	default:
		return false;
	}
}

static bool is_run(const PgQuery__ExplainStmt *explain)
{
	for (size_t i = 0; i < explain->n_options; i++) {
		const PgQuery__Node *option = explain->options[i];

		if (option->node_case != PG_QUERY__NODE__NODE_DEF_ELEM ||
		    (strcmp(option->def_elem->defname, "analyze") == 0 &&
		     !is_false(option->def_elem->arg)))
			return true;
	}
	return false;
}

/* What is written to has no name of WITH. */
static enum pw_sql_read judge_write(struct pw_reads *r, const ProtobufCMessage *write,
				    const PgQuery__RangeVar *target,
				    const PgQuery__WithClause *with)
{
	add_relation(r, target);
	walk_query(r, write, with);
	return PW_SQL_READ_BY_NAMES;
}

/* Of writes it is told how they would be done. */
static enum pw_sql_read judge_explain(struct pw_reads *r, const PgQuery__Node *node)
{
	const PgQuery__ExplainStmt *explain = node->explain_stmt;
	const PgQuery__Node *query = explain->query;

	if (query && query->node_case == PG_QUERY__NODE__NODE_EXECUTE_STMT)
		return judge_execute(r, query);
	if (!query || is_run(explain))
		return judge_query(r, query);
	switch (query->node_case) {
	case PG_QUERY__NODE__NODE_INSERT_STMT:
		return judge_write(r, &query->insert_stmt->base, query->insert_stmt->relation,
				   query->insert_stmt->with_clause);
	case PG_QUERY__NODE__NODE_UPDATE_STMT:
		return judge_write(r, &query->update_stmt->base, query->update_stmt->relation,
				   query->update_stmt->with_clause);
	case PG_QUERY__NODE__NODE_DELETE_STMT:
		return judge_write(r, &query->delete_stmt->base, query->delete_stmt->relation,
				   query->delete_stmt->with_clause);
	default:
		return judge_query(r, query);
	}
}

/* Settings of the session go where it goes, others are the node's. */
static enum pw_sql_read judge_show(struct pw_reads *r PW_UNUSED, const PgQuery__Node *node)
{
	const char *name = node->variable_show_stmt->name;

	return strcasecmp(name, "all") == 0 || pw_setting_is_local(name, strlen(name))
		   ? PW_SQL_READ_NEVER
		   : PW_SQL_READ_BY_NAMES;
}

static enum pw_sql_read judge_copy(struct pw_reads *r, const PgQuery__Node *node)
{
	const PgQuery__CopyStmt *copy = node->copy_stmt;

	if (copy->is_from || copy->is_program || copy->filename[0])
		return PW_SQL_READ_NEVER;
	if (!copy->relation)
		return judge_query(r, copy->query);
	add_relation(r, copy->relation);
	return PW_SQL_READ_BY_NAMES;
}

static enum pw_sql_read judge_declare(struct pw_reads *r, const PgQuery__Node *node)
{
	const PgQuery__DeclareCursorStmt *declare = node->declare_cursor_stmt;

	if (declare->options & CURSOR_OPT_HOLD ||
	    judge_query(r, declare->query) == PW_SQL_READ_NEVER)
		return PW_SQL_READ_NEVER;
	return PW_SQL_READ_CURSOR;
}

static enum pw_sql_read judge_cursor(struct pw_reads *r PW_UNUSED,
				     const PgQuery__Node *node PW_UNUSED)
{
	return PW_SQL_READ_CURSOR;
}

/* A word of BEGIN; 0 for one that nobody here knows. */
static unsigned option_of(const PgQuery__DefElem *option)
{
	const PgQuery__AConst *value = NULL;

	if (option->arg && option->arg->node_case == PG_QUERY__NODE__NODE_A_CONST)
		value = option->arg->a_const;
	if (!value)
		return 0;
	if (strcmp(option->defname, "transaction_read_only") == 0 &&
	    value->val_case == PG_QUERY__A__CONST__VAL_IVAL)
		return value->ival->ival ? PW_SQL_TRANSACTION_READ_ONLY
					 : PW_SQL_TRANSACTION_READ_WRITE;
	if (strcmp(option->defname, "transaction_isolation") == 0 &&
	    value->val_case == PG_QUERY__A__CONST__VAL_SVAL)
		return strcmp(value->sval->sval, "serializable") == 0
			   ? PW_SQL_TRANSACTION_SERIALIZABLE
			   : PW_SQL_TRANSACTION_ISOLATION;
	return 0;
}

static enum pw_sql_read judge_options(struct pw_reads *r, PgQuery__Node *const *options, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const PgQuery__Node *node = options[i];
		unsigned option;

		if (node->node_case != PG_QUERY__NODE__NODE_DEF_ELEM)
			return PW_SQL_READ_NEVER;
		/* Matters to serializable ones. */
		if (strcmp(node->def_elem->defname, "transaction_deferrable") == 0)
			continue;
		option = option_of(node->def_elem);
		if (option == 0)
			return PW_SQL_READ_NEVER;
		r->transaction |= option;
	}
	return PW_SQL_READ_TRANSACTION;
}

static enum pw_sql_read judge_transaction(struct pw_reads *r, const PgQuery__Node *node)
{
	/* Those for two phases are not among them. */
	static const unsigned kinds[] = {
	    [PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_BEGIN] = PW_SQL_TRANSACTION_BEGINS,
	    [PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_START] = PW_SQL_TRANSACTION_BEGINS,
	    [PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_COMMIT] = PW_SQL_TRANSACTION_ENDS,
	    [PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_ROLLBACK] = PW_SQL_TRANSACTION_ENDS,
	    [PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_SAVEPOINT] = PW_SQL_TRANSACTION_MARKS,
	    [PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_RELEASE] = PW_SQL_TRANSACTION_MARKS,
	    [PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_ROLLBACK_TO] = PW_SQL_TRANSACTION_MARKS,
	};
	const PgQuery__TransactionStmt *transaction = node->transaction_stmt;
	unsigned kind = transaction->kind;

	if (kind >= PW_COUNTOF(kinds) || kinds[kind] == 0)
		return PW_SQL_READ_NEVER;
	if (kinds[kind] == PW_SQL_TRANSACTION_BEGINS && r->transaction & PW_SQL_TRANSACTION_ENDS)
		r->transaction |= PW_SQL_TRANSACTION_BEGINS_AGAIN;
	r->transaction |= kinds[kind] | (transaction->chain ? PW_SQL_TRANSACTION_CHAINS : 0);
	return judge_options(r, transaction->options, transaction->n_options);
}

/* SET TRANSACTION, but for that of another one's snapshot. */
static enum pw_sql_read judge_set(struct pw_reads *r, const PgQuery__Node *node)
{
	const PgQuery__VariableSetStmt *set = node->variable_set_stmt;

	if (set->kind != PG_QUERY__VARIABLE_SET_KIND__VAR_SET_MULTI ||
	    strcmp(set->name, "TRANSACTION") != 0)
		return PW_SQL_READ_NEVER;
	r->transaction |= PW_SQL_TRANSACTION_SETS;
	return judge_options(r, set->args, set->n_args);
}

static const struct {
	PgQuery__Node__NodeCase node;
	enum pw_sql_read (*judge)(struct pw_reads *r, const PgQuery__Node *node);
} statements[] = {
    {PG_QUERY__NODE__NODE_SELECT_STMT, judge_query},
    {PG_QUERY__NODE__NODE_TRANSACTION_STMT, judge_transaction},
    {PG_QUERY__NODE__NODE_VARIABLE_SET_STMT, judge_set},
    {PG_QUERY__NODE__NODE_EXECUTE_STMT, judge_execute},
    {PG_QUERY__NODE__NODE_VARIABLE_SHOW_STMT, judge_show},
    {PG_QUERY__NODE__NODE_EXPLAIN_STMT, judge_explain},
    {PG_QUERY__NODE__NODE_COPY_STMT, judge_copy},
    {PG_QUERY__NODE__NODE_DECLARE_CURSOR_STMT, judge_declare},
    {PG_QUERY__NODE__NODE_FETCH_STMT, judge_cursor},
    {PG_QUERY__NODE__NODE_CLOSE_PORTAL_STMT, judge_cursor},
};

void pw_reads_add_statement(struct pw_reads *reads, const PgQuery__Node *node)
{
	enum pw_sql_read kind = PW_SQL_READ_NEVER;

	for (size_t i = 0; i < PW_COUNTOF(statements) && node && !reads->is_never; i++) {
		if (node->node_case == statements[i].node)
			kind = statements[i].judge(reads, node);
	}
	if (kind == PW_SQL_READ_NEVER)
		reads->is_never = true;
	reads->kinds |= 1U << kind;
}

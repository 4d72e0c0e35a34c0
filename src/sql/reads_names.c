/* SPDX-License-Identifier: PostgreSQL
 *
 * The names that a text's statements use, each once, and how they lie in its analysis: the lists
 * of names, that of the functions, the text of them all.
 */
#include "config.h"

#include "reads_priv.h"

#include <string.h>

#include "tree_priv.h"

/* ---- names ---- */

void pw_reads_fini(struct pw_reads *reads)
{
	pw_strbuf_fini(&reads->text);
}

static bool is_known(const struct pw_reads *r, enum pw_reads_list list, const char *schema,
		     const char *name, unsigned n_args)
{
	for (unsigned i = 0; i < r->n_names; i++) {
		const struct pw_reads_name *known = &r->names[i];

		if (known->list == list && known->n_args == n_args &&
		    strcmp(r->text.data + known->name, name) == 0 &&
		    strcmp(r->text.data + known->schema, schema) == 0)
			return true;
	}
	return false;
}

/* What is temporary is where its session is. No other schema may be called so. */
static bool is_temporary(const char *schema)
{
	return strncmp(schema, "pg_temp", 7) == 0;
}

static void add(struct pw_reads *reads, enum pw_reads_list list, const char *schema,
		const char *name, unsigned n_args)
{
	struct pw_reads_name *new;

	if (reads->is_never || reads->text.has_failed ||
	    is_known(reads, list, schema, name, n_args))
		return;
	if (reads->n_names == PW_SQL_NAMES_MAX || is_temporary(schema)) {
		reads->is_never = true;
		return;
	}
	new = &reads->names[reads->n_names++];
	new->list = list;
	new->n_args = n_args;
	new->schema = reads->text.len;
	pw_strbuf_add(&reads->text, schema, strlen(schema) + 1);
	new->name = reads->text.len;
	pw_strbuf_add(&reads->text, name, strlen(name) + 1);
	reads->n_of[list]++;
}

void pw_reads_add_name(struct pw_reads *reads, enum pw_reads_list list, const char *schema,
		       const char *name)
{
	add(reads, list, schema, name, 0);
}

void pw_reads_add_function(struct pw_reads *reads, const char *name, unsigned n_args)
{
	if (is_temporary(name) && strchr(name, '.'))
		reads->is_never = true;
	add(reads, PW_READS_FUNCTIONS, "", name, n_args);
}

void pw_reads_add_parts(struct pw_reads *reads, enum pw_reads_list list,
			PgQuery__Node *const *parts, size_t n)
{
	if (n > 0)
		pw_reads_add_name(reads, list, n > 1 ? pw_tree_string(parts[n - 2]) : "",
				  pw_tree_string(parts[n - 1]));
}

/* ---- what comes of it ---- */

bool pw_reads_measure(const struct pw_reads *reads, size_t *bytes)
{
	size_t n_functions = reads->n_of[PW_READS_FUNCTIONS];

	*bytes = reads->is_never ? 0
				 : (reads->n_names - n_functions) * sizeof(struct pw_sql_name) +
				       n_functions * sizeof(struct pw_sql_call) + reads->text.len;
	return !reads->text.has_failed;
}

/* The last one there is. */
static enum pw_sql_read summary_of(unsigned kinds)
{
	enum pw_sql_read read = PW_SQL_READ_BY_NAMES;

	if (kinds == 1U << PW_SQL_READ_TRANSACTION)
		return PW_SQL_READ_TRANSACTION;
	for (unsigned kind = read; kind < PW_SQL_READ_N_KINDS; kind++) {
		if (kinds & 1U << kind)
			read = kind;
	}
	return read;
}

/* Fills one of the lists and gives back what is behind it. */
static struct pw_sql_name *put_list(const struct pw_reads *r, enum pw_reads_list list,
				    const char *text, struct pw_sql_name *to)
{
	for (unsigned i = 0; i < r->n_names; i++) {
		const struct pw_reads_name *name = &r->names[i];

		if (name->list == list)
			*to++ = (struct pw_sql_name){text + name->schema, text + name->name};
	}
	return to;
}

static void put_functions(const struct pw_reads *r, const char *text, struct pw_sql_call *to)
{
	for (unsigned i = 0; i < r->n_names; i++) {
		if (r->names[i].list == PW_READS_FUNCTIONS)
			*to++ = (struct pw_sql_call){text + r->names[i].name, r->names[i].n_args};
	}
}

void pw_reads_put(const struct pw_reads *reads, struct pw_analysis *analysis, char *room)
{
	struct pw_sql_name *names = (struct pw_sql_name *)room;
	const unsigned *n = reads->n_of;
	struct pw_sql_call *functions;
	char *text;

	if (reads->is_never)
		return;
	functions = (struct pw_sql_call *)(names + reads->n_names - n[PW_READS_FUNCTIONS]);
	text = (char *)(functions + n[PW_READS_FUNCTIONS]);
	if (reads->text.len > 0)
		memcpy(text, reads->text.data, reads->text.len);
	analysis->read = summary_of(reads->kinds);
	analysis->read_kinds = reads->kinds;
	analysis->transaction = reads->transaction;
	analysis->n_relations = n[PW_READS_RELATIONS];
	analysis->n_functions = n[PW_READS_FUNCTIONS];
	analysis->n_operators = n[PW_READS_OPERATORS];
	analysis->n_types = n[PW_READS_TYPES];
	analysis->relations = names;
	names = put_list(reads, PW_READS_RELATIONS, text, names);
	analysis->operators = names;
	names = put_list(reads, PW_READS_OPERATORS, text, names);
	analysis->types = names;
	put_list(reads, PW_READS_TYPES, text, names);
	analysis->functions = functions;
	put_functions(reads, text, functions);
}

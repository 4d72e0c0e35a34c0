/* SPDX-License-Identifier: PostgreSQL
 *
 * What the console says about itself, printed from the tables that also drive it: SHOW HELP, and
 * docs/console.md. Pure functions.
 */
#include "config.h"

#include "admin_priv.h"

#include <string.h>

#include "pgweir/proto/writer.h"

static void add_field(struct pw_strbuf *out, char code, const char *value)
{
	pw_strbuf_add_char(out, code);
	pw_strbuf_add(out, value, strlen(value) + 1);
}

/* Written field by field: the list is longer than what struct pw_error holds. */
void pw_console_help(struct pw_strbuf *out)
{
	size_t begin = pw_writer_begin(out, 'N');

	add_field(out, 'S', "NOTICE");
	add_field(out, 'V', "NOTICE");
	add_field(out, 'C', PW_SQLSTATE_SUCCESS);
	add_field(out, 'M', "Console usage");
	pw_strbuf_add_string(out, "D\n\tSHOW HELP");
	for (const struct pw_view *const *view = pw_console_views; *view; view++)
		pw_strbuf_printf(out, "|%s", (*view)->name);
	for (const struct pw_console_verb *verb = pw_console_verbs; verb->word; verb++) {
		pw_strbuf_add_string(out, "\n\t");
		pw_console_usage(out, verb);
	}
	pw_strbuf_add(out, "\0", 2); /* ends the detail, and the fields */
	pw_writer_end(out, begin);
}

/* ---- docs/console.md ---- */

static const char *type_name(enum pw_column_type type)
{
	switch (type) {
	case PW_COL_INT4:
		return "int4";
	case PW_COL_INT8:
		return "int8";
	case PW_COL_NUMERIC:
		return "numeric";
	case PW_COL_TEXT:
	case PW_COL_HIDDEN:
		break;
	}
	return "text";
}

static void describe_view(struct pw_strbuf *out, const struct pw_view *view)
{
	size_t n = pw_answer_column_count(view);

	pw_strbuf_printf(out, "\n## SHOW %s\n\n%s\n\n| column | type | meaning |\n|---|---|---|\n",
			 view->name, view->help);
	for (size_t i = 0; i < n; i++) {
		const struct pw_column *column = &view->columns[i];

		pw_strbuf_printf(out, "| `%s` | %s | %s |\n", column->name, type_name(column->type),
				 column->help);
	}
	if (view->describe)
		view->describe(out);
}

static void describe_commands(struct pw_strbuf *out)
{
	pw_strbuf_add_string(out, "| command | what it does |\n|---|---|\n"
				  "| `SHOW HELP` | Lists all commands, as a notice. |\n"
				  "| `SHOW <table>` | Prints one of the tables below. |\n");
	for (const struct pw_console_verb *verb = pw_console_verbs; verb->word; verb++) {
		pw_strbuf_add_string(out, "| `");
		pw_console_usage(out, verb);
		pw_strbuf_printf(out, "` | %s |\n", verb->help);
	}
}

void pw_console_describe(struct pw_strbuf *out)
{
	pw_strbuf_add_string(
	    out,
	    "# The console\n"
	    "\n"
	    "This page is printed by `pgweir --describe=console`; change the tables in the source, "
	    "not "
	    "the page.\n"
	    "\n"
	    "Connect to the database `pgweir` (or `pgbouncer`, the same). Members of "
	    "`admin_users` may run everything, members of `stats_users` only `SHOW`; others are "
	    "not let in. One exception: the user `pgweir` (or `pgbouncer`), over the unix socket "
	    "and as the system user that the process runs as, needs no password and may run "
	    "everything.\n"
	    "\n"
	    "- One command to a query, in upper or lower case, with or without a semicolon at the "
	    "end. Names with other characters than letters, digits and `_` stand in double "
	    "quotes.\n"
	    "- A node of a cluster is called as in SHOW NODES, or by its host alone, without "
	    "quotes: "
	    "`DRAIN db2:5432`. Where several would be meant, its cluster stands before it: "
	    "`DRAIN shop/db2:5432`. [REPLICAS.md](REPLICAS.md) says what becomes of its clients.\n"
	    "- The simple and the extended protocol work, results in text and in binary. There "
	    "are no parameters.\n"
	    "- `SELECT` is another word for `SHOW`. What drivers do by themselves is accepted and "
	    "has no effect: `BEGIN`, `COMMIT`, `ROLLBACK`, and `SET` and `SHOW` of "
	    "`client_encoding`, `datestyle`, `timezone`, `standard_conforming_strings` and "
	    "`default_transaction_isolation`.\n"
	    "- A command is answered when it is done, not before: `PAUSE` may take a while. A "
	    "notice tells of pinned clients that it waits for (`SHOW PINS`), and the log every ten "
	    "seconds how many server connections are still in use.\n"
	    "\n"
	    "## Commands\n"
	    "\n");
	describe_commands(out);
	for (const struct pw_view *const *view = pw_console_views; *view; view++)
		describe_view(out, *view);
}

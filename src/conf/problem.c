/* SPDX-License-Identifier: PostgreSQL
 *
 * What is told to the operator about a file: all problems, one line each, with the place and, for
 * a mistyped name, the nearest legal one. Nothing here prints a value that may be a secret: the
 * callers give it names, and values of settings that are numbers or words.
 */
#include "config.h"

#include "conf_priv.h"

#include <stdarg.h>
#include <string.h>

enum {
	PROBLEMS_MAX = 20,
	NAME_MAX_COMPARED = 64,
};

static void swap_texts(struct pw_strbuf *a, struct pw_strbuf *b)
{
	struct pw_strbuf other = *a;

	*a = *b;
	*b = other;
}

void pw_conf_problem(struct pw_conf_problems *problems, const struct pw_ini_pos *pos,
		     const char *fmt, ...)
{
	va_list ap;

	if (problems->count++ >= PROBLEMS_MAX)
		return;
	if (problems->out->len > 0)
		pw_strbuf_add_char(problems->out, '\n');
	if (pos && pos->path && pos->line > 0)
		pw_strbuf_printf(problems->out, "%s:%u: ", pos->path, pos->line);
	else if (pos && pos->path)
		pw_strbuf_printf(problems->out, "%s: ", pos->path);
	va_start(ap, fmt);
	pw_strbuf_vprintf(problems->out, fmt, ap);
	va_end(ap);
}

void pw_conf_problem_first(struct pw_conf_problems *problems, const struct pw_ini_pos *pos,
			   const char *text)
{
	struct pw_strbuf others = PW_STRBUF_INIT;
	struct pw_conf_problems told = {&others, 0};

	swap_texts(&others, problems->out);
	told.count = problems->count;
	problems->count = 0;
	pw_conf_problem(problems, pos, "%s", text);
	pw_conf_problems_move(problems, &told);
	pw_strbuf_fini(&others);
}

void pw_conf_problems_move(struct pw_conf_problems *problems, struct pw_conf_problems *from)
{
	unsigned told = 0;

	for (char *line = from->out->data, *next; line && *line; line = next, told++) {
		next = line + strcspn(line, "\n");
		pw_conf_problem(problems, NULL, "%.*s", (int)(next - line), line);
		next += *next == '\n';
	}
	problems->count += from->count - told;
	pw_strbuf_reset(from->out);
	from->count = 0;
}

void pw_conf_problems_end(struct pw_conf_problems *problems)
{
	if (problems->count > PROBLEMS_MAX)
		pw_strbuf_printf(problems->out, "\nand %u more", problems->count - PROBLEMS_MAX);
}

static bool is_comment_sign(char c)
{
	return c == ';' || c == '#';
}

bool pw_conf_has_comment(const char *text)
{
	static const char blanks[] = " \t";

	text += strspn(text, blanks);
	if (is_comment_sign(*text))
		return true;
	while (*(text += strcspn(text, blanks)) != '\0') {
		text += strspn(text, blanks);
		if (is_comment_sign(*text))
			return true;
	}
	return false;
}

void pw_conf_comment_hint(const char *text, struct pw_strbuf *out)
{
	if (pw_conf_has_comment(text))
		pw_strbuf_add_string(out, "; what looks like a comment belongs to the value, "
					  "comments stand on lines of their own");
}

/* Levenshtein's distance, one row at a time. `b` is at most NAME_MAX_COMPARED long. */
static size_t edit_distance(const char *a, const char *b)
{
	size_t row[NAME_MAX_COMPARED + 1];
	size_t n = strlen(b);

	for (size_t j = 0; j <= n; j++)
		row[j] = j;
	for (size_t i = 1; a[i - 1] != '\0'; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= n; j++) {
			size_t best = diagonal + (a[i - 1] != b[j - 1]);

			diagonal = row[j];
			if (best > row[j] + 1)
				best = row[j] + 1;
			if (best > row[j - 1] + 1)
				best = row[j - 1] + 1;
			row[j] = best;
		}
	}
	return row[n];
}

/* A suggestion must have most of its letters in common with what was written. */
void pw_nearest_init(struct pw_nearest *nearest, const char *wanted)
{
	nearest->wanted = wanted;
	nearest->found = NULL;
	nearest->distance = strlen(wanted) / 3 + 1;
}

void pw_nearest_offer(struct pw_nearest *nearest, const char *candidate)
{
	size_t distance;

	if (strlen(nearest->wanted) > NAME_MAX_COMPARED)
		return;
	distance = edit_distance(candidate, nearest->wanted);
	if (distance < nearest->distance + (nearest->found == NULL)) {
		nearest->found = candidate;
		nearest->distance = distance;
	}
}

void pw_nearest_hint(const struct pw_nearest *nearest, struct pw_strbuf *out)
{
	if (nearest->found)
		pw_strbuf_printf(out, "; did you mean \"%s\"?", nearest->found);
}

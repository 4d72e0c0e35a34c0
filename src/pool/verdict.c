/* SPDX-License-Identifier: PostgreSQL
 *
 * A sorted array: looked up by halving, whatever names users may choose.
 */
#include "config.h"

#include "pgweir/pool/verdict.h"

#include <stdlib.h>
#include <string.h>

#include "pgweir/sql/builtin.h"

void pw_function_name(char out[PW_FUNCTION_NAME_SIZE], const char *name, size_t len)
{
	size_t begin = 0;

	for (size_t i = 0; i < len; i++)
		begin = name[i] == '.' ? i + 1 : begin;
	len -= begin;
	if (len >= PW_FUNCTION_NAME_SIZE)
		len = PW_FUNCTION_NAME_SIZE - 1;
	for (size_t i = 0; i < len; i++) {
		char c = name[begin + i];

		out[i] = (char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
	}
	out[len] = '\0';
}

struct pw_verdict *pw_verdict_create(unsigned epoch)
{
	struct pw_verdict *verdict = calloc(1, sizeof(*verdict));

	if (!verdict)
		return NULL;
	atomic_init(&verdict->refs, 1);
	verdict->epoch = epoch;
	return verdict;
}

void pw_verdict_add_use(struct pw_verdict *verdict, enum pw_code_use use, unsigned what)
{
	verdict->uses[use] |= what;
	verdict->any |= what;
}

static bool has_room(struct pw_verdict *verdict)
{
	size_t more = verdict->capacity > 0 ? 2 * verdict->capacity : 16;
	struct pw_judged_function *grown;

	if (verdict->n == PW_CODE_FUNCTIONS_MAX)
		return false;
	if (verdict->n < verdict->capacity)
		return true;
	grown = realloc(verdict->functions, more * sizeof(*grown));
	if (!grown)
		return false;
	verdict->functions = grown;
	verdict->capacity = more;
	return true;
}

void pw_verdict_add(struct pw_verdict *verdict, unsigned what, const char *name, size_t len)
{
	struct pw_judged_function function = {.what = what};

	pw_function_name(function.name, name, len);
	verdict->any |= what;
	if (has_room(verdict))
		verdict->functions[verdict->n++] = function;
	else
		verdict->all |= what;
	if (pw_builtin_find(function.name) != PW_BUILTIN_UNKNOWN)
		verdict->uses[PW_USE_READ] |= what;
}

static int compare(const void *a, const void *b)
{
	const struct pw_judged_function *first = a, *second = b;

	return strcmp(first->name, second->name);
}

void pw_verdict_finish(struct pw_verdict *verdict)
{
	struct pw_judged_function *functions = verdict->functions;
	size_t n = 0;

	if (verdict->n == 0)
		return;
	qsort(functions, verdict->n, sizeof(*functions), compare);
	for (size_t i = 1; i < verdict->n; i++) {
		if (strcmp(functions[n].name, functions[i].name) == 0)
			functions[n].what |= functions[i].what;
		else
			functions[++n] = functions[i];
	}
	verdict->n = n + 1;
}

struct pw_verdict *pw_verdict_ref(struct pw_verdict *verdict)
{
	atomic_fetch_add_explicit(&verdict->refs, 1, memory_order_relaxed);
	return verdict;
}

void pw_verdict_unref(struct pw_verdict *verdict)
{
	if (!verdict || atomic_fetch_sub_explicit(&verdict->refs, 1, memory_order_acq_rel) > 1)
		return;
	free(verdict->functions);
	free(verdict);
}

static int compare_name(const void *key, const void *element)
{
	return strcmp(key, ((const struct pw_judged_function *)element)->name);
}

unsigned pw_verdict_of(const struct pw_verdict *verdict, const char *name)
{
	const struct pw_judged_function *found = NULL;

	if (verdict->n > 0)
		found = bsearch(name, verdict->functions, verdict->n, sizeof(*found), compare_name);
	return verdict->all | (found ? found->what : 0);
}

static bool leaves_more(unsigned what, unsigned earlier)
{
	return what & ~earlier & (PW_CODE_DOUBTFUL | PW_CODE_OPAQUE);
}

bool pw_verdict_exceeds(const struct pw_verdict *verdict, const struct pw_verdict *earlier)
{
	if (leaves_more(verdict->all, earlier->all) ||
	    (verdict->reading_draws && !earlier->reading_draws))
		return true;
	for (size_t i = 0; i < PW_USE_N; i++) {
		if (leaves_more(verdict->uses[i], earlier->uses[i]))
			return true;
	}
	for (size_t i = 0; i < verdict->n; i++) {
		if (leaves_more(verdict->functions[i].what,
				pw_verdict_of(earlier, verdict->functions[i].name)))
			return true;
	}
	return false;
}

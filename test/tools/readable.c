/* SPDX-License-Identifier: PostgreSQL
 *
 * For tests with a real PostgreSQL: what a database is asked, and what is made of the answer.
 *
 *   readable question VERSION   prints the question
 *   readable judge              reads rows of the answer, an empty item, and texts, each with its
 *                               zero byte; prints a line for each text
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pgweir/pool/readable.h"

static int print_question(unsigned version)
{
	struct pw_strbuf sql = PW_STRBUF_INIT;

	pw_readable_add_question(&sql, version);
	if (!sql.has_failed)
		fwrite(sql.data, 1, sql.len, stdout);
	pw_strbuf_fini(&sql);
	return sql.has_failed;
}

static const char *judge(const struct pw_readable *readable, const char *text)
{
	const struct pw_hash_key secret = {1, 2};
	struct pw_shape_key key;
	struct pw_shape shape;
	struct pw_analysis *analysis;
	enum pw_doubt doubt;

	pw_shape_key_init(&key, &secret);
	pw_shape_take(&shape, &key, text, strlen(text));
	analysis = pw_analysis_create(text, &shape);
	if (!analysis)
		return "no memory";
	doubt = pw_readable_judge(readable, analysis, &shape, text, strlen(text));
	pw_analysis_destroy(analysis);
	return pw_doubt_name(doubt);
}

static int judge_all(void)
{
	struct pw_readable *readable = pw_readable_create(1);
	char *item = NULL;
	size_t size = 0;
	ssize_t len;

	while (readable && (len = getdelim(&item, &size, '\0', stdin)) > 1)
		pw_readable_take_row(readable, item, (size_t)len - 1);
	if (!readable || !pw_readable_finish(readable)) {
		fputs("no whole answer\n", stderr);
		return 1;
	}
	while (getdelim(&item, &size, '\0', stdin) > 0)
		puts(judge(readable, item));
	free(item);
	pw_readable_unref(readable);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "question") == 0)
		return print_question((unsigned)strtoul(argv[2], NULL, 10));
	if (argc == 2 && strcmp(argv[1], "judge") == 0)
		return judge_all();
	fputs("usage: readable question VERSION | readable judge\n", stderr);
	return 2;
}

/* SPDX-License-Identifier: PostgreSQL
 *
 * What the documents show as a configuration is one: each block loads, without a warning.
 */
#include "conf_test.h"

#include <stdio.h>

/* automake runs tests with the source folder in $srcdir. */
static char *read_document(const char *name)
{
	const char *top = getenv("srcdir");
	char path[512];
	char *text = calloc(1, 1 << 20);
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", top ? top : ".", name);
	file = fopen(path, "r");
	if (!file)
		fail_msg("%s cannot be read", path);
	assert_non_null(text);
	assert_true(fread(text, 1, (1 << 20) - 1, file) > 0);
	fclose(file);
	return text;
}

static unsigned load_blocks(const char *name)
{
	struct said said = {PW_STRBUF_INIT, PW_STRBUF_INIT};
	char *document = read_document(name), *at = document, *end;
	unsigned n = 0;

	for (; (at = strstr(at, "```ini\n")) != NULL; at = end + 1, n++) {
		struct pw_conf *conf;

		at += strlen("```ini\n");
		end = strstr(at, "```");
		assert_non_null(end);
		*end = '\0';
		conf = parse(at, NULL, &said);
		if (!conf || said.warnings.len > 0)
			print_error("%s: %s%s\n", name, said.why.data, said.warnings.data);
		assert_non_null(conf);
		assert_int_equal(said.warnings.len, 0);
		pw_conf_unref(conf);
	}
	said_fini(&said);
	free(document);
	return n;
}

static void test_blocks_load(void **state)
{
	(void)state;
	assert_int_equal(load_blocks("README.md"), 1);
	assert_int_equal(load_blocks("docs/REPLICAS.md"), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_blocks_load)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

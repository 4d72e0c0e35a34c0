/* SPDX-License-Identifier: PostgreSQL
 *
 * The sample and the reference name every row, and the sample is a file that loads.
 */
#include "conf_test.h"

static void assert_contains(const char *text, const char *before, const char *name,
			    const char *after)
{
	struct pw_strbuf wanted = PW_STRBUF_INIT;

	pw_strbuf_printf(&wanted, "%s%s%s", before, name, after);
	if (!strstr(text, wanted.data))
		fail_msg("not found: %s", wanted.data);
	pw_strbuf_fini(&wanted);
}

/* "\n;name = value" -> "\nname = value"; the comments have two of them. */
static void uncomment(char *text)
{
	for (char *p = text; (p = strchr(p, ';')) != NULL;) {
		if (p[1] == ';')
			p = strchr(p, '\n') ? strchr(p, '\n') : p + strlen(p);
		else
			*p++ = ' ';
	}
}

static void test_ini_has_every_key(void **state)
{
	struct pw_strbuf out = PW_STRBUF_INIT;

	(void)state;
	pw_conf_describe_ini(&out);
	assert_false(out.has_failed);
	for (size_t i = 0; i < pw_conf_settings.n; i++)
		assert_contains(out.data, "\n;", pw_conf_settings.rows[i].name, " =");
	for (size_t i = 0; i < pw_conf_db_keys.n; i++)
		assert_contains(out.data, "\n;;   ", pw_conf_db_keys.rows[i].name, " ");
	for (size_t i = 0; i < pw_conf_user_keys.n; i++)
		assert_contains(out.data, "\n;;   ", pw_conf_user_keys.rows[i].name, " ");
	for (size_t i = 0; i < pw_conf_peer_keys.n; i++)
		assert_contains(out.data, "\n;;   ", pw_conf_peer_keys.rows[i].name, " ");
	pw_strbuf_fini(&out);
}

static void test_ini_lines_are_short(void **state)
{
	struct pw_strbuf out = PW_STRBUF_INIT;

	(void)state;
	pw_conf_describe_ini(&out);
	for (const char *p = out.data; *p != '\0'; p += strcspn(p, "\n"), p += *p == '\n') {
		if (p[0] == ';' && p[1] == ';')
			assert_true(strcspn(p, "\n") <= 130);
	}
	pw_strbuf_fini(&out);
}

static void test_ini_loads(void **state)
{
	struct pw_strbuf out = PW_STRBUF_INIT;

	(void)state;
	pw_conf_describe_ini(&out);
	pw_conf_unref(must_parse(out.data, NULL));
	pw_strbuf_fini(&out);
}

/* What the comments call the defaults are the defaults. */
static void test_ini_shows_defaults(void **state)
{
	struct pw_strbuf out = PW_STRBUF_INIT;
	struct pw_conf *written, *unset;

	(void)state;
	pw_conf_describe_ini(&out);
	uncomment(out.data);
	written = must_parse(out.data, NULL);
	unset = must_parse("[pgweir]\n", NULL);
	for (size_t i = 0; i < pw_conf_settings.n; i++) {
		const struct pw_conf_key *key = &pw_conf_settings.rows[i];

		if (key->default_text && !pw_conf_key_equal(key, written, unset))
			fail_msg("%s is not shown with its default", key->name);
	}
	assert_int_equal(written->n_databases, 6);
	assert_int_equal(written->n_users, 1);
	assert_int_equal(written->n_peers, 1);
	assert_int_equal(written->n_clusters, 1);
	pw_conf_unref(written);
	pw_conf_unref(unset);
	pw_strbuf_fini(&out);
}

static size_t count_rows(const char *text)
{
	size_t n = 0;

	for (const char *p = text; (p = strstr(p, "\n| `")) != NULL; p++)
		n++;
	return n;
}

static void test_docs(void **state)
{
	struct pw_strbuf out = PW_STRBUF_INIT;

	(void)state;
	pw_conf_describe_docs(&out);
	assert_false(out.has_failed);
	for (size_t i = 0; i < pw_conf_settings.n; i++)
		assert_contains(out.data, "\n| `", pw_conf_settings.rows[i].name, "` | ");
	assert_int_equal(count_rows(out.data), pw_conf_settings.n + pw_conf_db_keys.n +
						   pw_conf_user_keys.n + pw_conf_peer_keys.n +
						   pw_conf_cluster_keys.n + pw_conf_node_keys.n);
	assert_non_null(strstr(
	    out.data, "| `pool_mode` | `session` | one of session, transaction, statement | reload "
		      "| When a server connection goes back to its pool: as the client leaves, "
		      "after each transaction, or after each statement. |\n"));
	assert_non_null(strstr(out.data,
			       "| `listen_port` | `6432` | a whole number from 1 to 65535 "
			       "| restart |"));
	assert_non_null(strstr(out.data,
			       "| `so_reuseport` | `0` | 0 (off) or 1 (on) | restart | Let "
			       "several processes listen on the same port. |\n"));
	assert_non_null(strstr(out.data, "Accepted for compatibility; has no effect in pgweir."));
	pw_strbuf_fini(&out);
}

/* Whatever is in the tables can be read, shown and described. */
static void check_table(const struct pw_conf_keys *keys)
{
	for (size_t i = 0; i < keys->n; i++) {
		const struct pw_conf_key *key = &keys->rows[i];

		assert_int_equal(key->help[strlen(key->help) - 1], '.');
		assert_null(strchr(key->help, '\n'));
		assert_int_equal(key->kind == PW_KIND_STRING || key->kind == PW_KIND_BOOL,
				 key->min == NULL);
		assert_ptr_equal(pw_conf_key_find(keys, key->name), key);
	}
}

static void test_tables(void **state)
{
	(void)state;
	check_table(&pw_conf_settings);
	check_table(&pw_conf_db_keys);
	check_table(&pw_conf_user_keys);
	check_table(&pw_conf_peer_keys);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_ini_has_every_key),
	    cmocka_unit_test(test_ini_lines_are_short),
	    cmocka_unit_test(test_ini_loads),
	    cmocka_unit_test(test_ini_shows_defaults),
	    cmocka_unit_test(test_docs),
	    cmocka_unit_test(test_tables),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

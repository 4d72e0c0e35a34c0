/* SPDX-License-Identifier: PostgreSQL
 *
 * What a call leaves behind, by its name.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "pgweir/base/status.h"
#include "pgweir/sql/builtin.h"

static const char *const all[] = {
#include "sql/builtins.inc"
};

static void test_names(void **state)
{
	(void)state;
	assert_int_equal(pw_builtin_find("max"), PW_BUILTIN_HARMLESS);
	assert_int_equal(pw_builtin_find("pg_catalog.max"), PW_BUILTIN_HARMLESS);
	assert_int_equal(pw_builtin_find("public.max"), PW_BUILTIN_UNKNOWN);
	assert_int_equal(pw_builtin_find("pg_catalog.pg_catalog.max"), PW_BUILTIN_UNKNOWN);
	assert_int_equal(pw_builtin_find("my_function"), PW_BUILTIN_UNKNOWN);
	assert_int_equal(pw_builtin_find("MAX"), PW_BUILTIN_UNKNOWN);
	assert_int_equal(pw_builtin_find(""), PW_BUILTIN_UNKNOWN);
	/* The first and the last of the list. */
	assert_int_equal(pw_builtin_find("RI_FKey_cascade_del"), PW_BUILTIN_HARMLESS);
	assert_int_equal(pw_builtin_find("xpath_exists"), PW_BUILTIN_HARMLESS);
}

static void test_what_stays(void **state)
{
	static const struct {
		const char *name;
		enum pw_builtin class;
	} wanted[] = {
	    {"set_config", PW_BUILTIN_SETS},
	    {"pg_catalog.set_config", PW_BUILTIN_SETS},
	    {"pg_advisory_lock", PW_BUILTIN_LOCKS},
	    {"pg_try_advisory_lock_shared", PW_BUILTIN_LOCKS},
	    {"pg_advisory_unlock_all", PW_BUILTIN_LOCKS},
	    /* Those end with the transaction. */
	    {"pg_advisory_xact_lock", PW_BUILTIN_HARMLESS},
	    {"pg_try_advisory_xact_lock", PW_BUILTIN_HARMLESS},
	    {"nextval", PW_BUILTIN_SEQUENCE},
	    {"currval", PW_BUILTIN_SEQUENCE},
	    {"lastval", PW_BUILTIN_SEQUENCE},
	    {"setval", PW_BUILTIN_SEQUENCE},
	    {"setseed", PW_BUILTIN_SEED},
	    {"random", PW_BUILTIN_HARMLESS},
	    {"pg_notify", PW_BUILTIN_NOTIFIES},
	    {"pg_replication_origin_session_setup", PW_BUILTIN_ORIGIN},
	    {"pg_replication_origin_xact_setup", PW_BUILTIN_HARMLESS},
	    {"pg_create_physical_replication_slot", PW_BUILTIN_SLOT},
	    {"pg_backup_start", PW_BUILTIN_BACKUP},
	    {"query_to_xml", PW_BUILTIN_QUERIES},
	    {"binary_upgrade_set_next_pg_type_oid", PW_BUILTIN_INNER},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
		assert_int_equal(pw_builtin_find(wanted[i].name), wanted[i].class);
}

static void assert_reads(const char *names, bool wanted)
{
	char buffer[1024], *rest = buffer;

	snprintf(buffer, sizeof(buffer), "%s", names);
	for (char *name = strtok_r(buffer, " ", &rest); name; name = strtok_r(NULL, " ", &rest)) {
		if (pw_builtin_reads(name) != wanted)
			print_message("%s\n", name);
		assert_int_equal(pw_builtin_reads(name), wanted);
	}
}

static void test_reads(void **state)
{
	(void)state;
	assert_reads("abs count pg_catalog.lower now random clock_timestamp current_setting to_char"
		     " generate_series gen_random_uuid jsonb_agg pg_typeof pg_get_viewdef format"
		     " has_table_privilege current_database obj_description pg_sleep lo_get age"
		     " pg_table_is_visible to_regclass array_agg row_number system bernoulli"
		     " pg_is_other_temp_schema",
		     true);
	assert_reads("nextval setval currval lastval lo_create lo_put lo_unlink lo_open loread"
		     " pg_notify pg_advisory_lock pg_advisory_xact_lock pg_try_advisory_xact_lock"
		     " txid_current pg_current_xact_id pg_switch_wal set_config setseed"
		     " pg_create_restore_point pg_logical_emit_message query_to_xml table_to_xml"
		     " ts_stat pg_stat_reset pg_terminate_backend pg_export_snapshot",
		     false);
	/* Of the server or the session. */
	assert_reads("pg_is_in_recovery pg_current_wal_lsn pg_last_wal_replay_lsn pg_backend_pid"
		     " pg_stat_get_activity pg_lock_status inet_server_addr version pg_read_file"
		     " pg_postmaster_start_time pg_my_temp_schema pg_prepared_statement pg_cursor"
		     " pg_show_all_settings pg_database_size pg_walfile_name pg_control_system"
		     " inet_client_addr inet_client_port pg_extension_update_paths",
		     false);
	assert_reads("my_function public.abs pg_catalog.pg_catalog.abs ABS", false);
	assert_false(pw_builtin_reads(""));
}

/* What a server is asked goes by the same names. */
static void test_lists(void **state)
{
	for (unsigned i = 0; i < PW_BUILTIN_N_LISTS; i++) {
		struct pw_strbuf names = PW_STRBUF_INIT;
		char *rest = NULL;

		pw_builtin_add_list(&names, (enum pw_builtin_list)i);
		pw_strbuf_add_char(&names, '\0');
		for (char *name = strtok_r(names.data, ",", &rest); name;
		     name = strtok_r(NULL, ",", &rest))
			assert_int_equal(pw_builtin_reads(name), i != PW_BUILTIN_LIST_LOCAL);
		pw_strbuf_fini(&names);
	}
	(void)state;
}

static void test_settings(void **state)
{
	struct pw_strbuf names = PW_STRBUF_INIT;
	char *rest = NULL;

	pw_setting_add_local(&names);
	pw_strbuf_add_char(&names, '\0');
	for (char *name = strtok_r(names.data, "|", &rest); name; name = strtok_r(NULL, "|", &rest))
		assert_true(pw_setting_is_local(name, strlen(name)));
	pw_strbuf_fini(&names);
	assert_true(pw_setting_is_local("In_Hot_Standby", strlen("in_hot_standby")));
	assert_true(pw_setting_is_local("portal", strlen("port")));
	assert_true(pw_setting_is_local("shared_buffers", strlen("shared_buffers")));
	assert_false(pw_setting_is_local("work_mem", strlen("work_mem")));
	assert_true(pw_setting_is_local("PGWEIR.x", strlen("pgweir.x")));
	assert_false(pw_setting_is_local("portal", strlen("portal")));
	assert_false(pw_setting_is_local("app.tenant", strlen("app.tenant")));
	assert_false(pw_setting_is_local("", 0));
	(void)state;
}

/* Each is found, which also tells that the list is in order. */
static void test_whole_list(void **state)
{
	(void)state;
	for (size_t i = 0; i < PW_COUNTOF(all); i++) {
		assert_int_not_equal(pw_builtin_find(all[i]), PW_BUILTIN_UNKNOWN);
		if (i > 0)
			assert_true(strcmp(all[i - 1], all[i]) < 0);
	}
	assert_true(PW_COUNTOF(all) > 2000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_names),    cmocka_unit_test(test_what_stays),
	    cmocka_unit_test(test_reads),    cmocka_unit_test(test_lists),
	    cmocka_unit_test(test_settings), cmocka_unit_test(test_whole_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

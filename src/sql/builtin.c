/* SPDX-License-Identifier: PostgreSQL
 *
 * All names in one sorted list; those that leave something behind in another.
 */
#include "config.h"

#include "pgweir/sql/builtin.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "pgweir/base/status.h"

static const char *const names[] = {
#include "builtins.inc"
};

static const char *const volatiles[] = {
#include "volatiles.inc"
};

struct special {
	const char *name;
	enum pw_builtin class;
};

/* In the order of strcmp(). */
static const struct special specials[] = {
    {"currval", PW_BUILTIN_SEQUENCE},
    {"lastval", PW_BUILTIN_SEQUENCE},
    {"nextval", PW_BUILTIN_SEQUENCE},
    {"pg_advisory_lock", PW_BUILTIN_LOCKS},
    {"pg_advisory_lock_shared", PW_BUILTIN_LOCKS},
    {"pg_advisory_unlock", PW_BUILTIN_LOCKS},
    {"pg_advisory_unlock_all", PW_BUILTIN_LOCKS},
    {"pg_advisory_unlock_shared", PW_BUILTIN_LOCKS},
    {"pg_backup_start", PW_BUILTIN_BACKUP},
    {"pg_backup_stop", PW_BUILTIN_BACKUP},
    {"pg_copy_logical_replication_slot", PW_BUILTIN_SLOT},
    {"pg_copy_physical_replication_slot", PW_BUILTIN_SLOT},
    {"pg_create_logical_replication_slot", PW_BUILTIN_SLOT},
    {"pg_create_physical_replication_slot", PW_BUILTIN_SLOT},
    {"pg_notify", PW_BUILTIN_NOTIFIES},
    {"pg_replication_origin_session_reset", PW_BUILTIN_ORIGIN},
    {"pg_replication_origin_session_setup", PW_BUILTIN_ORIGIN},
    {"pg_stop_making_pinned_objects", PW_BUILTIN_INNER},
    {"pg_try_advisory_lock", PW_BUILTIN_LOCKS},
    {"pg_try_advisory_lock_shared", PW_BUILTIN_LOCKS},
    {"query_to_xml", PW_BUILTIN_QUERIES},
    {"query_to_xml_and_xmlschema", PW_BUILTIN_QUERIES},
    {"query_to_xmlschema", PW_BUILTIN_QUERIES},
    {"set_config", PW_BUILTIN_SETS},
    {"setseed", PW_BUILTIN_SEED},
    {"setval", PW_BUILTIN_SEQUENCE},
    {"ts_rewrite", PW_BUILTIN_QUERIES},
    {"ts_stat", PW_BUILTIN_QUERIES},
};

static int compare_name(const void *key, const void *element)
{
	return strcmp(key, *(const char *const *)element);
}

static int compare_special(const void *key, const void *element)
{
	return strcmp(key, ((const struct special *)element)->name);
}

static bool begins_with(const char *name, const char *prefix)
{
	return strncmp(name, prefix, strlen(prefix)) == 0;
}

static const char *without_schema(const char *name)
{
	static const char schema[] = "pg_catalog.";

	return begins_with(name, schema) ? name + sizeof(schema) - 1 : name;
}

static bool is_in(const char *const *list, size_t n, const char *name)
{
	return bsearch(name, list, n, sizeof(*list), compare_name) != NULL;
}

static const struct special *find_special(const char *name)
{
	return bsearch(name, specials, PW_COUNTOF(specials), sizeof(*specials), compare_special);
}

static bool is_inner(const char *name)
{
	return begins_with(name, "binary_upgrade_");
}

enum pw_builtin pw_builtin_find(const char *name)
{
	const struct special *special;

	name = without_schema(name);
	special = find_special(name);
	if (special)
		return special->class;
	if (!is_in(names, PW_COUNTOF(names), name))
		return PW_BUILTIN_UNKNOWN;
	return is_inner(name) ? PW_BUILTIN_INNER : PW_BUILTIN_HARMLESS;
}

enum pw_builtin pw_builtin_find_special(const char *name)
{
	const struct special *special = find_special(name);

	if (special)
		return special->class;
	return is_inner(name) ? pw_builtin_find(name) : PW_BUILTIN_UNKNOWN;
}

/* ---- reading ---- */

/* Volatile, and harmless all the same. */
static const char *const harmless[] = {
    "bernoulli",    "clock_timestamp", "current_query", "gen_random_uuid", "lo_get",    "pg_sleep",
    "pg_sleep_for", "pg_sleep_until",  "random",        "system",          "timeofday",
};

/* Not volatile, and yet: they take a number for the transaction, tell of the server or the session,
 * or run over whatever tables there are. */
static const char *const local[] = {
    "currtid",
    "database_to_xml",
    "database_to_xml_and_xmlschema",
    "inet_client_addr",
    "inet_client_port",
    "inet_server_addr",
    "inet_server_port",
    "row_security_active",
    "schema_to_xml",
    "schema_to_xml_and_xmlschema",
    "table_to_xml",
    "table_to_xml_and_xmlschema",
    "txid_current",
    "txid_current_if_assigned",
    "txid_current_snapshot",
    "version",
};

/* Most of those that begin with pg_ tell of the server or the session; these tell of the database.
 */
static const char *const of_database[] = {
    "pg_char_to_encoding",
    "pg_client_encoding",
    "pg_collation_for",
    "pg_collation_is_visible",
    "pg_column_compression",
    "pg_column_is_updatable",
    "pg_column_size",
    "pg_conversion_is_visible",
    "pg_describe_object",
    "pg_encoding_max_length",
    "pg_encoding_to_char",
    "pg_function_is_visible",
    "pg_get_catalog_foreign_keys",
    "pg_get_constraintdef",
    "pg_get_expr",
    "pg_get_function_arg_default",
    "pg_get_function_arguments",
    "pg_get_function_identity_arguments",
    "pg_get_function_result",
    "pg_get_function_sqlbody",
    "pg_get_functiondef",
    "pg_get_indexdef",
    "pg_get_keywords",
    "pg_get_object_address",
    "pg_get_partition_constraintdef",
    "pg_get_partkeydef",
    "pg_get_publication_tables",
    "pg_get_replica_identity_index",
    "pg_get_ruledef",
    "pg_get_serial_sequence",
    "pg_get_statisticsobjdef",
    "pg_get_statisticsobjdef_columns",
    "pg_get_statisticsobjdef_expressions",
    "pg_get_triggerdef",
    "pg_get_userbyid",
    "pg_get_viewdef",
    "pg_has_role",
    "pg_identify_object",
    "pg_identify_object_as_address",
    "pg_index_column_has_property",
    "pg_index_has_property",
    "pg_indexam_has_property",
    "pg_is_other_temp_schema",
    "pg_lsn",
    "pg_mcv_list_items",
    "pg_opclass_is_visible",
    "pg_operator_is_visible",
    "pg_opfamily_is_visible",
    "pg_options_to_table",
    "pg_partition_root",
    "pg_relation_is_publishable",
    "pg_relation_is_updatable",
    "pg_sequence_parameters",
    "pg_size_bytes",
    "pg_size_pretty",
    "pg_statistics_obj_is_visible",
    "pg_table_is_visible",
    "pg_ts_config_is_visible",
    "pg_ts_dict_is_visible",
    "pg_ts_parser_is_visible",
    "pg_ts_template_is_visible",
    "pg_type_is_visible",
    "pg_typeof",
    "pg_wal_lsn_diff",
};

static const struct {
	const char *const *names;
	size_t n;
} lists[PW_BUILTIN_N_LISTS] = {
    [PW_BUILTIN_LIST_HARMLESS] = {harmless, PW_COUNTOF(harmless)},
    [PW_BUILTIN_LIST_LOCAL] = {local, PW_COUNTOF(local)},
    [PW_BUILTIN_LIST_OF_DATABASE] = {of_database, PW_COUNTOF(of_database)},
};

bool pw_builtin_reads(const char *name)
{
	name = without_schema(name);
	if (pw_builtin_find(name) != PW_BUILTIN_HARMLESS)
		return false;
	if (is_in(volatiles, PW_COUNTOF(volatiles), name))
		return is_in(harmless, PW_COUNTOF(harmless), name);
	if (begins_with(name, "pg_"))
		return is_in(of_database, PW_COUNTOF(of_database), name);
	return !is_in(local, PW_COUNTOF(local), name);
}

static void add_list(struct pw_strbuf *out, const char *const *list, size_t n, char between)
{
	for (size_t i = 0; i < n; i++) {
		if (i > 0)
			pw_strbuf_add_char(out, between);
		pw_strbuf_add_string(out, list[i]);
	}
}

void pw_builtin_add_list(struct pw_strbuf *out, enum pw_builtin_list list)
{
	add_list(out, lists[list].names, lists[list].n, ',');
}

/* ---- settings ---- */

/* The node's, whoever asks: no session can set them. */
static const char *const fixed_settings[] = {
#include "settings.inc"
};

/* What else tells of the node, not of the session or the database. */
static const char *const local_settings[] = {
    "data_directory_mode",
    "debug_assertions",
    "default_transaction_read_only",
    "in_hot_standby",
    "server_version",
    "server_version_num",
    "shared_memory_size",
    "shared_memory_size_in_huge_pages",
    "ssl_library",
    "transaction_read_only",
};

static bool is_setting_in(const char *const *list, size_t n, const char *name, size_t len)
{
	for (size_t i = 0; i < n; i++) {
		if (strlen(list[i]) == len && strncasecmp(name, list[i], len) == 0)
			return true;
	}
	return false;
}

bool pw_setting_is_local(const char *name, size_t len)
{
	static const char ours[] = "pgweir.";

	if (len >= sizeof(ours) - 1 && strncasecmp(name, ours, sizeof(ours) - 1) == 0)
		return true;
	return is_setting_in(fixed_settings, PW_COUNTOF(fixed_settings), name, len) ||
	       is_setting_in(local_settings, PW_COUNTOF(local_settings), name, len);
}

void pw_setting_add_local(struct pw_strbuf *out)
{
	add_list(out, fixed_settings, PW_COUNTOF(fixed_settings), '|');
	pw_strbuf_add_char(out, '|');
	add_list(out, local_settings, PW_COUNTOF(local_settings), '|');
}

/* ---- large objects ---- */

/* Their numbers never change: drivers call them by these. */
bool pw_builtin_is_of_large_objects(uint32_t oid)
{
	static const uint16_t oids[] = {
	    715,  764,  765,  767,        /* lo_create, lo_import, lo_export */
	    952,  953,  954,  955,        /* lo_open, lo_close, loread, lowrite */
	    956,  957,  958,  964,  1004, /* lo_lseek, lo_creat, lo_tell, lo_unlink, lo_truncate */
	    3170, 3171, 3172,             /* lo_lseek64, lo_tell64, lo_truncate64 */
	    3457, 3458, 3459, 3460,       /* lo_from_bytea, lo_get, lo_put */
	};

	for (size_t i = 0; i < PW_COUNTOF(oids); i++) {
		if (oids[i] == oid)
			return true;
	}
	return false;
}

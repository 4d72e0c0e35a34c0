/* SPDX-License-Identifier: PostgreSQL
 *
 * All names in one sorted list; those that leave something behind in another.
 */
#include "config.h"

#include "pgweir/sql/builtin.h"

#include <stdlib.h>
#include <string.h>

#include "pgweir/base/status.h"

static const char *const names[] = {
#include "builtins.inc"
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

enum pw_builtin pw_builtin_find(const char *name)
{
	static const char schema[] = "pg_catalog.";
	const struct special *special;

	if (begins_with(name, schema))
		name += sizeof(schema) - 1;
	special = bsearch(name, specials, PW_COUNTOF(specials), sizeof(*specials), compare_special);
	if (special)
		return special->class;
	if (!bsearch(name, names, PW_COUNTOF(names), sizeof(*names), compare_name))
		return PW_BUILTIN_UNKNOWN;
	return begins_with(name, "binary_upgrade_") ? PW_BUILTIN_INNER : PW_BUILTIN_HARMLESS;
}

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

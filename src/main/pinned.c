/* SPDX-License-Identifier: PostgreSQL
 *
 * What is said of pinned clients. They are counted in the registry, so no worker is asked.
 */
#include "config.h"

#include "pinned.h"

#include <string.h>

struct count {
	const char *db;
	int n;
};

static void add_pool(struct pw_shared_pool *pool, void *arg)
{
	struct count *count = arg;

	if (!count->db || strcmp(count->db, pool->db->name) == 0)
		count->n += atomic_load(&pool->pinned);
}

unsigned pw_pinned_count(struct pw_process *process, const char *db)
{
	struct count count = {.db = db};

	pw_registry_each_pool(&process->registry, add_pool, &count);
	return count.n > 0 ? (unsigned)count.n : 0;
}

void pw_pinned_tell(struct pw_process *process, const struct pw_asker *asker, const char *db,
		    const char *what)
{
	unsigned n = pw_pinned_count(process, db);
	struct pw_error notice;

	if (n == 0)
		return;
	pw_error_set(&notice, PW_SQLSTATE_SUCCESS, "%s: %u", what, n);
	notice.severity = PW_SEVERITY_NOTICE;
	pw_error_detail(&notice, "They have something in their sessions that cannot be carried to "
				 "another server connection; SHOW PINS says what.");
	pw_error_hint(&notice, "KILL_CLIENT closes one. The setting pin_timeout bounds for how "
			       "long one may idle.");
	pw_log_info(&process->logctx, "%s (SHOW PINS lists them)", notice.message);
	pw_asker_notify(process, asker, &notice);
}

/* SPDX-License-Identifier: PostgreSQL
 *
 * The commands. All decisions are made here, on the main thread; workers are asked in rounds.
 */
#include "config.h"

#include "control.h"

#include <stdlib.h>
#include <string.h>

#include "pause.h"
#include "pinned.h"
#include "reload.h"
#include "round.h"
#include "shutdown.h"
#include "watch.h"

enum { SHOW_LIMIT_US = 1000 * 1000 };

/* ---- databases by name ---- */

/* The shared entry of a database that exists (or could, by "*"); else tells the asker. */
static struct pw_shared_db *find_db(struct pw_process *process, const struct pw_asker *asker,
				    const char *name, const char *verb)
{
	struct pw_shared_db *db = NULL;
	char text[64];

	if (pw_conf_is_console(name)) {
		snprintf(text, sizeof(text), "cannot %s admin db: %%s", verb);
		pw_asker_refuse(process, asker, text, name);
		return NULL;
	}
	if (pw_conf_find_db(process->snapshot->conf, name) ||
	    pw_conf_find_db(process->snapshot->conf, "*"))
		db = pw_registry_db(&process->registry, name);
	if (!db)
		pw_asker_refuse(process, asker, "no such database: %s", name);
	return db;
}

/* ---- pause and resume ---- */

static void command_pause(struct pw_process *process, const struct pw_asker *asker,
			  const char *name)
{
	struct pw_shared_db *db = NULL;
	atomic_bool *is_paused = &process->registry.is_paused;

	pw_log_info(&process->logctx, name ? "PAUSE '%s' command issued" : "PAUSE command issued",
		    name);
	if (name) {
		db = find_db(process, asker, name, "pause");
		if (!db)
			return;
		is_paused = &db->is_paused;
	}
	if (atomic_load(is_paused)) {
		pw_asker_refuse(process, asker, "%s", "already suspended/paused");
	} else {
		pw_pause_begin(process, asker, name, is_paused);
		pw_pinned_tell(process, asker, name, "PAUSE waits for pinned clients");
	}
	pw_registry_put_db(&process->registry, db);
}

static void command_resume(struct pw_process *process, const struct pw_asker *asker,
			   const char *name)
{
	struct pw_shared_db *db;
	bool was_paused;

	pw_log_info(&process->logctx, name ? "RESUME '%s' command issued" : "RESUME command issued",
		    name);
	if (process->life != PW_LIFE_RUNNING) {
		pw_asker_refuse(process, asker, "%s", "pooler is shutting down");
		return;
	}
	if (!name) {
		if (!atomic_exchange(&process->registry.is_paused, false)) {
			pw_asker_refuse(process, asker, "%s", "pooler is not paused/suspended");
			return;
		}
		pw_pause_end(process, NULL);
		pw_round_run(process, asker, PW_ROUND_SERVE, NULL, pw_round_tell_done);
		return;
	}
	db = find_db(process, asker, name, "resume");
	if (!db)
		return;
	was_paused = atomic_exchange(&db->is_paused, false);
	pw_registry_put_db(&process->registry, db);
	if (!was_paused) {
		pw_asker_refuse(process, asker, "database %s is not paused", name);
		return;
	}
	pw_pause_end(process, name);
	pw_round_run(process, asker, PW_ROUND_SERVE, name, pw_round_tell_done);
}

/* ---- kill, reconnect ---- */

static void pause_db(struct pw_shared_pool *pool, void *arg PW_UNUSED)
{
	atomic_store(&pool->db->is_paused, true);
}

static void command_kill(struct pw_process *process, const struct pw_asker *asker, const char *name)
{
	struct pw_shared_db *db;

	pw_log_info(&process->logctx, name ? "KILL '%s' command issued" : "KILL command issued",
		    name);
	if (!name) {
		if (atomic_load(&process->registry.is_paused)) {
			pw_asker_refuse(process, asker, "%s", "already suspended/paused");
			return;
		}
		pw_registry_each_pool(&process->registry, pause_db, NULL);
		pw_round_run(process, asker, PW_ROUND_DROP, NULL, pw_round_tell_done);
		return;
	}
	db = find_db(process, asker, name, "kill");
	if (!db)
		return;
	atomic_store(&db->is_paused, true);
	pw_registry_put_db(&process->registry, db);
	pw_round_run(process, asker, PW_ROUND_DROP, name, pw_round_tell_done);
}

static void told_whether_found(struct pw_round *round)
{
	if (round->was_found)
		pw_round_tell_done(round);
	else
		pw_asker_refuse(round->process, &round->asker, "%s", "client not found");
}

static void command_kill_client(struct pw_process *process, const struct pw_asker *asker,
				const char *name)
{
	struct pw_round *round;
	char *end = NULL;
	uint64_t id = name ? strtoull(name, &end, 10) : 0;

	if (!name || end == name || *end) {
		pw_asker_refuse(process, asker, "%s", "invalid client pointer supplied");
		return;
	}
	round = pw_round_create(process, asker, PW_ROUND_KILL_CLIENT, NULL, told_whether_found);
	if (!round)
		return;
	round->client_id = id;
	pw_round_start(round, 0);
}

static void raise_epoch(struct pw_shared_pool *pool, void *arg)
{
	const char *db = arg;

	if (!db || strcmp(db, pool->db->name) == 0)
		atomic_fetch_add(&pool->epoch, 1);
}

static void command_reconnect(struct pw_process *process, const struct pw_asker *asker,
			      const char *name)
{
	struct pw_shared_db *db;

	pw_log_info(&process->logctx,
		    name ? "RECONNECT '%s' command issued" : "RECONNECT command issued", name);
	if (name) {
		db = find_db(process, asker, name, "reconnect");
		if (!db)
			return;
		pw_registry_each_pool(&process->registry, raise_epoch, db->name);
		pw_registry_put_db(&process->registry, db);
	} else {
		pw_registry_each_pool(&process->registry, raise_epoch, NULL);
	}
	pw_pinned_tell(process, asker, name,
		       "RECONNECT reaches servers of pinned clients when they let go");
	pw_round_run(process, asker, PW_ROUND_RECONNECT, name, pw_round_tell_done);
}

/* ---- about nodes ---- */

static void command_nodes(struct pw_process *process, const struct pw_asker *asker,
			  const struct pw_commanded *what)
{
	static const enum pw_order_kind kinds[] = {
	    [PW_COMMAND_DRAIN] = PW_ORDER_DRAIN,         [PW_COMMAND_BAN] = PW_ORDER_BAN,
	    [PW_COMMAND_BAN_FORCE] = PW_ORDER_BAN_FORCE, [PW_COMMAND_UNBAN] = PW_ORDER_UNBAN,
	    [PW_COMMAND_WEIGHT] = PW_ORDER_WEIGHT,       [PW_COMMAND_PROMOTE] = PW_ORDER_PROMOTE,
	    [PW_COMMAND_MAX_LAG] = PW_ORDER_MAX_LAG,
	};
	const struct pw_order order = {.kind = kinds[what->command],
				       .target = what->name,
				       .value = what->value,
				       .by = what->user};

	pw_watch_order(process, asker, &order);
}

/* ---- what is asked for ---- */

void pw_control_run(struct pw_process *process, const struct pw_asker *asker,
		    const struct pw_commanded *what)
{
	const char *name = what->name;

	switch (what->command) {
	case PW_COMMAND_RELOAD:
		pw_log_info(&process->logctx, "RELOAD command issued");
		pw_reload_run(process, asker);
		break;
	case PW_COMMAND_PAUSE:
		command_pause(process, asker, name);
		break;
	case PW_COMMAND_RESUME:
		command_resume(process, asker, name);
		break;
	case PW_COMMAND_KILL:
		command_kill(process, asker, name);
		break;
	case PW_COMMAND_KILL_CLIENT:
		command_kill_client(process, asker, name);
		break;
	case PW_COMMAND_RECONNECT:
		command_reconnect(process, asker, name);
		break;
	case PW_COMMAND_SHUTDOWN:
		pw_shutdown_begin(process, asker, PW_LIFE_OVER);
		break;
	case PW_COMMAND_SHUTDOWN_WAIT_FOR_SERVERS:
		pw_shutdown_begin(process, asker, PW_LIFE_WAIT_FOR_SERVERS);
		break;
	case PW_COMMAND_SHUTDOWN_WAIT_FOR_CLIENTS:
		pw_shutdown_begin(process, asker, PW_LIFE_WAIT_FOR_CLIENTS);
		break;
	case PW_COMMAND_DRAIN:
	case PW_COMMAND_BAN:
	case PW_COMMAND_BAN_FORCE:
	case PW_COMMAND_UNBAN:
	case PW_COMMAND_WEIGHT:
	case PW_COMMAND_PROMOTE:
	case PW_COMMAND_MAX_LAG:
		command_nodes(process, asker, what);
		break;
	}
}

static void tell_rows(struct pw_round *round)
{
	struct pw_error err;
	unsigned silent = 0;

	if (round->missing == 0) {
		pw_asker_give_rows(round->process, &round->asker, &round->rows, NULL);
		return;
	}
	while (silent + 1 < round->process->n_workers && round->has_answered[silent])
		silent++;
	pw_error_set(&err, PW_SQLSTATE_INTERNAL_ERROR, "worker %u did not answer within a second",
		     silent);
	err.severity = PW_SEVERITY_ERROR;
	pw_error_detail(&err, "Its clients and servers are not shown.");
	pw_asker_give_rows(round->process, &round->asker, &round->rows, &err);
}

void pw_control_show(struct pw_process *process, const struct pw_asker *asker,
		     const struct pw_view *view)
{
	struct pw_round *round = pw_round_create(process, asker, PW_ROUND_COLLECT, NULL, tell_rows);

	if (!round)
		return;
	round->view = view;
	pw_round_start(round, SHOW_LIMIT_US);
}

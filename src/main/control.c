/* SPDX-License-Identifier: PostgreSQL
 *
 * What operators command, by console or by signal. All decisions are made here, on the main
 * thread; workers are asked in rounds (round.c) and the asking console hears of the end by mail.
 */
#include "config.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "notify.h"
#include "process.h"

enum { POLL_US = 100 * 1000, SHOW_LIMIT_US = 1000 * 1000 };

/* ---- answers ---- */

struct answer_mail {
	struct pw_mail mail;
	struct pw_worker *worker;
	uint64_t asker;
	enum pw_command command;
	bool has_error, has_rows;
	struct pw_error err;
	struct pw_rows rows;
};

static void discard_answer(struct pw_mail *mail)
{
	struct answer_mail *m = PW_CONTAINER(mail, struct answer_mail, mail);

	if (m->has_rows)
		pw_rows_fini(&m->rows);
	free(m);
}

static void deliver_answer(struct pw_mail *mail, void *receiver PW_UNUSED)
{
	struct answer_mail *m = PW_CONTAINER(mail, struct answer_mail, mail);
	const struct pw_error *err = m->has_error ? &m->err : NULL;

	if (m->has_rows)
		pw_console_rows(&m->worker->clients, m->asker, &m->rows, err);
	else
		pw_console_done(&m->worker->clients, m->asker, m->command, err);
	discard_answer(mail);
}

static struct answer_mail *create_answer(struct pw_process *process, unsigned worker,
					 uint64_t asker, const struct pw_error *err)
{
	struct answer_mail *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	m->mail.deliver = deliver_answer;
	m->mail.discard = discard_answer;
	m->worker = &process->workers[worker];
	m->asker = asker;
	m->has_error = err != NULL;
	if (err)
		m->err = *err;
	return m;
}

/* asker 0 = a signal: nobody is told. */
static void tell(struct pw_process *process, unsigned worker, uint64_t asker,
		 enum pw_command command, const struct pw_error *err)
{
	struct answer_mail *m = asker ? create_answer(process, worker, asker, err) : NULL;

	if (!m)
		return;
	m->command = command;
	pw_mailbox_post(&m->worker->mailbox, &m->mail);
}

static void tell_done(struct pw_round *round)
{
	tell(round->process, round->worker, round->asker, round->command, NULL);
}

struct asker {
	unsigned worker;
	uint64_t id;
	enum pw_command command;
};

static void refuse(struct pw_process *process, const struct asker *asker, const char *fmt,
		   const char *name)
{
	struct pw_error err;

	pw_error_set(&err, PW_SQLSTATE_PROTOCOL_VIOLATION, fmt, name);
	err.severity = PW_SEVERITY_ERROR;
	tell(process, asker->worker, asker->id, asker->command, &err);
}

/* A round on behalf of a console (or of a signal). */
static struct pw_round *begin_round(struct pw_process *process, const struct asker *asker,
				    enum pw_round_kind kind, const char *db,
				    void (*done)(struct pw_round *round))
{
	struct pw_round *round = pw_round_create(process, kind, done);

	if (round && db)
		round->db = strdup(db);
	if (!round || (db && !round->db)) {
		if (round) {
			free(round->has_answered);
			free(round);
		}
		refuse(process, asker, "%s", "out of memory");
		return NULL;
	}
	round->worker = asker->worker;
	round->asker = asker->id;
	round->command = asker->command;
	return round;
}

static void run_round(struct pw_process *process, const struct asker *asker,
		      enum pw_round_kind kind, const char *db)
{
	struct pw_round *round = begin_round(process, asker, kind, db, tell_done);

	if (round)
		pw_round_start(round, 0);
}

/* ---- reload ---- */

static void nothing_to_tell(struct pw_round *round PW_UNUSED)
{
}

static void reopen_log(struct pw_process *process)
{
	const struct pw_conf *conf = process->snapshot->conf;

	if (pw_log_open_file(&process->log, conf->logfile) != PW_OK)
		pw_log_error(&process->logctx, "cannot open log file %s", conf->logfile);
	pw_log_open_syslog(&process->log, conf->syslog, conf->syslog_ident, conf->syslog_facility);
}

/* Builds the new snapshot; on failure the old one stays in force, whole. */
static struct pw_snapshot *load(struct pw_process *process)
{
	struct pw_strbuf why = PW_STRBUF_INIT, warnings = PW_STRBUF_INIT;
	const char *path = process->snapshot->conf->conffile;
	struct pw_snapshot *next;

	if (!path || path[0] == '\0')
		path = process->options.config_path;
	next = pw_snapshot_load(path, process->snapshot, &process->hash_key, &why, &warnings);
	pw_log_lines(&process->logctx, PW_LOG_WARNING, warnings.data);
	pw_log_lines(&process->logctx, PW_LOG_ERROR, why.data);
	if (!next)
		pw_log_warning(&process->logctx, "config file loading failed");
	pw_strbuf_fini(&why);
	pw_strbuf_fini(&warnings);
	return next;
}

static bool reload(struct pw_process *process, const struct asker *asker)
{
	struct pw_snapshot *next = load(process);
	struct pw_round *round;

	if (!next) {
		reopen_log(process);
		return false;
	}
	pw_snapshot_unref(process->snapshot);
	process->snapshot = next;
	reopen_log(process);
	pw_listen_tune(&process->listen, next->conf);
	pw_resolver_set_ttl(process->resolver, next->conf->dns_max_ttl,
			    next->conf->dns_nxdomain_ttl);
	round = begin_round(process, asker, PW_ROUND_SWAP, NULL,
			    asker->id ? tell_done : nothing_to_tell);
	if (!round)
		return false;
	round->snapshot = pw_snapshot_ref(next);
	pw_round_start(round, 0);
	return true;
}

static void command_reload(struct pw_process *process, const struct asker *asker)
{
	struct pw_error err;

	pw_log_info(&process->logctx, "RELOAD command issued");
	if (reload(process, asker))
		return;
	pw_error_set(&err, PW_SQLSTATE_CONFIG_FILE_ERROR,
		     "RELOAD failed, see logs for additional details");
	err.severity = PW_SEVERITY_ERROR;
	tell(process, asker->worker, asker->id, asker->command, &err);
}

/* ---- databases by name ---- */

static bool is_console_name(const char *name)
{
	return strcmp(name, "pgbouncer") == 0 || strcmp(name, "pgweir") == 0;
}

/* The shared entry of a database that exists (or could, by "*"); else tells the asker. */
static struct pw_shared_db *find_db(struct pw_process *process, const struct asker *asker,
				    const char *name, const char *verb)
{
	struct pw_shared_db *db = NULL;
	char text[64];

	if (is_console_name(name)) {
		snprintf(text, sizeof(text), "cannot %s admin db: %%s", verb);
		refuse(process, asker, text, name);
		return NULL;
	}
	if (pw_conf_find_db(process->snapshot->conf, name) ||
	    pw_conf_find_db(process->snapshot->conf, "*"))
		db = pw_registry_db(&process->registry, name);
	if (!db)
		refuse(process, asker, "no such database: %s", name);
	return db;
}

/* ---- pause and resume ---- */

static void arm_poll(struct pw_process *process)
{
	if (!pw_timer_is_armed(&process->poll))
		pw_loop_arm(&process->loop, &process->poll, POLL_US);
}

static void wait_for_pause(struct pw_process *process, const struct asker *asker, const char *db)
{
	struct pw_pause_waiter *waiter;

	if (asker->id == 0)
		return;
	waiter = calloc(1, sizeof(*waiter));
	if (waiter && db)
		waiter->db = strdup(db);
	if (!waiter || (db && !waiter->db)) {
		free(waiter);
		refuse(process, asker, "%s", "out of memory");
		return;
	}
	waiter->worker = asker->worker;
	waiter->asker = asker->id;
	pw_list_append(&process->pauses, &waiter->node);
	arm_poll(process);
}

static void start_pausing(struct pw_process *process, const struct asker *asker, const char *db)
{
	struct pw_round *round =
	    begin_round(process, asker, PW_ROUND_CLOSE_IDLE, db, nothing_to_tell);

	if (round)
		pw_round_start(round, 0);
	wait_for_pause(process, asker, db);
}

static void command_pause(struct pw_process *process, const struct asker *asker, const char *name)
{
	struct pw_shared_db *db;
	bool was_paused;

	if (!name) {
		pw_log_info(&process->logctx, "PAUSE command issued");
		if (atomic_exchange(&process->registry.is_paused, true))
			refuse(process, asker, "%s", "already suspended/paused");
		else
			start_pausing(process, asker, NULL);
		return;
	}
	pw_log_info(&process->logctx, "PAUSE '%s' command issued", name);
	db = find_db(process, asker, name, "pause");
	if (!db)
		return;
	was_paused = atomic_exchange(&db->is_paused, true);
	pw_registry_put_db(&process->registry, db);
	if (was_paused)
		refuse(process, asker, "%s", "already suspended/paused");
	else
		start_pausing(process, asker, name);
}

/* Whoever waits for a PAUSE to take hold is told that it has ended. */
static void end_pause_waits(struct pw_process *process, const char *db)
{
	PW_LIST_FOREACH_SAFE (node, &process->pauses) {
		struct pw_pause_waiter *w = PW_CONTAINER(node, struct pw_pause_waiter, node);

		if (db && (!w->db || strcmp(db, w->db) != 0))
			continue;
		pw_list_remove(node);
		tell(process, w->worker, w->asker, PW_COMMAND_PAUSE, NULL);
		free(w->db);
		free(w);
	}
}

static void command_resume(struct pw_process *process, const struct asker *asker, const char *name)
{
	struct pw_shared_db *db;
	bool was_paused;

	pw_log_info(&process->logctx, name ? "RESUME '%s' command issued" : "RESUME command issued",
		    name);
	if (process->life != PW_LIFE_RUNNING) {
		refuse(process, asker, "%s", "pooler is shutting down");
		return;
	}
	if (!name) {
		if (!atomic_exchange(&process->registry.is_paused, false)) {
			refuse(process, asker, "%s", "pooler is not paused/suspended");
			return;
		}
		end_pause_waits(process, NULL);
		run_round(process, asker, PW_ROUND_SERVE, NULL);
		return;
	}
	db = find_db(process, asker, name, "resume");
	if (!db)
		return;
	was_paused = atomic_exchange(&db->is_paused, false);
	pw_registry_put_db(&process->registry, db);
	if (!was_paused) {
		refuse(process, asker, "database %s is not paused", name);
		return;
	}
	end_pause_waits(process, name);
	run_round(process, asker, PW_ROUND_SERVE, name);
}

/* ---- kill, reconnect ---- */

static void pause_db(struct pw_shared_pool *pool, void *arg PW_UNUSED)
{
	atomic_store(&pool->db->is_paused, true);
}

static void command_kill(struct pw_process *process, const struct asker *asker, const char *name)
{
	struct pw_shared_db *db;

	pw_log_info(&process->logctx, name ? "KILL '%s' command issued" : "KILL command issued",
		    name);
	if (!name) {
		if (atomic_load(&process->registry.is_paused)) {
			refuse(process, asker, "%s", "already suspended/paused");
			return;
		}
		pw_registry_each_pool(&process->registry, pause_db, NULL);
		run_round(process, asker, PW_ROUND_DROP, NULL);
		return;
	}
	db = find_db(process, asker, name, "kill");
	if (!db)
		return;
	atomic_store(&db->is_paused, true);
	pw_registry_put_db(&process->registry, db);
	run_round(process, asker, PW_ROUND_DROP, name);
}

static void told_whether_found(struct pw_round *round)
{
	const struct asker asker = {round->worker, round->asker, round->command};

	if (round->was_found)
		tell_done(round);
	else
		refuse(round->process, &asker, "%s", "client not found");
}

static void command_kill_client(struct pw_process *process, const struct asker *asker,
				const char *name)
{
	struct pw_round *round;
	char *end = NULL;
	uint64_t id = name ? strtoull(name, &end, 10) : 0;

	if (!name || end == name || *end) {
		refuse(process, asker, "%s", "invalid client pointer supplied");
		return;
	}
	round = begin_round(process, asker, PW_ROUND_KILL_CLIENT, NULL, told_whether_found);
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

static void command_reconnect(struct pw_process *process, const struct asker *asker,
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
	run_round(process, asker, PW_ROUND_RECONNECT, name);
}

/* ---- shutdown ---- */

static void stop_now(struct pw_process *process)
{
	process->life = PW_LIFE_OVER;
	pw_loop_stop(&process->loop);
}

static void command_shutdown(struct pw_process *process, const struct asker *asker,
			     enum pw_life life)
{
	struct pw_round *round;

	pw_log_info(&process->logctx, "SHUTDOWN command issued");
	pw_notify_stopping();
	if (life == PW_LIFE_OVER) {
		stop_now(process);
		return;
	}
	process->life = life;
	pw_accept_stop_tcp(process);
	if (life == PW_LIFE_WAIT_FOR_SERVERS)
		atomic_store(&process->registry.is_paused, true);
	round = begin_round(process, asker, PW_ROUND_SHUT, NULL, tell_done);
	if (round) {
		round->is_draining = life == PW_LIFE_WAIT_FOR_SERVERS;
		pw_round_start(round, 0);
	}
	arm_poll(process);
}

/* ---- polling: a shutdown or a PAUSE may be done ---- */

static void after_pause_count(struct pw_round *round)
{
	struct pw_process *process = round->process;

	PW_LIST_FOREACH_SAFE (node, &process->pauses) {
		struct pw_pause_waiter *w = PW_CONTAINER(node, struct pw_pause_waiter, node);
		bool is_same = w->db ? round->db && strcmp(w->db, round->db) == 0 : !round->db;

		if (!is_same || round->n_busy > 0)
			continue;
		pw_list_remove(node);
		tell(process, w->worker, w->asker, PW_COMMAND_PAUSE, NULL);
		free(w->db);
		free(w);
	}
}

static void after_count(struct pw_round *round)
{
	struct pw_process *process = round->process;

	process->is_polling = false;
	if (process->life == PW_LIFE_WAIT_FOR_CLIENTS && round->n_clients == 0) {
		pw_log_info(&process->logctx, "client connections dropped, exiting");
		stop_now(process);
	} else if (process->life == PW_LIFE_WAIT_FOR_SERVERS && round->n_links == 0) {
		pw_log_info(&process->logctx, "server connections dropped, exiting");
		stop_now(process);
	}
}

static void count(struct pw_process *process, const char *db, void (*done)(struct pw_round *round))
{
	const struct asker nobody = {0, 0, PW_COMMAND_PAUSE};
	struct pw_round *round = begin_round(process, &nobody, PW_ROUND_COUNT, db, done);

	if (round)
		pw_round_start(round, 0);
}

static void on_poll(struct pw_timer *timer)
{
	struct pw_process *process = PW_CONTAINER(timer, struct pw_process, poll);

	if (process->life != PW_LIFE_RUNNING && !process->is_polling) {
		process->is_polling = true;
		count(process, NULL, after_count);
	}
	PW_LIST_FOREACH (node, &process->pauses) {
		count(process, PW_CONTAINER(node, struct pw_pause_waiter, node)->db,
		      after_pause_count);
	}
	if (process->life != PW_LIFE_RUNNING || !pw_list_is_empty(&process->pauses))
		arm_poll(process);
}

void pw_control_init(struct pw_process *process)
{
	pw_list_init(&process->pauses);
	pw_timer_init(&process->poll, on_poll);
}

/* ---- from outside ---- */

void pw_control_run(struct pw_process *process, unsigned worker, uint64_t asker_id,
		    enum pw_command command, const char *name)
{
	const struct asker asker = {worker, asker_id, command};

	switch (command) {
	case PW_COMMAND_RELOAD:
		command_reload(process, &asker);
		break;
	case PW_COMMAND_PAUSE:
		command_pause(process, &asker, name);
		break;
	case PW_COMMAND_RESUME:
		command_resume(process, &asker, name);
		break;
	case PW_COMMAND_KILL:
		command_kill(process, &asker, name);
		break;
	case PW_COMMAND_KILL_CLIENT:
		command_kill_client(process, &asker, name);
		break;
	case PW_COMMAND_RECONNECT:
		command_reconnect(process, &asker, name);
		break;
	case PW_COMMAND_SHUTDOWN:
		command_shutdown(process, &asker, PW_LIFE_OVER);
		break;
	case PW_COMMAND_SHUTDOWN_WAIT_FOR_SERVERS:
		command_shutdown(process, &asker, PW_LIFE_WAIT_FOR_SERVERS);
		break;
	case PW_COMMAND_SHUTDOWN_WAIT_FOR_CLIENTS:
		command_shutdown(process, &asker, PW_LIFE_WAIT_FOR_CLIENTS);
		break;
	}
}

static void tell_rows(struct pw_round *round)
{
	struct pw_process *process = round->process;
	struct answer_mail *m = create_answer(process, round->worker, round->asker, NULL);

	if (!m)
		return;
	for (unsigned i = 0; round->missing > 0 && i < process->n_workers && !m->has_error; i++) {
		if (round->has_answered[i])
			continue;
		m->has_error = true;
		pw_error_set(&m->err, PW_SQLSTATE_INTERNAL_ERROR,
			     "worker %u did not answer within a second", i);
		m->err.severity = PW_SEVERITY_ERROR;
		pw_error_detail(&m->err, "Its clients and servers are not shown.");
	}
	m->has_rows = true;
	m->rows = round->rows;
	pw_rows_init(&round->rows, round->view);
	pw_mailbox_post(&m->worker->mailbox, &m->mail);
}

void pw_control_collect(struct pw_process *process, unsigned worker, uint64_t asker_id,
			const struct pw_view *view)
{
	const struct asker asker = {worker, asker_id, PW_COMMAND_RELOAD};
	struct pw_round *round = begin_round(process, &asker, PW_ROUND_COLLECT, NULL, tell_rows);

	if (!round)
		return;
	round->view = view;
	pw_round_start(round, SHOW_LIMIT_US);
}

/* ---- signals ---- */

static void signal_hup(struct pw_process *process)
{
	const struct asker nobody = {0, 0, PW_COMMAND_RELOAD};

	pw_log_info(&process->logctx, "got SIGHUP, re-reading config");
	pw_notify_reloading();
	(void)reload(process, &nobody);
	pw_notify_ready();
}

static void signal_shutdown(struct pw_process *process, int number)
{
	const struct asker nobody = {0, 0, PW_COMMAND_SHUTDOWN};
	bool is_int = number == SIGINT;

	if (process->life != PW_LIFE_RUNNING) {
		pw_log_info(&process->logctx, "got %s while shutting down, fast exit",
			    is_int ? "SIGINT" : "SIGTERM");
		stop_now(process);
		return;
	}
	pw_log_info(&process->logctx,
		    is_int ? "got SIGINT, shutting down, waiting for all servers connections to be "
			     "released"
			   : "got SIGTERM, shutting down, waiting for all clients disconnect");
	command_shutdown(process, &nobody,
			 is_int ? PW_LIFE_WAIT_FOR_SERVERS : PW_LIFE_WAIT_FOR_CLIENTS);
}

static void signal_usr1(struct pw_process *process)
{
	const struct asker nobody = {0, 0, PW_COMMAND_PAUSE};

	if (atomic_load(&process->registry.is_paused)) {
		pw_log_info(&process->logctx, "got SIGUSR1, but already paused/suspended");
		return;
	}
	pw_log_info(&process->logctx, "got SIGUSR1, pausing all activity");
	command_pause(process, &nobody, NULL);
}

static void signal_usr2(struct pw_process *process)
{
	const struct asker nobody = {0, 0, PW_COMMAND_RESUME};

	if (process->life != PW_LIFE_RUNNING) {
		pw_log_info(&process->logctx, "got SIGUSR2 while shutting down, ignoring");
	} else if (!atomic_load(&process->registry.is_paused)) {
		pw_log_info(&process->logctx, "got SIGUSR2, but not paused/suspended");
	} else {
		pw_log_info(&process->logctx, "got SIGUSR2, continuing from PAUSE");
		command_resume(process, &nobody, NULL);
	}
}

void pw_control_on_signal(struct pw_process *process, int number)
{
	switch (number) {
	case SIGHUP:
		signal_hup(process);
		break;
	case SIGINT:
	case SIGTERM:
		signal_shutdown(process, number);
		break;
	case SIGQUIT:
		pw_log_info(&process->logctx, "got SIGQUIT, fast exit");
		stop_now(process);
		break;
	case SIGUSR1:
		signal_usr1(process);
		break;
	case SIGUSR2:
		signal_usr2(process);
		break;
	default:
		break;
	}
}

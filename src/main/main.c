/* SPDX-License-Identifier: PostgreSQL
 *
 * Start and end of the process; what happens in between is the loop's.
 */
#include "config.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "accept.h"
#include "ask.h"
#include "limits.h"
#include "notify.h"
#include "pause.h"
#include "pgweir/base/rng.h"
#include "pidfile.h"
#include "process.h"
#include "report.h"
#include "shutdown.h"
#include "signals.h"
#include "watch.h"
#include "worker.h"

static int describe(enum pw_options_todo todo)
{
	struct pw_strbuf out = PW_STRBUF_INIT;
	int status;

	if (todo == PW_TODO_DESCRIBE_INI)
		pw_conf_describe_ini(&out);
	else if (todo == PW_TODO_DESCRIBE_CONFIG)
		pw_conf_describe_docs(&out);
	else
		pw_console_describe(&out);
	status = !out.has_failed && fwrite(out.data, 1, out.len, stdout) == out.len ? 0 : 1;
	pw_strbuf_fini(&out);
	return status;
}

static bool load_config(struct pw_process *p, struct pw_strbuf *warnings)
{
	struct pw_strbuf why = PW_STRBUF_INIT;

	p->snapshot = pw_snapshot_load(p->options.config_path, NULL, &p->hash_key, &why, warnings);
	if (!p->snapshot) {
		pw_log_lines(&p->logctx, PW_LOG_WARNING, warnings->data);
		pw_log_lines(&p->logctx, PW_LOG_ERROR, why.data);
		pw_log_fatal(&p->logctx, "cannot load config file");
	}
	pw_strbuf_fini(&why);
	return p->snapshot != NULL;
}

/* Before the log file is opened: root must not own it. */
static bool become_and_open_log(struct pw_process *p, const char *warnings)
{
	const struct pw_conf *conf = p->snapshot->conf;
	int verbose = p->options.verbose > conf->verbose ? p->options.verbose : conf->verbose;

	pw_log_set_verbosity(&p->log, verbose);
	if (pw_daemon_become(p->options.user ? p->options.user : conf->user, &p->logctx) != PW_OK) {
		/* One of them may tell why. */
		pw_log_lines(&p->logctx, PW_LOG_WARNING, warnings);
		return false;
	}
	if (pw_log_open_file(&p->log, conf->logfile) != PW_OK) {
		pw_log_fatal(&p->logctx, "cannot open log file %s: %s", conf->logfile,
			     strerror(errno));
		return false;
	}
	pw_log_lines(&p->logctx, PW_LOG_WARNING, warnings);
	return true;
}

static unsigned count_workers(const struct pw_conf *conf)
{
	long n = conf->worker_threads > 0 ? conf->worker_threads : sysconf(_SC_NPROCESSORS_ONLN);

	return n < 1 ? 1 : n > PW_WORKERS_MAX ? PW_WORKERS_MAX : (unsigned)n;
}

/* Everything that can fail before there is a service, in the foreground. */
static bool prepare(struct pw_process *p)
{
	struct pw_strbuf warnings = PW_STRBUF_INIT;
	const struct pw_conf *conf;
	struct pw_limits need;
	bool ok;

	pw_rng_secret(&p->hash_key, sizeof(p->hash_key));
	pw_rng_secret(p->mock_secret, sizeof(p->mock_secret));
	ok = load_config(p, &warnings) && become_and_open_log(p, warnings.data);
	pw_strbuf_fini(&warnings);
	if (!ok)
		return false;
	conf = p->snapshot->conf;
	p->n_workers = count_workers(conf);
	pw_limits_need(conf, pw_userdb_count(p->snapshot->users), p->n_workers, &need);
	pw_limits_raise(&need, &p->logctx);
	if (pw_listen_check(conf, &p->logctx) != PW_OK ||
	    pw_pidfile_check(conf->pidfile, &p->logctx) != PW_OK)
		return false;
	return !p->options.is_daemon ||
	       pw_daemon_detach(&p->daemon, conf->pidfile, &p->logctx) == PW_OK;
}

static bool init_workers(struct pw_process *p)
{
	p->workers = calloc(p->n_workers, sizeof(*p->workers));
	p->peers = calloc(p->n_workers, sizeof(struct pw_pools *));
	p->hubs = calloc(p->n_workers, sizeof(struct pw_hubs *));
	if (!p->workers || !p->peers || !p->hubs)
		return false;
	for (unsigned i = 0; i < p->n_workers; i++) {
		if (pw_worker_init(&p->workers[i], p, i) != PW_OK)
			return false;
		p->workers[i].actions = pw_ask_actions(&p->workers[i]);
	}
	return true;
}

static bool start_workers(struct pw_process *p)
{
	bool ok = true;

	for (unsigned i = 0; ok && i < p->n_workers; i++)
		ok = pw_worker_start(&p->workers[i]) == PW_OK;
	return ok;
}

static bool start(struct pw_process *p)
{
	const struct pw_conf *conf = p->snapshot->conf;

	if (pw_loop_init(&p->loop, &pw_clock_system) != PW_OK ||
	    pw_mailbox_init(&p->mailbox, &p->loop, p) != PW_OK || pw_signals_start(p) != PW_OK ||
	    pw_tracked_init(&p->tracked, conf->track_extra_parameters) != PW_OK ||
	    pw_registry_init(&p->registry, p->n_workers, &p->hash_key) != PW_OK)
		return false;
	pw_pause_init(p);
	pw_shutdown_init(p);
	pw_log_open_syslog(&p->log, conf->syslog, conf->syslog_ident, conf->syslog_facility);
	p->resolver = pw_resolver_create(conf->dns_max_ttl, conf->dns_nxdomain_ttl);
	if (!p->resolver || pw_listen_open(&p->listen, conf, &p->logctx) != PW_OK ||
	    pw_pidfile_create(conf->pidfile, &p->logctx) != PW_OK)
		return false;
	return init_workers(p) && pw_watch_clusters(p, p->snapshot) == PW_OK &&
	       pw_accept_start(p) == PW_OK && start_workers(p);
}

static void announce(struct pw_process *p)
{
	char loop[64];

	pw_loop_describe(&p->loop, loop, sizeof(loop));
	pw_log_info(&p->logctx, "process up: %s, %s, adns: getaddrinfo, tls: %s, workers: %u",
		    p->version_line, loop, pw_tls_library_version(), p->n_workers);
	if (p->options.is_quiet || p->options.is_daemon)
		atomic_store(&p->log.stderr_fd, -1);
	pw_report_start(p);
	pw_daemon_ready(&p->daemon, &p->logctx);
	pw_notify_ready();
}

static void stop(struct pw_process *p)
{
	const char *pidfile = p->snapshot ? p->snapshot->conf->pidfile : NULL;

	pw_watch_stop(p);
	for (unsigned i = 0; p->workers && i < p->n_workers; i++)
		pw_worker_stop(&p->workers[i]);
	pw_accept_stop(p);
	pw_resolver_destroy(p->resolver);
	for (unsigned i = 0; p->workers && i < p->n_workers; i++)
		pw_worker_fini(&p->workers[i]);
	pw_mailbox_fini(&p->mailbox);
	pw_signals_stop(p);
	pw_pause_fini(p);
	pw_registry_fini(&p->registry);
	pw_clusters_fini(&p->clusters);
	if (p->loop.base)
		pw_loop_fini(&p->loop);
	pw_tracked_fini(&p->tracked);
	pw_pidfile_remove(pidfile);
	pw_snapshot_unref(p->snapshot);
	free(p->workers);
	free(p->peers);
	free(p->hubs);
	pw_log_fini(&p->log);
	explicit_bzero(p, sizeof(*p));
}

/* What libpq would take from there is for other programs: a service file, or the wish for a node of
 * one kind, would keep the monitor from nodes. */
static void forget_libpq_environment(void)
{
	char name[64];
	size_t i = 0;

	while (environ[i]) {
		const char *at = environ[i];
		size_t len = strcspn(at, "=");

		if (strncmp(at, "PG", 2) == 0 && len < sizeof(name)) {
			memcpy(name, at, len);
			name[len] = '\0';
			(void)unsetenv(name);
		}
		/* Where one is gone the others have moved up. */
		i += environ[i] == at;
	}
}

int main(int argc, char *argv[])
{
	struct pw_process p;
	int status = 1;

	pw_daemon_guard_stdio();
	forget_libpq_environment();
	memset(&p, 0, sizeof(p));
	pw_options_parse(argc, argv, &p.options);
	if (p.options.todo == PW_TODO_EXIT)
		return p.options.exit_status;
	if (p.options.todo != PW_TODO_RUN)
		return describe(p.options.todo);
	signal(SIGPIPE, SIG_IGN);
	pw_log_init(&p.log);
	pw_clusters_init(&p.clusters);
	if (p.options.is_quiet)
		atomic_store(&p.log.stderr_fd, -1);
	p.logctx.log = &p.log;
	snprintf(p.version_line, sizeof(p.version_line), "pgweir %s", PACKAGE_VERSION);
	pw_daemon_init(&p.daemon);
	if (prepare(&p) && start(&p)) {
		announce(&p);
		pw_loop_run(&p.loop);
		status = 0;
	}
	stop(&p);
	return status;
}

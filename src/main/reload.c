/* SPDX-License-Identifier: PostgreSQL
 *
 * A new snapshot in place of the one in force. If anything in it is wrong, nothing changes.
 */
#include "config.h"

#include "reload.h"

#include <errno.h>
#include <string.h>

#include "pgweir/base/utf8.h"
#include "round.h"
#include "watch.h"

static void reopen_log(struct pw_process *process)
{
	const struct pw_conf *conf = process->snapshot->conf;

	if (pw_log_open_file(&process->log, conf->logfile) != PW_OK)
		pw_log_error(&process->logctx, "cannot open log file %s: %s", conf->logfile,
			     strerror(errno));
	pw_log_open_syslog(&process->log, conf->syslog, conf->syslog_ident, conf->syslog_facility);
}

/* Builds the new snapshot; on failure the old one stays in force, whole, and `why` tells. */
static struct pw_snapshot *load(struct pw_process *process, struct pw_strbuf *why)
{
	struct pw_strbuf warnings = PW_STRBUF_INIT;
	const char *path = process->snapshot->conf->conffile;
	struct pw_snapshot *next;

	if (!path || path[0] == '\0')
		path = process->options.config_path;
	next = pw_snapshot_load(path, process->snapshot, &process->hash_key, why, &warnings);
	pw_log_lines(&process->logctx, PW_LOG_WARNING, warnings.data);
	pw_log_lines(&process->logctx, PW_LOG_ERROR, why->data);
	if (!next)
		pw_log_warning(&process->logctx, "config file loading failed");
	pw_strbuf_fini(&warnings);
	return next;
}

static void put_in_force(struct pw_process *process, struct pw_snapshot *next,
			 struct pw_strbuf *changes)
{
	pw_conf_changes(process->snapshot->conf, next->conf, changes);
	pw_snapshot_unref(process->snapshot);
	process->snapshot = next;
	pw_resolver_set_ttl(process->resolver, next->conf->dns_max_ttl,
			    next->conf->dns_nxdomain_ttl);
	if (pw_watch_clusters(process, next) != PW_OK)
		pw_log_error(&process->logctx, "clusters are watched as before: out of memory");
}

/* Users, rules and certificates are read anew as well, and not compared. */
static void log_changes(struct pw_process *process, const struct pw_strbuf *changes)
{
	pw_log_info(&process->logctx, "config reloaded%s%s", changes->len > 0 ? ", " : "",
		    changes->len > 0 ? changes->data : "");
}

/* The first problem; there may be more in the log. */
static void tell_failed(struct pw_process *process, const struct pw_asker *asker, const char *why)
{
	struct pw_error err;

	pw_error_set(&err, PW_SQLSTATE_CONFIG_FILE_ERROR,
		     "RELOAD failed, see logs for additional details");
	err.severity = PW_SEVERITY_ERROR;
	if (why) {
		size_t fits = pw_utf8_fit(why, sizeof(err.detail) - 1);
		size_t len = strcspn(why, "\n");

		pw_error_detail(&err, "%.*s", (int)(len < fits ? len : fits), why);
	}
	pw_asker_tell(process, asker, &err);
}

void pw_reload_run(struct pw_process *process, const struct pw_asker *asker)
{
	struct pw_strbuf changes = PW_STRBUF_INIT, why = PW_STRBUF_INIT;
	struct pw_snapshot *next = load(process, &why);
	struct pw_round *round = NULL;

	if (!next)
		tell_failed(process, asker, why.data);
	else
		round = pw_round_create(process, asker, PW_ROUND_SWAP, NULL, pw_round_tell_done);
	/* Without a round (the asker has been told) no worker would go on by what we go by. */
	if (round)
		put_in_force(process, next, &changes);
	else
		pw_snapshot_unref(next);
	reopen_log(process);
	if (round)
		log_changes(process, &changes);
	pw_strbuf_fini(&changes);
	pw_strbuf_fini(&why);
	if (!round)
		return;
	round->snapshot = pw_snapshot_ref(next);
	pw_round_start(round, 0);
}

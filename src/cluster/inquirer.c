/* SPDX-License-Identifier: PostgreSQL
 *
 * libpq's functions for those who must not wait: PQconnectPoll() as long as the login takes, then
 * PQconsumeInput() whenever there is something to read. A name is looked up before, for libpq would
 * block while it does so.
 */
#include "config.h"

#include "pgweir/cluster/inquirer.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <string.h>

#include "pgweir/base/addr.h"

enum { PARAMETERS_MAX = 20 };

/* ---- ends ---- */

static void disconnect(struct pw_inquirer *q)
{
	pw_watch_clear(&q->watch);
	pw_timer_disarm(&q->timer);
	if (q->question)
		q->question->arg = NULL;
	q->question = NULL;
	PQclear(q->result);
	q->result = NULL;
	PQfinish(q->conn);
	q->conn = NULL;
}

static void lose(struct pw_inquirer *q, const char *why)
{
	char text[256];

	/* libpq's ends with a newline, and its memory with the connection. */
	snprintf(text, sizeof(text), "%.*s", (int)strcspn(why, "\n"), why);
	disconnect(q);
	q->state = PW_INQUIRER_PAUSING;
	pw_loop_arm(q->loop, &q->timer, q->pause_us);
	q->pause_us *= 2;
	if (q->pause_us > PW_INQUIRER_PAUSE_MAX_US)
		q->pause_us = PW_INQUIRER_PAUSE_MAX_US;
	q->ops->on_lost(q, text);
}

/* ---- answers ---- */

static bool read_row(const PGresult *result, int n, const char **columns)
{
	if (PQntuples(result) != 1 || PQnfields(result) != n)
		return false;
	for (int i = 0; i < n; i++)
		columns[i] = PQgetisnull(result, 0, i) ? NULL : PQgetvalue(result, 0, i);
	return true;
}

static bool send_query(struct pw_inquirer *q, const char *sql, enum pw_inquirer_state state)
{
	int unsent;

	if (!PQsendQuery(q->conn, sql) || (unsent = PQflush(q->conn)) < 0 ||
	    pw_watch_set(&q->watch, PQsocket(q->conn), true, unsent > 0) != PW_OK) {
		lose(q, PQerrorMessage(q->conn));
		return false;
	}
	q->state = state;
	pw_loop_arm(q->loop, &q->timer, PW_INQUIRER_ANSWER_US);
	return true;
}

static void take_identity(struct pw_inquirer *q, const PGresult *result)
{
	const char *columns[PW_IDENTITY_COLUMNS];
	struct pw_probe_identity identity;

	if (PQresultStatus(result) != PGRES_TUPLES_OK ||
	    !read_row(result, PW_IDENTITY_COLUMNS, columns) ||
	    !pw_probe_read_identity(columns, &identity)) {
		lose(q, PQresultErrorMessage(result)[0] ? PQresultErrorMessage(result)
							: "it does not say what system it is of");
		return;
	}
	q->version = identity.version;
	q->pause_us = PW_INQUIRER_PAUSE_US;
	q->state = PW_INQUIRER_READY;
	q->ops->on_identity(q, &identity);
}

static void take_answer(struct pw_inquirer *q, const PGresult *result)
{
	const char *columns[PW_PROBE_COLUMNS];
	struct pw_probe_answer answer;

	q->state = PW_INQUIRER_READY;
	if (PQresultStatus(result) == PGRES_TUPLES_OK &&
	    read_row(result, PW_PROBE_COLUMNS, columns) && pw_probe_read(columns, &answer))
		q->ops->on_answer(q, &answer);
	else
		q->ops->on_refused(q, PQresultErrorMessage(result)[0]
					  ? PQresultErrorMessage(result)
					  : "not the answer that was expected");
}

static void finish_answer(struct pw_inquirer *q)
{
	PGresult *result = q->result;

	q->result = NULL;
	pw_timer_disarm(&q->timer);
	if (!result || PQstatus(q->conn) == CONNECTION_BAD)
		lose(q, PQerrorMessage(q->conn));
	else if (q->state == PW_INQUIRER_IDENTIFYING)
		take_identity(q, result);
	else
		take_answer(q, result);
	PQclear(result);
}

/* The result comes first, then NULL: only then the connection is free. */
static void read_results(struct pw_inquirer *q)
{
	PGresult *next;

	while (!PQisBusy(q->conn)) {
		next = PQgetResult(q->conn);
		if (!next) {
			finish_answer(q);
			return;
		}
		PQclear(q->result);
		q->result = next;
	}
}

/* ---- the connection ---- */

static void go_on_connecting(struct pw_inquirer *q)
{
	PostgresPollingStatusType status = PQconnectPoll(q->conn);

	if (status == PGRES_POLLING_OK) {
		if (PQsetnonblocking(q->conn, 1) != 0)
			lose(q, PQerrorMessage(q->conn));
		else
			(void)send_query(q, pw_probe_identity_query(), PW_INQUIRER_IDENTIFYING);
		return;
	}
	if (status == PGRES_POLLING_FAILED ||
	    pw_watch_set(&q->watch, PQsocket(q->conn), status == PGRES_POLLING_READING,
			 status == PGRES_POLLING_WRITING) != PW_OK)
		lose(q, PQerrorMessage(q->conn));
}

static void on_ready(struct pw_watch *watch)
{
	struct pw_inquirer *q = PW_CONTAINER(watch, struct pw_inquirer, watch);
	int unsent;

	if (q->state == PW_INQUIRER_CONNECTING) {
		go_on_connecting(q);
		return;
	}
	if (!PQconsumeInput(q->conn) || (unsent = PQflush(q->conn)) < 0 ||
	    pw_watch_set(&q->watch, PQsocket(q->conn), true, unsent > 0) != PW_OK) {
		lose(q, PQerrorMessage(q->conn));
		return;
	}
	if (q->state == PW_INQUIRER_IDENTIFYING || q->state == PW_INQUIRER_ASKING)
		read_results(q);
}

struct parameters {
	const char *keys[PARAMETERS_MAX];
	const char *values[PARAMETERS_MAX];
	int n;
};

static void add_parameter(struct parameters *parameters, const char *key, const char *value)
{
	if (!value || value[0] == '\0')
		return;
	parameters->keys[parameters->n] = key;
	parameters->values[parameters->n++] = value;
}

/* `address` NULL: the host is one, or a directory. */
static void connect_to(struct pw_inquirer *q, const char *address)
{
	const struct pw_inquirer_target *target = q->target;
	struct parameters all = {.n = 0};
	char port[8];

	snprintf(port, sizeof(port), "%d", target->port);
	add_parameter(&all, "host", target->host);
	add_parameter(&all, "hostaddr", address);
	add_parameter(&all, "port", port);
	add_parameter(&all, "user", target->user);
	add_parameter(&all, "password", target->password);
	add_parameter(&all, "dbname", target->dbname);
	add_parameter(&all, "sslmode", target->sslmode);
	add_parameter(&all, "sslrootcert", target->sslrootcert);
	add_parameter(&all, "sslcert", target->sslcert);
	add_parameter(&all, "sslkey", target->sslkey);
	/* No file of passwords, which might be on a disk that does not answer. */
	add_parameter(&all, "passfile", "/dev/null/none");
	add_parameter(&all, "gssencmode", "disable");
	add_parameter(&all, "application_name", "pgweir monitor");
	add_parameter(&all, "options", "-c search_path=pg_catalog -c statement_timeout=10s");
	q->conn = PQconnectStartParams(all.keys, all.values, 0);
	q->state = PW_INQUIRER_CONNECTING;
	pw_loop_arm(q->loop, &q->timer, PW_INQUIRER_CONNECT_US);
	if (!q->conn || PQstatus(q->conn) == CONNECTION_BAD) {
		lose(q, q->conn ? PQerrorMessage(q->conn) : "out of memory");
		return;
	}
	if (pw_watch_set(&q->watch, PQsocket(q->conn), false, true) != PW_OK)
		lose(q, "out of memory");
}

static void on_resolved(void *arg, const struct pw_resolve_answer *answer)
{
	struct pw_inquirer *q = arg;
	char address[PW_ADDR_TEXT_SIZE];

	q->question = NULL;
	if (answer->n == 0) {
		lose(q, answer->why);
		return;
	}
	pw_addr_format(&answer->addrs[0], address, sizeof(address));
	connect_to(q, address);
}

static bool is_name(const char *host)
{
	struct pw_addr addr;

	return host[0] != '/' && host[0] != '@' && !pw_addr_parse(host, 0, &addr);
}

static void begin(struct pw_inquirer *q)
{
	if (!is_name(q->target->host)) {
		connect_to(q, NULL);
		return;
	}
	q->state = PW_INQUIRER_RESOLVING;
	pw_loop_arm(q->loop, &q->timer, PW_INQUIRER_CONNECT_US);
	q->question = pw_resolver_ask(q->resolver, q->target->host, q->mailbox, on_resolved, q);
	if (!q->question)
		lose(q, "out of memory");
}

static void on_timer(struct pw_timer *timer)
{
	struct pw_inquirer *q = PW_CONTAINER(timer, struct pw_inquirer, timer);

	switch (q->state) {
	case PW_INQUIRER_PAUSING:
		begin(q);
		break;
	case PW_INQUIRER_RESOLVING:
		lose(q, "its name was not resolved in time");
		break;
	case PW_INQUIRER_CONNECTING:
	case PW_INQUIRER_IDENTIFYING:
		lose(q, "no connection in time");
		break;
	case PW_INQUIRER_READY:
	case PW_INQUIRER_ASKING:
		lose(q, "no answer in time");
		break;
	}
}

void pw_inquirer_init(struct pw_inquirer *q, struct pw_loop *loop, struct pw_resolver *resolver,
		      struct pw_mailbox *mailbox, const struct pw_inquirer_target *target,
		      const struct pw_inquirer_ops *ops)
{
	*q = (struct pw_inquirer){
	    .ops = ops,
	    .target = target,
	    .loop = loop,
	    .resolver = resolver,
	    .mailbox = mailbox,
	    .pause_us = PW_INQUIRER_PAUSE_US,
	};
	pw_watch_init(&q->watch, loop, on_ready);
	pw_timer_init(&q->timer, on_timer);
	pw_loop_arm(loop, &q->timer, 0);
}

void pw_inquirer_fini(struct pw_inquirer *q)
{
	disconnect(q);
}

bool pw_inquirer_ask(struct pw_inquirer *q)
{
	return q->state == PW_INQUIRER_READY &&
	       send_query(q, pw_probe_query(q->version), PW_INQUIRER_ASKING);
}

void pw_inquirer_library_version(char *out, size_t size)
{
	int version = PQlibVersion();

	snprintf(out, size, "%d.%d", version / 10000, version % 10000);
}

/* SPDX-License-Identifier: PostgreSQL
 *
 * SHOW CLIENTS and SHOW SERVERS: one row per connection, in the same columns. Each worker prints
 * its own; nothing of a password or key is in them but the process id that is part of a cancel key.
 */
#include "config.h"

#include <stdio.h>

#include "admin_priv.h"
#include "pgweir/base/clock.h"
#include "pgweir/net/socket.h"
#include "pgweir/proto/reader.h"
#include "pgweir/tls/tls.h"

enum column {
	TYPE,
	USER,
	DATABASE,
	REPLICATION,
	STATE,
	ADDR,
	PORT,
	LOCAL_ADDR,
	LOCAL_PORT,
	CONNECT_TIME,
	REQUEST_TIME,
	WAIT,
	WAIT_US,
	CLOSE_NEEDED,
	PTR,
	LINK,
	REMOTE_PID,
	TLS,
	APPLICATION_NAME,
	PREPARED_STATEMENTS,
	ID,
};

#define FIRST PW_MERGE_FIRST

/* clang-format off */
static const struct pw_column columns[] = {
    [TYPE] = {"type", PW_COL_TEXT, FIRST, "C for a client, S for a server connection."},
    [USER] = {"user", PW_COL_TEXT, FIRST, "The user that logged in."},
    [DATABASE] = {"database", PW_COL_TEXT, FIRST, "The database as clients call it."},
    [REPLICATION] = {"replication", PW_COL_TEXT, FIRST, "none, physical or logical."},
    [STATE] = {"state", PW_COL_TEXT, FIRST,
               "Clients: active (has a server connection), idle, waiting, active_cancel_req. "
               "Servers: active, idle, used, tested, new, being_canceled."},
    [ADDR] = {"addr", PW_COL_TEXT, FIRST, "Address of the other end; unix for a unix socket."},
    [PORT] = {"port", PW_COL_INT4, FIRST, "Port of the other end."},
    [LOCAL_ADDR] = {"local_addr", PW_COL_TEXT, FIRST, "Address of this end."},
    [LOCAL_PORT] = {"local_port", PW_COL_INT4, FIRST, "Port of this end."},
    [CONNECT_TIME] = {"connect_time", PW_COL_TEXT, FIRST, "When it was made."},
    [REQUEST_TIME] = {"request_time", PW_COL_TEXT, FIRST, "When the last query began."},
    [WAIT] = {"wait", PW_COL_INT4, FIRST,
              "Seconds since the present query began, waiting included; 0 = there is none."},
    [WAIT_US] = {"wait_us", PW_COL_INT4, FIRST, "The microseconds that belong to wait."},
    [CLOSE_NEEDED] = {"close_needed", PW_COL_INT4, FIRST,
                      "1 = is closed as soon as it is given back."},
    [PTR] = {"ptr", PW_COL_TEXT, FIRST, "Names the connection in the log."},
    [LINK] = {"link", PW_COL_TEXT, FIRST,
              "The ptr of the other side it is paired with; empty = none."},
    [REMOTE_PID] = {"remote_pid", PW_COL_INT4, FIRST,
                    "Process at the other end: of servers, and of clients on a unix socket."},
    [TLS] = {"tls", PW_COL_TEXT, FIRST, "Protocol and cipher; empty = no TLS."},
    [APPLICATION_NAME] = {"application_name", PW_COL_TEXT, FIRST,
                          "As the client has set it, or the server knows it."},
    [PREPARED_STATEMENTS] = {"prepared_statements", PW_COL_INT4, FIRST,
                             "Prepared statements that are tracked for it."},
    [ID] = {"id", PW_COL_INT4, FIRST, "Number that no other connection has or had."},
    {.name = NULL},
};
/* clang-format on */

/* ---- what both have ---- */

static const char *const replication_names[] = {
    [PW_REPLICATION_NONE] = "none",
    [PW_REPLICATION_LOGICAL] = "logical",
    [PW_REPLICATION_PHYSICAL] = "physical",
};

struct visit {
	struct pw_rows *rows;
	uint64_t wall_us; /* of now */
};

/* What time of day was it at `then`, a time of the loop's clock? */
static uint64_t wall_of(uint64_t then, uint64_t now, uint64_t wall_us, uint64_t otherwise)
{
	return then > 0 && then <= now ? wall_us - (now - then) : otherwise;
}

static void set_time(struct pw_rows *rows, struct pw_cell *cell, uint64_t wall_us)
{
	char text[64];

	pw_clock_format(wall_us, text, sizeof(text));
	pw_cell_set_text(rows, cell, text);
}

static void set_pointer(struct pw_rows *rows, struct pw_cell *cell, const void *pointer)
{
	char text[32] = "";

	if (pointer)
		snprintf(text, sizeof(text), "%p", pointer);
	pw_cell_set_text(rows, cell, text);
}

static void set_address(struct pw_rows *rows, struct pw_cell *cells, const struct pw_addr *addr,
			int unix_port)
{
	char text[PW_ADDR_TEXT_SIZE];

	pw_addr_format(addr, text, sizeof(text));
	pw_cell_set_text(rows, &cells[0], text);
	pw_cell_set_number(&cells[1], addr->family == AF_UNIX ? unix_port : addr->port);
}

static void set_wait(struct pw_cell *row, uint64_t now, uint64_t since)
{
	uint64_t wait = since > 0 && now > since ? now - since : 0;

	pw_cell_set_number(&row[WAIT], (int64_t)(wait / PW_SECOND_US));
	pw_cell_set_number(&row[WAIT_US], (int64_t)(wait % PW_SECOND_US));
}

static void set_tls(struct pw_rows *rows, struct pw_cell *cell, const struct pw_stream *stream)
{
	char text[128] = "";

	if (stream->transport && stream->transport_ops == &pw_tls_transport_ops &&
	    stream->state == PW_STREAM_OPEN)
		pw_tls_describe(stream->transport, text, sizeof(text));
	pw_cell_set_text(rows, cell, text);
}

static void set_application_name(struct pw_rows *rows, struct pw_cell *cell,
				 const struct pw_pools *pools, const struct pw_params *params)
{
	int index = pw_tracked_find(pools->params.tracked, "application_name");
	const char *value =
	    params && index >= 0 && index < params->n ? params->values[index] : NULL;

	pw_cell_set_text(rows, cell, value ? value : "");
}

/* ---- clients ---- */

static bool is_logged_in(const struct pw_client *c)
{
	switch (c->state) {
	case PW_CLIENT_WELCOMING:
	case PW_CLIENT_LINKING:
	case PW_CLIENT_READY:
	case PW_CLIENT_ROUTING:
	case PW_CLIENT_QUEUED:
	case PW_CLIENT_SYNCING:
	case PW_CLIENT_RELAYING:
	case PW_CLIENT_SETTLING:
	case PW_CLIENT_PREPARING:
	case PW_CLIENT_ASKING:
	case PW_CLIENT_UNLISTENING:
	case PW_CLIENT_CONSOLE:
	case PW_CLIENT_CANCELING:
		return true;
	default:
		return false;
	}
}

static uint32_t client_pid(const struct pw_client *c)
{
	uint32_t pid = 0;

	if (c->addr.family == AF_UNIX)
		memcpy(&pid, c->addr.bytes, sizeof(pid));
	return pid;
}

static void collect_client(const struct visit *visit, const struct pw_pools *pools,
			   const struct pw_client *c)
{
	struct pw_rows *rows = visit->rows;
	uint64_t now = pools->loop->now_us;
	int port = pools->snapshot->conf->listen_port;
	const struct pw_addr local = pw_socket_local(c->stream.fd);
	struct pw_cell *row = pw_rows_add(rows);

	if (!row)
		return;
	pw_cell_set_text(rows, &row[TYPE], "C");
	pw_cell_set_text(rows, &row[USER], pw_client_user(c));
	pw_cell_set_text(rows, &row[DATABASE], pw_client_database(c));
	pw_cell_set_text(rows, &row[REPLICATION], replication_names[c->loan.replication]);
	pw_cell_set_text(rows, &row[STATE], pw_client_state_name(c));
	set_address(rows, &row[ADDR], &c->addr, port);
	set_address(rows, &row[LOCAL_ADDR], &local, port);
	set_time(rows, &row[CONNECT_TIME], c->connect_wall_us);
	set_time(rows, &row[REQUEST_TIME],
		 wall_of(c->last_request_us, now, visit->wall_us, c->connect_wall_us));
	set_wait(row, now, c->request_us);
	pw_cell_set_number(&row[CLOSE_NEEDED], 0);
	set_pointer(rows, &row[PTR], c);
	set_pointer(rows, &row[LINK], c->loan.link);
	pw_cell_set_number(&row[REMOTE_PID], client_pid(c));
	set_tls(rows, &row[TLS], &c->stream);
	set_application_name(rows, &row[APPLICATION_NAME], pools, c->params);
	pw_cell_set_number(&row[PREPARED_STATEMENTS],
			   c->prepared ? (int64_t)pw_client_statement_count(c) : 0);
	pw_cell_set_number(&row[ID], (int64_t)c->id);
}

static void collect_clients(struct pw_rows *rows, const void *source)
{
	const struct pw_worker_view *worker = source;
	const struct visit visit = {rows, pw_clock_wall_us()};

	PW_LIST_FOREACH (node, &worker->clients->all) {
		const struct pw_client *c = PW_CONTAINER(node, const struct pw_client, node);

		if (is_logged_in(c))
			collect_client(&visit, worker->pools, c);
	}
}

/* ---- servers ---- */

static bool must_close(const struct pw_link *link)
{
	return link->facts.must_close || link->facts.definition != link->pool->definition ||
	       link->facts.epoch != atomic_load(&link->shared->epoch);
}

static uint64_t request_wall_us(const struct pw_link *link, uint64_t now, uint64_t wall_us)
{
	uint64_t last = link->request_us ? link->request_us : link->facts.last_used_us;

	return wall_of(last, now, wall_us, link->facts.connect_wall_us);
}

static const struct pw_client *borrower(const struct pw_link *link)
{
	return link->loan ? pw_client_of_loan(link->loan) : NULL;
}

static void collect_server(const struct visit *visit, const struct pw_pool *pool,
			   const struct pw_link *link)
{
	struct pw_rows *rows = visit->rows;
	struct pw_cell *row = pw_rows_add(rows);
	uint64_t now = pool->pools->loop->now_us;
	int port = pool->db ? pool->db->port : 0;

	if (!row)
		return;
	pw_cell_set_text(rows, &row[TYPE], "S");
	pw_cell_set_text(rows, &row[USER], pool->shared->user->name);
	pw_cell_set_text(rows, &row[DATABASE], pool->shared->db->name);
	pw_cell_set_text(rows, &row[REPLICATION], replication_names[link->replication]);
	pw_cell_set_text(rows, &row[STATE], pw_link_state_name(link->state));
	set_address(rows, &row[ADDR], &link->facts.addr, port);
	set_address(rows, &row[LOCAL_ADDR], &link->facts.local, port);
	set_time(rows, &row[CONNECT_TIME], link->facts.connect_wall_us);
	set_time(rows, &row[REQUEST_TIME], request_wall_us(link, now, visit->wall_us));
	set_wait(row, now, link->request_us);
	pw_cell_set_number(&row[CLOSE_NEEDED], must_close(link));
	set_pointer(rows, &row[PTR], link);
	set_pointer(rows, &row[LINK], borrower(link));
	pw_cell_set_number(&row[REMOTE_PID], link->facts.cancel_key_len >= 4
						 ? (int32_t)pw_load_u32(link->facts.cancel_key)
						 : 0);
	set_tls(rows, &row[TLS], &link->stream);
	set_application_name(rows, &row[APPLICATION_NAME], pool->pools, link->params);
	pw_cell_set_number(&row[PREPARED_STATEMENTS], (int64_t)pw_known_count(&link->facts.known));
	pw_cell_set_number(&row[ID], (int64_t)link->facts.id);
}

static void collect_list(const struct visit *visit, const struct pw_pool *pool,
			 const struct pw_list *list)
{
	PW_LIST_FOREACH (node, list) {
		collect_server(visit, pool, PW_CONTAINER(node, const struct pw_link, pool_node));
	}
}

static void collect_pool(struct pw_pool *pool, void *arg)
{
	const struct visit *visit = arg;

	collect_list(visit, pool, &pool->busy);
	collect_list(visit, pool, &pool->idle);
	collect_list(visit, pool, &pool->stale);
	collect_list(visit, pool, &pool->checking);
	collect_list(visit, pool, &pool->opening);
	collect_list(visit, pool, &pool->canceled);
}

static void collect_servers(struct pw_rows *rows, const void *source)
{
	const struct pw_worker_view *worker = source;
	struct visit visit = {rows, pw_clock_wall_us()};

	pw_pools_each(worker->pools, collect_pool, &visit);
}

static void finish(struct pw_rows *rows)
{
	static const size_t order[] = {DATABASE, USER, STATE, ID};

	pw_rows_sort_by(rows, order, PW_COUNTOF(order));
}

const struct pw_view pw_view_clients = {
    .name = "CLIENTS",
    .help = "One row per client that has logged in.",
    .columns = columns,
    .is_per_worker = true,
    .collect = collect_clients,
    .finish = finish,
};

const struct pw_view pw_view_servers = {
    .name = "SERVERS",
    .help =
	"One row per server connection. One that is active and has no `link` while a database's "
	"clients LISTEN in transaction pooling is the hub: it listens for all of them "
	"(docs/SESSIONS.md), belongs to no client and counts in the limits of its pool.",
    .columns = columns,
    .is_per_worker = true,
    .collect = collect_servers,
    .finish = finish,
};

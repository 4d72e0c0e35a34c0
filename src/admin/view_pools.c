/* SPDX-License-Identifier: PostgreSQL
 *
 * SHOW POOLS: each worker's part of each pool, added up. The console is a pool of its own, of
 * clients that never need a server.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "admin_priv.h"
#include "pgweir/base/clock.h"

enum column {
	DATABASE,
	USER,
	CL_ACTIVE,
	CL_WAITING,
	CL_ACTIVE_CANCEL_REQ,
	CL_WAITING_CANCEL_REQ,
	SV_ACTIVE,
	SV_ACTIVE_CANCEL,
	SV_BEING_CANCELED,
	SV_IDLE,
	SV_USED,
	SV_TESTED,
	SV_LOGIN,
	MAXWAIT,
	MAXWAIT_US,
	POOL_MODE,
	LOAD_BALANCE_HOSTS,
	LONGEST_WAIT,
};

#define SUM PW_MERGE_SUM

/* clang-format off */
static const struct pw_column columns[] = {
    [DATABASE] = {"database", PW_COL_TEXT, PW_MERGE_KEY, "The database as clients call it."},
    [USER] = {"user", PW_COL_TEXT, PW_MERGE_KEY, "The user that logs in to the server."},
    [CL_ACTIVE] = {"cl_active", PW_COL_INT4, SUM,
                   "Clients that have a server connection or want none at present."},
    [CL_WAITING] = {"cl_waiting", PW_COL_INT4, SUM, "Clients that wait for a server connection."},
    [CL_ACTIVE_CANCEL_REQ] = {"cl_active_cancel_req", PW_COL_INT4, SUM,
                              "Cancel requests that are with the server."},
    [CL_WAITING_CANCEL_REQ] = {"cl_waiting_cancel_req", PW_COL_INT4, SUM,
                               "Always 0: cancel requests do not queue."},
    [SV_ACTIVE] = {"sv_active", PW_COL_INT4, SUM, "Server connections that a client has."},
    [SV_ACTIVE_CANCEL] = {"sv_active_cancel", PW_COL_INT4, SUM,
                          "Connections made to cancel something."},
    [SV_BEING_CANCELED] = {"sv_being_canceled", PW_COL_INT4, SUM,
                           "Server connections kept back until a cancel request has ended."},
    [SV_IDLE] = {"sv_idle", PW_COL_INT4, SUM, "Server connections ready to be used."},
    [SV_USED] = {"sv_used", PW_COL_INT4, SUM,
                 "Server connections that are checked before the next use."},
    [SV_TESTED] = {"sv_tested", PW_COL_INT4, SUM,
                   "Server connections that run the check or the reset query."},
    [SV_LOGIN] = {"sv_login", PW_COL_INT4, SUM, "Server connections that are logging in."},
    [MAXWAIT] = {"maxwait", PW_COL_INT4, PW_MERGE_FIRST,
                 "Seconds that the client at the head of the queue has waited."},
    [MAXWAIT_US] = {"maxwait_us", PW_COL_INT4, PW_MERGE_FIRST,
                    "The microseconds that belong to maxwait."},
    [POOL_MODE] = {"pool_mode", PW_COL_TEXT, PW_MERGE_FIRST, "The mode in force."},
    [LOAD_BALANCE_HOSTS] = {"load_balance_hosts", PW_COL_TEXT, PW_MERGE_FIRST,
                            "How one of several hosts is chosen; NULL = there is one."},
    [LONGEST_WAIT] = {"longest_wait_us", PW_COL_HIDDEN, PW_MERGE_MAX, ""},
    {.name = NULL},
};
/* clang-format on */

static void count(struct pw_cell *row, enum column column, size_t n)
{
	pw_cell_set_number(&row[column], row[column].number + (int64_t)n);
}

static struct pw_cell *add_row(struct pw_rows *rows, const char *database, const char *user)
{
	struct pw_cell *row = pw_rows_add(rows);

	if (!row)
		return NULL;
	pw_cell_set_text(rows, &row[DATABASE], database);
	pw_cell_set_text(rows, &row[USER], user);
	for (int i = CL_ACTIVE; i <= SV_LOGIN; i++)
		pw_cell_set_number(&row[i], 0);
	pw_cell_set_number(&row[LONGEST_WAIT], 0);
	return row;
}

/* ---- pools ---- */

/* Which row a pool has: clients are counted after the pools were visited. */
struct pool_row {
	const struct pw_pool *pool;
	size_t row;
};

struct pool_visit {
	struct pw_rows *rows;
	struct pool_row *index;
	size_t n, cap;
};

static size_t cancels_of(const struct pw_list *links)
{
	size_t n = 0;

	PW_LIST_FOREACH (node, links) {
		n += pw_list_length(&PW_CONTAINER(node, const struct pw_link, pool_node)->cancels);
	}
	return n;
}

static void count_links(struct pw_cell *row, const struct pw_pool *pool)
{
	size_t cancels = cancels_of(&pool->busy) + cancels_of(&pool->canceled);

	count(row, CL_ACTIVE_CANCEL_REQ, cancels);
	count(row, SV_ACTIVE, pw_list_length(&pool->busy));
	count(row, SV_ACTIVE_CANCEL, cancels);
	count(row, SV_BEING_CANCELED, pw_list_length(&pool->canceled));
	count(row, SV_IDLE, pw_list_length(&pool->idle));
	count(row, SV_USED, pw_list_length(&pool->stale));
	count(row, SV_TESTED, pw_list_length(&pool->checking));
	count(row, SV_LOGIN, pw_list_length(&pool->opening));
}

static uint64_t head_wait(const struct pw_pool *pool, const struct pw_list *queue)
{
	const struct pw_list *head = pw_list_first(queue);
	uint64_t now = pool->pools->loop->now_us, since;

	if (!head)
		return 0;
	since = PW_CONTAINER(head, const struct pw_loan, node)->since_us;
	return since > 0 && now > since ? now - since : 0;
}

static const char *balance_of(const struct pw_pool *pool)
{
	if (!pool->db || !pool->db->host_text || !strchr(pool->db->host_text, ','))
		return NULL;
	return pw_console_balance_name(pool->db->load_balance_hosts >= 0
					   ? pool->db->load_balance_hosts
					   : PW_BALANCE_ROUND_ROBIN);
}

static void collect_pool(struct pw_pool *pool, void *arg)
{
	struct pool_visit *visit = arg;
	struct pw_cell *row =
	    add_row(visit->rows, pool->shared->db->name, pool->shared->user->name);
	uint64_t wait = head_wait(pool, &pool->waiting);
	uint64_t login_wait = head_wait(pool, &pool->welcoming);

	if (!row)
		return;
	count_links(row, pool);
	pw_cell_set_number(&row[LONGEST_WAIT], (int64_t)(wait > login_wait ? wait : login_wait));
	pw_cell_set_text(visit->rows, &row[POOL_MODE], pw_console_mode_name((int)pool->conf.mode));
	pw_cell_set_text(visit->rows, &row[LOAD_BALANCE_HOSTS], balance_of(pool));
	if (visit->n < visit->cap) {
		visit->index[visit->n++] = (struct pool_row){pool, visit->rows->n_rows - 1};
	}
}

/* ---- clients ---- */

static int compare_pools(const void *a, const void *b)
{
	uintptr_t x = (uintptr_t)((const struct pool_row *)a)->pool;
	uintptr_t y = (uintptr_t)((const struct pool_row *)b)->pool;

	return (x > y) - (x < y);
}

static enum column client_column(enum pw_client_state state)
{
	switch (state) {
	case PW_CLIENT_READY:
	case PW_CLIENT_ROUTING:
	case PW_CLIENT_SYNCING:
	case PW_CLIENT_RELAYING:
	case PW_CLIENT_SETTLING:
	case PW_CLIENT_PREPARING:
	case PW_CLIENT_CONSOLE:
		return CL_ACTIVE;
	case PW_CLIENT_WELCOMING:
	case PW_CLIENT_LINKING:
	case PW_CLIENT_QUEUED:
		return CL_WAITING;
	default: /* not logged in, or no ordinary client */
		return DATABASE;
	}
}

static void count_clients(struct pool_visit *visit, const struct pw_clients *clients,
			  size_t console_row)
{
	PW_LIST_FOREACH (node, &clients->all) {
		const struct pw_client *c = PW_CONTAINER(node, const struct pw_client, node);
		const struct pool_row wanted = {.pool = c->loan.pool};
		const struct pool_row *found = NULL;
		enum column column = client_column(c->state);
		size_t row = console_row;

		if (column == DATABASE)
			continue;
		if (c->state != PW_CLIENT_CONSOLE) {
			if (visit->n > 0)
				found = bsearch(&wanted, visit->index, visit->n, sizeof(wanted),
						compare_pools);
			if (!found)
				continue;
			row = found->row;
		}
		count(pw_rows_at(visit->rows, row), column, 1);
	}
}

static void collect(struct pw_rows *rows, const void *source)
{
	const struct pw_worker_view *worker = source;
	struct pool_visit visit = {.rows = rows, .cap = worker->pools->map.count};
	struct pw_cell *row = add_row(rows, PW_CONSOLE_NAME, PW_CONSOLE_NAME);
	size_t console_row = rows->n_rows - 1;

	if (!row)
		return;
	pw_cell_set_text(rows, &row[POOL_MODE], pw_console_mode_name(PW_MODE_STATEMENT));
	visit.index = calloc(visit.cap + 1, sizeof(*visit.index));
	if (!visit.index) {
		rows->has_failed = true;
		return;
	}
	pw_pools_each(worker->pools, collect_pool, &visit);
	qsort(visit.index, visit.n, sizeof(*visit.index), compare_pools);
	count_clients(&visit, worker->clients, console_row);
	free(visit.index);
}

static void finish(struct pw_rows *rows)
{
	for (size_t i = 0; i < rows->n_rows; i++) {
		struct pw_cell *row = pw_rows_at(rows, i);
		int64_t wait = row[LONGEST_WAIT].number;

		pw_cell_set_number(&row[MAXWAIT], wait / (int64_t)PW_SECOND_US);
		pw_cell_set_number(&row[MAXWAIT_US], wait % (int64_t)PW_SECOND_US);
	}
	pw_rows_sort(rows);
}

const struct pw_view pw_view_pools = {
    .name = "POOLS",
    .help = "One row per pair of database and user that is in use.",
    .columns = columns,
    .is_per_worker = true,
    .collect = collect,
    .finish = finish,
};

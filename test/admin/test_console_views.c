/* SPDX-License-Identifier: PostgreSQL
 *
 * The tables that each worker fills: their columns against PgBouncer's, and what is in them.
 */
#include "config.h"

#include "process_fixture.h"

/* ---- columns ---- */

static void assert_columns(const struct pw_view *view, const char *expected)
{
	static const char *const types[] = {[PW_COL_TEXT] = "text",
					    [PW_COL_INT4] = "int4",
					    [PW_COL_INT8] = "int8",
					    [PW_COL_NUMERIC] = "numeric"};
	struct pw_strbuf text = PW_STRBUF_INIT;

	for (size_t i = 0; i < pw_answer_column_count(view); i++)
		pw_strbuf_printf(&text, "%s%s:%s", i ? ", " : "", view->columns[i].name,
				 types[view->columns[i].type]);
	assert_string_equal(text.data, expected);
	pw_strbuf_fini(&text);
}

static void test_columns(void **state)
{
	static const char connection[] =
	    "type:text, user:text, database:text, replication:text, state:text, addr:text, "
	    "port:int4, local_addr:text, local_port:int4, connect_time:text, request_time:text, "
	    "wait:int4, wait_us:int4, close_needed:int4, ptr:text, link:text, remote_pid:int4, "
	    "tls:text, application_name:text, prepared_statements:int4, id:int4";

	(void)state;
	assert_columns(&pw_view_clients, connection);
	assert_columns(&pw_view_servers, connection);
	assert_columns(
	    &pw_view_pools,
	    "database:text, user:text, cl_active:int4, cl_waiting:int4, cl_active_cancel_req:int4, "
	    "cl_waiting_cancel_req:int4, sv_active:int4, sv_active_cancel:int4, "
	    "sv_being_canceled:int4, sv_idle:int4, sv_used:int4, sv_tested:int4, sv_login:int4, "
	    "maxwait:int4, maxwait_us:int4, pool_mode:text, load_balance_hosts:text");
	assert_columns(
	    &pw_view_databases,
	    "name:text, host:text, port:int4, database:text, force_user:text, pool_size:int4, "
	    "min_pool_size:int4, reserve_pool_size:int4, server_lifetime:int4, pool_mode:text, "
	    "load_balance_hosts:text, max_connections:int4, current_connections:int4, "
	    "max_client_connections:int4, current_client_connections:int4, paused:int4, "
	    "disabled:int4, cluster:text, routing:text, consistency:text, max_lag_ms:int4");
	assert_columns(&pw_view_users,
		       "name:text, pool_size:text, reserve_pool_size:text, pool_mode:text, "
		       "max_user_connections:int4, current_connections:int4, "
		       "max_user_client_connections:int4, current_client_connections:int4");
	assert_columns(&pw_view_pins, "database:text, user:text, client:text, server:text, "
				      "reasons:text, seconds:int4, id:int4");
	assert_columns(&pw_view_pin_counts,
		       "database:text, reason:text, clients:int4, total:numeric");
	assert_columns(&pw_view_lists, "list:text, items:int4");
	assert_columns(&pw_view_config, "key:text, value:text, default:text, changeable:text");
	assert_columns(&pw_view_state, "key:text, value:text");
	assert_columns(&pw_view_version, "version:text");
	assert_columns(&pw_view_totals, "name:text, value:numeric");
}

static void test_columns_of_stats(void **state)
{
	(void)state;
	assert_columns(
	    &pw_view_stats,
	    "database:text, total_server_assignment_count:numeric, total_xact_count:numeric, "
	    "total_query_count:numeric, total_received:numeric, total_sent:numeric, "
	    "total_xact_time:numeric, total_query_time:numeric, total_wait_time:numeric, "
	    "total_client_parse_count:numeric, total_server_parse_count:numeric, "
	    "total_bind_count:numeric, total_client_login_count:numeric, "
	    "avg_server_assignment_count:numeric, avg_xact_count:numeric, avg_query_count:numeric, "
	    "avg_recv:numeric, avg_sent:numeric, avg_xact_time:numeric, avg_query_time:numeric, "
	    "avg_wait_time:numeric, avg_client_parse_count:numeric, "
	    "avg_server_parse_count:numeric, avg_bind_count:numeric, "
	    "avg_client_login_count:numeric");
	assert_columns(
	    &pw_view_stats_totals,
	    "database:text, server_assignment_count:numeric, xact_count:numeric, "
	    "query_count:numeric, bytes_received:numeric, bytes_sent:numeric, xact_time:numeric, "
	    "query_time:numeric, wait_time:numeric, client_parse_count:numeric, "
	    "server_parse_count:numeric, bind_count:numeric, client_login_count:numeric");
	assert_columns(
	    &pw_view_stats_averages,
	    "database:text, server_assignment_count:numeric, xact_count:numeric, "
	    "query_count:numeric, bytes_received:numeric, bytes_sent:numeric, xact_time:numeric, "
	    "query_time:numeric, wait_time:numeric, avg_client_parse_count:numeric, "
	    "avg_server_parse_count:numeric, avg_bind_count:numeric, "
	    "avg_client_login_count:numeric");
}

/* Numbers are there, but for what only some databases have. */
static bool may_be_null(const struct pw_view *view, const struct pw_column *column)
{
	return column->type == PW_COL_TEXT ||
	       (view == &pw_view_databases && strcmp(column->name, "max_lag_ms") == 0);
}

/* Every view works on an idle process, and no cell that must not be is NULL by mistake. */
static void test_all_on_an_idle_process(void **state)
{
	struct process *p = *state;

	for (const struct pw_view *const *view = pw_console_views; *view; view++) {
		struct pw_rows rows = collect(p, *view);

		assert_true(rows.n_rows > 0 || *view == &pw_view_servers ||
			    *view == &pw_view_pins || *view == &pw_view_pin_counts ||
			    *view == &pw_view_clusters || *view == &pw_view_nodes ||
			    *view == &pw_view_routes);
		for (size_t i = 0; i < rows.n_rows; i++) {
			for (size_t k = 0; (*view)->columns[k].name; k++) {
				if (!may_be_null(*view, &(*view)->columns[k]))
					assert_false(pw_rows_at(&rows, i)[k].is_null);
			}
		}
		pw_rows_fini(&rows);
	}
}

/* ---- POOLS ---- */

static void test_pools(void **state)
{
	struct process *p = *state;
	struct pw_pool *app0 = get_pool(p, 0, "app", "bob");
	struct pw_pool *app1 = get_pool(p, 1, "app", "bob");
	struct pw_pool *many = get_pool(p, 1, "many", "whoever");
	struct pw_client clients[6];
	struct pw_link_cancel cancels[2];
	struct pw_link links[3];
	struct pw_rows rows;
	size_t row;

	add_client(p, 0, &clients[0], app0, PW_CLIENT_READY);
	add_client(p, 0, &clients[1], app0, PW_CLIENT_QUEUED);
	add_client(p, 1, &clients[2], app1, PW_CLIENT_RELAYING);
	add_client(p, 1, &clients[3], app1, PW_CLIENT_WELCOMING);
	add_client(p, 1, &clients[4], many, PW_CLIENT_SYNCING);
	add_client(p, 1, &clients[5], NULL, PW_CLIENT_AUTH);
	clients[1].loan.since_us = app0->pools->loop->now_us - 5 * PW_SECOND_US - 17;
	pw_list_append(&app0->waiting, &clients[1].loan.node);
	clients[3].loan.since_us = app1->pools->loop->now_us - 2 * PW_SECOND_US - 900;
	pw_list_append(&app1->welcoming, &clients[3].loan.node);
	memset(links, 0, sizeof(links));
	for (size_t i = 0; i < PW_COUNTOF(links); i++)
		pw_list_init(&links[i].cancels);
	for (size_t i = 0; i < PW_COUNTOF(cancels); i++)
		pw_list_append(&links[0].cancels, &cancels[i].node);
	pw_list_append(&app0->busy, &links[0].pool_node);
	pw_list_append(&app1->idle, &links[1].pool_node);
	pw_list_append(&app1->canceled, &links[2].pool_node);

	rows = collect(p, &pw_view_pools);
	assert_int_equal(rows.n_rows, 3); /* app, many, pgbouncer: sorted */
	row = row_of(&rows, "app");
	assert_int_equal(row, 0);
	assert_string_equal(text_at(&rows, row, "user"), "bob");
	assert_int_equal(number_at(&rows, row, "cl_active"), 2);
	assert_int_equal(number_at(&rows, row, "cl_waiting"), 2);
	assert_int_equal(number_at(&rows, row, "sv_active"), 1);
	assert_int_equal(number_at(&rows, row, "sv_idle"), 1);
	assert_int_equal(number_at(&rows, row, "sv_being_canceled"), 1);
	assert_int_equal(number_at(&rows, row, "sv_active_cancel"), 2);
	assert_int_equal(number_at(&rows, row, "maxwait"), 5);
	assert_int_equal(number_at(&rows, row, "maxwait_us"), 17);
	assert_string_equal(text_at(&rows, row, "pool_mode"), "transaction");
	assert_string_equal(text_at(&rows, row, "load_balance_hosts"), "(null)");
	row = row_of(&rows, "many");
	assert_string_equal(text_at(&rows, row, "user"), "robot");
	assert_int_equal(number_at(&rows, row, "cl_active"), 1);
	assert_int_equal(number_at(&rows, row, "maxwait"), 0);
	assert_string_equal(text_at(&rows, row, "load_balance_hosts"), "disable");
	row = row_of(&rows, "pgbouncer");
	assert_string_equal(text_at(&rows, row, "user"), "pgbouncer");
	assert_int_equal(number_at(&rows, row, "cl_active"), 2);
	assert_string_equal(text_at(&rows, row, "pool_mode"), "statement");
	pw_rows_fini(&rows);

	for (size_t i = 0; i < PW_COUNTOF(links); i++)
		pw_list_remove(&links[i].pool_node);
	pw_list_remove(&clients[1].loan.node);
	pw_list_remove(&clients[3].loan.node);
}

/* ---- STATS ---- */

static void test_stats(void **state)
{
	struct process *p = *state;
	struct pw_counter_history *a = &get_pool(p, 0, "app", "bob")->stats;
	struct pw_counter_history *b = &get_pool(p, 1, "app", "bob")->stats;
	struct pw_counter_history *other = &get_pool(p, 1, "app", "alice")->stats;
	uint64_t now = p->workers[0].loop.now_us;
	struct pw_rows rows;
	size_t row;

	p->workers[1].loop.now_us = now;
	a->now = (struct pw_counters){.xact_count = 30, .xact_time = 3000, .received = 1000};
	a->before_last = (struct pw_counters){.xact_count = 10, .xact_time = 1000};
	a->before_last_us = now - 10 * PW_SECOND_US;
	b->now = (struct pw_counters){.xact_count = 20, .xact_time = 5000};
	b->before_last_us = now - 10 * PW_SECOND_US;
	other->now = (struct pw_counters){.xact_count = 1};
	other->before_last = other->now;
	other->before_last_us = now - 5 * PW_SECOND_US;

	rows = collect(p, &pw_view_stats);
	assert_int_equal(rows.n_rows, 2);
	row = row_of(&rows, "app");
	assert_int_equal(number_at(&rows, row, "total_xact_count"), 51);
	assert_int_equal(number_at(&rows, row, "total_received"), 1000);
	assert_int_equal(number_at(&rows, row, "avg_xact_count"), 4); /* 40 in 10 s */
	assert_int_equal(number_at(&rows, row, "avg_recv"), 100);
	assert_int_equal(number_at(&rows, row, "avg_xact_time"), 7000 / 40);
	assert_int_equal(number_at(&rows, row, "avg_query_time"), 0);
	row = row_of(&rows, "pgbouncer");
	assert_int_equal(number_at(&rows, row, "total_client_login_count"), 2);
	pw_rows_fini(&rows);

	rows = collect(p, &pw_view_stats_averages);
	row = row_of(&rows, "app");
	assert_int_equal(number_at(&rows, row, "xact_count"), 4);
	assert_int_equal(number_at(&rows, row, "xact_time"), 175);
	pw_rows_fini(&rows);

	rows = collect(p, &pw_view_stats_totals);
	row = row_of(&rows, "app");
	assert_int_equal(number_at(&rows, row, "xact_count"), 51);
	assert_int_equal(number_at(&rows, row, "bytes_received"), 1000);
	pw_rows_fini(&rows);
}

static void test_totals(void **state)
{
	static const char *const names[] = {"total_server_assignment_count",
					    "total_xact_count",
					    "total_query_count",
					    "total_client_bytes",
					    "total_server_bytes",
					    "total_xact_time",
					    "total_query_time",
					    "total_wait_time",
					    "total_ps_client_parse_count",
					    "total_ps_server_parse_count",
					    "total_ps_bind_count",
					    "total_client_login_count",
					    "avg_server_assignment_count",
					    "avg_xact_count",
					    "avg_query_count",
					    "avg_client_bytes",
					    "avg_server_bytes",
					    "avg_xact_time",
					    "avg_query_time",
					    "avg_wait_time",
					    "avg_ps_client_parse_count",
					    "avg_ps_server_parse_count",
					    "avg_ps_bind_count",
					    "avg_client_login_count"};
	struct process *p = *state;
	struct pw_counter_history *a = &get_pool(p, 0, "app", "bob")->stats;
	struct pw_counter_history *b = &get_pool(p, 1, "other", "bob")->stats;
	uint64_t now = p->workers[0].loop.now_us;
	struct pw_rows rows;

	p->workers[1].loop.now_us = now;
	for (unsigned i = 0; i < 2; i++)
		p->workers[i].clients.console_stats = (struct pw_counter_history){
		    .now = {.client_login_count = 2}, .last_us = now, .before_last_us = now};
	a->now = (struct pw_counters){.query_count = 30, .query_time = 600, .received = 4000};
	a->before_last_us = now - 20 * PW_SECOND_US;
	b->now = (struct pw_counters){.query_count = 10, .query_time = 200};
	b->before_last_us = now - 20 * PW_SECOND_US;
	rows = collect(p, &pw_view_totals);
	assert_int_equal(rows.n_rows, PW_COUNTOF(names));
	for (size_t i = 0; i < rows.n_rows; i++)
		assert_string_equal(pw_rows_at(&rows, i)[0].text, names[i]);
	assert_int_equal(number_at(&rows, row_of(&rows, "total_query_count"), "value"), 40);
	assert_int_equal(number_at(&rows, row_of(&rows, "total_client_login_count"), "value"), 4);
	assert_int_equal(number_at(&rows, row_of(&rows, "avg_query_count"), "value"), 2);
	assert_int_equal(number_at(&rows, row_of(&rows, "avg_query_time"), "value"), 20);
	assert_int_equal(number_at(&rows, row_of(&rows, "avg_client_bytes"), "value"), 200);
	pw_rows_fini(&rows);
}

/* The console's averages cover one to two periods as well. */
static void test_console_periods(void **state)
{
	struct process *p = *state;
	struct pw_clients *clients = &p->workers[0].clients;
	struct pw_counter_history *stats = &clients->console_stats;
	uint64_t begin;

	memset(stats, 0, sizeof(*stats));
	begin = pw_console_stats(clients)->last_us;
	assert_int_equal(begin, p->workers[0].loop.now_us);
	assert_int_equal(stats->before_last_us, begin);
	stats->now.query_count = 5;
	p->workers[0].loop.now_us = begin + 59 * PW_SECOND_US;
	assert_int_equal(pw_console_stats(clients)->last_us, begin);
	p->workers[0].loop.now_us = begin + 60 * PW_SECOND_US;
	assert_int_equal(pw_console_stats(clients)->last_us, begin + 60 * PW_SECOND_US);
	assert_int_equal(stats->before_last_us, begin);
	assert_int_equal(stats->last.query_count, 5);
	assert_int_equal(stats->before_last.query_count, 0);
	p->workers[0].loop.now_us = begin + 120 * PW_SECOND_US;
	assert_int_equal(pw_console_stats(clients)->before_last.query_count, 5);
}

/* ---- CLIENTS, SERVERS ---- */

static void test_clients(void **state)
{
	struct process *p = *state;
	struct pw_pool *pool = get_pool(p, 1, "app", "bob");
	struct pw_link link;
	struct pw_client clients[2];
	uint64_t now = p->workers[1].loop.now_us;
	char pointer[32];
	int fds[2];
	struct pw_rows rows;

	add_client(p, 1, &clients[0], pool, PW_CLIENT_QUEUED);
	add_client(p, 1, &clients[1], NULL, PW_CLIENT_LOOKUP);
	clients[0].loan.link = &link;
	clients[0].request_us = now - 3 * PW_SECOND_US - 4;
	assert_true(pw_addr_parse("10.2.3.4", 5555, &clients[0].addr));
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	clients[0].stream.fd = fds[0];
	rows = collect(p, &pw_view_clients);
	assert_int_equal(rows.n_rows, 3); /* that one, and the two consoles behind it */
	assert_string_equal(text_at(&rows, 0, "type"), "C");
	assert_string_equal(text_at(&rows, 0, "database"), "app");
	assert_string_equal(text_at(&rows, 0, "user"), "boss");
	assert_string_equal(text_at(&rows, 0, "state"), "waiting");
	assert_string_equal(text_at(&rows, 0, "replication"), "none");
	assert_string_equal(text_at(&rows, 0, "addr"), "10.2.3.4");
	assert_int_equal(number_at(&rows, 0, "port"), 5555);
	assert_string_equal(text_at(&rows, 0, "local_addr"), "unix");
	assert_int_equal(number_at(&rows, 0, "local_port"), 6543);
	assert_int_equal(number_at(&rows, 0, "wait"), 3);
	assert_int_equal(number_at(&rows, 0, "wait_us"), 4);
	assert_int_equal(number_at(&rows, 0, "id"), 101);
	snprintf(pointer, sizeof(pointer), "%p", (void *)&clients[0]);
	assert_string_equal(text_at(&rows, 0, "ptr"), pointer);
	snprintf(pointer, sizeof(pointer), "%p", (void *)&link);
	assert_string_equal(text_at(&rows, 0, "link"), pointer);
	assert_string_equal(text_at(&rows, 1, "database"), "pgbouncer");
	assert_string_equal(text_at(&rows, 1, "link"), "");
	assert_string_equal(text_at(&rows, 1, "tls"), "");
	pw_rows_fini(&rows);
	close(fds[0]);
	close(fds[1]);
}

static void test_servers(void **state)
{
	struct process *p = *state;
	struct pw_pool *pool = get_pool(p, 0, "app", "bob");
	struct pw_client client;
	struct pw_link link;
	uint64_t wall = pw_clock_wall_us();
	char text[64];
	struct pw_rows rows;

	add_client(p, 0, &client, pool, PW_CLIENT_RELAYING);
	memset(&link, 0, sizeof(link));
	pw_known_init(&link.facts.known);
	link.pool = pool;
	link.shared = pool->shared;
	link.loan = &client.loan;
	link.state = PW_LINK_LENT;
	link.facts.id = 9;
	link.facts.definition = pool->definition;
	link.facts.connect_wall_us = wall;
	link.facts.cancel_key_len = 8;
	memcpy(link.facts.cancel_key, "\x00\x01\x02\x03secret", 10);
	assert_true(pw_addr_parse("::1", 5433, &link.facts.addr));
	pw_list_append(&pool->busy, &link.pool_node);
	rows = collect(p, &pw_view_servers);
	assert_int_equal(rows.n_rows, 1);
	assert_string_equal(text_at(&rows, 0, "type"), "S");
	assert_string_equal(text_at(&rows, 0, "user"), "bob");
	assert_string_equal(text_at(&rows, 0, "database"), "app");
	assert_string_equal(text_at(&rows, 0, "state"), "active");
	assert_string_equal(text_at(&rows, 0, "addr"), "::1");
	assert_int_equal(number_at(&rows, 0, "port"), 5433);
	assert_int_equal(number_at(&rows, 0, "remote_pid"), 0x010203);
	assert_int_equal(number_at(&rows, 0, "close_needed"), 0);
	assert_int_equal(number_at(&rows, 0, "id"), 9);
	snprintf(text, sizeof(text), "%p", (void *)&client);
	assert_string_equal(text_at(&rows, 0, "link"), text);
	pw_clock_format(wall, text, sizeof(text));
	assert_string_equal(text_at(&rows, 0, "connect_time"), text);
	assert_string_equal(text_at(&rows, 0, "request_time"), text);
	pw_rows_fini(&rows);
	/* RECONNECT was said */
	atomic_fetch_add(&pool->shared->epoch, 1);
	rows = collect(p, &pw_view_servers);
	assert_int_equal(number_at(&rows, 0, "close_needed"), 1);
	pw_rows_fini(&rows);
	pw_list_remove(&link.pool_node);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_columns),
	    cmocka_unit_test(test_columns_of_stats),
	    PROCESS(test_all_on_an_idle_process),
	    PROCESS(test_pools),
	    PROCESS(test_stats),
	    PROCESS(test_totals),
	    PROCESS(test_console_periods),
	    PROCESS(test_clients),
	    PROCESS(test_servers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

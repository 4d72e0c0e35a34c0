/* SPDX-License-Identifier: PostgreSQL
 *
 * A console session without a client layer: what is sent is kept, what main is asked is noted. Used
 * by the unit tests and the fuzz target; to be included once in a program.
 */
#ifndef PGWEIR_TEST_ADMIN_CONSOLE_FIXTURE_H
#define PGWEIR_TEST_ADMIN_CONSOLE_FIXTURE_H

#include <stdio.h>
#include <string.h>

#include "pgweir/admin/console.h"
#include "pgweir/proto/writer.h"

struct fixture {
	struct pw_client client; /* first: fakes find the fixture by it */
	struct pw_clients clients;
	struct pw_pools pools;
	struct pw_snapshot snapshot;
	struct pw_conf conf;
	struct pw_loop loop;
	struct pw_log log;
	struct pw_console_actions actions;
	struct pw_strbuf sent;

	/* what main was asked */
	unsigned n_runs, n_collects;
	enum pw_command command;
	char name[80];
	bool has_name;
	char value[80];
	bool has_value;
	char user[80];
	const struct pw_view *view;
	/* Should main answer within the call? It says it does not; the console must not care. */
	bool answers_at_once;
	bool closes_at_once;

	bool is_closed;
	bool has_close_error;
	struct pw_error close_error;
};

static struct fixture *fixture_of(const struct pw_client *c)
{
	return PW_CONTAINER(c, struct fixture, client);
}

/* ---- the client layer ---- */

void pw_client_send(struct pw_client *c, const void *data, size_t len)
{
	pw_strbuf_add(&fixture_of(c)->sent, data, len);
}

void pw_client_close(struct pw_client *c, const char *reason, const struct pw_error *err)
{
	struct fixture *f = fixture_of(c);

	(void)reason;
	if (f->is_closed)
		return;
	f->is_closed = true;
	f->has_close_error = err != NULL;
	if (err)
		f->close_error = *err;
	c->state = PW_CLIENT_CLOSED;
	if (c->console)
		f->clients.console_ops->end(c);
}

struct pw_client *pw_clients_find_id(struct pw_clients *clients, uint64_t id)
{
	struct fixture *f = PW_CONTAINER(clients, struct fixture, clients);

	return !f->is_closed && f->client.id == id ? &f->client : NULL;
}

const char *pw_client_state_name(const struct pw_client *c)
{
	return c->state == PW_CLIENT_QUEUED ? "waiting" : "active";
}

const char *pw_client_database(const struct pw_client *c)
{
	return c->loan.pool ? c->loan.pool->shared->db->name : "pgbouncer";
}

const char *pw_client_user(const struct pw_client *c)
{
	return c->right == PW_RIGHT_STATS ? "watcher" : "boss";
}

const struct pw_client *pw_client_of_loan(const struct pw_loan *loan)
{
	return PW_CONTAINER(loan, const struct pw_client, loan);
}

size_t pw_client_statement_count(const struct pw_client *c)
{
	return c->prepared ? 1 : 0;
}

/* ---- main ---- */

/* n rows of the view, with something in each cell. */
static inline void answer_rows(struct fixture *f, size_t n, const struct pw_error *err)
{
	struct pw_view view = *f->view;
	struct pw_rows rows;

	pw_rows_init(&rows, f->view);
	for (size_t i = 0; i < n; i++) {
		struct pw_cell *row = pw_rows_add(&rows);
		char text[32];

		snprintf(text, sizeof(text), "row%zu", i);
		for (size_t k = 0; row && view.columns[k].name; k++) {
			if (view.columns[k].type == PW_COL_TEXT)
				pw_cell_set_text(&rows, &row[k], text);
			else
				pw_cell_set_number(&row[k], (int64_t)(i * 1000 + k));
		}
	}
	pw_console_rows(&f->clients, f->client.id, &rows, err);
}

static void fake_run(void *arg, uint64_t asker, const struct pw_commanded *what)
{
	struct fixture *f = arg;

	f->n_runs++;
	f->command = what->command;
	f->has_name = what->name != NULL;
	snprintf(f->name, sizeof(f->name), "%s", what->name ? what->name : "");
	f->has_value = what->value != NULL;
	snprintf(f->value, sizeof(f->value), "%s", what->value ? what->value : "");
	snprintf(f->user, sizeof(f->user), "%s", what->user);
	if (f->closes_at_once)
		pw_client_close(&f->client, "admin forced disconnect", NULL);
	if (f->answers_at_once)
		pw_console_done(&f->clients, asker, what->command, NULL);
}

static void fake_collect(void *arg, uint64_t asker, const struct pw_view *view)
{
	struct fixture *f = arg;

	(void)asker;
	f->n_collects++;
	f->view = view;
	if (f->closes_at_once)
		pw_client_close(&f->client, "admin forced disconnect", NULL);
	if (f->answers_at_once)
		answer_rows(f, 2, NULL);
}

/* ---- life ---- */

static inline bool fixture_init(struct fixture *f, enum pw_console_right right)
{
	memset(f, 0, sizeof(*f));
	pw_log_init(&f->log);
	atomic_store(&f->log.stderr_fd, -1);
	f->loop.now_us = 1000 * PW_SECOND_US;
	f->conf.stats_period = 60;
	f->snapshot.conf = &f->conf;
	f->pools.snapshot = &f->snapshot;
	f->pools.loop = &f->loop;
	f->actions = (struct pw_console_actions){fake_run, fake_collect, f};
	f->clients.loop = &f->loop;
	f->clients.pools = &f->pools;
	f->clients.console_ops = &pw_console_ops;
	f->clients.console_arg = &f->actions;
	pw_list_init(&f->clients.all);
	f->client.clients = &f->clients;
	f->client.id = 17;
	f->client.right = right;
	f->client.state = PW_CLIENT_CONSOLE;
	f->client.log.log = &f->log;
	f->client.stream.fd = -1;
	pw_reader_init(&f->client.reader, &pw_frontend_messages, PW_FOR_CONSOLE);
	return pw_console_ops.begin(&f->client);
}

static inline void fixture_fini(struct fixture *f)
{
	if (!f->is_closed)
		pw_client_close(&f->client, "test over", NULL);
	pw_reader_fini(&f->client.reader);
	pw_strbuf_fini(&f->sent);
	pw_log_fini(&f->log);
}

/* As the client layer does it. */
static inline void feed(struct fixture *f, const void *data, size_t len)
{
	struct pw_slice in = {data, len};
	struct pw_piece piece;
	enum pw_status status;

	while (!f->is_closed &&
	       (status = pw_reader_next(&f->client.reader, &in, &piece)) != PW_AGAIN) {
		if (status == PW_OK)
			pw_console_ops.on_piece(&f->client, &piece);
		else
			pw_client_close(&f->client, "bad packet", NULL);
	}
}

#endif

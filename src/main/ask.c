/* SPDX-License-Identifier: PostgreSQL
 *
 * What consoles ask of the main thread: mail, which runs the command there. The answers go the way
 * that asker.h describes; without memory a console is answered at once.
 */
#include "config.h"

#include "ask.h"

#include <stdlib.h>
#include <string.h>

#include "control.h"

struct ask_mail {
	struct pw_mail mail;
	struct pw_process *process;
	struct pw_asker asker;
	char *name;                 /* the command's argument, NULL = none */
	const struct pw_view *view; /* NULL = a command */
};

static void discard_ask(struct pw_mail *mail)
{
	struct ask_mail *m = PW_CONTAINER(mail, struct ask_mail, mail);

	free(m->name);
	free(m);
}

/* On the main thread. */
static void deliver_ask(struct pw_mail *mail, void *receiver PW_UNUSED)
{
	struct ask_mail *m = PW_CONTAINER(mail, struct ask_mail, mail);

	if (m->view)
		pw_control_show(m->process, &m->asker, m->view);
	else
		pw_control_run(m->process, &m->asker, m->name);
	discard_ask(mail);
}

static struct ask_mail *create_ask(struct pw_worker *worker, uint64_t asker)
{
	struct ask_mail *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	m->mail.deliver = deliver_ask;
	m->mail.discard = discard_ask;
	m->process = worker->process;
	m->asker = (struct pw_asker){.worker = worker->index, .id = asker};
	return m;
}

static void run_command(void *arg, uint64_t asker, enum pw_command command, const char *name)
{
	struct pw_worker *worker = arg;
	struct ask_mail *m = create_ask(worker, asker);
	struct pw_error err;

	if (m && name)
		m->name = strdup(name);
	if (!m || (name && !m->name)) {
		free(m);
		pw_error_set(&err, PW_SQLSTATE_OUT_OF_MEMORY, "out of memory");
		pw_console_done(&worker->clients, asker, command, &err);
		return;
	}
	m->asker.command = command;
	pw_mailbox_post(&worker->process->mailbox, &m->mail);
}

static void collect_view(void *arg, uint64_t asker, const struct pw_view *view)
{
	struct pw_worker *worker = arg;
	struct ask_mail *m = create_ask(worker, asker);
	struct pw_rows none;
	struct pw_error err;

	if (!m) {
		pw_rows_init(&none, view);
		pw_error_set(&err, PW_SQLSTATE_OUT_OF_MEMORY, "out of memory");
		pw_console_rows(&worker->clients, asker, &none, &err);
		return;
	}
	m->view = view;
	pw_mailbox_post(&worker->process->mailbox, &m->mail);
}

struct pw_console_actions pw_ask_actions(struct pw_worker *worker)
{
	return (struct pw_console_actions){run_command, collect_view, worker};
}

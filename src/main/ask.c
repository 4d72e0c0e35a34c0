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
	char *name, *value, *user;  /* the command's, NULL = none */
	const struct pw_view *view; /* NULL = a command */
};

static void discard_ask(struct pw_mail *mail)
{
	struct ask_mail *m = PW_CONTAINER(mail, struct ask_mail, mail);

	free(m->name);
	free(m->value);
	free(m->user);
	free(m);
}

/* On the main thread. */
static void deliver_ask(struct pw_mail *mail, void *receiver PW_UNUSED)
{
	struct ask_mail *m = PW_CONTAINER(mail, struct ask_mail, mail);
	const struct pw_commanded what = {m->asker.command, m->name, m->value, m->user};

	if (m->view)
		pw_control_show(m->process, &m->asker, m->view);
	else
		pw_control_run(m->process, &m->asker, &what);
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

/* NULL is none, and no failure. */
static bool copy_text(const char *text, char **copy)
{
	*copy = text ? strdup(text) : NULL;
	return *copy || !text;
}

static void run_command(void *arg, uint64_t asker, const struct pw_commanded *what)
{
	struct pw_worker *worker = arg;
	struct ask_mail *m = create_ask(worker, asker);
	struct pw_error err;

	if (!m || !copy_text(what->name, &m->name) || !copy_text(what->value, &m->value) ||
	    !copy_text(what->user, &m->user)) {
		if (m)
			discard_ask(&m->mail);
		pw_error_set(&err, PW_SQLSTATE_OUT_OF_MEMORY, "out of memory");
		pw_console_done(&worker->clients, asker, what->command, &err);
		return;
	}
	m->asker.command = what->command;
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

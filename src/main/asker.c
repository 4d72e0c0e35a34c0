/* SPDX-License-Identifier: PostgreSQL
 *
 * Answers to consoles: mail to the worker of the console that asked.
 */
#include "config.h"

#include "asker.h"

#include <stdlib.h>

struct answer_mail {
	struct pw_mail mail;
	struct pw_worker *worker;
	struct pw_asker asker;
	bool is_notice, has_error, has_rows;
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

	if (m->is_notice)
		pw_console_notice(&m->worker->clients, m->asker.id, m->asker.command, &m->err);
	else if (m->has_rows)
		pw_console_rows(&m->worker->clients, m->asker.id, &m->rows, err);
	else
		pw_console_done(&m->worker->clients, m->asker.id, m->asker.command, err);
	discard_answer(mail);
}

/* NULL where there is nobody to be told. */
static struct answer_mail *create_answer(struct pw_process *process, const struct pw_asker *asker,
					 const struct pw_error *err)
{
	struct answer_mail *m = asker->id != 0 ? calloc(1, sizeof(*m)) : NULL;

	if (!m)
		return NULL;
	m->mail.deliver = deliver_answer;
	m->mail.discard = discard_answer;
	m->worker = &process->workers[asker->worker];
	m->asker = *asker;
	m->has_error = err != NULL;
	if (err)
		m->err = *err;
	return m;
}

void pw_asker_tell(struct pw_process *process, const struct pw_asker *asker,
		   const struct pw_error *err)
{
	struct answer_mail *m = create_answer(process, asker, err);

	if (m)
		pw_mailbox_post(&m->worker->mailbox, &m->mail);
}

void pw_asker_notify(struct pw_process *process, const struct pw_asker *asker,
		     const struct pw_error *notice)
{
	struct answer_mail *m = create_answer(process, asker, notice);

	if (!m)
		return;
	m->is_notice = true;
	pw_mailbox_post(&m->worker->mailbox, &m->mail);
}

void pw_asker_refuse(struct pw_process *process, const struct pw_asker *asker, const char *fmt,
		     const char *name)
{
	struct pw_error err;

	pw_error_set(&err, PW_SQLSTATE_PROTOCOL_VIOLATION, fmt, name);
	err.severity = PW_SEVERITY_ERROR;
	pw_asker_tell(process, asker, &err);
}

void pw_asker_give_rows(struct pw_process *process, const struct pw_asker *asker,
			struct pw_rows *rows, const struct pw_error *err)
{
	struct answer_mail *m = create_answer(process, asker, err);

	if (!m)
		return;
	m->has_rows = true;
	m->rows = *rows;
	pw_rows_init(rows, m->rows.view);
	pw_mailbox_post(&m->worker->mailbox, &m->mail);
}

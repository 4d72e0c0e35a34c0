/* SPDX-License-Identifier: PostgreSQL
 *
 * What hubs and stations tell each other, on one worker too: so nothing is ever told within a call.
 */
#include "config.h"

#include <stdlib.h>

#include "hub_priv.h"

static void destroy(struct pw_hub_mail *m)
{
	pw_strbuf_fini(&m->text);
	free(m);
}

static void discard(struct pw_mail *mail)
{
	destroy(PW_CONTAINER(mail, struct pw_hub_mail, mail));
}

static void deliver(struct pw_mail *mail, void *receiver PW_UNUSED)
{
	struct pw_hub_mail *m = PW_CONTAINER(mail, struct pw_hub_mail, mail);

	m->to->receive[m->kind](m->to, m);
	destroy(m);
}

bool pw_hub_post(struct pw_hubs *hubs, unsigned to, enum pw_hub_mail_kind kind, uint64_t hub,
		 uint64_t ticket, struct pw_strbuf *text)
{
	struct pw_hub_mail *m = calloc(1, sizeof(*m));

	if (!m || (text && text->has_failed)) {
		free(m);
		return false;
	}
	m->mail.deliver = deliver;
	m->mail.discard = discard;
	m->to = hubs->peers[to];
	m->kind = kind;
	m->from = hubs->pools->index;
	m->hub = hub;
	m->ticket = ticket;
	if (text) {
		m->text = *text;
		pw_strbuf_init(text);
	}
	pw_mailbox_post(m->to->pools->mailbox, &m->mail);
	return true;
}

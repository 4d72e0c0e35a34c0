/* SPDX-License-Identifier: PostgreSQL
 *
 * What a client listens to, and where it hears it: on the hub (hub/hub.h) while it has no link, on
 * its link while it has one. A link that it gets is made to listen to the same channels first, and
 * left without any. Marks cut what comes in two, so what the one source says after its mark, and
 * the other before it, is not given to the client.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "client_priv.h"
#include "listening_priv.h"

static struct pw_client_listening *listening_of(const struct pw_client *c)
{
	return c->session ? c->session->listening : NULL;
}

static const char *encoding_of(const struct pw_client *c)
{
	int index = pw_tracked_find(c->clients->tracked, "client_encoding");
	const char *value = index >= 0 && c->params ? c->params->values[index] : NULL;

	return value ? value : "";
}

/* ---- what it listens to ---- */

static struct pw_client_listening *begin(struct pw_client *c)
{
	struct pw_client_listening *l = calloc(1, sizeof(*l));

	if (!l)
		return NULL;
	l->client = c;
	l->is_counting = true;
	pw_subscriber_init(&l->subscriber);
	pw_task_init(&l->flood, NULL);
	c->session->listening = l;
	return l;
}

static void end(struct pw_client *c)
{
	struct pw_client_listening *l = listening_of(c);

	pw_subscriber_leave(&l->subscriber);
	pw_task_cancel(&l->flood);
	pw_channels_fini(&l->channels);
	pw_strbuf_fini(&l->early);
	free(l);
	c->session->listening = NULL;
}

void pw_listening_end(struct pw_client *c)
{
	if (listening_of(c))
		end(c);
}

bool pw_listening_take(struct pw_client *c, struct pw_channels *found)
{
	struct pw_client_listening *l = listening_of(c);

	if (found->n == 0 && l)
		end(c);
	if (found->n == 0)
		return true;
	if (!l)
		l = begin(c);
	if (!l)
		return false;
	pw_channels_fini(&l->channels);
	l->channels = *found;
	*found = (struct pw_channels)PW_CHANNELS_INIT;
	l->is_on_link = true;
	return true;
}

/* ---- a link comes ---- */

bool pw_listening_must_follow(const struct pw_client *c)
{
	return listening_of(c) != NULL;
}

bool pw_listening_follow(struct pw_client *c)
{
	struct pw_client_listening *l = listening_of(c);
	struct pw_strbuf sql = PW_STRBUF_INIT, end = PW_STRBUF_INIT;
	bool ok;

	pw_channels_write_all(&sql, &l->channels);
	pw_channels_write(&sql, "LISTEN", c->clients->hubs.channel);
	pw_channels_write(&end, "UNLISTEN", c->clients->hubs.channel);
	/* Another link was to listen before, and could not. */
	l->subscriber.has_missed |= l->subscriber.is_away;
	pw_subscriber_stop_at(&l->subscriber, &sql);
	l->is_counting = l->subscriber.until.token == 0;
	ok = !sql.has_failed && !end.has_failed && pw_link_query(c->loan.link, sql.data) == PW_OK &&
	     pw_link_query(c->loan.link, end.data) == PW_OK;
	pw_strbuf_fini(&sql);
	pw_strbuf_fini(&end);
	return ok;
}

bool pw_listening_has_followed(const struct pw_client *c)
{
	const struct pw_client_listening *l = listening_of(c);

#ifdef PW_MUTANT_MARK_NOT_AWAITED
	return true;
#endif
	return !l || !l->subscriber.until.is_awaited;
}

void pw_listening_followed(struct pw_client *c)
{
	struct pw_client_listening *l = listening_of(c);

	if (!l)
		return;
	/* It never came, though the server had read what asked for it. */
	l->subscriber.has_missed |= !l->is_counting;
	l->is_counting = true;
	l->is_on_link = true;
}

void pw_listening_give_up(struct pw_client *c)
{
	pw_mark_give_up(&listening_of(c)->subscriber.until);
}

/* ---- the link goes ---- */

static bool send_mark(struct pw_client *c)
{
	static const char end[] = "UNLISTEN *";
	struct pw_client_listening *l = listening_of(c);
	struct pw_link *link = c->loan.link;
	struct pw_strbuf sql = PW_STRBUF_INIT;
	bool ok;

	pw_channels_write(&sql, "LISTEN", c->clients->hubs.channel);
	pw_subscriber_go_on_at(&l->subscriber, &sql);
	l->is_mark_sent = true;
	link->has_own_error = false;
	link->request_us = c->clients->loop->now_us; /* query_timeout covers it */
	ok = !sql.has_failed && pw_link_query(link, sql.data) == PW_OK &&
	     pw_link_query(link, end) == PW_OK;
	pw_strbuf_fini(&sql);
	if (ok)
		return true;
	pw_link_close(link, PW_LINK_END_CLEAN, "out of memory", NULL);
	return false;
}

enum pw_listening_step pw_listening_leave(struct pw_client *c)
{
	struct pw_client_listening *l = listening_of(c);
	struct pw_subscriber *s = l ? &l->subscriber : NULL;
	const char *encoding = encoding_of(c);

	if (!l || !l->is_on_link)
		return PW_LISTENING_LEFT;
	if (l->channels.has_failed ||
	    pw_subscriber_join(s, &c->clients->hubs, c->loan.pool) != PW_OK)
		return PW_LISTENING_STAYS;
	switch (pw_subscriber_want(s, &l->channels, encoding)) {
	case PW_HUB_LISTENS:
		return send_mark(c) ? PW_LISTENING_WAITS : PW_LISTENING_CLOSED;
	case PW_HUB_AWAITED:
		return PW_LISTENING_WAITS;
	case PW_HUB_NONE:
		break;
	}
	if (!pw_subscriber_found(s, &l->channels, encoding, &c->loan, c->session->pins != 0))
		return PW_LISTENING_STAYS;
	l->is_on_link = false;
	return PW_LISTENING_GIVEN;
}

bool pw_listening_needs_hub(const struct pw_client *c)
{
	return !listening_of(c)->is_mark_sent;
}

bool pw_listening_has_hub(const struct pw_client *c)
{
	return pw_subscriber_is_settled(&listening_of(c)->subscriber);
}

void pw_listening_left(struct pw_client *c)
{
	struct pw_client_listening *l = listening_of(c);
	struct pw_link *link = c->loan.link;

	/* It may go on listening, for somebody else. */
	if (link->has_own_error)
		link->facts.must_close = true;
	/* Without the mark on the link what the hub said behind it may be doubled: better than to
	 * have lost it. */
	if (link->has_own_error || l->is_counting)
		pw_mark_give_up(&l->subscriber.from);
	link->request_us = 0;
	l->is_mark_sent = false;
	l->is_on_link = false;
	l->is_counting = true;
}

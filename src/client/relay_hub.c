/* SPDX-License-Identifier: PostgreSQL
 *
 * What the hub brings a client: notifications, and that it is there, or is not.
 */
#include "config.h"

#include "client_priv.h"
#include "listening_priv.h"

static struct pw_client *client_of(struct pw_subscriber *s)
{
	return PW_CONTAINER(s, struct pw_client_listening, subscriber)->client;
}

static void on_message(struct pw_subscriber *s, const uint8_t *data, size_t len)
{
	pw_hearing_on_message(client_of(s), data, len);
}

static void on_change(struct pw_subscriber *s)
{
	struct pw_client *c = client_of(s);

	switch (c->state) {
	case PW_CLIENT_SYNCING:
		pw_relay_synced(c);
		break;
	case PW_CLIENT_UNLISTENING:
		if (pw_listening_needs_hub(c) && pw_listening_has_hub(c))
			pw_relay_unlistened(c);
		break;
	case PW_CLIENT_RELAYING:
		/* It may have stayed there for want of a hub. */
		pw_relay_leave_if_free(c);
		break;
	case PW_CLIENT_READY:
	case PW_CLIENT_QUEUED:
		pw_hearing_go_on(c);
		break;
	default:
		break;
	}
}

const struct pw_subscriber_ops pw_relay_hub_ops = {
    .on_message = on_message,
    .on_change = on_change,
};

/* The client owes nothing and waits for nothing: it would never know. */
static void end_in_silence(struct pw_client *c)
{
	struct pw_error err;

	pw_error_set(&err, PW_SQLSTATE_CONNECTION_FAILURE, "server does not answer");
	pw_error_detail(&err,
			"It was asked to listen no more, on behalf of the session, and has said "
			"nothing for %d seconds.",
			PW_HUB_PATIENCE_US / (1000 * 1000));
	pw_link_close(c->loan.link, PW_LINK_END_BROKEN, err.message, &err);
}

void pw_relay_on_hub_timeout(struct pw_client *c)
{
	struct pw_client_listening *l = c->session ? c->session->listening : NULL;

	if (!l)
		return;
	if (c->state == PW_CLIENT_UNLISTENING && !c->loan.link) {
		pw_subscriber_doubt(&l->subscriber);
		pw_relay_unlistened(c);
	} else if (c->state == PW_CLIENT_UNLISTENING && pw_listening_needs_hub(c)) {
		pw_subscriber_doubt(&l->subscriber);
		pw_client_goto(c, PW_CLIENT_RELAYING);
		if (pw_session_keep(c) && c->held)
			pw_relay_release(c);
	} else if (c->state == PW_CLIENT_SYNCING && !pw_listening_has_followed(c)) {
		pw_subscriber_doubt(&l->subscriber);
		pw_listening_give_up(c);
		pw_relay_synced(c);
	} else if (c->state == PW_CLIENT_UNLISTENING && pw_stream_is_full(&c->stream)) {
		/* Its link waits for it, and so does whoever is next. */
		pw_client_fail(c, PW_SQLSTATE_PROGRAM_LIMIT_EXCEEDED,
			       "too many notifications are waiting");
	} else if (c->state == PW_CLIENT_UNLISTENING) {
		end_in_silence(c);
	}
}

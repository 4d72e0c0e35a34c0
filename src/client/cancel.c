/* SPDX-License-Identifier: PostgreSQL
 *
 * Cancel requests of clients. The requester's connection is a client of its own that waits, as
 * PostgreSQL's does, until its request has been carried out; the target may be on any worker.
 *
 * Running: the request goes to the server, bound to the very link that the client has now. Queued:
 * what was asked is answered with PostgreSQL's own error, and nothing is sent anywhere.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "client_priv.h"
#include "pgweir/base/assert.h"
#include "pgweir/pool/cancel.h"
#include "pgweir/proto/writer.h"
#include "route_priv.h"

/* ---- the requester ---- */

void pw_login_take_cancel(struct pw_client *c, const uint8_t *key, size_t len)
{
	if (len > sizeof(c->login->cancel_key)) {
		pw_client_close(c, "failed cancel request", NULL);
		return;
	}
	memcpy(c->login->cancel_key, key, len);
	c->login->cancel_key_len = len;
	pw_client_goto(c, PW_CLIENT_CANCELING);
	c->clients->peers->cancel(c->clients->peers->peers, c);
}

const uint8_t *pw_client_cancel_key(const struct pw_client *requester, size_t *len)
{
	*len = requester->login->cancel_key_len;
	return requester->login->cancel_key;
}

void pw_client_cancel_done(struct pw_client *requester)
{
	pw_client_close(requester, "successfully sent cancel request", NULL);
}

/* ---- a queued target ---- */

/* The request that waits, for a link or for the one that it has, is never sent. */
static void cancel_held(struct pw_client *c)
{
	struct pw_error err;

	pw_error_set(&err, PW_SQLSTATE_QUERY_CANCELED, "canceling statement due to user request");
	pw_error_detail(&err, "The statement was waiting for a server connection.");
	(void)pw_route_refuse_held(c, &err);
}

/* ---- the target ---- */

/* Between requests, and while our own statements run, there is nothing to cancel. */
static struct pw_link *running_link(const struct pw_client *c)
{
#ifdef PW_MUTANT_CANCEL_TO_PREVIOUS_KEY
	/* Whoever has the link by now is hit. */
	if (c->state == PW_CLIENT_READY && !pw_list_is_empty(&c->loan.pool->busy))
		return PW_CONTAINER(pw_list_first(&c->loan.pool->busy), struct pw_link, pool_node);
#endif
	if (c->state != PW_CLIENT_RELAYING && c->state != PW_CLIENT_SETTLING &&
	    c->state != PW_CLIENT_PREPARING)
		return NULL;
	return c->loan.link->expects.n > 0 ? c->loan.link : NULL;
}

static void forget(void *arg PW_UNUSED)
{
}

void pw_client_cancel_now(struct pw_client *c)
{
	struct pw_link *link = running_link(c);

	c->is_cancel_due = false;
	/* Without memory it is lost, as on its way. */
	if (link && pw_cancel_link_for(link, forget, NULL) != PW_OK)
		pw_log_warning(&c->log, "a cancel request could not be sent");
}

void pw_client_cancel(struct pw_client *c, void (*done)(void *arg), void *arg)
{
	struct pw_link *link = running_link(c);

	/* It would strike what went ahead. */
	if (link && pw_link_runs_ahead(link))
		c->is_cancel_due = true;
	else if (link && pw_cancel_link_for(link, done, arg) == PW_OK)
		return;
	if (c->state == PW_CLIENT_ROUTING || c->state == PW_CLIENT_QUEUED ||
	    c->state == PW_CLIENT_SYNCING || c->state == PW_CLIENT_ASKING ||
	    c->state == PW_CLIENT_UNLISTENING)
		cancel_held(c);
	else if (c->state == PW_CLIENT_CONSOLE)
		c->clients->console_ops->cancel(c);
	done(arg);
}

/* SPDX-License-Identifier: PostgreSQL
 *
 * What a client hears: notifications of its link's and of the hub's, in one order, and that some
 * may be missing. Whichever source has its turn while the other is not through is kept back.
 */
#include "config.h"

#include <string.h>

#include "client_priv.h"
#include "listening_priv.h"
#include "pgweir/proto/writer.h"

/* Of what waits for a client that does not read. */
enum { WAITING_BYTES_MAX = 1024 * 1024 };

static struct pw_client_listening *listening_of(const struct pw_client *c)
{
	return c->session ? c->session->listening : NULL;
}

/* ---- giving it to the client ---- */

static void on_flood(struct pw_task *task)
{
	struct pw_client_listening *l = PW_CONTAINER(task, struct pw_client_listening, flood);
	struct pw_error err;

	pw_error_set(&err, PW_SQLSTATE_PROGRAM_LIMIT_EXCEEDED,
		     "too many notifications are waiting");
	pw_error_detail(&err,
			"The client has left more than %d kB of notifications unread. A session "
			"that missed some of them without knowing would be worse off.",
			WAITING_BYTES_MAX / 1024);
	pw_client_close(l->client, err.message, &err);
}

/* Not within what is going on: others may be heard in it. */
static void check_flood(struct pw_client_listening *l)
{
	struct pw_client *c = l->client;
	size_t waiting = c->stream.backlog ? pw_stream_backlog(&c->stream) : 0;

	if (waiting + l->early.len <= WAITING_BYTES_MAX && !l->early.has_failed)
		return;
	l->flood.run = on_flood;
	pw_task_post(c->clients->loop, &l->flood);
}

/* The other source has not come to its mark yet. */
static void keep_for_later(struct pw_client_listening *l, const void *data, size_t len)
{
	pw_strbuf_add(&l->early, data, len);
	check_flood(l);
}

static void give_early(struct pw_client_listening *l)
{
	if (l->early.len > 0)
		pw_client_send(l->client, l->early.data, l->early.len);
	pw_strbuf_fini(&l->early);
}

void pw_hearing_on_message(struct pw_client *c, const uint8_t *data, size_t len)
{
	struct pw_client_listening *l = listening_of(c);

	c->loan.pool->stats.now.sent += len;
	if (c->state == PW_CLIENT_UNLISTENING) {
		keep_for_later(l, data, len);
		return;
	}
	pw_client_send(c, data, len);
	check_flood(l);
}

static void tell(struct pw_client *c)
{
	struct pw_client_listening *l = listening_of(c);
	struct pw_strbuf out = PW_STRBUF_INIT;
	struct pw_error notice;

	if (!l || !l->subscriber.has_missed || (!l->subscriber.is_on && !l->is_on_link))
		return;
	l->subscriber.has_missed = false;
	pw_error_set(&notice, PW_SQLSTATE_WARNING, "notifications may have been lost");
	pw_error_detail(&notice, "The server connection that listened for this session was lost. "
				 "From now on notifications are delivered again.");
	notice.severity = PW_SEVERITY_NOTICE;
	pw_write_error(&out, &notice);
	pw_client_send(c, out.data, out.len);
	pw_strbuf_fini(&out);
}

void pw_hearing_go_on(struct pw_client *c)
{
	if (!listening_of(c))
		return;
	pw_clients_flush(c->clients);
	give_early(listening_of(c));
	tell(c);
}

/* ---- hearing it on the link ---- */

/* What it does itself is done under the number that it knows. */
static void pass_on(struct pw_client *c, const struct pw_piece *piece, uint32_t pid)
{
	const struct pw_link *link = c->loan.link;
	struct pw_strbuf copy = PW_STRBUF_INIT;

	pw_strbuf_add(&copy, piece->data, piece->len);
	if (copy.has_failed) {
		pw_relay_out_of_memory(c);
		return;
	}
	if (link->facts.cancel_key_len >= 4 && pid == pw_load_u32(link->facts.cancel_key))
		memcpy(copy.data + PW_NOTIFICATION_PID_AT, c->key, 4);
	if (c->state == PW_CLIENT_SYNCING && listening_of(c))
		keep_for_later(listening_of(c), copy.data, copy.len);
	else
		pw_batch_copy(pw_relay_to_client(c), copy.data, copy.len);
	if (c->state != PW_CLIENT_RELAYING && listening_of(c))
		check_flood(listening_of(c));
	pw_strbuf_fini(&copy);
}

static void hear_mark(struct pw_client_listening *l, const char *payload)
{
	if (l && pw_mark_is(&l->subscriber.until, payload))
		l->is_counting = true;
	else if (l && pw_mark_is(&l->subscriber.from, payload))
		l->is_counting = false;
}

bool pw_hearing_take(struct pw_client *c, const struct pw_piece *piece)
{
	struct pw_client_listening *l = listening_of(c);
	struct pw_notification n;

	if (!c->session || !piece->is_first || !piece->is_last ||
	    !pw_notification_read(piece->data, piece->len, &n))
		return false;
	if (strcmp(n.channel, c->clients->hubs.channel) == 0)
		hear_mark(l, n.payload);
	else if (!l || l->is_counting)
		pass_on(c, piece, n.pid);
	return true;
}

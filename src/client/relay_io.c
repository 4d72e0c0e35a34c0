/* SPDX-License-Identifier: PostgreSQL
 *
 * What a client's relay sends, gathered: the worker's two batches, towards the client at hand and
 * towards its link, and the bytes that are held while no link can take them.
 */
#include "config.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "client_priv.h"

/* Of a client that is not routed. */
enum { HELD_MAX = 64 * 1024 };

/* The worker's two batches serve whoever is being worked on: another owner's bytes go out first. */
static struct pw_batch *batch_for(struct pw_batch *batch, struct pw_stream *stream)
{
	if (batch->stream != stream) {
		pw_batch_flush(batch);
		pw_batch_begin(batch, stream);
	}
	return batch;
}

struct pw_batch *pw_relay_to_client(struct pw_client *c)
{
	return batch_for(&c->clients->to_client, &c->stream);
}

struct pw_batch *pw_relay_to_server(struct pw_client *c)
{
	return batch_for(&c->clients->to_server, &c->loan.link->stream);
}

void pw_relay_add(struct pw_batch *batch, const struct pw_piece *piece)
{
	if (piece->is_transient)
		pw_batch_copy(batch, piece->data, piece->len);
	else
		pw_batch_add(batch, piece->data, piece->len);
}

/* A text that waits for a link counts as one that is not whole yet, so that these have less room.
 * It is here already, and not refused. */
static void count_held(struct pw_client *c, size_t len)
{
	uint32_t counted =
	    len > PW_PLAIN_TEXT_GATHER_CAP ? (uint32_t)(len - PW_PLAIN_TEXT_GATHER_CAP) : 0;

	if (counted == c->held_counted)
		return;
	atomic_fetch_add_explicit(&c->clients->pools->registry->text_bytes,
				  (uint64_t)counted - c->held_counted, memory_order_relaxed);
	c->held_counted = counted;
}

size_t pw_relay_held_max(const struct pw_client *c)
{
	return c->route ? (size_t)c->clients->pools->snapshot->conf->route_buffer : HELD_MAX;
}

bool pw_relay_hold(struct pw_client *c, const void *data, size_t len)
{
	if (len == 0)
		return true;
	if (!c->held)
		c->held = calloc(1, sizeof(*c->held));
	if (!c->held)
		return false;
	pw_strbuf_add(c->held, data, len);
	count_held(c, c->held->len);
	/* One chunk may come on top; then the client's own buffers have to do. */
	if (c->held->len >= pw_relay_held_max(c))
		pw_stream_set_reading(&c->stream, false);
	return !c->held->has_failed;
}

void pw_relay_release(struct pw_client *c)
{
	struct pw_strbuf *held = c->held;

	if (!held)
		return;
	c->held = NULL;
	count_held(c, 0);
	pw_stream_set_reading(&c->stream, true);
	pw_client_feed(c, (const uint8_t *)held->data, held->len);
	pw_strbuf_wipe(held);
	free(held);
	/* It had gone while it waited, and has not said Terminate after all. */
	if (c->stream.has_ended && c->state != PW_CLIENT_CLOSED && !c->held)
		pw_client_close(c, "client unexpected eof", NULL);
}

void pw_relay_drop_held(struct pw_client *c)
{
	if (!c->held)
		return;
	count_held(c, 0);
	pw_strbuf_wipe(c->held);
	free(c->held);
	c->held = NULL;
}

bool pw_relay_out_of_memory(struct pw_client *c)
{
	pw_client_fail(c, PW_SQLSTATE_OUT_OF_MEMORY, "out of memory");
	return false;
}

/* Sends bytes on, untouched. */
void pw_relay_pass_on(struct pw_client *c, const struct pw_piece *piece)
{
	pw_relay_add(pw_relay_to_server(c), piece);
}

bool pw_relay_forward(struct pw_client *c, const struct pw_piece *piece,
		      const struct pw_expect *entry)
{
	if (pw_link_expect(c->loan.link, entry) != PW_OK)
		return pw_relay_out_of_memory(c);
	pw_relay_pass_on(c, piece);
	return true;
}

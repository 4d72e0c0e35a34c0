/* SPDX-License-Identifier: PostgreSQL
 *
 * A request goes to the very address that the link is connected to, over TLS if the link has it.
 */
#include "config.h"

#include "pgweir/pool/cancel.h"

#include <stdlib.h>
#include <string.h>

#include "pgweir/base/assert.h"
#include "pgweir/net/socket.h"
#include "pgweir/pool/link.h"
#include "pgweir/pool/objects.h"
#include "pgweir/proto/writer.h"

/* Of one link, by clients: one that was sent may have hit the statement before, another is enough.
 */
enum { CANCEL_MAGIC = 0x43616e63, AT_A_TIME = 2 };

struct cancel {
	unsigned magic;
	struct pw_list node; /* in pools->cancels */
	struct pw_pools *pools;
	struct pw_link_cancel target;
	struct pw_stream stream;
	struct pw_timer timer;
	struct pw_task free_task;
	void (*done)(void *arg);
	void *arg;
	uint8_t key[PW_CANCEL_KEY_MAX];
	size_t key_len;
	char host[PW_HOST_SIZE];
	bool wants_tls;
	bool was_sent;
	bool is_over;
};

static void free_cancel(struct pw_task *task)
{
	struct cancel *c = PW_CONTAINER(task, struct cancel, free_task);

	explicit_bzero(c->key, sizeof(c->key));
	free(c);
}

/* The single exit. A connection that closed before the key was written has told nobody. */
static void finish(struct cancel *c)
{
	if (c->is_over)
		return;
	c->is_over = true;
	pw_list_remove(&c->node);
	pw_timer_disarm(&c->timer);
	pw_stream_close(&c->stream);
	pw_link_cancel_ended(&c->target, c->was_sent);
	if (c->done)
		c->done(c->arg);
	pw_task_post(c->pools->loop, &c->free_task);
}

static void send_key(struct cancel *c)
{
	static const uint8_t code[] = {0x04, 0xd2, 0x16, 0x2e};
	struct pw_strbuf out = PW_STRBUF_INIT;
	size_t begin = pw_writer_begin(&out, 0);

	pw_strbuf_add(&out, code, sizeof(code));
	pw_strbuf_add(&out, c->key, c->key_len);
	pw_writer_end(&out, begin);
	if (!out.has_failed) {
		pw_stream_send(&c->stream, out.data, out.len);
		c->was_sent = true;
	}
	pw_strbuf_wipe(&out);
	if (!c->was_sent)
		finish(c);
}

static struct cancel *cancel_of(struct pw_stream *stream)
{
	struct cancel *c = PW_CONTAINER(stream, struct cancel, stream);

	PW_CHECK_MAGIC(c, CANCEL_MAGIC);
	return c;
}

static void on_open(struct pw_stream *stream)
{
	static const uint8_t ssl_request[] = {0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f};
	struct cancel *c = cancel_of(stream);

	if (c->wants_tls && !stream->transport)
		pw_stream_send(stream, ssl_request, sizeof(ssl_request));
	else
		send_key(c);
}

static void on_data(struct pw_stream *stream, const uint8_t *data, size_t len)
{
	struct cancel *c = cancel_of(stream);
	struct pw_tls *tls;

	if (c->was_sent)
		return;
	if (len != 1 || data[0] != 'S') {
		finish(c);
		return;
	}
	tls = pw_tls_connect(c->pools->snapshot->connect_tls, stream->fd, c->host);
	if (!tls || pw_stream_start(stream, &pw_tls_transport_ops, tls) != PW_OK)
		finish(c);
}

static void on_end(struct pw_stream *stream, enum pw_status status, const char *why PW_UNUSED)
{
	struct cancel *c = cancel_of(stream);

	/* Only an orderly end says that the server is through with it. */
	if (status != PW_CLOSED)
		c->was_sent = false;
	finish(c);
}

static void on_drained(struct pw_stream *stream PW_UNUSED)
{
}

static const struct pw_stream_ops ops = {
    .on_open = on_open,
    .on_data = on_data,
    .on_drained = on_drained,
    .on_end = on_end,
};

static void on_timeout(struct pw_timer *timer)
{
	struct cancel *c = PW_CONTAINER(timer, struct cancel, timer);

	PW_CHECK_MAGIC(c, CANCEL_MAGIC);
	/* The server may still act on it. */
	c->was_sent = false;
	finish(c);
}

static enum pw_status connect_to(struct cancel *c, const struct pw_link_facts *facts)
{
	struct sockaddr_storage ss;
	socklen_t len;

	len = facts->unix_path[0] ? pw_socket_unix_address(facts->unix_path, &ss)
				  : pw_addr_to_sockaddr(&facts->addr, &ss);
	if (len == 0)
		return PW_EIO;
	return pw_stream_connect(&c->stream, (struct sockaddr *)&ss, len);
}

static enum pw_status begin(struct pw_link *link, void (*done)(void *arg), void *arg)
{
	struct pw_pools *pools = link->pool->pools;
	struct cancel *c = calloc(1, sizeof(*c));

	if (!c)
		return PW_ENOMEM;
	c->magic = CANCEL_MAGIC;
	c->pools = pools;
	c->done = done;
	c->arg = arg;
	c->key_len = link->facts.cancel_key_len;
	memcpy(c->key, link->facts.cancel_key, c->key_len);
	memcpy(c->host, link->facts.host, sizeof(c->host));
	c->wants_tls = link->facts.is_tls;
	pw_timer_init(&c->timer, on_timeout);
	pw_task_init(&c->free_task, free_cancel);
	pw_stream_init(&c->stream, pools->loop, &ops);
	if (c->key_len == 0 || connect_to(c, &link->facts) != PW_OK) {
		free(c);
		return PW_EIO;
	}
	pw_list_append(&pools->cancels, &c->node);
	pw_link_cancel_began(link, &c->target);
	if (pools->snapshot->conf->cancel_wait_timeout > 0)
		pw_loop_arm(pools->loop, &c->timer, pools->snapshot->conf->cancel_wait_timeout);
	return PW_OK;
}

/* One that was not sent yet does for whatever the link runs by then. */
static bool is_under_way(const struct pw_link *link)
{
	int n = 0;

	PW_LIST_FOREACH (node, &link->cancels) {
		const struct pw_link_cancel *target =
		    PW_CONTAINER(node, const struct pw_link_cancel, node);

		if (!PW_CONTAINER(target, const struct cancel, target)->was_sent ||
		    ++n == AT_A_TIME)
			return true;
	}
	return false;
}

enum pw_status pw_cancel_link_for(struct pw_link *link, void (*done)(void *arg), void *arg)
{
	if (is_under_way(link)) {
		done(arg);
		return PW_OK;
	}
	return begin(link, done, arg);
}

enum pw_status pw_cancel_link(struct pw_link *link)
{
	return begin(link, NULL, NULL);
}

void pw_cancel_close_all(struct pw_pools *pools)
{
	struct pw_list *node;

	while ((node = pw_list_first(&pools->cancels)))
		finish(PW_CONTAINER(node, struct cancel, node));
}

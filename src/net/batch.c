/* SPDX-License-Identifier: PostgreSQL
 *
 * Spans go out as one writev(2); the arena holds what has no place in the input.
 */
#include "config.h"

#include "pgweir/net/batch.h"

#include <string.h>

void pw_batch_begin(struct pw_batch *batch, struct pw_stream *stream)
{
	batch->stream = stream;
	batch->n = 0;
	batch->used = 0;
	batch->total = 0;
}

void pw_batch_flush(struct pw_batch *batch)
{
	if (batch->n > 0)
		pw_stream_sendv(batch->stream, batch->spans, batch->n);
	batch->n = 0;
	batch->used = 0;
}

void pw_batch_add(struct pw_batch *batch, const void *data, size_t len)
{
	struct iovec *last = batch->n > 0 ? &batch->spans[batch->n - 1] : NULL;

	if (len == 0)
		return;
	batch->total += len;
	if (last && (const uint8_t *)last->iov_base + last->iov_len == data) {
		last->iov_len += len;
		return;
	}
	if (batch->n == PW_BATCH_SPANS)
		pw_batch_flush(batch);
	memcpy(&batch->spans[batch->n].iov_base, &data, sizeof(data)); /* never written through */
	batch->spans[batch->n].iov_len = len;
	batch->n++;
}

void pw_batch_copy(struct pw_batch *batch, const void *data, size_t len)
{
	uint8_t *copy;

	if (len > PW_BATCH_ARENA - batch->used || batch->n == PW_BATCH_SPANS)
		pw_batch_flush(batch);
	if (len > PW_BATCH_ARENA) {
		batch->total += len;
		pw_stream_send(batch->stream, data, len);
		return;
	}
	copy = batch->arena + batch->used;
	memcpy(copy, data, len);
	batch->used += len;
	pw_batch_add(batch, copy, len);
}

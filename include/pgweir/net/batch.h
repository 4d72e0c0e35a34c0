/* SPDX-License-Identifier: PostgreSQL
 *
 * Collects what goes to one stream while one chunk of input is worked through, so that it leaves
 * in one write: spans of the input that are passed on untouched (adjacent ones merge) and small
 * pieces of our own.
 *
 * Lives on the stack or in the worker for the length of one upcall. One thread.
 */
#ifndef PGWEIR_NET_BATCH_H
#define PGWEIR_NET_BATCH_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "pgweir/net/stream.h"

enum { PW_BATCH_SPANS = 32, PW_BATCH_ARENA = 4096 };

struct pw_batch {
	struct pw_stream *stream;
	int n;
	size_t used;  /* of the arena */
	size_t total; /* bytes added since begin */
	struct iovec spans[PW_BATCH_SPANS];
	uint8_t arena[PW_BATCH_ARENA];
};

void pw_batch_begin(struct pw_batch *batch, struct pw_stream *stream);
/* Borrows the bytes until the flush. */
void pw_batch_add(struct pw_batch *batch, const void *data, size_t len);
/* Copies them (or sends at once what is too large to copy). */
void pw_batch_copy(struct pw_batch *batch, const void *data, size_t len);
void pw_batch_flush(struct pw_batch *batch);

#endif

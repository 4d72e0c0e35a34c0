/* SPDX-License-Identifier: PostgreSQL
 *
 * What answers a link still owes, in order: one entry for each message sent to the server that
 * gets an answer, and for each answer that pgweir gives itself in its right place among them.
 *
 * From this queue follows everything the pool must know: when a link is free, which answers are
 * not the client's, and what has to be undone when an error makes the server skip messages up to
 * the next Sync (PostgreSQL 15 docs 55.2.3). Belongs to one link, one thread.
 */
#ifndef PGWEIR_POOL_EXPECT_H
#define PGWEIR_POOL_EXPECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pgweir/base/hash.h"
#include "pgweir/base/status.h"
#include "pgweir/proto/messages.h"

enum {
	PW_EXPECT_SWALLOW = 1 << 0, /* our own message: the answer is not passed on */
	PW_EXPECT_LOCAL = 1 << 1,   /* the server was not asked: we answer */
	PW_EXPECT_KNOWN = 1 << 2,   /* changes the link's set of known statements */
	PW_EXPECT_MARKER = 1 << 3,  /* an empty query that shows where earlier answers end */
	PW_EXPECT_REFUSED = 1 << 4, /* made to fail: the borrower words the error */
	PW_EXPECT_FORGETS = 1 << 5, /* may be a DISCARD ALL or DEALLOCATE ALL */
	PW_EXPECT_ENDS = 1 << 6, /* swallowed, but for the parameters that it changes and its end */
	PW_EXPECT_AHEAD = 1 << 8,    /* of a batch of our own, whose end is nobody's to see */
	PW_EXPECT_NEEDED = 1 << 10,  /* DISCARD: even in a failed transaction */
	PW_EXPECT_DISCARD = 1 << 9,  /* of others' values, by a query of our own */
	PW_EXPECT_GOES_ON = 1 << 7,  /* ends for the borrower with the ENDS that comes behind it */
	PW_EXPECT_UNNAMED = 1 << 11, /* what it makes of the unnamed statement is the borrower's */
	PW_EXPECT_NAMED = 1 << 12,   /* changes what the server has by a name of the borrower's */
};

struct pw_expect {
	enum pw_message_role role; /* QUERY, FUNCTION, SYNC, PARSE ... CLOSE, COPY_END */
	unsigned flags;
	struct pw_id statement; /* PARSE, BIND, DESCRIBE, CLOSE of a shared statement */
	void *object;           /* the borrower's; settled exactly once */
};

struct pw_expect_queue {
	struct pw_expect *ring; /* NULL while empty */
	uint32_t cap;           /* power of two */
	uint32_t head;
	uint32_t n;
	/* Of them: */
	uint32_t n_sync_points; /* those that end with a ReadyForQuery */
	uint32_t n_syncs;       /* of these, those that also end the skipping after an error */
	uint32_t n_undoable;    /* those that change what names or statements there are */
	uint32_t n_doubtful;    /* of these, those with a sync point behind them */
	uint32_t n_forgets;     /* those with PW_EXPECT_FORGETS */
	uint32_t n_copy_ends;   /* those that end a COPY */
};

void pw_expect_init(struct pw_expect_queue *queue);
void pw_expect_fini(struct pw_expect_queue *queue);
PW_MUSTCHECK enum pw_status pw_expect_push(struct pw_expect_queue *queue,
					   const struct pw_expect *entry);
/* The i-th from the head; NULL beyond the end. Role and FORGETS stay as they are. */
static inline struct pw_expect *pw_expect_at(const struct pw_expect_queue *queue, uint32_t i)
{
	return i < queue->n ? &queue->ring[(queue->head + i) & (queue->cap - 1)] : NULL;
}
struct pw_expect pw_expect_pop(struct pw_expect_queue *queue);
/* Takes those of the entries [from, to) out that may go; how many. What is behind them is not
 * touched: a client may have queued a million. */
uint32_t pw_expect_drop(struct pw_expect_queue *queue, uint32_t from, uint32_t to,
			bool (*may_go)(const struct pw_expect *entry));
/* Gives back memory that a long pipeline took. */
void pw_expect_trim(struct pw_expect_queue *queue);

/* Does the entry end with a ReadyForQuery? */
static inline bool pw_expect_is_sync_point(const struct pw_expect *entry)
{
	return entry->role == PW_ROLE_QUERY || entry->role == PW_ROLE_FUNCTION ||
	       entry->role == PW_ROLE_SYNC;
}

#endif

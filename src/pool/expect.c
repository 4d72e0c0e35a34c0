/* SPDX-License-Identifier: PostgreSQL
 *
 * A ring whose size is a power of two; one that has grown large is given back when it is empty.
 */
#include "config.h"

#include "pgweir/pool/expect.h"

#include <stdlib.h>
#include <string.h>

#include "pgweir/base/assert.h"

enum { FIRST_CAP = 8, KEPT_CAP = 32, MAX_CAP = 1 << 20 };

void pw_expect_init(struct pw_expect_queue *queue)
{
	memset(queue, 0, sizeof(*queue));
}

void pw_expect_fini(struct pw_expect_queue *queue)
{
	free(queue->ring);
	pw_expect_init(queue);
}

static bool grow(struct pw_expect_queue *queue)
{
	uint32_t cap = queue->cap ? queue->cap * 2 : FIRST_CAP;
	struct pw_expect *ring;

	if (cap > MAX_CAP)
		return false;
	ring = malloc(cap * sizeof(*ring));
	if (!ring)
		return false;
	for (uint32_t i = 0; i < queue->n; i++)
		ring[i] = *pw_expect_at(queue, i);
	free(queue->ring);
	queue->ring = ring;
	queue->cap = cap;
	queue->head = 0;
	return true;
}

static void count(struct pw_expect_queue *queue, const struct pw_expect *entry, int change)
{
	if (pw_expect_is_sync_point(entry))
		queue->n_sync_points += (uint32_t)change;
	if (entry->role == PW_ROLE_SYNC)
		queue->n_syncs += (uint32_t)change;
	if (entry->role == PW_ROLE_COPY_END)
		queue->n_copy_ends += (uint32_t)change;
	if (entry->flags & PW_EXPECT_FORGETS)
		queue->n_forgets += (uint32_t)change;
	if (entry->flags & (PW_EXPECT_KNOWN | PW_EXPECT_LOCAL | PW_EXPECT_NAMED))
		queue->n_undoable += (uint32_t)change;
}

static void count_in(struct pw_expect_queue *queue, const struct pw_expect *entry)
{
	count(queue, entry, 1);
	if (pw_expect_is_sync_point(entry))
		queue->n_doubtful = queue->n_undoable;
}

/* From the head, the doubtful ones go first. */
static void count_out(struct pw_expect_queue *queue, const struct pw_expect *entry)
{
	uint32_t n = queue->n_undoable;

	count(queue, entry, -1);
	if (queue->n_doubtful > 0)
		queue->n_doubtful -= n - queue->n_undoable;
}

enum pw_status pw_expect_push(struct pw_expect_queue *queue, const struct pw_expect *entry)
{
	if (queue->n == queue->cap && !grow(queue))
		return PW_ENOMEM;
	queue->ring[(queue->head + queue->n) & (queue->cap - 1)] = *entry;
	queue->n++;
	count_in(queue, entry);
	return PW_OK;
}

struct pw_expect pw_expect_pop(struct pw_expect_queue *queue)
{
	struct pw_expect entry;

	pw_assert(queue->n > 0);
	entry = *pw_expect_at(queue, 0);
	queue->head = (queue->head + 1) & (queue->cap - 1);
	queue->n--;
	count_out(queue, &entry);
	return entry;
}

uint32_t pw_expect_drop(struct pw_expect_queue *queue, uint32_t from, uint32_t to,
			bool (*may_go)(const struct pw_expect *entry))
{
	uint32_t gap = to; /* what stays moves to right before it, last first */

	pw_assert(from <= to && to <= queue->n);
	for (uint32_t i = to; i > 0; i--) {
		struct pw_expect *entry = pw_expect_at(queue, i - 1);

		if (i > from && may_go(entry))
			count_out(queue, entry);
		else
			*pw_expect_at(queue, --gap) = *entry;
	}
	queue->head = (queue->head + gap) & (queue->cap - 1);
	queue->n -= gap;
	return gap;
}

void pw_expect_trim(struct pw_expect_queue *queue)
{
	if (queue->n == 0 && queue->cap > KEPT_CAP)
		pw_expect_fini(queue);
}

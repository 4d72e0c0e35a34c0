/* SPDX-License-Identifier: PostgreSQL
 *
 * One thread's event loop: libevent's base without locks, the timer wheel, the cached time, the
 * scratch buffer that every connection of the thread reads into, and tasks put off to the end of
 * the turn (above all: freeing what a callback further up the stack may still touch).
 *
 * Belongs to the thread that runs it; nothing here may be called from another one. Others post to
 * its mailbox (net/mailbox.h).
 */
#ifndef PGWEIR_NET_LOOP_H
#define PGWEIR_NET_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pgweir/base/clock.h"
#include "pgweir/base/list.h"
#include "pgweir/base/status.h"
#include "pgweir/base/wheel.h"

struct event;
struct event_base;
struct pw_stream;

struct pw_task;
typedef void pw_task_run(struct pw_task *task);

/* Lies in its owner's object. Posting a posted task changes nothing. */
struct pw_task {
	struct pw_list node;
	pw_task_run *run;
};

enum { PW_OUTBOX_RECORDS = 64, PW_OUTBOX_BYTES = 16 * 1024 };

/* The small sends of a turn, which leave together behind its events (net/stream.c). */
struct pw_outbox {
	struct pw_task task; /* posted while n > 0 */
	unsigned n, used;
	struct {
		struct pw_stream *stream;
		unsigned offset, len;
	} records[PW_OUTBOX_RECORDS];
	uint8_t bytes[PW_OUTBOX_BYTES];
};

struct pw_loop {
	struct event_base *base;
	struct event *wheel_event;
	const struct pw_clock *clock;
	struct pw_wheel wheel;
	uint64_t now_us; /* at most PW_CLOCK_CALLBACKS callbacks old */
	uint64_t turns;
	unsigned callbacks_left; /* until the clock is read again */
	struct pw_list tasks;
	uint8_t *scratch; /* PW_SCRATCH_SIZE bytes; valid within one upcall only */
	struct pw_outbox *outbox;
	bool is_in_events; /* the callbacks of the turn's events are running, tasks are to come */
	bool is_stopping;
};

enum { PW_SCRATCH_SIZE = 64 * 1024, PW_CLOCK_CALLBACKS = 16 };

PW_MUSTCHECK enum pw_status pw_loop_init(struct pw_loop *loop, const struct pw_clock *clock);
void pw_loop_fini(struct pw_loop *loop);
/* Turns until pw_loop_stop(). */
void pw_loop_run(struct pw_loop *loop);
/* One turn: waits for events (not at all if !may_wait), handles them, runs the tasks. */
void pw_loop_turn(struct pw_loop *loop, bool may_wait);
void pw_loop_stop(struct pw_loop *loop);
/* Reads the clock. */
void pw_loop_refresh_time(struct pw_loop *loop);

/* Every callback from the event library begins with this. The first of a turn reads the clock, and
 * after it every sixteenth: none of them takes more than a few milliseconds. That of a mailbox
 * always does, because mail speaks of times of its sender's. */
static inline void pw_loop_begin_callback(struct pw_loop *loop)
{
	if (loop->callbacks_left == 0)
		pw_loop_refresh_time(loop);
	loop->callbacks_left--;
}

void pw_task_init(struct pw_task *task, pw_task_run *run);
void pw_task_post(struct pw_loop *loop, struct pw_task *task);
void pw_task_cancel(struct pw_task *task);

static inline void pw_loop_arm(struct pw_loop *loop, struct pw_timer *timer, uint64_t after_us)
{
	pw_timer_arm(&loop->wheel, timer, loop->now_us, after_us);
}

/* What the event library calls itself and its poll method: "libevent 2.1.12-stable (epoll)". */
void pw_loop_describe(const struct pw_loop *loop, char *out, size_t size);
/* The library's version alone. */
const char *pw_loop_library_version(void);

#endif

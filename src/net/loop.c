/* SPDX-License-Identifier: PostgreSQL
 *
 * One libevent base per thread. Timers are the wheel's, turned every 50 ms by one event of
 * libevent; tasks run at the end of a turn.
 */
#include "config.h"

#include "pgweir/net/loop.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

enum { WHEEL_PERIOD_US = 50 * 1000 };

static void on_wheel_period(evutil_socket_t fd PW_UNUSED, short what PW_UNUSED, void *arg)
{
	struct pw_loop *loop = arg;

	pw_loop_refresh_time(loop);
	pw_wheel_advance(&loop->wheel, loop->now_us);
}

static struct event_base *create_base(void)
{
	struct event_config *config = event_config_new();
	struct event_base *base;

	if (!config)
		return NULL;
	event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
	/* Its environment variables could turn on what the next comment is about. */
	event_config_set_flag(config, EVENT_BASE_FLAG_IGNORE_ENV);
	/* No change list: a descriptor that moves to another thread must have left this one's
	 * epoll set before that thread may close it, and its number be used again. */
	base = event_base_new_with_config(config);
	event_config_free(config);
	return base;
}

enum pw_status pw_loop_init(struct pw_loop *loop, const struct pw_clock *clock)
{
	const struct timeval period = {.tv_usec = WHEEL_PERIOD_US};

	memset(loop, 0, sizeof(*loop));
	loop->clock = clock;
	pw_list_init(&loop->tasks);
	pw_loop_refresh_time(loop);
	pw_wheel_init(&loop->wheel, loop->now_us);
	loop->scratch = malloc(PW_SCRATCH_SIZE);
	loop->outbox = calloc(1, sizeof(*loop->outbox));
	loop->base = create_base();
	if (loop->base)
		loop->wheel_event = event_new(loop->base, -1, EV_PERSIST, on_wheel_period, loop);
	if (!loop->scratch || !loop->outbox || !loop->wheel_event ||
	    event_add(loop->wheel_event, &period) < 0) {
		pw_loop_fini(loop);
		return PW_ENOMEM;
	}
	return PW_OK;
}

static void run_tasks(struct pw_loop *loop)
{
	struct pw_list round, *node;

	/* Tasks posted by tasks wait for the next turn, so that one cannot starve the sockets. */
	pw_list_init(&round);
	while ((node = pw_list_first(&loop->tasks))) {
		pw_list_remove(node);
		pw_list_append(&round, node);
	}
	while ((node = pw_list_first(&round))) {
		struct pw_task *task = PW_CONTAINER(node, struct pw_task, node);

		pw_list_remove(node);
		task->run(task);
	}
}

void pw_loop_fini(struct pw_loop *loop)
{
	if (loop->clock) {
		while (!pw_list_is_empty(&loop->tasks))
			run_tasks(loop);
	}
	if (loop->wheel_event)
		event_free(loop->wheel_event);
	if (loop->base)
		event_base_free(loop->base);
	free(loop->outbox);
	free(loop->scratch);
	memset(loop, 0, sizeof(*loop));
}

void pw_loop_turn(struct pw_loop *loop, bool may_wait)
{
	bool has_tasks = !pw_list_is_empty(&loop->tasks);
	int flags = may_wait && !has_tasks ? EVLOOP_ONCE : EVLOOP_ONCE | EVLOOP_NONBLOCK;

	loop->callbacks_left = 0;
	loop->is_in_events = true;
	event_base_loop(loop->base, flags);
	loop->is_in_events = false;
	pw_loop_begin_callback(loop);
	run_tasks(loop);
	loop->turns++;
}

void pw_loop_run(struct pw_loop *loop)
{
	while (!loop->is_stopping)
		pw_loop_turn(loop, true);
}

void pw_loop_stop(struct pw_loop *loop)
{
	loop->is_stopping = true;
	event_base_loopbreak(loop->base);
}

void pw_loop_refresh_time(struct pw_loop *loop)
{
	loop->now_us = loop->clock->now_us(loop->clock);
	loop->callbacks_left = PW_CLOCK_CALLBACKS;
}

void pw_task_init(struct pw_task *task, pw_task_run *run)
{
	pw_list_init(&task->node);
	task->run = run;
}

void pw_task_post(struct pw_loop *loop, struct pw_task *task)
{
	if (pw_list_is_empty(&task->node))
		pw_list_append(&loop->tasks, &task->node);
}

void pw_task_cancel(struct pw_task *task)
{
	pw_list_remove(&task->node);
}

void pw_loop_describe(const struct pw_loop *loop, char *out, size_t size)
{
	snprintf(out, size, "libevent %s (%s)", event_get_version(),
		 event_base_get_method(loop->base));
}

const char *pw_loop_library_version(void)
{
	return event_get_version();
}

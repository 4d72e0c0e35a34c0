/* SPDX-License-Identifier: PostgreSQL
 *
 * An event of its own for each descriptor: there are few of them, and they change seldom.
 */
#include "config.h"

#include "pgweir/net/watch.h"

#include <event2/event.h>
#include <stddef.h>

void pw_watch_init(struct pw_watch *watch, struct pw_loop *loop, pw_watch_ready *on_ready)
{
	*watch = (struct pw_watch){.loop = loop, .on_ready = on_ready};
}

static void on_event(evutil_socket_t fd PW_UNUSED, short what PW_UNUSED, void *arg)
{
	struct pw_watch *watch = arg;

	pw_loop_begin_callback(watch->loop);
	watch->on_ready(watch);
}

enum pw_status pw_watch_set(struct pw_watch *watch, int fd, bool for_reading, bool for_writing)
{
	short what = EV_PERSIST;

	what |= for_reading ? EV_READ : 0;
	what |= for_writing ? EV_WRITE : 0;
	pw_watch_clear(watch);
	watch->event = event_new(watch->loop->base, fd, what, on_event, watch);
	if (watch->event && event_add(watch->event, NULL) == 0)
		return PW_OK;
	pw_watch_clear(watch);
	return PW_ENOMEM;
}

void pw_watch_clear(struct pw_watch *watch)
{
	if (watch->event)
		event_free(watch->event);
	watch->event = NULL;
}

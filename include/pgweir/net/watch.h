/* SPDX-License-Identifier: PostgreSQL
 *
 * A descriptor that another library reads and writes: the loop says when it can.
 *
 * Lies in its owner's object; belongs to the loop's thread. The descriptor stays the library's,
 * which may close it, and get the same number for another one, while it is watched: it must be set
 * anew before the loop's next turn then.
 */
#ifndef PGWEIR_NET_WATCH_H
#define PGWEIR_NET_WATCH_H

#include <stdbool.h>

#include "pgweir/base/status.h"
#include "pgweir/net/loop.h"

struct pw_watch;
typedef void pw_watch_ready(struct pw_watch *watch);

struct pw_watch {
	struct pw_loop *loop;
	struct event *event; /* NULL: nothing is watched */
	pw_watch_ready *on_ready;
};

void pw_watch_init(struct pw_watch *watch, struct pw_loop *loop, pw_watch_ready *on_ready);
/* In place of what was watched before. `on_ready` may set or clear it. PW_ENOMEM. */
PW_MUSTCHECK enum pw_status pw_watch_set(struct pw_watch *watch, int fd, bool for_reading,
					 bool for_writing);
void pw_watch_clear(struct pw_watch *watch);

#endif

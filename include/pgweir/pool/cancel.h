/* SPDX-License-Identifier: PostgreSQL
 *
 * Cancel requests to servers (PostgreSQL 15 docs 55.2.8): a connection of its own that carries the
 * target's key and ends when the server closes it. The target link lists those under way
 * (link->cancels) and is not lent to anybody before the last has ended.
 *
 * One worker; a request may be asked for by a client of another worker, by mail.
 */
#ifndef PGWEIR_POOL_CANCEL_H
#define PGWEIR_POOL_CANCEL_H

#include <stddef.h>
#include <stdint.h>

#include "pgweir/base/status.h"

struct pw_link;
struct pw_pools;

/* Cancels what the link runs, because its client has gone. */
PW_MUSTCHECK enum pw_status pw_cancel_link(struct pw_link *link);
/* The same for a client that wants to know: `done` runs once, when the server has closed the
 * connection, or when it could not be asked. At once, where enough requests for the link are under
 * way: these connections count in no limit, so their number must have one of its own. */
PW_MUSTCHECK enum pw_status pw_cancel_link_for(struct pw_link *link, void (*done)(void *arg),
					       void *arg);
/* Ends them all. */
void pw_cancel_close_all(struct pw_pools *pools);

#endif

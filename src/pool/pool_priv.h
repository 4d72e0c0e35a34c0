/* SPDX-License-Identifier: PostgreSQL
 *
 * Between the files of a pool: queue (pool.c), opening and limits (pool_open.c), mail between
 * workers (pool_mail.c), the set of pools (pools.c), upkeep (janitor.c).
 */
#ifndef PGWEIR_POOL_POOL_PRIV_H
#define PGWEIR_POOL_POOL_PRIV_H

#include "pgweir/pool/pool.h"

/* ---- pool.c ---- */
/* An idle link that may be lent now; the one that fits `params` if there is a choice. */
struct pw_link *pw_pool_take_idle(struct pw_pool *pool, const struct pw_params *params);
void pw_pool_publish_head(struct pw_pool *pool);
/* Everybody who waits for the welcome or (with_queue) for a link is refused. */
void pw_pool_refuse_all(struct pw_pool *pool, const struct pw_error *err, bool with_queue);
/* Why a link must not be used any more; NULL = it may. */
const char *pw_pool_unfit_reason(struct pw_pool *pool, const struct pw_link *link);
/* Closes the link if the pool has more than its settings allow. */
bool pw_pool_close_surplus(struct pw_pool *pool, struct pw_link *link);
void pw_pool_welcome_all(struct pw_pool *pool);

/* ---- pool_open.c ---- */
/* Opens a link if the limits, and the pause after a failed login, allow it. */
bool pw_pool_open_link(struct pw_pool *pool);
/* The same for min_pool_size: only while the pool has fewer than that, never by eviction. */
bool pw_pool_open_minimum(struct pw_pool *pool);
/* Closes the least recently used idle link of the database, or of the user. */
bool pw_pools_evict(struct pw_pools *pools, const struct pw_shared_db *db,
		    const struct pw_shared_user *user);

/* ---- pool_mail.c ---- */
/* Moves a quiet link to another worker; false where that cannot be now. */
bool pw_mail_hand_over(struct pw_link *link, unsigned to, bool is_answer);
bool pw_mail_ask_for_link(struct pw_pool *pool, unsigned to);
/* Pools of that id serve their queues. */
void pw_mail_nudge(struct pw_pools *pools, uint64_t pool_id, unsigned to);
/* All pools of all other workers serve their queues: a shared limit has room. */
void pw_mail_serve_all(struct pw_pools *pools);
void pw_mail_login_failed(struct pw_pools *pools, uint64_t pool_id);
/* Asks the other workers, one after the other, to evict an idle link. */
void pw_mail_evict(struct pw_pools *pools, struct pw_shared_db *db, struct pw_shared_user *user);

/* ---- pools.c ---- */
struct pw_pool *pw_pools_find_by_id(struct pw_pools *pools, uint64_t id);
void pw_pool_close_links(struct pw_pool *pool, const char *reason, bool with_busy);
void pw_pools_free_pool(struct pw_pool *pool);

/* ---- janitor.c ---- */
void pw_pools_start_janitor(struct pw_pools *pools);

#endif

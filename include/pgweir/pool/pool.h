/* SPDX-License-Identifier: PostgreSQL
 *
 * Pools of server links, one per (database, user) and worker, that together keep the exact limits
 * of pool/registry.h.
 *
 * A client takes part by a loan, which lies in the client: pw_pool_borrow() fills it at once with
 * an idle link or queues it; pw_pool_return() gives the link back. The queue is first in, first
 * out over the whole process: a link that is given back goes to this worker's oldest waiter unless
 * another worker's has waited clearly longer, and then it is handed over as a value.
 *
 * All calls on the worker's thread.
 */
#ifndef PGWEIR_POOL_POOL_H
#define PGWEIR_POOL_POOL_H

#include <stdbool.h>
#include <stdint.h>

#include "pgweir/pool/link.h"
#include "pgweir/pool/objects.h"

/* ---- the worker's side ---- */

PW_MUSTCHECK enum pw_status pw_pools_init(struct pw_pools *pools, struct pw_snapshot *snapshot);
/* Closes every link. No loan may be left. */
void pw_pools_fini(struct pw_pools *pools);
/* After a reload: re-resolves every pool, drops those whose database is gone. */
void pw_pools_swap_snapshot(struct pw_pools *pools, struct pw_snapshot *snapshot);

/* The cluster's nodes are not what they were: links to those that are no longer to be used are
 * closed, and who waits gets others. */
void pw_pools_follow(struct pw_pools *pools, struct pw_cluster *cluster);

/* The pool for a login; made where it is not there yet. `name` is the database as the client
 * calls it, `db` its entry or "*". NULL without memory. */
struct pw_pool *pw_pools_get(struct pw_pools *pools, const struct pw_conf_db *db, const char *name,
			     const char *user);
/* The pool of the replicas that belongs to the one of the primary; made where it is not there yet.
 * NULL without memory. */
struct pw_pool *pw_pools_get_replicas(struct pw_pool *home);
void pw_pools_each(struct pw_pools *pools, void (*visit)(struct pw_pool *pool, void *arg),
		   void *arg);

/* Console: what RECONNECT, PAUSE, KILL do to this worker's links. db NULL = all. */
void pw_pools_close_idle(struct pw_pools *pools, const char *db, const char *reason);
void pw_pools_reconnect(struct pw_pools *pools, const char *db);
void pw_pools_drop(struct pw_pools *pools, const char *db);
void pw_pools_serve_all(struct pw_pools *pools);
unsigned pw_pools_count_links(struct pw_pools *pools, const char *db, bool busy_only);
bool pw_pool_is_paused(const struct pw_pool *pool);
/* A hint for who has waited in vain: what it waited for, and which settings govern it. */
const char *pw_pool_why_waiting(struct pw_pool *pool);

/* ---- the client's side ---- */

void pw_loan_init(struct pw_loan *loan, const struct pw_borrower_ops *ops);
/* Names the pool that the loan is about; keeps it alive. */
void pw_loan_bind(struct pw_loan *loan, struct pw_pool *pool);
/* The opposite. The loan must be void. */
void pw_loan_unbind(struct pw_loan *loan);
/* From now on it is about that pool: the replicas', or the primary's, of the same database and
 * user. The loan must be void. */
void pw_loan_move(struct pw_loan *loan, struct pw_pool *pool);
/* May whoever has the token (NULL = it need see nothing in particular) read in that pool, which is
 * the replicas'? Brings the token up to date. */
enum pw_reading {
	PW_READING_GOES,      /* there is a node that has all that it must see */
	PW_READING_OVERFLOWS, /* ... which is the primary, as no replica is fresh enough */
	PW_READING_IS_BEHIND, /* no replica has; the primary's pool is to run it */
	PW_READING_WAITS,     /* the same, but it is not to */
	PW_READING_FAILS,     /* no replica is fresh enough, and then nobody is to run it */
};
enum pw_reading pw_pool_may_read(struct pw_pool *pool, struct pw_token *token);
/* When the primary of the pool's cluster last answered the monitor; 0 = it does, or there is none.
 */
uint64_t pw_pool_primary_heard(struct pw_pool *pool);
/* The primary's pool: does nobody hear of the primary, neither the monitor nor any link of it? */
bool pw_pool_primary_is_lost(struct pw_pool *pool);
/* Is any of its replicas fresh enough? */
bool pw_pool_has_replicas(struct pw_pool *pool);
/* Brings what a session must see up to date with what is known of the nodes. */
void pw_pool_follow(struct pw_pool *pool, struct pw_token *token);
/* From now on that is also what another session has told. */
void pw_pool_import(struct pw_pool *pool, struct pw_token *token, uint32_t timeline, uint64_t lsn);
/* From now on that is all that the primary has now. */
void pw_pool_note_now(struct pw_pool *pool, struct pw_token *token);
/* Is that so of the node of the link which the loan has got, by the loan's own token? */
bool pw_loan_reads_right(const struct pw_loan *loan);
/* A ReadyForQuery was received on the loan's link: what its owner has seen, or done. */
void pw_loan_note_seen(const struct pw_loan *loan, struct pw_token *token);

/* True: loan->link is set now. False: waits; on_link or on_refused follows, never within this
 * call; or, for a link of one's own, which is never there at once, on_lost: it could not log in. */
bool pw_pool_borrow(struct pw_loan *loan);
/* Waits for a first server login of the pool, which is begun if need be. */
void pw_pool_await_welcome(struct pw_loan *loan);
/* Leaves the queue, or gives up the link that is being opened. */
void pw_pool_withdraw(struct pw_loan *loan);
/* Gives the link back (it must be free), or, with has_left, leaves it as it is: see
 * pw_link_end_loan(). */
void pw_pool_return(struct pw_loan *loan, bool has_left, bool may_finish);

/* Gives the link, which must be free, to another loan of the same pool that has none. */
void pw_pool_pass_on(struct pw_loan *from, struct pw_loan *to);
/* Why a link that is kept for long is to be given back now: PAUSE, RECONNECT, another definition.
 * NULL = it may stay. */
const char *pw_pool_recall_reason(const struct pw_loan *loan);

/* How many of its links clients may keep between transactions (max_pinned_share). With a hub among
 * them (hub/hub.h) they leave one to everybody else, unless they may keep all. */
int pw_pool_keepable(const struct pw_pool *pool, bool has_hub);
/* Would a hub leave one? Of those that clients keep, n_ending will not be kept any more. */
bool pw_pool_has_room_for_hub(const struct pw_pool *pool, int n_ending);

/* Remembers what a client's login brought, for logins to this pool's servers. */
void pw_pool_learn_secret(struct pw_pool *pool, const char *secret);
void pw_pool_learn_keys(struct pw_pool *pool, const struct pw_scram_keys *keys);

/* The untracked parameters of the welcome, as ParameterStatus messages, and the tracked set. False
 * where no server has logged in yet. */
bool pw_pool_welcome(struct pw_pool *pool, struct pw_strbuf *out);

#endif

/* SPDX-License-Identifier: PostgreSQL
 *
 * Between the files of a pool, lowest first: the set (pool_set.c), the queue (queue.c), which nodes
 * there are and who gets the next read (nodes.c, places.c, balance.c), unused links (idle.c),
 * telling other pools (wake.c), what the primary runs for want of replicas (overflow.c), hand-over
 * (hand_over.c), one link and no other (seek.c), opening (pool_open.c), who gets which link
 * (pool.c), upkeep (janitor.c), life of the set (pools.c).
 */
#ifndef PGWEIR_POOL_POOL_PRIV_H
#define PGWEIR_POOL_POOL_PRIV_H

#include "pgweir/pool/link.h"
#include "pgweir/pool/objects.h"
#include "pgweir/pool/pool.h"

/* ---- pool_set.c ---- */
struct pw_pool *pw_pools_find_by_id(struct pw_pools *pools, uint64_t id);
void pw_links_close(struct pw_list *list, const char *reason);
void pw_pool_close_links(struct pw_pool *pool, const char *reason, bool with_busy);
void pw_pools_free_pool(struct pw_pool *pool);

/* ---- queue.c ---- */
/* Leaves whatever list it is in. */
void pw_loan_dequeue(struct pw_loan *loan);
/* It waits: from now on for any link. */
void pw_loan_want_no_more(struct pw_loan *loan);
/* Who waits for that link alone; NULL = nobody. */
struct pw_loan *pw_pool_who_wants(const struct pw_pool *pool, uint64_t link_id);
/* NULL = it is not there, or not idle. */
struct pw_link *pw_pool_idle_link(const struct pw_pool *pool, uint64_t link_id);
/* The oldest waiter but for those who want one link alone, those who are held up, and those who
 * want a link of their own while there is no turn to log in; NULL = nobody waits. Another one the
 * next time, if a turn has come or gone. */
struct pw_loan *pw_pool_head(const struct pw_pool *pool);
/* The (n + 1)th of those who could be head; NULL = there are not so many. */
struct pw_loan *pw_pool_waiter(const struct pw_pool *pool, unsigned n);
/* Somebody waits for a place in a fair limit: all of this worker look again before long. */
void pw_pools_try_again(struct pw_pools *pools);
/* Others need not wait any more until who has waited since then has a place at a node, be it that
 * it has one now. */
void pw_pool_leave_places(struct pw_pool *pool, uint64_t since_us, bool has_one);
/* The pool is about to be of another cluster, or none: who waits, waits for nothing at this one. */
void pw_pool_leave_cluster(struct pw_pool *pool);
/* It waits for a place that others of the pool do not need: on the primary, while they may read
 * elsewhere, or at a node, for a link of its own; until that is looked at anew, for all of them. */
void pw_loan_hold_up(struct pw_loan *loan);
void pw_pool_let_go_on(struct pw_pool *pool);
/* So much longer has somebody to have waited who comes first out of turn. */
uint64_t pw_pool_fair_margin(const struct pw_pool *pool);
/* Does who wants one link alone, and waits since then, get it before who waits for any? 0 = nobody.
 */
bool pw_pool_goes_first(const struct pw_pool *pool, uint64_t since, uint64_t than);
/* Takes it out of the queue: it is served. */
void pw_loan_end_wait(struct pw_loan *loan);
void pw_pool_publish_head(struct pw_pool *pool);
void pw_loans_refuse(struct pw_list *list, const struct pw_error *err);
/* Everybody who waits for the welcome or (with_queue) for a link is refused. */
void pw_pool_refuse_all(struct pw_pool *pool, const struct pw_error *err, bool with_queue);
void pw_pool_welcome_all(struct pw_pool *pool);

/* ---- nodes.c ---- */
/* A bit set of the cluster's slots that may get clients now; all bits where there is no cluster. */
uint64_t pw_nodes_usable(struct pw_pool *pool);
/* Those on which work that is under way may go on. */
uint64_t pw_nodes_bearable(struct pw_pool *pool);
/* Those that an operator keeps clients from, so much or more. */
uint64_t pw_nodes_held(struct pw_pool *pool, enum pw_hold_kind least);
bool pw_nodes_primary_is_banned(struct pw_pool *pool);
/* Have all of them answered, or failed to? */
bool pw_nodes_are_known(struct pw_pool *pool);
/* Is there one of which a login may be hoped for? Not where the primary lets nobody in. */
bool pw_nodes_may_serve(struct pw_pool *pool);
/* Does one take writes, as far as is known? */
bool pw_nodes_have_primary(struct pw_pool *pool);
/* Is the link's node among them? */
bool pw_nodes_admit(const struct pw_link *link, uint64_t slots);
/* May the loan's owner read there? Anybody may who has no token; loan NULL as well. */
bool pw_nodes_show(const struct pw_link *link, const struct pw_loan *loan);
/* Is the link one to the cluster's primary, as far as is known? */
bool pw_nodes_is_of_primary(const struct pw_link *link);
/* Was its node in recovery when it last answered? */
bool pw_nodes_is_of_standby(const struct pw_link *link);
/* What is known of the nodes; NULL = nothing yet. Valid until the next look: each function looks
 * once. */
const struct pw_cluster_view *pw_nodes_look(struct pw_pool *pool);
/* The bit of the view's node i. */
uint64_t pw_nodes_bit(const struct pw_cluster_view *view, size_t i);
/* As pw_nodes_usable(); and of these, those where whoever has the token may read. */
uint64_t pw_nodes_usable_of(const struct pw_pool *pool, const struct pw_cluster_view *view);
uint64_t pw_nodes_showing(const struct pw_pool *pool, const struct pw_cluster_view *view,
			  const struct pw_token *token);

/* Has the primary to run the loan only because no replica is fresh enough? */
bool pw_nodes_overflow(struct pw_pool *pool, const struct pw_loan *loan);

/* ---- balance.c ---- */
struct pw_pick {
	uint64_t slots; /* that may get it; 0 = none */
	int slot;       /* the one that is to */
};
/* For a loan (NULL = anybody's) of the replicas' pool: where it is to run. */
struct pw_pick pw_nodes_pick(struct pw_pool *pool, const struct pw_loan *loan);
/* Those that are not too far for it, whether or not they have all that it must see. */
uint64_t pw_nodes_near(struct pw_pool *pool, const struct pw_loan *loan);
/* The node that has the most links beyond what its weight says, while another lacks one;
 * PW_NO_SLOT: there is none. */
int pw_nodes_crowded(struct pw_pool *pool);
/* To which the next link may be opened, whether or not there is a place for it. */
uint64_t pw_nodes_wanted(const struct pw_pool *pool, const struct pw_cluster_view *view);
/* Where the next link is opened to; NULL = nowhere. Valid until the next of these calls. */
const struct pw_node_place *pw_nodes_choose(struct pw_pool *pool);

/* Whose place somebody needs: of the database, of the user, or of some nodes; one of the three. */
struct pw_eviction {
	struct pw_shared_db *db;
	struct pw_shared_user *user;
	struct pw_cluster *cluster;
	uint64_t slots;         /* of the cluster */
	uint64_t idle_since_us; /* ... and of these only what nobody has used since; 0 = all */
};

/* ---- places.c: max_connections of nodes ---- */
/* Of the given ones, those that have a place for a link of the pool. */
uint64_t pw_places_free(struct pw_pool *pool, const struct pw_cluster_view *view, uint64_t slots);
/* The same of one that nobody waits for yet, and for which nobody else does either. */
uint64_t pw_places_spare(struct pw_pool *pool, const struct pw_cluster_view *view, uint64_t slots);
/* Takes the one that pw_pool_limits_given() gives back; false = it is no longer there. */
bool pw_places_take(struct pw_pool *pool, const struct pw_node_place *place);
/* Do others go first at each of the slots, if there are any? Yes is not remembered. */
bool pw_places_give_way(struct pw_pool *pool, const struct pw_cluster_view *view, uint64_t slots);
/* Which idle links of others may go so that the pool has a place at one of the slots. False: that
 * would not help it. */
bool pw_places_evict(struct pw_pool *pool, const struct pw_cluster_view *view, uint64_t slots,
		     struct pw_eviction *eviction);
/* Has somebody waited for a place at its node for so long that an idle link goes at once? */
bool pw_places_are_pressing(const struct pw_link *link);
/* Closes a link that nobody has if its node has more than its limit. */
bool pw_places_close_surplus(struct pw_link *link);
/* Does a limit hold at its node? */
bool pw_places_are_limited(const struct pw_link *link);
/* The link is free. True: it is closed, because another pool has waited for its place for long, and
 * for longer than who waits for it here, if anybody does. */
bool pw_places_yield(struct pw_link *link);

/* ---- idle.c ---- */
/* An idle link that may be lent now to that loan (NULL = to whomever); the one that fits best if
 * there is a choice. */
struct pw_link *pw_pool_take_idle(struct pw_pool *pool, const struct pw_loan *loan);
/* An idle link of the replicas' pool to a node that is too far for who waits, and only takes up
 * room; NULL = there is none. */
struct pw_link *pw_pool_far_idle(struct pw_pool *pool);
/* Would the loan come to what clients have left that logged in under another session_state? */
bool pw_pool_mixes(const struct pw_link *link, const struct pw_loan *loan);
/* Idle for so long that it is to be checked before it is lent: STALE. */
void pw_pool_check_age(struct pw_link *link);
/* Had it rather be lent to another one? A setting whose name has a dot stays in a server's session
 * once it was there, with an empty value at least; whoever has not set it can tell that. */
bool pw_pool_suits(const struct pw_link *link, const struct pw_loan *loan);
/* Why a link is not what would be opened now: RECONNECT, another definition. NULL = it is. */
const char *pw_pool_obsolete_reason(const struct pw_pool *pool, const struct pw_link *link);
/* Why a link must not be used any more; NULL = it may. */
const char *pw_pool_unfit_reason(struct pw_pool *pool, const struct pw_link *link);
/* Closes the link if the pool has more than its settings allow. */
bool pw_pool_close_surplus(struct pw_pool *pool, struct pw_link *link);
/* Closes the least recently used idle link of the pool. */
bool pw_pool_evict(struct pw_pool *pool);
/* The least recently used idle link of those that the eviction names, where nobody waits for it:
 * nor may it be lent to who waits in its pool, as it is too far or the primary runs no more reads.
 */
bool pw_pools_evict(struct pw_pools *pools, const struct pw_eviction *eviction);

/* ---- wake.c ---- */
/* Pools of that id serve their queues. */
void pw_mail_nudge(struct pw_pools *pools, uint64_t pool_id, unsigned to);
/* All pools of all workers serve their queues: a shared limit has room. */
void pw_pools_wake(struct pw_pools *pools);
void pw_mail_login_failed(struct pw_pools *pools, uint64_t pool_id);
/* Asks the other workers, one after the other, to evict an idle link. */
void pw_mail_evict(struct pw_pools *pools, const struct pw_eviction *eviction);
/* Gives one of a limit back; others may have been refused it meanwhile. */
void pw_pool_give_back(struct pw_pool *pool, struct pw_limit *limit);
/* Gives a link's place in the limits back, and wakes whoever waits for it, here or elsewhere. */
void pw_pool_limits_given(struct pw_pools *pools, struct pw_shared_pool *shared,
			  const struct pw_link_facts *facts);

/* ---- overflow.c ---- */
/* The link is about to be lent to the loan: may it run there? Takes a place where one is needed. */
bool pw_overflow_admits(struct pw_link *link, const struct pw_loan *loan);
/* Has it to wait for one, so that no link would help it? */
bool pw_overflow_is_full(struct pw_pool *pool, const struct pw_loan *loan);

/* ---- hand_over.c ---- */
/* Moves a quiet link to another worker; false where that cannot be now. */
bool pw_link_hand_over(struct pw_link *link, unsigned to);
/* The answer comes by mail: a link, or none. */
bool pw_link_ask_for(struct pw_pool *pool, unsigned to);

/* ---- seek.c ---- */
/* The loan is about to wait for the link that it wants: is that to be had, and where? */
void pw_pool_reach_for_wanted(struct pw_loan *loan);
/* One that waits for a link which is idle by now (`in_turn`: and goes first); NULL = nobody does.
 */
struct pw_loan *pw_pool_fulfilled(const struct pw_pool *pool, bool in_turn, struct pw_link **link);
/* The link is free. True: it is on its way to another worker that seeks it. */
bool pw_pool_give_to_seeker(struct pw_link *link);
/* To a worker where somebody has waited longer than who wants the link here (NULL = nobody), or
 * seeks it: they go on seeking it there. False where that cannot be now. */
bool pw_pool_hand_over_sought(struct pw_link *link, struct pw_loan *wanting, unsigned to);
void pw_pool_on_values_lost(struct pw_link *link);

/* ---- follow.c ---- */
/* Refuses those who have waited in vain for a node. */
void pw_nodes_tend(struct pw_pool *pool);
/* Moves a link that nobody uses, now and then, to a node that has fewer than its share: one that
 * has come back gets clients little by little. */
void pw_nodes_balance(struct pw_pool *pool);
/* The same of one that somebody has just given back, where others wait. True: it is closed. */
bool pw_nodes_move(struct pw_link *link);

/* ---- pool_open.c ---- */
/* May a login be tried now, whatever the limits on links say? */
bool pw_pool_may_log_in(struct pw_pool *pool);
/* Is there a place for one at a node that the next link may be opened to? */
bool pw_pool_has_place(struct pw_pool *pool);
/* Do others go first wherever the next link may be opened to? */
bool pw_pool_gives_way(struct pw_pool *pool);
/* Opens a link if the limits, and the pause after a failed login, allow it. */
bool pw_pool_open_link(struct pw_pool *pool);
/* Opens the link of its own that a waiter wants, in the place of an idle one if there is no other.
 * True: the loan has left the queue. */
bool pw_pool_open_own(struct pw_loan *loan);
/* Opens one to a node that was to get a loan and has no link, where there is room. */
void pw_pool_open_missing(struct pw_pool *pool);
/* Opens one for min_pool_size: only while the pool has fewer than that, never by eviction. */
bool pw_pool_open_minimum(struct pw_pool *pool);

/* ---- pool.c ---- */
extern const struct pw_link_ops pw_pool_link_ops;
/* Finds links for those who wait: idle ones, other workers', new ones. */
void pw_pool_serve(struct pw_pool *pool);

/* ---- janitor.c ---- */
void pw_pools_start_janitor(struct pw_pools *pools);

#endif

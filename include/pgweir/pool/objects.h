/* SPDX-License-Identifier: PostgreSQL
 *
 * The objects of the pool layer and how they speak to each other: one worker's pools, a pool, a
 * loan, and the upcalls from a link to its pool and from a pool to its borrower. What can be done
 * with them is in pool/pool.h (clients), pool/link.h (links).
 *
 * All belong to one worker and are used on its thread alone.
 */
#ifndef PGWEIR_POOL_OBJECTS_H
#define PGWEIR_POOL_OBJECTS_H

#include <stdbool.h>
#include <stdint.h>

#include "pgweir/base/error.h"
#include "pgweir/base/list.h"
#include "pgweir/base/log.h"
#include "pgweir/base/map.h"
#include "pgweir/base/rng.h"
#include "pgweir/cluster/choose.h"
#include "pgweir/cluster/cluster.h"
#include "pgweir/cluster/token.h"
#include "pgweir/conf/conf.h"
#include "pgweir/net/loop.h"
#include "pgweir/net/mailbox.h"
#include "pgweir/net/resolver.h"
#include "pgweir/pool/expect.h"
#include "pgweir/pool/params.h"
#include "pgweir/pool/registry.h"
#include "pgweir/pool/snapshot.h"
#include "pgweir/pool/state.h"
#include "pgweir/proto/reader.h"
#include "pgweir/proto/startup.h"
#include "pgweir/stat/counters.h"

struct pw_link;
struct pw_link_facts;
struct pw_loan;
struct pw_pool;
struct pw_pools;

/* How a link speaks to the pool it belongs to. */
struct pw_link_ops {
	/* Free, clean and checked: it may be lent, handed over, or left idle. */
	void (*on_usable)(struct pw_link *link);
	/* Its first ReadyForQuery came; `welcome` is what the server reported, name, value, ... and
	 * may be taken. A loan's own link may be lent, or closed, within. */
	void (*on_logged_in)(struct pw_link *link, struct pw_strbuf *welcome);
	/* Before it closes: `is_server_error` when the server, or our own check of it, said no. */
	void (*on_login_failed)(struct pw_link *link, const struct pw_error *err,
				bool is_server_error);
	/* Its turn to log in is over, and another one's may begin. Not where a common login has
	 * failed: a pause follows. Was somebody refused one meanwhile? */
	void (*on_turn_over)(struct pw_pool *pool, bool was_awaited);
	/* A loan's own link was closed while it was opening, and not because of the server: the
	 * loan is void. */
	void (*on_own_given_up)(struct pw_loan *loan);
	/* It has closed: its place in the limits, that of its node too, is to be given back. */
	void (*on_gone)(struct pw_pools *pools, struct pw_shared_pool *shared,
			const struct pw_link_facts *facts);
	/* What its sequences have is no longer the values for which somebody may want it. */
	void (*on_values_lost)(struct pw_link *link);
	/* There may be a place that others wait for: among what the primary runs for want of
	 * replicas, or at a node (base/fair_limit.h). */
	void (*on_place_free)(struct pw_pools *pools);
};

/* How the pool speaks to whoever borrows. */
struct pw_borrower_ops {
	/* The wait is over: loan->link is set. */
	void (*on_link)(struct pw_loan *loan);
	/* The welcome that was waited for is there; the loan is void. */
	void (*on_welcome)(struct pw_loan *loan);
	/* There will be no link; the loan is void. */
	void (*on_refused)(struct pw_loan *loan, const struct pw_error *err);
	/* A piece of a server message that is the borrower's. `about` is the answered message, NULL
	 * for what comes unasked. The bytes die with the call. */
	void (*on_piece)(struct pw_loan *loan, const struct pw_piece *piece,
			 const struct pw_expect *about);
	/* An expected answer is settled: it came, or is ours to give now (LOCAL); or the server
	 * skipped the message (is_done false). Only for entries that are LOCAL or carry an object.
	 */
	void (*on_settled)(struct pw_loan *loan, const struct pw_expect *entry, bool is_done);
	/* A ReadyForQuery was worked through (also one that was swallowed). */
	void (*on_ready)(struct pw_loan *loan, bool was_swallowed);
	/* The chunk of input is worked through: send what was gathered. */
	void (*on_chunk_end)(struct pw_loan *loan);
	/* The link takes bytes again. */
	void (*on_drained)(struct pw_loan *loan);
	/* A parameter's value was reported; the piece follows. */
	void (*on_parameter)(struct pw_loan *loan, const char *name, const char *value);
	/* The link is gone; the loan is void. err NULL: the server has said why itself. */
	void (*on_lost)(struct pw_loan *loan, const struct pw_error *err);
	/* Frees an object of an entry whose borrower has gone. */
	void (*free_object)(void *object);
};

enum { PW_ROUTES_MAX = 24 };

enum pw_loan_state {
	PW_LOAN_NONE,
	PW_LOAN_WAITING,
	PW_LOAN_OPENING, /* a link of its own is logging in */
	PW_LOAN_HOLDING,
};

struct pw_loan {
	enum pw_loan_state state;
	struct pw_list node; /* in the pool's queue, or its list of guests */
	struct pw_pool *pool;
	struct pw_link *link; /* HOLDING */
	struct pw_link *last; /* the one it had last, while nobody else has had that since */
	uint64_t
	    drawn_on;   /* id of the last one that it has drawn values of sequences on; 0 = none */
	uint64_t wants; /* WAITING, or about to: for that one alone, for these; 0 = for any */
	uint64_t owner_id; /* never used twice */
	const struct pw_borrower_ops *ops;
	uint64_t since_us;               /* WAITING: since when */
	const struct pw_params *params;  /* the owner's: a link that has them fits, if it has */
	const struct pw_state *settings; /* these as well; NULL = rather one that has none */
	/* On which replica its owner may read hangs on that (the owner's); NULL = on any. */
	const struct pw_token *token;
	bool is_held_up;   /* WAITING: for a place on the primary, or at a node where others go
			      first (base/fair_limit.h), by the last look */
	bool is_untracked; /* nobody looks what the owner sets, nor does it leave with the link */
	bool needs_new;    /* rather a link that nobody has had yet */
	bool is_strict;    /* rather no link that keeps names of settings it has not set */
	enum pw_pool_mode mode; /* the borrower's, from its login: a reload does not change it */
	/* Not NONE: it wants a link of its own. A replication session belongs to one client from
	 * its start-up packet on, so there is nothing to share: such a link is opened for the loan
	 * at the head of the queue, with `params` and `options` (the owner's, NULL = none) in its
	 * start-up packet, and closed with the loan. It has its place in every limit, but is never
	 * idle, never another worker's, and no evidence of whether other logins work. */
	enum pw_replication replication;
	const char *options;
};

struct pw_pool {
	struct pw_map_node node;    /* by database and user */
	struct pw_map_node id_node; /* by shared->id */
	struct pw_pools *pools;
	struct pw_shared_pool *shared; /* a reference */
	const struct pw_conf_db *db;   /* in the pools' snapshot; NULL = its entry was removed */
	struct pw_pool_conf conf;
	const char *dbname; /* asked for on the server; borrowed from db or shared */
	bool is_forced_user;
	bool is_auto;        /* made from "*" */
	uint64_t definition; /* hash of all that servers must be made anew for when it changes */
	struct pw_cluster *cluster; /* whose nodes serve it; NULL = the hosts of `db` do */
	struct pw_conf_cluster cluster_conf;
	enum pw_routing routing;  /* never SPLIT: */
	bool is_split;            /* this pool is the primary's, and reads may go to ... */
	struct pw_pool *replicas; /* ... this one; NULL until somebody asks for it */
	struct pw_pool *home;     /* the opposite; NULL = it has gone */
	uint64_t
	    routed[PW_ROUTES_MAX]; /* requests, by why they went where (the clients' own order) */
	struct pw_cluster_eye eye;
	const struct pw_node_place *place; /* where the link that is being opened goes */
	uint64_t no_node_since_us;         /* no node will do; 0 = one does */
	uint16_t node_links[PW_SLOTS_MAX]; /* by slot: links of this worker */
	struct pw_turns turns;             /* whose turn it is among the replicas */
	uint64_t may_move_us; /* not before then is it looked whether a link is to move to another
				 node */
	uint64_t
	    may_yield_us; /* not before then does it give a place at a node up to another pool */
	int missing;      /* slot + 1 of a node that was to get a loan, and has no link; 0 = none */
	struct pw_params *welcome_params; /* tracked values as servers begin with */
	uint64_t welcome_version;
	struct pw_strbuf welcome_text;    /* the other values, as messages */
	bool has_welcome;                 /* false: the above are to be taken from `shared` */
	struct pw_code_view code;         /* of the database's */
	struct pw_readable_view readable; /* the same */

	struct pw_list waiting;      /* loans that want a link, oldest first */
	struct pw_list welcoming;    /* loans that want the welcome */
	struct pw_list failing;      /* loans to be refused at the end of the turn */
	uint64_t welcoming_since_us; /* somebody does; 0 = nobody does */
	uint64_t places_awaited;     /* slots of nodes that have had no place for who waits */
	unsigned n_waiting;
	unsigned n_wanting;     /* of these, those that want one link alone */
	unsigned n_held_up;     /* ... and those behind which others need not wait */
	struct pw_list opening; /* links by home */
	struct pw_list idle;    /* most recently used first */
	struct pw_list stale;
	struct pw_list checking;
	struct pw_list busy; /* lent, draining, cleaning */
	struct pw_list canceled;
	unsigned n_guests;   /* loans that name this pool */
	unsigned asked;      /* links asked for from other workers */
	unsigned next_peer;  /* workers below have been asked since the last link or waiter came */
	bool goes_on_asking; /* an answer was: none. Those that were asked are not asked again */
	unsigned n_opening;
	unsigned n_learning;     /* links that ask what code the database holds */
	uint64_t empty_since_us; /* no guests and no links; 0 = in use */
	struct pw_counter_history stats;
	struct pw_task serve_task;
};

/* Are its links to replicas, so that there may be a choice? */
static inline bool pw_pool_is_of_replicas(const struct pw_pool *pool)
{
	return pool->cluster && pool->routing == PW_ROUTING_REPLICA;
}

/* One worker's pools and what they need of their surroundings. */
struct pw_pools {
	struct pw_loop *loop;
	struct pw_registry *registry;
	struct pw_snapshot *snapshot; /* a reference */
	unsigned snapshot_serial;     /* raised by every swap; never 0 */
	struct pw_resolver *resolver;
	struct pw_mailbox *mailbox; /* own */
	struct pw_pools **peers;    /* of all workers, own included; fixed after start */
	unsigned index, n_peers;
	struct pw_params_table params;
	struct pw_states states; /* of settings beyond these */
	struct pw_hash_key hash_key;
	struct pw_rng rng;
	struct pw_logctx log;
	struct pw_map map, by_id;
	struct pw_list cancels; /* cancel requests of this worker, pool/cancel.h */
	const struct pw_link_ops *link_ops;
	struct pw_clusters *clusters; /* of the process */
	struct pw_timer janitor;
	struct pw_timer retry; /* somebody waits for a place in a fair limit (base/fair_limit.h) */
	uint64_t next_average_us;
	struct pw_counters retired; /* of pools that are gone */
	bool is_lending;            /* inside on_link: a second one waits its turn */
	/* A pool goes, because its database does or was killed: the owner of the loans must let
	 * all of them end. */
	void (*on_pool_dropped)(struct pw_pools *pools, struct pw_pool *pool, const char *why);
	void *clients_arg; /* for the owner of the loans */
};

#endif

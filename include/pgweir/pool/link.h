/* SPDX-License-Identifier: PostgreSQL
 *
 * A server link: one connection to PostgreSQL, from connect to close.
 *
 * Owner: the pool of the worker on whose thread it lives. A client borrows it through a loan
 * (pool/pool.h) and may then put bytes on its stream, after telling the link which answers they
 * will bring (pw_link_expect). The link reads the server's side itself, keeps account of what was
 * answered, and hands the borrower what is the client's.
 *
 * A link is given on only when its state is known: nothing owed, no transaction, no cancel under
 * way. Whatever else happens ends in pw_link_close(), the single exit.
 *
 * Sources: PostgreSQL 15 docs 55.2 (message flow); 3.2 and long cancel keys: PostgreSQL 18.
 */
#ifndef PGWEIR_POOL_LINK_H
#define PGWEIR_POOL_LINK_H

#include <stdbool.h>
#include <stdint.h>

#include "pgweir/base/addr.h"
#include "pgweir/base/error.h"
#include "pgweir/base/log.h"
#include "pgweir/net/stream.h"
#include "pgweir/pool/expect.h"
#include "pgweir/pool/known.h"
#include "pgweir/pool/params.h"
#include "pgweir/pool/state.h"
#include "pgweir/proto/reader.h"
#include "pgweir/proto/startup.h"

struct pw_cluster;
struct pw_fair_limit;
struct pw_link_learning;
struct pw_link_login;
struct pw_loan;
struct pw_node_load;
struct pw_pool;
struct pw_seek;
struct pw_shared_pool;

enum pw_link_state {
	PW_LINK_RESOLVING,
	PW_LINK_CONNECTING,
	PW_LINK_TLS_REQUEST, /* waits for S or N */
	PW_LINK_TLS_HANDSHAKE,
	PW_LINK_LOGIN,
	PW_LINK_SETUP, /* connect_query runs */
	PW_LINK_IDLE,
	PW_LINK_STALE,    /* idle longer than server_check_delay: checked before it is lent */
	PW_LINK_CHECKING, /* server_check_query runs */
	PW_LINK_LENT,
	PW_LINK_RETURNING, /* given back; the input at hand is not worked through yet */
	PW_LINK_DRAINING,  /* its client has left: answers still come */
	PW_LINK_CANCELED,  /* answers are in; a cancel request is still under way */
	PW_LINK_CLEANING,  /* ROLLBACK, server_reset_query */
	PW_LINK_LEARNING,  /* asks what code the database holds */
	PW_LINK_CLOSED,
	PW_LINK_N_STATES,
};

/* Of several, or of one that is gone. */
#define PW_DRAWER_UNKNOWN UINT64_MAX

enum { PW_CANCEL_KEY_MAX = 4 + 256, PW_HOST_SIZE = 256 };

/* What stays true when the link moves to another worker. */
struct pw_link_facts {
	uint64_t id;
	uint64_t connect_us;
	uint64_t connect_wall_us;
	uint64_t login_us; /* when the server had let us in */
	uint64_t last_used_us;
	uint64_t last_owner; /* owner_id of the loan that had it last; 0 = none */
	uint64_t drawer;     /* of the one whose values its sequences have; 0 = nobody's */
	struct pw_addr addr;
	struct pw_addr local;
	unsigned epoch;                        /* of the shared pool when it was opened */
	unsigned code_generation;              /* of its database's code, the same */
	unsigned server_version;               /* its first number; 0 = not told */
	uint64_t definition;                   /* pool's definition when it was opened */
	uint8_t cancel_key[PW_CANCEL_KEY_MAX]; /* body of BackendKeyData */
	uint16_t cancel_key_len;
	bool is_tls;
	bool must_close;      /* when it is given back */
	bool is_untracked;    /* has what clients have left whom nobody looks at */
	bool has_temp_schema; /* a client has made temporary objects */
	struct pw_known known;
	struct pw_cluster *cluster; /* of its node, in which it is counted; NULL = it is of none */
	int slot;                   /* of the node in it, or PW_NO_SLOT */
	char host[PW_HOST_SIZE];    /* as configured: TLS checks it; "" = none */
	char unix_path[108];        /* "" = TCP */
};

struct pw_link {
	unsigned magic;
	enum pw_link_state state; /* written by pw_link_goto() alone */
	struct pw_list pool_node; /* in the pool's list of this state's home */
	struct pw_pool *pool;
	struct pw_shared_pool *shared; /* a reference, and one count of its limits */
	struct pw_loan *loan;          /* LENT: who has it; opening: for whom, if it is one's own */
	struct pw_loan *last;          /* who had it last, and is still there */
	/* Until nothing of its client's runs there any more: in which it is counted, NULL = it is
	 * of no node; and where it has a place, NULL = it needs none. */
	struct pw_node_load *load;
	struct pw_fair_limit *overflow;
	struct pw_seek *seek; /* another worker's loan wants it for its values; NULL = none does */
	uint64_t sought_since_us;        /* ... and waits for it since then */
	enum pw_replication replication; /* not NONE: one loan's own, closed with it */
	struct pw_stream stream;
	struct pw_reader reader;
	struct pw_logctx log;
	struct pw_expect_queue expects;
	struct pw_params *params;          /* as the server last reported them; a reference */
	struct pw_state *settings;         /* what its session has set beyond those; a reference */
	struct pw_link_login *login;       /* until it has logged in */
	struct pw_link_learning *learning; /* LEARNING */
	struct pw_timer timer;
	struct pw_task go_on_task; /* after the last cancel request */
	struct pw_task free_task;
	struct pw_link_facts facts;
	uint64_t state_since_us;
	uint64_t request_us;               /* the present query began; 0 = none */
	uint64_t transaction_us;           /* the present transaction began; 0 = none */
	uint64_t idle_in_transaction_us;   /* the last ReadyForQuery in a transaction */
	struct pw_list cancels;            /* requests under way: struct pw_link_cancel */
	struct pw_description description; /* what the present Describe has brought so far */
	struct pw_strbuf types; /* ... of its parameters, as in a Parse; empty = nothing */
	unsigned clean_todo;    /* CLEANING: what is still to be run */
	char transaction;       /* 'I', 'T', 'E' as of the last ReadyForQuery */
	bool is_parse_unsure; /* a statement was parsed, and a change of settings may yet be told */
	bool is_batch_open;   /* extended messages were sent, and no Sync yet */
	bool is_skipping;     /* after an error: the server waits for Sync */
	bool is_copy_in;      /* the server wants CopyData */
	bool is_copy_both;
	bool has_seen_ddl;  /* in the present transaction */
	bool has_seen_code; /* the same, of what code may be in or hang on */
	bool is_unsure;     /* a Sync may have been eaten by a COPY that failed */
	bool is_marker_seen;
	bool is_answering;     /* something came since the last ReadyForQuery */
	bool is_swallowing;    /* the message at hand is not the borrower's */
	bool is_reading_input; /* inside on_data */
	bool is_discarding; /* what else is sent in the batch runs only if DISCARD SEQUENCES has */
	bool is_syncing;    /* some of its client's settings are on it, and maybe not all */
	bool must_reset;    /* by DISCARD ALL, whatever server_reset_query says */
	bool has_unnamed;   /* its borrower's unnamed statement, or none as that has, was sent */
	bool is_unnamed_sure;   /* ... and taken: whatever comes, it is its borrower's */
	bool has_own_error;     /* a swallowed query of ours failed */
	bool has_discard_error; /* it was a DISCARD SEQUENCES */
	bool has_restore_error; /* it was what ends a RESET with the start-up packet's settings */
	char own_error[128];    /* ... with this message */
	char own_sqlstate[6];   /* ... and this code */
	bool has_told_fatal;    /* the borrower has the server's last words */
};

/* One cancel request under way; lies in the request. */
struct pw_link_cancel {
	struct pw_list node;
	struct pw_link *link; /* NULL once it is closed */
};

enum pw_link_end {
	PW_LINK_END_CLEAN,  /* closed by us for a reason of the pool */
	PW_LINK_END_BROKEN, /* the connection or the protocol broke */
	PW_LINK_END_LOGIN,  /* could not log in */
};

/* Opens a connection for the pool, or (`own`) for that loan alone; its place in all limits, that
 * of logins too, has been taken.
 * NULL without memory. Everything else is told later by upcalls of the pool or of the loan. */
struct pw_link *pw_link_open(struct pw_pool *pool, struct pw_loan *own);
/* Logs `reason`, tells the borrower (`err` NULL: "server conn crashed?"), gives the limits back,
 * leaves all lists; freed at the end of the turn. */
void pw_link_close(struct pw_link *link, enum pw_link_end end, const char *reason,
		   const struct pw_error *err);

/* ---- the borrower's side ---- */

/* Before the bytes go out: what will the server answer? PW_ENOMEM: send nothing. */
PW_MUSTCHECK enum pw_status pw_link_expect(struct pw_link *link, const struct pw_expect *entry);
/* Answers of our own at the head of the queue are due: tells the borrower. */
void pw_link_settle_local(struct pw_link *link);
/* Has the server anything to do, or half of it? Not with what we have answered ourselves. */
static inline bool pw_link_has_request(const struct pw_link *link)
{
	return link->expects.n > 0 || link->is_batch_open;
}
/* Did that go ahead of what its borrower asked for: settings (is_syncing), DISCARD SEQUENCES? */
static inline bool pw_link_is_ahead(const struct pw_link *link, uint32_t index)
{
	return (link->is_syncing && index == 0) ||
	       pw_expect_at(&link->expects, index)->flags & PW_EXPECT_DISCARD;
}
/* Does that run just now? */
static inline bool pw_link_runs_ahead(const struct pw_link *link)
{
	return link->expects.n > 0 && pw_link_is_ahead(link, 0);
}
/* Is nothing else owed? */
static inline bool pw_link_owes_only_ahead(const struct pw_link *link)
{
	const uint32_t n = link->expects.n;

	return !link->is_batch_open && n <= 2 && (n == 0 || pw_link_is_ahead(link, n - 1)) &&
	       (n < 2 || pw_link_is_ahead(link, 0));
}
/* Nothing owed and no transaction: may be given back. */
static inline bool pw_link_seems_free(const struct pw_link *link)
{
	return link->expects.n == 0 && link->transaction == 'I' && !link->is_batch_open &&
	       !link->is_skipping && !link->is_copy_both;
}
static inline bool pw_link_is_free(const struct pw_link *link)
{
	return pw_link_seems_free(link) && !link->is_unsure;
}
/* Will the server skip the next message, too? Not where a Sync is on its way. */
static inline bool pw_link_skips_next(const struct pw_link *link)
{
	return link->is_skipping && link->expects.n_syncs == 0;
}
/* In a COPY whose end was not sent, or when it skips and has no Sync to find: then the borrower
 * must not wait for the server. */
static inline bool pw_link_awaits_borrower(const struct pw_link *link)
{
	return (link->is_copy_in && link->expects.n_copy_ends == 0) || link->is_copy_both ||
	       pw_link_skips_next(link);
}
/* Is it certain which statements there will be when the server reads the next message? Not while a
 * command may make it forget all, or a Sync may end the skipping of what was to change them. */
static inline bool pw_link_is_settled(const struct pw_link *link)
{
	const struct pw_expect_queue *queue = &link->expects;

	if (pw_link_awaits_borrower(link))
		return true;
	return queue->n_forgets == 0 && (queue->n_doubtful == 0 || queue->n_sync_points == 0);
}
/* Where nothing but doubt about lost Syncs keeps it from being free: asks the server. To be called
 * between two messages of the borrower's; on_ready() follows. */
void pw_link_find_out(struct pw_link *link);
/* Sends a query of our own whose answers the borrower does not see. */
PW_MUSTCHECK enum pw_status pw_link_query(struct pw_link *link, const char *sql);
/* LENT and free: asks what code the database holds, unless somebody does so already (false). The
 * answer comes to the borrower, who hands it in. */
bool pw_link_learn_lent(struct pw_link *link);
void pw_link_learn_piece(struct pw_link *link, const struct pw_piece *piece);
/* It is complete. */
void pw_link_learned(struct pw_link *link);
/* Within on_link, of a link of one's own: the untracked parameters that its server reported at
 * login, as ParameterStatus messages. */
void pw_link_welcome(const struct pw_link *link, struct pw_strbuf *out);

/* Have its sequences the values that the loan has drawn, all of the latest ones? */
bool pw_link_has_draws_of(const struct pw_link *link, const struct pw_loan *loan);
/* Lent: have its sequences values that are not the borrower's? */
bool pw_link_has_foreign_draws(const struct pw_link *link);
/* Lent, and nothing owed: the borrower's transaction is over, and may have drawn values. */
void pw_link_settle_draws(struct pw_link *link, bool has_drawn);
/* What its sequences have is not that of whoever drew it last: nothing (0), or PW_DRAWER_UNKNOWN.
 */
void pw_link_forget_draws(struct pw_link *link, uint64_t drawer);

/* ---- within the pool layer ---- */

/* The only writer of link->state. */
void pw_link_goto(struct pw_link *link, enum pw_link_state state);
/* Gives its place among what the primary runs for want of replicas back, if it has one. */
void pw_link_end_overflow(struct pw_link *link);
/* Lends it: IDLE -> LENT. */
void pw_link_lend(struct pw_link *link, struct pw_loan *loan);
/* Nobody's last any more: it goes. */
void pw_link_forget_last(struct pw_link *link);
/* The loan has ended; decides between idle, cleaning, draining and closing. `has_left`: the
 * client is gone; `may_finish`: it said Terminate, so what it asked for runs to its end. */
void pw_link_end_loan(struct pw_link *link, bool has_left, bool may_finish);
/* Runs server_check_query; then the link is idle. */
void pw_link_check(struct pw_link *link);
/* A cancel request to its server began or ended (pool/cancel.h). */
void pw_link_cancel_began(struct pw_link *link, struct pw_link_cancel *cancel);
void pw_link_cancel_ended(struct pw_link_cancel *cancel, bool was_sent);

const char *pw_link_state_name(enum pw_link_state state);
/* What is said when the state's time limit is over; NULL where it has none. */
const char *pw_link_timeout_reason(enum pw_link_state state);
/* The pool's list for links of that state. */
struct pw_list *pw_pool_home(struct pw_pool *pool, enum pw_link_state state);
static inline bool pw_link_is_opening(enum pw_link_state state)
{
	return state <= PW_LINK_SETUP;
}

#endif

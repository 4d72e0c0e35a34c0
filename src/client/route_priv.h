/* SPDX-License-Identifier: PostgreSQL
 *
 * Where reads are split off (routing = split): what a client asks runs on the primary, but for what
 * is proved to read, which runs on a replica that has all that the client must see.
 *
 * A request is what a client sends up to a Sync, or a Query: one transaction, if none is open, and
 * so for one node. It is gathered, looked at as a whole (route.c), and then sent (relay_route.c).
 */
#ifndef PGWEIR_CLIENT_ROUTE_PRIV_H
#define PGWEIR_CLIENT_ROUTE_PRIV_H

#include "client_priv.h"
#include "pgweir/pool/readable.h"
#include "pgweir/proto/messages.h"
#include "pgweir/sql/sets.h"

/* Where a request is run, and why: SHOW ROUTES. */
enum pw_route {
	PW_ROUTE_READ,        /* on a replica */
	PW_ROUTE_WRITE,       /* the primary: it is no read, by PostgreSQL's grammar */
	PW_ROUTE_DOUBT,       /* it names what may write, or tells something of its node */
	PW_ROUTE_UNREAD,      /* nobody looks at its text, or into its statement */
	PW_ROUTE_TRANSACTION, /* it begins a transaction that may write, or ends one */
	PW_ROUTE_SESSION,     /* the session is where it has what cannot be carried */
	PW_ROUTE_UNSEEN,      /* no replica has yet what the session must see */
	PW_ROUTE_OVERFLOW,    /* no replica is fresh enough */
	PW_ROUTE_NOWHERE,     /* the same, or the one above, and the primary is not to run it */
	PW_ROUTE_REFUSED,     /* a replica has refused it, or the like of it before */
	PW_ROUTE_LOST,        /* a replica could not finish it */
	PW_ROUTE_HINT,        /* its text or its session says so */
	PW_ROUTE_N,
};

/* Counted together: these, and the kinds of doubt. */
enum { PW_ROUTES_COUNTED = PW_ROUTE_N + PW_DOUBT_N };

/* A request as far as it has come. */
enum pw_extent {
	PW_EXTENT_PART,  /* more is to come */
	PW_EXTENT_WHOLE, /* up to its Sync */
	PW_EXTENT_OPEN,  /* its end is not waited for: a Flush, a message that is too long, ... */
};

/* What is known of all that a request runs. */
struct pw_request {
	enum pw_route route;  /* READ, or the first thing that speaks against it */
	enum pw_doubt doubt;  /* ... where that is DOUBT */
	unsigned kinds;       /* bit set of enum pw_sql_read */
	unsigned transaction; /* PW_SQL_TRANSACTION_* */
	bool is_plain_write;  /* the last text is one that gives nothing back */
	bool is_trusted;      /* whoever wrote it says that it reads */
	bool has_trusted;     /* ... of some of it, which nobody has proved */
	size_t n_texts;
	uint64_t look;      /* which one of the worker's */
	unsigned depth;     /* it is run by a statement that is run by ... so many */
	bool begins_again;  /* ... behind the end of a transaction */
	bool has_ended;     /* one was ended */
	size_t n_runs;      /* statements that bring answers of their own */
	struct pw_id shape; /* of its last text, as are the next two */
	size_t n_statements;
	uint64_t firsts; /* bit set of enum pw_sql_word */
};

struct pw_client_route {
	struct pw_client *client;
	struct pw_token token; /* what the session must see */
	/* BEGIN, SET TRANSACTION: messages that the client takes for done and no server has had. */
	struct pw_strbuf begun;
	unsigned n_begun;
	unsigned begun_as;             /* PW_SQL_TRANSACTION_* of them */
	uint64_t told_us;              /* when the last of them was told to be done */
	bool is_sending;               /* ... just now */
	bool is_beginning;             /* they were sent, and are not answered */
	struct pw_id shape;            /* of the text that a replica was sent */
	bool has_shape;                /* ... if it was the only one */
	uint64_t serial;               /* of the request that a replica was sent last */
	enum pw_consistency noted_for; /* the token has all that this asks for */
	struct pw_strbuf sent; /* what that was sent, while it may be sent to the primary instead */
	struct pw_strbuf answer; /* ... since all that has come is kept back, or less than a row */
	bool may_repeat;
	bool reads_by_name; /* all that it runs by name is proved to read */
	bool keeps_rows;    /* ... also rows: other statements come behind them */
	bool is_repeating;  /* PREPARING: all else that the replica says is dropped */
	/* What was sent uses a statement; makes an unnamed one; uses that of before. */
	bool has_bound, has_parsed, has_bound_earlier;
	bool is_written;       /* the request at hand is a write, in no transaction */
	bool is_unseen;        /* ... is a read that the primary is to run for what must be seen */
	enum pw_route goes_as; /* ... goes to replicas, and counts as that once it has a link */
	uint64_t imported;     /* a hash of the pgweir.lsn that the token has; 0 = none */
	uint64_t waits_since_us;  /* ROUTING: for a replica that has all; 0 = it does not */
	uint64_t waits_until_us;  /* ... and no longer; 0 = until there is one */
	unsigned looked_at;       /* ... the cluster's version then, or one before */
	uint64_t tied_since_us;   /* it reads, since then, for nothing else where it has read */
	uint64_t paused_us;       /* it was last made to pause for that; 0 = never */
	uint64_t lost_since_us;   /* replicas have lost it since then; 0 = none has */
	uint64_t queued_since_us; /* QUEUED since then, routed anew meanwhile; 0 = no */
	unsigned n_lost;          /* ... after it was sent to them */
	unsigned n_refused;       /* it has got no link, where the primary may do it too */
	bool must_fail;           /* nobody is to run the request at hand, nor will be */
	bool has_failed;          /* ROUTING: ... or it has waited long enough */
	bool is_proving;          /* the primary does what a replica has refused */
	bool avoids_replicas;     /* the next request, once */
	enum pw_route because;    /* ... for this reason */
	struct pw_task again;     /* the link is gone */
};

/* ---- routes.c ---- */
/* Made where it is not there yet; NULL without memory. */
struct pw_client_route *pw_route_get(struct pw_client *c, void (*again)(struct pw_task *task));
void pw_route_end(struct pw_client *c);

/* Behind white space, and comments without others in them. */
const char *pw_route_skip_blanks(const char *text, bool with_comments);

static inline const char *pw_route_skip(const char *text, bool with_comments)
{
	return (uint8_t)*text > ' ' && *text != '/' ? text
						    : pw_route_skip_blanks(text, with_comments);
}

/* Does a text begin so, in whatever case? The word is in small letters. */
static inline bool pw_route_begins_with(const char *text, const char *word)
{
	while (*word && (*text | (*word >= 'a' ? 0x20 : 0)) == *word)
		text++, word++;
	return *word == '\0';
}

/* Three letters tell most texts apart, before anybody looks for their end. */
static inline bool pw_route_may_begin_with(const struct pw_cursor *body, const char *three)
{
	bool has_word =
	    pw_cursor_left(body) >= 3 && (*body->at | 0x20) >= 'a' && (*body->at | 0x20) <= 'z';

	return !has_word || pw_route_begins_with((const char *)body->at, three);
}

/* Is its loan about the replicas' pool? */
static inline bool pw_route_is_apart(const struct pw_client *c)
{
	return c->route && c->loan.pool->shared->of_replicas;
}

/* Is it in a transaction of which no server has heard? */
static inline bool pw_route_has_begun(const struct pw_client *c)
{
	return c->route && c->route->n_begun > 0;
}

/* The primary's, in whichever the loan is; NULL = it is gone. */
static inline struct pw_pool *pw_route_home(const struct pw_client *c)
{
	struct pw_pool *pool = c->loan.pool;

	return pool->shared->of_replicas ? pool->home : pool;
}

/* Are its reads split off? */
static inline bool pw_route_is_split(const struct pw_client *c)
{
	const struct pw_pool *home = pw_route_home(c);

	return home && home->is_split && c->session && c->loan.mode != PW_MODE_SESSION &&
	       c->loan.replication == PW_REPLICATION_NONE;
}

/* ---- route.c ---- */
/* How far does the request go that begins with this piece, and goes on in `rest`? */
enum pw_extent pw_route_measure(const struct pw_client *c, const struct pw_piece *piece,
				const struct pw_slice *rest);
/* The same of what is held, which begins with it. */
enum pw_extent pw_route_measure_held(const struct pw_client *c);
/* Length of what the client waits for: through its first ReadyForQuery. 0 = not whole yet. */
size_t pw_route_first_held(const struct pw_strbuf *held);
/* One that nobody has looked at. */
struct pw_request pw_route_request(struct pw_client *c);
/* Looks at all of it, which must be whole. */
void pw_route_look(struct pw_client *c, const struct pw_piece *piece, const struct pw_slice *rest,
		   struct pw_request *request);
/* The same of one text. */
void pw_route_look_at_text(struct pw_client *c, const char *text, size_t len,
			   struct pw_request *request);
/* A replica has refused what the primary did: no text of that shape is sent to one again. */
void pw_route_remember(struct pw_client *c, struct pw_id shape);

/* Of a whole message. */
static inline uint32_t pw_route_length(const uint8_t *message)
{
	return pw_load_u32(message + 1) + 1;
}

/* A whole message of ours in the place of one that was to be passed on: it must stay. */
static inline struct pw_piece pw_route_piece_of(uint8_t type, const struct pw_strbuf *message)
{
	return (struct pw_piece){.data = (const uint8_t *)message->data,
				 .len = message->len,
				 .total = (uint32_t)message->len,
				 .type = type,
				 .is_first = true,
				 .is_last = true,
				 .is_transient = true};
}

/* ---- route_settings.c ---- */
/* Does it set what is pgweir's own to what it cannot be? Then the text from `from` to the end of
 * the value is added to `out`, as a server refuses it. Returns how far the text was added: `from`,
 * if it does not. */
size_t pw_route_refuse(struct pw_strbuf *out, const char *text, size_t from,
		       const struct pw_set *set);
/* An error as the client is to have it, in `out`: that which comes of it, in its own words, and
 * with a hint what a standby refuses as such; or the same one. */
struct pw_piece pw_route_word(const struct pw_client *c, const struct pw_piece *piece,
			      struct pw_strbuf *out);
/* The same of what the start-up packet asks for. */
bool pw_route_refuses_settings(const struct pw_client *c, struct pw_error *err);

/* ---- route_token.c ---- */
/* What the session has set: pgweir.lsn is to be seen. */
void pw_route_import(struct pw_client *c);
/* Has it a text, which may be SHOW pgweir.lsn, or SET of one of pgweir's own? */
static inline bool pw_route_may_ask(const struct pw_piece *piece)
{
	return piece->type == 'Q' || piece->type == 'P';
}

/* The former is a question to the node, the latter may have to be refused: the message to be sent
 * in the place of this one, whose bytes are in `out`; or the same one. */
struct pw_piece pw_route_translate(struct pw_client *c, const struct pw_piece *piece,
				   struct pw_strbuf *out);

/* ---- route_wait.c ---- */
enum { PW_ROUTE_LOOK_AGAIN_US = 5 * 1000 };

/* Is the limit, in microseconds since it began to wait, not over yet? Then it is ROUTING. */
bool pw_route_waits(struct pw_client *c, uint64_t limit);
/* How long for one that has what the session must see. */
uint64_t pw_route_patience(const struct pw_client *c);
/* How long for the next round to show that it has, by a link that was opened for the session. */
uint64_t pw_route_patience_for_link(const struct pw_client *c);
/* How long for any, while the primary is not to do it. */
uint64_t pw_route_patience_for_replica(struct pw_client *c);
/* Each time that replicas lose it, it waits anew; is all of that as long as to wait once? */
bool pw_route_is_lost_for_long(struct pw_client *c, uint64_t limit);
/* It has been decided where the request goes. */
void pw_route_note_tie(struct pw_client *c, enum pw_route route);

/* ---- relay_route.c ---- */
/* ROUTING: what is held is fed again. */
void pw_route_feed(struct pw_client *c);
/* Without a link: is it a BEGIN, or what goes with one, that is told to be done? */
bool pw_route_begins(struct pw_client *c, const struct pw_piece *piece);
/* Without a link: where is the request to run? False: it is not known yet (ROUTING), or the client
 * is closed. */
bool pw_route_choose(struct pw_client *c, const struct pw_piece *piece,
		     const struct pw_slice *rest);
/* ROUTING: its time is over (false: not for this); more has come. */
bool pw_route_on_timeout(struct pw_client *c);
void pw_route_go_on(struct pw_client *c);
/* It has got a link. False: that does not do, and another is waited for. */
bool pw_route_suits(struct pw_client *c);
/* News: who queues for the primary only for what it must see, goes elsewhere once that is lost. */
void pw_route_follow(struct pw_client *c, const struct pw_cluster *cluster);
/* The link is to hear first what has begun, each by `send`. False: the client is closed. */
bool pw_route_send_begun(struct pw_client *c,
			 bool (*send)(struct pw_client *c, const struct pw_piece *piece));
/* PW_EXPECT_*: of what is being sent. */
unsigned pw_route_flags(const struct pw_client *c);
/* The link is not to be had, or gone, and has been sent nothing: the primary's will do. */
void pw_route_go_elsewhere(struct pw_client *c);
/* Must a request wait until those before it are answered, since it may be for another node? */
bool pw_route_must_wait(const struct pw_client *c);
/* The client has no link any more. */
void pw_route_leave(struct pw_client *c);

/* What the link runs is known, though an EXECUTE does not say it: it leaves nothing. */
static inline bool pw_route_reads_by_name(const struct pw_client *c)
{
	return pw_route_is_apart(c) && c->route->reads_by_name;
}

/* ---- relay_again.c ---- */
/* A message was sent. */
void pw_route_keep(struct pw_client *c, const struct pw_piece *piece);
/* A piece of the server's; true: it is kept back, or dropped. */
bool pw_route_hear(struct pw_client *c, const struct pw_piece *piece);
/* The same of an answer of our own. */
bool pw_route_keep_answer(struct pw_client *c, const void *data, size_t len);
/* A ReadyForQuery; true: the request is sent elsewhere now, or will be. */
bool pw_route_ready(struct pw_client *c, bool was_swallowed);
/* The first request that is held gets this error in place of a link. False: it is not whole, or
 * cannot be given up by itself. */
bool pw_route_refuse_held(struct pw_client *c, struct pw_error *err);
/* There will be no link. True: another one is waited for, or the request has got the error. */
bool pw_route_refused(struct pw_client *c, const struct pw_error *err);
bool pw_route_is_repeating(const struct pw_client *c);
/* The link is gone; true: the request will be sent elsewhere. */
bool pw_route_lost(struct pw_client *c, const struct pw_error *err);

#endif

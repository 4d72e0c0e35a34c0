/* SPDX-License-Identifier: PostgreSQL
 *
 * Listening without a server connection of one's own: one connection for each database listens to
 * all channels of all clients, and each notification that comes on it is given to those who listen.
 *
 * That connection, the hub, is an ordinary link of a pool, kept by a loan: it has its place in
 * every limit. It lives on one worker. Each worker that has subscribers of the database has a
 * station, which says what they want and gives them what comes; stations and the hub speak by mail.
 * The first link that a listening client would have to keep becomes the hub. When it is lost, every
 * station with subscribers asks its pool for another one, and the first to get it has the hub.
 *
 * PostgreSQL's queue of notifications has one order for the whole database. So a mark, which is a
 * notification too, cuts it in two for everybody in the same place: a subscriber is given what
 * comes on the hub up to one mark, and on a link of its own from there up to the next. Nothing is
 * lost by that, doubled or put in another order.
 *
 * Owner: the worker (struct pw_hubs). All calls on its thread.
 */
#ifndef PGWEIR_HUB_HUB_H
#define PGWEIR_HUB_HUB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pgweir/base/list.h"
#include "pgweir/base/map.h"
#include "pgweir/base/status.h"
#include "pgweir/base/wheel.h"
#include "pgweir/hub/channels.h"
#include "pgweir/pool/objects.h"

struct pw_hub_mail;
struct pw_hubs;
struct pw_station;
struct pw_subscriber;

enum { PW_HUB_MAIL_N_KINDS = 7 };

struct pw_subscriber_ops {
	/* A whole NotificationResponse. No subscriber may leave within. */
	void (*on_message)(struct pw_subscriber *s, const uint8_t *data, size_t len);
	/* The hub has come, or gone, or listens to what was wanted, or has met the mark up to which
	 * it counts. */
	void (*on_change)(struct pw_subscriber *s);
};

/* One worker's part. The first fields are its maker's. */
struct pw_hubs {
	struct pw_pools *pools;
	struct pw_hubs **peers; /* of all workers, by pools->index; fixed after start */
	const struct pw_subscriber_ops *ops;
	struct pw_list stations;
	struct pw_timer tick;
	char channel[48]; /* of the marks; the process's secret */
	/* By kind of mail, hubs.c. */
	void (*receive[PW_HUB_MAIL_N_KINDS])(struct pw_hubs *hubs, const struct pw_hub_mail *m);
};

PW_MUSTCHECK enum pw_status pw_hubs_init(struct pw_hubs *hubs);
/* All subscribers have left. Before the pools end. */
void pw_hubs_fini(struct pw_hubs *hubs);
/* A pool goes: no loan for it stays. */
void pw_hubs_leave_pool(struct pw_hubs *hubs, const struct pw_pool *pool);

struct pw_mark {
	struct pw_map_node node; /* in its station's map, while it is awaited */
	struct pw_list age_node;
	struct pw_subscriber *subscriber;
	uint64_t token; /* not awaited: the last one, or 0 */
	uint64_t since_us;
	bool is_awaited;
};

/* Lies in its owner's object. It begins by itself: what its own link says counts. */
struct pw_subscriber {
	struct pw_list node;        /* in its station's list */
	struct pw_list wait_node;   /* ... of those who wait for the hub to listen */
	struct pw_station *station; /* NULL = it is none */
	struct pw_pool *pool;
	struct pw_list subscriptions;
	struct pw_mark from, until;
	uint64_t ticket; /* of the request that covers all its channels */
	bool is_on;      /* what comes on the hub is given to it */
	bool is_away;    /* its own link counts, or will */
	bool has_missed; /* the hub was lost while it counted. Its owner clears this */
};

void pw_subscriber_init(struct pw_subscriber *s);
/* Of the pool's database. Without memory PW_ENOMEM; more than once does no harm. */
PW_MUSTCHECK enum pw_status pw_subscriber_join(struct pw_subscriber *s, struct pw_hubs *hubs,
					       struct pw_pool *pool);
/* Harmless where it has not joined. */
void pw_subscriber_leave(struct pw_subscriber *s);

enum pw_hub_answer {
	PW_HUB_NONE,    /* no hub, none in that encoding, or no memory */
	PW_HUB_AWAITED, /* on_change() follows */
	PW_HUB_LISTENS, /* to all of them */
};
/* It wants these channels, and no others. The names and what comes are in `encoding`. */
enum pw_hub_answer pw_subscriber_want(struct pw_subscriber *s, const struct pw_channels *channels,
				      const char *encoding);
/* Where there is no hub the link of that loan, which is free and listens to these channels, becomes
 * it, and the loan is void. False: it cannot. is_kept: it is counted among the links that clients
 * keep, and will be no more. */
bool pw_subscriber_found(struct pw_subscriber *s, const struct pw_channels *channels,
			 const char *encoding, struct pw_loan *loan, bool is_kept);

/* Has the hub begun, if there is one? Before that no mark would come. on_change() follows. */
bool pw_subscriber_is_settled(const struct pw_subscriber *s);
/* It was waited for in vain. */
void pw_subscriber_doubt(struct pw_subscriber *s);

/* Adds to `sql` what makes a mark, from which on the hub does not count, or counts. */
void pw_subscriber_stop_at(struct pw_subscriber *s, struct pw_strbuf *sql);
void pw_subscriber_go_on_at(struct pw_subscriber *s, struct pw_strbuf *sql);
/* Is it the payload of that mark? */
bool pw_mark_is(const struct pw_mark *mark, const char *payload);
/* The mark will not come: it is as if it had, and something may be missing. */
void pw_mark_give_up(struct pw_mark *mark);

#endif

/* SPDX-License-Identifier: PostgreSQL
 *
 * Between the files of the hub, lowest first: sets of names (channels.c), who wants which
 * (board.c), mail (mail.c), the connection (hub.c), subscribers (station.c), the worker's part
 * (hubs.c). A hub lies in the station of its worker and database.
 */
#ifndef PGWEIR_HUB_HUB_PRIV_H
#define PGWEIR_HUB_HUB_PRIV_H

#include "pgweir/hub/hub.h"
#include "pgweir/net/mailbox.h"
#include "pgweir/pool/pool.h"

/* ---- board.c: which workers want which channels ---- */

struct pw_board {
	struct pw_map map;
	const struct pw_hash_key *key;
};

struct pw_board_entry;

void pw_board_init(struct pw_board *board, const struct pw_hash_key *key);
void pw_board_clear(struct pw_board *board);
/* Adds LISTEN to `sql` where nobody has wanted it yet. PW_ENOMEM: nothing has changed. */
PW_MUSTCHECK enum pw_status pw_board_want(struct pw_board *board, const char *name, unsigned worker,
					  struct pw_strbuf *sql);
/* Adds UNLISTEN where nobody wants it any more. */
void pw_board_drop(struct pw_board *board, const char *name, unsigned worker,
		   struct pw_strbuf *sql);
/* NULL = nobody wants it. */
const struct pw_board_entry *pw_board_find(const struct pw_board *board, const char *name);
bool pw_board_is_wanted_by(const struct pw_board_entry *entry, unsigned worker);

/* ---- mail.c ---- */

enum pw_hub_mail_kind {
	/* to the hub */
	PW_HUB_MAIL_WANT,  /* names; `ticket` comes back when the server listens to them */
	PW_HUB_MAIL_DROP,  /* names */
	PW_HUB_MAIL_DOUBT, /* an answer, or a mark, does not come */
	/* to stations */
	PW_HUB_MAIL_CAME, /* `text` is the database's name */
	PW_HUB_MAIL_GONE,
	PW_HUB_MAIL_LISTENS, /* ticket */
	PW_HUB_MAIL_HEARD,   /* NotificationResponses */
};

struct pw_hub_mail {
	struct pw_mail mail;
	struct pw_hubs *to;
	enum pw_hub_mail_kind kind;
	unsigned from; /* worker */
	uint64_t hub;  /* the id of the hub that it is about: never used twice */
	uint64_t ticket;
	struct pw_strbuf text;
};

/* Takes the contents of `text` (NULL = none) over. False without memory: nothing is sent. */
bool pw_hub_post(struct pw_hubs *hubs, unsigned to, enum pw_hub_mail_kind kind, uint64_t hub,
		 uint64_t ticket, struct pw_strbuf *text);

/* An id names its worker; none is as small as this, which stands for one that is not there yet. */
enum { PW_HUB_IN_THE_MAKING = 1 };
static inline unsigned pw_hub_worker(uint64_t id)
{
	return (unsigned)(id & 0xffff) - 1;
}

/* ---- hub.c ---- */

enum pw_hub_state {
	PW_HUB_AWAY,    /* there is none here */
	PW_HUB_SEEKING, /* asks the pool for a link */
	PW_HUB_HERE,
	PW_HUB_LEAVING, /* its link is being given back */
};

/* A worker, as the hub sees it. */
struct pw_hub_peer {
	uint64_t due, running; /* tickets to be answered: behind the next, the present query */
	struct pw_strbuf heard;
};

struct pw_hub {
	struct pw_hubs *hubs;
	struct pw_shared_db *db; /* the station's reference */
	enum pw_hub_state state;
	struct pw_loan loan;
	uint64_t id; /* HERE */
	char encoding[64];
	struct pw_board board;
	struct pw_strbuf sql; /* to be run next */
	bool is_asking;
	struct pw_hub_peer *peers;
	uint64_t since_us; /* HERE */
	uint64_t retry_at_us, unused_since_us;
};

PW_MUSTCHECK enum pw_status pw_hub_init(struct pw_hub *hub, struct pw_hubs *hubs,
					struct pw_shared_db *db);
/* No hub, and no loan. */
void pw_hub_fini(struct pw_hub *hub);
/* Asks for a link; the hub comes with it, unless there is one by then. */
void pw_hub_seek(struct pw_hub *hub, struct pw_pool *pool, const char *encoding);
void pw_hub_stop_seeking(struct pw_hub *hub);
/* That loan's link is the hub from now on; is_kept as in pw_subscriber_found(). False: there is one
 * already, or it cannot be. */
bool pw_hub_take(struct pw_hub *hub, struct pw_loan *loan, const char *encoding, bool is_kept);
/* Names with their zero bytes. */
void pw_hub_want(struct pw_hub *hub, unsigned worker, const struct pw_strbuf *names,
		 uint64_t ticket);
void pw_hub_drop(struct pw_hub *hub, unsigned worker, const struct pw_strbuf *names);
void pw_hub_give_up(struct pw_hub *hub, const char *why);
/* From time to time: is it to be given up? */
void pw_hub_tend(struct pw_hub *hub);
/* Could a link of the pool be kept, and others still be had? Does it have one server? */
bool pw_hub_may_be_of(const struct pw_pool *pool);
uint64_t pw_hub_encoding_id(const struct pw_hubs *hubs, const char *encoding);

/* ---- stations ---- */

struct pw_station {
	struct pw_list node; /* in hubs->stations */
	struct pw_hubs *hubs;
	struct pw_shared_db *db; /* a reference */
	struct pw_list subscribers, waiting;
	struct pw_map channels;
	struct pw_map marks;
	struct pw_list marks_by_age;
	uint64_t attached; /* the id of the hub; 0 = to none */
	uint64_t last_ticket, done_ticket;
	uint64_t first_ticket; /* of the present hub: behind it all is as it was */
	char encoding[64];     /* the last one that was wanted */
	struct pw_hub hub;
};

/* ---- marks.c ---- */
void pw_subscriber_set_away(struct pw_subscriber *s, bool is_away);
/* It is awaited no more. */
void pw_mark_end(struct pw_mark *mark);
/* One that came with the hub's notifications; NULL = it is nobody's. */
struct pw_mark *pw_mark_take(struct pw_station *station, const char *payload);
/* Has the oldest been awaited for too long? */
bool pw_mark_is_late(const struct pw_station *station);

/* ---- subscriptions.c ---- */
/* To these channels and no others; the names that nobody wants any more are added to `dropped`.
 * False without memory: some may be missing. */
bool pw_subscriptions_set(struct pw_subscriber *s, const struct pw_channels *channels,
			  struct pw_strbuf *dropped);
/* The names that the hub was not asked for yet, as the next request; and the subscriber's ticket.
 */
void pw_subscriptions_ask(struct pw_subscriber *s, struct pw_strbuf *names);
/* All names, for a hub that is new. */
void pw_subscriptions_ask_all(struct pw_station *station, struct pw_strbuf *names);
/* To all whose turn it is. */
void pw_subscriptions_give(struct pw_station *station, const struct pw_notification *n,
			   const uint8_t *data, size_t len);

/* ---- station.c ---- */
struct pw_station *pw_station_of_hub(struct pw_hubs *hubs, uint64_t id);
void pw_station_hub_came(struct pw_hubs *hubs, const struct pw_hub_mail *m);
void pw_station_hub_gone(struct pw_hubs *hubs, const struct pw_hub_mail *m);
void pw_station_listens(struct pw_hubs *hubs, const struct pw_hub_mail *m);
void pw_station_heard(struct pw_hubs *hubs, const struct pw_hub_mail *m);
/* From time to time; false: it has ended, since nobody needs it. */
bool pw_station_tend(struct pw_station *station);
void pw_station_destroy(struct pw_station *station);

#endif

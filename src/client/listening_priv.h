/* SPDX-License-Identifier: PostgreSQL
 *
 * Between the files that see to what a client listens to: see client_priv.h. Same thread as the
 * client.
 */
#ifndef PGWEIR_CLIENT_LISTENING_PRIV_H
#define PGWEIR_CLIENT_LISTENING_PRIV_H

#include "client_priv.h"

/* What a client listens to that is, or could be, without a link between transactions. */
struct pw_client_listening {
	struct pw_client *client;
	struct pw_subscriber subscriber;
	struct pw_channels channels; /* as the server said last */
	struct pw_strbuf early;      /* heard from one source while the other has its turn yet */
	struct pw_task flood;        /* it does not read */
	bool is_on_link;             /* its link listens to them */
	bool is_counting;            /* ... and what comes there is the client's */
	bool is_mark_sent;           /* UNLISTENING: else the hub is waited for */
};

/* ---- listening.c ---- */
void pw_listening_end(struct pw_client *c);
/* The server has said what it listens to; takes the names over. False without memory. */
bool pw_listening_take(struct pw_client *c, struct pw_channels *found);
/* SYNCING: is the link to listen? Asks it to, false without memory. Has the hub come to where the
 * link begins, or will not? Then the link is what is heard. */
bool pw_listening_must_follow(const struct pw_client *c);
bool pw_listening_follow(struct pw_client *c);
bool pw_listening_has_followed(const struct pw_client *c);
void pw_listening_followed(struct pw_client *c);
void pw_listening_give_up(struct pw_client *c);

enum { PW_HUB_PATIENCE_US = 5 * 1000 * 1000 };

enum pw_listening_step {
	PW_LISTENING_LEFT,   /* the link listens to nothing */
	PW_LISTENING_WAITS,  /* UNLISTENING */
	PW_LISTENING_STAYS,  /* it keeps its link: there is no hub to be had */
	PW_LISTENING_GIVEN,  /* UNLISTENING: the link has become the hub, and the loan is void */
	PW_LISTENING_CLOSED, /* it is closed */
};
/* The link, which is free, is to go back. */
enum pw_listening_step pw_listening_leave(struct pw_client *c);
/* UNLISTENING: is the hub waited for, and not the link's answer? Is it there? */
bool pw_listening_needs_hub(const struct pw_client *c);
bool pw_listening_has_hub(const struct pw_client *c);
/* The link was asked to listen no more, and has answered. */
void pw_listening_left(struct pw_client *c);

/* ---- hearing.c ---- */
/* A notification of the link's: true, it was seen to. */
bool pw_hearing_take(struct pw_client *c, const struct pw_piece *piece);
/* One of the hub's. */
void pw_hearing_on_message(struct pw_client *c, const uint8_t *data, size_t len);
/* What was kept back is given now, and that something may be missing is told if no more will be. */
void pw_hearing_go_on(struct pw_client *c);

/* ---- relay_session.c ---- */
/* It keeps its link because it listens. False: it is closed. */
bool pw_session_keep(struct pw_client *c);

/* ---- relay_loan.c ---- */
/* UNLISTENING: the hub, or the link, has answered. */
void pw_relay_unlistened(struct pw_client *c);

/* ---- relay_hub.c ---- */
extern const struct pw_subscriber_ops pw_relay_hub_ops;
/* SYNCING, UNLISTENING: the hub was waited for in vain. */
void pw_relay_on_hub_timeout(struct pw_client *c);

#endif

/* SPDX-License-Identifier: PostgreSQL
 *
 * The only way across threads: a lock-free stack of mails that the owner's loop empties in the
 * order of posting, woken by an eventfd.
 *
 * A mail owns what it carries. Posting gives the mail to the receiver; it runs `deliver` there,
 * once, and deliver frees the mail. Mail still in the box when it is closed gets `discard`.
 */
#ifndef PGWEIR_NET_MAILBOX_H
#define PGWEIR_NET_MAILBOX_H

#include <stdatomic.h>

#include "pgweir/base/status.h"
#include "pgweir/net/loop.h"

struct pw_mail {
	struct pw_mail *next; /* the mailbox's while in it */
	/* On the receiver's thread. `receiver` is what pw_mailbox_init() was given. */
	void (*deliver)(struct pw_mail *mail, void *receiver);
	/* Frees the mail and what it owns, undelivered. Any thread. */
	void (*discard)(struct pw_mail *mail);
};

struct pw_mailbox {
	_Atomic(struct pw_mail *) head;
	int wake_fd;
	struct event *event;
	struct pw_loop *loop;
	void *receiver;
};

PW_MUSTCHECK enum pw_status pw_mailbox_init(struct pw_mailbox *box, struct pw_loop *loop,
					    void *receiver);
/* Nobody may post any more. Harmless without pw_mailbox_init(), in memory that is all zeros. */
void pw_mailbox_fini(struct pw_mailbox *box);
/* Any thread. */
void pw_mailbox_post(struct pw_mailbox *box, struct pw_mail *mail);

#endif

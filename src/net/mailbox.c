/* SPDX-License-Identifier: PostgreSQL
 *
 * Posting pushes on a stack with one compare-and-swap, and only who found it empty rings the
 * eventfd. The owner takes the whole stack at once and turns it around.
 */
#include "config.h"

#include "pgweir/net/mailbox.h"

#include <event2/event.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "pgweir/base/assert.h"

/* Takes all mail, oldest first. */
static struct pw_mail *take_all(struct pw_mailbox *box)
{
	struct pw_mail *newest = atomic_exchange_explicit(&box->head, NULL, memory_order_acquire);
	struct pw_mail *oldest = NULL;

	while (newest) {
		struct pw_mail *next = newest->next;

		newest->next = oldest;
		oldest = newest;
		newest = next;
	}
	return oldest;
}

static void on_wake(evutil_socket_t fd, short what PW_UNUSED, void *arg)
{
	struct pw_mailbox *box = arg;
	struct pw_mail *mail, *next;
	uint64_t count;
	ssize_t n = read(fd, &count, sizeof(count));

	(void)n; /* EAGAIN when an earlier wake-up was merged into this one */
	mail = take_all(box);
	/* Behind the last that was posted: what its sender's clock says is the past here, too. */
	pw_loop_refresh_time(box->loop);
	for (; mail; mail = next) {
		next = mail->next;
		mail->deliver(mail, box->receiver);
	}
}

enum pw_status pw_mailbox_init(struct pw_mailbox *box, struct pw_loop *loop, void *receiver)
{
	memset(box, 0, sizeof(*box));
	atomic_init(&box->head, NULL);
	box->loop = loop;
	box->receiver = receiver;
	box->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (box->wake_fd < 0)
		return PW_EIO;
	box->event = event_new(loop->base, box->wake_fd, EV_READ | EV_PERSIST, on_wake, box);
	if (!box->event || event_add(box->event, NULL) < 0) {
		pw_mailbox_fini(box);
		return PW_ENOMEM;
	}
	return PW_OK;
}

void pw_mailbox_fini(struct pw_mailbox *box)
{
	if (!box->loop)
		return;
	for (struct pw_mail *mail = take_all(box), *next; mail; mail = next) {
		next = mail->next;
		mail->discard(mail);
	}
	if (box->event)
		event_free(box->event);
	box->event = NULL;
	if (box->wake_fd >= 0)
		close(box->wake_fd);
	box->wake_fd = -1;
}

void pw_mailbox_post(struct pw_mailbox *box, struct pw_mail *mail)
{
	struct pw_mail *old = atomic_load_explicit(&box->head, memory_order_relaxed);
	const uint64_t one = 1;
	ssize_t n;

	do {
		mail->next = old;
	} while (!atomic_compare_exchange_weak_explicit(
	    &box->head, &old, mail, memory_order_release, memory_order_relaxed));
	if (old)
		return; /* whoever posted into the empty box has woken the receiver */
	n = write(box->wake_fd, &one, sizeof(one));
	pw_assert(n == sizeof(one));
}

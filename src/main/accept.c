/* SPDX-License-Identifier: PostgreSQL
 *
 * Accepting connections and dealing them out: each goes to the worker that has the fewest.
 *
 * Worker 0 does this between its other events. A thread of its own for it would be woken for
 * nearly every connection and would wake a worker each time, which costs as much as half a login.
 */
#include "config.h"

#include "accept.h"

#include <errno.h>
#include <event2/event.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "pgweir/net/socket.h"

enum { BATCH = 16, PAUSE_US = 5 * 1000 * 1000 };

/* ---- to a worker ---- */

struct socket_mail {
	struct pw_mail mail;
	struct pw_worker *worker;
	int fd;
	struct pw_addr addr;
};

static void deliver_socket(struct pw_mail *mail, void *receiver PW_UNUSED)
{
	struct socket_mail *m = PW_CONTAINER(mail, struct socket_mail, mail);

	atomic_fetch_sub(&m->worker->n_coming, 1);
	pw_clients_accept(&m->worker->clients, m->fd, &m->addr);
	free(m);
}

static void discard_socket(struct pw_mail *mail)
{
	struct socket_mail *m = PW_CONTAINER(mail, struct socket_mail, mail);

	close(m->fd);
	free(m);
}

/* Without memory the socket is closed. */
static void give_socket(struct pw_worker *worker, int fd, const struct pw_addr *addr)
{
	struct socket_mail *m = calloc(1, sizeof(*m));

	if (!m) {
		close(fd);
		return;
	}
	m->mail.deliver = deliver_socket;
	m->mail.discard = discard_socket;
	m->worker = worker;
	m->fd = fd;
	m->addr = *addr;
	atomic_fetch_add(&worker->n_coming, 1);
	pw_mailbox_post(&worker->mailbox, &m->mail);
}

static unsigned count_clients(const struct pw_worker *worker)
{
	return atomic_load(&worker->n_coming) + atomic_load(&worker->clients.n_open);
}

static struct pw_worker *find_least_loaded(struct pw_process *process)
{
	struct pw_worker *best = &process->workers[0];
	unsigned fewest = count_clients(best);

	for (unsigned i = 1; i < process->n_workers && fewest > 0; i++) {
		unsigned n = count_clients(&process->workers[i]);

		if (n < fewest) {
			best = &process->workers[i];
			fewest = n;
		}
	}
	return best;
}

static void deal_out(struct pw_process *process, int fd, const struct pw_addr *addr)
{
	struct pw_worker *worker = find_least_loaded(process);

	if (worker->index == 0)
		pw_clients_accept(&worker->clients, fd, addr);
	else
		give_socket(worker, fd, addr);
}

/* ---- from the listening sockets ---- */

static void set_accepting(struct pw_process *process, bool is_on)
{
	for (size_t i = 0; i < process->listen.n; i++) {
		if (!process->listen_events[i])
			continue;
		if (is_on)
			(void)event_add(process->listen_events[i], NULL);
		else
			event_del(process->listen_events[i]);
	}
}

static void on_pause_over(struct pw_timer *timer)
{
	set_accepting(PW_CONTAINER(timer, struct pw_process, accept_pause), true);
}

/* Out of descriptors or memory: turning in circles would not help. */
static void pause_accepting(struct pw_process *process)
{
	pw_log_error(&process->logctx, "accept() failed: %s", strerror(errno));
	set_accepting(process, false);
	pw_loop_arm(&process->workers[0].loop, &process->accept_pause, PAUSE_US);
}

static struct pw_addr address_of(const struct sockaddr_storage *ss, int fd, int port)
{
	struct pw_addr addr = pw_addr_from_sockaddr((const struct sockaddr *)ss);

	if (addr.family != AF_UNIX)
		return addr;
	addr = pw_socket_peer(fd);
	addr.family = AF_UNIX;
	addr.port = (uint16_t)port;
	return addr;
}

static void on_acceptable(evutil_socket_t listener, short what PW_UNUSED, void *arg)
{
	struct pw_process *process = arg;
	struct pw_worker *self = &process->workers[0];

	pw_loop_begin_callback(&self->loop);
	for (int i = 0; i < BATCH; i++) {
		struct sockaddr_storage ss;
		socklen_t len = sizeof(ss);
		struct pw_addr addr;
		int fd =
		    accept4(listener, (struct sockaddr *)&ss, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0) {
			if (errno == EMFILE || errno == ENFILE || errno == ENOMEM ||
			    errno == ENOBUFS)
				pause_accepting(process);
			return;
		}
		addr = address_of(&ss, fd, self->pools.snapshot->conf->listen_port);
		deal_out(process, fd, &addr);
	}
}

/* ---- start and end ---- */

enum pw_status pw_accept_start(struct pw_process *process)
{
	pw_timer_init(&process->accept_pause, on_pause_over);
	process->listen_events = calloc(process->listen.n + 1, sizeof(*process->listen_events));
	if (!process->listen_events)
		return PW_ENOMEM;
	for (size_t i = 0; i < process->listen.n; i++) {
		process->listen_events[i] =
		    event_new(process->workers[0].loop.base, process->listen.items[i].fd,
			      EV_READ | EV_PERSIST, on_acceptable, process);
		if (!process->listen_events[i] || event_add(process->listen_events[i], NULL) < 0)
			return PW_ENOMEM;
	}
	return PW_OK;
}

static void forget(struct pw_process *process, bool with_unix)
{
	for (size_t i = 0; process->listen_events && i < process->listen.n; i++) {
		if (!process->listen_events[i] ||
		    (!with_unix && process->listen.items[i].addr.family == AF_UNIX))
			continue;
		event_free(process->listen_events[i]);
		process->listen_events[i] = NULL;
	}
}

void pw_accept_stop_tcp(struct pw_process *process)
{
	forget(process, false);
	pw_listen_close_tcp(&process->listen);
}

void pw_accept_stop(struct pw_process *process)
{
	forget(process, true);
	free(process->listen_events);
	process->listen_events = NULL;
	pw_listen_close(&process->listen);
}

/* SPDX-License-Identifier: PostgreSQL
 *
 * Socket options, peer facts and listening sockets: thin wraps of system calls. Any thread.
 */
#ifndef PGWEIR_NET_SOCKET_H
#define PGWEIR_NET_SOCKET_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "pgweir/base/addr.h"
#include "pgweir/base/status.h"
#include "pgweir/conf/conf.h"

/* As the tcp_* settings say. Best effort: an option that the system refuses is not worth a
 * connection. */
void pw_socket_tune(int fd, const struct pw_addr *addr, const struct pw_conf *conf);

/* A listening TCP socket, also one that was tuned otherwise before: what it accepts from now on
 * inherits the options, all but the size of buffers, which the kernel would never reset. */
void pw_socket_tune_listener(int fd, const struct pw_conf *conf);
/* What is not inherited. */
void pw_socket_tune_accepted(int fd, const struct pw_conf *conf);

/* AF_UNIX only: pid and uid of the process at the other end. */
bool pw_socket_peer_ids(int fd, pid_t *pid, uid_t *uid);
struct pw_addr pw_socket_peer(int fd);
struct pw_addr pw_socket_local(int fd);

/* Listening sockets, non-blocking; -1 with errno set. */
int pw_socket_listen(const struct pw_addr *addr, int backlog, bool reuseport);
/* `path` beginning with @ is an abstract name. mode < 0 = leave; gid -1 = leave. */
int pw_socket_listen_unix(const char *path, int backlog, int mode, gid_t gid);
/* Fills a sockaddr for connect(2); 0 where the path is too long. */
socklen_t pw_socket_unix_address(const char *path, struct sockaddr_storage *out);
/* Does something answer on it? */
bool pw_socket_unix_answers(const char *path);

#endif

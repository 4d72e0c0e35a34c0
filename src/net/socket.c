/* SPDX-License-Identifier: PostgreSQL
 *
 * What the system is told about sockets, and what it tells about their ends.
 */
#include "config.h"

#include "pgweir/net/socket.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static void set_option(int fd, int level, int name, int value)
{
	(void)setsockopt(fd, level, name, &value, sizeof(value));
}

void pw_socket_tune_accepted(int fd, const struct pw_conf *conf)
{
	if (conf->tcp_socket_buffer > 0) {
		set_option(fd, SOL_SOCKET, SO_SNDBUF, conf->tcp_socket_buffer);
		set_option(fd, SOL_SOCKET, SO_RCVBUF, conf->tcp_socket_buffer);
	}
}

void pw_socket_tune(int fd, const struct pw_addr *addr, const struct pw_conf *conf)
{
	pw_socket_tune_accepted(fd, conf);
	if (addr->family == AF_UNIX)
		return;
	set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	if (conf->tcp_user_timeout > 0)
		set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, conf->tcp_user_timeout);
	if (!conf->tcp_keepalive)
		return;
	set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
	if (conf->tcp_keepcnt > 0)
		set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, conf->tcp_keepcnt);
	if (conf->tcp_keepidle > 0)
		set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, conf->tcp_keepidle);
	if (conf->tcp_keepintvl > 0)
		set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, conf->tcp_keepintvl);
}

/* 0 = as a fresh socket has it. */
static void set_or_reset(int fd, int fresh, int name, int value)
{
	socklen_t len = sizeof(value);

	if (value > 0 || getsockopt(fresh, IPPROTO_TCP, name, &value, &len) == 0)
		set_option(fd, IPPROTO_TCP, name, value);
}

void pw_socket_tune_listener(int fd, const struct pw_conf *conf)
{
	int fresh = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	set_option(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, conf->tcp_defer_accept);
	set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	set_option(fd, SOL_SOCKET, SO_KEEPALIVE, conf->tcp_keepalive);
	set_or_reset(fd, fresh, TCP_USER_TIMEOUT, conf->tcp_user_timeout);
	set_or_reset(fd, fresh, TCP_KEEPCNT, conf->tcp_keepcnt);
	set_or_reset(fd, fresh, TCP_KEEPIDLE, conf->tcp_keepidle);
	set_or_reset(fd, fresh, TCP_KEEPINTVL, conf->tcp_keepintvl);
	if (fresh >= 0)
		close(fresh);
}

bool pw_socket_peer_ids(int fd, pid_t *pid, uid_t *uid)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
		return false;
	*pid = cred.pid;
	*uid = cred.uid;
	return true;
}

struct pw_addr pw_socket_peer(int fd)
{
	struct sockaddr_storage ss = {0};
	socklen_t len = sizeof(ss);
	struct pw_addr addr;
	pid_t pid;
	uid_t uid;

	if (getpeername(fd, (struct sockaddr *)&ss, &len) < 0)
		ss.ss_family = AF_UNSPEC;
	addr = pw_addr_from_sockaddr((const struct sockaddr *)&ss);
	if (addr.family == AF_UNIX && pw_socket_peer_ids(fd, &pid, &uid)) {
		uint32_t value = (uint32_t)pid;

		memcpy(addr.bytes, &value, sizeof(value));
	}
	return addr;
}

struct pw_addr pw_socket_local(int fd)
{
	struct sockaddr_storage ss = {0};
	socklen_t len = sizeof(ss);

	if (getsockname(fd, (struct sockaddr *)&ss, &len) < 0)
		ss.ss_family = AF_UNSPEC;
	return pw_addr_from_sockaddr((const struct sockaddr *)&ss);
}

static int close_keeping_errno(int fd)
{
	int saved_errno = errno;

	close(fd);
	errno = saved_errno;
	return -1;
}

int pw_socket_listen(const struct pw_addr *addr, int backlog, bool reuseport)
{
	struct sockaddr_storage ss;
	socklen_t len = pw_addr_to_sockaddr(addr, &ss);
	int fd = socket(addr->family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (addr->family == AF_INET6)
		set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
	if (reuseport)
		set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1);
	if (bind(fd, (struct sockaddr *)&ss, len) < 0 || listen(fd, backlog) < 0)
		return close_keeping_errno(fd);
	return fd;
}

socklen_t pw_socket_unix_address(const char *path, struct sockaddr_storage *out)
{
	struct sockaddr_un *un = (struct sockaddr_un *)out;
	size_t len = strlen(path);

	memset(out, 0, sizeof(*out));
	un->sun_family = AF_UNIX;
	if (len >= sizeof(un->sun_path))
		return 0;
	memcpy(un->sun_path, path, len);
	if (path[0] == '@')
		un->sun_path[0] = '\0';
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + (path[0] != '@'));
}

int pw_socket_listen_unix(const char *path, int backlog, int mode, gid_t gid)
{
	struct sockaddr_storage ss;
	socklen_t len = pw_socket_unix_address(path, &ss);
	bool is_abstract = path[0] == '@';
	int fd;

	if (len == 0) {
		errno = ENAMETOOLONG;
		return -1;
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	if (!is_abstract)
		(void)unlink(path);
	if (bind(fd, (struct sockaddr *)&ss, len) < 0)
		return close_keeping_errno(fd);
	if (!is_abstract && mode >= 0 && chmod(path, (mode_t)mode) < 0)
		return close_keeping_errno(fd);
	if (!is_abstract && gid != (gid_t)-1 && chown(path, (uid_t)-1, gid) < 0)
		return close_keeping_errno(fd);
	if (listen(fd, backlog) < 0)
		return close_keeping_errno(fd);
	return fd;
}

bool pw_socket_unix_answers(const char *path)
{
	struct sockaddr_storage ss;
	socklen_t len = pw_socket_unix_address(path, &ss);
	/* Non-blocking: a process that hangs with a full queue answers, too. */
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	bool answers;

	if (fd < 0)
		return false;
	answers = len > 0 && (connect(fd, (struct sockaddr *)&ss, len) == 0 || errno == EAGAIN);
	close(fd);
	return answers;
}

/* SPDX-License-Identifier: PostgreSQL
 *
 * Opening and closing the listening sockets.
 *
 * The file of a unix socket outlives its process, so one that is in the way tells nothing. As
 * PostgreSQL does, a lock file with our process id lies beside it: whoever holds that owns the
 * socket's file, and may replace and remove it. Abstract sockets have no file and need no lock:
 * the kernel refuses a second one.
 *
 * Sockets passed by the service manager are taken as they are; their files are the manager's.
 */
#include "config.h"

#include "listen.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#ifdef HAVE_SYSTEMD
#include <systemd/sd-daemon.h>
#endif

#include "pgweir/net/socket.h"
#include "pidfile.h"

enum { UNIX_NAME_MAX = sizeof(((struct sockaddr_un *)0)->sun_path) - 1 };

struct opening {
	struct pw_listen *listen;
	const struct pw_conf *conf;
	const struct pw_logctx *ctx;
};

static bool is_given(const char *text)
{
	return text && text[0] != '\0';
}

/* Of the unix socket. "" = none. */
struct paths {
	char socket[PW_LISTEN_PATH_SIZE];
	char lock[PW_LISTEN_PATH_SIZE];
};

/* False where the socket's name is longer than the kernel takes; then there are no paths. */
static bool make_paths(const struct pw_conf *conf, struct paths *out)
{
	const char *dir = conf->unix_socket_dir;
	int len;

	memset(out, 0, sizeof(*out));
	if (!is_given(dir))
		return true;
	len = snprintf(out->socket, sizeof(out->socket), "%s/.s.PGSQL.%d", dir, conf->listen_port);
	if (len < 0 || len > UNIX_NAME_MAX) {
		memset(out, 0, sizeof(*out));
		return false;
	}
	if (dir[0] != '@')
		snprintf(out->lock, sizeof(out->lock), "%.*s.lock", UNIX_NAME_MAX, out->socket);
	return true;
}

static enum pw_status no_memory(const struct pw_logctx *ctx)
{
	pw_log_fatal(ctx, "out of memory while opening sockets");
	return PW_ENOMEM;
}

/* ---- sockets of the service manager ---- */

#ifdef HAVE_SYSTEMD
static int count_passed(void)
{
	return sd_listen_fds(0);
}

static int first_passed(void)
{
	return SD_LISTEN_FDS_START;
}

static bool is_stream_listener(int fd)
{
	return sd_is_socket(fd, AF_UNSPEC, SOCK_STREAM, 1) > 0;
}
#else
static int count_passed(void)
{
	return 0;
}

static int first_passed(void)
{
	return 0;
}

static bool is_stream_listener(int fd)
{
	(void)fd;
	return false;
}
#endif

/* ---- the array ---- */

/* Takes fd over, closes it without memory. */
static enum pw_status add_listener(struct opening *o, int fd, const struct pw_addr *addr,
				   const char *text)
{
	struct pw_listen *listen = o->listen;
	struct pw_listener *items =
	    reallocarray(listen->items, listen->n + 1, sizeof(*listen->items));

	if (!items) {
		close(fd);
		return no_memory(o->ctx);
	}
	listen->items = items;
	items[listen->n] = (struct pw_listener){.fd = fd, .addr = *addr};
	snprintf(items[listen->n].text, sizeof(items[listen->n].text), "%s", text);
	listen->n++;
	pw_log_info(o->ctx, "listening on %s", text);
	return PW_OK;
}

static bool has_addr(const struct pw_listen *listen, const struct pw_addr *addr)
{
	for (size_t i = 0; i < listen->n; i++) {
		if (pw_addr_equal(&listen->items[i].addr, addr))
			return true;
	}
	return false;
}

/* ---- TCP ---- */

static enum pw_status open_tcp(struct opening *o, const struct sockaddr *sa)
{
	struct pw_addr addr = pw_addr_from_sockaddr(sa);
	char text[PW_ADDR_TEXT_SIZE];
	int fd;

	addr.port = (uint16_t)o->conf->listen_port;
	/* Two names of the list may mean the same address. */
	if (has_addr(o->listen, &addr))
		return PW_OK;
	pw_addr_format_port(&addr, text, sizeof(text));
	fd = pw_socket_listen(&addr, o->conf->listen_backlog, o->conf->so_reuseport);
	if (fd < 0) {
		pw_log_warning(o->ctx, "could not listen on %s: %s", text, strerror(errno));
		return PW_OK;
	}
	return add_listener(o, fd, &addr, text);
}

/* Every address of a name; "*" is every address of the machine. */
static enum pw_status open_name(struct opening *o, const char *name)
{
	const struct addrinfo hints = {
	    .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
	bool is_all = strcmp(name, "*") == 0;
	enum pw_status status = PW_OK;
	struct addrinfo *found;
	int failure;

	/* Without a name getaddrinfo wants a service; the port is put in afterwards. */
	failure = getaddrinfo(is_all ? NULL : name, is_all ? "0" : NULL, &hints, &found);
	if (failure != 0) {
		pw_log_warning(o->ctx, "could not resolve \"%s\" of listen_addr: %s", name,
			       failure == EAI_SYSTEM ? strerror(errno) : gai_strerror(failure));
		return PW_OK;
	}
	for (const struct addrinfo *ai = found; ai && status == PW_OK; ai = ai->ai_next)
		status = open_tcp(o, ai->ai_addr);
	freeaddrinfo(found);
	return status;
}

static enum pw_status open_listen_addr(struct opening *o)
{
	const char *list = o->conf->listen_addr;
	enum pw_status status = PW_OK;
	char *copy, *rest, *word;

	if (!is_given(list))
		return PW_OK;
	copy = strdup(list);
	if (!copy)
		return no_memory(o->ctx);
	for (word = strtok_r(copy, ", \t", &rest); word && status == PW_OK;
	     word = strtok_r(NULL, ", \t", &rest))
		status = open_name(o, word);
	free(copy);
	if (status == PW_OK && o->listen->n == 0) {
		pw_log_fatal(o->ctx, "failed to listen on any address in listen_addr list: %s",
			     list);
		return PW_EIO;
	}
	return status;
}

/* ---- the unix socket ---- */

static enum pw_status find_group(const struct opening *o, gid_t *gid)
{
	const char *name = o->conf->unix_socket_group;
	const struct group *group;
	unsigned long number;
	char *end;

	*gid = (gid_t)-1;
	if (!is_given(name))
		return PW_OK;
	group = getgrnam(name);
	if (group) {
		*gid = group->gr_gid;
		return PW_OK;
	}
	errno = 0;
	number = strtoul(name, &end, 10);
	if (name[0] < '0' || name[0] > '9' || *end != '\0' || errno != 0 || number >= (gid_t)-1) {
		pw_log_fatal(o->ctx, "unix_socket_group: there is no group \"%s\"", name);
		return PW_EINVAL;
	}
	*gid = (gid_t)number;
	return PW_OK;
}

/* The socket before its lock: whoever gets the lock next makes a new one. */
static void release_unix(struct pw_listen *listen)
{
	if (listen->lock_path[0] != '\0')
		(void)unlink(listen->socket_path);
	pw_pidfile_remove(listen->lock_path);
	listen->socket_path[0] = '\0';
	listen->lock_path[0] = '\0';
}

/* PW_EDENIED, logged, where the socket belongs to somebody else. */
static enum pw_status check_socket(const struct paths *paths, int port, const struct pw_logctx *ctx)
{
	enum pw_status status;

	if (paths->socket[0] != '\0' && pw_socket_unix_answers(paths->socket)) {
		pw_log_fatal(ctx, "unix socket is in use, cannot continue (unix:%s)",
			     paths->socket);
		return PW_EDENIED;
	}
	status = pw_pidfile_check(paths->lock, ctx);
	if (status == PW_EDENIED || status == PW_EINVAL) {
		pw_log_fatal(ctx, "unix port %d is in use", port);
		return PW_EDENIED;
	}
	/* What is in the way of the lock otherwise will be met again when it is taken. */
	return PW_OK;
}

static enum pw_status bind_unix(struct opening *o, const struct paths *paths, gid_t gid)
{
	const struct pw_addr addr = {.family = AF_UNIX};
	char text[PW_LISTEN_TEXT_SIZE];
	int fd;

	/* A lock that cannot be made costs the unix socket only, as any other obstacle. */
	if (pw_pidfile_create(paths->lock, o->ctx) != PW_OK) {
		pw_log_warning(o->ctx, "could not listen on unix:%s: no lock", paths->socket);
		return PW_OK;
	}
	memcpy(o->listen->socket_path, paths->socket, sizeof(paths->socket));
	memcpy(o->listen->lock_path, paths->lock, sizeof(paths->lock));
	fd = pw_socket_listen_unix(paths->socket, o->conf->listen_backlog,
				   o->conf->unix_socket_mode, gid);
	if (fd < 0) {
		pw_log_warning(o->ctx, "could not listen on unix:%s: %s", paths->socket,
			       strerror(errno));
		release_unix(o->listen);
		return PW_OK;
	}
	snprintf(text, sizeof(text), "unix:%.*s", UNIX_NAME_MAX, paths->socket);
	return add_listener(o, fd, &addr, text);
}

static enum pw_status open_unix(struct opening *o)
{
	struct paths paths;
	enum pw_status status;
	gid_t gid;

	if (!make_paths(o->conf, &paths))
		pw_log_warning(
		    o->ctx,
		    "could not listen in unix_socket_dir %s: the socket's name is longer "
		    "than %d bytes",
		    o->conf->unix_socket_dir, UNIX_NAME_MAX);
	if (paths.socket[0] == '\0')
		return PW_OK;
	status = find_group(o, &gid);
	if (status == PW_OK)
		status = check_socket(&paths, o->conf->listen_port, o->ctx);
	return status == PW_OK ? bind_unix(o, &paths, gid) : status;
}

/* ---- opening ---- */

enum pw_status pw_listen_check(const struct pw_conf *conf, const struct pw_logctx *ctx)
{
	struct paths paths;

	/* On a passed socket it is the service manager itself that answers. */
	if (count_passed() > 0)
		return PW_OK;
	(void)make_paths(conf, &paths);
	return check_socket(&paths, conf->listen_port, ctx);
}

/* "unix:PATH" of a bound socket; an abstract name begins with a zero byte, shown as @. */
static void format_unix_name(int fd, char *out, size_t size)
{
	struct sockaddr_un un = {0};
	socklen_t len = sizeof(un);
	size_t path_len;

	if (getsockname(fd, (struct sockaddr *)&un, &len) < 0 || len > sizeof(un))
		len = 0;
	path_len = len > offsetof(struct sockaddr_un, sun_path)
		       ? len - offsetof(struct sockaddr_un, sun_path)
		       : 0;
	if (path_len > 0 && un.sun_path[0] == '\0')
		un.sun_path[0] = '@';
	snprintf(out, size, "unix:%.*s", (int)path_len, un.sun_path);
}

static enum pw_status take_passed(struct opening *o, int fd)
{
	char text[PW_LISTEN_TEXT_SIZE];
	struct pw_addr addr;
	int flags = fcntl(fd, F_GETFL);

	if (!is_stream_listener(fd) || flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
	    fcntl(fd, F_SETFD, FD_CLOEXEC) < 0) {
		pw_log_warning(o->ctx,
			       "descriptor %d passed by the service manager is not a "
			       "listening stream socket, ignored",
			       fd);
		return PW_OK;
	}
	addr = pw_socket_local(fd);
	if (addr.family == AF_UNIX)
		format_unix_name(fd, text, sizeof(text));
	else
		pw_addr_format_port(&addr, text, sizeof(text));
	return add_listener(o, fd, &addr, text);
}

static enum pw_status open_passed(struct opening *o, int n)
{
	enum pw_status status = PW_OK;

	if (is_given(o->conf->listen_addr))
		pw_log_warning(o->ctx,
			       "sockets were passed by the service manager: listen_addr and "
			       "unix_socket_dir are ignored");
	for (int i = 0; i < n && status == PW_OK; i++)
		status = take_passed(o, first_passed() + i);
	return status;
}

enum pw_status pw_listen_open(struct pw_listen *out, const struct pw_conf *conf,
			      const struct pw_logctx *ctx)
{
	struct opening o = {out, conf, ctx};
	int n_passed = count_passed();
	enum pw_status status;

	memset(out, 0, sizeof(*out));
	if (n_passed > 0) {
		status = open_passed(&o, n_passed);
	} else {
		status = open_listen_addr(&o);
		if (status == PW_OK)
			status = open_unix(&o);
	}
	if (status == PW_OK && out->n == 0) {
		pw_log_fatal(ctx, "nowhere to listen on");
		status = PW_EIO;
	}
	if (status == PW_OK)
		pw_listen_tune(out, conf);
	else
		pw_listen_close(out);
	return status;
}

/* ---- afterwards ---- */

void pw_listen_tune(const struct pw_listen *listen, const struct pw_conf *conf)
{
	for (size_t i = 0; i < listen->n; i++) {
		if (listen->items[i].fd >= 0 && listen->items[i].addr.family != AF_UNIX)
			pw_socket_tune_listener(listen->items[i].fd, conf);
	}
}

static void close_listener(struct pw_listener *listener)
{
	if (listener->fd >= 0)
		close(listener->fd);
	listener->fd = -1;
}

void pw_listen_close_tcp(struct pw_listen *listen)
{
	for (size_t i = 0; i < listen->n; i++) {
		if (listen->items[i].addr.family != AF_UNIX)
			close_listener(&listen->items[i]);
	}
}

void pw_listen_close(struct pw_listen *listen)
{
	for (size_t i = 0; i < listen->n; i++)
		close_listener(&listen->items[i]);
	free(listen->items);
	release_unix(listen);
	memset(listen, 0, sizeof(*listen));
}

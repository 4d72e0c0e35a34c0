/* SPDX-License-Identifier: PostgreSQL
 *
 * The listening sockets, on loopback and in a directory of the test's own: what is opened, what is
 * refused, what is left behind.
 */
#include "config.h"

#include "main/listen.h"

#include <arpa/inet.h>
#include <grp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>

#include "main_test.h"
#include "pgweir/net/socket.h"

/* ---- helpers ---- */

/* A loopback socket that listens; port 0 = any. */
static int occupy(uint16_t *port)
{
	struct pw_addr addr;
	int fd;

	assert_true(pw_addr_parse("127.0.0.1", *port, &addr));
	fd = pw_socket_listen(&addr, 1, false);
	assert_true(fd >= 0);
	*port = pw_socket_local(fd).port;
	return fd;
}

static int free_port(void)
{
	uint16_t port = 0;

	close(occupy(&port));
	return port;
}

/* `more` are further lines of the main section. */
static struct pw_conf *make_conf(struct fixture *f, const char *listen_addr, const char *dir,
				 int port, const char *more)
{
	char text[1024];

	snprintf(text, sizeof(text),
		 "listen_addr = %s\nunix_socket_dir = %s\nlisten_port = %d\n%s\n", listen_addr, dir,
		 port, more);
	return load_conf(f, "", text);
}

static void socket_path(const char *dir, int port, char out[PATH_SIZE])
{
	assert_true(snprintf(out, PATH_SIZE, "%s/.s.PGSQL.%d", dir, port) < PATH_SIZE);
}

static void lock_path(const char *dir, int port, char out[PATH_SIZE])
{
	assert_true(snprintf(out, PATH_SIZE, "%s/.s.PGSQL.%d.lock", dir, port) < PATH_SIZE);
}

static bool tcp_answers(const char *host, int port)
{
	struct sockaddr_storage ss;
	struct pw_addr addr;
	socklen_t len;
	int fd, result;

	assert_true(pw_addr_parse(host, (uint16_t)port, &addr));
	len = pw_addr_to_sockaddr(&addr, &ss);
	fd = socket(addr.family, SOCK_STREAM, 0);
	assert_true(fd >= 0);
	result = connect(fd, (struct sockaddr *)&ss, len);
	close(fd);
	return result == 0;
}

static void assert_closed(const struct pw_listen *listen)
{
	assert_int_equal(listen->n, 0);
	assert_null(listen->items);
	assert_string_equal(listen->socket_path, "");
	assert_string_equal(listen->lock_path, "");
}

static void must_fail(struct fixture *f, struct pw_conf *conf, enum pw_status status,
		      const char *said)
{
	struct pw_listen listen;

	assert_int_equal(pw_listen_open(&listen, conf, &f->ctx), status);
	assert_closed(&listen);
	assert_logged(f, said);
	pw_conf_unref(conf);
}

static int get_option(int fd, int level, int name)
{
	int value = -1;
	socklen_t len = sizeof(value);

	assert_int_equal(getsockopt(fd, level, name, &value, &len), 0);
	return value;
}

/* ---- opening and closing ---- */

static void test_both(void **state)
{
	struct fixture *f = *state;
	int port = free_port();
	struct pw_conf *conf = make_conf(f, "127.0.0.1", f->dir, port, "");
	char path[PATH_SIZE], lock[PATH_SIZE], text[PATH_SIZE + 32];
	struct pw_listen listen;

	socket_path(f->dir, port, path);
	lock_path(f->dir, port, lock);
	assert_int_equal(pw_listen_check(conf, &f->ctx), PW_OK);
	assert_int_equal(pw_listen_open(&listen, conf, &f->ctx), PW_OK);
	assert_int_equal(listen.n, 2);
	assert_int_equal(listen.items[0].addr.family, AF_INET);
	assert_int_equal(listen.items[0].addr.port, port);
	assert_int_equal(listen.items[1].addr.family, AF_UNIX);
	for (size_t i = 0; i < listen.n; i++) {
		assert_true(fcntl(listen.items[i].fd, F_GETFL) & O_NONBLOCK);
		assert_true(fcntl(listen.items[i].fd, F_GETFD) & FD_CLOEXEC);
	}
	snprintf(text, sizeof(text), "LOG listening on 127.0.0.1:%d\n", port);
	assert_logged(f, text);
	snprintf(text, sizeof(text), "LOG listening on unix:%s\n", path);
	assert_logged(f, text);
	snprintf(text, sizeof(text), "unix:%s", path);
	assert_string_equal(listen.items[1].text, text);
	snprintf(text, sizeof(text), "%d\n", (int)getpid());
	assert_string_equal(read_text(f, lock), text);
	assert_true(tcp_answers("127.0.0.1", port));
	assert_true(pw_socket_unix_answers(path));

	pw_listen_close_tcp(&listen);
	assert_int_equal(listen.items[0].fd, -1);
	assert_false(tcp_answers("127.0.0.1", port));
	assert_true(pw_socket_unix_answers(path));

	pw_listen_close(&listen);
	assert_closed(&listen);
	assert_false(exists(path));
	assert_false(exists(lock));
	pw_listen_close(&listen);
	pw_conf_unref(conf);
}

static void test_list(void **state)
{
	struct fixture *f = *state;
	int port = free_port();
	struct pw_conf *conf =
	    make_conf(f, "127.0.0.1, 127.0.0.2 ,,127.0.0.1", "", port, "so_reuseport = 1");
	struct pw_listen listen;

	assert_int_equal(pw_listen_open(&listen, conf, &f->ctx), PW_OK);
	/* The same address is not opened twice, although the kernel would allow it. */
	assert_int_equal(listen.n, 2);
	assert_int_equal(get_option(listen.items[0].fd, SOL_SOCKET, SO_REUSEPORT), 1);
	assert_true(tcp_answers("127.0.0.1", port));
	assert_true(tcp_answers("127.0.0.2", port));
	assert_false(log_has(f, "WARNING"));
	pw_listen_close(&listen);
	pw_conf_unref(conf);
}

static void test_every_address(void **state)
{
	struct fixture *f = *state;
	int port = free_port();
	struct pw_conf *conf = make_conf(f, "*", "", port, "");
	struct pw_listen listen;

	assert_int_equal(pw_listen_open(&listen, conf, &f->ctx), PW_OK);
	assert_true(listen.n >= 1);
	for (size_t i = 0; i < listen.n; i++)
		assert_int_equal(listen.items[i].addr.port, port);
	assert_true(tcp_answers("127.0.0.1", port));
	assert_true(tcp_answers("127.0.0.3", port));
	pw_listen_close(&listen);
	pw_conf_unref(conf);
}

static void test_defer_accept(void **state)
{
	struct fixture *f = *state;
	int port = free_port();
	struct pw_conf *on = make_conf(f, "127.0.0.1", "", port, "tcp_defer_accept = 1");
	struct pw_conf *off = make_conf(f, "127.0.0.1", "", port, "tcp_defer_accept = 0");
	struct pw_listen listen;

	assert_int_equal(pw_listen_open(&listen, on, &f->ctx), PW_OK);
	assert_true(get_option(listen.items[0].fd, IPPROTO_TCP, TCP_DEFER_ACCEPT) > 0);
	pw_listen_tune(&listen, off);
	assert_int_equal(get_option(listen.items[0].fd, IPPROTO_TCP, TCP_DEFER_ACCEPT), 0);
	pw_listen_tune(&listen, on);
	assert_true(get_option(listen.items[0].fd, IPPROTO_TCP, TCP_DEFER_ACCEPT) > 0);
	pw_listen_close_tcp(&listen);
	pw_listen_tune(&listen, off);
	pw_listen_close(&listen);
	pw_conf_unref(on);
	pw_conf_unref(off);
}

static int accepted_option(const struct pw_listen *listen, int port, int level, int name)
{
	struct sockaddr_storage ss;
	struct pw_addr addr;
	int client = socket(AF_INET, SOCK_STREAM, 0), server, value;
	struct pollfd waiting = {.fd = listen->items[0].fd, .events = POLLIN};
	socklen_t len;

	assert_true(pw_addr_parse("127.0.0.1", (uint16_t)port, &addr));
	len = pw_addr_to_sockaddr(&addr, &ss);
	assert_int_equal(connect(client, (struct sockaddr *)&ss, len), 0);
	assert_int_equal(send(client, "x", 1, 0), 1);
	assert_int_equal(poll(&waiting, 1, 10000), 1);
	server = accept(listen->items[0].fd, NULL, NULL);
	assert_true(server >= 0);
	value = get_option(server, level, name);
	close(server);
	close(client);
	return value;
}

/* What is 0 in the file is the system's again, whatever was set before. */
static void test_inherited_options(void **state)
{
	static const struct {
		int level, name, set;
	} rows[] = {
	    {IPPROTO_TCP, TCP_KEEPIDLE, 77},
	    {IPPROTO_TCP, TCP_KEEPINTVL, 7},
	    {IPPROTO_TCP, TCP_KEEPCNT, 3},
	    {IPPROTO_TCP, TCP_USER_TIMEOUT, 12345},
	};
	struct fixture *f = *state;
	int port = free_port(), fresh = socket(AF_INET, SOCK_STREAM, 0);
	struct pw_conf *set = make_conf(f, "127.0.0.1", "", port,
					"tcp_keepidle = 77\ntcp_keepintvl = 7\ntcp_keepcnt = 3\n"
					"tcp_user_timeout = 12345");
	struct pw_conf *off = make_conf(f, "127.0.0.1", "", port, "tcp_keepalive = 0");
	struct pw_listen listen;

	assert_int_equal(pw_listen_open(&listen, set, &f->ctx), PW_OK);
	assert_int_equal(accepted_option(&listen, port, SOL_SOCKET, SO_KEEPALIVE), 1);
	assert_int_equal(accepted_option(&listen, port, IPPROTO_TCP, TCP_NODELAY), 1);
	for (size_t i = 0; i < PW_COUNTOF(rows); i++)
		assert_int_equal(accepted_option(&listen, port, rows[i].level, rows[i].name),
				 rows[i].set);
	pw_listen_tune(&listen, off);
	assert_int_equal(accepted_option(&listen, port, SOL_SOCKET, SO_KEEPALIVE), 0);
	for (size_t i = 0; i < PW_COUNTOF(rows); i++)
		assert_int_equal(accepted_option(&listen, port, rows[i].level, rows[i].name),
				 get_option(fresh, rows[i].level, rows[i].name));
	close(fresh);
	pw_listen_close(&listen);
	pw_conf_unref(set);
	pw_conf_unref(off);
}

static void test_mode_and_group(void **state)
{
	struct fixture *f = *state;
	int port = free_port();
	char more[128], path[PATH_SIZE];
	const struct group *group = getgrgid(getgid());
	struct pw_listen listen;
	struct pw_conf *conf;
	struct stat st;

	assert_non_null(group);
	snprintf(more, sizeof(more), "unix_socket_mode = 0750\nunix_socket_group = %s",
		 group->gr_name);
	conf = make_conf(f, "", f->dir, port, more);
	assert_int_equal(pw_listen_open(&listen, conf, &f->ctx), PW_OK);
	socket_path(f->dir, port, path);
	assert_int_equal(stat(path, &st), 0);
	assert_true(S_ISSOCK(st.st_mode));
	assert_int_equal(st.st_mode & 07777, 0750);
	assert_int_equal(st.st_gid, getgid());
	pw_listen_close(&listen);
	pw_conf_unref(conf);
	snprintf(more, sizeof(more), "unix_socket_group = %d", (int)getgid());
	conf = make_conf(f, "", f->dir, port, more);
	assert_int_equal(pw_listen_open(&listen, conf, &f->ctx), PW_OK);
	pw_listen_close(&listen);
	pw_conf_unref(conf);
}

static void test_abstract(void **state)
{
	struct fixture *f = *state;
	int port = free_port();
	char dir[PATH_SIZE], path[PATH_SIZE];
	struct pw_listen listen, second;
	struct pw_conf *conf;

	snprintf(dir, sizeof(dir), "@pgweir-test-%d", (int)getpid());
	conf = make_conf(f, "", dir, port, "");
	socket_path(dir, port, path);
	assert_int_equal(pw_listen_check(conf, &f->ctx), PW_OK);
	assert_int_equal(pw_listen_open(&listen, conf, &f->ctx), PW_OK);
	assert_true(pw_socket_unix_answers(path));
	assert_int_equal(pw_listen_check(conf, &f->ctx), PW_EDENIED);
	assert_int_equal(pw_listen_open(&second, conf, &f->ctx), PW_EDENIED);
	pw_listen_close(&listen);
	assert_false(pw_socket_unix_answers(path));
	pw_conf_unref(conf);
}

/* ---- what is in the way ---- */

static void test_some_addresses_fail(void **state)
{
	struct fixture *f = *state;
	uint16_t port = 0;
	int taken = occupy(&port);
	struct pw_conf *conf = make_conf(f, "127.0.0.1,127.0.0.2", "", port, "");
	struct pw_listen listen;
	char text[128];

	assert_int_equal(pw_listen_open(&listen, conf, &f->ctx), PW_OK);
	assert_int_equal(listen.n, 1);
	snprintf(text, sizeof(text),
		 "WARNING could not listen on 127.0.0.1:%d: Address already in use", port);
	assert_logged(f, text);
	pw_listen_close(&listen);
	pw_conf_unref(conf);
	close(taken);
}

static void test_all_addresses_fail(void **state)
{
	struct fixture *f = *state;
	uint16_t port = 0;
	int taken = occupy(&port);
	char path[PATH_SIZE];

	/* The unix socket alone is not what was asked for. */
	must_fail(f, make_conf(f, "127.0.0.1", f->dir, port, ""), PW_EIO,
		  "FATAL failed to listen on any address in listen_addr list: 127.0.0.1");
	socket_path(f->dir, port, path);
	assert_false(exists(path));
	close(taken);
	must_fail(f, make_conf(f, ",", f->dir, port, ""), PW_EIO,
		  "FATAL failed to listen on any address in listen_addr list: ,");
	must_fail(f, make_conf(f, "256.0.0.1.", f->dir, port, ""), PW_EIO,
		  "WARNING could not resolve \"256.0.0.1.\" of listen_addr: ");
}

static void test_nowhere(void **state)
{
	struct fixture *f = *state;
	char dir[PATH_SIZE];

	path_of(f, "none", dir);
	must_fail(f, make_conf(f, "", dir, free_port(), ""), PW_EIO, "FATAL nowhere to listen on");
	assert_logged(f, "WARNING could not listen on unix:");
}

static void test_long_directory(void **state)
{
	struct fixture *f = *state;
	int port = free_port();
	char dir[256];
	struct pw_listen listen;
	struct pw_conf *conf;

	snprintf(dir, sizeof(dir), "%s/%0*d", f->dir, 100, 0);
	conf = make_conf(f, "127.0.0.1", dir, port, "");
	assert_int_equal(pw_listen_check(conf, &f->ctx), PW_OK);
	assert_int_equal(pw_listen_open(&listen, conf, &f->ctx), PW_OK);
	assert_int_equal(listen.n, 1);
	assert_logged(f, "the socket's name is longer than 107 bytes");
	pw_listen_close(&listen);
	pw_conf_unref(conf);
}

static void test_unknown_group(void **state)
{
	struct fixture *f = *state;

	must_fail(f, make_conf(f, "", f->dir, free_port(), "unix_socket_group = no-such-group"),
		  PW_EINVAL, "FATAL unix_socket_group: there is no group \"no-such-group\"");
	must_fail(f, make_conf(f, "", f->dir, free_port(), "unix_socket_group = 4294967295"),
		  PW_EINVAL, "FATAL unix_socket_group: there is no group \"4294967295\"");
}

static void test_stale_files(void **state)
{
	struct fixture *f = *state;
	int port = free_port(), fd;
	struct pw_conf *conf = make_conf(f, "", f->dir, port, "");
	char path[PATH_SIZE], lock[PATH_SIZE], text[32];
	struct pw_listen listen;

	socket_path(f->dir, port, path);
	lock_path(f->dir, port, lock);
	fd = pw_socket_listen_unix(path, 1, -1, (gid_t)-1);
	assert_true(fd >= 0);
	close(fd);
	snprintf(text, sizeof(text), "%d\n", (int)dead_pid());
	write_text(lock, text);
	assert_true(exists(path));
	assert_int_equal(pw_listen_check(conf, &f->ctx), PW_OK);
	assert_int_equal(pw_listen_open(&listen, conf, &f->ctx), PW_OK);
	assert_true(pw_socket_unix_answers(path));
	assert_logged(f, "LOG removed stale pidfile '");
	pw_listen_close(&listen);
	pw_conf_unref(conf);
}

static void test_socket_in_use(void **state)
{
	struct fixture *f = *state;
	int port = free_port(), fd;
	struct pw_conf *conf = make_conf(f, "", f->dir, port, "");
	char path[PATH_SIZE];

	socket_path(f->dir, port, path);
	fd = pw_socket_listen_unix(path, 4, -1, (gid_t)-1);
	assert_true(fd >= 0);
	assert_int_equal(pw_listen_check(conf, &f->ctx), PW_EDENIED);
	assert_logged(f, "FATAL unix socket is in use, cannot continue");
	must_fail(f, conf, PW_EDENIED, "FATAL unix socket is in use, cannot continue");
	assert_true(pw_socket_unix_answers(path));
	close(fd);
}

/* A lock of a living process (PostgreSQL's as well as ours), or one that says nothing. */
static void test_locked(void **state)
{
	struct fixture *f = *state;
	int port = free_port();
	struct pw_conf *conf = make_conf(f, "", f->dir, port, "");
	char lock[PATH_SIZE], said[64], text[64];
	pid_t holder = start_sleeper();

	lock_path(f->dir, port, lock);
	snprintf(text, sizeof(text), "%d\n/var/lib/postgresql/15/main\n", (int)holder);
	snprintf(said, sizeof(said), "FATAL unix port %d is in use", port);
	write_text(lock, text);
	assert_int_equal(pw_listen_check(conf, &f->ctx), PW_EDENIED);
	assert_logged(f, said);
	must_fail(f, conf, PW_EDENIED, said);
	assert_true(exists(lock));
	assert_int_equal(kill(holder, SIGKILL), 0);
	wait_child(holder);
	write_text(lock, "what is this\n");
	must_fail(f, make_conf(f, "", f->dir, port, ""), PW_EDENIED, said);
	assert_string_equal(read_text(f, lock), "what is this\n");
}

#ifdef HAVE_SYSTEMD
/* ---- sockets of the service manager ---- */

enum { FIRST_PASSED = 3 };

/* Makes this process look like one that was started with `n` sockets from number 3 on. */
static int pass_sockets(const int *fds, int n)
{
	char text[16];

	for (int i = 0; i < n; i++) {
		if (dup2(fds[i], FIRST_PASSED + i) < 0)
			return -1;
	}
	snprintf(text, sizeof(text), "%d", n);
	setenv("LISTEN_FDS", text, 1);
	snprintf(text, sizeof(text), "%d", (int)getpid());
	return setenv("LISTEN_PID", text, 1);
}

struct passed {
	struct pw_conf *conf;
	char path[PATH_SIZE]; /* of the passed unix socket */
	int tcp, local, datagram;
};

static int open_passed(struct fixture *f, const void *arg)
{
	const struct passed *passed = arg;
	/* Numbers above those that they will be passed as. */
	int fds[3] = {fcntl(passed->tcp, F_DUPFD, 50), fcntl(passed->datagram, F_DUPFD, 50),
		      fcntl(passed->local, F_DUPFD, 50)};
	char text[PW_LISTEN_TEXT_SIZE];
	struct pw_listen listen;

	/* A manager passes them as it likes. */
	if (fcntl(passed->tcp, F_SETFL, 0) < 0)
		return 7;
	/* The log must not be overwritten: it gets another descriptor. */
	atomic_store(&f->log.file_fd, -1);
	if (pass_sockets(fds, 3) < 0 || pw_log_open_file(&f->log, f->log_path) != PW_OK)
		return 1;
	/* Something answers on the socket: the manager. */
	if (pw_listen_check(passed->conf, &f->ctx) != PW_OK)
		return 2;
	if (pw_listen_open(&listen, passed->conf, &f->ctx) != PW_OK || listen.n != 2)
		return 3;
	snprintf(text, sizeof(text), "unix:%.*s", PATH_SIZE - 8, passed->path);
	if (listen.items[0].fd != FIRST_PASSED || listen.items[0].addr.family != AF_INET ||
	    strcmp(listen.items[1].text, text) != 0)
		return 4;
	if (!(fcntl(listen.items[0].fd, F_GETFL) & O_NONBLOCK) ||
	    !(fcntl(listen.items[0].fd, F_GETFD) & FD_CLOEXEC))
		return 5;
	pw_listen_close(&listen);
	/* The file is the manager's. */
	return exists(passed->path) ? 0 : 6;
}

static void test_passed(void **state)
{
	struct fixture *f = *state;
	uint16_t port = 0;
	struct passed passed;

	passed.tcp = occupy(&port);
	socket_path(f->dir, port, passed.path);
	passed.local = pw_socket_listen_unix(passed.path, 4, -1, (gid_t)-1);
	passed.datagram = socket(AF_UNIX, SOCK_DGRAM, 0);
	assert_true(passed.local >= 0 && passed.datagram >= 0);
	passed.conf = make_conf(f, "127.0.0.9", f->dir, port, "");
	assert_int_equal(run_child(open_passed, f, &passed), 0);
	assert_logged(f, "WARNING sockets were passed by the service manager: listen_addr and "
			 "unix_socket_dir are ignored");
	assert_logged(f, "WARNING descriptor 4 passed by the service manager is not a listening");
	assert_false(log_has(f, "127.0.0.9"));
	pw_conf_unref(passed.conf);
	close(passed.tcp);
	close(passed.local);
	close(passed.datagram);
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_both),
	    TEST(test_list),
	    TEST(test_every_address),
	    TEST(test_defer_accept),
	    TEST(test_inherited_options),
	    TEST(test_mode_and_group),
	    TEST(test_abstract),
	    TEST(test_some_addresses_fail),
	    TEST(test_all_addresses_fail),
	    TEST(test_nowhere),
	    TEST(test_long_directory),
	    TEST(test_unknown_group),
	    TEST(test_stale_files),
	    TEST(test_socket_in_use),
	    TEST(test_locked),
#ifdef HAVE_SYSTEMD
	    TEST(test_passed),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

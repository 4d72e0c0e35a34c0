/* SPDX-License-Identifier: PostgreSQL
 *
 * What arrives at the service manager's socket; and that nothing happens without one.
 */
#include "config.h"

#include "main/notify.h"

#include <inttypes.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "main_test.h"
#include "pgweir/base/clock.h"

/* A socket as the service manager's, named in the environment. */
static int open_manager(struct fixture *f)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	char path[PATH_SIZE];

	assert_true(fd >= 0);
	path_of(f, "notify", path);
	assert_true(strlen(path) < sizeof(un.sun_path));
	memcpy(un.sun_path, path, strlen(path) + 1);
	assert_int_equal(bind(fd, (struct sockaddr *)&un, sizeof(un)), 0);
	assert_int_equal(setenv("NOTIFY_SOCKET", path, 1), 0);
	return fd;
}

#ifdef HAVE_SYSTEMD
static const char *receive(struct fixture *f, int fd)
{
	ssize_t n = recv(fd, f->text, sizeof(f->text) - 1, 0);

	assert_true(n > 0);
	f->text[n] = '\0';
	return f->text;
}

static void test_messages(void **state)
{
	struct fixture *f = *state;
	int fd = open_manager(f);
	uint64_t before, after, said;

	pw_notify_ready();
	assert_string_equal(receive(f, fd), "READY=1");
	pw_notify_stopping();
	assert_string_equal(receive(f, fd), "STOPPING=1");
	pw_notify_watchdog();
	assert_string_equal(receive(f, fd), "WATCHDOG=1");
	pw_notify_status("%d xacts/s, name \"%s\"", 12, "a\nREADY=1\tb");
	assert_string_equal(receive(f, fd), "STATUS=12 xacts/s, name \"a READY=1 b\"");
	before = pw_clock_now_us();
	pw_notify_reloading();
	after = pw_clock_now_us();
	assert_int_equal(sscanf(receive(f, fd), "RELOADING=1\nMONOTONIC_USEC=%" SCNu64, &said), 1);
	assert_true(before <= said && said <= after);
	close(fd);
}

static void test_long_status_is_cut(void **state)
{
	struct fixture *f = *state;
	int fd = open_manager(f);
	char text[TEXT_SIZE];

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	pw_notify_status("%s", text);
	receive(f, fd);
	assert_int_equal(strncmp(f->text, "STATUS=xxx", 10), 0);
	assert_true(strlen(f->text) > 100 && strlen(f->text) < sizeof(text));
	close(fd);
}

static void test_watchdog_interval(void **state)
{
	char pid[16];

	(void)state;
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
	assert_int_equal(pw_notify_watchdog_interval_us(), 0);
	assert_int_equal(setenv("WATCHDOG_USEC", "30000000", 1), 0);
	assert_int_equal(pw_notify_watchdog_interval_us(), 30000000);
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	assert_int_equal(setenv("WATCHDOG_PID", pid, 1), 0);
	assert_int_equal(pw_notify_watchdog_interval_us(), 30000000);
	/* Meant for another process. */
	assert_int_equal(setenv("WATCHDOG_PID", "1", 1), 0);
	assert_int_equal(pw_notify_watchdog_interval_us(), 0);
	assert_int_equal(setenv("WATCHDOG_USEC", "soon", 1), 0);
	unsetenv("WATCHDOG_PID");
	assert_int_equal(pw_notify_watchdog_interval_us(), 0);
	unsetenv("WATCHDOG_USEC");
}
#endif

/* Nobody listens (or pgweir knows no service manager): nothing arrives, nothing fails. */
static void test_silence(void **state)
{
	struct fixture *f = *state;
	int fd = open_manager(f);

#ifdef HAVE_SYSTEMD
	unsetenv("NOTIFY_SOCKET");
#endif
	pw_notify_ready();
	pw_notify_reloading();
	pw_notify_stopping();
	pw_notify_status("%s", "fine");
	pw_notify_watchdog();
	assert_int_equal(recv(fd, f->text, sizeof(f->text), 0), -1);
	assert_int_equal(errno, EAGAIN);
	unsetenv("WATCHDOG_USEC");
	assert_int_equal(pw_notify_watchdog_interval_us(), 0);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#ifdef HAVE_SYSTEMD
	    TEST(test_messages),
	    TEST(test_long_status_is_cut),
	    TEST(test_watchdog_interval),
#endif
	    TEST(test_silence),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: PostgreSQL
 *
 * Signals: each is a command that nobody waits for. They are read from a descriptor like any other
 * input, so nothing ever runs in the middle of something else.
 */
#include "config.h"

#include "signals.h"

#include <event2/event.h>
#include <pthread.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "control.h"
#include "notify.h"
#include "reload.h"
#include "shutdown.h"

static const int handled[] = {SIGHUP, SIGINT, SIGTERM, SIGQUIT, SIGUSR1, SIGUSR2};

static void signal_hup(struct pw_process *process)
{
	const struct pw_asker nobody = {0, 0, PW_COMMAND_RELOAD};

	pw_log_info(&process->logctx, "got SIGHUP, re-reading config");
	pw_notify_reloading();
	pw_reload_run(process, &nobody);
	pw_notify_ready();
}

static void signal_shutdown(struct pw_process *process, int number)
{
	const struct pw_asker nobody = {0, 0, PW_COMMAND_SHUTDOWN};
	bool is_int = number == SIGINT;

	if (process->life != PW_LIFE_RUNNING) {
		pw_log_info(&process->logctx, "got %s while shutting down, fast exit",
			    is_int ? "SIGINT" : "SIGTERM");
		pw_shutdown_now(process);
		return;
	}
	pw_log_info(&process->logctx,
		    is_int ? "got SIGINT, shutting down, waiting for all servers connections to be "
			     "released"
			   : "got SIGTERM, shutting down, waiting for all clients disconnect");
	pw_shutdown_begin(process, &nobody,
			  is_int ? PW_LIFE_WAIT_FOR_SERVERS : PW_LIFE_WAIT_FOR_CLIENTS);
}

static void signal_usr1(struct pw_process *process)
{
	const struct pw_asker nobody = {0, 0, PW_COMMAND_PAUSE};
	const struct pw_commanded pause = {.command = PW_COMMAND_PAUSE};

	if (atomic_load(&process->registry.is_paused)) {
		pw_log_info(&process->logctx, "got SIGUSR1, but already paused/suspended");
		return;
	}
	pw_log_info(&process->logctx, "got SIGUSR1, pausing all activity");
	pw_control_run(process, &nobody, &pause);
}

static void signal_usr2(struct pw_process *process)
{
	const struct pw_asker nobody = {0, 0, PW_COMMAND_RESUME};
	const struct pw_commanded resume = {.command = PW_COMMAND_RESUME};

	if (process->life != PW_LIFE_RUNNING) {
		pw_log_info(&process->logctx, "got SIGUSR2 while shutting down, ignoring");
	} else if (!atomic_load(&process->registry.is_paused)) {
		pw_log_info(&process->logctx, "got SIGUSR2, but not paused/suspended");
	} else {
		pw_log_info(&process->logctx, "got SIGUSR2, continuing from PAUSE");
		pw_control_run(process, &nobody, &resume);
	}
}

static void obey(struct pw_process *process, int number)
{
	switch (number) {
	case SIGHUP:
		signal_hup(process);
		break;
	case SIGINT:
	case SIGTERM:
		signal_shutdown(process, number);
		break;
	case SIGQUIT:
		pw_log_info(&process->logctx, "got SIGQUIT, fast exit");
		pw_shutdown_now(process);
		break;
	case SIGUSR1:
		signal_usr1(process);
		break;
	case SIGUSR2:
		signal_usr2(process);
		break;
	default:
		break;
	}
}

static void on_readable(evutil_socket_t fd, short what PW_UNUSED, void *arg)
{
	struct pw_process *process = arg;
	struct signalfd_siginfo info;

	pw_loop_begin_callback(&process->loop);
	while (read(fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
		obey(process, (int)info.ssi_signo);
}

enum pw_status pw_signals_start(struct pw_process *process)
{
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < PW_COUNTOF(handled); i++)
		sigaddset(&set, handled[i]);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	/* A shell without job control has us ignore some, and what is ignored is never read. */
	for (size_t i = 0; i < PW_COUNTOF(handled); i++)
		signal(handled[i], SIG_DFL);
	process->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (process->signal_fd < 0)
		return PW_EIO;
	process->signal_event = event_new(process->loop.base, process->signal_fd,
					  EV_READ | EV_PERSIST, on_readable, process);
	if (!process->signal_event)
		close(process->signal_fd);
	return process->signal_event && event_add(process->signal_event, NULL) == 0 ? PW_OK
										    : PW_ENOMEM;
}

void pw_signals_stop(struct pw_process *process)
{
	if (!process->signal_event)
		return;
	event_free(process->signal_event);
	close(process->signal_fd);
	process->signal_event = NULL;
}

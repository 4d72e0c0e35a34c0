/* SPDX-License-Identifier: PostgreSQL
 *
 * Shutdown: the workers are told, the one that accepts closes the listening sockets, and then who
 * is left is counted until nobody is.
 */
#include "config.h"

#include "shutdown.h"

#include "notify.h"
#include "pinned.h"
#include "round.h"

enum { POLL_US = 100 * 1000 };

void pw_shutdown_now(struct pw_process *process)
{
	process->life = PW_LIFE_OVER;
	pw_loop_stop(&process->loop);
}

/* ---- is the last one gone? ---- */

static void arm_poll(struct pw_process *process)
{
	if (!pw_timer_is_armed(&process->end_poll))
		pw_loop_arm(&process->loop, &process->end_poll, POLL_US);
}

static void after_count(struct pw_round *round)
{
	struct pw_process *process = round->process;

	process->is_counting = false;
	if (process->life == PW_LIFE_WAIT_FOR_CLIENTS && round->n_clients == 0) {
		pw_log_info(&process->logctx, "client connections dropped, exiting");
		pw_shutdown_now(process);
	} else if (process->life == PW_LIFE_WAIT_FOR_SERVERS && round->n_links == 0) {
		pw_log_info(&process->logctx, "server connections dropped, exiting");
		pw_shutdown_now(process);
	}
}

static void on_poll(struct pw_timer *timer)
{
	struct pw_process *process = PW_CONTAINER(timer, struct pw_process, end_poll);
	struct pw_round *round = NULL;

	if (!process->is_counting)
		round = pw_round_create(process, NULL, PW_ROUND_COUNT, NULL, after_count);
	/* Without memory the next poll tries again. */
	if (round) {
		process->is_counting = true;
		pw_round_start(round, 0);
	}
	arm_poll(process);
}

/* ---- beginning ---- */

void pw_shutdown_begin(struct pw_process *process, const struct pw_asker *asker, enum pw_life life)
{
	struct pw_round *round;

	pw_log_info(&process->logctx, "SHUTDOWN command issued");
	pw_notify_stopping();
	if (life == PW_LIFE_OVER) {
		pw_shutdown_now(process);
		return;
	}
	process->life = life;
	if (life == PW_LIFE_WAIT_FOR_SERVERS) {
		atomic_store(&process->registry.is_paused, true);
		pw_pinned_tell(process, asker, NULL, "shutdown waits for pinned clients");
	}
	round = pw_round_create(process, asker, PW_ROUND_SHUT, NULL, pw_round_tell_done);
	if (round) {
		round->is_draining = life == PW_LIFE_WAIT_FOR_SERVERS;
		pw_round_start(round, 0);
	}
	arm_poll(process);
}

void pw_shutdown_init(struct pw_process *process)
{
	pw_timer_init(&process->end_poll, on_poll);
}

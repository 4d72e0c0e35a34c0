/* SPDX-License-Identifier: PostgreSQL
 *
 * Who asked for something, and how they hear of its end: a console, named by its worker and the
 * id of its client (which may have gone by then; the answer then finds nobody), or nobody, where
 * it was a signal. Main thread.
 */
#ifndef PGWEIR_MAIN_ASKER_H
#define PGWEIR_MAIN_ASKER_H

#include "process.h"

struct pw_asker {
	unsigned worker;
	uint64_t id; /* 0 = nobody: is told nothing */
	enum pw_command command;
};

/* It is done (err = NULL), or why not. Without memory the console waits until its client goes. */
void pw_asker_tell(struct pw_process *process, const struct pw_asker *asker,
		   const struct pw_error *err);
/* Something it should know while it waits. */
void pw_asker_notify(struct pw_process *process, const struct pw_asker *asker,
		     const struct pw_error *notice);
/* Why not, in one line: `fmt` has one %s, for `name`. */
void pw_asker_refuse(struct pw_process *process, const struct pw_asker *asker, const char *fmt,
		     const char *name);
/* The rows of a view (moved out of `rows`, which is then empty), and what is wrong with them. */
void pw_asker_give_rows(struct pw_process *process, const struct pw_asker *asker,
			struct pw_rows *rows, const struct pw_error *err);

#endif

/* SPDX-License-Identifier: PostgreSQL
 *
 * Which of the files of users and rules could not be read, and why. Filled by the thread that
 * loads them, kept with what was loaded, so that the next load can tell what has become worse.
 */
#ifndef PGWEIR_AUTH_UNREADABLE_H
#define PGWEIR_AUTH_UNREADABLE_H

#include <stdbool.h>

#include "pgweir/base/strbuf.h"

struct pw_unreadable {
	struct pw_strbuf files; /* "what path" of each, a zero byte behind it */
	struct pw_strbuf lines; /* for the operator, with the reason */
};

void pw_unreadable_fini(struct pw_unreadable *unreadable);
/* `what` is the file's duty: the same path may be readable as one thing and missed as another.
 * errno says why. */
void pw_unreadable_add(struct pw_unreadable *unreadable, const char *what, const char *path);
bool pw_unreadable_has_failed(const struct pw_unreadable *unreadable); /* no memory */
/* Is there a file in `now` that is not in `before`? The reason does not matter. */
bool pw_unreadable_has_new(const struct pw_unreadable *now, const struct pw_unreadable *before);

#endif

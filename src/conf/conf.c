/* SPDX-License-Identifier: PostgreSQL
 *
 * The life of a configuration: built by load.c (or copied, with one value changed, by settings.c),
 * then shared by all threads, which only read and count.
 */
#include "config.h"

#include "conf_priv.h"

#include <stdlib.h>

const struct pw_conf *pw_conf_ref(const struct pw_conf *conf)
{
	pw_refcount_ref(&((struct pw_conf *)(uintptr_t)conf)->refs);
	return conf;
}

void pw_conf_unref(const struct pw_conf *conf)
{
	/* The count is the one part of a frozen configuration that changes. */
	struct pw_conf *shared = (struct pw_conf *)(uintptr_t)conf;

	if (!shared || !pw_refcount_unref(&shared->refs))
		return;
	pw_conf_arena_unref(shared->arena);
	free(shared);
}

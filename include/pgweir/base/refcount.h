/* SPDX-License-Identifier: PostgreSQL
 *
 * An atomic reference count for immutable objects that several threads hold.
 */
#ifndef PGWEIR_BASE_REFCOUNT_H
#define PGWEIR_BASE_REFCOUNT_H

#include <stdatomic.h>
#include <stdbool.h>

struct pw_refcount {
	atomic_uint n;
};

static inline void pw_refcount_init(struct pw_refcount *rc)
{
	atomic_init(&rc->n, 1);
}

static inline void pw_refcount_ref(struct pw_refcount *rc)
{
	atomic_fetch_add_explicit(&rc->n, 1, memory_order_relaxed);
}

/* True for whoever drops the last reference: that caller frees. */
static inline bool pw_refcount_unref(struct pw_refcount *rc)
{
	return atomic_fetch_sub_explicit(&rc->n, 1, memory_order_acq_rel) == 1;
}

#endif

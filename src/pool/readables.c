/* SPDX-License-Identifier: PostgreSQL
 *
 * The latest answer, and when it is time for another one: as with the database's code.
 */
#include "config.h"

#include "pgweir/pool/readables.h"

#include "pgweir/base/clock.h"
#include "pgweir/pool/code.h"

void pw_readables_init(struct pw_readables *readables)
{
	atomic_init(&readables->version, 0);
	atomic_init(&readables->epoch, 0);
	atomic_init(&readables->given_us, 0);
	atomic_init(&readables->took_us, 0);
	atomic_init(&readables->failed_us, 0);
	atomic_init(&readables->is_asked, false);
	pthread_mutex_init(&readables->lock, NULL);
	readables->latest = NULL;
}

void pw_readables_fini(struct pw_readables *readables)
{
	pw_readable_unref(readables->latest);
	pthread_mutex_destroy(&readables->lock);
}

const struct pw_readable *pw_readable_look(struct pw_readables *readables,
					   struct pw_readable_view *view, unsigned code_epoch)
{
	if (atomic_load_explicit(&readables->version, memory_order_acquire) != view->version) {
		pw_readable_unref(view->readable);
		pthread_mutex_lock(&readables->lock);
		view->version = atomic_load_explicit(&readables->version, memory_order_relaxed);
		view->readable = pw_readable_ref(readables->latest);
		pthread_mutex_unlock(&readables->lock);
	}
	/* A later one will do: epochs go up. */
	return view->readable && (int)(view->readable->epoch - code_epoch) >= 0 ? view->readable
										: NULL;
}

void pw_readable_view_fini(struct pw_readable_view *view)
{
	pw_readable_unref(view->readable);
	*view = (struct pw_readable_view){0, NULL};
}

static bool is_failing(const struct pw_readables *readables, uint64_t now_us)
{
	uint64_t failed_us = atomic_load_explicit(&readables->failed_us, memory_order_relaxed);

	return failed_us > 0 && pw_clock_since(failed_us, now_us) < PW_CODE_RETRY_US;
}

bool pw_readables_begin(struct pw_readables *readables, unsigned code_epoch, uint64_t now_us,
			bool is_waited_for)
{
	unsigned epoch = atomic_load_explicit(&readables->epoch, memory_order_acquire);
	uint64_t given_us = atomic_load_explicit(&readables->given_us, memory_order_relaxed);

	return !is_failing(readables, now_us) &&
	       pw_code_is_due(epoch, given_us, code_epoch, now_us, is_waited_for) &&
	       !atomic_exchange(&readables->is_asked, true);
}

static void replace(struct pw_readables *readables, struct pw_readable *readable)
{
	struct pw_readable *earlier;

	pthread_mutex_lock(&readables->lock);
	earlier = readables->latest;
	readables->latest = readable;
	atomic_store(&readables->epoch, readable->epoch);
	atomic_fetch_add(&readables->version, 1);
	pthread_mutex_unlock(&readables->lock);
	pw_readable_unref(earlier);
}

void pw_readables_end(struct pw_readables *readables, struct pw_readable *readable, uint64_t now_us)
{
	if (readable) {
		atomic_store(&readables->failed_us, 0);
		replace(readables, readable);
	}
	atomic_store(&readables->given_us, now_us);
	atomic_store(&readables->is_asked, false);
}

void pw_readables_failed(const struct pw_logctx *log, struct pw_readables *readables,
			 const char *error, uint64_t now_us)
{
	atomic_store(&readables->failed_us, now_us);
	pw_log_warning(log,
		       "the server did not say what its standbys may read, so it gets all that is "
		       "not known: %s",
		       error[0] ? error : "not the answer that was expected");
}

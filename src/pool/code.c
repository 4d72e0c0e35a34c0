/* SPDX-License-Identifier: PostgreSQL
 *
 * The verdict of the moment, and the names of settings that a server does not list.
 */
#include "config.h"

#include "pgweir/pool/code.h"

#include <string.h>

#include "pgweir/base/clock.h"

static void init_names(struct pw_code_names *names)
{
	pw_strbuf_init(&names->text);
	names->n = 0;
	atomic_init(&names->is_full, false);
}

void pw_code_init(struct pw_code *code)
{
	atomic_init(&code->version, 0);
	atomic_init(&code->epoch, 0);
	atomic_init(&code->given_us, 0);
	atomic_init(&code->took_us, 0);
	atomic_init(&code->failed_us, 0);
	atomic_init(&code->generation, 0);
	atomic_init(&code->is_asked, false);
	pthread_mutex_init(&code->lock, NULL);
	code->verdict = NULL;
	init_names(&code->dotted);
	init_names(&code->of_sessions);
}

void pw_code_fini(struct pw_code *code)
{
	pw_verdict_unref(code->verdict);
	pw_strbuf_fini(&code->dotted.text);
	pw_strbuf_fini(&code->of_sessions.text);
	pthread_mutex_destroy(&code->lock);
}

const struct pw_verdict *pw_code_look(struct pw_code *code, struct pw_code_view *view,
				      unsigned code_epoch)
{
	if (atomic_load_explicit(&code->version, memory_order_acquire) != view->version) {
		pw_verdict_unref(view->verdict);
		pthread_mutex_lock(&code->lock);
		view->version = atomic_load_explicit(&code->version, memory_order_relaxed);
		view->verdict = pw_verdict_ref(code->verdict);
		pthread_mutex_unlock(&code->lock);
	}
	/* A later one will do: epochs go up. */
	return view->verdict && (int)(view->verdict->epoch - code_epoch) >= 0 ? view->verdict
									      : NULL;
}

void pw_code_view_fini(struct pw_code_view *view)
{
	pw_verdict_unref(view->verdict);
	*view = (struct pw_code_view){0, NULL};
}

/* What was asked for a moment ago is not asked again at every change of a table. */
bool pw_code_is_due(unsigned epoch, uint64_t given_us, unsigned code_epoch, uint64_t now_us,
		    bool is_waited_for)
{
	/* Another worker's clock may be ahead. */
	uint64_t age = now_us > given_us ? now_us - given_us : 0;

	if (given_us == 0)
		return true;
	if (epoch != code_epoch)
		return age > PW_CODE_PAUSE_US;
	return age > (is_waited_for ? PW_CODE_AGE_MAX_US : PW_CODE_AGE_US);
}

bool pw_code_begin(struct pw_code *code, unsigned code_epoch, uint64_t now_us, bool is_waited_for)
{
	unsigned epoch = atomic_load_explicit(&code->epoch, memory_order_acquire);
	uint64_t given_us = atomic_load_explicit(&code->given_us, memory_order_relaxed);

	return !pw_code_is_failing(code, now_us) &&
	       pw_code_is_due(epoch, given_us, code_epoch, now_us, is_waited_for) &&
	       !atomic_exchange(&code->is_asked, true);
}

bool pw_code_begin_now(struct pw_code *code, uint64_t now_us)
{
	return !pw_code_is_failing(code, now_us) && !atomic_exchange(&code->is_asked, true);
}

static void replace(struct pw_code *code, struct pw_verdict *verdict)
{
	struct pw_verdict *earlier;

	pthread_mutex_lock(&code->lock);
	earlier = code->verdict;
	/* A change of which nobody has told us: what happened meanwhile is not known. */
	if (earlier && earlier->epoch == verdict->epoch && pw_verdict_exceeds(verdict, earlier))
		atomic_fetch_add(&code->generation, 1);
	code->verdict = verdict;
	atomic_store(&code->epoch, verdict->epoch);
	atomic_fetch_add(&code->version, 1);
	pthread_mutex_unlock(&code->lock);
	pw_verdict_unref(earlier);
}

void pw_code_end(struct pw_code *code, struct pw_verdict *verdict, uint64_t now_us)
{
	if (verdict) {
		atomic_store(&code->failed_us, 0);
		replace(code, verdict);
	}
	atomic_store(&code->given_us, now_us);
	atomic_store(&code->is_asked, false);
}

bool pw_code_is_failing(const struct pw_code *code, uint64_t now_us)
{
	uint64_t failed_us = atomic_load_explicit(&code->failed_us, memory_order_relaxed);

	return failed_us > 0 && pw_clock_since(failed_us, now_us) < PW_CODE_RETRY_US;
}

void pw_code_failed(const struct pw_logctx *log, struct pw_code *code, const char *error,
		    uint64_t now_us)
{
	uint64_t before = atomic_load(&code->failed_us);

	/* Of several threads that hear it at a time one tells. */
	if (pw_code_is_failing(code, now_us) ||
	    !atomic_compare_exchange_strong(&code->failed_us, &before, now_us))
		return;
	pw_log_warning(log,
		       "the server did not say what code the database holds, so each call of a "
		       "function makes work: %s",
		       error[0] ? error : "not the answer that was expected");
}

static bool has_name(const struct pw_strbuf *names, const char *name)
{
	for (size_t at = 0; at < names->len; at += strlen(names->data + at) + 1) {
		if (strcmp(names->data + at, name) == 0)
			return true;
	}
	return false;
}

void pw_code_add_name(struct pw_code *code, struct pw_code_names *names, const char *name)
{
	pthread_mutex_lock(&code->lock);
	if (!has_name(&names->text, name)) {
		if (names->n < PW_CODE_NAMES_MAX)
			pw_strbuf_add(&names->text, name, strlen(name) + 1);
		names->n++;
		if (names->n > PW_CODE_NAMES_MAX || names->text.has_failed)
			atomic_store(&names->is_full, true);
	}
	pthread_mutex_unlock(&code->lock);
}

void pw_code_copy_names(struct pw_code *code, const struct pw_code_names *names,
			struct pw_strbuf *out)
{
	pthread_mutex_lock(&code->lock);
	if (names->text.len > 0)
		pw_strbuf_add(out, names->text.data, names->text.len);
	pthread_mutex_unlock(&code->lock);
}

/* SPDX-License-Identifier: PostgreSQL
 *
 * One mutex guards the questions and the cache; it is never held during a look-up. The cache is
 * bounded: the names come from the configuration and are few.
 *
 * A name whose servers do not answer keeps a helper busy for as long as the system library sees
 * fit. So there are several, no two of them look up the same name, and what the cache knows needs
 * none. At the end nobody waits for them: whoever leaves last frees all.
 */
#include "config.h"

#include "pgweir/net/resolver.h"

#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pgweir/base/clock.h"
#include "pgweir/base/list.h"

enum { CACHE_MAX = 1024, HELPERS = 4 };

struct cached_name {
	struct pw_list node;
	char *name;
	uint64_t expires_us;
	struct pw_resolve_answer answer;
};

struct helper {
	pthread_t thread;
	struct pw_resolver *resolver;
	const char *name; /* being looked up; NULL = nothing to do */
};

struct pw_resolver {
	pthread_mutex_t lock; /* rank 3 */
	pthread_cond_t wake;
	struct helper helpers[HELPERS];
	unsigned n_helpers;
	unsigned refs; /* the owner's, and one of each helper */
	struct pw_resolve *first, **last;
	size_t n_waiting;
	struct pw_list cache; /* oldest first */
	size_t n_cached;
	uint64_t ttl_us, failure_ttl_us;
	bool is_stopping;
};

static void free_question(struct pw_resolve *q)
{
	free(q->name);
	free(q);
}

static void deliver_answer(struct pw_mail *mail, void *receiver PW_UNUSED)
{
	struct pw_resolve *q = PW_CONTAINER(mail, struct pw_resolve, mail);

	if (q->arg)
		q->done(q->arg, &q->answer);
	free_question(q);
}

static void discard_answer(struct pw_mail *mail)
{
	free_question(PW_CONTAINER(mail, struct pw_resolve, mail));
}

static void drop_cached(struct pw_resolver *r, struct cached_name *c)
{
	pw_list_remove(&c->node);
	r->n_cached--;
	free(c->name);
	free(c);
}

static struct cached_name *find_cached(struct pw_resolver *r, const char *name)
{
	PW_LIST_FOREACH (node, &r->cache) {
		struct cached_name *c = PW_CONTAINER(node, struct cached_name, node);

		if (strcmp(c->name, name) == 0)
			return c;
	}
	return NULL;
}

static bool answer_from_cache(struct pw_resolver *r, struct pw_resolve *q)
{
	struct cached_name *c = find_cached(r, q->name);

	if (!c || c->expires_us <= pw_clock_now_us())
		return false;
	q->answer = c->answer;
	pw_mailbox_post(q->reply_to, &q->mail);
	return true;
}

static void remember(struct pw_resolver *r, const struct pw_resolve *q)
{
	struct cached_name *c = find_cached(r, q->name);

	if (!c) {
		if (r->n_cached >= CACHE_MAX)
			drop_cached(
			    r, PW_CONTAINER(pw_list_first(&r->cache), struct cached_name, node));
		c = calloc(1, sizeof(*c));
		if (c)
			c->name = strdup(q->name);
		if (!c || !c->name) {
			free(c);
			return;
		}
		pw_list_append(&r->cache, &c->node);
		r->n_cached++;
	}
	c->answer = q->answer;
	c->expires_us = pw_clock_now_us() + (q->answer.n > 0 ? r->ttl_us : r->failure_ttl_us);
}

static void look_up(struct pw_resolve *q)
{
	const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
	struct addrinfo *list = NULL;
	int code = getaddrinfo(q->name, NULL, &hints, &list);

	if (code != 0) {
		snprintf(q->answer.why, sizeof(q->answer.why), "%s", gai_strerror(code));
		return;
	}
	for (struct addrinfo *ai = list; ai && q->answer.n < PW_RESOLVE_ADDRS_MAX; ai = ai->ai_next)
		q->answer.addrs[q->answer.n++] = pw_addr_from_sockaddr(ai->ai_addr);
	freeaddrinfo(list);
}

/* ---- the helpers ---- */

static bool is_looked_up(const struct pw_resolver *r, const char *name)
{
	for (unsigned i = 0; i < r->n_helpers; i++) {
		if (r->helpers[i].name && strcmp(r->helpers[i].name, name) == 0)
			return true;
	}
	return false;
}

/* The first question that no helper is about to answer; NULL = none. */
static struct pw_resolve *take_question(struct pw_resolver *r)
{
	struct pw_resolve **at = &r->first, *q;

	while (*at && is_looked_up(r, (*at)->name))
		at = &(*at)->next;
	q = *at;
	if (!q)
		return NULL;
	*at = q->next;
	if (!*at)
		r->last = at;
	r->n_waiting--;
	return q;
}

static void answer_question(struct helper *h, struct pw_resolve *q)
{
	struct pw_resolver *r = h->resolver;

	h->name = q->name;
	pthread_mutex_unlock(&r->lock);
	look_up(q);
	pthread_mutex_lock(&r->lock);
	h->name = NULL;
	if (r->is_stopping) {
		free_question(q);
		return;
	}
	remember(r, q);
	pw_mailbox_post(q->reply_to, &q->mail);
	/* Others may have asked the same meanwhile. */
	pthread_cond_broadcast(&r->wake);
}

/* Gives the lock back, too. */
static void leave(struct pw_resolver *r)
{
	bool is_last = --r->refs == 0;
	struct pw_list *node;

	pthread_mutex_unlock(&r->lock);
	if (!is_last)
		return;
	while ((node = pw_list_first(&r->cache)))
		drop_cached(r, PW_CONTAINER(node, struct cached_name, node));
	pthread_mutex_destroy(&r->lock);
	pthread_cond_destroy(&r->wake);
	free(r);
}

static void *run_helper(void *arg)
{
	struct helper *h = arg;
	struct pw_resolver *r = h->resolver;
	struct pw_resolve *q;

	pthread_mutex_lock(&r->lock);
	while (!r->is_stopping) {
		if (!(q = take_question(r)))
			pthread_cond_wait(&r->wake, &r->lock);
		else if (!answer_from_cache(r, q))
			answer_question(h, q);
	}
	leave(r);
	return NULL;
}

/* ---- life ---- */

struct pw_resolver *pw_resolver_create(uint64_t ttl_us, uint64_t failure_ttl_us)
{
	struct pw_resolver *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	pthread_mutex_init(&r->lock, NULL);
	pthread_cond_init(&r->wake, NULL);
	pw_list_init(&r->cache);
	r->last = &r->first;
	r->ttl_us = ttl_us;
	r->failure_ttl_us = failure_ttl_us;
	r->refs = 1;
	pthread_mutex_lock(&r->lock);
	for (unsigned i = 0; i < HELPERS; i++) {
		struct helper *h = &r->helpers[r->n_helpers];

		h->resolver = r;
		if (pthread_create(&h->thread, NULL, run_helper, h) != 0)
			break;
		r->n_helpers++;
		r->refs++;
	}
	if (r->n_helpers == 0) {
		leave(r);
		return NULL;
	}
	pthread_mutex_unlock(&r->lock);
	return r;
}

static void drop_questions(struct pw_resolver *r)
{
	struct pw_resolve *q;

	while ((q = r->first)) {
		r->first = q->next;
		free_question(q);
	}
	r->last = &r->first;
	r->n_waiting = 0;
}

void pw_resolver_destroy(struct pw_resolver *r)
{
	pthread_t idle[HELPERS];
	unsigned n_idle = 0;

	if (!r)
		return;
	pthread_mutex_lock(&r->lock);
	r->is_stopping = true;
	drop_questions(r);
	for (unsigned i = 0; i < r->n_helpers; i++) {
		if (r->helpers[i].name)
			pthread_detach(r->helpers[i].thread);
		else
			idle[n_idle++] = r->helpers[i].thread;
	}
	pthread_cond_broadcast(&r->wake);
	leave(r);
	while (n_idle > 0)
		pthread_join(idle[--n_idle], NULL);
}

/* ---- asking ---- */

void pw_resolver_set_ttl(struct pw_resolver *r, uint64_t ttl_us, uint64_t failure_ttl_us)
{
	pthread_mutex_lock(&r->lock);
	r->ttl_us = ttl_us;
	r->failure_ttl_us = failure_ttl_us;
	pthread_mutex_unlock(&r->lock);
}

struct pw_resolve *pw_resolver_ask(struct pw_resolver *r, const char *name,
				   struct pw_mailbox *reply_to,
				   void (*done)(void *arg, const struct pw_resolve_answer *answer),
				   void *arg)
{
	struct pw_resolve *q = calloc(1, sizeof(*q));

	if (!q)
		return NULL;
	q->name = strdup(name);
	if (!q->name) {
		free(q);
		return NULL;
	}
	q->mail.deliver = deliver_answer;
	q->mail.discard = discard_answer;
	q->reply_to = reply_to;
	q->done = done;
	q->arg = arg;
	pthread_mutex_lock(&r->lock);
	if (!answer_from_cache(r, q)) {
		*r->last = q;
		r->last = &q->next;
		r->n_waiting++;
		pthread_cond_signal(&r->wake);
	}
	pthread_mutex_unlock(&r->lock);
	return q;
}

void pw_resolver_counts(struct pw_resolver *r, size_t *names, size_t *queries)
{
	pthread_mutex_lock(&r->lock);
	*names = r->n_cached;
	*queries = r->n_waiting;
	pthread_mutex_unlock(&r->lock);
}

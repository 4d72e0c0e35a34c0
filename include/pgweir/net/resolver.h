/* SPDX-License-Identifier: PostgreSQL
 *
 * Host names to addresses: getaddrinfo(3) on helper threads, with a cache shared by all workers.
 * Answers come back through the asker's mailbox. A name whose servers do not answer holds up
 * nobody who asks for another one.
 */
#ifndef PGWEIR_NET_RESOLVER_H
#define PGWEIR_NET_RESOLVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pgweir/base/addr.h"
#include "pgweir/base/status.h"
#include "pgweir/net/mailbox.h"

enum { PW_RESOLVE_ADDRS_MAX = 16 };

struct pw_resolver;

struct pw_resolve_answer {
	size_t n;                                   /* 0 = failed, `why` tells */
	struct pw_addr addrs[PW_RESOLVE_ADDRS_MAX]; /* port 0 */
	char why[128];
};

/* Made by the asker, who may set `arg` to NULL (on its own thread) when it no longer cares; the
 * answer is then dropped. Freed after `done`. */
struct pw_resolve {
	struct pw_mail mail;
	struct pw_resolve *next; /* the resolver's */
	struct pw_mailbox *reply_to;
	void (*done)(void *arg, const struct pw_resolve_answer *answer);
	void *arg;
	char *name;
	struct pw_resolve_answer answer;
};

/* TTLs in microseconds: dns_max_ttl, dns_nxdomain_ttl. NULL where no thread could be had. */
struct pw_resolver *pw_resolver_create(uint64_t ttl_us, uint64_t failure_ttl_us);
/* Does not wait for look-ups under way: what was asked and not answered is dropped. Nobody may ask
 * any more, or still hold a question. */
void pw_resolver_destroy(struct pw_resolver *resolver);
void pw_resolver_set_ttl(struct pw_resolver *resolver, uint64_t ttl_us, uint64_t failure_ttl_us);

/* Answers through the mailbox, also from the cache. NULL without memory. Any thread. */
struct pw_resolve *pw_resolver_ask(struct pw_resolver *resolver, const char *name,
				   struct pw_mailbox *reply_to,
				   void (*done)(void *arg, const struct pw_resolve_answer *answer),
				   void *arg);

/* Names in the cache and questions waiting: for SHOW LISTS. */
void pw_resolver_counts(struct pw_resolver *resolver, size_t *names, size_t *queries);

#endif

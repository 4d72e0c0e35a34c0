/* SPDX-License-Identifier: PostgreSQL
 *
 * What all workers share about databases, users and pools: the exact limits, who waits where, and
 * what a server told us at login. Every worker has its own queues and links (pool/pool.h); this is
 * only how they agree.
 *
 * Entries are found or made under one mutex, when a pool or a login begins, never while traffic
 * flows; what traffic touches is atomic. An entry lives while somebody holds a reference.
 * Any thread.
 *
 * The order of a decision between two workers is Dekker's: a waiter publishes itself first and
 * then looks for idle links; a link is published as idle first and then waiters are looked for.
 * With sequentially consistent operations at least one of the two sees the other.
 */
#ifndef PGWEIR_POOL_REGISTRY_H
#define PGWEIR_POOL_REGISTRY_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "pgweir/auth/scram.h"
#include "pgweir/base/error.h"
#include "pgweir/base/hash.h"
#include "pgweir/base/limit.h"
#include "pgweir/base/map.h"
#include "pgweir/base/secret.h"
#include "pgweir/base/strbuf.h"
#include "pgweir/pool/code.h"
#include "pgweir/pool/parsed.h"
#include "pgweir/pool/readables.h"

enum { PW_WORKERS_MAX = 256, PW_CACHE_LINE = 64 };

/* Reasons for which clients keep their links between transactions (client/client.h names them). */
enum { PW_PIN_REASONS = 14 };

struct pw_pin_count {
	atomic_int now;         /* clients */
	_Atomic uint64_t total; /* how often one had it that had not before */
};

struct pw_shared_db {
	struct pw_map_node node;
	unsigned refs; /* under the registry's mutex */
	char *name;
	struct pw_limit links;
	struct pw_limit clients;
	atomic_bool is_paused;   /* PAUSE db, KILL */
	atomic_bool is_disabled; /* DISABLE db */
	atomic_bool is_evicting; /* a request to evict an idle link is going round */
	/* Raised when tables may have changed (a CREATE, ALTER or DROP was seen, or a server said
	 * that a plan no longer fits): what was parsed before may have an older idea of its result.
	 */
	atomic_uint ddl_epoch;
	/* Raised when its code may have changed, which new tables and indexes do not do: what was
	 * known of that (pool/code.h) is out of date. */
	atomic_uint code_epoch;
	/* Somebody asks for currval() or lastval(): whoever draws on a link that has another one's
	 * values draws on it without these. */
	atomic_bool reads_sequences;
	/* How often that was done before anybody had asked. */
	atomic_uint n_watched;
	/* Halves of the ids of texts that looked like reads and that replicas have refused; the
	 * latest. */
	_Atomic uint64_t refused[64];
	atomic_uint n_refused;
	struct pw_code code;
	struct pw_readables readables;
	struct pw_parsed parsed;
	/* The id of the connection that listens for all clients, and its encoding (hub/hub.h). */
	_Atomic uint64_t hub, hub_encoding;
	_Atomic uint64_t hub_pool; /* the id of the pool that it is of; 0 = there is none */
	atomic_uint n_hearing;     /* whoever hears on it, or would if it were there */
	struct pw_pin_count pins[PW_PIN_REASONS];
};

struct pw_shared_user {
	struct pw_map_node node;
	unsigned refs;
	char *name;
	struct pw_limit links;
	struct pw_limit clients;
	atomic_bool is_evicting;
};

/* One worker's part of a pool, in a cache line of its own. */
struct pw_seat {
	_Alignas(PW_CACHE_LINE) _Atomic uint64_t head_since_us; /* 0 = nobody waits there */
	atomic_int idle;                                        /* idle links there */
	atomic_int incoming;                                    /* links on their way there */
};

/* How pgweir logs in to the server of a pool: what a client's own login has brought. */
struct pw_credentials {
	struct pw_secret secret;   /* plain or md5, from auth_query or a cleartext login */
	struct pw_scram_keys keys; /* pass-through */
};

struct pw_shared_pool {
	struct pw_map_node node;
	unsigned refs;
	uint64_t id; /* never used twice: what mail between workers names */
	struct pw_shared_db *db;
	struct pw_shared_user *user;
	bool of_replicas; /* beside the one of the primary, where reads are split off ... */
	struct pw_shared_pool *home; /* ... whose credentials it has; a reference */

	struct pw_limit links;  /* every server connection of the pool, whatever its state */
	struct pw_limit logins; /* those that are logging in */
	atomic_int standing;    /* those that have logged in */
	atomic_int pinned;      /* those that clients keep between transactions */
	atomic_uint mean_wait_us;
	atomic_uint epoch;                /* raised by RECONNECT: older links close when released */
	atomic_uint next_host;            /* round robin over the host list */
	_Atomic uint64_t welcome_version; /* 0 = no server has logged in yet */
	_Atomic uint64_t retry_at_us;     /* no login before this time: the last one failed */
	_Atomic uint64_t lifetime_close_us; /* when a link was last closed for its age */
	atomic_bool is_protocol_30;         /* the server refused 3.2 */
	atomic_bool has_failed;             /* the last login did; see last_error */
	atomic_bool is_shrinking;           /* a worker counts and closes surplus links */

	pthread_mutex_t lock;     /* rank 2; guards what follows */
	struct pw_strbuf welcome; /* name, value, name, value ... as the server gave them */
	struct pw_credentials credentials;
	struct pw_error last_error; /* of the last failed login, while has_failed */
	/* Which reload (pools->snapshot_serial) last made another server of this one: what a worker
	 * hears before it has got there is about the server of before. */
	unsigned defined_by;

	struct pw_seat *seats; /* one per worker */
};

struct pw_registry {
	pthread_mutex_t lock; /* rank 1 */
	struct pw_map dbs, users, pools;
	struct pw_hash_key key;
	unsigned n_workers;
	atomic_bool is_paused;    /* PAUSE */
	atomic_int clients;       /* sockets against max_client_conn */
	_Atomic uint64_t next_id; /* SHOW's id column, shared by clients and links */
	uint64_t next_pool_id;
	_Atomic uint64_t statement_bytes; /* texts of prepared statements in all workers */
	_Atomic uint64_t state_bytes;     /* what sessions have set, likewise */
	_Atomic uint64_t text_bytes;      /* what is held of long texts (proto/reader.h) */
};

PW_MUSTCHECK enum pw_status pw_registry_init(struct pw_registry *registry, unsigned n_workers,
					     const struct pw_hash_key *key);
/* All references must have been given back. */
void pw_registry_fini(struct pw_registry *registry);

/* Each gives a reference, or NULL without memory; find_db gives NULL where there is no entry. */
struct pw_shared_db *pw_registry_db(struct pw_registry *registry, const char *name);
struct pw_shared_db *pw_registry_find_db(struct pw_registry *registry, const char *name);
struct pw_shared_user *pw_registry_user(struct pw_registry *registry, const char *name);
struct pw_shared_pool *pw_registry_pool(struct pw_registry *registry, const char *db,
					const char *user, bool of_replicas);
void pw_registry_put_db(struct pw_registry *registry, struct pw_shared_db *db);
void pw_registry_put_user(struct pw_registry *registry, struct pw_shared_user *user);
void pw_registry_put_pool(struct pw_registry *registry, struct pw_shared_pool *pool);

/* Calls visit under the mutex for each entry: for SHOW. */
void pw_registry_each_db(struct pw_registry *registry,
			 void (*visit)(struct pw_shared_db *db, void *arg), void *arg);
void pw_registry_each_user(struct pw_registry *registry,
			   void (*visit)(struct pw_shared_user *user, void *arg), void *arg);
void pw_registry_each_pool(struct pw_registry *registry,
			   void (*visit)(struct pw_shared_pool *pool, void *arg), void *arg);

#endif

/* SPDX-License-Identifier: PostgreSQL
 *
 * A client: one connection from an application, from accept to close.
 *
 * Owner: the worker (struct pw_clients) that accepted it; it stays there for life. Its server link,
 * while it has one, is on the same worker. All calls on the worker's thread.
 *
 * The steps of its life are a table (client.c); pw_client_goto() is the only writer of its state,
 * pw_client_close() the only exit.
 */
#ifndef PGWEIR_CLIENT_CLIENT_H
#define PGWEIR_CLIENT_CLIENT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "pgweir/base/addr.h"
#include "pgweir/base/error.h"
#include "pgweir/base/list.h"
#include "pgweir/base/log.h"
#include "pgweir/base/map.h"
#include "pgweir/hub/hub.h"
#include "pgweir/net/batch.h"
#include "pgweir/net/stream.h"
#include "pgweir/pool/pool.h"
#include "pgweir/proto/reader.h"
#include "pgweir/session/prepared.h"
#include "pgweir/sql/shape_cache.h"
#include "pgweir/stat/counters.h"

struct pw_client;
struct pw_clients;
struct pw_client_login;
struct pw_client_route;
struct pw_client_session;
struct pw_console;

enum pw_client_state {
	PW_CLIENT_STARTUP, /* waits for the first packet, or the next one */
	PW_CLIENT_TLS_HANDSHAKE,
	PW_CLIENT_AUTH,        /* waits for a password or SASL message */
	PW_CLIENT_LOOKUP,      /* auth_query: waits for a link, or for its answer */
	PW_CLIENT_WELCOMING,   /* waits for the pool's first server login */
	PW_CLIENT_LINKING,     /* waits for a link of its own (replication) */
	PW_CLIENT_READY,       /* no link; nothing asked */
	PW_CLIENT_ROUTING,     /* no link; has asked for less than can be routed */
	PW_CLIENT_QUEUED,      /* has asked; waits for a link */
	PW_CLIENT_SYNCING,     /* the link takes over the client's parameters */
	PW_CLIENT_RELAYING,    /* has a link */
	PW_CLIENT_SETTLING,    /* has a link, whose answers decide what comes next is to mean */
	PW_CLIENT_PREPARING,   /* has a link, which is asked about one of its statements */
	PW_CLIENT_ASKING,      /* has a link, which is asked what has become of its session */
	PW_CLIENT_UNLISTENING, /* has a link, which is to listen no more: the hub takes over */
	PW_CLIENT_CONSOLE,     /* logged in to the console */
	PW_CLIENT_CANCELING,   /* brought a cancel request, waits for its end */
	PW_CLIENT_CLOSED,
	PW_CLIENT_N_STATES,
};

enum pw_console_right { PW_RIGHT_NONE, PW_RIGHT_STATS, PW_RIGHT_ADMIN };

enum { PW_CLIENT_KEY_MAX = 4 + 32 };

struct pw_client {
	unsigned magic;
	enum pw_client_state state; /* written by pw_client_goto() alone */
	struct pw_clients *clients;
	struct pw_list node;         /* in clients->all */
	struct pw_map_node key_node; /* in clients->keys, once logged in */
	struct pw_stream stream;
	struct pw_reader reader;
	struct pw_logctx log;
	struct pw_loan loan;
	struct pw_timer timer;
	struct pw_task free_task;
	uint64_t id;
	uint64_t connect_us, connect_wall_us;
	uint64_t state_since_us;
	uint64_t request_us;      /* the present query began; 0 = none */
	uint64_t last_request_us; /* the last query began; 0 = there was none */
	struct pw_addr addr;
	struct pw_client_login *login;  /* until it is logged in */
	struct pw_console *console;     /* CONSOLE */
	struct pw_shared_db *shared_db; /* references, each with a count of its clients */
	struct pw_shared_user *shared_user;
	struct pw_params *params;          /* tracked parameters as the client has them */
	struct pw_state *settings;         /* ... and what it has set beyond them: a reference */
	struct pw_client_session *session; /* what its statements leave; NULL = nobody looks */
	struct pw_prepared *prepared;      /* its statements; NULL = none */
	struct pw_client_route *route;     /* where its requests run; NULL = on one kind of node */
	struct pw_strbuf *held;            /* bytes received while no link could take them */
	uint32_t held_counted;             /* of them, in the registry's text_bytes */
	uint8_t key[PW_CLIENT_KEY_MAX];    /* body of its BackendKeyData */
	uint8_t key_len;
	enum pw_console_right right;
	bool is_tls;
	bool is_counted;    /* in max_client_conn */
	bool was_notified;  /* of its waiting */
	bool is_dropping;   /* the message at hand goes nowhere */
	bool is_answering;  /* it has but half of a message of its server's */
	bool is_cancel_due; /* a cancel request came while what went ahead was running */
	bool is_tracking;   /* its statement names are virtual */
	/* Its unnamed statement, or a portal of this transaction, may be a DISCARD ALL. */
	bool unnamed_forgets, portal_forgets;
	unsigned limits_of; /* snapshot_serial that the limits below come from */
	uint64_t query_wait_timeout, client_idle_timeout;
};

/* How the console speaks and hears: given by the admin layer. */
struct pw_console_ops {
	/* The client has logged in to the console: c->console is to be made. False: no memory. */
	bool (*begin)(struct pw_client *c);
	void (*on_piece)(struct pw_client *c, const struct pw_piece *piece);
	/* The client takes bytes again. */
	void (*on_drained)(struct pw_client *c);
	/* Somebody presented the session's cancel key. */
	void (*cancel)(struct pw_client *c);
	void (*end)(struct pw_client *c);
};

/* Cancel requests and other matters between workers, given by main. */
struct pw_client_peers {
	/* Somebody presented this key; every worker looks for it. `done` (with arg) comes back to
	 * this worker once, when the request has ended, wherever its owner was. */
	void (*cancel)(void *peers, struct pw_client *requester);
	void *peers;
};

/* One worker's clients. */
struct pw_clients {
	struct pw_loop *loop;
	struct pw_pools *pools;
	struct pw_registry *registry;
	struct pw_hubs hubs; /* who listens, hub/hub.h */
	const struct pw_tracked *tracked;
	/* Among these: default_transaction_isolation and _read_only; -1 = it is not. */
	int isolation, read_only;
	const struct pw_console_ops *console_ops;
	void *console_arg;                       /* the admin layer's */
	struct pw_counter_history console_stats; /* the admin layer's */
	const struct pw_client_peers *peers;
	struct pw_logctx log;
	struct pw_statements statements; /* texts shared by this worker's clients */
	struct pw_shape_cache shapes;    /* what is known of texts */
	uint64_t n_looks;                /* at requests, to find out where they are to run */
	struct pw_shape_key shape_key;
	struct pw_list all;
	atomic_uint n_open;                   /* as many; other threads read it */
	struct pw_map keys;                   /* by cancel key */
	struct pw_batch to_server, to_client; /* of the chunk at hand */
	struct pw_map verifiers;              /* derived from plain passwords, login.c */
	uint8_t mock_secret[32];              /* of the process: makes salts of SCRAM */
	bool is_shutting_down;                /* no new logins but the console's */
	bool is_draining;                     /* whoever needs a server is sent away */
};

PW_MUSTCHECK enum pw_status pw_clients_init(struct pw_clients *clients);
/* Closes every client. */
void pw_clients_fini(struct pw_clients *clients);
/* Takes over an accepted socket, which has inherited its options. */
void pw_clients_accept(struct pw_clients *clients, int fd, const struct pw_addr *addr);
/* A pool goes: its clients get FATAL `why`. (pools->on_pool_dropped) */
void pw_clients_pool_dropped(struct pw_pools *pools, struct pw_pool *pool, const char *why);
/* The client that has this cancel key, or NULL. */
struct pw_client *pw_clients_find_key(struct pw_clients *clients, const uint8_t *key, size_t len);
struct pw_client *pw_clients_find_id(struct pw_clients *clients, uint64_t id);
size_t pw_clients_count(struct pw_clients *clients);
/* SHUTDOWN WAIT_FOR_SERVERS: those who wait for a server are sent away. */
void pw_clients_refuse_waiting(struct pw_clients *clients);
/* After a reload: nothing that was derived from old secrets stays. */
void pw_clients_forget_secrets(struct pw_clients *clients);
/* After a reload: limits that hold at once. */
void pw_clients_take_limits(struct pw_clients *clients);
/* There is news of the cluster, which the pools have heard of. */
void pw_clients_follow(struct pw_clients *clients, const struct pw_cluster *cluster);

void pw_client_goto(struct pw_client *c, enum pw_client_state state);
/* Tells the client `err` if there is one (and it can still hear), logs `reason`, leaves its link
 * and all lists; freed at the end of the turn. */
void pw_client_close(struct pw_client *c, const char *reason, const struct pw_error *err);
void pw_client_send(struct pw_client *c, const void *data, size_t len);
/* Cancels what it runs or waits for; `done` runs once. */
void pw_client_cancel(struct pw_client *c, void (*done)(void *arg), void *arg);
/* The key that a CANCELING client has brought; borrowed. */
const uint8_t *pw_client_cancel_key(const struct pw_client *requester, size_t *len);
/* The requester's end of a cancel request. */
void pw_client_cancel_done(struct pw_client *requester);

/* NULL = it is not a client's. */
const struct pw_client *pw_client_of_loan(const struct pw_loan *loan);

/* What SHOW CLIENTS prints. */
const char *pw_client_state_name(const struct pw_client *c);
const char *pw_client_database(const struct pw_client *c); /* "(nodb)" before login */
const char *pw_client_user(const struct pw_client *c);     /* "(nouser)" before login */
size_t pw_client_statement_count(const struct pw_client *c);
/* What SHOW PINS prints: why it keeps its link between transactions, separated by commas (""
 * where it does not), and since when. */
void pw_client_pins(const struct pw_client *c, char *out, size_t size);

/* Why clients are pinned. */
struct pw_pin_reason {
	const char *name; /* as SHOW PINS prints it */
	const char *what; /* that the client has made */
	const char *end;  /* what frees it; NULL = nothing but the end of the session */
};

/* Why requests run where they do, if reads are split off. */
struct pw_route_reason {
	const char *node; /* primary, replica */
	const char *name; /* as SHOW ROUTES prints it */
	const char *what; /* it means */
};

/* i < PW_ROUTES_MAX; NULL = there is no such reason. */
const struct pw_route_reason *pw_client_route_reason(size_t i);

/* i < PW_PIN_REASONS */
const struct pw_pin_reason *pw_client_pin_reason(size_t i);
uint64_t pw_client_pinned_us(const struct pw_client *c);

#endif

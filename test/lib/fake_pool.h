/* SPDX-License-Identifier: PostgreSQL
 *
 * Pools without clients and without PostgreSQL: workers whose loops a test turns by hand, a clock
 * that stands still until it is told to go on, borrowers that write down what they hear, and the
 * server's side of connections to a listening unix socket.
 *
 * All in the test's one thread. What a helper does not find as it must be fails the test.
 */
#ifndef PGWEIR_TEST_LIB_FAKE_POOL_H
#define PGWEIR_TEST_LIB_FAKE_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pgweir/base/clock.h"
#include "pgweir/base/strbuf.h"
#include "pgweir/net/loop.h"
#include "pgweir/net/mailbox.h"
#include "pgweir/pool/pool.h"

/* ---- workers ---- */

enum { FAKE_WORKERS_MAX = 4, FAKE_OBJECTS_MAX = 32, FAKE_PORT = 5432 };
#define FAKE_RANDOM_CUTS SIZE_MAX

struct fake_clock {
	struct pw_clock clock; /* first: what the loops hold */
	uint64_t now_us;
};

struct fake_worker {
	struct pw_loop loop;
	struct pw_mailbox mailbox;
	struct pw_pools pools;
};

struct fake_env {
	struct fake_clock clock;
	struct pw_log log;
	struct pw_hash_key key;
	struct pw_tracked tracked;
	struct pw_registry registry;
	struct pw_snapshot *snapshot;
	struct fake_worker workers[FAKE_WORKERS_MAX];
	struct pw_pools *peers[FAKE_WORKERS_MAX];
	unsigned n_workers;
	size_t cut; /* servers' answers go out in pieces of so many bytes; 0 = whole */
	struct pw_rng rng;
	int listen_fd;
	char dir[64];
};

/* `settings`: lines of the [pgweir] section, `db`: options of the one database, "app"; both may be
 * "". */
void fake_env_init(struct fake_env *env, const char *settings, const char *db, unsigned n_workers);
/* No loan may be left. */
void fake_env_fini(struct fake_env *env);
/* Turns every loop until all that is under way has arrived. */
void fake_turn(struct fake_env *env);
/* The same for one worker: what it posts to the others stays in their boxes. */
void fake_turn_worker(struct fake_env *env, unsigned worker);
/* Lets time pass, in steps that the timers notice, with a turn after each. */
void fake_pass(struct fake_env *env, uint64_t us);
struct pw_pool *fake_pool_of(struct fake_env *env, unsigned worker, const char *user);
/* Loads a configuration anew; no worker has it yet. */
void fake_load(struct fake_env *env, const char *settings, const char *db);
/* The same, and gives it to every worker. */
void fake_reload(struct fake_env *env, const char *settings, const char *db);
/* Nobody listens any more, or somebody does again. */
void fake_listen(struct fake_env *env, bool is_on);

/* ---- borrowers ---- */

struct fake_borrower;

struct fake_object {
	struct fake_borrower *owner;
	unsigned number; /* 1, 2, ... in the order of fake_expect() */
	unsigned ends;   /* settled or freed: exactly once */
};

/*
 * What it hears is written to `heard`, one word each:
 *   link welcome refused:SQLSTATE lost lost:SQLSTATE drained name=value
 *   T D C ...          the type of a message passed on
 *   done:N skipped:N   an object was settled; done:- for a LOCAL entry without one
 *   freed:N
 *   ready ready-own
 */
struct fake_borrower {
	struct pw_loan loan;
	struct pw_strbuf heard;
	struct pw_strbuf bytes; /* of the messages passed on */
	struct fake_object objects[FAKE_OBJECTS_MAX];
	unsigned n_objects;
	unsigned n_chunks;
	struct pw_error last_error;
	bool returns_when_free; /* gives the link back from within on_ready */
	bool is_inside_call;    /* of pw_pool_borrow() */
};

/* A pool of NULL leaves the loan unbound. */
void fake_borrower_init(struct fake_borrower *b, struct pw_pool *pool);
/* Leaves the queue or abandons the link; every object must have ended once. */
void fake_borrower_fini(struct fake_borrower *b);
bool fake_borrow(struct fake_borrower *b);
/* Notes that an answer is due. A statement makes the entry KNOWN's business: PARSE and CLOSE
 * change the link's set as the client layer does. An object goes with LOCAL entries and with those
 * that have a statement; its number is returned, 0 without. */
unsigned fake_expect(struct fake_borrower *b, enum pw_message_role role, unsigned flags,
		     uint64_t statement);
/* Several entries without objects, one letter each as in the protocol: "PBDESQFCc". */
void fake_expect_all(struct fake_borrower *b, const char *letters);
void fake_say(struct fake_borrower *b, const void *data, size_t len);
/* Compares what was heard since the last time. */
void fake_assert_heard(struct fake_borrower *b, const char *words);
struct pw_id fake_statement(uint64_t n);

/* ---- the server's side ---- */

struct fake_server {
	struct fake_env *env;
	int fd;
	struct pw_strbuf in;
};

/* Takes the next connection, if there is one. */
bool fake_accept(struct fake_env *env, struct fake_server *server);
/* Takes one that must be there, and answers a login: parameters, key, ReadyForQuery. */
void fake_accept_login(struct fake_env *env, struct fake_server *server);
/* Takes one that must be there, reads its StartupMessage and leaves it at that. */
void fake_accept_startup(struct fake_env *env, struct fake_server *server, uint32_t version);
void fake_server_close(struct fake_server *server);
/*
 * Sends messages, one word each: a type letter, then for some "=" and what is in it, with + for a
 * space: "1 2 T D C=SELECT+1 E=42601 X=57P01 Z=I S=TimeZone:UTC". X is an ErrorResponse of
 * severity FATAL, P an authentication that is done. Then the workers turn.
 */
void fake_answer(struct fake_server *server, const char *words);
/* The same with any bytes. */
void fake_send(struct fake_server *server, const void *data, size_t len);
/* The next bytes that were received must be these. */
void fake_must_receive(struct fake_server *server, const void *data, size_t len);
void fake_must_receive_query(struct fake_server *server, const char *sql);
/* Nothing waits to be read. */
void fake_must_be_silent(struct fake_server *server);
/* Has the pooler closed the connection? Reads what came before. */
bool fake_is_closed(struct fake_server *server);
/* A connection is waiting that carries a CancelRequest with the key of fake_accept_login(). */
void fake_accept_cancel(struct fake_env *env, struct fake_server *server);

#endif

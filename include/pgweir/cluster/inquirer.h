/* SPDX-License-Identifier: PostgreSQL
 *
 * The monitor's connection to one node, which never blocks: it is made, and made again after it was
 * lost, asks who the node is, and then what the node is doing, each time that it is told to. By
 * libpq, so that all that holds of its connections (TLS, SCRAM, sockets) holds here.
 *
 * Lies in its owner's object; belongs to the loop's thread.
 */
#ifndef PGWEIR_CLUSTER_INQUIRER_H
#define PGWEIR_CLUSTER_INQUIRER_H

#include <stdbool.h>
#include <stdint.h>

#include "pgweir/base/status.h"
#include "pgweir/cluster/probe.h"
#include "pgweir/net/loop.h"
#include "pgweir/net/mailbox.h"
#include "pgweir/net/resolver.h"
#include "pgweir/net/watch.h"

enum {
	/* A connection that has not been made by then is given up. */
	PW_INQUIRER_CONNECT_US = 2 * 1000 * 1000,
	/* So is one whose answer has not come by then. */
	PW_INQUIRER_ANSWER_US = 2 * 1000 * 1000,
	/* Before the next attempt; doubled after each that fails. */
	PW_INQUIRER_PAUSE_US = 50 * 1000,
	PW_INQUIRER_PAUSE_MAX_US = 500 * 1000,
};

/* How to log in; borrowed, and to outlive the inquirer. NULL = libpq's default. */
struct pw_inquirer_target {
	const char *host; /* a name, an address, or the directory of a socket */
	int port;
	const char *user, *password, *dbname;
	const char *sslmode, *sslrootcert, *sslcert, *sslkey;
};

struct pw_inquirer;

struct pw_inquirer_ops {
	void (*on_identity)(struct pw_inquirer *inquirer, const struct pw_probe_identity *identity);
	/* To the last pw_inquirer_ask(). */
	void (*on_answer)(struct pw_inquirer *inquirer, const struct pw_probe_answer *answer);
	/* The node did not say: it has an error of its own, but the connection stays. */
	void (*on_refused)(struct pw_inquirer *inquirer, const char *why);
	/* There is no connection, or no longer one; the next attempt comes by itself. */
	void (*on_lost)(struct pw_inquirer *inquirer, const char *why);
};

enum pw_inquirer_state {
	PW_INQUIRER_PAUSING,
	PW_INQUIRER_RESOLVING,
	PW_INQUIRER_CONNECTING,
	PW_INQUIRER_IDENTIFYING,
	PW_INQUIRER_READY,
	PW_INQUIRER_ASKING,
};

struct pg_conn;
struct pg_result;

struct pw_inquirer {
	const struct pw_inquirer_ops *ops;
	const struct pw_inquirer_target *target;
	struct pw_loop *loop;
	struct pw_resolver *resolver;
	struct pw_mailbox *mailbox;
	enum pw_inquirer_state state;
	struct pg_conn *conn;     /* libpq's, as is the next one */
	struct pg_result *result; /* the answer at hand, until it is over */
	struct pw_resolve *question;
	struct pw_watch watch;
	struct pw_timer timer; /* of the pause, or of what may take no longer */
	uint64_t pause_us;
	unsigned version; /* the server's */
};

/* The first attempt is made at once, that is in the loop's turn. */
void pw_inquirer_init(struct pw_inquirer *inquirer, struct pw_loop *loop,
		      struct pw_resolver *resolver, struct pw_mailbox *mailbox,
		      const struct pw_inquirer_target *target, const struct pw_inquirer_ops *ops);
void pw_inquirer_fini(struct pw_inquirer *inquirer);

/* False: it cannot, as there is no connection, or the last answer is still to come. */
bool pw_inquirer_ask(struct pw_inquirer *inquirer);

/* Version of libpq. */
void pw_inquirer_library_version(char *out, size_t size);

#endif

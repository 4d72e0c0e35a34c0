/* SPDX-License-Identifier: PostgreSQL
 *
 * The packets that come before a connection has a protocol: StartupMessage, SSLRequest,
 * GSSENCRequest, CancelRequest (PostgreSQL 15 docs 55.2 and 55.7; 3.2 and long cancel keys:
 * PostgreSQL 18). Parsing keeps pointers into the packet and copies nothing. Pure functions.
 */
#ifndef PGWEIR_PROTO_STARTUP_H
#define PGWEIR_PROTO_STARTUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pgweir/base/error.h"
#include "pgweir/base/status.h"

enum {
	PW_STARTUP_MAX = 10000, /* MAX_STARTUP_PACKET_LENGTH of PostgreSQL */
	PW_STARTUP_MIN = 8,
	PW_STARTUP_PARAMS_MAX = 256,
};

#define PW_PROTOCOL(major, minor) ((uint32_t)(major) << 16 | (uint32_t)(minor))

enum pw_startup_kind {
	PW_STARTUP_MESSAGE,
	PW_STARTUP_SSL,
	PW_STARTUP_GSSENC,
	PW_STARTUP_CANCEL,
};

struct pw_startup_param {
	const char *name, *value;
};

struct pw_startup {
	enum pw_startup_kind kind;
	uint32_t version; /* as asked for */
	/* PW_STARTUP_MESSAGE */
	struct pw_startup_param params[PW_STARTUP_PARAMS_MAX]; /* all, in order */
	size_t n_params;
	/* PW_STARTUP_CANCEL: the key as BackendKeyData's body had it */
	const uint8_t *cancel_key;
	size_t cancel_key_len;
};

/* Length of the packet that begins with these 4 bytes; 0 where it is out of bounds. */
size_t pw_startup_length(const uint8_t head[4]);

/* Parses one whole packet. On PW_EPROTO `err` says what to tell the client. */
PW_MUSTCHECK enum pw_status pw_startup_parse(const uint8_t *packet, size_t len,
					     struct pw_startup *out, struct pw_error *err);

/* The value of a parameter, or NULL; names as they are (case matters). The last one wins. */
const char *pw_startup_get(const struct pw_startup *startup, const char *name);

/*
 * Walks the settings in the `options` parameter: -c k=v, -ck=v, --k=v, backslash escapes. Calls
 * `take` for each; it may refuse. PW_EPROTO with `err` set where the syntax is another one.
 */
typedef enum pw_status pw_startup_option(const char *name, const char *value, void *arg,
					 struct pw_error *err);
PW_MUSTCHECK enum pw_status pw_startup_walk_options(const char *options, pw_startup_option *take,
						    void *arg, struct pw_error *err);

/* PostgreSQL's spelling of booleans, prefixes included; -1 = none. */
int pw_parse_bool(const char *value);

/* What the parameter `replication` asks for: a session that speaks the replication protocol of a
 * database (and SQL), or that of the whole server (PostgreSQL 15 docs 55.4). */
enum pw_replication { PW_REPLICATION_NONE, PW_REPLICATION_LOGICAL, PW_REPLICATION_PHYSICAL };

/* False where the value is neither a boolean nor "database". */
bool pw_parse_replication(const char *value, enum pw_replication *out);
/* The parameter's value that says so. */
const char *pw_replication_value(enum pw_replication replication);

#endif

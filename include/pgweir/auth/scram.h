/* SPDX-License-Identifier: PostgreSQL
 *
 * SCRAM-SHA-256 and SCRAM-SHA-256-PLUS (RFC 5802, RFC 7677; PostgreSQL 15 docs 55.3), both
 * sides. Every message from a peer is parsed with bounds checked and nothing here asserts on it.
 *
 * An exchange belongs to one connection and one thread; fini wipes it.
 */
#ifndef PGWEIR_AUTH_SCRAM_H
#define PGWEIR_AUTH_SCRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pgweir/base/status.h"
#include "pgweir/base/strbuf.h"

enum {
	PW_SCRAM_KEY_LEN = 32,
	PW_SCRAM_SALT_LEN = 16, /* of our own verifiers */
	PW_SCRAM_SALT_MAX = 1024,
	PW_SCRAM_MESSAGE_MAX = 8192, /* longest message accepted from a peer */
	PW_SCRAM_ITERATIONS_MAX = 10000000,
	PW_SCRAM_CHECK_MAX = 100000, /* of a verifier that a plain password is held against */
	PW_SCRAM_CLIENT_ITERATIONS_MAX = 1000000, /* that a server may make us compute */
};

#define PW_SCRAM_MECHANISM      "SCRAM-SHA-256"
#define PW_SCRAM_MECHANISM_PLUS "SCRAM-SHA-256-PLUS"

/* SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey, taken apart. */
struct pw_scram_verifier {
	uint32_t iterations;
	uint8_t salt[PW_SCRAM_SALT_MAX];
	size_t salt_len;
	uint8_t stored_key[PW_SCRAM_KEY_LEN];
	uint8_t server_key[PW_SCRAM_KEY_LEN];
};

/* Keys remembered from a client's login, good for logging in to a server that has the same
 * verifier. */
struct pw_scram_keys {
	bool is_set;
	uint8_t client_key[PW_SCRAM_KEY_LEN];
	uint8_t server_key[PW_SCRAM_KEY_LEN];
};

PW_MUSTCHECK bool pw_scram_verifier_parse(const char *text, struct pw_scram_verifier *out);
void pw_scram_verifier_format(const struct pw_scram_verifier *verifier, struct pw_strbuf *out);
/* From a plain password (SASLprep applied) with the given salt. */
PW_MUSTCHECK bool pw_scram_verifier_derive(const char *password, const uint8_t *salt,
					   size_t salt_len, uint32_t iterations,
					   struct pw_scram_verifier *out);
/* The salt of whatever verifier we make for a user ourselves: the same for the same name and secret
 * of the process, so that it does not show whether there is a password behind it. */
void pw_scram_salt(const char *user, const uint8_t secret[32], uint8_t out[PW_SCRAM_SALT_LEN]);
/* For a user that does not exist: a verifier that no password matches, with the salt of that name
 * (mock authentication, as PostgreSQL does). */
void pw_scram_verifier_mock(const char *user, const uint8_t secret[32], uint32_t iterations,
			    struct pw_scram_verifier *out);
/* Does the plain password belong to the verifier? Never with more than PW_SCRAM_CHECK_MAX
 * iterations. */
bool pw_scram_verifier_matches(const struct pw_scram_verifier *verifier, const char *password);

/* ---- the server's side: authenticating a client ---- */
struct pw_scram_server;

/* `binding`: tls-server-end-point data when the connection has TLS (then PLUS was offered), else
 * NULL. NULL without memory. Copies all it needs. */
struct pw_scram_server *pw_scram_server_create(const struct pw_scram_verifier *verifier,
					       const uint8_t *binding, size_t binding_len);
void pw_scram_server_destroy(struct pw_scram_server *scram);
/* client-first-message -> server-first-message in `out`. `mechanism` as the client named it. */
PW_MUSTCHECK enum pw_status pw_scram_server_first(struct pw_scram_server *scram,
						  const char *mechanism, const uint8_t *msg,
						  size_t len, struct pw_strbuf *out);
/* client-final-message -> server-final-message in `out`; PW_EDENIED = wrong proof, PW_EPROTO =
 * malformed or wrong channel binding. On PW_OK `keys` (may be NULL) gets the client's keys. */
PW_MUSTCHECK enum pw_status pw_scram_server_final(struct pw_scram_server *scram, const uint8_t *msg,
						  size_t len, struct pw_strbuf *out,
						  struct pw_scram_keys *keys);

/* ---- the client's side: logging in to a server ---- */
struct pw_scram_client;

/* Exactly one of `password` and `keys` is given. `binding` not NULL = use PLUS with it;
 * `is_tls` without binding sends "y" (server did not offer PLUS), else "n". */
struct pw_scram_client *pw_scram_client_create(const char *password,
					       const struct pw_scram_keys *keys,
					       const uint8_t *binding, size_t binding_len,
					       bool is_tls);
void pw_scram_client_destroy(struct pw_scram_client *scram);
PW_MUSTCHECK enum pw_status pw_scram_client_first(struct pw_scram_client *scram,
						  struct pw_strbuf *out);
/* server-first-message -> client-final-message. Iterations above PW_SCRAM_ITERATIONS_MAX and
 * over-long nonces are PW_EPROTO; with a password, whose keys the calling thread computes,
 * iterations above PW_SCRAM_CLIENT_ITERATIONS_MAX are PW_ELIMIT. */
PW_MUSTCHECK enum pw_status pw_scram_client_final(struct pw_scram_client *scram, const uint8_t *msg,
						  size_t len, struct pw_strbuf *out);
/* Verifies server-final-message: PW_EDENIED = wrong signature. */
PW_MUSTCHECK enum pw_status pw_scram_client_verify(struct pw_scram_client *scram,
						   const uint8_t *msg, size_t len);
/* Has the server proved that it knows the password too? Until then its AuthenticationOk is worth
 * nothing. */
bool pw_scram_client_is_verified(const struct pw_scram_client *scram);

#endif

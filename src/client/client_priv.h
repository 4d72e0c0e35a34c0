/* SPDX-License-Identifier: PostgreSQL
 *
 * Between the files of a client, lowest first: what it listens to (listening.c), where it is routed
 * (routes.c), what its statements leave (session.c), states and end (client.c), bytes on their way
 * (relay_io.c, hearing.c), tracked values (session_params.c), names of statements
 * (session_names.c), login from its end to its beginning (login_end.c, login_lookup.c,
 * login_auth.c, login.c), relay (relay_plan.c, route.c, route_token.c, relay_route.c,
 * relay_again.c, relay_names.c, relay_session.c, relay_loan.c, relay_hub.c, relay_prepared.c,
 * relay_message.c, relay.c), the set of clients and their events (clients.c).
 */
#ifndef PGWEIR_CLIENT_CLIENT_PRIV_H
#define PGWEIR_CLIENT_CLIENT_PRIV_H

#include "failed_priv.h"
#include "pgweir/client/client.h"
#include "pgweir/session/brought.h"
#include "pgweir/session/residue.h"
#include "resets_priv.h"
#include "unnamed_priv.h"

enum { PW_CLIENT_MAGIC = 0x436c6965, PW_KEY_30_LEN = 8 };

/* What a connection needs until it is logged in, and not a byte longer. */
struct pw_client_login {
	struct pw_strbuf packet; /* a start-up packet while it arrives */
	struct pw_strbuf row;    /* auth_query's answer while it arrives */
	uint32_t version;        /* protocol agreed on */
	enum pw_replication replication;
	char *options; /* replication: as they came */
	char user[PW_USERNAME_MAX + 1];
	char database[64];
	const struct pw_conf_db *db; /* in the snapshot at hand; NULL = none, or console */
	bool is_console;
	bool is_ssl_asked, is_gss_asked; /* such a request was answered */
	bool is_known;                   /* the user exists, as far as we know */
	bool is_dynamic;                 /* known by auth_query */
	bool is_row_seen;
	struct pw_snapshot *snapshot; /* the rules do not change during one login */
	enum pw_auth_type method;
	const struct pw_ident_map *map;
	const char *map_name;
	const char *stored;      /* the user's secret, of the snapshot; NULL = none there */
	struct pw_secret secret; /* the same as auth_query brought it */
	uint8_t md5_salt[4];
	struct pw_scram_server *scram;
	bool is_scram_started, has_stored_verifier;
	struct pw_scram_keys keys;
	struct pw_secret password; /* as given in clear, good for the server too */
	struct pw_error lookup_error;
	void (*after_look_up)(struct pw_client *c);
	uint8_t cancel_key[PW_CANCEL_KEY_MAX]; /* CANCELING: of the target */
	size_t cancel_key_len;
};

/* Nobody knew what the database's code may have left. */
enum pw_session_learning {
	PW_LEARNING_NOT,
	PW_LEARNING_WAITS, /* ASKING: somebody else asks about it */
	PW_LEARNING_ASKS,  /* ASKING: the client's own link does */
	PW_LEARNING_OVER,  /* known now, or not to be known */
};

/* Statements of the client's that a text runs or speaks of by their names, and those that these do
 * in turn. */
struct pw_client_named {
	struct pw_strbuf list; /* as in struct pw_effects */
	bool may_forget;       /* one of them may be DEALLOCATE ALL or the like */
	bool is_too_deep;      /* they may run others that are not here */
	unsigned values_use;   /* PW_VALUES_*: of them */
	uint64_t serial;       /* of the text */
};

/* What a client in transaction or statement mode leaves in its links (session_state = track). */
struct pw_client_session {
	struct pw_effects effects;    /* of what was sent since the link's state was last known */
	unsigned called;              /* PW_CODE_*: of these, as known when they were sent */
	bool is_called_unknown;       /* ... and not known of some */
	unsigned values_use;          /* PW_VALUES_*: of the last query */
	struct pw_client_named named; /* of the last query, or what was parsed or bound last */
	struct pw_client_lone lone;   /* part of these */
	struct pw_client_unnamed unnamed;
	bool is_put_off;    /* the next question is that of another transaction */
	bool is_acting;     /* ASKING: something is done, and nothing is asked */
	bool is_code_known; /* ASKING: as far as it matters */
	bool with_code;     /* ASKING: also about settings of which the code speaks */
	/* What the start-up packet asked for: where RESET goes back to. References. */
	struct pw_state *initial;
	struct pw_params *initial_params; /* NULL where it asked for none */
	/* Tracked values before what was sent had the server report the first; NULL = none yet. A
	 * reference. */
	struct pw_params *params_before;
	struct pw_id read_under; /* the parameters for which it is known: */
	bool is_accepted;        /* no value that no server has had */
	bool is_readable;        /* the lexer is right for its texts */
	bool must_restore;       /* a RESET was bound: behind the next Sync */
	bool may_copy;           /* ... where nothing that was bound is a COPY */
	struct pw_client_resets resets;
	struct pw_brought brought; /* under the client's own names (relay_names.c) */
	/* Names of statements, each with its zero: what the last Query is to drop and the link has
	 * not said yet. */
	struct pw_strbuf dropping;
	struct pw_strbuf said;        /* settings with a dot that what it has made may set */
	struct pw_strbuf ahead_error; /* why something could not be brought */
	struct pw_residue residue;    /* ASKING */
	unsigned pins;                /* PW_EFFECT_*: why the link cannot be given back */
	uint64_t pinned_us;           /* since when; 0 = it can */
	enum pw_session_learning learning;
	unsigned learning_epoch; /* of the database's code, when the transaction was over */
	unsigned attempts, n_said;
	char sqlstate[6];                      /* ASKING: of an error */
	struct pw_strbuf code_error;           /* ASKING again: why not with_code */
	struct pw_client_listening *listening; /* NULL = to nothing */
};

/* ---- session.c ---- */
/* With the tracked values that the start-up packet asked for. False without memory. */
bool pw_session_begin(struct pw_client *c, struct pw_params *wanted);
void pw_session_end(struct pw_client *c);
/* Without a link: is the lexer right for what it sends next? */
bool pw_session_is_readable(struct pw_client *c);
/* With one, too: may nothing that is unanswered change that? */
bool pw_session_reads_now(struct pw_client *c);
/* These note what a message may do to the session. */
enum pw_going_back pw_session_note_query(struct pw_client *c, const struct pw_piece *piece);
/* A Parse of the unnamed statement: adds to the flags with which that is to be expected. */
PW_MUSTCHECK enum pw_status pw_session_note_unnamed(struct pw_client *c,
						    const struct pw_piece *piece,
						    struct pw_cursor *body, unsigned *flags);
/* Where the link lacks it, it is to be parsed there: as it is read now. */
void pw_session_read_unnamed(struct pw_client *c);
/* What it is known to do; NULL = nobody looks. */
const struct pw_effects *pw_session_effects_of(struct pw_client *c, struct pw_statement *statement);
/* NULL = the unnamed one. */
void pw_session_note_bind(struct pw_client *c, struct pw_statement *statement);
/* One is run by its name. What it sets back is seen to by whoever binds or queries (the result), or
 * (is_code) when the transaction is over. */
enum pw_going_back pw_session_note_run(struct pw_client *c, struct pw_statement *statement,
				       bool is_bound, bool is_code);
/* An error about that message: the server may skip what it has not answered. */
void pw_session_note_error(struct pw_client *c, const struct pw_expect *about);
/* A Sync: was one bound since the last? */
bool pw_session_note_sync(struct pw_client *c);
/* A statement is bound that only SQL can have made, if anybody has. */
void pw_session_note_foreign(struct pw_client *c);
void pw_session_note_unknown(struct pw_client *c);
/* False: of a function of which nothing is known. */
bool pw_session_note_function(struct pw_client *c, const struct pw_piece *piece);
/* The client goes: what it leaves in its link is to be taken back, or nobody else may have it. */
void pw_session_leave(struct pw_client *c);
/* PW_EFFECT_*: why it cannot be without its link, from now on. False: too many of the pool are kept
 * already. */
bool pw_session_pin(struct pw_client *c, unsigned pins);

/* ---- session_params.c ---- */
/* What the client wants of tracked values that a server does not report, which has reported these,
 * is a setting of its session. False without memory. */
bool pw_session_part_params(struct pw_client *c, const struct pw_params *reported);
/* The server is about to have changed one. */
void pw_session_note_param(struct pw_client *c);
void pw_session_forget_params(struct pw_client *c);
/* The transaction is over, and all settings are known: those that went back to the server's default
 * are what the start-up packet asked for. False without memory. */
bool pw_session_restore_params(struct pw_client *c, const struct pw_residue_found *found);

/* ---- client.c ---- */
void pw_client_login_free(struct pw_client *c);
void pw_client_fail(struct pw_client *c, const char *sqlstate, const char *fmt, ...)
    PW_PRINTF(3, 4);
void pw_client_load_limits(struct pw_client *c);
/* Sends what the worker's two batches hold: before anything that may lead to another client's
 * bytes. */
void pw_clients_flush(struct pw_clients *clients);
/* Received bytes, as the present state takes them. */
void pw_client_feed(struct pw_client *c, const uint8_t *data, size_t len);
/* In the present state, microseconds. */
uint64_t pw_client_waited(const struct pw_client *c);
/* READY, ROUTING: how long the client may do nothing, in microseconds, with a transaction of which
 * no server has heard; 0 = it has none, or there is no limit. */
uint64_t pw_client_held_limit(const struct pw_client *c);
/* The same with it or without. */
uint64_t pw_client_idle_limit(const struct pw_client *c);
/* READY, ROUTING: how long it has done nothing, microseconds. */
uint64_t pw_client_idle(const struct pw_client *c);
/* QUEUED, LINKING: until the nearest of the notice, query_wait_timeout, query_timeout; 1 = it has
 * come, 0 = none. */
uint64_t pw_client_queue_limit(const struct pw_client *c);

/* ---- relay_io.c ---- */
/* So much is held, at least one chunk, before the client is read no more. */
size_t pw_relay_held_max(const struct pw_client *c);
/* The batches of the chunk at hand, towards the client and its link. */
struct pw_batch *pw_relay_to_client(struct pw_client *c);
struct pw_batch *pw_relay_to_server(struct pw_client *c);
/* A piece as it is: borrowed where it lies in the input, else copied. */
void pw_relay_add(struct pw_batch *batch, const struct pw_piece *piece);
/* Keeps bytes that no link can take now; false without memory. */
bool pw_relay_hold(struct pw_client *c, const void *data, size_t len);
void pw_relay_drop_held(struct pw_client *c);
/* What is held is fed again, as if it had just come. */
void pw_relay_release(struct pw_client *c);
/* To the server, untouched. */
void pw_relay_pass_on(struct pw_client *c, const struct pw_piece *piece);
/* The same, and its answer is expected; false = the client is closed. */
bool pw_relay_forward(struct pw_client *c, const struct pw_piece *piece,
		      const struct pw_expect *entry);
/* Closes the client; false, for the caller to return. */
bool pw_relay_out_of_memory(struct pw_client *c);

/* ---- cancel.c ---- */
void pw_login_take_cancel(struct pw_client *c, const uint8_t *key, size_t len);
/* What it was held for is over. */
void pw_client_cancel_now(struct pw_client *c);

/* ---- login_end.c ---- */
/* Gives it its right on the console; it is looked at before the password where the name is known.
 * False: it has none, and is closed. */
bool pw_login_enter_console(struct pw_client *c);
/* Takes the client's place in the limits of its database and user, as far as it has none yet. */
bool pw_login_join_shared(struct pw_client *c);
/* It has shown who it is. */
void pw_login_authenticated(struct pw_client *c);
/* The pool knows its servers' welcome now, or the client has a link of its own. */
void pw_login_finish(struct pw_client *c);

/* ---- login_lookup.c: auth_query ---- */
/* True: the look-up has begun (or failed and closed the client); `then` runs when the secret is
 * known. */
bool pw_login_look_up(struct pw_client *c, void (*then)(struct pw_client *c));
void pw_lookup_on_link(struct pw_client *c);
void pw_lookup_on_refused(struct pw_client *c, const struct pw_error *err);
void pw_lookup_on_piece(struct pw_client *c, const struct pw_piece *piece);
void pw_lookup_on_ready(struct pw_client *c);

/* ---- login_auth.c ---- */
void pw_login_authenticate(struct pw_client *c);
void pw_login_on_auth_data(struct pw_client *c, const uint8_t *data, size_t len);
void pw_login_forget_verifiers(struct pw_clients *clients);

/* ---- login.c ---- */
void pw_login_begin(struct pw_client *c);
void pw_login_on_startup_data(struct pw_client *c, const uint8_t *data, size_t len);
void pw_login_on_tls_open(struct pw_client *c);

/* ---- relay_loan.c ---- */
/* The client has got a link: it is brought to what the client has set (SYNCING), or fits. */
void pw_relay_begin(struct pw_client *c);
/* True: the client has a link that fits, now. */
bool pw_relay_acquire(struct pw_client *c);
/* The server has answered all: the time of the client's query is over. */
void pw_relay_note_ready(struct pw_client *c);
/* The link goes back to its pool if nothing is owed and nothing left in it. */
void pw_relay_leave_if_free(struct pw_client *c);
/* What was sent on our own account is answered. False: the client is closed. */
bool pw_relay_own_passed(struct pw_client *c);
/* The same, of what the client waits for as the end of its RESET. */
bool pw_relay_restored(struct pw_client *c);
/* SYNCING, ASKING: the server, or the hub, has answered. */
void pw_relay_synced(struct pw_client *c);
void pw_relay_answered(struct pw_client *c);

/* ---- relay.c ---- */
extern const struct pw_borrower_ops pw_relay_ops;
void pw_relay_on_client_data(struct pw_client *c, const uint8_t *data, size_t len);
void pw_relay_on_client_drained(struct pw_client *c);

/* ---- relay_session.c ---- */
/* The link is free: may it be given back? False: the client keeps it, or the server is asked
 * (ASKING), or the client is closed. */
bool pw_session_settle(struct pw_client *c);
/* ASKING: a piece of the answer; the end of it. False: not yet, or the client is closed. */
void pw_session_take_answer(struct pw_client *c, const struct pw_piece *piece);
bool pw_session_answered(struct pw_client *c);
/* What was sent has left nothing, or nobody has the link on which it may have. */
void pw_session_forget_effects(struct pw_client *c);
/* What an EXECUTE might have run is known: that counts, and not what it might have been. */
void pw_session_forget_unread(struct pw_client *c);

#endif

/* SPDX-License-Identifier: PostgreSQL
 *
 * What a session must see: its own writes, and nothing older than what it has read. Known by order,
 * not by clocks, and without asking a server at each commit.
 *
 * The monitor numbers its rounds: the number is raised, sequentially consistent, before any probe
 * of the round is handed to the kernel. Whoever has received the ReadyForQuery of a write then
 * loads the number: the positions that a later round brings back were taken after that write.
 *
 * One for each session, on one thread.
 */
#ifndef PGWEIR_CLUSTER_TOKEN_H
#define PGWEIR_CLUSTER_TOKEN_H

#include <stdbool.h>
#include <stdint.h>

#include "pgweir/cluster/track.h"

/* What was seen, or done, at a moment whose position is not known for certain yet. */
struct pw_sight {
	bool is_open;
	uint64_t probe; /* the number of the round that had begun by then */
	uint64_t us;
};

/* A timeline that there never is: of a position which nobody knows yet, as a transaction's own. */
#define PW_TOKEN_NOT_YET UINT32_MAX

/* All zeros: nothing need be seen. */
struct pw_token {
	uint32_t timeline;                /* of the floor; 0 = of any */
	uint64_t floor;                   /* a node must have replayed so far */
	uint64_t given_by;                /* the round that had begun when it was imported */
	struct pw_sight primary, replica; /* the latest on each */
	/* Nothing else was seen since: what the node has shown then it shows again, as long as it
	 * lives. */
	bool has_shown;
	unsigned node;
	uint64_t shown_us, shown_by_us; /* when, and when the link had logged in */
};

/* One node's last answer, and the link that is to be used. */
struct pw_replay {
	unsigned node;
	uint64_t sent_us; /* when it was asked */
	uint64_t replay;
	uint64_t login_us; /* the link's; 0 = any that there is, or one that is yet to be opened */
	uint64_t asked_by_us; /* when the connection that has asked it was made; 0 = not known */
};

/* A token as it is told to others, "1:0/16B3748": a timeline and a position. The whole of `text`
 * must be one. */
bool pw_token_parse(const char *text, uint32_t *timeline, uint64_t *lsn);

/* Something has run on the primary: a ReadyForQuery was received, or the link was lost before it,
 * and `probe` loaded after that. */
void pw_token_saw_primary(struct pw_token *token, uint64_t probe, uint64_t now_us);
/* The same of a read on a replica that was admitted, by a link that had logged in then: what that
 * has shown holds all that was to be seen before. */
void pw_token_saw_replica(struct pw_token *token, uint64_t probe, uint64_t now_us, unsigned node,
			  uint64_t login_us);
/* A position that was exported elsewhere. One of another history, or of none yet, cannot be
 * compared: then what the primary has by now is to be seen. */
void pw_token_import(struct pw_token *token, uint32_t timeline, uint64_t lsn, uint64_t probe,
		     uint64_t now_us);

/* Brings the token up to date with what the monitor knows by now; before the question below. A
 * floor of a history that may be lost becomes what the present primary has by now, and so does one
 * that the primary itself has not reached: it was made up, or lost in a crash. */
void pw_token_follow(struct pw_token *token, const struct pw_track *track, uint64_t probe,
		     uint64_t now_us);
/* May the session read there? The sample must be of the life of the server that the link belongs
 * to: asked for after the link's login, for a server that has crashed begins again further back. */
bool pw_token_admits(const struct pw_token *token, const struct pw_track *track,
		     const struct pw_replay *replay);

#endif

/* SPDX-License-Identifier: PostgreSQL
 *
 * Two positions cover what was seen: the insert position of any later round, which may run ahead of
 * what a replica can be sent; and the flush position of one so much later that all was flushed by
 * then. Whichever a replica reaches first will do.
 */
#include "config.h"

#include "pgweir/cluster/token.h"

#include <string.h>

#include "pgweir/cluster/lsn.h"

/* ---- text ---- */

/* Digit by digit: strtoul() would take signs and spaces. */
bool pw_token_parse(const char *text, uint32_t *timeline, uint64_t *lsn)
{
	uint64_t number = 0;

	if (*text < '1' || *text > '9')
		return false;
	while (*text >= '0' && *text <= '9' && number <= UINT32_MAX)
		number = number * 10 + (unsigned)(*text++ - '0');
	if (*text != ':' || number > UINT32_MAX)
		return false;
	*timeline = (uint32_t)number;
	return pw_lsn_parse(text + 1, strlen(text + 1), lsn);
}

/* ---- seeing ---- */

static void see(struct pw_sight *sight, uint64_t probe, uint64_t now_us)
{
	*sight = (struct pw_sight){true, probe, now_us};
}

void pw_token_saw_primary(struct pw_token *token, uint64_t probe, uint64_t now_us)
{
	see(&token->primary, probe, now_us);
	token->has_shown = false;
}

/* It was admitted there: so it has seen all that it had to see. */
void pw_token_saw_replica(struct pw_token *token, uint64_t probe, uint64_t now_us, unsigned node,
			  uint64_t login_us)
{
	see(&token->replica, probe, now_us);
	token->primary.is_open = false;
	token->has_shown = true;
	token->node = node;
	token->shown_us = now_us;
	token->shown_by_us = login_us;
}

void pw_token_import(struct pw_token *token, uint32_t timeline, uint64_t lsn, uint64_t probe,
		     uint64_t now_us)
{
	token->has_shown = false;
	if (token->timeline == 0 && timeline != PW_TOKEN_NOT_YET)
		token->timeline = timeline;
	if (token->timeline != timeline) {
		see(&token->primary, probe, now_us);
	} else if (lsn > token->floor) {
		token->floor = lsn;
		token->given_by = probe;
	}
}

/* ---- following ---- */

static bool is_common(const struct pw_token *token, const struct pw_track *track)
{
	return token->floor == 0 ||
	       (token->timeline == track->parent && token->floor <= track->fork);
}

static void change_history(struct pw_token *token, const struct pw_track *track, uint64_t probe,
			   uint64_t now_us)
{
	bool is_lost = token->timeline != 0 && !is_common(token, track);

	if (is_lost || token->replica.is_open)
		see(&token->primary, probe, now_us);
	if (is_lost)
		token->floor = 0;
	token->replica.is_open = false;
	token->has_shown = false;
	token->timeline = track->timeline;
}

static const struct pw_position *later(const struct pw_track *track, const struct pw_sight *sight)
{
	return pw_track_after(track, sight->probe, 0);
}

static const struct pw_position *flushed(const struct pw_track *track, const struct pw_sight *sight)
{
	return pw_track_after(track, sight->probe, sight->us + track->async_us);
}

/* Once both positions are known, the lower one is all that need be remembered. */
static void settle(struct pw_token *token, struct pw_sight *sight, const struct pw_track *track)
{
	const struct pw_position *by_flush = sight->is_open ? flushed(track, sight) : NULL;
	uint64_t position;

	if (!by_flush)
		return;
	position = later(track, sight)->insert;
	if (position > by_flush->flush)
		position = by_flush->flush;
	if (position > token->floor)
		token->floor = position;
	sight->is_open = false;
}

/* Was there no such position when it was given? The primary's own only grow, but for a crash. */
static bool is_made_up(const struct pw_token *token, const struct pw_track *track)
{
	const struct pw_position *last = track->n > 0 ? &track->at[track->n - 1] : NULL;

	return last && token->floor > last->insert && token->given_by < last->probe;
}

void pw_token_follow(struct pw_token *token, const struct pw_track *track, uint64_t probe,
		     uint64_t now_us)
{
	if (track->timeline == 0)
		return;
	if (token->timeline != track->timeline)
		change_history(token, track, probe, now_us);
	if (is_made_up(token, track)) {
		see(&token->primary, probe, now_us);
		token->floor = 0;
	}
	settle(token, &token->primary, track);
	settle(token, &token->replica, track);
}

/* ---- asking ---- */

static bool covers(const struct pw_track *track, const struct pw_sight *sight, uint64_t replay)
{
	const struct pw_position *by_insert = later(track, sight);
	const struct pw_position *by_flush = flushed(track, sight);

	return (by_insert && replay >= by_insert->insert) ||
	       (by_flush && replay >= by_flush->flush);
}

/* No connection outlives its server. The monitor's was made before the link that has shown it, and
 * was answered after the link at hand had logged in: all three are of one life. */
static bool is_of_same_life(const struct pw_token *token, const struct pw_replay *replay)
{
#ifdef PW_MUTANT_LIFE_IGNORED
	return true;
#endif
	return replay->asked_by_us > 0 && replay->asked_by_us < token->shown_by_us &&
	       token->shown_by_us < replay->sent_us && replay->login_us < replay->sent_us;
}

/* A link from before was of the same life, too. */
static bool has_shown(const struct pw_token *token, const struct pw_replay *replay)
{
	return token->has_shown && replay->node == token->node &&
	       (replay->login_us < token->shown_us || is_of_same_life(token, replay));
}

static bool is_satisfied(const struct pw_track *track, const struct pw_sight *sight,
			 uint64_t replay)
{
	return !sight->is_open || covers(track, sight, replay);
}

bool pw_token_admits(const struct pw_token *token, const struct pw_track *track,
		     const struct pw_replay *replay)
{
	bool is_of_life = replay->login_us == 0 || replay->login_us < replay->sent_us;

#ifdef PW_MUTANT_TOKEN_IGNORED
	return true;
#endif
#ifdef PW_MUTANT_LIFE_IGNORED
	is_of_life = true;
#endif
	if (has_shown(token, replay))
		return true;
	if (token->floor == 0 && !token->primary.is_open && !token->replica.is_open)
		return true;
	return is_of_life && replay->replay >= token->floor &&
	       is_satisfied(track, &token->primary, replay->replay) &&
	       is_satisfied(track, &token->replica, replay->replay);
}

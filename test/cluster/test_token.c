/* SPDX-License-Identifier: PostgreSQL
 *
 * A little world of a primary, two replicas, a monitor and some sessions, in which all that takes
 * time may happen in any order: no session ever reads less than it has written or read. The same
 * world with a mistake in it must be seen to go wrong.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pgweir/base/rng.h"
#include "pgweir/base/status.h"
#include "pgweir/cluster/token.h"

enum {
	SESSIONS = 4,
	REPLICAS = 2,
	NODES = REPLICAS + 1,
	INTERVAL_US = 100 * 1000,
	ASYNC_US = 600 * 1000,
	STEPS = 400 * 1000,
};

enum mistake {
	NO_MISTAKE,
	NUMBER_LOADED_BEFORE_ANSWER,
	NUMBER_RAISED_AFTER_SENDING,
	TOKEN_IGNORED,
	LIFE_IGNORED,
	LIFE_OF_MONITOR_IGNORED,
	READS_NOT_NOTED,
	FLUSHED_TOO_SOON,
	N_MISTAKES
};

enum stage { IDLE, SENT, DONE };

struct node {
	uint64_t insert, flush; /* of a replica: what it has replayed, in both */
	uint64_t durable;       /* a replica that crashes begins again here */
	uint64_t began_us;      /* this life */
	uint64_t login_us;      /* of the only link to it */
};

struct probe {
	enum stage stage;
	uint64_t number, sent_us;
	uint64_t insert, flush; /* once it is done */
};

struct session {
	struct pw_token token;
	enum stage stage;
	int node;
	bool is_write;
	uint64_t number;   /* loaded too soon */
	uint64_t login_us; /* of the link that it uses */
	uint64_t position; /* written or read, once it is done */
	uint64_t wanted;   /* the oracle */
};

struct world {
	enum mistake mistake;
	struct pw_rng rng;
	uint64_t now_us, number, began_us;
	uint64_t unflushed_us;    /* since when the primary has something to flush */
	struct node nodes[NODES]; /* the primary is 0 */
	struct probe probes[NODES];
	struct pw_replay samples[NODES];
	struct pw_track track;
	struct session sessions[SESSIONS];
	unsigned stale, on_replicas, reads;
};

static unsigned draw(struct world *w, unsigned n)
{
	return (unsigned)(pw_rng_next(&w->rng) % n);
}

/* Commits that do not wait are flushed within ASYNC_US. */
static void flush(struct world *w)
{
	struct node *primary = &w->nodes[0];

	if (primary->flush == primary->insert)
		w->unflushed_us = w->now_us;
	if (w->now_us - w->unflushed_us > ASYNC_US - 40 * 1000)
		primary->flush = primary->insert;
}

static void replay(struct world *w)
{
	struct node *primary = &w->nodes[0], *replica = &w->nodes[1 + draw(w, REPLICAS)];
	uint64_t left = primary->flush - replica->insert;

	replica->insert += left > 0 ? draw(w, (unsigned)left + 1) : 0;
	replica->flush = replica->insert;
	if (draw(w, 10) == 0)
		replica->durable = replica->insert;
}

static void crash(struct world *w)
{
	unsigned i = 1 + draw(w, REPLICAS);
	struct node *replica = &w->nodes[i];

	replica->insert = replica->flush = replica->durable;
	replica->began_us = replica->login_us = w->now_us;
	w->probes[i].stage = IDLE;
	for (unsigned s = 0; s < SESSIONS; s++) {
		if (w->sessions[s].stage != IDLE && w->sessions[s].node == (int)i)
			w->sessions[s].stage = IDLE;
	}
}

/* ---- the monitor ---- */

static void begin_round(struct world *w)
{
	if (w->now_us - w->began_us < INTERVAL_US)
		return;
	w->began_us = w->now_us;
	if (w->mistake != NUMBER_RAISED_AFTER_SENDING)
		w->number++;
	for (unsigned i = 0; i < NODES; i++) {
		if (w->probes[i].stage == IDLE)
			w->probes[i] = (struct probe){
			    .stage = SENT,
			    .number = w->number + (w->mistake == NUMBER_RAISED_AFTER_SENDING),
			    .sent_us = w->now_us};
	}
}

static void answer(struct world *w, unsigned i)
{
	struct probe *probe = &w->probes[i];
	const struct pw_position position = {probe->number, probe->sent_us, probe->insert,
					     probe->flush};

	probe->stage = IDLE;
	if (i == 0 && w->mistake == NUMBER_RAISED_AFTER_SENDING)
		w->number = probe->number;
	if (i == 0)
		pw_track_add(&w->track, &position);
	else
		w->samples[i] = (struct pw_replay){.node = i,
						   .sent_us = probe->sent_us,
						   .replay = probe->insert,
						   .asked_by_us = w->nodes[i].began_us};
}

static void probe(struct world *w)
{
	unsigned i = draw(w, NODES);
	struct probe *probe = &w->probes[i];

	if (probe->stage == SENT) {
		probe->insert = w->nodes[i].insert;
		probe->flush = w->nodes[i].flush;
		probe->stage = DONE;
	} else if (probe->stage == DONE) {
		answer(w, i);
	}
}

/* ---- sessions ---- */

static int choose(struct world *w, struct session *s)
{
	int i = 1 + (int)draw(w, REPLICAS);
	struct pw_replay sample = w->samples[i];

	if (sample.sent_us == 0)
		return 0;
	if (w->mistake == TOKEN_IGNORED)
		return i;
	sample.login_us = w->mistake == LIFE_IGNORED ? 1 : w->nodes[i].login_us;
	if (w->mistake == LIFE_OF_MONITOR_IGNORED)
		sample.asked_by_us = 1;
	pw_token_follow(&s->token, &w->track, w->number, w->now_us);
	return pw_token_admits(&s->token, &w->track, &sample) ? i : 0;
}

static void send(struct world *w, struct session *s)
{
	s->is_write = draw(w, 5) == 0;
	s->node = s->is_write ? 0 : choose(w, s);
	s->stage = SENT;
	s->number = w->number;
	s->login_us = w->nodes[s->node].login_us;
}

static void run(struct world *w, struct session *s)
{
	struct node *node = &w->nodes[s->node];

	if (s->is_write)
		node->insert += 1 + draw(w, 10);
	if (s->is_write && draw(w, 2) == 0)
		node->flush = node->insert;
	s->position = node->insert;
	s->number = w->mistake == NUMBER_LOADED_BEFORE_ANSWER ? s->number : 0;
	s->stage = DONE;
}

static void receive(struct world *w, struct session *s)
{
	uint64_t number = w->mistake == NUMBER_LOADED_BEFORE_ANSWER ? s->number : w->number;

	s->stage = IDLE;
	w->reads += !s->is_write;
	w->on_replicas += s->node > 0;
	w->stale += s->position < s->wanted;
	s->wanted = s->position > s->wanted ? s->position : s->wanted;
	if (s->node == 0)
		pw_token_saw_primary(&s->token, number, w->now_us);
	else if (w->mistake != READS_NOT_NOTED)
		pw_token_saw_replica(&s->token, number, w->now_us, (unsigned)s->node, s->login_us);
}

static void act(struct world *w)
{
	struct session *s = &w->sessions[draw(w, SESSIONS)];

	/* Some think for long. */
	if (s->stage == IDLE && draw(w, 4) == 0)
		send(w, s);
	else if (s->stage == SENT)
		run(w, s);
	else if (s->stage == DONE)
		receive(w, s);
}

static void live(struct world *w, enum mistake mistake, unsigned seed)
{
	memset(w, 0, sizeof(*w));
	w->mistake = mistake;
	pw_rng_seed(&w->rng, seed);
	w->now_us = INTERVAL_US;
	w->track.timeline = 1;
	w->track.async_us = mistake == FLUSHED_TOO_SOON ? 0 : ASYNC_US;
	for (unsigned i = 0; i < NODES; i++)
		w->nodes[i] = (struct node){100, 100, 100, 1, 1};
	for (unsigned i = 0; i < STEPS; i++) {
		w->now_us += draw(w, 20 * 1000);
		flush(w);
		begin_round(w);
		switch (draw(w, 8)) {
		case 0:
		case 1:
			replay(w);
			break;
		case 2:
		case 3:
			probe(w);
			break;
		default:
			act(w);
			break;
		}
		if (draw(w, 500) == 0)
			crash(w);
		/* Another link to it. */
		if (draw(w, 200) == 0)
			w->nodes[1 + draw(w, REPLICAS)].login_us = w->now_us;
	}
}

static void test_sessions_see_their_own(void **state PW_UNUSED)
{
	struct world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	for (unsigned seed = 1; seed <= 5; seed++) {
		live(w, NO_MISTAKE, seed);
		assert_int_equal(w->stale, 0);
		/* They do read there. */
		assert_true(w->on_replicas > w->reads / 5);
	}
	free(w);
}

static void test_each_mistake_shows(void **state PW_UNUSED)
{
	struct world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	for (enum mistake mistake = NO_MISTAKE + 1; mistake < N_MISTAKES; mistake++) {
		live(w, mistake, 1);
		assert_true(w->stale > 0);
	}
	free(w);
}

/* ---- histories ---- */

static const struct pw_position first = {1, 1000, 100, 100}, second = {2, 2000, 200, 200};

static struct pw_replay at(uint64_t replay)
{
	return (struct pw_replay){.node = 1, .sent_us = 10 * 1000, .replay = replay};
}

static void assert_floor(struct pw_token *token, const struct pw_track *track, uint64_t floor)
{
	struct pw_replay below = at(floor - 1), there = at(floor);

	assert_false(pw_token_admits(token, track, &below));
	assert_true(pw_token_admits(token, track, &there));
}

static void test_floor(void **state PW_UNUSED)
{
	struct pw_track track = {.timeline = 1, .async_us = 500};
	struct pw_token token = {0};
	struct pw_replay nothing = at(0);

	assert_true(pw_token_admits(&token, &track, &nothing));
	pw_track_add(&track, &first);
	pw_token_saw_primary(&token, 1, 1600);
	pw_token_follow(&token, &track, 1, 1700);
	nothing = at(UINT64_MAX);
	assert_false(pw_token_admits(&token, &track, &nothing));
	pw_track_add(&track, &second);
	pw_token_follow(&token, &track, 2, 2100);
	assert_floor(&token, &track, 200);
	/* What was flushed later still is lower: it will do. */
	pw_track_add(&track, &(struct pw_position){3, 2200, 300, 150});
	pw_token_follow(&token, &track, 3, 2300);
	assert_false(token.primary.is_open);
	assert_int_equal(token.floor, 150);
}

static void test_lost_history(void **state PW_UNUSED)
{
	struct pw_track track = {.timeline = 1, .async_us = 500};
	struct pw_token early = {.timeline = 1, .floor = 100}, late = {.timeline = 1, .floor = 120};
	struct pw_token old = {.timeline = 7, .floor = 1};

	pw_track_add(&track, &first);
	pw_track_fork(&track, 2, 110);
	pw_token_follow(&early, &track, 5, 3000);
	assert_int_equal(early.timeline, 2);
	assert_floor(&early, &track, 100);
	pw_token_follow(&late, &track, 5, 3000);
	pw_token_follow(&old, &track, 5, 3000);
	assert_true(late.primary.is_open && old.primary.is_open);
	pw_track_add(&track, &(struct pw_position){6, 4000, 115, 115});
	pw_token_follow(&late, &track, 6, 4100);
	assert_floor(&late, &track, 115);
}

/* A replica may have shown what is lost: the present primary decides. */
static void test_read_before_the_fork(void **state PW_UNUSED)
{
	struct pw_track track = {.timeline = 1, .async_us = 500};
	struct pw_replay same = {.node = 1, .sent_us = 5000, .replay = 100, .login_us = 10};
	struct pw_token token = {.timeline = 1};

	pw_track_add(&track, &first);
	pw_token_saw_replica(&token, 1, 1500, 1, 10);
	assert_true(pw_token_admits(&token, &track, &same));
	pw_track_fork(&track, 2, 110);
	pw_token_follow(&token, &track, 2, 3000);
	assert_false(pw_token_admits(&token, &track, &same));
}

/* While nobody hears of the primary, a replica goes on to show what it has shown; by new links as
 * well, once it was heard of after they had logged in. */
static void test_links_that_are_new(void **state PW_UNUSED)
{
	struct pw_track track = {.timeline = 1, .async_us = 500};
	struct pw_token token = {.timeline = 1};
	struct pw_replay sample = {
	    .node = 1, .sent_us = 3000, .login_us = 2000, .asked_by_us = 900};
	struct pw_replay other = sample;

	pw_track_add(&track, &first);
	pw_token_saw_replica(&token, 1, 1500, 1, 1000);
	assert_true(pw_token_admits(&token, &track, &sample));
	other.node = 2;
	assert_false(pw_token_admits(&token, &track, &other));
	other = sample;
	other.sent_us = 1900;
	assert_false(pw_token_admits(&token, &track, &other));
	other = sample;
	other.asked_by_us = 1000;
	assert_false(pw_token_admits(&token, &track, &other));
	other.asked_by_us = 0;
	assert_false(pw_token_admits(&token, &track, &other));
	other.login_us = 1400;
	assert_true(pw_token_admits(&token, &track, &other));
}

static void test_import(void **state PW_UNUSED)
{
	struct pw_track track = {.timeline = 2, .async_us = 500};
	struct pw_token token = {0};

	pw_track_add(&track, &first);
	pw_token_import(&token, 2, 150, 1, 1000);
	pw_token_import(&token, 2, 140, 1, 1000);
	pw_token_follow(&token, &track, 1, 1100);
	assert_floor(&token, &track, 150);
	pw_token_import(&token, 1, 10, 1, 1000);
	assert_true(token.primary.is_open);
}

/* Written by a transaction that was not over: whatever there is when it is imported. */
static void test_import_of_no_position_yet(void **state PW_UNUSED)
{
	struct pw_track track = {.timeline = 2, .async_us = 500};
	struct pw_token token = {0};

	pw_track_add(&track, &first);
	pw_token_import(&token, PW_TOKEN_NOT_YET, 0, 1, 1000);
	pw_token_follow(&token, &track, 1, 1100);
	assert_true(token.primary.is_open);
	assert_int_equal(token.timeline, 2);
}

/* The primary has not come so far, though it was asked later. */
static void test_import_of_what_is_nowhere(void **state PW_UNUSED)
{
	struct pw_track track = {.timeline = 2, .async_us = 500};
	struct pw_token token = {0};

	pw_track_add(&track, &first);
	pw_token_import(&token, 2, 1000000, first.probe, 1000);
	pw_token_follow(&token, &track, first.probe, 1100);
	assert_int_equal(token.floor, 1000000);
	assert_false(token.primary.is_open);
	pw_track_add(&track, &(struct pw_position){first.probe + 1, 1200, 300, 300});
	pw_token_follow(&token, &track, first.probe + 1, 1300);
	assert_true(token.primary.is_open);
	assert_int_equal(token.floor, 0);
	/* One that is there by then stays. */
	token = (struct pw_token){0};
	pw_token_import(&token, 2, 300, first.probe, 1000);
	pw_token_follow(&token, &track, first.probe + 1, 1300);
	assert_floor(&token, &track, 300);
}

static void test_text(void **state PW_UNUSED)
{
	static const char *const refused[] = {"",
					      "garbage",
					      "7/0",
					      "0:0/1",
					      ":0/1",
					      "1:",
					      "1:7",
					      "+1:0/1",
					      " 1:0/1",
					      "1:0/1 ",
					      "-1:0/1",
					      "1 :0/1",
					      "1:1",
					      "4294967296:0/1",
					      "1:0/G",
					      "1:0/1/1",
					      "1:/",
					      "1;0/1",
					      "99999999999999999999:0/1"};
	uint32_t timeline;
	uint64_t lsn;

	for (size_t i = 0; i < PW_COUNTOF(refused); i++) {
		if (pw_token_parse(refused[i], &timeline, &lsn))
			fail_msg("%s", refused[i]);
	}
	assert_true(pw_token_parse("1:0/16B3748", &timeline, &lsn));
	assert_int_equal(timeline, 1);
	assert_int_equal(lsn, 0x16B3748);
	assert_true(pw_token_parse("4294967295:ffffffff/FFFFFFFF", &timeline, &lsn));
	assert_int_equal(timeline, UINT32_MAX);
	assert_true(lsn == UINT64_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_sessions_see_their_own),
	    cmocka_unit_test(test_each_mistake_shows),
	    cmocka_unit_test(test_floor),
	    cmocka_unit_test(test_lost_history),
	    cmocka_unit_test(test_read_before_the_fork),
	    cmocka_unit_test(test_links_that_are_new),
	    cmocka_unit_test(test_import),
	    cmocka_unit_test(test_import_of_no_position_yet),
	    cmocka_unit_test(test_import_of_what_is_nowhere),
	    cmocka_unit_test(test_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: PostgreSQL
 *
 * Rounds of answers, and what is made of them.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "pgweir/base/status.h"
#include "pgweir/base/strbuf.h"
#include "pgweir/cluster/health.h"

enum { MS = 1000, INTERVAL = 100 * MS };

struct world {
	struct pw_health health;
	uint64_t probe, now;
};

static void begin(struct world *w, size_t n)
{
	memset(w, 0, sizeof(*w));
	w->now = 1000 * INTERVAL;
	pw_health_init(&w->health, n, w->now);
	w->health.max_lag_us = 500 * MS;
}

static void identify(struct world *w, size_t node, uint64_t system)
{
	pw_health_identified(&w->health, node, &(struct pw_probe_identity){system, 150004}, w->now);
}

static void begin_round(struct world *w)
{
	w->probe++;
	w->now += INTERVAL;
}

static void answer(struct world *w, size_t node, const struct pw_probe_answer *a)
{
	if (w->health.nodes[node].system == 0)
		identify(w, node, 7);
	pw_health_answered(&w->health, node, &(struct pw_sample){w->probe, w->now, *a});
}

static void primary(struct world *w, size_t node, uint32_t timeline, uint64_t lsn)
{
	answer(w, node,
	       &(struct pw_probe_answer){
		   .timeline = timeline, .insert = lsn, .flush = lsn, .async_us = 600 * MS});
}

static void standby(struct world *w, size_t node, uint32_t timeline, uint64_t replay)
{
	answer(w, node,
	       &(struct pw_probe_answer){.is_standby = true,
					 .timeline = timeline,
					 .replay = replay,
					 .is_receiving = timeline > 0});
}

static void judge(struct world *w)
{
	pw_health_judge(&w->health, w->now + MS);
}

static void assert_states(const struct world *w, const char *wanted)
{
	struct pw_strbuf states = PW_STRBUF_INIT;

	for (size_t i = 0; i < w->health.n; i++)
		pw_strbuf_printf(&states, "%s%s", i > 0 ? " " : "",
				 pw_node_state_name(w->health.nodes[i].state));
	assert_string_equal(states.data, wanted);
	pw_strbuf_fini(&states);
}

static void test_beginning(void **state PW_UNUSED)
{
	struct world w;

	begin(&w, 3);
	begin_round(&w);
	primary(&w, 0, 1, 100);
	standby(&w, 1, 1, 100);
	judge(&w);
	/* The third may be a primary of a higher timeline. */
	assert_states(&w, "new new new");
	begin_round(&w);
	standby(&w, 2, 1, 90);
	judge(&w);
	assert_states(&w, "primary ready lagging");
	assert_non_null(strstr(w.health.nodes[2].reason, "further behind than is remembered"));
	begin_round(&w);
	primary(&w, 0, 1, 100);
	standby(&w, 1, 1, 100);
	standby(&w, 2, 1, 100);
	judge(&w);
	assert_states(&w, "primary ready lagging");
	for (int i = 0; i < 2; i++) {
		begin_round(&w);
		standby(&w, 2, 1, 100);
		judge(&w);
	}
	assert_states(&w, "primary ready ready");
}

/* One that never answers does not hold up the others for ever. */
static void test_beginning_without_one(void **state PW_UNUSED)
{
	struct world w;

	begin(&w, 2);
	for (int i = 0; i < PW_HEALTH_FIRST_US / INTERVAL; i++) {
		begin_round(&w);
		primary(&w, 0, 1, 100);
		judge(&w);
		if (w.now + MS < 1000 * INTERVAL + PW_HEALTH_FIRST_US)
			assert_states(&w, "new new");
	}
	assert_states(&w, "primary new");
}

static void settle(struct world *w, uint64_t lsn)
{
	begin_round(w);
	primary(w, 0, 1, lsn);
	standby(w, 1, 1, lsn);
	standby(w, 2, 1, lsn);
	judge(w);
	assert_states(w, "primary ready ready");
}

static void test_lag(void **state PW_UNUSED)
{
	struct world w;

	begin(&w, 3);
	settle(&w, 100);
	assert_int_equal(pw_health_lag(&w.health, 0, w.now), 0);
	assert_int_equal(pw_health_lag(&w.health, 1, w.now), 0);
	assert_int_equal(pw_health_lag(&w.health, 1, w.now + 30 * MS), 30 * MS);
	/* It replays nothing more: the moment that it has stays, the primary goes on. */
	for (uint64_t i = 1; i <= 4; i++) {
		begin_round(&w);
		primary(&w, 0, 1, 100 + i);
		standby(&w, 1, 1, 100);
		standby(&w, 2, 1, 100 + i);
		judge(&w);
		assert_int_equal(pw_health_lag(&w.health, 1, w.now), i * INTERVAL);
		assert_states(&w, "primary ready ready");
	}
	begin_round(&w);
	primary(&w, 0, 1, 105);
	judge(&w);
	assert_states(&w, "primary lagging ready");
	assert_string_equal(w.health.nodes[1].reason, "501 ms, 5 bytes behind");
	/* Back below the limit is not enough, nor what others answer in the meantime. */
	for (int i = 0; i < PW_HEALTH_GOOD_SAMPLES; i++) {
		begin_round(&w);
		primary(&w, 0, 1, 105);
		judge(&w);
		standby(&w, 2, 1, 105);
		judge(&w);
		assert_states(&w, "primary lagging ready");
		standby(&w, 1, 1, 105);
		judge(&w);
	}
	assert_states(&w, "primary ready ready");
}

/* It has been away: its share is to grow from then on. */
static void test_back(void **state PW_UNUSED)
{
	struct world w;

	begin(&w, 3);
	settle(&w, 100);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(w.health.nodes[i].back_us, 0);
	pw_health_lost(&w.health, 1, "gone");
	judge(&w);
	assert_states(&w, "primary down ready");
	settle(&w, 101);
	assert_int_equal(w.health.nodes[1].back_us, w.now + MS);
	assert_int_equal(w.health.nodes[2].back_us, 0);
	/* Also where it was an operator that kept clients from it. */
	pw_health_hold(&w.health, 2, PW_HOLD_DRAINED, "admin", w.now);
	assert_int_equal(w.health.nodes[2].back_us, 0);
	pw_health_hold(&w.health, 2, PW_HOLD_NONE, "admin", w.now + 7 * MS);
	assert_int_equal(w.health.nodes[2].back_us, w.now + 7 * MS);
	settle(&w, 102);
	assert_int_equal(w.health.nodes[2].back_us, w.now - INTERVAL + 7 * MS);
}

static void take(struct world *w, size_t node, uint64_t took_us)
{
	pw_health_answered(&w->health, node, &(struct pw_sample){.probe = 1, .took_us = took_us});
}

static void test_trip(void **state PW_UNUSED)
{
	struct world w;
	const struct pw_node *node = &w.health.nodes[1];

	begin(&w, 2);
	take(&w, 1, 800);
	assert_int_equal(node->trip_us, 800);
	take(&w, 1, 8000);
	assert_int_equal(node->trip_us, 1700);
	for (int i = 0; i < 60; i++)
		take(&w, 1, 800);
	assert_in_range(node->trip_us, 800, 820);
	pw_health_lost(&w.health, 1, "gone");
	assert_int_equal(node->trip_us, 0);
}

static void test_idle_primary(void **state PW_UNUSED)
{
	struct world w;

	begin(&w, 3);
	for (int i = 0; i < 6000; i++) {
		begin_round(&w);
		/* An open transaction has inserted what is flushed one day. */
		answer(&w, 0,
		       &(struct pw_probe_answer){
			   .timeline = 1, .insert = 900, .flush = 100, .async_us = 1});
		standby(&w, 1, 1, 100);
		standby(&w, 2, 1, 100);
		judge(&w);
		assert_states(&w, "primary ready ready");
		assert_int_equal(pw_health_lag(&w.health, 1, w.now), 0);
	}
}

/* Ten minutes in which there is now and then a record that nobody has asked for, and each minute
 * another file of the log; replicas are a round behind. */
static void test_nearly_idle_primary(void **state PW_UNUSED)
{
	const uint64_t file = 16 * 1024 * 1024;
	uint64_t flush = file, insert = file, replayed;
	struct world w;

	begin(&w, 3);
	settle(&w, file);
	for (int i = 1; i <= 6000; i++) {
		replayed = flush;
		if (i % 600 == 0) {
			flush += file - flush % file;
			insert = flush + 40;
		} else if (i % 150 == 0) {
			insert = flush += 100;
		}
		begin_round(&w);
		answer(&w, 0,
		       &(struct pw_probe_answer){
			   .timeline = 1, .insert = insert, .flush = flush, .async_us = 600 * MS});
		standby(&w, 1, 1, replayed);
		standby(&w, 2, 1, replayed);
		judge(&w);
		assert_states(&w, "primary ready ready");
		assert_int_equal(pw_health_lag(&w.health, 1, w.now),
				 replayed == flush ? 0 : INTERVAL);
	}
}

enum { PAGE = 8192 };

/* The primary has flushed whole pages of a transaction that goes on; a replica has received them,
 * and replayed up to where the last record in them begins. Returns for how many rounds it is well.
 */
static unsigned rounds_within_record(const struct pw_position *at, bool is_waiting,
				     uint64_t receive)
{
	struct world w;
	unsigned rounds;

	begin(&w, 3);
	settle(&w, PAGE);
	for (rounds = 0; rounds < 100; rounds++) {
		begin_round(&w);
		answer(&w, 0,
		       &(struct pw_probe_answer){
			   .timeline = 1, .insert = at->insert, .flush = at->flush});
		answer(&w, 1,
		       &(struct pw_probe_answer){.is_standby = true,
						 .timeline = 1,
						 .replay = 2 * PAGE - 100,
						 .receive = receive,
						 .is_receiving = true,
						 .is_waiting = is_waiting});
		standby(&w, 2, 1, at->flush);
		judge(&w);
		if (w.health.nodes[1].state != PW_NODE_READY)
			return rounds;
	}
	/* When there is more it is not further behind than it was. */
	begin_round(&w);
	primary(&w, 0, 1, at->insert);
	judge(&w);
	assert_int_equal(pw_health_lag(&w.health, 1, w.now), INTERVAL);
	assert_states(&w, "primary ready ready");
	return rounds;
}

static void test_flushed_within_a_record(void **state PW_UNUSED)
{
	const struct pw_position cut = {.insert = 2 * PAGE + 41, .flush = 2 * PAGE};
	const struct pw_position next_page = {.insert = 2 * PAGE + 40, .flush = 2 * PAGE};
	const struct pw_position whole = {.insert = 3 * PAGE, .flush = 3 * PAGE - 100};

	assert_int_equal(rounds_within_record(&cut, true, 2 * PAGE), 100);
	/* There is more that it could replay, or it has not received it, or it might be all. */
	assert_in_range(rounds_within_record(&cut, false, 2 * PAGE), 4, 5);
	assert_in_range(rounds_within_record(&cut, true, 2 * PAGE - 50), 4, 5);
	assert_in_range(rounds_within_record(&next_page, true, 2 * PAGE), 4, 5);
	assert_in_range(rounds_within_record(&whole, true, 3 * PAGE - 100), 4, 5);
}

/* What has just been received is about to be replayed, however long replay has waited. */
static void test_waiting_takes_two_answers(void **state PW_UNUSED)
{
	struct pw_probe_answer a = {.is_standby = true,
				    .timeline = 1,
				    .replay = PAGE,
				    .is_receiving = true,
				    .is_waiting = true};
	struct world w;

	begin(&w, 3);
	settle(&w, PAGE);
	for (unsigned i = 1; i <= 4; i++) {
		begin_round(&w);
		a.receive = (1 + i) * PAGE;
		answer(&w, 0,
		       &(struct pw_probe_answer){
			   .timeline = 1, .insert = a.receive + 100, .flush = a.receive});
		answer(&w, 1, &a);
		judge(&w);
		assert_int_equal(pw_health_lag(&w.health, 1, w.now), i * INTERVAL);
	}
	begin_round(&w);
	answer(&w, 1, &a);
	judge(&w);
	assert_true(pw_health_lag(&w.health, 1, w.now) <= INTERVAL);
	/* Of another life nothing is known yet, nor are those of different lives two of one. */
	pw_health_lost(&w.health, 1, "down");
	begin_round(&w);
	answer(&w, 1, &a);
	judge(&w);
	assert_int_equal(pw_health_lag(&w.health, 1, w.now), 6 * INTERVAL);
}

static void test_bytes(void **state PW_UNUSED)
{
	struct world w;

	begin(&w, 3);
	w.health.max_lag_bytes = 1000;
	settle(&w, 100);
	begin_round(&w);
	primary(&w, 0, 1, 1101);
	standby(&w, 1, 1, 100);
	standby(&w, 2, 1, 101);
	judge(&w);
	assert_states(&w, "primary lagging ready");
}

static void test_reasons(void **state PW_UNUSED)
{
	struct world w;

	begin(&w, 3);
	settle(&w, 100);
	w.now += 10 * INTERVAL;
	begin_round(&w);
	primary(&w, 0, 1, 200);
	answer(&w, 1,
	       &(struct pw_probe_answer){
		   .is_standby = true, .timeline = 1, .replay = 100, .is_paused = true});
	answer(&w, 2, &(struct pw_probe_answer){.is_standby = true, .replay = 100});
	judge(&w);
	assert_states(&w, "primary lagging lagging");
	assert_non_null(strstr(w.health.nodes[1].reason, "replay is paused"));
	assert_non_null(strstr(w.health.nodes[2].reason, "nothing is received"));
}

/* What a replica has is as old as it was; nobody knows how much the primary has done since. */
static void test_primary_that_is_silent(void **state PW_UNUSED)
{
	struct world w;
	uint64_t last;

	begin(&w, 3);
	settle(&w, 100);
	last = w.now;
	assert_int_equal(pw_health_frozen_at(&w.health), 0);
	pw_health_lost(&w.health, 0, "connection refused");
	for (int i = 0; i < 20; i++) {
		begin_round(&w);
		standby(&w, 1, 1, 100);
		standby(&w, 2, 1, 100);
		judge(&w);
		assert_states(&w, "down ready ready");
		assert_int_equal(w.health.primary, 0);
		assert_int_equal(pw_health_frozen_at(&w.health), last);
		assert_int_equal(pw_health_lag(&w.health, 1, w.now), 0);
	}
	assert_string_equal(w.health.nodes[0].reason, "connection refused");
}

static void test_promotion(void **state PW_UNUSED)
{
	struct world w;

	begin(&w, 3);
	settle(&w, 100);
	pw_health_lost(&w.health, 0, "down");
	begin_round(&w);
	primary(&w, 1, 2, 120);
	standby(&w, 2, 1, 110);
	judge(&w);
	assert_int_equal(w.health.primary, 1);
	assert_int_equal(w.health.track.timeline, 2);
	assert_int_equal(w.health.track.parent, 1);
	/* What it had when it was last seen as a standby. */
	assert_int_equal(w.health.track.fork, 100);
	assert_states(&w, "down primary diverged");
	/* The old one is back, as if nothing had happened. */
	begin_round(&w);
	primary(&w, 0, 1, 150);
	primary(&w, 1, 2, 130);
	standby(&w, 2, 2, 130);
	judge(&w);
	assert_states(&w, "fenced primary ready");
	assert_string_equal(w.health.nodes[0].reason,
			    "it is writable on timeline 1, but is not the primary");
	/* It follows. */
	pw_health_lost(&w.health, 0, "down");
	begin_round(&w);
	primary(&w, 1, 2, 130);
	standby(&w, 0, 0, 100);
	judge(&w);
	assert_states(&w, "diverged primary ready");
	begin_round(&w);
	primary(&w, 1, 2, 130);
	standby(&w, 0, 2, 130);
	judge(&w);
	assert_states(&w, "ready primary ready");
}

static void test_torn(void **state PW_UNUSED)
{
	struct world w;

	begin(&w, 3);
	settle(&w, 100);
	pw_health_lost(&w.health, 0, "down");
	begin_round(&w);
	primary(&w, 1, 2, 120);
	primary(&w, 2, 2, 130);
	judge(&w);
	assert_int_equal(w.health.primary, PW_NO_NODE);
	assert_true(w.health.is_torn);
	assert_states(&w, "down fenced fenced");
	assert_false(pw_health_choose(&w.health, 0));
	assert_true(pw_health_choose(&w.health, 2));
	judge(&w);
	assert_states(&w, "down fenced primary");
	/* It stays that without another word, and where there is another tie nobody remembers. */
	judge(&w);
	assert_states(&w, "down fenced primary");
	begin_round(&w);
	primary(&w, 0, 3, 150);
	judge(&w);
	assert_states(&w, "primary fenced fenced");
	primary(&w, 2, 3, 150);
	judge(&w);
	assert_states(&w, "primary fenced fenced");
	assert_true(w.health.is_torn);
	assert_false(pw_health_choose(&w.health, 1));
	judge(&w);
	assert_states(&w, "primary fenced fenced");
}

static void test_no_tie(void **state PW_UNUSED)
{
	struct world w;

	begin(&w, 3);
	settle(&w, 100);
	for (size_t i = 0; i < 3; i++)
		assert_false(pw_health_choose(&w.health, i));
	judge(&w);
	assert_states(&w, "primary ready ready");
}

static void test_hold(void **state PW_UNUSED)
{
	struct world w;

	begin(&w, 3);
	settle(&w, 100);
	pw_health_hold(&w.health, 1, PW_HOLD_DRAINED, "admin", w.now);
	pw_health_hold(&w.health, 2, PW_HOLD_BANNED, "admin", w.now);
	/* Its health goes on. */
	settle(&w, 110);
	assert_int_equal(w.health.nodes[1].hold.kind, PW_HOLD_DRAINED);
	assert_string_equal(w.health.nodes[1].hold.by, "admin");
	/* As the primary it is not drained any more; but a ban is a ban. */
	pw_health_lost(&w.health, 0, "down");
	begin_round(&w);
	primary(&w, 1, 2, 120);
	judge(&w);
	assert_int_equal(w.health.nodes[1].hold.kind, PW_HOLD_NONE);
	begin_round(&w);
	primary(&w, 2, 3, 130);
	judge(&w);
	assert_int_equal(w.health.primary, 2);
	assert_int_equal(w.health.nodes[2].hold.kind, PW_HOLD_BANNED);
}

/* Whom a standby follows, where two nodes write timelines of the same number, nobody knows. */
static void test_replica_of_one_of_two(void **state PW_UNUSED)
{
	struct world w;

	begin(&w, 4);
	begin_round(&w);
	primary(&w, 0, 1, 100);
	for (size_t i = 1; i < 4; i++)
		standby(&w, i, 1, 100);
	judge(&w);
	pw_health_lost(&w.health, 0, "down");
	begin_round(&w);
	primary(&w, 1, 2, 120);
	judge(&w);
	primary(&w, 2, 2, 130);
	standby(&w, 3, 2, 120);
	judge(&w);
	assert_states(&w, "down primary fenced diverged");
	assert_string_equal(w.health.nodes[3].reason,
			    "there are two nodes on timeline 2 that it may follow");
	/* The other one is followed from now on: where the first one was says nothing of it. */
	begin_round(&w);
	standby(&w, 1, 1, 120);
	primary(&w, 2, 2, 110);
	standby(&w, 3, 2, 110);
	judge(&w);
	assert_int_equal(w.health.primary, 2);
	assert_int_equal(w.health.track.n, 1);
	assert_int_equal(w.health.track.at[0].flush, 110);
	assert_states(&w, "down diverged primary ready");
}

/* By a reload. */
static void test_primary_that_is_followed_no_more(void **state PW_UNUSED)
{
	struct world w;

	begin(&w, 3);
	settle(&w, 100);
	w.health.nodes[0].is_replica_only = true;
	judge(&w);
	assert_int_equal(w.health.primary, PW_NO_NODE);
	assert_states(&w, "fenced ready ready");
}

/* What another has left behind is not gone back to, but by an operator's word. */
static void test_lower_timeline(void **state PW_UNUSED)
{
	struct world w;

	begin(&w, 3);
	settle(&w, 100);
	pw_health_lost(&w.health, 0, "down");
	begin_round(&w);
	primary(&w, 1, 2, 120);
	standby(&w, 2, 2, 120);
	judge(&w);
	begin_round(&w);
	primary(&w, 0, 1, 110);
	judge(&w);
	assert_states(&w, "fenced primary ready");
	assert_false(pw_health_choose(&w.health, 0));
	begin_round(&w);
	standby(&w, 1, 2, 120);
	judge(&w);
	assert_int_equal(w.health.primary, PW_NO_NODE);
	assert_states(&w, "fenced ready ready");
	assert_string_equal(w.health.nodes[0].reason,
			    "it is writable on timeline 1, but timeline 2 has been seen");
	assert_true(pw_health_choose(&w.health, 0));
	judge(&w);
	assert_states(&w, "primary diverged diverged");
	assert_int_equal(w.health.track.timeline, 1);
	judge(&w);
	assert_states(&w, "primary diverged diverged");
}

/* A standby tells of a primary that does not answer. */
static void test_timeline_of_a_standby(void **state PW_UNUSED)
{
	struct world w;

	begin(&w, 3);
	begin_round(&w);
	primary(&w, 0, 1, 100);
	pw_health_lost(&w.health, 1, "down");
	standby(&w, 2, 2, 130);
	judge(&w);
	assert_int_equal(w.health.primary, PW_NO_NODE);
	assert_states(&w, "fenced down diverged");
	assert_non_null(strstr(w.health.nodes[0].reason, "timeline 2 has been seen"));
	/* Also when it tells so no longer. */
	pw_health_is_late(&w.health, 2, "it does not answer");
	judge(&w);
	assert_states(&w, "fenced down down");
	begin_round(&w);
	primary(&w, 0, 1, 100);
	standby(&w, 2, 0, 130);
	judge(&w);
	assert_states(&w, "fenced down diverged");
	begin_round(&w);
	standby(&w, 2, 2, 130);
	primary(&w, 1, 2, 130);
	judge(&w);
	assert_states(&w, "fenced primary ready");
	/* It takes nothing from a primary that is there, nor from the one to come. */
	begin_round(&w);
	standby(&w, 2, 5, 130);
	standby(&w, 1, 2, 130);
	judge(&w);
	assert_int_equal(w.health.primary, PW_NO_NODE);
	begin_round(&w);
	primary(&w, 0, 3, 140);
	judge(&w);
	assert_int_equal(w.health.primary, 0);
}

/* One that takes writes was there, and is not when it comes to the choice. */
static void test_timeline_before_the_choice(void **state PW_UNUSED)
{
	struct world w;

	begin(&w, 3);
	begin_round(&w);
	primary(&w, 1, 6, 100);
	judge(&w);
	pw_health_lost(&w.health, 1, "down");
	judge(&w);
	begin_round(&w);
	primary(&w, 0, 5, 90);
	pw_health_lost(&w.health, 2, "down");
	judge(&w);
	assert_int_equal(w.health.primary, PW_NO_NODE);
	assert_states(&w, "fenced down down");
	begin_round(&w);
	primary(&w, 1, 6, 110);
	judge(&w);
	assert_states(&w, "fenced primary down");
}

/* Nor were two of them that an operator has stopped. */
static void test_timeline_of_two(void **state PW_UNUSED)
{
	struct world w;

	begin(&w, 3);
	begin_round(&w);
	pw_health_lost(&w.health, 0, "down");
	primary(&w, 1, 6, 100);
	primary(&w, 2, 6, 100);
	judge(&w);
	assert_true(w.health.is_torn);
	pw_health_lost(&w.health, 1, "down");
	pw_health_lost(&w.health, 2, "down");
	begin_round(&w);
	primary(&w, 0, 5, 90);
	judge(&w);
	assert_int_equal(w.health.primary, PW_NO_NODE);
}

/* What another system's nodes have told does not count, once most are of one. */
static void test_timeline_of_another_system(void **state PW_UNUSED)
{
	struct world w;

	begin(&w, 3);
	begin_round(&w);
	identify(&w, 0, 8);
	standby(&w, 0, 9, 500);
	pw_health_lost(&w.health, 1, "down");
	pw_health_lost(&w.health, 2, "down");
	judge(&w);
	begin_round(&w);
	primary(&w, 1, 5, 100);
	standby(&w, 2, 5, 100);
	judge(&w);
	assert_states(&w, "foreign primary ready");
}

/* Nor is that system the cluster's for being the only one in reach. */
static void test_system_of_those_out_of_reach(void **state PW_UNUSED)
{
	struct world w;

	begin(&w, 3);
	begin_round(&w);
	identify(&w, 0, 8);
	primary(&w, 0, 1, 500);
	standby(&w, 1, 6, 100);
	standby(&w, 2, 6, 100);
	judge(&w);
	assert_states(&w, "foreign diverged diverged");
	pw_health_lost(&w.health, 1, "down");
	judge(&w);
	pw_health_lost(&w.health, 2, "down");
	judge(&w);
	begin_round(&w);
	primary(&w, 0, 1, 600);
	judge(&w);
	assert_states(&w, "foreign down down");
	assert_int_equal(w.health.primary, PW_NO_NODE);
	begin_round(&w);
	primary(&w, 1, 6, 100);
	judge(&w);
	assert_states(&w, "foreign primary down");
}

/* Nor what is never to be a primary, and so may follow anything. */
static void test_timeline_of_a_replica(void **state PW_UNUSED)
{
	struct world w;

	begin(&w, 2);
	w.health.nodes[1].is_replica_only = true;
	begin_round(&w);
	primary(&w, 0, 1, 100);
	standby(&w, 1, 2, 120);
	judge(&w);
	assert_int_equal(w.health.primary, 0);
}

/* Another system in the place of the primary: it is as if that did not answer. */
static void test_foreign_primary(void **state PW_UNUSED)
{
	struct world w;

	begin(&w, 3);
	settle(&w, 100);
	pw_health_lost(&w.health, 0, "down");
	begin_round(&w);
	identify(&w, 0, 8);
	primary(&w, 0, 9, 500);
	judge(&w);
	assert_int_equal(w.health.primary, 0);
	assert_string_equal(pw_node_state_name(w.health.nodes[0].state), "foreign");
	/* Also while the monitor has no connection to it, and has asked nothing yet on the next. */
	pw_health_lost(&w.health, 0, "down");
	judge(&w);
	assert_int_equal(w.health.primary, 0);
	assert_string_equal(pw_node_state_name(w.health.nodes[0].state), "foreign");
	assert_string_equal(w.health.nodes[0].reason, "its system identifier was 8, not 7");
	identify(&w, 0, 7);
	judge(&w);
	assert_int_equal(w.health.primary, 0);
	assert_string_equal(pw_node_state_name(w.health.nodes[0].state), "down");
	begin_round(&w);
	primary(&w, 1, 2, 120);
	judge(&w);
	assert_int_equal(w.health.primary, 1);
	assert_false(w.health.is_torn);
}

/* Of a timeline below the cluster's it makes no room for who is on that one, too. */
static void test_foreign_primary_of_a_lower_timeline(void **state PW_UNUSED)
{
	struct world w;

	begin(&w, 2);
	begin_round(&w);
	primary(&w, 0, 2, 100);
	standby(&w, 1, 2, 100);
	judge(&w);
	pw_health_lost(&w.health, 0, "down");
	begin_round(&w);
	identify(&w, 0, 8);
	primary(&w, 0, 1, 500);
	judge(&w);
	pw_health_lost(&w.health, 0, "down");
	begin_round(&w);
	primary(&w, 1, 2, 110);
	judge(&w);
	assert_int_equal(w.health.primary, 0);
	assert_states(&w, "foreign fenced");
}

/* For readers it is as if the primary had stopped. */
static void test_reads_beside_a_foreign_primary(void **state PW_UNUSED)
{
	struct world w;
	uint64_t sent_us;

	begin(&w, 3);
	settle(&w, 100);
	sent_us = w.now;
	pw_health_lost(&w.health, 0, "down");
	for (int i = 0; i < 20; i++) {
		begin_round(&w);
		identify(&w, 0, 8);
		primary(&w, 0, 1, 500);
		standby(&w, 1, 1, 100);
		standby(&w, 2, 1, 100);
		judge(&w);
		assert_states(&w, "foreign ready ready");
		assert_int_equal(pw_health_frozen_at(&w.health), sent_us);
	}
}

/* Watched anew, the primary has yet to answer when the one before it does. */
static void test_answers_after_a_reload(void **state PW_UNUSED)
{
	struct world w;

	begin(&w, 2);
	w.health.primary = 1;
	pw_track_fork(&w.health.track, 2, 0);
	begin_round(&w);
	primary(&w, 0, 1, 100);
	judge(&w);
	assert_int_equal(w.health.primary, 1);
	assert_states(&w, "fenced new");
	begin_round(&w);
	primary(&w, 1, 2, 130);
	judge(&w);
	assert_states(&w, "fenced primary");
}

static void test_foreign_system(void **state PW_UNUSED)
{
	struct world w;

	begin(&w, 3);
	begin_round(&w);
	identify(&w, 0, 8);
	primary(&w, 0, 9, 500);
	primary(&w, 1, 1, 100);
	standby(&w, 2, 1, 100);
	judge(&w);
	assert_states(&w, "foreign primary ready");
	assert_string_equal(w.health.nodes[0].reason, "its system identifier is 8, not 7");
	/* Nor if it is the only one that answers. */
	pw_health_lost(&w.health, 1, "down");
	pw_health_lost(&w.health, 2, "down");
	begin_round(&w);
	primary(&w, 0, 9, 500);
	judge(&w);
	assert_states(&w, "foreign down down");
	assert_int_equal(w.health.primary, 1);
}

/* Killed and started again it may have less than before, and says so in another life. */
static void test_life(void **state PW_UNUSED)
{
	struct world w;

	begin(&w, 3);
	settle(&w, 100);
	pw_health_lost(&w.health, 1, "down");
	judge(&w);
	assert_states(&w, "primary down ready");
	assert_int_equal(pw_health_lag(&w.health, 1, w.now), PW_LAG_UNKNOWN);
	begin_round(&w);
	primary(&w, 0, 1, 200);
	standby(&w, 1, 0, 100);
	standby(&w, 2, 1, 200);
	judge(&w);
	assert_states(&w, "primary diverged ready");
	/* Late, but alive: its last answer holds. */
	begin_round(&w);
	pw_health_is_late(&w.health, 2, "no answer within 300 ms");
	judge(&w);
	assert_states(&w, "primary diverged down");
	begin_round(&w);
	primary(&w, 0, 1, 200);
	standby(&w, 2, 0, 200);
	judge(&w);
	assert_states(&w, "primary diverged ready");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_beginning),
	    cmocka_unit_test(test_beginning_without_one),
	    cmocka_unit_test(test_lag),
	    cmocka_unit_test(test_back),
	    cmocka_unit_test(test_trip),
	    cmocka_unit_test(test_idle_primary),
	    cmocka_unit_test(test_nearly_idle_primary),
	    cmocka_unit_test(test_flushed_within_a_record),
	    cmocka_unit_test(test_waiting_takes_two_answers),
	    cmocka_unit_test(test_bytes),
	    cmocka_unit_test(test_reasons),
	    cmocka_unit_test(test_primary_that_is_silent),
	    cmocka_unit_test(test_promotion),
	    cmocka_unit_test(test_torn),
	    cmocka_unit_test(test_no_tie),
	    cmocka_unit_test(test_hold),
	    cmocka_unit_test(test_replica_of_one_of_two),
	    cmocka_unit_test(test_primary_that_is_followed_no_more),
	    cmocka_unit_test(test_lower_timeline),
	    cmocka_unit_test(test_timeline_of_a_standby),
	    cmocka_unit_test(test_timeline_before_the_choice),
	    cmocka_unit_test(test_timeline_of_two),
	    cmocka_unit_test(test_timeline_of_another_system),
	    cmocka_unit_test(test_system_of_those_out_of_reach),
	    cmocka_unit_test(test_timeline_of_a_replica),
	    cmocka_unit_test(test_foreign_primary),
	    cmocka_unit_test(test_foreign_primary_of_a_lower_timeline),
	    cmocka_unit_test(test_reads_beside_a_foreign_primary),
	    cmocka_unit_test(test_answers_after_a_reload),
	    cmocka_unit_test(test_foreign_system),
	    cmocka_unit_test(test_life),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

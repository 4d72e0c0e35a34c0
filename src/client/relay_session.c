/* SPDX-License-Identifier: PostgreSQL
 *
 * The session that a client believes to have, while its links change. When a transaction is over
 * that may have left something behind (session.c), the server is asked what has become of the
 * session (session/residue.h), before the link goes to anybody else. Settings are carried over to
 * the client's next link. What cannot be carried pins the client to the one it has, until the
 * server says that it is gone.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "client_priv.h"
#include "code_priv.h"
#include "listening_priv.h"
#include "names_priv.h"
#include "pgweir/base/clock.h"
#include "pgweir/pool/catalog.h"
#include "pgweir/pool/code.h"
#include "pgweir/proto/writer.h"
#include "pgweir/session/sync.h"
#include "route_priv.h"

enum {
	ATTEMPTS_MAX = 5,
	STATE_BYTES_OF_ANYBODY = 64 * 1024, /* whatever others have */
};

static struct pw_shared_db *db_of(const struct pw_client *c)
{
	return c->loan.pool->shared->db;
}

/* ---- asking ---- */

static struct pw_residue_context context_of(const struct pw_client *c,
					    const struct pw_strbuf *dotted)
{
	return (struct pw_residue_context){
	    .tracked = c->clients->tracked,
	    .reported = c->loan.link->params,
	    .settings = c->settings,
	    .initial = c->session->initial,
	    .has_foreign = c->session->pins & PW_EFFECT_RIGHTS,
	    .dotted = dotted,
	    .effects = &c->session->effects,
	    .user = c->loan.link->shared->user->name,
	    .server_version = c->loan.link->facts.server_version,
	};
}

static void lose_state(struct pw_client *c, const char *why)
{
	struct pw_error err;

	pw_error_set(&err, PW_SQLSTATE_CONNECTION_FAILURE, "session state was lost");
	pw_error_detail(&err, "The server was asked what the session has set, and %s.", why);
	pw_link_close(c->loan.link, PW_LINK_END_CLEAN, "session state is not known", &err);
}

/* Those that may have been set without being named. While nobody knows what code does, names that
 * others have had are better than none. */
static void add_names(struct pw_client *c, struct pw_strbuf *names)
{
	struct pw_client_session *s = c->session;
	struct pw_code *code = &db_of(c)->code;

	if (s->said.len > 0)
		pw_strbuf_add(names, s->said.data, s->said.len);
	pw_code_copy_names(code, &code->dotted, names);
	if (s->is_code_known || s->with_code)
		return;
	pw_code_copy_names(code, &code->of_sessions, names);
	if (atomic_load(&code->of_sessions.is_full))
		c->loan.link->facts.must_close = true;
}

/* The client waits for its end. */
static void send_own(struct pw_client *c, const char *sql)
{
	const struct pw_expect entry = {.role = PW_ROLE_QUERY};
	struct pw_strbuf out = PW_STRBUF_INIT;

	pw_write_query(&out, sql);
	pw_client_goto(c, PW_CLIENT_ASKING);
	pw_stream_set_reading(&c->loan.link->stream, true);
	c->loan.link->request_us = c->clients->loop->now_us; /* query_timeout covers it */
	if (out.has_failed || pw_link_expect(c->loan.link, &entry) != PW_OK)
		lose_state(c, "there was no memory");
	else
		pw_stream_send(&c->loan.link->stream, out.data, out.len);
	pw_strbuf_wipe(&out);
}

/* Sends the question; false where there is none. */
static bool ask(struct pw_client *c)
{
	struct pw_client_session *s = c->session;
	struct pw_strbuf dotted = PW_STRBUF_INIT, sql = PW_STRBUF_INIT;
	struct pw_residue_context context = context_of(c, &dotted);
	bool is_asked;

	if (s->effects.flags & PW_EFFECT_SETTINGS)
		add_names(c, &dotted);
	is_asked = pw_residue_ask(&s->residue, &s->effects, s->with_code, &context, &sql);
	if (is_asked && (dotted.has_failed || sql.has_failed))
		lose_state(c, "there was no memory");
	else if (is_asked)
		send_own(c, sql.data ? sql.data : "");
	pw_strbuf_fini(&dotted);
	pw_strbuf_wipe(&sql);
	return is_asked;
}

void pw_session_forget_effects(struct pw_client *c)
{
	struct pw_client_session *s = c->session;

	pw_effects_clear(&s->effects);
	pw_session_forget_params(c);
	s->called = 0;
	s->is_called_unknown = false;
}

void pw_session_forget_unread(struct pw_client *c)
{
	struct pw_client_session *s = c->session;

	pw_effects_know_executed(&s->effects);
	s->called = 0;
	s->is_called_unknown = false;
}

/* Does the hub have the place that it would need? */
static bool does_hub_matter(const struct pw_client *c)
{
	const struct pw_pool *pool = c->loan.pool;

	return atomic_load(&pool->shared->db->hub_pool) == pool->shared->id &&
	       pw_pool_keepable(pool, true) < pw_pool_keepable(pool, false);
}

/* It would write there from then on, in vain. */
static void lose_pins(struct pw_client *c, unsigned pins)
{
	struct pw_error err;
	char why[256];

	c->session->pins = pins;
	pw_client_pins(c, why, sizeof(why));
	c->session->pins = 0;
	pw_error_set(&err, PW_SQLSTATE_FEATURE_NOT_SUPPORTED,
		     "session state cannot be kept on a replica");
	pw_error_detail(&err, "A READ ONLY transaction that ran on a replica has left: %s.", why);
	pw_error_hint(&err, "Begin it with /* pgweir: primary */, or set pgweir.route to primary.");
	pw_link_close(c->loan.link, PW_LINK_END_CLEAN, err.message, &err);
}

/* False: the client is closed. */
static bool pin(struct pw_client *c, unsigned pins)
{
	struct pw_error err;
	char why[256];

	if (pins & ~(unsigned)PW_EFFECT_LISTENS && pw_route_is_apart(c)) {
		lose_pins(c, pins);
		return false;
	}
	if (pw_session_pin(c, pins))
		return true;
	pw_client_pins(c, why, sizeof(why));
	pw_error_set(&err, PW_SQLSTATE_CONFIG_LIMIT_EXCEEDED,
		     "too many server connections are kept for session state");
	pw_error_detail(&err, "The session has what cannot be carried to another connection: %s.%s",
			why,
			does_hub_matter(c) ? " One connection of the pool listens for all clients, "
					     "until ten seconds after the last LISTEN has ended."
					   : "");
	pw_error_hint(&err, "See SHOW PINS on the console; the settings are max_pinned_share and "
			    "pool_size.");
	pw_client_close(c, err.message, &err);
	return false;
}

/* It may stay idle on a link of its own for a while. */
static void stay(struct pw_client *c)
{
	uint64_t limit = c->clients->pools->snapshot->conf->pin_timeout;

	if (limit > 0)
		pw_loop_arm(c->clients->loop, &c->timer, limit);
}

/* Does nothing keep it but what it listens to? */
static bool is_free(struct pw_client *c)
{
	if ((c->session->pins & ~(unsigned)PW_EFFECT_LISTENS) == 0)
		return true;
	stay(c);
	return false;
}

bool pw_session_keep(struct pw_client *c)
{
	if (!pin(c, c->session->pins | PW_EFFECT_LISTENS))
		return false;
	stay(c);
	return true;
}

/* The code that it makes may be called before anybody has looked at that. */
static void publish_said(struct pw_client *c)
{
	const struct pw_strbuf *names = &c->session->effects.names;
	struct pw_code *code = &db_of(c)->code;

	for (size_t at = 0; at < names->len; at += strlen(names->data + at) + 1) {
		if (strchr(names->data + at, '.'))
			pw_code_add_name(code, &code->of_sessions, names->data + at);
	}
}

/* What is known of the database's code is out of date. */
static void note_new_code(struct pw_client *c)
{
	publish_said(c);
	atomic_fetch_add(&db_of(c)->ddl_epoch, 1);
	atomic_fetch_add(&db_of(c)->code_epoch, 1);
}

bool pw_session_settle(struct pw_client *c)
{
	struct pw_client_session *s = c->session;
	struct pw_residue_context context;
	bool is_known;
	unsigned flags;

#ifdef PW_MUTANT_SESSION_NOT_ASKED
	return true;
#endif
	if (!s)
		return true;
	pw_link_settle_draws(c->loan.link, pw_session_has_drawn(c));
	if (s->is_put_off) {
		s->is_put_off = false;
		return is_free(c);
	}
	if (pw_names_are_there(c)) {
		s->is_acting = true;
		pw_names_take_back(c);
		return false;
	}
	if (s->effects.flags & PW_EFFECT_DDL)
		note_new_code(c);
	s->effects.flags &= ~(unsigned)PW_EFFECT_DDL;
	flags = pw_session_flags(c, &is_known);
	/* Code of the database has done it: what was known did not call that harmless. */
	if (flags & PW_EFFECT_DDL)
		note_new_code(c);
	flags &= ~(unsigned)PW_EFFECT_DDL;
	/* Code of its own that makes names keeps it here, whatever there is beside. */
	if (!is_known && flags & PW_EFFECT_SETTINGS && !(flags & PW_EFFECT_OPAQUE) &&
	    pw_session_learn(c))
		return false;
	s->learning = PW_LEARNING_NOT;
	context = context_of(c, NULL);
	/* Values of before are other bytes now; or are not there any more, nobody knows which. */
	if (pw_effects_name(&s->effects, "client_encoding") || s->effects.may_go_back)
		flags |= PW_EFFECT_SETTINGS;
	/* What is not asked for is taken to be as the client has it. */
	if (flags != 0 && !pw_id_equal(c->loan.link->settings->id, c->settings->id))
		flags |= PW_EFFECT_SETTINGS;
	if (pw_residue_may_hide(&s->effects, &context))
		flags |= PW_EFFECT_OPAQUE;
	if (flags & PW_EFFECT_UNSEEN)
		c->loan.link->facts.must_close = true;
	if (flags & PW_EFFECTS_FOR_EVER && !pin(c, s->pins | (flags & PW_EFFECTS_FOR_EVER)))
		return false;
	if (flags & PW_EFFECT_DROPS)
		flags |= s->pins & PW_EFFECTS_OF_OBJECTS;
	/* What the answer may say of the code is about that, and somebody else may have set what.
	 */
	s->effects.flags = flags | (s->effects.flags & (PW_EFFECTS_BY_CODE | PW_EFFECT_PARSES));
	s->attempts = 0;
	s->sqlstate[0] = '\0';
	s->is_code_known = is_known;
	s->with_code = !is_known && flags & PW_EFFECT_SETTINGS &&
		       !pw_code_is_failing(&db_of(c)->code, c->clients->loop->now_us);
	if (flags != 0 && ask(c))
		return false;
	pw_session_forget_effects(c);
	return is_free(c);
}

/* ---- hearing ---- */

void pw_session_take_answer(struct pw_client *c, const struct pw_piece *piece)
{
	struct pw_client_session *s = c->session;
	struct pw_error_fields fields;

	if (s->learning == PW_LEARNING_ASKS) {
		pw_link_learn_piece(c->loan.link, piece);
	} else if (piece->type == 'D') {
		pw_residue_take(&s->residue, piece->data, piece->len);
	} else if (piece->type == 'E' && piece->is_first) {
		pw_parse_error_fields(piece->data + PW_HEADER_SIZE, piece->len - PW_HEADER_SIZE,
				      &fields);
		snprintf(s->sqlstate, sizeof(s->sqlstate), "%s", fields.sqlstate);
		pw_strbuf_reset(&s->code_error);
		if (s->with_code)
			pw_strbuf_add(&s->code_error, fields.message, strlen(fields.message) + 1);
		s->residue.has_failed = true;
	}
}

/* Names with a dot stay in a server's session once they were there. */
static void publish_dotted(struct pw_client *c, const struct pw_residue_found *found)
{
	struct pw_code *code = &db_of(c)->code;

	for (unsigned i = 0; i < found->settings->n; i++) {
		const char *name = found->settings->settings[i].name;

		if (strchr(name, '.') && !pw_state_find(c->settings, name))
			pw_code_add_name(code, &code->of_sessions, name);
	}
}

/* ---- names that are heard no more ---- */

static bool is_said(const struct pw_client_session *s, const char *name)
{
	for (size_t at = 0; at < s->said.len; at += strlen(s->said.data + at) + 1) {
		if (strcmp(s->said.data + at, name) == 0)
			return true;
	}
	return false;
}

/* What was prepared is executed later, and what was made for the session alone is called later, by
 * texts that do not name what it sets. */
static void keep_said(struct pw_client *c, unsigned pins)
{
	const unsigned speaking = PW_EFFECT_PREPARED | PW_EFFECT_TEMP;
	struct pw_client_session *s = c->session;
	const struct pw_strbuf *names = &s->effects.names;

	if (!(pins & speaking)) {
		pw_strbuf_fini(&s->said);
		s->n_said = 0;
	}
	if (!(pins & s->residue.objects & speaking))
		return;
	for (size_t at = 0; at < names->len; at += strlen(names->data + at) + 1) {
		const char *name = names->data + at;

		if (!strchr(name, '.') || s->n_said > PW_CODE_NAMES_MAX || is_said(s, name))
			continue;
		pw_strbuf_add(&s->said, name, strlen(name) + 1);
		s->n_said++;
	}
}

/* Its questions would become endless. */
static bool has_too_many_names(const struct pw_client *c)
{
	const struct pw_client_session *s = c->session;
	unsigned n = 0;

	for (unsigned i = 0; i < c->settings->n; i++)
		n += strchr(c->settings->settings[i].name, '.') != NULL;
	return n > PW_CODE_NAMES_MAX || s->n_said > PW_CODE_NAMES_MAX || s->said.has_failed;
}

static void have(struct pw_client *c, struct pw_state *settings)
{
	pw_state_unref(c->settings);
	c->settings = settings;
	c->loan.settings = settings;
}

/* Has what was sent taken it back? A name with a dot is empty then, and a role none: which may be
 * what it was set to, where nothing speaks of going back. */
static bool has_gone_back(const struct pw_client *c, const char *name, const char *value)
{
	const char *before = pw_state_find(c->settings, name);

	if (!value)
		return true;
	if (!c->session->effects.may_go_back || (before && strcmp(before, value) == 0))
		return false;
	return strchr(name, '.') ? value[0] == '\0'
				 : strcmp(name, "role") == 0 && strcmp(value, "none") == 0;
}

/* What is set no longer is what the start-up packet asked for. Takes the reference over. */
static struct pw_state *with_initial(const struct pw_client *c, struct pw_state *settings)
{
	const struct pw_state *initial = c->session->initial;

	for (unsigned i = 0; i < initial->n; i++) {
		const struct pw_setting *setting = &initial->settings[i];
		struct pw_state *changed;

		if (!has_gone_back(c, setting->name, pw_state_find(settings, setting->name)))
			continue;
		changed = pw_state_with(settings, setting->name, setting->value);
		if (!changed) {
			c->loan.link->facts.must_close = true;
			break;
		}
		pw_state_unref(settings);
		settings = changed;
	}
	return settings;
}

static void take_over(struct pw_client *c, struct pw_residue_found *found)
{
	struct pw_link *link = c->loan.link;

	publish_dotted(c, found);
	pw_state_unref(link->settings);
	link->settings = pw_state_ref(found->settings);
	have(c, with_initial(c, found->settings));
	if (c->session->residue.scope == PW_RESIDUE_ALL && !pw_session_restore_params(c, found))
		link->facts.must_close = true;
}

/* False: it would be too much, with what all others have; the client is closed. */
static bool has_room(struct pw_client *c, const struct pw_state *settings)
{
	const struct pw_conf *conf = c->clients->pools->snapshot->conf;
	uint64_t total = atomic_load(&c->clients->pools->registry->state_bytes);
	struct pw_error err;

	if (conf->session_state_bytes_total == 0 || settings->bytes <= STATE_BYTES_OF_ANYBODY ||
	    settings->bytes <= c->settings->bytes ||
	    total <= (uint64_t)conf->session_state_bytes_total)
		return true;
	pw_error_set(&err, PW_SQLSTATE_OUT_OF_MEMORY, "out of memory for session state");
	pw_error_detail(&err,
			"The settings of this session take %zu bytes, those of all %llu; the limit "
			"is session_state_bytes_total (%d).",
			settings->bytes, (unsigned long long)total,
			conf->session_state_bytes_total);
	pw_link_close(c->loan.link, PW_LINK_END_CLEAN, err.message, &err);
	return false;
}

static bool is_error(const struct pw_client *c, const char *sqlstate)
{
	return strcmp(c->session->sqlstate, sqlstate) == 0;
}

/* Is the question asked once more, and at once? */
static bool ask_again(struct pw_client *c)
{
	struct pw_client_session *s = c->session;
	bool is_canceled = is_error(c, PW_SQLSTATE_QUERY_CANCELED);
	uint64_t took = pw_clock_since(c->loan.link->request_us, c->clients->loop->now_us);

	/* A cancel request that was meant for the client's own statement. */
	if ((is_canceled && !(s->with_code && took >= PW_CODE_TIMEOUT_US)) ||
	    is_error(c, PW_SQLSTATE_SERIALIZATION_FAILURE)) {
		if (++s->attempts < ATTEMPTS_MAX)
			return true;
	}
	/* That of the code may be what failed, and says nothing about the session. */
	if (!s->with_code)
		return false;
	s->with_code = false;
	s->attempts = 0;
	return true;
}

/* Without the code it was answered. */
static void tell_of_code(struct pw_client *c)
{
	struct pw_client_session *s = c->session;

	if (s->code_error.len > 0 && !s->code_error.has_failed)
		pw_code_failed(&c->log, &db_of(c)->code, s->code_error.data,
			       c->clients->loop->now_us);
	pw_strbuf_fini(&s->code_error);
}

/* Then the client stays where its session is, until the question after its next transaction if the
 * moment may be to blame. What was done is kept for that. */
static bool stay_untold(struct pw_client *c)
{
	struct pw_client_session *s = c->session;
	bool is_of_moment = is_error(c, PW_SQLSTATE_QUERY_CANCELED) ||
			    is_error(c, PW_SQLSTATE_LOCK_NOT_AVAILABLE) ||
			    is_error(c, PW_SQLSTATE_SERIALIZATION_FAILURE);

	pw_residue_fini(&s->residue);
	pw_strbuf_fini(&s->code_error);
	if (!is_of_moment) {
		pw_session_forget_effects(c);
		return pin(c, s->pins | PW_EFFECT_OPAQUE);
	}
	s->effects.flags &=
	    PW_EFFECTS_OF_OBJECTS | PW_EFFECT_DROPS | PW_EFFECT_UNSEEN | PW_EFFECTS_BY_CODE;
	s->effects.flags |= PW_EFFECT_SETTINGS;
	s->is_put_off = true;
	return pin(c, s->pins | PW_EFFECT_UNTOLD);
}

/* PostgreSQL plans anew when a session comes to have a temporary schema, for its tables may hide
 * others. The link may have had one since an earlier client. */
static bool must_discard_plans(struct pw_client *c, unsigned pins)
{
	struct pw_link_facts *facts = &c->loan.link->facts;
	bool had_schema = facts->has_temp_schema;

	facts->has_temp_schema |= (c->session->residue.objects & PW_EFFECT_TEMP) != 0;
	return had_schema && pins & ~c->session->pins & PW_EFFECT_TEMP;
}

bool pw_session_answered(struct pw_client *c)
{
	struct pw_client_session *s = c->session;
	struct pw_strbuf none = PW_STRBUF_INIT;
	struct pw_residue_context context = context_of(c, &none);
	struct pw_residue_found found;
	unsigned pins;
	bool is_hiding;

	if (s->is_acting) {
		s->is_acting = false;
		return true;
	}
	if (s->learning != PW_LEARNING_NOT) {
		if (s->learning == PW_LEARNING_ASKS)
			pw_link_learned(c->loan.link);
		s->learning = PW_LEARNING_OVER;
		return true;
	}
	if (s->residue.has_failed && s->sqlstate[0]) {
		if (!ask_again(c))
			return stay_untold(c);
		pw_residue_fini(&s->residue);
		s->sqlstate[0] = '\0';
		(void)ask(c);
		return false;
	}
	tell_of_code(c);
	if (pw_residue_find(&s->residue, &context, &found) != PW_OK) {
		lose_state(c, "gave no good answer");
		return false;
	}
	if (!has_room(c, found.settings)) {
		pw_channels_fini(&found.channels);
		pw_state_unref(found.settings);
		return false;
	}
	if (s->residue.objects & PW_EFFECT_LISTENS && !pw_listening_take(c, &found.channels)) {
		pw_channels_fini(&found.channels);
		pw_state_unref(found.settings);
		lose_state(c, "there was no memory");
		return false;
	}
	pw_channels_fini(&found.channels);
	take_over(c, &found);
	pins = (s->pins & ~(s->residue.objects | PW_EFFECT_UNTOLD)) | found.objects;
	/* Whether that keeps it, is seen when the link goes. */
	if ((pins & ~(unsigned)PW_EFFECT_LISTENS) == 0)
		pins &= s->pins;
#ifdef PW_MUTANT_UNPINNED_WITHOUT_PROOF
	pins = 0;
#endif
	if (found.is_opaque)
		c->loan.link->facts.must_close = true;
	keep_said(c, pins);
	if (has_too_many_names(c))
		pins |= PW_EFFECT_OPAQUE;
	is_hiding = must_discard_plans(c, pins);
	pw_residue_fini(&s->residue);
	pw_session_forget_effects(c);
	if (!pin(c, pins))
		return false;
	s->is_acting = is_hiding;
	if (is_hiding)
		send_own(c, "DISCARD PLANS");
	return !is_hiding;
}

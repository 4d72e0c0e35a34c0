/* SPDX-License-Identifier: PostgreSQL
 *
 * Which unnamed statement a client has. A Parse makes another of it, a Query or a Close none: noted
 * when it is sent, and undone when the server has skipped it, in the order of the link's queue of
 * expected answers. So the statements that there have been are a row like that, of which the oldest
 * goes with each message that was done, and the one behind it with each that was not.
 *
 * What the link has is another matter: it is the client's only once the client's own was sent on
 * it, and no longer when a query of our own has dropped it (pool/link.h).
 */
#include "config.h"

#include <stdlib.h>

#include "client_priv.h"

enum { SPARE_MAX = 1024, BEFORE_MAX = 1024 };

static struct pw_unnamed *unnamed_of(struct pw_list *node)
{
	return PW_CONTAINER(node, struct pw_unnamed, node);
}

static void destroy(struct pw_unnamed *u)
{
	if (!u)
		return;
	pw_effects_fini(&u->effects);
	pw_strbuf_wipe(&u->parse); /* it may hold secrets */
	free(u);
}

void pw_unnamed_init(struct pw_client_unnamed *unnamed)
{
	pw_list_init(&unnamed->before);
}

void pw_unnamed_fini(struct pw_client_unnamed *unnamed)
{
	struct pw_list *node;

	while ((node = pw_list_first(&unnamed->before))) {
		pw_list_remove(node);
		destroy(unnamed_of(node));
	}
	destroy(unnamed->now);
	destroy(unnamed->spare);
	unnamed->now = unnamed->spare = NULL;
}

/* ---- sending ---- */

static void clear(struct pw_unnamed *u)
{
	pw_effects_clear(&u->effects);
	if (u->parse.cap > SPARE_MAX)
		pw_strbuf_wipe(&u->parse);
	else
		pw_strbuf_reset(&u->parse);
	u->is_made = false;
	u->was_readable = false;
}

static struct pw_unnamed *take(struct pw_client_unnamed *unnamed)
{
	struct pw_unnamed *u = unnamed->spare;

	unnamed->spare = NULL;
	if (!u && (u = calloc(1, sizeof(*u))))
		pw_list_init(&u->node);
	return u;
}

static void give_back(struct pw_client_unnamed *unnamed, struct pw_unnamed *u)
{
	clear(u);
	if (unnamed->spare)
		destroy(u);
	else
		unnamed->spare = u;
}

/* The row has one more. */
static struct pw_unnamed *add(struct pw_client_unnamed *unnamed)
{
	struct pw_unnamed *u;

	if (!unnamed->now && !(unnamed->now = take(unnamed)))
		return NULL;
	u = take(unnamed);
	if (!u)
		return NULL;
	pw_list_append(&unnamed->before, &unnamed->now->node);
	unnamed->must_drain |= ++unnamed->n_before >= BEFORE_MAX;
	unnamed->now = u;
	unnamed->is_fresh = true;
	return u;
}

/* Once the server has taken one of the client's, or dropped what was there, what it has is never
 * again another client's. Not one that an error may have made it skip. */
static void note_proof(struct pw_link *link)
{
	link->is_unnamed_sure |= link->has_unnamed && !pw_link_has_request(link);
}

struct pw_unnamed *pw_unnamed_begin(struct pw_client *c)
{
	struct pw_unnamed *u = add(&c->session->unnamed);

	note_proof(c->loan.link);
	if (u)
		u->is_made = true;
	return u;
}

enum pw_status pw_unnamed_drop(struct pw_client *c, unsigned *flags)
{
	struct pw_client_unnamed *unnamed = c->session ? &c->session->unnamed : NULL;

	if (!unnamed || !unnamed->now ||
	    (!unnamed->now->is_made && pw_list_is_empty(&unnamed->before)) ||
	    pw_link_skips_next(c->loan.link))
		return PW_OK;
	note_proof(c->loan.link);
	if (!add(unnamed))
		return PW_ENOMEM;
	*flags |= PW_EXPECT_UNNAMED;
	return PW_OK;
}

void pw_unnamed_forget(struct pw_client *c)
{
	if (c->session && c->session->unnamed.now)
		clear(c->session->unnamed.now);
}

void pw_unnamed_note_sync(struct pw_client *c)
{
	c->session->unnamed.is_fresh = false;
}

/* ---- hearing ---- */

void pw_unnamed_settled(struct pw_client *c, const struct pw_expect *entry, bool is_done)
{
	struct pw_client_unnamed *unnamed = c->session ? &c->session->unnamed : NULL;
	struct pw_list *oldest = unnamed ? pw_list_first(&unnamed->before) : NULL, *next;

	/* One that was sent to bring the link to it makes none another. */
	if (!oldest || entry->flags & PW_EXPECT_SWALLOW)
		return;
	next = oldest->next;
	unnamed->n_before--;
	if (is_done) {
		pw_list_remove(oldest);
		give_back(unnamed, unnamed_of(oldest));
		return;
	}
	/* What comes back may be a DISCARD ALL. */
	c->unnamed_forgets = true;
	if (next != &unnamed->before) {
		pw_list_remove(next);
		give_back(unnamed, unnamed_of(next));
		return;
	}
	pw_list_remove(oldest);
	give_back(unnamed, unnamed->now);
	unnamed->now = unnamed_of(oldest);
}

void pw_unnamed_note_error(struct pw_client *c, const struct pw_expect *about)
{
	struct pw_list *oldest;

	if (!about || about->role != PW_ROLE_PARSE || !(about->flags & PW_EXPECT_UNNAMED) ||
	    about->flags & PW_EXPECT_SWALLOW)
		return;
	/* It comes back when the error has made the server skip the message. */
	oldest = pw_list_first(&c->session->unnamed.before);
	if (oldest)
		clear(unnamed_of(oldest));
}

/* ---- what is known ---- */

bool pw_unnamed_is_meant(const struct pw_piece *piece)
{
	struct pw_cursor body = pw_piece_body(piece);

	switch (pw_frontend_messages.rows[piece->type].role) {
	case PW_ROLE_BIND:
		(void)pw_cursor_string(&body); /* its portal */
		break;
	case PW_ROLE_DESCRIBE:
	case PW_ROLE_CLOSE:
		if (pw_cursor_u8(&body) != 'S')
			return false;
		break;
	default:
		return false;
	}
	return pw_cursor_string(&body)[0] == '\0' && !body.has_failed;
}

/* What was sent behind the last Sync is skipped with the next message, or not skipped either. */
bool pw_unnamed_is_unsure(const struct pw_client *c)
{
	const struct pw_client_unnamed *unnamed = c->session ? &c->session->unnamed : NULL;

	return unnamed && !pw_list_is_empty(&unnamed->before) && !unnamed->is_fresh &&
	       !pw_link_awaits_borrower(c->loan.link);
}

/* A client may send for ever what is not answered. */
bool pw_unnamed_must_drain(struct pw_client *c)
{
	struct pw_client_unnamed *unnamed = c->session ? &c->session->unnamed : NULL;

	if (!unnamed || !unnamed->must_drain)
		return false;
	unnamed->must_drain = unnamed->n_before > 0 && !pw_link_awaits_borrower(c->loan.link);
	return unnamed->must_drain;
}

bool pw_unnamed_is_there(struct pw_client *c)
{
	struct pw_link *link = c->loan.link;

	note_proof(link);
	return link->is_unnamed_sure || (link->has_unnamed && (c->session->unnamed.is_fresh ||
							       link->expects.n_sync_points == 0));
}

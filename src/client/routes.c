/* SPDX-License-Identifier: PostgreSQL
 *
 * What a client has that is routed, from its first request to its end; and the names of the reasons
 * why requests run where they do.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "route_priv.h"

/* ---- reasons ---- */

/* clang-format off */
static const struct pw_route_reason reasons[PW_ROUTES_COUNTED] = {
    [PW_ROUTE_READ] = {"replica", "read", "It is proved to read."},
    [PW_ROUTE_WRITE] = {"primary", "write", "It is no read."},
    [PW_ROUTE_UNREAD] = {"primary", "unread",
                         "Nobody has looked at it: too long, without a Sync, not to be parsed, an EXECUTE of "
                         "what is not known."},
    [PW_ROUTE_TRANSACTION] = {"primary", "transaction", "In a transaction that may write."},
    [PW_ROUTE_SESSION] = {"primary", "session",
                          "Its session has what cannot be carried, listens, or is serializable."},
    [PW_ROUTE_UNSEEN] = {"primary", "unseen",
                         "No replica had all yet that the session has written or seen."},
    [PW_ROUTE_OVERFLOW] = {"primary", "overflow", "No replica was fresh enough."},
    [PW_ROUTE_NOWHERE] = {"none", "no replica",
                          "It was refused: no replica could run it, and the primary was not to."},
    [PW_ROUTE_REFUSED] = {"primary", "refused", "A replica has refused it, or one like it before."},
    [PW_ROUTE_LOST] = {"primary", "lost", "A replica was lost while it ran it, or lets nobody in."},
    [PW_ROUTE_HINT] = {"primary", "hint", "Its text, or the setting pgweir.route, says so."},
    [PW_ROUTE_N + PW_DOUBT_CATALOG] = {"primary", "catalog",
                                       "It is not known, or no longer, what it names."},
    [PW_ROUTE_N + PW_DOUBT_DATABASE] = {"primary", "database",
                                        "In this database any statement may run code that writes."},
    [PW_ROUTE_N + PW_DOUBT_FUNCTION] = {"primary", "function",
                                        "It calls a function that may write, or tells of its node."},
    [PW_ROUTE_N + PW_DOUBT_UNKNOWN_FUNCTION] = {"primary", "unknown function",
                                                "It calls a function that nobody here knows."},
    [PW_ROUTE_N + PW_DOUBT_RELATION] = {"primary", "relation",
                                        "It names a table or view by which something may be written, "
                                        "or that is not the same on each node."},
    [PW_ROUTE_N + PW_DOUBT_OPERATOR] = {"primary", "operator", "It has an operator that may write."},
    [PW_ROUTE_N + PW_DOUBT_TYPE] = {"primary", "type", "It has a type whose making may write, or is an EXECUTE where "
                                                                      "casts by assignment may."},
    [PW_ROUTE_N + PW_DOUBT_SETTING] = {"primary", "setting", "It asks for a setting of its node."},
};
/* clang-format on */

_Static_assert((int)PW_ROUTES_COUNTED <= (int)PW_ROUTES_MAX, "a pool counts all of them");

const struct pw_route_reason *pw_client_route_reason(size_t i)
{
	return i < PW_ROUTES_COUNTED && reasons[i].name ? &reasons[i] : NULL;
}

/* ---- texts ---- */

const char *pw_route_skip_blanks(const char *text, bool with_comments)
{
	static const char blanks[] = " \t\r\n\f\v";
	const char *end;

	text += strspn(text, blanks);
	while (with_comments && strncmp(text, "/*", 2) == 0 && (end = strstr(text + 2, "*/")))
		text = end + 2 + strspn(end + 2, blanks);
	return text;
}

/* ---- life ---- */

struct pw_client_route *pw_route_get(struct pw_client *c, void (*again)(struct pw_task *task))
{
	if (c->route)
		return c->route;
	c->route = calloc(1, sizeof(*c->route));
	if (c->route) {
		c->route->client = c;
		/* One that was not routed so far has noted nothing. */
		c->route->noted_for =
		    c->last_request_us > 0 ? PW_CONSISTENCY_EVENTUAL : PW_CONSISTENCY_SESSION;
		pw_task_init(&c->route->again, again);
	}
	return c->route;
}

void pw_route_end(struct pw_client *c)
{
	if (!c->route)
		return;
	pw_task_cancel(&c->route->again);
	pw_strbuf_wipe(&c->route->begun);
	pw_strbuf_wipe(&c->route->sent);
	pw_strbuf_wipe(&c->route->answer);
	free(c->route);
	c->route = NULL;
}

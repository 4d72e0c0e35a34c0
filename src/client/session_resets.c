/* SPDX-License-Identifier: PostgreSQL
 *
 * Which texts put settings back to what the start-up packet asked for, and which of them can be
 * made true behind their message (relay_resets.c).
 */
#include "config.h"

#include <string.h>

#include "client_priv.h"
#include "pgweir/pool/catalog.h"

/* ---- what matters ---- */

static const char application_name[] = "application_name";

/* A value that the start-up packet asked for and that servers do not begin with. */
static bool differs(const struct pw_client *c, unsigned i)
{
	const struct pw_params *wanted = c->session->initial_params;
	const struct pw_params *welcome = c->loan.pool->welcome_params;
	const char *value = wanted ? wanted->values[i] : NULL;

	return value && (!welcome || !welcome->values[i] || strcmp(value, welcome->values[i]) != 0);
}

static bool is_identity(const char *name)
{
	return strcmp(name, "role") == 0 || strcmp(name, "session_authorization") == 0;
}

/* What a server knows nothing of changes nothing that runs there. */
static bool is_pgweirs_own(const char *name)
{
	return strncmp(name, "pgweir.", 7) == 0;
}

/* Most clients have a name, and nothing hangs on it but what asks for it. */
static bool all_matter(const struct pw_client *c, bool is_ahead)
{
	const struct pw_state *initial = c->session->initial;
	const struct pw_params *wanted = c->session->initial_params;

	for (unsigned i = 0; i < initial->n; i++) {
		const char *name = initial->settings[i].name;

		if (!is_identity(name) && !(is_ahead && is_pgweirs_own(name)))
			return true;
	}
	for (unsigned i = 0; wanted && i < wanted->n; i++) {
		if (differs(c, i) && strcmp(c->clients->tracked->names[i], application_name) != 0)
			return true;
	}
	return false;
}

static bool matters(const struct pw_client *c, const char *name, bool is_ahead)
{
	const struct pw_params *welcome = c->loan.pool->welcome_params;
	int index = pw_params_find_reported(c->clients->tracked, welcome, name);

	if (name[0] == '\0')
		return all_matter(c, is_ahead);
	if (is_identity(name) && pw_state_find(c->session->initial, "role"))
		return true;
	return index >= 0 ? differs(c, (unsigned)index)
			  : pw_state_find(c->session->initial, name) != NULL;
}

/* Does it put back what the start-up packet asked for (`is_ahead`: and go on under it)? */
static bool goes_back(const struct pw_client *c, const struct pw_effects *effects, bool is_ahead)
{
	const struct pw_strbuf *list = &effects->resets;

	for (size_t at = 0; at < list->len; at += strlen(list->data + at) + 1) {
		if ((!is_ahead || list->data[at] == PW_RESET_AHEAD) &&
		    matters(c, list->data + at + 1, is_ahead))
			return true;
	}
	return false;
}

/* Who goes back to whom it logged in as goes back to its role too. */
static bool names_role(const struct pw_effects *effects)
{
	const struct pw_strbuf *list = &effects->resets;

	for (size_t at = 0; at < list->len; at += strlen(list->data + at) + 1) {
		if (is_identity(list->data + at + 1))
			return true;
	}
	return false;
}

/* One that is empty may have been set to that before. */
static bool names_dotted(const struct pw_effects *effects)
{
	const struct pw_strbuf *list = &effects->resets;

	for (size_t at = 0; at < list->len; at += strlen(list->data + at) + 1) {
		if (list->data[at + 1] == '\0' || strchr(list->data + at + 1, '.'))
			return true;
	}
	return list->len == 0;
}

/* Code in the text and COPY keep what makes it true from being sent behind it: what is set then is
 * seen when the transaction is over. */
enum pw_going_back pw_resets_judge(struct pw_client *c, const struct pw_effects *effects)
{
	const unsigned resets = PW_EFFECT_RESET | PW_EFFECT_RESET_ALL;
	struct pw_client_session *s = c->session;
	bool is_local = effects->flags & PW_EFFECT_RESET_LOCAL;

	if (!(effects->flags & (resets | PW_EFFECT_RESET_LOCAL)) ||
	    (s->initial->n == 0 && !s->initial_params))
		return PW_BACK_NOT;
	if (goes_back(c, effects, true) ||
	    (is_local && effects->flags & resets && goes_back(c, effects, false)))
		return PW_BACK_REFUSED;
	if (effects->flags & (PW_EFFECT_CODE | PW_EFFECT_COPY)) {
		s->effects.may_go_back |= goes_back(c, effects, false);
		return PW_BACK_NOT;
	}
	if (is_local && !goes_back(c, effects, false))
		return PW_BACK_NOT;
	s->resets.are_local = is_local;
	s->resets.of_role = names_role(effects);
	s->resets.of_dotted = names_dotted(effects);
	return PW_BACK_BEHIND;
}

void pw_resets_note_bound(struct pw_client *c, const struct pw_effects *effects)
{
	if (goes_back(c, effects, false))
		c->session->resets.back = PW_BATCH_BACK_BOUND;
}

/* The Execute of what was bound is the last that is right. */
bool pw_resets_refuse(struct pw_client *c, enum pw_message_role role)
{
	const unsigned using = 1u << PW_ROLE_PARSE | 1u << PW_ROLE_BIND | 1u << PW_ROLE_EXECUTE |
			       1u << PW_ROLE_FUNCTION;
	struct pw_client_session *s = c->session;

	if (!s || s->resets.back == PW_BATCH_BACK_NOT || !(using >> role & 1))
		return false;
	if (role != PW_ROLE_EXECUTE || s->resets.back == PW_BATCH_BACK_DONE)
		return true;
	s->resets.back = PW_BATCH_BACK_DONE;
	return false;
}

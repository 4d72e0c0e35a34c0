/* SPDX-License-Identifier: PostgreSQL
 *
 * One look over the nodes, which forgets what it has counted where a higher timeline turns up.
 */
#include "config.h"

#include "pgweir/cluster/elect.h"

/* The incumbent counts as long as nobody knows that it is a standby. */
static bool may_be_primary(const struct pw_candidate *nodes, int i, int incumbent)
{
	return nodes[i].is_writable || (i == incumbent && !nodes[i].is_standby);
}

/* Whoever writes on a higher one would be followed in its place at once. */
static bool is_highest_writable(const struct pw_candidate *nodes, size_t n, int chosen)
{
	if (chosen == PW_NO_NODE || !nodes[chosen].is_writable)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (nodes[i].is_writable && nodes[i].timeline > nodes[chosen].timeline)
			return false;
	}
	return true;
}

struct pw_election pw_elect(const struct pw_candidate *nodes, size_t n, uint32_t seen,
			    int incumbent, int chosen)
{
	struct pw_election election = {PW_NO_NODE, false, 0};
	uint32_t highest = seen;
	int first = PW_NO_NODE, n_highest = 0, n_writable = 0;
	bool has_incumbent = false, has_chosen = false;

#ifdef PW_MUTANT_TIMELINE_FORGOTTEN
	highest = 0;
#endif
	for (int i = 0; i < (int)n; i++) {
		if (!may_be_primary(nodes, i, incumbent) || nodes[i].timeline < highest)
			continue;
		if (nodes[i].timeline > highest || first == PW_NO_NODE) {
			highest = nodes[i].timeline;
			first = i;
			n_highest = n_writable = 0;
			election.contenders = 0;
			has_incumbent = has_chosen = false;
		}
		n_highest++;
		n_writable += nodes[i].is_writable;
		election.contenders |= 1u << i;
		has_incumbent |= i == incumbent;
		has_chosen |= i == chosen && nodes[i].is_writable;
	}
	election.is_torn = n_highest > 1;
	if (has_chosen || (n_writable == 0 && is_highest_writable(nodes, n, chosen)))
		election.primary = chosen;
	else if (has_incumbent)
		election.primary = incumbent;
	else if (n_highest == 1)
		election.primary = first;
	return election;
}

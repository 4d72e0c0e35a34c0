/* SPDX-License-Identifier: PostgreSQL
 *
 * One worker's part in listening: its stations, what mail means to them, their upkeep.
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>

#include "hub_priv.h"

enum { TICK_US = 333 * 1000 };

static struct pw_hub *hub_of(struct pw_hubs *hubs, const struct pw_hub_mail *m)
{
	struct pw_station *station = pw_station_of_hub(hubs, m->hub);

	return station ? &station->hub : NULL;
}

static void on_want(struct pw_hubs *hubs, const struct pw_hub_mail *m)
{
	struct pw_hub *hub = hub_of(hubs, m);

	if (hub)
		pw_hub_want(hub, m->from, &m->text, m->ticket);
}

static void on_drop(struct pw_hubs *hubs, const struct pw_hub_mail *m)
{
	struct pw_hub *hub = hub_of(hubs, m);

	if (hub)
		pw_hub_drop(hub, m->from, &m->text);
}

static void on_doubt(struct pw_hubs *hubs, const struct pw_hub_mail *m)
{
	struct pw_hub *hub = hub_of(hubs, m);

	if (hub)
		pw_hub_give_up(hub, "it does not answer");
}

static void on_tick(struct pw_timer *timer)
{
	struct pw_hubs *hubs = PW_CONTAINER(timer, struct pw_hubs, tick);
	struct pw_list *node = hubs->stations.next;

	pw_loop_arm(hubs->pools->loop, &hubs->tick, TICK_US);
	while (node != &hubs->stations) {
		struct pw_station *station = PW_CONTAINER(node, struct pw_station, node);

		node = node->next;
		(void)pw_station_tend(station);
	}
}

enum pw_status pw_hubs_init(struct pw_hubs *hubs)
{
	static const char what[] = "channel of the marks";
	struct pw_id secret = pw_hash_id(&hubs->pools->hash_key, what, sizeof(what));

	pw_list_init(&hubs->stations);
	snprintf(hubs->channel, sizeof(hubs->channel), "pgweir_%016" PRIx64 "%016" PRIx64,
		 secret.hi, secret.lo);
	hubs->receive[PW_HUB_MAIL_WANT] = on_want;
	hubs->receive[PW_HUB_MAIL_DROP] = on_drop;
	hubs->receive[PW_HUB_MAIL_DOUBT] = on_doubt;
	hubs->receive[PW_HUB_MAIL_CAME] = pw_station_hub_came;
	hubs->receive[PW_HUB_MAIL_GONE] = pw_station_hub_gone;
	hubs->receive[PW_HUB_MAIL_LISTENS] = pw_station_listens;
	hubs->receive[PW_HUB_MAIL_HEARD] = pw_station_heard;
	pw_timer_init(&hubs->tick, on_tick);
	pw_loop_arm(hubs->pools->loop, &hubs->tick, TICK_US);
	return PW_OK;
}

void pw_hubs_fini(struct pw_hubs *hubs)
{
	struct pw_list *node;

	if (!hubs->pools)
		return;
	while ((node = pw_list_first(&hubs->stations)))
		pw_station_destroy(PW_CONTAINER(node, struct pw_station, node));
	pw_timer_disarm(&hubs->tick);
}

void pw_hubs_leave_pool(struct pw_hubs *hubs, const struct pw_pool *pool)
{
	PW_LIST_FOREACH (node, &hubs->stations) {
		struct pw_hub *hub = &PW_CONTAINER(node, struct pw_station, node)->hub;

		if (hub->loan.pool != pool)
			continue;
		pw_hub_stop_seeking(hub);
		pw_hub_give_up(hub, "database removed");
	}
}

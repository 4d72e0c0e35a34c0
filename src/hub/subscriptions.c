/* SPDX-License-Identifier: PostgreSQL
 *
 * Who of one worker and database listens to what: channels, each with its subscribers, and the
 * number of the request by which the hub was asked for it.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "hub_priv.h"

struct channel {
	struct pw_map_node node;
	struct pw_list subscriptions;
	struct subscription *own; /* within pw_subscriptions_set(): its subscriber's, if any */
	uint64_t ticket;
	char name[];
};

struct subscription {
	struct pw_list of_channel, of_subscriber;
	struct pw_subscriber *subscriber;
	struct channel *channel;
	bool is_wanted;
};

static uint64_t hash_name(const struct pw_station *station, const char *name)
{
	return pw_hash(&station->hubs->pools->hash_key, name, strlen(name));
}

static bool has_name(const struct pw_map_node *node, const void *name)
{
	return strcmp(PW_CONTAINER(node, const struct channel, node)->name, name) == 0;
}

static struct channel *find_channel(const struct pw_station *station, const char *name)
{
	struct pw_map_node *node =
	    pw_map_find(&station->channels, hash_name(station, name), has_name, name);

	return node ? PW_CONTAINER(node, struct channel, node) : NULL;
}

static struct channel *get_channel(struct pw_station *station, const char *name)
{
	struct channel *channel = find_channel(station, name);
	size_t len = strlen(name);

	if (channel)
		return channel;
	channel = calloc(1, sizeof(*channel) + len + 1);
	if (!channel)
		return NULL;
	memcpy(channel->name, name, len + 1);
	pw_list_init(&channel->subscriptions);
	if (pw_map_insert(&station->channels, &channel->node, hash_name(station, name)) == PW_OK)
		return channel;
	free(channel);
	return NULL;
}

/* Anybody can see that channel's name: the hub listens to it for as long as there is a hub. */
static bool is_of_marks(const struct pw_subscriber *s, const char *name)
{
	return strcmp(name, s->station->hubs->channel) == 0;
}

static bool subscribe(struct pw_subscriber *s, const char *name)
{
	struct channel *channel = find_channel(s->station, name);
	struct subscription *sub;

	if (channel && channel->own) {
		channel->own->is_wanted = true;
		return true;
	}
	sub = calloc(1, sizeof(*sub));
	channel = sub ? get_channel(s->station, name) : NULL;
	if (!channel) {
		free(sub);
		return false;
	}
	sub->subscriber = s;
	sub->channel = channel;
	sub->is_wanted = true;
	channel->own = sub;
	pw_list_append(&channel->subscriptions, &sub->of_channel);
	pw_list_append(&s->subscriptions, &sub->of_subscriber);
	return true;
}

static void free_subscription(struct subscription *sub, struct pw_strbuf *dropped)
{
	struct channel *channel = sub->channel;
	struct pw_station *station = sub->subscriber->station;

	pw_list_remove(&sub->of_channel);
	pw_list_remove(&sub->of_subscriber);
	free(sub);
	if (!pw_list_is_empty(&channel->subscriptions))
		return;
	pw_strbuf_add(dropped, channel->name, strlen(channel->name) + 1);
	pw_map_remove(&station->channels, &channel->node);
	free(channel);
}

/* In the same order: what is listened to anew comes last, for servers as for us. */
static bool is_unchanged(const struct pw_subscriber *s, const struct pw_channels *channels)
{
	const struct pw_list *node = s->subscriptions.next;

	PW_CHANNELS_FOREACH (name, channels) {
		if (is_of_marks(s, name))
			continue;
		if (node == &s->subscriptions ||
		    strcmp(
			PW_CONTAINER(node, const struct subscription, of_subscriber)->channel->name,
			name) != 0)
			return false;
		node = node->next;
	}
	return node == &s->subscriptions;
}

bool pw_subscriptions_set(struct pw_subscriber *s, const struct pw_channels *channels,
			  struct pw_strbuf *dropped)
{
	bool ok = true;

	if (is_unchanged(s, channels))
		return true;
	PW_LIST_FOREACH (node, &s->subscriptions) {
		struct subscription *sub = PW_CONTAINER(node, struct subscription, of_subscriber);

		sub->is_wanted = false;
		sub->channel->own = sub;
	}
	PW_CHANNELS_FOREACH (name, channels) {
		ok &= is_of_marks(s, name) || subscribe(s, name);
	}
	PW_LIST_FOREACH_SAFE (node, &s->subscriptions) {
		struct subscription *sub = PW_CONTAINER(node, struct subscription, of_subscriber);

		sub->channel->own = NULL;
		if (!sub->is_wanted)
			free_subscription(sub, dropped);
	}
	return ok;
}

void pw_subscriptions_ask(struct pw_subscriber *s, struct pw_strbuf *names)
{
	struct pw_station *station = s->station;

	/* Without any there must still be a hub that hears marks. */
	s->ticket = station->first_ticket;
	PW_LIST_FOREACH (node, &s->subscriptions) {
		struct channel *channel =
		    PW_CONTAINER(node, struct subscription, of_subscriber)->channel;

		if (channel->ticket == 0) {
			channel->ticket = station->last_ticket + 1;
			pw_strbuf_add(names, channel->name, strlen(channel->name) + 1);
		}
		if (channel->ticket > s->ticket)
			s->ticket = channel->ticket;
	}
}

void pw_subscriptions_ask_all(struct pw_station *station, struct pw_strbuf *names)
{
	struct pw_map_node *node = NULL;

	station->first_ticket = station->last_ticket + 1;
	while ((node = pw_map_next(&station->channels, node))) {
		struct channel *channel = PW_CONTAINER(node, struct channel, node);

		pw_strbuf_add(names, channel->name, strlen(channel->name) + 1);
		channel->ticket = station->first_ticket;
	}
	PW_LIST_FOREACH (of_all, &station->subscribers) {
		struct pw_subscriber *s = PW_CONTAINER(of_all, struct pw_subscriber, node);

		s->ticket = pw_list_is_empty(&s->subscriptions) ? 0 : station->first_ticket;
	}
}

void pw_subscriptions_give(struct pw_station *station, const struct pw_notification *n,
			   const uint8_t *data, size_t len)
{
	struct channel *channel = find_channel(station, n->channel);

	if (!channel)
		return;
	PW_LIST_FOREACH (node, &channel->subscriptions) {
		struct subscription *sub = PW_CONTAINER(node, struct subscription, of_channel);

		if (sub->subscriber->is_on)
			station->hubs->ops->on_message(sub->subscriber, data, len);
	}
}

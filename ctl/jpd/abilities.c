/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* See abilities.h. */
#include "abilities.h"

#include <stdlib.h>

#include <jpx/abi.h>

#include "features.h"
#include "netwatch.h"

/* A port and a service each look at one device: more are asked each time. */
#define DEVICES_MAX (JPX_MAX_PORTS + JPX_MAX_SERVICES)

struct device {
	unsigned int ifindex;
	bool knows_features, knows_tags;
	int features_error;
	uint64_t features;
	bool strips_tags;
};

struct abilities {
	unsigned int count;
	struct device devices[DEVICES_MAX];
};

struct abilities *abilities_new(void)
{
	return calloc(1, sizeof(struct abilities));
}

void abilities_free(struct abilities *abilities)
{
	free(abilities);
}

void abilities_forget(struct abilities *abilities)
{
	abilities->count = 0;
}

/* What is known of it, or NULL if there is no room. */
static struct device *find(struct abilities *abilities, unsigned int ifindex)
{
	struct device *device;

	for (unsigned int i = 0; i < abilities->count; i++)
		if (abilities->devices[i].ifindex == ifindex)
			return &abilities->devices[i];
	if (abilities->count == DEVICES_MAX)
		return NULL;
	device = &abilities->devices[abilities->count++];
	*device = (struct device){ .ifindex = ifindex };
	return device;
}

int abilities_xdp_features(struct abilities *abilities, unsigned int ifindex, uint64_t *features)
{
	struct device *device = find(abilities, ifindex);

	if (!device)
		return jpx_xdp_features((int)ifindex, features);
	if (!device->knows_features) {
		device->features_error = jpx_xdp_features((int)ifindex, &device->features);
		device->knows_features = true;
	}
	*features = device->features;
	return device->features_error;
}

bool abilities_strips_vlan_tags(struct abilities *abilities, const struct netwatch_link *link)
{
	struct device *device = find(abilities, (unsigned int)link->ifindex);

	if (!device)
		return jpx_strips_vlan_tags(link->ifname);
	if (!device->knows_tags) {
		device->strips_tags = jpx_strips_vlan_tags(link->ifname);
		device->knows_tags = true;
	}
	return device->strips_tags;
}

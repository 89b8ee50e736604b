/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Questions to the system's DNS resolvers, by c-ares in our loop, and what answers hold, read
 * by glibc's ns_*(): c-ares 1.18 tells no TTL of PTR and SRV, and refuses instance names with
 * spaces, which DNS-SD is full of.  Never blocks, allocates nothing by what an answer says.
 */
#ifndef JPX_DNS_H
#define JPX_DNS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct dns;
struct event_base;
struct pledge_links;

/* A name as c-ares takes it: a backslash before each dot and backslash within a label, all other
 * bytes as they are, so never to be logged. */
#define DNS_NAME_LEN	512
#define DNS_DOMAINS_MAX 6

enum dns_result {
	DNS_ANSWER,
	DNS_NONE,  /* no such name, or nothing of that type */
	DNS_FAILED /* nobody answered, or not as one should */
};

/* NULL: out of memory.  Asks nothing before dns_configure(). */
struct dns *dns_new(struct event_base *base);
/* Questions that are still open end as DNS_FAILED before it returns. */
void dns_free(struct dns *dns);

/* Did /etc/resolv.conf change since it was last read? */
bool dns_is_stale(const struct dns *dns);

/* Reads the system's configuration if dns_is_stale().  Only while no question is open.  Returns 0
 * or a negative errno. */
int dns_configure(struct dns *dns);

/* The domains that the system's resolver searches; the count. */
unsigned int dns_domains(const struct dns *dns, char domains[DNS_DOMAINS_MAX][256]);

/* Datagrams that come in by one of LINKS, which is copied, are no answers.  From now on. */
void dns_distrust(struct dns *dns, const struct pledge_links *links);

/* Asks for TYPE (T_PTR, ...) of NAME, which is taken to be absolute.  DONE is called once, perhaps
 * before this returns; ANSWER is valid in it only, and NULL unless RESULT is DNS_ANSWER.  Returns 0
 * or -ENOMEM, and then DONE is not called. */
int dns_ask(struct dns *dns, const char *name, int type,
	    void (*done)(void *arg, enum dns_result result, const unsigned char *answer, int len),
	    void *arg);

struct dns_record {
	uint32_t ttl; /* seconds */
	/* PTR and SRV: the name that it points to; "" is the root. */
	char name[DNS_NAME_LEN];
	uint16_t priority, weight, port; /* SRV, host order */
	struct in6_addr addr;		 /* A, v4-mapped, and AAAA */
	const unsigned char *data;	 /* TXT: its strings, each behind its length */
	size_t data_len;
};

/* Calls ON_RECORD for each record of TYPE in the answer section, until it returns false.  Records
 * whose name cannot be asked for (one with a zero byte) are passed over.  Returns 0, or -EBADMSG,
 * perhaps after some calls. */
int dns_walk(const unsigned char *answer, int len, int type,
	     bool (*on_record)(void *arg, const struct dns_record *record), void *arg);

#endif

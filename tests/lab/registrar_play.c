/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Plays how a Registrar makes itself known, and nothing else of one: answers CoAP discovery
 * to the groups of RFC 7252 12.8 and to its own addresses, floods GRASP objectives.  See --help.
 *
 * Compares queries with what it was told by the letter, so that what asks is tested
 * against something that does not share its reading of filters.
 */
#include <argp.h>
#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <net/if.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "../../ctl/common/coaploop.h"
#include "../../ctl/common/grasp.h"
#include "../../ctl/common/log.h"

#define LINES_MAX   64
#define TEXT_MAX    65536
#define PENDING_MAX 256
#define FLOODS_MAX  32
#define TWICE_MS    300
#define LINK_FORMAT 40
#define PADDING                                                                                    \
	"</padding/that/means/nothing/and/is/long/so/that/few/links/fill/an/answer>;"              \
	"rt=\"padding\";title=\"to be left alone\""

struct play {
	const char *ifname, *links_file, *groups[8];
	unsigned int ifindex, group_count, delay_ms, nonsense, pad, every_s, loop_count, ttl;
	int szx, format, port, code;
	bool twice, same_session;
	char *lines[LINES_MAX]; /* "FILTER TEXT" */
	unsigned int line_count, own_lines;
	struct grasp_item floods[FLOODS_MAX];
	unsigned int flood_count;
	struct in6_addr initiator;
	unsigned char raw[GRASP_MAX * 2];
	size_t raw_len;
	struct event_base *base;
	struct coaploop *loop;
	struct event *flood_timer;
	int flood_fd;
};

static struct play play = { .every_s = 60,
			    .loop_count = 255,
			    .ttl = 180000,
			    .szx = -1,
			    .format = LINK_FORMAT,
			    .port = 5683,
			    .code = COAP_RESPONSE_CODE_CONTENT,
			    .flood_fd = -1 };

static void die(const char *what)
{
	perror(what);
	exit(1);
}

/* ---- CoAP ----------------------------------------------------------------------- */

/* An answer that is yet to be given. */
struct pending {
	coap_session_t *session; /* NULL: free */
	coap_pdu_t *request;
	char filter[128];
	struct event *timer;
};
static struct pending pendings[PENDING_MAX];

static size_t append(char *text, size_t len, const char *more)
{
	size_t more_len = strlen(more);

	if (len + more_len + 1 > TEXT_MAX)
		return len;
	if (len)
		text[len++] = ',';
	memcpy(text + len, more, more_len);
	return len + more_len;
}

/* What is said to FILTER.  0: nothing. */
static size_t answer_text(const char *filter, char *text)
{
	size_t len = 0, filter_len = strlen(filter);

	for (unsigned int i = 0; i < play.line_count; i++)
		if (!strncmp(play.lines[i], filter, filter_len) && play.lines[i][filter_len] == ' ')
			len = append(text, len, play.lines[i] + filter_len + 1);
	if (!len)
		return 0;
	while (len < play.pad)
		len = append(text, len, PADDING);
	if (!play.nonsense)
		return len;
	len = play.nonsense < TEXT_MAX ? play.nonsense : TEXT_MAX;
	for (size_t at = 0; at < len; at += 256)
		if (getrandom(text + at, len - at < 256 ? len - at : 256, 0) < 0)
			die("getrandom");
	return len;
}

static void give_answer(struct pending *p)
{
	static char text[TEXT_MAX];
	size_t len = answer_text(p->filter, text);
	coap_bin_const_t token = coap_pdu_get_token(p->request);
	coap_pdu_t *pdu = coap_pdu_init(COAP_MESSAGE_NON, COAP_RESPONSE_CODE_CONTENT,
					coap_new_message_id(p->session),
					coap_session_max_pdu_size(p->session));

	if (!pdu || !coap_add_token(pdu, token.length, token.s))
		die("coap_pdu_init");
	coap_pdu_set_code(pdu, (coap_pdu_code_t)play.code);
	if (play.code != COAP_RESPONSE_CODE_CONTENT)
		len = 0;
	else if (play.format >= 0)
		coap_add_data_blocked_response(p->request, pdu, (uint16_t)play.format, -1, len,
					       (const uint8_t *)text);
	else
		coap_add_data(pdu, len, (const uint8_t *)text);
	coap_send(p->session, pdu);
	printf("answered %s\n", p->filter);
	fflush(stdout);
}

static void pending_due(evutil_socket_t fd, short what, void *arg)
{
	struct pending *p = arg;

	(void)fd;
	(void)what;
	give_answer(p);
	coap_session_release(p->session);
	coap_delete_pdu(p->request);
	event_free(p->timer);
	*p = (struct pending){ 0 };
}

static void answer_later(coap_session_t *session, const coap_pdu_t *request, const char *filter,
			 unsigned int ms)
{
	coap_bin_const_t token = coap_pdu_get_token(request);
	unsigned char block[4];
	struct pending *p = pendings;
	coap_block_t asked;
	size_t len;

	while (p < pendings + PENDING_MAX && p->session)
		p++;
	if (p == pendings + PENDING_MAX)
		return;
	p->request = coap_pdu_duplicate(request, session, token.length, token.s, NULL);
	p->timer = event_new(play.base, -1, 0, pending_due, p);
	if (!p->request || !p->timer)
		die("an answer");
	/* Blocks as if that size had been asked for. */
	if (play.szx >= 0 && !coap_get_block(request, COAP_OPTION_BLOCK2, &asked)) {
		len = coap_encode_var_safe(block, sizeof(block), (unsigned int)play.szx);
		coap_add_option(p->request, COAP_OPTION_BLOCK2, len, block);
	}
	p->session = coap_session_reference(session);
	snprintf(p->filter, sizeof(p->filter), "%s", filter);
	event_add(p->timer, &(struct timeval){ .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 });
}

/* Nothing is answered at once: a request that wants to be confirmed gets an empty ACK, one to a
 * group that means nothing here gets silence (RFC 7252 8.2). */
static void on_request(coap_resource_t *resource, coap_session_t *session,
		       const coap_pdu_t *request, const coap_string_t *query, coap_pdu_t *response)
{
	static char text[TEXT_MAX];
	char filter[128] = "";

	(void)resource;
	(void)response;
	if (query)
		snprintf(filter, sizeof(filter), "%.*s", (int)query->length,
			 (const char *)query->s);
	printf("asked %s\n", filter);
	fflush(stdout);
	if (coap_pdu_get_type(request) == COAP_MESSAGE_NON && !answer_text(filter, text))
		return;
	answer_later(session, request, filter, play.delay_ms);
	if (play.twice)
		answer_later(session, request, filter, play.delay_ms + TWICE_MS);
}

static void start_coap(void)
{
	/* Groups are answered without libcoap's own random delay: --delay says it all. */
	int flags =
		COAP_RESOURCE_FLAGS_HAS_MCAST_SUPPORT | COAP_RESOURCE_FLAGS_LIB_DIS_MCAST_DELAYS;
	struct sockaddr_in6 any = { .sin6_family = AF_INET6,
				    .sin6_port = htons((uint16_t)play.port),
				    .sin6_scope_id = play.ifindex };
	coap_context_t *context;
	coap_resource_t *core;

	play.loop = coaploop_new(play.base);
	if (!play.loop)
		die("coaploop_new");
	context = coaploop_context(play.loop);
	coap_mcast_per_resource(context);
	if (!coaploop_endpoint(play.loop, &any))
		die("coaploop_endpoint");
	for (unsigned int i = 0; i < play.group_count; i++)
		if (coap_join_mcast_group_intf(context, play.groups[i], play.ifname))
			die(play.groups[i]);
	core = coap_resource_init(coap_make_str_const(".well-known/core"), flags);
	if (!core)
		die("coap_resource_init");
	coap_register_handler(core, COAP_REQUEST_GET, on_request);
	coap_add_resource(context, core);
}

/* ---- GRASP ---------------------------------------------------------------------- */

static void flood(evutil_socket_t fd, short what, void *arg)
{
	struct sockaddr_in6 to = { .sin6_family = AF_INET6,
				   .sin6_port = htons(GRASP_PORT),
				   .sin6_scope_id = play.ifindex };
	static struct grasp_flood message = { .session = 1 };
	unsigned char buf[GRASP_MAX];
	const unsigned char *bytes = play.raw;
	ssize_t len = (ssize_t)play.raw_len;

	(void)fd;
	(void)what;
	(void)arg;
	inet_pton(AF_INET6, GRASP_GROUP, &to.sin6_addr);
	if (!play.raw_len) {
		if (!play.same_session &&
		    getrandom(&message.session, sizeof(message.session), 0) < 0)
			die("getrandom");
		message.initiator = play.initiator;
		message.ttl = play.ttl;
		message.count = play.flood_count;
		for (unsigned int i = 0; i < play.flood_count; i++) {
			message.items[i] = play.floods[i];
			message.items[i].loop_count = play.loop_count;
			message.items[i].addr = play.initiator;
		}
		len = grasp_write(&message, buf, sizeof(buf));
		bytes = buf;
	}
	if (len < 0 ||
	    sendto(play.flood_fd, bytes, (size_t)len, 0, (struct sockaddr *)&to, sizeof(to)) < 0)
		perror("flood");
	else
		printf("flooded %zd bytes\n", len);
	fflush(stdout);
	event_add(play.flood_timer, &(struct timeval){ .tv_sec = play.every_s });
}

static void start_grasp(void)
{
	int index = (int)play.ifindex;

	play.flood_fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	play.flood_timer = event_new(play.base, -1, 0, flood, NULL);
	if (play.flood_fd < 0 || !play.flood_timer ||
	    setsockopt(play.flood_fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, &index, sizeof(index)))
		die("GRASP");
	flood(-1, 0, NULL);
}

/* ---- what to play ------------------------------------------------------------------ */

static void add_line(char *line)
{
	if (play.line_count == LINES_MAX || !line)
		die("too many links");
	play.lines[play.line_count++] = line;
}

static void read_links(void)
{
	char line[4096];
	FILE *file;

	while (play.line_count > play.own_lines)
		free(play.lines[--play.line_count]);
	if (!play.links_file)
		return;
	file = fopen(play.links_file, "r");
	if (!file)
		die(play.links_file);
	while (fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\n")] = '\0';
		if (*line)
			add_line(strdup(line));
	}
	fclose(file);
}

static void on_hup(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	read_links();
	printf("%u links\n", play.line_count);
	fflush(stdout);
}

static void on_term(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	event_base_loopbreak(play.base);
}

enum {
	DELAY = 256,
	TWICE,
	NONSENSE,
	PAD,
	SZX,
	FORMAT,
	CODE,
	GROUP,
	PORT,
	FLOOD,
	RAW,
	INITIATOR,
	EVERY,
	LOOP,
	TTL,
	SAME
};

static const struct argp_option options[] = {
	{ "link", 'l', "FILTER TEXT", 0,
	  "answer TEXT to FILTER, as in \"rt=brski.rjp "
	  "<jpy://[2001:db8::1]:7634>;rt=brski.rjp\"; all that are given for a FILTER are answered",
	  1 },
	{ "links", 'f', "FILE", 0, "the same from FILE, one a line; read again at SIGHUP", 1 },
	{ "delay", DELAY, "MS", 0, "wait before each answer (0)", 1 },
	{ "twice", TWICE, NULL, 0, "give each answer twice, 300 ms apart", 1 },
	{ "nonsense", NONSENSE, "BYTES", 0, "answer so many random bytes instead", 1 },
	{ "pad", PAD, "BYTES", 0, "fill answers up to that with links that mean nothing", 1 },
	{ "szx", SZX, "N", 0, "answer in blocks of 2^(N+4) bytes (RFC 7959)", 1 },
	{ "format", FORMAT, "N", 0, "Content-Format of answers (40); -1: none", 1 },
	{ "code", CODE, "N", 0, "answer with this code, as 404, and nothing more", 1 },
	{ "group", GROUP, "ADDR", 0, "join it (ff05::fd and ff03::fd); \"none\" joins none", 1 },
	{ "port", PORT, "PORT", 0, "of CoAP (5683)", 1 },
	{ "flood", FLOOD, "NAME VALUE PORT[/tcp]", 0,
	  "flood this objective by GRASP; VALUE - is the "
	  "empty string",
	  2 },
	{ "initiator", INITIATOR, "ADDR", 0, "of floods, and the address that they name", 2 },
	{ "flood-hex", RAW, "HEX", 0, "flood these bytes", 2 },
	{ "every", EVERY, "S", 0, "seconds between floods (60)", 2 },
	{ "loop-count", LOOP, "N", 0, "of floods (255)", 2 },
	{ "ttl", TTL, "MS", 0, "of floods (180000)", 2 },
	{ "same-session", SAME, NULL, 0, "use one session id for all floods", 2 },
	{ 0 },
};

static void add_flood(struct argp_state *state, char *text)
{
	char *name = strtok(text, " "), *value = strtok(NULL, " "), *port = strtok(NULL, " ");
	struct grasp_item *item = &play.floods[play.flood_count];

	if (!port || play.flood_count == FLOODS_MAX)
		argp_error(state, "--flood wants NAME VALUE PORT");
	*item = (struct grasp_item){ .flags = 4,
				     .has_value = true,
				     .has_locator = true,
				     .proto = strstr(port, "/tcp") ? GRASP_TCP : GRASP_UDP,
				     .port = (uint16_t)atoi(port) };
	snprintf(item->name, sizeof(item->name), "%s", name);
	snprintf(item->value, sizeof(item->value), "%s", strcmp(value, "-") ? value : "");
	play.flood_count++;
}

static void add_raw(struct argp_state *state, const char *hex)
{
	unsigned int byte;

	for (; *hex; hex += 2) {
		if (play.raw_len == sizeof(play.raw) || sscanf(hex, "%2x", &byte) != 1 || !hex[1])
			argp_error(state, "--flood-hex wants pairs of digits");
		play.raw[play.raw_len++] = (unsigned char)byte;
	}
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	unsigned long n = arg ? strtoul(arg, NULL, 10) : 0;

	switch (key) {
	case 'l':
		add_line(strdup(arg));
		break;
	case 'f':
		play.links_file = arg;
		break;
	case DELAY:
		play.delay_ms = (unsigned int)n;
		break;
	case TWICE:
		play.twice = true;
		break;
	case NONSENSE:
		play.nonsense = (unsigned int)n;
		break;
	case PAD:
		play.pad = (unsigned int)n;
		break;
	case SZX:
		play.szx = (int)n;
		break;
	case FORMAT:
		play.format = atoi(arg);
		break;
	case CODE:
		play.code = (int)(n / 100 << 5 | n % 100);
		break;
	case GROUP:
		if (play.group_count == 8)
			argp_error(state, "too many groups");
		play.groups[play.group_count++] = arg;
		break;
	case PORT:
		play.port = (int)n;
		break;
	case FLOOD:
		add_flood(state, arg);
		break;
	case RAW:
		add_raw(state, arg);
		break;
	case INITIATOR:
		if (inet_pton(AF_INET6, arg, &play.initiator) != 1)
			argp_error(state, "%s is no IPv6 address", arg);
		break;
	case EVERY:
		play.every_s = (unsigned int)n;
		break;
	case LOOP:
		play.loop_count = (unsigned int)n;
		break;
	case TTL:
		play.ttl = (unsigned int)n;
		break;
	case SAME:
		play.same_session = true;
		break;
	case ARGP_KEY_ARG:
		if (play.ifname)
			return ARGP_ERR_UNKNOWN;
		play.ifname = arg;
		play.ifindex = if_nametoindex(arg);
		if (!play.ifindex)
			argp_failure(state, 1, errno, "%s", arg);
		break;
	case ARGP_KEY_END:
		if (!play.ifname)
			argp_usage(state);
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static const struct argp argp = {
	options,
	parse,
	"INTERFACE",
	"Plays how a Registrar makes itself known on INTERFACE: answers CoAP discovery, floods "
	"GRASP objectives.\vSays \"ready\" when it listens, then \"asked FILTER\", \"answered "
	"FILTER\" and \"flooded N bytes\", a line each.  SIGTERM ends it.",
	NULL,
	NULL,
	NULL
};

int main(int argc, char **argv)
{
	struct event *hup, *term;

	argp_parse(&argp, argc, argv, 0, NULL, NULL);
	jpx_log_init("registrar_play", JPX_LOG_DEBUG);
	if (!play.group_count) {
		play.groups[play.group_count++] = "ff05::fd";
		play.groups[play.group_count++] = "ff03::fd";
	} else if (!strcmp(play.groups[0], "none")) {
		play.group_count = 0;
	}
	play.own_lines = play.line_count;
	read_links();
	play.base = event_base_new();
	if (!play.base)
		die("event_base_new");
	hup = evsignal_new(play.base, SIGHUP, on_hup, NULL);
	term = evsignal_new(play.base, SIGTERM, on_term, NULL);
	if (!hup || !term || event_add(hup, NULL) || event_add(term, NULL))
		die("signals");
	start_coap();
	if (play.flood_count || play.raw_len)
		start_grasp();
	printf("ready\n");
	fflush(stdout);
	event_base_dispatch(play.base);
	for (unsigned int i = 0; i < PENDING_MAX; i++)
		if (pendings[i].session) {
			coap_session_release(pendings[i].session);
			coap_delete_pdu(pendings[i].request);
			event_free(pendings[i].timer);
		}
	coaploop_free(play.loop);
	if (play.flood_timer)
		event_free(play.flood_timer);
	if (play.flood_fd >= 0)
		close(play.flood_fd);
	for (unsigned int i = 0; i < play.line_count; i++)
		free(play.lines[i]);
	event_free(hup);
	event_free(term);
	event_base_free(play.base);
	return 0;
}

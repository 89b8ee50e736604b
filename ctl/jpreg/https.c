/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* See https.h. */
#include "https.h"

#include <curl/curl.h>
#include <event2/event.h>
#include <openssl/crypto.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#define BODY_MAX    65536 /* of an answer: a chain of a few certificates is some 10 KiB */
#define CONNECT_S   10L
#define CONNECTIONS 8L

struct https_request {
	LIST_ENTRY(https_request) list;
	struct https *https;
	CURL *curl;
	struct curl_slist *headers;
	https_told *told;
	void *arg;
	char *body; /* of the answer */
	size_t len, room;
	bool too_long;
	char why[CURL_ERROR_SIZE];
};

/* A descriptor that libcurl waits for. */
struct watch {
	LIST_ENTRY(watch) list;
	struct event *event;
};

struct https {
	struct event_base *base;
	CURLM *multi;
	struct event *timer;
	char url[512], ca_file[256], identity[256];
	unsigned int timeout_s;
	LIST_HEAD(, https_request) requests;
	LIST_HEAD(, watch) watches;
};

/* It may be a key. */
static void wipe(char *body, size_t len)
{
	if (body)
		OPENSSL_cleanse(body, len);
	free(body);
}

/* ---- libcurl in the loop ---- */

static void release(struct https_request *request)
{
	LIST_REMOVE(request, list);
	curl_multi_remove_handle(request->https->multi, request->curl);
	curl_easy_cleanup(request->curl);
	curl_slist_free_all(request->headers);
	wipe(request->body, request->len);
	free(request);
}

static void finish(struct https_request *request, CURLcode result)
{
	struct https_answer answer = { .type = "", .body = request->body, .len = request->len };
	curl_off_t retry_s = 0;
	const char *type = NULL;

	if (result != CURLE_OK) {
		answer.why = request->too_long ? "its answer is longer than 65536 octets"
			     : *request->why   ? request->why
					       : curl_easy_strerror(result);
	} else {
		curl_easy_getinfo(request->curl, CURLINFO_RESPONSE_CODE, &answer.status);
		if (curl_easy_getinfo(request->curl, CURLINFO_RETRY_AFTER, &retry_s) == CURLE_OK &&
		    retry_s > 0)
			answer.retry_s = retry_s < UINT32_MAX ? (unsigned int)retry_s : UINT32_MAX;
		if (curl_easy_getinfo(request->curl, CURLINFO_CONTENT_TYPE, &type) == CURLE_OK &&
		    type)
			answer.type = type;
	}
	request->told(request->arg, &answer);
	release(request);
}

static void look(struct https *https)
{
	struct https_request *request;
	CURLMsg *msg;
	CURLcode result;
	int left;

	while ((msg = curl_multi_info_read(https->multi, &left))) {
		if (msg->msg != CURLMSG_DONE)
			continue;
		result = msg->data.result; /* MSG ends with the request */
		if (curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &request) == CURLE_OK)
			finish(request, result);
	}
}

static void on_ready(evutil_socket_t fd, short what, void *arg)
{
	struct https *https = arg;
	int running;

	curl_multi_socket_action(https->multi, fd,
				 (what & EV_READ ? CURL_CSELECT_IN : 0) |
					 (what & EV_WRITE ? CURL_CSELECT_OUT : 0),
				 &running);
	look(https);
}

static void on_time(evutil_socket_t fd, short what, void *arg)
{
	struct https *https = arg;
	int running;

	(void)fd;
	(void)what;
	curl_multi_socket_action(https->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	look(https);
}

static int on_timer(CURLM *multi, long ms, void *arg)
{
	struct https *https = arg;
	struct timeval tv = { ms / 1000, ms % 1000 * 1000 };

	(void)multi;
	return ms < 0 ? event_del(https->timer) : event_add(https->timer, &tv);
}

static void unwatch(struct watch *watch)
{
	LIST_REMOVE(watch, list);
	if (watch->event)
		event_free(watch->event);
	free(watch);
}

static int on_socket(CURL *curl, curl_socket_t fd, int what, void *arg, void *socket_arg)
{
	struct https *https = arg;
	struct watch *watch = socket_arg;
	short events = EV_PERSIST | (what & CURL_POLL_IN ? EV_READ : 0) |
		       (what & CURL_POLL_OUT ? EV_WRITE : 0);

	(void)curl;
	if (what == CURL_POLL_REMOVE) {
		if (watch)
			unwatch(watch);
		curl_multi_assign(https->multi, fd, NULL);
		return 0;
	}
	if (!watch) {
		watch = calloc(1, sizeof(*watch));
		if (!watch)
			return -1;
		LIST_INSERT_HEAD(&https->watches, watch, list);
		curl_multi_assign(https->multi, fd, watch);
	}
	if (watch->event)
		event_free(watch->event);
	watch->event = event_new(https->base, fd, events, on_ready, https);
	return watch->event && !event_add(watch->event, NULL) ? 0 : -1;
}

/* ---- a request ---- */

static size_t on_body(char *data, size_t size, size_t n, void *arg)
{
	struct https_request *request = arg;
	size_t room;
	char *more;

	n *= size;
	if (n > BODY_MAX - request->len) {
		request->too_long = true;
		return 0;
	}
	if (request->len + n >= request->room) {
		room = 2 * (request->len + n) + 1;
		more = malloc(room);
		if (!more)
			return 0;
		if (request->len)
			memcpy(more, request->body, request->len);
		wipe(request->body, request->len);
		request->body = more;
		request->room = room;
	}
	memcpy(request->body + request->len, data, n);
	request->len += n;
	request->body[request->len] = '\0';
	return n;
}

/* Everything about it but where it goes. */
static bool set_up(struct https_request *r)
{
	const struct https *https = r->https;
	CURL *c = r->curl;

	return !curl_easy_setopt(c, CURLOPT_PRIVATE, r) &&
	       !curl_easy_setopt(c, CURLOPT_ERRORBUFFER, r->why) &&
	       !curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body) &&
	       !curl_easy_setopt(c, CURLOPT_WRITEDATA, r) &&
	       !curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "https") &&
	       !curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L) &&
	       !curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L) &&
	       !curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, CONNECT_S) &&
	       !curl_easy_setopt(c, CURLOPT_TIMEOUT, (long)https->timeout_s) &&
	       /* RFC 7030 3.3 has TLS 1.1 as the least; nobody has had it for long. */
	       !curl_easy_setopt(c, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2) &&
	       !curl_easy_setopt(c, CURLOPT_CAINFO, https->ca_file) &&
	       !curl_easy_setopt(c, CURLOPT_CAPATH, NULL) &&
	       !curl_easy_setopt(c, CURLOPT_SSLCERT, https->identity) &&
	       !curl_easy_setopt(c, CURLOPT_SSLKEY, https->identity) &&
	       !curl_easy_setopt(c, CURLOPT_USERAGENT, "jpreg/" JPX_VERSION);
}

static bool add_header(struct https_request *r, const char *line)
{
	struct curl_slist *more = curl_slist_append(r->headers, line);

	if (more)
		r->headers = more;
	return more;
}

int https_ask(struct https *https, const char *path, const char *type, const char *body,
	      https_told *told, void *arg)
{
	struct https_request *r = calloc(1, sizeof(*r));
	char text[640];
	bool good;

	if (!r)
		return -1;
	r->https = https;
	r->told = told;
	r->arg = arg;
	r->curl = curl_easy_init();
	LIST_INSERT_HEAD(&https->requests, r, list);
	snprintf(text, sizeof(text), "%s%s%s", https->url,
		 https->url[strlen(https->url) - 1] == '/' ? "" : "/", path);
	good = r->curl && set_up(r) && !curl_easy_setopt(r->curl, CURLOPT_URL, text);
	if (good && body) {
		snprintf(text, sizeof(text), "Content-Type: %s", type);
		/* RFC 7030 has it so, RFC 8951 calls it superfluous and has servers ignore it. */
		good = add_header(r, text) && add_header(r, "Content-Transfer-Encoding: base64") &&
		       !curl_easy_setopt(r->curl, CURLOPT_HTTPHEADER, r->headers) &&
		       !curl_easy_setopt(r->curl, CURLOPT_POST, 1L) &&
		       !curl_easy_setopt(r->curl, CURLOPT_COPYPOSTFIELDS, body);
	}
	if (good && !curl_multi_add_handle(https->multi, r->curl))
		return 0;
	release(r);
	return -1;
}

/* ---- beginning and end ---- */

struct https *https_new(struct event_base *base, const struct https_config *config, char *err,
			size_t err_len)
{
	struct https *https = calloc(1, sizeof(*https));

	snprintf(err, err_len, "libcurl does not start: no memory");
	if (!https)
		return NULL;
	LIST_INIT(&https->requests);
	LIST_INIT(&https->watches);
	https->base = base;
	https->timeout_s = config->timeout_s;
	if (snprintf(https->url, sizeof(https->url), "%s", config->url) >=
		    (int)sizeof(https->url) ||
	    snprintf(https->ca_file, sizeof(https->ca_file), "%s", config->ca_file) >=
		    (int)sizeof(https->ca_file) ||
	    snprintf(https->identity, sizeof(https->identity), "%s", config->identity) >=
		    (int)sizeof(https->identity)) {
		snprintf(err, err_len, "%.60s: the URL or the name of a file is too long",
			 config->url);
		free(https);
		return NULL;
	}
	/* Before the others: on_timer() comes when handles do. */
	https->timer = evtimer_new(base, on_time, https);
	https->multi = curl_global_init(CURL_GLOBAL_DEFAULT) ? NULL : curl_multi_init();
	if (https->timer && https->multi &&
	    !curl_multi_setopt(https->multi, CURLMOPT_SOCKETFUNCTION, on_socket) &&
	    !curl_multi_setopt(https->multi, CURLMOPT_SOCKETDATA, https) &&
	    !curl_multi_setopt(https->multi, CURLMOPT_TIMERFUNCTION, on_timer) &&
	    !curl_multi_setopt(https->multi, CURLMOPT_TIMERDATA, https) &&
	    !curl_multi_setopt(https->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, CONNECTIONS))
		return https;
	https_free(https);
	return NULL;
}

void https_free(struct https *https)
{
	if (!https)
		return;
	while (!LIST_EMPTY(&https->requests))
		release(LIST_FIRST(&https->requests));
	if (https->multi)
		curl_multi_cleanup(https->multi);
	while (!LIST_EMPTY(&https->watches))
		unwatch(LIST_FIRST(&https->watches));
	if (https->timer)
		event_free(https->timer);
	free(https);
}

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* See control.h and ctl/common/control.h (the protocol). */
#include "control.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <jpx/jpy.h>

#include "../common/control.h"
#include "flowlist.h"
#include "log.h"
#include "proxy.h"
#include "registrar_list.h"
#include "report.h"
#include "words.h"

#define CLIENTS_MAX   64
#define CLIENT_IDLE_S 30

struct control {
	struct event_base *base;
	const struct control_subject *subject;
	struct evconnlistener *listener;
	char socket_path[108];
	int lock_fd;
	unsigned int clients;
};

/* ---- verbs -------------------------------------------------------------- */

/* What a request came to: RESULT, or ANSWER's error. */
struct outcome {
	struct proxy_answer answer;
	json_t *result;
};

static int bad(struct outcome *o, const char *what, const char *value)
{
	snprintf(o->answer.error, sizeof(o->answer.error), "\"%.64s\" is no %s", value, what);
	o->answer.usage = true;
	return -EINVAL;
}

/* The keys of attach and registrar-add that make a wish. */
static int read_wish(json_t *request, struct proxy_wish *wish, struct outcome *o)
{
	const char *mode = NULL, *jpy = NULL, *xdp = NULL, *content = NULL;
	json_int_t join_port = PROXY_UNSET, max_flows = PROXY_UNSET, priority = PROXY_UNSET,
		   weight = PROXY_UNSET;
	json_t *intercept = json_object_get(request, "intercept"), *addresses, *address;
	json_t *probe = json_object_get(request, "probe");
	size_t i;

	*wish = PROXY_WISH_NONE;
	if (json_unpack(request, "{s?s, s?s, s?s, s?I, s?s, s?s, s?s, s?I, s?I, s?I}", "registrar",
			&wish->registrar, "mode", &mode, "jpy", &jpy, "join_port", &join_port,
			"uplink", &wish->uplink, "xdp", &xdp, "content", &content, "max_flows",
			&max_flows, "priority", &priority, "weight", &weight))
		return bad(o, "well-typed request", "request");
	if (mode && (wish->mode = jpx_mode_by_word(mode)) < 0)
		return bad(o, "mode (stateless, stateful)", mode);
	if (jpy && (wish->form = jpx_form_by_name(jpy)) < 0)
		return bad(o, "JPY form (draft-01, draft-02, draft-06, draft-21)", jpy);
	if (xdp && (wish->xdp = jpx_xdp_by_word(xdp)) < 0)
		return bad(o, "XDP mode (auto, native, generic, off)", xdp);
	if (content && strcmp(content, "any") && strcmp(content, "dtls"))
		return bad(o, "content policy (dtls, any)", content);
	if (content)
		wish->any_content = !strcmp(content, "any");
	if (json_object_get(request, "join_port") && (join_port < 1 || join_port > 65535))
		return bad(o, "UDP port from 1 to 65535", "join_port");
	if (json_object_get(request, "max_flows") && (max_flows < 0 || max_flows > 1 << 20))
		return bad(o, "number of flows from 0 to 1048576", "max_flows");
	if (json_object_get(request, "priority") && (priority < 0 || priority > 65535))
		return bad(o, "number from 0 to 65535", "priority");
	if (json_object_get(request, "weight") && (weight < 0 || weight > 65535))
		return bad(o, "number from 0 to 65535", "weight");
	wish->priority = (int)priority;
	wish->weight = (int)weight;
	if (probe)
		wish->probe = json_is_true(probe);
	wish->join_port = (int)join_port;
	wish->max_flows = (int)max_flows;
	if (intercept)
		wish->intercept = json_is_true(intercept);
	addresses = json_object_get(request, "uplink_addresses");
	json_array_foreach(addresses, i, address) {
		if (i > JPX_SERVICE_UPLINKS || !json_is_string(address))
			return bad(o, "list of at most 32 addresses", "uplink_addresses");
		wish->uplink_addresses[wish->uplink_address_count++] = json_string_value(address);
	}
	return 0;
}

static const char *text_of(json_t *request, const char *key)
{
	const char *text = json_string_value(json_object_get(request, key));

	return text ? text : "";
}

static int do_attach(const struct control_subject *of, json_t *request, struct outcome *o)
{
	struct proxy_wish wish;
	int ret = read_wish(request, &wish, o);

	return ret ? ret : proxy_attach(of->proxy, text_of(request, "ifname"), &wish, &o->answer);
}

static int do_detach(const struct control_subject *of, json_t *request, struct outcome *o)
{
	return proxy_detach(of->proxy, text_of(request, "ifname"), &o->answer);
}

static int do_registrar_add(const struct control_subject *of, json_t *request, struct outcome *o)
{
	struct proxy_wish wish;
	int ret = read_wish(request, &wish, o);

	return ret ? ret
		   : proxy_add_registrar(of->proxy, text_of(request, "name"), &wish, &o->answer);
}

static int do_registrar_del(const struct control_subject *of, json_t *request, struct outcome *o)
{
	return proxy_del_registrar(of->proxy, text_of(request, "name"), &o->answer);
}

static int do_registrar_list(const struct control_subject *of, json_t *request, struct outcome *o)
{
	(void)request;
	o->result = registrar_list(of->proxy, of->discovery);
	return 0;
}

static int do_status(const struct control_subject *of, json_t *request, struct outcome *o)
{
	(void)request;
	o->result = jpx_report_status(proxy_state(of->proxy), getpid());
	return 0;
}

static int do_stats(const struct control_subject *of, json_t *request, struct outcome *o)
{
	static struct jpx_counters counters;
	int ret = proxy_counters(of->proxy, &counters);

	(void)request;
	if (ret) {
		snprintf(o->answer.error, sizeof(o->answer.error), "cannot read the counters: %s",
			 strerror(-ret));
		return ret;
	}
	o->result = jpx_report_stats(proxy_state(of->proxy), &counters);
	return 0;
}

/* The keys that say which flows.  A name that JSON holds but C cannot is none of ours. */
static int read_flow_wish(const struct control_subject *of, json_t *request,
			  struct jpx_flow_request *match, struct outcome *o)
{
	struct flowlist_wish wish = {
		.ifname = json_string_value(json_object_get(request, "ifname")),
		.service = json_string_value(json_object_get(request, "service")),
		.pledge = json_string_value(json_object_get(request, "pledge")),
	};
	int ret = flowlist_match(proxy_state(of->proxy), &wish, match, o->answer.error,
				 sizeof(o->answer.error));

	o->answer.usage = ret == -EINVAL;
	return ret;
}

/* What flowlist_print() prints, as an object. */
static json_t *flows_json(const struct flowlist *list, size_t limit)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);
	json_t *object = NULL;
	int ret;

	if (!out)
		return NULL;
	ret = flowlist_print(list, limit, out);
	if (!fclose(out) && !ret)
		object = json_loadb(text, len, 0, NULL);
	free(text);
	return object;
}

static int do_flows(const struct control_subject *of, json_t *request, struct outcome *o)
{
	json_t *limit = json_object_get(request, "limit");
	struct jpx_flow_request match;
	struct flowlist *list;
	int ret;

	if (json_integer_value(limit) < 0 || json_integer_value(limit) > JPX_FLOWS_ANSWERED)
		return bad(o, "number of flows that fits into an answer", "limit");
	ret = read_flow_wish(of, request, &match, o);
	if (ret)
		return ret;
	list = proxy_flows(of->proxy);
	ret = list ? flowlist_find(list, &match) : -ENOMEM;
	if (!ret) {
		o->result = flows_json(list, limit ? (size_t)json_integer_value(limit)
						   : JPX_FLOWS_ANSWERED);
		ret = o->result ? 0 : -ENOMEM;
	}
	flowlist_close(list);
	return ret;
}

static int do_flows_flush(const struct control_subject *of, json_t *request, struct outcome *o)
{
	struct jpx_flow_request match;
	int ret = read_flow_wish(of, request, &match, o);
	long ended;

	if (ret)
		return ret;
	ended = proxy_end_flows(of->proxy, &match);
	if (ended < 0) {
		snprintf(o->answer.error, sizeof(o->answer.error),
			 "the fast path could not be asked to end flows; the log of jpd says why");
		return -EIO;
	}
	o->result = json_pack("{s:I}", "ended", (json_int_t)ended);
	return 0;
}

#define FLOW_KEYS "ifname", "service", "pledge"

#define WISH_KEYS                                                                                  \
	"registrar", "mode", "jpy", "join_port", "uplink", "xdp", "content", "intercept",          \
		"uplink_addresses", "priority", "weight", "probe"

/* The type of a key's value: a string, where it is not said otherwise. */
static json_type type_of(const char *key, const json_t *value)
{
	static const char *const numbers[] = { "join_port", "max_flows", "limit", "priority",
					       "weight" };

	for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++)
		if (!strcmp(key, numbers[i]))
			return JSON_INTEGER;
	if (!strcmp(key, "uplink_addresses"))
		return JSON_ARRAY;
	if (!strcmp(key, "intercept") || !strcmp(key, "probe"))
		return json_is_false(value) ? JSON_FALSE : JSON_TRUE;
	return JSON_STRING;
}

static const struct verb {
	const char *name;
	int (*run)(const struct control_subject *of, json_t *request, struct outcome *o);
	const char *keys[16];
} verbs[] = {
	{ "attach", do_attach, { "ifname", "max_flows", WISH_KEYS } },
	{ "detach", do_detach, { "ifname" } },
	{ "registrar-list", do_registrar_list, { NULL } },
	{ "registrar-add", do_registrar_add, { "name", WISH_KEYS } },
	{ "registrar-del", do_registrar_del, { "name" } },
	{ "status", do_status, { NULL } },
	{ "stats", do_stats, { NULL } },
	{ "flows", do_flows, { "limit", FLOW_KEYS } },
	{ "flows-flush", do_flows_flush, { FLOW_KEYS } },
};

static bool key_known(const struct verb *verb, const char *key)
{
	if (!strcmp(key, "verb"))
		return true;
	for (size_t i = 0; i < sizeof(verb->keys) / sizeof(*verb->keys) && verb->keys[i]; i++)
		if (!strcmp(key, verb->keys[i]))
			return true;
	return false;
}

static int run(const struct control_subject *of, json_t *request, struct outcome *o)
{
	const char *name = text_of(request, "verb"), *key;
	const struct verb *verb = NULL;
	json_t *value;

	for (size_t i = 0; i < sizeof(verbs) / sizeof(*verbs); i++)
		if (!strcmp(verbs[i].name, name))
			verb = &verbs[i];
	if (!verb)
		return bad(o, "verb that this jpd knows", name);
	json_object_foreach(request, key, value) {
		if (!key_known(verb, key))
			return bad(o, "key of this verb", key);
		if (json_typeof(value) != type_of(key, value))
			return bad(o, "key with a value of that type", key);
	}
	return verb->run(of, request, o);
}

static json_t *outcome_json(int ret, struct outcome *o)
{
	json_t *notes;

	if (ret)
		return json_pack("{s:b, s:s, s:b}", "ok", 0, "error",
				 *o->answer.error ? o->answer.error : strerror(-ret), "usage",
				 o->answer.usage);
	if (!o->result) {
		notes = json_array();
		for (unsigned int i = 0; i < o->answer.note_count; i++)
			json_array_append_new(notes, json_string(o->answer.notes[i]));
		o->result = json_pack("{s:o}", "notes", notes);
		if (*o->answer.ifname)
			json_object_set_new(o->result, "ifname", json_string(o->answer.ifname));
	}
	return json_pack("{s:b, s:o}", "ok", 1, "result", o->result);
}

/* ---- clients ------------------------------------------------------------ */

static void client_close(struct bufferevent *client, struct control *control)
{
	control->clients--;
	bufferevent_free(client);
}

static void answer_line(struct control *control, struct bufferevent *client, const char *line)
{
	struct outcome o = { 0 };
	json_t *request = json_loads(line, JSON_REJECT_DUPLICATES, NULL), *answer;
	char *text;
	int ret;

	if (json_is_object(request))
		ret = run(control->subject, request, &o);
	else
		ret = bad(&o, "JSON object", "request");
	answer = outcome_json(ret, &o);
	text = answer ? json_dumps(answer, JSON_COMPACT) : NULL;
	/* Without text: out of memory, or a word cut short in the middle of a character. */
	evbuffer_add_printf(bufferevent_get_output(client), "%s\n",
			    text ? text
				 : "{\"ok\":false,\"error\":\"the answer cannot be written as "
				   "JSON; the request holds a text that is too long, or jpd is "
				   "out of memory\",\"usage\":false}");
	free(text);
	json_decref(answer);
	json_decref(request);
}

/* The client's time of silence begins now.  What libevent takes for now is from before the
 * callback: an order that took longer than CLIENT_IDLE_S would lose its answer. */
static void start_idle(struct control *control, struct bufferevent *client)
{
	struct timeval idle = { .tv_sec = CLIENT_IDLE_S };

	event_base_update_cache_time(control->base);
	bufferevent_set_timeouts(client, &idle, &idle);
}

static void on_read(struct bufferevent *client, void *arg)
{
	struct control *control = arg;
	struct evbuffer *in = bufferevent_get_input(client);
	struct evbuffer *out = bufferevent_get_output(client);
	char *line;

	while (evbuffer_get_length(out) <= JPX_ANSWER_MAX &&
	       (line = evbuffer_readln(in, NULL, EVBUFFER_EOL_LF))) {
		answer_line(control, client, line);
		free(line);
		start_idle(control, client);
	}
	if (evbuffer_get_length(in) > JPX_REQUEST_MAX ||
	    evbuffer_get_length(out) > 2 * JPX_ANSWER_MAX)
		client_close(client, control);
}

/* All is written.  Go on with requests that had to wait, or part with who has gone. */
static void on_written(struct bufferevent *client, void *arg)
{
	if (bufferevent_get_enabled(client) & EV_READ)
		on_read(client, arg);
	else
		client_close(client, arg);
}

static bool has_said_more(struct bufferevent *client)
{
	char c;

	return recv(bufferevent_getfd(client), &c, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

static void on_event(struct bufferevent *client, short what, void *arg)
{
	/* It was not silent: it waited for us, who were busy with another's order.  Of both
	 * libevent tells the silence. */
	if (what & BEV_EVENT_TIMEOUT && what & BEV_EVENT_READING && has_said_more(client)) {
		start_idle(arg, client);
		bufferevent_enable(client, EV_READ);
		return;
	}
	/* Who says no more may still be listening.  An error or silence ends it at once. */
	if (what & BEV_EVENT_EOF && evbuffer_get_length(bufferevent_get_output(client)))
		bufferevent_disable(client, EV_READ);
	else
		client_close(client, arg);
}

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *addr,
		      int len, void *arg)
{
	struct control *control = arg;
	struct bufferevent *client;

	(void)listener;
	(void)addr;
	(void)len;
	if (control->clients >= CLIENTS_MAX) {
		close(fd);
		return;
	}
	client = bufferevent_socket_new(control->base, fd, BEV_OPT_CLOSE_ON_FREE);
	if (!client) {
		close(fd);
		return;
	}
	control->clients++;
	bufferevent_setwatermark(client, EV_READ, 0, JPX_REQUEST_MAX + 1);
	start_idle(control, client);
	bufferevent_setcb(client, on_read, on_written, on_event, control);
	bufferevent_enable(client, EV_READ | EV_WRITE);
}

/* ---- life --------------------------------------------------------------- */

/* 0 if PATH is there afterwards, or why not, as a negative errno. */
static int make_dirs(const char *path)
{
	char part[256];
	int error = 0;

	snprintf(part, sizeof(part), "%s", path);
	for (char *p = part + 1; *p && !error; p++)
		if (*p == '/') {
			*p = 0;
			error = mkdir(part, 0755) && errno != EEXIST ? -errno : 0;
			*p = '/';
		}
	return error ? error : mkdir(part, 0755) && errno != EEXIST ? -errno : 0;
}

/* One jpd a run directory: the lock dies with its holder, whatever killed it. */
static int take_lock(const char *run_dir, char *err, size_t err_len)
{
	char path[256], pid[32] = "";
	ssize_t n;
	int fd, no_dir = make_dirs(run_dir);

	snprintf(path, sizeof(path), "%s/jpd.lock", run_dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0) {
		if (errno == ENOENT && no_dir)
			errno = -no_dir;
		snprintf(err, err_len, "cannot make %s: %s%s", path, strerror(errno),
			 errno == EACCES || errno == EPERM ? "; run jpd as root, or choose another "
							     "--run-dir"
			 : errno == ENOSPC ? "; free some space, or choose another --run-dir"
					   : "; choose another --run-dir");
		return -1;
	}
	if (flock(fd, LOCK_EX | LOCK_NB)) {
		n = pread(fd, pid, sizeof(pid) - 1, 0);
		pid[n > 0 ? n : 0] = 0;
		pid[strcspn(pid, "\n")] = 0;
		snprintf(err, err_len,
			 "another jpd%s%s runs with %s; stop it first, or give this one a "
			 "--run-dir and a --pin-dir of its own",
			 *pid ? ", pid " : "", pid, run_dir);
		close(fd);
		return -1;
	}
	n = snprintf(pid, sizeof(pid), "%d\n", (int)getpid());
	if (ftruncate(fd, 0) || pwrite(fd, pid, (size_t)n, 0) != n)
		jpx_warning("cannot write %s: %s (going on without)", path, strerror(errno));
	return fd;
}

struct control *control_new(struct event_base *base, const char *run_dir,
			    const struct control_subject *subject, char *err, size_t err_len)
{
	struct control *control = calloc(1, sizeof(*control));
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	mode_t mask;

	if (!control)
		return NULL;
	control->base = base;
	control->subject = subject;
	if ((size_t)snprintf(un.sun_path, sizeof(un.sun_path), "%s/%s", run_dir, JPX_SOCKET_NAME) >=
	    sizeof(un.sun_path)) {
		snprintf(err, err_len, "the run directory's name is too long for a UNIX socket: %s",
			 run_dir);
		free(control);
		return NULL;
	}
	control->lock_fd = take_lock(run_dir, err, err_len);
	if (control->lock_fd < 0) {
		free(control);
		return NULL;
	}
	memcpy(control->socket_path, un.sun_path, sizeof(un.sun_path));
	unlink(un.sun_path); /* we hold the lock: it is nobody's */
	mask = umask(0177);
	control->listener = evconnlistener_new_bind(base, on_accept, control,
						    LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC,
						    -1, (struct sockaddr *)&un, sizeof(un));
	umask(mask);
	if (!control->listener) {
		snprintf(err, err_len, "cannot listen on %s: %s%s", un.sun_path, strerror(errno),
			 errno == ENOSPC ? "; free some space, or choose another --run-dir" : "");
		close(control->lock_fd);
		free(control);
		return NULL;
	}
	return control;
}

void control_free(struct control *control)
{
	if (!control)
		return;
	evconnlistener_free(control->listener);
	unlink(control->socket_path);
	close(control->lock_fd);
	free(control);
}

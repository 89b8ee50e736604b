/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The language between jpctl and jpd: one JSON object a line over the UNIX
 * stream socket RUN_DIR/jpd.sock, one answer a request, in order.
 *
 * Request: {"verb": VERB, KEY: VALUE...}; keys not in the table are an error.
 *
 *   verb             keys (all strings unless said otherwise; * required)
 *   attach           ifname*, registrar "[ADDR]:PORT" or for IPv4 "ADDR:PORT", mode, jpy,
 *                    join_port (int), uplink, xdp, content ("dtls" or "any"), intercept
 *                    (bool), uplink_addresses (list of strings), max_flows (int)
 *   detach           ifname*
 *   registrar-list
 *   registrar-add    name*, registrar* (as above), mode, jpy, join_port (int), uplink,
 *                    xdp, content, intercept, uplink_addresses
 *   registrar-del    name*
 *   status           the object of jpx_report_status()
 *   stats            the object of jpx_report_stats()
 *   flows            ifname, service, pledge, limit (int, at most JPX_FLOWS_ANSWERED): the object
 *                    of flowlist_print()
 *   flows-flush      ifname, service, pledge: {"ended": how many}
 *
 * Answer: {"ok": true, "result": OBJECT} where OBJECT may hold "notes", a list of
 * sentences that the operator should read; or {"ok": false, "error": SENTENCE,
 * "usage": BOOL} (usage: the request itself was wrong, jpctl exits with 2).
 * registrar-list's result is {"services": [...], "found": [...], "looking": BOOL, "looking_on":
 * [IFNAME...]}: status' service objects with "why" and, of a discovered one, "learnt"; Registrars
 * that are not served; whether Registrars are looked for, and on which interfaces.
 */
#ifndef JPX_CONTROL_H
#define JPX_CONTROL_H

#define JPX_RUN_DIR	"/run/jpx"
#define JPX_PIN_DIR	"/sys/fs/bpf/jpx"
#define JPX_CONFIG_FILE "/etc/jpx/jpd.conf"
#define JPX_SOCKET_NAME "jpd.sock"
#define JPX_REQUEST_MAX 4096
#define JPX_ANSWER_MAX	(3 << 19)

/* Flows in one answer: of half a kilobyte each they fit. */
#define JPX_FLOWS_ANSWERED 3072

#endif

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# Registrars found by DNS-SD: dnsmasq, which is not ours, in the Registrar's namespace, and a server
# that answers as none should.  The resolver's configuration is a file of the test's own, seen by
# the program alone (a mount namespace).
: "${JPX_LAB:=dns-sd}"
# shellcheck source=tests/lab/common.sh
. "$(dirname "$0")/common.sh"

[ -x "$build/tests/dns_sd_test" ] || { ok "built without c-ares: nothing to test"; exit 0; }
needs dnsmasq python3 unshare
heard=$work/heard.log
server=2001:db8:2::52

# finds DOMAIN [PORT]: starts the program; its id is in $finder.
finds() {
	spawn proxy heard unshare -m --propagation private sh -c \
		'mount --bind "$1" /etc/resolv.conf && shift && exec "$@"' sh \
		"$work/resolv.conf" "$build/tests/dns_sd_test" "$1" up0 ${2:+"$2"}
	finder=$spawned
}

finder_stop() {
	stop "$finder" && has '"ended":true' "$heard"
}

said() { # JQ-CONDITION about a line
	grep '^{' "$heard" | jq -es "any(.[]; $1)" >/dev/null
}

resolver() { # LINE...
	printf '%s\n' "$@" >"$work/resolv.conf"
}

dnsmasq_start() { # OPTION...
	spawn registrar dnsmasq dnsmasq --keep-in-foreground --conf-file=/dev/null --no-resolv --no-hosts \
		--no-daemon --user=root --pid-file= --bind-interfaces --listen-address="$server" \
		--log-queries --local=/example/ --local-ttl="${ttl:-9}" "$@"
	dnsmasq_pid=$spawned
	wait_for udp_bound registrar 53
}

one="--ptr-record=_brski-rjp._udp.jp.example,\"Registrar One._brski-rjp._udp.jp.example\"
--srv-host=Registrar One._brski-rjp._udp.jp.example,r1.jp.example,7634,5,60
--txt-record=Registrar One._brski-rjp._udp.jp.example,rrm-cose,unknown=1
--host-record=r1.jp.example,2001:db8:2::a,192.0.2.10"
two="--ptr-record=_brski-rjp._udp.jp.example,two._brski-rjp._udp.jp.example
--srv-host=two._brski-rjp._udp.jp.example,r2.jp.example,7635,6,0
--host-record=r2.jp.example,2001:db8:2::b"
plain="--srv-host=_brski-registrar._udp.jp.example,r3.jp.example,5684,10,20
--host-record=r3.jp.example,2001:db8:2::c"

records() { # LINES...: into $options
	mapfile -t options < <(printf '%s\n' "$@" | tr -d '"')
}

finds_all() {
	records "$one" "$two" "$plain"
	dnsmasq_start "${options[@]}"
	resolver "nameserver $server" "search jp.example local"
	finds ""
	wait_for said '.heard == "2001:db8:2::a" and .port == 7634 and .priority == 5 and .weight == 60
		and .mode == 0 and .by == "_brski-rjp._udp" and .ifindex == 0 and .from == "::"' &&
		wait_for said '.heard == "192.0.2.10" and .port == 7634' &&
		wait_for said '.heard == "2001:db8:2::b" and .port == 7635 and .priority == 6 and .weight == 0' &&
		wait_for said '.heard == "2001:db8:2::c" and .port == 5684 and .mode == 1
			and .by == "_brski-registrar._udp" and .priority == 10 and .weight == 20'
}

lifetime_is_ttl() {
	said '.lifetime == 9' && ! said '.heard and .lifetime != 9'
}

says_what_stands_no_longer() {
	wait_for said '.replaced == "_brski-rjp._udp"' &&
		said '.replaced == "_brski-registrar._udp"' &&
		said '.replaced == "_brski-registrar-rpy._udp"'
}

never_asks_for_local() {
	has 'jp.example' "$work/dnsmasq.log" && ! has '_udp.local' "$work/dnsmasq.log"
}

asks_again() { # before the TTL is over
	: >"$heard"
	SECONDS=0
	wait_for said '.heard == "2001:db8:2::a"' && [ $SECONDS -le 8 ] && [ $SECONDS -ge 3 ]
}

sees_one_gone() { # a round that no more has it
	stop "$dnsmasq_pid"
	records "$one" "$plain"
	dnsmasq_start "${options[@]}"
	wait_for said '.replaced == "_brski-rjp._udp"'
	: >"$heard"
	wait_for said '.replaced == "_brski-rjp._udp"' && said '.heard == "2001:db8:2::a"' &&
		! said '.heard == "2001:db8:2::b"'
}

forgets_none_in_silence() { # a server that is gone takes nothing with it
	stop "$dnsmasq_pid"
	sleep 1
	: >"$heard"
	wait_for has 'again in' "$heard" && ! said .replaced
}

reads_a_new_file() {
	records "$one"
	dnsmasq_start "${options[@]//jp.example/new.example}"
	: >"$heard"
	resolver "nameserver $server" "search new.example"
	kill -USR2 "$finder"
	wait_for said '.heard == "2001:db8:2::a"'
}

looks_no_more() {
	kill -USR1 "$finder"
	sleep 1
	: >"$heard"
	sleep 8
	! said .heard && kill -USR1 "$finder" && wait_for said .heard
}

nothing_without_a_domain() {
	resolver "nameserver $server" "search local"
	finds ""
	wait_for has 'no domain' "$heard" && sleep 5 && [ "$(grep -c 'no domain' "$heard")" = 1 ] &&
		! said .heard && finder_stop
}

nothing_without_a_file() { # an empty one; the host's name has no domain
	: >"$work/resolv.conf"
	finds ""
	wait_for has 'no domain\|again in' "$heard" && ! said .heard && finder_stop
}

believes_no_pledge() { # the server's address is on a pledge port
	ns_ip pledge addr add 2001:db8:99::1/64 dev pl0 nodad
	ns_ip proxy addr add 2001:db8:99::2/64 dev pj0 nodad
	spawn pledge pledge-dns python3 "$(dirname "$0")/lib/bad_dns.py" 2001:db8:99::1
	wait_for udp_bound pledge 53 || return 1
	resolver "nameserver 2001:db8:99::1"
	finds right.test pj0
	wait_for has _brski "$work/pledge-dns.log" && sleep 3 && ! said .heard && finder_stop || return 1
	finds right.test # and were it no pledge port, it would be
	wait_for said .heard && finder_stop
}

# bad MODE CONDITION: what a bad answer about one name does; the other name is found all the same.
bad() {
	: >"$work/bad-dns.log"
	finds "$1.test"
	wait_for said '.heard == "2001:db8:2::d" and .by == "_brski-registrar._udp"' &&
		wait_for has 'again in' "$heard" && { [ -z "$2" ] || said "$2"; } &&
		{ [ -z "$3" ] || ! said "$3"; } && ! has "$(printf '\033')" "$heard" && finder_stop
}

bad_dns_start() {
	stop "$dnsmasq_pid"
	resolver "nameserver $server"
	spawn registrar bad-dns python3 "$(dirname "$0")/lib/bad_dns.py" "$server"
	wait_for udp_bound registrar 53
}

rjp='.by == "_brski-rjp._udp"'
kept='.replaced == "_brski-rjp._udp"'

bounded() {
	bad many "$rjp" '' || return 1
	[ "$(grep -c . "$work/bad-dns.log")" -le 1200 ] && # each by UDP and TCP
		[ "$(grep -c ' 16 .*_brski-rjp' "$work/bad-dns.log")" -le 32 ]
}

lab_up
check finds-all-names-with-priority-and-weight finds_all
check stands-as-long-as-the-ttl lifetime_is_ttl
check says-what-stands-no-longer says_what_stands_no_longer
check never-asks-for-local never_asks_for_local
check asks-again-before-the-ttl-is-over asks_again
check sees-one-gone sees_one_gone
check forgets-none-in-silence forgets_none_in_silence
check reads-a-new-resolv.conf reads_a_new_file
check looks-no-more-when-told looks_no_more
check ends-clean finder_stop
check nothing-without-a-domain nothing_without_a_domain
check nothing-without-a-file nothing_without_a_file
check believes-no-pledge believes_no_pledge
check bad-server-starts bad_dns_start
check right-answers bad right "$rjp" ''
check cut-off-answer bad cut '' "$rjp or $kept"
check absurd-counts bad counts '' "$rjp or $kept"
check compression-loop bad loop '' "$rjp or $kept"
check target-is-the-root bad root "$kept" "$rjp"
check port-zero bad zero "$kept" "$rjp"
check short-srv bad short '' "$rjp or $kept"
check address-of-four-bytes bad host '' "$rjp or $kept"
check other-variations bad other "$kept" "$rjp"
check refused bad refuse '' "$rjp or $kept"
check silent bad silent '' "$rjp or $kept"
check names-of-any-bytes bad odd "$rjp" ''
check thousands-of-instances bounded
finish

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck disable=SC2317 # called through check
#
# jpctl and a jpd that is at work: an order waits and says so, a question is answered by what is
# pinned.  The jpd here stands still, as a jpd does that starts with many interfaces.
JPX_LAB=t-patience
# shellcheck source=tests/lab/common.sh
. tests/lab/common.sh

asks() { # NAME ARGUMENT...: in the background; what it says is in $work/NAME.said, its id in $asked
	local name=$1
	shift
	in_ns proxy "$build/jpctl" --run-dir "$run_dir" --pin-dir "$pin_dir" "$@" \
		>"$work/$name.out" 2>"$work/$name.said" </dev/null &
	asked=$!
	pids+=("$asked")
}

says_soon() {
	wait_for has '^jpctl: jpd is at it; waiting for up to 60 seconds$' "$work/order.said" &&
		[ $((SECONDS - since)) -le 5 ]
}

silent_at_first() { [ ! -s "$work/order.said" ]; }

question_falls_back() {
	wait "$question" && has 'did not answer within 10 seconds.*what is pinned' "$work/question.out"
}

order_waits() { # for longer than a question does
	sleep 2
	alive "$order" && [ $((SECONDS - since)) -gt 10 ] && [ ! -s "$work/order.out" ]
}

order_is_done() {
	wait "$order" && has '^pj1: attached, xdp-native' "$work/order.out" &&
		[ "$(wc -l <"$work/order.said")" = 1 ]
}

quick_says_nothing() {
	jp detach pj1 >"$work/detach.out" 2>"$work/detach.said" && [ ! -s "$work/detach.said" ]
}

lab_up 2
check starts jpd_start
check attaches jp attach pj0
kill -STOP "$jpd_pid"
since=$SECONDS
asks question status
question=$asked
asks order attach pj1
order=$asked
sleep 1
check silent-at-first silent_at_first
check says-soon says_soon
check question-falls-back question_falls_back
check order-waits order_waits
kill -CONT "$jpd_pid"
check order-is-done order_is_done
check quick-says-nothing quick_says_nothing
finish

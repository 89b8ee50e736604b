#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# The socket engine as a relay to be measured: jpd without XDP, configured from
# what the benchmark says in its environment (see bench.h).
set -eu
dir=$(mktemp -d)
cat >"$dir/jpd.conf" <<END
xdp = off
log-level = error
registrar bench {
    address = "[$BENCH_REGISTRAR]:$BENCH_REGISTRAR_PORT"
    join-port = $BENCH_JOIN_PORT
    uplink = $BENCH_UPLINK_IF
    xdp = off
    jpy = draft-02
}
port $BENCH_PLEDGE_IF {
    xdp = off
}
END
exec "${JPX_BUILD:-build}/jpd" --config "$dir/jpd.conf" --run-dir "$dir" --pin-dir "$dir/pins"

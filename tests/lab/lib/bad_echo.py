#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""
What crowd.c must notice: a UDP server on [::]:PORT that does with each probe

  bad_echo.py PORT alter      sends it back with one bit changed
  bad_echo.py PORT swap       sends it back to the one who sent before
  bad_echo.py PORT twice      sends it back twice
  bad_echo.py PORT short      sends it back without its last byte
  bad_echo.py PORT mute       says nothing
  bad_echo.py PORT prohibit   answers with ICMPv6 "administratively prohibited"
  bad_echo.py PORT TARGET     sends it on to [::1]:TARGET, all from one port, and says nothing
"""
import socket
import struct
import sys

port, what = int(sys.argv[1]), sys.argv[2]
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, 33, 16 << 20)  # SO_RCVBUFFORCE
s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
s.bind(("::", port))
on = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
icmp = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
print("ready", file=sys.stderr, flush=True)


def prohibit(data, control, peer):
    """The quoted datagram is rebuilt: of it only addresses and ports matter."""
    local = control[0][2][:16]
    udp = struct.pack("!HHHH", peer[1], port, 8 + len(data), 0) + data
    ip = struct.pack("!IHBB", 6 << 28, len(udp), 17, 64) + \
        socket.inet_pton(socket.AF_INET6, peer[0].partition("%")[0]) + local
    icmp.sendto(struct.pack("!BBHI", 1, 1, 0, 0) + (ip + udp)[:1232], (peer[0], 0, 0, peer[3]))


before = None
while True:
    data, control, _, peer = s.recvmsg(65536, 256)
    if what == "alter":
        s.sendto(data[:-1] + bytes([data[-1] ^ 1]), peer)
    elif what == "swap":
        if before:
            s.sendto(data, before)
        before = peer
    elif what == "twice":
        s.sendto(data, peer)
        s.sendto(data, peer)
    elif what == "short":
        s.sendto(data[:-1], peer)
    elif what == "prohibit":
        prohibit(data, control, peer)
    elif what != "mute":
        on.sendto(data, ("::1", int(what)))

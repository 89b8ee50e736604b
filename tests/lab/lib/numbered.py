#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""
Numbered datagrams one way, and what became of them on it:

  numbered.py send ADDR PORT COUNT PPS SIZE
  numbered.py receive PORT COUNT    until SIGTERM; then one JSON object:
      got         different ones that came whole
      duplicate   came once more
      bad         came altered, or are none of ours
      late        came behind one with a higher number
      farthest    the most higher numbers that one came behind
      missing     their numbers

Every byte follows from the number.  The sender must see no error, whatever is lost
on the way: it asks for all of them (RECVERR) and ends badly at the first.
"""
import hashlib
import json
import signal
import socket
import struct
import sys
import time


def datagram(number, size):
    head = struct.pack("!II", number, size)
    return head + hashlib.shake_128(head).digest(size - len(head))


def send(addr, port, count, pps, size):
    v4 = ":" not in addr
    family, _, _, _, to = socket.getaddrinfo(addr, port, type=socket.SOCK_DGRAM)[0]
    s = socket.socket(family, socket.SOCK_DGRAM)
    # IP_RECVERR, IPV6_RECVERR
    s.setsockopt(socket.IPPROTO_IP if v4 else socket.IPPROTO_IPV6, 11 if v4 else 25, 1)
    datagrams = [datagram(number, size) for number in range(count)]
    start = time.monotonic()
    for number, data in enumerate(datagrams):
        if (ahead := start + number / pps - time.monotonic()) > 0:
            time.sleep(ahead)
        s.sendto(data, to)


def receive(port, count):
    s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)  # SO_RCVBUFFORCE
    s.bind(("::", port))
    ending = []
    signal.signal(signal.SIGTERM, lambda *_: ending.append(True))
    s.settimeout(0.05)
    print("receiving", file=sys.stderr, flush=True)
    came, bad, duplicate, late, farthest = [], 0, 0, 0, 0
    seen = set()
    while True:
        try:
            data = s.recv(65536)
        except socket.timeout:
            if ending:
                break
            continue
        number = int.from_bytes(data[:4], "big")
        if len(data) < 8 or number >= count or data != datagram(number, len(data)):
            bad += 1
        elif number in seen:
            duplicate += 1
        else:
            behind = sum(n > number for n in came[-64:])
            late += behind > 0
            farthest = max(farthest, behind)
            seen.add(number)
            came.append(number)
    print(json.dumps({"got": len(seen), "duplicate": duplicate, "bad": bad, "late": late,
                      "farthest": farthest,
                      "missing": [n for n in range(count) if n not in seen]}))


if sys.argv[1] == "send":
    send(sys.argv[2], *map(int, sys.argv[3:7]))
else:
    receive(int(sys.argv[2]), int(sys.argv[3]))

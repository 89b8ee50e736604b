#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Answers CoAP discovery (RFC 6690, RFC 7959) as nobody should.

  coap_peer.py many IF COUNT   answers rt=brski.rjp well, ten times from each of fe80::e:1 to COUNT
  coap_peer.py odd IF          answers with what is no CoAP, in part, and in blocks that go wrong
  coap_peer.py wire IF SECONDS answers nothing; prints of each request that comes to a group: hop
                               limit, group, port, type, code, length of the token, and the rest

odd prints "block FILTER" for each block that it is asked for, and "gave up FILTER" with the last
one that it has.
"""
import os
import socket
import struct
import sys
import time

GET, CONTENT = 1, 0x45
NON, ACK, RST = 1, 2, 3
URI_QUERY, FORMAT, BLOCK2, ETAG = 15, 12, 23, 4
LINK = "<jpy://[2001:db8:2::52]:%d>;rt=brski.rjp"


def parse(data):
    """Type, code, id, token and options of a request."""
    kind, token_len = data[0] >> 4 & 3, data[0] & 15
    code, mid = data[1], struct.unpack(">H", data[2:4])[0]
    token, at, number, options = data[4:4 + token_len], 4 + token_len, 0, {}
    while at < len(data) and data[at] != 0xff:
        delta, size = data[at] >> 4, data[at] & 15
        at += 1
        if delta == 13:
            delta, at = 13 + data[at], at + 1
        if size == 13:
            size, at = 13 + data[at], at + 1
        number += delta
        options.setdefault(number, []).append(data[at:at + size])
        at += size
    return kind, code, mid, token, options


def build(kind, code, mid, token, options=(), payload=b""):
    out, last = bytes([0x40 | kind << 4 | len(token), code]) + struct.pack(">H", mid) + token, 0
    for number, value in sorted(options):
        delta = number - last
        out += bytes([min(delta, 13) << 4 | len(value)])
        out += bytes([delta - 13]) if delta >= 13 else b""
        out += value
        last = number
    return out + (b"\xff" + payload if payload else b"")


def number(n):
    return n.to_bytes((n.bit_length() + 7) // 8, "big")


def block(num, more, szx):
    return BLOCK2, number(num << 4 | more << 3 | szx)


def listen(ifname):
    index = socket.if_nametoindex(ifname)
    sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, ifname.encode())
    sock.bind(("::", 5683))
    for group in ("ff05::fd", "ff03::fd"):
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP,
                        socket.inet_pton(socket.AF_INET6, group) + struct.pack("I", index))
    print("ready", flush=True)
    return sock, index


def many(ifname, count):
    sock, index = listen(ifname)
    senders = []
    for i in range(1, int(count) + 1):
        sender = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        sender.bind(("fe80::e:%x" % i, 0, 0, index))
        senders.append(sender)
    while True:
        data, who = sock.recvfrom(2048)
        _, _, _, token, options = parse(data)
        if options[URI_QUERY] != [b"rt=brski.rjp"]:
            continue
        for sender in senders:
            for i in range(10):
                sender.sendto(build(NON, CONTENT, 100 + i, token, [(FORMAT, b"\x28")],
                                    (LINK % 7300).encode()), who)


def no_answers(mid, token):
    """What is no answer at all, or none to this question."""
    link = (LINK % 7600).encode()
    good = build(NON, CONTENT, 1, token, [(FORMAT, b"\x28")], link)
    yield b""
    yield b"\x00"
    yield os.urandom(40)
    yield build(RST, 0, mid, b"")
    yield build(ACK, 0, mid, b"")
    yield build(NON, CONTENT, 2, os.urandom(8), [(FORMAT, b"\x28")], link)
    yield build(NON, CONTENT, 2, token[:7], [(FORMAT, b"\x28")], link)
    yield build(NON, CONTENT, 2, b"", [(FORMAT, b"\x28")], link)
    yield build(NON, GET, 3, token, [(11, b".well-known"), (11, b"core")])
    yield build(NON, 0x44, 4, token, [(FORMAT, b"\x28")], link)
    yield build(NON, 0x84, 5, token, [(FORMAT, b"\x28")], link)
    yield build(NON, CONTENT, 6, token, [(FORMAT, b"\x28"), (9, b"critical")], link)
    yield good[:12] + b"\xee" + good[12:]
    yield good[:14]
    yield bytes([0x80]) + good[1:]
    yield build(NON, CONTENT, 7, token, [(FORMAT, b"\x28"), block(0, 1, 7)], b"x" * 16)


def next_block(filt, num, szx, turn):
    """Options and payload of block NUM, and whether it is the last that there is.  TURN: how often
    the first one was asked for."""
    options, payload, more, last = [(FORMAT, b"\x28")], b"</a>;b=cde,</f>,"[:16], 1, num == 3
    if filt == "rt=brski.rjp":
        last = False
    elif filt == "rt=brski":
        options.append((ETAG, bytes([num])))
    elif filt == "rt=join-proxy" and turn % 2:
        szx = num % 2
        payload *= 1 << szx
    elif filt == "rt=join-proxy":
        payload = payload[:15] if num == 2 else payload
    else:
        more = 0 if num == 3 else 1
        payload = b"<<<<" if num == 3 else payload
    return options + [block(num, more, szx)], payload, last


def odd(ifname):
    sock, _ = listen(ifname)
    turns = {}
    while True:
        data, who = sock.recvfrom(2048)
        kind, code, mid, token, options = parse(data)
        if code != GET:
            continue
        filt = options[URI_QUERY][0].decode()
        if kind == NON:
            answers = list(no_answers(mid, token))
            # Behind the good ones, but once: who answers too often is heard no more.
            at = len(answers) if filt == "rt=brski-proxy" else 0
            answers[at:at] = [build(NON, CONTENT, 9, token, [(FORMAT, b"\x28"), block(0, 1, 0)],
                                    b"x" * 16)]
            if filt == "rt=brski.rjp":
                answers[at:at] = [build(NON, CONTENT, 8, token, [(FORMAT, b"\x28")],
                                        (LINK % 7699).encode())]
            for answer in answers:
                sock.sendto(answer, who)
            continue
        asked = int.from_bytes(options.get(BLOCK2, [b""])[0], "big")
        turns[filt] = turns.get(filt, 0) + (asked >> 4 == 0)
        answer, payload, last = next_block(filt, asked >> 4, 0, turns[filt])
        print("gave up" if last else "block", filt, flush=True)
        sock.sendto(build(ACK, CONTENT, mid, token, answer, payload), who)


def wire(ifname, seconds):
    listen(ifname) # joins the groups
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x86dd))
    sock.bind((ifname, 0x86dd))
    end = time.monotonic() + float(seconds)
    while time.monotonic() < end:
        sock.settimeout(max(0.01, end - time.monotonic()))
        try:
            frame = sock.recv(2048)
        except socket.timeout:
            break
        if frame[20] != 17 or frame[38] != 0xff or frame[56:58] != b"\x16\x33":
            continue
        data = frame[62:]
        print(frame[21], socket.inet_ntop(socket.AF_INET6, frame[38:54]),
              struct.unpack(">H", frame[56:58])[0], data[0] >> 4 & 3, data[1], data[0] & 15,
              data[4 + (data[0] & 15):].hex(), flush=True)


{"many": many, "odd": odd, "wire": wire}[sys.argv[1]](*sys.argv[2:])

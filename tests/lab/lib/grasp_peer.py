#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Sends GRASP of all kinds, and reads it off the wire.  Has a CBOR of its own, so that jpx is not
tested with what it reads and writes itself.

  grasp_peer.py capture IF SECONDS     prints each frame to UDP port 7017 as a line of JSON
  grasp_peer.py frame SRC-MAC ADDR PORT VALUE SESSION   prints the frame that jpx has to send, in hex
  grasp_peer.py send IF FROM CASE...   sends CASE; FROM is an address of IF, or - for its link-local
  grasp_peer.py many IF COUNT          floods COUNT Registrars, each with a session id of its own
  grasp_peer.py hold [share]           binds port 7017, for all interfaces, until it is killed
"""
import ipaddress
import json
import os
import socket
import struct
import sys
import time

GROUP, PORT, TTL = "ff02::13", 7017, 180000


def head(major, n):
    for code, size, form in ((24, 1, ">B"), (25, 2, ">H"), (26, 4, ">I"), (27, 8, ">Q")):
        if n < 24:
            return bytes([major << 5 | n])
        if n < 1 << 8 * size:
            return bytes([major << 5 | code]) + struct.pack(form, n)
    raise ValueError(n)


def encode(item):
    if isinstance(item, int):
        return head(0, item)
    if isinstance(item, bytes):
        return head(2, len(item)) + item
    if isinstance(item, str):
        return head(3, len(item.encode())) + item.encode()
    return head(4, len(item)) + b"".join(encode(i) for i in item)


def decode(data, at=0):
    """The item at AT and where the next one is.  Refuses heads that are longer than they need be."""
    major, n = data[at] >> 5, data[at] & 31
    at += 1
    if n >= 24:
        size = 1 << n - 24
        n = int.from_bytes(data[at:at + size], "big")
        at += size
        if n < (24 if size == 1 else 1 << 4 * size):
            raise ValueError("not the shortest head")
    if major == 0:
        return n, at
    if major in (2, 3):
        text = data[at:at + n]
        return (text.decode() if major == 3 else text.hex()), at + n
    if major != 4:
        raise ValueError("major type %d" % major)
    items = []
    for _ in range(n):
        item, at = decode(data, at)
        items.append(item)
    return items, at


def checksum(src, dst, udp):
    pseudo = src + dst + struct.pack(">IxxxB", len(udp), 17) + udp
    pseudo += b"\0" * (len(pseudo) % 2)
    total = sum(struct.unpack(">%dH" % (len(pseudo) // 2), pseudo))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return total


def capture(ifname, seconds):
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x86dd))
    sock.bind((ifname, 0x86dd))
    end = time.monotonic() + float(seconds)
    print("ready", flush=True)
    while time.monotonic() < end:
        sock.settimeout(max(0.01, end - time.monotonic()))
        try:
            frame, who = sock.recvfrom(4096)
        except socket.timeout:
            break
        if who[2] == socket.PACKET_OUTGOING or frame[20] != 17 or frame[56:58] != b"\x1b\x69":
            continue
        udp = frame[54:]
        message, at = decode(udp, 8)
        print(json.dumps({
            "at": time.monotonic(), "frame": frame.hex(), "dst_mac": frame[0:6].hex(),
            "src": str(ipaddress.ip_address(frame[22:38])),
            "dst": str(ipaddress.ip_address(frame[38:54])), "hops": frame[21],
            "sport": int.from_bytes(udp[0:2], "big"),
            "sum_ok": checksum(frame[22:38], frame[38:54], udp) == 0xffff,
            "rest": len(udp) - at, "bytes": len(udp) - 8, "message": message}), flush=True)


def frame_of(mac, addr, port, value, session):
    """Every byte of the frame, from the figures: RFC 8990 2.8.11, RFC 8995 4.1.1."""
    src = ipaddress.ip_address(addr).packed
    dst = ipaddress.ip_address(GROUP).packed
    body = encode([9, int(session), src, TTL,
                   [["AN_Proxy", 4, 1, value], [103, src, 17, int(port)]]])
    udp = struct.pack(">HHHH", PORT, PORT, 8 + len(body), 0) + body
    udp = udp[:6] + struct.pack(">H", 0xffff - checksum(src, dst, udp) or 0xffff) + udp[8:]
    print((bytes.fromhex("333300000013" + mac.replace(":", "") + "86dd60000000")
           + struct.pack(">HBB", len(udp), 17, 1) + src + dst + udp).hex())


def registrar(port, name="AN_join_registrar", value="BRSKI_RJP", loop=255, ttl=TTL, session=None,
              addr="2001:db8:2::52", initiator=None, proto=17):
    addr = ipaddress.ip_address(addr).packed
    if session is None:
        session = int.from_bytes(os.urandom(4), "big")
    return encode([9, session, ipaddress.ip_address(initiator).packed if initiator else addr, ttl,
                   [[name, 4, loop, value], [103, addr, proto, port]]])


# What is sent, and which ports are to be heard of is for the test to say.
CASES = {
    # the messages of the drafts, byte by byte: -12, as -12 draws three, brski-discovery-07
    "rjp": lambda: bytes.fromhex(
        "85091a0316784750fda379a6f6ee000002000000640000011a0002bf20828471414e5f6a6f696e5f7265676973"
        "747261720418ff694252534b495f524a5084186750fda379a6f6ee0000020000006400000111191635"),
    "drawn": lambda: bytes.fromhex(
        "85091a031704e750fda379a6f6ee000002000000640000011a0002bf20868471414e5f6a6f696e5f7265676973"
        "747261720418ff6084186750fda379a6f6ee00000200000064000001061920fb8471414e5f6a6f696e5f726567"
        "6973747261720418ff684252534b495f4a5084186750fda379a6f6ee00000200000064000001111916348471"
        "414e5f6a6f696e5f7265676973747261720418ff694252534b495f524a5084186750fda379a6f6ee0000020000"
        "006400000111191635"),
    "discovery07": lambda: bytes.fromhex(
        "86091a00bc4e4f50fda379a6f6ee000002000000640000011a0002bf20828471414e5f6a6f696e5f7265676973"
        "747261720418ff6872726d2d636f736584186750fda379a6f6ee0000020000006400000111191634828475414e"
        "5f6a6f696e5f7265676973747261725f726a700418ff6872726d2d636f736584186750fda379a6f6ee00000200"
        "00006400000111191636"),
    "loop0": lambda: registrar(7000, loop=0),
    "loop1": lambda: registrar(7001, loop=1),
    "loop256": lambda: registrar(7002, loop=256),
    "forever": lambda: registrar(7003, ttl=0),
    "moment": lambda: registrar(7004, ttl=1),
    "month": lambda: registrar(7005, ttl=30 * 86400 * 1000),
    "tcp": lambda: registrar(7006, proto=6),
    "proxy": lambda: registrar(7007, name="AN_Proxy", value="DTLS-EST", loop=1),
    "plain": lambda: registrar(7008),
    "group": lambda: registrar(7009, initiator="ff02::1"),
    "odd-value": lambda: registrar(7010, name="AN_join_registrar_rjp", value="\n\"\x1b[2J\u00e9"),
    "repeated": lambda: registrar(7011, session=77),
    "nested": lambda: b"\x85\x09\x01" + encode(b"\0" * 16) + b"\x01" + b"\x81" * 1000,
    "nested-value": lambda: registrar(7012).replace(encode("BRSKI_RJP"), b"\x81" * 1000 + b"\x00"),
    "oversize": lambda: registrar(7013, value="x" * 1300),
    "truncated": lambda: registrar(7014)[:-1],
    "trailing": lambda: registrar(7015) + b"\0",
    "huge-array": lambda: b"\x9b" + b"\xff" * 8 + registrar(7016)[1:],
    "huge-text": lambda: registrar(7017).replace(encode("BRSKI_RJP"), b"\x7b" + b"\xff" * 8 + b"B"),
    "empty": lambda: b"",
    "discovery": lambda: encode([1, 5, b"\0" * 16, ["AN_join_registrar", 4, 1, ""]]),
    "last": lambda: registrar(7999),
}


def sender(ifname, source):
    index = socket.if_nametoindex(ifname)
    sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
    if source != "-":
        sock.bind((source, 0))
    return lambda data: sock.sendto(data, (GROUP, PORT, 0, index))


def send(ifname, source, *cases):
    to = sender(ifname, source)
    for case in cases:
        to(CASES[case]())
        time.sleep(0.02)


def many(ifname, count):
    to = sender(ifname, "-")
    for i in range(int(count)):
        to(registrar(10000 + i % 50000, session=i, addr="2001:db8:3::%x" % (i + 1)))
        if i % 100 == 99:
            time.sleep(0.005)


def hold(share=None):
    sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    if share:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("::", PORT))
    print("ready", flush=True)
    while True:
        sock.recv(4096)
        print("heard", flush=True)


{"capture": capture, "frame": frame_of, "send": send, "many": many,
 "hold": hold}[sys.argv[1]](*sys.argv[2:])

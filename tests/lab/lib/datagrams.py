#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# Datagrams that no well-behaved client sends, and what comes back for them.
#
#   ask IF ADDR PORT HEX [SECONDS]   sends one from IF; prints "udp ADDR PORT HEX" or
#                                    "icmp TYPE CODE ADDR" for all that comes back
#   follow IF ADDR PORT HEX HEX N    N times: sends the first, and the second to whoever answers;
#                                    prints how many times there was an answer to the second
#   flood IF ADDR PORT N FILE        sends the lines of hex in FILE by turns, N in all, each
#                                    from another link-local address, as fast as can be
#   send IF ADDR PORT FILE           sends the lines of hex in FILE, from the port PORT
#   pretend IF SZX FILE              answers CoAP requests to ff02::fd, or to one address, with
#                                    the lines of FILE, in blocks of 16 << SZX bytes; SZX "-": whole
#   hold PORT                        binds PORT on all addresses for itself alone, and waits
import socket
import struct
import sys
import time


def target(ifname, addr, port):
    return (addr, int(port), 0, socket.if_nametoindex(ifname))


def ask(ifname, addr, port, data, seconds="1"):
    udp = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    udp.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, ifname.encode())
    udp.bind(("::", 0))
    icmp = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
    udp.sendto(bytes.fromhex(data), target(ifname, addr, port))
    end = time.monotonic() + float(seconds)
    while (left := end - time.monotonic()) > 0:
        for sock in (udp, icmp):
            sock.settimeout(min(left, 0.02))
            try:
                got, source = sock.recvfrom(2048)
            except (socket.timeout, ConnectionRefusedError):
                continue
            host = source[0].partition("%")[0]
            if sock is udp:
                print("udp", host, source[1], got.hex(), flush=True)
            elif got[0] < 128:  # an error, not neighbour discovery
                print("icmp", got[0], got[1], host, flush=True)


def follow(ifname, addr, port, first, second, count):
    heard = 0
    for _ in range(int(count)):
        udp = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, ifname.encode())
        udp.settimeout(1)
        data = bytes.fromhex(second)
        udp.sendto(bytes.fromhex(first), target(ifname, addr, port))
        try:
            _, source = udp.recvfrom(2048)
            udp.sendto(data, source)
            heard += udp.recvfrom(2048)[1] == source
        except socket.timeout:
            pass
    print(heard, "of", count)


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff or 0xffff


def mac_of(addr):
    """The MAC of a group, or what the kernel knows of ADDR by now."""
    if addr.startswith("ff"):
        return b"\x33\x33" + socket.inet_pton(socket.AF_INET6, addr)[12:]
    id = socket.inet_pton(socket.AF_INET6, addr)[8:]
    return bytes([id[0] ^ 2]) + id[1:3] + id[5:]


def flood(ifname, addr, port, count, path):
    with open(path, encoding="ascii") as f:
        bodies = [bytes.fromhex(line) for line in f.read().split()]
    link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    link.bind((ifname, 0))
    own = link.getsockname()[4]
    to = socket.inet_pton(socket.AF_INET6, addr)
    for i in range(int(count)):
        body = bodies[i % len(bodies)]
        source = bytes.fromhex("fe800000000000000000f10d") + struct.pack("!I", i)
        udp = struct.pack("!HHHH", 1024 + i % 60000, int(port), 8 + len(body), 0) + body
        total = checksum(source + to + struct.pack("!II", len(udp), 17) + udp)
        udp = udp[:6] + struct.pack("!H", total) + udp[8:]
        ip = struct.pack("!IHBB", 6 << 28, len(udp), 17, 1) + source + to
        link.send(mac_of(addr) + own + b"\x86\xdd" + ip + udp)


def send(ifname, addr, port, path):
    udp = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    udp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    udp.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, ifname.encode())
    udp.bind(("::", int(port)))
    with open(path, encoding="ascii") as f:
        for line in f.read().split():
            udp.sendto(bytes.fromhex(line), target(ifname, addr, port))


def block_of(request):
    """The number of the block that is asked for, or 0."""
    at, number = 4 + (request[0] & 15), 0
    while at < len(request) and request[at] != 0xff:
        delta, length = request[at] >> 4, request[at] & 15
        at += 1
        if delta == 13:
            delta, at = 13 + request[at], at + 1
        if length == 13:
            length, at = 13 + request[at], at + 1
        number += delta
        if number == 23:
            return int.from_bytes(request[at:at + length], "big") >> 4
        at += length
    return 0


def coap_answer(request, payload, szx):
    kind = 0x60 if request[0] & 0x30 == 0 else 0x50  # ACK to CON, else NON
    head = bytes([kind | request[0] & 15, 0x45]) + request[2:4 + (request[0] & 15)]
    options = b"\xc1\x28"
    if szx != "-":
        size, number = 16 << int(szx), block_of(request)
        more = len(payload) > (number + 1) * size
        payload = payload[number * size:(number + 1) * size]
        options += b"\xb2" + struct.pack("!H", number << 4 | more << 3 | int(szx))
    return head + options + b"\xff" + payload


def pretend(ifname, szx, path):
    with open(path, encoding="latin-1") as f:
        payloads = [line.rstrip("\n").encode("latin-1") for line in f]
    udp = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    udp.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, ifname.encode())
    udp.bind(("::", 5683))
    group = socket.inet_pton(socket.AF_INET6, "ff02::fd")
    udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP,
                   group + struct.pack("@I", socket.if_nametoindex(ifname)))
    print("listening", flush=True)
    while True:
        request, source = udp.recvfrom(2048)
        for payload in payloads:
            udp.sendto(coap_answer(request, payload, szx), source)


def hold(port):
    udp = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    udp.bind(("::", int(port)))
    print("held", flush=True)
    time.sleep(60)


globals()[sys.argv[1]](*sys.argv[2:])

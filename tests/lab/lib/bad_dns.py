# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""A DNS server that answers about _brski-rjp._udp.MODE.test as MODE says, and about every
_brski-registrar._udp.MODE.test rightly.  bad_dns.py ADDRESS: UDP and TCP, port 53.  Prints a line
a question."""
import socket
import struct
import sys
import threading

PTR, TXT, AAAA, SRV, A = 12, 16, 28, 33, 1
HOST = socket.inet_pton(socket.AF_INET6, "2001:db8:2::d")


def name(text):
    return b"".join(bytes([len(p)]) + p for p in text.encode("latin-1").split(b".") if p) + b"\0"


def record(owner, kind, data, ttl=120):
    return owner + struct.pack("!HHIH", kind, 1, ttl, len(data)) + data


def srv(target, port=5684, priority=3, weight=4):
    return struct.pack("!HHH", priority, weight, port) + target


SELF = b"\xc0\x0c"  # the name of the question


def right(labels, kind):
    """The records of a service that is as it should be."""
    if kind == PTR:
        return [record(SELF, PTR, b"\3one" + SELF)]
    if kind == SRV and labels[0] == "one":
        return [record(SELF, SRV, srv(name("host.test")))]
    if kind == AAAA and labels[0] == "host":
        return [record(SELF, AAAA, HOST)]
    return []


def wrong(mode, labels, kind, tcp):
    """Records, or a whole message behind the question."""
    if mode == "cut":  # a record that goes on behind the end
        return struct.pack("!HHHH", 1, 1, 0, 0), SELF + struct.pack("!HHIH", kind, 1, 60, 400) + b"\1"
    if mode == "counts":
        return struct.pack("!HHHH", 1, 65535, 65535, 65535), record(SELF, PTR, b"\3one" + SELF)
    if mode == "loop":  # a name that points at itself
        here = 12 + len(name(".".join(labels))) + 4 + 12
        loop = struct.pack("!H", 0xC000 | here)
        return struct.pack("!HHHH", 1, 1, 0, 0), record(SELF, kind, loop if kind == PTR else b"\0" * 6 + loop)
    if mode == "root" and kind == SRV:
        return [record(SELF, SRV, srv(b"\0"))]
    if mode == "zero" and kind == SRV:
        return [record(SELF, SRV, srv(name("host.test"), port=0))]
    if mode == "many":
        if kind == PTR:
            return [record(SELF, PTR, b"\4%04d" % i + SELF) for i in range(3000 if tcp else 20)]
        if kind == SRV:
            return [record(SELF, SRV, srv(name("t%d.test" % i))) for i in range(1000 if tcp else 10)]
    if mode == "odd":  # a space, a dot, a quote, an escape sequence; and one with a zero byte
        if kind == PTR:
            return [record(SELF, PTR, b"\x0aa b.c\"\\\x1b[1" + SELF), record(SELF, PTR, b"\x03a\0b" + SELF)]
        if kind == SRV:
            return [record(SELF, SRV, srv(name("host.test")))]
    if mode == "other" and kind == TXT:
        return [record(SELF, TXT, b"\x0bx=unknown-1\x08prm-jose")]
    if mode == "short" and kind == SRV:
        return [record(SELF, SRV, b"\0\1\0\1")]
    if mode == "host":  # addresses that are none
        if kind == SRV:
            return [record(SELF, SRV, srv(name("bad.test")))]
    return right(labels, kind)


def answer(query, tcp):
    labels, at = [], 12
    while query[at]:
        labels.append(query[at + 1 : at + 1 + query[at]].decode("latin-1"))
        at += 1 + query[at]
    (kind,) = struct.unpack("!H", query[at + 1 : at + 3])
    question = query[12 : at + 5]
    print("tcp" if tcp else "udp", kind, ascii(".".join(labels)), flush=True)
    if labels[-1] == "test" and len(labels) > 2 and "_brski-rjp" in labels:
        mode = labels[-2]
        if mode == "silent":
            return None
        if mode == "refuse":
            return query[:2] + struct.pack("!H", 0x8185) + struct.pack("!HHHH", 1, 0, 0, 0) + question
        said = wrong(mode, labels, kind, tcp)
    elif "_brski-registrar-rpy" in labels or kind == TXT:
        said = []
    elif labels[0].startswith("t") and kind == AAAA:
        said = [record(SELF, AAAA, HOST[:14] + bytes([i, labels[0].encode()[-1]])) for i in range(12)]
    elif labels[0] == "bad":
        said = [record(SELF, AAAA, b"\1\2\3\4")] if kind == AAAA else []
    else:
        said = right(labels, kind)
    if isinstance(said, tuple):
        return query[:2] + struct.pack("!H", 0x8180) + said[0] + question + said[1]
    body = question + b"".join(said)
    flags, count = 0x8180, len(said)
    if not tcp and labels[-2:] == ["many", "test"]:
        flags, count, body = 0x8380, 0, question  # truncated: ask by TCP
    return query[:2] + struct.pack("!HHHHH", flags, 1, count, 0, 0) + body


def serve_tcp(sock):
    while True:
        conn, _ = sock.accept()
        try:
            conn.settimeout(5)
            while True:
                head = conn.recv(2)
                if len(head) < 2:
                    break
                (size,) = struct.unpack("!H", head)
                out = answer(conn.recv(size), True)
                if out is not None:
                    conn.sendall(struct.pack("!H", len(out)) + out)
        except OSError:
            pass
        conn.close()


def main():
    tcp = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
    tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    tcp.bind((sys.argv[1], 53))
    tcp.listen(16)
    threading.Thread(target=serve_tcp, args=(tcp,), daemon=True).start()
    udp = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    udp.bind((sys.argv[1], 53))
    while True:
        query, peer = udp.recvfrom(2048)
        out = answer(query, False)
        if out is not None:
            udp.sendto(out, peer)


main()

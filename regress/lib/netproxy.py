# SPDX-License-Identifier: PostgreSQL
"""A TCP proxy between two parties that can make the network bad: stall, crumble, truncate, reset."""

import socket
import struct
import threading

from lib.wait import TIMEOUT


class NetProxy:
    def __init__(self, port, host="127.0.0.1"):
        self.target = (host, port)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.host, self.port = self.listener.getsockname()
        self.flowing = threading.Event()
        self.flowing.set()
        self.limits = {}
        self.crumb = 65536
        self.pairs = []
        self.accepted = 0

    def start(self):
        threading.Thread(target=self.accept, daemon=True).start()
        return self

    def accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
                far = socket.create_connection(self.target, TIMEOUT)
            except OSError:
                return
            far.settimeout(None)
            far.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.accepted += 1
            self.pairs.append((near, far))
            for source, sink, way in ((near, far, "up"), (far, near, "down")):
                threading.Thread(target=self.pump, args=(source, sink, way), daemon=True).start()

    def pump(self, source, sink, way):
        passed = 0
        while True:
            try:
                data = source.recv(self.crumb)
                self.flowing.wait()
                limit = self.limits.get(way)
                if limit is not None and passed + len(data) > limit:
                    data = data[:max(limit - passed, 0)]
                    sink.sendall(data)
                    data = b""
                else:
                    sink.sendall(data)
                passed += len(data)
            except OSError:
                data = b""
            if not data:
                for s in (source, sink):
                    try:
                        s.shutdown(socket.SHUT_RDWR)
                    except OSError:
                        pass
                return

    def stall(self):
        """Bytes stay where they are, both ways, until flow()."""
        self.flowing.clear()

    def flow(self):
        self.flowing.set()

    def crumble(self, count):
        """From now on bytes are passed on by so many at once."""
        self.crumb = count

    def truncate(self, way, count):
        """Each connection ends after so many bytes; way is "up" (towards the target) or "down"."""
        self.limits[way] = count

    def reset(self):
        """Ends all present connections with RST, on both sides."""
        for pair in self.pairs:
            for s in pair:
                try:
                    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    s.shutdown(socket.SHUT_RD)
                except OSError:
                    pass
                s.close()
        self.pairs.clear()

    def stop(self):
        self.flowing.set()
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        for pair in self.pairs:
            for s in pair:
                try:
                    s.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
                s.close()

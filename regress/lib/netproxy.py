# SPDX-License-Identifier: PostgreSQL
"""A TCP proxy between two parties that can make the network bad: slow, stall, crumble, truncate, reset."""

import socket
import struct
import threading
import time

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
        self.delay = 0
        self.cuts = {"up": 0, "down": 0}
        self.pairs = []
        self.lock = threading.Lock()
        self.accepted = 0

    def start(self):
        threading.Thread(target=self.accept, daemon=True).start()
        return self

    def accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(self.target, TIMEOUT)
            except OSError:
                near.close()
                continue
            far.settimeout(None)
            far.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.accepted += 1
            threading.Thread(target=self.serve, args=((near, far),), daemon=True).start()

    def serve(self, pair):
        near, far = pair
        with self.lock:
            self.pairs.append(pair)
        back = threading.Thread(target=self.pump, args=(far, near, "down"), daemon=True)
        back.start()
        self.pump(near, far, "up")
        back.join()
        with self.lock:
            if pair in self.pairs:
                self.pairs.remove(pair)
        near.close()
        far.close()

    def pump(self, source, sink, way):
        passed, cuts = 0, self.cuts[way]
        while True:
            try:
                data = source.recv(self.crumb)
                self.flowing.wait()
                time.sleep(self.delay)
                rest = len(data)
                if way in self.limits:
                    rest = max(self.limits[way] - passed, 0)
                if self.cuts[way] != cuts:
                    rest = min(rest, len(data) // 2)
                sink.sendall(data[:rest])
                passed += len(data)
                if rest < len(data):
                    data = b""
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

    def slow(self, seconds):
        """From now on bytes take so long, each way."""
        self.delay = seconds

    def crumble(self, count):
        """From now on bytes are passed on by so many at once."""
        self.crumb = count

    def truncate(self, way, count):
        """Each connection ends after so many bytes; way is "up" (towards the target) or "down"."""
        self.limits[way] = count

    def cut(self, way):
        """Each present connection ends in the middle of what it carries next that way."""
        self.cuts[way] += 1

    def take_pairs(self):
        with self.lock:
            pairs, self.pairs = self.pairs, []
        return pairs

    def reset(self):
        """Ends all present connections with RST, on both sides."""
        for pair in self.take_pairs():
            for s in pair:
                try:
                    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    s.shutdown(socket.SHUT_RD)
                except OSError:
                    pass
                s.close()

    def stop(self):
        self.flowing.set()
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        for pair in self.take_pairs():
            for s in pair:
                try:
                    s.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

"""Certificates that are renewed while writers push.

Scenario: runs log without a pause, others begin, strangers connect to every port all the time. The
pair of files is replaced, key and certificate one after the other; once by garbage; and again
(STEPLINE_FAULT_ROUNDS: more often).
Guarantees: nothing is lost or doubled, no handshake fails and no stream is refused or broken, every
new connection sees the newest good certificate, and while the files are bad the last good one.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import socket
import ssl
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

import stepline
from stepline_ingest.tls import TlsFiles
from tests.support.authority import Authority, options, over_tls
from tests.support.oracle import Oracle, row
from tests.support.processes import wait_until
from tests.support.service import Service

RENEWALS = 2 + int(os.environ.get("STEPLINE_FAULT_ROUNDS", "0"))
PROTOCOLS = {"grpc": "h2", "http": "http/1.1", "sql": "http/1.1"}


def leaf(files: TlsFiles) -> bytes:
    """The certificate itself, as it travels."""
    pem = files.cert.read_text().partition("-----END CERTIFICATE-----")
    return ssl.PEM_cert_to_DER_cert(pem[0] + pem[1])


class Knocking:
    """Shakes hands with every port again and again, and notes what it was shown."""

    def __init__(self, service: Service, ca: Path) -> None:
        self._places = {name: getattr(service, name) for name in PROTOCOLS}
        self._ca = ca
        self.seen: dict[str, list[bytes]] = {name: [] for name in PROTOCOLS}
        """The certificates of each port, without repetition."""
        self.failures: list[Exception] = []
        self.count = 0

    def knock(self) -> None:
        for name, place in self._places.items():
            context = ssl.create_default_context(cafile=str(self._ca))
            context.set_alpn_protocols([PROTOCOLS[name]])
            host, port = place.rsplit(":", 1)
            with (
                socket.create_connection((host, int(port)), timeout=60) as plain,
                context.wrap_socket(plain, server_hostname="localhost") as shaken,
            ):
                shown = shaken.getpeercert(binary_form=True)
            assert shown is not None
            if shown not in self.seen[name][-1:]:
                self.seen[name].append(shown)
        self.count += 1

    def run(self, stop: threading.Event) -> None:
        while not stop.is_set():
            try:
                self.knock()
            except Exception as failure:
                self.failures.append(failure)
            time.sleep(0.05)

    def sees(self, certificate: bytes) -> bool:
        return all(seen[-1:] == [certificate] for seen in self.seen.values())


class Logging:
    """A run that logs the oracle's values until it is told to stop."""

    def __init__(self, run_id: str, server: str, spools: Path) -> None:
        self.run_id, self.steps = run_id, 0
        self._run = stepline.init(
            project="tls", run_id=run_id, server=server, dir=spools, uploader="thread"
        )

    def log(self) -> None:
        self._run.log(row(0, self.steps), step=self.steps)
        self.steps += 1

    def run(self, stop: threading.Event) -> None:
        while not stop.wait(0.001):
            self.log()

    def finish(self, oracle: Oracle) -> None:
        report = self._run.finish(timeout=60)
        assert report.complete, report
        oracle.logged(self.run_id, 0, returned=self.steps)


@contextlib.contextmanager
def at_work(*workers: Knocking | Logging) -> Iterator[None]:
    stop = threading.Event()
    threads = [threading.Thread(target=worker.run, args=(stop,)) for worker in workers]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def replace(new: Path, old: Path) -> None:
    """In one step, as certbot and Kubernetes do."""
    shutil.copy(new, f"{old}.new")
    os.replace(f"{old}.new", old)


def refusals(service: Service, ca: Path) -> float:
    context = ssl.create_default_context(cafile=str(ca))
    with urllib.request.urlopen(
        over_tls(service.http) + "/metrics", context=context, timeout=60
    ) as answer:
        page = answer.read().decode()
    return sum(map(float, re.findall(r"stepline_refusals_total{[^}]*} (\S+)", page)))


def events(service: Service) -> list[dict[str, object]]:
    return [json.loads(line) for line in service.log.read_text().splitlines()]


def test_writers_push_while_certificates_are_renewed(
    tmp_path: Path, spools: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority(tmp_path / "ca")
    monkeypatch.setenv("STEPLINE_TLS_CA", str(authority.ca))
    files = authority.issue("used")
    given = [leaf(files)]
    garbage = tmp_path / "garbage"
    garbage.write_bytes(b"-----BEGIN CERTIFICATE-----\nno\n-----END CERTIFICATE-----\n")
    oracle = Oracle()
    with Service(tmp_path / "data", *options(files), "--log-format", "json") as service:
        server = over_tls(service.grpc)
        knocking = Knocking(service, authority.ca)
        writers = [Logging(f"through-{number}", server, spools) for number in range(2)]
        with at_work(knocking, *writers):
            wait_until(lambda: knocking.sees(given[0]), what="the first certificate is seen")
            for turn in range(RENEWALS):
                new = authority.issue(f"new-{turn}")
                if turn == 1:
                    replace(garbage, files.cert)
                    wait_until(
                        lambda: "is not used" in service.log.read_text(), what="the garbage is seen"
                    )
                    until = knocking.count + 2
                    wait_until(lambda until=until: knocking.count >= until, what="others connect")
                    assert knocking.sees(given[-1])
                given.append(leaf(new))
                replace(new.key, files.key)
                replace(new.cert, files.cert)
                wait_until(lambda: knocking.sees(given[-1]), what="the new certificate is seen")
                newcomer = Logging(f"begun-{turn}", server, spools)
                for _ in range(20):
                    newcomer.log()
                newcomer.finish(oracle)
        for writer in writers:
            writer.finish(oracle)
        assert knocking.failures == []
        assert knocking.seen == dict.fromkeys(PROTOCOLS, given)
        with stepline.connect(server) as client:
            oracle.judge(client)
        assert refusals(service, authority.ca) == 0
        told = [event for event in events(service) if event.get("event") == "stream_closed"]
        assert len(told) == len(writers) + RENEWALS, "no stream was broken and begun anew"
        assert [event for event in told if "code" in event] == []

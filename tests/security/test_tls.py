"""Promise: TLS on every port, certificates that can be renewed while the service runs, and refusals
that name the remedy."""

from __future__ import annotations

import datetime
import http.client
import os
import shutil
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import stepline
from stepline_ingest.errors import StartupError
from stepline_ingest.tls import Certificates, TlsFiles
from tests.security.conftest import Guarded, command
from tests.support.authority import Authority, options, over_tls
from tests.support.service import Service

PATIENCE = 60.0
"""Only ends a test that hangs."""


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture
def environ(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Sets the variables of a client and unsets the others."""

    def use(ca: Path | None = None, files: TlsFiles | None = None) -> None:
        named = {
            "STEPLINE_TLS_CA": ca,
            "STEPLINE_TLS_CERT": files and files.cert,
            "STEPLINE_TLS_KEY": files and files.key,
        }
        for name, value in named.items():
            if value is None:
                monkeypatch.delenv(name, raising=False)
            else:
                monkeypatch.setenv(name, str(value))

    use()
    return use


def fetch(place: str, ca: Path, files: TlsFiles | None = None) -> int:
    context = ssl.create_default_context(cafile=str(ca))
    if files is not None:
        context.load_cert_chain(files.cert, files.key)
    with urllib.request.urlopen(over_tls(place) + "/ping", context=context, timeout=30) as answer:
        return int(answer.status)


def reachable(place: str) -> bool:
    try:
        with stepline.connect(over_tls(place), timeout=30) as client:
            client.runs()
    except stepline.errors.ServerUnreachable:
        return False
    return True


# --- files that cannot be used ---


def refusal(files: TlsFiles) -> str:
    with pytest.raises(StartupError) as caught:
        Certificates(files)
    return str(caught.value)


def test_files_that_cannot_be_used_are_named_with_the_remedy(
    authority: Authority, tmp_path: Path
) -> None:
    good, other = authority.issue("good"), authority.issue("other")
    Certificates(good)
    empty, text = tmp_path / "empty", tmp_path / "text"
    empty.touch()
    text.write_text("-----BEGIN CERTIFICATE-----\nno\n-----END CERTIFICATE-----\n")
    assert "cannot read --tls-cert" in refusal(TlsFiles(cert=tmp_path / "gone", key=good.key))
    assert "cannot read --tls-key" in refusal(TlsFiles(cert=good.cert, key=tmp_path))
    assert "do not belong together" in refusal(TlsFiles(cert=good.cert, key=other.key))
    for wrong in (empty, text):
        assert "PEM" in refusal(TlsFiles(cert=wrong, key=good.key))
        assert "PEM" in refusal(TlsFiles(cert=good.cert, key=wrong))
        assert "--tls-client-ca" in refusal(TlsFiles(cert=good.cert, key=good.key, client_ca=wrong))
    now = datetime.datetime.now(datetime.timezone.utc)
    day = datetime.timedelta(days=1)
    late = authority.issue("late", not_before=now - 2 * day, not_after=now - day)
    assert "expired" in refusal(late)
    assert "renew it" in refusal(late)
    early = authority.issue("early", not_before=now + day, not_after=now + 2 * day)
    assert "not yet valid" in refusal(early)


def test_a_key_with_a_passphrase_is_refused(authority: Authority, tmp_path: Path) -> None:
    good = authority.issue("good")
    key = tmp_path / "locked.key"
    key.write_text("-----BEGIN ENCRYPTED PRIVATE KEY-----\nx\n-----END ENCRYPTED PRIVATE KEY-----")
    assert "passphrase" in refusal(TlsFiles(cert=good.cert, key=key))


def test_renewed_files_that_are_wrong_leave_the_old_ones_in_use(
    authority: Authority, tmp_path: Path
) -> None:
    now = [0.0]
    files = TlsFiles(cert=tmp_path / "c.pem", key=tmp_path / "c.key")
    first, second = authority.issue("first"), authority.issue("second")
    shutil.copy(first.cert, files.cert)
    shutil.copy(first.key, files.key)
    certificates = Certificates(files, clock=lambda: now[0])
    before = certificates._current()
    shutil.copy(second.cert, files.cert)  # half of the new pair
    now[0] += 2
    assert certificates._current() is before
    shutil.copy(second.key, files.key)
    now[0] += 2
    assert certificates._current().cert == second.cert.read_bytes()
    files.key.unlink()
    now[0] += 2
    assert certificates._current().cert == second.cert.read_bytes()


# --- a service ---


@pytest.fixture(scope="module")
def encrypted(
    authority: Authority, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Service, TlsFiles]]:
    files = authority.issue("service")
    with Guarded(
        tmp_path_factory.mktemp("tls") / "data", "--require-keys", *options(files)
    ) as running:
        yield running, files


def test_every_port_speaks_tls_and_nothing_else(
    encrypted: tuple[Guarded, TlsFiles], authority: Authority, environ: Callable[..., None]
) -> None:
    service, _ = encrypted
    environ(authority.ca)
    with stepline.connect(over_tls(service.grpc), api_key=service.admin) as client:
        client.runs()
    assert fetch(service.sql, authority.ca) == 200
    with pytest.raises(urllib.error.HTTPError) as missing:
        fetch(service.http, authority.ca)
    assert missing.value.code == 404
    missing.value.close()
    request = urllib.request.Request(
        over_tls(service.http) + "/stepline.v1.Runs/ListRuns",
        data=b"{}",
        headers={
            "Content-Type": "application/json",
            "Authorization": f"Bearer {service.admin}",
            "Origin": over_tls(service.http),
        },
    )
    context = ssl.create_default_context(cafile=str(authority.ca))
    with urllib.request.urlopen(request, context=context, timeout=30) as answer:
        assert answer.status == 200
    for place in (service.http, service.sql):
        with pytest.raises((urllib.error.URLError, http.client.HTTPException, ConnectionError)):
            urllib.request.urlopen(f"http://{place}/ping", timeout=30)
    with pytest.raises(stepline.errors.ServerUnreachable) as plain:
        stepline.connect(service.grpc).runs()
    assert "https://" in str(plain.value)


def test_what_a_client_does_not_trust_it_does_not_talk_to(
    encrypted: tuple[Guarded, TlsFiles], environ: Callable[..., None], tmp_path: Path
) -> None:
    service, _ = encrypted
    stranger = Authority(tmp_path / "stranger")
    environ(stranger.ca)
    with pytest.raises(stepline.errors.ServerUnreachable) as unknown:
        stepline.connect(over_tls(service.grpc), api_key=service.admin).runs()
    assert "STEPLINE_TLS_CA" in str(unknown.value)


def test_a_run_over_tls_with_a_key_from_the_trainer_to_the_store(
    encrypted: tuple[Guarded, TlsFiles],
    authority: Authority,
    environ: Callable[..., None],
    spools: Path,
) -> None:
    service, _ = encrypted
    server = over_tls(service.grpc)
    environ(authority.ca)
    env = dict(os.environ)
    key = command(
        "key", "create", "--scope", "ingest", "--project", "tls", server=server,
        api_key=service.admin, extra=env,
    ).strip()  # fmt: skip
    environ(authority.ca)
    for mode in ("online", "offline"):
        run = stepline.init(
            project="tls", run_id=f"tls-{mode}", server=server, api_key=key, dir=spools, mode=mode
        )
        for step in range(100):
            run.log({"loss": step}, step=step)
        report = run.finish(timeout=PATIENCE)
        assert mode == "offline" or report.complete, report
    environ()  # the spool names the CA; the command line does not
    assert "nothing is left" in command("sync", str(spools))
    environ(authority.ca)
    with stepline.connect(server, api_key=service.admin) as client:
        for mode in ("online", "offline"):
            assert len(client.run(f"tls-{mode}").history("loss")) == 100


def test_a_renewed_certificate_serves_without_a_restart(
    authority: Authority, environ: Callable[..., None], tmp_path: Path
) -> None:
    newer = Authority(tmp_path / "newer")
    files = authority.issue("renewed")
    with Service(tmp_path / "data", *options(files)) as service:
        environ(authority.ca)
        assert reachable(service.grpc)
        renewed = newer.issue("renewed")
        for new, old in ((renewed.key, files.key), (renewed.cert, files.cert)):
            shutil.copy(new, f"{old}.new")
            os.replace(f"{old}.new", old)
        environ(newer.ca)
        deadline = time.monotonic() + PATIENCE
        while not reachable(service.grpc):
            assert time.monotonic() < deadline, service.log_tail()
            time.sleep(0.2)
        for place in (service.http, service.sql):
            with pytest.raises(urllib.error.URLError):
                fetch(place, authority.ca)
        assert fetch(service.sql, newer.ca) == 200
        assert service.alive


def test_clients_show_certificates_where_they_are_asked_for(
    authority: Authority, environ: Callable[..., None], tmp_path: Path
) -> None:
    files, client = authority.issue("mutual"), authority.issue("client", "trainer@example.org")
    foreign = Authority(tmp_path / "foreign").issue("client", "trainer@example.org")
    asked = (*options(files), "--tls-client-ca", str(authority.ca))
    with Service(tmp_path / "data", *asked) as service:
        environ(authority.ca, client)
        assert reachable(service.grpc)
        assert fetch(service.sql, authority.ca, client) == 200
        for shown in (None, foreign):
            environ(authority.ca, shown)
            assert not reachable(service.grpc)
            for place in (service.http, service.sql):
                with pytest.raises((urllib.error.URLError, ssl.SSLError, ConnectionError)):
                    fetch(place, authority.ca, shown)


@pytest.mark.parametrize(
    ("given", "words", "code"),
    [
        (("--host", "0.0.0.0"), "--tls-cert", 2),
        (("--tls-cert", "x.pem"), "both", 2),
        (("--tls-client-ca", "x.pem"), "both", 2),
        (("--tls-cert", "gone.pem", "--tls-key", "gone.key"), "cannot read --tls-cert", 1),
    ],
)
def test_a_service_that_cannot_be_safe_does_not_start(
    tmp_path: Path, given: tuple[str, ...], words: str, code: int
) -> None:
    arguments = [sys.executable, "-m", "stepline_ingest", "--data", str(tmp_path / "d"), *given]
    ended = subprocess.run(arguments, capture_output=True, text=True, timeout=120)
    assert ended.returncode == code
    assert words in ended.stderr.splitlines()[-1]
    assert "Traceback" not in ended.stderr


def test_off_loopback_with_tls_every_call_needs_a_key(
    authority: Authority, environ: Callable[..., None], tmp_path: Path
) -> None:
    files = authority.issue("open", "localhost", "127.0.0.1", "0.0.0.0")
    with Guarded(tmp_path / "data", *options(files), host="0.0.0.0") as service:
        environ(authority.ca)
        with stepline.connect(over_tls(service.grpc), api_key=service.admin) as client:
            client.runs()
        with pytest.raises(stepline.errors.AccessDenied):
            stepline.connect(over_tls(service.grpc)).runs()


def test_a_client_sends_nothing_in_the_clear_unless_told(
    environ: Callable[..., None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("STEPLINE_INSECURE", raising=False)
    for call in (
        lambda: stepline.connect("gpu-1.example:7424"),
        lambda: stepline.init(server="gpu-1.example:7424", dir=tmp_path),
    ):
        with pytest.raises(stepline.errors.InvalidRequest) as caught:
            call()
        assert "https://gpu-1.example:7424" in str(caught.value)
    assert stepline.connect("http://gpu-1.example:7424").server == "http://gpu-1.example:7424"
    monkeypatch.setenv("STEPLINE_INSECURE", "1")
    assert stepline.connect("gpu-1.example:7424").server == "http://gpu-1.example:7424"

"""The committed Python code and the baseline belong to proto/. The Rust twin is a test of xtask."""

from __future__ import annotations

from pathlib import Path

from google.protobuf.descriptor_pb2 import FileDescriptorSet

from tools import gen_proto

PROTO = Path(gen_proto.PROTO)


def test_generated_python_is_what_proto_gives() -> None:
    assert gen_proto.stale() == []


def test_a_changed_file_is_noticed(tmp_path: Path) -> None:
    gen_proto.render(tmp_path)
    fresh = gen_proto.contents(tmp_path)
    (tmp_path / "stepline" / "v1" / "ingest_pb2.py").write_text("# edited by hand\n")
    assert gen_proto.contents(tmp_path) != fresh


def test_the_generated_package_never_imports_the_client() -> None:
    code = "".join(gen_proto.contents(gen_proto.TARGET).values())
    assert "from stepline." not in code
    assert "import stepline" not in code


def test_the_baseline_knows_every_service() -> None:
    baseline = FileDescriptorSet.FromString((PROTO / "baseline.binpb").read_bytes())
    services = {service.name for file in baseline.file for service in file.service}
    assert services == {"Ingest", "Runs", "Query"}

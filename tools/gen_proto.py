"""Python code from proto/: `python tools/gen_proto.py [--check]`.

The package that protoc would give it, `stepline.v1`, is the client's, so the code lives in
`stepline_ingest.gen.stepline.v1` and its imports are made relative. The result is committed;
`--check` proves that it is current. The Rust twin is `cargo run -p xtask -- proto`.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from importlib.resources import files
from pathlib import Path

from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent.parent
PROTO = ROOT / "proto"
TARGET = ROOT / "ingest" / "stepline_ingest" / "gen"
HEADER = "# Generated from proto/ by `make proto`. Do not edit.\n"
PACKAGE_IMPORT = re.compile(r"^from stepline\.v1 import ", re.MULTILINE)


def render(out: Path) -> None:
    """Writes everything that belongs under TARGET to OUT."""
    protos = sorted(str(path.relative_to(PROTO)) for path in PROTO.rglob("*.proto"))
    well_known = files("grpc_tools") / "_proto"
    failed = protoc.main(
        [
            "protoc",
            f"--proto_path={PROTO}",
            f"--proto_path={well_known}",
            f"--python_out={out}",
            f"--pyi_out={out}",
            f"--grpc_python_out={out}",
            *protos,
        ]
    )
    if failed:
        sys.exit(f"protoc refused proto/ (exit code {failed}): its message is above")
    for path in [*out.rglob("*.py"), *out.rglob("*.pyi")]:
        code = path.read_text()
        path.write_text(HEADER + PACKAGE_IMPORT.sub("from . import ", code))
    for folder in [out, *(path for path in out.rglob("*") if path.is_dir())]:
        (folder / "__init__.py").write_text(HEADER)


def contents(folder: Path) -> dict[str, str]:
    """Text by path below FOLDER, of generated files only."""
    found = [path for path in folder.rglob("*") if path.suffix in {".py", ".pyi"}]
    return {str(path.relative_to(folder)): path.read_text() for path in found}


def stale() -> list[str]:
    """The files that differ from what proto/ gives, by path below TARGET."""
    with tempfile.TemporaryDirectory() as scratch:
        render(Path(scratch))
        wanted = contents(Path(scratch))
    have = contents(TARGET)
    return sorted(
        name for name in wanted.keys() | have.keys() if wanted.get(name) != have.get(name)
    )


def write() -> None:
    """Makes TARGET what proto/ gives, and nothing more."""
    with tempfile.TemporaryDirectory() as scratch:
        render(Path(scratch))
        wanted = contents(Path(scratch))
    for name in contents(TARGET).keys() - wanted.keys():
        (TARGET / name).unlink()
    for name, code in wanted.items():
        path = TARGET / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(code)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing, fail when stale")
    if not parser.parse_args().check:
        write()
        return
    names = stale()
    if names:
        sys.exit(
            f"{TARGET.relative_to(ROOT)} is not what proto/ gives ({', '.join(names)}): "
            "run `make proto` and commit the result"
        )


if __name__ == "__main__":
    main()

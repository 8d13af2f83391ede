"""What is vendored is what the manifest says."""

import hashlib
import json
from pathlib import Path

import pytest

VENDOR = Path(__file__).resolve().parents[2] / "static" / "vendor"
MANIFEST = json.loads((VENDOR / "manifest.json").read_text())


@pytest.mark.parametrize("package", sorted(MANIFEST))
def test_each_vendored_file_has_the_recorded_checksum(package: str) -> None:
    found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (VENDOR / package).iterdir()}
    assert found == MANIFEST[package]["files"]


def test_every_vendored_package_brings_its_licence() -> None:
    assert all("LICENSE" in entry["files"] for entry in MANIFEST.values())


def test_nothing_lies_in_the_vendor_directory_that_the_manifest_does_not_name() -> None:
    assert {path.name for path in VENDOR.iterdir()} == {*MANIFEST, "manifest.json"}

"""Fixtures every test may use."""

import os
from pathlib import Path

import pytest

PROJECT_DIR = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def project_dir() -> Path:
    """Root of the project."""
    return PROJECT_DIR


@pytest.fixture(scope="session")
def corpora_dir() -> Path:
    """Directory of the public test corpora; the test is skipped where there is none."""
    path = Path(os.environ.get("CORPORA_DIR") or PROJECT_DIR.parent / "shared" / "data")
    if not path.is_dir():
        pytest.skip("no corpora: set CORPORA_DIR")
    return path

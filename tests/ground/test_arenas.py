"""Forks get as few arenas of the allocator as their environment asks for."""

import subprocess
import sys

import pytest

PROGRAM = """
import threading
from aivillage_console.forking import limit_arenas

told = limit_arenas({most})
begun, done = threading.Barrier(13), threading.Barrier(13)

def allocate():
    begun.wait()
    kept = [bytes(5_000) for _ in range(2_000)]
    done.wait()
    del kept

threads = [threading.Thread(target=allocate) for _ in range(12)]
for thread in threads:
    thread.start()
begun.wait()
done.wait()
import ctypes
ctypes.CDLL(None).malloc_stats()
print(told)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc has arenas")
@pytest.mark.parametrize(("most", "told"), [(0, "False"), (2, "True")])
def test_threads_share_the_arenas_that_are_allowed(most: int, told: str):
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(most=most)], capture_output=True, text=True, check=True, timeout=60
    )
    arenas = [line for line in ran.stderr.splitlines() if line.startswith("Arena ")]
    assert ran.stdout.strip() == told
    assert len(arenas) == 2 if most else len(arenas) > 2

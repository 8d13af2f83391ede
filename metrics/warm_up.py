"""Compile every kernel once, so that processes only load them from numba's disk cache: `python -m metrics.warm_up`."""

import importlib
from pathlib import Path

TREE = Path(__file__).resolve().parent


def kernel_modules() -> list[str]:
    """Return the dotted names of all `kernels.py` files of this app."""
    paths = sorted(TREE.rglob("kernels.py"))
    return [".".join(path.relative_to(TREE.parent).with_suffix("").parts) for path in paths]


def main() -> None:
    """Import each kernel module and let it compile what it declares."""
    for name in kernel_modules():
        importlib.import_module(name).warm_up()


if __name__ == "__main__":
    main()

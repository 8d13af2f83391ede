"""Registration of new series by remote write: series a second of processor time, and the memory it leaves.

Every request brings series nobody has seen, one sample each. The processor time is that of the receiver (for the
console of web and PostgreSQL together), not the sender's. The console waits for the disk before it answers.
"""

from urllib.parse import urlsplit

import psutil

from bench import peers, roles
from bench.harness import report_from_arguments, running_console
from bench.ingest import CONNECTIONS, LIMITS, Product, counters, cpu_seconds, grid, named
from bench.remote_write import Target, bodies, send

SIZES = (500, 2_000, 10_000)


def registered(product: Product, size: int, series: int) -> float:
    """Return thousand new series a second of processor time."""
    fresh = [
        {**labels, "size": str(size)}
        for number in range(10)
        for labels in named(f"fresh_{size}_{number}_total", series // 10)
    ]
    requests = bodies(fresh, counters(len(fresh), 1), grid(1), size)
    before = product.cpu_seconds()
    send(product.target, requests, connections=CONNECTIONS)
    return series / max(product.cpu_seconds() - before, 0.01) / 1_000


def measure(product: Product, *, quick: bool) -> dict[str, float]:
    """Return the figures that are comparable between products."""
    # The first requests of a process pay for what is loaded once.
    registered(product, 100, 1_000)
    series = 20_000 if quick else 100_000
    return {f"new series, {size:,} a request (k/s/core)": registered(product, size, series) for size in SIZES}


def main() -> None:
    """Print all figures."""
    report = report_from_arguments("new_series", __doc__ or "")
    others = {}
    for name in peers.installed():
        with peers.running(name) as peer:
            product = Product(name, Target(peer.port), peer.cpu_seconds)
            others[f"{name} {peers.version(name)}"] = measure(product, quick=report.quick)
    with running_console(LIMITS) as console:
        made = roles.furnish(roles.environment(console), {"scopes": ["ingest:metrics"]})
        target = Target(urlsplit(console.url).port or 80, token=made["token"])
        product = Product("console", target, lambda: cpu_seconds(console))
        for label, value in measure(product, quick=report.quick).items():
            report.figure(label, value, peers={name: figures[label] for name, figures in others.items()})
        web: list[psutil.Process] = roles.by_role(console).get("web", [])
        report.figure("memory (PSS) of web after it", sum(one.memory_full_info().pss for one in web) / (1 << 20), "MiB")
    report.finish()


if __name__ == "__main__":
    main()

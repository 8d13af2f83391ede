"""Time an operation: as a decorator, or as a block that also counts how it ended."""

import functools
import inspect
import time
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, ParamSpec, TypeVar, cast

import psutil

from aivillage_observability.observability import ObservabilitySystem
from aivillage_observability.recorder import Labels

P = ParamSpec("P")
T = TypeVar("T")

BYTES_PER_MB = 1_000_000.0


class _Timed:
    """One call of a timed operation."""

    def __init__(self, observability: ObservabilitySystem, operation_name: str) -> None:
        self._metrics = observability.metrics
        self._name = operation_name

    def __enter__(self) -> None:
        self._began = time.perf_counter()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        labels = {"success": kind is None, "error_type": "none" if kind is None else kind.__name__}
        self._metrics.record_timer(self._name, (time.perf_counter() - self._began) * 1000.0, labels)
        self._metrics.record_counter(f"{self._name}_operations_total", 1.0, labels)


def timed_operation(
    observability: ObservabilitySystem, operation_name: str
) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Record `<op>_duration_ms` and `<op>_operations_total` for every call of a function, plain or async."""

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        if inspect.iscoroutinefunction(function):
            waited = cast("Callable[P, Awaitable[Any]]", function)

            @functools.wraps(function)
            async def call_async(*args: P.args, **kwargs: P.kwargs) -> Any:
                with _Timed(observability, operation_name):
                    return await waited(*args, **kwargs)

            return cast("Callable[P, T]", call_async)

        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> T:
            with _Timed(observability, operation_name):
                return function(*args, **kwargs)

        return call

    return decorate


class monitored_operation:  # noqa: N801  (used as a function, and services already call it by this name)
    """Count an operation as started, then completed or failed, with its duration and the memory it kept.

    Works with `with` and `async with`; yields `{"operation_name", "start_time"}`.
    """

    def __init__(self, observability: ObservabilitySystem, operation_name: str, **labels: object) -> None:
        self._metrics = observability.metrics
        self._name = operation_name
        self._labels: Labels = labels

    def __enter__(self) -> dict[str, object]:
        self._process = psutil.Process()
        self._resident_bytes = self._process.memory_info().rss
        self._began = time.perf_counter()
        self._metrics.record_counter(f"{self._name}_started_total", 1.0, self._labels)
        return {"operation_name": self._name, "start_time": time.time()}

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        duration_ms = (time.perf_counter() - self._began) * 1000.0
        kept_mb = (self._process.memory_info().rss - self._resident_bytes) / BYTES_PER_MB
        if kind is None:
            self._metrics.record_counter(f"{self._name}_completed_total", 1.0, {**self._labels, "status": "success"})
        else:
            failed = {**self._labels, "status": "failed", "error": kind.__name__}
            self._metrics.record_counter(f"{self._name}_failed_total", 1.0, failed)
        self._metrics.record_timer(self._name, duration_ms, self._labels)
        self._metrics.record_histogram(f"{self._name}_memory_delta_mb", kept_mb, self._labels)

    async def __aenter__(self) -> dict[str, object]:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, traceback)

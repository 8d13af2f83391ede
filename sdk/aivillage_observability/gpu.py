"""Reads NVIDIA devices where there are any: through NVML's Python binding, else through nvidia-smi."""

import importlib
import importlib.util
import shutil
import subprocess
from collections.abc import Callable
from typing import Any

from aivillage_observability.system_rows import Gpu

MIB = 1024.0 * 1024.0
SMI_FIELDS = "index,name,memory.used,memory.reserved,memory.total,utilization.gpu,temperature.gpu"
SMI_TIMEOUT_SECONDS = 3.0

ReadGpus = Callable[[], list[Gpu]]


def find_reader() -> ReadGpus | None:
    """Return a function that reads the devices, or None on a host without any."""
    if importlib.util.find_spec("pynvml") is not None:
        nvml: Any = importlib.import_module("pynvml")
        try:
            nvml.nvmlInit()
        except nvml.NVMLError:
            # The binding is installed and the driver is not, which is common in images made for both.
            nvml = None
        if nvml is not None:
            return lambda: read_nvml(nvml)
    program = shutil.which("nvidia-smi")
    return None if program is None else lambda: read_smi(program)


def read_nvml(nvml: Any) -> list[Gpu]:
    """Read every device through an initialised NVML binding; an error of the driver gives none."""
    try:
        return [_nvml_device(nvml, index) for index in range(nvml.nvmlDeviceGetCount())]
    except nvml.NVMLError:
        return []


def _nvml_device(nvml: Any, index: int) -> Gpu:
    handle = nvml.nvmlDeviceGetHandleByIndex(index)
    memory = nvml.nvmlDeviceGetMemoryInfo(handle)
    name = nvml.nvmlDeviceGetName(handle)
    return Gpu(
        device=str(index),
        # Older bindings give bytes.
        name=name.decode() if isinstance(name, bytes) else str(name),
        used=float(memory.used),
        total=float(memory.total),
        busy_percent=float(nvml.nvmlDeviceGetUtilizationRates(handle).gpu),
        celsius=float(nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU)),
    )


def read_smi(program: str) -> list[Gpu]:
    """Read every device with nvidia-smi; an error of the program gives none."""
    command = [program, f"--query-gpu={SMI_FIELDS}", "--format=csv,noheader,nounits"]
    try:
        run = subprocess.run(command, capture_output=True, text=True, timeout=SMI_TIMEOUT_SECONDS, check=True)  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return []
    return parse_smi(run.stdout)


def parse_smi(text: str) -> list[Gpu]:
    """Return the devices of nvidia-smi's table; `[N/A]` and `[Not Supported]` become None."""
    devices = []
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.split(",")]
        if len(cells) != len(SMI_FIELDS.split(",")):
            continue
        used, reserved, total, busy, celsius = (_number(cell) for cell in cells[2:])
        memory = [None if size is None else size * MIB for size in (used, reserved, total)]
        devices.append(Gpu(cells[0], cells[1], memory[0], memory[1], memory[2], busy, celsius))
    return devices


def _number(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return None

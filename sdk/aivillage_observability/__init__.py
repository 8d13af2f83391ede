"""What a service imports to be watched by the AIVillage Console."""

from aivillage_observability.health import HealthReporter
from aivillage_observability.observability import ObservabilitySystem
from aivillage_observability.operations import monitored_operation, timed_operation
from aivillage_observability.pipeline import PipelinePhase, PipelineRun
from aivillage_observability.pipeline_sender import PipelineSender
from aivillage_observability.system_collector import SystemMetricsCollector

__all__ = [
    "HealthReporter",
    "ObservabilitySystem",
    "PipelinePhase",
    "PipelineRun",
    "PipelineSender",
    "SystemMetricsCollector",
    "monitored_operation",
    "timed_operation",
]

"""The tables of Agent Forge, entry by entry, and the arithmetic over them."""

import math
from datetime import UTC, datetime, timedelta

import pytest

from forge_dashboard import catalogue, timing
from forge_dashboard.catalogue import GATES, INTAKE_STATES, PHASES, Gate, PhaseState, RunState
from forge_dashboard.failures import headline, last_frame, signature

NOW = datetime(2026, 11, 21, tzinfo=UTC)
NAMES = [(name, phase.id) for phase in PHASES for name in (phase.id, phase.display, *phase.aliases)]


def test_there_are_eight_phases_in_order_and_the_first_is_optional() -> None:
    ids = [
        "cognate", "evomerge", "quietstar", "bitnet", "forge_training", "tool_persona_baking", "adas",
        "final_compression",
    ]  # fmt: skip
    assert [phase.id for phase in PHASES] == ids
    assert list(catalogue.DEFAULT_PHASES) == ids[1:]


@pytest.mark.parametrize(("name", "phase"), NAMES)
def test_every_name_of_a_phase_is_known_however_it_is_written(name: str, phase: str) -> None:
    assert {catalogue.phase_id(said) for said in (name, name.upper(), f" {name} ", name.replace("_", "-"))} == {phase}
    assert catalogue.display(phase) in {known.display for known in PHASES}


def test_no_name_means_two_phases() -> None:
    assert len({name.lower() for name, _ in NAMES if name != "cognate"}) >= len(catalogue._SPELLINGS) - 1
    assert len(catalogue._SPELLINGS) == len({catalogue._plain(name) for name, _ in NAMES})


def test_a_name_nobody_knows_is_a_phase_of_its_own() -> None:
    assert (catalogue.phase_id(" My phase "), catalogue.display("my_phase")) == ("My phase", "my phase")
    assert len(catalogue.phase_id("x" * 500)) == 64


def test_phases_stand_as_planned_then_as_in_the_pipeline_then_by_name() -> None:
    assert list(catalogue.positions(["adas", "zeta"], ["bitnet", "adas", "alpha", "evomerge"])) == [
        "adas", "zeta", "evomerge", "bitnet", "alpha",
    ]  # fmt: skip
    assert catalogue.positions([], ["zeta", "adas", "cognate"]) == {"cognate": 0, "adas": 1, "zeta": 2}


@pytest.mark.parametrize("word", [*INTAKE_STATES, *(state.value for state in PhaseState)])
def test_every_word_of_a_phase_means_a_state(word: str) -> None:
    state, flag = catalogue.intake_state(word.upper().replace("_", "-"), PhaseState)
    assert state == INTAKE_STATES.get(word, (word, ""))[0]
    assert flag == ("stub" if "stub" in word else "")


@pytest.mark.parametrize("word", ["pending", "skipped", "ready", "stub_detected", "", "exploded"])
def test_words_a_run_cannot_have_are_refused_with_those_it_can(word: str) -> None:
    with pytest.raises(ValueError, match="send queued, running, paused, succeeded, failed, cancelled"):
        catalogue.intake_state(word, RunState)


@pytest.mark.parametrize("gate", GATES, ids=lambda gate: gate.id)
def test_a_gate_passes_at_its_bounds_and_fails_beyond_each(gate: Gate) -> None:
    at = {bound.metric: bound.limit for bound in gate.bounds}
    assert catalogue.gate_judge(gate, at) == ("passed", [])
    for bound in gate.bounds:
        beyond = bound.limit + (0.001 if bound.at_most else -0.001)
        for value, said in ((beyond, "is"), (None, "is missing"), ("high", "is not a number"), (math.nan, "not a")):
            state, reasons = catalogue.gate_judge(gate, {**at, bound.metric: value})
            assert (state, len(reasons)) == ("failed", 1)
            assert said in reasons[0]
            assert bound.text in reasons[0]
    assert len(catalogue.gate_judge(gate, {})[1]) == len(gate.bounds)
    assert catalogue.gate_named(gate.display.upper()) is gate


def test_the_limits_are_those_of_the_domain() -> None:
    limits = {gate.id: [bound.limit for bound in gate.bounds] for gate in GATES}
    assert limits == {
        "theater_elimination": [0.3, 0.7, 0.8], "reasoning_quality": [0.75, 0.6, 0.8],
        "compression_efficiency": [6.3, 0.95, 0.8], "performance_validation": [0.3, 0.4, 0.9],
        "training_convergence": [0.8, 0.9, 0.15], "nasa_pot10": [0.95, 0.9, 0.85, 0.8],
    }  # fmt: skip
    assert catalogue.gate_named("house rule") is None


@pytest.mark.parametrize(
    ("loss", "accuracy", "edge", "short"),
    [(1.99, 0.71, True, 0), (2.0, 0.71, True, 1), (1.0, 0.7, True, 1), (1.0, 0.9, False, 1), (None, None, None, 3)],
)
def test_a_training_succeeded_by_three_conditions(
    loss: float | None, accuracy: float | None, edge: bool | None, short: int
) -> None:
    metrics = {"final_loss": loss, "final_accuracy": accuracy, "edge_in_target_zone": edge}
    assert len(catalogue.training_shortfalls(metrics)) == short
    assert len(catalogue.shortfalls("forge_training", metrics)) == short
    assert catalogue.shortfalls("forge_training", {"final_loss": 9}) == []


@pytest.mark.parametrize(
    ("metrics", "ratio"),
    [
        ({"compression_ratio": 7.9}, 7.9), ({"total_compression_ratio": 20, "compression_ratio": 8}, 20.0),
        ({"original_size_mb": 100, "compressed_size_mb": 25}, 4.0), ({"original_size_mb": 100}, None),
        ({"original_size_mb": 100, "compressed_size_mb": 0}, None), ({"compression_ratio": -1}, None), ({}, None),
    ],
)  # fmt: skip
def test_compression_is_original_by_compressed(metrics: dict[str, float], ratio: float | None) -> None:
    assert catalogue.compression_ratio(metrics) == ratio
    expected = [] if ratio is None or ratio >= 2 else ["total_compression_ratio >= 2"]
    assert catalogue.shortfalls("final_compression", metrics) == expected


def test_ratios_are_told_by_type() -> None:
    metrics = {
        "total_compression_ratio": 20,
        "seedlm_ratio": 4,
        "vptq_compression_ratio": 2,
        "hypercompression_ratio": 0,
    }
    assert catalogue.compression_ratios("final_compression", metrics) == {"total": 20.0, "seedlm": 4.0, "vptq": 2.0}
    assert catalogue.compression_ratios("bitnet", {"compression_ratio": 8, "vptq_ratio": 3}) == {"bitnet": 8.0}
    assert catalogue.compression_ratios("adas", {"compression_ratio": 8}) == {}


@pytest.mark.parametrize(
    ("counts", "name"),
    [
        ((0, 0, 0), "active"),
        ((7, 7, 0), "completed"),
        ((7, 6, 1), "failed"),
        ((7, 6, 0), "active"),
        ((0, 0, 1), "failed"),
    ],
)
def test_nothing_attempted_is_never_completed(counts: tuple[int, int, int], name: str) -> None:
    assert catalogue.run_class(*counts) == name


def test_a_band_is_the_usual_half_and_nine_in_ten() -> None:
    band = timing.band(range(11))
    assert band is not None
    assert (band.p50_seconds, band.p90_seconds, band.count) == (5, 9, 11)
    assert timing.band([]) is None
    assert timing.band([7]) == timing.Band(7, 7, 1)


@pytest.mark.parametrize("progress", [None, 0.0, 0.01, 0.3, 0.9, 1.0, 7.0])
@pytest.mark.parametrize("usual", [None, timing.Band(100, 200, 5)])
@pytest.mark.parametrize("elapsed", [0.0, 50.0, 500.0])
def test_an_estimate_is_a_range_that_never_lies_in_the_past(
    progress: float | None, usual: timing.Band | None, elapsed: float
) -> None:
    told = timing.remaining(elapsed, progress, usual)
    if usual is None and (progress or 0) < timing.LEAST_PROGRESS:
        assert told is None
        return
    assert told is not None
    assert 0 <= told.low_seconds <= told.high_seconds
    assert told.ends(NOW)[0] >= NOW
    assert told.basis


def test_what_is_nearly_done_is_told_by_its_own_pace() -> None:
    told = timing.remaining(90, 0.9, timing.Band(1_000, 2_000, 50))
    assert told is not None
    assert told.low_seconds <= 10 <= told.high_seconds < 250
    assert timing.not_begun(timing.Band(10, 20, 1)) == timing.Estimate(10, 20, "1 earlier run")
    assert timing.not_begun(None) is None


@pytest.mark.parametrize(
    ("state", "silent", "interval", "stalled"),
    [
        ("running", 300, None, True), ("running", 299, None, False), ("running", 599, 60, False),
        ("running", 600, 60, True), ("paused", 9_999, None, False), ("succeeded", 9_999, None, False),
        ("running", 300, 1, True),
    ],
)  # fmt: skip
def test_silence_makes_a_run_stalled(state: str, silent: int, interval: float | None, stalled: bool) -> None:
    assert timing.is_stalled(state, NOW - timedelta(seconds=silent), interval, NOW) is stalled
    assert timing.is_stalled(state, None, interval, NOW) is False


STACK = (
    'Traceback (most recent call last):\n  File "/srv/a.py", line 3, in f\n    x\nmodel.ShapeError: (3, 4) at 0x7f\n'
)


def test_an_error_is_named_by_its_last_exception() -> None:
    assert headline(STACK) == "model.ShapeError: (3, 4) at 0x7f"
    assert headline("ratio is 1.2\nmore") == "ratio is 1.2"
    assert headline("") == headline(" \n ") == ""
    assert last_frame(STACK) == "/srv/a.py:3"
    assert last_frame("ratio") == ""


def test_two_errors_of_one_cause_share_a_signature() -> None:
    assert signature(STACK) == signature(STACK.replace("3, 4", "5, 62").replace("0x7f", "0xdeadbeef"))
    assert signature("KeyError: 'a'") == signature("KeyError: 'b'") != signature("ValueError: 'a'")

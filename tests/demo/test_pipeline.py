"""The demo's phases on a tiny budget: what they report is what they measured."""

import hashlib
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote, urlsplit

import numpy as np
import pytest

from demo.pipeline import codecs, merging, ternary
from demo.pipeline.language import draw
from demo.pipeline.network import Model, Shape, evaluate, fresh, gradients
from demo.pipeline.phases.adas import Candidate, by_rank, pareto_front
from demo.pipeline.phases.quietstar import Trial
from demo.pipeline.runner import PHASES, Outcome, Plan, run
from demo.pipeline.stage import Stage
from demo.pipeline.training import Optimizer, train
from tests.demo.recording import Recording

EFFORT = 0.15


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[Recording, Outcome, Path]:
    """Return the rows and the outcome of one whole run."""
    folder, recording = tmp_path_factory.mktemp("a run with a space"), Recording()
    outcome = run(Plan("run-1", folder, effort=EFFORT), recording, lambda *_: None)
    return recording, outcome, folder


def test_a_run_goes_through_the_seven_phases_in_order(told: tuple[Recording, Outcome, Path]) -> None:
    recording, outcome, _ = told
    assert outcome.succeeded
    started = [row["phase"] for row in recording.of("phase") if row["state"] == "running"]
    assert started == list(PHASES)
    assert [row["state"] for row in recording.of("run")] == ["running", "succeeded"]
    assert recording.of("run")[0]["data"]["phases"] == list(PHASES)


def test_fitness_is_what_the_merged_model_measures(told: tuple[Recording, Outcome, Path]) -> None:
    recording, outcome, folder = told
    weights = np.load(folder / "evomerge" / "merged.npz")
    stage = Stage(7, EFFORT)
    score = evaluate(Model(stage.model.shape, {name: weights[name] for name in weights.files}), stage.held_out)
    assert outcome.figures["evomerge"]["final_fitness"] == pytest.approx(np.mean(score.by_skill))
    curve = [row["metrics"]["fitness"] for row in recording.of("metrics", "evomerge") if "fitness" in row["metrics"]]
    assert all(later >= earlier for earlier, later in pairwise(curve))
    assert curve[-1] == pytest.approx(outcome.figures["evomerge"]["final_fitness"], rel=1e-5)


def test_ratios_are_those_of_real_bytes(told: tuple[Recording, Outcome, Path]) -> None:
    _, outcome, folder = told
    for phase, file, name in (
        ("bitnet", "model.trits", "compression_ratio"),
        ("final_compression", "model.compressed", "total_compression_ratio"),
    ):
        figures = outcome.figures[phase]
        size = (folder / phase / file).stat().st_size
        assert size == pytest.approx(float(figures["compressed_size_mb"]) * 1e6)
        assert figures[name] == pytest.approx(float(figures["original_size_mb"]) * 1e6 / size)
    assert float(outcome.figures["final_compression"]["total_compression_ratio"]) > 10


def test_artifacts_tell_the_size_and_hash_of_their_files(told: tuple[Recording, Outcome, Path]) -> None:
    recording, _, _ = told
    artifacts = [row["data"] for row in recording.of("artifact")]
    assert {"merge_recipe", "compression_results", "pareto_front"} <= {data["type"] for data in artifacts}
    for data in artifacts:
        content = Path(unquote(urlsplit(data["url"]).path)).read_bytes()
        assert (data["size_bytes"], data["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())


def test_gates_carry_the_metrics_the_console_judges(told: tuple[Recording, Outcome, Path]) -> None:
    gates = {row["data"]["name"]: set(row["metrics"]) for row in told[0].of("gate")}
    assert gates == {
        "Theater Elimination": {"theater_score", "implementation_depth", "reality_validation"},
        "Reasoning Quality": {"reasoning_coherence", "thought_depth", "integration_quality"},
        "Compression Efficiency": {"ratio", "accuracy_retention", "memory_reduction"},
        "Training Convergence": {"convergence_rate", "final_accuracy", "grokfast_effectiveness"},
    }


def test_training_stays_at_the_edge_and_tells_its_curves(told: tuple[Recording, Outcome, Path]) -> None:
    recording, outcome, _ = told
    points = [
        row["metrics"] for row in recording.of("metrics", "forge_training") if "grokfast_lambda" in row["metrics"]
    ]
    assert {"loss", "accuracy", "success_rate", "edge_difficulty"} <= set(points[0])
    assert points[0]["grokfast_lambda"] < points[-1]["grokfast_lambda"] <= 0.25
    assert outcome.figures["forge_training"]["edge_in_target_zone"] is True


def test_the_same_seed_gives_the_same_figures(tmp_path: Path) -> None:
    first, second = (
        run(Plan(name, tmp_path / name, effort=0.03, only=("evomerge", "bitnet")), Recording(), lambda *_: None)
        for name in ("one", "two")
    )
    assert first.figures == second.figures


@pytest.mark.parametrize("phase", ["evomerge", "forge_training", "final_compression"])
def test_a_phase_that_shall_fail_fails_by_what_it_measures(phase: str, tmp_path: Path) -> None:
    recording = Recording()
    plan = Plan(
        "run-2", tmp_path, effort=0.03, fail_phase=phase, only=("evomerge", phase) if phase != "evomerge" else (phase,)
    )
    outcome = run(plan, recording, lambda *_: None)
    assert (outcome.succeeded, outcome.failed_phase) == (False, phase)
    failed = recording.of("phase", phase)[-1]
    assert failed["state"] == "failed"
    assert "Traceback" in failed["error"]
    assert recording.of("run")[-1]["state"] == "failed"


def test_loss_falls_when_a_model_trains() -> None:
    rng = np.random.default_rng(3)
    model, held_out = fresh(Shape(hidden=48), rng), draw(np.random.default_rng(4), 500)
    before = evaluate(model, held_out)
    for _ in train(model, Optimizer(3e-3, grokfast_lambda=0.1), rng, 200):
        pass
    assert evaluate(model, held_out).loss < before.loss / 1.5


@pytest.mark.parametrize(("activation", "thoughts"), [("relu", 0), ("tanh", 3)])
def test_gradients_are_those_of_the_loss(activation: str, thoughts: int) -> None:
    rng = np.random.default_rng(5)
    model = fresh(Shape(hidden=24, activation=activation, thoughts=thoughts), rng)
    samples = draw(rng, 64)
    _, _, found = gradients(model, samples)
    for name, gradient in found.items():
        place = np.unravel_index(np.abs(gradient).argmax(), gradient.shape)
        nudged = []
        for step in (1e-2, -1e-2):
            moved = model.copy()
            moved.weights[name][place] += step
            nudged.append(evaluate(moved, samples).loss)
        assert (nudged[0] - nudged[1]) / 2e-2 == pytest.approx(gradient[place], rel=0.08), name


def test_trits_survive_packing() -> None:
    weight = np.random.default_rng(6).standard_normal((37, 19)).astype(np.float32)
    data = ternary.packed(weight)
    assert np.allclose(ternary.unpacked(data, weight.shape), ternary.ternary(weight))
    assert len(data) < weight.nbytes / 15


def test_vector_codes_of_trits_lose_nothing_and_entropy_coding_neither() -> None:
    rng = np.random.default_rng(8)
    weight = rng.standard_normal((64, 32)).astype(np.float32)
    trits, scales = ternary.quantise(weight)
    coded = codecs.vector_encoded(trits.astype(np.float32), scales, weight.shape, rng)
    assert np.allclose(codecs.vector_decoded(coded, ternary.GROUP), ternary.ternary(weight))
    assert codecs.entropy_decoded(codecs.entropy_encoded(coded.data())) == coded.data()


def test_seeds_come_close_to_what_they_stand_for() -> None:
    weight = np.random.default_rng(9).standard_normal((32, 16)).astype(np.float32)
    seeded = codecs.seed_encoded(weight)
    missed = np.linalg.norm(codecs.seed_decoded(seeded) - weight) / np.linalg.norm(weight)
    assert missed < 0.3
    assert len(seeded.data()) < weight.nbytes / 5


@pytest.mark.parametrize("technique", merging.TECHNIQUES)
def test_merging_a_model_with_itself_gives_it_back(technique: str) -> None:
    rng = np.random.default_rng(10)
    base = {"w0": rng.standard_normal((16, 16)).astype(np.float32)}
    parent = {"w0": base["w0"] + rng.standard_normal((16, 16)).astype(np.float32)}
    recipe = merging.Recipe(technique, (0.5, 0.5), density=1.0)
    assert np.allclose(merging.merged(recipe, base, [parent, parent])["w0"], parent["w0"], atol=1e-5)


def test_ties_leaves_out_changes_that_lose_the_vote() -> None:
    changes = [np.float32([[1.0, -3.0]]), np.float32([[1.0, 1.0]])]
    assert np.allclose(merging.ties((0.5, 0.5), 1.0, changes), [[1.0, -3.0]])


def test_the_front_holds_whom_nobody_beats_in_both() -> None:
    shape = Shape()
    small, middle, big = Candidate(shape, 0.5, 10), Candidate(shape, 0.7, 20), Candidate(shape, 0.9, 30)
    worse = Candidate(shape, 0.6, 25)
    assert pareto_front([worse, big, small, middle]) == [small, middle, big]
    assert by_rank([worse, big, small, middle])[-1] == worse


def test_a_coin_flip_wins_no_trial() -> None:
    held_out = draw(np.random.default_rng(11), 400)
    score = evaluate(fresh(Shape(hidden=16), np.random.default_rng(12)), held_out)
    trial = Trial(score, score)
    assert (trial.p_value, trial.winner, trial.improvement_percent) == (1.0, "none", 0.0)

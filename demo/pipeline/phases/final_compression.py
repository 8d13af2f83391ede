"""Final compression: SeedLM for what is not ternary, VPTQ for what is, then entropy coding; checked by decoding it."""

from dataclasses import dataclass

import numpy as np

from demo.pipeline.codecs import (
    entropy_decoded,
    entropy_encoded,
    seed_decoded,
    seed_encoded,
    vector_decoded,
    vector_encoded,
)
from demo.pipeline.language import Array
from demo.pipeline.network import Model, Weights, evaluate, is_matrix
from demo.pipeline.stage import PhaseFailed, Stage
from demo.pipeline.ternary import GROUP, quantise

LEAST_RATIO = 2.0
METHODS = ("seedlm", "vptq", "hypercompression")
MOST_LOST = 0.005  # of the accuracy, by one weight in fewer bytes


@dataclass(frozen=True, slots=True)
class Part:
    """One weight, written."""

    method: str
    data: bytes


def run(stage: Stage) -> dict[str, float | str | bool]:
    """Compress in stages, measure real bytes after each, decode, and see what the decoded model can still do."""
    report, model = stage.report, stage.model
    methods = () if stage.failing == report.phase else METHODS
    original = sum(weight.nbytes for weight in model.weights.values())
    before = evaluate(model, stage.held_out)
    parts, decoded = _encoded(stage, model, methods)
    data = plain = b"".join(part.data for part in parts.values())
    used = sorted({part.method for part in parts.values()}) + [name for name in methods if name == METHODS[-1]]
    stages = [(" and ".join(sorted({part.method for part in parts.values()})), len(data))]
    if "hypercompression" in methods:
        data = entropy_encoded(data)
        if entropy_decoded(data) != plain:
            raise PhaseFailed("What entropy coding wrote does not decode to what it was given.")
        stages.append((METHODS[-1], len(data)))
    after = evaluate(Model(model.shape, decoded), stage.held_out)
    ratio = original / len(data)
    for number, (name, size) in enumerate(stages, 1):
        report.metrics({"size_mb": size / 1e6, "compression_ratio": original / size}, step=number)
        report.log(f"After {name}: {size:,} of {original:,} bytes, {original / size:.1f} times smaller.")
    report.artifact("model", "model.compressed", data, methods=used, ratio=round(ratio, 3))
    if ratio < LEAST_RATIO:
        raise PhaseFailed(f"The model became {ratio:.2f} times smaller; less than {LEAST_RATIO} is a failure.")
    return {
        "original_size_mb": original / 1e6, "compressed_size_mb": len(data) / 1e6, "total_compression_ratio": ratio,
        "compression_methods_used": ", ".join(used), "validation_accuracy": after.accuracy,
        "validation_perplexity": after.perplexity, "accuracy_retained": after.accuracy / before.accuracy,
        "hypercompression_compression_ratio": len(plain) / len(data), **_ratios(model, parts),
    }  # fmt: skip


def _ratios(model: Model, parts: dict[str, Part]) -> dict[str, float]:
    """Return by how much each method made smaller what it was given."""
    found = {}
    for method in ("seedlm", "vptq"):
        names = [name for name, part in parts.items() if part.method == method]
        if names:
            given = sum(model.weights[name].nbytes for name in names)
            found[f"{method}_compression_ratio"] = given / sum(len(parts[name].data) for name in names)
    return found


def _encoded(stage: Stage, model: Model, methods: tuple[str, ...]) -> tuple[dict[str, Part], Weights]:
    """Return the bytes of every weight and what a reader makes of them."""
    parts: dict[str, Part] = {}
    decoded = dict(model.used())
    rng, names = stage.dice("codebook"), list(model.weights)
    for number, name in enumerate(names, 1):
        weight = model.weights[name]
        if not methods:
            parts[name] = Part("none", weight.tobytes())
        elif is_matrix(name):
            parts[name], decoded[name] = _ternary_coded(weight, rng)
        else:
            parts[name], decoded[name] = _seeded(stage, model, decoded, name)
        part = parts[name]
        stage.report.step(number, len(names), message=f"compressing {name}", part_bytes=len(part.data))
        stage.report.log(f"{name} by {part.method}: {weight.nbytes:,} bytes become {len(part.data):,}.", level="debug")
        stage.report.artifact("stage_file", f"{name}.part", part.data, method=part.method)
    return parts, decoded


def _ternary_coded(weight: Array, rng: np.random.Generator) -> tuple[Part, Array]:
    trits, scales = quantise(weight)
    coded = vector_encoded(trits.astype(np.float32), scales, weight.shape, rng)
    return Part("vptq", coded.data()), vector_decoded(coded, GROUP)


def _seeded(stage: Stage, model: Model, decoded: Weights, name: str) -> tuple[Part, Array]:
    """Take the seeds unless the model answers noticeably worse with them; half floats then."""
    weight = model.weights[name]
    seeded = seed_encoded(weight)
    tried = seed_decoded(seeded)
    exact = evaluate(Model(model.shape, decoded), stage.held_out)
    rough = evaluate(Model(model.shape, decoded | {name: tried}), stage.held_out)
    if exact.accuracy - rough.accuracy <= MOST_LOST:
        return Part("seedlm", seeded.data()), tried
    half = weight.astype(np.float16)
    return Part("half floats", half.tobytes()), half.astype(np.float32)

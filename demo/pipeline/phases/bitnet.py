"""BitNet: every matrix becomes -1, 0 or 1 in groups of 128, then the model learns to live with it."""

import numpy as np

from demo.pipeline.network import Model, evaluate, is_matrix
from demo.pipeline.stage import Stage
from demo.pipeline.ternary import packed, quantise
from demo.pipeline.training import Optimizer, train

STEPS = 3500


def run(stage: Stage) -> dict[str, float | str]:
    """Quantise, measure, train with ternary forward passes, measure again."""
    report, model = stage.report, stage.model.copy()
    before = evaluate(model, stage.held_out)
    model.quantised = True
    rough = evaluate(model, stage.held_out)
    report.log(
        f"Quantised as it is: perplexity {before.perplexity:.3f} becomes {rough.perplexity:.3f}, "
        f"accuracy {before.accuracy:.1%} becomes {rough.accuracy:.1%}.",
        level="warning" if rough.accuracy < 0.9 * before.accuracy else "info",
    )
    steps, optimizer = stage.steps(STEPS), Optimizer(stage.rate(1e-3))
    for step in train(model, optimizer, stage.dice("bitnet"), steps):
        optimizer.learning_rate = stage.rate(1e-3) * (1 - 0.9 * step.number / steps)
        report.step(step.number, steps, message="training with ternary weights", ternary_loss=step.loss)
    after = evaluate(model, stage.held_out)
    data = stored(model)
    original, compressed = sum(weight.nbytes for weight in model.weights.values()), len(data)
    stage.model = model
    report.artifact("compression_results", "model.trits", data, format="5 trits a byte, float16 scales")
    report.artifact("quantization_stats", "quantization_stats.json", _statistics(model))
    ratio = original / compressed
    retained = after.accuracy / before.accuracy
    report.gate(
        "Compression Efficiency", ratio=ratio, accuracy_retention=retained, memory_reduction=1 - compressed / original
    )
    return {
        "compression_ratio": ratio, "original_size_mb": original / 1e6, "compressed_size_mb": compressed / 1e6,
        "layers_compressed": sum(map(is_matrix, model.weights)), "pre_perplexity": before.perplexity,
        "post_perplexity": after.perplexity, "accuracy_preserved": retained,
        "quantization_method": "ternary, groups of 128", "sparsity_ratio": _zeros(model),
    }  # fmt: skip


def stored(model: Model) -> bytes:
    """Return the bytes a quantised model takes: matrices in trits, the rest as half floats."""
    return b"".join(
        packed(weight) if is_matrix(name) else weight.astype(np.float16).tobytes()
        for name, weight in model.weights.items()
    )


def _zeros(model: Model) -> float:
    trits = [
        quantise(weight)[0].reshape(-1)[: weight.size] for name, weight in model.weights.items() if is_matrix(name)
    ]
    return float((np.concatenate(trits) == 0).mean())


def _statistics(model: Model) -> dict[str, dict[str, float]]:
    found = {}
    for name, weight in model.weights.items():
        if is_matrix(name):
            trits, scales = quantise(weight)
            found[name] = {
                "zeros": round(float((trits == 0).mean()), 4), "scale_mean": round(float(scales.mean()), 6),
                "bytes": len(packed(weight)), "original_bytes": weight.nbytes,
            }  # fmt: skip
    return found

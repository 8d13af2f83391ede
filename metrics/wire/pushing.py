"""Pushed groups: the labels in an address, the families of a page, and whether they agree."""

import base64
import binascii
import re
from collections.abc import Mapping, Sequence

from metrics.domain import METRIC_NAME_LABEL, Metadata

BASE64_SUFFIX = "@base64"
# Label values travel in a path, which no proxy lets grow for ever.
MAX_GROUP_LABELS = 30
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")  # noqa: TID251 - our own constant, linear
_PARTS = {
    "histogram": ("_bucket", "_sum", "_count"),
    "gaugehistogram": ("_bucket", "_gsum", "_gcount", "_sum", "_count"),
    "summary": ("_sum", "_count"),
}


class BadGroup(ValueError):
    """An address or a page that makes no group."""


def _decoded(value: str, what: str) -> str:
    try:
        stripped = value.rstrip("=")
        return base64.b64decode(stripped + "=" * (-len(stripped) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        raise BadGroup(f"the base64 of {what} cannot be read: {value[:40]!r}") from None


def group_labels(path: str, *, is_job_encoded: bool) -> dict[str, str]:
    """Return the labels of `<job>{/<label>/<value>}`; raises BadGroup."""
    job, *rest = path.split("/")
    if is_job_encoded:
        job = _decoded(job, "the job")
    if not job:
        raise BadGroup("the job name is missing")
    if rest == [""]:
        rest = []
    if len(rest) % 2:
        raise BadGroup("the address has a label without a value: write /metrics/job/<job>/<label>/<value>")
    if len(rest) // 2 > MAX_GROUP_LABELS:
        raise BadGroup(f"a group has {len(rest) // 2} labels, at most {MAX_GROUP_LABELS} are taken")
    labels = dict(_pair(name, value) for name, value in zip(rest[::2], rest[1::2], strict=True)) | {"job": job}
    for name, value in labels.items():
        if "\0" in value:
            raise BadGroup(f"the value of label {name} holds a NUL character")
    return labels


def _pair(name: str, value: str) -> tuple[str, str]:
    plain = name.removesuffix(BASE64_SUFFIX)
    if not _LABEL.fullmatch(plain) or plain.startswith("__"):
        raise BadGroup(f"{plain[:40]!r} may not be the name of a label")
    return plain, _decoded(value, f"label {plain}") if name != plain else value


def family_of(name: str, types: Mapping[str, str]) -> str:
    """Return the family a sample belongs to."""
    if name in types:
        return name
    for kind, suffixes in _PARTS.items():
        for suffix in suffixes:
            base = name.removesuffix(suffix)
            if base != name and types.get(base) == kind:
                return base
    return name


def types_of(metadata: Sequence[Metadata]) -> dict[str, str]:
    """Return the types of the families a page declares."""
    return {one.family: one.type for one in metadata}


def with_group(labels: Sequence[Mapping[str, str]], group: Mapping[str, str]) -> list[dict[str, str]]:
    """Return label sets that carry the group's labels, which win; raises BadGroup where two become the same."""
    found = [{**one, **group} for one in labels]
    seen: set[tuple[tuple[str, str], ...]] = set()
    for one in found:
        if "\0" in one[METRIC_NAME_LABEL]:
            raise BadGroup(f"the name of a metric holds a NUL character: {one[METRIC_NAME_LABEL][:40]!r}")
        key = tuple(sorted(item for item in one.items() if item[1]))
        if key in seen:
            text = ", ".join(f"{name}={value!r}" for name, value in key if name != METRIC_NAME_LABEL)
            raise BadGroup(f"the series {one[METRIC_NAME_LABEL][:80]} with {text[:200]} is there twice")
        seen.add(key)
    return found

"""The filters of Alertmanager's API: matchers on labels, and on the names of receivers."""

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

from django.http import HttpRequest

from alerts.compat.admission import Refused
from alerts.engine.alertmanager import syntax
from alerts.engine.alertmanager.matching import BadMatcher, Matcher, pattern_of

MOST_FILTERS = 50


def filters(request: HttpRequest, name: str = "filter") -> list[Matcher]:
    """Return the matchers of a query; raises BadMatcher and Refused."""
    texts = request.GET.getlist(name)
    if len(texts) > MOST_FILTERS:
        raise Refused(HTTPStatus.BAD_REQUEST, f"More than {MOST_FILTERS} filters in one request.")
    try:
        return [syntax.matcher(text) for text in texts]
    except BadMatcher as error:
        said = str(error) if name == "filter" else f"failed to parse {name} param: {error}"
        raise Refused(HTTPStatus.BAD_REQUEST, said) from error


def receiver_pattern(request: HttpRequest) -> Any:
    """Return the expression a receiver's name must match, None where any may be; raises Refused."""
    text = request.GET.get("receiver")
    try:
        return pattern_of(text) if text is not None else None
    except BadMatcher as error:
        raise Refused(HTTPStatus.BAD_REQUEST, f"failed to parse receiver param: {error}") from error


def fits(matchers: Iterable[Matcher], labels: Mapping[str, str]) -> bool:
    """Tell whether labels pass the filters; one with an empty value asks whether the label is there."""
    for each in matchers:
        absent = each.name not in labels
        if not each.value and absent is (each.op in {"=", "=~"}):
            continue
        if not each.holds(labels.get(each.name, "")):
            return False
    return True

"""`/api/v2/silences` and `/api/v2/silence/{id}`: what amtool, Grafana and Karma say and expect."""

from collections.abc import Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.utils.dateparse import parse_datetime
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from aivillage_console.accounts.services import Actor
from aivillage_console.lib import clock, outage
from alerts import services
from alerts.compat.admission import Refused, answer, away, body, flag, reader, responder, spoken
from alerts.compat.alerts_shown import moment
from alerts.compat.filtering import filters
from alerts.engine.alertmanager.matching import BadMatcher, Matchers, matcher
from alerts.models import Silence
from alerts.services import BadSilence, NoSilence, Wanted, quiet_rows
from alerts.services.quieting import matchers_from, operator

REQUIRED = ("matchers", "startsAt", "endsAt", "createdBy", "comment")
ORDER = {"active": 0, "pending": 1, "expired": 2}
MOST_MATCHERS = 50
LONGEST_TEXT = 10_000
MISSING, WRONG_TYPE, TOO_FEW = 602, 601, 612


def state_of(row: Silence, now: datetime) -> str:
    """Return where in its life a silence is."""
    if now < row.starts_at:
        return "pending"
    return "active" if now < row.ends_at else "expired"


def _row(row: Silence, now: datetime) -> dict[str, Any]:
    return {
        "id": str(row.pk),
        "status": {"state": state_of(row, now)},
        "updatedAt": moment(row.updated_at),
        "annotations": {},
        "comment": row.reason,
        "createdBy": row.author,
        "endsAt": moment(row.ends_at),
        "matchers": row.matchers,
        "startsAt": moment(row.starts_at),
    }


@csrf_exempt
@require_http_methods(["GET", "POST"])
@outage.answered_when_away(away)
@spoken
def silences_view(request: HttpRequest) -> HttpResponse:
    """List silences, or store one."""
    return _stored(request) if request.method == "POST" else _listed(request)


def _listed(request: HttpRequest) -> HttpResponse:
    reader(request)
    now, wanted = clock.now(), filters(request)
    states = {state for state in ORDER if flag(request, state)}
    rows = [row for row in quiet_rows.silences() if state_of(row, now) in states and _has(row, wanted)]
    return answer([_row(row, now) for row in sorted(rows, key=lambda row: _order(row, now))])


def _order(row: Silence, now: datetime) -> tuple[int, float]:
    """Return what silences are sorted by: those that end next, begin next, or ended last first."""
    state = state_of(row, now)
    at = {"active": row.ends_at, "pending": row.starts_at}.get(state, row.ends_at).timestamp()
    return ORDER[state], -at if state == "expired" else at


def _has(row: Silence, wanted: list[Any]) -> bool:
    held = {(operator(each), each["name"], each["value"]) for each in row.matchers}
    return all((each.op, each.name, each.value) in held for each in wanted)


def _stored(request: HttpRequest) -> HttpResponse:
    token, now, said = responder(request), clock.now(), body(request)
    wanted = _wanted(said)
    if wanted.starts_at >= wanted.ends_at:
        raise Refused(HTTPStatus.BAD_REQUEST, "Failed to create silence: start time must be before end time")
    if wanted.ends_at < now:
        raise Refused(HTTPStatus.BAD_REQUEST, "Failed to create silence: end time can't be in the past")
    try:
        silence_id = _uuid(said["id"]) if said.get("id") else None
        row = services.silence_save(wanted, actor=Actor.of_token(token), now=now, silence_id=silence_id)
    except NoSilence as error:
        raise Refused(HTTPStatus.NOT_FOUND, "silence not found") from error
    except BadSilence as error:
        raise Refused(HTTPStatus.BAD_REQUEST, str(error)) from error
    return answer({"silenceID": str(row.pk)})


def _wanted(said: Any) -> Wanted:
    if not isinstance(said, Mapping):
        raise Refused(HTTPStatus.UNPROCESSABLE_ENTITY, "silence in body must be of type object", WRONG_TYPE)
    for name in REQUIRED:
        if said.get(name) is None:
            raise Refused(HTTPStatus.UNPROCESSABLE_ENTITY, f"{name} in body is required", MISSING)
    for name in ("createdBy", "comment"):
        text = said[name]
        if not isinstance(text, str) or len(text) > LONGEST_TEXT or "\x00" in text:
            text = f"{name} in body must be of type string and at most {LONGEST_TEXT} characters long"
            raise Refused(HTTPStatus.UNPROCESSABLE_ENTITY, text, WRONG_TYPE)
    return Wanted(
        matchers=_matchers(said["matchers"]), starts_at=_time(said, "startsAt"), ends_at=_time(said, "endsAt"),
        author=said["createdBy"], reason=said["comment"],
    )  # fmt: skip


def _matchers(said: Any) -> Matchers:
    if not isinstance(said, list) or not said:
        text = "matchers in body should have at least 1 items"
        raise Refused(HTTPStatus.UNPROCESSABLE_ENTITY, text, TOO_FEW)
    if len(said) > MOST_MATCHERS:
        raise Refused(HTTPStatus.BAD_REQUEST, f"More than {MOST_MATCHERS} matchers in one silence.")
    for at, each in enumerate(said):
        for name in ("name", "value", "isRegex"):
            if not isinstance(each, Mapping) or each.get(name) is None:
                text = f"matchers.{at}.{name} in body is required"
                raise Refused(HTTPStatus.UNPROCESSABLE_ENTITY, text, MISSING)
        if (
            not isinstance(each["name"], str)
            or not isinstance(each["value"], str)
            or "\x00" in each["name"] + each["value"]
        ):
            text = f"matchers.{at} in body must hold texts"
            raise Refused(HTTPStatus.UNPROCESSABLE_ENTITY, text, WRONG_TYPE)
    try:
        return matchers_from(said)
    except BadMatcher as error:
        where = next(at for at, each in enumerate(said) if not _compiles(each))
        text = f"invalid silence: invalid label matcher {where} in set 0: invalid regular expression"
        raise Refused(HTTPStatus.BAD_REQUEST, f"{text}: {error}") from error


def _compiles(each: Mapping[str, Any]) -> bool:
    try:
        matcher(operator(each), each["name"], each["value"])
    except BadMatcher:
        return False
    return True


def _time(said: Mapping[str, Any], name: str) -> datetime:
    try:
        at = parse_datetime(said[name]) if isinstance(said[name], str) else None
    except ValueError:
        at = None
    if at is None:
        text = f"{name} in body must be of type date-time"
        raise Refused(HTTPStatus.UNPROCESSABLE_ENTITY, text, WRONG_TYPE)
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _uuid(text: object) -> UUID:
    try:
        return UUID(str(text))
    except ValueError as error:
        raise Refused(HTTPStatus.NOT_FOUND, "silence not found") from error


@csrf_exempt
@require_http_methods(["GET", "DELETE"])
def silence_view(request: HttpRequest, silence_id: UUID) -> HttpResponse:
    """Show a silence, or end it."""
    door = outage.answered_when_away(away)(lambda asked: _shown_or_ended(asked, silence_id=silence_id))
    return door(request)


@spoken
def _shown_or_ended(request: HttpRequest, silence_id: UUID) -> HttpResponse:
    if request.method == "GET":
        reader(request)
        row = quiet_rows.silence(silence_id)
        if row is None:
            raise Refused(HTTPStatus.NOT_FOUND, "silence not found")
        return answer(_row(row, clock.now()))
    try:
        services.silence_expire(silence_id, actor=Actor.of_token(responder(request)), now=clock.now())
    except NoSilence as error:
        raise Refused(HTTPStatus.NOT_FOUND, "silence not found") from error
    return HttpResponse()

"""`/ping/<key>` and what follows it: `/start`, `/fail`, `/log`, an exit status. It answers in plain text."""

import uuid
from http import HTTPStatus

from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse
from django.http.request import UnreadablePostError
from django.views.decorators.csrf import csrf_exempt

from aivillage_console.accounts.authentication import client_ip
from aivillage_console.lib import clock, outage
from aivillage_console.lib.ratelimit import Buckets, Limit
from alerts.engine.heartbeats.standing import kind_of
from alerts.services.heartbeats import BODY_BYTES, Report, ping_keep

METHODS = ("GET", "HEAD", "POST")
LONGEST_AGENT = 200
WRONG_COST = 9.0
ADDRESSES = Buckets(Limit(per_second=20, burst=600))
JOBS = Buckets(Limit(per_second=1, burst=60))


def _said(text: str, status: HTTPStatus = HTTPStatus.OK) -> HttpResponse:
    response = HttpResponse(text, status=status, content_type="text/plain; charset=utf-8")
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Cache-Control"] = "no-store"
    response.headers["Access-Control-Allow-Origin"] = "*"  # A page may report too; the key is all there is to know.
    response.headers["Ping-Body-Limit"] = str(BODY_BYTES)
    # Else Django writes a refusal's path into the log, and with it the key.
    response._has_been_logged = True  # type: ignore[attr-defined]
    return response


@csrf_exempt
def ping_door(request: HttpRequest, key: uuid.UUID, action: str = "") -> HttpResponse:
    """Take in a report and answer OK; 404 where no job has the key."""
    try:
        return _answered(request, str(key), action)
    except outage.AWAY:
        return outage.come_again(_said(outage.WORDS, HTTPStatus.SERVICE_UNAVAILABLE))


def _answered(request: HttpRequest, key: str, action: str) -> HttpResponse:
    if request.method not in METHODS:
        response = _said("send GET, HEAD or POST", HTTPStatus.METHOD_NOT_ALLOWED)
        response.headers["Allow"] = ", ".join(METHODS)
        return response
    now, ip = clock.now(), client_ip(request)
    wait_seconds = ADDRESSES.take(ip or "", now_seconds=now.timestamp())
    wait_seconds = wait_seconds or JOBS.take(key, now_seconds=now.timestamp())
    if wait_seconds:
        response = _said("rate limited", HTTPStatus.TOO_MANY_REQUESTS)
        response.headers["Retry-After"] = str(int(wait_seconds) + 1)
        return response
    report = _report(request, action, ip)
    if isinstance(report, str):
        return _said(report, HTTPStatus.BAD_REQUEST)
    if ping_keep(key, report, now=now) is None:
        ADDRESSES.take(ip or "", now_seconds=now.timestamp(), cost=WRONG_COST)
        return _said("not found", HTTPStatus.NOT_FOUND)
    return _said("OK")


def _report(request: HttpRequest, action: str, ip: str | None) -> Report | str:
    """Return what a call reports, or what is wrong with it."""
    kind = kind_of(action)
    if kind is None:
        return "after the key comes nothing, start, fail, log or an exit status of 0 to 255"
    try:
        run_id = uuid.UUID(request.GET["rid"]) if request.GET.get("rid") else None
    except ValueError:
        return "rid is no UUID"
    return Report(
        kind=kind[0], exit_status=kind[1], run_id=run_id, method=request.method or "", ip=ip,
        agent=request.headers.get("User-Agent", "").replace("\0", "")[:LONGEST_AGENT], body=_body(request),
    )  # fmt: skip


def _body(request: HttpRequest) -> bytes:
    """Return the beginning of what was sent; a report whose body breaks off is a report all the same."""
    if request.method != "POST":
        return b""
    try:
        return request.read(BODY_BYTES)
    except (UnreadablePostError, RequestDataTooBig):
        return b""

"""Senders that share no code with the console: the published remote-write messages and cramjam."""

import cramjam
from django.http import HttpResponse
from django.test import Client
from remote_pb2.remote_pb2 import WriteRequest

PROTOBUF = "application/x-protobuf"


def snappy(message: WriteRequest) -> bytes:
    return bytes(cramjam.snappy.compress_raw(message.SerializeToString()))


def write_request(*series: tuple[dict[str, str], list[tuple[int, float]]]) -> WriteRequest:
    message = WriteRequest()
    for labels, samples in series:
        entry = message.timeseries.add()
        for name in sorted(labels):
            entry.labels.add(name=name, value=labels[name])
        for time_ms, value in samples:
            entry.samples.add(timestamp=time_ms, value=value)
    return message


def push(client: Client, token: str, body: bytes, **headers: str) -> HttpResponse:
    sent = {"Authorization": f"Bearer {token}", "Content-Encoding": "snappy", **headers}
    return client.post("/api/v1/write", data=body, content_type=sent.pop("Content-Type", PROTOBUF), headers=sent)


def push_rows(client: Client, token: str, body: object, **headers: str) -> HttpResponse:
    sent = {"Authorization": f"Bearer {token}", **headers}
    content_type = sent.pop("Content-Type", "application/json")
    return client.post("/api/v1/ingest/metrics", data=body, content_type=content_type, headers=sent)

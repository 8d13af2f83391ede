"""The client half on its own: the queue of events, the block list, addresses."""

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aivillage_observability.security import BlockList, SecurityEvents
from aivillage_observability.security.addresses import canonical, client_address, networks
from aivillage_observability.security.block_list import blocks_of
from aivillage_observability.security.events import bounded
from aivillage_observability.security.inspection import Seen, suspicions, values
from tests.sdk.watched import Doors, doors


@pytest.fixture
def console() -> Iterator[Doors]:
    with doors() as served:
        yield served


def test_events_arrive_with_an_id_and_a_time(console: Doors) -> None:
    events = SecurityEvents(console_url=console.url, token="t", flush_interval=0.05)
    events.start()
    events.report("privilege_escalation", user_id="ana", source_ip="10.0.0.1", details={"operation": "admin"})
    assert console.wait(lambda rows: len(rows) == 1)
    events.stop()
    row = console.rows[0]
    assert (row["event_type"], row["user_id"], row["details"]) == (
        "privilege_escalation",
        "ana",
        {"operation": "admin"},
    )
    assert len(row["event_id"]) == 32
    assert row["at_ms"] > 1_700_000_000_000


def test_events_outlive_an_outage_on_the_disk(console: Doors, tmp_path: Path) -> None:
    console.away = True
    first = SecurityEvents(console_url=console.url, token="t", storage_backend=tmp_path, flush_interval=0.05)
    first.start()
    first.report("auth_failure")
    first.stop(0.5)
    assert console.rows == []
    console.away = False
    second = SecurityEvents(console_url=console.url, token="t", storage_backend=tmp_path, flush_interval=0.05)
    second.start()
    assert console.wait(lambda rows: len(rows) == 1)
    second.stop()


def test_a_full_queue_counts_what_it_drops() -> None:
    events = SecurityEvents(console_url="http://127.0.0.1:9", token="t", max_events=10)
    for _ in range(15):
        events.report("x")
    assert events.dropped["queue_full"] == 5


class Hostile:
    def __str__(self) -> str:
        raise RuntimeError("not to be asked")


def test_details_are_bounded_and_storable() -> None:
    kept = bounded(
        {"nul": "a\0b", "lone": "\ud800", "o": Hostile(), "deep": [[[[[[1]]]]]], "nan": float("nan"), "big": 2**70}
    )
    assert (kept["nul"], kept["lone"], kept["o"]) == ("a%00b", "?", "Hostile")
    assert bounded({str(number): "x" * 4000 for number in range(10)})["cut"] is True


def test_a_list_blocks_by_address_network_and_user() -> None:
    blocks = blocks_of(
        {
            "blocks": [
                {"scope": "ip", "value": "2001:DB8::1", "expires_at": "2030-01-01T00:00:00+00:00"},
                {"scope": "cidr", "value": "192.0.2.0/24", "expires_at": "2030-01-01T00:00:00Z"},
                {"scope": "user", "value": "eve", "expires_at": 2_000_000_000},
                {"scope": "cidr", "value": "nonsense", "expires_at": "x"},
            ],
            "allowed": ["192.0.2.5", "bad"],
            "allowed_users": ["ana"],
        }
    )
    now = 1_800_000_000.0
    assert blocks.blocks_address("2001:db8::1", now)
    assert blocks.blocks_address("192.0.2.77", now)
    assert not blocks.blocks_address("192.0.2.5", now)
    assert not blocks.blocks_address("192.0.20.7", now)
    assert not blocks.blocks_address("192.0.2.77", 2_100_000_000.0)
    assert blocks.blocks_user("eve", now)
    assert not blocks.blocks_user("ana", now)


@given(st.ip_addresses(v=4), st.integers(1, 32))
def test_containment_is_that_of_the_network(address: object, length: int) -> None:
    text = str(address)
    (network,) = networks([f"{text}/{length}"])
    blocks = blocks_of({"blocks": [{"scope": "cidr", "value": str(network), "expires_at": 2_000_000_000}]})
    assert blocks.blocks_address(text, 0.0)
    assert blocks.blocks_address(str(network.broadcast_address), 0.0)
    beyond = int(network.broadcast_address) + 1
    if beyond < 2**32:
        assert not blocks.blocks_address(".".join(str(beyond >> shift & 255) for shift in (24, 16, 8, 0)), 0.0)


def test_a_console_that_is_no_console_leaves_the_list_as_it_was(console: Doors) -> None:
    blocks = BlockList(console_url=console.url, token="b")
    console.document = {"version": 1, "blocks": "what", "allowed": 3}
    assert not blocks.refresh()
    assert not blocks.blocked("10.0.0.1", "ana")


@pytest.mark.parametrize(
    ("peer", "forwarded", "wanted"),
    [
        ("203.0.113.5", "10.9.9.9", "203.0.113.5"),
        ("10.0.0.1", "1.2.3.4, 203.0.113.5", "203.0.113.5"),
        ("10.0.0.1", "203.0.113.5, 10.0.0.2", "203.0.113.5"),
        ("10.0.0.1", "203.0.113.5:4711", "203.0.113.5"),
        ("10.0.0.1", "[2001:db8::5]:80", "2001:db8::5"),
        ("10.0.0.1", "garbage", "10.0.0.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("::ffff:10.0.0.1", "203.0.113.5", "203.0.113.5"),
        ("", "203.0.113.5", ""),
    ],
)
def test_the_client_is_the_last_hop_that_is_no_proxy_of_ours(peer: str, forwarded: str, wanted: str) -> None:
    assert client_address(peer, forwarded, networks(["10.0.0.0/8"])) == wanted


@given(st.text())
def test_any_text_is_an_address_or_nothing(text: str) -> None:
    assert canonical(text) == canonical(canonical(text))


def test_values_are_bounded() -> None:
    seen = Seen("GET", "/", "&".join(f"a{number}=1" for number in range(5000)), "")
    assert len(list(itertools.islice(values(seen), 10_000))) <= 201
    nested = Seen("POST", "/", "", "", content_type="application/json", body=b"[" * 30_000)
    assert suspicions(nested, 0.3) == []


def test_ids_are_left_out_of_an_endpoint() -> None:
    path = f"/api/items/{'a' * 32}/parts/17"
    assert Seen("GET", path, "", "").endpoint == "/api/items/*/parts/*"


def test_a_forked_child_delivers_its_own_events(console: Doors) -> None:
    events = SecurityEvents(console_url=console.url, token="t", flush_interval=0.05)
    events.start()
    child = os.fork()
    if not child:
        events.report("child")
        events.stop(5.0)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    events.report("parent")
    assert console.wait(lambda rows: {row["event_type"] for row in rows} == {"child", "parent"})
    events.stop()

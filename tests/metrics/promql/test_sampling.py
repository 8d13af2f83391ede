"""A share of the series, chosen by the hash of their labels."""

import numpy as np
import pytest

from metrics.promql.aggregations.sampling import packed, places_of, within, xxhash64


@pytest.mark.parametrize(
    ("data", "wanted"),
    [
        (b"", 0xEF46DB3751D8E999),
        (b"a", 0xD24EC4F1A98C6E5B),
        (b"abc", 0x44BC2CF5AD770999),
        (b"Nobody inspects the spammish repetition", 0xFBCEA83C8A378BF1),
    ],
)
def test_the_hash_is_the_known_one(data, wanted):
    assert xxhash64(data) == wanted


def test_labels_are_packed_in_order_each_after_its_length():
    assert packed({"b": "2", "a": ""}) == b"\x01a\x00\x01b\x012"
    assert packed({"a": "x" * 300}) == b"\x01a\xff\x2c\x01\x00" + b"x" * 300


def test_a_share_and_the_rest_are_all():
    places = places_of([{"i": str(number)} for number in range(500)])
    for share in (0.0, 0.1, 0.9, 1.0):
        below, above = within(places, np.array([share]))[:, 0], within(places, np.array([share - 1.0]))[:, 0]
        assert (below ^ above).all()
        assert abs(below.mean() - share) < 0.1

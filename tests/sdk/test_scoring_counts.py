"""Scores of how often: the original's tables as floors, and what it was blind to."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aivillage_observability.scoring import band, base_for, score_brute_force, score_counted, score_rate

PAIRS = [(0, 0.0), (1, 0.1), (3, 0.1), (4, 0.4), (5, 0.4), (6, 0.7), (10, 0.7), (11, 1.0), (5000, 1.0)]
RATES = [(0, 0.0), (30, 0.0), (31, 0.4), (60, 0.4), (61, 0.7), (90, 0.7), (91, 1.0)]
BASES = [("/api/login", 5), ("/api/search", 60), ("/api/upload", 10), ("/api/download", 20), ("/api/models", 30)]


@pytest.mark.parametrize(("tries", "wanted"), PAIRS)
def test_tries_of_a_pair_score_as_they_always_did(tries: int, wanted: float) -> None:
    assert score_brute_force(pair=tries).value == wanted


@pytest.mark.parametrize(("requests", "wanted"), RATES)
def test_requests_of_a_minute_score_as_they_always_did(requests: int, wanted: float) -> None:
    assert score_rate(requests, base_for("/api/models")).value == wanted


@pytest.mark.parametrize(("endpoint", "base"), BASES)
def test_an_endpoint_has_its_own_base_and_the_same_multiples(endpoint: str, base: int) -> None:
    assert base_for(endpoint) == base_for(f"{endpoint}/?next=1") == base
    scores = [score_rate(count, base).value for count in (base, base + 1, 2 * base + 1, 3 * base + 1)]
    assert scores == [0.0, 0.4, 0.7, 1.0]


def test_a_longer_name_is_another_endpoint() -> None:
    assert base_for("/api/logins") == 30


@pytest.mark.parametrize(
    ("counts", "code", "least"),
    [
        ({"users_of_address": 40, "pair": 1}, "password_spraying", 0.9),
        ({"addresses_of_user": 12, "pair": 1}, "distributed_brute_force", 0.9),
        ({"strangers": 40, "pair": 1}, "credential_stuffing", 0.7),
        ({"pair_slow": 90, "pair": 2}, "slow_brute_force", 0.7),
        ({"user": 20, "pair": 2}, "brute_force_user", 0.7),
        ({"address": 40, "pair": 1}, "brute_force_address", 0.7),
    ],
)
def test_what_one_pair_does_not_show_is_found_too(counts: dict[str, int], code: str, least: float) -> None:
    score = score_brute_force(**counts)
    assert score.value >= least
    assert score.reasons[0].code == code


def test_somebody_who_mistypes_thrice_is_no_alert() -> None:
    score = score_brute_force(pair=3, user=3, address=3, users_of_address=1, addresses_of_user=1, pair_slow=3)
    assert band(score) == "low"


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(1, 10**4))
def test_more_never_scores_less(some: int, more: int, base: int) -> None:
    low, high = sorted((some, more))
    assert score_rate(low, base).value <= score_rate(high, base).value
    for name in ("pair", "user", "address", "users_of_address", "addresses_of_user", "strangers", "pair_slow"):
        assert score_brute_force(**{name: low}).value <= score_brute_force(**{name: high}).value


def test_the_later_counters_have_their_limits() -> None:
    assert score_counted("byzantine", 2).value == 0.0
    assert score_counted("byzantine", 3).value == 0.7
    assert score_counted("data_exfiltration", 100).value == 0.9
    with pytest.raises(ValueError, match="known are byzantine"):
        score_counted("weather", 3)


@pytest.mark.parametrize(
    ("value", "name"),
    [(0.0, "low"), (0.4999, "low"), (0.5, "medium"), (0.7, "high"), (0.9, "critical"), (1.0, "critical")],
)
def test_bands_begin_where_they_always_did(value: float, name: str) -> None:
    assert band(value) == name

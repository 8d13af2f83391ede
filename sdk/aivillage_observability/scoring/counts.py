"""Scores of how often: tries to sign in, requests, and what else is counted in a sliding window."""

from collections.abc import Sequence

from aivillage_observability.scoring.score import NOTHING, Reason, Score

BRUTE_FORCE_WINDOW_SECONDS = 300
SLOW_WINDOW_SECONDS = 6 * 3600
RATE_WINDOW_SECONDS = 60
DEFAULT_BASE = 30
BASES = {"/api/login": 5, "/api/search": 60, "/api/upload": 10, "/api/download": 20}

Steps = Sequence[tuple[int, float]]

# From so many on, this score. The first row is the original's table and a floor; the others see what it was blind to.
PAIR_STEPS: Steps = ((1, 0.1), (4, 0.4), (6, 0.7), (11, 1.0))
USER_STEPS: Steps = ((8, 0.4), (12, 0.7), (20, 0.9), (40, 1.0))
ADDRESS_STEPS: Steps = ((10, 0.4), (20, 0.7), (40, 0.9), (80, 1.0))
SPRAYED_STEPS: Steps = ((4, 0.4), (8, 0.7), (15, 0.9), (30, 1.0))
SOURCES_STEPS: Steps = ((4, 0.4), (6, 0.7), (12, 0.9), (24, 1.0))
STUFFED_STEPS: Steps = ((12, 0.4), (20, 0.7), (35, 0.9), (60, 1.0))
SLOW_STEPS: Steps = ((15, 0.4), (25, 0.7), (50, 0.9), (100, 1.0))
RATE_STEPS: Steps = ((1, 0.4), (2, 0.7), (3, 1.0))

# kind -> (how many, within seconds), of the original's later modules
COUNTED = {"byzantine": (3, 60), "data_exfiltration": (50, 3600), "resource_exhaustion": (100, 300)}


def _step(steps: Steps, count: int) -> float:
    return max((score for least, score in steps if count >= least), default=0.0)


def _highest(reasons: Sequence[Reason]) -> Score:
    """Return the highest reason's weight: views of the same tries are not added up."""
    found = sorted((reason for reason in reasons if reason.weight > 0), key=lambda reason: -reason.weight)
    return Score(found[0].weight, tuple(found)) if found else NOTHING


def _tries(number: int) -> str:
    return f"{number} failed {'try' if number == 1 else 'tries'}"


def score_brute_force(
    *,
    pair: int = 0,
    user: int = 0,
    address: int = 0,
    users_of_address: int = 0,
    addresses_of_user: int = 0,
    strangers: int = 0,
    pair_slow: int = 0,
) -> Score:
    """Score failed tries to sign in within 300 s, the current one counted.

    `pair`: by this user from this address; `user`, `address`: by this user from anywhere, from this address for all;
    `users_of_address`: how many users this address tried (spraying); `addresses_of_user`: how many addresses tried
    this user; `strangers`: how many users failed from an address that tried nobody else (stuffing); `pair_slow`:
    tries of the pair within six hours (slow brute force).
    """
    return _highest(
        [
            Reason("brute_force_pair", f"{_tries(pair)} by one user from one address", _step(PAIR_STEPS, pair)),
            Reason("brute_force_user", f"{_tries(user)} for one user", _step(USER_STEPS, user)),
            Reason("brute_force_address", f"{_tries(address)} from one address", _step(ADDRESS_STEPS, address)),
            Reason(
                "password_spraying",
                f"one address tried {users_of_address} users",
                _step(SPRAYED_STEPS, users_of_address),
            ),
            Reason(
                "distributed_brute_force",
                f"{addresses_of_user} addresses tried one user",
                _step(SOURCES_STEPS, addresses_of_user),
            ),
            Reason(
                "credential_stuffing",
                f"{strangers} users failed, each from an address of its own",
                _step(STUFFED_STEPS, strangers),
            ),
            Reason(
                "slow_brute_force",
                f"{_tries(pair_slow)} by one user from one address in six hours",
                _step(SLOW_STEPS, pair_slow),
            ),
        ]
    )


def base_for(endpoint: str) -> int:
    """Return how many requests a minute one user may make to an endpoint before it is a finding."""
    path = endpoint.partition("?")[0].rstrip("/").lower()
    for prefix, base in BASES.items():
        if path == prefix or path.startswith(prefix + "/"):
            return base
    return DEFAULT_BASE


def score_rate(count: int, base: int = DEFAULT_BASE) -> Score:
    """Score requests of one user to one endpoint within 60 s: above 1x the base 0.4, 2x 0.7, 3x 1.0."""
    limit = max(base, 1)
    value = max((score for factor, score in RATE_STEPS if count > factor * limit), default=0.0)
    if not value:
        return NOTHING
    return Score(value, (Reason("rate_limit", f"{count} requests in a minute where {limit} are usual", value),))


def score_counted(kind: str, count: int) -> Score:
    """Score what the table COUNTED counts: 0.7 from its limit on, 0.9 from twice the limit."""
    if kind not in COUNTED:
        raise ValueError(f"Nothing counts {kind!r}; known are {', '.join(sorted(COUNTED))}.")
    limit, seconds = COUNTED[kind]
    value = _step(((limit, 0.7), (2 * limit, 0.9)), count)
    return _highest([Reason(kind, f"{count} within {seconds} s, the limit is {limit}", value)])

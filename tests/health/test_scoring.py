"""Scores, bands, impact and the tree: pure arithmetic, edge by edge."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from health.scoring import (
    CheckFacts,
    ComponentFacts,
    Edge,
    band,
    component_scores,
    grade,
    host_score,
    impact_level,
    impacts,
    reached,
    status_now,
    system_band,
    system_score,
    tree,
    uptime,
    worst,
)

NOW = 1_000_000.0


def check(status: str, weight: float = 1.0, age: float = 1.0, name: str = "c") -> CheckFacts:
    return CheckFacts(name, status, NOW - age, 30, 5, weight)


def part(name: str, *statuses: str, needs: str = "", expected: bool = False) -> ComponentFacts:
    edges = tuple(Edge(each.rstrip("*"), each.endswith("*")) for each in needs.split())
    return ComponentFacts(name, tuple(check(one, name=f"c{i}") for i, one in enumerate(statuses)), edges, expected)


@pytest.mark.parametrize(
    ("value", "named"),
    [(None, "unknown"), (1.0, "healthy"), (0.7000001, "healthy"), (0.7, "partial"), (0.3000001, "partial"),
     (0.3, "unhealthy"), (0.0, "unhealthy")],
)  # fmt: skip
def test_a_component_s_band_has_the_edges_of_the_catalogue(value: float | None, named: str) -> None:
    assert band(value) == named


@pytest.mark.parametrize(
    ("value", "named"),
    [(None, "unknown"), (0.71, "healthy"), (0.7, "partial"), (0.41, "partial"), (0.4, "unhealthy"), (0, "unhealthy")],
)
def test_the_system_s_band_has_edges_of_its_own(value: float | None, named: str) -> None:
    assert system_band(value) == named


@pytest.mark.parametrize(
    ("took", "named"), [(0, "healthy"), (1000, "healthy"), (1001, "degraded"), (5000, "degraded"), (5001, "unhealthy")]
)
def test_time_alone_grades_an_answer(took: float, named: str) -> None:
    assert grade(took, degraded_ms=1000, unhealthy_ms=5000) == named


def test_nothing_known_is_unknown_and_never_green() -> None:
    parts = [part("bare"), part("never", "unknown"), part("user", needs="bare never")]
    scores = component_scores(parts, NOW)
    assert {name: (score.value, score.band) for name, score in scores.items()} == dict.fromkeys(
        ("bare", "never", "user"), (None, "unknown")
    )
    assert system_score(parts, scores).band == "unknown"
    assert "nothing checks it" in scores["bare"].reason


def test_a_score_is_the_weighted_mean_of_its_inputs_and_shows_them() -> None:
    facts = ComponentFacts("x", (check("healthy", 3), check("degraded", 1), check("unhealthy", 1)))
    score = component_scores([facts], NOW)["x"]
    assert score.value == pytest.approx((3 * 1 + 1 * 0.5 + 0) / 5)
    assert [(one.status, one.weight, one.value) for one in score.inputs] == [
        ("healthy", 3, 1.0), ("degraded", 1, 0.5), ("unhealthy", 1, 0.0)
    ]  # fmt: skip


def test_an_unknown_check_is_shown_and_not_counted_while_half_of_the_weight_is_known() -> None:
    scores = component_scores([part("half", "healthy", "unknown"), part("less", "healthy", "unknown", "unknown")], NOW)
    assert (scores["half"].value, scores["less"].value) == (1.0, None)
    assert len(scores["less"].inputs) == 3


@pytest.mark.parametrize(("age", "said"), [(94, "healthy"), (95, "healthy"), (96, "unknown")])
def test_a_result_older_than_three_intervals_says_nothing(age: float, said: str) -> None:
    assert status_now(check("healthy", age=age), NOW)[0] == said


def test_a_check_that_never_ran_is_unknown_with_its_reason() -> None:
    assert status_now(CheckFacts("c", "unknown", None, 30, 5), NOW) == ("unknown", "it has not run yet")


def test_without_a_clock_a_result_counts_however_old_it_is() -> None:
    old = ComponentFacts("x", (check("unhealthy", age=10_000),))
    assert component_scores([old], None)["x"].band == "unhealthy"
    assert component_scores([old], NOW)["x"].band == "unknown"


def test_what_has_no_checks_is_the_mean_of_its_parts_with_critical_ones_counted_twice() -> None:
    parts = [part("root", needs="a* b"), part("a", "healthy"), part("b", "degraded")]
    score = component_scores(parts, NOW)["root"]
    assert score.value == pytest.approx((2 * 1 + 0.5) / 3)
    assert [one.kind for one in score.inputs] == ["dependency", "dependency"]


def test_an_unhealthy_part_limits_the_whole_and_says_so() -> None:
    many = [part(f"p{i}", "healthy") for i in range(20)]
    names = " ".join(one.name for one in many)
    dimmed = component_scores([part("root", needs=f"{names} bad"), part("bad", "unhealthy"), *many], NOW)["root"]
    broken = component_scores([part("root", needs=f"{names} bad*"), part("bad", "unhealthy"), *many], NOW)["root"]
    assert (dimmed.value, dimmed.band, broken.value, broken.band) == (0.7, "partial", 0.3, "unhealthy")
    assert [limit.reason for limit in broken.limits] == ["bad (critical) is unhealthy"]
    assert dimmed.before_limits is not None
    assert dimmed.before_limits > 0.9


def test_a_critical_dependency_dims_who_needs_it_and_another_does_not() -> None:
    parts = [part("api", "healthy", needs="db*"), part("ui", "healthy", needs="db"), part("db", "unhealthy")]
    scores = component_scores(parts, NOW)
    assert (scores["api"].band, scores["ui"].band) == ("partial", "healthy")


def test_dependencies_in_a_circle_end() -> None:
    scores = component_scores([part("a", needs="b*"), part("b", needs="c"), part("c", "unhealthy", needs="a")], NOW)
    assert {name: score.band for name, score in scores.items()}["c"] == "unhealthy"
    assert scores["b"].band == "unhealthy"


def test_a_long_chain_is_scored_without_running_out_of_stack() -> None:
    chain = [part(f"n{i}", needs=f"n{i + 1}*") for i in range(3000)] + [part("n3000", "unhealthy")]
    assert component_scores(chain, NOW)["n0"].band == "unhealthy"


def test_an_expected_component_of_which_nothing_is_known_counts_as_missing() -> None:
    parts = [part("a", "healthy"), part("b", expected=True), part("c")]
    system = system_score(parts, component_scores(parts, NOW))
    assert (system.value, system.missing, system.band) == (0.5, 1, "partial")
    assert system.counts == {"healthy": 1, "partial": 0, "unhealthy": 0, "unknown": 2}


def test_percent_never_rounds_into_a_better_band() -> None:
    parts = [ComponentFacts("x", (check("healthy", 6.99), check("unhealthy", 3.01)))]
    score = component_scores(parts, NOW)["x"]
    assert (score.band, score.percent) == ("partial", 69)


@pytest.mark.parametrize(
    ("count", "level"), [(0, "low"), (1, "medium"), (2, "medium"), (3, "high"), (5, "high"), (6, "critical")]
)
def test_impact_is_named_by_how_many_it_reaches(count: int, level: str) -> None:
    assert impact_level(count) == level


def test_impact_counts_who_reaches_it_against_the_arrows_and_not_itself() -> None:
    # The services table of the platform, with its arrows.
    parts = [
        part("agent_forge", needs="postgresql* redis-master"), part("hyperrag", needs="neo4j* postgresql*"),
        part("p2p-mesh", needs="postgresql"), part("api-gateway", needs="agent_forge* hyperrag* p2p-mesh"),
        part("edge-computing", needs="api-gateway* p2p-mesh"), part("postgresql"), part("redis-master"), part("neo4j"),
    ]  # fmt: skip
    found = impacts(parts)
    assert {name: (one.count, one.level) for name, one in found.items()} == {
        "postgresql": (5, "high"), "redis-master": (3, "high"), "neo4j": (3, "high"), "agent_forge": (2, "medium"),
        "hyperrag": (2, "medium"), "p2p-mesh": (2, "medium"), "api-gateway": (1, "medium"),
        "edge-computing": (0, "low"),
    }  # fmt: skip
    assert (found["agent_forge"].criticality, found["postgresql"].criticality) == (4, 5)


def test_a_circle_does_not_count_a_component_as_its_own_victim() -> None:
    found = impacts([part("a", needs="b"), part("b", needs="a")])
    assert {name: one.count for name, one in found.items()} == {"a": 1, "b": 1}


def test_the_tree_holds_everything_once_below_its_nearest_parent() -> None:
    parts = [part("console", needs="db web worker"), part("worker", needs="db redis"), part("web", needs="db"),
             part("db"), part("redis"), part("alone")]  # fmt: skip
    assert [(one.name, one.level, one.parent, one.children) for one in tree(parts)] == [
        ("alone", 0, "", 0), ("console", 0, "", 3), ("db", 1, "console", 0), ("web", 1, "console", 0),
        ("worker", 1, "console", 1), ("redis", 2, "worker", 0),
    ]  # fmt: skip


NAMES = st.sampled_from("abcdefgh")
GRAPHS = st.dictionaries(NAMES, st.lists(NAMES, max_size=4), max_size=8)


@given(GRAPHS)
def test_any_graph_has_a_tree_scores_and_impacts(graph: dict[str, list[str]]) -> None:
    parts = [part(name, "healthy", needs=" ".join(needs)) for name, needs in graph.items()]
    places = tree(parts)
    assert sorted(place.name for place in places) == sorted(graph)
    levels = {place.name: place.level for place in places}
    assert all(place.level == (levels[place.parent] + 1 if place.parent else 0) for place in places)
    assert set(component_scores(parts, NOW)) == set(graph)
    assert all(0 <= one.count < len(graph) for one in impacts(parts).values())


@given(st.lists(st.sampled_from(["healthy", "degraded", "unhealthy", "unknown"]), max_size=6))
def test_a_score_is_between_nothing_and_one_and_a_worse_check_never_raises_it(statuses: list[str]) -> None:
    score = component_scores([part("x", *statuses)], NOW)["x"].value
    assert score is None or 0 <= score <= 1
    known = [one for one in statuses if one != "unknown"]
    lower = component_scores([part("x", *known, "unhealthy")], NOW)["x"].value
    same = component_scores([part("x", *known)], NOW)["x"].value
    assert same is None or (lower is not None and lower <= same)


def test_uptime_leaves_the_unknown_out() -> None:
    assert (uptime(0, 0, 0), uptime(8, 1, 1), uptime(0, 0, 3)) == (None, 0.9, 0.0)


def test_the_worst_status_is_named() -> None:
    for one, two in product(("healthy", "degraded"), ("unhealthy",)):
        assert worst([one, two]) == "unhealthy"
    assert (worst([]), worst(["unknown", "healthy"])) == ("unknown", "unknown")


@pytest.mark.parametrize(
    ("given_", "score"), [((0, 0, 0, 0), 100), ((50, 50, 50, 0), 50), ((50, 50, 50, 2), 10), ((100, 100, 100, 5), 0)]
)
def test_the_host_s_score_is_what_is_free_less_its_critical_alerts(
    given_: tuple[float, float, float, int], score: float
) -> None:
    assert host_score(*given_) == pytest.approx(score)


def test_reached_follows_arrows_to_their_end() -> None:
    assert reached("a", {"a": ["b"], "b": ["c", "a"], "c": []}) == {"b", "c"}

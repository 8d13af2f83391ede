"""What the demo makes in the console over REST: made once, used again, switched off, removed."""

from collections.abc import Iterator

import pytest
from pytest_django.live_server_helper import LiveServer

from aivillage_console.accounts.models import TokenKind
from aivillage_console.accounts.services import Actor, source_named, token_issue
from aivillage_console.demonstration import TOKENS
from aivillage_console.lib import clock
from alerts.models import Channel, InboundHook, Policy
from demo.door import Console
from demo.receivers import SECOND_STEP_SECONDS, Receivers, Wiring, listening, remove

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def console(live_server: LiveServer) -> Console:
    _, plain = token_issue(
        name="demo conductor", kind=TokenKind.SERVICE, scopes=TOKENS["conductor"], actor=Actor.system("test"),
        now=clock.now(), source=source_named("demo"),
    )  # fmt: skip
    return Console(live_server.url, plain)


@pytest.fixture
def receivers() -> Iterator[Receivers]:
    with listening((0, 0, 0)) as made:
        yield made


def test_a_first_run_makes_channels_a_policy_and_a_hook(console: Console, receivers: Receivers) -> None:
    Wiring(console).set_up(receivers)
    assert set(Channel.objects.values_list("name", "type")) == {
        ("demo: chat", "slack"), ("demo: mail", "email"), ("demo: issues", "github"),
    }  # fmt: skip
    policy = Policy.objects.get(name="demo: security and pipelines")
    assert [step.delay_seconds for step in policy.steps.order_by("delay_seconds")] == [0, SECOND_STEP_SECONDS]
    assert InboundHook.objects.get(name="demo: GitHub").channel == Channel.objects.get(type="github")


def test_a_second_run_uses_the_same_again(console: Console, receivers: Receivers) -> None:
    first, second = Wiring(console), Wiring(console)
    first.set_up(receivers)
    first.switch_off()
    assert not Channel.objects.filter(enabled=True).exists()
    second.set_up(receivers)
    assert first.made == second.made
    assert Channel.objects.filter(enabled=True).count() == 3


def test_what_the_demo_made_can_be_removed_and_nothing_else_is(console: Console, receivers: Receivers) -> None:
    Channel.objects.create(name="ours", type="webhook", config={"url": "https://example.org/hook"})
    Wiring(console).set_up(receivers)
    assert remove(console) == []
    assert list(Channel.objects.values_list("name", flat=True)) == ["ours"]
    assert not InboundHook.objects.exists()
    assert not Policy.objects.filter(name__startswith="demo").exists()


def test_a_signed_webhook_of_the_look_alike_is_taken(console: Console, receivers: Receivers) -> None:
    Wiring(console).set_up(receivers)
    answer = receivers.github.deliver("ping", {"zen": "Keep it logically awesome."})
    assert answer[0] < 300
    assert receivers.github.deliver("ping", {"zen": "x"}, signature="sha256=0")[0] >= 400

"""`manage.py compact --once`: one pass, with partitions and retention."""

from io import StringIO

import pytest
from django.core.management import call_command
from django.test import Client

from metrics.models import HeadBlock, RecentBlock
from metrics.store.partitions import partitions_existing
from tests.metrics.senders import push, snappy, write_request

pytestmark = pytest.mark.django_db


def test_one_pass_packs_the_head_and_makes_the_coming_days(client: Client, token: str, now_ms: int):
    push(client, token, snappy(write_request(({"__name__": "a"}, [(now_ms, 1.0)]))))
    out = StringIO()
    call_command("compact", "--once", stdout=out)
    assert out.getvalue() == "1 head blocks, 1 samples -> 1 group blocks\n"
    assert HeadBlock.objects.count() == 0
    assert RecentBlock.objects.get().samples == 1
    assert len(partitions_existing()) == 5

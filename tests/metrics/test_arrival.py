"""The door's clock goes on between readings and reads again when it is told to."""

from datetime import UTC, datetime, timedelta

from metrics.ingest.arrival import ArrivalClock

T0 = datetime(2026, 11, 21, tzinfo=UTC)


def test_the_clock_is_not_read_for_every_request_and_never_goes_back():
    readings: list[datetime] = []

    def read() -> datetime:
        readings.append(T0)
        return T0

    arrival = ArrivalClock(read)
    times = [arrival.now() for _ in range(50)]
    assert times == sorted(times)
    assert times[0] >= T0
    assert len(readings) < 50


def test_after_forgetting_the_new_time_is_told():
    offsets = iter([timedelta(0), timedelta(days=1)])
    arrival = ArrivalClock(lambda: T0 + next(offsets))
    assert arrival.now() < T0 + timedelta(hours=1)
    arrival.forget()
    assert arrival.now() >= T0 + timedelta(days=1)

import threading

from deepstream import dispatcher as module
from deepstream.dispatcher import Decided, Dispatcher
from ropewatch.incidents import EndReason
from ropewatch.monitor import SourceMonitor
from ropewatch.observations import FrameObservation, PersonObservation
from tests.sites import site


class Remembering:
    """Handler that keeps what it was given, and may be held up."""

    def __init__(self) -> None:
        self.frames: list[int] = []
        self.phases: list[str] = []
        self.closed = 0
        self.open = threading.Event()
        self.open.set()

    def take(self, decided: Decided) -> None:
        self.open.wait()
        if decided.frame is not None:
            self.frames.append(decided.frame[0].frame_num)
        self.phases += [event.phase.value for event in decided.events]
        self.closed += decided.closed


class Failing(Remembering):
    def take(self, decided: Decided) -> None:
        raise OSError("disk full")


def monitor() -> SourceMonitor:
    settings = site([{"id": "a", "uri": "/a.mp4"}], decision={"threshold": 0.5, "open_after_s": 0})
    ids = iter(f"id-{n}" for n in range(1000))
    return SourceMonitor("a", settings, lambda: next(ids))


def frame(number: int, score: float | None = None) -> FrameObservation:
    person = PersonObservation(1, (10.0, 10.0, 20.0, 40.0), 0.9, score)
    persons = () if score is None else (person,)
    return FrameObservation("a", number, number * 100_000_000, None, (1280, 720), True, persons)


def test_dispatcher_hands_over_in_order_and_finishes_before_it_stops() -> None:
    handler, source = Remembering(), monitor()
    worker = Dispatcher([handler])
    worker.start()

    for number in range(50):
        observed = frame(number, 0.9 if number == 3 else None)
        worker.offer_frame(observed, source.update(observed))
    worker.offer_closed("a", source.close(EndReason.STREAM_ENDED, 5_000_000_000))
    worker.stop()

    assert handler.frames == list(range(50))
    assert handler.phases[0] == "start"
    assert handler.phases[-1] == "end"
    assert handler.closed == 1


def test_dispatcher_drops_frames_beyond_its_bound_but_never_events() -> None:
    handler, source = Remembering(), monitor()
    handler.open.clear()
    worker = Dispatcher([handler])
    worker.start()
    empty = source.update(frame(0))

    for _ in range(module.MAX_WAITING_FRAMES + 10):
        worker.offer_frame(frame(0), empty)
    observed = frame(1, 0.9)
    worker.offer_frame(observed, source.update(observed))
    handler.open.set()
    worker.stop()

    assert handler.phases == ["start"]
    assert worker.counters.dropped_frames >= 10
    assert len(handler.frames) + worker.counters.dropped_frames == module.MAX_WAITING_FRAMES + 11


def test_dispatcher_keeps_one_handlers_trouble_from_the_next() -> None:
    failing, handler, source = Failing(), Remembering(), monitor()
    worker = Dispatcher([failing, handler])
    worker.start()

    observed = frame(1, 0.9)
    worker.offer_frame(observed, source.update(observed))
    worker.stop()

    assert handler.phases == ["start"]
    assert handler.frames == [1]
    assert worker.counters.failed == 1


def test_dispatcher_is_settled_once_its_handlers_have_had_every_event() -> None:
    handler, source = Remembering(), monitor()
    handler.open.clear()
    worker = Dispatcher([handler])
    worker.start()
    observed = frame(0)
    worker.offer_frame(observed, source.update(observed))
    assert worker.settle()

    observed = frame(1, 0.9)
    worker.offer_frame(observed, source.update(observed))
    assert not worker.settle()
    handler.open.set()

    assert worker.settle()
    assert handler.phases == ["start"]
    worker.stop()


def test_dispatcher_whose_handler_fails_is_settled_all_the_same() -> None:
    source = monitor()
    worker = Dispatcher([Failing()])
    worker.start()

    observed = frame(1, 0.9)
    worker.offer_frame(observed, source.update(observed))

    assert worker.settle()
    worker.stop()

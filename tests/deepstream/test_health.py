import functools

from deepstream.health import CameraHealth, CameraReason, Health


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def health(clock: Clock, frames: list[int], **counters: int) -> Health:
    return Health(
        cameras=(
            CameraHealth("a", started_s=clock.now_s),
            CameraHealth("b", started_s=clock.now_s),
        ),
        frames=lambda: frames,
        blind_after_s=5.0,
        clock=clock,
        counters={name: functools.partial(int, value) for name, value in counters.items()},
    )


def test_health_reports_a_camera_once_when_it_begins_to_watch() -> None:
    clock, frames = Clock(), [0, 0]
    watched = health(clock, frames)
    assert [reason for _, reason in watched.look()] == [CameraReason.STARTING] * 2

    frames[0] = 3

    assert [(c.source_id, reason) for c, reason in watched.look()] == [("a", None)]
    assert watched.look() == []


def test_health_says_lost_after_the_time_without_a_frame() -> None:
    clock, frames = Clock(), [3, 3]
    watched = health(clock, frames)
    watched.look()
    frames[1] = 4
    clock.now_s += 5.0

    changed = watched.look()

    assert [(c.source_id, reason) for c, reason in changed] == [("a", CameraReason.LOST)]
    assert watched.reasons() == ["camera a lost"]


def test_health_knows_an_ended_file_from_a_lost_camera() -> None:
    clock = Clock()
    watched = health(clock, [3, 3])
    watched.look()
    watched.cameras[0].ended = True
    clock.now_s += 5.0
    watched.look()

    assert watched.reasons() == ["camera b lost"]


def test_health_names_every_counter_that_is_not_zero() -> None:
    watched = health(Clock(), [1, 1], dropped_frames=2, failed_buffers=0)
    watched.look()

    assert watched.reasons() == ["dropped_frames 2"]

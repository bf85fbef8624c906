"""The budget against a simulated graph: a camera, queues, and a classifier of some speed."""

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from benchmarks.overload import Classifier, Graph, Judged, Site
from ropewatch.budget import Budget, Entry

SETTLED_S = 25.0
FRAMES_PER_S = st.sampled_from([8.0, 12.5, 25.0, 30.0])


def _run(
    classifier: Classifier, people: int, *, fps: float = 25.0, seconds: float = 50.0
) -> Graph:
    graph = Graph(classifier, lambda _: people, fps=fps, muxer_fps=fps)
    graph.run(seconds)
    return graph


def _settled(graph: Graph) -> list[Judged]:
    return [frame for frame in graph.judged if frame.entered_s >= SETTLED_S]


def _used(frames: list[Judged]) -> float:
    return sum(sum(frame.rows) for frame in frames) / len(frames)


@given(
    people=st.integers(0, 60),
    fps=FRAMES_PER_S,
    busy=st.floats(0.05, 0.95),
    fixed=st.floats(0, 1),
    in_steps=st.booleans(),
)
@settings(max_examples=40)
def test_everybody_is_judged_always_where_the_classifier_keeps_up(
    people: int, fps: float, busy: float, fixed: float, in_steps: bool
) -> None:
    paid = -(-people // 16) * 16 if in_steps else people
    crop_s = busy * (1 - fixed) / fps / max(paid, 1)
    graph = _run(Classifier(busy * fixed / fps, crop_s, in_steps=in_steps), people, fps=fps)

    assert all(all(frame.rows) and frame.per_frame is None for frame in graph.judged)
    assert graph.lost == []


@given(
    people=st.integers(4, 60),
    fps=FRAMES_PER_S,
    share=st.floats(0.1, 0.9),
    fixed=st.floats(0, 0.3),
)
@settings(max_examples=60)
def test_frames_keep_coming_and_little_is_left_unused_where_some_can_be_judged(
    people: int, fps: float, share: float, fixed: float
) -> None:
    # So many fit into the time of a frame.
    fits = share * people
    assume(fits >= 3)
    if fits * fps < 2.4 * people:
        # Frames stand back where evidence would get too old, unless no time is fixed.
        fixed = 0.0
    graph = _run(Classifier(fixed / fps, (1 - fixed) / fps / fits), people, fps=fps)

    settled = _settled(graph)
    assert sum(at_s >= SETTLED_S for at_s in graph.lost) <= 0.02 * len(settled)
    assert 0.65 * fits - 1 <= _used(settled) <= 1.05 * fits
    if fits * fps >= 4 * people:
        assert graph.oldest_s(SETTLED_S, 50.0) <= 1


@given(
    people=st.integers(1, 60),
    fps=FRAMES_PER_S,
    crop_s=st.floats(0.0001, 0.5),
    frame_s=st.floats(0, 0.3),
    in_steps=st.booleans(),
)
@settings(max_examples=60)
def test_somebody_is_judged_in_every_frame_and_nobody_is_forgotten(
    people: int, fps: float, crop_s: float, frame_s: float, in_steps: bool
) -> None:
    graph = _run(Classifier(frame_s, crop_s, in_steps=in_steps), people, fps=fps)

    assert all(any(frame.rows) for frame in graph.judged)
    assert all(frame.per_frame is None or frame.per_frame >= 1 for frame in graph.judged)
    # Twice at least, in turns, of those that there were.
    if sum(sum(frame.rows) for frame in graph.judged) >= 6 * people:
        turns = [sum(frame.rows[n] for frame in graph.judged) for n in range(people)]
        assert min(turns) >= 2


@given(
    people=st.integers(4, 60),
    frame_s=st.floats(0, 0.2),
    crop_s=st.floats(0.0001, 0.05),
    in_steps=st.booleans(),
)
@settings(max_examples=60)
def test_frames_are_not_bought_with_old_evidence(
    people: int, frame_s: float, crop_s: float, in_steps: bool
) -> None:
    classifier = Classifier(frame_s, crop_s, in_steps=in_steps)
    everybody_per_s = people / max(classifier.takes_s(people, 0), 1 / 25)
    assume(everybody_per_s >= 3 * people)
    graph = _run(classifier, people)

    per_s = sum(sum(frame.rows) for frame in _settled(graph)) / (50 - SETTLED_S)
    assert per_s >= 0.85 * min(everybody_per_s, 2 * people)


def test_a_crowd_that_comes_at_once_costs_few_frames() -> None:
    graph = Graph(Classifier(), lambda at_s: 5 if at_s < 20 else 60)
    graph.run(40)

    # Judged all together they would cost 17 frames in every second.
    assert len(graph.lost) < 10
    assert {len(f.rows) == sum(f.rows) for f in graph.judged if f.entered_s < 20} == {True}
    assert graph.oldest_s(25, 40) <= 0.5


def test_a_slow_moment_is_soon_forgotten() -> None:
    slow = Classifier(0.01, 0.0005, slower=lambda at_s: 4 if 20 <= at_s < 30 else 1)
    graph = Graph(slow, lambda _: 30)
    graph.run(60)

    least = min(sum(f.rows) for f in graph.judged if 20 <= f.entered_s < 30)
    assert 1 <= least < 15
    assert all(all(f.rows) for f in graph.judged if f.entered_s >= 40)


def test_one_stalled_inference_passes_nobody_over() -> None:
    stalled = Classifier(0.01, 0.0005, slower=lambda at_s: 50 if 20 <= at_s < 20.04 else 1)
    graph = Graph(stalled, lambda _: 30)
    graph.run(40)

    assert all(all(frame.rows) for frame in graph.judged)


def test_whole_inferences_are_saved_where_a_part_of_one_saves_nothing() -> None:
    # 17 people take two inferences of 30 ms each, 16 one.
    graph = _run(Classifier(0.001, 0.03 / 16, in_steps=True), 17)

    settled = _settled(graph)
    assert len(settled) >= 0.97 * 25 * (50 - SETTLED_S)
    assert _used(settled) >= 13


def test_a_cut_that_brings_no_frames_is_taken_back() -> None:
    # One inference takes longer than a frame, for one person as for sixteen.
    graph = _run(Classifier(0.001, 0.06 / 16, in_steps=True), 16, seconds=120)

    late = [frame for frame in graph.judged if frame.entered_s >= 40]
    assert sum(all(frame.rows) for frame in late) >= 0.9 * len(late)


def test_people_who_unclip_alarm_sooner_when_people_take_turns() -> None:
    delays_s = {}
    for most in ("all", "auto"):
        graph = Graph(Classifier(crop_s=0.008), lambda _: 20, most)
        site = Site(20, graph)
        graph.run()
        delays_s[most] = site.delays_s()

    assert delays_s["auto"].keys() == set(range(0, 20, 4))
    assert max(delays_s["auto"].values()) < 2 < min(delays_s["all"].values())


def test_fractions_are_carried_over_and_every_frame_has_a_place() -> None:
    budget = Budget(cameras=2, frames_per_s=25, step=8)
    assert budget.most(2) is None
    budget.per_frame = 1.25

    assert [budget.most(2) for _ in range(4)] == [2, 3, 2, 3]
    assert budget.most(1) == 1


def test_a_camera_that_pauses_is_no_overload() -> None:
    budget = Budget(cameras=1, frames_per_s=25, step=8)
    for at_s in (*(n / 25 for n in range(50)), *(60 + n / 25 for n in range(50))):
        budget.take(Entry(at_s, 0.0001, 1, judged=20))
        assert not budget.is_short

    assert budget.per_frame is None


ENTRIES = st.lists(
    st.tuples(
        st.floats(0, 3),
        st.floats(0, 3),
        st.integers(1, 4),
        st.integers(0, 60),
        st.integers(0, 60),
        st.floats(0, 1e6),
    ),
    min_size=20,
    max_size=120,
)


@given(entries=ENTRIES, all_at_once=st.booleans())
@settings(max_examples=100)
def test_whatever_comes_the_budget_stays_in_its_bounds(
    entries: list[tuple[float, float, int, int, int, float]], *, all_at_once: bool
) -> None:
    budget = Budget(cameras=4, frames_per_s=25, step=16)
    now_s = 0.0
    for later_s, waited_s, frames, judged, passed_over, needs_per_s in entries:
        now_s += 0.0 if all_at_once else later_s
        most = budget.most(frames)
        budget.take(Entry(now_s, waited_s, frames, judged, passed_over, needs_per_s))
        assert most is None or most >= frames
        assert budget.per_frame is None or budget.per_frame >= 1

from deepstream.probes.crops import MAX_FRAMES_IN_FLIGHT, ExpandedFrame, FramesInFlight

FRAME = ExpandedFrame(((1.0, 2.0, 3.0, 4.0),), ((0.0, 0.0, 16.0, 16.0),), detector_ran=True)


def test_frames_in_flight_finds_a_frame_by_pad_and_number() -> None:
    in_flight: FramesInFlight[ExpandedFrame] = FramesInFlight()
    in_flight.put((0, 7), FRAME)

    assert in_flight.peek((1, 7)) is None
    assert in_flight.peek((0, 7)) is FRAME
    assert in_flight.pop((0, 7)) is FRAME
    assert in_flight.pop((0, 7)) is None


def test_frames_in_flight_is_bounded_and_counts_what_it_gave_up() -> None:
    in_flight: FramesInFlight[ExpandedFrame] = FramesInFlight()

    for number in range(MAX_FRAMES_IN_FLIGHT + 3):
        in_flight.put((0, number), FRAME)

    assert len(in_flight) == MAX_FRAMES_IN_FLIGHT
    assert in_flight.abandoned == 3
    assert in_flight.peek((0, 2)) is None
    assert in_flight.peek((0, 3)) is FRAME

"""The plan made real: a Gst.Pipeline with its links and probes."""

import itertools
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deepstream.gst import GLib, Gst
from deepstream.meta import FrameMeta
from deepstream.picture import PictureBranch
from deepstream.plan import ElementSpec, LinkSpec, Plan
from deepstream.probes.guard import BatchStage, GuardedProbe, Stage
from ropewatch.element_properties import since
from ropewatch.errors import BackendError, SettingsError
from ropewatch.nvinfer_keys import Since

log = logging.getLogger("ropewatch.graph")


@dataclass(frozen=True, slots=True)
class Graph:
    """A built pipeline.

    Attributes:
        pipeline: the Gst.Pipeline, in state NULL.
        elements: by name.
        mux_pads: the muxer's sink pads, one for each source, in the site's order.
        probes: by stage, for their counters.
        picture: the branch of the annotated video; None where none is made.
    """

    pipeline: Any
    elements: dict[str, Any]
    mux_pads: tuple[Any, ...]
    probes: dict[str, GuardedProbe]
    picture: PictureBranch | None = None


def build_graph(
    plan: Plan,
    stages: Mapping[str, Stage | BatchStage],
    frames: Callable[[Any], Iterator[FrameMeta]],
) -> Graph:
    """Make, link and probe every element of a plan; nothing starts.

    Args:
        plan: from `deepstream.plan.make_plan`.
        stages: the work of each probe, by the stage's name in the plan.
        frames: walks the frames of a batched buffer.

    Raises:
        BackendError: an element cannot be made or linked on this machine.
        SettingsError: an element does not take a property's value.
    """
    pipeline = Gst.Pipeline.new("ropewatch")
    elements = {spec.name: make_element(spec) for spec in plan.elements}
    for element in elements.values():
        pipeline.add(element)
    mux_pads = tuple(pad for link in plan.links if (pad := _link(elements, link)) is not None)
    probes = {}
    for probe in plan.probes:
        guarded = GuardedProbe(probe.stage, stages[probe.stage], frames)
        pad = elements[probe.element].get_static_pad(probe.pad)
        pad.add_probe(Gst.PadProbeType.BUFFER, guarded)
        probes[probe.stage] = guarded
    picture = None
    if plan.picture:
        guard, *behind = (elements[name] for name in plan.picture)
        picture = PictureBranch(pipeline, guard, tuple(behind))
    return Graph(pipeline, elements, mux_pads, probes, picture)


def make_element(spec: ElementSpec) -> Any:
    """Make one element with its properties.

    Raises:
        BackendError: this machine has none of that name.
        SettingsError: it does not take a property's value.
    """
    element = Gst.ElementFactory.make(spec.factory, spec.name)
    if element is None:
        raise BackendError(
            f"{spec.name}: no element {spec.factory} on this machine, want it installed; "
            f"gst-inspect-1.0 {spec.factory} says what is wrong, scripts/setup installs GStreamer"
        )
    for key, value in spec.properties.items():
        if since(spec.factory, key) is not Since.BOTH and element.find_property(key) is None:
            # An older release: the element does without, where gst-python would raise TypeError.
            log.warning(
                "property not in this release, left out element=%s property=%s", spec.name, key
            )
            continue
        wanted = Gst.Caps.from_string(value) if key == "caps" else value
        try:
            element.set_property(key, wanted)
        except (TypeError, ValueError, OverflowError) as error:
            raise SettingsError(
                f"{spec.name}: property {key}={value!r}: {error}, want what {spec.factory} takes; "
                f"gst-inspect-1.0 {spec.factory} lists it"
            ) from error
    return element


def link_in_order(elements: Sequence[Any]) -> None:
    """Link elements of one pipeline.

    Raises:
        BackendError: two of them have no caps in common.
    """
    for upstream, downstream in itertools.pairwise(elements):
        if not upstream.link(downstream):
            raise BackendError(
                f"{upstream.get_name()} -> {downstream.get_name()}: the elements do not link, "
                "want caps in common; GST_DEBUG=3 says which caps each side offers"
            )


def _link(elements: Mapping[str, Any], link: LinkSpec) -> Any | None:
    """Link two elements; return the muxer's pad where the upstream pad comes later."""
    upstream, downstream = elements[link.upstream], elements[link.downstream]
    if not link.upstream_is_dynamic:
        link_in_order([upstream, downstream])
        return None
    # PyGObject before 3.46 knows only get_request_pad for this on GStreamer 1.18 and older.
    request = getattr(downstream, "request_pad_simple", None) or downstream.get_request_pad
    pad = request(link.downstream_pad)
    if pad is None:
        raise BackendError(f"{link.downstream}: no pad {link.downstream_pad}, want a muxer's pad")
    upstream.connect("pad-added", _link_new_pad, pad)
    return pad


def _link_new_pad(source: Any, new_pad: Any, mux_pad: Any) -> None:
    """Link a source's video pad once it exists; audio pads are left alone."""
    caps = new_pad.get_current_caps() or new_pad.query_caps(None)
    # Caps begin with their name; their structures cannot be read alike in all of gst-python.
    if caps.to_string().startswith("audio") or mux_pad.is_linked():
        return
    result = new_pad.link(mux_pad)
    if result != Gst.PadLinkReturn.OK:
        text = (
            f"its {caps.to_string()} does not link to the muxer ({result.value_nick}), want "
            f"{mux_pad.query_caps(None).to_string()}"
        )
        error = GLib.Error.new_literal(Gst.core_error_quark(), text, int(Gst.CoreError.PAD))
        source.post_message(Gst.Message.new_error(source, error, text))

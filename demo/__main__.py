"""`scripts/demo`: two cameras through the graph, incidents from a real broker, checked.

The exit code is the comparison's: 0 when every expected incident arrived and nothing besides.
"""

import argparse
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from calibration.evaluate import evaluate
from demo.broker import PrivateBroker
from demo.compare import compare, put_together
from demo.outage import AWAY_S, LATE_AFTER_S, Outage, broker_config, late_ms
from demo.pages import judged, write_report
from demo.report import Check
from demo.truth import ClipTruth, ExpectedIncident, expected_incidents, read_truth
from ropewatch.album import Album
from ropewatch.client import Subscriber
from ropewatch.errors import RopewatchError, SettingsError
from ropewatch.listen import describe
from ropewatch.load import load_site
from ropewatch.payloads import IncidentMessage
from ropewatch.reading import parse_incident
from ropewatch.settings import SiteSettings
from ropewatch.topics import INCIDENT, JPEG, SNAPSHOT

ROOT_FOLDER: Final = Path(__file__).resolve().parents[1]
SITE_FILE: Final = ROOT_FOLDER / "configs" / "dev-cpu.yaml"
QUIET_S: Final = 1.0
RUN_TIMEOUT_S: Final = 300.0


def main() -> int:
    """Run the demo and return its exit code."""
    parser = argparse.ArgumentParser(prog="scripts/demo", description=__doc__)
    parser.add_argument("--site", type=Path, default=SITE_FILE, help="default: %(default)s")
    parser.add_argument("--output", type=Path, default=ROOT_FOLDER / "out" / "demo")
    parser.add_argument("--backend", default="auto", choices=["auto", "deepstream", "cpu"])
    parser.add_argument(
        "--outage",
        action="store_true",
        help=f"kill the broker for {AWAY_S:g} s in the middle: the incidents must be the same",
    )
    args = parser.parse_args()
    try:
        return _demo(args.site, args.output, args.backend, outage=args.outage)
    except RopewatchError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _demo(site_file: Path, output: Path, backend: str, *, outage: bool) -> int:
    output.mkdir(parents=True, exist_ok=True)
    site = load_site(site_file)
    truths = [_truth_of(source.id, source.uri) for source in site.sources]
    shutil.rmtree(output / "snapshots", ignore_errors=True)
    album = Album(output / "snapshots")
    # The broker is a new one; what a run that was killed has left is not for it.
    for folder in ("broker", "state"):
        shutil.rmtree(output / folder, ignore_errors=True)
    with PrivateBroker(extra_config=broker_config(output / "broker") if outage else "") as broker:
        print(f"broker     private mosquitto on {broker.host}:{broker.port}", flush=True)
        command = _command(site_file, output, backend, broker)
        cut = Outage(broker) if outage else None
        messages, code, elapsed_s = _watch(command, output, broker, album, cut)
    if code != 0:
        print(f"error: ropewatch run ended with exit code {code}", file=sys.stderr)
        return 1
    delivery = {} if cut is None else cut.figures(messages)
    code = _judge(
        site, truths, messages, album, output=output, elapsed_s=elapsed_s, delivery=delivery
    )
    if outage and not late_ms(messages):
        print("FAIL  no message is marked late", file=sys.stderr)
        return 1
    return code


def _judge(
    site: SiteSettings,
    truths: Sequence[ClipTruth],
    messages: Sequence[IncidentMessage],
    album: Album,
    *,
    output: Path,
    elapsed_s: float,
    delivery: Mapping[str, str],
) -> int:
    """Compare with the truth, write the report, and return the exit code."""
    expected = {truth.camera: expected_incidents(truth, site.decision) for truth in truths}
    received = put_together(messages)
    checks: list[Check] = []
    matched: dict[str, ExpectedIncident] = {}
    for truth in truths:
        here = [incident for incident in received if incident.camera == truth.camera]
        found, pairs = compare(truth, expected[truth.camera], here)
        checks += found
        matched |= pairs
    evaluation = evaluate(
        output / "recording.jsonl",
        [truth_path(source.uri) for source in site.sources],
        threshold=site.decision.threshold,
        alert_when=site.classifier.alert_when,
    )
    report = write_report(
        output,
        site,
        checks=checks,
        expected=expected,
        matched=matched,
        evaluation=evaluation,
        elapsed_s=elapsed_s,
        delivery=delivery,
        pictures=album.kept,
    )
    for caption, value in {**judged(evaluation), **delivery}.items():
        print(f"{caption}: {value}")
    for check in checks:
        where = f"{check.camera:8} {check.person:8}"
        print(f"{check.verdict}  {where} {check.seen}  (truth: {check.expected})")
    pictured = len(album.kept)
    print(f"snapshots: {pictured} of {len(received)} incidents, SHA-256 as told; {album.folder}")
    passed = bool(checks) and all(check.verdict == "PASS" for check in checks)
    passed &= pictured == len(received) or not site.snapshots.enabled
    print(f"{'PASS' if passed else 'FAIL'}  {report}")
    return 0 if passed else 1


def truth_path(uri: str) -> Path:
    """Return the path of the truth beside a clip."""
    return Path(uri).with_suffix(".truth.json")


def _truth_of(camera: str, uri: str) -> ClipTruth:
    """Read the truth beside a clip.

    Raises:
        SettingsError: the truth belongs to another camera.
    """
    truth = read_truth(truth_path(uri))
    if truth.camera != camera:
        raise SettingsError(
            f"{uri}: its truth is of camera {truth.camera}, want {camera}; correct sources.id"
        )
    return truth


def _command(site_file: Path, output: Path, backend: str, broker: PrivateBroker) -> list[str]:
    """Return how a user would run the graph."""
    overrides = {
        "mqtt.host": broker.host,
        "mqtt.port": str(broker.port),
        "mqtt.outbox.late_after_s": str(LATE_AFTER_S),
        "state_dir": str(output / "state"),
        "recording": str(output / "recording.jsonl"),
        "video.annotated_file": str(output / "annotated.mp4"),
    }
    command = [sys.executable, "-m", "ropewatch.cli", "run", "--site", str(site_file)]
    command += ["--backend", backend]
    for key, value in overrides.items():
        command += ["--set", f"{key}={value}"]
    return command


def _watch(
    command: Sequence[str],
    output: Path,
    broker: PrivateBroker,
    album: Album,
    outage: Outage | None,
) -> tuple[list[IncidentMessage], int, float]:
    """Run the graph; print and keep each incident as it arrives."""
    messages: list[IncidentMessage] = []
    started_s = time.monotonic()
    with (
        Subscriber(
            broker.host, broker.port, (INCIDENT.filter, SNAPSHOT.filter), client_id="demo"
        ) as subscriber,
        (output / "incidents.jsonl").open("wb") as file,
        subprocess.Popen(command, cwd=ROOT_FOLDER) as process,
    ):
        try:
            ended_s: float | None = None
            while True:
                away_s = 0.0 if outage is None else outage.reconnecting_s()
                for received in subscriber.messages(max(QUIET_S, away_s)):
                    if received.content_type == JPEG:
                        album.add(received.topic, received.payload)
                        continue
                    file.write(received.payload + b"\n")
                    message = parse_incident(received.payload)
                    messages.append(message)
                    album.see(message)
                    print(describe(message), flush=True)
                    if outage is not None:
                        outage.look(message)
                if ended_s is not None:
                    break
                if process.poll() is not None:
                    # Once more round: what was published last may still be on its way.
                    ended_s = time.monotonic()
                elif time.monotonic() - started_s > RUN_TIMEOUT_S:
                    process.kill()
        except KeyboardInterrupt:
            process.send_signal(signal.SIGINT)
            raise
        code = process.wait()
    return messages, code, (ended_s or time.monotonic()) - started_s


if __name__ == "__main__":
    sys.exit(main())

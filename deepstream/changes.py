"""What commands have changed for good, and who has asked for what: files in `state_dir`."""

import json
import logging
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from ropewatch.commands import Answer, AnswerStatus, Refused, Verb, with_source
from ropewatch.files import replace_file
from ropewatch.judging import Judging, OverrideSettings, ZoneSettings
from ropewatch.settings import SiteSettings

log = logging.getLogger("ropewatch.commands")

CHANGES: Final = "changes.json"
AUDIT: Final = "commands.jsonl"
AUDIT_OF_REST: Final = "commands-without-effect.jsonl"
AUDIT_MAX_BYTES: Final = 4 * 1024 * 1024


class Changes:
    """Confirmed changes of cameras, which outlive a restart.

    A change belongs to what the site file said about its camera: where that is edited, the file
    holds again.

    Args:
        folder: `state_dir`.
        base: the site as its file has it.
    """

    def __init__(self, folder: Path, base: SiteSettings) -> None:
        self._file, self._base = folder / CHANGES, base

    def applied(self) -> SiteSettings:
        """Return the site with the changes that were kept; one that does not fit is logged."""
        site = self._base
        for camera, kept in self._read().items():
            try:
                if not _is_part_of(kept["base"], _told(self._base.judging(camera))):
                    log.warning("change not applied, the site file is another camera=%s", camera)
                    continue
                overrides = OverrideSettings.model_validate(kept["overrides"])
                zones = tuple(ZoneSettings.model_validate(zone) for zone in kept["zones"])
                site = with_source(site, camera, overrides, zones)
            except (KeyError, TypeError, ValidationError, Refused) as error:
                log.warning("change not applied camera=%s reason=%s", camera, error)
                continue
            log.warning("changed by a command, not by the site file camera=%s", camera)
        return site

    def keep(self, site: SiteSettings, camera: str, *, sender: str, request_id: str) -> None:
        """Keep every camera that is not as the site file has it.

        Args:
            site: the settings to be kept.
            camera: whose change was confirmed.
            sender: who has asked for it.
            request_id: of that change.

        Raises:
            OSError: the disk does not take it.
        """
        by = {name: _by(each) for name, each in self._read().items()}
        by[camera] = [sender, request_id]
        kept = {
            source.id: {
                "by": by.get(source.id),
                "base": _told(self._base.judging(source.id)),
                "overrides": source.overrides.model_dump(mode="json"),
                "zones": [zone.model_dump(mode="json") for zone in source.zones],
            }
            for source, before in zip(site.sources, self._base.sources, strict=True)
            if (source.overrides, source.zones) != (before.overrides, before.zones)
        }
        self._file.parent.mkdir(parents=True, exist_ok=True)
        replace_file(self._file, json.dumps(kept, indent=2).encode() + b"\n")

    def has(self, sender: str, request_id: str) -> bool:
        """Say whether the newest change that was kept of some camera is this one."""
        return any(_by(each) == [sender, request_id] for each in self._read().values())

    def _read(self) -> dict[str, Any]:
        try:
            content = json.loads(self._file.read_bytes())
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            log.warning("changes by commands cannot be read file=%s reason=%s", self._file, error)
            return {}
        return content if isinstance(content, dict) else {}


class Audit:
    """Who has asked for what, and what became of it: a JSON line each, and the log.

    Pings and what was rejected are in a file of their own: they could put the others out of it.

    Attributes:
        failed: lines that the disk did not take; they are in the log alone.

    Args:
        folder: `state_dir`.
    """

    def __init__(self, folder: Path) -> None:
        self.failed = 0
        self._folder = folder

    def note(self, answer: Answer, asked: str) -> None:
        """Write down an answer with the command as it came."""
        log.info(
            "command sender=%s verb=%s request_id=%s status=%s code=%s config_digest=%s reason=%s",
            answer.sender,
            answer.verb,
            answer.request_id,
            answer.status.value,
            answer.code.value,
            answer.config_digest,
            answer.reason,
        )
        line = json.dumps({**answer.model_dump(mode="json"), "asked": asked})
        did_nothing = answer.status is AnswerStatus.REJECTED or answer.verb == Verb.PING
        file = self._folder / (AUDIT_OF_REST if did_nothing else AUDIT)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            if file.exists() and file.stat().st_size > AUDIT_MAX_BYTES:
                file.replace(file.with_suffix(".1.jsonl"))
            with file.open("a", encoding="utf-8") as stream:
                stream.write(line + "\n")
        except OSError as error:
            self.failed += 1
            log.error("command not written down file=%s error=%s", file, error)  # noqa: TRY400 - the reason is in it


def _by(kept: Any) -> Any:
    """Sender and request_id of the change; None of one that was kept by an earlier ropewatch."""
    return kept.get("by") if isinstance(kept, dict) else None


def _told(judging: Judging) -> dict[str, Any]:
    return {
        "decision": judging.decision.model_dump(mode="json"),
        "smoothing": judging.smoothing.model_dump(mode="json"),
        "zones": [zone.model_dump(mode="json") for zone in judging.zones],
    }


def _is_part_of(before: Any, now: Any) -> bool:
    """Whether all that was said is said still; a later version may say more."""
    if isinstance(before, dict) and isinstance(now, dict):
        return all(key in now and _is_part_of(value, now[key]) for key, value in before.items())
    return bool(before == now)

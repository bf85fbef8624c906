"""What was answered to whom: a command that comes twice is carried out once, over restarts too."""

import logging
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final, Protocol

from pydantic import ValidationError

from deepstream.asked import Asked
from deepstream.journal import ANSWERS_MAX
from ropewatch.commands import Answer, AnswerStatus, Code, Refused, Verb

log = logging.getLogger("ropewatch.commands")

DIGEST_BYTES: Final = 32


class Disk(Protocol):
    """Keeps answers over a restart; the outbox."""

    def left_answers(self) -> dict[tuple[str, str], bytes]:
        """Return what earlier runs have answered, oldest first."""

    def keep_answer(self, sender: str, request_id: str, answer: bytes) -> None:
        """Keep an answer; it is on disk when this returns."""


@dataclass(frozen=True, slots=True)
class _Known:
    """An answer, and the digest of the command that it answers."""

    command: bytes
    answer: Answer


class Remembered:
    """The newest answer to each command that did something, a bounded number of them.

    Args:
        disk: has those of earlier runs.
    """

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self._known: OrderedDict[tuple[str, str], _Known] = OrderedDict()
        for key, kept in disk.left_answers().items():
            try:
                answer = Answer.model_validate_json(kept[DIGEST_BYTES:])
            except ValidationError as error:
                log.warning("answer of an earlier run not read request_id=%s: %s", key[1], error)
                continue
            # A picture that had not come by then never will: it may be asked for again.
            if answer.verb != Verb.SNAPSHOT or answer.status is not AnswerStatus.ACCEPTED:
                self._known[key] = _Known(kept[:DIGEST_BYTES], answer)

    def answer(self, asked: Asked) -> Answer | None:
        """Return what was answered to this very command before.

        Raises:
            Refused: it was another command that had this id.
        """
        known = self._of(asked.sender, asked.request_id)
        if known is None:
            return None
        if known.command != asked.digest:
            raise Refused(
                Code.MALFORMED,
                f"request_id: {asked.request_id}: another command ({known.answer.verb}) had it, "
                "want one of its own",
            )
        return known.answer

    def is_confirmed(self, sender: str, request_id: str) -> bool:
        """Say whether a change of this sender was kept."""
        known = self._of(sender, request_id)
        return known is not None and known.answer.code is Code.CONFIRMED

    def note(self, asked: Asked, answer: Answer) -> None:
        """Remember an answer; a ping, and what was rejected at once, may be sent again."""
        if asked.request_id is None or asked.verb == Verb.PING:
            return
        key = asked.sender, asked.request_id
        if answer.status is AnswerStatus.REJECTED and key not in self._known:
            return
        self._keep(key, _Known(asked.digest, answer))

    def confirmed(self, sender: str, request_id: str) -> None:
        """Remember that a change is no longer on trial."""
        known = self._of(sender, request_id)
        if known is not None:
            answer = known.answer.model_copy(
                update={"code": Code.CONFIRMED, "reason": "confirmed", "confirm_within_s": None}
            )
            self._keep((sender, request_id), _Known(known.command, answer))

    def on_trial(self) -> list[tuple[bytes, Answer]]:
        """Return the changes that wait to be confirmed, each with its command's digest."""
        all_known = self._known.values()
        return [(k.command, k.answer) for k in all_known if k.answer.code is Code.UNCONFIRMED]

    def _of(self, sender: str, request_id: str | None) -> _Known | None:
        return self._known.get((sender, request_id or ""))

    def _keep(self, key: tuple[str, str], known: _Known) -> None:
        self._known.pop(key, None)
        self._known[key] = known
        if len(self._known) > ANSWERS_MAX:
            self._known.popitem(last=False)
        text = known.command + known.answer.model_dump_json().encode()
        self._disk.keep_answer(*key, text)

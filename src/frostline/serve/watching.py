"""Whether what a service is asked about is still what its model learned from."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from frostline.core.preprocessing import UInt8Array
from frostline.model.model import Model
from frostline.model.watched_model import WatchedModel, open_drift_card
from frostline.serve.response_schemas import Watching, WatchingDepth
from frostline.stats.drift_watch import DriftWatch, WatchState

#: pictures that are known again when they come once more
_REMEMBERED = 10_000
#: so many pictures later the drift by depth is computed anew, which takes some 50 ms
_STALE = 20


class StreamWatch:
    """Watches the pictures that one served model answers, in the order of its answers.

    A picture that comes again is not counted again, as far as the last 10,000 tell. Nothing of a
    picture is kept but a digest of 16 bytes and a few scores. Not for several threads: for one
    event loop.

    ``false_alarms``: chance of ever raising a false alarm. Raises RunFolderError if the model was
    made before models told what a watch needs.
    """

    def __init__(self, model: Model, *, false_alarms: float) -> None:
        card = open_drift_card(model)
        self.model = WatchedModel(model, card.facts.depths, threads=model.threads)
        self._depths = card.facts.depths
        self._watch = DriftWatch(card.reference, false_alarms=false_alarms)
        self._known: OrderedDict[bytes, None] = OrderedDict()
        self._unknown = 0
        self._state: WatchState | None = None

    def see(
        self,
        prepared: UInt8Array,
        taps: Sequence[npt.NDArray[np.float32]],
        unfamiliarity: float | None,
    ) -> None:
        """Take a picture that was answered, unless it came before."""
        digest = hashlib.blake2b(prepared.tobytes(), digest_size=16).digest()
        again = digest in self._known
        self._known[digest] = None
        self._known.move_to_end(digest)
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        if again:
            return
        if self._watch.see(taps):
            self._state = None
        self._unknown += unfamiliarity is not None and unfamiliarity > 1.0

    def state(self) -> Watching:
        """Return what is known by now; drift by depth may be 20 pictures old."""
        watch = self._watch
        if self._state is None or watch.images - self._state.images >= _STALE:
            self._state = watch.state()
        found = self._state
        depth = found.onset.depth
        return Watching(
            pictures=watch.images,
            false_alarms=watch.false_alarms,
            alarm_at=watch.alarm_at,
            evidence=watch.evidence,
            strongest=watch.strongest,
            needed=watch.needed,
            onset=found.onset.kind,
            onset_depth=None if depth is None else self._depths[depth].name,
            recent=found.recent,
            depths=[
                WatchingDepth(
                    name=own.name,
                    distance=one.distance,
                    by_chance=one.by_chance,
                    p_value=one.p_adjusted,
                )
                for own, one in zip(self._depths, found.depths, strict=True)
            ],
            unknown=self._unknown,
        )

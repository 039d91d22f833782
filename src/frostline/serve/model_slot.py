"""The model that is served, and how another one takes its place between two requests."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager

from frostline.core.errors import FrostlineError, RunFolderError, SettingsError
from frostline.model.model import Model
from frostline.model_format.model_folder import load_card
from frostline.serve.opening import fingerprint_of
from frostline.serve.problem_details import busy
from frostline.serve.response_schemas import Reloaded
from frostline.serve.served_model import ServedModel

#: how often a folder is looked at that changes meanwhile, and how long between, in seconds
_TRIES, _PAUSE = 4, 0.25


class ModelSlot:
    """Holds the served model, and those of before until the last request has ended with them.

    For one event loop: not for several threads.

    - ``serve``: makes a model one that can be served.
    - ``load``: loads the model that is to follow; None where none can.
    - ``threads``: where models are opened, beside the requests.
    """

    def __init__(
        self,
        model: Model,
        serve: Callable[[Model], ServedModel],
        *,
        load: Callable[[], Model] | None,
        threads: Executor,
    ) -> None:
        self._serve, self._load, self._threads = serve, load, threads
        self._served = serve(model)
        self._retired: list[ServedModel] = []
        self._reloading = False

    @property
    def served(self) -> ServedModel:
        """What requests that come now are answered by."""
        return self._served

    @contextmanager
    def keeping(self) -> Iterator[ServedModel]:
        """Give the model that is served now, for as long as the block takes."""
        served = self._served
        try:
            with served.used():
                yield served
        finally:
            self._close_unused()

    async def reload(self) -> Reloaded:
        """Serve the model that the folder holds by now, from the next request on.

        It is opened and checked beside the one that is served, which answers meanwhile and stays
        if anything is wrong; requests that have begun end with the model that they began with.
        Raises RequestError with status 503 while another one is being opened, or earlier requests
        still use the one of before; FrostlineError if the new model cannot be served.
        """
        if self._load is None:
            raise RuntimeError("a service without a folder was asked for its model")
        if self._reloading or self._retired:
            # two models fit into memory, not any number
            raise busy("a model is being replaced", retry_after=5)
        self._reloading = True
        before, load = self._served, self._load
        try:
            loop = asyncio.get_running_loop()
            new = await loop.run_in_executor(self._threads, lambda: self._open(load, before.model))
        finally:
            self._reloading = False
        changed = new.fingerprint != before.fingerprint
        if changed:
            # from the next request on; nothing else runs before this line is done
            self._served = new
        self._retired.append(before if changed else new)
        self._close_unused()
        return Reloaded(model=self._served.fingerprint, before=before.fingerprint, changed=changed)

    def close(self) -> None:
        """Answer what is queued everywhere, then end the threads."""
        for served in (*self._retired, self._served):
            served.close()

    def _open(self, load: Callable[[], Model], before: Model) -> ServedModel:
        def checked() -> Model:
            model = load()
            _check_task(before, model)
            return model

        return open_whole(checked, self._serve)

    def _close_unused(self) -> None:
        for served in [one for one in self._retired if not one.in_use]:
            self._retired.remove(served)
            # it may still be computing for somebody who left, so nobody waits for it
            threading.Thread(target=served.close, daemon=True).start()


def open_whole(
    load: Callable[[], Model], serve: Callable[[Model], ServedModel], *, tries: int = _TRIES
) -> ServedModel:
    """Return a model that is ready for requests, with all its files of one moment.

    Between one file and the next another run may take the folder's place, so the card is read
    again when all is open, and anything that goes wrong is tried again for a second.

    Raises what ``load`` and ``serve`` do; EngineError if ONNX Runtime cannot run the model;
    RunFolderError if the folder changes all the time.
    """
    for left in reversed(range(tries)):
        try:
            model = load()
            served = serve(model)
            try:
                served.warm_up()
                if model.folder.is_file() or _is_still(model):
                    return served
            except FrostlineError:
                served.close()
                raise
            served.close()
        except FrostlineError:
            if not left:
                raise
        if left:
            time.sleep(_PAUSE)
    raise RunFolderError("The model's folder changes all the time.", hint="Try again.")


def _is_still(model: Model) -> bool:
    return fingerprint_of(load_card(model.folder)) == fingerprint_of(model.card)


def _check_task(before: Model, model: Model) -> None:
    task, served_task = model.card.task, before.card.task
    if task != served_task:
        raise SettingsError(
            f"The model in {model.folder} is of the task {task!r}, and {served_task!r} is served: "
            "whoever asks could not read its answers.",
            hint="Start another service for it.",
        )

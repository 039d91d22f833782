"""The pass over all images: same bits whatever the workers, nothing twice, nothing unsaid."""

from __future__ import annotations

import multiprocessing
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from frostline.backbones.described import described
from frostline.backbones.network import Network
from frostline.compute import image_loader, taps_pass
from frostline.compute.cache import fact
from frostline.compute.cache.store import ImageStore
from frostline.compute.frozen import Frozen, run_frozen
from frostline.compute.image_loader import ImageLoader
from frostline.core.errors import InputError, UnreadableImageError
from frostline.core.progress import NullProgress
from frostline.core.runtime import Runtime
from frostline.data.catalog import Catalog
from frostline.data.decoding.decode import decode
from frostline.data.decoding.thumbnails import thumbnail
from frostline.data.sources.open_source import open_source

pytestmark = pytest.mark.slow

Run = Callable[..., Frozen]


class Notes(NullProgress):
    def __init__(self) -> None:
        self.texts: list[str] = []

    def note(self, fact: object, /) -> None:
        self.texts.append(str(fact))


@pytest.fixture
def folder(pictures_folder: Path, tmp_path: Path) -> Path:
    """A copy that may be changed."""
    return Path(shutil.copytree(pictures_folder, tmp_path / "folder"))


def taps_by_name(store: Frozen) -> dict[str, bytes]:
    return {row.name: taps.tobytes() for row, taps in zip(store.catalog.rows, store.features.taps)}  # noqa: B905


@pytest.fixture
def forget(cache: Path) -> Callable[[], None]:
    """Empty the store of images."""
    return lambda: shutil.rmtree(cache / "images")


def test_every_image_gets_its_own_taps_and_thumbnail(
    run: Run, pictures: Catalog, lite0: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    # as for a set that is worth an export
    monkeypatch.setattr("frostline.compute.engines.choose.EXPORT_PAYS_FROM", 0)
    store = run(pictures, network=lite0)
    assert store.report.engine == "onnxruntime-fp32"
    assert store.report.computed == len(set(pictures.digests))
    assert store.features.taps.shape == (len(pictures), lite0.body(lite0.taps).width)
    assert store.features.taps.dtype == np.float32
    for row in (0, 9, len(pictures) - 1):
        image = decode(pictures.rows[row].path, max_pixels=10**7)
        np.testing.assert_array_equal(store.features.thumbnails[row], thumbnail(image))
        pixels = lite0.preprocessing.apply(image)
        np.testing.assert_array_equal(store.runner.pixels(np.array([row]))[0], pixels)
        np.testing.assert_array_equal(
            store.runner.features_of(pixels[None], Runtime())[0], store.features.taps[row]
        )
    last, first = lite0.taps[-1], lite0.taps[0]
    chosen = store.features.tap([last, first], np.array([4, 2, 4]))
    expected = np.concatenate(
        [store.features.taps[:, store.features.slices[n]] for n in (last, first)], axis=1
    )
    np.testing.assert_array_equal(chosen, expected[[4, 2, 4]])


@pytest.mark.parametrize("library", ["pillow", "torch", "timm"])
def test_after_an_upgrade_nothing_from_before_is_mixed_in(
    run: Run, pictures: Catalog, library: str, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = np.arange(len(pictures))
    run(pictures).runner.moments(rows, Runtime())
    before = set((cache / "images").iterdir())
    again = run(pictures)
    again.runner.moments(rows, Runtime())
    assert again.report.computed == 0
    assert set((cache / "images").iterdir()) == before
    installed = fact.version_of
    monkeypatch.setattr(
        fact, "version_of", lambda name: "99.0" if name == library else installed(name)
    )
    upgraded = run(pictures)
    upgraded.runner.moments(rows, Runtime())
    assert upgraded.report.computed == len(set(pictures.digests))
    assert upgraded.features.key != again.features.key, "evidence and pictures rest on it"
    assert len(set((cache / "images").iterdir()) - before) == len(before) >= 2


def test_what_a_graph_gave_is_found_again_whether_pytorch_is_installed_or_not(
    pictures: Catalog, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    some = pictures.without(dict.fromkeys(range(4, len(pictures)), "not wanted"))
    installed, changed = fact.version_of, dict[str, str]()
    monkeypatch.setattr(fact, "version_of", lambda name: changed.get(name) or installed(name))

    def pass_over() -> Frozen:
        found = run_frozen(described("efficientnet_lite0"), some, Runtime())
        found.runner.moments(np.arange(len(some)), Runtime())
        return found

    first = pass_over()
    before = set((cache / "images").iterdir())
    assert first.report.computed == len(set(some.digests))
    changed.update(torch="none", torchvision="none", timm="none")
    light = pass_over()
    assert light.report.computed == 0
    assert light.features.key == first.features.key
    assert set((cache / "images").iterdir()) == before
    changed.update(onnxruntime="99.0")
    other = pass_over()
    assert other.report.computed == first.report.computed
    assert other.features.key != first.features.key


def test_taps_are_held_once(run: Run, folder: Path) -> None:
    store = run(open_source(folder))
    assert len(store.features.values) == len(store.catalog)
    assert np.shares_memory(store.features.taps, store.features.values)
    shutil.copy(folder / "digits/1.png", folder / "digits/copy.png")
    (folder / "cells/noise.png").write_bytes(bytes(200))
    again = run(open_source(folder))
    assert len(again.catalog) == len(store.catalog) + 1
    names = [row.name for row in again.catalog.rows]
    one, other = again.features.index[[names.index("digits/1.png"), names.index("digits/copy.png")]]
    assert one == other, "equal images share their taps"
    before = dict(zip((row.name for row in store.catalog.rows), store.features.taps, strict=True))
    for name, taps in zip(names, again.features.taps, strict=True):
        np.testing.assert_array_equal(taps, before[name.replace("copy", "1")])


def test_the_store_is_put_in_order_once_however_many_images_there_are(
    run: Run, pictures: Catalog, monkeypatch: pytest.MonkeyPatch, forget: Callable[[], None]
) -> None:
    looks: list[str] = []
    monkeypatch.setattr(taps_pass, "keep_within_limit", lambda: looks.append("limit"))
    monkeypatch.setattr(ImageStore, "compact", lambda *_: looks.append("compact"))
    for rows in (2, 5, 1000):
        looks.clear()
        monkeypatch.setattr(taps_pass, "PARTITION_ROWS", rows)
        assert run(pictures).report.computed == len(set(pictures.digests))
        assert looks == ["compact", "limit"]
        assert run(pictures).report.computed == 0
        forget()


def test_workers_never_change_a_bit(
    run: Run, pictures: Catalog, lite0: Network, forget: Callable[[], None]
) -> None:
    found = []
    for workers in (0, 1, 2):
        store = run(pictures, network=lite0, workers=workers)
        assert store.report.computed
        found.append((store.features.taps.tobytes(), store.features.thumbnails.tobytes()))
        forget()
    assert found[0] == found[1] == found[2]


def test_an_image_gets_the_same_bits_whatever_lies_beside_it(
    run: Run, folder: Path, lite0: Network, forget: Callable[[], None]
) -> None:
    everything = taps_by_name(run(open_source(folder), network=lite0))
    forget()
    for name in ("cells/3.png", "cells/4.png", "digits/0.png", "photos/5.jpg"):
        (folder / name).unlink()
    fewer = taps_by_name(run(open_source(folder), network=lite0))
    assert len(fewer) == len(everything) - 4
    assert fewer == {name: everything[name] for name in fewer}


def test_a_second_run_computes_nothing_and_a_new_image_only_itself(run: Run, folder: Path) -> None:
    first = run(open_source(folder))
    second = run(open_source(folder))
    assert second.report.computed == 0
    assert second.report.engine == "stored"
    assert second.report.reason
    assert taps_by_name(second) == taps_by_name(first)
    np.testing.assert_array_equal(second.features.thumbnails, first.features.thumbnails)
    np.testing.assert_array_equal(
        second.runner.pixels(np.arange(5)), first.runner.pixels(np.arange(5))
    )

    Image.open(folder / "photos/1.jpg").rotate(15).save(folder / "photos/new.jpg")
    (folder / "photos/0.jpg").rename(folder / "photos/renamed.jpg")
    shutil.copy(folder / "digits/1.png", folder / "digits/copy.png")
    third = run(open_source(folder))
    assert third.report.computed == 1
    kept = taps_by_name(third)
    assert kept["photos/renamed.jpg"] == taps_by_name(first)["photos/0.jpg"]
    assert kept["digits/copy.png"] == kept["digits/1.png"]
    assert kept["photos/new.jpg"] not in taps_by_name(first).values()


def test_a_damaged_file_in_the_cache_is_noted_and_computed_again(
    run: Run, pictures: Catalog, cache: Path, heard: Any
) -> None:
    first = run(pictures)
    for shard in (cache / "images").rglob("*.shard"):
        content = bytearray(shard.read_bytes())
        content[len(content) // 2] ^= 4
        shard.write_bytes(content)
    second = run(pictures)
    assert second.report.computed == first.report.computed
    assert taps_by_name(second) == taps_by_name(first)
    assert any("damaged" in note for note in heard.notes)
    assert run(pictures).report.computed == 0


def test_unreadable_images_are_left_out_and_named(run: Run, folder: Path) -> None:
    whole = (folder / "photos/2.jpg").read_bytes()
    (folder / "photos/half.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "cells/noise.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(200))
    shutil.copy(folder / "cells/noise.png", folder / "digits/noise.png")
    Image.new("RGB", (900, 900)).save(folder / "digits/large.png")
    names = {"photos/half.jpg", "cells/noise.png", "digits/noise.png", "digits/large.png"}

    catalog = open_source(folder)
    store = run(catalog, max_pixels=500_000, workers=2)
    listed = {u.path: u.reason for u in (*store.catalog.unreadable, *catalog.unreadable)}
    assert set(listed) == names
    assert "truncated" in listed["photos/half.jpg"]
    assert "megapixels" in listed["digits/large.png"] or "pixels" in listed["digits/large.png"]
    assert len(store.features.taps) == len(store.catalog) == len(store.features.thumbnails) == 21
    assert not names & {row.name for row in store.catalog.rows}

    larger = run(open_source(folder), max_pixels=10**6)
    assert "digits/large.png" in {row.name for row in larger.catalog.rows}
    again = run(open_source(folder), max_pixels=500_000)
    assert "digits/large.png" in {u.path for u in again.catalog.unreadable}, "now over the limit"


def test_too_few_readable_images_are_one_clear_error(run: Run, folder: Path) -> None:
    for path in (folder / "photos").iterdir():
        path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(InputError, match="photos"):
        run(open_source(folder))


def test_what_was_done_before_an_interruption_is_kept_and_the_engine_with_it(
    run: Run, pictures: Catalog, small: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    announced: list[int | None] = []
    real = taps_pass.start_taps

    def counted(*arguments: Any, **options: Any) -> Any:
        announced.append(arguments[3])
        return real(*arguments, **options)

    monkeypatch.setattr(taps_pass, "start_taps", counted)

    class Impatient(Notes):
        def task(self, label: str, total: int) -> Any:
            del label, total
            left = 9

            class Bar:
                def __enter__(self) -> Bar:
                    return self

                def __exit__(self, *_: object) -> None: ...

                def advance(self, n: int = 1) -> None:
                    nonlocal left
                    left -= n
                    if left == 0:
                        raise KeyboardInterrupt

            return Bar()

    with pytest.raises(KeyboardInterrupt):
        run_frozen(small, pictures, Runtime(workers=2, progress=Impatient()))
    assert run(pictures).report.computed == len(pictures) - 9
    # the engine is chosen by how many images there are, not by how many are left
    assert announced == [len(pictures)] * 2


def test_a_cache_that_cannot_be_written_is_noted_and_the_run_goes_on(
    run: Run, pictures: Catalog, heard: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = taps_by_name(run(pictures))
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where a folder should be")
    monkeypatch.setenv("FROSTLINE_CACHE", str(blocked))
    assert taps_by_name(run(pictures)) == expected
    assert any("could not be kept" in note for note in heard.notes)


def test_results_are_written_while_the_pass_goes_on(
    run: Run, pictures: Catalog, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(taps_pass, "PARTITION_ROWS", 5)
    run(pictures)
    assert len(list((cache / "images").rglob("*.shard"))) == 5


def test_a_file_that_changes_between_listing_and_reading_is_unreadable(
    run: Run, folder: Path
) -> None:
    catalog = open_source(folder)
    shutil.copy(folder / "photos/0.jpg", folder / "photos/3.jpg")
    (folder / "cells/1.png").unlink()
    store = run(catalog)
    reasons = {u.path: u.reason for u in store.catalog.unreadable}
    assert set(reasons) == {"photos/3.jpg", "cells/1.png"}
    assert "changed" in reasons["photos/3.jpg"]
    assert run(open_source(folder)).report.computed == 0, "nothing wrong was stored"


def test_pictures_are_read_once_and_the_same_from_memory(folder: Path, lite0: Network) -> None:
    catalog = open_source(folder)
    pictures = ImageLoader(catalog, lite0.preprocessing, max_pixels=10**7, workers=2)
    digests = [*catalog.digests, *catalog.digests[:3]]
    first = [image.copy() for image in pictures.pixels(digests)]
    resized = pictures.resized(catalog.digests[0])
    whole = decode(catalog.rows[0].path, max_pixels=10**7)
    assert resized.tobytes() == lite0.preprocessing.resized(whole).tobytes()
    np.testing.assert_array_equal(lite0.preprocessing.apply(resized), first[0])
    for row in catalog.rows:
        row.path.unlink()
    assert all(map(np.array_equal, pictures.pixels(digests), first))
    assert pictures.resized(catalog.digests[0]).tobytes() == resized.tobytes()
    with pytest.raises(UnreadableImageError):
        pictures.resized(catalog.digests[1])


def test_memory_is_bounded(folder: Path, lite0: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    side = lite0.preprocessing.size
    monkeypatch.setattr("frostline.compute.image_loader.PREPROCESSED_BYTES", 4 * 3 * side * side)
    catalog = open_source(folder)
    pictures = ImageLoader(catalog, lite0.preprocessing, max_pixels=10**7, workers=0)
    assert len(list(pictures.pixels(catalog.digests))) == len(catalog)
    for row in catalog.rows:
        row.path.unlink()
    readable = 0
    for digest in catalog.digests:
        try:
            readable += len(list(pictures.pixels([digest])))
        except UnreadableImageError:
            continue
    assert readable == 4


def _other_process(folder: str, cache: str, ready: Any, go: Any, answers: Any) -> None:
    os.environ["FROSTLINE_CACHE"] = cache
    network = Network.load("efficientnet_lite0")
    catalog = open_source(folder)
    ready.set()
    go.wait(60)
    notes = Notes()
    store = run_frozen(network, catalog, Runtime(workers=1, progress=notes))
    answers.put((taps_by_name(store), notes.texts))


def test_two_runs_at_once_do_not_disturb_each_other(
    run: Run,
    pictures_folder: Path,
    pictures: Catalog,
    lite0: Network,
    cache: Path,
    heard: Any,
) -> None:
    context = multiprocessing.get_context("spawn")
    ready, go, answers = context.Event(), context.Event(), context.Queue()
    arguments = (str(pictures_folder), str(cache), ready, go, answers)
    other = context.Process(target=_other_process, args=arguments)
    other.start()
    assert ready.wait(60)
    go.set()
    mine = taps_by_name(run(pictures, network=lite0, workers=1))
    theirs, notes = answers.get(timeout=60)
    other.join(60)
    assert other.exitcode == 0
    assert theirs == mine
    assert not notes
    assert not heard.notes
    assert run(pictures, network=lite0).report.computed == 0


def test_a_pass_may_be_given_less_room_for_pictures(
    small: Network, pictures: Catalog, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    del cache
    room = 4 * 5 * 64 * 64 * 3
    monkeypatch.setattr(image_loader, "PREPROCESSED_BYTES", room)
    kept = []
    for given in (room // 4, None):
        store = run_frozen(small, pictures, Runtime(), preprocessed_bytes=given)
        list(store.runner.images.load(pictures.digests))
        kept.append(
            sum(store.runner.images._preprocessed.get(d) is not None for d in pictures.digests)
        )
    assert kept == [5, 20]

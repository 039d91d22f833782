"""Sentences about images to be labelled: why they are suggested, and what labels bring."""

from __future__ import annotations

from frostline.core.suggestion_record import (
    Forecast,
    Labelling,
    RealisedGain,
    Suggestion,
    Suggestions,
    Why,
)
from frostline.wording.numbers import listed, percent, plural, points


def why_sentence(one: Suggestion) -> str:
    """Say why an image was suggested."""
    if one.why is Why.COVERS:
        return "stands for many that nothing labelled is like"
    if one.why is Why.UNSURE and one.others:
        return f"between {one.predicted} and {one.others[0][0]}"
    if one.why is Why.UNLIKE:
        return "unlike everything in training: a new class, or no picture of these"
    if one.why is Why.DOUBTFUL:
        return f"labelled {one.label}, looks like {one.predicted}"
    return "its label changes what is said of many others"


def found_sentences(found: Suggestions) -> list[str]:
    """Say what was looked at, and what was left out."""
    if not found.pool:
        of = plural(found.labelled, "label")
        if not found.chosen:
            return [f"The other images speak against none of {of}."]
        return [f"The other images speak against {len(found.chosen):,} of {of}."]
    of = plural(found.pool_images, "image")
    said = [
        f"{len(found.chosen):,} of {of} are suggested; {plural(found.labelled, 'label')} so far."
    ]
    if found.in_run:
        said.append(
            f"Left out: {plural(found.in_run, 'image')} that the run has, or that have answers."
        )
    if found.near_run:
        said.append(f"Left out: {plural(found.near_run, 'near-duplicate')} of images of the run.")
    if found.near_copies:
        copies = plural(found.near_copies, "near-duplicate")
        said.append(f"Suggested once: {copies} of other images of the pool.")
    if found.apart:
        apart = plural(len(found.apart), "image")
        said.append(f"Apart: {apart} unlike everything in training, at the end of the list.")
    return said


def forecast_sentences(forecast: Forecast) -> list[str]:
    """Say what labels are expected to bring, and whether it is worth going on."""
    labels = plural(forecast.labels, "label")
    gain, margin = points(forecast.gain), f"± {100 * forecast.margin:.1f}"
    said = [
        f"A head in closed form is right in {percent(forecast.accuracy)} of left-out images. "
        f"These {labels} are expected to bring {gain} ({margin}); as many at random, "
        f"{points(forecast.at_random)}."
    ]
    if not forecast.worth_it:
        many = plural(forecast.doubling_labels, "more label")
        said.append(
            f"It is not worth going on: even {many} are expected to bring "
            f"{points(forecast.doubling)}, under half a point."
        )
    return said


def sheet_title(found: Suggestions) -> str:
    """Name the contact sheet."""
    if not found.pool:
        return f"{plural(len(found.chosen), 'doubtful label')} of {found.run}"
    return f"{plural(len(found.chosen) + len(found.apart), 'image')} of {found.pool} to label"


def labelling_sentences(found: Labelling) -> list[str]:
    """Say what became of answers, and what they brought."""
    if found.undone:
        return [
            f"Taken back: {plural(found.undone, 'answer')}. {found.table} has "
            f"{plural(found.labels, 'label')} now."
        ]
    taken, labels = plural(found.taken, "answer"), plural(found.labels, "label")
    said = [f"Taken: {taken}; {found.table} has {labels}."]
    if found.same:
        said.append(f"Known before: {plural(found.same, 'answer')}.")
    if found.corrected:
        said.append(f"Of these, {plural(found.corrected, 'label')} of the run are corrected.")
    if found.aside:
        said.append(f"Set aside: {plural(found.aside, 'image')} of none of the classes.")
    if found.skipped:
        said.append(f"Without an answer: {plural(found.skipped, 'image')}.")
    if found.new_classes:
        said.append(f"New to the run: {listed(found.new_classes)}.")
    if found.realised is not None:
        said.append(_realised_sentence(found.realised))
    elif found.untold:
        said.append(f"What they brought cannot be told: {found.untold}")
    if found.of_run is not None:
        said += labelling_sentences(found.of_run)
    return said


def _realised_sentence(found: RealisedGain) -> str:
    return (
        f"On {plural(found.images, 'image')} labelled before, a head in closed form was right in "
        f"{percent(found.before)} by leave-one-out and is in {percent(found.after)} with the "
        f"answers: {points(found.gain)} (± {100 * found.margin:.1f}), expected were "
        f"{points(found.forecast)}."
    )


def next_sentence(run: str, found: Labelling) -> str:
    """Say what to do with the table."""
    tables = [found] if found.of_run is None else [found, found.of_run]
    options = [f"{'--relabel' if one.corrections else '--add'} {one.table}" for one in tables]
    return f"Next: frostline update {run} {' '.join(options)} -o NEW"

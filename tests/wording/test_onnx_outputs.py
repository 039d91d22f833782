"""What an ONNX file tells beside its predictions is said in the words of its task."""

from __future__ import annotations

from frostline.wording.onnx_outputs import further_outputs


def test_each_task_names_its_own_outputs_and_their_shapes() -> None:
    every = ("unfamiliarity", "set_95", "abstain", "interval")
    classes = further_outputs("single", every)
    assert "`set_95` (N, classes)" in classes and "interval" not in classes
    assert "`set_95` (N, grades)" in further_outputs("ordinal", every)
    labels = further_outputs("multilabel", every)
    assert "`set_95` (N, labels, 2)" in labels and "`abstain` (N, labels)" in labels
    numbers = further_outputs("regression", every)
    assert "`interval` (N, columns, 2)" in numbers and "set_95" not in numbers
    assert further_outputs("single", ["unfamiliarity"]) == (
        "Further outputs: `unfamiliarity` (N), above 1 for images unlike those of training."
    )
    assert further_outputs("regression", ["set_95"]) == ""

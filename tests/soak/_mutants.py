"""Lines that promises rest on, each with a change that breaks the promise.

A line, or as much of it as matters, is given as it stands, and must occur once in its file. The
tests are those nearby: one of them has to fail.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutant:
    """One line of ``src/frostline``, and what it is replaced with."""

    promise: str
    file: str
    line: str
    replacement: str
    tests: tuple[str, ...]


MUTANTS = (
    Mutant(
        "frozen norm layers stay in eval mode",
        "backbones/freeze/eval_mode.py",
        "_eval_alone(self, original_class(self))",
        "self.training = mode",
        ("tests/backbones/test_freezing.py",),
    ),
    Mutant(
        "a frozen tensor that moved is found",
        "backbone/freezing.py",
        "changed = [name for name, digest in before.items() if after.get(name) != digest]",
        "changed = [name for name, digest in before.items() if name not in after]",
        ("tests/backbones/test_freezing.py", "tests/training/test_frozen.py"),
    ),
    Mutant(
        "fingerprints are compared after every training",
        "training/finetune.py",
        "verify_frozen(job.assembly.classifier, job.assembly.fingerprints)",
        "pass",
        ("tests/training/test_frozen.py",),
    ),
    Mutant(
        "a head on frozen features finds weights that moved",
        "training/taps_head.py",
        "if fingerprint(network.feature_module) != network.weights_id:",
        "if False:",
        ("tests/training/test_heads.py",),
    ),
    Mutant(
        "test images teach nothing",
        "pipeline.py",
        "prepared.split.train,",
        "np.concatenate([prepared.split.train, prepared.split.test]),",
        ("tests/end_to_end/test_honest.py",),
    ),
    Mutant(
        "a fold is judged by a model that has not seen it",
        "assess.py",
        "rows[learn],",
        "rows,",
        ("tests/end_to_end/test_honest.py",),
    ),
    Mutant(
        "options race on images that did not teach them",
        "procedure.py",
        "learn, judge = (rows[part] for part in folds[fold % len(folds)])",
        "learn = judge = rows",
        ("tests/end_to_end/test_racing.py",),
    ),
    Mutant(
        "heads are calibrated on outputs for images left out",
        "training/taps_head.py",
        "honest = fit.loo",
        "honest = fit.fitted",
        ("tests/training/test_heads.py",),
    ),
    Mutant(
        "probabilities are calibrated",
        "procedure.py",
        "return fit_temperature(trained.out_of_fold_logits, task.labels[trained.out_of_fold_rows])",
        "return 1.0",
        ("tests/end_to_end/test_unknown.py",),
    ),
    Mutant(
        "the exported model divides by the temperature",
        "artifact/graph.py",
        'scaled = graph.add("Div", logits, graph.constant(temperature, np.float32))',
        'scaled = graph.add("Div", logits, graph.constant(1.0, np.float32))',
        ("tests/model/test_export.py",),
    ),
    Mutant(
        "an export is compared with PyTorch",
        "artifact/export.py",
        "if not difference <= accepted:",
        "if False:",
        ("tests/model/test_export.py",),
    ),
    Mutant(
        "near-duplicates are one group",
        "images/audit.py",
        "groups=joined(n, [*owners, *together]),",
        "groups=joined(n, owners),",
        ("tests/data/test_audit.py",),
    ),
    Mutant(
        "the test part is drawn by groups",
        "images/split.py",
        "labels, grouping[learn], digests, fraction=test_size, seed=seed",
        "labels, np.arange(len(learn)), digests, fraction=test_size, seed=seed",
        ("tests/data/test_split.py",),
    ),
    Mutant(
        "the validation part is drawn by groups",
        "training/parts.py",
        "grouping = np.arange(len(rows)) if groups is None else groups[rows]",
        "grouping = np.arange(len(rows))",
        ("tests/training/test_options.py", "tests/training/test_loop.py"),
    ),
    Mutant(
        "copies in the test part are named as leaks",
        "images/audit.py",
        'leaked[member] = part == "test"',
        "leaked[member] = False",
        ("tests/data/test_audit.py",),
    ),
    Mutant(
        "photos are turned as their camera says",
        "images/decode.py",
        "if orientation in _TRANSPOSE:",
        "if False:",
        ("tests/data/test_decode.py",),
    ),
    Mutant(
        "too large images are refused from their header",
        "images/decode.py",
        "if pixels > max_pixels:",
        "if False:",
        ("tests/data/test_decode.py",),
    ),
    Mutant(
        "rows of one group are left out together",
        "linear/leaveout.py",
        "remainder -= blocks @ blocks.transpose(0, 2, 1)",
        "remainder -= blocks @ blocks.transpose(0, 2, 1) * np.eye(size)",
        ("tests/stats/test_ridge.py",),
    ),
    Mutant(
        "a head's own leave-one-out knows the groups",
        "training/taps_head.py",
        "groups=groups,",
        "groups=None,",
        ("tests/training/test_heads.py",),
    ),
    Mutant(
        "stored features are checked on every read",
        "features/store.py",
        'if metadata.get("format") != _FORMAT or metadata.get(name) != _checksum(values):',
        'if metadata.get("format") != _FORMAT:',
        ("tests/compute/test_store.py",),
    ),
    Mutant(
        "intervals are those of Wilson",
        "evaluation/intervals.py",
        "spread = z * math.sqrt(share * (1.0 - share) / n + (z / (2.0 * n)) ** 2)",
        "spread = z * math.sqrt(share * (1.0 - share) / n)",
        ("tests/stats/test_intervals.py",),
    ),
    Mutant(
        "classes keep their order in predictions",
        "artifact/model.py",
        "return [self.classes[i] for i in self.predict_proba(images).argmax(axis=1)]",
        "return [sorted(self.classes)[i] for i in self.predict_proba(images).argmax(axis=1)]",
        ("tests/model/test_model.py",),
    ),
    Mutant(
        "the estimator's columns follow classes_",
        "estimator.py",
        "self._columns = [known.index(name) for name in names]",
        "self._columns = list(range(len(names)))",
        ("tests/integrations/test_estimator.py",),
    ),
    Mutant(
        "a file beyond the limit is not kept",
        "serve/uploads.py",
        "elif self._size <= self._limits.max_bytes:",
        "elif self._size <= self._limits.max_request_bytes:",
        ("tests/serve/test_uploads.py",),
    ),
    Mutant(
        "a request beyond the limit is refused",
        "serve/uploads.py",
        "if total > limits.max_request_bytes:",
        "if False:",
        ("tests/serve/test_uploads.py",),
    ),
)

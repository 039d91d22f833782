"""What the service counts, in the format of Prometheus."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from frostline.serve.answer_counts import AnswerCounts
from frostline.serve.watching import StreamWatch

_SECONDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Metrics:
    """Counters of one service; each has a registry of its own, so two never mix.

    Labels take few values by design: paths are those of the service or ``other``, kinds of errors
    are fixed words, answers at most 100 classes of the served model. Names of files never appear.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.requests = Counter(
            "frostline_requests",
            "Requests that were answered.",
            ["path", "status"],
            registry=self.registry,
        )
        self.seconds = Histogram(
            "frostline_request_seconds",
            "From the first byte of a request to the last of its answer.",
            ["path"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.images = Counter(
            "frostline_images",
            "Images by what became of them: classified, refused or explained.",
            ["outcome"],
            registry=self.registry,
        )
        self.errors = Counter(
            "frostline_errors",
            "Errors of requests and of single images by kind.",
            ["kind"],
            registry=self.registry,
        )
        self.batches = Histogram(
            "frostline_batch_images",
            "Images that went through the network together.",
            buckets=_SIZES,
            registry=self.registry,
        )
        self.compute = Counter(
            "frostline_compute_seconds", "Seconds spent in the network.", registry=self.registry
        )
        self.active = Gauge(
            "frostline_requests_active", "Requests in progress.", registry=self.registry
        )
        self.queue = Gauge(
            "frostline_queue_images", "Images that wait or are worked on.", registry=self.registry
        )
        self.held = Gauge(
            "frostline_upload_bytes", "Bytes of uploads in memory.", registry=self.registry
        )

        self.reloads = Counter(
            "frostline_reloads",
            "Times that the model of the folder was asked for: replaced, unchanged or refused.",
            ["outcome"],
            registry=self.registry,
        )

    def follow_counts(self, counts: Callable[[], AnswerCounts]) -> None:
        """Tell as well how often the served model gave each answer, and what people said of it."""
        self.registry.register(_Answers(counts))

    def follow_watch(self, watch: Callable[[], StreamWatch | None]) -> None:
        """Tell as well whether pictures are still what the served model learned from."""
        self.registry.register(_Watch(watch))

    def text(self) -> str:
        """Return everything as text for Prometheus."""
        return generate_latest(self.registry).decode("utf-8")


class _Answers(Collector):
    """Counts of the model that is served now; they begin anew with each model."""

    def __init__(self, counts: Callable[[], AnswerCounts]) -> None:
        self._counts = counts

    def collect(self) -> Iterator[Metric]:
        """Yield them by answer."""
        answers = CounterMetricFamily(
            "frostline_answers", "Answers of the served model.", labels=["answer"]
        )
        feedback = CounterMetricFamily(
            "frostline_feedback",
            "Answers of the served model that people called right or wrong; once a picture.",
            labels=["answer", "called"],
        )
        shares = GaugeMetricFamily(
            "frostline_called_wrong_share",
            "Share of the answers that people called wrong; others may be wrong as well.",
            labels=["answer"],
        )
        for name, found in self._counts().by_answer().items():
            answers.add_metric([name], found.answers)
            feedback.add_metric([name, "wrong"], found.wrong)
            feedback.add_metric([name, "right"], found.judged - found.wrong)
            shares.add_metric([name], found.share or 0.0)
        yield from (answers, feedback, shares)


class _Watch(Collector):
    """The watch of the model that is served now; it begins anew with each model."""

    def __init__(self, watch: Callable[[], StreamWatch | None]) -> None:
        self._watch = watch

    def collect(self) -> Iterator[Metric]:
        """Yield alarm and evidence, drift by depth, and at which end of the network it begins."""
        watch = self._watch()
        if watch is None:
            return
        found = watch.state()
        yield CounterMetricFamily(
            "frostline_watch_images",
            "Different pictures that the served model answered.",
            value=found.pictures,
        )
        yield CounterMetricFamily(
            "frostline_watch_unknown_images",
            "Of these, pictures unlike everything in training.",
            value=found.unknown,
        )
        yield GaugeMetricFamily(
            "frostline_watch_alarm",
            "1 once pictures were no longer what the model learned from.",
            value=float(found.alarm_at is not None),
        )
        yield GaugeMetricFamily(
            "frostline_watch_evidence",
            "Evidence that pictures changed, as a logarithm to base 10.",
            value=found.evidence,
        )
        yield GaugeMetricFamily(
            "frostline_watch_evidence_needed", "Evidence of an alarm.", value=found.needed
        )
        onset = GaugeMetricFamily(
            "frostline_watch_onset",
            "1 at the end of the network at which the last pictures differ.",
            labels=["end"],
        )
        for end in ("early", "late"):
            onset.add_metric([end], float(found.onset == end))
        drift = GaugeMetricFamily(
            "frostline_watch_drift",
            "How far the last pictures are from training, in standard deviations.",
            labels=["depth"],
        )
        for one in found.depths:
            drift.add_metric([one.name], one.distance)
        yield from (onset, drift)

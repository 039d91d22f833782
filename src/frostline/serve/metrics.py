"""What the service counts, in the format of Prometheus."""

from __future__ import annotations

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)

_SECONDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Metrics:
    """Counters of one service; each has a registry of its own, so two never mix.

    Labels take few values by design: paths are those of the service or ``other``, kinds of errors
    are fixed words. Names of files never appear.
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

    def text(self) -> str:
        """Return everything as text for Prometheus."""
        return generate_latest(self.registry).decode("utf-8")

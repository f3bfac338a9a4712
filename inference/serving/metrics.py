"""What a service counts, in the words of Prometheus."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
SIZES = (1, 2, 4, 8, 16, 32, 64, 128)


class Metrics:
    """Of one service."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "tarn_requests", "Requests that were answered.", ("path", "status"), registry=self.registry
        )
        self.seconds = Histogram(
            "tarn_predict_seconds", "From a request's head to its answer.", buckets=SECONDS, registry=self.registry
        )
        self.pictures = Counter("tarn_pictures", "Pictures, by what became of them.", ("end",), registry=self.registry)
        self.batch = Histogram("tarn_batch_size", "Pictures scored at a time.", buckets=SIZES, registry=self.registry)
        self.network = Counter("tarn_network_seconds", "Time for which the network worked.", registry=self.registry)
        self.busy = Gauge("tarn_pictures_in_service", "Pictures that are being answered.", registry=self.registry)
        self.loads = Counter("tarn_model_loads", "Times that the model was read.", ("end",), registry=self.registry)

    def saw_batch(self, size: int, seconds: float) -> None:
        self.batch.observe(size)
        self.network.inc(seconds)

    def text(self) -> bytes:
        """The exposition format, version 0.0.4."""
        return generate_latest(self.registry)


class Counted:
    """ASGI middleware around all others. A path that is none of the service's is called unknown."""

    def __init__(self, app: ASGIApp, requests: Counter) -> None:
        self.app, self.requests = app, requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def noting(message: Message) -> None:
            if message["type"] == "http.response.start":
                path = getattr(scope.get("route"), "path", "unknown")
                self.requests.labels(path, str(message["status"])).inc()
            await send(message)

        await self.app(scope, receive, noting if scope["type"] == "http" else send)

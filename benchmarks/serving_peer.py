"""The same model behind LitServe, for benchmarks/serving.py: decoded by the same code, batched by LitServe, which takes
JSON.

python -m benchmarks.serving_peer MODEL PORT BATCH
"""

import base64
import sys
from typing import Any

import litserve
import numpy as np

from tarn.inference.predictor import Predictor

WAIT = 0.005  # s for which a batch is waited for


class Classes(litserve.LitAPI):  # type: ignore[misc]  # of a package without types
    def setup(self, device: str) -> None:
        self.predictor = Predictor.load(sys.argv[1], device)

    def decode_request(self, request: dict[str, str]) -> Any:
        return self.predictor.prepare(base64.b64decode(request["image"]))

    def batch(self, inputs: list[Any]) -> Any:
        return np.stack(inputs)

    def predict(self, pixels: Any) -> Any:
        return self.predictor.score(pixels)

    def unbatch(self, output: Any) -> Any:
        return output

    def encode_response(self, output: Any) -> Any:
        return {"guesses": [{"name": guess.name, "probability": guess.probability} for guess in output]}


if __name__ == "__main__":
    api = Classes(max_batch_size=int(sys.argv[3]), batch_timeout=WAIT)
    litserve.LitServer(api, accelerator="cpu", workers_per_device=1).run(
        host="127.0.0.1", port=int(sys.argv[2]), generate_client_file=False
    )

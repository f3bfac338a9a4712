// Clients that each send a picture, wait for the answer, and send the next. For benchmarks/serving.py.
import encoding from "k6/encoding";
import http from "k6/http";
import { check } from "k6";

const pictures = __ENV.PICTURES.split(":").map((path) => open(path, "b"));
const asJson = __ENV.FORM === "json"; // made once, so that it costs the clients nothing
const bodies = asJson ? pictures.map((it) => JSON.stringify({ image: encoding.b64encode(it) })) : pictures;
const headers = { "Content-Type": asJson ? "application/json" : "image/jpeg" };

export const options = {
  vus: Number(__ENV.CLIENTS),
  duration: `${__ENV.SECONDS}s`,
  summaryTrendStats: ["med", "p(99)", "max"],
};

export default function () {
  const body = bodies[(__VU * 7919 + __ITER) % bodies.length];
  const answer = http.post(`${__ENV.SERVICE}/predict`, body, { headers, timeout: "60s" });
  check(answer, { answered: (it) => it.status === 200 });
}

// Clients that each send a picture, wait for the answer, and send the next. For benchmarks/serving.py.
import http from "k6/http";
import { check } from "k6";

const pictures = __ENV.PICTURES.split(":").map((path) => open(path, "b"));
const headers = { "Content-Type": "image/jpeg" };

export const options = {
  vus: Number(__ENV.CLIENTS),
  duration: `${__ENV.SECONDS}s`,
  summaryTrendStats: ["med", "p(99)", "max"],
};

export default function () {
  const picture = pictures[(__VU * 7919 + __ITER) % pictures.length];
  const answer = http.post(`${__ENV.SERVICE}/predict`, picture, { headers, timeout: "60s" });
  check(answer, { answered: (it) => it.status === 200 });
}

// One picture at a time: shown, sent to the service, and what it says shown beside it.
const at = (id) => document.getElementById(id);
const [shown, state, guesses, why, lens] = ["shown", "state", "guesses", "why", "lens"].map(at);
let current = null; // {blob, name, best, plain, heat}
let explains = false; // whether this model tells where it looked
let turn = 0; // of the picture that was chosen last: answers to earlier ones are dropped

function say(text, isWrong = false) {
  state.textContent = text;
  state.classList.toggle("wrong", isWrong);
}

const key = new URLSearchParams(location.hash.slice(1)).get("key"); // behind the #, so that no server log has it
const headers = key ? { "X-API-Key": key } : {};

async function send(path, blob, name) {
  const form = new FormData();
  form.append("file", blob, name);
  const answer = await fetch(path, { method: "POST", body: form, headers });
  if (answer.ok) return answer;
  const told = await answer.json().catch(() => ({ error: `the service answers ${answer.status}` }));
  const again = answer.headers.get("Retry-After");
  throw new Error(again ? `${told.error} (in about ${again} s)` : told.error);
}

async function look(blob, name) {
  const mine = ++turn;
  forget();
  current = { blob, name, plain: URL.createObjectURL(blob), heat: null };
  shown.src = current.plain;
  shown.alt = `The picture ${name}`;
  shown.hidden = false;
  at("hint").hidden = true;
  guesses.hidden = why.hidden = true;
  say("Looking…");
  try {
    const started = performance.now();
    const told = await (await send("predict", blob, name)).json();
    if (mine !== turn) return;
    const found = told.predictions[0].guesses;
    current.best = found[0].index;
    list(found);
    const all = Math.round(performance.now() - started);
    say(`${found[0].name}, ${percent(found[0].probability)}. ${Math.round(told.milliseconds)} ms, ${all} ms with the way there.`);
    why.hidden = !explains;
  } catch (error) {
    if (mine === turn) say(error.message, true);
  }
}

function forget() {
  if (!current) return;
  URL.revokeObjectURL(current.plain);
  if (current.heat) URL.revokeObjectURL(current.heat);
  shown.classList.remove("heat");
  why.setAttribute("aria-pressed", "false");
  why.textContent = "Show where it looked";
}

const percent = (part) => `${(100 * part).toFixed(1)} %`;

function list(found) {
  guesses.replaceChildren(
    ...found.map(({ name, wnid, probability }) => {
      const [line, bar, word, share] = ["li", "i", "span", "span"].map((tag) => document.createElement(tag));
      bar.style.width = percent(probability).replace(" ", "");
      word.textContent = name;
      word.title = wnid;
      share.textContent = percent(probability);
      line.append(bar, word, share);
      return line;
    }),
  );
  guesses.hidden = false;
}

why.addEventListener("click", async () => {
  const mine = turn;
  const asked = why.getAttribute("aria-pressed") !== "true";
  try {
    if (asked && !current.heat) {
      say("Looking again…");
      const answer = await send(`explain?class=${current.best}`, current.blob, current.name);
      if (mine !== turn) return;
      current.heat = URL.createObjectURL(await answer.blob());
      say("Yellow to red: what spoke for the first class, in the part of the picture that was seen.");
    }
  } catch (error) {
    if (mine === turn) say(error.message, true);
    return;
  }
  shown.src = asked ? current.heat : current.plain;
  shown.classList.toggle("heat", asked);
  why.setAttribute("aria-pressed", String(asked));
  why.textContent = asked ? "Show the picture" : "Show where it looked";
});

// Where pictures come from

at("choose").addEventListener("change", ({ target }) => {
  if (target.files[0]) look(target.files[0], target.files[0].name);
  target.value = ""; // so that the same file can be chosen again
});

addEventListener("paste", ({ clipboardData }) => {
  const file = [...clipboardData.files].find(({ type }) => type.startsWith("image/"));
  if (file) look(file, file.name || "pasted");
  else say("What was pasted is no picture.", true);
});

const drop = at("drop");
for (const name of ["dragover", "dragenter"])
  addEventListener(name, (event) => {
    event.preventDefault();
    drop.classList.add("over");
  });
for (const name of ["dragleave", "drop"]) addEventListener(name, () => drop.classList.remove("over"));
addEventListener("drop", (event) => {
  event.preventDefault();
  const [file] = event.dataTransfer.files;
  if (file) look(file, file.name);
  else say("What was dropped is no file: save the picture first.", true);
});

const video = lens.querySelector("video");
at("camera").hidden = !navigator.mediaDevices;
at("camera").addEventListener("click", async () => {
  try {
    video.srcObject = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
    lens.showModal();
  } catch (error) {
    say(`The camera cannot be used: ${error.message}`, true);
  }
});
at("shut").addEventListener("click", () => lens.close());
lens.addEventListener("close", () => video.srcObject?.getTracks().forEach((track) => track.stop()));
at("shoot").addEventListener("click", () => {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
  canvas.getContext("2d").drawImage(video, 0, 0);
  canvas.toBlob((blob) => look(blob, "photograph.jpg"), "image/jpeg", 0.95);
  lens.close();
});

// What is known beforehand

const WORDS = { val_top1: "top-1", val_top5: "top-5", val_loss: "loss in validation", top1: "top-1", top5: "top-5" };

async function begin() {
  const model = await (await fetch("model", { headers })).json();
  if (model.error) throw new Error(model.error);
  explains = model.explains;
  at("model").textContent = `${model.arch}, ${model.classes.toLocaleString()} classes, ${model.crop} px`;
  const told = { network: model.arch, classes: model.classes, sees: `shorter side ${model.resize} px, middle ${model.crop} px`, "read at": model.since, ...model.provenance };
  for (const [name, value] of Object.entries(told)) {
    const [term, text] = ["dt", "dd"].map((tag) => document.createElement(tag));
    term.textContent = WORDS[name] ?? name.replaceAll("_", " ");
    text.textContent = name.includes("top") && typeof value === "number" ? percent(value) : value;
    at("card").querySelector("dl").append(term, text);
  }
  const names = await (await fetch("samples", { headers })).json();
  at("samples").hidden = names.length === 0;
  for (const name of names) {
    const [item, button, image] = ["li", "button", "img"].map((tag) => document.createElement(tag));
    const blob = await (await fetch(`samples/${encodeURIComponent(name)}`, { headers })).blob();
    image.src = URL.createObjectURL(blob);
    image.alt = `Sample ${name}`;
    button.type = "button";
    button.append(image);
    button.addEventListener("click", () => look(blob, name));
    item.append(button);
    at("samples").querySelector("ul").append(item);
  }
}

begin().catch((error) => (at("model").textContent = error.message));

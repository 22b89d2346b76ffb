// Photographs of one person: collected, judged, shown, and enrolled when somebody says so.
"use strict";
const form = $("#add");
const pictures = [];
let camera = null;
let doorFeed = null;
let judged = 0;

function body(dryRun) {
  const data = new FormData();
  if (!form.dataset.id) {
    const given = new FormData(form);
    data.set("name", given.get("name") || "?");
    for (const group of given.getAll("groups")) data.append("groups", group);
    for (const [name, moment] of validity(form)) if (moment) data.set(name, moment);
    if (given.get("consent")) data.set("consent_utc", new Date().toISOString().slice(0, 10));
  }
  const reason = new FormData(form).get("anyway");
  if (reason) data.set("anyway", reason);
  data.set("dry_run", dryRun);
  const chosen = dryRun || reason ? pictures : pictures.filter((one) => one.accepted);
  chosen.forEach((one, place) => data.append("photographs", one.blob, `photograph-${place + 1}.jpg`));
  return data;
}

const target = () => (form.dataset.id ? `/people/${form.dataset.id}/templates` : "/people");

function draw() {
  $("#pictures").replaceChildren(...pictures.map((one, place) => make(
    "li", { class: one.accepted === undefined ? "" : one.accepted ? "good" : "bad" },
    make("img", { src: one.face ? "data:image/jpeg;base64," + one.face : one.url, alt: `${place + 1}` }),
    make("p", {}, one.accepted === undefined ? "…" : one.accepted ? words.say.accepted : `${words.unfit[one.reason] ?? one.message}`),
    make("button", { type: "button", class: "quiet", onclick: () => { URL.revokeObjectURL(one.url); pictures.splice(place, 1); draw(); if (pictures.length) judge(); } }, words.say.remove, make("span", { class: "unseen" }, ` ${place + 1}`)),
  )));
  const good = pictures.filter((one) => one.accepted).length;
  $("#enrol").disabled = !good;
  $("#overrule").hidden = !pictures.some((one) => ["too_like_somebody_else", "not_the_same_person"].includes(one.reason));
}

// Judged as at the terminal; nothing is kept.
async function judge() {
  const mine = ++judged;
  $("#verdict").textContent = words.say.judging + " …";
  const told = await attempt(null, () => api("POST", target(), body(true)));
  if (mine !== judged) return;
  $("#verdict").textContent = "";
  if (!told) return;
  told.pictures.forEach((one, place) => pictures[place] && Object.assign(pictures[place], one));
  draw();
}

function add(...blobs) {
  for (const blob of blobs.slice(0, 20 - pictures.length)) pictures.push({ blob, url: URL.createObjectURL(blob) });
  draw();
  if (pictures.length) judge();
}

$("#files").addEventListener("change", (event) => { add(...event.target.files); event.target.value = ""; });

async function stop() {
  camera?.stop();
  doorFeed?.close();
  camera = doorFeed = null;
  $("#camera").hidden = true;
  $("#door-picture").hidden = true;
}

$("#use-camera").addEventListener("click", async () => {
  await stop();
  try {
    camera = await openCamera($("#video"));
  } catch (error) {
    return toast(`${words.say.no_camera}: ${error.message}`, true);
  }
  $("#camera").hidden = false;
  hints(camera);
});

// A small picture now and then, to say what to do.
async function hints(mine) {
  while (camera === mine) {
    const data = new FormData();
    data.set("photograph", await mine.take(480), "hint.jpg");
    const seen = await api("POST", "/recognise", data).catch(() => null);
    if (camera !== mine) return;
    if (seen) {
      const unfit = seen.faces[0]?.unfit;
      $("#hint").textContent = !seen.faces.length ? words.say.no_face : unfit ? words.unfit[unfit] : words.say.accepted;
    }
    await new Promise((done) => setTimeout(done, 700));
  }
}

$("#use-door").addEventListener("click", async () => {
  await stop();
  $("#camera").hidden = false;
  $("#door-picture").hidden = false;
  doorFeed = follow("/live", (seen) => {
    if (seen.result === "ok") {
      $("#door-picture").src = "data:image/jpeg;base64," + seen.picture;
      const face = seen.faces[0];
      $("#hint").textContent = !face ? words.say.no_face : face.unfit ? words.unfit[face.unfit] : words.say.accepted;
    } else if (seen.result !== "no_news") $("#hint").textContent = seen.reason ?? words.say.no_picture;
  });
});

$("#take").addEventListener("click", (event) => attempt(event.target, async () => {
  if (camera) return add(await camera.take());
  const answer = await fetch("/api/v1/live/picture");
  if (!answer.ok) throw new Error(words.say.no_picture);
  return add(await answer.blob());
}));
$("#stop").addEventListener("click", stop);

form.addEventListener("submit", (event) => {
  event.preventDefault();
  attempt($("#enrol"), async () => {
    const told = await api("POST", target(), body(false));
    if (!told.accepted) throw new Error(words.say.none_good);
    await stop();
    location.assign("/people/" + told.id);
  });
});

const carried = sessionStorage.getItem("picture");
if (carried) {
  sessionStorage.removeItem("picture");
  const raw = atob(carried.split(",")[1]);
  add(new Blob([Uint8Array.from(raw, (one) => one.charCodeAt(0))], { type: "image/jpeg" }));
}

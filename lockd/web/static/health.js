// Aiming the camera: what it sees of whoever stands there, with small plots.
"use strict";
const lately = { fps: [], px: [] };
function plot(id, values, value) {
  values.push(value);
  if (values.length > 60) values.shift();
  const most = Math.max(1, ...values);
  document.querySelector(`#${id} polyline`).setAttribute("points", values.map((one, place) => `${place * 2},${23 - (one / most) * 22}`).join(" "));
}
if ($("#fps")) follow("/live", (seen) => {
  showWiring(seen.state);
  if (seen.result !== "ok") return;
  const face = seen.faces[0];
  $("#fps").textContent = seen.fps.toFixed(1);
  plot("fps-plot", lately.fps, seen.fps);
  $("#face-px").textContent = face ? `${face.px} px` : "–";
  plot("px-plot", lately.px, face ? face.px : 0);
  const advice = !face ? words.say.nobody : face.unfit ? words.unfit[face.unfit] : words.say.accepted;
  if ($("#advice").textContent !== advice) $("#advice").textContent = advice;
});

// Set-up, for administrators: what is looked at by the service, when somebody says so.
const SHOWN = { doctor: showFindings, thresholds: showThresholds, update: showUpdate };

function showCheck(name, said) {
  $(`#${name}-when`).textContent = local(said.utc);
  SHOWN[name](said);
}

function showFindings(said) {
  const order = ["problem", "warning", "ok", "skipped"];
  const classes = { problem: "tag bad", warning: "tag warn", ok: "tag", skipped: "dim" };
  const found = [...said.findings].sort((one, other) => order.indexOf(one.status) - order.indexOf(other.status));
  $("#doctor").replaceChildren(...found.map((one) => make("li", {}, make("span", {},
    make("span", { class: classes[one.status] }, words.say["found_" + one.status]), ` ${one.check}: ${one.text}`,
    one.mend ? make("span", { class: "dim" }, " → " + one.mend) : null))));
  $("#doctor").hidden = false;
}

// Bins of 0.05 from -0.2 to 1, the two kinds over each other, each as high as its own highest.
function showThresholds(said) {
  const shape = (tag, attributes, text = "") => {
    const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    node.textContent = text;
    return node;
  };
  const x = (similarity) => (similarity + 0.2) * 100;
  const bars = (bins, kind) => {
    const shown = bins.slice(16);
    const most = Math.max(1, ...shown);
    return shown.map((count, place) => shape("rect", { class: kind, x: place * 5, y: 50 - (count / most) * 48, width: 4.6, height: (count / most) * 48 }));
  };
  const line = (at, kind) => (at === null ? [] : [shape("line", { class: kind, x1: x(at), x2: x(at), y1: 0, y2: 50 })]);
  const scale = [0, 0.5, 1].map((at) => shape("text", { x: x(at), y: 60 }, String(at)));
  $("#histogram").replaceChildren(...bars(said.two_people, "two"), ...bars(said.one_person, "one"), ...line(said.suggested, "suggested"), ...line(said.accept, "accept"), ...scale);
  const facts = [["threshold", said.accept], ["suggested", said.suggested ?? "–"], ["templates", said.templates], ["refused_pairs", said.refused === null ? "–" : `${(said.refused * 100).toFixed(1)} %`], ["confusable", said.confusable]];
  $("#thresholds-said").replaceChildren(...facts.flatMap(([name, value]) => [make("dt", {}, words.say["fact_" + name]), make("dd", {}, String(value))]));
  $("#thresholds").hidden = false;
}

function showUpdate(said) {
  $("#update").textContent = said.newer ? `${words.say.newer}: ${said.newer} (${said.date})` : `${words.say.newest}: ${said.version}`;
}

async function look(button) {
  const name = button.dataset.check;
  $(`#${name}-when`).textContent = words.say.looks + " …";
  const said = await attempt(button, () => api("POST", `/checks/${name}`));
  $(`#${name}-when`).textContent = "";
  if (said) showCheck(name, said);
}

if ($("#set-up")) {
  for (const button of document.querySelectorAll("[data-check]")) button.addEventListener("click", () => look(button));
  api("GET", "/checks").then((told) => {
    for (const [name, said] of Object.entries(told.checks)) showCheck(name, said);
    $("#look-for-update").hidden = !told.update_listed;
    if (!told.update_listed) $("#update").textContent = words.say.unlisted;
    if (told.update_due) look($("#look-for-update"));
  }, () => {});

  // The relay once, as for a visitor; the strike must be off, and somebody must say so each time.
  $("#disconnected").addEventListener("change", (event) => { $("#wiring").disabled = !event.target.checked; });
  $("#wiring").addEventListener("click", async (event) => {
    if (!(await sure(words.say.sure_wiring))) return;
    await attempt(event.target, () => api("POST", "/wiring-test", { strike_disconnected: true }));
    $("#disconnected").checked = false;
    event.target.disabled = true;
  });
  follow("/events", (event) => {
    if (["exit_requested", "door_opened", "door_closed", "door_forced", "door_held", "tamper", "tamper_ended", "command", "relay_fault"].includes(event.type)) $("#wiring-seen").prepend(eventLine(event, true));
  });
}

function showWiring(state) {
  if (!state || !$("#set-up")) return;
  $("#relay-seen").textContent = words.say[state.lock === "UNLOCKED" ? "relay_on" : "relay_off"];
  $("#leaf-seen").textContent = words.say["leaf_" + state.door] ?? "–";
}

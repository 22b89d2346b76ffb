// The picture with who is in it, the door, and what happens.
"use strict";
const stage = { picture: $("#picture"), boxes: $("#boxes"), nothing: $("#nothing"), challenge: $("#challenge") };
const mayName = me.role === "administrator";

function nameOf(face) {
  if (face.name) return face.name;
  if (face.verdict === "stranger") return words.say.stranger;
  return face.unfit ? words.unfit[face.unfit] : words.say.looking;
}

function showFaces(faces, accept) {
  const list = $("#faces");
  list.replaceChildren(...faces.map((face) => {
    const meter = face.similarity === null || face.similarity === undefined ? null
      : make("meter", { min: 0, max: 1, low: accept ?? 0.5, value: Math.max(0, face.similarity), "aria-label": words.say.similarity });
    const tag = make("span", { class: face.name ? "tag" : face.verdict === "stranger" ? "tag bad" : "tag warn" }, nameOf(face));
    const why = face.unfit && (face.name || face.verdict) ? words.unfit[face.unfit] : "";
    return make("li", {}, make("span", {}, tag, make("span", { class: "dim" }, ` ${face.px} px ${why}`)), meter);
  }));
}

function showState(state) {
  if (!state) return;
  const shown = $("#state");
  const name = state.locked_down ? "locked_down" : state.locked_out ? "locked_out" : state.state;
  shown.textContent = words.states[name] ?? name;
  shown.dataset.state = state.state;
  shown.dataset.alarm = state.alarm !== "none" || state.locked_down ? "1" : "0";
  const facts = [["leaf", words.say["leaf_" + state.door]], ["relay", words.say[state.lock === "UNLOCKED" ? "relay_on" : "relay_off"]], ["alarm", state.alarm === "none" ? null : words.states[state.alarm] ?? state.alarm], ["tamper", state.tamper ? words.kinds.tamper : null]];
  $("#facts").replaceChildren(...facts.filter(([, value]) => value).flatMap(([key, value]) => [make("dt", {}, words.say[key]), make("dd", {}, value)]));
  for (const button of document.querySelectorAll("[data-when]")) {
    const down = state.locked_down || state.locked_out;
    button.hidden = (button.dataset.when === "down") !== Boolean(down) && !(button.dataset.when === "up" && !state.locked_down);
  }
  const asked = state.challenge && state.challenge !== "none" ? words.challenges[state.challenge] : "";
  if (stage.challenge.textContent !== asked) stage.challenge.textContent = asked;
  stage.challenge.hidden = !asked;
}

follow("/live", (seen) => {
  showState(seen.state);
  const none = seen.result !== "ok";
  stage.nothing.hidden = !none;
  stage.picture.hidden = none;
  if (none) {
    if (seen.result !== "no_news") stage.nothing.textContent = seen.result === "down" ? words.say.down : `${words.say.no_picture}: ${seen.reason ?? ""}`;
    stage.boxes.replaceChildren();
    showFaces([]);
    return;
  }
  stage.picture.src = "data:image/jpeg;base64," + seen.picture;
  drawBoxes(stage.boxes, seen.faces, nameOf, mayName ? capture : null);
  showFaces(seen.faces, seen.accept);
});

// A click on a face: to the page where it gets a name.
async function capture(face) {
  const answer = await fetch(`/api/v1/live/faces/${face.visit}/picture`);
  if (!answer.ok) return toast(words.say.no_face, true);
  await carry(await answer.blob());
}

for (const button of document.querySelectorAll("[data-command]")) {
  button.addEventListener("click", async () => {
    const command = button.dataset.command;
    if (button.dataset.sure && !(await sure(words.say["sure_" + command]))) return;
    await attempt(button, async () => {
      showState(await api("POST", `/door/${command}`, { seconds: Number(button.dataset.seconds ?? 0) }));
      toast(words.say.done);
    });
  });
}

api("GET", "/visits?limit=8").then(({ events }) => {
  $("#news").append(...events.map((event) => eventLine(event)));
  $("#no-news").hidden = events.length > 0;
}, () => {});
follow("/events", (event) => {
  $("#no-news").hidden = true;
  const list = $("#news");
  list.prepend(eventLine(event, true));
  while (list.children.length > 12) list.lastChild.remove();
  if (event.type === "stranger") showStrangers();
});

async function showStrangers() {
  const list = $("#strangers");
  if (!list) return;
  const { strangers } = await api("GET", "/strangers").catch(() => ({ strangers: [] }));
  list.replaceChildren(...strangers.map((one) => {
    const source = `/api/v1/strangers/${one.id}/picture`;
    const when = local(new Date(one.utc_s * 1000).toISOString(), false);
    const naming = mayName ? make("button", { class: "quiet", onclick: async () => carry(await (await fetch(source)).blob()) }, `${words.say.name_them}`) : null;
    return make("li", {}, make("img", { src: source, alt: `${words.say.stranger}, ${when}` }), make("p", { class: "dim" }, when), naming);
  }));
}
showStrangers();
setInterval(showStrangers, 30000);

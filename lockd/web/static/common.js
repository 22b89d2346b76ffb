// What all pages share: words, asking the interface, questions, messages.
"use strict";
const read = (id) => JSON.parse(document.getElementById(id)?.textContent ?? "null");
const words = read("words");
const me = read("me") ?? {};
const $ = (selector) => document.querySelector(selector);

function make(tag, attributes = {}, ...content) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "class") node.className = value;
    else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...content.filter((one) => one !== null && one !== undefined));
  return node;
}

function toast(text, bad = false) {
  const note = make("p", { class: bad ? "bad" : "" }, text);
  $("#toasts").append(note);
  setTimeout(() => note.remove(), 6000);
}

function sure(text) {
  const dialog = $("#ask");
  $("#ask-text").textContent = text;
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((done) => {
    dialog.addEventListener("close", () => done(dialog.returnValue === "yes"), { once: true });
  });
}

// Ask the interface; what is wrong is thrown as an Error with its words.
async function api(method, path, body) {
  const headers = { "X-CSRF-Token": me.csrf, Accept: "application/json" };
  if (body !== undefined && !(body instanceof FormData)) {
    headers["Content-Type"] = "application/json";
    body = JSON.stringify(body);
  }
  const answer = await fetch("/api/v1" + path, { method, headers, body });
  if (answer.status === 401) location.assign("/login");
  const told = answer.status === 204 ? null : await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(told?.detail ?? String(answer.status));
  return told;
}

// The same for a button: it is off meanwhile, and what is wrong is shown.
async function attempt(button, work) {
  if (button) button.disabled = true;
  try {
    return await work();
  } catch (error) {
    toast(error.message, true);
    return undefined;
  } finally {
    if (button) button.disabled = false;
  }
}

function local(utc, withDay = true) {
  const when = new Date(utc);
  const options = withDay ? { dateStyle: "medium", timeStyle: "medium" } : { timeStyle: "medium" };
  return new Intl.DateTimeFormat(me.language, options).format(when);
}

// From when and until when, of a form: whole days, or days with a time.
function validity(form) {
  const given = new FormData(form);
  return ["valid_from", "valid_until"].map((name) => {
    const [day, time] = [given.get(name), given.get(name + "_time")];
    return [name, day && time ? `${day}T${time}` : day];
  });
}

function eventLine(event, fresh = false) {
  const bad = ["stranger", "access_denied", "spoof_suspected", "door_forced", "tamper", "door_held"];
  const kind = words.kinds[event.type] ?? event.type;
  const name = event.person && event.person === event.person_id ? words.say.forgotten : event.person;
  const who = name ?? (event.by ? `${event.command ?? ""} ${words.say.by} ${event.by}` : "");
  const why = [event.reason, event.result && event.result !== "ok" ? event.result : null].filter(Boolean).join(", ").replaceAll("_", " ");
  const tag = make("span", { class: bad.includes(event.type) ? "tag bad" : event.type === "access_granted" ? "tag" : "dim" }, kind);
  const text = make("span", {}, tag, " ", make("span", { class: "what" }, who), why ? make("span", { class: "dim" }, " " + why) : null);
  const picture = event.picture ? make("img", { class: "thumb", src: `/api/v1/gallery/${event.picture}/picture`, alt: words.say.stranger, loading: "lazy" }) : null;
  return make("li", { class: fresh ? "new" : "", "data-type": event.type }, picture, text, make("time", { datetime: event.utc }, local(event.utc)));
}

function follow(path, heard) {
  const source = new EventSource("/api/v1" + path);
  source.onmessage = (message) => heard(JSON.parse(message.data));
  addEventListener("pagehide", () => source.close());
  return source;
}

// Boxes over a picture, in parts of its sides.
function drawBoxes(layer, faces, label, clicked) {
  const old = new Map([...layer.children].map((one) => [one.dataset.visit, one]));
  faces.forEach((face, place) => {
    const key = String(face.visit ?? place);
    const node = old.get(key) ?? make(clicked ? "button" : "div", { "data-visit": key, type: clicked ? "button" : null }, make("span"));
    old.delete(key);
    const known = Boolean(face.name);
    node.className = "box" + (known ? " known" : face.verdict === "stranger" ? " stranger" : "") + (face.box[3] > 0.85 ? " low" : "");
    const [x0, y0, x1, y1] = face.box.map((one) => Math.min(1, Math.max(0, one)));
    Object.assign(node.style, { left: x0 * 100 + "%", top: y0 * 100 + "%", width: (x1 - x0) * 100 + "%", height: (y1 - y0) * 100 + "%" });
    node.firstChild.textContent = label(face);
    if (clicked) node.onclick = () => clicked(face);
    if (!node.parentNode) layer.append(node);
  });
  old.forEach((node) => node.remove());
}

document.addEventListener("DOMContentLoaded", () => {
  for (const one of document.querySelectorAll("time[datetime]")) one.textContent = local(one.dateTime);
});

// A face, to the page where it gets a name.
async function carry(blob) {
  const url = await new Promise((done) => {
    const reader = new FileReader();
    reader.onload = () => done(reader.result);
    reader.readAsDataURL(blob);
  });
  sessionStorage.setItem("picture", url);
  location.assign("/people/add");
}

// This device's camera in a <video>; returns how to take a picture and how to stop.
async function openCamera(video) {
  const stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "user", width: { ideal: 1280 } } });
  video.srcObject = stream;
  video.hidden = false;
  await video.play();
  return {
    take(longest = 1280) {
      const scale = Math.min(1, longest / Math.max(video.videoWidth, video.videoHeight));
      const canvas = make("canvas", { width: Math.round(video.videoWidth * scale), height: Math.round(video.videoHeight * scale) });
      canvas.getContext("2d").drawImage(video, 0, 0, canvas.width, canvas.height);
      return new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.92));
    },
    stop() {
      for (const track of stream.getTracks()) track.stop();
      video.hidden = true;
    },
  };
}

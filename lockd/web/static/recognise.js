// Who is in a photograph?
"use strict";
let camera = null;

async function ask(blob) {
  $("#message").textContent = words.say.judging + " …";
  $("#result").hidden = true;
  const data = new FormData();
  data.set("photograph", blob, "photograph");
  const seen = await attempt(null, () => api("POST", "/recognise", data));
  $("#message").textContent = "";
  if (!seen) return;
  const photo = $("#photo");
  URL.revokeObjectURL(photo.src);
  photo.src = URL.createObjectURL(blob);
  const faces = seen.faces.map((face) => ({
    ...face, name: face.known ? face.person : null, verdict: face.known ? "recognised" : "stranger",
    box: face.box.map((side, place) => side / (place % 2 ? seen.height : seen.width)),
  }));
  const label = (face) => face.name ?? words.say.stranger;
  drawBoxes($("#boxes"), faces, label);
  $("#faces").replaceChildren(...faces.map((face) => make("li", {},
    make("span", {}, make("span", { class: face.known ? "tag" : "tag bad" }, label(face)),
      make("span", { class: "dim" }, face.unfit ? " " + words.unfit[face.unfit] : "")),
    face.similarity === null ? null : make("meter", { min: 0, max: 1, value: Math.max(0, face.similarity), "aria-label": words.say.similarity }),
  )));
  if (!faces.length) $("#message").textContent = words.say.no_face;
  $("#result").hidden = false;
}

$("#file").addEventListener("change", (event) => { if (event.target.files[0]) ask(event.target.files[0]); event.target.value = ""; });
const drop = $("#drop");
for (const kind of ["dragover", "dragleave", "drop"]) {
  drop.addEventListener(kind, (event) => {
    event.preventDefault();
    drop.classList.toggle("over", kind === "dragover");
    if (kind === "drop" && event.dataTransfer.files[0]) ask(event.dataTransfer.files[0]);
  });
}
$("#use-camera").addEventListener("click", async () => {
  try {
    camera = await openCamera($("#video"));
    $("#camera").hidden = false;
  } catch (error) {
    toast(`${words.say.no_camera}: ${error.message}`, true);
  }
});
$("#take").addEventListener("click", async () => ask(await camera.take()));
$("#stop").addEventListener("click", () => { camera?.stop(); camera = null; $("#camera").hidden = true; });

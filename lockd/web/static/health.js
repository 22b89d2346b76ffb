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
  if (seen.result !== "ok") return;
  const face = seen.faces[0];
  $("#fps").textContent = seen.fps.toFixed(1);
  plot("fps-plot", lately.fps, seen.fps);
  $("#face-px").textContent = face ? `${face.px} px` : "–";
  plot("px-plot", lately.px, face ? face.px : 0);
  const advice = !face ? words.say.nobody : face.unfit ? words.unfit[face.unfit] : words.say.accepted;
  if ($("#advice").textContent !== advice) $("#advice").textContent = advice;
});

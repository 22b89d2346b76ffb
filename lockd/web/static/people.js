"use strict";
$("#search")?.addEventListener("input", (event) => {
  const wanted = event.target.value.trim().toLowerCase();
  let left = 0;
  for (const one of $("#people").children) {
    one.hidden = !one.dataset.name.includes(wanted);
    left += !one.hidden;
  }
  $("#nobody").hidden = left > 0;
});

"use strict";
(async () => {
  const told = await attempt(null, () => api("GET", "/people/alike"));
  $("#busy").hidden = true;
  if (!told) return;
  const list = $("#pairs");
  list.hidden = false;
  list.replaceChildren(...told.pairs.map((pair) => make("li", {},
    make("span", {}, make("strong", {}, pair.person), " – ", pair.other),
    make("meter", { min: 0, max: 1, high: told.accept, value: Math.max(0, pair.similarity), "aria-label": words.say.similarity }),
    make("span", { class: pair.similarity >= told.accept ? "tag bad" : "dim" }, pair.similarity.toFixed(2)),
  )));
  if (!told.pairs.length) list.replaceChildren(make("li", {}, words.say.nobody));
})();

// Who came: as asked for, and as it happens.
"use strict";
const form = $("#filters");
let skip = 0;

function wanted() {
  const query = new URLSearchParams();
  const data = new FormData(form);
  for (const name of ["person", "kind"]) if (data.get(name)) query.set(name, data.get(name));
  if (data.get("since")) query.set("since", new Date(data.get("since") + "T00:00:00").toISOString());
  if (data.get("until")) {
    const end = new Date(data.get("until") + "T00:00:00");
    end.setDate(end.getDate() + 1);
    query.set("until", end.toISOString());
  }
  return query;
}

async function show(more = false) {
  skip = more ? skip + 100 : 0;
  const query = wanted();
  $("#csv").href = "/api/v1/visits.csv?" + new URLSearchParams([...query, ["limit", "500"]]);
  query.set("skip", skip);
  const found = await attempt(null, () => api("GET", "/visits?" + query));
  if (!found) return;
  const lines = found.events.map((event) => eventLine(event));
  if (more) $("#visits").append(...lines);
  else $("#visits").replaceChildren(...lines);
  $("#total").textContent = found.total ? `${words.say.events}: ${found.total}` : words.say.kept_none;
  $("#more").hidden = skip + found.events.length >= found.total;
}

form.addEventListener("submit", (event) => { event.preventDefault(); show(); });
$("#more").addEventListener("click", () => show(true));
follow("/events", (event) => {
  const data = new FormData(form);
  if (data.get("until") || (data.get("kind") && data.get("kind") !== event.type)) return;
  if (data.get("person") && data.get("person") !== event.person) return;
  $("#visits").prepend(eventLine(event, true));
});
show();

// Strangers, if the owner keeps their pictures.
async function gallery() {
  if (me.role === "viewer") return;
  const { pictures } = await api("GET", "/gallery").catch(() => ({ pictures: [] }));
  const administrator = me.role === "administrator";
  $("#gallery").hidden = !pictures.length;
  $("#gallery ul").replaceChildren(...pictures.map((one) => make("li", {},
    make("img", { src: `/api/v1/gallery/${one.id}/picture`, alt: `${words.say.stranger}, ${local(one.utc)}`, loading: "lazy" }),
    make("p", { class: "dim" }, local(one.utc)),
    administrator ? make("button", { class: "quiet", onclick: async () => carry(await (await fetch(`/api/v1/gallery/${one.id}/picture`)).blob()) }, words.say.name_them) : null,
    administrator ? make("button", { class: "quiet", onclick: (event) => attempt(event.target, async () => { await api("DELETE", `/gallery/${one.id}`); gallery(); }) }, words.say.remove) : null,
  )));
}
gallery();

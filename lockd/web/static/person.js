// One person: details, rights, templates.
"use strict";
const path = "/people/" + encodeURIComponent($("#person").dataset.id);
const again = () => location.reload();

$("#change").addEventListener("submit", (event) => {
  event.preventDefault();
  const form = event.target;
  const change = Object.fromEntries([...new FormData(form)].filter(([name]) => name !== "groups" && !name.startsWith("valid_")));
  Object.assign(change, Object.fromEntries(validity(form)));
  change.groups = [...form.querySelectorAll("[name=groups]:checked")].map((one) => one.value);
  attempt(event.submitter, async () => { await api("PATCH", path, change); again(); });
});
for (const [id, enabled] of [["disable", false], ["enable", true]]) {
  document.getElementById(id)?.addEventListener("click", (event) => attempt(event.target, async () => { await api("PATCH", path, { enabled }); again(); }));
}
$("#merge")?.addEventListener("submit", async (event) => {
  event.preventDefault();
  if (!(await sure(words.say.sure_merge))) return;
  attempt(event.submitter, async () => {
    const kept = await api("POST", path + "/merge", { into: new FormData(event.target).get("into") });
    location.assign("/people/" + kept.id);
  });
});
$("#remove").addEventListener("click", async (event) => {
  if (!(await sure(words.say.sure_remove))) return;
  attempt(event.target, async () => { await api("DELETE", path); location.assign("/people"); });
});
for (const button of document.querySelectorAll("[data-drop]")) {
  button.addEventListener("click", () => attempt(button, async () => { await api("DELETE", `${path}/templates/${button.dataset.drop}`); again(); }));
}

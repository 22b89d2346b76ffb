"use strict";
$("#everywhere").addEventListener("click", (event) => attempt(event.target, async () => { await api("POST", "/log-out-everywhere"); location.assign("/login"); }));

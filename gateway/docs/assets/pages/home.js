// The example names the address this page came from.
const base = new URL("./", location.href).href.replace(/\/$/, "");
for (const place of document.querySelectorAll("[data-origin]")) place.textContent = base;

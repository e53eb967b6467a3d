// ReDoc on this service's own document, with the address this page came from in its examples.
const base = new URL("./", location.href).href.replace(/\/$/, "");
const place = document.getElementById("redoc");

const letters = "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif";
const options = {
  downloadUrls: [{ title: "openapi.json", url: "openapi.json" }],
  nativeScrollbars: true,
  theme: {
    colors: { primary: { main: "#0b6a62" } },
    typography: { fontSize: "15px", fontFamily: letters, headings: { fontFamily: letters, fontWeight: "600" } },
  },
};

async function show() {
  const answer = await fetch("openapi.json");
  if (!answer.ok) throw new Error(`openapi.json answered ${answer.status}`);
  const api = JSON.parse((await answer.text()).replaceAll("http://127.0.0.1:8000", base));
  api.servers = [{ url: base }];
  Redoc.init(api, options, place);
  new MutationObserver(reachable).observe(place, { childList: true, subtree: true });
}

// What scrolls can be scrolled by key.
function reachable() {
  for (const code of place.querySelectorAll("pre:not([tabindex])")) code.tabIndex = 0;
}

show().catch((error) => {
  place.textContent = `The reference cannot be shown: ${error.message}`;
});

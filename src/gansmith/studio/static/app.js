// The shell: navigation, theme, and one page at a time. A page is a module with `title` and `mount(root, context)`.

import { ask } from "./lib/api.js";
import { fill, h, icon } from "./lib/dom.js";
import { alone, link } from "./lib/ui.js";

// name of the address, words of the navigation, module. A page is added here, and nowhere else.
const PAGES = [
  ["train", "Train", () => import("./pages/train.js")],
  ["game", "Game", () => import("./pages/game.js")],
  ["explore", "Explore", () => import("./pages/explore.js")],
  ["quiz", "Quiz", () => import("./pages/quiz.js")],
  ["judge", "Judge", () => import("./pages/judge.js")],
];

const root = document.getElementById("page");
const nav = document.getElementById("nav");
let leave = new AbortController();

/** Goes to an address of the studio, such as /train/mnist-mlp-001. */
export function go(path) {
  history.pushState(null, "", path);
  show();
}

async function show() {
  leave.abort();
  leave = new AbortController();
  const { signal } = leave;
  const [name = "", ...rest] = location.pathname.split("/").filter(Boolean).map(decodeURIComponent);
  const page = PAGES.find(([each]) => each === (name || PAGES[0][0]));
  for (const each of nav.querySelectorAll("a")) {
    if (each.dataset.page === page?.[0]) each.setAttribute("aria-current", "page");
    else each.removeAttribute("aria-current");
  }
  if (!page) {
    fill(root, alone("There is no such page", "The address may be mistyped, or from another version.", link("/train", "Go to Train", { class: "button" })));
    return;
  }
  const context = { path: rest, query: new URLSearchParams(location.search), signal, about: await about, go };
  const module = await page[2]();
  if (signal.aborted) return;
  document.title = `${module.title} · gansmith studio`;
  const box = h("div", { class: `page ${page[0]}` });
  fill(root, box);
  window.scrollTo(0, 0);
  root.setAttribute("aria-busy", "true");
  try {
    await module.mount(box, context);
  } catch (error) {
    if (signal.aborted || error.name === "AbortError") return;
    fill(box, alone("This page could not be shown", error.message, h("button", { type: "button", onclick: show }, "Try again")));
    console.error(error);
  } finally {
    if (!signal.aborted) root.removeAttribute("aria-busy");
  }
}

function links() {
  const items = PAGES.map(([name, words]) =>
    h("li", {}, h("a", { href: `/${name}`, data: { page: name } }, icon(name), h("span", {}, words))));
  fill(nav, h("ul", {}, items));
}

function theme() {
  const button = document.getElementById("theme");
  const html = document.documentElement;
  const dark = () => (html.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  const draw = () => fill(button, icon(dark() ? "sun" : "moon"), h("span", {}, dark() ? "Light" : "Dark"), h("span", { class: "visually-hidden" }, " theme"));
  button.addEventListener("click", () => {
    html.dataset.theme = dark() ? "light" : "dark";
    try { localStorage.setItem("theme", html.dataset.theme); } catch { /* storage may be closed */ }
    draw();
    window.dispatchEvent(new Event("themed"));
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { draw(); window.dispatchEvent(new Event("themed")); });
  draw();
}

document.addEventListener("click", (event) => {
  const anchor = event.target.closest?.("a[href^='/']");
  if (!anchor || event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey) return;
  if (anchor.target || anchor.hasAttribute("download") || /^\/(static|api)\//.test(anchor.pathname)) return;
  event.preventDefault();
  go(anchor.pathname + anchor.search);
  root.focus({ preventScroll: true });
});
window.addEventListener("popstate", show);

const about = ask("/api/about").catch(() => ({ read_only: false, version: "" }));
about.then((known) => { if (known.read_only) document.querySelector(".rail-foot").prepend(h("p", { class: "tag" }, "Only showing")); });
links();
theme();
show();
ask("/api/about/ready").catch(() => {});

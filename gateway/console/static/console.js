// What makes the pages quicker to use. Without it they do the same, one page at a time. It keeps nothing.
"use strict";

// For those who hear the page.
function say(text) {
  const said = document.getElementById("said");
  (document.querySelector("dialog:modal") || document.body).append(said);
  said.textContent = "";
  setTimeout(() => { said.textContent = text; }, 50);
}

async function copyText(text, button, what) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const field = document.createElement("textarea");
    field.value = text;
    (button.closest("dialog") || document.body).append(field);
    field.select();
    document.execCommand("copy");
    field.remove();
    button.focus();
  }
  say(`${what} copied`);
  button.classList.add("copied");
  setTimeout(() => button.classList.remove("copied"), 1600);
}

// A page of its own, shown as a dialog: the same form, which is sent the same way.
const dialog = document.getElementById("dialog");

async function openDialog(href) {
  const waiting = document.createElement("div");
  waiting.className = "loading";
  waiting.append(...[1, 2, 3, 4].map(() => document.createElement("i")));
  dialog.replaceChildren(waiting);
  dialog.setAttribute("aria-busy", "true");
  dialog.setAttribute("aria-label", "Loading");
  dialog.removeAttribute("aria-labelledby");
  if (!dialog.open) dialog.showModal();
  try {
    const answer = await fetch(href, { credentials: "same-origin", cache: "no-store" });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const panel = page.getElementById("panel");
    if (!panel) throw new Error("no panel");
    if (!dialog.open) return;
    dialog.replaceChildren(document.adoptNode(panel));
    dialog.removeAttribute("aria-label");
    dialog.setAttribute("aria-labelledby", "panel-title");
    prepare(dialog);
    (dialog.querySelector("[autofocus], input:not([type=hidden]), select, a[data-close]") || dialog).focus();
  } catch {
    location.assign(href);
  } finally {
    dialog.removeAttribute("aria-busy");
  }
}

function prepare(part) {
  for (const field of part.querySelectorAll("[data-must-be]")) {
    const button = field.form.querySelector("button:not([hidden])");
    const judge = () => { button.disabled = field.value.trim() !== field.dataset.mustBe; };
    field.addEventListener("input", judge);
    judge();
  }
}

document.addEventListener("click", (event) => {
  const plain = event.button === 0 && !event.ctrlKey && !event.metaKey && !event.shiftKey && !event.altKey;
  const opener = event.target.closest("a[data-dialog]");
  if (opener && dialog && plain) {
    event.preventDefault();
    opener.closest("details.menu")?.removeAttribute("open");
    if (!dialog.open && opener.closest("details.menu")) opener.closest("details.menu").firstElementChild.focus();
    openDialog(opener.href);
    return;
  }
  const closer = event.target.closest("[data-close]");
  if (closer && dialog?.open && dialog.contains(closer)) {
    event.preventDefault();
    dialog.close();
    return;
  }
  const copier = event.target.closest("[data-copy]");
  if (copier) copyText(copier.parentElement.querySelector("code").textContent, copier, "Id");
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(event.target)) menu.removeAttribute("open");
  }
});

dialog?.addEventListener("close", () => {
  document.body.append(document.getElementById("said"));
  dialog.replaceChildren();
});

// While a row's menu is open the other rows are out of reach: it covers their buttons, some of them by half.
document.addEventListener("toggle", (event) => {
  const menu = event.target;
  const own = menu.matches("details.menu") && menu.closest("tr");
  if (own) for (const row of own.parentElement.rows) row.inert = menu.open && row !== own;
}, true);

document.addEventListener("focusout", (event) => {
  const menu = event.target.closest("details.menu[open]");
  if (menu && event.relatedTarget && !menu.contains(event.relatedTarget)) menu.removeAttribute("open");
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  const menu = document.querySelector("details.menu[open]");
  if (menu) {
    menu.removeAttribute("open");
    menu.firstElementChild.focus();
  }
});

// Sent once, and seen to be on its way.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!form.dataset.busy) return;
  if (form.dataset.sent) {
    event.preventDefault();
    return;
  }
  form.dataset.sent = "1";
  const button = event.submitter || form.querySelector("button:not([hidden])");
  button.dataset.before = button.textContent;
  button.textContent = form.dataset.busy;
  button.classList.add("spins");
  button.setAttribute("aria-disabled", "true");
  say(form.dataset.busy);
});

addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-sent]")) {
    delete form.dataset.sent;
    for (const button of form.querySelectorAll("button[data-before]")) {
      button.textContent = button.dataset.before;
      button.classList.remove("spins");
      button.removeAttribute("aria-disabled");
    }
  }
});

// A list that follows what is typed.
for (const field of document.querySelectorAll("[data-filters]")) {
  const form = field.form;
  let soon = 0;
  let latest = 0;
  const search = async () => {
    const results = document.getElementById(field.dataset.filters);
    const query = new URLSearchParams([...new FormData(form)].filter(([, value]) => value));
    const address = `${form.getAttribute("action")}${query.size ? "?" : ""}${query}`;
    const mine = ++latest;
    results.setAttribute("aria-busy", "true");
    try {
      const answer = await fetch(address, { credentials: "same-origin", cache: "no-store" });
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const found = page.getElementById(field.dataset.filters);
      if (mine !== latest) return;
      if (!found) throw new Error("no results");
      results.replaceChildren(...found.childNodes);
      history.replaceState(null, "", address);
      for (const link of document.querySelectorAll("[data-view]")) {
        const there = page.querySelector(`[data-view="${link.dataset.view}"]`);
        if (there) link.href = there.href;
      }
      const rows = results.querySelectorAll("tbody tr").length;
      say(rows === 1 ? "1 found" : `${rows} found`);
    } catch {
      location.assign(address);
    } finally {
      if (mine === latest) results.removeAttribute("aria-busy");
    }
  };
  field.addEventListener("input", () => {
    clearTimeout(soon);
    soon = setTimeout(search, 200);
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    clearTimeout(soon);
    search();
  });
}

prepare(document);
